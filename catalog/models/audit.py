"""Who did what, when: append-only, for everything that staff or a service changes."""

from typing import Any, Never, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from catalog.models.channel import Channel
from catalog.models.staff import User


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    def visible_to(self, user: User) -> Self:
        """Events of the person's channels, and what the person did; all of them for roles that see every channel."""
        if user.sees_all_channels:
            return self
        return self.filter(Q(channel__in=Channel.objects.visible_to(user)) | Q(actor=user))

    def update(self, **kwargs: Any) -> Never:
        raise TypeError("audit events are append-only")

    def delete(self) -> Never:
        raise TypeError("audit events are append-only")


class AuditEvent(models.Model):
    """One deed. `changes` maps a field to [before, after]; a secret's values are never among them, only "•••"."""

    at = models.DateTimeField(_("time"), db_index=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("who")
    )  # null: the system itself
    action = models.CharField(_("action"), max_length=60)
    object_type = models.CharField(_("kind"), max_length=60)
    object_id = models.CharField(_("id"), max_length=60, blank=True)
    object_name = models.CharField(_("object"), max_length=255, blank=True)
    channel = models.ForeignKey(Channel, models.SET_NULL, null=True, related_name="+", verbose_name=_("channel"))
    changes = models.JSONField(_("changes"), default=dict)

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-pk"]
        verbose_name = _("audit event")
        verbose_name_plural = _("audit log")
        indexes = [models.Index(fields=["object_type", "object_id", "-at"])]

    def __str__(self) -> str:
        return f"{self.action} {self.object_name}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk:
            raise TypeError("audit events are append-only")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> Never:
        raise TypeError("audit events are append-only")
