"""The calls received, so that a test can ask what was really sent. Secrets, signatures and sessions never enter it."""

import itertools
import threading
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

MAX_ENTRIES = 20_000


class Ledger:
    """The last calls, oldest first; each has a number that rises by one and is never used again."""

    def __init__(self, size: int = MAX_ENTRIES) -> None:
        self._entries: deque[tuple[int, float, str, str, str, str, str, Sequence[str], int, str]] = deque(maxlen=size)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def record(
        self,
        *,
        at: float,
        platform: str,
        verb: str,
        path: str,
        method: str,
        shop: str,
        item_ids: Sequence[str],
        code: int,
        sub_code: str = "",
    ) -> None:
        """Append one call. at is in epoch seconds; code 0 is success, otherwise the platform's code or HTTP status."""
        with self._lock:
            number = next(self._numbers)
            self._entries.append((number, at, platform, verb, path, method, shop, item_ids, code, sub_code))

    def entries(self, since: int = 0) -> list[dict[str, Any]]:
        """The calls whose number is above `since`."""
        with self._lock:
            found = [entry for entry in self._entries if entry[0] > since]
        return [
            {
                "number": number,
                "at": datetime.fromtimestamp(at, UTC).isoformat(),
                "platform": platform,
                "verb": verb,
                "path": path,
                "method": method,
                "shop": shop,
                "item_ids": list(item_ids),
                "code": code,
                "sub_code": sub_code,
            }
            for number, at, platform, verb, path, method, shop, item_ids, code, sub_code in found
        ]

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
