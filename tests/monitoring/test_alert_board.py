"""The alert board: what it lists to whom, in how many queries, and what is done to many alerts at once."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse

from monitoring.models import Alert, Threshold
from tests.factories import NOW, AlertFactory, ChannelFactory, ListingFactory, SkuFactory, ThresholdFactory, UserFactory
from tests.monitoring.alerting import HOUR, MAX_QUERIES, Status, act, board, fill, one, rows, told
from tests.staff import signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]


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
        signed_in(client, role, *ChannelFactory._meta.model.objects.all())
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
    signed_in(client, "Operator", shown)
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
    signed_in(client, "Viewer", seen.channel)
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
    signed_in(client, "Operator", seen.channel)
    act(client, "resolve", [seen, hidden])
    assert Alert.objects.get(status="resolved") == seen


def test_who_only_looks_is_offered_no_deed_and_can_do_none(client):
    alert = AlertFactory()
    signed_in(client, "Viewer", alert.channel)
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
