"""What we buy: the terms of suppliers, purchase orders and what came of them, and the lanes between warehouses."""

from typing import Any, Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from catalog.models.channel import validate_currency
from catalog.models.product import MOST_DAYS, Sku, Supplier
from catalog.models.staff import User
from catalog.models.stock import MOST_UNITS, BundleComponent, Warehouse

_UNITS = [MinValueValidator(1), MaxValueValidator(MOST_UNITS)]


class SupplierSkuQuerySet(models.QuerySet["SupplierSku"]):
    def visible_to(self, user: User) -> Self:
        """Those of the SKUs that this person sees."""
        return self if user.sees_all_channels else self.filter(sku__in=Sku.objects.visible_to(user))


class SupplierSku(models.Model):
    """On which terms a supplier sells a SKU. The SKU's own `supplier` is the one it is bought from."""

    supplier = models.ForeignKey(Supplier, models.CASCADE, related_name="terms", verbose_name=_("supplier"))
    sku = models.ForeignKey(Sku, models.CASCADE, related_name="terms", verbose_name=_("SKU"))
    supplier_code = models.CharField(_("supplier's code"), max_length=100, blank=True)
    unit_cost = models.DecimalField(
        _("price per unit"),
        max_digits=14,
        decimal_places=4,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=_("In the currency of the supplier, without tax. Empty means not known."),
    )
    pack = models.PositiveIntegerField(
        _("units in a pack"), default=1, validators=_UNITS, help_text=_("Orders are rounded up to whole packs.")
    )
    minimum = models.PositiveIntegerField(
        _("minimum order"), default=1, validators=_UNITS, help_text=_("Units, of this SKU in one order.")
    )

    objects = SupplierSkuQuerySet.as_manager()

    class Meta:
        ordering = ["sku__code", "supplier__name"]
        verbose_name = _("terms of a supplier")
        verbose_name_plural = _("terms of suppliers")
        constraints = [
            models.UniqueConstraint(
                fields=["supplier", "sku"],
                name="supplier_sku_identity",
                violation_error_message=_("There are terms of this supplier for this SKU already."),
            ),
            models.CheckConstraint(condition=Q(pack__gte=1) & Q(minimum__gte=1), name="supplier_sku_units_positive"),
            models.CheckConstraint(
                condition=Q(unit_cost__isnull=True) | Q(unit_cost__gte=0), name="supplier_sku_cost_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.sku} · {self.supplier}"


class PurchaseOrderQuerySet(models.QuerySet["PurchaseOrder"]):
    def visible_to(self, user: User) -> Self:
        """Orders without a SKU that this person does not see: whoever acts on an order acts on all its lines."""
        if user.sees_all_channels:
            return self
        hidden = PurchaseOrderLine.objects.filter(order=OuterRef("pk")).exclude(sku__in=Sku.objects.visible_to(user))
        return self.filter(~Exists(hidden))


class PurchaseOrder(models.Model):
    """Goods ordered from a supplier for a warehouse; catalog/purchasing/ is the only writer once it is sent."""

    class Status(models.TextChoices):
        DRAFT = "draft", _("draft")
        SENT = "sent", pgettext_lazy("state of a purchase order", "sent")
        PARTLY_RECEIVED = "partly_received", _("partly received")
        RECEIVED = "received", pgettext_lazy("state of a purchase order", "received")
        CANCELLED = "cancelled", _("cancelled")

    ON_THE_WAY = (Status.SENT, Status.PARTLY_RECEIVED)

    number = models.CharField(_("number"), max_length=40, blank=True, help_text=_("Empty: the next of our own."))
    supplier = models.ForeignKey(Supplier, models.PROTECT, related_name="purchase_orders", verbose_name=_("supplier"))
    warehouse = models.ForeignKey(
        Warehouse, models.PROTECT, related_name="purchase_orders", verbose_name=_("to warehouse")
    )
    currency = models.CharField(_("currency"), max_length=3, default="CNY", validators=[validate_currency])
    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.DRAFT, editable=False)
    expected_at = models.DateTimeField(
        _("expected at"), null=True, blank=True, help_text=_("Empty: after the lead time, from when it is sent.")
    )
    note = models.CharField(_("note"), max_length=200, blank=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name=_("by"),
    )
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True, editable=False)
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True, editable=False)

    objects = PurchaseOrderQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        verbose_name = _("purchase order")
        verbose_name_plural = _("purchase orders")
        constraints = [
            models.CheckConstraint(
                condition=Q(status="draft", sent_at__isnull=True)
                | Q(status="cancelled")
                | Q(status__in=["sent", "partly_received", "received"], sent_at__isnull=False),
                name="purchase_order_sent_at_fits_status",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["draft", "sent", "partly_received"], closed_at__isnull=True)
                | Q(status__in=["received", "cancelled"], closed_at__isnull=False),
                name="purchase_order_closed_at_fits_status",
            ),
            models.UniqueConstraint(
                fields=["number"],
                name="purchase_order_number",
                condition=~Q(number=""),  # as it is while it waits for its own, within the transaction that adds it
                violation_error_message=_("There is an order with this number already."),
            ),
        ]
        indexes = [
            models.Index(
                fields=["warehouse"],
                name="purchase_order_on_the_way",
                condition=Q(status__in=["sent", "partly_received"]),
            )
        ]

    def __str__(self) -> str:
        return self.number

    def save(self, **kwargs: Any) -> None:
        """Gives it a number of our own where nobody chose one."""
        with transaction.atomic():
            super().save(**kwargs)
            if not self.number:
                self.number = f"PO-{self.pk:05d}"
                super().save(update_fields=["number"])

    @property
    def is_draft(self) -> bool:
        return self.status == self.Status.DRAFT

    @property
    def is_on_the_way(self) -> bool:
        return self.status in self.ON_THE_WAY


class PurchaseOrderLine(models.Model):
    """Units of one SKU. What came may be more than what was ordered; what will not come any more is cancelled."""

    order = models.ForeignKey(PurchaseOrder, models.CASCADE, related_name="lines", verbose_name=_("purchase order"))
    sku = models.ForeignKey(Sku, models.PROTECT, related_name="purchase_lines", verbose_name=_("SKU"))
    quantity = models.PositiveIntegerField(_("units"), validators=_UNITS)
    received = models.PositiveIntegerField(_("units arrived"), default=0, editable=False)
    cancelled = models.PositiveIntegerField(_("units cancelled"), default=0, editable=False)
    unit_cost = models.DecimalField(
        _("price per unit"),
        max_digits=14,
        decimal_places=4,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=_("Empty: as the terms of the supplier say."),
    )

    class Meta:
        ordering = ["sku__code"]
        verbose_name = _("line of a purchase order")
        verbose_name_plural = _("lines of purchase orders")
        constraints = [
            models.UniqueConstraint(
                fields=["order", "sku"],
                name="purchase_line_identity",
                violation_error_message=_("This SKU is in the order already. Change its units instead."),
            ),
            models.CheckConstraint(condition=Q(quantity__gte=1), name="purchase_line_quantity_positive"),
            models.CheckConstraint(
                condition=Q(cancelled__lte=F("quantity")), name="purchase_line_cancelled_of_what_was_ordered"
            ),
            models.CheckConstraint(
                condition=Q(unit_cost__isnull=True) | Q(unit_cost__gte=0), name="purchase_line_cost_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} × {self.sku}"

    def clean(self) -> None:
        super().clean()
        if self.sku_id and BundleComponent.objects.filter(bundle_id=self.sku_id).exists():
            raise ValidationError({"sku": _("This SKU is a bundle. Order the SKUs it consists of.")})

    @property
    def outstanding(self) -> int:
        """Units that are still to come; 0 where more came than was ordered."""
        return max(0, self.quantity - self.cancelled - self.received)


class PurchaseReceipt(models.Model):
    """What arrived of a purchase order at once; its movements are booked with it. `key` names it for ever."""

    order = models.ForeignKey(PurchaseOrder, models.PROTECT, related_name="receipts", verbose_name=_("purchase order"))
    key = models.CharField(max_length=100, unique=True, editable=False)
    note = models.CharField(_("note"), max_length=200, blank=True)
    received_at = models.DateTimeField(_("arrived at"))
    received_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("by")
    )

    class Meta:
        ordering = ["-received_at", "-pk"]
        verbose_name = _("receipt of a purchase order")
        verbose_name_plural = _("receipts of purchase orders")
        constraints = [models.CheckConstraint(condition=~Q(key=""), name="purchase_receipt_has_key")]
        indexes = [models.Index(fields=["received_at"], name="purchase_receipt_at")]

    def __str__(self) -> str:
        return f"{self.order} {self.received_at:%Y-%m-%d}"


class PurchaseReceiptLine(models.Model):
    receipt = models.ForeignKey(PurchaseReceipt, models.CASCADE, related_name="lines", verbose_name=_("receipt"))
    line = models.ForeignKey(PurchaseOrderLine, models.PROTECT, related_name="receipts", verbose_name=_("order line"))
    quantity = models.PositiveIntegerField(_("units"), validators=_UNITS)

    class Meta:
        ordering = ["receipt", "line"]
        verbose_name = _("line of a receipt")
        verbose_name_plural = _("lines of receipts")
        constraints = [
            models.UniqueConstraint(fields=["receipt", "line"], name="purchase_receipt_line_identity"),
            models.CheckConstraint(condition=Q(quantity__gte=1), name="purchase_receipt_line_quantity_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} × {self.line.sku}"


class Lane(models.Model):
    """How stock moves from one warehouse to another. Without a lane nothing is proposed to be moved."""

    source = models.ForeignKey(Warehouse, models.CASCADE, related_name="lanes_out", verbose_name=_("from"))
    destination = models.ForeignKey(Warehouse, models.CASCADE, related_name="lanes_in", verbose_name=_("to"))
    days = models.PositiveSmallIntegerField(
        _("days on the way"), validators=[MaxValueValidator(MOST_DAYS)], help_text=_("From sending to arriving.")
    )
    currency = models.CharField(_("currency"), max_length=3, default="CNY", validators=[validate_currency])
    unit_cost = models.DecimalField(
        _("cost of a unit"), max_digits=14, decimal_places=4, validators=[MinValueValidator(0)]
    )
    fixed_cost = models.DecimalField(
        _("fixed cost"),
        max_digits=14,
        decimal_places=4,
        default=0,
        validators=[MinValueValidator(0)],
        help_text=_("Of each transfer, whatever its units; a transfer is of one SKU."),
    )
    minimum = models.PositiveIntegerField(
        _("minimum lot"), default=1, validators=_UNITS, help_text=_("Units, of one SKU in a transfer.")
    )

    class Meta:
        ordering = ["source", "destination"]
        verbose_name = _("lane")
        verbose_name_plural = _("lanes")
        constraints = [
            models.UniqueConstraint(
                fields=["source", "destination"],
                name="lane_identity",
                violation_error_message=_("There is a lane between these warehouses already."),
            ),
            models.CheckConstraint(
                condition=~Q(source=F("destination")),
                name="lane_between_two_warehouses",
                violation_error_message=_("A lane is between two warehouses."),
            ),
            models.CheckConstraint(
                condition=Q(unit_cost__gte=0) & Q(fixed_cost__gte=0) & Q(minimum__gte=1), name="lane_figures"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source} → {self.destination}"
