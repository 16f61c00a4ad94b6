"""Who may see a cost, and the ways by which nobody else finds it out."""

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from catalog.services import audit
from tests.factories import (
    ListingFactory,
    SkuFactory,
    SupplierFactory,
)
from tests.staff import address

pytestmark = pytest.mark.django_db


@pytest.fixture
def priced(own_channel):
    sku = SkuFactory(code="EV-1", cost_price="148.25", supplier=SupplierFactory())
    ListingFactory(channel=own_channel, sku=sku)
    return sku


def pages_with_cost(sku):
    return [
        reverse("admin:catalog_sku_changelist"),
        address(sku, "change"),
        address(sku, "history"),
        address(sku.product, "change"),
        "/search/?q=EV-1",
    ]


def log_a_cost_change(sku, actor):
    audit(
        action="changed",
        obj=sku,
        actor=actor,
        now=datetime(2026, 11, 21, tzinfo=UTC),
        changes={"cost_price": ["150.75", "148.25"], "status": ["active", "paused"]},
    )


def test_cost_is_nowhere_for_people_who_may_not_see_it(operator_client, operator, priced):
    log_a_cost_change(priced, operator)
    for url in [*pages_with_cost(priced), address(priced, "edit"), reverse("admin:catalog_sku_add")]:
        text = operator_client.get(url).content.decode()
        assert "148.25" not in text, url
        assert "150.75" not in text, url
        assert "cost" not in text.lower(), url


def test_cost_is_not_in_the_audit_log_of_people_who_may_not_see_it(client, someone, priced):
    user = someone("Operator")
    user.user_permissions.add(Permission.objects.get(codename="view_auditevent"))
    log_a_cost_change(priced, user)
    client.force_login(user)
    text = client.get(reverse("admin:catalog_auditevent_changelist")).content.decode()
    assert "Status: active → paused" in text
    assert "148.25" not in text
    assert "Cost" not in text
    found = client.get(reverse("admin:catalog_auditevent_changelist"), {"q": "148.25"})
    assert list(found.context["cl"].result_list) == []


@pytest.mark.parametrize(
    ("model", "lookup"),
    [
        ("sku", "cost_price__gte"),
        ("sku", "cost_price"),
        ("sku", "cost_currency"),
        ("product", "skus__cost_price__gte"),
        ("listing", "sku__cost_price__gte"),
        ("supplier", "skus__cost_price__gte"),
    ],
)
def test_cost_cannot_be_found_out_by_filtering(operator_client, priced, model, lookup):
    assert operator_client.get(reverse(f"admin:catalog_{model}_changelist"), {lookup: "100"}).status_code == 400


@pytest.mark.parametrize(
    "lookup", ["changes__cost_price__1__startswith", "changes__icontains", "object_name__startswith", "actor__password"]
)
def test_the_audit_log_is_narrowed_by_its_filters_only(client, someone, priced, lookup):
    user = someone("Operator")
    user.user_permissions.add(Permission.objects.get(codename="view_auditevent"))
    log_a_cost_change(priced, user)
    client.force_login(user)
    url = reverse("admin:catalog_auditevent_changelist")
    assert client.get(url, {lookup: "1"}).status_code == 400
    assert client.get(url, {"kind": "catalog.sku"}).context["cl"].result_count == 1


@pytest.mark.parametrize(
    ("model", "query"),
    [
        ("listing", {"channel__id__exact": "1"}),
        ("listing", {"shelf_state__exact": "on_shelf", "mapped": "no", "tab": "unmapped"}),
        ("sku", {"status__exact": "active"}),
        ("product", {"brand": "x"}),
        ("user", {"is_active__exact": "1"}),
        ("sku", {"e": "1", "p": "1", "o": "1", "q": "x", "_popup": "1"}),
    ],
)
def test_lists_are_narrowed_by_what_their_filters_offer(admin_client, own_channel, model, query):
    page = admin_client.get(reverse(f"admin:catalog_{model}_changelist"), query)
    assert page.status_code == 200


def test_cost_cannot_be_found_out_by_sorting_or_searching(operator_client, priced):
    url = reverse("admin:catalog_sku_changelist")
    shown = operator_client.get(url, {"o": "4"}).context["cl"]
    assert "cost_price" not in str(shown.get_ordering_field_columns()) + str(shown.queryset.query.order_by)
    assert list(operator_client.get(url, {"q": "148.25"}).context["cl"].result_list) == []


def test_a_posted_cost_is_ignored_from_people_who_may_not_see_it(operator_client, priced):
    form = {"product": priced.product_id, "code": "EV-1", "status": "paused", "cost_price": "1", "cost_currency": "USD"}
    form |= {"components-TOTAL_FORMS": 0, "components-INITIAL_FORMS": 0}
    operator_client.post(address(priced, "edit"), form)
    priced.refresh_from_db()
    assert (priced.status, str(priced.cost_price), priced.cost_currency) == ("paused", "148.2500", "CNY")


def test_cost_is_shown_to_people_who_may_see_it(client, someone, priced):
    user = someone("Buyer")
    log_a_cost_change(priced, user)
    client.force_login(user)
    for url in [*pages_with_cost(priced)[:4], address(priced, "edit")]:
        assert "148.25" in client.get(url).content.decode(), url
