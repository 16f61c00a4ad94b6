"""The board of what is on its way: what it shows of each listing, what people may do there, and for whom it is."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from catalog.models import AuditEvent, StockMovement, StockRule, Warehouse
from catalog.stock.availability import Rule, target_of
from catalog.stock.explaining import explain
from catalog.stock.ledger import Movement, record_movements
from integrations.models import ChannelHealth, ChannelSync, ListingSync, SyncRun
from integrations.syncing.models import ListingSync as Row
from tests.factories import ChannelFactory, CredentialFactory, ListingFactory, SkuFactory, UserFactory
from tests.staff import signed_in

pytestmark = pytest.mark.django_db
BOARD = "/integrations/listingsync/"
GROUP = f"{BOARD}group/"
MOST_QUERIES = 12


@pytest.fixture
def channel(db):
    found = CredentialFactory(channel__name="Nuanju Home").channel
    ChannelSync.objects.create(channel=found, is_on=True, is_confirmed=True)
    return found


@pytest.fixture
def operator(client, channel):
    return signed_in(client, "Operator", channel)


def row(channel, state="refused", *, title="Enamel pot", units=23, **fields):
    """A listing of a SKU of which there are so many units."""
    sku = SkuFactory()
    place, _made = Warehouse.objects.get_or_create(code="MAIN", defaults={"name": "Main"})
    count = Movement(sku.pk, place.pk, StockMovement.Kind.COUNT, units, f"k{sku.pk}", StockMovement.Source.COUNT)
    record_movements([count], now=timezone.now())
    listing = ListingFactory(channel=channel, sku=sku, title=title)
    return ListingSync.objects.create(
        listing=listing, channel=channel, state=state, **{"changed_at": timezone.now(), **fields}
    )


def titles(page):
    return [each.listing.title for each in page.context["cl"].result_list]


# --- What it shows --------------------------------------------------------------------------------------------------


def test_a_row_tells_figures_target_state_and_what_to_do(client, channel, operator):
    StockRule.objects.create(channel=channel, buffer=2, share_percent=80, cap=10)
    now = timezone.now()
    stored = row(channel, cause="refused-by-rule", confirmed=7, confirmed_at=now, pushed=9, pushed_at=now)
    text = client.get(BOARD).text
    assert stored.listing.platform_id in text
    assert escape(explain(target_of(23, Rule(buffer=2, share_percent=80, cap=10)))) in text
    assert "Refused by a rule of the platform. Look at the item in the platform&#x27;s back office." in text
    for cell in ('num">7<small>', 'num">9<small>', 'field-target">10<'):
        assert cell in text


def test_what_is_not_known_is_never_shown_as_a_figure(client, channel, operator):
    row(channel, "failed", cause="not-answered", confirmed=None, confirmed_at=timezone.now())
    text = client.get(BOARD).text
    assert '<span class="unknown">—</span><small>cannot tell</small>' in text


@pytest.mark.parametrize(
    ("tab", "states"),
    [
        ("", {"new", "waiting", "sent", "refused", "failed"}),
        ("?tab=waiting", {"new", "waiting"}),
        ("?tab=sent", {"sent"}),
        ("?tab=refused", {"refused"}),
        ("?tab=failed", {"failed"}),
        ("?tab=dismissed", {"dismissed"}),
        ("?tab=stopped", {"stopped"}),
        ("?tab=in-sync", {"in-sync"}),
    ],
)
def test_each_view_holds_its_states_and_counts_them(client, channel, operator, tab, states):
    for state in Row.State.values:
        row(channel, state, title=state)
    page = client.get(BOARD + tab)
    assert set(titles(page)) == states
    [current] = [each for each in page.context["cl"].tabs if each["is_current"]]
    assert current["count"] == len(states)
    assert [each["count"] for each in page.context["cl"].tabs] == [5, 2, 1, 1, 1, 1, 1, 1]


def test_what_needs_a_person_comes_first(client, channel, operator):
    for state in ("sent", "new", "waiting", "failed", "refused"):
        row(channel, state, title=state)
    assert titles(client.get(BOARD)) == ["refused", "failed", "waiting", "new", "sent"]


def test_it_is_narrowed_by_channel_cause_and_words(client, channel, operator):
    other = ChannelFactory(name="Yatai Wohnen")
    operator.channels.add(other)
    pot = row(channel, cause="refused-by-rule", title="Pot")
    row(other, cause="refused-by-rule", title="Pan")
    row(channel, cause="unknown-listing", title="Lid")
    item = pot.listing
    for query, found in (
        (f"channel={other.pk}", ["Pan"]),
        ("cause=unknown-listing", ["Lid"]),
        (f"channel={channel.pk}&cause=refused-by-rule", ["Pot"]),
        ("channel=9999999999999999999999", []),
        ("channel=x", []),
        (f"q={item.sku.code}", ["Pot"]),
        (f"q={item.platform_item_id}/{item.platform_sku_id}", ["Pot"]),
        ("q=lid", ["Lid"]),
    ):
        assert titles(client.get(f"{BOARD}?{query}")) == found, query


@pytest.mark.parametrize(
    ("state", "fields", "sentence"),
    [
        ("new", {}, "Is to be sent."),
        ("waiting", {"lease_until": timezone.now() + timedelta(days=1)}, "Is being sent just now."),
        ("waiting", {"cause": "moved", "due_at": timezone.now() + timedelta(days=1)}, "Moved since it was read."),
        ("waiting", {"cause": "moved", "due_at": timezone.now() + timedelta(days=1)}, "Next try"),
        ("sent", {"verify_at": timezone.now() + timedelta(days=1)}, "Reading back at"),
        ("sent", {}, "Is read back as soon as the channel has nothing to send."),
        ("refused", {}, "The platform did not say why."),
        ("failed", {"cause": "interrupted"}, "It is read back before anything is repeated."),
        ("waiting", {"cause": "guard"}, "Asks before 0."),
        ("waiting", {"verify_at": timezone.now()}, "What it shows may have changed there, so it is read first."),
    ],
)
def test_a_state_says_what_happens_next(client, channel, operator, state, fields, sentence):
    row(channel, state, **fields)
    assert sentence in client.get(BOARD).text


@pytest.mark.parametrize(
    ("cause", "sentence"),
    [
        ("paused", "Paused: what the platform shows is left as it is."),
        ("not-mapped", "Not mapped: choose the SKU it sells"),
        ("sku-inactive", "Its SKU is not active"),
        ("not-counted", "Its stock was never counted here"),
    ],
)
def test_what_is_left_alone_says_why(client, channel, operator, cause, sentence):
    row(channel, "stopped", cause=cause)
    assert sentence in client.get(f"{BOARD}?tab=stopped").text


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"is_on": False}, "The sync of its stock is off."),
        ({"is_confirmed": False}, "applied the channel&#x27;s first dry run"),
        ({"is_paused": True, "pause_reason": "Stocktaking"}, "The sync of the channel is paused."),
        ({"is_paused": True, "pause_reason": "Stocktaking"}, "Stocktaking"),
    ],
)
def test_a_channel_that_is_not_written_to_is_why_a_row_waits(client, channel, operator, changes, sentence):
    ChannelSync.objects.update(**changes)
    row(channel, "waiting")
    assert sentence in client.get(BOARD).text


def test_a_channel_that_does_not_answer_is_why_a_row_waits(client, channel, operator):
    retry_at = timezone.now() + timedelta(minutes=9)
    ChannelHealth.objects.create(channel=channel, kind="reauthorise", cause="session-invalid", retry_at=retry_at)
    row(channel, "waiting")
    assert "Access refused." in client.get(BOARD).text


def test_an_empty_board_says_what_would_fill_it(client, channel, operator):
    assert "No channel is synced yet" in client.get(BOARD).text
    row(channel, "in-sync")
    assert "Everything shows its target" in client.get(BOARD).text
    assert "Nothing was refused" in client.get(f"{BOARD}?tab=refused").text


@pytest.mark.parametrize("role", ["Operator", "Manager"])
def test_it_takes_few_queries_however_long_it_is(client, channel, role, django_assert_max_num_queries):
    signed_in(client, role, channel)
    for number in range(12):
        row(channel, ["refused", "waiting", "failed"][number % 3], cause=["refused-by-rule", "", "timeout"][number % 3])
    client.get(BOARD)
    with django_assert_max_num_queries(MOST_QUERIES):
        assert len(client.get(BOARD).context["cl"].result_list) == 12


# --- For whom it is -------------------------------------------------------------------------------------------------


def test_rows_of_other_channels_are_not_there(client, channel, operator):
    other = ChannelFactory(name="Somebody else's")
    ChannelSync.objects.create(channel=other, is_on=True, is_confirmed=True)
    foreign = row(other, cause="unknown-listing", title="Foreign")
    page = client.get(BOARD)
    assert titles(page) == []
    assert "Somebody else" not in page.text
    assert "unknown-listing" not in page.text
    assert client.get(f"{BOARD}{foreign.pk}/change/").status_code == 404
    assert client.post(f"{BOARD}{foreign.pk}/retry/").status_code == 404
    client.post(f"{GROUP}retry/?channel={other.pk}&state=refused&cause=unknown-listing")
    client.post(BOARD, {"action": "retry", "_selected_action": [foreign.pk], "index": 0})
    assert ListingSync.objects.get(pk=foreign.pk).state == "refused"


def test_who_only_looks_sees_it_and_is_offered_nothing(client, channel):
    signed_in(client, "Viewer", channel)
    stored = row(channel, cause="refused-by-rule")
    text = client.get(BOARD).text
    assert "Refused by a rule of the platform" in text
    assert "Retry" not in text
    assert "Dismiss…" not in text
    assert "Retry" not in client.get(f"{BOARD}{stored.pk}/change/").text
    for address in (f"{BOARD}{stored.pk}/retry/", f"{GROUP}dismiss/?channel={channel.pk}&state=refused&cause="):
        assert client.post(address, {"confirmed": 1, "reason": "x"}).status_code == 403
    assert ListingSync.objects.get().state == "refused"


def test_people_without_a_role_see_none_of_it(client, channel):
    client.force_login(UserFactory())
    assert client.get(BOARD).status_code == 403


# --- What is done there ---------------------------------------------------------------------------------------------


def test_one_is_sent_again(client, channel, operator):
    stored = row(channel, cause="refused-by-rule")
    page = client.post(f"{BOARD}{stored.pk}/retry/", follow=True)
    assert page.redirect_chain[-1][0] == f"{BOARD}{stored.pk}/change/"
    assert "1 listing is sent again." in page.text
    assert ListingSync.objects.get().state == "waiting"
    assert SyncRun.objects.get().asked_by == operator
    page = client.post(f"{BOARD}{stored.pk}/retry/", follow=True)
    assert "No listing was sent again. Left alone: 1 being sent already." in page.text


def test_a_look_at_an_address_sends_nothing(client, channel, operator):
    stored = row(channel)
    assert client.get(f"{BOARD}{stored.pk}/retry/").status_code == 403
    assert client.get(f"{GROUP}retry/?channel={channel.pk}&state=refused&cause=").status_code == 403
    assert client.get(f"{BOARD}{stored.pk}/explode/").status_code in (302, 404)
    assert ListingSync.objects.get().state == "refused"


def test_a_group_is_what_one_channel_has_for_one_cause(client, channel, operator):
    other = ChannelFactory()
    operator.channels.add(other)
    ChannelSync.objects.create(channel=other, is_on=True, is_confirmed=True)
    for _number in range(3):
        row(channel, cause="refused-by-rule", title="chosen")
    row(channel, cause="unknown-listing", title="another cause")
    row(channel, "failed", cause="refused-by-rule", title="another state")
    row(other, cause="refused-by-rule", title="another channel")
    text = client.get(BOARD).text
    address = f"{GROUP}retry/?channel={channel.pk}&state=refused&cause=refused-by-rule"
    assert address.replace("&", "&amp;") in text
    assert "Retry all 3" in text
    page = client.post(address, follow=True)
    assert "3 listings are sent again." in page.text
    assert set(ListingSync.objects.filter(state="waiting").values_list("listing__title", flat=True)) == {"chosen"}
    assert SyncRun.objects.get().total == 3


def test_what_would_go_to_0_leads_to_the_page_where_it_is_decided(client, channel, operator):
    for number in range(3):
        row(channel, "waiting", cause="guard", title=f"Pot {number}")
    row(channel, "waiting", cause="moved", title="Lid")
    row(channel, "failed", cause="timeout", title="Pan")
    page = client.get(BOARD)
    assert [(group.cause, group.number) for group in page.context["cl"].groups] == [("guard", 3), ("timeout", 1)]
    assert "too many listings would go to 0 at once" in page.text
    address = reverse("admin:catalog_channel_change", args=[channel.pk])
    assert re.search(rf'<a class="btn" href="{address}">\s*Review</a>', page.text)
    assert page.text.count("group/retry/") == 1, "what fails can be sent again, what is held cannot"
    assert client.get(f"{BOARD}?tab=sent").context["cl"].groups == []


def test_very_many_are_asked_about_first(client, channel, operator):
    one = row(channel, cause="refused-by-rule")
    listings = [ListingFactory.build(channel=channel, sku=one.listing.sku) for _ in range(50)]
    type(one.listing).objects.bulk_create(listings)
    ListingSync.objects.bulk_create(
        ListingSync(listing=each, channel=channel, state="refused", cause="refused-by-rule") for each in listings
    )
    assert "Retry all 51…" in client.get(BOARD).text
    address = f"{GROUP}retry/?channel={channel.pk}&state=refused&cause=refused-by-rule"
    page = client.post(address)
    assert "Send 51 listings again?" in page.text
    assert "and 46 more" in page.text
    assert not ListingSync.objects.filter(state="waiting").exists()
    assert "51 listings are sent again." in client.post(address, {"confirmed": 1}, follow=True).text


def test_a_dismissal_asks_for_its_reason(client, channel, operator):
    stored = row(channel, cause="refused-by-rule")
    address = f"{BOARD}{stored.pk}/dismiss/"
    assert "Dismiss 1 listing?" in client.get(address).text
    page = client.post(address, {"confirmed": 1, "reason": "  "})
    assert (page.status_code, "Say why it is all right." in page.text) == (400, True)
    assert ListingSync.objects.get().state == "refused"
    page = client.post(address, {"confirmed": 1, "reason": "Sold in the store only"}, follow=True)
    assert "Dismissed 1 listing." in page.text
    assert "Dismissed: Sold in the store only" in page.text
    assert AuditEvent.objects.get(action="dismissed").actor == operator


def test_ticked_rows_are_dismissed_together_and_others_are_told(client, channel, operator):
    chosen = [row(channel, cause="refused-by-rule"), row(channel, "failed", cause="timeout"), row(channel, "sent")]
    ticked = {"action": "dismiss", "_selected_action": [each.pk for each in chosen], "index": 0, "select_across": 0}
    page = client.post(BOARD, ticked)
    assert "Dismiss 2 listings?" in page.text
    page = client.post(BOARD, {**ticked, "confirmed": 1, "reason": "Stocktaking"}, follow=True)
    assert "Dismissed 2 listings. Left alone: 1 about to be read back." in page.text
    assert set(ListingSync.objects.values_list("state", flat=True)) == {"dismissed", "sent"}


@pytest.mark.parametrize(
    ("state", "changes", "reason"),
    [
        ("refused", {"is_paused": True}, "1 of a channel that is not written to now"),
        ("in-sync", {}, "1 in step already"),
        ("stopped", {}, "1 that is not to be sent"),
        ("sent", {}, "1 about to be read back"),
    ],
)
def test_where_nothing_can_be_done_it_says_why(client, channel, operator, state, changes, reason):
    if changes:
        ChannelSync.objects.update(**changes)
    stored = row(channel, state)
    page = client.post(f"{BOARD}{stored.pk}/retry/", follow=True)
    assert f"No listing was sent again. Left alone: {reason}" in page.text
    assert ListingSync.objects.get().state == state


def test_ticked_rows_are_sent_again_together(client, channel, operator):
    chosen = [row(channel, cause="refused-by-rule"), row(channel, "failed", cause="timeout")]
    ticked = {"action": "retry", "_selected_action": [each.pk for each in chosen], "index": 0, "select_across": 0}
    assert "2 listings are sent again." in client.post(BOARD, ticked, follow=True).text
