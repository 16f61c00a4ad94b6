"""The contract between the rest of the program and a platform's connector.

A connector declares what it can do (`capabilities`) and its limits as class attributes; callers ask, and never compare
platform names. Connectors store nothing and read no wall clock: the time comes in as `now` (aware UTC).
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, NoReturn, Protocol, Self
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from catalog.facts import Facts
from integrations.connectors.addresses import is_exempt, is_refused, port_of, refusal
from integrations.connectors.errors import Fatal
from integrations.connectors.http import HttpClient

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise


class Capability(StrEnum):
    """What a connector may be asked to do; each names the methods it stands for."""

    READ_LISTINGS = "read_listings"  # read_listings() of own listings
    READ_COMPETITORS = "read_competitors"  # read_listings() of listings of other shops
    DISCOVER_LISTINGS = "discover_listings"
    READ_CHANGES = "read_changes"
    READ_STOCK_LEVELS = "read_stock_levels"  # stock per location
    PUSH_STOCK = "push_stock"
    READ_ORDERS = "read_orders"
    READ_PROMOTIONS = "read_promotions"
    RECEIVE_WEBHOOKS = "receive_webhooks"  # is_genuine() and parse_webhook()
    PULL_MESSAGES = "pull_messages"  # permit_messages(), pull_messages() and confirm_messages()
    AUTHORISE = "authorise"  # authorise_url() and exchange_code()
    REQUEST_KEYS = "request_keys"  # keys_url() and parse_keys()
    REQUEST_TOKEN = "request_token"  # noqa: S105  # request_token(); ask `can_request_token`
    REFRESH_TOKEN = "refresh_token"  # noqa: S105  # refresh(); ask `can_refresh`, since it may depend on the kind of app


READS_ONLY = "key-reads-only"  # the cause where everything but writing is permitted


class InvalidSetting(ValueError):
    """A connector setting that cannot work; `field` names it, the message says what is wrong without its value."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class PlatformCredentials(Protocol):
    """What every platform's own frozen dataclass of credentials offers; its secret fields have repr=False."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> Self:
        """Checked credentials from stored settings; raises InvalidSetting for one that is missing or unknown."""


class ListingRef(NamedTuple):
    """One listing to read: our id and the platform's ids; sku_id is "" for a listing without variant."""

    listing_id: int
    item_id: str
    sku_id: str = ""
    is_own: bool = True


class SettingKind(StrEnum):
    TEXT = "text"
    SECRET = "secret"  # noqa: S105  # masked once it is stored, never sent back to a browser
    CHOICE = "choice"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting that a platform's connection asks for: a field of its Credentials, or `base_url`.

    `only_for` limits it to one choice of another setting: ("app_kind", ("custom",)); `optional_for` is a choice under
    which it is not required. `choice_help` is shown for the choice that is made, by its value.
    """

    name: str
    label: str | _StrPromise
    kind: SettingKind = SettingKind.TEXT
    help_text: str | _StrPromise = ""  # where the person finds it
    choices: tuple[tuple[str, str | _StrPromise], ...] = ()
    is_required: bool = True
    only_for: tuple[str, tuple[str, ...]] | None = None
    optional_for: tuple[str, tuple[str, ...]] | None = None
    choice_help: tuple[tuple[str, str | _StrPromise], ...] = ()


class ReadOutcome(StrEnum):
    READ = "read"
    MISSING = "missing"  # the platform does not know it, or not as ours
    REFUSED = "refused"  # the platform, or we on its behalf, would not read it
    FAILED = "failed"  # the answer held nothing usable for this listing


class Reading(NamedTuple):
    """What one read said about one listing; facts are there exactly when the outcome is READ.

    `cause` is a slug: why nothing was read, or a remark about a read that supplied less than it should
    ("price-not-positive").
    """

    listing_id: int
    outcome: ReadOutcome
    facts: Facts | None = None
    title: str = ""
    outer_id: str = ""
    cause: str = ""


@dataclass(frozen=True, slots=True)
class DiscoveredListing:
    """One listing found in the shop, with the facts it was found with."""

    item_id: str
    sku_id: str
    title: str
    outer_id: str  # the merchant's own code for it
    facts: Facts
    is_own: bool = True
    cause: str = ""  # a remark, as in Reading
    barcode: str = ""  # GTIN, EAN or UPC
    stock_id: str = ""  # what the platform counts its stock by, where that is none of the ids above
    changed_at: datetime | None = None  # the platform's own mark, aware UTC


class ListingPage(NamedTuple):
    """Some of a shop's listings, and from where discover_listings() tells those after them.

    The cursor is the connector's own and can be stored as JSON; None: these were the last. A page without listings is
    worth its cursor, too: it says that nothing before it has to be asked for again, or, empty, that all has.
    """

    listings: Sequence[DiscoveredListing]
    cursor: Mapping[str, Any] | None


class StockLevel(NamedTuple):
    """What one location can sell of a listing; None: not known, or not counted there."""

    listing_id: int
    location_id: str
    available: int | None


@dataclass(frozen=True, slots=True)
class Location:
    location_id: str
    name: str
    is_active: bool = True


class StockTarget(NamedTuple):
    """What the platform is to show: units it may sell, an absolute figure, not below 0.

    `expected` is what it showed when the target was worked out. A connector whose `has_compare_and_set` is true refuses
    a row whose figure moved since as STALE; None writes whatever is there. `location_id` "" is the shop's only one.
    """

    listing_id: int
    item_id: str
    sku_id: str
    quantity: int
    expected: int | None = None
    location_id: str = ""
    stock_id: str = ""  # as of DiscoveredListing; "" is looked up


class PushStatus(StrEnum):
    APPLIED = "applied"  # the platform shows it now
    ACCEPTED = "accepted"  # taken, not yet visible
    REFUSED = "refused"  # by a rule of the platform; the cause says which
    STALE = "stale"  # the figure moved since it was read: read again, work it out again
    UNKNOWN = "unknown"  # nobody can tell whether it was written: read back before repeating


class PushOutcome(NamedTuple):
    """What became of one target. `shown` is what the platform says it shows after the write, None where it does not."""

    listing_id: int
    location_id: str
    status: PushStatus
    cause: str = ""  # slug, as of errors
    shown: int | None = None


class OrderStatus(StrEnum):
    UNPAID = "unpaid"
    PAID = "paid"  # or sure to be: to be sent
    SENT = "sent"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class OrderLine:
    """Units of one listing in an order.

    `returned` are those of `quantity` that never left or are known to be back. `refunded`: others, which the buyer got
    the money back for after they were sent; nobody told whether they came back.
    """

    line_id: str
    item_id: str
    sku_id: str
    outer_id: str
    quantity: int
    returned: int = 0
    refunded: int = 0
    paid_per_unit: Decimal | None = None  # in the currency of the order, after discounts; None: not told


@dataclass(frozen=True, slots=True)
class Order:
    """One order; times are aware UTC."""

    order_id: str
    status: OrderStatus
    created_at: datetime
    changed_at: datetime
    currency: str
    lines: tuple[OrderLine, ...]
    paid_at: datetime | None = None
    is_test: bool = False


@dataclass(frozen=True, slots=True)
class Promotion:
    """One promotion or coupon as the platform tells it, in the words of the rules of true price.

    Amounts are in the currency's own unit; `value` is an amount, or for "percent_off" percent (20 is 20 % off).
    `unknown` names facts that could not be read: then nobody may compute with it. It is for the items of
    `item_ids` and the variants of `sku_ids`; both empty: for all items.
    """

    promotion_id: str
    title: str
    kind: str  # "amount_off" or "percent_off"
    value: Decimal | None
    currency: str
    codes: tuple[str, ...] = ()  # none: it applies by itself
    minimum_amount: Decimal | None = None
    minimum_quantity: int | None = None
    maximum_amount: Decimal | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None  # exclusive
    item_ids: tuple[str, ...] = ()
    excluded_item_ids: tuple[str, ...] = ()
    sku_ids: tuple[str, ...] = ()
    is_on_each_unit: bool = False
    is_alone: bool = False  # with no other promotion
    excludes_on_sale: bool = False
    is_active: bool = True
    remaining: int | None = None  # uses left; None: no limit known
    unknown: tuple[str, ...] = ()


class HintKind(StrEnum):
    """What a webhook or message says has happened."""

    LISTING = "listing"
    STOCK = "stock"
    ORDER = "order"
    PROMOTION = "promotion"
    UNINSTALLED = "uninstalled"  # the shop took our access away
    PING = "ping"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Hint:
    """News from the platform that something changed. Never acted on by itself: the thing is read again.

    `delivery_key` is the same when the same news comes again, whatever a platform calls it.
    """

    delivery_key: str
    topic: str  # the platform's own word
    kind: HintKind
    item_id: str = ""
    sku_id: str = ""
    stock_id: str = ""  # where the platform names neither: what it counts stock by
    order_id: str = ""
    is_deleted: bool = False
    changed_at: datetime | None = None
    receipt: str = ""  # what confirm_messages() takes


@dataclass(frozen=True, slots=True)
class Tokens:
    """The answer to an authorisation; an empty refresh_token means that it cannot be refreshed.

    `levels` are the ends of the security levels the platform grants separately, by its own short names.
    """

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: datetime
    refresh_expires_at: datetime | None = None  # None: not known, or nothing to refresh with
    levels: dict[str, datetime] = field(default_factory=dict)
    account_id: str = ""
    account_name: str = ""


@dataclass(frozen=True, slots=True)
class HandedKeys:
    """What a shop posted to us when a person had it hand keys over; `keys` are settings by their names."""

    state: str = field(repr=False)  # as keys_url() was given it
    keys: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Quota:
    """What an answer said of the platform's own quota, counted in `Connector.quota_unit`."""

    left: int
    most: int
    per_second: int  # comes back each second, up to `most`
    told_at: datetime


class Connector(ABC):
    """One platform. Methods that a connector does not declare as a capability raise Fatal("unsupported").

    Instances are cheap, hold no connection of their own and may be used by several threads at once.
    """

    platform: ClassVar[str]
    title: ClassVar[str | _StrPromise]
    capabilities: ClassVar[frozenset[Capability]]
    Credentials: ClassVar[type[PlatformCredentials]]
    default_base_url: ClassVar[str]
    default_auth_url: ClassVar[str]
    settings: ClassVar[tuple[Setting, ...]]  # in the order in which they are asked for
    shop_setting: ClassVar[str] = ""  # the one that is the shop's address; "": the account that consents tells the shop
    consent_only_for: ClassVar[tuple[str, tuple[str, ...]] | None] = None  # as of Setting; None: always, if it can be
    permissions: ClassVar[tuple[str | _StrPromise, ...]] = ()  # what the app has to be given, in the platform's words
    max_items_per_read: ClassVar[int]  # distinct own items in one call
    max_competitor_items_per_read: ClassVar[int] = 0  # distinct items of other shops in one call
    max_rows_per_push: ClassVar[int] = 0  # targets in one call
    has_compare_and_set: ClassVar[bool] = False
    has_locations: ClassVar[bool] = False
    quota_unit: ClassVar[str | _StrPromise] = ""  # what the quota counts that answers tell; "": they tell none
    currency: str = ""  # the channel's: amounts in another are refused as "currency-differs"; "": not compared

    def __init__(
        self,
        credentials: PlatformCredentials,
        *,
        base_url: str = "",
        auth_base_url: str = "",
        http: HttpClient | None = None,
    ) -> None:
        """`base_url` replaces the platform's addresses, the one for authorisation too unless `auth_base_url` is given.

        Raises InvalidSetting for an address that is not a plain https one of a public host; addresses.py has the
        exceptions.
        """
        self.base_url = checked_address("base_url", base_url or self.default_base_url)
        self.auth_base_url = checked_address("auth_base_url", auth_base_url or base_url or self.default_auth_url)
        self.http = http or HttpClient()
        self._secrets = tuple(
            value for f in fields(credentials) if not f.repr and (value := getattr(credentials, f.name))
        )

    @classmethod
    def console(cls, settings: Mapping[str, str]) -> str:
        """Where the app or the keys are made and given permissions, in words that follow “in”."""
        return _("the platform's console")

    @property
    def can_refresh(self) -> bool:
        """Whether refresh() works for these credentials."""
        return Capability.REFRESH_TOKEN in self.capabilities

    @property
    def needs_token(self) -> bool:
        """Whether calls need an access token; where not, the stored keys are enough."""
        return True

    @property
    def can_request_token(self) -> bool:
        """Whether request_token() works for these credentials: no person has to grant anything."""
        return Capability.REQUEST_TOKEN in self.capabilities

    @property
    def quota_told(self) -> Quota | None:
        """The quota as the last answer told it; None before the first one, and where answers tell none."""
        return None

    def check_connection(self, *, now: datetime) -> str:
        """Make the cheapest calls that need every permission; returns the shop's name.

        Raises ConnectorError, whose cause says what is wrong: READS_ONLY where it is the permission to write alone.
        """
        self._unsupported("check_connection")

    def read_batches(self, refs: Sequence[ListingRef]) -> list[list[ListingRef]]:
        """The refs in groups that one call can read: own and other shops' apart, all variants of an item together."""
        batches: list[list[ListingRef]] = []
        for is_own, limit in ((True, self.max_items_per_read), (False, self.max_competitor_items_per_read)):
            by_item: dict[str, list[ListingRef]] = {}
            for ref in refs:
                if ref.is_own is is_own:
                    by_item.setdefault(ref.item_id, []).append(ref)
            if by_item and not limit:
                self._unsupported("read_competitors" if not is_own else "read_listings")
            items = list(by_item.values())
            batches += [
                [ref for item in items[start : start + limit] for ref in item]
                for start in range(0, len(items), limit or 1)
            ]
        return batches

    def read_listings(self, batch: Sequence[ListingRef], *, now: datetime) -> list[Reading]:
        """Exactly one Reading per ref of one batch, in its order. Raises ConnectorError when a call brought nothing."""
        self._unsupported("read_listings")

    def discover_listings(self, *, now: datetime, cursor: Mapping[str, Any] | None = None) -> Iterator[ListingPage]:
        """Every listing of the shop, on the shelf or not, from the cursor of an earlier page on (None: all of them).

        Calls are made while iterating, a few for each page. One iteration tells each listing once; after a cursor some
        may be told again, those for one that changed meanwhile, but none is left out. Raises Wait of the operation,
        rather than waiting itself, while the platform still puts the answer together.
        """
        self._unsupported("discover_listings")

    def read_changes(self, *, since: datetime, now: datetime) -> Iterator[DiscoveredListing]:
        """The own listings that changed at `since` or later, whole; some may come though they did not change.

        Deletions are not among them. Calls are made while iterating.
        """
        self._unsupported("read_changes")

    def read_locations(self, *, now: datetime) -> list[Location]:
        self._unsupported("read_stock_levels")

    def read_stock_levels(self, batch: Sequence[ListingRef], *, now: datetime) -> list[StockLevel]:
        """What each location can sell of the listings of one batch of read_batches()."""
        self._unsupported("read_stock_levels")

    def push_batches(self, targets: Sequence[StockTarget]) -> list[list[StockTarget]]:
        """The targets in groups that one push_stock() takes."""
        if not self.max_rows_per_push:
            self._unsupported("push_stock")
        size = self.max_rows_per_push
        return [list(targets[start : start + size]) for start in range(0, len(targets), size)]

    def push_stock(self, batch: Sequence[StockTarget], *, key: str, now: datetime) -> list[PushOutcome]:
        """Exactly one outcome per target of one batch, in its order.

        `key` names this push: the same key with the same batch is the same push once more, which is applied once where
        the platform can tell. One refused row is an outcome and fails no other. Raises ConnectorError only when nothing
        of the batch was written.
        """
        self._unsupported("push_stock")

    def read_orders(self, *, since: datetime, until: datetime, now: datetime) -> Iterator[Order]:
        """The orders that changed from `since` (inclusive) to `until`, each once; calls are made while iterating.

        Shops stamp whole seconds, so both ends are cut to theirs: windows that meet leave out nothing and overlap in
        nothing.
        """
        self._unsupported("read_orders")

    def read_promotions(self, *, now: datetime) -> Iterator[Promotion]:
        """The shop's promotions that are running or to come; calls are made while iterating."""
        self._unsupported("read_promotions")

    def is_genuine(self, *, headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> bool:
        """Whether a webhook was signed with one of the secrets. Header names are in lower case, the body is raw."""
        self._unsupported("receive_webhooks")

    def parse_webhook(self, *, headers: Mapping[str, str], body: bytes) -> list[Hint]:
        """What a genuine webhook says; raises Retry for a body that is not what the platform documents."""
        self._unsupported("receive_webhooks")

    def permit_messages(self, *, now: datetime) -> None:
        """Have the platform keep this shop's messages from now on: before that there are none. May be repeated."""
        self._unsupported("pull_messages")

    def pull_messages(self, *, now: datetime) -> list[Hint]:
        """The messages that wait, at most one call's worth; each comes again until it is confirmed."""
        self._unsupported("pull_messages")

    def confirm_messages(self, receipts: Sequence[str], *, now: datetime) -> None:
        """Have these messages not come again; call it once what they say is stored."""
        self._unsupported("pull_messages")

    @classmethod
    def keys_url(cls, base_url: str, *, state: str, return_url: str, callback_url: str) -> str:
        """Where a person has the shop at `base_url` hand keys over.

        It posts them to `callback_url`, which has to be https, with `state`, and sends the person to `return_url` with
        success=1, or 0. Raises InvalidSetting for an address that cannot be a shop's.
        """
        raise Fatal(cls.platform, "request_keys", cause="unsupported")

    @classmethod
    def parse_keys(cls, body: bytes) -> HandedKeys:
        """What a shop posted; raises Retry for what is not documented, InvalidSetting for keys that cannot work."""
        raise Fatal(cls.platform, "request_keys", cause="unsupported")

    def request_token(self, *, now: datetime) -> Tokens:
        """A token for the stored keys; only where `can_request_token`."""
        self._unsupported("request_token")

    def authorise_url(self, *, redirect_uri: str, state: str) -> str:
        """Where a person grants access; the platform then sends them to `redirect_uri` with a code and `state`."""
        self._unsupported("authorise")

    def check_callback(self, parameters: Mapping[str, str]) -> bool:
        """Whether the parameters of the redirect come from the platform, for this shop; True where it signs none."""
        return True

    def exchange_code(self, *, code: str, redirect_uri: str, now: datetime) -> Tokens:
        """Tokens for the code of the redirect; a code works once."""
        self._unsupported("authorise")

    def refresh(self, *, refresh_token: str, now: datetime) -> Tokens:
        """New tokens for a refresh token; only where `can_refresh`."""
        self._unsupported("refresh_token")

    def without_secrets(self, text: str) -> str:
        """The text with every secret of these credentials masked: platforms like to quote what they were sent."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def _unsupported(self, operation: str) -> NoReturn:
        raise Fatal(self.platform, operation, cause="unsupported")


def shop_id(address: str) -> str:
    """What is the same for every way to write a shop's address, and differs between shops."""
    parts = urlsplit(address if "//" in address else f"//{address}")
    host = (parts.hostname or "").removeprefix("www.")
    port = "" if parts.port in {None, 80, 443} else f":{parts.port}"
    return f"{host}{port}{parts.path.rstrip('/')}"


def checked_address(field: str, address: str) -> str:
    """The address without a closing slash; raises InvalidSetting for one that must not be called.

    Its value is never quoted, since a password could be in it.
    """
    try:
        parts = urlsplit(address)
        port_is_right = parts.port is None or parts.port > 0
    except ValueError:
        raise InvalidSetting(field, _("The address cannot be read.")) from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_is_right:
        raise InvalidSetting(field, _("The address must start with http:// or https:// and name a host."))
    if parts.username is not None or parts.query or parts.fragment:
        raise InvalidSetting(field, _("The address must not hold a user name, a query or a fragment."))
    if not is_exempt(parts.hostname, port_of(parts)):
        if is_refused(parts.hostname):
            raise InvalidSetting(field, refusal(parts.hostname, port_of(parts)))
        if parts.scheme != "https":
            raise InvalidSetting(
                field, _("The address must start with https://, or be named in ALLOWED_PRIVATE_HOSTS.")
            )
    return address.rstrip("/")
