"""The cost of documents, the bucket, and shops and tokens that do not answer."""

import time

import pytest
from graphql import parse

from integrations.simulator.shopify.cost import Bucket, Calculator, weight
from integrations.simulator.shopify.documents import operation_of
from integrations.simulator.shopify.schema import schema_of
from tests.integrations.simulator.shopify.documents import LEVELS, ORDERS, PRICES, SET_STOCK, VARIANTS

pytestmark = pytest.mark.pure

DEAR = "{ products(first: 250) { nodes { id variants(first: 250) { nodes { id inventoryItem { id } } } } } }"


def requested(document, **variables):
    parsed = parse(document)
    return Calculator(schema_of("2026-10"), parsed, operation_of(parsed, None), variables).requested()


@pytest.mark.parametrize(("count", "expected"), [(0, 0), (1, 1), (5, 3), (10, 4), (50, 7), (100, 9), (250, 11)])
def test_weight_of_a_connection(count, expected):
    assert weight(count) == expected


@pytest.mark.parametrize(
    ("document", "variables", "expected"),
    [
        ("{ products(first: 250) { nodes { id } } }", {}, 13),
        ("{ products(first: 250) { edges { node { id } } pageInfo { hasNextPage } } }", {}, 13),
        ("{ shop { name } }", {}, 1),
        ("{ productsCount { count } }", {}, 10),
        ('{ product(id: "gid://shopify/Product/1") { variantsCount { count } } }', {}, 1),
        (VARIANTS, {"first": 250}, 35),
        (VARIANTS, {"first": 1}, 5),
        (LEVELS, {"id": "x"}, 1 + 2 + 7 * (1 + 1 + 1)),
        (ORDERS, {}, 2 + 9 * (1 + 2 + 7 * (1 + 1))),
        (SET_STOCK, {}, 13),
        (PRICES, {}, 10),
        ("{ shop { ...S } } fragment S on Shop { name plan { publicDisplayName } }", {}, 2),
        (DEAR, {}, 2 + 11 * (1 + 2 + 11 * 2)),
    ],
)
def test_requested_cost(document, variables, expected):
    assert requested(document, **variables) == expected


def test_difference_to_the_actual_cost_is_given_back(shopify, simulator):
    simulator.shopify.set_store(points=1000)
    cost = shopify.call(VARIANTS, first=250, q="sku:TWIN-1")["extensions"]["cost"]
    assert cost["requestedQueryCost"] == 35
    assert cost["actualQueryCost"] == 2 + 1 * 3
    assert 995 <= cost["throttleStatus"]["currentlyAvailable"] <= 1200


def test_throttled_answer_tells_how_long_to_wait(shopify, simulator):
    simulator.shopify.set_store(points=100)
    response = shopify.send(DEAR)
    body = response.json()
    assert response.status_code == 200
    assert "data" not in body
    assert body["errors"] == [
        {
            "message": "Throttled",
            "extensions": {"code": "THROTTLED", "documentation": "https://shopify.dev/api/usage/rate-limits"},
        }
    ]
    cost = body["extensions"]["cost"]
    assert (cost["requestedQueryCost"], cost["actualQueryCost"]) == (277, None)
    status = cost["throttleStatus"]
    assert (status["maximumAvailable"], status["restoreRate"]) == (2000, 100)
    assert status["currentlyAvailable"] < 277
    time.sleep((cost["requestedQueryCost"] - status["currentlyAvailable"]) / status["restoreRate"] + 0.05)
    assert "errors" not in shopify.call(DEAR)


def test_throttled_answer_can_be_asked_for(shopify, simulator):
    simulator.shopify.fail_next(sub_code="THROTTLED")
    body = shopify.call(VARIANTS, first=250)
    assert body["errors"][0]["extensions"]["code"] == "THROTTLED"
    assert body["extensions"]["cost"]["requestedQueryCost"] == 35


def test_too_dear_a_document_is_never_run(shopify):
    deep = "{ a: products(first: 250) { nodes { variants(first: 250) { nodes { inventoryItem { id "
    deep += "inventoryLevels(first: 50) { nodes { location { id } } } } } } } } }"
    error = shopify.error(deep)
    assert error["extensions"]["code"] == "MAX_COST_EXCEEDED"
    assert error["extensions"]["cost"] > error["extensions"]["maxCost"] == 1000


@pytest.mark.parametrize(
    ("plan", "maximum", "rate"), [("standard", 2000, 100), ("advanced", 4000, 200), ("plus", 20_000, 1000)]
)
def test_plans_have_their_buckets(shopify, simulator, plan, maximum, rate):
    simulator.shopify.set_store(plan=plan)
    status = shopify.call("{ shop { id } }")["extensions"]["cost"]["throttleStatus"]
    assert (status["maximumAvailable"], status["restoreRate"]) == (maximum, rate)


def test_bucket_refills_up_to_its_size():
    bucket = Bucket(restore_rate=1000, maximum=50)
    assert bucket.take(50)
    assert not bucket.take(30)
    time.sleep(0.06)
    assert bucket.take(50)


@pytest.mark.parametrize(("status", "code"), [("frozen", 402), ("forbidden", 403), ("locked", 423), ("rejected", 430)])
def test_shop_that_is_not_open_answers_with_its_status(shopify, simulator, status, code):
    simulator.shopify.set_store(status=status)
    response = shopify.send("{ shop { id } }")
    assert response.status_code == code
    assert isinstance(response.json()["errors"], str)
    assert simulator.ledger()[-1]["code"] == code


@pytest.mark.parametrize("token", ["", "shpat_wrong"])
def test_wrong_token_is_401(shopify, token):
    shopify.token = token
    response = shopify.send("{ shop { id } }")
    assert response.status_code == 401
    assert response.json()["errors"].startswith("[API] Invalid API key or access token")


def test_revoked_token_is_401(shopify, simulator):
    simulator.shopify.change_tokens(revoke="shopify-nuanju")
    assert shopify.send("{ shop { id } }").status_code == 401


def test_429_can_be_asked_for_with_its_wait(shopify, simulator):
    simulator.shopify.fail_next(status=429, headers={"Retry-After": "2.0"})
    response = shopify.send("{ shop { id } }")
    assert (response.status_code, response.headers["Retry-After"]) == (429, "2.0")


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"{}", "application/json", 400),
        (b'{"query": 7}', "application/json", 400),
        (b"query={shop{id}}", "application/x-www-form-urlencoded", 415),
    ],
)
def test_body_that_is_no_document_is_refused(shopify, body, content_type, status):
    url = f"{shopify.simulator.base_url}/admin/api/2026-10/graphql.json"
    headers = {"X-Shopify-Access-Token": shopify.token, "Content-Type": content_type}
    assert shopify.http.post(url, data=body, headers=headers, timeout=20).status_code == status


@pytest.mark.parametrize("path", ["/admin/api/2026-10/products.json", "/admin/api/2026-10/inventory_levels/set.json"])
def test_rest_is_not_served(shopify, path):
    headers = {"X-Shopify-Access-Token": shopify.token}
    assert shopify.http.post(shopify.simulator.base_url + path, headers=headers, timeout=20).status_code == 404


def test_syntax_error_has_its_place(shopify):
    error = shopify.error("{ shop {")
    assert error["locations"] == [{"line": 1, "column": 9}]


def test_pages_of_a_large_shop_hold_everything_once(shopify, simulator):
    simulator.shopify.add_products(2_000, variants_each=100)
    total, pages, after = len(simulator.shopify.variants()), 0, None
    found = set()
    while True:
        page = shopify.data(VARIANTS, first=250, after=after)["productVariants"]
        found |= {node["id"] for node in page["nodes"]}
        pages += 1
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert (len(found), pages) == (total, -(-total // 250))
