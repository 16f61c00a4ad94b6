"""What staff see of the catalog."""

from catalog.admin import (
    api_key,
    audit,
    channel,
    costs,
    listing,
    mapping,
    pricing,
    product,
    promotion,
    purchasing,
    staff,
    stock,
)

__all__ = [
    "api_key",
    "audit",
    "channel",
    "costs",
    "listing",
    "mapping",
    "pricing",
    "product",
    "promotion",
    "purchasing",
    "staff",
    "stock",
]
