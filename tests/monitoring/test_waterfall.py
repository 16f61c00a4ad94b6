"""The bars from the first price to what the buyer pays."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.charts.waterfall import Amount, lying, upright

pytestmark = pytest.mark.pure


def amounts(first, *offs):
    """The first price, what is taken off it one by one, and what is left."""
    bars = [Amount("List price", "", 0, first, True)]
    for off in offs:
        first -= off
        bars.append(Amount("Coupon", "", first, first + off, False))
    return [*bars, Amount("After coupon", "", 0, first, True)]


def test_each_bar_begins_where_the_one_before_ended():
    first, off, last = upright(amounts(29_900, 3_100), None).bars
    assert off.y == first.y
    assert last.y == off.y + off.height
    assert off.connector.startswith(f"M{off.x + off.width} {last.y}H")


def test_small_discounts_of_a_high_price_are_seen_on_a_cut_axis_that_is_marked():
    drawing = upright(amounts(29_900, 3_100, 2_000, 3_000, 1_660), 21_490)
    assert drawing.start == 15_000
    assert all(bar.break_mark for bar in drawing.bars if bar.is_total)
    assert not any(bar.break_mark for bar in drawing.bars if not bar.is_total)
    assert len(drawing.ticks) <= 6


def test_an_axis_from_0_has_no_mark():
    drawing = upright(amounts(10_000, 8_000), None)
    assert (drawing.start, [bar.break_mark for bar in drawing.bars]) == (0, ["", "", ""])


def test_a_loss_reaches_from_the_price_to_break_even():
    drawing = upright(amounts(29_900, 9_760), 21_490)
    assert drawing.loss is not None
    assert drawing.limit is not None
    assert (drawing.loss.y, drawing.loss.y + drawing.loss.height) == (drawing.limit, drawing.bars[-1].y)
    assert upright(amounts(29_900, 3_100), 21_490).loss is None


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 10**9), st.lists(st.integers(1, 10**8), max_size=8), st.none() | st.integers(1, 10**9))
def test_nothing_leaves_the_picture(first, offs, limit):
    left, kept = first, []
    for off in offs:
        kept.append(min(off, left))
        left -= kept[-1]
    for draw in (upright, lying):
        drawing = draw(amounts(first, *kept), limit)
        assert 2 <= len(drawing.ticks) <= 8
        for bar in drawing.bars:
            assert bar.width >= 1
            assert bar.height >= 1
            assert 0 <= bar.x <= bar.x + bar.width <= drawing.width
            assert 0 <= bar.y <= bar.y + bar.height <= drawing.height
        if drawing.loss is not None:
            assert drawing.loss.x + drawing.loss.width <= drawing.width
            assert drawing.loss.y >= 0
