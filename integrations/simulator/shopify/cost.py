"""What a document costs, and the bucket it is paid from.

The model is the one fitted to recorded calls: an object costs 1, a list of objects 1, a scalar nothing, a connection
2 + k(n) x (1 + node selection) with k(n) = max(1, floor(2 ln n)), a root count 10, a mutation 10 and what is selected
inside its payload's objects.
"""

import math
import threading
import time
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)

from integrations.simulator.shopify.documents import argument_value

FREE = frozenset({"PageInfo", "MoneyV2", "MoneyBag", "Count"})
MAX_QUERY_COST = 1000
# plan: (points per second, size of the bucket)
PLANS = {"standard": (100, 2000), "advanced": (200, 4000), "plus": (1000, 20_000), "enterprise": (2000, 40_000)}


def weight(count: int) -> int:
    """k(n): how much n nodes of a connection weigh."""
    return max(1, math.floor(2 * math.log(count))) if count > 0 else 0


class Calculator:
    """The cost of one operation: as requested, or with the answer at hand as it turned out."""

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        variables: dict[str, Any],
    ) -> None:
        self._schema, self._operation, self._variables = schema, operation, variables
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }

    def requested(self) -> int:
        return self._root(None)

    def actual(self, data: dict[str, Any] | None) -> int:
        return self._root(data or {})

    def _root(self, data: dict[str, Any] | None) -> int:
        is_mutation = self._operation.operation is OperationType.MUTATION
        root = self._schema.mutation_type if is_mutation else self._schema.query_type
        if root is None:
            return 0
        total = 0
        for node in self._fields(self._operation.selection_set, root):
            value = None if data is None else data.get(_key(node))
            if is_mutation:
                total += 10 + self._inside_payload(node, root, data is None, value)
            elif node.name.value.endswith("Count"):
                total += 10
            else:
                total += self._field(node, root, data is None, value)
        return total

    def _inside_payload(self, node: FieldNode, root: GraphQLObjectType, requested: bool, value: Any) -> int:
        """What is selected inside the payload's objects; the objects themselves and userErrors are free."""
        payload = get_named_type(root.fields[node.name.value].type)
        if not isinstance(payload, GraphQLObjectType) or node.selection_set is None:
            return 0
        total = 0
        for field in self._fields(node.selection_set, payload):
            inner = None if value is None else value.get(_key(field))
            if field.name.value == "userErrors" or field.selection_set is None or field.name.value == "__typename":
                continue
            if requested or inner is not None:
                kind = get_named_type(payload.fields[field.name.value].type)
                first = inner[0] if isinstance(inner, list) and inner else inner
                if not isinstance(inner, list) or inner:
                    total += self._selection(field.selection_set, kind, requested, first)
        return total

    def _selection(self, selection: SelectionSetNode, kind: Any, requested: bool, value: Any) -> int:
        """Of an abstract type the dearest of its concrete ones counts, of an answer the one it was."""
        if is_abstract_type(kind):
            if not requested:
                name = value.get("__typename") if isinstance(value, dict) else None
                kinds = [t for t in self._schema.get_possible_types(kind) if name in (None, t.name)]
            else:
                kinds = list(self._schema.get_possible_types(kind))
            return max((self._selection(selection, each, requested, value) for each in kinds), default=0)
        total = 0
        for node in self._fields(selection, kind):
            if node.name.value.startswith("__"):
                continue
            inner = value.get(_key(node)) if isinstance(value, dict) else None
            total += self._field(node, kind, requested, inner)
        return total

    def _field(self, node: FieldNode, parent: Any, requested: bool, value: Any) -> int:
        field = parent.fields.get(node.name.value)
        if field is None or node.selection_set is None:
            return 0
        if not requested and value is None:
            return 0
        kind = get_named_type(field.type)
        if is_leaf_type(kind) or kind.name in FREE:
            return 0
        if kind.name.endswith("Connection"):
            return self._connection(node, kind, requested, value)
        bare = field.type.of_type if is_non_null_type(field.type) else field.type
        if is_list_type(bare):
            entries = value if isinstance(value, list) else [None]
            return 1 + max(
                (self._selection(node.selection_set, kind, requested, entry) for entry in entries), default=0
            )
        return 1 + self._selection(node.selection_set, kind, requested, value)

    def _connection(self, node: FieldNode, kind: Any, requested: bool, value: Any) -> int:
        if node.selection_set is None:
            return 0
        total = 2
        for field in self._fields(node.selection_set, kind):
            name = field.name.value
            if name not in ("nodes", "edges") or field.selection_set is None:
                continue
            entries = None if requested or not isinstance(value, dict) else value.get(_key(field)) or []
            if requested:
                sent = argument_value(node, "first", self._variables)
                sent = argument_value(node, "last", self._variables) if sent is None else sent
                count = int(sent) if isinstance(sent, int) or (isinstance(sent, str) and sent.isdigit()) else 0
            else:
                count = len(entries or [])
            inner = get_named_type(kind.fields[name].type)
            values = [None] if entries is None else entries
            if name == "edges":
                sets = [f for f in self._fields(field.selection_set, inner) if f.name.value == "node"]
                node_kind = get_named_type(inner.fields["node"].type)
                each = max(
                    (
                        self._selection(
                            one.selection_set, node_kind, requested, None if entry is None else entry.get(_key(one))
                        )
                        for one in sets
                        for entry in values
                        if one.selection_set is not None
                    ),
                    default=0,
                )
            else:
                each = max(
                    (self._selection(field.selection_set, inner, requested, entry) for entry in values), default=0
                )
            total += weight(count) * (1 + each)
        return total

    def _fields(self, selection: SelectionSetNode, kind: Any) -> list[FieldNode]:
        """The fields selected on a concrete type, through fragments."""
        found: list[FieldNode] = []
        for node in selection.selections:
            if isinstance(node, FieldNode):
                found.append(node)
                continue
            fragment = node if isinstance(node, InlineFragmentNode) else self._fragments.get(node.name.value)  # type: ignore[attr-defined]
            if fragment is None:
                continue
            condition = fragment.type_condition
            if condition is None or self._applies(condition.name.value, kind):
                found += self._fields(fragment.selection_set, kind)
        return found

    def _applies(self, name: str, kind: Any) -> bool:
        wanted = self._schema.type_map.get(name)
        if wanted is None or kind is None:
            return False
        return wanted is kind or (is_abstract_type(wanted) and kind in self._schema.get_possible_types(wanted))


def _key(node: FieldNode) -> str:
    return node.alias.value if node.alias else node.name.value


@dataclass
class Bucket:
    """Points of one application at one shop, refilled on the real clock."""

    restore_rate: int
    maximum: int

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._points = float(self.maximum)
        self._at = time.monotonic()

    def _refill(self) -> None:
        now = time.monotonic()
        self._points = min(float(self.maximum), self._points + (now - self._at) * self.restore_rate)
        self._at = now

    def take(self, points: int) -> bool:
        """Pay; False, and nothing paid, when there is not enough."""
        with self._lock:
            self._refill()
            if self._points < points:
                return False
            self._points -= points
            return True

    def give_back(self, points: int) -> None:
        with self._lock:
            self._refill()
            self._points = min(float(self.maximum), self._points + points)

    def set(self, points: float) -> None:
        with self._lock:
            self._points, self._at = min(float(self.maximum), points), time.monotonic()

    def status(self) -> dict[str, int]:
        with self._lock:
            self._refill()
            return {
                "maximumAvailable": self.maximum,
                "currentlyAvailable": int(self._points),
                "restoreRate": self.restore_rate,
            }
