"""What a buyer pays for a listing after all promotions, how it came about, and what is left of it."""

from typing import Self

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from catalog.models import Channel, Listing, User


class PriceQuoteQuerySet(models.QuerySet["PriceQuote"]):
    def visible_to(self, user: User) -> Self:
        """Of the channels this person works with."""
        return self if user.sees_all_channels else self.filter(listing__channel__in=Channel.objects.visible_to(user))


class PriceQuote(models.Model):
    """The price of one unit from a moment on, with all that it was worked out from; never changed once it is stored.

    A row is stored when the answer differs from the listing's last one. Money is in the minor unit of `currency`; None
    is not known. `request` and `costs` are what to compute with again: the answer is the same to the unit.
    """

    class Status(models.TextChoices):
        OK = "ok", _("known")
        CANNOT_TELL = "cannot_tell", _("cannot tell")
        REFUSED = "refused", _("refused")

    listing = models.ForeignKey(
        Listing, models.CASCADE, related_name="price_quotes", verbose_name=_("listing"), db_index=False
    )
    at = models.DateTimeField(_("at"))  # the moment that was asked about
    made_at = models.DateTimeField(_("worked out at"))
    rules_version = models.PositiveIntegerField(_("version of the rule sets"))
    currency = models.CharField(_("currency"), max_length=3)
    request = models.JSONField()  # in the exchange format of the pricing contract
    answer = models.JSONField()
    status = models.CharField(_("status"), max_length=12, choices=Status)
    reason = models.CharField(max_length=200, blank=True)  # a code of catalog.pricing.reasons
    buy_one = models.BigIntegerField(_("after coupon"), null=True)
    costs = models.JSONField(default=dict)  # of catalog.pricing.breakeven.Costs, and where the exchange rate is from
    receipts = models.BigIntegerField(null=True)  # what comes in, with the platform's part of the discounts
    break_even = models.BigIntegerField(_("break-even"), null=True)
    margin = models.BigIntegerField(_("margin"), null=True)
    platform_price = models.BigIntegerField(null=True)  # what the platform itself says that a buyer pays
    valid_until = models.DateTimeField(_("valid until"), null=True)  # the next window's edge; null: none is known

    objects = PriceQuoteQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("price quote")
        verbose_name_plural = _("price quotes")
        indexes = [models.Index(fields=["listing", "-id"], name="price_quote_listing")]
        constraints = [
            models.CheckConstraint(
                condition=Q(status="ok", buy_one__isnull=False) | (~Q(status="ok") & Q(buy_one__isnull=True)),
                name="price_quote_known_or_not",
            )
        ]

    def __str__(self) -> str:
        return f"{self.listing} {self.at:%Y-%m-%d %H:%M}"


class CollisionQuerySet(models.QuerySet["Collision"]):
    def visible_to(self, user: User) -> Self:
        """Of the channels this person works with."""
        return self if user.sees_all_channels else self.filter(listing__channel__in=Channel.objects.visible_to(user))


class Collision(models.Model):
    """Promotions, live or scheduled, that together sell one unit of a listing below break-even; or why nobody can tell.

    A certain one comes about by the rules of the channel, a possible one only where `rule`, which no platform confirms,
    has another value. Of each the stack with the lowest price is kept. Money is in the minor unit of `currency`.
    """

    class Certainty(models.TextChoices):
        CERTAIN = "certain", _("certain")
        POSSIBLE = "possible", _("possible")
        CANNOT_TELL = "cannot_tell", _("cannot tell")

    listing = models.ForeignKey(
        Listing, models.CASCADE, related_name="collisions", verbose_name=_("listing"), db_index=False
    )
    certainty = models.CharField(_("certainty"), max_length=12, choices=Certainty)
    starts_at = models.DateTimeField(_("first minute"))  # below break-even; or from when nobody can tell
    found_at = models.DateTimeField(_("looked through at"))
    rule = models.CharField(_("rule"), max_length=60, blank=True)  # of a possible one, such as "coupon.pick=many"
    buyer = models.CharField(_("only for"), max_length=100, blank=True)  # a tag of buyers; "": for everybody
    reason = models.CharField(max_length=200, blank=True)  # why nobody can tell: a code, and what it is about
    currency = models.CharField(_("currency"), max_length=3)
    worst_at = models.DateTimeField(null=True)  # from when the lowest price holds
    price = models.BigIntegerField(_("worst price"), null=True)  # what a buyer pays then
    receipts = models.BigIntegerField(null=True)  # what comes in then, with the platform's part of the discounts
    break_even = models.BigIntegerField(_("break-even"), null=True)  # of what comes in; null too where there is none
    margin = models.BigIntegerField(_("margin"), null=True)
    promotions = models.JSONField(_("promotions"), default=list)  # [id, name] of each that is used, in order

    objects = CollisionQuerySet.as_manager()

    class Meta:
        ordering = ["starts_at", "pk"]
        verbose_name = _("collision")
        verbose_name_plural = _("collisions")
        indexes = [models.Index(fields=["certainty", "starts_at"], name="collision_board")]
        constraints = [
            models.UniqueConstraint(fields=["listing", "certainty"], name="one_collision"),
            models.CheckConstraint(
                condition=Q(certainty="cannot_tell", price__isnull=True)
                | (~Q(certainty="cannot_tell") & Q(price__isnull=False, margin__lt=0)),
                name="collision_known_or_not",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.listing} {self.starts_at:%Y-%m-%d %H:%M}"


class ListingPrice(models.Model):
    """When a listing's price is to be worked out again, and the last answer."""

    listing = models.OneToOneField(Listing, models.CASCADE, primary_key=True, related_name="price")
    due_at = models.DateTimeField(null=True)  # null: nothing that it hangs on will change by itself
    quoted_at = models.DateTimeField(null=True)  # the last time that it was worked out, whether or not it changed
    scan_due_at = models.DateTimeField(
        null=True
    )  # when what is ahead of it is looked through for losses; null: never was
    quote = models.ForeignKey(PriceQuote, models.SET_NULL, null=True, related_name="+")  # the last one

    class Meta:
        verbose_name = _("price of a listing")
        verbose_name_plural = _("prices of listings")
        indexes = [
            models.Index(fields=["due_at"], name="listing_price_due", condition=Q(due_at__isnull=False)),
            models.Index(fields=["scan_due_at"], name="listing_scan_due"),
        ]

    def __str__(self) -> str:
        return str(self.listing)


class PriceRunQuerySet(models.QuerySet["PriceRun"]):
    def visible_to(self, user: User) -> Self:
        """One's own; its figures are of the listings that whoever asked could see."""
        return self if user.sees_all_channels else self.filter(asked_by=user)


class PriceRun(models.Model):
    """Prices that somebody asked to have worked out again together, and what came of it."""

    about = models.CharField(_("about"), max_length=200, blank=True)  # a channel or a promotion; "": chosen listings
    listing_ids = models.BinaryField()  # as monitoring.id_sets writes them
    total = models.PositiveIntegerField(_("listings"))
    asked_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+", verbose_name=_("asked by"))
    started_at = models.DateTimeField(_("started at"))
    ended_at = models.DateTimeField(_("ended at"), null=True)  # null: some are still to be worked out
    # What came of it, kept as it ends: how many changed, are the same, and by reason cannot be told.
    changed = models.PositiveIntegerField(_("changed"), default=0)
    same = models.PositiveIntegerField(_("same"), default=0)
    untold = models.JSONField(_("cannot tell"), default=dict)

    objects = PriceRunQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("recomputation of prices")
        verbose_name_plural = _("recomputations of prices")
        indexes = [
            models.Index(fields=["started_at"], name="price_run_running", condition=Q(ended_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.about} {self.started_at:%Y-%m-%d %H:%M}".strip()
