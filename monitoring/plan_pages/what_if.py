"""What if: the board as it is beside the board as it would be with other terms. Nothing is stored."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.paginator import Page
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.generic import View

from catalog.admin.stock.deeds import units_field
from catalog.admin.stock.scope import product_line
from catalog.models import Sku, User, Warehouse
from config.formatting import UNKNOWN, count, joined, money
from monitoring.history import safe_cell
from monitoring.models import SkuPlan
from monitoring.models.planning import MOST_DAYS
from monitoring.plan_pages.scope import page_of
from monitoring.plan_pages.views import PlansTemplateView, PlansView
from monitoring.plan_words import likely_share, shown_day, units_text
from monitoring.services.planning.what_if import (
    MOST_PLACES,
    Change,
    FurtherOrder,
    Pair,
    Side,
    TooManyPlacesError,
    WhatIf,
    last_planned,
    scope_keys,
    what_if,
)

_FURTHEST = timedelta(days=MOST_DAYS)
CHANGES = (
    *("sku", "lead_days", "lead_change", "target", "demand_change"),
    *("order_sku", "order_warehouse", "order_units", "order_on"),
)
TABS: Mapping[str, Promise] = {
    "": gettext_lazy("To order or to move"),
    "new": gettext_lazy("Comes new"),
    "gone": gettext_lazy("Not needed any more"),
}
CSV_SIDE = ("to buy", "moved here", "order by", "runs out on", "probability", "safety stock", "reorder point")


def _number(label: Any, *, least: float, most: float, text: Any) -> forms.DecimalField:
    """A number whose one message says what can be entered."""

    def within(number: Decimal) -> None:
        if not Decimal(str(least)) <= number <= Decimal(str(most)):
            raise ValidationError(text)

    messages = dict.fromkeys(("invalid", "max_digits", "max_decimal_places", "max_whole_digits"), text)
    field = forms.DecimalField(
        label=label, required=False, max_digits=9, decimal_places=4, validators=[within], error_messages=messages
    )
    field.widget = forms.TextInput(attrs={"inputmode": "decimal", "size": 8})
    return field


class WhatIfForm(forms.Form):
    """What would be otherwise; what is empty stays as it is."""

    sku = forms.CharField(label=gettext_lazy("SKU"), required=False, max_length=64)
    lead_days = _number(
        gettext_lazy("Lead time, days"),
        least=0,
        most=MOST_DAYS,
        text=gettext_lazy("Enter 0 to 730 days."),
    )
    lead_change = _number(
        gettext_lazy("Lead time, % more or less"),
        least=-100,
        most=900,
        text=gettext_lazy("Enter −100 to 900 percent, for example 20 or -20."),
    )
    target = _number(
        gettext_lazy("Service target"),
        least=0.5,
        most=0.9999,
        text=gettext_lazy("Enter a share from 0.5 to below 1, for example 0.95."),
    )
    demand_change = _number(
        gettext_lazy("Demand, % more or less"),
        least=-100,
        most=900,
        text=gettext_lazy("Enter −100 to 900 percent, for example 20 or -20."),
    )
    order_sku = forms.CharField(label=gettext_lazy("SKU"), required=False, max_length=64)
    order_warehouse = forms.ModelChoiceField(
        Warehouse.objects.filter(is_active=True), label=gettext_lazy("Warehouse"), required=False, empty_label="—"
    )
    order_on = forms.DateField(
        label=gettext_lazy("Arrives on"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        error_messages={"invalid": gettext_lazy("Enter a date, for example 2026-12-01.")},
    )

    def __init__(self, data: Mapping[str, Any], user: User, now: datetime) -> None:
        super().__init__(data)
        self.user, self.now = user, now
        units = units_field(_("Units"), least=1)
        units.required = False
        units.widget = forms.TextInput(attrs={"inputmode": "numeric", "size": 8})
        self.fields["order_units"] = units

    @property
    def terms(self) -> list[forms.BoundField]:
        return [self[name] for name in CHANGES[1:5]]

    @property
    def order(self) -> list[forms.BoundField]:
        return [self[name] for name in CHANGES[5:]]

    def _sku(self, name: str) -> Sku | None:
        code = self.cleaned_data[name].strip()
        if not code:
            return None
        found: Sku | None = Sku.objects.visible_to(self.user).filter(code=code).first()
        if found is None:
            text = _("There is no SKU “%(code)s”. Write the code as the list of SKUs has it.")
            raise ValidationError(text, params={"code": code})
        return found

    def clean_sku(self) -> Sku | None:
        return self._sku("sku")

    def clean_order_sku(self) -> Sku | None:
        return self._sku("order_sku")

    def clean_order_on(self) -> date | None:
        on: date | None = self.cleaned_data["order_on"]
        today = timezone.localdate(self.now)
        if on is not None and on < today:
            raise ValidationError(_("This day has passed. Enter today or a later one."))
        if on is not None and on > today + _FURTHEST:
            raise ValidationError(_("An order can arrive within two years. Enter an earlier day."))
        return on

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if cleaned.get("lead_days") is not None and cleaned.get("lead_change") is not None:
            self.add_error("lead_change", _("Give the days, or the percentage: not both."))
        if any(self.data.get(name) for name in CHANGES[5:]):
            self._clean_order(cleaned)
        return cleaned

    def _clean_order(self, cleaned: dict[str, Any]) -> None:
        """An order has all of its fields; the SKU of the scope stands in for its own."""
        if "order_sku" in cleaned and cleaned["order_sku"] is None:
            cleaned["order_sku"] = cleaned.get("sku")
        missing = {
            "order_sku": _("Enter the SKU that is ordered."),
            "order_warehouse": _("Choose the warehouse that it goes to."),
            "order_units": _("Enter how many."),
            "order_on": _("Enter the day on which it arrives."),
        }
        for name, text in missing.items():
            if name not in self.errors and cleaned.get(name) is None:
                self.add_error(name, text)
        sku, warehouse = cleaned.get("order_sku"), cleaned.get("order_warehouse")
        if sku and warehouse and not SkuPlan.objects.filter(sku=sku, warehouse=warehouse).exists():
            self.add_error("order_warehouse", _("%(sku)s is not planned in this warehouse.") % {"sku": sku.code})

    @property
    def change(self) -> Change | None:
        """Of a valid form; None where nothing would be otherwise."""
        values = self.cleaned_data
        lead, more = values["lead_days"], values["lead_change"]
        target, demand = values["target"], values["demand_change"]
        order = None
        if values["order_on"] is not None:
            order = FurtherOrder(
                values["order_sku"].pk, values["order_warehouse"].pk, values["order_units"], values["order_on"]
            )
        change = Change(
            None if lead is None else float(lead),
            None if more is None else float(1 + more / 100),
            None if target is None else float(target),
            None if demand is None else float(1 + demand / 100),
            order,
        )
        return None if change == Change() else change


# --- What is shown --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure as it is and as it would be."""

    label: str
    before: str
    after: str

    @property
    def is_same(self) -> bool:
        return self.before == self.after


@dataclass(frozen=True, slots=True)
class Row:
    pair: Pair
    sku: Sku
    warehouse: Warehouse
    url: str
    cells: list[Cell]


def _deed(side: Side) -> str:
    parts = []
    if side.moved_here:
        parts.append(_("move %(units)s") % {"units": count(side.moved_here)})
    if side.quantity:
        parts.append(_("buy %(units)s") % {"units": count(side.quantity)})
    if parts:
        return joined(parts)
    return UNKNOWN if side.quantity is None else _("nothing")


def _by(side: Side, now: datetime) -> str:
    if not side.is_advised:
        return ""
    if side.is_late:
        return _("late")
    return shown_day(side.order_by, now) if side.order_by else _("today")


def _out(side: Side, now: datetime) -> str:
    if side.out_on is not None:
        return shown_day(side.out_on, now)
    return UNKNOWN if side.probability is None else _("not in sight")


def _cells(pair: Pair, now: datetime, *, with_costs: bool) -> list[Cell]:
    before, after = pair.before, pair.after
    cells = [
        Cell(_("To do"), _deed(before), _deed(after)),
        Cell(_("At the latest"), _by(before, now), _by(after, now)),
        Cell(_("Runs out"), _out(before, now), _out(after, now)),
        Cell(_("Likelihood"), likely_share(before.probability), likely_share(after.probability)),
        Cell(_("Safety stock"), units_text(before.safety_stock), units_text(after.safety_stock)),
    ]
    if with_costs:
        amounts = [money(side.at_stake, pair.currency) for side in (before, after)]
        cells.append(Cell(_("At risk"), *amounts))
    return cells


def _amounts(sums: Mapping[str, Decimal]) -> str:
    return " · ".join(money(amount, currency) for currency, amount in sorted(sums.items()) if currency) or UNKNOWN


@dataclass(frozen=True, slots=True)
class Total:
    """A sum as it is and as it would be."""

    label: str
    before: str
    after: str
    line: str = ""

    @property
    def is_same(self) -> bool:
        return self.before == self.after


def totals(found: WhatIf, *, with_costs: bool) -> list[Total]:
    before, after = found.before, found.after
    labels = (_("Order today"), _("Order this week"), _("Order later"))
    rows = [Total(label, count(before.groups[group]), count(after.groups[group])) for group, label in enumerate(labels)]
    if after.groups[4] or before.groups[4]:
        rows.append(Total(_("Cannot tell"), count(before.groups[4]), count(after.groups[4])))
    rows.append(Total(_("To buy, units"), count(before.units), count(after.units)))
    if with_costs:
        uncosted = max(before.uncosted, after.uncosted)
        rows += [
            Total(
                _("To buy, at cost"),
                _amounts(before.cost),
                _amounts(after.cost),
                _("without %(count)s of unknown cost") % {"count": count(uncosted)} if uncosted else "",
            ),
            Total(
                _("Stock once all has come, at cost"),
                _amounts(before.held),
                _amounts(after.held),
                _("on hand, on the way and to buy"),
            ),
            Total(_("Safety stock, at cost"), _amounts(before.safety), _amounts(after.safety)),
            Total(
                _("Margin at risk"),
                _amounts(before.at_stake),
                _amounts(after.at_stake),
                _("before what is ordered now could arrive"),
            ),
        ]
    return rows


# --- The page -------------------------------------------------------------------------------------------------------


class WhatIfView(PlansView):
    @cached_property
    def form(self) -> WhatIfForm:
        return WhatIfForm(self.request.GET, self.user, self.now)

    @cached_property
    def planned_at(self) -> datetime | None:
        return last_planned()

    @cached_property
    def change(self) -> Change | None:
        """None where the address changes nothing, or has mistakes."""
        is_valid = self.form.is_valid() and self.scope.form.is_valid()
        return self.form.change if is_valid else None

    def compared(self) -> WhatIf | None:
        """None where nothing is to be compared; raises TooManyPlacesError."""
        if self.change is None or self.planned_at is None:
            return None
        plans = self.scope.plans
        if sku := self.form.cleaned_data["sku"]:
            plans = plans.filter(sku=sku)
        if order := self.change.order:
            # Its own place is compared whatever else the page is about.
            seen = SkuPlan.objects.visible_to(self.user)
            plans = plans | seen.filter(sku=order.sku_id, warehouse=order.warehouse_id)
        return what_if(scope_keys(plans), self.change, planned_at=self.planned_at, now=self.now)

    def rows(self, pairs: list[Pair]) -> Iterator[Row]:
        skus = Sku.objects.select_related("product").in_bulk({pair.sku_id for pair in pairs})
        warehouses = Warehouse.objects.in_bulk()
        for pair in pairs:
            sku = skus[pair.sku_id]
            url = f"{reverse('plan:sku', args=[sku.pk])}?warehouse={pair.warehouse_id}"
            cells = _cells(pair, self.now, with_costs=self.sees_costs)
            yield Row(pair, sku, warehouses[pair.warehouse_id], url, cells)

    @property
    def tab(self) -> str:
        name: str = self.request.GET.get("show", "")
        return name if name in TABS else ""


class WhatIfPage(WhatIfView, PlansTemplateView):
    template_name = "monitoring/plan/what_if.html"
    address, file = "planning:what-if", "planning:what-if-csv"
    kept = CHANGES

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = {
            **super().get_context_data(**kwargs),
            "title": _("What if"),
            "line": _("Change a term and see what the plan would be. Nothing is stored."),
            "number": None,
            "form": self.form,
            "planned_at": self.planned_at,
            "is_asked": any(self.request.GET.get(name) for name in CHANGES[1:]),
            "clear_url": reverse(self.address),
        }
        try:
            found = self.compared()
        except TooManyPlacesError as error:
            limits = {"places": count(error.places), "most": count(MOST_PLACES)}
            too_many = _("These are %(places)s SKUs in warehouses. At most %(most)s are compared at once: narrow them.")
            return context | {"csv_url": "", "too_many": too_many % limits}
        return context | (self.result(found) if found else {"csv_url": ""})

    def result(self, found: WhatIf) -> dict[str, Any]:
        chosen = {
            "": found.pairs,
            "new": [pair for pair in found.pairs if pair.is_new],
            "gone": [pair for pair in found.pairs if pair.is_gone],
        }
        page: Page[Pair] = page_of(chosen[self.tab], self.request.GET)
        rows = list(self.rows(list(page.object_list)))
        here = reverse(self.address)
        return {
            "found": found,
            "totals": totals(found, with_costs=self.sees_costs),
            "page": page,
            "rows": rows,
            "headings": [cell.label for cell in rows[0].cells] if rows else [],
            "tabs": [
                (label, f"{here}?{self.query(show=name)}", len(chosen[name]), name == self.tab)
                for name, label in TABS.items()
            ],
            "rest": self.query(show=self.tab),
            "csv_url": f"{reverse(self.file)}?{self.query()}",
            "basis": _(
                "Both go by sales until %(day)s and the stock, orders and terms of now · %(places)s SKUs in warehouses"
            )
            % {"day": found.last_day.isoformat(), "places": count(found.places)},
        }


class WhatIfCsv(WhatIfView, View):
    def get(self, request: HttpRequest) -> HttpResponseBase:
        try:
            found = self.compared()
        except TooManyPlacesError:
            found = None
        if found is None:
            raise Http404
        return self.export("what-if.csv", self.csv_rows(found), self.user)

    def csv_rows(self, found: WhatIf) -> Iterator[list[str]]:
        """As plain figures; empty is not known, or never."""
        with_costs = self.sees_costs
        heading = [*CSV_SIDE, *(["margin at risk"] if with_costs else [])]
        now, then = ([f"{name} {when}" for name in heading] for when in ("now", "then"))
        yield ["sku", "product", "warehouse", *now, *then, *(["currency"] if with_costs else [])]
        for row in self.rows(found.pairs):
            pair = row.pair
            names = (row.sku.code, product_line(row.sku), str(row.warehouse))
            sides = [_plain(side, with_costs=with_costs) for side in (pair.before, pair.after)]
            yield [*map(safe_cell, names), *sides[0], *sides[1], *([pair.currency] if with_costs else [])]


def _plain(side: Side, *, with_costs: bool) -> list[str]:
    figures = [side.quantity, side.moved_here, side.order_by if side.is_advised else None, side.out_on]
    rounded = [
        None if value is None else round(value, 4)
        for value in (side.probability, side.safety_stock, side.reorder_point)
    ]
    costs = [side.at_stake] if with_costs else []
    return ["" if value is None else str(value) for value in (*figures, *rounded, *costs)]
