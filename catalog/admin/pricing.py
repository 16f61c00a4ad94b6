"""How promotions stack on each channel, what its prices start from, and below which margin to warn."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from catalog.audit_text import add_reader
from catalog.models import Channel, ChannelPricing, Listing
from catalog.models.promotion import WHOLE_RATE
from catalog.pricing.conversions import NotConvertible, percent_off
from catalog.promotions.forms import FigureField, plain_figure
from catalog.promotions.rules_text import (
    RULE_SETS,
    capitalised_default,
    confidence,
    rule_name,
    unconfirmed,
    value_text,
)
from catalog.promotions.services import pricing_of, tell_listings
from config import formatting
from config.admin_site import add_menu_item, add_panel
from config.form_changes import form_changes
from config.model_admin import FrameModelAdmin, person

_VIEW, _CHANGE = "catalog.view_channelpricing", "catalog.change_channelpricing"
_RULE = "rule_"  # in front of a field that holds a rule of the set
_TEXTS = {"": None, "yes": True, "no": False}  # of values that are no texts


def _as_text(value: str | bool) -> str:
    return value if isinstance(value, str) else "yes" if value else "no"


class ChannelPricingForm(forms.ModelForm):
    """The rules that nobody confirms are a choice each, in which the default is no value."""

    margin_floor = FigureField(
        label=_("Warn below this margin"),
        required=False,
        help_text=_("Percent of what comes in. Empty: only a sale below break-even is told."),
    )

    class Meta:
        model = ChannelPricing
        fields = ("ruleset", "basis", "ends_within_hours", "few_left")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        row: ChannelPricing = self.instance
        if row.margin_floor is not None:
            self.initial["margin_floor"] = plain_figure(Decimal(row.margin_floor) / 100)
        else:
            self.initial["margin_floor"] = ""
        if "ruleset" in self.fields:
            self.fields["ruleset"].choices = list(RULE_SETS.items())  # type: ignore[attr-defined]
        for name in rule_fields(row):
            self.initial[_RULE + name] = _as_text(row.settings.get(name, ""))

    def clean_margin_floor(self) -> int | None:
        text = self.cleaned_data["margin_floor"].strip().removesuffix("%")
        if not text:
            return None
        try:
            floor = percent_off(text)
        except NotConvertible:
            floor = -1
        if not 0 <= floor <= WHOLE_RATE:
            raise forms.ValidationError(
                gettext("Enter a percentage from 0 to 100 with at most two decimals, for example 5.")
            )
        return floor

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        row: ChannelPricing = self.instance
        row.margin_floor = cleaned.get("margin_floor")
        if "ruleset" in self.changed_data:
            row.settings = {}  # those of another set
            return cleaned
        chosen = {name: cleaned.get(_RULE + name, "") for name in rule_fields(row)}
        kept = {name: value for name, value in row.settings.items() if name not in chosen}
        row.settings = kept | {name: _TEXTS.get(text, text) for name, text in chosen.items() if text}
        return cleaned


def rule_fields(row: ChannelPricing) -> dict[str, forms.ChoiceField]:
    """A choice for each unconfirmed rule of the set, by the rule's name."""
    fields = {}
    for name, others in unconfirmed(row.ruleset).items():
        values = list(others)
        if name in row.settings and row.settings[name] not in values:
            values.append(row.settings[name])
        fields[name] = forms.ChoiceField(
            label=rule_name(name),
            required=False,
            choices=[
                ("", capitalised_default(row.ruleset, name)),
                *((_as_text(value), value_text(name, value)) for value in values),
            ],
            help_text=confidence(row.ruleset, name),
        )
    return fields


@admin.register(ChannelPricing)
class ChannelPricingAdmin(FrameModelAdmin):
    """One per channel, whether or not anything is stored of it: so there is nothing to add and nothing to delete."""

    form = ChannelPricingForm

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        if not object_id.isdecimal() or len(object_id) > 18:  # no key is longer
            return None
        channel = Channel.objects.visible_to(person(request)).filter(pk=object_id).first()
        return None if channel is None else pricing_of(channel)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is not None:
            rules = {_RULE + name: field for name, field in rule_fields(obj).items()}
            kwargs["form"] = type("ChannelPricingForm", (ChannelPricingForm,), rules)
        return super().get_form(request, obj, change, **kwargs)

    @admin.display(description=_("rule set"))
    def rule_set(self, row: ChannelPricing) -> str:
        return pricing_words(row)["ruleset"]

    @admin.display(description=_("warn below this margin"))
    def floor(self, row: ChannelPricing) -> str:
        return pricing_words(row)["floor"]

    @admin.display(description=_("chosen instead of the default"))
    def chosen(self, row: ChannelPricing) -> str:
        return pricing_words(row)["differs"]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        if not self.has_change_permission(request, obj):
            shown = ["rule_set", "basis", "chosen", "floor", "ends_within_hours", "few_left"]
            return [(None, {"fields": shown})]
        sets: list[Any] = [
            (None, {"fields": ["ruleset", "basis"]}),
            (_("Warnings"), {"fields": ["margin_floor", "ends_within_hours", "few_left"]}),
        ]
        rules = [_RULE + name for name in rule_fields(obj)] if obj is not None else []
        if rules:
            description = _(
                "The platform tells nobody how it does this. Prices are worked out with the default or what is chosen "
                "here; what they would be with another value is looked for as well, and told as possible."
            )
            sets.append((_("Rules that are not confirmed"), {"fields": rules, "description": description}))
        return sets

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "ruleset":
            kwargs["help_text"] = _("How the platform’s promotions stack. Another one begins with its own defaults.")
        if db_field.name == "few_left":
            kwargs["help_text"] = _("0: never.")
        if db_field.name == "ends_within_hours":
            kwargs["help_text"] = _("Hours.")
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: ChannelPricing, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if form.changed_data:
            tell_listings(Listing.objects.filter(channel=obj.channel_id))

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        changed = form_changes(form)
        rules = {name: changed.pop(name) for name in list(changed) if name.startswith(_RULE)}
        if "margin_floor" in changed:
            changed["margin_floor"] = [f"{text}%" if text else "" for text in _floor_texts(form)]
        if rules:
            before = {name.removeprefix(_RULE): texts[0] for name, texts in rules.items()}
            after = {name.removeprefix(_RULE): texts[1] for name, texts in rules.items()}
            changed["rules"] = [before, after]
        return changed

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Every channel that the person works with, also those that are as their platform has it."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        channels = list(Channel.objects.visible_to(person(request)).order_by("name"))
        stored = ChannelPricing.objects.in_bulk([channel.pk for channel in channels])
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("How promotions stack"),
            "opts": self.opts,
            "rows": [
                (channel, self.address("change", channel), pricing_words(row))
                for channel in channels
                for row in [stored.get(channel.pk) or ChannelPricing.usual(channel)]
            ],
        }
        return TemplateResponse(request, "admin/catalog/channelpricing/list.html", context)


def _floor_texts(form: Any) -> tuple[str, str]:
    floor = form.cleaned_data["margin_floor"]
    return form.initial["margin_floor"], "" if floor is None else plain_figure(Decimal(floor) / 100)


def pricing_words(row: ChannelPricing) -> dict[str, str]:
    """What a channel's pricing says, in words; "" where nothing is said."""
    return {
        "ruleset": str(RULE_SETS.get(row.ruleset, row.ruleset)),
        "basis": str(row.get_basis_display()),
        "floor": "" if row.margin_floor is None else formatting.percent(Decimal(row.margin_floor) / WHOLE_RATE),
        "differs": formatting.joined(
            formatting.labelled(rule_name(name), value_text(name, value)) for name, value in row.settings.items()
        ),
    }


def _read_rules(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for name in sorted({*before, *after}):
        was, now_is = (_TEXTS.get(each.get(name, ""), each.get(name, "")) for each in (before, after))
        default = gettext("default")
        yield (
            rule_name(name),
            default if was is None else value_text(name, was),
            default if now_is is None else value_text(name, now_is),
        )


def _panel(request: HttpRequest, channel: Channel) -> dict[str, Any] | None:
    if not request.user.has_perm(_VIEW):
        return None
    return {
        "words": pricing_words(pricing_of(channel)),
        "url": reverse("admin:catalog_channelpricing_change", args=[channel.pk]),
        "may_change": request.user.has_perm(_CHANGE),
    }


add_reader("rules", _read_rules)
add_panel("channel", "admin/catalog/channelpricing/panel.html", _panel, area="side", order=65)
add_menu_item("price", _("How promotions stack"), "admin:catalog_channelpricing_changelist", permission=_VIEW, order=50)
