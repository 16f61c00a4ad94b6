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


class EncryptedTextField(models.TextField):
    """Plain text in Python, a Fernet token in the database; "" stays "", so that "not set" needs no key.

    It cannot be searched or sorted by. Reading a row whose key is gone raises InvalidToken with a plain message.
    """

    def get_prep_value(self, value: Any) -> Any:
        text = super().get_prep_value(value)
        return cipher().encrypt(text.encode()).decode() if text else text

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> str | None:
        if not value:
            return value
        try:
            return cipher().decrypt(value.encode()).decode()
        except InvalidToken as error:
            raise InvalidToken(
                f"{self.model._meta.label}.{self.name}: none of CREDENTIAL_KEYS decrypts this row; "
                "put the key it was written with back into the list."
            ) from error
