"""The price of one unit, and what a unit costs at best when more are bought: two figures that are never mixed up."""

from dataclasses import dataclass, replace

from catalog.pricing.model import Request
from catalog.pricing.quoting import quote
from catalog.pricing.reasons import Refusal
from catalog.pricing.rounding import divide


@dataclass(frozen=True, slots=True)
class PerUnit:
    quantity: int
    goods: int  # for all of them

    @property
    def per_unit(self) -> int:
        """For showing only: rounded half up."""
        return divide(self.goods, self.quantity, "half_up")


@dataclass(frozen=True, slots=True)
class UnitPrices:
    """None where it cannot be told; the best is not known when any quantity's price is not."""

    buy_one: int | None
    best: PerUnit | None


def unit_prices(request: Request, *, up_to: int = 10) -> UnitPrices:
    """Prices of the request's only line at 1 to `up_to` units, which the caller limits by stock and purchase limit.

    Quantities below the platform's minimum order cannot be bought and have no price. Of equal prices per unit the
    smaller quantity counts. Raises ValueError for a request of several lines.
    """
    if len(request.lines) != 1:
        raise ValueError("a price per unit is of one line")
    line = request.lines[0]
    buy_one, best = None, None
    is_whole = True
    for quantity in range(1, up_to + 1):
        quoted = quote(replace(request, lines=(replace(line, qty=quantity),)))
        if quoted.total is None:
            is_whole = is_whole and quoted.reason == Refusal.BELOW_MINIMUM_ORDER
            continue
        found = PerUnit(quantity, quoted.total.goods)
        if quantity == 1:
            buy_one = found.goods
        if best is None or found.goods * best.quantity < best.goods * found.quantity:
            best = found
    return UnitPrices(buy_one, best if is_whole else None)
