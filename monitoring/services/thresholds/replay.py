"""What a threshold would have done: the same steps over the history that is kept."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import itemgetter

from catalog.models import User
from monitoring.models import Threshold
from monitoring.services.thresholds.figures import listings_of, place_of, rule_of, value_among, value_text
from monitoring.services.thresholds.past import baselines_of, change_points, history_before
from monitoring.services.watching import microseconds
from monitoring.thresholds.rules import READING_KINDS, Move, Rule, State, step

PREVIEW_DAYS = 30
# A preview takes up no further listings after so many change points.
_PREVIEW_ROWS = 300_000
_PREVIEW_LISTINGS = 500
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Firing:
    """One alert that there would have been. Values are as in the alert."""

    listing_id: int
    at: datetime
    old_value: str
    new_value: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What a threshold would have done; `firings` newest first, one for each alert."""

    count: int
    listings: int  # it is about
    checked_listings: int  # fewer where there is more history than a preview looks through
    firings: list[Firing]
    since: datetime  # the days before are not looked at, or not kept
    is_possible: bool = True  # False: history does not tell what the threshold looks for
    known_listings: int = 0  # of those checked: history says of them what the threshold looks at


def preview(threshold: Threshold, *, now: datetime, days: int = PREVIEW_DAYS, user: User | None = None) -> Preview:
    """The alerts that the threshold, stored or not, would have opened in the last days, had it been there.

    Replays the change points that are kept, beginning with what was known `days` ago, through the same steps that
    judge readings. `user` sees those of the listings that are theirs. Looks through as much history as takes a few
    seconds; `checked_listings` says of how many listings that was.
    """
    start = now - timedelta(days=days)
    if threshold.kind not in READING_KINDS:
        return Preview(0, 0, 0, [], start, is_possible=False)
    listings = listings_of(threshold)
    if user is not None:
        listings = listings.visible_to(user)
    ids = list(listings.order_by("pk").values_list("pk", flat=True))
    rule = rule_of(threshold)
    firings: list[Firing] = []
    checked = known = rows = 0
    for first in range(0, len(ids), _PREVIEW_LISTINGS):
        some = ids[first : first + _PREVIEW_LISTINGS]
        if rows > _PREVIEW_ROWS:
            break
        replayed, told = _replay(threshold, rule, some, start, now, firings)
        rows += replayed
        known += told
        checked += len(some)
    firings.sort(key=lambda firing: (firing.at, firing.listing_id), reverse=True)
    return Preview(len(firings), len(ids), checked, firings, start, known_listings=known)


def _replay(
    threshold: Threshold, rule: Rule, ids: Sequence[int], start: datetime, now: datetime, firings: list[Firing]
) -> tuple[int, int]:
    """Add the alerts that there would have been for these listings.

    Returns how many rows were looked at, and of how many listings they tell what the rule looks at.
    """
    baselines = baselines_of([(threshold, pk) for pk in ids]) if rule.has_baseline else {}
    start_us, place = microseconds(start), place_of(rule)
    rows = change_points(ids, start - timedelta(days=rule.days if rule.has_window else 0), now)
    known = 0
    for listing_id, group in groupby(rows, key=itemgetter(0)):
        points = list(group)
        # What was known at the start is the first reading.
        later = bisect_right(points, start_us, key=itemgetter(1))
        replayed = [(points[later - 1][0], start_us, *points[later - 1][2:])] if later else []
        state = State(baseline=baselines.get((threshold.pk, listing_id)))
        is_known = False
        for _listing_id, at_us, _is_gap, *values in [*replayed, *points[later:]]:
            value = value_among(rule, values, place)
            is_known = is_known or value is not None
            history = history_before(points, place, at_us) if rule.has_window and value != state.last else ()
            state, crossing = step(rule, state, value, at_us, history=history)
            if crossing is not None and crossing.move == Move.OPENED:
                old, new = value_text(rule, crossing.old), value_text(rule, crossing.new)
                firings.append(Firing(listing_id, _moment(at_us), old, new))
        known += is_known and (state.baseline is not None or not rule.has_baseline)
    return len(rows), known


def _moment(count_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=count_us)
