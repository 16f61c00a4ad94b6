"""What can go wrong while talking to a platform; the class says what happens next, the cause says why."""

import re
from datetime import datetime
from typing import ClassVar, Literal

_NOT_PRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_LONGEST_DETAIL = 300
_LONGEST_ID = 64


class ConnectorError(Exception):
    """A call that brought nothing usable.

    `cause` is a short stable slug ("timeout", "quota", ...); together with `kind` it selects the sentence shown to
    people. `detail` is what the platform said, kept on one line and short. Whoever raises keeps secrets out of it.
    """

    kind: ClassVar[str] = "error"

    def __init__(
        self, platform: str, operation: str, *, cause: str, request_id: str = "", code: str = "", detail: str = ""
    ) -> None:
        super().__init__(platform, operation, cause)
        self.platform = platform
        self.operation = operation
        self.cause = cause
        # These three come from outside: one line each and of bounded length, so that a log line stays a log line.
        self.request_id = _one_line(request_id, _LONGEST_ID)
        self.code = _one_line(code, _LONGEST_ID)
        self.detail = _one_line(detail, _LONGEST_DETAIL)

    def __str__(self) -> str:
        text = f"{self.platform} {self.operation}: {self.kind} ({self.cause})"
        if self.code:
            text += f", code {self.code}"
        if self.request_id:
            text += f", request {self.request_id}"
        return f"{text}: {self.detail}" if self.detail else text


class Retry(ConnectorError):
    """Again with backoff: timeout, lost connection, server error, a body that is not the documented shape.

    `may_have_arrived`: the request was sent and may have been carried out; what changes something is read back first.
    """

    kind = "retry"

    def __init__(
        self,
        platform: str,
        operation: str,
        *,
        cause: str,
        request_id: str = "",
        code: str = "",
        detail: str = "",
        may_have_arrived: bool = False,
    ) -> None:
        super().__init__(platform, operation, cause=cause, request_id=request_id, code=code, detail=detail)
        self.may_have_arrived = may_have_arrived


class Wait(ConnectorError):
    """Not before `retry_at` (aware UTC): quota, throttling, a daily cap; or what was asked for is still being made.

    `scope` is what waits: the whole channel, or only the operation, which then says nothing about other calls.
    """

    kind = "wait"

    def __init__(
        self,
        platform: str,
        operation: str,
        *,
        retry_at: datetime,
        scope: Literal["operation", "channel"] = "channel",
        cause: str = "quota",
        request_id: str = "",
        code: str = "",
        detail: str = "",
    ) -> None:
        super().__init__(platform, operation, cause=cause, request_id=request_id, code=code, detail=detail)
        self.retry_at = retry_at
        self.scope = scope


class Reauthorise(ConnectorError):
    """The channel pauses and asks a person: token revoked or expired for good, granted scope missing."""

    kind = "reauthorise"


class Review(ConnectorError):
    """A person must look: at one listing, or at the channel (a permission to be asked for at the platform)."""

    kind = "review"

    def __init__(
        self,
        platform: str,
        operation: str,
        *,
        scope: Literal["listing", "channel"],
        cause: str,
        request_id: str = "",
        code: str = "",
        detail: str = "",
    ) -> None:
        super().__init__(platform, operation, cause=cause, request_id=request_id, code=code, detail=detail)
        self.scope = scope


class Fatal(ConnectorError):
    """Our bug or configuration: bad signature, malformed request, unsupported operation."""

    kind = "fatal"


def _one_line(text: str, longest: int) -> str:
    line = _NOT_PRINTABLE.sub(" ", text).strip()
    return line if len(line) <= longest else line[: longest - 1] + "…"
