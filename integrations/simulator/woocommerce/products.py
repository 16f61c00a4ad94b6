"""`products` and their `variations`: reading, the traps of writing, and deletion."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

from integrations.simulator.woocommerce import batch, views
from integrations.simulator.woocommerce.calls import (
    CREATE,
    DELETE,
    EDIT,
    READ,
    Answer,
    Call,
    Route,
    created,
    page,
    wanted,
)
from integrations.simulator.woocommerce.errors import Refusal, forbidden, invalid, invalid_id
from integrations.simulator.woocommerce.parameters import (
    COLLECTION,
    FLAG,
    IDS,
    TEXT,
    WHOLE,
    Parameter,
    cents,
    instant,
    whole,
)
from integrations.simulator.woocommerce.sites import Sale, Site
from integrations.simulator.woocommerce.views import PLAIN, SIMPLE, TRASH, VARIABLE, VARIATION, View
from integrations.simulator.world import IN_STOCK, ON_SALE, Item, Row, World

STATUSES = ("any", "future", "trash", "draft", "pending", "private", "publish")
STOCK_STATUSES = ("instock", "outofstock", "onbackorder")
ORDER_BY = ("date", "id", "include", "title", "slug", "price", "popularity", "rating", "menu_order", "modified")
LATER = Parameter("optional date-time")

PRODUCT_LIST = {
    **COLLECTION,
    "orderby": Parameter("string", ORDER_BY, default="date"),
    "parent": IDS,
    "parent_exclude": IDS,
    "slug": TEXT,
    "status": Parameter("string", STATUSES, default="any"),
    "type": Parameter("string", ("simple", "grouped", "external", "variable", "variation")),
    "sku": TEXT,
    "category": TEXT,
    "on_sale": FLAG,
    "stock_status": Parameter("string", STOCK_STATUSES),
    "min_price": TEXT,
    "max_price": TEXT,
}
VARIATION_LIST = {name: rule for name, rule in PRODUCT_LIST.items() if name not in ("type", "category", "parent")}
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
ONE = {"context": COLLECTION["context"]}
REMOVE = {"force": Parameter("boolean", default=False)}


class Products:
    """The product routes. `changed` is told (topic, id) of what webhooks report and the world does not."""

    def __init__(self, changed: Callable[[Call, str, int], None]) -> None:
        self.changed = changed

    def routes(self) -> list[Route]:
        one, variation = "products/{id}", "products/{product_id}/variations/{id}"
        return [
            Route(READ, "products", "list", PRODUCT_LIST, self.all),
            Route(CREATE, "products", "create", PRODUCT_WRITE, self.create),
            Route(EDIT, "products/batch", "batch", batch.SCHEMA, self.batch),
            Route(READ, one, "view", ONE, self.read),
            Route(EDIT, one, "edit", PRODUCT_WRITE, self.update),
            Route(DELETE, one, "delete", REMOVE, self.delete),
            Route(READ, "variations", "list", {**VARIATION_LIST, "parent": IDS}, self.list_all_variations),
            Route(READ, "products/{product_id}/variations", "list", VARIATION_LIST, self.list_variations),
            Route(CREATE, "products/{product_id}/variations", "create", VARIATION_WRITE, self.create_variation),
            Route(EDIT, "products/{product_id}/variations/batch", "batch", batch.SCHEMA, self.batch_variations),
            Route(READ, variation, "view", ONE, self.read_variation),
            Route(EDIT, variation, "edit", VARIATION_WRITE, self.update_variation),
            Route(DELETE, variation, "delete", REMOVE, self.delete_variation),
        ]

    # Reading

    def all(self, world: World, call: Call) -> Answer:
        views = products_of(world, call)
        if "sku" in call.checked or call.checked.get("type") == VARIATION:
            # A search by SKU looks into variations too.
            views += [variation for view in views for variation in view.variations]
        return page(call, select(call, views), lambda view: show(call, view))

    def read(self, world: World, call: Call) -> Answer:
        view = find(world, call, call.id())
        if view is None:
            raise invalid_id("product", 404)
        return Answer(show(call, view))

    def list_all_variations(self, world: World, call: Call) -> Answer:
        parents = set(call.checked.get("parent", ()))
        views = [view for view in products_of(world, call) if not parents or view.id in parents]
        found = [variation for view in views for variation in view.variations]
        return page(call, select(call, found), lambda view: show_variation(call, view))

    def list_variations(self, world: World, call: Call) -> Answer:
        """Of a product that is not there, an empty list."""
        item = own_item(world, call.site, call.path_ids["product_id"])
        found = [] if item is None else view_of(world, call, item).variations
        return page(call, select(call, found), lambda view: show_variation(call, view))

    def read_variation(self, world: World, call: Call) -> Answer:
        return Answer(show_variation(call, self._variation(world, call, 404)))

    # Writing

    def create(self, world: World, call: Call) -> Answer:
        if call.sent.get("id"):
            raise Refusal("woocommerce_rest_product_exists", "Cannot create existing product.", 400)
        sent, site = call.checked, call.site
        _check_new(world, site, sent)
        kind = sent.get("type", SIMPLE)
        id = site.new_id()
        item = Item(
            num_iid=id,
            shop=site.shop,
            title=sent.get("name", "Product"),
            cid=0,
            outer_id="",
            sub_stock=2,
            approve_status=ON_SALE,
            modified=world.now,
            created=world.now,
            list_time=world.now,
            delist_time=world.now,
            sold_quantity=0,
            rows=[] if kind == VARIABLE else [new_row(world, 0)],
        )
        world.items[id] = item
        site.details_of(item).manage_stock = False
        site.details_of(item).unpriced = True
        change(world, call, item, item.rows[0] if item.rows else None)
        world.changed()
        self.changed(call, "product.created", id)
        return created(call, id, show(call, view_of(world, call, item)))

    def update(self, world: World, call: Call) -> Answer:
        view = find(world, call, call.id())
        if view is None:
            raise invalid_id("product", 400)
        if view.kind == VARIATION:
            message = (
                "To manipulate product variations you should use the /products/&lt;product_id&gt;/variations/&lt;id&gt;"
                " endpoint."
            )
            raise Refusal("woocommerce_rest_invalid_product_id", message, 404)
        if call.checked.get("type", view.kind) != view.kind:
            raise invalid({"type": ("rest_not_in_enum", f"type is not {view.kind}.")})
        was_trashed = view.status == TRASH
        change(world, call, view.item, view.row)
        changed = view_of(world, call, view.item)
        if was_trashed and changed.status != TRASH:
            self.changed(call, "product.restored", view.id)
        return Answer(show(call, changed))

    def delete(self, world: World, call: Call) -> Answer:
        view = find(world, call, call.id())
        if view is None or view.kind == VARIATION:
            raise invalid_id("product", 404)
        key = str(view.id)
        if call.checked.get("force"):
            answer = show(call, view)
            remove(world, view.item, None)
            call.site.details.pop(key, None)
            call.site.trashed.pop(key, None)
            return Answer(answer)
        if view.status == TRASH:
            raise Refusal("woocommerce_rest_already_trashed", "The product has already been deleted.", 410)
        call.site.trashed[key] = view.status
        set_status(call.site, view.item, "draft")
        view.item.touch(world.now)
        world.changed()
        self.changed(call, "product.deleted", view.id)
        return Answer(show(call, view_of(world, call, view.item)))

    def batch(self, world: World, call: Call) -> Answer:
        return batch.run(world, call, schema=PRODUCT_WRITE, create=self.create, update=self.update, delete=self.delete)

    def create_variation(self, world: World, call: Call) -> Answer:
        item = own_item(world, call.site, call.path_ids["product_id"])
        if item is None or views.kind_of(item) == SIMPLE:
            raise invalid_id("product", 404)
        _check_new(world, call.site, call.checked)
        attributes = _attributes(call.checked)
        row = new_row(world, call.site.new_id())
        item.rows.append(row)
        details = call.site.details_of(item, row)
        details.manage_stock, details.unpriced = False, True
        row.properties_name = attributes
        change(world, call, item, row)
        world.changed()
        self.changed(call, "product.created", row.sku_id)
        return created(call, row.sku_id, show_variation(call, view_of(world, call, item, row)))

    def update_variation(self, world: World, call: Call) -> Answer:
        view = self._variation(world, call, 400)
        change(world, call, view.item, view.row)
        return Answer(show_variation(call, view_of(world, call, view.item, view.row)))

    def delete_variation(self, world: World, call: Call) -> Answer:
        view = self._variation(world, call, 404)
        if not call.checked.get("force"):
            raise no_trash("product_variation")
        answer = show_variation(call, view)
        remove(world, view.item, view.row)
        return Answer(answer)

    def batch_variations(self, world: World, call: Call) -> Answer:
        return batch.run(
            world,
            call,
            schema=VARIATION_WRITE,
            create=self.create_variation,
            update=self.update_variation,
            delete=self.delete_variation,
        )

    @staticmethod
    def _variation(world: World, call: Call, status: int) -> View:
        item, id = own_item(world, call.site, call.path_ids["product_id"]), call.id()
        row = None if item is None else next((row for row in item.sellable_rows() if row.sku_id == id != 0), None)
        if item is not None and row is not None:
            return view_of(world, call, item, row)
        view = find(world, call, id)
        if view is None or view.kind != VARIATION:
            raise invalid_id("product_variation", status)
        refusal = forbidden("edit", anonymous=False)
        refusal.message = "Parent product does not match current variation."
        raise refusal


def no_trash(kind: str) -> Refusal:
    return Refusal("woocommerce_rest_trash_not_supported", f"The {kind} does not support trashing.", 501)


# Finding


def own_item(world: World, site: Site, id: int) -> Item | None:
    item = world.items.get(id)
    return item if item is not None and item.shop == site.shop else None


def view_of(world: World, call: Call, item: Item, row: Row | None = None) -> View:
    """The view of a variation, or of the product with its only row where it has no variations."""
    if row is None and views.kind_of(item) == SIMPLE:
        row = item.rows[0]
    return View(call.site, item, row, world.now, call.home)


def products_of(world: World, call: Call) -> list[View]:
    return [view_of(world, call, item) for item in world.own_items(call.site.shop)]


def find(world: World, call: Call, id: int) -> View | None:
    """The product or variation of an id."""
    item = own_item(world, call.site, id)
    if item is not None:
        return view_of(world, call, item)
    for item in world.own_items(call.site.shop):
        for row in item.sellable_rows():
            if row.sku_id == id != 0:
                return view_of(world, call, item, row)
    return None


def show(call: Call, view: View) -> dict[str, Any]:
    return {name: field(view) for name, field in wanted(call, views.PRODUCT).items()}


def show_variation(call: Call, view: View) -> dict[str, Any]:
    return {name: field(view) for name, field in wanted(call, views.VARIATION_FIELDS).items()}


def select(call: Call, found: Iterable[View]) -> list[View]:
    """Those that pass every filter of the call, in the order asked for."""
    asked = call.checked
    keep: list[Callable[[View], bool]] = []
    status = asked.get("status", "any")
    keep.append(lambda view: view.status == status if status != "any" else view.status != TRASH)
    if "include" in asked:
        keep.append(lambda view: view.id in asked["include"])
    if "exclude" in asked:
        keep.append(lambda view: view.id not in asked["exclude"])
    if "parent" in asked and call.route != "wc/v3/variations":
        keep.append(lambda view: (view.item.num_iid if view.kind == VARIATION else 0) in asked["parent"])
    if "parent_exclude" in asked:
        keep.append(lambda view: (view.item.num_iid if view.kind == VARIATION else 0) not in asked["parent_exclude"])
    if "type" in asked:
        keep.append(lambda view: view.kind == asked["type"])
    if "sku" in asked:
        skus = {text.strip() for text in asked["sku"].split(",")}
        keep.append(lambda view: view.sku in skus)
    if "slug" in asked:
        keep.append(lambda view: view.slug == asked["slug"])
    if "search" in asked:
        text = asked["search"].lower()
        keep.append(lambda view: text in view.item.title.lower())
    if "category" in asked:
        categories = {int(text) for text in asked["category"].split(",") if text.strip().isdigit()}
        keep.append(lambda view: bool(categories.intersection(view.details.categories)))
    if "on_sale" in asked:
        keep.append(lambda view: view.on_sale == asked["on_sale"])
    if "stock_status" in asked:
        keep.append(lambda view: view.stock_status == asked["stock_status"])
    for name, sign in (("min_price", 1), ("max_price", -1)):
        bound = cents(name, asked[name]) if name in asked else None
        if bound is not None:
            keep.append(partial(_priced, bound, sign))
    keep += moments(call, lambda view: view.modified, lambda view: view.item.created)
    chosen = [view for view in found if all(passes(view) for passes in keep)]
    orders: dict[str, Callable[[View], Any]] = {
        "date": lambda view: (view.item.created, view.id),
        "modified": lambda view: (view.modified, view.id),
        "title": lambda view: (view.item.title, view.id),
        "slug": lambda view: (view.slug, view.id),
        "price": lambda view: (view.price or 0, view.id),
        "popularity": lambda view: (view.item.sold_quantity, view.id),
        "menu_order": lambda view: (view.plain("menu_order"), view.id),
    }
    if asked["orderby"] == "include" and "include" in asked:
        return sorted(chosen, key=lambda view: asked["include"].index(view.id))
    key = orders.get(asked["orderby"], lambda view: view.id)
    return sorted(chosen, key=key, reverse=asked["order"] == "desc")


def moments(call: Call, modified: Callable[[Any], int], born: Callable[[Any], int]) -> list[Callable[[Any], bool]]:
    """The filters by date. A date is compared as a clock on the wall shows it: the shop's, or UTC with dates_are_gmt.

    One with an offset is first put into the shop's time, even when it is then compared with UTC, as WordPress does.
    """
    zone = call.site.zone
    wall_zone = UTC if call.checked.get("dates_are_gmt") else zone
    filters: list[Callable[[Any], bool]] = []

    def wall(seconds: int) -> datetime:
        return datetime.fromtimestamp(seconds, wall_zone).replace(tzinfo=None)

    for name, when, later in (
        ("modified_after", modified, True),
        ("modified_before", modified, False),
        ("after", born, True),
        ("before", born, False),
    ):
        if name not in call.checked:
            continue
        bound = datetime.fromisoformat(call.checked[name].replace("Z", "+00:00")).replace(microsecond=0)
        if bound.tzinfo is not None:
            bound = bound.astimezone(zone).replace(tzinfo=None)
        filters.append(partial(_dated, when, wall, bound, later))
    return filters


def _dated(
    when: Callable[[Any], int], wall: Callable[[int], datetime], bound: datetime, later: bool, thing: Any
) -> bool:
    """Whether a moment lies after the bound (or before it), which itself is neither."""
    return wall(when(thing)) > bound if later else wall(when(thing)) < bound


def _priced(bound: int, sign: int, view: View) -> bool:
    return view.price is not None and (view.price - bound) * sign >= 0


# Changing


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


def _attributes(sent: dict[str, Any]) -> str:
    """As the world keeps them; see Row.properties_name."""
    return ";".join(
        f"{whole(entry, 'id')}:0:{entry.get('name') or 'Option'}:{entry.get('option', '')}"
        for entry in sent.get("attributes", ())
    )


def _check_new(world: World, site: Site, sent: dict[str, Any]) -> None:
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
