"""What a promotion would do, before it is saved: to prices and margins of listings, and to the stock behind them."""

import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from django.db.models import F, Min, Sum
from django.db.models.functions import NullIf, TruncDate
from django.utils import timezone

from catalog.costs import ListingCosts, costs_of, next_changes
from catalog.database import among
from catalog.models import BundleComponent, Listing, Promotion, StockLevel, StockMovement
from catalog.pricing.model import Kind, Status
from catalog.pricing.reasons import NotUsed
from catalog.promotions.prices import LOOKED_AHEAD, Price, price_of
from catalog.promotions.requests import Shop, edges, engine_promotion, shops_of
from catalog.promotions.services import touched_listings
from catalog.promotions.words import Words
from catalog.purchasing.on_the_way import Arrival, arrivals
from monitoring.promotion_effects import Band, Day, Pace, bands, pace, sold_out_after

MOST_LISTINGS = 300  # that are worked out within one page
MOST_MOMENTS = 20  # later ones, at which other promotions, fees or costs begin or end
SECONDS = 3.0  # for all of that: a shop may have thousands of promotions
PACE_DAYS = 28
_FAR_DAYS = Decimal(3650)
_A_DAY = timedelta(days=1)
_RATES = (Kind.PERCENT_OFF, Kind.NTH_PIECE)


@dataclass(frozen=True, slots=True)
class Effect:
    """On one listing whose price it changes: of so many units as it takes."""

    listing: Listing
    before: int | None
    price: Price
    was_loss: bool  # below break-even without it already
    first_loss_at: datetime | None  # the first minute at which it sells below break-even with it; None: it never does

    @property
    def after(self) -> int | None:
        return self.price.goods

    @property
    def margin(self) -> int | None:
        return None if self.price.margin is None else self.price.margin.left


@dataclass(frozen=True, slots=True)
class Selling:
    """When the last unit of a SKU is sold, with what is on its way.

    `available` None: nobody counted it; `sold_out_at` None: see `pace`.
    """

    sku_id: int
    code: str
    available: int | None
    pace: Pace
    sold_out_at: datetime | None = None
    too_late: Arrival | None = None  # the first that comes once nothing is left


@dataclass(slots=True)
class Preflight:
    """Of a promotion that is not saved. `touched` listings may be its goods, of which `looked_at` were worked out."""

    promotion: Promotion
    at: datetime
    quantity: int
    is_over: bool = False
    touched: int = 0
    looked_at: int = 0
    effects: list[Effect] = field(default_factory=list)  # the worst margin first, those not known last
    later_losses: list[Effect] = field(default_factory=list)  # on listings whose price it changes later only
    not_used: Counter[str] = field(default_factory=Counter)  # why it changes nothing, in a sentence
    no_price: Counter[str] = field(default_factory=Counter)  # why there is no price, in a sentence
    no_margin: Counter[tuple[str, ...]] = field(default_factory=Counter)  # the parts that are not known
    floor: int | None = None
    bands: list[Band] = field(default_factory=list)
    ahead_until: datetime | None = None  # losses were looked for until then; None: as far as anything is scheduled
    selling: list[Selling] = field(default_factory=list)  # the soonest first, those that cannot be told last
    sku_ids: set[int] = field(default_factory=set)  # what is sold with it, bundles taken apart

    @property
    def losses(self) -> list[Effect]:
        return [effect for effect in (*self.effects, *self.later_losses) if effect.first_loss_at is not None]

    @property
    def first_loss_at(self) -> datetime | None:
        return min((effect.first_loss_at for effect in self.losses if effect.first_loss_at), default=None)


def preflight(
    promotion: Promotion, *, uplift: Decimal, now: datetime, with_stock: bool = True, seconds: float = SECONDS
) -> Preflight:
    """What this promotion, valid and not stored as it is here, changes, at its start or now where that is over.

    "Before" is without it, also where it is stored already. No more than MOST_LISTINGS are worked out, and no more than
    there is time for: those whose margin was the thinnest when it was worked out last, since a loss would be among
    them. Asked for buyers whom it is for, and for as few pieces as it takes. The number of statements does not hang on
    the number of listings.
    """
    ends = time.monotonic() + seconds
    at = max(now, promotion.start) if promotion.start else now
    found = Preflight(promotion, at, _pieces(promotion))
    if promotion.end is not None and promotion.end <= now:
        found.is_over = True
        return found
    ids = touched_listings([promotion])
    found.touched = len(ids)
    listings = _thinnest(ids, promotion)
    shop = shops_of([promotion.channel], at=now)[promotion.channel_id]
    found.floor = shop.pricing.margin_floor
    named = _named(promotion)
    asked = _Asked(named, _with(shop, None, promotion), _with(shop, named, promotion), found.quantity)
    _at_start(found, asked, listings, ends)
    _look_ahead(found, asked, listings[: found.looked_at], ends)
    found.effects.sort(key=lambda effect: (effect.margin is None, effect.margin or 0, effect.listing.pk))
    known = [(each.margin, each.price.received) for each in found.effects]
    found.bands = bands([(left, got) for left, got in known if left is not None and got is not None], found.floor)
    if with_stock and found.effects:
        _sell_out(found, uplift=uplift, now=now)
    return found


def losing_listings(promotion: Promotion, *, now: datetime) -> Preflight:
    """The same, as far as it tells what would be sold below break-even."""
    return preflight(promotion, uplift=Decimal(1), now=now, with_stock=False)


def _pieces(promotion: Promotion) -> int:
    """The fewest pieces of one listing that it can be used for, as far as it counts pieces."""
    least = promotion.min_qty or 1
    if promotion.kind in (Kind.NTH_PIECE, Kind.BUNDLE_PRICE):
        least = max(least, promotion.of or 1)
    if promotion.measure == Promotion.Measure.QUANTITY and promotion.tiers:
        least = max(least, promotion.tiers[0][0])
    return least


def _thinnest(ids: Collection[int], promotion: Promotion) -> list[Listing]:
    """By what was left at the last quote: of an amount what a unit leaves, of a rate its share of what comes in."""
    left = F("price__quote__margin")
    rank = left * Decimal(1) / NullIf(F("price__quote__receipts"), 0) if promotion.kind in _RATES else left
    rows = Listing.objects.filter(pk__in=among(sorted(ids))).select_related("channel", "sku")
    return list(rows.order_by(rank.asc(nulls_last=True), "pk")[:MOST_LISTINGS])


def _named(promotion: Promotion) -> Promotion:
    """A copy that is called as it will be: of equals the order of names decides."""
    named = Promotion(**{each.attname: getattr(promotion, each.attname) for each in Promotion._meta.concrete_fields})
    if not named.pk:
        last = Promotion.objects.order_by("-pk").values_list("pk", flat=True).first()
        named.pk = (last or 0) + 1
    return named


def _with(shop: Shop, promotion: Promotion | None, instead_of: Promotion) -> Shop:
    """The shop with this promotion, or without any, in place of the stored one."""
    own = instead_of.engine_id if instead_of.pk else None
    promotions = [each for each in shop.promotions if each.id != own]
    names, fees = dict(shop.names), dict(shop.fees)
    if promotion is not None:
        promotions.append(engine_promotion(promotion))
        names[promotion.engine_id] = promotion.name
        fees[promotion.engine_id] = promotion.fee_rate, promotion.fee_fixed
    return Shop(shop.channel, shop.pricing, promotions, names, fees)


@dataclass(frozen=True, slots=True)
class _Asked:
    """The question, which is the same for every listing and moment."""

    promotion: Promotion
    without: Shop
    with_it: Shop
    quantity: int

    def price(self, shop: Shop, listing: Listing, costs: ListingCosts, at: datetime) -> Price:
        buyer = frozenset(self.promotion.audience or ())
        return price_of(listing, shop, costs, at=at, quantity=self.quantity, buyer=buyer)

    def is_used(self, price: Price) -> bool:
        return any(step.id == self.promotion.engine_id for step in price.quote.steps)


def _at_start(found: Preflight, asked: _Asked, listings: Sequence[Listing], ends: float) -> None:
    """Fills in what it changes when it begins, and why it does not; of one listing at least, and until `ends`."""
    costs = costs_of(listings, at=found.at)
    for listing in listings:
        if found.looked_at and time.monotonic() > ends:
            break
        found.looked_at += 1
        after = asked.price(asked.with_it, listing, costs[listing.pk], found.at)
        words = Words(after.request, asked.with_it.names)
        if after.quote.status is not Status.OK:
            found.no_price[words.no_price(after.quote)] += 1
            continue
        # One that nobody claims changes no plan; one that applies by itself may, by what it excludes.
        is_idle = not asked.is_used(after) and not asked.promotion.auto
        before = after if is_idle else asked.price(asked.without, listing, costs[listing.pk], found.at)
        if not asked.is_used(after) and before.goods == after.goods:
            reason = after.quote.not_used.get(asked.promotion.engine_id)
            if reason is not None and reason != NotUsed.OUT_OF_SCOPE:
                found.not_used[words.not_used(asked.promotion.engine_id, reason)] += 1
            continue
        if after.margin is None:
            found.no_margin[after.costs.unknown] += 1
        first_loss_at = found.at if after.is_below_break_even else None
        effect = Effect(listing, before.goods, after, bool(before.is_below_break_even), first_loss_at)
        found.effects.append(effect)


def _look_ahead(found: Preflight, asked: _Asked, listings: Sequence[Listing], ends: float) -> None:
    """Adds when what begins above break-even falls below it, as other promotions, fees or costs begin or end.

    No further than there is time for.
    """
    until = min(filter(None, (asked.promotion.end, found.at + LOOKED_AHEAD)))
    places = {effect.listing.pk: place for place, effect in enumerate(found.effects)}
    waiting: dict[datetime, list[Listing]] = defaultdict(list)
    changes = next_changes(listings, after=found.at)
    for listing in listings:
        if listing.pk in places and found.effects[places[listing.pk]].first_loss_at is not None:
            continue
        moments = set(edges(asked.with_it.for_listing(listing), found.at, until))
        if listing.pk in changes and changes[listing.pk] < until:
            moments.add(changes[listing.pk])
        for moment in moments:
            waiting[moment].append(listing)
    fallen = set[int]()
    for number, (moment, those) in enumerate(sorted(waiting.items(), key=lambda each: each[0])):
        those = [listing for listing in those if listing.pk not in fallen]
        costs = costs_of(those, at=moment)
        for listing in those:
            if number == MOST_MOMENTS or time.monotonic() > ends:
                found.ahead_until = moment
                return
            price = asked.price(asked.with_it, listing, costs[listing.pk], moment)
            if not price.is_below_break_even or not asked.is_used(price):
                continue
            fallen.add(listing.pk)
            place = places.get(listing.pk)
            if place is not None:
                found.effects[place] = replace(found.effects[place], first_loss_at=moment)
            else:
                before = asked.price(asked.without, listing, costs[listing.pk], moment)
                effect = Effect(listing, before.goods, price, bool(before.is_below_break_even), moment)
                found.later_losses.append(effect)


# --- The stock behind it ---------------------------------------------------------------------------------------------


def _sell_out(found: Preflight, *, uplift: Decimal, now: datetime) -> None:
    """When the stock of each SKU that is sold with it is gone; a bundle's parts are what runs out."""
    of_listings = {effect.listing.sku_id for effect in found.effects if effect.listing.sku_id is not None}
    parts: dict[int, set[int]] = defaultdict(set)
    rows = BundleComponent.objects.filter(bundle__in=among(sorted(of_listings)))
    for bundle, component in rows.values_list("bundle", "component"):
        parts[bundle].add(component)
    found.sku_ids = {part for sku in of_listings for part in parts.get(sku, {sku})}
    available: dict[int, int] = {}
    codes: dict[int, str] = {}
    levels = StockLevel.objects.filter(sku__in=among(sorted(found.sku_ids)), is_counted=True, warehouse__is_active=True)
    for sku, code, units in levels.order_by().values_list("sku", "sku__code", "available"):
        available[sku] = available.get(sku, 0) + units
        codes[sku] = code
    begins_after = _days_until(found.at, now)
    paces = paces_of(available, now=now)
    coming: dict[int, list[Arrival]] = defaultdict(list)
    for each in arrivals(available, now=now):
        if each.due_at is not None and each.due_at > now:
            coming[each.sku_id].append(each)
    for sku, units in available.items():
        per_day = paces[sku].per_day
        dated = [(_days_until(each.due_at, now), each.units) for each in coming[sku] if each.due_at is not None]
        after = (
            None
            if per_day is None
            else sold_out_after(units, per_day, uplift=uplift, begins_after=begins_after, arrivals=dated)
        )
        at = None if after is None else now + timedelta(seconds=int(min(after, _FAR_DAYS) * 86_400))
        late = (each for each in coming[sku] if at is not None and each.due_at is not None and each.due_at > at)
        found.selling.append(Selling(sku, codes[sku], units, paces[sku], at, next(late, None)))
    uncounted = found.sku_ids - available.keys()
    found.selling += [Selling(sku, "", None, Pace(0, 0)) for sku in sorted(uncounted)]
    latest = datetime.max.replace(tzinfo=UTC)
    found.selling.sort(key=lambda each: (each.sold_out_at or latest, each.sku_id))


def _days_until(moment: datetime, now: datetime) -> Decimal:
    return Decimal((moment - now) // timedelta(seconds=1)) / 86_400


def paces_of(available: Mapping[int, int], *, now: datetime) -> dict[int, Pace]:
    """Units sold a day over the last PACE_DAYS whole days of the site, by SKU; `available` is what there is now.

    Days before a SKU was first counted are left out, since nobody knows what there was, and so are those without
    stock. In three statements.
    """
    today = timezone.localtime(now).date()
    first = today - timedelta(days=PACE_DAYS)
    since = timezone.make_aware(datetime.combine(first, datetime.min.time()))
    skus = among(sorted(available))
    movements = StockMovement.objects.filter(sku__in=skus, warehouse__is_active=True).order_by()
    counted = movements.filter(kind__in=StockMovement.COUNTING)
    known_from = dict(counted.values_list("sku").annotate(first=Min("created_at")))
    sales = movements.filter(kind=StockMovement.Kind.SALE, happened_at__gte=since)
    sold = _by_day(sales.annotate(day=TruncDate("happened_at")).values_list("sku", "day").annotate(Sum("quantity")))
    booked = movements.filter(created_at__gte=since).annotate(day=TruncDate("created_at"))
    changes: Counter[tuple[int, date]] = Counter()
    for sku, day, kind, units in booked.values_list("sku", "day", "kind").annotate(Sum("quantity")):
        changes[sku, day] += -units if kind in StockMovement.RESERVING else units
    found: dict[int, Pace] = {}
    for sku, units in available.items():
        begins = known_from.get(sku)
        start = today if begins is None else max(first, timezone.localtime(begins).date() + _A_DAY)
        days = [start + timedelta(days=number) for number in range((today - start).days)]
        shown = [Day(-sold[sku, day], changes[sku, day]) for day in days]
        found[sku] = pace(shown, units - changes[sku, today])
    return found


def _by_day(rows: Iterable[tuple[int, date, int]]) -> Counter[tuple[int, date]]:
    return Counter({(sku, day): units for sku, day, units in rows})
