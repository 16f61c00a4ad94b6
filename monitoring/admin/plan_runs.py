"""The board in the menu, and planning runs: how far one is, when it was, and who asked for it."""

from typing import Any

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from config import formatting
from config.admin_site import Text, add_column, add_menu_item
from config.model_admin import FrameModelAdmin, ReadOnly
from config.templatetags import evenshelf as parts
from monitoring.models import PlanRun


@admin.register(PlanRun)
class PlanRunAdmin(ReadOnly, FrameModelAdmin):
    list_display = ()
    list_display_links = None
    list_select_related = ["asked_by"]
    list_line = _("How far planning is, and how long it took; everything every night, and what changed in between")
    empty_title = _("Nothing was planned yet")
    empty_text = _("The first night plans everything. Press Plan now on the board to have it at once.")
    sortable_by = ()


def _run(run: PlanRun) -> SafeString:
    who = run.asked_by or gettext("by itself")
    return format_html(
        "<strong>{}</strong><small>{} · {}</small>",
        formatting.iso_moment(run.started_at),
        run.get_kind_display(),
        who,
    )


def _state(run: PlanRun) -> SafeString:
    if run.problem:
        return parts.badge("critical", gettext("Ended early"))
    return parts.badge("info", gettext("Running")) if run.ended_at is None else parts.badge("ok", gettext("Done"))


def _progress(run: PlanRun) -> SafeString | str:
    """SKUs times warehouses; before they are counted nobody can tell."""
    if not run.total and run.ended_at is None:
        return parts.unknown(_("begins"))
    done, total = formatting.count(run.done), formatting.count(run.total)
    return gettext("%(done)s of %(total)s") % {"done": done, "total": total}


def _took(run: PlanRun) -> SafeString | str:
    if run.ended_at is None:
        return parts.unknown(_("running"))
    return formatting.duration(run.ended_at - run.started_at)


_COLUMNS: list[tuple[str, Text, Any, str]] = [
    ("run", _("Run"), _run, ""),
    ("state", _("State"), _state, ""),
    ("progress", _("Planned"), _progress, "num"),
    ("took", _("Took"), _took, "num"),
]
for _place, (_name, _label, _cell, _classes) in enumerate(_COLUMNS):
    add_column(PlanRun, _name, _label, _cell, order=10 * _place, classes=_classes)
add_menu_item("plan", _("Plan"), "plan:board", permission="monitoring.view_advice", order=1)
