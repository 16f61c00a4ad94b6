"""Exchange rates for planning: what costs in one currency weigh in another, where a rate of the last days is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from catalog.costs import OLDEST_RATE
from catalog.models import ExchangeRate


@dataclass(frozen=True, slots=True)
class Rates:
    """The newest of each pair: units of the second currency for one of the first."""

    known: Mapping[tuple[str, str], float]

    def between(self, of: str, to: str) -> float | None:
        """Units of `to` for one of `of`; the inverse where only that is known, None where neither is."""
        if of == to:
            return 1.0
        if (rate := self.known.get((of, to))) is not None:
            return rate
        inverse = self.known.get((to, of))
        return None if inverse is None else 1 / inverse


def rates_at(now: datetime) -> Rates:
    last = (now + timedelta(days=1)).date()  # no zone is further ahead
    rows = ExchangeRate.objects.filter(day__lte=last, day__gt=last - OLDEST_RATE).order_by("day")
    return Rates({(row.cost_currency, row.sale_currency): float(row.rate) for row in rows})
