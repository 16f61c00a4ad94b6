"""Bulk operations: a query run over whole lists, answered with a file of JSON lines."""

import itertools
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from graphql import (
    ExecutionResult,
    FieldNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    get_named_type,
    is_list_type,
    is_non_null_type,
    parse,
)

from integrations.simulator.routing import Request, Response, json_response
from integrations.simulator.shopify.calls import Call, Node, iso_time
from integrations.simulator.shopify.catalogue import gid, number_in
from integrations.simulator.shopify.documents import operation_of, refusals
from integrations.simulator.shopify.schema import FIRST_IDEMPOTENT
from integrations.simulator.shopify.subscriptions import BULK_FINISHED, tell

RESULTS = "/shopify-bulk-results/"
RESULT_LIFE = 7 * 86_400
MAX_CONNECTIONS = 5
MAX_DEPTH = 2
AT_ONCE = 5
JSON_LINES = "application/jsonl"

CREATED, RUNNING, COMPLETED, FAILED = "CREATED", "RUNNING", "COMPLETED", "FAILED"
CANCELING, CANCELED, EXPIRED = "CANCELING", "CANCELED", "EXPIRED"
WAITING = (CREATED, RUNNING, CANCELING)

Run = Callable[[Call, str], ExecutionResult]


@dataclass(slots=True)
class Operation:
    number: int
    shop: str
    client_id: str
    query: str
    status: str = CREATED
    created_at: float = 0.0  # real time, as all times of operations
    runs_at: float = 0.0
    ends_at: float = 0.0
    body: bytes = b""
    objects: int = 0
    roots: int = 0
    error_code: str | None = None
    completed_at: float | None = None
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(24))


class Bulk:
    """The operations of every shop. They take `seconds` on the real clock, half of it as CREATED."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.reset()

    def reset(self) -> None:
        self.seconds = 0.2
        self.next_error: str | None = None  # the next one fails with it, and with half of its result
        self._operations: dict[int, Operation] = {}
        self._numbers = itertools.count(5_001)

    # The API

    def run_query(self, call: Call, arguments: dict[str, Any], schema: GraphQLSchema) -> Node:
        query = arguments["query"]
        own = [each for each in self._operations.values() if (each.shop, each.client_id) == _owner(call)]
        running = sum(1 for each in own if self._now(each).status in WAITING)
        limit = AT_ONCE if call.version >= FIRST_IDEMPOTENT else 1
        if running >= limit:
            message = "A bulk query operation for this app and shop is already in progress."
            return _refused(None, message, "OPERATION_IN_PROGRESS")
        refusal = _query_refusal(schema, query)
        if refusal is not None:
            return _refused(["query"], refusal, "INVALID")
        operation = Operation(next(self._numbers), call.shop.key, call.app.client_id, query)
        self._work(call, operation, grouped=bool(arguments.get("groupObjects")))
        operation.created_at = now = time.time()  # a large result takes its time, which is not the operation's
        operation.runs_at, operation.ends_at = now + self.seconds / 2, now + self.seconds
        self._operations[operation.number] = operation
        call.simulation.later(self.seconds, lambda: self._tell(call, operation))
        return {"bulkOperation": self._node(call, operation), "userErrors": []}

    def cancel(self, call: Call, arguments: dict[str, Any]) -> Node:
        operation = self._find(call, arguments["id"])
        if operation is None:
            error: Node = {"field": ["id"], "message": "Bulk operation does not exist"}
            return {"bulkOperation": None, "userErrors": [error]}
        if self._now(operation).status not in WAITING:
            status = operation.status.lower()
            error = {"field": None, "message": f"A bulk operation cannot be canceled when it is {status}"}
            return {"bulkOperation": self._node(call, operation), "userErrors": [error]}
        operation.status = CANCELING
        return {"bulkOperation": self._node(call, operation), "userErrors": []}

    def node(self, call: Call, text: str) -> Node | None:
        operation = self._find(call, text)
        return None if operation is None else self._node(call, operation)

    def current(self, call: Call) -> Node | None:
        own = [each for each in self._operations.values() if (each.shop, each.client_id) == _owner(call)]
        return self._node(call, own[-1]) if own else None

    def serve(self, request: Request) -> Response:
        """The file behind an operation's url, for whoever has it, for seven days."""
        secret = request.path.removeprefix(RESULTS).removesuffix(".jsonl")
        found = next((each for each in self._operations.values() if each.secret == secret), None)
        if found is None or request.verb != "GET" or time.time() > found.ends_at + RESULT_LIFE:
            return json_response({"error": "no such file"}, 404)
        return Response(200, found.body, JSON_LINES)

    # Running

    def _work(self, call: Call, operation: Operation, *, grouped: bool) -> None:
        result = self._run(call, operation.query)
        if result.errors:
            code = (result.errors[0].extensions or {}).get("code")
            operation.error_code = code if code == "ACCESS_DENIED" else "INTERNAL_SERVER_ERROR"
            return
        lines: list[list[dict[str, Any]]] = [[], []]
        in_groups: list[dict[str, Any]] = []
        for value in (result.data or {}).values():
            for edge in value["edges"]:
                operation.roots += 1
                node, children = _split(edge["node"])
                lines[0].append(node)
                lines[1] += children
                in_groups += [node, *children]
        # Ungrouped, children may come anywhere after their parents: here, all at the end.
        found = in_groups if grouped else [*lines[0], *lines[1]]
        if self.next_error is not None:
            operation.error_code, self.next_error = self.next_error, None
            found = found[: len(found) // 2]
        operation.objects = len(found)
        operation.body = b"".join(orjson.dumps(line) + b"\n" for line in found)

    def _now(self, operation: Operation) -> Operation:
        """The operation with the status it has by now."""
        now = time.time()
        if operation.status == CANCELING and now >= operation.runs_at:
            operation.status, operation.completed_at = CANCELED, now
        elif operation.status in (CREATED, RUNNING):
            if now >= operation.ends_at:
                operation.status = FAILED if operation.error_code else COMPLETED
                operation.completed_at = operation.ends_at
            elif now >= operation.runs_at:
                operation.status = RUNNING
        return operation

    def _tell(self, call: Call, operation: Operation) -> None:
        self._now(operation)
        completed_at = None if operation.completed_at is None else iso_time(operation.completed_at)
        body = {
            "admin_graphql_api_id": gid("BulkOperation", operation.number),
            "completed_at": completed_at,
            "created_at": iso_time(operation.created_at),
            "error_code": operation.error_code and operation.error_code.lower(),
            "status": operation.status.lower(),
            "type": "query",
        }
        tell(call.simulation.webhooks, operation.shop, BULK_FINISHED, body, operation.client_id)

    def _find(self, call: Call, text: str) -> Operation | None:
        found = self._operations.get(number_in(text, "BulkOperation") or 0)
        return found if found is not None and (found.shop, found.client_id) == _owner(call) else None

    def _node(self, call: Call, operation: Operation) -> Node:
        self._now(operation)
        url = f"{call.base_url}{RESULTS}{operation.secret}.jsonl"
        is_done, has_file = operation.status == COMPLETED, bool(operation.body)
        is_partial = operation.status in (FAILED, CANCELED) and has_file
        return {
            "__typename": "BulkOperation",
            "id": gid("BulkOperation", operation.number),
            "status": operation.status,
            "errorCode": operation.error_code if operation.status == FAILED else None,
            "createdAt": iso_time(operation.created_at),
            "completedAt": None if operation.completed_at is None else iso_time(operation.completed_at),
            "objectCount": operation.objects if is_done or is_partial else 0,
            "rootObjectCount": operation.roots if is_done or is_partial else 0,
            "fileSize": len(operation.body) if is_done and has_file else None,
            # Where nothing was found there is no file.
            "url": url if is_done and has_file else None,
            "partialDataUrl": url if is_partial else None,
            "query": operation.query,
            "type": "QUERY",
        }


def _owner(call: Call) -> tuple[str, str]:
    return call.shop.key, call.app.client_id


def _refused(field: list[str] | None, message: str, code: str) -> Node:
    return {"bulkOperation": None, "userErrors": [{"field": field, "message": message, "code": code}]}


def _split(node: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A node without its connections, and their nodes as lines of their own that name it as their parent."""
    children: list[dict[str, Any]] = []

    def without_connections(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        kept = {}
        for name, inner in value.items():
            if isinstance(inner, dict) and isinstance(inner.get("edges"), list):
                for edge in inner["edges"]:
                    child, grandchildren = _split(edge["node"])
                    children.append({**child, "__parentId": node["id"]})
                    children.extend(grandchildren)
            else:
                kept[name] = without_connections(inner)
        return kept

    return without_connections(node), children


# Rules of the query


def _query_refusal(schema: GraphQLSchema, query: str) -> str | None:
    """Why a query cannot be run in bulk; None when it can."""
    try:
        document = parse(query)
        operation = operation_of(document, None)
    except GraphQLError as error:
        return f"Invalid bulk query: {error.message}"
    if operation.operation is not OperationType.QUERY:
        return "Invalid bulk query: it must be a query"
    found = refusals(schema, document)
    if found:
        return f"Invalid bulk query: {found[0]['message']}"
    return _Rules(schema).refusal(operation)


class _Rules:
    """How many connections there are, how deep, and what their nodes select."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._connections = 0
        self._message: str | None = None

    def refusal(self, operation: OperationDefinitionNode) -> str | None:
        self._look(operation.selection_set, self._schema.query_type, depth=0, in_list=False, has_id=True)
        if self._message is None and not self._connections:
            return "Bulk queries must contain at least one connection."
        if self._message is None and self._connections > MAX_CONNECTIONS:
            return f"Bulk queries cannot contain more than {MAX_CONNECTIONS} connections."
        return self._message

    def _refuse(self, message: str) -> None:
        self._message = self._message or message

    def _look(self, selection: SelectionSetNode, kind: Any, *, depth: int, in_list: bool, has_id: bool) -> None:
        for node in selection.selections:
            if not isinstance(node, FieldNode):
                condition = getattr(node, "type_condition", None)
                inner = kind if condition is None else self._schema.type_map.get(condition.name.value)
                if hasattr(node, "selection_set"):
                    self._look(node.selection_set, inner, depth=depth, in_list=in_list, has_id=has_id)
                else:
                    self._refuse("Bulk queries cannot contain fragment spreads here.")
                continue
            self._look_at_field(node, kind, depth, in_list, has_id)

    def _look_at_field(self, node: FieldNode, kind: Any, depth: int, in_list: bool, has_id: bool) -> None:
        name = node.name.value
        if not isinstance(kind, GraphQLObjectType) or name not in kind.fields or node.selection_set is None:
            return
        if depth == 0 and name in ("node", "nodes"):
            self._refuse("Bulk queries cannot contain a top level `node` field.")
        field_type = kind.fields[name].type
        inner = get_named_type(field_type)
        bare = field_type.of_type if is_non_null_type(field_type) else field_type
        if not inner.name.endswith("Connection"):
            self._look(node.selection_set, inner, depth=depth, in_list=in_list or is_list_type(bare), has_id=has_id)
            return
        self._connections += 1
        if in_list:
            self._refuse("Queries that contain a connection field within a list field are not currently supported.")
        if depth >= MAX_DEPTH:
            self._refuse(f"Bulk queries cannot contain connections with a nesting depth greater than {MAX_DEPTH}.")
        if not has_id:
            self._refuse("The parent 'node' field for a nested connection must select the 'id' field without an alias.")
        selected = {field.name.value: field for field in node.selection_set.selections if isinstance(field, FieldNode)}
        if "edges" not in selected or set(selected) != {"edges"}:
            self._refuse("Bulk queries must select connections by `edges { node { ... } }`.")
            return
        edges = selected["edges"].selection_set
        nodes = [f for f in (edges.selections if edges else ()) if isinstance(f, FieldNode) and f.name.value == "node"]
        for each in nodes:
            if each.selection_set is not None:
                node_kind = get_named_type(get_named_type(inner.fields["edges"].type).fields["node"].type)
                names = [f for f in each.selection_set.selections if isinstance(f, FieldNode)]
                selects_id = any(f.name.value == "id" and f.alias is None for f in names)
                self._look(each.selection_set, node_kind, depth=depth + 1, in_list=False, has_id=selects_id)
