"""What is refused and what is set aside, with its reason, while everything else is quoted."""

from dataclasses import fields
from typing import Any

import pytest

from catalog.pricing.exchange import answer
from catalog.pricing.model import Line, Promotion, Request
from tests.catalog.pricing.requests import line, priced, promotion, request

pytestmark = pytest.mark.pure

GOOD = promotion("good", "shop", value=1000)
TIER = {"value": None, "measure": "amount", "tiers": [[5000, 500]]}


def refused(**fields):
    return answer(request("generic", 10000, [GOOD]) | fields)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"currency": "XYZ"}, "unknown_currency"),
        ({"currency": None}, "unknown_currency"),
        ({"currency": ["CNY"]}, "unknown_currency"),
        ({"lines": []}, "no_lines"),
        ({"lines": [line("a", 100), line("a", 200)]}, "repeated_id"),
        ({"promotions": [GOOD, GOOD]}, "repeated_id"),
        ({"lines": [line("a", 100, 0)]}, "quantity"),
        ({"lines": [line("a", 100, 1.5)]}, "quantity"),
        ({"lines": [line("a", 100, True)]}, "quantity"),
        ({"lines": [line("a", -1)]}, "negative_price"),
        ({"lines": [line("a", 9.9)]}, "price"),
        ({"lines": [line("a", "9.90")]}, "price"),
        ({"shipping": -5}, "negative_price"),
        ({"at": "2026-11-11T12:00:00"}, "time_without_offset"),
        ({"at": "soon"}, "time_without_offset"),
        ({"at": None}, "time_without_offset"),
        ({"basis": "sale"}, "basis"),
        ({"basis": None}, "basis"),
        ({"ruleset": "bazaar"}, "ruleset"),
        ({"ruleset": ["generic"]}, "settings"),
        ({"settings": {"coupon.pick": "two"}}, "settings:coupon.pick"),
        ({"settings": {"cupon.pick": "many"}}, "settings:cupon.pick"),
        ({"settings": {"coupon.pick": ["many"]}}, "settings"),
        ({"settings": ["coupon.pick"]}, "settings"),
        ({"lines": [line("a", 100, item=7)]}, "lines"),
        ({"lines": "a"}, "lines"),
        ({"lines": ["a"]}, "lines"),
        ({"lines": [line("a", 100) | {"id": 7}]}, "id"),
        ({"promotions": ["a"]}, "promotions"),
        ({"promotions": {}}, "promotions"),
        ({"promotions": [{"layer": "shop"}]}, "id"),
        ({"buyer": "88vip"}, "buyer"),
        ({"lines": [line("a", 100, 2, minimum_order=3)]}, "below_minimum_order"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_with_its_reason(fields, reason):
    assert refused(**fields) == {"status": "refused", "reason": reason}


@pytest.mark.parametrize("raw", [None, 7, "x", {}, [[]]])
def test_what_is_no_request_is_refused(raw):
    found = answer(raw)
    assert (found[0] if isinstance(found, list) and found else found) in (
        {"status": "refused", "reason": "request"},
        {"status": "refused", "reason": "ruleset"},
        [],
    )


def test_a_minimum_order_counts_all_skus_of_the_item():
    lines = [line("a", 100, 2, item="o", minimum_order=3), line("b", 100, 1, item="o", minimum_order=3)]
    assert priced("alibaba1688", lines)["total"] == 300


BROKEN = [
    ("layer", {"layer": "cupon"}),
    ("layer", {"layer": None}),
    ("layer", {"layer": "cupon", "kind": "gift"}),
    ("kind", {"kind": "gift"}),
    ("kind", {"kind": ["amount_off"]}),
    ("value", {"value": None}),
    ("value", {"value": 9.9}),
    ("value", {"value": "9.90"}),
    ("value", {"value": True}),
    ("tiers", {"tiers": []}),
    ("tiers", {"tiers": [[100, 10], [100, 20]], "measure": "amount"}),
    ("tiers", {"tiers": [[200, 10], [100, 20]], "measure": "amount"}),
    ("tiers", {"tiers": [[100, 1.5]], "measure": "amount"}),
    ("tiers", {"tiers": [100, 10], "measure": "amount"}),
    ("tiers", {"tiers": "100-10", "measure": "amount"}),
    ("measure", {"measure": "weight"}),
    ("measure", {"tiers": [[0, 10], [100, 20]]}),
    ("measure", {"tiers": [[100, 20]]}),
    ("percent", {"kind": "percent_off", "value": 0}),
    ("percent", {"kind": "percent_off", "value": 10001}),
    ("percent", {"kind": "nth_piece", "value": -5, "of": 2, "take": 1}),
    ("amount", {"value": 0}),
    ("amount", {"value": -100}),
    ("amount", {"kind": "fixed_price", "value": -1}),
    ("amount", {"kind": "bundle_price", "value": -1, "of": 2}),
    ("per", {"per": "piece"}),
    ("repeat", {"repeat": True}),
    ("repeat", {"kind": "percent_off", "value": 1000, "repeat": True}),
    ("repeat", {**TIER, "per": "unit", "repeat": True}),
    ("repeat", {"tiers": [[100, 10], [200, 20]], "measure": "amount", "repeat": True}),
    ("repeat", {"tiers": [[0, 10]], "measure": "amount", "repeat": True}),
    ("pieces", {"kind": "nth_piece", "value": 5000}),
    ("pieces", {"kind": "nth_piece", "value": 5000, "of": 2, "take": 3}),
    ("pieces", {"kind": "nth_piece", "value": 5000, "of": 2, "take": 0}),
    ("pieces", {"kind": "bundle_price", "value": 5000}),
    ("pieces", {"kind": "bundle_price", "value": 5000, "of": 0}),
    ("max_discount", {"max_discount": 0}),
    ("max_units", {"max_units": -1}),
    ("max_times", {"max_times": 0}),
    ("measure_over", {"measure_over": "shop"}),
    ("measure_over", {"measure_over": "line", "max_discount": 5}),
    ("measure_over", {"measure_over": "item", "max_units": 5}),
    ("measure_over", {"measure_over": "item", "measure_lines": "basket"}),
    ("measure_lines", {"measure_lines": "all"}),
    ("shipping", {"layer": "shipping", "kind": "fixed_price"}),
    ("shipping", {"layer": "shipping", "per": "unit"}),
    ("threshold_base", {"threshold_base": "cost"}),
    ("effect_base", {"effect_base": "cost"}),
    ("weight_base", {"weight_base": "cost"}),
    ("window", {"start": "2026-11-12T00:00:00Z", "end": "2026-11-11T00:00:00Z"}),
    ("window", {"start": "2026-11-11T00:00:00Z", "end": "2026-11-11T08:00:00+08:00"}),
    ("window", {"end": "2026-11-12T00:00:00"}),
    ("window", {"start": "tomorrow"}),
    ("window", {"start": 1762790400}),
    ("min_qty", {"min_qty": "3"}),
    ("max_amount", {"max_amount": 1.5}),
    ("priority", {"priority": "first"}),
    ("auto", {"auto": "yes"}),
    ("scope", {"scope": ["a"]}),
    ("scope", {"scope": {"brands": ["a"]}}),
    ("scope", {"scope": {"items": "a"}}),
    ("groups", {"groups": "g"}),
    ("groups", {"groups": [1]}),
    ("audience", {"audience": "88vip"}),
    ("combines", {"combines": "item"}),
    ("class", {"class": 7}),
    ("remaining", {"remaining": "many"}),
    ("per_buyer", {"per_buyer": 1.5}),
    ("used", {"used": "no"}),
    ("seller_share", {"seller_share": 10001}),
    ("unknown", {"unknown": "value"}),
    ("percent", {"kind": "percent_off", "value": 0, "per": "piece", "max_units": 0}),
    ("measure_over", {"measure_over": "line", "max_discount": 5, "effect_base": "cost"}),
]


@pytest.mark.parametrize(("field", "fields"), BROKEN)
def test_a_broken_promotion_is_set_aside_and_harms_no_other(field, fields):
    broken = promotion("bad", "shop", value=500) | fields
    found = priced("generic", 10000, [GOOD, broken], shipping=100)
    assert found["not_used"] == {"bad": f"invalid:{field}"}
    assert (found["goods"], [used["id"] for used in found["used"]]) == (9000, ["good"])


def test_the_basket_of_the_rule_set_cannot_be_measured_in_groups_either():
    found = priced("woocommerce", 10000, [promotion("p", "coupon", value=500, measure_over="line")])
    assert found["not_used"] == {"p": "invalid:measure_over"}


SET_ASIDE: dict[str, dict[str, Any]] = {
    "currency": {"currency": "USD"},
    "paused": {"status": "paused"},
    "not_started": {"start": "2026-11-11T12:00:00.000001+08:00"},
    "expired": {"end": "2026-11-11T04:00:00Z"},
    "audience": {"audience": ["88vip", "new"]},
    "used_up": {"remaining": 0},
    "buyer_limit": {"per_buyer": 2, "used": 2},
    "in_live_price": {"in_live": True},
    "no_shipping": {"layer": "shipping", "scope": {"items": ["z"]}},
    "out_of_scope": {"scope": {"items": ["z"]}, "all_lines": True},
    "other_lines": {"scope": {"items": ["a"]}, "all_lines": True},
}


@pytest.mark.parametrize("reason", SET_ASIDE)
def test_what_is_set_aside_says_why(reason):
    aside = promotion("p", "shop", value=500) | SET_ASIDE[reason]
    found = priced("generic", [line("a", 5000), line("b", 5000)], [aside])
    assert (found["total"], found["not_used"]) == (10000, {"p": reason})


def test_of_several_reasons_the_first_of_the_order_counts():
    fields: dict[str, Any] = {}
    for reason in reversed([reason for reason in SET_ASIDE if reason not in ("no_shipping", "other_lines")]):
        fields |= SET_ASIDE[reason]
        if reason == "not_started":
            del fields["end"]  # no window is both ahead and over
        aside = promotion("p", "shop", value=500) | fields
        found = priced("generic", [line("a", 5000), line("b", 5000)], [aside])
        assert found["not_used"] == {"p": reason}


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"start": "2026-11-11T12:00:00+08:00"}, id="from this moment"),
        pytest.param({"end": "2026-11-11T12:00:00.000001+08:00"}, id="to the next moment"),
        pytest.param({"audience": ["88vip", "new"]}, id="the buyer is one of them"),
        pytest.param({"remaining": 1}, id="one is left"),
        pytest.param({"per_buyer": 2, "used": 1}, id="one more for this buyer"),
        pytest.param({"currency": "CNY"}, id="the request's currency"),
        pytest.param({"in_live": True}, id="in the live price, on the list price"),
        pytest.param({"scope": {}}, id="a scope that names nothing"),
        pytest.param({"scope": {"skus": ["a"], "items": ["z"]}}, id="in by one of two"),
        pytest.param({"scope": {"not_items": ["z"]}}, id="all but others"),
    ],
)
def test_what_is_inside_its_limits_is_used(fields):
    used = promotion("p", "shop", value=500) | fields
    assert priced("generic", 5000, [used], buyer=["new"], basis="list")["total"] == 4500


@pytest.mark.parametrize(
    "scope",
    [
        {"not_items": ["a"]},
        {"not_skus": ["a"]},
        {"not_categories": ["toys"]},
        {"not_on_sale": True},
        {"items": ["a"], "not_skus": ["a"]},
        {"shops": ["other"]},
        {"categories": ["shoes"]},
    ],
)
def test_a_line_that_is_excluded_or_not_named_is_out_of_scope(scope):
    lines = [line("a", 5000, categories=["toys"], shop="ours", on_sale=True)]
    found = priced("generic", lines, [promotion("p", "shop", value=500, scope=scope)])
    assert found["not_used"] == {"p": "out_of_scope"}


@pytest.mark.parametrize(
    ("lines", "promotions", "reason"),
    [
        pytest.param([line("a", 5000), line("b", None)], [], "price:b", id="price of a line"),
        pytest.param([line("a", 5000)], [promotion("p", "shop", unknown=["value"])], "unknown:p", id="unknown fact"),
        pytest.param(
            [line("a", None, live=5000)],
            [promotion("p", "shop", "percent_off", 1000, effect_base="list")],
            "base:p",
            id="list price that it works on",
        ),
        pytest.param(
            [line("a", 5000), line("b", None, live=5000)],
            [promotion("p", "shop", value=1000, over=100, items=["a"], threshold_base="list", measure_lines="basket")],
            "base:p",
            id="list price that it measures",
        ),
        pytest.param(
            [line("a", None, live=5000)],
            [promotion("p", "shop", value=1000, weight_base="list")],
            "base:p",
            id="list price that it is spread by",
        ),
    ],
)
def test_what_is_not_known_gives_no_number(lines, promotions, reason):
    assert priced("generic", lines, promotions) == {"status": "cannot_tell", "reason": reason}


@pytest.mark.parametrize(
    "fields",
    [
        {"end": "2026-11-11T04:00:00Z"},
        {"scope": {"items": ["z"]}},
        {"status": "paused"},
        {"currency": "USD"},
    ],
)
def test_an_unknown_promotion_that_cannot_apply_does_not_matter(fields):
    unknown = promotion("p", "shop", unknown=["value", "tiers"]) | fields
    assert priced("generic", 5000, [unknown])["total"] == 5000


def test_a_base_that_nothing_reads_may_be_unknown():
    lines = [line("a", None, live=5000)]
    unread = promotion("p", "shop", "fixed_price", 4000, effect_base="list", threshold_base="list")
    assert priced("generic", lines, [unread])["total"] == 4000


RUBBISH: tuple[Any, ...] = (None, "", "x", -1, 0, 1.5, True, [], [1], {}, {"x": 1}, [[]], [[1, 2, 3]], 10**30)


@pytest.mark.parametrize("field", [*sorted(field.name for field in fields(Promotion)), "class", "unheard_of"])
def test_no_rubbish_in_a_promotion_breaks_the_others(field):
    for rubbish in RUBBISH:
        bad = promotion("bad", "shop", value=500, over=100, scope={"items": ["z"]}) | {field: rubbish}
        found = priced("generic", 10000, [GOOD, bad], shipping=100)
        if field == "id" and not isinstance(rubbish, str):
            assert found == {"status": "refused", "reason": "id"}
        elif field == "scope" or (field == "unknown" and rubbish):
            assert found["status"] in ("ok", "cannot_tell")
        else:
            assert (found["status"], found["used"][0]["id"]) == ("ok", "good")


@pytest.mark.parametrize("field", [*sorted(field.name for field in fields(Line)), "unheard_of"])
def test_rubbish_in_a_line_is_refused_or_does_not_matter(field):
    for rubbish in RUBBISH:
        assert priced("generic", [line("a", 10000) | {field: rubbish}], [GOOD])["status"] in (
            "ok",
            "cannot_tell",
            "refused",
        )


@pytest.mark.parametrize("field", [*sorted(field.name for field in fields(Request)), "unheard_of"])
def test_rubbish_in_a_request_is_refused_or_does_not_matter(field):
    for rubbish in RUBBISH:
        assert refused(**{field: rubbish})["status"] in ("ok", "refused")
