"""Where else open alerts are shown: the bell, the dashboard, listings and their charts."""

import json
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from monitoring.models import Threshold
from tests.factories import NOW, AlertFactory, ListingFactory, ThresholdFactory, UserFactory
from tests.monitoring.alerting import HOUR, one
from tests.monitoring.watching import watched
from tests.staff import signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]


def bell(page):
    return re.search(r'<details class="menu bell".*?</details>', page.text, re.DOTALL)


def test_the_bell_counts_what_is_open_and_names_the_latest_five(owner):
    for number in range(7):
        AlertFactory(listing__title=f"Kettle {number}", opened_at=NOW - number * HOUR, severity="info")
    AlertFactory(listing__title="put aside", status="snoozed", snoozed_until=NOW + HOUR)
    AlertFactory(listing__title="known", status="acknowledged")
    found = bell(owner.get(reverse("admin:setup")))
    assert 'bell-count info" aria-hidden="true">7<' in found[0]
    assert re.findall(r"<small>(Kettle \d|put aside|known)</small>", found[0]) == [f"Kettle {n}" for n in range(5)]


def test_the_bell_is_about_what_the_person_sees(client):
    seen = AlertFactory(listing__title="mine")
    AlertFactory(listing__title="not for you", severity="critical")
    signed_in(client, "Viewer", seen.channel)
    found = bell(client.get(reverse("admin:catalog_listing_changelist")))[0]
    assert "bell-count warning" in found
    assert ">1<" in found
    assert "not for you" not in found


def test_without_the_right_to_see_alerts_there_is_no_bell(client):
    client.force_login(UserFactory())
    AlertFactory()
    page = client.get(reverse("admin:index"))
    assert bell(page) is None
    assert "Open alerts" not in page.text


@pytest.mark.parametrize("alerts", [0, 1, 30])
def test_the_bell_costs_one_query(owner, alerts):
    """Counted on a page that asks the database nothing else about alerts."""
    for _number in range(alerts):
        AlertFactory()
    with CaptureQueriesContext(connection) as captured:
        owner.get(reverse("admin:password_change"))
    assert len([query for query in captured if "monitoring_alert" in query["sql"]]) == 1


def test_a_pop_up_asks_nothing_for_a_bell_it_does_not_draw(owner):
    AlertFactory()
    page = owner.get(reverse("admin:catalog_supplier_add") + "?_popup=1")
    assert bell(page) is None


def test_the_dashboard_counts_open_alerts_and_shows_the_worst_five(owner):
    watched()
    for number, severity in enumerate(("info", "warning", "critical", "warning", "critical", "info", "info")):
        AlertFactory(listing__title=f"Kettle {number}", severity=severity, opened_at=NOW - number * HOUR)
    page = owner.get("/").text
    figure = re.findall(r"Open alerts</span>.*?</div>", page, re.DOTALL)[0]
    assert ">7</a>" in figure
    assert "2 critical" in figure
    card = re.findall(r'<ul class="rows alerts">.*?</ul>', page, re.DOTALL)[0]
    assert re.findall(r'<small class="told-of".*?(Kettle \d)</small>', card) == [f"Kettle {n}" for n in (2, 4, 1, 3, 0)]


def test_the_dashboard_of_one_channel_counts_its_alerts(owner):
    listing = watched()
    AlertFactory(listing=listing)
    AlertFactory()
    page = owner.get("/", {"channel": listing.channel_id}).text
    figure = re.findall(r"Open alerts</span>.*?</div>", page, re.DOTALL)[0]
    assert ">1</a>" in figure
    assert f"channel__id__exact={listing.channel_id}" in figure


def test_without_thresholds_the_dashboard_says_how_alerts_come(owner):
    watched()
    assert "No alerts yet. An alert opens when a reading crosses a threshold." in owner.get("/").text
    ThresholdFactory()
    assert "No open alerts" in owner.get("/").text


def test_listings_with_the_worst_alerts_come_first_and_show_them(owner):
    ListingFactory(title="calm")
    AlertFactory(severity="warning", listing__title="warned")
    bad = AlertFactory(severity="critical", listing__title="bad").listing
    AlertFactory(severity="info", listing=bad)
    AlertFactory(severity="critical", listing__title="aside", status="snoozed", snoozed_until=NOW + HOUR)
    ListingFactory(title="newest")
    page = owner.get(reverse("admin:catalog_listing_changelist"))
    titles = [listing.title for listing in page.context["cl"].result_list]
    assert titles == ["bad", "warned", "newest", "aside", "calm"]
    cells = re.findall(r'<td class="field-alert">(.*?)</td>', page.text, re.DOTALL)
    assert "badge critical" in cells[0]
    assert "and 1 more" in cells[0]
    assert cells[2] == '<span class="visually-hidden">none</span>'
    with_alerts = owner.get(reverse("admin:catalog_listing_changelist"), {"tab": "alerts"})
    assert [listing.title for listing in with_alerts.context["cl"].result_list] == ["bad", "warned"]
    by_title = owner.get(reverse("admin:catalog_listing_changelist"), {"o": "-1"})
    assert next(listing.title for listing in by_title.context["cl"].result_list) == "warned"


def test_the_page_of_a_listing_shows_its_alerts_and_thresholds(owner):
    listing = watched()
    alert = AlertFactory(listing=listing, threshold__name="Kettle is cheap")
    AlertFactory(
        listing=listing,
        threshold=ThresholdFactory(channel=listing.channel, kind=Threshold.Kind.SOLD_OUT, min_price=None, name="Gone"),
        kind="sold_out",
        old_value="3",
        new_value="0",
        limit="",
        status="resolved",
        opened_at=NOW - 72 * HOUR,
        resolved_at=NOW,
        cleared_at=NOW,
    )
    ThresholdFactory(name="of another channel")
    url = reverse("admin:catalog_listing_change", args=[listing.pk])
    page = owner.get(url).text
    for words in ("Below ¥200", "Sold out, resolved", "after 3 d", "Kettle is cheap", "Gone"):
        assert words in page
    assert "of another channel" not in page
    assert f"{reverse('admin:monitoring_threshold_add')}?listing={listing.pk}" in page
    assert one(owner, "acknowledge", alert, next=url).url == url


def test_a_listing_page_costs_the_same_for_many_alerts(owner):
    listing = watched()
    counts = []
    for _step in range(2):
        for _number in range(4):
            AlertFactory(listing=listing)
        with CaptureQueriesContext(connection) as captured:
            owner.get(reverse("admin:catalog_listing_change", args=[listing.pk]))
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_the_chart_of_a_listing_is_given_its_fixed_limits(client):
    listing = watched()
    ThresholdFactory(channel=listing.channel, min_price="200", max_price="300", severity="critical")
    ThresholdFactory(channel=None, listing=listing, kind="stock_at_most", min_price=None, stock=20)
    ThresholdFactory(channel=listing.channel, min_price="9", is_active=False)
    ThresholdFactory(channel=listing.channel, min_price="8", currency="USD")
    ThresholdFactory(channel=listing.channel, min_price="7", ownership="competitor")
    ThresholdFactory(min_price="6")
    signed_in(client, "Viewer", listing.channel)
    page = client.get(reverse("admin:catalog_listing_change", args=[listing.pk])).text
    (block,) = re.findall(r'<script id="chart-limits" type="application/json">(.*?)</script>', page)
    assert [(limit["pane"], limit["value"], limit["text"], limit["severity"]) for limit in json.loads(block)] == [
        ("stock", 20, "stock alert ≤ 20", "warning"),
        ("price", 200.0, "lowest ¥200.00", "critical"),
        ("price", 300.0, "highest ¥300.00", "critical"),
    ]
