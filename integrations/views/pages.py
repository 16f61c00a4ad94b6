"""What the pages of connections share: who may open one, how it is drawn, what is said of a refusal."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from catalog.models import Channel, Listing, User
from integrations import services
from integrations.connections import Unconnected
from integrations.connectors.errors import ConnectorError
from integrations.problems import NAMED_IN_DETAIL, explain, sentence

CONNECT = ("catalog.change_channel", "integrations.change_credential")
CREDENTIAL = ("integrations.change_credential",)
FETCH = ("monitoring.change_listingwatch",)
DISCOVER = ("catalog.add_listing",)


View = Callable[..., HttpResponseBase]


def staff_page(*permissions: str) -> Callable[[View], View]:
    """A page of the admin site for people who hold all the permissions; hands `channel_id` or `listing_id` over as
    the object itself, which must be one the person sees."""

    def decorate(view: View) -> View:
        @wraps(view)
        def inner(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
            if not request.user.has_perms(permissions):
                raise PermissionDenied
            user = staff(request)
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


def staff(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def channel_page(channel: Channel) -> str:
    return reverse("admin:catalog_channel_change", args=[channel.pk])


def listing_page(listing: Listing) -> str:
    return reverse("admin:catalog_listing_change", args=[listing.pk])


def page(
    request: HttpRequest, template: str, *, title: str, status: int | None = None, **context: Any
) -> TemplateResponse:
    return TemplateResponse(
        request,
        f"integrations/{template}",
        {**admin.site.each_context(request), "title": title, **context},
        status=status,
    )


def refusal_text(channel: Channel, error: ConnectorError | Unconnected) -> str:
    if not isinstance(error, ConnectorError):
        return sentence(cause=error.cause, channel=channel, at=None)
    detail = error.detail if error.cause in NAMED_IN_DETAIL else ""
    retry_at = getattr(error, "retry_at", None)
    told = explain(cause=error.cause, channel=channel, at=None, retry_at=retry_at, detail=detail)
    said = [error.code, told.detail]
    return f"{told} ({': '.join(filter(None, said))})" if any(said) else str(told)


def seen(request: HttpRequest, channel: Channel) -> Channel | None:
    """The channel, when the person sees it."""
    return Channel.objects.visible_to(staff(request)).filter(pk=channel.pk).first()


def taken_text(request: HttpRequest, taken: services.ShopTaken) -> str:
    other = seen(request, taken.channel)
    if other is None:
        return _("This shop is already connected, as a channel that you do not see. Ask who looks after it.")
    return _(
        "This shop is already the channel “%(channel)s”. If this one is to take its place, disconnect that one first."
    ) % {"channel": other.name}
