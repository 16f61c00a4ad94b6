"""What can be known about one listing at one moment, as plain values."""

from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple


class ShelfState(StrEnum):
    """Whether buyers can see and order a listing."""

    ON_SHELF = "on_shelf"
    SOLD_OUT = "sold_out"  # shown, but with nothing left to order
    OFF_SHELF = "off_shelf"
    UNKNOWN = "unknown"


class Facts(NamedTuple):
    """All facts of one listing from one read.

    Prices are in the currency of the listing's channel, stock is in platform units. None and UNKNOWN mean that this
    read did not supply the fact; a stock of 0 means that nothing is left. A tuple, since passes make hundreds of
    thousands of them, and so are the other values that go with each reading.
    """

    list_price: Decimal | None = None
    live_price: Decimal | None = None
    promotion_price: Decimal | None = None
    stock: int | None = None
    shelf_state: ShelfState = ShelfState.UNKNOWN
