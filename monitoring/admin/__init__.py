"""What staff see of the watch."""

from monitoring.admin import watching

__all__ = ["watching"]
