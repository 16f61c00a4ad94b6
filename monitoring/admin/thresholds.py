"""Thresholds: the list, and the form that says beforehand what a threshold would have done."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.core.exceptions import PermissionDenied
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from catalog.models import Listing, Product
from config import formatting
from config.admin_site import add_column, add_menu_item, add_order, add_tab
from config.model_admin import FrameModelAdmin, person
from config.templatetags import evenshelf as parts
from monitoring.admin.alert_board import key_of
from monitoring.alert_figures import figures
from monitoring.alert_text import severity_word, threshold_sentence
from monitoring.forms import SUBJECTS, ThresholdForm
from monitoring.models import Alert, AlertKind, Threshold
from monitoring.open_alerts import SEVERITY_RANK
from monitoring.services.thresholds import PREVIEW_DAYS, Preview, preview
from monitoring.thresholds.rules import FIELDS

_VIEW = "monitoring.view_threshold"
_FIRINGS_SHOWN = 5
_BRANDS_OFFERED = 200
_SUBJECT_FIELDS = ["about", *SUBJECTS, "ownership"]
_RULE_FIELDS = [
    "kind",
    "price",
    "min_price",
    "max_price",
    "currency",
    "percent",
    "direction",
    "reference",
    "baseline_at",
    "stock",
    "days",
    "intervals",
]
_ALERT_FIELDS = ["severity", "name", "is_active"]
_MORE_FIELDS = ["hysteresis", "cooldown_minutes"]


class SubjectFilter(SimpleListFilter):
    title = _("about")
    parameter_name = "about"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple[str, str]]:
        return [
            ("listing", gettext("one listing")),
            ("product", gettext("a product")),
            ("brand", gettext("a brand")),
            ("channel", gettext("a channel")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "brand":
            return queryset.exclude(brand="")
        return queryset.filter(**{f"{self.value()}__isnull": False}) if self.value() in SUBJECTS else queryset


@admin.register(Threshold)
class ThresholdAdmin(FrameModelAdmin):
    form = ThresholdForm
    list_display = ()
    list_select_related = ["listing__channel", "product", "channel"]
    list_filter = ["kind", "severity", SubjectFilter]
    search_fields = ["name", "brand", "listing__title", "listing__platform_item_id", "product__name", "channel__name"]
    search_help_text = _("Name, listing, product, brand or channel")
    list_line = _("What opens an alert")
    empty_text = _("A threshold says when you want to be told of a price, a stock or a listing that is not read.")
    autocomplete_fields = ["listing", "product", "channel"]
    change_form_template = "admin/monitoring/threshold/change_form.html"
    delete_confirmation_template = "admin/monitoring/threshold/delete_confirmation.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Threshold]:
        found: QuerySet[Threshold] = super().get_queryset(request)
        return found

    def title_of(self, obj: Threshold) -> str:
        return obj.name or threshold_sentence(obj)

    # The form

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        if obj is not None and not self.has_change_permission(request, obj):
            subject = next(subject for subject in SUBJECTS if getattr(obj, subject))
            used = [name for name in (*_RULE_FIELDS, *_MORE_FIELDS) if name in FIELDS[obj.kind]]
            return [(None, {"fields": [subject, "kind", *used, "cooldown_minutes", *_ALERT_FIELDS]})]
        return [
            (_("What it is about"), {"fields": _SUBJECT_FIELDS}),
            (_("Rule"), {"fields": _RULE_FIELDS}),
            (_("Alert"), {"fields": _ALERT_FIELDS}),
            (_("More"), {"fields": _MORE_FIELDS, "classes": ["collapse"]}),
        ]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        return type("ThresholdForm", (form,), {"user": person(request)})

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is None:
            return None
        if db_field.name in SUBJECTS and hasattr(field.widget, "can_add_related"):
            field.widget.can_add_related = False
        if db_field.name == "brand":
            field.widget.attrs |= {"list": "brands", "autocomplete": "off"}
        return field

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """The subject that the page has a link for: ?listing=12, ?product=, ?brand= or ?channel=."""
        for name in SUBJECTS:
            value = request.GET.get(name, "")
            if value and (name == "brand" or key_of(value) is not None):
                return {name: value}
        return {}

    def save_model(self, request: HttpRequest, obj: Threshold, form: forms.ModelForm, change: bool) -> None:
        if not change:
            obj.created_by = person(request)
        super().save_model(request, obj, form, change)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        form = context["adminform"].form
        original = context.get("original")
        if "about" in form.fields:
            brands = Product.objects.visible_to(person(request)).exclude(brand="").order_by("brand")
            context |= {
                "uses": {kind: sorted(names) for kind, names in FIELDS.items()},
                "brands": brands.values_list("brand", flat=True).distinct()[:_BRANDS_OFFERED],
                "preview_url": _preview_url(original),
                "preview": self._previewed(request, form) if "_check" in request.POST else None,
            }
        if original:
            context["sentence"] = threshold_sentence(original)
            context["alerts_url"] = _alerts_url(original)
        return super().render_change_form(request, context, *args, **kwargs)

    # What it would have done

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.preview_view)
        return [path("preview/", view, name="monitoring_threshold_preview"), *super().get_urls()]

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """The answer to a posted form, which is not stored: how often it would have fired, or what it still lacks."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not (self.has_add_permission(request) or self.has_change_permission(request)):
            raise PermissionDenied
        form = self.get_form(request)(request.POST, instance=self._checked(request))
        found = self._previewed(request, form)
        html = render_to_string("admin/monitoring/threshold/preview.html", {"preview": found}, request)
        return JsonResponse({"html": html, "count": found["count"], "errors": found["errors"]})

    def _checked(self, request: HttpRequest) -> Threshold | None:
        """The stored threshold whose form is checked, which is named in the address; None for a new one."""
        if "threshold" not in request.GET:
            return None
        stored: Threshold | None = self.get_object(request, request.GET["threshold"])
        if stored is None:
            raise Http404
        return stored

    def _previewed(self, request: HttpRequest, form: Any) -> dict[str, Any]:
        """What the page says of a bound form."""
        if form.errors:
            errors = {
                str(form.fields[name].label or name) if name in form.fields else "": [str(each) for each in texts]
                for name, texts in form.errors.items()
            }
            return {"errors": errors, "count": None}
        threshold: Threshold = form.instance
        now = timezone.now()
        found = preview(threshold, now=now, user=person(request))
        shown = found.firings[:_FIRINGS_SHOWN]
        listings = Listing.objects.select_related("channel").in_bulk([firing.listing_id for firing in shown])
        return {
            "errors": {},
            "count": found.count if found.known_listings else None,
            "sentence": preview_sentence(found, threshold),
            "rule": threshold_sentence(threshold),
            "unread": found.listings - found.checked_listings,
            "unknown": found.checked_listings - found.known_listings if found.known_listings else 0,
            "firings": [
                {
                    "at": firing.at,
                    "listing": listings[firing.listing_id],
                    "change": figures(
                        Alert(
                            kind=threshold.kind,
                            reference=threshold.reference,
                            old_value=firing.old_value,
                            new_value=firing.new_value,
                            currency=listings[firing.listing_id].channel.currency,
                        )
                    ).change,
                }
                for firing in shown
                if firing.listing_id in listings
            ],
            "more": found.count - len(shown),
        }

    # Deleting

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        count = Alert.objects.visible_to(person(request)).filter(threshold=key_of(object_id)).count()
        threshold = self.get_object(request, object_id)
        called = threshold and (threshold.name or threshold_sentence(threshold))
        context = {"alert_count": count, "called": called, **(extra_context or {})}
        return super().delete_view(request, object_id, context)


def _preview_url(threshold: Threshold | None) -> str:
    url = reverse("admin:monitoring_threshold_preview")
    return f"{url}?threshold={threshold.pk}" if threshold else url


def preview_sentence(found: Preview, threshold: Threshold) -> str:
    """“Would have fired 4 times in the last 30 days, for 3 of 120 listings.”"""
    if not found.is_possible:
        return gettext("What it looks for is not in the history, so it cannot be said how often it would have fired.")
    if not found.listings:
        return gettext("No listing is watched by it yet.")
    if not found.known_listings:
        return _cannot_tell(threshold)
    if not found.count:
        return ngettext(
            "Would not have fired in the last %(days)d days, for any of %(checked)s listing.",
            "Would not have fired in the last %(days)d days, for any of %(checked)s listings.",
            found.known_listings,
        ) % {"days": PREVIEW_DAYS, "checked": formatting.count(found.known_listings)}
    times = ngettext("%(count)s time", "%(count)s times", found.count) % {"count": formatting.count(found.count)}
    return ngettext(
        "Would have fired %(times)s in the last %(days)d days, for %(fired)s of %(checked)s listing.",
        "Would have fired %(times)s in the last %(days)d days, for %(fired)s of %(checked)s listings.",
        found.known_listings,
    ) % {
        "times": times,
        "days": PREVIEW_DAYS,
        "fired": formatting.count(len({firing.listing_id for firing in found.firings})),
        "checked": formatting.count(found.known_listings),
    }


def _cannot_tell(threshold: Threshold) -> str:
    """Without a reading of what it looks at, silence says nothing."""
    words = {"price": threshold.get_price_display(), "days": PREVIEW_DAYS}
    match threshold.kind:
        case AlertKind.STOCK_AT_MOST | AlertKind.SOLD_OUT | AlertKind.RESTOCKED:
            return gettext("Cannot tell: the stock was not read in the last %(days)d days.") % words
        case AlertKind.OFF_SHELF:
            return gettext("Cannot tell: the shelf state was not read in the last %(days)d days.") % words
        case _ if threshold.reference == Threshold.Reference.BASELINE:
            return gettext("Cannot tell: the %(price)s is not known, now or when the comparison began.") % words
        case _:
            return gettext("Cannot tell: the %(price)s was not read in the last %(days)d days.") % words


# --- The list --------------------------------------------------------------------------------------------------------


def _with_recent(thresholds: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    """Adds `recent_alerts`: those of the last 30 days that the person sees."""
    recent = Alert.objects.visible_to(person(request)).filter(
        threshold=OuterRef("pk"), opened_at__gte=timezone.now() - timedelta(days=PREVIEW_DAYS)
    )
    counts = recent.order_by().values("threshold").annotate(found=Count("pk")).values("found")
    counted: QuerySet[Any] = thresholds.annotate(
        recent_alerts=Coalesce(Subquery(counts, output_field=IntegerField()), 0)
    )
    return counted


def _alerts_url(threshold: Threshold) -> str:
    url = reverse("admin:monitoring_alert_changelist")
    return f"{url}?tab=all&opened={PREVIEW_DAYS}&threshold={threshold.pk}"


@admin.display(ordering="name")
def name_cell(threshold: Threshold) -> SafeString:
    """Its name, and the rule below it; the rule alone where it has none."""
    sentence = threshold_sentence(threshold)
    if not threshold.name:
        return format_html('<strong title="{}">{}</strong>', sentence, sentence)
    return format_html('<strong title="{}">{}</strong><small>{}</small>', threshold.name, threshold.name, sentence)


def subject_cell(threshold: Threshold) -> SafeString | str:
    """What it is about, by name; below it of which sort that is."""
    if threshold.listing:
        listing = threshold.listing
        url = reverse("admin:catalog_listing_change", args=[listing.pk])
        line = format_html("{} {}", parts.mark(listing.channel), listing.channel)
        return format_html('<a href="{}"><strong>{}</strong></a><small>{}</small>', url, listing, line)
    if threshold.product:
        url = reverse("admin:catalog_product_change", args=[threshold.product_id])
        name: object = format_html('<a href="{}"><strong>{}</strong></a>', url, threshold.product)
        kind = gettext("product")
    elif threshold.channel:
        url = reverse("admin:catalog_channel_change", args=[threshold.channel_id])
        name = format_html('<a href="{}"><strong>{}</strong></a>', url, threshold.channel)
        kind = gettext("channel")
    else:
        name, kind = format_html("<strong>{}</strong>", threshold.brand), gettext("brand")
    whose = threshold.get_ownership_display() if threshold.ownership else gettext("own and competitors’")
    return format_html("{}<small>{} · {}</small>", name, capfirst(kind), whose)


@admin.display(ordering=SEVERITY_RANK)
def severity_cell(threshold: Threshold) -> SafeString:
    return format_html(
        '<span class="state {}">{}{}</span>',
        threshold.severity,
        parts.icon(threshold.severity),
        severity_word(threshold.severity),
    )


def active_cell(threshold: Threshold) -> SafeString:
    icon, text = ("ok", gettext("Active")) if threshold.is_active else ("muted", gettext("Switched off"))
    return format_html('<span class="state {}">{}{}</span>', icon, parts.icon(icon), text)


@admin.display(ordering="recent_alerts")
def recent_cell(threshold: Any) -> SafeString | str:
    if not threshold.recent_alerts:
        return "0"
    return format_html('<a href="{}">{}</a>', _alerts_url(threshold), formatting.count(threshold.recent_alerts))


add_column(Threshold, "name", _("threshold"), name_cell, order=10)
add_column(Threshold, "subject", _("about"), subject_cell, order=20)
add_column(Threshold, "severity", _("severity"), severity_cell, order=30)
add_column(Threshold, "active", _("state"), active_cell, order=40)
add_column(Threshold, "recent", _("alerts, 30 d"), recent_cell, order=50, prepare=_with_recent, classes="num")
add_tab(Threshold, "all", _("All"), lambda thresholds, request: thresholds, order=10)
add_tab(Threshold, "active", _("Active"), lambda thresholds, request: thresholds.filter(is_active=True), order=20)
add_tab(Threshold, "off", _("Switched off"), lambda thresholds, request: thresholds.filter(is_active=False), order=30)
add_order(Threshold, SEVERITY_RANK)
add_menu_item("watch", _("Thresholds"), "admin:monitoring_threshold_changelist", permission=_VIEW, order=40)
