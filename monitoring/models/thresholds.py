"""What people want to be told of: a limit, and the listings that it is about."""

from typing import Self

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from catalog.models import Channel, Listing, Product, User
from catalog.models.channel import validate_currency
from catalog.models.listing import MoneyField
from monitoring.models.alerts import AlertKind, Severity


class ThresholdQuerySet(models.QuerySet["Threshold"]):
    def visible_to(self, user: User) -> Self:
        """Those of the person's channels and listings, and those of a product or brand, which belong to nobody."""
        if user.sees_all_channels:
            return self
        channels = Channel.objects.visible_to(user)
        return self.filter(Q(channel__isnull=True) | Q(channel__in=channels)).filter(
            Q(listing__isnull=True) | Q(listing__channel__in=channels)
        )


class Threshold(models.Model):
    """One rule about one listing, or about every listing of a product, a brand or a channel.

    Which of the fields below a kind uses is in monitoring/thresholds/rules.py; the others stay empty.
    """

    Kind = AlertKind

    class Price(models.TextChoices):
        LIST = "list_price", _("list price")
        LIVE = "live_price", _("live price")
        PROMOTION = "promotion_price", _("promotional price")

    class Reference(models.TextChoices):
        PREVIOUS = "previous", _("the previous price")
        BASELINE = "baseline", _("the price when the comparison began")
        MEDIAN = "median", _("the median of the last days")

    class Direction(models.TextChoices):
        BOTH = "both", _("up or down")
        UP = "up", _("up")
        DOWN = "down", _("down")

    name = models.CharField(_("name"), max_length=120, blank=True, help_text=_("Empty: named after its rule."))
    kind = models.CharField(_("alert when"), max_length=20, choices=Kind)
    severity = models.CharField(_("severity"), max_length=10, choices=Severity, default=Severity.WARNING)
    is_active = models.BooleanField(_("active"), default=True)

    # Exactly one of these four says which listings it is about.
    listing = models.ForeignKey(
        Listing, models.CASCADE, null=True, blank=True, related_name="thresholds", verbose_name=_("listing")
    )
    product = models.ForeignKey(
        Product, models.CASCADE, null=True, blank=True, related_name="thresholds", verbose_name=_("product")
    )
    brand = models.CharField(_("brand"), max_length=80, blank=True)
    channel = models.ForeignKey(
        Channel, models.CASCADE, null=True, blank=True, related_name="thresholds", verbose_name=_("channel")
    )
    ownership = models.CharField(
        _("whose listings"), max_length=10, choices=Listing.Ownership, blank=True, default=Listing.Ownership.OWN
    )  # "": both

    price = models.CharField(_("price"), max_length=16, choices=Price, blank=True, default=Price.LIST)
    currency = models.CharField(
        _("currency"), max_length=3, default="CNY", validators=[validate_currency]
    )  # amounts are in it, and listings of another currency are left alone
    min_price = MoneyField(_("lowest price"), null=True, blank=True)  # this price itself is within the range
    max_price = MoneyField(_("highest price"), null=True, blank=True)  # likewise
    percent = models.DecimalField(
        _("percentage"),
        max_digits=7,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(0.01), MaxValueValidator(10_000)],
    )
    reference = models.CharField(_("compared with"), max_length=10, choices=Reference, blank=True)
    direction = models.CharField(_("direction"), max_length=4, choices=Direction, default=Direction.BOTH)
    # Window of a median or of volatility; for an authorisation, how long before its end.
    days = models.PositiveSmallIntegerField(
        _("days"), null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(90)]
    )
    baseline_at = models.DateTimeField(_("comparison began"), null=True, blank=True)
    stock = models.IntegerField(
        _("stock"), null=True, blank=True, validators=[MinValueValidator(0)]
    )  # units, inclusive
    intervals = models.PositiveSmallIntegerField(
        _("readings missed"), null=True, blank=True, validators=[MinValueValidator(2), MaxValueValidator(1_000)]
    )

    # How far back inside the limit a value must be before the alert is over: percent of the limit, or units of stock.
    hysteresis = models.DecimalField(
        _("clears when back by"), max_digits=7, decimal_places=2, default=0, validators=[MinValueValidator(0)]
    )
    # An alert that comes back within this time is the same alert, and nobody is told again.
    cooldown_minutes = models.PositiveIntegerField(_("quiet after an alert"), default=60)

    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed at"), auto_now=True)

    objects = ThresholdQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("threshold")
        verbose_name_plural = _("thresholds")
        constraints = [
            models.CheckConstraint(
                condition=(
                    Q(listing__isnull=False, product__isnull=True, brand="", channel__isnull=True)
                    | Q(listing__isnull=True, product__isnull=False, brand="", channel__isnull=True)
                    | (Q(listing__isnull=True, product__isnull=True, channel__isnull=True) & ~Q(brand=""))
                    | Q(listing__isnull=True, product__isnull=True, brand="", channel__isnull=False)
                ),
                name="threshold_has_one_subject",
                violation_error_message=_("Choose one listing, product, brand or channel."),
            ),
            models.CheckConstraint(
                condition=Q(min_price__isnull=True)
                | Q(max_price__isnull=True)
                | Q(min_price__lte=models.F("max_price")),
                name="threshold_min_not_above_max",
                violation_error_message=_("The lowest price must not be above the highest."),
            ),
        ]
        indexes = [models.Index(fields=["updated_at"], name="threshold_updated")]

    def __str__(self) -> str:
        return self.name or str(self.get_kind_display())
