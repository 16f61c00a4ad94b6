"""Who reads which listing when: watches, their leases, and the passes over a channel."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F, Min, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from catalog.database import AmountText, Microseconds, claim_rows, driver_rows, parts
from catalog.models import Channel, Listing
from monitoring.models import ListingWatch, PollRun

# Longer than a call can take, so that a lease ends early only when its worker is gone.
LEASE = timedelta(seconds=90)
# Listings that are read more often than this are read on time; for the others a minute is soon enough.
SHORT_INTERVAL_SECONDS = 300
# A requested reading takes seconds; one that is open for longer lost its worker.
_REQUEST_LIFE = timedelta(minutes=5)
_WATCHES_AT_ONCE = 2_000


class Claim(NamedTuple):
    """A listing that we hold the lease of, and what was known about it when we took it.

    A plain tuple, since passes handle hundreds of thousands of them; positions 6 to 10 are the five facts,
    amounts among them as text with four decimals.
    """

    listing_id: int
    item_id: str
    sku_id: str
    ownership: str
    title: str
    outer_id: str
    list_price: str | None
    live_price: str | None
    promotion_price: str | None
    stock: int | None
    shelf_state: str
    observed_us: int | None  # of its last observation, in microseconds since 1970
    interval_seconds: int
    attempts: int
    read_us: int | None  # its last good reading, likewise
    next_due_us: int

    @property
    def next_due_at(self) -> datetime:
        return _EPOCH + timedelta(microseconds=self.next_due_us)

    @property
    def observed_at(self) -> datetime | None:
        return from_microseconds(self.observed_us)

    @property
    def read_at(self) -> datetime | None:
        return from_microseconds(self.read_us)


_CLAIM_COLUMNS = (
    "listing_id",
    "listing__platform_item_id",
    "listing__platform_sku_id",
    "listing__ownership",
    "listing__title",
    "listing__outer_id",
    AmountText("listing__list_price"),
    AmountText("listing__live_price"),
    AmountText("listing__promotion_price"),
    "listing__stock",
    "listing__shelf_state",
    Microseconds("listing__observed_at"),
    Coalesce("interval_seconds", "channel__interval_seconds"),
    "attempts",
    Microseconds("read_at"),
    Microseconds("next_due_at"),
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """Since 1970, exact."""
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(count: int | None) -> datetime | None:
    """The time (aware UTC) of microseconds since 1970."""
    return None if count is None else _EPOCH + timedelta(microseconds=count)


class Run(NamedTuple):
    """An open pass."""

    pk: int
    channel_id: int
    started_at: datetime
    is_scheduled: bool


# --- Watches --------------------------------------------------------------------------------------------------------


def ensure_watches(listing_ids: Collection[int] | None = None, *, now: datetime) -> int:
    """Have every current listing (of these, or of all) watched, due at `now`; returns how many are new. Idempotent.

    Removed listings keep their watch: it says when they were last read, should they come back. Nothing claims it.
    """
    unwatched = Listing.objects.current().filter(watch__isnull=True)
    if listing_ids is None:
        return _watch(unwatched, now)
    created = 0
    for some in parts(sorted(listing_ids)):
        # The channel of a listing can be corrected while it is new.
        ListingWatch.objects.filter(listing__in=some).exclude(channel=F("listing__channel")).update(
            channel_id=Subquery(Listing.objects.filter(pk=OuterRef("pk")).values("channel_id"))
        )
        created += _watch(unwatched.filter(pk__in=some), now)
    return created


def _watch(unwatched: QuerySet[Listing], now: datetime) -> int:
    found = iter(unwatched.order_by("pk").values_list("pk", "channel_id").iterator(_WATCHES_AT_ONCE))
    created = 0
    while rows := list(islice(found, _WATCHES_AT_ONCE)):
        watches = [
            ListingWatch(listing_id=pk, channel_id=channel_id, watched_since=now, next_due_at=now)
            for pk, channel_id in rows
        ]
        ListingWatch.objects.bulk_create(watches, ignore_conflicts=True)
        created += len(watches)
    return created


def make_all_due(*, run: Run) -> None:
    """Have the pass cover every listing of its channel, whenever each of them would be due."""
    ListingWatch.objects.filter(
        channel=run.channel_id, is_paused=False, next_due_at__gt=run.started_at, listing__removed_at__isnull=True
    ).update(next_due_at=run.started_at)


# --- Leases ---------------------------------------------------------------------------------------------------------


def due_watches(channel_id: int, until: datetime, *, watched_only: bool = True) -> QuerySet[ListingWatch]:
    """Watches that were due at `until`, leased or not: those that a pass begun then still has to read."""
    # Subqueries rather than joins, so that claiming locks rows of this table only.
    subjects: list[Exists] = [Exists(Listing.objects.current().filter(pk=OuterRef("listing_id")))]
    if watched_only:
        subjects.append(Exists(Channel.objects.filter(pk=channel_id, is_watched=True)))
    return ListingWatch.objects.filter(*subjects, channel=channel_id, is_paused=False, next_due_at__lte=until)


def due_channels(*, now: datetime, channel_ids: Collection[int] | None = None) -> list[int]:
    """Watched channels with listings that are due and that nobody is reading just now."""
    due = ListingWatch.objects.filter(
        Exists(Listing.objects.current().filter(pk=OuterRef("listing_id"))),
        _is_free(now),
        channel=OuterRef("pk"),
        is_paused=False,
        next_due_at__lte=now,
    )
    channels = Channel.objects.filter(Exists(due), is_watched=True)
    if channel_ids is not None:
        channels = channels.filter(pk__in=channel_ids)
    return list(channels.order_by("pk").values_list("pk", flat=True))


def next_due(*, now: datetime, until: datetime, channel_ids: Collection[int] | None = None) -> datetime | None:
    """When the next listing with a short interval becomes due after `now`, by `until`; None when none does."""
    is_short = Q(interval_seconds__lt=SHORT_INTERVAL_SECONDS) | Q(
        interval_seconds__isnull=True, channel__interval_seconds__lt=SHORT_INTERVAL_SECONDS
    )
    later = ListingWatch.objects.filter(
        Exists(Listing.objects.current().filter(pk=OuterRef("listing_id"))),
        is_short,
        channel=OuterRef("pk"),
        is_paused=False,
        next_due_at__gt=now,
        next_due_at__lte=until,
    )
    channels = Channel.objects.filter(is_watched=True)
    if channel_ids is not None:
        channels = channels.filter(pk__in=channel_ids)
    first = Subquery(later.order_by("next_due_at").values("next_due_at")[:1])
    moment: datetime | None = channels.annotate(due_at=first).aggregate(first=Min("due_at"))["first"]
    return moment


def claim_due(*, run: Run, limit: int, token: UUID, now: datetime, watched_only: bool = True) -> list[Claim]:
    """Lease up to `limit` listings that the pass still has to read, the longest overdue first.

    Everyone who claims gets other listings; a lease that ran out is free again.
    """
    due = due_watches(run.channel_id, run.started_at, watched_only=watched_only).filter(_is_free(now))
    return _claim(due.order_by("next_due_at", "listing_id")[:limit], token, now)


def claim_listings(*, listing_ids: Sequence[int], token: UUID, now: datetime) -> list[Claim]:
    """Lease these listings whether due, paused or not; those that are removed or being read just now are left out."""
    current = Listing.objects.current().filter(pk=OuterRef("listing_id"))
    free = ListingWatch.objects.filter(Exists(current), _is_free(now), pk__in=listing_ids)
    return _claim(free.order_by("listing_id")[: len(listing_ids)], token, now)


def _claim(candidates: QuerySet[ListingWatch], token: UUID, now: datetime) -> list[Claim]:
    rows = claim_rows(candidates, _CLAIM_COLUMNS, {"lease_token": token, "lease_until": now + LEASE})
    return [Claim._make(row) for row in rows]


def release(
    *,
    listing_ids: Sequence[int],
    token: UUID,
    run: Run | None = None,
    cause: str = "",
    now: datetime | None = None,
) -> None:
    """Give back leases of listings that were not read; they stay due.

    With a cause, they were tried by the pass at `now` and nothing is wrong with them: what they met is their channel's.
    That is noted, but costs them nothing.
    """
    tried: dict[str, Any] = {}
    if cause and run is not None:
        tried = {"outcome": ListingWatch.Outcome.FAILED, "cause": cause, "tried_at": now, "poll_run": run.pk}
    ours = ListingWatch.objects.filter(pk__in=listing_ids, lease_token=token)
    ours.update(lease_token=None, lease_until=None, **tried)


def _is_free(now: datetime) -> Q:
    return Q(lease_until__isnull=True) | Q(lease_until__lte=now)


# --- Passes ---------------------------------------------------------------------------------------------------------


def open_run(*, channel_id: int, kind: str = PollRun.Kind.SCHEDULED, now: datetime) -> Run:
    """The channel's open scheduled pass, begun at `now` when there was none; or a new requested one.

    A pass that another worker left unfinished is simply gone on with.
    """
    opened = PollRun(channel_id=channel_id, kind=kind, started_at=now)
    if kind == PollRun.Kind.REQUESTED:
        opened.save()
        return Run(opened.pk, channel_id, now, is_scheduled=False)
    # A partial unique constraint allows one, so that workers who begin together end up with the same.
    PollRun.objects.bulk_create([opened], ignore_conflicts=True)
    found = PollRun.objects.filter(channel=channel_id, kind=kind, finished_at__isnull=True)
    pk, started_at = found.values_list("pk", "started_at").get()
    return Run(pk, channel_id, started_at, is_scheduled=True)


def close_run(*, run: Run, now: datetime, watched_only: bool = True) -> bool:
    """Gather the outcomes of a pass and end it; False when it still has listings to read, here or in another worker.

    Of a pass that goes on it is only noted why listings were not read so far. A listing that was read again by a later
    pass is listed there. What was read after somebody else ended the pass is added to it.
    """
    handled = ListingWatch.objects.filter(channel=run.channel_id, poll_run=run.pk).order_by("pk")
    still_open = PollRun.objects.filter(pk=run.pk, finished_at__isnull=True)
    # A listing counts as due until its reading is recorded, so those that others hold a lease of are among them.
    if run.is_scheduled and due_watches(run.channel_id, run.started_at, watched_only=watched_only).exists():
        unread = handled.exclude(outcome=ListingWatch.Outcome.READ).values_list("cause", flat=True)
        still_open.update(causes=_counted(unread))
        return False
    ids: dict[str, list[int]] = {"read": [], "missing": [], "failed": []}
    causes: dict[int, str] = {}  # of those that were not read
    changed = 0
    started_us = microseconds(run.started_at)
    for listing_id, outcome, cause, observed_us in driver_rows(
        handled, ("pk", "outcome", "cause", Microseconds("listing__observed_at"))
    ):
        ids[outcome if outcome in ids else "failed"].append(listing_id)
        if outcome == "read":
            changed += observed_us is not None and observed_us >= started_us
        else:
            causes[listing_id] = cause
    ended = still_open.update(
        finished_at=now, changed_count=changed, causes=_counted(causes.values()), **PollRun.outcomes(**ids)
    )
    if not ended:
        _add_to_ended(run, ids, causes, changed, now)
    return True


def _counted(causes: Iterable[str]) -> dict[str, int]:
    return dict(Counter(cause for cause in causes if cause))


def _add_to_ended(run: Run, ids: dict[str, list[int]], causes: dict[int, str], changed: int, now: datetime) -> None:
    """Add outcomes to a pass that ended without them; where it has one of the same listing, these are newer."""
    with transaction.atomic():
        stored = PollRun.objects.select_for_update().filter(pk=run.pk).first()
        if stored is None:
            return
        handled = {*ids["read"], *ids["missing"], *ids["failed"]}
        lists = {
            "read": list(stored.read_ids),
            "missing": list(stored.missing_ids),
            "failed": list(stored.failed_ids),
        }
        merged = {name: sorted({*(pk for pk in old if pk not in handled), *ids[name]}) for name, old in lists.items()}
        if merged != lists:
            for field, value in PollRun.outcomes(**merged).items():
                setattr(stored, field, value)
            # Which listing had which cause is known of those that no later pass has read.
            known = _counted(causes.get(pk, "") for pk in (*lists["missing"], *lists["failed"]))
            others = Counter(stored.causes) - Counter(known)
            stored.causes = dict(others + Counter(_counted(causes.values())))
            stored.changed_count = max(stored.changed_count, changed)
            stored.finished_at = now
            stored.save()


def close_idle_runs(*, now: datetime) -> None:
    """End the passes that have nothing left to read: their worker is gone, or their channel is not watched any more.

    A pass whose worker may still be at it, be it in the foreground over a channel that is not watched, is left alone:
    one that is younger than a lease, or with a lease that has not run out.
    """
    at_work = ListingWatch.objects.filter(channel=OuterRef("channel"), lease_until__gt=now)
    idle = PollRun.objects.filter(
        Q(~Exists(at_work), kind=PollRun.Kind.SCHEDULED, started_at__lte=now - LEASE)
        | Q(kind=PollRun.Kind.REQUESTED, started_at__lte=now - _REQUEST_LIFE),
        finished_at__isnull=True,
    )
    for run_id, channel_id, started_at, kind in idle.values_list("pk", "channel_id", "started_at", "kind"):
        is_scheduled = kind == PollRun.Kind.SCHEDULED
        close_run(run=Run(run_id, channel_id, started_at, is_scheduled), now=now)
