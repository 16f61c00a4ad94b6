"""Promotions from the platforms into the catalog, in the terms of the pricing contract."""

import logging
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.utils import translation

from catalog.models import Channel, Platform
from catalog.models import Promotion as StoredPromotion
from catalog.promotions.requests import minor_units
from catalog.promotions.services import Stored, store_read
from catalog.promotions.words import terms
from config.formatting import UNKNOWN
from integrations.connections import Unconnected, connector_for
from integrations.connectors.base import Capability, Promotion
from integrations.connectors.errors import ConnectorError

logger = logging.getLogger(__name__)

_LONGEST_NAME = 200
_TERMS = {"value", "tiers", "kind", "max_amount"}
_KINDS = {"amount_off": StoredPromotion.Kind.AMOUNT_OFF, "percent_off": StoredPromotion.Kind.PERCENT_OFF}
# What the connectors call a fact that could not be read, in the words of the contract.
_UNKNOWN = {
    "starts_at": "start",
    "ends_at": "end",
    "item_ids": "scope",
    "minimum_amount": "tiers",
    "minimum": "tiers",
    "codes": "auto",
    "customers": "audience",
    "combination": "combines",
}


def read_promotions(channel: Channel, *, now: datetime) -> Stored | None:
    """Read all that the shop offers and store it; None where the platform cannot tell.

    Raises ConnectorError or Unconnected, and stores nothing then.
    """
    connector = connector_for(channel, now=now)
    if Capability.READ_PROMOTIONS not in connector.capabilities:
        return None
    read = [stored_of(each, channel) for each in connector.read_promotions(now=now)]
    return store_read(channel=channel, read=read, now=now)


def read_all(channels: Iterable[Channel], *, now: datetime) -> str:
    """Of each channel; one that cannot be read stops no other, and keeps what was read before. A line for the log."""
    changed = failed = 0
    for channel in channels:
        try:
            stored = read_promotions(channel, now=now)
        except (ConnectorError, Unconnected) as error:
            failed += 1
            logger.warning("promotions of channel %s were not read: %s", channel.pk, error.cause)
            continue
        if stored is not None:
            changed += stored.added + stored.changed + stored.gone
    return f"{changed} promotions changed, {failed} channels not read"


def stored_of(read: Promotion, channel: Channel) -> StoredPromotion:
    """Unsaved. An amount that is not whole in the currency's minor unit is unknown."""
    unknown = {_UNKNOWN.get(name, name) for name in read.unknown}
    is_rate = read.kind == "percent_off"
    value = _basis_points(read.value) if is_rate else minor_units(read.value, read.currency)
    minimum = minor_units(read.minimum_amount, read.currency)
    most = minor_units(read.maximum_amount, read.currency)
    if value is None:
        unknown.add("value")
    if (minimum is None) != (read.minimum_amount is None):
        unknown.add("tiers")
    if (most is None) != (read.maximum_amount is None):
        unknown.add("max_amount")
    scope = {
        "items": list(read.item_ids),
        "skus": list(read.sku_ids),
        "not_items": list(read.excluded_item_ids),
        "not_on_sale": read.excludes_on_sale,
    }
    row = StoredPromotion(
        channel=channel,
        name=read.title[:_LONGEST_NAME],
        platform_id=read.promotion_id,
        code=read.codes[0] if read.codes else "",
        layer=_layer(read, channel),
        auto=not read.codes and "auto" not in unknown,
        kind=_KINDS.get(read.kind, read.kind),
        per=StoredPromotion.Per.UNIT if read.is_on_each_unit and not is_rate else StoredPromotion.Per.ORDER,
        max_amount=most,
        min_qty=read.minimum_quantity,
        scope={name: ids for name, ids in scope.items() if ids} or None,
        start=read.starts_at,
        end=read.ends_at,
        status=StoredPromotion.State.ACTIVE if read.is_active else StoredPromotion.State.PAUSED,
        remaining=read.remaining,
        currency=read.currency,
        combines=[] if read.is_alone else None,
        unknown=sorted(unknown),
    )
    if minimum is not None:
        row.measure, row.tiers = StoredPromotion.Measure.AMOUNT, [[minimum, value]]
    else:
        row.value = value
    row.name = row.name or _name(row)
    return row


def _name(row: StoredPromotion) -> str:
    """Of one without a title: what it does, in the language of its buyers; else its id."""
    if not _TERMS.isdisjoint(row.unknown):
        return row.platform_id
    with translation.override("zh-hans" if row.channel.platform == Platform.TAOBAO else settings.LANGUAGE_CODE):
        told = terms(row)
    return row.platform_id if told == UNKNOWN else told[:_LONGEST_NAME]


def _layer(read: Promotion, channel: Channel) -> str:
    if channel.platform == Platform.SHOPIFY:
        return "product" if read.item_ids or read.sku_ids or read.is_on_each_unit else "order"
    if channel.platform == Platform.TAOBAO and read.promotion_id.startswith("activity-"):
        return "item"
    return "coupon"


def _basis_points(percent: Decimal | None) -> int | None:
    if percent is None:
        return None
    scaled = percent * 100
    return int(scaled) if scaled == int(scaled) else None
