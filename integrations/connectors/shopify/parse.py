"""Shopify's JSON in, plain values out. No network, no clock.

Ids are the numbers at the end of Shopify's GIDs, as text: they go beyond what a float holds.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from catalog.facts import Facts, ShelfState
from integrations.connectors.base import (
    DiscoveredListing,
    ListingRef,
    Location,
    Order,
    OrderLine,
    OrderStatus,
    Promotion,
    PushOutcome,
    PushStatus,
    Reading,
    ReadOutcome,
    StockTarget,
    Tokens,
)
from integrations.connectors.http import parse_json
from integrations.connectors.shopify.pacing import Throttle
from integrations.connectors.values import HalfAnswer, amount, code, count, moment, price, text, title

_LONGEST_NUMBER = 20  # digits
_GID = re.compile(r"gid://shopify/[A-Za-z]+/([1-9][0-9]{0,19})(?:\?.*)?")
_ITEM, _LOCATION = "gid://shopify/InventoryItem/", "gid://shopify/Location/"
_LONGEST_LIFE = timedelta(days=3650)


def is_id(value: str) -> bool:
    return value.isdigit() and value.isascii() and value[0] != "0" and len(value) <= _LONGEST_NUMBER


def gid(kind: str, number: str) -> str:
    return f"gid://shopify/{kind}/{number}"


def variant_gids(sku_ids: Iterable[str]) -> list[str]:
    """Each once: nodes(ids:) answers for the places of its list."""
    return list(dict.fromkeys(gid("ProductVariant", sku_id) for sku_id in sku_ids))


def number_of(value: Any) -> str:
    """The number of a GID, or of a REST id; "" where there is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if value > 0 else ""
    if isinstance(value, str) and (match := _GID.fullmatch(value)):
        return match[1]
    found = text(value)
    match = _GID.fullmatch(found)
    return match[1] if match else (found if is_id(found) else "")


# --- Answers --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Page:
    nodes: list[Mapping[str, Any]]
    end: str  # the cursor of the next page, "" on the last


def field(data: Any, *path: str) -> Any:
    """What stands at the path, None where something on it is missing."""
    for name in path:
        data = data.get(name) if isinstance(data, dict) else None
    return data


def page(connection: Any) -> Page:
    """A page of a connection; raises HalfAnswer when it is not one."""
    nodes, info = field(connection, "nodes"), field(connection, "pageInfo")
    if not isinstance(nodes, list) or not isinstance(info, Mapping) or not isinstance(info.get("hasNextPage"), bool):
        raise HalfAnswer("a page without rows or without its end")
    if not all(isinstance(node, Mapping) for node in nodes):
        raise HalfAnswer("a page with rows missing")
    end = text(info.get("endCursor")) if info["hasNextPage"] else ""
    if info["hasNextPage"] and (not end or not nodes):
        raise HalfAnswer("a page that does not say where the next begins")
    return Page(nodes, end)


def known_nodes(data: Any) -> list[Mapping[str, Any]]:
    """What nodes(ids:) found; an id that is not known is left out. Raises HalfAnswer when it is no list."""
    found = field(data, "nodes")
    if not isinstance(found, list):
        raise HalfAnswer("no nodes")
    return [node for node in found if field(node, "id")]


def was_carried_out(data: Any, errors: Iterable[Any]) -> bool:
    """Whether errors beside the data of a mutation are about its payload, which is made once the write is done."""
    if isinstance(data, Mapping) and any(payload is not None for payload in data.values()):
        return True
    paths = [field(error, "path") for error in errors]
    return any(isinstance(path, list) and len(path) > 1 for path in paths)


def throttle(answer: Any) -> Throttle | None:
    """What an answer says of the cost bucket; a call that was turned away took nothing out of it."""
    cost = field(answer, "extensions", "cost")
    requested, actual = field(cost, "requestedQueryCost"), field(cost, "actualQueryCost")
    figures = [
        requested,
        (requested if field(answer, "data") else 0) if actual is None else actual,
        *(field(cost, "throttleStatus", name) for name in ("currentlyAvailable", "maximumAvailable", "restoreRate")),
    ]
    if not all(isinstance(each, int | Decimal) and not isinstance(each, bool) for each in figures):
        return None
    return Throttle(*map(float, figures))


# --- Listings -------------------------------------------------------------------------------------------------------


def readings(batch: Sequence[ListingRef], nodes: Any) -> list[Reading]:
    """What nodes(ids:), asked for the batch's variants, says about each; an unknown id comes as null."""
    if not isinstance(nodes, list):
        raise HalfAnswer("no nodes")
    found = {number_of(node.get("id")): node for node in nodes if isinstance(node, Mapping) and node.get("id")}
    # One that cannot be told from others may be the one that is asked for.
    is_whole = all(node is None or (isinstance(node, Mapping) and (not node or node.get("id"))) for node in nodes)
    return [
        _reading(ref, found.get(ref.sku_id), is_whole and len(nodes) == len({r.sku_id for r in batch})) for ref in batch
    ]


def _reading(ref: ListingRef, variant: Mapping[str, Any] | None, is_whole: bool) -> Reading:
    if variant is None:
        if not is_whole:
            return Reading(ref.listing_id, ReadOutcome.FAILED, cause="unreadable-row")
        return Reading(ref.listing_id, ReadOutcome.MISSING, cause="unknown-variant")
    item_id, _sku_id = ids_of(variant)
    if not item_id:
        return Reading(ref.listing_id, ReadOutcome.FAILED, cause="unreadable-row")
    if item_id != ref.item_id:
        return Reading(ref.listing_id, ReadOutcome.MISSING, cause="unknown-variant")
    facts, remark = _facts(variant)
    if facts == Facts():
        return Reading(ref.listing_id, ReadOutcome.FAILED, cause=remark or "nothing-usable")
    name = title(field(variant, "product", "title"))
    return Reading(ref.listing_id, ReadOutcome.READ, facts, name, code(variant.get("sku")), remark)


def ids_of(variant: Mapping[str, Any]) -> tuple[str, str]:
    """Item id and SKU id."""
    return number_of(field(variant, "product", "id")), number_of(variant.get("id"))


def discovered(variant: Mapping[str, Any]) -> DiscoveredListing:
    item_id, sku_id = ids_of(variant)
    if not item_id or not sku_id:
        raise HalfAnswer("a variant without an id")
    facts, remark = _facts(variant)
    return DiscoveredListing(
        item_id=item_id,
        sku_id=sku_id,
        title=title(field(variant, "product", "title")),
        outer_id=code(variant.get("sku")),
        facts=facts,
        cause=remark,
        barcode=code(variant.get("barcode")),
        stock_id=number_of(field(variant, "inventoryItem", "id")),
        changed_at=moment(variant.get("updatedAt")),
    )


def _facts(variant: Mapping[str, Any]) -> tuple[Facts, str]:
    live, live_remark = price(variant.get("price"))
    before, before_remark = amount(variant.get("compareAtPrice"))
    # A price "compared at" that is not higher is no list price; Shopify shows none then.
    list_price = before if live is not None and before is not None and before > live else live
    stock: int | None = None
    remark = live_remark or before_remark
    if field(variant, "inventoryItem", "tracked") is True:
        stock, stock_remark = count(variant.get("inventoryQuantity"))
        remark = remark or stock_remark
    return Facts(list_price=list_price, live_price=live, stock=stock, shelf_state=_shelf_state(variant, stock)), remark


def _shelf_state(variant: Mapping[str, Any], stock: int | None) -> ShelfState:
    match field(variant, "product", "status"):
        case "DRAFT" | "ARCHIVED":
            return ShelfState.OFF_SHELF
        case "ACTIVE" | "UNLISTED":
            is_over = variant.get("inventoryPolicy") == "DENY" and stock is not None and stock <= 0
            return ShelfState.SOLD_OUT if is_over else ShelfState.ON_SHELF
        case _:
            return ShelfState.UNKNOWN


# --- Stock ----------------------------------------------------------------------------------------------------------


def location(node: Mapping[str, Any]) -> Location:
    number = number_of(node.get("id"))
    if not number:
        raise HalfAnswer("a location without an id")
    return Location(number, title(node.get("name")), node.get("isActive") is not False)


def levels(nodes: Iterable[Mapping[str, Any]]) -> dict[str, int | None]:
    """What each location can sell, by location."""
    found: dict[str, int | None] = {}
    for node in nodes:
        number = number_of(field(node, "location", "id"))
        quantities = node.get("quantities")
        if not number or not isinstance(quantities, list):
            raise HalfAnswer("a stock level without its location")
        available = [each for each in quantities if field(each, "name") == "available"]
        found[number] = count(field(available[0], "quantity"))[0] if available else None
    return found


@dataclass(frozen=True, slots=True)
class WriteError:
    """One userError of a stock write; `row` is the index of the quantity it is about, None for all of them."""

    row: int | None
    code: str
    message: str


def write_errors(payload: Any) -> list[WriteError]:
    """The userErrors; raises HalfAnswer when there is no list of them, which is no answer to a write."""
    errors = field(payload, "userErrors")
    if not isinstance(errors, list):
        raise HalfAnswer("a write without its errors")
    return [
        WriteError(_row(field(each, "field")), text(field(each, "code")), text(field(each, "message")))
        for each in errors
    ]


def _row(path: Any) -> int | None:
    parts = [text(part) for part in path] if isinstance(path, list) else []
    if "quantities" in parts[:-1]:
        index = parts[parts.index("quantities") + 1]
        return int(index) if index.isdigit() and len(index) < 4 else None
    return None


def changed_rows(payload: Any) -> set[tuple[str, str]]:
    """The inventory items and locations that the write says it changed."""
    changed = set()
    for change in field(payload, "inventoryAdjustmentGroup", "changes") or []:
        try:
            name, item, location = change["name"], change["item"]["id"], change["location"]["id"]
        except (KeyError, TypeError):
            continue  # it names no row
        if name == "available":
            changed.add((_number_behind(_ITEM, item), _number_behind(_LOCATION, location)))
    return changed


def _number_behind(prefix: str, value: Any) -> str:
    """As number_of(), for the GIDs of thousands of rows that begin alike."""
    if isinstance(value, str) and value.startswith(prefix) and (number := value[len(prefix) :]).isdigit():
        return number
    return number_of(value)


def written(target: StockTarget, stock_id: str, location_id: str, changed: set[tuple[str, str]]) -> PushOutcome:
    """A row of a write without errors. Nothing changes where the figure was there already."""
    listing_id, _item, _sku, quantity, expected, location, _stock = target
    if expected is not None and expected != quantity and (stock_id, location_id) not in changed:
        return PushOutcome(listing_id, location, PushStatus.UNKNOWN, "not-confirmed")
    return PushOutcome(listing_id, location, PushStatus.APPLIED, "", quantity)


# --- Orders and promotions ------------------------------------------------------------------------------------------


# Where an order stands as long as nothing of it was shipped. Of any other word we cannot tell.
_NOT_SHIPPED = frozenset(
    {"UNFULFILLED", "OPEN", "ON_HOLD", "SCHEDULED", "PENDING_FULFILLMENT", "REQUEST_DECLINED", "RESTOCKED"}
)
_NOT_PAID = frozenset({"PENDING", "EXPIRED", "AUTHORIZED", "VOIDED"})


class _Refunded(NamedTuple):
    """Units of the lines of an order that its refunds name, by the id of the line."""

    put_back: Counter[str]  # into stock
    kept_out: Counter[str]  # they are with the buyer, or not to be sold again


def is_some_taken_out(lines: Sequence[Mapping[str, Any]]) -> bool:
    """Whether refunds or removals left fewer units in an order than were ordered."""
    return any(line.get("currentQuantity") != line.get("quantity") for line in lines)


def order(node: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> Order:
    """An order with all of its lines, and its `refunds` where they were asked for.

    Only what a refund says was put back into stock counts as returned: `currentQuantity` falls as well by what the
    buyer keeps. Where no refund tells it, the goods stay sold.
    """
    order_id, created_at, changed_at = (
        number_of(node.get("id")),
        moment(node.get("createdAt")),
        moment(node.get("updatedAt")),
    )
    if not order_id or created_at is None or changed_at is None:
        raise HalfAnswer("an order without its id or times")
    currency, refunded = text(node.get("currencyCode")), _refunded(node)
    is_here = node.get("displayFulfillmentStatus") in _NOT_SHIPPED
    read = tuple(_line(line, refunded, currency, is_here=is_here) for line in lines)
    status = _order_status(
        node,
        is_all_back=bool(read) and all(line.returned == line.quantity for line in read),
        is_some_out=any(refunded.kept_out[line.line_id] for line in read),
    )
    is_paid = status not in {OrderStatus.UNPAID, OrderStatus.CANCELLED, OrderStatus.UNKNOWN}
    return Order(
        order_id=order_id,
        status=status,
        created_at=created_at,
        changed_at=changed_at,
        currency=currency,
        lines=read,
        paid_at=moment(node.get("processedAt"))
        if is_paid and node.get("displayFinancialStatus") not in _NOT_PAID
        else None,
        is_test=node.get("test") is True,
    )


def _order_status(node: Mapping[str, Any], *, is_all_back: bool, is_some_out: bool) -> OrderStatus:
    """What became of the goods, so far as it is told; what the buyer paid or got back says it only before dispatch."""
    shipped = node.get("displayFulfillmentStatus")
    is_sent, is_here = shipped == "FULFILLED", shipped in _NOT_SHIPPED
    financial = node.get("displayFinancialStatus")
    if node.get("cancelledAt") or financial == "VOIDED":
        if is_here:
            return OrderStatus.FINISHED if is_some_out else OrderStatus.CANCELLED
        return OrderStatus.SENT if is_sent else OrderStatus.PAID
    match financial:
        case "PENDING" | "EXPIRED":
            return OrderStatus.SENT if is_sent else OrderStatus.UNPAID
        case "REFUNDED" if is_here and is_all_back:
            return OrderStatus.CANCELLED
        # Authorised: the buyer has paid as far as it is up to them, and shops that capture on dispatch send it now.
        case "PAID" | "AUTHORIZED" | "PARTIALLY_PAID" | "PARTIALLY_REFUNDED" | "REFUNDED":
            return OrderStatus.SENT if is_sent else OrderStatus.PAID
        case _:
            return OrderStatus.UNKNOWN


def _refunded(node: Mapping[str, Any]) -> _Refunded:
    """What cannot be read, or is on a page that we did not ask for, is in neither."""
    found = _Refunded(Counter(), Counter())
    refunds = node.get("refunds")
    for refund in refunds if isinstance(refunds, list) else ():
        for row in field(refund, "refundLineItems", "nodes") or ():
            units, line_id = field(row, "quantity"), number_of(field(row, "lineItem", "id"))
            if isinstance(units, int) and not isinstance(units, bool) and units > 0:
                match field(row, "restocked"):
                    case True:
                        found.put_back[line_id] += units
                    case False:
                        found.kept_out[line_id] += units
    return found


def _line(node: Mapping[str, Any], refunded: _Refunded, currency: str, *, is_here: bool) -> OrderLine:
    line_id, ordered, kept = number_of(node.get("id")), node.get("quantity"), node.get("currentQuantity")
    if not line_id or not isinstance(ordered, int) or not isinstance(kept, int):
        raise HalfAnswer("an order line without its quantity")
    returned = min(refunded.put_back[line_id], ordered)
    untold = max(ordered - kept - returned - refunded.kept_out[line_id], 0)
    return OrderLine(
        line_id=line_id,
        item_id=number_of(field(node, "product", "id")),
        sku_id=number_of(field(node, "variant", "id")),
        outer_id=code(node.get("sku")),
        quantity=ordered,
        returned=returned,
        refunded=0 if is_here else untold,
        paid_per_unit=_money(field(node, "discountedUnitPriceAfterAllDiscountsSet", "shopMoney"), currency),
    )


def promotion(node: Mapping[str, Any], currency: str) -> Promotion | None:
    """A discount; None for one that has ended. A kind or a fact that we cannot read is named in `unknown`."""
    discount = field(node, "discount")
    number = number_of(node.get("id")) or text(node.get("id"))
    if not number or not isinstance(discount, Mapping):
        raise HalfAnswer("a discount without an id")
    if discount.get("status") == "EXPIRED":
        return None
    unknown: list[str] = []
    name = discount.get("__typename")
    if name not in {"DiscountCodeBasic", "DiscountAutomaticBasic"}:
        return Promotion(
            number, title(discount.get("title")) or text(name), "amount_off", None, currency, unknown=("kind",)
        )
    kind, value, on_each = _effect(field(discount, "customerGets", "value"), currency, unknown)
    item_ids, sku_ids = _scope(discount.get("customerGets"), unknown)
    starts_at, ends_at = moment(discount.get("startsAt")), moment(discount.get("endsAt"))
    if starts_at is None:
        unknown.append("starts_at")
    if ends_at is None and discount.get("endsAt") is not None:
        unknown.append("ends_at")
    least, pieces = _minimum(discount.get("minimumRequirement"), currency, unknown)
    codes = tuple(text(field(each, "code")) for each in field(discount, "codes", "nodes") or ())
    if name == "DiscountCodeBasic" and not (codes and all(codes)):
        unknown.append("codes")  # without one it would be taken for one that applies by itself
    if field(discount, "context", "__typename") != "DiscountBuyerSelectionAll":
        unknown.append("customers")  # for some customers only, or some markets
    combines = {field(discount, "combinesWith", each) for each in ("orderDiscounts", "productDiscounts")}
    if combines not in ({True}, {False}):
        unknown.append("combination")
    limit, used = discount.get("usageLimit"), discount.get("asyncUsageCount")
    return Promotion(
        promotion_id=number,
        title=title(discount.get("title")),
        kind=kind,
        value=value,
        currency=currency,
        codes=codes,
        minimum_amount=least,
        minimum_quantity=pieces,
        starts_at=starts_at,
        ends_at=ends_at,
        item_ids=item_ids,
        sku_ids=sku_ids,
        is_on_each_unit=on_each,
        is_alone=combines == {False},
        remaining=max(limit - used, 0) if isinstance(limit, int) and isinstance(used, int) else None,
        unknown=tuple(unknown),
    )


def _effect(value: Any, currency: str, unknown: list[str]) -> tuple[str, Decimal | None, bool]:
    match field(value, "__typename"):
        case "DiscountPercentage":
            share = field(value, "percentage")
            if isinstance(share, int | Decimal) and not isinstance(share, bool):
                return "percent_off", Decimal(share) * 100, False  # 0.2 is 20 %
        case "DiscountAmount":
            off = _money(field(value, "amount"), currency)
            if off is not None:
                return "amount_off", off, field(value, "appliesOnEachItem") is True
    unknown.append("value")
    return "amount_off", None, False


def _scope(gets: Any, unknown: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The items and the variants that it is for; both empty: all items, unless "scope" is unknown."""
    items = (
        field(gets, "items") if field(gets, "appliesOnOneTimePurchase") is True else None
    )  # else: subscriptions only
    match field(items, "__typename"):
        case "AllDiscountItems":
            return (), ()
        case "DiscountProducts":
            products, variants = _whole_list(field(items, "products")), _whole_list(field(items, "productVariants"))
            if products is not None and variants is not None and (products or variants):
                return products, variants
    unknown.append("scope")
    return (), ()


def _whole_list(connection: Any) -> tuple[str, ...] | None:
    """The ids of a list that is told whole; None where it is not, or one cannot be read."""
    nodes = field(connection, "nodes")
    if not isinstance(nodes, list) or field(connection, "pageInfo", "hasNextPage") is not False:
        return None
    ids = tuple(number_of(field(node, "id")) for node in nodes)
    return ids if all(ids) else None


def _minimum(requirement: Any, currency: str, unknown: list[str]) -> tuple[Decimal | None, int | None]:
    if requirement is None:
        return None, None
    match field(requirement, "__typename"):
        case "DiscountMinimumSubtotal":
            least = _money(field(requirement, "greaterThanOrEqualToSubtotal"), currency)
            if least is not None:
                return least, None
        case "DiscountMinimumQuantity":
            pieces = count(field(requirement, "greaterThanOrEqualToQuantity"))[0]
            if pieces is not None:
                return None, pieces
    unknown.append("minimum")
    return None, None


def _money(value: Any, currency: str) -> Decimal | None:
    return amount(field(value, "amount"))[0] if field(value, "currencyCode") == currency else None


# --- Tokens and bulk results ----------------------------------------------------------------------------------------


def tokens(answer: Any, now: datetime, shop: str) -> Tokens:
    """Tokens of the token endpoint, their ends counted from now; one without an end stays valid."""
    access_token = text(field(answer, "access_token"))
    if not access_token:
        raise HalfAnswer("no access token")
    return Tokens(
        access_token=access_token,
        refresh_token=text(field(answer, "refresh_token")),
        expires_at=_end(field(answer, "expires_in"), now) or now + _LONGEST_LIFE,
        refresh_expires_at=_end(field(answer, "refresh_token_expires_in"), now),
        account_id=shop,
        account_name=shop,
    )


def _end(seconds: Any, now: datetime) -> datetime | None:
    found, _remark = count(seconds)
    return None if found is None else now + min(timedelta(seconds=max(found, 0)), _LONGEST_LIFE)


def bulk_rows(lines: Iterable[bytes], total: Any, *, skipped: int = 0) -> Iterator[Mapping[str, Any]]:
    """The rows of a bulk result without the first `skipped`.

    Raises HalfAnswer when they are not, with those, the `total` that the operation counted.
    """
    found = 0
    for line in filter(None, map(bytes.strip, lines)):
        if found < skipped:
            found += 1
            continue
        try:
            row = parse_json(line)
        except ValueError as error:
            raise HalfAnswer("a line of a bulk result that is no JSON") from error
        if not isinstance(row, Mapping):
            raise HalfAnswer("a line of a bulk result that is no object")
        found += 1
        yield row
    if count(total)[0] != found:
        raise HalfAnswer("a bulk result with rows missing")
