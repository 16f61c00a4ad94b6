"""The pages of thresholds: what is refused in which words, what a threshold would have done, who may do what."""

from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from catalog.models import AuditEvent
from monitoring.models import Alert, Threshold
from monitoring.services.thresholds import preview
from tests.factories import (
    NOW,
    AlertFactory,
    ChannelFactory,
    ListingFactory,
    ProductFactory,
    SkuFactory,
    ThresholdFactory,
    UserFactory,
)
from tests.monitoring.watching import observe, watched

pytestmark = pytest.mark.django_db

LIST = "admin:monitoring_threshold_changelist"
ADD = "admin:monitoring_threshold_add"
PREVIEW = "admin:monitoring_threshold_preview"
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _now():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def owner(client):
    client.force_login(UserFactory(username="li", is_superuser=True))
    return client


@pytest.fixture
def listing():
    """Its list price was 100 for a month, but 80 for a day, ten days ago and five days ago."""
    found = watched(title="Kettle")
    for days, price in ((40, 100), (10, 80), (9, 100), (5, 80), (4, 100)):
        observe(found, days * DAY, list_price=Decimal(price), stock=30)
    return found


def member(client, role, *channels):
    user = UserFactory()
    user.groups.add(Group.objects.get(name=role))
    user.channels.set(channels)
    client.force_login(user)
    return user


def form(**fields):
    """What a browser posts: every field of the form, also those that the script hides."""
    names = ["listing", "product", "brand", "channel", "min_price", "max_price", "currency", "percent", "reference"]
    blank = dict.fromkeys([*names, "baseline_at", "stock", "days", "intervals", "name"], "")
    given = {
        "about": "listing",
        "ownership": "own",
        "kind": "price_range",
        "price": "list_price",
        "direction": "both",
        "severity": "warning",
        "is_active": "on",
        "hysteresis": "0",
        "cooldown_minutes": "60",
    }
    return {**blank, **given, **{name: str(value) for name, value in fields.items()}}


def errors(answer):
    return {name: [str(each) for each in found] for name, found in answer.context["adminform"].form.errors.items()}


# --- The form ---------------------------------------------------------------------------------------------------------


def test_a_threshold_is_stored_as_it_was_filled_in(owner, listing):
    answer = owner.post(reverse(ADD), form(listing=listing.pk, min_price="90", severity="critical"))
    assert answer.url == reverse(LIST)
    threshold = Threshold.objects.get()
    assert (threshold.listing, threshold.min_price, threshold.max_price) == (listing, Decimal(90), None)
    assert (threshold.currency, threshold.severity, str(threshold.created_by)) == ("CNY", "critical", "li")
    assert AuditEvent.objects.get(object_type="monitoring.threshold").action == "added"


@pytest.mark.parametrize(
    ("name", "called"),
    [("", "List price below ¥90.00 (which itself is within the range)"), ("Floor", "Floor")],
)
def test_a_threshold_without_a_name_is_called_by_its_rule(owner, listing, name, called):
    answer = owner.post(reverse(ADD), form(listing=listing.pk, min_price="90", name=name), follow=True)
    assert f"Added “{called}”." in answer.text


@pytest.mark.parametrize("about", ["listing", "product", "brand", "channel"])
def test_only_the_chosen_subject_counts(owner, about):
    listing = ListingFactory(sku=SkuFactory(product=ProductFactory(brand="MOKA")))
    subjects = {
        "listing": listing.pk,
        "product": listing.sku.product_id,
        "brand": "MOKA",
        "channel": listing.channel_id,
    }
    owner.post(reverse(ADD), form(about=about, kind="sold_out", **subjects))
    threshold = Threshold.objects.get()
    found = {
        "listing": threshold.listing_id,
        "product": threshold.product_id,
        "brand": threshold.brand,
        "channel": threshold.channel_id,
    }
    assert {name: value for name, value in found.items() if value} == {about: subjects[about]}


def test_what_the_kind_does_not_use_is_dropped_even_where_it_is_nonsense(owner, listing):
    owner.post(
        reverse(ADD),
        form(listing=listing.pk, kind="stock_at_most", stock="20", min_price="x", percent="-3", days="1000"),
    )
    threshold = Threshold.objects.get()
    assert (threshold.stock, threshold.min_price, threshold.percent, threshold.days) == (20, None, None, None)


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"listing": ""}, "listing", "Choose the listing."),
        ({"about": "product"}, "product", "Choose the product."),
        ({"about": "brand"}, "brand", "Enter the brand."),
        ({"about": "brand", "brand": "Nobody"}, "brand", "No product has this brand."),
        ({"about": "channel"}, "channel", "Choose the channel."),
        ({"about": ""}, "about", "This field is required."),
        ({"kind": ""}, "kind", "This field is required."),
        ({"min_price": ""}, "min_price", "Enter a lowest price, a highest price, or both."),
        ({"min_price": "300", "max_price": "200"}, "min_price", "The lowest price must not be above the highest."),
        ({"min_price": "-1"}, "min_price", "Enter a price above 0."),
        ({"min_price": "x"}, "min_price", "Enter a number."),
        ({"currency": "USD"}, "currency", "Its listings are sold in CNY."),
        ({"kind": "price_change"}, "percent", "Enter a percentage."),
        ({"kind": "price_change", "percent": "10", "reference": "median"}, "days", "Enter a number of days."),
        ({"kind": "price_change", "percent": "10", "reference": "baseline"}, "baseline_at", "Enter when"),
        ({"kind": "volatility", "percent": "10", "days": "91"}, "days", "less than or equal to 90"),
        ({"kind": "stock_at_most"}, "stock", "Enter a number of units"),
        ({"kind": "blind", "intervals": "1"}, "intervals", "greater than or equal to 2"),
        ({"kind": "authorisation", "days": "7"}, "about", "An authorisation belongs to a channel"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_once(owner, listing, fields, field, words):
    answer = owner.post(reverse(ADD), form(**{"listing": listing.pk, "min_price": "90", **fields}))
    found = errors(answer)
    assert list(found) == [field]
    assert len(found[field]) == 1
    assert words in found[field][0]
    assert not Threshold.objects.exists()


def test_amounts_are_in_the_currency_of_the_listings(owner):
    product = ProductFactory()
    for currency in ("USD", "EUR"):
        ListingFactory(channel=ChannelFactory(currency=currency), sku=SkuFactory(product=product))
    data = form(about="product", product=product.pk, min_price="90")
    (text,) = errors(owner.post(reverse(ADD), data))["currency"]
    assert text == "Its listings are sold in EUR, USD: say in which the prices are."
    owner.post(reverse(ADD), {**data, "currency": "eur"})
    assert Threshold.objects.get().currency == "EUR"
    channel = ChannelFactory(currency="JPY")
    owner.post(reverse(ADD), form(about="channel", channel=channel.pk, max_price="5000"))
    assert Threshold.objects.get(channel=channel).currency == "JPY"


def test_links_fill_in_the_subject(owner, listing):
    page = owner.get(reverse(ADD), {"listing": listing.pk})
    assert f'<option value="{listing.pk}" selected>Kettle</option>' in page.text
    assert '<input type="radio" name="about" value="listing"' in page.text
    page = owner.get(reverse(ADD), {"channel": listing.channel_id})
    assert page.context["adminform"].form["about"].value() == "channel"


@pytest.mark.parametrize("value", ["x", "1'", "99999999", "9" * 30, "", "1.5"])
def test_a_link_with_nonsense_opens_an_empty_form(owner, value):
    page = owner.get(reverse(ADD), {"listing": value, "kind": value})
    assert page.status_code == 200


def test_a_form_does_not_name_what_the_person_does_not_see(client):
    hidden = ListingFactory(title="not for you")
    member(client, "Operator", ChannelFactory())
    page = client.get(reverse(ADD), {"listing": hidden.pk})
    assert "not for you" not in page.text
    answer = client.post(reverse(ADD), form(listing=hidden.pk, min_price="90"))
    assert list(errors(answer)) == ["listing"]


def test_editing_shows_amounts_as_people_write_them_and_logs_only_what_changed(owner):
    threshold = ThresholdFactory(min_price="200.5", kind="price_range")
    url = reverse("admin:monitoring_threshold_change", args=[threshold.pk])
    page = owner.get(url)
    assert 'value="200.50"' in page.text
    assert 'name="hysteresis" value="0"' in page.text
    owner.post(
        url, form(about="channel", channel=threshold.channel_id, min_price="200.50", currency="CNY", name="Cheap")
    )
    assert set(AuditEvent.objects.get(object_type="monitoring.threshold").changes) == {"name"}


def test_who_may_only_look_sees_the_rule_and_no_form(client):
    threshold = ThresholdFactory(min_price="200")
    member(client, "Viewer", threshold.channel)
    page = client.get(reverse("admin:monitoring_threshold_change", args=[threshold.pk]))
    assert "Lowest price" in page.text
    assert "Readings missed" not in page.text
    assert 'name="_save"' not in page.text
    assert client.get(reverse(ADD)).status_code == 403
    assert client.post(reverse(PREVIEW), form()).status_code == 403


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("Manager", {"add", "change", "delete"}),
        ("Operator", {"add", "change"}),
        ("Buyer", set()),
        ("Viewer", set()),
    ],
)
def test_roles_have_what_their_work_needs(role, may):
    held = set(Group.objects.get(name=role).permissions.values_list("codename", flat=True))
    assert {f"{verb}_threshold" for verb in may} == {f"{verb}_threshold" for verb in ("add", "change", "delete")} & held
    assert {"view_threshold", "view_alert"} <= held
    assert ("change_alert" in held) is (role in ("Manager", "Operator"))


# --- What it would have done ------------------------------------------------------------------------------------------


def test_the_form_is_told_how_often_it_would_have_fired(owner, listing):
    answer = owner.post(reverse(PREVIEW), form(listing=listing.pk, min_price="90"))
    found = answer.json()
    assert found["count"] == 2
    assert "Would have fired 2 times in the last 30 days, for 1 of 1 listing." in found["html"]
    assert "¥100.00 → ¥80.00" in found["html"]
    assert not Threshold.objects.exists()


def test_the_answer_is_that_of_the_service(owner, listing):
    other = watched(channel=listing.channel)
    observe(other, 3 * DAY, list_price=Decimal(50))
    threshold = Threshold(kind="price_range", channel=listing.channel, min_price=Decimal(90), ownership="own")
    expected = preview(threshold, now=timezone.now())
    data = form(about="channel", channel=listing.channel_id, min_price="90")
    found = owner.post(reverse(PREVIEW), data).json()
    assert found["count"] == expected.count > 2
    assert f"for 2 of {expected.listings} listings." in found["html"]


def test_the_preview_counts_only_what_the_person_sees(client, listing):
    product = ProductFactory()
    sku = SkuFactory(product=product)
    type(listing).objects.filter(pk=listing.pk).update(sku=sku)
    elsewhere = watched(sku=sku)
    observe(elsewhere, 3 * DAY, list_price=Decimal(50))
    member(client, "Operator", listing.channel)
    found = client.post(reverse(PREVIEW), form(about="product", product=product.pk, min_price="90")).json()
    assert found["count"] == 2
    assert "for 1 of 1 listing." in found["html"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"min_price": ""}, "Enter a lowest price, a highest price, or both."),
        ({"min_price": "x"}, "Enter a number."),
        ({"listing": ""}, "Choose the listing."),
        ({"min_price": "3"}, "Would not have fired in the last 30 days"),
        ({"kind": "blind", "intervals": "5"}, "it cannot be said how often"),
    ],
)
def test_the_preview_says_in_words_what_is_lacking(owner, listing, fields, words):
    data = form(**{"listing": listing.pk, "min_price": "90", **fields})
    found = owner.post(reverse(PREVIEW), data).json()
    assert words in found["html"]
    assert found["count"] in (None, 0)


def test_the_preview_only_answers_posted_forms_with_the_token_of_the_page(owner):
    assert owner.get(reverse(PREVIEW)).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(UserFactory(is_superuser=True))
    assert strict.post(reverse(PREVIEW), form()).status_code == 403


def test_without_script_a_button_gives_the_same_answer_and_stores_nothing(owner, listing):
    page = owner.post(reverse(ADD), form(listing=listing.pk, min_price="90", _check="1"))
    assert "Would have fired 2 times in the last 30 days, for 1 of 1 listing." in page.text
    assert 'value="90"' in page.text
    assert "errornote" not in page.text
    assert not Threshold.objects.exists()
    threshold = ThresholdFactory()
    url = reverse("admin:monitoring_threshold_change", args=[threshold.pk])
    page = owner.post(url, form(listing=listing.pk, min_price="3", _check="1"))
    assert "Would not have fired" in page.text
    assert Threshold.objects.get().min_price == Decimal(200)


# --- The list and deleting --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [5, 50])
def test_the_list_costs_the_same_few_queries_however_long_it_is(owner, django_assert_max_num_queries, count):
    for _number in range(count):
        AlertFactory()
    with django_assert_max_num_queries(12):
        page = owner.get(reverse(LIST))
    assert len(page.context["cl"].result_list) == count


def test_the_list_counts_the_alerts_of_thirty_days_and_leads_to_them(owner):
    threshold = ThresholdFactory(name="Cheap")
    for days in (1, 29, 31):
        AlertFactory(
            threshold=threshold,
            listing__channel=threshold.channel,
            opened_at=NOW - days * DAY,
            cleared_at=NOW - DAY / 2,
        )
    page = owner.get(reverse(LIST))
    address = f"{reverse('admin:monitoring_alert_changelist')}?tab=all&amp;opened=30&amp;threshold={threshold.pk}"
    assert f'<a href="{address}">2</a>' in page.text
    board = owner.get(address.replace("&amp;", "&"))
    assert len(board.context["cl"].result_list) == 2
    for words in ("Cheap", "List price below ¥200.00", "Active"):
        assert words in page.text


def test_the_list_shows_only_what_the_person_sees(client):
    seen, hidden = ThresholdFactory(), ThresholdFactory(channel__name="not for you")
    everybody = ThresholdFactory(channel=None, brand="MOKA")
    AlertFactory(threshold=everybody)
    member(client, "Viewer", seen.channel)
    page = client.get(reverse(LIST))
    assert set(page.context["cl"].result_list) == {seen, everybody}
    assert "not for you" not in page.text
    assert [row.recent_alerts for row in page.context["cl"].result_list] == [0, 0]
    assert client.get(reverse("admin:monitoring_threshold_change", args=[hidden.pk])).status_code == 404


@pytest.mark.parametrize("about", ["listing", "product", "brand", "channel"])
def test_the_list_is_narrowed_by_what_a_threshold_is_about(owner, about):
    listing = ListingFactory(sku=SkuFactory())
    made = {
        "listing": ThresholdFactory(channel=None, listing=listing),
        "product": ThresholdFactory(channel=None, product=listing.sku.product),
        "brand": ThresholdFactory(channel=None, brand="MOKA"),
        "channel": ThresholdFactory(),
    }
    assert list(owner.get(reverse(LIST), {"about": about}).context["cl"].result_list) == [made[about]]


def test_an_empty_list_says_what_a_threshold_is_for(owner):
    page = owner.get(reverse(LIST)).text
    assert "No thresholds here yet" in page
    assert "A threshold says when you want to be told" in page


def test_deleting_says_what_becomes_of_its_alerts(owner):
    threshold = ThresholdFactory(name="Cheap")
    for _number in range(3):
        AlertFactory(threshold=threshold, listing__channel=threshold.channel)
    url = reverse("admin:monitoring_threshold_delete", args=[threshold.pk])
    page = owner.get(url).text
    assert "Delete threshold “Cheap”?" in page
    assert "Its 3 alerts stay in the history." in page
    owner.post(url, {"post": "yes"})
    assert not Threshold.objects.exists()
    assert set(Alert.objects.values_list("threshold", flat=True)) == {None}
    alert = Alert.objects.earliest("pk")
    page = owner.get(reverse("admin:monitoring_alert_change", args=[alert.pk])).text
    assert "The threshold was deleted since." in page
