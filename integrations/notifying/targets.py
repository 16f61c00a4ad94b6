"""The kinds of targets: what each asks for in its form, how it is read, and the sender that its settings make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from catalog.fields import LostSecret
from integrations.connectors.base import InvalidSetting
from integrations.notifying.senders import SENDERS
from integrations.notifying.senders.base import Sender
from monitoring.models import Target

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise


_TAKEN = _("Another target has this address. Add a route there instead.")


@dataclass(frozen=True)
class Kind:
    """What we ask for and promise about targets of one kind."""

    address: _StrPromise  # label
    address_help: _StrPromise | str = ""
    is_address_secret: bool = True  # it holds a token: shown by its end only
    secret: _StrPromise | None = None  # label; None: there is no secret
    secret_help: _StrPromise | str = ""
    has_role: bool = False
    is_for_people: bool = True  # many alerts become one digest; programs get each of them
    most_alerts: int | None = None  # in one message
    knows_repetitions: bool = False  # the receiver tells a repeated message by its id
    # What is said of an address that another target has; None: it may have it.
    taken: _StrPromise | None = _TAKEN


KINDS: dict[str, Kind] = {
    Target.Kind.MAIL: Kind(
        _("Addresses"),
        _("One or several, with commas between them."),
        is_address_secret=False,
        has_role=True,
        taken=None,
    ),
    Target.Kind.DINGTALK: Kind(
        _("Webhook address"),
        _("From the robot's settings in the group: https://oapi.dingtalk.com/robot/send?access_token=…"),
        secret=_("Signing secret"),
        secret_help=_("Begins with SEC. Empty if the robot does not check signatures."),
    ),
    Target.Kind.FEISHU: Kind(
        _("Webhook address"),
        _("From the bot's settings in the group: https://open.feishu.cn/open-apis/bot/v2/hook/…"),
        secret=_("Signing secret"),
        secret_help=_("Empty if the bot does not check signatures."),
    ),
    Target.Kind.WECOM: Kind(
        _("Webhook address"),
        _("From the robot's settings in the group: https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=…"),
    ),
    Target.Kind.SMS: Kind(
        _("Telephone numbers"),
        _("One or several, with commas between them."),
        is_address_secret=False,
        secret=_("AccessKey secret"),
        taken=_("Another target has these numbers. Add a route there instead."),
    ),
    Target.Kind.WEBHOOK: Kind(
        _("Address"),
        _("Receives each alert as JSON, signed as Standard Webhooks describes."),
        secret=_("Signing secret"),
        secret_help=_("Begins with whsec_; the receiver checks signatures with it."),
        is_for_people=False,
        most_alerts=10,
        knows_repetitions=True,
    ),
    Target.Kind.APPRISE: Kind(_("Apprise address"), _("For example tgram://bottoken/ChatID.")),
}


@dataclass(frozen=True)
class Option:
    """A setting that only some kinds ask for: those whose sender has its name among `option_names`."""

    label: _StrPromise
    help_text: _StrPromise


OPTIONS = {
    "keyword": Option(_("Keyword"), _("One that the robot asks for in every message. Empty: it asks for none.")),
    "access_key_id": Option(_("AccessKey id"), _("From the platform's console.")),
    "sign_name": Option(_("Signature name"), _("The approved one, without brackets.")),
    "template_code": Option(_("Template code"), _("Of the approved template, for example SMS_123456789.")),
    "variables": Option(
        _("Template variables"),
        _("Those that the template has, of: severity, what, name, count. Empty: all of them."),
    ),
    "base_url": Option(_("Base URL"), _("Empty: the platform's own.")),
}


class BadTarget(Exception):
    """The target's own settings make no sender. `cause` is "key-missing" or "bad-setting"; `detail` says which."""

    def __init__(self, cause: str, detail: str = "") -> None:
        super().__init__(cause)
        self.cause = cause
        self.detail = detail


def sender_class(target: Target) -> type[Sender]:
    return SENDERS[target.kind]


def sender_for(target: Target, *, to: Sequence[str] = ()) -> Sender:
    """What delivers to the target, and to the mail addresses of `to` besides; raises BadTarget."""
    if isinstance(target.address, LostSecret) or isinstance(target.secret, LostSecret):
        raise BadTarget("key-missing")
    address = ", ".join(filter(None, (target.address, *to))) if to else target.address
    try:
        return sender_class(target)(address, target.secret, target.options)
    except InvalidSetting as error:
        raise BadTarget("bad-setting", str(error)) from error
