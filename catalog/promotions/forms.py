"""The form of a promotion by hand: amounts in the shop's currency and percentages, as people write them."""

from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import capfirst
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from catalog.models import Promotion
from catalog.pricing.conversions import NotConvertible, minor_units, percent_off
from catalog.pricing.rulesets import rules_for
from catalog.promotions.requests import amount_of
from catalog.promotions.services import check, pricing_of
from catalog.promotions.words import LAYERS

_RATES = (Promotion.Kind.PERCENT_OFF, Promotion.Kind.NTH_PIECE)
_WHOLE_RATE = Decimal(10_000)
# Fields of the form, with those of the model that hold them in minor units and basis points.
_AMOUNTS = {"most_off": "max_discount", "up_to": "max_amount", "fee_per_order": "fee_fixed"}
_RATE_FIELDS = {"our_share": "seller_share", "fee_percent": "fee_rate"}
_CALLED = {"value": "figure", **{name: shown for shown, name in (*_AMOUNTS.items(), *_RATE_FIELDS.items())}}
_SCOPES = ("items", "skus", "not_items")


class FigureField(forms.CharField):
    """A figure as it is written; what it means depends on the kind of the promotion."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": 20, "widget": forms.TextInput(attrs={"inputmode": "decimal"}), **kwargs})


class IdsField(forms.CharField):
    """Ids, one a line or with commas."""

    widget = forms.Textarea

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"required": False, "widget": forms.Textarea(attrs={"rows": 3}), **kwargs})

    def clean(self, value: Any) -> list[str]:
        text = super().clean(value)
        return list(dict.fromkeys(part for part in text.replace(",", " ").replace("，", " ").split() if part))


class PromotionForm(forms.ModelForm):
    """`figure` is the amount, the price or the percentage by the kind; `tiers_text` has several with thresholds."""

    figure = FigureField(
        label=_("value"),
        required=False,
        help_text=_("An amount or a price in the shop’s currency, or a percentage taken off: 20 for 8折."),
    )
    threshold = FigureField(
        label=pgettext_lazy("threshold", "from"), required=False, help_text=_("An amount, or a number of pieces.")
    )
    tiers_text = forms.CharField(
        label=_("tiers"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("In place of the two above, one tier a line: the threshold, then the value. For example 300 50."),
    )
    items = IdsField(
        label=_("only these items"), help_text=_("Item ids of the platform. Empty: all goods of the shop.")
    )
    skus = IdsField(label=_("only these variants"), help_text=_("Variant ids of the platform."))
    not_items = IdsField(label=_("not these items"))
    not_on_sale = forms.BooleanField(label=_("not goods on sale"), required=False)
    most_off = FigureField(label=_("takes off at most"), required=False)
    up_to = FigureField(label=_("up to this amount"), required=False)
    fee_per_order = FigureField(label=_("fixed promotion fee"), required=False, help_text=_("Per order."))
    fee_percent = FigureField(label=_("promotion fee"), required=False, help_text=_("Percent of what comes in."))
    our_share = FigureField(
        label=_("share paid by us"), required=False, help_text=_("Percent of the discount; the platform pays the rest.")
    )
    groups_text = forms.CharField(
        label=_("excludes others of"),
        required=False,
        max_length=200,
        help_text=_("Names of groups, with commas: at most one promotion of a group is used in a basket."),
    )
    audience_text = forms.CharField(
        label=_("only for"),
        required=False,
        max_length=200,
        help_text=_("Kinds of buyers, with commas, for example 88VIP. Prices are shown without them."),
    )

    class Meta:
        model = Promotion
        fields = (
            "channel",
            "name",
            "code",
            "layer",
            "kind",
            "measure",
            "repeat",
            "max_times",
            "per",
            "of",
            "take",
            "measure_over",
            "min_qty",
            "max_units",
            "start",
            "end",
            "auto",
            "status",
            "remaining",
            "priority",
            "in_live",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "layer" in self.fields:
            self.fields["layer"] = forms.ChoiceField(label=_("layer"), choices=[("", "—"), *LAYERS.items()])
        for field in self.fields.values():
            field.label = capfirst(field.label or "")
        stored: Promotion = self.instance
        if stored.pk:
            for name, value in _written(stored).items():
                self.initial[name] = value
        else:
            self.initial.setdefault("our_share", "100")

    def is_valid(self) -> bool:
        """A form that was sent to be previewed is shown again, and never stored."""
        return super().is_valid() and "_check" not in self.data

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        channel = cleaned.get("channel") or getattr(self.instance, "channel", None)
        if channel is None or self.errors:
            return cleaned
        self._currency = channel.currency
        pricing = pricing_of(channel)
        layers = [layer.name for layer in rules_for(pricing.ruleset, pricing.settings).layers]
        if cleaned["layer"] not in layers:
            known = ", ".join(str(LAYERS.get(name, name)) for name in layers)
            self.add_error("layer", gettext("This shop has the layers: %(layers)s.") % {"layers": known})
        return cleaned

    def _post_clean(self) -> None:
        """The terms are put together once the plain fields are on the instance, and judged as a whole."""
        super()._post_clean()  # type: ignore[misc]
        if self.errors:
            return
        row, cleaned = self.instance, self.cleaned_data
        row.currency = row.channel.currency
        self._set_value(row)
        for shown, name in _AMOUNTS.items():
            setattr(row, name, self._figure(shown, is_rate=False))
        row.fee_fixed = row.fee_fixed or 0
        for shown, name in _RATE_FIELDS.items():
            setattr(row, name, self._figure(shown, is_rate=True))
        row.fee_rate = row.fee_rate or 0
        row.seller_share = int(_WHOLE_RATE) if row.seller_share is None else row.seller_share
        scope: dict[str, Any] = {name: cleaned[name] for name in _SCOPES if cleaned[name]}
        if cleaned["not_on_sale"]:
            scope["not_on_sale"] = True
        kept = {name: ids for name, ids in (row.scope or {}).items() if name not in (*_SCOPES, "not_on_sale")}
        row.scope = {**kept, **scope} or None
        row.groups, row.audience = words_of(cleaned["groups_text"]), words_of(cleaned["audience_text"])
        if self.errors:
            return
        try:
            check(row)
        except ValidationError as error:
            by_field = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
            for name, told in by_field.items():
                self.add_error(self._shown(name), told)

    def _shown(self, name: str) -> str | None:
        """The field of the form that a field of the model stands in."""
        if name == "tiers":
            return "tiers_text" if self.cleaned_data["tiers_text"].strip() else "threshold"
        name = _CALLED.get(name, name)
        return name if name in self.fields else None

    def _set_value(self, row: Promotion) -> None:
        lines = [line.split() for line in self.cleaned_data["tiers_text"].splitlines() if line.strip()]
        threshold = self.cleaned_data["threshold"].strip()
        if any(len(line) != 2 for line in lines):
            self.add_error("tiers_text", gettext("Each line has a threshold and a value, for example 300 50."))
            return
        if not lines and row.measure == Promotion.Measure.NONE:
            if threshold:
                self.add_error("measure", gettext("Say what the threshold counts."))
            row.value, row.tiers = self._figure("figure", is_rate=row.kind in _RATES), None
            if row.value is None and "figure" not in self.errors:
                self.add_error("figure", gettext("Enter what it takes off, or its price."))
            return
        if not lines:
            if not threshold:
                self.add_error("threshold", gettext("Enter the threshold."))
                return
            lines = [[threshold, self.cleaned_data["figure"].strip()]]
        row.value = None
        row.tiers = [
            [self._threshold(minimum, row), self._converted("figure", value, is_rate=row.kind in _RATES)]
            for minimum, value in lines
        ]

    def _threshold(self, text: str, row: Promotion) -> int | None:
        if row.measure == Promotion.Measure.AMOUNT:
            return self._converted("threshold", text, is_rate=False)
        if text.isdecimal():
            return int(text)
        self.add_error("threshold", gettext("Enter a whole number of pieces."))
        return None

    def _figure(self, name: str, *, is_rate: bool) -> int | None:
        return self._converted(name, self.cleaned_data[name], is_rate=is_rate)

    def _converted(self, name: str, text: str, *, is_rate: bool) -> int | None:
        text = text.strip().removesuffix("%")
        if not text:
            return None
        try:
            return percent_off(text) if is_rate else minor_units(text, self.instance.channel.currency)
        except NotConvertible:
            if name not in self.errors:
                told = (
                    gettext("Enter a percentage with at most two decimals, for example 20.")
                    if is_rate
                    else gettext("Enter an amount with no more decimals than %(currency)s has.")
                    % {"currency": self.instance.channel.currency}
                )
                self.add_error(name, told)
            return None


class UpliftForm(forms.Form):
    """How much more is sold while a promotion lasts: what the preview reckons with, and is not stored."""

    uplift = forms.DecimalField(
        label=_("sales while it lasts, times"),
        initial=Decimal(1),
        min_value=Decimal("0.1"),
        max_value=Decimal(100),
        max_digits=5,
        decimal_places=2,
        required=False,
        help_text=_("1: as much as now. 2: twice as much."),
    )


def words_of(text: str) -> list[str]:
    """What stands between commas, Western or Chinese, each once."""
    return list(dict.fromkeys(part.strip() for part in text.replace("，", ",").split(",") if part.strip()))


def _written(row: Promotion) -> dict[str, Any]:
    """What the form shows of a stored promotion."""
    is_rate = row.kind in _RATES

    def value_text(value: Any) -> str:
        if not isinstance(value, int):
            return "" if value is None else str(value)
        return plain_figure(Decimal(value) / 100) if is_rate else plain_figure(amount_of(value, row.currency))

    def threshold_text(value: Any) -> str:
        if row.measure == Promotion.Measure.AMOUNT and isinstance(value, int):
            return plain_figure(amount_of(value, row.currency))
        return str(value)

    shown: dict[str, Any] = {called: _amount_text(row, name) for called, name in _AMOUNTS.items()}
    shown |= {called: plain_figure(Decimal(getattr(row, name)) / 100) for called, name in _RATE_FIELDS.items()}
    shown |= {name: "\n".join(map(str, row.scope_of(name))) for name in _SCOPES}
    shown["not_on_sale"] = bool((row.scope or {}).get("not_on_sale"))
    shown["groups_text"], shown["audience_text"] = ", ".join(row.groups or []), ", ".join(row.audience or [])
    if row.tiers and len(row.tiers) == 1:
        [[minimum, value]] = row.tiers
        shown |= {"threshold": threshold_text(minimum), "figure": value_text(value)}
    elif row.tiers:
        lines = [f"{threshold_text(minimum)} {value_text(value)}" for minimum, value in row.tiers]
        shown["tiers_text"] = "\n".join(lines)
    else:
        shown["figure"] = value_text(row.value)
    return shown


def _amount_text(row: Promotion, name: str) -> str:
    value = getattr(row, name)
    return "" if value is None else plain_figure(amount_of(value, row.currency))


def plain_figure(figure: Decimal) -> str:
    """Without zeros that say nothing."""
    return f"{figure:f}".rstrip("0").rstrip(".") if "." in f"{figure:f}" else f"{figure:f}"
