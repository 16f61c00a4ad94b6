"""The alert board, the page of an alert, and where else open alerts are shown: to whom, in how many queries."""

import json
import re
from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from catalog.models import AuditEvent
from monitoring.models import Alert, Severity, Threshold
from tests.factories import (
    NOW,
    AlertFactory,
    ChannelFactory,
    CredentialFactory,
    ListingFactory,
    SkuFactory,
    ThresholdFactory,
    UserFactory,
)
from tests.monitoring.watching import observe, watched

pytestmark = pytest.mark.django_db

BOARD = "admin:monitoring_alert_changelist"
HOUR = timedelta(hours=1)
MAX_QUERIES = 12
Status = Alert.Status


@pytest.fixture(autouse=True)
def _now():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def owner(client):
    client.force_login(UserFactory(username="li", is_superuser=True))
    return client


def member(client, role, *channels):
    user = UserFactory()
    user.groups.add(Group.objects.get(name=role))
    user.channels.set(channels)
    client.force_login(user)
    return user


def fill(count):
    """Alerts of every status and severity on listings of channels of their own, some with an owner."""
    people = UserFactory.create_batch(3)
    for number in range(count):
        AlertFactory(
            severity=Severity.values[number % 3],
            listing=ListingFactory(sku=SkuFactory()),
            status=Status.OPEN if number % 2 else Status.ACKNOWLEDGED,
            owner=people[number % 3],
            opened_at=NOW - number * HOUR,
        )


def board(client, **query):
    return client.get(reverse(BOARD), query)


def rows(client, **query):
    return list(board(client, **query).context["cl"].result_list)


def act(client, action, alerts, *, url="", **data):
    posted = {"action": action, "index": "0", "select_across": "0", "_selected_action": [each.pk for each in alerts]}
    return client.post(reverse(BOARD) + url, {**posted, **data}, follow=True)


def one(client, verb, alert, **data):
    return client.post(reverse(f"admin:monitoring_alert_{verb}", args=[alert.pk]), data)


def told(answer):
    return [str(message) for message in answer.context["messages"]]


# --- The list ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [5, 50])
@pytest.mark.parametrize("role", ["owner", "Manager", "Operator"])
def test_the_board_costs_the_same_few_queries_however_many_alerts_there_are(
    client, django_assert_max_num_queries, count, role
):
    fill(count)
    if role == "owner":
        client.force_login(UserFactory(is_superuser=True))
    else:
        member(client, role, *ChannelFactory._meta.model.objects.all())
    with django_assert_max_num_queries(MAX_QUERIES):
        page = board(client, tab="all")
    assert len(page.context["cl"].result_list) == count


def test_the_worst_come_first_and_of_those_the_newest(owner):
    found = [
        AlertFactory(severity=severity, opened_at=NOW - hours * HOUR)
        for severity, hours in (("info", 0), ("critical", 5), ("warning", 1), ("critical", 2), ("warning", 9))
    ]
    assert rows(owner) == [found[3], found[1], found[2], found[4], found[0]]
    assert rows(owner, o="4")[0] == found[4], "sorted by a column, the severity does not come first"


def test_saved_views_count_and_narrow(owner):
    mine = UserFactory._meta.model.objects.get(username="li")
    made = {status: AlertFactory(**fields) for status, fields in BY_STATUS.items()}
    own = AlertFactory(owner=mine)
    AlertFactory(owner=mine, status="resolved", resolved_at=NOW, cleared_at=NOW)
    tabs = {str(tab["label"]): tab["count"] for tab in board(owner).context["cl"].tabs}
    assert tabs == {"Open": 2, "Acknowledged": 1, "Snoozed": 1, "Resolved": 2, "All": 6, "Mine": 1}
    assert set(rows(owner)) == {made["open"], own}
    assert rows(owner, tab="acknowledged") == [made["acknowledged"]]
    assert rows(owner, tab="snoozed") == [made["snoozed"]]
    assert rows(owner, tab="mine") == [own]


BY_STATUS = {
    "open": {},
    "acknowledged": {"status": "acknowledged", "acknowledged_at": NOW},
    "snoozed": {"status": "snoozed", "snoozed_until": NOW + HOUR},
    "resolved": {"status": "resolved", "resolved_at": NOW, "cleared_at": NOW},
}


@pytest.mark.parametrize(
    "query",
    [
        {"severity__exact": "critical"},
        {"kind__exact": "stock_at_most"},
        {"owner": "me"},
        {"opened": "1"},
        {"q": "EV-9"},
        {"q": "616999"},
        {"q": "MOKA"},
    ],
)
def test_filters_and_search_find_by_what_staff_know(owner, query):
    li = UserFactory._meta.model.objects.get(username="li")
    listing = ListingFactory(title="MOKA pot", sku=SkuFactory(code="EV-9"), platform_item_id="616999")
    wanted = AlertFactory(
        listing=listing, severity="critical", kind="stock_at_most", owner=li, old_value="", limit="20"
    )
    wanted.new_value = "18"
    wanted.save()
    AlertFactory(opened_at=NOW - 40 * HOUR, owner=UserFactory(username="wang"))
    assert rows(owner, **query) == [wanted]


def test_the_board_filters_by_people_nobody_and_a_threshold_it_was_led_to_with(owner):
    wang = UserFactory(username="wang")
    owned, free = AlertFactory(owner=wang), AlertFactory()
    assert rows(owner, owner=wang.pk) == [owned]
    assert rows(owner, owner="nobody") == [free]
    assert rows(owner, threshold=free.threshold_id) == [free]
    assert rows(owner, owner="x") == rows(owner, owner="9" * 30) == []


def test_the_board_of_a_threshold_that_is_not_there_is_empty_and_says_so(owner):
    AlertFactory()
    threshold = AlertFactory().threshold
    deleted = threshold.pk
    threshold.delete()
    for asked in (deleted, "x", "", "-1", "²", "1'", 2**63, "9" * 30):
        page = board(owner, threshold=asked, tab="all")
        assert list(page.context["cl"].result_list) == [], asked
        assert "It was deleted, or you may not see it." in page.text, asked
        assert "<strong>Unknown threshold</strong>" in page.text, asked
        assert re.search(r'<a class="btn" href="\?tab=all">Clear filters</a>', page.text), asked
    assert "It was deleted" not in board(owner, threshold=Threshold.objects.get().pk).text


def test_the_board_of_a_threshold_that_one_may_not_see_is_empty(client):
    shown, hidden = ChannelFactory(), ChannelFactory()
    threshold = ThresholdFactory(channel=hidden)
    AlertFactory(listing=ListingFactory(channel=shown), threshold=threshold)
    member(client, "Operator", shown)
    assert len(rows(client)) == 1
    assert rows(client, threshold=threshold.pk) == []
    assert "It was deleted, or you may not see it." in board(client, threshold=threshold.pk).text


def test_the_board_calls_the_value_of_the_crossing_then(owner):
    AlertFactory()
    text = board(owner).text
    assert "Before → then" in text
    assert "before → now" not in text.lower()


def test_the_board_shows_only_what_the_person_sees(client):
    seen, hidden = AlertFactory(), AlertFactory(listing__title="not for you")
    member(client, "Viewer", seen.channel)
    page = board(client, tab="all")
    assert list(page.context["cl"].result_list) == [seen]
    assert "not for you" not in page.text
    assert [tab["count"] for tab in page.context["cl"].tabs] == [1, 0, 0, 0, 1, 0]
    assert client.get(reverse("admin:monitoring_alert_change", args=[hidden.pk])).status_code == 404


def test_a_row_tells_what_was_before_what_is_and_the_limit(owner):
    AlertFactory(listing__title="Kettle", opened_at=NOW - 3 * HOUR, count=3)
    text = board(owner).text
    for words in ("Below ¥200", "Kettle", "¥268.00 → ¥189.00", "limit ¥200.00", "3 h ago", "3 times", "Warning"):
        assert words in text
    (cell,) = re.findall(r'<td class="field-owner">(.*?)</td>', text)
    assert cell == '<span class="visually-hidden">nobody</span>'


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"kind": "blind", "old_value": "2026-11-21T01:00:00+00:00", "new_value": "", "limit": "5"},
            "Not read any more",
        ),
        ({"kind": "authorisation", "old_value": "", "new_value": "2026-11-23T01:00:00+00:00", "limit": "7"}, "until"),
        ({"kind": "off_shelf", "old_value": "", "new_value": "", "limit": ""}, "Off shelf"),
        ({"kind": "sold_out", "old_value": "3", "new_value": "0", "limit": ""}, "3 → 0"),
        ({"kind": "price_change", "limit": "10.00", "reference": "median"}, "limit 10.0%"),
        ({"kind": "volatility", "old_value": "100.00", "new_value": "150.00", "limit": "20.00"}, "¥100.00 → ¥150.00"),
        ({"old_value": ""}, "¥189.00"),
    ],
)
def test_each_kind_is_shown_on_the_board_and_on_its_page(owner, fields, words):
    alert = AlertFactory(**fields)
    assert words in board(owner).text
    assert owner.get(reverse("admin:monitoring_alert_change", args=[alert.pk])).status_code == 200


def test_an_alert_about_a_whole_channel_leads_to_the_channel(owner):
    channel = ChannelFactory(name="一家店")
    alert = AlertFactory(listing=None, channel=channel, kind="authorisation", new_value="2026-11-23T01:00:00+00:00")
    address = reverse("admin:catalog_channel_change", args=[channel.pk])
    assert f'<a href="{address}">' in board(owner).text
    assert f'<a href="{address}">' in owner.get(reverse("admin:monitoring_alert_change", args=[alert.pk])).text


def test_an_empty_board_says_what_would_fill_it(owner):
    text = board(owner).text
    assert "No alerts yet" in text
    assert "An alert opens when a reading crosses a threshold." in text
    assert f'<a class="btn primary" href="{reverse("admin:monitoring_threshold_add")}">Add a threshold</a>' in text
    AlertFactory(status="acknowledged")
    assert "No open alerts" in board(owner).text
    assert "No alerts match these filters" in board(owner, q="zzz").text


def test_alerts_are_neither_added_nor_deleted_by_hand(owner):
    alert = AlertFactory()
    assert owner.get(reverse("admin:monitoring_alert_add")).status_code == 403
    assert owner.post(reverse("admin:monitoring_alert_delete", args=[alert.pk]), {"post": "yes"}).status_code == 403
    assert owner.post(reverse("admin:monitoring_alert_change", args=[alert.pk]), {"status": "x"}).status_code == 403
    assert act(owner, "delete_selected", [alert], post="yes").status_code == 200
    assert Alert.objects.get() == alert


# --- Bulk actions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "status", "words"),
    [
        ("acknowledge", "acknowledged", "Acknowledged 2 alerts."),
        ("resolve", "resolved", "Resolved 2 alerts."),
        ("assign_to_me", "open", "2 alerts are yours now."),
    ],
)
def test_chosen_alerts_are_changed_together(owner, action, status, words):
    chosen, other = AlertFactory.create_batch(2), AlertFactory()
    assert told(act(owner, action, chosen)) == [words]
    assert {alert.status for alert in Alert.objects.exclude(pk=other.pk)} == {status}
    assert Alert.objects.get(pk=other.pk).status == Status.OPEN
    owners = {alert.owner and alert.owner.username for alert in Alert.objects.exclude(pk=other.pk)}
    assert owners == ({"li"} if action == "assign_to_me" else {None})


def test_snoozing_asks_until_when(owner):
    chosen = AlertFactory.create_batch(2)
    page = act(owner, "snooze", chosen)
    assert "Snooze 2 alerts until when?" in page.text
    assert Alert.objects.filter(status="snoozed").count() == 0
    done = act(owner, "snooze", chosen, confirmed="1", choice="4h")
    assert told(done) == ["Snoozed 2 alerts."]
    assert set(Alert.objects.values_list("status", "snoozed_until")) == {("snoozed", NOW + 4 * HOUR)}


@pytest.mark.parametrize(
    ("data", "until"),
    [
        ({"choice": "1h"}, NOW + HOUR),
        # NOW is 12:00 in Shanghai, the zone of the site.
        ({"choice": "tomorrow"}, NOW + 21 * HOUR),
        ({"choice": "time", "until": "2026-11-30T09:30"}, NOW + timedelta(days=8, hours=21, minutes=30)),
    ],
)
def test_a_snooze_ends_when_the_person_said(owner, data, until):
    alert = AlertFactory()
    one(owner, "snooze", alert, **data)
    alert.refresh_from_db()
    assert (alert.status, alert.snoozed_until) == ("snoozed", until)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({}, "This field is required."),
        ({"choice": "time"}, "Enter a date and a time"),
        ({"choice": "time", "until": "soon"}, "Enter a date and a time"),
        ({"choice": "time", "until": "2026-11-21T11:59"}, "This time is over."),
        ({"choice": "time", "until": "2027-11-21T11:59"}, "90 days at most"),
    ],
)
def test_a_snooze_without_an_end_to_come_is_refused_in_words(owner, data, words):
    alert = AlertFactory()
    answer = one(owner, "snooze", alert, confirmed="1", **data)
    assert words in answer.content.decode()
    assert Alert.objects.get().status == Status.OPEN


def test_more_than_fifty_alerts_are_asked_about_first(owner):
    threshold = ThresholdFactory()
    listings = ListingFactory.create_batch(60, channel=threshold.channel)
    alerts = [AlertFactory(listing=listing, threshold=threshold) for listing in listings]
    page = act(owner, "resolve", alerts[:50], select_across="1")
    assert "Resolve 60 alerts?" in page.text
    assert "and 50 more" in page.text
    assert Alert.objects.filter(status="resolved").count() == 0
    assert told(act(owner, "resolve", alerts[:50], select_across="1", confirmed="1")) == ["Resolved 60 alerts."]


def test_a_bulk_action_reaches_only_what_the_person_sees(client):
    seen, hidden = AlertFactory(), AlertFactory()
    member(client, "Operator", seen.channel)
    act(client, "resolve", [seen, hidden])
    assert Alert.objects.get(status="resolved") == seen


def test_who_only_looks_is_offered_no_deed_and_can_do_none(client):
    alert = AlertFactory()
    member(client, "Viewer", alert.channel)
    page = board(client)
    assert 'name="action"' not in page.text
    act(client, "resolve", [alert])
    for verb in ("acknowledge", "resolve", "reopen", "snooze", "handle"):
        assert one(client, verb, alert, choice="1h", note="x").status_code == 403
    text = client.get(reverse("admin:monitoring_alert_change", args=[alert.pk])).text
    assert "Acknowledge" not in text
    assert Alert.objects.get().status == Status.OPEN


def test_only_what_applies_is_offered_in_each_view(owner):
    for fields in BY_STATUS.values():
        AlertFactory(**fields)

    def offered(tab):
        return re.findall(r'name="action" value="(\w+)"', board(owner, tab=tab).text)

    assert offered("open") == ["acknowledge", "snooze", "resolve", "assign_to_me"]
    assert offered("resolved") == ["reopen"]
    assert offered("all") == ["acknowledge", "snooze", "resolve", "assign_to_me", "reopen"]


def test_what_somebody_else_did_already_is_said(owner):
    alert = AlertFactory(status="resolved", resolved_at=NOW, cleared_at=NOW)
    answer = act(owner, "resolve", [alert], url="?tab=all")
    assert told(answer) == ["No alert was changed. Left alone: 1 resolved already."]


@pytest.mark.parametrize(
    ("action", "words", "statuses"),
    [
        (
            "acknowledge",
            "Acknowledged 1 alert. Left alone: 1 resolved already, 1 acknowledged already, 1 that stays snoozed.",
            ["acknowledged", "acknowledged", "snoozed", "resolved"],
        ),
        ("resolve", "Resolved 3 alerts. Left alone: 1 resolved already.", ["resolved"] * 4),
        (
            "reopen",
            "Reopened 2 alerts. Left alone: 1 open already, 1 whose condition is over.",
            ["open", "open", "open", "resolved"],
        ),
        (
            "assign_to_me",
            "3 alerts are yours now. Left alone: 1 yours already.",
            ["open", "acknowledged", "snoozed", "resolved"],
        ),
    ],
)
def test_a_bulk_action_says_which_alerts_it_left_alone_and_why(owner, action, words, statuses):
    chosen = [AlertFactory(**fields) for fields in BY_STATUS.values()]
    Alert.objects.filter(pk=chosen[0].pk).update(owner=UserFactory._meta.model.objects.get(username="li"))
    assert told(act(owner, action, chosen, url="?tab=all")) == [words]
    assert [alert.status for alert in Alert.objects.order_by("pk")] == statuses


def test_snoozing_says_which_alerts_it_left_alone(owner):
    chosen = [AlertFactory(**fields) for fields in BY_STATUS.values()]
    answer = act(owner, "snooze", chosen, url="?tab=all", confirmed="1", choice="4h")
    assert told(answer) == ["Snoozed 3 alerts. Left alone: 1 resolved already."]


@pytest.mark.parametrize("count", [1, 2])
def test_only_snoozed_alerts_chosen_are_acknowledged_and_the_end_of_their_snooze_is_said(owner, count):
    chosen = AlertFactory.create_batch(count, **BY_STATUS["snoozed"])
    (words,) = told(act(owner, "acknowledge", chosen, url="?tab=snoozed"))
    assert "whose snooze ended with it" in words
    assert set(Alert.objects.values_list("status", "snoozed_until")) == {("acknowledged", None)}


# --- The page of one alert --------------------------------------------------------------------------------------------


def test_an_alert_is_taken_care_of_on_its_page(owner):
    alert = AlertFactory(listing__title="Kettle")
    url = reverse("admin:monitoring_alert_change", args=[alert.pk])
    for verb, status in (("acknowledge", "acknowledged"), ("resolve", "resolved"), ("reopen", "open")):
        assert one(owner, verb, alert).url == url
        assert Alert.objects.get().status == status
    page = owner.get(url).text
    assert "<h1>Below ¥200</h1>" in page
    for words in ("¥268.00", "¥189.00", "¥200.00", "Kettle", "acknowledged", "resolved", "li"):
        assert words in page
    assert AuditEvent.objects.filter(object_type="monitoring.alert").count() == 3


def test_a_deed_is_never_done_by_opening_an_address(owner):
    alert = AlertFactory()
    for verb in ("acknowledge", "resolve", "reopen", "handle"):
        assert owner.get(reverse(f"admin:monitoring_alert_{verb}", args=[alert.pk])).status_code == 405
    assert "until when?" in owner.get(reverse("admin:monitoring_alert_snooze", args=[alert.pk])).text
    assert Alert.objects.get().status == Status.OPEN


def test_a_deed_needs_the_token_of_the_page():
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(UserFactory(is_superuser=True))
    assert one(strict, "resolve", AlertFactory()).status_code == 403


@pytest.mark.parametrize("verb", ["acknowledge", "resolve", "reopen", "snooze", "handle"])
def test_an_alert_that_the_person_does_not_see_is_not_there(client, verb):
    seen, hidden = AlertFactory(), AlertFactory()
    member(client, "Operator", seen.channel)
    assert one(client, verb, hidden, choice="1h").status_code == 404
    hidden.refresh_from_db()
    assert hidden.status == Status.OPEN


def test_owner_and_note_are_stored_and_shown(owner):
    alert = AlertFactory()
    colleague = UserFactory(is_superuser=True, first_name="Mei", last_name="Wang")
    outsider = UserFactory()  # sees no channel
    one(owner, "handle", alert, owner=colleague.pk, note="supplier was asked")
    page = owner.get(reverse("admin:monitoring_alert_change", args=[alert.pk])).text
    assert "supplier was asked" in page
    assert "Mei Wang</option>" in page
    assert f'value="{outsider.pk}"' not in page
    one(owner, "handle", alert, owner=outsider.pk, note="")
    alert.refresh_from_db()
    assert alert.owner == colleague
    one(owner, "handle", alert, owner="", note="")
    alert.refresh_from_db()
    assert alert.owner is None


@pytest.mark.parametrize(
    ("to", "expected"),
    [("/catalog/listing/", "/catalog/listing/"), ("https://elsewhere.example/", None), ("javascript:alert(1)", None)],
)
def test_a_deed_leads_back_to_where_its_button_was_but_never_off_the_site(owner, to, expected):
    alert = AlertFactory()
    page = reverse("admin:monitoring_alert_change", args=[alert.pk])
    assert one(owner, "acknowledge", alert, next=to).url == (expected or page)
    asked = owner.get(reverse("admin:monitoring_alert_snooze", args=[alert.pk]), {"next": to}).text
    assert (f'href="{to}"' in asked) is (expected is not None)


def test_what_is_over_is_not_reopened_by_a_button(owner):
    alert = AlertFactory(status="resolved", resolved_at=NOW, cleared_at=NOW)
    assert "Reopen" not in owner.get(reverse("admin:monitoring_alert_change", args=[alert.pk])).text


def facts(page):
    """The facts of an object page: label, figure and the line below it."""
    found = re.findall(
        r'<div class="fact[^"]*"><span class="label">(.*?)</span><strong>(.*?)</strong><small>(.*?)</small></div>',
        page.text,
        re.DOTALL,
    )
    return {label: (re.sub(r"<.*?>", "", figure), re.sub(r"<.*?>", "", line)) for label, figure, line in found}


def page_of(client, alert):
    return client.get(reverse("admin:monitoring_alert_change", args=[alert.pk]))


def test_the_page_shows_what_it_is_now_with_the_age_of_the_reading(owner):
    listing = watched(read=timedelta(minutes=4))
    observe(listing, timedelta(minutes=4), list_price=Decimal(179))
    alert = AlertFactory(listing=listing, opened_at=NOW - 3 * HOUR)
    shown = facts(page_of(owner, alert))
    assert shown["Then"] == ("¥189.00", "read 2026-11-21 09:00")
    assert shown["Now"] == ("¥179.00", "read 4 min ago")


def test_a_stock_that_stands_alone_has_its_unit(owner):
    alert = AlertFactory(kind="stock_at_most", fact="stock", old_value="8", new_value="1", limit="5")
    shown = facts(page_of(owner, alert))
    assert [shown[name][0] for name in ("Before", "Then", "Limit")] == ["8 units", "1 unit", "5 units"]


@pytest.mark.parametrize(
    ("read", "line"),
    [(timedelta(hours=3), "not read since 09:00, last ¥179.00"), (None, "not read yet")],
    ids=["not read for hours", "never read"],
)
def test_what_is_not_known_now_is_not_shown_as_the_present_value(owner, read, line):
    listing = watched(read=read)
    if read:
        observe(listing, read, list_price=Decimal(179))
    assert facts(page_of(owner, AlertFactory(listing=listing)))["Now"] == ("—", line)


@pytest.mark.parametrize(
    ("fields", "now"),
    [
        ({"kind": "sold_out", "fact": "stock", "old_value": "3", "new_value": "0", "limit": ""}, "12 units"),
        ({"kind": "off_shelf", "fact": "stock", "old_value": "", "new_value": "off_shelf", "limit": ""}, "On shelf"),
        ({"kind": "blind", "fact": "", "old_value": "", "new_value": "", "limit": "5"}, None),
    ],
)
def test_the_present_value_is_of_the_fact_that_the_alert_is_about(owner, fields, now):
    listing = watched()
    observe(listing, timedelta(minutes=1), list_price=Decimal(9), stock=12)
    shown = facts(page_of(owner, AlertFactory(listing=listing, **fields)))
    assert shown.get("Now", (None,))[0] == now


@pytest.mark.parametrize(
    "fields",
    [
        {"old_value": "189.00"},
        {"kind": "stock_at_most", "fact": "stock", "old_value": "4", "new_value": "4", "limit": "20"},
    ],
)
def test_what_was_true_before_the_threshold_watched_is_not_told_as_a_change(owner, fields):
    shown = facts(page_of(owner, AlertFactory(**fields)))
    assert "Before" not in shown
    assert shown["Then"][1].startswith("already true when the threshold began to watch")


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ({"kind": "authorisation", "fact": "", "old_value": "", "new_value": "2026-11-23T01:00:00+00:00"}, "Ends"),
        ({"kind": "blind", "fact": "", "old_value": "", "new_value": "", "limit": "5"}, "Last read"),
        ({"kind": "off_shelf", "fact": "stock", "old_value": "", "new_value": "", "limit": ""}, "Now"),
    ],
)
def test_every_fact_has_a_label(owner, fields, label):
    shown = facts(page_of(owner, AlertFactory(**fields)))
    assert next(iter(shown)) == label
    assert "" not in shown


def test_who_acknowledged_it_and_whom_it_waits_for_is_said(owner):
    alert = AlertFactory()
    assert facts(page_of(owner, alert))["Status"] == ("Open", "waits for somebody")
    colleague = UserFactory(is_superuser=True, first_name="Mei", last_name="Wang")
    one(owner, "handle", alert, owner=colleague.pk, note="")
    assert facts(page_of(owner, alert))["Status"] == ("Open", "waits for Mei Wang")
    one(owner, "acknowledge", alert)
    assert facts(page_of(owner, alert))["Status"] == ("Acknowledged", "by li · 2026-11-21 12:00")
    one(owner, "resolve", alert)
    assert facts(page_of(owner, alert))["Status"] == ("Resolved", "by li · 2026-11-21 12:00")
    Alert.objects.update(resolved_by=None)
    assert facts(page_of(owner, alert))["Status"] == ("Resolved", "by itself · 2026-11-21 12:00")


def authorisation_alert(**fields):
    channel = CredentialFactory().channel
    ends = {"kind": "authorisation", "fact": "", "old_value": "", "new_value": "2026-11-23T01:00:00+00:00"}
    return AlertFactory(listing=None, channel=channel, limit="7", **ends, **fields)


def test_an_authorisation_that_ends_is_renewed_from_its_alert(owner):
    alert = authorisation_alert()
    address = reverse("integrations:authorise", args=[alert.channel_id])
    page = page_of(owner, alert).text
    assert f'<a class="btn primary" href="{address}">Re-authorise</a>' in page
    assert '<button class="btn">Acknowledge</button>' in page, "one filled button is enough"
    assert "Re-authorise" not in page_of(owner, AlertFactory()).text


@pytest.mark.parametrize("role", ["Operator", "Viewer"])
def test_who_may_not_connect_a_channel_is_not_sent_to_authorise_it(client, role):
    alert = authorisation_alert()
    member(client, role, alert.channel)
    assert "Re-authorise" not in page_of(client, alert).text


def test_an_authorisation_that_was_renewed_needs_no_button(owner):
    alert = authorisation_alert(status="resolved", resolved_at=NOW, cleared_at=NOW)
    assert "Re-authorise" not in page_of(owner, alert).text


# --- Bell, dashboard, listings ----------------------------------------------------------------------------------------


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
    member(client, "Viewer", seen.channel)
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
    assert re.findall(r"<span>(Kettle \d)</span>", card) == [f"Kettle {n}" for n in (2, 4, 1, 3, 0)]


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
    member(client, "Viewer", listing.channel)
    page = client.get(reverse("admin:catalog_listing_change", args=[listing.pk])).text
    (block,) = re.findall(r'<script id="chart-limits" type="application/json">(.*?)</script>', page)
    assert [(limit["pane"], limit["value"], limit["text"], limit["severity"]) for limit in json.loads(block)] == [
        ("stock", 20, "stock alert ≤ 20", "warning"),
        ("price", 200.0, "lowest ¥200.00", "critical"),
        ("price", 300.0, "highest ¥300.00", "critical"),
    ]
