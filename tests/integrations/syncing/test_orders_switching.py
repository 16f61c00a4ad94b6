"""Switching sync of a channel on and off, pausing it, and edits that reach the push lane at once."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from django_q.models import OrmQ

from catalog.audit_text import readable_changes
from catalog.models import AuditEvent, BundleComponent, Channel, ChannelLocation, Listing, StockMovement, StockRule
from catalog.stock.ledger import Movement, record_movements
from integrations import tasks
from integrations.models import ChannelSync, ListingSync
from integrations.syncing.switching import pause, resume, switch_off, switch_on
from tests.factories import NOW, ListingFactory, SkuFactory, UserFactory
from tests.integrations.syncing.conftest import warehouse

pytestmark = pytest.mark.django_db


def counted(sku, units):
    kind, source = StockMovement.Kind.COUNT, StockMovement.Source.COUNT
    record_movements([Movement(sku.pk, warehouse().pk, kind, units, f"of {sku.pk}", source)], now=timezone.now())


@pytest.fixture
def listing():
    found = ListingFactory(sku=SkuFactory())
    counted(found.sku, 5)
    return found


@pytest.fixture
def actor():
    return UserFactory()


@pytest.fixture
def run_queued(django_capture_on_commit_callbacks):
    """Commits what a function does, and runs the sweeps that are queued by then; returns the names of all tasks."""

    def run(function, *arguments, **options):
        OrmQ.objects.all().delete()
        with django_capture_on_commit_callbacks(execute=True):
            function(*arguments, **options)
        queued = list(OrmQ.objects.order_by("pk"))
        for task in queued:
            if task.func() == "integrations.tasks.sweep_stock":
                tasks.sweep_stock(*task.args())
        return [task.func().rpartition(".")[2] for task in queued]

    return run


def sync():
    return ChannelSync.objects.get()


def test_switching_on_makes_the_rows_and_has_orders_booked_from_now_on(listing, actor, run_queued):
    channel = listing.channel
    queued = run_queued(switch_on, channel=channel, actor=actor, now=NOW)
    row = sync()
    assert (row.is_on, row.is_confirmed, row.is_paused, row.orders_read_until) == (True, False, False, None)
    assert row.orders_due_at == NOW
    assert Channel.objects.get().orders_since == channel.orders_since == NOW
    assert {"sweep_stock", "orders_lane"} <= set(queued)
    assert ListingSync.objects.get(listing=listing).due_at is not None
    event = AuditEvent.objects.get()
    assert (event.action, event.actor, event.channel) == ("started", actor, channel)
    assert list(readable_changes(event, actor)) == [("Sync on", "no", "yes")]


def test_switching_on_twice_changes_nothing(listing, actor):
    assert switch_on(channel=listing.channel, actor=actor, now=NOW)
    assert not switch_on(channel=listing.channel, actor=actor, now=NOW + timedelta(days=1))
    assert Channel.objects.get().orders_since == NOW
    assert AuditEvent.objects.count() == 1


def test_switched_on_again_it_asks_for_a_dry_run_and_follows_the_orders_it_knows(listing, actor):
    channel = listing.channel
    switch_on(channel=channel, actor=actor, now=NOW)
    ChannelSync.objects.update(is_confirmed=True, orders_read_until=NOW + timedelta(hours=1))
    assert switch_off(channel=channel, actor=actor, now=NOW + timedelta(hours=2))
    assert not switch_off(channel=channel, actor=actor, now=NOW + timedelta(hours=2))
    switch_on(channel=channel, actor=actor, now=NOW + timedelta(days=2))
    assert (sync().is_confirmed, sync().orders_read_until) == (False, NOW + timedelta(hours=1))
    assert Channel.objects.get().orders_since == NOW + timedelta(days=2)
    switch_off(channel=channel, actor=actor, now=NOW + timedelta(days=3))
    switch_on(channel=channel, actor=actor, now=NOW + timedelta(days=90))
    assert sync().orders_read_until == NOW + timedelta(days=60)
    assert [event.action for event in AuditEvent.objects.order_by("pk")] == ["started", "stopped"] * 2 + ["started"]


def test_a_channel_is_paused_with_a_reason_and_resumed(listing, actor, run_queued):
    channel = listing.channel
    assert not pause(channel=channel, reason="early", actor=actor, now=NOW)
    switch_on(channel=channel, actor=actor, now=NOW)
    assert pause(channel=channel, reason=" stock\0taking ", actor=actor, now=NOW)
    row = sync()
    assert (row.is_paused, row.pause_reason, row.paused_at, row.paused_by) == (True, "stocktaking", NOW, actor)
    assert not pause(channel=channel, reason="again", actor=actor, now=NOW)
    queued = run_queued(resume, channel=channel, actor=actor, now=NOW)
    assert {"sweep_stock", "push_lane"} <= set(queued)
    row = sync()
    assert (row.is_paused, row.pause_reason, row.paused_at, row.paused_by) == (False, "", None, None)
    assert not resume(channel=channel, actor=actor, now=NOW)
    told = [(event.action, dict(event.changes)) for event in AuditEvent.objects.order_by("pk")][1:]
    name = "integrations.channelsync."
    assert told == [
        ("paused", {f"{name}is_paused": [False, True], f"{name}pause_reason": ["", "stocktaking"]}),
        ("resumed", {f"{name}is_paused": [True, False], f"{name}pause_reason": ["stocktaking", ""]}),
    ]


# --- Edits that change targets --------------------------------------------------------------------------------------


@pytest.fixture
def synced(listing, client, run_queued):
    """The listing in sync, and a person who may edit everything."""
    client.force_login(UserFactory(is_superuser=True))
    switch_on(channel=listing.channel, actor=None, now=timezone.now())
    ChannelSync.objects.update(is_confirmed=True)
    tasks.sweep_stock()
    settle()
    return listing


def settle():
    """As if all had been sent and seen."""
    from integrations.syncing.wanted import wanted_of

    for (listing_id, _location), wanted in wanted_of(list(Listing.objects.values_list("pk", flat=True))).items():
        ListingSync.objects.filter(listing=listing_id).update(
            due_at=None,
            changed_at=None,
            state="in-sync",
            wanted=wanted.target.quantity,
            confirmed=wanted.target.quantity,
            synced_version=wanted.version,
            synced_rule=wanted.rule,
        )


def post(client, name, pk, data):
    answer = client.post(reverse(f"admin:{name}", args=[pk]), data)
    assert answer.status_code == 302, answer.context and answer.context.get("form_errors")


def is_due(listing):
    return ListingSync.objects.get(listing=listing).due_at is not None


def test_what_is_counted_for_the_first_time_is_sent_at_once(synced, run_queued):
    new = ListingFactory(channel=synced.channel, sku=SkuFactory())
    assert "push_lane" in run_queued(counted, new.sku, 7)
    assert is_due(new)
    assert not is_due(synced)


@pytest.mark.parametrize("owner", ["channel", "listing"])
def test_a_rule_that_is_edited_or_taken_away_is_applied_at_once(synced, client, run_queued, owner):
    pk = synced.channel_id if owner == "channel" else synced.pk
    assert not is_due(synced)
    for data in ({"buffer": "2"}, {"buffer": "3"}, {"buffer": ""}):
        queued = run_queued(post, client, f"catalog_stock_{owner}_rule", pk, data)
        assert is_due(synced), data
        assert "push_lane" in queued + [task.func().rpartition(".")[2] for task in OrmQ.objects.all()]
        settle()
    assert not StockRule.objects.exists()


def test_the_warehouses_of_a_channel_are_applied_at_once(synced, client, run_queued):
    main = warehouse().pk
    data = {"location_mode": "priority", f"used_{main}": "on", f"location_{main}": "", f"position_{main}": "1"}
    for changes in ({}, {"location_mode": "sum"}):
        data |= changes
        run_queued(post, client, "catalog_stock_channel_locations", synced.channel_id, data)
        assert Channel.objects.get().location_mode == data["location_mode"]
        assert ChannelLocation.objects.count() == 1
        assert is_due(synced), changes
        settle()


def test_a_location_that_is_named_gets_a_row_of_its_own(synced, client, run_queued):
    Channel.objects.update(platform="shopify")
    main = warehouse().pk
    data = {"location_mode": "sum", f"used_{main}": "on", f"location_{main}": "4711", f"position_{main}": "1"}
    run_queued(post, client, "catalog_stock_channel_locations", synced.channel_id, data)
    assert ListingSync.objects.get(location_id="4711").due_at is not None


def test_a_location_is_not_named_where_shops_have_none(synced, client):
    main = warehouse().pk
    data = {"location_mode": "sum", f"used_{main}": "on", f"location_{main}": "4711", f"position_{main}": "1"}
    page = client.post(reverse("admin:catalog_stock_channel_locations", args=[synced.channel_id]), data)
    assert page.status_code == 400
    assert "Shops of this platform have no locations" in page.content.decode()
    assert not ChannelLocation.objects.exists()


def test_the_parts_of_a_bundle_are_applied_at_once(synced, client, run_queued):
    part = SkuFactory()
    counted(part, 9)
    component = BundleComponent.objects.create(bundle=SkuFactory(), component=part, units=1)
    bundle = ListingFactory(channel=synced.channel, sku=component.bundle)
    tasks.sweep_stock()
    settle()
    data = {
        **{name: getattr(component.bundle, name) or "" for name in ("code", "name", "barcode", "status")},
        "product": component.bundle.product_id,
        "supplier": "",
        "cost_price": "",
        "cost_currency": "CNY",
        "components-TOTAL_FORMS": "1",
        "components-INITIAL_FORMS": "1",
        "components-0-id": component.pk,
        "components-0-bundle": component.bundle_id,
        "components-0-component": part.pk,
        "components-0-units": "4",
    }
    run_queued(post, client, "catalog_sku_change", component.bundle_id, data)
    component.refresh_from_db()
    assert component.units == 4
    assert is_due(bundle)
    settle()
    run_queued(post, client, "catalog_sku_change", component.bundle_id, data | {"status": "paused"})
    assert is_due(bundle)
