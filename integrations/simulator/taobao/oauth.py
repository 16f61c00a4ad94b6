"""`/authorize` and `/token`: how a seller's consent becomes a session."""

import time
from html import escape
from typing import Any
from urllib.parse import parse_qsl, quote

from integrations.simulator.faults import Fault
from integrations.simulator.oauth import OAuthPages
from integrations.simulator.routing import HTML, Request, Response, json_response, redirect
from integrations.simulator.taobao.accounts import LEVELS, Grant
from integrations.simulator.world import TAOBAO, Shop

VIEWS = frozenset({"web", "tmall", "wap"})


def token_body(grant: Grant, shop: Shop) -> dict[str, Any]:
    """The token answer; lives in whole seconds from now, the nick URL-encoded as the platform sends it."""
    now = time.time()
    body: dict[str, Any] = {
        "access_token": grant.session,
        "token_type": "Bearer",
        "expires_in": _left(grant.expires_at, now),
        "refresh_token": grant.refresh_token,
        "re_expires_in": _left(grant.refresh_expires_at, now) if grant.refresh_expires_at is not None else 0,
    }
    body.update({f"{level}_expires_in": _left(grant.level_ends[level], now) for level in LEVELS})
    body["taobao_user_id"] = str(shop.user_id)
    body["taobao_user_nick"] = quote(shop.nick)
    return body


def _left(ends_at: float, now: float) -> int:
    return max(0, round(ends_at - now))


class OAuth(OAuthPages):
    platform = TAOBAO
    identifying = frozenset({"taobao_user_id", "taobao_user_nick"})

    def error_of(self, fault: Fault) -> Response:
        return _refused(fault.sub_code or "invalid_client", fault.sub_msg or fault.msg or "refused")

    def consent(self, request: Request) -> Response:
        if request.verb != "GET":
            return _page(405, "请使用 GET 请求")
        parameters = dict(parse_qsl(request.query))
        accounts = self.simulation.accounts
        app = accounts.apps.get(parameters.get("client_id", ""))
        redirect_uri = parameters.get("redirect_uri", "")
        # Without a known application and address there is nowhere safe to send the browser back to.
        if app is None:
            return _page(400, "invalid client_id")
        if not app.allows_redirect(redirect_uri):
            return _page(400, "redirect_uri 与应用的回调地址不一致")
        if parameters.get("response_type") != "code":
            return _back(
                redirect_uri, {"error": "unsupported_response_type", "error_description": "use code"}, parameters
            )
        if parameters.get("view", "web") not in VIEWS:
            return _back(redirect_uri, {"error": "invalid_request", "error_description": "unknown view"}, parameters)
        if accounts.denies:
            denial = {"error": "access_denied", "error_description": "authorize reject"}
            return _back(redirect_uri, denial, parameters)
        return _back(redirect_uri, {"code": accounts.issue_code(app, redirect_uri)}, parameters)

    def grant(self, request: Request) -> Response:
        if request.verb != "POST":
            return _refused("invalid_request", "POST is required", 405)
        if request.query:
            return _refused("invalid_request", "parameters belong in the form body, not in the address")
        if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return _refused("invalid_request", "a form body is required")
        form = dict(parse_qsl(request.body.decode("utf-8", "replace")))
        accounts = self.simulation.accounts
        app = accounts.apps.get(form.get("client_id", ""))
        if app is None or form.get("client_secret") != app.app_secret:
            return _refused("invalid_client", "client_id or client_secret is wrong")
        grant_type = form.get("grant_type")
        if grant_type == "authorization_code":
            grant = accounts.redeem(app, form.get("code", ""), form.get("redirect_uri", ""))
            if grant is None:
                return _refused("invalid_client", "code is expired, used, or redirect_uri does not match")
        elif grant_type == "refresh_token":
            grant = accounts.refresh(app, form.get("refresh_token", ""))
            if grant is None:
                return _refused("invalid_client", "refresh_token is invalid or this application may not refresh")
        else:
            return _refused("unsupported_grant_type", "use authorization_code or refresh_token")
        return json_response(token_body(grant, accounts.shops[grant.shop]))


def _back(redirect_uri: str, answer: dict[str, str], parameters: dict[str, str]) -> Response:
    if "state" in parameters:
        answer["state"] = parameters["state"]
    return redirect(redirect_uri, answer)


def _page(status: int, message: str) -> Response:
    page = f"<!DOCTYPE html><html><head><title>授权失败</title></head><body><h1>{escape(message)}</h1></body></html>"
    return Response(status, page.encode(), HTML)


def _refused(error: str, description: str, status: int = 400) -> Response:
    return json_response({"error": error, "error_description": description}, status)
