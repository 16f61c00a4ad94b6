"""`/wc-auth/v1/authorize`: the merchant's consent, and the keys that the shop then hands over."""

import http.client
import ssl
from html import escape
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson

from integrations.simulator.routing import HTML, Request, Response, redirect
from integrations.simulator.simulation import Simulation
from integrations.simulator.webhooks import LOOPBACK
from integrations.simulator.woocommerce.sites import READ, READ_WRITE, WRITE, Key, Site, Sites

PATH = "/wc-auth/v1/authorize"
REQUIRED = ("app_name", "user_id", "return_url", "callback_url", "scope")
SCOPES = (READ, WRITE, READ_WRITE)
CALLBACK_SECONDS = 10


class Consent:
    """The page at which a merchant lets an application in. Ours answers at once, as it was told to."""

    def __init__(self, simulation: Simulation, sites: Sites) -> None:
        self.simulation = simulation
        self.sites = sites

    def handle(self, request: Request) -> Response:
        if request.path.rstrip("/") != PATH or request.verb != "GET":
            return _page(404, "Page not found")
        asked = dict(parse_qsl(request.query, keep_blank_values=True))
        with self.simulation.lock:
            site = self.sites.by_shop[self.sites.approving_shop]
            problem = _problem(site, asked)
            if problem:
                return _page(401, f"Error: {problem}.")
            if site.denies:
                return _back(asked, success=False)
            key = site.add_key(asked["scope"], description=f"{asked['app_name']} - API")
            self.sites.version += 1
        if not _hand_over(asked, key):
            # A key that nobody received is of no use to anybody.
            with self.simulation.lock:
                site.keys.remove(key)
            return _page(401, "Error: An error occurred in the request and at the time were unable to send the data.")
        return _back(asked, success=True)


def _problem(site: Site, asked: dict[str, str]) -> str:
    for name in REQUIRED:
        if not asked.get(name):
            return f"Missing parameter {name}"
    if asked["scope"] not in SCOPES:
        return f"Invalid scope {escape(asked['scope'])}"
    for name in ("return_url", "callback_url"):
        parts = urlsplit(asked[name])
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return f"The {name} is not a valid URL"
    if urlsplit(asked["callback_url"]).scheme != "https" and not site.plain_callbacks:
        return "The callback_url needs to be over SSL"
    return ""


def _hand_over(asked: dict[str, str], key: Key) -> bool:
    """Post the keys to the application; False when it did not take them. They are sent to this machine only."""
    body: dict[str, Any] = {
        "key_id": key.key_id,
        "user_id": asked["user_id"],
        "consumer_key": key.consumer_key,
        "consumer_secret": key.consumer_secret,
        "key_permissions": key.permissions,
    }
    parts = urlsplit(asked["callback_url"])
    if parts.hostname not in LOOPBACK:
        return False
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        # A receiver on this machine has a certificate that nobody else vouches for.
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=CALLBACK_SECONDS, context=context)
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=CALLBACK_SECONDS)
    path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    try:
        connection.request("POST", path, orjson.dumps(body), {"Content-Type": "application/json;charset=UTF-8"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _back(asked: dict[str, str], *, success: bool) -> Response:
    return redirect(asked["return_url"], {"success": int(success), "user_id": asked["user_id"]})


def _page(status: int, message: str) -> Response:
    page = f"<!DOCTYPE html><html><head><title>WordPress</title></head><body><p>{message}</p></body></html>"
    return Response(status, page.encode(), HTML)
