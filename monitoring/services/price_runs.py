"""Prices that somebody wants worked out again: asked for here, worked out by the lane, counted when all are done."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.db.models import Count, Q

from catalog.database import among
from catalog.models import Listing, User
from monitoring.id_sets import decode, encode
from monitoring.models import ListingPrice, PriceQuote, PriceRun
from monitoring.services.prices import mark_due


@dataclass(slots=True)
class Progress:
    """How far a run is, and what came of it so far; `untold` by the code of the reason."""

    left: int = 0
    changed: int = 0
    same: int = 0
    untold: Counter[str] = field(default_factory=Counter)


def recompute(*, listing_ids: Iterable[int], about: str, actor: User, now: datetime) -> PriceRun:
    """Have the prices of own listings among these worked out again.

    Asked for the same while that still goes on, it is the same run.
    """
    own = Listing.objects.current().filter(ownership=Listing.Ownership.OWN, pk__in=among(sorted(listing_ids)))
    ids = list(own.order_by("pk").values_list("pk", flat=True))
    stored = encode(ids)
    with transaction.atomic():
        running = PriceRun.objects.filter(asked_by=actor, ended_at=None, total=len(ids)).order_by("pk")
        for run in running.select_for_update(of=("self",)):
            if bytes(run.listing_ids) == stored:
                return run
        mark_due(listing_ids=ids, now=now)
        return PriceRun.objects.create(
            about=about,
            listing_ids=stored,
            total=len(ids),
            asked_by=actor,
            started_at=now,
            ended_at=None if ids else now,
        )


def progress(run: PriceRun) -> Progress:
    """As it stands now, or as it was when the run ended."""
    if run.ended_at is not None:
        return Progress(changed=run.changed, same=run.same, untold=Counter(run.untold))
    rows = ListingPrice.objects.filter(pk__in=among(decode(bytes(run.listing_ids))))
    found = Progress(left=rows.filter(Q(quoted_at__isnull=True) | Q(quoted_at__lt=run.started_at)).count())
    is_new = Q(quote__made_at__gte=run.started_at)
    done = rows.filter(quoted_at__gte=run.started_at).order_by().values_list("quote__status", "quote__reason")
    for status, reason, number, changed in done.annotate(number=Count("pk"), changed=Count("pk", filter=is_new)):
        if status == PriceQuote.Status.OK:
            found.changed += changed
            found.same += number - changed
        else:
            found.untold[(reason or "").partition(":")[0]] += number
    return found


def end_runs(*, now: datetime) -> int:
    """Keep what came of the runs that are done; returns how many these are."""
    ended = 0
    for run in PriceRun.objects.filter(ended_at=None, started_at__lte=now).order_by("pk"):
        found = progress(run)
        if found.left:
            continue
        ended += PriceRun.objects.filter(pk=run.pk, ended_at=None).update(
            ended_at=now, changed=found.changed, same=found.same, untold=dict(found.untold)
        )
    return ended
