"""Products and variations as the shop shows them: what follows from prices, sales and stock, and every field."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from unicodedata import normalize

from integrations.simulator.woocommerce.parameters import gmt, local, price_text
from integrations.simulator.woocommerce.sites import PARENT, Details, Sale, Site
from integrations.simulator.world import ON_SALE, Item, Row, World

SIMPLE, VARIABLE, VARIATION = "simple", "variable", "variation"
IN_STOCK, OUT_OF_STOCK, ON_BACKORDER = "instock", "outofstock", "onbackorder"
TRASH = "trash"
HOUR = 3_600

# What is kept and shown as it was sent, and means nothing to price or stock.
PLAIN: dict[str, Any] = {
    "description": "",
    "short_description": "",
    "featured": False,
    "catalog_visibility": "visible",
    "virtual": False,
    "downloadable": False,
    "tax_status": "taxable",
    "tax_class": "",
    "sold_individually": False,
    "weight": "",
    "shipping_class": "",
    "reviews_allowed": True,
    "purchase_note": "",
    "menu_order": 0,
}


def units_sold_together(site: Site, item: Item) -> list[Row]:
    """The variations whose stock the product counts for all of them; none where each counts its own."""
    if not site.details_of(item).manage_stock or kind_of(item) != VARIABLE:
        return []
    return [row for row in item.sellable_rows() if not site.details_of(item, row).manage_stock]


def kind_of(item: Item) -> str:
    return SIMPLE if item.rows and not item.rows[0].sku_id else VARIABLE


@dataclass
class View:
    """One product (row None where it has variations) or variation at one moment of the market."""

    site: Site
    item: Item
    row: Row | None
    now: int
    home: str  # the shop's address, without a slash at the end

    @property
    def id(self) -> int:
        return self.row.sku_id if self.row is not None and self.row.sku_id else self.item.num_iid

    @property
    def kind(self) -> str:
        if self.row is None:
            return VARIABLE
        return VARIATION if self.row.sku_id else SIMPLE

    @cached_property
    def details(self) -> Details:
        return self.site.details_of(self.item, self.row)

    @property
    def parent(self) -> "View":
        return View(self.site, self.item, None, self.now, self.home)

    @cached_property
    def variations(self) -> list["View"]:
        if self.kind != VARIABLE:
            return []
        return [View(self.site, self.item, row, self.now, self.home) for row in self.item.sellable_rows()]

    @property
    def status(self) -> str:
        if str(self.item.num_iid) in self.site.trashed:
            return TRASH
        if self.item.approve_status == ON_SALE or self.kind == VARIATION:
            return "publish"
        return self.details.hidden_as

    # Prices, in cents

    @property
    def regular(self) -> int | None:
        return None if self.row is None or self.details.unpriced else self.row.price

    @property
    def sale(self) -> Sale | None:
        """The sale somebody set, or else the market's promotion."""
        if self.row is None:
            return None
        if self.details.sale is None and self.row.live_price < self.row.price:
            ends_at = self.item.promotion_ends_at
            # The market ends its promotions at full hours.
            return Sale(self.row.live_price, None, None if ends_at is None else -(-ends_at // HOUR) * HOUR)
        return self.details.sale

    @cached_property
    def on_sale(self) -> bool:
        if self.row is None:
            return any(variation.on_sale for variation in self.variations)
        return self.regular is not None and self.sale is not None and self.sale.holds(self.regular, self.now)

    @cached_property
    def price(self) -> int | None:
        if self.row is None:
            return min((view.price for view in self.variations if view.price is not None), default=None)
        return self.sale.price if self.on_sale and self.sale is not None else self.regular

    # Stock, in units

    @cached_property
    def managed(self) -> bool | str:
        if self.kind == VARIATION and not self.details.manage_stock:
            return PARENT if self.parent.details.manage_stock else False
        return self.details.manage_stock

    @property
    def quantity(self) -> int | None:
        if self.managed == PARENT or (self.managed and self.row is None):
            return sum(row.quantity for row in units_sold_together(self.site, self.item))
        return self.row.quantity if self.managed and self.row is not None else None

    @property
    def backorders(self) -> str:
        if not self.managed:
            return "no"
        return self.parent.details.backorders if self.managed == PARENT else self.details.backorders

    @cached_property
    def stock_status(self) -> str:
        quantity = self.quantity
        if quantity is not None:
            if quantity > 0:
                return IN_STOCK
            return OUT_OF_STOCK if self.backorders == "no" else ON_BACKORDER
        if self.row is None:
            found = {variation.stock_status for variation in self.variations}
            return next((status for status in (IN_STOCK, ON_BACKORDER) if status in found), OUT_OF_STOCK)
        return self.details.stock_status

    # The rest

    @property
    def sku(self) -> str:
        return self.item.outer_id if self.row is None else self.row.outer_id

    @property
    def modified(self) -> int:
        """Epoch seconds. A change of a variation leaves its product's own time alone."""
        if self.row is not None:
            return self.row.modified if self.row.sku_id else self.item.modified
        facts = [self.item.title, self.item.outer_id, self.status, str(self.quantity)]
        if self.details.own_facts != facts:
            self.details.own_facts, self.details.own_modified = facts, self.item.modified
        return self.details.own_modified

    @property
    def slug(self) -> str:
        text = normalize("NFKC", self.item.title).lower()
        return re.sub(r"[^\w]+", "-", text).strip("-")

    @property
    def permalink(self) -> str:
        return f"{self.home}/product/{self.slug}/"

    def attributes(self) -> list[dict[str, Any]]:
        if self.kind == VARIATION and self.row is not None:
            return [{"id": id, "name": name, "option": option} for id, name, option in _properties(self.row)]
        options: dict[tuple[int, str], list[str]] = {}
        for variation in self.variations:
            for id, name, option in _properties(variation.row):
                options.setdefault((id, name), []).append(option)
        return [
            {
                "id": id,
                "name": name,
                "position": position,
                "visible": True,
                "variation": True,
                "options": list(dict.fromkeys(found)),
            }
            for position, ((id, name), found) in enumerate(options.items())
        ]

    def plain(self, name: str) -> Any:
        return self.details.plain.get(name, PLAIN[name])

    def sale_date(self, side: str, show: Callable[[int | None], str | None]) -> str | None:
        return show(getattr(self.sale, side)) if self.sale is not None else None


def _properties(row: Row | None) -> Iterator[tuple[int, str, str]]:
    """The attributes that tell a variation from its siblings: (id, name, option)."""
    for entry in row.properties_name.split(";") if row is not None and row.properties_name else ():
        id, _, name, option = entry.split(":", 3)
        yield int(id), name, option


def _named(name: str) -> Callable[[View], Any]:
    return lambda view: view.plain(name)


Fields = dict[str, Callable[[View], Any]]

_DATES: Fields = {
    "date_created": lambda view: local(view.item.created, view.site.zone),
    "date_created_gmt": lambda view: gmt(view.item.created),
    "date_modified": lambda view: local(view.modified, view.site.zone),
    "date_modified_gmt": lambda view: gmt(view.modified),
}
_SELLING: Fields = {
    "sku": lambda view: view.sku,
    "global_unique_id": lambda view: "" if view.row is None else view.row.barcode,
    "price": lambda view: price_text(view.price),
    "regular_price": lambda view: price_text(view.regular),
    "sale_price": lambda view: price_text(None if view.sale is None else view.sale.price),
    "date_on_sale_from": lambda view: view.sale_date("starts_at", lambda at: local(at, view.site.zone)),
    "date_on_sale_from_gmt": lambda view: view.sale_date("starts_at", gmt),
    "date_on_sale_to": lambda view: view.sale_date("ends_at", lambda at: local(at, view.site.zone)),
    "date_on_sale_to_gmt": lambda view: view.sale_date("ends_at", gmt),
    "on_sale": lambda view: view.on_sale,
    "purchasable": lambda view: view.price is not None and view.status == "publish",
}
_STOCK: Fields = {
    "manage_stock": lambda view: view.managed,
    "stock_quantity": lambda view: view.quantity,
    "stock_status": lambda view: view.stock_status,
    "backorders": lambda view: view.backorders,
    "backorders_allowed": lambda view: view.backorders != "no",
    "backordered": lambda view: view.stock_status == ON_BACKORDER,
    "low_stock_amount": lambda view: view.details.low_stock_amount,
}
PRODUCT: Fields = {
    "id": lambda view: view.id,
    "name": lambda view: view.item.title,
    "slug": lambda view: view.slug,
    "permalink": lambda view: view.permalink,
    **_DATES,
    "type": lambda view: view.kind,
    "status": lambda view: view.status,
    **{name: _named(name) for name in PLAIN},
    **_SELLING,
    "total_sales": lambda view: view.item.sold_quantity,
    "downloads": lambda view: [],
    "download_limit": lambda view: -1,
    "download_expiry": lambda view: -1,
    "external_url": lambda view: "",
    "button_text": lambda view: "",
    **_STOCK,
    "dimensions": lambda view: {"length": "", "width": "", "height": ""},
    "shipping_required": lambda view: True,
    "shipping_taxable": lambda view: True,
    "shipping_class_id": lambda view: 0,
    "average_rating": lambda view: "0.00",
    "rating_count": lambda view: 0,
    "related_ids": lambda view: [],
    "upsell_ids": lambda view: [],
    "cross_sell_ids": lambda view: [],
    "parent_id": lambda view: view.item.num_iid if view.kind == VARIATION else 0,
    "categories": lambda view: [category(view.site, id) for id in view.details.categories],
    "tags": lambda view: [],
    "images": lambda view: [],
    "attributes": lambda view: view.attributes(),
    "default_attributes": lambda view: [],
    "variations": lambda view: [variation.id for variation in view.variations],
    "grouped_products": lambda view: [],
    "meta_data": lambda view: [],
}
VARIATION_FIELDS: Fields = {
    "id": lambda view: view.id,
    "type": lambda view: VARIATION,
    "parent_id": lambda view: view.item.num_iid,
    "name": lambda view: ", ".join(option for _, _, option in _properties(view.row)),
    **_DATES,
    "description": _named("description"),
    "permalink": lambda view: view.permalink,
    **_SELLING,
    "status": lambda view: view.status,
    "virtual": _named("virtual"),
    "downloadable": _named("downloadable"),
    "downloads": lambda view: [],
    "download_limit": lambda view: -1,
    "download_expiry": lambda view: -1,
    "tax_status": _named("tax_status"),
    "tax_class": _named("tax_class"),
    **_STOCK,
    "weight": _named("weight"),
    "dimensions": lambda view: {"length": "", "width": "", "height": ""},
    "shipping_class": _named("shipping_class"),
    "shipping_class_id": lambda view: 0,
    "image": lambda view: None,
    "attributes": lambda view: view.attributes(),
    "menu_order": _named("menu_order"),
    "meta_data": lambda view: [],
}


def category(site: Site, id: int) -> dict[str, Any]:
    name = site.categories.get(id, "Uncategorized")
    return {"id": id, "name": name, "slug": name.lower()}


def settle(world: World, site: Site) -> None:
    """Let the sales somebody set begin and end: the market sells at what the shop charges now."""
    for item in [world.items[num_iid] for num_iid in site.with_sales if num_iid in world.items]:
        for row in item.sellable_rows():
            sale = site.details_of(item, row).sale
            if sale is None:
                continue
            live = sale.price if sale.price is not None and sale.holds(row.price, world.now) else row.price
            if live != row.live_price:
                row.set_prices(row.price, live)
                world.changed()
