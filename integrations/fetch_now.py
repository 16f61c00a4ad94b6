"""“Fetch now”: what a person asked to be read, at once when it is little, through the queue when it is much."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.contrib import messages
from django.db import transaction
from django.db.models import Count, Max
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from catalog.database import parts
from catalog.models import Channel, Listing
from config import formatting
from integrations.fetching import FetchSummary, fetch_listings
from integrations.problems import sentence
from integrations.state import TROUBLE, capitalised, health_of
from integrations.tasks import request_fetch
from monitoring.models import ListingWatch

READ_IN_REQUEST = 100
DEADLINE_SECONDS = 25


@dataclass(frozen=True)
class FetchResult:
    """What to tell the person: one line about what was done, and one sentence per problem.

    `level` is one of django.contrib.messages: success only when every listing was read, or is left to the worker.
    """

    done: str
    problems: list[str]
    level: int = messages.SUCCESS


def fetch_now(*, listing_ids: Sequence[int], now: datetime) -> FetchResult:
    """Read the listings now; more than READ_IN_REQUEST of them are left to the worker."""
    if len(listing_ids) > READ_IN_REQUEST:
        for some in parts(sorted(listing_ids)):
            ListingWatch.objects.filter(listing__in=some, next_due_at__gt=now).update(next_due_at=now)
        transaction.on_commit(partial(request_fetch, list(listing_ids)))
        done = ngettext("%(count)d listing is being read.", "%(count)d listings are being read.", len(listing_ids))
        return FetchResult(done % {"count": len(listing_ids)}, [])
    prices = _prices(listing_ids)
    summary = fetch_listings(listing_ids=list(listing_ids), now=now, deadline_seconds=DEADLINE_SECONDS)
    # A price that was not known before has not changed.
    changed = sum(any(prices[pk]) and prices[pk] != after for pk, after in _prices(listing_ids).items())
    price = (
        ngettext("%(count)d price changed", "%(count)d prices changed", changed) % {"count": changed}
        if changed
        else _("no price changed")
    )
    problems = _problems(listing_ids, summary, now)
    asked = len(listing_ids)
    if not summary.read:
        return FetchResult(_("No listing was read."), problems, messages.ERROR if asked else messages.WARNING)
    if summary.read < asked:
        return FetchResult(
            _("%(part)s %(price)s.") % {"part": _part(summary, asked), "price": capitalised(price)},
            problems,
            messages.WARNING,
        )
    fetched = ngettext("Fetched %(count)d listing", "Fetched %(count)d listings", asked) % {"count": asked}
    return FetchResult(_("%(fetched)s; %(price)s.") % {"fetched": fetched, "price": price}, problems)


def _part(summary: FetchSummary, asked: int) -> str:
    """How many of the asked listings were read, and what became of the others."""
    missing = ngettext("%(count)d not known to the platform", "%(count)d not known to the platform", summary.missing)
    failed = ngettext("%(count)d failed", "%(count)d failed", summary.failed)
    untried = asked - summary.read - summary.missing - summary.failed
    not_tried = ngettext("%(count)d not tried", "%(count)d not tried", untried)
    counts = [(missing, summary.missing), (failed, summary.failed), (not_tried, untried)]
    return _("Read %(read)d of %(asked)d listings; %(others)d not (%(why)s).") % {
        "read": summary.read,
        "asked": asked,
        "others": asked - summary.read,
        "why": formatting.joined(text % {"count": count} for text, count in counts if count > 0),
    }


def _prices(listing_ids: Sequence[int]) -> dict[int, tuple[object, ...]]:
    rows = Listing.objects.filter(pk__in=listing_ids)
    return {row[0]: row[1:] for row in rows.values_list("pk", "list_price", "live_price", "promotion_price")}


def _problems(listing_ids: Sequence[int], summary: FetchSummary, now: datetime) -> list[str]:
    """One sentence per channel and cause: first what stopped whole channels, then what single listings met."""
    told: dict[tuple[int, str], str] = {}
    channels = Channel.objects.select_related("health").in_bulk([problem.channel_id for problem in summary.problems])
    for problem in summary.problems:
        channel = channels[problem.channel_id]
        health = health_of(channel)
        # What holds a channel back may have happened before this was asked.
        is_channels = bool(health.kind) and health.cause == problem.cause
        told[problem.channel_id, problem.cause] = sentence(
            cause=problem.cause,
            channel=channel,
            at=health.failed_at if is_channels else now,
            retry_at=problem.retry_at,
            detail=health.detail if is_channels else "",
        )
    groups = (
        ListingWatch.objects.filter(listing__in=listing_ids, tried_at__gte=now, outcome__in=TROUBLE)
        .order_by()
        .values("channel", "cause")
        .annotate(count=Count("pk"), at=Max("tried_at"))
    )
    for group in groups:
        key = group["channel"], group["cause"]
        if key not in told:
            text = sentence(cause=group["cause"], channel=Channel.objects.get(pk=key[0]), at=group["at"])
            listings = ngettext("%(count)d listing", "%(count)d listings", group["count"]) % {"count": group["count"]}
            told[key] = text if group["count"] == 1 else formatting.labelled(listings, text)
    return list(told.values())
