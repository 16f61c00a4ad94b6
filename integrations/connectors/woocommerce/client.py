"""The WooCommerce connector: which calls are made, and in what order."""

from __future__ import annotations

import json
import logging
import re
import secrets as random_secrets
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self
from urllib.parse import urlsplit

from django.utils.translation import gettext_lazy as _

from integrations.connectors.base import (
    Capability,
    Connector,
    DiscoveredListing,
    Hint,
    InvalidSetting,
    ListingRef,
    Order,
    Promotion,
    PushOutcome,
    PushStatus,
    Reading,
    ReadOutcome,
    Setting,
    SettingKind,
    StockTarget,
)
from integrations.connectors.clock import Clock
from integrations.connectors.errors import ConnectorError, Retry, Review
from integrations.connectors.http import Answer, HttpClient, http_date, parse_json
from integrations.connectors.values import HalfAnswer, text, whole
from integrations.connectors.woocommerce import parse, refusals, signing, webhooks

logger = logging.getLogger(__name__)

_PAGE = 100  # the most rows of a list or ids of a read
_OVERLAP = timedelta(minutes=2)  # changes are asked for from this long before: what is written then may show later
_STATUSES = frozenset({200, 201, 400, 401, 403, 404, 413, 500, 501})  # whose answers are JSON of WordPress
_KEY = re.compile(r"ck_[0-9a-f]{40}")
_SECRET = re.compile(r"cs_[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class WooCommerceCredentials:
    """One key of a shop, which does not expire."""

    app_key: str
    app_secret: str = field(repr=False)

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> Self:
        """Checked credentials; an empty value counts as not given. Raises InvalidSetting."""
        given = {name: value.strip() for name, value in settings.items() if value and value.strip()}
        for name in given:
            if name not in cls.__dataclass_fields__ and name != "access_token":
                raise InvalidSetting(name, str(_("WooCommerce has no such setting.")))
        if not _KEY.fullmatch(given.get("app_key", "")):
            message = _("A consumer key is ck_ and 40 digits and letters from a to f.")
            raise InvalidSetting("app_key", str(message))
        if not _SECRET.fullmatch(given.get("app_secret", "")):
            message = _("A consumer secret is cs_ and 40 digits and letters from a to f.")
            raise InvalidSetting("app_secret", str(message))
        return cls(given["app_key"], given["app_secret"])


class WooCommerceConnector(Connector):
    platform = refusals.PLATFORM
    title = _("WooCommerce")
    capabilities = frozenset(
        {
            Capability.READ_LISTINGS,
            Capability.DISCOVER_LISTINGS,
            Capability.READ_CHANGES,
            Capability.PUSH_STOCK,
            Capability.READ_ORDERS,
            Capability.READ_PROMOTIONS,
            Capability.RECEIVE_WEBHOOKS,
        }
    )
    Credentials = WooCommerceCredentials
    default_base_url = ""  # every shop has its own
    default_auth_url = ""
    max_items_per_read = _PAGE
    max_rows_per_push = 50  # of the 100 that are taken: shared hosts run out of time near those
    needs_token = False
    settings = (
        Setting(
            "base_url",
            _("Address of the shop"),
            help_text=_("As its customers open it, for example https://shop.example. It must start with https://."),
        ),
        Setting(
            "app_key",
            _("Consumer key"),
            help_text=_("In WordPress: WooCommerce, Settings, Advanced, REST API. Give it the permission Read/Write."),
        ),
        Setting("app_secret", _("Consumer secret"), SettingKind.SECRET, help_text=_("Shown once, beside the key.")),
    )

    def __init__(
        self,
        credentials: WooCommerceCredentials,
        *,
        base_url: str = "",
        auth_base_url: str = "",
        http: HttpClient | None = None,
    ) -> None:
        if not base_url:
            raise InvalidSetting("base_url", str(_("Enter the address of the shop.")))
        super().__init__(credentials, base_url=base_url, auth_base_url=auth_base_url, http=http)
        self.credentials = credentials
        self._is_plain_http = urlsplit(self.base_url).scheme == "http"
        # What this shop's server turned out to need, see _call().
        self._keys_in_query = False
        self._route_in_query = False
        self._has_all_variations = True
        self._clock_offset = timedelta()

    def check_connection(self, *, now: datetime) -> str:
        clock = Clock(now)
        for path in ("products", "orders", "coupons"):
            self._get(path, {"per_page": "1", "_fields": "id"}, clock)
        with whole(self.platform, "index"):
            index = self._get("", {"_fields": "name"}, clock, root=True).json
            return text(index.get("name")) or str(urlsplit(self.base_url).hostname)

    # --- Listings ---------------------------------------------------------------------------------------------------

    def read_batches(self, refs: Sequence[ListingRef]) -> list[list[ListingRef]]:
        """An item's variants stay together as long as they fit: its own row is read with them."""
        if any(not ref.is_own for ref in refs):
            self._unsupported("read_competitors")
        by_item: dict[str, list[ListingRef]] = {}
        for ref in refs:
            by_item.setdefault(ref.item_id, []).append(ref)
        batches: list[list[ListingRef]] = [[]]
        items_in_last = 0
        for refs_of_item in by_item.values():
            for start in range(0, len(refs_of_item), _PAGE):
                part = refs_of_item[start : start + _PAGE]
                if len(batches[-1]) + len(part) > _PAGE or items_in_last == _PAGE:
                    batches.append([])
                    items_in_last = 0
                batches[-1] += part
                items_in_last += 1
        return [batch for batch in batches if batch]

    def read_listings(self, batch: Sequence[ListingRef], *, now: datetime) -> list[Reading]:
        clock = Clock(now)
        asked = [ref for ref in batch if _is_readable(ref)]
        readings = {ref: Reading(ref.listing_id, ReadOutcome.REFUSED, cause="bad-listing-id") for ref in batch}
        if asked:
            products = self._by_id("products", [ref.item_id for ref in asked], clock)
            of_known = [ref for ref in asked if ref.sku_id and ref.item_id in products]
            variations = self._variations_by_id(of_known, clock)
            readings |= {ref: parse.reading(ref, products, variations) for ref in asked}
        return [readings[ref] for ref in batch]

    def _by_id(self, path: str, ids: Sequence[str], clock: Clock) -> dict[str, Mapping[str, Any]]:
        """The rows of a list with these ids, whatever their state; at most 100 ids."""
        wanted = list(dict.fromkeys(ids))
        if not wanted:
            return {}
        parameters = {"include": ",".join(wanted), "per_page": str(_PAGE), "_fields": parse.PRODUCT_FIELDS}
        answer = self._get(path, parameters, clock)
        with whole(self.platform, path):
            rows = parse.rows(answer.json)
            told = parse.totals(answer.headers).rows
            if told is not None and told != len(rows):
                raise HalfAnswer("rows missing")
        return {parse.id_of(row): row for row in rows}

    def _variations_by_id(self, refs: Sequence[ListingRef], clock: Clock) -> dict[str, Mapping[str, Any]]:
        if not refs:
            return {}
        if self._has_all_variations:
            try:
                return self._by_id("variations", [ref.sku_id for ref in refs], clock)
            except Review as error:
                if error.cause != refusals.NO_API:
                    raise
                self._has_all_variations = False  # only since WooCommerce 10.3
        by_item: dict[str, list[str]] = {}
        for ref in refs:
            by_item.setdefault(ref.item_id, []).append(ref.sku_id)
        found: dict[str, Mapping[str, Any]] = {}
        for item_id, sku_ids in by_item.items():
            # Here the parent is in the path, and older shops leave it out of the rows.
            rows = self._by_id(f"products/{item_id}/variations", sku_ids, clock)
            found |= {sku_id: {**row, "parent_id": int(item_id)} for sku_id, row in rows.items()}
        return found

    def discover_listings(self, *, now: datetime, skip: Container[str] = ()) -> Iterator[DiscoveredListing]:
        yield from self._listings({}, Clock(now), skip)

    def read_changes(self, *, since: datetime, now: datetime) -> Iterator[DiscoveredListing]:
        """A variation can change without its parent being touched, so both are asked for."""
        clock = Clock(now)
        changed = {"modified_after": _stamp(since - _OVERLAP), "dates_are_gmt": "true"}
        if not self._can_list_variations(clock):
            # Without a list of all variations nobody can tell which of them changed: all are told.
            yield from self._listings({}, clock)
            return
        seen: set[str] = set()
        parents: dict[str, Mapping[str, Any]] = {}
        for product in self._pages("products", changed, clock):
            parents[parse.id_of(product)] = product
            if product.get("type") not in {"variable", "grouped"}:
                yield parse.discovered(product, product)
        waiting: list[Mapping[str, Any]] = []
        for row in self._pages("variations", changed, clock):
            waiting.append(row)
            if len(waiting) == _PAGE:
                yield from self._with_parents(waiting, parents, seen, clock)
                waiting = []
        yield from self._with_parents(waiting, parents, seen, clock)
        # A parent's own change, its state for one, is one of all its variations.
        for item_id, product in list(parents.items()):
            if product.get("type") == "variable":
                for row in self._pages(f"products/{item_id}/variations", {}, clock):
                    if parse.id_of(row) not in seen:
                        seen.add(parse.id_of(row))
                        yield parse.discovered(row, product)

    def _with_parents(
        self,
        variations: Sequence[Mapping[str, Any]],
        parents: Mapping[str, Mapping[str, Any]],
        seen: set[str],
        clock: Clock,
    ) -> Iterator[DiscoveredListing]:
        unknown = [parse.id_of(row, "parent_id") for row in variations]
        others = self._by_id("products", [item_id for item_id in unknown if item_id and item_id not in parents], clock)
        for row in variations:
            item_id = parse.id_of(row, "parent_id")
            product = parents.get(item_id) or others.get(item_id)
            if product is not None and parse.id_of(row) not in seen:
                seen.add(parse.id_of(row))
                yield parse.discovered(row, product)

    def _can_list_variations(self, clock: Clock) -> bool:
        if self._has_all_variations:
            try:
                self._get("variations", {"per_page": "1", "_fields": "id"}, clock)
            except Review as error:
                if error.cause != refusals.NO_API:
                    raise
                self._has_all_variations = False
        return self._has_all_variations

    def _listings(
        self, parameters: Mapping[str, str], clock: Clock, skip: Container[str] = ()
    ) -> Iterator[DiscoveredListing]:
        for product in self._pages("products", parameters, clock):
            if parse.id_of(product) in skip:
                continue
            if product.get("type") == "variable":
                for row in self._pages(f"products/{parse.id_of(product)}/variations", {}, clock):
                    yield parse.discovered(row, product)
            elif product.get("type") != "grouped":
                yield parse.discovered(product, product)

    # --- Stock ------------------------------------------------------------------------------------------------------

    def push_batches(self, targets: Sequence[StockTarget]) -> list[list[StockTarget]]:
        """Products without variations together, and the variations of each parent."""
        by_path: dict[str, list[StockTarget]] = {}
        for target in targets:
            by_path.setdefault(target.item_id if target.sku_id else "", []).append(target)
        return [batch for group in by_path.values() for batch in super(WooCommerceConnector, self).push_batches(group)]

    def push_stock(self, batch: Sequence[StockTarget], *, key: str, now: datetime) -> list[PushOutcome]:
        """WooCommerce cannot compare: what moved since it was read is found by reading it right before the write."""
        clock = Clock(now)
        outcomes: dict[int, PushOutcome] = {}  # by place in the batch
        for place, target in enumerate(batch):
            if not parse.is_id(target.item_id) or not (target.sku_id == "" or parse.is_id(target.sku_id)):
                outcomes[place] = _outcome(target, PushStatus.REFUSED, "unknown-listing")
        places = [place for place in range(len(batch)) if place not in outcomes]
        if any(batch[place].expected is not None for place in places):
            shown = self._shown([batch[place] for place in places], clock)
            for place in places:
                target = batch[place]
                found = shown.get(target.sku_id or target.item_id)
                if target.expected is not None and found is not None and found != target.expected:
                    outcomes[place] = _outcome(target, PushStatus.STALE, "moved", found)
        places = [place for place in places if place not in outcomes]
        written = self._written([batch[place] for place in places], clock)
        outcomes |= dict(zip(places, written, strict=True))
        return [outcomes[place] for place in range(len(batch))]

    def _written(self, targets: list[StockTarget], clock: Clock) -> list[PushOutcome]:
        """Outcomes of a write; one that ran out of time may have been carried out in part, so what is not there after
        it is sent again in halves."""
        if not targets:
            return []
        path = f"products/{targets[0].item_id}/variations/batch" if targets[0].sku_id else "products/batch"
        rows = [
            {"id": int(target.sku_id or target.item_id), "manage_stock": True, "stock_quantity": target.quantity}
            for target in targets
        ]
        try:
            answer = self._call("POST", path, {}, clock, {"update": rows})
            with whole(self.platform, path):
                return parse.pushed(targets, answer.json)
        except Review as error:
            if error.scope != "listing":
                raise
            return [_outcome(target, PushStatus.REFUSED, error.cause) for target in targets]  # the parent is gone
        except Retry as error:
            if not error.may_have_arrived:
                raise
            return self._after_silence(targets, clock, error)

    def _after_silence(self, targets: list[StockTarget], clock: Clock, error: Retry) -> list[PushOutcome]:
        try:
            shown = self._shown(targets, clock)
        except ConnectorError as unread:
            logger.warning("A stock write was not answered (%s) and could not be read back: %s", error, unread)
            return [_outcome(target, PushStatus.UNKNOWN, "not-answered") for target in targets]
        outcomes: dict[StockTarget, PushOutcome] = {}
        missing: list[StockTarget] = []
        for target in targets:
            found = shown.get(target.sku_id or target.item_id)
            if found == target.quantity:
                outcomes[target] = _outcome(target, PushStatus.APPLIED, "", found)
            elif len(targets) == 1 or found != target.expected:
                outcomes[target] = _outcome(target, PushStatus.UNKNOWN, "not-answered", found)
            else:
                missing.append(target)
        half = (len(missing) + 1) // 2
        for part in (missing[:half], missing[half:]):
            outcomes |= dict(zip(part, self._written(part, clock), strict=True))
        return [outcomes[target] for target in targets]

    def _shown(self, targets: Sequence[StockTarget], clock: Clock) -> dict[str, int | None]:
        """The stock that each listing shows now, by its variation's or product's id."""
        refs = [ListingRef(0, target.item_id, target.sku_id) for target in targets]
        products = self._by_id("products", [ref.item_id for ref in refs if not ref.sku_id], clock)
        rows = {**products, **self._variations_by_id([ref for ref in refs if ref.sku_id], clock)}
        return {row_id: parse.shown_stock(row) for row_id, row in rows.items()}

    # --- Orders, promotions, webhooks -------------------------------------------------------------------------------

    def read_orders(self, *, since: datetime, until: datetime, now: datetime) -> Iterator[Order]:
        clock = Clock(now)
        window = {
            "modified_after": _stamp(since - timedelta(seconds=1)),  # what is of that second is not after it
            "modified_before": _stamp(until),
            "dates_are_gmt": "true",
        }
        for row in self._pages("orders", window, clock, fields=parse.ORDER_FIELDS):
            refunds: list[Mapping[str, Any]] = []
            if row.get("refunds"):
                refunds = list(self._pages(f"orders/{parse.id_of(row)}/refunds", {}, clock, fields="", order_by="id"))
            with whole(self.platform, "orders"):
                order = parse.order(row, refunds)
            if since <= order.changed_at < until:
                yield order

    def read_promotions(self, *, now: datetime) -> Iterator[Promotion]:
        clock = Clock(now)
        with whole(self.platform, "currency"):
            currency = text(self._get("data/currencies/current", {}, clock).json.get("code"))
        for row in self._pages("coupons", {}, clock, fields=""):
            with whole(self.platform, "coupons"):
                promotion = parse.promotion(row, currency)
            if promotion is not None and (promotion.ends_at is None or promotion.ends_at > now):
                yield promotion

    def is_genuine(self, *, headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> bool:
        return signing.is_genuine_body(body, headers.get(webhooks.SIGNATURE, ""), secrets)

    def parse_webhook(self, *, headers: Mapping[str, str], body: bytes) -> list[Hint]:
        if webhooks.is_ping(headers):
            return [webhooks.ping(body)]
        with whole(self.platform, "webhook"):
            try:
                content = parse_json(body)
            except ValueError as error:
                raise HalfAnswer("no JSON") from error
            return [webhooks.hint(headers, content, body)]

    # --- Calls ------------------------------------------------------------------------------------------------------

    def _pages(
        self,
        path: str,
        parameters: Mapping[str, str],
        clock: Clock,
        *,
        fields: str = parse.PRODUCT_FIELDS,
        order_by: str = "id",
    ) -> Iterator[Mapping[str, Any]]:
        """The rows of all pages of a list, each once.

        What is deleted meanwhile moves the rows behind it to the page before, which is read already. So where fewer
        came than the last page says there are, the list is read once more.
        """
        base = {**parameters, "per_page": str(_PAGE), "orderby": order_by, "order": "asc"}
        if fields:
            base["_fields"] = fields
        seen: set[str] = set()
        for _attempt in range(2):
            number, told = 1, parse.Totals(None, None)
            while True:
                answer = self._get(path, {**base, "page": str(number)}, clock)
                with whole(self.platform, path):
                    rows = parse.rows(answer.json)
                told = parse.totals(answer.headers)
                for row in rows:
                    if parse.id_of(row) not in seen:
                        seen.add(parse.id_of(row))
                        yield row
                is_last = len(rows) < _PAGE if told.pages is None else number >= told.pages
                if is_last:
                    break
                if not rows:
                    raise Retry(self.platform, path, cause="half-answer", detail="an empty page before the last")
                number += 1
            if told.rows is None or len(seen) >= told.rows:
                return

    def _get(self, path: str, parameters: Mapping[str, str], clock: Clock, *, root: bool = False) -> Answer:
        return self._call("GET", path, parameters, clock, root=root)

    def _call(
        self,
        verb: str,
        path: str,
        parameters: Mapping[str, str],
        clock: Clock,
        body: object = None,
        *,
        root: bool = False,
    ) -> Answer:
        """The answer to a call. What the shop's server turns out to need is found once and remembered:

        the keys in the query where it takes the header away, the path in the query where its permalinks are off, its
        time where our clocks differ.
        """
        try:
            return self._call_once(verb, path, parameters, clock, body, root=root)
        except _Refused as refused:
            error = refused.error
            if error.cause == refusals.NONCE:
                pass  # the next call has a new one
            elif error.cause == refusals.CLOCK and self._is_plain_http and refused.served_at is not None:
                self._clock_offset = refused.served_at - clock.now()
            elif error.cause == refusals.ANONYMOUS and not self._is_plain_http and not self._keys_in_query:
                self._keys_in_query = True
            elif error.cause == refusals.NO_API and not self._route_in_query and path == "products":
                self._route_in_query = True
            else:
                raise error from None
        try:
            return self._call_once(verb, path, parameters, clock, body, root=root)
        except _Refused as refused:
            if refused.error.cause in {refusals.ANONYMOUS, refusals.NO_API}:
                self._keys_in_query = self._route_in_query = False
            raise refused.error from None

    def _call_once(
        self,
        verb: str,
        path: str,
        parameters: Mapping[str, str],
        clock: Clock,
        body: object,
        *,
        root: bool,
    ) -> Answer:
        now = clock.now()
        route = "/" if root else f"/wc/v3/{path}"
        query = dict(parameters)
        address = f"{self.base_url}/wp-json{route}"
        if self._route_in_query:
            address, query["rest_route"] = f"{self.base_url}/", route
        headers = {"Content-Type": "application/json"} if body is not None else {}
        key, secret = self.credentials.app_key, self.credentials.app_secret
        if self._is_plain_http:
            nonce = random_secrets.token_hex(16)
            at = now + self._clock_offset
            query = signing.signed(verb, address, query, key=key, secret=secret, nonce=nonce, now=at)
        elif self._keys_in_query:
            query |= {"consumer_key": key, "consumer_secret": secret}
        else:
            headers["Authorization"] = signing.basic(key, secret)
        operation = f"{verb} {path}"
        try:
            answer = self.http.request(
                verb,
                f"{address}?{signing.query(query)}",
                body=None if body is None else json.dumps(body).encode(),
                headers=headers,
                platform=self.platform,
                operation=operation,
                now=now,
                statuses=_STATUSES,
            )
        except Retry as error:
            if error.cause == "not-json" and error.code == "404":
                no_api = Review(self.platform, operation, scope="channel", cause=refusals.NO_API, code="404")
                raise _Refused(no_api, None) from error
            raise
        if answer.status in {200, 201}:
            return answer
        said = answer.json if isinstance(answer.json, Mapping) else {}
        refusal = refusals.error(
            answer.status, text(said.get("code")), text(said.get("message")), operation, self.without_secrets
        )
        raise _Refused(refusal, http_date(answer.date))


class _Refused(Exception):
    """A refusal that another way of asking may not meet; `served_at` is when the answer says it was made."""

    def __init__(self, error: ConnectorError, served_at: datetime | None) -> None:
        super().__init__(error)
        self.error = error
        self.served_at = served_at


def _is_readable(ref: ListingRef) -> bool:
    return parse.is_id(ref.item_id) and (ref.sku_id == "" or parse.is_id(ref.sku_id))


def _outcome(target: StockTarget, status: PushStatus, cause: str, shown: int | None = None) -> PushOutcome:
    return PushOutcome(target.listing_id, target.location_id, status, cause, shown)


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S")
