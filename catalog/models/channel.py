"""A shop on a platform."""

from typing import Any, Self
from zoneinfo import available_timezones

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from catalog.models.staff import User


class Platform(models.TextChoices):
    TAOBAO = "taobao", _("Taobao / Tmall")

    @property
    def mark(self) -> str:
        """Two letters that stand for the platform in lists."""
        return {"taobao": "TB"}[self.value]


def validate_time_zone(name: str) -> None:
    if name not in available_timezones():
        raise ValidationError(_("“%(name)s” is not a time zone, for example Asia/Shanghai."), params={"name": name})


validate_currency = RegexValidator(r"^[A-Z]{3}$", _("A currency is three capital letters, for example CNY."))


class ChannelQuerySet(models.QuerySet["Channel"]):
    def visible_to(self, user: User) -> Self:
        """The channels this person works with; all of them for roles that see every channel."""
        return self if user.sees_all_channels else self.filter(staff=user)


class Channel(models.Model):
    name = models.CharField(_("name"), max_length=80, unique=True)
    platform = models.CharField(_("platform"), max_length=20, choices=Platform, default=Platform.TAOBAO)
    currency = models.CharField(_("currency"), max_length=3, default="CNY", validators=[validate_currency])
    time_zone = models.CharField(
        _("time zone"), max_length=64, default="Asia/Shanghai", validators=[validate_time_zone]
    )
    is_watched = models.BooleanField(
        _("watched"), default=True, help_text=_("Off: none of its listings is read until it is switched on again.")
    )
    interval_seconds = models.PositiveIntegerField(
        _("read every"),
        default=300,
        validators=[MinValueValidator(30), MaxValueValidator(7 * 86_400)],
        help_text=_("Seconds between two readings of a listing. A listing can have its own."),
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    objects = ChannelQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name = _("channel")
        verbose_name_plural = _("channels")
        permissions = [("view_all_channels", "Can see every channel")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(interval_seconds__gte=30), name="channel_interval_at_least_30_seconds"
            )
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        super().clean()
        if self.pk and self.listings.exists():
            stored = Channel.objects.only("currency", "platform").get(pk=self.pk)
            changed: dict[str, Any] = {}
            if stored.currency != self.currency:
                changed["currency"] = _("Its history is in %(currency)s. Add a new channel for another currency.") % {
                    "currency": stored.currency
                }
            if stored.platform != self.platform:
                changed["platform"] = _("It has listings on its platform. Add a new channel for another platform.")
            if changed:
                raise ValidationError(changed)

    @property
    def mark(self) -> str:
        return Platform(self.platform).mark
