"""What a person changed in a form, as the audit log keeps it."""

from typing import Any

from django import forms
from django.db.models import Field, Model

from catalog.fields import EncryptedTextField

MASK = "•••"
_PASSWORDS = {"password", "password1", "password2", "usable_password"}


def form_changes(form: forms.Form) -> dict[str, list[Any]]:
    """Each changed field of a valid form with its value before and after; of a secret, only that it changed."""
    changes: dict[str, list[Any]] = {}
    for name in form.changed_data:
        if name in _PASSWORDS or _is_encrypted(form, name):
            changes["password" if name in _PASSWORDS else name] = [MASK, MASK]
        else:
            field = form.fields[name]
            before = form.get_initial_for_field(field, name)
            changes[name] = [_named(field, before), _named(field, form.cleaned_data.get(name))]
    return changes


def _is_encrypted(form: forms.Form, name: str) -> bool:
    model: type[Model] | None = getattr(getattr(form, "_meta", None), "model", None)
    fields: list[Field] = list(model._meta.fields) if model else []
    return any(isinstance(field, EncryptedTextField) for field in fields if field.name == name)


def _named(field: forms.Field, value: Any) -> Any:
    """The value as a reader knows it: an object by its name instead of its key."""
    if isinstance(field, forms.ModelMultipleChoiceField):
        return sorted(str(each) for each in value or ())
    if isinstance(field, forms.ModelChoiceField) and value not in (None, "") and not isinstance(value, Model):
        found = field.queryset.filter(pk=value).first() if field.queryset is not None else None
        return str(found or value)
    return value
