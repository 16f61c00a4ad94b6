"""Who works here, and which channels each of them sees."""

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils.translation import gettext_lazy as _


class User(AbstractUser):
    """A member of staff. Their channels bound every list, chart and API answer they get."""

    channels = models.ManyToManyField(
        "catalog.Channel",
        blank=True,
        related_name="staff",
        verbose_name=_("channels"),
        help_text=_("The channels this person works with. Roles that see every channel do not need any here."),
    )

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")

    @property
    def sees_all_channels(self) -> bool:
        return self.has_perm("catalog.view_all_channels")
