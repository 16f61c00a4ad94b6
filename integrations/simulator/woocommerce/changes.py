"""Writing products and variations: what may be sent, and what it does to prices, stock and the shelf."""

from dataclasses import replace
from datetime import UTC
from decimal import Decimal
from typing import Any

from integrations.simulator.woocommerce import views
from integrations.simulator.woocommerce.calls import Call
from integrations.simulator.woocommerce.errors import Refusal
from integrations.simulator.woocommerce.parameters import FLAG, TEXT, WHOLE, Parameter, cents, instant, whole
from integrations.simulator.woocommerce.selection import STATUSES, STOCK_STATUSES, view_of
from integrations.simulator.woocommerce.sites import Sale, Site
from integrations.simulator.woocommerce.views import PLAIN, VARIABLE, VARIATION, View
from integrations.simulator.world import IN_STOCK, ON_SALE, Item, Row, World

LATER = Parameter("optional date-time")
SELLING = {
    "status": Parameter("string", STATUSES[1:]),
    "sku": TEXT,
    "global_unique_id": TEXT,
    "regular_price": TEXT,
    "sale_price": TEXT,
    "date_on_sale_from": LATER,
    "date_on_sale_from_gmt": LATER,
    "date_on_sale_to": LATER,
    "date_on_sale_to_gmt": LATER,
    "stock_quantity": WHOLE,
    "inventory_delta": Parameter("number"),
    "stock_status": Parameter("string", STOCK_STATUSES),
    "backorders": Parameter("string", ("no", "notify", "yes")),
    "low_stock_amount": Parameter("integer", nullable=True),
    **{name: Parameter({bool: "boolean", int: "integer", str: "string"}[type(value)]) for name, value in PLAIN.items()},
}
PRODUCT_WRITE = {
    **SELLING,
    "name": TEXT,
    "type": Parameter("string", ("simple", "variable")),
    "manage_stock": FLAG,
    "categories": Parameter("objects"),
}
VARIATION_WRITE = {**SELLING, "manage_stock": Parameter("managed"), "attributes": Parameter("objects")}


def new_row(world: World, sku_id: int) -> Row:
    return Row(
        sku_id=sku_id,
        outer_id="",
        properties="",
        properties_name="",
        price=0,
        live_price=0,
        quantity=0,
        held=0,
        modified=world.now,
        reference_price=0,
        daily_demand=1.0,
        elasticity=1.5,
    )


def check_codes(world: World, site: Site, sent: dict[str, Any], owner: int | None) -> None:
    """Refuse an SKU or a GTIN that another product or variation of the shop has."""
    for name, code, message in (
        ("sku", "product_invalid_sku", "Invalid or duplicated SKU."),
        (
            "global_unique_id",
            "product_invalid_global_unique_id",
            "Invalid or duplicated GTIN, UPC, EAN or ISBN.",
        ),
    ):
        value = sent.get(name)
        if not value:
            continue
        for item in world.own_items(site.shop):
            holders = [(item.num_iid, item.outer_id, "")] if views.kind_of(item) == VARIABLE else []
            holders += [(row.sku_id or item.num_iid, row.outer_id, row.barcode) for row in item.sellable_rows()]
            for id, sku, barcode in holders:
                if id != owner and value == (sku if name == "sku" else barcode):
                    raise Refusal(code, message, 400, resource_id=id, **{f"unique_{name}": f"{value}-1"})


def change(world: World, call: Call, item: Item, row: Row | None) -> None:
    """Apply what was sent to a product (row None where it has variations) or a variation; what is absent stays."""
    sent, site = call.checked, call.site
    view = view_of(world, call, item, row)
    check_codes(world, site, sent, view.id)
    prices, categories = _prices(sent), _categories(sent)  # refused before anything is changed
    before = _facts(view)
    if "name" in sent:
        item.title = sent["name"]
    if categories is not None:
        view.details.categories = categories
    if "status" in sent and view.kind != VARIATION:
        site.trashed.pop(str(item.num_iid), None)
        set_status(site, item, sent["status"])
    if "sku" in sent:
        if row is not None:
            row.outer_id = sent["sku"]
        if view.kind != VARIATION:
            item.outer_id = sent["sku"]
    if row is not None and "global_unique_id" in sent:
        row.barcode = sent["global_unique_id"]
    view.details.plain.update({name: sent[name] for name in PLAIN if name in sent})
    if row is not None:
        _change_prices(world, site, view, row, prices, sent)
    _change_stock(world, site, item, row, view, sent)
    if _facts(view_of(world, call, item, row)) != before:
        world.touch(item, world.now, row)
        world.changed()


def _prices(sent: dict[str, Any]) -> dict[str, int | None]:
    return {name: cents(name, sent[name]) for name in ("regular_price", "sale_price") if name in sent}


def _categories(sent: dict[str, Any]) -> list[int] | None:
    return [whole(entry, "id") for entry in sent["categories"]] if "categories" in sent else None


def properties_of(sent: dict[str, Any]) -> str:
    """As the world keeps them; see Row.properties_name."""
    return ";".join(
        f"{whole(entry, 'id')}:0:{entry.get('name') or 'Option'}:{entry.get('option', '')}"
        for entry in sent.get("attributes", ())
    )


def check_new(world: World, site: Site, sent: dict[str, Any]) -> None:
    """Refuse what cannot be created before a part of it is."""
    check_codes(world, site, sent, None)
    _prices(sent)
    _categories(sent)


def _facts(view: View) -> dict[str, Any]:
    fields = views.VARIATION_FIELDS if view.kind == VARIATION else views.PRODUCT
    return {name: field(view) for name, field in fields.items() if not name.startswith("date_modified")}


def _change_prices(
    world: World, site: Site, view: View, row: Row, prices: dict[str, int | None], sent: dict[str, Any]
) -> None:
    dates = [name for name in sent if name.startswith("date_on_sale_")]
    if not prices and not dates:
        return
    details = view.details
    sale = Sale(None) if view.sale is None else replace(view.sale)
    if "regular_price" in prices:
        regular = prices["regular_price"]
        details.unpriced = regular is None
        if regular is not None:
            row.price = row.reference_price = regular
    if "sale_price" in prices:
        # Without a price there is no sale, and no dates of one.
        sale = Sale(None) if prices["sale_price"] is None else replace(sale, price=prices["sale_price"])
    for name in sorted(dates):  # the one in UTC is read last, and wins
        side = "starts_at" if "_from" in name else "ends_at"
        zone = site.zone if not name.endswith("_gmt") else UTC
        setattr(sale, side, instant(sent[name], zone) if sent[name] else None)
    details.sale = None if sale == Sale(None) else sale
    if details.sale is not None and view.item.num_iid not in site.with_sales:
        site.with_sales.append(view.item.num_iid)
    holds = sale.price is not None and sale.holds(row.price, world.now)
    row.set_prices(row.price, sale.price if holds and sale.price is not None else row.price)


def _change_stock(world: World, site: Site, item: Item, row: Row | None, view: View, sent: dict[str, Any]) -> None:
    """Without stock management a quantity is dropped without a word; with it, the status follows from the quantity."""
    details = view.details
    if "manage_stock" in sent and sent["manage_stock"] != "parent":
        if sent["manage_stock"] and not details.manage_stock and row is not None:
            row.add(-row.quantity)
        details.manage_stock = sent["manage_stock"]
    if not details.manage_stock:
        # A variation whose product counts for it takes the quantity and shows the product's all the same.
        details.backorders, details.low_stock_amount = "no", None
        if "stock_status" in sent:
            details.stock_status = sent["stock_status"]
            _let_sell(row, details.stock_status != views.OUT_OF_STOCK)
        return
    if "backorders" in sent:
        details.backorders = sent["backorders"]
    if "low_stock_amount" in sent:
        details.low_stock_amount = sent["low_stock_amount"]
    rows = [row] if row is not None else views.units_sold_together(site, item)
    now_there = sum(found.quantity for found in rows)
    if "stock_quantity" in sent:
        wanted_units = sent["stock_quantity"]
    elif "inventory_delta" in sent:
        wanted_units = now_there + int(Decimal(sent["inventory_delta"]))
    else:
        return
    share, rest = divmod(wanted_units, len(rows)) if rows else (0, 0)
    for index, found in enumerate(rows):
        found.add(share + (1 if index < rest else 0) - found.quantity)


def _let_sell(row: Row | None, sells: bool) -> None:
    """The market sells units; where none are counted it gets enough of them, or none."""
    if row is not None and sells != (row.quantity > 0):
        row.add(1_000 if sells else -row.quantity)


def set_status(site: Site, item: Item, status: str) -> None:
    details = site.details_of(item)
    if status == "publish":
        item.approve_status, item.shelf_reason = ON_SALE, ""
    else:
        item.approve_status, item.shelf_reason = IN_STOCK, "off_shelf"
        details.hidden_as = status
    item.back_on_shelf_at = None


def remove(world: World, item: Item, row: Row | None) -> None:
    world.force(
        num_iid=item.num_iid,
        sku_id=None if row is None else row.sku_id,
        price=None,
        live_price=None,
        quantity=None,
        approve_status=None,
        title=None,
        delete=True,
    )
