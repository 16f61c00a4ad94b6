"""News from monitoring for the rooms above it; sent after the commit, never inside a transaction."""

from django.dispatch import Signal

# There is something to tell within the next minute; what and whom is in the table of notifications.
notification_queued = Signal()
