"""What a fetch tells about itself."""

from dataclasses import dataclass, field
from datetime import datetime

from integrations.lanes.problem import Problem


@dataclass(frozen=True, slots=True)
class FetchSummary:
    """Listings by outcome; `changed` of the read ones had a new observation."""

    read: int = 0
    changed: int = 0
    missing: int = 0
    failed: int = 0
    problems: list[Problem] = field(default_factory=list)

    def __str__(self) -> str:
        line = f"{self.read} read, {self.changed} changed, {self.missing} missing, {self.failed} failed"
        return f"{line}, {len(self.problems)} problems" if self.problems else line


@dataclass(frozen=True, slots=True)
class SliceSummary(FetchSummary):
    """`more_due` says that the slice's time was over before its work was.

    At `due_at` a listing with a short interval is due, sooner than the clock starts the next slice.
    """

    more_due: bool = False
    due_at: datetime | None = None  # None: the next slice is soon enough
