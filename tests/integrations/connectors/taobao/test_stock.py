"""Writing stock: the calls, what becomes of each row, and what is read back when nobody can tell."""

import json
from datetime import UTC, datetime

import pytest

from integrations.connectors.base import PushStatus, StockTarget
from integrations.connectors.errors import Fatal, Reauthorise, Retry, Review, Wait
from integrations.connectors.taobao import TaobaoConnector, TaobaoCredentials
from tests.integrations.connectors.raw_server import RawServer, answer, answer_json
from tests.integrations.connectors.taobao.test_client import refused
from tests.integrations.connectors.taobao.test_refusals import ROW_SUB_CODES

pytestmark = pytest.mark.pure

NOW = datetime(2025, 6, 1, 4, 0, tzinfo=UTC)
ONE = "taobao.item.quantity.update"
MANY = "taobao.skus.quantity.update"
TMALL = "tmall.item.quantity.update"
READ = "taobao.items.seller.list.get"
APPLIED, ACCEPTED, REFUSED, UNKNOWN = (
    PushStatus.APPLIED,
    PushStatus.ACCEPTED,
    PushStatus.REFUSED,
    PushStatus.UNKNOWN,
)
KEY = "push-1"


def connector(server, shop_kind="taobao"):
    settings = {"app_key": "12345678", "app_secret": "5ec4e7", "access_token": "6200e1", "shop_kind": shop_kind}
    return TaobaoConnector(TaobaoCredentials.from_settings(settings), base_url=server.url)


def target(sku_id="", quantity=5, item_id="7", listing_id=None):
    return StockTarget(int(sku_id or item_id) if listing_id is None else listing_id, item_id, sku_id, quantity)


def targets(*quantities):
    """Variants 101, 102, … of item 7."""
    return [target(str(number), quantity) for number, quantity in enumerate(quantities, 101)]


def told(outcomes):
    return [(outcome.listing_id, outcome.status, outcome.cause, outcome.shown) for outcome in outcomes]


def written(method, num=None, skus=None, num_iid=7):
    item = {"num_iid": num_iid, "num": num, "modified": "2025-06-01 12:00:00"}
    if skus is not None:
        item["skus"] = {"sku": [{"sku_id": int(sku_id), "quantity": units} for sku_id, units in skus.items()]}
    root = method.removeprefix("taobao.").replace(".", "_") + "_response"
    return answer_json({root: {"item": item, "request_id": "r"}})


def written_all(server):
    """Answers every write as carried out."""

    def handle(connection):
        form = server.forms[-1]
        rows = dict(pair.split(":") for pair in form["skuid_quantities"].split(";"))
        written(MANY, skus={sku_id: int(units) for sku_id, units in rows.items()})(connection)

    return handle


# --- Batches --------------------------------------------------------------------------------------------------------


def test_a_batch_holds_twenty_variants_of_one_item():
    found = TaobaoConnector(TaobaoCredentials("1", "s"))
    many = [target(str(number)) for number in range(1, 46)]
    assert [len(batch) for batch in found.push_batches(many)] == [20, 20, 5]
    other, whole = [target("1", item_id="8"), target("2", item_id="8")], [target(item_id="9"), target(item_id="10")]
    mixed = [many[0], other[0], whole[0], many[1], other[1], whole[1]]
    assert found.push_batches(mixed) == [[many[0], many[1]], other, [whole[0]], [whole[1]]]
    assert found.push_batches([]) == []


def test_a_variant_written_twice_is_written_in_that_order():
    found = TaobaoConnector(TaobaoCredentials("1", "s"))
    first, second = target("101", 5), target("101", 6)
    assert found.push_batches([first, second, target("102", 1)]) == [[first], [second, target("102", 1)]]


def test_there_is_no_compare_and_set_and_no_location():
    assert not TaobaoConnector.has_compare_and_set
    assert not TaobaoConnector.has_locations
    assert TaobaoConnector.max_rows_per_push == 20


# --- Calls ----------------------------------------------------------------------------------------------------------


def test_variants_are_set_in_one_call_and_the_answer_is_checked():
    with RawServer(written(MANY, skus={101: 3, 102: 8})) as server:
        outcomes = connector(server).push_stock(targets(3, 9), key=KEY, now=NOW)
    [form] = server.forms
    assert (form["method"], form["num_iid"], form["type"]) == (MANY, "7", "1")
    assert form["skuid_quantities"] == "101:3;102:9"
    # The second was taken, and another figure is shown: whoever asked for it is to read it again.
    assert told(outcomes) == [(101, APPLIED, "", 3), (102, ACCEPTED, "", 8)]


def test_an_item_without_variants_is_set_as_a_whole():
    with RawServer(written(ONE, num=0)) as server:
        outcomes = connector(server).push_stock([target(quantity=0)], key=KEY, now=NOW)
    [form] = server.forms
    assert {name: form.get(name) for name in ("method", "num_iid", "quantity", "type")} == {
        "method": ONE,
        "num_iid": "7",
        "quantity": "0",
        "type": "1",
    }
    assert told(outcomes) == [(7, APPLIED, "", 0)]


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        (
            [target("101", 3), target("102", 0)],
            {"sku_quantities": '[{"sku_id":101,"quantity":3},{"sku_id":102,"quantity":0}]'},
        ),
        ([target("9007199254740993", 3)], {"sku_quantities": '[{"sku_id":9007199254740993,"quantity":3}]'}),
        ([target(quantity=4)], {"item_quantity": "4"}),
    ],
)
def test_tmall_has_its_own_call_whose_answer_shows_no_figure(batch, expected):
    with RawServer(answer_json({"tmall_item_quantity_update_response": {"quantity_update_result": "7"}})) as server:
        outcomes = connector(server, "tmall").push_stock(batch, key=KEY, now=NOW)
    [form] = server.forms
    assert (form["method"], form["item_id"], json.loads(form["options"])) == (TMALL, "7", {"type": 1})
    assert {name: form.get(name) for name in ("sku_quantities", "item_quantity") if name in form} == expected
    assert [(outcome.status, outcome.shown) for outcome in outcomes] == [(ACCEPTED, None)] * len(batch)


def test_no_difference_is_ever_sent():
    with RawServer(written(MANY, skus={101: 5})) as server:
        connector(server).push_stock([target("101")._replace(expected=9)], key=KEY, now=NOW)
    assert server.forms[0]["skuid_quantities"] == "101:5"


@pytest.mark.parametrize(
    ("row", "cause"),
    [
        (target("1;2:9", listing_id=1), "bad-listing-id"),
        (target("101", item_id="7,8", listing_id=1), "bad-listing-id"),
        (target("101", quantity=-1, listing_id=1), "refused-by-rule"),
        (target("101", quantity=100_000_000, listing_id=1), "refused-by-rule"),
    ],
)
def test_a_row_that_would_spoil_the_call_is_not_sent(row, cause):
    with RawServer(written(MANY, skus={102: 5})) as server:
        outcomes = connector(server).push_stock([row, target("102")], key=KEY, now=NOW)
    assert [form["skuid_quantities"] for form in server.forms] == ["102:5"]
    assert told(outcomes) == [(1, REFUSED, cause, None), (102, APPLIED, "", 5)]


# --- Refused rows ---------------------------------------------------------------------------------------------------


def test_a_row_that_is_named_is_taken_out_and_the_rest_is_sent_again():
    def handle(connection):
        if "102:" in server.forms[-1]["skuid_quantities"]:
            refused(15, "isv.sku-not-exist:invalid-skuId", "SKU 不存在: 102")(connection)
        else:
            written_all(server)(connection)

    with RawServer(handle) as server:
        outcomes = connector(server).push_stock(targets(1, 2, 3), key=KEY, now=NOW)
    assert [form["skuid_quantities"] for form in server.forms] == ["101:1;102:2;103:3", "101:1;103:3"]
    assert told(outcomes) == [(101, APPLIED, "", 1), (102, REFUSED, "unknown-variant", None), (103, APPLIED, "", 3)]


def test_a_row_that_is_not_named_is_looked_for_by_halves():
    def handle(connection):
        if "105:" in server.forms[-1]["skuid_quantities"]:
            refused(15, "isv.item-update-service-error:IC_CHECKSTEP_PRICE_ERROR", "价格错误")(connection)
        else:
            written_all(server)(connection)

    with RawServer(handle) as server:
        outcomes = connector(server).push_stock(targets(*range(20)), key=KEY, now=NOW)
        calls = len(server.forms)
    statuses = {outcome.listing_id: outcome.status for outcome in outcomes}
    assert statuses.pop(105) is REFUSED
    assert set(statuses.values()) == {APPLIED}
    assert calls <= 11


INVALID = [
    ("isv.invalid-parameter:quantity", "bad-request"),
    ("isv.parameters-mismatch:sku-and-item", "bad-request"),
]


@pytest.mark.parametrize(("sub_code", "cause"), [*ROW_SUB_CODES, *INVALID])
def test_a_refusal_of_a_row_is_its_outcome(sub_code, cause):
    with RawServer(refused(15, sub_code)) as server:
        outcomes = connector(server).push_stock([target("101")], key=KEY, now=NOW)
        assert [form["method"] for form in server.forms] == [MANY]
    assert told(outcomes) == [(101, REFUSED, cause, None)]


@pytest.mark.parametrize(
    ("sub_code", "cause"),
    [
        ("isv.item-not-exist:invalid-numIid-or-iid", "unknown-listing"),
        ("isv.invalid-permission:update-item", "foreign-listing"),
    ],
)
def test_a_refusal_of_the_item_is_not_asked_for_each_row(sub_code, cause):
    with RawServer(refused(15, sub_code)) as server:
        outcomes = connector(server).push_stock(targets(*range(20)), key=KEY, now=NOW)
        assert len(server.forms) == 1
    assert {(outcome.status, outcome.cause) for outcome in outcomes} == {(REFUSED, cause)}


# --- Refused calls --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("handler", "expected", "cause"),
    [
        pytest.param(refused(7, "accesscontrol.limited-by-api-access-count"), Wait, "quota", id="limited"),
        pytest.param(refused(7, "accesscontrol.limited-by-app-access-count"), Wait, "daily-quota", id="day's quota"),
        pytest.param(refused(27, "session-expired"), Reauthorise, "session-invalid", id="session"),
        pytest.param(refused(11, "isv.permission-api-package-limit"), Review, "permission", id="package"),
        pytest.param(refused(12), Review, "permission", id="other kind of shop"),
        pytest.param(refused(25), Fatal, "bad-signature", id="signature"),
        pytest.param(refused(40, "isv.missing-parameter:num_iid"), Fatal, "bad-request", id="parameter missing"),
        *(pytest.param(refused(code), Fatal, "bad-request", id=f"code {code}") for code in (3, 9, 22, 40, 41, 42, 43)),
        pytest.param(refused(22, "isv.invalid-method"), Fatal, "bad-request", id="method withdrawn"),
        pytest.param(refused(28), Fatal, "bad-app-key", id="app key"),
        pytest.param(refused(13), Review, "permission", id="partner"),
        pytest.param(refused(11, "isv.permission-ip-whitelist-limit"), Review, "ip-whitelist", id="address"),
        pytest.param(answer(b"", "429 Too Many Requests"), Wait, "quota", id="429"),
        pytest.param(answer(b"", "403 Forbidden"), Review, "forbidden", id="403"),
    ],
)
def test_a_refusal_of_the_whole_channel_is_raised(handler, expected, cause):
    with RawServer(handler) as server, pytest.raises(expected) as caught:
        connector(server).push_stock(targets(1, 2), key=KEY, now=NOW)
    assert caught.value.cause == cause
    assert len(server.forms) == 1


def test_a_missing_permission_names_the_call_it_is_for():
    with RawServer(refused(11, "isv.permission-api-package-limit", "no")) as server, pytest.raises(Review) as caught:
        connector(server).push_stock(targets(1), key=KEY, now=NOW)
    assert caught.value.detail == f"{MANY}: no"


def test_a_connection_that_was_never_made_wrote_nothing():
    settings = {"app_key": "1", "app_secret": "5ec4e7", "access_token": "6200e1"}
    lost = TaobaoConnector(TaobaoCredentials.from_settings(settings), base_url="http://127.0.0.1:9")
    with pytest.raises(Retry):
        lost.push_stock(targets(1), key=KEY, now=NOW)


def test_what_was_not_sent_any_more_is_not_known_once_something_was_written():
    batch = [target("101", 1), target("201", 2, item_id="8")]
    handlers = [written(MANY, skus={101: 1}), refused(7, "accesscontrol.limited-by-api-access-count")]
    with RawServer(*handlers) as server:
        outcomes = connector(server).push_stock(batch, key=KEY, now=NOW)
    assert told(outcomes) == [(101, APPLIED, "", 1), (201, UNKNOWN, "quota", None)]


# --- Nobody can tell ------------------------------------------------------------------------------------------------


def shop_shows(num_iid=7, **skus):
    rows = [{"sku_id": int(sku_id.removeprefix("s")), "quantity": units} for sku_id, units in skus.items()]
    item = {"num_iid": num_iid, "num": 9, "skus": {"sku": rows}}
    return answer_json({"items_seller_list_get_response": {"items": {"item": [item]}, "request_id": "r"}})


RETRIED = [
    "isp.remote-service-error",
    "isp.remote-service-timeout",
    "isp.remote-connection-error",
    "isp.top-remote-connection-timeout",
    "isp.top-remote-connection-error",
    "isp.top-remote-service-unavailable",
    "isp.item-service-unavailable",
    "isp.unknown-error",
    "isp.system-busy",
    "isp.item-update-service-error:IC_SYSTEM_NOT_READY_TRY_AGAIN_LATER",
]
LOST = [
    *(pytest.param(refused(15, sub_code), "server-error", id=sub_code) for sub_code in RETRIED),
    pytest.param(refused(10), "server-error", id="code 10"),
    pytest.param(refused(15), "platform-fault", id="code 15 and nothing more"),
    pytest.param(refused(530), "platform-fault", id="code 5xx"),
    pytest.param(refused(999), "unrecognised", id="unknown code"),
    pytest.param(refused(15, "isp.null-pointer-exception"), "platform-fault", id="null pointer"),
    pytest.param(refused(15, "isp.top-parse-error"), "platform-fault", id="parse error"),
    pytest.param(refused(15, "isp.top-mapping-parse-error"), "platform-fault", id="mapping error"),
    pytest.param(answer(b"", "502 Bad Gateway"), "server-error", id="502"),
    pytest.param(answer(b"<html>"), "not-json", id="HTML"),
    pytest.param(answer(b"{"), "not-json", id="cut short"),
    pytest.param(answer_json({}), "half-answer", id="nothing"),
    pytest.param(answer_json({"skus_quantity_update_response": {"request_id": "r"}}), "half-answer", id="no item"),
    pytest.param(written(MANY, skus={101: 1}, num_iid=8), "half-answer", id="another item"),
]


@pytest.mark.parametrize(("handler", "cause"), LOST)
def test_after_an_answer_that_tells_nothing_the_shop_is_read_before_anything_is_repeated(handler, cause):
    with RawServer(handler, shop_shows(s101=1, s102=8)) as server:
        outcomes = connector(server).push_stock(targets(1, 2), key=KEY, now=NOW)
    assert [form["method"] for form in server.forms] == [MANY, READ]
    assert told(outcomes) == [(101, APPLIED, "", 1), (102, UNKNOWN, cause, 8)]


def test_where_reading_back_fails_too_nothing_is_claimed():
    with RawServer(answer(b"", "502 Bad Gateway")) as server:
        outcomes = connector(server).push_stock(targets(1, 2), key=KEY, now=NOW)
    assert told(outcomes) == [(101, UNKNOWN, "server-error", None), (102, UNKNOWN, "server-error", None)]


def test_a_whole_item_is_read_back_by_its_own_figure():
    with RawServer(answer(b"", "502 Bad Gateway"), shop_shows()) as server:
        outcomes = connector(server).push_stock([target(quantity=9)], key=KEY, now=NOW)
    assert told(outcomes) == [(7, APPLIED, "", 9)]


def test_a_tmall_answer_about_another_item_is_read_back():
    wrong = answer_json({"tmall_item_quantity_update_response": {"quantity_update_result": "8"}})
    with RawServer(wrong, shop_shows(s101=1)) as server:
        outcomes = connector(server, "tmall").push_stock(targets(1), key=KEY, now=NOW)
    assert told(outcomes) == [(101, APPLIED, "", 1)]


# --- Against the simulator ------------------------------------------------------------------------------------------


@pytest.fixture(params=["taobao-shanye", "tmall-nuanju"])
def shop(request, simulator):
    return request.param


def own_targets(simulator, shop, quantity=None, *, only=None):
    rows = simulator.taobao.items(shop=shop)
    return [
        StockTarget(number, str(row["num_iid"]), str(row["sku_id"]), number % 50 if quantity is None else quantity)
        for number, row in enumerate(rows)
        if only is None or str(row["num_iid"]) == only
    ]


def push(found, wanted, now):
    batches = [found.push_stock(batch, key=KEY, now=now) for batch in found.push_batches(wanted)]
    return {outcome.listing_id: outcome for outcomes in batches for outcome in outcomes}


def shown(simulator, shop):
    return {(str(row["num_iid"]), str(row["sku_id"])): row["quantity"] for row in simulator.taobao.items(shop=shop)}


def test_every_listing_of_a_shop_is_written(simulator, connect_to, shop, now):
    wanted = own_targets(simulator, shop)
    outcomes = push(connect_to(shop), wanted, now)
    after = shown(simulator, shop)
    assert {(row.item_id, row.sku_id): row.quantity for row in wanted} == after
    status = ACCEPTED if shop == "tmall-nuanju" else APPLIED
    assert {outcome.status for outcome in outcomes.values()} == {status}
    assert len(outcomes) == len(wanted)


def test_ids_beyond_a_double_are_written_whole(simulator, connect_to, now):
    big = next(row for row in simulator.taobao.items() if row["own"] and row["num_iid"] > 2**53)
    outcomes = push(connect_to(big["shop"]), own_targets(simulator, big["shop"], 41, only=str(big["num_iid"])), now)
    assert {outcome.status for outcome in outcomes.values()} <= {APPLIED, ACCEPTED}
    after = shown(simulator, big["shop"])
    assert after[str(big["num_iid"]), str(big["sku_id"])] == 41


def test_a_deleted_variant_is_refused_and_its_siblings_are_written(simulator, connect_to, shop, now):
    first = next(row for row in own_targets(simulator, shop) if row.sku_id)
    wanted = own_targets(simulator, shop, 17, only=first.item_id)
    simulator.taobao.set_item(first.item_id, first.sku_id, delete=True)
    outcomes = push(connect_to(shop), wanted, now)
    assert (outcomes[first.listing_id].status, outcomes[first.listing_id].cause) == (REFUSED, "unknown-variant")
    after = shown(simulator, shop)
    assert len(wanted) > 1
    for row in wanted[1:]:
        assert outcomes[row.listing_id].status in {APPLIED, ACCEPTED}
        assert after[row.item_id, row.sku_id] == 17


def test_an_item_of_another_shop_and_an_unknown_one_are_refused(simulator, connect_to, shop, now):
    other = next(row for row in simulator.taobao.items() if row["shop"] != shop)
    wanted = [
        StockTarget(1, str(other["num_iid"]), str(other["sku_id"]), 5),
        StockTarget(2, "404", "", 5),
    ]
    outcomes = push(connect_to(shop), wanted, now)
    assert [(outcomes[n].status, outcomes[n].cause) for n in (1, 2)] == [
        (REFUSED, "foreign-listing"),
        (REFUSED, "unknown-listing"),
    ]


@pytest.mark.parametrize("fault", [{"kind": "lost"}, {"kind": "delay", "seconds": 1.4}, {"kind": "half"}])
def test_a_write_whose_answer_was_lost_is_read_back(simulator, connect_to, shop, now, fault):
    wanted = [own_targets(simulator, shop, 23)[0]]
    method = {"taobao-shanye": MANY if wanted[0].sku_id else ONE, "tmall-nuanju": TMALL}[shop]
    simulator.taobao.fail_next(method=method, **fault)
    patience = 1 if fault["kind"] == "delay" else 10
    [outcome] = push(connect_to(shop, patience), wanted, now).values()
    calls = [call["method"] for call in simulator.ledger()]
    assert calls.count(method) + (fault["kind"] == "delay") >= 1
    assert calls.count(READ) == 1
    after = shown(simulator, shop)[wanted[0].item_id, wanted[0].sku_id]
    if outcome.status is APPLIED:
        assert (outcome.shown, after) == (23, 23)
    else:
        assert (fault["kind"], outcome.status) == ("delay", UNKNOWN)  # it is carried out after it was read back


def test_a_write_that_never_came_through_is_not_claimed(simulator, connect_to, shop, now):
    wanted = [own_targets(simulator, shop, 23)[0]]
    simulator.taobao.fail_next(kind="drop")
    [outcome] = push(connect_to(shop), wanted, now).values()
    before = shown(simulator, shop)[wanted[0].item_id, wanted[0].sku_id]
    assert (outcome.status, outcome.cause, outcome.shown) == (UNKNOWN, "connection", before)


def test_the_same_push_again_changes_nothing(simulator, connect_to, shop, now):
    wanted = own_targets(simulator, shop, 31)
    found = connect_to(shop)
    push(found, wanted, now)
    push(found, wanted, now)
    assert set(shown(simulator, shop).values()) == {31}


def test_the_wrong_kind_of_shop_is_told_to_a_person(simulator, connect_to, shop, now):
    wrong = "taobao" if shop == "tmall-nuanju" else "tmall"
    with pytest.raises(Review) as caught:
        push(connect_to(shop, shop_kind=wrong), own_targets(simulator, shop, 5), now)
    assert (caught.value.scope, caught.value.cause) == ("channel", "permission")


def test_a_write_answered_and_not_done_is_seen_by_the_next_read(simulator, connect_to, now):
    wanted = [next(row for row in own_targets(simulator, "taobao-shanye", 23) if row.sku_id)]
    before = shown(simulator, "taobao-shanye")[wanted[0].item_id, wanted[0].sku_id]
    simulator.taobao.fail_next(method=MANY, kind="silent_drop")
    found = connect_to("taobao-shanye")
    [outcome] = push(found, wanted, now).values()
    assert outcome.shown == 23  # as the platform says; it is wrong, and reading again shows it
    assert shown(simulator, "taobao-shanye")[wanted[0].item_id, wanted[0].sku_id] == before
