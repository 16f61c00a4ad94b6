"""The @idempotent directive: what was done under a key is not done again."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from graphql import GraphQLResolveInfo, get_directive_values

from integrations.simulator.shopify.calls import Call, Node, bad_request
from integrations.simulator.shopify.schema import FIRST_STRICT

RUNNING, DONE, FAILED = "running", "done", "failed"
CONCURRENT = "IDEMPOTENCY_CONCURRENT_REQUEST"
MISMATCH = "IDEMPOTENCY_KEY_PARAMETER_MISMATCH"
PREVIOUS_FAILED = "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"
MESSAGES = {
    CONCURRENT: "This request is currently in progress, please try again.",
    MISMATCH: "The idempotency key was already used with different parameters.",
    PREVIOUS_FAILED: "The previous attempt with this idempotency key failed. Use a new key.",
}


@dataclass(frozen=True, slots=True)
class Change:
    name: str
    delta: int
    sku_id: int
    location: int
    ledger_document_uri: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """One adjustment of stock as it was made."""

    number: int
    created_at: int
    reason: str
    reference_document_uri: str | None
    changes: tuple[Change, ...]


@dataclass(slots=True)
class Outcome:
    """What a write of stock came to, in facts that another call can answer with again."""

    group: Group | None = None
    errors: list[Node] = field(default_factory=list)
    level: tuple[int, int] | None = None  # variant and location, of an activation


@dataclass(slots=True)
class _Record:
    fingerprint: bytes
    state: str
    outcome: Outcome | None = None


class Idempotency:
    """The keys seen, by application and shop."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str, str], _Record] = {}

    def clear(self) -> None:
        self._records.clear()

    def put(self, client_id: str, shop: str, key: str, state: str) -> None:
        """Make a key one whose call is still running, or failed."""
        self._records[client_id, shop, key] = _Record(b"", state)

    def once(
        self, call: Call, info: GraphQLResolveInfo, arguments: dict[str, Any], perform: Callable[[], Outcome]
    ) -> Outcome:
        """The outcome of the first call with this key. Raises GraphQLError where a key is demanded and missing."""
        directive = info.schema.get_directive("idempotent")
        values = None
        if directive is not None:
            values = get_directive_values(directive, info.field_nodes[0], info.variable_values)
        if values is None:
            if call.version >= FIRST_STRICT:
                raise bad_request("The @idempotent directive is required for this mutation but was not provided.")
            return perform()
        key = values["key"]
        if not key.strip():
            raise bad_request("The idempotency key must not be blank.")
        place = call.app.client_id, call.shop.key, key
        fingerprint = orjson.dumps([info.field_name, arguments], option=orjson.OPT_SORT_KEYS, default=str)
        found = self._records.get(place)
        if found is not None:
            if found.state == RUNNING:
                return _refused(CONCURRENT)
            if found.state == FAILED:
                return _refused(PREVIOUS_FAILED)
            if found.fingerprint != fingerprint:
                return _refused(MISMATCH)
            return found.outcome or Outcome()
        outcome = perform()
        state = FAILED if outcome.errors else DONE
        self._records[place] = _Record(fingerprint, state, outcome)
        return outcome


def _refused(code: str) -> Outcome:
    return Outcome(errors=[{"field": None, "message": MESSAGES[code], "code": code}])
