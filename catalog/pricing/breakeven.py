"""What a sale leaves, and the lowest price that leaves nothing missing (pricing contract, section 6).

Per order line of one unit, in integers of the sale currency's minor unit, half up. A part that is not known makes the
answer unknown: None is never 0.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from fractions import Fraction

from catalog.pricing.model import Promotion, Step
from catalog.pricing.rounding import divide

_WHOLE_RATE = 10_000


@dataclass(frozen=True, slots=True)
class Costs:
    """All that a sale costs besides the tax, valid at one time. Rates in basis points; None: not known.

    `cost` is in the minor unit of its own currency, `exchange_rate` the sale currency's minor units per one of it.
    """

    cost: int | None
    exchange_rate: Fraction | None  # 1 where the currencies are the same
    freight: int | None  # and packing
    tax_rate: int | None  # inside the price; 0 where the price is without it, or the marketplace remits it
    fee_rate: int | None  # of the platform
    fee_minimum: int | None = 0
    fee_is_on_net: bool = False  # the fee counts the price without the tax
    fee_on_freight: int | None = 0  # what the buyer pays for freight, where the fee counts that too
    promotion_rate: int | None = 0
    promotion_fixed: int | None = 0
    payment_rate: int | None = 0
    payment_fixed: int | None = 0

    @property
    def unknown(self) -> tuple[str, ...]:
        """The parts that are not known, by their names."""
        return tuple(field.name for field in fields(self) if getattr(self, field.name) is None)


@dataclass(frozen=True, slots=True)
class Margin:
    """The parts of `receipts` (what the buyer pays and the platform adds), and what is left of it."""

    receipts: int
    tax: int
    platform_fee: int
    promotion_fee: int
    payment_fee: int
    freight: int
    cost: int

    @property
    def left(self) -> int:
        taken = self.tax + self.platform_fee + self.promotion_fee + self.payment_fee + self.freight + self.cost
        return self.receipts - taken


def rate_between(rate: Fraction, *, cost_exponent: int, sale_exponent: int) -> Fraction:
    """Minor units per minor unit, of a rate told in major units (sale currency per one of the cost currency)."""
    return rate * Fraction(10) ** (sale_exponent - cost_exponent)


def funded_by_platform(discount: int, seller_share: int) -> int:
    """The platform's part of one promotion's discount, `seller_share` in basis points."""
    return divide(discount * (_WHOLE_RATE - seller_share), _WHOLE_RATE, "half_up")


def receipts(pays: int, steps: Iterable[Step], promotions: Iterable[Promotion], line_id: str | None = None) -> int:
    """What the seller gets in: what the buyer pays, and what the platform pays of the used promotions' discounts.

    Of one line where it is named; shipping promotions lower no line.
    """
    shares = {promotion.id: promotion.seller_share for promotion in promotions}
    added = 0
    for step in steps:
        discount = sum(step.lines.values()) if line_id is None else step.lines.get(line_id, 0)
        added += funded_by_platform(discount, shares[step.id])
    return pays + added


def margin(received: int, costs: Costs) -> Margin | None:
    """What is left of the receipts of one unit; None where a part is not known: see `Costs.unknown`."""
    if costs.unknown:
        return None
    return _margin(received, costs, _cost(costs))


def break_even(costs: Costs) -> int | None:
    """The smallest receipts that leave nothing missing; None where there are none, or a part is not known.

    To be compared with receipts, not with the price: what the platform pays comes in too.
    """
    per_unit = None if costs.unknown else _left_of_each(costs)
    if per_unit is None or per_unit <= 0:
        return None
    cost = _cost(costs)
    received = _below(costs, cost, per_unit)
    while _margin(received, costs, cost).left < 0:
        received += 1
    return received


def can_be_sold_at_a_profit(costs: Costs) -> bool | None:
    """Whether there is a price that covers the costs; None where a part is not known."""
    return None if costs.unknown else _left_of_each(costs) > 0


def _left_of_each(costs: Costs) -> Fraction:
    """What is left of one minor unit more, before rounding."""
    net = Fraction(_WHOLE_RATE, _WHOLE_RATE + (costs.tax_rate or 0))
    fee = Fraction(costs.fee_rate or 0, _WHOLE_RATE) * (net if costs.fee_is_on_net else 1)
    return net - fee - Fraction((costs.promotion_rate or 0) + (costs.payment_rate or 0), _WHOLE_RATE)


def _below(costs: Costs, cost: int, per_unit: Fraction) -> int:
    """Receipts that are certainly not above the break-even: the closed form less what four roundings can be worth."""
    fee_rate = Fraction(costs.fee_rate or 0, _WHOLE_RATE)
    fixed = cost + (costs.freight or 0) + (costs.promotion_fixed or 0) + (costs.payment_fixed or 0) - 2
    with_rate = (fixed + fee_rate * (costs.fee_on_freight or 0)) / per_unit
    net = Fraction(_WHOLE_RATE, _WHOLE_RATE + (costs.tax_rate or 0))
    # The fee is never less than its minimum, so the price without its rate is no higher than the break-even either.
    with_minimum = (fixed + (costs.fee_minimum or 0)) / (per_unit + fee_rate * (net if costs.fee_is_on_net else 1))
    return max(0, int(max(with_rate, with_minimum)) - 5)


def _cost(costs: Costs) -> int:
    assert costs.cost is not None and costs.exchange_rate is not None  # noqa: S101, PT018 - asked only where it is known
    rate = costs.exchange_rate
    return divide(costs.cost * rate.numerator, rate.denominator, "half_up")


def _of_rate(amount: int, rate: int | None) -> int:
    return divide(amount * (rate or 0), _WHOLE_RATE, "half_up")


def _margin(received: int, costs: Costs, cost: int) -> Margin:
    net = divide(received * _WHOLE_RATE, _WHOLE_RATE + (costs.tax_rate or 0), "half_up")
    charged_on = (net if costs.fee_is_on_net else received) + (costs.fee_on_freight or 0)
    return Margin(
        receipts=received,
        tax=received - net,
        platform_fee=max(costs.fee_minimum or 0, _of_rate(charged_on, costs.fee_rate)),
        promotion_fee=_of_rate(received, costs.promotion_rate) + (costs.promotion_fixed or 0),
        payment_fee=_of_rate(received, costs.payment_rate) + (costs.payment_fixed or 0),
        freight=costs.freight or 0,
        cost=cost,
    )
