"""What happens to a channel's connection: its credential is edited, a shop authorises it, its token is renewed."""

import logging
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils.translation import gettext_noop

from catalog.fields import LostSecret
from catalog.models import Channel, User
from catalog.services import audit, tell_channels_changed
from integrations import tokens
from integrations.connections import (
    Unconnected,
    connector_after_refusal,
    connector_despite_refusal,
    connector_for,
    forget_failures,
    forget_quota,
    mark_failed,
    mark_good,
    renew_token,
    unauthorised_connector_for,
)
from integrations.connectors import CONNECTORS
from integrations.connectors.base import READS_ONLY, Capability, Quota
from integrations.connectors.errors import ConnectorError, Reauthorise
from integrations.models import SECRETS, Credential, naming_settings
from integrations.state import WITHOUT_APP
from integrations.tokens import FIELD
from monitoring.models import ListingWatch

logger = logging.getLogger(__name__)

MASK = "•••"
WORKS = "works"  # the audited result of a test without fault
# From now, the end of what has none: so an alert of one that was lost is over when it works again.
_NO_END = timedelta(days=36_500)


class OtherAccount(Exception):
    """The consent came from another shop than the one whose listings the channel holds."""

    def __init__(self, stored: str, given: str) -> None:
        super().__init__(stored, given)
        self.stored = stored
        self.given = given


class ShopTaken(Exception):
    """The shop is connected as another channel; that one has to be disconnected before this one can take its place."""

    def __init__(self, channel: Channel) -> None:
        super().__init__(channel.pk)
        self.channel = channel


class NotGenuine(Exception):
    """The redirect was not the platform's, or not about the channel's shop."""


def callback_uri() -> str:
    """The address the platform sends people back to; it is registered in the platform's console."""
    return f"{settings.SITE_URL}{reverse('integrations:callback')}"


# --- The credential -------------------------------------------------------------------------------------------------


def save_credential(
    *, channel: Channel, values: Mapping[str, Any], actor: User | None, now: datetime
) -> dict[str, list[Any]]:
    """Store a channel's checked settings; returns what changed, with secrets masked.

    `values` are fields of Credential; an empty secret keeps the stored one. A token was granted to one app of one shop
    at one address, so it is dropped when one of these changes. Raises ShopTaken; then nothing is changed.
    """
    with transaction.atomic():
        Credential.objects.bulk_create([Credential(channel=channel)], ignore_conflicts=True)
        credential = Credential.objects.select_for_update().select_related("channel").get(channel=channel)
        before = deepcopy(credential)
        changes: dict[str, list[Any]] = {}
        for name, value in values.items():
            stored = getattr(credential, name)
            if stored == value or (name in SECRETS and not value):
                continue
            if name in SECRETS:
                changes[name] = [MASK if _is_set(stored) else "", MASK]
            else:
                changes[name] = [_plain(stored), _plain(value)]
            setattr(credential, name, value)
        if not changes:
            return changes
        if credential.app_secret and "app_secret" not in {setting.name for setting in credential.asked}:
            credential.app_secret, changes["app_secret"] = "", [MASK, ""]
        if not _serves(before, credential):
            if _is_set(before.access_token):
                changes.setdefault("access_token", [MASK, ""])
            _drop_tokens(credential, access_token=values.get("access_token", ""))
        if changes.keys() & set(SECRETS):
            credential.secret_set_at = now
        if credential.grant != Credential.Grant.CONSENT:
            credential.revoked_cause = ""  # whether the platform lets these in is not known yet
        credential.reads_only = False
        save_as_holder(credential)
        audit(
            action=gettext_noop("connection changed"),
            obj=channel,
            actor=actor,
            now=now,
            changes={FIELD + name: pair for name, pair in changes.items()},
        )
        forget_failures(channel)
        forget_quota(channel)
        tell_channels_changed([channel.pk])
    return changes


def save_as_holder(credential: Credential) -> None:
    """Save it, and that its channel is the one of its shop. Raises ShopTaken."""
    credential.shop_key = credential.shop_named
    try:
        with transaction.atomic():
            credential.save()
    except IntegrityError:
        if (taken_by := holder(credential)) is None:
            raise
        raise ShopTaken(taken_by) from None


def holder(credential: Credential) -> Channel | None:
    """The other channel that is connected to the shop which the settings or the account name."""
    shop = credential.shop_named
    others = Channel.objects.filter(credential__shop_key=shop).exclude(pk=credential.channel_id)
    return others.first() if shop else None


def disconnect(*, channel: Channel, actor: User, now: datetime) -> bool:
    """Forget the channel's secrets and tokens, so that another channel may take its shop; False when there are none.

    Its listings and all else that was entered stay.
    """
    with transaction.atomic():
        credential = Credential.objects.select_for_update().select_related("channel").filter(channel=channel).first()
        if credential is None:
            return False
        held = [name for name in SECRETS if _is_set(getattr(credential, name))]
        if not held and not credential.shop_key:
            return False
        _drop_tokens(credential, access_token="")
        credential.app_secret = credential.shop_key = ""
        credential.secret_set_at, credential.reads_only = None, False
        credential.save()
        changes = {FIELD + name: [MASK, ""] for name in held}
        audit(action=gettext_noop("disconnected"), obj=channel, actor=actor, now=now, changes=changes)
        forget_failures(channel)
        forget_quota(channel)
        tell_channels_changed([channel.pk])
    return True


def _is_set(secret: str) -> bool:
    return bool(secret) or isinstance(secret, LostSecret)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value


def _serves(before: Credential, after: Credential) -> bool:
    """Whether a token that came with the settings before still serves with those after."""
    if before.access_token != after.access_token:
        return False  # a person entered another one, and what went with the old one is over
    if _identity(before) != _identity(after):
        return False
    # Asked for with the keys, it is asked for anew, so that a secret that is wrong shows at once.
    return after.grant != Credential.Grant.REQUEST or before.app_secret == after.app_secret


def _identity(credential: Credential) -> list[tuple[str, str]]:
    """What a token was granted to: the app and its kind, the shop and the address; not how calls are signed."""
    connector_class = CONNECTORS[credential.channel.platform]
    deciding = {setting.only_for[0] for setting in connector_class.settings if setting.only_for is not None}
    stored = credential.settings_and_address
    return [(name, stored.get(name, "")) for name in sorted(naming_settings(connector_class) | deciding)]


def _drop_tokens(credential: Credential, *, access_token: str) -> None:
    """Forget what was granted; what a person has entered instead stays."""
    credential.access_token = access_token
    credential.refresh_token = credential.revoked_cause = ""
    credential.token_expires_at = credential.refresh_expires_at = credential.authorised_at = None
    credential.authorised_by = credential.messages_since = None
    credential.token_levels = {}


# --- The test -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Checked:
    """What a test that succeeded found; `shop` is the shop's name, "" where it was not told."""

    shop: str
    reads_only: bool
    quota: Quota | None


def check_connection(*, channel: Channel, actor: User, now: datetime) -> Checked:
    """Make the platform's cheapest calls with what is stored, whatever it said before.

    Raises ConnectorError, Unconnected when something is missing, or ShopTaken. Either way the channel's state is what
    came of it, and the try is audited.
    """
    try:
        found = _checked(channel, now)
        _hold_shop(channel)
    except (ConnectorError, Unconnected) as error:
        _audit_check(channel, error.cause, actor, now)
        raise
    except ShopTaken:
        _audit_check(channel, "shop-taken", actor, now)
        raise
    with transaction.atomic():
        Credential.objects.filter(channel=channel).update(revoked_cause="", reads_only=found.reads_only)
        forget_failures(channel)
        mark_good([channel.pk], now, quota=found.quota)
        _audit_check(channel, READS_ONLY if found.reads_only else "", actor, now)
        tell_channels_changed([channel.pk])
    permit_messages(channel=channel, now=now)
    return found


def _checked(channel: Channel, now: datetime) -> Checked:
    credential = Credential.objects.select_related("channel").filter(channel=channel).first()
    if credential is None:
        raise Unconnected(Credential.State.NOT_SET_UP.value)
    channel = credential.channel
    connector_despite_refusal(channel)  # whether anything is missing
    # Only a new token shows that the keys are right; one that was granted is renewed when it has to be.
    if credential.grant == Credential.Grant.REQUEST or not tokens.works(credential, now):
        renewal = renew_token(channel, now, at_once=True)
        if renewal.error is not None:
            raise renewal.error
    connector = connector_despite_refusal(channel)
    try:
        try:
            name = connector.check_connection(now=now)
        except Reauthorise:
            renewed = connector_after_refusal(channel, sent_at=now, now=now)
            if renewed is None:
                raise
            connector = renewed
            name = connector.check_connection(now=now)
    except ConnectorError as error:
        if error.cause == READS_ONLY:
            return Checked("", True, connector.quota_told)
        mark_failed(channel, error, now, quota=connector.quota_told)
        raise
    return Checked(name, False, connector.quota_told)


def _hold_shop(channel: Channel) -> None:
    """What a channel that was connected before its shop was known still lacks. Raises ShopTaken."""
    with transaction.atomic():
        credential = Credential.objects.select_for_update().select_related("channel").get(channel=channel)
        if credential.shop_key != credential.shop_named:
            save_as_holder(credential)


def _audit_check(channel: Channel, cause: str, actor: User, now: datetime) -> None:
    changes = {gettext_noop("result"): ["", cause or WORKS]}
    audit(action=gettext_noop("connection tested"), obj=channel, actor=actor, now=now, changes=changes)


# --- Authorisation --------------------------------------------------------------------------------------------------


def authorise(*, channel: Channel, code: str, parameters: Mapping[str, str], actor: User, now: datetime) -> Credential:
    """Turn the code of a redirect, which came with `parameters`, into stored tokens, and have the channel's listings
    read at once.

    Raises ConnectorError, Unconnected, NotGenuine, OtherAccount or ShopTaken; then nothing is changed.
    """
    connector = unauthorised_connector_for(channel)
    if not connector.check_callback(parameters):
        raise NotGenuine
    granted = connector.exchange_code(code=code, redirect_uri=callback_uri(), now=now)
    with transaction.atomic():
        credential = Credential.objects.select_for_update().select_related("channel").get(channel=channel)
        stored = credential.account_id
        if stored and stored != granted.account_id and channel.listings.current().filter(ownership="own").exists():
            raise OtherAccount(credential.account_name or stored, granted.account_name or granted.account_id)
        ended = credential.token_expires_at
        tokens.store(credential, granted)
        credential.account_id, credential.account_name = granted.account_id, granted.account_name
        credential.authorised_at, credential.authorised_by = now, actor
        credential.messages_since = None  # what was asked for before went with the former authorisation
        credential.reads_only = False
        save_as_holder(credential)
        audit(
            action=gettext_noop("authorised"),
            obj=channel,
            actor=actor,
            now=now,
            changes={
                f"{FIELD}access_token": [MASK if ended else "", MASK],
                f"{FIELD}token_expires_at": [ended, granted.expires_at],
            },
        )
        forget_failures(channel)
        later = ListingWatch.objects.filter(channel=channel, next_due_at__gt=now)
        # Locked in the order in which readings lock them: a code works once, so this must not lose a deadlock.
        list(later.select_for_update().order_by("pk").values_list("pk"))
        later.update(next_due_at=now)
        tell_channels_changed([channel.pk])
    logger.info("channel %s authorised until %s", channel.pk, granted.expires_at)
    permit_messages(channel=channel, now=now)
    credential.refresh_from_db(fields=["messages_since"])
    return credential


def permit_messages(*, channel: Channel, now: datetime) -> bool:
    """Have the platform keep messages for us, where they are to be collected; asked for once per authorisation.

    False when it does not, or would not just now: that is logged, holds nothing else back and is tried again by the
    next call.
    """
    if Capability.PULL_MESSAGES not in CONNECTORS[channel.platform].capabilities:
        return False
    credential = Credential.objects.select_related("channel").get(channel=channel)
    if credential.messages_since is not None:
        return True
    try:
        connector_for(credential.channel, now=now).permit_messages(now=now)
    except (ConnectorError, Unconnected) as error:
        logger.warning("channel %s: messages are not kept for us: %s", channel.pk, error)
        return False
    # Unless it was authorised anew meanwhile, which asks for itself.
    Credential.objects.filter(pk=credential.pk, authorised_at=credential.authorised_at).update(messages_since=now)
    return True


# --- Renewal --------------------------------------------------------------------------------------------------------


def refresh_expiring(now: datetime) -> str:
    """Renew every token that is due; returns a line with the counts. One channel's failure stops no other."""
    renewed = failed = 0
    due = Credential.objects.select_related("channel").filter(token_expires_at__isnull=False, revoked_cause="")
    for credential in due.order_by("token_expires_at"):
        if tokens.is_due(credential, now):
            outcome = renew_token(credential.channel, now)
            renewed += outcome.renewed
            failed += outcome.error is not None
    return f"{renewed} tokens renewed, {failed} failed"


def authorisation_ends(now: datetime) -> dict[int, datetime | None]:
    """When the authorisation of each channel ends, by its id; one that the platform revoked ended by now.

    None where that is not known, or where the channel is not set up or authorised yet, so that there is none to end.
    """
    return {
        credential.channel_id: _ends_at(credential, now) for credential in Credential.objects.select_related("channel")
    }


def _ends_at(credential: Credential, now: datetime) -> datetime | None:
    match credential.state(now):
        case Credential.State.REAUTHORISE:
            return min(credential.reads_until or now, now)
        case Credential.State.NOT_AUTHORISED:
            return None
        case state if state in WITHOUT_APP:
            return None
    if credential.grant != Credential.Grant.CONSENT:
        return now + _NO_END
    # A refresh token outlives the token that it renews, and is itself replaced each time.
    ends = [credential.reads_until, credential.refresh_expires_at if credential.renews_itself(now) else None]
    return max(filter(None, ends), default=None)
