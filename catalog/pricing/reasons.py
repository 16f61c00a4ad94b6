"""Why a promotion is not used, a price cannot be told, or a request is refused: codes that others put into words.

A code may have a parameter after a colon: the broken field, the promotion that it conflicts with, the line whose price
is not known.
"""

from enum import StrEnum


class NotUsed(StrEnum):
    """In the order in which they are asked: the first that fits is the reason."""

    INVALID = "invalid"  # with the field
    CURRENCY = "currency"
    PAUSED = "paused"
    NOT_STARTED = "not_started"
    EXPIRED = "expired"
    AUDIENCE = "audience"
    USED_UP = "used_up"
    BUYER_LIMIT = "buyer_limit"
    IN_LIVE_PRICE = "in_live_price"
    NO_SHIPPING = "no_shipping"
    OUT_OF_SCOPE = "out_of_scope"
    OTHER_LINES = "other_lines"
    # From here on it was a candidate.
    CONFLICT = "conflict"  # with the used promotion
    LINE_TAKEN = "line_taken"
    ABOVE_MAXIMUM = "above_maximum"
    BELOW_QUANTITY = "below_quantity"
    BELOW_THRESHOLD = "below_threshold"
    NO_EFFECT = "no_effect"
    NO_GAIN = "no_gain"


class CannotTell(StrEnum):
    PRICE = "price"  # with the line: its price is not known
    UNKNOWN = "unknown"  # with the promotion: a fact of it is not known
    BASE = "base"  # with the promotion: a price that it counts on is not known
    BUDGET = "budget"  # too many ways to combine the promotions
    NO_PLAN = "no_plan"  # the automatic promotions cannot all be satisfied


class Refusal(StrEnum):
    UNKNOWN_CURRENCY = "unknown_currency"
    BASIS = "basis"
    TIME_WITHOUT_OFFSET = "time_without_offset"
    NO_LINES = "no_lines"
    ID = "id"
    REPEATED_ID = "repeated_id"
    QUANTITY = "quantity"
    MINIMUM_ORDER = "minimum_order"
    PRICE = "price"
    NEGATIVE_PRICE = "negative_price"
    BELOW_MINIMUM_ORDER = "below_minimum_order"
    RULESET = "ruleset"
    SETTINGS = "settings"  # with the setting, where it is one
    REQUEST = "request"
    LINES = "lines"
    PROMOTIONS = "promotions"
    BUYER = "buyer"


def split(reason: str) -> tuple[str, str]:
    """The code and its parameter, "" where it has none."""
    code, _, parameter = reason.partition(":")
    return code, parameter
