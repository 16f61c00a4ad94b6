"""Every platform we can talk to, by the name stored on the channel."""

from integrations.connectors.base import Connector
from integrations.connectors.shopify import ShopifyConnector
from integrations.connectors.taobao import TaobaoConnector
from integrations.connectors.woocommerce import WooCommerceConnector

CONNECTORS: dict[str, type[Connector]] = {
    connector.platform: connector for connector in (TaobaoConnector, ShopifyConnector, WooCommerceConnector)
}

__all__ = ["CONNECTORS"]
