"""Which of a channel's listings a run is about: all of them, or those of a brand, a product or a saved filter."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from django.contrib import admin
from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import SEARCH_VAR
from django.db.models import QuerySet
from django.http import QueryDict
from django.test import RequestFactory
from django.utils.translation import gettext as _

from catalog.models import Channel, Listing, Product
from config.change_list import TAB_VAR
from integrations.syncing import guards
from integrations.syncing.models import SavedFilter


class UnknownScope(ValueError):
    """A brand, a product or a filter that is not there, or no longer narrows the list; the message says which."""


@dataclass(frozen=True, slots=True)
class Scope:
    """All that it names must hold; without any it is the whole channel."""

    brand: str = ""
    product: int | None = None
    filter: int | None = None
    is_held: bool = False  # only what the guard of zeros holds back

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Scope":
        return cls(**stored)

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value}

    @property
    def is_whole(self) -> bool:
        return not self.as_json()

    def listings(self, channel: Channel) -> QuerySet[Listing]:
        """Those of the channel; raises UnknownScope."""
        found = Listing.objects.filter(channel=channel)
        if self.brand:
            found = found.filter(sku__product__brand=self.brand)
        if self.product:
            found = found.filter(sku__product=self.product)
        if self.filter:
            found = found.filter(pk__in=filtered(_saved(self.filter)).values("pk"))
        if self.is_held:
            found = found.filter(pk__in=guards.held_rows(channel).values("listing"))
        return found

    def __str__(self) -> str:
        """In words; "" for the whole channel."""
        parts = [_("brand %(name)s") % {"name": self.brand}] if self.brand else []
        if self.product:
            product = Product.objects.filter(pk=self.product).first()
            parts.append(_("product %(name)s") % {"name": product or self.product})
        if self.filter:
            saved = SavedFilter.objects.filter(pk=self.filter).first()
            parts.append(_("filter “%(name)s”") % {"name": saved or self.filter})
        if self.is_held:
            parts.append(_("what would go to 0"))
        return ", ".join(parts)


WHOLE = Scope()


def filtered(saved: SavedFilter) -> QuerySet[Listing]:
    """What the list of listings shows its owner under the filter; raises UnknownScope where it no longer narrows it."""
    query = QueryDict(saved.query)
    request = RequestFactory().get("/", query)
    request.user = saved.owner
    try:
        changes = admin.site.get_model_admin(Listing).get_changelist_instance(request)
        found: QuerySet[Listing] = changes.get_queryset(request).order_by()
    except (IncorrectLookupParameters, DisallowedModelAdminLookup) as error:
        raise UnknownScope(_broken(saved)) from error
    # What a filter does not offer any more it leaves out, and the list would be all listings.
    used = {SEARCH_VAR, TAB_VAR}.union(*(spec.expected_parameters() for spec in changes.filter_specs))
    if not query or not used.issuperset(query):
        raise UnknownScope(_broken(saved))
    return found


def _saved(pk: int) -> SavedFilter:
    saved = SavedFilter.objects.filter(pk=pk).select_related("owner").first()
    if saved is None:
        raise UnknownScope(_("The filter was deleted. Choose another one."))
    return saved


def _broken(saved: SavedFilter) -> str:
    return _("The filter “%(name)s” no longer fits the list of listings. Set it there and save it again.") % {
        "name": saved
    }
