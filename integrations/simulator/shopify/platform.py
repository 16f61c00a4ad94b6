"""Shopify as a part of the simulation: its paths, its accounts and what control may do to it."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from integrations.simulator.control_body import ControlError, identity, number, only, read_body, text, texts
from integrations.simulator.routing import Handler, Request
from integrations.simulator.shopify.accounts import OPEN, STATUSES, Accounts, App
from integrations.simulator.shopify.bulk import RESULTS
from integrations.simulator.shopify.catalogue import Catalogue, gid, inventory_item_id
from integrations.simulator.shopify.cost import PLANS
from integrations.simulator.shopify.gateway import PREFIX, Gateway
from integrations.simulator.shopify.idempotency import FAILED, RUNNING
from integrations.simulator.shopify.oauth import OAuth
from integrations.simulator.shopify.payloads import location_body, scopes_body
from integrations.simulator.shopify.schema import Versions
from integrations.simulator.shopify.subscriptions import (
    LOCATION_ACTIVATED,
    LOCATION_DEACTIVATED,
    SCOPES_CHANGED,
    UNINSTALLED,
    Sender,
    tell,
)
from integrations.simulator.simulation import Simulation
from integrations.simulator.world import SHOPIFY, amount


class Shopify:
    name = SHOPIFY

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.state = Accounts(simulation.shops_of(SHOPIFY), simulation.seed)
        self.gateway = Gateway(simulation, self.state)
        self.oauth = OAuth(simulation, self.state)
        simulation.webhooks.register(SHOPIFY, Sender(self.state))

    @property
    def version(self) -> int:
        return self.state.version

    def routes(self) -> dict[str, Handler]:
        return {
            PREFIX: self.gateway.handle,
            RESULTS: self.gateway.bulk.serve,
            "/admin/oauth/authorize": self.oauth.authorize,
            "/admin/oauth/access_token": self.oauth.token,
        }

    def control(self) -> dict[tuple[str, str], Callable[[Request], Any]]:
        return {
            ("GET", "shopify/variants"): self._variants,
            ("POST", "shopify/unstock"): self._unstock,
            ("POST", "shopify/stores"): self._set_store,
            ("POST", "shopify/tokens"): self._change_tokens,
            ("POST", "shopify/oauth"): self._set_oauth,
            ("POST", "shopify/versions"): self._set_versions,
            ("POST", "shopify/bulk"): self._set_bulk,
            ("POST", "shopify/idempotency"): self._set_idempotency,
        }

    def reset(self) -> None:
        self.state.reset()
        self.gateway.idempotency.clear()
        self.gateway.bulk.reset()

    def to_json(self) -> dict[str, Any]:
        return self.state.to_json()

    def restore(self, data: dict[str, Any]) -> None:
        self.state.restore(data)

    # Accounts

    def accounts(self, base_url: str) -> dict[str, Any]:
        """The applications, and each shop with the credentials of its own one."""
        world = self.simulation.world
        shops = []
        for key, shop in self.state.shops.items():
            app, store = self.state.custom_app(key), self.state.stores[key]
            shops.append(
                {
                    "shop": key,
                    "domain": self.state.domain(key),
                    "url": base_url,
                    "access_token": self.state.permanent_token(key),
                    "client_id": app.client_id,
                    "client_secret": app.client_secret,
                    "scopes": app.scopes,
                    "currency": shop.currency,
                    "plan": store.plan,
                    "status": store.status,
                    "locations": [gid("Location", location) for location in shop.locations],
                    "item_count": sum(1 for _ in world.own_items(key)),
                }
            )
        return {
            "api_version": self.state.versions.latest,
            "apps": [_app(app) for app in self.state.apps.values()],
            "public_app": _app(self.state.public_app),
            "shops": shops,
        }

    def _shop(self, key: object) -> str:
        if key not in self.state.shops:
            raise ControlError(f"no shop {key!r}; one of {', '.join(self.state.shops)}")
        return str(key)

    def _variants(self, request: Request) -> dict[str, Any]:
        """Every variant of ?shop= (the first) under the platform's ids: the truth that answers are compared with."""
        wanted = parse_qs(request.query).get("shop", [next(iter(self.state.shops), "")])[0]
        shop = self.state.shops[self._shop(wanted)]
        with self.simulation.lock:
            catalogue = Catalogue(self.simulation.advance(), shop.key)
            return {
                "variants": [
                    {
                        "num_iid": item.num_iid,
                        "sku_id": row.sku_id,
                        "product_id": gid("Product", item.num_iid),
                        "variant_id": gid("ProductVariant", row.sku_id),
                        "inventory_item_id": gid("InventoryItem", inventory_item_id(row)),
                        "sku": row.outer_id,
                        "barcode": row.barcode,
                        "price": amount(row.live_price, shop.decimals),
                        "compare_at_price": None if row.compare_at is None else amount(row.compare_at, shop.decimals),
                        "status": "ACTIVE" if item.approve_status == "onsale" else "DRAFT",
                        "levels": {gid("Location", location): units for location, units in row.levels.items()},
                        "committed": {
                            gid("Location", location): catalogue.committed(row, location) for location in row.levels
                        },
                    }
                    for item, row in catalogue.all_variants()
                ]
            }

    # What control may do

    def _set_store(self, request: Request) -> dict[str, Any]:
        """{"shop": key} with "plan", "status" (open, frozen, forbidden, locked, rejected), "scopes", "points" left of
        every application, "inactive_locations" (global ids).
        """
        body = read_body(request)
        only(body, {"shop", "plan", "status", "scopes", "points", "inactive_locations"})
        shop = self._shop(body.get("shop"))
        store = self.state.stores[shop]
        with self.simulation.lock:
            if "plan" in body:
                if body["plan"] not in PLANS:
                    raise ControlError(f"plan is one of {', '.join(PLANS)}")
                self.state.set_plan(shop, body["plan"])
            if "status" in body:
                if body["status"] not in (OPEN, *STATUSES):
                    raise ControlError(f"status is one of {', '.join((OPEN, *STATUSES))}")
                store.status = body["status"]
            if "scopes" in body:
                self._set_scopes(shop, texts(body, "scopes"))
            points = number(body, "points")
            if points is not None:
                for token in self.state.tokens.values():
                    if token.shop == shop:
                        self.state.bucket(token).set(points)
            if "inactive_locations" in body:
                ids = texts(body, "inactive_locations")
                found = [place for place in self.state.shops[shop].locations if gid("Location", place) in ids]
                changed = set(found) ^ set(store.inactive_locations)
                store.inactive_locations = found
                for place in sorted(changed):
                    self._tell_location(shop, place, is_active=place not in found)
            self.state.version += 1
        return {"shop": shop, "plan": store.plan, "status": store.status}

    def _set_scopes(self, shop: str, scopes: list[str]) -> None:
        """Change what every application may do in a shop, and tell those for which that is something else."""
        for client_id, previous in self.state.set_scopes(shop, scopes).items():
            if previous != scopes:
                body = scopes_body(self.state.shops[shop], previous, scopes, self.simulation.world.now)
                tell(self.simulation.webhooks, shop, SCOPES_CHANGED, body, client_id)

    def _tell_location(self, shop: str, location: int, *, is_active: bool) -> None:
        topic = LOCATION_ACTIVATED if is_active else LOCATION_DEACTIVATED
        body = location_body(self.simulation.world, self.state.shops[shop], location, is_active=is_active)
        tell(self.simulation.webhooks, shop, topic, body)

    def _unstock(self, request: Request) -> dict[str, Any]:
        """{"num_iid", "sku_id", "location": global id}: the variant is not stocked there any more."""
        body = read_body(request)
        only(body, {"num_iid", "sku_id", "location"})
        with self.simulation.lock:
            world = self.simulation.advance()
            item = world.items.get(identity(body.get("num_iid")))
            wanted = identity(body.get("sku_id"))
            row = None if item is None else next((row for row in item.rows if row.sku_id == wanted), None)
            location = next(
                (place for place in (row.levels if row else ()) if gid("Location", place) == body["location"]), None
            )
            if item is None or row is None or location is None:
                raise ControlError("no variant that is stocked at this location")
            world.unstock(item, row, location)
        return {"locations": len(row.levels)}

    def _change_tokens(self, request: Request) -> dict[str, Any]:
        """{"expire": shop} (what can expire), {"revoke": shop} (as uninstalling does), {"revoke_refresh": shop},
        {"rotate_secret": shop}.
        """
        body = read_body(request)
        only(body, {"expire", "revoke", "revoke_refresh", "rotate_secret"})
        count = 0
        if "expire" in body:
            count += self.state.change_tokens(self._shop(body["expire"]), expire=True)
        if "revoke" in body:
            shop = self._shop(body["revoke"])
            count += self.state.change_tokens(shop, revoke=True)
            uninstalled = {"id": self.state.shops[shop].user_id, "myshopify_domain": self.state.domain(shop)}
            tell(self.simulation.webhooks, shop, UNINSTALLED, uninstalled)
        if "revoke_refresh" in body:
            count += self.state.change_tokens(self._shop(body["revoke_refresh"]), refresh=True)
        if "rotate_secret" in body:
            self.state.rotate_secret(self.state.custom_app(self._shop(body["rotate_secret"])))
        return {"tokens": count}

    def _set_oauth(self, request: Request) -> dict[str, Any]:
        """{"deny": bool, "shop": who approves}; {"redirect_uris"} of "client_id", or of the public application."""
        body = read_body(request)
        only(body, {"deny", "shop", "redirect_uris", "client_id"})
        app = self.state.apps.get(str(body["client_id"])) if "client_id" in body else self.state.public_app
        if app is None:
            raise ControlError(f"no application {body['client_id']}")
        if "shop" in body:
            self.state.approving_shop = self._shop(body["shop"])
        if "deny" in body:
            self.state.denies = bool(body["deny"])
        if "redirect_uris" in body:
            app.redirect_uris = texts(body, "redirect_uris")
        self.state.version += 1
        return {"deny": self.state.denies, "shop": self.state.approving_shop, "app": _app(app)}

    def _set_versions(self, request: Request) -> dict[str, Any]:
        """{"oldest": version, "latest": version}: older ones fall forward, the one after the latest is a candidate."""
        body = read_body(request)
        only(body, {"oldest", "latest"})
        now = self.state.versions
        wanted = Versions(str(body.get("oldest", now.oldest)), str(body.get("latest", now.latest)))
        if wanted.oldest > wanted.latest or any(now.served(version) is None for version in (wanted.oldest,)):
            raise ControlError("versions are dates such as 2026-10, the oldest before the latest")
        self.state.versions = wanted
        return {"versions": wanted.all()}

    def _set_bulk(self, request: Request) -> dict[str, Any]:
        """{"seconds": what an operation takes, "fail": error code of the next one}."""
        body = read_body(request)
        only(body, {"seconds", "fail"})
        bulk, seconds = self.gateway.bulk, number(body, "seconds")
        bulk.seconds = bulk.seconds if seconds is None else seconds
        bulk.next_error = text(body, "fail") if "fail" in body else bulk.next_error
        return {"seconds": bulk.seconds, "fail": bulk.next_error}

    def _set_idempotency(self, request: Request) -> dict[str, Any]:
        """{"shop", "key", "state": "running" or "failed"}: as if a call of the shop's application had used the key."""
        body = read_body(request)
        only(body, {"shop", "key", "state"})
        if body.get("state") not in (RUNNING, FAILED):
            raise ControlError(f"state is {RUNNING!r} or {FAILED!r}")
        shop = self._shop(body.get("shop"))
        app = self.state.custom_app(shop)
        self.gateway.idempotency.put(app.client_id, shop, text(body, "key"), body["state"])
        return {"key": body["key"]}


def _app(app: App) -> dict[str, Any]:
    return {
        "client_id": app.client_id,
        "client_secret": app.client_secret,
        "kind": app.kind,
        "shop": app.shop,
        "scopes": app.scopes,
        "redirect_uris": app.redirect_uris,
    }
