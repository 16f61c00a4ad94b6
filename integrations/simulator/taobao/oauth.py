"""`/authorize` and `/token`: how a seller's consent becomes a session."""

import time
from html import escape
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from integrations.simulator.faults import ANSWERED, Fault, perform
from integrations.simulator.routing import HTML, Request, Response, json_response
from integrations.simulator.simulation import Simulation
from integrations.simulator.taobao.accounts import LEVELS, Grant
from integrations.simulator.world import Shop

VIEWS = frozenset({"web", "tmall", "wap"})
IDENTIFYING = frozenset({"taobao_user_id", "taobao_user_nick"})


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


class OAuth:
    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation

    def authorize(self, request: Request) -> Response:
        """The seller's answer at once: back to the application with a code, or with an error when set to refuse."""
        return self._with_faults(request, "authorize", self._authorize)

    def token(self, request: Request) -> Response:
        """A session for a code or for a refresh token."""
        return self._with_faults(request, "token", self._token)

    def _with_faults(self, request: Request, method: str, answer: Any) -> Response:
        def normal() -> Response:
            response: Response = answer(request)
            failed = response.status if response.status >= 400 else 0
            self._record(request, method, failed, "")
            return response

        fault = self.simulation.faults.take("taobao", method, "")
        if fault is None:
            return normal()
        if fault.kind not in ANSWERED:
            self._record(request, method, fault.code or fault.status or -1, fault.sub_code or fault.kind)
        return perform(fault, normal=normal, error=_error_of, keep=IDENTIFYING, stopping=self.simulation.stopping)

    def _record(self, request: Request, method: str, code: int, sub_code: str) -> None:
        self.simulation.ledger.record(
            at=time.time(),
            platform="taobao",
            verb=request.verb,
            path=request.path,
            method=method,
            shop="",
            item_ids=(),
            code=code,
            sub_code=sub_code,
        )

    def _authorize(self, request: Request) -> Response:
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

    def _token(self, request: Request) -> Response:
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
    parts = urlsplit(redirect_uri)
    query = "&".join(part for part in (parts.query, urlencode(answer)) if part)
    return Response(302, b"", HTML, {"Location": urlunsplit(parts._replace(query=query))})


def _page(status: int, message: str) -> Response:
    page = f"<!DOCTYPE html><html><head><title>授权失败</title></head><body><h1>{escape(message)}</h1></body></html>"
    return Response(status, page.encode(), HTML)


def _refused(error: str, description: str, status: int = 400) -> Response:
    return json_response({"error": error, "error_description": description}, status)


def _error_of(rule: Fault) -> Response:
    return _refused(rule.sub_code or "invalid_client", rule.sub_msg or rule.msg or "refused")
