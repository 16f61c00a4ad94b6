"""The `query` argument of lists: fields with comparisons, AND, OR, NOT and brackets.

As on the platform, a field that a list does not know is left out of the search with a warning, and does not fail it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

T = TypeVar("T")

TOKEN = re.compile(
    r"""\s*(?:
        (?P<bracket>[()])
      | (?P<field>-?[A-Za-z_]+):(?P<operator><=|>=|<|>)?(?:
            '(?P<single>(?:[^'\\]|\\.)*)' | "(?P<double>(?:[^"\\]|\\.)*)" | (?P<bare>(?:[^\s()\\]|\\.)+))
      | '(?P<quoted1>(?:[^'\\]|\\.)*)' | "(?P<quoted2>(?:[^"\\]|\\.)*)"
      | (?P<word>(?:[^\s()\\]|\\.)+)
    )""",
    re.VERBOSE,
)
TEXT, NUMBER, MOMENT, FLAG, NAME = "text", "number", "moment", "flag", "name"


@dataclass(frozen=True)
class Field(Generic[T]):
    """A fact that can be searched for: its kind, and how it is read (a moment in epoch seconds)."""

    kind: str
    read: Callable[[T], Any]


@dataclass
class Search(Generic[T]):
    """A parsed query. `warnings` tells which fields were left out."""

    matches: Callable[[T], bool]
    warnings: list[dict[str, str]]


def parse(query: str | None, fields: Mapping[str, Field[T]], texts: Callable[[T], str]) -> Search[T]:
    """texts: what a word without a field is looked for in."""
    reader = _Reader(query or "", fields, texts)
    return Search(reader.read(), reader.warnings)


class _Reader(Generic[T]):
    def __init__(self, query: str, fields: Mapping[str, Field[T]], texts: Callable[[T], str]) -> None:
        self._tokens = [match for match in TOKEN.finditer(query) if match.group().strip()]
        self._fields, self._texts = fields, texts
        self._at = 0
        self.warnings: list[dict[str, str]] = []

    def read(self) -> Callable[[T], bool]:
        return self._any() if self._tokens else lambda _: True

    def _next(self) -> "re.Match[str] | None":
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _is_word(self, word: str) -> bool:
        token = self._next()
        return token is not None and token["word"] == word

    def _any(self) -> Callable[[T], bool]:
        parts = [self._all()]
        while self._is_word("OR"):
            self._at += 1
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else lambda thing: any(part(thing) for part in parts)

    def _all(self) -> Callable[[T], bool]:
        parts: list[Callable[[T], bool]] = []
        while (token := self._next()) is not None and token["bracket"] != ")" and not self._is_word("OR"):
            if self._is_word("AND"):
                self._at += 1
                continue
            parts.append(self._one())
        return lambda thing: all(part(thing) for part in parts)

    def _one(self) -> Callable[[T], bool]:
        token = self._next()
        if token is None:
            return lambda _: True
        self._at += 1
        if token["word"] == "NOT":
            inner = self._one()
            return lambda thing: not inner(thing)
        if token["bracket"] == "(":
            inner = self._any()
            if (closing := self._next()) is not None and closing["bracket"] == ")":
                self._at += 1
            return inner
        if token["field"] is not None:
            return self._field(token)
        word = (
            _unescaped(next(filter(None, (token["quoted1"], token["quoted2"], token["word"])), "")).rstrip("*").lower()
        )
        return lambda thing: word in self._texts(thing).lower()

    def _field(self, token: "re.Match[str]") -> Callable[[T], bool]:
        name = token["field"]
        is_negated, name = name.startswith("-"), name.lstrip("-").lower()
        bare = token["bare"]
        value = _unescaped(next(text for text in (token["single"], token["double"], bare) if text is not None))
        found = self._fields.get(name)
        if found is None:
            return self._ignored(name, "Invalid search field for this query.")
        try:
            test = _test(found.kind, token["operator"] or "", value, is_bare=bare is not None)
        except ValueError:
            return self._ignored(name, f"Input `{value}` is not valid for this field.")
        read = found.read
        return (lambda thing: not test(read(thing))) if is_negated else (lambda thing: test(read(thing)))

    def _ignored(self, name: str, message: str) -> Callable[[T], bool]:
        self.warnings.append({"field": name, "message": message})
        return lambda _: True


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _test(kind: str, operator: str, value: str, *, is_bare: bool) -> Callable[[Any], bool]:
    """Raises ValueError for a value that the kind of field does not have."""
    if kind in (TEXT, NAME):
        wanted = value.lower()
        if kind == NAME:
            names = set(wanted.split(","))
            return lambda fact: fact.lower() in names
        if wanted == "*" and is_bare:
            return bool
        if wanted.endswith("*") and is_bare:
            return lambda fact: fact.lower().startswith(wanted[:-1])
        return lambda fact: fact.lower() == wanted
    if kind == FLAG:
        if value not in ("true", "false"):
            raise ValueError(value)
        return lambda fact: fact is (value == "true")
    if kind == NUMBER and not operator and "," in value:
        numbers = {int(part) for part in value.split(",")}
        return lambda fact: fact in numbers
    bound = _moment(value) if kind == MOMENT else int(value.rpartition("/")[2])
    compare: dict[str, Callable[[Any], bool]] = {
        "": lambda fact: fact is not None and fact == bound,
        "<": lambda fact: fact is not None and fact < bound,
        "<=": lambda fact: fact is not None and fact <= bound,
        ">": lambda fact: fact is not None and fact > bound,
        ">=": lambda fact: fact is not None and fact >= bound,
    }
    if kind == MOMENT and not operator and len(value) == 10:  # a date stands for its whole day
        return lambda fact: fact is not None and bound <= fact < bound + 86_400
    return compare[operator]


def _moment(value: str) -> float:
    found = datetime.fromisoformat(value)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
