"""What a buyer pays for a listing at a moment, what is left of it, and until when that holds."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from catalog.costs import ListingCosts, with_promotion_fees
from catalog.models import Listing
from catalog.pricing.breakeven import Costs, Margin, break_even, margin, receipts
from catalog.pricing.model import Promotion, Quote, Request
from catalog.pricing.quoting import quote
from catalog.pricing.unit_prices import UnitPrices, unit_prices
from catalog.promotions.requests import LINE, Shop, edges

LOOKED_AHEAD = timedelta(days=90)
_MOST_UNITS = 10  # of which the best price per unit is looked for


@dataclass(frozen=True, slots=True)
class Price:
    """Money in the minor unit of the channel's currency; None is not known.

    `margin` and `break_even` are of the whole line, `break_even` of what comes in (`received`), which is more than the
    buyer pays where the platform pays for a part of a discount.
    """

    request: Request
    quote: Quote
    costs: Costs
    received: int | None
    margin: Margin | None
    break_even: int | None
    valid_until: datetime | None  # the next moment at which a promotion begins or ends

    @property
    def goods(self) -> int | None:
        return None if self.quote.total is None else self.quote.total.goods

    @property
    def is_below_break_even(self) -> bool | None:
        """None: cannot tell."""
        return None if self.margin is None else self.margin.left < 0


def price_of(
    listing: Listing,
    shop: Shop,
    costs: ListingCosts,
    *,
    at: datetime,
    quantity: int = 1,
    buyer: frozenset[str] = frozenset(),
    settings: Mapping[str, str | bool] | None = None,
) -> Price:
    """Of so many units bought together, at `at`; `settings` over those of the channel."""
    request = shop.request(listing, at=at, quantity=quantity, buyer=buyer, settings=settings)
    quoted = quote(request)
    of_line = _times(costs.costs, quantity)
    received, left = None, None
    if quoted.total is not None:
        used = {step.id for step in quoted.steps}
        fees = [shop.fees[promotion.id] for promotion in request.promotions if promotion.id in used]
        of_line = with_promotion_fees(of_line, fees)
        received = receipts(quoted.lines[LINE], quoted.steps, request.promotions, LINE)
        left = margin(received, of_line)
    changes = edges(request.promotions, at, at + LOOKED_AHEAD)
    return Price(
        request,
        quoted,
        of_line,
        received,
        left,
        break_even(of_line),
        changes[0] if changes else None,
    )


def prices_by_tag(
    listing: Listing, shop: Shop, costs: ListingCosts, *, at: datetime, quantity: int = 1
) -> dict[str, Price]:
    """What kinds of buyers pay, by the one tag that each has, of those that the listing's promotions are for.

    Under "", the first, stands what everybody pays: the price to show.
    """
    tags = sorted({tag for each in shop.for_listing(listing) for tag in _tags(each)})
    return {
        tag: price_of(listing, shop, costs, at=at, quantity=quantity, buyer=frozenset({tag} - {""}))
        for tag in ["", *tags]
    }


def _tags(promotion: Promotion) -> frozenset[str]:
    """None of one that is broken, which the engine names."""
    return promotion.audience if isinstance(promotion.audience, frozenset) else frozenset()


def unit_prices_of(request: Request, *, stock: int | None) -> UnitPrices:
    """Of one unit and of the best quantity, which is no more than there are."""
    up_to = _MOST_UNITS if stock is None else max(1, min(_MOST_UNITS, stock))
    return unit_prices(request, up_to=up_to)


def _times(costs: Costs, quantity: int) -> Costs:
    """Of an order of several units: fees per order are paid once, all others are rates or per unit."""
    return replace(
        costs,
        cost=None if costs.cost is None else costs.cost * quantity,
        freight=None if costs.freight is None else costs.freight * quantity,
    )
