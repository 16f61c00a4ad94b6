"""The Taobao connector: which calls are made, and in what order."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from urllib.parse import urlencode

from django.utils.translation import gettext_lazy as _

from integrations.connectors.base import (
    Capability,
    Connector,
    DiscoveredListing,
    InvalidSetting,
    ListingRef,
    Reading,
    ReadOutcome,
    Tokens,
)
from integrations.connectors.errors import ConnectorError, Fatal, Reauthorise, Retry, Review
from integrations.connectors.http import HttpClient, http_date
from integrations.connectors.taobao import parse, refusals
from integrations.connectors.taobao.signing import SIGN_METHODS, signed, timestamp

logger = logging.getLogger(__name__)

APP_TYPES = ("merchant", "service")

_READ_ITEMS = "taobao.items.seller.list.get"
_READ_SKUS = "taobao.item.skus.get"
_READ_COMPETITORS = "taobao.tbk.item.info.get"
_ON_SALE = "taobao.items.onsale.get"
_IN_WAREHOUSE = "taobao.items.inventory.get"
_TIME = "taobao.time.get"
_TOKEN = "token"  # noqa: S105  # the name of an operation

_PAGE_SIZE = 200
_MAX_PAGES = 100  # of 200 rows: deeper pages are refused
# "for_shelved" is all that waits to be put on the shelf; these two kinds of items are listed on their own.
_WAREHOUSE_BANNERS = ("for_shelved", "sold_out", "violation_off_shelf")
_APP_KEY = re.compile(r"[0-9A-Za-z]{1,32}")


@dataclass(frozen=True, slots=True)
class TaobaoCredentials:
    """One app's key and secret, and one shop's access token ("" until the shop has authorised the app)."""

    app_key: str
    app_secret: str = field(repr=False)
    access_token: str = field(default="", repr=False)
    app_type: str = "merchant"  # a merchant's own app cannot refresh its tokens; one of the service market can
    sign_method: str = "hmac-sha256"

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> Self:
        """Checked credentials; an empty value counts as not given. Raises InvalidSetting."""
        given = {name: value.strip() for name, value in settings.items() if value and value.strip()}
        for name in given:
            if name not in cls.__dataclass_fields__:
                raise InvalidSetting(name, str(_("Taobao has no such setting.")))
        if "app_key" not in given:
            raise InvalidSetting("app_key", str(_("Enter the app key from the Taobao console.")))
        if not _APP_KEY.fullmatch(given["app_key"]):
            raise InvalidSetting("app_key", str(_("An app key is made of digits and letters only.")))
        if "app_secret" not in given:
            raise InvalidSetting("app_secret", str(_("Enter the app secret from the Taobao console.")))
        if given.get("app_type", APP_TYPES[0]) not in APP_TYPES:
            raise InvalidSetting("app_type", str(_("The app type is one of: %s.")) % ", ".join(APP_TYPES))
        if given.get("sign_method", SIGN_METHODS[0]) not in SIGN_METHODS:
            raise InvalidSetting("sign_method", str(_("The sign method is one of: %s.")) % ", ".join(SIGN_METHODS))
        return cls(**given)


class TaobaoConnector(Connector):
    platform = refusals.PLATFORM
    title = _("Taobao / Tmall")
    capabilities = frozenset(
        {
            Capability.READ_LISTINGS,
            Capability.READ_COMPETITORS,
            Capability.DISCOVER_LISTINGS,
            Capability.AUTHORISE,
            Capability.REFRESH_TOKEN,
        }
    )
    Credentials = TaobaoCredentials
    default_base_url = "https://eco.taobao.com"
    default_auth_url = "https://oauth.taobao.com"
    max_items_per_read = 20  # taobao.items.seller.list.get
    max_competitor_items_per_read = 40  # taobao.tbk.item.info.get
    max_items_per_sku_read = 40  # taobao.item.skus.get

    def __init__(
        self,
        credentials: TaobaoCredentials,
        *,
        base_url: str = "",
        auth_base_url: str = "",
        http: HttpClient | None = None,
    ) -> None:
        super().__init__(credentials, base_url=base_url, auth_base_url=auth_base_url, http=http)
        self.credentials = credentials
        self._gateway = f"{self.base_url}/router/rest"
        self._public = {
            "app_key": credentials.app_key,
            "format": "json",  # the gateway answers in XML unless told
            "sign_method": credentials.sign_method,
            "v": "2.0",
        }
        self._clock_offset = timedelta()  # how far the gateway's clock is ahead of ours, learnt from a refusal

    @property
    def can_refresh(self) -> bool:
        return self.credentials.app_type == "service"

    # --- Listings ---------------------------------------------------------------------------------------------------

    def read_listings(self, batch: Sequence[ListingRef], *, now: datetime) -> list[Reading]:
        clock = _Clock(now)
        readings: dict[ListingRef, Reading] = {}
        own, others = [], []
        for ref in batch:
            if not parse.is_id(ref.item_id) or not (ref.sku_id == "" or parse.is_id(ref.sku_id)):
                # Sent along, it would make the platform refuse the whole call.
                readings[ref] = Reading(ref.listing_id, ReadOutcome.REFUSED, cause="bad-listing-id")
            elif ref.is_own:
                own.append(ref)
            elif ref.sku_id:
                # The affiliate read knows items only, and the price of an item is not the price of its variant.
                readings[ref] = Reading(ref.listing_id, ReadOutcome.REFUSED, cause="no-variants-of-others")
            else:
                others.append(ref)
        for ref, reading in zip(own, self._read_own(own, clock), strict=True):
            readings[ref] = reading
        for ref, reading in zip(others, self._read_others(others, clock), strict=True):
            readings[ref] = reading
        return [readings[ref] for ref in batch]

    def _read_own(self, refs: list[ListingRef], clock: _Clock) -> list[Reading]:
        item_ids = _item_ids(refs)
        if not item_ids:
            return []
        try:
            items = self._items(item_ids, clock)
            without_variants = [
                item_id
                for item_id in _item_ids([ref for ref in refs if ref.sku_id])
                if item_id in items.by_id and parse.variants(items.by_id[item_id]) is None
            ]
            fetched = self._skus(without_variants, clock) if without_variants else None
        except Review as refused:
            if refused.scope != "listing":
                raise
            return self._apart(refs, item_ids, refused, clock)
        return [parse.own_reading(ref, items, fetched) for ref in refs]

    def _apart(self, refs: list[ListingRef], item_ids: list[str], refused: Review, clock: _Clock) -> list[Reading]:
        """Readings of refs whose call was refused because of one listing: halves are read until that one is alone."""
        if len(item_ids) == 1:
            outcome = ReadOutcome.MISSING if refused.cause == "unknown-listing" else ReadOutcome.REFUSED
            return [Reading(ref.listing_id, outcome, cause=refused.cause) for ref in refs]
        first = set(item_ids[: len(item_ids) // 2])
        halves = [ref for ref in refs if ref.item_id in first], [ref for ref in refs if ref.item_id not in first]
        readings = {
            ref: reading for half in halves for ref, reading in zip(half, self._read_own(half, clock), strict=True)
        }
        return [readings[ref] for ref in refs]

    def _read_others(self, refs: list[ListingRef], clock: _Clock) -> list[Reading]:
        item_ids = _item_ids(refs)
        if not item_ids:
            return []
        parameters = {"num_iids": ",".join(item_ids)}
        rows = self._rows(_READ_COMPETITORS, parameters, "results", "n_tbk_item", "num_iid", clock)
        return [parse.competitor_reading(ref, rows) for ref in refs]

    def _items(self, item_ids: Sequence[str], clock: _Clock) -> parse.Rows:
        parameters = {"fields": parse.ITEM_FIELDS, "num_iids": ",".join(item_ids)}
        return self._rows(_READ_ITEMS, parameters, "items", "item", "num_iid", clock)

    def _skus(self, item_ids: Sequence[str], clock: _Clock) -> parse.Rows:
        parameters = {"fields": parse.SKU_FIELDS, "num_iids": ",".join(item_ids)}
        return self._rows(_READ_SKUS, parameters, "skus", "sku", "sku_id", clock)

    def discover_listings(self, *, now: datetime) -> Iterator[DiscoveredListing]:
        clock = _Clock(now)
        waiting: list[str] = []
        for item_id in self._listed_item_ids(clock):
            waiting.append(item_id)
            if len(waiting) == self.max_items_per_read:
                yield from self._discovered(waiting, clock)
                waiting = []
        if waiting:
            yield from self._discovered(waiting, clock)

    def _discovered(self, item_ids: list[str], clock: _Clock) -> list[DiscoveredListing]:
        items = self._items(item_ids, clock)
        try:
            if not items.complete:
                raise parse.HalfAnswer("an item without an id")
            # One that is no longer there was deleted after it was listed.
            return [
                listing
                for item_id in item_ids
                if item_id in items.by_id
                for listing in parse.discovered(item_id, items.by_id[item_id])
            ]
        except parse.HalfAnswer as half:
            raise Retry(self.platform, _READ_ITEMS, cause="half-answer", detail=str(half)) from half

    def _listed_item_ids(self, clock: _Clock) -> Iterator[str]:
        """The ids of all items of the shop, each once."""
        seen: set[str] = set()
        for method, banner in [(_ON_SALE, ""), *((_IN_WAREHOUSE, banner) for banner in _WAREHOUSE_BANNERS)]:
            for item_id in self._listed_by(method, banner, clock):
                if item_id not in seen:
                    seen.add(item_id)
                    yield item_id

    def _listed_by(self, method: str, banner: str, clock: _Clock) -> Iterator[str]:
        """The ids of one list, newest change first; ids can come twice.

        Deep pages are refused, so every 20,000 rows the list is begun anew at the change time that was reached.
        """
        changed_until: datetime | None = None
        while True:
            reached: datetime | None = None
            for page_no in range(1, _MAX_PAGES + 1):
                item_ids, reached, is_last = self._page(method, banner, page_no, changed_until, clock)
                yield from item_ids
                if is_last:
                    return
            # A second more, so that no item changed in that same second is passed over.
            next_until = reached + timedelta(seconds=1) if reached else None
            if next_until is None or next_until == changed_until:
                raise Fatal(self.platform, method, cause="paging-too-deep")
            changed_until = next_until

    def _page(
        self, method: str, banner: str, page_no: int, changed_until: datetime | None, clock: _Clock
    ) -> tuple[list[str], datetime | None, bool]:
        """One page of a list: its ids, the change time of its last row, and whether it is the last page."""
        parameters = {
            "banner": banner,
            "end_modified": timestamp(changed_until) if changed_until else "",
            "fields": "num_iid,modified",
            "order_by": "modified:desc",
            "page_no": str(page_no),
            "page_size": str(_PAGE_SIZE),
        }
        body = self._call(method, parameters, clock)
        try:
            rows = parse.rows(body, "items", "item", "num_iid")
            total = parse.total_results(body)
            is_last = len(rows.by_id) < _PAGE_SIZE if total is None else page_no * _PAGE_SIZE >= total
            if not rows.complete or not (rows.by_id or is_last):
                raise parse.HalfAnswer("a page with rows missing")
            reached = None if is_last else parse.modified_at(list(rows.by_id.values())[-1])
        except parse.HalfAnswer as half:
            raise Retry(self.platform, method, cause="half-answer", detail=str(half)) from half
        return list(rows.by_id), reached, is_last

    # --- Authorisation ----------------------------------------------------------------------------------------------

    def authorise_url(self, *, redirect_uri: str, state: str) -> str:
        query = {
            "response_type": "code",
            "client_id": self.credentials.app_key,
            "redirect_uri": redirect_uri,
            "state": state,
            "view": "web",
        }
        return f"{self.auth_base_url}/authorize?{urlencode(query)}"

    def exchange_code(self, *, code: str, redirect_uri: str, now: datetime) -> Tokens:
        return self._tokens({"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}, now)

    def refresh(self, *, refresh_token: str, now: datetime) -> Tokens:
        if not self.can_refresh:
            self._unsupported("refresh_token")
        return self._tokens({"grant_type": "refresh_token", "refresh_token": refresh_token}, now)

    def _tokens(self, grant: Mapping[str, str], now: datetime) -> Tokens:
        # All of it in the body: addresses end up in the logs of proxies and servers.
        form = {**grant, "client_id": self.credentials.app_key, "client_secret": self.credentials.app_secret}
        answer = self.http.post_form(
            f"{self.auth_base_url}/token",
            form,
            platform=self.platform,
            operation=_TOKEN,
            now=now,
            json_statuses=frozenset({400, 401, 403}),
        )
        refusal = parse.token_refusal(answer.json)
        if refusal is not None:
            raise refusals.token_error(refusal, _TOKEN, now, lambda text: _masked(self.without_secrets(text), grant))
        try:
            return parse.tokens(answer.json, now)
        except parse.HalfAnswer as half:
            raise Retry(self.platform, _TOKEN, cause="half-answer", detail=str(half)) from half

    # --- The gateway ------------------------------------------------------------------------------------------------

    def _rows(
        self, method: str, parameters: Mapping[str, str], outer: str, inner: str, id_field: str, clock: _Clock
    ) -> parse.Rows:
        body = self._call(method, parameters, clock)
        try:
            return parse.rows(body, outer, inner, id_field)
        except parse.HalfAnswer as half:
            raise Retry(self.platform, method, cause="half-answer", detail=str(half)) from half

    def _call(self, method: str, parameters: Mapping[str, str], clock: _Clock) -> dict[str, Any]:
        """What is under the root key of the answer; repeated once with the gateway's time when ours was refused."""
        try:
            return self._call_once(method, parameters, clock)
        except _ClockRefused as refused:
            logger.warning("The gateway refused our timestamp, asking for its time: %s", refused)
        self._clock_offset = self._server_time(clock) - clock.now()
        return self._call_once(method, parameters, clock)

    def _server_time(self, clock: _Clock) -> datetime:
        try:
            return parse.server_time(self._call_once(_TIME, {}, clock))
        except parse.HalfAnswer as half:
            raise Retry(self.platform, _TIME, cause="half-answer", detail=str(half)) from half
        except _ClockRefused as refused:
            # Asking for the time needs a timestamp as well; where that one is checked too, the answer's date will do.
            if refused.served_at is None:
                raise
            return refused.served_at

    def _call_once(self, method: str, parameters: Mapping[str, str], clock: _Clock) -> dict[str, Any]:
        now = clock.now()
        form = {
            **self._public,
            **parameters,
            "method": method,
            "session": self._session_for(method),
            "timestamp": timestamp(now + self._clock_offset),
        }
        answer = self.http.post_form(
            self._gateway,
            signed(form, self.credentials.app_secret),
            platform=self.platform,
            operation=method,
            now=now,
        )
        refusal = parse.refusal(answer.json)
        if refusal is not None:
            error = refusals.gateway_error(refusal, method, clock.now(), self.without_secrets)
            raise _ClockRefused(error, http_date(answer.date)) if error.cause == "clock" else error
        try:
            return parse.body(answer.json, method.removeprefix("taobao.").replace(".", "_") + "_response")
        except parse.HalfAnswer as half:
            raise Retry(self.platform, method, cause="half-answer", detail=str(half)) from half

    def _session_for(self, method: str) -> str:
        if method in {_TIME, _READ_COMPETITORS}:
            return ""  # what is public needs no shop's consent
        if not self.credentials.access_token:
            raise Reauthorise(self.platform, method, cause="session-invalid", detail="no access token")
        return self.credentials.access_token


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


class _Clock:
    """The caller's `now`, moving on in whole seconds: one pass can take longer than a timestamp is accepted."""

    def __init__(self, now: datetime) -> None:
        self._start = now.astimezone(UTC)
        self._started = time.monotonic()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=int(time.monotonic() - self._started))


def _item_ids(refs: Sequence[ListingRef]) -> list[str]:
    return list(dict.fromkeys(ref.item_id for ref in refs))


def _masked(text: str, grant: Mapping[str, str]) -> str:
    for name in ("code", "refresh_token"):
        if grant.get(name):
            text = text.replace(grant[name], "***")
    return text
