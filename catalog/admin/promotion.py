"""Promotions: the list, and the form of one; what is in force decides what buyers pay."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import SimpleListFilter
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone, translation
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from catalog.admin import promotion_files
from catalog.admin.listing import VisibleRelatedFilter
from catalog.models import Promotion
from catalog.models.promotion import WHOLE_RATE
from catalog.promotions import services, words
from catalog.promotions.completing import LABELS, CompleteForm, complete, missing
from catalog.promotions.forms import PromotionForm, UpliftForm
from catalog.promotions.requests import amount_of
from catalog.promotions.services import touched_listings
from config import formatting
from config.admin_site import add_column, add_menu_item, add_panel, page_panels
from config.form_changes import form_changes
from config.model_admin import FrameModelAdmin, person
from config.templatetags import evenshelf as parts

State = Promotion.State
_CHANGE = "catalog.change_promotion"


@dataclass(frozen=True, slots=True)
class Proposed:
    """A promotion as its form has it, which is valid and not stored.

    The apps that know what it would do add panels to the pages "promotion_preview", in the area "side", and
    "promotion_warning", in the area "main": where that has any, a person is asked before the promotion is stored.
    """

    promotion: Promotion
    uplift: Decimal


def _in_force(now: datetime) -> Q:
    """Half-open: a window holds from its start up to, but not at, its end."""
    has_begun = Q(start__isnull=True) | Q(start__lte=now)
    return Q(status=State.ACTIVE) & has_begun & (Q(end__isnull=True) | Q(end__gt=now))


class WhenFilter(SimpleListFilter):
    title = _("when")
    parameter_name = "when"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("now", gettext("now")), ("later", gettext("scheduled")), ("over", gettext("over"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        now = timezone.now()
        match self.value():
            case "now":
                return queryset.filter(_in_force(now))
            case "later":
                return queryset.filter(status=State.ACTIVE, start__gt=now)
            case "over":
                return queryset.filter(Q(end__lte=now) | Q(status=State.GONE))
        return queryset


@admin.register(Promotion)
class PromotionAdmin(FrameModelAdmin):
    page = "promotion"
    form = PromotionForm
    list_display = ()
    list_select_related = ["channel"]
    list_filter = [WhenFilter, ("channel", VisibleRelatedFilter), "kind", "source"]
    search_fields = ["name", "code", "platform_id"]
    search_help_text = _("Name, coupon code or platform id")
    list_line = _("What lowers the price that buyers pay")
    empty_text = _("A promotion that is added here is counted whenever a price is worked out.")
    fieldsets = [
        (_("Promotion"), {"fields": ["channel", "name", "code", "layer", "auto", "status"]}),
        (_("What it takes off"), {"fields": ["kind", "figure", "per", "of", "take", "most_off"]}),
        (_("From when on"), {"fields": ["measure", "threshold", "repeat", "max_times", "tiers_text", "min_qty"]}),
        (_("When"), {"fields": ["start", "end", "remaining"]}),
        (_("Goods"), {"fields": ["items", "skus", "not_items", "not_on_sale"]}),
        (_("Who pays for it"), {"fields": ["our_share", "fee_percent", "fee_per_order"]}),
        (
            _("More"),
            {
                "fields": [
                    "groups_text",
                    "audience_text",
                    "measure_over",
                    "up_to",
                    "max_units",
                    "priority",
                    "in_live",
                ],
                "classes": ["collapse"],
            },
        ),
    ]

    change_form_template = "admin/catalog/promotion/change_form.html"
    change_list_template = "admin/catalog/promotion/list.html"

    def get_urls(self) -> list[URLPattern]:
        complete_view = self.admin_site.admin_view(require_POST(self.complete_view))
        preview_view = self.admin_site.admin_view(require_POST(self.preview_view))
        return [
            *promotion_files.urls(),
            path("preview/", preview_view, name="catalog_promotion_preview"),
            path("<path:object_id>/complete/", complete_view, name="catalog_promotion_complete"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(
            request, {"may_import": promotion_files.may_import(request), **(extra_context or {})}
        )

    def complete_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Keep what a person says of the facts that the platform does not tell."""
        if not request.user.has_perm(_CHANGE):
            raise PermissionDenied
        promotion: Promotion | None = self.get_object(request, object_id)
        if promotion is None:
            raise Http404
        form = CompleteForm(request.POST, promotion=promotion)
        if not form.is_valid():
            messages.error(request, " ".join(str(error) for errors in form.errors.values() for error in errors))
        elif form.fields:
            complete(promotion, form.values(), actor=person(request), now=timezone.now())
            messages.success(request, gettext("Kept. The prices that it touches are worked out again."))
        return HttpResponseRedirect(self.address("change", promotion))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What a platform says is changed on the platform."""
        is_read = obj is not None and obj.source == Promotion.Source.PLATFORM
        return not is_read and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_read = obj is not None and obj.source == Promotion.Source.PLATFORM
        return not is_read and super().has_delete_permission(request, obj)

    # What it would do

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """What a posted form would do if it were stored, or what it still lacks."""
        stored: Promotion | None = None
        if "promotion" in request.GET:
            stored = self.get_object(request, request.GET["promotion"])
            if stored is None:
                raise Http404
        if not (self.has_change_permission(request, stored) if stored else self.has_add_permission(request)):
            raise PermissionDenied
        form = self.get_form(request, stored, change=stored is not None)(request.POST, instance=stored)
        context = {"preview": self._previewed(request, form)}
        return JsonResponse({"html": render_to_string("admin/catalog/promotion/preview.html", context, request)})

    def _previewed(self, request: HttpRequest, form: Any) -> dict[str, Any]:
        """What the page says of a bound form."""
        uplift = UpliftForm(request.POST)
        errors = {
            str(each.fields[name].label or name) if name in each.fields else "": [str(text) for text in texts]
            for each in (form, uplift)
            for name, texts in each.errors.items()
        }
        if errors:
            return {"errors": errors}
        proposed = Proposed(form.instance, uplift.cleaned_data["uplift"] or Decimal(1))
        return {"panels": page_panels("promotion_preview", request, proposed)["side"]}

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        form, original = context["adminform"].form, context.get("original")
        if self.has_change_permission(request, original) if original else self.has_add_permission(request):
            url = reverse("admin:catalog_promotion_preview")
            context |= {
                "preview_url": f"{url}?promotion={original.pk}" if original else url,
                "preview": self._previewed(request, form) if "_check" in request.POST else None,
                "uplift": UpliftForm(request.POST if form.is_bound else None),
            }
        return super().render_change_form(request, context, *args, **kwargs)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        """Asks before what somebody warns of is stored; the answer comes with all that was filled in."""
        if request.method == "POST" and not {"_check", "_confirmed"} & request.POST.keys():
            obj = self.get_object(request, object_id) if object_id else None
            may = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
            if may and (obj or not object_id):
                form = self.get_form(request, obj, change=obj is not None)(request.POST, instance=obj)
                if form.is_valid() and (warnings := self._warnings(request, form.instance)):
                    return self._ask(request, form.instance, warnings)
        return super().changeform_view(request, object_id, form_url, extra_context)

    def _warnings(self, request: HttpRequest, promotion: Promotion) -> list[SafeString]:
        return page_panels("promotion_warning", request, Proposed(promotion, Decimal(1)))["main"]

    def _ask(self, request: HttpRequest, promotion: Promotion, warnings: list[SafeString]) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Save “%(name)s”?") % {"name": promotion.name},
            "opts": self.opts,
            "warnings": warnings,
            "posted": [
                (name, value)
                for name, values in request.POST.lists()
                if name not in ("csrfmiddlewaretoken", "_save")
                for value in values
            ],
        }
        return TemplateResponse(request, "admin/catalog/promotion/ask.html", context)

    # Storing: the service writes the audit log too

    def save_model(self, request: HttpRequest, obj: Promotion, form: Any, change: bool) -> None:
        services.save(promotion=obj, actor=person(request), now=timezone.now(), written=_written(form))

    def delete_model(self, request: HttpRequest, obj: Promotion) -> None:
        services.delete(promotions=[obj], actor=person(request), now=timezone.now())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Promotion]) -> None:
        services.delete(promotions=queryset, actor=person(request), now=timezone.now())

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return None

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return None

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        return None


def _written(form: Any) -> dict[str, list[Any]]:
    """The changes as they were written; a field that the model has not goes by its label, as it is to be translated."""
    of_model = {field.name for field in Promotion._meta.concrete_fields}
    with translation.override("en"):
        return {
            name if name in of_model else str(form.base_fields[name].label): change
            for name, change in form_changes(form).items()
        }


def _name(promotion: Promotion) -> SafeString:
    url = f"{promotion.pk}/change/"
    line = " · ".join(filter(None, [str(promotion.channel), promotion.code or promotion.platform_id]))
    return format_html('<a href="{}"><strong>{}</strong><small>{}</small></a>', url, promotion.name, line)


def _terms(promotion: Promotion) -> str:
    return words.terms(promotion)


def _layer(promotion: Promotion) -> str:
    return str(words.LAYERS.get(promotion.layer, promotion.layer))


def _window(promotion: Promotion) -> str:
    start, end = (formatting.moment(at) if at else "" for at in (promotion.start, promotion.end))
    if start and end:
        return f"{start} – {end}"
    if end:
        return gettext("until %(time)s") % {"time": end}
    return gettext("from %(time)s") % {"time": start} if start else gettext("always")


def _state(promotion: Promotion) -> SafeString:
    now = timezone.now()
    if missing(promotion):
        return parts.badge("warning", gettext("to be filled in"))
    if promotion.status != State.ACTIVE:
        return parts.badge("muted", promotion.get_status_display())
    if promotion.end is not None and promotion.end <= now:
        return parts.badge("muted", gettext("over"))
    if promotion.start is not None and promotion.start > now:
        return parts.badge("info", gettext("scheduled"))
    if promotion.remaining == 0:
        return parts.badge("muted", gettext("used up"))
    return parts.badge("ok", gettext("in force"))


def _fee(promotion: Promotion) -> str:
    """What the platform takes for it; "" where it takes nothing."""
    told = []
    if promotion.fee_rate:
        rate = formatting.percent(Decimal(promotion.fee_rate) / WHOLE_RATE)
        told.append(gettext("%(share)s of what comes in") % {"share": rate})
    if promotion.fee_fixed:
        amount = formatting.money(amount_of(promotion.fee_fixed, promotion.currency), promotion.currency)
        told.append(gettext("%(amount)s per order") % {"amount": amount})
    return gettext("fee: %(fee)s") % {"fee": formatting.joined(told)} if told else ""


def _facts(request: HttpRequest, promotion: Promotion) -> dict[str, Any]:
    items, others = promotion.scope_of("items"), promotion.scope_of("not_items")
    count = len(touched_listings([promotion]))
    share = Decimal(promotion.seller_share) / WHOLE_RATE
    return {
        "terms": words.terms(promotion),
        "layer": _layer(promotion),
        "claim": gettext("applies by itself") if promotion.auto else gettext("the buyer claims it"),
        "window": _window(promotion),
        "remaining": None
        if promotion.remaining is None
        else gettext("%(count)s left") % {"count": formatting.count(promotion.remaining)},
        "goods": ngettext("%(count)s item", "%(count)s items", len(items)) % {"count": formatting.count(len(items))}
        if items
        else gettext("all but %(count)s items") % {"count": formatting.count(len(others))}
        if others
        else gettext("all goods"),
        "listings": ngettext("%(count)s of our listings", "%(count)s of our listings", count)
        % {"count": formatting.count(count)},
        "share": gettext("%(share)s by us") % {"share": formatting.percent(share)},
        "fee": _fee(promotion),
    }


def _missing(request: HttpRequest, promotion: Promotion) -> dict[str, Any] | None:
    if not promotion.unknown:
        return None
    names = missing(promotion)
    may_fill_in = request.user.has_perm(_CHANGE)
    return {
        "missing": ", ".join(str(LABELS.get(name, name)) for name in names),
        "confirmed": ", ".join(str(LABELS.get(name, name)) for name in promotion.confirmed),
        "waits": gettext("prices wait for it"),
        "form": CompleteForm(promotion=promotion) if may_fill_in else None,
        "url": reverse("admin:catalog_promotion_complete", args=[promotion.pk]),
    }


add_panel("promotion", "admin/catalog/promotion/facts.html", _facts, area="facts", order=10)
add_panel("promotion", "admin/catalog/promotion/missing.html", _missing, area="full", order=10)
add_column(Promotion, "name", _("Promotion"), _name, order=10)
add_column(Promotion, "terms", _("Terms"), _terms, order=20)
add_column(Promotion, "layer", _("Layer"), _layer, order=30)
add_column(Promotion, "window", _("When"), _window, order=40)
add_column(Promotion, "state", _("State"), _state, order=50)
add_menu_item(
    "price",
    pgettext_lazy("menu", "Promotions"),
    "admin:catalog_promotion_changelist",
    permission="catalog.view_promotion",
    order=20,
)
