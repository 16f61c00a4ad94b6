"""Calls of one shop: how it is let known who calls, what its refusals mean, its lists read to their end."""

from __future__ import annotations

import json
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from html import unescape
from typing import Any, TypeVar
from urllib.parse import urlsplit

from integrations.connectors.clock import Clock
from integrations.connectors.errors import ConnectorError, Retry, Review
from integrations.connectors.http import Answer, HttpClient, http_date
from integrations.connectors.values import text, whole
from integrations.connectors.woocommerce import parse, refusals, signing
from integrations.connectors.woocommerce.credentials import WooCommerceCredentials
from integrations.connectors.woocommerce.refusals import PLATFORM

T = TypeVar("T")

PAGE = 100  # the most rows of a list, or ids of a read
_MOST_STEPS_BACK = 10  # in one list
_STATUSES = frozenset({200, 201, 400, 401, 403, 404, 413, 500, 501})  # whose answers are JSON of WordPress


@dataclass(frozen=True, slots=True)
class _Way:
    """What a shop's server needs of its callers; it says so only by refusing them."""

    keys_in_query: bool = False  # it takes the Authorization header away
    route_in_query: bool = False  # its permalinks are off
    clock_offset: timedelta = timedelta()  # how far its clock is ahead of ours
    home: str = ""  # what it takes for its address, where we reach it by another one


class Gateway:
    """One shop's API as one key calls it; may be used by several threads at once."""

    def __init__(
        self, credentials: WooCommerceCredentials, *, base_url: str, http: HttpClient, mask: Callable[[str], str]
    ) -> None:
        """`mask` takes the secrets out of what the shop quotes."""
        self._credentials, self._base_url, self._http, self._mask = credentials, base_url, http, mask
        self._is_plain_http = urlsplit(base_url).scheme == "http"
        self._way = _Way()
        self._is_let_in = False  # a call in this way was answered
        self._is_query_in_vain = False  # keys in the query were taken no better than in the header
        self._has_all_variations: bool | None = None  # since WooCommerce 10.3; None: not known yet
        self._currency = ""  # "": not asked yet
        self._asking = threading.Lock()  # held by the one call that learns what all others need to know

    # --- Lists ------------------------------------------------------------------------------------------------------

    def rows(
        self, path: str, parameters: Mapping[str, str], clock: Clock
    ) -> tuple[list[Mapping[str, Any]], int | None]:
        """The rows of one page, and how many there are on all pages; None where the shop does not say."""
        answer = self.call("GET", path, clock, parameters)
        with whole(PLATFORM, path):
            return parse.rows(answer.json), parse.total(answer.headers)

    def pages(
        self, path: str, clock: Clock, parameters: Mapping[str, str] | None = None, *, fields: str
    ) -> Iterator[Mapping[str, Any]]:
        """The rows of a whole list, each once."""
        for rows, _further in self.numbered(path, clock, parameters, fields=fields):
            yield from rows

    def numbered(
        self,
        path: str,
        clock: Clock,
        parameters: Mapping[str, str] | None = None,
        *,
        fields: str,
        cursor: Mapping[str, Any] | None = None,
    ) -> Iterator[tuple[list[Mapping[str, Any]], dict[str, Any] | None]]:
        """The new rows of each page, with the cursor of the next page; None with the last, empty to begin anew.

        What leaves a list while it is read moves the rows behind it forward, past a reader who goes by numbers. So each
        page begins with the last row of the page before; where it does not, rows have moved and we step back.
        """
        asked = {**(parameters or {}), "per_page": str(PAGE), "orderby": "id", "order": "asc", "_fields": fields}
        cursor = cursor or {}
        # No further back than we step.
        told = deque([frozenset[str](cursor.get("told", ()))], maxlen=_MOST_STEPS_BACK + 2)
        offset, steps_back = int(cursor.get("offset", 0)), 0
        while True:
            rows, total = self.rows(path, {**asked, "offset": str(offset)}, clock)
            if offset and (not rows or not any(parse.id_of(rows[0]) in ids for ids in told)):
                steps_back += 1
                offset = max(offset - PAGE, 0)
                if steps_back > _MOST_STEPS_BACK:
                    yield [], {}
                    raise Retry(PLATFORM, path, cause="half-answer", detail="a list that does not hold still")
                continue
            if total and not rows:
                raise Retry(PLATFORM, path, cause="half-answer", detail="no rows of a list that has some")
            by_id = {parse.id_of(row): row for row in rows}
            new = [row for row_id, row in by_id.items() if not any(row_id in ids for ids in told)]
            told.append(frozenset(by_id))
            if len(rows) < PAGE if total is None else offset + len(rows) >= total:
                yield new, None
                return
            offset += max(len(rows) - 1, 1)
            yield new, {"offset": offset, "told": list(by_id)}

    def by_id(
        self, path: str, ids: Sequence[str], clock: Clock, *, fields: str = parse.PRODUCT_FIELDS
    ) -> dict[str, Mapping[str, Any]]:
        """The rows of a list with these ids, at most 100, whatever their state."""
        wanted = list(dict.fromkeys(ids))
        if not wanted:
            return {}
        parameters = {"include": ",".join(wanted), "per_page": str(PAGE), "_fields": fields}
        rows, total = self.rows(path, parameters, clock)
        if total is not None and total != len(rows):
            raise Retry(PLATFORM, path, cause="half-answer", detail="rows missing")
        return {parse.id_of(row): row for row in rows}

    def variations(
        self, ids: Sequence[tuple[str, str]], clock: Clock, *, fields: str = parse.PRODUCT_FIELDS
    ) -> dict[str, Mapping[str, Any]]:
        """Variations by their id, of at most 100 pairs of product and variation."""
        if not ids:
            return {}
        found = self._of_all_variations([sku_id for _item_id, sku_id in ids], clock, fields)
        if found is not None:
            return found
        by_item: dict[str, list[str]] = {}
        for item_id, sku_id in ids:
            by_item.setdefault(item_id, []).append(sku_id)
        found = {}
        for item_id, sku_ids in by_item.items():
            rows = self.by_id(f"products/{item_id}/variations", sku_ids, clock, fields=fields)
            # Here the product is in the path, and older shops leave it out of the rows.
            found |= {sku_id: {**row, "parent_id": item_id} for sku_id, row in rows.items()}
        return found

    def can_list_variations(self, clock: Clock) -> bool:
        """Whether there is a list of the variations of all products."""
        with self._asking:
            if self._has_all_variations is None:
                self._try_all_variations(lambda: self.rows("variations", {"per_page": "1", "_fields": "id"}, clock))
        return self._has_all_variations is True

    def _of_all_variations(self, ids: Sequence[str], clock: Clock, fields: str) -> dict[str, Mapping[str, Any]] | None:
        """Variations out of the list of those of all products; None where there is no such list."""

        def ask() -> dict[str, Mapping[str, Any]]:
            return self.by_id("variations", ids, clock, fields=fields)

        if self._has_all_variations is None:
            with self._asking:
                # Batches are read at the same time: the first one finds out for those that wait here.
                if self._has_all_variations is None:
                    return self._try_all_variations(ask)
        return ask() if self._has_all_variations else None

    def _try_all_variations(self, ask: Callable[[], T]) -> T | None:
        """The answer of the list of all variations; None, which is noted, where there is no such list."""
        try:
            found = ask()
        except Review as error:
            if error.cause != refusals.NO_API:
                raise
            self._has_all_variations = False
            return None
        self._has_all_variations = True
        return found

    def currency(self, clock: Clock) -> str:
        """What the shop's amounts are in, asked for once."""
        with self._asking:
            if not self._currency:
                answer = self.call("GET", "data/currencies/current", clock)
                with whole(PLATFORM, "currency"):
                    self._currency = parse.currency(answer.json)
            return self._currency

    # --- Calls ------------------------------------------------------------------------------------------------------

    def call(
        self,
        verb: str,
        path: str,
        clock: Clock,
        parameters: Mapping[str, str] | None = None,
        body: object = None,
    ) -> Answer:
        """The answer to a call; raises ConnectorError.

        A refusal that another way of asking may not meet is answered by asking in that way, once for each.
        """
        way = self._way
        tried: set[str] = set()
        while True:
            try:
                answer = self._call_once(verb, path, parameters or {}, body, way, clock)
            except _Refused as refused:
                cause = refused.error.cause
                other = None if cause in tried else self._other_way(way, refused, clock)
                if other is None:
                    if cause not in tried:
                        self._way = way  # what was refused before is not any more
                    elif cause == refusals.ANONYMOUS:
                        self._is_query_in_vain = True
                    raise refused.error from None
                tried.add(cause)
                way = other
            else:
                self._way, self._is_let_in = way, True
                return answer

    def _other_way(self, way: _Way, refused: _Refused, clock: Clock) -> _Way | None:
        """How to ask a shop that refused to be asked in one way; None when there is no other."""
        match refused.error.cause:
            case refusals.NONCE:
                return way  # the next call has another
            case refusals.CLOCK if self._is_plain_http and refused.served_at is not None:
                return replace(way, clock_offset=refused.served_at - clock.now())
            case refusals.SIGNATURE if self._is_plain_http and not way.home:
                home = self._home(way, clock)
                return replace(way, home=home) if home not in {"", self._base_url} else None
            case refusals.ANONYMOUS if not (self._is_plain_http or way.keys_in_query or self._is_query_in_vain):
                return replace(way, keys_in_query=True)
            case refusals.NO_API if not (way.route_in_query or self._is_proven(way)):
                return replace(way, route_in_query=True)
        return None

    def _is_proven(self, way: _Way) -> bool:
        """Whether a call was answered in this way, and none in another since."""
        return self._is_let_in and way == self._way

    def name(self, clock: Clock) -> str:
        """The shop's name, "" where it does not tell."""
        return unescape(text(self._index(self._way, clock).get("name")))

    def _home(self, way: _Way, clock: Clock) -> str:
        """What the shop takes for its own address, without a slash at the end; it signs by that."""
        home = text(self._index(way, clock).get("home")).rstrip("/")
        return home if home.startswith(("http://", "https://")) else ""

    def _index(self, way: _Way, clock: Clock) -> Mapping[str, Any]:
        """What a shop tells anybody about itself; empty where it keeps that to itself."""
        address = f"{self._base_url}/?rest_route=/" if way.route_in_query else f"{self._base_url}/wp-json/"
        answer = self._request("GET", address, None, {}, "index", clock.now())
        return answer.json if answer.status == 200 and isinstance(answer.json, Mapping) else {}

    def _call_once(
        self, verb: str, path: str, parameters: Mapping[str, str], body: object, way: _Way, clock: Clock
    ) -> Answer:
        now = clock.now()
        query = dict(parameters)
        below = f"/wp-json/wc/v3/{path}"
        if way.route_in_query:
            below, query["rest_route"] = "/", f"/wc/v3/{path}"
        headers = {"Content-Type": "application/json"} if body is not None else {}
        key, secret = self._credentials.app_key, self._credentials.app_secret
        if self._is_plain_http:
            query = signing.signed(
                verb,
                # WordPress writes the address of its front page without the slash.
                f"{way.home or self._base_url}{below}".rstrip("/"),
                query,
                key=key,
                secret=secret,
                nonce=secrets.token_hex(16),
                now=now + way.clock_offset,
            )
        elif way.keys_in_query:
            query |= {"consumer_key": key, "consumer_secret": secret}
        else:
            headers["Authorization"] = signing.basic(key, secret)
        operation = f"{verb} {path}"
        address = f"{self._base_url}{below}?{signing.query(query)}"
        try:
            answer = self._request(verb, address, body, headers, operation, now)
        except Retry as error:
            # Of another server than WordPress, which answers in pages.
            found = refusals.BY_PAGE.get(error.code) if error.cause == "not-json" else None
            if found is None:
                raise
            raise _Refused(refusals.of(found, operation, code=error.code), None) from error
        if answer.status in {200, 201}:
            return answer
        said = answer.json if isinstance(answer.json, Mapping) else {}
        refusal = refusals.error(
            answer.status, text(said.get("code")), text(said.get("message")), operation, self._mask
        )
        raise _Refused(refusal, http_date(answer.date))

    def _request(
        self, verb: str, address: str, body: object, headers: Mapping[str, str], operation: str, now: datetime
    ) -> Answer:
        return self._http.request(
            verb,
            address,
            body=None if body is None else json.dumps(body).encode(),
            headers=headers,
            platform=PLATFORM,
            operation=operation,
            now=now,
            statuses=_STATUSES,
        )


class _Refused(Exception):
    """A refusal that another way of asking may not meet; `served_at` is when the answer says it was made."""

    def __init__(self, error: ConnectorError, served_at: datetime | None) -> None:
        super().__init__(error)
        self.error = error
        self.served_at = served_at
