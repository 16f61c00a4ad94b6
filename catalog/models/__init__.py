from catalog.models.api_key import ApiKey
from catalog.models.audit import AuditEvent
from catalog.models.channel import Channel, Platform
from catalog.models.dismissal import Dismissal
from catalog.models.listing import Listing
from catalog.models.product import Product, Sku, Supplier
from catalog.models.proposal import ListingSales, Proposal, ProposalSales, ShopRead, UnmappedListing
from catalog.models.staff import User

__all__ = [
    "ApiKey",
    "AuditEvent",
    "Channel",
    "Dismissal",
    "Listing",
    "ListingSales",
    "Platform",
    "Product",
    "Proposal",
    "ProposalSales",
    "ShopRead",
    "Sku",
    "Supplier",
    "UnmappedListing",
    "User",
]
