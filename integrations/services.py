"""What happens to a channel's connection: its credential is edited, a shop authorises it, its token is renewed."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_noop

from catalog.fields import LostSecret
from catalog.models import Channel, User
from catalog.services import audit, tell_channels_changed
from integrations.connections import Unconnected, forget_failures, mark_failed, unauthorised_connector_for
from integrations.connectors.base import Tokens
from integrations.connectors.errors import ConnectorError
from integrations.models import Credential, QuotaSlot
from monitoring.models import ListingWatch

logger = logging.getLogger(__name__)

MASK = "•••"
FIELD = "integrations.credential."  # before the name of a field in the audit log of a channel
SECRETS = ("app_secret", "access_token", "refresh_token")
# A token that can be renewed is renewed when no more than one part in so many of its life is left.
RENEWAL_SHARE = 4
RENEWAL_PAUSE = timedelta(minutes=5)  # between two tries, longer than one can take
RENEWAL = "renewal"  # the quota slot that a renewal takes


class OtherAccount(Exception):
    """The consent came from another shop than the one whose listings the channel holds."""

    def __init__(self, stored: str, given: str) -> None:
        super().__init__(stored, given)
        self.stored = stored
        self.given = given


def callback_uri() -> str:
    """The address the platform sends people back to; it is registered in the platform's console."""
    return f"{settings.SITE_URL}{reverse('integrations:callback')}"


# --- The credential -------------------------------------------------------------------------------------------------


def save_credential(
    *, channel: Channel, values: Mapping[str, Any], actor: User | None, now: datetime
) -> dict[str, list[Any]]:
    """Store a channel's checked settings; returns what changed, with secrets masked.

    `values` are fields of Credential; an empty app_secret keeps the stored one. A token was granted to one app at one
    address, so a new app key or base URL drops it.
    """
    with transaction.atomic():
        Credential.objects.bulk_create([Credential(channel=channel)], ignore_conflicts=True)
        credential = Credential.objects.select_for_update().get(channel=channel)
        changes: dict[str, list[Any]] = {}
        for name, value in values.items():
            before = getattr(credential, name)
            if before == value or (name in SECRETS and not value):
                continue
            was_set = before or isinstance(before, LostSecret)
            changes[name] = [MASK if was_set else "", MASK] if name in SECRETS else [_plain(before), _plain(value)]
            setattr(credential, name, value)
        if not changes:
            return changes
        if "app_secret" in changes:
            credential.secret_set_at = now
        has_token = credential.access_token or isinstance(credential.access_token, LostSecret)
        if has_token and changes.keys() & {"app_key", "base_url"}:
            changes["access_token"] = [MASK, ""]
            _drop_tokens(credential)
        credential.save()
        audit(
            action=gettext_noop("connection changed"),
            obj=channel,
            actor=actor,
            now=now,
            changes={FIELD + name: pair for name, pair in changes.items()},
        )
        forget_failures(channel)
        tell_channels_changed([channel.pk])
    return changes


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value


def _drop_tokens(credential: Credential) -> None:
    credential.access_token = credential.refresh_token = credential.revoked_cause = ""
    credential.token_expires_at = credential.refresh_expires_at = credential.authorised_at = None
    credential.authorised_by = None
    credential.token_levels = {}


# --- Authorisation --------------------------------------------------------------------------------------------------


def authorise(*, channel: Channel, code: str, actor: User, now: datetime) -> Credential:
    """Turn the code of a redirect into stored tokens, and have the channel's listings read at once.

    Raises ConnectorError, Unconnected, or OtherAccount; then nothing is changed.
    """
    connector = unauthorised_connector_for(channel)
    tokens = connector.exchange_code(code=code, redirect_uri=callback_uri(), now=now)
    with transaction.atomic():
        credential = Credential.objects.select_for_update().get(channel=channel)
        stored = credential.account_id
        if stored and stored != tokens.account_id and channel.listings.current().filter(ownership="own").exists():
            raise OtherAccount(credential.account_name or stored, tokens.account_name or tokens.account_id)
        ended = credential.token_expires_at
        _store(credential, tokens)
        credential.account_id, credential.account_name = tokens.account_id, tokens.account_name
        credential.authorised_at, credential.authorised_by = now, actor
        credential.save()
        audit(
            action=gettext_noop("authorised"),
            obj=channel,
            actor=actor,
            now=now,
            changes={
                f"{FIELD}access_token": [MASK if ended else "", MASK],
                f"{FIELD}token_expires_at": [ended, tokens.expires_at],
            },
        )
        forget_failures(channel)
        later = ListingWatch.objects.filter(channel=channel, next_due_at__gt=now)
        # Locked in the order in which readings lock them: a code works once, so this must not lose a deadlock.
        list(later.select_for_update().order_by("pk").values_list("pk"))
        later.update(next_due_at=now)
        tell_channels_changed([channel.pk])
    logger.info("channel %s authorised until %s", channel.pk, tokens.expires_at)
    return credential


def _store(credential: Credential, tokens: Tokens) -> None:
    credential.access_token, credential.refresh_token = tokens.access_token, tokens.refresh_token
    credential.token_expires_at, credential.refresh_expires_at = tokens.expires_at, tokens.refresh_expires_at
    credential.token_levels = {level: end.isoformat() for level, end in tokens.levels.items()}
    credential.revoked_cause = ""


@dataclass(frozen=True)
class Renewal:
    """How the renewal of one channel's token went; `error` is None where it was renewed or did not need to be."""

    renewed: bool
    error: ConnectorError | Unconnected | None = None


def refresh_tokens(*, channel: Channel, now: datetime, force: bool = False) -> Renewal:
    """Renew a channel's token when it is due (or now, with `force`), where its app may do that.

    A refresh token works once. So one worker at a time may use it, and the new tokens are stored before anything is
    done with them. While the present token works, a refusal changes nothing: its end is shown days ahead.
    """
    credential = Credential.objects.select_related("channel").get(channel=channel)
    if not (force or _is_due(credential, now)) or not credential.refresh_token or credential.revoked_cause:
        return Renewal(False)
    try:
        connector = unauthorised_connector_for(credential.channel)
        if not connector.can_refresh or not _claim_renewal(credential, now):
            return Renewal(False)
        tokens = connector.refresh(refresh_token=credential.refresh_token, now=now)
    except Unconnected as error:
        return Renewal(False, error)
    except ConnectorError as error:
        logger.warning("channel %s: token not renewed: %s", channel.pk, error)
        if credential.reads_until is None or credential.reads_until <= now:
            mark_failed(credential.channel, error, now)
        return Renewal(False, error)
    with transaction.atomic():
        stored = Credential.objects.select_for_update().get(pk=credential.pk)
        if stored.refresh_token != credential.refresh_token:
            return Renewal(False)  # a person authorised again meanwhile, and that token is the newer one
        _store(stored, tokens)
        stored.authorised_at, stored.authorised_by = now, None
        stored.save()
        audit(
            action=gettext_noop("token renewed"),
            obj=credential.channel,
            actor=None,
            now=now,
            changes={f"{FIELD}token_expires_at": [credential.token_expires_at, tokens.expires_at]},
        )
    return Renewal(True)


def _claim_renewal(credential: Credential, now: datetime) -> bool:
    """Whether this worker may renew the token: nobody else tried within RENEWAL_PAUSE."""
    QuotaSlot.objects.bulk_create(
        [QuotaSlot(credential=credential, operation=RENEWAL, next_free_at=now)], ignore_conflicts=True
    )
    slots = QuotaSlot.objects.filter(credential=credential, operation=RENEWAL)
    # One that is further ahead than a try can have put it is from before the clock went back.
    free = slots.filter(Q(next_free_at__lte=now) | Q(next_free_at__gt=now + RENEWAL_PAUSE))
    return free.update(next_free_at=now + RENEWAL_PAUSE) > 0


def refresh_expiring(now: datetime) -> str:
    """Renew every token that is due; returns a line with the counts. One channel's failure stops no other."""
    renewed = failed = 0
    due = Credential.objects.select_related("channel").filter(token_expires_at__isnull=False, revoked_cause="")
    for credential in due.order_by("token_expires_at"):
        if _is_due(credential, now):
            outcome = refresh_tokens(channel=credential.channel, now=now)
            renewed += outcome.renewed
            failed += outcome.error is not None
    return f"{renewed} tokens renewed, {failed} failed"


def _is_due(credential: Credential, now: datetime) -> bool:
    """Whether a token should be renewed; one whose beginning is not known is due on its last day."""
    ends_at = credential.reads_until
    if ends_at is None:
        return False
    left = ends_at - now
    if credential.authorised_at is None:
        return left <= timedelta(days=1)
    return left * RENEWAL_SHARE <= ends_at - credential.authorised_at


def authorisation_ends(now: datetime) -> dict[int, datetime | None]:
    """When the authorisation of each channel ends, by its id; one that the platform revoked ended by now.

    None where that is not known, or where the channel is not set up or authorised yet, so that there is none to end.
    """
    ends: dict[int, datetime | None] = {}
    for credential in Credential.objects.all():
        match credential.state(now):
            case Credential.State.REAUTHORISE:
                ends[credential.channel_id] = min(credential.reads_until or now, now)
            case Credential.State.NOT_SET_UP | Credential.State.KEY_MISSING | Credential.State.NOT_AUTHORISED:
                ends[credential.channel_id] = None
            case _:
                ends[credential.channel_id] = credential.reads_until
    return ends
