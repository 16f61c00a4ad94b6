"""Every figure leads to the attempts behind it: the page of a listing, the runs, and what other pages tell of them."""

from datetime import timedelta

import pytest
from django.utils import timezone
from django.utils.html import escape

from catalog.models import StockRule
from catalog.stock.availability import Rule, target_of
from catalog.stock.explaining import explain
from integrations.models import ChannelSync, ListingSync, SyncAttempt, SyncItem, SyncRun
from tests.factories import ChannelFactory, CredentialFactory, ListingFactory, SkuFactory, UserFactory
from tests.staff import signed_in

pytestmark = pytest.mark.django_db
RUNS = "/integrations/syncrun/"
SECRET = "shpat_0123456789abcdef"
START = timezone.now()


@pytest.fixture
def channel(db):
    found = CredentialFactory(channel__name="Nuanju Home", access_token=SECRET).channel
    ChannelSync.objects.create(channel=found, is_on=True, is_confirmed=True)
    return found


@pytest.fixture
def operator(client, channel):
    return signed_in(client, "Operator", channel)


@pytest.fixture
def row(channel):
    listing = ListingFactory(channel=channel, sku=SkuFactory(), title="Enamel pot")
    return ListingSync.objects.create(
        listing=listing, channel=channel, state="refused", cause="refused-by-rule", changed_at=START
    )


@pytest.fixture
def run(channel):
    return SyncRun.objects.create(
        channel=channel, kind="incremental", started_at=START, ended_at=START, total=3, sent=1, refused=2
    )


def item(run, row, outcome="refused", **fields):
    values = {"before": 12, "wanted": 10, "steps": [["available", None, 23], ["cap", 10, 10]], "created_at": START}
    return SyncItem.objects.create(run=run, listing=row.listing, outcome=outcome, **{**values, **fields})


def attempt(of, **fields):
    values = {"sent_at": START, "quantity": 10, "status": "applied", "kind": "push"}
    return SyncAttempt.objects.create(item=of, **{**values, **fields})


def page_of(row):
    return f"/integrations/listingsync/{row.pk}/change/"


# --- The page of a listing ------------------------------------------------------------------------------------------


def test_it_tells_each_attempt_as_it_was(client, row, run, operator):
    made = item(run, row)
    attempt(made, kind="look", quantity=None, shown=12, status="read", duration_ms=31)
    attempt(
        made,
        expected=12,
        status="refused",
        cause="refused-by-rule",
        error_class="review",
        code="isv.item-locked:1042",
        key="2f1c-key",
        duration_ms=1234,
    )
    text = client.get(page_of(row)).text
    for told in (
        "12 → 10",
        escape(explain(target_of(23, Rule(cap=10)))),
        str(run.correlation_id),
        f"{RUNS}{run.pk}/change/",
        "A rule of Nuanju Home refused the item",
        "isv.item-locked:1042",
        "needs a person",
        "2f1c-key",
        "1,234 ms",
        "Read back",
    ):
        assert told in text, told
    assert text.index("31 ms") < text.index("1,234 ms")
    assert SECRET not in text


@pytest.mark.parametrize(
    "status", ["applied", "accepted", "refused", "stale", "unknown", "lost", "failed", "read", "unread"]
)
def test_every_outcome_of_a_call_has_its_words(client, row, run, operator, status):
    attempt(item(run, row), status=status)
    assert f"{status}</span>" not in client.get(page_of(row)).text


@pytest.mark.parametrize("steps", [[], [["abolished", 1, 2]], [["available", 3]]])
def test_what_an_older_version_logged_is_shown_without_its_sentence(client, row, run, operator, steps):
    item(run, row, steps=steps)
    assert "12 → 10" in client.get(page_of(row)).text


def test_its_history_is_read_page_by_page_newest_first(client, row, run, operator):
    made = [item(run, row, wanted=number) for number in range(23)]
    text = client.get(page_of(row)).text
    assert text.index("12 → 22") < text.index("12 → 21")
    assert "12 → 2 " not in text
    older = f"?before={made[3].pk}"
    assert older in text
    text = client.get(page_of(row) + older).text
    assert "12 → 2 " in text
    assert "12 → 3 " not in text
    assert "Newest" in text
    for nonsense in ("x", "-1", "9" * 30):
        assert client.get(f"{page_of(row)}?before={nonsense}").status_code == 200


def test_another_location_of_the_same_listing_has_a_history_of_its_own(client, row, run, operator):
    attempt(item(run, row, location_id="gid://shopify/Location/7"), key="key-of-another-place")
    text = client.get(page_of(row)).text
    assert "key-of-another-place" not in text
    assert "Nothing was sent yet." in text


def test_a_page_takes_few_queries_however_long_its_history(client, row, run, operator, django_assert_max_num_queries):
    for _number in range(15):
        attempt(item(run, row))
    client.get(page_of(row))
    with django_assert_max_num_queries(20):
        client.get(page_of(row))


# --- Runs -----------------------------------------------------------------------------------------------------------


def test_runs_are_listed_with_their_counts(client, channel, run, operator):
    asked = SyncRun.objects.create(channel=channel, kind="retry", started_at=START, total=5, asked_by=operator)
    page = client.get(RUNS)
    assert list(page.context["cl"].result_list) == [asked, run]
    assert "Running" in page.text
    assert str(operator) in page.text
    assert list(client.get(f"{RUNS}?tab=trouble").context["cl"].result_list) == [run]
    assert list(client.get(f"{RUNS}?tab=running").context["cl"].result_list) == [asked]


def test_a_run_leads_to_the_attempts_of_each_listing(client, row, run, operator):
    made = item(run, row)
    attempt(made, status="refused", cause="refused-by-rule")
    other = ListingSync.objects.create(listing=ListingFactory(channel=run.channel, title="Lid"), channel=run.channel)
    item(run, other, "confirmed")
    address = f"{RUNS}{run.pk}/change/"
    text = client.get(address).text
    assert "Enamel pot" in text
    assert "Lid" in text
    assert f"{page_of(row)}?before={made.pk + 1}#item-{made.pk}" in text
    assert "Refused by a rule of the platform" in text
    refused, sent = (client.get(f"{address}?outcome={outcome}").text for outcome in ("refused", "sent"))
    assert ("Enamel pot" in refused, "Lid" in refused) == (True, False)
    assert ("Enamel pot" in sent, "Lid" in sent) == (False, True)
    assert client.get(f"{address}?outcome=<b>&before=x").status_code == 200


def test_a_long_run_is_read_page_by_page(client, row, run, operator):
    made = [item(run, row, wanted=number) for number in range(55)]
    text = client.get(f"{RUNS}{run.pk}/change/").text
    assert f"?before={made[5].pk}" in text
    assert "There is nothing older" in client.get(f"{RUNS}{run.pk}/change/?before={made[0].pk}").text


def test_a_run_that_goes_on_shows_how_far_it_is(client, channel, operator):
    run = SyncRun.objects.create(channel=channel, kind="full", started_at=START, total=200, sent=30, unchanged=50)
    text = client.get(f"{RUNS}{run.pk}/change/").text
    assert '<progress value="80" max="200"' in text
    assert "80 of 200" in text
    assert "live.js" in text
    ChannelSync.objects.update(is_paused=True)
    assert "The sync of the channel is paused." in client.get(f"{RUNS}{run.pk}/change/").text
    SyncRun.objects.update(ended_at=START)
    assert "live.js" not in client.get(f"{RUNS}{run.pk}/change/").text


def test_the_page_of_a_dry_run_is_its_own(client, channel, operator):
    run = SyncRun.objects.create(channel=channel, kind="dry", started_at=START)
    assert client.get(f"{RUNS}{run.pk}/change/").url == run.get_absolute_url()


@pytest.mark.parametrize("role", ["Operator", "Manager"])
def test_a_list_of_runs_takes_few_queries(client, channel, django_assert_max_num_queries, role):
    signed_in(client, role, channel)
    SyncRun.objects.bulk_create(SyncRun(channel=channel, kind="full", started_at=START) for _ in range(20))
    client.get(RUNS)
    with django_assert_max_num_queries(12):
        client.get(RUNS)


def test_runs_and_listings_of_other_channels_are_not_there(client, operator):
    other = ChannelFactory()
    run = SyncRun.objects.create(channel=other, kind="full", started_at=START)
    assert list(client.get(RUNS).context["cl"].result_list) == []
    assert client.get(f"{RUNS}{run.pk}/change/").status_code == 404
    client.force_login(UserFactory())
    assert client.get(RUNS).status_code == 403


# --- Panels ---------------------------------------------------------------------------------------------------------


def test_the_page_of_a_listing_tells_its_state_and_leads_on(client, row, operator):
    StockRule.objects.create(listing=row.listing, cap=5)
    text = client.get(f"/catalog/listing/{row.listing_id}/change/").text
    assert "Stock sync" in text
    assert page_of(row) in text
    assert "A rule of" not in text  # the time is not known, so it is told in few words
    assert "Refused by a rule of the platform. Look at the item in the platform&#x27;s back office." in text


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [({"is_on": False}, "The sync of its stock is off."), ({"is_on": True}, "Nothing was sent yet.")],
)
def test_a_listing_that_was_never_sent_says_why(client, channel, operator, changes, sentence):
    ChannelSync.objects.update(**changes)
    listing = ListingFactory(channel=channel)
    assert sentence in client.get(f"/catalog/listing/{listing.pk}/change/").text


def test_a_competitors_listing_has_no_sync(client, channel, operator):
    listing = ListingFactory(channel=channel, ownership="competitor")
    assert "Stock sync" not in client.get(f"/catalog/listing/{listing.pk}/change/").text


def test_the_page_of_a_sku_tells_what_each_channel_shows(client, row, operator):
    foreign = ListingFactory(channel=ChannelFactory(name="Somebody else's"), sku=row.listing.sku)
    ListingSync.objects.create(listing=foreign, channel=foreign.channel, state="in-sync")
    ListingSync.objects.filter(pk=row.pk).update(confirmed=7, confirmed_at=START - timedelta(minutes=4))
    text = client.get(f"/catalog/sku/{row.listing.sku_id}/change/").text
    assert page_of(row) in text
    assert 'num">7<small>' in text
    assert "Somebody else" not in text.partition("Stock sync")[2].partition("</table>")[0]


def test_a_role_without_the_right_to_look_is_told_nothing(client, row):
    user = UserFactory()
    client.force_login(user)
    assert client.get(page_of(row)).status_code == 403
