"""Which plan is the answer: what may stand together, what cannot be refused, what is best; why others are not used."""

import pytest

from catalog.pricing.exchange import read_request
from catalog.pricing.model import Status
from catalog.pricing.quoting import quote
from tests.catalog.pricing.requests import line, priced, promotion, request

pytestmark = pytest.mark.pure

AUTO_TEN = promotion("auto", "shop", "percent_off", 1000, auto=True)


def used_ids(found):
    return [used["id"] for used in found["used"]]


def test_an_automatic_promotion_is_used_though_it_costs_the_buyer_a_better_one():
    coupon = promotion("coupon", "coupon", value=5000, over=10000)
    found = priced("generic", 10500, [AUTO_TEN, coupon])
    assert (found["total"], found["not_used"]) == (9450, {"coupon": "below_threshold"})


def test_an_optional_one_may_push_an_automatic_one_out_where_they_exclude_each_other():
    found = priced("generic", 10000, [AUTO_TEN, promotion("coupon", "coupon", value=5000, combines=["coupon"])])
    assert (found["total"], found["not_used"]) == (5000, {"auto": "conflict:coupon"})


def test_of_two_automatic_ones_that_exclude_each_other_the_buyer_gets_the_better():
    found = priced("generic", 10000, [AUTO_TEN | {"combines": []}, AUTO_TEN | {"id": "more", "value": 2000}])
    assert (found["total"], found["not_used"]) == (8000, {"auto": "conflict:more"})


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        (None, None, True),
        (["other"], ["coupon"], True),
        (["other"], None, True),
        ([], None, False),
        (["coupon"], None, False),
        (["other"], ["other"], False),
    ],
)
def test_both_sides_must_allow_the_other_class(first, second, together):
    promotions = [
        promotion("a", "coupon", value=1000, combines=first),
        promotion("b", "coupon", value=1500, combines=second, **{"class": "other"}),
    ]
    found = priced("generic", 10000, promotions)
    assert used_ids(found) == (["a", "b"] if together else ["b"])
    assert found["not_used"] == ({} if together else {"a": "conflict:b"})


def test_a_label_of_lines_keeps_promotions_apart_only_where_they_share_a_line():
    lines = [line("a", 10000), line("b", 10000)]
    first = promotion("p", "coupon", value=1000, items=["a"], groups=["line:x"])
    second = promotion("q", "coupon", value=1500, items=["b"], groups=["line:x"])
    both = promotion("r", "coupon", value=1200, groups=["line:x"])
    assert used_ids(priced("generic", lines, [first, second])) == ["p", "q"]
    found = priced("generic", lines, [first, second, both])
    assert (used_ids(found), found["not_used"]) == (["p", "q"], {"r": "conflict:p"})


def test_a_layer_that_picks_one_takes_the_best():
    promotions = [promotion("a", "cross", value=1000), promotion("b", "cross", "percent_off", 1500)]
    assert priced("taobao", 10000, promotions)["not_used"] == {"a": "conflict:b"}


def test_lines_are_shared_out_so_that_all_pay_least():
    lines = [line("a", 10000), line("b", 10000)]
    promotions = [
        promotion("both", "coupon", "percent_off", 1000),
        promotion("one", "coupon", value=1500, over=10000, items=["a"]),
    ]
    found = priced("taobao", lines, promotions)
    assert (found["lines"], used_ids(found)) == ({"a": 8500, "b": 9000}, ["both", "one"])


def test_a_threshold_counts_the_lines_that_its_promotion_has():
    lines = [line("a", 10000), line("b", 10000)]
    both = promotion("both", "coupon", value=3000, over=20000)
    one = promotion("one", "coupon", value=1000, items=["a"])
    found = priced("taobao", lines, [both, one])
    assert (found["total"], found["not_used"]) == (17000, {"one": "line_taken"})
    better = one | {"value": 4000}
    found = priced("taobao", lines, [both, better])
    assert (found["total"], found["not_used"]) == (16000, {"both": "below_threshold"})


def test_a_used_promotion_leaves_no_line_that_it_would_discount():
    lines = [line("a", 10000), line("b", 10000)]
    found = priced("taobao", lines, [promotion("p", "coupon", value=1000)])
    assert found["lines"] == {"a": 9500, "b": 9500}


def test_the_fewest_promotions_are_used_for_the_same_price():
    promotions = [promotion("a", "coupon", value=600), promotion("b", "coupon", value=600)]
    promotions.append(promotion("c", "coupon", value=1000))
    found = priced("generic", 1000, promotions)
    assert (found["total"], used_ids(found)) == (0, ["c"])
    assert found["not_used"] == {"a": "no_gain", "b": "no_gain"}


def test_the_first_ids_are_used_for_the_same_price():
    promotions = [promotion(name, "coupon", value=500, groups=["g"]) for name in ("b", "B", "a")]
    found = priced("generic", 1000, promotions)
    assert (used_ids(found), found["not_used"]) == (["B"], {"a": "conflict:B", "b": "conflict:B"})


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"max_amount": 999}, "above_maximum", id="above the maximum"),
        pytest.param({"max_amount": 1000}, None, id="at the maximum"),
        pytest.param({"min_qty": 3, "max_amount": 999}, "above_maximum", id="the maximum comes first"),
        pytest.param({"min_qty": 3}, "below_quantity", id="too few pieces"),
        pytest.param({"min_qty": 3, "tiers": [[5000, 5]], "measure": "amount"}, "below_quantity", id="pieces first"),
        pytest.param({"tiers": [[1001, 5]], "measure": "amount"}, "below_threshold", id="below the threshold"),
        pytest.param({"tiers": [[1000, 5]], "measure": "amount"}, None, id="at the threshold"),
        pytest.param({"tiers": [[3, 5]], "measure": "quantity"}, "below_threshold", id="below the pieces"),
        pytest.param({"kind": "fixed_price", "value": 600}, "no_effect", id="a price that is none the lower"),
        pytest.param({"kind": "percent_off", "value": 1, "scope": {"items": ["a"]}}, "no_effect", id="rounded to 0"),
        pytest.param(
            {"measure_over": "line", "measure": "quantity", "tiers": [[2, 5]]}, "below_threshold", id="in no group"
        ),
        pytest.param(
            {"measure_over": "item", "measure": "amount", "tiers": [[600, 5]], "min_qty": 1},
            None,
            id="in one of the groups",
        ),
    ],
)
@pytest.mark.parametrize("auto", [True, False])
def test_why_a_promotion_is_not_used(fields, reason, auto):
    one = {"id": "p", "layer": "coupon", "kind": "amount_off", "auto": auto, **({"value": 5} | fields)}
    found = priced("generic", [line("a", 400), line("b", 600)], [one])
    assert found["not_used"] == ({} if reason is None else {"p": reason})


@pytest.mark.parametrize("ruleset", ["generic", "taobao", "woocommerce"])
def test_on_what_costs_nothing_a_promotion_has_no_effect(ruleset):
    free = promotion("free", "item", "fixed_price", 0, auto=True)
    found = priced(ruleset, 5000, [free, promotion("coupon", "coupon", value=500)])
    assert (found["total"], found["not_used"]) == (0, {"coupon": "no_effect"})


def test_the_input_order_does_not_matter():
    lines = [line("b", 999), line("a", 3333), line("c", 500)]
    promotions = [promotion(name, "coupon", "percent_off", 700 + place) for place, name in enumerate("cab")]
    assert priced("generic", lines, promotions) == priced("generic", lines[::-1], promotions[::-1])


def test_a_search_that_is_too_long_says_so_instead_of_a_number():
    """Each of these takes its own odd amount off, and any of them may empty the line."""
    lines = [line(name, 99_000 + place) for place, name in enumerate("abcdefgh")]
    promotions = [
        promotion(f"p{place}", "coupon", value=7_001 + 997 * place, over=90_000 + 1_000 * place) for place in range(25)
    ]
    asked = read_request(request("taobao", lines, promotions))
    found = quote(asked)
    assert (found.status, found.reason, found.total) == (Status.CANNOT_TELL, "budget", None)
    assert quote(asked) == found


def test_few_promotions_are_answered_however_many_ways_there_are_to_share_the_lines():
    """Four promotions, but each of three layers may give each of four lines away or not."""
    lines = [line("a", 167, 2), line("b", 19_998, 5), line("c", 167, 3), line("d", 167, 2)]
    promotions = [
        promotion("ladder", "item", "fixed_price", 8_429, pieces=4, priority=-1),
        promotion("two", "item", value=2),
        promotion("third", "shop", "nth_piece", 1, of=3, take=2, max_times=1),
        promotion("first", "coupon", "nth_piece", 1_000, of=1, take=1, max_times=1, auto=True),
    ]
    found = priced("taobao", lines, promotions, settings={"rounding": "up"})
    assert (found["total"], used_ids(found)) == (43_294, ["ladder", "two", "third", "first"])


def test_ten_thousand_coupons_of_which_one_can_be_used_are_answered():
    promotions = [promotion(f"p{place}", "coupon", value=place + 1, over=2 * place) for place in range(10_000)]
    found = priced("taobao", 9900, promotions)
    assert (found["total"], used_ids(found), len(found["not_used"])) == (4949, ["p4950"], 9_999)


def test_ten_thousand_coupons_that_may_all_be_used_are_refused():
    promotions = [promotion(f"p{place}", "shop", value=1) for place in range(10_000)]
    assert priced("generic", 9900, promotions) == {"status": "cannot_tell", "reason": "budget"}


def test_the_trace_tells_each_step():
    found = priced(
        "taobao",
        [line("a", 10000), line("b", 3333), line("c", 19998)],
        [promotion("cross", "cross", value=5000, over=30000, auto=True, repeat=True)],
    )
    assert found["trace"] == [
        {
            "id": "cross",
            "measured": 33331,
            "min": 30000,
            "base": 33331,
            "before": 33331,
            "after": 28331,
            "lines": {"a": 1500, "b": 500, "c": 3000},
        }
    ]
