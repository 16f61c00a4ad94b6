"""The board of what to order and to move, what a person does with its advice, and the page of a SKU.

Every address answers 404 for what the person may not see, so that it does not tell what exists.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.generic import TemplateView, View

from catalog.admin.stock.scope import product_line
from catalog.models import Sku, StockLevel, User, Warehouse
from catalog.stock.ledger import StockError
from monitoring.admin.alert_deeds import next_page
from monitoring.models import Advice, ForecastOverride, SkuPlan
from monitoring.plan_board import PER_PAGE, Board, csv_rows
from monitoring.plan_forms import ChangeForm, OverrideForm, RejectForm, SnoozeAdviceForm
from monitoring.plan_page import SkuPage, sku_page
from monitoring.plan_page import csv_rows as sku_rows
from monitoring.plan_record import record_card
from monitoring.plan_words import accept_label, advice_sentence, decided_before, done_sentence
from monitoring.services.planning.asking import ask_for_run
from monitoring.services.planning.deeds import DECIDE, Decision, accept, may_accept, reject, snooze, wake
from monitoring.services.planning.overrides import end_forecast, set_forecast
from monitoring.views import WatchView

VIEW, RUN = "monitoring.view_advice", "monitoring.add_planrun"


class PlanView(WatchView):
    permission_required: tuple[str, ...] = (VIEW, "monitoring.view_skuplan")


class BoardPage(PlanView, TemplateView):
    template_name = "monitoring/plan/board.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        board = Board(self.user, self.request.GET, self.now)
        board.load()
        is_planned = bool(board.last_run or board.is_narrowed or any(board.counts.values()))
        return {
            **admin.site.each_context(self.request),
            **super().get_context_data(**kwargs),
            "title": gettext("Plan"),
            "board": board,
            "is_planned": is_planned,
            "may_run": self.user.has_perm(RUN),
            "first": PER_PAGE * (board.page - 1) + 1,
            "next": self.request.get_full_path(),
            "csv_url": f"{reverse('plan:board-csv')}{board.address()}",
            "record": record_card(self.user, now=self.now) if board.tab == "decided" else None,
            "now": self.now,
        }


class BoardCsv(PlanView, View):
    """The advice of the tab and the filters that are open, all pages."""

    def get(self, request: HttpRequest) -> HttpResponseBase:
        board = Board(self.user, request.GET, self.now)
        return self.export(f"plan-{board.tab}.csv", csv_rows(board), self.user)


class RunView(PlanView, View):
    """Asks for a run over everything."""

    permission_required = (*PlanView.permission_required, RUN)

    def post(self, request: HttpRequest) -> HttpResponseBase:
        ask_for_run(actor=self.user, now=self.now)
        messages.success(request, gettext("Planning begins within a minute. You can leave this page."))
        return HttpResponseRedirect(reverse("plan:board"))


class AdviceView(PlanView):
    """A deed on one advice."""

    permission_required = (*PlanView.permission_required, DECIDE)

    @cached_property
    def advice(self) -> Advice:
        related = ("sku__product", "warehouse", "source", "supplier", "channel", "promotion", "order", "transfer")
        seen = Advice.objects.visible_to(self.user).select_related(*related, "decided_by")
        return get_object_or_404(seen, pk=self.kwargs["advice_id"])

    @property
    def back(self) -> str:
        return next_page(self.request) or reverse("plan:board")

    def do(self, deed: Callable[[], Decision], done: Callable[[Advice], str]) -> HttpResponse:
        """Do it and go back; what cannot be done is said there."""
        try:
            decision = deed()
        except StockError as error:
            messages.error(self.request, str(error))
            return HttpResponseRedirect(self.back)
        advice = decision.advice
        if decision.is_new:
            messages.success(self.request, _with_link(done(advice), advice, self.user))
        else:
            messages.warning(self.request, decided_before(advice))
        return HttpResponseRedirect(self.back)


def _with_link(text: str, advice: Advice, user: User) -> str:
    """The sentence with the order that it names as a link, for who may open it."""
    number = str(advice.order or "")
    if not number or number not in text or not user.has_perm("catalog.view_purchaseorder"):
        return text
    before, after = text.split(number, 1)
    url = reverse("admin:catalog_purchaseorder_change", args=[advice.order_id])
    return format_html('{}<a href="{}">{}</a>{}', before, url, number, after)


class AcceptView(AdviceView, View):
    """As it is advised; the number that the button had is part of what is posted."""

    def post(self, request: HttpRequest, advice_id: int) -> HttpResponse:
        if not may_accept(self.user, self.advice.kind):
            raise PermissionDenied
        shown = request.POST.get("shown", "")
        if not shown.isdecimal() or len(shown) > 9:
            raise Http404
        return self.do(
            lambda: accept(advice_id=advice_id, actor=self.user, shown=int(shown), now=self.now), done_sentence
        )


class WakeView(AdviceView, View):
    def post(self, request: HttpRequest, advice_id: int) -> HttpResponse:
        advice = self.advice
        return self.do(
            lambda: wake(advice_id=advice.pk, actor=self.user, now=self.now),
            lambda done: gettext("%(sku)s is on the board again.") % {"sku": done.sku},
        )


class AskView(AdviceView, View):
    """What is asked before it is done, on a page of its own."""

    title: ClassVar[Promise | str]
    button: ClassVar[Promise | str]

    def form(self, data: Any = None) -> forms.Form:
        raise NotImplementedError

    def deed(self, values: Mapping[str, Any]) -> Decision:
        raise NotImplementedError

    def done(self, advice: Advice) -> str:
        raise NotImplementedError

    def get(self, request: HttpRequest, advice_id: int) -> HttpResponse:
        return self._page(self.form())

    def post(self, request: HttpRequest, advice_id: int) -> HttpResponse:
        form = self.form(request.POST)
        if not form.is_valid():
            return self._page(form)
        return self.do(lambda: self.deed(form.cleaned_data), self.done)

    def _page(self, form: forms.Form) -> HttpResponse:
        context = {
            **admin.site.each_context(self.request),
            "title": self.title,
            "button": self.button,
            "advice": self.advice,
            "sentence": advice_sentence(self.advice),
            "form": form,
            "back": self.back,
            "next": next_page(self.request),
        }
        return TemplateResponse(self.request, "monitoring/plan/ask.html", context)


class ChangeView(AskView):
    title, button = _("Accept another number"), _("Accept")

    def form(self, data: Any = None) -> forms.Form:
        if not may_accept(self.user, self.advice.kind):
            raise PermissionDenied
        return ChangeForm(data, advice=self.advice)

    def deed(self, values: Mapping[str, Any]) -> Decision:
        return accept(
            advice_id=self.advice.pk,
            actor=self.user,
            quantity=values["quantity"],
            reason=values["reason"],
            now=self.now,
        )

    def done(self, advice: Advice) -> str:
        return done_sentence(advice)


class RejectView(AskView):
    title, button = _("Reject this advice?"), _("Reject")

    def form(self, data: Any = None) -> forms.Form:
        return RejectForm(data)

    def deed(self, values: Mapping[str, Any]) -> Decision:
        return reject(advice_id=self.advice.pk, actor=self.user, reason=values["reason"], now=self.now)

    def done(self, advice: Advice) -> str:
        return gettext("Rejected. If the next plan still needs it, it is advised again.")


class SnoozeView(AskView):
    title, button = _("Snooze this advice?"), _("Snooze")

    def form(self, data: Any = None) -> forms.Form:
        return SnoozeAdviceForm(data)

    def deed(self, values: Mapping[str, Any]) -> Decision:
        until = self.now + timedelta(days=values["days"])
        return snooze(advice_id=self.advice.pk, actor=self.user, until=until, reason=values["reason"], now=self.now)

    def done(self, advice: Advice) -> str:
        return gettext("Snoozed. It comes back by itself.")


class SkuView(PlanView):
    """A SKU in the warehouse that the address names, or the first one that it is planned in."""

    @cached_property
    def sku(self) -> Sku:
        seen = Sku.objects.visible_to(self.user).select_related("product", "supplier")
        return get_object_or_404(seen, pk=self.kwargs["sku_id"])

    @cached_property
    def warehouses(self) -> list[Warehouse]:
        """Those that it is planned in, or has stock in."""
        is_here = Q(pk__in=SkuPlan.objects.filter(sku=self.sku).values("warehouse"))
        has_stock = Q(pk__in=StockLevel.objects.filter(sku=self.sku).values("warehouse"))
        return list(Warehouse.objects.filter(is_here | has_stock))

    @cached_property
    def warehouse(self) -> Warehouse:
        asked = self.request.GET.get("warehouse", "")
        for each in self.warehouses:
            if asked in ("", str(each.pk)):
                return each
        raise Http404

    @property
    def address(self) -> str:
        return f"{reverse('plan:sku', args=[self.sku.pk])}?warehouse={self.warehouse.pk}"


@dataclass(frozen=True, slots=True)
class ToDecide:
    """An advice with what its button says."""

    advice: Advice
    sentence: str
    accept: str
    may_accept: bool


class SkuPlanPage(SkuView, TemplateView):
    template_name = "monitoring/plan/sku.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        page = sku_page(self.sku, self.warehouse, user=self.user, now=self.now)
        return {
            **admin.site.each_context(self.request),
            **super().get_context_data(**kwargs),
            "title": product_line(self.sku),
            "sku": self.sku,
            "warehouse": self.warehouse,
            "warehouses": self.warehouses,
            "page": page,
            "to_decide": self.to_decide(page),
            "next": self.address,
            "now": self.now,
        }

    def to_decide(self, page: SkuPage) -> list[ToDecide]:
        if not self.user.has_perm(DECIDE):
            return []
        return [
            ToDecide(advice, sentence, accept_label(advice), may_accept(self.user, advice.kind))
            for advice, sentence, _line in page.advice
            if advice.state in Advice.UNDECIDED and not (advice.snoozed_until and advice.snoozed_until > self.now)
        ]


class SkuCsv(SkuView, View):
    """The days of the charts of a SKU's page."""

    def get(self, request: HttpRequest, sku_id: int) -> HttpResponseBase:
        page = sku_page(self.sku, self.warehouse, user=self.user, now=self.now)
        return self.export(f"plan-{self.sku.pk}-{self.warehouse.pk}.csv", sku_rows(page), self.sku)


class OverrideView(SkuView, View):
    """A forecast by hand, with its reason and its last day."""

    permission_required = (*PlanView.permission_required, "monitoring.add_forecastoverride")

    def get(self, request: HttpRequest, sku_id: int) -> HttpResponse:
        return self._page(OverrideForm(instance=self._new()))

    def post(self, request: HttpRequest, sku_id: int) -> HttpResponse:
        form = OverrideForm(request.POST, instance=self._new())
        if not form.is_valid():
            return self._page(form)
        set_forecast(override=form.instance, actor=self.user, now=self.now)
        messages.success(request, gettext("Kept. It counts from the next plan on."))
        return HttpResponseRedirect(self.address)

    def _new(self) -> ForecastOverride:
        return ForecastOverride(sku=self.sku, warehouse=self.warehouse, made_at=self.now, made_by=self.user)

    def _page(self, form: OverrideForm) -> HttpResponse:
        context = {
            **admin.site.each_context(self.request),
            "title": gettext("Set the forecast by hand"),
            "sku": self.sku,
            "warehouse": self.warehouse,
            "form": form,
            "back": self.address,
        }
        return TemplateResponse(self.request, "monitoring/plan/override.html", context)


class OverrideEndView(SkuView, View):
    permission_required = (*PlanView.permission_required, "monitoring.delete_forecastoverride")

    def post(self, request: HttpRequest, sku_id: int, override_id: int) -> HttpResponse:
        override = ForecastOverride.objects.filter(sku=self.sku, pk=override_id).first()
        if override is None:
            messages.warning(request, gettext("Nothing was changed: it is gone already."))
        else:
            end_forecast(override=override, actor=self.user, now=self.now)
            messages.success(request, gettext("Taken away. The next plan goes by its own forecast."))
        return HttpResponseRedirect(self.address)
