"""What a person does with an advice: bought, moved, lowered or limited once, and never again by the same button."""

from datetime import timedelta
from decimal import Decimal

import pytest

from catalog.models import AuditEvent, Listing, Promotion, PurchaseOrder, StockLevel, StockRule, Transfer
from catalog.purchasing.orders import send_order
from monitoring.models import Advice
from monitoring.services.planning.deeds import LONGEST_SNOOZE, AdviceError, accept, may_accept, reject, snooze, wake
from tests.factories import (
    NOW,
    AdviceFactory,
    ChannelFactory,
    ListingFactory,
    PromotionFactory,
    PurchaseOrderFactory,
    PurchaseOrderLineFactory,
    SkuFactory,
    StockLevelFactory,
    StockRuleFactory,
    SupplierFactory,
    SupplierSkuFactory,
    WarehouseFactory,
)
from tests.staff import member

pytestmark = pytest.mark.django_db

State = Advice.State
DAY = timedelta(days=1)


@pytest.fixture
def buyer():
    return member("Buyer")


@pytest.fixture
def manager():
    return member("Manager")


@pytest.fixture
def purchase():
    return AdviceFactory(supplier=SupplierFactory(currency="USD"))


def lines(order):
    return list(order.lines.values_list("sku__code", "quantity"))


def test_what_is_accepted_stands_in_a_new_draft_at_the_supplier_s_price(purchase, manager):
    SupplierSkuFactory(supplier=purchase.supplier, sku=purchase.sku, unit_cost=Decimal("3.20"))
    decision = accept(advice_id=purchase.pk, actor=manager, shown=16, now=NOW)
    order = PurchaseOrder.objects.get()
    assert (decision.is_new, decision.advice.order, order.status) == (True, order, PurchaseOrder.Status.DRAFT)
    assert (order.supplier, order.warehouse, order.currency) == (purchase.supplier, purchase.warehouse, "USD")
    assert list(order.lines.values_list("sku", "quantity", "unit_cost")) == [(purchase.sku_id, 16, Decimal("3.20"))]
    purchase.refresh_from_db()
    assert (purchase.state, purchase.decided_quantity, purchase.decided_by) == (State.ACCEPTED, 16, manager)
    event = AuditEvent.objects.get(object_type="monitoring.advice")
    assert (event.action, event.actor, event.changes["quantity"]) == ("accepted", manager, [16, 16])


def test_the_open_draft_of_supplier_and_warehouse_gets_the_line(purchase, manager):
    order = PurchaseOrderFactory(supplier=purchase.supplier, warehouse=purchase.warehouse)
    other = PurchaseOrderLineFactory(order=order)
    PurchaseOrderFactory(supplier=purchase.supplier)  # for another warehouse
    accept(advice_id=purchase.pk, actor=manager, now=NOW)
    assert sorted(lines(order)) == sorted([(other.sku.code, 10), (purchase.sku.code, 16)])
    event = AuditEvent.objects.get(object_type="catalog.purchaseorder")
    assert f"16 × {purchase.sku}" in event.changes["lines"][1]


def test_an_order_that_was_sent_is_left_alone(purchase, manager):
    line = PurchaseOrderLineFactory(order__supplier=purchase.supplier, order__warehouse=purchase.warehouse)
    send_order(order_id=line.order_id, actor=manager, now=NOW)
    accept(advice_id=purchase.pk, actor=manager, now=NOW)
    purchase.refresh_from_db()
    assert purchase.order_id != line.order_id
    assert lines(purchase.order) == [(purchase.sku.code, 16)]


@pytest.mark.parametrize(
    ("drafted", "held"),
    [pytest.param(10, 16, id="raised to what is needed"), pytest.param(40, 40, id="never lowered")],
)
def test_what_the_draft_has_already_counts(purchase, manager, drafted, held):
    order = PurchaseOrderFactory(supplier=purchase.supplier, warehouse=purchase.warehouse)
    PurchaseOrderLineFactory(order=order, sku=purchase.sku, quantity=drafted)
    accept(advice_id=purchase.pk, actor=manager, now=NOW)
    assert lines(order) == [(purchase.sku.code, held)]


def test_the_second_press_changes_nothing_and_says_so(purchase, manager, buyer):
    accept(advice_id=purchase.pk, actor=manager, now=NOW)
    again = accept(advice_id=purchase.pk, actor=buyer, quantity=99, now=NOW + DAY)
    assert (again.is_new, again.advice.decided_by, again.advice.decided_at) == (False, manager, NOW)
    assert not reject(advice_id=purchase.pk, actor=buyer, reason="late", now=NOW + DAY).is_new
    assert not snooze(advice_id=purchase.pk, actor=buyer, until=NOW + 2 * DAY, reason="late", now=NOW + DAY).is_new
    assert lines(PurchaseOrder.objects.get()) == [(purchase.sku.code, 16)]
    assert AuditEvent.objects.filter(object_type="monitoring.advice").count() == 1


def test_what_is_not_needed_any_more_is_not_bought(purchase, manager):
    Advice.objects.update(state=State.GONE)
    assert not accept(advice_id=purchase.pk, actor=manager, now=NOW).is_new
    assert not PurchaseOrder.objects.exists()


def test_another_number_than_was_shown_is_not_bought(purchase, manager):
    with pytest.raises(AdviceError, match="16 units and not 12"):
        accept(advice_id=purchase.pk, actor=manager, shown=12, now=NOW)
    purchase.refresh_from_db()
    assert (purchase.state, PurchaseOrder.objects.count()) == (State.OPEN, 0)


def test_a_number_of_one_s_own_is_bought_with_its_reason(purchase, manager):
    accept(advice_id=purchase.pk, actor=manager, quantity=24, shown=16, reason=" a whole pallet ", now=NOW)
    purchase.refresh_from_db()
    assert (purchase.state, purchase.decided_quantity, purchase.quantity) == (State.CHANGED, 24, 16)
    assert (purchase.reason, lines(purchase.order)) == ("a whole pallet", [(purchase.sku.code, 24)])


@pytest.mark.parametrize("quantity", [0, -5, 1_000_001])
def test_numbers_beyond_reason_are_refused(purchase, manager, quantity):
    with pytest.raises(AdviceError):
        accept(advice_id=purchase.pk, actor=manager, quantity=quantity, now=NOW)
    assert not PurchaseOrder.objects.exists()


def test_without_a_supplier_nothing_is_bought(manager):
    advice = AdviceFactory()
    with pytest.raises(AdviceError, match="Choose its supplier first"):
        accept(advice_id=advice.pk, actor=manager, now=NOW)
    advice.refresh_from_db()
    assert advice.state == State.OPEN


@pytest.fixture
def transfer():
    advice = AdviceFactory(kind="transfer", subject="transfer:1", source=WarehouseFactory(), quantity=15)
    StockLevelFactory(sku=advice.sku, warehouse=advice.source, on_hand=40)
    return advice


def test_a_transfer_leaves_its_warehouse_once(transfer, buyer):
    for _press in range(2):
        accept(advice_id=transfer.pk, actor=buyer, now=NOW)
    sent = Transfer.objects.get()
    assert (sent.source, sent.destination, sent.quantity) == (transfer.source, transfer.warehouse, 15)
    assert StockLevel.objects.get(warehouse=transfer.source).on_hand == 25
    transfer.refresh_from_db()
    assert transfer.transfer == sent


def test_a_warehouse_does_not_give_what_it_has_not(transfer, buyer):
    with pytest.raises(AdviceError, match="only 40 available"):
        accept(advice_id=transfer.pk, actor=buyer, quantity=41, now=NOW)
    StockLevel.objects.update(is_counted=False)
    with pytest.raises(AdviceError, match="Nobody has counted"):
        accept(advice_id=transfer.pk, actor=buyer, now=NOW)
    assert not Transfer.objects.exists()


def test_a_cap_is_lowered_on_the_sku_s_own_listings_of_that_channel_alone(manager):
    channel, sku = ChannelFactory(), SkuFactory()
    capped, free, low = (ListingFactory(channel=channel, sku=sku) for _each in range(3))
    foreign = ListingFactory(channel=channel, sku=sku, ownership=Listing.Ownership.COMPETITOR)
    elsewhere, neighbour = ListingFactory(sku=sku), ListingFactory(channel=channel, sku=SkuFactory())
    StockRuleFactory(channel=None, listing=capped, cap=80, buffer=3)
    StockRuleFactory(channel=None, listing=low, cap=5)
    advice = AdviceFactory(kind="lower-cap", subject="lower-cap:1", sku=sku, channel=channel, quantity=20)
    accept(advice_id=advice.pk, actor=manager, now=NOW)
    rules = {rule.listing_id: (rule.cap, rule.buffer) for rule in StockRule.objects.all()}
    assert rules == {capped.pk: (20, 3), free.pk: (20, None), low.pk: (5, None)}
    assert not {foreign.pk, elsewhere.pk, neighbour.pk} & set(rules)


def test_a_cap_of_the_whole_channel_that_is_lower_is_not_raised(manager):
    listing = ListingFactory(sku=SkuFactory())
    StockRuleFactory(channel=listing.channel, cap=5)
    advice = AdviceFactory(
        kind="lower-cap", subject="lower-cap:1", sku=listing.sku, channel=listing.channel, quantity=20
    )
    accept(advice_id=advice.pk, actor=manager, now=NOW)
    assert not StockRule.objects.filter(listing=listing).exists()
    again = AdviceFactory(kind="lower-cap", subject="lower-cap:1", sku=listing.sku, channel=listing.channel, quantity=3)
    accept(advice_id=again.pk, actor=manager, now=NOW)
    assert StockRule.objects.get(listing=listing).cap == 3


@pytest.mark.parametrize(
    ("quantity", "changed"),
    [
        pytest.param(40, {"remaining": 40}, id="limited"),
        pytest.param(0, {"end": NOW}, id="ended"),
    ],
)
def test_a_promotion_of_our_own_is_limited_or_ended(manager, quantity, changed):
    promotion = PromotionFactory(start=NOW - DAY, end=NOW + DAY)
    advice = AdviceFactory(
        kind="limit-promotion", subject="limit-promotion:1", promotion=promotion, channel=promotion.channel
    )
    accept(advice_id=advice.pk, actor=manager, quantity=quantity, now=NOW)
    promotion.refresh_from_db()
    assert {name: getattr(promotion, name) for name in changed} == changed


def test_a_promotion_of_the_platform_is_left_to_the_person_who_accepts(manager):
    promotion = PromotionFactory(source=Promotion.Source.PLATFORM, platform_id="coupon:1", remaining=90)
    advice = AdviceFactory(
        kind="limit-promotion", subject="limit-promotion:1", promotion=promotion, channel=promotion.channel
    )
    assert accept(advice_id=advice.pk, actor=manager, now=NOW).advice.state == State.ACCEPTED
    after = Promotion.objects.get()
    assert (after.end, after.remaining, after.status) == (promotion.end, 90, promotion.status)


def test_no_needs_a_reason_and_is_kept(purchase, manager):
    with pytest.raises(AdviceError, match="Say why"):
        reject(advice_id=purchase.pk, actor=manager, reason="  ", now=NOW)
    assert reject(advice_id=purchase.pk, actor=manager, reason="discontinued", now=NOW).is_new
    purchase.refresh_from_db()
    assert (purchase.state, purchase.reason, purchase.decided_at) == (State.REJECTED, "discontinued", NOW)
    assert AuditEvent.objects.get().changes["reason"] == ["", "discontinued"]


def test_a_snoozed_one_sleeps_until_its_time_or_until_somebody_wakes_it(purchase, manager):
    for is_new in (True, False):
        done = snooze(advice_id=purchase.pk, actor=manager, until=NOW + DAY, reason="after the fair", now=NOW)
        assert done.is_new is is_new
    purchase.refresh_from_db()
    assert (purchase.state, purchase.snoozed_until, purchase.reason) == (State.SNOOZED, NOW + DAY, "after the fair")
    assert wake(advice_id=purchase.pk, actor=manager, now=NOW).is_new
    purchase.refresh_from_db()
    assert (purchase.state, purchase.snoozed_until) == (State.OPEN, None)
    assert not wake(advice_id=purchase.pk, actor=manager, now=NOW).is_new


@pytest.mark.parametrize("wait", [timedelta(0), -DAY, LONGEST_SNOOZE + DAY])
def test_a_snooze_ends_within_its_limits(purchase, manager, wait):
    with pytest.raises(AdviceError):
        snooze(advice_id=purchase.pk, actor=manager, until=NOW + wait, reason="later", now=NOW)


def test_nobody_decides_about_what_they_do_not_see():
    mine, foreign = ChannelFactory(), ChannelFactory()
    sku = SkuFactory()
    ListingFactory(sku=sku, channel=mine)
    hidden = AdviceFactory(sku=ListingFactory(sku=SkuFactory(), channel=foreign).sku)
    about_others = AdviceFactory(sku=sku, kind="lower-cap", subject="lower-cap:1", channel=foreign)
    seen = AdviceFactory(sku=sku)
    operator = member("Operator", mine)
    assert list(Advice.objects.visible_to(operator)) == [seen]
    for advice in (hidden, about_others):
        with pytest.raises(Advice.DoesNotExist):
            reject(advice_id=advice.pk, actor=operator, reason="no", now=NOW)


@pytest.mark.parametrize(
    ("role", "kinds"),
    [
        ("Manager", {"buy", "transfer", "lower-cap", "limit-promotion"}),
        ("Operator", {"transfer", "lower-cap", "limit-promotion"}),
        ("Buyer", {"buy", "transfer"}),
        ("Viewer", set()),
    ],
)
def test_who_accepts_may_do_what_accepting_does(role, kinds):
    person = member(role)
    assert {kind for kind in Advice.Kind.values if may_accept(person, kind)} == kinds
