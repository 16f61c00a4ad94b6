"""How promotions stack on a channel: the rules that nobody confirms, the margin floor, and what a change leads to."""

import pytest
from django.urls import reverse

from catalog.models import AuditEvent, ChannelPricing
from catalog.pricing.rulesets import OTHER_VALUES, RULE_SETS, rules_for
from catalog.promotions.rules_text import RULE_SETS as NAMES
from catalog.promotions.rules_text import confidence, default_text, rule_name, unconfirmed, value_text
from catalog.signals import promotion_changed
from tests.factories import ChannelFactory, ListingFactory
from tests.staff import signed_in

pytestmark = pytest.mark.django_db

LIST = "admin:catalog_channelpricing_changelist"


def url(channel):
    return reverse("admin:catalog_channelpricing_change", args=[channel.pk])


def filled(**fields):
    return {
        "ruleset": "taobao",
        "basis": "list",
        "margin_floor": "",
        "ends_within_hours": "24",
        "few_left": "20",
        **fields,
    }


@pytest.fixture
def channel():
    return ChannelFactory(name="暖居")


@pytest.fixture
def told():
    seen = []

    def receiver(sender, listing_ids, **kwargs):
        seen.extend(listing_ids)

    promotion_changed.connect(receiver)
    yield seen
    promotion_changed.disconnect(receiver)


def test_a_channel_without_a_row_shows_what_its_platform_has(client, channel):
    signed_in(client, "Manager")
    form = client.get(url(channel)).context["adminform"].form
    assert form["ruleset"].value() == "taobao"
    assert form["rule_coupon.pick"].value() == ""
    text = client.get(url(channel)).text
    for part in ("Coupon: how many are used", "Default: one for each of the goods", "Not confirmed by the platform."):
        assert part in text
    assert "Taobao / Tmall" in client.get(reverse(LIST)).text
    assert ChannelPricing.objects.count() == 0


def test_a_change_is_stored_told_to_its_listings_and_in_the_audit_log(
    client, channel, told, django_capture_on_commit_callbacks
):
    user = signed_in(client, "Manager")
    listing = ListingFactory(channel=channel)
    ListingFactory()
    chosen = {"rule_coupon.pick": "many", "rule_excess": "redistribute", "margin_floor": "12.5"}
    with django_capture_on_commit_callbacks(execute=True):
        assert client.post(url(channel), filled(**chosen)).status_code == 302
    row = ChannelPricing.objects.get(channel=channel)
    assert (row.settings, row.margin_floor) == ({"coupon.pick": "many", "excess": "redistribute"}, 1250)
    assert told == [listing.pk]
    [event] = AuditEvent.objects.all()
    assert (event.actor, event.object_id) == (user, str(channel.pk))
    history = client.get(reverse("admin:catalog_channelpricing_history", args=[channel.pk])).text
    for part in ("Coupon: how many are used", "several together", "12.5%"):
        assert part in history
    # Sent back as it is shown it is the same, and another value goes back to the default.
    assert client.post(url(channel), filled(**chosen)).status_code == 302
    assert AuditEvent.objects.count() == 1
    client.post(url(channel), filled())
    row.refresh_from_db()
    assert (row.settings, row.margin_floor) == ({}, None)


def test_another_rule_set_begins_with_its_own_defaults(client, channel):
    signed_in(client, "Manager")
    ChannelPricing(channel=channel, ruleset="taobao", settings={"coupon.pick": "many"}).save()
    client.post(url(channel), filled(ruleset="shopify", **{"rule_coupon.pick": "many"}))
    row = ChannelPricing.objects.get()
    assert (row.ruleset, row.settings) == ("shopify", {})


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"margin_floor": "120"}, "margin_floor"),
        ({"margin_floor": "-1"}, "margin_floor"),
        ({"margin_floor": "thin"}, "margin_floor"),
        ({"rule_coupon.pick": "all"}, "rule_coupon.pick"),
        ({"ruleset": "mine"}, "ruleset"),
    ],
)
def test_a_wrong_value_is_told_at_its_field(client, channel, fields, field):
    signed_in(client, "Manager")
    page = client.post(url(channel), filled(**fields))
    assert list(page.context["adminform"].form.errors) == [field]
    assert ChannelPricing.objects.count() == 0


def test_settings_that_the_page_does_not_ask_for_stay(client, channel):
    signed_in(client, "Manager")
    ChannelPricing(channel=channel, ruleset="taobao", settings={"shop.pick": "many", "rounding": "half_even"}).save()
    text = client.get(url(channel)).text
    assert "half to even" in text
    client.post(url(channel), filled(rule_rounding="half_even", margin_floor="5"))
    assert ChannelPricing.objects.get().settings == {"shop.pick": "many", "rounding": "half_even"}


@pytest.mark.parametrize("role", ["Viewer", "Operator", "Buyer"])
def test_others_look_and_change_nothing(client, channel, role):
    signed_in(client, role, channel)
    ChannelPricing(channel=channel, ruleset="taobao", margin_floor=1250, settings={"coupon.pick": "many"}).save()
    text = client.get(url(channel)).text
    for part in ("12.5%", "several together"):
        assert part in text
    assert "_save" not in text
    assert client.post(url(channel), filled()).status_code == 403
    assert "12.5%" in client.get(reverse("admin:catalog_channel_change", args=[channel.pk])).text


def test_a_channel_of_others_is_not_there(client, channel):
    signed_in(client, "Operator", channel)
    theirs = ChannelFactory(name="Theirs")
    assert client.get(url(theirs)).status_code == 404
    assert "Theirs" not in client.get(reverse(LIST)).text


@pytest.mark.parametrize("ruleset", sorted(RULE_SETS))
def test_every_unconfirmed_rule_has_a_name_a_default_and_words_for_its_values(ruleset):
    assert ruleset in NAMES
    rules = unconfirmed(ruleset)
    assert {name for setting in OTHER_VALUES[ruleset] for name in setting} == set(rules)
    for name, values in rules.items():
        assert rule_name(name) not in ("", name)
        assert default_text(ruleset, name)
        assert confidence(ruleset, name)
        for value in values:
            rules_for(ruleset, {name: value})
            assert value_text(name, value) != str(value)
