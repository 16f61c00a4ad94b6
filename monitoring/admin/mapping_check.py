"""The page of mappings that look wrong, each with the click that mends it and the one that takes that back."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from catalog.admin.product import may_see_cost
from catalog.mapping import fixes
from catalog.mapping_lint import Finding, FindingKind
from catalog.models import AuditEvent, Listing
from config import formatting
from config.admin_site import Severity, add_menu_item
from config.model_admin import person
from monitoring import mapping_lint

VIEW, CHANGE = "catalog.view_listing", "catalog.change_listing"

_SEVERITIES: dict[FindingKind, Severity] = {FindingKind.TWO_SKUS: "critical", FindingKind.PACK: "info"}


@dataclass(frozen=True)
class ShownFinding:
    """A finding in words; `fix` is what its button says."""

    finding: Finding
    listing: Listing
    other: Listing | None
    severity: Severity
    text: str
    fix: str


def _key(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 19 else 0


@require_safe
def check_page(request: HttpRequest) -> HttpResponseBase:
    """Goes through the mappings for a few seconds, from the SKU that the address names on."""
    if not request.user.has_perm(VIEW):
        raise PermissionDenied
    user, now = person(request), timezone.now()
    after = _key(request.GET.get("after", ""))
    found = mapping_lint.find(user=user, now=now, after=after, sees_cost=may_see_cost(request))
    ids = {pk for each in found.findings for pk in (each.listing_id, each.other_id) if pk}
    listings = Listing.objects.visible_to(user).filter(pk__in=ids).select_related("channel", "sku", "watch").in_bulk()
    context = {
        **admin.site.each_context(request),
        "title": gettext("Mapping check"),
        "findings": [_shown(each, listings) for each in found.findings if each.listing_id in listings],
        "finding_count": len(found.findings),
        "go_on_after": found.go_on_after,
        "is_first": not after,
        "after": after,
        "recent": fixes.recent(user, now),
        "may_change": request.user.has_perm(CHANGE),
        "now": now,
    }
    return TemplateResponse(request, "admin/catalog/mapping/check.html", context)


@require_POST
def fix(request: HttpRequest) -> HttpResponseBase:
    """Mend what one finding says, as long as the listing has the SKU that was shown."""
    listing = _listing(request)
    pack_factor = _key(request.POST.get("pack_factor", "")) or None
    done = fixes.fix(
        listing=listing,
        sku_id=_key(request.POST.get("sku", "")),
        pack_factor=pack_factor,
        actor=person(request),
        now=timezone.now(),
    )
    if not done:
        messages.warning(request, gettext("Nothing was changed: the mapping is another one by now."))
    elif pack_factor is None:
        messages.success(
            request, gettext("“%(listing)s” is not mapped any more. Undo it below.") % {"listing": listing}
        )
    else:
        text = ngettext(
            "“%(listing)s” has %(count)d unit per listing. Undo it below.",
            "“%(listing)s” has %(count)d units per listing. Undo it below.",
            pack_factor,
        )
        messages.success(request, text % {"listing": listing, "count": pack_factor})
    return _back(request)


@require_POST
def undo(request: HttpRequest) -> HttpResponseBase:
    if not request.user.has_perm(CHANGE):
        raise PermissionDenied
    events = AuditEvent.objects.visible_to(person(request)).filter(action=fixes.FIXED, object_type="catalog.listing")
    event = get_object_or_404(events, pk=_key(request.POST.get("event", "")))
    if fixes.undo(event=event, actor=person(request), now=timezone.now()):
        messages.success(request, gettext("“%(listing)s” is as it was before.") % {"listing": event.object_name})
    else:
        messages.warning(request, gettext("Nothing was changed: the mapping is another one by now."))
    return _back(request)


def _listing(request: HttpRequest) -> Listing:
    if not request.user.has_perm(CHANGE):
        raise PermissionDenied
    listings = Listing.objects.visible_to(person(request)).current()
    listing = listings.filter(pk=_key(request.POST.get("listing", ""))).first()
    if listing is None:
        raise Http404
    return listing


def _back(request: HttpRequest) -> HttpResponse:
    after = _key(request.POST.get("after", ""))
    return HttpResponseRedirect(f"{reverse('watch:mapping-check')}{f'?after={after}' if after else ''}")


def _shown(finding: Finding, listings: dict[int, Listing]) -> ShownFinding:
    listing = listings[finding.listing_id]
    other = listings.get(finding.other_id or 0)
    if finding.pack_factor is not None:
        text = ngettext("Set to %(count)d unit per listing", "Set to %(count)d units per listing", finding.pack_factor)
        fix_text = text % {"count": finding.pack_factor}
    else:
        fix_text = gettext("Take the SKU away")
    severity = _SEVERITIES.get(finding.kind, "warning")
    return ShownFinding(finding, listing, other, severity, _text(finding, listing), fix_text)


def _text(finding: Finding, listing: Listing) -> str:
    currency = listing.channel.currency
    figures: dict[str, Any] = {
        "units": formatting.count(listing.pack_factor),
        "told": formatting.money(finding.told, currency),
        "price": formatting.money(_unit_price(listing), currency),
        "count": int(finding.told or 0),
    }
    match finding.kind:
        case FindingKind.TWICE:
            text = gettext("Another listing of this channel sells as many units of the same SKU.")
        case FindingKind.TWO_SKUS:
            text = gettext("The same listing of the platform stands here under another SKU, too.")
        case FindingKind.PACK:
            text = gettext("The title tells %(count)d units, the mapping %(units)s.")
        case FindingKind.PRICE:
            text = gettext("A unit costs %(price)s here, and %(told)s in the SKU's other listings.")
        case FindingKind.COST:
            text = gettext("A unit is sold for %(price)s, and costs us %(told)s.")
        case FindingKind.DEAD:
            text = gettext("The platform has not known this listing for 7 days or longer.")
    return text % figures


def _unit_price(listing: Listing) -> Decimal | None:
    return None if listing.live_price is None else listing.live_price / listing.pack_factor


add_menu_item("sync", _("Mapping check"), "watch:mapping-check", permission=VIEW, order=27)
