"""What every listing is to show at each location of its shop, for any number of listings in as many queries."""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

from django.db.models import FilteredRelation, Q

from catalog.database import among, driver_rows
from catalog.models import (
    BundleComponent,
    Listing,
    Sku,
    StockLevel,
    StockRule,
    Warehouse,
)
from catalog.stock.availability import (
    Blocked,
    LocationMode,
    Rule,
    Target,
    at_location,
    bundle_available,
    target_of,
)

# Platforms whose shops have no locations: all that feeds them counts together, whatever ids were given. Whoever knows
# the platforms says which they are.
WITHOUT_LOCATIONS: set[str] = set()
_ACTIVE = Sku.Status.ACTIVE.value
_RULE_FIELDS = ("buffer", "share_percent", "cap", "stop_at", "is_paused")


class ListingTarget(NamedTuple):
    """The target of a listing at a location ("": the only one of its shop).

    `stock_version` is the SKU's (0: not mapped) and was read before the stock: the target is of that version or a newer
    one. `rule_mark` is a text of up to 64 characters that changes with the rule, the pack, the SKU and the warehouses.
    """

    listing_id: int
    channel_id: int
    location_id: str
    sku_id: int | None
    stock_version: int
    rule_mark: str
    target: Target


@dataclass(frozen=True, slots=True)
class _Location:
    id: str
    mode: LocationMode
    warehouses: tuple[tuple[int, bool], ...]  # in the order of their position; whether it is active


def stock_targets(
    *, listing_ids: Sequence[int] | None = None, sku_ids: Sequence[int] | None = None
) -> list[ListingTarget]:
    """Targets of our own current listings: these, those of these SKUs (without the bundles they are in), or all.

    A listing whose channel shows several locations has one for each.
    """
    listings = Listing.objects.current().filter(ownership=Listing.Ownership.OWN).order_by("pk")
    if listing_ids is not None:
        listings = listings.filter(pk__in=among(listing_ids))
    if sku_ids is not None:
        listings = listings.filter(sku__in=among(sku_ids))
    rows: list[tuple[int, int, str, str, int, int | None, str | None, int | None]] = driver_rows(
        listings,
        (
            "pk",
            "channel_id",
            "channel__platform",
            "channel__location_mode",
            "pack_factor",
            "sku_id",
            "sku__status",
            "sku__stock_version",
        ),
    )
    if not rows:
        return []
    channels = {channel: LocationMode(mode) for channel, mode in {(row[1], row[3]) for row in rows}}
    locations = _locations(channels, {row[1] for row in rows if row[2] in WITHOUT_LOCATIONS})
    of_channels, of_listings = _rules(
        channels, None if listing_ids is None and sku_ids is None else [r[0] for r in rows]
    )
    available = _Available(sorted({row[5] for row in rows if row[5]}))
    unruled = Rule()
    generally = {channel: _marked(of_channels.get(channel, unruled), locations[channel]) for channel in channels}
    targets = []
    alike: dict[tuple[int, int | None, int], Target] = {}  # by channel, units and pack; many listings come to the same
    not_mapped, inactive = Target(None, blocked=Blocked.NOT_MAPPED), Target(None, blocked=Blocked.SKU_INACTIVE)
    at = available.at
    for pk, channel, _platform, _mode, pack, sku, status, version in rows:
        own = of_listings.get(pk)
        if own is None:
            rule, marked = of_channels.get(channel, unruled), generally[channel]
        else:
            rule = own.over(of_channels.get(channel, unruled))
            marked = _marked(rule, locations[channel])
        for location, ways in marked:
            if sku is None:
                target = not_mapped
            elif status != _ACTIVE:
                target = inactive
            elif own is not None:
                target = target_of(at(sku, location), rule, pack)
            else:
                key = channel, at(sku, location), pack
                target = alike.get(key) or alike.setdefault(key, target_of(key[1], rule, pack))
            targets.append(
                ListingTarget(pk, channel, location.id, sku, version or 0, f"{ways} {sku} {pack} {status}", target)
            )
    return targets


def _marked(rule: Rule, locations: Sequence[_Location]) -> list[tuple[_Location, str]]:
    """The locations, each with 16 characters that change with the rule and with what is behind it."""
    return [(each, blake2b(repr((rule, each)).encode(), digest_size=8).hexdigest()) for each in locations]


def _locations(modes: Mapping[int, LocationMode], without: Container[int]) -> dict[int, list[_Location]]:
    """The locations of each channel with their warehouses; one without any has one location, for all warehouses.

    `without` are the channels of shops that have none: there is one for the warehouses that were chosen.
    """
    is_active: dict[int, bool] = {}
    places = []
    of_channels = FilteredRelation("channel_locations", condition=Q(channel_locations__channel__in=list(modes)))
    rows = Warehouse.objects.annotate(place=of_channels)
    for warehouse, active, *place in rows.values_list(
        "pk", "is_active", "place__position", "place__pk", "place__channel", "place__location_id"
    ):
        is_active[warehouse] = active
        if place[1] is not None:
            places.append((*place, warehouse))
    mapped: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for _position, _pk, channel, location, warehouse in sorted(places):
        mapped[channel]["" if channel in without else location].append(warehouse)
    everywhere = {"": list(is_active)}
    return {
        channel: [
            _Location(location, mode, tuple((each, is_active[each]) for each in warehouses))
            for location, warehouses in (mapped.get(channel) or everywhere).items()
        ]
        for channel, mode in modes.items()
    }


def _rules(channels: Iterable[int], listings: Sequence[int] | None) -> tuple[dict[int, Rule], dict[int, Rule]]:
    """The rules of the channels, and those of the listings (None: of all)."""
    of_listings = Q(listing__isnull=False) if listings is None else Q(listing__in=among(listings))
    rows = StockRule.objects.filter(Q(channel__in=channels) | of_listings)
    by_channel, by_listing = {}, {}
    for channel, listing, *figures in rows.values_list("channel", "listing", *_RULE_FIELDS):
        rule = Rule(**dict(zip(_RULE_FIELDS, figures, strict=True)))
        if channel is None:
            by_listing[listing] = rule
        else:
            by_channel[channel] = rule
    return by_channel, by_listing


class _Available:
    """What can be sold of SKUs and bundles at a location; None where nobody knows."""

    def __init__(self, skus: Sequence[int]) -> None:
        self._components: dict[int, list[tuple[int, int]]] = defaultdict(list)
        components = BundleComponent.objects.filter(bundle__in=among(skus))
        for bundle, component, units in components.values_list("bundle", "component", "units"):
            self._components[bundle].append((component, units))
        own = {component for parts in self._components.values() for component, _units in parts}
        # Of a level that nobody counted only what it lacks is known.
        is_known = Q(is_counted=True) | Q(available__lt=0)
        levels = StockLevel.objects.filter(is_known, sku__in=among(sorted({*skus, *own}))).order_by()
        found = driver_rows(levels, ("sku_id", "warehouse_id", "available", "is_counted"))
        self._units: dict[tuple[int, int], int] = {}
        self._missing: dict[tuple[int, int], int] = {}
        for sku, place, units, is_counted in found:
            (self._units if is_counted else self._missing)[sku, place] = units

    def at(self, sku: int, location: _Location) -> int | None:
        parts = self._components.get(sku)
        warehouses = location.warehouses
        if parts is None and len(warehouses) == 1:
            ((warehouse, is_active),) = warehouses
            units = self._units.get((sku, warehouse))
            return units if is_active or units is None else 0
        if parts is None:
            return at_location(self._of_one(sku, location), location.mode)
        of_parts = [(self._of_one(component, location), units) for component, units in parts]
        if location.mode is LocationMode.SUM:
            return bundle_available((at_location(available, location.mode), units) for available, units in of_parts)
        # One warehouse sends it, so that one must have all of its parts.
        made = [
            bundle_available((available[place], units) for available, units in of_parts)
            for place in range(len(location.warehouses))
        ]
        return at_location(made, location.mode)

    def _of_one(self, sku: int, location: _Location) -> list[int | None]:
        """What each warehouse of the location offers; one that is not active offers 0 of what is known to it.

        Where one of them was counted, what another lacks counts too: it was sold, and has to come from somewhere.
        """
        places = [warehouse for warehouse, _is_active in location.warehouses]
        is_known = any((sku, warehouse) in self._units for warehouse in places)
        lacks = self._missing if is_known else {}
        found = [self._units.get((sku, warehouse), lacks.get((sku, warehouse))) for warehouse in places]
        return [
            None if units is None else units if is_active else 0
            for units, (_warehouse, is_active) in zip(found, location.warehouses, strict=True)
        ]
