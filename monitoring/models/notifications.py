"""Whom we tell, of what, and what became of each message."""

from typing import Self

from django.contrib.auth.models import Group
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from catalog.fields import EncryptedTextField
from catalog.models import Channel, User
from catalog.models.channel import validate_time_zone
from monitoring.models.alerts import Alert, Severity

LATEST_ESCALATION_MINUTES = 43_200


class Target(models.Model):
    """Where messages go: a mailbox, a robot in a group chat, a telephone, another system."""

    class Kind(models.TextChoices):
        MAIL = "mail", _("mail")
        DINGTALK = "dingtalk", _("DingTalk robot")
        FEISHU = "feishu", _("Feishu or Lark robot")
        WECOM = "wecom", _("WeCom robot")
        SMS = "sms", _("text message (mainland China)")
        WEBHOOK = "webhook", _("webhook")
        APPRISE = "apprise", _("another service (Apprise address)")

    name = models.CharField(_("name"), max_length=80, unique=True)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    # Addresses hold tokens, so they are secrets, too.
    address = EncryptedTextField(_("address"), blank=True)
    secret = EncryptedTextField(_("secret"), blank=True)
    options = models.JSONField(_("options"), default=dict, blank=True)  # what only this kind asks for, never a secret
    role = models.ForeignKey(
        Group,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("role"),
        help_text=_("Mail only: everybody of this role who sees the alert's channel, besides the addresses above."),
    )
    language = models.CharField(
        _("language"), max_length=10, choices=[("zh-hans", "简体中文"), ("en", "English")], default="zh-hans"
    )
    is_active = models.BooleanField(_("active"), default=True)
    # Local times; both or none. What comes in between waits for the end, except critical alerts when they may pass.
    quiet_from = models.TimeField(_("quiet from"), null=True, blank=True)
    quiet_until = models.TimeField(_("quiet until"), null=True, blank=True)
    critical_passes_quiet = models.BooleanField(_("critical alerts at once"), default=True)
    time_zone = models.CharField(
        _("time zone"), max_length=64, default="Asia/Shanghai", validators=[validate_time_zone]
    )
    digest_minutes = models.PositiveSmallIntegerField(
        _("gather for"),
        default=0,
        validators=[MaxValueValidator(1_440)],
        help_text=_("Minutes. 0: each alert at once, as far as the robot's own limit lets us."),
    )
    # Nothing is sent before these: the other side failed, or said to wait; our own pace, shared by all workers.
    held_until = models.DateTimeField(null=True)
    held_cause = models.CharField(max_length=60, blank=True)  # slug of what holds it back, "" nothing
    next_send_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        ordering = ["name"]
        verbose_name = _("notification target")
        verbose_name_plural = _("notification targets")
        constraints = [
            models.CheckConstraint(
                condition=Q(quiet_from__isnull=True, quiet_until__isnull=True)
                | Q(quiet_from__isnull=False, quiet_until__isnull=False),
                name="target_quiet_hours_have_both_ends",
                violation_error_message=_("Quiet hours need a beginning and an end."),
            )
        ]

    def __str__(self) -> str:
        return self.name


class Route(models.Model):
    """Which alerts go to a target: this severity or a worse one, on these channels (none: on all)."""

    target = models.ForeignKey(Target, models.CASCADE, related_name="routes", verbose_name=_("target"))
    least_severity = models.CharField(_("from severity"), max_length=10, choices=Severity, default=Severity.WARNING)
    channels = models.ManyToManyField(
        Channel, blank=True, related_name="+", verbose_name=_("channels"), help_text=_("None: all of them.")
    )
    # Above 0 this is an escalation: sent only when nobody acknowledged the alert by then.
    after_minutes = models.PositiveIntegerField(
        _("if not acknowledged after"),
        default=0,
        validators=[MaxValueValidator(LATEST_ESCALATION_MINUTES, _("Enter 43200 minutes at most, which is 30 days."))],
    )
    tells_end = models.BooleanField(_("also when it is over"), default=False)

    class Meta:
        verbose_name = _("route")
        verbose_name_plural = _("routes")

    def __str__(self) -> str:
        return f"{self.get_least_severity_display()} → {self.target}"


class Notification(models.Model):
    """One piece of news about one alert for one target; a delivery carries one or many of them."""

    class Event(models.TextChoices):
        OPENED = "opened", _("opened")
        ESCALATED = "escalated", _("not acknowledged")
        WOKEN = "woken", _("still so after a snooze")
        ENDED = "ended", _("over")

    alert = models.ForeignKey(Alert, models.CASCADE, related_name="notifications")
    target = models.ForeignKey(Target, models.CASCADE, related_name="notifications")
    event = models.CharField(max_length=10, choices=Event)
    due_at = models.DateTimeField()  # not sent before: escalation, quiet hours, digest
    delivery = models.ForeignKey("monitoring.Delivery", models.CASCADE, null=True, related_name="notifications")
    dropped_cause = models.CharField(max_length=40, blank=True)  # why it will never be sent

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        constraints = [models.UniqueConstraint(fields=["alert", "target", "event"], name="one_notification_per_event")]
        indexes = [
            models.Index(
                fields=["target", "due_at"],
                condition=Q(delivery__isnull=True, dropped_cause=""),
                name="notification_waiting",
            )
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.alert} → {self.target}"


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def visible_to(self, user: User) -> Self:
        """Tests, and messages that tell only of channels this person works with."""
        if user.sees_all_channels:
            return self
        # Its news may be gone, or told anew in another message by now.
        told = Delivery.channels.through.objects.filter(delivery=OuterRef("pk"))
        hidden = told.exclude(channel__in=Channel.objects.visible_to(user))
        return self.filter(Q(is_test=True) | Q(Exists(told), ~Exists(hidden)))


class Delivery(models.Model):
    """One message to one target, its tries, and what the other side answered."""

    class Status(models.TextChoices):
        WAITING = "waiting", _("waiting")
        SENT = "sent", _("sent")
        UNKNOWN = "unknown", _("not known")  # no answer after we sent: it may have arrived
        FAILED = "failed", _("failed")
        REPLACED = "replaced", _("in a later message")  # its news went on waiting, and out with another
        DROPPED = "dropped", _("given up")  # its target was deactivated before it was sent

    target = models.ForeignKey(Target, models.CASCADE, related_name="deliveries", verbose_name=_("target"))
    is_test = models.BooleanField(default=False)
    channels = models.ManyToManyField(Channel, related_name="+", editable=False)  # that its message tells of
    subject = models.CharField(_("subject"), max_length=200)
    text = models.TextField(_("message"))
    payload = models.JSONField(default=dict)  # what else the sender needs, the same on every try; never a secret
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.WAITING)
    created_at = models.DateTimeField(_("created at"))
    next_due_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True)
    lease_token = models.UUIDField(null=True)
    attempts = models.PositiveSmallIntegerField(_("tries"), default=0)
    sent_at = models.DateTimeField(_("sent at"), null=True)
    cause = models.CharField(max_length=60, blank=True)  # slug of the last failure
    code = models.CharField(_("code"), max_length=40, blank=True)  # the other side's own
    answer = models.CharField(_("answer"), max_length=300, blank=True)  # its words, without secrets

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        indexes = [
            models.Index(fields=["next_due_at"], condition=Q(status="waiting"), name="delivery_due"),
            models.Index(fields=["target", "-created_at"], name="delivery_of_target"),
        ]

    def __str__(self) -> str:
        return self.subject
