"""The running world: one lock, one market clock, the stores' platforms, and the state file."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import orjson

from integrations.simulator.faults import Faults
from integrations.simulator.ledger import Ledger
from integrations.simulator.limits import LimitClock
from integrations.simulator.market import MAX_CATCH_UP, MAX_STEP, Market, MarketClock
from integrations.simulator.messages import Messages
from integrations.simulator.robots.accounts import Robots
from integrations.simulator.routing import Handler
from integrations.simulator.seed import add_stores, new_world
from integrations.simulator.sms.accounts import SmsAccount
from integrations.simulator.taobao.accounts import Accounts
from integrations.simulator.webhooks import Webhooks
from integrations.simulator.world import TAOBAO, Shop, World, WorldError

STATE_VERSION = 2
FIRST_STATE_VERSION = 1  # before there were stores


class StateError(Exception):
    """The state file cannot be used; the message says why and what to do."""


class Platform(Protocol):
    """A platform that keeps its accounts to itself; `Simulation.add` makes it part of the world."""

    name: str

    @property
    def version(self) -> int:
        """Rises with every change that `to_json` shows."""

    def routes(self) -> dict[str, Handler]:
        """Its paths, as Router.add takes them."""

    def control(self) -> dict[tuple[str, str], Callable[[Any], Any]]:
        """Its paths under /_simulator/ by (verb, path): they take a Request and return what is sent as JSON."""

    def accounts(self, base_url: str) -> dict[str, Any]:
        """What `/_simulator/accounts` says of it."""

    def reset(self) -> None:
        """As at the start."""

    def to_json(self) -> dict[str, Any]: ...

    def restore(self, data: dict[str, Any]) -> None:
        """Take over what `to_json` wrote. Raises KeyError, TypeError or ValueError for anything else."""


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
        self.shifted = 0  # seconds by which the world was re-dated in all
        self.platforms: dict[str, Platform] = {}
        self._watched: frozenset[str] = frozenset()
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._saved_platforms: dict[str, Any] = {}
        seeded = new_world(seed=seed, listings=listings, now=int(now))
        self._snapshot = orjson.dumps(seeded.to_json(), option=orjson.OPT_NON_STR_KEYS)
        self.world, self.clock = seeded, MarketClock(now)
        self.market = Market(self.world)
        self.webhooks = Webhooks(self)
        self.accounts = Accounts(self.shops_of(TAOBAO), seed, now)
        if state is not None:
            self._restore(state, now)

    def add(self, platform: Platform) -> None:
        """Make a platform part of the world. Raises StateError when the saved state has nothing usable for it."""
        self.platforms[platform.name] = platform
        saved = self._saved_platforms.get(platform.name)
        if saved is not None:
            with _state_errors():
                platform.restore(saved)

    def watch(self, shops: frozenset[str]) -> None:
        """Keep the news of these shops from now on, and of no others; see World.take_news."""
        self._watched = shops
        self.world.watch(shops)

    def shops_of(self, platform: str) -> list[Shop]:
        return [shop for shop in self.world.shops.values() if shop.platform == platform]

    def advance(self) -> World:
        """Bring the world up to the market clock."""
        self.market.advance(int(self.clock.now()))
        if self._later:
            self._run_later()
        return self.world

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something to the world in so many real seconds."""
        self._later.append((time.monotonic() + seconds, action))

    def _run_later(self) -> None:
        now = time.monotonic()
        due = [action for at, action in self._later if at <= now]
        self._later = [(at, action) for at, action in self._later if at > now]
        for action in due:
            action()

    def _use(self, world: World) -> None:
        version = self.world.version
        self.world = world
        self.market = Market(world)
        world.watch(self._watched)
        self._later.clear()
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
            self.webhooks.reset()
            for platform in self.platforms.values():
                platform.reset()

    def set_now(self, now: float) -> None:
        """Set the market clock. Forward runs the market; back re-dates the world, which keeps its prices and stock.

        Raises WorldError for a step forward of more than MAX_STEP seconds.
        """
        with self.lock:
            world = self.advance()
            if now - world.now > MAX_STEP:
                raise WorldError(f"the market moves at most {MAX_STEP // 86_400} days at once")
            if now < world.now:
                self.shifted += int(now) - world.now
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
        platforms = sum(platform.version for platform in self.platforms.values())
        return self.world.version + self.accounts.version + self.webhooks.version + platforms

    def to_json(self) -> dict[str, Any]:
        return {
            "version": STATE_VERSION,
            "seed": self.seed,
            "listings": self.listings,
            "saved_at": time.time(),
            "clock": {"now": self.clock.now(), "speed": self.clock.speed},
            "world": self.world.to_json(),
            "taobao": self.accounts.to_json(),
            "webhooks": self.webhooks.to_json(),
            "platforms": {name: platform.to_json() for name, platform in self.platforms.items()},
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
        with _state_errors():
            world = World.from_json(state["world"])
            self.accounts.restore(state["taobao"])
            market_now, speed = float(state["clock"]["now"]), float(state["clock"]["speed"])
            passed = max(0.0, now - float(state["saved_at"])) * speed
            if state["version"] == FIRST_STATE_VERSION:
                add_stores(world)
            else:
                self.webhooks.restore(state["webhooks"])
                self._saved_platforms = dict(state["platforms"])
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
                "listings": sum(1 for _ in world.rows(TAOBAO)),
                "store_listings": sum(1 for _ in world.rows()) - sum(1 for _ in world.rows(TAOBAO)),
                "units": sum(row.quantity for _, row in world.rows()),
                "sold_out": sum(1 for _, row in world.rows() if row.quantity <= 0),
                "off_shelf": sum(1 for item in world.items.values() if item.approve_status != "onsale"),
                "promotions": sum(1 for item in world.items.values() if item.promotion_ends_at is not None),
                "orders": len(world.trades),
            }


@contextmanager
def _state_errors() -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StateError(f"it lacks what this version needs ({type(error).__name__}: {error})") from error


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
    if data["version"] not in (FIRST_STATE_VERSION, STATE_VERSION):
        readable = f"{FIRST_STATE_VERSION} to {STATE_VERSION}"
        raise StateError(f"it has version {data['version']!r}, this program reads versions {readable}")
    if not isinstance(data.get("seed"), int) or not isinstance(data.get("listings"), int):
        raise StateError("it names no seed and number of listings")
    return data
