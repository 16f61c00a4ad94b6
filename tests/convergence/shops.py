"""The simulator inside this process: its own code behind its own paths, with no socket in between."""

import gc
from functools import cache
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson
from graphql import DocumentNode, GraphQLSchema

from integrations.simulator.main import Options, build
from integrations.simulator.routing import Request, Response, Router
from integrations.simulator.shopify import documents, gateway
from integrations.simulator.simulation import Simulation
from integrations.simulator.world import (
    CLOSED_UNPAID,
    FINISHED,
    REFUNDED,
    SHIPPED,
    WAITING_FOR_PAYMENT,
    WAITING_FOR_SHIPMENT,
    Item,
    Row,
    Trade,
)
from tests.convergence.clock import VirtualClock
from tests.simulator import Simulator, SimulatorError

BASE_URL = "http://127.0.0.1:9"
OURS = {"taobao": "tmall-nuanju", "shopify": "shopify-nuanju", "woocommerce": "woo-yatai"}
_MOST_ITEMS = {"tmall-nuanju": 2, "shopify-nuanju": 3, "woo-yatai": 1}
_SIMPLE_PRODUCTS = (90_001, 90_002, 90_003)


@cache
def _built() -> tuple[Simulation, Router]:
    """One for the process, with a world that is small: it is made anew for every schedule."""
    simulation, server = build(Options(port=0, listings=20))
    server.server_close()
    world = simulation.world
    for shop in world.shops:
        for item in list(world.own_items(shop))[_MOST_ITEMS.get(shop, 0) :]:
            del world.items[item.num_iid]
    world.affiliate_coupons.clear()
    _remember_checks()
    simulation._snapshot = orjson.dumps(world.to_json(), option=orjson.OPT_NON_STR_KEYS)
    # All that was imported and built by now stays; a schedule makes so much that it would be looked at all the time.
    gc.collect()
    gc.freeze()
    return simulation, server.router


def _remember_checks() -> None:
    """Check each GraphQL document once: we send the same few again and again."""
    check, found = documents.refusals, dict[tuple[int, str], list[dict[str, Any]]]()

    def refusals(schema: GraphQLSchema, document: DocumentNode) -> list[dict[str, Any]]:
        key = id(schema), document.loc.source.body if document.loc else ""
        if key not in found:
            found[key] = check(schema, document)
        return found[key]

    vars(gateway)["refusals"] = refusals


class Shops(Simulator):
    """The shops of all platforms, as tests control them, and buyers in them. Nothing moves by itself."""

    def __init__(self, clock: VirtualClock) -> None:
        self.simulation, self._router = _built()
        super().__init__(BASE_URL)
        self._clock = clock
        self.reset(now=clock.true(), speed=0)
        for number, product in enumerate(_SIMPLE_PRODUCTS):
            self.woocommerce.add_product(product, OURS["woocommerce"], sku=f"SIMPLE-{number}", price="9.00", quantity=9)

    def control(self, verb: str, path: str, **kwargs: Any) -> dict[str, Any]:
        query, body = urlencode(kwargs.get("params", {})), kwargs.get("json")
        answer = self.handle(verb, f"/_simulator/{path}", query, {}, b"" if body is None else orjson.dumps(body))
        assert isinstance(answer.body, bytes)
        parsed: dict[str, Any] = orjson.loads(answer.body)
        if answer.status != 200:
            raise SimulatorError(f"{verb} {path}: {parsed.get('error')}")
        return parsed

    def handle(self, verb: str, path: str, query: str, headers: dict[str, str], body: bytes) -> Response:
        world = self.simulation.world
        world.now = max(world.now, int(self._clock.time()))
        host = urlsplit(BASE_URL).netloc
        return self._router.handle(Request(verb, path, query, {"host": host, **headers}, body, "127.0.0.1"))

    def finish_late(self) -> None:
        """Have done what was to be done later, by now."""
        late, self.simulation._later = self.simulation._later, []
        for _at, action in late:
            action()

    def rows(self, platform: str) -> list[tuple[Item, Row]]:
        world = self.simulation.world
        return [pair for item in world.own_items(OURS[platform]) for pair in ((item, row) for row in item.rows)]

    def find(self, item_id: int, sku_id: int) -> tuple[Item, Row]:
        item = self.simulation.world.items[item_id]
        return item, next(row for row in item.rows if row.sku_id == sku_id)

    # --- Buyers -----------------------------------------------------------------------------------------------------

    def order(self, item: Item, row: Row, units: int, location: int) -> Trade:
        world = self.simulation.world
        world.now = max(world.now, int(self._clock.time()))
        return self.simulation.market.order(item, row, units, location)

    def move(self, trade: Trade, *, gives_up: bool) -> None:
        """The order's next state, as the market brings it about: paid, sent, finished; or cancelled, or refunded."""
        world = self.simulation.world
        now = world.now = max(world.now, int(self._clock.time()))
        part = self.simulation.market._parts[world.shops[trade.shop].platform]
        if trade.status == WAITING_FOR_PAYMENT and gives_up:
            world.release(trade)
            part._set_status(trade, CLOSED_UNPAID, now)
        elif trade.status == WAITING_FOR_PAYMENT:
            part._pay(trade, now)
        elif trade.status == WAITING_FOR_SHIPMENT:
            trade.consign_time = now
            part._set_status(trade, SHIPPED, now)
        elif trade.status == SHIPPED:
            for line in trade.lines:
                line.refund_status = "SUCCESS" if gives_up else line.refund_status
            part._set_status(trade, REFUNDED if gives_up else FINISHED, now)
        world.changed(demand=False)

    def trades(self) -> list[Trade]:
        return [trade for trade in self.simulation.world.trades.values() if trade.shop in OURS.values()]


def units_kept(trade: Trade) -> tuple[int, int]:
    """Pieces of the order's only line that are reserved until they are sent, and that left.

    What was sent and paid back has left all the same: nobody said that it came back.
    """
    [line] = trade.lines
    if trade.status in {WAITING_FOR_PAYMENT, WAITING_FOR_SHIPMENT}:
        return line.num, 0
    return 0, 0 if trade.status == CLOSED_UNPAID else line.num
