"""Shopify's Admin API over GraphQL."""

from integrations.connectors.shopify.client import ShopifyConnector

__all__ = ["ShopifyConnector"]
