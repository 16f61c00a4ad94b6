"""What a control request says, read or refused."""

from datetime import datetime
from typing import Any

import orjson

from integrations.simulator.routing import Request


class ControlError(ValueError):
    """A control request that cannot be carried out; its text is the answer."""


def text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise ControlError(f"{name} is a text")
    return value


def texts(body: dict[str, Any], name: str, most: int = 100) -> list[str]:
    value = body.get(name)
    if not isinstance(value, list) or len(value) > most or not all(isinstance(entry, str) for entry in value):
        raise ControlError(f"{name} is a list of at most {most} texts")
    return value


def read_body(request: Request) -> dict[str, Any]:
    if not request.body:
        return {}
    try:
        body = orjson.loads(request.body)
    except ValueError as error:
        raise ControlError("the body is not JSON") from error
    if not isinstance(body, dict):
        raise ControlError("the body is not a JSON object")
    return body


def only(body: dict[str, Any], known: set[str] | frozenset[str]) -> None:
    unknown = set(body) - known
    if unknown:
        raise ControlError(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}")


def mapping(body: dict[str, Any], name: str) -> dict[str, Any]:
    value = body[name]
    if not isinstance(value, dict):
        raise ControlError(f"{name} is an object")
    return value


def number(body: dict[str, Any], name: str) -> float | None:
    value = body.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value < 0):
        raise ControlError(f"{name} is a number, 0 or above")
    return value


def identity(value: object) -> int:
    digits = str(value)
    if not (digits.isascii() and digits.isdigit()):
        raise ControlError(f"not an id: {value!r}")
    return int(digits)


def moment(value: object) -> float:
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise ControlError(f"not an ISO time: {value!r}") from error
    if found.tzinfo is None:
        raise ControlError("the time needs an offset, as in 2026-01-01T00:00:00+00:00")
    return found.timestamp()
