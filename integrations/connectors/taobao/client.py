"""The Taobao connector: which calls are made, and in what order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from integrations.connectors.base import (
    Capability,
    Connector,
    DiscoveredListing,
    Hint,
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
    Tokens,
)
from integrations.connectors.clock import Clock
from integrations.connectors.errors import Fatal, Retry, Review
from integrations.connectors.http import HttpClient
from integrations.connectors.taobao import messages, orders, parse, promotions, refusals, stock
from integrations.connectors.taobao.credentials import TaobaoCredentials
from integrations.connectors.taobao.gateway import (
    CONFIRM,
    CONSUME,
    PERMIT,
    READ_COMPETITORS,
    Gateway,
    half_answer,
)
from integrations.connectors.taobao.signing import timestamp
from integrations.connectors.taobao.values import is_id
from integrations.connectors.values import HalfAnswer

_READ_ITEMS = "taobao.items.seller.list.get"
_READ_SKUS = "taobao.item.skus.get"
_ON_SALE = "taobao.items.onsale.get"
_IN_WAREHOUSE = "taobao.items.inventory.get"
_SELLER = "taobao.user.seller.get"
_CHANGED_ORDERS = "taobao.trades.sold.increment.get"
_COUPONS = "taobao.promotion.coupons.get"
_ACTIVITIES = "taobao.promotionmisc.item.activity.list.get"
_ACTIVITY = "taobao.promotionmisc.item.activity.get"
_ACTIVITY_ITEMS = "taobao.promotionmisc.activity.range.list.get"
_TOKEN = "token"  # noqa: S105  # the name of an operation

_MISSING = frozenset({"unknown-listing", "unknown-variant"})
_PAGE_SIZE = 200
_MAX_PAGES = 100  # of 200 rows: deeper pages are refused
_ORDER_WINDOW = timedelta(minutes=30)  # as the platform advises
_LONGEST_ORDER_WINDOW = timedelta(days=1)  # as it allows, for what would take too many calls otherwise
_ORDER_PAGE_SIZE = 100
_COUPON_PAGE_SIZE = 100
_ACTIVITY_PAGE_SIZE = 50
_MESSAGES_A_CALL = 200  # to pull, and to confirm
# "for_shelved" is all that waits to be put on the shelf; these two kinds of items are listed on their own.
_WAREHOUSE_BANNERS = ("for_shelved", "sold_out", "violation_off_shelf")
_LISTS = ((_ON_SALE, ""), *((_IN_WAREHOUSE, banner) for banner in _WAREHOUSE_BANNERS))
_CLOCKS_APART = timedelta(minutes=10)  # the gateway's and ours at most: it refuses who is further off


class _Place(NamedTuple):
    """A page in a list of items."""

    until: str | None = None  # ISO time of the last change that counts; None: any
    page: int = 1


class TaobaoConnector(Connector):
    platform = refusals.PLATFORM
    title = _("Taobao / Tmall")
    capabilities = frozenset(
        {
            Capability.READ_LISTINGS,
            Capability.READ_COMPETITORS,
            Capability.DISCOVER_LISTINGS,
            Capability.READ_CHANGES,
            Capability.PUSH_STOCK,
            Capability.READ_ORDERS,
            Capability.READ_PROMOTIONS,
            Capability.PULL_MESSAGES,
            Capability.AUTHORISE,
            Capability.REFRESH_TOKEN,
        }
    )
    Credentials = TaobaoCredentials
    default_base_url = "https://eco.taobao.com"
    default_auth_url = "https://oauth.taobao.com"
    permissions = (
        _("Items (read and write)"),
        _("Orders"),
        _("Promotions"),
        _("Messages"),
        _("Affiliate (Taobaoke), for competitors' listings"),
    )
    settings = (
        Setting("app_key", _("App key"), help_text=_("In the open platform's console: the app, App certificate.")),
        Setting("app_secret", _("App secret"), SettingKind.SECRET, help_text=_("Beside the app key.")),
        Setting(
            "app_type",
            _("Kind of app"),
            SettingKind.CHOICE,
            choice_help=(
                ("merchant", _("The shop authorises it again when its time is over, after a year.")),
                ("service", _("The shop authorises it once; after that it renews itself.")),
            ),
            choices=(("merchant", _("The shop's own")), ("service", _("Of the service market"))),
        ),
        Setting(
            "sign_method",
            _("Signature"),
            SettingKind.CHOICE,
            help_text=_("Change it only if the platform's console asks for another."),
            choices=(("hmac-sha256", "HMAC-SHA256"), ("hmac", "HMAC-MD5"), ("md5", "MD5")),
        ),
        Setting(
            "shop_kind",
            _("Kind of shop"),
            SettingKind.CHOICE,
            help_text=_("Stock is written in another way for Tmall."),
            choices=(("taobao", _("Taobao")), ("tmall", _("Tmall"))),
            is_required=False,
        ),
        Setting(
            "group_name",
            _("Message group"),
            help_text=_("Only where several shops share the app: the group this shop's messages are in."),
            is_required=False,
        ),
    )
    max_items_per_read = 20  # taobao.items.seller.list.get
    max_competitor_items_per_read = 40  # taobao.tbk.item.info.get
    max_items_per_sku_read = 40  # taobao.item.skus.get
    max_rows_per_push = stock.MAX_ROWS  # taobao.skus.quantity.update, of one item

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
        self._gateway = Gateway(
            credentials, url=f"{self.base_url}/router/rest", http=self.http, mask=self.without_secrets
        )

    @classmethod
    def console(cls, settings: Mapping[str, str]) -> str:
        return gettext("the open platform's console")

    @property
    def can_refresh(self) -> bool:
        return self.credentials.app_type == "service"

    def check_connection(self, *, now: datetime) -> str:
        self._check_currency("check_connection")
        clock = Clock(now)
        on_sale = self._gateway.rows(
            _ON_SALE, {"fields": "num_iid,nick", "page_no": "1", "page_size": "1"}, "items", "item", "num_iid", clock
        )
        for item_id, row in on_sale.by_id.items():
            self._items([item_id], clock)  # which every reading calls, and which may be another permission
            if name := parse.shop_name(row):
                return name
        # A shop with nothing on sale is asked for its seller, which is a permission of its own.
        body = self._gateway.call(_SELLER, {"fields": "nick"}, clock)
        return parse.shop_name(body.get("user"))

    def _check_currency(self, operation: str) -> None:
        """Raise Review for a channel that is kept in another currency than the one of all of the platform's amounts."""
        if self.currency not in {"", orders.CURRENCY}:
            detail = orders.CURRENCY
            raise Review(self.platform, operation, scope="channel", cause="currency-differs", detail=detail)

    # --- Listings ---------------------------------------------------------------------------------------------------

    def read_listings(self, batch: Sequence[ListingRef], *, now: datetime) -> list[Reading]:
        self._check_currency("read_listings")
        clock = Clock(now)
        readings: dict[ListingRef, Reading] = {}
        own, others = [], []
        for ref in batch:
            if not is_id(ref.item_id) or not (ref.sku_id == "" or is_id(ref.sku_id)):
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

    def _read_own(self, refs: list[ListingRef], clock: Clock) -> list[Reading]:
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

    def _apart(self, refs: list[ListingRef], item_ids: list[str], refused: Review, clock: Clock) -> list[Reading]:
        """Readings of refs whose call was refused because of one listing: halves are read until that one is alone."""
        if len(item_ids) == 1:
            outcome = ReadOutcome.MISSING if refused.cause in _MISSING else ReadOutcome.REFUSED
            return [Reading(ref.listing_id, outcome, cause=refused.cause) for ref in refs]
        first = set(item_ids[: len(item_ids) // 2])
        halves = [ref for ref in refs if ref.item_id in first], [ref for ref in refs if ref.item_id not in first]
        readings = {
            ref: reading for half in halves for ref, reading in zip(half, self._read_own(half, clock), strict=True)
        }
        return [readings[ref] for ref in refs]

    def _read_others(self, refs: list[ListingRef], clock: Clock) -> list[Reading]:
        item_ids = _item_ids(refs)
        if not item_ids:
            return []
        parameters = {"num_iids": ",".join(item_ids)}
        rows = self._gateway.rows(READ_COMPETITORS, parameters, "results", "n_tbk_item", "num_iid", clock)
        return [parse.competitor_reading(ref, rows) for ref in refs]

    def _items(self, item_ids: Sequence[str], clock: Clock) -> parse.Rows:
        parameters = {"fields": parse.ITEM_FIELDS, "num_iids": ",".join(item_ids)}
        return self._gateway.rows(_READ_ITEMS, parameters, "items", "item", "num_iid", clock)

    def _skus(self, item_ids: Sequence[str], clock: Clock) -> parse.Rows:
        parameters = {"fields": parse.SKU_FIELDS, "num_iids": ",".join(item_ids)}
        return self._gateway.rows(_READ_SKUS, parameters, "skus", "sku", "sku_id", clock)

    def discover_listings(self, *, now: datetime, cursor: Mapping[str, Any] | None = None) -> Iterator[ListingPage]:
        self._check_currency("discover_listings")
        clock = Clock(now)
        cursor = cursor or {"began": clock.now().isoformat()}
        # What changes meanwhile goes to the front of its list, or into another: in the end all that did is listed.
        changed_since = datetime.fromisoformat(cursor["began"]) - _CLOCKS_APART
        return self._discover([None, changed_since], cursor, clock)

    def read_changes(self, *, since: datetime, now: datetime) -> Iterator[DiscoveredListing]:
        self._check_currency("read_changes")
        for page in self._discover([since], {}, Clock(now)):
            yield from page.listings

    def _discover(
        self, changes: Sequence[datetime | None], cursor: Mapping[str, Any], clock: Clock
    ) -> Iterator[ListingPage]:
        """The items of all lists that changed at each of these times or later (None: all).

        The cursor is the number of a list among them, the place of a page in it, and in `done` the items of that page
        which were told.
        """
        lists = [(method, banner, since) for since in changes for method, banner in _LISTS]
        place = _Place(cursor.get("until"), cursor.get("page", 1))
        began = {"began": cursor["began"]} if "began" in cursor else {}
        done = list(cursor.get("done", ()))
        seen = set(done)
        for number in range(cursor.get("list", 0), len(lists)):
            for here, listed in self._listed_by(*lists[number], place, clock):
                if here != place:
                    done = []
                item_ids = [item_id for item_id in listed if item_id not in seen]
                for start in range(0, len(item_ids), self.max_items_per_read):
                    some = item_ids[start : start + self.max_items_per_read]
                    seen.update(some)
                    done += some
                    further = {**began, "list": number, **here._asdict(), "done": list(done)}
                    yield ListingPage(self._discovered(some, clock), further)
            place, done = _Place(), []
            yield ListingPage((), {**began, "list": number + 1} if number + 1 < len(lists) else None)

    def _discovered(self, item_ids: list[str], clock: Clock) -> list[DiscoveredListing]:
        items = self._items(item_ids, clock)
        try:
            if not items.complete:
                raise HalfAnswer("an item without an id")
            # One that is no longer there was deleted after it was listed.
            return [
                listing
                for item_id in item_ids
                if item_id in items.by_id
                for listing in parse.discovered(item_id, items.by_id[item_id])
            ]
        except HalfAnswer as half:
            raise half_answer(_READ_ITEMS, half) from half

    def _listed_by(
        self, method: str, banner: str, since: datetime | None, place: _Place, clock: Clock
    ) -> Iterator[tuple[_Place, list[str]]]:
        """The pages of one list from a place on, newest change first; ids can come twice.

        Each page is the first one of what had changed until the time that the page before reached: rows that leave the
        list move no others. Where one second has more rows than a page, pages are counted; deep ones are refused.
        """
        while True:
            until = datetime.fromisoformat(place.until) if place.until else None
            item_ids, reached, is_last = self._page(method, banner, place.page, (since, until), clock)
            yield place, item_ids
            if is_last or reached is None:
                return
            # A second more, so that no item changed in that same second is passed over.
            further = (reached + timedelta(seconds=1)).isoformat()
            place = _Place(further) if further != place.until else place._replace(page=place.page + 1)
            if place.page > _MAX_PAGES:
                raise Fatal(self.platform, method, cause="paging-too-deep")

    def _page(
        self,
        method: str,
        banner: str,
        page_no: int,
        changed: tuple[datetime | None, datetime | None],
        clock: Clock,
    ) -> tuple[list[str], datetime | None, bool]:
        """One page of a list: its ids, the change time of its last row, and whether it is the last page.

        `changed` are the first and the last change time that count, None for any.
        """
        start, end = changed
        parameters = {
            "banner": banner,
            "start_modified": timestamp(start) if start else "",
            "end_modified": timestamp(end) if end else "",
            "fields": "num_iid,modified",
            "order_by": "modified:desc",
            "page_no": str(page_no),
            "page_size": str(_PAGE_SIZE),
        }
        body = self._gateway.call(method, parameters, clock)
        try:
            rows = parse.rows(body, "items", "item", "num_iid")
            total = parse.total_results(body)
            is_last = len(rows.by_id) < _PAGE_SIZE if total is None else page_no * _PAGE_SIZE >= total
            if not rows.complete or not (rows.by_id or is_last):
                raise HalfAnswer("a page with rows missing")
            reached = None if is_last else parse.modified_at(list(rows.by_id.values())[-1])
        except HalfAnswer as half:
            raise half_answer(method, half) from half
        return list(rows.by_id), reached, is_last

    # --- Stock ------------------------------------------------------------------------------------------------------

    def push_batches(self, targets: Sequence[StockTarget]) -> list[list[StockTarget]]:
        return stock.batches(targets)

    def push_stock(self, batch: Sequence[StockTarget], *, key: str, now: datetime) -> list[PushOutcome]:
        # No key is sent: the platform takes one for differences only, and an absolute figure may be written twice.
        is_tmall = self.credentials.shop_kind == "tmall"
        return stock.StockWriter(self._gateway, is_tmall=is_tmall, clock=Clock(now)).push(batch)

    # --- Orders -----------------------------------------------------------------------------------------------------

    def read_orders(self, *, since: datetime, until: datetime, now: datetime) -> Iterator[Order]:
        clock = Clock(now)
        start, until = since.replace(microsecond=0), until.replace(microsecond=0)
        length = _ORDER_WINDOW if until - start <= _LONGEST_ORDER_WINDOW else _LONGEST_ORDER_WINDOW
        while start < until:
            end = min(start + length, until)
            yield from self._orders_changed(start, end, clock)
            start = end

    def _orders_changed(self, start: datetime, end: datetime, clock: Clock) -> Iterator[Order]:
        """The orders changed from `start` (inclusive) to `end`, each once.

        A changed order leaves its window while it is read, and what stood behind it moves forward. So pages are read
        from the last to the first: then an order can be met twice, but never be passed over.
        """
        last = end - timedelta(seconds=1)  # the platform includes both ends
        window = {"start_modified": timestamp(start), "end_modified": timestamp(last)}
        found, total, _more = self._order_page(window, 1, clock, is_counted=True)
        pages = -(-(total or 0) // _ORDER_PAGE_SIZE)
        seen: set[str] = set()
        for page_no in range(pages, 0, -1):
            if pages > 1:
                found, _total, more = self._order_page(window, page_no, clock, is_counted=False)
                if more and page_no == pages:
                    raise Retry(self.platform, _CHANGED_ORDERS, cause="half-answer", detail="more pages than counted")
            for order in found:
                if order.order_id not in seen:
                    seen.add(order.order_id)
                    yield order

    def _order_page(
        self, window: Mapping[str, str], page_no: int, clock: Clock, *, is_counted: bool
    ) -> tuple[list[Order], int | None, bool]:
        """One page's orders, how many there are in all where that was asked for, and whether more pages follow."""
        parameters = {
            **window,
            "fields": orders.FIELDS,
            "page_no": str(page_no),
            "page_size": str(_ORDER_PAGE_SIZE),
            "use_has_next": "false" if is_counted else "true",  # counting costs the platform a second query
        }
        body = self._gateway.call(_CHANGED_ORDERS, parameters, clock)
        try:
            rows = parse.rows(body, "trades", "trade", "tid")
            total = parse.total_results(body)
            if not rows.complete or (is_counted and bool(total) != bool(rows.by_id)):
                raise HalfAnswer("a page with orders missing, or no count of them")
            return [orders.order(row) for row in rows.by_id.values()], total, body.get("has_next") is True
        except HalfAnswer as half:
            raise half_answer(_CHANGED_ORDERS, half) from half

    # --- Promotions -------------------------------------------------------------------------------------------------

    def read_promotions(self, *, now: datetime) -> Iterator[Promotion]:
        self._check_currency("read_promotions")
        clock = Clock(now)
        for _id, row in self._all_rows(_COUPONS, ("coupons", "coupon", "coupon_id"), _COUPON_PAGE_SIZE, clock):
            try:
                coupon = promotions.coupon(row)
            except HalfAnswer as half:
                raise half_answer(_COUPONS, half) from half
            if coupon.ends_at is None or coupon.ends_at > now:
                yield coupon
        path = ("item_promotion_list", "item_promotion", "activity_id")
        headings = [activity_id for activity_id, _row in self._all_rows(_ACTIVITIES, path, _ACTIVITY_PAGE_SIZE, clock)]
        for activity_id in headings:
            found = self._activity(activity_id, clock)
            if found is not None and (found.ends_at is None or found.ends_at > now):
                yield found

    def _activity(self, activity_id: str, clock: Clock) -> Promotion | None:
        """An activity with its discount and its items; None when it ended since it was listed."""
        about = {"activity_id": activity_id}
        try:
            row = parse.body(self._gateway.call(_ACTIVITY, about, clock), "item_promotion")
            items: list[str] = []
            if promotions.has_some_items(row):
                path = ("promotion_range_list", "promotion_range", "item_id")
                found = self._gateway.rows(_ACTIVITY_ITEMS, about, *path, clock)
                items = list(found.by_id) if found.complete else []
            return promotions.activity(row, items)
        except HalfAnswer as half:
            raise half_answer(_ACTIVITY, half) from half
        except Review as refused:
            if refused.cause != "unknown-listing":
                raise
            return None

    def _all_rows(
        self, method: str, path: tuple[str, str, str], page_size: int, clock: Clock
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """The rows of all pages of a list with their ids; `path` is as of Gateway.rows."""
        for page_no in range(1, _MAX_PAGES + 1):
            found = self._gateway.rows(method, {"page_no": str(page_no), "page_size": str(page_size)}, *path, clock)
            if not found.complete:
                raise half_answer(method, HalfAnswer("a row without an id"))
            yield from found.by_id.items()
            if len(found.by_id) < page_size:
                return
        raise Fatal(self.platform, method, cause="paging-too-deep")

    # --- Messages ---------------------------------------------------------------------------------------------------

    def permit_messages(self, *, now: datetime) -> None:
        # Without topics: all that the app subscribed to in the console. A list would replace what was asked for before.
        body = self._gateway.call(PERMIT, {}, Clock(now))
        if body.get("is_success") is not True:
            raise half_answer(PERMIT, HalfAnswer("not permitted"))

    def pull_messages(self, *, now: datetime) -> list[Hint]:
        parameters = {"group_name": self.credentials.group_name, "quantity": str(_MESSAGES_A_CALL)}
        body = self._gateway.call(CONSUME, parameters, Clock(now))
        try:
            return messages.hints(body)
        except HalfAnswer as half:
            raise half_answer(CONSUME, half) from half

    def confirm_messages(self, receipts: Sequence[str], *, now: datetime) -> None:
        clock = Clock(now)
        for start in range(0, len(receipts), _MESSAGES_A_CALL):
            ids = ",".join(receipts[start : start + _MESSAGES_A_CALL])
            parameters = {"group_name": self.credentials.group_name, "s_message_ids": ids}
            body = self._gateway.call(CONFIRM, parameters, clock)
            if body.get("is_success") is not True:
                raise half_answer(CONFIRM, HalfAnswer("not confirmed"))

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
        except HalfAnswer as half:
            raise half_answer(_TOKEN, half) from half


def _item_ids(refs: Sequence[ListingRef]) -> list[str]:
    return list(dict.fromkeys(ref.item_id for ref in refs))


def _masked(text: str, grant: Mapping[str, str]) -> str:
    for name in ("code", "refresh_token"):
        if grant.get(name):
            text = text.replace(grant[name], "***")
    return text
