"""The demo world's promotions, fees and exchange rates, and the prices that come of them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import F

from catalog.models import Channel, ChannelFees, ExchangeRate, Listing, Promotion, SkuCost, User
from catalog.promotions.completing import FACTS, complete, missing
from catalog.promotions.requests import minor_units
from integrations.promotions import read_promotions
from monitoring.services.prices import requote

FEES_SINCE = timedelta(days=120)
RATE_DAYS = 7
# Units of the currency for one yuan, as the demo has it.
RATES = {"USD": Decimal("0.1400"), "EUR": Decimal("0.1290"), "GBP": Decimal("0.1110")}
RATE_SOURCE = "Demo rates"
# Tax inside the price, platform fee, payment fee and its fixed part, freight; rates in basis points.
_FEES = {
    "CNY": (1300, 500, 0, 0, 600),
    "USD": (0, 0, 290, 30, 450),
    "EUR": (1900, 0, 250, 35, 420),
}
_DAY = timedelta(days=1)


def add_prices(channels: Sequence[Channel], *, owner: User, now: datetime) -> None:
    """What each shop offers and pays, with what no platform tells filled in; and the prices that come of it."""
    SkuCost.objects.update(valid_from=now - FEES_SINCE)
    for channel in channels:
        tax, fee, payment, payment_fixed, freight = _FEES.get(channel.currency, _FEES["EUR"])
        ChannelFees.objects.get_or_create(
            channel=channel,
            valid_from=now - FEES_SINCE,
            defaults={
                "tax_rate": tax,
                "fee_rate": fee,
                "payment_rate": payment,
                "payment_fixed": payment_fixed,
                "freight": freight,
            },
        )
    for currency, rate in RATES.items():
        for age in range(RATE_DAYS):
            ExchangeRate.objects.get_or_create(
                cost_currency="CNY",
                sale_currency=currency,
                day=(now - age * _DAY).date(),
                defaults={"rate": rate, "source": RATE_SOURCE},
            )
    if not Promotion.objects.exists():
        _offer(channels[0], now)
    for channel in channels:
        read_promotions(channel, now=now)
    for promotion in Promotion.objects.filter(source=Promotion.Source.PLATFORM):
        if missing(promotion):
            asked = {name: getattr(promotion, name) for name in promotion.unknown if name in FACTS}
            complete(promotion, asked, actor=owner, now=now)
    own = Listing.objects.current().filter(ownership=Listing.Ownership.OWN)
    requote(listing_ids=sorted(own.values_list("pk", flat=True)), now=now)


def _offer(first: Channel, now: datetime) -> None:
    """By hand, besides what the shop tells: layers that its platform's interfaces do not know."""
    amount, percent = Promotion.Kind.AMOUNT_OFF, Promotion.Kind.PERCENT_OFF
    by_amount = Promotion.Measure.AMOUNT
    stack = [
        Promotion(name="满200减20", layer="coupon", kind=amount, measure=by_amount, tiers=[[20_000, 2_000]],
                  end=now + 3 * _DAY, remaining=412),
        Promotion(name="满99减10", layer="coupon", kind=amount, measure=by_amount, tiers=[[9_900, 1_000]]),
        Promotion(name="每200减30", layer="cross", kind=amount, measure=by_amount, tiers=[[20_000, 3_000]],
                  repeat=True, auto=True),
        Promotion(name="平台券 92 折", layer="platform", kind=percent, value=800, max_discount=1_660,
                  seller_share=4_000),
        Promotion(name="88VIP 95 折", layer="platform", kind=percent, value=500, audience=["88VIP"]),
        Promotion(name="双12 满300减60", layer="shop", kind=amount, measure=by_amount, tiers=[[30_000, 6_000]],
                  auto=True, start=now + 5 * _DAY, end=now + 8 * _DAY),
    ]  # fmt: skip
    dearest = _dearest(first)
    if dearest is not None and (price := minor_units(dearest.list_price, first.currency)):
        stack.append(
            Promotion(
                name="店铺直降",
                layer="item",
                kind=Promotion.Kind.FIXED_PRICE,
                value=price * 9 // 10,
                auto=True,
                scope={"items": [dearest.platform_item_id]},
                end=now + 9 * _DAY,
            )
        )
    for promotion in stack:
        promotion.channel, promotion.currency = first, first.currency
    Promotion.objects.bulk_create(stack)


def _dearest(channel: Channel) -> Listing | None:
    own = channel.listings.filter(ownership=Listing.Ownership.OWN, list_price__isnull=False, sku__isnull=False)
    return own.order_by(F("list_price").desc(), "pk").first()
