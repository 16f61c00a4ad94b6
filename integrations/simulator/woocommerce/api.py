"""`/wp-json/` and `/?rest_route=`: what a call passes before a route sees it. WooCommerce as a part of the world."""

import copy
import math
import re
import time
from collections.abc import Callable
from typing import Any

import orjson

from integrations.simulator.faults import ANSWERED, WRITE_KINDS, Fault, perform
from integrations.simulator.quotas import Quotas
from integrations.simulator.routing import HTML, Handler, Request, Response
from integrations.simulator.simulation import Simulation
from integrations.simulator.woocommerce import errors, views
from integrations.simulator.woocommerce.authentication import authenticate, check_permission, credentials
from integrations.simulator.woocommerce.calls import Answer, Call, CutOff, Route, response
from integrations.simulator.woocommerce.consent import Consent
from integrations.simulator.woocommerce.control import WooCommerceControl
from integrations.simulator.woocommerce.coupons import Coupons
from integrations.simulator.woocommerce.errors import Refusal
from integrations.simulator.woocommerce.hooks import Hooks
from integrations.simulator.woocommerce.orders import Orders
from integrations.simulator.woocommerce.parameters import check
from integrations.simulator.woocommerce.products import Products
from integrations.simulator.woocommerce.shop import NAMESPACES, ShopRoutes, index
from integrations.simulator.woocommerce.signing import Parameters, php_parameters
from integrations.simulator.woocommerce.sites import CUSTOMER, Site, Sites
from integrations.simulator.world import WOOCOMMERCE, World

NAMESPACE = "wc/v3/"
# Keys that say which thing an answer is about: faults that blank facts leave these alone.
IDENTIFYING = frozenset({"id", "parent_id", "product_id", "variation_id", "code", "status", "type"})
SHAPES = {"option": "[a-z_]+"}
PLACEHOLDER = re.compile(r"\{(\w+)\}")
GATEWAY_TIMEOUT = "<html><head><title>504 Gateway Time-out</title></head><body>nginx</body></html>"
TOO_MANY = "<html><head><title>429 Too Many Requests</title></head><body>Too Many Requests</body></html>"


class WooCommerce:
    """Every WooCommerce shop of the world, told apart by the key of the caller."""

    name = WOOCOMMERCE

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.sites = Sites(simulation.world, simulation.seed)
        self.quotas = Quotas()
        self._shifted = simulation.shifted
        self.hooks = Hooks(simulation, self.sites)
        routes = [
            *Products(self.hooks.product_changed).routes(),
            *Orders(self.hooks).routes(),
            *Coupons(self.hooks).routes(),
            *self.hooks.routes(),
            *ShopRoutes().routes(),
        ]
        self._routes = [(_pattern(route.path), route) for route in routes]
        self.consent = Consent(simulation, self.sites)
        self._control = WooCommerceControl(simulation, self.sites, self.quotas, self.advance)

    # A part of the world

    @property
    def version(self) -> int:
        return self.sites.version

    def routes(self) -> dict[str, Handler]:
        paths = ("/wp-json", "/wp-json/", "/index.php")
        return {**dict.fromkeys(paths, self.handle), "/wc-auth/": self.consent.handle}

    def control(self) -> dict[tuple[str, str], Callable[[Any], Any]]:
        return self._control.paths()

    def accounts(self, base_url: str) -> dict[str, Any]:
        return self._control.accounts(base_url)

    def reset(self) -> None:
        self.sites.reset(self.simulation.world)
        self.quotas.set(calls_per_second=None, calls_per_day=None, per_method={})
        self._shifted = self.simulation.shifted

    def to_json(self) -> dict[str, Any]:
        return self.sites.to_json()

    def restore(self, data: dict[str, Any]) -> None:
        self.sites.restore(data)
        self._shifted = self.simulation.shifted

    def advance(self) -> World:
        """The world at the market's now, with sales begun and ended. The caller holds the lock."""
        world = self.simulation.advance()
        if self.simulation.shifted != self._shifted:
            self.sites.shift(self.simulation.shifted - self._shifted)
            self._shifted = self.simulation.shifted
        for site in self.sites.by_shop.values():
            views.settle(world, site)
        return world

    # The call

    @staticmethod
    def is_addressed(request: Request) -> bool:
        """Whether a request for the front page is meant for the REST API of a shop without pretty permalinks."""
        return "rest_route=" in request.query

    def handle(self, request: Request) -> Response:
        query = php_parameters(request.query)
        asked = query.get("rest_route")
        route_path = asked if isinstance(asked, str) else request.path.removeprefix("/wp-json")
        route_path = route_path.strip("/")
        claim = credentials(request, query).claimed_key
        with self.simulation.lock:
            known = self.sites.find(claim)
        site = known[0] if known is not None else next(iter(self.sites.by_shop.values()))
        route, path_ids = self._find(request.verb, route_path)
        method = f"{request.verb} {route.path if route is not None else route_path}"
        call = Call(site, None, _home(site, request), route_path, query, path_ids, named=known is not None)
        fault = self.simulation.faults.take(self.name, method, site.shop if known is not None else "")

        def normal() -> Response:
            return self._answer(request, call, route, method, fault)

        if fault is None:
            return normal()
        if fault.kind not in ANSWERED:
            self._record(request, call, method, fault.status or fault.code or -1, fault.sub_code or fault.kind)
        return perform(fault, normal=normal, error=_error_of, keep=IDENTIFYING, stopping=self.simulation.stopping)

    def _answer(self, request: Request, call: Call, route: Route | None, method: str, fault: Fault | None) -> Response:
        excess = self.quotas.take(call.site.shop, method)
        if excess is not None:
            self._record(request, call, method, 429, excess.limit)
            return Response(429, TOO_MANY.encode(), HTML, {"Retry-After": str(excess.seconds)})
        if fault is not None and fault.kind == "partial":
            call.most_rows = -1 if fault.rows is None else fault.rows
        status, code = 0, ""
        try:
            with self.simulation.lock:
                answer = self._run(request, call, route, fault)
            result = response(call, answer)
        except Refusal as refused:
            status, code = refused.status, refused.code
            result = response(None, Answer(refused.to_json(), refused.status, refused.headers))
        except CutOff:
            status = 504 if fault is None or fault.status is None else fault.status
            result = Response(status, GATEWAY_TIMEOUT.encode(), HTML)
        self._record(request, call, method, status, code)
        return result

    def _run(self, request: Request, call: Call, route: Route | None, fault: Fault | None) -> Answer:
        """The checks in the order WordPress makes them. The caller holds the lock."""
        site = call.site
        if "rest_route" not in call.query and not site.pretty_permalinks:
            raise errors.no_route()
        if not call.route:
            return Answer(index(site, call))
        if call.route.startswith("wc/"):
            found = credentials(request, _parameters(call), header_stripped=site.header_stripped)
            call.key = authenticate(site, found, request.verb, request.path, call.home)
        if call.key is not None:
            check_permission(call.key, request.verb)
        if call.route in NAMESPACES:
            return Answer({"namespace": call.route, "routes": {f"/{call.route}/{r.path}": {} for _, r in self._routes}})
        if route is None:
            raise errors.no_route()
        call.sent = {**call.path_ids, **call.query, **_body(request)}
        call.checked = check(route.schema, call.sent)
        if call.key is None or call.key.role == CUSTOMER:
            raise errors.forbidden(route.deed, anonymous=call.key is None)
        if call.most_rows == -1:
            rows = sum(len(call.checked.get(name, ())) for name in ("create", "update", "delete"))
            call.most_rows = math.ceil(rows / 2)
        if fault is not None and fault.kind in WRITE_KINDS and request.verb not in ("GET", "HEAD"):
            return self._unseen(call, route, fault)
        answer = route.run(self.advance(), call)
        if request.verb not in ("GET", "HEAD"):
            self.sites.version += 1
        return answer

    def _unseen(self, call: Call, route: Route, fault: Fault) -> Answer:
        """Answer as if the write were done, and undo it; with delayed visibility it is done again later."""
        world, shop = self.advance(), call.site.shop
        items = {id: copy.deepcopy(item) for id, item in world.items.items() if item.shop == shop}
        site = copy.deepcopy(call.site)
        answer = route.run(world, call)
        for id in [id for id, item in world.items.items() if item.shop == shop]:
            del world.items[id]
        world.items.update(items)
        world.changed()
        self.sites.by_shop[shop] = call.site = site
        if fault.kind == "delayed_visibility":
            self.simulation.later(fault.seconds or 1.0, lambda: self._do_later(call, route))
        return answer

    def _do_later(self, call: Call, route: Route) -> None:
        try:
            route.run(self.simulation.world, call)
        except (Refusal, CutOff):
            return  # what it was about is gone

    def _find(self, verb: str, path: str) -> tuple[Route | None, dict[str, int]]:
        if not path.startswith(NAMESPACE):
            return None, {}
        below = path.removeprefix(NAMESPACE)
        for pattern, route in self._routes:
            match = pattern.fullmatch(below)
            if match is not None and verb in route.verbs:
                return route, {name: int(text) if text.isdigit() else 0 for name, text in match.groupdict().items()}
        return None, {}

    def _record(self, request: Request, call: Call, method: str, status: int, code: str) -> None:
        ids = [str(id) for id in call.path_ids.values()]
        for name in ("update", "delete"):
            rows = call.checked.get(name)
            if isinstance(rows, list):
                ids += [str(row.get("id", "")) if isinstance(row, dict) else str(row) for row in rows]
        self.simulation.ledger.record(
            at=time.time(),
            platform=self.name,
            verb=request.verb,
            path=request.path,
            method=method,
            shop=call.site.shop if call.named else "",
            item_ids=ids,
            code=status,
            sub_code=code,
        )


def _home(site: Site, request: Request) -> str:
    home = site.home_url.rstrip("/") or f"http://{request.headers.get('host', '')}"
    return f"https://{home.partition('://')[2]}" if site.behind_proxy else home


def _pattern(path: str) -> re.Pattern[str]:
    """Everything in braces is a number, but the name of a setting."""
    return re.compile(PLACEHOLDER.sub(lambda found: rf"(?P<{found[1]}>{SHAPES.get(found[1], '[0-9]+')})", path))


def _parameters(call: Call) -> Parameters:
    return dict(call.query)


def _body(request: Request) -> dict[str, Any]:
    """The parameters of a JSON or form body. Raises Refusal for JSON that cannot be read."""
    kind = request.headers.get("content-type", "")
    if kind.startswith("application/x-www-form-urlencoded"):
        return dict(php_parameters(request.body.decode("utf-8", "replace")))
    if not kind.startswith("application/json") or not request.body:
        return {}
    try:
        value = orjson.loads(request.body)
    except ValueError as error:
        reason = {"json_error_code": 4, "json_error_message": "Syntax error"}
        raise Refusal("rest_invalid_json", "Invalid JSON body passed.", 400, **reason) from error
    return value if isinstance(value, dict) else {}


def _error_of(rule: Fault) -> Response:
    """An error fault names the shop's code in sub_code, its sentence in msg and the HTTP status in status or code."""
    status = rule.status or rule.code or 500
    refusal = Refusal(rule.sub_code or "internal_server_error", rule.msg or "There has been a critical error.", status)
    return response(None, Answer(refusal.to_json(), status))
