"""Pages by which staff switch stock sync on and off, look at dry runs and decide what goes to 0."""

from integrations.syncing.control import locations, panel

__all__ = ["locations", "panel"]
