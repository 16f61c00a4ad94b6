"""The way of every call to its platform, and what is met on it."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from email.utils import formatdate
from typing import Any, Protocol
from urllib.parse import urlsplit

from urllib3 import HTTPHeaderDict

from integrations.connectors.errors import Retry
from integrations.simulator.faults import Fault as Rule
from tests.convergence.clock import VirtualClock
from tests.convergence.plan import Call, Fault
from tests.convergence.shops import Shops

CALL_SECONDS = 0.12
TIMEOUT_SECONDS = 20.0
STALL_SECONDS = 150.0  # longer than any lease


class Killed(BaseException):
    """The worker is gone: nothing of it runs any more, as little as after a SIGKILL."""


class Meanwhile(Protocol):
    """What may happen while a call is out."""

    def second_runner(self, call: Call) -> None: ...
    def sell_meanwhile(self, platform: str) -> None: ...
    def change_meanwhile(self) -> None: ...
    def step_clock(self, number: int) -> None: ...


class Wire:
    """Carries calls to the simulator; stands in for HttpClient._exchange, the one place that opens connections."""

    def __init__(
        self,
        shops: Shops,
        clock: VirtualClock,
        of_calls: Mapping[Call, Mapping[int, Fault]],
        meanwhile: Meanwhile,
        note: Callable[[str], None],
    ) -> None:
        self._shops, self._clock, self._meanwhile, self._note = shops, clock, meanwhile, note
        self._left = {kind: dict(faults) for kind, faults in of_calls.items()}
        self._seen: Counter[Call] = Counter()
        self._depth = 0  # runners that have a call out
        self._late_on: set[str] = set()  # platforms that said to have done what they do later
        self.calls = 0
        self.uncompared: list[str] = []  # writes that a platform could have compared, and was not told with what

    @property
    def left(self) -> dict[Call, int]:
        """How many faults are still to be met, by the kind of call."""
        return {kind: len(faults) for kind, faults in self._left.items() if faults}

    def exchange(
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        platform: str,
        operation: str,
        read_body: bool,
    ) -> tuple[int, Mapping[str, str], bytes | None]:
        kind = _kind(platform, operation)
        fault = self._left[kind].pop(self._seen[kind], None)
        self._seen[kind] += 1
        self.calls += 1
        self._clock.passed += CALL_SECONDS
        if kind is Call.WRITE and platform == "shopify":
            self._look_for_comparison(body or b"")
        self._depth += 1
        try:
            if fault is not None:
                self._note(f"{operation}: {fault}")
                self._before(fault, kind, platform, operation)
            if kind is Call.WRITE and platform in self._late_on:
                # Nobody carries writes out in another order than that in which they were taken.
                self._shops.finish_late()
                self._late_on.discard(platform)
            answer = self._carry_out(fault, method, url, body, headers, platform)
            if fault is Fault.LATE:
                self._late_on.add(platform)
            if fault is not None:
                self._after(fault, platform, operation)
        finally:
            self._depth -= 1
        if answer.drop:
            raise Retry(platform, operation, cause="connection", may_have_arrived=True)
        assert isinstance(answer.body, bytes)
        told = HTTPHeaderDict({"Date": formatdate(self._clock.time(), usegmt=True), **answer.headers})
        return answer.status, told, answer.body if read_body else None

    def _before(self, fault: Fault, kind: Call, platform: str, operation: str) -> None:
        if fault is Fault.KILLED_BEFORE:
            raise Killed
        if fault is Fault.NOT_SENT:
            raise Retry(platform, operation, cause="connection")
        if fault is Fault.OVERTAKEN:
            self._clock.passed += STALL_SECONDS
        if fault in {Fault.SECOND_RUNNER, Fault.OVERTAKEN} and self._depth == 1:
            self._meanwhile.second_runner(kind)
        elif fault is Fault.SALE:
            self._meanwhile.sell_meanwhile(platform)
        elif fault is Fault.CHANGE:
            self._meanwhile.change_meanwhile()
        elif fault is Fault.CLOCK_MEANWHILE:
            self._meanwhile.step_clock(self.calls)

    def _carry_out(
        self,
        fault: Fault | None,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        platform: str,
    ) -> Any:
        rules = self._shops.simulation.faults
        if fault in _RULES:
            rules.add(Rule(platform=platform, **_RULES[fault]))
        parts = urlsplit(url)
        try:
            sent = {name.lower(): value for name, value in headers.items()}
            return self._shops.handle(method, parts.path, parts.query, sent, body or b"")
        finally:
            rules.clear()

    def _after(self, fault: Fault, platform: str, operation: str) -> None:
        if fault is Fault.KILLED_AFTER:
            raise Killed
        if fault is Fault.TIMEOUT:
            self._clock.passed += TIMEOUT_SECONDS
            raise Retry(platform, operation, cause="timeout", may_have_arrived=True)

    def _look_for_comparison(self, body: bytes) -> None:
        rows = json.loads(body)["variables"]["input"]["quantities"]
        self.uncompared += [row["inventoryItemId"] for row in rows if row.get("changeFromQuantity") is None]


_RULES: dict[Fault | None, dict[str, Any]] = {
    Fault.STATUS_429: {"kind": "status", "status": 429, "headers": {"Retry-After": "7"}},
    Fault.STATUS_500: {"kind": "status", "status": 500},
    Fault.DROPPED: {"kind": "drop"},
    Fault.HALF: {"kind": "half"},
    Fault.SILENT: {"kind": "silent_drop"},
    Fault.LATE: {"kind": "delayed_visibility", "seconds": 6.0},
}


def _kind(platform: str, operation: str) -> Call:
    if operation in {"set-stock", "tmall.item.quantity.update"} or operation.startswith("POST products"):
        return Call.WRITE
    is_of_orders = "trades" in operation or operation.startswith(("orders", "refunds", "more-lines", "GET orders"))
    return Call.ORDERS if is_of_orders else Call.LOOK


class InlinePool:
    """A pool of threads without threads: what is submitted is done at once, so that a schedule runs the same each time.

    What happens at the same time happens while a call is out; see Wire.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """As a ThreadPoolExecutor is made."""

    def submit(self, function: Callable[..., Any], *args: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args))
        except Exception as error:  # noqa: BLE001  # as a pool does
            future.set_exception(error)
        return future

    def shutdown(self, **kwargs: Any) -> None:
        """Nothing of it is left to be waited for."""
