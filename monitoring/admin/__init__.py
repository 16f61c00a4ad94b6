"""What staff see of the watch."""

from monitoring.admin import (
    alert_board,
    alert_panels,
    collisions,
    mapping_check,
    plan_pages,
    plan_rules,
    plan_runs,
    preflight,
    price_runs,
    sales_history,
    thresholds,
    watching,
)

__all__ = [
    "alert_board",
    "alert_panels",
    "collisions",
    "mapping_check",
    "plan_pages",
    "plan_rules",
    "plan_runs",
    "preflight",
    "price_runs",
    "sales_history",
    "thresholds",
    "watching",
]
