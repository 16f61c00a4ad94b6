"""The locations of a shop, offered where its warehouses are chosen."""

from django.core.cache import cache
from django.utils import timezone
from django.utils.translation import gettext as _

from catalog.admin.stock import rules
from catalog.models import Channel
from integrations.connections import Unconnected, connector_for
from integrations.connectors import CONNECTORS
from integrations.connectors.errors import ConnectorError
from integrations.problems import sentence

_REMEMBER_SECONDS = 300


def shop_locations(channel: Channel) -> rules.Locations | None:
    """Id and name of each location, as the shop tells them now; None where a shop has only one."""
    if not CONNECTORS[channel.platform].has_locations:
        return None
    key = f"shop-locations:{channel.pk}"
    found: list[tuple[str, str]] | None = cache.get(key)
    if found is None:
        try:
            read = connector_for(channel).read_locations(now=timezone.now())
        except (ConnectorError, Unconnected) as error:
            told = sentence(cause=error.cause, channel=channel, at=timezone.now())
            return rules.Locations([], _("The shop did not tell its locations. %(reason)s") % {"reason": told})
        inactive = _("not active")
        found = [(each.location_id, each.name if each.is_active else f"{each.name} ({inactive})") for each in read]
        cache.set(key, found, _REMEMBER_SECONDS)
    return rules.Locations(found)


rules.location_readers.append(shop_locations)
