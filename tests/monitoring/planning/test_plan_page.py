"""The page of a SKU in a warehouse: its facts, the terms of its sum, and a forecast set by hand."""

import csv
from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from catalog.models import AuditEvent
from monitoring.models import ForecastOverride, ForecastReport, PlanRun, SkuPlan
from tests.factories import (
    AdviceFactory,
    DemandHistoryFactory,
    PurchaseOrderLineFactory,
    SkuPlanFactory,
    StockLevelFactory,
    WarehouseFactory,
)
from tests.staff import signed_in

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def plan():
    """20 units that two a day take within ten days."""
    today = timezone.localdate()
    found = SkuPlanFactory(
        expected_high=36.0,
        unrounded=16.0,
        stock_out_on=today + 10 * DAY,
        notes=["pooled-spread"],
    )
    of_place = {"sku": found.sku, "warehouse": found.warehouse}
    StockLevelFactory(**of_place, on_hand=20)
    DemandHistoryFactory(**of_place, first_day=today - 28 * DAY, last_day=today - DAY)
    return found


def page(client, plan, **query):
    return client.get(reverse("plan:sku", args=[plan.sku_id]), {"warehouse": plan.warehouse_id, **query})


def test_it_says_how_the_sku_stands_and_what_the_order_is_made_of(client, plan):
    now = timezone.now()
    line = PurchaseOrderLineFactory(sku=plan.sku, order__warehouse=plan.warehouse, quantity=30)
    type(line.order).objects.update(status="sent", sent_at=now, expected_at=now + 5 * DAY)
    run = PlanRun.objects.create(kind="full", started_at=now)
    ForecastReport.objects.create(
        run=run, of="ours", horizon=14, level=Decimal("0.95"), wape=0.4567, bias=-0.02, coverage=0.951, totals=300
    )
    AdviceFactory(sku=plan.sku, warehouse=plan.warehouse, state="rejected", reason="too many", decided_at=now)
    signed_in(client, "Manager")
    text = page(client, plan).text
    for part in (
        "20 units",
        "30 units",
        "textbook formula 11",
        "in 10 d · 90% likely",
        "so that 95.0% of the order cycles pass",
        "2 a day",
        "how much demand varies is taken from SKUs like it",
        "+30",
        "45.7%",
        "−2.0%",
        "too many",
        'class="band"',
    ):
        assert part in text, part


def test_the_file_has_the_days_of_the_charts(client, plan):
    signed_in(client, "Manager")
    answer = client.get(reverse("plan:sku-csv", args=[plan.sku_id]), {"warehouse": plan.warehouse_id})
    rows = {row["day"]: row for row in csv.DictReader(answer.getvalue().decode().splitlines())}
    today = timezone.localdate()
    assert len(rows) == 121
    assert rows[str(today)]["stock"] == "20"
    assert rows[str(today - 3 * DAY)]["demand"] == "2"
    assert rows[str(today - 40 * DAY)]["demand"] == ""
    ahead = rows[str(today + 7 * DAY)]
    # 8 above 28 in 14 days, so 8 √(7 / 14) either way in 7
    assert (ahead["expected_stock"], ahead["low"], ahead["high"]) == ("6", "0.343146", "11.6569")
    assert rows[str(today + 10 * DAY)]["expected_stock"] == "0"


def test_what_nobody_can_tell_is_a_dash_with_its_reason(client):
    plan = SkuPlanFactory(
        status=SkuPlan.Status.CANNOT_TELL,
        reason="not-counted",
        **dict.fromkeys(
            ("on_hand", "per_day", "expected", "safety_stock", "reorder_point", "stock_out_on", "stock_out_probability")
        ),
    )
    signed_in(client, "Manager")
    text = page(client, plan).text
    assert "Nobody has counted what is there. Count it." in text
    assert text.count('<span class="unknown">—</span>') >= 4


def test_each_warehouse_of_the_sku_has_its_own(client, plan):
    other = SkuPlanFactory(sku=plan.sku)
    signed_in(client, "Manager")
    text = page(client, other).text
    assert str(plan.warehouse) in text
    assert page(client, other, warehouse=WarehouseFactory().pk).status_code == 404


def test_a_forecast_by_hand_has_a_reason_and_a_last_day_and_can_be_taken_away(client, plan):
    url = reverse("plan:override", args=[plan.sku_id]) + f"?warehouse={plan.warehouse_id}"
    until = timezone.localdate() + 30 * DAY
    given = {"per_day": "3.5", "factor": "", "until": str(until), "reason": "a fair"}
    manager = signed_in(client, "Manager")
    for wrong in ({"reason": ""}, {"until": str(timezone.localdate() - DAY)}, {"factor": "2"}, {"per_day": ""}):
        assert client.post(url, {**given, **wrong}).status_code == 200, wrong
    assert not ForecastOverride.objects.exists()
    text = client.post(url, given, follow=True).text
    assert "3.5 units a day" in text
    assert "a fair" in text
    override = ForecastOverride.objects.get()
    assert (override.warehouse, override.made_by, override.until) == (plan.warehouse, manager, until)
    end = reverse("plan:override-end", args=[plan.sku_id, override.pk])
    assert "Taken away." in client.post(f"{end}?warehouse={plan.warehouse_id}", follow=True).text
    assert not ForecastOverride.objects.exists()
    kept = AuditEvent.objects.filter(object_type="monitoring.forecastoverride").order_by("pk")
    assert [event.action for event in kept] == ["added", "deleted"]


def test_an_operator_sees_the_page_and_sets_no_forecast(client, plan):
    signed_in(client, "Viewer")
    assert "Set forecast" not in page(client, plan).text
    assert client.get(reverse("plan:override", args=[plan.sku_id])).status_code == 403
