"""What the sync says to a promotion that is planned: the other channels that may sell units which are gone."""

from datetime import timedelta
from typing import Any

from django.db.models import Count, Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import ngettext

from catalog.database import among
from catalog.models import Channel, Listing
from config.admin_site import add_panel
from config.formatting import count, sentences
from config.model_admin import person
from integrations.syncing.admin.board import VIEW
from integrations.syncing.admin.words import not_written
from integrations.syncing.models import ListingSync

_LATE = timedelta(minutes=10)  # longer than a figure takes on its way


def _at_risk(request: HttpRequest, found: Any) -> dict[str, Any] | None:
    """`found` has the promotion and the SKUs that are sold with it; of bundles, what they consist of."""
    if not found.sku_ids or not request.user.has_perm(VIEW):
        return None
    skus = among(sorted(found.sku_ids))
    sharing = Q(sku__in=skus) | Q(sku__components__component__in=skus)
    listings = Listing.objects.visible_to(person(request)).current().filter(sharing, ownership=Listing.Ownership.OWN)
    others = listings.exclude(channel=found.promotion.channel_id).order_by()
    sharing_of = dict(others.values_list("channel").annotate(number=Count("pk", distinct=True)))
    late = ListingSync.objects.filter(listing__in=others.values("pk"), changed_at__lt=timezone.now() - _LATE).order_by()
    late_of = dict(late.values_list("channel").annotate(number=Count("listing", distinct=True)))
    channels = Channel.objects.select_related("credential", "health", "sync").filter(pk__in=sharing_of)
    rows = [
        (channel, text)
        for channel in channels.order_by("name")
        if (text := _risk(channel, sharing_of[channel.pk], late_of.get(channel.pk, 0)))
    ]
    return {"rows": rows, "sharing": len(sharing_of), "in_step": len(sharing_of) - len(rows)}


def _risk(channel: Channel, sharing: int, late: int) -> str:
    """Why the channel may sell what is gone; "" where nothing speaks for it."""
    shared = ngettext("%(count)s listing shares the stock.", "%(count)s listings share the stock.", sharing) % {
        "count": count(sharing)
    }
    if why := not_written(channel):
        return sentences(shared, why)
    if late:
        shows = ngettext("%(count)s of them is behind its target.", "%(count)s of them are behind their target.", late)
        return sentences(shared, shows % {"count": count(late)})
    return ""


add_panel("preflight", "admin/integrations/sync/preflight.html", _at_risk, area="side", order=10)
