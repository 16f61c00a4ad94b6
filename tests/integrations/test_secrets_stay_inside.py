"""Canaries in every secret field of every platform: whatever is done with the channels, none of them comes out."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from zipfile import ZipFile

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from catalog.models import AuditEvent, Channel
from integrations import fetching, services
from integrations.connectors import CONNECTORS
from integrations.connectors.errors import ConnectorError
from integrations.models import SECRETS, Credential
from monitoring.services import ensure_watches
from tests.factories import ApiKeyFactory, CredentialFactory, ListingFactory, UserFactory

pytestmark = pytest.mark.django_db

HEX = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00"
# As each platform's secrets look, or they would be refused before they are used; never two alike.
CANARIES = {
    "taobao": {"app_secret": f"{HEX[:31]}1", "access_token": f"6200{HEX[:30]}", "refresh_token": f"6201{HEX[:30]}"},
    "shopify": {
        "app_secret": f"shpss_{HEX[:31]}2",
        "access_token": f"shpat_{HEX[:31]}3",
        "refresh_token": f"shprt_{HEX[:31]}4",
    },
    "woocommerce": {
        "app_secret": f"cs_{HEX[:39]}5",
        "access_token": f"wc-{HEX[:30]}6",
        "refresh_token": f"wr-{HEX[:30]}7",
    },
}
KEYS = {"taobao": "12345678", "shopify": "client-1", "woocommerce": f"ck_{HEX[::-1]}"}
KINDS: dict[str, list[dict[str, str]]] = {
    "shopify": [{"app_kind": kind} for kind in ("client_credentials", "custom", "public")]
}
SHOP = "canary.myshopify.com"


def forms() -> list[tuple[str, dict[str, str]]]:
    return [(platform, kind) for platform in CONNECTORS for kind in KINDS.get(platform, [{}])]


@pytest.fixture(params=forms(), ids=lambda param: "-".join([param[0], *param[1].values()]))
def channel(request, simulator):
    platform, kind = request.param
    shop = {"shop": SHOP} if platform == "shopify" else {}
    url = simulator.woocommerce.shop()["url"] if platform == "woocommerce" else simulator.base_url
    credential = CredentialFactory(
        channel__platform=platform,
        app_key=KEYS[platform],
        base_url=url,
        options={**shop, **kind},
        token_expires_at=timezone.now() + timedelta(days=3),
        authorised_at=timezone.now(),
        secret_set_at=timezone.now(),
        **CANARIES[platform],
    )
    ListingFactory(channel=credential.channel, platform_item_id="616000000001", platform_sku_id="616000000002")
    ensure_watches(now=timezone.now() - timedelta(seconds=1))
    return credential.channel


@pytest.fixture
def owner(client):
    user = UserFactory(is_superuser=True)
    client.force_login(user)
    return user


def leaks(text: str, channel: Channel) -> list[str]:
    """The secrets whose text, beyond the last four characters that may be seen, is in the text."""
    return [name for name, value in CANARIES[channel.platform].items() if value in text or value[:-4] in text]


def pages(client, channel: Channel) -> Iterator[tuple[str, str]]:
    """Every page on which the channel or its connection appears, before and after everything has been tried."""
    at, connect = f"/catalog/channel/{channel.pk}", f"/connect/channels/{channel.pk}"
    for address in (
        "/",
        "/setup/",
        "/catalog/channel/",
        f"{at}/change/",
        f"{at}/edit/",
        f"{at}/history/",
        f"{connect}/credential/",
        f"{connect}/authorise/",
        "/catalog/listing/",
        "/catalog/auditevent/",
        f"/search/?q={channel.name}",
        "/connect/callback/?code=x&state=y",
        "/connect/channels/999999/credential/",
    ):
        yield address, client.get(address, follow=True).text
    asked = {"base_url": "ftp://wrong", "shop": "not a shop", "app_key": "not ! a key", "calls_per_second": "x"}
    typed = {name: CANARIES[channel.platform][name] for name in SECRETS}
    for name, values in {"wrong": {**asked, **typed}, "empty": {}, "same": typed}.items():
        yield f"form, {name}", client.post(f"{connect}/credential/", values, follow=True).text
    for deed in ("test", "fetch", "discover"):
        yield deed, client.post(f"{connect}/{deed}/", follow=True).text
    yield "after", client.get(f"{at}/change/").text


def test_no_page_shows_a_secret(client, owner, channel, caplog):
    caplog.set_level(logging.DEBUG)
    shown = dict(pages(client, channel))
    assert {name: found for name, text in shown.items() if (found := leaks(text, channel))} == {}
    ours = "\n".join(record.getMessage() for record in caplog.records)
    assert leaks(ours + caplog.text, channel) == []


def test_neither_work_in_the_background_nor_its_errors_tell_a_secret(channel, caplog):
    caplog.set_level(logging.DEBUG)
    now = timezone.now()
    Credential.objects.update(token_expires_at=now + timedelta(minutes=5))
    services.refresh_expiring(now)
    fetching.fetch_slice(now_fn=timezone.now, seconds=3)
    credential = Credential.objects.select_related("channel").get()
    connector = credential.connector()
    said = [caplog.text, repr(credential), repr(connector), repr(vars(connector).get("credentials")), str(credential)]
    with pytest.raises(ConnectorError) as caught:
        connector.check_connection(now=now)
    error = caught.value
    said += [repr(error), str(error), repr(error.__cause__), error.detail, error.code]
    assert leaks("\n".join(said), channel) == []


def test_no_secret_gets_into_the_audit_log_the_api_or_the_figures(client, owner, channel):
    keys = {"app_secret": CANARIES[channel.platform]["app_secret"][::-1]}
    services.save_credential(channel=channel, values=keys, actor=owner, now=timezone.now())
    services.save_credential(channel=channel, values=CANARIES[channel.platform], actor=owner, now=timezone.now())
    logged = str(list(AuditEvent.objects.values()))
    assert "connection changed" in logged
    assert keys["app_secret"] not in logged
    assert leaks(logged, channel) == []
    key = ApiKeyFactory.build(user=owner, scopes=["read:catalog", "read:watch"])
    token = key.issue()
    key.save()
    client.logout()
    for path in ("channels/", f"channels/{channel.pk}/", "listings/", "schema/"):
        answer = client.get(f"/api/v1/{path}", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200
        assert leaks(answer.text, channel) == []
    for path in ("/metrics", "/healthz", "/readyz"):
        assert leaks(client.get(path).text, channel) == []


def test_no_file_that_is_handed_out_holds_a_secret(client, owner, channel):
    listing = channel.listings.get()
    mapping = reverse("admin:catalog_mapping_export")
    for address in (f"{mapping}?channel={channel.pk}", reverse("watch:listing-history-csv", args=[listing.pk])):
        answer = client.get(address)
        text = answer.getvalue().decode("utf-8-sig")
        assert answer.status_code == 200
        assert text
        assert leaks(text, channel) == []
    answer = client.get(f"{mapping}?channel={channel.pk}&format=xlsx")
    with ZipFile(BytesIO(answer.getvalue())) as book:
        cells = "".join(book.read(name).decode() for name in book.namelist())
    assert listing.platform_item_id in cells
    assert leaks(cells, channel) == []


def test_a_diagnosis_on_the_console_tells_no_secret(channel, capsys):
    told = []
    for command in (["doctor"], ["fetch", "--channel", channel.name]):
        with pytest.raises((SystemExit, CommandError)) as caught:
            call_command(*command)
        told.append(str(caught.value))
    out, err = capsys.readouterr()
    assert channel.name in out + err
    assert leaks(out + err + "".join(told), channel) == []


def test_secrets_are_encrypted_at_rest(channel):
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM integrations_credential")
        row = str(cursor.fetchall())
    assert leaks(row, channel) == []


@pytest.mark.parametrize("debug", [False, True])
def test_the_page_and_the_log_of_an_error_tell_no_secret(client, owner, channel, settings, monkeypatch, caplog, debug):
    """A fault of ours in the middle of a save, with everything that was typed in the request and in variables."""
    client.raise_request_exception = False
    settings.DEBUG = debug

    def fail(**kwargs):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("integrations.services.audit", fail)
    shop = channel.credential.options
    typed = {name: f"{value[:-1]}9" for name, value in CANARIES[channel.platform].items()}
    typed |= {"app_key": KEYS[channel.platform], "base_url": channel.credential.base_url, "calls_per_second": "3"}
    answer = client.post(f"/connect/channels/{channel.pk}/credential/", {**shop, **typed})
    assert answer.status_code == 500
    assert leaks(answer.text + caplog.text, channel) == []
