from catalog.models.api_key import ApiKey
from catalog.models.audit import AuditEvent
from catalog.models.channel import Channel, Platform
from catalog.models.costs import ChannelFees, ExchangeRate
from catalog.models.dismissal import Dismissal
from catalog.models.listing import Listing
from catalog.models.order import LineCause, Order, OrderLine
from catalog.models.product import Product, Sku, SkuCost, Supplier
from catalog.models.promotion import ChannelPricing, Promotion
from catalog.models.proposal import ListingSales, Proposal, ProposalSales, ShopRead, UnmappedListing
from catalog.models.purchasing import (
    Lane,
    PurchaseOrder,
    PurchaseOrderLine,
    PurchaseReceipt,
    PurchaseReceiptLine,
    SupplierSku,
)
from catalog.models.staff import User
from catalog.models.stock import (
    BundleComponent,
    ChannelLocation,
    StockLevel,
    StockMovement,
    StockRule,
    Transfer,
    Warehouse,
)

__all__ = [
    "ApiKey",
    "AuditEvent",
    "BundleComponent",
    "Channel",
    "ChannelFees",
    "ChannelLocation",
    "ChannelPricing",
    "Dismissal",
    "ExchangeRate",
    "Lane",
    "LineCause",
    "Listing",
    "ListingSales",
    "Order",
    "OrderLine",
    "Platform",
    "Product",
    "Promotion",
    "Proposal",
    "ProposalSales",
    "PurchaseOrder",
    "PurchaseOrderLine",
    "PurchaseReceipt",
    "PurchaseReceiptLine",
    "ShopRead",
    "Sku",
    "SkuCost",
    "StockLevel",
    "StockMovement",
    "StockRule",
    "Supplier",
    "SupplierSku",
    "Transfer",
    "UnmappedListing",
    "User",
    "Warehouse",
]
