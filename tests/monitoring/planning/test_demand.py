"""Sales histories as files, and what snapshots and days without stock tell of demand."""

from datetime import date

import numpy as np
import pytest

from monitoring.planning.demand import (
    Fault,
    MissingColumn,
    capped,
    is_new,
    month_number,
    over_gap,
    read_sales,
    sales_of_snapshots,
    velocity,
    without_censored,
)
from tests.monitoring.planning.series import lumpy

NAN = float("nan")
TODAY = date(2026, 11, 22)
HEADING = "sku,date,quantity"


def read(*rows, heading=HEADING, **options):
    return read_sales([heading, *rows], today=TODAY, **options)


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        pytest.param("A,2026-11-01,-2", Fault.NEGATIVE, id="negative"),
        pytest.param("A,2026-11-01,1.5", Fault.FRACTION, id="fraction"),
        pytest.param("A,2026-11-01,many", Fault.NUMBER, id="no number"),
        pytest.param("A,2026-11-01,", Fault.NUMBER, id="no quantity"),
        pytest.param("A,2026-11-01,nan", Fault.NUMBER, id="not a number"),
        pytest.param("A,2026-11-01,inf", Fault.LARGE, id="infinite"),
        pytest.param("A,2026-11-01,10000000", Fault.LARGE, id="too many"),
        pytest.param("A,2026-11-22,1", Fault.FUTURE, id="today is not over"),
        pytest.param("A,2027-01-01,1", Fault.FUTURE, id="in the future"),
        pytest.param("A,01/11/2026,1", Fault.DATE, id="another way to write dates"),
        pytest.param("A,2026-02-30,1", Fault.DATE, id="no such day"),
        pytest.param("B,2026-10-01,9", Fault.DUPLICATE, id="duplicate day"),
        pytest.param(",2026-11-01,1", Fault.NO_SKU, id="no SKU"),
        pytest.param("A", Fault.NO_SKU, id="short row"),
    ],
)
def test_refused_rows_are_told_with_their_line_and_left_out(row, fault):
    sales, refused = read("B,2026-10-01,4", row, "B,2026-10-03,2")
    assert [(each.line, each.fault) for each in refused] == [(3, fault)]
    assert sales.codes == ["B"]
    assert sales.demand(date(2026, 10, 3).toordinal(), 100).tolist() == [[4, 0, 2]]


def test_columns_may_stand_anywhere_but_must_be_there():
    sales, _refused = read("3,x,2026-11-01,A", heading="\ufeffQuantity,note,Date,SKU")
    assert sales.demand(date(2026, 11, 1).toordinal(), 9).tolist() == [[3]]
    with pytest.raises(MissingColumn, match="no column date, quantity"):
        read(heading="sku,when,pieces")


def test_history_of_a_series_begins_with_its_first_sale():
    sales, refused = read("A,2026-11-01,2", "B,2026-11-02,0", "B,2026-11-03,7.0", "A,2026-11-05,1")
    assert refused == []
    np.testing.assert_array_equal(
        sales.demand(date(2026, 11, 6).toordinal(), 100), [[2, 0, 0, 0, 1, 0], [NAN, NAN, 7, 0, 0, 0]]
    )


def test_rows_after_the_last_day_asked_for_are_not_there():
    sales, _refused = read("A,2026-11-01,2", "A,2026-11-03,5", "B,2026-11-03,5")
    np.testing.assert_array_equal(sales.demand(date(2026, 11, 2).toordinal(), 100), [[2, 0], [NAN, NAN]])


def test_a_gap_of_years_costs_no_more_than_the_periods_asked_for():
    sales, _refused = read("A,1999-01-01,2", "A,2026-11-03,5")
    np.testing.assert_array_equal(sales.demand(date(2026, 11, 4).toordinal(), 3), [[0, 5, 0]])


def test_months_are_the_sums_of_their_rows():
    sales, refused = read("A,2026-01-31,2", "A,2026-01-02,5", "A,2026-03,1", is_monthly=True)
    assert refused == []
    assert sales.demand(month_number(date(2026, 3, 9)), 100).tolist() == [[7, 0, 1]]


def test_a_file_without_rows_has_no_series():
    sales, refused = read()
    assert (sales.codes, refused) == ([], [])


def test_days_that_opened_without_stock_are_not_known_and_days_that_ended_so_are():
    # 5 on hand, all sold: a lower bound of what was wanted. The next day opens with nothing.
    assert without_censored([[2, 5, 0, 1]], [[7, 5, 0, NAN]]).tolist() == [[2, 5, pytest.approx(NAN, nan_ok=True), 1]]


def test_snapshots_tell_sales_by_the_balance():
    found = sales_of_snapshots(
        [10, 10, 10, 4], [4, 34, 3, NAN], receipts=[0, 30, 0, 0], returns=1, write_offs=[0, 0, 3, 0]
    )
    np.testing.assert_array_equal(found.sold, [7, 7, 5, NAN])
    np.testing.assert_array_equal(found.unexplained_receipts, [0, 0, 0, NAN])


def test_a_rise_without_a_booked_movement_is_told_and_hides_the_sales():
    found = sales_of_snapshots(10, 100, receipts=24, transfers=-4)
    assert (found.sold.item(), found.unexplained_receipts.item()) == (0, 70)
    assert np.isnan(found.demand)


@pytest.mark.parametrize("every", [1, 2, 7])
def test_with_booked_receipts_snapshots_tell_all_sales_and_without_them_those_of_the_days_of_receipts_are_lost(every):
    sold = np.nan_to_num(lumpy(200, 84))
    received = np.zeros_like(sold)
    received[:, 3::7] = sold.reshape(200, 12, 7).sum(axis=2)  # each week what the week sells
    stock = 500 + np.cumsum(received - sold, axis=1)
    before = np.hstack([np.full((200, 1), 500.0), stock])[:, :-1:every]
    after = stock[:, every - 1 :: every]
    booked = received.reshape(200, -1, every).sum(axis=2)
    assert sales_of_snapshots(before, after, receipts=booked).demand.sum() == sold.sum()
    unbooked = sales_of_snapshots(before, after)
    assert unbooked.sold.sum() < {1: 0.99, 2: 0.95, 7: 0.65}[every] * sold.sum()
    # Nothing is made up: what rose is told, and its sales are not known.
    assert np.array_equal(np.isnan(unbooked.demand), unbooked.unexplained_receipts > 0)


def test_days_that_opened_with_stock_tell_the_rate_best():
    """Deliveries each week of what is too little: the sales of all days, and those of days that did not sell out, tell
    less of the demand than those of the days that opened with stock."""
    wanted = np.nan_to_num(lumpy(400, 364, mean=3))
    sold, opening = np.zeros_like(wanted), np.zeros_like(wanted)
    stock = np.zeros(400)
    weekly = np.ceil(5 * wanted.mean(axis=1))
    for day in range(364):
        stock = stock + weekly * (day % 7 == 0)
        opening[:, day], sold[:, day] = stock, np.minimum(stock, wanted[:, day])
        stock = stock - sold[:, day]
    out = (opening <= 0).mean(axis=1) > 0.1
    true = wanted.mean(axis=1)[out]
    ended = np.where(opening - sold > 0, sold, np.nan)
    shares = [
        np.nanmedian(velocity(each[out].astype(np.float32))[0] / true)
        for each in (without_censored(sold, opening), sold, ended)
    ]
    assert shares[0] == pytest.approx(0.87, abs=0.03)
    assert shares[1:] == pytest.approx([0.73, 0.73], abs=0.03)


def test_sales_of_a_gap_are_spread_over_its_days():
    assert over_gap(7, 4).tolist() == [1.75] * 4
    with pytest.raises(ValueError, match="at least one day"):
        over_gap(7, 0)


def test_a_wholesale_order_is_capped_and_told():
    demand = np.tile(np.array([[1, 0, 3, 2]], np.float32), (2, 100))
    demand[1, 200] = 500
    rate, found = capped(demand)
    assert (found.series.tolist(), found.period.tolist(), found.quantity.tolist(), found.cap.tolist()) == (
        [1],
        [200],
        [500],
        [3],
    )
    assert rate[1, 200] == 3
    assert demand[1, 200] == 500
    np.testing.assert_array_equal(rate[0], demand[0])


def test_a_new_or_rarely_sold_sku_has_no_one_off_orders():
    demand = np.zeros((2, 300), np.float32)
    demand[0, :280] = NAN
    demand[:, 290] = 500
    assert len(capped(demand)[1].series) == 0


def test_new_skus_have_fewer_than_28_known_days():
    demand = np.zeros((2, 40), np.float32)
    demand[0, :13] = NAN
    demand[1, :12] = NAN
    assert is_new(demand).tolist() == [True, False]


@pytest.mark.parametrize(
    ("demand", "mean", "spread"),
    [
        pytest.param([9, 2, 4, 6], 4, 2, id="of the window"),
        pytest.param([9, 2, NAN, 6], 4, np.sqrt(8), id="of the known days"),
        pytest.param([9, NAN, NAN, 6], 6, NAN, id="one day has no spread"),
        pytest.param([9, NAN, NAN, NAN], NAN, NAN, id="nothing known"),
    ],
)
def test_velocity(demand, mean, spread):
    found = velocity(np.array([demand], np.float32), 3)
    assert [figure.item() for figure in found] == pytest.approx([mean, spread], nan_ok=True)
