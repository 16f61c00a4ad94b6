"""Applications, and the sellers' authorisations they hold. All times here are real epoch seconds."""

import random
import secrets
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from integrations.simulator.taobao.messages import MessageService
from integrations.simulator.world import Shop

YEAR = 31_536_000
CODE_LIFE = 600
BACK_OFFICE = "merchant back-office"
SERVICE_MARKET = "service-market"
LEVELS = ("r1", "r2", "w1", "w2")
LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost"})


@dataclass(slots=True)
class App:
    app_key: str
    app_secret: str
    app_type: str  # BACK_OFFICE: a token lives a year and cannot be refreshed; SERVICE_MARKET: it can
    redirect_uris: list[str]
    # Methods missing from the application's permission package, with the sub_code they are refused with.
    refused_methods: dict[str, str] = field(default_factory=dict)

    @property
    def may_refresh(self) -> bool:
        return self.app_type == SERVICE_MARKET

    def allows_redirect(self, uri: str) -> bool:
        """A pattern whose port is * stands for any port and path of that host; any other is compared whole."""
        parts = urlsplit(uri)
        if f"{parts.scheme}://{parts.hostname}:*" in self.redirect_uris and parts.scheme == "http":
            return parts.hostname in LOCAL_HOSTS
        return uri in self.redirect_uris


@dataclass(slots=True)
class Grant:
    """One seller's authorisation of one application."""

    session: str
    app_key: str
    shop: str
    expires_at: float
    refresh_token: str
    refresh_expires_at: float | None  # None: cannot be refreshed
    level_ends: dict[str, float]  # r1, r2, w1, w2
    revoked: bool = False


@dataclass(slots=True)
class Code:
    """An authorisation code on its way back to the application."""

    code: str
    app_key: str
    shop: str
    redirect_uri: str
    expires_at: float


class Accounts:
    """The platform's applications, grants and codes, and how the seller at the authorisation page behaves."""

    def __init__(self, shops: Iterable[Shop], seed: int, now: float) -> None:
        self._lock = threading.RLock()
        self.version = 0
        self.shops = {shop.key: shop for shop in shops}
        self._seed = seed
        self.reset(now)

    def reset(self, now: float) -> None:
        """The seeded applications, each own shop's session valid for a year from `now`, a seller who approves."""
        rng = random.Random(self._seed ^ 0x70B)
        local = ["http://127.0.0.1:*", "http://localhost:*"]
        self.apps = {
            app.app_key: app
            for app in (
                App(str(rng.randrange(10_000_000, 99_999_999)), f"{rng.getrandbits(128):032x}", kind, list(local))
                for kind in (BACK_OFFICE, SERVICE_MARKET)
            )
        }
        self.grants: dict[str, Grant] = {}
        self.codes: dict[str, Code] = {}
        self.messages = MessageService()
        self.biz_keys: set[tuple[str, str]] = set()  # (shop, idempotency key) of Tmall's relative stock writes
        self.denies = False
        self.approving_shop = next(shop.key for shop in self.shops.values() if shop.own)
        for shop in self.own_shops():
            self._add_grant(self.first_app, shop.key, now, token=f"620{rng.getrandbits(192):048x}", year_of_levels=True)
        self.version += 1

    @property
    def first_app(self) -> App:
        return next(iter(self.apps.values()))

    def own_shops(self) -> list[Shop]:
        return [shop for shop in self.shops.values() if shop.own]

    def grant_of(self, session: str, app: App) -> Grant | None:
        grant = self.grants.get(session)
        return grant if grant is not None and grant.app_key == app.app_key else None

    def session_of(self, shop: str) -> str:
        """The first application's newest session of a shop; '' when there is none."""
        first = self.first_app.app_key
        with self._lock:
            sessions = [grant.session for grant in self.grants.values() if (grant.shop, grant.app_key) == (shop, first)]
        return sessions[-1] if sessions else ""

    # Authorisation

    def issue_code(self, app: App, redirect_uri: str) -> str:
        with self._lock:
            now = time.time()
            self.codes = {key: code for key, code in self.codes.items() if code.expires_at > now}
            code = secrets.token_urlsafe(24)
            self.codes[code] = Code(code, app.app_key, self.approving_shop, redirect_uri, now + CODE_LIFE)
            self.version += 1
            return code

    def redeem(self, app: App, code: str, redirect_uri: str | None) -> Grant | None:
        """The grant for a code, once; None for a code that is unknown, used, expired or another application's.

        redirect_uri None is for the gateway's own way of redeeming, which does not send it.
        """
        with self._lock:
            found = self.codes.get(code)
            if found is None or found.app_key != app.app_key or found.expires_at <= time.time():
                return None
            if redirect_uri is not None and redirect_uri != found.redirect_uri:
                return None
            del self.codes[code]
            return self._add_grant(app, found.shop, time.time())

    def refresh(self, app: App, refresh_token: str) -> Grant | None:
        """A new session and a new refresh token in place of the old ones; None where that is not allowed."""
        with self._lock:
            now = time.time()
            for grant in self.grants.values():
                if grant.refresh_token == refresh_token and grant.app_key == app.app_key:
                    if grant.revoked or grant.refresh_expires_at is None or grant.refresh_expires_at <= now:
                        return None
                    del self.grants[grant.session]
                    return self._add_grant(app, grant.shop, now)
            return None

    def _add_grant(
        self, app: App, shop: str, now: float, token: str | None = None, *, year_of_levels: bool = False
    ) -> Grant:
        # The seeded sessions may write for a year, so that nothing lapses during a demonstration.
        short = YEAR if year_of_levels else 1_800
        grant = Grant(
            session=token or f"620{secrets.token_hex(24)}",
            app_key=app.app_key,
            shop=shop,
            expires_at=now + YEAR,
            refresh_token=f"621{secrets.token_hex(24)}",
            refresh_expires_at=now + YEAR if app.may_refresh else None,
            level_ends={"r1": now + YEAR, "r2": now + YEAR, "w1": now + YEAR, "w2": now + short},
        )
        self.grants[grant.session] = grant
        self.version += 1
        return grant

    # What the control paths change

    def change_grants(self, shop: str, *, expire: bool = False, revoke: bool = False) -> int:
        """Expire or revoke every session of a shop; returns how many."""
        with self._lock:
            found = [grant for grant in self.grants.values() if grant.shop == shop]
            for grant in found:
                if expire:
                    grant.expires_at = time.time() - 1
                grant.revoked = grant.revoked or revoke
            self.version += 1
            return len(found)

    def set_levels(self, shop: str, seconds_left: dict[str, float]) -> int:
        """Set the seconds left of security levels (r1, r2, w1, w2) of every session of a shop; returns how many."""
        with self._lock:
            found = [grant for grant in self.grants.values() if grant.shop == shop]
            for grant in found:
                grant.level_ends.update({level: time.time() + left for level, left in seconds_left.items()})
            self.version += 1
            return len(found)

    # State

    def to_json(self) -> dict[str, Any]:
        with self._lock:
            return {
                "apps": list(self.apps.values()),
                "grants": list(self.grants.values()),
                "approving_shop": self.approving_shop,
                "denies": self.denies,
                "messages": self.messages.to_json(),
                "biz_keys": sorted(self.biz_keys),
            }

    def restore(self, data: dict[str, Any]) -> None:
        """Take over what `to_json` wrote. Raises KeyError, TypeError or ValueError for anything else."""
        apps = [App(**app) for app in data["apps"]]
        grants = [Grant(**grant) for grant in data["grants"]]
        self.apps = {app.app_key: app for app in apps}
        self.grants = {grant.session: grant for grant in grants}
        self.approving_shop = data["approving_shop"]
        self.denies = data["denies"]
        self.biz_keys = {(shop, key) for shop, key in data.get("biz_keys", [])}
        if "messages" in data:  # older states have none
            self.messages.restore(data["messages"])
