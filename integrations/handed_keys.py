"""Keys that a shop hands over by itself, once a person has agreed there: asked for, taken once, and stored."""

import hashlib
import logging
import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.urls import reverse

from catalog.models import Channel, User
from integrations.connectors import CONNECTORS
from integrations.connectors.base import InvalidSetting
from integrations.connectors.errors import ConnectorError
from integrations.models import Credential, KeyRequest
from integrations.services import ShopTaken, holder, save_credential

logger = logging.getLogger(__name__)

LIFE = timedelta(minutes=10)
MOST_OPEN = 5  # requests of one person for one channel


class NotTaken(Exception):
    """What was posted is not what somebody waits for; says why, without what it was."""


def request(*, channel: Channel, base_url: str, actor: User, now: datetime) -> str:
    """The address at which `actor` has the shop at `base_url` hand keys over.

    Raises InvalidSetting for one that cannot be a shop's, ShopTaken for one that another channel is connected to.
    """
    state = secrets.token_urlsafe(32)
    base_url = base_url.strip().rstrip("/")
    url = CONNECTORS[channel.platform].keys_url(
        base_url,
        state=state,
        return_url=_address("keys_returned", channel),
        callback_url=_address("receive_keys", channel),
    )
    if (taken_by := holder(Credential(channel=channel, base_url=base_url))) is not None:
        raise ShopTaken(taken_by)
    KeyRequest.objects.filter(expires_at__lte=now).delete()
    of_actor = KeyRequest.objects.filter(channel=channel, actor=actor)
    newest = of_actor.order_by("-expires_at", "-pk").values_list("pk", flat=True)[: MOST_OPEN - 1]
    of_actor.exclude(pk__in=list(newest)).delete()
    KeyRequest.objects.create(
        channel=channel, actor=actor, base_url=base_url, digest=_digest(state), expires_at=now + LIFE
    )
    return url


def receive(*, channel: Channel, body: bytes, now: datetime) -> None:
    """Store the keys that a shop posts, if they belong to a request that is open; it is not open any more then.

    Raises NotTaken: then nothing is changed. No call is made: the shop waits for our answer before it goes on.
    """
    connector_class = CONNECTORS[channel.platform]
    try:
        handed = connector_class.parse_keys(body)
    except (ConnectorError, InvalidSetting) as error:
        raise NotTaken(f"not the documented form: {error}") from error
    with transaction.atomic():
        open_requests = KeyRequest.objects.filter(channel=channel, taken_at__isnull=True, expires_at__gt=now)
        found = open_requests.filter(digest=_digest(handed.state)).select_related("actor").first()
        # In one statement with its condition, so that of two who come with the same state one is too late.
        if found is None or not open_requests.filter(pk=found.pk).update(taken_at=now):
            raise NotTaken("no such request is open")
        actor = found.actor
        if not actor.is_active or not Channel.objects.visible_to(actor).filter(pk=channel.pk).exists():
            raise NotTaken("who asked for it may no longer do so")
        if not actor.has_perm("integrations.change_credential"):
            raise NotTaken("who asked for it may no longer do so")
        try:
            save_credential(channel=channel, values={**handed.keys, "base_url": found.base_url}, actor=actor, now=now)
        except ShopTaken as taken:
            raise NotTaken("the shop was connected as another channel meanwhile") from taken
    logger.info("channel %s: keys handed over by the shop", channel.pk)


def finish(*, channel: Channel, state: str, actor: User) -> bool | None:
    """Whether keys came for the request that `actor` comes back from; None when there is no such request."""
    found = KeyRequest.objects.filter(channel=channel, actor=actor, digest=_digest(state)).first()
    if found is None:
        return None
    found.delete()
    return found.taken_at is not None


def _digest(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()


def _address(name: str, channel: Channel) -> str:
    return f"{settings.SITE_URL}{reverse(f'integrations:{name}', args=[channel.pk])}"
