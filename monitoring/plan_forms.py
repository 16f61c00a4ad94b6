"""What is asked before an advice is changed, rejected or snoozed, and what a person expects instead of a forecast."""

from datetime import date, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from catalog.admin.stock.deeds import units_field
from config.formatting import units
from monitoring.models import Advice, ForecastOverride
from monitoring.plan_words import Kind

_SNOOZES = (1, 3, 7, 14, 30)
_LONGEST = timedelta(days=730)


def _reason(*, required: bool) -> forms.CharField:
    return forms.CharField(
        label=_("Reason"),
        max_length=200,
        required=required,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        error_messages={"required": _("Say why.")},
    )


class ChangeForm(forms.Form):
    """Another number than is advised."""

    reason = _reason(required=False)

    def __init__(self, *args: Any, advice: Advice, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        least = 0 if advice.kind in (Kind.LIMIT_PROMOTION, Kind.LOWER_CAP) else 1
        advised = gettext("Advised: %(units)s.") % {"units": units(advice.quantity)}
        field = units_field(_("Units"), least=least, help_text=advised)
        field.initial = advice.quantity
        self.fields = {"quantity": field, **self.fields}


class RejectForm(forms.Form):
    reason = _reason(required=True)


class SnoozeAdviceForm(forms.Form):
    days = forms.TypedChoiceField(label=_("For"), coerce=int)
    reason = _reason(required=True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices: Any = self.fields["days"]
        choices.choices = [(days, ngettext("%d day", "%d days", days) % days) for days in _SNOOZES]
        choices.initial = 7


class OverrideForm(forms.ModelForm):
    """Instead of the forecast, until a day."""

    class Meta:
        model = ForecastOverride
        fields = ("per_day", "factor", "until", "reason")
        widgets = {
            "until": forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
            "reason": forms.TextInput(attrs={"class": "vTextField"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.label = capfirst(field.label or "")
        self.fields["until"].help_text = _("The last day on which it holds.")
        self.fields["factor"].help_text = _("For example 1.5 for half as much again. Or give units a day.")

    def clean_until(self) -> date:
        until: date = self.cleaned_data["until"]
        today = timezone.localdate()
        if until < today:
            raise forms.ValidationError(gettext("This day has passed. Enter a later one."))
        if until > today + _LONGEST:
            raise forms.ValidationError(gettext("A forecast by hand holds two years at most."))
        return until
