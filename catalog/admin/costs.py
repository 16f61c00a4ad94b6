"""What sales cost: fees of the channels, costs of SKUs, exchange rates, each good from its moment on."""

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from catalog.admin.listing import VisibleRelatedFilter
from catalog.admin.places import currency_choices
from catalog.admin.stock.scope import of_visible_skus, sku_cell
from catalog.costs import keep_in_step, sold_with
from catalog.models import Channel, ChannelFees, ExchangeRate, Listing, Sku, SkuCost
from catalog.models.promotion import WHOLE_RATE
from catalog.pricing.conversions import NotConvertible, minor_units, percent_off
from catalog.promotions.forms import FigureField, plain_figure
from catalog.promotions.requests import amount_of
from catalog.promotions.services import tell_listings
from config import formatting
from config.admin_site import add_column, add_menu_item
from config.model_admin import FrameModelAdmin, person
from config.templatetags import evenshelf as parts

_RATES = {"tax_percent": "tax_rate", "fee_percent": "fee_rate", "payment_percent": "payment_rate"}
_AMOUNTS = {"fee_least": "fee_minimum", "payment_amount": "payment_fixed", "freight_amount": "freight"}
_MAY_BE_UNKNOWN = ("tax_rate", "fee_rate", "freight")


class ChannelFeesForm(forms.ModelForm):
    """Percentages and amounts as people write them; empty is not known, or 0 where the label says so."""

    tax_percent = FigureField(
        label=_("tax inside the price"),
        required=False,
        help_text=_("Percent. 0 where prices are without tax, or the marketplace pays it. Empty: not known."),
    )
    fee_percent = FigureField(label=_("platform fee"), required=False, help_text=_("Percent. Empty: not known."))
    fee_least = FigureField(label=_("platform fee at least"), required=False)
    payment_percent = FigureField(label=_("payment fee"), required=False, help_text=_("Percent. Empty: none."))
    payment_amount = FigureField(label=_("payment fee per order"), required=False, help_text=_("Empty: none."))
    freight_amount = FigureField(
        label=_("freight and packing of a unit"), required=False, help_text=_("Empty: not known, and so is the margin.")
    )

    class Meta:
        model = ChannelFees
        fields = ("channel", "valid_from", "fee_is_on_net")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        row: ChannelFees = self.instance
        if not row.pk:
            return
        for shown, name in _RATES.items():
            value = getattr(row, name)
            self.initial[shown] = "" if value is None else plain_figure(Decimal(value) / 100)
        for shown, name in _AMOUNTS.items():
            value = getattr(row, name)
            self.initial[shown] = "" if value is None else plain_figure(amount_of(value, row.channel.currency))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        channel = cleaned.get("channel")
        if channel is None:
            return cleaned
        for shown, name in {**_RATES, **_AMOUNTS}.items():
            text = (cleaned.get(shown) or "").strip().removesuffix("%")
            if not text:
                setattr(self.instance, name, None if name in _MAY_BE_UNKNOWN else 0)
                continue
            try:
                value = percent_off(text) if shown in _RATES else minor_units(text, channel.currency)
            except NotConvertible:
                value = -1
            if value < 0 or (shown in _RATES and value > WHOLE_RATE):
                self.add_error(shown, self._told(shown, channel))
            else:
                setattr(self.instance, name, value)
        return cleaned

    def _told(self, shown: str, channel: Channel) -> str:
        if shown in _RATES:
            return gettext("Enter a percentage from 0 to 100 with at most two decimals, for example 5.")
        return gettext("Enter an amount with no more decimals than %(currency)s has.") % {"currency": channel.currency}


@admin.register(ChannelFees)
class ChannelFeesAdmin(FrameModelAdmin):
    form = ChannelFeesForm
    list_display = ()
    list_select_related = ["channel"]
    list_filter = [("channel", VisibleRelatedFilter)]
    list_line = _("What a sale costs besides the goods; each row is good until the next one of its channel")
    empty_text = _("Without fees nobody can tell whether a price covers its costs. Add them for each channel.")
    fields = [
        "channel",
        "valid_from",
        "tax_percent",
        "fee_percent",
        "fee_least",
        "fee_is_on_net",
        "payment_percent",
        "payment_amount",
        "freight_amount",
    ]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"valid_from": timezone.now().replace(second=0, microsecond=0)}

    def save_model(self, request: HttpRequest, obj: ChannelFees, form: forms.ModelForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        tell_listings(Listing.objects.filter(channel=obj.channel_id))

    def delete_model(self, request: HttpRequest, obj: ChannelFees) -> None:
        tell_listings(Listing.objects.filter(channel=obj.channel_id))
        super().delete_model(request, obj)


@admin.register(SkuCost)
class SkuCostAdmin(FrameModelAdmin):
    """Costs that are stored ahead. What was valid once stays as it is: sales and quotes are judged by it."""

    list_display = ()
    list_select_related = ["sku__product"]
    search_fields = ["sku__code", "sku__product__name"]
    search_help_text = _("SKU or product")
    list_line = _("What one unit costs us; each row is good until the next one of its SKU")
    empty_text = _("Enter the cost price of a SKU on its page, or here from a day on.")
    autocomplete_fields = ["sku"]
    fields = ["sku", "valid_from", "amount", "currency"]
    ordering = ["-valid_from"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[SkuCost]:
        return of_visible_skus(super().get_queryset(request), request)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        initial: dict[str, Any] = {"valid_from": timezone.now().replace(second=0, microsecond=0)}
        initial |= super().get_changeform_initial_data(request)
        chosen = str(initial.get("sku", ""))
        if chosen.isdecimal() and len(chosen) < 19:
            sku = Sku.objects.visible_to(person(request)).filter(pk=chosen).first()
            initial["currency"] = sku.cost_currency if sku else None
        return initial

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "currency":
            return forms.ChoiceField(label=db_field.verbose_name, choices=currency_choices(), initial=db_field.default)
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "amount":
            field.help_text = _("Of one unit, without tax. Empty: not known from then on.")
        return field

    def has_change_permission(self, request: HttpRequest, obj: SkuCost | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or not _has_begun(obj))

    def has_delete_permission(self, request: HttpRequest, obj: SkuCost | None = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or not _has_begun(obj))

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """None deletes many: those that have begun stay."""
        return {name: action for name, action in super().get_actions(request).items() if name != "delete_selected"}

    def save_model(self, request: HttpRequest, obj: SkuCost, form: forms.ModelForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        keep_in_step(now=timezone.now(), sku_ids=[obj.sku_id])
        tell_listings(sold_with([obj.sku_id]))

    def delete_model(self, request: HttpRequest, obj: SkuCost) -> None:
        super().delete_model(request, obj)
        tell_listings(sold_with([obj.sku_id]))


def _has_begun(cost: SkuCost) -> bool:
    return cost.valid_from <= timezone.now()


@admin.register(ExchangeRate)
class ExchangeRateAdmin(FrameModelAdmin):
    list_display = ()
    list_filter = ["cost_currency", "sale_currency"]
    list_line = _("For goods that are bought in another currency than they are sold in; a rate is good for seven days")
    empty_text = _("Add a rate where the cost of a SKU is in another currency than the shop.")
    fields = ["cost_currency", "sale_currency", "day", "rate", "source"]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in ("cost_currency", "sale_currency"):
            return forms.ChoiceField(label=db_field.verbose_name, choices=currency_choices())
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: ExchangeRate, form: forms.ModelForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        tell_listings(Listing.objects.filter(channel__currency=obj.sale_currency))


def _channel(fees: ChannelFees) -> str:
    return format_html('<a href="{}/change/"><strong>{}</strong></a>', fees.pk, fees.channel)


def _rate(basis_points: int | None) -> str:
    return parts.unknown() if basis_points is None else formatting.percent(Decimal(basis_points) / WHOLE_RATE)


def _freight(fees: ChannelFees) -> str:
    if fees.freight is None:
        return parts.unknown()
    return formatting.money(amount_of(fees.freight, fees.channel.currency), fees.channel.currency)


def _pair(rate: ExchangeRate) -> str:
    pair = f"{rate.cost_currency} → {rate.sale_currency}"
    return format_html('<a href="{}/change/"><strong>{}</strong><small>{}</small></a>', rate.pk, pair, rate.source)


add_column(ChannelFees, "channel", _("Channel"), _channel, order=10)
add_column(ChannelFees, "from", _("Valid from"), lambda fees: formatting.iso_moment(fees.valid_from), order=20)
add_column(ChannelFees, "tax", _("Tax"), lambda fees: _rate(fees.tax_rate), order=30, classes="num")
add_column(ChannelFees, "fee", _("Platform fee"), lambda fees: _rate(fees.fee_rate), order=40, classes="num")
add_column(ChannelFees, "payment", _("Payment fee"), lambda fees: _rate(fees.payment_rate), order=50, classes="num")
add_column(ChannelFees, "freight", _("Freight"), _freight, order=60, classes="num")


def _sku(cost: SkuCost) -> str:
    return format_html('<a href="{}/change/">{}</a>', cost.pk, sku_cell(cost))


def _amount(cost: SkuCost) -> str:
    return parts.unknown() if cost.amount is None else formatting.money(cost.amount, cost.currency)


add_column(SkuCost, "sku", _("SKU"), _sku, order=10)
add_column(SkuCost, "from", _("Valid from"), lambda cost: formatting.iso_moment(cost.valid_from), order=20)
add_column(SkuCost, "amount", _("Cost price"), _amount, order=30, classes="num")
add_column(ExchangeRate, "pair", _("Currencies"), _pair, order=10)
add_column(ExchangeRate, "day", _("Day"), lambda rate: rate.day.isoformat(), order=20)
add_column(ExchangeRate, "rate", _("Rate"), lambda rate: f"{rate.rate.normalize():f}", order=30, classes="num")
add_menu_item(
    "price", _("Fees"), "admin:catalog_channelfees_changelist", permission="catalog.view_channelfees", order=30
)
add_menu_item(
    "price", _("Cost prices"), "admin:catalog_skucost_changelist", permission="catalog.view_skucost", order=35
)
add_menu_item(
    "price",
    _("Exchange rates"),
    "admin:catalog_exchangerate_changelist",
    permission="catalog.view_exchangerate",
    order=40,
)
