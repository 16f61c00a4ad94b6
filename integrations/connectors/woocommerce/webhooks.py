"""WooCommerce's webhooks: what a delivery says. Pure."""

import hashlib
from collections.abc import Mapping
from typing import Any

from integrations.connectors.base import Hint, HintKind
from integrations.connectors.values import HalfAnswer, text
from integrations.connectors.woocommerce.parse import id_of, moment

SIGNATURE = "x-wc-webhook-signature"

_KINDS = {"product": HintKind.LISTING, "order": HintKind.ORDER, "coupon": HintKind.PROMOTION}


def is_ping(headers: Mapping[str, str]) -> bool:
    """The unsigned form that a shop sends once when a webhook is made."""
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    return content_type == "application/x-www-form-urlencoded" and SIGNATURE not in headers


def ping(body: bytes) -> Hint:
    return Hint(delivery_key=hashlib.sha256(body).hexdigest(), topic="ping", kind=HintKind.PING)


def hint(headers: Mapping[str, str], content: Any, body: bytes) -> Hint:
    """One delivery; raises HalfAnswer for a body that does not say what it is about.

    WooCommerce's own delivery id is shared by what is sent in the same second, so a delivery is known by what it holds.
    Of what was deleted only the id is told: then the item may be a variation.
    """
    if not isinstance(content, Mapping):
        raise HalfAnswer("no object")
    topic = text(headers.get("x-wc-webhook-topic"))
    subject, _dot, event = topic.partition(".")
    own_id, parent_id = id_of(content), id_of(content, "parent_id")
    is_variation = content.get("type") == "variation"
    kind = _KINDS.get(subject, HintKind.OTHER)
    if kind != HintKind.OTHER and (not own_id or (is_variation and not parent_id)):
        raise HalfAnswer("nothing it is about")
    changed = text(content.get("date_modified_gmt"))
    parts = [text(headers.get("x-wc-webhook-id")), topic, own_id, changed, hashlib.sha256(body).hexdigest()]
    return Hint(
        delivery_key=hashlib.sha256("\n".join(parts).encode()).hexdigest(),
        topic=topic,
        kind=kind,
        item_id=(parent_id if is_variation else own_id) if kind == HintKind.LISTING else "",
        sku_id=own_id if is_variation else "",
        order_id=own_id if kind == HintKind.ORDER else "",
        is_deleted=event == "deleted",
        changed_at=moment(changed),
    )
