"""How the watch stores what no field of Django's holds well."""

from base64 import b64decode, b64encode
from collections.abc import Collection
from typing import Any

from django.db import models

from monitoring.id_sets import decode, encode


class IdSetField(models.Field):
    """A list of ids in order, each once; few bytes in the database. It cannot be searched."""

    _pyi_private_set_type: Collection[int]
    _pyi_private_get_type: list[int]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"default": list, "editable": False, **kwargs})

    def get_internal_type(self) -> str:
        return "BinaryField"

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> list[int]:
        return decode(bytes(value))

    def get_prep_value(self, value: Any) -> bytes:
        return encode(value)

    def to_python(self, value: Any) -> list[int]:
        return decode(b64decode(value)) if isinstance(value, str) else list(value)

    def value_to_string(self, obj: models.Model) -> str:
        ids: Any = self.value_from_object(obj)
        return b64encode(encode(ids)).decode()
