"""What staff see of the watch."""

from monitoring.admin import alert_panels, alerts, thresholds, watching

__all__ = ["alert_panels", "alerts", "thresholds", "watching"]
