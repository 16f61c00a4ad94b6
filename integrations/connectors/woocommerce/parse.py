"""WooCommerce's JSON in, plain values out. No network, no clock.

Amounts are text in the shop's currency, "" where there is none; times are those with "_gmt", UTC without an offset.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from catalog.facts import Facts, ShelfState
from integrations.connectors.base import (
    DiscoveredListing,
    ListingRef,
    Order,
    OrderLine,
    OrderStatus,
    Promotion,
    PushOutcome,
    PushStatus,
    Reading,
    ReadOutcome,
    StockTarget,
)
from integrations.connectors.values import HalfAnswer, amount, code, count, price, text, title
from integrations.connectors.woocommerce.refusals import REFUSED_ROW, ROWS

# What of a product is asked for; of a variation the same, but for what only its parent knows.
PRODUCT_FIELDS = (
    "id,parent_id,name,type,status,sku,global_unique_id,price,regular_price,manage_stock,stock_quantity,stock_status,"
    "date_modified_gmt"
)
ORDER_FIELDS = "id,status,currency,date_created_gmt,date_modified_gmt,date_paid_gmt,line_items,refunds"

_ID = re.compile(r"[1-9][0-9]{0,19}")
_FOURTH = Decimal("0.0001")
_ORDER_STATUSES = {
    "pending": OrderStatus.UNPAID,
    "on-hold": OrderStatus.UNPAID,
    "checkout-draft": OrderStatus.UNPAID,
    "processing": OrderStatus.PAID,
    "completed": OrderStatus.FINISHED,
    "cancelled": OrderStatus.CANCELLED,
    "refunded": OrderStatus.CANCELLED,
    "failed": OrderStatus.CANCELLED,
    "trash": OrderStatus.CANCELLED,
}


def is_id(value: str) -> bool:
    return _ID.fullmatch(value) is not None


def id_of(row: Mapping[str, Any], name: str = "id") -> str:
    """An id as text; "" for none, which WooCommerce writes as 0."""
    value = row.get(name)
    found = str(value) if isinstance(value, int) and not isinstance(value, bool) else text(value)
    return found if is_id(found) else ""


def rows(answer: Any) -> list[Mapping[str, Any]]:
    """The rows of a list, each with an id; raises HalfAnswer for anything else."""
    if not isinstance(answer, list) or not all(isinstance(row, Mapping) and id_of(row) for row in answer):
        raise HalfAnswer("a list with rows missing")
    return answer


def moment(value: Any) -> datetime | None:
    """A time with "_gmt" in its name as aware UTC."""
    try:
        return datetime.fromisoformat(text(value)).replace(tzinfo=UTC)
    except ValueError:
        return None


# --- Listings -------------------------------------------------------------------------------------------------------


def reading(
    ref: ListingRef, products: Mapping[str, Mapping[str, Any]], variations: Mapping[str, Mapping[str, Any]]
) -> Reading:
    """What the products and variations of a read say about one ref."""
    product = products.get(ref.item_id)
    if product is None:
        return Reading(ref.listing_id, ReadOutcome.MISSING, cause="unknown-listing")
    row = product
    if ref.sku_id:
        variation = variations.get(ref.sku_id)
        if variation is None or id_of(variation, "parent_id") not in {"", ref.item_id}:
            return Reading(ref.listing_id, ReadOutcome.MISSING, cause="unknown-variant")
        row = variation
    elif product.get("type") in {"variable", "grouped"}:
        # Its price is the lowest of its variations, which nobody can order it for.
        return Reading(ref.listing_id, ReadOutcome.REFUSED, cause="has-variants")
    facts, remark = _facts(row, product)
    if facts == Facts():
        return Reading(ref.listing_id, ReadOutcome.FAILED, cause=remark or "nothing-usable")
    return Reading(ref.listing_id, ReadOutcome.READ, facts, title(product.get("name")), code(row.get("sku")), remark)


def discovered(row: Mapping[str, Any], product: Mapping[str, Any]) -> DiscoveredListing:
    """A product without variations, which is its own `product`, or a variation of one."""
    facts, remark = _facts(row, product)
    is_variation = row is not product
    return DiscoveredListing(
        item_id=id_of(product),
        sku_id=id_of(row) if is_variation else "",
        title=title(product.get("name")),
        outer_id=code(row.get("sku")),
        facts=facts,
        cause=remark,
        barcode=code(row.get("global_unique_id")),
        changed_at=moment(row.get("date_modified_gmt")),
    )


def _facts(row: Mapping[str, Any], product: Mapping[str, Any]) -> tuple[Facts, str]:
    live, live_remark = price(row.get("price"))
    regular, regular_remark = price(row.get("regular_price"))
    stock: int | None = None
    stock_remark = ""
    # "parent": the variation sells from its parent's stock, and shows that figure.
    if row.get("manage_stock") in (True, "parent"):
        stock, stock_remark = count(row.get("stock_quantity"))
    facts = Facts(
        list_price=regular if regular is not None else live,
        live_price=live,
        stock=stock,
        shelf_state=_shelf_state(row, product),
    )
    return facts, live_remark or regular_remark or stock_remark


def _shelf_state(row: Mapping[str, Any], product: Mapping[str, Any]) -> ShelfState:
    statuses = {product.get("status"), row.get("status")}
    if statuses & {"draft", "pending", "private", "trash", "future", "auto-draft"}:
        return ShelfState.OFF_SHELF
    if statuses != {"publish"}:
        return ShelfState.UNKNOWN
    match row.get("stock_status"):
        case "outofstock":
            return ShelfState.SOLD_OUT
        case "instock" | "onbackorder":
            return ShelfState.ON_SHELF
        case _:
            return ShelfState.UNKNOWN


# --- Stock ----------------------------------------------------------------------------------------------------------


def shown_stock(row: Mapping[str, Any]) -> int | None:
    """What a product or variation of its own stock shows; None where it is not counted there."""
    return count(row.get("stock_quantity"))[0] if row.get("manage_stock") is True else None


def pushed(targets: Sequence[StockTarget], answer: Any) -> list[PushOutcome]:
    """What a batch says about each row it was sent; a 200 hides refused rows, and figures that were dropped."""
    updated = answer.get("update") if isinstance(answer, Mapping) else None
    if not isinstance(updated, list) or len(updated) != len(targets):
        raise HalfAnswer("a batch with rows missing")
    return [_pushed(target, row) for target, row in zip(targets, updated, strict=True)]


def _pushed(target: StockTarget, row: Any) -> PushOutcome:
    if not isinstance(row, Mapping) or id_of(row) != (target.sku_id or target.item_id):
        raise HalfAnswer("a batch in another order")
    error = row.get("error")
    if isinstance(error, Mapping):
        cause = ROWS.get(text(error.get("code")), REFUSED_ROW)
        return PushOutcome(target.listing_id, target.location_id, PushStatus.REFUSED, cause)
    shown = shown_stock(row)
    if shown is None:
        return PushOutcome(target.listing_id, target.location_id, PushStatus.REFUSED, "stock-not-managed")
    if shown != target.quantity:
        return PushOutcome(target.listing_id, target.location_id, PushStatus.UNKNOWN, "not-confirmed", shown)
    return PushOutcome(target.listing_id, target.location_id, PushStatus.APPLIED, shown=shown)


# --- Orders and promotions ------------------------------------------------------------------------------------------


def order(row: Mapping[str, Any], refunds: Iterable[Mapping[str, Any]]) -> Order:
    created_at, changed_at = moment(row.get("date_created_gmt")), moment(row.get("date_modified_gmt"))
    lines = row.get("line_items")
    if created_at is None or changed_at is None or not isinstance(lines, list):
        raise HalfAnswer("an order without its times or lines")
    returned: dict[str, int] = {}
    for refund in refunds:
        for line in refund.get("line_items") or ():
            origin = _refunded_line(line)
            returned[origin] = returned.get(origin, 0) + abs(count(line.get("quantity"))[0] or 0)
    return Order(
        order_id=id_of(row),
        status=_ORDER_STATUSES.get(text(row.get("status")), OrderStatus.UNKNOWN),
        created_at=created_at,
        changed_at=changed_at,
        currency=text(row.get("currency")),
        lines=tuple(_line(line, returned) for line in lines),
        paid_at=moment(row.get("date_paid_gmt")),
    )


def _refunded_line(line: Mapping[str, Any]) -> str:
    """The line of the order that a line of a refund takes back; a refund has ids of its own."""
    for meta in line.get("meta_data") or ():
        if isinstance(meta, Mapping) and meta.get("key") == "_refunded_item_id":
            return text(meta.get("value"))
    return f"{id_of(line, 'product_id')}/{id_of(line, 'variation_id')}"


def _line(line: Any, returned: Mapping[str, int]) -> OrderLine:
    if not isinstance(line, Mapping) or not id_of(line) or not isinstance(line.get("quantity"), int):
        raise HalfAnswer("an order line without its quantity")
    line_id, item_id, sku_id = id_of(line), id_of(line, "product_id"), id_of(line, "variation_id")
    quantity = line["quantity"]
    total, _remark = amount(line.get("total"))
    back = returned.get(line_id, returned.get(f"{item_id}/{sku_id}", 0))
    return OrderLine(
        line_id=line_id,
        item_id=item_id,
        sku_id=sku_id,
        outer_id=code(line.get("sku")),
        quantity=quantity,
        returned=min(back, quantity),
        paid_per_unit=(total / quantity).quantize(_FOURTH) if total is not None and quantity > 0 else None,
    )


def promotion(row: Mapping[str, Any], currency: str) -> Promotion | None:
    """A coupon; None for one that takes nothing off the goods. What we cannot read of it is named in `unknown`."""
    off, remark = amount(row.get("amount"))
    kind = {"percent": "percent_off", "fixed_cart": "amount_off", "fixed_product": "amount_off"}.get(
        text(row.get("discount_type"))
    )
    if kind is not None and off == 0:
        return None
    unknown = ["kind"] if kind is None else []
    if off is None or remark:
        unknown.append("value")
    for name, fact in (
        ("product_categories", "categories"),
        ("excluded_product_categories", "categories"),
        ("email_restrictions", "audience"),
        ("limit_usage_to_x_items", "max_units"),
    ):
        if row.get(name) and fact not in unknown:
            unknown.append(fact)
    expires = moment(row.get("date_expires_gmt"))
    limit, used = count(row.get("usage_limit"))[0], count(row.get("usage_count"))[0]
    least, most = (_optional(row.get(name)) for name in ("minimum_amount", "maximum_amount"))
    return Promotion(
        promotion_id=id_of(row),
        title=title(row.get("description")) or text(row.get("code")),
        kind=kind or "amount_off",
        value=off,
        currency=currency,
        codes=(text(row.get("code")),),
        minimum_amount=least,
        maximum_amount=most,
        ends_at=expires + timedelta(seconds=1) if expires else None,  # that second is still within
        item_ids=_ids(row.get("product_ids")),
        excluded_item_ids=_ids(row.get("excluded_product_ids")),
        is_on_each_unit=row.get("discount_type") == "fixed_product",
        is_alone=row.get("individual_use") is True,
        excludes_on_sale=row.get("exclude_sale_items") is True,
        is_active=row.get("status", "publish") == "publish",
        remaining=max(limit - (used or 0), 0) if limit else None,
        unknown=tuple(unknown),
    )


def _optional(value: Any) -> Decimal | None:
    """A limit, which WooCommerce writes as zero where there is none."""
    found, _remark = amount(value)
    return found or None


def _ids(value: Any) -> tuple[str, ...]:
    return tuple(str(each) for each in value) if isinstance(value, list) else ()


# --- Pages ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Totals:
    """What the headers of a list say; None where they say nothing."""

    rows: int | None
    pages: int | None


def totals(headers: Mapping[str, str]) -> Totals:
    return Totals(*(count(headers.get(name, ""))[0] for name in ("X-WP-Total", "X-WP-TotalPages")))
