"""Items, variants, orders and coupons as the gateway writes them: only the fields that were asked for."""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta, timezone
from typing import Any

import orjson

from integrations.simulator.taobao.errors import invalid, missing
from integrations.simulator.world import AffiliateCoupon, Item, Line, Row, Shop, ShopCoupon, Trade, amount

CHINA = timezone(timedelta(hours=8))
MAX_CACHED_FIELD_SETS = 8


def china_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, CHINA).strftime("%Y-%m-%d %H:%M:%S")


ITEM_FIELDS: dict[str, Callable[[Item, Shop], Any]] = {
    "num_iid": lambda item, shop: item.num_iid,
    "title": lambda item, shop: item.title,
    "nick": lambda item, shop: shop.nick,
    "type": lambda item, shop: "fixed",
    "cid": lambda item, shop: item.cid,
    "outer_id": lambda item, shop: item.outer_id,
    "price": lambda item, shop: amount(list_price(item)),
    "num": lambda item, shop: sum(row.quantity for row in item.sellable_rows()),
    "with_hold_quantity": lambda item, shop: sum(row.held for row in item.sellable_rows()),
    "sub_stock": lambda item, shop: item.sub_stock,
    "approve_status": lambda item, shop: item.approve_status,
    "created": lambda item, shop: china_time(item.created),
    "modified": lambda item, shop: china_time(item.modified),
    "list_time": lambda item, shop: china_time(item.list_time),
    "delist_time": lambda item, shop: china_time(item.delist_time),
    "valid_thru": lambda item, shop: 7,
    "sold_quantity": lambda item, shop: item.sold_quantity,
    "violation": lambda item, shop: False,
    "is_fenxiao": lambda item, shop: 0,
    "detail_url": lambda item, shop: f"https://item.taobao.com/item.htm?id={item.num_iid}",
    "pic_url": lambda item, shop: f"https://img.alicdn.com/imgextra/{item.num_iid}.jpg",
}
SKU_FIELDS: dict[str, Callable[[Item, Row], Any]] = {
    "sku_id": lambda item, row: row.sku_id,
    "num_iid": lambda item, row: item.num_iid,
    "properties": lambda item, row: row.properties,
    "properties_name": lambda item, row: row.properties_name,
    "quantity": lambda item, row: row.quantity,
    "with_hold_quantity": lambda item, row: row.held,
    "price": lambda item, row: amount(row.price),
    "outer_id": lambda item, row: row.outer_id,
    "status": lambda item, row: row.status,
    "created": lambda item, row: china_time(item.created),
    "modified": lambda item, row: china_time(row.modified),
}
SKU_FIELDS_IN_ITEM = tuple(name for name in SKU_FIELDS if name != "num_iid")
LIST_FIELDS = frozenset(ITEM_FIELDS)  # the two list methods know no variants

SELLER_FIELDS: dict[str, Callable[[Shop], Any]] = {
    "user_id": lambda shop: shop.user_id,
    "nick": lambda shop: shop.nick,
    "type": lambda shop: "B" if shop.kind == "tmall" else "C",
    "has_shop": lambda shop: True,
    "status": lambda shop: "normal",
}

AFFILIATE_FIELDS: dict[str, Callable[[Item, Shop], Any]] = {
    "num_iid": lambda item, shop: item.num_iid,
    "title": lambda item, shop: item.title,
    "nick": lambda item, shop: shop.nick,
    "seller_id": lambda item, shop: shop.user_id,
    "user_type": lambda item, shop: 1 if shop.kind == "tmall" else 0,
    "reserve_price": lambda item, shop: amount(list_price(item)),
    "zk_final_price": lambda item, shop: amount(live_price(item)),
    "sale_price": lambda item, shop: amount(live_price(item)),
    "volume": lambda item, shop: item.sold_quantity,
    "item_url": lambda item, shop: f"https://item.taobao.com/item.htm?id={item.num_iid}",
    "pict_url": lambda item, shop: f"https://img.alicdn.com/imgextra/{item.num_iid}.jpg",
    "provcity": lambda item, shop: "浙江 杭州",
}

TRADE_FIELDS: dict[str, Callable[[Trade, Shop], Any]] = {
    "tid": lambda trade, shop: trade.tid,
    "tid_str": lambda trade, shop: str(trade.tid),
    "seller_nick": lambda trade, shop: shop.nick,
    "type": lambda trade, shop: "fixed",
    "status": lambda trade, shop: trade.status,
    "payment": lambda trade, shop: amount(trade.payment),
    "total_fee": lambda trade, shop: amount(sum(line.price * line.num for line in trade.lines)),
    "discount_fee": lambda trade, shop: amount(0),
    "post_fee": lambda trade, shop: amount(0),
    "num": lambda trade, shop: sum(line.num for line in trade.lines),
    "created": lambda trade, shop: china_time(trade.created),
    "modified": lambda trade, shop: china_time(trade.modified),
    "pay_time": lambda trade, shop: _time_or_absent(trade.pay_time),
    "consign_time": lambda trade, shop: _time_or_absent(trade.consign_time),
    "end_time": lambda trade, shop: _time_or_absent(trade.end_time),
}
LINE_FIELDS: dict[str, Callable[[Line], Any]] = {
    "oid": lambda line: line.oid,
    "oid_str": lambda line: str(line.oid),
    "num_iid": lambda line: line.num_iid,
    "sku_id": lambda line: str(line.sku_id) if line.sku_id else None,  # a string here, a number in items
    "outer_sku_id": lambda line: line.outer_sku_id if line.sku_id else None,
    "outer_iid": lambda line: None if line.sku_id else line.outer_sku_id,
    "title": lambda line: line.title,
    "num": lambda line: line.num,
    "price": lambda line: amount(line.price),
    "total_fee": lambda line: amount(line.payment),
    "discount_fee": lambda line: amount(line.discount_fee),
    "payment": lambda line: amount(line.payment),
    "divide_order_fee": lambda line: amount(line.payment),
    "status": lambda line: line.status,
    "refund_status": lambda line: line.refund_status,
}


def list_price(item: Item) -> int:
    return min((row.price for row in item.sellable_rows()), default=0)


def live_price(item: Item) -> int:
    return min((row.live_price for row in item.sellable_rows()), default=0)


def _time_or_absent(seconds: int | None) -> str | None:
    return None if seconds is None else china_time(seconds)


def split_fields(
    fields: str | None, known: Collection[str], child: str = "", child_known: Collection[str] = ()
) -> tuple[list[str], list[str]]:
    """The names asked for on the row and on its children, in the order asked.

    `child` alone asks for every field of the children, `child.name` for one. Raises Refusal 40 when no field is named
    and 41 when one is not known.
    """
    if not fields or not fields.strip():
        raise missing("fields")
    own: list[str] = []
    children: list[str] = []
    for name in (part.strip() for part in fields.split(",")):
        if name in known:
            own.append(name)
        elif child and name == child:
            children.extend(child_known)
        elif child and name.startswith(f"{child}.") and name[len(child) + 1 :] in child_known:
            children.append(name[len(child) + 1 :])
        else:
            raise invalid("fields", f"未知字段: {name}")
    return list(dict.fromkeys(own)), list(dict.fromkeys(children))


def item_answer(item: Item, shop: Shop, fields: str, known: Collection[str], sku_known: Collection[str]) -> Any:
    """An item with the fields asked for, rendered once until it changes."""
    key = f"{len(sku_known)}|{fields}"
    cached = item._answers.get(key)
    if cached is not None:
        return cached
    own, children = split_fields(fields, known, "sku" if sku_known else "", sku_known)
    answer = {name: ITEM_FIELDS[name](item, shop) for name in own}
    if children and item.has_variants:
        answer["skus"] = {"sku": [sku_answer(item, row, children) for row in item.rows]}
    return _remember(item, key, answer)


def affiliate_answer(item: Item, shop: Shop, names: Collection[str]) -> Any:
    key = f"tbk|{','.join(names)}"
    cached = item._answers.get(key)
    if cached is not None:
        return cached
    return _remember(item, key, {name: AFFILIATE_FIELDS[name](item, shop) for name in names})


def _remember(item: Item, key: str, answer: dict[str, Any]) -> orjson.Fragment:
    if len(item._answers) >= MAX_CACHED_FIELD_SETS:
        item._answers.clear()
    fragment = orjson.Fragment(orjson.dumps(answer))
    item._answers[key] = fragment
    return fragment


def sku_answer(item: Item, row: Row, names: Collection[str]) -> dict[str, Any]:
    return {name: SKU_FIELDS[name](item, row) for name in names}


def trade_answer(trade: Trade, shop: Shop, names: Collection[str], line_names: Collection[str]) -> dict[str, Any]:
    answer = _present({name: TRADE_FIELDS[name](trade, shop) for name in names})
    if line_names:
        lines = [_present({name: LINE_FIELDS[name](line) for name in line_names}) for line in trade.lines]
        answer["orders"] = {"order": lines}
    return answer


def _present(answer: dict[str, Any]) -> dict[str, Any]:
    """The gateway leaves out what has no value."""
    return {name: value for name, value in answer.items() if value is not None}


def shop_coupon_answer(coupon: ShopCoupon) -> dict[str, Any]:
    """Amounts in fen here, whole; the misspelt creation time is the platform's own."""
    return {
        "coupon_id": coupon.coupon_id,
        "denominations": coupon.face,
        "condition": coupon.minimum,
        "creat_time": china_time(coupon.created),
        "end_time": china_time(coupon.ends_at),
        "create_channel": "商家后台",
    }


def affiliate_coupon_answer(coupon: AffiliateCoupon) -> dict[str, Any]:
    """Amounts in yuan here, as text."""
    return {
        "coupon_activity_id": coupon.activity_id,
        "coupon_amount": amount(coupon.face),
        "coupon_start_fee": amount(coupon.minimum),
        "coupon_start_time": china_time(coupon.starts_at)[:10],
        "coupon_end_time": china_time(coupon.ends_at)[:10],
        "coupon_total_count": coupon.total,
        "coupon_remain_count": coupon.remaining,
        "coupon_type": 1 if coupon.single_item else 0,
        "coupon_src_scene": 4 if coupon.affiliate_only else 1,
    }
