"""Promotions from files: headings that merchants know, figures told exactly or refused by row, stored whole or not."""

import csv
import io
import time
from datetime import UTC, datetime

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from openpyxl import Workbook

from catalog.mapping.files import Unreadable
from catalog.models import AuditEvent, Promotion
from catalog.promotions import importing
from catalog.promotions.importing import Moved, Terms, read_promotions
from catalog.promotions.services import touched_listings
from catalog.signals import promotion_changed
from monitoring.models import PriceQuote
from monitoring.services.prices import requote
from tests.factories import NOW, ChannelFactory, ListingFactory, PromotionFactory, UserFactory
from tests.staff import member, signed_in

pytestmark = pytest.mark.django_db

FILE, APPLY, TEMPLATE = (f"/catalog/promotion/file/{name}" for name in ("", "apply/", "template/"))
CHINESE = ["优惠券名称", "门槛", "面额", "开始时间", "结束时间", "适用商品"]
ENGLISH = ["title", "threshold", "discount", "starts", "ends", "scope"]


@pytest.fixture
def channel():
    return ChannelFactory(name="天猫旗舰店", time_zone="Asia/Shanghai")


@pytest.fixture
def actor():
    return UserFactory()


def as_csv(heading, *rows):
    text = io.StringIO(newline="")
    csv.writer(text).writerows([heading, *rows])
    return text.getvalue().encode()


def as_excel(heading, *rows):
    book, target = Workbook(), io.BytesIO()
    for row in [heading, *rows]:
        book.active.append(row)
    book.save(target)
    return target.getvalue()


def looked_at(channel, content, *, is_minor=False, zone="Asia/Shanghai"):
    return importing.preview(rows=read_promotions(content), asked=Terms(channel, zone, is_minor))


def brought(channel, actor, content, **asked):
    shown = looked_at(channel, content, **asked)
    assert shown.errors == []
    return importing.apply(changes=shown.changes, channel=channel, actor=actor, now=NOW)


def told(channel, heading, row):
    """The fields of the one promotion that a line makes."""
    [change] = looked_at(channel, as_csv(heading, row)).changes
    return change.values


def error(channel, heading, row):
    shown = looked_at(channel, as_csv(heading, row))
    assert shown.changes == []
    return shown.errors[0].text


@pytest.mark.parametrize("heading", [CHINESE, ENGLISH])
def test_a_table_as_merchants_keep_it_becomes_a_promotion(channel, actor, heading):
    row = ["双12券", "199", "19.90", "2026-12-01 10:00", "2026-12-12", "616000000001，616000000002"]
    assert brought(channel, actor, as_csv(heading, row)) == 1
    stored = Promotion.objects.get()
    assert (stored.name, stored.source, stored.layer, stored.kind) == ("双12券", "file", "coupon", "amount_off")
    assert (stored.measure, stored.tiers, stored.value, stored.auto) == ("amount", [[19_900, 1_990]], None, False)
    assert stored.scope == {"items": ["616000000001", "616000000002"]}
    assert stored.start == datetime(2026, 12, 1, 2, tzinfo=UTC)
    assert stored.end == datetime(2026, 12, 12, 16, tzinfo=UTC)  # the day counts as a whole
    event = AuditEvent.objects.get(action="promotions imported")
    assert event.changes == {"promotions": [None, 1]}


@pytest.mark.parametrize(
    ("cells", "stored"),
    [
        ({"discount": "20"}, {"kind": "amount_off", "value": 2_000, "tiers": None, "measure": "none"}),
        ({"discount": "¥1,020.5"}, {"value": 102_050}),
        ({"discount": "20元", "threshold": "无门槛"}, {"value": 2_000}),
        ({"discount": "20", "threshold": "满199元"}, {"tiers": [[19_900, 2_000]]}),
        ({"discount": "满199减20"}, {"tiers": [[19_900, 2_000]], "repeat": False}),
        ({"discount": "每满300减50"}, {"tiers": [[30_000, 5_000]], "repeat": True}),
        ({"discount": "50", "threshold": "300", "上不封顶": "是"}, {"tiers": [[30_000, 5_000]], "repeat": True}),
        ({"discount": "8折"}, {"kind": "percent_off", "value": 2_000}),
        ({"discount": "8.5折", "封顶": "50"}, {"value": 1_500, "max_discount": 5_000}),
        ({"discount": "85折"}, {"value": 1_500}),
        ({"discount": "0折"}, {"value": 10_000}),
        ({"discount": "12.5%", "threshold": "3件"}, {"measure": "quantity", "tiers": [[3, 1_250]]}),
        ({"discount": "79", "kind": "一口价", "layer": "item"}, {"kind": "fixed_price", "value": 7_900}),
        ({"discount": "5", "target_type": "2"}, {"scope": None}),
        ({"discount": "5", "target_type": "1", "item_id": "7"}, {"scope": {"items": ["7"]}}),
        ({"discount": "5", "item_id": "全店", "排除商品": "8 9"}, {"scope": {"not_items": ["8", "9"]}}),
        ({"discount": "5", "适用人群": "88VIP", "自动": "是"}, {"audience": ["88VIP"], "auto": True}),
        ({"discount": "5", "剩余": "12"}, {"remaining": 12}),
        ({"discount": "5", "互斥组": "a，b", "优惠码": "TEA"}, {"groups": ["a", "b"], "code": "TEA"}),
        ({"discount": "满199减20"}, {"name": "¥20.00 off from ¥199.00 on"}),
    ],
)  # fmt: skip
def test_each_way_to_write_it_is_understood(channel, cells, stored):
    found = told(channel, list(cells), list(cells.values()))
    assert {name: found[name] for name in stored} == stored


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"title": "x", "discount": ""}, "cannot be read in the column “discount”"),
        ({"discount": "9.999"}, "“9.999” cannot be read in the column “discount”."),
        ({"discount": "1,5"}, "cannot be read"),
        ({"discount": "0"}, "It cannot be used"),
        ({"discount": "-5"}, "cannot be read"),
        ({"discount": "120%"}, "It cannot be used"),
        ({"discount": "8", "kind": "折扣"}, "Write a percentage as 8折"),
        ({"discount": "8折", "kind": "满减"}, "It is a percentage, but its kind is not."),
        ({"discount": "8", "kind": "赠品"}, "“赠品” is no kind"),
        ({"discount": "8", "layer": "basement"}, "This shop has the layers"),
        ({"discount": "8", "threshold": "many"}, "“many” cannot be read in the column “threshold”."),
        ({"discount": "8", "ends": "soon"}, "“soon” cannot be read in the column “ends”."),
        ({"discount": "8", "ends": "2026-02-30"}, "cannot be read"),
        ({"discount": "8", "starts": "2026-12-02", "ends": "2026-12-01"}, "It cannot be used"),
        ({"discount": "8", "currency": "USD"}, "It is in USD. The channel sells in CNY."),
        ({"discount": "8", "target_type": "1"}, "the row does not say which"),
        ({"discount": "8", "target_type": "2", "scope": "7"}, "for the whole shop, but the row names items"),
        ({"discount": "8", "scope": "7 8", "excluded": "8 7 9"}, "It leaves out all goods that it is for."),
        ({"discount": "8折", "repeat": "是", "threshold": "100"}, "It cannot be used"),
        ({"discount": "8", "id": "6.16E+17"}, "The spreadsheet shortened an id"),
        ({"discount": "8", "title": "x" * 201}, "longer than 200 characters"),
    ],
)
def test_what_cannot_be_told_exactly_is_refused_by_its_reason(channel, cells, reason):
    assert reason in error(channel, list(cells), list(cells.values()))


def utc(month, day, hour, minute=0):
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("starts", "ends", "window"),
    [
        ("2026-11-11", "2026-11-11 23:59:59", ((10, 16), (11, 16))),
        ("2026/11/1 8:30", "2026年11月11日", ((1, 0, 30), (11, 16))),
        ("2026-11-11 00:00:00", "2026-11-11 24:00", ((10, 16), (11, 16))),
        ("2026-11-11T00:00:00Z", "2026-11-11T20:00:00-05:00", ((11, 0), (12, 1))),
    ],
)
def test_times_are_those_of_the_channel_unless_they_say_otherwise(channel, starts, ends, window):
    found = told(channel, ["discount", "starts", "ends"], ["5", starts, ends])
    assert (found["start"], found["end"]) == tuple(utc(11, *parts) for parts in window)


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        (["2026-12-12", "2026-12-13"], [(12, 16), (13, 16)]),
        (["2026-12-12", "2026-12-12 20:00"], [(11, 16), (12, 12)]),
    ],
)
def test_dates_of_a_spreadsheet_are_whole_days_where_no_end_has_a_time_of_day(channel, ends, expected):
    rows = [[str(place), 5, datetime.fromisoformat(end)] for place, end in enumerate(ends)]
    content = as_excel(["id", "discount", "ends"], *rows)
    found = [change.values["end"] for change in looked_at(channel, content).changes]
    assert found == [utc(12, *parts) for parts in expected]


def test_amounts_in_fen_are_taken_as_they_stand(channel):
    [change] = looked_at(channel, as_csv(["discount", "threshold"], ["1000", "9900"]), is_minor=True).changes
    assert change.values["tiers"] == [[9_900, 1_000]]
    assert looked_at(channel, as_csv(["discount"], ["9.90"]), is_minor=True).errors


def test_with_one_bad_line_the_others_are_shown_and_none_can_be_stored(channel, client):
    signed_in(client, "Manager", channel)
    content = as_csv(["title", "discount"], ["good", "5"], ["bad", "?"], ["good too", "6"])
    page = upload(client, channel, content)
    assert "Row 3" in page.text
    assert "“?” cannot be read in the column “discount”." in page.text
    assert "good too" in page.text
    assert page.context["token"] == ""


def test_the_same_file_again_changes_nothing_and_a_changed_line_only_itself(channel, actor):
    rows = [["1", "满100减10"], ["2", "满200减20"]]
    assert brought(channel, actor, as_csv(["id", "discount"], *rows)) == 2
    again = looked_at(channel, as_csv(["id", "discount"], *rows))
    assert (again.changes, again.unchanged) == ([], 2)
    rows[1][1] = "满200减25"
    assert brought(channel, actor, as_csv(["id", "discount"], *rows)) == 1
    assert [row.tiers for row in Promotion.objects.order_by("pk")] == [[[10_000, 1_000]], [[20_000, 2_500]]]


def test_what_the_file_does_not_tell_stays_as_a_person_left_it(channel, actor):
    brought(channel, actor, as_csv(["id", "discount"], ["1", "5"]))
    Promotion.objects.update(audience=["88VIP"], remaining=3)
    brought(channel, actor, as_csv(["id", "discount"], ["1", "6"]))
    stored = Promotion.objects.get()
    assert (stored.value, stored.audience, stored.remaining) == (600, ["88VIP"], 3)


def test_lines_without_an_id_are_told_apart_by_what_they_say(channel):
    shown = looked_at(channel, as_csv(["discount"], ["5"], ["6"], ["5"]))
    assert [change.values["value"] for change in shown.changes] == [500, 600]
    assert [(each.number, each.text) for each in shown.errors] == [(4, "Row 2 is about the same promotion.")]


def test_a_coupon_that_the_platform_tells_is_not_counted_twice(channel):
    PromotionFactory(channel=channel, source="platform", platform_id="coupon-77")
    shown = looked_at(channel, as_csv(["id", "discount"], ["77", "5"], ["78", "5"]))
    assert (shown.from_platform, [change.platform_id for change in shown.changes]) == (1, ["file:78"])


def test_nothing_is_stored_where_one_changed_since_the_preview(channel, actor):
    brought(channel, actor, as_csv(["id", "discount"], ["1", "5"]))
    shown = looked_at(channel, as_csv(["id", "discount"], ["1", "6"], ["2", "7"]))
    Promotion.objects.update(value=999)
    with pytest.raises(Moved):
        importing.apply(changes=shown.changes, channel=channel, actor=actor, now=NOW)
    assert [row.value for row in Promotion.objects.all()] == [999]


def test_the_prices_that_it_touches_are_told_and_no_others(channel, actor, django_capture_on_commit_callbacks):
    listings = [ListingFactory(channel=channel, platform_item_id=str(place)) for place in range(3)]
    heard = []

    def hear(**news):
        heard.append(news["listing_ids"])

    promotion_changed.connect(hear)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            brought(channel, actor, as_csv(["id", "discount", "scope"], ["a", "5", "0"], ["b", "5", "2"]))
    finally:
        promotion_changed.disconnect(hear)
    assert heard == [[listings[0].pk, listings[2].pk]]


def test_ten_thousand_coupons_of_a_shop_are_stored_and_its_price_is_answered_in_time(channel):
    listing = ListingFactory(channel=channel, platform_item_id="7", list_price=99)
    coupons = Promotion.objects.bulk_create(
        Promotion(
            channel=channel,
            layer="coupon",
            kind="amount_off",
            measure="amount",
            tiers=[[2 * place, place + 1]],
            scope={"items": ["7" if place % 2 else str(1_000 + place)]},
            currency="CNY",
        )
        for place in range(10_000)
    )
    began = time.monotonic()
    assert touched_listings(coupons) == {listing.pk}
    requote(listing_ids=[listing.pk], now=NOW)
    assert time.monotonic() - began < 30
    # Of 9,900 fen the best that is reached and for this item: 4,950 off from 9,898 on.
    assert PriceQuote.objects.get().buy_one == 4_950


def test_a_long_file_is_stored_by_parts_and_not_by_lines(channel, actor):
    counts = []
    for count in (10, 1_000):
        rows = [[f"{count}-{place}", "券", f"{place + 1}", str(place)] for place in range(count)]
        content = as_csv(["id", "title", "discount", "item_id"], *rows)
        with CaptureQueriesContext(connection) as captured:
            assert brought(channel, actor, content) == count
        counts.append(len(captured))
    assert counts[1] < counts[0] + 100  # by parts of some tens, of what a statement takes


@pytest.mark.parametrize(
    ("heading", "text"),
    [
        (["title", "threshold"], "The file has no column “discount”."),
        (["面额", "discount"], "The column “discount” comes twice."),
    ],
)
def test_a_table_without_what_is_needed_is_no_table_of_promotions(heading, text):
    with pytest.raises(Unreadable, match=text):
        read_promotions(as_csv(heading, ["1", "2"]))


# --- Pages ------------------------------------------------------------------------------------------------------------


def upload(client, channel, content, **fields):
    asked = {"channel": channel.pk, "unit": "major", "zone": "", **fields}
    return client.post(FILE, {**asked, "file": SimpleUploadedFile("promotions.csv", content)})


def test_a_file_is_shown_stored_once_and_a_second_press_says_so(channel, client):
    signed_in(client, "Manager", channel)
    assert 'href="/catalog/promotion/file/"' in client.get("/catalog/promotion/").text
    page = upload(client, channel, as_csv(CHINESE, ["双12券", "199", "20", "2026-12-01", "2026-12-12", ""]))
    for part in ("双12券", "¥20.00 off from ¥199.00 on", "until before 2026-12-13 00:00", "Store 1 promotion"):
        assert part in page.text
    assert not Promotion.objects.exists()
    token = page.context["token"]
    done = client.post(APPLY, {"token": token}, follow=True)
    assert "Stored 1 promotion." in done.text
    assert "双12券" in done.text
    again = client.post(APPLY, {"token": token}, follow=True)
    assert "already, and is not applied again." in again.text
    assert Promotion.objects.count() == 1


def test_the_empty_table_can_be_brought_back(channel, client):
    signed_in(client, "Manager", channel)
    for kind in ("csv", "xlsx"):
        answer = client.get(TEMPLATE, {"format": kind})
        content = b"".join(answer.streaming_content) if answer.streaming else answer.content
        shown = looked_at(channel, content)
        assert (len(shown.changes), shown.errors) == (2, [])


def test_channels_of_others_are_not_offered_and_who_may_not_change_promotions_sees_no_page(channel, client):
    signed_in(client, "Operator", ChannelFactory())
    page = upload(client, channel, as_csv(["discount"], ["5"]))
    assert page.status_code == 400
    assert "Select a valid choice" in page.text
    client.force_login(member("Viewer"))
    assert client.get(FILE).status_code == 403
    assert client.post(APPLY, {"token": "x"}).status_code == 403
