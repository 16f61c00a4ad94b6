"""Orders of the channels, as far as stock and demand need them. Nothing of the buyer is kept."""

from typing import Self

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from catalog.models.channel import Channel
from catalog.models.listing import Listing, MoneyField
from catalog.models.staff import User
from catalog.models.stock import Warehouse


class OrderQuerySet(models.QuerySet["Order"]):
    def visible_to(self, user: User) -> Self:
        """Orders of the channels this person works with."""
        return self if user.sees_all_channels else self.filter(channel__in=Channel.objects.visible_to(user))


class LineCause(models.TextChoices):
    """Why a line is not booked, or not as the platform told it."""

    NOT_MAPPED = "not-mapped", _("Its listing has no SKU. Map it, and the line is booked then.")
    NO_WAREHOUSE = (
        "no-warehouse",
        _("There is no active warehouse to take it from. Add one, and the line is booked then."),
    )
    BUNDLE = "became-bundle", _("Its SKU has become a bundle since. Book what is left of the line by hand.")
    NO_UNITS = "no-units", _("The platform told no units, so nothing was booked. Look at the order there.")
    TOO_MANY_UNITS = "too-many-units", _("Too many units to be true, so nothing was booked. Look at the order there.")
    RETURNED_TOO_MANY = (
        "returned-too-many",
        _("More came back than was ordered, so all of it counts as returned. Look at the order there."),
    )
    REFUNDED = (
        "refunded",
        _("Paid back after it was sent, and nobody told whether it came back. Book the return once it is there."),
    )
    RELEASED = (
        "released",
        _("Released by hand, since nothing was heard of the order. If the platform tells of it, it is booked again."),
    )
    GONE = "gone", _("The platform took the line out of the order, so nothing of it is booked.")
    TEST_ORDER = "test-order", _("A test order: never booked.")
    BEFORE_SYNC = "before-sync", _("Sent before its channel was synced: stock was counted after it.")


class Order(models.Model):
    """One order as the platform told it last; catalog/stock/booking.py is the only writer."""

    class Status(models.TextChoices):
        UNPAID = "unpaid", _("not paid")
        PAID = "paid", _("paid")
        SENT = "sent", pgettext_lazy("state of an order", "sent")
        FINISHED = "finished", _("finished")
        CANCELLED = "cancelled", _("cancelled")
        UNKNOWN = "unknown", _("unknown")

    channel = models.ForeignKey(Channel, models.PROTECT, related_name="orders", verbose_name=_("channel"))
    platform_order_id = models.CharField(_("order number"), max_length=128)
    status = models.CharField(_("status"), max_length=10, choices=Status)
    ordered_at = models.DateTimeField(_("ordered at"))
    changed_at = models.DateTimeField(_("changed at"))  # the platform's own mark: an older one is old news
    paid_at = models.DateTimeField(_("paid at"), null=True, blank=True)
    currency = models.CharField(_("currency"), max_length=3, blank=True)
    is_test = models.BooleanField(_("test order"), default=False)
    seen_at = models.DateTimeField(_("first seen"))
    # The newest news of it that could not be booked, as it was told: tried again at `retry_at`. What was booked of the
    # order before stays; where nothing was, its status is unknown and it has no lines.
    set_aside_at = models.DateTimeField(_("set aside"), null=True)
    set_aside_told = models.TextField(blank=True, default="", db_default="")  # see catalog/stock/set_aside.py
    set_aside_reason = models.CharField(max_length=200, blank=True, default="", db_default="")  # the error's own words
    set_aside_tries = models.PositiveIntegerField(default=0, db_default=0)
    retry_at = models.DateTimeField(null=True)

    objects = OrderQuerySet.as_manager()

    class Meta:
        ordering = ["-ordered_at", "-pk"]
        verbose_name = _("order")
        verbose_name_plural = _("orders")
        constraints = [models.UniqueConstraint(fields=["channel", "platform_order_id"], name="order_identity")]
        indexes = [
            models.Index(fields=["retry_at"], name="order_set_aside", condition=Q(retry_at__isnull=False)),
            models.Index(fields=["channel", "seen_at"], name="order_seen"),
        ]

    def __str__(self) -> str:
        return self.platform_order_id


class OrderLine(models.Model):
    """Units of one listing in an order."""

    order = models.ForeignKey(Order, models.CASCADE, related_name="lines", verbose_name=_("order"))
    line_id = models.CharField(max_length=128)
    platform_item_id = models.CharField(_("platform item id"), max_length=128, blank=True)
    platform_sku_id = models.CharField(_("platform SKU id"), max_length=128, blank=True)
    outer_id = models.CharField(_("merchant code"), max_length=128, blank=True)
    listing = models.ForeignKey(
        Listing, models.SET_NULL, null=True, blank=True, related_name="order_lines", verbose_name=_("listing")
    )
    quantity = models.PositiveIntegerField(_("units"))
    returned = models.PositiveIntegerField(_("returned"), default=0)  # as the platform told
    refunded = models.PositiveIntegerField(default=0, db_default=0)  # sent and paid back; back or not, nobody told
    # Pieces that people took back, those among them that the platform had told by then; never more than `quantity`.
    returned_by_hand = models.PositiveIntegerField(_("returned, by hand"), default=0, db_default=0)
    paid_per_unit = MoneyField(_("paid per unit"), null=True, blank=True)  # in the order's currency; null: not told
    # [[id of a SKU, its units in one piece], ...] as they were when the line was first booked, so that a later change
    # of the mapping, the pack or the bundle does not book old orders anew. Null: not booked yet.
    components = models.JSONField(null=True)
    warehouse = models.ForeignKey(
        Warehouse, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("warehouse")
    )
    cause = models.CharField(max_length=60, blank=True)  # a LineCause; "": booked as told, or nothing is due

    class Meta:
        ordering = ["order", "pk"]
        verbose_name = _("order line")
        verbose_name_plural = _("order lines")
        constraints = [models.UniqueConstraint(fields=["order", "line_id"], name="order_line_identity")]
        indexes = [
            models.Index(
                fields=["platform_item_id", "platform_sku_id"],
                name="order_line_to_be_booked",
                condition=Q(components__isnull=True, cause__in=["not-mapped", "no-warehouse"]),
            )
        ]

    def __str__(self) -> str:
        return f"{self.order} · {self.line_id}"

    @property
    def came_back(self) -> int:
        """Pieces of it that came back, whoever said so first: the platform and people speak of the same ones."""
        return max(self.returned, self.returned_by_hand)
