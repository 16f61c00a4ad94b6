import copy

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from catalog.fields import LostSecret
from integrations.models import Credential
from tests.factories import CredentialFactory

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()

pytestmark = pytest.mark.django_db


def stored(credential: Credential, field: str = "app_secret") -> str:
    """What the database holds."""
    table, pk = Credential._meta.db_table, credential.pk
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {field} FROM {table} WHERE id = %s", [pk])  # noqa: S608
        return str(cursor.fetchone()[0])


@pytest.mark.parametrize("secret", ["helloworld", "密钥 🔑", "x" * 5000, " "])
def test_a_secret_is_encrypted_at_rest_and_plain_in_python(secret):
    credential = CredentialFactory(app_secret=secret)
    assert secret.strip() == "" or secret not in stored(credential)
    assert Credential.objects.get().app_secret == secret


def test_the_empty_text_stays_empty_and_needs_no_key(settings):
    credential = CredentialFactory(app_secret="", access_token="")
    settings.CREDENTIAL_KEYS = []
    assert stored(credential) == ""
    assert Credential.objects.get().app_secret == ""


def test_the_same_secret_is_stored_differently_each_time():
    assert stored(CredentialFactory()) != stored(CredentialFactory())


def test_any_of_the_keys_decrypts_and_the_first_encrypts(settings):
    settings.CREDENTIAL_KEYS = [OLD]
    credential = CredentialFactory(app_secret="helloworld")
    settings.CREDENTIAL_KEYS = [NEW, OLD]
    assert Credential.objects.get().app_secret == "helloworld"
    Credential.objects.get().save()
    assert Fernet(NEW).decrypt(stored(credential).encode()) == b"helloworld"


def test_a_secret_without_its_key_reads_as_lost_and_is_back_with_its_key(settings):
    settings.CREDENTIAL_KEYS = [OLD]
    before = CredentialFactory(app_secret="helloworld", refresh_token="")
    token = stored(before)
    settings.CREDENTIAL_KEYS = [NEW]
    credential = Credential.objects.get()
    assert credential.app_secret == ""
    assert isinstance(credential.app_secret, LostSecret)
    assert not isinstance(credential.refresh_token, LostSecret)
    credential.account_name = "written without touching what cannot be read"
    copy.deepcopy(credential).save()
    assert stored(credential) == token
    settings.CREDENTIAL_KEYS = [OLD]
    assert Credential.objects.get().app_secret == "helloworld"


def test_no_key_at_all_is_a_missing_setting(settings):
    settings.CREDENTIAL_KEYS = []
    with pytest.raises(ImproperlyConfigured, match="make setup"):
        CredentialFactory(app_secret="helloworld")


def test_a_tampered_row_is_not_accepted():
    credential = CredentialFactory(app_secret="helloworld")
    token = stored(credential)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {Credential._meta.db_table} SET app_secret = %s", [token[:-4] + "AAA="])  # noqa: S608
    assert isinstance(Credential.objects.get().app_secret, LostSecret)


def test_a_secret_is_not_in_reprs_nor_in_the_queries_that_store_it(django_assert_num_queries):
    credential = CredentialFactory(app_secret="helloworld")
    with django_assert_num_queries(1) as captured:
        credential.save()
    assert "helloworld" not in "".join(query["sql"] for query in captured.captured_queries)
    assert "helloworld" not in f"{credential!r} {credential} {credential._meta.get_field('app_secret')!r}"


def test_it_cannot_be_searched_by():
    CredentialFactory(app_secret="helloworld")
    assert not Credential.objects.filter(app_secret="helloworld").exists()
