"""From the channel page to the platform and back, met at the local simulator."""

import logging
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from django.contrib.auth.models import Permission
from django.utils import timezone

from catalog.models import AuditEvent
from integrations import services, tokens
from integrations.connections import connector_for, renew_token
from integrations.connectors.base import ListingRef, ReadOutcome
from integrations.models import ChannelHealth, Credential, QuotaSlot
from integrations.views.authorising import STATES
from tests.factories import ChannelFactory, CredentialFactory, ListingFactory, ListingWatchFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def channel(simulator):
    account = simulator.taobao.account
    return CredentialFactory(
        app_key=account["app_key"],
        app_secret=account["app_secret"],
        access_token="",
        base_url=simulator.base_url,
        channel__name="天猫旗舰店",
    ).channel


def staff(*codenames: str, channels=()):
    user = UserFactory()
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    user.channels.set(channels)
    return user


@pytest.fixture
def owner(client):
    user = UserFactory(is_superuser=True)
    client.force_login(user)
    return user


def authorise_url(client, channel) -> str:
    """Open our page; returns the address of its link to the platform."""
    response = client.get(f"/connect/channels/{channel.pk}/authorise/")
    assert response.status_code == 200
    url: str = response.context["url"]
    assert url.replace("&", "&amp;") in response.text
    return url


def consent(url: str) -> str:
    """What the seller's browser does at the platform; returns the address it is sent back to, as a path."""
    answer = requests.get(url, allow_redirects=False, timeout=10)
    assert answer.status_code in {302, 303}
    back = urlsplit(answer.headers["Location"])
    return f"{back.path}?{back.query}"


def refusal(response) -> str:
    assert response.status_code == 400
    assert "Nothing was changed." in response.text
    return str(response.context["reason"])


def read_first_item(simulator, channel) -> ReadOutcome:
    shop = simulator.taobao.shop()["shop"]
    item = simulator.taobao.items(shop=shop)[0]
    ref = ListingRef(1, str(item["num_iid"]), str(item["sku_id"] or ""))
    return connector_for(channel).read_listings([ref], now=timezone.now())[0].outcome


def test_a_shop_authorises_and_its_items_can_be_read(simulator, channel, client, owner):
    watch = ListingWatchFactory(listing__channel=channel, next_due_at=timezone.now() + timedelta(hours=5))
    ChannelHealth.objects.create(channel=channel, failures=9, retry_at=timezone.now() + timedelta(minutes=9))
    url = authorise_url(client, channel)
    query = parse_qs(urlsplit(url).query)
    assert query["redirect_uri"] == ["http://127.0.0.1:8000/connect/callback/"]
    response = client.get(consent(url), follow=True)
    assert response.redirect_chain == [(f"/catalog/channel/{channel.pk}/change/", 302)]
    assert "天猫旗舰店 is authorised until" in response.text

    credential = Credential.objects.get()
    assert credential.state(timezone.now()) == Credential.State.CONNECTED
    assert credential.authorised_by == owner
    assert credential.account_id
    assert credential.account_name == simulator.taobao.shop()["nick"]
    assert set(credential.token_levels) == {"r1", "r2", "w1", "w2"}
    assert read_first_item(simulator, credential.channel) == ReadOutcome.READ
    health = ChannelHealth.objects.get()
    assert (health.failures, health.retry_at) == (0, None)
    watch.refresh_from_db()
    assert watch.next_due_at <= timezone.now()
    event = AuditEvent.objects.get(action="authorised")
    assert (event.actor, event.channel) == (owner, channel)
    assert credential.access_token not in str(event.changes)
    assert credential.access_token not in response.text


def test_the_page_before_the_platform_says_where_one_goes_and_what_to_register(channel, client, owner, simulator):
    response = client.get(f"/connect/channels/{channel.pk}/authorise/")
    assert urlsplit(simulator.base_url).netloc in response.text
    assert "http://127.0.0.1:8000/connect/callback/" in response.text
    assert channel.credential.app_secret not in response.text
    assert "form-action 'self'" in response["Content-Security-Policy"]


def test_a_seller_who_declines_changes_nothing(simulator, channel, client, owner):
    simulator.taobao.set_oauth(deny=True)
    assert refusal(client.get(consent(authorise_url(client, channel)))) == "The shop did not give its consent."
    assert Credential.objects.get().access_token == ""


def test_a_code_works_once_and_so_does_a_state(simulator, channel, client, owner):
    back = consent(authorise_url(client, channel))
    client.get(back)
    token = Credential.objects.get().access_token
    assert "finished already" in refusal(client.get(back))
    # The same code under a new state: the platform refuses it.
    code = parse_qs(urlsplit(back).query)["code"][0]
    state = parse_qs(urlsplit(authorise_url(client, channel)).query)["state"][0]
    assert "did not accept the authorisation" in refusal(
        client.get("/connect/callback/", {"code": code, "state": state})
    )
    assert Credential.objects.get().access_token == token
    assert Credential.objects.get().revoked_cause == ""


@pytest.mark.parametrize("query", [{}, {"code": "x"}, {"code": "x", "state": ""}, {"code": "x", "state": "guessed"}])
def test_a_callback_that_was_not_begun_here_is_refused(channel, client, owner, query):
    authorise_url(client, channel)
    assert "was not begun here" in refusal(client.get("/connect/callback/", query))


def test_a_state_of_another_person_is_refused_even_in_the_same_browser(simulator, channel, client, owner):
    back = consent(authorise_url(client, channel))
    pending = client.session[STATES]
    client.force_login(UserFactory(is_superuser=True))
    session = client.session
    session[STATES] = pending
    session.save()
    assert "begun by somebody else" in refusal(client.get(back))
    assert Credential.objects.get().access_token == ""


def test_a_visitor_who_is_not_signed_in_is_not_sent_to_the_sign_in_with_the_code(simulator, channel, client, owner):
    back = consent(authorise_url(client, channel))
    client.logout()
    assert "was not begun here" in refusal(client.get(back))


def test_a_state_dies_after_ten_minutes(simulator, channel, client, owner):
    back = consent(authorise_url(client, channel))
    session = client.session
    session[STATES] = {state: [row[0], row[1], row[2] - 601] for state, row in session[STATES].items()}
    session.save()
    assert "longer than 10 minutes" in refusal(client.get(back))


def test_only_the_five_newest_states_are_kept(channel, client, owner):
    for _ in range(8):
        authorise_url(client, channel)
    assert len(client.session[STATES]) == 5


def test_permissions_lost_meanwhile_count(simulator, channel, client, owner):
    back = consent(authorise_url(client, channel))
    owner.is_superuser = False
    owner.save()
    assert "may not authorise" in refusal(client.get(back))


def test_a_wrong_app_secret_is_told_as_such(simulator, channel, client, owner):
    Credential.objects.update(app_secret="0" * 32)
    told = refusal(client.get(consent(authorise_url(client, channel))))
    assert "天猫旗舰店" in told
    assert "0" * 32 not in told


def test_the_consent_of_another_shop_is_refused_while_the_channel_has_listings(simulator, channel, client, owner):
    client.get(consent(authorise_url(client, channel)))
    first = Credential.objects.get()
    others = [shop for shop in simulator.taobao.account["shops"] if shop["nick"] != first.account_name]
    listing = ListingFactory(channel=channel)
    simulator.taobao.set_oauth(shop=others[0]["shop"])
    told = refusal(client.get(consent(authorise_url(client, channel))))
    assert first.account_name in told
    assert others[0]["nick"] in told
    assert Credential.objects.get().access_token == first.access_token

    listing.delete()
    client.get(consent(authorise_url(client, channel)))
    assert Credential.objects.get().account_name == others[0]["nick"]


def test_authorising_again_ends_a_revocation(simulator, channel, client, owner):
    Credential.objects.update(revoked_cause="session-invalid", access_token="620dead")
    client.get(consent(authorise_url(client, channel)))
    assert Credential.objects.get().state(timezone.now()) == Credential.State.CONNECTED


@pytest.mark.parametrize("codenames", [["change_channel"], ["change_credential"], []])
def test_both_permissions_are_needed(channel, client, codenames):
    client.force_login(staff(*codenames, channels=[channel]))
    assert client.get(f"/connect/channels/{channel.pk}/authorise/").status_code == 403


def test_a_channel_that_one_does_not_see_is_not_there(channel, client):
    client.force_login(staff("change_channel", "change_credential"))
    assert client.get(f"/connect/channels/{channel.pk}/authorise/").status_code == 404


def test_a_channel_without_app_key_is_set_up_first(client, owner):
    channel = ChannelFactory()
    response = client.get(f"/connect/channels/{channel.pk}/authorise/")
    assert response.headers["Location"] == f"/connect/channels/{channel.pk}/credential/"


def test_neither_code_nor_state_nor_token_is_logged(simulator, channel, client, owner, caplog):
    caplog.set_level(logging.DEBUG)
    back = consent(authorise_url(client, channel))
    client.get(back)
    query = parse_qs(urlsplit(back).query)
    ours = "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith("urllib3"))
    for secret in (query["code"][0], query["state"][0], Credential.objects.get().access_token):
        assert secret not in ours


# --- Renewal --------------------------------------------------------------------------------------------------------


@pytest.fixture
def service_channel(simulator, channel, client, owner):
    """A channel whose app may renew its tokens, authorised, with a tenth of the token's life left."""
    account = simulator.taobao.account
    app = next(app for app in account["apps"] if app["app_type"] == "service-market")
    Credential.objects.update(app_key=app["app_key"], options={"app_type": "service"})
    credential = Credential.objects.get()
    credential.app_secret = app["app_secret"]
    credential.save()
    client.get(consent(authorise_url(client, channel)))
    now = timezone.now()
    Credential.objects.update(authorised_at=now - timedelta(days=9), token_expires_at=now + timedelta(days=1))
    return Credential.objects.get().channel


def test_a_token_that_ends_soon_is_renewed_once(simulator, service_channel):
    before = Credential.objects.get()
    now = timezone.now()
    assert services.refresh_expiring(now) == "1 tokens renewed, 0 failed"
    after = Credential.objects.get()
    assert after.access_token != before.access_token
    assert after.refresh_token != before.refresh_token
    assert (after.authorised_at, after.authorised_by) == (now, None)
    assert read_first_item(simulator, after.channel) == ReadOutcome.READ
    assert AuditEvent.objects.filter(action="token renewed").count() == 1
    assert services.refresh_expiring(now) == "0 tokens renewed, 0 failed"


def test_a_second_worker_leaves_the_renewal_to_the_first(service_channel):
    now = timezone.now()
    credential = Credential.objects.get()
    QuotaSlot.objects.create(credential=credential, operation=tokens.RENEWAL, next_free_at=now + timedelta(seconds=30))
    assert not renew_token(service_channel, now).renewed
    assert Credential.objects.get().access_token == credential.access_token


def test_a_refused_renewal_keeps_the_token_while_it_works(simulator, service_channel):
    Credential.objects.update(refresh_token="621unknown")
    credential = Credential.objects.get()
    assert services.refresh_expiring(timezone.now()) == "0 tokens renewed, 1 failed"
    assert Credential.objects.get().access_token == credential.access_token
    assert Credential.objects.get().revoked_cause == ""
    assert read_first_item(simulator, credential.channel) == ReadOutcome.READ


def test_a_refused_renewal_of_an_ended_token_asks_a_person(service_channel):
    now = timezone.now()
    Credential.objects.update(refresh_token="621unknown", token_expires_at=now - timedelta(seconds=1))
    services.refresh_expiring(now)
    assert Credential.objects.get().state(now) == Credential.State.REAUTHORISE


def test_a_token_of_a_merchants_own_app_is_left_to_a_person(simulator, channel, client, owner):
    client.get(consent(authorise_url(client, channel)))
    now = timezone.now()
    Credential.objects.update(token_expires_at=now + timedelta(hours=1))
    assert services.refresh_expiring(now) == "0 tokens renewed, 0 failed"
