"""What we saw: how each listing is watched, what changed when, and which listings each pass read."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any, Self

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from catalog.models import Channel, Listing, User
from catalog.models.listing import SHELF_CHOICES, MoneyField
from monitoring.fields import IdSetField

# A listing whose last good reading is older than this many of its intervals is not known any more: charts show a gap.
GAP_INTERVALS = 3


class PollRunQuerySet(models.QuerySet["PollRun"]):
    def visible_to(self, user: User) -> Self:
        return self if user.sees_all_channels else self.filter(channel__in=Channel.objects.visible_to(user))


class PollRun(models.Model):
    """One pass over a channel: which listings were read, and which were not, so that "unchanged" is not "not read".

    While a pass is open, each listing's watch points at it; closing it gathers the ids by outcome.
    """

    class Kind(models.TextChoices):
        SCHEDULED = "scheduled", _("scheduled")
        REQUESTED = "requested", _("requested")

    channel = models.ForeignKey(Channel, models.CASCADE, related_name="poll_runs", verbose_name=_("channel"))
    kind = models.CharField(_("kind"), max_length=10, choices=Kind, default=Kind.SCHEDULED)
    started_at = models.DateTimeField(_("started at"))
    finished_at = models.DateTimeField(_("finished at"), null=True)
    # Lists show the counts; the ids, which may be many, are for whoever asks about one listing.
    read_ids = IdSetField()
    missing_ids = IdSetField()
    failed_ids = IdSetField()
    read_count = models.PositiveIntegerField(_("read"), default=0)
    missing_count = models.PositiveIntegerField(_("missing"), default=0)
    failed_count = models.PositiveIntegerField(_("failed"), default=0)
    changed_count = models.PositiveIntegerField(_("changed"), default=0)
    # Why listings were missing or failed: slug -> how many. Of an open pass: as it was when a worker last left it.
    causes = models.JSONField(default=dict, editable=False)

    objects = PollRunQuerySet.as_manager()

    class Meta:
        verbose_name = _("poll run")
        verbose_name_plural = _("poll runs")
        indexes = [models.Index(fields=["channel", "-started_at"])]
        constraints = [
            models.UniqueConstraint(
                fields=["channel"],
                condition=Q(kind="scheduled", finished_at__isnull=True),
                name="one_open_pass_per_channel",
            )
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.started_at:%Y-%m-%d %H:%M}"

    @staticmethod
    def outcomes(*, read: Collection[int], missing: Collection[int], failed: Collection[int]) -> dict[str, Any]:
        """The fields that tell which listings had which outcome."""
        ids = {"read": read, "missing": missing, "failed": failed}
        counts = {f"{name}_count": len(found) for name, found in ids.items()}
        return counts | {f"{name}_ids": found for name, found in ids.items()}


class ListingWatch(models.Model):
    """When a listing is due, who is reading it just now, and how the last reading went."""

    class Outcome(models.TextChoices):
        READ = "read", _("read")
        MISSING = "missing", _("not known to the platform")
        REFUSED = "refused", _("refused")
        FAILED = "failed", _("failed")

    listing = models.OneToOneField(Listing, models.CASCADE, primary_key=True, related_name="watch")
    # The listing's, for the index of due work.
    channel = models.ForeignKey(Channel, models.CASCADE, related_name="+", db_index=False)
    interval_seconds = models.PositiveIntegerField(
        _("read every"),
        null=True,
        blank=True,
        validators=[MinValueValidator(30), MaxValueValidator(7 * 86_400)],
        help_text=_("Seconds. Empty: as often as the channel's other listings."),
    )
    is_paused = models.BooleanField(_("paused"), default=False)
    # When watching began, was resumed, or changed its interval; null: as its listing was added.
    watched_since = models.DateTimeField(null=True, editable=False)
    next_due_at = models.DateTimeField(_("next reading"))
    lease_until = models.DateTimeField(null=True)
    lease_token = models.UUIDField(null=True)
    attempts = models.PositiveIntegerField(default=0)  # failed readings in a row
    read_at = models.DateTimeField(_("last read"), null=True)  # the last good reading, changed or not
    # Of the last attempt; "": none yet.
    outcome = models.CharField(_("outcome"), max_length=10, choices=Outcome, blank=True)
    cause = models.CharField(_("cause"), max_length=60, blank=True)  # slug, see integrations/connectors/errors.py
    tried_at = models.DateTimeField(_("last attempt"), null=True)
    # Written with every reading: a check and an index entry each time would cost more than the reading's own row.
    poll_run = models.ForeignKey(
        PollRun, models.SET_NULL, null=True, related_name="watches", db_index=False, db_constraint=False
    )

    class Meta:
        verbose_name = _("watch")
        verbose_name_plural = _("watches")
        # One index, since each reading moves the row in all of them. With the listing, so that those of one moment are
        # claimed in order without being sorted.
        indexes = [models.Index(fields=["channel", "next_due_at", "listing"], name="watch_due")]
        constraints = [
            models.CheckConstraint(
                condition=Q(interval_seconds__isnull=True) | Q(interval_seconds__gte=30),
                name="watch_interval_at_least_30_s",
            )
        ]

    def __str__(self) -> str:
        return str(self.listing)

    @property
    def interval(self) -> timedelta:
        return timedelta(seconds=self.interval_seconds or self.channel.interval_seconds)

    @property
    def is_missing(self) -> bool:
        """Whether the platform answered the last attempt that it does not know the listing."""
        return self.outcome == self.Outcome.MISSING

    @property
    def gap_after(self) -> timedelta:
        """How old the last good reading may be before the listing counts as not known."""
        return self.interval * GAP_INTERVALS


class ObservationQuerySet(models.QuerySet["Observation"]):
    def visible_to(self, user: User) -> Self:
        return self if user.sees_all_channels else self.filter(listing__channel__in=Channel.objects.visible_to(user))


class Observation(models.Model):
    """All facts of a listing from the moment on when at least one of them changed; in force until the next row.

    A row with `is_gap` says that from then on nothing was read, up to the next row.
    """

    pk = models.CompositePrimaryKey("listing_id", "observed_at")
    listing = models.ForeignKey(Listing, models.CASCADE, related_name="observations", db_index=False)
    observed_at = models.DateTimeField(_("time"))
    is_gap = models.BooleanField(default=False)
    list_price = MoneyField(_("list price"), null=True)
    live_price = MoneyField(_("live price"), null=True)
    promotion_price = MoneyField(_("promotional price"), null=True)
    stock = models.IntegerField(_("stock"), null=True)
    shelf_state = models.CharField(_("shelf state"), max_length=10, choices=SHELF_CHOICES)

    objects = ObservationQuerySet.as_manager()

    class Meta:
        verbose_name = _("observation")
        verbose_name_plural = _("observations")
        indexes = [models.Index(fields=["observed_at"], name="observation_time")]
        constraints = [
            models.CheckConstraint(
                condition=Q(is_gap=False)
                | Q(
                    list_price__isnull=True,
                    live_price__isnull=True,
                    promotion_price__isnull=True,
                    stock__isnull=True,
                    shelf_state="unknown",
                ),
                name="observation_gap_has_no_facts",
            )
        ]

    def __str__(self) -> str:
        return f"{self.listing_id} {self.observed_at:%Y-%m-%d %H:%M:%S}"


class DailyRollup(models.Model):
    """One listing's local day in short, kept when its observations are pruned."""

    pk = models.CompositePrimaryKey("listing_id", "day")
    listing = models.ForeignKey(Listing, models.CASCADE, related_name="rollups", db_index=False)
    day = models.DateField(_("day"))  # in the channel's time zone
    list_price = MoneyField(null=True)  # the last of the day
    live_price_low = MoneyField(null=True)
    live_price_high = MoneyField(null=True)
    live_price = MoneyField(null=True)  # the last of the day
    promotion_price = MoneyField(null=True)  # the last of the day
    stock_low = models.IntegerField(null=True)
    stock_high = models.IntegerField(null=True)
    stock = models.IntegerField(null=True)  # the last of the day
    shelf_state = models.CharField(max_length=10, choices=SHELF_CHOICES)  # the last of the day
    gap_seconds = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = _("day")
        verbose_name_plural = _("days")

    def __str__(self) -> str:
        return f"{self.listing_id} {self.day}"
