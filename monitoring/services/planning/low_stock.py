"""Where cover is short: what sells a SKU that runs out before anything new can arrive is to be slowed down.

Of each such place at most one promotion and one cap are proposed: those that matter most. A person decides.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import orjson
from django.db import connection
from django.db.models import Case, F, Q, Sum, Value, When

from catalog.database import among, driver_rows
from catalog.models import ChannelLocation, Listing, Promotion, StockMovement, StockRule, Warehouse
from catalog.pricing.currencies import exponent
from catalog.purchasing.on_the_way import arrivals
from monitoring.low_stock import RUNS_OUT
from monitoring.models import Advice, ListingPrice, SkuPlan
from monitoring.planning.advice_text import Reason, ShortSum
from monitoring.services.planning.demand import site_zone
from monitoring.services.planning.rates import Rates, rates_at
from monitoring.services.planning.saving import store_advice

Kind, State = Advice.Kind, Advice.State
Place = tuple[int, int]  # SKU, warehouse

SOLD_DAYS = 28  # that say what a channel sells
LEAST_SOLD = 0.25  # of what is expected of as many days: less says nothing about who will sell it
MOST_GOODS = 20  # a promotion that names more, or all, is not ended for the sake of one SKU
_SKUS_AT_ONCE = 5_000
_RESTS = timedelta(days=1)  # what somebody promised to end on its platform is not asked for again
_MOST_PROMOTIONS = 20_000  # the newest ones
_FIELDS = (
    *("channel", "promotion", "quantity", "by", "sum", "stock_out_on", "probability", "money_at_stake", "currency"),
    *("rank", "changed_at"),
)


class _Plan(NamedTuple):
    """What the last plan says of a place, as the driver gives it."""

    sku_id: int
    warehouse_id: int
    is_short: bool
    on_hand: int | None
    reserved: int | None
    per_day: float | None
    lead_time_days: float | None
    protection_days: int | None
    expected: float | None
    expected_high: float | None
    cover_days: float | None
    stock_out_on: Any
    stock_out_probability: float | None
    money_at_stake: Any
    currency: str


@dataclass(frozen=True, slots=True)
class _Short:
    """A place that runs out, in units and days."""

    plan: _Plan
    available: int
    coming: int  # that arrives before what is ordered now could
    lead_days: float
    per_day: float
    rank: int


class _Proposal(NamedTuple):
    place: _Short
    kind: Advice.Kind
    channel_id: int
    promotion_id: int | None
    quantity: int
    sum: ShortSum

    @property
    def subject(self) -> str:
        return f"{self.kind}:{self.promotion_id or self.channel_id}"

    @property
    def weight(self) -> tuple[int, int]:
        """Of the same subject in two warehouses, the one that sells more of it there counts."""
        return self.sum.sold or 0, -self.place.plan.warehouse_id


@dataclass(slots=True)
class _World:
    """What is known of the short SKUs of one part."""

    sold: dict[Place, dict[int | None, int]]  # by channel; None: nobody said which
    feeding: dict[int, Sequence[int]]  # warehouses of each channel
    listings: dict[int, dict[int, list["_Listing"]]]  # by SKU and channel
    has_enough: set[Place]  # other places, which do not run out
    used: dict[tuple[int, int], dict[int, int]]  # SKU, channel -> promotion -> discount


@dataclass(frozen=True, slots=True)
class _Running:
    """Promotions that run and name few goods."""

    by_engine_id: dict[tuple[int, str], int]  # channel and what the engine calls it -> key
    goods: set[tuple[int, str, str]]  # channel, "item" or "sku", the platform's id


@dataclass(frozen=True, slots=True)
class _Listing:
    pk: int
    item_id: str
    sku_id: str
    margin: float | None  # of a unit, in the currency of the SKU's cost
    cap: int | None  # that holds
    is_paused: bool


def propose_limits(sku_ids: Collection[int] | None = None, *, now: datetime) -> tuple[int, int]:
    """Advise what to limit of these SKUs, or of all, by their last plans; returns how many are advised, and how many
    are not needed any more. In a number of statements that stays the same for every 5,000 SKUs that are short."""
    short = SkuPlan.objects.filter(RUNS_OUT, on_hand__gt=F("reserved"), per_day__gt=0).order_by()
    if sku_ids is not None:
        short = short.filter(sku__in=among(sorted(sku_ids)))
    skus = sorted(set(short.values_list("sku", flat=True)))
    found: list[_Proposal] = []
    if skus:
        rates, running = rates_at(now), _running(now)
        for start in range(0, len(skus), _SKUS_AT_ONCE):
            found += _proposals(skus[start : start + _SKUS_AT_ONCE], rates, running, now)
    return store_advice(
        _rows(found, now), _FIELDS, kinds=(Kind.LIMIT_PROMOTION, Kind.LOWER_CAP), sku_ids=sku_ids, now=now
    )


def _rows(found: Sequence[_Proposal], now: datetime) -> Iterator[tuple[int, int, str, str, tuple[Any, ...]]]:
    """As the driver takes them."""
    today = connection.ops.adapt_datefield_value(now.astimezone(site_zone()).date())
    changed_at = connection.ops.adapt_datetimefield_value(now)
    for each in found:
        plan = each.place.plan
        yield (
            plan.sku_id,
            plan.warehouse_id,
            str(each.kind),
            each.subject,
            (
                each.channel_id,
                each.promotion_id,
                each.quantity,
                today,
                orjson.dumps(each.sum).decode(),
                plan.stock_out_on,
                plan.stock_out_probability,
                plan.money_at_stake,
                plan.currency,
                each.place.rank,
                changed_at,
            ),
        )


def _proposals(sku_ids: Sequence[int], rates: Rates, running: _Running, now: datetime) -> list[_Proposal]:
    of_skus = Q(sku__in=among(sku_ids))
    listings, channels = _listings(of_skus, rates)
    if not listings:
        return []
    plans = _plans(of_skus)
    places = _places(plans, sku_ids, now)
    has_enough = {
        place
        for place, plan in plans.items()
        if place not in places and plan.on_hand is not None and plan.on_hand > (plan.reserved or 0)
    }
    used = _used(listings, running)
    world = _World(_sold(of_skus, now), _feeding(channels), listings, has_enough, used)
    promised = _promised(of_skus, now)
    best: dict[tuple[int, str], _Proposal] = {}
    for place in places.values():
        for proposal in (_promotion(place, world, promised), _cap(place, world)):
            if proposal is None:
                continue
            key = place.plan.sku_id, proposal.subject
            if key not in best or proposal.weight > best[key].weight:
                best[key] = proposal
    return list(best.values())


# --- What is known --------------------------------------------------------------------------------------------------


def _plans(of_skus: Q) -> dict[Place, _Plan]:
    is_short = Case(When(RUNS_OUT, then=Value(1)), default=Value(0))
    rows = SkuPlan.objects.filter(of_skus).annotate(is_short=is_short).order_by("sku", "warehouse")
    columns = ("sku", "warehouse", *_Plan._fields[2:])
    return {(row[0], row[1]): _Plan(*row) for row in driver_rows(rows, columns)}


def _places(plans: Mapping[Place, _Plan], sku_ids: Sequence[int], now: datetime) -> dict[Place, _Short]:
    """Those that run out, unless a transfer that is advised brings what is missing."""
    today = now.astimezone(site_zone()).date()
    coming: dict[Place, int] = defaultdict(int)
    for each in arrivals(sku_ids, now=now):
        plan = plans.get((each.sku_id, each.warehouse_id))
        if plan is None or plan.lead_time_days is None or each.is_overdue or each.due_at is None:
            continue
        if (each.due_at.astimezone(site_zone()).date() - today).days <= plan.lead_time_days:
            coming[each.sku_id, each.warehouse_id] += each.units
    ranks: dict[Place, int] = {}
    moved: dict[Place, int] = defaultdict(int)
    advised = Advice.objects.filter(
        sku__in=among(sku_ids), state__in=Advice.UNDECIDED, kind__in=(Kind.BUY, Kind.TRANSFER)
    ).order_by()
    for sku, warehouse, kind, units, rank in driver_rows(advised, ("sku", "warehouse", "kind", "quantity", "rank")):
        ranks[sku, warehouse] = min(rank, ranks.get((sku, warehouse), rank))
        if kind == Kind.TRANSFER:
            moved[sku, warehouse] += units
    last = max(ranks.values(), default=-1) + 1
    found = {}
    for place, plan in plans.items():
        available = (plan.on_hand or 0) - (plan.reserved or 0)
        if not plan.is_short or available <= 0 or not plan.per_day or plan.lead_time_days is None:
            continue
        # Transfers come first.
        if moved[place] and available + coming[place] + moved[place] >= _needed(plan):
            continue
        found[place] = _Short(
            plan,
            available,
            coming[place],
            plan.lead_time_days,
            plan.per_day,
            ranks.get(place, last),
        )
    return found


def _needed(plan: _Plan) -> float:
    """Units with which it runs out before a new delivery no likelier than the service target allows.

    What the plan expects of its protection period, for the lead time: the mean in proportion, and with the root what
    the quantile has above it, as its probability is worked out.
    """
    if plan.expected is None or not plan.protection_days or plan.lead_time_days is None:
        return math.inf
    share = plan.lead_time_days / plan.protection_days
    held = max((plan.expected_high or plan.expected) - plan.expected, 0)
    return plan.expected * share + held * math.sqrt(share)


def _listings(of_skus: Q, rates: Rates) -> tuple[dict[int, dict[int, list[_Listing]]], set[int]]:
    """Our own current ones with their margins and caps, and their channels."""
    own = Listing.objects.current().filter(of_skus, ownership=Listing.Ownership.OWN).order_by("pk")
    rows = driver_rows(
        own,
        (
            *("pk", "sku", "channel", "platform_item_id", "platform_sku_id", "pack_factor"),
            *("channel__currency", "sku__cost_currency", "price__quote__margin", "price__quote__currency"),
        ),
    )
    channels = {row[2] for row in rows}
    rules: dict[tuple[str, int], tuple[int | None, bool | None]] = {}
    stored = StockRule.objects.filter(Q(channel__in=channels) | Q(listing__in=own.values("pk")))
    for channel, listing, cap, is_paused in stored.values_list("channel", "listing", "cap", "is_paused"):
        key = ("listing", listing) if channel is None else ("channel", channel)
        rules[key] = cap, is_paused
    found: dict[int, dict[int, list[_Listing]]] = defaultdict(lambda: defaultdict(list))
    for pk, sku, channel, item_id, sku_id, pack, currency, cost_currency, margin, quoted_in in rows:
        rate = rates.between(cost_currency, currency)
        earns = None
        if margin is not None and quoted_in == currency and rate is not None:
            earns = margin / 10 ** exponent(currency) / pack / rate
        general = rules.get(("channel", channel), (None, None))
        own_cap, own_pause = rules.get(("listing", pk), (None, None))
        cap = general[0] if own_cap is None else own_cap
        is_paused = general[1] if own_pause is None else own_pause
        found[sku][channel].append(_Listing(pk, item_id, sku_id, earns, cap, bool(is_paused)))
    return found, channels


def _sold(of_skus: Q, now: datetime) -> dict[Place, dict[int | None, int]]:
    """Units that each channel took from each place lately: sold, or promised and not given back."""
    kinds = (StockMovement.Kind.SALE, *StockMovement.RESERVING)
    booked = StockMovement.objects.filter(of_skus, kind__in=kinds, happened_at__gt=now - timedelta(days=SOLD_DAYS))
    units = Sum(Case(When(kind__in=StockMovement.RESERVING, then=F("quantity")), default=-F("quantity")))
    rows = booked.order_by().values("sku", "warehouse", "channel").annotate(units=units)
    found: dict[Place, dict[int | None, int]] = defaultdict(dict)
    for sku, warehouse, channel, taken in driver_rows(rows, ("sku", "warehouse", "channel", "units")):
        if taken > 0:
            found[sku, warehouse][channel] = taken
    return found


def _feeding(channels: Collection[int]) -> dict[int, Sequence[int]]:
    """The warehouses that each channel sells from; those of a channel without any are all that are active."""
    chosen: dict[int, list[int]] = defaultdict(list)
    rows = ChannelLocation.objects.filter(channel__in=channels)
    for channel, warehouse in rows.values_list("channel", "warehouse"):
        chosen[channel].append(warehouse)
    active = list(Warehouse.objects.filter(is_active=True).values_list("pk", flat=True))
    return {channel: chosen.get(channel, active) for channel in channels}


def _running(now: datetime) -> _Running:
    running = Promotion.objects.filter(
        Q(start__isnull=True) | Q(start__lte=now),
        Q(end__isnull=True) | Q(end__gt=now),
        Q(remaining__isnull=True) | Q(remaining__gt=0),
        status=Promotion.State.ACTIVE,
        scope__isnull=False,
    ).order_by("-pk")
    found = _Running({}, set())
    for promotion in running.only("channel_id", "platform_id", "scope")[:_MOST_PROMOTIONS]:
        goods = [
            *(("item", str(name)) for name in promotion.scope_of("items")),
            *(("sku", str(name)) for name in promotion.scope_of("skus")),
        ]
        is_wide = promotion.scope_of("categories") or promotion.scope_of("shops")
        if not is_wide and 0 < len(goods) <= MOST_GOODS:
            found.by_engine_id[promotion.channel_id, promotion.engine_id] = promotion.pk
            found.goods.update((promotion.channel_id, what, name) for what, name in goods)
    return found


def _used(
    by_sku: Mapping[int, Mapping[int, Sequence[_Listing]]], running: _Running
) -> dict[tuple[int, int], dict[int, int]]:
    """Of the running ones, those that the last prices of these listings use."""
    asked = {
        each.pk: (sku, channel)
        for sku, by_channel in by_sku.items()
        for channel, listings in by_channel.items()
        for each in listings
        if (channel, "item", each.item_id) in running.goods or (channel, "sku", each.sku_id) in running.goods
    }
    found: dict[tuple[int, int], dict[int, int]] = {}
    quoted = ListingPrice.objects.filter(listing__in=among(sorted(asked)), quote__status="ok")
    for listing, answer in quoted.values_list("listing", "quote__answer"):
        sku, channel = asked[listing]
        for used in answer.get("used", ()):
            if (promotion := running.by_engine_id.get((channel, used["id"]))) is not None:
                of_place = found.setdefault((sku, channel), {})
                of_place[promotion] = max(used["discount"], of_place.get(promotion, 0))
    return found


def _promised(of_skus: Q, now: datetime) -> set[tuple[int, int]]:
    """SKU and promotion that somebody has said lately they end on the platform."""
    decided = Advice.objects.filter(
        of_skus,
        kind=Kind.LIMIT_PROMOTION,
        state__in=(State.ACCEPTED, State.CHANGED),
        decided_at__gt=now - _RESTS,
        promotion__isnull=False,
    )
    return set(decided.values_list("sku", "promotion"))


# --- What is proposed -----------------------------------------------------------------------------------------------


def _channels(place: _Short, world: _World) -> Iterator[tuple[int, list[_Listing]]]:
    """Channels that sell it from here, and from no other place that has enough."""
    sku, warehouse = place.plan.sku_id, place.plan.warehouse_id
    for channel, listings in world.listings.get(sku, {}).items():
        feeding = world.feeding[channel]
        elsewhere = any((sku, other) in world.has_enough for other in feeding if other != warehouse)
        if warehouse in feeding and not elsewhere:
            yield channel, listings


def _promotion(place: _Short, world: _World, promised: Container[tuple[int, int]]) -> _Proposal | None:
    """The promotion on the channel that sells most of it; of several there, the one that takes off most."""
    sku = place.plan.sku_id
    sold = world.sold.get((sku, place.plan.warehouse_id), {})
    choices = [
        (sold.get(channel, -1), discount, -promotion, channel)
        for channel, _listings in _channels(place, world)
        for promotion, discount in world.used.get((sku, channel), {}).items()
        if (sku, promotion) not in promised
    ]
    if not choices:
        return None
    taken, _discount, negative, channel = max(choices)
    told = _told(place, sold=None if taken < 0 else taken)
    return _Proposal(place, Kind.LIMIT_PROMOTION, channel, -negative, 0, told)


def _cap(place: _Short, world: _World) -> _Proposal | None:
    """Leave the other channels what they need until something new arrives: where a unit earns least, if that is known
    of all that sell it, and else where most is sold."""
    sold = world.sold.get((place.plan.sku_id, place.plan.warehouse_id), {})
    selling = {channel: listings for channel, listings in _channels(place, world) if sold.get(channel)}
    if not selling:
        return None
    margins = {channel: _margin(listings) for channel, listings in selling.items()}
    named = [channel for channel in sold if channel is not None]
    known = [margin for margin in margins.values() if margin is not None]
    earns_least = len(known) == len(named) and len(set(known)) > 1
    chosen = (
        min(selling, key=lambda channel: (margins[channel] or 0, -sold[channel], channel))
        if earns_least
        else max(selling, key=lambda channel: (sold[channel], -channel))
    )
    total = sum(sold.values())
    if total < LEAST_SOLD * place.per_day * SOLD_DAYS:
        return None
    others = math.ceil(place.per_day * place.lead_days * (total - sold[chosen]) / total - 1e-9)
    if not others:
        return None
    left = max(place.available + place.coming - others, 0)
    open_ones = [each for each in selling[chosen] if not each.is_paused]
    if left >= place.available or all(each.cap is not None and each.cap <= left for each in open_ones):
        return None
    reason = Reason.EARNS_LEAST if earns_least else Reason.SELLS_MOST
    told = _told(place, sold=sold[chosen], others=others, reason=reason)
    return _Proposal(place, Kind.LOWER_CAP, chosen, None, left, told)


def _margin(listings: Sequence[_Listing]) -> float | None:
    """Of a unit on a channel, on average; None where one of its listings does not tell."""
    known = [each.margin for each in listings if each.margin is not None]
    return sum(known) / len(known) if known and len(known) == len(listings) else None


def _told(place: _Short, *, sold: int | None, others: int | None = None, reason: Reason | None = None) -> ShortSum:
    return ShortSum(
        available=place.available,
        coming=place.coming,
        cover_days=place.plan.cover_days,
        lead_days=place.lead_days,
        sold=sold,
        sold_days=SOLD_DAYS,
        others=others,
        reason=reason,
    )
