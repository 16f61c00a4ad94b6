"""Which hosts a base URL may lead to."""

from datetime import UTC, datetime
from ipaddress import ip_network

import pytest

from integrations.connectors import addresses
from integrations.connectors.base import InvalidSetting
from integrations.connectors.errors import Fatal
from integrations.connectors.http import HttpClient, Limits
from integrations.connectors.taobao import TaobaoConnector, TaobaoCredentials
from tests.integrations.connectors.raw_server import RawServer, answer

pytestmark = pytest.mark.pure

CREDENTIALS = TaobaoCredentials(app_key="1", app_secret="geheim")
QUICK = Limits(connect_seconds=0.5, read_seconds=0.3, total_seconds=0.8)


@pytest.fixture
def resolve(monkeypatch):
    """Makes every name lead to this machine."""
    from urllib3.util import connection

    connect = connection.create_connection
    monkeypatch.setattr(
        connection,
        "create_connection",
        lambda address, *args, **more: connect(("127.0.0.1", address[1]), *args, **more),
    )


def call(url):
    now = datetime(2026, 11, 21, tzinfo=UTC)
    return HttpClient(limits=QUICK).post_form(url, {"session": "geheim"}, platform="acme", operation="read", now=now)


@pytest.mark.parametrize(
    "address",
    [
        "http://shop.example",
        "http://93.184.216.34",
        "https://169.254.169.254",
        "http://169.254.169.254/latest",
        "https://10.0.0.5",
        "https://192.168.1.1:8443",
        "https://172.16.0.1",
        "https://100.64.0.1",
        "https://0.0.0.0",
        "https://[fe80::1]",
        "https://[fd00::1]",
        "https://[::ffff:10.0.0.5]",
        "https://[64:ff9b::a9fe:a9fe]",
        "https://[64:ff9b:1::1]",
        "https://[2002:a9fe:a9fe::1]",
        "https://[::10.0.0.5]",
        "https://[::ffff:0:10.0.0.5]",
        "https://[fec0::1]",
        "https://[ff02::1]",
        "https://224.0.0.1",
    ],
)
@pytest.mark.parametrize("field", ["base_url", "auth_base_url"])
def test_an_address_inside_or_without_tls_is_refused(field, address):
    with pytest.raises(InvalidSetting) as caught:
        TaobaoConnector(CREDENTIALS, **{field: address})
    assert caught.value.field == field


@pytest.mark.parametrize(
    "address",
    [
        "https://shop.example",
        "https://93.184.216.34",
        "https://[64:ff9b::5db8:d822]",
        "https://[2606:4700::1111]",
        "http://127.0.0.1:8900",
        "http://localhost:1",
        "http://[::1]:1",
    ],
)
def test_a_public_address_with_tls_and_this_machine_are_taken(address):
    assert TaobaoConnector(CREDENTIALS, base_url=address).base_url == address


@pytest.mark.parametrize("address", ["http://gateway.internal", "https://gateway.internal", "http://10.0.0.5:8900"])
def test_what_the_settings_name_is_taken(settings, address):
    settings.ALLOWED_PRIVATE_HOSTS = ["Gateway.internal", "10.0.0.5"]
    assert TaobaoConnector(CREDENTIALS, base_url=address).base_url == address


_METADATA = [
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "fd00:ec2::254",
    "fe80::a9fe:a9fe",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
]


@pytest.mark.parametrize("host", _METADATA)
def test_a_metadata_service_is_refused_even_when_the_settings_name_it(settings, host):
    settings.ALLOWED_PRIVATE_HOSTS = [host, f"{host}:80", f"[{host}]"]
    netloc = f"[{host}]" if ":" in host else host
    for address in (f"http://{netloc}", f"https://{netloc}"):
        with pytest.raises(InvalidSetting) as caught:
            TaobaoConnector(CREDENTIALS, base_url=address)
        assert "never allowed" in str(caught.value)


def test_a_name_in_the_settings_may_not_lead_to_a_metadata_service(resolve, settings, monkeypatch):
    """This machine stands for the service."""
    settings.ALLOWED_PRIVATE_HOSTS = ["shop.example"]
    monkeypatch.setattr(addresses, "METADATA", [ip_network("127.0.0.1/32")])
    with RawServer(answer(b"{}")) as server:
        port = server.url.rpartition(":")[2]
        with pytest.raises(Fatal) as caught:
            call(f"http://shop.example:{port}/latest/meta-data")
    assert caught.value.cause == "wrong-address"
    assert server.heads == []


def test_a_refusal_says_what_whoever_runs_the_server_is_to_add():
    for address, named in [("http://10.0.0.5", "10.0.0.5:80"), ("https://10.0.0.5:8443", "10.0.0.5:8443")]:
        with pytest.raises(InvalidSetting) as caught:
            TaobaoConnector(CREDENTIALS, base_url=address)
        assert f"ask whoever runs the server to add {named} to ALLOWED_PRIVATE_HOSTS" in str(caught.value)


def test_a_name_that_leads_inside_is_told_nothing(resolve):
    with RawServer(answer(b"{}")) as server:
        port = server.url.rpartition(":")[2]
        with pytest.raises(Fatal) as caught:
            call(f"http://shop.example:{port}/router/rest")
    assert caught.value.cause == "wrong-address"
    assert server.heads == []


def test_a_name_in_the_settings_may_lead_inside(resolve, settings):
    settings.ALLOWED_PRIVATE_HOSTS = ["shop.example"]
    with RawServer(answer(b"{}")) as server:
        port = server.url.rpartition(":")[2]
        assert call(f"http://shop.example:{port}/router/rest").json == {}


@pytest.mark.parametrize(
    ("address", "is_taken"),
    [("http://10.0.0.5:8900", True), ("http://10.0.0.5:8901", False), ("https://10.0.0.5", True)],
)
def test_the_settings_may_name_one_port_of_a_host(settings, address, is_taken):
    settings.ALLOWED_PRIVATE_HOSTS = ["10.0.0.5:8900", "10.0.0.5:443"]
    if is_taken:
        assert TaobaoConnector(CREDENTIALS, base_url=address).base_url == address
    else:
        with pytest.raises(InvalidSetting):
            TaobaoConnector(CREDENTIALS, base_url=address)


def test_a_connection_to_a_port_that_the_settings_name_is_made(resolve, settings):
    with RawServer(answer(b"{}")) as server:
        port = server.url.rpartition(":")[2]
        settings.ALLOWED_PRIVATE_HOSTS = [f"shop.example:{port}"]
        assert call(f"http://shop.example:{port}/router/rest").json == {}
