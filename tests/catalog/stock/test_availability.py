import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.stock.availability import Blocked, LocationMode, Rule, StepKind, at_location, bundle_available, target_of
from catalog.stock.explaining import explain

pytestmark = pytest.mark.pure
UNITS = st.integers(-50, 2_000)
LIMITS = st.none() | st.integers(0, 500)
RULES = st.builds(
    Rule,
    buffer=LIMITS,
    share_percent=st.none() | st.integers(0, 100),
    cap=LIMITS,
    stop_at=st.none() | st.integers(0, 40),
)
PACKS = st.integers(1, 12)


@pytest.mark.parametrize(
    ("available", "rule", "pack", "quantity", "sentence"),
    [
        pytest.param(
            23,
            Rule(buffer=2, share_percent=80, cap=10),
            1,
            10,
            "23 available − 2 buffer = 21, 80% → 16, cap 10 → 10",
            id="all three",
        ),
        pytest.param(23, Rule(), 1, 23, "23 available", id="no rule"),
        pytest.param(0, Rule(), 1, 0, "0 available", id="sold out"),
        pytest.param(4, Rule(buffer=5), 1, 0, "4 available − 5 buffer = −1, never below 0 → 0", id="buffer above it"),
        pytest.param(-3, Rule(), 1, 0, "−3 available, never below 0 → 0", id="oversold"),
        pytest.param(
            -3, Rule(share_percent=50), 1, 0, "−3 available, never below 0 → 0, 50% → 0", id="share of a debt"
        ),
        pytest.param(7, Rule(share_percent=50), 1, 3, "7 available, 50% → 3", id="share rounds down"),
        pytest.param(7, Rule(share_percent=0), 1, 0, "7 available, 0% → 0", id="no share"),
        pytest.param(7, Rule(share_percent=100), 1, 7, "7 available", id="whole share"),
        pytest.param(9, Rule(cap=10), 1, 9, "9 available", id="cap not reached"),
        pytest.param(9, Rule(cap=0), 1, 0, "9 available, cap 0 → 0", id="cap of nothing"),
        pytest.param(3, Rule(stop_at=3, buffer=1), 1, 0, "3 available, sold out at 3 → 0", id="at the stop"),
        pytest.param(4, Rule(stop_at=3, buffer=1), 1, 3, "4 available − 1 buffer = 3", id="above the stop"),
        pytest.param(0, Rule(stop_at=0), 1, 0, "0 available, sold out at 0 → 0", id="stop at nothing"),
        pytest.param(23, Rule(), 6, 3, "23 available, packs of 6 → 3", id="packs round down"),
        pytest.param(5, Rule(), 6, 0, "5 available, packs of 6 → 0", id="less than a pack"),
        pytest.param(
            40,
            Rule(buffer=2, cap=20),
            6,
            3,
            "40 available − 2 buffer = 38, cap 20 → 20, packs of 6 → 3",
            id="pack last",
        ),
        pytest.param(12_500, Rule(cap=1_000), 1, 1_000, "12,500 available, cap 1,000 → 1,000", id="thousands"),
    ],
)
def test_a_target_and_the_sentence_that_explains_it(available, rule, pack, quantity, sentence):
    target = target_of(available, rule, pack)
    assert (target.quantity, target.blocked, explain(target)) == (quantity, None, sentence)


@pytest.mark.parametrize(
    ("available", "rule", "blocked", "says"),
    [
        pytest.param(None, Rule(), Blocked.NOT_COUNTED, "never counted", id="nothing known"),
        pytest.param(23, Rule(is_paused=True), Blocked.PAUSED, "Paused", id="paused"),
        pytest.param(None, Rule(is_paused=True), Blocked.PAUSED, "Paused", id="paused and nothing known"),
        pytest.param(None, Rule(stop_at=5, cap=0), Blocked.NOT_COUNTED, "never counted", id="limits know nothing"),
    ],
)
def test_what_is_not_to_be_sent_has_no_figure_and_a_reason(available, rule, blocked, says):
    target = target_of(available, rule)
    assert (target.quantity, target.blocked, target.steps) == (None, blocked, ())
    assert says in explain(target)


def units_shown(available, rule, pack=1):
    quantity = target_of(available, rule, pack).quantity
    assert quantity is not None
    return quantity


@given(UNITS, RULES, PACKS)
def test_a_target_is_neither_below_nothing_nor_above_what_is_available(available, rule, pack):
    quantity = units_shown(available, rule, pack)
    assert quantity >= 0
    assert quantity * pack <= max(available, 0)


@given(UNITS, st.integers(0, 300), RULES, PACKS)
def test_more_available_never_shows_less(available, more, rule, pack):
    assert units_shown(available + more, rule, pack) >= units_shown(available, rule, pack)


@given(UNITS, RULES, PACKS)
def test_packs_are_the_single_units_rounded_down(available, rule, pack):
    assert units_shown(available, rule, pack) == units_shown(available, rule) // pack


@given(UNITS, RULES, PACKS)
def test_the_last_step_shows_the_figure_that_is_sent(available, rule, pack):
    target = target_of(available, rule, pack)
    assert target.steps[0] == (StepKind.AVAILABLE, None, available)
    assert target.steps[-1].units == target.quantity
    assert explain(target).startswith(f"{available:,}".replace("-", "−") + " available")


@given(UNITS)
def test_no_change_is_too_small_to_show(available):
    assert target_of(available, Rule()).quantity == max(available, 0)


@given(RULES, RULES)
def test_a_listings_own_rule_wins_where_it_says_something(own, general):
    both = own.over(general)
    for name in ("buffer", "share_percent", "cap", "stop_at", "is_paused"):
        mine = getattr(own, name)
        assert getattr(both, name) == (getattr(general, name) if mine is None else mine)


def test_a_listing_can_lift_its_channels_pause_and_buffer():
    assert Rule(buffer=0, is_paused=False).over(Rule(buffer=5, cap=9, is_paused=True)) == Rule(
        buffer=0, cap=9, is_paused=False
    )


@pytest.mark.parametrize(
    ("components", "expected"),
    [
        pytest.param([(10, 1), (9, 2)], 4, id="the scarcest"),
        pytest.param([(10, 1), (1, 2)], 0, id="too few of one"),
        pytest.param([(10, 1), (-1, 2)], -1, id="one oversold"),
        pytest.param([(10, 1), (None, 2)], None, id="one not known"),
        pytest.param([(0, 1), (None, 1)], None, id="not known beside none"),
        pytest.param([], None, id="no components"),
    ],
)
def test_bundles_that_the_components_make(components, expected):
    assert bundle_available(components) == expected


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(1, 9)), min_size=1, max_size=5))
def test_a_bundle_never_needs_more_than_there_is_and_no_more_could_be_made(components):
    made = bundle_available(components)
    assert made is not None
    assert all(made * units <= available for available, units in components)
    assert any((made + 1) * units > available for available, units in components)


@pytest.mark.parametrize(
    ("available", "mode", "expected"),
    [
        pytest.param([3, 4], LocationMode.SUM, 7, id="sum"),
        pytest.param([3, None], LocationMode.SUM, 3, id="sum of the known"),
        pytest.param([3, -5], LocationMode.SUM, -2, id="the sum owes"),
        pytest.param([None, None], LocationMode.SUM, None, id="nothing known"),
        pytest.param([], LocationMode.SUM, None, id="no warehouse"),
        pytest.param([0, 4, 9], LocationMode.PRIORITY, 4, id="the first that has any"),
        pytest.param([None, 4], LocationMode.PRIORITY, 4, id="not known is passed over"),
        pytest.param([-2, 4], LocationMode.PRIORITY, 4, id="oversold is passed over"),
        pytest.param([-2, 0], LocationMode.PRIORITY, -2, id="none has any"),
        pytest.param([None], LocationMode.PRIORITY, None, id="none is known"),
    ],
)
def test_what_several_warehouses_are_behind_one_location(available, mode, expected):
    assert at_location(available, mode) == expected
