"""The scan for losses ahead: 10,000 SKUs of a shop with 50 promotions, among them pairs that sell below break-even.

Each of a planted pair is harmless, with all others that there are, until its second one begins: at that minute exactly.
All others together never reach break-even, whatever an unconfirmed rule says.

    python -m benchmarks collision_scan
"""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from benchmarks.harness import report, timed
from catalog.models import Channel, ChannelFees, Listing, Product, Promotion, Sku, SkuCost
from monitoring.models import Alert, Collision
from monitoring.services.collisions import scan_due
from monitoring.services.prices import mark_due

SKUS = 10_000
PROMOTIONS = 50
PAIRS = 5
OF_A_PAIR = 40  # listings
SECONDS = 60.0
DAY = timedelta(days=1)
NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


def fill() -> list[Listing]:
    """A Taobao shop whose goods cost 40 % of their price, and its fees another 5 %."""
    luck = random.Random(5)
    channel = Channel.objects.create(name="Shop", platform="taobao", currency="CNY", time_zone="Asia/Shanghai")
    ChannelFees.objects.create(channel=channel, valid_from=NOW - DAY, tax_rate=0, fee_rate=500, freight=0)
    product = Product.objects.create(name="Goods")
    skus = Sku.objects.bulk_create([Sku(code=f"S-{number}", product=product) for number in range(SKUS)])
    prices = [Decimal(luck.randint(5_000, 60_000)) / 100 for _sku in skus]
    SkuCost.objects.bulk_create(
        [
            SkuCost(sku=sku, valid_from=NOW - DAY, amount=round(price * Decimal("0.40"), 2), currency="CNY")
            for sku, price in zip(skus, prices, strict=True)
        ]
    )
    return Listing.objects.bulk_create(
        [
            Listing(channel=channel, sku=sku, platform_item_id=str(10**11 + number), list_price=price)
            for number, (sku, price) in enumerate(zip(skus, prices, strict=True))
        ]
    )


def offer(listings: list[Listing]) -> dict[int, datetime]:
    """The promotions; returns by listing the minute in which a planted pair begins to meet."""
    luck = random.Random(7)
    channel = listings[0].channel
    rows: list[Promotion] = []

    def add(layer: str, days: tuple[float, float], goods: list[Listing] | None, **terms: Any) -> None:
        scope = None if goods is None else {"items": [each.platform_item_id for each in goods]}
        start, end = (NOW + timedelta(minutes=round(day * 24 * 60)) for day in days)
        number = len(rows)
        rows.append(
            Promotion(
                channel=channel, name=f"P{number}", platform_id=f"p:{number}", layer=layer, currency="CNY",
                scope=scope, start=start, end=end, **{"kind": "percent_off", **terms},
            )
        )  # fmt: skip

    planted: dict[int, datetime] = {}
    free = luck.sample(listings, PAIRS * OF_A_PAIR)
    for pair in range(PAIRS):
        goods = free[pair * OF_A_PAIR : (pair + 1) * OF_A_PAIR]
        first, second = luck.uniform(-5, 40), luck.uniform(41, 80)
        add("item", (first, 88), goods, value=3700, auto=True)
        add("shop", (second, 85), goods, value=3700, auto=True)
        assert rows[-1].start is not None
        planted |= dict.fromkeys([each.pk for each in goods], rows[-1].start)
    # Coupons of the shop, of which a buyer uses one; small ones of single goods; every 300 less 20 across shops.
    while len(rows) < PROMOTIONS - 10:
        start = luck.uniform(-10, 80)
        minimum = luck.choice([9_900, 19_900, 29_900])
        add(
            "coupon", (start, start + luck.uniform(1, 20)), None, kind="amount_off", measure="amount",
            tiers=[[minimum, minimum * 8 // 100]], groups=["shop coupon"],
        )  # fmt: skip
    while len(rows) < PROMOTIONS - 3:
        start = luck.uniform(-10, 80)
        add("platform", (start, start + 6), luck.sample(listings, 800), value=150)
    add("cross", (9, 12), None, kind="amount_off", measure="amount", tiers=[[30_000, 2_000]], repeat=True, auto=True)
    add("cross", (30, 33), None, kind="amount_off", measure="amount", tiers=[[30_000, 2_000]], repeat=True, auto=True)
    add("platform", (9, 60), None, value=200)
    Promotion.objects.bulk_create(rows)
    assert len(rows) == PROMOTIONS
    return planted


def main(database: str) -> None:
    listings = fill()
    planted = offer(listings)
    mark_due(channel_ids=[listings[0].channel_id], now=NOW)
    whole = timed(lambda: scan_due(seconds=600, now_fn=lambda: NOW))
    certain = dict(Collision.objects.filter(certainty="certain").values_list("listing", "starts_at"))
    others = Collision.objects.exclude(certainty="certain").exclude(listing__in=list(planted)).count()
    # One promotion of 40 goods is changed: what it can touch, and nothing else.
    touched = list(planted)[:OF_A_PAIR]
    mark_due(listing_ids=touched, now=NOW)
    part = timed(lambda: scan_due(seconds=600, now_fn=lambda: NOW))
    report(
        f"collision scan of {SKUS:,} SKUs x {PROMOTIONS} promotions",
        target=f"under {SECONDS:.0f} s on one core; every planted loss with its first minute, no other",
        passed=whole < SECONDS and certain == planted and others == 0,
        database=database,
        seconds=round(whole, 2),
        seconds_for_one_promotion=round(part, 2),
        planted=len(planted),
        found=len(certain),
        with_their_minute=sum(certain.get(pk) == minute for pk, minute in planted.items()),
        invented=len(certain.keys() - planted.keys()) + others,
        warned=Alert.objects.filter(kind="loss_ahead", cleared_at=None).count(),
    )
