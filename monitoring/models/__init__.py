"""What is stored: what we saw, what people want to be told of, and what they were told."""

from monitoring.models.alerts import Alert, AlertKind, Severity
from monitoring.models.history import GAP_INTERVALS, DailyRollup, ListingWatch, Observation, PollRun
from monitoring.models.notifications import Delivery, Notification, Route, Target
from monitoring.models.planning import (
    Advice,
    DemandHistory,
    ForecastOverride,
    ForecastReport,
    ImportedSale,
    PlanPolicy,
    PlanRun,
    SalesImport,
    SkuPlan,
)
from monitoring.models.prices import Collision, ListingPrice, PriceQuote, PriceRun
from monitoring.models.thresholds import Threshold

__all__ = [
    "GAP_INTERVALS",
    "Advice",
    "Alert",
    "AlertKind",
    "Collision",
    "DailyRollup",
    "Delivery",
    "DemandHistory",
    "ForecastOverride",
    "ForecastReport",
    "ImportedSale",
    "ListingPrice",
    "ListingWatch",
    "Notification",
    "Observation",
    "PlanPolicy",
    "PlanRun",
    "PollRun",
    "PriceQuote",
    "PriceRun",
    "Route",
    "SalesImport",
    "Severity",
    "SkuPlan",
    "Target",
    "Threshold",
]
