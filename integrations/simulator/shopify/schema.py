"""The schema of each version, and what differs between versions."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template
from typing import cast

from graphql import GraphQLScalarType, GraphQLSchema, build_schema

from integrations.simulator.shopify.scalars import SCALARS

CONNECTED = (
    "DiscountNode", "DiscountRedeemCode", "InventoryItem", "InventoryLevel", "LineItem", "Location", "Order", "Product",
    "ProductVariant", "RefundLineItem", "WebhookSubscription",
)  # fmt: skip
FIRST_IDEMPOTENT = "2026-01"  # the directive exists, changeFromQuantity too, five bulk operations may run
FIRST_STRICT = "2026-04"  # both are demanded, compareQuantity is gone
FIRST_STOCKED_BY_WRITE = "2026-10"  # an item need not be stocked at a location before its quantity is set
IDEMPOTENCY_CODES = (
    "CHANGE_FROM_QUANTITY_STALE IDEMPOTENCY_CONCURRENT_REQUEST IDEMPOTENCY_KEY_PARAMETER_MISMATCH "
    "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"
)
VARIANTS_OF_ITEM = """
  variant: ProductVariant! @deprecated(reason: "Use `variants` instead.")
  variants(after: String, before: String, first: Int, last: Int): ProductVariantConnection
"""
UNSTABLE = "unstable"  # sorts behind every date


@dataclass(frozen=True)
class Versions:
    """The versions that can be called: the stable ones in between, and one release candidate."""

    oldest: str = "2026-01"
    latest: str = "2026-10"

    def served(self, asked: str) -> str | None:
        """The version that answers a call: a retired one falls forward to the oldest; None for one there is not."""
        if asked == UNSTABLE:
            return asked
        year, _, month = asked.partition("-")
        if not (len(year) == 4 and year.isdigit() and month in ("01", "04", "07", "10")) or year < "2019":
            return None
        if asked > self.candidate:
            return None
        return max(asked, self.oldest)

    @property
    def candidate(self) -> str:
        return _following(self.latest)

    def all(self) -> list[str]:
        found = [self.oldest]
        while found[-1] < self.candidate:
            found.append(_following(found[-1]))
        return [*found, UNSTABLE]


def _following(version: str) -> str:
    year, month = int(version[:4]), int(version[5:])
    return f"{year + 1}-01" if month == 10 else f"{year}-{month + 3:02d}"


@cache
def schema_of(version: str) -> GraphQLSchema:
    """The schema of a served version."""
    idempotent, strict = version >= FIRST_IDEMPOTENT, version >= FIRST_STRICT
    change_from = "changeFromQuantity: Int" if idempotent else ""
    compare = 'compareQuantity: Int @deprecated(reason: "Use `changeFromQuantity` instead.")'
    ignore = 'ignoreCompareQuantity: Boolean = false @deprecated(reason: "Use `changeFromQuantity` instead.")'
    connections = "\n".join(
        f"type {name}Connection {{ edges: [{name}Edge!]! nodes: [{name}!]! pageInfo: PageInfo! }}\n"
        f"type {name}Edge {{ cursor: String! node: {name}! }}"
        for name in CONNECTED
    )
    text = Template(Path(__file__).with_name("schema.graphql").read_text()).safe_substitute(
        directives="directive @idempotent(key: String!) on FIELD" if idempotent else "",
        group_objects="false" if idempotent else "true",
        connections=connections,
        change_from=change_from,
        compare=change_from if strict else f"{change_from} {compare}",
        set_input="" if strict else ignore,
        idempotency_codes=IDEMPOTENCY_CODES if idempotent else "",
        adjust_codes="SERVICE_UNAVAILABLE" if idempotent else "",
        stocked_code="ITEM_NOT_STOCKED_AT_LOCATION" if version < FIRST_STOCKED_BY_WRITE else "",
        bulk_operation="bulkOperation(id: ID!): BulkOperation" if idempotent else "",
        include_inactive="includeInactive: Boolean = false" if strict else "",
        variants_of_item=VARIANTS_OF_ITEM if idempotent else "variant: ProductVariant!",
        is_active="isActive: Boolean!" if strict else "",
        subscription_name="name: String" if strict else "",
    )
    schema = build_schema(text)
    for name, (write, read) in SCALARS.items():
        scalar = cast("GraphQLScalarType", schema.type_map[name])
        scalar.coerce_output_value, scalar.coerce_input_value = write, read
    return schema
