"""A planning run that somebody asks for; the lane takes it up."""

from datetime import datetime

from django.db import transaction

from catalog.models import User
from monitoring.models import PlanRun


def ask_for_run(*, actor: User, now: datetime) -> PlanRun:
    """Have everything planned again. Asked for while such a run waits or goes on, it is the same run."""
    with transaction.atomic():
        running = PlanRun.objects.select_for_update(of=("self",)).filter(kind=PlanRun.Kind.FULL, ended_at=None)
        return running.order_by("-pk").first() or PlanRun.objects.create(
            kind=PlanRun.Kind.FULL, asked_by=actor, started_at=now
        )
