"""What only a WooCommerce shop has: its settings, API keys, stock flags, sales, coupons and refunds.

Prices, units and orders are the world's. Times of the market are epoch seconds of its clock; those of keys are real.
"""

import random
import secrets
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from integrations.simulator.world import WOOCOMMERCE, Item, Row, Shop, World, amount

READ, WRITE, READ_WRITE = "read", "write", "read_write"
SHOP_MANAGER, CUSTOMER = "shop_manager", "customer"
PARENT = "parent"
NONCE_SECONDS = 15 * 60
SEED_ZONES = ("Europe/Berlin", "America/New_York")  # of the first shop, of the second
VERSION, WORDPRESS_VERSION = "11.1.0", "7.0"
FIRST_TID, FIRST_ORDER = 2_188_000_000_000_000_000, 1_000_000  # the world's orders carry Taobao's long numbers


def order_id(tid: int) -> int:
    """The number of an order, or of one of its lines, as this shop writes it."""
    return tid - FIRST_TID + FIRST_ORDER


def tid_of(order_id: int) -> int:
    return order_id - FIRST_ORDER + FIRST_TID


@dataclass(slots=True)
class Key:
    """A pair of keys, bound to a person of the shop."""

    key_id: int
    consumer_key: str
    consumer_secret: str
    permissions: str  # READ, WRITE or READ_WRITE
    role: str = SHOP_MANAGER  # of the person: a CUSTOMER may do nothing here
    description: str = ""
    nonces: dict[str, int] = field(default_factory=dict)  # those used in the last NONCE_SECONDS, and when

    def may(self, permission: str) -> bool:
        return self.permissions in (permission, READ_WRITE)


@dataclass(slots=True)
class Sale:
    """A reduced price and when it holds; None on a side is without end."""

    price: int | None  # None: dates were set, and no price
    starts_at: int | None = None
    ends_at: int | None = None

    def holds(self, regular: int, now: int) -> bool:
        if self.price is None or self.price >= regular or (self.starts_at is not None and now < self.starts_at):
            return False
        return self.ends_at is None or now <= self.ends_at


@dataclass(slots=True)
class Details:
    """What the shop keeps of a product or a variation besides what the world knows."""

    manage_stock: bool = True
    stock_status: str = "instock"  # where stock is not managed
    backorders: str = "no"
    low_stock_amount: int | None = None
    sale: Sale | None = None
    unpriced: bool = False  # there is no regular price, so nobody can buy it
    hidden_as: str = "draft"  # the status of a product that is off the shelf
    categories: list[int] = field(default_factory=list)
    plain: dict[str, Any] = field(default_factory=dict)  # texts and flags that change nothing else: see PLAIN
    own_facts: list[str] = field(default_factory=list)  # of a parent: what it looked like when own_modified was set
    own_modified: int = 0  # of a parent: variations do not touch it


@dataclass(slots=True)
class Coupon:
    id: int
    code: str
    created: int
    modified: int
    date_expires: int | None
    facts: dict[str, Any]  # what else was set, as it is shown


@dataclass(slots=True)
class Refund:
    id: int
    tid: int
    created: int
    amount: int
    reason: str
    lines: list[list[int]]  # [oid, units, cents]


@dataclass
class Site:
    """One shop's installation."""

    shop: str
    name: str
    time_zone: str
    currency: str
    home_url: str = ""  # what signatures are made of; "": as the caller addressed us
    pretty_permalinks: bool = True
    behind_proxy: bool = False  # a proxy in front speaks TLS with the world: Basic counts, and OAuth signs https://
    header_stripped: bool = False  # the server in front swallows the Authorization header
    batch_limit: int = 100
    denies: bool = False  # the merchant at the consent page refuses
    plain_callbacks: bool = True  # consent may call http://, which real shops do not
    next_id: int = 1
    keys: list[Key] = field(default_factory=list)
    details: dict[str, Details] = field(default_factory=dict)
    coupons: list[Coupon] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    categories: dict[int, str] = field(default_factory=dict)
    trashed: dict[str, str] = field(default_factory=dict)  # products in the trash, and what they were before
    with_sales: list[int] = field(default_factory=list)  # products of which something has a sale of its own
    statuses: dict[str, str] = field(default_factory=dict)  # by tid, of orders whose status somebody set

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    def details_of(self, item: Item, row: Row | None = None) -> Details:
        """Of a variation, or of the product where there is no row."""
        key = str(item.num_iid if row is None or not row.sku_id else row.sku_id)
        found = self.details.get(key)
        if found is None:
            # A product with variations leaves the counting to them, unless somebody says otherwise.
            found = self.details[key] = Details(
                manage_stock=row is not None or bool(item.rows and not item.has_variants)
            )
        return found

    def new_id(self) -> int:
        self.next_id += 1
        return self.next_id

    def key_of(self, consumer_key: str) -> Key | None:
        return next((key for key in self.keys if key.consumer_key == consumer_key), None)

    def add_key(self, permissions: str, role: str = SHOP_MANAGER, description: str = "") -> Key:
        key_id = max((key.key_id for key in self.keys), default=0) + 1
        key = Key(key_id, f"ck_{secrets.token_hex(20)}", f"cs_{secrets.token_hex(20)}", permissions, role, description)
        self.keys.append(key)
        return key


class Sites:
    """Every WooCommerce shop's installation by its key. Read and change them inside `with simulation.lock`."""

    def __init__(self, world: World, seed: int) -> None:
        self._seed = seed
        self.lock = threading.RLock()
        self.version = 0
        self.approving_shop = ""
        self.by_shop: dict[str, Site] = {}
        self.reset(world)

    def reset(self, world: World) -> None:
        """The seeded shops: the same keys for the same seed."""
        rng = random.Random(self._seed ^ 0x300)
        shops = [shop for shop in world.shops.values() if shop.platform == WOOCOMMERCE]
        self.by_shop = {
            shop.key: _new_site(world, shop, zone, rng) for shop, zone in zip(shops, SEED_ZONES, strict=False)
        }
        self.approving_shop = next(iter(self.by_shop), "")
        self.version += 1

    def shift(self, seconds: int) -> None:
        """The market's clock was set back (or forth) by so much, and everything in the world with it."""
        for site in self.by_shop.values():
            for details in site.details.values():
                details.own_modified += seconds
                if details.sale is not None:
                    _shift(details.sale, ("starts_at", "ends_at"), seconds)
            for coupon in site.coupons:
                _shift(coupon, ("created", "modified", "date_expires"), seconds)
            for refund in site.refunds:
                _shift(refund, ("created",), seconds)

    def find(self, consumer_key: str) -> tuple[Site, Key] | None:
        for site in self.by_shop.values():
            key = site.key_of(consumer_key)
            if key is not None:
                return site, key
        return None

    def to_json(self) -> dict[str, Any]:
        return {"sites": list(self.by_shop.values()), "approving_shop": self.approving_shop}

    def restore(self, data: dict[str, Any]) -> None:
        """Take over what `to_json` wrote. Raises KeyError, TypeError or ValueError for anything else."""
        sites = [_site_from_json(site) for site in data["sites"]]
        self.by_shop = {site.shop: site for site in sites}
        self.approving_shop = data["approving_shop"]


def _shift(thing: object, names: tuple[str, ...], seconds: int) -> None:
    for name in names:
        value = getattr(thing, name)
        if value is not None:
            setattr(thing, name, value + seconds)


def _site_from_json(data: dict[str, Any]) -> Site:
    details = {}
    for key, facts in data["details"].items():
        sale = Sale(**facts["sale"]) if facts["sale"] is not None else None
        details[key] = Details(**{**facts, "sale": sale})
    return Site(
        **{
            **data,
            "keys": [Key(**key) for key in data["keys"]],
            "details": details,
            "coupons": [Coupon(**coupon) for coupon in data["coupons"]],
            "refunds": [Refund(**refund) for refund in data["refunds"]],
            "categories": {int(key): name for key, name in data["categories"].items()},
        }
    )


def _new_site(world: World, shop: Shop, zone: str, rng: random.Random) -> Site:
    def key(number: int, permissions: str, role: str, description: str) -> Key:
        consumer_key, consumer_secret = (f"{prefix}_{rng.getrandbits(160):040x}" for prefix in ("ck", "cs"))
        return Key(number, consumer_key, consumer_secret, permissions, role, description)

    site = Site(shop.key, shop.nick, zone, shop.currency, next_id=shop.user_id * 1_000_000_000)
    site.keys = [
        key(1, READ_WRITE, SHOP_MANAGER, "Evenshelf"),
        key(2, READ, SHOP_MANAGER, "Reporting"),
        key(3, WRITE, SHOP_MANAGER, "Till"),
        key(4, READ_WRITE, CUSTOMER, "Somebody who may not"),
    ]
    site.categories = {15: "Home", 16: "Kitchen", 17: "Outdoor"}
    items = list(world.own_items(shop.key))
    with_variations = [item for item in items if item.has_variants]
    for number, item in enumerate(items, 1):
        _set_up(site, number, item, counts_for_all=item in with_variations[1:2])
    site.coupons = list(_seeded_coupons(site, world, shop))
    return site


def _set_up(site: Site, number: int, item: Item, *, counts_for_all: bool) -> None:
    """Shops grew over years: some products count no stock, and one counts it for all of its variations."""
    details = site.details_of(item)
    details.categories = [15 + number % 3]
    details.manage_stock = not item.has_variants
    if number % 9 == 5:
        details.manage_stock = False
        for row in item.rows:
            site.details_of(item, row).manage_stock = False
    elif counts_for_all:
        details.manage_stock = True
        for row in item.rows:
            site.details_of(item, row).manage_stock = False


def _seeded_coupons(site: Site, world: World, shop: Shop) -> Iterable[Coupon]:
    for known in world.shop_coupons:
        if known.shop != shop.key or not known.code:
            continue
        facts: dict[str, Any] = {
            "discount_type": "percent" if known.percent else "fixed_cart",
            "amount": f"{known.percent}.00" if known.percent else amount(known.face, shop.decimals),
            "minimum_amount": amount(known.minimum, shop.decimals),
            "product_ids": [*known.num_iids, *known.sku_ids],
        }
        yield Coupon(site.new_id(), known.code.lower(), known.created, known.created, known.ends_at, facts)
