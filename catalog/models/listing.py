"""One item and variant on one channel: ours, or a competitor's that we watch."""

from typing import Any, Self

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from catalog.facts import Facts, ShelfState
from catalog.models.changes import DatedQuerySet
from catalog.models.channel import Channel
from catalog.models.product import Sku
from catalog.models.staff import User

SHELF_LABELS = {
    ShelfState.ON_SHELF: _("on shelf"),
    ShelfState.SOLD_OUT: _("sold out"),
    ShelfState.OFF_SHELF: _("off shelf"),
    ShelfState.UNKNOWN: _("unknown"),
}
SHELF_CHOICES = [(state.value, label) for state, label in SHELF_LABELS.items()]


class MoneyField(models.DecimalField):
    """An amount whose currency stands beside it; four decimals hold every ISO 4217 currency exactly."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **{"max_digits": 14, "decimal_places": 4, **kwargs})  # type: ignore[arg-type]


class ListingQuerySet(DatedQuerySet["Listing"]):
    def visible_to(self, user: User) -> Self:
        """Listings on the channels this person works with."""
        return self if user.sees_all_channels else self.filter(channel__in=Channel.objects.visible_to(user))

    def current(self) -> Self:
        """Without the removed ones, which stay only for their history."""
        return self.filter(removed_at__isnull=True)


class Listing(models.Model):
    """Identity, mapping, and the facts of the last good reading (None: that reading did not supply it)."""

    # What of it is shown is the history of this item of this channel, so these stay once it was read.
    IDENTITY = ("channel", "platform_item_id", "platform_sku_id")

    class Ownership(models.TextChoices):
        OWN = "own", _("own")
        COMPETITOR = "competitor", _("competitor")

    channel = models.ForeignKey(Channel, models.PROTECT, related_name="listings", verbose_name=_("channel"))
    sku = models.ForeignKey(
        Sku,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="listings",
        verbose_name=_("SKU"),
        help_text=_("What it sells, or what a competitor's listing competes with. Empty means not mapped."),
    )
    ownership = models.CharField(_("whose"), max_length=10, choices=Ownership, default=Ownership.OWN)
    platform_item_id = models.CharField(_("platform item id"), max_length=128)
    platform_sku_id = models.CharField(
        _("platform SKU id"), max_length=128, blank=True, help_text=_("Empty for an item without variants.")
    )
    title = models.CharField(_("title"), max_length=255, blank=True)
    outer_id = models.CharField(
        _("merchant code"), max_length=128, blank=True, help_text=_("Our code as the platform holds it.")
    )
    pack_factor = models.PositiveIntegerField(
        _("units per listing"),
        default=1,
        validators=[MinValueValidator(1)],
        help_text=_("A box of six sells six units."),
    )
    # What the platform counts its stock by, where that is none of the ids above; "": not told yet, or one of them.
    platform_stock_id = models.CharField(_("platform stock id"), max_length=128, blank=True, editable=False)
    removed_at = models.DateTimeField(_("removed at"), null=True, blank=True, editable=False)
    restored_at = models.DateTimeField(null=True, editable=False)  # the last time; null: never removed
    mapped_at = models.DateTimeField(null=True, editable=False)  # SKU or owner changed last; null: as it was added
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    # Of anything here, facts included.
    updated_at = models.DateTimeField(_("changed at"), auto_now=True)

    list_price = MoneyField(_("list price"), null=True, editable=False)
    live_price = MoneyField(_("live price"), null=True, editable=False)
    promotion_price = MoneyField(_("promotional price"), null=True, editable=False)
    stock = models.IntegerField(_("stock"), null=True, editable=False)
    shelf_state = models.CharField(
        _("shelf state"), max_length=10, choices=SHELF_CHOICES, default=ShelfState.UNKNOWN.value, editable=False
    )
    observed_at = models.DateTimeField(_("last change"), null=True, editable=False)

    objects = ListingQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("listing")
        verbose_name_plural = _("listings")
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "platform_item_id", "platform_sku_id"],
                name="listing_identity",
                violation_error_message=_("This item and variant is already a listing of the channel."),
            ),
            models.CheckConstraint(condition=Q(pack_factor__gte=1), name="listing_pack_factor_positive"),
            models.CheckConstraint(condition=~Q(platform_item_id=""), name="listing_has_item_id"),
        ]
        indexes = [
            models.Index(fields=["channel", "ownership"]),
            models.Index(fields=["outer_id"]),
            models.Index(fields=["updated_at"], name="listing_updated"),
        ]

    def __str__(self) -> str:
        return self.title or self.platform_id

    def clean(self) -> None:
        super().clean()
        stored = Listing.objects.only("observed_at", *self.IDENTITY).filter(pk=self.pk).first() if self.pk else None
        if stored is not None and stored.was_read:
            changed: dict[str, Any] = {
                name: _("Its history belongs to what it was. Remove it, and add a new listing instead.")
                for name in self.IDENTITY
                if stored.serializable_value(name) != self.serializable_value(name)
            }
            if changed:
                raise ValidationError(changed)
        elif self.channel_id:
            rules = self.channel.item_rules
            wrong: dict[str, Any] = {
                name: rules.id_error
                for name in ("platform_item_id", "platform_sku_id")
                if getattr(self, name) and not rules.id.fullmatch(getattr(self, name))
            }
            if wrong:
                raise ValidationError(wrong)

    @property
    def was_read(self) -> bool:
        """Whether there is a history: the first good reading sets the time of the last change."""
        return self.observed_at is not None

    @property
    def platform_id(self) -> str:
        """Item id, and the variant's behind a slash."""
        return f"{self.platform_item_id}/{self.platform_sku_id}" if self.platform_sku_id else self.platform_item_id

    @property
    def variant(self) -> str:
        """What sets it apart from others of the same title: our name and code, or the platform's ids while unmapped."""
        if self.sku is None:
            return self.platform_id
        return f"{self.sku.name} · {self.sku.code}" if self.sku.name else self.sku.code

    @property
    def is_own(self) -> bool:
        return self.ownership == self.Ownership.OWN

    @property
    def facts(self) -> Facts:
        """What the last good reading said; it says nothing about now when that reading is old."""
        return Facts(
            list_price=self.list_price,
            live_price=self.live_price,
            promotion_price=self.promotion_price,
            stock=self.stock,
            shelf_state=ShelfState(self.shelf_state),
        )
