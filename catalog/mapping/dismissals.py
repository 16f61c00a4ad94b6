"""Findings of the mapping check that a person holds for fine, and how that is taken back."""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_noop

from catalog.mapping_lint import Finding
from catalog.models import Dismissal, Listing, User
from catalog.services import audit

DISMISSED, RAISED_AGAIN = gettext_noop("finding dismissed"), gettext_noop("dismissal undone")


def dismiss(*, finding: Finding, listing: Listing, reason: str, actor: User, now: datetime) -> Dismissal:
    """Show the finding no more until its facts change. `listing` is as it was when the finding was made."""
    with transaction.atomic():
        values: dict[str, Any] = {
            "facts": dict(finding.facts),
            "mapped_at": listing.mapped_at,
            "reason": reason,
            "at": now,
            "by": actor,
        }
        dismissal, _created = Dismissal.objects.update_or_create(
            listing=listing, kind=finding.kind.value, defaults=values
        )
        _audit(DISMISSED, dismissal, is_done=True, actor=actor, now=now)
    return dismissal


def take_back(*, dismissal: Dismissal, actor: User, now: datetime) -> None:
    """Have the finding shown again; nothing where somebody was quicker."""
    with transaction.atomic():
        stored = Dismissal.objects.select_for_update(of=("self",)).select_related("listing").filter(pk=dismissal.pk)
        for each in stored:
            _audit(RAISED_AGAIN, each, is_done=False, actor=actor, now=now)
            each.delete()


def _audit(action: str, dismissal: Dismissal, *, is_done: bool, actor: User, now: datetime) -> None:
    """In the history of the listing. The facts stay out: a price against cost tells the cost."""
    values = {"catalog.dismissal.kind": dismissal.kind, "catalog.dismissal.reason": dismissal.reason}
    changes = {name: [None, value] if is_done else [value, None] for name, value in values.items()}
    audit(action=action, obj=dismissal.listing, actor=actor, now=now, changes=changes)
