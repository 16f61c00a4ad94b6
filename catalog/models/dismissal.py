"""What the mapping check finds and a person holds for fine."""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from catalog.mapping_lint import FindingKind
from catalog.models.listing import Listing

FINDING_LABELS = {
    FindingKind.TWICE: _("the same SKU twice"),
    FindingKind.TWO_SKUS: _("two SKUs"),
    FindingKind.PACK: _("units in the title"),
    FindingKind.PRICE: _("price of a unit"),
    FindingKind.COST: _("price against cost"),
    FindingKind.DEAD: _("gone from the platform"),
}


class DismissalQuerySet(models.QuerySet["Dismissal"]):
    def of_present_mappings(self) -> Self:
        """Without those of listings that were mapped anew since, and be it to the same SKU."""
        never = Q(mapped_at__isnull=True, listing__mapped_at__isnull=True)
        return self.filter(never | Q(mapped_at=F("listing__mapped_at")))


class Dismissal(models.Model):
    """One kind of finding about one listing, fine for as long as its facts stay: see mapping_lint.is_as_dismissed()."""

    listing = models.ForeignKey(Listing, models.CASCADE, related_name="dismissals", verbose_name=_("listing"))
    kind = models.CharField(
        _("finding"), max_length=10, choices=[(kind.value, label) for kind, label in FINDING_LABELS.items()]
    )
    facts = models.JSONField()
    mapped_at = models.DateTimeField(null=True)  # the listing's, at that time
    reason = models.CharField(_("why it is fine"), max_length=300)
    at = models.DateTimeField(_("time"))
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("who")
    )

    objects = DismissalQuerySet.as_manager()

    class Meta:
        verbose_name = _("dismissed finding")
        verbose_name_plural = _("dismissed findings")
        constraints = [
            models.UniqueConstraint(fields=["listing", "kind"], name="dismissal_identity"),
            models.CheckConstraint(condition=~Q(reason=""), name="dismissal_has_reason"),
        ]

    def __str__(self) -> str:
        return f"{self.listing}: {self.get_kind_display()}"
