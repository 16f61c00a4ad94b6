"""`orders` and their `refunds`: the market's buyers make them, and a caller may too."""

from typing import Any

from integrations.simulator.woocommerce import batch
from integrations.simulator.woocommerce.calls import CREATE, DELETE, EDIT, READ, Answer, Call, Route, created, page
from integrations.simulator.woocommerce.errors import Refusal, invalid, invalid_id
from integrations.simulator.woocommerce.hooks import Hooks
from integrations.simulator.woocommerce.parameters import (
    COLLECTION,
    FLAG,
    IDS,
    TEXT,
    WHOLE,
    Parameter,
    cents,
    gmt,
    local,
    whole,
)
from integrations.simulator.woocommerce.products import REMOVE
from integrations.simulator.woocommerce.selection import find, moments
from integrations.simulator.woocommerce.sites import VERSION, Refund, Site, order_id, tid_of
from integrations.simulator.world import (
    CLOSED_UNPAID,
    FINISHED,
    ORDER_CHANGED,
    REFUNDED,
    SHIPPED,
    WAITING_FOR_PAYMENT,
    WAITING_FOR_SHIPMENT,
    Line,
    Trade,
    World,
    amount,
)

STATUSES = ("pending", "processing", "on-hold", "completed", "cancelled", "refunded", "failed")
SHOWN_AS = {
    WAITING_FOR_PAYMENT: "pending",
    WAITING_FOR_SHIPMENT: "processing",
    SHIPPED: "completed",
    FINISHED: "completed",
    CLOSED_UNPAID: "cancelled",
    REFUNDED: "refunded",
}
KEPT_AS = {
    "pending": WAITING_FOR_PAYMENT,
    "processing": WAITING_FOR_SHIPMENT,
    "on-hold": WAITING_FOR_SHIPMENT,
    "completed": FINISHED,
    "cancelled": CLOSED_UNPAID,
    "failed": CLOSED_UNPAID,
    "refunded": REFUNDED,
}
TAKES_STOCK = frozenset({"processing", "on-hold", "completed"})
GIVES_BACK = frozenset({"pending", "cancelled", "failed"})
UNPAID_SECONDS = 3_600
REFUND_OFFSET = 50_000_000  # refunds of the market's own making are numbered by their order

LIST = {
    **COLLECTION,
    "orderby": Parameter("string", ("date", "id", "include", "title", "slug", "modified"), default="date"),
    "status": Parameter("array"),
    "product": WHOLE,
    "customer": WHOLE,
}
WRITE = {"status": Parameter("string", STATUSES), "set_paid": FLAG, "line_items": Parameter("objects")}
REFUND_LIST = {
    **COLLECTION,
    "orderby": Parameter("string", ("date", "id", "include", "title", "slug", "modified"), default="date"),
}
REFUND = {"amount": TEXT, "reason": TEXT, "line_items": Parameter("objects"), "api_restock": FLAG, "api_refund": FLAG}


class Orders:
    def __init__(self, hooks: Hooks) -> None:
        hooks.show["order"] = _body

    def routes(self) -> list[Route]:
        refund = "orders/{order_id}/refunds"
        return [
            Route(READ, "orders", "list", LIST, self.all),
            Route(CREATE, "orders", "create", WRITE, self.create),
            Route(EDIT, "orders/batch", "batch", batch.SCHEMA, self.batch),
            Route(READ, "orders/{id}", "view", {}, self.read),
            Route(EDIT, "orders/{id}", "edit", WRITE, self.update),
            Route(DELETE, "orders/{id}", "delete", REMOVE, self.delete),
            Route(READ, refund, "list", REFUND_LIST, self.refunds),
            Route(CREATE, refund, "create", REFUND, self.refund),
            Route(READ, f"{refund}/{{id}}", "view", {"id": IDS}, self.one_refund),
        ]

    def all(self, world: World, call: Call) -> Answer:
        asked, site = call.checked, call.site
        statuses = {str(status).removeprefix("wc-") for status in asked.get("status", ["any"])}
        unknown = statuses - {*STATUSES, "any", "trash", "checkout-draft"}
        if unknown:
            raise invalid(
                {"status": ("rest_not_in_enum", f"status[0] is not one of any, trash, {', '.join(STATUSES)}.")}
            )
        keep = moments(call, lambda trade: trade.modified, lambda trade: trade.created)
        found = [
            trade
            for trade in world.trades.values()
            if trade.shop == site.shop
            and ("any" in statuses or status_of(site, trade) in statuses)
            and order_id(trade.tid) in asked.get("include", [order_id(trade.tid)])
            and order_id(trade.tid) not in asked.get("exclude", ())
            and ("product" not in asked or any(line.num_iid == asked["product"] for line in trade.lines))
            and all(passes(trade) for passes in keep)
        ]
        name = {"date": "created", "modified": "modified"}.get(asked["orderby"], "tid")
        found.sort(key=lambda trade: (getattr(trade, name), trade.tid), reverse=asked["order"] == "desc")
        return page(call, found, lambda trade: show(call.site, trade))

    def read(self, world: World, call: Call) -> Answer:
        return Answer(show(call.site, _trade(world, call, call.id(), 404)))

    def create(self, world: World, call: Call) -> Answer:
        """A buyer's order. Its units are held while it is pending, and taken once it is not."""
        tid = world.next_tid
        lines: list[Line] = []
        for number, entry in enumerate(call.checked.get("line_items", ()), 1):
            view = find(world, call, whole(entry, "variation_id") or whole(entry, "product_id"))
            if view is None or view.row is None or whole(entry, "quantity", 1) < 1:
                message = "Product ID or SKU is required."
                raise Refusal("woocommerce_rest_required_product_reference", message, 400)
            units = whole(entry, "quantity", 1)
            price = view.price or 0
            row, item = view.row, view.item
            lines.append(
                Line(
                    oid=tid + number,
                    num_iid=item.num_iid,
                    sku_id=row.sku_id,
                    outer_sku_id=row.outer_id,
                    title=item.title,
                    num=units,
                    price=row.price,
                    discount_fee=(row.price - price) * units,
                    payment=price * units,
                    status=WAITING_FOR_PAYMENT,
                )
            )
        world.next_tid += 2 * (len(lines) + 1)
        trade = Trade(tid, call.site.shop, WAITING_FOR_PAYMENT, world.now, world.now, lines)
        for item, row, line in world.lines_with_stock(trade):
            row.held += line.num
            world.touch(item, world.now, row)
        world.add_trade(trade, world.now + UNPAID_SECONDS)
        status = call.checked.get("status", "processing" if call.checked.get("set_paid") else "pending")
        set_status(world, call.site, trade, status)
        world.changed()
        return created(call, order_id(tid), show(call.site, trade))

    def update(self, world: World, call: Call) -> Answer:
        trade = _trade(world, call, call.id(), 400)
        if "status" in call.checked:
            set_status(world, call.site, trade, call.checked["status"])
            world.changed()
        return Answer(show(call.site, trade))

    def delete(self, world: World, call: Call) -> Answer:
        trade = _trade(world, call, call.id(), 404)
        if not call.checked.get("force"):
            raise Refusal("woocommerce_rest_trash_not_supported", "The shop_order does not support trashing.", 501)
        answer = show(call.site, trade)
        del world.trades[trade.tid]
        world.changed()
        return Answer(answer)

    def batch(self, world: World, call: Call) -> Answer:
        return batch.run(world, call, schema=WRITE, create=self.create, update=self.update, delete=self.delete)

    def refunds(self, world: World, call: Call) -> Answer:
        trade = _trade(world, call, call.path_ids["order_id"], 404)
        found = sorted(refunds_of(call.site, trade), key=lambda refund: refund.id, reverse=True)
        return page(call, found, lambda refund: _shown(call.site, trade, refund))

    def one_refund(self, world: World, call: Call) -> Answer:
        trade = _trade(world, call, call.path_ids["order_id"], 404)
        for refund in refunds_of(call.site, trade):
            if refund.id == call.id():
                return Answer(_shown(call.site, trade, refund))
        raise invalid_id("shop_order_refund", 404)

    def refund(self, world: World, call: Call) -> Answer:
        """Money back, and units back on the shelf unless api_restock is false."""
        trade, asked, site = _trade(world, call, call.path_ids["order_id"], 404), call.checked, call.site
        lines = []
        for entry in asked.get("line_items", ()):
            line = next((line for line in trade.lines if order_id(line.oid) == entry.get("id")), None)
            if line is None:
                raise Refusal("woocommerce_rest_invalid_item_id", "Order item ID provided is not associated.", 400)
            units = whole(entry, "quantity")
            money = cents("refund_total", str(entry.get("refund_total", "0"))) or 0
            lines.append([line.oid, units, money])
        total = cents("amount", asked["amount"]) if "amount" in asked else sum(line[2] for line in lines)
        if not total or total < 0:
            message = "Refund amount must be greater than zero."
            raise Refusal("woocommerce_rest_invalid_order_refund", message, 400)
        before = sum(refund.amount for refund in refunds_of(site, trade))
        if before + total > trade.payment:
            raise Refusal("woocommerce_rest_cannot_create_order_refund", "Invalid refund amount.", 500)
        refund = Refund(site.new_id(), trade.tid, world.now, total, asked.get("reason", ""), lines)
        site.refunds.append(refund)
        if asked.get("api_restock", True):
            taken = {line.oid: (item, row, line) for item, row, line in world.lines_with_stock(trade)}
            for oid, units, _ in lines:
                if oid in taken and units:
                    item, row, line = taken[oid]
                    world.add_units(item, row, units, world.now, line.location)
        trade.modified = world.now
        if before + total == trade.payment:
            set_status(world, site, trade, "refunded")
        world.report_trade(trade, ORDER_CHANGED, world.now)
        world.changed()
        return created(call, refund.id, _shown(site, trade, refund))


def status_of(site: Site, trade: Trade) -> str:
    """What somebody set, as long as the market has not taken the order further."""
    known = site.statuses.get(str(trade.tid))
    return known if known is not None and KEPT_AS[known] == trade.status else SHOWN_AS[trade.status]


def set_status(world: World, site: Site, trade: Trade, status: str) -> None:
    """Stock goes down when an order starts to be worked on, and comes back when it is cancelled or pending again."""
    before = status_of(site, trade)
    for item, row, line in world.lines_with_stock(trade):
        if before == "pending" and status != "pending":
            row.held = max(0, row.held - line.num)
        if before != "pending" and status == "pending":
            row.held += line.num
        if before not in TAKES_STOCK and status in TAKES_STOCK:
            line.location = world.add_units(item, row, -line.num, world.now)
            item.sold_quantity += line.num
        elif before in TAKES_STOCK and status in GIVES_BACK:
            world.add_units(item, row, line.num, world.now, line.location)
    site.statuses[str(trade.tid)] = status
    if status == before:
        return
    trade.status, trade.modified = KEPT_AS[status], world.now
    if status in TAKES_STOCK and trade.pay_time is None:
        trade.pay_time = world.now
    if status == "completed":
        trade.consign_time = trade.end_time = world.now
    world.report_trade(trade, ORDER_CHANGED, world.now)


def refunds_of(site: Site, trade: Trade) -> list[Refund]:
    """Those made here, or the one by which the market gave everything back."""
    found = [refund for refund in site.refunds if refund.tid == trade.tid]
    if found or trade.status != REFUNDED:
        return found
    lines = [[line.oid, line.num, line.payment] for line in trade.lines]
    number = order_id(trade.tid) + REFUND_OFFSET
    return [Refund(number, trade.tid, trade.end_time or trade.modified, trade.payment, "Returned", lines)]


def show(site: Site, trade: Trade) -> dict[str, Any]:
    zone, number = site.zone, order_id(trade.tid)
    return {
        "id": number,
        "parent_id": 0,
        "status": status_of(site, trade),
        "currency": site.currency,
        "version": VERSION,
        "prices_include_tax": True,
        "date_created": local(trade.created, zone),
        "date_modified": local(trade.modified, zone),
        "discount_total": "0.00",
        "discount_tax": "0.00",
        "shipping_total": "0.00",
        "shipping_tax": "0.00",
        "cart_tax": "0.00",
        "total": amount(trade.payment),
        "total_tax": "0.00",
        "customer_id": 0,
        "order_key": f"wc_order_{number}",
        "billing": {},
        "shipping": {},
        "payment_method": "cod",
        "payment_method_title": "Cash on delivery",
        "transaction_id": "",
        "created_via": "checkout",
        "customer_note": "",
        "date_completed": local(trade.consign_time, zone),
        "date_paid": local(trade.pay_time, zone),
        "number": str(number),
        "meta_data": [],
        "line_items": [_line(line) for line in trade.lines],
        "tax_lines": [],
        "shipping_lines": [],
        "fee_lines": [],
        "coupon_lines": [],
        "refunds": [
            {"id": refund.id, "reason": refund.reason, "total": amount(-refund.amount)}
            for refund in refunds_of(site, trade)
        ],
        "date_created_gmt": gmt(trade.created),
        "date_modified_gmt": gmt(trade.modified),
        "date_completed_gmt": gmt(trade.consign_time),
        "date_paid_gmt": gmt(trade.pay_time),
    }


def _line(line: Line) -> dict[str, Any]:
    """The price of one is a number here, and everything else is text."""
    return {
        "id": order_id(line.oid),
        "name": line.title,
        "product_id": line.num_iid,
        "variation_id": line.sku_id,
        "quantity": line.num,
        "tax_class": "",
        "subtotal": amount(line.payment),
        "subtotal_tax": "0.00",
        "total": amount(line.payment),
        "total_tax": "0.00",
        "taxes": [],
        "meta_data": [],
        "sku": line.outer_sku_id,
        "price": line.payment / line.num / 100,
    }


def _shown(site: Site, trade: Trade, refund: Refund) -> dict[str, Any]:
    by_oid = {line.oid: line for line in trade.lines}
    return {
        "id": refund.id,
        "parent_id": order_id(trade.tid),
        "date_created": local(refund.created, site.zone),
        "date_created_gmt": gmt(refund.created),
        "amount": amount(refund.amount),
        "reason": refund.reason,
        "refunded_by": 1,
        "refunded_payment": False,
        "meta_data": [],
        "line_items": [
            {
                **_line(by_oid[oid]),
                "id": order_id(oid) + REFUND_OFFSET,
                "quantity": -units,
                "subtotal": amount(-money),
                "total": amount(-money),
            }
            for oid, units, money in refund.lines
            if oid in by_oid
        ],
    }


def _trade(world: World, call: Call, id: int, status: int) -> Trade:
    trade = world.trades.get(tid_of(id))
    if trade is None or trade.shop != call.site.shop:
        raise invalid_id("shop_order", status)
    return trade


def _body(world: World, call: Call, id: int) -> dict[str, Any] | None:
    trade = world.trades.get(tid_of(id))
    return None if trade is None else show(call.site, trade)
