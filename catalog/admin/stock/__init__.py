"""Pages about stock: levels, the ledger, what people book by hand, transfers, orders, and what channels may show."""

from catalog.admin.stock import levels, movements, orders, panels, rules, transfers, warehouses

__all__ = ["levels", "movements", "orders", "panels", "rules", "transfers", "warehouses"]
