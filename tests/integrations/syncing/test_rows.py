"""How a row stands after what became of it, without a database."""

from datetime import timedelta

import pytest

from catalog.stock.availability import Blocked, Target
from integrations.syncing.rows import (
    MOST_LOOKS,
    PLAIN,
    Claim,
    Result,
    Standing,
    Status,
    Wanted,
    after_look,
    after_push,
    applied,
    delay,
    plain,
)
from tests.factories import NOW

SECOND = timedelta(seconds=1)


def row(**fields):
    base = Standing("in-sync", "", 0, 5, 5, NOW, 5, NOW, None, 7, "mark", None, None)
    return base._replace(**fields)


def wanted(quantity, version=8, rule="mark", blocked=None):
    return Wanted(Target(quantity, blocked=blocked), version, rule)


@pytest.mark.parametrize(
    ("status", "state", "is_due", "is_verified"),
    [
        pytest.param("applied", "sent", False, True, id="applied"),
        pytest.param("accepted", "sent", False, True, id="accepted"),
        pytest.param("refused", "refused", False, False, id="refused"),
        pytest.param("stale", "waiting", True, False, id="moved"),
        pytest.param("unknown", "failed", True, False, id="nobody knows"),
        pytest.param("lost", "failed", True, False, id="no answer"),
        pytest.param("failed", "failed", True, False, id="nothing was written"),
        pytest.param("unchanged", "in-sync", False, False, id="no call"),
        pytest.param("postponed", "in-sync", True, False, id="postponed"),
    ],
)
def test_what_follows_from_an_outcome(status, state, is_due, is_verified):
    after = after_push(row(), wanted(3), Result(1, Status(status), at=NOW, quantity=3, cause="a-cause"), NOW)
    assert (after.state, after.due_at is not None, after.verify_at is not None) == (state, is_due, is_verified)


@pytest.mark.parametrize("status", ["unknown", "lost"])
def test_after_a_write_that_nobody_answered_nothing_is_known(status):
    after = after_push(row(), wanted(3), Result(1, Status(status), at=NOW, quantity=3), NOW)
    assert (after.confirmed, after.attempts, after.synced_version) == (None, 1, 7)


def test_a_write_that_did_nothing_leaves_what_was_seen():
    after = after_push(row(), wanted(3), Result(1, Status.FAILED, at=NOW, cause="timeout"), NOW)
    assert (after.confirmed, after.cause, after.synced_version) == (5, "timeout", 7)


def test_a_figure_that_was_sent_and_never_seen_is_not_taken_for_seen_after_a_failure():
    sent = row(state="sent", pushed=4, confirmed=5)
    assert after_push(sent, wanted(3), Result(1, Status.FAILED, at=NOW), NOW).confirmed is None


@pytest.mark.parametrize(
    ("version", "rule", "expected"),
    [
        pytest.param(9, "mark", (9, "mark"), id="newer"),
        pytest.param(6, "mark", (7, "mark"), id="an older version never takes its place"),
        pytest.param(2, "other SKU", (2, "other SKU"), id="another SKU counts its own versions"),
    ],
)
def test_the_synced_version_only_rises(version, rule, expected):
    after = after_push(row(), wanted(3, version, rule), Result(1, Status.APPLIED, at=NOW, quantity=3), NOW)
    assert (after.synced_version, after.synced_rule) == expected


def test_a_mark_that_came_meanwhile_is_kept():
    marked = row(due_at=NOW)
    assert after_push(marked, wanted(3), Result(1, Status.APPLIED, at=NOW, quantity=3), NOW).due_at == NOW
    assert after_push(marked, wanted(3), Result(1, Status.FAILED, at=NOW), NOW).due_at == NOW


def test_what_is_left_alone_is_not_due_and_has_no_target():
    after = after_push(row(), wanted(None, blocked=Blocked.PAUSED), Result(1, Status.STOPPED, cause="paused"), NOW)
    assert (after.state, after.cause, after.wanted, after.confirmed) == ("stopped", "paused", None, 5)


def test_a_figure_that_is_seen_is_confirmed_and_ends_all_doubt():
    sent = row(state="sent", wanted=3, pushed=3, attempts=2, changed_at=NOW, verify_at=NOW)
    after = after_look(sent, Result(1, Status.READ, at=NOW + SECOND, shown=3), NOW + SECOND)
    assert after[:3] == ("in-sync", "", 0)
    assert (after.confirmed, after.confirmed_at, after.changed_at, after.verify_at) == (3, NOW + SECOND, None, None)


def test_a_figure_that_does_not_show_is_sent_again_later_each_time_and_then_given_up():
    standing, now = row(state="sent", wanted=3, pushed=3), NOW
    rests = []
    for _look in range(MOST_LOOKS - 1):
        standing = after_look(standing, Result(1, Status.READ, at=now, shown=5), now)
        assert standing.state == "waiting"
        assert standing.due_at is not None
        rests.append(standing.due_at - now)
        standing = after_push(
            standing._replace(due_at=None), wanted(3), Result(1, Status.APPLIED, at=now, quantity=3), now
        )
    assert rests == sorted(rests)
    standing = after_look(standing, Result(1, Status.READ, at=now, shown=5), now)
    assert (standing.state, standing.cause, standing.due_at) == ("refused", "not-shown", None)


def test_a_new_target_starts_its_own_count_of_failures():
    tried = row(state="waiting", attempts=4, wanted=3)
    assert after_push(tried, wanted(2), Result(1, Status.APPLIED, at=NOW, quantity=2), NOW).attempts == 0
    assert after_push(tried, wanted(3), Result(1, Status.APPLIED, at=NOW, quantity=3), NOW).attempts == 4


def test_what_could_not_be_read_is_neither_confirmed_nor_differs():
    sent = row(state="sent", wanted=3, pushed=3, verify_at=NOW)
    after = after_look(sent, Result(1, Status.UNREAD, cause="not-read"), NOW)
    assert (after.state, after.due_at, after.confirmed) == ("sent", None, 5)
    assert after.verify_at is not None
    assert after.verify_at > NOW


@pytest.mark.parametrize("since", [{"state": "sent", "pushed": 4}, {"verify_at": NOW}], ids=["sent", "to be read back"])
@pytest.mark.parametrize("status", ["refused", "stopped", "held", "failed"])
def test_a_figure_that_is_in_doubt_is_not_taken_for_seen_whatever_came_of_the_next_one(status, since):
    target = wanted(None if status == "stopped" else 3)
    assert after_push(row(**since), target, Result(1, Status(status), at=NOW, cause="a-cause"), NOW).confirmed is None
    assert after_push(row(), target, Result(1, Status(status), at=NOW, cause="a-cause"), NOW).confirmed == 5


def test_what_was_read_right_before_a_refused_write_is_known():
    look = Result(1, Status.READ, at=NOW, shown=6)
    doubted = row(confirmed=None, verify_at=NOW)
    refused = after_push(doubted, wanted(3), Result(1, Status.REFUSED, at=NOW, looks=(look,)), NOW)
    assert (refused.confirmed, refused.confirmed_at) == (6, NOW)


def test_a_figure_that_cannot_be_read_back_is_given_up_as_not_known():
    standing = row(state="sent", wanted=3, pushed=3, verify_at=NOW)
    for _look in range(MOST_LOOKS):
        assert (standing.state, standing.confirmed) == ("sent", 5)
        standing = after_look(standing, Result(1, Status.UNREAD, cause="not-read"), NOW)
    assert (standing.state, standing.cause) == ("failed", "not-read")
    assert (standing.confirmed, standing.verify_at) == (None, None)


@pytest.mark.parametrize(
    "fields",
    [
        {"state": "refused", "cause": "refused-by-rule"},
        {"state": "dismissed", "cause": "refused-by-rule", "problem": "sold by hand"},
        {"state": "stopped", "cause": "paused", "wanted": None},
        {"state": "waiting", "cause": "guard", "wanted": 0},
    ],
    ids=lambda fields: fields["state"],
)
def test_why_a_row_is_left_as_it_is_outlives_looks_that_bring_nothing(fields):
    standing = row(**fields, verify_at=NOW)
    for _look in range(MOST_LOOKS):
        standing = after_look(standing, Result(1, Status.UNREAD, cause="not-read"), NOW)
    assert (standing.state, standing.cause, standing.confirmed) == (fields["state"], fields["cause"], None)


def test_only_a_look_ends_the_wish_for_one():
    later = NOW + SECOND
    unchanged = after_push(row(verify_at=later), wanted(5), Result(1, Status.UNCHANGED), NOW)
    assert (unchanged.state, unchanged.verify_at) == ("in-sync", later)
    read = after_push(row(confirmed=None, verify_at=NOW), wanted(5), Result(1, Status.READ, at=NOW, shown=5), NOW)
    assert (read.state, read.verify_at) == ("in-sync", None)


@pytest.mark.parametrize("status", ["unchanged", "read"])
def test_what_is_due_again_is_not_in_sync_and_differs_since_it_did(status):
    marked = row(state="waiting", due_at=NOW, changed_at=NOW - SECOND, attempts=2)
    after = after_push(marked, wanted(5), Result(1, Status(status), at=NOW, shown=5), NOW)
    assert (after.state, after.changed_at, after.attempts) == ("waiting", NOW - SECOND, 0)
    sent = row(state="sent", wanted=5, pushed=5, due_at=NOW, changed_at=NOW - SECOND, verify_at=NOW)
    seen = after_look(sent, Result(1, Status.READ, at=NOW, shown=5), NOW)
    assert (seen.state, seen.changed_at, seen.confirmed, seen.due_at) == ("waiting", NOW - SECOND, 5, NOW)


@pytest.mark.parametrize(("failures", "most"), [(1, 2), (2, 10), (3, 60), (4, 300), (5, 900), (50, 900)])
def test_rests_grow_and_are_spread(failures, most):
    rests = [delay(failures) for _ in range(50)]
    assert timedelta(seconds=most * 0.75) <= min(rests) < max(rests) <= timedelta(seconds=most)


@pytest.mark.parametrize(
    ("fields", "version", "rule", "status", "expected"),
    [
        pytest.param({}, 8, "mark", "applied", True, id="as a rule"),
        pytest.param({}, 8, "mark", "accepted", True, id="taken, not shown yet"),
        pytest.param({"state": "sent", "pushed": 4}, 8, "mark", "applied", True, id="over one that was not seen yet"),
        pytest.param({"state": "dismissed", "problem": "why"}, 8, "mark", "applied", True, id="dismissed before"),
        pytest.param({"state": "failed", "attempts": 3}, 8, "mark", "applied", True, id="failed with another figure"),
        pytest.param({"attempts": 3, "wanted": 3}, 8, "mark", "applied", False, id="failed with the same figure"),
        pytest.param({}, 2, "other", "applied", True, id="another rule"),
        pytest.param({}, 6, "mark", "applied", False, id="an older version"),
        pytest.param({}, 8, "mark", "refused", False, id="refused"),
        pytest.param({}, 8, "mark", "unknown", False, id="nobody knows"),
    ],
)
def test_what_is_stored_at_once_stands_as_it_would_row_by_row(fields, version, rule, status, expected):
    before = row(confirmed=None, changed_at=NOW - SECOND, **fields)
    known = {name: getattr(before, name) for name in Claim._fields if name in Standing._fields}
    claim = Claim(pk=1, listing_id=2, item_id="3", sku_id="4", stock_id="5", location_id="", **known)
    target, result = wanted(3, version, rule), Result(1, Status(status), at=NOW, quantity=3)
    values = plain(claim, target, result)
    assert (values is not None) is expected
    if values is not None:
        stored = before._replace(**dict(zip(PLAIN, values[1:], strict=True)), **applied(NOW, 1))
        assert stored == after_push(before, target, result, NOW).stored


def test_what_was_read_before_it_was_sent_is_stored_by_itself():
    claim = Claim(1, 2, "3", "4", "5", "", "failed", "", 0, 5, 5, None, 7, "mark")
    result = Result(1, Status.APPLIED, at=NOW, quantity=3, looks=(Result(1, Status.READ, at=NOW, shown=4),))
    assert plain(claim, wanted(3), result) is None
