from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.thresholds.rules import (
    FIELDS,
    READING_KINDS,
    Kind,
    Move,
    Reference,
    Rule,
    State,
    calm_range,
    is_calm_among,
    is_near,
    median,
    step,
    value_of,
)

pytestmark = pytest.mark.pure
MINUTE = 60_000_000
DAY = 24 * 60 * MINUTE


def yuan(amount):
    return None if amount is None else round(amount * 10_000)


def moves(rule, values, *, every=5 * MINUTE, state=None):
    """What each reading did, five minutes apart; None for nothing."""
    state = state or State()
    told: list[str | None] = []
    history: list[tuple[int, int | None]] = []
    for number, value in enumerate(values):
        at = (number + 1) * every
        state, crossing = step(rule, state, value, at, history=list(history))
        told.append(crossing and crossing.move.value)
        history.append((at, value))
    return told


def prices(rule, amounts, **kwargs):
    return moves(rule, [yuan(amount) for amount in amounts], **kwargs)


RANGE = Rule(Kind.PRICE_RANGE, low=yuan(200), high=yuan(300))
CHANGE = Rule(Kind.PRICE_CHANGE, percent=1000, reference=Reference.PREVIOUS)
BASELINE = Rule(Kind.PRICE_CHANGE, percent=1000, reference=Reference.BASELINE)
MEDIAN = Rule(Kind.PRICE_CHANGE, percent=1000, reference=Reference.MEDIAN, days=3)
SWINGS = Rule(Kind.VOLATILITY, percent=2000, days=3)
STOCK = Rule(Kind.STOCK_AT_MOST, fact="stock", stock=5)
SOLD_OUT = Rule(Kind.SOLD_OUT, fact="stock")
RESTOCKED = Rule(Kind.RESTOCKED, fact="stock")
OFF_SHELF = Rule(Kind.OFF_SHELF, fact="stock")


def test_each_kind_has_its_fields_and_readings_judge_all_but_two():
    assert set(FIELDS) == set(Kind)
    assert set(Kind) - READING_KINDS == {Kind.BLIND, Kind.AUTHORISATION}


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        pytest.param(199.9999, "opened", id="just below the lowest"),
        pytest.param(200, None, id="the lowest itself is within"),
        pytest.param(250, None, id="within"),
        pytest.param(300, None, id="the highest itself is within"),
        pytest.param(300.0001, "opened", id="just above the highest"),
        pytest.param(None, None, id="not known"),
    ],
)
def test_a_price_range_includes_its_limits(price, expected):
    assert prices(RANGE, [price]) == [expected]


@pytest.mark.parametrize(
    ("rule", "amounts", "expected"),
    [
        pytest.param(replace(RANGE, high=None), [9999, 199], [None, "opened"], id="only a lowest"),
        pytest.param(replace(RANGE, low=None), [0.01, 301], [None, "opened"], id="only a highest"),
        pytest.param(RANGE, [199, 198, 150], ["opened", None, None], id="once while it lasts"),
        pytest.param(RANGE, [199, 200], ["opened", "cleared"], id="back on the limit"),
        pytest.param(RANGE, [199, 301], ["opened", "opened"], id="through the whole range to the other side"),
        pytest.param(RANGE, [199, None, 198, None, 250], ["opened", None, None, None, "cleared"], id="unknown between"),
        pytest.param(replace(RANGE, hysteresis=500), [199, 209.99], ["opened", None], id="not yet back by 5 %"),
        pytest.param(replace(RANGE, hysteresis=500), [199, 210], ["opened", "cleared"], id="back by exactly 5 %"),
        pytest.param(replace(RANGE, hysteresis=500), [301, 285.01], ["opened", None], id="not yet, from above"),
        pytest.param(replace(RANGE, hysteresis=500), [301, 285], ["opened", "cleared"], id="exactly, from above"),
        pytest.param(
            replace(RANGE, hysteresis=500), [199, 205, 199, 205, 210], ["opened", None, None, None, "cleared"],
            id="flapping inside the hysteresis is one alert",
        ),
    ],
)  # fmt: skip
def test_a_price_range_fires_at_the_edge_and_ends_inside_the_hysteresis(rule, amounts, expected):
    assert prices(rule, amounts) == expected


@pytest.mark.parametrize(
    ("cooldown_minutes", "expected"),
    [
        pytest.param(0, ["opened", "cleared", "opened"], id="none"),
        pytest.param(10, ["opened", "cleared", "opened"], id="exactly as long: a new alert"),
        pytest.param(11, ["opened", "cleared", "again"], id="within: the same alert"),
    ],
)
def test_what_comes_back_within_the_cooldown_is_the_same_alert(cooldown_minutes, expected):
    assert prices(replace(RANGE, cooldown_us=cooldown_minutes * MINUTE), [199, 250, 199]) == expected


def test_the_cooldown_counts_from_the_last_crossing():
    rule = replace(RANGE, cooldown_us=11 * MINUTE)
    assert prices(rule, [199, 250] * 4) == ["opened", "cleared", *["again", "cleared"] * 3]


@pytest.mark.parametrize(
    ("direction", "amounts", "expected"),
    [
        pytest.param("both", [100, 110], [None, "opened"], id="up by exactly 10 %"),
        pytest.param("both", [100, 109.99], [None, None], id="up by less"),
        pytest.param("both", [100, 90], [None, "opened"], id="down by exactly 10 %"),
        pytest.param("up", [100, 90], [None, None], id="down, only up is wanted"),
        pytest.param("up", [100, 111], [None, "opened"], id="up, as wanted"),
        pytest.param("down", [100, 111], [None, None], id="up, only down is wanted"),
        pytest.param("both", [100, None, 120], [None, None, "opened"], id="previous is the last known price"),
        pytest.param("both", [100, 105, 111], [None, None, None], id="two small steps"),
        pytest.param("both", [None, 100], [None, None], id="nothing before"),
        pytest.param("both", [0, 100], [None, None], id="nothing to compare with"),
        pytest.param("both", [100, 120, 120, 120], [None, "opened", None, None], id="stays until the price moves"),
        pytest.param("both", [100, 120, 119], [None, "opened", None], id="still far from where it was"),
        pytest.param("both", [100, 120, 109], [None, "opened", "cleared"], id="back near where it was"),
        pytest.param("both", [100, 120, 150], [None, "opened", "opened"], id="a further jump is a further alert"),
        pytest.param("both", [100, 120, 100], [None, "opened", "opened"], id="back by a jump of its own"),
        pytest.param("up", [100, 120, 100], [None, "opened", "cleared"], id="back down, only up is wanted"),
    ],
)
def test_a_change_against_the_previous_price(direction, amounts, expected):
    assert prices(replace(CHANGE, direction=direction), amounts) == expected


def test_the_end_of_a_change_knows_its_hysteresis_in_points():
    rule = replace(CHANGE, hysteresis=300)
    assert prices(rule, [100, 112, 107.01]) == [None, "opened", None]
    assert prices(rule, [100, 112, 107]) == [None, "opened", "cleared"]


@pytest.mark.parametrize(
    ("amounts", "expected"),
    [
        pytest.param([105, 110], [None, "opened"], id="creeping up to exactly 10 %"),
        pytest.param([110, 130, 109.99], ["opened", None, "cleared"], id="one alert until it is back"),
        pytest.param([110, 90], ["opened", "opened"], id="from far above to far below"),
    ],
)
def test_a_change_against_a_baseline(amounts, expected):
    assert prices(BASELINE, amounts, state=State(baseline=yuan(100))) == expected


def test_without_a_baseline_nothing_can_be_told():
    assert prices(BASELINE, [100, 200]) == [None, None]


def test_readings_before_the_baseline_are_not_judged():
    rule = replace(BASELINE, since_us=12 * MINUTE)
    assert prices(rule, [150, 151, 152], state=State(baseline=yuan(100))) == [None, None, "opened"]


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        pytest.param([], None, id="nothing known"),
        pytest.param([(0, 5)], 5, id="one price"),
        pytest.param([(0, 5), (9, 100)], 5, id="a minute counts for a minute"),
        pytest.param([(0, 5), (5, 9)], 5, id="of two middle ones the lower"),
        pytest.param([(0, None), (9, 7)], 7, id="what was not known has no weight"),
        pytest.param([(-50, 5), (4, 9)], 9, id="what was before the window has none"),
        pytest.param([(-50, 5), (-20, 9)], 9, id="in force at the beginning"),
        pytest.param([(0, 1), (3, 2), (6, 3)], 2, id="three prices"),
        pytest.param([(0, 1), (10, 50)], 1, id="what begins at the end has none"),
    ],
)
def test_the_median_is_weighted_by_time(history, expected):
    assert median(history, 0, 10) == expected


def test_a_change_against_the_median_of_days():
    told = prices(MEDIAN, [100, 100, 109, 110], every=DAY)
    assert told == [None, None, None, "opened"]


def test_what_became_the_rule_is_over_when_the_price_moves_again():
    # 120 on the fourth day is far above 100; after eight days it is what the price is.
    told = prices(MEDIAN, [100, 100, 100, 120, 120, 120, 120, 120, 121, 150], every=DAY)
    assert told[3] == "opened"
    assert told[4:8] == [None] * 4
    assert told[8] == "cleared"
    assert told[9] == "opened"


def test_a_jump_after_the_last_one_became_the_rule_is_a_new_alert():
    assert prices(MEDIAN, [100, 100, 100, 120, 120, 120, 120, 150], every=DAY)[-1] == "opened"


@pytest.mark.parametrize(
    ("amounts", "expected"),
    [
        pytest.param([100, 119.99], [None, None], id="less apart"),
        pytest.param([100, 120], [None, "opened"], id="exactly 20 % apart"),
        pytest.param([120, 110, 100], [None, None, "opened"], id="downwards, in steps"),
        pytest.param([100, 120, 100], [None, "opened", None], id="one alert while it swings"),
        pytest.param([100, 120, 120, 120, 120, 119], [None, "opened", None, None, None, "cleared"], id="days later"),
    ],
)
def test_swings_are_the_highest_against_the_lowest_price_of_days(amounts, expected):
    assert prices(SWINGS, amounts, every=DAY) == expected


@pytest.mark.parametrize(
    ("rule", "values", "expected"),
    [
        pytest.param(STOCK, [6, 5], [None, "opened"], id="at the limit"),
        pytest.param(STOCK, [5, 4, 0], ["opened", None, None], id="already so at the first reading"),
        pytest.param(STOCK, [5, 6], ["opened", "cleared"], id="above it"),
        pytest.param(STOCK, [None], [None], id="not known"),
        pytest.param(STOCK, [4, None, 4], ["opened", None, None], id="unknown between"),
        pytest.param(replace(STOCK, hysteresis=300), [5, 7, 8], ["opened", None, "cleared"], id="back by 3 units"),
        pytest.param(replace(STOCK, stock=0), [1, 0], [None, "opened"], id="a limit of 0"),
        pytest.param(SOLD_OUT, [3, 0, 0, 1], [None, "opened", None, "cleared"], id="sold out"),
        pytest.param(SOLD_OUT, [0], ["opened"], id="sold out already"),
        pytest.param(SOLD_OUT, [3, None, None], [None, None, None], id="unknown is not sold out"),
        pytest.param(RESTOCKED, [0, 4], [None, "opened"], id="restocked"),
        pytest.param(RESTOCKED, [0, None, 4], [None, None, "opened"], id="restocked while not known"),
        pytest.param(RESTOCKED, [4], [None], id="never seen sold out"),
        pytest.param(RESTOCKED, [None, 4], [None, None], id="unknown is not sold out before"),
        pytest.param(RESTOCKED, [0, 4, 9, 0, 3], [None, "opened", None, "cleared", "opened"], id="each time"),
        pytest.param(OFF_SHELF, [0, 1, 1, None, 0], [None, "opened", None, None, "cleared"], id="off the shelf"),
    ],
)
def test_stock_and_shelf(rule, values, expected):
    assert moves(rule, values) == expected


@pytest.mark.parametrize(
    ("rule", "stock", "shelf", "expected"),
    [
        pytest.param(SOLD_OUT, 0, "sold_out", 0, id="sold out"),
        pytest.param(SOLD_OUT, None, "sold_out", 0, id="sold out, stock not told"),
        pytest.param(SOLD_OUT, 0, "on_shelf", 0, id="on the shelf with nothing left"),
        pytest.param(SOLD_OUT, 4, "on_shelf", 4, id="orderable"),
        pytest.param(SOLD_OUT, 4, "sold_out", None, id="a contradiction"),
        pytest.param(SOLD_OUT, None, "on_shelf", None, id="on the shelf, stock not told"),
        pytest.param(SOLD_OUT, 0, "off_shelf", None, id="taken off the shelf"),
        pytest.param(SOLD_OUT, 0, "unknown", None, id="shelf state not told"),
        pytest.param(RESTOCKED, 0, "off_shelf", 0, id="nothing left, off the shelf"),
        pytest.param(RESTOCKED, 4, "on_shelf", 4, id="some left"),
        pytest.param(RESTOCKED, 4, "sold_out", None, id="again a contradiction"),
        pytest.param(OFF_SHELF, 4, "off_shelf", 1, id="off"),
        pytest.param(OFF_SHELF, 0, "sold_out", 0, id="sold out is shown"),
        pytest.param(OFF_SHELF, 4, "unknown", None, id="not told"),
        pytest.param(STOCK, 4, "unknown", 4, id="stock stands for itself"),
    ],
)
def test_what_a_reading_tells_a_rule(rule, stock, shelf, expected):
    assert value_of(rule, yuan(1), stock, shelf) == expected


def test_a_rule_that_is_new_judges_a_value_that_did_not_change():
    before = State(last=yuan(120), baseline=yuan(100))
    assert step(BASELINE, before, yuan(120), DAY)[1] is None
    _after, crossing = step(BASELINE, before, yuan(120), DAY, is_first=True)
    assert crossing is not None
    assert (crossing.move, crossing.old, crossing.new) == (Move.OPENED, yuan(100), yuan(120))


def test_the_same_reading_twice_changes_nothing():
    for rule, values in ((RANGE, [250, 199]), (CHANGE, [100, 120]), (SWINGS, [100, 130])):
        assert prices(rule, [*values, values[-1]])[-1] is None


@given(
    rule=st.sampled_from(
        [
            RANGE,
            replace(RANGE, low=None),
            replace(RANGE, high=None),
            STOCK,
            replace(STOCK, stock=100),
            SOLD_OUT,
            OFF_SHELF,
        ]
    ),
    data=st.data(),
)
def test_a_calm_value_is_one_that_opens_nothing_and_is_not_near(rule, data):
    values = {"list_price": st.integers(yuan(150), yuan(350)), "stock": st.integers(0, 130)}[rule.fact]
    value = data.draw(st.integers(0, 1) if rule.kind == Kind.OFF_SHELF else values)
    calm = calm_range(rule)
    assert calm is not None
    opens = step(rule, State(), value, DAY)[1] is not None
    assert (calm[0] <= value <= calm[1]) == (not opens and not is_near(rule, value))


@given(
    rule=st.sampled_from([MEDIAN, SWINGS]),
    moments=st.lists(st.integers(0, 8), max_size=6, unique=True).map(sorted),
    data=st.data(),
    value=st.integers(1, 400),
)
def test_what_the_lowest_and_highest_price_settle_needs_no_history(rule, moments, value, data):
    history = [(at * DAY, data.draw(st.none() | st.integers(1, 400))) for at in moments]
    known = [price for _at, price in history if price is not None]
    low, high = (min(known), max(known)) if known else (None, None)
    if is_calm_among(rule, value, low, high):
        assert step(rule, State(), value, 8 * DAY, is_first=True, history=history)[1] is None


@pytest.mark.parametrize(
    ("rule", "value", "expected"),
    [
        pytest.param(RANGE, yuan(210), True, id="5 % above the lowest"),
        pytest.param(RANGE, yuan(210.01), False, id="further"),
        pytest.param(RANGE, yuan(285), True, id="5 % below the highest"),
        pytest.param(RANGE, yuan(195), True, id="just crossed"),
        pytest.param(STOCK, 7, True, id="2 units"),
        pytest.param(STOCK, 8, False, id="3 units of 5"),
        pytest.param(replace(STOCK, stock=100), 120, True, id="20 %"),
        pytest.param(replace(STOCK, stock=100), 121, False, id="more"),
        pytest.param(CHANGE, yuan(100), False, id="a change has no level"),
    ],
)
def test_near_a_limit(rule, value, expected):
    assert is_near(rule, value) == expected
