"""Whatever the sync stores as a cause is told to people in words, with what to do about it."""

import ast
from pathlib import Path

import pytest

from catalog.stock.availability import Blocked
from catalog.stock.explaining import BLOCKED_TEXTS
from integrations import connections, syncing
from integrations.lanes.outcomes import INTERNAL, PERMISSION
from integrations.problems import PROBLEMS, explain
from integrations.syncing.models import ListingSync
from integrations.syncing.rows import GUARD, MOVED
from integrations.syncing.status import Standing
from monitoring.causes import CAUSE_LABELS
from tests.factories import ChannelFactory
from tests.integrations.test_connections import SLUG, slugs_of

pytestmark = pytest.mark.pure
SYNCING = Path(syncing.__file__).parent
APP = Path(connections.__file__).parent
# Words of the same form that are states, or name something else.
OTHERS = {"", "set-aside", *ListingSync.State.values, *map(str, Standing)}


def constants_of(path: Path) -> set[str]:
    """Every text of the form of a cause, and what is given to a name or an argument such as `cause`."""
    found = slugs_of(path)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SLUG.fullmatch(node.value):
            found.add(node.value)
        if (
            isinstance(node, ast.keyword)
            and (node.arg or "").endswith("cause")
            and isinstance(node.value, ast.Constant)
        ):
            found.add(str(node.value.value))
    return found


PUSHING = [
    *SYNCING.glob("*.py"),
    *(APP / "lanes").glob("*.py"),
    *(path for path in (APP / "connectors").rglob("*.py") if path.stem in {"stock", "refusals", "http", "gateway"}),
]
CAUSES = sorted(
    ({cause for path in PUSHING for cause in constants_of(path)} & set(CAUSE_LABELS))
    | {cause for path in SYNCING.glob("*.py") for cause in constants_of(path)} - OTHERS
    | {str(each) for each in Blocked}
    | {MOVED, GUARD, INTERNAL, PERMISSION}
)


def test_the_causes_of_the_sync_are_found():
    known = {"moved", "not-shown", "not-read", "interrupted", "guard", "unknown-location", "unsupported", "paused"}
    assert known | {"lease-over", "own-quota", "internal", "stock-of-product", "refused-by-rule"} <= set(CAUSES)


@pytest.mark.parametrize("cause", CAUSES)
def test_every_cause_is_told_in_a_sentence_with_what_to_do(cause):
    assert cause in CAUSE_LABELS
    assert cause in PROBLEMS
    told = explain(cause=cause, channel=ChannelFactory.build(), at=None)
    assert told.what.endswith(".")
    assert told.advice.endswith(".")


def test_every_reason_to_leave_a_listing_alone_has_its_sentence():
    assert set(BLOCKED_TEXTS) == set(Blocked)
