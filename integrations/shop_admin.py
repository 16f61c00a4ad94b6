"""What reading the shops adds to the pages about mappings: the buttons that begin a reading, and why one stopped."""

from collections.abc import Callable

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.models import Channel, ShopRead
from config.admin_site import Badge, add_badge, add_button
from integrations import views
from integrations.discovery import can_discover
from integrations.models import Credential
from integrations.sales import can_read_sales
from integrations.state import WITHOUT_APP, credential_of
from monitoring.causes import cause_label


def _read_url(name: str, can_read: Callable[[Channel], bool]) -> Callable[[HttpRequest, ShopRead], str | None]:
    """The address that begins a reading, for people who may and channels that can."""

    def url(request: HttpRequest, read: ShopRead) -> str | None:
        if not request.user.has_perms(views.DISCOVER) or not can_read(read.channel):
            return None
        if credential_of(read.channel).state(timezone.now()) in {*WITHOUT_APP, Credential.State.NOT_AUTHORISED}:
            return None
        return reverse(f"integrations:{name}", args=[read.channel_id])

    return url


def _stopped(request: HttpRequest, read: ShopRead) -> Badge | None:
    return Badge("warning", cause_label(read.cause)) if read.cause else None


add_button("listings_read", _("Find listings in the shop"), _read_url("discover", can_discover))
add_button("sales_read", _("Read sales"), _read_url("read_sales", can_read_sales))
add_badge("shop_read", _stopped)
