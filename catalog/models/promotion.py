"""Promotions of a channel, in the terms of the pricing contract, and how a channel's prices are worked out."""

from typing import Any, Self

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from catalog.models.changes import DatedQuerySet
from catalog.models.channel import Channel, Platform, validate_currency
from catalog.models.staff import User
from catalog.pricing.rulesets import RULE_SETS, UnknownRule, rules_for

WHOLE_RATE = 10_000  # basis points: 100 %

_RULE_SETS = {
    Platform.TAOBAO: "taobao",
    Platform.SHOPIFY: "shopify",
    Platform.WOOCOMMERCE: "woocommerce",
}


class ChannelPricing(models.Model):
    """How a channel's promotions stack, and what is known to differ from its platform's rule set.

    No row: the platform's rule set as it stands.
    """

    class Basis(models.TextChoices):
        LIST = "list", _("list price")
        LIVE = "live", _("live price")

    channel = models.OneToOneField(
        Channel, models.CASCADE, primary_key=True, related_name="pricing", verbose_name=_("channel")
    )
    ruleset = models.CharField(
        _("rule set"), max_length=20, choices=[(name, name) for name in RULE_SETS], default="generic"
    )
    basis = models.CharField(
        _("promotions start from"),
        max_length=4,
        choices=Basis,
        default=Basis.LIST,
        help_text=_("The live price where the platform tells it with its item-level sales already inside."),
    )
    # By the names of the pricing contract, such as {"coupon.pick": "many"}: over the rule set.
    settings = models.JSONField(_("differs from the rule set"), default=dict, blank=True)
    margin_floor = models.PositiveIntegerField(  # basis points
        _("warn below this margin"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(WHOLE_RATE)],
    )
    ends_within_hours = models.PositiveIntegerField(
        _("warn so long before a promotion ends"), default=24, validators=[MaxValueValidator(24 * 90)]
    )
    few_left = models.PositiveIntegerField(_("warn when so few of a promotion are left"), default=20)  # 0: never
    updated_at = models.DateTimeField(_("changed at"), auto_now=True)

    class Meta:
        verbose_name = _("pricing of a channel")
        verbose_name_plural = _("pricing of channels")

    def __str__(self) -> str:
        return str(self.channel)

    def clean(self) -> None:
        super().clean()
        if not isinstance(self.settings, dict):
            raise ValidationError({"settings": _("Settings are names with values.")})
        try:
            rules_for(self.ruleset, self.settings)
        except UnknownRule as unknown:
            raise ValidationError(
                {"settings": _("“%(setting)s” is not a setting of this rule set.") % {"setting": unknown}}
            ) from None

    @classmethod
    def usual(cls, channel: Channel) -> "ChannelPricing":
        """What a channel has for which nothing is stored: its platform's. Not saved."""
        platform = Platform(channel.platform)
        # Our own shops on Taobao tell the list price alone; elsewhere sales are inside what is told as the price.
        basis = cls.Basis.LIST if platform is Platform.TAOBAO else cls.Basis.LIVE
        return cls(channel=channel, ruleset=_RULE_SETS[platform], basis=basis)


class PromotionQuerySet(DatedQuerySet["Promotion"]):
    def visible_to(self, user: User) -> Self:
        """Of the channels this person works with."""
        return self if user.sees_all_channels else self.filter(channel__in=Channel.objects.visible_to(user))


class Promotion(models.Model):
    """One promotion. Its terms have the names and meanings of the pricing contract, section 2.

    Money is in the minor unit of `currency`, rates in basis points, None is "not set". What was read from a platform
    or a file may be broken or partly unknown: the engine sets it aside by name, or cannot tell.
    """

    class Source(models.TextChoices):
        PLATFORM = "platform", _("read from the platform")
        HAND = "hand", _("by hand")
        FILE = "file", _("from a file")

    class Kind(models.TextChoices):
        AMOUNT_OFF = "amount_off", _("amount off")
        PERCENT_OFF = "percent_off", _("percentage off")
        FIXED_PRICE = "fixed_price", _("fixed price")
        NTH_PIECE = "nth_piece", _("every n-th piece cheaper")
        BUNDLE_PRICE = "bundle_price", _("any n pieces for a price")

    class Measure(models.TextChoices):
        NONE = "none", _("nothing: it always applies")
        AMOUNT = "amount", _("an amount")
        QUANTITY = "quantity", _("a number of pieces")

    class Per(models.TextChoices):
        ORDER = "order", _("once per order")
        UNIT = "unit", _("from each unit")

    class MeasureOver(models.TextChoices):
        SCOPE = "scope", _("all its goods together")
        LINE = "line", _("each variant by itself")
        ITEM = "item", _("each item by itself")

    class MeasureLines(models.TextChoices):
        SCOPE = "scope", _("the goods it is for")
        BASKET = "basket", _("the whole basket")

    class State(models.TextChoices):
        ACTIVE = "active", _("active")
        PAUSED = "paused", _("paused")
        GONE = "gone", _("no longer on the platform")

    channel = models.ForeignKey(Channel, models.CASCADE, related_name="promotions", verbose_name=_("channel"))
    name = models.CharField(_("name"), max_length=200)
    source = models.CharField(_("source"), max_length=10, choices=Source, default=Source.HAND, editable=False)
    # With its kind in front, such as "coupon:123"; "": it is none of the platform's.
    platform_id = models.CharField(_("platform id"), max_length=128, blank=True, editable=False)
    code = models.CharField(_("coupon code"), max_length=128, blank=True)

    layer = models.CharField(_("layer"), max_length=20)
    priority = models.IntegerField(pgettext_lazy("place in a sequence", "order"), default=0)
    auto = models.BooleanField(
        _("applies by itself"), default=False, help_text=_("Off: the buyer claims it, and will only if it helps.")
    )
    kind = models.CharField(_("kind"), max_length=20, choices=Kind)
    value = models.BigIntegerField(_("value"), null=True, blank=True)
    tiers = models.JSONField(_("tiers"), null=True, blank=True)
    measure = models.CharField(_("threshold counts"), max_length=10, choices=Measure, default=Measure.NONE)
    repeat = models.BooleanField(_("every time the threshold is reached again"), default=False)
    max_times = models.PositiveIntegerField(_("at most so many times"), null=True, blank=True)
    per = models.CharField(_("taken off"), max_length=10, choices=Per, default=Per.ORDER)
    of = models.PositiveIntegerField(_("pieces in a set"), null=True, blank=True)
    take = models.PositiveIntegerField(_("of these cheaper"), null=True, blank=True)
    measure_over = models.CharField(_("counted over"), max_length=10, choices=MeasureOver, default=MeasureOver.SCOPE)
    measure_lines = models.CharField(_("threshold is of"), max_length=10, choices=MeasureLines, null=True, blank=True)
    min_qty = models.PositiveIntegerField(_("from so many pieces"), null=True, blank=True)
    max_amount = models.BigIntegerField(_("up to this amount"), null=True, blank=True)
    threshold_base = models.CharField(_("threshold base"), max_length=10, null=True, blank=True)
    effect_base = models.CharField(_("effect base"), max_length=10, null=True, blank=True)
    weight_base = models.CharField(_("weight base"), max_length=10, null=True, blank=True)
    max_discount = models.BigIntegerField(_("takes off at most"), null=True, blank=True)
    max_units = models.PositiveIntegerField(_("for at most so many units"), null=True, blank=True)
    # {"items": [...], "skus": [...], "categories": [...], "shops": [...], "not_items": [...], ...}: the platform's ids.
    scope = models.JSONField(_("goods"), null=True, blank=True)
    all_lines = models.BooleanField(_("only where every line is its goods"), default=False)
    start = models.DateTimeField(_("starts"), null=True, blank=True)  # inclusive
    end = models.DateTimeField(_("ends"), null=True, blank=True)  # exclusive
    status = models.CharField(_("status"), max_length=10, choices=State, default=State.ACTIVE)
    audience = models.JSONField(_("only for"), default=list, blank=True)
    remaining = models.PositiveIntegerField(_("left to claim"), null=True, blank=True)  # null: no limit known
    per_buyer = models.PositiveIntegerField(_("per buyer"), null=True, blank=True)
    currency = models.CharField(_("currency"), max_length=3, validators=[validate_currency])
    promotion_class = models.CharField(_("class"), max_length=20, null=True, blank=True)
    combines = models.JSONField(_("combines with"), null=True, blank=True)
    groups = models.JSONField(_("excludes others of"), default=list, blank=True)
    in_live = models.BooleanField(_("already inside the live price"), default=False)
    rebase = models.BooleanField(_("later layers count on its price"), default=True)
    seller_share = models.PositiveIntegerField(  # basis points of its discount; the platform pays the rest
        _("share paid by us"), default=WHOLE_RATE, validators=[MaxValueValidator(WHOLE_RATE)]
    )
    unknown = models.JSONField(default=list, blank=True, editable=False)  # names of facts that could not be read
    confirmed = models.JSONField(default=list, blank=True, editable=False)  # those of them that a person filled in

    fee_rate = models.PositiveIntegerField(  # basis points of what is received; K of section 6
        _("promotion fee"), default=0, validators=[MaxValueValidator(WHOLE_RATE)]
    )
    fee_fixed = models.BigIntegerField(_("fixed promotion fee"), default=0, validators=[MinValueValidator(0)])

    read_at = models.DateTimeField(_("last read"), null=True, editable=False)  # of the platform
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed at"), auto_now=True)

    objects = PromotionQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("promotion")
        verbose_name_plural = _("promotions")
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "platform_id"], name="promotion_identity", condition=~Q(platform_id="")
            ),
            models.CheckConstraint(
                condition=Q(start__isnull=True) | Q(end__isnull=True) | Q(start__lt=F("end")) | ~Q(source="hand"),
                name="promotion_window",
                violation_error_message=_("It ends before it starts."),
            ),
            models.CheckConstraint(condition=Q(seller_share__lte=WHOLE_RATE), name="promotion_seller_share"),
            models.CheckConstraint(condition=Q(fee_rate__lte=WHOLE_RATE, fee_fixed__gte=0), name="promotion_fees"),
        ]
        indexes = [
            models.Index(fields=["channel", "status"], name="promotion_channel"),
            models.Index(fields=["start"], name="promotion_start", condition=Q(start__isnull=False)),
            models.Index(fields=["end"], name="promotion_end", condition=Q(end__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("admin:catalog_promotion_change", args=[self.pk])

    @property
    def engine_id(self) -> str:
        """What it is called in requests, answers and stored quotes: the same whenever it is read again."""
        return self.platform_id or f"own:{self.pk}"

    def scope_of(self, name: str) -> list[Any]:
        """The ids that its scope has under a name; [] for none, and where it is broken."""
        ids = self.scope.get(name) if isinstance(self.scope, dict) else None
        return ids if isinstance(ids, list) else []
