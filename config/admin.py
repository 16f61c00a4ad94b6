"""What belongs to the site as a whole: the dashboard and the set-up in the menu, and the steps of the set-up."""

from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.admin.mapping.proposals import waiting_count
from catalog.models import Channel, Listing
from config.admin_site import add_menu_item, add_setup_step
from config.model_admin import person
from integrations.models import Credential


def _channels(request: HttpRequest) -> QuerySet[Channel]:
    return Channel.objects.visible_to(person(request))


def _has_channel(request: HttpRequest) -> bool:
    return _channels(request).exists()


def _has_authorised_channel(request: HttpRequest) -> bool:
    now = timezone.now()
    stored = Credential.objects.filter(channel__in=_channels(request)).select_related("channel")
    return any(credential.state(now) not in _BEFORE for credential in stored)


_BEFORE = {Credential.State.NOT_SET_UP, Credential.State.BAD_SETTING, Credential.State.NOT_AUTHORISED}


def _has_listing(request: HttpRequest) -> bool:
    return Listing.objects.visible_to(person(request)).current().exists()


def _is_mapped(request: HttpRequest) -> bool:
    """Whether own listings are mapped and no proposal waits; what a competitor's competes with is nobody's duty."""
    own = Listing.objects.visible_to(person(request)).current().filter(ownership=Listing.Ownership.OWN)
    return not waiting_count(request) and own.filter(sku__isnull=False).exists()


def _add_channel_url(request: HttpRequest) -> str | None:
    return reverse("admin:catalog_channel_add") if request.user.has_perm("catalog.add_channel") else None


def _authorise_url(request: HttpRequest) -> str | None:
    channel = _channels(request).first()
    if channel is None or not request.user.has_perm("catalog.change_channel"):
        return None
    return reverse("admin:catalog_channel_change", args=[channel.pk])


def _add_listing_url(request: HttpRequest) -> str | None:
    if not _has_channel(request) or not request.user.has_perm("catalog.add_listing"):
        return None
    return reverse("admin:catalog_listing_add")


add_setup_step(
    _("Add a channel"),
    _("One shop on one platform, with its currency and time zone."),
    is_done=_has_channel,
    url=_add_channel_url,
    button=_("Add channel"),
    order=10,
)
add_setup_step(
    _("Let the platform authorise us"),
    _("Enter the app’s keys; where the platform asks for it, sign in there as the seller."),
    is_done=_has_authorised_channel,
    url=_authorise_url,
    button=_("Open channel"),
    order=20,
)


def _map_url(request: HttpRequest) -> str | None:
    """To the proposals that wait, else to the own listings without a SKU."""
    if not request.user.has_perms(["catalog.view_proposal", "catalog.change_listing"]) or not _has_channel(request):
        return None
    page = "proposal" if waiting_count(request) else "unmappedlisting"
    return reverse(f"admin:catalog_{page}_changelist")


add_setup_step(
    _("Add listings"),
    _("Your own and competitors’. Each is read at once, and again every few minutes."),
    is_done=_has_listing,
    url=_add_listing_url,
    button=_("Add listing"),
    order=30,
)
add_setup_step(
    _("Map listings to SKUs"),
    _("Say which SKU each own listing sells; most of it is proposed from barcodes and merchant codes."),
    is_done=_is_mapped,
    url=_map_url,
    button=_("Map listings"),
    order=40,
)

add_menu_item("watch", _("Dashboard"), "admin:index", permission=None, order=10)
add_menu_item("settings", _("Set-up"), "admin:setup", permission="catalog.add_channel", order=10)
