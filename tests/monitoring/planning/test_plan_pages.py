"""Days of cover, classes and health as pages and files: what they show, to whom, and how many queries they take."""

from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from catalog.models import AuditEvent
from monitoring.plan_pages.health import groups, weights_of
from monitoring.plan_pages.heat import level_of
from monitoring.plan_pages.scope import PlanScope
from tests.factories import (
    NOW,
    DemandHistoryFactory,
    ListingFactory,
    ProductFactory,
    SkuFactory,
    SkuPlanFactory,
    SupplierFactory,
    UserFactory,
    WarehouseFactory,
)
from tests.monitoring.watching import miss, observe, watched
from tests.staff import member

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
PAGES = ("heat", "classes", "list", "health")
FILES = ("heat-csv", "list-csv", "health-csv")


@pytest.fixture(autouse=True)
def _now():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def boss(client):
    user = UserFactory(is_superuser=True, is_staff=True)
    client.force_login(user)
    return user


def get(client, name, **query):
    answer = client.get(reverse(f"planning:{name}"), query)
    assert answer.status_code == 200
    return answer


def lines(client, name, **query):
    answer = get(client, name, **query)
    return [line.split(",") for line in answer.getvalue().decode().splitlines()[1:]]


def listed(client, **query):
    return [row.plan.pk for row in get(client, "list", **query).context["rows"]]


# --- Days of cover --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "level"),
    [(-3, 0), (0, 0), (0.5, 1), (6.9, 1), (7, 2), (13.9, 2), (14, 3), (29.9, 3), (30, 4), (60, 5), (119, 5), (120, 6)],
)
def test_each_stretch_of_cover_has_its_colour(days, level):
    assert level_of(days) == level


def test_the_sku_that_is_short_anywhere_comes_first(client, boss):
    north, south = WarehouseFactory(name="North", position=1), WarehouseFactory(name="South", position=2)
    calm, short, unknown = (SkuFactory(code=code) for code in ("CALM", "SHORT", "DARK"))
    for sku, warehouse, days in ((calm, north, 40), (calm, south, 41), (short, north, 200), (short, south, 0.4)):
        SkuPlanFactory(sku=sku, warehouse=warehouse, cover_days=days)
    SkuPlanFactory(sku=unknown, warehouse=north, cover_days=None, status="cannot-tell")
    heat = get(client, "heat").context["heat"]
    assert [row.sku.code for row in heat.rows] == ["SHORT", "CALM", "DARK"]
    assert [[(cell.text, cell.level) for cell in row.cells] for row in heat.rows] == [
        [("200", 6), ("<1", 1)],
        [("40", 4), ("41", 4)],
        [("—", None), ("—", None)],
    ]
    assert client.get(heat.rows[0].cells[1].url).status_code == 200
    # What cannot be told says so; what is not stocked here leads nowhere.
    assert [(cell.line, bool(cell.url)) for cell in heat.rows[2].cells] == [("cannot tell", True), ("", False)]


def test_pages_of_days_of_cover_follow_each_other(client, boss):
    warehouse, product = WarehouseFactory(), ProductFactory()
    for days in range(53):
        SkuPlanFactory(sku=SkuFactory(product=product), warehouse=warehouse, cover_days=days)
    seen = [row.cells[0].text for page in (1, 2) for row in get(client, "heat", page=page).context["heat"].rows]
    assert seen == [str(days) for days in range(53)]


# --- Classes --------------------------------------------------------------------------------------------------------


def plan(**fields):
    return SkuPlanFactory(**{"last_sold_on": NOW.date(), "currency": "CNY", **fields})


def test_each_cell_of_the_matrix_leads_to_its_plans(client, boss):
    steady = plan(abc="A", xyz="X", stock_value=Decimal(100))
    wild = plan(abc="A", xyz="Z", stock_value=Decimal(40))
    plain = plan(stock_value=None)
    page = get(client, "classes")
    rows = {row.name: row for row in page.context["matrix"]}
    assert set(rows) == {"A", "none"}
    counts = {name: [cell.part.plans for cell in row.cells] for name, row in rows.items()}
    assert counts == {"A": [1, 0, 1, 0], "none": [0, 0, 0, 1]}
    assert rows["A"].part.amounts == "¥140.00"
    for cell, wanted in ((rows["A"].cells[0], steady), (rows["A"].cells[2], wild), (rows["none"].cells[3], plain)):
        assert [row.plan.pk for row in client.get(cell.url).context["rows"]] == [wanted.pk]
    assert "1 have stock of unknown cost" in page.text


def test_turnover_is_weighed_by_the_value_of_one_currency(client, boss):
    # Of the mean stock at cost, 300 and 100: what is there now may be all or nothing of it.
    plan(sku=SkuFactory(cost_price=Decimal(10)), abc="A", turns=6.0, mean_stock=30.0, stock_value=Decimal(0))
    plan(sku=SkuFactory(cost_price=Decimal(5)), abc="A", turns=2.0, mean_stock=20.0, stock_value=Decimal(900))
    plan(sku=SkuFactory(cost_price=Decimal(5)), abc="A", turns=None, stock_value=Decimal(999))
    plan(sku=SkuFactory(cost_price=None), abc="A", turns=1.0, mean_stock=5.0)
    assert get(client, "classes").context["found"].total.turns == pytest.approx(5.0)
    plan(sku=SkuFactory(cost_price=Decimal(5)), abc="A", turns=9.0, mean_stock=20.0, currency="USD")
    found = get(client, "classes").context["found"]
    assert found.total.turns is None
    assert found.total.amounts == "¥1,899.00"


@pytest.mark.parametrize(
    ("fields", "known_days", "is_dead"),
    [
        pytest.param({"last_sold_on": NOW.date() - 90 * DAY}, 400, False, id="sold 90 days ago"),
        pytest.param({"last_sold_on": NOW.date() - 91 * DAY}, 400, True, id="sold before"),
        pytest.param({"last_sold_on": NOW.date() - 91 * DAY, "on_hand": 0}, 400, False, id="nothing left"),
        pytest.param({"last_sold_on": None}, 90, True, id="never sold in 90 days"),
        pytest.param({"last_sold_on": None}, 89, False, id="watched for less"),
        pytest.param({"last_sold_on": None}, None, False, id="without a history"),
        pytest.param({"last_sold_on": NOW.date() - 91 * DAY, "on_hand": None}, 400, False, id="never counted"),
    ],
)
def test_dead_is_what_lies_there_unsold_for_90_days(client, boss, fields, known_days, is_dead):
    found = plan(**fields)
    if known_days is not None:
        DemandHistoryFactory(
            sku=found.sku, warehouse=found.warehouse, first_day=NOW.date() - known_days * DAY, last_day=NOW.date()
        )
    assert listed(client, stock="dead") == ([found.pk] if is_dead else [])
    assert get(client, "classes").context["found"].dead.plans == is_dead


@pytest.mark.parametrize(
    ("cover", "lead", "is_excess"),
    [(81.0, 14.0, False), (81.1, 14.0, True), (None, 14.0, False), (500.0, None, False)],
)
def test_too_much_is_what_lasts_longer_than_lead_time_review_and_60_days(client, boss, cover, lead, is_excess):
    found = plan(cover_days=cover, lead_time_days=lead, review_days=7)
    assert listed(client, stock="excess") == ([found.pk] if is_excess else [])
    assert get(client, "classes").context["found"].excess.plans == is_excess


def test_what_the_stock_cost_is_told_to_those_who_may_see_costs(client):
    found = plan(abc="A", stock_value=Decimal("1234.5"))
    channel = ListingFactory(sku=found.sku).channel
    client.force_login(member("Viewer", channel))
    for name in ("classes", "list"):
        assert "1,234.50" not in get(client, name).text
    assert "1234.5" not in str(lines(client, "list-csv"))
    client.force_login(member("Manager"))
    for name in ("classes", "list"):
        assert "1,234.50" in get(client, name).text
    assert "1234.5" in str(lines(client, "list-csv"))


# --- Health ---------------------------------------------------------------------------------------------------------


def test_a_part_that_is_not_known_leaves_its_weight_to_the_others():
    assert weights_of({"availability": 0.9, "cover": 1.0, "turnover": None, "freshness": 0.9}) == {
        "availability": pytest.approx(0.4375),
        "cover": pytest.approx(0.3125),
        "turnover": None,
        "freshness": pytest.approx(0.25),
    }


def test_a_group_has_the_mean_of_each_part_and_the_score_of_the_known_ones():
    warehouse = WarehouseFactory(name="North")
    parts = ({"availability": 0.8, "cover": 1, "freshness": 1}, {"availability": 1, "cover": None, "freshness": 0})
    for part, value in zip(parts, (300, 100), strict=True):
        plan(warehouse=warehouse, health_parts=part, stock_value=value)
    [group] = groups(PlanScope(UserFactory(is_superuser=True), {}), "warehouse")
    assert group.parts == {"availability": pytest.approx(0.9), "cover": 1, "turnover": None, "freshness": 0.75}
    assert (group.name, group.plans) == ("North", 2)
    assert group.score == pytest.approx(100 * (0.35 * 0.9 + 0.25 + 0.2 * 0.75) / 0.8)


def test_freshness_is_left_out_where_values_do_not_add_up():
    warehouse = WarehouseFactory()
    for currency in ("CNY", "USD"):
        plan(warehouse=warehouse, health_parts={"freshness": 1}, stock_value=100, currency=currency)
    [group] = groups(PlanScope(UserFactory(is_superuser=True), {}), "warehouse")
    assert (group.parts["freshness"], group.score) == (None, None)


def test_the_least_healthy_comes_first_and_the_unknown_last(client, boss):
    for brand, part in (("Good", 1.0), ("Bad", 0.2), ("Dark", None)):
        plan(sku__product__brand=brand, health_parts={"cover": part})
    page = get(client, "health", by="brand")
    assert [(row.group.name, row.score) for row in page.context["rows"]] == [
        ("Bad", "20.0"),
        ("Good", "100.0"),
        ("Dark", "—"),
    ]
    [(part, line), *_rest] = page.context["rows"][0].parts
    assert (part, line) == ("—", "left out")
    behind = client.get(page.context["rows"][0].url).context["rows"]
    assert [row.plan.sku.product.brand for row in behind] == ["Bad"]


def test_there_is_no_health_of_something_else(client, boss):
    assert client.get(reverse("planning:health"), {"by": "password"}).status_code == 404


# --- All of them ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["warehouse", "brand", "supplier", "abc"])
def test_every_page_and_file_is_narrowed_by_the_filters(client, boss, field):
    wanted = plan(abc="B", supplier=SupplierFactory(), sku__product__brand="Acme", sku__code="WANTED")
    plan(abc="A", supplier=SupplierFactory(), sku__product__brand="Other", sku__code="OTHER")
    value = {
        "warehouse": wanted.warehouse_id,
        "brand": "Acme",
        "supplier": wanted.supplier_id,
        "abc": "B",
    }[field]
    assert [row.sku.code for row in get(client, "heat", **{field: value}).context["heat"].rows] == ["WANTED"]
    assert get(client, "classes", **{field: value}).context["found"].total.plans == 1
    assert listed(client, **{field: value}) == [wanted.pk]
    assert [row.group.plans for row in get(client, "health", **{field: value}).context["rows"]] == [1]
    for name in FILES:
        assert len(lines(client, name, **{field: value})) == 1


@pytest.mark.parametrize("name", [*PAGES, "what-if"])
def test_the_search_of_the_site_stays_empty_when_a_page_is_narrowed(client, boss, name):
    supplier = SupplierFactory()
    plan(supplier=supplier)
    text = get(client, name, supplier=supplier.pk, page=1).text
    assert (
        text.count('name="q"') == text.count('name="q" id="site-search" value=""') + text.count('name="q" value=""') > 0
    )


@pytest.mark.parametrize(
    "query", [{"warehouse": "x"}, {"warehouse": 999_999}, {"brand": "No such"}, {"abc": "Q"}, {"supplier": "'"}]
)
def test_a_filter_that_there_is_not_shows_nothing_and_says_so(client, boss, query):
    plan()
    for name in PAGES:
        page = get(client, name, **query)
        assert "errornote" in page.text
        assert "No plans match these filters" in page.text


@pytest.mark.parametrize("query", [{"stock": "x"}, {"xyz": "Q"}, {"sku": "x"}])
def test_a_list_that_there_is_not_is_empty(client, boss, query):
    plan()
    assert listed(client, **query) == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_without_plans_says_what_fills_it(client, boss, name):
    assert "Nothing is planned yet" in get(client, name).text


@pytest.mark.parametrize("name", [*PAGES, *FILES])
def test_each_person_sees_the_skus_of_their_channels_alone(client, name):
    own = plan(sku__code="MINE", sku__product__brand="Mine")
    ListingFactory(sku=plan(sku__code="THEIRS", sku__product__brand="Theirs").sku)
    client.force_login(member("Viewer", ListingFactory(sku=own.sku).channel))
    answer = get(client, name)
    text = answer.getvalue().decode() if name in FILES else answer.text
    assert "THEIRS" not in text
    assert "Theirs" not in text
    if name == "health-csv":
        assert len(text.splitlines()) == 2
    elif name in ("heat", "list", *FILES):
        assert "MINE" in text


@pytest.mark.parametrize("name", [*PAGES, *FILES])
def test_who_may_not_see_plans_is_refused(client, name):
    client.force_login(UserFactory(is_staff=True))
    assert client.get(reverse(f"planning:{name}")).status_code == 403


@pytest.mark.parametrize("name", PAGES)
def test_a_page_takes_the_same_queries_for_many_as_for_few(client, boss, name):
    counts = []
    for number in (1, 12):
        for each in range(number):
            plan(abc="ABC"[each % 3], sku__product__brand=f"Brand {each}", stock_value=each, supplier=SupplierFactory())
        get(client, name)
        with CaptureQueriesContext(connection) as captured:
            get(client, name)
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 20


@pytest.mark.parametrize("name", FILES)
def test_who_took_a_file_is_logged_and_its_cells_are_harmless(client, boss, name):
    plan(sku__code="=1+1", sku__product__brand="=2+2", warehouse__name="=3+3")
    rows = lines(client, name)
    assert not [cell for row in rows for cell in row if cell.startswith("=")]
    event = AuditEvent.objects.get(action="exported")
    assert (event.actor, event.object_id) == (boss, str(boss.pk))


# --- Prices ---------------------------------------------------------------------------------------------------------


def test_the_three_measures_of_a_price_come_from_its_days(client, boss):
    listing = watched(read=timedelta(minutes=1))
    for days, price in enumerate(("10.2", "11", "10", "10.5", "10")):
        observe(listing, days * DAY + timedelta(hours=1), live_price=Decimal(price))
    [row] = get(client, "prices").context["rows"]
    mover = row.mover
    assert (mover.is_live, mover.days) == (True, 5)
    assert (mover.variation, mover.change, mover.range_share) == (
        pytest.approx(0.040803, abs=1e-6),
        pytest.approx(0.080516, abs=1e-6),
        pytest.approx(0.096712, abs=1e-6),
    )
    assert row.figures == ["4.1%", "8.1%", "9.7%"]
    assert lines(client, "prices-csv")[0][3:] == ["live", "5", "0.040803", "0.080516", "0.096712", "CNY"]


def test_days_that_were_not_read_have_no_price(client, boss):
    listing = watched(read=timedelta(minutes=1))
    observe(listing, 9 * DAY, list_price=Decimal(10))
    miss(listing, 8 * DAY - timedelta(hours=1))
    observe(listing, timedelta(hours=1), list_price=Decimal(12))
    [row] = get(client, "prices").context["rows"]
    # What was in force at the end of the day before the gap began, and now.
    assert (row.mover.is_live, row.mover.days) == (False, 2)


def test_one_price_is_not_said_to_be_steady(client, boss):
    observe(watched(read=timedelta(minutes=1)), timedelta(hours=1), list_price=Decimal(10))
    [row] = get(client, "prices").context["rows"]
    assert row.figures == ["—", "—", "—"]


def test_prices_of_the_channels_of_others_are_not_shown(client):
    own, other = watched(read=timedelta(minutes=1)), watched(read=timedelta(minutes=1))
    for listing in (own, other):
        observe(listing, timedelta(hours=1), list_price=Decimal(10))
    client.force_login(member("Viewer", own.channel))
    assert [row.mover.listing for row in get(client, "prices").context["rows"]] == [own]
    page = get(client, "prices", channel=other.channel_id)
    assert page.context["rows"] == []
    assert client.get(reverse("planning:prices-csv"), {"channel": other.channel_id}).status_code == 404


def test_prices_take_the_same_queries_for_many_as_for_few(client, boss):
    first = watched(read=timedelta(minutes=1))
    counts = []
    for number in (1, 8):
        for _each in range(number):
            observe(watched(read=timedelta(minutes=1), channel=first.channel), timedelta(hours=1), list_price=10)
        get(client, "prices")
        with CaptureQueriesContext(connection) as captured:
            get(client, "prices")
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 20


def test_prices_are_narrowed_by_what_their_skus_are(client, boss):
    north, supplier = WarehouseFactory(), SupplierFactory()
    sku = SkuFactory(product=ProductFactory(brand="Nuanju"), supplier=supplier)
    plan(sku=sku, warehouse=north, supplier=supplier, abc="A")
    mine = watched(read=timedelta(minutes=1), sku=sku)
    for listing in (mine, watched(read=timedelta(minutes=1), channel=mine.channel)):
        observe(listing, timedelta(hours=1), list_price=Decimal(10))
    assert len(get(client, "prices").context["rows"]) == 2
    for query in ({"brand": "Nuanju"}, {"supplier": supplier.pk}, {"abc": "A"}, {"warehouse": north.pk}):
        page = get(client, "prices", **query)
        assert [row.mover.listing for row in page.context["rows"]] == [mine], query
        assert len(client.get(page.context["csv_url"]).getvalue().splitlines()) == 2
    assert "No listings match these filters" in get(client, "prices", abc="B").text
    assert get(client, "prices", abc="Q").context["rows"] == []
