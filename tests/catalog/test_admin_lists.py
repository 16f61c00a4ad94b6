"""Lists stay at a constant, small number of queries, and say what they hold and what they do not."""

import re

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse

from catalog.models import Listing
from catalog.services import audit_many
from tests.factories import (
    NOW,
    AlertFactory,
    ChannelFactory,
    ListingFactory,
    ListingWatchFactory,
    ProductFactory,
    SkuFactory,
    SupplierFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
MAX_QUERIES = 12


def fill(count):
    """`count` rows of everything that has a list."""
    supplier = SupplierFactory()
    role = Group.objects.get(name="Operator")
    for number in range(count):
        sku = SkuFactory(product=ProductFactory(brand=f"Brand {number}"), supplier=supplier, cost_price="1.50")
        listing = ListingFactory(channel=ChannelFactory(), sku=sku, live_price="9.90", stock=number, observed_at=NOW)
        ListingWatchFactory(listing=listing, read_at=NOW)
        AlertFactory(listing=listing)
        SupplierFactory()
        UserFactory().groups.add(role)
    audit_many(
        action="added", objects=Listing.objects.all(), actor=UserFactory(), now=NOW, changes={"title": ["", "x"]}
    )


@pytest.mark.parametrize("rows", [5, 50])
@pytest.mark.parametrize(
    ("role", "model"),
    [
        *(("owner", model) for model in ("listing", "channel", "product", "sku", "supplier", "user", "auditevent")),
        *(("Manager", model) for model in ("listing", "channel", "product", "sku", "supplier", "auditevent")),
    ],
)
def test_a_list_costs_the_same_few_queries_however_long_it_is(client, django_assert_max_num_queries, model, rows, role):
    fill(rows)
    user = UserFactory(is_superuser=role == "owner")
    if role != "owner":
        user.groups.add(Group.objects.get(name=role))
    client.force_login(user)
    with django_assert_max_num_queries(MAX_QUERIES):
        assert client.get(reverse(f"admin:catalog_{model}_changelist")).status_code == 200


def test_a_scoped_persons_list_stays_within_the_bound(client, django_assert_max_num_queries):
    fill(50)
    user = UserFactory()
    user.groups.add(Group.objects.get(name="Operator"))
    user.channels.set([listing.channel for listing in Listing.objects.all()[:30]])
    client.force_login(user)
    url = reverse("admin:catalog_listing_changelist")
    client.get(url)
    with django_assert_max_num_queries(MAX_QUERIES):
        assert len(client.get(url).context["cl"].result_list) == 30


def shown(client, model="listing", **query):
    return client.get(reverse(f"admin:catalog_{model}_changelist"), query)


def test_tabs_count_and_narrow(admin_client):
    ListingFactory(title="mapped", sku=SkuFactory())
    ListingFactory(title="unmapped")
    ListingFactory(title="rival", ownership="competitor")
    ListingFactory(title="gone", removed_at=NOW)
    tabs = {str(tab["label"]): tab["count"] for tab in shown(admin_client).context["cl"].tabs}
    assert {name: tabs[name] for name in ("All", "Unmapped", "Competitors", "Removed")} == {
        "All": 3,
        "Unmapped": 1,
        "Competitors": 1,
        "Removed": 1,
    }
    for tab, titles in {"unmapped": ["unmapped"], "competitors": ["rival"], "removed": ["gone"]}.items():
        assert [row.title for row in shown(admin_client, tab=tab).context["cl"].result_list] == titles
    answer = shown(admin_client, tab="nonsense", q="unmapped")
    assert (answer.status_code, answer.url.partition("?")[2]) == (302, "q=unmapped")


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ({"brand": "MOKA"}, ["kettle"]),
        ({"mapped": "no"}, ["loose"]),
        ({"mapped": "yes"}, ["kettle"]),
        ({"shelf_state__exact": "sold_out"}, ["loose"]),
        ({"ownership__exact": "competitor"}, ["loose"]),
        ({"q": "EV-9"}, ["kettle"]),
        ({"q": "616999"}, ["loose"]),
        ({"q": "MOKA pot"}, ["kettle"]),
        ({"q": "6000/6001"}, ["kettle"]),
        ({"q": " 616999/ "}, ["loose"]),
        ({"q": "6000/7"}, []),
    ],
)
def test_filters_and_search_find_by_what_staff_know(admin_client, query, titles):
    sku = SkuFactory(code="EV-9", product=ProductFactory(name="MOKA pot", brand="MOKA"))
    ListingFactory(title="kettle", sku=sku, platform_item_id="6000", platform_sku_id="6001")
    ListingFactory(title="loose", platform_item_id="616999", shelf_state="sold_out", ownership="competitor")
    assert [row.title for row in shown(admin_client, **query).context["cl"].result_list] == titles


def test_an_empty_list_says_what_would_fill_it(admin_client):
    text = shown(admin_client).content.decode()
    assert "No listings here yet" in text
    assert "It is read as soon as it is added." in text


def test_a_list_filtered_to_nothing_offers_to_clear_the_filters(admin_client):
    ListingFactory()
    text = shown(admin_client, q="zzz").content.decode()
    assert "No listings match these filters" in text
    assert "Clear filters" in text


def test_unknown_facts_are_dashes_with_a_reason_and_zero_is_zero(admin_client):
    ListingFactory(stock=0, observed_at=NOW)
    text = shown(admin_client).content.decode()
    (cell,) = re.findall(r'<td class="field-live_price num">(.*?)</td>', text)
    assert cell == '<span class="unknown" title="not read yet">—</span><small title="not read yet">not read yet</small>'
    (cell,) = re.findall(r'<td class="field-list_price num">(.*?)</td>', text)
    assert cell == '<span class="unknown" title="not read yet">—</span>', "the reason is told once a row"


def test_only_restoring_is_offered_among_the_removed(admin_client):
    ListingFactory()
    ListingFactory(removed_at=NOW)

    def actions(**query):
        return set(re.findall(r'name="action" value="(\w+)"', shown(admin_client, **query).content.decode()))

    assert actions(tab="removed") == {"restore"}
    assert "remove" in actions()
    assert "restore" not in actions()


def test_fifty_rows_a_page_with_their_numbers(admin_client):
    channel = ChannelFactory()
    ListingFactory.create_batch(60, channel=channel)
    assert "1–50 of 60" in shown(admin_client).content.decode()
    assert "51–60 of 60" in shown(admin_client, p="2").content.decode()
