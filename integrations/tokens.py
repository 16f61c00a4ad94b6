"""Tokens that can be had without a person: got and renewed by one worker at a time, and stored before they are used."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_noop

from catalog.services import audit
from integrations.connectors.base import Connector, Tokens
from integrations.models import Credential, QuotaSlot

FIELD = "integrations.credential."  # before the name of a field in the audit log of a channel
# A token is renewed when no more than one part in so many of its life is left.
_SHARE = 4
# Between two tries: a part of the time that is left, never less than one can take.
_PAUSE_SHARE = 10
SHORTEST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)
RENEWAL = "renewal"  # the quota slot that a renewal takes
_LOGGED_FROM = timedelta(days=1)  # the life of a token from which on each renewal is audited


def is_due(credential: Credential, now: datetime) -> bool:
    """Whether a token should be got or renewed; one whose beginning is not known is due on its last day."""
    if not credential.access_token:
        return credential.grant == Credential.Grant.REQUEST
    ends_at = credential.reads_until
    if ends_at is None:
        return False
    left = ends_at - now
    if credential.authorised_at is None:
        return left <= timedelta(days=1)
    return left * _SHARE <= ends_at - credential.authorised_at


def works(credential: Credential, now: datetime) -> bool:
    """Whether there is a token that has not ended."""
    return bool(credential.access_token) and (credential.reads_until is None or credential.reads_until > now)


def is_new(credential: Credential, now: datetime) -> bool:
    """Whether the token is so new that another one would not fare better."""
    return credential.authorised_at is not None and credential.authorised_at > now - SHORTEST_PAUSE


def renew(*, credential: Credential, connector: Connector, now: datetime, at_once: bool = False) -> bool:
    """Have another token stored, and in `credential`; False when nobody may, or another worker is at it.

    A refresh token works once. So one worker at a time may use it, and what it brings is stored, both tokens in one
    statement, before anything is done with them. `at_once` asks for a token though one was asked for just now; it has
    no meaning where a refresh token is used. Raises ConnectorError: then what is stored is as it was.
    """
    if not credential.renews_itself(now):
        return False
    is_request = credential.grant == Credential.Grant.REQUEST
    if not _claim(credential, now) and not (at_once and is_request):
        return False
    if _secrets(Credential.objects.get(pk=credential.pk)) != _secrets(credential):
        return False  # another worker was first
    if is_request:
        tokens = connector.request_token(now=now)
    else:
        tokens = connector.refresh(refresh_token=credential.refresh_token, now=now)
    with transaction.atomic():
        stored = Credential.objects.select_for_update().get(pk=credential.pk)
        if _secrets(stored) != _secrets(credential):
            return False  # a person entered or granted others meanwhile, and those are the newer ones
        ended = stored.token_expires_at
        store(stored, tokens)
        stored.authorised_at, stored.authorised_by = now, None
        stored.save()
        _slots(credential).update(next_free_at=now)
        if tokens.expires_at - now >= _LOGGED_FROM:
            audit(
                action=gettext_noop("token renewed"),
                obj=credential.channel,
                actor=None,
                now=now,
                changes={f"{FIELD}token_expires_at": [ended, tokens.expires_at]},
            )
    credential.refresh_from_db()
    return True


def store(credential: Credential, tokens: Tokens) -> None:
    """Put new tokens into the credential, unsaved."""
    credential.access_token, credential.refresh_token = tokens.access_token, tokens.refresh_token
    credential.token_expires_at, credential.refresh_expires_at = tokens.expires_at, tokens.refresh_expires_at
    credential.token_levels = {level: end.isoformat() for level, end in tokens.levels.items()}
    credential.revoked_cause = ""


def _secrets(credential: Credential) -> tuple[str, ...]:
    return credential.app_key, credential.app_secret, credential.access_token, credential.refresh_token


def _claim(credential: Credential, now: datetime) -> bool:
    """Whether this worker may renew the token: nobody else has just tried."""
    ends_at = credential.reads_until
    left = ends_at - now if ends_at is not None else timedelta()
    pause = min(max(left / _PAUSE_SHARE, SHORTEST_PAUSE), LONGEST_PAUSE)
    QuotaSlot.objects.bulk_create(
        [QuotaSlot(credential=credential, operation=RENEWAL, next_free_at=now)], ignore_conflicts=True
    )
    # One that is further ahead than a try can have put it is from before the clock went back.
    free = _slots(credential).filter(Q(next_free_at__lte=now) | Q(next_free_at__gt=now + LONGEST_PAUSE))
    return free.update(next_free_at=now + pause) > 0


def _slots(credential: Credential) -> QuerySet[QuotaSlot]:
    return QuotaSlot.objects.filter(credential=credential, operation=RENEWAL)
