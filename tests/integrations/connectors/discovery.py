"""A shop's listings one by one, however its connector pages and waits."""

import json
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from integrations.connectors.base import Connector, DiscoveredListing
from integrations.connectors.errors import Wait


def discovered(connector: Connector, now: datetime, *, pages_at_once: int = 1_000_000) -> Iterator[DiscoveredListing]:
    """Begun again from its cursor, as stored, after so many pages and after each wait for an operation."""
    cursor: Any = None
    while True:
        try:
            for count, page in enumerate(connector.discover_listings(now=now, cursor=cursor), 1):
                cursor = json.loads(json.dumps(page.cursor))
                yield from page.listings
                if cursor is None:
                    return
                if count == pages_at_once:
                    break
            else:
                raise AssertionError("no page said that it was the last")
        except Wait as wait:
            if wait.scope != "operation" or not cursor:
                raise
            time.sleep(0.05)
