"""What a unit of each listing costs to sell at a moment, for many listings at once."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Q

from catalog.database import among
from catalog.models import BundleComponent, Channel, ChannelFees, ExchangeRate, Listing, Sku, SkuCost
from catalog.models.listing import ListingQuerySet
from catalog.pricing.breakeven import Costs, rate_between
from catalog.pricing.currencies import exponent

# Rates are not published on every day; one that is older says nothing about today.
OLDEST_RATE = timedelta(days=7)
_A_DAY = timedelta(days=1)
_LOOKED_BACK = timedelta(days=7)  # for costs that have begun: longer than nobody worked prices out
_COST_PLACES = 4  # decimal places that costs are kept with, whatever their currency has


@dataclass(frozen=True, slots=True)
class RateUsed:
    """The exchange rate behind a cost: units of the sale currency for one of the cost currency."""

    rate: Decimal
    day: date
    source: str


@dataclass(frozen=True, slots=True)
class ListingCosts:
    """Of one unit of a listing; `rate` is None where the currencies are the same, or none is known."""

    costs: Costs
    cost_currency: str
    rate: RateUsed | None


@dataclass(frozen=True, slots=True)
class _Cost:
    amount: Decimal | None
    currency: str


def costs_of(listings: Sequence[Listing], *, at: datetime, known_at: datetime | None = None) -> dict[int, ListingCosts]:
    """By listing, as valid at `at`, in constant statements. What is not known is None in it, never 0.

    Listings need `channel`. A listing of several units costs as many times; a bundle without a cost of its own costs
    what its components do. For a time ahead, of which nobody knows the exchange rates, those of `known_at` count.
    """
    rated_at = at if known_at is None else min(at, known_at)
    units = _unit_costs({listing.sku_id for listing in listings if listing.sku_id is not None}, at)
    fees = fees_at({listing.channel_id for listing in listings}, at=at)
    currencies = {
        (units[listing.sku_id].currency, listing.channel.currency) for listing in listings if listing.sku_id in units
    }
    pairs = {(cost, sale) for cost, sale in currencies if cost != sale}
    rates = _Rates(pairs, rated_at.date() + _A_DAY)  # no zone is further ahead
    return {
        listing.pk: _costs(listing, units.get(listing.sku_id or 0), fees.get(listing.channel_id), rates, rated_at)
        for listing in listings
    }


def keep_in_step(*, now: datetime, sku_ids: Collection[int] | None = None) -> list[int]:
    """Have each SKU (or these) say the cost that is valid now, once one that was stored ahead has begun. Returns which
    did not."""
    if sku_ids is None:
        begun = SkuCost.objects.filter(valid_from__lte=now, valid_from__gt=now - _LOOKED_BACK)
        sku_ids = sorted(set(begun.values_list("sku", flat=True)))
    with transaction.atomic():
        skus = Sku.objects.filter(pk__in=among(sorted(sku_ids))).select_for_update().in_bulk()
        valid = SkuCost.objects.filter(sku__in=among(sorted(skus)), valid_from__lte=now).order_by("sku", "valid_from")
        changed = []
        for pk, row in {row.sku_id: row for row in valid}.items():
            sku = skus[pk]
            if (sku.cost_price, sku.cost_currency) != (row.amount, row.currency):
                sku.cost_price, sku.cost_currency, sku.updated_at = row.amount, row.currency, now
                changed.append(sku)
        Sku.objects.bulk_update(changed, ["cost_price", "cost_currency", "updated_at"], batch_size=200)
    return sorted(sku.pk for sku in changed)


def sold_with(sku_ids: Collection[int]) -> ListingQuerySet:
    """The listings whose sale costs what one of these SKUs does, bundles among them."""
    bundles = BundleComponent.objects.filter(component__in=sku_ids).values("bundle")
    return Listing.objects.filter(Q(sku__in=sku_ids) | Q(sku__in=bundles))


def fees_at(channel_ids: Iterable[int], *, at: datetime) -> dict[int, ChannelFees]:
    """By channel, those valid at `at`; a channel without any is left out."""
    rows = ChannelFees.objects.filter(channel__in=list(channel_ids), valid_from__lte=at)
    return {row.channel_id: row for row in rows.order_by("channel", "valid_from")}


def _unit_costs(sku_ids: set[int], at: datetime) -> dict[int, _Cost]:
    """By SKU, of one unit; a SKU of which nothing was ever said is left out."""
    components: dict[int, list[tuple[int, int]]] = {}
    rows = BundleComponent.objects.filter(bundle__in=among(sorted(sku_ids)))
    for bundle, component, units in rows.values_list("bundle", "component", "units"):
        components.setdefault(bundle, []).append((component, units))
    wanted = sku_ids | {component for parts in components.values() for component, _units in parts}
    valid = SkuCost.objects.filter(sku__in=among(sorted(wanted)), valid_from__lte=at).order_by("sku", "valid_from")
    known = {row.sku_id: _Cost(row.amount, row.currency) for row in valid}
    for bundle, parts in components.items():
        if bundle not in known and (together := _together([(known.get(pk), units) for pk, units in parts])):
            known[bundle] = together
    return {sku_id: known[sku_id] for sku_id in sku_ids if sku_id in known}


def _together(parts: Sequence[tuple[_Cost | None, int]]) -> _Cost | None:
    """Of a bundle: None where a component's is not known, or they are in several currencies."""
    total, currencies = Decimal(0), set()
    for cost, units in parts:
        if cost is None or cost.amount is None:
            return None
        total += cost.amount * units
        currencies.add(cost.currency)
    return _Cost(total, currencies.pop()) if len(currencies) == 1 else None


def _local_day(channel: Channel, at: datetime) -> date:
    return at.astimezone(ZoneInfo(channel.time_zone)).date()


class _Rates:
    """The rates of the last days, read once; by the currencies, those of the newest day that is not after a day."""

    def __init__(self, pairs: set[tuple[str, str]], last: date) -> None:
        of_pairs = Q()
        for cost_currency, sale_currency in pairs:
            of_pairs |= Q(cost_currency=cost_currency, sale_currency=sale_currency)
        rows = ExchangeRate.objects.filter(of_pairs, day__lte=last, day__gt=last - OLDEST_RATE - _A_DAY)
        self._rows = list(rows.order_by("day")) if pairs else []

    def on(self, day: date, cost_currency: str, sale_currency: str) -> RateUsed | None:
        found = [
            row
            for row in self._rows
            if (row.cost_currency, row.sale_currency) == (cost_currency, sale_currency)
            and day - OLDEST_RATE < row.day <= day
        ]
        return RateUsed(found[-1].rate, found[-1].day, found[-1].source) if found else None


def _costs(listing: Listing, cost: _Cost | None, fees: ChannelFees | None, rates: _Rates, at: datetime) -> ListingCosts:
    sale_currency = listing.channel.currency
    rate: RateUsed | None = None
    factor: Fraction | None = None
    scaled: int | None = None
    if cost is not None and cost.amount is not None:
        scaled = int((cost.amount * listing.pack_factor).scaleb(_COST_PLACES))
        if cost.currency == sale_currency:
            factor = Fraction(1)
        elif (rate := rates.on(_local_day(listing.channel, at), cost.currency, sale_currency)) is not None:
            factor = Fraction(rate.rate)
    if factor is not None:
        factor = rate_between(factor, cost_exponent=_COST_PLACES, sale_exponent=exponent(sale_currency))
    costs = Costs(
        cost=scaled,
        # One that nobody needs is not one that is not known.
        exchange_rate=Fraction(1) if scaled is None else factor,
        freight=fees.freight if fees else None,
        tax_rate=fees.tax_rate if fees else None,
        fee_rate=fees.fee_rate if fees else None,
        fee_minimum=fees.fee_minimum if fees else None,
        fee_is_on_net=fees.fee_is_on_net if fees else False,
        payment_rate=fees.payment_rate if fees else None,
        payment_fixed=fees.payment_fixed if fees else None,
    )
    return ListingCosts(costs, cost.currency if cost else "", rate)


def next_changes(listings: Sequence[Listing], *, after: datetime) -> dict[int, datetime]:
    """By listing, when the next fee or cost that is stored already begins; those without any are left out."""
    return {pk: moments[0] for pk, moments in changes_ahead(listings, after=after).items()}


def changes_ahead(
    listings: Sequence[Listing], *, after: datetime, until: datetime | None = None
) -> dict[int, list[datetime]]:
    """By listing, when fees and costs that are stored already begin, in order; those without any are left out."""
    window = {"valid_from__gt": after, **({} if until is None else {"valid_from__lt": until})}
    by_channel: dict[int, set[datetime]] = {}
    fees = ChannelFees.objects.filter(channel__in={each.channel_id for each in listings}, **window)
    for channel_id, valid_from in fees.values_list("channel", "valid_from"):
        by_channel.setdefault(channel_id, set()).add(valid_from)
    skus = sorted({each.sku_id for each in listings if each.sku_id is not None})
    bundles: dict[int, list[int]] = {}
    for bundle, component in BundleComponent.objects.filter(bundle__in=among(skus)).values_list("bundle", "component"):
        bundles.setdefault(component, []).append(bundle)
    by_sku: dict[int, set[datetime]] = {}
    costs = SkuCost.objects.filter(sku__in=among(sorted({*skus, *bundles})), **window)
    for sku_id, valid_from in costs.values_list("sku", "valid_from"):
        for pk in (sku_id, *bundles.get(sku_id, ())):
            by_sku.setdefault(pk, set()).add(valid_from)
    found = {
        each.pk: sorted(by_channel.get(each.channel_id, set()) | by_sku.get(each.sku_id or 0, set()))
        for each in listings
    }
    return {pk: moments for pk, moments in found.items() if moments}


def with_promotion_fees(costs: Costs, fees: Iterable[tuple[int, int]]) -> Costs:
    """The costs of a sale with promotions that have these fees: a rate in basis points, and an amount per order."""
    rates, amounts = zip(*fees, strict=True) if (fees := list(fees)) else ((), ())
    return replace(costs, promotion_rate=sum(rates), promotion_fixed=sum(amounts))
