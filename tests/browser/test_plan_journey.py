"""Down the board of plans: the most urgent row, why it says so, the draft order that it becomes, and what arrives."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from catalog.models import PurchaseOrder
from catalog.stock.ledger import Kind, Movement, Source, record_movements
from integrations.tasks import plan_lane
from monitoring.services.planning.running import changed_skus, run_plan
from tests.browser.conftest import fits
from tests.factories import (
    ListingFactory,
    ProductFactory,
    SkuFactory,
    SupplierFactory,
    SupplierSkuFactory,
    UserFactory,
    WarehouseFactory,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

DAY = timedelta(days=1)


@pytest.fixture
def planned(live_server):
    """Two SKUs that run out, the kettle first; 2 kettles a day are sold, and 6 are left."""
    warehouse, supplier = WarehouseFactory(name="Hangzhou"), SupplierFactory(lead_time_days=9, review_days=5)
    now = timezone.now()
    for name, daily, left in (("Kettle", 2, 6), ("Pot", 1, 12)):
        sku = SkuFactory(product=ProductFactory(name=name), supplier=supplier, cost_price=Decimal(40))
        SupplierSkuFactory(supplier=supplier, sku=sku, pack=6)
        ListingFactory(sku=sku, list_price=Decimal(100))
        booked = [(Kind.RECEIPT, 60 * daily + left, now - 61 * DAY)]
        booked += [(Kind.SALE, -daily, now - ago * DAY) for ago in range(60, 0, -1)]
        movements = [
            Movement(sku.pk, warehouse.pk, kind, units, f"{name} {number}", Source.MANUAL, happened_at=at)
            for number, (kind, units, at) in enumerate(booked)
        ]
        record_movements(movements, now=now)
    run_plan(now=now)


def test_the_most_urgent_row_becomes_an_order_that_arrives_and_lifts_the_projection(browser_page, planned):
    page = browser_page(user=UserFactory(is_superuser=True))
    page.goto("/plan/")
    row = page.locator(".plan-row").first
    expect(row).to_contain_text("Kettle")
    expect(row).to_contain_text("in 3 d")
    assert fits(page)

    row.get_by_role("link", name="Kettle").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Kettle")
    terms = page.locator(".card", has=page.get_by_role("heading", name="What to order, term by term"))
    expect(terms.locator("tbody tr").nth(0)).to_contain_text("2 a day")
    expect(terms.locator("tbody tr", has_text="on hand")).to_contain_text("6")
    runs_out = page.locator(".fact", has_text="Runs out")
    expect(runs_out).to_contain_text("in 3 d")
    assert fits(page)

    page.get_by_role("button", name="Accept: buy").click()
    expect(page.get_by_role("status")).to_contain_text("Send it when it is complete.")
    order = PurchaseOrder.objects.get()
    page.locator("#content").get_by_role("link", name=order.number).first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(order.number)
    expect(page.locator("#content")).to_contain_text("Kettle")

    page.get_by_role("link", name="Send…").click()
    page.get_by_role("button", name="Show what is booked").click()
    page.get_by_role("button", name="Send the order").click()
    expect(page.get_by_role("status")).to_contain_text("counts as on its way")
    page.get_by_role("link", name="Receive…").click()
    page.get_by_role("button", name="Show what is booked").click()
    units = order.lines.get().quantity
    page.get_by_role("button", name=f"Receive {units}").click()
    expect(page.get_by_role("status")).to_contain_text(f"{units} units arrived in Hangzhou.")

    page.locator("#content tbody tr", has_text="Kettle").get_by_role("link").click()
    page.locator(".page-head").get_by_role("link", name="Plan", exact=True).click()
    expect(page.locator(".fact", has_text="On hand")).to_contain_text(f"{units + 6} units")
    days = (units + 6) // 2
    out_on = timezone.localdate() + days * DAY
    expect(page.locator(".stock-chart.wide")).to_have_attribute("aria-label", re.compile(f"runs out on {out_on}"))
    expect(page.get_by_role("button", name="Accept: buy")).to_have_count(0)

    plan_lane(changed_skus(now=timezone.now()))
    page.reload()
    expect(runs_out).to_contain_text(f"in {days} d")
    page.goto("/plan/")
    expect(page.locator(".plan-row")).to_have_count(1)
    expect(page.locator(".plan-row")).to_contain_text("Pot")
    assert fits(page)
