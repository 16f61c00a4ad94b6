"""One call as its resolvers see it, and the lists they answer with."""

import base64
import binascii
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

import orjson
from graphql import GraphQLError

from integrations.simulator.faults import Fault
from integrations.simulator.shopify.accounts import Accounts, App, Store, Token
from integrations.simulator.shopify.catalogue import Catalogue
from integrations.simulator.simulation import Simulation
from integrations.simulator.world import Shop, World, amount

MAX_PAGE = 250
MAX_INPUT = 250

T = TypeVar("T")
Node = dict[str, Any]


@dataclass
class Call:
    """Everything a resolver needs. The world's lock is held for as long as it lives."""

    simulation: Simulation
    accounts: Accounts
    world: World
    catalogue: Catalogue
    shop: Shop
    store: Store
    token: Token
    app: App
    version: str  # the one that answers
    base_url: str
    fault: Fault | None = None
    is_bulk: bool = False  # lists are whole, whatever they say of pages
    item_ids: list[str] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)

    @property
    def now(self) -> int:
        return self.world.now

    def require(self, scopes: Sequence[str] | None, field_name: str) -> None:
        """Raises GraphQLError unless the token has one of the scopes; write_x implies read_x."""
        if not scopes:
            return
        held = set(self.token.scopes)
        held |= {scope.replace("write_", "read_", 1) for scope in held}
        if held.isdisjoint(scopes):
            needed = " or ".join(f"`{scope}`" for scope in scopes) + " access scope."
            extensions = {
                "code": "ACCESS_DENIED",
                "documentation": "https://shopify.dev/api/usage/access-scopes",
                "requiredAccess": needed,
            }
            raise GraphQLError(
                f"Access denied for {field_name} field. Required access: {needed}", extensions=extensions
            )

    def money(self, value: int) -> str:
        return amount(value, self.shop.decimals)

    def money_v2(self, value: int) -> Node:
        """Its amount has as many decimals as are needed, and one at least: 20.0, 19.99."""
        found = Decimal(amount(value, self.shop.decimals)).normalize()
        text = f"{found:f}"
        return {"amount": text if "." in text else f"{text}.0", "currencyCode": self.shop.currency}

    def money_bag(self, value: int) -> Node:
        return {"presentmentMoney": self.money_v2(value), "shopMoney": self.money_v2(value)}


def iso_time(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def bad_request(message: str) -> GraphQLError:
    return GraphQLError(message, extensions={"code": "BAD_REQUEST"})


def check_size(entries: Sequence[object]) -> None:
    """Raises GraphQLError for an array of more entries than a call may hold."""
    if len(entries) > MAX_INPUT:
        message = f"The input array size of {len(entries)} is greater than the maximum allowed of {MAX_INPUT}."
        raise GraphQLError(message, extensions={"code": "MAX_INPUT_SIZE_EXCEEDED"})


def connection(
    call: Call,
    things: Sequence[T],
    arguments: dict[str, Any],
    *,
    key: Callable[[T], tuple[Any, ...]],
    node: Callable[[T], Node],
    is_sorted: bool = False,
) -> Node:
    """One page of things; `key` orders them and no two have the same.

    Raises GraphQLError without first or last, for more than MAX_PAGE and for a cursor that is none.
    """
    ordered = list(things) if is_sorted else sorted(things, key=key)
    if call.is_bulk:
        return {"edges": [{"cursor": "", "node": node(thing)} for thing in ordered]}
    first, last = arguments.get("first"), arguments.get("last")
    if first is None and last is None:
        raise bad_request("you must provide one of first or last")
    if first is not None and last is not None:
        raise bad_request("providing both first and last is not supported")
    size = first if first is not None else last
    if size is None or size < 0:
        raise bad_request("first and last must not be negative")
    if size > MAX_PAGE:
        raise bad_request(f"Pages hold at most {MAX_PAGE} nodes, {size} were asked for")
    is_reversed = bool(arguments.get("reverse"))
    low, high = 0, len(ordered)
    after, before = arguments.get("after"), arguments.get("before")
    if is_reversed:
        after, before = before, after
    if after is not None:
        low = bisect_right(ordered, _cursor_key(after), key=key)
    if before is not None:
        high = bisect_left(ordered, _cursor_key(before), key=key)
    # The end of the list a page is cut from.
    from_start = (first is not None) != is_reversed
    start, end = (low, min(high, low + size)) if from_start else (max(low, high - size), high)
    page = ordered[start:end]
    more_before, more_after = start > 0, end < len(ordered)
    if is_reversed:
        page.reverse()
        more_before, more_after = more_after, more_before
    cursors = [_cursor(key(thing)) for thing in page]
    return {
        "nodes": lambda info: [node(thing) for thing in page],
        "edges": lambda info: [
            {"cursor": cursor, "node": node(thing)} for cursor, thing in zip(cursors, page, strict=True)
        ],
        "pageInfo": {
            "hasNextPage": more_after,
            "hasPreviousPage": more_before,
            "startCursor": cursors[0] if cursors else None,
            "endCursor": cursors[-1] if cursors else None,
        },
    }


def _cursor(key: tuple[Any, ...]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps({"last": key})).decode().rstrip("=")


def _cursor_key(cursor: str) -> tuple[Any, ...]:
    try:
        return tuple(orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))["last"])
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise bad_request("Invalid cursor for current pagination sort.") from error
