import pytest

from catalog.pricing.exchange import read_request
from catalog.pricing.unit_prices import PerUnit, UnitPrices, unit_prices
from tests.catalog.pricing.requests import line, promotion, request

pytestmark = pytest.mark.pure

TWO_FOR = promotion("two", "shop", "percent_off", 2500, pieces=2, auto=True)


def prices(lines, *promotions, **fields):
    return unit_prices(read_request(request("generic", lines, promotions)), **fields)


def test_without_promotions_one_unit_is_as_good_as_many():
    assert prices(999) == UnitPrices(999, PerUnit(1, 999))


def test_the_best_price_may_need_more_than_one():
    assert prices(999, TWO_FOR) == UnitPrices(999, PerUnit(2, 1498))
    assert (PerUnit(4, 2997).per_unit, PerUnit(2, 1499).per_unit) == (749, 750)


def test_no_more_are_tried_than_can_be_bought():
    assert prices(999, TWO_FOR, up_to=1) == UnitPrices(999, PerUnit(1, 999))
    assert prices(999, TWO_FOR, up_to=3) == UnitPrices(999, PerUnit(2, 1498))
    assert prices(999, up_to=0) == UnitPrices(None, None)


def test_below_the_minimum_order_there_is_no_price():
    assert prices([line("a", 1000, minimum_order=3)], TWO_FOR) == UnitPrices(None, PerUnit(3, 2250))


def test_what_is_not_known_has_no_best_price_either():
    assert prices([line("a", None)]) == UnitPrices(None, None)


def test_several_lines_have_no_price_per_unit():
    with pytest.raises(ValueError, match="one line"):
        prices([line("a", 1), line("b", 1)])
