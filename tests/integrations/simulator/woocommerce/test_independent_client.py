"""The client that WooCommerce publishes, with nothing changed but the host."""

import pytest
from woocommerce import API

pytestmark = pytest.mark.pure


@pytest.fixture
def client(simulator):
    account = simulator.accounts()["woocommerce"]["shops"][0]
    return API(
        url=account["url"],
        consumer_key=account["consumer_key"],
        consumer_secret=account["consumer_secret"],
        version="wc/v3",
        timeout=20,
    )


def test_it_reads_products_and_pages(client):
    response = client.get("products", params={"per_page": 5, "page": 2, "orderby": "id", "order": "asc"})
    assert response.status_code == 200
    assert len(response.json()) == 5
    assert int(response.headers["X-WP-Total"]) > 10
    changed = client.get("products", params={"modified_after": "2020-11-01T00:00:00", "per_page": 100})
    assert len(changed.json()) == int(response.headers["X-WP-Total"])


def test_it_writes_stock_and_reads_it_back(client, shirt, mug):
    body = {"manage_stock": True, "stock_quantity": 7}
    assert client.put(f"products/{mug}", body).json()["stock_quantity"] == 7
    assert client.get(f"products/{mug}").json()["stock_quantity"] == 7
    answer = client.post("products/22/variations/batch", {"update": [{"id": 732, **body}, {"id": 733, **body}]})
    assert [entry["stock_quantity"] for entry in answer.json()["update"]] == [7, 7]
    assert client.delete(f"products/{mug}", params={"force": True}).status_code == 200
    assert client.get(f"products/{mug}").status_code == 404


def test_it_makes_and_deletes_a_coupon(client):
    coupon = client.post("coupons", {"code": "black25", "amount": "25.00", "discount_type": "percent"}).json()
    assert client.get("coupons", params={"code": "black25"}).json() == [coupon]
    assert client.delete(f"coupons/{coupon['id']}", params={"force": True}).status_code == 200


def test_wrong_secret_is_refused(client):
    client.consumer_secret = "cs_wrong"
    response = client.get("products")
    assert (response.status_code, response.json()["code"]) == (401, "woocommerce_rest_authentication_error")


def test_value_with_a_slash_is_signed_wrongly_by_it(client):
    # It leaves the slash as it is, and a shop that does as the standard says refuses that.
    assert client.get("products", params={"sku": "TS/1"}).status_code == 401


def test_it_meets_the_hosts_limit(client, simulator):
    simulator.woocommerce.set_quota(calls_per_second=1)
    responses = [client.get("products") for _ in range(2)]
    assert [response.status_code for response in responses] == [200, 429]
    assert responses[1].headers["Retry-After"] == "1"


def test_behind_a_proxy_it_needs_no_oauth(client, shop):
    # What a proxy that ends TLS passes on: plain HTTP with the Basic header.
    shop.set(behind_proxy=True)
    client.is_ssl = True
    assert client.get("products").status_code == 200
    client.query_string_auth = True
    shop.set(header_stripped=True)
    assert client.get("products").status_code == 200
