"""Purchase orders as programs read them."""

from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.purchasing.orders import Wanted, cancel_order, draft_order, receive_order, send_order
from tests.factories import NOW, ChannelFactory, ListingFactory, SkuFactory, SupplierFactory, WarehouseFactory
from tests.staff import member

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(days=9)
ADDRESS = "purchase-orders/"


@pytest.fixture(autouse=True)
def _now():
    with time_machine.travel(NOW, tick=False):
        yield


def ordered(*skus, is_sent=True):
    order = draft_order(
        supplier_id=SupplierFactory(currency="USD", lead_time_days=14).pk,
        warehouse_id=WarehouseFactory().pk,
        lines=[Wanted(sku.pk, 40, Decimal("2.5")) for sku in skus or [SkuFactory()]],
        actor=None,
        now=NOW,
    )
    return send_order(order_id=order.pk, actor=None, now=NOW) if is_sent else order


def ids(rows):
    return [row["id"] for row in rows]


def test_an_order_tells_what_came_and_what_is_still_to_come(owner):
    order = ordered()
    line = order.lines.get()
    receive_order(order_id=order.pk, arrived={line.pk: 30}, key="r", actor=None, now=LATER)
    row = owner.get(f"{ADDRESS}{order.pk}/").json()
    assert owner.rows(ADDRESS) == [row]
    told = {"sku": line.sku_id, "quantity": 40, "received": 30, "cancelled": 0, "outstanding": 10, "unit_cost": "2.50"}
    assert (row["status"], row["currency"], row["lines"]) == ("partly_received", "USD", [told])
    assert (row["sent_at"], row["expected_at"]) == ("2026-11-21T04:00:00Z", "2026-12-05T04:00:00Z")
    assert (row["updated_at"], row["closed_at"]) == ("2026-11-30T04:00:00Z", None)


def test_a_draft_is_no_order_yet_nor_one_that_was_never_sent(owner):
    draft, dropped = ordered(is_sent=False), ordered(is_sent=False)
    cancel_order(order_id=dropped.pk, actor=None, now=LATER)
    assert owner.rows(ADDRESS) == []
    assert owner.get(f"{ADDRESS}{draft.pk}/").status_code == 404


def test_a_list_is_narrowed_by_state_place_supplier_and_what_happened_since(owner):
    ordered()
    wanted = ordered()
    cancel_order(order_id=wanted.pk, actor=None, now=LATER)
    narrowed = {
        "status": "cancelled",
        "supplier": wanted.supplier_id,
        "warehouse": wanted.warehouse_id,
        "updated_since": "2026-11-30T00:00:00Z",
    }
    for name, value in narrowed.items():
        assert ids(owner.rows(ADDRESS, **{name: value})) == [wanted.pk], name
    assert owner.get(ADDRESS, query_params={"status": "draft"}).status_code == 400


def test_costs_are_told_to_those_who_may_see_them(program):
    ordered()
    [row] = program(scopes=["read:plans"]).rows(ADDRESS)
    assert "currency" not in row
    assert "unit_cost" not in row["lines"][0]
    [row] = program(scopes=["read:plans", "read:cost"]).rows(ADDRESS)
    assert (row["currency"], row["lines"][0]["unit_cost"]) == ("USD", "2.50")
    assert program(scopes=["read:catalog"]).get(ADDRESS).status_code == 403


def test_an_order_with_a_sku_of_others_is_not_shown(program):
    own, other = ChannelFactory(), ChannelFactory()
    mine = ListingFactory(channel=own, sku=SkuFactory()).sku
    seen, hidden = ordered(mine), ordered(mine, ListingFactory(channel=other, sku=SkuFactory()).sku)
    reader = program(member("Viewer", own))
    assert ids(reader.rows(ADDRESS)) == [seen.pk]
    assert reader.get(f"{ADDRESS}{hidden.pk}/").status_code == 404


def test_many_orders_take_as_many_queries_as_one(owner):
    counts = []
    for number in (1, 4):
        for _each in range(number):
            ordered(*SkuFactory.create_batch(2))
        with CaptureQueriesContext(connection) as captured:
            owner.rows(ADDRESS)
        counts.append(len(captured))
    assert counts[0] == counts[1]
