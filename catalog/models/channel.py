"""A shop on a platform."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self
from zoneinfo import available_timezones

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from catalog.models.changes import DatedQuerySet
from catalog.models.staff import User
from catalog.stock.availability import LocationMode


class Platform(models.TextChoices):
    TAOBAO = "taobao", _("Taobao / Tmall")
    SHOPIFY = "shopify", _("Shopify")
    WOOCOMMERCE = "woocommerce", _("WooCommerce")

    @property
    def mark(self) -> str:
        """Two letters that stand for the platform in lists."""
        return {"taobao": "TB", "shopify": "SH", "woocommerce": "WC"}[self.value]

    @property
    def usual(self) -> dict[str, str]:
        """The currency and the time zone that a new shop on the platform has unless its owner chose others."""
        return dict(zip(("currency", "time_zone"), _USUAL[self.value], strict=True))

    @property
    def only_currency(self) -> str:
        """The currency of all shops on the platform; "" where each has its own."""
        return "CNY" if self is Platform.TAOBAO else ""


_USUAL = {
    "taobao": ("CNY", "Asia/Shanghai"),
    "shopify": ("USD", "America/New_York"),
    "woocommerce": ("USD", "UTC"),
}


@dataclass(frozen=True)
class ItemRules:
    """What the ids of a platform's items and variants look like, and the addresses of its item pages.

    The patterns of an address find the item's id and the variant's as their group 1.
    """

    id: re.Pattern[str]
    id_error: Promise | str
    address: re.Pattern[str]
    item_in_address: re.Pattern[str]
    sku_in_address: re.Pattern[str]

    def ids_in(self, text: str) -> tuple[str, str] | None:
        """The item id and the variant's ("" without one) in the address of an item; None for any other text."""
        item = self.item_in_address.search(text) if self.address.match(text) else None
        if item is None:
            return None
        sku = self.sku_in_address.search(text)
        return item[1], sku[1] if sku else ""


ITEM_RULES = {
    Platform.TAOBAO: ItemRules(
        id=re.compile(r"[0-9]{1,20}"),
        id_error=_("On Taobao and Tmall this is 1 to 20 digits, for example 603455037983."),
        address=re.compile(r"(https?://)?([a-z0-9-]+\.)*(taobao\.com|tmall\.com|tmall\.hk)/", re.IGNORECASE),
        item_in_address=re.compile(r"[?&]id=([0-9]{1,20})(?![0-9])"),
        sku_in_address=re.compile(r"[?&]skuId=([0-9]{1,20})(?![0-9])"),
    ),
    # The addresses of the back offices: those of the shops themselves do not tell the ids.
    Platform.SHOPIFY: ItemRules(
        id=re.compile(r"[0-9]{1,20}"),
        id_error=_("On Shopify this is the number of the product or variant, 1 to 20 digits."),
        address=re.compile(
            r"(https?://)?(admin\.shopify\.com/store/[^/\s]+|[a-z0-9-]+\.myshopify\.com/admin)/", re.IGNORECASE
        ),
        item_in_address=re.compile(r"/products/([0-9]{1,20})(?![0-9])"),
        sku_in_address=re.compile(r"/variants/([0-9]{1,20})(?![0-9])"),
    ),
    Platform.WOOCOMMERCE: ItemRules(
        id=re.compile(r"[0-9]{1,20}"),
        id_error=_("On WooCommerce this is the number of the product or variation, 1 to 20 digits."),
        address=re.compile(r"(https?://)?[^/\s]+/([^?\s]*/)?wp-admin/post\.php\?", re.IGNORECASE),
        item_in_address=re.compile(r"[?&]post=([0-9]{1,20})(?![0-9])"),
        sku_in_address=re.compile(r"[?&]variation_id=([0-9]{1,20})(?![0-9])"),
    ),
}


def ids_in_address(text: str) -> tuple[str, str] | None:
    """The item id and the variant's in the address of an item page on any platform; None for any other text."""
    return next((found for rules in ITEM_RULES.values() if (found := rules.ids_in(text))), None)


def validate_time_zone(name: str) -> None:
    if name not in available_timezones():
        raise ValidationError(_("“%(name)s” is not a time zone, for example Asia/Shanghai."), params={"name": name})


validate_currency = RegexValidator(r"^[A-Z]{3}$", _("A currency is three capital letters, for example CNY."))


_INTERVAL_LIMITS = _("A listing can be read every 30 seconds at most and every 7 days at least: enter 30 to 604800.")
# What a form says of an interval, by the code of the error.
INTERVAL_ERRORS = {
    "min_value": _INTERVAL_LIMITS,
    "max_value": _INTERVAL_LIMITS,
    "invalid": _("Enter a whole number of seconds."),
}


class ChannelQuerySet(DatedQuerySet["Channel"]):
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
    # When watching was switched on, or its interval changed; null: as it was added.
    watched_since = models.DateTimeField(null=True, editable=False)
    location_mode = models.CharField(
        _("several warehouses behind one location"),
        max_length=8,
        choices=[
            (LocationMode.SUM.value, _("count together")),
            (LocationMode.PRIORITY.value, _("the first that has any counts")),
        ],
        default=LocationMode.SUM.value,
    )
    # Orders made before it are kept and never booked: stock was counted after them. Null: none is booked.
    orders_since = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed at"), auto_now=True)

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
        changed: dict[str, Any] = {}
        only = Platform(self.platform).only_currency if self.platform in Platform.values else ""
        if only and self.currency != only:
            changed["currency"] = _("%(platform)s counts in %(currency)s only.") % {
                "platform": Platform(self.platform).label,
                "currency": only,
            }
        if self.pk and self.listings.exists():
            stored = Channel.objects.only("currency", "platform").get(pk=self.pk)
            if stored.currency != self.currency:
                changed["currency"] = _("Its history is in %(currency)s. Add a new channel for another currency.") % {
                    "currency": stored.currency
                }
            if stored.platform != self.platform:
                changed["platform"] = _("It has listings on its platform. Add a new channel for another platform.")
        if changed:
            raise ValidationError(changed)

    @property
    def interval(self) -> timedelta:
        """Between two readings of a listing that has no interval of its own."""
        return timedelta(seconds=self.interval_seconds)

    @property
    def mark(self) -> str:
        return Platform(self.platform).mark

    @property
    def item_rules(self) -> ItemRules:
        return ITEM_RULES[Platform(self.platform)]
