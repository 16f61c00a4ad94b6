"""Reading a message's JSON part by part."""

from typing import Any


class Missing(Exception):
    """A part that is absent, empty or of another type; the text is its dotted path."""


def part(body: dict[str, Any], name: str) -> dict[str, Any]:
    """A JSON object. Raises Missing."""
    value = body.get(name)
    if not isinstance(value, dict):
        raise Missing(name)
    return value


def string(body: dict[str, Any], name: str) -> str:
    """A string that is not empty. Raises Missing."""
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise Missing(name)
    return value


def optional_string(body: dict[str, Any], name: str) -> str:
    """A string, "" where it is absent. Raises Missing for another type."""
    return string(body, name) if body.get(name) not in (None, "") else ""


def objects(body: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """A list of at least one JSON object. Raises Missing."""
    value = body.get(name)
    if not isinstance(value, list) or not value or not all(isinstance(entry, dict) for entry in value):
        raise Missing(name)
    return value


def strings(body: dict[str, Any], name: str) -> list[str]:
    """A list of strings, empty where it is absent. Raises Missing for anything else."""
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise Missing(name)
    return value
