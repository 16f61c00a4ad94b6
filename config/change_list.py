"""The list of the admin: with saved views above it, and narrowed only by what it offers."""

from collections.abc import Sequence
from time import perf_counter
from typing import Any

from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.admin.views.main import ORDER_VAR, ChangeList
from django.core.cache import caches
from django.db.models import Count, IntegerField, QuerySet, Value
from django.http import HttpRequest
from django.utils.text import capfirst

from config.admin_site import Tab, registry

TAB_VAR = "tab"
# Counts of saved views that took longer than this are shown again for so long; quick ones are always counted.
_DEAR_SECONDS = 0.1
_REMEMBER_SECONDS = 60


class FrameChangeList(ChangeList):
    """A list with saved views above it. The first view is the one that opens."""

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        self.opts = self.model_admin.opts
        if not self.is_popup:
            self.title = capfirst(str(self.opts.verbose_name_plural))

    def get_filters_params(self, params: dict[str, Any] | None = None) -> dict[str, Any]:
        found = super().get_filters_params(params)
        found.pop(TAB_VAR, None)
        return found

    def get_filters(self, request: HttpRequest) -> Any:
        """As Django does it, but only for what the filters beside the list offer.

        Django lets an address narrow a list by any field of its model, which would find out hidden values by trying.
        """
        found = super().get_filters(request)
        if not_offered := ", ".join(found[2]):
            raise DisallowedModelAdminLookup(f"Filtering by {not_offered} not allowed")
        return found

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        tabs = registry.tabs.get(self.model, [])
        chosen = request.GET.get(TAB_VAR)
        self.tab = next((tab for tab in tabs if tab.slug == chosen), tabs[0] if tabs else None)
        rows = self.model_admin.get_queryset(request)
        if self.tab:
            rows = self.tab.narrow(rows, request)
        for column in registry.columns.get(self.model, []):
            if column.prepare:
                rows = column.prepare(rows, request)
        self.root_queryset = rows
        return super().get_queryset(request, exclude_parameters)

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        found = super().get_ordering(request, queryset)
        return found if ORDER_VAR in self.params else [*registry.orders.get(self.model, []), *found]

    def get_results(self, request: HttpRequest) -> None:
        self.tabs = [] if self.is_popup else self._counted_tabs(request)
        super().get_results(request)
        for tab in self.tabs:
            if tab["is_current"] and not self.is_narrowed:
                tab["count"] = self.result_count

    def _counted_tabs(self, request: HttpRequest) -> list[dict[str, Any]]:
        """The tabs, each with how many rows it holds when nothing else narrows it."""
        tabs = [tab for tab in registry.tabs.get(self.model, []) if tab is self.tab or not tab.is_quiet]
        if not tabs:
            return []
        # Counting many rows is dear, and mostly done for views that nobody looks at just now. A view may be about the
        # person, so the counts are theirs alone. Each process keeps its own: quick counts cost no look elsewhere.
        cache = caches["process"]
        key = f"tab-counts:{self.opts.label_lower}:{request.user.pk}"
        found: dict[str, int] = cache.get(key, {})
        if any(tab.slug not in found for tab in tabs):
            started = perf_counter()
            found |= self._tab_counts(request, tabs)
            if perf_counter() - started > _DEAR_SECONDS:
                cache.set(key, found, _REMEMBER_SECONDS)
            if self.tab and not self.is_narrowed:
                # Just counted: the rows of the open view need not be counted once more.
                request.evenshelf_row_count = found[self.tab.slug]  # type: ignore[attr-defined]
        return [
            {
                "label": tab.label,
                "url": f"?{TAB_VAR}={tab.slug}" if position else "?",
                "count": found[tab.slug],
                "is_current": tab is self.tab,
            }
            for position, tab in enumerate(tabs)
        ]

    def _tab_counts(self, request: HttpRequest, tabs: Sequence[Tab]) -> dict[str, int]:
        """How many rows each tab holds, by its slug: one query for all of them."""
        rows = self.model_admin.get_queryset(request)
        counts = [
            tab.narrow(rows, request)
            .order_by()
            .values(position=Value(position, IntegerField()))
            .annotate(found=Count("pk"))
            for position, tab in enumerate(tabs)
        ]
        found = {row["position"]: row["found"] for row in counts[0].union(*counts[1:], all=True)}
        return {tab.slug: found.get(position, 0) for position, tab in enumerate(tabs)}

    @property
    def is_narrowed(self) -> bool:
        """Whether the person searched or filtered, so that no row means no match."""
        return bool(self.query or self.has_active_filters)

    @property
    def fuller_tab(self) -> dict[str, Any] | None:
        """The first saved view, when it holds rows and the open one, another, is empty."""
        first = self.tabs[0] if self.tabs else None
        return first if first and first["count"] and not first["is_current"] and not self.result_count else None

    @property
    def shows_rows(self) -> bool:
        """Whether there is a table, or a word on the filters; otherwise the empty page itself says what to do."""
        return bool(self.result_count or self.is_narrowed or self.fuller_tab)

    @property
    def first_row(self) -> int:
        """The number of the page's first row, counted from 1."""
        return (self.page_num - 1) * self.list_per_page + 1

    @property
    def last_row(self) -> int:
        return min(self.page_num * self.list_per_page, self.result_count)

    @property
    def unnarrowed_url(self) -> str:
        return f"?{TAB_VAR}={self.tab.slug}" if self.tab else "?"
