"""Prices that are worked out again because somebody asked: how far that is, and what came of it."""

from typing import Any

from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import Model, OuterRef, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from catalog.database import among
from catalog.models import Channel, Listing, Promotion
from catalog.pricing.reasons import CannotTell
from catalog.promotions.requests import amount_of
from catalog.promotions.services import touched_listings
from config import formatting
from config.admin_site import Badge, add_action, add_badge, add_button, add_column, add_panel
from config.model_admin import FrameModelAdmin, ReadOnly, person
from config.templatetags import evenshelf as parts
from monitoring.id_sets import decode
from monitoring.models import PriceQuote, PriceRun
from monitoring.services.price_runs import progress, recompute

_MAY = "catalog.change_promotion"
_CHANGES_SHOWN = 50
_REASONS: dict[str, Promise | str] = {
    CannotTell.PRICE: _("a price is not known"),
    CannotTell.UNKNOWN: _("facts of a promotion are not known"),
    CannotTell.BASE: _("a price that a promotion counts on is not known"),
    CannotTell.BUDGET: _("too many ways to combine the promotions"),
    CannotTell.NO_PLAN: _("promotions that apply by themselves exclude each other"),
}


@admin.register(PriceRun)
class PriceRunAdmin(ReadOnly, FrameModelAdmin):
    page = "price_run"
    list_display = ()
    list_select_related = ["asked_by"]
    list_line = _("Prices that somebody had worked out again, newest first")
    empty_title = _("Nobody asked yet")
    empty_text = _("Choose listings in their list and press Recompute prices, or press it on a channel or a promotion.")
    sortable_by = ()

    def title_of(self, obj: PriceRun) -> str:
        return gettext("Recompute prices of %(about)s") % {"about": obj.about or gettext("chosen listings")}


def _badge(run: PriceRun) -> Badge:
    return Badge("info", _("Running")) if run.ended_at is None else Badge("ok", _("Done"))


def _run_cell(run: PriceRun) -> SafeString:
    about = run.about or gettext("chosen listings")
    return format_html("<strong>{}</strong><small>{}</small>", formatting.iso_moment(run.started_at), about)


def _state_cell(run: PriceRun) -> SafeString:
    shown = _badge(run)
    return parts.badge(shown.severity, shown.text)


def _count_cell(name: str) -> Any:
    def cell(run: PriceRun) -> SafeString | str:
        if run.ended_at is None:
            return parts.unknown(_("running"))
        value = getattr(run, name)
        number = sum(value.values()) if isinstance(value, dict) else value
        return formatting.count(number) if number else parts.none("0")

    return cell


def _facts(request: HttpRequest, run: PriceRun) -> dict[str, Any]:
    found = progress(run)
    return {"run": run, "found": found, "untold": sum(found.untold.values())}


def _progress(request: HttpRequest, run: PriceRun) -> dict[str, Any] | None:
    if run.ended_at is not None:
        return None
    done = run.total - progress(run).left
    waits = "" if done else gettext("It begins within a minute. You can leave this page.")
    return {"run": run, "done": done, "waits": waits}


def _reasons(request: HttpRequest, run: PriceRun) -> dict[str, Any] | None:
    untold = progress(run).untold
    return (
        {"reasons": [(_REASONS.get(code, code), number) for code, number in untold.most_common()]} if untold else None
    )


def _changes(request: HttpRequest, run: PriceRun) -> dict[str, Any]:
    """Before and after of the prices that changed, newest first."""
    earlier = PriceQuote.objects.filter(listing=OuterRef("listing"), pk__lt=OuterRef("pk")).order_by("-pk")
    quotes = PriceQuote.objects.filter(listing__in=among(decode(bytes(run.listing_ids))), made_at__gte=run.started_at)
    if run.ended_at is not None:
        quotes = quotes.filter(made_at__lte=run.ended_at)
    # Of a listing that is not the person's to see any more nothing is told.
    seen = Listing.objects.visible_to(person(request))
    rows = quotes.filter(listing__in=seen).select_related("listing__channel", "listing__sku")
    shown: list[Any] = list(rows.annotate(was=Subquery(earlier.values("buy_one")[:1])).order_by("-pk")[:_CHANGES_SHOWN])
    for quote in shown:
        quote.before, quote.after = (_money(units, quote.currency) for units in (quote.was, quote.buy_one))
        quote.why = "" if quote.buy_one is not None else _REASONS.get(quote.reason.partition(":")[0], quote.reason)
    return {"quotes": shown, "most": _CHANGES_SHOWN if len(shown) == _CHANGES_SHOWN else None, "run": run}


def _money(units: int | None, currency: str) -> str:
    return "" if units is None else formatting.money(amount_of(units, currency), currency)


# --- Asking ----------------------------------------------------------------------------------------------------------


def recompute_view(request: HttpRequest, what: str, pk: int) -> HttpResponse:
    """Of all listings of a channel, or of those that a promotion may touch."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if not request.user.has_perm(_MAY):
        raise PermissionDenied
    user = person(request)
    if what == "channel":
        channel = get_object_or_404(Channel.objects.visible_to(user), pk=pk)
        ids, about = set(channel.listings.values_list("pk", flat=True)), str(channel)
    elif what == "promotion":
        promotion = get_object_or_404(Promotion.objects.visible_to(user), pk=pk)
        ids, about = touched_listings([promotion]), str(promotion)
    else:
        raise Http404
    return _asked(request, ids, about)


def _asked(request: HttpRequest, ids: set[int], about: str) -> HttpResponse:
    run = recompute(listing_ids=ids, about=about, actor=person(request), now=timezone.now())
    return HttpResponseRedirect(reverse("admin:monitoring_pricerun_change", args=[run.pk]))


def recompute_chosen(model_admin: ModelAdmin, request: HttpRequest, listings: QuerySet[Listing]) -> HttpResponse:
    return _asked(request, set(listings.values_list("pk", flat=True)), "")


def _url(what: str) -> Any:
    def url(request: HttpRequest, obj: Model) -> str | None:
        return reverse("watch:recompute-prices", args=[what, obj.pk]) if request.user.has_perm(_MAY) else None

    return url


add_column(PriceRun, "run", _("asked"), _run_cell, order=10)
add_column(PriceRun, "state", _("state"), _state_cell, order=20)
add_column(PriceRun, "total", _("listings"), lambda run: formatting.count(run.total), order=30, classes="num")
add_column(PriceRun, "changed", _("changed"), _count_cell("changed"), order=40, classes="num")
add_column(PriceRun, "same", _("same"), _count_cell("same"), order=50, classes="num")
add_column(PriceRun, "untold", _("cannot tell"), _count_cell("untold"), order=60, classes="num")
add_badge("price_run", lambda request, run: _badge(run))
add_panel("price_run", "admin/monitoring/pricerun/facts.html", _facts, area="facts", order=10)
add_panel("price_run", "admin/integrations/sync/run_progress.html", _progress, area="main", order=10)
add_panel("price_run", "admin/monitoring/pricerun/reasons.html", _reasons, area="full", order=10)
add_panel("price_run", "admin/monitoring/pricerun/changes.html", _changes, area="full", order=20)
add_action(Listing, "recompute_prices", _("Recompute prices"), recompute_chosen, permission=_MAY, order=70)
add_button("channel", _("Recompute prices"), _url("channel"), order=75)
add_button("promotion", _("Recompute prices"), _url("promotion"), order=75)
