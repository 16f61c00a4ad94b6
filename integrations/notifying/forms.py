"""The form of a target: what its kind asks for, judged by the kind's sender. Stored secrets never leave the server."""

from typing import Any, ClassVar

from django import forms
from django.contrib.auth.models import Group
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from catalog.fields import LostSecret
from config.formatting import joined, sentences
from integrations.connectors.base import InvalidSetting
from integrations.notifying.senders import SENDERS
from integrations.notifying.targets import KINDS, OPTIONS, Kind
from integrations.state import masked
from monitoring.models import Route, Severity, Target

_ANYBODY = "role@example.com"  # stands for the people of a role while the mail server's settings are judged


class TargetForm(forms.ModelForm):
    kind: ClassVar[str]

    class Meta:
        model = Target
        exclude: ClassVar[list[str]] = []
        # Not the admin's own, which counts in the site's zone.
        widgets: ClassVar[dict[str, Any]] = {
            name: forms.TimeInput(format="%H:%M", attrs={"type": "time"}) for name in ("quiet_from", "quiet_until")
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stored_address = _readable(self.instance.address)
        self.stored_secret = _readable(self.instance.secret)
        self.leads_elsewhere = False  # known once the form is judged
        kind = KINDS[self.kind]
        # What is not sent to the browser counts as unchanged while it comes back empty.
        for name, stored in (("address", self.stored_address), ("secret", self.stored_secret)):
            if name in self.fields and isinstance(self.fields[name].widget, forms.PasswordInput):
                self.initial.pop(name, None)
                if stored:
                    shown = gettext("Stored: %(secret)s. Empty: it stays.") % {"secret": masked(stored)}
                    self.fields[name].help_text = sentences(shown, self.fields[name].help_text)
        if "secret" in self.fields and self.stored_secret and kind.is_address_secret:
            hint = gettext("With another address, enter its secret, too.")
            self.fields["secret"].help_text = sentences(self.fields["secret"].help_text, hint)
        self.initial.update({name: self.instance.options.get(name, "") for name in option_names(self.kind)})

    def clean(self) -> dict[str, Any]:
        """Let the kind's sender judge; what it refuses is shown at its field."""
        cleaned: dict[str, Any] = super().clean() or {}
        kind = KINDS[self.kind]
        address = cleaned.get("address", "").strip()
        is_new_address = bool(address) and address != self.stored_address
        secret = cleaned.get("secret", "").strip()
        if kind.is_address_secret:
            # A robot's secret belongs to its address: another one has another secret, or none.
            secret = secret or ("" if is_new_address else self.stored_secret)
            address = address or self.stored_address
        else:
            secret = secret or self.stored_secret
        cleaned |= {"address": address, "secret": secret}
        if cleaned.get("quiet_from") is not None and cleaned.get("quiet_from") == cleaned.get("quiet_until"):
            self.add_error("quiet_until", _("Quiet hours end at another time than they begin."))
        if self.errors:
            return cleaned
        identity = SENDERS[self.kind].identity
        self.leads_elsewhere = identity(address) != identity(self.stored_address)
        if kind.taken is not None and is_new_address and self._is_taken(address):
            self.add_error("address", kind.taken)
            return cleaned
        try:
            judged = address or (_ANYBODY if cleaned.get("role") else "")
            SENDERS[self.kind].check(judged, secret, self._options(cleaned))
        except InvalidSetting as error:
            self.add_error(error.field if error.field in self.fields else None, str(error))
        return cleaned

    def save(self, commit: bool = True) -> Target:
        self.instance.kind = self.kind
        self.instance.options = self._options(self.cleaned_data)
        target: Target = super().save(commit)
        return target

    def _options(self, cleaned: dict[str, Any]) -> dict[str, str]:
        return {name: value for name in option_names(self.kind) if (value := cleaned.get(name, "").strip())}

    def _is_taken(self, address: str) -> bool:
        """Whether two targets would share a robot, and so its limit. Few targets are there to be decrypted."""
        others = Target.objects.filter(kind=self.kind).exclude(pk=self.instance.pk)
        identity = SENDERS[self.kind].identity
        return identity(address) in {identity(_readable(other.address)) for other in others}


def _readable(secret: str) -> str:
    return "" if isinstance(secret, LostSecret) else secret


def option_names(kind: str) -> list[str]:
    """The options that targets of this kind have, in the order of the form."""
    return [name for name in OPTIONS if name in SENDERS[kind].option_names]


class _RoleField(forms.ModelChoiceField):
    def label_from_instance(self, obj: Group) -> str:
        return gettext(obj.name)


def form_for(kind: str) -> type[TargetForm]:
    """The form of targets of this kind."""
    asked = KINDS[kind]
    fields: dict[str, Any] = {"kind": kind, "address": _address_field(asked)}
    if asked.secret is not None:
        fields["secret"] = _secret_field(asked.secret, asked.secret_help)
    for name in option_names(kind):
        fields[name] = forms.CharField(
            label=OPTIONS[name].label, help_text=OPTIONS[name].help_text, max_length=200, required=False
        )
    if asked.has_role:
        fields["role"] = _RoleField(
            Group.objects.order_by("name"),
            label=_("Role"),
            required=False,
            empty_label=gettext("nobody else"),
            help_text=Target._meta.get_field("role").help_text,
        )
    return type("TargetForm", (TargetForm,), fields)


def _address_field(kind: Kind) -> forms.CharField:
    if kind.is_address_secret:
        return _secret_field(kind.address, kind.address_help)
    return forms.CharField(label=kind.address, help_text=kind.address_help, max_length=2_000, required=False)


def _secret_field(label: Any, help_text: Any) -> forms.CharField:
    widget = forms.PasswordInput(attrs={"autocomplete": "off", "class": "vTextField"}, render_value=False)
    return forms.CharField(label=label, help_text=help_text, max_length=2_000, required=False, widget=widget)


class RouteForm(forms.ModelForm):
    def has_changed(self) -> bool:
        """Also where the offered route of a new target is left as it is: it is saved, or the target is told nothing."""
        is_offered = self.instance.pk is None and not self.empty_permitted
        return is_offered or super().has_changed()


class RouteFormSet(forms.BaseInlineFormSet):
    """The routes to one target, none below what its kind is meant for."""

    def clean(self) -> None:
        super().clean()
        least = SENDERS[self.instance.kind].least_severity if self.instance.kind in SENDERS else Severity.INFO
        rank = Severity.values.index(least)
        for form in self.forms:
            chosen = form.cleaned_data.get("least_severity") if hasattr(form, "cleaned_data") else None
            if chosen and not form.cleaned_data.get("DELETE") and Severity.values.index(chosen) > rank:
                form.add_error("least_severity", _("Text messages are for critical alerts only: each costs money."))


def offered_severity(kind: str) -> str:
    """From which severity the route tells that a new target of this kind is offered."""
    least = (SENDERS[kind].least_severity, str(Route._meta.get_field("least_severity").default))
    return min(least, key=Severity.values.index)


def route_sentence(route: Route) -> str:
    """A route in words: Warning and worse, of 2 channels, if not acknowledged after 30 min."""
    severity = Severity(route.least_severity)
    parts = [
        gettext("all severities")
        if severity == Severity.INFO
        else gettext("critical only")
        if severity == Severity.CRITICAL
        else gettext("%(severity)s and worse") % {"severity": severity.label}
    ]
    if channels := list(route.channels.all()):
        parts.append(
            channels[0].name
            if len(channels) == 1
            else ngettext("%(count)d channel", "%(count)d channels", len(channels)) % {"count": len(channels)}
        )
    if route.after_minutes:
        parts.append(gettext("if not acknowledged after %(count)d min") % {"count": route.after_minutes})
    if route.tells_end:
        parts.append(gettext("also when it is over"))
    sentence = joined(parts)
    return sentence[:1].upper() + sentence[1:]
