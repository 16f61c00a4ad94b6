"""`manage.py doctor`: what it looks at, and what it says about it."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.utils import timezone

from config.management.commands import doctor
from integrations.models import Heartbeat
from integrations.schedules import PLANS, sync_schedules
from integrations.work import CLUSTERS
from tests.factories import CredentialFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def healthy(settings, tmp_path):
    """An installation without a fault."""
    settings.SECRET_KEY = "s" * 50
    settings.VAR_DIR = tmp_path
    settings.STATIC_ROOT = tmp_path / "static"
    settings.STATIC_ROOT.mkdir()
    (settings.STATIC_ROOT / "staticfiles.json").touch()
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    sync_schedules(now=timezone.now())
    for name in CLUSTERS:
        Heartbeat.objects.create(name=name, beat_at=timezone.now())


def findings():
    # The tests' SQLite is in memory, where there is no journal to write ahead.
    return {
        finding.check: finding
        for finding in doctor.examine(timezone.now())
        if not (finding.check == "database" and "journal mode memory" in finding.detail)
    }


def bad():
    return {name for name, finding in findings().items() if not finding.good}


def test_nothing_is_wrong_with_a_healthy_installation(healthy):
    CredentialFactory(token_expires_at=timezone.now() + timedelta(days=100))
    assert bad() == set()


def test_a_silent_cluster_is_named(healthy):
    Heartbeat.objects.filter(name="bulk").update(beat_at=timezone.now() - timedelta(hours=1))
    assert bad() == {"cluster bulk"}
    assert "manage.py work" in findings()["cluster bulk"].advice


def test_missing_schedules_and_static_files_are_named(healthy, settings):
    from django_q.models import Schedule

    Schedule.objects.filter(name__endswith="prune").delete()
    (Path(settings.STATIC_ROOT) / "staticfiles.json").unlink()
    assert bad() == {"schedules", "static files"}
    assert findings()["schedules"].detail == "missing: prune"


@pytest.mark.parametrize(
    ("name", "value", "detail"),
    [
        pytest.param("SECRET_KEY", "short", "SECRET_KEY is shorter than 32 characters", id="short secret key"),
        pytest.param("CREDENTIAL_KEYS", [], "CREDENTIAL_KEYS is empty", id="no credential key"),
        pytest.param("CREDENTIAL_KEYS", ["x"], "key 1 of CREDENTIAL_KEYS is not a Fernet key", id="not a key"),
    ],
)
def test_secrets_that_cannot_work_are_named_without_their_values(healthy, settings, name, value, detail):
    setattr(settings, name, value)
    assert findings()["secrets"].detail == detail


@pytest.mark.parametrize(
    ("fields", "good"),
    [
        pytest.param({"token_expires_at": timezone.now() + timedelta(days=2)}, True, id="ends soon"),
        pytest.param({"token_expires_at": timezone.now() - timedelta(days=2)}, False, id="ended"),
        pytest.param({"revoked_cause": "session-invalid"}, False, id="to be authorised again"),
        pytest.param({"access_token": ""}, False, id="never authorised"),
    ],
)
def test_a_channel_without_authorisation_is_named(healthy, fields, good):
    channel = CredentialFactory(**fields).channel
    assert findings()[f"channel {channel}"].good is good


def test_a_credential_whose_key_is_gone_is_named(healthy, settings):
    channel = CredentialFactory().channel
    settings.CREDENTIAL_KEYS = [Fernet.generate_key().decode()]
    assert findings()[f"channel {channel}"].detail == "its secrets cannot be decrypted"


def test_a_simulator_that_does_not_answer_is_named_only_when_a_channel_uses_it(healthy, settings):
    settings.SIMULATOR_URL = "http://127.0.0.1:9"
    CredentialFactory()
    assert "simulator" not in findings()
    CredentialFactory(base_url=settings.SIMULATOR_URL)
    assert findings()["simulator"].detail == "http://127.0.0.1:9 does not answer"


def test_a_database_that_is_away_is_a_finding_and_not_a_traceback(healthy, monkeypatch):
    def away(*args, **kwargs):
        raise OperationalError("connection refused\nIs the server running?")

    monkeypatch.setattr(connection, "cursor", away)
    assert findings()["database"].detail == "does not answer (connection refused)"


def test_the_command_exits_with_1_and_prints_json_when_asked(healthy, capsys):
    Heartbeat.objects.all().delete()
    with pytest.raises(CommandError) as caught:
        call_command("doctor", "--json")
    assert caught.value.returncode == 1
    told = json.loads(capsys.readouterr().out)
    assert told["good"] is False
    assert {
        "check": "schedules",
        "good": True,
        "detail": f"{len(PLANS)} in place",
        "advice": "Run: manage.py sync_schedules",
    } in told["checks"]


def test_the_list_marks_each_check_and_says_what_to_do(healthy, capsys):
    Heartbeat.objects.filter(name="bulk").delete()
    with pytest.raises(CommandError):
        call_command("doctor")
    out = capsys.readouterr().out
    assert "✓ cluster interactive: at work\n" in out
    assert "✗ cluster bulk: never seen\n    Start the worker: manage.py work" in out
