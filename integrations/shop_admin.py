"""What reading the shops adds to the pages about mappings: the buttons that begin a reading, and why one stopped."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.models import ShopRead
from config.admin_site import Badge, add_badge, add_button
from integrations import views
from integrations.discovery import can_discover
from integrations.models import Credential
from integrations.sales import can_read_sales
from integrations.state import WITHOUT_APP, credential_of
from monitoring.causes import cause_label

_ADDRESSES: dict[str, tuple[str, Any]] = {
    ShopRead.Kind.LISTINGS: ("integrations:discover", can_discover),
    ShopRead.Kind.SALES: ("integrations:read_sales", can_read_sales),
}


def _read_url(request: HttpRequest, read: ShopRead) -> str | None:
    name, can_read = _ADDRESSES[read.kind]
    if not request.user.has_perms(views.DISCOVER) or not can_read(read.channel):
        return None
    if credential_of(read.channel).state(timezone.now()) in {*WITHOUT_APP, Credential.State.NOT_AUTHORISED}:
        return None
    return reverse(name, args=[read.channel_id])


def _stopped(request: HttpRequest, read: ShopRead) -> Badge | None:
    return Badge("warning", cause_label(read.cause)) if read.cause else None


add_button("shop_read", _("Read the shop"), _read_url)
add_badge("shop_read", _stopped)
