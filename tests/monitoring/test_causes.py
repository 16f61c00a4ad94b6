"""The words for why something is not known, and where a pass tells them."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from catalog.models import Listing
from integrations.connectors.base import Reading, ReadOutcome
from monitoring.causes import CAUSE_LABELS, SHORT_LABELS, cause_label, cause_lines, short_cause_label
from monitoring.models import ListingWatch, PollRun
from monitoring.services import claim_listings, close_run, ensure_watches, open_run, record, release
from tests.factories import NOW, ChannelFactory, ListingFactory

SECOND = timedelta(seconds=1)
READINGS = reverse("admin:monitoring_pollrun_changelist")


def test_every_cause_fits_into_a_narrow_column():
    for cause in CAUSE_LABELS:
        assert len(short_cause_label(cause)) <= 24, cause


def test_only_known_causes_have_a_short_form():
    assert SHORT_LABELS.keys() <= CAUSE_LABELS.keys()


def test_an_unknown_cause_and_none_at_all():
    assert [cause_label("new-here"), short_cause_label("new-here")] == ["not read", "not read"]
    assert [cause_label(""), short_cause_label("")] == ["", ""]


@pytest.mark.parametrize(
    ("causes", "lines"),
    [
        pytest.param({}, [], id="none"),
        pytest.param({"timeout": 57}, ["no answer in time"], id="one says it all"),
        pytest.param(
            {"quota": 2, "timeout": 1500}, ["no answer in time · 1,500", "too many calls · 2"], id="most first"
        ),
        pytest.param({"not-json": 3, "forbidden": 3}, ["access refused · 3", "unreadable answer · 3"], id="equal"),
        pytest.param({"new-here": 1}, ["not read"], id="unknown"),
        pytest.param({"session-invalid": 2, "forbidden": 1}, ["access refused"], id="two of the same words"),
    ],
)
def test_the_causes_of_a_pass_are_told_in_words(causes, lines):
    assert cause_lines(causes) == lines


# --- Passes ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def five(db):
    channel = ChannelFactory()
    Listing.objects.bulk_create(ListingFactory.build(channel=channel) for _ in range(5))
    ensure_watches(now=NOW)
    return channel


class Worker:
    """Leases all listings of a channel for a pass, and tells what became of them, in the order of their ids."""

    def __init__(self, channel, kind=PollRun.Kind.SCHEDULED, now=NOW):
        self.run, self.token = open_run(channel_id=channel.pk, kind=kind, now=now), uuid4()
        ids = sorted(channel.listings.values_list("pk", flat=True))
        self.claims = {c.listing_id: c for c in claim_listings(listing_ids=ids, token=self.token, now=now)}
        self.left = list(self.claims)

    def tell(self, *causes, outcome=ReadOutcome.FAILED, now=NOW):
        readings = [Reading(self.left.pop(0), outcome, cause=cause) for cause in causes]
        record(run=self.run, token=self.token, claims=self.claims, readings=readings, now=now)

    def hold(self, cause, count, now=NOW):
        ids, self.left = self.left[:count], self.left[count:]
        release(listing_ids=ids, token=self.token, run=self.run, cause=cause, now=now)

    def close(self, now=NOW):
        return close_run(run=self.run, now=now)

    @property
    def stored(self):
        return PollRun.objects.get(pk=self.run.pk)


def test_a_pass_keeps_how_many_listings_were_not_read_for_which_cause(five):
    worker = Worker(five)
    worker.tell("timeout", "timeout", "not-json")
    worker.tell("unknown-listing", "unknown-listing", outcome=ReadOutcome.MISSING)
    assert worker.close()
    assert worker.stored.causes == {"timeout": 2, "not-json": 1, "unknown-listing": 2}


def test_a_listing_that_was_read_has_no_cause(five):
    ListingWatch.objects.update(cause="timeout")
    run = open_run(channel_id=five.pk, kind=PollRun.Kind.REQUESTED, now=NOW)
    # What was odd about a good reading is no reason why it was not read.
    ListingWatch.objects.update(outcome="read", cause="price-not-positive", poll_run=run.pk)
    close_run(run=run, now=NOW)
    stored = PollRun.objects.get()
    assert (stored.causes, stored.read_count) == ({}, 5)


def test_a_requested_reading_that_the_channel_refused_is_listed_with_its_cause(five, admin_client):
    worker = Worker(five, PollRun.Kind.REQUESTED)
    worker.hold("session-invalid", 5)
    worker.close()
    assert (worker.stored.failed_count, worker.stored.causes) == (5, {"session-invalid": 5})
    assert "access refused" in admin_client.get(READINGS).text


def test_a_pass_that_is_held_says_why_while_it_is_under_way(five, admin_client):
    worker = Worker(five)
    worker.hold("session-invalid", 5)
    assert not worker.close()
    assert worker.stored.causes == {"session-invalid": 5}
    assert "access refused" in admin_client.get(READINGS).text
    again = Worker(five, now=NOW + SECOND)
    again.tell(*["unknown-listing"] * 5, outcome=ReadOutcome.MISSING, now=NOW + SECOND)
    assert again.close()
    assert again.stored.causes == {"unknown-listing": 5}


def test_causes_that_come_after_a_pass_was_ended_are_added_to_it(five):
    type(five).objects.update(is_watched=False)
    worker = Worker(five)
    worker.tell("timeout", "timeout")
    assert worker.close()
    ListingWatch.objects.filter(pk=min(worker.claims)).update(poll_run=None)  # it is a later pass's now
    worker.tell("not-json", "timeout", "timeout", now=NOW + SECOND)
    assert worker.close(now=NOW + SECOND)
    assert worker.stored.failed_count == 5
    assert worker.stored.causes == {"timeout": 4, "not-json": 1}


def test_readings_name_each_cause_and_cost_no_query_more(five, admin_client):
    run = Worker(five).run
    PollRun.objects.filter(pk=run.pk).update(finished_at=NOW, failed_count=3, causes={"timeout": 2, "quota": 1})

    def page():
        with CaptureQueriesContext(connection) as captured:
            text = admin_client.get(READINGS).text
        return text, len(captured)

    page()
    text, queries = page()
    assert "no answer in time · 2" in text
    assert "too many calls · 1" in text
    for _ in range(20):
        five.poll_runs.create(started_at=NOW, finished_at=NOW, failed_count=1, causes={"forbidden": 1})
    assert page()[1] == queries <= 12


def test_readings_name_the_causes_in_chinese(five, admin_client):
    five.poll_runs.create(started_at=NOW, finished_at=NOW, failed_count=1, causes={"timeout": 1})
    admin_client.cookies["django_language"] = "zh-hans"
    text = admin_client.get(READINGS).text
    assert "no answer in time" not in text
    assert "timeout" not in text


def test_a_pass_of_before_causes_were_kept_is_not_said_to_have_none(five, admin_client):
    five.poll_runs.create(started_at=NOW, finished_at=NOW, failed_count=1)
    assert "not kept" in admin_client.get(READINGS).text
