"""What is on its way, and what of it is overdue."""

from datetime import timedelta

import pytest

from catalog.purchasing.on_the_way import OnTheWay, Way, arrivals, by_place
from catalog.purchasing.orders import cancel_order, receive_order, send_order
from catalog.stock.transfers import receive_transfer, send_transfer
from tests.factories import (
    NOW,
    LaneFactory,
    PurchaseOrderFactory,
    SkuFactory,
    SupplierFactory,
    WarehouseFactory,
)

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def sku():
    return SkuFactory()


@pytest.fixture
def warehouse():
    return WarehouseFactory()


def bought(sku, warehouse, units=10, *, expected_at=None, supplier=None, is_sent=True):
    order = PurchaseOrderFactory(supplier=supplier or SupplierFactory(), warehouse=warehouse, expected_at=expected_at)
    line = order.lines.create(sku=sku, quantity=units)
    if is_sent:
        send_order(order_id=order.pk, actor=None, now=NOW - 30 * DAY)
    return order, line


def moved(sku, source, destination, units=4, sent_at=NOW - DAY):
    return send_transfer(
        sku_id=sku.pk,
        source_id=source.pk,
        destination_id=destination.pk,
        quantity=units,
        key=f"{source.pk}:{destination.pk}:{units}",
        actor=None,
        now=sent_at,
    )


def test_open_orders_and_transfers_are_on_their_way(sku, warehouse):
    other = WarehouseFactory()
    LaneFactory(source=other, destination=warehouse, days=3)
    order, _line = bought(sku, warehouse, expected_at=NOW + 5 * DAY)
    bought(SkuFactory(), warehouse)
    bought(sku, warehouse, is_sent=False)
    transfer = moved(sku, other, warehouse)
    found = arrivals([sku.pk], now=NOW)
    assert [(each.way, each.pk, each.units, each.due_at) for each in found] == [
        (Way.TRANSFER, transfer.pk, 4, NOW + 2 * DAY),
        (Way.PURCHASE, order.pk, 10, NOW + 5 * DAY),
    ]
    assert by_place(found) == {(sku.pk, warehouse.pk): OnTheWay(14, 0, 0)}
    assert len(arrivals(now=NOW)) == 3


def test_what_arrived_or_is_cancelled_is_not_on_its_way(sku, warehouse):
    order, line = bought(sku, warehouse)
    receive_order(order_id=order.pk, arrived={line.pk: 7}, key="a", actor=None, now=NOW)
    assert by_place(arrivals(now=NOW)) == {(sku.pk, warehouse.pk): OnTheWay(3, 0, 3)}
    cancel_order(order_id=order.pk, actor=None, now=NOW)
    transfer = moved(sku, WarehouseFactory(), warehouse)
    receive_transfer(transfer_id=transfer.pk, quantity=4, actor=None, now=NOW)
    assert arrivals(now=NOW) == []


@pytest.mark.parametrize(
    ("late_days", "spread", "is_overdue"),
    [
        (-1, None, False),
        pytest.param(0.5, None, False, id="until the end of its day"),
        pytest.param(1.5, None, True, id="spread not known"),
        pytest.param(2.5, 3, False, id="within the spread"),
        pytest.param(3.5, 3, True, id="beyond the spread"),
    ],
)
def test_an_order_late_by_more_than_its_spread_is_overdue(sku, warehouse, late_days, spread, is_overdue):
    supplier = SupplierFactory(lead_time_days=5, lead_time_spread_days=spread)
    bought(sku, warehouse, expected_at=NOW - late_days * DAY, supplier=supplier)
    (found,) = arrivals(now=NOW)
    assert found.is_overdue == is_overdue
    assert by_place([found])[sku.pk, warehouse.pk] == OnTheWay(10, 10 if is_overdue else 0, 0)


def test_a_transfer_without_a_lane_has_no_date(sku, warehouse):
    moved(sku, WarehouseFactory(), warehouse, sent_at=NOW - 90 * DAY)
    (found,) = arrivals(now=NOW)
    assert (found.due_at, found.is_overdue) == (None, False)
    assert by_place([found])[sku.pk, warehouse.pk] == OnTheWay(4, 0, 4)


def test_a_transfer_longer_on_its_way_than_its_lane_is_overdue(sku, warehouse):
    other = WarehouseFactory()
    LaneFactory(source=other, destination=warehouse, days=3)
    LaneFactory(source=warehouse, destination=other, days=30)
    moved(sku, other, warehouse, sent_at=NOW - 5 * DAY)
    moved(sku, warehouse, other, sent_at=NOW - 5 * DAY)
    assert [(each.warehouse_id, each.is_overdue) for each in arrivals(now=NOW)] == [
        (warehouse.pk, True),
        (other.pk, False),
    ]


def test_what_has_no_date_comes_last(sku, warehouse):
    undated, _line = bought(sku, warehouse)
    dated, _line = bought(sku, warehouse, expected_at=NOW + 90 * DAY)
    assert [each.pk for each in arrivals(now=NOW)] == [dated.pk, undated.pk]


def test_many_orders_cost_a_few_statements(warehouse, django_assert_max_num_queries):
    for number in range(12):
        sku = SkuFactory()
        bought(sku, warehouse, expected_at=NOW - number * DAY, supplier=SupplierFactory(lead_time_days=3))
        moved(sku, WarehouseFactory(), warehouse)
    with django_assert_max_num_queries(5):
        assert len(arrivals(now=NOW)) == 24
