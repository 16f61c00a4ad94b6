"""Audit events in words: which field, what it was, what it is, for a person with given permissions."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.apps import apps
from django.contrib.auth.models import Group
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.utils.dateparse import parse_datetime
from django.utils.text import capfirst
from django.utils.timezone import is_aware
from django.utils.translation import gettext, gettext_noop

from catalog.models import AuditEvent, User
from config.formatting import iso_moment, joined

# Fields whose values only holders of the permission may see, in the log as on the form.
_GUARDED = {
    ("catalog.sku", "cost_price"): "catalog.view_cost",
    ("catalog.sku", "cost_currency"): "catalog.view_cost",
    ("catalog.skucost", "amount"): "catalog.view_cost",
    ("catalog.suppliersku", "unit_cost"): "catalog.view_cost",
}
# The same for all fields of what belongs to an object and is logged with it, such as a channel's credential.
_GUARDED_OWNERS = {"integrations.credential": "integrations.view_credential"}
_NONE = "—"
_ACTIONS = (
    gettext_noop("added"),
    gettext_noop("changed"),
    gettext_noop("deleted"),
    gettext_noop("removed"),
    gettext_noop("restored"),
    gettext_noop("started"),
    gettext_noop("stopped"),
    gettext_noop("paused"),
    gettext_noop("resumed"),
    gettext_noop("signed in"),
    gettext_noop("signed out"),
    gettext_noop("sign-in failed"),
    gettext_noop("acknowledged"),
    gettext_noop("snoozed"),
    gettext_noop("resolved"),
    gettext_noop("reopened"),
    gettext_noop("assigned"),
    gettext_noop("noted"),
    gettext_noop("rejected"),
    gettext_noop("counted"),
    gettext_noop("adjusted"),
    gettext_noop("received"),
    gettext_noop("sent"),
    gettext_noop("retried"),
    gettext_noop("applied"),
    gettext_noop("dismissed"),
    gettext_noop("released"),
    gettext_noop("cancelled"),
    gettext_noop("demo begun"),
    gettext_noop("demo loaded"),
)


Change = tuple[str, str, str]  # field, before, after
_READERS: dict[str, Callable[[Any, Any], Iterable[Change]]] = {}


def add_reader(name: str, reader: Callable[[Any, Any], Iterable[Change]]) -> None:
    """Have the changes of that name told by `reader(before, after)`, by the app that knows what they say."""
    _READERS[name] = reader


def action_label(event: AuditEvent) -> str:
    """The deed in the language of the page."""
    return gettext(event.action) if event.action else ""


def kind_label(object_type: str) -> str:
    """The name of a model such as "catalog.listing"; the label itself when the model is gone."""
    if object_type == "auth.group":  # the framework's word for our roles
        return gettext("role")
    try:
        return str(apps.get_model(object_type)._meta.verbose_name)
    except (LookupError, ValueError):
        return object_type


def readable_changes(event: AuditEvent, user: User) -> Iterator[Change]:
    """Field, before and after of each change that this person may see; what is empty or not known is an em dash."""
    for name, (before, after) in event.changes.items():
        permission = _GUARDED.get((event.object_type, name)) or _GUARDED_OWNERS.get(name.rpartition(".")[0])
        if permission is not None and not user.has_perm(permission):
            continue
        if name in _READERS:
            for label, was, now_is in _READERS[name](before, after):
                yield capfirst(label), was or _NONE, now_is or _NONE
        else:
            field = _field(event.object_type, name)
            label = str(getattr(field, "verbose_name", "")) or gettext(name)
            yield capfirst(label), _text(field, before), _text(field, after)


def _field(object_type: str, name: str) -> Any:
    """The field of the object, or of what belongs to it when the name says so ("integrations.credential.app_key")."""
    owner, _dot, own_name = name.rpartition(".")
    try:
        return apps.get_model(owner or object_type)._meta.get_field(own_name)
    except (LookupError, ValueError, FieldDoesNotExist):
        return None


def _text(field: Any, value: Any) -> str:
    if value is None or value in ("", []):
        return _NONE
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if isinstance(value, list):
        is_roles = getattr(field, "related_model", None) is Group
        return joined(gettext(str(each)) if is_roles else str(each) for each in value)
    if isinstance(field, models.DateTimeField) and (at := parse_datetime(str(value))) is not None and is_aware(at):
        return iso_moment(at)
    if isinstance(field, models.Field) and field.choices:
        return str(dict(field.flatchoices).get(value, value))
    return str(value)
