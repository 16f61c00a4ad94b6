"""What can be sold, and how much of it a listing shows. Pure: whole units in, whole units out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import NamedTuple


class LocationMode(StrEnum):
    """How several warehouses behind one location of a shop count."""

    SUM = "sum"
    PRIORITY = "priority"  # the first that has anything


class StepKind(StrEnum):
    AVAILABLE = "available"
    STOP_AT = "stop-at"
    BUFFER = "buffer"
    SHARE = "share"
    CAP = "cap"
    FLOOR = "floor"  # less than nothing is nothing
    PACK = "pack"


class Blocked(StrEnum):
    """Why a listing's figure is left as the platform has it."""

    PAUSED = "paused"
    NOT_MAPPED = "not-mapped"
    SKU_INACTIVE = "sku-inactive"
    NOT_COUNTED = "not-counted"  # nothing was ever booked for the SKU, so nobody knows what there is
    LOCATION_LEFT = "location-left"  # no warehouse feeds the location any more


class Step(NamedTuple):
    """One step of the arithmetic: the figure of the rule (None for the first), and the units after it."""

    kind: StepKind
    figure: int | None
    units: int


@dataclass(frozen=True, slots=True)
class Rule:
    """How much of what is available may be shown; None: no such limit."""

    buffer: int | None = None
    share_percent: int | None = None
    cap: int | None = None
    stop_at: int | None = None
    is_paused: bool | None = None

    def over(self, general: "Rule") -> "Rule":
        """This rule where it says something, the general one elsewhere."""
        chosen = {
            field.name: own if (own := getattr(self, field.name)) is not None else getattr(general, field.name)
            for field in fields(self)
        }
        return Rule(**chosen)


@dataclass(frozen=True, slots=True)
class Target:
    """What a listing is to show at one location, and how it came to that; None: it is left alone, because of `blocked`.

    0 is a figure like any other: sold out. What is not known is never 0.
    """

    quantity: int | None
    steps: tuple[Step, ...] = ()
    blocked: Blocked | None = None


def bundle_available(components: Iterable[tuple[int | None, int]]) -> int | None:
    """Whole bundles that the components make: (units available, units in one bundle) of each.

    None when nothing is known of a component, or there is none. Negative where a component is oversold: rounded down,
    so that one missing unit is one missing bundle.
    """
    counts: list[int] = []
    for available, units in components:
        if available is None:
            return None
        counts.append(available // units)
    return min(counts, default=None)


def at_location(available: Sequence[int | None], mode: LocationMode) -> int | None:
    """What a location can sell of the warehouses behind it, in the order of their position.

    None when nothing is known of any of them. An oversold warehouse takes from the sum what it owes; in the order of
    priority it is passed over, and where none has anything the first known one speaks.
    """
    known = [units for units in available if units is not None]
    if not known:
        return None
    if mode is LocationMode.SUM:
        return sum(known)
    return next((units for units in known if units > 0), known[0])


def target_of(available: int | None, rule: Rule, pack_factor: int = 1) -> Target:
    """The figure for a listing that sells `pack_factor` units at a time.

    In this order: nothing at or below `stop_at`; less the buffer; the share, rounded down; at most the cap; never below
    0; whole packs, rounded down. The cap counts units, as the others do.
    """
    if rule.is_paused:
        return Target(None, blocked=Blocked.PAUSED)
    if available is None:
        return Target(None, blocked=Blocked.NOT_COUNTED)
    units = available
    steps = [Step(StepKind.AVAILABLE, None, units)]

    def go_on(kind: StepKind, figure: int | None, after: int) -> int:
        steps.append(Step(kind, figure, after))
        return after

    if rule.stop_at is not None and units <= rule.stop_at:
        go_on(StepKind.STOP_AT, rule.stop_at, 0)
        return Target(0, tuple(steps))
    if rule.buffer:
        units = go_on(StepKind.BUFFER, rule.buffer, units - rule.buffer)
    if units < 0:
        units = go_on(StepKind.FLOOR, None, 0)
    if rule.share_percent is not None and rule.share_percent < 100:
        units = go_on(StepKind.SHARE, rule.share_percent, units * rule.share_percent // 100)
    if rule.cap is not None and units > rule.cap:
        units = go_on(StepKind.CAP, rule.cap, rule.cap)
    if pack_factor > 1:
        units = go_on(StepKind.PACK, pack_factor, units // pack_factor)
    return Target(units, tuple(steps))
