"""`products` and their `variations`: reading, the traps of writing, and deletion."""

from collections.abc import Callable
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
from integrations.simulator.woocommerce.changes import (
    PRODUCT_WRITE,
    VARIATION_WRITE,
    change,
    check_new,
    new_row,
    properties_of,
    remove,
    set_status,
)
from integrations.simulator.woocommerce.errors import Refusal, forbidden, invalid, invalid_id
from integrations.simulator.woocommerce.parameters import COLLECTION, IDS, Parameter
from integrations.simulator.woocommerce.selection import (
    PRODUCT_LIST,
    VARIATION_LIST,
    find,
    own_item,
    products_of,
    select,
    view_of,
)
from integrations.simulator.woocommerce.views import SIMPLE, TRASH, VARIABLE, VARIATION, View
from integrations.simulator.world import ON_SALE, Item, World

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
        check_new(world, site, sent)
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
        check_new(world, call.site, call.checked)
        attributes = properties_of(call.checked)
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


def show(call: Call, view: View) -> dict[str, Any]:
    return {name: field(view) for name, field in wanted(call, views.PRODUCT).items()}


def show_variation(call: Call, view: View) -> dict[str, Any]:
    return {name: field(view) for name, field in wanted(call, views.VARIATION_FIELDS).items()}
