"""What people expect instead of a forecast: set with a reason and a last day, and taken away again."""

from datetime import datetime

from django.db import transaction

from catalog.models import User
from catalog.services import audit
from monitoring.models import ForecastOverride


def set_forecast(*, override: ForecastOverride, actor: User, now: datetime) -> None:
    """Keep a checked one; plans go by it from the next run on."""
    override.made_at, override.made_by = now, actor
    with transaction.atomic():
        override.save()
        changes = {
            name: [None, getattr(override, name)]
            for name in ("per_day", "factor", "until", "reason")
            if getattr(override, name) is not None
        }
        audit(action="added", obj=override, actor=actor, now=now, changes=changes)


def end_forecast(*, override: ForecastOverride, actor: User, now: datetime) -> None:
    with transaction.atomic():
        audit(action="deleted", obj=override, actor=actor, now=now)
        override.delete()
