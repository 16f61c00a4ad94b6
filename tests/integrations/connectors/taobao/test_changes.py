"""What changed since, and the test of a connection."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from integrations.connectors.errors import Fatal, Reauthorise, Retry, Review
from integrations.connectors.taobao import TaobaoConnector, TaobaoCredentials
from tests.integrations.connectors.raw_server import RawServer, answer_json
from tests.integrations.connectors.taobao.test_client import item, items_answer, refused

pytestmark = pytest.mark.pure

NOW = datetime(2025, 6, 1, 4, 0, tzinfo=UTC)
ON_SALE = "taobao.items.onsale.get"
READ = "taobao.items.seller.list.get"
SELLER = "taobao.user.seller.get"


def connector(server):
    settings = {"app_key": "1", "app_secret": "5ec4e7", "access_token": "6200e1"}
    return TaobaoConnector(TaobaoCredentials.from_settings(settings), base_url=server.url)


def test_only_what_changed_since_is_asked_for_and_read_whole():
    def handle(connection):
        form = server.forms[-1]
        if form["method"] == "taobao.items.seller.list.get":
            items_answer(item(5, modified="2025-06-01 10:00:03"))(connection)
            return
        root = form["method"].removeprefix("taobao.").replace(".", "_") + "_response"
        body = {"request_id": "r", "total_results": 0}
        if form["method"] == ON_SALE:
            row = {"num_iid": 5, "modified": "2025-06-01 10:00:03"}
            body = {"request_id": "r", "total_results": 1, "items": {"item": [row]}}
        answer_json({root: body})(connection)

    with RawServer(handle) as server:
        [found] = connector(server).read_changes(since=NOW - timedelta(hours=3), now=NOW)
    assert (found.item_id, found.facts.stock, found.facts.list_price) == ("5", 4, Decimal("9.00"))
    assert found.changed_at == datetime(2025, 6, 1, 2, 0, 3, tzinfo=UTC)
    lists = [form for form in server.forms if form["method"] != "taobao.items.seller.list.get"]
    assert {form["start_modified"] for form in lists} == {"2025-06-01 09:00:00"}
    assert [form.get("banner") for form in lists] == [None, "for_shelved", "sold_out", "violation_off_shelf"]


def test_a_change_time_that_cannot_be_read_is_half_an_answer():
    page = {"items_onsale_get_response": {"total_results": 1, "items": {"item": [{"num_iid": 5}]}}}
    rest = {"items_inventory_get_response": {"total_results": 0}}
    handlers = [answer_json(page), answer_json(rest), answer_json(rest), answer_json(rest)]
    with RawServer(*handlers, items_answer(item(5, modified="soon"))) as server, pytest.raises(Retry) as caught:
        list(connector(server).read_changes(since=NOW, now=NOW))
    assert caught.value.cause == "half-answer"


def test_changes_of_a_shop_are_read_whether_on_the_shelf_or_not(simulator, connect_to, now):
    rows = simulator.taobao.items(shop="taobao-shanye")
    on, off = rows[0], next(row for row in rows if row["num_iid"] != rows[0]["num_iid"])
    since = simulator.now().replace(microsecond=0)
    simulator.taobao.set_item(on["num_iid"], on["sku_id"], price="88.00", approve_status="onsale")
    simulator.taobao.set_item(off["num_iid"], approve_status="instock")
    found = list(connect_to("taobao-shanye").read_changes(since=since, now=now))
    assert {listing.item_id for listing in found} == {str(on["num_iid"]), str(off["num_iid"])}
    by_id = {(listing.item_id, listing.sku_id): listing for listing in found}
    changed = by_id[str(on["num_iid"]), str(on["sku_id"])]
    assert changed.facts.list_price == Decimal("88.00")
    assert changed.outer_id == on["outer_id"]
    assert all(listing.changed_at is not None and listing.changed_at >= since for listing in found)
    later = since + timedelta(hours=1)
    assert list(connect_to("taobao-shanye").read_changes(since=later, now=now)) == []


# --- The test of a connection ---------------------------------------------------------------------------------------


def test_a_connection_is_tested_by_what_readings_call_and_names_the_shop(simulator, connect_to, now):
    found = connect_to("tmall-nuanju")
    simulator.clear_ledger()
    assert found.check_connection(now=now) == simulator.taobao.shop("tmall-nuanju")["nick"]
    assert [call["method"] for call in simulator.ledger()] == [ON_SALE, READ]


def test_a_shop_with_nothing_on_sale_is_asked_for_its_seller(simulator, connect_to, now):
    for num_iid in {row["num_iid"] for row in simulator.taobao.items(shop="taobao-shanye")}:
        simulator.taobao.set_item(num_iid, approve_status="instock")
    nick = simulator.taobao.shop("taobao-shanye")["nick"]
    assert connect_to("taobao-shanye").check_connection(now=now) == nick
    assert [call["method"] for call in simulator.ledger()] == [ON_SALE, SELLER]


@pytest.mark.parametrize(
    ("spoil", "changes", "expected", "cause"),
    [
        pytest.param(None, {"app_secret": "wrong"}, Fatal, "bad-signature", id="secret"),
        pytest.param(None, {"app_key": "1"}, Fatal, "bad-app-key", id="key"),
        pytest.param(None, {"access_token": "x"}, Reauthorise, "session-invalid", id="token"),
        pytest.param(lambda taobao: taobao.refuse_method(ON_SALE), {}, Review, "permission", id="permission to list"),
        pytest.param(lambda taobao: taobao.refuse_method(READ), {}, Review, "permission", id="permission to read"),
        pytest.param(lambda taobao: taobao.fail_next(status=404), {}, Fatal, "wrong-address", id="host"),
        pytest.param(lambda taobao: taobao.fail_next(code=31, times=0), {}, Fatal, "clock", id="clock"),
        pytest.param(
            lambda taobao: taobao.refuse_method(ON_SALE, sub_code="isv.permission-ip-whitelist-limit"),
            {},
            Review,
            "ip-whitelist",
            id="address",
        ),
    ],
)
def test_a_connection_that_does_not_work_says_why(simulator, connect_to, now, spoil, changes, expected, cause):
    found = connect_to("tmall-nuanju", **changes)
    if spoil is not None:
        spoil(simulator.taobao)
    with pytest.raises(expected) as caught:
        found.check_connection(now=now)
    assert caught.value.cause == cause
    if cause == "permission":
        assert caught.value.detail.startswith(caught.value.operation)


def test_a_seller_without_a_name_has_none():
    empty = {"items_onsale_get_response": {"total_results": 0}}
    with RawServer(answer_json(empty), answer_json({"user_seller_get_response": {"user": {}}})) as server:
        assert connector(server).check_connection(now=NOW) == ""


def test_a_refused_seller_names_the_missing_permission():
    empty = {"items_onsale_get_response": {"total_results": 0}}
    refusal = refused(11, "isv.permission-api-package-limit", "no")
    with RawServer(answer_json(empty), refusal) as server, pytest.raises(Review) as caught:
        connector(server).check_connection(now=NOW)
    assert caught.value.detail == f"{SELLER}: no"
