"""What is stored of a listing and its channel, as a request to the pricing engine."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from dataclasses import fields as fields_of
from datetime import datetime
from decimal import Decimal
from typing import Any

from catalog.models import Channel, ChannelPricing, Listing
from catalog.models import Promotion as StoredPromotion
from catalog.pricing.currencies import exponent
from catalog.pricing.model import Line, Promotion, Request, Scope

LINE = "1"  # the only line of a listing's request
# Under the same name in both; the others are converted.
_SAME = [each.name for each in fields_of(Promotion) if each.name not in ("id", "tiers", "scope", "used")]
_LABELS = ("audience", "groups", "combines")
_SCOPE_LABELS = [each.name for each in fields_of(Scope) if each.name != "not_on_sale"]


def minor_units(amount: Decimal | None, currency: str) -> int | None:
    """Whole minor units of the currency; None where the amount is not known, or is not whole in them."""
    if amount is None:
        return None
    scaled = amount.scaleb(exponent(currency))
    whole = int(scaled)
    return whole if whole == scaled else None


def amount_of(units: int, currency: str) -> Decimal:
    """Minor units as an amount of the currency."""
    return Decimal(units).scaleb(-exponent(currency))


def engine_promotion(stored: StoredPromotion) -> Promotion:
    """What the engine is asked with. Broken values pass as they are, for the engine to name them."""
    values = {name: getattr(stored, name) for name in _SAME}
    for name in _LABELS:
        values[name] = _labels(values[name])
    values["unknown"] = tuple(name for name in stored.unknown if name not in stored.confirmed)
    return Promotion(id=stored.engine_id, tiers=_tiers(stored.tiers), scope=_scope(stored.scope), **values)


def _labels(value: Any) -> Any:
    return frozenset(value) if isinstance(value, list) and all(isinstance(each, str) for each in value) else value


def _tiers(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return tuple(tuple(tier) if isinstance(tier, list) else tier for tier in value)


def _scope(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    labels = {name: _labels(value.get(name) or []) for name in _SCOPE_LABELS}
    if not all(isinstance(each, frozenset) for each in labels.values()):
        return value
    return Scope(not_on_sale=bool(value.get("not_on_sale")), **labels)


@dataclass(slots=True)
class Shop:
    """A channel as far as its prices go: how promotions stack, and all that are or may come to be in force.

    Made once for many listings, so that no listing costs a query.
    """

    channel: Channel
    pricing: ChannelPricing
    promotions: Sequence[Promotion]
    names: Mapping[str, str]  # of its promotions, by their ids
    fees: Mapping[str, tuple[int, int]]  # of a promotion by its id: of what is received, in basis points, and per order
    _everywhere: list[Promotion] = field(default_factory=list)
    _by_label: dict[tuple[str, str], list[Promotion]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for promotion in self.promotions:
            labels = _named(promotion.scope)
            if labels is None:
                self._everywhere.append(promotion)
            for label in labels or ():
                self._by_label.setdefault(label, []).append(promotion)

    def for_listing(self, listing: Listing) -> list[Promotion]:
        """Those that may have this listing among their goods; none that covers it is left out."""
        found = list(self._everywhere)
        seen = set(map(id, found))
        for label in (
            ("items", listing.platform_item_id),
            ("skus", listing.platform_sku_id),
            ("shops", str(listing.channel_id)),
        ):
            for promotion in self._by_label.get(label, ()):
                if id(promotion) not in seen:
                    seen.add(id(promotion))
                    found.append(promotion)
        return found

    def request(
        self,
        listing: Listing,
        *,
        at: datetime,
        quantity: int = 1,
        buyer: Collection[str] = (),
        settings: Mapping[str, str | bool] | None = None,
    ) -> Request:
        """The question for one listing; `settings` over those of the channel."""
        promotions = self.for_listing(listing)
        return Request(
            ruleset=self.pricing.ruleset,
            settings=self.pricing.settings | dict(settings or {}),
            currency=self.channel.currency,
            at=at,
            basis=self.pricing.basis,
            lines=(line_of(listing, self.channel.currency, quantity),),
            promotions=tuple(promotions),
            buyer=frozenset(buyer),
        )


def _named(scope: Any) -> list[tuple[str, str]] | None:
    """What a scope names, by which listings are found; None: any listing may be in it."""
    if not isinstance(scope, Scope):
        return None
    named = [(name, label) for name in ("items", "skus", "shops") for label in getattr(scope, name)]
    # The categories of a listing are not known here, so that it may be in any.
    return None if scope.categories or not named else named


def line_of(listing: Listing, currency: str, quantity: int) -> Line:
    list_price = minor_units(listing.list_price, currency)
    live_price = minor_units(listing.live_price, currency)
    return Line(
        id=LINE,
        qty=quantity,
        list=list_price,
        live=live_price,
        sku=listing.platform_sku_id or None,
        item=listing.platform_item_id,
        shop=str(listing.channel_id),
        on_sale=list_price is not None and live_price is not None and live_price < list_price,
    )


def shops_of(channels: Iterable[Channel], *, at: datetime | None = None) -> dict[int, Shop]:
    """By channel; with `at`, without what is over by then. In two statements."""
    wanted = {channel.pk: channel for channel in channels}
    rows = StoredPromotion.objects.filter(channel__in=wanted).exclude(status=StoredPromotion.State.GONE)
    if at is not None:
        rows = rows.exclude(end__lte=at)
    by_channel: dict[int, list[Promotion]] = {pk: [] for pk in wanted}
    names: dict[int, dict[str, str]] = {pk: {} for pk in wanted}
    fees: dict[int, dict[str, tuple[int, int]]] = {pk: {} for pk in wanted}
    for row in rows.order_by("pk"):
        by_channel[row.channel_id].append(_where_categories_are_not_known(engine_promotion(row)))
        names[row.channel_id][row.engine_id] = row.name
        fees[row.channel_id][row.engine_id] = row.fee_rate, row.fee_fixed
    stored = ChannelPricing.objects.in_bulk(list(wanted))
    return {
        pk: Shop(channel, stored.get(pk) or ChannelPricing.usual(channel), by_channel[pk], names[pk], fees[pk])
        for pk, channel in wanted.items()
    }


def _where_categories_are_not_known(promotion: Promotion) -> Promotion:
    """Nobody told which categories a listing is in: one that goes by them may have any listing among its goods."""
    scope = promotion.scope
    if not isinstance(scope, Scope) or not (scope.categories or scope.not_categories):
        return promotion
    nothing: frozenset[str] = frozenset()
    wide = replace(scope, categories=nothing, not_categories=nothing)
    if scope.categories:
        wide = replace(wide, items=nothing, skus=nothing, shops=nothing)
    return replace(promotion, scope=wide, unknown=(*promotion.unknown, "categories"))


def edges(promotions: Iterable[Promotion], after: datetime, until: datetime) -> list[datetime]:
    """The moments after `after` and before `until` at which a window begins or ends, in order."""
    moments = {moment for each in promotions for moment in (each.start, each.end) if isinstance(moment, datetime)}
    return sorted(moment for moment in moments if after < moment < until)
