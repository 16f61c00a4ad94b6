"""What a channel and a listing may show: the forms, the sentence on the listing's page, and who may change it."""

import pytest

from catalog.models import AuditEvent, Channel, ChannelLocation, StockRule
from catalog.signals import channel_changed, listing_changed
from catalog.stock.counts import count
from tests.factories import NOW, ChannelFactory, ListingFactory, SkuFactory, StockRuleFactory, WarehouseFactory
from tests.staff import signed_in

pytestmark = pytest.mark.django_db

NOTHING = {"buffer": "", "share_percent": "", "cap": "", "stop_at": "", "is_paused": ""}


@pytest.fixture
def channel():
    return ChannelFactory(name="Ours", platform="shopify")


@pytest.fixture
def warehouse():
    return WarehouseFactory(name="Hangzhou", position=1)


@pytest.fixture
def listing(channel, warehouse):
    listing = ListingFactory(channel=channel, sku=SkuFactory())
    count(sku_id=listing.sku_id, warehouse_id=warehouse.pk, counted=23, key="opening", actor=None, now=NOW)
    return listing


@pytest.fixture
def operator(client, channel):
    return signed_in(client, "Operator", channel)


@pytest.fixture
def heard(django_capture_on_commit_callbacks):
    """What listeners were told while the test ran: ("channel" or "listing", keys)."""
    told = []

    def of_channels(sender, channel_ids, **kwargs):
        told.append(("channel", list(channel_ids)))

    def of_listings(sender, listing_ids, **kwargs):
        told.append(("listing", list(listing_ids)))

    channel_changed.connect(of_channels)
    listing_changed.connect(of_listings)
    yield told
    channel_changed.disconnect(of_channels)
    listing_changed.disconnect(of_listings)


def of_channel(channel):
    return f"/catalog/stockrule/channel/{channel.pk}/"


def of_listing(listing):
    return f"/catalog/stockrule/listing/{listing.pk}/"


def warehouses_of(channel):
    return f"/catalog/stockrule/warehouses/{channel.pk}/"


def test_a_rule_of_the_channel_shows_in_the_sentence_of_its_listings(
    client, operator, channel, listing, heard, django_capture_on_commit_callbacks
):
    assert "23 available" in client.get(f"/catalog/listing/{listing.pk}/change/").text
    with django_capture_on_commit_callbacks(execute=True):
        data = {**NOTHING, "buffer": "2", "share_percent": "80", "cap": "10"}
        page = client.post(of_channel(channel), data, follow=True)
    assert "buffer 2, share 80 %, at most 10" in page.text
    assert heard == [("channel", [channel.pk])]
    assert "23 available − 2 buffer = 21, 80% → 16, cap 10 → 10" in (
        client.get(f"/catalog/listing/{listing.pk}/change/").text
    )
    event = AuditEvent.objects.get(object_type="catalog.stockrule")
    assert (event.action, event.actor, event.channel) == ("added", operator, channel)
    assert event.changes == {"buffer": [None, 2], "share_percent": [None, 80], "cap": [None, 10]}


def test_a_listing_overrides_its_channel_field_by_field(
    client, operator, channel, listing, heard, django_capture_on_commit_callbacks
):
    StockRuleFactory(channel=channel, buffer=2, cap=10)
    form = client.get(of_listing(listing)).text
    assert "An empty field is as the channel says: buffer 2, at most 10." in form
    assert "23 available − 2 buffer = 21, cap 10 → 10" in form
    with django_capture_on_commit_callbacks(execute=True):
        page = client.post(of_listing(listing), {**NOTHING, "cap": "5"}, follow=True)
    assert "23 available − 2 buffer = 21, cap 5 → 5" in page.text
    assert heard == [("listing", [listing.pk])]


def test_a_listing_is_paused_and_let_go_again(client, operator, channel, listing):
    StockRuleFactory(channel=channel, is_paused=True)
    page = client.post(of_listing(listing), {**NOTHING, "is_paused": "false"}, follow=True)
    assert "23 available" in page.text
    assert "not paused" in page.text
    page = client.post(of_listing(listing), NOTHING, follow=True)
    assert "Paused: what the platform shows is left as it is." in page.text


def test_an_empty_rule_is_taken_away(client, operator, listing):
    client.post(of_listing(listing), {**NOTHING, "cap": "5"})
    client.post(of_listing(listing), NOTHING)
    assert not StockRule.objects.exists()
    assert AuditEvent.objects.filter(object_type="catalog.stockrule").latest("pk").changes == {"cap": [5, None]}
    client.post(of_listing(listing), NOTHING)
    assert AuditEvent.objects.filter(object_type="catalog.stockrule").count() == 2


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("share_percent", "150", "The share is 0 to 100 percent."),
        ("share_percent", "-1", "The share is 0 to 100 percent."),
        ("share_percent", "80%", "The share is 0 to 100 percent."),
        ("buffer", "1000001", "Enter 0 to 1,000,000 units."),
        ("cap", "-5", "Enter 0 to 1,000,000 units."),
        ("stop_at", "few", "Enter 0 to 1,000,000 units."),
    ],
)
def test_a_rule_that_cannot_be_is_refused_at_the_field(client, operator, channel, listing, field, value, sentence):
    for address in (of_channel(channel), of_listing(listing)):
        page = client.post(address, {**NOTHING, field: value})
        assert page.status_code == 400
        assert page.context["form"].errors == {field: [sentence]}
    assert not StockRule.objects.exists()


class TestWarehouses:
    def data(self, *chosen, mode="sum"):
        data = {"location_mode": mode}
        for warehouse, location, position in chosen:
            data |= {f"used_{warehouse.pk}": "on"}
            data |= {f"location_{warehouse.pk}": location, f"position_{warehouse.pk}": position}
        return data

    def test_warehouses_are_led_to_locations(
        self, client, operator, channel, listing, warehouse, heard, django_capture_on_commit_callbacks
    ):
        other = WarehouseFactory(name="Ningbo", position=2)
        count(sku_id=listing.sku_id, warehouse_id=other.pk, counted=4, key="other", actor=None, now=NOW)
        with django_capture_on_commit_callbacks(execute=True):
            data = self.data((warehouse, "loc-1", "2"), (other, "loc-2", ""), mode="priority")
            page = client.post(warehouses_of(channel), data, follow=True)
        assert "Hangzhou → loc-1" in page.text
        assert list(ChannelLocation.objects.values_list("warehouse", "location_id", "position")) == [
            (warehouse.pk, "loc-1", 2),
            (other.pk, "loc-2", 2),
        ]
        assert Channel.objects.get().location_mode == "priority"
        assert heard == [("channel", [channel.pk])]
        shown = client.get(f"/catalog/listing/{listing.pk}/change/").text
        assert "loc-1" in shown
        assert "4 available" in shown
        event = AuditEvent.objects.filter(object_type="catalog.channel").latest("pk")
        assert event.changes["location_mode"] == ["sum", "priority"]
        assert event.changes["warehouses of the channel"][1] == "2. Hangzhou → loc-1, 2. Ningbo → loc-2"

    def test_saving_the_same_again_changes_nothing(self, client, operator, channel, warehouse):
        for _time in range(2):
            client.post(warehouses_of(channel), self.data((warehouse, "loc-1", "1")))
        assert AuditEvent.objects.filter(object_type="catalog.channel").count() == 1
        client.post(warehouses_of(channel), self.data())
        assert not ChannelLocation.objects.exists()

    def test_a_place_that_is_no_number_is_refused(self, client, operator, channel, warehouse):
        page = client.post(warehouses_of(channel), self.data((warehouse, "", "-1")))
        assert page.context["form"].errors == {f"position_{warehouse.pk}": ["Enter a whole number from 0 to 9999."]}
        assert not ChannelLocation.objects.exists()


class TestScope:
    def test_channels_and_listings_of_others_are_not_there(self, client, operator, channel):
        foreign = ListingFactory(channel=ChannelFactory(), sku=SkuFactory())
        rule = StockRuleFactory(channel=foreign.channel, cap=77)
        for address in (of_channel(foreign.channel), of_listing(foreign), warehouses_of(foreign.channel)):
            assert client.get(address).status_code == 404
            assert client.post(address, {**NOTHING, "cap": "1", "location_mode": "sum"}).status_code == 404
        assert client.get(f"/catalog/stockrule/{rule.pk}/change/").status_code == 404
        assert "at most 77" not in client.get("/catalog/stockrule/").text

    def test_a_competitors_listing_has_no_target(self, client, operator, channel):
        listing = ListingFactory(channel=channel, ownership="competitor")
        assert "Sync target" not in client.get(f"/catalog/listing/{listing.pk}/change/").text
        assert client.get(of_listing(listing)).status_code == 404

    def test_people_who_may_only_look_see_the_rule_and_no_form(self, client, channel, listing):
        signed_in(client, "Viewer", channel)
        rule = StockRuleFactory(channel=channel, cap=7)
        for address in (of_channel(channel), of_listing(listing), warehouses_of(channel)):
            assert client.get(address).status_code == 403
            assert client.post(address, NOTHING).status_code == 403
        page = client.get(f"/catalog/channel/{channel.pk}/change/").text
        assert "at most 7" in page
        assert "Change the rule" not in page
        assert client.get(f"/catalog/stockrule/{rule.pk}/change/").url == f"/catalog/channel/{channel.pk}/change/"

    def test_what_is_not_known_is_not_shown_as_0(self, client, operator, channel):
        listing = ListingFactory(channel=channel, sku=SkuFactory())
        text = client.get(f"/catalog/listing/{listing.pk}/change/").text
        assert "Its stock was never counted here, so nothing is sent." in text
        assert "Never counted" in client.get(f"/catalog/sku/{listing.sku_id}/change/").text
