"""The pages of thresholds: what is refused in which words, what a threshold would have done, who may do what."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
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
CHANGE = "admin:monitoring_threshold_change"
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


_SINCE = {"kind": "price_change", "percent": "10", "reference": "baseline"}


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"listing": ""}, "listing", "Choose the listing."),
        ({"about": "product"}, "product", "Choose the product."),
        ({"about": "brand"}, "brand", "Enter the brand."),
        ({"about": "brand", "brand": "Nobody"}, "brand", "No product has this brand."),
        ({"about": "channel"}, "channel", "Choose the channel."),
        ({"about": ""}, "about", "This field is required."),
        ({"kind": ""}, "kind", "Choose when an alert opens."),
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
        ({"cooldown_minutes": "2000000000"}, "cooldown_minutes", "Enter 525600 minutes at most, which is a year."),
        ({"cooldown_minutes": "9" * 30}, "cooldown_minutes", "Enter 525600 minutes at most, which is a year."),
        ({"kind": "stock_at_most", "stock": "9" * 30}, "stock", "less than or equal to 2147483647"),
        ({"hysteresis": "9" * 30}, "hysteresis", "Ensure that there are no more than"),
        ({**_SINCE, "baseline_at": "0001-01-01T00:00"}, "baseline_at", "Enter a time from the year 2000 on."),
        ({**_SINCE, "baseline_at": "1999-12-31T23:59"}, "baseline_at", "Enter a time from the year 2000 on."),
        ({**_SINCE, "baseline_at": "9999-12-31T23:59"}, "baseline_at", "Enter a time that has come"),
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


@pytest.mark.parametrize(
    ("currency", "amount", "words"),
    [
        ("CNY", "99.999", "Prices in CNY have at most 2 decimals."),
        ("CNY", "99.99999", "Prices in CNY have at most 2 decimals."),
        ("JPY", "100.5", "Prices in JPY have no decimals: enter a whole number."),
        ("KWD", "1.2345", "Prices in KWD have at most 3 decimals."),
        ("CNY", "99.9900", None),
        ("JPY", "100.0", None),
        ("KWD", "1.234", None),
    ],
)
@pytest.mark.parametrize("field", ["min_price", "max_price"])
def test_a_price_has_no_more_decimals_than_its_currency(owner, currency, amount, words, field):
    channel = ChannelFactory(currency=currency)
    answer = owner.post(reverse(ADD), form(about="channel", channel=channel.pk, **{field: amount}))
    if words is None:
        assert getattr(Threshold.objects.get(), field) == Decimal(amount)
    else:
        assert errors(answer) == {field: [words]}
        assert not Threshold.objects.exists()


@pytest.mark.parametrize(
    ("about", "fields"),
    [
        ("listing", {"min_price": "90"}),
        ("channel", {"min_price": "90.00", "max_price": "300", "currency": "CNY"}),
        ("brand", {"kind": "sold_out", "ownership": ""}),
        ("product", {"kind": "price_change", "percent": "10", "reference": "median", "days": "7"}),
    ],
)
def test_the_same_threshold_is_not_saved_twice(owner, about, fields):
    listing = ListingFactory(sku=SkuFactory(product__brand="MOKA"))
    subjects = {
        "listing": listing.pk,
        "product": listing.sku.product_id,
        "brand": "MOKA",
        "channel": listing.channel_id,
    }
    data = form(about=about, **{about: subjects[about]}, **fields)
    owner.post(reverse(ADD), data)
    first = Threshold.objects.get()
    answer = owner.post(reverse(ADD), {**data, "name": "again", "severity": "critical", "hysteresis": "1"})
    assert Threshold.objects.get() == first
    (text,) = errors(answer)["__all__"]
    address = reverse("admin:monitoring_threshold_change", args=[first.pk])
    assert text.startswith(f'<span>There is a threshold like this already: <a href="{address}">')
    assert text in answer.text
    # The form of that threshold itself is not refused, neither when it is checked nor when it is saved.
    found = owner.post(f"{reverse(PREVIEW)}?threshold={first.pk}", data).json()
    assert not found["errors"]
    owner.post(address, {**data, "name": "renamed"})
    assert Threshold.objects.get().name == "renamed"


@pytest.mark.parametrize("other", [{"min_price": "91"}, {"max_price": "300"}, {"price": "live_price"}])
def test_another_limit_or_price_is_another_threshold(owner, listing, other):
    data = form(listing=listing.pk, min_price="90")
    owner.post(reverse(ADD), data)
    owner.post(reverse(ADD), {**data, **other})
    assert Threshold.objects.count() == 2


def test_the_same_rule_about_another_listing_is_another_threshold(owner, listing):
    for each in (listing, ListingFactory(channel=listing.channel)):
        owner.post(reverse(ADD), form(listing=each.pk, min_price="90"))
    assert Threshold.objects.count() == 2


def test_the_address_of_a_check_leads_to_no_threshold_that_the_person_does_not_see(client, listing):
    hidden = ThresholdFactory()
    member(client, "Operator", listing.channel)
    address = f"{reverse(PREVIEW)}?threshold={hidden.pk}"
    assert client.post(address, form(listing=listing.pk, min_price="90")).status_code == 404


def test_an_empty_form_is_told_what_it_lacks(owner):
    found = owner.post(reverse(PREVIEW), form(kind="")).json()
    assert found["errors"] == {"Listing": ["Choose the listing."], "Alert when": ["Choose when an alert opens."]}


def test_the_choice_of_a_listing_names_its_shop_and_variant(owner):
    listing = ListingFactory(
        title="Kettle",
        channel__name="天猫旗舰店",
        platform_item_id="616",
        platform_sku_id="44",
        sku=SkuFactory(code="EV-KET-600", name="walnut"),
    )
    expected = "Kettle · 天猫旗舰店 · walnut · EV-KET-600 · 616/44"
    query = {"app_label": "monitoring", "model_name": "threshold", "field_name": "listing", "term": "Kettle"}
    assert [row["text"] for row in owner.get(reverse("admin:autocomplete"), query).json()["results"]] == [expected]
    assert f'<option value="{listing.pk}" selected>{expected}</option>' in owner.get(
        reverse(ADD), {"listing": listing.pk}
    ).text.replace("&amp;", "&")


def test_the_choices_of_listings_cost_the_same_few_queries_however_many_there_are(owner):
    query = {"app_label": "monitoring", "model_name": "threshold", "field_name": "listing", "term": ""}
    counts = []
    for _step in range(2):
        for _number in range(5):
            ListingFactory(sku=SkuFactory())
        with CaptureQueriesContext(connection) as captured:
            owner.get(reverse("admin:autocomplete"), query)
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_links_fill_in_the_subject(owner, listing):
    page = owner.get(reverse(ADD), {"listing": listing.pk})
    assert f'<option value="{listing.pk}" selected>Kettle · ' in page.text
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


def test_a_threshold_stored_before_its_numbers_had_bounds_can_be_opened_and_mended(owner, listing):
    begun = datetime(1, 1, 1, tzinfo=UTC)
    stored = {"kind": "price_change", "percent": 10, "reference": "baseline", "cooldown_minutes": 2_000_000_000}
    threshold = ThresholdFactory(listing=listing, channel=None, min_price=None, baseline_at=begun, **stored)
    assert "2000000000" in owner.get(reverse(CHANGE, args=[threshold.pk])).text
    assert owner.get(reverse(LIST)).status_code == 200
    fields = {**stored, "listing": listing.pk, "baseline_at": "0001-01-01T08:00"}
    answer = owner.post(reverse(CHANGE, args=[threshold.pk]), form(**fields))
    assert set(errors(answer)) == {"baseline_at", "cooldown_minutes"}
    fields |= {"baseline_at": "2026-01-01T08:00", "cooldown_minutes": 60}
    assert owner.post(reverse(CHANGE, args=[threshold.pk]), form(**fields)).status_code == 302


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


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"price": "live_price", "min_price": "90"},
            "Cannot tell: the live price was not read in the last 30 days.",
        ),
        (
            {"kind": "price_change", "price": "promotion_price", "percent": "5"},
            "Cannot tell: the promotional price was not read in the last 30 days.",
        ),
        ({"kind": "stock_at_most", "stock": "5"}, "Cannot tell: the stock was not read in the last 30 days."),
        ({"kind": "sold_out"}, "Cannot tell: the stock was not read in the last 30 days."),
        ({"kind": "off_shelf"}, "Cannot tell: the shelf state was not read in the last 30 days."),
    ],
)
def test_what_was_never_read_is_not_said_never_to_have_fired(owner, fields, words):
    found = watched()
    observe(found, 5 * DAY, list_price=Decimal(100), shelf_state="unknown")
    answer = owner.post(reverse(PREVIEW), form(**{"listing": found.pk, **fields})).json()
    assert words in answer["html"]
    assert "Would not have fired" not in answer["html"]
    assert answer["count"] is None


def test_a_listing_without_any_reading_is_not_said_never_to_have_fired(owner):
    answer = owner.post(reverse(PREVIEW), form(listing=watched(read=None).pk, min_price="90")).json()
    assert "Cannot tell: the list price was not read in the last 30 days." in answer["html"]


def test_listings_that_were_not_read_are_not_among_those_that_did_not_fire(owner, listing):
    for _number in range(2):
        watched(channel=listing.channel)
    data = form(about="channel", channel=listing.channel_id, min_price="3")
    html = owner.post(reverse(PREVIEW), data).json()["html"]
    assert "Would not have fired in the last 30 days, for any of 1 listing." in html
    assert "Cannot tell for 2 more listings: this was not read." in html


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
