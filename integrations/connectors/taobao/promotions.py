"""Coupons and item activities in the words of every platform. No network, no clock.

What these answers do not tell is named in `unknown`: nobody computes a price with a guess.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from integrations.connectors.base import Promotion
from integrations.connectors.taobao.orders import CURRENCY
from integrations.connectors.taobao.values import count, fen, identity, shop_time
from integrations.connectors.values import HalfAnswer, title

_ALL, _SOME = 0, 1  # of an activity's participate_range
_WHOLE_RATE = 1000  # a discount rate of 800 is 80 % of the price


def coupon(row: Mapping[str, Any]) -> Promotion:
    """A shop's coupon, its amounts in fen; raises HalfAnswer without an id or an end."""
    coupon_id = identity(row.get("coupon_id"))
    if coupon_id is None:
        raise HalfAnswer("a coupon without a number")
    # It says when it was made, not from when it is good; nor which items it is for, nor who holds one.
    unknown = ["starts_at", "item_ids", "codes"]
    value, minimum = fen(row.get("denominations")), fen(row.get("condition"))
    if not value:
        unknown.append("value")
    if minimum is None:
        unknown.append("minimum_amount")
    return Promotion(
        promotion_id=f"coupon-{coupon_id}",
        title="",
        kind="amount_off",
        value=value or None,
        currency=CURRENCY,
        minimum_amount=minimum,
        ends_at=shop_time(row.get("end_time")),
        unknown=tuple(unknown),
    )


def has_some_items(row: Mapping[str, Any]) -> bool:
    """Whether an activity is for some items only, which are to be asked for."""
    return count(row.get("participate_range"))[0] == _SOME


def activity(row: Mapping[str, Any], item_ids: Sequence[str]) -> Promotion:
    """A discount on items, as its own read tells it; `item_ids` are those it is for where it is for some.

    Raises HalfAnswer without an id or times.
    """
    activity_id = identity(row.get("activity_id"))
    if activity_id is None:
        raise HalfAnswer("an activity without a number")
    unknown = []
    kind, value = "amount_off", fen(row.get("decrease_amount"))
    if row.get("is_discount") is True:
        kind, value = "percent_off", _percent_off(count(row.get("discount_rate"))[0])
    if (row.get("is_decrease_money") is True) == (row.get("is_discount") is True) or not value:
        value = None
        unknown.append("value")
    if row.get("is_user_tag") is not False:
        unknown.append("codes")  # for marked buyers only, or nobody said
    if not item_ids and count(row.get("participate_range"))[0] != _ALL:
        unknown.append("item_ids")
    return Promotion(
        promotion_id=f"activity-{activity_id}",
        title=title(row.get("name")),
        kind=kind,
        value=value,
        currency=CURRENCY,
        starts_at=shop_time(row.get("start_time")),
        ends_at=shop_time(row.get("end_time")),
        item_ids=tuple(item_ids),
        is_on_each_unit=True,
        unknown=tuple(unknown),
    )


def _percent_off(rate: int | None) -> Decimal | None:
    return None if rate is None or not 0 < rate < _WHOLE_RATE else Decimal(_WHOLE_RATE - rate) / 10
