"""Proposals: what was found in the shops, with the SKU each seems to be; accepted or rejected one by one or many."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import PermissionDenied
from django.db.models import F, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from catalog.admin.listing import VisibleRelatedFilter
from catalog.admin.mapping import file_pages
from catalog.mapping import Decided, accept, add_unmapped, reject, take_back
from catalog.mapping.words import conflict_label, conflict_text, left_sentences
from catalog.matching import Conflict, Evidence
from catalog.models import Channel, Proposal, ShopRead, Sku
from catalog.models.proposal import EVIDENCE_LABELS
from config import formatting
from config.admin_site import (
    Badge,
    add_action,
    add_badge,
    add_column,
    add_menu_item,
    add_tab,
    page_badge,
    page_buttons,
)
from config.change_list import TAB_VAR, FrameChangeList
from config.model_admin import FrameModelAdmin, ReadOnly, person
from config.templatetags import evenshelf as parts

DECIDE = ("catalog.add_listing", "catalog.change_listing")
MOST_SOLD_FIRST = F("sales__units").desc(nulls_last=True)
_READS_SHOWN = 4  # of each kind
_ASKS_ABOVE = 50  # a deed to more proposals than this is asked about first
_SAMPLE = 20  # of them, shown with the question


class ProposalChangeList(FrameChangeList):
    """Tells each row which SKUs the person sees: a suggestion may be a SKU of other channels."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        tell_codes(list(self.result_list), request)


def tell_codes(proposals: list[Any], request: HttpRequest) -> None:
    """Put the codes of the SKUs that the person may see on the rows: one query."""
    ids = {proposal.sku_id for proposal in proposals if proposal.sku_id}
    ids |= {sku_id for each in proposals for stored in each.conflicts for sku_id in stored["sku_ids"]}
    codes = dict(Sku.objects.visible_to(person(request)).filter(pk__in=ids).values_list("pk", "code")) if ids else {}
    for proposal in proposals:
        proposal.codes = codes


def shop_reads(request: HttpRequest, *kinds: ShopRead.Kind) -> dict[str, Any]:
    """How the readings of the person's shops stand: of the channel that the list is narrowed to, or the latest."""
    channels = Channel.objects.visible_to(person(request)).select_related("credential")
    chosen = request.GET.get("channel__id__exact", "")
    if chosen.isdecimal() and len(chosen) < 19:
        channels = channels.filter(pk=chosen)
    stored = {(each.channel_id, each.kind): each for each in ShopRead.objects.filter(channel__in=channels)}
    worth_showing = []
    for kind in kinds:
        reads = [stored.get((channel.pk, kind)) or ShopRead(kind=kind, channel=channel) for channel in channels]
        for read, channel in zip(reads, channels, strict=True):
            read.channel = channel
        reads.sort(key=lambda read: read.slice_at.timestamp() if read.slice_at else 0, reverse=True)
        rows = [
            (read, page_badge("shop_read", request, read), page_buttons(f"{kind}_read", request, read))
            for read in reads
        ]
        worth_showing += [row for row in rows if row[0].pk or row[2]][:_READS_SHOWN]
    return {
        "reads": worth_showing,
        # What goes on or stopped is to be seen; that all is well need not be.
        "reads_are_open": any(read.pk and read.ended_at is None for read, _badge, _buttons in worth_showing),
        "now": timezone.now(),
    }


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
    search_fields = ["title", "platform_item_id", "platform_sku_id", "outer_id", "barcode", "sku__code"]
    search_help_text = _("Title, merchant code, barcode or platform id")
    list_line = _("What the shops have, and which SKU each of it seems to be; the most sold first")
    empty_title = _("No proposals here")
    empty_text = _("Open a channel and press “Find listings in the shop”: what is new or not mapped comes here.")
    ordering = [MOST_SOLD_FIRST, "-pk"]
    change_list_template = "admin/catalog/proposal/change_list.html"

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
        return own + file_pages.urls() + super().get_urls()

    def object_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._page(request, self._proposal(request, object_id), ChooseSkuForm(request=request))

    def _page(self, request: HttpRequest, proposal: Proposal, form: ChooseSkuForm) -> HttpResponse:
        tell_codes([proposal], request)
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
                conflict_text(Conflict.from_stored(stored), proposal.codes)  # type: ignore[attr-defined]
                for stored in proposal.conflicts
            ],
            "may_decide": may_decide,
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
        decided = accept(
            proposals=Proposal.objects.filter(pk=proposal.pk),
            actor=person(request),
            now=timezone.now(),
            sku=form.cleaned_data["sku"],
        )
        _tell_accepted(self, request, decided)
        return HttpResponseRedirect(self.address("change", proposal))

    def decide_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Do to one proposal what the posted `deed` says: a bulk action of the list."""
        proposal = self._decided_here(request, object_id)
        if isinstance(proposal, HttpResponse):
            return proposal
        deed = _DEEDS.get(request.POST.get("deed", ""))
        if deed is None:
            raise Http404
        deed(self, request, Proposal.objects.filter(pk=proposal.pk))
        return HttpResponseRedirect(self.address("change", proposal))

    def _decided_here(self, request: HttpRequest, object_id: str) -> Proposal | HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        proposal = self._proposal(request, object_id)
        if not request.user.has_perms(DECIDE):
            raise PermissionDenied
        return proposal


def _fitting(proposal: Proposal) -> list[int]:
    """The SKUs that evidence names, the suggested one first."""
    named = [proposal.sku_id] if proposal.sku_id else []
    found = [sku_id for stored in proposal.conflicts for sku_id in stored["sku_ids"]]
    return list(dict.fromkeys([*named, *found]))


# --- What is done about them -----------------------------------------------------------------------------------------


def _checked(request: HttpRequest) -> None:
    if not request.user.has_perms(DECIDE):
        raise PermissionDenied


def accept_chosen(model_admin: ModelAdmin, request: HttpRequest, proposals: QuerySet[Proposal]) -> None:
    _checked(request)
    _tell_accepted(model_admin, request, accept(proposals=proposals, actor=person(request), now=timezone.now()))


def add_chosen(model_admin: ModelAdmin, request: HttpRequest, proposals: QuerySet[Proposal]) -> None:
    _checked(request)
    decided = add_unmapped(proposals=proposals, actor=person(request), now=timezone.now())
    text = ngettext("Added %(count)s listing without a SKU.", "Added %(count)s listings without a SKU.", decided.added)
    _tell(model_admin, request, decided, decided.added, text, "accepted")


def reject_chosen(model_admin: ModelAdmin, request: HttpRequest, proposals: QuerySet[Proposal]) -> None:
    _checked(request)
    decided = reject(proposals=proposals, actor=person(request), now=timezone.now())
    text = ngettext("Rejected %(count)s proposal.", "Rejected %(count)s proposals.", decided.done)
    _tell(model_admin, request, decided, decided.done, text, "rejected")


def undo_chosen(model_admin: ModelAdmin, request: HttpRequest, proposals: QuerySet[Proposal]) -> None:
    _checked(request)
    decided = take_back(proposals=proposals, actor=person(request), now=timezone.now())
    text = ngettext("Took back %(count)s decision.", "Took back %(count)s decisions.", decided.done)
    _tell(model_admin, request, decided, decided.done, text, "")


def _tell_accepted(model_admin: ModelAdmin, request: HttpRequest, decided: Decided) -> None:
    text = ngettext("Accepted %(count)s proposal.", "Accepted %(count)s proposals.", decided.done)
    if decided.added:
        new = ngettext("%(added)s listing is new.", "%(added)s listings are new.", decided.added)
        text = f"{text} {new}"
    _tell(model_admin, request, decided, decided.done, text, "accepted")


def _tell(model_admin: ModelAdmin, request: HttpRequest, decided: Decided, count: int, text: str, tab: str) -> None:
    """What was done, with the way to undo it, and what was left alone and why."""
    if count:
        told = text % {"count": formatting.count(count), "added": formatting.count(decided.added)}
        if tab:
            url = f"{reverse('admin:catalog_proposal_changelist')}?{TAB_VAR}={tab}"
            told = format_html('{} <a href="{}">{}</a>', told, url, gettext("Look at them or undo"))
        model_admin.message_user(request, told, messages.SUCCESS)
    for sentence in left_sentences(decided):
        model_admin.message_user(request, sentence, messages.WARNING)


_DEEDS: dict[str, Callable[[ModelAdmin, HttpRequest, QuerySet[Proposal]], None]] = {
    "add": add_chosen,
    "reject": reject_chosen,
    "undo": undo_chosen,
}


def _asked(
    name: str, label: Any, deed: Callable[[ModelAdmin, HttpRequest, QuerySet[Proposal]], None]
) -> Callable[[ModelAdmin, HttpRequest, QuerySet[Any]], HttpResponse | None]:
    """The deed as a bulk action, which asks first when it is about many."""

    def act(model_admin: ModelAdmin, request: HttpRequest, proposals: QuerySet[Any]) -> HttpResponse | None:
        count = proposals.count()
        if count <= _ASKS_ABOVE or request.POST.get("confirmed"):
            deed(model_admin, request, proposals)
            return None
        sample = list(proposals.select_related("channel").order_by("-pk")[:_SAMPLE])
        tell_codes(sample, request)
        for proposal in sample:
            proposal.shown_code = proposal.codes.get(proposal.sku_id, "")
        text = ngettext("%(deed)s: %(count)s proposal", "%(deed)s: %(count)s proposals", count)
        title = text % {"deed": label, "count": formatting.count(count)}
        context = {
            **model_admin.admin_site.each_context(request),
            "title": title,
            "button": title,
            "opts": model_admin.opts,
            "sample": sample,
            "more": count - len(sample),
            "action": name,
            "select_across": request.POST.get("select_across", "0"),
            "chosen": request.POST.getlist("_selected_action"),
            "back": request.get_full_path(),
        }
        return TemplateResponse(request, "admin/catalog/proposal/ask.html", context)

    return act


for _order, (_name, _label, _deed, _permission) in enumerate(
    [
        ("accept_proposals", _("Accept"), accept_chosen, DECIDE[1]),
        ("add_unmapped", _("Add without a SKU"), add_chosen, DECIDE[0]),
        ("reject_proposals", _("Reject"), reject_chosen, DECIDE[1]),
        ("undo_decision", _("Undo"), undo_chosen, DECIDE[1]),
    ]
):
    add_action(Proposal, _name, _label, _asked(_name, _label, _deed), permission=_permission, order=_order)

# --- Columns ---------------------------------------------------------------------------------------------------------


@admin.display(ordering="title")
def name_cell(proposal: Proposal) -> SafeString:
    return format_html(
        '<strong title="{}">{}</strong><small>{} {} · {}</small>',
        proposal,
        proposal,
        parts.mark(proposal.channel),
        proposal.channel,
        proposal.platform_id,
    )


@admin.display(ordering="outer_id")
def codes_cell(proposal: Proposal) -> SafeString | str:
    """What the merchant keyed in at the platform."""
    if not proposal.outer_id and not proposal.barcode:
        return parts.none(_("none"))
    first, *rest = filter(None, [proposal.outer_id, proposal.barcode])
    return format_html("{}<small>{}</small>", first, "".join(rest))


@admin.display(ordering="evidence")
def suggestion_cell(proposal: Any) -> SafeString | str:
    """The SKU it is or seems to be; below it what speaks for it."""
    if proposal.status == Proposal.Status.ACCEPTED and proposal.listing is not None:
        sku = proposal.listing.sku
        return sku.code if sku else format_html('<span class="quiet">{}</span>', _("not mapped"))
    evidence = EVIDENCE_LABELS[Evidence(proposal.evidence)]
    if proposal.sku_id is None:
        return format_html('<span class="quiet">{}</span>', evidence)
    code = proposal.codes.get(proposal.sku_id, _("a SKU of another channel"))
    return format_html("{}<small>{}</small>", code, evidence)


def state_cell(proposal: Proposal) -> SafeString | str:
    """What a person has to look at, or what was decided."""
    if proposal.is_open:
        if proposal.conflicts:
            labels = [conflict_label(Conflict.from_stored(stored).kind) for stored in proposal.conflicts]
            rest = format_html_join("", "<small>{}</small>", ((label,) for label in labels[1:]))
            return format_html("{}{}", parts.badge("warning", labels[0]), rest)
        if proposal.is_clear:
            return format_html('<span class="state ok">{}{}</span>', parts.icon("ok"), _("Clear"))
        return parts.none(_("none"))
    if proposal.decided_at is None:
        return _("mapped before") if proposal.status == Proposal.Status.ACCEPTED else _("removed before")  # type: ignore[return-value]
    return format_html("{}<small>{}</small>", proposal.get_status_display(), parts.time_ago(proposal.decided_at))


@admin.display(ordering=F("sales__units").asc(nulls_first=True))  # the least known is the least sold
def sales_cell(row: Any) -> SafeString | str:
    """Units of 30 days, and as of when: of a proposal or an unmapped listing."""
    sales = getattr(row, "sales", None)
    if sales is None:
        return parts.unknown(_("not read"))
    if sales.units is None:
        return parts.unknown(_("variant not told"))
    return format_html("{}<small>{}</small>", formatting.count(sales.units), parts.time_ago(sales.read_at))


@admin.display(ordering="price")
def price_cell(proposal: Proposal) -> SafeString | str:
    if proposal.price is None:
        return parts.unknown(_("not supplied"))
    return formatting.money(proposal.price, proposal.channel.currency)


@admin.display(ordering="stock")
def stock_cell(proposal: Proposal) -> SafeString | str:
    return parts.unknown(_("not supplied")) if proposal.stock is None else formatting.count(proposal.stock)


@admin.display(ordering="seen_at")
def seen_cell(proposal: Proposal) -> SafeString | str:
    return parts.time_ago(proposal.seen_at)


add_column(Proposal, "name", _("listing"), name_cell, order=10)
add_column(Proposal, "codes", _("merchant code"), codes_cell, order=20)
add_column(Proposal, "suggestion", _("SKU"), suggestion_cell, order=30)
add_column(Proposal, "state", _("state"), state_cell, order=40)
add_column(Proposal, "sales", _("sold in 30 days"), sales_cell, order=45, classes="num")
add_column(Proposal, "price", _("live price"), price_cell, order=50, classes="num")
add_column(Proposal, "stock", _("stock"), stock_cell, order=60, classes="num")
add_column(Proposal, "seen", _("last seen"), seen_cell, order=70, classes="time")

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
