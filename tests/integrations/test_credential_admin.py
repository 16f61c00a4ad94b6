"""The channel page's connection parts, and the form behind them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from catalog.fields import LostSecret
from catalog.models import AuditEvent
from catalog.services import audit
from integrations.connections import mark_good
from integrations.connectors import CONNECTORS
from integrations.connectors.base import SettingKind
from integrations.models import SECRETS, ChannelHealth, Credential
from monitoring.models import ListingWatch
from tests.factories import (
    ChannelFactory,
    CredentialFactory,
    ListingWatchFactory,
    UserFactory,
)

SECRET = "0123456789abcdef0123456789ab7f3a"

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner(client):
    user = UserFactory(is_superuser=True, first_name="林悦")
    client.force_login(user)
    return user


@pytest.fixture
def channel():
    now = timezone.now()
    return CredentialFactory(
        app_secret=SECRET,
        access_token="6200e1aaaaaaaaaaaaaaaaaaaaaa0bcd",
        refresh_token="6201a2secret",
        secret_set_at=now,
        authorised_at=now,
        token_expires_at=now + timedelta(days=90),
        channel__name="天猫旗舰店",
    ).channel


def page(channel) -> str:
    return f"/catalog/channel/{channel.pk}/change/"


def form_data(**changed) -> dict[str, str]:
    return {
        "app_key": "12345678",
        "app_secret": "",
        "base_url": "",
        "calls_per_second": "",
        "app_type": "merchant",
        "sign_method": "hmac-sha256",
        **changed,
    }


def save(client, channel, **changed):
    return client.post(f"/connect/channels/{channel.pk}/credential/", form_data(**changed), follow=True)


def role(client, name: str, *channels):
    user = UserFactory()
    user.groups.add(Group.objects.get(name=name))
    user.channels.set(channels)
    client.force_login(user)
    return user


# --- The page -------------------------------------------------------------------------------------------------------


def test_the_page_shows_secrets_by_their_last_four_characters_only(client, owner, channel):
    text = client.get(page(channel)).text
    assert "•••• 7f3a" in text
    assert "•••• 0bcd" in text
    for secret in (SECRET, channel.credential.access_token, "6201a2secret"):
        assert secret not in text


def test_a_short_secret_shows_dots_alone(client, owner):
    text = client.get(page(CredentialFactory(app_secret="helloworld").channel)).text
    assert "••••" in text
    assert "orld" not in text


@pytest.mark.parametrize(
    ("stored", "health", "badge"),
    [
        pytest.param({}, {}, "Connected", id="connected"),
        pytest.param({"app_key": ""}, {}, "Not set up", id="not set up"),
        pytest.param({"access_token": ""}, {}, "Not authorised", id="not authorised"),
        pytest.param({"revoked_cause": "session-invalid"}, {}, "Re-authorise", id="refused"),
        pytest.param({"token_expires_at": timedelta(seconds=-1)}, {}, "Authorisation ended", id="ended"),
        pytest.param({"token_expires_at": timedelta(days=3, minutes=1)}, {}, "Token ends in 3 d", id="ends soon"),
        pytest.param(
            {"token_levels": {"r2": timedelta(days=2, minutes=1)}}, {}, "Token ends in 2 d", id="a level ends soon"
        ),
        pytest.param({}, {"failures": 5, "kind": "retry", "cause": "timeout"}, "Not answering", id="circuit open"),
        pytest.param({}, {"kind": "fatal", "cause": "bad-signature"}, "Signature refused", id="wrong secret"),
        pytest.param(
            {}, {"kind": "wait", "cause": "quota", "retry_at": timedelta(minutes=1)}, "Too many calls", id="waiting"
        ),
    ],
)
def test_the_badge_tells_the_worst_of_the_connection(client, owner, channel, stored, health, badge):
    now = timezone.now()
    moved = {key: now + value if isinstance(value, timedelta) else value for key, value in stored.items()}
    levels = stored.get("token_levels", {})
    moved["token_levels"] = {level: (now + left).isoformat() for level, left in levels.items()}
    credential = channel.credential
    for key, value in moved.items():
        setattr(credential, key, value)
    credential.save()
    if health:
        health = {key: now + value if isinstance(value, timedelta) else value for key, value in health.items()}
        ChannelHealth.objects.create(channel=channel, **health)
    assert badge in client.get(page(channel)).text
    assert badge in client.get("/catalog/channel/").text


def watched(channel, *outcomes: str, ownership: str = "own", **stored) -> None:
    for outcome in outcomes:
        tried_at = stored.get("tried_at", timezone.now())
        ListingWatchFactory(
            listing__channel=channel, listing__ownership=ownership, outcome=outcome, tried_at=tried_at, cause="timeout"
        )


@pytest.mark.parametrize(
    ("outcomes", "badge"),
    [
        pytest.param(["failed", "refused", "read"], "Not reading", id="most failed"),
        pytest.param(["failed", "read"], "Connected", id="half failed"),
        pytest.param(["failed", "", "", ""], "Not reading", id="the only one that was tried"),
        pytest.param(["", ""], "Connected", id="none tried yet"),
    ],
)
def test_a_channel_whose_own_listings_are_mostly_not_read_is_not_calmly_connected(
    client, owner, channel, outcomes, badge
):
    watched(channel, *outcomes)
    watched(channel, "failed", "failed", "failed", ownership="competitor")
    other = {"Connected", "Not reading"} - {badge}
    for address in (page(channel), "/catalog/channel/", "/"):
        text = client.get(address).text
        assert badge in text
        assert not any(word in text for word in other)


def test_failures_of_an_earlier_token_say_nothing_of_the_present_one(client, owner, channel):
    watched(channel, "failed", tried_at=timezone.now() - timedelta(hours=1))
    Credential.objects.update(authorised_by=owner)
    text = client.get(page(channel)).text
    assert "Connected" in text
    assert "did not answer in time" not in text


def test_new_settings_are_not_tried_until_a_call_was_answered_well(client, owner, channel):
    ChannelHealth.objects.create(
        channel=channel, failures=3, kind="fatal", cause="bad-signature", good_at=timezone.now()
    )
    ListingWatchFactory(listing__channel=channel, outcome="failed", cause="bad-signature", tried_at=timezone.now())
    text = save(client, channel, app_secret="another-secret-1234567890").text
    assert "Not tried yet" in text
    assert "did not accept our signature" not in text
    assert "Not tried yet" in client.get("/catalog/channel/").text
    assert "Not tried yet" in client.get("/").text
    ListingWatch.objects.update(outcome="read", cause="", tried_at=timezone.now())
    mark_good([channel.pk], timezone.now())
    assert "Not tried yet" not in client.get(page(channel)).text


def test_the_button_is_the_next_step(client, owner, channel):
    assert "Find listings in the shop" in client.get(page(channel)).text
    assert "Re-authorise" in client.get(page(channel)).text
    assert f"/connect/channels/{ChannelFactory().pk}/credential/" not in client.get(page(channel)).text
    new = ChannelFactory()
    assert f'"/connect/channels/{new.pk}/credential/">Connect' in client.get(page(new)).text


def test_problems_are_told_by_cause_with_what_helps(client, owner, channel):
    for _ in range(5):
        ListingWatchFactory(
            listing__channel=channel, outcome="missing", cause="unknown-listing", tried_at=timezone.now()
        )
    ChannelHealth.objects.create(
        channel=channel, kind="fatal", cause="bad-signature", code="25 isv.<b>", failed_at=timezone.now()
    )
    text = client.get(page(channel)).text
    assert "天猫旗舰店: the item is not known to the platform." in text
    assert "5 listings" in text
    assert f"?tab=trouble&amp;channel__id__exact={channel.pk}" in text
    assert "2 more" in text
    assert "“App secret” is most likely wrong" in text
    assert "Code <code>25 isv.&lt;b&gt;</code> · <time" in text
    assert "Edit connection" in text


def test_the_list_of_listings_has_a_view_of_those_with_problems(client, owner, channel):
    ListingWatchFactory(listing__channel=channel, outcome="refused", cause="foreign-listing", listing__title="异常")
    ListingWatchFactory(listing__channel=channel, outcome="read", listing__title="正常")
    text = client.get(f"/catalog/listing/?tab=trouble&channel__id__exact={channel.pk}").text
    assert "异常" in text
    assert "正常" not in text


def test_the_end_of_an_authorisation_tells_its_year_when_it_is_another(client, owner, channel, time_machine):
    time_machine.move_to(datetime(2026, 11, 21, 4, 0, tzinfo=UTC), tick=False)
    Credential.objects.update(token_expires_at=datetime(2027, 11, 21, 4, 0, tzinfo=UTC))
    assert "21 Nov 2027" in client.get(page(channel)).text


def test_the_page_costs_the_same_queries_however_many_listings_are_in_trouble(
    client, owner, channel, django_assert_max_num_queries
):
    for cause in ("unknown-listing", "variant-deleted", "timeout"):
        for _ in range(8):
            ListingWatchFactory(listing__channel=channel, outcome="failed", cause=cause, tried_at=timezone.now())
    client.get(page(channel))
    with django_assert_max_num_queries(22):
        client.get(page(channel))


def test_the_list_costs_the_same_queries_however_many_channels(client, owner, django_assert_max_num_queries):
    CredentialFactory()
    client.get("/catalog/channel/")
    CredentialFactory.create_batch(10)
    for channel in [row.channel for row in Credential.objects.all()]:
        ListingWatchFactory(listing__channel=channel, read_at=timezone.now())
    with django_assert_max_num_queries(12):
        text = client.get("/catalog/channel/").text
    assert text.count("Connected") == 11


def test_the_dashboard_names_the_channels_to_authorise(client, owner, channel):
    assert "To authorise" not in client.get("/").text
    Credential.objects.update(token_expires_at=timezone.now() + timedelta(days=2))
    text = client.get("/").text
    assert "To authorise" in text
    assert f"/connect/channels/{channel.pk}/authorise/" in text
    assert "To authorise" in client.get(f"/?channel={channel.pk}").text
    assert "To authorise" not in client.get(f"/?channel={CredentialFactory().channel.pk}").text


def test_a_revoked_authorisation_is_not_shown_with_the_end_it_was_to_have(client, owner, channel, time_machine):
    time_machine.move_to(datetime(2026, 11, 21, 4, 0, tzinfo=UTC), tick=False)
    Credential.objects.update(token_expires_at=datetime(2026, 11, 23, 4, 0, tzinfo=UTC))
    client.force_login(owner)
    assert "· 23 Nov 12:00" in client.get("/").text
    Credential.objects.update(revoked_cause="session-invalid")
    text = client.get("/").text
    assert "To authorise" in text
    assert "23 Nov" not in text


def test_the_log_shows_times_to_the_minute_where_the_site_is(client, owner, channel):
    audit(
        action="authorised",
        obj=channel,
        actor=owner,
        now=timezone.now(),
        changes={"integrations.credential.token_expires_at": [None, datetime(2027, 5, 4, 1, 2, 3, 456789, tzinfo=UTC)]},
    )
    text = client.get(f"/catalog/channel/{channel.pk}/history/").text
    assert "2027-05-04 09:02" in text
    assert "456789" not in text


# --- The form -------------------------------------------------------------------------------------------------------


def test_the_form_never_holds_a_stored_secret(client, owner, channel):
    text = client.get(f"/connect/channels/{channel.pk}/credential/").text
    assert SECRET not in text
    assert 'type="password"' in text
    assert 'value="12345678"' in text


def test_a_form_with_errors_does_not_send_the_typed_secret_back(client, owner, channel):
    response = save(client, channel, app_secret="typed-secret-7890", base_url="ftp://x")
    assert response.status_code == 400
    assert "typed-secret-7890" not in response.text


def test_an_empty_secret_keeps_the_stored_one(client, owner, channel):
    save(client, channel, calls_per_second="2.5")
    credential = Credential.objects.get()
    assert (credential.app_secret, credential.calls_per_second) == (SECRET, Decimal("2.50"))
    assert credential.access_token == channel.credential.access_token


def test_a_replaced_secret_is_audited_without_its_value(client, owner, channel):
    ChannelHealth.objects.create(channel=channel, failures=3, kind="fatal", cause="bad-signature")
    save(client, channel, app_secret="another-secret-1234567890")
    assert Credential.objects.get().app_secret == "another-secret-1234567890"
    event = AuditEvent.objects.get(action="connection changed")
    assert event.changes == {"integrations.credential.app_secret": ["•••", "•••"]}
    assert event.actor == owner
    log = client.get(f"/catalog/channel/{channel.pk}/history/").text
    assert "App secret" in log
    assert "another-secret" not in log
    assert ChannelHealth.objects.get().failures == 0


def test_another_app_key_drops_the_token_of_the_old_one(client, owner, channel):
    response = save(client, channel, app_key="87654321")
    assert "The shop has to authorise again." in response.text
    assert Credential.objects.get().state(timezone.now()) == Credential.State.NOT_AUTHORISED


def test_another_address_asks_for_the_secret_again(client, owner, channel):
    response = save(client, channel, base_url="https://elsewhere.example")
    assert "Enter it again" in response.text
    assert Credential.objects.get().base_url == ""
    save(client, channel, base_url="https://elsewhere.example/", app_secret=SECRET)
    credential = Credential.objects.get()
    assert (credential.base_url, credential.access_token) == ("https://elsewhere.example", "")


def test_saving_the_same_again_changes_and_audits_nothing(client, owner, channel):
    save(client, channel)
    before = AuditEvent.objects.count()
    assert "Nothing was changed." in save(client, channel).text
    assert AuditEvent.objects.count() == before


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        pytest.param({"app_key": ""}, "This field is required", id="no app key"),
        pytest.param({"app_key": "12 34"}, "digits and letters only", id="app key"),
        pytest.param(
            {"base_url": "https://u:p@shop", "app_secret": "x"}, "must not hold a user name", id="user in address"
        ),
        pytest.param({"sign_method": "sha1"}, "Select a valid choice", id="sign method"),
        pytest.param({"calls_per_second": "-1"}, "greater than or equal", id="calls per second"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_at_its_field(client, owner, channel, changed, message):
    response = save(client, channel, **changed)
    assert response.status_code == 400
    assert message in response.text
    assert not AuditEvent.objects.filter(action="connection changed").exists()


def test_a_new_channel_needs_a_secret(client, owner):
    channel = ChannelFactory()
    assert "This field is required" in save(client, channel).text
    save(client, channel, app_secret="helloworld", app_type="service")
    credential = Credential.objects.get()
    assert (credential.app_key, credential.options["app_type"]) == ("12345678", "service")


@pytest.mark.parametrize("platform", sorted(CONNECTORS))
def test_every_setting_is_a_field_that_can_be_stored_and_every_choice_one_that_is_taken(platform):
    connector = CONNECTORS[platform]
    fields = connector.Credentials.__dataclass_fields__
    known = {setting.name for setting in connector.settings}
    for setting in connector.settings:
        assert setting.name in fields or setting.name == "base_url"
        assert setting.help_text or dict(setting.choice_help).keys() == dict(setting.choices).keys(), setting.name
        assert (setting.kind == SettingKind.SECRET) is (setting.name in SECRETS)
        assert bool(setting.choices) is (setting.kind == SettingKind.CHOICE)
        assert setting.only_for is None or setting.only_for[0] in known
        for value, _label in setting.choices:
            made_up = {"app_key": "1", "app_secret": "x", "shop": "a.myshopify.com", setting.name: value}
            connector.Credentials.from_settings({name: made_up[name] for name in made_up.keys() & fields.keys()})


# --- Who may --------------------------------------------------------------------------------------------------------


def test_an_operator_sees_the_connection_and_may_not_change_it(client, channel):
    role(client, "Operator", channel)
    text = client.get(page(channel)).text
    assert "•••• 7f3a" in text
    assert "/credential/" not in text
    assert "/authorise/" not in text
    assert "Fetch now" in text
    assert client.get(f"/connect/channels/{channel.pk}/credential/").status_code == 403


def test_a_viewer_sees_no_credential(client, channel):
    role(client, "Viewer", channel)
    text = client.get(page(channel)).text
    assert "7f3a" not in text
    assert "Fetch now" not in text


def test_the_permission_to_change_credentials_is_enough(client, channel):
    user = role(client, "Viewer", channel)
    user.user_permissions.add(Permission.objects.get(codename="change_credential"))
    assert save(client, channel, calls_per_second="3").status_code == 200
    assert Credential.objects.get().calls_per_second == 3


def test_a_channel_one_does_not_see_is_not_there(client, channel):
    user = role(client, "Viewer")
    user.user_permissions.add(Permission.objects.get(codename="change_credential"))
    assert client.get(f"/connect/channels/{channel.pk}/credential/").status_code == 404


# --- Secrets that no key decrypts -----------------------------------------------------------------------------------


@pytest.fixture
def lost(channel, settings):
    settings.CREDENTIAL_KEYS = [Fernet.generate_key().decode()]
    return channel


@pytest.mark.parametrize("address", ["/", "/catalog/channel/", "/catalog/listing/"])
def test_a_missing_key_is_a_state_of_its_channel_and_stops_no_page(client, owner, lost, address):
    ListingWatchFactory(listing__channel=lost)
    CredentialFactory(channel__name="淘宝店")
    response = client.get(address)
    assert response.status_code == 200
    assert address == "/catalog/listing/" or "Key missing" in response.text or "key missing" in response.text


def test_the_page_of_a_channel_with_a_missing_key_says_what_to_do(client, owner, lost):
    text = client.get(page(lost)).text
    assert "Key missing" in text
    assert "can no longer be decrypted" in text
    assert "Put that key back into CREDENTIAL_KEYS, or enter again what was lost: App secret" in text
    assert text.count("cannot be decrypted") == 2
    assert f'href="/connect/channels/{lost.pk}/credential/"' in text
    assert f'href="/connect/channels/{lost.pk}/authorise/"' not in text


def test_lost_secrets_can_be_entered_again(client, owner, lost):
    assert client.get(f"/connect/channels/{lost.pk}/credential/").status_code == 200
    assert save(client, lost).status_code == 400, "there is no secret to keep"
    assert "Connection saved." in save(client, lost, app_secret=SECRET).text
    credential = Credential.objects.get()
    assert credential.app_secret == SECRET
    assert credential.state(timezone.now()) == Credential.State.NOT_AUTHORISED
    event = AuditEvent.objects.get(action="connection changed")
    assert event.changes["integrations.credential.app_secret"] == ["•••", "•••"]


def test_a_lost_token_is_dropped_with_the_app_it_was_granted_to(client, owner, lost, settings):
    save(client, lost, app_key="87654321", app_secret=SECRET)
    assert not isinstance(Credential.objects.get().access_token, LostSecret)


# --- Calls per second -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", ["0", "-1", "0.001"])
def test_a_quota_of_nothing_is_refused_at_its_field(client, owner, channel, rate):
    response = save(client, channel, calls_per_second=rate)
    assert response.status_code == 400
    assert Credential.objects.get().calls_per_second is None


@pytest.mark.parametrize("rate", [Decimal("0"), Decimal("-1")])
def test_a_quota_of_nothing_cannot_be_stored(channel, rate):
    channel.credential.calls_per_second = rate
    with pytest.raises(ValidationError):
        channel.credential.full_clean()
    with pytest.raises(IntegrityError), transaction.atomic():
        Credential.objects.update(calls_per_second=rate)
