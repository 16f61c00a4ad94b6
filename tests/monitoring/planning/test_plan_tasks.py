"""When planning happens: each night, when somebody asks, when something crossed a point, and in the terminal."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from catalog.stock.ledger import Kind, Movement, Source, record_movements
from integrations.schedules import PLANS
from integrations.tasks import plan_all, plan_lane
from monitoring.models import PlanRun, SkuPlan
from monitoring.services.planning import running
from monitoring.services.planning.asking import ask_for_run
from tests.factories import SkuFactory, UserFactory, WarehouseFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_locks(settings, tmp_path):
    settings.VAR_DIR = tmp_path


@pytest.fixture
def skus():
    warehouse = WarehouseFactory()
    skus = SkuFactory.create_batch(2)
    for sku in skus:
        count(sku, warehouse, 9, "first")
    return skus


def count(sku, warehouse, units, name):
    movement = Movement(sku.pk, warehouse.pk, Kind.COUNT, units, f"{name} {sku.pk}", Source.MANUAL)
    record_movements([movement], now=timezone.now())


def test_each_night_everything_is_planned(skus):
    assert any(plan.func == "integrations.tasks.plan_all" and plan.cron for plan in PLANS)
    assert plan_all() == "2 places planned, 0 advised, 0 not needed any more"
    run = PlanRun.objects.get()
    assert (run.kind, run.total, run.done, run.problem) == ("full", 2, 2, "")
    assert run.ended_at is not None


def test_what_somebody_asked_for_is_planned_once(skus):
    assert plan_lane() == "nothing was asked for"
    asked = ask_for_run(actor=UserFactory(), now=timezone.now())
    assert plan_lane().startswith("2 places planned")
    assert plan_lane() == "nothing was asked for"
    asked.refresh_from_db()
    assert (PlanRun.objects.get(), asked.total) == (asked, 2)


def test_what_crossed_a_point_is_planned_alone(skus):
    assert plan_lane([skus[0].pk]).startswith("1 places planned")
    assert list(SkuPlan.objects.values_list("sku", flat=True)) == [skus[0].pk]
    assert PlanRun.objects.get().kind == "changes"


def test_a_run_that_fails_says_so_and_leaves_the_plans_as_they_were(skus, monkeypatch):
    plan_all()
    before = list(SkuPlan.objects.values())

    def broken(*args, **kwargs):
        raise ArithmeticError("no optimum")

    monkeypatch.setattr(running, "save_advice", broken)
    with pytest.raises(ArithmeticError):
        plan_all()
    run = PlanRun.objects.latest("pk")
    assert (run.problem, run.ended_at is None) == ("ArithmeticError", False)
    assert list(SkuPlan.objects.values()) == before


def planned(*arguments):
    out = StringIO()
    call_command("plan", *arguments, stdout=out)
    return out.getvalue()


def test_the_terminal_plans_all_some_or_what_moved(skus):
    assert planned().startswith("2 places planned")
    assert planned("--sku", skus[1].code).startswith("1 places planned")
    assert planned("--changes").startswith("Nothing has moved")
    count(skus[0], SkuPlan.objects.earliest("pk").warehouse, 4, "again")
    assert planned("--changes").startswith("1 places planned")


def test_the_terminal_refuses_a_sku_that_is_not_there(skus):
    with pytest.raises(CommandError, match="There is no SKU NOPE"):
        planned("--sku", "NOPE")
