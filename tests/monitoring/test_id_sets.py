"""Ids of a pass in few bytes, and back."""

import random

import pytest

from monitoring.id_sets import decode, encode

pytestmark = pytest.mark.pure


@pytest.mark.parametrize("density", [0.001, 0.3, 0.97, 1])
@pytest.mark.parametrize("largest", [1, 10, 3_000, 10**15])
@pytest.mark.parametrize("seed", range(5))
def test_any_set_comes_back_in_order(density, largest, seed):
    chance = random.Random(seed)
    start = chance.randrange(largest)
    ids = [start + each for each in range(2_000) if chance.random() < density]
    shuffled = chance.sample(ids, len(ids))
    assert decode(encode([*shuffled, *shuffled[:5]])) == ids


def test_nothing_takes_no_byte():
    assert encode([]) == b""
    assert decode(b"") == []


@pytest.mark.parametrize(
    ("ids", "most"),
    [
        pytest.param(range(1, 100_001), 20, id="a whole channel in a row"),
        pytest.param(range(1, 400_001, 4), 1_000, id="four channels that were filled in turn"),
        pytest.param([each for each in range(1, 100_001) if each % 97], 1_000, id="a few that were not read"),
    ],
)
def test_what_passes_read_takes_few_bytes(ids, most):
    assert len(encode(ids)) <= most
    assert decode(encode(ids)) == list(ids)


@pytest.mark.parametrize("stored", [b"1 2", b"x\x9c"])
def test_what_is_no_set_is_refused(stored):
    with pytest.raises(ValueError, match="not a set"):
        decode(stored)


def test_a_negative_id_is_refused():
    with pytest.raises(ValueError, match="negative"):
        encode([3, -1])
