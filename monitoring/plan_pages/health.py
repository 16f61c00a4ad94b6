"""How healthy the stock is: one score with its parts, of a warehouse or a brand."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Avg, Count, ExpressionWrapper, F, FloatField, Q, Sum, Value
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, NullIf

from config.formatting import UNKNOWN
from monitoring.history import safe_cell
from monitoring.plan_pages.scope import PlanScope
from monitoring.planning.health import WEIGHTS

GROUPS: Mapping[str, Sequence[str]] = {
    "warehouse": ("warehouse_id", "warehouse__name", "warehouse__code"),
    "brand": ("sku__product__brand",),
}
BY_VALUE = "freshness"  # a share of the stock's value


@dataclass(frozen=True, slots=True)
class Group:
    """The mean of each part over the plans in which it is known; of the freshness weighed by the stock's value."""

    key: Any
    name: str
    plans: int
    parts: Mapping[str, float | None]

    @property
    def score(self) -> float | None:
        weights = weights_of(self.parts)
        known = [(weight, self.parts[name]) for name, weight in weights.items() if weight is not None]
        return sum(100 * weight * (part or 0) for weight, part in known) if known else None

    @property
    def weights(self) -> Mapping[str, float | None]:
        return weights_of(self.parts)


def weights_of(parts: Mapping[str, float | None]) -> dict[str, float | None]:
    """How much each part counts; None for one that is not known, since the others make up for it."""
    known = sum(weight for name, weight in WEIGHTS.items() if parts.get(name) is not None)
    return {name: None if parts.get(name) is None else weight / known for name, weight in WEIGHTS.items()}


def groups(scope: PlanScope, by: str) -> list[Group]:
    """By warehouse or brand, the worst first; one query."""
    value = Cast("stock_value", FloatField())
    # A null of JSON is the text "null" on SQLite, which would become 0.
    texts = {name: NullIf(KT(f"health_parts__{name}"), Value("null")) for name in WEIGHTS}
    shares = {name: Cast(text, FloatField()) for name, text in texts.items()}
    valued = Q(share__isnull=False, stock_value__gt=0)
    figures = {f"mean_{name}": Avg(share) for name, share in shares.items() if name != BY_VALUE}
    weighed = ExpressionWrapper(F("share") * value, output_field=FloatField())
    rows = (
        scope.plans.order_by()
        .annotate(share=shares[BY_VALUE])
        .values(*GROUPS[by])
        .annotate(
            plans=Count("pk"),
            **figures,
            weighed=Sum(weighed, filter=valued),
            value=Sum(value, filter=valued),
            currencies=Count("currency", filter=valued, distinct=True),
        )
    )
    found = [_group(row, by) for row in rows]
    # What cannot be told comes last.
    return sorted(found, key=lambda group: (group.score is None, group.score or 0, group.name))


def _group(row: Mapping[str, Any], by: str) -> Group:
    names = [row[field] for field in GROUPS[by]]
    name = next((text for text in names[-2:] if isinstance(text, str) and text), UNKNOWN)
    parts = {part: row.get(f"mean_{part}") for part in WEIGHTS}
    # Values of several currencies do not add up.
    parts[BY_VALUE] = row["weighed"] / row["value"] if row["currencies"] == 1 else None
    return Group(names[0], name, row["plans"], parts)


def csv_rows(scope: PlanScope, by: str) -> Iterator[list[str]]:
    yield [by, "plans", "score", *WEIGHTS, *(f"weight of {name}" for name in WEIGHTS)]
    for group in groups(scope, by):
        figures = [group.score, *group.parts.values(), *group.weights.values()]
        yield [
            safe_cell(group.name),
            str(group.plans),
            *("" if figure is None else str(round(figure, 4)) for figure in figures),
        ]
