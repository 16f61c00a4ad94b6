"""Planning as programs read it: plans, advice, health, and the low-stock flag of listings."""

from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from monitoring.models import Advice, SkuPlan
from tests.factories import (
    NOW,
    AdviceFactory,
    ListingFactory,
    ListingWatchFactory,
    ProductFactory,
    SkuFactory,
    SkuPlanFactory,
    StockLevelFactory,
    SupplierFactory,
    WarehouseFactory,
)
from tests.staff import member

pytestmark = pytest.mark.django_db

RESOURCES = ("plans", "advice", "health")
MAKERS: dict[str, Any] = {"plans": SkuPlanFactory, "advice": AdviceFactory, "health": SkuPlanFactory}


@pytest.fixture(autouse=True)
def _now():
    with time_machine.travel(NOW, tick=False):
        yield


def ids(rows):
    return [row["id"] for row in rows]


@pytest.mark.parametrize("resource", RESOURCES)
def test_a_row_is_the_same_in_the_list_and_by_itself(owner, resource):
    MAKERS[resource].create_batch(2)
    rows = owner.rows(f"{resource}/")
    assert len(rows) == 2
    for row in rows:
        assert owner.get(f"{resource}/{row['id']}/").json() == row


def test_a_plan_is_told_in_pieces_days_and_exact_amounts(owner):
    plan = SkuPlanFactory(stock_value=Decimal("840"), currency="CNY", abc="A", notes=["default-lead-time"])
    row = owner.get(f"plans/{plan.pk}/").json()
    names = ("on_hand", "safety_stock", "stock_out_on", "service_target", "stock_value", "money_at_stake", "xyz")
    assert [row[name] for name in names] == [20, 8.0, "2026-12-01", 0.95, "840.00", None, None]
    assert (row["abc"], row["notes"], row["updated_at"]) == ("A", ["default-lead-time"], "2026-11-21T04:00:00Z")


def test_what_is_not_known_of_a_plan_is_null(owner):
    plan = SkuPlanFactory(status="cannot-tell", reason="never-counted", on_hand=None, per_day=None, cover_days=None)
    row = owner.get(f"plans/{plan.pk}/").json()
    assert (row["on_hand"], row["per_day"], row["cover_days"], row["reason"]) == (None, None, None, "never-counted")


@pytest.mark.parametrize(
    ("resource", "name", "value", "fields"),
    [
        ("plans", "abc", "A", {"abc": "A"}),
        ("plans", "xyz", "Z", {"xyz": "Z"}),
        ("plans", "status", "new", {"status": "new"}),
        ("plans", "brand", "Acme", {"sku__product__brand": "Acme"}),
        ("health", "abc", "B", {"abc": "B"}),
        ("advice", "kind", "transfer", {"kind": "transfer"}),
        ("advice", "state", "rejected", {"state": "rejected"}),
    ],
)
def test_a_list_is_narrowed_by_what_stands_in_its_rows(owner, resource, name, value, fields):
    MAKERS[resource]()
    wanted = MAKERS[resource](**fields)
    assert ids(owner.rows(f"{resource}/", **{name: value})) == [wanted.pk]


@pytest.mark.parametrize("resource", RESOURCES)
def test_a_list_is_narrowed_by_sku_warehouse_and_supplier(owner, resource):
    MAKERS[resource]()
    wanted = MAKERS[resource](supplier=SupplierFactory())
    for name in ("sku", "warehouse", "supplier"):
        assert ids(owner.rows(f"{resource}/", **{name: getattr(wanted, f"{name}_id")})) == [wanted.pk]


def test_a_decided_advice_says_who_decided_what(owner):
    boss = member("Manager")
    advice = AdviceFactory(state=Advice.State.CHANGED, decided_by=boss, decided_at=NOW, decided_quantity=12, reason="?")
    row = owner.get(f"advice/{advice.pk}/").json()
    assert (row["state"], row["quantity"], row["decided_quantity"]) == ("changed", 16, 12)
    assert (row["decided_by"], row["decision_reason"], row["outcome"]) == (boss.username, "?", None)


def test_a_part_of_the_health_that_is_not_known_leaves_its_weight_to_the_others(owner):
    parts = {"availability": 0.9, "cover": 1.0, "turnover": None, "freshness": 1.0}
    plan = SkuPlanFactory(health=95.625, health_parts=parts)
    row = owner.get(f"health/{plan.pk}/").json()
    assert (row["score"], row["parts"]) == (95.625, parts)
    assert row["weights"] == {"availability": 0.4375, "cover": 0.3125, "turnover": None, "freshness": 0.25}


def test_a_health_of_which_nothing_is_known_is_null(owner):
    plan = SkuPlanFactory(health=None, health_parts={})
    row = owner.get(f"health/{plan.pk}/").json()
    assert row["score"] is None
    assert set(row["parts"].values()) == set(row["weights"].values()) == {None}


@pytest.mark.parametrize("resource", RESOURCES)
def test_each_person_sees_the_skus_of_their_channels_alone(program, resource):
    own, other = ListingFactory(sku=SkuFactory()), ListingFactory(sku=SkuFactory())
    seen, hidden = (MAKERS[resource](sku=listing.sku) for listing in (own, other))
    reader = program(member("Viewer", own.channel))
    assert ids(reader.rows(f"{resource}/")) == [seen.pk]
    assert reader.get(f"{resource}/{hidden.pk}/").status_code == 404


@pytest.mark.parametrize("resource", RESOURCES)
def test_planning_has_a_scope_of_its_own(program, resource):
    assert program(scopes=["read:watch", "read:catalog"]).get(f"{resource}/").status_code == 403
    assert program(scopes=["read:plans"]).get(f"{resource}/").status_code == 200


@pytest.mark.parametrize("resource", ["plans", "advice"])
def test_amounts_are_told_to_those_who_may_see_costs(program, resource):
    MAKERS[resource](money_at_stake=Decimal("12.5"), currency="CNY")
    [row] = program(scopes=["read:plans"]).rows(f"{resource}/")
    assert not {"stock_value", "money_at_stake", "currency"} & row.keys()
    [row] = program(scopes=["read:plans", "read:cost"]).rows(f"{resource}/")
    assert (row["money_at_stake"], row["currency"]) == ("12.50", "CNY")
    reader = program(member("Viewer", ListingFactory(sku_id=row["sku"]).channel))
    [row] = reader.rows(f"{resource}/")
    assert "money_at_stake" not in row


@pytest.mark.parametrize("resource", [*RESOURCES, "listings"])
def test_a_list_takes_the_same_queries_for_many_as_for_few(owner, resource):
    counts = []
    for number in (1, 5):
        for plan in SkuPlanFactory.create_batch(number):
            AdviceFactory(sku=plan.sku)
            ListingFactory(sku=plan.sku)
        with CaptureQueriesContext(connection) as captured:
            owner.rows(f"{resource}/")
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_pages_of_plans_follow_each_other(owner):
    product = ProductFactory()
    plans = [SkuPlanFactory(sku=SkuFactory(product=product)) for _ in range(3)]
    first = owner.get("plans/", query_params={"limit": 2}).json()
    assert ids(first["results"]) == [plan.pk for plan in plans[:2]]
    assert ids(owner.get(first["next"]).json()["results"]) == [plans[2].pk]


# --- Low stock ------------------------------------------------------------------------------------------------------


def place(sku, *, available=None, is_counted=True, is_active=True, **fields):
    """A planned SKU in a warehouse of its own, with a safety stock of 8, that runs out in time in 2 of 100 cases."""
    warehouse = WarehouseFactory(is_active=is_active)
    SkuPlanFactory(sku=sku, warehouse=warehouse, **{"stock_out_probability": 0.02, **fields})
    if available is not None:
        StockLevelFactory(sku=sku, warehouse=warehouse, on_hand=available + 3, reserved=3, is_counted=is_counted)


@pytest.mark.parametrize(
    ("places", "is_low"),
    [
        pytest.param([], None, id="not planned"),
        pytest.param([{"available": 8}], False, id="at the safety stock"),
        pytest.param([{"available": 7}], True, id="below"),
        pytest.param([{"available": -2}], True, id="oversold"),
        pytest.param([{"available": 9, "stock_out_probability": 0.05}], False, id="as likely as the target allows"),
        pytest.param([{"available": 9, "stock_out_probability": 0.06}], True, id="runs out before anything arrives"),
        pytest.param([{"available": 50}, {"available": 7}], True, id="below in one warehouse"),
        pytest.param([{"available": 7, "is_active": False}], None, id="in a warehouse that is not offered"),
        pytest.param([{"available": 7, "is_counted": False}], None, id="never counted"),
        pytest.param([{}], None, id="no stock known"),
        pytest.param([{"available": 7, "safety_stock": None, "status": "cannot-tell"}], None, id="no safety stock"),
        pytest.param([{"available": 50}, {}], None, id="known in one warehouse alone"),
        pytest.param([{"available": 7}, {}], True, id="below, whatever the other has"),
        pytest.param(
            [{"available": 0, "safety_stock": None, "status": SkuPlan.Status.NO_DEMAND}], False, id="never sold"
        ),
    ],
)
def test_a_listing_is_low_when_cover_is_short_somewhere(owner, places, is_low):
    listing = ListingFactory(sku=SkuFactory())
    for fields in places:
        place(listing.sku, **fields)
    assert owner.get(f"listings/{listing.pk}/").json()["is_low_stock"] is is_low


@pytest.mark.parametrize(("shown", "is_low"), [(8, False), (7, True)])
def test_what_nobody_counted_is_low_by_what_its_shop_shows(owner, shown, is_low):
    sku = SkuFactory()
    watch = ListingWatchFactory(listing=ListingFactory(sku=sku, stock=shown), read_at=timezone.now(), outcome="read")
    place(sku)
    assert owner.get(f"listings/{watch.pk}/").json()["is_low_stock"] is is_low


def test_a_listing_without_a_sku_is_not_said_to_have_enough(owner):
    listing = ListingFactory()
    place(SkuFactory(), available=50)
    assert owner.get(f"listings/{listing.pk}/").json()["is_low_stock"] is None
