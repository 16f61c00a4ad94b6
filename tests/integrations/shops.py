"""Channels that are connected to shops of the simulator, one function per way of being let in."""

from typing import Any

from tests.factories import CredentialFactory
from tests.simulator import Simulator


def taobao_channel(simulator: Simulator) -> Any:
    """A channel of the first Taobao shop."""
    account = simulator.taobao.account
    return CredentialFactory(
        app_key=account["app_key"],
        app_secret=account["app_secret"],
        access_token=simulator.taobao.shop()["session"],
        base_url=simulator.base_url,
        channel__name="天猫旗舰店",
    ).channel


def shopify_channel(simulator: Simulator, *, kind: str = "client_credentials", **stored: Any) -> Any:
    """A channel of the first Shopify shop, without a token unless its kind has one that is entered."""
    shop = simulator.shopify.shop()
    app = simulator.shopify.account["public_app"] if kind == "public" else shop
    keys = {"app_key": "", "app_secret": "", "access_token": shop["access_token"]}
    if kind != "custom":
        keys = {"app_key": app["client_id"], "app_secret": app["client_secret"], "access_token": ""}
    return CredentialFactory(
        channel__platform="shopify",
        channel__currency="USD",
        base_url=simulator.base_url,
        options={"shop": shop["domain"], "app_kind": kind},
        **{**keys, **stored},
    ).channel


def woocommerce_channel(simulator: Simulator, **stored: Any) -> Any:
    """A channel of the first WooCommerce shop."""
    shop = simulator.woocommerce.shop()
    keys = {"app_key": shop["consumer_key"], "app_secret": shop["consumer_secret"], "access_token": ""}
    of_shop = {"base_url": shop["url"], **keys, **stored}
    return CredentialFactory(channel__platform="woocommerce", channel__currency="EUR", **of_shop).channel
