"""Thresholds as numbers, and numbers as alerts hold them."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from catalog.facts import ShelfState
from catalog.models import Listing
from catalog.models.listing import ListingQuerySet
from monitoring.models import Threshold
from monitoring.services.watching import microseconds
from monitoring.thresholds.rules import Kind, Rule, value_of

PRICES = ("list_price", "live_price", "promotion_price")


def rule_of(threshold: Threshold) -> Rule:
    """The threshold as the numbers that readings are judged by."""
    is_about_price = threshold.kind in (Kind.PRICE_RANGE, Kind.PRICE_CHANGE, Kind.VOLATILITY)
    return Rule(
        kind=threshold.kind,
        fact=threshold.price if is_about_price else "stock",
        low=_ten_thousandths(threshold.min_price),
        high=_ten_thousandths(threshold.max_price),
        percent=int((threshold.percent or 0) * 100),
        reference=threshold.reference,
        direction=threshold.direction,
        days=threshold.days or 0,
        since_us=microseconds(threshold.baseline_at) if threshold.baseline_at is not None else 0,
        stock=threshold.stock or 0,
        hysteresis=int(threshold.hysteresis * 100),
        cooldown_us=threshold.cooldown_minutes * 60_000_000,
    )


def listings_of(threshold: Threshold) -> ListingQuerySet:
    """The current listings that the threshold is about; it need not be stored."""
    listings = Listing.objects.current()
    if threshold.listing_id:
        listings = listings.filter(pk=threshold.listing_id)
    elif threshold.product_id:
        listings = listings.filter(sku__product=threshold.product_id)
    elif threshold.brand:
        listings = listings.filter(sku__product__brand=threshold.brand)
    else:
        listings = listings.filter(channel=threshold.channel_id)
    if threshold.ownership:
        listings = listings.filter(ownership=threshold.ownership)
    if threshold.kind == Kind.PRICE_RANGE:
        listings = listings.filter(channel__currency=threshold.currency)
    return listings


def place_of(rule: Rule) -> int:
    """Where the price of the rule stands among the facts of a row; 0 where it has none."""
    return PRICES.index(rule.fact) if rule.fact in PRICES else 0


def value_among(rule: Rule, facts: Sequence[Any], place: int) -> int | None:
    """What the rule looks at among five facts, amounts in ten-thousandths."""
    return value_of(rule, facts[place], facts[3], facts[4])


def value_read(rule: Rule, facts: Sequence[Any], place: int) -> int | None:
    """The same, amounts as text with four decimals."""
    if rule.fact == "stock":
        return value_of(rule, None, facts[3], facts[4])
    text: str | None = facts[place]
    return None if text is None else int(text.replace(".", ""))


def _ten_thousandths(amount: Decimal | None) -> int | None:
    return None if amount is None else int(Decimal(amount).scaleb(4))


def value_text(rule: Rule, value: int | None) -> str:
    """As alerts hold it: an amount with at least two decimals, units, or the slug of a shelf state; "" not known."""
    if value is None:
        return ""
    if rule.kind == Kind.OFF_SHELF:
        return ShelfState.OFF_SHELF.value if value else ShelfState.ON_SHELF.value
    if rule.fact == "stock":
        return str(value)
    return amount_text(value)


def limit_text(rule: Rule, limit: int | None) -> str:
    if limit is None:
        return ""
    if rule.kind in (Kind.PRICE_CHANGE, Kind.VOLATILITY):
        return f"{Decimal(limit).scaleb(-2):.2f}"
    return value_text(rule, limit)


def amount_text(ten_thousandths: int) -> str:
    """Exact, with at least two decimals: 189.00, 0.1234."""
    text = f"{Decimal(ten_thousandths).scaleb(-4):.4f}"
    return text[:-2] if text.endswith("00") else text.rstrip("0")


def figure_of(rule: Rule, text: str) -> int | None:
    """The number that an alert's text stands for."""
    if not text or rule.kind == Kind.OFF_SHELF:
        return None
    return int(text) if rule.fact == "stock" else int(Decimal(text).scaleb(4))
