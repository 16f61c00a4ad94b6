"""The Shopify connector: which calls are made, and in what order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from integrations.connectors.base import (
    READS_ONLY,
    Capability,
    Connector,
    DiscoveredListing,
    Hint,
    ListingPage,
    ListingRef,
    Location,
    Order,
    Promotion,
    PushOutcome,
    Quota,
    Reading,
    ReadOutcome,
    Setting,
    SettingKind,
    StockLevel,
    StockTarget,
    Tokens,
)
from integrations.connectors.clock import Clock
from integrations.connectors.errors import ConnectorError, Fatal, Reauthorise, Retry, Review, Wait
from integrations.connectors.http import HttpClient, parse_json
from integrations.connectors.shopify import documents, parse, refusals, signing, stock, webhooks
from integrations.connectors.shopify.credentials import CLIENT_CREDENTIALS, CUSTOM, PUBLIC, ShopifyCredentials
from integrations.connectors.shopify.gateway import Gateway
from integrations.connectors.values import HalfAnswer, moment, text, whole

SCOPES = ("read_products", "read_inventory", "write_inventory", "read_locations", "read_orders", "read_discounts")

_PAGE = 250  # the most that any list gives at once
_PRODUCTS_PAGE = 100  # with their variants, of which 20 at once
_ORDERS_PAGE = 100  # with their lines, of which 50 at once
_TOKEN = "token"  # noqa: S105  # the name of an operation
_BULK_FROM = 2_000  # variants from which on one bulk operation is cheaper than pages
# Between two looks at a bulk operation: a part of the time that it has taken until now.
_BULK_PAUSE_SHARE = 10
_ENDED_OTHERWISE = frozenset({"FAILED", "EXPIRED", "CANCELED", "CANCELING"})
_SHORTEST_BULK_PAUSE, _LONGEST_BULK_PAUSE = timedelta(seconds=1), timedelta(minutes=1)


class ShopifyConnector(Connector):
    platform = refusals.PLATFORM
    title = _("Shopify")
    capabilities = frozenset(
        {
            Capability.READ_LISTINGS,
            Capability.DISCOVER_LISTINGS,
            Capability.READ_CHANGES,
            Capability.READ_STOCK_LEVELS,
            Capability.PUSH_STOCK,
            Capability.READ_ORDERS,
            Capability.READ_PROMOTIONS,
            Capability.RECEIVE_WEBHOOKS,
            Capability.AUTHORISE,
            Capability.REFRESH_TOKEN,
            Capability.REQUEST_TOKEN,
        }
    )
    Credentials = ShopifyCredentials
    default_base_url = ""  # the shop's own
    default_auth_url = ""
    max_items_per_read = _PAGE  # variants
    max_rows_per_push = stock.MAX_ROWS
    has_compare_and_set = True
    has_locations = True
    quota_unit = _("points")
    shop_setting = "shop"
    consent_only_for = ("app_kind", (PUBLIC,))
    permissions = SCOPES
    settings = (
        Setting(
            "shop",
            _("Shop"),
            help_text=_("The address that ends in .myshopify.com: in the Shopify admin under Settings, Domains."),
        ),
        Setting(
            "app_kind",
            _("Kind of app"),
            SettingKind.CHOICE,
            choice_help=(
                (
                    CLIENT_CREDENTIALS,
                    _("Made in the Dev Dashboard by the organisation that owns the shop; the shop is not asked."),
                ),
                (CUSTOM, _("Made in the Shopify admin of the shop itself, before 2026; it has one lasting token.")),
                (PUBLIC, _("Made in the Dev Dashboard for shops of others, each of which gives its consent.")),
            ),
            choices=(
                (CLIENT_CREDENTIALS, _("App of your own organisation (client ID and secret)")),
                (CUSTOM, _("Custom app made in the Shopify admin (access token)")),
                (PUBLIC, _("App for other merchants (the shop gives its consent)")),
            ),
        ),
        Setting(
            "app_key",
            _("Client ID"),
            help_text=_("In the Dev Dashboard: the app, Settings."),
            only_for=("app_kind", (CLIENT_CREDENTIALS, PUBLIC)),
        ),
        Setting(
            "app_secret",
            _("Client secret"),
            SettingKind.SECRET,
            help_text=_(
                "Beside the client ID. Of a custom app it is the API secret key, under API credentials; only its news "
                "to us needs it."
            ),
            optional_for=("app_kind", (CUSTOM,)),
        ),
        Setting(
            "access_token",
            _("Admin API access token"),
            SettingKind.SECRET,
            help_text=_("Shown once when the custom app is installed; it begins with shpat_."),
            only_for=("app_kind", (CUSTOM,)),
        ),
    )

    def __init__(
        self,
        credentials: ShopifyCredentials,
        *,
        base_url: str = "",
        auth_base_url: str = "",
        http: HttpClient | None = None,
    ) -> None:
        base_url = base_url or f"https://{credentials.shop}"
        super().__init__(credentials, base_url=base_url, auth_base_url=auth_base_url, http=http)
        self.credentials = credentials
        self._gateway = Gateway(credentials, base_url=self.base_url, http=self.http, mask=self.without_secrets)

    @classmethod
    def console(cls, settings: Mapping[str, str]) -> str:
        is_custom = settings.get("app_kind") == CUSTOM
        return gettext("the Shopify admin (Settings, Apps)") if is_custom else gettext("the Dev Dashboard")

    @property
    def can_request_token(self) -> bool:
        return self.credentials.app_kind == CLIENT_CREDENTIALS

    @property
    def can_refresh(self) -> bool:
        return self.credentials.app_kind == PUBLIC

    @property
    def quota_told(self) -> Quota | None:
        return self._gateway.quota

    def check_connection(self, *, now: datetime) -> str:
        clock = Clock(now)
        data = self._gateway.query("shop", {}, clock)
        granted = {
            text(parse.field(scope, "handle"))
            for scope in parse.field(data, "currentAppInstallation", "accessScopes") or ()
        }
        missing = [scope for scope in SCOPES if not granted & {scope, scope.replace("read_", "write_")}]
        if missing == ["read_locations"] and granted & {"read_inventory", "write_inventory"}:
            missing = []  # the permission for stock covers its locations
        if any(not scope.startswith("write_") for scope in missing):
            raise Reauthorise(self.platform, "shop", cause="scope-missing", detail=", ".join(missing))
        self._gateway.check_version("shop", clock)
        self._check_currency(data, "shop")
        if missing:
            raise Reauthorise(self.platform, "shop", cause=READS_ONLY, detail=", ".join(missing))
        return text(parse.field(data, "shop", "name")) or self.credentials.shop

    # --- Listings ---------------------------------------------------------------------------------------------------

    def read_batches(self, refs: Sequence[ListingRef]) -> list[list[ListingRef]]:
        if any(not ref.is_own for ref in refs):
            self._unsupported("read_competitors")
        # Several listings may stand for one variant: the ids of a call are counted, not the refs.
        by_variant: dict[str, list[ListingRef]] = {}
        for ref in refs:
            by_variant.setdefault(ref.sku_id, []).append(ref)
        groups = list(by_variant.values())
        return [
            [ref for group in groups[start : start + _PAGE] for ref in group] for start in range(0, len(groups), _PAGE)
        ]

    def read_listings(self, batch: Sequence[ListingRef], *, now: datetime) -> list[Reading]:
        asked = [ref for ref in batch if parse.is_id(ref.sku_id) and parse.is_id(ref.item_id)]
        readings = {ref: Reading(ref.listing_id, ReadOutcome.REFUSED, cause="bad-listing-id") for ref in batch}
        if asked:
            variables = {"ids": parse.variant_gids(ref.sku_id for ref in asked)}
            data = self._priced("variants-by-id", variables, Clock(now))
            with whole(self.platform, "variants-by-id"):
                found = parse.readings(asked, parse.field(data, "nodes"))
            readings |= dict(zip(asked, found, strict=True))
        return [readings[ref] for ref in batch]

    def discover_listings(self, *, now: datetime, cursor: Mapping[str, Any] | None = None) -> Iterator[ListingPage]:
        clock = Clock(now)
        data = self._priced("variant-count", {}, clock)
        cursor = cursor or {}
        total = parse.field(data, "productVariantsCount", "count")
        if not cursor and isinstance(total, int) and total >= _BULK_FROM:
            cursor = {"bulk": self._begin_bulk(clock)}
            yield ListingPage((), cursor)
        if "bulk" in cursor:
            yield from self._bulk_pages(cursor["bulk"], cursor.get("line", 0), clock)
            return
        variables = {"first": _PAGE, "query": None, "after": cursor.get("after")}
        for nodes, end in self._gateway.connection("variants", variables, ("productVariants",), clock):
            yield ListingPage(list(_discovered(nodes, "variants")), {"after": end} if end else None)

    def read_changes(self, *, since: datetime, now: datetime) -> Iterator[DiscoveredListing]:
        """Products, variants and stock levels are asked for: each can change without the others being touched."""
        clock = Clock(now)
        self._priced("variant-count", {}, clock)
        changed = f"updated_at:>='{_stamp(since)}'"
        seen: set[str] = set()
        for listings in (
            self._changed_products(changed, clock),
            self._variants(changed, clock),
            self._changed_levels(changed, clock),
        ):
            for listing in listings:
                if listing.sku_id not in seen:
                    seen.add(listing.sku_id)
                    yield listing

    def _variants(self, query: str, clock: Clock) -> Iterator[DiscoveredListing]:
        variables = {"first": _PAGE, "query": query or None}
        return _discovered(self._gateway.pages("variants", variables, ("productVariants",), clock), "variants")

    def _changed_products(self, changed: str, clock: Clock) -> Iterator[DiscoveredListing]:
        variables = {"first": _PRODUCTS_PAGE, "query": changed}
        for product in self._gateway.pages("changed-products", variables, ("products",), clock):
            rest: Iterable[Mapping[str, Any]] = ()
            with whole(self.platform, "changed-products"):
                page = parse.page(parse.field(product, "variants"))
            if page.end:
                more = {"product": product.get("id"), "after": page.end}
                rest = self._gateway.pages("more-variants", more, ("product", "variants"), clock)
            yield from _discovered(page.nodes, "changed-products")
            yield from _discovered(rest, "more-variants")

    def _changed_levels(self, changed: str, clock: Clock) -> Iterator[DiscoveredListing]:
        for location in self.read_locations(now=clock.now()):
            variables = {"location": parse.gid("Location", location.location_id), "query": changed, "first": _PAGE}
            for level in self._gateway.pages("changed-levels", variables, ("location", "inventoryLevels"), clock):
                variants = parse.field(level, "item", "variants", "nodes")
                yield from _discovered(variants if isinstance(variants, list) else (), "changed-levels")

    def _begin_bulk(self, clock: Clock) -> str:
        """The id of a bulk operation that tells all variants."""
        data = self._gateway.query("run-bulk", {"query": documents.BULK_VARIANTS}, clock)
        for error in parse.field(data, "bulkOperationRunQuery", "userErrors") or ():
            code = text(parse.field(error, "code"))
            if code == "OPERATION_IN_PROGRESS":
                retry_at = clock.now() + timedelta(minutes=1)
                raise Wait(
                    self.platform, "run-bulk", retry_at=retry_at, scope="operation", cause="bulk-running", code=code
                )
            detail = self.without_secrets(text(parse.field(error, "message")))
            raise Fatal(self.platform, "run-bulk", cause="bad-request", code=code, detail=detail)
        identity = text(parse.field(data, "bulkOperationRunQuery", "bulkOperation", "id"))
        if not identity:
            raise Retry(self.platform, "run-bulk", cause="half-answer", may_have_arrived=True)
        return identity

    def _bulk_pages(self, identity: str, line: int, clock: Clock) -> Iterator[ListingPage]:
        """What a bulk operation found, from a line of its result on."""
        operation = parse.field(self._gateway.query("bulk", {"id": identity}, clock), "bulkOperation")
        match parse.field(operation, "status"):
            case "COMPLETED":
                pass
            case "CREATED" | "RUNNING":
                now = clock.now()
                pause = (now - (moment(parse.field(operation, "createdAt")) or now)) / _BULK_PAUSE_SHARE
                retry_at = now + min(max(pause, _SHORTEST_BULK_PAUSE), _LONGEST_BULK_PAUSE)
                raise Wait(self.platform, "bulk", retry_at=retry_at, scope="operation", cause="bulk-running")
            case status:
                yield ListingPage((), {})  # nothing comes of this one any more
                code = text(parse.field(operation, "errorCode"))
                if code == "ACCESS_DENIED":
                    raise Reauthorise(self.platform, "bulk", cause="scope-missing", code=code)
                cause = "server-error" if status in _ENDED_OTHERWISE else "half-answer"
                raise Retry(self.platform, "bulk", cause=cause, code=code)
        # The result lies on another host, whose address is signed: our token is not for it.
        url = text(operation.get("url"))
        lines = self.http.lines(url, platform=self.platform, operation="bulk", now=clock.now()) if url else ()
        rows = parse.bulk_rows(lines, operation.get("objectCount"), skipped=line)
        with whole(self.platform, "bulk"):
            while listings := [parse.discovered(row) for row in islice(rows, _PAGE)]:
                line += len(listings)
                yield ListingPage(listings, {"bulk": identity, "line": line})
        yield ListingPage((), None)

    def _priced(self, document: str, variables: Mapping[str, Any], clock: Clock) -> Mapping[str, Any]:
        """The answer to a document that asks for the shop's currency, which its amounts are in."""
        data = self._gateway.query(document, variables, clock)
        self._check_currency(data, document)
        return data

    def _check_currency(self, data: Mapping[str, Any], document: str) -> str:
        """The shop's currency; raises Review where the channel is kept in another."""
        currency = text(parse.field(data, "shop", "currencyCode"))
        if self.currency and currency != self.currency:
            raise Review(self.platform, document, scope="channel", cause="currency-differs", detail=currency)
        return currency

    # --- Stock ------------------------------------------------------------------------------------------------------

    def read_locations(self, *, now: datetime) -> list[Location]:
        return stock.read_locations(self._gateway, Clock(now))

    def read_stock_levels(self, batch: Sequence[ListingRef], *, now: datetime) -> list[StockLevel]:
        return stock.read_levels(self._gateway, batch, Clock(now))

    def push_stock(self, batch: Sequence[StockTarget], *, key: str, now: datetime) -> list[PushOutcome]:
        return stock.StockWriter(self._gateway, key=key, clock=Clock(now)).push(batch)

    # --- Orders, promotions, webhooks -------------------------------------------------------------------------------

    def read_orders(self, *, since: datetime, until: datetime, now: datetime) -> Iterator[Order]:
        clock = Clock(now)
        query = f"updated_at:>='{_stamp(since)}' AND updated_at:<'{_stamp(until)}'"
        seen: set[str] = set()
        for node in self._gateway.pages("orders", {"first": _ORDERS_PAGE, "query": query}, ("orders",), clock):
            with whole(self.platform, "orders"):
                page = parse.page(parse.field(node, "lineItems"))
                lines = page.nodes
                if page.end:
                    variables = {"order": node.get("id"), "after": page.end}
                    lines = lines + list(self._gateway.pages("more-lines", variables, ("order", "lineItems"), clock))
                if parse.is_some_taken_out(lines):
                    found = self._gateway.query("refunds", {"order": node.get("id")}, clock)
                    node = {**node, "refunds": parse.field(found, "order", "refunds")}
                order = parse.order(node, lines)
            if order.order_id not in seen:
                seen.add(order.order_id)
                yield order

    def read_promotions(self, *, now: datetime) -> Iterator[Promotion]:
        clock = Clock(now)
        currency = self._check_currency(self._gateway.query("shop", {}, clock), "shop")
        seen: set[str] = set()
        for status in ("scheduled", "active"):  # one that starts in between comes twice, and never not at all
            for node in self._gateway.pages("discounts", {"query": f"status:{status}"}, ("discountNodes",), clock):
                with whole(self.platform, "discounts"):
                    promotion = parse.promotion(node, currency)
                if promotion is not None and promotion.promotion_id not in seen:
                    seen.add(promotion.promotion_id)
                    yield promotion

    def is_genuine(self, *, headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> bool:
        return signing.is_genuine_body(body, headers.get(webhooks.SIGNATURE, ""), secrets)

    def parse_webhook(self, *, headers: Mapping[str, str], body: bytes) -> list[Hint]:
        with whole(self.platform, "webhook"):
            try:
                content = parse_json(body)
            except ValueError as error:
                raise HalfAnswer("no JSON") from error
            return [webhooks.hint(headers, content, body)]

    # --- Authorisation ----------------------------------------------------------------------------------------------

    def authorise_url(self, *, redirect_uri: str, state: str) -> str:
        query = {
            "client_id": self.credentials.app_key,
            "scope": ",".join(SCOPES),
            "redirect_uri": redirect_uri,
            "state": state,
        }
        return f"{self.auth_base_url}/admin/oauth/authorize?{urlencode(query)}"

    def check_callback(self, parameters: Mapping[str, str]) -> bool:
        """Whether Shopify sent this redirect, for this shop."""
        is_ours = parameters.get("shop", "").lower() == self.credentials.shop
        return is_ours and signing.is_genuine_callback(parameters, self.credentials.app_secret)

    def exchange_code(self, *, code: str, redirect_uri: str, now: datetime) -> Tokens:
        return self._tokens({"code": code, "expiring": "1"}, now)

    def refresh(self, *, refresh_token: str, now: datetime) -> Tokens:
        if not self.can_refresh:
            self._unsupported("refresh_token")
        return self._tokens({"grant_type": "refresh_token", "refresh_token": refresh_token}, now)

    def request_token(self, *, now: datetime) -> Tokens:
        if not self.can_request_token:
            self._unsupported("request_token")
        return self._tokens({"grant_type": "client_credentials"}, now)

    def _tokens(self, grant: Mapping[str, str], now: datetime) -> Tokens:
        form = {**grant, "client_id": self.credentials.app_key, "client_secret": self.credentials.app_secret}
        try:
            answer = self.http.post_form(
                f"{self.auth_base_url}/admin/oauth/access_token",
                form,
                platform=self.platform,
                operation=_TOKEN,
                now=now,
                json_statuses=frozenset({400, 401}),
            )
        except ConnectorError as error:
            raise refusals.by_status(error) from error.__cause__
        code = text(parse.field(answer.json, "error"))
        if code or answer.status != 200:
            description = text(parse.field(answer.json, "error_description"))
            raise refusals.token_error(code, description, _TOKEN, now, lambda said: self._without(said, grant))
        with whole(self.platform, _TOKEN):
            return parse.tokens(answer.json, now, self.credentials.shop)

    def _without(self, said: str, grant: Mapping[str, str]) -> str:
        said = self.without_secrets(said)
        for name in ("code", "refresh_token"):
            if grant.get(name):
                said = said.replace(grant[name], "***")
        return said


def _discovered(variants: Iterable[Mapping[str, Any]], document: str) -> Iterator[DiscoveredListing]:
    for variant in variants:
        with whole(refusals.PLATFORM, document):
            listing = parse.discovered(variant)
        yield listing


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
