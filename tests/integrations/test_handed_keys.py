"""Keys that a shop hands over once a person has agreed there: the printed exchange, with the simulator as the shop."""

import json
import logging
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from django.contrib.auth.models import Permission
from django.utils import timezone

from catalog.models import AuditEvent
from integrations import handed_keys
from integrations.connections import connector_for
from integrations.models import ChannelHealth, Credential, KeyRequest
from tests.factories import ChannelFactory, CredentialFactory, UserFactory
from tests.integrations.connectors.conftest import certificate  # noqa: F401
from tests.integrations.connectors.woocommerce.conftest import TlsFront

pytestmark = pytest.mark.django_db

KEY, SECRET = f"ck_{'1' * 40}", f"cs_{'2' * 40}"
CONSENT = "Connect by consent"


@pytest.fixture(autouse=True)
def https(settings):
    settings.SITE_URL, settings.HTTPS = "https://testserver", True


@pytest.fixture
def channel():
    return ChannelFactory(platform="woocommerce", currency="EUR", name="露营店")


@pytest.fixture
def owner(client):
    user = UserFactory(is_superuser=True)
    client.force_login(user)
    return user


def begin(client, channel, address) -> str:
    """Enter the shop's address; returns the link to the shop."""
    answer = client.post(f"/connect/channels/{channel.pk}/keys/", {"base_url": address})
    assert answer.status_code == 200
    url: str = answer.context["url"]
    assert url.replace("&", "&amp;") in answer.text
    return url


def asked(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def printed(state: str, **changes) -> dict[str, object]:
    """What a shop posts, as its reference prints it."""
    body = {
        "key_id": 1,
        "user_id": state,
        "consumer_key": KEY,
        "consumer_secret": SECRET,
        "key_permissions": "read_write",
    }
    return body | changes


def post(client, channel, body) -> int:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    path = f"/connect/channels/{channel.pk}/keys/received/"
    status: int = client.post(path, content, content_type="application/json;charset=UTF-8").status_code
    return status


def state_of(client, channel) -> str:
    return asked(begin(client, channel, "https://shop.example"))["user_id"]


def messages_of(answer) -> list[tuple[str, str]]:
    return [(message.level_tag, str(message)) for message in answer.context["messages"]]


def pairs() -> list[tuple[str, str]]:
    return list(Credential.objects.values_list("app_key", "app_secret"))


# --- The exchange ---------------------------------------------------------------------------------------------------


@pytest.fixture
def site(live_server, certificate, settings):  # noqa: F811
    """The site behind a proxy that ends TLS, as a shop demands."""
    front = TlsFront(live_server.url, certificate)
    settings.SITE_URL = front.url
    settings.ALLOWED_HOSTS = ["127.0.0.1", "testserver"]
    yield front
    front.close()


@pytest.mark.django_db(transaction=True)
def test_a_shop_hands_its_keys_over_and_they_work(site, simulator, channel, client, owner, caplog):
    caplog.set_level(logging.DEBUG)
    simulator.woocommerce.set(plain_callbacks=False)
    shop = simulator.woocommerce.shop()
    url = begin(client, channel, shop["url"] + "/")
    assert url.startswith(f"{shop['url']}/wc-auth/v1/authorize?")
    query = asked(url)
    assert query == {
        "app_name": "Evenshelf",
        "scope": "read_write",
        "user_id": query["user_id"],
        "return_url": f"{site.url}/connect/channels/{channel.pk}/keys/returned/",
        "callback_url": f"{site.url}/connect/channels/{channel.pk}/keys/received/",
    }
    back = urlsplit(requests.get(url, allow_redirects=False, timeout=10).headers["Location"])
    assert asked(back.geturl()) == {"success": "1", "user_id": query["user_id"]}

    credential = Credential.objects.get()
    assert credential.base_url == shop["url"]
    assert credential.app_secret.startswith("cs_")
    assert connector_for(credential.channel).check_connection(now=timezone.now())
    answer = client.get(f"{back.path}?{back.query}", follow=True)
    assert answer.redirect_chain == [(f"/catalog/channel/{channel.pk}/change/", 302)]
    (first, second) = messages_of(answer)
    assert first == ("success", "The shop has handed its keys over.")
    assert second[1].startswith("The connection works: ")
    assert ChannelHealth.objects.get().good_at is not None

    event = AuditEvent.objects.get(action="connection changed")
    assert (event.actor, event.channel) == (owner, channel)
    assert event.changes["integrations.credential.app_secret"] == ["", "•••"]
    for text in (str(event.changes), answer.text, caplog.text):
        assert credential.app_secret not in text
    assert query["user_id"] not in caplog.text
    assert CONSENT not in answer.text
    assert KeyRequest.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_a_shop_that_refuses_changes_nothing(site, simulator, channel, client, owner):
    simulator.woocommerce.set(denies=True)
    url = begin(client, channel, simulator.woocommerce.shop()["url"])
    back = urlsplit(requests.get(url, allow_redirects=False, timeout=10).headers["Location"])
    answer = client.get(f"{back.path}?{back.query}", follow=True)
    assert messages_of(answer) == [("warning", "The shop did not give its consent. Nothing was changed.")]
    assert (pairs(), KeyRequest.objects.count()) == ([], 0)


# --- What is taken --------------------------------------------------------------------------------------------------


def test_the_printed_form_is_taken_once(channel, client, owner):
    state = state_of(client, channel)
    client.logout()
    assert post(client, channel, printed(state)) == 200
    assert pairs() == [(KEY, SECRET)]
    assert post(client, channel, printed(state, consumer_key=f"ck_{'9' * 40}")) == 400
    assert pairs() == [(KEY, SECRET)]
    assert AuditEvent.objects.filter(action="connection changed").count() == 1


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda body: body | {"user_id": "guessed"}, id="a state that was guessed"),
        pytest.param(lambda body: body | {"user_id": ""}, id="an empty state"),
        pytest.param(lambda body: body | {"user_id": 1}, id="a number"),
        pytest.param(lambda body: body | {"user_id": None}, id="none"),
        pytest.param(lambda body: body | {"consumer_key": "ck_1"}, id="a key too short"),
        pytest.param(lambda body: body | {"consumer_secret": ""}, id="no secret"),
        pytest.param(lambda body: body | {"key_permissions": "read"}, id="a weaker permission"),
        pytest.param(lambda body: [body], id="a list"),
        pytest.param(lambda body: b"", id="nothing"),
        pytest.param(lambda body: b"consumer_key=ck_1", id="a form"),
        pytest.param(lambda body: body | {"more": "x" * 5000}, id="too long"),
    ],
)
def test_anything_else_is_refused_and_the_right_one_still_taken(channel, client, owner, spoil, caplog):
    caplog.set_level(logging.DEBUG)
    state = state_of(client, channel)
    assert post(client, channel, spoil(printed(state))) == 400
    assert pairs() == []
    assert SECRET not in caplog.text
    assert post(client, channel, printed(state)) == 200


def test_it_is_taken_for_ten_minutes(channel, client, owner):
    state = state_of(client, channel)
    request = KeyRequest.objects.get()
    assert timedelta(minutes=9) < request.expires_at - timezone.now() <= timedelta(minutes=10)
    KeyRequest.objects.update(expires_at=timezone.now())
    assert post(client, channel, printed(state)) == 400
    assert pairs() == []


def test_a_state_is_good_for_its_own_channel_only(channel, client, owner):
    state = state_of(client, channel)
    other = ChannelFactory(platform="woocommerce", currency="EUR")
    assert post(client, other, printed(state)) == 400
    assert post(client, ChannelFactory(), printed(state)) == 400
    assert client.post("/connect/channels/4711/keys/received/", {}, content_type="application/json").status_code == 400
    assert pairs() == []


@pytest.mark.parametrize(
    "lose",
    [
        pytest.param(lambda user: user.user_permissions.clear(), id="permission"),
        pytest.param(lambda user: user.channels.set([ChannelFactory()]), id="channel"),
        pytest.param(lambda user: type(user).objects.filter(pk=user.pk).update(is_active=False), id="account"),
    ],
)
def test_who_lost_the_right_meanwhile_stores_nothing(channel, client, lose):
    user = UserFactory()
    user.user_permissions.set(Permission.objects.filter(codename="change_credential"))
    user.channels.set([channel])
    client.force_login(user)
    state = state_of(client, channel)
    lose(user)
    assert post(client, channel, printed(state)) == 400
    assert pairs() == []


def test_the_state_itself_is_kept_nowhere_and_few_are_open_at_once(channel, client, owner):
    states = [state_of(client, channel) for _ in range(handed_keys.MOST_OPEN + 2)]
    rows = list(KeyRequest.objects.values_list("digest", flat=True))
    assert len(rows) == handed_keys.MOST_OPEN
    assert not set(states) & set(rows)
    assert post(client, channel, printed(states[0])) == 400
    assert post(client, channel, printed(states[-1])) == 200


def test_only_a_post_is_taken(channel, client):
    assert client.get(f"/connect/channels/{channel.pk}/keys/received/").status_code == 405


# --- The way back ---------------------------------------------------------------------------------------------------


def test_keys_that_never_came_are_told(channel, client, owner):
    state = state_of(client, channel)
    address = f"/connect/channels/{channel.pk}/keys/returned/"
    answer = client.get(address, {"success": "1", "user_id": state}, follow=True)
    assert [text for _level, text in messages_of(answer)] == [
        "The shop says that it sent its keys, but none arrived here. Enter them by hand instead."
    ]
    answer = client.get(address, {"success": "1", "user_id": state}, follow=True)
    assert "was not begun here" in messages_of(answer)[0][1]


def test_somebody_else_s_way_back_says_nothing(channel, client, owner):
    state = state_of(client, channel)
    client.force_login(UserFactory(is_superuser=True))
    address = f"/connect/channels/{channel.pk}/keys/returned/"
    answer = client.get(address, {"success": "1", "user_id": state}, follow=True)
    assert "was not begun here" in messages_of(answer)[0][1]
    assert KeyRequest.objects.count() == 1


# --- The page -------------------------------------------------------------------------------------------------------


def test_the_channel_s_page_offers_it_until_the_keys_are_there(channel, client, owner):
    page, form = f"/catalog/channel/{channel.pk}/change/", f"/connect/channels/{channel.pk}/credential/"
    assert CONSENT in client.get(page).text
    assert CONSENT in client.get(form).text
    CredentialFactory(channel=channel, app_key=KEY, app_secret=SECRET, base_url="https://shop.example")
    assert CONSENT not in client.get(page).text
    Credential.objects.update(revoked_cause="bad-secret")
    assert CONSENT in client.get(page).text


def test_a_platform_whose_shops_hand_none_over_does_not_offer_it(client, owner):
    channel = ChannelFactory()
    assert CONSENT not in client.get(f"/catalog/channel/{channel.pk}/change/").text
    answer = client.get(f"/connect/channels/{channel.pk}/keys/")
    assert answer.headers["Location"] == f"/connect/channels/{channel.pk}/credential/"


def test_without_https_the_page_says_so_and_asks_no_shop(channel, client, owner, settings):
    settings.SITE_URL, settings.HTTPS = "http://testserver", False
    page = f"/connect/channels/{channel.pk}/keys/"
    for answer in (client.get(page), client.post(page, {"base_url": "https://shop.example"})):
        assert "only to an address that starts with https://, and Evenshelf is at http://testserver" in answer.text
        assert f"/connect/channels/{channel.pk}/credential/" in answer.text
        assert "wc-auth" not in answer.text
    assert KeyRequest.objects.count() == 0


@pytest.mark.parametrize("address", ["", "shop.example", "http://shop.example", "https://10.0.0.1", "https://a/?b=1"])
def test_an_address_that_cannot_be_a_shop_s_is_refused_at_its_field(channel, client, owner, address):
    answer = client.post(f"/connect/channels/{channel.pk}/keys/", {"base_url": address})
    assert answer.status_code == 400
    assert answer.context["form"].errors["base_url"]
    assert KeyRequest.objects.count() == 0


def test_who_may_not_change_connections_cannot_begin(channel, client):
    user = UserFactory()
    user.user_permissions.set(Permission.objects.filter(codename="view_channel"))
    user.channels.set([channel])
    client.force_login(user)
    assert CONSENT not in client.get(f"/catalog/channel/{channel.pk}/change/").text
    assert client.get(f"/connect/channels/{channel.pk}/keys/").status_code == 403
    assert client.get(f"/connect/channels/{channel.pk}/keys/returned/").status_code == 403
