"""What connections add to the pages of channels and listings, and to the dashboard."""

from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import ModelAdmin
from django.db.models import Count, Min, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

import integrations.audit_words  # tells the changes of connections in the audit log
import integrations.notifying.admin  # registers the pages of targets and deliveries
import integrations.shop_admin  # adds to the pages about mappings
import integrations.syncing.admin  # registers the pages of what is on its way, and of runs
import integrations.syncing.control  # registers where sync is switched on, and dry runs
import integrations.syncing.status_page  # noqa: F401  # adds where the sync of all channels stands to the menu
from catalog.fields import LostSecret
from catalog.models import Channel, Listing
from config.admin_site import Badge, add_action, add_badge, add_button, add_column, add_panel, add_tab, page_badge
from config.templatetags.evenshelf import badge, time_ago, unknown
from integrations import views
from integrations.connections import CIRCUIT_FAILURES
from integrations.connectors import CONNECTORS
from integrations.connectors.base import Capability, Setting, SettingKind
from integrations.discovery import can_discover
from integrations.lanes.pace import CALLS
from integrations.models import Credential
from integrations.quotas import next_free
from integrations.state import (
    CAPABILITIES,
    TROUBLE,
    WITHOUT_APP,
    WRITES,
    channel_problems,
    channel_states,
    connection_badge,
    credential_of,
    health_of,
    life_texts,
    masked,
    needs_authorisation,
    until_text,
    used_up_until,
    with_connection,
)
from monitoring import dashboard
from monitoring.causes import cause_label
from monitoring.freshness import watch_of
from monitoring.models import Alert, AlertKind, ListingWatch

dashboard.channel_states.append(lambda request, channels, now: channel_states(channels, now))


# --- The channel page: head -----------------------------------------------------------------------------------------


def _may_connect(request: HttpRequest, channel: Channel) -> bool:
    """Whether the person may have the platform ask the shop for its consent, and the platform does ask."""
    credential = credential_of(channel)
    return (
        request.user.has_perms(views.CONNECT)
        and credential.state(timezone.now()) not in WITHOUT_APP
        and credential.grant == Credential.Grant.CONSENT
    )


def _authorise_url(request: HttpRequest, channel: Channel, *, pressing: bool, again: bool) -> str | None:
    """The address of the one button of four that fits: first time or again, pressing or not."""
    if not _may_connect(request, channel) or needs_authorisation(channel, timezone.now()) is not pressing:
        return None
    if bool(credential_of(channel).access_token) is not again:
        return None
    return reverse("integrations:authorise", args=[channel.pk])


def _channel_url(name: str, *permissions: str) -> Any:
    """The address of a channel's deed, for people who hold the permissions."""

    def url(request: HttpRequest, channel: Channel) -> str | None:
        return reverse(f"integrations:{name}", args=[channel.pk]) if request.user.has_perms(permissions) else None

    return url


def _fetch_url(request: HttpRequest, channel: Channel) -> str | None:
    """Where there is enough for a call to the platform; before that the page offers to connect."""
    url: str | None = _channel_url("fetch_channel", *views.FETCH)(request, channel)
    return url if url and views.can_test(credential_of(channel)) else None


def _discover_url(request: HttpRequest, channel: Channel) -> str | None:
    if not request.user.has_perms(views.DISCOVER) or not can_discover(channel):
        return None
    if credential_of(channel).state(timezone.now()) in {*WITHOUT_APP, Credential.State.NOT_AUTHORISED}:
        return None
    return reverse("integrations:discover", args=[channel.pk])


def _test_url(request: HttpRequest, channel: Channel) -> str | None:
    if not request.user.has_perms(views.CREDENTIAL) or not views.can_test(credential_of(channel)):
        return None
    return reverse("integrations:check_connection", args=[channel.pk])


def _disconnect_url(request: HttpRequest, channel: Channel) -> str | None:
    return (views.disconnect_page(channel) or None) if request.user.has_perms(views.CREDENTIAL) else None


def _request_keys_url(request: HttpRequest, channel: Channel) -> str | None:
    """Where the shop is asked to hand its keys over, as long as there are none that it lets in."""
    if not request.user.has_perms(views.CREDENTIAL) or not views.can_request_keys(channel):
        return None
    if credential_of(channel).state(timezone.now()) not in {*WITHOUT_APP, Credential.State.REAUTHORISE}:
        return None
    return reverse("integrations:request_keys", args=[channel.pk])


def _connect_url(request: HttpRequest, channel: Channel) -> str | None:
    """The first step of a new channel, and of one whose secret can no longer be read."""
    if credential_of(channel).state(timezone.now()) not in WITHOUT_APP:
        return None
    if not request.user.has_perms(views.CREDENTIAL):
        return None
    return reverse("integrations:credential", args=[channel.pk])


add_badge("channel", lambda request, channel: connection_badge(channel, timezone.now()))
add_button("channel", _("Fetch now"), _fetch_url, order=10)
add_button("channel", _("Find listings in the shop"), _discover_url, order=30)
add_button("channel", _("Connect by consent"), _request_keys_url, method="get", order=85)
add_button("channel", _("Connect"), _connect_url, method="get", primary=True, order=90)
for _pressing in (False, True):
    for _again, _label in ((False, _("Authorise")), (True, _("Re-authorise"))):
        add_button(
            "channel",
            _label,
            partial(_authorise_url, pressing=_pressing, again=_again),
            method="get",
            primary=_pressing,
            order=90 if _pressing else 40,
        )


# --- The page of an alert -------------------------------------------------------------------------------------------


def _reauthorise_url(request: HttpRequest, alert: Alert) -> str | None:
    """What solves the alert of an authorisation that ends, as long as it is not over."""
    if alert.kind != AlertKind.AUTHORISATION or alert.cleared_at is not None:
        return None
    if not _may_connect(request, alert.channel):
        return None
    return reverse("integrations:authorise", args=[alert.channel_id])


add_button("alert", _("Re-authorise"), _reauthorise_url, method="get", primary=True, order=90)


# --- The channel page: panels ---------------------------------------------------------------------------------------


def _facts(request: HttpRequest, channel: Channel) -> dict[str, Any]:
    now = timezone.now()
    credential, health = credential_of(channel), health_of(channel)
    is_due = Q(next_due_at__lte=now)
    watches = ListingWatch.objects.filter(channel=channel, listing__removed_at__isnull=True, is_paused=False).aggregate(
        oldest=Min("read_at"),
        never=Count("pk", filter=Q(read_at__isnull=True)),
        due=Count("pk", filter=is_due),
        due_since=Min("next_due_at", filter=is_due),
    )
    shown = connection_badge(channel, now)
    until, by = life_texts(credential, now) if credential.state(now) not in WITHOUT_APP else ("—", "")
    return {
        "now": now,
        # The page's head shows it already, unless something else is worse.
        "badge": None if page_badge("channel", request, channel) == shown else shown,
        # The badge of an open circuit does not say why; the others are the reason.
        "reason": cause_label(health.cause) if health.failures >= CIRCUIT_FAILURES else "",
        "until": until,
        "by": by,
        "credential": credential,
        "next_free_at": next_free(credential=credential, operation=CALLS, now=now),
        "health": health,
        "quota_unit": CONNECTORS[channel.platform].quota_unit,
        "used_up_until": used_up_until(health, now),
        "good_at": health.good_at,
        **watches,
    }


def _problems(request: HttpRequest, channel: Channel) -> dict[str, Any] | None:
    problems = channel_problems(channel, timezone.now())
    if not problems:
        return None
    may_edit = request.user.has_perm("catalog.change_channel")
    return {
        "problems": problems,
        "authorise_url": _channel_url("authorise", *views.CONNECT)(request, channel),
        "credential_url": _channel_url("credential", *views.CREDENTIAL)(request, channel),
        "test_url": _test_url(request, channel),
        "disconnect_url": _disconnect_url(request, channel),
        "edit_url": reverse("admin:catalog_channel_edit", args=[channel.pk]) if may_edit else None,
        "add_url": _another_url(request, channel),
        "may_remove": request.user.has_perm("catalog.change_listing"),
    }


def _another_url(request: HttpRequest, channel: Channel) -> str | None:
    """Where a channel for the same shop in the shop's own currency is added."""
    if not request.user.has_perm("catalog.add_channel"):
        return None
    currency = health_of(channel).detail
    return f"{reverse('admin:catalog_channel_add')}?{urlencode({'platform': channel.platform, 'currency': currency})}"


def _shown(secret: str) -> str:
    """As much of a secret as may be seen; "" when there is none."""
    if isinstance(secret, LostSecret):
        return str(_("cannot be decrypted"))
    return masked(secret) if secret else ""


def _credential(request: HttpRequest, channel: Channel) -> dict[str, Any] | None:
    """What the platform asks for, as far as it is stored and may be seen."""
    if not request.user.has_perm("integrations.view_credential"):
        return None
    credential = credential_of(channel)
    asked = credential.asked
    return {
        "now": timezone.now(),
        "credential": credential,
        "rows": [(setting.label, *_shown_setting(credential, setting)) for setting in asked],
        "granted": "" if any(setting.name == "access_token" for setting in asked) else _shown(credential.access_token),
        "asks_base_url": any(setting.name == "base_url" for setting in asked),
        "is_set_up": credential.state(timezone.now()) not in WITHOUT_APP,
        "pulls_messages": Capability.PULL_MESSAGES in CONNECTORS[channel.platform].capabilities,
        "edit_url": _channel_url("credential", *views.CREDENTIAL)(request, channel),
        "test_url": _test_url(request, channel),
        "disconnect_url": _disconnect_url(request, channel),
    }


def _shown_setting(credential: Credential, setting: Setting) -> tuple[str, bool]:
    """A setting as it may be seen, "" when it is not set, and whether it is a secret."""
    stored = credential.settings_and_address.get(setting.name, "")
    if setting.kind == SettingKind.SECRET:
        return _shown(stored), True
    if setting.kind == SettingKind.CHOICE:
        return str(dict(setting.choices).get(stored or setting.choices[0][0], stored)), False
    return stored, False


def _capabilities(request: HttpRequest, channel: Channel) -> dict[str, Any]:
    """What can be done on the channel's platform, what cannot, and what the platform was found not to permit us."""
    has = CONNECTORS[channel.platform].capabilities
    barred = WRITES if credential_of(channel).reads_only else frozenset()
    return {
        "can": [text for capability, text in CAPABILITIES.items() if capability in has - barred],
        "barred": [text for capability, text in CAPABILITIES.items() if capability in has & barred],
        "cannot": [text for capability, text in CAPABILITIES.items() if capability not in has],
    }


add_panel("channel", "integrations/panels/connection_facts.html", _facts, area="facts", order=20)
add_panel("channel", "integrations/panels/problems.html", _problems, area="main", order=20)
add_panel("channel", "integrations/panels/credential.html", _credential, area="main", order=80)
add_panel("channel", "integrations/panels/capabilities.html", _capabilities, area="side", order=80)


# --- The dashboard: authorisations that end -------------------------------------------------------------------------


def _authorisations(request: HttpRequest, obj: None) -> dict[str, Any] | None:
    """The channels that somebody has to authorise, now or within days."""
    now = timezone.now()
    shown = dashboard.dashboard_of(request, now).scope.shown_channels
    channels = Channel.objects.filter(pk__in=[channel.pk for channel in shown], is_watched=True)
    in_need = [
        {
            "channel": channel,
            "badge": _authorisation_badge(channel, now),
            "until": until_text(credential_of(channel).reads_until, now),
            # The end that a revoked authorisation was to have says nothing.
            "dated": credential_of(channel).reads_until is not None and not credential_of(channel).revoked_cause,
            "again": bool(credential_of(channel).access_token),
            "by_consent": credential_of(channel).state(now) not in WITHOUT_APP
            and credential_of(channel).grant == Credential.Grant.CONSENT,
        }
        for channel in channels.select_related("credential")
        if credential_of(channel).state(now) != Credential.State.CONNECTED
    ]
    if not in_need:
        return None
    return {"rows": in_need, "may_connect": request.user.has_perms(views.CONNECT)}


def _authorisation_badge(channel: Channel, now: datetime) -> Badge:
    """The state of the authorisation alone, whatever the last calls said."""
    state = credential_of(channel).state(now)
    credential = credential_of(channel)
    if state == Credential.State.REAUTHORISE and credential.grant != Credential.Grant.CONSENT:
        return Badge("critical", cause_label(credential.revoked_cause))
    mild = {Credential.State.NOT_SET_UP, Credential.State.NOT_AUTHORISED, Credential.State.EXPIRING}
    return Badge("warning" if state in mild else "critical", state.label)


add_panel("dashboard", "integrations/panels/authorisations.html", _authorisations, area="main", order=15)


# --- The list of channels -------------------------------------------------------------------------------------------


def _with_connection(channels: QuerySet[Channel], request: HttpRequest) -> QuerySet[Channel]:
    return dashboard.with_blind_count(with_connection(channels), timezone.now())


def _with_oldest(channels: QuerySet[Channel], request: HttpRequest) -> QuerySet[Channel]:
    # A subquery: joined in, it would multiply what other columns count.
    watches = ListingWatch.objects.filter(channel=OuterRef("pk"), listing__removed_at__isnull=True, is_paused=False)
    # One that was never read has waited since it was added, as on the dashboard.
    oldest = Min(Coalesce("read_at", "listing__created_at"))
    return channels.annotate(
        oldest_read_at=Subquery(watches.order_by().values("channel").annotate(oldest=oldest).values("oldest"))
    )


def _connection(channel: Any) -> str:
    """The state of the connection; below it what else needs somebody."""
    shown = connection_badge(channel, timezone.now())
    state = badge(shown.severity, shown.text)
    if not channel.blind_count:
        return state
    text = ngettext("%d listing not read", "%d listings not read", channel.blind_count) % channel.blind_count
    return format_html("{}<small>{}</small>", state, text)


add_column(Channel, "connection", _("connection"), _connection, order=15, prepare=_with_connection)


def _oldest_reading(channel: Any) -> str:
    return time_ago(channel.oldest_read_at) if channel.oldest_read_at else unknown(_("none yet"))


def _last_good_call(channel: Channel) -> str:
    good_at = health_of(channel).good_at
    return time_ago(good_at) if good_at else unknown(_("none yet"))


add_column(Channel, "oldest_reading", _("oldest reading"), _oldest_reading, order=40, prepare=_with_oldest)
add_column(Channel, "good_at", _("last good call"), _last_good_call, order=50)


# --- The listing page and the list of listings ----------------------------------------------------------------------


def _listing_url(name: str, *, paused: bool | None = None) -> Any:
    """The address of a listing's deed; `paused`: only for listings in that state."""

    def url(request: HttpRequest, listing: Listing) -> str | None:
        if not request.user.has_perms(views.FETCH) or listing.removed_at is not None:
            return None
        if paused is not None:
            watch = watch_of(listing)
            if watch is None or watch.is_paused is not paused:
                return None
        return reverse(f"integrations:{name}", args=[listing.pk])

    return url


def _fetch_listing_url(request: HttpRequest, listing: Listing) -> str | None:
    url: str | None = _listing_url("fetch_listing")(request, listing)
    return url if url and views.can_test(credential_of(listing.channel)) else None


def _paused_badge(request: HttpRequest, listing: Listing) -> Badge | None:
    watch = watch_of(listing)
    return Badge("muted", _("Paused")) if watch is not None and watch.is_paused else None


add_badge("listing", _paused_badge)
add_button("listing", _("Fetch now"), _fetch_listing_url, primary=True, order=90)
add_button("listing", _("Pause"), _listing_url("pause_listing", paused=False), order=20)
add_button("listing", _("Resume"), _listing_url("resume_listing", paused=True), order=20)
add_button("listing", _("Interval"), _listing_url("interval", paused=False), method="get", order=30)


def _ids(queryset: QuerySet[Listing], request: HttpRequest) -> list[int]:
    """The chosen listings that are still there and that the person sees."""
    chosen = Listing.objects.visible_to(request.user).current().filter(pk__in=queryset.values("pk"))  # type: ignore[arg-type]
    return list(chosen.order_by("channel_id", "pk").values_list("pk", flat=True))


def _may_fetch(request: HttpRequest) -> bool:
    """False where the list is narrowed to a channel that is not connected; looked up once for a request."""
    found: bool | None = getattr(request, "evenshelf_may_fetch", None)
    if found is None:
        chosen = request.GET.get("channel__id__exact", "")
        is_one = chosen.isdecimal() and len(chosen) < 19
        channel = Channel.objects.select_related("credential").filter(pk=chosen).first() if is_one else None
        found = channel is None or views.can_test(credential_of(channel))
        request.evenshelf_may_fetch = found  # type: ignore[attr-defined]
    return found


def fetch_chosen(modeladmin: ModelAdmin, request: HttpRequest, queryset: QuerySet[Listing]) -> None:
    views.tell_fetched(request, _ids(queryset, request))


def pause_chosen(modeladmin: ModelAdmin, request: HttpRequest, queryset: QuerySet[Listing]) -> None:
    views.tell_paused(request, _ids(queryset, request), is_paused=True)


def resume_chosen(modeladmin: ModelAdmin, request: HttpRequest, queryset: QuerySet[Listing]) -> None:
    views.tell_paused(request, _ids(queryset, request), is_paused=False)


def _in_trouble(listings: QuerySet[Listing], request: HttpRequest) -> QuerySet[Listing]:
    return listings.filter(removed_at__isnull=True, watch__outcome__in=TROUBLE)


add_tab(Listing, "trouble", _("With problems"), _in_trouble, order=12)
add_action(
    Listing,
    "fetch_now",
    _("Fetch now"),
    fetch_chosen,
    permission=views.FETCH[0],
    is_offered=_may_fetch,
    order=10,
)
add_action(Listing, "pause", _("Pause"), pause_chosen, permission=views.FETCH[0], order=20)
add_action(Listing, "resume", _("Resume"), resume_chosen, permission=views.FETCH[0], order=30)
