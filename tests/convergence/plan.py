"""What happens in a schedule, drawn from its seed and from nothing else."""

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

FEWEST_FAULTS = 20


class Call(StrEnum):
    """What a call to a platform is for."""

    WRITE = "write"
    ORDERS = "orders"
    LOOK = "look"


class Fault(StrEnum):
    """What goes wrong. Those of calls are met by the n-th call of a kind, the others happen between the slices."""

    # A call's answer.
    STATUS_429 = "429"
    STATUS_500 = "500"
    NOT_SENT = "no connection"
    DROPPED = "connection broken, not carried out"
    TIMEOUT = "timeout, carried out"
    HALF = "half an answer"
    SILENT = "said to be done, and not done"
    LATE = "said to be done, and done later"
    # What else happens while a call is out.
    KILLED_BEFORE = "worker lost before the call arrived"
    KILLED_AFTER = "worker lost after the call was carried out"
    SECOND_RUNNER = "second runner meanwhile"
    OVERTAKEN = "stalled until its lease was over, and another runner was faster"
    SALE = "sale meanwhile"
    CHANGE = "stock changed by hand meanwhile"
    CLOCK_MEANWHILE = "clock stepped meanwhile"
    # Between the slices.
    CLOCK_FORWARD = "clock stepped forward"
    CLOCK_BACK = "clock stepped back"
    TASK_DROPPED = "queued task dropped"
    TASK_TWICE = "queued task delivered twice"
    TASKS_REVERSED = "queued tasks delivered in another order"
    SIGNAL_LOST = "process lost right after a commit"
    DEED_TWICE = "form sent twice"
    KILLED_BOOKING = "worker lost in the middle of booking"
    KILLED_BOOKED = "worker lost after booking, before it noted how far it read"
    STALE_NEWS = "orders told again, the oldest news last"


_ANSWERS = (Fault.STATUS_429, Fault.STATUS_500, Fault.NOT_SENT, Fault.DROPPED, Fault.TIMEOUT, Fault.HALF)
_MEANWHILE = (
    Fault.KILLED_BEFORE,
    Fault.KILLED_AFTER,
    Fault.SECOND_RUNNER,
    Fault.OVERTAKEN,
    Fault.SALE,
    Fault.CHANGE,
    Fault.CLOCK_MEANWHILE,
)
_OF_CALLS = {
    Call.WRITE: (*_ANSWERS, Fault.SILENT, Fault.SILENT, Fault.LATE, *_MEANWHILE),
    Call.ORDERS: (*_ANSWERS, *_MEANWHILE),
    Call.LOOK: (*_ANSWERS, *_MEANWHILE),
}
_NUMBERS = {Call.WRITE: (6, 9), Call.ORDERS: (4, 7), Call.LOOK: (3, 6)}  # so many of the first so many calls
_BETWEEN = tuple(Fault)[tuple(Fault).index(Fault.CLOCK_FORWARD) :]


class Step(NamedTuple):
    """One thing that is done; `numbers` choose what it is done to, whatever there is by then."""

    name: str
    numbers: tuple[int, ...] = ()
    fault: Fault | None = None


@dataclass(frozen=True)
class Schedule:
    seed: int
    rounds: tuple[tuple[Step, ...], ...]
    of_calls: dict[Call, dict[int, Fault]]  # by the number of the call among those of its kind

    def faults(self) -> list[str]:
        """All that is to go wrong, as it is told of a schedule that failed."""
        calls = [f"{kind} call {n}: {fault}" for kind, some in self.of_calls.items() for n, fault in some.items()]
        between = [
            f"round {n}: {step.fault}"
            for n, steps in enumerate(self.rounds)
            for step in steps
            if step.fault is not None
        ]
        return calls + between


_ROUNDS = 3  # few, and full: what takes time is working, not what there is to be worked on
_DEEDS = ("adjust", "adjust", "receive", "count", "transfer", "rule", "listing_rule", "map")


def schedule(seed: int) -> Schedule:
    rng = random.Random(f"schedule {seed}")

    def numbers() -> tuple[int, ...]:
        return tuple(rng.randrange(1_000_000) for _ in range(4))

    of_calls = {
        kind: {n: rng.choice(_OF_CALLS[kind]) for n in sorted(rng.sample(range(first), many))}
        for kind, (many, first) in _NUMBERS.items()
    }
    rounds: list[list[Step]] = []
    for _ in range(_ROUNDS):
        steps = [Step("sell", numbers()) for _ in range(rng.choice((2, 2, 3, 3, 4)))]
        steps += [Step("order_moves", numbers()) for _ in range(rng.choice((1, 1, 2, 2, 3)))]
        steps += [Step(rng.choice(_DEEDS), numbers()) for _ in range(rng.choice((0, 1, 1, 2)))]
        rng.shuffle(steps)
        rounds.append(steps)
    for _ in range(FEWEST_FAULTS - sum(map(len, of_calls.values())) + rng.randint(0, 1)):
        steps = rounds[rng.randrange(_ROUNDS)]
        steps.insert(rng.randint(0, len(steps)), Step("go_wrong", numbers(), rng.choice(_BETWEEN)))
    for steps in rounds:
        steps.append(Step("work", numbers()))
        steps.append(Step("wait", (rng.choice((3, 8, 20, 70, 70, 130)),)))
    return Schedule(seed, tuple(map(tuple, rounds)), of_calls)
