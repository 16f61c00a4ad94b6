"""Why a channel was not worked on."""

from dataclasses import dataclass
from datetime import datetime

from integrations.models import ChannelHealth


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a channel, or some of what was asked of it, was left undone; kind and cause select the sentence for people.

    The kinds are those of ConnectorError, "unconnected" (a person must set the channel up or authorise it) and "busy"
    (other workers were at these listings just now).
    """

    channel_id: int
    kind: str
    cause: str
    code: str = ""
    retry_at: datetime | None = None  # no call before it


def problem_of(health: ChannelHealth) -> Problem:
    """The problem that holds a channel back."""
    return Problem(health.channel_id, health.kind, health.cause, health.code, health.retry_at)
