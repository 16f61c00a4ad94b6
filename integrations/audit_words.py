"""What the audit log says of connections: how a test ended, why a platform refused us, which settings were changed."""

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _

from catalog.audit_text import Change, add_reader
from integrations.connectors import CONNECTORS
from integrations.models import Credential
from integrations.services import WORKS
from integrations.tokens import FIELD
from monitoring.causes import cause_label


def _result(before: Any, after: Any) -> Iterable[Change]:
    yield _("result"), "", _("the connection works") if after == WORKS else cause_label(after)


def _refusal(before: Any, after: Any) -> Iterable[Change]:
    yield str(Credential._meta.get_field("revoked_cause").verbose_name), cause_label(before), cause_label(after)


def _options(before: Any, after: Any) -> Iterable[Change]:
    """One line for each setting that differs, by the label and the choices of the platform's form."""
    settings = {setting.name: setting for connector in CONNECTORS.values() for setting in connector.settings}
    was, now_is = before or {}, after or {}
    for name in sorted({*was, *now_is}):
        if was.get(name) != now_is.get(name):
            setting = settings.get(name)
            words: dict[Any, Any] = dict(setting.choices) if setting else {}
            old, new = (str(words.get(value, value) or "") for value in (was.get(name), now_is.get(name)))
            yield str(setting.label) if setting else name, old, new


add_reader("result", _result)
add_reader(f"{FIELD}revoked_cause", _refusal)
add_reader(f"{FIELD}options", _options)
