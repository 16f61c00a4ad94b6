"""After-coupon prices of 1,000,000 listings under 10 coupons, of which a buyer uses one: against a loop and bare numpy.

The plain loop is timed on a part of the prices and its time scaled up: it takes as long for each. All three sides tell
the same amounts, which is checked; ours tells which coupon was used as well.

    python -m benchmarks bulk
"""

from datetime import UTC, datetime, timedelta

import numpy as np

from benchmarks.baselines import bare_coupons, plain_coupon_loop
from benchmarks.harness import pairs, report, timed
from catalog.pricing.bulk import bulk_prices
from catalog.pricing.model import Line, Promotion, Request

PRICES = 1_000_000
LOOPED = 100_000
COUPONS = [(1_000 + 9_000 * place, 500 + 700 * place) for place in range(10)]  # minimum and value, in fen
AT = datetime(2026, 11, 11, 12, tzinfo=UTC)
WINDOW = AT - timedelta(days=1), AT + timedelta(days=1)


def main(database: str) -> None:
    prices = np.random.default_rng(11).integers(1, 120_000, PRICES)
    minimums, values = np.array(COUPONS).T
    asked = Request(
        ruleset="taobao",
        currency="CNY",
        at=AT,
        basis="live",
        lines=(Line("1", 1, item="1"),),
        promotions=tuple(
            Promotion(
                f"c{place}",
                "coupon",
                "amount_off",
                tiers=((minimum, value),),
                measure="amount",
                start=WINDOW[0],
                end=WINDOW[1],
            )
            for place, (minimum, value) in enumerate(COUPONS)
        ),
    )
    plain = [
        {"minimum": minimum, "value": value, "start": WINDOW[0], "end": WINDOW[1], "items": None}
        for minimum, value in COUPONS
    ]
    some = prices[:LOOPED].tolist()
    goods = bulk_prices(asked, prices).goods
    assert (goods == bare_coupons(prices, minimums, values)).all()
    assert goods[:LOOPED].tolist() == plain_coupon_loop(some, "1", plain, AT)

    def ours() -> float:
        return timed(lambda: bulk_prices(asked, prices))

    def looped() -> float:
        return timed(lambda: plain_coupon_loop(some, "1", plain, AT)) * PRICES / LOOPED

    loop = pairs(ours, looped)
    bare = pairs(ours, lambda: timed(lambda: bare_coupons(prices, minimums, values)), count=7)
    report(
        "bulk prices: 1,000,000 under 10 coupons",
        target="30 times as fast as the plain coupon loop, and 0.4 of bare numpy",
        passed=loop["ratio"] >= 30 and bare["ratio"] >= 0.4,
        against_loop=loop,
        against_numpy=bare,
    )
