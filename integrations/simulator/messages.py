"""What arrived at robots and at the text-message service, with what was answered. No secret or signature enters it."""

import itertools
import threading
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

MAX_ENTRIES = 5_000


@dataclass(slots=True)
class Message:
    """One message as the platform understood it; what it could not read stays empty."""

    type: str = ""
    title: str = ""
    text: str = ""
    signed: bool = False  # a signature was asked for and was right
    body: dict[str, Any] | None = None  # without timestamp and signature; None where it is no JSON object, or huge
    detail: dict[str, Any] = field(default_factory=dict)  # of text messages: phones, template, variables


class Messages:
    """The last messages, oldest first; each has a number that rises by one and is never used again."""

    def __init__(self, size: int = MAX_ENTRIES) -> None:
        self._entries: deque[dict[str, Any]] = deque(maxlen=size)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def record(
        self, message: Message, *, at: str, platform: str, robot: str, code: int | str, answer: str, accepted: bool
    ) -> None:
        """Append one message. code and answer are the platform's; robot is "" where nobody known was addressed."""
        entry = {
            "at": at,
            "platform": platform,
            "robot": robot,
            "accepted": accepted,
            "code": code,
            "answer": answer,
            **asdict(message),
        }
        with self._lock:
            self._entries.append({"number": next(self._numbers), **entry})

    def entries(self, *, since: int = 0, robot: str | None = None) -> list[dict[str, Any]]:
        """The messages whose number is above `since`; with a robot, only those sent to it."""
        with self._lock:
            return [
                entry
                for entry in self._entries
                if entry["number"] > since and (robot is None or entry["robot"] == robot)
            ]

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
