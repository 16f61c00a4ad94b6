"""What the watch adds to the pages: charts and facts of a listing, the dashboard, columns and saved views of lists."""

from datetime import timedelta
from typing import Any, cast

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import F, Model, OuterRef, Prefetch, Q, QuerySet, Subquery, Window
from django.db.models.functions import Lag
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from catalog.admin.listing import VisibleRelatedFilter, stock_text
from catalog.admin.mapping.proposals import waiting_count
from catalog.models import Channel, Listing, Product, Proposal, UnmappedListing, User
from config.admin_site import Badge, add_badge, add_button, add_column, add_menu_item, add_panel, add_tab
from config.formatting import change_percent, count, duration, money, percent
from config.model_admin import FrameModelAdmin, ReadOnly, person
from config.templatetags import evenshelf as parts
from monitoring import dashboard, history
from monitoring.causes import NOT_FOUND, cause_label, cause_lines, not_known_reason, short_cause_label
from monitoring.charts import comparison, describe
from monitoring.charts.data import DEFAULT_RANGE, milliseconds
from monitoring.charts.sparkline import HEIGHT, WIDTH, diverging, sparkline
from monitoring.freshness import being_watched, is_fresh, watch_of
from monitoring.listing_page import after_coupon, chart_limits, history_facts, shown_facts, watching, with_present_gap
from monitoring.models import ListingWatch, Observation, PollRun

_SPARK = timedelta(days=7)
_DAY = timedelta(hours=24)
_HOUR = timedelta(hours=1)
_SEE = ("catalog.view_listing", "monitoring.view_observation")


def _may_see(request: HttpRequest) -> bool:
    return request.user.has_perms(_SEE)


# --- The page of a listing ----------------------------------------------------------------------------------------


def _facts_panel(request: HttpRequest, listing: Listing) -> dict[str, Any] | None:
    return {"facts": shown_facts(listing, timezone.now())} if _may_see(request) else None


def _price_panel(request: HttpRequest, listing: Listing) -> dict[str, Any] | None:
    if not _may_see(request) or (url := _price_url(request, listing)) is None:
        return None
    fact = after_coupon(listing, timezone.now())
    return {"fact": fact, "url": url} if fact is not None else None


def _chart_panel(request: HttpRequest, listing: Listing) -> dict[str, Any] | None:
    if not _may_see(request):
        return None
    may_see_limits = request.user.has_perm("monitoring.view_threshold")
    return {
        "ranges": describe.ranges(),
        "default_range": DEFAULT_RANGE,
        "strings": describe.strings(),
        "limits": chart_limits(listing, person(request)) if may_see_limits else [],
    }


def _watching_panel(request: HttpRequest, listing: Listing) -> dict[str, Any] | None:
    return watching(listing, timezone.now()) if request.user.has_perm("monitoring.view_listingwatch") else None


def _history_panel(request: HttpRequest, listing: Listing) -> dict[str, Any] | None:
    if not _may_see(request):
        return None
    now = timezone.now()
    entries, has_older = history.page(listing=listing)
    entries = with_present_gap(listing, entries, now)
    return {
        "listing": listing,
        "entries": entries,
        "facts": history_facts(listing, entries),
        "older": entries[-1].at.isoformat() if has_older else None,
        "now": now,
    }


def _not_found_badge(request: HttpRequest, listing: Listing) -> Badge | None:
    """That the platform does not know the listing, so that no figure of it is a present one."""
    watch = watch_of(listing)
    if watch is None or not watch.is_missing or listing.removed_at:
        return None
    return Badge("critical", capfirst(str(NOT_FOUND)))


def _siblings_panel(request: HttpRequest, listing: Listing) -> dict[str, Any] | None:
    """The other listings of the product, own and competitors'."""
    if not (_may_see(request) and listing.sku):
        return None
    product = listing.sku.product
    user = request.user
    assert isinstance(user, User)  # noqa: S101 - has the permission, so is signed in
    others = [other for other in comparison.listings_of(product, user) if other.pk != listing.pk]
    if not others:
        return None
    return {
        "product": product,
        "rows": comparison.rows(others[: comparison.MAX_LINES], set(), timezone.now()),
        "total": len(others),
    }


add_badge("listing", _not_found_badge)
add_panel("listing", "monitoring/panels/price_fact.html", _price_panel, area="facts", order=5)
add_panel("listing", "monitoring/panels/facts.html", _facts_panel, area="facts", order=10)
add_panel("listing", "monitoring/panels/chart.html", _chart_panel, area="main", order=10)
add_panel("listing", "monitoring/panels/watching.html", _watching_panel, area="side", order=20)
add_panel("listing", "monitoring/panels/siblings.html", _siblings_panel, area="side", order=40)
add_panel("listing", "monitoring/panels/history.html", _history_panel, area="main", order=50)


def _compare_url(request: HttpRequest, product: Product) -> str | None:
    return reverse("watch:compare", args=[product.pk]) if _may_see(request) else None


def _price_url(request: HttpRequest, listing: Listing) -> str | None:
    can_see = request.user.has_perm("catalog.view_promotion")
    return reverse("watch:listing-price", args=[listing.pk]) if can_see and listing.is_own else None


def _compare_url_of_listing(request: HttpRequest, listing: Listing) -> str | None:
    return _compare_url(request, listing.sku.product) if listing.sku else None


# --- The pages of a product and of a SKU ----------------------------------------------------------------------------


def _listings_panel(request: HttpRequest, listings: QuerySet[Listing], *, shows_variant: bool) -> dict[str, Any]:
    """The current listings among these that the person sees; of those that are not read, no stored value.

    Their variant is shown where they are of several.
    """
    shown = Listing.objects.visible_to(person(request)).current().filter(pk__in=listings.values("pk"))
    shown = shown.select_related("channel", "sku", "watch").order_by("channel__name", "pk")
    now = timezone.now()
    return {"rows": comparison.rows(list(shown), set(), now), "now": now, "shows_variant": shows_variant}


add_panel(
    "product",
    "monitoring/panels/listings.html",
    lambda request, product: _listings_panel(request, Listing.objects.filter(sku__product=product), shows_variant=True),
    area="full",
    order=60,
)
add_panel(
    "sku",
    "monitoring/panels/listings.html",
    lambda request, sku: _listings_panel(request, Listing.objects.filter(sku=sku), shows_variant=False),
    area="full",
    order=60,
)
add_button("product", _("Compare listings"), _compare_url, method="get", order=20)
add_button("listing", _("Explain price"), _price_url, method="get", order=12)
add_button("listing", _("Compare"), _compare_url_of_listing, method="get", order=15)


# --- The dashboard -------------------------------------------------------------------------------------------------


# The saved view that holds the price changes of each period.
_CHANGED_TABS = {"24h": "changed", "7d": "changed-7d"}


def _list_url(**query: object) -> str:
    text = "&".join(f"{key}={value}" for key, value in query.items() if value is not None)
    return reverse("admin:catalog_listing_changelist") + (f"?{text}" if text else "")


def _figures_panel(request: HttpRequest, obj: Model | None) -> dict[str, Any] | None:
    if not _may_see(request):
        return None
    board = dashboard.dashboard_of(request, timezone.now())
    channel = board.scope.channel.pk if board.scope.channel else None
    oldest = board.oldest
    age = None
    if oldest:
        age = board.scope.now - (oldest.read_at or oldest.listing.created_at)
    return {
        "board": board,
        "oldest": oldest,
        "age": age,
        "is_oldest_blind": age is not None and oldest is not None and age > oldest.gap_after,
        "period": _period_label(board.scope.period),
        "attention_url": reverse("admin:catalog_channel_change", args=[channel])
        if channel
        else reverse("admin:catalog_channel_changelist") + "?tab=attention",
        "blind_url": _list_url(tab="not-read", channel__id__exact=channel),
        "sold_out_url": _list_url(tab="sold-out", channel__id__exact=channel),
        "changed_url": _list_url(tab=_CHANGED_TABS[board.scope.period], channel__id__exact=channel),
    }


def _period_label(period: str) -> str:
    return {"24h": gettext("24 h"), "7d": gettext("7 d")}[period]


def _scope_panel(request: HttpRequest, obj: Model | None) -> dict[str, Any] | None:
    """The filter menus in the head of the dashboard."""
    if not _may_see(request):
        return None
    scope = dashboard.dashboard_of(request, timezone.now()).scope
    return {
        "scope": scope,
        "periods": [(name, gettext("Last %(period)s") % {"period": _period_label(name)}) for name in dashboard.PERIODS],
        "period": gettext("Last %(period)s") % {"period": _period_label(scope.period)},
    }


def _channels_panel(request: HttpRequest, obj: Model | None) -> dict[str, Any] | None:
    if not (_may_see(request) and request.user.has_perm("catalog.view_channel")):
        return None
    board = dashboard.dashboard_of(request, timezone.now())
    if not board.scope.channels:
        return None
    return {"rows": board.rows, "now": board.scope.now, "has_states": bool(dashboard.channel_states)}


def _price_moves_panel(request: HttpRequest, obj: Model | None) -> dict[str, Any] | None:
    if not _may_see(request):
        return None
    board = dashboard.dashboard_of(request, timezone.now())
    drawn = diverging([move.ratio for move in board.price_moves])
    return {
        "moves": board.price_moves,
        "bars": [
            {"move": move, "bar": bar, "label": f"{'▼' if bar.is_down else '▲'} {_signed(percent(move.ratio))}"}
            for move, bar in zip(board.price_moves, drawn.bars, strict=True)
        ],
        "zero": drawn.zero,
        "period": _period_label(board.scope.period),
        "query": request.GET.urlencode(),
    }


def _signed(text: str) -> str:
    return text if text.startswith("−") else f"+{text}"


def _stock_moves_panel(request: HttpRequest, obj: Model | None) -> dict[str, Any] | None:
    if not _may_see(request):
        return None
    board = dashboard.dashboard_of(request, timezone.now())
    return {
        "moves": [(move, _signed(count(int(move.difference)))) for move in board.stock_moves],
        "period": _period_label(board.scope.period),
        "query": request.GET.urlencode(),
    }


def _to_map_panel(request: HttpRequest, obj: Model | None) -> dict[str, Any] | None:
    """What waits to be mapped; nothing while nothing does."""
    if not (_may_see(request) and request.user.has_perm("catalog.view_proposal")):
        return None
    scope = dashboard.dashboard_of(request, timezone.now()).scope
    unmapped = UnmappedListing.objects.filter(channel__in=scope.shown_channels).count()
    proposals = waiting_count(request)
    if scope.channel and proposals:
        proposals = Proposal.objects.open().filter(channel=scope.channel).count()
    if not (unmapped or proposals):
        return None
    query = f"?channel__id__exact={scope.channel.pk}" if scope.channel else ""
    return {"unmapped": unmapped, "proposals": proposals, "query": query}


add_panel("dashboard", "monitoring/panels/scope.html", _scope_panel, area="head", order=10)
add_panel("dashboard", "monitoring/panels/figures.html", _figures_panel, area="facts", order=10)
add_panel("dashboard", "monitoring/panels/channels.html", _channels_panel, area="main", order=10)
add_panel("dashboard", "monitoring/panels/to_map.html", _to_map_panel, area="side", order=17)
add_panel("dashboard", "monitoring/panels/stock_moves.html", _stock_moves_panel, area="side", order=20)
add_panel("dashboard", "monitoring/panels/price_moves.html", _price_moves_panel, area="main", order=20)


# --- The list of listings ------------------------------------------------------------------------------------------


def _not_read_tab(listings: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    return dashboard.not_read(listings.filter(removed_at__isnull=True), timezone.now())


def _sold_out_tab(listings: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    return dashboard.sold_out(listings.filter(removed_at__isnull=True), timezone.now())


def _changed_tab(listings: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    return dashboard.price_changed(request, listings, timezone.now())


def _changed_in_week_tab(listings: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    return dashboard.price_changed(request, listings, timezone.now(), "7d")


def _read_last_hour_tab(listings: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    recent = ListingWatch.objects.filter(being_watched(), read_at__gte=timezone.now() - dashboard.RECENT)
    return listings.filter(pk__in=recent.values("listing_id"))


add_tab(Listing, "read-last-hour", _("Read, last hour"), _read_last_hour_tab, order=5, is_quiet=True)
add_tab(Listing, "not-read", _("Not read"), _not_read_tab, order=10)
add_tab(Listing, "sold-out", _("Sold out"), _sold_out_tab, order=15)
add_tab(Listing, _CHANGED_TABS["24h"], _("Price changed, 24 h"), _changed_tab, order=20)
add_tab(Listing, _CHANGED_TABS["7d"], _("Price changed, 7 d"), _changed_in_week_tab, order=21, is_quiet=True)


# --- The list of channels -------------------------------------------------------------------------------------------


def _attention_tab(channels: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    """Those that the figure of the dashboard counts."""
    board = dashboard.dashboard_of(request, timezone.now())
    return channels.filter(pk__in=[row.channel.pk for row in board.attention])


add_tab(Channel, "all", _("All"), lambda channels, request: channels, order=0)
add_tab(Channel, "attention", _("Needing you"), _attention_tab, order=10)


def _with_watch(listings: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    return listings.select_related("channel", "sku", "watch")


def _with_week(listings: QuerySet[Listing], request: HttpRequest) -> Any:
    """The price changes of the last seven days and the prices in force when they began: one more query for a page."""
    start = timezone.now() - _SPARK
    rows = Observation.objects.filter(observed_at__gt=start)
    earlier = {
        name: Window(Lag(name), partition_by=F("listing_id"), order_by=F("observed_at").asc())
        for name in ("live_price", "list_price", "is_gap")
    }
    # A busy listing's stock changes every few minutes, but its line only needs the rows at which a price changed.
    changed = rows.annotate(**{f"earlier_{name}": window for name, window in earlier.items()}).filter(
        Q(earlier_is_gap__isnull=True)
        | ~Q(earlier_is_gap=F("is_gap"))
        | ~Q(earlier_live_price=F("live_price"))
        | ~Q(earlier_list_price=F("list_price"))
        | (Q(earlier_live_price__isnull=True) & Q(live_price__isnull=False))
        | (Q(earlier_list_price__isnull=True) & Q(list_price__isnull=False))
        | (Q(earlier_live_price__isnull=False) & Q(live_price__isnull=True))
        | (Q(earlier_list_price__isnull=False) & Q(list_price__isnull=True))
    )
    in_force = Observation.objects.filter(listing=OuterRef("pk"), observed_at__lte=start).order_by("-observed_at")
    return listings.annotate(
        week_live=Subquery(in_force.values("live_price")[:1]), week_list=Subquery(in_force.values("list_price")[:1])
    ).prefetch_related(Prefetch("observations", changed.order_by("observed_at"), to_attr="week"))


def _with_yesterday(listings: QuerySet[Listing], request: HttpRequest) -> Any:
    """The prices in force 24 hours ago."""
    start = timezone.now() - _DAY
    in_force = Observation.objects.filter(listing=OuterRef("pk"), observed_at__lte=start).order_by("-observed_at")
    return _with_watch(listings, request).annotate(
        day_live=Subquery(in_force.values("live_price")[:1]), day_list=Subquery(in_force.values("list_price")[:1])
    )


def spark_cell(listing: Any) -> SafeString:
    """The price of seven days: live where the present reading knows it, otherwise list."""
    now = timezone.now()
    fact = "list_price" if listing.live_price is None else "live_price"
    points = [(milliseconds(now - _SPARK), listing.week_list if fact == "list_price" else listing.week_live)]
    points += [(milliseconds(row.observed_at), getattr(row, fact)) for row in listing.week]
    watch = watch_of(listing)
    until = now if is_fresh(listing, now) else (watch and watch.read_at) or now
    if until < now:
        points.append((max(milliseconds(until), points[-1][0]), None))
    line = sparkline(points, milliseconds(now - _SPARK), milliseconds(now))
    if line is None:
        return format_html('<svg class="{}" aria-hidden="true"></svg>', "spark")
    dot = format_html('<circle cx="{}" cy="{}" r="2"/>', *line.end) if line.end else ""
    return format_html(
        '<svg class="spark" viewBox="0 0 {} {}" aria-hidden="true"><path d="{}"/>{}</svg>',
        WIDTH,
        HEIGHT,
        line.path,
        dot,
    )


def _price_cell(listing: Any, fact: str, day_before: Any) -> SafeString | str:
    """The price; below it by how much it moved in 24 hours, for the price that buyers see."""
    value = getattr(listing, fact)
    if not is_fresh(listing, timezone.now()):
        return _unknown(listing, with_reason=fact == "live_price")
    if value is None:
        return parts.unknown(_("not supplied"))
    amount = money(value, listing.channel.currency)
    return (
        amount if day_before is None else format_html("{}<small>{}</small>", amount, change_percent(day_before, value))
    )


@admin.display(ordering="list_price")
def list_price_cell(listing: Any) -> SafeString | str:
    return _price_cell(listing, "list_price", listing.day_list if listing.live_price is None else None)


@admin.display(ordering="live_price")
def live_price_cell(listing: Any) -> SafeString | str:
    return _price_cell(listing, "live_price", listing.day_live)


@admin.display(ordering="stock")
def stock_cell(listing: Listing) -> SafeString | str:
    if not is_fresh(listing, timezone.now()):
        return _unknown(listing)
    return parts.unknown(_("not supplied")) if listing.stock is None else stock_text(listing)


@admin.display(ordering="shelf_state")
def shelf_cell(listing: Listing) -> SafeString:
    return parts.shelf(listing if is_fresh(listing, timezone.now()) else "unknown")


def _unknown(listing: Listing, *, with_reason: bool = False) -> SafeString:
    """That nothing is known just now; the last value is never shown as the present one.

    The reason is told once a row; elsewhere it stands behind the dash.
    """
    watch = watch_of(listing)
    cause = watch.cause if watch else ""
    full = cause_label(cause) or not_known_reason(watch)
    dash = format_html('<span class="unknown" title="{}">—</span>', full)
    if not with_reason:
        return dash
    return format_html('{}<small title="{}">{}</small>', dash, full, short_cause_label(cause) or full)


@admin.display(ordering="watch__read_at")
def last_read_cell(listing: Listing) -> SafeString | str:
    """How long ago; below it what is wrong when that is too long, or the last attempt brought nothing."""
    now, watch = timezone.now(), watch_of(listing)
    if watch is None or watch.read_at is None:
        return parts.unknown(not_known_reason(watch))
    if is_fresh(listing, now):
        if watch.outcome == ListingWatch.Outcome.READ:
            return parts.time_ago(watch.read_at, now)
        tried = gettext("last attempt: %(outcome)s") % {
            "outcome": short_cause_label(watch.cause) or watch.get_outcome_display()
        }
        return format_html("{}<small>{}</small>", parts.time_ago(watch.read_at, now), tried)
    if listing.removed_at or watch.is_paused or not listing.channel.is_watched:
        reason = _("removed") if listing.removed_at else _("paused") if watch.is_paused else _("channel stopped")
        return format_html("{}<small>{}</small>", parts.time_ago(watch.read_at, now), reason)
    text = not_known_reason(watch)
    if not watch.is_missing:
        text = gettext("blind for %(duration)s") % {"duration": duration(_in_one_unit(now - watch.read_at))}
    return format_html(
        '{}<small class="critical">{}{}</small>', parts.time_ago(watch.read_at, now), parts.icon("critical"), text
    )


def _in_one_unit(length: timedelta) -> timedelta:
    """Cut to whole days or whole hours, where it has any."""
    return length if length < _HOUR else length - length % (_DAY if length >= _DAY else _HOUR)


# The catalog's columns show what is stored; these show it only while a reading still speaks for now.
add_column(Listing, "list_price", _("list price"), list_price_cell, order=20, prepare=_with_yesterday, classes="num")
add_column(Listing, "live_price", _("live price"), live_price_cell, order=30, classes="num")
add_column(Listing, "stock", _("stock"), stock_cell, order=40, classes="num")
add_column(Listing, "spark", _("price, 7 d"), spark_cell, order=50, prepare=_with_week, classes="wide")
add_column(Listing, "shelf", _("shelf"), shelf_cell, order=60)
add_column(Listing, "last_read", _("last read"), last_read_cell, order=90)


# --- Readings --------------------------------------------------------------------------------------------------------


class RecentPaginator(Paginator):
    """Pages over the newest rows of a history, which is never counted as a whole."""

    reach = 1000

    @cached_property
    def count(self) -> int:
        rows: QuerySet[Any] = cast("QuerySet[Any]", self.object_list)
        return rows.order_by()[: self.reach].count()


@admin.register(PollRun)
class PollRunAdmin(ReadOnly, FrameModelAdmin):
    """The passes over each channel, newest first; nothing here can be changed."""

    list_display: list[Any] = []
    list_filter = [("channel", VisibleRelatedFilter), "kind"]
    list_select_related = ["channel"]
    ordering = ["-started_at"]
    actions = None
    list_display_links = None
    paginator = RecentPaginator
    list_line = _("Passes over the channels, the newest 1,000")
    empty_title = _("No readings here yet")
    empty_text = _("A pass begins as soon as a listing is due.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # A pass that came upon nothing to read, or left it all to a later one, tells nothing.
        tells = Q(finished_at=None) | Q(read_count__gt=0) | Q(missing_count__gt=0) | Q(failed_count__gt=0)
        return super().get_queryset(request).filter(tells).defer("read_ids", "missing_ids", "failed_ids")


@admin.display(ordering="started_at")
def started_cell(run: PollRun) -> SafeString:
    return format_html("{}<small>{}</small>", parts.iso_moment(run.started_at), parts.time_ago(run.started_at))


def took_cell(run: PollRun) -> str:
    return gettext("under way") if run.finished_at is None else duration(run.finished_at - run.started_at)


def why_cell(run: PollRun) -> SafeString:
    if not run.causes:
        is_known = not (run.missing_count or run.failed_count)  # passes of before causes were kept tell none
        return parts.none(_("none")) if is_known else parts.unknown(_("not kept"))
    return format_html_join("", '<span class="change">{}</span>', ((line,) for line in cause_lines(run.causes)))


add_column(PollRun, "started", _("started"), started_cell, order=10)
add_column(PollRun, "channel", _("channel"), lambda run: str(run.channel), order=20)
add_column(PollRun, "kind", _("kind"), lambda run: str(run.get_kind_display()), order=30)
add_column(PollRun, "took", _("took"), took_cell, order=40, classes="num")
add_column(PollRun, "read", _("read"), lambda run: count(run.read_count), order=50, classes="num")
add_column(PollRun, "missing", _("missing"), lambda run: count(run.missing_count), order=60, classes="num")
add_column(PollRun, "failed", _("failed"), lambda run: count(run.failed_count), order=70, classes="num")
add_column(PollRun, "changed", _("changed"), lambda run: count(run.changed_count), order=80, classes="num")
add_column(PollRun, "why", _("why not read"), why_cell, order=90)
add_menu_item(
    "watch", _("Readings"), "admin:monitoring_pollrun_changelist", permission="monitoring.view_pollrun", order=80
)
