"""What staff see of the catalog."""

from catalog.admin import audit, channel, listing, product, staff

__all__ = ["audit", "channel", "listing", "product", "staff"]
