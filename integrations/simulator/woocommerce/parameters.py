"""What a route takes: the checks WordPress makes of each parameter before anything else looks at it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from integrations.simulator.woocommerce import signing
from integrations.simulator.woocommerce.errors import invalid, missing
from integrations.simulator.world import amount

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off", ""})
INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
QUERY_DATE = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}(?::?\d{2})?)?")
DATE = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(?:\.\d+)?(Z|[+-]\d{2}:?\d{2})?)?")
FIRST_YEAR, LAST_YEAR = 1971, 9998
LARGEST = 2**53  # of any number we keep


class Wrong(Exception):
    """A value that breaks a rule: the rule's code, and the sentence."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(code, sentence)
        self.code = code
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter, of a type that READERS knows."""

    type: str
    choices: tuple[str, ...] = ()
    low: int | None = None
    high: int | None = None
    default: Any = None
    required: bool = False
    nullable: bool = False  # an explicit null means something; elsewhere it is as good as absent

    def read(self, name: str, value: Any) -> Any:
        """The value as the shop goes on with it. Raises Wrong."""
        value = READERS[self.type](name, value)
        if self.choices and value not in self.choices:
            raise Wrong("rest_not_in_enum", f"{name} is not one of {_listed(self.choices)}.")
        if self.low is not None and self.high is not None and not self.low <= value <= self.high:
            sentence = f"{name} must be between {self.low} (inclusive) and {self.high} (inclusive)"
            raise Wrong("rest_out_of_bounds", sentence)
        if self.low is not None and value < self.low:
            raise Wrong("rest_out_of_bounds", f"{name} must be greater than or equal to {self.low}")
        return value


Schema = Mapping[str, Parameter]


def check(schema: Schema, sent: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of `schema` that were sent or have a default; what a route does not know is passed over.

    Raises Refusal that names every missing parameter, or else every wrong one.
    """
    absent = [name for name, parameter in schema.items() if parameter.required and sent.get(name) is None]
    if absent:
        raise missing(absent)
    read: dict[str, Any] = {}
    wrong: dict[str, tuple[str, str]] = {}
    for name, parameter in schema.items():
        value = sent.get(name)
        if value is None:
            if name in sent and parameter.nullable:
                read[name] = None
            elif parameter.default is not None:
                read[name] = parameter.default
            continue
        try:
            read[name] = parameter.read(name, value)
        except Wrong as problem:
            wrong[name] = (problem.code, problem.sentence)
    if wrong:
        raise invalid(wrong)
    return read


def instant(text: str, zone: tzinfo) -> int:
    """Epoch seconds of a date that was checked; one without an offset is taken to be in `zone`."""
    moment = datetime.fromisoformat(_iso(text))
    return int((moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).timestamp())


def local(seconds: int | None, zone: ZoneInfo) -> str | None:
    """A date as answers show it: without offset, in the shop's zone."""
    return None if seconds is None else datetime.fromtimestamp(seconds, zone).strftime("%Y-%m-%dT%H:%M:%S")


def gmt(seconds: int | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def cents(name: str, text: str) -> int | None:
    """A price in cents, None for no price. Raises Refusal for what a shop of two decimals cannot hold."""
    # The shop keeps the digits of whatever it is sent; "free" is no price at all.
    kept = re.sub(r"[^0-9.-]", "", text)
    try:
        value = Decimal(kept) * 100 if kept else None
    except InvalidOperation:
        value = None
    if value is None:
        return None
    if value != int(value) or abs(value) > LARGEST:
        raise invalid({name: ("rest_invalid_pattern", f"{name} has more digits than this shop holds.")})
    return int(value)


def whole(entry: Mapping[str, Any], name: str, default: int = 0) -> int:
    """A number inside a list of objects, which is not looked at before. Raises Refusal."""
    value = entry.get(name)
    if value is None or value == "":
        return default
    try:
        return _integer(name, value)
    except Wrong as problem:
        raise invalid({name: (problem.code, problem.sentence)}) from problem


def price_text(value: int | None) -> str:
    """'24.90'; '' where there is no price."""
    return "" if value is None else amount(value)


def _iso(text: str) -> str:
    match = DATE.fullmatch(text)
    if match is None:
        raise ValueError(text)
    day, clock, offset = match.groups()
    return f"{day}T{clock or '00:00:00'}{'+00:00' if offset == 'Z' else offset or ''}"


def _not_of(name: str, kind: str) -> Wrong:
    return Wrong("rest_invalid_type", f"{name} is not of type {kind}.")


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _not_of(name, "string")
    return value


def _integer(name: str, value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str) and INTEGER.fullmatch(value.strip()):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > LARGEST:
        raise _not_of(name, "integer")
    return value


def _number(name: str, value: Any) -> Decimal:
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise _not_of(name, "number")
        number = Decimal(str(value))
    except InvalidOperation as error:
        raise _not_of(name, "number") from error
    if not number.is_finite() or abs(number) > LARGEST:
        raise _not_of(name, "number")
    return number


def _boolean(name: str, value: Any) -> bool:
    if isinstance(value, str) and value.lower() in TRUE | FALSE:
        return value.lower() in TRUE
    if value in (0, 1) and not isinstance(value, float):
        return bool(value)
    raise _not_of(name, "boolean")


def _managed(name: str, value: Any) -> bool | str:
    """manage_stock of a variation: what a variation inherits is not of its own to set."""
    return "parent" if value == "parent" else _boolean(name, value)


def _array(name: str, value: Any) -> list[Any]:
    if isinstance(value, dict) and all(key.isdigit() for key in value):
        return list(value.values())
    if isinstance(value, str):
        return list(signing.values(value))
    if not isinstance(value, list):
        raise _not_of(name, "array")
    return value


def _ids(name: str, value: Any) -> list[int]:
    if isinstance(value, int) and not isinstance(value, bool):
        value = [value]
    return [_integer(f"{name}[{index}]", entry) for index, entry in enumerate(_array(name, value))]


def _objects(name: str, value: Any) -> list[dict[str, Any]]:
    entries = _array(name, value)
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise _not_of(f"{name}[{index}]", "object")
    return entries


def _date(name: str, value: Any) -> str:
    text = _text(name, value)
    if not QUERY_DATE.fullmatch(text):
        raise Wrong("rest_invalid_date", "Invalid date.")
    return _any_date(name, text)


def _any_date(name: str, value: Any) -> str:
    text = _text(name, value)
    try:
        year = datetime.fromisoformat(_iso(text)).year
    except ValueError as error:
        raise Wrong("rest_invalid_date", "Invalid date.") from error
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise Wrong("rest_invalid_date", "Invalid date.")
    return text


def _optional_date(name: str, value: Any) -> str:
    """A date, or '' which takes one away."""
    return "" if value == "" else _any_date(name, value)


def _listed(choices: tuple[str, ...]) -> str:
    return choices[0] if len(choices) == 1 else f"{', '.join(choices[:-1])}, and {choices[-1]}"


READERS = {
    "string": _text,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "managed": _managed,
    "array": _array,
    "ids": _ids,
    "objects": _objects,
    "date-time": _date,
    "optional date-time": _optional_date,
}

TEXT = Parameter("string")
WHOLE = Parameter("integer")
FLAG = Parameter("boolean")
IDS = Parameter("ids")
MOMENT = Parameter("date-time")
COLLECTION: dict[str, Parameter] = {
    "context": Parameter("string", ("view", "edit"), default="view"),
    "page": Parameter("integer", low=1, default=1),
    "per_page": Parameter("integer", low=1, high=100, default=10),
    "offset": Parameter("integer", low=0),
    "order": Parameter("string", ("asc", "desc"), default="desc"),
    "search": TEXT,
    "include": IDS,
    "exclude": IDS,
    "after": MOMENT,
    "before": MOMENT,
    "modified_after": MOMENT,
    "modified_before": MOMENT,
    "dates_are_gmt": FLAG,
}
