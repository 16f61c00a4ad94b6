"""What a channel's shop was found to have, what of ours each of it seems to be, and how much of it is sold."""

from datetime import datetime
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from catalog.matching import BULK_EVIDENCE, Evidence
from catalog.models.channel import Channel
from catalog.models.listing import SHELF_CHOICES, Listing, ListingQuerySet, MoneyField
from catalog.models.product import Sku
from catalog.models.staff import User

EVIDENCE_LABELS = {
    Evidence.BARCODE: _("same barcode"),
    Evidence.CODE: _("merchant code is the SKU"),
    Evidence.ELSEWHERE: _("same merchant code on another listing"),
    Evidence.TITLE: _("only the title fits"),
    Evidence.NONE: _("nothing fits"),
}
EVIDENCE_CHOICES = [(evidence.value, label) for evidence, label in EVIDENCE_LABELS.items()]


class ProposalQuerySet(models.QuerySet["Proposal"]):
    def visible_to(self, user: User) -> Self:
        """Proposals of the channels this person works with."""
        return self if user.sees_all_channels else self.filter(channel__in=Channel.objects.visible_to(user))

    def open(self) -> Self:
        return self.filter(status=Proposal.Status.OPEN)

    def waiting_for(self, user: User) -> int:
        """How many open ones wait for the person. One query, which the index on channel and status answers."""
        return self.open().filter(channel__in=Channel.objects.visible_to(user)).count()

    def clear(self) -> Self:
        """The open ones that many may be accepted of at once: strong evidence, and nothing against it."""
        return self.open().filter(sku__isnull=False, evidence__in=BULK_EVIDENCE, conflicts=[])


class Proposal(models.Model):
    """One listing as the shop told it last, the SKU it seems to be, and what somebody decided.

    Facts are those of the moment it was seen: for the present ones, see its listing.
    """

    class Status(models.TextChoices):
        OPEN = "open", _("open")
        ACCEPTED = "accepted", _("accepted")
        REJECTED = "rejected", _("rejected")

    channel = models.ForeignKey(Channel, models.CASCADE, related_name="proposals", verbose_name=_("channel"))
    platform_item_id = models.CharField(_("platform item id"), max_length=128)
    platform_sku_id = models.CharField(_("platform SKU id"), max_length=128, blank=True)
    platform_stock_id = models.CharField(max_length=128, blank=True)
    title = models.CharField(_("title"), max_length=255, blank=True)
    outer_id = models.CharField(_("merchant code"), max_length=128, blank=True)
    barcode = models.CharField(_("barcode"), max_length=32, blank=True)
    price = MoneyField(_("live price"), null=True)
    list_price = MoneyField(_("list price"), null=True)
    stock = models.IntegerField(_("stock"), null=True)
    shelf_state = models.CharField(_("shelf state"), max_length=10, choices=SHELF_CHOICES)
    found_at = models.DateTimeField(_("found at"))
    seen_at = models.DateTimeField(_("last seen"))

    # Our listing of the same ids, removed or not; null: there is none.
    listing = models.ForeignKey(
        Listing, models.SET_NULL, null=True, related_name="proposals", verbose_name=_("listing")
    )
    sku = models.ForeignKey(Sku, models.SET_NULL, null=True, related_name="proposals", verbose_name=_("SKU"))
    evidence = models.CharField(_("evidence"), max_length=10, choices=EVIDENCE_CHOICES, default=Evidence.NONE.value)
    conflicts = models.JSONField(default=list)  # see matching.Conflict.stored

    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.OPEN)
    # When and by whom; null: nobody had to, because the listing was mapped or removed before.
    decided_at = models.DateTimeField(_("decided at"), null=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    undo = models.JSONField(default=dict)  # what accepting did: see mapping/decisions.py; {}: nothing to take back

    objects = ProposalQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("proposal")
        verbose_name_plural = _("proposals")
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "platform_item_id", "platform_sku_id"], name="proposal_identity"
            ),
            models.CheckConstraint(condition=~Q(platform_item_id=""), name="proposal_has_item_id"),
        ]
        indexes = [models.Index(fields=["channel", "status", "sku"], name="proposal_channel_status")]

    def __str__(self) -> str:
        return self.title or self.platform_id

    @property
    def platform_id(self) -> str:
        """Item id, and the variant's behind a slash."""
        return f"{self.platform_item_id}/{self.platform_sku_id}" if self.platform_sku_id else self.platform_item_id

    @property
    def is_open(self) -> bool:
        return self.status == self.Status.OPEN

    @property
    def is_clear(self) -> bool:
        """Whether it may be accepted together with others; see ProposalQuerySet.clear()."""
        return self.is_open and self.sku_id is not None and self.evidence in BULK_EVIDENCE and not self.conflicts

    @property
    def can_be_undone(self) -> bool:
        return not self.is_open and self.decided_at is not None


class ShopRead(models.Model):
    """One long reading of a channel's shop, in slices: the last one, or the one that goes on."""

    class Kind(models.TextChoices):
        LISTINGS = "listings", _("listings")
        SALES = "sales", _("sales")

    channel = models.ForeignKey(Channel, models.CASCADE, related_name="shop_reads")
    kind = models.CharField(max_length=10, choices=Kind)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)  # null: it goes on, or waits for somebody
    slice_at = models.DateTimeField(null=True)  # the end of the last slice
    next_at = models.DateTimeField(null=True)  # not before then; null: only when somebody asks for it
    lease_until = models.DateTimeField(null=True)
    count = models.PositiveIntegerField(default=0)  # listings or orders read until now
    cause = models.CharField(max_length=60, blank=True)  # why the last slice ended early; a slug
    code = models.CharField(max_length=120, blank=True)  # the platform's own
    state = models.JSONField(default=dict)  # how far it is, for the next slice: see integrations/shop_reads.py

    class Meta:
        constraints = [models.UniqueConstraint(fields=["channel", "kind"], name="shop_read_channel_kind")]

    def __str__(self) -> str:
        return f"{self.channel_id} {self.kind}"

    def goes_on(self, now: datetime) -> bool:
        """Whether a slice of it runs now, or will without anybody's asking."""
        is_running = self.lease_until is not None and self.lease_until > now
        return self.ended_at is None and (is_running or self.next_at is not None)


class Sales(models.Model):
    """Units that were ordered in a period, without cancelled and returned ones.

    `units` None: orders named the item without saying which variant. No row: not read.
    """

    units = models.IntegerField(_("sold in 30 days"), null=True)
    since = models.DateTimeField()
    read_at = models.DateTimeField(_("read at"))

    class Meta:
        abstract = True


class ListingSales(Sales):
    """Of an own listing that is not mapped."""

    listing = models.OneToOneField(Listing, models.CASCADE, primary_key=True, related_name="sales")

    def __str__(self) -> str:
        return f"{self.listing_id}: {self.units}"


class ProposalSales(Sales):
    """Of what a shop was found to have, which need not be a listing of ours yet."""

    proposal = models.OneToOneField(Proposal, models.CASCADE, primary_key=True, related_name="sales")

    def __str__(self) -> str:
        return f"{self.proposal_id}: {self.units}"


class UnmappedListingManager(models.Manager.from_queryset(ListingQuerySet)):  # type: ignore[misc]
    def get_queryset(self) -> Any:
        own = super().get_queryset().filter(sku__isnull=True, ownership=Listing.Ownership.OWN)
        return own.filter(removed_at__isnull=True)


class UnmappedListing(Listing):
    """An own listing that nobody has said the SKU of; a list of its own, since it is worked off by sales."""

    objects = UnmappedListingManager()  # type: ignore[misc]

    class Meta:
        proxy = True
        ordering = ["-pk"]
        verbose_name = _("unmapped listing")
        verbose_name_plural = _("unmapped listings")
