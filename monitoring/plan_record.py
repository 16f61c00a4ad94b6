"""What became of decided advice, as pages show it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.utils.text import capfirst
from django.utils.translation import gettext as _

from catalog.models import User
from config.formatting import UNKNOWN, percent
from monitoring.models import Advice
from monitoring.services.planning.judging import RECORD_DAYS, Record, track_record


@dataclass(frozen=True, slots=True)
class RecordRow:
    record: Record
    label: str

    @property
    def share(self) -> str:
        """Right, of those that can be told."""
        share = self.record.share_right
        return UNKNOWN if share is None else percent(Decimal(str(share)))


@dataclass(frozen=True, slots=True)
class RecordCard:
    """For the template monitoring/plan/record.html, as `record`."""

    rows: Sequence[RecordRow]  # all together first; none where nothing was judged
    days: int = RECORD_DAYS


def record_card(user: User, *, now: datetime) -> RecordCard:
    """Of the last 90 days, of what the person sees; one query."""
    return RecordCard(
        [
            RecordRow(record, str(capfirst(Advice.Kind(record.kind).label)) if record.kind else _("All"))
            for record in track_record(user, now=now)
        ]
    )
