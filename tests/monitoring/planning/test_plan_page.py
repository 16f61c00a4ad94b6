"""The page of a SKU in a warehouse: its facts, the terms of its sum, and a forecast set by hand."""

import csv
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest
from django.urls import reverse
from django.utils import timezone

from catalog.models import AuditEvent
from monitoring.models import DemandHistory, ForecastOverride, ForecastReport, PlanRun, SkuPlan
from tests.factories import (
    AdviceFactory,
    DemandHistoryFactory,
    PurchaseOrderLineFactory,
    SkuPlanFactory,
    StockLevelFactory,
    SupplierFactory,
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


@pytest.mark.parametrize(
    ("advice", "row"),
    [
        pytest.param({}, ("−", "to move here", "5"), id="advised"),
        pytest.param({"state": "snoozed"}, ("−", "to move here", "5"), id="snoozed"),
        pytest.param({"state": "accepted", "decided_at": DAY}, ("−", "to move here", "5"), id="accepted since"),
        pytest.param({"state": "accepted", "decided_at": -DAY}, None, id="accepted before"),
        pytest.param({"state": "gone"}, None, id="not needed any more"),
        pytest.param({"is_from_here": True}, ("+", "to move away", "5"), id="from here"),
    ],
)
def test_what_moves_first_is_a_term_of_the_sum(client, plan, advice, row):
    advice, here, there = dict(advice), plan.warehouse, WarehouseFactory()
    if advice.pop("is_from_here", False):
        here, there = there, here
    if "decided_at" in advice:
        advice["decided_at"] = plan.planned_at + advice["decided_at"]
    subject = f"transfer:{there.pk}"
    AdviceFactory(sku=plan.sku, warehouse=here, source=there, kind="transfer", subject=subject, quantity=5, **advice)
    signed_in(client, "Manager")
    shown = [(each.sign, each.name, each.units) for each in page(client, plan).context["page"].terms]
    assert [each for each in shown if "move" in each[1]] == ([row] if row else [])


def test_what_is_advised_is_decided_on_the_page_too(client, plan):
    supplier = SupplierFactory()
    advice = AdviceFactory(sku=plan.sku, warehouse=plan.warehouse, supplier=supplier, quantity=18)
    signed_in(client, "Manager")
    text = page(client, plan).text
    assert "Accept: buy 18" in text
    here = f"{reverse('plan:sku', args=[plan.sku_id])}?warehouse={plan.warehouse_id}"
    answer = client.post(reverse("plan:accept", args=[advice.pk]), {"shown": 18, "next": here}, follow=True)
    assert answer.redirect_chain == [(here, 302)]
    advice.refresh_from_db()
    order = reverse("admin:catalog_purchaseorder_change", args=[advice.order_id])
    assert f'<a href="{order}">{advice.order.number}</a>. Send it when it is complete.' in answer.text
    assert "Accept: buy 18" not in answer.text
    signed_in(client, "Viewer")
    AdviceFactory(sku=plan.sku, warehouse=plan.warehouse, quantity=18)
    assert "Accept: buy 18" not in page(client, plan).text


@pytest.mark.parametrize(
    ("last_mark", "later"),
    [
        pytest.param(DemandHistory.Mark.COUNTED, 0, id="there was some to sell"),
        pytest.param(DemandHistory.Mark.COUNTED | DemandHistory.Mark.LOWER_BOUND, None, id="there was nothing to sell"),
    ],
)
def test_days_that_nobody_knows_are_hatched_and_not_0(client, plan, last_mark, later):
    """Ten days are known, of which the second one is not; the last three came after the history."""
    today = timezone.localdate()
    units = np.array([3, -1, 0, 2, 1, 4, 2], "<i4").tobytes()
    DemandHistory.objects.update(
        first_day=today - 10 * DAY, last_day=today - 4 * DAY, units=units, marks=bytes([32] * 6 + [last_mark])
    )
    signed_in(client, "Manager")
    answer = page(client, plan)
    found = answer.context["page"]
    asked = {(today - row.day).days: row.demand for row in found.days}
    assert [asked[ago] for ago in range(11, 0, -1)] == [None, 3, None, 0, 2, 1, 4, 2, later, later, later]
    # 50 days before, the second one, and the last three where they are not known
    assert len(found.demand.gaps) == 50 + 1 + (3 if later is None else 0)
    assert 'fill="url(#hatch-demand)"' in answer.text


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
