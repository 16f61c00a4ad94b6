"""The running world: one lock, one market clock, and the state file."""

import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from integrations.simulator.faults import Faults
from integrations.simulator.ledger import Ledger
from integrations.simulator.limits import LimitClock
from integrations.simulator.market import MAX_CATCH_UP, MAX_STEP, Market, MarketClock
from integrations.simulator.messages import Messages
from integrations.simulator.robots.accounts import Robots
from integrations.simulator.seed import new_world
from integrations.simulator.sms.accounts import SmsAccount
from integrations.simulator.taobao.accounts import Accounts
from integrations.simulator.world import World, WorldError

STATE_VERSION = 1


class StateError(Exception):
    """The state file cannot be used; the message says why and what to do."""


class Simulation:
    """The world as every platform sees it, and what control may do to it.

    Read and change the world only inside `with simulation.lock`, after `advance()`.
    """

    def __init__(self, *, seed: int, listings: int, state: dict[str, Any] | None = None) -> None:
        now = time.time()
        self.seed, self.listings = seed, listings
        self.lock = threading.RLock()
        self.stopping = threading.Event()
        self.faults, self.ledger, self.messages = Faults(), Ledger(), Messages()
        self.limit_clock = LimitClock()
        self.robots, self.sms = Robots(seed, self.limit_clock), SmsAccount(seed, self.limit_clock)
        self.latency_seconds = 0.0
        seeded = new_world(seed=seed, listings=listings, now=int(now))
        self._snapshot = orjson.dumps(seeded.to_json(), option=orjson.OPT_NON_STR_KEYS)
        self.world, self.clock = seeded, MarketClock(now)
        self.market = Market(self.world)
        self.accounts = Accounts(seeded.shops.values(), seed, now)
        if state is not None:
            self._restore(state, now)

    def advance(self) -> World:
        """Bring the world up to the market clock."""
        self.market.advance(int(self.clock.now()))
        return self.world

    def _use(self, world: World) -> None:
        version = self.world.version
        self.world = world
        self.market = Market(world)
        world.version = version + 1

    def reset(self, *, now: float | None = None, speed: float = 1.0) -> None:
        """The seed world, accounts and robots again, the world dated `now` (epoch seconds; None: the real time)."""
        with self.lock:
            self._use(World.from_json(orjson.loads(self._snapshot)))
            start = time.time() if now is None else now
            self.world.shift(int(start) - self.world.now)
            self.clock.set(start, speed)
            self.accounts.reset(time.time())
            self.limit_clock.reset()
            self.robots.reset()
            self.sms.reset()

    def set_now(self, now: float) -> None:
        """Set the market clock. Forward runs the market; back re-dates the world, which keeps its prices and stock.

        Raises WorldError for a step forward of more than MAX_STEP seconds.
        """
        with self.lock:
            world = self.advance()
            if now - world.now > MAX_STEP:
                raise WorldError(f"the market moves at most {MAX_STEP // 86_400} days at once")
            if now < world.now:
                world.shift(int(now) - world.now)
            self.clock.set(now)
            self.advance()

    def step(self, seconds: float) -> None:
        """Let market time pass. Raises WorldError for a negative step and for one above MAX_STEP."""
        if seconds < 0:
            raise WorldError("a step goes forward; set the clock to go back")
        self.set_now(self.clock.now() + seconds)

    def set_speed(self, speed: float) -> None:
        """Market seconds per real second, 0 to stop. Raises WorldError below 0 and above a day per second."""
        if not 0 <= speed <= 86_400:
            raise WorldError("speed is between 0 and 86400 market seconds per second")
        with self.lock:
            self.clock.set(self.clock.now(), speed)

    # State file

    @property
    def version(self) -> int:
        return self.world.version + self.accounts.version

    def to_json(self) -> dict[str, Any]:
        return {
            "version": STATE_VERSION,
            "seed": self.seed,
            "listings": self.listings,
            "saved_at": time.time(),
            "clock": {"now": self.clock.now(), "speed": self.clock.speed},
            "world": self.world.to_json(),
            "taobao": self.accounts.to_json(),
        }

    def save(self, path: Path) -> None:
        """Write the state beside `path` and rename it there, so that a reader never sees half of it."""
        with self.lock:
            self.advance()
            data = orjson.dumps(self.to_json(), option=orjson.OPT_NON_STR_KEYS)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)

    def _restore(self, state: dict[str, Any], now: float) -> None:
        """Take up a saved state and catch up on the time since, on at most MAX_CATCH_UP seconds of it."""
        try:
            world = World.from_json(state["world"])
            self.accounts.restore(state["taobao"])
            market_now, speed = float(state["clock"]["now"]), float(state["clock"]["speed"])
            passed = max(0.0, now - float(state["saved_at"])) * speed
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StateError(f"it lacks what this version needs ({type(error).__name__}: {error})") from error
        self._use(world)
        target = market_now + passed
        world.now = max(world.now, int(target) - MAX_CATCH_UP)
        self.clock.set(target, speed)
        self.advance()

    def summary(self) -> dict[str, Any]:
        """What is in the world now, in counts."""
        with self.lock:
            world = self.advance()
            return {
                "seed": self.seed,
                "now": iso(self.clock.now()),
                "speed": self.clock.speed,
                "shops": len(world.shops),
                "items": len(world.items),
                "listings": sum(1 for _ in world.rows()),
                "units": sum(row.quantity for _, row in world.rows()),
                "sold_out": sum(1 for _, row in world.rows() if not row.quantity),
                "off_shelf": sum(1 for item in world.items.values() if item.approve_status != "onsale"),
                "promotions": sum(1 for item in world.items.values() if item.promotion_ends_at is not None),
                "orders": len(world.trades),
            }


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def load_state(path: Path) -> dict[str, Any] | None:
    """The saved state; None when there is no file yet. Raises StateError for a file that is not ours to read."""
    try:
        data = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StateError(f"it cannot be read ({error})") from error
    if not isinstance(data, dict) or "version" not in data:
        raise StateError("it is not a state file of the simulator")
    if data["version"] != STATE_VERSION:
        raise StateError(f"it has version {data['version']!r}, this program reads version {STATE_VERSION}")
    if not isinstance(data.get("seed"), int) or not isinstance(data.get("listings"), int):
        raise StateError("it names no seed and number of listings")
    return data
