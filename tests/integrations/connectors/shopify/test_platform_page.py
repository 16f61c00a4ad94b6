"""Each request and answer that the platform's page prints, sent as printed and read by what reads real answers."""

from datetime import timedelta

import pytest
import requests

from integrations.connectors.base import PushOutcome, PushStatus, StockTarget
from integrations.connectors.errors import Fatal, Reauthorise, Wait
from integrations.connectors.shopify import parse
from tests.integrations.connectors.raw_server import RawServer, answer_json
from tests.integrations.simulator.shopify import documents as printed

from .conftest import levels, number, ref

pytestmark = pytest.mark.pure

VERSION = {"data": {"shop": {"currencyCode": "USD"}}}


@pytest.fixture
def send(shop):
    """Post a document as the page says; returns the whole body."""

    def post(query, **variables):
        answer = requests.post(
            f"{shop.simulator.base_url}/admin/api/2026-10/graphql.json",
            json={"query": query, "variables": variables},
            headers={"X-Shopify-Access-Token": shop.account["access_token"]},
            timeout=10,
        )
        assert answer.status_code == 200
        return answer.json()

    return post


def test_the_printed_reads_are_answered_with_what_we_read(shop, send):
    rows = shop.rows()
    page = parse.page(send(printed.VARIANTS, first=250, after=None, q=None)["data"]["productVariants"])
    assert [parse.discovered(node).sku_id for node in page.nodes] == [number(row["variant_id"]) for row in rows]
    wanted = rows[0]["sku"]
    page = parse.page(send(printed.VARIANTS, first=5, q=f'sku:"{wanted}"')["data"]["productVariants"])
    assert {parse.discovered(node).outer_id for node in page.nodes} == {wanted}
    item = send(printed.LEVELS, id=rows[0]["inventory_item_id"])["data"]["inventoryItem"]
    assert parse.levels(parse.page(item["inventoryLevels"]).nodes) == levels(rows[0])
    nodes = parse.page(send(printed.LOCATIONS)["data"]["locations"]).nodes
    assert {parse.location(node).location_id for node in nodes} == {shop.location, shop.other_location}
    assert parse.page(send(printed.DISCOUNTS)["data"]["discountNodes"]).nodes
    assert send(printed.ORDERS)["data"]["orders"]["pageInfo"]["hasNextPage"] in (True, False)


def test_the_printed_write_is_answered_with_what_confirms_it(shop, send):
    row = shop.rows()[0]
    quantity = {
        "inventoryItemId": row["inventory_item_id"],
        "locationId": shop.account["locations"][0],
        "quantity": 7,
        "changeFromQuantity": levels(row)[shop.location],
    }
    given = {
        "name": "available",
        "reason": "correction",
        "referenceDocumentUri": "gid://stock-sync/SyncJob/2026-11-21-001",
        "quantities": [quantity],
    }
    answer = send(printed.SET_STOCK, input=given, key="5b2a1c7e-6f0c-4a55-9d3e-0f6c1b8f2a10")
    payload = answer["data"]["inventorySetQuantities"]
    assert parse.write_errors(payload) == []
    assert parse.changed_rows(payload) == {(number(row["inventory_item_id"]), shop.location)}
    assert answer["extensions"]["cost"]["requestedQueryCost"] == 13
    stale = send(printed.SET_STOCK, input=given, key="another")["data"]["inventorySetQuantities"]
    assert [(error.row, error.code) for error in parse.write_errors(stale)] == [(0, "CHANGE_FROM_QUANTITY_STALE")]


PRINTED_THROTTLED = {
    "errors": [
        {
            "message": "Throttled",
            "extensions": {"code": "THROTTLED", "documentation": "https://shopify.dev/api/usage/rate-limits"},
        }
    ],
    "extensions": {
        "cost": {
            "requestedQueryCost": 752,
            "actualQueryCost": None,
            "throttleStatus": {"maximumAvailable": 2000, "currentlyAvailable": 666, "restoreRate": 100},
        }
    },
}


def test_the_printed_throttling_is_a_wait(shop, now):
    with RawServer(answer_json(PRINTED_THROTTLED)) as server, pytest.raises(Wait) as caught:
        shop.connect(base_url=server.url).read_listings([ref(shop.rows()[0])], now=now)
    assert (caught.value.cause, caught.value.retry_at) == ("quota", now + timedelta(seconds=1))  # 0.86 s


def test_the_printed_refusal_of_a_token_asks_for_another(shop, now):
    body = {"errors": "[API] Invalid API key or access token (unrecognized login or wrong password)"}
    with RawServer(answer_json(body, "401 Unauthorized")) as server, pytest.raises(Reauthorise) as caught:
        shop.connect(base_url=server.url).check_connection(now=now)
    assert caught.value.cause == "session-invalid"


def test_the_printed_death_of_a_refresh_token_asks_for_consent(shop, now):
    with RawServer(answer_json({"error": "invalid_grant"}, "400 Bad Request")) as server:
        connector = shop.connect(base_url=server.url, app_kind="public")
        with pytest.raises(Reauthorise) as caught:
            connector.refresh(refresh_token="shprt_geheim", now=now)
    assert caught.value.cause == "authorisation-refused"
    assert "geheim" not in str(caught.value)
    assert server.forms[0]["grant_type"] == "refresh_token"
    assert server.heads[0].startswith("POST /admin/oauth/access_token HTTP/1.1")


@pytest.mark.parametrize(
    "error",
    [
        {
            "message": "The @idempotent directive is required for this mutation but was not provided.",
            "path": ["inventorySetQuantities"],
            "extensions": {"code": "BAD_REQUEST"},
        },
        {
            "message": "InventoryQuantityInput must include the following argument: changeFromQuantity.",
            "extensions": {"code": "INVALID_FIELD_ARGUMENTS"},
        },
        {
            "message": "Variable $input was provided invalid value",
            "extensions": {"code": "INVALID_VARIABLE", "problems": [{"path": ["x"], "explanation": "not defined"}]},
        },
        {
            "message": "The input array size of 251 is greater than the maximum allowed of 250.",
            "extensions": {"code": "MAX_INPUT_SIZE_EXCEEDED"},
        },
    ],
    ids=lambda error: error["extensions"]["code"],
)
def test_the_printed_faults_of_a_request_are_ours(shop, now, error):
    body = {"errors": [error], "data": {"inventorySetQuantities": None}}
    with RawServer(answer_json(VERSION), answer_json(body)) as server, pytest.raises(Fatal) as caught:
        shop.connect(base_url=server.url).push_stock(
            [StockTarget(1, "1", "11", 7, 9, "2001", "1001")], key="k", now=now
        )
    assert (caught.value.cause, caught.value.detail) == ("bad-request", error["message"])


def test_the_printed_answer_of_a_write_is_applied_to_its_row(shop, now):
    changes = [
        {
            "name": name,
            "delta": -2,
            "quantityAfterChange": None,
            "item": {"id": "gid://shopify/InventoryItem/1001"},
            "location": {"id": "gid://shopify/Location/2001"},
        }
        for name in ("available", "on_hand")
    ]
    payload = {"inventoryAdjustmentGroup": {"changes": changes}, "userErrors": []}
    with RawServer(answer_json(VERSION), answer_json({"data": {"inventorySetQuantities": payload}})) as server:
        targets = [StockTarget(1, "1", "11", 7, 9, "2001", "1001")]
        outcomes = shop.connect(base_url=server.url).push_stock(targets, key="k", now=now)
    assert outcomes == [PushOutcome(1, "2001", PushStatus.APPLIED, "", 7)]


def test_the_printed_subscription_sends_what_we_take_for_genuine(shop, send):
    given = {"uri": "https://sync.example.com/hooks/shopify/42", "format": "JSON"}
    answer = send(printed.SUBSCRIBE, topic="INVENTORY_LEVELS_UPDATE", sub=given)["data"]["webhookSubscriptionCreate"]
    assert answer["userErrors"] == []
    assert answer["webhookSubscription"]["uri"] == given["uri"]
    refused = send(printed.SUBSCRIBE, topic="ORDERS_CREATE", sub=given | {"uri": "http://sync.example.com/hooks"})
    assert refused["data"]["webhookSubscriptionCreate"]["userErrors"] == [
        {
            "field": ["webhookSubscription", "callbackUrl"],
            "message": "Address protocol http:// is not supported",
        }
    ]
