"""The page of one listing at one location: its figures, what to do, and every attempt that led there."""

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.admin.stock.scope import BOOK
from catalog.stock.explaining import explain
from config.admin_site import Badge, add_badge, add_button, add_panel
from integrations.problems import explain as explain_problem
from integrations.syncing import dirty
from integrations.syncing.admin.board import set_targets
from integrations.syncing.admin.deeds import DISMISS, RETRY
from integrations.syncing.admin.words import (
    ERROR_CLASSES,
    OUTCOME_BADGES,
    STATE_BADGES,
    STATUS_BADGES,
    badge_of,
    person_name,
    target_text,
    told,
)
from integrations.syncing.models import ListingSync, SyncAttempt, SyncItem
from integrations.syncing.runs import attempts_of

_ITEMS_SHOWN = 20


def _state_badge(request: HttpRequest, row: ListingSync) -> Badge:
    return STATE_BADGES[row.state]


def _deed_url(verb: str) -> Callable[[HttpRequest, ListingSync], str | None]:
    """The address of a deed, where it can help, for people who may do it."""

    def url(request: HttpRequest, row: ListingSync) -> str | None:
        if not request.user.has_perm(BOOK):
            return None
        this = ListingSync.objects.filter(pk=row.pk)
        found = dirty.dismissible(this) if verb == DISMISS else dirty.retriable(this, now=timezone.now())
        return reverse(f"admin:integrations_listingsync_{verb}", args=[row.pk]) if found.exists() else None

    return url


def _facts(request: HttpRequest, row: Any) -> dict[str, Any]:
    set_targets([row])
    return {
        "row": row,
        "target_text": explain(row.target) if row.target is not None else _("not one of ours any more"),
        "text": told(row, timezone.now()),
        "now": timezone.now(),
    }


def _last_problem(request: HttpRequest, row: Any) -> dict[str, Any]:
    """What the row's cause means, and what was met last, with the platform's own code and the time."""
    last = (
        SyncAttempt.objects.filter(item__listing=row.listing_id, item__location_id=row.location_id, cause=row.cause)
        .order_by("-pk")
        .first()
        if row.cause
        else None
    )
    return {"text": told(row, timezone.now()), "row": row, "last": last, "badge": STATE_BADGES[row.state]}


def _history(request: HttpRequest, row: Any) -> dict[str, Any]:
    """What runs wanted of it, newest first, each with its attempts. Three queries."""
    items: QuerySet[SyncItem] = SyncItem.objects.filter(listing=row.listing_id, location_id=row.location_id)
    # A dry run sends nothing and has a page of its own.
    items = items.exclude(run__kind="dry")
    before = request.GET.get("before", "")
    if before.isdecimal() and len(before) < 19:
        items = items.filter(pk__lt=before)
    else:
        before = ""
    found: list[Any] = list(items.select_related("run__asked_by").order_by("-pk")[: _ITEMS_SHOWN + 1])
    older, found = found[_ITEMS_SHOWN:], found[:_ITEMS_SHOWN]
    attempts = attempts_of(found)
    for item in found:
        item.badge = badge_of(OUTCOME_BADGES, item.outcome)
        item.target_text = target_text(item)
        item.shown_attempts = [_shown(attempt, row) for attempt in attempts[item.pk]]
        item.asked_by = person_name(item.run.asked_by) if item.run.asked_by_id else ""
    return {"items": found, "older": found[-1].pk if older else None, "is_first": not before}


def _shown(attempt: Any, row: Any) -> Any:
    attempt.badge = badge_of(STATUS_BADGES, attempt.status)
    attempt.error_text = ERROR_CLASSES.get(attempt.error_class, attempt.error_class)
    attempt.cause_text = ""
    if attempt.cause:
        attempt.cause_text = explain_problem(cause=attempt.cause, channel=row.channel, at=attempt.sent_at).what
    return attempt


add_badge("listing_sync", _state_badge)
add_button("listing_sync", _("Dismiss…"), _deed_url(DISMISS), method="get", order=10)
add_button("listing_sync", _("Retry"), _deed_url(RETRY), primary=True, order=20)
add_panel("listing_sync", "admin/integrations/sync/row_facts.html", _facts, area="facts", order=10)
add_panel("listing_sync", "admin/integrations/sync/row_state.html", _last_problem, area="main", order=10)
add_panel("listing_sync", "admin/integrations/sync/row_history.html", _history, area="full", order=10)
