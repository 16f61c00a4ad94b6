"""Facts that a platform does not tell of a promotion, filled in by a person, and kept when it is read again."""

from datetime import datetime
from typing import Any

from django import forms
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from catalog.models import Promotion, User
from catalog.promotions import words
from catalog.promotions.forms import IdsField, words_of
from catalog.promotions.services import changes, tell
from catalog.services import audit

# What can be filled in, and the fields of the model that hold it. An amount that is not known is nobody's to guess.
FACTS: dict[str, tuple[str, ...]] = {
    "start": ("start",),
    "end": ("end",),
    "scope": ("scope",),
    "auto": ("auto",),
    "audience": ("audience",),
    "combines": ("combines",),
}
LABELS = words.LABELS


def missing(promotion: Promotion) -> list[str]:
    """The facts that neither the platform told nor a person filled in."""
    return [name for name in promotion.unknown if name not in promotion.confirmed]


class MomentField(forms.DateTimeField):
    """A time of the site; none where it is left empty."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
        super().__init__(required=False, widget=widget, **kwargs)


class CompleteForm(forms.Form):
    """Asks for what the platform did not tell, and for nothing else."""

    start = MomentField(label=_("starts"), help_text=_("Empty: it is good already."))
    end = MomentField(label=_("ends"), help_text=_("Empty: no end is known."))
    scope = IdsField(
        label=_("only these items"), help_text=_("Item ids of the platform. Empty: all goods of the shop.")
    )
    auto = forms.BooleanField(
        label=_("applies by itself"),
        required=False,
        help_text=_("Off: the buyer claims it, and will only if it helps."),
    )
    audience = forms.CharField(
        label=_("only for"),
        required=False,
        max_length=200,
        help_text=_("Kinds of buyers, with commas, for example 88VIP. Empty: everybody."),
    )
    combines = forms.BooleanField(label=_("cannot be used together with any other"), required=False)

    def __init__(self, data: Any = None, *, promotion: Promotion) -> None:
        self.promotion = promotion
        asked = [name for name in promotion.unknown if name in FACTS]
        stored = {
            "start": promotion.start,
            "end": promotion.end,
            "scope": "\n".join(map(str, promotion.scope_of("items"))),
            "auto": promotion.auto,
            "audience": ", ".join(promotion.audience or []),
            "combines": promotion.combines == [],
        }
        super().__init__(data, initial={name: stored[name] for name in asked})
        for name in FACTS.keys() - set(asked):
            del self.fields[name]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        start = cleaned.get("start", self.promotion.start)
        end = cleaned.get("end", self.promotion.end)
        if start is not None and end is not None and start >= end:
            self.add_error("start" if "start" in self.fields else "end", _("It ends before it starts."))
        return cleaned

    def values(self) -> dict[str, Any]:
        """For the fields of the model."""
        filled = dict(self.cleaned_data)
        if "scope" in filled:
            filled["scope"] = {"items": filled["scope"]} if filled["scope"] else None
        if "audience" in filled:
            filled["audience"] = words_of(filled["audience"])
        if "combines" in filled:
            filled["combines"] = [] if filled["combines"] else None
        return filled


def complete(promotion: Promotion, values: dict[str, Any], *, actor: User | None, now: datetime) -> None:
    """Store what a person says of the facts in `values`, and have the prices worked out that it touches."""
    with transaction.atomic():
        row = Promotion.objects.select_for_update().get(pk=promotion.pk)
        before = Promotion.objects.get(pk=promotion.pk)
        for name, value in values.items():
            setattr(row, name, value)
        row.confirmed = sorted({*row.confirmed, *values})
        row.save()
        audit(action="changed", obj=row, actor=actor, now=now, changes=changes(before, row))
        tell([before, row])
