"""Putting every encrypted field of the database under the first of CREDENTIAL_KEYS."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from cryptography.fernet import InvalidToken
from django.apps import apps
from django.db import models, transaction
from django.db.models.functions import Cast

from catalog.fields import EncryptedTextField, cipher

_CHUNK = 200  # rows that are locked and written together


@dataclass
class Rotation:
    """Values by what became of them; `lost` names the model, row and field of those that no key decrypts."""

    rotated: int = 0
    rows: int = 0
    lost: list[str] = field(default_factory=list)


def rotate(*, dry_run: bool = False) -> Rotation:
    """Encrypt every stored secret anew with the first key; what no key decrypts is left as it is.

    Each chunk is one transaction, so that a run that is stopped can be run again. `dry_run` reads and counts only.
    """
    done = Rotation()
    for model, names in encrypted_fields():
        last_pk = 0
        while chunk := _rotate_chunk(model, names, last_pk, done, dry_run):
            last_pk = chunk
    return done


def encrypted_fields() -> Iterator[tuple[type[models.Model], list[str]]]:
    """Every model with encrypted fields, and their names."""
    for model in apps.get_models():
        names = [field.name for field in model._meta.local_fields if isinstance(field, EncryptedTextField)]
        if names:
            yield model, names


def _rotate_chunk(
    model: type[models.Model], names: list[str], after_pk: int, done: Rotation, dry_run: bool
) -> int | None:
    """Rotate the next rows by primary key; returns the last one's key, None when there were none."""
    # Cast hands the token out as it is stored; reading the field would decrypt it and stop at the first bad row.
    tokens = {f"_{name}": Cast(name, models.TextField()) for name in names}
    manager = model._base_manager
    with transaction.atomic():
        rows = manager.filter(pk__gt=after_pk).order_by("pk").select_for_update()
        chunk = list(rows.values("pk", **tokens)[:_CHUNK])
        for row in chunk:
            fresh = {}
            for name in names:
                token = row[f"_{name}"]
                if not token:
                    continue
                try:
                    fresh[name] = cipher().decrypt(token.encode()).decode()
                except InvalidToken:
                    done.lost.append(f"{model._meta.label} {row['pk']}, {name}")
            done.rows += bool(fresh)
            done.rotated += len(fresh)
            if fresh and not dry_run:
                manager.filter(pk=row["pk"]).update(**fresh)  # the field encrypts with the first key
    return chunk[-1]["pk"] if chunk else None
