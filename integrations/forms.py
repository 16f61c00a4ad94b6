"""Forms of a channel's connection and of a listing's watch."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext_lazy as _

from catalog.models import Channel
from catalog.models.channel import INTERVAL_ERRORS
from integrations.connectors import CONNECTORS
from integrations.connectors.base import InvalidSetting
from integrations.models import Credential
from integrations.state import masked
from monitoring.models import ListingWatch

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise


@dataclass(frozen=True)
class Option:
    """A setting that only some platforms ask for; the first choice is the one in force while none is stored."""

    label: _StrPromise
    choices: tuple[tuple[str, str | _StrPromise], ...]
    help_text: _StrPromise


# A platform asks for those that its Credentials have as fields.
OPTIONS = {
    "app_type": Option(
        _("Kind of app"),
        (("merchant", _("The shop's own")), ("service", _("Of the service market"))),
        _("The first is authorised again when its time is over, the second renews itself."),
    ),
    "sign_method": Option(
        _("Signature"),
        (("hmac-sha256", "HMAC-SHA256"), ("hmac", "HMAC-MD5"), ("md5", "MD5")),
        _("Change it only if the platform's console asks for another."),
    ),
}


class CredentialForm(forms.Form):
    """A channel's connection. A stored secret is never sent to the browser; left empty, it stays as it is."""

    app_key = forms.CharField(label=_("App key"), max_length=128)
    app_secret = forms.CharField(
        label=_("App secret"),
        max_length=200,
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}, render_value=False),
    )
    base_url = forms.CharField(
        label=_("Base URL"),
        max_length=200,
        required=False,
        help_text=_("Empty: the platform's own. Set it for a staging shop or a proxy."),
    )
    calls_per_second = forms.DecimalField(
        label=_("Calls per second"),
        max_digits=8,
        decimal_places=2,
        min_value=Decimal("0.01"),
        required=False,
        help_text=_(
            "What the platform's console grants the app. Empty: no limit of ours, only the platform's answers."
        ),
    )

    def __init__(self, data: Any = None, *, channel: Channel, credential: Credential) -> None:
        self.connector_class = CONNECTORS[channel.platform]
        self.stored = credential
        stored_options = {name: self.stored.options[name] for name in OPTIONS if name in self.stored.options}
        initial = {
            "app_key": self.stored.app_key,
            "base_url": self.stored.base_url,
            "calls_per_second": self.stored.calls_per_second,
            **stored_options,
        }
        super().__init__(data, initial=initial, label_suffix="")
        asked = self.connector_class.Credentials.__dataclass_fields__
        self.option_names = [name for name in OPTIONS if name in asked]
        for name in self.option_names:
            option = OPTIONS[name]
            self.fields[name] = forms.ChoiceField(
                label=option.label, choices=option.choices, help_text=option.help_text
            )
        if self.stored.app_secret:
            self.fields["app_secret"].help_text = _("Stored: %(secret)s. Empty: it stays.") % {
                "secret": masked(self.stored.app_secret)
            }
        else:
            self.fields["app_secret"].required = True

    def clean(self) -> dict[str, Any]:
        """Let the platform's own dataclass and connector judge; what they refuse is shown at its field."""
        cleaned: dict[str, Any] = super().clean() or {}
        if self.errors:
            return cleaned
        if self.stored.app_secret and not cleaned["app_secret"] and cleaned["base_url"] != self.stored.base_url:
            # Whoever may change the address must not thereby learn a secret that is never shown.
            self.add_error("app_secret", _("Enter it again: another base URL will receive it."))
            return cleaned
        settings = {
            "app_key": cleaned["app_key"],
            "app_secret": cleaned["app_secret"] or self.stored.app_secret,
            **{name: cleaned[name] for name in self.option_names},
        }
        try:
            self.connector_class(self.connector_class.Credentials.from_settings(settings), base_url=cleaned["base_url"])
        except InvalidSetting as error:
            self.add_error(error.field if error.field in self.fields else None, str(error))
        return cleaned

    def values(self) -> dict[str, Any]:
        """The fields of Credential to store; other options that are stored stay."""
        cleaned = self.cleaned_data
        return {
            "app_key": cleaned["app_key"],
            "app_secret": cleaned["app_secret"],
            "base_url": cleaned["base_url"].rstrip("/"),
            "calls_per_second": cleaned["calls_per_second"],
            "options": {**self.stored.options, **self._options()},
        }

    def _options(self) -> dict[str, str]:
        """The chosen options; one that was never set and is left at its first choice stays unset."""
        chosen = {name: self.cleaned_data[name] for name in self.option_names}
        return {
            name: value
            for name, value in chosen.items()
            if name in self.stored.options or value != OPTIONS[name].choices[0][0]
        }


class IntervalForm(forms.ModelForm):
    class Meta:
        model = ListingWatch
        fields = ["interval_seconds"]
        help_texts = {
            "interval_seconds": _(
                "In seconds, from 30 seconds to 7 days. Empty: as often as the channel's other listings."
            )
        }
        error_messages = {"interval_seconds": INTERVAL_ERRORS}
