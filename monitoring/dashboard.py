"""What the dashboard counts and compares, for the channels a person sees."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

from django.db.models import Case, Count, Exists, F, FloatField, Min, OuterRef, Q, QuerySet, Subquery, When
from django.db.models.functions import Abs, Cast, Coalesce
from django.http import HttpRequest

from catalog.facts import ShelfState
from catalog.models import Channel, Listing, User
from config.admin_site import Badge, worst
from config.formatting import change_percent
from monitoring.charts.data import exact_text
from monitoring.freshness import being_watched, blind, fresh
from monitoring.history import safe_cell
from monitoring.models import ListingWatch, Observation

What = Literal["price", "stock"]

# How each channel is connected, by its id: apps above this one append functions that know. Of several badges for a
# channel the worst is shown; a channel that none of them mentions shows nothing in that cell.
ChannelStates = Callable[[HttpRequest, Sequence[Channel], datetime], Mapping[int, Badge]]
channel_states: list[ChannelStates] = []

PERIODS = {"24h": timedelta(hours=24), "7d": timedelta(days=7)}
DEFAULT_PERIOD = "24h"
TOP_MOVES = 7
RECENT = timedelta(hours=1)
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


@dataclass(frozen=True)
class ChannelRow:
    channel: Channel
    watched: int = 0
    recent: int = 0  # read in the last hour
    blind: int = 0
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
        oldest=Min(Coalesce(F("read_at"), F("listing__created_at"))),
    )
    counted: dict[int, dict[str, Any]] = {row["channel_id"]: {**row} for row in found}
    rows = []
    for channel in scope.shown_channels:
        figures = counted.get(channel.pk, {})
        figures.pop("channel_id", None)
        rows.append(ChannelRow(channel, badge=badges.get(channel.pk), **figures))
    return rows


def badges_of(request: HttpRequest, channels: Sequence[Channel], now: datetime) -> dict[int, Badge]:
    """The worst state that any app knows of each channel."""
    known = [states(request, channels, now) for states in channel_states]
    found = {channel.pk: worst(states.get(channel.pk) for states in known) for channel in channels}
    return {pk: badge for pk, badge in found.items() if badge is not None}


def oldest_watch(scope: Scope) -> ListingWatch | None:
    """The watched listing whose last reading is the oldest."""
    by_age = scope.watches().order_by(Coalesce(F("read_at"), F("listing__created_at")), "pk")
    return by_age.select_related("listing", "channel").first()


def not_read(listings: QuerySet[Listing], now: datetime) -> QuerySet[Listing]:
    """Those that should be read and are not."""
    return listings.filter(Exists(ListingWatch.objects.filter(blind(now), listing=OuterRef("pk"))))


def known_now(listings: QuerySet[Listing], now: datetime) -> QuerySet[Listing]:
    """Those whose stored facts speak for `now`."""
    return listings.filter(Exists(ListingWatch.objects.filter(fresh(now), listing=OuterRef("pk"))))


def sold_out(listings: QuerySet[Listing], now: datetime) -> QuerySet[Listing]:
    return known_now(listings.filter(shelf_state=ShelfState.SOLD_OUT), now)


def _value_at(fact: str, start: datetime) -> Coalesce:
    """What a fact was at `start`; where that is not known, the first known value since, so that a gap is no move."""
    rows = Observation.objects.filter(listing=OuterRef("pk"))
    in_force = rows.filter(observed_at__lte=start).order_by("-observed_at").values(fact)[:1]
    first_known = rows.filter(observed_at__gt=start, **{f"{fact}__isnull": False}).order_by("observed_at")
    return Coalesce(Subquery(in_force), Subquery(first_known.values(fact)[:1]))


def _with_new_observations(listings: QuerySet[Listing], start: datetime, now: datetime) -> QuerySet[Listing]:
    recent = Observation.objects.filter(observed_at__gt=start, observed_at__lte=now)
    return known_now(listings.filter(pk__in=recent.values("listing_id")), now)


def price_moves(listings: QuerySet[Listing], start: datetime, now: datetime) -> QuerySet[Any]:
    """Those whose price differs from the one in force at `start`, with `was_price`, `now_price` and `move`, a ratio.

    The live price where both moments know it, otherwise the list price, so that the two are never mixed up. Looks only
    at listings with an observation since `start`.
    """
    both_live = Q(live_price__isnull=False, was_live__isnull=False)
    return (
        _with_new_observations(listings, start, now)
        .alias(was_live=_value_at("live_price", start))
        .annotate(
            was_price=Case(When(both_live, then=F("was_live")), default=_value_at("list_price", start)),
            now_price=Case(When(both_live, then=F("live_price")), default=F("list_price")),
        )
        .filter(was_price__gt=0)
        # A ratio to sort by; what is shown is worked out from the exact amounts.
        .annotate(move=Cast("now_price", FloatField()) / Cast("was_price", FloatField()) - 1.0)
        .exclude(move=0)
        .filter(move__isnull=False)
    )


def stock_moves(listings: QuerySet[Listing], start: datetime, now: datetime) -> QuerySet[Any]:
    """Those whose stock differs from the one in force at `start`, with `was_stock` and `move`, in units."""
    return (
        _with_new_observations(listings, start, now)
        .annotate(was_stock=_value_at("stock", start), move=F("stock") - F("was_stock"))
        .exclude(move=0)
        .filter(move__isnull=False)
    )


def top_moves(scope: Scope, what: What, limit: int | None = TOP_MOVES) -> list[Move]:
    """The largest moves of the period, largest first."""
    find = price_moves if what == "price" else stock_moves
    found = find(scope.listings(), scope.start, scope.now).order_by(Abs("move").desc(), "pk").select_related("channel")
    if what == "price":
        return [Move(listing, listing.was_price, listing.now_price) for listing in found[:limit]]
    return [Move(listing, listing.was_stock, listing.stock) for listing in found[:limit] if listing.stock is not None]


def price_changes(scope: Scope) -> PriceChanges:
    """How many listings cost more, and how many less, than when the period began."""
    moves = price_moves(scope.listings(), scope.start, scope.now)
    counts = moves.aggregate(up=Count("pk", filter=Q(move__gt=0)), down=Count("pk", filter=Q(move__lt=0)))
    return PriceChanges(**counts)


def moves_csv(scope: Scope, what: What) -> Iterator[list[str]]:
    """Every move of the period, largest first; exact figures."""
    yield MOVES_CSV_HEAD
    for move in top_moves(scope, what, limit=None):
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
        return oldest_watch(self.scope)

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
        return top_moves(self.scope, "stock")

    @property
    def watched(self) -> int:
        return sum(row.watched for row in self.rows)

    @property
    def recent(self) -> int:
        return sum(row.recent for row in self.rows)

    @property
    def blind(self) -> int:
        return sum(row.blind for row in self.rows)

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
