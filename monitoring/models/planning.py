"""What is planned: demand as it was, what is expected of each SKU in each warehouse, and what to do about it."""

from typing import Self, TypeVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from catalog.models import Channel, Promotion, PurchaseOrder, Sku, Supplier, Transfer, User, Warehouse

MOST_DAYS = 730

_M = TypeVar("_M", bound=models.Model)


class _OfSkuQuerySet(models.QuerySet[_M]):
    def visible_to(self, user: User) -> Self:
        """Of the SKUs that this person sees."""
        return self if user.sees_all_channels else self.filter(sku__in=Sku.objects.visible_to(user))


class AdviceQuerySet(_OfSkuQuerySet["Advice"]):
    def visible_to(self, user: User) -> Self:
        """Of the SKUs that this person sees, without what is about a channel of others."""
        if user.sees_all_channels:
            return self
        channels = Channel.objects.visible_to(user)
        return (
            super()
            .visible_to(user)
            .filter(
                Q(channel__isnull=True) | Q(channel__in=channels),
                Q(promotion__isnull=True) | Q(promotion__channel__in=channels),
            )
        )


class DemandHistory(models.Model):
    """What was asked for of a SKU in a warehouse, by the warehouse's local days; worked out of the ledger at any time.

    `units` has a little-endian int32 for each day from `first_day` to `last_day`, both inclusive, and -1 where it is
    not known. `marks` has a byte for each of them, of Mark.
    """

    class Source(models.TextChoices):
        ORDERS = "orders", _("orders")
        LEDGER = "ledger", _("stock movements")
        SNAPSHOTS = "snapshots", _("stock readings")
        IMPORT = "import", _("imported")

    class Mark(models.IntegerChoices):
        INFERRED = 1  # of a balance with a receipt that nobody booked
        SPREAD = 2  # of several days, of which only the sum is known
        LOWER_BOUND = 4  # it ended the day sold out: more may have been asked for
        CAPPED = 8  # a wholesale order, of which the rate counts a part
        IMPORTED = 16
        COUNTED = 32  # it is known what was there at its end

    sku = models.ForeignKey(Sku, models.CASCADE, related_name="demand", verbose_name=_("SKU"), db_index=False)
    warehouse = models.ForeignKey(Warehouse, models.CASCADE, related_name="+", verbose_name=_("warehouse"))
    source = models.CharField(_("source"), max_length=10, choices=Source)
    first_day = models.DateField(_("first day"))
    last_day = models.DateField(_("last day"))
    units = models.BinaryField()
    marks = models.BinaryField()
    built_at = models.DateTimeField(_("worked out at"))

    class Meta:
        verbose_name = _("demand history")
        verbose_name_plural = _("demand histories")
        constraints = [
            models.UniqueConstraint(fields=["sku", "warehouse"], name="demand_history_identity"),
            models.CheckConstraint(condition=Q(last_day__gte=F("first_day")), name="demand_history_days_in_order"),
        ]

    def __str__(self) -> str:
        return f"{self.sku} · {self.warehouse}"


class SalesImportQuerySet(models.QuerySet["SalesImport"]):
    def visible_to(self, user: User) -> Self:
        """Of a person who does not see every channel, what they brought themselves."""
        return self if user.sees_all_channels else self.filter(imported_by=user)


class SalesImport(models.Model):
    """A file of sales that somebody brought."""

    name = models.CharField(_("file"), max_length=200)
    imported_at = models.DateTimeField(_("imported at"))
    imported_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("by")
    )

    objects = SalesImportQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("import of sales")
        verbose_name_plural = _("imports of sales")

    def __str__(self) -> str:
        return self.name


class ImportedSale(models.Model):
    """Units of a day before the ledger began, as a file told them; the last file counts."""

    sku = models.ForeignKey(Sku, models.CASCADE, related_name="+", verbose_name=_("SKU"), db_index=False)
    warehouse = models.ForeignKey(Warehouse, models.CASCADE, related_name="+", verbose_name=_("warehouse"))
    day = models.DateField(_("day"))
    units = models.PositiveIntegerField(_("units"))
    file = models.ForeignKey(SalesImport, models.CASCADE, null=True, related_name="sales")  # null: from no file

    class Meta:
        verbose_name = _("imported sale")
        verbose_name_plural = _("imported sales")
        constraints = [models.UniqueConstraint(fields=["sku", "warehouse", "day"], name="imported_sale_identity")]

    def __str__(self) -> str:
        return f"{self.day} {self.units} × {self.sku}"


class PlanPolicy(models.Model):
    """How to plan: for one SKU, for the SKUs of a class, for a warehouse, or for all (none of them given).

    Null is not set here: the SKU's own counts before its class's, then the warehouse's, then the general one.
    """

    sku = models.OneToOneField(
        Sku, models.CASCADE, null=True, blank=True, related_name="plan_policy", verbose_name=_("SKU")
    )
    abc = models.CharField(_("class"), max_length=1, blank=True, choices=[(each, each) for each in "ABC"])
    warehouse = models.OneToOneField(
        Warehouse, models.CASCADE, null=True, blank=True, related_name="plan_policy", verbose_name=_("warehouse")
    )
    service_target = models.DecimalField(
        _("service target"),
        max_digits=5,
        decimal_places=4,
        null=True,
        blank=True,
        validators=[MinValueValidator(0.5), MaxValueValidator(0.9999)],
        help_text=_("Share of the order cycles without running out, from 0.5 to below 1, for example 0.95."),
    )
    lead_time_days = models.PositiveSmallIntegerField(
        _("lead time"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(MOST_DAYS)],
        help_text=_("Days, where neither receipts nor the supplier tell."),
    )
    review_days = models.PositiveSmallIntegerField(
        _("review period"), null=True, blank=True, validators=[MaxValueValidator(MOST_DAYS)]
    )
    presence = models.PositiveIntegerField(
        _("least stock"), null=True, blank=True, help_text=_("Units that are there even when nothing is sold.")
    )
    turns_target = models.DecimalField(
        _("target of the turnover"),
        max_digits=6,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(0.01)],
        help_text=_("Times a year."),
    )

    class Meta:
        ordering = ["sku__code", "abc", "warehouse__position", "pk"]
        verbose_name = _("planning rule")
        verbose_name_plural = _("planning rules")
        constraints = [
            models.CheckConstraint(
                condition=Q(abc="", warehouse__isnull=True)
                | Q(sku__isnull=True, warehouse__isnull=True)
                | Q(sku__isnull=True, abc=""),
                name="plan_policy_of_one_thing",
                violation_error_message=_("A rule is for one SKU, one class or one warehouse."),
            ),
            models.UniqueConstraint(
                fields=["abc"],
                condition=Q(sku__isnull=True, warehouse__isnull=True),
                name="plan_policy_of_class",
                violation_error_message=_("There is a rule for this already."),
            ),
            models.CheckConstraint(
                condition=Q(service_target__isnull=True) | Q(service_target__gte=0.5, service_target__lt=1),
                name="plan_policy_service_target",
            ),
        ]

    def __str__(self) -> str:
        return str(self.sku or self.warehouse or self.abc or _("all"))


class ForecastOverride(models.Model):
    """What a person expects to be sold instead of the forecast, until a day (inclusive)."""

    sku = models.ForeignKey(Sku, models.CASCADE, related_name="+", verbose_name=_("SKU"))
    warehouse = models.ForeignKey(
        Warehouse, models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("warehouse")
    )
    factor = models.DecimalField(
        _("times the forecast"),
        max_digits=6,
        decimal_places=3,
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(100)],
    )
    per_day = models.DecimalField(
        _("units a day"), max_digits=12, decimal_places=3, null=True, blank=True, validators=[MinValueValidator(0)]
    )
    reason = models.CharField(_("reason"), max_length=200)
    until = models.DateField(_("until"))
    made_at = models.DateTimeField(_("made at"))
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("by")
    )

    class Meta:
        ordering = ["-made_at", "-pk"]
        verbose_name = _("forecast by a person")
        verbose_name_plural = _("forecasts by persons")
        constraints = [
            models.CheckConstraint(
                condition=Q(factor__isnull=True, per_day__isnull=False) | Q(factor__isnull=False, per_day__isnull=True),
                name="forecast_override_one_figure",
                violation_error_message=_("Give units a day, or times the forecast."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.sku}: {self.reason}"


class PlanRun(models.Model):
    """One pass over what is to be planned, nightly or because somebody asked or something moved."""

    class Kind(models.TextChoices):
        FULL = "full", _("everything")
        CHANGES = "changes", pgettext_lazy("kind of run", "changes")

    kind = models.CharField(_("kind"), max_length=8, choices=Kind)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    started_at = models.DateTimeField(_("started"))
    ended_at = models.DateTimeField(_("ended"), null=True)
    total = models.PositiveIntegerField(default=0)  # SKUs x warehouses
    done = models.PositiveIntegerField(default=0)
    problem = models.CharField(max_length=200, blank=True)  # a slug: why it ended early

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("planning run")
        verbose_name_plural = _("planning runs")

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M}"


class ForecastReport(models.Model):
    """The report card of a group's forecasts at past origins, beside the seasonal naive method and the textbook one.

    Shares, not per cent; null where nothing was sold, or nothing could be judged.
    """

    class Method(models.TextChoices):
        OURS = "ours", _("chosen method")
        SEASONAL_NAIVE = "seasonal-naive", _("same weekday last week")
        TEXTBOOK = "textbook", _("textbook formula")

    run = models.ForeignKey(PlanRun, models.CASCADE, related_name="reports")
    group = models.CharField(_("group"), max_length=60, blank=True)  # "": all together
    of = models.CharField(_("method"), max_length=16, choices=Method)
    chosen = models.CharField(max_length=40, blank=True)  # the name in monitoring.planning.forecasting
    horizon = models.PositiveSmallIntegerField(_("days"))
    level = models.DecimalField(max_digits=5, decimal_places=4)
    wape = models.FloatField(null=True)
    bias = models.FloatField(null=True)
    coverage = models.FloatField(null=True)
    quantile_loss = models.FloatField(null=True)
    totals = models.PositiveIntegerField()  # that were judged

    class Meta:
        verbose_name = _("forecast report")
        verbose_name_plural = _("forecast reports")
        constraints = [
            models.UniqueConstraint(fields=["run", "horizon", "group", "of"], name="forecast_report_identity")
        ]

    def __str__(self) -> str:
        return f"{self.group} {self.of}"


class SkuPlan(models.Model):
    """How a SKU stands in a warehouse, and what follows; replaced by each run. Null is not known, and never 0.

    Pieces and days. `protection_days` are those until what is ordered at the next occasion has arrived.
    """

    class Status(models.TextChoices):
        PLANNED = "planned", _("planned")
        NEW = "new", pgettext_lazy("of a SKU", "new")  # fewer than 28 days: never ordered without a person
        NO_DEMAND = "no-demand", _("no demand")
        RETIRED = "retired", _("retired")
        CANNOT_TELL = "cannot-tell", _("cannot tell")  # the reason says why

    sku = models.ForeignKey(Sku, models.CASCADE, related_name="plans", verbose_name=_("SKU"), db_index=False)
    warehouse = models.ForeignKey(Warehouse, models.CASCADE, related_name="+", verbose_name=_("warehouse"))
    # A night writes all plans anew: an index of the few values there are costs more than it saves.
    supplier = models.ForeignKey(
        Supplier, models.SET_NULL, null=True, related_name="+", verbose_name=_("supplier"), db_index=False
    )
    planned_at = models.DateTimeField(_("planned at"))
    status = models.CharField(_("status"), max_length=12, choices=Status)
    reason = models.CharField(max_length=60, blank=True)  # a slug
    notes = models.JSONField(default=list)  # slugs of what was assumed: a default lead time, a pooled spread, ...

    on_hand = models.IntegerField(_("on hand"), null=True)
    reserved = models.IntegerField(_("reserved"), null=True)
    on_the_way = models.IntegerField(_("on the way"), default=0)  # what is counted on
    overdue = models.IntegerField(_("overdue"), default=0)  # what is shown, and not counted on

    method = models.CharField(max_length=40, blank=True)  # of monitoring.planning.forecasting, or "by-hand"
    pattern = models.CharField(_("pattern of demand"), max_length=12, blank=True)
    abc = models.CharField(max_length=1, blank=True)
    xyz = models.CharField(max_length=1, blank=True)
    per_day = models.FloatField(_("forecast per day"), null=True)
    spread_per_day = models.FloatField(null=True)  # standard deviation of a day's demand
    lead_time_days = models.FloatField(_("lead time"), null=True)
    lead_time_spread_days = models.FloatField(null=True)
    review_days = models.PositiveSmallIntegerField(default=0)
    protection_days = models.PositiveSmallIntegerField(null=True)
    service_target = models.DecimalField(_("service target"), max_digits=5, decimal_places=4, null=True)
    expected = models.FloatField(null=True)  # demand of the protection period
    expected_high = models.FloatField(null=True)  # its quantile at the service target
    safety_stock = models.FloatField(_("safety stock"), null=True)
    safety_stock_textbook = models.FloatField(null=True)
    reorder_point = models.FloatField(_("reorder point"), null=True)
    cover_days = models.FloatField(_("days of cover"), null=True)
    stock_out_on = models.DateField(_("runs out on"), null=True)
    stock_out_probability = models.FloatField(_("probability"), null=True)  # before what is ordered now could arrive
    order_by = models.DateField(_("order by"), null=True)
    is_late = models.BooleanField(default=False)  # should have been ordered before
    unrounded = models.FloatField(null=True)  # what is missing
    quantity = models.PositiveIntegerField(_("to order"), null=True)  # in packs, at least the minimum order
    money_at_stake = models.DecimalField(  # expected lost margin, in `currency`
        _("money at stake"), max_digits=16, decimal_places=4, null=True
    )
    currency = models.CharField(max_length=3, blank=True)
    stock_value = models.DecimalField(max_digits=16, decimal_places=4, null=True)  # at cost, in `currency`
    turns = models.FloatField(_("turnover"), null=True)  # a year, of the last 90 days
    mean_stock = models.FloatField(null=True)  # of these days
    health = models.FloatField(_("health"), null=True)  # 0 to 100
    health_parts = models.JSONField(default=dict)
    wape = models.FloatField(null=True)  # of its own forecasts at past origins
    bias = models.FloatField(null=True)
    coverage = models.FloatField(null=True)
    quantile_loss = models.FloatField(null=True)
    report_card = models.JSONField(default=dict)  # with the other methods' figures: services.planning.report_cards
    last_sold_on = models.DateField(_("last sold on"), null=True)
    # Its arrival or departure plans it anew: what it stood at when it was last compared with its points.
    is_below_safety = models.BooleanField(default=False)
    is_below_reorder = models.BooleanField(default=False)

    objects = _OfSkuQuerySet["SkuPlan"].as_manager()

    class Meta:
        verbose_name = _("plan of a SKU")
        verbose_name_plural = _("plans of SKUs")
        constraints = [models.UniqueConstraint(fields=["sku", "warehouse"], name="sku_plan_identity")]

    def __str__(self) -> str:
        return f"{self.sku} · {self.warehouse}"


class Advice(models.Model):
    """What we would do about a SKU in a warehouse, with the sum behind it; a person decides.

    There is one that is open for a SKU, a warehouse and a subject: a new run changes it, and what was decided stays.
    """

    class Kind(models.TextChoices):
        BUY = "buy", _("buy")
        TRANSFER = "transfer", _("transfer")
        LIMIT_PROMOTION = "limit-promotion", _("limit a promotion")
        LOWER_CAP = "lower-cap", _("lower a channel's cap")

    class State(models.TextChoices):
        OPEN = "open", pgettext_lazy("state of an advice", "open")
        SNOOZED = "snoozed", _("snoozed")
        ACCEPTED = "accepted", _("accepted")
        CHANGED = "changed", _("accepted with changes")
        REJECTED = "rejected", _("rejected")
        GONE = "gone", _("not needed any more")

    class Outcome(models.TextChoices):
        RIGHT = "right", _("was right")
        RAN_OUT = "ran-out", _("ran out")
        TOO_MUCH = "too-much", _("was too much")
        CANNOT_TELL = "cannot-tell", _("cannot tell")

    UNDECIDED = (State.OPEN, State.SNOOZED)

    sku = models.ForeignKey(Sku, models.CASCADE, related_name="advice", verbose_name=_("SKU"))
    warehouse = models.ForeignKey(Warehouse, models.CASCADE, related_name="+", verbose_name=_("warehouse"))
    kind = models.CharField(_("kind"), max_length=16, choices=Kind)
    subject = models.CharField(max_length=60)  # the kind, with the key of what else it is about: "transfer:7"
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.OPEN)
    source = models.ForeignKey(  # of a transfer
        Warehouse, models.CASCADE, null=True, related_name="+", verbose_name=_("from")
    )
    supplier = models.ForeignKey(Supplier, models.SET_NULL, null=True, related_name="+", verbose_name=_("supplier"))
    promotion = models.ForeignKey(Promotion, models.SET_NULL, null=True, related_name="+", verbose_name=_("promotion"))
    channel = models.ForeignKey(
        "catalog.Channel", models.CASCADE, null=True, related_name="+", verbose_name=_("channel")
    )
    quantity = models.PositiveIntegerField(_("units"))
    by = models.DateField(_("at the latest"), null=True)
    sum = models.JSONField(default=dict)  # codes and figures of monitoring.planning.advice_text
    stock_out_on = models.DateField(null=True)
    probability = models.FloatField(null=True)
    money_at_stake = models.DecimalField(max_digits=16, decimal_places=4, null=True)
    currency = models.CharField(max_length=3, blank=True)
    rank = models.PositiveIntegerField(default=0)  # of urgency and money, the first is 0
    made_at = models.DateTimeField(_("made at"))
    changed_at = models.DateTimeField(_("changed at"))

    snoozed_until = models.DateTimeField(_("snoozed until"), null=True)
    decided_at = models.DateTimeField(_("decided at"), null=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("by")
    )
    decided_quantity = models.PositiveIntegerField(null=True)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    order = models.ForeignKey(PurchaseOrder, models.SET_NULL, null=True, related_name="advice")
    transfer = models.ForeignKey(Transfer, models.SET_NULL, null=True, related_name="advice")

    judged_at = models.DateTimeField(null=True)
    outcome = models.CharField(_("what happened"), max_length=12, choices=Outcome, blank=True)

    objects = AdviceQuerySet.as_manager()

    class Meta:
        verbose_name = _("advice")
        verbose_name_plural = _("advice")
        constraints = [
            models.UniqueConstraint(
                fields=["sku", "warehouse", "subject"],
                condition=Q(state__in=["open", "snoozed"]),
                name="advice_one_undecided",
            )
        ]
        indexes = [models.Index(fields=["state", "rank"], name="advice_board")]

    def __str__(self) -> str:
        return f"{self.kind} {self.quantity} × {self.sku}"
