"""A Shopify client that others wrote, with nothing changed but the host."""

import io
import json
from contextlib import redirect_stdout
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from tests.integrations.simulator.shopify.documents import SET_STOCK, VARIANTS

pytestmark = [
    pytest.mark.pure,
    # It compiles some of its patterns in a way that newer Python versions warn about.
    pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning"),
]


@pytest.fixture
def client(simulator):
    """Its GraphQL class for a token. It puts an address together as {name}.{domain}:{port}, so the host is split."""
    import shopify as library

    parts = urlsplit(simulator.base_url)
    name, _, domain = parts.hostname.partition(".")
    library.Session.setup(protocol="http", myshopify_domain=domain, port=parts.port)

    def connect(token):
        library.ShopifyResource.activate_session(library.Session(f"{name}.{domain}", "2026-10", token))
        return library.GraphQL()

    yield connect
    library.ShopifyResource.clear_session()
    library.Session.setup(protocol="https", myshopify_domain="myshopify.com", port=None, secret=None)


def test_it_reads_variants(client, simulator):
    answer = json.loads(client(simulator.shopify.shop()["access_token"]).execute(VARIANTS, {"first": 250}))
    nodes = answer["data"]["productVariants"]["nodes"]
    truth = {row["variant_id"]: row for row in simulator.shopify.variants()}
    assert {node["id"] for node in nodes} == set(truth)
    assert all(node["price"] == truth[node["id"]]["price"] for node in nodes)


def test_it_writes_stock(client, simulator):
    shop, variant = simulator.shopify.shop(), simulator.shopify.variants()[0]
    location = shop["locations"][0]
    quantity = {
        "inventoryItemId": variant["inventory_item_id"],
        "locationId": location,
        "quantity": 7,
        "changeFromQuantity": variant["levels"][location],
    }
    given = {"name": "available", "reason": "correction", "quantities": [quantity]}
    answer = json.loads(client(shop["access_token"]).execute(SET_STOCK, {"input": given, "key": "one"}))
    assert answer["data"]["inventorySetQuantities"]["userErrors"] == []
    assert simulator.shopify.variants()[0]["levels"][location] == 7


def test_it_is_throttled(client, simulator):
    simulator.shopify.set_store(points=10)
    answer = json.loads(client(simulator.shopify.shop()["access_token"]).execute(VARIANTS, {"first": 250}))
    assert answer["errors"][0]["extensions"]["code"] == "THROTTLED"
    assert answer["extensions"]["cost"]["requestedQueryCost"] == 35


def test_it_is_refused_with_a_wrong_token(client):
    with redirect_stdout(io.StringIO()), pytest.raises(HTTPError) as caught:
        client("shpat_wrong").execute("{ shop { id } }")
    assert caught.value.code == 401


def test_it_believes_the_signature_of_the_callback(client, simulator):
    import shopify as library

    app = simulator.shopify.account["public_app"]
    parameters = {"client_id": app["client_id"], "redirect_uri": "http://127.0.0.1:1/back", "state": "x"}
    url = f"{simulator.base_url}/admin/oauth/authorize"
    response = requests.get(url, params=parameters, timeout=20, allow_redirects=False)
    callback = dict(parse_qsl(urlsplit(response.headers["Location"]).query))
    library.Session.setup(secret=app["client_secret"])
    assert library.Session.validate_params(callback)
    assert not library.Session.validate_params({**callback, "shop": "another.myshopify.com"})
