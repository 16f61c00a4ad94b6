"""What the dashboard counts and compares, for the channels a person sees."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from heapq import nsmallest
from itertools import chain
from typing import Any, Literal, cast

from django.db.models import Count, F, Min, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from catalog.database import among
from catalog.facts import ShelfState
from catalog.models import Channel, Listing, User
from config.admin_site import Badge, worst
from config.formatting import change_percent
from monitoring import moves
from monitoring.charts.data import exact_text
from monitoring.freshness import OF_LISTING, being_watched, blind, missing
from monitoring.history import safe_cell
from monitoring.models import ListingWatch
from monitoring.moves import Moved

What = Literal["price", "stock"]

# How each channel is connected, by its id: apps above this one append functions that know. Of several badges for a
# channel the worst is shown; a channel that none of them mentions shows nothing in that cell.
ChannelStates = Callable[[HttpRequest, Sequence[Channel], datetime], Mapping[int, Badge]]
channel_states: list[ChannelStates] = []

PERIODS = {"24h": timedelta(hours=24), "7d": timedelta(days=7)}
DEFAULT_PERIOD = "24h"
TOP_MOVES, TOP_STOCK_MOVES = 7, 3
RECENT = timedelta(hours=1)
_LISTINGS_AT_ONCE = 500
MOVES_CSV_HEAD = ["listing", "channel", "item", "title", "was", "now", "change", "currency"]


@dataclass(frozen=True)
class Scope:
    """Whose dashboard, for which channels, as of when, looking how far back."""

    user: User
    now: datetime
    channels: list[Channel]  # all that the person sees
    channel: Channel | None = None  # the one that was picked
    period: str = DEFAULT_PERIOD

    @classmethod
    def from_request(cls, request: HttpRequest, now: datetime) -> "Scope":
        """What the address asks for; a channel or period that there is not counts as none asked for."""
        user = request.user
        assert isinstance(user, User)  # noqa: S101 - only signed-in staff get here
        channels = list(Channel.objects.visible_to(user))
        picked = next((channel for channel in channels if str(channel.pk) == request.GET.get("channel")), None)
        period = request.GET.get("period", DEFAULT_PERIOD)
        return cls(user, now, channels, picked, period if period in PERIODS else DEFAULT_PERIOD)

    @property
    def shown_channels(self) -> list[Channel]:
        return [self.channel] if self.channel else self.channels

    @property
    def start(self) -> datetime:
        return self.now - PERIODS[self.period]

    def listings(self) -> QuerySet[Listing]:
        listings = Listing.objects.visible_to(self.user).current()
        return listings.filter(channel=self.channel) if self.channel else listings

    def watches(self) -> QuerySet[ListingWatch]:
        return ListingWatch.objects.filter(being_watched(), channel__in=self.shown_channels)

    @cached_property
    def moved(self) -> list[Moved]:
        """The listings whose price or stock differs from what it was when the period began; one query."""
        return moves.moved(known_now(self.listings(), self.now), self.start, self.now)


@dataclass(frozen=True)
class ChannelRow:
    channel: Channel
    watched: int = 0
    recent: int = 0  # read in the last hour
    blind: int = 0
    missing: int = 0  # of the blind ones: not known to the platform
    oldest: datetime | None = None  # the oldest last reading; None when nothing is watched
    badge: Badge | None = None

    @property
    def needs_attention(self) -> bool:
        return self.blind > 0 or (self.badge is not None and self.badge.severity in ("critical", "warning"))


@dataclass(frozen=True)
class Move:
    """A fact of a listing that differs from what it was when the period began."""

    listing: Listing
    was: Decimal | int
    now: Decimal | int

    @property
    def difference(self) -> Decimal | int:
        return self.now - self.was

    @property
    def ratio(self) -> Decimal:
        """By how much of the old value; `was` is not 0 for prices."""
        return Decimal(self.difference) / Decimal(self.was)

    @property
    def text(self) -> str:
        return change_percent(self.was, self.now)


@dataclass(frozen=True)
class PriceChanges:
    up: int
    down: int

    @property
    def total(self) -> int:
        return self.up + self.down


def channel_rows(scope: Scope, badges: Mapping[int, Badge]) -> list[ChannelRow]:
    """How each channel is being read; one query."""
    found = scope.watches().values("channel_id")
    found = found.annotate(
        watched=Count("pk"),
        recent=Count("pk", filter=Q(read_at__gte=scope.now - RECENT)),
        blind=Count("pk", filter=blind(scope.now)),
        missing=Count("pk", filter=missing()),
        oldest=Min(Coalesce(F("read_at"), F("listing__created_at"))),
    )
    counted: dict[int, dict[str, Any]] = {row["channel_id"]: {**row} for row in found}
    rows = []
    for channel in scope.shown_channels:
        figures = counted.get(channel.pk, {})
        figures.pop("channel_id", None)
        rows.append(ChannelRow(channel, badge=badges.get(channel.pk), **figures))
    return rows


def with_blind_count(channels: QuerySet[Any], now: datetime) -> QuerySet[Any]:
    """Adds `blind_count`: how many listings of the channel should be read and are not."""
    # A subquery: joined in, it would multiply what other columns count.
    found = ListingWatch.objects.filter(blind(now), channel=OuterRef("pk")).order_by().values("channel")
    counts = Subquery(found.annotate(found=Count("pk")).values("found"))
    counted: QuerySet[Any] = channels.annotate(blind_count=Coalesce(counts, 0))
    return counted


def badges_of(request: HttpRequest, channels: Sequence[Channel], now: datetime) -> dict[int, Badge]:
    """The worst state that any app knows of each channel; one whose connection is in order may still be stopped."""
    stopped = {channel.pk: Badge("muted", _("Stopped")) for channel in channels if not channel.is_watched}
    known = [*(states(request, channels, now) for states in channel_states), stopped]
    found = {channel.pk: worst(states.get(channel.pk) for states in known) for channel in channels}
    return {pk: badge for pk, badge in found.items() if badge is not None}


def oldest_watch(scope: Scope, rows: Sequence[ChannelRow]) -> ListingWatch | None:
    """The watched listing whose last reading is the oldest, by the figures of its channel."""
    oldest = min((row for row in rows if row.oldest), key=lambda row: row.oldest or scope.now, default=None)
    if oldest is None:
        return None
    since = Q(read_at=oldest.oldest) | Q(read_at=None, listing__created_at=oldest.oldest)
    found = ListingWatch.objects.filter(being_watched(), since, channel=oldest.channel)
    return found.select_related("listing", "channel").order_by("pk").first()


def not_read(listings: QuerySet[Listing], now: datetime) -> QuerySet[Listing]:
    """Those that should be read and are not."""
    return listings.filter(OF_LISTING.blind(now))


def known_now(listings: QuerySet[Listing], now: datetime) -> QuerySet[Listing]:
    """The watched ones whose stored facts speak for `now`."""
    return listings.filter(OF_LISTING.being_watched(), OF_LISTING.fresh(now))


def sold_out(listings: QuerySet[Listing], now: datetime) -> QuerySet[Listing]:
    return known_now(listings.filter(shelf_state=ShelfState.SOLD_OUT), now)


def _moves(scope: Scope, what: What) -> list[tuple[float, Moved]]:
    """Those that moved, each behind the size of its move."""
    if what == "price":
        return [(abs(row.price_ratio), row) for row in scope.moved if row.price is not None]
    return [(abs(row.stock_difference), row) for row in scope.moved if row.stock is not None]


def _by_size(move: tuple[float, Moved]) -> tuple[float, int]:
    return -move[0], move[1].listing_id


def top_moves(scope: Scope, what: What, limit: int = TOP_MOVES) -> list[Move]:
    """The largest moves of the period, largest first."""
    return _with_listings(nsmallest(limit, _moves(scope, what), key=_by_size), what)


def _with_listings(found: Sequence[tuple[float, Moved]], what: What) -> list[Move]:
    """The moves with exact figures and what is shown of their listings; one query."""
    listings = Listing.objects.select_related("channel", "sku").in_bulk([row.listing_id for _size, row in found])
    known = [(listings[row.listing_id], row) for _size, row in found if row.listing_id in listings]
    if what == "stock":
        return [Move(listing, row.was_stock or 0, row.stock or 0) for listing, row in known]
    return [Move(listing, Decimal(row.was_price or 0), Decimal(row.price or 0)) for listing, row in known]


def price_changes(scope: Scope) -> PriceChanges:
    """How many listings cost more, and how many less, than when the period began."""
    ratios = [row.price_ratio for row in scope.moved if row.price is not None]
    return PriceChanges(up=sum(ratio > 0 for ratio in ratios), down=sum(ratio < 0 for ratio in ratios))


def price_changed(
    request: HttpRequest, listings: QuerySet[Any], now: datetime, period: str = DEFAULT_PERIOD
) -> QuerySet[Any]:
    """Those of the listings whose price differs from the one when the period began; looked up once for a request."""
    name = f"evenshelf_price_changed_{period}"
    ids: list[int] | None = getattr(request, name, None)
    if ids is None:
        seen = known_now(Listing.objects.visible_to(cast("User", request.user)).current(), now)
        start = now - PERIODS[period]
        ids = [row.listing_id for row in moves.moved(seen, start, now, with_stock=False)]
        setattr(request, name, ids)
    return listings.filter(pk__in=among(ids))


def moves_csv(scope: Scope, what: What) -> Iterator[list[str]]:
    """Every move of the period, largest first; exact figures."""
    yield MOVES_CSV_HEAD
    ordered = sorted(_moves(scope, what), key=_by_size)
    parts = (ordered[start : start + _LISTINGS_AT_ONCE] for start in range(0, len(ordered), _LISTINGS_AT_ONCE))
    for move in chain.from_iterable(_with_listings(part, what) for part in parts):
        currency = move.listing.channel.currency
        yield [
            str(move.listing.pk),
            safe_cell(move.listing.channel.name),
            safe_cell(move.listing.platform_id),
            safe_cell(move.listing.title),
            *(exact_text(value, currency) for value in (move.was, move.now, move.difference)),
            currency if what == "price" else "",
        ]


@dataclass
class Dashboard:
    """One reading of the dashboard's figures, shared by its panels; each part is asked for once."""

    request: HttpRequest
    scope: Scope

    @cached_property
    def rows(self) -> list[ChannelRow]:
        scope = self.scope
        return channel_rows(scope, badges_of(self.request, scope.shown_channels, scope.now))

    @cached_property
    def oldest(self) -> ListingWatch | None:
        return oldest_watch(self.scope, self.rows)

    @cached_property
    def price_changes(self) -> PriceChanges:
        return price_changes(self.scope)

    @cached_property
    def sold_out(self) -> int:
        return sold_out(self.scope.listings(), self.scope.now).count()

    @cached_property
    def price_moves(self) -> list[Move]:
        """The largest ones, the deepest fall first."""
        return sorted(top_moves(self.scope, "price"), key=lambda move: move.ratio)

    @cached_property
    def stock_moves(self) -> list[Move]:
        return top_moves(self.scope, "stock", TOP_STOCK_MOVES)

    @property
    def blind(self) -> int:
        return sum(row.blind for row in self.rows)

    @property
    def missing(self) -> int:
        return sum(row.missing for row in self.rows)

    @property
    def attention(self) -> list[ChannelRow]:
        return [row for row in self.rows if row.needs_attention]


def dashboard_of(request: HttpRequest, now: datetime) -> Dashboard:
    """The dashboard of this request; the panels of one page share it."""
    board: Dashboard | None = getattr(request, "evenshelf_dashboard", None)
    if board is None:
        board = Dashboard(request, Scope.from_request(request, now))
        request.evenshelf_dashboard = board  # type: ignore[attr-defined]
    return board
