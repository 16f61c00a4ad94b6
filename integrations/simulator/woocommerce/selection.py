"""Finding products and variations: by id, and by the filters of a list."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from integrations.simulator.woocommerce import views
from integrations.simulator.woocommerce.calls import Call
from integrations.simulator.woocommerce.parameters import COLLECTION, FLAG, IDS, TEXT, Parameter, cents
from integrations.simulator.woocommerce.sites import Site
from integrations.simulator.woocommerce.views import SIMPLE, TRASH, VARIATION, View
from integrations.simulator.world import Item, Row, World

STATUSES = ("any", "future", "trash", "draft", "pending", "private", "publish")
STOCK_STATUSES = ("instock", "outofstock", "onbackorder")
ORDER_BY = ("date", "id", "include", "title", "slug", "price", "popularity", "rating", "menu_order", "modified")

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
