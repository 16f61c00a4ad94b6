"""`/_simulator/`: what tests and the demonstration may ask of the world, in JSON. Not part of any platform."""

import time
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any
from urllib.parse import parse_qs

from integrations.simulator.control_body import (
    ControlError,
    identity,
    mapping,
    moment,
    number,
    only,
    read_body,
    text,
    texts,
)
from integrations.simulator.faults import Fault, FaultError
from integrations.simulator.quotas import Quotas
from integrations.simulator.robots.accounts import CLASSIC, DESCRIBED, MAX_ADDRESSES, MAX_KEYWORDS, Robot, is_address
from integrations.simulator.routing import Request, Response, json_response
from integrations.simulator.seed import add_products
from integrations.simulator.simulation import Simulation, iso
from integrations.simulator.sms.accounts import Template
from integrations.simulator.taobao.accounts import BACK_OFFICE, LEVELS, SERVICE_MARKET, App
from integrations.simulator.world import SHOPIFY, TAOBAO, Shop, WorldError, amount

FAULT_FIELDS = frozenset(field.name for field in fields(Fault))
ITEM_KEYS = frozenset(
    {"num_iid", "sku_id", "price", "live_price", "quantity", "approve_status", "title", "delete", "location"}
)


class Control:
    """The control paths; every answer is JSON, a refusal is a 400 with an `error`."""

    def __init__(self, simulation: Simulation, quotas: Quotas, quota_defaults: dict[str, Any]) -> None:
        self.simulation = simulation
        self.quotas = quotas
        self.quota_defaults = quota_defaults
        self._paths: dict[tuple[str, str], Callable[[Request], Any]] = {
            ("GET", "accounts"): self._accounts,
            ("GET", "state"): lambda request: simulation.summary(),
            ("GET", "clock"): lambda request: self._clock(),
            ("POST", "clock"): self._change_clock,
            ("GET", "taobao/items"): self._items,
            ("POST", "taobao/items"): self._force_item,
            ("GET", "taobao/coupons"): self._coupons,
            ("GET", "stores/items"): self._store_items,
            ("POST", "stores/items"): self._force_item,
            ("POST", "stores/products"): self._add_products,
            ("POST", "stores/orders"): self._order,
            ("GET", "faults"): lambda request: {"faults": simulation.faults.rules()},
            ("POST", "faults"): self._add_fault,
            ("DELETE", "faults"): self._clear_faults,
            ("POST", "quotas"): self._set_quotas,
            ("POST", "permissions"): self._set_permissions,
            ("POST", "tokens"): self._change_tokens,
            ("POST", "oauth"): self._set_oauth,
            ("POST", "robots"): self._set_robot,
            ("POST", "sms"): self._set_sms,
            ("POST", "limits"): self._set_limit_clock,
            ("GET", "messages"): self._messages,
            ("DELETE", "messages"): self._clear_messages,
            ("POST", "reset"): self._reset,
            ("GET", "ledger"): self._ledger,
            ("DELETE", "ledger"): self._clear_ledger,
            ("GET", "webhooks"): lambda request: self.simulation.webhooks.summary(),
            ("POST", "webhooks"): self._set_webhooks,
        }
        for platform in simulation.platforms.values():
            self._paths.update(platform.control())

    def handle(self, request: Request) -> Response:
        name = request.path.removeprefix("/_simulator/").rstrip("/")
        action = self._paths.get((request.verb, name))
        if action is None:
            known = sorted({f"{verb} {path}" for verb, path in self._paths})
            return json_response({"error": f"no control path {request.verb} {name}", "paths": known}, 404)
        try:
            return json_response(action(request))
        except (ControlError, WorldError, FaultError) as error:
            return json_response({"error": str(error)}, 400)

    # Accounts and authorisation

    def _accounts(self, request: Request) -> dict[str, Any]:
        accounts = self.simulation.accounts
        with self.simulation.lock:
            world = self.simulation.advance()
            shops = [
                {
                    "shop": shop.key,
                    "nick": shop.nick,
                    "kind": shop.kind,
                    "user_id": shop.user_id,
                    "session": accounts.session_of(shop.key),
                    "currency": shop.currency,
                    "item_count": sum(1 for _ in world.own_items(shop.key)),
                }
                for shop in accounts.own_shops()
            ]
        apps = [_app(app) for app in accounts.apps.values()]
        base_url = f"http://{request.headers.get('host', '')}"
        return {
            "taobao": {**apps[0], "apps": apps, "shops": shops},
            **self.simulation.robots.to_json(base_url),
            "aliyun_sms": self.simulation.sms.to_json(base_url),
            **{name: platform.accounts(base_url) for name, platform in self.simulation.platforms.items()},
        }

    def _change_tokens(self, request: Request) -> dict[str, Any]:
        """{"expire": shop}, {"revoke": shop} or {"levels": {"shop": shop, "r1": seconds left, ...}}."""
        body = read_body(request)
        only(body, {"expire", "revoke", "levels"})
        accounts = self.simulation.accounts
        count = 0
        if "expire" in body:
            count += accounts.change_grants(self._shop(body["expire"]), expire=True)
        if "revoke" in body:
            count += accounts.change_grants(self._shop(body["revoke"]), revoke=True)
        if "levels" in body:
            levels = dict(mapping(body, "levels"))
            shop = self._shop(levels.pop("shop", None))
            only(levels, set(LEVELS))
            seconds = {level: number(levels, level) for level in levels}
            count += accounts.set_levels(shop, {level: left for level, left in seconds.items() if left is not None})
        return {"sessions": count}

    def _set_oauth(self, request: Request) -> dict[str, Any]:
        """{"deny": bool, "shop": who approves}; {"app_type", "redirect_uris"} of "app_key", or of the first."""
        body = read_body(request)
        only(body, {"deny", "shop", "app_type", "redirect_uris", "app_key"})
        accounts = self.simulation.accounts
        app = self._app(body.get("app_key"))
        if "shop" in body:
            accounts.approving_shop = self._shop(body["shop"])
        if "deny" in body:
            accounts.denies = bool(body["deny"])
        if "app_type" in body:
            if body["app_type"] not in (BACK_OFFICE, SERVICE_MARKET):
                raise ControlError(f"app_type is {BACK_OFFICE!r} or {SERVICE_MARKET!r}")
            app.app_type = body["app_type"]
        if "redirect_uris" in body:
            app.redirect_uris = [str(uri) for uri in body["redirect_uris"]]
        accounts.version += 1
        return {"deny": accounts.denies, "shop": accounts.approving_shop, "app": _app(app)}

    def _set_permissions(self, request: Request) -> dict[str, Any]:
        """{"method": name, "allowed": bool, "sub_code": why not, "app_key": whose (the first)}."""
        body = read_body(request)
        only(body, {"platform", "method", "allowed", "sub_code", "app_key"})
        app = self._app(body.get("app_key"))
        method = body.get("method")
        if not isinstance(method, str):
            raise ControlError("name a method")
        if body.get("allowed", False):
            app.refused_methods.pop(method, None)
        else:
            app.refused_methods[method] = body.get("sub_code", "isv.permission-api-package-limit")
        self.simulation.accounts.version += 1
        return {"refused_methods": app.refused_methods}

    def _app(self, app_key: object) -> App:
        accounts = self.simulation.accounts
        app = accounts.first_app if app_key is None else accounts.apps.get(str(app_key))
        if app is None:
            raise ControlError(f"no application {app_key}")
        return app

    def _shop(self, key: object) -> str:
        shop = self.simulation.accounts.shops.get(str(key))
        if shop is None:
            raise ControlError(f"no shop {key!r}; one of {', '.join(self.simulation.accounts.shops)}")
        return shop.key

    # Clock and world

    def _clock(self) -> dict[str, Any]:
        clock = self.simulation.clock
        return {"now": iso(clock.now()), "speed": clock.speed, "real_now": iso(time.time())}

    def _change_clock(self, request: Request) -> dict[str, Any]:
        """{"speed": x}, {"set": ISO time} and {"step_seconds": n}, done in this order."""
        body = read_body(request)
        only(body, {"speed", "set", "step_seconds"})
        speed, step = number(body, "speed"), number(body, "step_seconds")
        if speed is not None:
            self.simulation.set_speed(speed)
        if "set" in body:
            self.simulation.set_now(moment(body["set"]))
        if step is not None:
            self.simulation.step(step)
        return self._clock()

    def _reset(self, request: Request) -> dict[str, Any]:
        """All as at the start: world, accounts, robots, quotas, no faults, an empty ledger, no messages.

        {"now": ISO time, "speed": x} where given.
        """
        body = read_body(request)
        only(body, {"now", "speed"})
        now = moment(body["now"]) if "now" in body else None
        speed = number(body, "speed")
        simulation = self.simulation
        simulation.reset(now=now, speed=1.0 if speed is None else speed)
        simulation.faults.clear()
        simulation.ledger.clear()
        simulation.messages.clear()
        self.quotas.set(**self.quota_defaults)
        return self._clock()

    def _items(self, request: Request) -> dict[str, Any]:
        """Every sellable row of one shop, or of all: the truth readings are compared with."""
        shop = parse_qs(request.query).get("shop", [None])[0]
        if shop is not None:
            self._shop(shop)
        with self.simulation.lock:
            world = self.simulation.advance()
            rows = [
                {
                    "num_iid": item.num_iid,
                    "sku_id": row.sku_id or "",
                    "title": item.title,
                    "outer_id": row.outer_id,
                    "properties_name": row.properties_name,
                    "shop": item.shop,
                    "nick": world.shops[item.shop].nick,
                    "own": world.shops[item.shop].own,
                    "price": amount(row.price),
                    "live_price": amount(row.live_price),
                    "quantity": row.quantity,
                    "held": row.held,
                    "approve_status": item.approve_status,
                }
                for item, row in world.rows(TAOBAO)
                if shop is None or item.shop == shop
            ]
            return {"now": iso(self.simulation.clock.now()), "items": rows}

    def _force_item(self, request: Request) -> dict[str, Any]:
        body = read_body(request)
        only(body, ITEM_KEYS)
        quantity = body.get("quantity")
        if quantity is not None and (isinstance(quantity, bool) or not isinstance(quantity, int)):
            raise ControlError("quantity is a whole number")
        location = body.get("location")
        with self.simulation.lock:
            self.simulation.advance().force(
                num_iid=identity(body.get("num_iid")),
                sku_id=identity(body["sku_id"]) if body.get("sku_id") else None,
                price=body.get("price"),
                live_price=body.get("live_price"),
                quantity=quantity,
                approve_status=body.get("approve_status"),
                title=body.get("title"),
                delete=bool(body.get("delete", False)),
                location=0 if location is None else identity(location),
            )
        return {"done": True}

    def _store_items(self, request: Request) -> dict[str, Any]:
        """Every sellable row of the stores, or of one ?shop=."""
        key = parse_qs(request.query).get("shop", [None])[0]
        wanted = {shop.key for shop in self._stores() if key in (None, shop.key)}
        if not wanted:
            raise ControlError(f"no store {key!r}")
        with self.simulation.lock:
            world = self.simulation.advance()
            rows = []
            for item, row in world.rows():
                if item.shop in wanted:
                    shop = world.shops[item.shop]
                    rows.append(
                        {
                            "num_iid": item.num_iid,
                            "sku_id": row.sku_id or "",
                            "shop": item.shop,
                            "platform": shop.platform,
                            "title": item.title,
                            "outer_id": row.outer_id,
                            "barcode": row.barcode,
                            "properties_name": row.properties_name,
                            "currency": shop.currency,
                            "price": amount(row.price, shop.decimals),
                            "live_price": amount(row.live_price, shop.decimals),
                            "compare_at": None if row.compare_at is None else amount(row.compare_at, shop.decimals),
                            "quantity": row.quantity,
                            "levels": {str(location): units for location, units in row.levels.items()},
                            "approve_status": item.approve_status,
                        }
                    )
            return {"now": iso(self.simulation.clock.now()), "items": rows}

    def _add_products(self, request: Request) -> dict[str, Any]:
        """{"shop", "variants": how many more, "variants_each": of one product (1)}."""
        body = read_body(request)
        only(body, {"shop", "variants", "variants_each"})
        variants, each = int(number(body, "variants") or 0), int(number(body, "variants_each") or 1)
        with self.simulation.lock:
            add_products(self.simulation.advance(), self._store(body.get("shop")), variants, each)
        return {"variants": variants}

    def _order(self, request: Request) -> dict[str, Any]:
        """A buyer's order of now: {"num_iid", "sku_id", "quantity", "location": where it is taken from, "discount":
        smallest units off the whole order, on Shopify}."""
        body = read_body(request)
        only(body, {"num_iid", "sku_id", "quantity", "location", "discount"})
        units = int(number(body, "quantity") or 1)
        location = identity(body["location"]) if body.get("location") else 0
        with self.simulation.lock:
            world = self.simulation.advance()
            item = world.items.get(identity(body.get("num_iid")))
            sku_id = identity(body["sku_id"]) if body.get("sku_id") else 0
            row = None if item is None else next((row for row in item.rows if row.sku_id == sku_id), None)
            if item is None or row is None:
                raise ControlError(f"no item {body.get('num_iid')} with variant {body.get('sku_id')}")
            discount = int(number(body, "discount") or 0)
            if not 0 <= discount <= row.live_price * units or (discount and world.platform_of(item) != SHOPIFY):
                raise ControlError("discount is no more than the order costs, and for Shopify only")
            trade = self.simulation.market.order(item, row, units, location)
            trade.lines[0].order_discount = discount
            return {"tid": trade.tid}

    def _stores(self) -> list[Shop]:
        return [shop for shop in self.simulation.world.shops.values() if shop.platform in self.simulation.platforms]

    def _store(self, key: object) -> Shop:
        for shop in self._stores():
            if shop.key == key:
                return shop
        raise ControlError(f"no store {key!r}; one of {', '.join(shop.key for shop in self._stores())}")

    def _coupons(self, request: Request) -> dict[str, Any]:
        with self.simulation.lock:
            world = self.simulation.advance()
            shops = self.simulation.accounts.shops
            # The answer is written after the lock is given back, so it is made of copies.
            return {
                "shop": [replace(coupon) for coupon in world.shop_coupons if coupon.shop in shops],
                "affiliate": [replace(coupon) for coupon in world.affiliate_coupons],
            }

    # Faults, quotas, ledger

    def _add_fault(self, request: Request) -> dict[str, Any]:
        body = read_body(request)
        only(body, FAULT_FIELDS)
        if "kind" not in body:
            raise ControlError("name the kind of fault")
        if body.get("shop") is not None and body["shop"] != "*":
            platform = body.get("platform", TAOBAO)
            if platform == TAOBAO:
                self._shop(body["shop"])
            elif platform in self.simulation.platforms:
                if body["shop"] not in {shop.key for shop in self.simulation.shops_of(platform)}:
                    raise ControlError(f"no shop {body['shop']!r} at {platform}")
            else:
                self._robot(body["shop"])
        self.simulation.faults.add(Fault(**body))
        return {"faults": self.simulation.faults.rules()}

    def _clear_faults(self, request: Request) -> dict[str, Any]:
        self.simulation.faults.clear()
        return {"faults": []}

    def _set_quotas(self, request: Request) -> dict[str, Any]:
        """{"calls_per_second": x, "calls_per_day": n, "methods": {name: calls per second}}; no limit where left out."""
        body = read_body(request)
        only(body, {"platform", "calls_per_second", "calls_per_day", "methods"})
        methods = mapping(body, "methods") if "methods" in body else {}
        per_day = number(body, "calls_per_day")
        limits = {
            "calls_per_second": number(body, "calls_per_second"),
            "calls_per_day": None if per_day is None else int(per_day),
            "per_method": {name: number(methods, name) or 0.0 for name in methods},
        }
        self.quotas.set(**limits)  # type: ignore[arg-type]  # three values of three types
        return limits

    def _set_webhooks(self, request: Request) -> dict[str, Any]:
        """{"retry_seconds": [...]} in place of the platforms' own waits between attempts; null: their own again."""
        body = read_body(request)
        only(body, {"retry_seconds"})
        waits = body.get("retry_seconds")
        if waits is not None and not (isinstance(waits, list) and all(isinstance(wait, int | float) for wait in waits)):
            raise ControlError("retry_seconds is a list of numbers")
        self.simulation.webhooks.retry_seconds = None if waits is None else tuple(waits)
        return self.simulation.webhooks.summary()

    def _ledger(self, request: Request) -> dict[str, Any]:
        since = parse_qs(request.query).get("since", ["0"])[0]
        if not since.isdigit():
            raise ControlError("since is the number of a call")
        return {"entries": self.simulation.ledger.entries(int(since))}

    def _clear_ledger(self, request: Request) -> dict[str, Any]:
        self.simulation.ledger.clear()
        return {"entries": []}

    # Robots and text messages

    def _set_robot(self, request: Request) -> dict[str, Any]:
        """{"robot": key} with what changes: "secret", "keywords", "addresses" (IPv4, networks, 10.1.2.*), "wording"."""
        body = read_body(request)
        only(body, {"robot", "secret", "keywords", "addresses", "wording"})
        robots = self.simulation.robots
        with robots.lock:
            robot = self._robot(body.get("robot"))
            if "wording" in body and body["wording"] not in (CLASSIC, DESCRIBED):
                raise ControlError(f"wording is {CLASSIC!r} or {DESCRIBED!r}")
            robot.wording = body.get("wording", robot.wording)
            robot.secret = text(body, "secret") if "secret" in body else robot.secret
            if "keywords" in body:
                robot.keywords = texts(body, "keywords", MAX_KEYWORDS)
            if "addresses" in body:
                addresses = texts(body, "addresses", MAX_ADDRESSES)
                if not all(is_address(address) for address in addresses):
                    raise ControlError("addresses are IPv4 addresses, networks, or of the form 10.1.2.*")
                robot.addresses = addresses
            return robot.to_json(f"http://{request.headers.get('host', '')}")

    def _set_sms(self, request: Request) -> dict[str, Any]:
        """{"signatures": [...], "templates": [{"code", "content"}], "per_day": what a phone takes of a template}."""
        body = read_body(request)
        only(body, {"signatures", "templates", "per_day"})
        sms, per_day = self.simulation.sms, number(body, "per_day")
        with sms.lock:
            if "signatures" in body:
                sms.signatures = texts(body, "signatures")
            if "templates" in body:
                templates = body["templates"]
                if not isinstance(templates, list) or not all(isinstance(entry, dict) for entry in templates):
                    raise ControlError("templates is a list of objects")
                found = [Template(text(entry, "code"), text(entry, "content")) for entry in templates]
                sms.templates = {template.code: template for template in found}
            if per_day is not None:
                sms.per_day = int(per_day)
            return sms.to_json(f"http://{request.headers.get('host', '')}")

    def _set_limit_clock(self, request: Request) -> dict[str, Any]:
        """{"stop": true}, {"pass_seconds": n}: what limits of robots and text messages see; signatures see the real."""
        body = read_body(request)
        only(body, {"pass_seconds", "stop"})
        if body.get("stop"):
            self.simulation.limit_clock.stop()
        seconds = number(body, "pass_seconds") or 0.0
        self.simulation.limit_clock.let_pass(seconds)
        return {"pass_seconds": seconds}

    def _messages(self, request: Request) -> dict[str, Any]:
        """What arrived, oldest first; since=number and robot=key narrow it."""
        query = parse_qs(request.query)
        since = query.get("since", ["0"])[0]
        if not since.isdigit():
            raise ControlError("since is the number of a message")
        robot = query.get("robot", [None])[0]
        return {"messages": self.simulation.messages.entries(since=int(since), robot=robot)}

    def _clear_messages(self, request: Request) -> dict[str, Any]:
        self.simulation.messages.clear()
        return {"messages": []}

    def _robot(self, key: object) -> Robot:
        robots = self.simulation.robots.by_key
        if key not in robots:
            raise ControlError(f"no robot {key!r}; one of {', '.join(robots)}")
        return robots[str(key)]


def _app(app: App) -> dict[str, Any]:
    return {
        "app_key": app.app_key,
        "app_secret": app.app_secret,
        "app_type": app.app_type,
        "redirect_uris": app.redirect_uris,
    }
