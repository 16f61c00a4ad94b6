"""Lanes: what it takes to move stock from one warehouse to another."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from catalog.admin.places import currency_choices
from catalog.models import Lane
from config import formatting
from config.admin_site import add_column, add_menu_item
from config.model_admin import FrameModelAdmin


@admin.register(Lane)
class LaneAdmin(FrameModelAdmin):
    list_display = ()
    list_select_related = ["source", "destination"]
    list_filter = ["source", "destination"]
    list_line = _("How stock moves from one warehouse to another; without a lane nothing is proposed to be moved")
    empty_text = _("Add a lane for each way on which stock may be moved, there and back each its own.")
    fields = ["source", "destination", "days", "currency", "unit_cost", "fixed_cost", "minimum"]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "currency":
            return forms.ChoiceField(
                label=capfirst(str(db_field.verbose_name)),
                choices=currency_choices(),
                initial=db_field.default,
                help_text=_("Another currency counts by its exchange rate; while none is known the lane is left out."),
            )
        return super().formfield_for_dbfield(db_field, request, **kwargs)


def way_cell(lane: Lane) -> SafeString:
    return format_html("<strong>{}</strong>", lane)


@admin.display(ordering="days")
def days_cell(lane: Lane) -> str:
    return formatting.count(lane.days)


@admin.display(ordering="unit_cost")
def unit_cost_cell(lane: Lane) -> str:
    return formatting.money(lane.unit_cost, lane.currency)


@admin.display(ordering="fixed_cost")
def fixed_cost_cell(lane: Lane) -> str:
    return formatting.money(lane.fixed_cost, lane.currency)


@admin.display(ordering="minimum")
def minimum_cell(lane: Lane) -> str:
    return formatting.count(lane.minimum)


add_column(Lane, "way", _("way"), way_cell, order=10)
add_column(Lane, "days", _("days"), days_cell, order=20, classes="num")
add_column(Lane, "cost", _("cost of a unit"), unit_cost_cell, order=30, classes="num")
add_column(Lane, "fixed", _("fixed cost"), fixed_cost_cell, order=40, classes="num")
add_column(Lane, "minimum", _("minimum lot"), minimum_cell, order=50, classes="num")
add_menu_item("plan", _("Lanes"), "admin:catalog_lane_changelist", permission="catalog.view_lane", order=90)
