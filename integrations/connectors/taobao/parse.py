"""TOP's JSON in, plain values out. No network, no clock.

A price that is not a positive amount in yuan and a stock that is not a count become None with a remark, since a fact
that cannot be right is a fact that was not supplied. Prices are strings in yuan; shop times are GMT+8.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote

from catalog.facts import Facts, ShelfState
from integrations.connectors.base import DiscoveredListing, ListingRef, Reading, ReadOutcome, Tokens
from integrations.connectors.taobao.values import count, identity, shop_time, yuan
from integrations.connectors.values import HalfAnswer, code, text, title

# What of an item is asked for; variants by their own names, so that their pictures and properties stay out.
ITEM_FIELDS = (
    "num_iid,title,price,num,approve_status,outer_id,modified,sku.sku_id,sku.price,sku.quantity,sku.outer_id,sku.status"
)
SKU_FIELDS = "num_iid,sku_id,price,quantity,outer_id,status"
COMPETITOR_FIELDS = "num_iid,title,reserve_price,zk_final_price,sale_price"

_NOTHING = Facts()
_LONGEST_LIFE = timedelta(days=3650)
_LEVELS = ("r1", "r2", "w1", "w2")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An `error_response`; code and sub_code as text, "" where the platform left one out."""

    code: str
    sub_code: str = ""
    message: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of an answer by their id.

    `complete` is False when a row could not be identified: then an id that is not among them may still have been
    answered, and must not be called missing.
    """

    by_id: dict[str, dict[str, Any]]
    complete: bool = True


# --- Answers --------------------------------------------------------------------------------------------------------


def refusal(answer: Any) -> Refusal | None:
    """The refusal in an answer, None when it is not one."""
    error = answer.get("error_response") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        return None
    message = text(error.get("sub_msg")) or text(error.get("msg"))
    return Refusal(
        code=text(error.get("code")),
        sub_code=text(error.get("sub_code")),
        message=message,
        request_id=text(error.get("request_id")),
    )


def body(answer: Any, root: str) -> dict[str, Any]:
    """What is under the answer's root key; raises HalfAnswer when it is not there as documented."""
    found = answer.get(root) if isinstance(answer, dict) else None
    if not isinstance(found, dict):
        raise HalfAnswer(f"no {root}")
    return found


def rows(answer_body: Mapping[str, Any], outer: str, inner: str, id_field: str) -> Rows:
    """The rows in the list at outer.inner, by id_field; raises HalfAnswer when the list is of another shape.

    The platform leaves the list out when it is empty. An answer cut short would look the same, so an empty one counts
    only when it bears a request id or a total, as whole answers do.
    """
    found: Any = answer_body.get(outer, {})
    found = found.get(inner, []) if isinstance(found, dict) else None
    if not isinstance(found, list):
        raise HalfAnswer(f"no list in {outer}.{inner}")
    if not found and "request_id" not in answer_body and "total_results" not in answer_body:
        raise HalfAnswer(f"nothing under {outer}")
    return _by_id(found, id_field)


def variants(item: Mapping[str, Any]) -> Rows | None:
    """The variants an item came with, by SKU id; None when it came without the list."""
    skus = item.get("skus")
    found = skus.get("sku") if isinstance(skus, dict) else None
    return _by_id(found, "sku_id") if isinstance(found, list) else None


def server_time(answer_body: Mapping[str, Any]) -> datetime:
    """The platform's clock (aware UTC); raises HalfAnswer when it cannot be read."""
    return shop_time(answer_body.get("time"))


def modified_at(row: Mapping[str, Any]) -> datetime:
    """When a listed item was last changed (aware UTC); raises HalfAnswer when it cannot be read."""
    return shop_time(row.get("modified"))


def total_results(answer_body: Mapping[str, Any]) -> int | None:
    """How many rows all pages have together; None when the answer does not say."""
    return count(answer_body.get("total_results"))[0]


def shop_name(row: Any) -> str:
    """Whose an item or a seller's own row is; "" when it does not say."""
    return title(row.get("nick")) if isinstance(row, dict) else ""


# --- Readings -------------------------------------------------------------------------------------------------------


def own_reading(ref: ListingRef, items: Rows, fetched_variants: Rows | None) -> Reading:
    """What the read of an own item says about one ref.

    `fetched_variants` are those asked for separately, for items that came without theirs.
    """
    item = items.by_id.get(ref.item_id)
    if item is None:
        return _absent(ref, items, "unknown-listing")
    if not ref.sku_id:
        facts, remark = _item_facts(item)
        return _read(ref, facts, remark, item, item)
    found = variants(item)
    if found is None:
        found = fetched_variants or Rows({})
    variant = found.by_id.get(ref.sku_id)
    if variant is None:
        return _absent(ref, found, "unknown-variant")
    if variant.get("status") == "delete":
        return Reading(ref.listing_id, ReadOutcome.MISSING, cause="variant-deleted")
    if identity(variant.get("num_iid")) not in {None, ref.item_id}:
        return Reading(ref.listing_id, ReadOutcome.MISSING, cause="unknown-variant")
    facts, remark = _variant_facts(item, variant)
    return _read(ref, facts, remark, item, variant)


def competitor_reading(ref: ListingRef, items: Rows) -> Reading:
    """What an affiliate read says about one item: its prices, never its stock or shelf state."""
    item = items.by_id.get(ref.item_id)
    if item is None:
        return _absent(ref, items, "unknown-listing")
    list_price, list_remark = yuan(item.get("reserve_price"))
    live_price, live_remark = yuan(item.get("zk_final_price"))
    promotion_price, promotion_remark = yuan(item.get("sale_price"))
    facts = Facts(list_price=list_price, live_price=live_price, promotion_price=promotion_price)
    return _read(ref, facts, list_remark or live_remark or promotion_remark, item, {})


def discovered(item_id: str, item: Mapping[str, Any]) -> Iterator[DiscoveredListing]:
    """The listings an item stands for: its variants, or itself when it has none. Raises HalfAnswer."""
    name = title(item.get("title"))
    changed_at = None if item.get("modified") is None else modified_at(item)
    found = variants(item)
    if found is None or (found.complete and not found.by_id):
        facts, remark = _item_facts(item)
        own_code = code(item.get("outer_id"))
        yield DiscoveredListing(item_id, "", name, own_code, facts, cause=remark, changed_at=changed_at)
        return
    if not found.complete:
        raise HalfAnswer("a variant without an id")
    for sku_id, variant in found.by_id.items():
        if variant.get("status") != "delete":
            facts, remark = _variant_facts(item, variant)
            own_code = code(variant.get("outer_id"))
            yield DiscoveredListing(item_id, sku_id, name, own_code, facts, cause=remark, changed_at=changed_at)


def _item_facts(item: Mapping[str, Any]) -> tuple[Facts, str]:
    return _own_facts(item.get("price"), item.get("num"), item.get("approve_status"))


def _variant_facts(item: Mapping[str, Any], variant: Mapping[str, Any]) -> tuple[Facts, str]:
    return _own_facts(variant.get("price"), variant.get("quantity"), item.get("approve_status"))


def _own_facts(price: Any, stock: Any, approve_status: Any) -> tuple[Facts, str]:
    # `price` is the shop's list price; what buyers pay today is not in this answer.
    list_price, price_remark = yuan(price)
    units, stock_remark = count(stock)
    match approve_status:
        case "onsale":
            shelf_state = ShelfState.SOLD_OUT if units == 0 else ShelfState.ON_SHELF
        case "instock":
            shelf_state = ShelfState.OFF_SHELF
        case _:
            shelf_state = ShelfState.UNKNOWN
    return Facts(list_price=list_price, stock=units, shelf_state=shelf_state), price_remark or stock_remark


def _read(ref: ListingRef, facts: Facts, remark: str, item: Mapping[str, Any], coded: Mapping[str, Any]) -> Reading:
    if facts == _NOTHING:
        return Reading(ref.listing_id, ReadOutcome.FAILED, cause=remark or "nothing-usable")
    name, own_code = title(item.get("title")), code(coded.get("outer_id"))
    return Reading(ref.listing_id, ReadOutcome.READ, facts, name, own_code, remark)


def _absent(ref: ListingRef, found: Rows, cause: str) -> Reading:
    if found.complete:
        return Reading(ref.listing_id, ReadOutcome.MISSING, cause=cause)
    return Reading(ref.listing_id, ReadOutcome.FAILED, cause="unreadable-row")


# --- Tokens ---------------------------------------------------------------------------------------------------------


def token_refusal(answer: Any) -> Refusal | None:
    """The refusal of the authorisation server, which has its own form."""
    if not isinstance(answer, dict) or "error" not in answer:
        return None
    return Refusal(code=text(answer["error"]) or "error", message=text(answer.get("error_description")))


def tokens(answer: Any, now: datetime) -> Tokens:
    """Tokens of an authorisation answer, with their ends counted from now; raises HalfAnswer."""
    if not isinstance(answer, dict):
        raise HalfAnswer("no tokens")
    access_token, expires_at = text(answer.get("access_token")), _end(answer.get("expires_in"), now)
    if not access_token or expires_at is None:
        raise HalfAnswer("no access token with an end")
    refresh_seconds, _ = count(answer.get("re_expires_in"))
    return Tokens(
        access_token=access_token,
        # A refresh token that lives for 0 seconds is how the platform says that this app cannot refresh.
        refresh_token="" if refresh_seconds == 0 else text(answer.get("refresh_token")),
        expires_at=expires_at,
        refresh_expires_at=_end(refresh_seconds, now) if refresh_seconds else None,
        levels={name: end for name in _LEVELS if (end := _end(answer.get(f"{name}_expires_in"), now))},
        account_id=identity(answer.get("taobao_user_id")) or "",
        account_name=title(unquote(text(answer.get("taobao_user_nick")))),
    )


def _end(seconds: Any, now: datetime) -> datetime | None:
    whole, _ = count(seconds)
    return None if whole is None else now + min(timedelta(seconds=whole), _LONGEST_LIFE)


# --- Rows -----------------------------------------------------------------------------------------------------------


def _by_id(found: list[Any], id_field: str) -> Rows:
    by_id: dict[str, dict[str, Any]] = {}
    complete = True
    for row in found:
        row_id = identity(row.get(id_field)) if isinstance(row, dict) else None
        if row_id is None:
            complete = False
        else:
            by_id[row_id] = row
    return Rows(by_id, complete)
