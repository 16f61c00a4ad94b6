"""The WooCommerce connector: which calls are made, and in what order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from integrations.connectors.base import (
    READS_ONLY,
    Capability,
    Connector,
    DiscoveredListing,
    HandedKeys,
    Hint,
    InvalidSetting,
    ListingPage,
    ListingRef,
    Order,
    Promotion,
    PushOutcome,
    Reading,
    ReadOutcome,
    Setting,
    SettingKind,
    StockTarget,
    checked_address,
)
from integrations.connectors.clock import Clock
from integrations.connectors.errors import Reauthorise, Review
from integrations.connectors.http import HttpClient, parse_json
from integrations.connectors.values import HalfAnswer, text, whole
from integrations.connectors.woocommerce import parse, refusals, signing, stock, webhooks
from integrations.connectors.woocommerce.credentials import WooCommerceCredentials
from integrations.connectors.woocommerce.gateway import PAGE, Gateway

_SCOPE = "read_write"
_OVERLAP = timedelta(minutes=2)  # changes are asked for from this long before: what is written then may show later
_SECOND = timedelta(seconds=1)
_VARIATIONS_APART = 10  # at a time, where the variations of each product are a call of their own


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
            Capability.REQUEST_KEYS,
        }
    )
    Credentials = WooCommerceCredentials
    default_base_url = ""  # every shop has its own
    default_auth_url = ""
    max_items_per_read = PAGE
    max_rows_per_push = stock.MAX_ROWS
    shop_setting = "base_url"
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
            raise InvalidSetting("base_url", gettext("Enter the address of the shop."))
        super().__init__(credentials, base_url=base_url, auth_base_url=auth_base_url, http=http)
        self.credentials = credentials
        self._secrets += (signing.basic(credentials.app_key, credentials.app_secret).removeprefix("Basic "),)
        self._gateway = Gateway(credentials, base_url=self.base_url, http=self.http, mask=self.without_secrets)
        self._with_amounts = True  # unless nobody knows their currency

    @classmethod
    def console(cls, settings: Mapping[str, str]) -> str:
        return gettext("WordPress (WooCommerce, Settings, Advanced, REST API)")

    @property
    def needs_token(self) -> bool:
        return False

    def check_connection(self, *, now: datetime) -> str:
        clock = Clock(now)
        for path in ("products", "orders", "coupons"):
            self._gateway.rows(path, {"per_page": "1", "_fields": "id"}, clock)
        self._check_currency(self._gateway.currency(clock))
        self._check_writing(clock)  # last: else all is in order
        return self._gateway.name(clock) or str(urlsplit(self.base_url).hostname)

    def _check_writing(self, clock: Clock) -> None:
        """Raise Reauthorise for keys that may only read: a batch of nothing changes nothing, and is refused to them."""
        operation = "products/batch"
        try:
            self._gateway.call("POST", operation, clock, body={})
        except Reauthorise as refused:
            if refused.cause != refusals.BAD_SECRET:
                raise
            # They were let in to read just now, so it is no bad secret: shops say the reason in their own language.
            raise Reauthorise(
                self.platform, operation, cause=READS_ONLY, code=refused.code, detail=refused.detail
            ) from None

    # --- Listings ---------------------------------------------------------------------------------------------------

    def read_batches(self, refs: Sequence[ListingRef]) -> list[list[ListingRef]]:
        """An item's variants stay together as long as they fit: its own row is read with them."""
        if any(not ref.is_own for ref in refs):
            self._unsupported("read_competitors")
        by_item: dict[str, list[ListingRef]] = {}
        for ref in refs:
            by_item.setdefault(ref.item_id, []).append(ref)
        batches: list[list[ListingRef]] = []
        for refs_of_item in by_item.values():
            for start in range(0, len(refs_of_item), PAGE):
                part = refs_of_item[start : start + PAGE]
                if not batches or len(batches[-1]) + len(part) > PAGE:
                    batches.append([])
                batches[-1] += part
        return batches

    def read_listings(self, batch: Sequence[ListingRef], *, now: datetime) -> list[Reading]:
        clock = Clock(now)
        self._check_amounts(clock)
        asked = [ref for ref in batch if _is_readable(ref)]
        products = self._gateway.by_id("products", [ref.item_id for ref in asked], clock)
        wanted = [(ref.item_id, ref.sku_id) for ref in asked if ref.sku_id and ref.item_id in products]
        variations = self._gateway.variations(wanted, clock)
        readings = {ref: Reading(ref.listing_id, ReadOutcome.REFUSED, cause="bad-listing-id") for ref in batch}
        readings |= {ref: parse.reading(ref, products, variations, with_amounts=self._with_amounts) for ref in asked}
        return [readings[ref] for ref in batch]

    def discover_listings(self, *, now: datetime, cursor: Mapping[str, Any] | None = None) -> Iterator[ListingPage]:
        clock = Clock(now)
        self._check_amounts(clock)
        return self._pages({}, clock, cursor or {})

    def read_changes(self, *, since: datetime, now: datetime) -> Iterator[DiscoveredListing]:
        """A variation can change without its product being touched, so both are asked for.

        Where there is no list of all variations nobody can tell which of them changed: then all are told.
        """
        clock = Clock(now)
        self._check_amounts(clock)
        if not self._gateway.can_list_variations(clock):
            for listings, _cursor in self._pages({}, clock):
                yield from listings
            return
        changed = {"modified_after": _stamp(since - _OVERLAP), "dates_are_gmt": "true"}
        told: set[str] = set()
        # A change of a product, of its state for one, is one of all its variations.
        for listings, _cursor in self._pages(changed, clock):
            told.update(listing.sku_id for listing in listings)
            yield from listings
        rows = self._gateway.pages("variations", clock, changed, fields=parse.PRODUCT_FIELDS)
        while page := list(islice(rows, PAGE)):
            new = [row for row in page if parse.id_of(row) not in told]
            products = self._gateway.by_id("products", [parse.id_of(row, "parent_id") for row in new], clock)
            for row in new:
                product = products.get(parse.id_of(row, "parent_id"))
                if product is not None:
                    yield self._discovered(row, product)

    def _pages(
        self, parameters: Mapping[str, str], clock: Clock, cursor: Mapping[str, Any] | None = None
    ) -> Iterator[ListingPage]:
        """Products without variations, and all variations of the others.

        The cursor is that of a page of products, and in `done` the ids of that page which were told: products and
        variations have their ids out of one sequence.
        """
        here: Mapping[str, Any] = cursor or {}
        done = list(here.get("done", ()))
        for page, further in self._gateway.numbered(
            "products", clock, parameters, fields=parse.PRODUCT_FIELDS, cursor=here
        ):
            for ids, listings in self._parts(page, frozenset(done), clock):
                done += ids
                yield ListingPage(listings, {**here, "done": list(done)})
            yield ListingPage((), further)
            here, done = further or {}, []

    def _parts(
        self, products: Sequence[Mapping[str, Any]], done: frozenset[str], clock: Clock
    ) -> Iterator[tuple[list[str], list[DiscoveredListing]]]:
        """The ids of products and variations without those done, and their listings: a few calls' worth at a time."""
        simple: dict[str, DiscoveredListing] = {}
        ids: list[tuple[str, str]] = []
        for product in products:
            if product.get("type") == parse.VARIABLE:
                with whole(self.platform, "products"):
                    ids += [each for each in parse.variation_ids(product) if each[1] not in done]
            elif product.get("type") != parse.GROUPED and parse.id_of(product) not in done:
                simple[parse.id_of(product)] = self._discovered(product, product)
        if simple:
            yield list(simple), list(simple.values())
        by_id = {parse.id_of(product): product for product in products}
        size = PAGE if ids and self._gateway.can_list_variations(clock) else _VARIATIONS_APART
        for start in range(0, len(ids), size):
            some = ids[start : start + size]
            variations = self._gateway.variations(some, clock)
            yield (
                [sku_id for _item_id, sku_id in some],
                [
                    self._discovered(variations[sku_id], by_id[item_id])
                    for item_id, sku_id in some
                    if sku_id in variations  # else it was deleted meanwhile
                ],
            )

    def _discovered(self, row: Mapping[str, Any], product: Mapping[str, Any]) -> DiscoveredListing:
        return parse.discovered(row, product, with_amounts=self._with_amounts)

    def _check_amounts(self, clock: Clock) -> None:
        """Raise Review where the shop is known to count in another currency than the channel: products name none.

        A user who may read products need not be one who may read settings; then nobody can tell, so no amount is told,
        and the test of the connection says what is missing.
        """
        if not self.currency:
            return
        try:
            currency = self._gateway.currency(clock)
        except Reauthorise as refused:
            if refused.cause != refusals.ROLE_TOO_WEAK:
                raise
            self._with_amounts = False
            return
        self._check_currency(currency)
        self._with_amounts = True

    def _check_currency(self, currency: str) -> None:
        if self.currency and currency != self.currency:
            detail = self.without_secrets(currency)
            raise Review(self.platform, "currency", scope="channel", cause="currency-differs", detail=detail)

    # --- Stock ------------------------------------------------------------------------------------------------------

    def push_batches(self, targets: Sequence[StockTarget]) -> list[list[StockTarget]]:
        return stock.batches(targets)

    def push_stock(self, batch: Sequence[StockTarget], *, key: str, now: datetime) -> list[PushOutcome]:
        return stock.StockWriter(self._gateway, Clock(now)).push(batch)

    # --- Orders, promotions, webhooks -------------------------------------------------------------------------------

    def read_orders(self, *, since: datetime, until: datetime, now: datetime) -> Iterator[Order]:
        clock = Clock(now)
        since, until = since.replace(microsecond=0), until.replace(microsecond=0)
        # Both ends are outside of what the shop tells.
        window = {
            "modified_after": _stamp(since - _SECOND),
            "modified_before": _stamp(until + _SECOND),
            "dates_are_gmt": "true",
        }
        for row in self._gateway.pages("orders", clock, window, fields=parse.ORDER_FIELDS):
            if row.get("status") == parse.DRAFT:
                continue
            refunds: list[Mapping[str, Any]] = []
            if row.get("refunds"):
                path = f"orders/{parse.id_of(row)}/refunds"
                try:
                    refunds = list(self._gateway.pages(path, clock, fields=parse.REFUND_FIELDS))
                except Review as error:
                    if error.cause != refusals.NO_ORDER:
                        raise
                    continue  # deleted meanwhile
            with whole(self.platform, "orders"):
                order = parse.order(row, refunds)
            if since <= order.changed_at < until:
                yield order

    def read_promotions(self, *, now: datetime) -> Iterator[Promotion]:
        clock = Clock(now)
        currency = self._gateway.currency(clock)
        self._check_currency(currency)
        rows = self._gateway.pages("coupons", clock, fields=parse.COUPON_FIELDS)
        while page := list(islice(rows, PAGE)):
            ids = list(dict.fromkeys(found for row in page for found in parse.coupon_products(row)))
            products: set[str] = set()
            for start in range(0, len(ids), PAGE):
                products |= self._gateway.by_id("products", ids[start : start + PAGE], clock, fields="id").keys()
            for row in page:
                promotion = parse.promotion(row, currency, products)
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

    # --- Keys -------------------------------------------------------------------------------------------------------

    @classmethod
    def keys_url(cls, base_url: str, *, state: str, return_url: str, callback_url: str) -> str:
        query = {
            "app_name": "Evenshelf",
            "scope": _SCOPE,
            "user_id": state,
            "return_url": return_url,
            "callback_url": callback_url,
        }
        return f"{checked_address('base_url', base_url)}/wc-auth/v1/authorize?{urlencode(query)}"

    @classmethod
    def parse_keys(cls, body: bytes) -> HandedKeys:
        with whole(cls.platform, "keys"):
            try:
                content = parse_json(body)
            except ValueError as error:
                raise HalfAnswer("no JSON") from error
            if text(content.get("key_permissions")) != _SCOPE:
                raise HalfAnswer("keys of another permission than was asked for")
            keys = {"app_key": text(content.get("consumer_key")), "app_secret": text(content.get("consumer_secret"))}
            state = text(content.get("user_id"))
        WooCommerceCredentials.from_settings(keys)
        return HandedKeys(state, keys)


def _is_readable(ref: ListingRef) -> bool:
    return parse.is_id(ref.item_id) and (ref.sku_id == "" or parse.is_id(ref.sku_id))


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S")
