"""How we reach a channel: its credential, the state of the connection, its quota, and the heartbeats of the workers."""

from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from catalog.fields import EncryptedTextField, LostSecret
from catalog.models import Channel

# Of the levels that a platform grants apart from its token, those without which nothing can be read.
_READ_LEVELS = ("r1", "r2")


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
    secret_set_at = models.DateTimeField(null=True, blank=True)
    revoked_cause = models.CharField(max_length=60, blank=True)  # set when the platform said: authorise again

    class Meta:
        verbose_name = _("credential")
        verbose_name_plural = _("credentials")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(calls_per_second__isnull=True) | models.Q(calls_per_second__gt=0),
                name="credential_calls_per_second_above_0",
            )
        ]

    def __str__(self) -> str:
        return str(self.channel)

    class State(models.TextChoices):
        NOT_SET_UP = "not-set-up", _("not set up")
        KEY_MISSING = "key-missing", _("key missing")
        NOT_AUTHORISED = "not-authorised", _("not authorised")
        REAUTHORISE = "reauthorise", _("authorise again")
        EXPIRED = "expired", _("authorisation ended")
        EXPIRING = "expiring", _("authorisation ends soon")
        CONNECTED = "connected", _("connected")

    @property
    def reads_until(self) -> datetime | None:
        """When reading ends: with the token, or with a level of it that lapses before. None: not known."""
        levels = [self.token_levels[level] for level in _READ_LEVELS if level in self.token_levels]
        ends = [self.token_expires_at, *map(datetime.fromisoformat, levels)]
        return min(filter(None, ends), default=None)

    def state(self, now: datetime) -> "Credential.State":
        """The authorisation at `now`; one that ends exactly at `now` has ended."""
        if isinstance(self.app_secret, LostSecret):
            return self.State.KEY_MISSING
        if not (self.app_key and self.app_secret):
            return self.State.NOT_SET_UP
        if self.revoked_cause:
            return self.State.REAUTHORISE
        if not self.access_token:
            return self.State.NOT_AUTHORISED
        if ends_at := self.reads_until:
            if ends_at <= now:
                return self.State.EXPIRED
            if ends_at - now <= timedelta(days=settings.TOKEN_WARNING_DAYS):
                return self.State.EXPIRING
        return self.State.CONNECTED


class ChannelHealth(models.Model):
    """How the last calls to a channel went; an open circuit or a wait holds back all of its work until `retry_at`."""

    channel = models.OneToOneField(Channel, models.CASCADE, primary_key=True, related_name="health")
    failures = models.PositiveIntegerField(default=0)  # failed calls in a row
    retry_at = models.DateTimeField(null=True)  # no call before it
    kind = models.CharField(max_length=20, blank=True)  # class of the last error, see connectors/errors.py; "": none
    cause = models.CharField(max_length=60, blank=True)
    code = models.CharField(max_length=120, blank=True)  # the platform's own
    failed_at = models.DateTimeField(null=True)
    good_at = models.DateTimeField(null=True)  # last call that was answered well

    class Meta:
        verbose_name = _("channel health")
        verbose_name_plural = _("channel health")

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
