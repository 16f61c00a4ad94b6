from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.template import Context, Template
from django.utils import translation

from config import formatting

pytestmark = pytest.mark.pure

NOW = datetime(2026, 11, 24, 1, 30, tzinfo=UTC)
SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize("language", ["en", "zh-hans"])
@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        pytest.param(Decimal("268"), "CNY", "¥268.00", id="yuan"),
        pytest.param(Decimal("64.99"), "USD", "US$64.99", id="dollars"),
        pytest.param(Decimal("26.5"), "GBP", "£26.50", id="pounds"),
        pytest.param(Decimal("45.9"), "EUR", "€45.90", id="euros"),
        pytest.param(Decimal("1280"), "JPY", "JP¥1,280", id="yen have no decimals and are not yuan"),
        pytest.param(Decimal("-13.5"), "CNY", "−¥13.50", id="the minus sign stands before the symbol"),
        pytest.param(Decimal("1234567.891"), "CNY", "¥1,234,567.89", id="thousands by comma"),
        pytest.param(Decimal("0"), "CNY", "¥0.00", id="zero is a price"),
        pytest.param(None, "CNY", "—", id="not known"),
    ],
)
def test_money_is_written_the_same_in_both_languages(language, amount, currency, expected):
    with translation.override(language):
        assert formatting.money(amount, currency) == expected


@pytest.mark.parametrize(("number", "expected"), [(1284, "1,284"), (0, "0"), (-56, "−56"), (None, "—")])
def test_counts_have_thousands_and_a_real_minus(number, expected):
    assert formatting.count(number) == expected


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        (Decimal("0.252"), "25.2%"),
        (Decimal("1"), "100.0%"),
        (Decimal("-0.0666"), "−6.7%"),
        (Decimal("0.00049"), "0.0%"),
        (None, "—"),
    ],
)
def test_percentages_have_one_decimal(ratio, expected):
    assert formatting.percent(ratio) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(Decimal("139"), Decimal("129"), "▼ 7.2%", id="down"),
        pytest.param(Decimal("100"), Decimal("110"), "▲ 10.0%", id="up"),
        pytest.param(Decimal("100"), Decimal("100.0000"), "no change", id="the same amount with other decimals"),
        pytest.param(Decimal("100"), Decimal("99.99"), "▼ <0.1%", id="too small for a decimal, but not nothing"),
        pytest.param(0, 12, "▲ from 0", id="from nothing there is no share"),
        pytest.param(None, Decimal("1"), "—", id="old not known"),
        pytest.param(Decimal("1"), None, "—", id="new not known"),
    ],
)
def test_a_change_says_its_direction_and_share(old, new, expected):
    assert formatting.change_percent(old, new) == expected


@pytest.mark.parametrize(
    ("past", "expected"),
    [
        (timedelta(seconds=59), "59 s ago"),
        (timedelta(minutes=4, seconds=59), "4 min ago"),
        (timedelta(hours=3, minutes=59), "3 h ago"),
        (timedelta(days=7), "7 d ago"),
        (timedelta(days=7, seconds=1), "17 Nov"),
        (timedelta(days=400), "20 Oct 2025"),
        (timedelta(minutes=-4), "in 4 min"),
    ],
)
def test_age_is_relative_for_a_week_and_a_date_afterwards(past, expected):
    assert formatting.ago(NOW - past, NOW) == expected


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (timedelta(seconds=40), "40 s"),
        (timedelta(minutes=4), "4 min"),
        (timedelta(hours=3, minutes=4), "3 h 4 min"),
        (timedelta(hours=3), "3 h"),
        (timedelta(days=2, hours=5, minutes=59), "2 d 5 h"),
        (None, "—"),
    ],
)
def test_durations_have_their_two_largest_units(length, expected):
    assert formatting.duration(length) == expected


@time_machine.travel(NOW)
def test_moments_are_in_the_zone_asked_for():
    assert formatting.moment(NOW, SHANGHAI) == "24 Nov 09:30"
    assert formatting.iso_moment(NOW, SHANGHAI) == "2026-11-24 09:30"
    assert formatting.iso_moment(NOW, UTC) == "2026-11-24 01:30"
    assert formatting.moment(None) == formatting.iso_moment(None) == "—"


@pytest.mark.parametrize(
    ("language", "this_year", "another_year"),
    [("en", "1 Jan 00:30", "31 Dec 2025 23:30"), ("zh-hans", "01-01 00:30", "2025-12-31 23:30")],
)
def test_a_moment_of_another_year_says_which(language, this_year, another_year):
    with time_machine.travel(NOW), translation.override(language):
        new_year = datetime(2025, 12, 31, 16, 30, tzinfo=UTC)
        assert formatting.moment(new_year, SHANGHAI) == this_year, "it is the new year in Shanghai already"
        assert formatting.moment(new_year - timedelta(hours=1), SHANGHAI) == another_year


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param("2026-12-31T15:59:59Z", "31 Dec 23:00", id="a second before the new year in Shanghai"),
        pytest.param("2026-12-31T16:00:00Z", "31 Dec 2026 23:00", id="the new year in Shanghai"),
    ],
)
def test_the_present_year_is_that_of_the_zone(now, expected):
    with time_machine.travel(datetime.fromisoformat(now)):
        assert formatting.moment(datetime(2026, 12, 31, 15, tzinfo=UTC), SHANGHAI) == expected


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        pytest.param(lambda: formatting.ago(NOW - timedelta(minutes=4), NOW), "4 分钟前", id="minutes ago"),
        pytest.param(lambda: formatting.ago(NOW - timedelta(hours=3), NOW), "3 小时前", id="hours ago"),
        pytest.param(
            lambda: formatting.ago(
                NOW - timedelta(days=13),
                NOW,
            ),
            "11-11",
            id="a date of this year",
        ),
        pytest.param(lambda: formatting.ago(NOW - timedelta(days=400), NOW), "2025-10-20", id="a date of last year"),
        pytest.param(lambda: formatting.duration(timedelta(hours=3, minutes=4)), "3 小时 4 分", id="duration"),
        pytest.param(lambda: formatting.moment(NOW, SHANGHAI), "11-24 09:30", id="moment"),
        pytest.param(lambda: formatting.change_percent(1, 1), "无变化", id="no change"),
    ],
)
def test_times_and_changes_in_chinese(shown, expected):
    with time_machine.travel(NOW), translation.override("zh-hans"):
        assert shown() == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("添加SKU", "添加 SKU"),
        ("添加API 密钥", "添加 API 密钥"),
        ("删除3个商品", "删除 3 个商品"),
        ("添加商品", "添加商品"),
        ("还没有SKU，先添加一个", "还没有 SKU，先添加一个"),
        ("Add SKU", "Add SKU"),
    ],
)
def test_han_and_latin_letters_stand_apart(text, expected):
    assert formatting.spaced(text) == expected


def test_formatters_are_tags_and_filters_of_every_template():
    text = "{% money a 'CNY' %} {{ a|money:'CNY' }} {{ 1284|count }} {% iso_moment t %} {% ago t now %}"
    shown = Template(text).render(Context({"a": Decimal("9.9"), "t": NOW, "now": NOW + timedelta(minutes=2)}))
    assert shown == "¥9.90 ¥9.90 1,284 2026-11-24 09:30 2 min ago"


def test_unknown_gives_its_reason_and_a_hostile_one_stays_text():
    shown = Template("{% unknown reason %}").render(Context({"reason": "<b>refused</b>"}))
    assert shown == '<span class="unknown">—</span><small>&lt;b&gt;refused&lt;/b&gt;</small>'


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("Saved.", "Nothing else changed."), "Saved. Nothing else changed."),
        (("已保存。", "其余不变。"), "已保存。其余不变。"),
        (("Saved.", ""), "Saved."),
        ((), ""),
    ],
)
def test_sentences_follow_each_other_as_their_language_writes_them(parts, expected):
    assert formatting.sentences(*parts) == expected
