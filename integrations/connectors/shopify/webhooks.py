"""Shopify's webhooks: what a delivery says. Pure."""

import hashlib
from collections.abc import Mapping
from typing import Any

from integrations.connectors.base import Hint, HintKind
from integrations.connectors.shopify.parse import field, number_of
from integrations.connectors.values import HalfAnswer, moment, text

SIGNATURE = "x-shopify-hmac-sha256"

_KINDS = {
    "inventory_levels": HintKind.STOCK,
    "inventory_items": HintKind.STOCK,
    "products": HintKind.LISTING,
    "variants": HintKind.LISTING,
    "orders": HintKind.ORDER,
    "discounts": HintKind.PROMOTION,
}


def hint(headers: Mapping[str, str], content: Any, body: bytes) -> Hint:
    """One delivery; raises HalfAnswer for a body that is no JSON object.

    A delivery is known by X-Shopify-Webhook-Id, which its repetitions share; without one, by what it holds.
    """
    if not isinstance(content, Mapping):
        raise HalfAnswer("no object")
    topic = text(headers.get("x-shopify-topic"))
    subject, _slash, event = topic.partition("/")
    kind = _KINDS.get(subject, HintKind.OTHER)
    if topic == "app/uninstalled":
        kind = HintKind.UNINSTALLED
    own_id = number_of(content.get("id"))
    return Hint(
        delivery_key=text(headers.get("x-shopify-webhook-id")) or hashlib.sha256(topic.encode() + body).hexdigest(),
        topic=topic,
        kind=kind,
        item_id=own_id if subject == "products" else number_of(content.get("product_id")),
        sku_id=own_id if subject == "variants" else "",
        stock_id=own_id if subject == "inventory_items" else number_of(content.get("inventory_item_id")),
        # An edit is an object of its own, which names its order.
        order_id=own_id or number_of(field(content, "order_edit", "order_id")) if subject == "orders" else "",
        is_deleted=event == "delete",
        changed_at=moment(content.get("updated_at")) or moment(headers.get("x-shopify-triggered-at")),
    )
