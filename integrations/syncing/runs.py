"""The log: a run over a channel, what it wanted of each listing, and each figure on its way."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import chain, repeat
from typing import Any

import orjson
from django.db.models import F, OuterRef, Subquery

from catalog.database import among, copy_rows, insert_new, update_rows
from catalog.models import Channel, User
from catalog.stock.availability import Step
from integrations.syncing.models import ChannelSync, ListingSync, SyncAttempt, SyncCall, SyncItem, SyncRun
from integrations.syncing.rows import Claim, Result, Standing, Status, Wanted

_PUSH, _LOOK = SyncAttempt.Kind.PUSH.value, SyncAttempt.Kind.LOOK.value
_LONGEST_CAUSE = 60
_LONGEST_CODE = 120
_LONGEST_MS = 2**31 - 1  # what the column holds: 24 days
_ABANDONED_AFTER = timedelta(minutes=10)  # a run of changes lasts as long as its slice
_ITEM_FIELDS = (
    "run",
    "listing",
    "location_id",
    "before",
    "wanted",
    "steps",
    "blocked",
    "version",
    "outcome",
    "confirmed_after_ms",
    "created_at",
    "call",
    "shown",
)
_CALL_FIELDS = ("run", "sent_at", "duration_ms", "key", "is_compared", "status")
_ATTEMPT_FIELDS = (
    "item",
    "kind",
    "sent_at",
    "duration_ms",
    "key",
    "expected",
    "quantity",
    "shown",
    "status",
    "error_class",
    "cause",
    "code",
)
_OUTCOMES = {
    Status.APPLIED: "sent",
    Status.ACCEPTED: "sent",
    Status.READ: "unchanged",
    Status.UNCHANGED: "unchanged",
    Status.KEPT: "unchanged",
    Status.STOPPED: "unchanged",
    Status.POSTPONED: "unchanged",
    Status.HELD: "unchanged",
    Status.REFUSED: "refused",
}


def outcome_of(result: Result) -> str:
    """sent, unchanged, refused or failed: what a run counts."""
    return _OUTCOMES.get(result.status, "failed")


def open_run(
    channel: Channel,
    kind: SyncRun.Kind,
    *,
    now: datetime,
    total: int = 0,
    scope: Mapping[str, Any] | None = None,
    asked_by: User | None = None,
) -> SyncRun:
    return SyncRun.objects.create(
        channel=channel, kind=kind, started_at=now, total=total, scope=dict(scope or {}), asked_by=asked_by
    )


def asked_run(channel: Channel) -> SyncRun | None:
    """The full run, or the one that somebody asked for, that the channel's lane is to work on; None: only changes."""
    kinds = [SyncRun.Kind.FULL, SyncRun.Kind.RETRY]
    return SyncRun.objects.filter(channel=channel, kind__in=kinds, ended_at__isnull=True).order_by("pk").first()


def end_run(run: SyncRun, *, now: datetime) -> None:
    SyncRun.objects.filter(pk=run.pk, ended_at__isnull=True).update(ended_at=now)
    field = "full_at" if run.kind == SyncRun.Kind.FULL and not run.scope else "incremental_at"
    ChannelSync.objects.filter(channel=run.channel_id).update(**{field: now})


def end_abandoned_runs(*, now: datetime) -> int:
    """End the runs of changes whose worker was lost; returns how many."""
    kinds = [SyncRun.Kind.INCREMENTAL]
    lost = SyncRun.objects.filter(kind__in=kinds, ended_at__isnull=True, started_at__lte=now - _ABANDONED_AFTER)
    return lost.update(ended_at=now)


def count(run: SyncRun, counts: Mapping[str, int]) -> None:
    """Add to what the run has done so far, whoever else is at it."""
    added = {name: F(name) + counts[name] for name in ("sent", "unchanged", "refused", "failed") if counts.get(name)}
    if run.kind == SyncRun.Kind.INCREMENTAL:
        added["total"] = F("total") + sum(counts.values())
    if added:
        SyncRun.objects.filter(pk=run.pk).update(**added)


def note_stop(run: SyncRun, cause: str) -> None:
    """Part of the run waits for a person."""
    SyncRun.objects.filter(pk=run.pk).update(stopped_cause=cause)


@lru_cache(maxsize=10_000)
def _as_text(steps: Sequence[Step]) -> str:
    return orjson.dumps([tuple(step) for step in steps]).decode()


def log_pushes(
    run: SyncRun,
    plain: Sequence[tuple[Claim, Wanted, Result]],
    pushes: Sequence[tuple[Claim, Wanted, Result, int | None]],
    *,
    now: datetime,
) -> None:
    """An item for each listing that a call was made for, and its attempts: of the rows in `plain`, which were sent as
    they should, the call itself is kept. `pushes` have confirmed_after_ms() where it was seen there already."""
    texts: dict[int, str] = {}  # of the steps, by target: many rows have the same one
    call_ids = _calls(run, [result for _claim, _wanted, result in plain])
    told: Iterable[tuple[tuple[Claim, Wanted, Result], int | None, int | None]] = chain(
        zip(plain, call_ids, repeat(None)), ((each[:3], None, each[3]) for each in pushes)
    )
    rows = [
        (
            run.pk,
            claim.listing_id,
            claim.location_id,
            claim.shown,
            wanted.target.quantity,
            texts.get(id(wanted.target)) or texts.setdefault(id(wanted.target), _as_text(wanted.target.steps)),
            "",
            wanted.version,
            outcome_of(result),
            after_ms,
            now,
            call_id,
            result.shown,
        )
        for (claim, wanted, result), call_id, after_ms in told
    ]
    item_ids = sorted(insert_new(SyncItem, _ITEM_FIELDS, rows))  # in the order of the rows
    attempts = []
    for item_id, (_claim, _wanted, result, _after_ms) in zip(item_ids[len(plain) :], pushes, strict=True):
        attempts += [_attempt(item_id, look, _LOOK, now) for look in result.looks]
        if result.status is not Status.READ and (result.quantity is not None or not result.looks):
            attempts.append(_attempt(item_id, result, _PUSH, now))
    copy_rows(SyncAttempt, _ATTEMPT_FIELDS, attempts)


def _calls(run: SyncRun, results: Sequence[Result]) -> list[int]:
    """A new call for those that were made with one; its key for each of the results."""
    names = [(each.key, each.at, each.status, each.expected is not None) for each in results]
    told = dict(zip(names, results, strict=True))
    rows = [
        (run.pk, at, told[key, at, status, is_compared].duration_ms, key, is_compared, status)
        for key, at, status, is_compared in told
    ]
    call_ids = dict(zip(told, sorted(insert_new(SyncCall, _CALL_FIELDS, rows)), strict=True))
    return [call_ids[name] for name in names]


def attempts_of(items: Sequence[SyncItem]) -> dict[int, list[SyncAttempt]]:
    """By item, in the order in which they were made. Two queries."""
    calls = SyncCall.objects.in_bulk({item.call_id for item in items if item.call_id is not None})
    found: dict[int, list[SyncAttempt]] = {item.pk: [] for item in items}
    for item in items:
        call = calls.get(item.call_id) if item.call_id is not None else None
        if call is not None:
            first = SyncAttempt(
                item=item,
                kind=_PUSH,
                sent_at=call.sent_at,
                duration_ms=call.duration_ms,
                key=call.key,
                expected=item.before if call.is_compared else None,
                quantity=item.wanted,
                shown=item.shown,
                status=call.status,
            )
            found[item.pk].append(first)
    for attempt in SyncAttempt.objects.filter(item__in=list(found)).order_by("pk"):
        found[attempt.item_id].append(attempt)
    return found


def confirmed_after_ms(before: Standing, result: Result) -> int | None:
    """From when the target was found to differ until it was seen there; None where it did not differ."""
    if before.changed_at is None or result.at is None:
        return None
    return min(max((result.at - before.changed_at) // timedelta(milliseconds=1), 0), _LONGEST_MS)


def log_looks(looks: Sequence[tuple[Claim, Result, str, int | None]], *, now: datetime) -> None:
    """Each look as an attempt of the last item of its listing; `looks` have the outcome that the item has by it, and
    confirmed_after_ms() where it is that.

    A listing that nothing was ever sent for has none, and its look is not kept.
    """
    # Row by row from the newest on, by the index: the log of a listing only grows.
    items = SyncItem.objects.filter(listing=OuterRef("listing"), location_id=OuterRef("location_id"))
    last = items.exclude(run__kind=SyncRun.Kind.DRY)  # of which nothing was sent
    rows = ListingSync.objects.filter(pk__in=among([claim.pk for claim, _result, _outcome, _after in looks]))
    found = dict(rows.values_list("pk", Subquery(last.order_by("-pk").values("pk")[:1])))
    attempts: list[tuple[Any, ...]] = []
    by_outcome: dict[str, list[int]] = {}
    confirmed: list[tuple[int, int]] = []
    for claim, result, outcome, after_ms in looks:
        item_id = found.get(claim.pk)
        if item_id is not None:
            attempts.append(_attempt(item_id, result, _LOOK, now))
            by_outcome.setdefault(outcome, []).append(item_id)
            if after_ms is not None:
                confirmed.append((item_id, after_ms))
    copy_rows(SyncAttempt, _ATTEMPT_FIELDS, attempts)
    for outcome, item_ids in by_outcome.items():
        if outcome:
            SyncItem.objects.filter(pk__in=among(item_ids)).update(outcome=outcome)
    update_rows(SyncItem, "id", ("confirmed_after_ms",), confirmed)


def _attempt(item_id: int, result: Result, kind: str, now: datetime) -> tuple[Any, ...]:
    return (
        item_id,
        kind,
        result.at or now,
        result.duration_ms,
        result.key,
        result.expected,
        result.quantity,
        result.shown,
        result.status,
        result.error_class,
        result.cause[:_LONGEST_CAUSE],
        result.code[:_LONGEST_CODE],
    )


def counted(results: Sequence[Result]) -> Counter[str]:
    return Counter(outcome_of(result) for result in results)
