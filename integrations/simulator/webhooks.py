"""Webhooks on their way out: who subscribed to what, and a queue on the real clock that a thread of its own works off.

They are sent to this machine only. What a platform puts into a body, how it signs and how often it tries again is said
by its `Sender`.
"""

import heapq
import http.client
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from integrations.simulator.faults import WEBHOOK_KINDS
from integrations.simulator.world import News, World

if TYPE_CHECKING:
    from integrations.simulator.simulation import Simulation

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
LOOK_SECONDS = 0.05  # how often the thread looks for news
MAX_LOG = 2_000
DEFAULT_DELAY_SECONDS = 1.0


@dataclass(slots=True)
class Subscription:
    """Deliveries of one topic of one shop to one address."""

    id: int
    platform: str
    shop: str
    topic: str
    address: str
    secret: str
    kind: str  # what of world.NEWS it is about; "": nothing that the market does
    status: str = "active"
    failures: int = 0  # in a row
    detail: dict[str, Any] = field(default_factory=dict)  # what else the platform keeps of it, fit for JSON


@dataclass(slots=True)
class Delivery:
    """One message to one subscription; its number is the same at every attempt."""

    number: int
    subscription: Subscription
    body: bytes | Callable[[World], bytes | None]  # a function is called at each attempt, under the world's lock
    headers: dict[str, str] = field(default_factory=dict)  # besides those that Sender.headers adds
    attempt: int = 0
    group: str = ""  # a later delivery of a subscription and group that waits already is left out; "": never


class Sender(Protocol):
    """What a platform does with webhooks."""

    retry_seconds: tuple[float, ...]  # waits before the further attempts
    timeout_seconds: float
    success: range  # of statuses

    def deliveries(self, world: World, subscription: Subscription, news: News) -> list[tuple[Any, dict[str, str], str]]:
        """(body, headers, group) of each delivery that a piece of news sets off; see Delivery."""

    def headers(self, delivery: Delivery, body: bytes) -> dict[str, str]:
        """The headers of an attempt, signature included."""

    def failed(self, subscription: Subscription) -> bool:
        """An attempt failed and was counted; True when the subscription is to go."""


class Webhooks:
    """Every platform's subscriptions, what waits to be sent and what became of it."""

    def __init__(self, simulation: "Simulation") -> None:
        self._simulation = simulation
        self._senders: dict[str, Sender] = {}
        # The world's own lock: subscriptions change while the world is held, and news are taken from it.
        self._condition = threading.Condition(simulation.lock)
        self._thread: threading.Thread | None = None
        self._stopped = False
        self.version = 0
        self.reset()

    def reset(self) -> None:
        """No subscription, nothing on its way."""
        with self._condition:
            self.subscriptions: dict[int, Subscription] = {}
            self.retry_seconds: tuple[float, ...] | None = None  # in place of each platform's own
            self._queue: list[tuple[float, int, Delivery]] = []
            self._order = itertools.count()
            self._numbers = itertools.count(1)
            self._ids = itertools.count(1_000_001)
            self._held: list[Delivery] = []  # by webhook_reorder, until the next one has gone
            self._log: deque[dict[str, Any]] = deque(maxlen=MAX_LOG)
            self._changed()

    def register(self, platform: str, sender: Sender) -> None:
        self._senders[platform] = sender

    # Subscriptions

    def subscribe(
        self, platform: str, shop: str, topic: str, address: str, secret: str, kind: str, detail: dict[str, Any]
    ) -> Subscription:
        """Deliver from now on. The platform has checked what it refuses; the address may be anywhere."""
        with self._condition:
            subscription = Subscription(next(self._ids), platform, shop, topic, address, secret, kind, detail=detail)
            self.subscriptions[subscription.id] = subscription
            self._changed()
            return subscription

    def unsubscribe(self, subscription_id: int) -> None:
        with self._condition:
            self.subscriptions.pop(subscription_id, None)
            self._changed()

    def of_shop(self, platform: str, shop: str) -> list[Subscription]:
        with self._condition:
            return [entry for entry in self.subscriptions.values() if (entry.platform, entry.shop) == (platform, shop)]

    def _changed(self) -> None:
        self.version += 1
        watched = frozenset(entry.shop for entry in self.subscriptions.values())
        self._simulation.watch(watched)
        if watched and self._thread is None and not self._stopped:
            self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
            self._thread.start()
        self._condition.notify_all()

    # The queue

    def enqueue(
        self,
        subscription: Subscription,
        body: bytes | Callable[[World], bytes | None],
        headers: dict[str, str] | None = None,
        group: str = "",
    ) -> None:
        """Queue a delivery for now; faults may double, delay or drop it or let the next one go first."""
        with self._condition:
            waiting = (entry[2] for entry in self._queue)
            if group and any(d.group == group and d.subscription.id == subscription.id for d in waiting):
                return
            delivery = Delivery(next(self._numbers), subscription, body, headers or {}, group=group)
            now = time.monotonic()
            fault = self._simulation.faults.take(
                subscription.platform, subscription.topic, subscription.shop, WEBHOOK_KINDS
            )
            kind = "" if fault is None else fault.kind
            if kind == "webhook_drop":
                self._note(delivery, None, "dropped")
                return
            if kind == "webhook_reorder":
                self._held.append(delivery)
                return
            wait = 0.0
            if fault is not None and kind == "webhook_delay":
                wait = DEFAULT_DELAY_SECONDS if fault.seconds is None else fault.seconds
            self._push(now + wait, delivery)
            if kind == "webhook_duplicate":
                self._push(now + wait, delivery)
            held, self._held = self._held, []
            for late in held:
                self._push(now + wait, late)

    def _push(self, due: float, delivery: Delivery) -> None:
        heapq.heappush(self._queue, (due, next(self._order), delivery))
        self._condition.notify_all()

    def _run(self) -> None:
        while not self._stopped:
            with self._condition:
                if not self.subscriptions and not self._queue:
                    self._condition.wait(1.0)
                    continue
            self._collect()
            delivery = self._next()
            if delivery is not None:
                self._deliver(delivery)

    def _next(self) -> Delivery | None:
        with self._condition:
            if not self._queue or self._queue[0][0] > time.monotonic():
                self._condition.wait(LOOK_SECONDS)
                return None
            return heapq.heappop(self._queue)[2]

    def _collect(self) -> None:
        """Make deliveries of what happened in the world since the last time."""
        with self._condition:
            world = self._simulation.advance()
            for piece in world.take_news():
                for entry in list(self.subscriptions.values()):
                    sender = self._senders.get(entry.platform)
                    if (
                        sender is None
                        or entry.status != "active"
                        or (entry.shop, entry.kind) != (piece.shop, piece.kind)
                    ):
                        continue
                    for body, headers, group in sender.deliveries(world, entry, piece):
                        self.enqueue(entry, body, headers, group)

    def _deliver(self, delivery: Delivery) -> None:
        subscription = delivery.subscription
        sender = self._senders[subscription.platform]
        delivery.attempt += 1
        body = delivery.body
        if not isinstance(body, bytes):
            with self._condition:
                found = body(self._simulation.advance())
            if found is None:
                return
            body = found
        status, reason = self._post(delivery, body, sender)
        self._note(delivery, status, reason)
        with self._condition:
            if status is not None and status in sender.success:
                subscription.failures = 0
                return
            waits = sender.retry_seconds
            if self.retry_seconds is not None:
                waits = self.retry_seconds[: len(waits)]
            subscription.failures += 1
            self.version += 1
            if sender.failed(subscription):
                self.unsubscribe(subscription.id)
            elif delivery.attempt <= len(waits) and subscription.id in self.subscriptions:
                self._push(time.monotonic() + waits[delivery.attempt - 1], delivery)

    @staticmethod
    def _post(delivery: Delivery, body: bytes, sender: Sender) -> tuple[int | None, str]:
        """The status and '', or None and why there is none. A redirect is not followed."""
        parts = urlsplit(delivery.subscription.address)
        if parts.hostname not in LOOPBACK:
            return None, "not sent: not an address of this machine"
        # A real platform insists on HTTPS; receivers on this machine mostly speak HTTP whatever the address says.
        connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=sender.timeout_seconds)
        path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        try:
            connection.request("POST", path, body, {**delivery.headers, **sender.headers(delivery, body)})
            return connection.getresponse().status, ""
        except (OSError, http.client.HTTPException) as error:
            return None, type(error).__name__
        finally:
            connection.close()

    def _note(self, delivery: Delivery, status: int | None, reason: str) -> None:
        subscription = delivery.subscription
        entry = {
            "at": datetime.now(UTC).isoformat(),
            "number": delivery.number,
            "attempt": delivery.attempt,
            "platform": subscription.platform,
            "shop": subscription.shop,
            "subscription": subscription.id,
            "topic": subscription.topic,
            "status": status,
            "reason": reason,
        }
        with self._condition:
            self._log.append(entry)

    def stop(self) -> None:
        with self._condition:
            self._stopped = True
            self._condition.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(5)

    # State

    def summary(self) -> dict[str, Any]:
        """Subscriptions (without secrets), how many deliveries wait, and the last ones with what became of them."""
        with self._condition:
            subscriptions = [
                {
                    "id": entry.id,
                    "platform": entry.platform,
                    "shop": entry.shop,
                    "topic": entry.topic,
                    "address": entry.address,
                    "status": entry.status,
                    "failures": entry.failures,
                }
                for entry in self.subscriptions.values()
            ]
            waiting = len(self._queue) + len(self._held)
            return {"subscriptions": subscriptions, "waiting": waiting, "deliveries": list(self._log)}

    def to_json(self) -> dict[str, Any]:
        with self._condition:
            return {"subscriptions": list(self.subscriptions.values())}

    def restore(self, data: dict[str, Any]) -> None:
        """Take over what `to_json` wrote. Raises KeyError, TypeError or ValueError for anything else."""
        with self._condition:
            self.subscriptions = {entry["id"]: Subscription(**entry) for entry in data["subscriptions"]}
            self._ids = itertools.count(max(self.subscriptions, default=1_000_000) + 1)
            self._changed()
