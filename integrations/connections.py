"""From a channel to a connector, and what the outcome of its calls means for the next ones.

`connector_for` reads the real clock, because tokens live on it, also while a pass is made for another moment.
`mark_good` and `mark_failed` keep `ChannelHealth`, for any number of workers at once.
"""

import logging
import random
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_noop

from catalog.models import Channel
from catalog.services import audit
from integrations import tokens
from integrations.connectors.base import READS_ONLY, Connector, InvalidSetting, Quota
from integrations.connectors.errors import ConnectorError, Fatal, Reauthorise, Review, Wait
from integrations.connectors.http import HttpClient, Limits
from integrations.models import ChannelHealth, Credential
from integrations.problems import CURRENCY_DIFFERS, NAMED_IN_DETAIL

logger = logging.getLogger(__name__)

CIRCUIT_FAILURES = 5  # failed calls in a row after which the circuit is open
FIRST_BACKOFF = timedelta(seconds=1)  # after the first failure, doubled by each further one
FIRST_OPEN = timedelta(seconds=30)  # when the circuit opens, doubled by each probe that fails
LONGEST_HOLD = timedelta(minutes=15)
LONGEST_WAIT = timedelta(hours=25)  # a daily quota, and an hour for a day that is longer than others
PROBE_LIFE = timedelta(seconds=60)  # longer than a call can take
# Calls that were under way when one of them failed come back within this time; together they are one failure.
BURST = timedelta(seconds=20)


class Unconnected(Exception):
    """The channel cannot be called before a person has acted.

    `cause` is "not-set-up", "key-missing", "not-authorised", "expired", "bad-setting", "token-renewal", or what the
    platform refused the token with, or to give another one.
    `detail` names the setting and what is wrong with it, never its value.
    """

    kind = "unconnected"

    def __init__(self, cause: str, detail: str = "") -> None:
        super().__init__(cause)
        self.cause = cause
        self.detail = detail


def connector_for(
    channel: Channel, *, before_call: Callable[[], None] | None = None, now: datetime | None = None
) -> Connector:
    """A connector that may call the channel's platform now; raises Unconnected when it may not.

    A token that can be had without a person is got first when it is due. `before_call` runs before each call and may
    raise Wait. `now` is for the life of the token; None: the real clock.
    """
    credential = _credential(channel)
    moment = now or timezone.now()
    state = credential.state(moment)
    if state == Credential.State.REAUTHORISE:
        raise Unconnected(credential.revoked_cause)
    if state not in USABLE:
        raise _unconnected(credential, state)
    if tokens.is_due(credential, moment):
        renewal = renew_token(channel, moment)
        if not tokens.works(credential, moment) and credential.grant != Credential.Grant.KEYS:
            raise Unconnected(renewal.error.cause if renewal.error is not None else "token-renewal")
    return _build(credential, before_call)


# The states in which calls can be made.
USABLE = frozenset({Credential.State.CONNECTED, Credential.State.EXPIRING})


def unauthorised_connector_for(channel: Channel) -> Connector:
    """A connector for what needs no token: to authorise, to exchange a code, to refresh. Raises Unconnected."""
    credential = _credential(channel)
    state = credential.state(timezone.now())
    if state in {Credential.State.NOT_SET_UP, Credential.State.KEY_MISSING}:
        raise _unconnected(credential, state)
    return _build(credential, None, without_token=True)


def connector_despite_refusal(channel: Channel) -> Connector:
    """A connector with what is stored, though the platform refused it before: to see whether it still does.

    Raises Unconnected when something is missing.
    """
    credential = _credential(channel)
    state = credential.state(timezone.now())
    if state not in {*USABLE, Credential.State.REAUTHORISE, Credential.State.EXPIRED}:
        raise _unconnected(credential, state)
    return _build(credential, None)


def _unconnected(credential: Credential, state: Credential.State) -> Unconnected:
    """What a state means that a person has to end first."""
    detail = ""
    if state == Credential.State.BAD_SETTING:
        try:
            credential.connector()
        except InvalidSetting as error:
            detail = f"{error.field}: {error}"
    return Unconnected(state.value, detail)


def _credential(channel: Channel) -> Credential:
    try:
        return channel.credential
    except Credential.DoesNotExist:
        raise Unconnected(Credential.State.NOT_SET_UP.value) from None


def _build(credential: Credential, before_call: Callable[[], None] | None, *, without_token: bool = False) -> Connector:
    http = HttpClient(
        limits=Limits(
            connect_seconds=settings.HTTP_CONNECT_TIMEOUT_SECONDS,
            read_seconds=settings.HTTP_READ_TIMEOUT_SECONDS,
            total_seconds=settings.HTTP_TOTAL_TIMEOUT_SECONDS,
        ),
        proxy=settings.HTTP_PROXY_URL,
        before_call=before_call,
    )
    try:
        return credential.connector(http=http, without_token=without_token)
    except InvalidSetting as error:
        raise Unconnected("bad-setting", f"{error.field}: {error}") from error


# --- Another token --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Renewal:
    """Whether a new token is stored; `error` says why not, and is None when there was nothing to do."""

    renewed: bool
    error: ConnectorError | Unconnected | None = None


def renew_token(channel: Channel, now: datetime, *, at_once: bool = False) -> Renewal:
    """Get or renew the channel's token, where that needs no person; `channel.credential` then holds it.

    While the present token works, a refusal changes nothing: its end is shown ahead.
    """
    credential = _credential(channel)
    try:
        connector = _build(credential, None, without_token=True)
        if tokens.renew(credential=credential, connector=connector, now=now, at_once=at_once):
            return Renewal(True)
    except Unconnected as error:
        return Renewal(False, error)
    except ConnectorError as error:
        logger.warning("channel %s: no new token: %s", channel.pk, error)
        if not tokens.works(credential, now):
            mark_failed(channel, error, now)
        return Renewal(False, error)
    credential.refresh_from_db()  # another worker may have been first
    return Renewal(False)


def connector_after_refusal(
    channel: Channel, *, sent_at: datetime, now: datetime, before_call: Callable[[], None] | None = None
) -> Connector | None:
    """A connector with another token, after the token of a call made at `sent_at` was refused.

    None when no other is to be had, so that a person must act; Unconnected is raised when it could not be got just now.
    """
    credential = _credential(channel)
    used = credential.authorised_at
    credential.refresh_from_db()
    if credential.authorised_at == used and not (used is not None and used > sent_at):
        if not _may_be_replaced(credential, now):
            return None
        _end_token(credential, now)
    return connector_for(channel, before_call=before_call, now=now)


def _may_be_replaced(credential: Credential, now: datetime) -> bool:
    """Whether a token that the platform refused before its time is worth replacing."""
    return credential.renews_itself(now) and tokens.works(credential, now) and not tokens.is_new(credential, now)


def _end_token(credential: Credential, now: datetime) -> None:
    """The token has ended, whatever was said when it was granted: it is renewed before the next call."""
    same_token = Credential.objects.filter(
        pk=credential.pk, authorised_at=credential.authorised_at, token_expires_at=credential.token_expires_at
    )
    same_token.update(token_expires_at=now)
    credential.refresh_from_db()


# --- How calls went -------------------------------------------------------------------------------------------------


_NO_HOLD = {"failures": 0, "retry_at": None, "kind": "", "cause": "", "code": "", "detail": ""}


def mark_good(
    channel_ids: Collection[int],
    now: datetime,
    *,
    sent_at: datetime | None = None,
    is_probe: bool = True,
    quota: Quota | None = None,
) -> None:
    """The channels answered a call well: what held them back before it was sent is over.

    A failure after `sent_at` stands: a call that was under way then knows nothing of it. So does what only a probe can
    end, an open circuit or what needs a person, and a wait that is not over, unless the call was one. `sent_at` None:
    nothing can have failed meanwhile. `quota` is what the last answer told, None to leave what is stored.
    """
    told = _quota_fields(quota)
    ChannelHealth.objects.bulk_create(
        [ChannelHealth(channel_id=channel_id, good_at=now, **told) for channel_id in sorted(set(channel_ids))],
        update_conflicts=True,
        unique_fields=["channel"],
        update_fields=["good_at", *told, *(_NO_HOLD if sent_at is None else ())],
    )
    if sent_at is None:
        return
    over = ChannelHealth.objects.filter(Q(failed_at__isnull=True) | Q(failed_at__lte=sent_at), channel__in=channel_ids)
    if not is_probe:
        over = over.exclude(_NEEDS_PROBE).exclude(kind=Wait.kind, retry_at__gt=now)
    over.exclude(failures=0, kind="").update(**_NO_HOLD)


def _quota_fields(quota: Quota | None) -> dict[str, Any]:
    return {} if quota is None else {f"quota_{name}": value for name, value in asdict(quota).items()}


def mark_failed(
    channel: Channel,
    error: ConnectorError,
    now: datetime,
    *,
    sent_at: datetime | None = None,
    quota: Quota | None = None,
) -> None:
    """A call to the channel brought nothing: hold its next calls back for as long as the error and the ones before say.

    An error about one listing says nothing about the channel and changes nothing here; that writing alone is refused is
    noted and holds nothing back. The token's refusal counts only while the token in `channel.credential` is still the
    stored one: a newer one may work. One that can be replaced without a person has ended by it, and holds nothing back.
    A call that was made at `sent_at`, after what needs a person was noted, has newer news than that; None: not known,
    so it has not. `quota` is as of mark_good().
    """
    if isinstance(error, Review) and error.scope == "listing":
        return
    if error.cause == READS_ONLY:  # a write was refused; reading goes on
        Credential.objects.filter(channel=channel).update(reads_only=True)
        return
    with transaction.atomic():
        if isinstance(error, Reauthorise) and not _revoke(channel, error, now):
            return
        ChannelHealth.objects.bulk_create([ChannelHealth(channel=channel)], ignore_conflicts=True)
        health = ChannelHealth.objects.select_for_update().get(channel=channel)
        held = health.retry_at is not None and health.retry_at > now
        if isinstance(error, Wait):
            retry_at = min(max(error.retry_at, now + timedelta(seconds=1)), now + LONGEST_WAIT)
        elif isinstance(error, Fatal | Review | Reauthorise):
            health.failures += 1
            retry_at = now + LONGEST_HOLD
        elif held and health.failed_at is not None and health.failed_at > now - BURST:
            return
        else:
            health.failures += 1
            retry_at = now + hold(health.failures)
            if health.failures == CIRCUIT_FAILURES:
                logger.warning("channel %s: circuit open after %s failures: %s", channel.pk, health.failures, error)
        # What needs a person, or lasts longer, stays what holds while calls that were under way come back otherwise.
        if health.kind in _FOR_A_PERSON:
            stays = sent_at is None or health.failed_at is None or sent_at < health.failed_at
        else:
            stays = health.retry_at is not None and health.retry_at > retry_at
        if not (held and stays and error.kind not in _FOR_A_PERSON):
            health.kind, health.cause, health.code = error.kind, error.cause, error.code
            # The platform's own words are kept for those causes alone that do not tell enough without.
            health.detail = error.detail[:200] if error.cause in NAMED_IN_DETAIL else ""
            health.failed_at = now
        health.retry_at = max(retry_at, health.retry_at) if held and health.retry_at else retry_at
        for name, value in _quota_fields(quota).items():
            setattr(health, name, value)
        health.save()


_FOR_A_PERSON = frozenset({Fatal.kind, Review.kind, Reauthorise.kind})
_NEEDS_PROBE = Q(failures__gte=CIRCUIT_FAILURES) | Q(kind__in=_FOR_A_PERSON)


def hold(failures: int) -> timedelta:
    """How long a channel rests after so many failures in a row; between three quarters of the time and all of it.

    The spread keeps many channels of one platform from coming back in the same second.
    """
    if failures < CIRCUIT_FAILURES:
        longest = FIRST_BACKOFF * 2 ** (failures - 1)
    else:
        longest = min(FIRST_OPEN * 2 ** min(failures - CIRCUIT_FAILURES, 10), LONGEST_HOLD)
    return timedelta(seconds=longest.total_seconds() * random.uniform(0.75, 1))


def needs_probe(health: ChannelHealth) -> bool:
    """Whether only one call may go out when the hold is over, to find out whether the channel is back."""
    return health.failures >= CIRCUIT_FAILURES or health.kind in _FOR_A_PERSON


def claim_probe(channel_id: int, now: datetime) -> bool:
    """Take the one call that a channel in need of a probe gets; False when it is held or another worker took it."""
    claimed = ChannelHealth.objects.filter(_NEEDS_PROBE, channel=channel_id, retry_at__lte=now)
    return claimed.update(retry_at=now + PROBE_LIFE) > 0


def forget_failures(channel: Channel) -> None:
    """The channel's settings or its authorisation are new: nothing that went wrong before holds it back."""
    ChannelHealth.objects.filter(channel=channel).update(**_NO_HOLD)


def forget_other_currency(channel_ids: Collection[int]) -> None:
    """What held back channels whose currency is by now that of their shop is over."""
    same = ChannelHealth.objects.filter(cause=CURRENCY_DIFFERS, detail=F("channel__currency"), channel__in=channel_ids)
    same.update(**_NO_HOLD)


def forget_quota(channel: Channel) -> None:
    """The settings are new: what was told may be the quota of another shop or app."""
    unknown = dict.fromkeys(f"quota_{each.name}" for each in fields(Quota))
    ChannelHealth.objects.filter(channel=channel).update(**unknown)


def _revoke(channel: Channel, error: Reauthorise, now: datetime) -> bool:
    """Note that the channel's token is refused; False when a newer one is stored, or another is worth a try first.

    Audited once per token.
    """
    used = _credential(channel)
    same_token = Credential.objects.filter(
        pk=used.pk, authorised_at=used.authorised_at, token_expires_at=used.token_expires_at
    )
    if _may_be_replaced(used, now):
        same_token.update(token_expires_at=now)
        return False
    if same_token.filter(revoked_cause="").update(revoked_cause=error.cause):
        audit(
            action=gettext_noop("authorisation lost"),
            obj=channel,
            actor=None,
            now=now,
            changes={f"{tokens.FIELD}revoked_cause": ["", error.cause]},
        )
        logger.warning("channel %s must be authorised again: %s", channel.pk, error)
        return True
    return same_token.exists()
