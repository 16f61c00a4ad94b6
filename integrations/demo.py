"""The demo world: a merchant's shops on three platforms, and ninety days of history read through the real connectors.

The simulator's market clock is put back and stepped to the present; at each step every channel is read as it would have
been then. Whatever was interrupted goes on where it stopped.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import requests
from django.conf import settings
from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone

from catalog.mapping import accept
from catalog.models import AuditEvent, Channel, Listing, Product, Proposal, ShopRead, Sku, Supplier, User
from catalog.services import add_listings, audit
from integrations import discovery, fetching
from integrations.connections import Unconnected, connector_for
from integrations.connectors.base import DiscoveredListing
from integrations.connectors.errors import ConnectorError
from integrations.demo_plan import add_planning
from integrations.demo_prices import add_prices
from integrations.demo_stock import add_stock
from integrations.models import Credential
from integrations.services import save_as_holder
from monitoring.models import ListingWatch, PollRun, Route, Severity, Target, Threshold
from monitoring.services.planning.running import run_plan

TOKEN_LIFE = timedelta(days=365)
# One shop's authorisation ends soon, and one shop could not be reached for a while.
EXPIRING_SHOP, EXPIRES_IN = "taobao-chufang", timedelta(days=3)
GAP_SHOP, GAP_FROM, GAP_UNTIL = "taobao-shanye", timedelta(days=33), timedelta(days=30)
# Which of our shops watches which competitor.
WATCHED_BY = {"rival-linjian": "taobao-shanye", "rival-anju": "tmall-nuanju"}
# Which shops show our one stock, and which one waits for a person to look at its first dry run.
SYNCED, NOT_YET_SYNCED = ("tmall-nuanju", "shopify-nuanju", "woo-yatai"), "taobao-shanye"
BEGUN, LOADED, ADDED = "demo begun", "demo loaded", "demo shop added"

SUPPLIERS = ("义乌恒通百货", "永康市铭泰五金厂", "景德镇青釉坊", "绍兴柯桥云锦纺织")
COST_SHARES = (Decimal("0.46"), Decimal("0.52"), Decimal("0.58"), Decimal("0.63"))
NO_COST_EVERY = 9  # SKUs
TARGET, ROBOT = "钉钉运营群", "dingtalk-signed"  # who is told of alerts, and the simulator's robot it stands for
# What the shops do not want to fall below, by currency.
LOWEST_PRICES = {"CNY": Decimal(25), "USD": Decimal(6), "EUR": Decimal(5)}
ITEMS_IN_SMALL = 6  # per shop
STORES_EVERY = 2  # steps; a pass costs much the same however little has changed


class DemoError(Exception):
    """The demo world cannot be loaded here; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Size:
    days: int
    items_per_shop: int | None  # None: all
    # How far apart two readings are, from so many days before the present on.
    steps: tuple[tuple[timedelta, timedelta], ...]


FULL = Size(
    days=90,
    items_per_shop=None,
    steps=(
        (timedelta(days=90), timedelta(hours=12)),
        (timedelta(days=21), timedelta(hours=6)),
        (timedelta(days=2), timedelta(hours=1)),
    ),
)
SMALL = Size(
    days=7,
    items_per_shop=ITEMS_IN_SMALL,
    steps=((timedelta(days=7), timedelta(hours=12)), (timedelta(days=1), timedelta(hours=3))),
)


@dataclass(frozen=True, slots=True)
class Store:
    """A shop of the simulator that sells what the Taobao shops sell, under the same merchant codes."""

    platform: str
    key: str
    name: str
    time_zone: str
    fields: Callable[[dict[str, Any]], dict[str, Any]]  # of its credential, from what the simulator says of the shop


STORES = (
    Store(
        "shopify",
        "shopify-nuanju",
        "Nuanju Home",
        "America/New_York",
        lambda shop: {
            "app_key": shop["client_id"],
            "app_secret": shop["client_secret"],
            "options": {"shop": shop["domain"], "app_kind": "client_credentials"},
            "account_name": shop["domain"],
        },
    ),
    Store(
        "woocommerce",
        "woo-yatai",
        "Yatai Wohnen",
        "Europe/Berlin",
        lambda shop: {
            "app_key": shop["consumer_key"],
            "app_secret": shop["consumer_secret"],
            "account_name": shop["name"],
        },
    ),
)


class Control:
    """The control paths of the simulator at SIMULATOR_URL."""

    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.trust_env = False

    def __call__(self, verb: str, path: str, **kwargs: Any) -> dict[str, Any]:
        """The answer's JSON. Raises DemoError when there is no simulator, or it refuses."""
        url = f"{settings.SIMULATOR_URL}/_simulator/{path}"
        try:
            response = self._session.request(verb, url, timeout=120, **kwargs)
            answer: dict[str, Any] = response.json()
        except requests.RequestException as error:
            raise DemoError(
                f"No simulator answers at {settings.SIMULATOR_URL}. Start it with `manage.py simulator`, "
                "or use `make run`, which starts everything."
            ) from error
        if not response.ok:
            raise DemoError(f"The simulator refused {verb} {path}: {answer.get('error')}")
        return answer


def state_of_demo() -> str:
    """ "empty": no channel here; "unfinished": a demo that was cut off; "loaded": a whole one; "other": real data."""
    if AuditEvent.objects.filter(action=LOADED).exists():
        return "loaded"
    if AuditEvent.objects.filter(action=BEGUN).exists():
        return "unfinished"
    return "other" if Channel.objects.exists() else "empty"


def point_at_simulator() -> int:
    """Have the demo's channels use the simulator at SIMULATOR_URL, which may have moved; returns how many did."""
    accounts = Control()("GET", "accounts")
    keys = [app["app_key"] for app in accounts["taobao"]["apps"]]
    keys += [store.fields(_shop_of(store, accounts))["app_key"] for store in STORES]
    ours = Credential.objects.filter(app_key__in=keys).exclude(base_url="")
    for target in Target.objects.filter(name=TARGET):
        _set_robot(target, accounts)
        target.save(update_fields=["address", "secret"])
    return ours.exclude(base_url=settings.SIMULATOR_URL).update(base_url=settings.SIMULATOR_URL)


def load_demo(*, size: Size, now: datetime, progress: Callable[[int, int], None]) -> dict[str, int]:
    """Load the demo world, or what is missing of one that was cut off; returns counts of what is there.

    `now` is the present; `progress` is told (steps done, steps in all). Raises DemoError.
    """
    state = state_of_demo()
    if state not in {"empty", "unfinished"}:
        raise DemoError(
            "The demo world is loaded already."
            if state == "loaded"
            else "This database has channels of its own; the demo world would mix with them. Name an empty one "
            "in DATABASE_URL."
        )
    control = Control()
    accounts = control("GET", "accounts")
    account = accounts["taobao"]
    owner = _create_people()
    if state == "empty":
        audit(action=BEGUN, obj=owner, actor=None, now=now)
    channels = {shop["shop"]: _create_channel(shop, account, owner, now) for shop in account["shops"]}
    stores = {store.key: _create_store(store, accounts, owner, now) for store in STORES}
    moments = list(_moments(size, now))
    done = _read_until()
    left = [moment for moment in moments if done is None or moment > done] or moments[-1:]
    control("POST", "clock", json={"speed": 0, "set": (done or left[0]).isoformat()})
    _add_goods(control, channels, size, owner, now)
    for channel in stores.values():
        _add_store_goods(channel, owner, now)
    channels |= stores
    _add_thresholds(channels.values(), owner)
    earlier = done or left[0] - size.steps[0][1]
    for number, moment in enumerate(left, start=len(moments) - len(left)):
        progress(number, len(moments))
        control("POST", "clock", json={"set": moment.isoformat()})
        for shop, channel in channels.items():
            every = STORES_EVERY if shop in stores else 1
            in_gap = shop == GAP_SHOP and now - GAP_FROM <= moment < now - GAP_UNTIL
            if in_gap or (len(moments) - 1 - number) % every:
                continue
            _read(channel, moment, (moment - earlier) * every)
        earlier = moment
    for channel in stores.values():  # what nobody has mapped is proposed as it is today
        _propose(channel, now)
    # Only now, since what the past days' alerts were about is past.
    _add_target(accounts)
    # The last reading spoke for an hour; from here on listings are read as often as their channel says.
    ListingWatch.objects.filter(channel__in=channels.values()).update(next_due_at=now)
    control("POST", "clock", json={"set": timezone.now().isoformat(), "speed": 1})
    synced = [channels[key] for key in SYNCED]
    add_stock(synced=synced, waiting=channels[NOT_YET_SYNCED], owner=owner, now=timezone.now())
    add_prices(list(channels.values()), owner=owner, now=timezone.now())
    add_planning(owner=owner, now=timezone.now())
    run_plan(now=timezone.now())
    progress(len(moments), len(moments))
    audit(action=LOADED, obj=owner, actor=None, now=now)
    return {
        "channels": len(channels),
        "products": Product.objects.count(),
        "SKUs": Sku.objects.count(),
        "listings": Listing.objects.count(),
        "passes": PollRun.objects.count(),
    }


def add_missing_stores(*, now: datetime) -> list[Channel]:
    """Add the stores that a demo of an older version does not have, as they are at present; returns them.

    One that somebody removed stays away. Raises DemoError.
    """
    there = set(AuditEvent.objects.filter(action=ADDED).values_list("object_name", flat=True))
    missing = [store for store in STORES if store.name not in there]
    if not missing:
        return []
    accounts = Control()("GET", "accounts")
    owner = _create_people()
    channels = []
    for store in missing:
        if not Channel.objects.filter(name=store.name).exists():
            channel = _create_store(store, accounts, owner, now)
            _add_store_goods(channel, owner, now)
            _add_thresholds([channel], owner)
            _read(channel, now, channel.interval)
            channels.append(channel)
    return channels


def _moments(size: Size, now: datetime) -> Iterator[datetime]:
    """When the market is read: ever closer together, the last time at `now` itself."""
    moment = now - timedelta(days=size.days)
    while moment < now:
        yield moment
        moment += next(step for start, step in reversed(size.steps) if moment >= now - start)
    yield now


def _read_until() -> datetime | None:
    """The market time up to which a cut off demo has been read; a step that was not read whole is read again."""
    return PollRun.objects.order_by("-started_at").values_list("started_at", flat=True).first()


def _read(channel: Channel, moment: datetime, interval: timedelta) -> None:
    summary = fetching.pass_over_channel(channel=channel, now=moment, everything=True, interval=interval)
    if summary.problems:
        problem = summary.problems[0]
        raise DemoError(f"{channel} could not be read: {problem.kind} ({problem.cause}). Start again to go on.")


# --- People, channels, goods ----------------------------------------------------------------------------------------


@transaction.atomic
def _create_people() -> User:
    """The two logins; an account that is there keeps its password. Returns the owner."""
    if not (settings.DEMO_STAFF_PASSWORD and settings.DEMO_MANAGER_PASSWORD):
        raise DemoError(
            "DEMO_STAFF_PASSWORD and DEMO_MANAGER_PASSWORD are empty: run `make setup`, or set them in .env."
        )
    owner = User.objects.filter(username="owner").first()
    if owner is None:
        owner = User.objects.create_superuser("owner", password=settings.DEMO_STAFF_PASSWORD)
    if not User.objects.filter(username="manager").exists():
        manager = User.objects.create_user("manager", password=settings.DEMO_MANAGER_PASSWORD, is_staff=True)
        manager.groups.add(Group.objects.get(name="Manager"))
    return owner


@transaction.atomic
def _create_channel(shop: dict[str, Any], account: dict[str, Any], owner: User, now: datetime) -> Channel:
    expires_in = EXPIRES_IN if shop["shop"] == EXPIRING_SHOP else TOKEN_LIFE
    channel, _created = Channel.objects.get_or_create(name=shop["nick"], defaults={"currency": shop["currency"]})
    credential, _created = Credential.objects.update_or_create(
        channel=channel,
        defaults={
            "app_key": account["app_key"],
            "app_secret": account["app_secret"],
            "access_token": shop["session"],
            "options": {"shop_kind": shop["kind"]},
            "base_url": settings.SIMULATOR_URL,
            "account_id": str(shop["user_id"]),
            "account_name": shop["nick"],
            "token_expires_at": now + expires_in,
            "authorised_at": now + expires_in - TOKEN_LIFE,
            "authorised_by": owner,
            "secret_set_at": now + expires_in - TOKEN_LIFE,
        },
    )
    save_as_holder(credential)
    return Channel.objects.get(pk=channel.pk)


def _shop_of(store: Store, accounts: dict[str, Any]) -> dict[str, Any]:
    shop: dict[str, Any] = next(shop for shop in accounts[store.platform]["shops"] if shop["shop"] == store.key)
    return shop


@transaction.atomic
def _create_store(store: Store, accounts: dict[str, Any], owner: User, now: datetime) -> Channel:
    shop = _shop_of(store, accounts)
    channel, is_new = Channel.objects.get_or_create(
        name=store.name,
        defaults={"platform": store.platform, "currency": shop["currency"], "time_zone": store.time_zone},
    )
    credential, _created = Credential.objects.update_or_create(
        channel=channel,
        defaults={"base_url": settings.SIMULATOR_URL, "secret_set_at": now, **store.fields(shop)},
    )
    save_as_holder(credential)
    if is_new:
        audit(action=ADDED, obj=channel, actor=None, now=now)
    return Channel.objects.get(pk=channel.pk)


@dataclass(slots=True)
class Goods:
    """One of our products, and the shops' items that offer it."""

    name: str
    kind: str
    number: int
    variants: dict[str, Sku] = field(default_factory=dict)  # by the variant's name; "": the item itself

    @property
    def code(self) -> str:
        return f"{self.kind}-{self.number:02d}"


def _add_goods(control: Control, channels: dict[str, Channel], size: Size, owner: User, now: datetime) -> None:
    """Products and SKUs for what the shops list, the shops' listings, and competitors' listings of similar goods.

    The n-th item of a kind (by its merchant code) is the same product in every shop that has one.
    """
    truth = {(str(row["num_iid"]), str(row["sku_id"])): row for row in control("GET", "taobao/items")["items"]}
    suppliers = [Supplier.objects.get_or_create(name=name)[0] for name in SUPPLIERS]
    goods: dict[tuple[str, int], Goods] = {}
    for channel in channels.values():
        found: dict[str, list[DiscoveredListing]] = {}
        for page in connector_for(channel).discover_listings(now=now):
            for listing in page.listings:
                found.setdefault(listing.item_id, []).append(listing)
        chosen = sorted(found.items())[: size.items_per_shop]
        add_listings(
            listings=[
                Listing(
                    channel=channel,
                    sku=_sku(goods, kind, number, row, truth[row.item_id, row.sku_id], suppliers),
                    platform_item_id=row.item_id,
                    platform_sku_id=row.sku_id,
                    title=row.title,
                    outer_id=row.outer_id,
                )
                for kind, number, rows in _numbered(chosen)
                for row in rows
            ],
            actor=owner,
            now=now,
        )
    rivals: dict[str, dict[str, dict[str, Any]]] = {}
    for row in truth.values():
        if not row["own"]:
            rivals.setdefault(row["shop"], {}).setdefault(str(row["num_iid"]), row)
    for shop, items in rivals.items():
        counts: dict[str, int] = {}
        listings = []
        for item_id, row in sorted(items.items())[: size.items_per_shop]:
            kind = row["outer_id"].partition("-")[0]
            counts[kind] = counts.get(kind, 0) + 1
            similar = goods.get((kind, counts[kind]))
            listings.append(
                Listing(
                    channel=channels[WATCHED_BY[shop]],
                    ownership=Listing.Ownership.COMPETITOR,
                    sku=next(iter(similar.variants.values())) if similar else None,
                    platform_item_id=item_id,
                    title=row["title"],
                )
            )
        add_listings(listings=listings, actor=owner, now=now)


def _add_store_goods(channel: Channel, owner: User, now: datetime) -> None:
    """The store's listings whose codes say which SKU they sell; the others stay proposals."""
    _propose(channel, now)
    accept(proposals=Proposal.objects.filter(channel=channel).clear(), actor=owner, now=now)


def _propose(channel: Channel, now: datetime) -> None:
    read = ShopRead(channel=channel, kind=ShopRead.Kind.LISTINGS, started_at=now, ended_at=now, slice_at=now)
    try:
        discovery.read_listings(channel, connector_for(channel), read, now, float("inf"))
    except (ConnectorError, Unconnected) as error:
        raise DemoError(f"The listings of {channel} could not be read: {error}. Start again to go on.") from error
    stored = {"started_at": now, "ended_at": now, "slice_at": now, "next_at": None, "count": read.count}
    ShopRead.objects.update_or_create(channel=channel, kind=read.kind, defaults=stored)


def _add_target(accounts: dict[str, Any]) -> None:
    if not Target.objects.filter(name=TARGET).exists():
        target = Target(name=TARGET, kind=Target.Kind.DINGTALK)
        _set_robot(target, accounts)
        target.save()
        Route.objects.create(target=target, least_severity=Severity.WARNING)


def _set_robot(target: Target, accounts: dict[str, Any]) -> None:
    robot = next(robot for robot in accounts["dingtalk"]["robots"] if robot["robot"] == ROBOT)
    target.address, target.secret = robot["url"], robot["secret"]


def _add_thresholds(channels: Iterable[Channel], owner: User) -> None:
    """What the merchant wants to be told of, on each channel."""
    kinds, severities = Threshold.Kind, Severity
    rules: list[dict[str, Any]] = [
        {"kind": kinds.SOLD_OUT, "severity": severities.CRITICAL},
        {"kind": kinds.STOCK_AT_MOST, "severity": severities.WARNING, "stock": 5, "hysteresis": 2},
        {
            "kind": kinds.PRICE_CHANGE,
            "severity": severities.INFO,
            "percent": 10,
            "reference": Threshold.Reference.PREVIOUS,
            "price": Threshold.Price.LIST,
            "ownership": "",
        },
        {
            "kind": kinds.PRICE_RANGE,
            "severity": severities.WARNING,
            "price": Threshold.Price.LIST,
            "hysteresis": 1,
        },
        {"kind": kinds.AUTHORISATION, "severity": severities.WARNING, "days": 7, "ownership": ""},
    ]
    for channel in channels:
        for rule in rules:
            fields = {"currency": channel.currency, "created_by": owner, **rule}
            if rule["kind"] == kinds.PRICE_RANGE:
                fields["min_price"] = LOWEST_PRICES[channel.currency]
            if not Threshold.objects.filter(channel=channel, kind=rule["kind"]).exists():
                threshold = Threshold(channel=channel, **fields)
                threshold.full_clean()
                threshold.save()


def _numbered(items: list[tuple[str, list[DiscoveredListing]]]) -> Iterator[tuple[str, int, list[DiscoveredListing]]]:
    """Each item with its kind, and its number among the items of that kind in its shop."""
    counts: dict[str, int] = {}
    for _item_id, rows in items:
        kind = rows[0].outer_id.partition("-")[0]
        counts[kind] = counts.get(kind, 0) + 1
        yield kind, counts[kind], rows


def _sku(
    goods: dict[tuple[str, int], Goods],
    kind: str,
    number: int,
    listing: DiscoveredListing,
    row: dict[str, Any],
    suppliers: list[Supplier],
) -> Sku:
    """The SKU that a shop's listing sells, created with its product when it is the first to offer it."""
    words = row["title"].split()
    if (kind, number) not in goods:
        name = " ".join(words[1:4])
        taken = any(other.name == name for other in goods.values())
        goods[kind, number] = Goods(f"{name} {number:02d}" if taken else name, kind, number)
    offered = goods[kind, number]
    variant = str(row["properties_name"]).rpartition(":")[2]
    if variant not in offered.variants:
        product, _created = Product.objects.get_or_create(name=offered.name, brand=words[0])
        code = f"{offered.code}-{len(offered.variants) + 1}" if variant else offered.code
        position = sum(len(other.variants) for other in goods.values())
        price = listing.facts.list_price
        known = price is not None and position % NO_COST_EVERY != NO_COST_EVERY - 1
        share = COST_SHARES[position % len(COST_SHARES)]
        offered.variants[variant], _created = Sku.objects.get_or_create(
            code=code,
            defaults={
                "product": product,
                "name": variant,
                "supplier": None if position % 11 == 10 else suppliers[len(kind) % len(suppliers)],
                "cost_price": (price * share).quantize(Decimal("0.01")) if known and price is not None else None,
            },
        )
    return offered.variants[variant]
