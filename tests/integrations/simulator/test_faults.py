"""Each way an answer can be wrong, on the wire."""

import time

import pytest
import requests

from tests.simulator import SimulatorError

pytestmark = pytest.mark.pure

ITEMS = "taobao.items.seller.list.get"
TIME = "taobao.time.get"


@pytest.fixture
def read(taobao, own_row):
    def send():
        return taobao.send(ITEMS, fields="num_iid,title,price,num,sku", num_iids=own_row["num_iid"])

    return send


def test_status_comes_once_and_with_its_headers(simulator, taobao):
    simulator.taobao.fail_next(status=503, headers={"Retry-After": "30"})
    response = taobao.send(TIME)
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "30"
    assert "time" in taobao.call(TIME)


def test_error_is_the_platforms_own_answer(simulator, taobao):
    simulator.taobao.fail_next(code=15, sub_code="isp.remote-service-timeout")
    answer = taobao.call(TIME)
    assert (answer["code"], answer["sub_code"], answer["msg"]) == (
        15,
        "isp.remote-service-timeout",
        "Remote service error",
    )


def test_limit_names_the_seconds_of_the_ban(simulator, taobao):
    simulator.taobao.fail_next(code=7, sub_code="accesscontrol.limited-by-app-access-count", seconds=31062)
    assert taobao.call(TIME)["sub_msg"] == "This ban will last for 31062 more seconds"


def test_delay_answers_late_and_rightly(simulator, taobao):
    simulator.taobao.fail_next(kind="delay", seconds=0.3)
    started = time.monotonic()
    assert "time" in taobao.call(TIME)
    assert time.monotonic() - started >= 0.3


def test_dropped_connection_gives_no_answer(simulator, taobao):
    simulator.taobao.fail_next(kind="drop")
    with pytest.raises(requests.ConnectionError):
        taobao.send(TIME)
    assert "time" in taobao.call(TIME)


def test_html_comes_with_status_200(simulator, taobao):
    simulator.taobao.fail_next(kind="html")
    response = taobao.send(TIME)
    assert response.status_code == 200
    assert response.text.startswith("<!DOCTYPE html>")


def test_null_blanks_facts_and_keeps_identities(simulator, read, own_row):
    simulator.taobao.fail_next(kind="null")
    (item,) = read().json()["items_seller_list_get_response"]["items"]["item"]
    assert item["num_iid"] == own_row["num_iid"]
    assert item["price"] is None
    assert item["num"] is None
    assert all(sku["sku_id"] and sku["quantity"] is None for sku in item["skus"]["sku"])


def test_null_may_be_one_field_only(simulator, read):
    simulator.taobao.fail_next(kind="null", fields=["num"])
    (item,) = read().json()["items_seller_list_get_response"]["items"]["item"]
    assert item["num"] is None
    assert item["price"] is not None


def test_half_answer_is_cut_json(simulator, read):
    simulator.taobao.fail_next(kind="half")
    response = read()
    assert response.status_code == 200
    with pytest.raises(requests.exceptions.JSONDecodeError):
        response.json()


def test_half_answer_may_lack_keys(simulator, read):
    simulator.taobao.fail_next(kind="half", mode="missing_keys", fields=["price", "num"])
    (item,) = read().json()["items_seller_list_get_response"]["items"]["item"]
    assert set(item) == {"num_iid", "title", "skus"}


def test_half_answer_may_be_shorter_than_it_says(simulator, read):
    simulator.taobao.fail_next(kind="half", mode="short_body")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        read()


def test_big_answer_has_ten_megabytes(simulator, taobao):
    simulator.taobao.fail_next(kind="big")
    assert len(taobao.send(TIME).content) > 10 * 1024 * 1024


def test_endless_answer_drips_until_the_client_leaves(simulator, taobao):
    simulator.taobao.fail_next(kind="endless", seconds=0.01)
    url = simulator.taobao.gateway_url
    with requests.post(url, data=taobao.parameters(TIME), timeout=10, stream=True) as response:
        assert "Content-Length" not in response.headers
        assert len([next(response.iter_content(1)) for _ in range(20)]) == 20


def test_redirect_leads_to_another_host(simulator, taobao):
    simulator.taobao.fail_next(kind="redirect")
    response = taobao.send(TIME)
    assert response.status_code == 302
    assert response.headers["Location"].startswith("http://169.254.169.254/")


def test_retry_after_is_hostile(simulator, taobao):
    simulator.taobao.fail_next(kind="retry_after")
    assert taobao.send(TIME).headers["Retry-After"] == "999999999"
    simulator.taobao.fail_next(kind="retry_after", status=503, headers={"Retry-After": "-1"})
    response = taobao.send(TIME)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "-1")


def test_fault_meets_its_method_shop_and_number_of_calls_only(simulator, taobao):
    simulator.taobao.fail_next(code=10, method=ITEMS, shop=taobao.account["shops"][1]["shop"], times=2)
    read = {"fields": "num_iid", "num_iids": "1"}
    other = taobao.account["shops"][1]["session"]
    assert "code" not in taobao.call(TIME)
    assert "code" not in taobao.call(ITEMS, **read)
    assert [taobao.call(ITEMS, session=other, **read).get("code") for _ in range(3)] == [10, 10, None]


def test_fault_may_wait_for_some_calls_and_stay_until_cleared(simulator, taobao):
    simulator.taobao.fail_next(code=10, after=1, times=0)
    assert [taobao.call(TIME).get("code") for _ in range(3)] == [None, 10, 10]
    simulator.clear_faults()
    assert "time" in taobao.call(TIME)


def test_faults_meet_the_token_path_too(simulator):
    simulator.taobao.fail_next(method="token", status=502)
    assert requests.post(f"{simulator.base_url}/token", timeout=10).status_code == 502


def test_spoilt_call_is_in_the_ledger(simulator, taobao):
    simulator.taobao.fail_next(kind="drop")
    with pytest.raises(requests.ConnectionError):
        taobao.send(TIME)
    assert [(entry["method"], entry["sub_code"]) for entry in simulator.ledger()] == [(TIME, "drop")]


@pytest.mark.parametrize("rule", [{"kind": "explode"}, {"kind": "half", "mode": "quarter"}, {"kind": "error"}])
def test_rule_that_makes_no_sense_is_refused(simulator, rule):
    with pytest.raises(SimulatorError):
        simulator.taobao.fail_next(**rule)
