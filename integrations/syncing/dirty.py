"""Which rows are behind: marked at once when stock moves, and found by comparing where a mark was lost."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from functools import partial

from django.db import transaction
from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, Subquery, Sum, Value, When
from django.db.models.functions import Coalesce
from django_q.tasks import async_task

from catalog.database import among, parts
from catalog.models import Channel, Listing, User
from catalog.services import audit_each
from integrations.syncing import runs
from integrations.syncing.models import ChannelSync, ListingSync, SyncRun
from integrations.syncing.rows import GUARD, State, Wanted
from integrations.syncing.scope import WHOLE, Scope
from integrations.syncing.wanted import left_of, wanted_of

LONGEST_REASON = 200  # characters
_LISTINGS_AT_ONCE = 2_000
_ENDED = (State.REFUSED, State.FAILED, State.DISMISSED)
_UNSENT = (State.NEW, State.WAITING)


def mark_dirty(sku_ids: Collection[int], *, now: datetime) -> int:
    """What can be sold of these SKUs changed: their listings are due, where sync is on; returns how many rows."""
    return sum(make_due(_on().filter(listing__sku__in=among(some)), now) for some in parts(sorted(sku_ids)))


def retry(rows: QuerySet[ListingSync], *, actor: User | None, now: datetime) -> int:
    """Send those of the rows at once that were refused, failed or dismissed, or wait for a later try; returns how many.

    Rows that are being sent, in step or left alone stay as they are, and so does what is not ours to write just now.
    """
    count = 0
    for some in parts(sorted(rows.order_by().values_list("pk", flat=True))):
        with transaction.atomic():
            asked = _locked_rows(retriable(ListingSync.objects.filter(pk__in=among(some)), now=now))
            chosen = ListingSync.objects.filter(pk__in=among([row.pk for row in asked]))
            # As if nothing were known of them: they are read, and sent where they differ.
            chosen.update(state=State.WAITING, cause="", problem="", attempts=1, confirmed=None)
            count += make_due(chosen, now)
            _tell_retried(asked, actor, now)
    return count


def retriable(rows: QuerySet[ListingSync], *, now: datetime) -> QuerySet[ListingSync]:
    """Those of the rows that sending again can help."""
    is_later = Q(state__in=_UNSENT) & (Q(due_at__isnull=True) | Q(due_at__gt=now)) & ~Q(cause=GUARD)
    is_later &= Q(lease_until__isnull=True) | Q(lease_until__lte=now)
    return rows.filter(Q(state__in=_ENDED) | is_later, Exists(writable().filter(channel=OuterRef("channel"))))


def dismiss(rows: QuerySet[ListingSync], *, reason: str, actor: User | None, now: datetime) -> int:
    """A person says that it is all right that these show something else; returns how many were refused or failed.

    They are left alone until their target changes. Raises ValueError without a reason.
    """
    reason = reason.replace("\0", "").strip()[:LONGEST_REASON]
    if not reason:
        raise ValueError("a dismissal needs a reason")
    count = 0
    for some in parts(sorted(rows.order_by().values_list("pk", flat=True))):
        with transaction.atomic():
            chosen = _locked_rows(dismissible(ListingSync.objects.filter(pk__in=among(some))))
            # What is due is looked at once more, finds its target unchanged, and is let be.
            pks = [row.pk for row in chosen]
            ListingSync.objects.filter(pk__in=among(pks)).update(state=State.DISMISSED, problem=reason)
            count += len(chosen)
            audit_each(
                action="dismissed",
                changed=(
                    (row, {"state": [row.state, State.DISMISSED.value], "problem": ["", reason]}) for row in chosen
                ),
                actor=actor,
                now=now,
            )
    return count


def dismissible(rows: QuerySet[ListingSync]) -> QuerySet[ListingSync]:
    """Those of the rows that were refused, or failed."""
    return rows.filter(state__in=[State.REFUSED, State.FAILED])


def _tell_retried(rows: Sequence[ListingSync], actor: User | None, now: datetime) -> None:
    """Into the log of runs and of deeds, and to the lane once all this is committed."""
    if not rows:
        return
    numbers = Counter(row.channel_id for row in rows)
    for channel in Channel.objects.filter(pk__in=numbers).order_by("pk"):
        running = runs.asked_run(channel)
        if running is None:
            runs.open_run(channel, SyncRun.Kind.RETRY, now=now, total=numbers[channel.pk], asked_by=actor)
        elif running.kind == SyncRun.Kind.RETRY:  # what is under way sends these, too
            SyncRun.objects.filter(pk=running.pk).update(total=F("total") + numbers[channel.pk])
    audit_each(
        action="retried",
        changed=((row, {"state": [row.state, State.WAITING.value], "problem": [row.problem, ""]}) for row in rows),
        actor=actor,
        now=now,
    )
    transaction.on_commit(partial(async_task, "integrations.tasks.push_lane", cluster="interactive"))


def sweep(*, now: datetime, channel_ids: Collection[int] | None = None) -> int:
    """Compare every listing with its target, on channels whose sync is on; returns how many rows are newly due.

    Rows are made for listings that have none. What a reading saw differently from what we saw is read back.
    """
    on = ChannelSync.objects.filter(is_on=True)
    if channel_ids is not None:
        on = on.filter(channel__in=channel_ids)
    found = 0
    for channel_id in on.order_by("channel").values_list("channel", flat=True):
        found += sum(compare(listing_ids, now=now) for listing_ids in _listing_ids(channel_id))
        found += _doubt_what_was_seen(channel_id, now)
    return found


def compare(listing_ids: Sequence[int], *, now: datetime) -> int:
    """Make those of these listings due that are behind their targets; returns how many rows."""
    synced = Listing.objects.filter(pk__in=among(list(listing_ids)), channel__sync__is_on=True)
    channel_of = dict(synced.values_list("pk", "channel"))
    if not channel_of:
        return 0
    wanted = wanted_of(sorted(channel_of))
    stored = ListingSync.objects.filter(listing__in=among(sorted(channel_of)))
    rows = {(row.listing_id, row.location_id): row for row in stored}
    wanted |= left_of(wanted, rows.values())
    new = [
        ListingSync(
            listing_id=listing_id,
            channel_id=channel_of[listing_id],
            location_id=location_id,
            due_at=now,
            changed_at=now,
        )
        for (listing_id, location_id), each in wanted.items()
        if (listing_id, location_id) not in rows and each.target.quantity is not None
    ]
    ListingSync.objects.bulk_create(new, ignore_conflicts=True)
    behind = [row.pk for key, row in rows.items() if row.due_at is None and _is_behind(row, wanted.get(key))]
    return len(new) + make_due(ListingSync.objects.filter(pk__in=among(behind)), now)


def begin_full(channel: Channel, *, scope: Scope = WHOLE, asked_by: User | None = None, now: datetime) -> SyncRun:
    """Compare everything of the scope, and read all of it back: what does not show its target is sent again.

    Raises UnknownScope.
    """
    running = runs.asked_run(channel)
    if running is not None and running.kind == SyncRun.Kind.FULL and running.scope in ({}, scope.as_json()):
        return running
    rows = _on().filter(channel=channel).exclude(state=State.STOPPED)
    if scope.is_whole:
        sweep(now=now, channel_ids=[channel.pk])
    else:
        chosen = sorted(scope.listings(channel).values_list("pk", flat=True))
        for some in parts(chosen):
            compare(some, now=now)
        rows = rows.filter(listing__in=among(chosen))
    total = rows.update(verify_at=now)
    return runs.open_run(channel, SyncRun.Kind.FULL, now=now, total=total, scope=scope.as_json(), asked_by=asked_by)


def full(*, now: datetime) -> int:
    """A full run of each channel that is synced; returns how many."""
    channels = Channel.objects.filter(sync__is_on=True, sync__is_confirmed=True, sync__is_paused=False)
    return len([begin_full(channel, now=now) for channel in channels.order_by("pk")])


def writable() -> QuerySet[ChannelSync]:
    """The channels whose stock may be written now."""
    on = ChannelSync.objects.filter(is_on=True, is_confirmed=True, is_paused=False)
    return on.exclude(channel__credential__reads_only=True)


def _on() -> QuerySet[ListingSync]:
    on = ChannelSync.objects.filter(channel=OuterRef("channel"), is_on=True)
    return ListingSync.objects.filter(Exists(on))


def _listing_ids(channel_id: int) -> Iterator[list[int]]:
    """The listings of the channel that are ours to write, and those that were until now."""
    has_rows = Exists(ListingSync.objects.filter(listing=OuterRef("pk")))
    ours = Q(removed_at__isnull=True, sku__isnull=False, ownership=Listing.Ownership.OWN)
    last = 0
    while True:
        listings = Listing.objects.filter(ours | has_rows, channel=channel_id, pk__gt=last).order_by("pk")
        found = list(listings.values_list("pk", flat=True)[:_LISTINGS_AT_ONCE])
        if not found:
            return
        yield found
        last = found[-1]


def _is_behind(row: ListingSync, wanted: Wanted | None) -> bool:
    quantity = wanted.target.quantity if wanted is not None else None
    if wanted is None or quantity is None:
        blocked = str(wanted.target.blocked or "") if wanted is not None else row.cause
        return row.state != State.STOPPED or row.cause != blocked
    if row.state in {State.REFUSED, State.DISMISSED}:
        return quantity != row.wanted
    if row.state == State.FAILED and row.verify_at is None:
        return True  # nothing else would try it again
    is_synced = row.synced_version >= wanted.version and row.synced_rule == wanted.rule
    # What is held back is judged again: the others it was held with may have stock by now.
    return row.state == State.STOPPED or row.cause == GUARD or quantity != row.wanted or not is_synced


def _doubt_what_was_seen(channel_id: int, now: datetime) -> int:
    """Read back what a later reading saw differently: somebody sold it, or wrote it by hand.

    A reading tells the sum of all locations. Those that are not ours to write are part of it, so that a shop which has
    some is read back whenever a reading brings something new.
    """
    of_listing = ListingSync.objects.filter(listing=OuterRef("listing")).exclude(state=State.STOPPED).order_by()
    total = Subquery(of_listing.values("listing").annotate(total=Sum("confirmed")).values("total"))
    rows = ListingSync.objects.filter(
        channel=channel_id,
        state=State.IN_SYNC,
        verify_at__isnull=True,
        listing__stock__isnull=False,
        listing__observed_at__gt=F("confirmed_at"),
    ).exclude(listing__stock=total)
    with transaction.atomic():
        return ListingSync.objects.filter(pk__in=among(_locked(rows))).update(verify_at=now)


def doubt_listings(listing_ids: Collection[int], *, now: datetime) -> int:
    """What their shops show of these listings has moved there; returns how many rows. In the transaction of what says
    so, since nobody says it again."""
    some = ListingSync.objects.filter(listing__in=among(sorted(listing_ids)))
    return doubt(some, now=now) if listing_ids else 0


def doubt(rows: QuerySet[ListingSync], *, now: datetime) -> int:
    """Others may have changed what these show: it counts as not known until it is read back; returns how many rows.

    What is on its way stays noted as such and is read back anyway; what is left alone is not read.
    """
    with transaction.atomic():
        doubted = ListingSync.objects.filter(pk__in=among(_locked(rows)))
        is_looked_at = Q(state=State.SENT, verify_at__gt=now)
        return doubted.update(
            confirmed=None,
            state=Case(When(state=State.IN_SYNC, then=Value(State.WAITING)), default=F("state")),
            verify_at=Case(When(is_looked_at | Q(state=State.STOPPED), then=F("verify_at")), default=Value(now)),
        )


def make_due(rows: QuerySet[ListingSync], now: datetime) -> int:
    """Have these rows worked out now. A figure that is on its way stays noted as such."""
    with transaction.atomic():
        due = ListingSync.objects.filter(pk__in=among(_locked(rows)))
        is_later = Q(due_at__isnull=True) | Q(due_at__gt=now)
        return due.update(
            due_at=Case(When(is_later, then=Value(now)), default=F("due_at")),
            state=Case(When(state=State.IN_SYNC, then=Value(State.WAITING)), default=F("state")),
            changed_at=Coalesce("changed_at", Value(now)),
        )


def _locked_rows(rows: QuerySet[ListingSync]) -> list[ListingSync]:
    """As they stand once nobody else can change them, with what the audit log calls them by."""
    return list(rows.select_related("listing").select_for_update(of=("self",)).order_by("pk"))


def _locked(rows: QuerySet[ListingSync]) -> list[int]:
    """Their keys; everyone locks rows in the order of their keys, so that nobody waits in a circle."""
    return list(rows.select_for_update(of=("self",)).order_by("pk").values_list("pk", flat=True))
