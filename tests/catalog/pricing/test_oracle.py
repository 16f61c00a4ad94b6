"""The engine against a second program that tries every plan: the same amounts, promotions and reasons.

Random requests, the same in every run; ORACLE_REQUESTS=200000 makes it more of them.
"""

import json
import os

import pytest

from catalog.pricing.exchange import answer as engine_answer
from tests.catalog.pricing.oracle import answer
from tests.catalog.pricing.oracle.cases import random_request
from tests.catalog.pricing.oracle.coverage import as_text, coverage, missing
from tests.catalog.pricing.oracle.examples import EXAMPLES

pytestmark = pytest.mark.pure

REQUESTS = int(os.environ.get("ORACLE_REQUESTS", "20000"))
BLOCK = 1_000
COVERED = 5_000


@pytest.mark.parametrize(
    ("example", "request_json", "total", "used", "lines"), EXAMPLES, ids=[row[0] for row in EXAMPLES]
)
def test_the_oracle_pays_what_the_worked_example_pays(example, request_json, total, used, lines):
    found = answer(request_json)
    assert found["total"] == total
    assert used is None or [each["id"] for each in found["used"]] == used
    assert lines is None or [found["lines"][each["id"]] for each in request_json["lines"]] == lines


@pytest.mark.parametrize("first", range(0, REQUESTS, BLOCK))
def test_every_random_request_is_answered_like_the_oracle_does(first):
    for seed in range(first, min(first + BLOCK, REQUESTS)):
        request_json = random_request(seed)
        expected = answer(request_json)
        found = engine_answer(request_json)
        # The contract names no reason for a request that is refused or cannot be told, and no trace is compared.
        agreed = {name: found.get(name) for name in expected}
        assert agreed == expected, f"seed {seed}: {json.dumps(request_json)}"


def test_the_random_requests_hold_every_kind_layer_rule_set_setting_and_reason():
    requests = [random_request(seed) for seed in range(COVERED)]
    table = coverage((request_json, answer(request_json)) for request_json in requests)
    print(as_text(table))  # noqa: T201 - shown with -s, or where this test fails
    assert missing(table) == []
