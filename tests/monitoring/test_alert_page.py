"""The page of one alert: what it tells of then and now, and what is done there."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from catalog.models import AuditEvent
from monitoring.models import Alert
from tests.factories import NOW, AlertFactory, CredentialFactory, UserFactory
from tests.monitoring.alerting import HOUR, Status, one
from tests.monitoring.watching import observe, watched
from tests.staff import signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]


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
    signed_in(client, "Operator", seen.channel)
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
    signed_in(client, role, alert.channel)
    assert "Re-authorise" not in page_of(client, alert).text


def test_an_authorisation_that_was_renewed_needs_no_button(owner):
    alert = authorisation_alert(status="resolved", resolved_at=NOW, cleared_at=NOW)
    assert "Re-authorise" not in page_of(owner, alert).text
