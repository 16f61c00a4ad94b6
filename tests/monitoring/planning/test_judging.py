"""What became of decided advice: judged once, by the ledger, when its time is over."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.models import PurchaseReceipt, PurchaseReceiptLine, StockLevel
from catalog.stock.ledger import Kind, Movement, Source, record_movements
from integrations.schedules import PLANS
from integrations.tasks import judge_advice
from monitoring.models import Advice, SkuPlan
from monitoring.services.planning.judging import PATIENCE_DAYS, judge, track_record
from tests.factories import (
    NOW,
    AdviceFactory,
    ChannelFactory,
    ListingFactory,
    PurchaseOrderFactory,
    PurchaseOrderLineFactory,
    SkuFactory,
    SkuPlanFactory,
    WarehouseFactory,
)
from tests.staff import member

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
State, Outcome = Advice.State, Advice.Outcome
DECIDED = NOW - 30 * DAY  # 14 days of protection: over for 16 days


@pytest.fixture(autouse=True)
def zone(settings):
    settings.TIME_ZONE = "Asia/Shanghai"


def decided(state=State.REJECTED, *, advised=16, units=None, on_the_way=0, **fields):
    """Advice of DECIDED to buy so many, and a plan of 2 a day, which 148 units make last as long as is healthy."""
    units = advised if units is None else units
    parts = [["needed", 28.0, 14], ["safety", 8.0, None], ["on_hand", -20.0, None], ["on_the_way", -on_the_way, None]]
    followed = state != State.REJECTED
    advice = AdviceFactory(
        state=state,
        quantity=advised,
        decided_quantity=units if followed else None,
        decided_at=DECIDED,
        sum={"parts": parts},
        **fields,
    )
    SkuPlanFactory(sku=advice.sku, warehouse=advice.warehouse, review_days=0)
    return advice


def booked(advice, *steps, begins=-60):
    """Movements of its place: (days after the decision, kind, units)."""
    first = (begins, Kind.COUNT, 0)
    record_movements(
        [
            Movement(
                advice.sku_id,
                advice.warehouse_id,
                kind,
                units,
                f"{advice.pk}:{number}",
                Source.MANUAL,
                happened_at=DECIDED + days * DAY,
            )
            for number, (days, kind, units) in enumerate((first, *steps))
        ],
        now=NOW,
    )


def ordered(advice, *, quantity=16, arrives=None, received=None):
    """The order that accepting wrote: sent, and arrived so many days after the decision."""
    status = "sent" if arrives is None else "received"
    order = PurchaseOrderFactory(
        warehouse=advice.warehouse,
        status=status,
        sent_at=DECIDED,
        closed_at=None if arrives is None else DECIDED + arrives * DAY,
    )
    units = quantity if received is None else received
    line = PurchaseOrderLineFactory(
        order=order, sku=advice.sku, quantity=quantity, received=0 if arrives is None else units
    )
    if arrives is not None:
        receipt = PurchaseReceipt.objects.create(order=order, key=f"r{order.pk}", received_at=DECIDED + arrives * DAY)
        PurchaseReceiptLine.objects.create(receipt=receipt, line=line, quantity=units)
    Advice.objects.filter(pk=advice.pk).update(order=order)


def outcome(advice, *, now=NOW):
    judge(now=now)
    advice.refresh_from_db()
    return advice.outcome


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param([(-50, Kind.RECEIPT, 40), (5, Kind.SALE, -30), (10, Kind.RECEIPT, 16)], "right", id="lasted"),
        pytest.param(
            [(-50, Kind.RECEIPT, 40), (5, Kind.SALE, -40), (10, Kind.RECEIPT, 16)], "ran-out", id="nothing one morning"
        ),
        pytest.param(
            [(-50, Kind.RECEIPT, 40), (5, Kind.RESERVE, 43), (10, Kind.RECEIPT, 16)], "ran-out", id="oversold"
        ),
        pytest.param(
            [(-50, Kind.RECEIPT, 40), (9.9, Kind.SALE, -40), (10, Kind.RECEIPT, 16)],
            "right",
            id="sold out and refilled within a day",
        ),
        pytest.param([(-50, Kind.RECEIPT, 40), (20, Kind.SALE, -40)], "right", id="sold out after its time"),
        pytest.param([(-50, Kind.RECEIPT, 149), (14, Kind.SALE, -1)], "right", id="just as long as is healthy"),
        pytest.param([(-50, Kind.RECEIPT, 149), (15, Kind.SALE, -90)], "too-much", id="longer than is healthy"),
        pytest.param([(10, Kind.RECEIPT, 16)], "right", id="sold out when it was decided, and not after it came"),
        pytest.param(
            [(10, Kind.RECEIPT, 16), (12, Kind.SALE, -16)], "ran-out", id="sold out again after what was bought came"
        ),
    ],
)
def test_what_was_bought_as_advised_is_judged_by_how_its_days_opened(steps, expected):
    advice = decided(State.ACCEPTED)
    booked(advice, *steps)
    ordered(advice, arrives=10)
    assert outcome(advice) == expected
    assert advice.judged_at == NOW


@pytest.mark.parametrize(
    ("steps", "on_the_way", "expected"),
    [
        pytest.param([(-50, Kind.RECEIPT, 40), (5, Kind.SALE, -40)], 0, "right", id="ran out without it"),
        pytest.param([(-50, Kind.RECEIPT, 40), (5, Kind.SALE, -30)], 0, "too-much", id="lasted without it"),
        pytest.param(
            [(-50, Kind.RECEIPT, 40), (5, Kind.RECEIPT, 30)], 0, "cannot-tell", id="something came in its place"
        ),
        pytest.param([(-50, Kind.RECEIPT, 40), (5, Kind.RECEIPT, 30)], 30, "too-much", id="what came was to come"),
    ],
)
def test_what_was_rejected_was_right_where_it_ran_out(steps, on_the_way, expected):
    advice = decided(on_the_way=on_the_way)
    booked(advice, *steps)
    assert outcome(advice) == expected


@pytest.mark.parametrize(
    ("advised", "units", "steps", "expected"),
    [
        pytest.param(30, 16, [(-50, Kind.RECEIPT, 40), (8, Kind.SALE, -40)], "right", id="fewer, and more was needed"),
        pytest.param(10, 16, [(-50, Kind.RECEIPT, 40), (8, Kind.SALE, -40)], "ran-out", id="more, and still too few"),
        pytest.param(16, 166, [(-50, Kind.RECEIPT, 200)], "right", id="what somebody added is too much"),
        pytest.param(116, 166, [(-50, Kind.RECEIPT, 200)], "too-much", id="it was too much without that"),
    ],
)
def test_another_number_than_was_advised_does_not_count_against_it(advised, units, steps, expected):
    advice = decided(State.CHANGED, advised=advised, units=units)
    if expected == "too-much":
        steps = [(-50, Kind.RECEIPT, 240)]
    booked(advice, *steps)
    ordered(advice, arrives=10)
    assert outcome(advice) == expected


def test_accepted_and_never_ordered_is_judged_as_not_followed():
    advice = decided(State.ACCEPTED)
    booked(advice, (-50, Kind.RECEIPT, 40), (5, Kind.SALE, -40))
    assert outcome(advice) == "right"


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(None, id="no stock was ever booked"),
        pytest.param([(3, Kind.RECEIPT, 40)], id="counted for the first time afterwards"),
    ],
)
def test_where_the_ledger_does_not_know_nobody_can_tell(steps):
    advice = decided()
    if steps is not None:
        booked(advice, *steps, begins=3)
    assert outcome(advice) == "cannot-tell"


def test_without_a_forecast_nobody_can_tell_what_is_too_much():
    advice = decided(State.ACCEPTED)
    booked(advice, (-50, Kind.RECEIPT, 40), (10, Kind.RECEIPT, 16))
    ordered(advice, arrives=10)
    SkuPlan.objects.update(per_day=None)
    assert outcome(advice) == "cannot-tell"


def test_an_advice_is_judged_after_its_time_and_once():
    advice = decided()
    booked(advice, (-50, Kind.RECEIPT, 40))
    assert outcome(advice, now=DECIDED + 14 * DAY) == ""
    assert outcome(advice, now=DECIDED + 15 * DAY) == "too-much"
    record_movements([Movement(advice.sku_id, advice.warehouse_id, Kind.SALE, -40, "s", Source.MANUAL)], now=NOW)
    assert str(judge(now=NOW)) == "0 judged"


def test_what_arrived_late_is_judged_a_review_period_after_it_came():
    advice = decided(State.ACCEPTED)
    booked(advice, (-50, Kind.RECEIPT, 40), (20, Kind.RECEIPT, 16))
    ordered(advice, arrives=20)
    SkuPlan.objects.update(review_days=7)
    assert outcome(advice, now=DECIDED + 27 * DAY) == ""
    assert outcome(advice, now=DECIDED + 28 * DAY) == "right"


def test_an_order_that_is_still_on_its_way_is_waited_for_but_not_for_ever():
    advice = decided(State.ACCEPTED)
    booked(advice, (-50, Kind.RECEIPT, 40), (5, Kind.SALE, -40))
    ordered(advice)
    assert outcome(advice) == ""
    assert outcome(advice, now=DECIDED + (15 + PATIENCE_DAYS) * DAY) == "right"


def test_a_limit_is_judged_by_the_lead_time_that_it_was_to_bridge():
    advice = decided(State.ACCEPTED, kind="lower-cap", subject="lower-cap:1", channel=ChannelFactory())
    Advice.objects.update(sum={"lead_days": 25.0, "coming": 0})
    booked(advice, (-50, Kind.RECEIPT, 40), (24, Kind.SALE, -40))
    assert outcome(advice, now=DECIDED + 25 * DAY) == ""
    assert outcome(advice) == "ran-out"


@pytest.mark.parametrize("state", [State.OPEN, State.SNOOZED, State.GONE])
def test_what_nobody_decided_is_not_judged(state):
    advice = decided(state)
    booked(advice, (-50, Kind.RECEIPT, 40))
    assert outcome(advice) == ""


def test_the_record_counts_what_one_sees_and_what_can_be_told():
    mine = ChannelFactory()
    sku = ListingFactory(sku=SkuFactory(), channel=mine).sku
    told = {"right": 3, "ran-out": 1, "cannot-tell": 1}
    for each, number in told.items():
        for _advice in range(number):
            AdviceFactory(sku=sku, warehouse=WarehouseFactory(), state="accepted", outcome=each, judged_at=NOW)
    foreign = ListingFactory(sku=SkuFactory(), channel=ChannelFactory()).sku
    AdviceFactory(sku=foreign, kind="transfer", state="rejected", outcome="too-much", judged_at=NOW)
    AdviceFactory(state="accepted", outcome="right", judged_at=NOW - 91 * DAY)
    everything, purchases, moves = track_record(member("Manager"), now=NOW)
    assert (everything.kind, everything.judged) == ("", 6)
    assert everything.share_right == pytest.approx(3 / 5)
    assert (purchases.kind, purchases.right, purchases.ran_out, purchases.cannot_tell) == ("buy", 3, 1, 1)
    assert (moves.kind, moves.too_much, moves.share_right) == ("transfer", 1, 0)
    assert [record.judged for record in track_record(member("Operator", mine), now=NOW)] == [5, 5]
    assert track_record(member("Operator", ChannelFactory()), now=NOW) == []


def test_many_are_judged_in_as_many_statements_as_one():
    counts = []
    for number in (1, 8):
        for _advice in range(number):
            advice = decided(State.ACCEPTED)
            booked(advice, (-50, Kind.RECEIPT, 40))
            ordered(advice, arrives=10)
        with CaptureQueriesContext(connection) as captured:
            assert str(judge(now=NOW)) == f"{number} judged: {number} right"
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 8


def test_every_night_after_the_plan_advice_is_judged():
    advice = decided()
    booked(advice, (-50, Kind.RECEIPT, 40))
    Advice.objects.update(decided_at=timezone.now() - 30 * DAY)
    StockLevel.objects.update(is_counted=False)
    assert judge_advice() == "1 judged: 1 cannot-tell"
    at = {plan.func.rpartition(".")[2]: plan.cron for plan in PLANS}
    assert (at["plan_all"], at["judge_advice"]) == ("30 2 * * *", "10 3 * * *")
