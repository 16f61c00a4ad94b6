"""Thresholds at work: judged as readings are stored, by the clock, and over history as a preview."""

from monitoring.services.thresholds.clock import check_authorisations, check_blind, end_abandoned
from monitoring.services.thresholds.figures import listings_of
from monitoring.services.thresholds.readings import Read, check_readings
from monitoring.services.thresholds.replay import PREVIEW_DAYS, Firing, Preview, preview

__all__ = [
    "PREVIEW_DAYS",
    "Firing",
    "Preview",
    "Read",
    "check_authorisations",
    "check_blind",
    "check_readings",
    "end_abandoned",
    "listings_of",
    "preview",
]
