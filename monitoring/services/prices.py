"""After-coupon prices kept up to date: worked out again when something they hang on changed, or its time has come."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from fractions import Fraction
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from catalog.costs import ListingCosts, costs_of, keep_in_step, next_changes
from catalog.database import among, insert_new, parts, update_rows
from catalog.models import Listing
from catalog.pricing import exchange
from catalog.pricing.breakeven import Costs, break_even, margin, receipts
from catalog.pricing.model import Refused
from catalog.pricing.quoting import quote
from catalog.pricing.rulesets import VERSION
from catalog.promotions.prices import Price, price_of
from catalog.promotions.requests import LINE, minor_units, shops_of
from monitoring.models import ListingPrice, PriceQuote
from monitoring.services.price_alerts import check_quotes

CHUNK = 500
_TAKEN_UP = 20_000  # at a time
_LONGEST_REASON = 200
# What makes an answer another one; the moment and the request do not.
_ANSWER = (
    "status",
    "reason",
    "buy_one",
    "receipts",
    "break_even",
    "margin",
    "platform_price",
    "answer",
    "rules_version",
)


@dataclass(frozen=True, slots=True)
class Requoted:
    """How many prices were worked out, and how many of them were stored because they differ."""

    quoted: int = 0
    stored: int = 0
    more_due: bool = False

    def __str__(self) -> str:
        return f"{self.quoted} prices worked out, {self.stored} changed"


def mark_due(
    *, now: datetime, listing_ids: Collection[int] | None = None, channel_ids: Collection[int] | None = None
) -> int:
    """Have the prices of own listings (of these, or of these channels) worked out again; returns how many."""
    listings = Listing.objects.current().filter(ownership=Listing.Ownership.OWN)
    if channel_ids is not None:
        listings = listings.filter(channel__in=channel_ids)
    marked = 0
    ids = sorted(listing_ids) if listing_ids is not None else sorted(listings.values_list("pk", flat=True))
    for some in parts(ids):
        own = listings.filter(pk__in=among(some))
        insert_new(ListingPrice, ("listing", "due_at"), [(pk, now) for pk in own.values_list("pk", flat=True)])
        rows = ListingPrice.objects.filter(listing__in=own)
        rows.update(scan_due_at=now)
        marked += rows.filter(Q(due_at__isnull=True) | Q(due_at__gt=now)).update(due_at=now)
    return marked


def mark_repriced(listing_ids: Sequence[int], *, now: datetime) -> None:
    """For the transaction that stored another price of them: those whose after-coupon price is worked out are due."""
    if listing_ids:
        ListingPrice.objects.filter(pk__in=among(listing_ids)).update(due_at=now, scan_due_at=now)


def requote_due(*, seconds: float, now_fn: Callable[[], datetime] = timezone.now) -> Requoted:
    """Work out what is due, the longest due first, for at most so many seconds. Any number may do so at once."""
    ends = time.monotonic() + seconds
    quoted = stored = 0
    keep_in_step(now=now_fn())
    _take_up()
    while time.monotonic() < ends:
        now = now_fn()
        with transaction.atomic():
            due = ListingPrice.objects.filter(due_at__lte=now).order_by("due_at", "pk")
            chosen = list(due.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)[:CHUNK])
            stored += len(_requote(chosen, now))
            quoted += len(chosen)
        if len(chosen) < CHUNK:
            return Requoted(quoted, stored)
    return Requoted(quoted, stored, more_due=True)


def _take_up() -> None:
    """Own listings whose price was never worked out are due."""
    new = Listing.objects.current().filter(ownership=Listing.Ownership.OWN, price__isnull=True)
    rows = [(pk, created_at) for pk, created_at in new.values_list("pk", "created_at")[:_TAKEN_UP]]
    insert_new(ListingPrice, ("listing", "due_at"), rows)


def requote(*, listing_ids: Sequence[int], now: datetime) -> Requoted:
    """Work these out now."""
    quoted = stored = 0
    for some in parts(sorted(listing_ids)):
        with transaction.atomic():
            insert_new(ListingPrice, ("listing",), [(pk,) for pk in some])
            rows = ListingPrice.objects.filter(pk__in=among(some)).order_by("pk").select_for_update(of=("self",))
            chosen = list(rows.values_list("pk", flat=True))
            stored += len(_requote(chosen, now))
            quoted += len(chosen)
    return Requoted(quoted, stored)


def _requote(listing_ids: Sequence[int], now: datetime) -> list[int]:
    """For the caller's transaction, which holds the rows. Returns the listings whose answer changed."""
    if not listing_ids:
        return []
    listings = list(Listing.objects.filter(pk__in=among(listing_ids)).select_related("channel", "sku").order_by("pk"))
    shops = shops_of((listing.channel for listing in listings), at=now)
    costs = costs_of(listings, at=now)
    changes = next_changes(listings, after=now)
    last = {
        row.listing_id: row
        for row in PriceQuote.objects.filter(
            pk__in=ListingPrice.objects.filter(pk__in=among(listing_ids)).values("quote")
        )
    }
    new: list[PriceQuote] = []
    newest: list[PriceQuote] = []
    due: list[tuple[int, datetime | None]] = []
    for listing in listings:
        price = price_of(listing, shops[listing.channel_id], costs[listing.pk], at=now)
        row = quote_row(listing, price, costs[listing.pk], now=now)
        before = last.get(listing.pk)
        if before is None or any(getattr(before, name) != getattr(row, name) for name in _ANSWER):
            new.append(row)
        newest.append(row)
        due.append((listing.pk, min(filter(None, (price.valid_until, changes.get(listing.pk))), default=None)))
    made = PriceQuote.objects.bulk_create(new)
    update_rows(ListingPrice, "listing", ("quote",), [(row.listing_id, row.pk) for row in made])
    update_rows(ListingPrice, "listing", ("due_at",), due, also={"quoted_at": now})
    check_quotes(listings={listing.pk: listing for listing in listings}, quotes=newest, now=now)
    return [row.listing_id for row in made]


def quote_row(listing: Listing, price: Price, costs: ListingCosts, *, now: datetime) -> PriceQuote:
    """As it would be stored."""
    currency = listing.channel.currency
    return PriceQuote(
        listing=listing,
        at=price.request.at,
        made_at=now,
        rules_version=VERSION,
        currency=currency,
        request=exchange.request_to_json(price.request),
        answer=exchange.to_json(price.quote),
        status=price.quote.status.value,
        reason=str(price.quote.reason)[:_LONGEST_REASON],
        buy_one=price.goods,
        costs=costs_to_json(price, costs),
        receipts=price.received,
        break_even=price.break_even,
        margin=price.margin.left if price.margin is not None else None,
        platform_price=minor_units(listing.promotion_price, currency),
        valid_until=price.valid_until,
    )


def costs_to_json(price: Price, costs: ListingCosts) -> dict[str, Any]:
    """Each part by its name; the exchange rate as a fraction of minor units, with where it is from."""
    written: dict[str, Any] = {field.name: getattr(price.costs, field.name) for field in fields(price.costs)}
    if (rate := price.costs.exchange_rate) is not None:
        written["exchange_rate"] = [rate.numerator, rate.denominator]
    if costs.rate is not None:
        written["rate"] = {"rate": str(costs.rate.rate), "day": costs.rate.day.isoformat(), "source": costs.rate.source}
    return written


def replay_differences(quotes: Iterable[PriceQuote]) -> list[int]:
    """The stored quotes that, worked out again from their own request and costs, have another answer or margin."""
    return [quote.pk for quote in quotes if not _is_replayed(quote)]


def _is_replayed(stored: PriceQuote) -> bool:
    try:
        request = exchange.read_request(stored.request)
    except Refused:
        return bool(exchange.answer(stored.request) == stored.answer)
    found = quote(request)
    costs = costs_from_json(stored.costs)
    received = left = None
    if found.total is not None:
        received = receipts(found.lines[LINE], found.steps, request.promotions, LINE)
        left = margin(received, costs)
    again = (
        exchange.to_json(found),
        None if found.total is None else found.total.goods,
        received,
        break_even(costs),
        None if left is None else left.left,
    )
    return again == (stored.answer, stored.buy_one, stored.receipts, stored.break_even, stored.margin)


def costs_from_json(written: Mapping[str, Any]) -> Costs:
    """What costs_to_json() wrote of the costs."""
    values = {field.name: written[field.name] for field in fields(Costs)}
    if values["exchange_rate"] is not None:
        values["exchange_rate"] = Fraction(*values["exchange_rate"])
    return Costs(**values)
