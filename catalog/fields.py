"""A text field that is encrypted at rest."""

from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models


@lru_cache(maxsize=4)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    if not keys:
        raise ImproperlyConfigured("CREDENTIAL_KEYS is empty: run `make setup`, or set at least one Fernet key.")
    return MultiFernet([Fernet(key) for key in keys])


def cipher() -> MultiFernet:
    """Encrypts with the first of CREDENTIAL_KEYS and decrypts with any of them."""
    return _cipher(tuple(settings.CREDENTIAL_KEYS))


class LostSecret(str):
    """What a secret reads as while none of CREDENTIAL_KEYS decrypts it: empty. It is stored again as it was, so that it
    is back as soon as its key is."""

    token: str

    @classmethod
    def of(cls, token: str) -> "LostSecret":
        lost = cls()
        lost.token = token
        return lost


class EncryptedTextField(models.TextField):
    """Plain text in Python, a Fernet token in the database; "" stays "", so that "not set" needs no key.

    It cannot be searched or sorted by. What no key decrypts reads as a LostSecret, so that one such row stops nobody
    from working with the others.
    """

    def get_prep_value(self, value: Any) -> Any:
        if isinstance(value, LostSecret):
            return value.token
        text = super().get_prep_value(value)
        return cipher().encrypt(text.encode()).decode() if text else text

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> str | None:
        if not value:
            return value
        try:
            return cipher().decrypt(value.encode()).decode()
        except InvalidToken:
            return LostSecret.of(value)
