"""What became of what people decided: each advice is judged once by the ledger, when its time is over.

The outcome is about the advice, and never about who decided. Of one that was followed: it ran out nevertheless (too
little or too late), far too much is left, or it was right. Of one that was not (rejected, or accepted and never
ordered): it was right where the SKU did run out without it, and too much where the SKU lasted without it. Where the
ledger does not know, or something else came in its place, nobody can tell.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from django.db.models import Case, Count, F, Max, Min, Q, QuerySet, Sum, Value, When

from catalog.database import among, driver_rows, update_rows
from catalog.models import PurchaseOrder, PurchaseOrderLine, StockLevel, StockMovement, User
from monitoring.models import Advice, SkuPlan
from monitoring.planning.advice_text import Term
from monitoring.planning.health import usual_cover
from monitoring.services.planning.demand import local_day, midnight, site_zone

Kind, State, Outcome = Advice.Kind, Advice.State, Advice.Outcome
Place = tuple[int, int]  # SKU, warehouse

RECORD_DAYS = 90
PATIENCE_DAYS = 60  # that an order may be late before it is judged all the same; and a period that nobody knows
_AT_ONCE = 1_000
_DECIDED = (State.ACCEPTED, State.CHANGED, State.REJECTED)
_COMING_IN = (StockMovement.Kind.RECEIPT, StockMovement.Kind.TRANSFER_IN)
_DAY = timedelta(days=1)


@dataclass(slots=True)
class Judged:
    """How many came to each outcome."""

    outcomes: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        told = ", ".join(f"{number} {outcome}" for outcome, number in sorted(self.outcomes.items()))
        return f"{self.outcomes.total()} judged" + (f": {told}" if told else "")


def judge(*, now: datetime) -> Judged:
    """Judge all whose time is over, in a number of statements that stays the same for every 1,000 of them."""
    today = now.astimezone(site_zone()).date()
    result = Judged()
    waiting = Advice.objects.filter(state__in=_DECIDED, judged_at=None, decided_at__lt=now - _DAY)
    keys = list(waiting.order_by("decided_at", "pk").values_list("pk", flat=True))
    for start in range(0, len(keys), _AT_ONCE):
        some = list(Advice.objects.filter(pk__in=among(keys[start : start + _AT_ONCE])).order_by("decided_at", "pk"))
        trials = _trials(some, today)
        histories = _histories(trials)
        told = [(trial.advice.pk, str(outcome_of(trial, histories.get(trial.advice.pk)))) for trial in trials]
        update_rows(Advice, "id", ["outcome"], told, also={"judged_at": now, "changed_at": now})
        result.outcomes.update(outcome for _pk, outcome in told)
    return result


# --- Whose time is over ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Trial:
    """An advice whose time is over: the days after its decision, both inclusive."""

    advice: Advice
    plan: SkuPlan | None
    is_followed: bool
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class _Bought:
    """What became of a line of an order."""

    received: int
    is_open: bool  # it was sent, and more is to come
    last_arrival: datetime | None


def _trials(some: Sequence[Advice], today: date) -> list[Trial]:
    """The protection period is, and of what was bought a review period since it arrived."""
    skus = sorted({advice.sku_id for advice in some})
    plans = {(plan.sku_id, plan.warehouse_id): plan for plan in SkuPlan.objects.filter(sku__in=among(skus))}
    bought = _bought(sorted({advice.order_id for advice in some if advice.order_id is not None}))
    zone = site_zone()
    found = []
    for advice in some:
        if advice.decided_at is None:
            continue
        plan = plans.get((advice.sku_id, advice.warehouse_id))
        decided_on = advice.decided_at.astimezone(zone).date()
        last = decided_on + _period(advice, plan)
        line = bought.get((advice.order_id or 0, advice.sku_id))
        is_followed = advice.state != State.REJECTED
        if advice.kind == Kind.BUY and is_followed:
            is_followed = line is not None and line.received > 0
            if line is not None and line.is_open and today <= last + timedelta(days=PATIENCE_DAYS):
                continue
            if line is not None and line.last_arrival is not None:
                review = timedelta(days=plan.review_days if plan else 0)
                last = max(last, line.last_arrival.astimezone(zone).date() + review)
        elif advice.kind == Kind.TRANSFER and is_followed:
            is_followed = advice.transfer_id is not None
        if last < today:
            found.append(Trial(advice, plan, is_followed, decided_on + _DAY, last))
    return found


def _period(advice: Advice, plan: SkuPlan | None) -> timedelta:
    """What it was to cover: of buying and moving the protection period, of limiting the lead time."""
    days: float | None = advice.sum.get("lead_days")
    for term, _pieces, of_days in advice.sum.get("parts", ()):
        if term == Term.NEEDED:
            days = of_days
    if days is None and plan is not None:
        days = plan.protection_days
    return timedelta(days=max(1, round(PATIENCE_DAYS if days is None else days)))


def _bought(order_ids: Sequence[int]) -> dict[tuple[int, int], _Bought]:
    lines = PurchaseOrderLine.objects.filter(order__in=among(order_ids)).order_by()
    rows = lines.annotate(
        to_come=F("quantity") - F("cancelled") - F("received"), arrived=Max("receipts__receipt__received_at")
    ).values_list("order", "sku", "received", "order__status", "to_come", "arrived")
    return {
        (order, sku): _Bought(received, status in PurchaseOrder.ON_THE_WAY and to_come > 0, arrived)
        for order, sku, received, status, to_come, arrived in rows
    }


# --- What the ledger tells -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class History:
    """What was available as each day of a trial opened, and the day after it; and the units that came in meanwhile."""

    opening: Sequence[int]
    came: int


def _histories(trials: Sequence[Trial]) -> dict[int, History]:
    """By advice; one is left out whose place was not counted before its days begin."""
    if not trials:
        return {}
    skus = sorted({trial.advice.sku_id for trial in trials})
    of_skus = Q(sku__in=among(skus))
    levels = StockLevel.objects.filter(of_skus, is_counted=True).order_by()
    there: dict[Place, int] = {
        (sku, warehouse): units for sku, warehouse, units in driver_rows(levels, ("sku", "warehouse", "available"))
    }
    booked = StockMovement.objects.filter(of_skus).order_by()
    counted = booked.filter(kind__in=StockMovement.COUNTING).values("sku", "warehouse")
    counted = counted.annotate(day=Min(local_day("happened_at")))
    counted_on: dict[Place, int] = {
        (sku, warehouse): day for sku, warehouse, day in driver_rows(counted, ("sku", "warehouse", "day"))
    }
    change = Case(When(kind__in=StockMovement.RESERVING, then=-F("quantity")), default=F("quantity"))
    came = Case(When(kind__in=_COMING_IN, then=F("quantity")), default=Value(0))
    since = midnight(min(trial.first for trial in trials))
    days = booked.filter(happened_at__gte=since).values("sku", "warehouse", day=local_day("happened_at"))
    moved: dict[Place, dict[int, tuple[int, int]]] = defaultdict(dict)
    rows = days.annotate(change=Sum(change), came=Sum(came))
    for sku, warehouse, day, changed, came_in in driver_rows(rows, ("sku", "warehouse", "day", "change", "came")):
        moved[sku, warehouse][day] = changed, came_in
    found = {}
    for trial in trials:
        place = trial.advice.sku_id, trial.advice.warehouse_id
        first, last = trial.first.toordinal(), trial.last.toordinal()
        if place not in there or counted_on.get(place, last) >= first:
            continue
        of_place = moved.get(place, {})
        units = there[place] - sum(changed for day, (changed, _came) in of_place.items() if day > last)
        opening = [units]
        for day in range(last, first - 1, -1):
            units -= of_place.get(day, (0, 0))[0]
            opening.append(units)
        came_in = sum(came for day, (_changed, came) in of_place.items() if first <= day <= last)
        found[trial.advice.pk] = History(opening[::-1], came_in)
    return found


# --- The outcome ----------------------------------------------------------------------------------------------------


def outcome_of(trial: Trial, history: History | None) -> Advice.Outcome:
    """A day that opened with nothing to sell is one on which it ran out; what was sold out as it was decided counts
    from the day on which there was some again. Too much is more than a healthy cover as the last day ended."""
    if history is None:
        return Outcome.CANNOT_TELL
    advice = trial.advice
    opening = list(history.opening)
    more = (advice.decided_quantity or 0) - advice.quantity if advice.kind in (Kind.BUY, Kind.TRANSFER) else 0
    if not trial.is_followed:
        if min(opening) <= 0:
            return Outcome.RIGHT
        return Outcome.CANNOT_TELL if history.came > _expected(advice) else Outcome.TOO_MUCH
    while opening and opening[0] <= 0:
        opening.pop(0)
    if not opening or min(opening) <= 0:
        # With less than was advised, more was needed, as it said.
        return Outcome.RIGHT if advice.state == State.CHANGED and more < 0 else Outcome.RAN_OUT
    plan = trial.plan
    if plan is None or plan.per_day is None or plan.lead_time_days is None:
        return Outcome.CANNOT_TELL
    # What somebody added to it is not its own.
    left = opening[-1] - max(more, 0)
    healthy = float(usual_cover(plan.lead_time_days, plan.review_days)[1])
    return Outcome.TOO_MUCH if left > healthy * plan.per_day else Outcome.RIGHT


def _expected(advice: Advice) -> int:
    """Units that were to come anyhow, as it was made."""
    for term, pieces, _days in advice.sum.get("parts", ()):
        if term == Term.ON_THE_WAY:
            return round(-float(pieces))
    return int(advice.sum.get("coming", 0))


# --- The record -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Record:
    """What became of the advice of a kind ("": of all) that was judged lately."""

    kind: str
    right: int = 0
    ran_out: int = 0
    too_much: int = 0
    cannot_tell: int = 0

    @property
    def judged(self) -> int:
        return self.right + self.ran_out + self.too_much + self.cannot_tell

    @property
    def share_right(self) -> float | None:
        """Of those that can be told; None: of none it can."""
        told = self.judged - self.cannot_tell
        return self.right / told if told else None


def track_record(user: User, *, now: datetime, days: int = RECORD_DAYS) -> list[Record]:
    """Of all that the person sees, and by kind; empty where nothing was judged in so many days. One query."""
    seen: QuerySet[Advice] = Advice.objects.visible_to(user).filter(judged_at__gt=now - timedelta(days=days))
    rows = seen.order_by().values("kind", "outcome").annotate(number=Count("pk"))
    counts: Mapping[str, Counter[str]] = defaultdict(Counter)
    for kind, outcome, number in rows.values_list("kind", "outcome", "number"):
        for group in ("", kind):
            counts[group][outcome] += number
    return [
        Record(
            kind,
            counts[kind][Outcome.RIGHT],
            counts[kind][Outcome.RAN_OUT],
            counts[kind][Outcome.TOO_MUCH],
            counts[kind][Outcome.CANNOT_TELL],
        )
        for kind in ("", *Kind.values)
        if kind in counts
    ]
