"""Every row of the platform's error table, on the wire."""

import pytest
import requests

pytestmark = pytest.mark.pure


def test_answers_have_the_platforms_shape(shop):
    response = shop.send("GET", "products/404404")
    assert response.json() == {
        "code": "woocommerce_rest_product_invalid_id",
        "message": "Invalid ID.",
        "data": {"status": 404},
    }
    assert response.status_code == 404


@pytest.mark.parametrize(
    ("verb", "path", "body", "query", "expected"),
    [
        pytest.param("GET", "nothing", None, {}, (404, "rest_no_route"), id="no such route"),
        pytest.param("PUT", "products", {}, {}, (404, "rest_no_route"), id="no such verb"),
        pytest.param("GET", "products/x", None, {}, (404, "rest_no_route"), id="id that is no number"),
        pytest.param("GET", "products", None, {"per_page": 101}, (400, "rest_invalid_param"), id="wrong parameter"),
        pytest.param("POST", "webhooks", {}, {}, (400, "rest_missing_callback_param"), id="missing parameter"),
        pytest.param(
            "DELETE", "webhooks/1", None, {}, (501, "woocommerce_rest_trash_not_supported"), id="delete without force"
        ),
        pytest.param(
            "PUT", "webhooks/1", {}, {}, (400, "woocommerce_rest_shop_webhook_invalid_id"), id="unknown webhook"
        ),
    ],
)
def test_each_wrong_call_has_its_code(shop, verb, path, body, query, expected):
    assert shop.refusal(verb, path, body, **query) == expected


def test_body_that_is_no_json_is_refused(shop, mug):
    url = f"{shop.simulator.base_url}/wp-json/wc/v3/products/{mug}"
    oauth = shop.oauth("PUT", url)
    response = requests.put(
        url, params=oauth, data=b'{"sku": ', headers={"Content-Type": "application/json"}, timeout=10
    )
    assert (response.status_code, response.json()["code"]) == (400, "rest_invalid_json")


def test_host_may_ask_to_wait(shop, simulator):
    simulator.woocommerce.set_quota(calls_per_second=2)
    answers = [shop.send("GET", "products", per_page=1) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1].headers["Retry-After"] == "1"
    assert answers[-1].headers["Content-Type"].startswith("text/html")


def test_quota_of_one_shop_leaves_the_other_alone(shop, other_shop, simulator):
    simulator.woocommerce.set_quota(calls_per_second=1)
    assert [shop.send("GET", "products").status_code for _ in range(2)] == [200, 429]
    assert other_shop.send("GET", "products").status_code == 200


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("PUT", "products/794", {"stock_quantity": 10**30}),
        ("PUT", "products/794", {"stock_quantity": "９"}),
        ("PUT", "products/794", {"inventory_delta": "1e400"}),
        ("PUT", "products/794", {"regular_price": "9" * 40}),
        ("PUT", "products/794", {"date_on_sale_to": "9999-12-31T23:59:59"}),
        ("PUT", "products/794", {"date_on_sale_to": "tomorrow"}),
        ("PUT", "products/794", {"categories": [{"id": "x"}]}),
        ("PUT", "products/794", {"sku": ["x"]}),
        ("POST", "orders", {"line_items": [{"product_id": "x"}]}),
        ("POST", "orders", {"line_items": [{"product_id": 794, "quantity": {}}]}),
        ("POST", "products/22/variations", {"attributes": [{"id": "x"}]}),
    ],
)
def test_values_no_shop_could_hold_are_refused_and_change_nothing(shop, shirt, mug, verb, path, body):
    before = shop.all("products"), shop.all("variations")
    assert shop.refusal(verb, path, body) == (400, "rest_invalid_param")
    assert (shop.all("products"), shop.all("variations")) == before
