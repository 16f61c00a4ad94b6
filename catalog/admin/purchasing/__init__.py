"""Pages about buying: purchase orders from draft to receipt, the terms of suppliers, lanes between warehouses."""

from catalog.admin.purchasing import lanes, orders, panels, terms

__all__ = ["lanes", "orders", "panels", "terms"]
