"""Keys by which other programs read the API in a person's name."""

import hashlib
import secrets
from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from catalog.models.staff import User

# What every key begins with, so that one that leaked is recognised.
MARK = "es_"
_SHOWN = len(MARK) + 8


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def visible_to(self, user: User) -> Self:
        """A person's own keys; all of them for superusers."""
        return self if user.is_superuser else self.filter(user=user)

    def for_token(self, token: str) -> Self:
        return self.filter(digest=_digest(token))


class ApiKey(models.Model):
    """What a program that shows the key may read: what its scopes name, as far as its user may see it.

    The key itself is kept nowhere. It has 256 random bits, so that a plain SHA-256 of it can be neither guessed nor
    looked up, and a slow hash would only slow every request down.
    """

    class Scope(models.TextChoices):
        CATALOG = "read:catalog", _("products, SKUs and channels")
        WATCH = "read:watch", _("listings with their prices and stock, and their history")
        ALERTS = "read:alerts", _("thresholds and alerts")
        SYNC = "read:sync", _("where the sync of stock stands")
        PRICES = "read:prices", _("promotions and after-coupon prices")
        PLANS = "read:plans", _("plans, advice and the health of the stock")
        COST = "read:cost", _("cost prices, with the SKUs")

    name = models.CharField(_("name"), max_length=80, help_text=_("What uses it, for example the ERP."))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="api_keys",
        verbose_name=_("acts for"),
        help_text=_("It reads what this person may see, and stops when they are no longer active."),
    )
    scopes = models.JSONField(_("may read"), default=list)
    prefix = models.CharField(_("begins with"), max_length=_SHOWN, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    expires_at = models.DateTimeField(_("ends"), null=True, blank=True)  # null: never
    revoked_at = models.DateTimeField(_("revoked at"), null=True, editable=False)
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)  # to the minute
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    # When the requests made so far would have been over at the even pace that is allowed: microseconds since 1970.
    paced_until_us = models.BigIntegerField(default=0, editable=False)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        constraints = [models.CheckConstraint(condition=~Q(digest=""), name="api_key_has_digest")]

    def __str__(self) -> str:
        return self.name

    def issue(self) -> str:
        """Give it a new random key, and return that: nobody can be shown it again."""
        token = MARK + secrets.token_urlsafe(32)
        self.prefix, self.digest = token[:_SHOWN], _digest(token)
        return token

    def is_usable(self, now: datetime) -> bool:
        """Whether it opens anything; one that ends exactly now does not."""
        return self.revoked_at is None and not self.has_ended(now) and self.user.is_active

    def has_ended(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
