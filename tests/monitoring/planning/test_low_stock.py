"""Where cover is short: which promotion is to end, which channel is to show less, and when nothing is."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from catalog.models import (
    ChannelLocation,
    Listing,
    Promotion,
    PurchaseOrder,
    StockMovement,
    StockRule,
)
from catalog.stock.ledger import Kind, Movement, Source, record_movements
from monitoring.models import Advice, ListingPrice, PriceQuote, SkuPlan
from monitoring.plan_words import accept_label, advice_sentence, done_sentence
from monitoring.services.planning.deeds import accept
from monitoring.services.planning.low_stock import MOST_GOODS, propose_limits
from monitoring.services.planning.running import run_plan
from tests.factories import (
    NOW,
    AdviceFactory,
    ChannelFactory,
    ListingFactory,
    PromotionFactory,
    PurchaseOrderFactory,
    PurchaseOrderLineFactory,
    SkuFactory,
    SkuPlanFactory,
    StockRuleFactory,
    SupplierFactory,
    WarehouseFactory,
)
from tests.staff import member, signed_in

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
State = Advice.State


@pytest.fixture
def plan():
    """20 there, 2 a day: 28 are needed until what is ordered now arrives in 14 days."""
    return SkuPlanFactory()


def sells(sku, warehouse, channel, units, *, at=NOW - 3 * DAY):
    key = f"{sku.pk}:{warehouse.pk}:{channel and channel.pk}:{at}"
    sale = Movement(
        sku.pk, warehouse.pk, Kind.SALE, -units, key, Source.ORDER, channel_id=channel and channel.pk, happened_at=at
    )
    record_movements([sale], now=NOW)


def on_channels(plan, *units, **fields):
    """Own listings of the SKU, one on each of several channels, which sold so many units each lately."""
    listings = []
    for sold in units:
        listings.append(ListingFactory(sku=plan.sku, channel=ChannelFactory(), **fields))
        if sold:
            sells(plan.sku, plan.warehouse, listings[-1].channel, sold)
    return listings


def quoted(listing, *used, margin=None):
    """Its last price uses these promotions, each with what it takes off."""
    answer = {"used": [{"id": promotion.engine_id, "discount": discount} for promotion, discount in used]}
    quote = PriceQuote.objects.create(
        listing=listing,
        at=NOW,
        made_at=NOW,
        rules_version=1,
        currency=listing.channel.currency,
        request={},
        answer=answer,
        status="ok",
        buy_one=9_000,
        margin=margin,
    )
    ListingPrice.objects.update_or_create(listing=listing, defaults={"quote": quote})


def of_item(listing, **fields):
    scope = {"items": [listing.platform_item_id]}
    return PromotionFactory(**{"channel": listing.channel, "scope": scope, "start": NOW - DAY, **fields})


def advised(kind):
    return [
        (advice.channel_id, advice.quantity)
        for advice in Advice.objects.filter(kind=kind, state__in=Advice.UNDECIDED).order_by("pk")
    ]


# --- Caps ------------------------------------------------------------------------------------------------------------


def test_the_channel_that_sells_most_is_to_leave_the_others_what_they_need(plan):
    busy, _quiet = on_channels(plan, 30, 10)
    assert propose_limits(now=NOW) == (1, 0)
    [advice] = Advice.objects.all()
    # 28 in 14 days, a quarter of it on the quiet channel
    assert (advice.kind, advice.channel, advice.quantity) == ("lower-cap", busy.channel, 20 - 7)
    assert (advice.subject, advice.by, advice.probability) == (f"lower-cap:{busy.channel_id}", NOW.date(), 0.9)
    assert advice_sentence(advice) == (
        f"13 = 20 available − 7 that other channels need in 14 d. Show at most 13 on {busy.channel}, which sells most "
        "of it."
    )


def test_where_a_unit_earns_least_is_capped_if_that_is_known_of_all(plan):
    busy, poor = on_channels(plan, 30, 10)
    quoted(poor, margin=100)
    propose_limits(now=NOW)
    assert advised("lower-cap") == [(busy.channel_id, 13)]
    quoted(busy, margin=500)
    assert propose_limits(now=NOW) == (1, 1)
    [(channel, cap)] = advised("lower-cap")
    assert (channel, cap) == (poor.channel_id, 0)
    advice = Advice.objects.get(state=State.OPEN)
    assert advice_sentence(advice) == (
        f"20 available: other channels need all of it, 21 in 14 d. Show at most 0 on {poor.channel}, where a unit "
        "earns least."
    )


def test_units_of_a_box_earn_their_part_of_its_margin(plan):
    box, single = on_channels(plan, 30, 10)
    Listing.objects.filter(pk=box.pk).update(pack_factor=6)
    quoted(box, margin=600)
    quoted(single, margin=300)
    propose_limits(now=NOW)
    assert advised("lower-cap")[0][0] == box.channel_id


def test_sales_of_which_nobody_said_where_are_left_their_part(plan):
    [listing] = on_channels(plan, 10)
    sells(plan.sku, plan.warehouse, None, 30)
    propose_limits(now=NOW)
    assert advised("lower-cap") == [(listing.channel_id, 0)]  # 21 of 28 go elsewhere


def test_what_arrives_in_time_counts_and_what_comes_late_does_not(plan):
    busy, _quiet = on_channels(plan, 30, 10)
    for days, units in ((3, 2), (40, 500)):
        order = PurchaseOrderFactory(
            warehouse=plan.warehouse,
            status=PurchaseOrder.Status.SENT,
            sent_at=NOW - DAY,
            expected_at=NOW + days * DAY,
        )
        PurchaseOrderLineFactory(order=order, sku=plan.sku, quantity=units)
    propose_limits(now=NOW)
    assert advised("lower-cap") == [(busy.channel_id, 15)]
    assert advice_sentence(Advice.objects.get()).startswith(
        "15 = 20 available + 2 arriving − 7 that other channels need in 14 d."
    )


@pytest.mark.parametrize(
    ("rule", "is_advised"),
    [
        pytest.param({"cap": 14}, True, id="a higher cap"),
        pytest.param({"cap": 13}, False, id="as low already"),
        pytest.param({"is_paused": True}, False, id="paused: nothing is shown from here"),
    ],
)
def test_a_rule_that_holds_back_as_much_already_is_left_alone(plan, rule, is_advised):
    busy, _quiet = on_channels(plan, 30, 10)
    StockRuleFactory(channel=busy.channel, **rule)
    propose_limits(now=NOW)
    assert bool(advised("lower-cap")) is is_advised
    StockRule.objects.all().delete()
    StockRuleFactory(channel=None, listing=busy, **rule)
    propose_limits(now=NOW)
    assert bool(advised("lower-cap")) is is_advised


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"stock_out_probability": 0.05}, id="as likely as the target allows"),
        pytest.param({"stock_out_probability": None}, id="nobody can tell"),
        pytest.param({"on_hand": 3, "reserved": 3}, id="sold out already"),
        pytest.param({"on_hand": None}, id="not counted"),
        pytest.param({"status": SkuPlan.Status.RETIRED}, id="retired: it may run out"),
        pytest.param({"status": SkuPlan.Status.NO_DEMAND, "per_day": 0.0}, id="never sold"),
    ],
)
def test_nothing_is_limited_where_cover_is_not_short(plan, changed):
    listing, _other = on_channels(plan, 30, 10)
    quoted(listing, (of_item(listing), 500))
    SkuPlan.objects.update(**changed)
    assert propose_limits(now=NOW) == (0, 0)


@pytest.mark.parametrize(
    ("sold", "is_own"),
    [
        pytest.param((30,), True, id="the only channel: less shown is less sold"),
        pytest.param((0, 0), True, id="nothing was sold lately"),
        pytest.param((9, 4), True, id="too little of the 56 that are expected to tell by"),
        pytest.param((30, 10), False, id="listings of competitors"),
    ],
)
def test_no_cap_where_nobody_else_would_get_the_units(plan, sold, is_own):
    on_channels(plan, *sold, ownership=Listing.Ownership.OWN if is_own else Listing.Ownership.COMPETITOR)
    assert propose_limits(now=NOW) == (0, 0)


def test_old_sales_and_those_of_other_warehouses_say_nothing(plan):
    listing, other = on_channels(plan, 0, 10)
    sells(plan.sku, plan.warehouse, listing.channel, 90, at=NOW - 40 * DAY)
    sells(plan.sku, WarehouseFactory(), listing.channel, 90)
    propose_limits(now=NOW)
    assert not advised("lower-cap")
    sells(plan.sku, plan.warehouse, listing.channel, 5)
    propose_limits(now=NOW)
    assert advised("lower-cap") == [(other.channel_id, 10)]


def test_what_is_reserved_was_sold_and_what_was_given_back_was_not(plan):
    _busy, quiet = on_channels(plan, 10, 10)
    promised = [(Kind.RESERVE, 20, "a"), (Kind.RELEASE, -5, "b")]
    record_movements(
        [
            Movement(plan.sku_id, plan.warehouse_id, kind, units, key, Source.ORDER, channel_id=quiet.channel_id)
            for kind, units, key in promised
        ],
        now=NOW,
    )
    StockMovement.objects.update(happened_at=NOW - DAY)
    propose_limits(now=NOW)
    assert advised("lower-cap") == [(quiet.channel_id, 20 - 8)]  # 10 of 35 are the other's


def test_a_channel_that_can_sell_from_a_warehouse_with_enough_is_left_alone(plan):
    busy, _quiet = on_channels(plan, 30, 10)
    full = WarehouseFactory()
    SkuPlanFactory(sku=plan.sku, warehouse=full, on_hand=500, stock_out_probability=0.0)
    assert propose_limits(now=NOW) == (0, 0)
    # The other channel still sells from there, and nobody limits it.
    ChannelLocation.objects.create(channel=busy.channel, warehouse=plan.warehouse)
    assert propose_limits(now=NOW) == (1, 0)
    assert advised("lower-cap") == [(busy.channel_id, 13)]


def test_of_two_warehouses_that_run_out_one_speaks_for_the_channel(plan):
    busy, quiet = on_channels(plan, 30, 10)
    second = SkuPlanFactory(sku=plan.sku, on_hand=12)
    sells(plan.sku, second.warehouse, busy.channel, 40)
    sells(plan.sku, second.warehouse, quiet.channel, 1)
    propose_limits(now=NOW)
    [advice] = Advice.objects.all()
    assert (advice.warehouse, advice.channel) == (second.warehouse, busy.channel)


def test_a_transfer_that_brings_what_is_missing_comes_first(plan):
    on_channels(plan, 30, 10)
    move = AdviceFactory(
        sku=plan.sku, warehouse=plan.warehouse, kind="transfer", subject="transfer:1", quantity=7, rank=4
    )
    propose_limits(now=NOW)
    advice = Advice.objects.get(kind="lower-cap")
    assert (advice.quantity, advice.rank) == (13, 4)
    Advice.objects.filter(pk=move.pk).update(quantity=8)
    assert propose_limits(now=NOW) == (0, 1)
    advice.refresh_from_db()
    assert advice.state == State.GONE


# --- Promotions ------------------------------------------------------------------------------------------------------


def test_a_promotion_that_sells_it_is_to_end_with_the_figures_that_are_known(plan):
    [listing] = on_channels(plan, 70)
    promotion = of_item(listing, name="满减")
    quoted(listing, (promotion, 500))
    assert propose_limits(now=NOW) == (1, 0)
    [advice] = Advice.objects.all()
    assert (advice.kind, advice.promotion, advice.channel) == ("limit-promotion", promotion, listing.channel)
    assert (advice.quantity, advice.subject) == (0, f"limit-promotion:{promotion.pk}")
    assert advice_sentence(advice) == (
        f"20 available last 10 d; what is ordered now takes 14 d. {listing.channel} sold 70 in the last 28 d. End "
        f"“满减” on {listing.channel}: it sells what nothing replaces in time."
    )
    done = accept(advice_id=advice.pk, actor=member("Manager"), now=NOW).advice
    assert done_sentence(done) == f"“满减” counts as ended. End it on {listing.channel}, too, if it runs there."
    promotion.refresh_from_db()
    assert promotion.end == NOW
    assert propose_limits(now=NOW) == (0, 0)


def test_without_known_sales_no_figure_of_them_is_told(plan):
    [listing] = on_channels(plan, 0)
    quoted(listing, (of_item(listing), 500))
    propose_limits(now=NOW)
    assert "sold" not in advice_sentence(Advice.objects.get())


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"scope": None}, id="for everything"),
        pytest.param({"scope": {"categories": ["5"], "items": ["1"]}}, id="for a category"),
        pytest.param({"scope": {"items": [str(each) for each in range(MOST_GOODS + 1)]}}, id="for many goods"),
        pytest.param({"start": NOW + DAY}, id="not begun"),
        pytest.param({"end": NOW}, id="over"),
        pytest.param({"remaining": 0}, id="used up"),
        pytest.param({"status": Promotion.State.PAUSED}, id="paused"),
    ],
)
def test_other_promotions_stay(plan, changed):
    [listing] = on_channels(plan, 70)
    promotion = of_item(listing)
    quoted(listing, (promotion, 500))
    Promotion.objects.update(**changed)
    assert propose_limits(now=NOW) == (0, 0)


def test_a_promotion_that_the_price_does_not_use_stays(plan):
    [listing] = on_channels(plan, 70)
    of_item(listing)
    quoted(listing)
    assert propose_limits(now=NOW) == (0, 0)


def test_one_promotion_is_proposed_the_largest_where_most_is_sold(plan):
    busy, quiet = on_channels(plan, 70, 10)
    small, large, elsewhere = of_item(busy), of_item(busy), of_item(quiet)
    quoted(busy, (small, 100), (large, 900))
    quoted(quiet, (elsewhere, 5_000))
    propose_limits(now=NOW)
    assert Advice.objects.get(kind="limit-promotion").promotion == large


def test_one_that_the_platform_runs_is_ended_there_by_whoever_accepts(plan):
    [listing] = on_channels(plan, 70)
    promotion = of_item(listing, source=Promotion.Source.PLATFORM, platform_id="discount:1")
    quoted(listing, (promotion, 500))
    propose_limits(now=NOW)
    advice = Advice.objects.get()
    assert accept_label(advice) == "Accept: I end it there"
    done = accept(advice_id=advice.pk, actor=member("Manager"), now=NOW).advice
    assert done.state == State.ACCEPTED
    assert done_sentence(done) == (
        f"Noted. End “{promotion}” on {listing.channel} now: nothing is changed there from here."
    )
    promotion.refresh_from_db()
    assert (promotion.end, promotion.status) == (None, "active")
    assert propose_limits(now=NOW + DAY / 2) == (0, 0)  # nobody is asked twice on the same day
    assert propose_limits(now=NOW + 2 * DAY) == (1, 0)


def test_on_the_page_of_a_sku_nobody_reads_of_channels_of_others(client, plan):
    mine, foreign = on_channels(plan, 10, 30)
    propose_limits(now=NOW)
    assert Advice.objects.get().channel == foreign.channel
    where = f"{reverse('plan:sku', args=[plan.sku_id])}?warehouse={plan.warehouse_id}"
    signed_in(client, "Operator", mine.channel)
    assert str(foreign.channel) not in client.get(where).text
    signed_in(client, "Manager")
    assert f"Show at most 13 on {foreign.channel}" in client.get(where).text


# --- Rows ------------------------------------------------------------------------------------------------------------


def test_an_open_proposal_is_changed_and_a_decided_one_stays(plan):
    on_channels(plan, 30, 10)
    propose_limits(now=NOW)
    first = Advice.objects.get()
    SkuPlan.objects.update(on_hand=15)
    assert propose_limits([plan.sku_id], now=NOW + DAY) == (1, 0)
    first.refresh_from_db()
    assert (first.quantity, first.changed_at, first.made_at) == (8, NOW + DAY, NOW)
    Advice.objects.update(state=State.REJECTED)
    assert propose_limits(now=NOW + 2 * DAY) == (1, 0)
    assert sorted(Advice.objects.values_list("state", flat=True)) == ["open", "rejected"]


def test_a_run_over_some_leaves_the_others_alone(plan):
    on_channels(plan, 30, 10)
    propose_limits(now=NOW)
    SkuPlan.objects.update(stock_out_probability=0.0)
    assert propose_limits([SkuFactory().pk], now=NOW) == (0, 0)
    assert propose_limits([plan.sku_id], now=NOW) == (0, 1)


def test_many_short_skus_take_as_many_statements_as_few(plan):
    counts = []
    for more in (0, 1, 12):
        # Some are advised already, and some are new.
        for each in [plan] if not more else [SkuPlanFactory(warehouse=plan.warehouse) for _number in range(more)]:
            listing, _other = on_channels(each, 30, 10)
            quoted(listing, (of_item(listing), 500), margin=100)
        with CaptureQueriesContext(connection) as captured:
            propose_limits(now=NOW)
        counts.append(len(captured))
    assert counts[1] == counts[2] <= 22
    assert Advice.objects.count() == 28


def test_a_run_proposes_limits_beside_what_it_buys():
    """From the ledger: 10 a day, four of five on one channel, 30 left, and two weeks until more can come."""
    supplier = SupplierFactory(lead_time_days=14, lead_time_spread_days=0)
    sku, warehouse = SkuFactory(supplier=supplier, cost_price="40.00"), WarehouseFactory()
    busy, quiet = (ListingFactory(sku=sku, channel=ChannelFactory()) for _each in range(2))
    first = NOW - 61 * DAY
    sales = [
        Movement(
            sku.pk,
            warehouse.pk,
            Kind.SALE,
            -units,
            f"{channel}:{day}",
            Source.ORDER,
            channel_id=channel,
            happened_at=first + (day + 1) * DAY,
        )
        for day in range(60)
        for channel, units in ((busy.channel_id, 8), (quiet.channel_id, 2))
    ]
    receipt = Movement(sku.pk, warehouse.pk, Kind.RECEIPT, 630, "r", Source.MANUAL, happened_at=first)
    record_movements([receipt, *sales], now=first)
    run, planned = run_plan(now=NOW)
    assert (run.problem, planned.advice) == ("", 2)
    assert dict(Advice.objects.values_list("kind", "channel")) == {"buy": None, "lower-cap": busy.channel_id}
    cap = Advice.objects.get(kind="lower-cap")
    assert (cap.quantity, cap.rank) == (2, Advice.objects.get(kind="buy").rank)  # 28 of 30 go to the other
    run, planned = run_plan([sku.pk], now=NOW + DAY / 24)
    assert (planned.advice, planned.gone, Advice.objects.count()) == (2, 0, 2)
