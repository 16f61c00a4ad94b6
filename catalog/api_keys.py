"""What happens to API keys: they are used, at a pace, and revoked."""

from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import BigIntegerField, Case, F, Q, QuerySet, Value, When
from django.db.models.functions import Greatest
from django.utils.translation import gettext_noop

from catalog.models import ApiKey, User
from catalog.services import audit_many

# A tenth of a minute's requests may come at once.
_BURSTS_A_MINUTE = 10
_MINUTE = timedelta(minutes=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def take_turn(*, key: ApiKey, now: datetime) -> timedelta:
    """Count one request of the key; returns zero, or how long to wait when it came too soon and was not counted.

    The generic cell rate algorithm in one conditional statement: however many processes ask at once, in a minute there
    are never more than API_REQUESTS_PER_MINUTE and one burst. The same statement notes, once a minute, that the key is
    in use. A state further ahead than requests can have put it (the clock went back) is not believed.
    """
    step = _MINUTE // _MICROSECOND // settings.API_REQUESTS_PER_MINUTE
    burst = max(1, settings.API_REQUESTS_PER_MINUTE // _BURSTS_A_MINUTE) * step
    now_us = (now - _EPOCH) // _MICROSECOND
    in_time = Q(paced_until_us__lte=now_us + burst - step)
    implausible = Q(paced_until_us__gt=now_us + burst + _MINUTE // _MICROSECOND)
    used_lately = Q(last_used_at__gt=now - _MINUTE)
    rows = ApiKey.objects.filter(pk=key.pk)
    begins = Value(now_us, BigIntegerField())
    counted = rows.filter(in_time | implausible).update(
        paced_until_us=Case(When(implausible, then=begins), default=Greatest("paced_until_us", begins)) + step,
        last_used_at=Case(When(used_lately, then=F("last_used_at")), default=Value(now)),
    )
    if counted:
        return timedelta()
    paced_until_us = rows.values_list("paced_until_us", flat=True).first() or now_us
    return max(_MICROSECOND, timedelta(microseconds=paced_until_us - now_us - burst + step))


def revoke(*, keys: QuerySet[ApiKey], actor: User, now: datetime) -> int:
    """Close the keys for good; returns how many were still open."""
    with transaction.atomic():
        open_keys = list(keys.filter(revoked_at__isnull=True).select_for_update(of=("self",)).order_by("pk"))
        ApiKey.objects.filter(pk__in=[key.pk for key in open_keys]).update(revoked_at=now)
        audit_many(action=gettext_noop("revoked"), objects=open_keys, actor=actor, now=now)
    return len(open_keys)
