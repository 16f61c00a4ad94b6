"""What we sell, whoever shows it: products, their SKUs, and who supplies them."""

from typing import Any, Self

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.models.changes import DatedQuerySet
from catalog.models.channel import Channel, validate_currency
from catalog.models.staff import User

MOST_DAYS = 730  # of a lead time: more is a slip of the keyboard


class Supplier(models.Model):
    name = models.CharField(_("name"), max_length=120, unique=True)
    contact = models.CharField(_("contact"), max_length=200, blank=True)
    note = models.TextField(_("note"), blank=True)
    currency = models.CharField(_("currency"), max_length=3, default="CNY", validators=[validate_currency])
    # As the supplier states them; what the receipts show counts for more, once there are enough of them.
    lead_time_days = models.PositiveSmallIntegerField(
        _("lead time"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(MOST_DAYS)],
        help_text=_("Days from ordering to receiving. Empty means not known."),
    )
    lead_time_spread_days = models.DecimalField(
        _("spread of the lead time"),
        max_digits=5,
        decimal_places=1,
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(MOST_DAYS)],
        help_text=_("Standard deviation in days: two of three orders come within it. Empty means not known."),
    )
    review_days = models.PositiveSmallIntegerField(
        _("review period"),
        default=0,
        validators=[MaxValueValidator(MOST_DAYS)],
        help_text=_("Days between two orders, for example 7. 0: we order on any day."),
    )
    minimum_value = models.DecimalField(
        _("minimum order value"),
        max_digits=14,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=_("Of a whole order, in the supplier's currency. Empty: none."),
    )

    class Meta:
        ordering = ["name"]
        verbose_name = _("supplier")
        verbose_name_plural = _("suppliers")
        constraints = [
            models.CheckConstraint(
                condition=(Q(lead_time_spread_days__isnull=True) | Q(lead_time_spread_days__gte=0))
                & (Q(minimum_value__isnull=True) | Q(minimum_value__gte=0)),
                name="supplier_terms_not_negative",
            )
        ]

    def __str__(self) -> str:
        return self.name


class ProductQuerySet(DatedQuerySet["Product"]):
    def visible_to(self, user: User) -> Self:
        """Products with a listing on one of the person's channels, and those that are not listed anywhere yet."""
        if user.sees_all_channels:
            return self
        skus = Sku.objects.filter(product=OuterRef("pk"), listings__isnull=False)
        seen = skus.filter(listings__channel__in=Channel.objects.visible_to(user))
        return self.filter(Exists(seen) | ~Exists(skus))


class Product(models.Model):
    name = models.CharField(_("name"), max_length=200)
    brand = models.CharField(_("brand"), max_length=80, blank=True, db_index=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed at"), auto_now=True)

    objects = ProductQuerySet.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        verbose_name = _("product")
        verbose_name_plural = _("products")
        constraints = [models.UniqueConstraint(fields=["name", "brand"], name="product_name_brand")]
        indexes = [models.Index(fields=["updated_at"], name="product_updated")]

    def __str__(self) -> str:
        return self.name


class SkuQuerySet(DatedQuerySet["Sku"]):
    def visible_to(self, user: User) -> Self:
        """SKUs with a listing on one of the person's channels, and those that are not listed anywhere yet."""
        if user.sees_all_channels:
            return self
        listed = Sku.objects.filter(pk=OuterRef("pk"), listings__isnull=False)
        seen = listed.filter(listings__channel__in=Channel.objects.visible_to(user))
        return self.filter(Exists(seen) | ~Exists(listed))


class Sku(models.Model):
    class Status(models.TextChoices):
        ACTIVE = "active", _("active")
        PAUSED = "paused", _("paused")
        RETIRED = "retired", _("retired")

    code = models.CharField(_("SKU"), max_length=100, unique=True)
    product = models.ForeignKey(Product, models.PROTECT, related_name="skus", verbose_name=_("product"))
    name = models.CharField(
        _("variant"), max_length=200, blank=True, help_text=_("What sets it apart, for example 500 ml, black.")
    )
    barcode = models.CharField(_("barcode"), max_length=32, blank=True, db_index=True)
    supplier = models.ForeignKey(
        Supplier, models.SET_NULL, null=True, blank=True, related_name="skus", verbose_name=_("supplier")
    )
    cost_price = models.DecimalField(
        _("cost price"),
        max_digits=14,
        decimal_places=4,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=_("What one unit costs us, without tax. Empty means not known."),
    )
    cost_currency = models.CharField(_("cost currency"), max_length=3, default="CNY", validators=[validate_currency])
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.ACTIVE)
    # Rises with every change of what can be sold of it, be it through a component.
    stock_version = models.PositiveBigIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed at"), auto_now=True)

    objects = SkuQuerySet.as_manager()

    class Meta:
        ordering = ["code"]
        verbose_name = _("SKU")
        verbose_name_plural = _("SKUs")
        permissions = [("view_cost", "Can see cost prices")]
        constraints = [
            models.CheckConstraint(
                condition=Q(cost_price__isnull=True) | Q(cost_price__gte=0), name="sku_cost_not_negative"
            )
        ]
        indexes = [models.Index(fields=["updated_at"], name="sku_updated")]

    def __str__(self) -> str:
        return self.code

    def save(self, **kwargs: Any) -> None:
        """Stores everything but the stock version, which may have risen since the row was read."""
        if not self._state.adding and kwargs.get("update_fields") is None:
            own = self._meta.concrete_fields
            kwargs["update_fields"] = [each.name for each in own if each.name not in ("id", "stock_version")]
        stored = None if self._state.adding else Sku.objects.filter(pk=self.pk)
        before = stored.values_list("cost_price", "cost_currency").first() if stored is not None else None
        super().save(**kwargs)
        # One that was stored ahead may have begun meanwhile: who changes something else does not mean to take it back.
        if before != (self.cost_price, self.cost_currency):
            self._keep_cost()

    def _keep_cost(self) -> None:
        """The cost has a history, since what was sold then is judged by what it cost then."""
        now = timezone.now()
        last = self.costs.filter(valid_from__lte=now).order_by("-valid_from").first()
        before = (last.amount, last.currency) if last else (None, self.cost_currency)
        if before != (self.cost_price, self.cost_currency):
            SkuCost.objects.create(sku=self, valid_from=now, amount=self.cost_price, currency=self.cost_currency)


class SkuCost(models.Model):
    """What one unit of a SKU costs us, without tax. A row without an amount says that it is not known any more."""

    sku = models.ForeignKey(Sku, models.CASCADE, related_name="costs", verbose_name=_("SKU"))
    valid_from = models.DateTimeField(_("valid from"))
    amount = models.DecimalField(
        _("cost price"), max_digits=14, decimal_places=4, null=True, blank=True, validators=[MinValueValidator(0)]
    )
    currency = models.CharField(_("cost currency"), max_length=3, default="CNY", validators=[validate_currency])

    class Meta:
        ordering = ["sku", "-valid_from"]
        verbose_name = _("cost of a SKU")
        verbose_name_plural = _("costs of SKUs")
        constraints = [
            models.UniqueConstraint(
                fields=["sku", "valid_from"],
                name="sku_cost_identity",
                violation_error_message=_("There is a cost of this SKU from this moment on already."),
            ),
            models.CheckConstraint(condition=Q(amount__isnull=True) | Q(amount__gte=0), name="sku_cost_amount"),
        ]

    def __str__(self) -> str:
        return f"{self.sku} {self.valid_from:%Y-%m-%d}"
