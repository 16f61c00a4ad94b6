"""What one shop's calls need."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from django.utils.translation import gettext as _

from integrations.connectors.base import InvalidSetting

_KEY = re.compile(r"ck_[0-9a-f]{40}")
_SECRET = re.compile(r"cs_[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class WooCommerceCredentials:
    """One key of a shop, which does not expire."""

    app_key: str
    app_secret: str = field(repr=False)

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> Self:
        """Checked credentials; an empty value counts as not given. Raises InvalidSetting."""
        given = {name: value.strip() for name, value in settings.items() if value and value.strip()}
        for name in given:
            if name not in cls.__dataclass_fields__ and name != "access_token":
                raise InvalidSetting(name, _("WooCommerce has no such setting."))
        if not _KEY.fullmatch(given.get("app_key", "")):
            raise InvalidSetting("app_key", _("A consumer key is ck_ and 40 digits and letters from a to f."))
        if not _SECRET.fullmatch(given.get("app_secret", "")):
            raise InvalidSetting("app_secret", _("A consumer secret is cs_ and 40 digits and letters from a to f."))
        return cls(given["app_key"], given["app_secret"])
