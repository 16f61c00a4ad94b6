"""The pages about the plans as a whole, and their files."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.contrib import admin
from django.core.paginator import Page
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.generic import TemplateView, View

from catalog.models import Channel
from config.formatting import UNKNOWN, count, percent
from monitoring.models import SkuPlan
from monitoring.plan_cards import cards_of_groups
from monitoring.plan_pages import classes, health, heat, prices
from monitoring.plan_pages.classes import DEAD_DAYS
from monitoring.plan_pages.scope import NO_CLASS, PlanScope, page_of
from monitoring.planning.health import WEIGHTS
from monitoring.views import WatchView

VIEW = "monitoring.view_skuplan"

_PARTS: dict[str, Promise] = {
    "availability": gettext_lazy("Availability"),
    "cover": pgettext_lazy("part of the health", "Cover"),
    "turnover": gettext_lazy("Turnover"),
    "freshness": gettext_lazy("Freshness"),
}
_GROUPS: dict[str, Promise] = {
    "warehouse": gettext_lazy("Warehouses"),
    "brand": gettext_lazy("Brands"),
}
_STANDINGS: dict[str, Promise] = {
    "": pgettext_lazy("plans", "All"),
    "dead": gettext_lazy("Dead stock"),
    "excess": gettext_lazy("Too much"),
}


class PlansView(WatchView):
    permission_required = (VIEW, "catalog.view_sku")

    @cached_property
    def scope(self) -> PlanScope:
        return PlanScope(self.user, self.request.GET)

    @property
    def sees_costs(self) -> bool:
        return self.user.has_perm("catalog.view_cost")


class PlansTemplateView(PlansView, TemplateView):
    """A page with filters; `kept` of its address stays when they change."""

    address: ClassVar[str]
    file: ClassVar[str]
    kept: ClassVar[tuple[str, ...]] = ()

    def query(self, **changes: Any) -> str:
        return self.scope.query(**{name: self.request.GET.get(name, "") for name in self.kept} | changes)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        kept = [(name, self.request.GET[name]) for name in self.kept if self.request.GET.get(name)]
        return {
            **admin.site.each_context(self.request),
            **super().get_context_data(**kwargs),
            "scope": self.scope,
            "is_narrowed": self.scope.is_narrowed,
            "kept": kept,
            "clear_url": f"{reverse(self.address)}?{urlencode(kept)}",
            "rest": self.query(),
            "csv_url": f"{reverse(self.file)}?{self.query()}",
            "sees_costs": self.sees_costs,
        }


# --- Days of cover --------------------------------------------------------------------------------------------------


class HeatPage(PlansTemplateView):
    template_name = "monitoring/plan/heat.html"
    address, file = "planning:heat", "planning:heat-csv"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        found = heat.heat(self.scope, self.request.GET)
        return {
            **super().get_context_data(**kwargs),
            "title": _("Days of cover"),
            "number": found.page.paginator.count,
            "line": _("How long the stock of each SKU lasts in each warehouse, the most urgent first"),
            "heat": found,
            "legend": heat.legend(),
        }


class HeatCsv(PlansView, View):
    def get(self, request: HttpRequest) -> HttpResponseBase:
        return self.export("cover.csv", heat.csv_rows(self.scope), self.user)


# --- Classes --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fact:
    label: str
    value: str
    line: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class MatrixCell:
    part: classes.Part
    url: str


@dataclass(frozen=True, slots=True)
class MatrixRow:
    name: str
    part: classes.Part
    cells: list[MatrixCell]
    url: str
    turns: str


class ClassesPage(PlansTemplateView):
    template_name = "monitoring/plan/classes.html"
    address, file = "planning:classes", "planning:list-csv"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        found = classes.classes(self.scope, self.now)
        return {
            **super().get_context_data(**kwargs),
            "title": _("Classes of stock"),
            "line": _("What earns, what sells steadily, and what only lies there"),
            "number": None,
            "found": found,
            "facts": self.facts(found),
            "columns": [name or _("none") for name in classes.XYZ],
            "no_class": _("none"),
            "cards": cards_of_groups(),
            "matrix": [self.row(found, abc) for abc in classes.ABC if found.rows[abc].plans],
        }

    def listed(self, **narrowed: str) -> str:
        return f"{reverse('planning:list')}?{self.query(**narrowed)}"

    def row(self, found: classes.Classes, abc: str) -> MatrixRow:
        cells = [
            MatrixCell(found.cells[abc, xyz], self.listed(abc=abc or NO_CLASS, xyz=xyz or NO_CLASS))
            for xyz in classes.XYZ
        ]
        part = found.rows[abc]
        return MatrixRow(abc or _("none"), part, cells, self.listed(abc=abc or NO_CLASS), _times(part.turns))

    def facts(self, found: classes.Classes) -> list[Fact]:
        total = found.total
        unvalued = _("%(count)s have stock of unknown cost") % {"count": count(total.unvalued)}
        facts = [
            Fact(_("SKUs in warehouses"), count(total.plans), self.amounts(total), self.listed()),
            Fact(_("Turnover a year"), _times(total.turns), _("weighed by the stock’s value")),
            Fact(
                _("Dead stock"),
                count(found.dead.plans),
                self.amounts(found.dead) or _("not sold for %(days)d days") % {"days": DEAD_DAYS},
                self.listed(stock="dead"),
            ),
            Fact(
                _("Too much"),
                count(found.excess.plans),
                self.amounts(found.excess) or _("lasts longer than is healthy"),
                self.listed(stock="excess"),
            ),
        ]
        if self.sees_costs and total.unvalued:
            facts.append(Fact(_("Stock value"), self.amounts(total) or UNKNOWN, unvalued))
        return facts

    def amounts(self, part: classes.Part) -> str:
        return part.amounts if self.sees_costs else ""


@dataclass(frozen=True, slots=True)
class PlanRow:
    plan: SkuPlan
    url: str

    @property
    def grade(self) -> str:
        return f"{self.plan.abc}{self.plan.xyz}" or UNKNOWN

    @property
    def cover(self) -> str:
        return UNKNOWN if self.plan.cover_days is None else _tenth(self.plan.cover_days)

    @property
    def line(self) -> str:
        return str(self.plan.get_status_display()) if self.plan.cover_days is None else ""

    @property
    def turns(self) -> str:
        return _times(self.plan.turns)

    @property
    def sold(self) -> str:
        return UNKNOWN if self.plan.last_sold_on is None else self.plan.last_sold_on.isoformat()

    @property
    def health(self) -> str:
        return UNKNOWN if self.plan.health is None else _tenth(self.plan.health)


class PlansPage(PlansTemplateView):
    """The list behind the figures of the other pages."""

    template_name = "monitoring/plan/plans.html"
    address, file = "planning:list", "planning:list-csv"
    kept = ("stock", "xyz", "sku", "order")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        page = classes.listed(self.scope, self.request.GET, self.now)
        standing = self.request.GET.get("stock", "")
        xyz = self.request.GET.get("xyz", "")
        lines = {
            "dead": _("On hand, and not sold for %(days)d days") % {"days": DEAD_DAYS},
            "excess": _("Lasts longer than is healthy: the lead time, the review period and 60 days"),
        }
        context = super().get_context_data(**kwargs)
        return {
            **context,
            "title": _STANDINGS.get(standing, _STANDINGS[""]) if standing else _("Plans of SKUs"),
            "line": lines.get(standing, _("Class %(name)s") % {"name": xyz} if xyz not in ("", NO_CLASS) else ""),
            "number": page.paginator.count,
            "page": page,
            "rows": [PlanRow(plan, sku_address(plan)) for plan in page.object_list],
            "is_narrowed": self.scope.is_narrowed or bool(context["kept"]),
            "clear_url": reverse("planning:list"),
            "tabs": [
                (label, f"{reverse('planning:list')}?{self.query(stock=name, order='')}", name == standing)
                for name, label in _STANDINGS.items()
            ],
            "back": reverse("planning:classes"),
            "back_title": _("Classes of stock"),
        }


class PlansCsv(PlansView, View):
    def get(self, request: HttpRequest) -> HttpResponseBase:
        rows = classes.csv_rows(self.scope, request.GET, self.now, with_costs=self.sees_costs)
        return self.export("plans.csv", rows, self.user)


def sku_address(plan: SkuPlan) -> str:
    """The page about what a plan is for."""
    return f"{reverse('plan:sku', args=[plan.sku_id])}?warehouse={plan.warehouse_id}"


# --- Health ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HealthRow:
    group: health.Group
    url: str

    @property
    def score(self) -> str:
        return UNKNOWN if self.group.score is None else _tenth(self.group.score)

    @property
    def parts(self) -> Iterable[tuple[str, str]]:
        """Each part, and how much it counts where another one is not known."""
        weights = self.group.weights
        is_whole = all(weight is not None for weight in weights.values())
        for name, part in self.group.parts.items():
            if part is None:
                yield UNKNOWN, _("left out")
            else:
                line = "" if is_whole else _("weight %(share)s") % {"share": _share(weights[name])}
                yield _share(part), line


class HealthPage(PlansTemplateView):
    template_name = "monitoring/plan/health.html"
    address, file = "planning:health", "planning:health-csv"
    kept = ("by",)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        by = health_group(self.request)
        page = page_of(health.groups(self.scope, by), self.request.GET)
        listing = reverse("planning:list")
        tabs = [
            (label, f"{reverse(self.address)}?{self.query(by=name)}", name == by) for name, label in _GROUPS.items()
        ]
        return {
            **super().get_context_data(**kwargs),
            "title": _("Health of the stock"),
            "line": _("From 0 to 100, the worst first"),
            "number": None,
            "heading": _("Warehouse") if by == "warehouse" else _("Brand"),
            "parts": [(label, _share(WEIGHTS[name])) for name, label in _PARTS.items()],
            "page": page,
            "rows": [
                HealthRow(group, f"{listing}?{self.query(**{'by': '', by: group.key, 'order': 'health'})}")
                for group in page.object_list
            ],
            "tabs": [*tabs, (_("SKUs"), f"{listing}?{self.query(by='', order='health')}", False)],
        }


class HealthCsv(PlansView, View):
    def get(self, request: HttpRequest) -> HttpResponseBase:
        by = health_group(request)
        return self.export(f"health-{by}.csv", health.csv_rows(self.scope, by), self.user)


def health_group(request: HttpRequest) -> str:
    by = request.GET.get("by") or "warehouse"
    if by not in health.GROUPS:
        raise Http404
    return by


# --- Prices ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MoverRow:
    mover: prices.Mover

    @property
    def figures(self) -> list[str]:
        return [_share(figure) for figure in (self.mover.variation, self.mover.change, self.mover.range_share)]


class PricesView(WatchView):
    """Of one channel, since only prices of one currency are compared."""

    @cached_property
    def form(self) -> prices.PriceFilters:
        return prices.PriceFilters(self.request.GET, self.user)

    @cached_property
    def scope(self) -> PlanScope:
        return PlanScope(self.user, self.request.GET)

    @cached_property
    def channel(self) -> Channel | None:
        """The chosen one, the first without a choice; None where there is none."""
        if not self.form.is_valid():
            return None
        chosen: Channel | None = self.form.cleaned_data["channel"]
        return chosen or Channel.objects.visible_to(self.user).order_by("name", "pk").first()


class PricesPage(PricesView, TemplateView):
    template_name = "monitoring/plan/prices.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        page: Page[Any] | None = None
        rows: list[prices.Mover] = []
        if self.channel is not None:
            page, rows = prices.page_of_movers(self.channel, self.scope, self.now)
        query = self.scope.query(channel=self.channel.pk) if self.channel else ""
        return {
            **admin.site.each_context(self.request),
            **super().get_context_data(**kwargs),
            "title": _("Price swings"),
            "line": _("How much prices moved in the last %(days)d days") % {"days": prices.DAYS},
            "number": page.paginator.count if page else None,
            "form": self.form,
            "scope": self.scope,
            "clear_url": f"{reverse('planning:prices')}?{urlencode({'channel': self.channel.pk})}"
            if self.channel
            else "",
            "page": page,
            "rows": [MoverRow(mover) for mover in rows],
            "rest": query,
            "csv_url": f"{reverse('planning:prices-csv')}?{query}" if query else "",
        }


class PricesCsv(PricesView, View):
    def get(self, request: HttpRequest) -> HttpResponseBase:
        if self.channel is None:
            raise Http404
        return self.export("price-swings.csv", prices.csv_rows(self.channel, self.scope, self.now), self.channel)


def _tenth(value: float) -> str:
    return f"{value:,.1f}"


def _times(turns: float | None) -> str:
    return UNKNOWN if turns is None else _tenth(turns)


def _share(share: float | None) -> str:
    return percent(None if share is None else Decimal(str(share)))
