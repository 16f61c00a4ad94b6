"""When a row was last written, for programs that ask what has changed since they last looked."""

from typing import Any, TypeVar

from django.db import models
from django.utils import timezone

Row = TypeVar("Row", bound=models.Model)


class DatedQuerySet(models.QuerySet[Row]):
    """Of models with an `updated_at`: a bulk update writes it too, as saving one row does."""

    def update(self, **changes: Any) -> int:
        return super().update(**{"updated_at": timezone.now(), **changes})

    update.alters_data = True  # type: ignore[attr-defined]
