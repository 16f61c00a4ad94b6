"""Shopify's Admin API over GraphQL."""

from integrations.connectors.shopify.client import ShopifyConnector
from integrations.connectors.shopify.credentials import ShopifyCredentials

__all__ = ["ShopifyConnector", "ShopifyCredentials"]
