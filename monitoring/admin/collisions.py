"""Promotions that together sell below break-even, now or later: the list, and where its rows lead."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from catalog.admin.listing import VisibleRelatedFilter
from catalog.models import Channel, Listing
from catalog.pricing.reasons import CannotTell
from catalog.promotions.requests import amount_of
from catalog.promotions.rules_text import rule_name, value_text
from config import formatting
from config.admin_site import add_button, add_column, add_menu_item, add_tab
from config.model_admin import FrameModelAdmin, ReadOnly, person
from config.templatetags import evenshelf as parts
from monitoring.models import Alert, AlertKind, Collision
from monitoring.price_page import COST_PARTS
from monitoring.services.collisions import MISSING, due_to_scan

Certainty = Collision.Certainty
_VIEW = "monitoring.view_collision"
_PROMOTION = "catalog.view_promotion"

_REASONS: dict[str, Promise | str] = {
    CannotTell.PRICE: _("a price is not known"),
    CannotTell.UNKNOWN: _("facts of a promotion are not known"),
    CannotTell.BASE: _("a price that a promotion counts on is not known"),
    CannotTell.BUDGET: _("too many ways to combine the promotions"),
    CannotTell.NO_PLAN: _("promotions that apply by themselves exclude each other"),
}
_TRUTHS = {"true": True, "false": False}


@admin.register(Collision)
class CollisionAdmin(ReadOnly, FrameModelAdmin):
    list_display = ()
    list_display_links = None
    list_select_related = ["listing__channel", "listing__sku"]
    list_filter = [("listing__channel", VisibleRelatedFilter)]
    search_fields = ["listing__title", "listing__platform_item_id", "listing__sku__code"]
    search_help_text = _("Title, SKU or platform id")
    list_line = _("Promotions that together sell one unit below break-even within 90 days, at today’s exchange rates")
    empty_title = _("No losses ahead")
    empty_text = _("Every night, and whenever a promotion changes, all that is live or scheduled is worked through.")
    sortable_by = ()

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Nothing found is told only once everything was looked through."""
        context = dict(extra_context or {})
        channels = Channel.objects.visible_to(person(request))
        if waiting := due_to_scan(timezone.now()).order_by().filter(listing__channel__in=channels).count():
            text = ngettext(
                "%(count)s listing is still to be looked through. Reload this page in a few minutes.",
                "%(count)s listings are still to be looked through. Reload this page in a few minutes.",
                waiting,
            ) % {"count": formatting.count(waiting)}
            context |= {"list_line": formatting.sentences(f"{self.list_line}.", text)}
            context |= {"empty_title": gettext("Not all was looked through yet"), "empty_text": text}
        return super().changelist_view(request, context)


def price_url(listing_id: int, at: datetime) -> str:
    """The explained price of the listing at a moment; the page takes whole seconds, so the next one."""
    moment = at + timedelta(microseconds=-at.microsecond % 1_000_000)
    shown = timezone.localtime(moment).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{reverse('watch:listing-price', args=[listing_id])}?{urlencode({'quantity': 1, 'at': shown})}"


def reason_text(reason: str) -> str:
    """Why nobody can tell, in words."""
    code, _colon, about = reason.partition(":")
    if code == MISSING:
        names = dict.fromkeys(str(COST_PARTS.get(name, name)) for name in about.split(","))
        return gettext("not known: %(parts)s") % {"parts": formatting.joined(names)}
    return str(_REASONS.get(code, code))


def rule_text(rule: str) -> str:
    """“Coupon: how many are used: several together”, of coupon.pick=many."""
    name, _equals, text = rule.partition("=")
    return formatting.labelled(rule_name(name), value_text(name, _TRUTHS.get(text, text)))


def _listing(row: Collision) -> SafeString:
    listing: Listing = row.listing
    return format_html(
        '<a href="{}"><strong title="{}">{}</strong></a><small>{} {} · {}</small>',
        price_url(row.listing_id, row.worst_at or row.starts_at),
        listing,
        listing,
        parts.mark(listing.channel),
        listing.channel,
        listing.platform_id,
    )


def _first_minute(row: Collision) -> SafeString:
    shown = gettext("now") if row.starts_at <= row.found_at else formatting.moment(row.starts_at)
    return format_html(
        '<a href="{}">{}</a><small>{}</small>',
        price_url(row.listing_id, row.starts_at),
        shown,
        formatting.iso_moment(row.starts_at),
    )


def _money(units: int | None, row: Collision) -> str:
    return formatting.money(None if units is None else amount_of(units, row.currency), row.currency)


def _worst_price(row: Collision) -> SafeString:
    if row.price is None:
        return parts.unknown()
    when = (
        ""
        if row.worst_at in (None, row.starts_at)
        else gettext("from %(time)s") % {"time": formatting.moment(row.worst_at)}
    )
    return format_html("<strong>{}</strong><small>{}</small>", _money(row.price, row), when)


def _break_even(row: Collision) -> SafeString | str:
    """What a buyer would have to pay: what the platform pays of the discounts comes in besides."""
    if row.price is None:
        return parts.unknown()
    if row.break_even is None or row.receipts is None:
        return parts.unknown(_("its costs are above any price"))
    return _money(max(row.break_even - (row.receipts - row.price), 0), row)


def _loss(row: Collision) -> SafeString:
    if row.margin is None:
        return parts.unknown()
    return format_html("{} {}", parts.icon("critical"), _money(-row.margin, row))


def _promotions(row: Collision) -> SafeString | str:
    if row.certainty == Certainty.CANNOT_TELL:
        return reason_text(row.reason)
    names = formatting.joined([name for _id, name in row.promotions]) or gettext("no promotion")
    lines = [names]
    if row.buyer:
        lines.append(gettext("only for %(buyers)s") % {"buyers": row.buyer})
    if row.rule:
        lines.append(gettext("not confirmed: %(rule)s") % {"rule": rule_text(row.rule)})
    return format_html("{}<small>{}</small>", lines[0], " · ".join(lines[1:]))


def _state(row: Collision) -> SafeString:
    match row.certainty:
        case Certainty.CERTAIN if row.starts_at <= row.found_at:
            return parts.badge("critical", gettext("Loses now"))
        case Certainty.CERTAIN:
            return parts.badge("warning", gettext("Certain"))
        case Certainty.POSSIBLE:
            return parts.badge("info", gettext("Possible"))
        case _:
            return parts.badge("unknown", gettext("Cannot tell"))


def _is(certainty: str) -> Callable[[QuerySet[Any], HttpRequest], QuerySet[Any]]:
    return lambda rows, request: rows.filter(certainty=certainty)


def _ahead_url(request: HttpRequest, alert: Alert) -> str | None:
    """Of a warning: the price as it will be in the first minute."""
    if alert.kind != AlertKind.LOSS_AHEAD or alert.listing_id is None or not request.user.has_perm(_PROMOTION):
        return None
    return price_url(alert.listing_id, datetime.fromisoformat(alert.new_value))


add_tab(Collision, "certain", _("Certain"), _is(Certainty.CERTAIN), order=10)
add_tab(Collision, "possible", _("Possible"), _is(Certainty.POSSIBLE), order=20)
add_tab(Collision, "cannot-tell", _("Cannot tell"), _is(Certainty.CANNOT_TELL), order=30)
add_column(Collision, "listing", _("Listing"), _listing, order=10)
add_column(Collision, "state", _("Certainty"), _state, order=20)
add_column(Collision, "first", _("First minute"), _first_minute, order=30)
add_column(Collision, "price", _("Worst price"), _worst_price, order=40, classes="num")
add_column(Collision, "break_even", _("Break-even"), _break_even, order=50, classes="num")
add_column(Collision, "loss", _("Loss per unit"), _loss, order=60, classes="num")
add_column(Collision, "promotions", _("Promotions"), _promotions, order=70)
add_menu_item("price", _("Collisions"), "admin:monitoring_collision_changelist", permission=_VIEW, order=20)
add_button("alert", _("Explain price"), _ahead_url, method="get", order=35)
