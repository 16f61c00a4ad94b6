"""Forms of a channel's connection and of a listing's watch."""

from collections.abc import Collection
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from catalog.models import Channel
from catalog.models.channel import INTERVAL_ERRORS
from config.formatting import joined, sentences
from integrations.connectors import CONNECTORS
from integrations.connectors.base import InvalidSetting, Setting, SettingKind
from integrations.models import SECRETS, Credential, naming_settings, settings_asked
from integrations.state import masked
from monitoring.models import ListingWatch

_ONLY_FOR = _("Only for: %(choice)s.")


class CredentialForm(forms.Form):
    """A channel's connection: what its platform asks for. A stored secret is never sent to the browser; left empty, it
    stays as it is, unless it would lead to another shop or address.

    Fields of a choice that is not made are there too, without being looked at, so that the form works without script.
    """

    def __init__(self, data: Any = None, *, channel: Channel, credential: Credential) -> None:
        self.connector_class = CONNECTORS[channel.platform]
        self.stored = credential
        self.settings = {setting.name: setting for setting in self.connector_class.settings}
        initial = {
            **credential.options,
            "app_key": credential.app_key,
            "base_url": credential.base_url,
            "calls_per_second": credential.calls_per_second,
        }
        super().__init__(data, initial=initial, label_suffix="")
        for setting in self.connector_class.settings:
            self.fields[setting.name] = self._field(setting)
        self.fields.update(_own_fields(without=self.settings))

    def _field(self, setting: Setting) -> forms.Field:
        """A setting's field. Only what is asked for under every choice is required of a browser."""
        common: dict[str, Any] = {"label": setting.label, "help_text": self._help(setting), "required": False}
        if setting.kind == SettingKind.CHOICE:
            return forms.ChoiceField(choices=setting.choices, **common)
        required = setting.is_required and setting.only_for is None and setting.optional_for is None
        if setting.kind == SettingKind.SECRET:
            common["required"] = required and not self._is_stored(setting)
            secret = forms.PasswordInput(attrs={"autocomplete": "off"}, render_value=False)
            return forms.CharField(max_length=400, widget=secret, **common)
        text = forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "class": "vTextField"})
        return forms.CharField(max_length=200, widget=text, **common | {"required": required})

    def _is_stored(self, setting: Setting) -> bool:
        """Whether a secret was entered before; a token that was granted is none of this form's."""
        return setting in self.stored.asked and bool(getattr(self.stored, setting.name))

    def _help(self, setting: Setting) -> str:
        told = [str(setting.help_text)]
        if setting.kind == SettingKind.SECRET and self._is_stored(setting):
            shown = masked(getattr(self.stored, setting.name))
            told.insert(0, gettext("Stored: %(secret)s. Empty: it stays.") % {"secret": shown})
        return sentences(*told)

    def rows(self) -> list[tuple[forms.BoundField, Setting | None, str]]:
        """The fields, each with its setting (None: one that every platform has) and the choice it is only for, in
        words."""
        settings = [self.settings.get(name) for name in self.fields]
        return [
            (field, setting, self.only_for(setting.only_for if setting else None))
            for field, setting in zip(self, settings, strict=True)
        ]

    def only_for(self, choice: tuple[str, tuple[str, ...]] | None) -> str:
        """The choice that something is only for, in words."""
        if choice is None:
            return ""
        name, values = choice
        chosen = [str(label) for value, label in self.settings[name].choices if value in values]
        return _ONLY_FOR % {"choice": joined(chosen)}

    def clean(self) -> dict[str, Any]:
        """Let the platform's own dataclass and connector judge; what they refuse is shown at its field."""
        cleaned: dict[str, Any] = super().clean() or {}
        asked = settings_asked(self.connector_class, {name: cleaned.get(name) or "" for name in self.settings})
        self.asked = {setting.name: setting for setting in asked}
        for name in self.settings.keys() - self.asked.keys():
            self.errors.pop(name, None)
        for name, setting in self.asked.items():
            if setting.kind == SettingKind.SECRET:
                self._judge_secret(setting, cleaned)
            elif setting.is_required and not (setting.choices or cleaned.get(name) or name in self.errors):
                self.add_error(name, gettext("This field is required."))
        if self.errors:
            return cleaned
        try:
            values = self.values()
            would_be = Credential(
                channel=self.stored.channel,
                **{
                    name: value or (getattr(self.stored, name) if name in SECRETS else value)
                    for name, value in values.items()
                },
            )
            would_be.connector()
        except InvalidSetting as error:
            self.add_error(error.field if error.field in self.fields else None, str(error))
        return cleaned

    def _judge_secret(self, setting: Setting, cleaned: dict[str, Any]) -> None:
        if cleaned.get(setting.name) or setting.name in self.errors:
            return
        if not self._is_stored(setting):
            if setting.is_required:
                self.add_error(setting.name, gettext("This field is required."))
        elif self._leads_elsewhere(cleaned):
            # Whoever may change the address must not thereby learn a secret that is never shown.
            self.add_error(setting.name, _("Enter it again: another shop or address will receive it."))

    def _leads_elsewhere(self, cleaned: dict[str, Any]) -> bool:
        """Whether what is stored would be sent to another shop or address."""
        return any(
            (self.initial.get(name) or "") != (cleaned.get(name) or "").rstrip("/")
            for name in naming_settings(self.connector_class) - {"app_key"}
        )

    def values(self) -> dict[str, Any]:
        """The fields of Credential to store. Options of choices that are not made are forgotten."""
        given = {name: self.cleaned_data[name] for name in self.asked}
        return {
            "app_key": given.get("app_key", ""),
            **{name: given[name] for name in SECRETS if name in given},
            "base_url": self.cleaned_data["base_url"].rstrip("/"),
            "calls_per_second": self.cleaned_data["calls_per_second"],
            "options": {
                **{name: value for name, value in self.stored.options.items() if name not in self.settings},
                **self._options(given),
            },
        }

    def _options(self, given: dict[str, str]) -> dict[str, str]:
        """What only this platform asks for; a choice that was never made and is left at the first stays unmade."""
        return {
            name: value
            for name, value in given.items()
            if name not in {"app_key", "base_url", *SECRETS}
            and value
            and not (
                (choices := self.settings[name].choices) and name not in self.stored.options and value == choices[0][0]
            )
        }


def _own_fields(*, without: Collection[str]) -> dict[str, forms.Field]:
    """What can be set on every platform, and is seldom set."""
    base_url, rate = Credential._meta.get_field("base_url"), Credential._meta.get_field("calls_per_second")
    fields = {
        "base_url": forms.CharField(
            label=capfirst(base_url.verbose_name),
            max_length=200,
            required=False,
            help_text=base_url.help_text,
            widget=forms.TextInput(attrs={"class": "vTextField"}),
        ),
        "calls_per_second": forms.DecimalField(
            label=capfirst(rate.verbose_name),
            max_digits=8,
            decimal_places=2,
            min_value=Decimal("0.01"),
            required=False,
            help_text=rate.help_text,
        ),
    }
    return {name: field for name, field in fields.items() if name not in without}


class ShopAddressForm(forms.Form):
    """The address of a shop that is its own server."""

    base_url = forms.CharField(
        label=_("Address of the shop"),
        max_length=200,
        help_text=_("As its customers open it, for example https://shop.example. It must start with https://."),
        widget=forms.TextInput(attrs={"class": "vTextField", "autocomplete": "off", "spellcheck": "false"}),
    )


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
