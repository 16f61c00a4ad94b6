"""`/admin/oauth/authorize` and `/admin/oauth/access_token`: how an application comes by a token."""

import base64
import time
from html import escape
from typing import Any
from urllib.parse import parse_qsl

import orjson

from integrations.simulator.faults import Fault
from integrations.simulator.oauth import OAuthPages
from integrations.simulator.routing import HTML, Request, Response, json_response, redirect
from integrations.simulator.shopify.accounts import CUSTOM, DOMAIN, PUBLIC, Accounts, App, RefreshToken, Token
from integrations.simulator.shopify.signing import callback_hmac
from integrations.simulator.simulation import Simulation
from integrations.simulator.world import SHOPIFY

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105  # a name, no secret
OFFLINE_TOKEN = "urn:shopify:params:oauth:token-type:offline-access-token"  # noqa: S105


def host_refusal(accounts: Accounts, request: Request) -> Response | None:
    """404 when a call names a shop's domain and there is no such shop; at any other host, credentials tell."""
    host = request.headers.get("host", "").partition(":")[0]
    if host.endswith(DOMAIN) and accounts.shop_of_domain(host) is None:
        return json_response({"errors": "Not Found"}, 404)
    return None


class OAuth(OAuthPages):
    platform = SHOPIFY
    identifying = frozenset({"scope"})

    def __init__(self, simulation: Simulation, accounts: Accounts) -> None:
        super().__init__(simulation)
        self.accounts = accounts

    def consent(self, request: Request) -> Response:
        return host_refusal(self.accounts, request) or self._authorize(request)

    def grant(self, request: Request) -> Response:
        return host_refusal(self.accounts, request) or self._token(request)

    def error_of(self, fault: Fault) -> Response:
        said = fault.sub_msg or fault.msg or "refused"
        return _refused(fault.sub_code or "invalid_request", said, fault.status or 400)

    # Consent

    def _authorize(self, request: Request) -> Response:
        if request.verb != "GET":
            return _page(405, "Use GET")
        parameters = dict(parse_qsl(request.query))
        app = self.accounts.apps.get(parameters.get("client_id", ""))
        redirect_uri = parameters.get("redirect_uri", "")
        # Without a known application and address there is nowhere safe to send the browser back to.
        if app is None:
            return _page(400, "Oauth error invalid_request: Could not find the application with this client_id")
        if not app.allows_redirect(redirect_uri):
            return _page(400, "Oauth error invalid_request: The redirect_uri is not whitelisted")
        if "state" not in parameters:
            return _page(400, "Oauth error invalid_request: state is missing")
        scopes = [scope.strip() for scope in parameters.get("scope", "").split(",") if scope.strip()] or app.scopes
        unknown = [scope for scope in scopes if not _is_scope(scope)]
        if unknown:
            return _page(400, f"Oauth error invalid_scope: {', '.join(unknown)}")
        if self.accounts.denies:
            answer = {"error": "access_denied", "error_description": "The merchant did not approve"}
        else:
            if app.kind == CUSTOM and app.shop != self.accounts.approving_shop:
                return _page(400, "This app can't be installed on this store")
            code = self.accounts.issue_code(app, scopes)
            domain = self.accounts.domain(code.shop)
            host = f"admin.shopify.com/store/{domain.removesuffix(DOMAIN)}"
            answer = {
                "code": code.code,
                "host": base64.b64encode(host.encode()).decode().rstrip("="),
                "shop": domain,
                "timestamp": str(int(time.time())),
            }
        answer["state"] = parameters["state"]
        answer["hmac"] = callback_hmac(answer, app.client_secret)
        return redirect(redirect_uri, answer)

    # Tokens

    def _token(self, request: Request) -> Response:
        if request.verb != "POST":
            return json_response({"errors": "Not Found"}, 404)
        form = _form(request)
        if form is None:
            return _refused("invalid_request", "The body is neither a form nor JSON")
        app = self.accounts.apps.get(form.get("client_id", ""))
        if app is None or form.get("client_secret") != app.client_secret:
            return _refused("invalid_client", "client_id or client_secret is wrong")
        grant_type = form.get("grant_type", "authorization_code" if "code" in form else "")
        if grant_type == "client_credentials":
            return self._client_credentials(request, app)
        if grant_type == "authorization_code":
            return self._authorization_code(app, form)
        if grant_type == "refresh_token":
            pair = self.accounts.refresh(app, form.get("refresh_token", ""))
            if pair is None:
                return _refused("invalid_grant", "The refresh token is invalid, expired or used")
            return json_response(_body(*pair))
        if grant_type == TOKEN_EXCHANGE:
            return self._exchange(app, form)
        return _refused("unsupported_grant_type", "grant_type is not one of those served here")

    def _client_credentials(self, request: Request, app: App) -> Response:
        host = request.headers.get("host", "").partition(":")[0]
        named = self.accounts.shop_of_domain(host) if host.endswith(DOMAIN) else app.shop
        if app.kind != CUSTOM or named != app.shop:
            return _refused("shop_not_permitted", "Client credentials cannot be performed on this shop.")
        return json_response(_body(self.accounts.grant_client_credentials(app), None))

    def _authorization_code(self, app: App, form: dict[str, str]) -> Response:
        expiring = form.get("expiring") == "1"
        # Public applications have to take expiring tokens; custom ones need not.
        if app.kind == PUBLIC and not expiring:
            return _refused("invalid_request", "Non-expiring access tokens are no longer issued: send expiring=1")
        code = self.accounts.redeem(app, form.get("code", ""))
        if code is None:
            return _refused("invalid_request", "The authorization code was not found or was already used")
        return json_response(_body(*self.accounts.grant_offline(app, code.shop, code.scopes, expiring=expiring)))

    def _exchange(self, app: App, form: dict[str, str]) -> Response:
        """Only the migration of a token for ever into an expiring pair: nobody here signs session tokens."""
        old = self.accounts.token(form.get("subject_token", ""))
        if form.get("subject_token_type") != OFFLINE_TOKEN or form.get("requested_token_type") != OFFLINE_TOKEN:
            return _refused("invalid_request", "Only offline access tokens are exchanged here")
        if old is None or old.client_id != app.client_id or old.expires_at is not None or form.get("expiring") != "1":
            return _refused("invalid_subject_token", "The subject token is not one that can be exchanged")
        old.revoked = True
        return json_response(_body(*self.accounts.grant_offline(app, old.shop, old.scopes, expiring=True)))


def _body(token: Token, renewal: RefreshToken | None) -> dict[str, Any]:
    now = time.time()
    body: dict[str, Any] = {"access_token": token.access_token, "scope": ",".join(token.scopes)}
    if token.expires_at is not None:
        body["expires_in"] = round(token.expires_at - now)
    if renewal is not None:
        body["refresh_token"] = renewal.refresh_token
        body["refresh_token_expires_in"] = round(renewal.expires_at - now)
    return body


def _form(request: Request) -> dict[str, str] | None:
    kind = request.headers.get("content-type", "")
    if kind.startswith("application/json"):
        try:
            body = orjson.loads(request.body)
        except ValueError:
            return None
        return {str(name): str(value) for name, value in body.items()} if isinstance(body, dict) else None
    if kind.startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(request.body.decode("utf-8", "replace")))
    return None


def _is_scope(scope: str) -> bool:
    return scope.startswith(("read_", "write_")) and scope.replace("_", "").isalpha()


def _page(status: int, message: str) -> Response:
    page = f"<!DOCTYPE html><html><head><title>Shopify</title></head><body><h1>{escape(message)}</h1></body></html>"
    return Response(status, page.encode(), HTML)


def _refused(error: str, description: str, status: int = 400) -> Response:
    return json_response({"error": error, "error_description": description}, status)
