"""Applications, the tokens they hold and what is kept of each store. All times here are real epoch seconds."""

import random
import secrets
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from integrations.simulator.shopify.cost import PLANS, Bucket
from integrations.simulator.shopify.schema import Versions
from integrations.simulator.world import Shop

HOUR, DAY = 3_600, 86_400
CODE_LIFE = 600
CLIENT_CREDENTIALS_LIFE = 86_399
ACCESS_LIFE = HOUR
REFRESH_LIFE = 90 * DAY
PREVIOUS_REFRESH_LIFE = 30 * DAY  # from its first use, unless its replacement is used before
OLD_SECRET_LIFE = HOUR
LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost"})
CUSTOM, PUBLIC = "custom", "public"
OPEN = "open"
# What a store that is not open answers with: the HTTP status and its `errors`.
STATUSES = {
    "frozen": (402, "Unavailable Shop"),
    "forbidden": (403, "[API] This app is not approved to access the store"),
    "locked": (423, "Locked"),
    "rejected": (430, "Security Rejection"),
}
SCOPES = (
    "read_products,write_products,read_inventory,write_inventory,read_locations,read_orders,read_all_orders,"
    "read_discounts,write_discounts"
)
DOMAIN = ".myshopify.com"


@dataclass(slots=True)
class App:
    client_id: str
    client_secret: str
    kind: str  # CUSTOM: of one shop, may ask with its own credentials; PUBLIC: by consent, with expiring tokens
    shop: str  # the shop a custom one belongs to
    scopes: list[str]
    redirect_uris: list[str]
    old_secret: str = ""  # before the last rotation
    rotated_at: float = 0.0

    def allows_redirect(self, uri: str) -> bool:
        """A pattern whose port is * stands for any port and path of that host; any other is compared whole."""
        parts = urlsplit(uri)
        if f"{parts.scheme}://{parts.hostname}:*" in self.redirect_uris and parts.scheme == "http":
            return parts.hostname in LOCAL_HOSTS
        return uri in self.redirect_uris

    def signing_secret(self, now: float) -> str:
        """Webhooks may be signed with the old secret for an hour after a rotation; here they are."""
        return self.old_secret if self.old_secret and now < self.rotated_at + OLD_SECRET_LIFE else self.client_secret


@dataclass(slots=True)
class Token:
    access_token: str
    client_id: str
    shop: str
    scopes: list[str]
    expires_at: float | None  # None: never
    revoked: bool = False


@dataclass(slots=True)
class RefreshToken:
    refresh_token: str
    client_id: str
    shop: str
    scopes: list[str]
    expires_at: float
    parent: str = ""  # the one it was issued for
    first_used_at: float | None = None
    dead: bool = False

    def usable(self, now: float) -> bool:
        if self.dead or now >= self.expires_at:
            return False
        return self.first_used_at is None or now < self.first_used_at + PREVIOUS_REFRESH_LIFE


@dataclass(slots=True)
class Code:
    code: str
    client_id: str
    shop: str
    scopes: list[str]
    expires_at: float


@dataclass(slots=True)
class Store:
    """What is kept of a shop besides its world."""

    shop: str
    plan: str = "standard"
    status: str = OPEN
    quantities: dict[str, int] = field(default_factory=dict)  # "sku id/location/state": units, besides available
    inactive_locations: list[int] = field(default_factory=list)


class Accounts:
    """The platform's applications, tokens and stores."""

    def __init__(self, shops: Iterable[Shop], seed: int) -> None:
        self._lock = threading.RLock()
        self.version = 0
        self.shops = {shop.key: shop for shop in shops}
        self._seed = seed
        self.reset()

    def reset(self) -> None:
        """A custom application for each shop, with a token for ever, and a public one; a merchant who approves."""
        rng = random.Random(self._seed ^ 0x5408)
        local = ["http://127.0.0.1:*", "http://localhost:*"]
        self.apps: dict[str, App] = {}
        self.tokens: dict[str, Token] = {}
        self.refresh_tokens: dict[str, RefreshToken] = {}
        self.codes: dict[str, Code] = {}
        self.stores = {key: Store(key) for key in self.shops}
        self.buckets: dict[tuple[str, str], Bucket] = {}
        self.versions = Versions()
        self.denies = False
        self.approving_shop = next(iter(self.shops), "")
        owners = [(CUSTOM, key) for key in self.shops] + [(PUBLIC, "")]
        for kind, shop in owners:
            client_id, secret = f"{rng.getrandbits(128):032x}", f"shpss_{rng.getrandbits(128):032x}"
            self.apps[client_id] = App(client_id, secret, kind, shop, SCOPES.split(","), list(local))
            if shop:
                token = f"shpat_{rng.getrandbits(128):032x}"
                self.tokens[token] = Token(token, client_id, shop, SCOPES.split(","), None)
        self.version += 1

    # Who is who

    def domain(self, shop: str) -> str:
        return f"{self.shops[shop].nick}{DOMAIN}"

    def shop_of_domain(self, domain: str) -> str | None:
        return next((key for key in self.shops if self.domain(key) == domain), None)

    def custom_app(self, shop: str) -> App:
        return next(app for app in self.apps.values() if app.shop == shop)

    @property
    def public_app(self) -> App:
        return next(app for app in self.apps.values() if app.kind == PUBLIC)

    def permanent_token(self, shop: str) -> str:
        found = (token for token in self.tokens.values() if token.shop == shop and token.expires_at is None)
        return next((token.access_token for token in found), "")

    def token(self, access_token: str) -> Token | None:
        """A token that is good now."""
        token = self.tokens.get(access_token)
        if token is None or token.revoked or (token.expires_at is not None and token.expires_at <= time.time()):
            return None
        return token

    def bucket(self, token: Token) -> Bucket:
        with self._lock:
            key = token.client_id, token.shop
            if key not in self.buckets:
                self.buckets[key] = Bucket(*PLANS[self.stores[token.shop].plan])
            return self.buckets[key]

    # Tokens

    def grant_client_credentials(self, app: App) -> Token:
        with self._lock:
            return self._add_token(app, app.shop, app.scopes, CLIENT_CREDENTIALS_LIFE)

    def issue_code(self, app: App, scopes: list[str]) -> Code:
        with self._lock:
            code = secrets.token_hex(16)
            self.codes[code] = Code(code, app.client_id, self.approving_shop, scopes, time.time() + CODE_LIFE)
            return self.codes[code]

    def redeem(self, app: App, code: str) -> Code | None:
        """The code, once; None for one that is unknown, used, expired or another application's."""
        with self._lock:
            found = self.codes.get(code)
            if found is None or found.client_id != app.client_id or found.expires_at <= time.time():
                return None
            del self.codes[code]
            return found

    def grant_offline(
        self, app: App, shop: str, scopes: list[str], *, expiring: bool
    ) -> tuple[Token, RefreshToken | None]:
        with self._lock:
            if not expiring:
                return self._add_token(app, shop, scopes, None), None
            return self._add_token(app, shop, scopes, ACCESS_LIFE), self._add_refresh_token(app, shop, scopes)

    def refresh(self, app: App, refresh_token: str) -> tuple[Token, RefreshToken] | None:
        """A new pair; None for a dead token. The one used stays usable until the new one is, for at most 30 days."""
        with self._lock:
            now = time.time()
            found = self.refresh_tokens.get(refresh_token)
            if found is None or found.client_id != app.client_id or not found.usable(now):
                return None
            if found.parent in self.refresh_tokens:
                self.refresh_tokens[found.parent].dead = True
            if found.first_used_at is None:
                found.first_used_at = now
            token = self._add_token(app, found.shop, found.scopes, ACCESS_LIFE)
            return token, self._add_refresh_token(app, found.shop, found.scopes, parent=refresh_token)

    def _add_token(self, app: App, shop: str, scopes: list[str], life: float | None) -> Token:
        expires_at = None if life is None else time.time() + life
        token = Token(f"shpat_{secrets.token_hex(16)}", app.client_id, shop, list(scopes), expires_at)
        self.tokens[token.access_token] = token
        self.version += 1
        return token

    def _add_refresh_token(self, app: App, shop: str, scopes: list[str], parent: str = "") -> RefreshToken:
        token = f"shprt_{secrets.token_hex(16)}"
        found = RefreshToken(token, app.client_id, shop, list(scopes), time.time() + REFRESH_LIFE, parent)
        self.refresh_tokens[token] = found
        return found

    # What the control paths change

    def change_tokens(self, shop: str, *, expire: bool = False, revoke: bool = False, refresh: bool = False) -> int:
        """Expire or revoke every token of a shop, or its refresh tokens; returns how many."""
        with self._lock:
            if refresh:
                renewals = [token for token in self.refresh_tokens.values() if token.shop == shop]
                for renewal in renewals:
                    renewal.dead = True
                return len(renewals)
            tokens = [token for token in self.tokens.values() if token.shop == shop]
            for token in tokens:
                if expire and token.expires_at is not None:
                    token.expires_at = time.time() - 1
                token.revoked = token.revoked or revoke
            self.version += 1
            return len(tokens)

    def set_scopes(self, shop: str, scopes: list[str]) -> dict[str, list[str]]:
        """The scopes of every token of a shop, and of the application that belongs to it.

        Returns what each application that has a token could do before.
        """
        with self._lock:
            held: list[Token | RefreshToken] = [*self.tokens.values(), *self.refresh_tokens.values()]
            before = {token.client_id: token.scopes for token in held if token.shop == shop}
            for token in held:
                if token.shop == shop:
                    token.scopes = list(scopes)
            self.custom_app(shop).scopes = list(scopes)
            self.version += 1
            return before

    def set_plan(self, shop: str, plan: str) -> None:
        with self._lock:
            self.stores[shop].plan = plan
            self.buckets = {key: bucket for key, bucket in self.buckets.items() if key[1] != shop}
            self.version += 1

    def rotate_secret(self, app: App) -> None:
        with self._lock:
            app.old_secret, app.rotated_at = app.client_secret, time.time()
            app.client_secret = f"shpss_{secrets.token_hex(16)}"
            self.version += 1

    # State

    def to_json(self) -> dict[str, Any]:
        with self._lock:
            return {
                "apps": list(self.apps.values()),
                "tokens": list(self.tokens.values()),
                "refresh_tokens": list(self.refresh_tokens.values()),
                "stores": list(self.stores.values()),
                "approving_shop": self.approving_shop,
                "denies": self.denies,
            }

    def restore(self, data: dict[str, Any]) -> None:
        """Take over what `to_json` wrote. Raises KeyError, TypeError or ValueError for anything else."""
        apps = [App(**app) for app in data["apps"]]
        tokens = [Token(**token) for token in data["tokens"]]
        renewals = [RefreshToken(**token) for token in data["refresh_tokens"]]
        stores = [Store(**store) for store in data["stores"]]
        self.apps = {app.client_id: app for app in apps}
        self.tokens = {token.access_token: token for token in tokens}
        self.refresh_tokens = {token.refresh_token: token for token in renewals}
        self.stores = {store.shop: store for store in stores}
        self.approving_shop, self.denies = data["approving_shop"], data["denies"]
