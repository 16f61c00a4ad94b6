"""The page of mappings that look wrong: each is mended or said to be fine, and either is taken back by a click."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from catalog.admin.product import may_see_cost
from catalog.mapping import dismissals, fixes
from catalog.mapping.standings import Spoken
from catalog.mapping_lint import Finding, FindingKind, Standing
from catalog.matching import Evidence
from catalog.models import AuditEvent, Dismissal, Listing
from catalog.models.proposal import EVIDENCE_LABELS
from config import formatting
from config.admin_site import Severity, add_menu_item
from config.model_admin import person
from monitoring import mapping_lint

VIEW, CHANGE = "catalog.view_listing", "catalog.change_listing"
DISMISSED = "dismissed"  # the view of what is fine

_SEVERITIES: dict[FindingKind, Severity] = {FindingKind.TWO_SKUS: "critical", FindingKind.PACK: "info"}


@dataclass(frozen=True)
class ShownFinding:
    """A finding in words; `fix` is what its button says, `dismissal` what somebody said of it."""

    finding: Finding
    listing: Listing
    other: Listing | None
    severity: Severity
    text: str
    fix: str  # "": nobody can tell which side is wrong, or what would mend it
    said: str = ""  # by codes and barcodes, of the listing
    said_of_other: str = ""
    dismissal: Dismissal | None = None


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=_("Why it is fine"),
        max_length=300,
        help_text=_("Whoever sees the changes of the listing can read it."),
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        error_messages={"required": _("Say why it is fine.")},
    )


def _key(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 19 else 0


def _units(text: str) -> int:
    """Units per listing as a form posts them. Raises BadRequest for anything but 1 to 999999."""
    if not re.fullmatch(r"[1-9][0-9]{0,5}", text):
        raise BadRequest("units per listing is a whole number from 1 to 999999")
    return int(text)


@require_safe
def check_page(request: HttpRequest) -> HttpResponseBase:
    """Goes through the mappings for a few seconds, from the SKU that the address names on."""
    if not request.user.has_perm(VIEW):
        raise PermissionDenied
    user, now = person(request), timezone.now()
    after, dismissed = _key(request.GET.get("after", "")), request.GET.get("show") == DISMISSED
    show = DISMISSED if dismissed else ""
    found = mapping_lint.find(user=user, now=now, after=after, sees_cost=may_see_cost(request), dismissed=dismissed)
    ids = {pk for each in found.findings for pk in (each.listing_id, each.other_id) if pk}
    listings = Listing.objects.visible_to(user).filter(pk__in=ids).select_related("channel", "sku", "watch").in_bulk()
    context = {
        **admin.site.each_context(request),
        "title": gettext("Mapping check"),
        "findings": [
            _shown(each, listings, found.spoken, found.dismissals if dismissed else {})
            for each in found.findings
            if each.listing_id in listings
        ],
        "finding_count": len(found.findings),
        "dismissed": dismissed,
        "views": [(_("Open"), _address(), not dismissed), (_("Dismissed"), _address(show=DISMISSED), dismissed)],
        "first_url": _address(show=show) if after else "",
        "next_url": _address(show=show, after=found.go_on_after) if found.go_on_after else "",
        "after": after,
        "recent": [] if dismissed else fixes.recent(user, now),
        "may_change": request.user.has_perm(CHANGE),
        "now": now,
    }
    return TemplateResponse(request, "admin/catalog/mapping/check.html", context)


@require_POST
def fix(request: HttpRequest) -> HttpResponseBase:
    """Mend what one finding says, as long as the listing has the SKU and the units that were shown.

    Without a `pack_factor` its SKU is taken away.
    """
    listing = _listing(request)
    pack_factor = _units(request.POST["pack_factor"]) if "pack_factor" in request.POST else None
    done = fixes.fix(
        listing=listing,
        sku_id=_key(request.POST.get("sku", "")),
        shown_pack_factor=_units(request.POST.get("shown", "")),
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
    if fixes.undo(events=[event], actor=person(request), now=timezone.now()):
        messages.success(request, gettext("“%(listing)s” is as it was before.") % {"listing": event.object_name})
    else:
        messages.warning(request, gettext("Nothing was changed: the mapping is another one by now."))
    return _back(request)


@require_http_methods(["GET", "HEAD", "POST"])
def dismiss(request: HttpRequest) -> HttpResponseBase:
    """Ask why the finding that the address names is fine, and keep the answer."""
    listing = _listing(request)
    user, now, kind = person(request), timezone.now(), request.GET.get("kind", "")
    found, spoken = mapping_lint.about(listing=listing, user=user, now=now, sees_cost=may_see_cost(request))
    finding = next((each for each in found if each.kind.value == kind), None)
    if finding is None:
        messages.warning(request, gettext("This is not found any more."))
        return _back(request)
    form = ReasonForm(request.POST or None)
    facts = json.dumps(finding.facts, sort_keys=True)
    if form.is_bound and request.POST.get("facts") != facts:
        form.add_error(None, gettext("It has changed since you opened this page. Look at it again."))
    if form.is_valid():
        dismissals.dismiss(finding=finding, listing=listing, reason=form.cleaned_data["reason"], actor=user, now=now)
        told = gettext("“%(listing)s” is fine, and comes back here when the facts change.") % {"listing": listing}
        link = format_html('<a href="{}">{}</a>', _address(show=DISMISSED), gettext("Look at them or undo"))
        messages.success(request, format_html("{} {}", told, link))
        return _back(request)
    others = Listing.objects.visible_to(user).filter(pk=finding.other_id or 0).select_related("channel", "sku")
    context = {
        **admin.site.each_context(request),
        "title": gettext("Is this fine?"),
        "shown": _shown(finding, {listing.pk: listing, **others.in_bulk()}, spoken),
        "form": form,
        "facts": facts,
        "back": _address(after=_key(request.GET.get("after", ""))),
        "now": now,
    }
    status = 400 if form.is_bound else None
    return TemplateResponse(request, "admin/catalog/mapping/dismiss.html", context, status=status)


@require_POST
def take_back(request: HttpRequest) -> HttpResponseBase:
    """Show a dismissed finding again."""
    if not request.user.has_perm(CHANGE):
        raise PermissionDenied
    visible = Listing.objects.visible_to(person(request))
    stored = Dismissal.objects.filter(listing__in=visible, pk=_key(request.POST.get("dismissal", ""))).first()
    if stored is None:
        messages.warning(request, gettext("Nothing was changed: it is not dismissed any more."))
    else:
        dismissals.take_back(dismissal=stored, actor=person(request), now=timezone.now())
        messages.success(request, gettext("“%(listing)s” is to be looked at again.") % {"listing": stored.listing})
    return _back(request)


def _listing(request: HttpRequest) -> Listing:
    """The one that the form or the address names, for people who may change it."""
    if not request.user.has_perm(CHANGE):
        raise PermissionDenied
    listings = Listing.objects.visible_to(person(request)).current().select_related("channel", "sku", "watch")
    named = request.POST.get("listing") or request.GET.get("listing", "")
    listing = listings.filter(pk=_key(named)).first()
    if listing is None:
        raise Http404
    return listing


def _address(*, after: int = 0, show: str = "") -> str:
    query = urlencode({name: value for name, value in (("show", show), ("after", after)) if value})
    return f"{reverse('watch:mapping-check')}{f'?{query}' if query else ''}"


def _back(request: HttpRequest) -> HttpResponse:
    """To the part and the view that the person came from."""
    given = request.POST if "after" in request.POST or "show" in request.POST else request.GET
    show = DISMISSED if given.get("show") == DISMISSED else ""
    return HttpResponseRedirect(_address(after=_key(given.get("after", "")), show=show))


def _shown(
    finding: Finding,
    listings: dict[int, Listing],
    spoken: Mapping[int, Spoken],
    held: mapping_lint.Dismissals | None = None,
) -> ShownFinding:
    listing = listings[finding.listing_id]
    other = listings.get(finding.other_id or 0)
    fix_text = ""
    if finding.pack_factor is not None:
        text = ngettext("Set to %(count)d unit per listing", "Set to %(count)d units per listing", finding.pack_factor)
        fix_text = text % {"count": finding.pack_factor}
    elif finding.takes_sku:
        fix_text = gettext("Take the SKU away")
    severity = _SEVERITIES.get(finding.kind, "warning")
    dismissal = (held or {}).get((finding.listing_id, finding.kind.value))
    if dismissal is not None:
        severity = "muted"
    said, said_of_other = (_said(spoken.get(each.pk) if each else None) for each in (listing, other))
    return ShownFinding(
        finding, listing, other, severity, _text(finding, listing), fix_text, said, said_of_other, dismissal
    )


def _said(spoken: Spoken | None) -> str:
    """What code and barcode say of a mapping, in a few words."""
    if spoken is None or spoken.standing == Standing.SILENT:
        return ""
    if spoken.standing == Standing.FOR:
        return str(EVIDENCE_LABELS[spoken.evidence])
    if spoken.evidence == Evidence.BARCODE:
        return gettext("barcode of another SKU")
    return gettext("merchant code is another SKU")


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
            text = gettext("A unit costs %(price)s here, and %(told)s in the other listing of the SKU.")
        case FindingKind.COST:
            text = gettext("A unit is sold for %(price)s, and costs us %(told)s.")
        case FindingKind.DEAD:
            text = gettext("The platform has not known this listing for 7 days or longer.")
    return text % figures


def _unit_price(listing: Listing) -> Decimal | None:
    return None if listing.live_price is None else listing.live_price / listing.pack_factor


add_menu_item("sync", _("Mapping check"), "watch:mapping-check", permission=VIEW, order=27)
