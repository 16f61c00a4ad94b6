"""Messages of the platform's message service as hints. No network, no clock."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from integrations.connectors.base import Hint, HintKind
from integrations.connectors.http import parse_json
from integrations.connectors.taobao.values import identity, shop_time
from integrations.connectors.values import HalfAnswer, text

_STOCK_TOPICS = frozenset({"taobao_item_ItemStockChanged", "taobao_item_ItemZeroStock", "taobao_item_ItemSkuZeroStock"})
_DELETED = "taobao_item_ItemDelete"


def hints(answer_body: Mapping[str, Any]) -> list[Hint]:
    """The messages of one answer; raises HalfAnswer for what is no list of them.

    One without a number cannot be confirmed, and is left out as long as there are others.
    """
    found = answer_body.get("messages", {})
    rows = found.get("tmc_message", []) if isinstance(found, dict) else None
    if not isinstance(rows, list) or (not rows and "request_id" not in answer_body):
        raise HalfAnswer("no list of messages")
    told = [_hint(message_id, row) for row in rows if isinstance(row, dict) and (message_id := identity(row.get("id")))]
    if rows and not told:
        raise HalfAnswer("messages without numbers")
    return told


def _hint(message_id: str, row: Mapping[str, Any]) -> Hint:
    topic, content = text(row.get("topic")), _content(row.get("content"))
    return Hint(
        delivery_key=message_id,
        topic=topic,
        kind=_kind(topic),
        item_id=identity(content.get("num_iid")) or "",
        sku_id=identity(content.get("sku_id")) or "",
        order_id=identity(content.get("tid")) or "",
        is_deleted=topic == _DELETED,
        changed_at=_published_at(row.get("pub_time")),
        receipt=message_id,
    )


def _published_at(value: Any) -> datetime | None:
    try:
        return shop_time(value)
    except HalfAnswer:
        return None


def _kind(topic: str) -> HintKind:
    if topic in _STOCK_TOPICS:
        return HintKind.STOCK
    if topic.startswith("taobao_item_"):
        return HintKind.LISTING
    if topic.startswith(("taobao_trade_", "taobao_refund_")):
        return HintKind.ORDER
    return HintKind.OTHER


def _content(value: Any) -> Mapping[str, Any]:
    """The content, which is JSON inside of a string; empty where it is none, so that the message can be confirmed."""
    try:
        content = parse_json(value.encode()) if isinstance(value, str) else value
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
