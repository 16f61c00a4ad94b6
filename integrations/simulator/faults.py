"""Wrong answers on request: what a client must survive, one rule per fault."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from integrations.simulator.routing import HTML, Response

CALL_KINDS = frozenset(
    {"status", "error", "delay", "drop", "html", "null", "half", "big", "endless", "redirect", "retry_after", "lost"}
    # A PHP notice stands before the JSON (notice), or the server gives up on a batch that is applied in part (partial).
    | {"notice", "partial"}
)
# A write is answered as applied, but is not (silent_drop), or only `seconds` later (delayed_visibility).
WRITE_KINDS = frozenset({"silent_drop", "delayed_visibility"})
WEBHOOK_KINDS = frozenset({"webhook_duplicate", "webhook_reorder", "webhook_drop", "webhook_delay"})
KINDS = CALL_KINDS | WRITE_KINDS | WEBHOOK_KINDS
# These let the call run and spoil its answer (or its effect); all others take its place, and it does nothing.
ANSWERED = frozenset({"delay", "null", "half", "lost", "notice", "partial"}) | WRITE_KINDS
HALF_MODES = frozenset({"truncated", "missing_keys", "short_body"})
BIG_BYTES = 10 * 1024 * 1024
DRIP_SECONDS = 0.1
ENDLESS_LIMIT_SECONDS = 600
METADATA_ADDRESS = "http://169.254.169.254/latest/meta-data/"  # what a careless client must not be led to
PHP_NOTICE = "<br />\n<b>Notice</b>:  Undefined index: id in <b>/var/www/html/plugin.php</b> on line <b>12</b><br />\n"
HOSTILE_RETRY_AFTER = "999999999"


class FaultError(ValueError):
    """A rule that cannot be understood."""


@dataclass
class Fault:
    """One rule: which calls it meets (platform, method, shop), what it does to them, and how often.

    Of a webhook kind it meets outbound deliveries in place of calls; their method is the topic.
    """

    kind: str
    platform: str = "taobao"
    method: str = "*"
    shop: str = "*"
    times: int = 1  # 0: until cleared
    after: int = 0  # matching calls that pass before the first one is met
    status: int | None = None
    code: int | None = None
    msg: str | None = None
    sub_code: str | None = None
    sub_msg: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    # How long delays of all kinds are; the wait named in the message of an error; endless: between two bytes.
    seconds: float | None = None
    mode: str = "truncated"  # of half: truncated, missing_keys, short_body
    fields: list[str] = field(default_factory=list)  # of null and missing_keys: only these; empty: every fact
    user_error: bool = False  # of error, at Shopify: a write's userErrors say sub_code, msg and fields
    location: str = METADATA_ADDRESS  # of redirect
    body: str | None = None  # of status, html and notice
    rows: int | None = None  # of partial: how many are applied; None: half of them
    size: int = BIG_BYTES  # of big, in bytes

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise FaultError(f"unknown kind {self.kind!r}; one of {', '.join(sorted(KINDS))}")
        if self.mode not in HALF_MODES:
            raise FaultError(f"unknown mode {self.mode!r}; one of {', '.join(sorted(HALF_MODES))}")
        if self.kind == "error" and self.code is None and self.sub_code is None:
            raise FaultError("an error fault needs a code or a sub_code")


class Faults:
    """The rules in force. The first that matches a call is used, and used up after `times` calls."""

    def __init__(self) -> None:
        self._rules: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._rules.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def rules(self) -> list[Fault]:
        with self._lock:
            return list(self._rules)

    def take(
        self, platform: str, method: str, shop: str, kinds: frozenset[str] = CALL_KINDS | WRITE_KINDS
    ) -> Fault | None:
        """The rule that meets a call, or with WEBHOOK_KINDS a delivery; None when it goes as it should."""
        if not self._rules:
            return None
        with self._lock:
            for rule in self._rules:
                if rule.kind not in kinds:
                    continue
                if rule.platform != platform or rule.method not in ("*", method) or rule.shop not in ("*", shop):
                    continue
                if rule.after > 0:
                    rule.after -= 1
                    continue
                if rule.times == 1:
                    self._rules.remove(rule)
                elif rule.times:
                    rule.times -= 1
                return rule
        return None


def perform(
    fault: Fault,
    *,
    normal: Callable[[], Response],
    error: Callable[[Fault], Response],
    keep: frozenset[str],
    stopping: threading.Event,
) -> Response:
    """The answer a fault makes of a call.

    normal answers the call as if nothing were wrong, error renders the platform's own error answer, and keep names the
    keys that identify things, which null and missing_keys leave alone.
    """
    if fault.kind == "status":
        return Response(fault.status or 500, (fault.body or "").encode(), HTML, dict(fault.headers))
    if fault.kind == "error":
        answer = error(fault)
        answer.headers.update(fault.headers)
        return answer
    if fault.kind == "delay":
        answer = normal()  # first, so that a caller who gave up finds nothing happening later, in the next test's world
        stopping.wait(fault.seconds if fault.seconds is not None else 1.0)
        return answer
    if fault.kind == "drop":
        return Response(drop=True)
    if fault.kind == "lost":
        normal()
        return Response(drop=True)
    if fault.kind == "notice":
        answer = normal()
        if isinstance(answer.body, bytes):
            answer.body = (PHP_NOTICE if fault.body is None else fault.body).encode() + answer.body
        return answer
    if fault.kind == "partial":
        return normal()  # how far it comes, the platform knows
    if fault.kind in WRITE_KINDS:
        return normal()  # what it does to the write, the platform does
    if fault.kind == "html":
        page = (
            fault.body
            or "<!DOCTYPE html><html><head><title>系统繁忙</title></head><body>系统繁忙，请稍后再试</body></html>"
        )
        return Response(fault.status or 200, page.encode(), HTML, dict(fault.headers))
    if fault.kind == "null":
        return _rewritten(normal(), lambda value: _with_nulls(value, keep, frozenset(fault.fields)))
    if fault.kind == "half":
        return _half(fault, normal(), keep)
    if fault.kind == "big":
        return Response(200, b'{"padding":"' + b"x" * fault.size + b'"}')
    if fault.kind == "endless":
        interval = fault.seconds if fault.seconds is not None else DRIP_SECONDS
        return Response(200, _drip(interval, stopping), headers=dict(fault.headers))
    if fault.kind == "redirect":
        return Response(fault.status or 302, b"", HTML, {"Location": fault.location, **fault.headers})
    return Response(fault.status or 429, b"", HTML, {"Retry-After": HOSTILE_RETRY_AFTER, **fault.headers})


def _drip(interval: float, stopping: threading.Event) -> Iterator[bytes]:
    """A JSON string that never ends, a byte at a time; without an interval, in large blocks as fast as the reader."""
    yield b'{"padding":"'
    until = time.monotonic() + ENDLESS_LIMIT_SECONDS
    while time.monotonic() < until and not stopping.wait(interval):
        yield b"x" if interval else b"x" * 65_536


def _half(fault: Fault, answer: Response, keep: frozenset[str]) -> Response:
    if fault.mode == "missing_keys":
        return _rewritten(answer, lambda value: _without_facts(value, keep, frozenset(fault.fields)))
    body = answer.body if isinstance(answer.body, bytes) else b""
    answer.body = body[: len(body) // 2]
    if fault.mode == "short_body":
        answer.declared_length = len(body)
    return answer


def _rewritten(answer: Response, change: Callable[[Any], Any]) -> Response:
    if isinstance(answer.body, bytes) and answer.body.startswith((b"{", b"[")):
        answer.body = orjson.dumps(change(orjson.loads(answer.body)))
    return answer


def _is_met(key: str, value: object, keep: frozenset[str], only: frozenset[str]) -> bool:
    return key in only if only else key not in keep and not isinstance(value, dict | list)


def _with_nulls(value: Any, keep: frozenset[str], only: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {
            key: None if _is_met(key, inner, keep, only) else _with_nulls(inner, keep, only)
            for key, inner in value.items()
        }
    return [_with_nulls(inner, keep, only) for inner in value] if isinstance(value, list) else value


def _without_facts(value: Any, keep: frozenset[str], only: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {
            key: _without_facts(inner, keep, only)
            for key, inner in value.items()
            if not _is_met(key, inner, keep, only)
        }
    return [_without_facts(inner, keep, only) for inner in value] if isinstance(value, list) else value
