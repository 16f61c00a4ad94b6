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


class ListingPrice(models.Model):
    """When a listing's price is to be worked out again, and the last answer."""

    listing = models.OneToOneField(Listing, models.CASCADE, primary_key=True, related_name="price")
    due_at = models.DateTimeField(null=True)  # null: nothing that it hangs on will change by itself
    quoted_at = models.DateTimeField(null=True)  # the last time that it was worked out, whether or not it changed
    quote = models.ForeignKey(PriceQuote, models.SET_NULL, null=True, related_name="+")  # the last one

    class Meta:
        verbose_name = _("price of a listing")
        verbose_name_plural = _("prices of listings")
        indexes = [models.Index(fields=["due_at"], name="listing_price_due", condition=Q(due_at__isnull=False))]

    def __str__(self) -> str:
        return str(self.listing)
