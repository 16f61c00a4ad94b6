"""What nobody counts here is planned by what its shops show of it, and says so."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from catalog.facts import Facts, ShelfState
from catalog.models import BundleComponent, Listing
from catalog.stock.counts import count
from integrations.connectors.base import Reading, ReadOutcome
from monitoring.models import Alert, DemandHistory, ImportedSale, ListingWatch, Observation, PlanRun, SkuPlan
from monitoring.services import claim_due, open_run, record
from monitoring.services.planning.demand import build_demand, load_demand
from monitoring.services.planning.readings import planned_by_readings, shown_stock
from monitoring.services.planning.running import plan
from tests.factories import (
    ListingFactory,
    ListingWatchFactory,
    SkuFactory,
    SkuPlanFactory,
    SupplierFactory,
    WarehouseFactory,
)

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
DAYS = 90


@pytest.fixture(autouse=True)
def zone(settings):
    settings.TIME_ZONE = "Asia/Shanghai"


@pytest.fixture(autouse=True)
def warehouse():
    return WarehouseFactory(position=1)


@pytest.fixture
def listing():
    supplier = SupplierFactory(lead_time_days=9, lead_time_spread_days=Decimal(0), review_days=5)
    sku = SkuFactory(supplier=supplier, cost_price=Decimal("40.00"))
    return ListingWatchFactory(listing=ListingFactory(sku=sku, list_price=Decimal("90.00"))).listing


def shows(listing, stocks, *, until=NOW):
    """One reading a day, the last of them at `until`."""
    first = until - (len(stocks) - 1) * DAY
    Observation.objects.bulk_create(
        Observation(listing=listing, observed_at=first + number * DAY, stock=stock, shelf_state="on_shelf")
        for number, stock in enumerate(stocks)
    )
    Listing.objects.filter(pk=listing.pk).update(stock=stocks[-1], observed_at=until)
    ListingWatch.objects.filter(pk=listing.pk).update(read_at=until, outcome="read")


def falling(daily, *, left, days=DAYS):
    return [left + daily * (days - number) for number in range(days + 1)]


def planned(now=NOW):
    run = PlanRun.objects.create(kind=PlanRun.Kind.FULL, started_at=now)
    plan(now=now, run=run)
    PlanRun.objects.filter(pk=run.pk).update(ended_at=now)
    return SkuPlan.objects.get()


def test_a_listing_that_is_only_watched_is_planned_by_its_readings_and_says_so(listing):
    shows(listing, falling(5, left=20))
    found = planned()
    assert (found.status, found.on_hand, found.reserved) == ("planned", 20, 0)
    assert found.per_day == pytest.approx(5, abs=0.01)
    assert found.cover_days == pytest.approx(4, abs=0.01)
    assert "as-shown" in found.notes
    assert found.quantity > 0
    assert DemandHistory.objects.get().source == "snapshots"


def test_each_night_goes_on_where_the_last_one_ended(listing):
    shows(listing, falling(5, left=40))
    planned()
    Observation.objects.create(listing=listing, observed_at=NOW + DAY, stock=31, shelf_state="on_shelf")
    Listing.objects.update(stock=31)
    ListingWatch.objects.update(read_at=NOW + 2 * DAY)
    found = planned(NOW + 2 * DAY)
    assert found.on_hand == 31
    history = DemandHistory.objects.get()
    assert history.last_day == date(2026, 11, 22)
    assert load_demand(now=NOW + 2 * DAY).units[0, -2:].tolist() == [5, 9]


def test_what_was_not_read_for_too_long_is_not_known(listing):
    shows(listing, falling(5, left=20))
    ListingWatch.objects.update(read_at=NOW - 3 * DAY)
    SkuPlanFactory(sku=listing.sku)
    assert shown_stock(now=NOW) == {}


def test_of_several_listings_the_least_counts_in_single_units(listing, warehouse):
    twin = ListingWatchFactory(listing=ListingFactory(sku=listing.sku, pack_factor=6)).listing
    shows(listing, [21, 20])
    shows(twin, [4, 3])
    assert shown_stock(now=NOW) == {(listing.sku_id, warehouse.pk): 18}


@pytest.mark.parametrize("what", ["counted", "bundle", "competitor", "removed"])
def test_what_is_kept_here_or_is_not_ours_is_not_taken_from_a_shop(listing, warehouse, what):
    shows(listing, falling(5, left=20))
    if what == "counted":
        count(sku_id=listing.sku_id, warehouse_id=warehouse.pk, counted=7, key="c", actor=None, now=NOW)
    elif what == "bundle":
        BundleComponent.objects.create(bundle=listing.sku, component=SkuFactory(), units=2)
    elif what == "competitor":
        Listing.objects.update(ownership=Listing.Ownership.COMPETITOR)
    else:
        Listing.objects.update(removed_at=NOW)
    assert shown_stock(now=NOW) == {}
    SkuPlanFactory(sku=listing.sku, warehouse=warehouse)
    assert planned_by_readings([listing.pk]) == []


def test_readings_go_on_where_an_imported_history_ends(listing, warehouse):
    shows(listing, falling(5, left=20, days=4))
    for day, units in ((14, 8), (15, 9), (18, 7)):
        ImportedSale.objects.create(sku=listing.sku, warehouse=warehouse, day=date(2026, 11, day), units=units)
    build_demand(now=NOW)
    units = load_demand(now=NOW).units[0].tolist()
    assert units == [8, 9, 0, 0, 7, 5, 5]  # from the 14th to the 20th


def test_days_after_an_imported_history_are_not_known(listing, warehouse):
    ImportedSale.objects.create(sku=listing.sku, warehouse=warehouse, day=date(2026, 11, 17), units=4)
    build_demand(now=NOW)
    first, *rest = load_demand(now=NOW).units[0].tolist()
    assert first == 4
    assert len(rest) == 3
    assert all(each != each for each in rest)


def test_a_reading_that_crosses_a_point_is_told_at_once(listing, warehouse, django_capture_on_commit_callbacks):
    shows(listing, [40, 40], until=NOW - timedelta(minutes=5))
    SkuPlanFactory(sku=listing.sku, warehouse=warehouse)  # at 8 pieces safe, to be ordered at 36
    ListingWatch.objects.update(next_due_at=NOW)
    run, token = open_run(channel_id=listing.channel_id, now=NOW), uuid4()
    claims = {claim.listing_id: claim for claim in claim_due(run=run, limit=5, token=token, now=NOW)}
    facts = Facts(stock=7, shelf_state=ShelfState.ON_SHELF)
    with django_capture_on_commit_callbacks(execute=True):
        record(run=run, token=token, claims=claims, readings=[Reading(listing.pk, ReadOutcome.READ, facts)], now=NOW)
    alerts = Alert.objects.order_by("kind").values_list("kind", "new_value")
    assert list(alerts) == [("below_reorder_point", "7"), ("below_safety_stock", "7")]
