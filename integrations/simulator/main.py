"""Puts the parts together and keeps them running until the process is told to stop."""

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from integrations.simulator.control import Control
from integrations.simulator.quotas import Quotas
from integrations.simulator.robots.dingtalk import DingTalk
from integrations.simulator.robots.feishu import Feishu
from integrations.simulator.robots.wecom import WeCom
from integrations.simulator.routing import Router
from integrations.simulator.server import Server
from integrations.simulator.shopify.platform import Shopify
from integrations.simulator.simulation import Simulation, load_state
from integrations.simulator.sms.gateway import SmsGateway
from integrations.simulator.taobao.gateway import Gateway
from integrations.simulator.taobao.oauth import OAuth
from integrations.simulator.woocommerce.api import WooCommerce

SAVE_EVERY_SECONDS = 10
CHINA_OFFSET = 8 * 3600


@dataclass(frozen=True)
class Options:
    """How to run. calls_per_second None is no quota; state None keeps the world in memory only."""

    host: str = "127.0.0.1"
    port: int = 8900
    seed: int = 7
    listings: int = 200
    state: Path | None = None
    latency_ms: float = 0.0
    calls_per_second: float | None = None


def build(options: Options) -> tuple[Simulation, Server]:
    """The world and a listening server. Raises StateError for an unusable state file, OSError for a taken port."""
    saved = load_state(options.state) if options.state is not None else None
    seed = saved["seed"] if saved is not None else options.seed
    listings = saved["listings"] if saved is not None else options.listings
    simulation = Simulation(seed=seed, listings=listings, state=saved)
    limits: dict[str, Any] = {"calls_per_second": options.calls_per_second, "calls_per_day": None, "per_method": {}}
    quotas = Quotas(**limits, day_offset_seconds=CHINA_OFFSET)
    router = Router()
    oauth = OAuth(simulation)
    router.add("/authorize", oauth.authorize)
    router.add("/token", oauth.token)
    router.add("/router/rest", Gateway(simulation, quotas).handle)
    sms, woocommerce = SmsGateway(simulation), WooCommerce(simulation)
    for endpoint in (DingTalk(simulation), Feishu(simulation), WeCom(simulation)):
        router.add(endpoint.path, endpoint.handle)
    # Text messages go to the front page, and so do calls to a shop without pretty permalinks.
    router.add(sms.path, lambda request: (woocommerce if woocommerce.is_addressed(request) else sms).handle(request))
    for platform in (Shopify(simulation), woocommerce):
        simulation.add(platform)
        for path, handler in platform.routes().items():
            router.add(path, handler)
    router.add("/_simulator/", Control(simulation, quotas, limits).handle)
    return simulation, Server(options.host, options.port, router, options.latency_ms / 1000)


def run(options: Options, *, announce: Callable[[str], None], warn: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT. The state is saved every SAVE_EVERY_SECONDS when it changed, and at the end.

    Raises what `build` raises, before anything is announced.
    """
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    simulation, server = build(options)
    server.start()
    announce(f"Simulator on http://{options.host}:{server.port}")
    saved_version: int | None = None
    while not stop.wait(SAVE_EVERY_SECONDS):
        if options.state is not None and simulation.version != saved_version:
            version = simulation.version
            try:
                simulation.save(options.state)
                saved_version = version
            except OSError as error:  # a full disk, say: the world goes on, and is saved when there is room again
                warn(f"The state could not be saved: {error}")
    simulation.stopping.set()
    simulation.webhooks.stop()
    server.shutdown()
    server.server_close()
    if options.state is not None:
        simulation.save(options.state)
