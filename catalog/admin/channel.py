"""Channels: where we sell, and whether their listings are read."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from catalog.admin.places import currency_choices, time_zone_choices
from catalog.models import Channel, Listing, Platform
from catalog.models.channel import INTERVAL_ERRORS
from catalog.services import set_watched, tell_channels_changed
from config import formatting
from config.admin_site import (
    Badge,
    add_action,
    add_badge,
    add_button,
    add_column,
    add_menu_item,
    add_panel,
    page_buttons,
)
from config.formatting import spaced
from config.model_admin import FrameModelAdmin, person
from config.templatetags import evenshelf as parts


class ChannelForm(forms.ModelForm):
    platform: Platform | None = None  # of a new channel, which is not asked for here

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.platform is not None:
            self.instance.platform = self.platform


@admin.register(Channel)
class ChannelAdmin(FrameModelAdmin):
    page = "channel"
    form = ChannelForm
    list_display = ()
    search_fields = ["name"]
    search_help_text = _("Name")
    list_line = _("The shops we read")
    empty_text = _("A channel is one shop on one platform. Add it, then let the platform authorise us.")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """A new channel's platform is chosen before; then it stays."""
        return ["name", *(["platform"] if obj else []), "currency", "time_zone", "interval_seconds"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["platform"] if obj else []

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """First the platform, then what any shop needs; what its platform asks for comes after."""
        if self.has_add_permission(request) and _platform(request) is None:
            context = {
                **self.admin_site.each_context(request),
                "title": spaced(gettext("Add %(name)s") % {"name": self.opts.verbose_name}),
                "opts": self.opts,
                "platforms": [(platform.value, platform.label, _PLATFORM_LINES[platform]) for platform in Platform],
            }
            return TemplateResponse(request, "admin/catalog/channel/platforms.html", context)
        return super().add_view(request, form_url, {**(extra_context or {}), "platform": _platform(request)})

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        platform = _platform(request)
        return {**(platform.usual if platform else {}), **super().get_changeform_initial_data(request)}

    def response_post_save_add(self, request: HttpRequest, obj: Channel) -> HttpResponseRedirect:
        """To the step that the new channel's page would offer first: the settings of its connection."""
        offered = page_buttons(self.page, request, obj) if self.has_view_or_change_permission(request, obj) else []
        steps = [button.url for button in offered if button.primary and button.method == "get"]
        return HttpResponseRedirect(steps[0]) if steps else super().response_post_save_add(request, obj)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        kwargs["help_texts"] = {
            "interval_seconds": _(
                "In seconds, from 30 seconds to 7 days between two readings of a listing. A listing can have its own."
            ),
            "currency": _("Of the shop's prices. Once the channel has listings it stays."),
            "time_zone": _("Where the shop is: its days and its charts go by it."),
        }
        kwargs["widgets"] = {
            "currency": forms.Select(choices=currency_choices(obj.currency if obj else "")),
            "time_zone": forms.Select(choices=time_zone_choices(obj.time_zone if obj else "")),
        }
        kwargs["error_messages"] = {"interval_seconds": INTERVAL_ERRORS}
        form: Any = super().get_form(request, obj, change, **kwargs)
        form.platform = None if obj else _platform(request)
        return form

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # One with listings holds their history; watching it is stopped instead.
        return super().has_delete_permission(request, obj) and (obj is None or not obj.listings.exists())

    def save_model(self, request: HttpRequest, obj: Channel, form: forms.ModelForm, change: bool) -> None:
        if change and "interval_seconds" in form.changed_data:
            obj.watched_since = timezone.now()
        super().save_model(request, obj, form, change)
        if not change and not person(request).sees_all_channels:
            obj.staff.add(person(request))
        tell_channels_changed([obj.pk])

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.watch_view)
        return [path("<path:object_id>/watch/", view, name="catalog_channel_watch"), *super().get_urls()]

    def watch_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Starts watching a channel, or stops it, by the posted `is_watched` ("1" or "0")."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        channel = self.get_object(request, object_id)
        if channel is None:
            raise Http404
        if not self.has_change_permission(request, channel):
            raise PermissionDenied
        change = start_watching if request.GET.get("is_watched") == "1" else stop_watching
        change(self, request, self.get_queryset(request).filter(pk=channel.pk))
        return HttpResponseRedirect(self.address("change", channel))


_PLATFORM_LINES = {
    Platform.TAOBAO: _("An app of the open platform; the shop gives its consent."),
    Platform.SHOPIFY: _("An app of your own organisation, a custom app, or an app that the shop gives its consent to."),
    Platform.WOOCOMMERCE: _("A shop of your own; a pair of REST API keys."),
}


def _platform(request: HttpRequest) -> Platform | None:
    """The platform that was chosen for a new channel."""
    chosen = request.GET.get("platform", "")
    return Platform(chosen) if chosen in Platform.values else None


def start_watching(model_admin: ModelAdmin, request: HttpRequest, channels: QuerySet[Channel]) -> None:
    count = set_watched(channels=channels, is_watched=True, actor=person(request), now=timezone.now())
    text = ngettext("Watching %d channel again.", "Watching %d channels again.", count)
    model_admin.message_user(request, text % count, messages.SUCCESS)


def stop_watching(model_admin: ModelAdmin, request: HttpRequest, channels: QuerySet[Channel]) -> None:
    count = set_watched(channels=channels, is_watched=False, actor=person(request), now=timezone.now())
    text = ngettext(
        "Stopped watching %d channel; none of its listings is read.",
        "Stopped watching %d channels; none of their listings is read.",
        count,
    )
    model_admin.message_user(request, text % count, messages.SUCCESS)


@admin.display(ordering="name")
def name_cell(channel: Channel) -> SafeString:
    return format_html(
        "<strong>{}</strong><small>{} {} · {}</small>",
        channel,
        parts.mark(channel),
        channel.get_platform_display(),
        channel.currency,
    )


@admin.display(ordering="listing_count")
def listings_cell(channel: Any) -> SafeString | str:
    url = reverse("admin:catalog_listing_changelist")
    return format_html(
        '<a href="{}?channel__id__exact={}">{}</a>', url, channel.pk, formatting.count(channel.listing_count)
    )


def _with_listing_count(channels: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    counted: QuerySet[Any] = channels.annotate(
        listing_count=Count("listings", filter=Q(listings__removed_at__isnull=True))
    )
    return counted


def watched_cell(channel: Channel) -> SafeString:
    if channel.is_watched:
        return format_html('<span class="state ok">{}{}</span>', parts.icon("ok"), _("Watched"))
    return format_html('<span class="state muted">{}{}</span>', parts.icon("muted"), _("Not watched"))


add_column(Channel, "name", _("channel"), name_cell, order=10)
add_column(Channel, "listings", _("listings"), listings_cell, order=20, prepare=_with_listing_count, classes="num")
add_column(Channel, "watched", _("watching"), watched_cell, order=30)

add_action(
    Channel, "start_watching", _("Start watching"), start_watching, permission="catalog.change_channel", order=60
)
add_action(Channel, "stop_watching", _("Stop watching"), stop_watching, permission="catalog.change_channel", order=70)


def _watch_url(is_watched: bool) -> Any:
    def url(request: HttpRequest, channel: Channel) -> str | None:
        if channel.is_watched == is_watched or not request.user.has_perm("catalog.change_channel"):
            return None
        return f"{reverse('admin:catalog_channel_watch', args=[channel.pk])}?is_watched={int(is_watched)}"

    return url


def _not_watched_badge(request: HttpRequest, channel: Channel) -> Badge | None:
    return None if channel.is_watched else Badge("muted", _("Not watched"))


def _listing_facts(request: HttpRequest, channel: Channel) -> dict[str, Any]:
    counts = (
        Listing.objects.current()
        .filter(channel=channel)
        .aggregate(all=Count("pk"), own=Count("pk", filter=Q(ownership=Listing.Ownership.OWN)))
    )
    return {"count": counts["all"], "own": counts["own"], "competitors": counts["all"] - counts["own"]}


add_button("channel", _("Start watching"), _watch_url(True), order=80)
add_button("channel", _("Stop watching"), _watch_url(False), order=80)
add_badge("channel", _not_watched_badge)
add_panel("channel", "catalog/panels/channel_facts.html", _listing_facts, area="facts", order=60)
add_menu_item("sync", _("Channels"), "admin:catalog_channel_changelist", permission="catalog.view_channel", order=10)
