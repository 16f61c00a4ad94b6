"""What the settings make of the environment, each time in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.pure

ROOT = Path(__file__).resolve().parent.parent.parent
SHOW = "import json, config.settings as s; print(json.dumps({n: getattr(s, n) for n in dir(s) if n in %r}))"
ALONE = ["127.0.0.1", "localhost", "[::1]"]


def settings_with(*names, **environment):
    secrets = {"SECRET_KEY": "tests-only", "CREDENTIAL_KEYS": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="}
    unset = {"SITE_URL", "ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "BEHIND_PROXY"}
    inherited = {name: value for name, value in os.environ.items() if name not in unset}
    ran = subprocess.run(
        [sys.executable, "-c", SHOW % (names,)],
        cwd=ROOT,
        env={**inherited, **secrets, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(ran.stdout)


@pytest.mark.parametrize(
    ("environment", "hosts", "origins"),
    [
        pytest.param(
            {"SITE_URL": "https://shelf.example/"},
            ["shelf.example", *ALONE],
            ["https://shelf.example"],
            id="the address of the site is enough",
        ),
        pytest.param(
            {"SITE_URL": "https://shelf.example:8443"},
            ["shelf.example", *ALONE],
            ["https://shelf.example:8443"],
            id="with a port",
        ),
        pytest.param({"SITE_URL": "http://[::1]:8000"}, ["[::1]", *ALONE], ["http://[::1]:8000"], id="version 6"),
        pytest.param(
            {"SITE_URL": "https://shelf.example", "ALLOWED_HOSTS": "a.example,b.example"},
            ["a.example", "b.example", *ALONE],
            ["https://shelf.example"],
            id="a probe on this machine gets in whatever the hosts are",
        ),
    ],
)
def test_hosts_and_origins_follow_from_the_address_of_the_site(environment, hosts, origins):
    shown = settings_with("ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", **environment)
    assert shown == {"ALLOWED_HOSTS": hosts, "CSRF_TRUSTED_ORIGINS": origins}


def test_behind_a_proxy_its_word_about_tls_counts():
    names = ("SECURE_SSL_REDIRECT", "SECURE_PROXY_SSL_HEADER")
    assert settings_with(*names, SITE_URL="https://shelf.example", BEHIND_PROXY="True") == {
        "SECURE_SSL_REDIRECT": True,
        "SECURE_PROXY_SSL_HEADER": ["HTTP_X_FORWARDED_PROTO", "https"],
    }
    assert settings_with("SECURE_PROXY_SSL_HEADER", SITE_URL="https://shelf.example") == {
        "SECURE_PROXY_SSL_HEADER": None
    }


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", ["", 25, "", "", False, False]),
        ("smtp://mail.example", ["mail.example", 25, "", "", False, False]),
        ("smtp+tls://me%40x:p%2Fw@mail.example", ["mail.example", 587, "me@x", "p/w", True, False]),
        ("smtp+ssl://me:pw@mail.example:2465", ["mail.example", 2465, "me", "pw", False, True]),
    ],
)
def test_one_address_sets_up_mail(url, expected):
    names = ["HOST", "PORT", "HOST_USER", "HOST_PASSWORD", "USE_TLS", "USE_SSL"]
    shown = settings_with(*(f"EMAIL_{name}" for name in names), **({"EMAIL_URL": url} if url else {}))
    assert [shown[f"EMAIL_{name}"] for name in names] == expected
