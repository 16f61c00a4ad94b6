"""Signed calls of the gateway: the session, the clock, and what its refusals mean."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from integrations.connectors.clock import Clock
from integrations.connectors.errors import ConnectorError, Fatal, Reauthorise, Retry
from integrations.connectors.http import HttpClient, http_date
from integrations.connectors.taobao import parse, refusals
from integrations.connectors.taobao.credentials import TaobaoCredentials
from integrations.connectors.taobao.refusals import PLATFORM
from integrations.connectors.taobao.signing import signed, timestamp
from integrations.connectors.values import HalfAnswer

logger = logging.getLogger(__name__)

TIME = "taobao.time.get"
READ_COMPETITORS = "taobao.tbk.item.info.get"
PERMIT = "taobao.tmc.user.permit"
CONSUME = "taobao.tmc.messages.consume"
CONFIRM = "taobao.tmc.messages.confirm"
# What is public needs no shop's consent, and messages are the app's.
WITHOUT_SESSION = frozenset({TIME, READ_COMPETITORS, CONSUME, CONFIRM})


def half_answer(operation: str, half: HalfAnswer) -> Retry:
    return Retry(PLATFORM, operation, cause="half-answer", detail=str(half), may_have_arrived=True)


class Gateway:
    """The gateway as one app calls it for one shop."""

    def __init__(
        self, credentials: TaobaoCredentials, *, url: str, http: HttpClient, mask: Callable[[str], str]
    ) -> None:
        """`mask` takes the secrets out of what the platform quotes."""
        self._credentials, self._url, self._http, self._mask = credentials, url, http, mask
        self._public = {
            "app_key": credentials.app_key,
            "format": "json",  # the gateway answers in XML unless told
            "sign_method": credentials.sign_method,
            "v": "2.0",
        }
        self._clock_offset = timedelta()  # how far the gateway's clock is ahead of ours, learnt from a refusal

    def rows(
        self, method: str, parameters: Mapping[str, str], outer: str, inner: str, id_field: str, clock: Clock
    ) -> parse.Rows:
        body = self.call(method, parameters, clock)
        try:
            return parse.rows(body, outer, inner, id_field)
        except HalfAnswer as half:
            raise half_answer(method, half) from half

    def call(self, method: str, parameters: Mapping[str, str], clock: Clock) -> dict[str, Any]:
        """What is under the root key of the answer; repeated once with the gateway's time when ours was refused."""
        try:
            return self._call_once(method, parameters, clock)
        except _ClockRefused as refused:
            logger.warning("The gateway refused our timestamp, asking for its time: %s", refused)
        self._clock_offset = self._server_time(clock) - clock.now()
        return self._call_once(method, parameters, clock)

    def _server_time(self, clock: Clock) -> datetime:
        try:
            return parse.server_time(self._call_once(TIME, {}, clock))
        except HalfAnswer as half:
            raise half_answer(TIME, half) from half
        except _ClockRefused as refused:
            # Asking for the time needs a timestamp as well; where that one is checked too, the answer's date will do.
            if refused.served_at is None:
                raise
            return refused.served_at

    def _call_once(self, method: str, parameters: Mapping[str, str], clock: Clock) -> dict[str, Any]:
        now = clock.now()
        form = {
            **self._public,
            **parameters,
            "method": method,
            "session": self._session_for(method),
            "timestamp": timestamp(now + self._clock_offset),
        }
        answer = self._http.post_form(
            self._url,
            signed(form, self._credentials.app_secret),
            platform=PLATFORM,
            operation=method,
            now=now,
        )
        refusal = parse.refusal(answer.json)
        if refusal is not None:
            error = refusals.gateway_error(refusal, method, clock.now(), self._mask)
            raise _ClockRefused(error, http_date(answer.date)) if error.cause == "clock" else error
        try:
            return parse.body(answer.json, method.removeprefix("taobao.").replace(".", "_") + "_response")
        except HalfAnswer as half:
            raise half_answer(method, half) from half

    def _session_for(self, method: str) -> str:
        if method in WITHOUT_SESSION:
            return ""
        if not self._credentials.access_token:
            raise Reauthorise(PLATFORM, method, cause="session-invalid", detail="no access token")
        return self._credentials.access_token


class _ClockRefused(Fatal):
    """Our timestamp was missing or outside of the gateway's window; `served_at` is when its answer says it was made."""

    def __init__(self, error: ConnectorError, served_at: datetime | None) -> None:
        super().__init__(
            error.platform,
            error.operation,
            cause=error.cause,
            request_id=error.request_id,
            code=error.code,
            detail=error.detail,
        )
        self.served_at = served_at
