"""What deliveries of a shop say; which of them are genuine is in test_signing."""

import orjson
import pytest

from integrations.connectors.base import HintKind
from integrations.connectors.errors import Retry
from integrations.connectors.woocommerce import WooCommerceConnector, WooCommerceCredentials

pytestmark = pytest.mark.pure

SECRET = "woo-hook-secret"
BODY = b'{"id":794,"name":"Premium Quality","sku":"PQ-1","manage_stock":true,"stock_quantity":7}'
HEADERS = {
    "content-type": "application/json",
    "x-wc-webhook-source": "https://shop.example/",
    "x-wc-webhook-topic": "product.updated",
    "x-wc-webhook-resource": "product",
    "x-wc-webhook-event": "updated",
    "x-wc-webhook-signature": "SErsBV+AtX90X3KpfC8+Bktruu8Xlkr5qhilelcwSgQ=",
    "x-wc-webhook-id": "142",
    "x-wc-webhook-delivery-id": "0123456789abcdef0123456789abcdef",
}
PING = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
def connector():
    credentials = WooCommerceCredentials(f"ck_{'1' * 40}", f"cs_{'2' * 40}")
    return WooCommerceConnector(credentials, base_url="https://shop.example")


@pytest.fixture
def hint(connector):
    def parsed(content, topic="product.updated", **headers):
        body = content if isinstance(content, bytes) else orjson.dumps(content)
        [found] = connector.parse_webhook(headers={**HEADERS, "x-wc-webhook-topic": topic, **headers}, body=body)
        return found

    return parsed


def test_the_published_delivery_is_genuine_and_names_its_product(connector, hint):
    assert connector.is_genuine(headers=HEADERS, body=BODY, secrets=["newer", SECRET])
    assert not connector.is_genuine(headers=HEADERS, body=BODY + b"\n", secrets=[SECRET])
    found = hint(BODY)
    assert (found.kind, found.topic, found.item_id, found.sku_id) == (HintKind.LISTING, "product.updated", "794", "")
    assert not found.is_deleted


def test_a_delivery_without_its_signature_is_not_genuine(connector):
    headers = {name: value for name, value in HEADERS.items() if name != "x-wc-webhook-signature"}
    assert not connector.is_genuine(headers=headers, body=BODY, secrets=[SECRET])


def test_the_ping_of_a_new_webhook_is_no_event_and_not_genuine(connector):
    [found] = connector.parse_webhook(headers=PING, body=b"webhook_id=142")
    assert (found.kind, found.item_id, found.order_id) == (HintKind.PING, "", "")
    assert not connector.is_genuine(headers=PING, body=b"webhook_id=142", secrets=[SECRET])


def test_a_variation_is_a_variant_of_its_product(hint):
    found = hint({"id": 732, "parent_id": 22, "type": "variation", "date_modified_gmt": "2026-11-21T10:15:30"})
    assert (found.item_id, found.sku_id) == ("22", "732")
    assert found.changed_at.isoformat() == "2026-11-21T10:15:30+00:00"


@pytest.mark.parametrize(
    ("topic", "content", "kind", "item_id", "order_id", "is_deleted"),
    [
        ("product.created", {"id": 794}, HintKind.LISTING, "794", "", False),
        ("product.deleted", {"id": 794}, HintKind.LISTING, "794", "", True),
        ("product.restored", {"id": 794}, HintKind.LISTING, "794", "", False),
        ("product.updated", {"id": 794, "parent_id": 0, "type": "simple"}, HintKind.LISTING, "794", "", False),
        ("product.updated", {"id": 9007199254740993}, HintKind.LISTING, "9007199254740993", "", False),
        ("order.updated", {"id": 55, "status": "processing"}, HintKind.ORDER, "", "55", False),
        ("order.deleted", {"id": 55}, HintKind.ORDER, "", "55", True),
        ("coupon.created", {"id": 7, "code": "black25"}, HintKind.PROMOTION, "", "", False),
        ("customer.created", {"id": 3}, HintKind.OTHER, "", "", False),
        ("action.woocommerce_add_to_cart", {"action": "x", "arg": "y"}, HintKind.OTHER, "", "", False),
        ("", {"id": 3}, HintKind.OTHER, "", "", False),
    ],
)
def test_each_topic_says_what_it_is_about(hint, topic, content, kind, item_id, order_id, is_deleted):
    found = hint(content, topic)
    assert (found.kind, found.item_id, found.order_id, found.is_deleted) == (kind, item_id, order_id, is_deleted)


CONTENT = {"id": 794, "date_modified_gmt": "2026-11-21T10:15:30", "stock_quantity": 7}


def test_the_same_delivery_again_has_the_same_key_whatever_its_own_id(hint):
    again = hint(CONTENT, **{"x-wc-webhook-delivery-id": "another", "x-wc-webhook-signature": "other"})
    assert again.delivery_key == hint(CONTENT).delivery_key


@pytest.mark.parametrize(
    ("content", "topic", "headers"),
    [
        pytest.param(CONTENT | {"id": 795}, "product.updated", {}, id="another product in the same second"),
        pytest.param(CONTENT | {"stock_quantity": 6}, "product.updated", {}, id="another figure in the same second"),
        pytest.param(CONTENT | {"date_modified_gmt": "2026-11-21T10:15:31"}, "product.updated", {}, id="a second on"),
        pytest.param(CONTENT, "product.restored", {}, id="another topic"),
        pytest.param(CONTENT, "product.updated", {"x-wc-webhook-id": "143"}, id="another webhook"),
    ],
)
def test_deliveries_that_share_woocommerces_own_id_are_told_apart(hint, content, topic, headers):
    assert hint(content, topic, **headers).delivery_key != hint(CONTENT).delivery_key


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<html>", id="HTML"),
        pytest.param(b'{"id": 79', id="cut short"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"{}", id="no id"),
        pytest.param(b'{"id": 0}', id="id 0"),
        pytest.param(b'{"id": 7.5}', id="no whole id"),
        pytest.param(b'{"id": 732, "type": "variation", "parent_id": 0}', id="a variation of nothing"),
    ],
)
def test_what_is_no_delivery_is_a_half_answer(connector, body):
    with pytest.raises(Retry) as caught:
        connector.parse_webhook(headers=HEADERS, body=body)
    assert caught.value.cause == "half-answer"
