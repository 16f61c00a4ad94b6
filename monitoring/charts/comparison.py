"""All listings of a product beside each other: which ones, in which chart, and their change points as rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import chain, zip_longest
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.urls import reverse

from catalog.models import Listing, Product, User
from monitoring.causes import not_known_reason
from monitoring.charts.data import PRICES, compared_rows, exact_text, figure, moment_of
from monitoring.freshness import is_fresh, watch_of
from monitoring.history import safe_cell

MAX_LINES = 6
# A product with more listings than this shows these first; the others are found in the list of listings.
MAX_ROWS = 200
CSV_HEAD = ["time", "listing", "channel", "item", "title", "whose", "read", *PRICES, "currency"]


@dataclass(frozen=True)
class ComparedListing:
    listing: Listing
    is_picked: bool
    is_fresh: bool
    read_at: datetime | None
    reason: str = ""  # why it is not known

    @property
    def price(self) -> Decimal | None:
        """What buyers see first; None while it is not known."""
        if not self.is_fresh:
            return None
        return self.listing.list_price if self.listing.live_price is None else self.listing.live_price

    @property
    def last_price(self) -> Decimal | None:
        return self.listing.list_price if self.listing.live_price is None else self.listing.live_price

    @property
    def is_live(self) -> bool:
        return self.listing.live_price is not None


@dataclass(frozen=True)
class CurrencyChart:
    """One chart of the page; amounts of different currencies never share an axis."""

    currency: str
    json_url: str
    csv_url: str


def listings_of(product: Product, user: User) -> list[Listing]:
    """The product's listings that the person sees, own ones first; removed ones are left out."""
    listings = Listing.objects.visible_to(user).current().filter(sku__product=product)
    return list(
        listings.select_related("channel", "watch", "sku").order_by("-ownership", "channel__name", "pk")[:MAX_ROWS]
    )


def pick(listings: Sequence[Listing], asked: Sequence[str]) -> list[Listing]:
    """The listings that were asked for by id, else all of them.

    Of too many, the first ones of those that were asked for; else each shop's, and each shop's competitors', in turn.
    """
    ids = {int(text) for text in asked if text.isdecimal()}
    chosen = [listing for listing in listings if listing.pk in ids]
    if chosen:
        return chosen[:MAX_LINES]
    groups: dict[tuple[int, str], list[Listing]] = {}
    for listing in listings:
        groups.setdefault((listing.channel_id, listing.ownership), []).append(listing)
    in_turn = [listing for listing in chain(*zip_longest(*groups.values())) if listing is not None]
    first = {listing.pk for listing in in_turn[:MAX_LINES]}
    return [listing for listing in listings if listing.pk in first]


def rows(listings: Sequence[Listing], picked: set[int], now: datetime) -> list[ComparedListing]:
    return [
        ComparedListing(
            listing,
            listing.pk in picked,
            is_fresh(listing, now),
            watch.read_at if (watch := watch_of(listing)) else None,
            not_known_reason(watch),
        )
        for listing in listings
    ]


def charts(product: Product, picked: Sequence[Listing]) -> list[CurrencyChart]:
    """One chart per currency, in the order in which the currencies come first."""
    found = []
    for currency in dict.fromkeys(listing.channel.currency for listing in picked):
        ids = [listing.pk for listing in picked if listing.channel.currency == currency]
        query = urlencode({"currency": currency, "listing": ids}, doseq=True)
        found.append(
            CurrencyChart(
                currency,
                f"{reverse('watch:compare-chart', args=[product.pk])}?{query}",
                f"{reverse('watch:compare-csv', args=[product.pk])}?{query}",
            )
        )
    return found


def csv_rows(listings: Sequence[Listing], start: datetime, now: datetime) -> Iterator[list[str]]:
    """The change points from `start` to `now`, by time, beginning with those in force at `start`.

    Exact amounts, empty for not known.
    """
    yield CSV_HEAD
    by_id = {listing.pk: listing for listing in listings}
    for row in compared_rows(listings, start, now):
        listing = by_id[row[0]]
        channel = listing.channel
        yield [
            moment_of(row[1]).astimezone(ZoneInfo(channel.time_zone)).isoformat(timespec="seconds"),
            str(listing.pk),
            safe_cell(channel.name),
            safe_cell(listing.platform_id),
            safe_cell(listing.title),
            listing.ownership,
            "no" if row[2] else "yes",
            *(exact_text(figure(fact, value), channel.currency) for fact, value in zip(PRICES, row[3:6], strict=True)),
            channel.currency,
        ]
