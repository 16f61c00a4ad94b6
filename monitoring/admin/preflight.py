"""What prices and stock say to a promotion while its form is filled in, and before it is stored."""

from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from config.admin_site import add_panel, page_panels
from monitoring.preflight_page import loss_sentence, told
from monitoring.services.preflight import losing_listings, preflight


def _preview(request: HttpRequest, proposed: Any) -> dict[str, Any]:
    """`proposed` has the valid promotion and the uplift; panels of the page "preflight" are given what was found."""
    now = timezone.now()
    found = preflight(proposed.promotion, uplift=proposed.uplift, now=now)
    with_costs = request.user.has_perm("catalog.view_cost")
    return {
        "told": told(found, uplift=proposed.uplift, now=now, with_costs=with_costs),
        "panels": page_panels("preflight", request, found)["side"],
    }


def _warning(request: HttpRequest, proposed: Any) -> dict[str, Any] | None:
    now = timezone.now()
    found = losing_listings(proposed.promotion, now=now)
    if not found.losses:
        return None
    shown = told(found, uplift=proposed.uplift, now=now, with_costs=request.user.has_perm("catalog.view_cost"))
    return {
        "sentence": loss_sentence(found),
        "told": shown,
        "more": max(len(found.losses) - sum(bool(row.loss) for row in shown.worst), 0),
    }


add_panel("promotion_preview", "monitoring/preview.html", _preview, area="side", order=10)
add_panel("promotion_warning", "monitoring/promotion_warning.html", _warning, area="main", order=10)
