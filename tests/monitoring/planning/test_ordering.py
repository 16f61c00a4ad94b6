"""Reorder points, quantities and dates."""

import numpy as np
import pytest

from monitoring.planning import ordering
from monitoring.planning.safety import textbook

NAN, INF = float("nan"), float("inf")


def close(value):
    return pytest.approx(value, abs=1e-4, nan_ok=True)


def test_reorder_point():
    assert ordering.reorder_point(20, 9, textbook(12, 9, 0.95)) == close(239.2147)
    assert ordering.reorder_point(2500, 2, 1000) == 6000  # in weeks
    assert ordering.reorder_point(20, 9, 73.8537, review_days=5) == close(353.8537)
    assert ordering.reorder_point(20, 0, 7, review_days=5) == 107  # without lead time: D RP + Ss
    assert ordering.reorder_point([NAN, 20], 9, [5, NAN]).tolist() == close([NAN, NAN])
    with pytest.raises(ValueError, match="lead time days cannot be negative"):
        ordering.reorder_point(20, -1, 0)


@pytest.mark.parametrize(
    ("needed", "safety_stock", "on_hand", "on_order", "options", "unrounded", "quantity"),
    [
        pytest.param(280, 59.2147, 150, 40, {}, 149.2147, 150, id="single pieces"),
        pytest.param(280, 59.2147, 150, 40, {"pack": 24}, 149.2147, 168, id="packs of 24"),
        pytest.param(280, 73.8537, 150, 40, {}, 163.8537, 164, id="periodic review"),
        pytest.param(280, 59.2147, 300, 40, {}, 0, 0, id="enough"),
        pytest.param(280, 59.2147, 150, 40, {"minimum": 200}, 149.2147, 200, id="minimum order"),
        pytest.param(280, 59.2147, 150, 40, {"minimum": 200, "pack": 24}, 149.2147, 216, id="minimum in packs"),
        pytest.param(280, 59.2147, 300, 40, {"minimum": 200}, 0, 0, id="no minimum where nothing is missing"),
        pytest.param(30, 18, 6, 0, {"pack": 6}, 42, 42, id="whole packs already"),
        pytest.param(0.1 + 0.2, 0, 0.3, 0, {}, 0, 0, id="a hair is no piece"),
        pytest.param(280, 60, -10, 0, {}, 350, 350, id="below 0 the sign stays"),
        pytest.param(0, 0, 3, 0, {}, 0, 0, id="no demand"),
        pytest.param(0, 0, -3, 1, {}, 2, 2, id="no demand, and oversold"),
        pytest.param(0, 0, 3, 0, {"presence": 5}, 2, 2, id="minimum presence without demand"),
        pytest.param(280, 60, 0, 0, {"is_discontinued": True}, 0, 0, id="discontinued"),
        pytest.param(NAN, NAN, NAN, 0, {"is_discontinued": True}, 0, 0, id="discontinued, whatever is not known"),
        pytest.param(NAN, 60, 0, 0, {}, NAN, NAN, id="demand not known"),
        pytest.param(280, NAN, 0, 0, {}, NAN, NAN, id="safety stock not known"),
        pytest.param(280, 60, NAN, 0, {}, NAN, NAN, id="stock not known"),
        pytest.param(10, 0, 0, 0, {"pack": NAN, "minimum": NAN}, 10, 10, id="pack and minimum not known"),
    ],
)
def test_order_quantity(needed, safety_stock, on_hand, on_order, options, unrounded, quantity):
    position = ordering.inventory_position(on_hand, 0, on_order)
    found = ordering.order_quantity(needed, safety_stock, position, **options)
    assert found.unrounded == close(unrounded)
    assert found.quantity == close(quantity)


def test_all_skus_at_once():
    found = ordering.order_quantity([280, 280, NAN], 59.2147, [190, 340, 0], pack=[24, 1, 1])
    assert found.quantity.tolist() == close([168, 0, NAN])


def test_promised_stock_is_not_there():
    assert ordering.inventory_position(150, 30, 40, 5) == 155


@pytest.mark.parametrize("pack", [0, 0.5, -6])
def test_a_pack_without_a_piece_is_refused(pack):
    with pytest.raises(ValueError, match="at least one piece"):
        ordering.order_quantity(280, 60, 0, pack=pack)


@pytest.mark.parametrize(
    ("position", "point", "demand", "days"),
    [
        (340, 239.2147, 20, 5),
        (239.2147, 239.2147, 20, 0),
        (100, 239.2147, 20, 0),
        (240, 200, 20, 2),
        pytest.param(240, 200, 0, INF, id="no demand"),
        pytest.param(100, 200, NAN, 0, id="below already, whatever the demand"),
        pytest.param(340, NAN, 20, NAN, id="point not known"),
    ],
)
def test_days_until_order(position, point, demand, days):
    assert ordering.days_until_order(position, point, demand) == close(days)


def test_overdue_receipts_are_shown_and_not_counted():
    found = ordering.expected_receipts([3, 0, -2, -3, -1, NAN], [2, 2, 2, 2, NAN, 2])
    assert found.is_counted.tolist() == [True, True, True, False, False, True]
    assert found.overdue_days.tolist() == close([0, 0, 2, 3, 1, NAN])


def project(available, daily, arrivals, days=30):
    arriving = np.zeros((1, days))
    for day, units in arrivals.items():
        arriving[0, day - 1] = units
    return ordering.projected_stock([available], np.full((1, days), float(daily)), arriving)


@pytest.mark.parametrize(
    ("available", "arrivals", "lead", "need_day", "order_by", "is_late"),
    [
        pytest.param(230, {}, 5, 9, 4, False, id="before the safety stock is touched"),
        pytest.param(230, {3: 100}, 5, 14, 9, False, id="a receipt in between"),
        pytest.param(230, {10: 100}, 5, 9, 4, False, id="a receipt that is too late"),
        pytest.param(230, {}, 9, 9, 0, False, id="today at the latest"),
        pytest.param(230, {}, 10, 9, 0, True, id="late"),
        pytest.param(10_000, {}, 5, INF, INF, False, id="not as far as is projected"),
        pytest.param(NAN, {}, 5, NAN, NAN, False, id="stock not known"),
    ],
)
def test_order_by_day(available, arrivals, lead, need_day, order_by, is_late):
    found = ordering.order_day(project(available, 20, arrivals), [59.2147], [lead])
    assert found.need_day.tolist() == close([need_day])
    assert found.order_by_day.tolist() == close([order_by])
    assert found.is_late.tolist() == [is_late]


@pytest.mark.parametrize(
    ("available", "arrivals", "day"),
    [(230, {}, 12), (220, {}, 12), (0, {}, 1), (-5, {}, 1), (230, {12: 20}, 13), (10_000, {}, INF), (NAN, {}, NAN)],
)
def test_stock_out_day(available, arrivals, day):
    assert ordering.stock_out_day(project(available, 20, arrivals)).tolist() == close([day])


def test_a_forecast_that_ends_leaves_open_what_comes_after():
    forecast = np.array([[20.0, 20.0, NAN, 20.0], [20.0, 20.0, 20.0, NAN]])
    stock = ordering.projected_stock([50, 50], forecast, 0)
    assert ordering.stock_out_day(stock).tolist() == close([NAN, 3])
