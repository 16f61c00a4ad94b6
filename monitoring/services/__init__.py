"""What happens in monitoring: listings are claimed, readings are recorded, history is kept and pruned."""

from monitoring.services.alerts import acknowledge, add_note, assign, reopen, resolve, snooze, wake_snoozed
from monitoring.services.pruning import PruneSummary, prune
from monitoring.services.recording import Recorded, record
from monitoring.services.watching import (
    LEASE,
    Claim,
    Run,
    claim_due,
    claim_listings,
    close_idle_runs,
    close_run,
    due_channels,
    due_watches,
    ensure_watches,
    make_all_due,
    next_due,
    open_run,
    release,
)

__all__ = [
    "LEASE",
    "Claim",
    "PruneSummary",
    "Recorded",
    "Run",
    "acknowledge",
    "add_note",
    "assign",
    "claim_due",
    "claim_listings",
    "close_idle_runs",
    "close_run",
    "due_channels",
    "due_watches",
    "ensure_watches",
    "make_all_due",
    "next_due",
    "open_run",
    "prune",
    "record",
    "release",
    "reopen",
    "resolve",
    "snooze",
    "wake_snoozed",
]
