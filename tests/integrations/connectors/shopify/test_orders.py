"""Orders and discounts: the simulator's, and tables of what it has none of."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from integrations.connectors.base import OrderStatus
from integrations.connectors.clock import Clock
from integrations.connectors.errors import Retry
from integrations.connectors.http import parse_json
from integrations.connectors.shopify import documents, parse
from integrations.connectors.values import HalfAnswer
from tests.integrations.connectors.raw_server import RawServer, answer_json

from .conftest import Shop, number

pytestmark = pytest.mark.pure


def line(identity=1, quantity=2, current=2, amount="9.50", currency="USD", **changes):
    return {
        "id": f"gid://shopify/LineItem/{identity}",
        "sku": "A/灯-1",
        "quantity": quantity,
        "currentQuantity": current,
        "product": {"id": "gid://shopify/Product/632910392"},
        "variant": {"id": "gid://shopify/ProductVariant/9007199254740993"},
        "discountedUnitPriceAfterAllDiscountsSet": {"shopMoney": {"amount": amount, "currencyCode": currency}},
    } | changes


def node(**changes):
    return {
        "id": "gid://shopify/Order/9007199254740995",
        "createdAt": "2026-11-20T10:00:00Z",
        "processedAt": "2026-11-20T10:00:01Z",
        "updatedAt": "2026-11-21T10:00:00-05:00",
        "cancelledAt": None,
        "test": False,
        "currencyCode": "USD",
        "displayFinancialStatus": "PAID",
        "displayFulfillmentStatus": "UNFULFILLED",
    } | changes


def test_an_order_is_read_with_its_ids_times_and_money():
    order = parse.order(node(), [line()])
    assert (order.order_id, order.currency, order.is_test) == ("9007199254740995", "USD", False)
    assert order.changed_at == datetime(2026, 11, 21, 15, tzinfo=UTC)
    assert order.paid_at == datetime(2026, 11, 20, 10, 0, 1, tzinfo=UTC)
    [found] = order.lines
    assert (found.item_id, found.sku_id, found.outer_id) == ("632910392", "9007199254740993", "A/灯-1")
    assert (found.quantity, found.returned, found.paid_per_unit) == (2, 0, Decimal("9.50"))


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, OrderStatus.PAID),
        ({"displayFinancialStatus": "PENDING"}, OrderStatus.UNPAID),
        ({"displayFinancialStatus": "AUTHORIZED"}, OrderStatus.PAID),
        ({"displayFinancialStatus": "AUTHORIZED", "displayFulfillmentStatus": "FULFILLED"}, OrderStatus.SENT),
        ({"displayFinancialStatus": "AUTHORIZED", "cancelledAt": "2026-11-21T10:00:00Z"}, OrderStatus.CANCELLED),
        ({"displayFinancialStatus": "EXPIRED"}, OrderStatus.UNPAID),
        ({"displayFinancialStatus": "PARTIALLY_PAID"}, OrderStatus.PAID),
        ({"displayFinancialStatus": "PARTIALLY_REFUNDED"}, OrderStatus.PAID),
        ({"displayFinancialStatus": "REFUNDED"}, OrderStatus.PAID),
        ({"displayFinancialStatus": "REFUNDED", "displayFulfillmentStatus": "FULFILLED"}, OrderStatus.SENT),
        ({"displayFinancialStatus": "VOIDED"}, OrderStatus.CANCELLED),
        ({"displayFinancialStatus": "VOIDED", "displayFulfillmentStatus": "FULFILLED"}, OrderStatus.SENT),
        ({"displayFinancialStatus": "VOIDED", "displayFulfillmentStatus": "PARTIALLY_FULFILLED"}, OrderStatus.PAID),
        ({"displayFinancialStatus": "VOIDED", "displayFulfillmentStatus": "SOMETHING_NEW"}, OrderStatus.PAID),
        ({"displayFinancialStatus": "PENDING", "displayFulfillmentStatus": "FULFILLED"}, OrderStatus.SENT),
        ({"cancelledAt": "2026-11-21T10:00:00Z", "displayFulfillmentStatus": "FULFILLED"}, OrderStatus.SENT),
        ({"displayFulfillmentStatus": "FULFILLED"}, OrderStatus.SENT),
        ({"displayFulfillmentStatus": "PARTIALLY_FULFILLED"}, OrderStatus.PAID),
        ({"cancelledAt": "2026-11-21T10:00:00Z"}, OrderStatus.CANCELLED),
        ({"displayFinancialStatus": "SOMETHING_NEW"}, OrderStatus.UNKNOWN),
        ({"displayFinancialStatus": None}, OrderStatus.UNKNOWN),
    ],
)
def test_the_status_of_an_order(changes, status):
    order = parse.order(node(**changes), [])
    assert order.status is status
    is_unpaid = changes.get("displayFinancialStatus") in {"AUTHORIZED", "VOIDED", "PENDING"}
    is_paid = status in {OrderStatus.PAID, OrderStatus.SENT} and not is_unpaid
    assert (order.paid_at is not None) == is_paid


def test_a_test_order_is_told_as_one():
    assert parse.order(node(test=True), []).is_test


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"current": 2}, (2, 0, Decimal("9.50")), id="as ordered"),
        pytest.param({"current": 0}, (2, 0, Decimal("9.50")), id="taken out, and nobody says where it is"),
        pytest.param({"current": 3}, (2, 0, Decimal("9.50")), id="one added later"),
        pytest.param({"currency": "EUR"}, (2, 0, None), id="another currency than the order's"),
        pytest.param({"amount": "0.0"}, (2, 0, Decimal("0.0")), id="a gift"),
        pytest.param({"amount": "1500", "currency": "USD"}, (2, 0, Decimal(1500)), id="no decimals"),
        pytest.param({"amount": None}, (2, 0, None), id="not told"),
    ],
)
def test_a_line_of_an_order(changes, expected):
    [found] = parse.order(node(), [line(**changes)]).lines
    assert (found.quantity, found.returned, found.paid_per_unit) == expected


def refund(*rows, more=False):
    """A refund of (line, units, whether they were put back into stock)."""
    nodes = [
        {"lineItem": {"id": f"gid://shopify/LineItem/{line}"}, "quantity": units, "restocked": is_back}
        for line, units, is_back in rows
    ]
    return {"refundLineItems": {"nodes": nodes, "pageInfo": {"hasNextPage": more}}}


SENT, UNSENT, CANCELLED = (
    {"displayFulfillmentStatus": "FULFILLED"},
    {"displayFulfillmentStatus": "UNFULFILLED"},
    {"cancelledAt": "2026-11-21T10:00:00Z", "displayFulfillmentStatus": "UNFULFILLED"},
)


@pytest.mark.parametrize(
    ("changes", "refunds", "status", "returned"),
    [
        pytest.param(SENT, [refund((1, 2, False))], OrderStatus.SENT, 0, id="the buyer keeps them"),
        pytest.param(SENT, [refund((1, 2, True))], OrderStatus.SENT, 2, id="all came back"),
        pytest.param(SENT, [refund((1, 1, True))], OrderStatus.SENT, 1, id="one came back"),
        pytest.param(SENT, [refund((1, 1, True)), refund((1, 1, True))], OrderStatus.SENT, 2, id="one after the other"),
        pytest.param(SENT, [refund((1, 1, True), (1, 1, False))], OrderStatus.SENT, 1, id="one of two"),
        pytest.param(SENT, [refund((7, 2, True))], OrderStatus.SENT, 0, id="of another line"),
        pytest.param(SENT, [], OrderStatus.SENT, 0, id="money only"),
        pytest.param(SENT, None, OrderStatus.SENT, 0, id="not told"),
        pytest.param(SENT, [refund((1, 1, None))], OrderStatus.SENT, 0, id="not told whether"),
        pytest.param(SENT, [refund((1, "2", True))], OrderStatus.SENT, 0, id="not told how many"),
        pytest.param(SENT, [refund((1, 9, True))], OrderStatus.SENT, 2, id="more than were ordered"),
        pytest.param(SENT, [refund((1, 1, True), more=True)], OrderStatus.SENT, 1, id="and more that we do not see"),
        pytest.param(UNSENT, [refund((1, 2, True))], OrderStatus.CANCELLED, 2, id="never left"),
        pytest.param(UNSENT, [refund((1, 1, True))], OrderStatus.PAID, 1, id="one never left"),
        pytest.param(UNSENT, [refund((1, 2, False))], OrderStatus.PAID, 0, id="not to be sold again"),
        pytest.param(CANCELLED, [], OrderStatus.CANCELLED, 0, id="cancelled, no refund"),
        pytest.param(CANCELLED, [refund((1, 2, True))], OrderStatus.CANCELLED, 2, id="cancelled, put back"),
        pytest.param(CANCELLED, [refund((1, 2, False))], OrderStatus.FINISHED, 0, id="cancelled, not put back"),
        pytest.param(
            CANCELLED, [refund((1, 1, True), (1, 1, False))], OrderStatus.FINISHED, 1, id="cancelled, one back"
        ),
    ],
)
def test_only_what_was_put_back_counts_as_returned(changes, refunds, status, returned):
    told = node(
        **{"displayFinancialStatus": "REFUNDED", **changes}, **({} if refunds is None else {"refunds": refunds})
    )
    order = parse.order(told, [line(current=0)])
    assert (order.status, order.lines[0].returned) == (status, returned)


def test_a_line_without_product_is_kept():
    [found] = parse.order(node(), [line(product=None, variant=None, sku=None)]).lines
    assert (found.item_id, found.sku_id, found.outer_id, found.quantity) == ("", "", "", 2)


@pytest.mark.parametrize("changes", [{"id": None}, {"createdAt": None}, {"updatedAt": "soon"}])
def test_an_order_without_id_or_times_is_half_an_answer(changes):
    with pytest.raises(HalfAnswer):
        parse.order(node(**changes), [])


@pytest.mark.parametrize("changes", [{"id": None}, {"quantity": None}, {"current": None}, {"quantity": "2"}])
def test_a_line_without_its_quantity_is_half_an_answer(changes):
    identity = {"identity": ""} if "id" in changes else changes
    with pytest.raises(HalfAnswer):
        parse.order(node(), [line(**identity)])


def test_orders_of_a_window_are_read_each_once(shop, now):
    rows = shop.rows()
    since = shop.simulator.now()
    placed = {
        str(shop.simulator.shopify.order(row, quantity)): (row, quantity) for quantity, row in enumerate(rows[:3], 1)
    }
    shop.simulator.step(seconds=2)
    until = shop.simulator.now() + timedelta(seconds=5)
    found = {order.order_id: order for order in shop.connect().read_orders(since=since, until=until, now=now)}
    for order_id, (row, quantity) in placed.items():
        [only] = found[order_id].lines
        assert (only.item_id, only.sku_id, only.quantity) == (
            number(row["product_id"]),
            number(row["variant_id"]),
            quantity,
        )
        assert (found[order_id].currency, only.outer_id) == ("USD", row["sku"])
    assert list(shop.connect().read_orders(since=until, until=until + timedelta(days=1), now=now)) == []


def test_yen_orders_are_in_yen(simulator, now):
    shop = Shop(simulator, "shopify-tokyo")
    since, row = simulator.now(), shop.rows()[0]
    order_id = str(simulator.shopify.order(row))
    found = shop.connect().read_orders(since=since, until=since + timedelta(hours=1), now=now)
    order = next(order for order in found if order.order_id == order_id)
    assert (order.currency, order.lines[0].paid_per_unit) == ("JPY", Decimal(row["price"]))


def test_what_was_paid_is_told_after_the_discounts_of_the_whole_order(shop, now):
    since, row = shop.simulator.now(), shop.rows()[0]
    orders = {str(shop.simulator.shopify.order(row, 2, discount=discount)): discount for discount in (0, 300)}
    found = shop.connect().read_orders(since=since, until=since + timedelta(hours=1), now=now)
    paid = {orders[order.order_id]: order.lines[0].paid_per_unit for order in found if order.order_id in orders}
    assert paid == {0: Decimal(row["price"]), 300: Decimal(row["price"]) - Decimal("1.50")}


def orders_page(nodes, *, more=False):
    return {
        "data": {"orders": {"nodes": nodes, "pageInfo": {"hasNextPage": more, "endCursor": "c1" if more else None}}}
    }


def lines_page(lines, *, more=False):
    return {"nodes": lines, "pageInfo": {"hasNextPage": more, "endCursor": "l1" if more else None}}


def test_an_order_of_many_lines_is_read_whole(shop, now):
    first = node(lineItems=lines_page([line(each) for each in range(1, 51)], more=True))
    rest = {"data": {"order": {"lineItems": lines_page([line(each) for each in range(51, 71)])}}}
    with RawServer(answer_json(orders_page([first])), answer_json(rest)) as server:
        [order] = shop.connect(base_url=server.url).read_orders(since=now, until=now, now=now)
    assert [each.line_id for each in order.lines] == [str(each) for each in range(1, 71)]
    assert parse_json(server.bodies[1])["variables"] == {"order": "gid://shopify/Order/9007199254740995", "after": "l1"}


@pytest.mark.parametrize(
    ("changes", "refunds", "untold"),
    [
        pytest.param(SENT, [], 2, id="nobody says where they are"),
        pytest.param(SENT, [refund((1, 1, True))], 1, id="one is back"),
        pytest.param(SENT, [refund((1, 1, False))], 1, id="of one it is told that it is not"),
        pytest.param(SENT, [refund((1, 1, True), (1, 1, False))], 0, id="all is told"),
        pytest.param({"displayFulfillmentStatus": "PARTIALLY_FULFILLED"}, [], 2, id="some may be with the buyer"),
        pytest.param(UNSENT, [], 0, id="nothing left"),
    ],
)
def test_units_that_were_sent_and_paid_back_are_told_where_nobody_says_where_they_are(changes, refunds, untold):
    told = node(**{"displayFinancialStatus": "REFUNDED", **changes}, refunds=refunds)
    assert parse.order(told, [line(current=0)]).lines[0].refunded == untold


def test_refunds_are_asked_for_where_units_were_taken_out(shop, now):
    orders = [node(id=f"gid://shopify/Order/{n}", lineItems=lines_page([line(current=n)])) for n in (1, 2)]
    refunds = {"data": {"order": {"refunds": [refund((1, 1, True))]}}}
    with RawServer(answer_json(orders_page(orders)), answer_json(refunds)) as server:
        found = list(shop.connect(base_url=server.url).read_orders(since=now, until=now, now=now))
    assert [order.lines[0].returned for order in found] == [1, 0]
    assert [parse_json(body)["variables"] for body in server.bodies[1:]] == [{"order": "gid://shopify/Order/1"}]


def test_the_shop_answers_what_refunds_an_order_has(shop, now):
    number = shop.simulator.shopify.order(shop.rows()[0], 2)
    answer = shop.connect()._gateway.query("refunds", {"order": f"gid://shopify/Order/{number}"}, Clock(now))
    assert answer == {"order": {"refunds": []}}


def test_an_order_that_moves_to_the_next_page_while_reading_comes_once(shop, now):
    order = node(lineItems=lines_page([line()]))
    with RawServer(answer_json(orders_page([order], more=True)), answer_json(orders_page([order]))) as server:
        assert len(list(shop.connect(base_url=server.url).read_orders(since=now, until=now, now=now))) == 1


@pytest.mark.parametrize(
    "page",
    [
        {"data": {"orders": None}},
        {"data": {"orders": {"nodes": [], "pageInfo": None}}},
        {"data": {"orders": {"nodes": None, "pageInfo": {"hasNextPage": False}}}},
        {"data": {"orders": {"nodes": [None], "pageInfo": {"hasNextPage": False}}}},
        {"data": {"orders": {"nodes": [], "pageInfo": {"hasNextPage": True, "endCursor": "c"}}}},
        orders_page([node(lineItems=None)]),
    ],
)
def test_half_a_page_is_never_the_last(shop, now, page):
    with RawServer(answer_json(page)) as server, pytest.raises(Retry) as caught:
        list(shop.connect(base_url=server.url).read_orders(since=now, until=now, now=now))
    assert caught.value.cause == "half-answer"


def test_a_page_that_leads_to_itself_is_not_followed_for_ever(shop, now):
    page = orders_page([node(lineItems=lines_page([line()]))], more=True)
    with RawServer(answer_json(page)) as server, pytest.raises(Retry):
        list(shop.connect(base_url=server.url).read_orders(since=now, until=now, now=now))
    assert len(server.bodies) == 2


# --- Discounts ------------------------------------------------------------------------------------------------------


def test_the_discounts_of_a_shop(shop, now):
    found = {each.title: each for each in shop.connect().read_promotions(now=now)}
    off, percent, automatic = found["WELCOME5"], found["SAVE20"], found["10% off everything"]
    assert (off.kind, off.value, off.currency, off.codes) == ("amount_off", Decimal("5.0"), "USD", ("WELCOME5",))
    assert (off.minimum_amount, off.item_ids) == (Decimal("50.0"), ())
    assert (percent.kind, percent.value, percent.codes) == ("percent_off", 20, ("SAVE20",))
    assert percent.item_ids == (number(shop.rows()[0]["product_id"]),) or len(percent.item_ids) == 1
    assert (automatic.kind, automatic.value, automatic.codes) == ("percent_off", 10, ())
    assert automatic.minimum_amount == Decimal("30.0")
    [variant] = found["ONE15"].sku_ids
    assert (found["ONE15"].item_ids, found["ONE15"].unknown) == ((), ())
    assert variant in {number(row["variant_id"]) for row in shop.rows()}
    for each in found.values():
        assert each.unknown == ()
        assert each.is_alone  # combines with discounts on shipping only
        assert each.starts_at < each.ends_at


def discount(name="DiscountCodeBasic", **changes):
    gets = {
        "appliesOnOneTimePurchase": True,
        "value": {"__typename": "DiscountPercentage", "percentage": Decimal("0.2")},
        "items": {"__typename": "AllDiscountItems", "allItems": True},
    } | changes.pop("gets", {})
    return {
        "id": "gid://shopify/DiscountCodeNode/1057371",
        "discount": {
            "__typename": name,
            "title": "Autumn",
            "status": "ACTIVE",
            "startsAt": "2026-11-01T00:00:00Z",
            "endsAt": None,
            "asyncUsageCount": 3,
            "usageLimit": 10,
            "context": {"__typename": "DiscountBuyerSelectionAll"},
            "combinesWith": {"orderDiscounts": True, "productDiscounts": True},
            "minimumRequirement": None,
            "codes": {"nodes": [{"code": "AUTUMN"}]},
            "customerGets": gets,
        }
        | changes,
    }


def promotion(**changes):
    found = parse.promotion(discount(**changes), "USD")
    assert found is not None
    return found


def test_a_discount_is_read_as_it_is():
    found = promotion()
    assert (found.promotion_id, found.kind, found.value) == ("1057371", "percent_off", 20)
    assert (found.codes, found.remaining, found.is_alone, found.unknown) == (("AUTUMN",), 7, False, ())
    assert (found.ends_at, found.minimum_amount, found.minimum_quantity) == (None, None, None)


def products(*ids, more=False, variants=(), more_variants=False):
    def page(kind, numbers, has_more):
        nodes = [{"id": f"gid://shopify/{kind}/{each}"} for each in numbers]
        return {"nodes": nodes, "pageInfo": {"hasNextPage": has_more}}

    return {
        "__typename": "DiscountProducts",
        "products": page("Product", ids, more),
        "productVariants": page("ProductVariant", variants, more_variants),
    }


def amount_off(amount, currency="USD", each=False):
    money = {"amount": amount, "currencyCode": currency}
    return {"__typename": "DiscountAmount", "amount": money, "appliesOnEachItem": each}


@pytest.mark.parametrize(
    ("changes", "unknown"),
    [
        pytest.param({"name": "DiscountCodeBxgy"}, ("kind",), id="buy X get Y"),
        pytest.param({"name": "DiscountAutomaticApp"}, ("kind",), id="of an app"),
        pytest.param({"name": "DiscountCodeFreeShipping"}, ("kind",), id="free shipping"),
        pytest.param({"name": "SomethingNew"}, ("kind",), id="unheard of"),
        pytest.param({"gets": {"value": {"__typename": "DiscountOnQuantity"}}}, ("value",), id="effect"),
        pytest.param({"gets": {"value": amount_off("5.0", "EUR")}}, ("value",), id="other currency"),
        pytest.param({"gets": {"value": None}}, ("value",), id="no effect told"),
        pytest.param({"gets": {"items": {"__typename": "DiscountCollections"}}}, ("scope",), id="collections"),
        pytest.param({"gets": {"items": products(1, 2, more=True)}}, ("scope",), id="more products than told"),
        pytest.param(
            {"gets": {"items": products(1, variants=[3], more_variants=True)}}, ("scope",), id="more variants than told"
        ),
        pytest.param({"gets": {"items": products()}}, ("scope",), id="neither a product nor a variant"),
        pytest.param({"gets": {"items": products(1) | {"productVariants": None}}}, ("scope",), id="variants not told"),
        pytest.param({"gets": {"items": products(1, variants=["x"])}}, ("scope",), id="a variant without its number"),
        pytest.param({"startsAt": "soon"}, ("starts_at",), id="start"),
        pytest.param({"startsAt": None}, ("starts_at",), id="no start, which every discount has"),
        pytest.param({"endsAt": "2026-11-01"}, ("ends_at",), id="end"),
        pytest.param({"gets": {"appliesOnOneTimePurchase": False}}, ("scope",), id="for subscriptions only"),
        pytest.param({"minimumRequirement": {"__typename": "Other"}}, ("minimum",), id="minimum"),
        pytest.param({"codes": {"nodes": []}}, ("codes",), id="no code told"),
        pytest.param({"codes": None}, ("codes",), id="codes not told"),
        pytest.param({"context": {"__typename": "DiscountCustomerSegments"}}, ("customers",), id="some customers"),
        pytest.param({"context": None}, ("customers",), id="customers not told"),
        pytest.param(
            {"combinesWith": {"orderDiscounts": True, "productDiscounts": False}}, ("combination",), id="in part"
        ),
        pytest.param({"combinesWith": None}, ("combination",), id="combination not told"),
    ],
)
def test_what_cannot_be_read_of_a_discount_is_named(changes, unknown):
    assert promotion(**changes).unknown == unknown


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"gets": {"value": amount_off("5.0")}}, {"kind": "amount_off", "value": Decimal(5)}, id="amount"),
        pytest.param({"gets": {"value": amount_off("5.0", each=True)}}, {"is_on_each_unit": True}, id="off each unit"),
        pytest.param({"gets": {"items": products(1, 2)}}, {"item_ids": ("1", "2"), "sku_ids": ()}, id="products"),
        pytest.param({"gets": {"items": products(variants=[3])}}, {"item_ids": (), "sku_ids": ("3",)}, id="variants"),
        pytest.param(
            {"gets": {"items": products(1, variants=[3, 4])}}, {"item_ids": ("1",), "sku_ids": ("3", "4")}, id="both"
        ),
        pytest.param(
            {
                "minimumRequirement": {
                    "__typename": "DiscountMinimumSubtotal",
                    "greaterThanOrEqualToSubtotal": {"amount": "50.0", "currencyCode": "USD"},
                }
            },
            {"minimum_amount": Decimal(50)},
            id="minimum amount",
        ),
        pytest.param(
            {
                "minimumRequirement": {
                    "__typename": "DiscountMinimumQuantity",
                    "greaterThanOrEqualToQuantity": "3",
                }
            },
            {"minimum_quantity": 3},
            id="minimum quantity, a text as all 64-bit numbers",
        ),
        pytest.param(
            {"name": "DiscountAutomaticBasic", "codes": None, "usageLimit": None}, {"codes": ()}, id="automatic"
        ),
        pytest.param({"usageLimit": None}, {"remaining": None}, id="no limit"),
        pytest.param({"asyncUsageCount": 12}, {"remaining": 0}, id="used up"),
        pytest.param(
            {"combinesWith": {"orderDiscounts": False, "productDiscounts": False}}, {"is_alone": True}, id="alone"
        ),
    ],
)
def test_facts_of_a_discount(changes, expected):
    found = promotion(**changes)
    assert found.unknown == ()
    assert {name: getattr(found, name) for name in expected} == expected


def test_an_ended_discount_is_left_out_and_one_without_id_is_half_an_answer():
    assert parse.promotion(discount(status="EXPIRED"), "USD") is None
    with pytest.raises(HalfAnswer):
        parse.promotion({"id": None, "discount": {}}, "USD")


def test_a_discount_that_starts_while_reading_comes_once(shop, now):
    page = {"data": {"discountNodes": {"nodes": [discount_json()], "pageInfo": {"hasNextPage": False}}}}
    with RawServer(answer_json({"data": {"shop": {"currencyCode": "USD"}}}), answer_json(page)) as server:
        assert len(list(shop.connect(base_url=server.url).read_promotions(now=now))) == 1
    assert [parse_json(body)["variables"].get("query") for body in server.bodies[1:]] == [
        "status:scheduled",
        "status:active",
    ]


def discount_json():
    found = discount()
    found["discount"]["customerGets"]["value"]["percentage"] = 0.2
    return found


def test_the_documents_ask_for_pages_as_large_as_a_call_may_cost():
    assert all(cost <= 1000 for cost in documents.COSTS.values())
