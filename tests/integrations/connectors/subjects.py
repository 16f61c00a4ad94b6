"""One shop of each platform in the simulator, as the contract suite needs it: the truth, and what a test may do to it.

A subject says how its platform is spoiled or moved; what must come of that is the contract's business.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import requests
import woocommerce

from integrations.connectors import CONNECTORS
from integrations.connectors.base import Connector, ListingRef, StockTarget
from integrations.connectors.clock import Clock


@dataclass(frozen=True)
class Row:
    """One sellable variant as it truly is."""

    item_id: str
    sku_id: str
    outer_id: str
    stock: int | None  # None: the shop does not count it
    list_price: Decimal
    levels: dict[str, int] = field(default_factory=dict)  # by location; {}: the platform has none

    def ref(self, listing_id: int = 1, *, is_own: bool = True) -> ListingRef:
        return ListingRef(listing_id, self.item_id, self.sku_id, is_own)

    @property
    def location_id(self) -> str:
        return next(iter(self.levels), "")

    @property
    def shown(self) -> int:
        """What a push to `location_id` compares with."""
        if self.levels:
            return self.levels[self.location_id]
        assert self.stock is not None
        return self.stock

    def target(self, quantity: int, listing_id: int = 1, *, expected: int | None = None) -> StockTarget:
        return StockTarget(listing_id, self.item_id, self.sku_id, quantity, expected, self.location_id)


def _has_some(row: Row) -> bool:
    return row.stock is not None and row.stock > 5 and row.shown > 5


class Subject:
    """What every platform's subject offers; the methods raise where the platform has nothing of the kind."""

    platform: ClassVar[str]
    read_call: ClassVar[str]  # as faults name the call that reads listings
    write_call: ClassVar[str]
    can_lose_writes: ClassVar[bool] = True
    oauth_class: ClassVar[bool] = False

    connector: Connector
    control: Any

    def __init__(self, simulator: Any) -> None:
        self.simulator = simulator

    def build(self, base_url: str = "", **settings: str) -> Connector:
        connector_class = CONNECTORS[self.platform]
        credentials = connector_class.Credentials.from_settings(settings)
        return connector_class(credentials, base_url=base_url or self.simulator.base_url)

    def rows(self) -> list[Row]:
        raise NotImplementedError

    def codes(self) -> dict[tuple[str, str], str]:
        """The merchant's code of everything the shop sells, by item and variant."""
        return {(row.item_id, row.sku_id): row.outer_id for row in self.rows()}

    def row(self, row: Row) -> Row:
        """The same row as it is now."""
        return next(each for each in self.rows() if (each.item_id, each.sku_id) == (row.item_id, row.sku_id))

    def ordinary(self, count: int = 1) -> list[Row]:
        """Rows of different items, each with some stock."""
        found: dict[str, Row] = {}
        for row in self.rows():
            if _has_some(row):
                found.setdefault(row.item_id, row)
        return list(found.values())[:count]

    def siblings(self, count: int) -> list[Row]:
        """Rows that one call can write together, each with some stock."""
        groups: dict[str, list[Row]] = {}
        for row in self.rows():
            if _has_some(row) and row.sku_id:
                groups.setdefault(row.item_id, []).append(row)
        return next(group for group in groups.values() if len(group) >= count)[:count]

    def unknown(self, row: Row) -> Row:
        """A variant that is not there, which one call could write together with `row`."""
        return Row(row.item_id, "4999999999999", "", 10, Decimal(1), dict(row.levels))

    def move_stock(self, row: Row, quantity: int) -> None:
        raise NotImplementedError

    def fail(self, call: str, kind: str, **rule: Any) -> None:
        self.control.fail_next(method=call, kind=kind, **rule)

    def throttle(self) -> None:
        """The next read is told to come back later."""
        raise NotImplementedError

    def end_access(self) -> None:
        """What the connector holds to be let in ends now."""
        raise NotImplementedError

    def with_access(self) -> Connector:
        """A connector that is let in again after end_access()."""
        raise NotImplementedError

    def order(self, row: Row, quantity: int) -> str:
        """A buyer orders now; returns the order's id."""
        raise NotImplementedError

    def subscribe(self, address: str) -> tuple[str, ...]:
        """Have changes of products and stock told to an address; returns the secrets they may be signed with."""
        raise NotImplementedError

    def made_up(self) -> dict[str, str]:
        """Settings that are complete, of no account at all."""
        raise NotImplementedError

    def priced(self) -> list[tuple[Connector, Row]]:
        """A row of a shop of every currency the platform has here, with the connector of its shop."""
        return [(self.connector, self.rows()[0])]


class TaobaoSubject(Subject):
    platform = "taobao"
    read_call = "taobao.items.seller.list.get"
    write_call = "tmall.item.quantity.update"
    oauth_class = True

    def __init__(self, simulator: Any) -> None:
        super().__init__(simulator)
        self.control = simulator.taobao
        self.account, self.shop = self.control.account, self.control.shop()
        self.connector = self._connect(access_token=self.shop["session"])
        service = next(app for app in self.account["apps"] if app["app_type"] == "service-market")
        self.refreshing = self.build(app_key=service["app_key"], app_secret=service["app_secret"], app_type="service")

    def _connect(self, **more: str) -> Connector:
        return self.build(
            app_key=self.account["app_key"], app_secret=self.account["app_secret"], shop_kind="tmall", **more
        )

    def rows(self) -> list[Row]:
        return [
            Row(str(row["num_iid"]), str(row["sku_id"] or ""), row["outer_id"], row["quantity"], Decimal(row["price"]))
            for row in self.control.items(shop=self.shop["shop"])
        ]

    def others(self) -> list[Row]:
        return [
            Row(str(row["num_iid"]), "", row["outer_id"], row["quantity"], Decimal(row["price"]))
            for row in self.control.items()
            if not row["own"] and row["approve_status"] == "onsale"
        ]

    def move_stock(self, row: Row, quantity: int) -> None:
        self.control.set_item(row.item_id, row.sku_id, quantity=quantity)

    def throttle(self) -> None:
        self.control.fail_next(code=7, msg="App Call Limited", sub_code="accesscontrol.limited-by-api-access-count")

    def end_access(self) -> None:
        self.control.expire_session(self.shop["shop"])

    def order(self, row: Row, quantity: int) -> str:
        return str(self.control.order(int(row.item_id), int(row.sku_id) if row.sku_id else "", quantity))

    def with_access(self) -> Connector:
        tokens = authorised(self.connector)
        return self._connect(access_token=tokens.access_token)

    def made_up(self) -> dict[str, str]:
        return {"app_key": "1", "app_secret": "geheim-1", "access_token": "geheim-2"}


class ShopifySubject(Subject):
    platform = "shopify"
    read_call = "*"
    write_call = "inventorySetQuantities"
    oauth_class = True

    def __init__(self, simulator: Any, shop: str = "shopify-nuanju") -> None:
        super().__init__(simulator)
        self.control = simulator.shopify
        self.shop = self.control.shop(shop)
        self.connector = self._connect(access_token=self.shop["access_token"])
        public = self.control.account["public_app"]
        self.refreshing = self.build(
            shop=self.shop["domain"],
            app_kind="public",
            app_key=public["client_id"],
            app_secret=public["client_secret"],
        )

    def _connect(self, **more: str) -> Connector:
        keys = {"app_key": self.shop["client_id"], "app_secret": self.shop["client_secret"]}
        return self.build(shop=self.shop["domain"], **keys, **more)

    def rows(self) -> list[Row]:
        found = []
        for row in self.control.variants(self.shop["shop"]):
            levels = {place.rpartition("/")[2]: units for place, units in row["levels"].items()}
            price = Decimal(row["compare_at_price"] or row["price"])
            found.append(Row(str(row["num_iid"]), str(row["sku_id"]), row["sku"], sum(levels.values()), price, levels))
        return found

    def _variant(self, row: Row) -> dict[str, Any]:
        return {"num_iid": int(row.item_id), "sku_id": int(row.sku_id)}

    def move_stock(self, row: Row, quantity: int) -> None:
        self.control.set_variant(self._variant(row), location=f"/{row.location_id}", quantity=quantity)

    def throttle(self) -> None:
        self.control.fail_next(method=self.read_call, sub_code="THROTTLED", msg="Throttled")

    def end_access(self) -> None:
        self.control.change_tokens(revoke=self.shop["shop"])

    def with_access(self) -> Connector:
        return self._connect(access_token=self.connector.request_token(now=datetime.now(UTC)).access_token)

    def order(self, row: Row, quantity: int) -> str:
        return str(self.control.order(self._variant(row), quantity, f"/{row.location_id}"))

    def subscribe(self, address: str) -> tuple[str, ...]:
        document = """
            mutation($topic: WebhookSubscriptionTopic!, $sub: WebhookSubscriptionInput!) {
              webhookSubscriptionCreate(topic: $topic, webhookSubscription: $sub) {
                webhookSubscription { id }
                userErrors { message }
              }
            }"""
        https = address.replace("http://", "https://")  # as Shopify demands; the simulator sends it plainly
        for topic in ("PRODUCTS_UPDATE", "INVENTORY_LEVELS_UPDATE"):
            answer = requests.post(
                f"{self.simulator.base_url}/admin/api/2026-10/graphql.json",
                json={"query": document, "variables": {"topic": topic, "sub": {"uri": https, "format": "JSON"}}},
                headers={"X-Shopify-Access-Token": self.shop["access_token"]},
                timeout=5,
            ).json()
            assert not answer["data"]["webhookSubscriptionCreate"]["userErrors"], answer
        return (self.shop["client_secret"],)

    def made_up(self) -> dict[str, str]:
        return {"shop": "nobody.myshopify.com", "app_key": "1", "app_secret": "geheim-1", "access_token": "geheim-2"}

    def priced(self) -> list[tuple[Connector, Row]]:
        yen = ShopifySubject(self.simulator, "shopify-tokyo")
        return [(self.connector, self.rows()[0]), (yen.connector, yen.rows()[0])]


class WooCommerceSubject(Subject):
    platform = "woocommerce"
    read_call = "GET products"
    write_call = "POST products/{product_id}/variations/batch"

    def __init__(self, simulator: Any, shop: str = "woo-yatai") -> None:
        super().__init__(simulator)
        self.control = simulator.woocommerce
        self.shop = self.control.shop(shop)
        self.connector = self._connect(self.shop)
        self._manages = self._counted()

    def _connect(self, key: dict[str, str]) -> Connector:
        return self.build(app_key=key["consumer_key"], app_secret=key["consumer_secret"])

    def rows(self) -> list[Row]:
        counted = self._manages
        return [
            Row(
                str(row["num_iid"]),
                str(row["sku_id"] or ""),
                row["outer_id"],
                row["quantity"] if counted[str(row["sku_id"] or row["num_iid"])] is True else None,
                Decimal(row["compare_at"] or row["live_price"]),
            )
            for row in self.control.items(self.shop["shop"])
            if counted[str(row["sku_id"] or row["num_iid"])] != "parent"  # one figure for several listings
        ]

    def codes(self) -> dict[tuple[str, str], str]:
        rows = self.control.items(self.shop["shop"])
        return {(str(row["num_iid"]), str(row["sku_id"] or "")): row["outer_id"] for row in rows}

    def _counted(self) -> dict[str, bool | str]:
        """Whether the shop counts the stock of a product or variation, as an independent client of the shop sees it."""
        keys = self.shop["consumer_key"], self.shop["consumer_secret"]
        client = woocommerce.API(self.simulator.base_url, *keys, version="wc/v3", timeout=10)
        counted: dict[str, bool | str] = {}
        for path in ("products", "variations"):
            page = 1
            while found := client.get(path, params={"per_page": 100, "page": page}).json():
                counted |= {str(row["id"]): row["manage_stock"] for row in found}
                page += 1
        return counted

    def move_stock(self, row: Row, quantity: int) -> None:
        self.control.set_item(int(row.item_id), int(row.sku_id) if row.sku_id else "", quantity=quantity)

    def throttle(self) -> None:
        self.control.fail_next(method=self.read_call, status=429, headers={"Retry-After": "30"})

    def end_access(self) -> None:
        self.control.revoke_key(self.shop["consumer_key"])

    def with_access(self) -> Connector:
        return self._connect(self.control.add_key(self.shop["shop"]))

    def order(self, row: Row, quantity: int) -> str:
        return str(self.control.order(int(row.item_id), int(row.sku_id) if row.sku_id else "", quantity))

    def subscribe(self, address: str) -> tuple[str, ...]:
        body = {"name": "Evenshelf", "topic": "product.updated", "delivery_url": address, "secret": "hooksecret1"}
        self.connector._gateway.call("POST", "webhooks", Clock(datetime.now(UTC)), body=body)  # type: ignore[attr-defined]
        return ("hooksecret1",)

    def made_up(self) -> dict[str, str]:
        return {"app_key": f"ck_{'1' * 40}", "app_secret": f"cs_{'2' * 40}"}

    def priced(self) -> list[tuple[Connector, Row]]:
        dollars = WooCommerceSubject(self.simulator, "woo-hudson")
        return [(self.connector, self.rows()[0]), (dollars.connector, dollars.rows()[0])]


CALLBACK = "http://127.0.0.1:8000/back"


def authorised(connector: Connector) -> Any:
    """Tokens by the consent that the simulator gives at once."""
    answer = requests.get(connector.authorise_url(redirect_uri=CALLBACK, state="s-1"), allow_redirects=False, timeout=5)
    query = {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}
    assert query["state"] == "s-1"
    assert connector.check_callback(query)
    return connector.exchange_code(code=query["code"], redirect_uri=CALLBACK, now=datetime.now(UTC))


SUBJECTS: dict[str, Callable[[Any], Subject]] = {
    subject.platform: subject for subject in (TaobaoSubject, ShopifySubject, WooCommerceSubject)
}
