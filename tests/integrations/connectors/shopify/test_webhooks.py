"""What a delivery says, topic by topic; and genuine deliveries of the simulator."""

import json
from datetime import UTC, datetime

import pytest

from integrations.connectors.base import HintKind
from integrations.connectors.errors import Retry
from integrations.connectors.shopify import ShopifyConnector, ShopifyCredentials

from .test_signing import LEVEL, LEVEL_SECRET, LEVEL_SIGNATURE

pytestmark = pytest.mark.pure

ITEM, VARIANT, STOCK, ORDER = 632910392, 808950810, 271878346596884015, 9007199254740993


@pytest.fixture
def connector():
    settings = {"shop": "demo.myshopify.com", "app_key": "1", "app_secret": LEVEL_SECRET}
    return ShopifyConnector(ShopifyCredentials.from_settings(settings))


def headers(topic: str, **more: str) -> dict[str, str]:
    return {
        "x-shopify-topic": topic,
        "x-shopify-shop-domain": "demo.myshopify.com",
        "x-shopify-api-version": "2026-10",
        "x-shopify-webhook-id": "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043",
        "x-shopify-event-id": "98880550-7158-44d4-b7cd-2c97c8a091b5",
        "x-shopify-triggered-at": "2026-11-21T15:15:31.123456789Z",
        **more,
    }


def hint(connector, topic, body, **more):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    [found] = connector.parse_webhook(headers=headers(topic, **more), body=content)
    return found


def test_the_published_delivery_is_genuine_and_read(connector):
    said = headers("inventory_levels/update", **{"x-shopify-hmac-sha256": LEVEL_SIGNATURE})
    assert connector.is_genuine(headers=said, body=LEVEL, secrets=[LEVEL_SECRET])
    [found] = connector.parse_webhook(headers=said, body=LEVEL)
    assert (found.kind, found.stock_id) == (HintKind.STOCK, "271878346596884015")
    assert (found.item_id, found.sku_id, found.order_id, found.is_deleted) == ("", "", "", False)
    assert found.changed_at == datetime(2026, 11, 21, 15, 15, 30, tzinfo=UTC)
    assert found.delivery_key == "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043"


@pytest.mark.parametrize("changes", [{}, {"x-shopify-hmac-sha256": ""}, {"x-shopify-hmac-sha256": "A" * 44}])
def test_a_missing_or_wrong_signature_is_not_genuine(connector, changes):
    assert not connector.is_genuine(headers=headers("orders/create", **changes), body=LEVEL, secrets=[LEVEL_SECRET])


@pytest.mark.parametrize(
    ("topic", "body", "expected"),
    [
        ("inventory_levels/connect", {"inventory_item_id": STOCK, "location_id": 1}, {"stock_id": str(STOCK)}),
        ("inventory_levels/disconnect", {"inventory_item_id": STOCK, "location_id": 1}, {"stock_id": str(STOCK)}),
        ("inventory_items/create", {"id": STOCK, "sku": "A-1"}, {"stock_id": str(STOCK)}),
        ("inventory_items/update", {"id": STOCK, "sku": "A-1"}, {"stock_id": str(STOCK)}),
        ("inventory_items/delete", {"id": STOCK}, {"stock_id": str(STOCK), "is_deleted": True}),
        ("products/create", {"id": ITEM, "variants": [{"id": VARIANT}]}, {"item_id": str(ITEM)}),
        ("products/update", {"id": ITEM, "variants": [{"id": VARIANT}]}, {"item_id": str(ITEM)}),
        ("products/delete", {"id": ITEM}, {"item_id": str(ITEM), "is_deleted": True}),
        ("variants/in_stock", {"id": VARIANT, "product_id": ITEM}, {"item_id": str(ITEM), "sku_id": str(VARIANT)}),
        ("variants/out_of_stock", {"id": VARIANT, "product_id": ITEM}, {"item_id": str(ITEM), "sku_id": str(VARIANT)}),
        ("orders/create", {"id": ORDER, "line_items": []}, {"order_id": str(ORDER)}),
        ("orders/updated", {"id": ORDER, "line_items": []}, {"order_id": str(ORDER)}),
        ("orders/cancelled", {"id": ORDER, "line_items": []}, {"order_id": str(ORDER)}),
        ("orders/edited", {"order_edit": {"id": 7, "order_id": ORDER}}, {"order_id": str(ORDER)}),
        ("orders/paid", {"id": ORDER}, {"order_id": str(ORDER)}),
        ("orders/fulfilled", {"id": ORDER}, {"order_id": str(ORDER)}),
        ("discounts/create", {"admin_graphql_api_id": "gid://shopify/DiscountCodeNode/1"}, {}),
        ("discounts/update", {"admin_graphql_api_id": "gid://shopify/DiscountCodeNode/1"}, {}),
        ("discounts/delete", {"admin_graphql_api_id": "gid://shopify/DiscountCodeNode/1"}, {"is_deleted": True}),
        ("locations/update", {"id": 24826418}, {}),
        ("bulk_operations/finish", {"admin_graphql_api_id": "gid://shopify/BulkOperation/1"}, {}),
        ("app/uninstalled", {"id": 1, "domain": "demo.myshopify.com"}, {}),
        ("app/scopes_update", {"id": 1}, {}),
        ("something/new", {"id": 5}, {}),
        ("", {"id": 5}, {}),
    ],
)
def test_each_topic_names_what_is_to_be_read_again(connector, topic, body, expected):
    kinds = {
        "inventory_levels": HintKind.STOCK,
        "inventory_items": HintKind.STOCK,
        "products": HintKind.LISTING,
        "variants": HintKind.LISTING,
        "orders": HintKind.ORDER,
        "discounts": HintKind.PROMOTION,
    }
    found = hint(connector, topic, body)
    kind = HintKind.UNINSTALLED if topic == "app/uninstalled" else kinds.get(topic.partition("/")[0], HintKind.OTHER)
    assert (found.topic, found.kind) == (topic, kind)
    told = {name: getattr(found, name) for name in ("item_id", "sku_id", "stock_id", "order_id", "is_deleted")}
    assert told == {"item_id": "", "sku_id": "", "stock_id": "", "order_id": "", "is_deleted": False} | expected


def test_an_untracked_level_is_a_hint_like_any_other(connector):
    body = {"inventory_item_id": STOCK, "location_id": 1, "available": None, "updated_at": "2026-11-21T10:15:30-05:00"}
    assert hint(connector, "inventory_levels/update", body).stock_id == str(STOCK)


def test_a_repetition_has_the_same_key_and_another_topic_of_the_same_event_another(connector):
    body = {"id": ORDER}
    first = hint(connector, "orders/create", body)
    again = hint(connector, "orders/create", body, **{"x-shopify-triggered-at": "2026-11-21T16:00:00Z"})
    other = hint(connector, "orders/paid", body, **{"x-shopify-webhook-id": "11111111-0000-0000-0000-000000000000"})
    assert first.delivery_key == again.delivery_key != other.delivery_key


def test_without_an_id_the_content_is_the_key(connector):
    without = {"x-shopify-webhook-id": ""}
    keys = {
        hint(connector, topic, {"id": number}, **without).delivery_key
        for topic, number in (("orders/create", 1), ("orders/create", 1), ("orders/paid", 1), ("orders/create", 2))
    }
    assert len(keys) == 3
    assert "" not in keys


def test_the_time_of_the_event_stands_in_for_that_of_the_change(connector):
    assert hint(connector, "products/delete", {"id": 1}).changed_at == datetime(
        2026, 11, 21, 15, 15, 31, 123456, tzinfo=UTC
    )
    assert hint(connector, "products/delete", {"id": 1}, **{"x-shopify-triggered-at": "soon"}).changed_at is None


@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"{", b"\xff", b"NaN", b'{"id": 1} {}'])
def test_a_body_that_is_no_object_is_half_an_answer(connector, body):
    with pytest.raises(Retry) as caught:
        connector.parse_webhook(headers=headers("orders/create"), body=body)
    assert caught.value.cause == "half-answer"


@pytest.mark.parametrize("identity", [None, True, -5, 0, 1.5, "x", [1], {"id": 1}])
def test_an_id_that_is_none_is_not_invented(connector, identity):
    found = hint(connector, "products/update", {"id": identity})
    assert found.item_id == ""
