"""`/admin/api/{version}/graphql.json`: what is checked before a document runs, and its answer."""

import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    execute_sync,
    parse,
)

from integrations.simulator.faults import ANSWERED, Fault, perform
from integrations.simulator.routing import JSON, Request, Response
from integrations.simulator.shopify import subscriptions
from integrations.simulator.shopify.accounts import OPEN, STATUSES, Accounts, Token
from integrations.simulator.shopify.bulk import Bulk
from integrations.simulator.shopify.calls import Call
from integrations.simulator.shopify.catalogue import Catalogue
from integrations.simulator.shopify.cost import MAX_QUERY_COST, Bucket, Calculator
from integrations.simulator.shopify.documents import (
    deprecated_fields,
    deprecated_inputs,
    operation_of,
    refusals,
    root_fields,
    variable_refusals,
)
from integrations.simulator.shopify.idempotency import Idempotency
from integrations.simulator.shopify.inventory import Inventory
from integrations.simulator.shopify.oauth import host_refusal
from integrations.simulator.shopify.prices import update_variants
from integrations.simulator.shopify.queries import root
from integrations.simulator.shopify.schema import schema_of
from integrations.simulator.simulation import Simulation
from integrations.simulator.world import SHOPIFY

PREFIX = "/admin/api/"
PATH = re.compile(r"/admin/api/([^/]+)/graphql\.json")
RATE_LIMITS = "https://shopify.dev/api/usage/rate-limits"
# Keys that say which thing a row is about: faults that blank facts leave these alone.
IDENTIFYING = frozenset({"id", "sku", "code", "__typename", "field", "message", "hasNextPage", "endCursor"})
MAX_DOCUMENT = 1_000_000  # characters
# What a root field needs; one of them is enough.
SCOPES = {
    "products": ("read_products",),
    "product": ("read_products",),
    "productsCount": ("read_products",),
    "productVariants": ("read_products",),
    "productVariant": ("read_products",),
    "productVariantsCount": ("read_products",),
    "inventoryItems": ("read_inventory", "read_products"),
    "inventoryItem": ("read_inventory", "read_products"),
    "inventoryLevel": ("read_inventory",),
    "locations": ("read_locations", "read_inventory"),
    "location": ("read_locations", "read_inventory"),
    "orders": ("read_orders",),
    "order": ("read_orders",),
    "discountNodes": ("read_discounts",),
    "inventorySetQuantities": ("write_inventory",),
    "inventoryAdjustQuantities": ("write_inventory",),
    "inventoryActivate": ("write_inventory",),
    "productVariantsBulkUpdate": ("write_products",),
}


class Refused(Exception):
    """A call that gets no further; carries its answer and how the ledger writes it down."""

    def __init__(self, status: int, body: object, code: str = "") -> None:
        super().__init__(status)
        self.status, self.body, self.code = status, body, code


@dataclass
class Sent:
    """One request as it is understood so far."""

    version: str = ""
    token: Token | None = None
    document: DocumentNode | None = None
    operation: OperationDefinitionNode | None = None
    variables: dict[str, Any] = field(default_factory=dict)
    operation_name: str | None = None
    method: str = ""
    item_ids: list[str] = field(default_factory=list)
    deprecated: set[str] = field(default_factory=set)
    fault: Fault | None = None

    @property
    def shop(self) -> str:
        return self.token.shop if self.token is not None else ""


class Gateway:
    """The GraphQL endpoint of every shop and version."""

    def __init__(self, simulation: Simulation, accounts: Accounts) -> None:
        self.simulation, self.accounts = simulation, accounts
        self.idempotency = Idempotency()
        self.inventory = Inventory(self.idempotency)
        self.bulk = Bulk(self._run_bulk)
        self._catalogues: dict[str, Catalogue] = {}

    def handle(self, request: Request) -> Response:
        sent = Sent()
        try:
            self._read(sent, request)
            refused = None
        except Refused as error:
            refused = error
        sent.fault = fault = self.simulation.faults.take(SHOPIFY, sent.method, sent.shop)
        if fault is None or fault.user_error:
            return self._answer(sent, request, refused)
        if fault.kind not in ANSWERED:
            self._record(sent, request, fault.code or fault.status or -1, fault.sub_code or fault.kind)
        return perform(
            fault,
            normal=lambda: self._answer(sent, request, refused),
            error=lambda rule: self._fault_answer(sent, rule),
            keep=IDENTIFYING,
            stopping=self.simulation.stopping,
        )

    # Checks before the document

    def _read(self, sent: Sent, request: Request) -> None:
        """Who calls what. Raises Refused when it is no call that can be answered."""
        sent.token = self.accounts.tokens.get(request.headers.get("x-shopify-access-token", ""))
        body = self._body_of(request)
        document_error: GraphQLError | None = None
        if isinstance(body, dict) and isinstance(body.get("query"), str):
            variables = body.get("variables") or {}
            sent.variables = variables if isinstance(variables, dict) else {}
            sent.operation_name = body.get("operationName")
            try:
                sent.document = parse(body["query"][:MAX_DOCUMENT])
                sent.operation = operation_of(sent.document, sent.operation_name)
                sent.method = ",".join(root_fields(sent.operation))
            except GraphQLError as error:
                document_error = error
        # What it is about is known as far as it can be: from here on calls are refused, in the platform's order.
        missing = host_refusal(self.accounts, request)
        match = PATH.fullmatch(request.path)
        served = self.accounts.versions.served(match[1]) if match is not None else None
        if missing is not None or served is None or request.verb != "POST":
            raise Refused(404, {"errors": "Not Found"})
        sent.version = served
        if sent.token is None or self.accounts.token(sent.token.access_token) is None:
            message = "[API] Invalid API key or access token (unrecognized login or wrong password)"
            raise Refused(401, {"errors": message})
        store = self.accounts.stores[sent.token.shop]
        if store.status != OPEN:
            status, message = STATUSES[store.status]
            raise Refused(status, {"errors": message})
        if not request.headers.get("content-type", "").startswith("application/json"):
            raise Refused(415, {"errors": "Unsupported Media Type: send application/json"})
        if body is None:
            raise Refused(400, {"errors": "Bad Request: the body is not JSON"})
        if document_error is not None:
            raise Refused(200, {"errors": [document_error.formatted]}, "PARSE")
        if sent.document is None:
            raise Refused(400, {"errors": {"query": "Required parameter missing or invalid"}})

    @staticmethod
    def _body_of(request: Request) -> Any:
        try:
            return orjson.loads(request.body)
        except ValueError:
            return None

    # The answer

    def _answer(self, sent: Sent, request: Request, refused: Refused | None) -> Response:
        code, sub_code = 0, ""
        try:
            if refused is not None:
                raise refused
            status, body = 200, self._execute(sent, request)
            errors = body.get("errors")
            if errors:
                code, sub_code = -1, str(errors[0].get("extensions", {}).get("code", ""))
        except Refused as error:
            status, body = error.status, error.body  # type: ignore[assignment]
            code, sub_code = (error.status if error.status != 200 else -1), error.code
        self._record(sent, request, code, sub_code)
        return self._response(sent, status, body)

    def _response(self, sent: Sent, status: int, body: object) -> Response:
        headers = {"X-Request-Id": str(uuid.uuid4())}
        if sent.version:
            headers["X-Shopify-API-Version"] = sent.version
        if sent.deprecated:
            headers["X-Shopify-API-Deprecated-Reason"] = ", ".join(sorted(sent.deprecated))
        return Response(status, orjson.dumps(body), JSON, headers)

    def _record(self, sent: Sent, request: Request, code: int, sub_code: str) -> None:
        self.simulation.ledger.record(
            at=time.time(),
            platform=SHOPIFY,
            verb=request.verb,
            path=request.path,
            method=sent.method,
            shop=sent.shop,
            item_ids=sent.item_ids,
            code=code,
            sub_code=sub_code,
        )

    def _execute(self, sent: Sent, request: Request) -> dict[str, Any]:
        document, operation, token = sent.document, sent.operation, sent.token
        if document is None or operation is None or token is None:
            raise Refused(400, {"errors": "Bad Request"})
        schema = schema_of(sent.version)
        found = refusals(schema, document) or variable_refusals(schema, operation, sent.variables)
        if found:
            raise Refused(200, {"errors": found}, str(found[0]["extensions"]["code"]))
        sent.deprecated = deprecated_fields(schema, document) | deprecated_inputs(schema, operation, sent.variables)
        calculator = Calculator(schema, document, operation, sent.variables)
        bucket = self.accounts.bucket(token)
        requested = self._pay(bucket, calculator)
        with self.simulation.lock:
            call = self._call(sent, token, request)
            result = self._run(call, schema, document, operation, sent.variables)
        sent.item_ids = call.item_ids
        actual = min(requested, calculator.actual(result.data))
        bucket.give_back(requested - actual)
        body: dict[str, Any] = {"data": result.data}
        if result.errors:
            body["errors"] = [error.formatted for error in result.errors]
        body["extensions"] = {"cost": _cost(requested, actual, bucket)}
        if call.warnings:
            body["extensions"]["search"] = call.warnings
        return body

    @staticmethod
    def _pay(bucket: Bucket, calculator: Calculator) -> int:
        """The requested cost, taken from the bucket. Raises Refused when it is too dear, at all or for now."""
        requested = calculator.requested()
        if requested > MAX_QUERY_COST:
            message = (
                f"Query cost is {requested}, which exceeds the single query max cost limit ({MAX_QUERY_COST}).\n\n"
                f"See {RATE_LIMITS} for more information on how the\ncost of a query is calculated.\n\n"
                "To query larger amounts of data with fewer limits, bulk operations should be used instead."
            )
            extensions = {
                "code": "MAX_COST_EXCEEDED",
                "cost": requested,
                "maxCost": MAX_QUERY_COST,
                "documentation": RATE_LIMITS,
            }
            raise Refused(200, {"errors": [{"message": message, "extensions": extensions}]}, "MAX_COST_EXCEEDED")
        if not bucket.take(requested):
            raise Refused(200, _throttled(requested, bucket), "THROTTLED")
        return requested

    def _call(self, sent: Sent, token: Token, request: Request) -> Call:
        world = self.simulation.advance()
        catalogue = self._catalogues.get(token.shop)
        if catalogue is None or not catalogue.is_current(world):
            catalogue = self._catalogues[token.shop] = Catalogue(world, token.shop)
        return Call(
            simulation=self.simulation,
            accounts=self.accounts,
            world=world,
            catalogue=catalogue,
            shop=world.shops[token.shop],
            store=self.accounts.stores[token.shop],
            token=token,
            app=self.accounts.apps[token.client_id],
            version=sent.version,
            base_url=f"http://{request.headers.get('host', '')}",
            fault=sent.fault,
        )

    def _run(
        self,
        call: Call,
        schema: GraphQLSchema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        variables: dict[str, Any],
    ) -> ExecutionResult:
        is_mutation = operation.operation is OperationType.MUTATION
        fields = self._mutations(call, schema) if is_mutation else root(call, self.bulk)
        result = execute_sync(
            schema,
            document,
            root_value={name: _guarded(call, name, resolve) for name, resolve in fields.items()},
            context_value=call,
            variable_values=variables,
            operation_name=operation.name.value if operation.name else None,
        )
        for error in result.errors or ():
            if error.original_error is not None and not isinstance(error.original_error, GraphQLError):
                raise error.original_error  # a mistake of ours must not look like an answer of the platform
        return result

    def _mutations(self, call: Call, schema: GraphQLSchema) -> dict[str, Callable[..., Any]]:
        return {
            "inventorySetQuantities": lambda info, **given: self.inventory.set_quantities(call, info, given),
            "inventoryAdjustQuantities": lambda info, **given: self.inventory.adjust_quantities(call, info, given),
            "inventoryActivate": lambda info, **given: self.inventory.activate(call, info, given),
            "productVariantsBulkUpdate": lambda info, **given: update_variants(call, given),
            "webhookSubscriptionCreate": lambda info, **given: subscriptions.create(call, given),
            "webhookSubscriptionDelete": lambda info, **given: subscriptions.delete(call, given),
            "bulkOperationRunQuery": lambda info, **given: self.bulk.run_query(call, given, schema),
            "bulkOperationCancel": lambda info, **given: self.bulk.cancel(call, given),
        }

    def _run_bulk(self, call: Call, query: str) -> ExecutionResult:
        schema, document = schema_of(call.version), parse(query)
        call.is_bulk = True
        try:
            return self._run(call, schema, document, operation_of(document, None), {})
        finally:
            call.is_bulk = False

    def _fault_answer(self, sent: Sent, rule: Fault) -> Response:
        """Top-level errors with sub_code as their code; THROTTLED with numbers like those of a real one."""
        if rule.sub_code == "THROTTLED" and sent.token is not None and sent.document is not None and sent.operation:
            schema = schema_of(sent.version)
            requested = Calculator(schema, sent.document, sent.operation, sent.variables).requested()
            return self._response(sent, 200, _throttled(requested, self.accounts.bucket(sent.token)))
        message = rule.msg or "Internal error. Looks like something went wrong on our end."
        error = {"message": message, "extensions": {"code": rule.sub_code or "INTERNAL_SERVER_ERROR"}}
        return self._response(sent, rule.status or 200, {"errors": [error]})


def _guarded(call: Call, name: str, resolve: Callable[..., Any]) -> Callable[..., Any]:
    """The field, or ACCESS_DENIED where the token has none of the scopes it needs; write_x implies read_x."""
    needed = SCOPES.get(name)

    def guarded(info: Any, **arguments: Any) -> Any:
        call.require(needed, name)
        return resolve(info, **arguments)

    return resolve if needed is None else guarded


def _cost(requested: int, actual: int | None, bucket: Bucket) -> dict[str, Any]:
    return {"requestedQueryCost": requested, "actualQueryCost": actual, "throttleStatus": bucket.status()}


def _throttled(requested: int, bucket: Bucket) -> dict[str, Any]:
    error = {"message": "Throttled", "extensions": {"code": "THROTTLED", "documentation": RATE_LIMITS}}
    return {"errors": [error], "extensions": {"cost": _cost(requested, None, bucket)}}
