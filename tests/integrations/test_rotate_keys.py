import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.db import connection

from integrations import keys
from integrations.models import Credential
from tests.factories import CredentialFactory

OLD, NEW, LOST = (Fernet.generate_key().decode() for _ in range(3))

pytestmark = pytest.mark.django_db


def tokens() -> dict[int, tuple[str, str, str]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, app_secret, access_token, refresh_token FROM integrations_credential")
        return {row[0]: row[1:] for row in cursor.fetchall()}


def run(*arguments: str) -> int:
    try:
        call_command("rotate_keys", *arguments)
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture
def old_rows(settings):
    settings.CREDENTIAL_KEYS = [OLD]
    rows = [CredentialFactory(app_secret=f"secret {n}", access_token="620", refresh_token="") for n in range(5)]
    settings.CREDENTIAL_KEYS = [NEW, OLD]
    return rows


def test_everything_is_encrypted_with_the_first_key_and_the_old_one_can_go(old_rows, settings, capsys, monkeypatch):
    monkeypatch.setattr(keys, "_CHUNK", 2)
    assert run() == 0
    assert "10 secrets in 5 rows" in capsys.readouterr().out
    settings.CREDENTIAL_KEYS = [NEW]
    assert [row.app_secret for row in Credential.objects.order_by("pk")] == [f"secret {n}" for n in range(5)]
    assert {row[2] for row in tokens().values()} == {""}


def test_a_dry_run_counts_and_writes_nothing(old_rows, capsys):
    before = tokens()
    assert run("--dry-run") == 0
    assert "10 secrets in 5 rows would be" in capsys.readouterr().out
    assert tokens() == before


def test_it_may_be_run_twice(old_rows, settings):
    run()
    assert run() == 0
    settings.CREDENTIAL_KEYS = [NEW]
    assert Credential.objects.get(pk=old_rows[0].pk).app_secret == "secret 0"


def test_a_row_that_no_key_decrypts_is_named_and_left_and_the_others_are_rotated(old_rows, settings, capsys):
    settings.CREDENTIAL_KEYS = [LOST]
    lost = CredentialFactory(app_secret="gone", access_token="")
    settings.CREDENTIAL_KEYS = [NEW, OLD]
    before = tokens()[lost.pk]
    assert run() == 1
    captured = capsys.readouterr()
    assert "10 secrets in 5 rows" in captured.out
    assert f"integrations.Credential {lost.pk}, app_secret: no key decrypts it" in captured.err
    assert "gone" not in captured.err
    assert tokens()[lost.pk] == before
    settings.CREDENTIAL_KEYS = [NEW]
    assert Credential.objects.get(pk=old_rows[4].pk).app_secret == "secret 4"


def test_every_encrypted_field_of_every_model_is_found():
    assert (Credential, ["app_secret", "access_token", "refresh_token"]) in list(keys.encrypted_fields())
