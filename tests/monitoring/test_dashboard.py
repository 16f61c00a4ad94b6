"""The dashboard: what it counts and compares, for whom, in how many queries."""

import csv
import re
from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine
from django.core.cache import caches
from django.db import connection
from django.http import HttpRequest
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from config import change_list
from config.admin_site import Badge
from monitoring import dashboard
from monitoring.dashboard import Scope
from monitoring.freshness import is_fresh
from monitoring.models import ListingWatch, PollRun
from tests.factories import NOW, ChannelFactory, CredentialFactory, SkuFactory, UserFactory
from tests.monitoring.watching import miss, observe, watched
from tests.staff import member

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def scope(user=None, **fields):
    user = user or UserFactory(is_superuser=True)
    return Scope(user, NOW, list(user.channels.all()) or list(ChannelFactory._meta.model.objects.all()), **fields)


def moved(what="price", **kwargs):
    return [(move.was, move.now) for move in dashboard.top_moves(scope(), what, **kwargs)]


def test_a_price_is_compared_with_the_one_in_force_when_the_period_began():
    listing = watched()
    observe(listing, 3 * DAY, list_price=Decimal(100))
    observe(listing, 20 * HOUR, list_price=Decimal(90))
    observe(listing, 2 * HOUR, list_price=Decimal(80))
    assert moved() == [(100, 80)]


@pytest.mark.parametrize(
    "readings",
    [
        pytest.param([(72, 100)], id="nothing new"),
        pytest.param([(72, 100), (5, 80), (2, 100)], id="back where it was"),
        pytest.param([(5, 100)], id="first reading"),
        pytest.param([(72, 100), (5, None)], id="not supplied any more"),
        pytest.param([(72, None), (5, 100)], id="not known before"),
        pytest.param([(72, 100), (40, "gap"), (5, 80)], id="read again after a gap that covers the start"),
    ],
)
def test_what_is_no_move(readings):
    listing = watched()
    for hours, price in readings:
        if price == "gap":
            miss(listing, hours * HOUR)
        else:
            observe(listing, hours * HOUR, list_price=None if price is None else Decimal(price), stock=1)
    assert moved() == []


def test_a_gap_within_the_period_does_not_hide_a_move():
    listing = watched()
    observe(listing, 72 * HOUR, list_price=Decimal(100))
    miss(listing, 10 * HOUR)
    observe(listing, 5 * HOUR, list_price=Decimal(80))
    assert moved() == [(100, 80)]


def test_after_a_gap_at_the_start_the_first_known_price_counts():
    listing = watched()
    observe(listing, 72 * HOUR, list_price=Decimal(100))
    miss(listing, 40 * HOUR)
    observe(listing, 10 * HOUR, list_price=Decimal(90))
    observe(listing, 5 * HOUR, list_price=Decimal(80))
    assert moved() == [(90, 80)]


def test_live_and_list_price_are_never_mixed_up():
    listing = watched()
    observe(listing, 72 * HOUR, list_price=Decimal(100))
    observe(listing, 5 * HOUR, list_price=Decimal(100), live_price=Decimal(60))
    assert moved() == []
    other = watched()
    observe(other, 72 * HOUR, list_price=Decimal(100), live_price=Decimal(60))
    observe(other, 5 * HOUR, list_price=Decimal(50), live_price=Decimal(63))
    assert moved() == [(60, 63)]


def test_a_blind_listing_has_no_present_price_to_compare():
    listing = watched(read=3 * HOUR)
    observe(listing, 72 * HOUR, list_price=Decimal(100))
    observe(listing, 5 * HOUR, list_price=Decimal(80))
    assert moved() == []


def test_the_largest_moves_come_first_and_exactly():
    for old, new in ((100, "99.99"), (100, 150), (100, 20), (3, "2.9997")):
        listing = watched()
        observe(listing, 72 * HOUR, list_price=Decimal(old))
        observe(listing, 5 * HOUR, list_price=Decimal(new))
    moves = dashboard.top_moves(scope(), "price", limit=3)
    assert [move.text for move in moves] == ["▼ 80.0%", "▲ 50.0%", "▼ <0.1%"]
    assert moves[2].ratio == Decimal("-0.0001")
    assert dashboard.price_changes(scope()) == dashboard.PriceChanges(up=1, down=3)


def test_a_price_of_whole_yuan_moves_by_its_share_not_by_whole_numbers():
    listing = watched()
    observe(listing, 72 * HOUR, list_price=Decimal(268))
    observe(listing, 5 * HOUR, list_price=Decimal(239))
    assert moved() == [(268, 239)]


def test_all_moves_of_a_dashboard_are_looked_up_once(django_assert_num_queries):
    for old, new in ((100, 99), (100, 150), (100, 20)):
        listing = watched()
        observe(listing, 72 * HOUR, list_price=Decimal(old), stock=old)
        observe(listing, 5 * HOUR, list_price=Decimal(new), stock=new)
    board = scope()
    with django_assert_num_queries(3):  # the moves, and the listings of the largest of each
        assert dashboard.price_changes(board).total == 3
        assert len(dashboard.top_moves(board, "price")) == len(dashboard.top_moves(board, "stock")) == 3


def test_stock_moves_are_counted_in_units():
    for old, new in ((7, 0), (0, 50), (5, 5), (None, 9)):
        listing = watched()
        observe(listing, 72 * HOUR, stock=old)
        observe(listing, 5 * HOUR, stock=new, list_price=Decimal(1))
    moves = dashboard.top_moves(scope(), "stock")
    assert [(move.was, move.now, move.difference) for move in moves] == [(0, 50, 50), (7, 0, -7)]


def test_a_longer_period_looks_further_back():
    listing = watched()
    observe(listing, 9 * DAY, list_price=Decimal(100))
    observe(listing, 3 * DAY, list_price=Decimal(80))
    assert moved() == []
    assert [(move.was, move.now) for move in dashboard.top_moves(scope(period="7d"), "price")] == [(100, 80)]


def test_channels_count_what_was_read_and_what_is_blind():
    channel = ChannelFactory()
    watched(channel=channel, read=timedelta(minutes=2))
    watched(channel=channel, read=timedelta(minutes=50))
    watched(channel=channel, read=None)
    paused = watched(channel=channel, read=5 * HOUR)
    ListingWatch.objects.filter(listing=paused).update(is_paused=True)
    watched(channel=channel, read=5 * HOUR, removed_at=NOW)
    [row] = dashboard.channel_rows(scope(), {})
    assert (row.watched, row.recent, row.blind) == (3, 2, 2)
    assert row.oldest == NOW - 100 * DAY
    assert row.needs_attention


@pytest.mark.parametrize(
    ("outcome", "is_counted"), [("", False), ("missing", True), ("refused", True), ("failed", True)]
)
def test_a_new_listing_counts_as_not_read_as_soon_as_it_was_tried_in_vain(outcome, is_counted):
    listing = watched(read=None)
    type(listing).objects.update(created_at=NOW - timedelta(minutes=1))
    ListingWatch.objects.update(outcome=outcome)
    [row] = dashboard.channel_rows(scope(), {})
    assert (row.watched, row.recent, row.blind) == (1, 0, int(is_counted))
    assert dashboard.not_read(scope().listings(), NOW).count() == row.blind


def test_a_failed_attempt_leaves_a_recent_reading_good():
    watched()
    ListingWatch.objects.update(outcome="failed")
    assert dashboard.channel_rows(scope(), {})[0].blind == 0


def test_the_limit_of_three_intervals_is_exact_and_each_listing_has_its_own():
    exact = watched(read=timedelta(seconds=900))
    late = watched(read=timedelta(seconds=901))
    slow = watched(read=timedelta(seconds=901))
    ListingWatch.objects.filter(listing=slow).update(interval_seconds=600)
    listings = type(exact).objects.all()
    assert list(dashboard.not_read(listings, NOW)) == [late]
    assert set(dashboard.known_now(listings, NOW)) == {exact, slow}


@pytest.mark.parametrize(("ahead", "is_known"), [(60, True), (61, False)])
def test_a_reading_from_the_future_beyond_the_skew_of_clocks_is_none(ahead, is_known):
    listing = watched(read=timedelta(seconds=-ahead))
    listings = type(listing).objects.select_related("channel", "watch")
    assert is_fresh(listings.get(), NOW) is is_known
    assert list(dashboard.known_now(listings, NOW)) == ([listing] if is_known else [])
    assert list(dashboard.not_read(listings, NOW)) == ([] if is_known else [listing])


def test_sold_out_counts_only_what_is_known_now():
    for read in (timedelta(minutes=1), 3 * HOUR):
        observe(watched(read=read), 2 * DAY, stock=0, shelf_state="sold_out")
    assert dashboard.sold_out(scope().listings(), NOW).count() == 1


@pytest.mark.parametrize("stopped", ["listing", "channel"])
def test_the_figures_leave_out_what_is_not_watched_any_more(stopped):
    listing = watched()
    observe(listing, 2 * DAY, list_price=Decimal(100), stock=5)
    observe(listing, 5 * HOUR, list_price=Decimal(80), stock=0, shelf_state="sold_out")
    assert (dashboard.sold_out(scope().listings(), NOW).count(), dashboard.price_changes(scope()).total) == (1, 1)
    if stopped == "listing":
        ListingWatch.objects.update(is_paused=True)
    else:
        ChannelFactory._meta.model.objects.update(is_watched=False)
    assert (dashboard.sold_out(scope().listings(), NOW).count(), dashboard.price_changes(scope()).total) == (0, 0)


def test_a_channel_needs_somebody_when_its_connection_does(monkeypatch):
    channel, calm = ChannelFactory(), ChannelFactory()
    states = [
        lambda request, channels, now: {
            channel.pk: Badge("warning", "token ends in 3 d"),
            calm.pk: Badge("ok", "connected"),
        },
        lambda request, channels, now: {channel.pk: Badge("critical", "re-authorise")},
    ]
    monkeypatch.setattr(dashboard, "channel_states", states)
    badges = dashboard.badges_of(HttpRequest(), [channel, calm], NOW)
    assert {pk: badge.severity for pk, badge in badges.items()} == {channel.pk: "critical", calm.pk: "ok"}
    rows = dashboard.channel_rows(scope(), badges)
    assert [row.channel for row in rows if row.needs_attention] == [channel]


# --- The pages


@pytest.fixture
def at_now():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def owner(client, at_now):
    client.force_login(UserFactory(is_superuser=True))
    return client


def busy_listing(**fields):
    listing = watched(**fields)
    observe(listing, 72 * HOUR, list_price=Decimal(100), stock=5)
    observe(listing, 5 * HOUR, list_price=Decimal(80), stock=9)
    return listing


def queries(client, url):
    """The fewer of two views: what is remembered for a while is asked for again now and then."""
    counts = []
    for _view in range(2):
        with CaptureQueriesContext(connection) as captured:
            assert client.get(url).status_code == 200
        counts.append(len(captured))
    return min(counts)


@pytest.mark.parametrize(
    "name", ["admin:index", "admin:catalog_listing_changelist", "admin:monitoring_pollrun_changelist"]
)
def test_a_page_asks_the_same_of_many_listings_as_of_few(owner, name):
    channel = ChannelFactory()
    for _n in range(5):
        busy_listing(channel=channel)
    few = queries(owner, reverse(name))
    for _n in range(45):
        busy_listing(channel=channel)
    assert queries(owner, reverse(name)) == few


def test_the_figures_of_the_dashboard_take_at_most_twelve_queries(owner, rf, django_assert_max_num_queries):
    busy_listing()
    request = rf.get("/")
    request.user = UserFactory(is_superuser=True)
    with django_assert_max_num_queries(12):
        board = dashboard.dashboard_of(request, NOW)
        assert board.rows
        assert board.oldest
        assert board.price_changes.total == len(board.price_moves) == len(board.stock_moves) == 1
        assert board.sold_out == 0


def test_the_dashboard_shows_the_moves_and_leads_to_the_lists(owner):
    listing = busy_listing(title="折叠露营椅")
    page = owner.get(reverse("admin:index")).content.decode()
    assert "折叠露营椅" in page
    assert "▼ −20.0%" in page
    assert "5 → 9" in page
    assert "tab=not-read" in page
    assert reverse("admin:catalog_listing_change", args=[listing.pk]) in page
    assert "style=" not in page.split('id="content"')[1]


def test_moves_of_variants_of_one_item_are_told_apart(owner):
    channel = ChannelFactory(name="山野小铺", platform="taobao")
    item = {"title": "折叠椅", "channel": channel, "platform_item_id": "801"}
    mapped = busy_listing(**item, platform_sku_id="1", sku=SkuFactory(code="CH-RED"))
    unmapped = busy_listing(**item, platform_sku_id="2002")
    page = owner.get(reverse("admin:index")).text
    rows = re.findall(r"<(?:li|tr)>.*?</(?:li|tr)>", page)
    for listing, code in ((mapped, "CH-RED"), (unmapped, "2002")):
        address = reverse("admin:catalog_listing_change", args=[listing.pk])
        found = [row for row in rows if f'"{address}"' in row]
        assert len(found) == 3, "a bar, a row of the table behind it, and a stock"
        for part in found:
            assert code in part
            assert '<abbr class="mark" title="Taobao / Tmall">TB</abbr>' in part


def test_the_dashboard_of_one_channel_shows_nothing_of_the_others(owner):
    busy_listing(title="露营灯")
    other = busy_listing(title="保温杯")
    page = owner.get(reverse("admin:index"), {"channel": other.channel_id}).content.decode()
    assert "保温杯" in page
    assert "露营灯" not in page


def test_members_see_only_their_channels(client, at_now):
    mine, foreign = busy_listing(title="露营灯"), busy_listing(title="保温杯")
    client.force_login(member("Viewer", mine.channel))
    for url in (
        reverse("admin:index"),
        reverse("admin:index", query={"channel": foreign.channel_id}),
        reverse("admin:catalog_listing_changelist", query={"tab": "changed"}),
    ):
        page = client.get(url).content.decode()
        assert "露营灯" in page
        assert "保温杯" not in page
        assert foreign.channel.name not in page
    moves = b"".join(client.get(reverse("watch:moves-csv", args=["price"])).streaming_content).decode()
    assert "露营灯" in moves
    assert "保温杯" not in moves


@pytest.mark.parametrize("tab", ["not-read", "sold-out", "changed"])
def test_each_saved_view_holds_what_the_figure_counted(owner, tab):
    watched(read=3 * HOUR, title="not-read")
    observe(watched(title="sold-out"), 2 * DAY, stock=0, shelf_state="sold_out")
    busy_listing(title="changed")
    page = owner.get(reverse("admin:catalog_listing_changelist"), {"tab": tab})
    assert [listing.title for listing in page.context["cl"].result_list] == [tab]


def test_counts_of_saved_views_that_are_dear_are_remembered_for_a_minute(owner, monkeypatch):
    monkeypatch.setattr(change_list, "_DEAR_SECONDS", -1)
    address = reverse("admin:catalog_listing_changelist")

    def counts(**query):
        tabs = owner.get(address, query).context["cl"].tabs
        return {tab["url"].removeprefix("?tab="): tab["count"] for tab in tabs}

    busy_listing()
    assert counts()["changed"] == 1
    busy_listing()
    assert (counts()["?"], counts()["changed"]) == (2, 1)
    assert counts(tab="changed")["changed"] == 2, "the one that is open is counted"
    # The cache measures by the clock of the process.
    caches["process"].clear()
    assert counts()["changed"] == 2


def test_the_list_of_channels_counts_the_wait_of_a_listing_that_was_never_read(owner):
    channel = watched(read=timedelta(minutes=1)).channel
    watched(read=None, channel=channel)
    [row] = owner.get(reverse("admin:catalog_channel_changelist")).context["cl"].result_list
    assert row.oldest_read_at == NOW - 100 * DAY


def test_the_list_shows_no_old_value_as_the_present_one(owner):
    listing = busy_listing()
    ListingWatch.objects.filter(listing=listing).update(read_at=NOW - 3 * HOUR, cause="forbidden")
    page = owner.get(reverse("admin:catalog_listing_changelist")).content.decode()
    assert "¥80.00" not in page
    assert "access refused" in page
    assert "blind for 3 h" in page


@pytest.mark.parametrize("page", ["product", "sku"])
def test_the_pages_of_products_and_skus_show_no_old_value_as_the_present_one(owner, page):
    sku = SkuFactory()
    listing = busy_listing(sku=sku)
    url = reverse(f"admin:catalog_{page}_change", args=[sku.product_id if page == "product" else sku.pk])
    assert "¥80.00" in owner.get(url).text
    ListingWatch.objects.filter(listing=listing).update(read_at=NOW - 3 * HOUR)
    shown = owner.get(url).text
    assert "¥80.00" not in shown
    assert "not read" in shown


@pytest.mark.parametrize(
    ("read", "text"),
    [(timedelta(minutes=50), "50 min"), (17 * HOUR + timedelta(minutes=5), "17 h"), (2 * DAY + 20 * HOUR, "2 d")],
)
def test_a_narrow_column_says_in_one_unit_how_long_a_listing_is_blind(owner, read, text):
    watched(read=read)
    page = owner.get(reverse("admin:catalog_listing_changelist")).text
    assert f"blind for {text}</small>" in page


def test_the_channels_that_need_somebody_are_a_saved_view(owner):
    watched(channel=ChannelFactory(name="seen"))
    blind = watched(read=3 * HOUR, channel=ChannelFactory(name="blind")).channel
    address = reverse("admin:catalog_channel_changelist")
    # A channel without a credential needs somebody as well, so both are connected here.
    for channel in ChannelFactory._meta.model.objects.all():
        CredentialFactory(channel=channel)
    found = owner.get(address, {"tab": "attention"}).context["cl"].result_list
    assert [channel.pk for channel in found] == [blind.pk]
    assert f"{address}?tab=attention" in owner.get("/").text
    assert "<small>1 listing not read</small>" in owner.get(address, {"tab": "attention"}).text


def test_what_was_read_in_the_last_hour_is_a_saved_view_that_only_its_figure_leads_to(owner):
    recent = watched(title="recent")
    watched(read=3 * HOUR, title="old")
    address = reverse("admin:catalog_listing_changelist")
    assert "tab=read-last-hour" not in owner.get(address).text
    assert f"{address}?tab=read-last-hour" in owner.get("/").text
    page = owner.get(address, {"tab": "read-last-hour"})
    assert [listing.pk for listing in page.context["cl"].result_list] == [recent.pk]
    assert [str(tab["label"]) for tab in page.context["cl"].tabs if tab["is_current"]] == ["Read, last hour"]


def test_the_price_changes_of_a_week_are_a_saved_view_of_the_picked_channel(owner):
    listing, other = watched(), watched()
    for each in (listing, other):
        observe(each, 9 * DAY, list_price=Decimal(100))
        observe(each, 3 * DAY, list_price=Decimal(80))
    query = f"?tab=changed-7d&amp;channel__id__exact={listing.channel_id}"
    assert query in owner.get("/", {"period": "7d", "channel": listing.channel_id}).text
    address = reverse("admin:catalog_listing_changelist")
    page = owner.get(f"{address}{query.replace('&amp;', '&')}")
    assert [each.pk for each in page.context["cl"].result_list] == [listing.pk]
    assert owner.get(address, {"tab": "changed"}).context["cl"].result_count == 0


def test_a_row_without_figures_tells_the_reason_once(owner):
    watched(read=None)
    ListingWatch.objects.update(outcome="missing", cause="unknown-listing")
    page = owner.get(reverse("admin:catalog_listing_changelist"), {"tab": "not-read"}).text
    dash = '<span class="unknown" title="not known to the platform">—</span>'
    assert page.count(dash) == 3
    assert page.count(">id not known</small>") == 1


def test_a_competitors_listing_says_so_wherever_it_is_listed(owner):
    sku = SkuFactory(code="LAMP-01")
    own = watched(title="露营灯", sku=sku)
    rival = watched(title="露营灯", sku=sku, ownership="competitor")
    line = f"{rival.channel} · competitor · "
    own_page = reverse("admin:catalog_listing_change", args=[own.pk])
    assert f"{line}LAMP-01" in owner.get(reverse("admin:catalog_listing_changelist")).text
    assert f"{line}LAMP-01" in owner.get(reverse("admin:search"), {"q": "露营灯"}).text
    assert f"LAMP-01 · {line.removesuffix(' · ')}<" in owner.get(own_page).text
    assert f"{line}{rival.platform_id}" in owner.get(reverse("admin:catalog_sku_change", args=[sku.pk])).text
    beside_rival = owner.get(reverse("admin:catalog_listing_change", args=[rival.pk])).text
    assert f"LAMP-01 · {own.channel}<" in beside_rival, "one's own needs no word"


def test_the_list_draws_the_week_of_each_listing(owner):
    busy_listing()
    page = owner.get(reverse("admin:catalog_listing_changelist")).content.decode()
    assert '<svg class="spark"' in page
    assert "▼ 20.0%" in page


@pytest.mark.parametrize(("what", "change"), [("price", "-20.00"), ("stock", "4")])
def test_all_moves_as_a_file(owner, what, change):
    busy_listing(title="=cmd()")
    response = owner.get(reverse("watch:moves-csv", args=[what]))
    [row] = csv.DictReader(b"".join(response.streaming_content).decode().splitlines())
    assert row["change"] == change
    assert row["title"] == "'=cmd()"


def test_readings_are_listed_and_cannot_be_changed(owner):
    listing = watched()
    run = listing.channel.poll_runs.create(
        started_at=NOW - HOUR,
        finished_at=NOW - HOUR + timedelta(seconds=12),
        changed_count=1,
        **PollRun.outcomes(read=[listing.pk], missing=[], failed=[]),
    )
    page = owner.get(reverse("admin:monitoring_pollrun_changelist")).content.decode()
    assert "12 s" in page
    assert owner.get(reverse("admin:monitoring_pollrun_add")).status_code == 403
    assert owner.post(reverse("admin:monitoring_pollrun_delete", args=[run.pk])).status_code == 403


def test_a_pass_that_tried_nothing_is_not_listed(owner):
    channel = ChannelFactory()
    channel.poll_runs.create(started_at=NOW - HOUR, finished_at=NOW - HOUR)
    tried = channel.poll_runs.create(started_at=NOW - HOUR, finished_at=NOW, kind="requested", failed_count=1)
    under_way = channel.poll_runs.create(started_at=NOW)
    page = owner.get(reverse("admin:monitoring_pollrun_changelist"))
    assert list(page.context["cl"].result_list) == [under_way, tried]


def test_readings_are_not_counted_as_a_whole(owner):
    with CaptureQueriesContext(connection) as captured:
        owner.get(reverse("admin:monitoring_pollrun_changelist"))
    counts = [query["sql"] for query in captured if "COUNT(" in query["sql"] and "pollrun" in query["sql"]]
    assert all("LIMIT 1000" in sql for sql in counts)
