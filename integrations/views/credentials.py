"""The settings of a connection, and its end."""

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _

from catalog.models import Channel
from config import formatting
from integrations import services
from integrations.connectors.base import Capability
from integrations.forms import CredentialForm
from integrations.models import Credential
from integrations.state import credential_of
from integrations.views.checking import can_test, tell_tested
from integrations.views.keys import can_request_keys
from integrations.views.pages import CONNECT, CREDENTIAL, channel_page, page, staff, staff_page, taken_text


@staff_page(*CREDENTIAL)
def edit_credential(request: HttpRequest, channel: Channel) -> HttpResponseBase:
    """The connection's settings; a stored secret never leaves the server."""
    credential = credential_of(channel)
    form = CredentialForm(request.POST if request.method == "POST" else None, channel=channel, credential=credential)
    if request.method == "POST" and form.is_valid():
        try:
            changes = services.save_credential(
                channel=channel, values=form.values(), actor=staff(request), now=timezone.now()
            )
        except services.ShopTaken as taken:
            form.add_error(form.connector_class.shop_setting or None, taken_text(request, taken))
        else:
            _tell_saved(request, channel, changes)
            return redirect(channel_page(channel))
    connector_class = form.connector_class
    return page(
        request,
        "credential.html",
        title=_("Connection of %(channel)s") % {"channel": channel.name},
        channel=channel,
        credential=credential,
        form=form,
        callback=services.callback_uri() if Capability.AUTHORISE in connector_class.capabilities else "",
        consent_only_for=connector_class.consent_only_for,
        callback_only_for=form.only_for(connector_class.consent_only_for),
        permissions=formatting.joined(str(permission) for permission in connector_class.permissions),
        console=connector_class.console(credential.stored_settings),
        request_keys=can_request_keys(channel),
        disconnect_url=disconnect_page(channel),
        back=channel_page(channel),
        status=400 if form.is_bound else None,
    )


def _tell_saved(request: HttpRequest, channel: Channel, changes: Mapping[str, Any]) -> None:
    """Say what was stored and, where a test was asked for, what came of it or why there can be none yet."""
    stored = Credential.objects.select_related("channel").get(channel=channel)
    must_authorise = stored.state(timezone.now()) == Credential.State.NOT_AUTHORISED
    if "access_token" in changes and must_authorise:
        messages.warning(request, _("Connection saved. The shop has to authorise again."))
    elif changes:
        messages.success(request, _("Connection saved."))
    else:
        messages.info(request, _("Nothing was changed."))
    if "test" not in request.POST:
        return
    if can_test(stored):
        tell_tested(request, stored.channel)
    elif must_authorise:
        told = _("It cannot be tested before the shop authorises.")
        if request.user.has_perms(CONNECT):
            url = reverse("integrations:authorise", args=[channel.pk])
            told = format_html('{} <a class="btn" href="{}">{}</a>', told, url, _("Authorise"))
        messages.warning(request, told)


def disconnect_page(channel: Channel) -> str:
    """Where a channel's connection can be ended; "" for one that has none."""
    credential = credential_of(channel)
    is_connected = credential.pk and credential.state(timezone.now()) != Credential.State.NOT_SET_UP
    return reverse("integrations:disconnect", args=[channel.pk]) if is_connected else ""


@staff_page(*CREDENTIAL)
def disconnect(request: HttpRequest, channel: Channel) -> HttpResponseBase:
    """Asked first: what goes cannot be brought back."""
    if request.method == "POST":
        if services.disconnect(channel=channel, actor=staff(request), now=timezone.now()):
            told = _("%(channel)s is disconnected: its shop is free for another channel.")
            messages.success(request, told % {"channel": channel.name})
        else:
            messages.info(request, _("Nothing was changed."))
        return redirect(channel_page(channel))
    return page(
        request,
        "disconnect.html",
        title=_("Disconnect “%(channel)s”?") % {"channel": channel.name},
        channel=channel,
        count=channel.listings.current().count(),
        back=channel_page(channel),
    )
