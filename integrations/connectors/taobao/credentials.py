"""What the gateway asks of whoever calls it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from django.utils.translation import gettext_lazy as _

from integrations.connectors.base import InvalidSetting
from integrations.connectors.taobao.signing import SIGN_METHODS

APP_TYPES = ("merchant", "service")
SHOP_KINDS = ("taobao", "tmall")

_APP_KEY = re.compile(r"[0-9A-Za-z]{1,32}")


@dataclass(frozen=True, slots=True)
class TaobaoCredentials:
    """One app's key and secret, and one shop's access token ("" until the shop has authorised the app)."""

    app_key: str
    app_secret: str = field(repr=False)
    access_token: str = field(default="", repr=False)
    app_type: str = "merchant"  # a merchant's own app cannot refresh its tokens; one of the service market can
    sign_method: str = "hmac-sha256"
    shop_kind: str = "taobao"  # stock is written in another way for Tmall
    group_name: str = ""  # of the message service; "": the app's default group

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> Self:
        """Checked credentials; an empty value counts as not given. Raises InvalidSetting."""
        given = {name: value.strip() for name, value in settings.items() if value and value.strip()}
        for name in given:
            if name not in cls.__dataclass_fields__:
                raise InvalidSetting(name, str(_("Taobao has no such setting.")))
        if "app_key" not in given:
            raise InvalidSetting("app_key", str(_("Enter the app key from the Taobao console.")))
        if not _APP_KEY.fullmatch(given["app_key"]):
            raise InvalidSetting("app_key", str(_("An app key is made of digits and letters only.")))
        if "app_secret" not in given:
            raise InvalidSetting("app_secret", str(_("Enter the app secret from the Taobao console.")))
        if given.get("app_type", APP_TYPES[0]) not in APP_TYPES:
            raise InvalidSetting("app_type", str(_("The app type is one of: %s.")) % ", ".join(APP_TYPES))
        if given.get("sign_method", SIGN_METHODS[0]) not in SIGN_METHODS:
            raise InvalidSetting("sign_method", str(_("The sign method is one of: %s.")) % ", ".join(SIGN_METHODS))
        if given.get("shop_kind", SHOP_KINDS[0]) not in SHOP_KINDS:
            raise InvalidSetting("shop_kind", str(_("The kind of shop is one of: %s.")) % ", ".join(SHOP_KINDS))
        return cls(**given)
