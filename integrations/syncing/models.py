"""How far each channel is behind the one true stock, and the log of how it got there."""

import uuid
from typing import Self

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from catalog.models import Channel, Listing, User


class ChannelSync(models.Model):
    """Whether a channel's stock is ours to write, and how far its orders were read.

    No row: it never was switched on. Until a person has applied its first dry run nothing is written.
    """

    channel = models.OneToOneField(
        Channel, models.CASCADE, primary_key=True, related_name="sync", verbose_name=_("channel")
    )
    is_on = models.BooleanField(_("sync on"), default=False)
    is_confirmed = models.BooleanField(default=False)  # a person has applied a dry run of it
    is_paused = models.BooleanField(_("paused"), default=False)
    pause_reason = models.CharField(_("reason"), max_length=200, blank=True)
    paused_at = models.DateTimeField(null=True)
    paused_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    most_zeroed_percent = models.PositiveSmallIntegerField(
        _("asks before more than this go to 0"),
        default=30,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text=_(
            "Percent of the listings that show stock, within an hour. Fewer than 5 listings are never held back. "
            "100: never asks."
        ),
    )
    orders_read_until = models.DateTimeField(null=True)  # of the platform's change times; all before it is booked
    orders_due_at = models.DateTimeField(null=True, db_index=True)
    orders_lease_token = models.UUIDField(null=True)
    orders_lease_until = models.DateTimeField(null=True)
    orders_attempts = models.PositiveIntegerField(default=0)
    orders_cause = models.CharField(max_length=60, blank=True)
    orders_read_at = models.DateTimeField(null=True)  # the last good reading
    full_at = models.DateTimeField(null=True)  # the last full run ended
    incremental_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("stock sync of a channel")
        verbose_name_plural = _("stock sync of channels")
        constraints = [
            models.CheckConstraint(
                condition=Q(most_zeroed_percent__gte=1, most_zeroed_percent__lte=100),
                name="channel_sync_zeroed_percent",
            )
        ]

    def __str__(self) -> str:
        return str(self.channel)


class ListingSyncQuerySet(models.QuerySet["ListingSync"]):
    def visible_to(self, user: User) -> Self:
        """Of the channels this person works with."""
        if user.sees_all_channels:
            return self
        return self.filter(listing__channel__in=Channel.objects.visible_to(user))


class ListingSync(models.Model):
    """One listing at one location of its shop: what it is to show, what was sent, and what it was seen to show.

    There is work when `due_at` is set. A result is written only under the lease it was claimed with, and the synced
    versions only rise, so that an older figure cannot pass for the newest.
    """

    class State(models.TextChoices):
        NEW = "new", _("never sent")
        IN_SYNC = "in-sync", _("in sync")
        WAITING = "waiting", _("waiting")  # is to be sent, or is being sent
        SENT = "sent", _("sent, not confirmed yet")
        REFUSED = "refused", _("refused")
        FAILED = "failed", _("failed")  # nobody knows what it shows; tried again
        DISMISSED = "dismissed", _("dismissed")  # refused, and a person said that this is all right
        STOPPED = "stopped", _("left alone")  # paused, not mapped, inactive, or nothing known of its stock

    # The constraint and the indexes of the class begin with these, and each further index is written with every row.
    listing = models.ForeignKey(
        Listing, models.CASCADE, related_name="syncs", verbose_name=_("listing"), db_index=False
    )
    # The listing's, once more: what is due is claimed by channel.
    channel = models.ForeignKey(Channel, models.CASCADE, related_name="+", verbose_name=_("channel"), db_index=False)
    location_id = models.CharField(_("location of the shop"), max_length=128, blank=True)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.NEW)
    cause = models.CharField(max_length=60, blank=True)  # a slug: why it was refused, failed or left alone
    problem = models.CharField(_("reason"), max_length=200, blank=True)  # given by the person who dismissed it

    due_at = models.DateTimeField(null=True)  # to be worked out and sent; null: nothing to do
    verify_at = models.DateTimeField(null=True)  # to be read back
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)  # failed ones in a row

    # What the last figure that reached the platform was made from.
    synced_version = models.PositiveBigIntegerField(default=0)  # of Sku.stock_version
    synced_rule = models.CharField(max_length=64, blank=True)  # versions of the rules and of the pack it went through
    wanted = models.IntegerField(pgettext_lazy("stock to be shown", "target"), null=True)  # null: not to be written
    pushed = models.IntegerField(_("sent"), null=True)
    pushed_at = models.DateTimeField(_("sent at"), null=True)
    confirmed = models.IntegerField(_("seen there"), null=True)  # what it was read to show; null: not known
    confirmed_at = models.DateTimeField(_("seen at"), null=True)
    zero_agreed_at = models.DateTimeField(null=True)  # when a person last agreed that it goes to 0
    changed_at = models.DateTimeField(null=True)  # since when the target differs from what is seen; null: it does not

    objects = ListingSyncQuerySet.as_manager()

    class Meta:
        verbose_name = _("sync of a listing")
        verbose_name_plural = _("sync of listings")
        constraints = [models.UniqueConstraint(fields=["listing", "location_id"], name="listing_sync_identity")]
        indexes = [
            models.Index(fields=["channel", "due_at"], name="listing_sync_due", condition=Q(due_at__isnull=False)),
            models.Index(
                fields=["channel", "verify_at"], name="listing_sync_verify", condition=Q(verify_at__isnull=False)
            ),
            models.Index(fields=["channel", "state"], name="listing_sync_state"),
        ]

    def __str__(self) -> str:
        return f"{self.listing} {self.location_id}".strip()


class SyncRun(models.Model):
    """One pass over a channel's stock, for one reason; it may span slices."""

    class Kind(models.TextChoices):
        INCREMENTAL = "incremental", pgettext_lazy("kind of run", "changes")
        FULL = "full", _("everything")
        RETRY = "retry", _("asked for")
        DRY = "dry", _("dry run")

    channel = models.ForeignKey(Channel, models.CASCADE, related_name="sync_runs", verbose_name=_("channel"))
    kind = models.CharField(_("kind"), max_length=12, choices=Kind)
    correlation_id = models.UUIDField(default=uuid.uuid4, unique=True)
    scope = models.JSONField(default=dict)  # of scope.Scope; {}: the whole channel
    started_at = models.DateTimeField(_("started"))
    ended_at = models.DateTimeField(_("ended"), null=True)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    # Listings by what became of them.
    total = models.PositiveIntegerField(default=0)
    sent = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    # Of a dry run: listings by what would become of them are its items; it has ended once they are all worked out.
    applied_at = models.DateTimeField(null=True)
    applied_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    stopped_cause = models.CharField(max_length=60, blank=True)

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("sync run")
        verbose_name_plural = _("sync runs")
        indexes = [models.Index(fields=["channel", "-started_at"], name="sync_run_channel")]

    def __str__(self) -> str:
        return f"{self.channel} {self.started_at:%Y-%m-%d %H:%M}"

    def get_absolute_url(self) -> str:
        """The page of a dry run; other runs have theirs in the admin of runs."""
        if self.kind == self.Kind.DRY:
            return reverse("integrations:dry_run", args=[self.pk])
        return reverse("admin:integrations_syncrun_change", args=[self.pk])


class SyncCall(models.Model):
    """A write of which the platform took each row at once, which nearly all do: what their attempts have in common."""

    run = models.ForeignKey(SyncRun, models.CASCADE, related_name="calls")
    sent_at = models.DateTimeField()
    duration_ms = models.PositiveIntegerField(null=True)
    key = models.CharField(max_length=64, blank=True)  # its idempotency key
    is_compared = models.BooleanField()  # each row with what it was seen to show before
    status = models.CharField(max_length=12)  # of connectors.base.PushStatus

    class Meta:
        verbose_name = _("sync call")
        verbose_name_plural = _("sync calls")

    def __str__(self) -> str:
        return f"{self.sent_at:%Y-%m-%d %H:%M} {self.status}"


class SyncItem(models.Model):
    """What a run wanted of one listing at one location, and why."""

    run = models.ForeignKey(SyncRun, models.CASCADE, related_name="items")
    listing = models.ForeignKey(Listing, models.CASCADE, related_name="sync_items", db_index=False)
    location_id = models.CharField(max_length=128, blank=True)
    before = models.IntegerField(_("before"), null=True)  # what it was last seen to show; null: not known
    wanted = models.IntegerField(pgettext_lazy("stock to be shown", "target"), null=True)
    steps = models.JSONField(default=list)  # of availability.Target: how the target came about
    blocked = models.CharField(max_length=20, blank=True)
    version = models.PositiveBigIntegerField(default=0)  # Sku.stock_version the target was worked out from
    rule = models.CharField(max_length=64, blank=True, db_default="")  # of a dry run: marks the rules and the pack
    # Its first attempt where that went as it should; others have rows of their own. Calls go with their run, after the
    # items.
    call = models.ForeignKey(
        SyncCall, models.DO_NOTHING, null=True, related_name="items", db_index=False, db_constraint=False
    )
    shown = models.IntegerField(null=True)  # what the platform said in that call
    outcome = models.CharField(_("outcome"), max_length=12, blank=True)  # "": still open
    # Milliseconds from when its target was found to differ until it was seen there; null: not seen yet, or not by us.
    confirmed_after_ms = models.PositiveIntegerField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        verbose_name = _("sync item")
        verbose_name_plural = _("sync items")
        indexes = [models.Index(fields=["listing", "-id"], name="sync_item_listing")]

    def __str__(self) -> str:
        return f"{self.listing_id}: {self.before} → {self.wanted}"


class SyncAttempt(models.Model):
    """One figure on its way to the platform, or one look at what it shows."""

    class Kind(models.TextChoices):
        PUSH = "push", _("sent")
        LOOK = "look", _("read back")

    item = models.ForeignKey(SyncItem, models.CASCADE, related_name="attempts")
    kind = models.CharField(max_length=4, choices=Kind, default=Kind.PUSH)
    sent_at = models.DateTimeField()
    duration_ms = models.PositiveIntegerField(null=True)
    key = models.CharField(max_length=64, blank=True)  # the idempotency key of its call
    expected = models.IntegerField(null=True)  # what compare-and-set compared with
    quantity = models.IntegerField(null=True)  # sent
    shown = models.IntegerField(null=True)  # what the platform said or was read to show
    status = models.CharField(max_length=12)  # of connectors.base.PushStatus; "lost": no answer; "read", "unread"
    error_class = models.CharField(max_length=20, blank=True)
    cause = models.CharField(max_length=60, blank=True)
    code = models.CharField(max_length=120, blank=True)  # the platform's own

    class Meta:
        ordering = ["pk"]
        verbose_name = _("sync attempt")
        verbose_name_plural = _("sync attempts")

    def __str__(self) -> str:
        return f"{self.kind} {self.quantity} {self.status}"


class SavedFilter(models.Model):
    """Filters of the list of listings under a name, so that a run can be about what they find."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="saved_filters", verbose_name=_("owner")
    )
    name = models.CharField(_("name"), max_length=80)
    query = models.CharField(_("filters"), max_length=1000)  # of the list's address, without its "?"
    created_at = models.DateTimeField(_("created at"))

    class Meta:
        ordering = ["name", "pk"]
        verbose_name = _("saved filter")
        verbose_name_plural = _("saved filters")
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="saved_filter_name")]

    def __str__(self) -> str:
        return self.name
