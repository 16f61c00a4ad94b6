"""A shop gives its consent: the way to the platform and back.

The channel page links to a page of ours that says what will happen; it holds a plain link to the platform.
A form would not do: browsers apply our `form-action 'self'` to every redirect that follows a form, and platforms send
people through hosts of their own choosing. Opening that page by GET does nothing but put one more pending state into
the visitor's own session, where it dies within minutes; everything else needs the person's consent on the platform, and
the callback believes only a state that it finds in the session of the same person.
"""

import secrets
import time
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_safe

from catalog.models import Channel, User
from integrations import services
from integrations.connections import Unconnected, unauthorised_connector_for
from integrations.connectors.errors import ConnectorError
from integrations.models import Credential
from integrations.state import credential_of, until_text
from integrations.views.checking import tell_messages
from integrations.views.pages import CONNECT, channel_page, page, refusal_text, seen, staff_page, taken_text

STATES = "authorising"  # session key: state -> [channel id, user id, epoch seconds at which it dies]
STATE_SECONDS = 600
MOST_STATES = 5  # pages of that kind that one person may have open


@require_safe
@staff_page(*CONNECT)
def authorise(request: HttpRequest, channel: Channel) -> HttpResponseBase:
    """Say where the person will be sent and why, with the link that sends them there."""
    try:
        connector = unauthorised_connector_for(channel)
    except Unconnected as error:
        messages.warning(request, refusal_text(channel, error))
        return redirect("integrations:credential", channel_id=channel.pk)
    if channel.credential.grant != Credential.Grant.CONSENT:
        messages.info(request, _("%(channel)s needs no consent.") % {"channel": channel.name})
        return redirect(channel_page(channel))
    state = secrets.token_urlsafe(32)
    pending = [(stored, row) for stored, row in request.session.get(STATES, {}).items() if row[2] > time.time()]
    newest = pending[-(MOST_STATES - 1) :]
    request.session[STATES] = {**dict(newest), state: [channel.pk, request.user.pk, time.time() + STATE_SECONDS]}
    site = urlsplit(settings.SITE_URL).netloc
    url = connector.authorise_url(redirect_uri=services.callback_uri(), state=state)
    return page(
        request,
        "authorise.html",
        title=_("Authorise %(channel)s") % {"channel": channel.name},
        channel=channel,
        credential=credential_of(channel),
        platform=connector.title,
        console=connector.console(credential_of(channel).stored_settings),
        url=url,
        host=urlsplit(url).netloc,
        callback=services.callback_uri(),
        other_site=settings.SITE_URL if request.get_host() != site else "",
        back=channel_page(channel),
    )


@never_cache
@require_GET
def callback(request: HttpRequest) -> HttpResponseBase:
    """Where the platform sends the person back to, with a code and the state we gave it, or with an error.

    Not a page of the admin: sending somebody to the sign-in from here would carry the code along in an address.
    """
    states = request.session.get(STATES, {})
    row = states.pop(request.GET.get("state", ""), None)
    if row is None:
        return _refused(request, _("This authorisation was not begun here, or was finished already."))
    request.session[STATES] = states
    channel_id, user_id, ends = row
    user = request.user
    if not isinstance(user, User) or not user.is_active or not user.is_staff or user.pk != user_id:
        return _refused(request, _("This authorisation was begun by somebody else."))
    channel = Channel.objects.visible_to(user).filter(pk=channel_id).first()
    if channel is None or not user.has_perms(CONNECT):
        return _refused(request, _("You may not authorise this channel."))
    if ends <= time.time():
        return _refused(request, _("This authorisation took longer than 10 minutes."), channel)
    if "error" in request.GET:
        return _refused(request, _("The shop did not give its consent."), channel)
    code = request.GET.get("code", "")
    if not code:
        return _refused(request, _("The platform sent no code."), channel)
    try:
        credential = services.authorise(
            channel=channel, code=code, parameters=request.GET.dict(), actor=user, now=timezone.now()
        )
    except services.NotGenuine:
        return _refused(
            request, _("What came back was not sent by the platform, or was sent for another shop."), channel
        )
    except (ConnectorError, Unconnected) as error:
        return _refused(request, refusal_text(channel, error), channel)
    except services.ShopTaken as taken:
        return _refused(request, taken_text(request, taken), channel, other=seen(request, taken.channel))
    except services.OtherAccount as other:
        return _refused(
            request,
            _(
                "%(channel)s holds listings of the shop %(stored)s, but the consent came from %(given)s. "
                "Sign in to the platform with the first, or add a channel for the second."
            )
            % {"channel": channel.name, "stored": other.stored, "given": other.given or _("a shop without a name")},
            channel,
        )
    now = timezone.now()
    if credential.renews_itself(now):
        told = _("%(channel)s is authorised. Its token renews itself.") % {"channel": channel.name}
    else:
        until = until_text(credential.reads_until, now)
        told = _("%(channel)s is authorised until %(time)s.") % {"channel": channel.name, "time": until}
    messages.success(request, told)
    tell_messages(request, channel)
    return redirect(channel_page(channel))


def _refused(
    request: HttpRequest, reason: str, channel: Channel | None = None, *, other: Channel | None = None
) -> HttpResponse:
    """A plain page: nothing was changed, and where to begin again; `other` is a channel that stands in the way."""
    again = reverse("integrations:authorise", args=[channel.pk]) if channel is not None else ""
    return page(
        request,
        "refused.html",
        title=_("Not authorised"),
        status=400,
        reason=reason,
        channel=channel,
        again=again,
        other=other,
    )
