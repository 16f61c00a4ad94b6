"""What staff do to connections: authorise, edit the credential, add the shop's listings, fetch now, pause.

Authorising. The channel page links to a page of ours that says what will happen; it holds a plain link to the platform.
A form would not do: browsers apply our `form-action 'self'` to every redirect that follows a form, and platforms send
people through hosts of their own choosing. Opening that page by GET does nothing but put one more pending state into
the visitor's own session, where it dies within minutes; everything else needs the person's consent on the platform, and
the callback believes only a state that it finds in the session of the same person.
"""

import logging
import secrets
import time
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST, require_safe

from catalog.models import Channel, Listing, Proposal, ShopRead, User
from config import formatting
from integrations import handed_keys, sales, services, shop_reads, watching
from integrations.connections import Unconnected, unauthorised_connector_for
from integrations.connectors import CONNECTORS
from integrations.connectors.base import READS_ONLY, Capability, InvalidSetting
from integrations.connectors.errors import ConnectorError
from integrations.fetch_now import fetch_now
from integrations.forms import CredentialForm, IntervalForm, ShopAddressForm
from integrations.models import Credential
from integrations.problems import NAMED_IN_DETAIL, explain, sentence
from integrations.state import WITHOUT_APP, credential_of, until_text
from integrations.tasks import request_shop_lane
from monitoring.admin.alert_deeds import next_page
from monitoring.models import ListingWatch

logger = logging.getLogger(__name__)

CONNECT = ("catalog.change_channel", "integrations.change_credential")
CREDENTIAL = ("integrations.change_credential",)
FETCH = ("monitoring.change_listingwatch",)
DISCOVER = ("catalog.add_listing",)

STATES = "authorising"  # session key: state -> [channel id, user id, epoch seconds at which it dies]
STATE_SECONDS = 600
MOST_KEY_BYTES = 4096
MOST_STATES = 5  # pages of that kind that one person may have open
DISCOVER_SECONDS = 5  # of reading a shop while the person waits

View = Callable[..., HttpResponseBase]


def staff_page(*permissions: str) -> Callable[[View], View]:
    """A page of the admin site for people who hold all the permissions; hands `channel_id` or `listing_id` over as
    the object itself, which must be one the person sees."""

    def decorate(view: View) -> View:
        @wraps(view)
        def inner(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
            if not request.user.has_perms(permissions):
                raise PermissionDenied
            user = _staff(request)
            if "channel_id" in kwargs:
                channels = Channel.objects.visible_to(user).select_related("credential__authorised_by", "health")
                kwargs["channel"] = get_object_or_404(channels, pk=kwargs.pop("channel_id"))
            if "listing_id" in kwargs:
                listings = Listing.objects.visible_to(user).current().select_related("channel")
                kwargs["listing"] = get_object_or_404(listings, pk=kwargs.pop("listing_id"))
            return view(request, **kwargs)

        guarded: View = admin.site.admin_view(inner)
        return guarded

    return decorate


def _staff(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def channel_page(channel: Channel) -> str:
    return reverse("admin:catalog_channel_change", args=[channel.pk])


def listing_page(listing: Listing) -> str:
    return reverse("admin:catalog_listing_change", args=[listing.pk])


def _page(
    request: HttpRequest, template: str, *, title: str, status: int | None = None, **context: Any
) -> TemplateResponse:
    return TemplateResponse(
        request,
        f"integrations/{template}",
        {**admin.site.each_context(request), "title": title, **context},
        status=status,
    )


# --- Authorisation --------------------------------------------------------------------------------------------------


@require_safe
@staff_page(*CONNECT)
def authorise(request: HttpRequest, channel: Channel) -> HttpResponseBase:
    """Say where the person will be sent and why, with the link that sends them there."""
    try:
        connector = unauthorised_connector_for(channel)
    except Unconnected as error:
        messages.warning(request, _told(channel, error))
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
    return _page(
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
        return _refused(request, _told(channel, error), channel)
    except services.ShopTaken as taken:
        return _refused(request, _told_taken(request, taken), channel, other=_seen(request, taken.channel))
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
    _tell_messages(request, channel)
    return redirect(channel_page(channel))


def _refused(
    request: HttpRequest, reason: str, channel: Channel | None = None, *, other: Channel | None = None
) -> HttpResponse:
    """A plain page: nothing was changed, and where to begin again; `other` is a channel that stands in the way."""
    again = reverse("integrations:authorise", args=[channel.pk]) if channel is not None else ""
    return _page(
        request,
        "refused.html",
        title=_("Not authorised"),
        status=400,
        reason=reason,
        channel=channel,
        again=again,
        other=other,
    )


def _told(channel: Channel, error: ConnectorError | Unconnected) -> str:
    if not isinstance(error, ConnectorError):
        return sentence(cause=error.cause, channel=channel, at=None)
    detail = error.detail if error.cause in NAMED_IN_DETAIL else ""
    retry_at = getattr(error, "retry_at", None)
    told = explain(cause=error.cause, channel=channel, at=None, retry_at=retry_at, detail=detail)
    said = [error.code, told.detail]
    return f"{told} ({': '.join(filter(None, said))})" if any(said) else str(told)


def _seen(request: HttpRequest, channel: Channel) -> Channel | None:
    """The channel, when the person sees it."""
    return Channel.objects.visible_to(_staff(request)).filter(pk=channel.pk).first()


def _told_taken(request: HttpRequest, taken: services.ShopTaken) -> str:
    other = _seen(request, taken.channel)
    if other is None:
        return _("This shop is already connected, as a channel that you do not see. Ask who looks after it.")
    return _(
        "This shop is already the channel “%(channel)s”. If this one is to take its place, disconnect that one first."
    ) % {"channel": other.name}


# --- The credential -------------------------------------------------------------------------------------------------


@staff_page(*CREDENTIAL)
def edit_credential(request: HttpRequest, channel: Channel) -> HttpResponseBase:
    """The connection's settings; a stored secret never leaves the server."""
    credential = credential_of(channel)
    form = CredentialForm(request.POST if request.method == "POST" else None, channel=channel, credential=credential)
    if request.method == "POST" and form.is_valid():
        try:
            changes = services.save_credential(
                channel=channel, values=form.values(), actor=_staff(request), now=timezone.now()
            )
        except services.ShopTaken as taken:
            form.add_error(form.connector_class.shop_setting or None, _told_taken(request, taken))
        else:
            _tell_saved(request, channel, changes)
            return redirect(channel_page(channel))
    connector_class = form.connector_class
    return _page(
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
        _tell_tested(request, stored.channel)
    elif must_authorise:
        told = _("It cannot be tested before the shop authorises.")
        if request.user.has_perms(CONNECT):
            url = reverse("integrations:authorise", args=[channel.pk])
            told = format_html('{} <a class="btn" href="{}">{}</a>', told, url, _("Authorise"))
        messages.warning(request, told)


# --- Giving a shop free ---------------------------------------------------------------------------------------------


def disconnect_page(channel: Channel) -> str:
    """Where a channel's connection can be ended; "" for one that has none."""
    credential = credential_of(channel)
    is_connected = credential.pk and credential.state(timezone.now()) != Credential.State.NOT_SET_UP
    return reverse("integrations:disconnect", args=[channel.pk]) if is_connected else ""


@staff_page(*CREDENTIAL)
def disconnect(request: HttpRequest, channel: Channel) -> HttpResponseBase:
    """Asked first: what goes cannot be brought back."""
    if request.method == "POST":
        if services.disconnect(channel=channel, actor=_staff(request), now=timezone.now()):
            told = _("%(channel)s is disconnected: its shop is free for another channel.")
            messages.success(request, told % {"channel": channel.name})
        else:
            messages.info(request, _("Nothing was changed."))
        return redirect(channel_page(channel))
    return _page(
        request,
        "disconnect.html",
        title=_("Disconnect “%(channel)s”?") % {"channel": channel.name},
        channel=channel,
        count=channel.listings.current().count(),
        back=channel_page(channel),
    )


# --- Keys that the shop hands over ----------------------------------------------------------------------------------


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
                actor=_staff(request),
                now=timezone.now(),
            )
        except InvalidSetting as error:
            form.add_error("base_url", str(error))
        except services.ShopTaken as taken:
            form.add_error("base_url", _told_taken(request, taken))
    return _page(
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
    came = handed_keys.finish(channel=channel, state=request.GET.get("user_id", ""), actor=_staff(request))
    if came is None:
        messages.warning(request, _("This consent was not begun here, or was finished already."))
    elif came:
        messages.success(request, _("The shop has handed its keys over."))
        _tell_tested(request, Channel.objects.get(pk=channel.pk))
    elif request.GET.get("success") == "1":
        messages.error(
            request, _("The shop says that it sent its keys, but none arrived here. Enter them by hand instead.")
        )
    else:
        messages.warning(request, _("The shop did not give its consent. Nothing was changed."))
    return redirect(channel_page(channel))


# --- The test of a connection ---------------------------------------------------------------------------------------


def can_test(credential: Credential) -> bool:
    """Whether there is enough for a call to the platform."""
    return credential.state(timezone.now()) not in {*WITHOUT_APP, Credential.State.NOT_AUTHORISED}


@require_POST
@staff_page(*CREDENTIAL)
def check_connection(request: HttpRequest, channel: Channel) -> HttpResponseBase:
    """Call the platform now and say in plain words what came of it."""
    _tell_tested(request, channel)
    return redirect(channel_page(channel))


def _tell_tested(request: HttpRequest, channel: Channel) -> None:
    try:
        found = services.check_connection(channel=channel, actor=_staff(request), now=timezone.now())
    except (ConnectorError, Unconnected) as error:
        messages.error(request, _told(channel, error))
        return
    except services.ShopTaken as taken:
        messages.error(request, _told_taken(request, taken))
        return
    if found.reads_only:
        messages.warning(request, sentence(cause=READS_ONLY, channel=channel, at=None))
    elif found.shop:
        messages.success(request, _("The connection works: %(shop)s.") % {"shop": found.shop})
    else:
        messages.success(request, _("The connection works."))
    _tell_messages(request, channel)


def _tell_messages(request: HttpRequest, channel: Channel) -> None:
    """Say when a platform that keeps news for us, once asked, does not."""
    is_asked = Capability.PULL_MESSAGES in CONNECTORS[channel.platform].capabilities
    if is_asked and not Credential.objects.filter(channel=channel, messages_since__isnull=False).exists():
        told = _(
            "%(channel)s does not keep news for us yet: its changes are found by reading alone. Ask for the permission "
            "for messages in the platform's console, then test the connection."
        )
        messages.warning(request, told % {"channel": channel.name})


# --- Listings and sales of the shop ----------------------------------------------------------------------------------


@require_POST
@staff_page(*DISCOVER)
def discover(request: HttpRequest, channel: Channel) -> HttpResponseBase:
    """Ask the shop what it has, and go on in the background where that takes long."""
    address = f"{reverse('admin:catalog_proposal_changelist')}?channel__id__exact={channel.pk}"
    read = _read_shop(request, channel, ShopRead.Kind.LISTINGS)
    if read is None:
        return redirect(channel_page(channel))
    waiting = Proposal.objects.open().filter(channel=channel).count()
    count = ngettext("%(count)s listing found", "%(count)s listings found", read.count)
    text = _("%(found)s, %(open)s of them to decide about.") % {
        "found": count % {"count": formatting.count(read.count)},
        "open": formatting.count(waiting),
    }
    messages.info(
        request, text if read.ended_at else formatting.sentences(text, _("The rest is being read in the background."))
    )
    return redirect(address)


@require_POST
@staff_page(*DISCOVER)
def read_sales(request: HttpRequest, channel: Channel) -> HttpResponseBase:
    """Count what the channel's unmapped listings and proposals sold; what takes long goes on in the background."""
    unmapped = f"{reverse('admin:catalog_unmappedlisting_changelist')}?channel__id__exact={channel.pk}"
    address = next_page(request) or unmapped
    read = _read_shop(request, channel, ShopRead.Kind.SALES) if sales.can_read_sales(channel) else None
    if read is not None:
        text = ngettext("%(count)s order read.", "%(count)s orders read.", read.count)
        told = text % {"count": formatting.count(read.count)}
        messages.info(
            request,
            told if read.ended_at else formatting.sentences(told, _("The rest is being read in the background.")),
        )
    return redirect(address)


def _read_shop(request: HttpRequest, channel: Channel, kind: ShopRead.Kind) -> ShopRead | None:
    """A first slice of the reading; None when it brought nothing, which the person has then been told."""
    begun = shop_reads.begin(channel=channel, kind=kind, now=timezone.now())
    sliced = shop_reads.take_slice(
        read=begun, now_fn=timezone.now, seconds=DISCOVER_SECONDS, is_asked=True, is_cut_short=True
    )
    if sliced.error is not None:
        messages.error(request, _told(channel, sliced.error))
        if not sliced.read.count:
            return None
    if sliced.read.goes_on(timezone.now()):
        request_shop_lane()
    return sliced.read


# --- Fetch now, watch, pause ----------------------------------------------------------------------------------------


def tell_fetched(request: HttpRequest, listing_ids: list[int]) -> None:
    """Fetch the listings and leave what came of it as messages."""
    result = fetch_now(listing_ids=listing_ids, now=timezone.now())
    if result.level == messages.ERROR and len(result.problems) == 1:
        messages.error(request, formatting.sentences(result.done, result.problems[0]))
        return
    messages.add_message(request, result.level, result.done)
    for problem in result.problems:
        messages.add_message(request, max(result.level, messages.WARNING), problem)


@require_POST
@staff_page(*FETCH)
def fetch_listing(request: HttpRequest, listing: Listing) -> HttpResponseBase:
    tell_fetched(request, [listing.pk])
    return redirect(listing_page(listing))


@require_POST
@staff_page(*FETCH)
def fetch_channel(request: HttpRequest, channel: Channel) -> HttpResponseBase:
    tell_fetched(request, list(channel.listings.current().order_by("pk").values_list("pk", flat=True)))
    return redirect(channel_page(channel))


@require_POST
@staff_page(*FETCH)
def pause_listing(request: HttpRequest, listing: Listing) -> HttpResponseBase:
    tell_paused(request, [listing.pk], is_paused=True)
    return redirect(listing_page(listing))


@require_POST
@staff_page(*FETCH)
def resume_listing(request: HttpRequest, listing: Listing) -> HttpResponseBase:
    tell_paused(request, [listing.pk], is_paused=False)
    return redirect(listing_page(listing))


def tell_paused(request: HttpRequest, listing_ids: list[int], *, is_paused: bool) -> None:
    """Pause or resume the listings and leave the count as a message."""
    count = watching.set_paused(
        listings=Listing.objects.filter(pk__in=listing_ids),
        is_paused=is_paused,
        actor=_staff(request),
        now=timezone.now(),
    )
    if is_paused:
        text = ngettext("Paused %(count)d listing.", "Paused %(count)d listings.", count)
    else:
        text = ngettext("Resumed %(count)d listing.", "Resumed %(count)d listings.", count)
    messages.success(request, text % {"count": count})


@staff_page(*FETCH)
def edit_interval(request: HttpRequest, listing: Listing) -> HttpResponseBase:
    """How often one listing is read."""
    watch = get_object_or_404(ListingWatch.objects.select_related("channel"), listing=listing)
    form = IntervalForm(request.POST if request.method == "POST" else None, instance=watch, label_suffix="")
    if request.method == "POST" and form.is_valid():
        changed = watching.set_interval(
            listing=listing,
            seconds=form.cleaned_data["interval_seconds"],
            actor=_staff(request),
            now=timezone.now(),
        )
        if changed:
            watch.refresh_from_db()
            saved = _("Saved: read every %(interval)s.") % {"interval": formatting.duration(watch.interval)}
            messages.success(request, saved)
        else:
            messages.success(request, _("Nothing was changed."))
        return redirect(listing_page(listing))
    return _page(
        request,
        "interval.html",
        title=_("How often to read"),
        listing=listing,
        form=form,
        back=listing_page(listing),
        status=400 if form.is_bound else None,
    )
