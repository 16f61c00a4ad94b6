"""The board of advice: what a row says, in which group it stands, who sees it and what its buttons do."""

import csv
import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from catalog.models import PurchaseOrder
from catalog.stock.ledger import Kind, Movement, Source, record_movements
from monitoring.models import Advice, PlanRun, SkuPlan
from monitoring.plan_board import PER_PAGE, Stock
from monitoring.planning.advice_text import order_sum
from monitoring.services.planning.sums import as_json
from tests.factories import (
    AdviceFactory,
    ChannelFactory,
    ListingFactory,
    ProductFactory,
    SkuFactory,
    SkuPlanFactory,
    StockLevelFactory,
    SupplierFactory,
    WarehouseFactory,
)
from tests.staff import signed_in

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
State = Advice.State


def board(client, **query):
    return client.get(reverse("plan:board"), query)


def advised(days=0, **more):
    """Something to buy within so many days, of a SKU that is planned and has stock."""
    today = timezone.localdate()
    name = more.pop("name", "")
    sku = more.pop("sku", None) or (SkuFactory(product=ProductFactory(name=name)) if name else SkuFactory())
    warehouse = more.pop("warehouse", None) or WarehouseFactory()
    StockLevelFactory(sku=sku, warehouse=warehouse, on_hand=20)
    SkuPlanFactory(sku=sku, warehouse=warehouse, **more.pop("plan", {}))
    supplier = more.pop("supplier", None) or SupplierFactory()
    return AdviceFactory(
        sku=sku,
        warehouse=warehouse,
        supplier=supplier,
        by=today + days * DAY,
        stock_out_on=today + 10 * DAY,
        probability=0.94,
        money_at_stake=Decimal("1420.00"),
        currency="CNY",
        **more,
    )


def groups(page):
    return [(group.slug, [row.sku for row in group.rows]) for group in page.context["board"].groups]


def test_a_row_says_when_how_likely_what_it_costs_and_why(client):
    told = order_sum(needed=30, days=14, safety_stock=18, on_hand=6, on_the_way=0, pack=6, quantity=42)
    advice = advised(quantity=42, name="Kettle", sum=json.loads(as_json(told)))
    signed_in(client, "Manager")
    text = board(client).text
    for part in (
        "Order today",
        "Kettle",
        "in 10 d · 94% likely",
        "¥1,420.00",
        "on hand 20",
        "42 = 30 needed in 14 d + 18 safety − 6 on hand − 0 on the way, rounded to packs of 6",
        "Accept: buy 42",
        'class="cross"',
        reverse("plan:sku", args=[advice.sku_id]),
    ):
        assert part in text


def test_advice_stands_in_the_group_of_its_last_day(client):
    late, today, week, later = (advised(days) for days in (-3, 0, 7, 8))
    undated = AdviceFactory(by=None)
    blind = SkuPlanFactory(status=SkuPlan.Status.CANNOT_TELL, reason="no-lead-time", per_day=None)
    signed_in(client, "Manager")
    page = board(client)
    assert groups(page) == [
        ("today", [late.sku, today.sku]),
        ("week", [week.sku]),
        ("later", [later.sku, undated.sku]),
        ("cannot-tell", [blind.sku]),
    ]
    assert page.text.count("btn primary") == 2
    assert "Nobody says how long the supplier takes" in page.text


def test_within_a_group_the_rank_decides(client):
    second, first = advised(rank=2), advised(rank=1)
    signed_in(client, "Manager")
    assert groups(board(client)) == [("today", [first.sku, second.sku])]


def test_what_sleeps_or_is_decided_has_tabs_of_its_own(client):
    now = timezone.now()
    asleep = advised(state=State.SNOOZED, snoozed_until=now + DAY, reason="after the fair")
    awake = advised(state=State.SNOOZED, snoozed_until=now - DAY)
    done = advised(state=State.REJECTED, decided_at=now, reason="discontinued")
    advised(state=State.GONE)
    signed_in(client, "Manager")
    assert groups(board(client)) == [("today", [awake.sku])]
    snoozed, decided = board(client, show="snoozed"), board(client, show="decided")
    assert (groups(snoozed), groups(decided)) == ([("snoozed", [asleep.sku])], [("decided", [done.sku])])
    assert "after the fair" in snoozed.text
    assert "discontinued" in decided.text


def test_filters_narrow_the_board(client):
    brewer = SkuFactory(product=ProductFactory(name="Brewer", brand="Acme"))
    chosen = advised(sku=brewer, plan={"abc": "A"})
    other = advised(plan={"abc": "B"})
    move = advised(kind="transfer", subject="transfer:1", source=chosen.warehouse, plan={"abc": "C"})
    signed_in(client, "Manager")
    queries = [
        {"warehouse": chosen.warehouse_id},
        {"supplier": chosen.supplier_id},
        {"brand": "Acme"},
        {"class": "A"},
    ]
    for query in queries:
        assert groups(board(client, **query)) == [("today", [chosen.sku])], query
    assert groups(board(client, kind="transfer")) == [("today", [move.sku])]
    assert "Nothing matches these filters" in board(client, brand="None of ours").text
    assert len(groups(board(client, warehouse="x", page="0"))[0][1]) == 3
    assert other.sku in groups(board(client))[0][1]


def test_what_should_have_been_ordered_before_says_so(client):
    late, on_time = (advised(plan={"is_late": is_late}) for is_late in (True, False))
    move = advised(kind="transfer", source=WarehouseFactory(), plan={"is_late": True})
    signed_in(client, "Manager")
    page = board(client)
    rows = {row.sku: row.is_late for group in page.context["board"].groups for row in group.rows}
    assert rows == {late.sku: True, on_time.sku: False, move.sku: False}
    assert page.text.count("should have been ordered before") == 1


def test_the_button_writes_the_order_once_and_the_next_press_says_so(client):
    advice = advised()
    manager = signed_in(client, "Manager")
    url = reverse("plan:accept", args=[advice.pk])
    page = client.post(url, {"shown": 16, "next": "/plan/?kind=buy"}, follow=True)
    assert page.redirect_chain == [("/plan/?kind=buy", 302)]
    order = PurchaseOrder.objects.get()
    link = reverse("admin:catalog_purchaseorder_change", args=[order.pk])
    assert f'16 × {advice.sku} are in the draft <a href="{link}">{order}</a>.' in page.text
    again = client.post(url, {"shown": 16}, follow=True).text
    assert "Nothing was changed: it was decided before (accepted, " in again
    assert str(manager.username) in again
    assert order.lines.get().quantity == 16
    log = client.get(reverse("admin:catalog_auditevent_changelist"), {"q": str(advice.sku)}).text
    assert "Accepted" in log or "accepted" in log


def test_what_was_advised_anew_meanwhile_is_not_bought_unseen(client):
    advice = advised(quantity=240)
    signed_in(client, "Manager")
    text = client.post(reverse("plan:accept", args=[advice.pk]), {"shown": 120}, follow=True).text
    assert "By now it is 240 units and not 120" in text
    assert not PurchaseOrder.objects.exists()


@pytest.mark.parametrize("shown", ["", "-5", "many", "1" * 30])
def test_a_button_without_its_number_does_nothing(client, shown):
    advice = advised()
    signed_in(client, "Manager")
    assert client.post(reverse("plan:accept", args=[advice.pk]), {"shown": shown}).status_code == 404


def test_another_number_a_no_and_a_later_are_asked_for_first(client):
    bought, refused, put_off = (advised() for _each in range(3))
    signed_in(client, "Manager")
    assert "Advised: 16 units." in client.get(reverse("plan:change", args=[bought.pk])).text
    client.post(reverse("plan:change", args=[bought.pk]), {"quantity": 24, "reason": "a pallet"})
    assert "Say why." in client.post(reverse("plan:reject", args=[refused.pk]), {"reason": ""}).text
    client.post(reverse("plan:reject", args=[refused.pk]), {"reason": "discontinued"})
    client.post(reverse("plan:snooze", args=[put_off.pk]), {"days": 7, "reason": "holidays"})
    for advice in (bought, refused, put_off):
        advice.refresh_from_db()
    assert (bought.state, bought.decided_quantity) == (State.CHANGED, 24)
    assert (refused.state, refused.reason) == (State.REJECTED, "discontinued")
    assert put_off.state == State.SNOOZED
    client.post(reverse("plan:wake", args=[put_off.pk]))
    put_off.refresh_from_db()
    assert put_off.state == State.OPEN


def test_a_draft_that_has_it_already_is_named(client):
    advice = advised()
    signed_in(client, "Manager")
    client.post(reverse("plan:accept", args=[advice.pk]), {"shown": 16})
    AdviceFactory(sku=advice.sku, warehouse=advice.warehouse, supplier=advice.supplier)
    assert f"16 are in the draft {PurchaseOrder.objects.get()} already." in board(client).text


def test_who_may_not_decide_has_no_buttons_and_sees_no_margins(client):
    advice = advised(name="Kettle")
    signed_in(client, "Viewer", ChannelFactory())
    text = board(client).text
    assert "Kettle" in text
    for part in ("Accept", "Snooze…", "¥1,420.00", "Plan now"):
        assert part not in text
    for name in ("accept", "change", "reject", "snooze", "wake"):
        answer = client.post(reverse(f"plan:{name}", args=[advice.pk]), {"shown": 16, "reason": "x"})
        assert answer.status_code == 403
    assert client.post(reverse("plan:run")).status_code == 403
    assert "¥" not in client.get(reverse("plan:board-csv")).getvalue().decode()
    assert "money_at_stake" not in client.get(reverse("plan:board-csv")).getvalue().decode()


def test_an_operator_decides_and_does_not_buy(client):
    advice = advised()
    signed_in(client, "Operator")
    assert "Accept: buy" not in board(client).text
    assert client.post(reverse("plan:accept", args=[advice.pk]), {"shown": 16}).status_code == 403
    assert client.get(reverse("plan:change", args=[advice.pk])).status_code == 403
    assert client.get(reverse("plan:reject", args=[advice.pk])).status_code == 200


def test_nobody_sees_advice_about_skus_of_others(client):
    hidden = advised(sku=ListingFactory(sku=SkuFactory()).sku)
    signed_in(client, "Operator", ChannelFactory())
    assert groups(board(client)) == []
    assert client.get(reverse("plan:reject", args=[hidden.pk])).status_code == 404
    assert client.get(reverse("plan:sku", args=[hidden.sku_id])).status_code == 404
    assert hidden.sku.code not in client.get(reverse("plan:board-csv")).getvalue().decode()


def test_the_file_has_every_row_with_its_sum(client):
    advised(name="=Kettle")
    signed_in(client, "Manager")
    answer = client.get(reverse("plan:board-csv"))
    rows = list(csv.DictReader(answer.getvalue().decode().splitlines()))
    assert (rows[0]["units"], rows[0]["kind"], rows[0]["money_at_stake"]) == ("16", "buy", "1420.0000")
    assert rows[0]["product"].startswith("'=Kettle")
    SkuPlanFactory(status=SkuPlan.Status.CANNOT_TELL, reason="not-counted")
    blind = client.get(reverse("plan:board-csv"), {"show": "cannot-tell"})
    [row] = csv.DictReader(blind.getvalue().decode().splitlines())
    assert (row["state"], row["reason"]) == ("cannot-tell", "Nobody has counted what is there. Count it.")


def test_without_a_plan_the_page_offers_one_and_a_second_press_asks_for_the_same(client):
    signed_in(client, "Manager")
    assert "No plan yet" in board(client).text
    for _press in range(2):
        page = client.post(reverse("plan:run"), follow=True)
    assert "The first plan is being worked out" in page.text
    run = PlanRun.objects.get()
    assert (run.kind, run.ended_at) == (PlanRun.Kind.FULL, None)
    PlanRun.objects.update(total=200, done=50)
    advised()
    assert "planning: 50 of 200" in board(client).text
    assert "50 of 200" in client.get(reverse("admin:monitoring_planrun_changelist")).text


def test_many_rows_cost_as_many_queries_as_one(client, django_assert_max_num_queries):
    warehouse, supplier = WarehouseFactory(), SupplierFactory()
    signed_in(client, "Manager")
    for _each in range(3):
        advised(warehouse=warehouse, supplier=supplier)
    board(client)  # what is read once for the process
    with django_assert_max_num_queries(40) as few:
        board(client)
    for _each in range(PER_PAGE):
        advised(warehouse=warehouse, supplier=supplier)
    with django_assert_max_num_queries(len(few)):
        page = board(client)
    assert len(page.context["board"].rows) == PER_PAGE
    assert len(board(client, page=2).context["board"].rows) == 3


def test_the_past_is_what_the_ledger_says_and_unknown_before_it_was_counted():
    level = StockLevelFactory(on_hand=0, is_counted=False)
    now, place = timezone.now(), (level.sku_id, level.warehouse_id)
    booked = [(Kind.COUNT, 30, 5), (Kind.SALE, -4, 3), (Kind.RESERVE, 6, 1)]
    for number, (kind, units, days_ago) in enumerate(booked):
        movement = Movement(*place, kind, units, f"m{number}", Source.MANUAL)
        record_movements([movement], now=now - days_ago * DAY)
    stock = Stock([place], now=now, past_days=7)
    assert stock.past(place) == [None, None, 30.0, 30.0, 26.0, 26.0, 20.0, 20.0]
    assert stock.coming(place, None) == []
    assert stock.coming(place, 5.0, days=5) == [20.0, 15.0, 10.0, 5.0, 0.0, 0.0]
