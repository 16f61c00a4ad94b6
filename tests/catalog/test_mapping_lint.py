"""What looks wrong about mappings."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from catalog.mapping_lint import (
    Finding,
    FindingKind,
    Line,
    are_titles_alike,
    is_as_dismissed,
    is_dead,
    of_item,
    of_sku,
    units_in_title,
)

pytestmark = pytest.mark.pure

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
ONE = Line(
    listing_id=1,
    sku_id=7,
    channel_id=1,
    item_id="616",
    variant_id="",
    stock_id="",
    title="手冲咖啡壶",
    pack_factor=1,
    price=Decimal("100"),
    currency="CNY",
)


def line(listing_id: int, **changed) -> Line:
    """A listing of the same SKU on a channel of its own."""
    return replace(ONE, **{"listing_id": listing_id, "channel_id": listing_id, **changed})


def of(*lines, cost=None, cost_currency="CNY") -> list[tuple]:
    found = of_sku(lines, cost=cost, cost_currency=cost_currency)
    return [(each.kind.value, each.listing_id, each.pack_factor) for each in found]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([line(1), line(2)], [], id="two channels"),
        pytest.param([line(1), line(2, channel_id=1)], [("twice", 2, None)], id="one channel, the later one"),
        pytest.param([line(1), line(2, channel_id=1, pack_factor=6, price=Decimal(590))], [], id="a single and a six"),
        pytest.param(
            [line(3, channel_id=1), line(1), line(2, channel_id=1)],
            [("twice", 2, None), ("twice", 3, None)],
            id="three of one channel",
        ),
    ],
)
def test_two_listings_of_a_channel_on_one_sku_are_odd_when_they_sell_as_many(lines, expected):
    assert of(*lines) == expected


@pytest.mark.parametrize(
    ("title", "units"),
    [
        ("手冲咖啡壶 600ml", None),
        ("矿泉水 550ml×24瓶", 24),
        ("矿泉水 550ml*24", 24),
        ("抽纸 6包装", 6),
        ("Coffee filters, pack of 100", 100),
        ("Socks 3-pack", 3),
        ("Socks 3 pcs", 3),
        ("Board 30x40cm", None),
        ("Board 250g x 40cm", None),
        ("手冲壶 1个装", None),
        ("抽纸 6包装 3-pack", None),
        ("抽纸 6包装 共 6pcs", 6),
        ("iPhone 15 Pro Max", None),
        ("", None),
    ],
)
def test_a_title_tells_units_only_in_words_that_mean_them(title, units):
    assert units_in_title(title) == units


@pytest.mark.parametrize(
    ("pack_factor", "expected"),
    [(1, [("pack", 1, 6)]), (6, []), (12, [("pack", 1, 6)])],
)
def test_a_pack_factor_that_the_title_contradicts_is_suspicious(pack_factor, expected):
    assert of(replace(ONE, title="抽纸 6包装", pack_factor=pack_factor)) == expected


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        pytest.param([100, 110, 90], [], id="alike"),
        pytest.param([100, 110, 299], [], id="just below three times the median"),
        pytest.param([100, 100, 300], [("price", 3, 3)], id="three times: a pack of three"),
        pytest.param([100, 100, 600], [("price", 3, 6)], id="six times: a pack of six"),
        pytest.param([100, 100, 350], [("price", 3, None)], id="no whole number of units"),
        pytest.param([90, 90, 30], [("price", 3, None)], id="a third"),
        pytest.param([100, 100, 34], [], id="just above a third"),
        pytest.param([100, 600], [("price", 2, 6)], id="of two the later"),
        pytest.param([100, 100, None], [], id="not known"),
        pytest.param([None, None, 600], [], id="nothing to compare with"),
        pytest.param([100, 100, 0], [], id="given away"),
    ],
)
def test_a_units_price_is_held_against_the_other_listings(prices, expected):
    lines = [line(number, price=None if price is None else Decimal(price)) for number, price in enumerate(prices, 1)]
    assert of(*lines) == expected


def test_prices_of_other_currencies_are_not_compared():
    assert of(line(1), line(2), line(3, price=Decimal(15), currency="USD")) == []


def test_a_pack_is_compared_by_the_unit():
    assert of(line(1), line(2), line(3, price=Decimal(580), pack_factor=6)) == []
    assert of(line(1), line(2), line(3, price=Decimal(100), pack_factor=6)) == [("price", 3, 1)]


@pytest.mark.parametrize(
    ("price", "cost", "currency", "is_found"),
    [
        ("100", "60", "CNY", False),
        ("30", "60", "CNY", False),
        ("29.99", "60", "CNY", True),
        ("1200", "60", "CNY", False),
        ("1200.01", "60", "CNY", True),
        ("1", "60", "USD", False),
        ("1", None, "CNY", False),
        ("1", "0", "CNY", False),
        (None, "60", "CNY", False),
    ],
)
def test_a_units_price_is_held_against_its_cost(price, cost, currency, is_found):
    listing = replace(ONE, price=None if price is None else Decimal(price))
    found = of_sku([listing], cost=None if cost is None else Decimal(cost), cost_currency=currency)
    assert [each.kind for each in found] == [FindingKind.COST] * is_found


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([ONE, line(2, channel_id=1, variant_id="9")], [], id="one SKU for both"),
        pytest.param(
            [ONE, line(2, channel_id=1, variant_id="9", sku_id=8)],
            [Finding(FindingKind.TWO_SKUS, 1, 7, other_id=2)],
            id="the item and its variant",
        ),
        pytest.param(
            [line(1, variant_id="8", stock_id="45"), line(2, variant_id="9", stock_id="45", sku_id=8)],
            [Finding(FindingKind.TWO_SKUS, 2, 8, other_id=1)],
            id="two variants with one stock",
        ),
        pytest.param(
            [line(1, variant_id="8", stock_id=""), line(2, variant_id="9", stock_id="", sku_id=8)], [], id="no stock id"
        ),
    ],
)
def test_a_listing_under_two_skus_is_found(lines, expected):
    assert of_item(lines) == expected


@pytest.mark.parametrize(
    ("is_missing", "age", "expected"),
    [
        (True, timedelta(days=7), True),
        (True, timedelta(days=7, seconds=-1), False),
        (False, timedelta(days=30), False),
    ],
)
def test_a_listing_is_dead_after_seven_days(is_missing, age, expected):
    assert is_dead(is_missing=is_missing, last_good_at=NOW - age, now=NOW) is expected


@pytest.mark.parametrize(
    ("before", "now", "is_same"),
    [
        ("4", "4", True),
        ("4", "5.99", True),
        ("4", "6", False),
        ("4", "3", True),
        ("4", "0.25", False),
        ("0.25", "0.17", True),
        ("0.25", "0.16", False),
        ("0.25", "0.33", True),
        ("0.25", "4", False),
        ("4", None, False),
        (None, "4", False),
        (None, None, True),
    ],
)
def test_a_ratio_that_moved_well_beyond_what_was_dismissed_is_another_fact(before, now, is_same):
    facts, dismissed = ({"sku": 7} | ({"ratio": ratio} if ratio else {}) for ratio in (now, before))
    assert is_as_dismissed(facts, dismissed) is is_same
    assert not is_as_dismissed({**facts, "sku": 8}, dismissed)
    assert not is_as_dismissed({**facts, "other": 9}, dismissed)


@pytest.mark.parametrize(
    ("title", "other", "expected"),
    [
        ("Enamelled cast-iron pot 1", "Cast-iron pot, enamelled, 24 cm", True),
        ("Enamelled cast-iron pot 1", "Drawer organiser 1", False),
        ("2026新款 铸铁珐琅锅 家用焖烧炖锅", "北欧 铸铁珐琅锅 白色", True),
        ("铸铁珐琅锅 家用", "新疆长绒棉浴巾 吸水", False),
        ("铸铁珐琅锅", "Cast-iron pot", None),
        ("Cast-iron pot 铸铁锅", "铸铁锅 大号", True),
        ("Cotton towel for guests", "Cotton bag for shopping", None),
        ("12 34", "12 34", None),
        ("", "Cast-iron pot", None),
    ],
)
def test_titles_are_compared_by_their_words_within_one_script(title, other, expected):
    assert are_titles_alike(title, other) is expected
    assert are_titles_alike(other, title) is expected
