"""Keys that a shop hands over, once somebody consents there."""

import logging
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from catalog.models import Channel
from integrations import handed_keys, services
from integrations.connectors import CONNECTORS
from integrations.connectors.base import Capability, InvalidSetting
from integrations.forms import ShopAddressForm
from integrations.state import credential_of
from integrations.views.checking import tell_tested
from integrations.views.pages import CREDENTIAL, channel_page, page, staff, staff_page, taken_text

logger = logging.getLogger(__name__)

MOST_KEY_BYTES = 4096


def can_request_keys(channel: Channel) -> bool:
    return Capability.REQUEST_KEYS in CONNECTORS[channel.platform].capabilities


@staff_page(*CREDENTIAL)
def request_keys(request: HttpRequest, channel: Channel) -> HttpResponseBase:
    """Ask for the shop's address, then show the link that sends the person there; as of authorise(), a plain one."""
    if not can_request_keys(channel):
        messages.info(request, _("The shops of this platform hand no keys over. Enter them."))
        return redirect("integrations:credential", channel_id=channel.pk)
    stored = {"base_url": credential_of(channel).base_url}
    form = ShopAddressForm(request.POST or None, initial=stored, label_suffix="")
    url = ""
    # Keys are never sent in the open: without https nothing is asked for.
    if request.method == "POST" and settings.HTTPS and form.is_valid():
        try:
            url = handed_keys.request(
                channel=channel,
                base_url=form.cleaned_data["base_url"],
                actor=staff(request),
                now=timezone.now(),
            )
        except InvalidSetting as error:
            form.add_error("base_url", str(error))
        except services.ShopTaken as taken:
            form.add_error("base_url", taken_text(request, taken))
    return page(
        request,
        "request_keys.html",
        title=_("Connect %(channel)s by consent") % {"channel": channel.name},
        channel=channel,
        form=form,
        is_https=settings.HTTPS,
        site=settings.SITE_URL,
        other_site=settings.SITE_URL if request.get_host() != urlsplit(settings.SITE_URL).netloc else "",
        url=url,
        host=urlsplit(url).netloc,
        paste=reverse("integrations:credential", args=[channel.pk]),
        back=channel_page(channel),
        status=400 if request.method == "POST" and not url else None,
    )


@never_cache
@csrf_exempt
@require_POST
def receive_keys(request: HttpRequest, channel_id: int) -> HttpResponse:
    """Where a shop posts its keys. It is nobody who is signed in: what it says of our request is what lets it in."""
    channel = Channel.objects.filter(pk=channel_id).first()
    length = request.headers.get("Content-Length", "")
    try:
        if channel is None or not can_request_keys(channel):
            raise handed_keys.NotTaken("no channel that takes keys")
        if not length.isdecimal() or int(length) > MOST_KEY_BYTES:
            raise handed_keys.NotTaken("too long")
        handed_keys.receive(channel=channel, body=request.body, now=timezone.now())
    except handed_keys.NotTaken as reason:
        logger.warning("channel %s: posted keys were not taken: %s", channel_id, reason)
        return HttpResponse("Not taken.", status=400, content_type="text/plain")
    return HttpResponse("Taken.", content_type="text/plain")


@never_cache
@require_GET
@staff_page(*CREDENTIAL)
def keys_returned(request: HttpRequest, channel: Channel) -> HttpResponseBase:
    """Where the shop sends the person back to, after it has posted its keys or was told not to."""
    came = handed_keys.finish(channel=channel, state=request.GET.get("user_id", ""), actor=staff(request))
    if came is None:
        messages.warning(request, _("This consent was not begun here, or was finished already."))
    elif came:
        messages.success(request, _("The shop has handed its keys over."))
        tell_tested(request, Channel.objects.get(pk=channel.pk))
    elif request.GET.get("success") == "1":
        messages.error(
            request, _("The shop says that it sent its keys, but none arrived here. Enter them by hand instead.")
        )
    else:
        messages.warning(request, _("The shop did not give its consent. Nothing was changed."))
    return redirect(channel_page(channel))
