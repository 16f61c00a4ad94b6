"""The columns of the lists of proposals and of unmapped listings."""

from typing import Any

from django.contrib import admin
from django.db.models import F
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from catalog.admin.mapping.shops import CHANNEL_VAR
from catalog.mapping.words import conflict_label
from catalog.matching import Conflict, Evidence
from catalog.models import Proposal
from catalog.models.proposal import EVIDENCE_LABELS
from config import formatting
from config.admin_site import (
    add_column,
)
from config.templatetags import evenshelf as parts


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
        url = f"?{urlencode({CHANNEL_VAR: row.channel_id})}#readings"
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
