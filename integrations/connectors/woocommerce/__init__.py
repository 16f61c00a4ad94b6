"""WooCommerce's REST API, version 3."""

from integrations.connectors.woocommerce.client import WooCommerceConnector
from integrations.connectors.woocommerce.credentials import WooCommerceCredentials

__all__ = ["WooCommerceConnector", "WooCommerceCredentials"]
