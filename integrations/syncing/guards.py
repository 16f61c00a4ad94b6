"""The guard of zeros: what would set too many listings of a channel to 0 waits until a person has looked.

It judges the channel, not a run or a chunk, so that many small steps come to the same as a large one: what is due and
wants to be 0, what waits for a decision already, and what was set to 0 within the last hour. Figures above 0 pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Case, Count, F, IntegerField, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_noop

from catalog.database import among
from catalog.models import Channel, User
from catalog.services import audit
from integrations.syncing.models import ChannelSync, ListingSync
from integrations.syncing.rows import GUARD, State
from integrations.syncing.wanted import left_of, wanted_of

WINDOW = timedelta(hours=1)
AGREED_FOR = timedelta(days=1)  # what a person agreed to is not asked again meanwhile, however slow the shop is
FEWEST = 5  # listings; fewer are sold out every day


@dataclass(frozen=True, slots=True)
class Zeroing:
    """How many listings go to 0, and how many showed stock; what nobody knows the figure of may show some."""

    zeros: int
    sellable: int
    most_percent: int  # that go without asking

    @property
    def is_too_much(self) -> bool:
        return self.zeros >= FEWEST and self.zeros * 100 > self.most_percent * self.sellable


class Guard:
    """The judgements of one slice: a channel is judged once, and again when more want to be 0 than were found then."""

    def __init__(self) -> None:
        self._passed: dict[int, int] = {}  # zeros that may still go, by channel
        self._asks: set[int] = set()

    def held(self, channel_id: int, keys: Sequence[int], now: datetime) -> set[int]:
        """Those of these rows, which were claimed and want to be 0, that wait for a person."""
        rows = _open(ListingSync.objects.filter(pk__in=among(keys)), now)
        zeros = set(rows.values_list("pk", flat=True))
        if not zeros:
            return zeros
        if channel_id not in self._asks and self._passed.get(channel_id, 0) < len(zeros):
            zeroing = judge(channel_id, now)
            if zeroing.is_too_much:
                self._asks.add(channel_id)
            else:
                self._passed[channel_id] = zeroing.zeros
        if channel_id in self._asks:
            return zeros
        self._passed[channel_id] -= len(zeros)
        return set()


def judge(channel_id: int, now: datetime) -> Zeroing:
    """What goes to 0 on the channel, in constant statements; targets are only worked out where they could matter."""
    percent = ChannelSync.objects.values_list("most_zeroed_percent", flat=True).get(channel=channel_id)
    rows = ListingSync.objects.filter(channel=channel_id)
    due = _open(rows.filter(due_at__isnull=False), now)
    settled = _not_agreed(rows.filter(due_at__isnull=True), now)
    is_recent = Q(pushed=0, pushed_at__gt=now - WINDOW)
    gone = settled.filter(is_recent | IS_HELD).count()
    shown = (
        rows.annotate(known=KNOWN)
        .exclude(Q(state=State.STOPPED) & Q(due_at__isnull=True))
        .aggregate(sellable=Count("pk", filter=Q(known__isnull=True) | Q(known__gt=0) | is_recent), due=Count("due_at"))
    )
    at_most = Zeroing(gone + shown["due"], shown["sellable"], percent)
    if not at_most.is_too_much:
        return at_most
    return Zeroing(gone + _count_zeros(due), shown["sellable"], percent)


def held_rows(channel: Channel) -> QuerySet[ListingSync]:
    """The rows of the channel that wait for a decision."""
    return ListingSync.objects.filter(IS_HELD, channel=channel)


def judge_anew(channel: Channel, *, now: datetime) -> int:
    """Have what is held looked at again; returns how many listings."""
    return held_rows(channel).filter(due_at__isnull=True).update(due_at=now)


def leave(*, channel: Channel, reason: str, actor: User | None, now: datetime) -> int:
    """Leave what is held as the shop has it, until its target is another one; returns how many listings."""
    with transaction.atomic():
        keys = list(held_rows(channel).select_for_update().order_by("pk").values_list("pk", flat=True))
        rows = ListingSync.objects.filter(pk__in=among(keys))
        rows.update(state=State.DISMISSED, problem=reason.replace("\0", "").strip()[:200], due_at=None)
        if keys:
            audit(action="rejected", obj=channel, actor=actor, now=now, changes={ZEROS: [None, len(keys)]})
    return len(keys)


ZEROS = gettext_noop("listings to 0")  # in the audit log

# What the platform shows as far as we know; where nothing was sent yet, or not lately, what was read of the listing.
_SENT_OR_SEEN = Case(
    When(state=State.SENT, then=F("pushed")),
    When(state=State.STOPPED, then=Value(None)),
    default=F("confirmed"),
    output_field=IntegerField(),
)
KNOWN = Coalesce(_SENT_OR_SEEN, F("listing__stock"))
IS_HELD = Q(state=State.WAITING, cause=GUARD)


def _not_agreed(rows: QuerySet[ListingSync], now: datetime) -> QuerySet[ListingSync]:
    return rows.filter(Q(zero_agreed_at__isnull=True) | Q(zero_agreed_at__lte=now - AGREED_FOR))


def _open(rows: QuerySet[ListingSync], now: datetime) -> QuerySet[ListingSync]:
    """Those that may show stock, and that nobody has agreed to set to 0."""
    return _not_agreed(rows, now).annotate(known=KNOWN).filter(Q(known__isnull=True) | ~Q(known=0))


def _count_zeros(rows: QuerySet[ListingSync]) -> int:
    """Those of the rows whose target is 0 and would be sent."""
    columns = ("listing_id", "location_id", "state", "cause", "wanted", "pushed", "confirmed")
    found: list[Any] = list(rows.values_list(*columns, named=True))
    wanted = wanted_of(sorted({row.listing_id for row in found}))
    wanted |= left_of(wanted, found)
    zeros = {key for key, each in wanted.items() if each.target.quantity == 0}
    return sum((row.listing_id, row.location_id) in zeros and not _is_kept(row.state, row.wanted) for row in found)


def _is_kept(state: str, wanted: int | None) -> bool:
    """Whether a row whose target is 0 is not sent again, since that was refused or dismissed."""
    return state in _KEPT and wanted == 0


_KEPT = {State.REFUSED, State.DISMISSED}
