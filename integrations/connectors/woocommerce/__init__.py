"""WooCommerce's REST API, version 3."""

from integrations.connectors.woocommerce.client import WooCommerceConnector

__all__ = ["WooCommerceConnector"]
