"""Proposals: what was found in the shops, with the SKU each seems to be; accepted or rejected one by one or many."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import PermissionDenied
from django.db.models import Case, F, IntegerField, Q, QuerySet, Value, When
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.http import urlencode
from django.utils.timezone import is_aware
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from catalog.admin.listing import VisibleRelatedFilter
from catalog.admin.mapping import file_pages
from catalog.admin.mapping.deeds import DECIDE, DEEDS, MAKE_SKUS, ask, check_may_decide, tell_accepted, undo_chosen
from catalog.admin.mapping.shops import CHANNEL_VAR, chosen_channel, shop_reads, tell_codes
from catalog.mapping import accept
from catalog.mapping.words import conflict_text
from catalog.matching import BULK_EVIDENCE, Conflict, Evidence, plain_barcode
from catalog.models import Proposal, ShopRead, Sku, User
from catalog.models.proposal import EVIDENCE_LABELS
from config.admin_site import (
    Badge,
    Tab,
    add_badge,
    add_menu_item,
    add_tab,
    registry,
)
from config.change_list import TAB_VAR, FrameChangeList
from config.model_admin import FrameModelAdmin, ReadOnly, person

MOST_SOLD_FIRST = F("sales__units").desc(nulls_last=True)
# What needs a person, what a click settles, then the rest.
_URGENCY = Case(
    When(~Q(conflicts=[]), then=Value(0)),
    When(sku__isnull=False, evidence__in=BULK_EVIDENCE, then=Value(1)),
    default=Value(2),
    output_field=IntegerField(),
)


class ProposalChangeList(FrameChangeList):
    """Tells each row which SKUs the person sees: a suggestion may be a SKU of other channels."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        tell_codes(list(self.result_list), request)

    def _counted_tabs(self, request: HttpRequest) -> list[dict[str, Any]]:
        """As every list does it; narrowed to a channel, the tabs count and lead to what that channel has."""
        chosen = chosen_channel(request)
        tabs = super()._counted_tabs(request)
        if not chosen or not tabs:
            return tabs
        shown = [tab for tab in registry.tabs.get(self.model, []) if tab is self.tab or not tab.is_quiet]
        counts = self._tab_counts(request, [_in_channel(tab, chosen) for tab in shown])
        for tab, counted in zip(shown, tabs, strict=True):
            counted["count"] = counts[tab.slug]
            counted["url"] = f"?{urlencode({TAB_VAR: tab.slug, CHANNEL_VAR: chosen})}"
        return tabs


def _in_channel(tab: Tab, chosen: str) -> Tab:
    return replace(tab, narrow=lambda rows, request: tab.narrow(rows, request).filter(channel=chosen))


class ChooseSkuForm(forms.Form):
    """The SKU that a person gives a proposal."""

    sku = forms.ModelChoiceField(Sku.objects.none(), label=_("SKU"), error_messages={"required": _("Choose a SKU.")})

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["sku"]
        field.queryset = Sku.objects.visible_to(person(request)).select_related("product")
        field.label_from_instance = lambda sku: f"{sku.code} · {sku.product} {sku.name}".strip()
        field.widget = AutocompleteSelect(Proposal._meta.get_field("sku"), admin.site)
        field.widget.choices = field.choices


@admin.register(Proposal)
class ProposalAdmin(ReadOnly, FrameModelAdmin):
    page = "proposal"
    list_display = ()
    list_select_related = ["channel", "listing__sku", "sales"]
    list_filter = [("channel", VisibleRelatedFilter), "evidence", "shelf_state"]
    search_fields = ["title", "platform_item_id", "platform_sku_id", "outer_id", "barcode"]
    search_help_text = _("Title, merchant code, SKU, barcode or platform id")
    list_line = _("What the shops have, and which SKU each of it seems to be; conflicts first, then the most sold")
    empty_title = _("No proposals here")
    empty_text = _("Open a channel and press “Find listings in the shop”: what is new or not mapped comes here.")
    ordering = [_URGENCY.asc(), MOST_SOLD_FIRST, "-pk"]
    change_list_template = "admin/catalog/proposal/change_list.html"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """As Django does it, and by the code of a SKU that the person sees."""
        found, has_duplicates = super().get_search_results(request, queryset, search_term)
        if code := search_term.strip():
            skus = Sku.objects.visible_to(person(request)).filter(code__icontains=code)
            found |= queryset.filter(sku__in=skus)
        return found, has_duplicates

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[FrameChangeList]:
        return ProposalChangeList

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Those that apply to proposals of the view that is open."""
        found = super().get_actions(request)
        is_decided = request.GET.get(TAB_VAR) in ("accepted", "rejected")
        return {name: action for name, action in found.items() if (name == "undo_decision") == is_decided}

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {**shop_reads(request, ShopRead.Kind.LISTINGS, ShopRead.Kind.SALES), **(extra_context or {})}
        return super().changelist_view(request, context)

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(f"<path:object_id>/{verb}/", self.admin_site.admin_view(view), name=f"catalog_proposal_{verb}")
            for verb, view in (("accept", self.accept_view), ("decide", self.decide_view))
        ]
        batch = path("undo/", self.admin_site.admin_view(self.undo_view), name="catalog_proposal_undo")
        return [*own, batch, *file_pages.urls(), *super().get_urls()]

    def object_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._page(request, self._proposal(request, object_id), ChooseSkuForm(request=request))

    def _page(self, request: HttpRequest, proposal: Proposal, form: ChooseSkuForm) -> HttpResponse:
        tell_codes([proposal], request)
        barcodes = _visible_barcodes(proposal, person(request)) if proposal.conflicts else set()
        may_decide = request.user.has_perms(DECIDE)
        suggested = Sku.objects.visible_to(person(request)).filter(pk__in=_fitting(proposal)).select_related("product")
        context = {
            **self.admin_site.each_context(request),
            "title": str(proposal),
            "opts": self.opts,
            "original": proposal,
            "now": timezone.now(),
            "badge": _status_badge(request, proposal),
            "line_template": "admin/catalog/proposal/line.html",
            "skus": sorted(suggested, key=lambda sku: _fitting(proposal).index(sku.pk)),
            "evidence": EVIDENCE_LABELS[Evidence(proposal.evidence)],
            "conflicts": [
                conflict_text(Conflict.from_stored(stored), proposal.codes, barcodes)  # type: ignore[attr-defined]
                for stored in proposal.conflicts
            ],
            "may_decide": may_decide,
            "may_make_sku": may_decide and request.user.has_perms(MAKE_SKUS),
            "form": form,
            "media": form.media,
        }
        return TemplateResponse(
            request, "admin/catalog/proposal/object.html", context, status=400 if form.is_bound else None
        )

    def _proposal(self, request: HttpRequest, object_id: str) -> Proposal:
        proposal: Proposal | None = self.get_object(request, object_id)
        if not self.has_view_permission(request, proposal):
            raise PermissionDenied
        if proposal is None:
            raise Http404
        return proposal

    def accept_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Map one proposal to the SKU that the person chose, whatever the evidence says."""
        proposal = self._decided_here(request, object_id)
        if isinstance(proposal, HttpResponse):
            return proposal
        form = ChooseSkuForm(request.POST, request=request)
        if not form.is_valid():
            return self._page(request, proposal, form)
        now = timezone.now()
        decided = accept(
            proposals=Proposal.objects.filter(pk=proposal.pk),
            actor=person(request),
            now=now,
            sku=form.cleaned_data["sku"],
        )
        tell_accepted(self, request, decided, now)
        return HttpResponseRedirect(self.address("change", proposal))

    def decide_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Do to one proposal what the posted `deed` says: a bulk action of the list."""
        proposal = self._decided_here(request, object_id)
        if isinstance(proposal, HttpResponse):
            return proposal
        deed = DEEDS.get(request.POST.get("deed", ""))
        if deed is None:
            raise Http404
        answer = deed(self, request, Proposal.objects.filter(pk=proposal.pk))
        return answer or HttpResponseRedirect(self.address("change", proposal))

    def undo_view(self, request: HttpRequest) -> HttpResponse:
        """Ask whether what the person decided at one time, one or many, is to be taken back, and do it."""
        check_may_decide(request)
        at = parse_datetime(request.GET.get("at", "")) if len(request.GET.get("at", "")) < 40 else None
        if at is None or not is_aware(at):
            raise Http404
        proposals = self.get_queryset(request).filter(decided_by=person(request), decided_at=at)
        back = reverse("admin:catalog_proposal_changelist")
        if request.method == "POST":
            undo_chosen(self, request, proposals)
            return HttpResponseRedirect(back)
        if not proposals.exists():
            self.message_user(request, gettext("Nothing is left of it to be undone."), messages.WARNING)
            return HttpResponseRedirect(back)
        return ask(self, request, proposals, name="undo_decision", label=gettext("Undo"), back=back)

    def _decided_here(self, request: HttpRequest, object_id: str) -> Proposal | HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        proposal = self._proposal(request, object_id)
        if not request.user.has_perms(DECIDE):
            raise PermissionDenied
        return proposal


def _visible_barcodes(proposal: Proposal, user: User) -> set[str]:
    """The barcodes of the suggested SKU that the person may see: its own, and those of its listings."""
    own = Sku.objects.visible_to(user).filter(proposals=proposal).values_list("barcode", flat=True)
    seen = Proposal.objects.visible_to(user).filter(listing__sku=proposal.sku_id) if own else Proposal.objects.none()
    return {plain_barcode(barcode) for barcode in [*own, *seen.values_list("barcode", flat=True)]}


def _fitting(proposal: Proposal) -> list[int]:
    """The SKUs that evidence names, the suggested one first."""
    named = [proposal.sku_id] if proposal.sku_id else []
    found = [sku_id for stored in proposal.conflicts for sku_id in stored["sku_ids"]]
    return list(dict.fromkeys([*named, *found]))


# --- Saved views, badge, menu ----------------------------------------------------------------------------------------


def _narrowed(narrow: Callable[[Any], Any]) -> Callable[[QuerySet[Any], HttpRequest], QuerySet[Any]]:
    return lambda proposals, request: narrow(proposals)


add_tab(Proposal, "open", _("Open"), _narrowed(lambda rows: rows.open()), order=0)
add_tab(Proposal, "clear", _("Clear"), _narrowed(lambda rows: rows.clear()), order=10)
add_tab(Proposal, "conflicts", _("Conflicts"), _narrowed(lambda rows: rows.open().exclude(conflicts=[])), order=20)
add_tab(
    Proposal,
    "weak",
    _("Little or nothing fits"),
    _narrowed(lambda rows: rows.open().filter(evidence__in=[Evidence.TITLE.value, Evidence.NONE.value], conflicts=[])),
    order=30,
)
add_tab(
    Proposal,
    "accepted",
    _("Accepted"),
    _narrowed(lambda rows: rows.filter(status=Proposal.Status.ACCEPTED, decided_at__isnull=False)),
    order=40,
)
add_tab(
    Proposal, "rejected", _("Rejected"), _narrowed(lambda rows: rows.filter(status=Proposal.Status.REJECTED)), order=50
)


def _status_badge(request: HttpRequest, proposal: Proposal) -> Badge | None:
    if proposal.is_open:
        return Badge("warning", gettext("Conflict")) if proposal.conflicts else None
    return Badge("muted", proposal.get_status_display())


add_badge("proposal", _status_badge)


def waiting_count(request: HttpRequest) -> int:
    """The open proposals of the person; one query for a request, whoever asks."""
    found: int | None = getattr(request, "evenshelf_waiting_proposals", None)
    if found is None:
        found = Proposal.objects.waiting_for(person(request))
        request.evenshelf_waiting_proposals = found  # type: ignore[attr-defined]
    return found


add_menu_item(
    "sync",
    _("Proposals"),
    "admin:catalog_proposal_changelist",
    permission="catalog.view_proposal",
    order=20,
    count=waiting_count,
)
