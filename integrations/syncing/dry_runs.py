"""Dry runs: what a run would change, kept to be looked at, and applied as far as it still holds."""

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

import orjson
from django.db import transaction
from django.db.models import Count, Max, Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext
from django_q.tasks import async_task

from catalog.database import among, copy_rows, parts, update_rows
from catalog.models import Channel, ChannelLocation, Listing, User
from catalog.services import audit
from catalog.stock.availability import Blocked, Step, StepKind, Target
from config import formatting
from integrations.connections import Unconnected, connector_for
from integrations.connectors import CONNECTORS
from integrations.connectors.errors import ConnectorError
from integrations.syncing import dirty, orders, runs, verifying
from integrations.syncing.guards import KNOWN, ZEROS, Zeroing
from integrations.syncing.models import ChannelSync, ListingSync, SyncItem, SyncRun
from integrations.syncing.rows import GUARD, MOVED, NOTHING_WANTED, Claim, State, Wanted
from integrations.syncing.scope import WHOLE, Scope, UnknownScope
from integrations.syncing.switching import refusal
from integrations.syncing.wanted import left_of, wanted_of
from monitoring.freshness import OF_LISTING

logger = logging.getLogger(__name__)

AT_ONCE = 2_000  # listings that are worked out while the person waits; more are left to a task
_LISTINGS_AT_ONCE = 1_000
_KNOWN_FOR = timedelta(hours=1)  # what was seen of a channel that nobody keeps up with
# Of a first dry run so much may have moved since it was looked at: a shop sells meanwhile.
_MOST_MOVED_PERCENT = 10
_FEWEST_MOVED = 5  # listings; so many may have in any case
_FIELDS = (
    "run",
    "listing",
    "location_id",
    "before",
    "wanted",
    "steps",
    "blocked",
    "version",
    "rule",
    "outcome",
    "created_at",
)

# By listing and location of what moved, whether it went to 0 as it was looked at and still does.
Moves = dict[tuple[int, str], bool]
# Outcomes of items: what would become of a listing.
ZERO, CHANGE, SAME, LEFT = "zero", "change", "same", "left"


class NotApplied(Exception):
    """A dry run that cannot be applied as it is, and what to do; nothing was changed."""


class Moved(NotApplied):
    """Too much of it is no longer as it was looked at."""


class ZerosNotAgreed(NotApplied):
    """It would set more listings to 0 than go without asking."""


class Applied(NamedTuple):
    """What came of a dry run: listings that are sent, and figures that moved and are worked out anew."""

    sent: int
    moved: int


class Change(NamedTuple):
    """What a listing shows at a location as far as we know (None: we do not), and what it would be made to show."""

    listing_id: int
    location_id: str
    now_shown: int | None
    wanted: Wanted

    @property
    def target(self) -> Target:
        return self.wanted.target

    @property
    def will_be(self) -> int | None:
        """None: it is left as it is."""
        return self.wanted.target.quantity

    @property
    def outcome(self) -> str:
        if self.will_be is None:
            return LEFT
        if self.will_be == self.now_shown:
            return SAME
        return CHANGE if self.will_be else ZERO

    def mark(self) -> tuple[object, ...]:
        """What is the same as long as nothing moved."""
        blocked = str(self.target.blocked or "")
        return self.now_shown, self.will_be, blocked, self.wanted.version, self.wanted.rule


@dataclass(frozen=True, slots=True)
class Figures:
    """Listings of a dry run by what would become of them; `unread` are among those that would change."""

    change: int  # to another figure than 0
    zero: int
    same: int
    left: int
    unread: int
    sellable: int  # showed stock, or nobody knows

    @property
    def changes(self) -> int:
        return self.change + self.zero

    @property
    def all(self) -> int:
        return self.changes + self.same + self.left


def make_dry_run(*, channel: Channel, scope: Scope = WHOLE, asked_by: User | None, now: datetime) -> SyncRun:
    """Work out what a run over the scope would change, and keep it. Nothing is sent.

    A large one is left to a task, and so is one before which the shop has to be asked; `ended_at` is set once it is
    whole. Raises UnknownScope.
    """
    total = _own(channel, scope).count()
    run = runs.open_run(channel, SyncRun.Kind.DRY, now=now, total=total, scope=scope.as_json(), asked_by=asked_by)
    if total <= AT_ONCE and not _asks_the_shop(channel):
        fill(run, now=now)
    else:
        transaction.on_commit(partial(async_task, "integrations.tasks.fill_dry_run", run.pk, cluster="interactive"))
    return run


def fill(run: SyncRun, *, now: datetime) -> int:
    """Work out what is still missing of a dry run, whoever began it; returns how many listings."""
    count = 0
    listings = _own(run.channel, Scope.from_json(run.scope))
    if run.ended_at is None and not run.items.exists() and _asks_the_shop(run.channel):
        _read_levels(run.channel, listings, now)
    while run.ended_at is None:
        with transaction.atomic():
            run.refresh_from_db(from_queryset=SyncRun.objects.select_for_update())  # one at a time
            last = run.items.aggregate(last=Max("listing"))["last"] or 0
            changes = _changes(run.channel, listings.filter(pk__gt=last), now)
            if run.ended_at is None:
                copy_rows(SyncItem, _FIELDS, [_row(run, change, now) for change in changes])
                count += len({change.listing_id for change in changes})
            if not changes:
                run.ended_at = run.ended_at or now
                run.save(update_fields=["ended_at"])
    return count


def changes_of(channel: Channel, *, scope: Scope = WHOLE, now: datetime) -> Iterator[Change]:
    """Every listing of the scope at every location; from what is stored, in constant statements for each thousand."""
    listings, last = _own(channel, scope), 0
    while changes := _changes(channel, listings.filter(pk__gt=last), now):
        yield from changes
        last = changes[-1].listing_id


def figures_of(run: SyncRun) -> Figures:
    will_change = Q(outcome__in=[ZERO, CHANGE])
    found = run.items.aggregate(
        change=Count("pk", filter=Q(outcome=CHANGE)),
        zero=Count("pk", filter=Q(outcome=ZERO)),
        same=Count("pk", filter=Q(outcome=SAME)),
        left=Count("pk", filter=Q(outcome=LEFT)),
        unread=Count("pk", filter=will_change & Q(before__isnull=True)),
        sellable=Count("pk", filter=~Q(outcome=LEFT) & (Q(before__gt=0) | Q(before__isnull=True))),
    )
    return Figures(**found)


def zeroing_of(run: SyncRun, figures: Figures, sync: ChannelSync) -> Zeroing:
    """What the run would set to 0, of the channel's listings that show stock."""
    rows = ListingSync.objects.filter(channel=run.channel_id).exclude(state=State.STOPPED).annotate(known=KNOWN)
    sellable = rows.filter(Q(known__isnull=True) | Q(known__gt=0)).count()
    return Zeroing(figures.zero, max(figures.sellable, sellable), sync.most_zeroed_percent)


def target_of(item: SyncItem) -> Target:
    """The target as it was worked out, to be told in words."""
    steps = tuple(Step(StepKind(kind), figure, units) for kind, figure, units in item.steps)
    return Target(item.wanted, steps, Blocked(item.blocked) if item.blocked else None)


def apply_dry_run(run: SyncRun, *, actor: User | None, now: datetime, zeros_agreed: bool = False) -> Applied:
    """Have the listings sent that it would change. The first of a whole channel confirms the channel.

    What moved since it was looked at is worked out anew, as it would be without this. `zeros_agreed`: the person was
    told how many go to 0; what goes to 0 only since then is for the guard to judge. Raises NotApplied, and changes
    nothing, where nothing of it holds, or where much of a first one does not.
    """
    with transaction.atomic():
        found = ChannelSync.objects.select_for_update().select_related("channel").filter(channel=run.channel_id)
        sync = found.first() or ChannelSync(channel=run.channel)  # off: it never was switched on
        run = SyncRun.objects.select_for_update().get(pk=run.pk)
        scope = Scope.from_json(run.scope)
        check(run, sync, scope)
        figures = figures_of(run)
        if zeroing_of(run, figures, sync).is_too_much and not zeros_agreed:
            raise ZerosNotAgreed(
                _("It would set %(count)s listings to 0. Agree to that, or leave it.")
                % {"count": formatting.count(figures.zero)}
            )
        moved = _moved_since(run, scope, now)
        _check_enough_holds(moved, figures, sync)
        if not sync.is_confirmed:
            ChannelSync.objects.filter(pk=sync.pk).update(is_confirmed=True)
        if moved:
            _work_out_anew(moved, now)
            orders.make_due([sync.pk], now=now)
        applied = Applied(sum(_send(run, ids, moved, now, zeros_agreed) for ids in _parts_of(run)), len(moved))
        if applied.sent:
            runs.open_run(
                sync.channel, SyncRun.Kind.RETRY, now=now, total=applied.sent, scope=run.scope, asked_by=actor
            )
        SyncRun.objects.filter(pk=run.pk).update(applied_at=now, applied_by=actor)
        told = {gettext_noop("listings changed"): [None, applied.sent]}
        if zeros := _count_zeros(run, moved, figures):
            told[ZEROS] = [None, zeros]
        audit(action="applied", obj=sync.channel, actor=actor, now=now, changes=told)
        transaction.on_commit(partial(async_task, "integrations.tasks.push_lane", cluster="interactive"))
    return applied


def check(run: SyncRun, sync: ChannelSync, scope: Scope) -> None:
    """Raises NotApplied where it could not be applied though nothing moved."""
    if run.kind != SyncRun.Kind.DRY or run.ended_at is None:
        raise NotApplied(_("It is still being worked out. Wait until it is whole."))
    if run.applied_at is not None:
        raise NotApplied(_("It was applied already. Make another dry run."))
    if not sync.is_on:
        raise NotApplied(_("Stock sync of the channel is off. Switch it on first."))
    if sync.is_paused:
        raise NotApplied(_("Stock sync of the channel is paused. Resume it first."))
    if not sync.is_confirmed and not scope.is_whole:
        raise NotApplied(_("The first dry run that is applied has to be about the whole channel."))
    if (reason := refusal(sync.channel)) is not None:
        raise NotApplied(str(reason))


def _moved_since(run: SyncRun, scope: Scope, now: datetime) -> Moves:
    """What is no longer as it was looked at; by listing and location, whether it went to 0 then and still does."""
    stored = run.items.order_by("listing", "location_id").values_list(
        "listing", "location_id", "before", "wanted", "blocked", "version", "rule"
    )
    try:
        changes = {(each.listing_id, each.location_id): each for each in changes_of(run.channel, scope=scope, now=now)}
    except UnknownScope as error:
        raise NotApplied(str(error)) from error
    were = {(listing_id, location_id): tuple(mark) for listing_id, location_id, *mark in stored.iterator()}
    moved: Moves = {}
    for key in {*changes, *were}:
        change, was = changes.get(key), were.get(key)
        will_be = change.will_be if change is not None else None
        wanted = was[1] if was is not None else None
        is_left = will_be is None and wanted is None
        if not is_left and (change is None or change.mark() != was):
            moved[key] = will_be == wanted == 0
    return moved


def _check_enough_holds(moved: Moves, figures: Figures, sync: ChannelSync) -> None:
    """Raises Moved where nothing of it holds, or where somebody would confirm a channel by what nobody looked at."""
    ours = figures.all - figures.left
    is_all = bool(moved) and len(moved) >= ours and not any(moved.values())
    is_much = len(moved) > _FEWEST_MOVED and len(moved) * 100 > _MOST_MOVED_PERCENT * ours
    if is_all or (is_much and not sync.is_confirmed):
        text = ngettext(
            "%(count)s figure is another one by now. Nothing was sent. Make another dry run.",
            "%(count)s figures are others by now. Nothing was sent. Make another dry run.",
            len(moved),
        )
        raise Moved(text % {"count": formatting.count(len(moved))})


def _work_out_anew(moved: Moves, now: datetime) -> None:
    """Have what moved sent as it is by now. Sales may have moved it, so orders are waited for; and what it shows is
    read where it is to be compared with."""
    for listing_ids in parts(sorted({listing_id for listing_id, _location_id in moved})):
        dirty.compare(listing_ids, now=now)  # makes the rows that are not there yet
        found = ListingSync.objects.filter(listing__in=among(listing_ids)).values_list("pk", "listing", "location_id")
        rows = ListingSync.objects.filter(pk__in=among([pk for pk, *key in found if tuple(key) in moved]))
        dirty.doubt(rows, now=now)
        rows.filter(state__in=[State.NEW, State.WAITING]).exclude(cause=GUARD).update(state=State.WAITING, cause=MOVED)
        dirty.make_due(rows, now=now)


def _parts_of(run: SyncRun) -> Iterator[list[int]]:
    """The listings of the run that are ours to write, a thousand at a time."""
    last = 0
    items = run.items.exclude(outcome=LEFT).order_by("listing").values_list("listing", flat=True).distinct()
    while found := list(items.filter(listing__gt=last)[:_LISTINGS_AT_ONCE]):
        yield found
        last = found[-1]


def _send(run: SyncRun, listing_ids: Sequence[int], moved: Moves, now: datetime, zeros_agreed: bool) -> int:
    """Send those of the listings that are as they were looked at; returns how many rows are to change."""
    ours = among(list(listing_ids))
    found = run.items.filter(listing__in=ours).exclude(outcome=LEFT)
    items = list(found.values_list("listing", "location_id", "before", "outcome"))
    if ListingSync.objects.filter(listing__in=ours).count() < len(items):
        dirty.compare(listing_ids, now=now)  # makes the rows that are not there yet
    locked = ListingSync.objects.select_for_update().filter(listing__in=ours).order_by("pk")
    columns = locked.values_list("listing", "location_id", "pk", "confirmed", "state", "lease_token")
    rows: dict[Any, Any] = {(listing_id, location_id): row for listing_id, location_id, *row in columns}
    seen, changed, zeros, all_keys = [], [], [], []
    for listing_id, location_id, before, outcome in items:
        key = listing_id, location_id
        pk, confirmed, state, token = rows.get(key, (None, None, "", None))
        if pk is None:
            continue
        if outcome == ZERO and moved.get(key, True):
            zeros.append(pk)
        if key in moved:
            continue
        # What was looked at is what is compared with when it is written; what was not known then is read first.
        if before != confirmed and state != State.SENT and token is None:
            seen.append((pk, before, None if before is None else run.started_at))
        all_keys.append(pk)
        if outcome != SAME:
            changed.append(pk)
    update_rows(ListingSync, "id", ["confirmed", "confirmed_at"], seen)
    asked = ListingSync.objects.filter(pk__in=among(changed)).exclude(state=State.SENT)
    asked.update(state=State.WAITING, cause="", problem="")
    if zeros_agreed:
        ListingSync.objects.filter(pk__in=among(zeros)).update(zero_agreed_at=now)
    # What shows its target already is noted as in step, without a call.
    dirty.make_due(ListingSync.objects.filter(pk__in=among(all_keys)), now=now)
    return len(changed)


def _count_zeros(run: SyncRun, moved: Moves, figures: Figures) -> int:
    """How many listings go to 0 as they were looked at."""
    if not moved:
        return figures.zero
    zeros = run.items.filter(outcome=ZERO).values_list("listing", "location_id")
    return sum(moved.get(key, True) for key in zeros.iterator())


def _own(channel: Channel, scope: Scope) -> QuerySet[Listing]:
    return scope.listings(channel).filter(removed_at__isnull=True, ownership=Listing.Ownership.OWN)


def _asks_the_shop(channel: Channel) -> bool:
    """Whether readings of listings do not tell what its locations show, and nobody keeps up with them yet."""
    if not CONNECTORS[channel.platform].has_locations or _keeps_up(channel):
        return False
    is_on = ChannelSync.objects.filter(channel=channel, is_on=True).exists()
    return is_on and ChannelLocation.objects.filter(channel=channel).exclude(location_id="").exists()


def _keeps_up(channel: Channel) -> bool:
    """Whether what rows say was seen is followed, so that it holds however long ago it was."""
    return ChannelSync.objects.filter(channel=channel, is_on=True, is_confirmed=True, is_paused=False).exists()


def _read_levels(channel: Channel, listings: QuerySet[Listing], now: datetime) -> None:
    """Note what each location shows. What the shop does not tell stays as not known as it is."""
    keys = list(listings.order_by("pk").values_list("pk", flat=True))
    try:
        connector = connector_for(channel)
        for start in range(0, len(keys), _LISTINGS_AT_ONCE):
            some = keys[start : start + _LISTINGS_AT_ONCE]
            dirty.compare(some, now=now)  # makes the rows that are not there yet
            rows = ListingSync.objects.filter(listing__in=among(some)).exclude(location_id="")
            claims = [_claim(row) for row in rows.select_related("listing")]
            seen = [(each.pk, each.shown, each.at) for each in verifying.look(connector, claims, now)]
            update_rows(ListingSync, "id", ["confirmed", "confirmed_at"], [row for row in seen if row[1] is not None])
    except (ConnectorError, Unconnected) as error:
        logger.warning("channel %s: its locations were not read before a dry run: %s", channel.pk, error.cause)


def _claim(row: ListingSync) -> Claim:
    """The row as it is asked for, without a lease: nobody else is at rows of a channel that is not confirmed."""
    of_listing = row.listing
    return Claim(
        pk=row.pk,
        listing_id=row.listing_id,
        item_id=of_listing.platform_item_id,
        sku_id=of_listing.platform_sku_id,
        stock_id=of_listing.platform_stock_id,
        location_id=row.location_id,
        state=row.state,
        cause=row.cause,
        attempts=row.attempts,
        wanted=row.wanted,
        pushed=row.pushed,
        confirmed=row.confirmed,
        synced_version=row.synced_version,
        synced_rule=row.synced_rule,
    )


def _changes(channel: Channel, listings: QuerySet[Listing], now: datetime) -> list[Change]:
    """Of the first thousand of the listings, in the order of their keys."""
    keys = list(listings.order_by("pk").values_list("pk", flat=True)[:_LISTINGS_AT_ONCE])
    if not keys:
        return []
    ours = among(keys)
    fresh = Listing.objects.filter(OF_LISTING.fresh(now), pk__in=ours, stock__isnull=False)
    facts: list[tuple[int, Any, Any]] = list(fresh.values_list("pk", "stock", "watch__read_at"))
    read = {pk: (stock, read_at) for pk, stock, read_at in facts}
    stored = ListingSync.objects.filter(listing__in=ours).exclude(state=State.STOPPED)
    if not _keeps_up(channel):
        stored = stored.filter(confirmed_at__gt=now - _KNOWN_FOR)
    rows = {(row.listing_id, row.location_id): row for row in stored}
    wanted = wanted_of(keys)
    left = left_of(wanted, ListingSync.objects.filter(listing__in=ours).exclude(state=State.STOPPED))
    wanted |= {key: each for key, each in left.items() if each.target.quantity is not None}
    places = _places(wanted)
    return [
        Change(
            listing_id,
            location_id,
            _shown(read.get(listing_id), location_id, rows.get((listing_id, location_id))),
            wanted.get((listing_id, location_id), NOTHING_WANTED),
        )
        for listing_id in keys
        for location_id in sorted(places.get(listing_id, []))
    ]


def _places(keys: Collection[tuple[int, str]]) -> dict[int, list[str]]:
    places: dict[int, list[str]] = {}
    for listing_id, location_id in keys:
        places.setdefault(listing_id, []).append(location_id)
    return places


def _shown(read: tuple[int, datetime] | None, location_id: str, row: ListingSync | None) -> int | None:
    """What it shows there: what we sent or saw last, or a reading since. A reading is the sum of all locations."""
    if row is not None and row.state == State.SENT:
        return row.pushed
    confirmed = row.confirmed if row is not None else None
    if read is None or location_id:
        return confirmed
    stock, read_at = read
    is_older = row is not None and row.confirmed_at is not None and row.confirmed_at >= read_at
    return confirmed if is_older and confirmed is not None else stock


def _row(run: SyncRun, change: Change, now: datetime) -> tuple[object, ...]:
    steps = orjson.dumps([tuple(step) for step in change.target.steps]).decode()
    blocked = str(change.target.blocked or "")
    return (
        run.pk,
        change.listing_id,
        change.location_id,
        change.now_shown,
        change.will_be,
        steps,
        blocked,
        change.wanted.version,
        change.wanted.rule,
        change.outcome,
        now,
    )
