"""Whether a reading crosses a limit: one rule and one listing, reading by reading. Pure.

Amounts are whole ten-thousandths of their unit, percentages and hysteresis whole hundredths, times microseconds since
1970, so that all of it is exact. The same `step` judges readings as they are stored and replays them for a preview.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import NamedTuple

from catalog.facts import ShelfState


class Kind(StrEnum):
    PRICE_RANGE = "price_range"
    PRICE_CHANGE = "price_change"
    VOLATILITY = "volatility"
    STOCK_AT_MOST = "stock_at_most"
    SOLD_OUT = "sold_out"
    RESTOCKED = "restocked"
    OFF_SHELF = "off_shelf"
    BLIND = "blind"
    AUTHORISATION = "authorisation"


class Reference(StrEnum):
    PREVIOUS = "previous"
    BASELINE = "baseline"
    MEDIAN = "median"


# The fields of a threshold that a kind uses, besides its subject; "ownership" only where listings are its subject.
FIELDS: dict[str, frozenset[str]] = {
    Kind.PRICE_RANGE: frozenset({"ownership", "price", "currency", "min_price", "max_price", "hysteresis"}),
    Kind.PRICE_CHANGE: frozenset(
        {"ownership", "price", "percent", "reference", "direction", "days", "baseline_at", "hysteresis"}
    ),
    Kind.VOLATILITY: frozenset({"ownership", "price", "percent", "days", "hysteresis"}),
    Kind.STOCK_AT_MOST: frozenset({"ownership", "stock", "hysteresis"}),
    Kind.SOLD_OUT: frozenset({"ownership"}),
    Kind.RESTOCKED: frozenset({"ownership"}),
    Kind.OFF_SHELF: frozenset({"ownership"}),
    Kind.BLIND: frozenset({"ownership", "intervals"}),
    Kind.AUTHORISATION: frozenset({"days"}),
}
# A reading judges these; the others are judged by the clock.
READING_KINDS = frozenset(FIELDS) - {Kind.BLIND, Kind.AUTHORISATION}
# A value this close to its limit is read more often: percent of a price limit; percent of a stock limit, or units.
NEAR_PRICE_PERCENT = 5
NEAR_STOCK_PERCENT = 20
NEAR_STOCK_UNITS = 2

_WHOLE = 10_000  # 100 % in hundredths of a percent
_DAY_US = 86_400_000_000

# Change points of a price, oldest first: from when on it was what; None while it was not known.
History = Sequence[tuple[int, int | None]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A threshold as numbers. Which fields count depends on the kind."""

    kind: str
    fact: str = "list_price"  # "stock" where the kind is not about a price
    low: int | None = None  # the limits themselves are within the range
    high: int | None = None
    percent: int = 0  # a change of exactly this much is one
    reference: str = ""
    direction: str = "both"
    days: int = 0
    since_us: int = 0  # readings before it are not judged
    stock: int = 0  # units; exactly this many are too few
    hysteresis: int = 0  # hundredths of a percent of a price limit, of a percentage point, or of a unit of stock
    cooldown_us: int = 0

    @property
    def has_window(self) -> bool:
        """Whether it looks at the prices of the last days."""
        return self.kind == Kind.VOLATILITY or (self.kind == Kind.PRICE_CHANGE and self.reference == Reference.MEDIAN)

    @property
    def has_baseline(self) -> bool:
        return self.kind == Kind.PRICE_CHANGE and self.reference == Reference.BASELINE

    @property
    def is_level(self) -> bool:
        """Whether each reading tells by itself on which side of the limit it is; the others are judged when what they
        look at changes."""
        return self.kind in _LEVELS

    @property
    def window_us(self) -> int:
        return self.days * _DAY_US


class State(NamedTuple):
    """What is known of a rule and a listing before a reading."""

    last: int | None = None  # the last known value, however long ago
    is_in_force: bool = False
    side: int = 0  # of the last crossing: 1 above, -1 below, 0 where there is but one limit
    compared_with: int | None = None  # of the crossing in force
    crossed_us: int | None = None  # the last crossing, in force or over
    baseline: int | None = None


class Move(StrEnum):
    OPENED = "opened"  # a new alert; what was in force before is over
    AGAIN = "again"  # within the cooldown of the last crossing: the same alert once more
    CLEARED = "cleared"


class Crossing(NamedTuple):
    move: Move
    old: int | None  # before; what a change is compared with; the lowest price of swings
    new: int  # the highest price of swings
    limit: int | None


class _Verdict(NamedTuple):
    is_over: bool  # the limit
    is_back: bool  # inside the limit by at least the hysteresis
    old: int | None = None
    new: int = 0
    limit: int | None = None
    side: int = 0


def value_of(rule: Rule, price: int | None, stock: int | None, shelf_state: str) -> int | None:
    """What the rule looks at in a reading; None when the reading cannot tell.

    For "sold out" and "back in stock" it is the units that can be ordered, for "off shelf" 1 or 0.
    """
    match rule.kind:
        case Kind.STOCK_AT_MOST:
            return stock
        case Kind.SOLD_OUT:
            # Off the shelf nobody can order, sold out or not.
            is_shown = shelf_state in (ShelfState.ON_SHELF, ShelfState.SOLD_OUT)
            return _orderable(stock, shelf_state) if is_shown else None
        case Kind.RESTOCKED:
            return _orderable(stock, shelf_state)
        case Kind.OFF_SHELF:
            return None if shelf_state == ShelfState.UNKNOWN else int(shelf_state == ShelfState.OFF_SHELF)
        case _:
            return price


def _orderable(stock: int | None, shelf_state: str) -> int | None:
    if shelf_state == ShelfState.SOLD_OUT:
        return None if stock else 0  # sold out with stock left contradicts itself
    return stock


def step(
    rule: Rule, state: State, value: int | None, at_us: int, *, is_first: bool = False, history: History = ()
) -> tuple[State, Crossing | None]:
    """The state after a good reading with this value, and what it crossed.

    A value that is not known changes nothing. `is_first`: the first reading that the rule judges, which fires where
    its condition is true already. `history` is what the price was before the reading, for rules that look at days; of
    points from the reading on nothing is made.
    """
    if value is None:
        return state, None
    after = State(value, *state[1:]) if value != state.last else state
    if at_us < rule.since_us or (after is state and not is_first and not rule.is_level):
        return after, None
    found = _JUDGES[rule.kind](rule, state, value, at_us, history)
    in_force = state.is_in_force
    if in_force and rule.has_window and state.last is not None:
        # Days went by since: what was an exception may have become the rule before this reading came.
        before = _JUDGES[rule.kind](rule, state, state.last, at_us, history)
        in_force = not before.is_back
    is_event = rule.kind == Kind.PRICE_CHANGE and rule.reference == Reference.PREVIOUS
    if found.is_over and (not in_force or is_event or found.side != state.side):
        is_again = state.crossed_us is not None and at_us - state.crossed_us < rule.cooldown_us
        if rule.kind == Kind.PRICE_RANGE and found.side != state.side:
            is_again = False  # too high after too low is other news
        move = Move.AGAIN if is_again else Move.OPENED
        after = after._replace(is_in_force=True, side=found.side, compared_with=found.old, crossed_us=at_us)
        return after, Crossing(move, found.old, found.new, found.limit)
    if state.is_in_force and (found.is_back or not in_force):
        after = after._replace(is_in_force=False, compared_with=None)
        return after, Crossing(Move.CLEARED, found.old, found.new, found.limit)
    return after, None


def calm_range(rule: Rule) -> tuple[float, float] | None:
    """The values, inclusive, that with nothing in force open nothing and are not near the limit either.

    None for rules that a value alone does not tell about.
    """
    low, high = -inf, inf
    match rule.kind:
        case Kind.PRICE_RANGE:
            if rule.low is not None:
                low = rule.low + rule.low * NEAR_PRICE_PERCENT // 100 + 1
            if rule.high is not None:
                high = rule.high - rule.high * NEAR_PRICE_PERCENT // 100 - 1
        case Kind.STOCK_AT_MOST:
            low = rule.stock + max(NEAR_STOCK_UNITS, rule.stock * NEAR_STOCK_PERCENT // 100) + 1
        case Kind.SOLD_OUT:
            low = 1
        case Kind.OFF_SHELF:
            low = high = 0
        case _:
            return None
    return low, high


def is_calm_among(rule: Rule, value: int, low: int | None, high: int | None) -> bool:
    """Whether a rule that looks at days opens nothing at this value, whatever their prices, of which `low` and `high`
    are the lowest and the highest; None: none was known. False where it takes the prices themselves to tell."""
    if low is None or high is None:
        return True
    if low <= 0:
        return False
    if rule.kind == Kind.VOLATILITY:
        return (max(high, value) - min(low, value)) * _WHOLE < rule.percent * min(low, value)
    # A median lies between the two, and no price between them is farther from the value than the farther one.
    return abs(value - low) * _WHOLE < rule.percent * low and abs(value - high) * _WHOLE < rule.percent * high


def is_near(rule: Rule, value: int) -> bool:
    """Whether the value may cross the rule's limit soon, or did just now."""
    if rule.kind == Kind.PRICE_RANGE:
        low, high = rule.low, rule.high
        return (low is not None and abs(value - low) * 100 <= low * NEAR_PRICE_PERCENT) or (
            high is not None and abs(value - high) * 100 <= high * NEAR_PRICE_PERCENT
        )
    if rule.kind == Kind.STOCK_AT_MOST:
        away = abs(value - rule.stock)
        return away <= NEAR_STOCK_UNITS or away * 100 <= rule.stock * NEAR_STOCK_PERCENT
    return False


# --- Kinds ----------------------------------------------------------------------------------------------------------


def _price_range(rule: Rule, state: State, value: int, at_us: int, history: History) -> _Verdict:
    low, high, margin = rule.low, rule.high, rule.hysteresis
    is_back = (low is None or value * _WHOLE >= low * (_WHOLE + margin)) and (
        high is None or value * _WHOLE <= high * (_WHOLE - margin)
    )
    if low is not None and value < low:
        return _Verdict(True, False, state.last, value, low, -1)
    if high is not None and value > high:
        return _Verdict(True, False, state.last, value, high, 1)
    return _Verdict(False, is_back, state.last, value)


def _price_change(rule: Rule, state: State, value: int, at_us: int, history: History) -> _Verdict:
    match rule.reference:
        case Reference.BASELINE:
            reference = state.baseline
        case Reference.MEDIAN:
            reference = median(history, at_us - rule.window_us, at_us)
        case _:
            reference = state.last
    over, side = False, 0
    if reference is not None and reference > 0:
        moved = value - reference
        side = 1 if moved > 0 else -1
        is_wanted = rule.direction == "both" or (rule.direction == "up") == (side > 0)
        over = is_wanted and abs(moved) * _WHOLE >= rule.percent * reference
    # After a jump from one price to another, back is near the price before the jump.
    against = state.compared_with if rule.reference == Reference.PREVIOUS else reference
    return _Verdict(over, _is_back(rule, state.side, value, against), reference, value, rule.percent, side)


def _is_back(rule: Rule, side: int, value: int, reference: int | None) -> bool:
    if reference is None or reference <= 0:
        return False
    return _is_inside(rule, side * (value - reference), reference)


def _is_inside(rule: Rule, moved: int, reference: int) -> bool:
    share = moved * _WHOLE
    return share < rule.percent * reference and share <= (rule.percent - rule.hysteresis) * reference


def _volatility(rule: Rule, state: State, value: int, at_us: int, history: History) -> _Verdict:
    prices = [value, *_held(history, at_us - rule.window_us, at_us)]
    low, high = min(prices), max(prices)
    if low <= 0:
        return _Verdict(False, False, low, high, rule.percent)
    is_over = (high - low) * _WHOLE >= rule.percent * low
    return _Verdict(is_over, _is_inside(rule, high - low, low), low, high, rule.percent)


def _stock_at_most(rule: Rule, state: State, value: int, at_us: int, history: History) -> _Verdict:
    above = value - rule.stock
    return _Verdict(above <= 0, above > 0 and above * 100 >= rule.hysteresis, state.last, value, rule.stock)


def _sold_out(rule: Rule, state: State, value: int, at_us: int, history: History) -> _Verdict:
    return _Verdict(value <= 0, value > 0, state.last, value)


def _restocked(rule: Rule, state: State, value: int, at_us: int, history: History) -> _Verdict:
    was_sold_out = state.last is not None and state.last <= 0
    return _Verdict(was_sold_out and value > 0, value <= 0, state.last, value)


def _off_shelf(rule: Rule, state: State, value: int, at_us: int, history: History) -> _Verdict:
    return _Verdict(value == 1, value == 0, state.last, value)


_LEVELS = frozenset({Kind.PRICE_RANGE, Kind.STOCK_AT_MOST, Kind.SOLD_OUT, Kind.OFF_SHELF})
_JUDGES: dict[str, Callable[[Rule, State, int, int, History], _Verdict]] = {
    Kind.PRICE_RANGE: _price_range,
    Kind.PRICE_CHANGE: _price_change,
    Kind.VOLATILITY: _volatility,
    Kind.STOCK_AT_MOST: _stock_at_most,
    Kind.SOLD_OUT: _sold_out,
    Kind.RESTOCKED: _restocked,
    Kind.OFF_SHELF: _off_shelf,
}


# --- Days -----------------------------------------------------------------------------------------------------------


def median(history: History, start_us: int, end_us: int) -> int | None:
    """The price that was not exceeded for at least half of the known time between the two; None when none was known.

    Weighted by time, so that a price that held for a minute counts for a minute. Of two middle ones the lower.
    """
    held = _held(history, start_us, end_us)
    total, passed = sum(held.values()), 0
    for price, length in sorted(held.items()):
        passed += length
        if passed * 2 >= total:
            return price
    return None


def _held(history: History, start_us: int, end_us: int) -> dict[int, int]:
    """The prices that were known between the two, with how long each held; what held for no time is left out."""
    held: dict[int, int] = {}
    until_us = end_us
    for at_us, price in reversed(history):
        if at_us >= until_us:
            continue  # not before the end
        since_us = at_us if at_us > start_us else start_us
        if price is not None and until_us > since_us:
            held[price] = held.get(price, 0) + until_us - since_us
        if at_us <= start_us:
            break
        until_us = at_us
    return held
