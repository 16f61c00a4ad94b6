"""Planning rules, as staff keep them."""

from decimal import Decimal

import pytest
from django.urls import reverse

from catalog.models import AuditEvent
from monitoring.models import PlanPolicy
from tests.factories import SkuFactory, WarehouseFactory
from tests.staff import signed_in

pytestmark = pytest.mark.django_db

ADD, LIST = "admin:monitoring_planpolicy_add", "admin:monitoring_planpolicy_changelist"


def added(client, **fields):
    return client.post(reverse(ADD), fields)


def test_a_rule_is_kept_with_who_made_it_and_listed_by_what_it_is_for(client):
    signed_in(client, "Manager")
    warehouse = WarehouseFactory(name="Hangzhou")
    assert added(client, service_target="0.975", review_days="7").status_code == 302
    assert added(client, warehouse=warehouse.pk, lead_time_days="12").status_code == 302
    assert added(client, abc="A", presence="2").status_code == 302
    assert PlanPolicy.objects.get(abc="", warehouse=None).service_target == Decimal("0.975")
    assert AuditEvent.objects.filter(object_type="monitoring.planpolicy").count() == 3
    text = client.get(reverse(LIST)).text
    for part in ("All SKUs", "97.5%", "Hangzhou", "12 d", "Class A", "not set here"):
        assert part in text


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"service_target": "1"}, "less than or equal to 0.9999"),
        ({"service_target": "0"}, "greater than or equal to 0.5"),
        ({"lead_time_days": "-1"}, "greater than or equal to 0"),
        ({"abc": "A", "warehouse": "1"}, "A rule is for one SKU, one class or one warehouse."),
        ({}, "There is a rule for this already."),
    ],
)
def test_what_no_plan_can_count_with_is_refused_where_it_was_entered(client, fields, error):
    signed_in(client, "Manager")
    PlanPolicy.objects.create(service_target=Decimal("0.95"))
    if "warehouse" in fields:
        fields = {**fields, "warehouse": WarehouseFactory().pk}
    assert error in added(client, **fields).text
    assert PlanPolicy.objects.count() == 1


def test_whoever_only_looks_at_plans_changes_no_rule(client):
    rule = PlanPolicy.objects.create(sku=SkuFactory(), presence=1)
    signed_in(client, "Viewer")
    page = reverse("admin:monitoring_planpolicy_change", args=[rule.pk])
    assert client.post(page, {"sku": rule.sku_id, "presence": "5"}).status_code == 403
    assert client.get(reverse(ADD)).status_code == 403
