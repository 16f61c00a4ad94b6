"""The contract between the rest of the program and a platform's connector.

A connector declares what it can do (`capabilities`) and its limits as class attributes; callers ask, and never compare
platform names. Connectors store nothing and read no wall clock: the time comes in as `now` (aware UTC).
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, NoReturn, Protocol, Self
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from catalog.facts import Facts
from integrations.connectors.addresses import is_exempt, is_refused
from integrations.connectors.errors import Fatal
from integrations.connectors.http import HttpClient

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise


class Capability(StrEnum):
    """What a connector may be asked to do; each names the methods it stands for."""

    READ_LISTINGS = "read_listings"  # read_listings() of own listings
    READ_COMPETITORS = "read_competitors"  # read_listings() of listings of other shops
    DISCOVER_LISTINGS = "discover_listings"
    AUTHORISE = "authorise"  # authorise_url() and exchange_code()
    REFRESH_TOKEN = "refresh_token"  # noqa: S105  # refresh(); ask `can_refresh`, since it may depend on the kind of app


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
    outer_id: str
    facts: Facts
    is_own: bool = True
    cause: str = ""  # a remark, as in Reading


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
    max_items_per_read: ClassVar[int]  # distinct own items in one call
    max_competitor_items_per_read: ClassVar[int] = 0  # distinct items of other shops in one call

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
        self.base_url = _checked_address("base_url", base_url or self.default_base_url)
        self.auth_base_url = _checked_address("auth_base_url", auth_base_url or base_url or self.default_auth_url)
        self.http = http or HttpClient()
        self._secrets = tuple(
            value for f in fields(credentials) if not f.repr and (value := getattr(credentials, f.name))
        )

    @property
    def can_refresh(self) -> bool:
        """Whether refresh() works for these credentials."""
        return Capability.REFRESH_TOKEN in self.capabilities

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

    def discover_listings(self, *, now: datetime) -> Iterator[DiscoveredListing]:
        """Every listing of the shop, on the shelf or not, each once; calls are made while iterating."""
        self._unsupported("discover_listings")

    def authorise_url(self, *, redirect_uri: str, state: str) -> str:
        """Where a person grants access; the platform then sends them to `redirect_uri` with a code and `state`."""
        self._unsupported("authorise")

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


def _checked_address(field: str, address: str) -> str:
    """The address without a closing slash; its value is never quoted, since a password could be in it."""
    try:
        parts = urlsplit(address)
        port_is_right = parts.port is None or parts.port > 0
    except ValueError:
        raise InvalidSetting(field, _("The address cannot be read.")) from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_is_right:
        raise InvalidSetting(field, _("The address must start with http:// or https:// and name a host."))
    if parts.username is not None or parts.query or parts.fragment:
        raise InvalidSetting(field, _("The address must not hold a user name, a query or a fragment."))
    if not is_exempt(parts.hostname, parts.port):
        if is_refused(parts.hostname):
            raise InvalidSetting(field, _("A private address must be named in ALLOWED_PRIVATE_HOSTS."))
        if parts.scheme != "https":
            raise InvalidSetting(
                field, _("The address must start with https://, or be named in ALLOWED_PRIVATE_HOSTS.")
            )
    return address.rstrip("/")
