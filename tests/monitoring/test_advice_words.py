"""The sum behind an advice, as the page tells it."""

import pytest

from monitoring.advice_words import order_sentence
from monitoring.planning.advice_text import Rounding, Term, order_sum
from monitoring.planning.ordering import inventory_position, order_quantity

NAN = float("nan")


def advised(**changes):
    """The sum of what ordering.order_quantity() makes of it."""
    given = {"needed": 280, "days": 14, "safety_stock": 59.2147, "on_hand": 150, "on_the_way": 40, **changes}
    position = inventory_position(
        given["on_hand"], given.get("reserved", 0), given["on_the_way"], given.get("back_ordered", 0)
    )
    options = {name: given[name] for name in ("pack", "minimum", "presence") if name in given}
    found = order_quantity(given["needed"], given["safety_stock"], position, **options)
    return order_sum(**given, quantity=float(found.quantity))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        pytest.param(
            {"needed": 30, "safety_stock": 18, "on_hand": 6, "on_the_way": 0, "pack": 6},
            "42 = 30 needed in 14 d + 18 safety − 6 on hand − 0 on the way, rounded to packs of 6",
            id="packs",
        ),
        pytest.param(
            {},
            "150 = 280 needed in 14 d + 59.2 safety − 150 on hand − 40 on the way = 149.2, rounded up",
            id="whole pieces",
        ),
        pytest.param(
            {"pack": 24},
            "168 = 280 needed in 14 d + 59.2 safety − 150 on hand − 40 on the way = 149.2, rounded to packs of 24",
            id="the unrounded value too",
        ),
        pytest.param(
            {"minimum": 1200, "safety_stock": 60},
            "1,200 = 280 needed in 14 d + 60 safety − 150 on hand − 40 on the way = 150, "
            "raised to the minimum order of 1,200",
            id="minimum order",
        ),
        pytest.param(
            {"minimum": 200, "pack": 24},
            "216 = 280 needed in 14 d + 59.2 safety − 150 on hand − 40 on the way = 149.2, "
            "raised to the minimum order of 200, in packs of 24",
            id="minimum order in packs",
        ),
        pytest.param(
            {"safety_stock": 60},
            "150 = 280 needed in 14 d + 60 safety − 150 on hand − 40 on the way",
            id="nothing to round",
        ),
        pytest.param(
            {"on_hand": 300},
            "0 = 280 needed in 14 d + 59.2 safety − 300 on hand − 40 on the way, nothing is missing",
            id="enough",
        ),
        pytest.param(
            {"on_hand": -3, "reserved": 4, "back_ordered": 2, "on_the_way": 0, "not_counted": 12, "safety_stock": 60},
            "349 = 280 needed in 14 d + 60 safety − (−3) on hand + 4 reserved + 2 back-ordered − 0 on the way, "
            "12 overdue not counted",
            id="promised and overdue",
        ),
        pytest.param(
            {"needed": 0, "safety_stock": 0, "on_hand": 1, "on_the_way": 0, "presence": 4},
            "3 = 4 that shall always be there − 1 on hand − 0 on the way",
            id="minimum presence",
        ),
        pytest.param(
            {"needed": 10.05, "safety_stock": 5.05, "on_hand": 0, "on_the_way": 0},
            "16 = 10 needed in 14 d + 5.1 safety − 0 on hand − 0 on the way = 15.1, rounded up",
            id="the figures add up as they stand",
        ),
        pytest.param(
            {"needed": NAN, "safety_stock": NAN},
            "Cannot tell: what will be needed, the safety stock is not known.",
            id="not known",
        ),
    ],
)
def test_the_sum_is_told_in_one_sentence(changes, sentence):
    assert order_sentence(advised(**changes)) == sentence


def test_what_nobody_counted_is_not_0():
    told = order_sum(needed=30, days=14, safety_stock=18, on_hand=None, on_the_way=0, quantity=None)
    assert (told.quantity, told.unrounded, told.unknown) == (None, None, (Term.ON_HAND,))
    assert order_sentence(told) == "Cannot tell: what is on hand is not known."


def test_the_sum_keeps_its_exact_figures():
    told = advised(pack=24)
    assert told.unrounded == pytest.approx(149.2147)
    assert told.rounding == Rounding.PACKS
    assert sum(part.pieces for part in told.parts) == pytest.approx(149.2147)
