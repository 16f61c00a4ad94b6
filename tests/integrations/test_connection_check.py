"""“Test connection” and the form behind it, for every platform, met at the simulator."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import TestCase
from django.utils import timezone

from catalog.models import AuditEvent, Channel, Proposal
from integrations.connections import connector_for, forget_failures, mark_failed
from integrations.connectors import CONNECTORS
from integrations.connectors.base import StockTarget
from integrations.connectors.errors import Reauthorise
from integrations.fetching import pass_over_channel
from integrations.models import ChannelHealth, Credential
from monitoring.services import ensure_watches
from tests.factories import ChannelFactory, CredentialFactory, ListingFactory, ListingWatchFactory, UserFactory
from tests.integrations.shops import shopify_channel, woocommerce_channel

pytestmark = pytest.mark.django_db

WRONG = "0123456789abcdef0123456789abcdef"
ADDED = {"name": "Hudson", "currency": "USD", "time_zone": "America/New_York", "interval_seconds": "300"}


@pytest.fixture(autouse=True)
def owner(client):
    user = UserFactory(is_superuser=True)
    client.force_login(user)
    return user


def taobao_channel(simulator, **stored) -> Any:
    account = simulator.taobao.account
    keys = {"app_key": account["app_key"], "app_secret": account["app_secret"]}
    token = simulator.taobao.shop()["session"]
    return CredentialFactory(**{"base_url": simulator.base_url, "access_token": token, **keys, **stored}).channel


CHANNELS = {
    "taobao": taobao_channel,
    "shopify": shopify_channel,
    "shopify-custom": lambda simulator, **stored: shopify_channel(simulator, kind="custom", **stored),
    "woocommerce": woocommerce_channel,
}


def told(client, channel) -> str:
    """Press the button; returns what the channel's page then says on top."""
    answer = client.post(f"/connect/channels/{channel.pk}/test/", follow=True)
    assert answer.redirect_chain == [(f"/catalog/channel/{channel.pk}/change/", 302)]
    return " ".join(str(message) for message in answer.context["messages"])


def stored() -> Credential:
    return Credential.objects.select_related("channel").get()


# --- The answer -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shop", sorted(CHANNELS))
def test_a_connection_that_works_says_so_and_is_noted(simulator, client, owner, shop):
    channel = CHANNELS[shop](simulator)
    assert told(client, channel).startswith("The connection works")
    assert ChannelHealth.objects.get().good_at is not None
    event = AuditEvent.objects.get(action="connection tested")
    assert (event.actor, event.channel, event.changes) == (owner, channel, {"result": ["", "works"]})


def freeze(simulator):
    simulator.shopify.set_store(status="frozen")


@pytest.mark.parametrize(
    ("shop", "spoil", "stored_wrong", "sentence"),
    [
        pytest.param("taobao", None, {"app_secret": WRONG}, "did not accept our signature", id="taobao secret"),
        pytest.param("taobao", None, {"app_key": "999"}, "did not know what is entered as “App key”", id="taobao key"),
        pytest.param("taobao", None, {"access_token": "62dead"}, "refused our access", id="taobao token"),
        pytest.param(
            "taobao",
            lambda simulator: simulator.taobao.fail_next(times=0, code=11, sub_code="isv.permission-api-package-limit"),
            {},
            "lacks a permission",
            id="taobao permission",
        ),
        pytest.param("taobao", None, {"base_url": "http://127.0.0.1:9"}, "could not be reached", id="nobody there"),
        pytest.param("taobao", None, {"base_url": "https://10.0.0.1"}, "setting", id="a private address"),
        pytest.param(
            "taobao",
            lambda simulator: simulator.taobao.fail_next(times=0, code=31, sub_code="isv.invalid-timestamp"),
            {},
            "did not accept our time",
            id="clock",
        ),
        pytest.param("shopify", None, {"app_secret": WRONG}, "secret", id="shopify secret"),
        pytest.param("shopify", freeze, {}, "frozen", id="shopify frozen"),
        pytest.param(
            "shopify",
            lambda simulator: simulator.shopify.set_store(scopes=["read_products"]),
            {},
            "write_inventory",
            id="shopify scope, named",
        ),
        pytest.param("shopify-custom", None, {"access_token": "shpat_" + WRONG}, "refused our access", id="token"),
        pytest.param("woocommerce", None, {"app_secret": f"cs_{WRONG}{WRONG[:8]}"}, "secret", id="woo secret"),
        pytest.param("woocommerce", None, {"base_url": "http://127.0.0.1:9"}, "could not be reached", id="woo host"),
    ],
)
def test_each_cause_has_its_sentence_and_no_secret(simulator, client, shop, spoil, stored_wrong, sentence):
    channel = CHANNELS[shop](simulator, **stored_wrong)
    if spoil:
        spoil(simulator)
    said = told(client, channel)
    assert sentence in said
    credential = stored()
    for secret in filter(None, (credential.app_secret, credential.access_token, WRONG)):
        assert secret not in said
    assert AuditEvent.objects.get(action="connection tested").changes["result"][1] != "works"


@pytest.fixture
def in_dollars(simulator):
    """A channel in dollars, of a shop that counts in euros and says so in no answer about its products."""
    channel = woocommerce_channel(simulator)
    Channel.objects.update(currency="USD")
    return Channel.objects.get(pk=channel.pk)


def test_a_shop_in_another_currency_than_the_channel_is_noticed(client, in_dollars):
    both = f"The shop of {in_dollars.name} counts in EUR, the channel in USD."
    assert told(client, in_dollars).startswith(both)
    page = f"/catalog/channel/{in_dollars.pk}/change/"
    text = client.get(page).text
    assert both in text
    assert "Set the channel&#x27;s currency to EUR" in text
    assert f'href="/catalog/channel/{in_dollars.pk}/edit/">Edit channel' in text
    with TestCase.captureOnCommitCallbacks(execute=True):
        client.post(f"/catalog/channel/{in_dollars.pk}/edit/", {**ADDED, "currency": "EUR"})
    assert "counts in" not in client.get(page).text


def test_a_channel_with_listings_keeps_its_currency_and_is_replaced(client, in_dollars):
    ListingFactory(channel=in_dollars)
    told(client, in_dollars)
    text = client.get(f"/catalog/channel/{in_dollars.pk}/change/").text
    assert "then add one in EUR" in text
    assert f'href="/connect/channels/{in_dollars.pk}/disconnect/">Disconnect…' in text
    assert 'href="/catalog/channel/add/?platform=woocommerce&amp;currency=EUR">Add channel' in text
    assert "Edit channel" not in text
    form = client.get("/catalog/channel/add/?platform=woocommerce&currency=EUR").context["adminform"].form
    assert form.initial["currency"] == "EUR"


def test_no_amount_of_it_is_found_or_read(simulator, client, in_dollars):
    answer = client.post(f"/connect/channels/{in_dollars.pk}/discover/", follow=True)
    assert "counts in EUR, the channel in USD" in " ".join(str(message) for message in answer.context["messages"])
    assert Proposal.objects.count() == 0
    forget_failures(in_dollars)
    row = simulator.woocommerce.items()[0]
    listing = ListingFactory(
        channel=in_dollars, platform_item_id=str(row["num_iid"]), platform_sku_id=str(row["sku_id"] or "")
    )
    ensure_watches(now=timezone.now() - timedelta(seconds=1))
    summary = pass_over_channel(channel=in_dollars, now=timezone.now(), everything=True)
    assert [problem.cause for problem in summary.problems] == ["currency-differs"]
    listing.refresh_from_db()
    assert (listing.list_price, listing.live_price) == (None, None)


def test_a_refused_app_is_asked_about_again_only_until_it_works(simulator, client):
    channel = woocommerce_channel(simulator)
    Credential.objects.update(revoked_cause="session-invalid")
    page = f"/catalog/channel/{channel.pk}/change/"
    text = client.get(page).text
    assert "Access refused" in text
    assert "enter again what differs, then test the connection" in text
    assert "/authorise/" not in text
    assert "/credential/" in client.get("/").text
    told(client, channel)
    assert stored().state(timezone.now()) == Credential.State.CONNECTED
    assert "Access refused" not in client.get(page).text


def test_a_token_that_can_be_replaced_is_replaced_before_anybody_is_bothered(simulator, client):
    channel = shopify_channel(simulator)
    told(client, channel)
    simulator.shopify.change_tokens(revoke="shopify-nuanju")
    assert told(client, channel).startswith("The connection works")


def test_what_is_missing_is_asked_for_first(client):
    channel = ChannelFactory(platform="woocommerce")
    said = told(client, channel)
    assert "is not connected yet. Enter what is missing: Address of the shop, Consumer key, Consumer secret." in said
    assert "/test/" not in client.get(f"/catalog/channel/{channel.pk}/change/").text


def test_before_the_shop_authorises_a_test_is_not_feigned(simulator, client):
    channel = taobao_channel(simulator, access_token="")
    account = simulator.taobao.account
    keys = {"app_key": account["app_key"], "app_secret": account["app_secret"], "app_type": "merchant"}
    answer = save(client, channel, base_url=simulator.base_url, sign_method="hmac-sha256", test="1", **keys)
    said = [str(message) for message in answer.context["messages"]]
    assert said[-1].startswith("It cannot be tested before the shop authorises.")
    assert f'href="/connect/channels/{channel.pk}/authorise/">Authorise</a>' in said[-1]


@pytest.fixture
def for_reading(simulator):
    """Per platform: a channel whose test finds that it may read and may not write."""

    def make(shop):
        if shop == "woocommerce":
            key = simulator.woocommerce.add_key(permissions="read")
            return woocommerce_channel(simulator, app_key=key["consumer_key"], app_secret=key["consumer_secret"])
        scopes = ["read_products", "read_inventory", "read_locations", "read_orders", "read_discounts"]
        simulator.shopify.set_store(scopes=scopes)
        return CHANNELS[shop](simulator)

    return make


@pytest.mark.parametrize("shop", ["shopify", "shopify-custom", "woocommerce"])
def test_what_may_only_read_is_let_read_and_not_said_to_write(simulator, client, for_reading, shop):
    channel = for_reading(shop)
    said = told(client, channel)
    assert "lets us read, but not write: what is entered may only read." in said
    assert "The connection works" not in said
    assert stored().state(timezone.now()) == Credential.State.CONNECTED
    assert (ChannelHealth.objects.get().kind, AuditEvent.objects.get(action="connection tested").changes) == (
        "",
        {"result": ["", "key-reads-only"]},
    )
    text = client.get(f"/catalog/channel/{channel.pk}/change/").text
    for expected in ("May only read", "Writes stock: not permitted to us", "lets us read, but not write"):
        assert expected in text


def test_the_permission_to_write_is_noticed_when_it_is_given(simulator, client, for_reading):
    channel = for_reading("shopify-custom")
    told(client, channel)
    simulator.shopify.set_store(scopes=list(CONNECTORS["shopify"].permissions))
    assert told(client, channel).startswith("The connection works")
    assert "not permitted" not in client.get(f"/catalog/channel/{channel.pk}/change/").text


def test_a_write_that_is_refused_to_a_key_for_reading_does_not_end_the_reading(simulator, for_reading):
    channel = for_reading("woocommerce")
    connector, now = connector_for(channel), timezone.now()
    row = simulator.woocommerce.items()[0]
    target = StockTarget(1, str(row["num_iid"]), str(row["sku_id"] or ""), 3)
    with pytest.raises(Reauthorise) as refused:
        connector.push_stock([target], key="p", now=now)
    mark_failed(channel, refused.value, now)
    assert (stored().state(now), stored().reads_only) == (Credential.State.CONNECTED, True)
    assert not ChannelHealth.objects.exclude(kind="").exists()


# --- The button that solves it ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shop", "cause", "said", "button"),
    [
        (
            "woocommerce",
            "connection",
            "check this computer&#x27;s network and “Address of the shop”",
            "Edit connection",
        ),
        ("shopify", "connection", "“Base URL” of the connection", "Edit connection"),
        ("woocommerce", "role-too-weak", "the role of a shop manager, or enter the keys of one", "Edit connection"),
        ("shopify", "bad-secret", "“Client secret” at", "Edit connection"),
        ("shopify", "bad-secret", "as it is shown in the Dev Dashboard", "Edit connection"),
        ("shopify-custom", "scope-missing", "the permission in the Shopify admin (Settings, Apps)", "Test connection"),
        ("shopify", "scope-missing", "Give it the permission in the Dev Dashboard", "Test connection"),
        ("woocommerce", "shop-locked", "then test the connection", "Test connection"),
    ],
)
def test_the_advice_names_what_the_form_shows_and_has_its_button(simulator, client, shop, cause, said, button):
    channel = CHANNELS[shop](simulator)
    ChannelHealth.objects.create(channel=channel, kind="fatal", cause=cause, failed_at=timezone.now())
    text = client.get(f"/catalog/channel/{channel.pk}/change/").text
    problems = text[text.index("Problems, by cause") : text.index("</ul>", text.index("Problems, by cause"))]
    assert said in problems
    assert f">{button}</" in problems


@pytest.mark.parametrize(
    ("shop", "missing"),
    [
        ("taobao", "App key, App secret"),
        ("shopify", "Shop, Client ID, Client secret"),
        ("woocommerce", "Address of the shop, Consumer key, Consumer secret"),
    ],
)
def test_an_empty_channel_is_told_what_its_own_platform_asks_for(client, shop, missing):
    channel = ChannelFactory(platform=shop)
    assert f"Enter what is missing: {missing}." in client.get(f"/catalog/channel/{channel.pk}/change/").text


def test_what_is_missing_is_named_on_the_page_too(simulator, client):
    channel = shopify_channel(simulator)
    simulator.shopify.set_store(scopes=["read_products", "write_inventory"])
    told(client, channel)
    text = client.get(f"/catalog/channel/{channel.pk}/change/").text
    assert "Missing <code>read_locations, read_orders, read_discounts</code>" in text


def test_a_listing_that_is_gone_can_be_removed_from_the_problem(client):
    channel = CredentialFactory().channel
    watch = ListingWatchFactory(
        listing__channel=channel, outcome="missing", cause="unknown-listing", tried_at=timezone.now()
    )
    page = f"/catalog/channel/{channel.pk}/change/"
    assert f'action="/catalog/listing/{watch.listing_id}/remove/"' in client.get(page).text
    ListingWatchFactory(listing__channel=channel, outcome="missing", cause="unknown-listing", tried_at=timezone.now())
    text = client.get(page).text
    assert f'?tab=trouble&amp;channel__id__exact={channel.pk}">Choose which to remove' in text
    assert "Remove listing" not in text


# --- Who may, and how -----------------------------------------------------------------------------------------------


def test_the_test_is_a_post_by_those_who_may_change_credentials(simulator, client):
    channel = woocommerce_channel(simulator)
    address = f"/connect/channels/{channel.pk}/test/"
    assert client.get(address).status_code == 405
    operator = UserFactory()
    operator.groups.add(Group.objects.get(name="Operator"))
    operator.channels.add(channel)
    client.force_login(operator)
    assert client.post(address).status_code == 403
    assert address not in client.get(f"/catalog/channel/{channel.pk}/change/").text
    stranger = UserFactory()
    stranger.user_permissions.add(Permission.objects.get(codename="change_credential"))
    client.force_login(stranger)
    assert client.post(address).status_code == 404
    assert not AuditEvent.objects.filter(action="connection tested").exists()


# --- The form -------------------------------------------------------------------------------------------------------


def save(client, channel, **values):
    return client.post(f"/connect/channels/{channel.pk}/credential/", {"calls_per_second": "", **values}, follow=True)


def test_a_form_asks_for_what_its_platform_needs_and_says_where_to_find_it(client):
    woo = client.get(f"/connect/channels/{ChannelFactory(platform='woocommerce').pk}/credential/").text
    assert "Consumer key" in woo
    assert "Advanced, REST API" in woo
    assert "Kind of app" not in woo
    assert "Callback address" not in woo
    assert woo.count('name="base_url"') == 1
    shopify = client.get(f"/connect/channels/{ChannelFactory(platform='shopify').pk}/credential/").text
    assert "Client secret" in shopify
    assert 'data-only-for="app_kind" data-only-values="custom"' in shopify
    assert "Only for: Custom app made in the Shopify admin (access token)." in shopify
    assert 'data-only-for="app_kind" data-only-values="public"' in shopify
    assert "Only for: App for other merchants (the shop gives its consent)." in shopify
    assert "each of which gives its consent" in shopify
    assert "read_products, read_inventory, write_inventory, read_locations, read_orders, read_discounts" in shopify
    assert "give it them in the Dev Dashboard" in shopify
    taobao = client.get(f"/connect/channels/{ChannelFactory().pk}/credential/").text
    assert "Affiliate (Taobaoke), for competitors" in taobao
    assert "connection.js" in shopify


def test_a_shop_is_connected_from_the_form_and_tested_with_the_same_press(simulator, client):
    channel = ChannelFactory(platform="woocommerce", currency="EUR")
    shop = simulator.woocommerce.shop()
    keys = {"app_key": shop["consumer_key"], "app_secret": shop["consumer_secret"]}
    answer = save(client, channel, base_url=shop["url"], test="1", **keys)
    assert "Connection saved." in answer.text
    assert "The connection works" in answer.text
    assert "by its keys" in answer.text


def test_only_the_settings_of_the_chosen_kind_are_asked_for_and_kept(simulator, client):
    channel = ChannelFactory(platform="shopify", currency="USD")
    shop = simulator.shopify.shop()
    asked = {"shop": shop["domain"], "app_kind": "custom", "base_url": simulator.base_url}
    refused = save(client, channel, **asked)
    assert refused.status_code == 400
    assert refused.context["form"].errors.keys() == {"access_token"}
    token = shop["access_token"]
    answer = save(client, channel, **asked, access_token=token, app_key="left over")
    assert token not in answer.text
    assert f"•••• {token[-4:]}" in answer.text
    credential = stored()
    assert (credential.app_key, credential.app_secret, credential.access_token) == ("", "", token)
    assert credential.state(timezone.now()) == Credential.State.CONNECTED
    again = save(client, channel, **asked)
    assert "Nothing was changed." in again.text
    assert stored().access_token == token


def test_another_kind_of_app_drops_the_token_and_asks_for_its_own_secret(simulator, client):
    channel = shopify_channel(simulator, kind="custom")
    shop = simulator.shopify.shop()
    asked = {"shop": shop["domain"], "app_kind": "client_credentials", "base_url": simulator.base_url}
    refused = save(client, channel, **asked, app_key=shop["client_id"])
    assert refused.context["form"].errors.keys() == {"app_secret"}
    save(client, channel, **asked, app_key=shop["client_id"], app_secret=shop["client_secret"])
    assert stored().access_token == ""
    assert stored().grant == Credential.Grant.REQUEST


@pytest.mark.parametrize("changed", [{"shop": "other-shop.myshopify.com"}, {"base_url": "https://elsewhere.example"}])
def test_another_shop_or_address_needs_the_secret_again(simulator, client, changed):
    channel = shopify_channel(simulator, kind="custom")
    asked = {"shop": simulator.shopify.shop()["domain"], "app_kind": "custom", "base_url": simulator.base_url}
    refused = save(client, channel, **{**asked, **changed})
    assert refused.status_code == 400
    assert "Enter it again" in refused.text
    assert stored().options["shop"] == asked["shop"]
    save(client, channel, **{**asked, **changed}, access_token="shpat_of_the_other_shop")
    assert stored().access_token == "shpat_of_the_other_shop"


def test_another_address_drops_a_token_that_was_got_with_the_old_one(simulator, client):
    channel = shopify_channel(simulator)
    told(client, channel)
    shop = simulator.shopify.shop()
    kind = {"app_kind": "client_credentials", "app_key": shop["client_id"], "app_secret": shop["client_secret"]}
    save(client, channel, shop="other-shop.myshopify.com", base_url=simulator.base_url, **kind)
    assert stored().access_token == ""


def test_a_shop_that_cannot_be_one_is_refused_at_its_field(client):
    channel = ChannelFactory(platform="shopify")
    keys = {"app_kind": "client_credentials", "app_key": "a", "app_secret": "b"}
    refused = save(client, channel, shop="https://shop.example", base_url="", **keys)
    assert "myshopify.com" in str(refused.context["form"].errors["shop"])


# --- Adding a channel -----------------------------------------------------------------------------------------------


def test_a_channel_is_added_by_its_platform_and_leads_on_to_its_connection(client):
    offered = client.get("/catalog/channel/add/").text
    for platform in ("taobao", "shopify", "woocommerce"):
        assert f'href="?platform={platform}"' in offered
    form = client.get("/catalog/channel/add/?platform=woocommerce")
    assert 'name="platform"' not in form.text
    initial = form.context["adminform"].form.initial
    assert (initial["currency"], initial["time_zone"]) == ("USD", "UTC")
    answer = client.post("/catalog/channel/add/?platform=woocommerce", ADDED, follow=True)
    channel = Channel.objects.get()
    assert channel.platform == "woocommerce"
    assert answer.redirect_chain == [(f"/connect/channels/{channel.pk}/credential/", 302)]
    assert "Consumer secret" in answer.text


def test_an_unknown_platform_is_chosen_again(client):
    assert "Where is the shop?" in client.get("/catalog/channel/add/?platform=altavista").text


def test_the_platform_of_a_channel_stays(client):
    channel = ChannelFactory()
    values = {"name": "Ours", "currency": "CNY", "time_zone": "Asia/Shanghai", "interval_seconds": "300"}
    client.post(f"/catalog/channel/{channel.pk}/edit/", {**values, "platform": "shopify"})
    channel.refresh_from_db()
    assert (channel.name, channel.platform) == ("Ours", "taobao")


def test_the_second_step_says_which_platform_it_is_and_offers_another(client):
    text = client.get("/catalog/channel/add/?platform=shopify").text
    assert "On Shopify" in text
    assert 'href="/catalog/channel/add/">Another platform' in text


def test_currency_and_time_zone_are_chosen_and_explained(client):
    text = client.get("/catalog/channel/add/?platform=shopify").text
    for expected in ("USD · US Dollar", "THB · Thai Baht", "Once the channel has listings it stays", "by it."):
        assert expected in text
    assert '<option value="America/New_York" selected>' in text
    assert '<option value="Europe/Berlin">' in text


def test_a_currency_that_is_gone_stays_with_its_channel(client):
    channel = ChannelFactory(platform="shopify", currency="DEM", time_zone="Asia/Calcutta")
    assert '<option value="DEM" selected>' in client.get(f"/catalog/channel/{channel.pk}/edit/").text
    client.post(f"/catalog/channel/{channel.pk}/edit/", {**ADDED, "currency": "DEM", "time_zone": "Asia/Calcutta"})
    channel.refresh_from_db()
    assert (channel.name, channel.currency, channel.time_zone) == ("Hudson", "DEM", "Asia/Calcutta")


# --- The channel's page ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shop", "texts"),
    [
        ("taobao", ["Reads competitors’ listings", "Re-authorise"]),
        ("shopify", ["renews itself", "no token yet", "Writes stock", "Reads stock by location"]),
        ("woocommerce", ["no end", "by its keys", "Reads stock by location: not here"]),
    ],
)
def test_the_page_says_what_the_platform_offers_and_how_long_the_token_lives(simulator, client, shop, texts):
    text = client.get(f"/catalog/channel/{CHANNELS[shop](simulator).pk}/change/").text
    for expected in [*texts, "nothing is due", "Test connection"]:
        assert expected in text


def test_the_page_tells_when_the_next_call_is_free(simulator, client):
    channel = woocommerce_channel(simulator, calls_per_second="0.5")
    page = f"/catalog/channel/{channel.pk}/change/"
    assert "at most 0.50 calls a second, one free now" in client.get(page).text
    slot = {"operation": "read", "next_free_at": timezone.now() + timedelta(seconds=50)}
    channel.credential.quota_slots.create(**slot)
    assert "next one free" in client.get(page).text
