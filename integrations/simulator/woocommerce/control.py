"""`/_simulator/woocommerce/`: what tests may ask of the shops. Not part of WooCommerce."""

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from integrations.simulator.control_body import ControlError, identity, mapping, number, only, read_body, text
from integrations.simulator.quotas import Quotas
from integrations.simulator.routing import Request
from integrations.simulator.simulation import Simulation
from integrations.simulator.woocommerce.changes import new_row
from integrations.simulator.woocommerce.sites import (
    CUSTOMER,
    READ,
    READ_WRITE,
    SHOP_MANAGER,
    WRITE,
    Key,
    Site,
    Sites,
)
from integrations.simulator.world import ON_SALE, Item, Row, World, cents

FLAGS = ("pretty_permalinks", "behind_proxy", "header_stripped", "denies", "plain_callbacks")
PRODUCT_KEYS = {"id", "sku", "name", "price", "quantity", "barcode", "manage_stock", "variations"}


class WooCommerceControl:
    def __init__(self, simulation: Simulation, sites: Sites, quotas: Quotas, advance: Callable[[], World]) -> None:
        self.simulation = simulation
        self.sites = sites
        self.quotas = quotas
        self._advance = advance

    def paths(self) -> dict[tuple[str, str], Callable[[Request], Any]]:
        return {
            ("POST", "woocommerce/settings"): self._set,
            ("POST", "woocommerce/keys"): self._change_keys,
            ("POST", "woocommerce/products"): self._add_product,
            ("POST", "woocommerce/quotas"): self._set_quotas,
        }

    def accounts(self, base_url: str) -> dict[str, Any]:
        """The shops with their keys: consumer_key and consumer_secret are those of the first, which may do all."""
        with self.simulation.lock:
            world = self._advance()
            shops = [self._shop(world, site, base_url) for site in self.sites.by_shop.values()]
        return {"authorize_url": f"{base_url}/wc-auth/v1/authorize", "shops": shops}

    def _shop(self, world: World, site: Site, base_url: str) -> dict[str, Any]:
        first = site.keys[0] if site.keys else None
        return {
            "shop": site.shop,
            "name": site.name,
            "url": base_url,
            "consumer_key": first.consumer_key if first is not None else "",
            "consumer_secret": first.consumer_secret if first is not None else "",
            "currency": site.currency,
            "item_count": sum(1 for _ in world.own_items(site.shop)),
            **_settings(site),
            "keys": [_key(key) for key in site.keys],
        }

    def _site(self, body: dict[str, Any]) -> Site:
        """The shop named, or the first."""
        key = body.get("shop", next(iter(self.sites.by_shop)))
        site = self.sites.by_shop.get(str(key))
        if site is None:
            raise ControlError(f"no shop {key!r}; one of {', '.join(self.sites.by_shop)}")
        return site

    def _set(self, request: Request) -> dict[str, Any]:
        """Of a "shop" (the first): "home_url" ("": as addressed), "time_zone", "batch_limit", and flags.

        Flags: pretty_permalinks; behind_proxy (TLS ends in front of the shop); header_stripped (the Authorization
        header is swallowed); denies (the merchant refuses consent); plain_callbacks (consent may call http://). With
        "approves": true the shop is the one that gives consent.
        """
        body = read_body(request)
        only(body, {"shop", "home_url", "time_zone", "batch_limit", "approves", *FLAGS})
        with self.simulation.lock:
            site = self._site(body)
            if "time_zone" in body:
                if body["time_zone"] not in available_timezones():
                    raise ControlError(f"no time zone {body['time_zone']!r}")
                site.time_zone = ZoneInfo(body["time_zone"]).key
            if "home_url" in body:
                site.home_url = text(body, "home_url")
            limit = number(body, "batch_limit")
            if limit is not None:
                site.batch_limit = int(limit)
            for name in FLAGS:
                if name in body:
                    setattr(site, name, bool(body[name]))
            if body.get("approves"):
                self.sites.approving_shop = site.shop
            self.sites.version += 1
            return {"shop": site.shop, **_settings(site)}

    def _change_keys(self, request: Request) -> dict[str, Any]:
        """A new key of {"shop", "permissions", "role"}, or {"revoke": consumer key}."""
        body = read_body(request)
        only(body, {"shop", "permissions", "role", "revoke"})
        with self.simulation.lock:
            self.sites.version += 1
            if "revoke" in body:
                found = self.sites.find(text(body, "revoke"))
                if found is None:
                    raise ControlError("no such key")
                site, key = found
                site.keys.remove(key)
                return _key(key)
            permissions, role = body.get("permissions", READ_WRITE), body.get("role", SHOP_MANAGER)
            if permissions not in (READ, WRITE, READ_WRITE) or role not in (SHOP_MANAGER, CUSTOMER):
                raise ControlError("permissions is read, write or read_write; role is shop_manager or customer")
            return _key(self._site(body).add_key(permissions, role))

    def _add_product(self, request: Request) -> dict[str, Any]:
        """A product of a given id: {"shop", "id", "sku", "name", "price", "quantity", "barcode", "manage_stock"}.

        With "variations" (each with "id", "sku", "price", "quantity", "barcode" and "attributes": [{"id", "name",
        "option"}]) prices and units are theirs.
        """
        body = read_body(request)
        only(body, {"shop", *PRODUCT_KEYS})
        variations = body.get("variations", [])
        if not isinstance(variations, list):
            raise ControlError("variations is a list")
        with self.simulation.lock:
            world, site = self._advance(), self._site(body)
            id = identity(body.get("id"))
            rows = [_row(world, entry, identity(entry.get("id"))) for entry in variations] or [_row(world, body, 0)]
            item = Item(
                num_iid=id,
                shop=site.shop,
                title=str(body.get("name", f"Product {id}")),
                cid=0,
                outer_id=str(body.get("sku", "")),
                sub_stock=2,
                approve_status=ON_SALE,
                modified=world.now,
                created=world.now,
                list_time=world.now,
                delist_time=world.now,
                sold_quantity=0,
                rows=rows,
            )
            world.items[id] = item
            for key in (id, *(row.sku_id for row in rows)):
                site.details.pop(str(key), None)
            if "manage_stock" in body:
                site.details_of(item).manage_stock = bool(body["manage_stock"])
            for row, entry in zip(rows, variations, strict=False):
                if "manage_stock" in entry:
                    site.details_of(item, row).manage_stock = bool(entry["manage_stock"])
            world.changed()
            return {"id": id}

    def _set_quotas(self, request: Request) -> dict[str, Any]:
        """What the host takes of one shop: {"calls_per_second"}, and {"methods": {name: calls per second}}."""
        body = read_body(request)
        only(body, {"calls_per_second", "methods"})
        methods = mapping(body, "methods") if "methods" in body else {}
        per_method = {name: number(methods, name) or 0.0 for name in methods}
        self.quotas.set(calls_per_second=number(body, "calls_per_second"), calls_per_day=None, per_method=per_method)
        return {"calls_per_second": self.quotas.calls_per_second, "methods": per_method}


def _settings(site: Site) -> dict[str, Any]:
    return {
        "home_url": site.home_url,
        "time_zone": site.time_zone,
        "batch_limit": site.batch_limit,
        **{name: getattr(site, name) for name in FLAGS},
    }


def _key(key: Key) -> dict[str, Any]:
    return {
        "key_id": key.key_id,
        "consumer_key": key.consumer_key,
        "consumer_secret": key.consumer_secret,
        "permissions": key.permissions,
        "role": key.role,
        "description": key.description,
    }


def _row(world: World, entry: dict[str, Any], id: int) -> Row:
    row = new_row(world, id)
    row.outer_id, row.barcode = str(entry.get("sku", "")), str(entry.get("barcode", ""))
    row.price = row.live_price = row.reference_price = cents(str(entry.get("price", "10.00")))
    row.quantity = int(number(entry, "quantity") or 0)
    row.properties_name = ";".join(
        f"{found.get('id', 0)}:0:{found['name']}:{found['option']}" for found in entry.get("attributes", [])
    )
    return row
