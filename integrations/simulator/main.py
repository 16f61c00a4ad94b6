"""Puts the parts together and keeps them running until the process is told to stop."""

import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from integrations.simulator.control import Control
from integrations.simulator.quotas import Quotas
from integrations.simulator.routing import Router
from integrations.simulator.server import Server
from integrations.simulator.simulation import Simulation, StateError, load_state
from integrations.simulator.taobao.gateway import Gateway
from integrations.simulator.taobao.oauth import OAuth

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
    router.add("/_simulator/", Control(simulation, quotas, limits).handle)
    return simulation, Server(options.host, options.port, router, options.latency_ms / 1000)


def run(options: Options) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code. The state is saved when it changed, and at the end."""
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    try:
        simulation, server = build(options)
    except StateError as error:
        print(f"The state file {options.state} cannot be used: {error}. Remove it or name another.", file=sys.stderr)
        return 2
    except (OSError, ValueError) as error:
        print(f"The simulator cannot start: {error}", file=sys.stderr)
        return 2
    server.start()
    print(f"Simulator on http://{options.host}:{server.port}", flush=True)
    saved_version = -1
    while not stop.wait(SAVE_EVERY_SECONDS):
        saved_version = _save_if_changed(simulation, options.state, saved_version)
    simulation.stopping.set()
    server.shutdown()
    server.server_close()
    if options.state is not None:
        simulation.save(options.state)
    return 0


def _save_if_changed(simulation: Simulation, path: Path | None, saved_version: int) -> int:
    """Save when something changed since `saved_version`; a full disk is reported and tried again later."""
    if path is None or simulation.version == saved_version:
        return saved_version
    version = simulation.version
    try:
        simulation.save(path)
    except OSError as error:
        print(f"{time.strftime('%H:%M:%S')} the state could not be saved: {error}", file=sys.stderr, flush=True)
        return saved_version
    return version
