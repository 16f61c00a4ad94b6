import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.pricing.apportionment import spread, spread_per_piece, top_up_per_piece
from catalog.pricing.rounding import MODES, divide, unit_blocks

pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("amount", "weights", "rooms", "lost", "again"),
    [
        pytest.param(
            1000, [1000] * 3, [1000] * 3, [334, 333, 333], [334, 333, 333], id="three equal lines share it all"
        ),
        pytest.param(5000, [10000, 3333, 19998], [10000, 3333, 19998], [1500, 500, 3000], [1500, 500, 3000], id="E16"),
        pytest.param(3000, [15000, 5000], [2000, 5000], [2000, 750], [2000, 1000], id="E17"),
        pytest.param(100, [5, 5], [0, 60], [0, 60], [0, 60], id="a line without room is left out"),
        pytest.param(10, [0, 0], [30, 10], [8, 2], [8, 2], id="no weights: by the room"),
        pytest.param(10, [0, 3], [30, 4], [0, 4], [6, 4], id="no weight of its own, but the rest"),
        pytest.param(99, [1, 1], [10, 10], [10, 10], [10, 10], id="more than there is"),
        pytest.param(1, [1, 1, 1], [5, 5, 5], [1, 0, 0], [1, 0, 0], id="the first line by id"),
        pytest.param(0, [1], [5], [0], [0], id="nothing"),
    ],
)
def test_the_largest_remainders_get_the_missing_units(amount, weights, rooms, lost, again):
    assert spread(amount, weights, rooms, redistribute=False) == lost
    assert spread(amount, weights, rooms, redistribute=True) == again


LINES = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 30_000), LINES)
def test_shares_sum_up_and_none_is_above_its_room(amount, lines):
    weights, rooms = zip(*lines, strict=True)
    again = spread(amount, weights, rooms, redistribute=True)
    assert sum(again) == min(amount, sum(rooms))
    for shares in (again, spread(amount, weights, rooms, redistribute=False)):
        assert all(0 <= share <= room for share, room in zip(shares, rooms, strict=True))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(1, 10_000), min_size=1, max_size=6))
def test_no_share_is_off_by_a_unit_or_more(amount, weights):
    shares = spread(amount, weights, [10**9] * len(weights), redistribute=False)
    assert sum(shares) == amount
    whole = sum(weights)
    assert all(abs(share * whole - amount * weight) < whole for share, weight in zip(shares, weights, strict=True))


@pytest.mark.parametrize(
    ("amount", "pieces", "rooms", "shares"),
    [
        pytest.param(3000, [1, 2], [9000, 9000], [1000, 2000], id="E19: per piece, not per value"),
        pytest.param(100, [1, 2], [10, 500], [10, 90], id="what does not fit goes round again"),
        pytest.param(10, [1, 2], [500, 500], [4, 6], id="the rest one by one, in order"),
        pytest.param(5, [2, 2], [3, 9], [3, 2], id="first one each, the rest in order"),
        pytest.param(99, [1, 1], [10, 10], [10, 10], id="more than there is"),
    ],
)
def test_woocommerce_shares_an_amount_by_piece(amount, pieces, rooms, shares):
    assert spread_per_piece(amount, range(len(pieces)), pieces, rooms) == shares


def test_woocommerce_tops_rounded_down_lines_up_in_order():
    assert top_up_per_piece(62, [41, 20], [0, 1], [1, 1], [333, 167]) == [42, 20]
    assert top_up_per_piece(65, [41, 20], [1, 0], [2, 3], [333, 167]) == [42, 23]


@pytest.mark.parametrize(
    ("mode", "rounded"),
    [
        ("half_up", [0, 1, 1, 1, 2, 2]),
        ("half_down", [0, 0, 1, 1, 1, 2]),
        ("half_even", [0, 0, 1, 1, 2, 2]),
        ("up", [0, 1, 1, 1, 2, 2]),
        ("down", [0, 0, 0, 1, 1, 1]),
    ],
)
def test_rounding_modes(mode, rounded):
    assert [divide(quarters, 4, mode) for quarters in (0, 2, 3, 4, 6, 7)] == rounded
    assert mode in MODES


@pytest.mark.parametrize(
    ("amount", "quantity", "first", "blocks"),
    [
        (10, 3, 3, [(4, 1), (3, 2)]),
        (10, 3, 1, [(4, 1)]),
        (9, 3, 2, [(3, 2)]),
        (11, 3, 2, [(4, 2)]),
        (0, 2, 2, [(0, 2)]),
    ],
)
def test_the_first_units_of_a_line_are_the_dearer_ones(amount, quantity, first, blocks):
    assert unit_blocks(amount, quantity, first) == blocks
