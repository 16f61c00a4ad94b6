"""What a sale costs, each part valid in time: a row is good from its moment until the next one of the same thing."""

from decimal import Decimal
from typing import Self

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from catalog.models.channel import Channel, validate_currency
from catalog.models.promotion import WHOLE_RATE
from catalog.models.staff import User


class ChannelFeesQuerySet(models.QuerySet["ChannelFees"]):
    def visible_to(self, user: User) -> Self:
        """Of the channels this person works with."""
        return self if user.sees_all_channels else self.filter(channel__in=Channel.objects.visible_to(user))


class ChannelFees(models.Model):
    """What a sale on a channel costs besides the goods. None: not known.

    Rates in basis points, amounts in the minor unit of the channel's currency.
    """

    channel = models.ForeignKey(Channel, models.CASCADE, related_name="fees", verbose_name=_("channel"))
    valid_from = models.DateTimeField(_("valid from"))
    tax_rate = models.PositiveIntegerField(
        _("tax inside the price"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(WHOLE_RATE)],
        help_text=_("0 where prices are without tax, or the marketplace pays it."),
    )
    fee_rate = models.PositiveIntegerField(
        _("platform fee"), null=True, blank=True, validators=[MaxValueValidator(WHOLE_RATE)]
    )
    fee_minimum = models.PositiveIntegerField(_("platform fee at least"), default=0)
    fee_is_on_net = models.BooleanField(_("platform fee counts the price without tax"), default=False)
    payment_rate = models.PositiveIntegerField(_("payment fee"), default=0, validators=[MaxValueValidator(WHOLE_RATE)])
    payment_fixed = models.PositiveIntegerField(_("payment fee per order"), default=0)
    freight = models.PositiveIntegerField(_("freight and packing of a unit"), null=True, blank=True)

    objects = ChannelFeesQuerySet.as_manager()

    class Meta:
        ordering = ["channel", "-valid_from"]
        verbose_name = _("fees of a channel")
        verbose_name_plural = _("fees of channels")
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "valid_from"],
                name="channel_fees_identity",
                violation_error_message=_("There are fees of this channel from this moment on already."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.valid_from:%Y-%m-%d}"


class ExchangeRate(models.Model):
    """Units of `sale_currency` for one of `cost_currency` on a day, and who says so."""

    cost_currency = models.CharField(_("cost currency"), max_length=3, validators=[validate_currency])
    sale_currency = models.CharField(_("sale currency"), max_length=3, validators=[validate_currency])
    day = models.DateField(_("day"))
    rate = models.DecimalField(
        _("rate"), max_digits=20, decimal_places=10, validators=[MinValueValidator(Decimal("0.0000000001"))]
    )
    source = models.CharField(_("source"), max_length=120)

    class Meta:
        ordering = ["-day", "cost_currency", "sale_currency"]
        verbose_name = _("exchange rate")
        verbose_name_plural = _("exchange rates")
        constraints = [
            models.UniqueConstraint(
                fields=["cost_currency", "sale_currency", "day"],
                name="exchange_rate_identity",
                violation_error_message=_("There is a rate of these currencies for this day already."),
            ),
            models.CheckConstraint(condition=Q(rate__gt=0), name="exchange_rate_positive"),
            models.CheckConstraint(
                condition=~Q(cost_currency=F("sale_currency")),
                name="exchange_rate_two_currencies",
                violation_error_message=_("A rate is between two currencies."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.cost_currency}/{self.sale_currency} {self.day}"
