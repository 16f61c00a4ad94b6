"""What crossed a limit, and what became of it."""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from catalog.models import Channel, Listing, Promotion, Sku, User, Warehouse
from monitoring.thresholds.rules import Kind


class Severity(models.TextChoices):
    """Worst first."""

    CRITICAL = "critical", _("critical")
    WARNING = "warning", _("warning")
    INFO = "info", _("info")


class AlertKind(models.TextChoices):
    """What an alert is about: what a threshold looks for, or what working out prices or sending stock finds."""

    PRICE_RANGE = Kind.PRICE_RANGE.value, _("price outside a range")
    PRICE_CHANGE = Kind.PRICE_CHANGE.value, _("price changed by a percentage")
    VOLATILITY = Kind.VOLATILITY.value, _("price swings")
    STOCK_AT_MOST = Kind.STOCK_AT_MOST.value, _("stock at or below")
    SOLD_OUT = Kind.SOLD_OUT.value, _("sold out")
    RESTOCKED = Kind.RESTOCKED.value, _("back in stock")
    OFF_SHELF = Kind.OFF_SHELF.value, _("off shelf")
    BLIND = Kind.BLIND.value, _("not read")
    AUTHORISATION = Kind.AUTHORISATION.value, _("authorisation ends")
    # Of worked-out prices; no threshold stands behind these.
    BELOW_BREAK_EVEN = "below_break_even", _("sold below break-even")
    LOSS_AHEAD = "loss_ahead", _("will sell below break-even")
    BELOW_MARGIN = "below_margin", _("margin below the floor")
    NOT_BELOW_LOW = "not_below_low", _("promotional price above the 30-day low")
    PROMOTION_ENDS = "promotion_ends", _("promotion about to end")
    PLATFORM_DIFFERS = "platform_differs", _("platform tells another price")
    # Of channels: what the sync of stock holds back until a person decides; no threshold either.
    STOCK_HELD = "stock_held", _("stock held back")
    # Of a SKU in a warehouse, by its plan.
    BELOW_SAFETY_STOCK = "below_safety_stock", _("below the safety stock")
    BELOW_REORDER_POINT = "below_reorder_point", _("at the reorder point")


class AlertQuerySet(models.QuerySet["Alert"]):
    def visible_to(self, user: User) -> Self:
        return self if user.sees_all_channels else self.filter(channel__in=Channel.objects.visible_to(user))

    def unresolved(self) -> Self:
        return self.exclude(status=Alert.Status.RESOLVED)


class Alert(models.Model):
    """One crossing of a limit by one listing (or, without one, by a channel), until somebody or the facts end it.

    `status` is what people did with it, `cleared_at` when its condition ended; a threshold is in force for a listing
    exactly while an alert of the two has no `cleared_at`, so that one resolved by hand does not come back at the next
    reading. Values are text: an amount with its decimals, units, an ISO time, or a slug of a state; `kind` says which.
    Of a change in percent the old value is what the price was compared with, of swings the lowest and highest price.
    """

    class Status(models.TextChoices):
        OPEN = "open", _("open")
        ACKNOWLEDGED = "acknowledged", _("acknowledged")
        SNOOZED = "snoozed", _("snoozed")
        RESOLVED = "resolved", _("resolved")

    threshold = models.ForeignKey(
        "monitoring.Threshold",
        models.SET_NULL,
        null=True,
        related_name="alerts",
        verbose_name=_("threshold"),
        db_index=False,
    )  # null: deleted since
    kind = models.CharField(_("kind"), max_length=20, choices=AlertKind)  # of the threshold, at that time
    severity = models.CharField(_("severity"), max_length=10, choices=Severity)
    channel = models.ForeignKey(Channel, models.CASCADE, related_name="alerts", verbose_name=_("channel"))
    listing = models.ForeignKey(
        Listing, models.CASCADE, null=True, related_name="alerts", verbose_name=_("listing"), db_index=False
    )
    # What ends soon; null: it is about no promotion, or about one that was deleted since.
    promotion = models.ForeignKey(Promotion, models.SET_NULL, null=True, related_name="+")
    # What runs short where; null: it is about no plan.
    sku = models.ForeignKey(Sku, models.CASCADE, null=True, related_name="+")
    warehouse = models.ForeignKey(Warehouse, models.CASCADE, null=True, related_name="+", db_index=False)
    fact = models.CharField(max_length=20, blank=True)  # of Facts, "" for what is not one
    old_value = models.CharField(_("before"), max_length=40, blank=True)  # "": not known
    new_value = models.CharField(_("now"), max_length=40, blank=True)
    limit = models.CharField(_("limit"), max_length=40, blank=True)  # amount, percentage, units, readings or days
    reference = models.CharField(max_length=10, blank=True)  # of the threshold, when the change is in percent
    currency = models.CharField(max_length=3, blank=True)

    status = models.CharField(_("status"), max_length=12, choices=Status, default=Status.OPEN)
    opened_at = models.DateTimeField(_("opened at"))
    last_at = models.DateTimeField(_("last time"))  # of its last crossing
    count = models.PositiveIntegerField(_("times"), default=1)  # crossings within the threshold's quiet time
    cleared_at = models.DateTimeField(_("over since"), null=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("owner")
    )
    note = models.TextField(_("note"), blank=True)
    acknowledged_at = models.DateTimeField(_("acknowledged at"), null=True)
    snoozed_until = models.DateTimeField(_("snoozed until"), null=True)
    resolved_at = models.DateTimeField(_("resolved at"), null=True)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )  # null: by itself
    updated_at = models.DateTimeField(_("changed at"))  # of anything above

    objects = AlertQuerySet.as_manager()

    class Meta:
        ordering = ["-opened_at", "-pk"]
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        indexes = [
            models.Index(fields=["status", "-opened_at"], name="alert_board"),
            models.Index(fields=["listing", "-opened_at"], name="alert_of_listing"),
            # What each chunk of readings, and the clock, ask for: the ones in force, and those of the cooldown.
            models.Index(fields=["listing"], condition=Q(cleared_at__isnull=True), name="alert_in_force"),
            models.Index(fields=["listing", "last_at"], name="alert_of_listing_last"),
            models.Index(fields=["threshold", "last_at"], name="alert_of_threshold_last"),
            models.Index(fields=["updated_at"], name="alert_updated"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["threshold", "listing"], condition=Q(cleared_at__isnull=True), name="one_alert_in_force"
            ),
            models.UniqueConstraint(
                fields=["threshold", "channel"],
                condition=Q(cleared_at__isnull=True, listing__isnull=True),
                name="one_channel_alert_in_force",
            ),
            models.UniqueConstraint(
                fields=["kind", "listing"],
                condition=Q(
                    cleared_at__isnull=True,
                    kind__in=[
                        "below_break_even",
                        "loss_ahead",
                        "below_margin",
                        "not_below_low",
                        "platform_differs",
                    ],
                ),
                name="one_price_alert_in_force",
            ),
            models.UniqueConstraint(
                fields=["promotion"],
                condition=Q(cleared_at__isnull=True, kind="promotion_ends"),
                name="one_promotion_alert_in_force",
            ),
            models.UniqueConstraint(
                fields=["kind", "channel"],
                condition=Q(cleared_at__isnull=True, kind="stock_held"),
                name="one_stock_alert_in_force",
            ),
            models.UniqueConstraint(
                fields=["kind", "sku", "warehouse"],
                condition=Q(cleared_at__isnull=True, kind__in=["below_safety_stock", "below_reorder_point"]),
                name="one_plan_alert_in_force",
            ),
            models.CheckConstraint(
                condition=~Q(status="resolved") | Q(resolved_at__isnull=False), name="alert_resolved_has_time"
            ),
            models.CheckConstraint(
                condition=~Q(status="snoozed") | Q(snoozed_until__isnull=False), name="alert_snoozed_has_end"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} · {self.listing or self.channel}"
