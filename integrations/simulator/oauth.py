"""The two pages of OAuth: what platforms do alike there is to meet faults and to write calls down."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from integrations.simulator.faults import ANSWERED, Fault, perform
from integrations.simulator.routing import Request, Response
from integrations.simulator.simulation import Simulation


class OAuthPages(ABC):
    """Where a merchant consents, and where an application comes by its token."""

    platform: ClassVar[str]
    identifying: ClassVar[frozenset[str]]  # keys of the token answer that faults leave alone

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation

    @abstractmethod
    def consent(self, request: Request) -> Response:
        """The merchant's answer at once: back to the application with a code, or with an error when set to refuse."""

    @abstractmethod
    def grant(self, request: Request) -> Response:
        """A token for a code or for what else the platform takes."""

    @abstractmethod
    def error_of(self, fault: Fault) -> Response:
        """The platform's own error answer."""

    def authorize(self, request: Request) -> Response:
        return self._with_faults(request, "authorize", self.consent)

    def token(self, request: Request) -> Response:
        return self._with_faults(request, "token", self.grant)

    def _with_faults(self, request: Request, method: str, answer: Callable[[Request], Response]) -> Response:
        def normal() -> Response:
            response = answer(request)
            self._record(request, method, response.status if response.status >= 400 else 0, "")
            return response

        fault = self.simulation.faults.take(self.platform, method, "")
        if fault is None:
            return normal()
        if fault.kind not in ANSWERED:
            self._record(request, method, fault.code or fault.status or -1, fault.sub_code or fault.kind)
        stopping = self.simulation.stopping
        return perform(fault, normal=normal, error=self.error_of, keep=self.identifying, stopping=stopping)

    def _record(self, request: Request, method: str, code: int, sub_code: str) -> None:
        self.simulation.ledger.record(
            at=time.time(),
            platform=self.platform,
            verb=request.verb,
            path=request.path,
            method=method,
            shop="",
            item_ids=(),
            code=code,
            sub_code=sub_code,
        )
