"""What a kind of problem is: how bad, what happened, what to do, and which button does it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from config.admin_site import Severity

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise


class Help(StrEnum):
    """The button that solves a problem."""

    REAUTHORISE = "reauthorise"
    CREDENTIAL = "credential"
    TEST = "test"
    REMOVE = "remove"  # the listings it is about
    EDIT_CHANNEL = "edit-channel"
    REPLACE_CHANNEL = "replace-channel"
    NONE = "none"


_BY_KEYS = _(
    "Its listings are not being read. Compare what the connection holds with what is shown in %(console)s, enter again "
    "what differs, then test the connection."
)


@dataclass(frozen=True)
class Kind:
    """One kind of problem; what its sentences may name is in _Words."""

    severity: Severity
    what: _StrPromise
    advice: _StrPromise
    help: Help = Help.NONE
    # Instead of the advice to authorise, where nobody is asked for consent.
    advice_by_keys: _StrPromise = _BY_KEYS
    help_by_keys: Help = Help.CREDENTIAL


WE_TRY_AGAIN = _("We try again by ourselves. Nothing to do.")
CHECK_SETTINGS = _("Compare the connection's settings with what is shown in %(console)s.")
CHECK_ADDRESS = _("We try again by ourselves. If it lasts, check “%(address)s” of the connection, and the proxy.")
TELL_US = _("Trying again will not help. Tell whoever looks after this installation, with the code below.")
