"""The Shopify connector: which calls are made, and in what order."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode
from uuid import UUID, uuid5

from django.utils.translation import gettext_lazy as _

from integrations.connectors.base import (
    Capability,
    Connector,
    DiscoveredListing,
    Hint,
    InvalidSetting,
    ListingRef,
    Location,
    Order,
    Promotion,
    PushOutcome,
    PushStatus,
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
from integrations.connectors.http import Answer, HttpClient, parse_json
from integrations.connectors.shopify import documents, parse, refusals, signing, webhooks
from integrations.connectors.shopify.pacing import CostBucket
from integrations.connectors.values import HalfAnswer, text, whole

logger = logging.getLogger(__name__)

VERSION = "2026-10"
SCOPES = ("read_products", "read_inventory", "write_inventory", "read_locations", "read_orders", "read_discounts")
CLIENT_CREDENTIALS, CUSTOM, PUBLIC = "client_credentials", "custom", "public"

_PAGE = 250  # the most that any list gives at once
_ORDERS_PAGE = 100  # with their lines, of which 50 at once
_TOKEN = "token"  # noqa: S105  # the name of an operation
_LONGEST_WAIT_SECONDS = 15.0  # for the bucket, in a thread; what takes longer is left to the lane
_BULK_FROM = 2_000  # variants from which on one bulk operation is cheaper than pages
_BULK_POLL_SECONDS = (0.2, 1.0, 2.0, 5.0)
_BULK_SECONDS = 600.0
_MOST_FAILED = 2  # new keys for a write whose key stands for a failed one
_KEYS = UUID("6f1d9f0c-0f5f-4b43-9c0d-6f5f1f5f7a51")  # the namespace of our idempotency keys
_CLIENT_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_SHOP = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9-]*\.myshopify\.com")
_VERSION = re.compile(r"20[0-9]{2}-(01|04|07|10)")


@dataclass(frozen=True, slots=True)
class ShopifyCredentials:
    """A shop and an app of it. `access_token` is "" until there is one; a custom app's is made once, in the admin."""

    shop: str
    app_key: str = ""
    app_secret: str = field(default="", repr=False)
    access_token: str = field(default="", repr=False)
    app_kind: str = CLIENT_CREDENTIALS
    api_version: str = VERSION

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> Self:
        """Checked credentials; an empty value counts as not given. Raises InvalidSetting."""
        given = {name: value.strip() for name, value in settings.items() if value and value.strip()}
        for name in given:
            if name not in cls.__dataclass_fields__:
                raise InvalidSetting(name, str(_("Shopify has no such setting.")))
        shop = given.get("shop", "").lower()
        if not _SHOP.fullmatch(shop):
            message = _("Enter the shop's own Shopify address, for example my-shop.myshopify.com.")
            raise InvalidSetting("shop", str(message))
        kind = given.get("app_kind", CLIENT_CREDENTIALS)
        if kind not in {CLIENT_CREDENTIALS, CUSTOM, PUBLIC}:
            raise InvalidSetting("app_kind", str(_("Choose one of the kinds of apps.")))
        if kind != CUSTOM:
            if not _CLIENT_ID.fullmatch(given.get("app_key", "")):
                raise InvalidSetting("app_key", str(_("Enter the client ID from the app's settings.")))
            if "app_secret" not in given:
                raise InvalidSetting("app_secret", str(_("Enter the client secret from the app's settings.")))
        if not _VERSION.fullmatch(given.get("api_version", VERSION)):
            raise InvalidSetting("api_version", str(_("A version is a year and one of 01, 04, 07 and 10: 2026-10.")))
        return cls(**{**given, "shop": shop})


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
    max_rows_per_push = _PAGE
    has_compare_and_set = True
    has_locations = True
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
            help_text=_("An app of your own organisation is made in the Dev Dashboard and needs no consent."),
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
            help_text=_("Beside the client ID."),
            only_for=("app_kind", (CLIENT_CREDENTIALS, PUBLIC)),
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
        self.bucket = CostBucket()
        self._endpoint = f"{self.base_url}/admin/api/{credentials.api_version}/graphql.json"
        self._served_version = ""

    @property
    def can_request_token(self) -> bool:
        return self.credentials.app_kind == CLIENT_CREDENTIALS

    @property
    def can_refresh(self) -> bool:
        return self.credentials.app_kind == PUBLIC

    def check_connection(self, *, now: datetime) -> str:
        data = self._query("shop", {}, now)
        granted = {
            text(parse.field(scope, "handle"))
            for scope in parse.field(data, "currentAppInstallation", "accessScopes") or ()
        }
        missing = [scope for scope in SCOPES if not granted & {scope, scope.replace("read_", "write_")}]
        if missing == ["read_locations"] and granted & {"read_inventory", "write_inventory"}:
            missing = []  # the permission for stock covers its locations
        if missing:
            raise Reauthorise(self.platform, "shop", cause="scope-missing", detail=", ".join(missing))
        if self._is_behind():
            detail = f"{self._served_version} instead of {self.credentials.api_version}"
            raise Review(self.platform, "shop", scope="channel", cause="api-version", detail=detail)
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
            data = self._query("variants-by-id", {"ids": _variant_gids(asked)}, now)
            with whole(self.platform, "variants-by-id"):
                found = parse.readings(asked, parse.field(data, "nodes"))
            readings |= dict(zip(asked, found, strict=True))
        return [readings[ref] for ref in batch]

    def discover_listings(self, *, now: datetime, skip: Container[str] = ()) -> Iterator[DiscoveredListing]:
        clock = Clock(now)
        data = self._query("variant-count", {}, clock.now())
        total = parse.field(data, "productVariantsCount", "count")
        if isinstance(total, int) and total >= _BULK_FROM:
            yield from self._bulk_variants(clock)
        else:
            yield from self._variants("", clock)

    def read_changes(self, *, since: datetime, now: datetime) -> Iterator[DiscoveredListing]:
        """A stock figure can move without its variant being touched, so changed stock levels are asked for too."""
        clock = Clock(now)
        seen: set[str] = set()
        changed = f"updated_at:>='{_stamp(since)}'"
        for listing in self._variants(changed, clock):
            if listing.sku_id not in seen:
                seen.add(listing.sku_id)
                yield listing
        for location in self.read_locations(now=clock.now()):
            variables = {"location": parse.gid("Location", location.location_id), "query": changed, "first": _PAGE}
            for node in self._pages("changed-levels", variables, ("location", "inventoryLevels"), clock):
                for variant in parse.field(node, "item", "variants", "nodes") or ():
                    with whole(self.platform, "changed-levels"):
                        listing = parse.discovered(variant)
                    if listing.sku_id not in seen:
                        seen.add(listing.sku_id)
                        yield listing

    def _variants(self, query: str, clock: Clock) -> Iterator[DiscoveredListing]:
        for node in self._pages("variants", {"first": _PAGE, "query": query or None}, ("productVariants",), clock):
            with whole(self.platform, "variants"):
                listing = parse.discovered(node)
            yield listing

    def _bulk_variants(self, clock: Clock) -> Iterator[DiscoveredListing]:
        """All variants by one bulk operation, whose result is read line by line."""
        data = self._query("run-bulk", {"query": documents.BULK_VARIANTS}, clock.now())
        for error in parse.field(data, "bulkOperationRunQuery", "userErrors") or ():
            code = text(parse.field(error, "code"))
            if code == "OPERATION_IN_PROGRESS":
                retry_at = clock.now() + timedelta(minutes=1)
                raise Wait(self.platform, "run-bulk", retry_at=retry_at, cause="bulk-running", code=code)
            detail = self.without_secrets(text(parse.field(error, "message")))
            raise Fatal(self.platform, "run-bulk", cause="bad-request", code=code, detail=detail)
        operation = self._finished_bulk(parse.field(data, "bulkOperationRunQuery", "bulkOperation"), clock)
        url = text(operation.get("url"))
        if not url:  # nothing was found
            return
        lines = (parse_json(line) for line in self._bulk_lines(url, clock) if line.strip())
        with whole(self.platform, "bulk"):
            for row in parse.bulk_rows(lines):
                yield parse.discovered(row)

    def _finished_bulk(self, operation: Any, clock: Clock) -> Mapping[str, Any]:
        identity = text(parse.field(operation, "id"))
        ends = time.monotonic() + _BULK_SECONDS
        polls = iter(_BULK_POLL_SECONDS)
        pause = next(polls)
        while time.monotonic() < ends:
            operation = parse.field(self._query("bulk", {"id": identity}, clock.now()), "bulkOperation")
            match parse.field(operation, "status"):
                case "COMPLETED":
                    return dict(operation)
                case "CREATED" | "RUNNING":
                    time.sleep(pause)
                    pause = next(polls, pause)
                case "FAILED" | "EXPIRED" | "CANCELED" | "CANCELING":
                    code = text(parse.field(operation, "errorCode"))
                    if code == "ACCESS_DENIED":
                        raise Reauthorise(self.platform, "bulk", cause="scope-missing", code=code)
                    raise Retry(self.platform, "bulk", cause="server-error", code=code)
                case _:
                    raise Retry(self.platform, "bulk", cause="half-answer")
        raise Wait(self.platform, "bulk", retry_at=clock.now() + timedelta(minutes=5), cause="bulk-running")

    def _bulk_lines(self, url: str, clock: Clock) -> Iterator[bytes]:
        # The result lies on another host, whose address is signed: our token is not for it.
        return self.http.lines(url, platform=self.platform, operation="bulk", now=clock.now())

    # --- Stock ------------------------------------------------------------------------------------------------------

    def read_locations(self, *, now: datetime) -> list[Location]:
        nodes = self._pages("locations", {}, ("locations",), Clock(now))
        with whole(self.platform, "locations"):
            return [parse.location(node) for node in nodes]

    def read_stock_levels(self, batch: Sequence[ListingRef], *, now: datetime) -> list[StockLevel]:
        clock = Clock(now)
        asked = [ref for ref in batch if parse.is_id(ref.sku_id)]
        if not asked:
            return []
        nodes = parse.field(self._query("levels", {"ids": _variant_gids(asked)}, clock.now()), "nodes")
        by_variant: dict[str, dict[str, int | None]] = {}
        for node in nodes if isinstance(nodes, list) else []:
            if not parse.field(node, "id") or parse.field(node, "inventoryItem", "tracked") is not True:
                continue
            by_variant[parse.number_of(node["id"])] = self._levels_of(parse.field(node, "inventoryItem"), clock)
        return [
            StockLevel(ref.listing_id, location_id, available)
            for ref in asked
            for location_id, available in by_variant.get(ref.sku_id, {}).items()
        ]

    def _levels_of(self, item: Any, clock: Clock) -> dict[str, int | None]:
        with whole(self.platform, "levels"):
            page = parse.page(parse.field(item, "inventoryLevels"))
            found = parse.levels(page.nodes)
            if page.end:
                variables = {"item": parse.field(item, "id"), "after": page.end}
                rest = self._pages("more-levels", variables, ("inventoryItem", "inventoryLevels"), clock)
                found |= parse.levels(rest)
        return found

    def push_stock(self, batch: Sequence[StockTarget], *, key: str, now: datetime) -> list[PushOutcome]:
        clock = Clock(now)
        outcomes: dict[int, PushOutcome] = {}  # by place in the batch
        addressed = self._addressed(batch, outcomes, clock)
        attempt = failed = 0
        while rows := [row for row in addressed if row.place not in outcomes]:
            try:
                payload = self._write(rows, key, attempt, clock)
            except Retry as error:
                if not error.may_have_arrived:
                    raise
                outcomes |= self._read_back(rows, clock)
                break
            attempt += 1
            with whole(self.platform, "set-stock"):
                errors = parse.write_errors(payload)
                changed = parse.changed_rows(payload)
            if any(error.code == refusals.IDEMPOTENCY_FAILED for error in errors) and failed < _MOST_FAILED:
                failed += 1  # what was tried under this key before failed; under a new one it may work
                continue
            for refusal in errors:
                of_all = refusals.write_error(
                    refusal.code, refusal.message, "set-stock", clock.now(), self.without_secrets
                )
                if of_all is not None:
                    raise of_all
                about = rows if refusal.row is None or refusal.row >= len(rows) else [rows[refusal.row]]
                outcomes |= {row.place: parse.refused(row.target, refusal) for row in about}
            # One refused row makes Shopify refuse them all: the others are sent again without it, under a new key.
            if not errors:
                outcomes |= {
                    row.place: parse.written(row.target, row.stock_id, row.location_id, changed) for row in rows
                }
        return [outcomes[place] for place in range(len(batch))]

    def _write(self, rows: Sequence[_Row], key: str, attempt: int, clock: Clock) -> Any:
        """One write; one that may have arrived without an answer is repeated once, under the same key."""
        if self._is_behind():
            raise Fatal(self.platform, "set-stock", cause="api-version", detail=self._served_version)
        variables = {
            "key": str(uuid5(_KEYS, f"{key}/{attempt}")),
            "input": {
                "name": "available",
                "reason": "correction",
                "referenceDocumentUri": f"gid://evenshelf/StockPush/{uuid5(_KEYS, key)}",
                "quantities": [
                    {
                        "inventoryItemId": parse.gid("InventoryItem", row.stock_id),
                        "locationId": parse.gid("Location", row.location_id),
                        "quantity": row.target.quantity,
                        "changeFromQuantity": row.target.expected,
                    }
                    for row in rows
                ],
            },
        }
        try:
            data = self._query("set-stock", variables, clock.now())
        except Retry as error:
            if not error.may_have_arrived:
                raise
            data = self._query("set-stock", variables, clock.now())
        return parse.field(data, "inventorySetQuantities")

    def _addressed(self, batch: Sequence[StockTarget], outcomes: dict[int, PushOutcome], clock: Clock) -> list[_Row]:
        """The targets with the inventory item and location that each is written to; others get their outcome."""
        unknown = [target for target in batch if not target.stock_id and parse.is_id(target.sku_id)]
        stock_ids = self._stock_ids(unknown, clock) if unknown else {}
        only = self._only_location(clock) if any(not target.location_id for target in batch) else ""
        rows: list[_Row] = []
        for place, target in enumerate(batch):
            stock_id = target.stock_id or stock_ids.get((target.item_id, target.sku_id), "")
            location_id = target.location_id or only
            if not parse.is_id(stock_id) or not parse.is_id(location_id):
                cause = "unknown-location" if parse.is_id(stock_id) else "unknown-listing"
                outcomes[place] = PushOutcome(target.listing_id, target.location_id, PushStatus.REFUSED, cause)
            else:
                rows.append(_Row(place, target, stock_id, location_id))
        return rows

    def _stock_ids(self, targets: Sequence[StockTarget], clock: Clock) -> dict[tuple[str, str], str]:
        ids = list(dict.fromkeys(parse.gid("ProductVariant", target.sku_id) for target in targets))
        nodes = parse.field(self._query("stock-ids", {"ids": ids}, clock.now()), "nodes")
        if not isinstance(nodes, list):
            raise Retry(self.platform, "stock-ids", cause="half-answer")
        return {
            (parse.number_of(parse.field(node, "product", "id")), parse.number_of(node["id"])): parse.number_of(
                parse.field(node, "inventoryItem", "id")
            )
            for node in nodes
            if parse.field(node, "id")
        }

    def _only_location(self, clock: Clock) -> str:
        """The shop's location, where it has but one that is active; "" where somebody must choose."""
        active = [each.location_id for each in self.read_locations(now=clock.now()) if each.is_active]
        return active[0] if len(active) == 1 else ""

    def _read_back(self, rows: Sequence[_Row], clock: Clock) -> dict[int, PushOutcome]:
        """What became of a write that nobody answered: what the platform shows now tells, where it can be read."""
        refs = [ListingRef(row.place, row.target.item_id, row.target.sku_id) for row in rows]
        try:
            levels = self.read_stock_levels(refs, now=clock.now())
        except ConnectorError as error:
            logger.warning("A stock write was not answered and could not be read back: %s", error)
            levels = []
        shown = {(level.listing_id, level.location_id): level.available for level in levels}
        outcomes = {}
        for row in rows:
            found = shown.get((row.place, row.location_id))
            is_there = found == row.target.quantity
            outcomes[row.place] = PushOutcome(
                row.target.listing_id,
                row.target.location_id,
                PushStatus.APPLIED if is_there else PushStatus.UNKNOWN,
                "" if is_there else "not-answered",
                found,
            )
        return outcomes

    # --- Orders, promotions, webhooks -------------------------------------------------------------------------------

    def read_orders(self, *, since: datetime, until: datetime, now: datetime) -> Iterator[Order]:
        clock = Clock(now)
        query = f"updated_at:>='{_stamp(since)}' AND updated_at:<'{_stamp(until)}'"
        seen: set[str] = set()
        for node in self._pages("orders", {"first": _ORDERS_PAGE, "query": query}, ("orders",), clock):
            with whole(self.platform, "orders"):
                page = parse.page(parse.field(node, "lineItems"))
                lines = page.nodes
                if page.end:
                    variables = {"order": node.get("id"), "after": page.end}
                    lines = lines + list(self._pages("more-lines", variables, ("order", "lineItems"), clock))
                order = parse.order(node, lines)
            if order.order_id not in seen:
                seen.add(order.order_id)
                yield order

    def read_promotions(self, *, now: datetime) -> Iterator[Promotion]:
        clock = Clock(now)
        currency = text(parse.field(self._query("shop", {}, clock.now()), "shop", "currencyCode"))
        for status in ("active", "scheduled"):
            for node in self._pages("discounts", {"query": f"status:{status}"}, ("discountNodes",), clock):
                with whole(self.platform, "discounts"):
                    promotion = parse.promotion(node, currency)
                if promotion is not None:
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
            raise refusals.by_status(error) from error
        code = text(parse.field(answer.json, "error"))
        if code or answer.status != 200:
            description = text(parse.field(answer.json, "error_description"))
            raise refusals.token_error(code, description, _TOKEN, lambda said: self._without(said, grant))
        with whole(self.platform, _TOKEN):
            return parse.tokens(answer.json, now, self.credentials.shop)

    def _without(self, said: str, grant: Mapping[str, str]) -> str:
        said = self.without_secrets(said)
        for name in ("code", "refresh_token"):
            if grant.get(name):
                said = said.replace(grant[name], "***")
        return said

    # --- Calls ------------------------------------------------------------------------------------------------------

    def _pages(
        self, document: str, variables: Mapping[str, Any], path: tuple[str, ...], clock: Clock
    ) -> Iterator[Mapping[str, Any]]:
        """The rows of all pages of a connection."""
        after = variables.get("after")
        while True:
            data = self._query(document, {**variables, "after": after}, clock.now())
            with whole(self.platform, document):
                page = parse.page(parse.field(data, *path))
                if page.end and page.end == after:
                    raise HalfAnswer("a page that leads to itself")
            yield from page.nodes
            if not page.end:
                return
            after = page.end

    def _query(self, document: str, variables: Mapping[str, Any], now: datetime) -> Mapping[str, Any]:
        """The `data` of an answer without errors."""
        if not self.credentials.access_token:
            raise Reauthorise(self.platform, document, cause="session-invalid", detail="no access token")
        cost = self._take(document, now)
        told = None
        try:
            answer = self._post(document, variables, now)
            told = parse.throttle(answer.json)
        finally:
            if told is None:
                self.bucket.give_back(cost)
            else:
                self.bucket.settle(document, cost, told, time.monotonic())
        self._note_version(answer)
        errors = parse.field(answer.json, "errors")
        if errors:
            errors = errors if isinstance(errors, list) else [{"message": text(errors)}]
            raise refusals.graphql_error(errors, document, now, told, self.without_secrets)
        data = parse.field(answer.json, "data")
        if not isinstance(data, Mapping):
            raise Retry(self.platform, document, cause="half-answer", may_have_arrived=True)
        return data

    def _post(self, document: str, variables: Mapping[str, Any], now: datetime) -> Answer:
        body = {"query": documents.SENT[document], "variables": variables}
        headers = {
            "Content-Type": "application/json",
            "X-Shopify-Access-Token": self.credentials.access_token,
        }
        try:
            return self.http.request(
                "POST",
                self._endpoint,
                body=json.dumps(body, ensure_ascii=False).encode(),
                headers=headers,
                platform=self.platform,
                operation=document,
                now=now,
            )
        except ConnectorError as error:
            raise refusals.by_status(error) from error

    def _take(self, document: str, now: datetime) -> float:
        """Wait until the bucket holds what the call costs; raises Wait when that takes too long for a thread."""
        ends = time.monotonic() + _LONGEST_WAIT_SECONDS
        while True:
            wait, cost = self.bucket.reserve(document, documents.COSTS[document], time.monotonic())
            if wait == float("inf") and time.monotonic() < ends:
                time.sleep(0.02)  # until the first answer tells what the bucket holds
                continue
            if wait > _LONGEST_WAIT_SECONDS:
                if wait != float("inf"):
                    self.bucket.give_back(cost)
                seconds = min(wait, 60.0)
                raise Wait(self.platform, document, cause="quota", retry_at=now + timedelta(seconds=seconds))
            if wait:
                time.sleep(wait)
            return cost

    def _note_version(self, answer: Answer) -> None:
        served = text(answer.headers.get("X-Shopify-API-Version"))
        if served and served != self._served_version:
            self._served_version = served
            if self._is_behind():
                logger.warning(
                    "Shopify answers with version %s where %s is asked for", served, self.credentials.api_version
                )

    def _is_behind(self) -> bool:
        """Whether Shopify serves another version than the one we speak: it does so when ours has been retired."""
        return self._served_version not in {"", self.credentials.api_version}


class _Row(NamedTuple):
    """A target with its place in the batch, and where it is written to."""

    place: int
    target: StockTarget
    stock_id: str
    location_id: str


def _variant_gids(refs: Sequence[ListingRef]) -> list[str]:
    return list(dict.fromkeys(parse.gid("ProductVariant", ref.sku_id) for ref in refs))


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
