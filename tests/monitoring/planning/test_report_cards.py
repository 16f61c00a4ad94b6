"""The report cards of forecasts: of all, of each pattern of demand, and of each SKU, beside two simpler methods."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from integrations.schedules import PLANS
from integrations.tasks import judge_forecasts
from monitoring.models import DemandHistory, ForecastReport, PlanRun, SkuPlan
from monitoring.planning.choosing import past_ends
from monitoring.planning.forecasting import DAYS as CALENDAR
from monitoring.services.planning.report_cards import save_report
from monitoring.services.planning.running import judge_plans
from tests.factories import SkuFactory, SkuPlanFactory, UserFactory, WarehouseFactory

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
DAYS = 250
METHODS = {"ours", "seasonal-naive", "textbook"}


@pytest.fixture(autouse=True)
def zone(settings):
    settings.TIME_ZONE = "Asia/Shanghai"


def planned(units, warehouse, **fields):
    """A plan of a SKU that sold so many each day until yesterday."""
    sku = SkuFactory()
    last = NOW.date() - timedelta(days=1)
    DemandHistory.objects.create(
        sku=sku,
        warehouse=warehouse,
        source="ledger",
        first_day=last - timedelta(days=len(units) - 1),
        last_day=last,
        units=np.asarray(units, "<i4").tobytes(),
        marks=bytes([DemandHistory.Mark.COUNTED]) * len(units),
        built_at=NOW,
    )
    return SkuPlanFactory(sku=sku, warehouse=warehouse, **{"protection_days": 14, **fields})


def noisy(number):
    return np.random.default_rng(number).poisson(3 + number, DAYS)


def card_of(plan):
    plan.refresh_from_db()
    return plan.report_card


def test_a_sku_that_sells_the_same_each_day_is_forecast_without_error():
    plan = planned([4] * DAYS, WarehouseFactory())
    told = judge_plans(now=NOW)
    card = card_of(plan)
    assert (told.plans, told.unknown) == (1, 0)
    assert (card["days"], card["level"], card["totals"]) == (14, 0.95, 4)
    assert set(card["methods"]) == METHODS
    wape, bias, coverage, _loss = card["methods"]["ours"]
    assert (wape, bias, coverage) == (pytest.approx(0, abs=1e-3), pytest.approx(0, abs=1e-3), 1.0)
    assert card["methods"]["seasonal-naive"] == [0.0, 0.0, None, None]
    assert (plan.wape, plan.bias, plan.coverage) == (wape, bias, coverage)


def test_the_figures_are_those_of_the_totals_at_past_moments():
    """The textbook's, which can be worked out by hand: the mean of 28 days, times 14."""
    units = noisy(1)
    plan = planned(units, WarehouseFactory())
    judge_plans(now=NOW)
    card = card_of(plan)
    ends = past_ends(DAYS, 14, CALENDAR)[-card["totals"] :]
    known = [(14 * units[end - 28 : end].mean(), units[end : end + 14].sum()) for end in ends]
    sold = sum(actual for _told, actual in known)
    wape = sum(abs(told - actual) for told, actual in known) / sold
    bias = sum(told - actual for told, actual in known) / sold
    assert card["methods"]["textbook"][:2] == [pytest.approx(wape, abs=1e-4), pytest.approx(bias, abs=1e-4)]


def test_each_is_judged_over_its_own_period_and_the_same_again_changes_nothing():
    warehouse = WarehouseFactory()
    plans = [planned(noisy(number), warehouse, protection_days=days) for number, days in enumerate((7, 14, 14, 30))]
    judge_plans(now=NOW)
    assert [card_of(plan)["days"] for plan in plans] == [7, 14, 14, 30]
    before = list(SkuPlan.objects.order_by("pk").values())
    assert str(judge_plans(now=NOW)) == "4 forecasts judged, 0 of which nobody can tell"
    assert list(SkuPlan.objects.order_by("pk").values()) == before


def test_what_cannot_be_judged_is_not_known_and_not_0():
    warehouse = WarehouseFactory()
    new, never, unplanned = (
        planned([3] * 20, warehouse),
        planned([0] * DAYS, warehouse),
        planned([3] * DAYS, warehouse, protection_days=None),
    )
    known = planned([3] * DAYS, warehouse)
    judge_plans(now=NOW)
    for plan in (new, unplanned):
        assert card_of(plan) == {}
        assert (plan.wape, plan.bias, plan.coverage, plan.quantile_loss) == (None, None, None, None)
    assert card_of(never)["methods"]["ours"][:2] == [None, None]  # nothing was sold: no share of it can be told
    assert card_of(known)["totals"] == 4


def test_one_sku_is_judged_as_it_is_among_all():
    warehouse = WarehouseFactory()
    plans = [planned(noisy(number), warehouse) for number in range(4)]
    judge_plans(now=NOW)
    before = card_of(plans[2])
    SkuPlan.objects.update(report_card={}, wape=None)
    judge_plans([plans[2].sku_id], now=NOW)
    assert card_of(plans[2]) == before
    assert card_of(plans[1]) == {}


def test_the_number_of_queries_is_the_same_for_few_and_many():
    warehouse = WarehouseFactory()

    def queries():
        with CaptureQueriesContext(
            connection,
        ) as captured:
            judge_plans(now=NOW)
        return len(captured)

    planned(noisy(0), warehouse)
    few = queries()
    for number in range(1, 8):
        planned(noisy(number), warehouse)
    assert queries() == few


def test_the_report_of_a_run_is_of_all_and_of_each_pattern_of_demand():
    random = np.random.default_rng(2)
    steady = random.poisson(9, (40, DAYS)).astype(np.float32)
    rare = np.where(random.random((40, DAYS)) < 0.1, 2, 0).astype(np.float32)
    run = PlanRun.objects.create(kind=PlanRun.Kind.FULL, started_at=NOW)
    save_report(np.concatenate([steady, rare]), np.full(5, 14.0), run)
    told: dict[Any, Any] = {(card.group, card.of): card for card in ForecastReport.objects.filter(run=run)}
    assert set(told) == {(group, of) for group in ("", "smooth", "intermittent") for of in METHODS}
    assert told["smooth", "ours"].totals + told["intermittent", "ours"].totals == told["", "ours"].totals == 320
    assert told["smooth", "ours"].wape < told["", "ours"].wape < told["intermittent", "ours"].wape
    assert told["smooth", "seasonal-naive"].quantile_loss is None


def test_each_night_and_the_terminal_judge_the_forecasts(db):
    assert judge_forecasts() == "0 forecasts judged, 0 of which nobody can tell"
    (schedule,) = (plan for plan in PLANS if plan.func.endswith(".judge_forecasts"))
    assert schedule.cron == "20 3 * * *"
    out = StringIO()
    call_command("plan", "--report-cards", stdout=out)
    assert "0 forecasts judged" in out.getvalue()


def test_the_page_of_a_sku_has_its_card_beside_those_of_its_like_and_of_all(client):
    run = PlanRun.objects.create(kind=PlanRun.Kind.FULL, started_at=NOW)
    for group in ("", "smooth", "lumpy"):
        ForecastReport.objects.create(
            run=run, group=group, of="ours", horizon=14, level="0.95", totals=8, wape=0.123, bias=-0.04, coverage=0.95
        )
    methods = {"ours": [0.25, 0.5, 1.0, 0.031], "textbook": [None, None, None, None]}
    card = {"days": 7, "level": 0.95, "totals": 4, "methods": methods}
    plan = SkuPlanFactory(pattern="smooth", report_card=card)
    client.force_login(UserFactory(is_superuser=True, is_staff=True))
    address = reverse("plan:sku", args=[plan.sku_id])
    page = client.get(address, {"warehouse": plan.warehouse_id})
    own, alike, every = page.context["page"].cards
    assert (own.title, own.line) == ("This SKU", "4 totals of 7 days at past moments")
    assert own.rows == [("chosen method", "25.0%", "50.0%", "100.0%", "0.031"), ("textbook formula", *["—"] * 4)]
    assert (alike.title, alike.rows[0][1:3]) == ("Sold steadily", ("12.3%", "−4.0%"))
    assert every.title.startswith("All SKUs")
    assert "Sold now and then in changing sizes" in client.get(reverse("planning:classes")).content.decode()
