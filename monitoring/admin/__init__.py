"""What staff see of the watch."""

from monitoring.admin import alert_board, alert_panels, mapping_check, thresholds, watching

__all__ = ["alert_board", "alert_panels", "mapping_check", "thresholds", "watching"]
