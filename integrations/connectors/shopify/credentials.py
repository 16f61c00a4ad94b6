"""What connects to a Shopify shop: an app of it, by one of three ways to a token."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from django.utils.translation import gettext_lazy as _

from integrations.connectors.base import InvalidSetting

VERSION = "2026-10"
CLIENT_CREDENTIALS, CUSTOM, PUBLIC = "client_credentials", "custom", "public"

_CLIENT_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_SHOP = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9-]*\.myshopify\.com")
_VERSION = re.compile(r"20[0-9]{2}-(01|04|07|10)")


@dataclass(frozen=True, slots=True)
class ShopifyCredentials:
    """A shop and an app of it. `access_token` is "" until there is one; a custom app's is made once, in the admin."""

    shop: str
    app_key: str = ""
    app_secret: str = field(default="", repr=False)
    access_token: str = field(default="", repr=False)
    app_kind: str = CLIENT_CREDENTIALS
    api_version: str = VERSION

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> Self:
        """Checked credentials; an empty value counts as not given. Raises InvalidSetting."""
        given = {name: value.strip() for name, value in settings.items() if value and value.strip()}
        for name in given:
            if name not in cls.__dataclass_fields__:
                raise InvalidSetting(name, str(_("Shopify has no such setting.")))
        shop = given.get("shop", "").lower()
        if not _SHOP.fullmatch(shop):
            message = _("Enter the shop's own Shopify address, for example my-shop.myshopify.com.")
            raise InvalidSetting("shop", str(message))
        kind = given.get("app_kind", CLIENT_CREDENTIALS)
        if kind not in {CLIENT_CREDENTIALS, CUSTOM, PUBLIC}:
            raise InvalidSetting("app_kind", str(_("Choose one of the kinds of apps.")))
        if kind != CUSTOM:
            if not _CLIENT_ID.fullmatch(given.get("app_key", "")):
                raise InvalidSetting("app_key", str(_("Enter the client ID from the app's settings.")))
            if "app_secret" not in given:
                raise InvalidSetting("app_secret", str(_("Enter the client secret from the app's settings.")))
        if not _VERSION.fullmatch(given.get("api_version", VERSION)):
            raise InvalidSetting("api_version", str(_("A version is a year and one of 01, 04, 07 and 10: 2026-10.")))
        return cls(**{**given, "shop": shop})
