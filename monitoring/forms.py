"""What people fill in about alerts and thresholds."""

from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

from babel.numbers import get_currency_precision
from django import forms
from django.contrib.auth.models import Permission
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from catalog.models import Channel, Listing, Product, User
from config.formatting import moment
from monitoring.alert_text import threshold_sentence
from monitoring.charts.data import plain_amount
from monitoring.models import Alert, Threshold
from monitoring.thresholds.rules import FIELDS

_TOMORROW_HOUR = 9
_LONGEST_SNOOZE = timedelta(days=90)


class PriceForm(forms.Form):
    """How many, and when; the time is that of the site, empty means now."""

    quantity = forms.IntegerField(label=_("Quantity"), min_value=1, max_value=10_000, required=False)
    at = forms.DateTimeField(
        label=_("Time"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        error_messages={"invalid": _("Enter a date and a time, for example 2026-11-30 09:00.")},
    )


class SnoozeForm(forms.Form):
    """Until when alerts stay quiet; times are those of the site."""

    choice = forms.ChoiceField(label=_("snooze"), widget=forms.RadioSelect, initial="1h")
    until = forms.DateTimeField(
        label=_("time"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        error_messages={"invalid": _("Enter a date and a time, for example 2026-11-30 09:00.")},
    )

    def __init__(self, data: Any = None, *, now: datetime) -> None:
        super().__init__(data)
        self.now = now
        tomorrow = timezone.localtime(now) + timedelta(days=1)
        self._ends = {
            "1h": now + timedelta(hours=1),
            "4h": now + timedelta(hours=4),
            "tomorrow": tomorrow.replace(hour=_TOMORROW_HOUR, minute=0, second=0, microsecond=0),
        }
        hours = {name: ngettext("%d hour", "%d hours", number) % number for name, number in (("1h", 1), ("4h", 4))}
        self.fields["choice"].choices = [  # type: ignore[attr-defined]
            *((name, f"{label} ({self._until_text(name)})") for name, label in hours.items()),
            ("tomorrow", gettext("Until tomorrow 9:00")),
            ("time", gettext("Until a time of your choice:")),
        ]
        self.fields["until"].widget.attrs["aria-label"] = gettext("Snooze until")

    def _until_text(self, name: str) -> str:
        return gettext("until %(time)s") % {"time": moment(self._ends[name])}

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if cleaned.get("choice") == "time" and "until" in cleaned:
            until = cleaned["until"]
            if until is None:
                self.add_error("until", gettext("Enter a date and a time, for example 2026-11-30 09:00."))
            elif until <= self.now:
                self.add_error("until", gettext("This time is over. Choose one that is still to come."))
            elif until > self.now + _LONGEST_SNOOZE:
                self.add_error("until", gettext("An alert can be snoozed for 90 days at most."))
        return cleaned

    @property
    def ends_at(self) -> datetime:
        """Of a valid form."""
        choice: str = self.cleaned_data["choice"]
        return self._ends[choice] if choice in self._ends else self.cleaned_data["until"]


class HandlingForm(forms.Form):
    """Who takes care of an alert, and a line to add to its note."""

    owner = forms.ModelChoiceField(
        label=_("Owner"), queryset=User.objects.none(), required=False, empty_label=_("nobody")
    )
    note = forms.CharField(
        label=_("Add a note"), required=False, max_length=500, widget=forms.Textarea(attrs={"rows": 2})
    )

    def __init__(self, data: Any = None, *, alert: Alert) -> None:
        super().__init__(data, initial={"owner": alert.owner_id})
        owner: Any = self.fields["owner"]
        owner.queryset = staff_who_see(alert.channel, also=alert.owner_id)
        owner.label_from_instance = lambda user: user.get_full_name() or user.get_username()


def staff_who_see(channel: Channel, also: int | None = None) -> QuerySet[User]:
    """The people who may work on the channel's alerts, and the person of that id."""
    sees_all = Permission.objects.filter(content_type__app_label="catalog", codename="view_all_channels")
    sees = (
        Q(is_superuser=True)
        | Q(channels=channel)
        | Q(groups__permissions__in=sees_all)
        | Q(user_permissions__in=sees_all)
    )
    ids = User.objects.filter(sees, is_active=True, is_staff=True).order_by().values("pk")
    return User.objects.filter(Q(pk__in=ids) | Q(pk=also)).order_by("username")


SUBJECTS = ("listing", "product", "brand", "channel")
_DATE_AND_TIME = "%Y-%m-%dT%H:%M"
RULE_FIELDS = sorted(frozenset().union(*FIELDS.values()))
_AMOUNTS = {"min_price", "max_price"}


class ThresholdForm(forms.ModelForm):
    """A threshold as people think of it: what it is about, then the rule with the fields that its kind uses.

    What is filled in for another subject or another kind is dropped. `user` is the person whose listings and products
    can be named.
    """

    user: User  # set by the admin

    about = forms.ChoiceField(
        label=_("About"),
        widget=forms.RadioSelect,
        initial="listing",
        choices=[
            ("listing", _("One listing")),
            ("product", _("All listings of a product")),
            ("brand", _("All listings of a brand")),
            ("channel", _("All listings of a channel")),
        ],
    )
    baseline_at = forms.DateTimeField(
        label=_("Comparison began"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format=_DATE_AND_TIME),
        help_text=_("The price of that moment is what later prices are compared with."),
    )

    class Meta:
        model = Threshold
        fields = [*SUBJECTS, *RULE_FIELDS, "severity", "name", "is_active", "cooldown_minutes"]
        error_messages = {"kind": {"required": _("Choose when an alert opens.")}}
        help_texts = {
            "currency": _("Empty: the currency of the listings. Listings in another currency are left alone."),
            "min_price": _("An alert opens below this price; the price itself is fine. Empty: no lowest price."),
            "max_price": _("An alert opens above this price; the price itself is fine. Empty: no highest price."),
            "percent": _("Percent. A move of exactly this much opens an alert."),
            "stock": _("Units. An alert opens at this stock or below."),
            "days": _("1 to 90."),
            "intervals": _("An alert opens when this many readings in a row brought nothing; at least 2."),
            "hysteresis": _(
                "Percent of the price or percentage, or units of stock: how far back inside the limit a reading must "
                "be before the alert is over. 0: as soon as it is back."
            ),
            "cooldown_minutes": _(
                "Minutes. What crosses again within this time is the same alert: only those who were told that it was "
                "over are told again."
            ),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        given = [subject for subject in SUBJECTS if self.initial.get(subject)]
        if given:
            self.initial["about"] = given[0]
        self._tidy_initial()
        for name in ("currency", "price", "direction", "reference"):
            if name in self.fields:
                self.fields[name].required = False
        self._name_empty_choice("kind", gettext("choose"))
        self._name_empty_choice("ownership", gettext("own and competitors’"))
        if "reference" in self.fields:
            self.fields["reference"].choices = Threshold.Reference.choices  # type: ignore[attr-defined]
        if not self.instance.pk:
            self.initial["currency"] = self.initial.get("currency") or ""

    def _name_empty_choice(self, name: str, label: str) -> None:
        if name in self.fields:
            choices = [(value, text if value else label) for value, text in self.fields[name].choices]  # type: ignore[attr-defined]
            self.fields[name].choices = choices  # type: ignore[attr-defined]

    def _tidy_initial(self) -> None:
        """Amounts and shares without the zeros that only their column has."""
        currency = self.instance.currency
        for name in ("min_price", "max_price"):
            if isinstance(amount := self.initial.get(name), Decimal):
                self.initial[name] = Decimal(plain_amount(amount, currency))
        for name in ("percent", "hysteresis"):
            if isinstance(share := self.initial.get(name), Decimal | int):
                self.initial[name] = Decimal(f"{Decimal(share).normalize():f}")

    @cached_property
    def changed_data(self) -> list[str]:
        """Without what only chooses among the fields."""
        changed = super().changed_data
        return [name for name in changed if name != "about"]

    def is_valid(self) -> bool:
        """Not valid either when the person only asked what it would have done: the page comes back with the answer."""
        return super().is_valid() and "_check" not in self.data

    # What belongs together

    def clean_brand(self) -> str:
        brand: str = self.cleaned_data["brand"].strip()
        if brand and not Product.objects.visible_to(self.user).filter(brand=brand).exists():
            raise ValidationError(_("No product has this brand. Brands are written as on the products."))
        return brand

    def clean_currency(self) -> str:
        currency: str = self.cleaned_data["currency"].strip().upper()
        return currency

    def clean(self) -> dict[str, Any]:
        """Drops what the kind does not use; the model itself says what of the rest is wrong."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        kind = cleaned.get("kind")
        self._clean_subject(cleaned, kind)
        if kind:
            cleaned["reference"] = cleaned.get("reference") or Threshold.Reference.PREVIOUS
            cleaned["direction"] = cleaned.get("direction") or Threshold.Direction.BOTH
            used = Threshold(kind=kind, reference=cleaned["reference"]).used_fields
            for name in RULE_FIELDS:
                if name not in used:
                    self._drop(name, cleaned)
            if "currency" in used and "currency" not in self.errors:
                self._clean_currency_of_amounts(cleaned)
                self._clean_decimals(cleaned)
        return cleaned

    def validate_unique(self) -> None:
        """The same rule about the same listings twice would tell everybody everything twice."""
        super().validate_unique()
        if self.errors:
            return
        given = self.instance
        # How severe it is, and when it is over, does not make it another rule.
        names = {*SUBJECTS, "kind", *given.used_fields} - {"hysteresis"}
        alike = Threshold.objects.filter(**{name: getattr(given, name) for name in names}).exclude(pk=given.pk)
        if same := alike.select_related("listing", "product", "channel").first():
            self.add_error(
                None,
                format_html(
                    '<span>{} <a href="{}">{}</a></span>',
                    gettext("There is a threshold like this already:"),
                    reverse("admin:monitoring_threshold_change", args=[same.pk]),
                    same.name or threshold_sentence(same),
                ),
            )

    def _drop(self, name: str, cleaned: dict[str, Any]) -> None:
        """Take no notice of a field that is not shown."""
        self.errors.pop(name, None)
        cleaned[name] = Threshold._meta.get_field(name).get_default()  # type: ignore[union-attr]

    def _clean_subject(self, cleaned: dict[str, Any], kind: str | None) -> None:
        about = cleaned.get("about")
        if about is None:
            return
        for subject in SUBJECTS:
            if subject != about:
                self._drop(subject, cleaned)
        if kind == Threshold.Kind.AUTHORISATION and about != "channel":
            self.add_error("about", gettext("An authorisation belongs to a channel: choose one."))
        elif not cleaned.get(about) and about not in self.errors:
            missing = {
                "listing": gettext("Choose the listing."),
                "product": gettext("Choose the product."),
                "brand": gettext("Enter the brand."),
                "channel": gettext("Choose the channel."),
            }
            self.add_error(about, missing[about])
        if about == "listing":
            cleaned["ownership"] = ""  # the listing says whose it is

    def _update_errors(self, errors: ValidationError) -> None:
        """Of a field that is wrong already, the model only sees that nothing was stored in it."""
        if hasattr(errors, "error_dict"):
            known = set(self.errors)
            known |= {*SUBJECTS, "__all__"} if known & {"about", *SUBJECTS} else set()
            known |= _AMOUNTS if known & _AMOUNTS else set()
            rest = {name: found for name, found in errors.error_dict.items() if name not in known}
            if not rest:
                return
            errors = ValidationError(rest)
        super()._update_errors(errors)  # type: ignore[misc]

    def _clean_currency_of_amounts(self, cleaned: dict[str, Any]) -> None:
        """Amounts are in the currency of the listings: in another one they would never open an alert."""
        used = self._currencies(cleaned)
        if cleaned.get("currency"):
            if used and cleaned["currency"] not in used:
                text = gettext("Its listings are sold in %(currencies)s.")
                self.add_error("currency", text % {"currencies": ", ".join(used)})
        elif len(used) > 1:
            text = gettext("Its listings are sold in %(currencies)s: say in which the prices are.")
            self.add_error("currency", text % {"currencies": ", ".join(used)})
        else:
            cleaned["currency"] = used[0] if used else Threshold._meta.get_field("currency").get_default()

    def _clean_decimals(self, cleaned: dict[str, Any]) -> None:
        """A limit between two amounts of the currency would be shown rounded, as another one."""
        if "currency" in self.errors:
            return
        decimals = get_currency_precision(cleaned["currency"])
        for name in _AMOUNTS:
            amount: Decimal | None = cleaned.get(name)
            is_too_fine = self.has_error(name, "max_decimal_places") or (
                amount is not None and amount != round(amount, decimals)
            )
            if is_too_fine:
                self.errors.pop(name, None)
                self.add_error(name, _decimals_text(cleaned["currency"], decimals))

    def _currencies(self, cleaned: dict[str, Any]) -> list[str]:
        if channel := cleaned.get("channel"):
            return [channel.currency]
        if listing := cleaned.get("listing"):
            return [listing.channel.currency]
        about: dict[str, Any] = {}
        if product := cleaned.get("product"):
            about = {"sku__product": product}
        elif brand := cleaned.get("brand"):
            about = {"sku__product__brand": brand}
        if not about:
            return []
        listings = Listing.objects.current().filter(**about).order_by("channel__currency")
        return list(listings.values_list("channel__currency", flat=True).distinct())


def _decimals_text(currency: str, decimals: int) -> str:
    if not decimals:
        return gettext("Prices in %(currency)s have no decimals: enter a whole number.") % {"currency": currency}
    return ngettext(
        "Prices in %(currency)s have at most %(count)d decimal.",
        "Prices in %(currency)s have at most %(count)d decimals.",
        decimals,
    ) % {"currency": currency, "count": decimals}
