"""What we have: warehouses, the ledger of stock movements, its sums, bundles, transfers, and what channels may show."""

from typing import Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from catalog.models.channel import Channel
from catalog.models.listing import Listing
from catalog.models.product import Sku
from catalog.models.staff import User

MOST_UNITS = 1_000_000  # in one movement, transfer or order line: more is a slip of the keyboard


class Warehouse(models.Model):
    code = models.CharField(_("code"), max_length=40, unique=True)
    name = models.CharField(_("name"), max_length=120)
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Off: what it holds is not offered on any channel.")
    )
    position = models.PositiveIntegerField(
        pgettext_lazy("place in a sequence", "order"),
        default=1,
        help_text=_("Sales are taken from the lowest that has enough."),
    )

    class Meta:
        ordering = ["position", "code"]
        verbose_name = _("warehouse")
        verbose_name_plural = _("warehouses")

    def __str__(self) -> str:
        return self.name or self.code


class StockLevel(models.Model):
    """The sums of a SKU's movements in a warehouse, kept in the transaction that adds a movement.

    No row, or not counted: nobody knows what there is. Negative `available` is oversold stock, and stays visible.
    """

    sku = models.ForeignKey(Sku, models.PROTECT, related_name="stock_levels", verbose_name=_("SKU"))
    warehouse = models.ForeignKey(Warehouse, models.PROTECT, related_name="stock_levels", verbose_name=_("warehouse"))
    on_hand = models.IntegerField(_("on hand"), default=0)
    reserved = models.IntegerField(_("reserved"), default=0)
    available = models.GeneratedField(
        expression=F("on_hand") - F("reserved"),
        output_field=models.IntegerField(),
        db_persist=True,
        verbose_name=_("available"),
    )
    # Whether anything but sales was ever booked: what was only sold without ever having been counted tells how much
    # is gone, and not how much is there.
    is_counted = models.BooleanField(_("counted"), default=False, editable=False)
    updated_at = models.DateTimeField(_("changed at"), default=timezone.now)

    class Meta:
        ordering = ["sku", "warehouse"]
        verbose_name = _("stock level")
        verbose_name_plural = _("stock levels")
        constraints = [models.UniqueConstraint(fields=["sku", "warehouse"], name="stock_level_identity")]
        indexes = [models.Index(fields=["available"], name="stock_level_oversold", condition=Q(available__lt=0))]

    def __str__(self) -> str:
        return f"{self.sku} · {self.warehouse}"


class BundleComponent(models.Model):
    """A bundle is sold as one and consists of units of other SKUs. It has no stock of its own."""

    bundle = models.ForeignKey(Sku, models.CASCADE, related_name="components", verbose_name=_("bundle"))
    component = models.ForeignKey(Sku, models.PROTECT, related_name="bundles", verbose_name=_("component"))
    units = models.PositiveIntegerField(
        _("units in one bundle"), default=1, validators=[MinValueValidator(1), MaxValueValidator(MOST_UNITS)]
    )

    class Meta:
        ordering = ["bundle", "component"]
        verbose_name = _("bundle component")
        verbose_name_plural = _("bundle components")
        constraints = [
            models.UniqueConstraint(
                fields=["bundle", "component"],
                name="bundle_component_once",
                violation_error_message=_("This SKU is already a component. Change its units instead."),
            ),
            models.CheckConstraint(condition=Q(units__gte=1), name="bundle_component_units_positive"),
            models.CheckConstraint(condition=~Q(bundle=F("component")), name="bundle_is_no_component_of_itself"),
        ]

    def __str__(self) -> str:
        return f"{self.units} × {self.component}"

    def clean(self) -> None:
        super().clean()
        if self.component_id and self.component_id == self.bundle_id:
            raise ValidationError({"component": _("A bundle cannot contain itself.")})
        if self.component_id and BundleComponent.objects.filter(bundle_id=self.component_id).exists():
            raise ValidationError({"component": _("This SKU is a bundle. Choose the SKUs it consists of.")})
        if self.bundle_id and BundleComponent.objects.filter(component_id=self.bundle_id).exists():
            raise ValidationError(_("This SKU is a component of a bundle, so it cannot be a bundle itself."))
        if self.bundle_id and StockLevel.objects.filter(sku_id=self.bundle_id).exclude(on_hand=0, reserved=0).exists():
            raise ValidationError(_("This SKU has stock of its own. Count it to 0 before it becomes a bundle."))


class Transfer(models.Model):
    """Units on their way from one warehouse to another; until they arrive they are in neither."""

    sku = models.ForeignKey(Sku, models.PROTECT, related_name="transfers", verbose_name=_("SKU"))
    source = models.ForeignKey(Warehouse, models.PROTECT, related_name="transfers_out", verbose_name=_("from"))
    destination = models.ForeignKey(Warehouse, models.PROTECT, related_name="transfers_in", verbose_name=_("to"))
    quantity = models.PositiveIntegerField(_("units"), validators=[MinValueValidator(1), MaxValueValidator(MOST_UNITS)])
    note = models.CharField(_("note"), max_length=200, blank=True)
    sent_at = models.DateTimeField(_("sent at"))
    received_at = models.DateTimeField(_("arrived at"), null=True, blank=True)  # null: in transit
    received_quantity = models.PositiveIntegerField(_("units arrived"), null=True, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("by")
    )

    class Meta:
        ordering = ["-sent_at", "-pk"]
        verbose_name = _("transfer")
        verbose_name_plural = _("transfers")
        constraints = [
            models.CheckConstraint(condition=~Q(source=F("destination")), name="transfer_between_two_warehouses"),
            models.CheckConstraint(condition=Q(quantity__gte=1), name="transfer_quantity_positive"),
            models.CheckConstraint(
                condition=Q(received_at__isnull=True, received_quantity__isnull=True)
                | Q(received_at__isnull=False, received_quantity__isnull=False),
                name="transfer_arrives_with_a_quantity",
            ),
        ]
        indexes = [models.Index(fields=["sku"], name="transfer_in_transit", condition=Q(received_at__isnull=True))]

    def __str__(self) -> str:
        return f"{self.quantity} × {self.sku}: {self.source} → {self.destination}"

    @property
    def is_in_transit(self) -> bool:
        return self.received_at is None

    @property
    def missing(self) -> int:
        """Units that were sent and did not arrive; 0 while they are on their way."""
        return 0 if self.received_quantity is None else self.quantity - self.received_quantity


class StockMovement(models.Model):
    """One entry of the ledger. Entries are added and never changed; catalog/stock/ledger.py is the only writer."""

    class Kind(models.TextChoices):
        SALE = "sale", _("sale")
        RETURN = "return", _("return")
        RECEIPT = "receipt", _("receipt")
        ADJUSTMENT = "adjustment", _("adjustment")
        COUNT = "count", _("count")
        TRANSFER_OUT = "transfer_out", _("transfer out")
        TRANSFER_IN = "transfer_in", _("transfer in")
        RESERVE = "reserve", _("reservation")
        RELEASE = "release", _("release of a reservation")

    RESERVING = (Kind.RESERVE, Kind.RELEASE)  # they change what is reserved; all others change what is on hand
    COUNTING = (Kind.COUNT, Kind.RECEIPT, Kind.ADJUSTMENT, Kind.TRANSFER_IN)  # after one of them the level is known

    class Source(models.TextChoices):
        MANUAL = "manual", _("by hand")
        ORDER = "order", _("order")
        COUNT = "count", _("stock count")
        TRANSFER = "transfer", _("transfer")
        PURCHASE = "purchase", _("purchase order")
        IMPORT = "import", _("file")
        OPENING = "opening", _("opening stock")

    sku = models.ForeignKey(Sku, models.PROTECT, related_name="movements", verbose_name=_("SKU"))
    warehouse = models.ForeignKey(Warehouse, models.PROTECT, related_name="movements", verbose_name=_("warehouse"))
    kind = models.CharField(_("kind"), max_length=12, choices=Kind)
    # Signed: what it adds to the units on hand, or to the reserved ones. A count holds the difference it found.
    quantity = models.IntegerField(_("units"))
    key = models.CharField(max_length=200, unique=True)  # the same movement sent twice is booked once
    source = models.CharField(_("source"), max_length=10, choices=Source)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("by")
    )
    channel = models.ForeignKey(
        Channel, models.PROTECT, null=True, blank=True, related_name="movements", verbose_name=_("channel")
    )
    order_line = models.ForeignKey(
        "catalog.OrderLine", models.PROTECT, null=True, blank=True, related_name="movements", verbose_name=_("order")
    )
    transfer = models.ForeignKey(
        Transfer, models.PROTECT, null=True, blank=True, related_name="movements", verbose_name=_("transfer")
    )
    happened_at = models.DateTimeField(_("happened at"))
    created_at = models.DateTimeField(_("booked at"), default=timezone.now)

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("stock movement")
        verbose_name_plural = _("stock movements")
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="count")
                | Q(kind="adjustment") & ~Q(quantity=0)
                | Q(kind__in=["sale", "transfer_out", "release"], quantity__lt=0)
                | Q(kind__in=["return", "receipt", "transfer_in", "reserve"], quantity__gt=0),
                name="movement_sign_fits_kind",
            ),
            models.CheckConstraint(condition=~Q(key=""), name="movement_has_key"),
        ]
        indexes = [
            models.Index(fields=["sku", "warehouse", "id"], name="movement_of_level"),
            models.Index(fields=["created_at"], name="movement_booked_at"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.quantity:+d} × {self.sku}"


class ChannelLocation(models.Model):
    """Which location of a channel's shop shows the stock of which warehouse.

    A channel without any shows the stock of all active warehouses at its only location.
    """

    channel = models.ForeignKey(Channel, models.CASCADE, related_name="locations", verbose_name=_("channel"))
    warehouse = models.ForeignKey(
        Warehouse, models.CASCADE, related_name="channel_locations", verbose_name=_("warehouse")
    )
    location_id = models.CharField(
        _("location of the shop"), max_length=128, blank=True, help_text=_("Empty: the shop has only one.")
    )
    position = models.PositiveIntegerField(pgettext_lazy("place in a sequence", "order"), default=1)

    class Meta:
        ordering = ["channel", "position", "pk"]
        verbose_name = _("warehouse of the channel")
        verbose_name_plural = _("warehouses of the channel")
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "warehouse"],
                name="channel_location_warehouse_once",
                violation_error_message=_("This warehouse is already there."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.warehouse} → {self.location_id or '·'}"


class StockRuleQuerySet(models.QuerySet["StockRule"]):
    def visible_to(self, user: User) -> Self:
        """Rules of the channels this person works with, and of their listings."""
        if user.sees_all_channels:
            return self
        channels = Channel.objects.visible_to(user)
        return self.filter(Q(channel__in=channels) | Q(listing__channel__in=channels))


class StockRule(models.Model):
    """How much of what is available a channel, or one listing of it, may show.

    On a listing an empty field means what its channel's rule says; on a channel, that nothing is held back.
    """

    channel = models.OneToOneField(
        Channel, models.CASCADE, null=True, blank=True, related_name="stock_rule", verbose_name=_("channel")
    )
    listing = models.OneToOneField(
        Listing, models.CASCADE, null=True, blank=True, related_name="stock_rule", verbose_name=_("listing")
    )
    buffer = models.PositiveIntegerField(
        _("buffer"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(MOST_UNITS)],
        help_text=_("Units that are never offered here."),
    )
    share_percent = models.PositiveSmallIntegerField(
        _("share"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(100)],
        help_text=_("Percent of what the buffer leaves, rounded down."),
    )
    cap = models.PositiveIntegerField(
        _("show at most"), null=True, blank=True, validators=[MaxValueValidator(MOST_UNITS)]
    )
    stop_at = models.PositiveIntegerField(
        _("sold out at"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(MOST_UNITS)],
        help_text=_("With this many units available, or fewer, it shows 0."),
    )
    is_paused = models.BooleanField(
        _("paused"), null=True, blank=True, help_text=_("Paused: what the platform shows is left as it is.")
    )
    updated_at = models.DateTimeField(_("changed at"), auto_now=True)

    objects = StockRuleQuerySet.as_manager()

    class Meta:
        verbose_name = _("stock rule")
        verbose_name_plural = _("stock rules")
        constraints = [
            models.CheckConstraint(
                condition=Q(channel__isnull=True, listing__isnull=False)
                | Q(channel__isnull=False, listing__isnull=True),
                name="stock_rule_of_channel_or_listing",
            ),
            models.CheckConstraint(
                condition=Q(share_percent__isnull=True) | Q(share_percent__lte=100), name="stock_rule_share_percent"
            ),
        ]

    def __str__(self) -> str:
        return str(self.channel or self.listing)
