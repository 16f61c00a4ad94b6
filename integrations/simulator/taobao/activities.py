"""Item activities as the promotion tool lists them: one for each item whose promotion runs."""

import zlib
from typing import Any

from integrations.simulator.seed import promotion_price
from integrations.simulator.taobao.answers import china_time
from integrations.simulator.taobao.calls import MAX_DEPTH, Call, Method, identity, paging
from integrations.simulator.taobao.errors import Refusal
from integrations.simulator.world import Item, World

MAX_PAGE_SIZE = 50
LONGEST_SECONDS = 120 * 3600  # that a promotion lasts, so each that runs began within them
PERCENTAGES = (5, 8, 10, 12, 15, 20, 30)


class Activities:
    def __init__(self) -> None:
        self.methods = {
            "taobao.promotionmisc.item.activity.list.get": Method(self._list, "r1"),
            "taobao.promotionmisc.item.activity.get": Method(self._one, "r1"),
            "taobao.promotionmisc.activity.range.list.get": Method(self._range, "r1"),
        }

    @staticmethod
    def _list(world: World, call: Call) -> dict[str, Any]:
        found = _running(world, call.shop)
        page, size = paging(call, max_page=MAX_DEPTH, max_size=MAX_PAGE_SIZE, default_size=MAX_PAGE_SIZE)
        answer: dict[str, Any] = {"total_count": len(found)}
        shown = [_heading(item) for item in found[(page - 1) * size : page * size]]
        if shown:
            answer["item_promotion_list"] = {"item_promotion": shown}
        return answer

    @staticmethod
    def _one(world: World, call: Call) -> dict[str, Any]:
        item = _find(world, call)
        return {"item_promotion": {**_heading(item), **_value(item), "is_user_tag": False}}

    @staticmethod
    def _range(world: World, call: Call) -> dict[str, Any]:
        item = _find(world, call)
        entry = {"activity_id": _number(item), "activity_name": _name(item), "item_id": item.num_iid}
        return {"promotion_range_list": {"promotion_range": [entry]}}


def _running(world: World, shop: str) -> list[Item]:
    return [item for item in world.own_items(shop) if item.promotion_ends_at is not None]


def _find(world: World, call: Call) -> Item:
    number = identity("activity_id", call.required("activity_id"))
    for item in _running(world, call.shop):
        if _number(item) == number:
            return item
    raise Refusal(15, "isv.activity-not-exist:invalid-activityId", "活动不存在")


def _number(item: Item) -> int:
    """Another one for each promotion of the item, and the same as long as that one runs."""
    return zlib.crc32(f"{item.num_iid}:{item.promotion_ends_at}".encode()) + 1


def _name(item: Item) -> str:
    return f"限时优惠 {item.outer_id}"


def _heading(item: Item) -> dict[str, Any]:
    ends_at = item.promotion_ends_at or 0
    return {
        "activity_id": _number(item),
        "name": _name(item),
        "description": "单品优惠",
        "start_time": china_time(ends_at - LONGEST_SECONDS),
        "end_time": china_time(ends_at),
        "participate_range": 1,
    }


def _value(item: Item) -> dict[str, Any]:
    """A discount where one percentage explains every variant's price, else an amount in fen."""
    rows = list(item.sellable_rows())
    for percent in PERCENTAGES:
        if all(row.live_price == promotion_price(row.price, percent) for row in rows):
            return {"is_discount": True, "discount_rate": (100 - percent) * 10, "is_decrease_money": False}
    off = max((row.price - row.live_price for row in rows), default=0)
    return {"is_discount": False, "is_decrease_money": True, "decrease_amount": off}
