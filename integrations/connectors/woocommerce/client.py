"""The WooCommerce connector: which calls are made, and in what order."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from integrations.connectors.base import (
    Capability,
    Connector,
    DiscoveredListing,
    HandedKeys,
    Hint,
    InvalidSetting,
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

    @property
    def needs_token(self) -> bool:
        return False

    def check_connection(self, *, now: datetime) -> str:
        clock = Clock(now)
        for path in ("products", "orders", "coupons"):
            self._gateway.rows(path, {"per_page": "1", "_fields": "id"}, clock)
        self._check_currency(self._gateway.currency(clock))
        return self._gateway.name(clock) or str(urlsplit(self.base_url).hostname)

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
        readings |= {ref: parse.reading(ref, products, variations) for ref in asked}
        return [readings[ref] for ref in batch]

    def discover_listings(self, *, now: datetime, skip: Container[str] = ()) -> Iterator[DiscoveredListing]:
        clock = Clock(now)
        self._check_amounts(clock)
        return self._listings({}, clock, skip)

    def read_changes(self, *, since: datetime, now: datetime) -> Iterator[DiscoveredListing]:
        """A variation can change without its product being touched, so both are asked for.

        Where there is no list of all variations nobody can tell which of them changed: then all are told.
        """
        clock = Clock(now)
        self._check_amounts(clock)
        if not self._gateway.can_list_variations(clock):
            yield from self._listings({}, clock)
            return
        changed = {"modified_after": _stamp(since - _OVERLAP), "dates_are_gmt": "true"}
        told: set[str] = set()
        # A change of a product, of its state for one, is one of all its variations.
        for listing in self._listings(changed, clock):
            told.add(listing.sku_id)
            yield listing
        rows = self._gateway.pages("variations", clock, changed, fields=parse.PRODUCT_FIELDS)
        while page := list(islice(rows, PAGE)):
            new = [row for row in page if parse.id_of(row) not in told]
            products = self._gateway.by_id("products", [parse.id_of(row, "parent_id") for row in new], clock)
            for row in new:
                product = products.get(parse.id_of(row, "parent_id"))
                if product is not None:
                    yield parse.discovered(row, product)

    def _listings(
        self, parameters: Mapping[str, str], clock: Clock, skip: Container[str] = ()
    ) -> Iterator[DiscoveredListing]:
        """Products without variations, and all variations of the others."""
        rows = self._gateway.pages("products", clock, parameters, fields=parse.PRODUCT_FIELDS)
        while page := list(islice(rows, PAGE)):
            products = {parse.id_of(row): row for row in page if parse.id_of(row) not in skip}
            ids: list[tuple[str, str]] = []
            for product in products.values():
                if product.get("type") == parse.VARIABLE:
                    with whole(self.platform, "products"):
                        ids += parse.variation_ids(product)
                elif product.get("type") != parse.GROUPED:
                    yield parse.discovered(product, product)
            for start in range(0, len(ids), PAGE):
                some = ids[start : start + PAGE]
                variations = self._gateway.variations(some, clock)
                for item_id, sku_id in some:
                    if sku_id in variations:  # else it was deleted meanwhile
                        yield parse.discovered(variations[sku_id], products[item_id])

    def _check_amounts(self, clock: Clock) -> None:
        """Raise Review where the shop is known to count in another currency than the channel: products name none.

        A user who may read products need not be one who may read settings; then nobody can tell, which the test of the
        connection says.
        """
        if not self.currency:
            return
        try:
            currency = self._gateway.currency(clock)
        except Reauthorise as refused:
            if refused.cause != refusals.ROLE_TOO_WEAK:
                raise
            return
        self._check_currency(currency)

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
        # Both ends are outside of what the shop tells, and to the second.
        window = {
            "modified_after": _stamp(since - _SECOND),
            "modified_before": _stamp(until + _SECOND),
            "dates_are_gmt": "true",
        }
        for row in self._gateway.pages("orders", clock, window, fields=parse.ORDER_FIELDS):
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
