"""Calls of the Admin API: the token, the cost bucket, the version that answers, and what refusals mean."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson

from integrations.connectors.base import Quota
from integrations.connectors.clock import Clock
from integrations.connectors.errors import ConnectorError, Reauthorise, Retry, Review, Wait
from integrations.connectors.http import Answer, HttpClient
from integrations.connectors.shopify import documents, parse, refusals
from integrations.connectors.shopify.credentials import ShopifyCredentials
from integrations.connectors.shopify.pacing import CostBucket, PacedCall
from integrations.connectors.shopify.refusals import PLATFORM
from integrations.connectors.values import HalfAnswer, text, whole

logger = logging.getLogger(__name__)

_LONGEST_WAIT_SECONDS = 15.0  # for the bucket, in a thread; what takes longer is left to the lane
_LOOK_AGAIN_SECONDS = 0.05  # at the bucket, of which every answer may tell something new
_LONGEST_DELAY_SECONDS = 60.0
_MOST_POINTS = 2**31 - 1


class Gateway:
    """The GraphQL endpoint as one app calls it for one shop."""

    def __init__(
        self, credentials: ShopifyCredentials, *, base_url: str, http: HttpClient, mask: Callable[[str], str]
    ) -> None:
        """`mask` takes the secrets out of what the platform quotes."""
        self._credentials, self._http, self.mask = credentials, http, mask
        self._url = f"{base_url}/admin/api/{credentials.api_version}/graphql.json"
        self._bucket = CostBucket()
        self._served_version = ""  # "": no answer yet
        self.quota: Quota | None = None  # as the last answer told it

    def pages(
        self, document: str, variables: Mapping[str, Any], path: tuple[str, ...], clock: Clock
    ) -> Iterator[Mapping[str, Any]]:
        """The rows of all pages of a connection, from the cursor `after` on."""
        for nodes, _end in self.connection(document, variables, path, clock):
            yield from nodes

    def connection(
        self, document: str, variables: Mapping[str, Any], path: tuple[str, ...], clock: Clock
    ) -> Iterator[tuple[list[Mapping[str, Any]], str]]:
        """Those pages, each with the cursor of the next one; "" with the last."""
        after = variables.get("after")
        while True:
            data = self.query(document, {**variables, "after": after}, clock)
            with whole(PLATFORM, document):
                page = parse.page(parse.field(data, *path))
                if page.end and page.end == after:
                    raise HalfAnswer("a page that leads to itself")
            yield page.nodes, page.end
            if not page.end:
                return
            after = page.end

    def query(self, document: str, variables: Mapping[str, Any], clock: Clock) -> Mapping[str, Any]:
        """The `data` of an answer without errors."""
        if not self._credentials.access_token:
            raise Reauthorise(PLATFORM, document, cause="session-invalid", detail="no access token")
        call = self._let_through(document, clock)
        told = None
        try:
            answer = self._post(document, variables, clock.now())
            told = parse.throttle(answer.json)
        finally:
            self._bucket.settle(call, told, time.monotonic())
            if told is not None:
                left, most, per_second = map(_points, (told.available, told.maximum, told.restore_rate))
                self.quota = Quota(left, most, per_second, told_at=clock.now())
        self._note_version(answer)
        data, errors = parse.field(answer.json, "data"), parse.field(answer.json, "errors")
        if errors:
            errors = errors if isinstance(errors, list) else [{"message": errors}]
            error = refusals.graphql_error(errors, document, clock.now(), told, self.mask)
            if documents.is_write(document) and parse.was_carried_out(data, errors):
                raise Retry(
                    PLATFORM,
                    document,
                    cause="half-answer",
                    code=error.code,
                    detail=error.detail,
                    may_have_arrived=True,
                ) from error
            raise error
        if not isinstance(data, Mapping):
            raise Retry(PLATFORM, document, cause="half-answer", may_have_arrived=True)
        return data

    def check_version(self, operation: str, clock: Clock) -> None:
        """Raise Review where Shopify serves another version than the one we speak: it does so when ours was retired."""
        if not self._served_version:
            self.query("shop", {}, clock)
        if self._is_behind():
            detail = f"{self._served_version} instead of {self._credentials.api_version}"
            raise Review(PLATFORM, operation, scope="channel", cause="api-version", detail=detail)

    def _post(self, document: str, variables: Mapping[str, Any], now: datetime) -> Answer:
        try:
            return self._http.request(
                "POST",
                self._url,
                body=orjson.dumps({"query": documents.SENT[document], "variables": variables}),
                headers={
                    "Content-Type": "application/json",
                    "X-Shopify-Access-Token": self._credentials.access_token,
                },
                platform=PLATFORM,
                operation=document,
                now=now,
            )
        except ConnectorError as error:
            raise refusals.by_status(error) from error.__cause__

    def _let_through(self, document: str, clock: Clock) -> PacedCall:
        """Wait until the bucket holds what the call costs; raises Wait when that takes too long for a thread."""
        call = self._bucket.enter(document, documents.COSTS[document])
        ends = time.monotonic() + _LONGEST_WAIT_SECONDS
        while (seconds := self._bucket.wait(call, now := time.monotonic())) > 0:
            if now > ends or (math.isfinite(seconds) and now + seconds > ends):
                self._bucket.leave(call)
                delay = timedelta(seconds=min(max(seconds, 1.0), _LONGEST_DELAY_SECONDS))
                raise Wait(PLATFORM, document, cause="quota", retry_at=clock.now() + delay)
            time.sleep(min(seconds, _LOOK_AGAIN_SECONDS))
        return call

    def _note_version(self, answer: Answer) -> None:
        served = text(answer.headers.get("X-Shopify-API-Version"))
        if served and served != self._served_version:
            self._served_version = served
            if self._is_behind():
                asked = self._credentials.api_version
                logger.warning("Shopify answers with version %s where %s is asked for", served, asked)

    def _is_behind(self) -> bool:
        return self._served_version not in {"", self._credentials.api_version}


def _points(told: float) -> int:
    """A figure that can be stored, whatever an answer says."""
    return int(min(max(told, 0), _MOST_POINTS))
