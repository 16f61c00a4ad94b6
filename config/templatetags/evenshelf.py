"""The parts every page is made of. Each formatter is a tag and a filter: {% money a c %} and {{ a|money:c }}."""

import json
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from django import template
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from catalog.facts import ShelfState
from catalog.models.listing import SHELF_LABELS
from config import formatting

register = template.Library()

_SHELF_ICONS = {
    ShelfState.ON_SHELF: "ok",
    ShelfState.SOLD_OUT: "warning",
    ShelfState.OFF_SHELF: "muted",
    ShelfState.UNKNOWN: "unknown",
}


@register.filter
@register.simple_tag
def money(amount: Decimal | None, currency: str) -> str:
    return formatting.money(amount, currency)


@register.filter
@register.simple_tag
def count(number: int | None) -> str:
    return formatting.count(number)


@register.filter
@register.simple_tag
def percent(ratio: Decimal | None) -> str:
    return formatting.percent(ratio)


@register.filter
@register.simple_tag
def change_percent(old: Decimal | int | None, new: Decimal | int | None) -> str:
    return formatting.change_percent(old, new)


@register.filter
@register.simple_tag
def ago(moment_at: datetime | None, now: datetime | None = None) -> str:
    return formatting.ago(moment_at, now or timezone.now())


@register.filter
@register.simple_tag
def moment(moment_at: datetime | None, tz: tzinfo | None = None) -> str:
    return formatting.moment(moment_at, tz)


@register.filter
@register.simple_tag
def iso_moment(moment_at: datetime | None, tz: tzinfo | None = None) -> str:
    return formatting.iso_moment(moment_at, tz)


@register.filter
@register.simple_tag
def duration(length: timedelta | None) -> str:
    return formatting.duration(length)


@register.filter
def spaced(text: str) -> str:
    return formatting.spaced(text)


@register.simple_tag
def inline_data(formset: Any) -> str:
    """What Django's script is told of the parts of a form; Django's own words have a capital and a space amid them."""
    data = json.loads(formset.inline_formset_data())
    data["options"]["addText"] = formatting.spaced(gettext("Add %(name)s") % {"name": formset.opts.verbose_name})
    return json.dumps(data)


@register.simple_tag
def icon(name: str) -> SafeString:
    """A symbol of the sprite in templates/admin/sprite.html; a word always stands beside it."""
    return format_html('<svg class="icon i-{0}" aria-hidden="true"><use href="#i-{0}"/></svg>', name)


@register.simple_tag
def badge(severity: str, text: str | Promise) -> SafeString:
    """A state on its ground; "ok" has none."""
    return format_html('<span class="badge {}">{}{}</span>', severity, icon(severity), text)


@register.simple_tag
def mark(channel: Any) -> SafeString:
    """The platform's two letters, its name behind them."""
    return format_html('<abbr class="mark" title="{}">{}</abbr>', channel.get_platform_display(), channel.mark)


@register.simple_tag
def time_ago(moment_at: datetime | None, now: datetime | None = None) -> SafeString | str:
    """“4 min ago”, with the time itself behind it."""
    if moment_at is None:
        return formatting.UNKNOWN
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment_at.isoformat(timespec="seconds"),
        formatting.iso_moment(moment_at),
        formatting.ago(moment_at, now or timezone.now()),
    )


@register.simple_tag
def unknown(reason: str | Promise = "") -> SafeString:
    """An em dash, and below it why the figure is not known."""
    if not reason:
        return format_html('<span class="unknown">{}</span>', formatting.UNKNOWN)
    return format_html('<span class="unknown">{}</span><small>{}</small>', formatting.UNKNOWN, reason)


@register.simple_tag
def per_listing(listing: Any) -> str:
    """How many units one sale of a listing takes; for those where that is not one."""
    return gettext("%(factor)s units per listing") % {"factor": formatting.count(listing.pack_factor)}


@register.simple_tag
def packed(listing: Any) -> str:
    """A stock of packs in units: 48 boxes of twelve are 576 units. The stock is known."""
    return formatting.units(listing.stock * listing.pack_factor)


@register.simple_tag
def none(word: str | Promise) -> SafeString:
    """An empty place, which is known to be empty; the word is for those who hear the page."""
    return format_html('<span class="visually-hidden">{}</span>', word)


@register.simple_tag
def shelf(listing_or_state: Any) -> SafeString:
    """On shelf is a quiet word with a tick; the other states show their shape."""
    state = ShelfState(getattr(listing_or_state, "shelf_state", listing_or_state))
    severity = _SHELF_ICONS[state]
    text = _capitalised(str(SHELF_LABELS[state]))
    return format_html('<span class="state {}">{}{}</span>', severity, icon(severity), text)


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
