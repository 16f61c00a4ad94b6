"""What the webhooks of the three messengers have in common: who is addressed, faults, and the two records."""

import time
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import orjson

from integrations.simulator.faults import ANSWERED, Fault, perform
from integrations.simulator.messages import Message
from integrations.simulator.robots.accounts import Robot
from integrations.simulator.routing import Request, Response, json_response
from integrations.simulator.simulation import Simulation, iso

METHOD = "send"
MAX_RECORDED_BODY = 65_536


class Refusal(Exception):
    """What the platform answers instead of delivering: its code and text, with HTTP status 200 as a rule."""

    def __init__(self, code: int, text: str, *, status: int = 200, extra: dict[str, Any] | None = None) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text
        self.status = status
        self.extra = extra or {}


class Endpoint(ABC):
    """The webhook of one messenger."""

    platform: ClassVar[str]
    path: ClassVar[str]  # without a token; the ledger names calls by it

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation

    @abstractmethod
    def find(self, request: Request) -> Robot | None:
        """The robot that the address names."""

    @abstractmethod
    def judge(self, request: Request, robot: Robot | None, message: Message) -> None:
        """Fill in the message as far as it can be read. Raises Refusal when it is not delivered."""

    @abstractmethod
    def answer(self, code: int, text: str) -> dict[str, Any]:
        """The body of an answer; code 0 is success."""

    def handle(self, request: Request) -> Response:
        robot = self.find(request)
        fault = self.simulation.faults.take(self.platform, METHOD, robot.key if robot is not None else "")
        if fault is None:
            return self._answer(request, robot)
        if fault.kind not in ANSWERED:
            message = Message(body=read_json(request.body))
            self._record(request, robot, message, fault.code or fault.status or -1, fault.msg or fault.kind)
        return perform(
            fault,
            normal=lambda: self._answer(request, robot),
            error=self._error,
            keep=frozenset(),
            stopping=self.simulation.stopping,
        )

    def _answer(self, request: Request, robot: Robot | None) -> Response:
        message = Message(body=read_json(request.body))
        try:
            self.judge(request, robot, message)
        except Refusal as refused:
            self._record(request, robot, message, refused.code, refused.text)
            return json_response({**refused.extra, **self.answer(refused.code, refused.text)}, refused.status)
        self._record(request, robot, message, 0, "")
        return json_response(self.answer(0, ""))

    def _error(self, fault: Fault) -> Response:
        return json_response(self.answer(fault.code or -1, fault.msg or "system busy"), fault.status or 200)

    def _record(self, request: Request, robot: Robot | None, message: Message, code: int, text: str) -> None:
        now = time.time()
        key = robot.key if robot is not None else ""
        if len(request.body) > MAX_RECORDED_BODY:
            message.body = None
        elif message.body is not None:
            message.body = {name: value for name, value in message.body.items() if name not in ("sign", "timestamp")}
        self.simulation.messages.record(
            message, at=iso(now), platform=self.platform, robot=key, code=code, answer=text, accepted=code == 0
        )
        self.simulation.ledger.record(
            at=now,
            platform=self.platform,
            verb=request.verb,
            path=self.path,
            method=METHOD,
            shop=key,
            item_ids=(),
            code=code,
        )


def read_json(body: bytes) -> dict[str, Any] | None:
    """The JSON object in a body; None for anything else."""
    try:
        value = orjson.loads(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def is_json(request: Request) -> bool:
    """Whether the request says that its body is JSON in UTF-8."""
    media_type, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    charset = parameters.partition("charset=")[2].strip(' "')
    return media_type.strip() == "application/json" and charset in ("", "utf-8", "utf8")
