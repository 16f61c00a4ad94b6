"""`/_simulator/`: what tests and the demonstration may ask of the world, in JSON. Not part of any platform."""

import time
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

import orjson

from integrations.simulator.faults import Fault, FaultError
from integrations.simulator.quotas import Quotas
from integrations.simulator.robots.accounts import CLASSIC, DESCRIBED, MAX_ADDRESSES, MAX_KEYWORDS, Robot, is_address
from integrations.simulator.routing import Request, Response, json_response
from integrations.simulator.simulation import Simulation, iso
from integrations.simulator.sms.accounts import Template
from integrations.simulator.taobao.accounts import BACK_OFFICE, LEVELS, SERVICE_MARKET, App
from integrations.simulator.world import WorldError, amount

FAULT_FIELDS = frozenset(field.name for field in fields(Fault))
ITEM_KEYS = frozenset({"num_iid", "sku_id", "price", "live_price", "quantity", "approve_status", "title", "delete"})


class ControlError(ValueError):
    """A control request that cannot be carried out; its text is the answer."""


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
        }

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
        }

    def _change_tokens(self, request: Request) -> dict[str, Any]:
        """{"expire": shop}, {"revoke": shop} or {"levels": {"shop": shop, "r1": seconds left, ...}}."""
        body = _body(request)
        _only(body, {"expire", "revoke", "levels"})
        accounts = self.simulation.accounts
        count = 0
        if "expire" in body:
            count += accounts.change_grants(self._shop(body["expire"]), expire=True)
        if "revoke" in body:
            count += accounts.change_grants(self._shop(body["revoke"]), revoke=True)
        if "levels" in body:
            levels = dict(_mapping(body, "levels"))
            shop = self._shop(levels.pop("shop", None))
            _only(levels, set(LEVELS))
            seconds = {level: _number(levels, level) for level in levels}
            count += accounts.set_levels(shop, {level: left for level, left in seconds.items() if left is not None})
        return {"sessions": count}

    def _set_oauth(self, request: Request) -> dict[str, Any]:
        """{"deny": bool, "shop": who approves}; {"app_type", "redirect_uris"} of "app_key", or of the first."""
        body = _body(request)
        _only(body, {"deny", "shop", "app_type", "redirect_uris", "app_key"})
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
        body = _body(request)
        _only(body, {"platform", "method", "allowed", "sub_code", "app_key"})
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
        body = _body(request)
        _only(body, {"speed", "set", "step_seconds"})
        speed, step = _number(body, "speed"), _number(body, "step_seconds")
        if speed is not None:
            self.simulation.set_speed(speed)
        if "set" in body:
            self.simulation.set_now(_moment(body["set"]))
        if step is not None:
            self.simulation.step(step)
        return self._clock()

    def _reset(self, request: Request) -> dict[str, Any]:
        """All as at the start: world, accounts, robots, quotas, no faults, an empty ledger, no messages.

        {"now": ISO time, "speed": x} where given.
        """
        body = _body(request)
        _only(body, {"now", "speed"})
        now = _moment(body["now"]) if "now" in body else None
        speed = _number(body, "speed")
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
                for item, row in world.rows()
                if shop is None or item.shop == shop
            ]
            return {"now": iso(self.simulation.clock.now()), "items": rows}

    def _force_item(self, request: Request) -> dict[str, Any]:
        body = _body(request)
        _only(body, ITEM_KEYS)
        quantity = body.get("quantity")
        if quantity is not None and (isinstance(quantity, bool) or not isinstance(quantity, int)):
            raise ControlError("quantity is a whole number")
        with self.simulation.lock:
            self.simulation.advance().force(
                num_iid=_identity(body.get("num_iid")),
                sku_id=_identity(body["sku_id"]) if body.get("sku_id") else None,
                price=body.get("price"),
                live_price=body.get("live_price"),
                quantity=quantity,
                approve_status=body.get("approve_status"),
                title=body.get("title"),
                delete=bool(body.get("delete", False)),
            )
        return {"done": True}

    def _coupons(self, request: Request) -> dict[str, Any]:
        with self.simulation.lock:
            world = self.simulation.advance()
            # The answer is written after the lock is given back, so it is made of copies.
            return {
                "shop": [replace(coupon) for coupon in world.shop_coupons],
                "affiliate": [replace(coupon) for coupon in world.affiliate_coupons],
            }

    # Faults, quotas, ledger

    def _add_fault(self, request: Request) -> dict[str, Any]:
        body = _body(request)
        _only(body, FAULT_FIELDS)
        if "kind" not in body:
            raise ControlError("name the kind of fault")
        if body.get("shop") is not None and body["shop"] != "*":
            if body.get("platform", "taobao") == "taobao":
                self._shop(body["shop"])
            else:
                self._robot(body["shop"])
        self.simulation.faults.add(Fault(**body))
        return {"faults": self.simulation.faults.rules()}

    def _clear_faults(self, request: Request) -> dict[str, Any]:
        self.simulation.faults.clear()
        return {"faults": []}

    def _set_quotas(self, request: Request) -> dict[str, Any]:
        """{"calls_per_second": x, "calls_per_day": n, "methods": {name: calls per second}}; no limit where left out."""
        body = _body(request)
        _only(body, {"platform", "calls_per_second", "calls_per_day", "methods"})
        methods = _mapping(body, "methods") if "methods" in body else {}
        per_day = _number(body, "calls_per_day")
        limits = {
            "calls_per_second": _number(body, "calls_per_second"),
            "calls_per_day": None if per_day is None else int(per_day),
            "per_method": {name: _number(methods, name) or 0.0 for name in methods},
        }
        self.quotas.set(**limits)  # type: ignore[arg-type]  # three values of three types
        return limits

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
        body = _body(request)
        _only(body, {"robot", "secret", "keywords", "addresses", "wording"})
        robots = self.simulation.robots
        with robots.lock:
            robot = self._robot(body.get("robot"))
            if "wording" in body and body["wording"] not in (CLASSIC, DESCRIBED):
                raise ControlError(f"wording is {CLASSIC!r} or {DESCRIBED!r}")
            robot.wording = body.get("wording", robot.wording)
            robot.secret = _text(body, "secret") if "secret" in body else robot.secret
            if "keywords" in body:
                robot.keywords = _texts(body, "keywords", MAX_KEYWORDS)
            if "addresses" in body:
                addresses = _texts(body, "addresses", MAX_ADDRESSES)
                if not all(is_address(address) for address in addresses):
                    raise ControlError("addresses are IPv4 addresses, networks, or of the form 10.1.2.*")
                robot.addresses = addresses
            return robot.to_json(f"http://{request.headers.get('host', '')}")

    def _set_sms(self, request: Request) -> dict[str, Any]:
        """{"signatures": [...], "templates": [{"code", "content"}], "per_day": what a phone takes of a template}."""
        body = _body(request)
        _only(body, {"signatures", "templates", "per_day"})
        sms, per_day = self.simulation.sms, _number(body, "per_day")
        with sms.lock:
            if "signatures" in body:
                sms.signatures = _texts(body, "signatures")
            if "templates" in body:
                templates = body["templates"]
                if not isinstance(templates, list) or not all(isinstance(entry, dict) for entry in templates):
                    raise ControlError("templates is a list of objects")
                found = [Template(_text(entry, "code"), _text(entry, "content")) for entry in templates]
                sms.templates = {template.code: template for template in found}
            if per_day is not None:
                sms.per_day = int(per_day)
            return sms.to_json(f"http://{request.headers.get('host', '')}")

    def _set_limit_clock(self, request: Request) -> dict[str, Any]:
        """{"stop": true}, {"pass_seconds": n}: what limits of robots and text messages see; signatures see the real."""
        body = _body(request)
        _only(body, {"pass_seconds", "stop"})
        if body.get("stop"):
            self.simulation.limit_clock.stop()
        seconds = _number(body, "pass_seconds") or 0.0
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


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise ControlError(f"{name} is a text")
    return value


def _texts(body: dict[str, Any], name: str, most: int = 100) -> list[str]:
    value = body.get(name)
    if not isinstance(value, list) or len(value) > most or not all(isinstance(entry, str) for entry in value):
        raise ControlError(f"{name} is a list of at most {most} texts")
    return value


def _app(app: App) -> dict[str, Any]:
    return {
        "app_key": app.app_key,
        "app_secret": app.app_secret,
        "app_type": app.app_type,
        "redirect_uris": app.redirect_uris,
    }


def _body(request: Request) -> dict[str, Any]:
    if not request.body:
        return {}
    try:
        body = orjson.loads(request.body)
    except ValueError as error:
        raise ControlError("the body is not JSON") from error
    if not isinstance(body, dict):
        raise ControlError("the body is not a JSON object")
    return body


def _only(body: dict[str, Any], known: set[str] | frozenset[str]) -> None:
    unknown = set(body) - known
    if unknown:
        raise ControlError(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}")


def _mapping(body: dict[str, Any], name: str) -> dict[str, Any]:
    value = body[name]
    if not isinstance(value, dict):
        raise ControlError(f"{name} is an object")
    return value


def _number(body: dict[str, Any], name: str) -> float | None:
    value = body.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value < 0):
        raise ControlError(f"{name} is a number, 0 or above")
    return value


def _identity(value: object) -> int:
    text = str(value)
    if not (text.isascii() and text.isdigit()):
        raise ControlError(f"not an id: {value!r}")
    return int(text)


def _moment(text: object) -> float:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise ControlError(f"not an ISO time: {text!r}") from error
    if moment.tzinfo is None:
        raise ControlError("the time needs an offset, as in 2026-01-01T00:00:00+00:00")
    return moment.timestamp()
