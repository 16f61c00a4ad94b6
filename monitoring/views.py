"""Charts as JSON, their CSV files, the history page of a listing and the comparison page of a product.

Every address answers 404 for what the person may not see, so that it does not tell what exists.
"""

import csv
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from chartjs.views.lines import BaseLineChartView
from django.contrib import admin
from django.contrib.auth.mixins import PermissionRequiredMixin
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBadRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.dateparse import parse_datetime
from django.utils.translation import get_language, gettext, gettext_noop
from django.views.generic import TemplateView, View

from catalog.models import Listing, Product, User
from catalog.promotions.requests import amount_of
from catalog.services import audit
from monitoring import dashboard, history, price_page
from monitoring.charts import comparison, describe, price_calendar, series
from monitoring.charts.data import (
    DEFAULT_RANGE,
    RANGES,
    ComparisonChart,
    ListingChart,
    all_rows,
    comparison_chart,
    floats,
    listing_chart,
    milliseconds,
    plotted,
    range_rows,
)
from monitoring.charts.price_calendar import Calendar
from monitoring.charts.series import MAX_POINTS
from monitoring.forms import PriceForm
from monitoring.freshness import is_fresh, watch_of
from monitoring.listing_page import history_facts, with_present_gap


class BadRange(ValueError):
    """The address asks for a range that there is not."""


class WatchView(PermissionRequiredMixin):
    """What all of these share: signed-in staff with the right to see listings and what was read of them."""

    permission_required: tuple[str, ...] = ("catalog.view_listing", "monitoring.view_observation")
    ranges: Mapping[str, timedelta] = RANGES
    default_range = DEFAULT_RANGE
    request: HttpRequest
    kwargs: dict[str, Any]

    @property
    def user(self) -> User:
        user = self.request.user
        assert isinstance(user, User)  # noqa: S101 - has_permission() let nobody else in
        return user

    @cached_property
    def now(self) -> datetime:
        return timezone.now()

    def has_permission(self) -> bool:
        return self.request.user.is_active and self.request.user.is_staff and super().has_permission()

    def export(self, name: str, rows: Iterable[Sequence[str]], about: Model) -> HttpResponseBase:
        """The rows as a CSV file of that name; who took it away is logged with what it is about."""
        changes = {gettext_noop("file"): ["", name]}
        audit(action=gettext_noop("exported"), obj=about, actor=self.user, now=self.now, changes=changes)
        return csv_response(name, rows)

    @cached_property
    def range_name(self) -> str:
        name = self.request.GET.get("range", self.default_range)
        if name not in self.ranges:
            raise BadRange(
                gettext("There is no range “%(name)s”; use one of %(names)s.")
                % {"name": name[:20], "names": ", ".join(self.ranges)}
            )
        return name

    @property
    def start(self) -> datetime:
        return self.now - self.ranges[self.range_name]


class ListingView(WatchView):
    @cached_property
    def listing(self) -> Listing:
        listings = Listing.objects.visible_to(self.user).select_related("channel", "watch", "sku__product")
        return get_object_or_404(listings, pk=self.kwargs["listing_id"])


class ChartView(WatchView, BaseLineChartView):  # type: ignore[misc] # the package has no types
    """Chart.js data as JSON: only plain values, with an ETag that costs no look at the history."""

    raise_exception = True  # a script asks, so it gets 403, not the sign-in page

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            etag = self.etag()
        except BadRange as error:
            return HttpResponseBadRequest(str(error), content_type="text/plain; charset=utf-8")
        response = get_conditional_response(request, etag=etag)
        if response is None:
            response = super().get(request, *args, **kwargs)
            response.headers["ETag"] = etag
        patch_cache_control(response, private=True, no_cache=True)
        return response

    @property
    def wants_table(self) -> bool:
        """The rows behind the chart are asked for when somebody opens them."""
        return "table" in self.request.GET

    def etag(self) -> str:
        raise NotImplementedError

    def convert_context_to_json(self, context: dict[str, Any]) -> str:
        """Without what the template machinery adds; a value that is not plain JSON is a mistake, not a repr."""
        return describe.to_json({key: value for key, value in context.items() if key not in ("view", *self.kwargs)})

    def etag_of(self, listings: Iterable[Listing], *more: object) -> str:
        """Changes with each reading, when a reading becomes too old, and when the axis has moved by a point's width."""
        width = self.ranges[self.range_name] / MAX_POINTS
        parts: list[object] = [
            self.wants_table,
            get_language(),
            self.range_name,
            milliseconds(self.now) // int(width / timedelta(milliseconds=1)),
            *more,
        ]
        for listing in listings:
            watch = watch_of(listing)
            read_at = watch.read_at if watch else None
            parts += [
                listing.pk,
                listing.title,
                listing.observed_at,
                read_at,
                is_fresh(listing, self.now),
                listing.channel.name,
            ]
            parts += [listing.channel.time_zone, listing.channel.currency]
        return f'"{hashlib.sha256(repr(parts).encode()).hexdigest()[:32]}"'


class ListingChartView(ListingView, ChartView):
    """Price, stock and shelf state of one listing."""

    @cached_property
    def chart(self) -> ListingChart:
        return listing_chart(listing=self.listing, start=self.start, now=self.now)

    def etag(self) -> str:
        return self.etag_of([self.listing])

    def get_labels(self) -> list[int]:
        return self.chart.drawing.times

    def get_providers(self) -> list[str]:
        return [describe.fact_label(fact) for fact in self.chart.facts]

    def get_data(self) -> list[list[float | None]]:
        return list(plotted(self.chart).values())

    def get_dataset_options(self, index: int, color: object) -> dict[str, Any]:
        fact = self.chart.facts[index]
        return {"fact": fact, "pane": "stock" if fact == "stock" else "price"}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        chart, channel = self.chart, self.listing.channel
        return {
            **super().get_context_data(**kwargs),
            "start": chart.start,
            "end": chart.end,
            "gaps": chart.gaps,
            "shelf": [list(band) for band in chart.shelf],
            "isSingle": chart.is_single,
            "timeZone": channel.time_zone,
            "currency": describe.currency(channel.currency),
            "summary": describe.listing_summary(chart, channel),
            "note": describe.notes(describe.zone_note(channel), describe.thinned_note(chart.is_thinned)),
            **({"table": describe.listing_table(chart, channel)} if self.wants_table else {}),
        }


class ListingChartCsv(ListingView, View):
    """Every change point of the range, not only the drawn ones, beginning with the one in force at its start."""

    def get(self, request: HttpRequest, listing_id: int) -> HttpResponseBase:
        try:
            start = self.start
        except BadRange as error:
            return HttpResponseBadRequest(str(error), content_type="text/plain; charset=utf-8")
        rows = range_rows(self.listing, start, self.now)
        name = f"listing-{listing_id}-{self.range_name}.csv"
        return self.export(name, history.csv_rows(listing=self.listing, rows=rows), self.listing)


class HistoryCsv(ListingView, View):
    """The whole history of a listing, oldest first, sent as it is read."""

    def get(self, request: HttpRequest, listing_id: int) -> HttpResponseBase:
        name = f"listing-{listing_id}-history.csv"
        return self.export(name, history.csv_rows(listing=self.listing, rows=all_rows(self.listing)), self.listing)


class HistoryPage(ListingView, TemplateView):
    template_name = "monitoring/history.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        before = None
        if text := self.request.GET.get("before"):
            before = _moment(text)
        entries, has_older = history.page(listing=self.listing, before=before, size=50)
        if before is None:
            entries = with_present_gap(self.listing, entries, self.now)
        return {
            **admin.site.each_context(self.request),
            **super().get_context_data(**kwargs),
            "title": gettext("History"),
            "listing": self.listing,
            "entries": entries,
            "facts": history_facts(self.listing, entries),
            "older": entries[-1].at.isoformat() if has_older else None,
            "is_first": before is None,
        }


class PricePage(ListingView, TemplateView):
    """The after-coupon price of a listing for a quantity and a moment, explained."""

    template_name = "monitoring/price.html"
    permission_required = ("catalog.view_listing", "catalog.view_promotion")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        form = PriceForm(self.request.GET or None, initial={"quantity": 1, "at": self.now})
        is_asked = form.is_bound and form.is_valid()
        at = (form.cleaned_data["at"] or self.now) if is_asked else self.now
        quantity = (form.cleaned_data["quantity"] or 1) if is_asked else 1
        explained = None
        with_costs = self.user.has_perm("catalog.view_cost")
        if is_asked or not form.is_bound:
            explained = price_page.explain(self.listing, at=at, now=self.now, quantity=quantity, with_costs=with_costs)
        return {
            **admin.site.each_context(self.request),
            **super().get_context_data(**kwargs),
            "title": gettext("After-coupon price"),
            "listing": self.listing,
            "form": form,
            "at": at,
            "explained": explained,
            "with_costs": with_costs,
            "calendar_ranges": price_calendar.ranges(),
            "calendar_range": price_calendar.DEFAULT_RANGE,
            "strings": price_calendar.strings(),
        }


class CalendarView(ListingView):
    """The after-coupon price of a listing over the time ahead."""

    permission_required = ("catalog.view_listing", "catalog.view_promotion")
    ranges = price_calendar.RANGES
    default_range = price_calendar.DEFAULT_RANGE

    @cached_property
    def calendar(self) -> Calendar:
        until = self.now + self.ranges[self.range_name]
        with_costs = self.user.has_perm("catalog.view_cost")
        return price_calendar.calendar(self.listing, now=self.now, until=until, with_costs=with_costs)


class CalendarChartView(CalendarView, ChartView):
    def etag(self) -> str:
        return self.etag_of([self.listing], self.calendar.stretches, self.calendar.facts)

    def get_labels(self) -> list[int]:
        return self.calendar.drawing.times

    def get_providers(self) -> list[str]:
        return [price_calendar.fact_label(fact) for fact in self.calendar.facts]

    def get_data(self) -> list[list[float | None]]:
        currency = self.listing.channel.currency
        return [
            [None if units is None else float(amount_of(units, currency)) for units in column]
            for column in self.calendar.drawing.columns
        ]

    def get_dataset_options(self, index: int, color: object) -> dict[str, Any]:
        return {"fact": self.calendar.facts[index], "pane": "price"}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        found, channel = self.calendar, self.listing.channel
        return {
            **super().get_context_data(**kwargs),
            "start": milliseconds(found.start),
            "end": milliseconds(found.end),
            "gaps": found.gaps,
            "shelf": [],
            "isSingle": False,
            "timeZone": channel.time_zone,
            "currency": describe.currency(channel.currency),
            "summary": price_calendar.summary(found),
            "note": price_calendar.note(found),
            **({"table": price_calendar.table(found)} if self.wants_table else {}),
        }


class CalendarCsv(CalendarView, View):
    """Each change of the price ahead, with why it is what it is."""

    def get(self, request: HttpRequest, listing_id: int) -> HttpResponseBase:
        try:
            found = self.calendar
        except BadRange as error:
            return HttpResponseBadRequest(str(error), content_type="text/plain; charset=utf-8")
        name = f"listing-{listing_id}-prices-{self.range_name}.csv"
        return self.export(name, price_calendar.csv_rows(found), self.listing)


def _moment(text: str) -> datetime:
    """A time from an address; 404 when it is none."""
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None or timezone.is_naive(moment):
        raise Http404
    return moment


class ProductView(WatchView):
    """Own and competitors' listings of a product that the person sees."""

    @cached_property
    def product(self) -> Product:
        return get_object_or_404(Product.objects.visible_to(self.user), pk=self.kwargs["product_id"])

    @cached_property
    def listings(self) -> list[Listing]:
        return comparison.listings_of(self.product, self.user)

    @cached_property
    def picked(self) -> list[Listing]:
        """The chosen listings, or the first ones; no more than fit into a chart."""
        return comparison.pick(self.listings, self.request.GET.getlist("listing"))


class ComparisonPage(ProductView, TemplateView):
    template_name = "monitoring/compare.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        picked = {listing.pk for listing in self.picked}
        return {
            **admin.site.each_context(self.request),
            **super().get_context_data(**kwargs),
            "title": gettext("Compare listings"),
            "product": self.product,
            "limit": comparison.MAX_LINES,
            "rows": comparison.rows(self.listings, picked, self.now),
            "charts": comparison.charts(self.product, self.picked),
            "strings": describe.strings(),
            "ranges": describe.ranges(),
            "default_range": DEFAULT_RANGE,
            "now": self.now,
        }


class ComparisonChartView(ProductView, ChartView):
    """The prices of the picked listings of one currency."""

    @cached_property
    def shown(self) -> list[Listing]:
        currency = self.request.GET.get("currency", "")
        shown = [listing for listing in self.picked if listing.channel.currency == currency]
        if not shown:
            raise Http404
        return shown

    @cached_property
    def chart(self) -> ComparisonChart:
        return comparison_chart(listings=self.shown, start=self.start, now=self.now)

    @cached_property
    def drawn(self) -> list[int]:
        """The columns that hold anything; a listing whose price was never known is left out."""
        return [i for i, column in enumerate(self.chart.drawing.columns) if any(value is not None for value in column)]

    def etag(self) -> str:
        return self.etag_of(self.shown)

    def get_labels(self) -> list[int]:
        return self.chart.drawing.times

    def get_providers(self) -> list[str]:
        return [describe.line_label(self.chart.lines[index]) for index in self.drawn]

    def get_data(self) -> list[list[float | None]]:
        chart = self.chart
        return [floats(chart.lines[index].fact, chart.drawing.columns[index]) for index in self.drawn]

    def get_dataset_options(self, index: int, color: object) -> dict[str, Any]:
        line = self.chart.lines[self.drawn[index]]
        return {"pane": "price", "place": index, "own": line.listing.is_own, "gaps": line.gaps}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        chart, channel = self.chart, self.shown[0].channel
        return {
            **super().get_context_data(**kwargs),
            "start": chart.start,
            "end": chart.end,
            "gaps": series.common([chart.lines[index].gaps for index in self.drawn]),
            "shelf": [],
            "isSingle": False,
            "timeZone": channel.time_zone,
            "currency": describe.currency(channel.currency),
            "summary": describe.comparison_summary(chart, channel),
            "note": describe.notes(describe.zone_note(channel), describe.thinned_note(chart.is_thinned)),
            **({"table": describe.comparison_table(chart, channel)} if self.wants_table else {}),
        }


class ComparisonCsv(ProductView, View):
    """Every change point of the picked listings in the range, one line each."""

    def get(self, request: HttpRequest, product_id: int) -> HttpResponseBase:
        try:
            start = self.start
        except BadRange as error:
            return HttpResponseBadRequest(str(error), content_type="text/plain; charset=utf-8")
        name = f"product-{product_id}-{self.range_name}.csv"
        return self.export(name, comparison.csv_rows(self.picked, start, self.now), self.product)


class MovesCsv(WatchView, View):
    """All price or stock moves of the period, largest first."""

    def get(self, request: HttpRequest, what: dashboard.What) -> HttpResponseBase:
        scope = dashboard.Scope.from_request(request, self.now)
        return self.export(f"{what}-moves.csv", dashboard.moves_csv(scope, what), scope.channel or self.user)


class _Echo:
    """Where csv writes to when every line is sent at once."""

    def write(self, line: str) -> str:
        return line


def csv_response(name: str, rows: Iterable[Sequence[str]]) -> StreamingHttpResponse:
    writer = csv.writer(_Echo())
    lines: Iterator[str] = (writer.writerow(row) for row in rows)
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    patch_cache_control(response, private=True, no_store=True)
    return response
