"""What people want to be told of: a limit, and the listings that it is about."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.models import Channel, Listing, Product, User
from catalog.models.channel import validate_currency
from catalog.models.listing import MoneyField
from monitoring.models.alerts import AlertKind, Severity
from monitoring.thresholds.rules import FIELDS

# What a field holds where the kind does not use it.
_UNUSED: dict[str, Any] = {
    "ownership": "",
    "price": "",
    "min_price": None,
    "max_price": None,
    "percent": None,
    "reference": "",
    "direction": "both",
    "days": None,
    "baseline_at": None,
    "stock": None,
    "intervals": None,
    "hysteresis": Decimal(0),
}
_SUBJECTS = ("listing", "product", "brand", "channel")
_WHOLE = Decimal(100)
_LONGEST_COOLDOWN_MINUTES = 525_600
_MOST_UNITS = 2_147_483_647  # what a column of a listing's stock holds
_EARLIEST_YEAR = 2000  # of a comparison


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
    kind = models.CharField(
        _("alert when"), max_length=20, choices=[(kind.value, kind.label) for kind in AlertKind if kind.value in FIELDS]
    )
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
        validators=[MinValueValidator(Decimal("0.01")), MaxValueValidator(10_000)],
    )
    reference = models.CharField(_("compared with"), max_length=10, choices=Reference, blank=True)
    direction = models.CharField(_("direction"), max_length=4, choices=Direction, default=Direction.BOTH)
    # Window of a median or of volatility; for an authorisation, how long before its end.
    days = models.PositiveSmallIntegerField(
        _("days"), null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(90)]
    )
    baseline_at = models.DateTimeField(_("comparison began"), null=True, blank=True)
    stock = models.IntegerField(
        _("stock"), null=True, blank=True, validators=[MinValueValidator(0), MaxValueValidator(_MOST_UNITS)]
    )  # units, inclusive
    intervals = models.PositiveSmallIntegerField(
        _("readings missed"), null=True, blank=True, validators=[MinValueValidator(2), MaxValueValidator(1_000)]
    )

    # How far back inside the limit a value must be before the alert is over: percent of a price, points of a
    # percentage, or units of stock.
    hysteresis = models.DecimalField(
        _("clears when back by"), max_digits=7, decimal_places=2, default=0, validators=[MinValueValidator(0)]
    )
    # An alert that comes back within this time is the same alert, and only told again to whoever was told that it was
    # over.
    cooldown_minutes = models.PositiveIntegerField(
        _("quiet after an alert"),
        default=60,
        validators=[MaxValueValidator(_LONGEST_COOLDOWN_MINUTES, _("Enter 525600 minutes at most, which is a year."))],
    )

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

    def clean(self) -> None:
        """Empties what the kind does not use. Raises ValidationError, by field."""
        super().clean()
        if self.kind not in FIELDS:
            return
        for name, empty in _UNUSED.items():
            if name not in self.used_fields:
                setattr(self, name, empty)
        wrong: dict[str, Any] = {**self._wrong_subject(), **self._wrong_limits()}
        if wrong:
            raise ValidationError(wrong)

    @property
    def used_fields(self) -> frozenset[str]:
        """The fields that count, besides its subject."""
        used = FIELDS[self.kind]
        if self.kind == self.Kind.PRICE_CHANGE:
            if self.reference != self.Reference.MEDIAN:
                used -= {"days"}
            if self.reference != self.Reference.BASELINE:
                used -= {"baseline_at"}
        return used

    @property
    def cooldown(self) -> timedelta:
        """A year at most, also of a row that was stored before there was a bound."""
        return timedelta(minutes=min(self.cooldown_minutes, _LONGEST_COOLDOWN_MINUTES))

    def _wrong_subject(self) -> dict[str, Any]:
        given = [name for name in _SUBJECTS if getattr(self, "brand" if name == "brand" else f"{name}_id")]
        if self.kind == self.Kind.AUTHORISATION and given != ["channel"]:
            return {given[0] if given and given[0] != "channel" else "channel": _("An authorisation is a channel's.")}
        if not given:
            return {"channel": _("Choose one listing, product, brand or channel.")}
        if len(given) > 1:
            return dict.fromkeys(given, _("Choose only one of listing, product, brand and channel."))
        channel = self.channel or (self.listing.channel if self.listing else None)
        if "currency" in self.used_fields and channel is not None and channel.currency != self.currency:
            return {"currency": _("Prices of %(channel)s are in %(currency)s.") % _names(channel)}
        return {}

    def _wrong_limits(self) -> dict[str, Any]:
        wrong: dict[str, Any] = {}
        if "price" in self.used_fields and not self.price:
            wrong["price"] = _("Choose a price.")
        match self.kind:
            case self.Kind.PRICE_RANGE:
                wrong |= self._wrong_range()
            case self.Kind.PRICE_CHANGE:
                wrong |= self._wrong_change()
            case self.Kind.VOLATILITY | self.Kind.AUTHORISATION if self.days is None:
                wrong["days"] = _("Enter a number of days.")
            case self.Kind.STOCK_AT_MOST if self.stock is None:
                wrong["stock"] = _("Enter a number of units; 0 is one, too.")
            case self.Kind.BLIND if self.intervals is None:
                wrong["intervals"] = _("Enter after how many missed readings.")
        if "percent" in self.used_fields:
            if self.percent is None:
                wrong["percent"] = _("Enter a percentage.")
            elif 0 < self.percent <= self.hysteresis:
                wrong["hysteresis"] = _("Enter less than the percentage, or the alert could never end.")
        return wrong

    def _wrong_range(self) -> dict[str, Any]:
        low, high = self.min_price, self.max_price
        if low is None and high is None:
            return {"min_price": _("Enter a lowest price, a highest price, or both.")}
        not_positive = {
            name: _("Enter a price above 0.")
            for name, price in (("min_price", low), ("max_price", high))
            if price is not None and price <= 0
        }
        if not_positive:
            return not_positive
        if low is not None and high is not None and low > high:
            return {"min_price": _("The lowest price must not be above the highest.")}
        # Back inside the range is this far above the lowest, and this far below the highest price.
        least = None if low is None else low * (_WHOLE + self.hysteresis)
        most = None if high is None else high * (_WHOLE - self.hysteresis)
        if (most is not None and most <= 0) or (least is not None and most is not None and least > most):
            return {"hysteresis": _("No price is so far inside the range: the alert could never end. Enter less.")}
        return {}

    def _wrong_change(self) -> dict[str, Any]:
        wrong: dict[str, Any] = {}
        if not self.reference:
            wrong["reference"] = _("Choose what the price is compared with.")
        elif self.reference == self.Reference.MEDIAN and self.days is None:
            wrong["days"] = _("Enter a number of days.")
        elif self.reference == self.Reference.BASELINE:
            if self.baseline_at is None:
                wrong["baseline_at"] = _("Enter when the comparison begins.")
            elif self.baseline_at < datetime(_EARLIEST_YEAR, 1, 1, tzinfo=timezone.get_current_timezone()):
                wrong["baseline_at"] = _("Enter a time from the year 2000 on.")
            elif self.baseline_at > timezone.now():
                wrong["baseline_at"] = _("Enter a time that has come: the price then is what is compared with.")
        if self.direction == self.Direction.DOWN and self.percent is not None and self.percent > _WHOLE:
            wrong["percent"] = _("No price falls by more than 100%.")
        return wrong


def _names(channel: Channel) -> dict[str, str]:
    return {"channel": channel.name, "currency": channel.currency}
