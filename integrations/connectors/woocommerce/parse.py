"""WooCommerce's JSON in, plain values out. No network, no clock.

Amounts are text in the shop's currency, "" where there is none; times are those with "_gmt", UTC without an offset.
"""

import re
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
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
    Reading,
    ReadOutcome,
)
from integrations.connectors.values import HalfAnswer, amount, code, count, price, text, title
from integrations.connectors.woocommerce.refusals import row_cause

# What is asked for, of products and variations alike; a product names its variations.
PRODUCT_FIELDS = (
    "id,parent_id,name,type,status,sku,global_unique_id,price,regular_price,manage_stock,stock_quantity,stock_status,"
    "date_modified_gmt,variations"
)
STOCK_FIELDS = "id,parent_id,type,manage_stock,stock_quantity"
ORDER_FIELDS = (
    "id,status,currency,prices_include_tax,date_created_gmt,date_modified_gmt,date_paid_gmt,date_completed_gmt,line_items,"
    "refunds"
)
REFUND_FIELDS = "id,line_items"
COUPON_FIELDS = (
    "id,code,description,status,discount_type,amount,minimum_amount,maximum_amount,date_expires_gmt,product_ids,"
    "excluded_product_ids,product_categories,excluded_product_categories,individual_use,exclude_sale_items,usage_limit,"
    "usage_count,limit_usage_to_x_items,email_restrictions"
)
VARIABLE, GROUPED = "variable", "grouped"

_ID = re.compile(r"[1-9][0-9]{0,19}")
_FOURTH = Decimal("0.0001")
_ORDER_STATUSES = {
    "pending": OrderStatus.UNPAID,
    "on-hold": OrderStatus.UNPAID,
    "processing": OrderStatus.PAID,
    "completed": OrderStatus.FINISHED,
    "cancelled": OrderStatus.CANCELLED,
    "refunded": OrderStatus.CANCELLED,
    "failed": OrderStatus.CANCELLED,
    "trash": OrderStatus.CANCELLED,
}
DRAFT = "checkout-draft"  # a basket: nothing is promised, and nobody tells when it is dropped
_KINDS = {"percent": "percent_off", "fixed_cart": "amount_off", "fixed_product": "amount_off"}


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


def total(headers: Mapping[str, str]) -> int | None:
    """How many rows a list has on all pages; None where its headers do not say."""
    return count(headers.get("X-WP-Total", ""))[0]


def currency(answer: Any) -> str:
    """The ISO code of a currency; raises HalfAnswer where there is none."""
    found = text(answer.get("code")) if isinstance(answer, Mapping) else ""
    if not found:
        raise HalfAnswer("a currency without its code")
    return found


def moment(value: Any) -> datetime | None:
    """A time with "_gmt" in its name as aware UTC; None where there is none, or it cannot be read."""
    try:
        found = datetime.fromisoformat(text(value))
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


# --- Listings -------------------------------------------------------------------------------------------------------


def reading(
    ref: ListingRef,
    products: Mapping[str, Mapping[str, Any]],
    variations: Mapping[str, Mapping[str, Any]],
    *,
    with_amounts: bool = True,
) -> Reading:
    """What the products and variations of a read say about one ref; no amounts where nobody knows their currency."""
    product = products.get(ref.item_id)
    if product is None:
        return Reading(ref.listing_id, ReadOutcome.MISSING, cause="unknown-listing")
    row = product
    if ref.sku_id:
        variation = variations.get(ref.sku_id)
        if variation is None or id_of(variation, "parent_id") not in {"", ref.item_id}:
            return Reading(ref.listing_id, ReadOutcome.MISSING, cause="unknown-variant")
        row = variation
    elif product.get("type") in {VARIABLE, GROUPED}:
        # Its price is the lowest of its variations, which nobody can order it for.
        return Reading(ref.listing_id, ReadOutcome.REFUSED, cause="has-variants")
    facts, remark = _facts(row, product, with_amounts=with_amounts)
    if facts == Facts():
        return Reading(ref.listing_id, ReadOutcome.FAILED, cause=remark or "nothing-usable")
    return Reading(
        ref.listing_id, ReadOutcome.READ, facts, title(product.get("name")), _own_code(row, product, "sku"), remark
    )


def discovered(row: Mapping[str, Any], product: Mapping[str, Any], *, with_amounts: bool = True) -> DiscoveredListing:
    """A product without variations, which is its own `product`, or a variation of one."""
    facts, remark = _facts(row, product, with_amounts=with_amounts)
    is_variation = row is not product
    return DiscoveredListing(
        item_id=id_of(product),
        sku_id=id_of(row) if is_variation else "",
        title=title(product.get("name")),
        outer_id=_own_code(row, product, "sku"),
        facts=facts,
        cause=remark,
        barcode=_own_code(row, product, "global_unique_id"),
        changed_at=moment(row.get("date_modified_gmt")),
    )


def variation_ids(product: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The variations that a product names, each with the product's id before its own."""
    ids = product.get("variations")
    if not isinstance(ids, list):
        raise HalfAnswer("a product without its variations")
    return [(id_of(product), found) for each in ids if is_id(found := text(each))]


def _own_code(row: Mapping[str, Any], product: Mapping[str, Any], name: str) -> str:
    """A code of a product or variation; a variation that has none shows its product's, which is another thing."""
    found = code(row.get(name))
    return "" if row is not product and found == code(product.get(name)) else found


def _facts(row: Mapping[str, Any], product: Mapping[str, Any], *, with_amounts: bool) -> tuple[Facts, str]:
    live, live_remark = price(row.get("price")) if with_amounts else (None, "currency-unknown")
    regular, regular_remark = price(row.get("regular_price")) if with_amounts else (None, "")
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


def own_stock(row: Mapping[str, Any]) -> int | None:
    """What a product or variation shows of a stock of its own; None where none is counted, or its product's is."""
    return count(row.get("stock_quantity"))[0] if row.get("manage_stock") is True else None


@dataclass(frozen=True, slots=True)
class WrittenRow:
    """What a batch says about one row: why it was refused, or the stock it shows now."""

    cause: str = ""
    stock: int | None = None


def written_rows(ids: Sequence[str], answer: Any) -> list[WrittenRow]:
    """What a batch of updates says about each row it was sent; its 200 hides refused rows, and figures dropped."""
    updated = answer.get("update") if isinstance(answer, Mapping) else None
    if not isinstance(updated, list) or [id_of(row) for row in rows(updated)] != list(ids):
        raise HalfAnswer("a batch with other rows than were sent")
    return [_written_row(row) for row in updated]


def _written_row(row: Mapping[str, Any]) -> WrittenRow:
    error = row.get("error")
    if error is not None:
        return WrittenRow(cause=row_cause(text(error.get("code"))))
    stock = own_stock(row)
    return WrittenRow(stock=stock, cause="stock-not-counted" if stock is None else "")


# --- Orders and promotions ------------------------------------------------------------------------------------------


def order(row: Mapping[str, Any], refunds: Iterable[Mapping[str, Any]]) -> Order:
    """An order with its refunds. WooCommerce does not tell whether goods it refunds are back: they are unless sent."""
    created_at, changed_at = moment(row.get("date_created_gmt")), moment(row.get("date_modified_gmt"))
    lines = row.get("line_items")
    if not id_of(row) or created_at is None or changed_at is None or not isinstance(lines, list):
        raise HalfAnswer("an order without its times or lines")
    status = _ORDER_STATUSES.get(text(row.get("status")), OrderStatus.UNKNOWN)
    was_sent = status is OrderStatus.FINISHED or bool(row.get("date_completed_gmt"))
    is_all_refunded = was_sent and status is OrderStatus.CANCELLED
    given_back: Counter[str] = Counter()
    for refund in refunds:
        for line in refund.get("line_items") or ():
            given_back[_refunded_line(line)] += abs(count(line.get("quantity"))[0] or 0)
    read = [_line(line, given_back, with_tax=row.get("prices_include_tax") is True) for line in lines]
    if was_sent:
        read = [
            replace(line, returned=0, refunded=line.quantity if is_all_refunded else line.returned) for line in read
        ]
    return Order(
        order_id=id_of(row),
        status=OrderStatus.FINISHED if is_all_refunded else status,
        created_at=created_at,
        changed_at=changed_at,
        currency=text(row.get("currency")),
        lines=tuple(read),
        paid_at=moment(row.get("date_paid_gmt")),
    )


def _refunded_line(line: Mapping[str, Any]) -> str:
    """The line of the order that a line of a refund takes back; a refund's have ids of their own."""
    for meta in line.get("meta_data") or ():
        if isinstance(meta, Mapping) and meta.get("key") == "_refunded_item_id":
            return text(meta.get("value"))
    return _goods(line)


def _goods(line: Mapping[str, Any]) -> str:
    return f"{id_of(line, 'product_id')}/{id_of(line, 'variation_id')}"


def _line(line: Any, given_back: Counter[str], *, with_tax: bool) -> OrderLine:
    """A line of an order; what of `given_back` it accounts for is taken out."""
    if not isinstance(line, Mapping) or not id_of(line):
        raise HalfAnswer("an order line without its id")
    quantity, _remark = count(line.get("quantity"))
    if quantity is None:
        raise HalfAnswer("an order line without its quantity")
    key = id_of(line) if id_of(line) in given_back else _goods(line)
    back = max(min(given_back[key], quantity), 0)
    given_back[key] -= back
    paid = amount(line.get("total"))[0]
    if with_tax and paid is not None:
        # The prices people see hold the tax, and totals of lines never do.
        tax = amount(line.get("total_tax"))[0]
        paid = None if tax is None else paid + tax
    return OrderLine(
        line_id=id_of(line),
        item_id=id_of(line, "product_id"),
        sku_id=id_of(line, "variation_id"),
        outer_id=code(line.get("sku")),
        quantity=quantity,
        returned=back,
        paid_per_unit=(paid / quantity).quantize(_FOURTH) if paid is not None and quantity > 0 else None,
    )


def promotion(row: Mapping[str, Any], currency: str, product_ids: Container[str]) -> Promotion | None:
    """A coupon; None for one that takes nothing off the goods. What we cannot read of it is named in `unknown`.

    A coupon names products and variations alike: those among `product_ids` are products.
    """
    off, _remark = amount(row.get("amount"))
    kind = _KINDS.get(text(row.get("discount_type")))
    if kind is not None and off == 0:
        return None
    expires_at = moment(row.get("date_expires_gmt"))
    least, most = amount(row.get("minimum_amount"))[0], amount(row.get("maximum_amount"))[0]
    limit, used = count(row.get("usage_limit"))[0], count(row.get("usage_count"))[0]
    included, excluded = _ids(row.get("product_ids")), _ids(row.get("excluded_product_ids"))
    unreadable = {
        "kind": kind is None,
        "value": off is None or off < 0,
        "minimum_amount": least is None and bool(row.get("minimum_amount")),
        "maximum_amount": most is None and bool(row.get("maximum_amount")),
        "ends_at": expires_at is None and bool(row.get("date_expires_gmt")),
        "items": included is None or excluded is None or any(found not in product_ids for found in excluded),
        "categories": bool(row.get("product_categories") or row.get("excluded_product_categories")),
        "audience": bool(row.get("email_restrictions")),
        "max_units": bool(row.get("limit_usage_to_x_items")),
        "remaining": limit is None and bool(row.get("usage_limit")),
    }
    return Promotion(
        promotion_id=id_of(row),
        title=title(row.get("description")) or title(row.get("code")),
        kind=kind or "amount_off",
        value=off,
        currency=currency,
        codes=(text(row.get("code")),),
        # No limit is written as zero.
        minimum_amount=least or None,
        maximum_amount=most or None,
        ends_at=expires_at + timedelta(seconds=1) if expires_at else None,  # that second is still within
        item_ids=tuple(found for found in included or () if found in product_ids),
        sku_ids=tuple(found for found in included or () if found not in product_ids),
        excluded_item_ids=tuple(found for found in excluded or () if found in product_ids),
        is_on_each_unit=row.get("discount_type") == "fixed_product",
        is_alone=row.get("individual_use") is True,
        excludes_on_sale=row.get("exclude_sale_items") is True,
        is_active=row.get("status", "publish") == "publish",
        remaining=max(limit - (used or 0), 0) if limit else None,
        unknown=tuple(name for name, is_unreadable in unreadable.items() if is_unreadable),
    )


def coupon_products(row: Mapping[str, Any]) -> list[str]:
    """The ids of products and variations that a coupon names."""
    return [*(_ids(row.get("product_ids")) or ()), *(_ids(row.get("excluded_product_ids")) or ())]


def _ids(value: Any) -> list[str] | None:
    """The ids of a list; None where it cannot be read."""
    if value is None:
        return []
    found = [text(each) for each in value] if isinstance(value, list) else [""]
    return found if all(is_id(each) for each in found) else None
