"""A problem told to a person: the sentences of its kind, with the names and times of the channel."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from catalog.models import Channel
from config.admin_site import Severity
from config.formatting import joined, moment, sentences
from integrations.connectors import CONNECTORS
from integrations.connectors.base import SettingKind
from integrations.models import Credential
from integrations.problems.kinds import WE_TRY_AGAIN, Help, Kind
from integrations.problems.of_channels import CURRENCY_DIFFERS, OF_CHANNELS
from integrations.problems.of_listings import OF_LISTINGS

PROBLEMS: dict[str, Kind] = {**OF_CHANNELS, **OF_LISTINGS}


@dataclass(frozen=True)
class Explanation:
    """A problem told to a person; `code` is the platform's own, "" where it gave none, and so are the words of
    `detail`."""

    severity: Severity
    what: str
    advice: str
    help: Help
    code: str = ""
    detail: str = ""

    def __str__(self) -> str:
        return sentences(self.what, self.advice)


# Instead of the advice for "quota": what the platform asked for may be longer than we are willing to wait.
_LONG_WAIT = _("It asks for a long wait; we try again at %(retry)s.")
_LONG = timedelta(minutes=50)
_OTHER = Kind("unknown", _("%(channel)s was not read at %(time)s."), WE_TRY_AGAIN)


# Of these the detail names what is missing, or the shop's currency.
NAMED_IN_DETAIL = frozenset({"permission", "scope-missing", CURRENCY_DIFFERS})
_BOTH_CURRENCIES = _("The shop of %(channel)s counts in %(detail)s, the channel in %(currency)s.")
_WITHOUT_LISTINGS = _("Set the channel's currency to %(detail)s; as long as it has no listings it can be changed.")
_WITH_LISTINGS = _(
    "Its amounts are not taken over. Disconnect this channel, then add one in %(detail)s: the currency of a channel "
    "with listings stays."
)


def explain(
    *,
    cause: str,
    channel: Channel,
    at: datetime | None,
    retry_at: datetime | None = None,
    code: str = "",
    detail: str = "",
) -> Explanation:
    """Tell a problem of a channel or of its listings; a cause that is not in the table is told as "not read".

    `retry_at` is added to the advice when it lies in a minute ahead and the problem ends without a person's help; `at`
    None: now. `detail` is of the causes in NAMED_IN_DETAIL.
    """
    kind = PROBLEMS.get(cause, _OTHER)
    words = _Words(channel, at, detail)
    if kind.help == Help.REAUTHORISE and words.credential.pk and words.credential.grant != Credential.Grant.CONSENT:
        kind = replace(kind, advice=kind.advice_by_keys, help=kind.help_by_keys)
    if cause == CURRENCY_DIFFERS and detail:
        kind = _told_currencies(kind, channel)
    now = timezone.now()
    advice = str(kind.advice) % words
    # What a person must end first is critical, and so is what lasts: then the time of a try says nothing.
    if retry_at is not None and kind.severity != "critical" and _minute(retry_at) > _minute(now):
        next_try = _clock(retry_at, now)
        if cause == "quota" and retry_at - (at or now) >= _LONG:
            advice = str(_LONG_WAIT) % {"retry": next_try}
        else:
            advice = sentences(advice, gettext("Next try %(time)s.") % {"time": next_try})
    told = "" if cause == CURRENCY_DIFFERS else detail
    return Explanation(kind.severity, str(kind.what) % words, advice, kind.help, code, told)


def _told_currencies(kind: Kind, channel: Channel) -> Kind:
    """Both currencies by name, and the deed that is possible."""
    if channel.pk and channel.listings.exists():
        return replace(kind, what=_BOTH_CURRENCIES, advice=_WITH_LISTINGS)
    return replace(kind, what=_BOTH_CURRENCIES, advice=_WITHOUT_LISTINGS, help=Help.EDIT_CHANNEL)


class _Words:
    """What a sentence may name, looked up when it does: settings by the labels that the platform's form shows."""

    def __init__(self, channel: Channel, at: datetime | None, detail: str) -> None:
        self._channel = channel
        self._at = at
        self.channel = channel.name
        self.currency = channel.currency
        self.detail = detail

    def __getitem__(self, name: str) -> str:
        return str(getattr(self, name))

    @cached_property
    def credential(self) -> Credential:
        try:
            return self._channel.credential
        except Credential.DoesNotExist:
            return Credential(channel=self._channel)

    @property
    def time(self) -> str:
        now = timezone.now()
        return _clock(self._at or now, now)

    @property
    def address(self) -> str:
        labels = [setting.label for setting in self.credential.asked if setting.name == "base_url"]
        return str(labels[0] if labels else capfirst(Credential._meta.get_field("base_url").verbose_name))

    @property
    def key(self) -> str:
        labels = [setting.label for setting in self.credential.asked if setting.name == "app_key"]
        return str(labels[0]) if labels else self.secret

    @property
    def secret(self) -> str:
        return joined(str(setting.label) for setting in self.credential.asked if setting.kind == SettingKind.SECRET)

    @property
    def missing(self) -> str:
        stored = self.credential.settings_and_address
        required = [s for s in self.credential.asked if s.is_required and s.kind != SettingKind.CHOICE]
        return joined(str(setting.label) for setting in required if not stored.get(setting.name))

    @property
    def console(self) -> str:
        return CONNECTORS[self._channel.platform].console(self.credential.stored_settings)


def sentence(
    *, cause: str, channel: Channel, at: datetime | None, retry_at: datetime | None = None, detail: str = ""
) -> str:
    """What happened and what to do, on one line."""
    return str(explain(cause=cause, channel=channel, at=at, retry_at=retry_at, detail=detail))


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _clock(at: datetime, now: datetime) -> str:
    """The time of day, as all other times of the page are told, with the date when that is not today."""
    local = timezone.localtime(at)
    return f"{local:%H:%M}" if local.date() == timezone.localtime(now).date() else moment(at)
