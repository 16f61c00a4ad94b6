"""Promotions: the list, and the form of one; what is in force decides what buyers pay."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import SimpleListFilter
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from catalog.admin.listing import VisibleRelatedFilter
from catalog.models import Promotion
from catalog.models.promotion import WHOLE_RATE
from catalog.promotions import words
from catalog.promotions.completing import LABELS, CompleteForm, complete, missing
from catalog.promotions.forms import PromotionForm
from catalog.promotions.services import tell, touched_listings
from config import formatting
from config.admin_site import add_column, add_menu_item, add_panel
from config.model_admin import FrameModelAdmin, person
from config.templatetags import evenshelf as parts

State = Promotion.State
_CHANGE = "catalog.change_promotion"


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

    def get_urls(self) -> list[URLPattern]:
        complete_view = self.admin_site.admin_view(require_POST(self.complete_view))
        return [
            path("<path:object_id>/complete/", complete_view, name="catalog_promotion_complete"),
            *super().get_urls(),
        ]

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

    def save_model(self, request: HttpRequest, obj: Promotion, form: forms.ModelForm, change: bool) -> None:
        before = Promotion.objects.filter(pk=obj.pk).first() if change else None
        super().save_model(request, obj, form, change)
        tell([each for each in (before, obj) if each is not None])

    def delete_model(self, request: HttpRequest, obj: Promotion) -> None:
        tell([obj])
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Promotion]) -> None:
        tell(list(queryset))
        super().delete_queryset(request, queryset)


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
        "fee": "",
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
