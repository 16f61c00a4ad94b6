"""`coupons`: what buyers may type in. The market's buyers do not use them."""

from datetime import UTC
from decimal import Decimal, InvalidOperation
from typing import Any

from integrations.simulator.woocommerce import batch
from integrations.simulator.woocommerce.calls import CREATE, DELETE, EDIT, READ, Answer, Call, Route, created, page
from integrations.simulator.woocommerce.changes import LATER
from integrations.simulator.woocommerce.errors import Refusal, invalid, invalid_id
from integrations.simulator.woocommerce.hooks import Hooks
from integrations.simulator.woocommerce.parameters import (
    COLLECTION,
    FLAG,
    IDS,
    TEXT,
    Parameter,
    gmt,
    instant,
    local,
)
from integrations.simulator.woocommerce.products import REMOVE
from integrations.simulator.woocommerce.selection import moments
from integrations.simulator.woocommerce.sites import Coupon
from integrations.simulator.world import World

LIST = {
    **COLLECTION,
    "orderby": Parameter("string", ("date", "id", "include", "title", "slug", "modified"), default="date"),
    "code": TEXT,
    "status": Parameter("string", ("any", "publish", "draft", "pending", "private", "trash"), default="any"),
}
AMOUNTS = ("amount", "minimum_amount", "maximum_amount")
LIMITS = ("usage_limit", "usage_limit_per_user", "limit_usage_to_x_items")
# What a coupon is before anything is set.
DEFAULTS: dict[str, Any] = {
    "amount": "0.00",
    "status": "publish",
    "discount_type": "fixed_cart",
    "description": "",
    "usage_count": 0,
    "individual_use": False,
    "product_ids": [],
    "excluded_product_ids": [],
    "usage_limit": None,
    "usage_limit_per_user": None,
    "limit_usage_to_x_items": None,
    "free_shipping": False,
    "product_categories": [],
    "excluded_product_categories": [],
    "exclude_sale_items": False,
    "minimum_amount": "0.00",
    "maximum_amount": "0.00",
    "email_restrictions": [],
    "used_by": [],
    "meta_data": [],
}
WRITE = {
    "code": TEXT,
    "amount": TEXT,
    "status": Parameter("string", ("publish", "draft", "pending", "private")),
    "discount_type": Parameter("string", ("percent", "fixed_cart", "fixed_product")),
    "description": TEXT,
    "date_expires": LATER,
    "date_expires_gmt": LATER,
    "individual_use": FLAG,
    "product_ids": IDS,
    "excluded_product_ids": IDS,
    "usage_limit": Parameter("integer", nullable=True),
    "usage_limit_per_user": Parameter("integer", nullable=True),
    "limit_usage_to_x_items": Parameter("integer", nullable=True),
    "free_shipping": FLAG,
    "product_categories": IDS,
    "excluded_product_categories": IDS,
    "exclude_sale_items": FLAG,
    "minimum_amount": TEXT,
    "maximum_amount": TEXT,
    "email_restrictions": Parameter("array"),
}
NEW = {**WRITE, "code": Parameter("string", required=True)}


class Coupons:
    def __init__(self, hooks: Hooks) -> None:
        self.hooks = hooks
        hooks.show["coupon"] = _body

    def routes(self) -> list[Route]:
        return [
            Route(READ, "coupons", "list", LIST, self.all),
            Route(CREATE, "coupons", "create", NEW, self.create),
            Route(EDIT, "coupons/batch", "batch", batch.SCHEMA, self.batch),
            Route(READ, "coupons/{id}", "view", {}, self.read),
            Route(EDIT, "coupons/{id}", "edit", WRITE, self.update),
            Route(DELETE, "coupons/{id}", "delete", REMOVE, self.delete),
        ]

    def all(self, world: World, call: Call) -> Answer:
        asked = call.checked
        keep = moments(call, lambda coupon: coupon.modified, lambda coupon: coupon.created)
        status = asked["status"]
        found = [
            coupon
            for coupon in call.site.coupons
            if (_status(coupon) != "trash" if status == "any" else _status(coupon) == status)
            and coupon.code == asked.get("code", coupon.code).lower()
            and asked.get("search", "").lower() in coupon.code
            and coupon.id in asked.get("include", [coupon.id])
            and coupon.id not in asked.get("exclude", ())
            and all(passes(coupon) for passes in keep)
        ]
        orders = {"date": "created", "modified": "modified", "title": "code", "slug": "code"}
        name = orders.get(asked["orderby"], "id")
        found.sort(key=lambda coupon: (getattr(coupon, name), coupon.id), reverse=asked["order"] == "desc")
        return page(call, found, lambda coupon: show(call, coupon))

    def read(self, world: World, call: Call) -> Answer:
        return Answer(show(call, find(call, 404)))

    def create(self, world: World, call: Call) -> Answer:
        if "code" not in call.checked:
            raise Refusal("woocommerce_rest_empty_coupon_code", "The coupon code cannot be empty.", 400)
        facts = _facts(call, {})
        coupon = Coupon(call.site.new_id(), _code(call, None), world.now, world.now, _expiry(call, None), facts)
        call.site.coupons.append(coupon)
        self.hooks.report(call.site.shop, "coupon.created", coupon.id)
        return created(call, coupon.id, show(call, coupon))

    def update(self, world: World, call: Call) -> Answer:
        coupon = find(call, 400)
        facts, code = _facts(call, coupon.facts), _code(call, coupon)
        coupon.code, coupon.facts, coupon.date_expires = code, facts, _expiry(call, coupon)
        coupon.modified = world.now
        self.hooks.report(call.site.shop, "coupon.updated", coupon.id)
        return Answer(show(call, coupon))

    def delete(self, world: World, call: Call) -> Answer:
        coupon = find(call, 404)
        if call.checked.get("force"):
            call.site.coupons.remove(coupon)
        elif _status(coupon) == "trash":
            raise Refusal("woocommerce_rest_already_trashed", "The shop_coupon has already been deleted.", 410)
        else:
            coupon.facts["status"] = "trash"
        self.hooks.report(call.site.shop, "coupon.deleted", coupon.id)
        return Answer(show(call, coupon))

    def batch(self, world: World, call: Call) -> Answer:
        return batch.run(world, call, schema=WRITE, create=self.create, update=self.update, delete=self.delete)


def find(call: Call, status: int) -> Coupon:
    for coupon in call.site.coupons:
        if coupon.id == call.id():
            return coupon
    raise invalid_id("shop_coupon", status)


def show(call: Call, coupon: Coupon) -> dict[str, Any]:
    zone = call.site.zone
    return {
        "id": coupon.id,
        "code": coupon.code,
        **DEFAULTS,
        **coupon.facts,
        "date_created": local(coupon.created, zone),
        "date_created_gmt": gmt(coupon.created),
        "date_modified": local(coupon.modified, zone),
        "date_modified_gmt": gmt(coupon.modified),
        "date_expires": local(coupon.date_expires, zone),
        "date_expires_gmt": gmt(coupon.date_expires),
    }


def _body(world: World, call: Call, id: int) -> dict[str, Any] | None:
    return next((show(call, coupon) for coupon in call.site.coupons if coupon.id == id), None)


def _status(coupon: Coupon) -> str:
    return str(coupon.facts.get("status", DEFAULTS["status"]))


def _code(call: Call, coupon: Coupon | None) -> str:
    """Codes are kept in lower case, and each is there once."""
    if coupon is not None and "code" not in call.checked:
        return coupon.code
    code = str(call.checked["code"]).strip().lower()
    if not code:
        raise Refusal("woocommerce_rest_empty_coupon_code", "The coupon code cannot be empty.", 400)
    if any(other.code == code and other is not coupon for other in call.site.coupons):
        raise Refusal("woocommerce_rest_coupon_code_already_exists", "The coupon code already exists", 400)
    return code


def _facts(call: Call, before: dict[str, Any]) -> dict[str, Any]:
    facts = {**before, **{name: call.checked[name] for name in DEFAULTS if name in call.checked}}
    for name in AMOUNTS:
        if name in call.checked:
            facts[name] = _decimal(name, call.checked[name])
    kind = facts.get("discount_type", DEFAULTS["discount_type"])
    if kind == "percent" and Decimal(facts.get("amount", "0")) > 100:
        raise Refusal("coupon_invalid_amount", "Invalid discount amount.", 400)
    return facts


def _decimal(name: str, text: str) -> str:
    """A percentage is written as one: '25.00'."""
    try:
        value = Decimal(text or "0")
    except InvalidOperation as error:
        raise invalid({name: ("rest_invalid_pattern", f"{name} is not a number.")}) from error
    if not value.is_finite() or value < 0:
        raise Refusal("coupon_invalid_amount", "Invalid discount amount.", 400)
    return f"{value:.2f}"


def _expiry(call: Call, coupon: Coupon | None) -> int | None:
    expires = None if coupon is None else coupon.date_expires
    for name, zone in (("date_expires", call.site.zone), ("date_expires_gmt", UTC)):
        if name in call.checked:
            expires = instant(call.checked[name], zone) if call.checked[name] else None
    return expires
