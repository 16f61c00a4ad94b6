"""How we reach a channel: its credential, the state of the connection, its quota, and the heartbeats of the workers."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from catalog.fields import EncryptedTextField, LostSecret
from catalog.models import Channel
from integrations.connectors import CONNECTORS
from integrations.connectors.base import Connector, InvalidSetting, Setting, SettingKind, shop_id
from integrations.connectors.http import HttpClient

# Of the levels that a platform grants apart from its token, those without which nothing can be read.
_READ_LEVELS = ("r1", "r2")
# A token that renews itself is late when no more than one part in so many of its life is left: tries have failed.
_LATE_SHARE = 8

SECRETS = ("app_secret", "access_token", "refresh_token")


def settings_asked(connector_class: type[Connector], values: Mapping[str, str]) -> list[Setting]:
    """The settings that a platform asks for under the choices among `values`; the first choice is the one in force
    while none is made."""
    chosen = {
        setting.name: values.get(setting.name) or setting.choices[0][0]
        for setting in connector_class.settings
        if setting.kind == SettingKind.CHOICE
    }
    return [
        replace(setting, is_required=False) if _is_met(setting.optional_for, chosen) else setting
        for setting in connector_class.settings
        if setting.only_for is None or _is_met(setting.only_for, chosen)
    ]


def _is_met(choice: tuple[str, tuple[str, ...]] | None, chosen: Mapping[str, str]) -> bool:
    return choice is not None and chosen[choice[0]] in choice[1]


def naming_settings(connector_class: type[Connector]) -> set[str]:
    """The settings that say which app of which shop is meant, and where it is."""
    texts = [setting for setting in connector_class.settings if setting.kind == SettingKind.TEXT]
    return {"base_url", *(setting.name for setting in texts if setting.is_required)}


class Credential(models.Model):
    """What a channel's platform needs to let us in. Secrets are encrypted at rest and never shown again."""

    channel = models.OneToOneField(Channel, models.CASCADE, related_name="credential", verbose_name=_("channel"))
    app_key = models.CharField(_("app key"), max_length=128, blank=True)
    app_secret = EncryptedTextField(_("app secret"), blank=True)
    access_token = EncryptedTextField(_("access token"), blank=True)
    refresh_token = EncryptedTextField(_("refresh token"), blank=True)
    options = models.JSONField(
        _("options"), default=dict, blank=True
    )  # what only this platform asks for, never a secret
    base_url = models.URLField(
        _("base URL"), blank=True, help_text=_("Empty: the platform's own. Set it for a staging shop or a proxy.")
    )
    calls_per_second = models.DecimalField(
        _("calls per second"),
        max_digits=8,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal("0.01"))],
        help_text=_(
            "What the platform's console grants the app. Empty: no limit of ours, only the platform's answers."
        ),
    )
    account_id = models.CharField(_("account id"), max_length=64, blank=True)
    account_name = models.CharField(_("account"), max_length=128, blank=True)
    token_expires_at = models.DateTimeField(_("authorised until"), null=True, blank=True)
    refresh_expires_at = models.DateTimeField(null=True, blank=True)
    token_levels = models.JSONField(default=dict, blank=True)  # level -> ISO time at which it lapses
    authorised_at = models.DateTimeField(_("authorised at"), null=True, blank=True)
    authorised_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    messages_since = models.DateTimeField(null=True, blank=True)  # when the platform was asked to keep them for us
    secret_set_at = models.DateTimeField(null=True, blank=True)
    # Set when the platform said: authorise again.
    revoked_cause = models.CharField(_("reason of the refusal"), max_length=60, blank=True)
    reads_only = models.BooleanField(default=False, editable=False)  # the last test found that it may not write
    # The shop that this channel holds, see shop_named; "": it is not connected, or was not told which shop it is.
    shop_key = models.CharField(max_length=255, blank=True, editable=False)

    class Meta:
        verbose_name = _("credential")
        verbose_name_plural = _("credentials")
        constraints = [
            models.UniqueConstraint(fields=["shop_key"], condition=~models.Q(shop_key=""), name="one_channel_per_shop"),
            models.CheckConstraint(
                condition=models.Q(calls_per_second__isnull=True) | models.Q(calls_per_second__gt=0),
                name="credential_calls_per_second_above_0",
            ),
        ]

    def __str__(self) -> str:
        return str(self.channel)

    class State(models.TextChoices):
        NOT_SET_UP = "not-set-up", _("not set up")
        KEY_MISSING = "key-missing", _("key missing")
        BAD_SETTING = "bad-setting", _("wrong setting")
        NOT_AUTHORISED = "not-authorised", _("not authorised")
        REAUTHORISE = "reauthorise", _("authorise again")
        EXPIRED = "expired", _("authorisation ended")
        EXPIRING = "expiring", _("authorisation ends soon")
        CONNECTED = "connected", _("connected")

    class Grant(StrEnum):
        """How the channel comes by what its calls need."""

        KEYS = "keys"  # entered once
        REQUEST = "request"  # a token that the keys are enough to ask for
        CONSENT = "consent"  # a token, once a person has agreed at the platform

    @property
    def stored_settings(self) -> dict[str, str]:
        """What the platform's Credentials are made of, by the names of its settings."""
        return {
            **{name: str(value) for name, value in self.options.items()},
            "app_key": self.app_key,
            "app_secret": self.app_secret,
            "access_token": self.access_token,
        }

    @property
    def settings_and_address(self) -> dict[str, str]:
        """The same with the address."""
        return {**self.stored_settings, "base_url": self.base_url}

    @property
    def shop_named(self) -> str:
        """The shop as no other channel may have it: by what its settings say, else by the account that consented.

        "" while nobody has, or the settings name none.
        """
        connector_class = CONNECTORS[self.channel.platform]
        if connector_class.shop_setting:
            shop = shop_id(self.settings_and_address.get(connector_class.shop_setting, ""))
        else:
            shop = self.account_id if self.access_token else ""
        return f"{self.channel.platform}:{shop}" if shop else ""

    @property
    def asked(self) -> list[Setting]:
        """The settings that the platform asks for under the stored choices."""
        return settings_asked(CONNECTORS[self.channel.platform], self.stored_settings)

    def connector(self, *, http: HttpClient | None = None, without_token: bool = False) -> Connector:
        """A connector for the stored settings, whatever the state; raises InvalidSetting for one that cannot work."""
        connector_class = CONNECTORS[self.channel.platform]
        stored = self.stored_settings
        if without_token:
            stored["access_token"] = ""
        credentials = connector_class.Credentials.from_settings(stored)
        connector = connector_class(credentials, base_url=self.base_url, http=http)
        connector.currency = self.channel.currency
        return connector

    @property
    def grant(self) -> Grant:
        """KEYS as well where a setting cannot work: what that needs is entered."""
        try:
            return self._way()[0]
        except InvalidSetting:
            return self.Grant.KEYS

    def renews_itself(self, now: datetime) -> bool:
        """Whether another token can be had without a person."""
        try:
            grant, can_refresh = self._way()
        except InvalidSetting:
            return False
        return grant == self.Grant.REQUEST or (can_refresh and self._can_use_refresh_token(now))

    def _way(self) -> tuple[Grant, bool]:
        """How what calls need is come by, and whether a refresh token would serve; raises InvalidSetting."""
        connector = self.connector()
        if not connector.needs_token or any(setting.name == "access_token" for setting in self.asked):
            return self.Grant.KEYS, False
        return self.Grant.REQUEST if connector.can_request_token else self.Grant.CONSENT, connector.can_refresh

    def _can_use_refresh_token(self, now: datetime) -> bool:
        return bool(self.refresh_token) and (self.refresh_expires_at is None or self.refresh_expires_at > now)

    @property
    def reads_until(self) -> datetime | None:
        """When reading ends: with the token, or with a level of it that lapses before. None: not known."""
        levels = [self.token_levels[level] for level in _READ_LEVELS if level in self.token_levels]
        ends = [self.token_expires_at, *map(datetime.fromisoformat, levels)]
        return min(filter(None, ends), default=None)

    def state(self, now: datetime) -> "Credential.State":
        """The authorisation at `now`; one that ends exactly at `now` has ended.

        A token that renews itself is nobody's business until that is late: then it is EXPIRING, also once it has ended.
        """
        if (unusable := self._unusable_settings()) is not None:
            return unusable
        try:
            grant, can_refresh = self._way()
        except InvalidSetting:
            return self.State.BAD_SETTING
        if self.revoked_cause:
            return self.State.REAUTHORISE
        if grant == self.Grant.KEYS:
            return self.State.CONNECTED
        if not self.access_token:
            return self.State.CONNECTED if grant == self.Grant.REQUEST else self.State.NOT_AUTHORISED
        ends_at = self.reads_until
        if ends_at is None:
            return self.State.CONNECTED
        if grant == self.Grant.REQUEST or (can_refresh and self._can_use_refresh_token(now)):
            is_late = (ends_at - now) * _LATE_SHARE <= ends_at - (self.authorised_at or ends_at)
            return self.State.EXPIRING if is_late else self.State.CONNECTED
        if ends_at <= now:
            return self.State.EXPIRED
        if ends_at - now <= timedelta(days=settings.TOKEN_WARNING_DAYS):
            return self.State.EXPIRING
        return self.State.CONNECTED

    def _unusable_settings(self) -> "Credential.State | None":
        """What a person has to enter before anything else can be done."""
        stored = self.settings_and_address
        entered = [setting for setting in self.asked if setting.kind != SettingKind.CHOICE]
        if any(isinstance(stored.get(setting.name), LostSecret) for setting in entered):
            return self.State.KEY_MISSING
        if any(setting.is_required and not stored.get(setting.name) for setting in entered):
            return self.State.NOT_SET_UP
        return None


class ChannelHealth(models.Model):
    """How the last calls to a channel went; an open circuit or a wait holds back all of its work until `retry_at`."""

    channel = models.OneToOneField(Channel, models.CASCADE, primary_key=True, related_name="health")
    failures = models.PositiveIntegerField(default=0)  # failed calls in a row
    retry_at = models.DateTimeField(null=True)  # no call before it
    kind = models.CharField(max_length=20, blank=True)  # class of the last error, see connectors/errors.py; "": none
    cause = models.CharField(max_length=60, blank=True)
    code = models.CharField(max_length=120, blank=True)  # the platform's own
    detail = models.CharField(max_length=200, blank=True)  # what the cause is about, of causes that name it
    failed_at = models.DateTimeField(null=True)
    good_at = models.DateTimeField(null=True)  # last call that was answered well
    # The platform's own quota as an answer told it, see connectors.base.Quota; null: not told.
    quota_left = models.PositiveIntegerField(null=True)
    quota_most = models.PositiveIntegerField(null=True)
    quota_per_second = models.PositiveIntegerField(null=True)
    quota_told_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("channel health")
        verbose_name_plural = _("channel health")

    def __str__(self) -> str:
        return str(self.channel)


class KeyRequest(models.Model):
    """A person was sent to a shop to have it hand keys over: what it posts is taken once, before `expires_at`."""

    channel = models.ForeignKey(Channel, models.CASCADE, related_name="+")
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    base_url = models.URLField()  # of the shop
    digest = models.CharField(max_length=64, unique=True)  # of the state, which is kept nowhere
    expires_at = models.DateTimeField()
    taken_at = models.DateTimeField(null=True)  # when keys were stored

    def __str__(self) -> str:
        return str(self.channel)


class QuotaSlot(models.Model):
    """The next free moment of a paced quota, shared by every worker and host."""

    credential = models.ForeignKey(Credential, models.CASCADE, related_name="quota_slots")
    operation = models.CharField(max_length=30)  # class of calls that share the quota
    next_free_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["credential", "operation"], name="one_slot_per_operation")]

    def __str__(self) -> str:
        return f"{self.credential} {self.operation}"


class Heartbeat(models.Model):
    """When a worker of a cluster last took up a task, were it only the canary."""

    name = models.CharField(max_length=60, primary_key=True)
    beat_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


# Django finds an app's models here; how far each channel is behind is told where the syncing is.
from integrations.syncing.models import (  # noqa: E402
    ChannelSync,
    ListingSync,
    SavedFilter,
    SyncAttempt,
    SyncCall,
    SyncItem,
    SyncRun,
)

__all__ = [
    "SECRETS",
    "ChannelHealth",
    "ChannelSync",
    "Credential",
    "Heartbeat",
    "KeyRequest",
    "ListingSync",
    "QuotaSlot",
    "SavedFilter",
    "SyncAttempt",
    "SyncCall",
    "SyncItem",
    "SyncRun",
    "naming_settings",
    "settings_asked",
]
