"""Proposals: what was found in the shops, with the SKU each seems to be; accepted or rejected one by one or many."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError
from django.db.models import Case, F, IntegerField, Q, QuerySet, Value, When
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.timezone import is_aware
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from catalog.admin.listing import VisibleRelatedFilter
from catalog.admin.mapping import file_pages
from catalog.mapping import Decided, accept, add_unmapped, new_skus, reject, take_back
from catalog.mapping.words import conflict_label, conflict_text, left_sentences
from catalog.matching import BULK_EVIDENCE, Conflict, Evidence, plain_barcode
from catalog.models import Channel, Proposal, ShopRead, Sku, User
from catalog.models.proposal import EVIDENCE_LABELS
from config import formatting
from config.admin_site import (
    Badge,
    Tab,
    add_action,
    add_badge,
    add_column,
    add_menu_item,
    add_tab,
    page_badge,
    page_buttons,
    registry,
)
from config.change_list import TAB_VAR, FrameChangeList
from config.model_admin import FrameModelAdmin, ReadOnly, person
from config.templatetags import evenshelf as parts

DECIDE = ("catalog.add_listing", "catalog.change_listing")
MAKE_SKUS = ("catalog.add_sku", "catalog.add_product")
MOST_SOLD_FIRST = F("sales__units").desc(nulls_last=True)
# What needs a person, what a click settles, then the rest.
_URGENCY = Case(
    When(~Q(conflicts=[]), then=Value(0)),
    When(sku__isnull=False, evidence__in=BULK_EVIDENCE, then=Value(1)),
    default=Value(2),
    output_field=IntegerField(),
)
_CHANNEL_VAR = "channel__id__exact"
_PLAN_SHOWN = 200  # SKUs that are to be made, on the page
_READS_SHOWN = 4  # of each kind, before "more"
_ASKS_ABOVE = 50  # a deed to more proposals than this is asked about first
_SAMPLE = 20  # of them, shown with the question


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
            counted["url"] = f"?{urlencode({TAB_VAR: tab.slug, _CHANNEL_VAR: chosen})}"
        return tabs


def chosen_channel(request: HttpRequest) -> str:
    """The key of the channel that a list is narrowed to; "" when it is not."""
    chosen = request.GET.get(_CHANNEL_VAR, "")
    return chosen if chosen.isdecimal() and len(chosen) < 19 else ""


def _in_channel(tab: Tab, chosen: str) -> Tab:
    return replace(tab, narrow=lambda rows, request: tab.narrow(rows, request).filter(channel=chosen))


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
    if chosen := chosen_channel(request):
        channels = channels.filter(pk=chosen)
    stored = {(each.channel_id, each.kind): each for each in ShopRead.objects.filter(channel__in=channels)}
    first, more = [], []
    for kind in kinds:
        reads = [stored.get((channel.pk, kind)) or ShopRead(kind=kind, channel=channel) for channel in channels]
        for read, channel in zip(reads, channels, strict=True):
            read.channel = channel
        reads.sort(key=lambda read: read.slice_at.timestamp() if read.slice_at else 0, reverse=True)
        rows = [
            (read, page_badge("shop_read", request, read), page_buttons(f"{kind}_read", request, read))
            for read in reads
        ]
        # A channel that somebody narrowed the list to is told about, even when nothing can be read.
        worth_showing = [row for row in rows if row[0].pk or row[2] or chosen]
        first += worth_showing[:_READS_SHOWN]
        more += worth_showing[_READS_SHOWN:]
    is_under_way = any(read.pk and read.ended_at is None for read, _badge, _buttons in first + more)
    return {
        "reads": first,
        "more_reads": more,
        # What goes on or stopped is to be seen; that all is well need not be.
        "reads_are_open": is_under_way or bool(chosen),
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
        _tell_accepted(self, request, decided, now)
        return HttpResponseRedirect(self.address("change", proposal))

    def decide_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Do to one proposal what the posted `deed` says: a bulk action of the list."""
        proposal = self._decided_here(request, object_id)
        if isinstance(proposal, HttpResponse):
            return proposal
        deed = _DEEDS.get(request.POST.get("deed", ""))
        if deed is None:
            raise Http404
        answer = deed(self, request, Proposal.objects.filter(pk=proposal.pk))
        return answer or HttpResponseRedirect(self.address("change", proposal))

    def undo_view(self, request: HttpRequest) -> HttpResponse:
        """Ask whether what the person decided at one time, one or many, is to be taken back, and do it."""
        _checked(request)
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
        return _ask(self, request, proposals, name="undo_decision", label=gettext("Undo"), back=back)

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


# --- What is done about them -----------------------------------------------------------------------------------------


def _checked(request: HttpRequest) -> None:
    if not request.user.has_perms(DECIDE):
        raise PermissionDenied


def accept_chosen(model_admin: ModelAdmin, request: HttpRequest, proposals: QuerySet[Proposal]) -> None:
    _checked(request)
    now = timezone.now()
    _tell_accepted(model_admin, request, accept(proposals=proposals, actor=person(request), now=now), now)


def add_chosen(model_admin: ModelAdmin, request: HttpRequest, proposals: QuerySet[Proposal]) -> None:
    _checked(request)
    now = timezone.now()
    decided = add_unmapped(proposals=proposals, actor=person(request), now=now)
    text = ngettext("Added %(count)s listing without a SKU.", "Added %(count)s listings without a SKU.", decided.added)
    _tell(model_admin, request, decided, decided.added, text, now)


def reject_chosen(model_admin: ModelAdmin, request: HttpRequest, proposals: QuerySet[Proposal]) -> None:
    _checked(request)
    now = timezone.now()
    decided = reject(proposals=proposals, actor=person(request), now=now)
    text = ngettext("Rejected %(count)s proposal.", "Rejected %(count)s proposals.", decided.done)
    _tell(model_admin, request, decided, decided.done, text, now)


def undo_chosen(model_admin: ModelAdmin, request: HttpRequest, proposals: QuerySet[Proposal]) -> None:
    _checked(request)
    decided = take_back(proposals=proposals, actor=person(request), now=timezone.now())
    text = ngettext("Took back %(count)s decision.", "Took back %(count)s decisions.", decided.done)
    _tell(model_admin, request, decided, decided.done, text)


def create_chosen(
    model_admin: ModelAdmin, request: HttpRequest, proposals: QuerySet[Proposal], *, is_one: bool = False
) -> HttpResponse | None:
    """Show the SKUs that are to be made of the proposals; once somebody agrees to just these, make them."""
    _checked(request)
    if not request.user.has_perms(MAKE_SKUS):
        raise PermissionDenied
    now = timezone.now()
    planned = new_skus.plan(proposals=proposals, is_one=is_one)
    seal = sha256(json.dumps(planned.facts).encode()).hexdigest()
    if not request.POST.get("confirmed"):
        return _plan_page(model_admin, request, planned, seal, is_one=is_one)
    try:
        if seal != request.POST.get("seal"):
            raise new_skus.Outdated
        decided = new_skus.create(
            proposals=proposals, shown=planned.facts, actor=person(request), now=now, is_one=is_one
        )
    except (new_skus.Outdated, IntegrityError):
        model_admin.message_user(
            request, gettext("It has changed since you opened this page. Look at it again."), messages.WARNING
        )
        return None
    text = ngettext("Created %(count)s SKU.", "Created %(count)s SKUs.", decided.done)
    _tell_accepted(model_admin, request, decided, now, text)
    return None


def create_one(model_admin: ModelAdmin, request: HttpRequest, proposals: QuerySet[Proposal]) -> HttpResponse | None:
    return create_chosen(model_admin, request, proposals, is_one=True)


def _plan_page(
    model_admin: ModelAdmin, request: HttpRequest, planned: new_skus.Plan, seal: str, *, is_one: bool
) -> HttpResponse:
    count = len(planned.skus)
    reasons = Decided(left=Counter(reason for _proposal, reason in planned.left))
    text = ngettext("Create %(count)s SKU", "Create %(count)s SKUs", count)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": text % {"count": formatting.count(count)},
        "opts": model_admin.opts,
        "planned": planned.skus[:_PLAN_SHOWN],
        "more": max(0, count - _PLAN_SHOWN),
        "left": list(left_sentences(reasons)),
        "seal": seal,
        "is_one": is_one,
        "select_across": request.POST.get("select_across", "0"),
        "chosen": request.POST.getlist("_selected_action"),
        "back": request.path.removesuffix("decide/") + "change/" if is_one else request.get_full_path(),
    }
    return TemplateResponse(request, "admin/catalog/proposal/create.html", context)


def _tell_accepted(
    model_admin: ModelAdmin, request: HttpRequest, decided: Decided, at: datetime, text: str = ""
) -> None:
    text = text or ngettext("Accepted %(count)s proposal.", "Accepted %(count)s proposals.", decided.done)
    if decided.added:
        new = ngettext("%(added)s listing is new.", "%(added)s listings are new.", decided.added)
        text = f"{text} {new}"
    _tell(model_admin, request, decided, decided.done, text, at)


def _tell(
    model_admin: ModelAdmin,
    request: HttpRequest,
    decided: Decided,
    count: int,
    text: str,
    at: datetime | None = None,
) -> None:
    """What was done, with the way to undo all that was decided `at` that time, and what was left alone and why."""
    if count:
        told = text % {"count": formatting.count(count), "added": formatting.count(decided.added)}
        if at:
            url = f"{reverse('admin:catalog_proposal_undo')}?{urlencode({'at': at.isoformat()})}"
            told = format_html('{} <a href="{}">{}</a>', told, url, gettext("Look at them or undo"))
        model_admin.message_user(request, told, messages.SUCCESS)
    for sentence in left_sentences(decided):
        model_admin.message_user(request, sentence, messages.WARNING)


_DEEDS: dict[str, Callable[[ModelAdmin, HttpRequest, QuerySet[Proposal]], HttpResponse | None]] = {
    "add": add_chosen,
    "create": create_one,
    "reject": reject_chosen,
    "undo": undo_chosen,
}


def _asked(
    name: str, label: Any, deed: Callable[[ModelAdmin, HttpRequest, QuerySet[Proposal]], None]
) -> Callable[[ModelAdmin, HttpRequest, QuerySet[Any]], HttpResponse | None]:
    """The deed as a bulk action, which asks first when it is about many."""

    def act(model_admin: ModelAdmin, request: HttpRequest, proposals: QuerySet[Any]) -> HttpResponse | None:
        if request.POST.get("confirmed") or proposals.count() <= _ASKS_ABOVE:
            deed(model_admin, request, proposals)
            return None
        return _ask(model_admin, request, proposals, name=name, label=label, back=request.get_full_path())

    return act


def _ask(
    model_admin: ModelAdmin, request: HttpRequest, proposals: QuerySet[Any], *, name: str, label: Any, back: str
) -> HttpResponse:
    """The page that asks about a deed to many, with some of them."""
    count = proposals.count()
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
        "back": back,
    }
    return TemplateResponse(request, "admin/catalog/proposal/ask.html", context)


for _order, (_name, _label, _deed, _permission) in enumerate(
    [
        ("accept_proposals", _("Accept"), accept_chosen, DECIDE[1]),
        ("add_unmapped", _("Add without a SKU"), add_chosen, DECIDE[0]),
        ("reject_proposals", _("Reject"), reject_chosen, DECIDE[1]),
        ("undo_decision", _("Undo"), undo_chosen, DECIDE[1]),
    ]
):
    add_action(Proposal, _name, _label, _asked(_name, _label, _deed), permission=_permission, order=2 * _order)
add_action(Proposal, "create_skus", _("Create SKUs…"), create_chosen, permission=MAKE_SKUS[0], order=1)

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
    return format_html('<span class="whole">{}</span><small>{}</small>', first, "".join(rest))


@admin.display(ordering="evidence")
def suggestion_cell(proposal: Any) -> SafeString | str:
    """The SKU it is or seems to be; below it what speaks for it."""
    if proposal.status == Proposal.Status.ACCEPTED and proposal.listing is not None:
        sku = proposal.listing.sku
        return sku.code if sku else format_html('<span class="quiet">{}</span>', _("not mapped"))
    evidence = EVIDENCE_LABELS[Evidence(proposal.evidence)]
    if proposal.sku_id is None:
        return format_html('<span class="quiet whole">{}</span>', evidence)
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
        url = f"?{urlencode({_CHANNEL_VAR: row.channel_id})}#readings"
        return parts.unknown(format_html('<a href="{}">{}</a>', url, _("not read")))
    if sales.units is None:
        return parts.unknown(_("variant not told"))
    return format_html("{}<small>{}</small>", formatting.count(sales.units), parts.time_ago(sales.read_at))


@admin.display(ordering="price")
def price_cell(proposal: Proposal) -> SafeString | str:
    if proposal.price is None:
        if proposal.list_price is None:
            return parts.unknown(_("not supplied"))
        amount = formatting.money(proposal.list_price, proposal.channel.currency)
        return parts.unknown(format_html("{} {}", _("list price"), amount))
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
