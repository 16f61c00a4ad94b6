"""A shop is one channel: a second one is refused wherever it would come about, until the first is disconnected."""

from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission
from django.db import IntegrityError, transaction
from django.utils import timezone

from catalog.models import AuditEvent
from integrations import handed_keys, services
from integrations.connections import Unconnected, connector_for
from integrations.connectors.base import shop_id
from integrations.models import Credential, KeyRequest
from tests.factories import ChannelFactory, CredentialFactory, ListingFactory, UserFactory
from tests.integrations.shops import shopify_channel, woocommerce_channel
from tests.integrations.test_authorisation import authorise_url, consent, refusal

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def owner(client):
    user = UserFactory(is_superuser=True)
    client.force_login(user)
    return user


def asked_of(simulator, platform: str) -> dict[str, str]:
    """What the form is given for the first shop of a platform."""
    if platform == "woocommerce":
        shop = simulator.woocommerce.shop()
        keys = {"app_key": shop["consumer_key"], "app_secret": shop["consumer_secret"]}
        return {"base_url": shop["url"], **keys, "calls_per_second": ""}
    shop = simulator.shopify.shop()
    keys = {"app_key": shop["client_id"], "app_secret": shop["client_secret"]}
    of_shop = {"shop": shop["domain"], "app_kind": "client_credentials", "base_url": simulator.base_url}
    return {**of_shop, **keys, "calls_per_second": ""}


def save(client, channel, asked):
    return client.post(f"/connect/channels/{channel.pk}/credential/", {**asked, "test": "1"}, follow=True)


def other_spelling(asked: dict[str, str]) -> dict[str, str]:
    if "shop" in asked:
        return {**asked, "shop": asked["shop"].upper()}
    return {**asked, "base_url": asked["base_url"] + "/"}


CURRENCIES = {"shopify": "USD", "woocommerce": "EUR"}


@pytest.mark.parametrize("platform", ["shopify", "woocommerce"])
def test_the_address_of_a_connected_shop_is_refused_at_its_field(simulator, client, platform):
    first, second = (ChannelFactory(platform=platform, currency=CURRENCIES[platform]) for _ in range(2))
    asked = asked_of(simulator, platform)
    assert "The connection works" in save(client, first, asked).text
    answer = save(client, second, other_spelling(asked))
    assert answer.status_code == 400
    field = {"shopify": "shop", "woocommerce": "base_url"}[platform]
    (error,) = answer.context["form"].errors[field]
    assert error.startswith(f"This shop is already the channel “{first.name}”.")
    assert "disconnect that one first" in error
    assert not Credential.objects.filter(channel=second).exclude(app_secret="").exists()


@pytest.mark.parametrize("platform", ["shopify", "woocommerce"])
def test_a_channel_is_moved_by_disconnecting_the_other_first(simulator, client, platform):
    first, second = (ChannelFactory(platform=platform, currency=CURRENCIES[platform]) for _ in range(2))
    asked = asked_of(simulator, platform)
    save(client, first, asked)
    listing = ListingFactory(channel=first)
    page = f"/connect/channels/{first.pk}/disconnect/"
    assert "Disconnect “" in client.get(page).text
    assert f'href="{page}">Disconnect…' in client.get(f"/catalog/channel/{first.pk}/change/").text
    assert "free for another channel" in client.post(page, follow=True).text
    credential = Credential.objects.get(channel=first)
    assert (credential.app_secret, credential.access_token, credential.shop_key) == ("", "", "")
    assert credential.state(timezone.now()) == Credential.State.NOT_SET_UP
    with pytest.raises(Unconnected):
        connector_for(credential.channel)
    assert first.listings.current().get() == listing
    event = AuditEvent.objects.get(action="disconnected")
    assert event.changes["integrations.credential.app_secret"] == ["•••", ""]
    assert "The connection works" in save(client, second, asked).text
    assert "Nothing was changed." in client.post(page, follow=True).text
    # The way back is closed now.
    assert save(client, first, asked).status_code == 400


def test_a_channel_that_one_does_not_see_is_not_named(simulator, client):
    first = woocommerce_channel(simulator)
    services.check_connection(channel=first, actor=UserFactory(), now=timezone.now())
    second = ChannelFactory(platform="woocommerce", currency="EUR")
    stranger = UserFactory()
    stranger.user_permissions.add(*Permission.objects.filter(codename__in=["change_credential", "view_channel"]))
    stranger.channels.add(second)
    client.force_login(stranger)
    text = save(client, second, asked_of(simulator, "woocommerce")).text
    assert "a channel that you do not see" in text
    assert first.name not in text


@pytest.mark.parametrize("make", [shopify_channel, woocommerce_channel])
def test_the_test_of_two_that_were_connected_before_tells_the_second(simulator, client, make):
    first, second = make(simulator), make(simulator)
    for channel, said in ((first, "The connection works"), (second, f"already the channel “{first.name}”")):
        answer = client.post(f"/connect/channels/{channel.pk}/test/", follow=True)
        assert said in " ".join(str(message) for message in answer.context["messages"])
    results = AuditEvent.objects.filter(action="connection tested").values_list("channel", "changes__result__1")
    assert dict(results) == {first.pk: "works", second.pk: "shop-taken"}


@pytest.fixture
def taobao(simulator):
    account = simulator.taobao.account

    def make(**stored):
        keys = {"app_key": account["app_key"], "app_secret": account["app_secret"], "access_token": ""}
        return CredentialFactory(base_url=simulator.base_url, **{**keys, **stored}).channel

    return make


def test_the_consent_of_a_shop_that_is_a_channel_is_refused(simulator, client, taobao):
    first, second = taobao(), taobao()
    client.get(consent(authorise_url(client, first)))
    refused = client.get(consent(authorise_url(client, second)))
    assert refusal(refused).startswith(f"This shop is already the channel “{first.name}”.")
    assert f'href="/catalog/channel/{first.pk}/change/">Open “' in refused.text
    assert Credential.objects.get(channel=second).access_token == ""
    client.post(f"/connect/channels/{first.pk}/disconnect/")
    client.get(consent(authorise_url(client, second)))
    assert Credential.objects.get(channel=second).access_token


def test_authorising_the_same_channel_again_is_no_second_one(simulator, client, taobao):
    channel = taobao()
    for _ in range(2):
        assert client.get(consent(authorise_url(client, channel))).status_code == 302


def test_a_shop_that_is_a_channel_is_not_asked_for_its_keys(simulator, client, settings):
    settings.HTTPS, settings.SITE_URL = True, "https://shelf.example"
    first = woocommerce_channel(simulator)
    services.check_connection(channel=first, actor=UserFactory(), now=timezone.now())
    second = ChannelFactory(platform="woocommerce")
    address = {"base_url": simulator.woocommerce.shop()["url"]}
    answer = client.post(f"/connect/channels/{second.pk}/keys/", address)
    assert answer.status_code == 400
    assert f"already the channel “{first.name}”" in answer.text
    assert not KeyRequest.objects.exists()


def test_keys_of_a_shop_that_became_a_channel_meanwhile_are_not_taken(simulator, owner):
    first, second = woocommerce_channel(simulator), ChannelFactory(platform="woocommerce")
    url = simulator.woocommerce.shop()["url"]
    KeyRequest.objects.create(
        channel=second,
        actor=owner,
        base_url=url,
        digest=handed_keys._digest("state"),
        expires_at=timezone.now() + timedelta(minutes=5),
    )
    services.check_connection(channel=first, actor=owner, now=timezone.now())
    body = (
        b'{"key_id": 1, "user_id": "state", "consumer_key": "ck_%s", "consumer_secret": "cs_%s", '
        b'"key_permissions": "read_write"}' % (b"0" * 40, b"1" * 40)
    )
    with pytest.raises(handed_keys.NotTaken):
        handed_keys.receive(channel=second, body=body, now=timezone.now())
    assert not Credential.objects.filter(channel=second).exists()


def test_the_database_holds_one_channel_per_shop():
    CredentialFactory(shop_key="shopify:a.myshopify.com")
    with pytest.raises(IntegrityError), transaction.atomic():
        CredentialFactory(shop_key="shopify:a.myshopify.com")
    for _ in range(2):
        CredentialFactory(shop_key="")


@pytest.mark.parametrize(
    ("address", "known_by"),
    [
        ("https://www.Shop.example/", "shop.example"),
        ("http://shop.example:80", "shop.example"),
        ("https://shop.example:8443/De/", "shop.example:8443/De"),
        ("A.myshopify.com", "a.myshopify.com"),
        ("", ""),
    ],
)
def test_an_address_counts_as_the_same_however_it_is_written(address, known_by):
    assert shop_id(address) == known_by
    migration = import_module("integrations.migrations.0004_one_channel_per_shop")
    assert migration._shop(address) == known_by


def test_of_two_that_were_stored_before_the_older_holds_the_shop(simulator):
    first, second = woocommerce_channel(simulator), woocommerce_channel(simulator)
    import_module("integrations.migrations.0004_one_channel_per_shop").hold_shops(apps, None)
    held = dict(Credential.objects.values_list("channel", "shop_key"))
    assert held[second.pk] == ""
    assert held[first.pk] == first.credential.shop_named


def test_the_connection_is_ended_by_those_who_may_change_it(simulator, client):
    channel = woocommerce_channel(simulator)
    operator = UserFactory()
    operator.channels.add(channel)
    client.force_login(operator)
    page = f"/connect/channels/{channel.pk}/disconnect/"
    assert (client.get(page).status_code, client.post(page).status_code) == (403, 403)
    assert Credential.objects.get().app_secret
