"""A call as it passes the checks, and what every method asks of its parameters."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from integrations.simulator.faults import Fault
from integrations.simulator.taobao import answers
from integrations.simulator.taobao.accounts import App, Grant
from integrations.simulator.taobao.errors import Refusal, invalid, missing, no_item
from integrations.simulator.world import Item, World

MAX_DEPTH = 20_000  # rows that paging reaches
DIGITS = re.compile(r"[0-9]{1,19}")


@dataclass(slots=True)
class Call:
    """One call as it passes the checks: its parameters, and who turns out to make it."""

    parameters: dict[str, str]
    method: str = ""
    format: str = "xml"
    app: App | None = None
    grant: Grant | None = None
    item_ids: Sequence[str] = ()
    fault: Fault | None = None  # of a kind that lets the call run

    @property
    def shop(self) -> str:
        return self.grant.shop if self.grant is not None else ""

    def required(self, name: str) -> str:
        value = self.parameters.get(name, "").strip()
        if not value:
            raise missing(name)
        return value

    def optional(self, name: str) -> str | None:
        return self.parameters.get(name, "").strip() or None

    def ids(self, name: str, limit: int) -> list[int]:
        """A comma list of ids without repetitions. Raises Refusal 41 for more than `limit` and for what is no id."""
        parts = self.required(name).split(",")
        if len(parts) > limit:
            raise invalid(name, f"{name} 最多 {limit} 个")
        self.item_ids = [part.strip() for part in parts]
        return list(dict.fromkeys(identity(name, part) for part in self.item_ids))

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        text = self.optional(name)
        if text is None:
            return default
        if not DIGITS.fullmatch(text) or not low <= int(text) <= high:
            raise invalid(name)
        return int(text)

    def moment(self, name: str) -> int | None:
        """A GMT+8 date and time as epoch seconds; None when it was not sent."""
        text = self.optional(name)
        if text is None:
            return None
        try:
            return int(datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=answers.CHINA).timestamp())
        except ValueError as error:
            raise invalid(name) from error

    def required_moment(self, name: str) -> int:
        self.required(name)
        return self.moment(name) or 0


def identity(name: str, text: str) -> int:
    if not DIGITS.fullmatch(text):
        raise invalid(name)
    return int(text)


@dataclass(frozen=True, slots=True)
class Method:
    run: Callable[[World, Call], dict[str, Any]]
    level: str | None  # the security level of the session it needs (r1, r2, w1, w2); None: no session


def paging(call: Call, *, max_page: int, max_size: int, default_size: int = 40) -> tuple[int, int]:
    page = call.whole("page_no", 1, 1, max_page)
    size = call.whole("page_size", default_size, 1, max_size)
    if page * size > MAX_DEPTH:
        raise Refusal(15, "isv.invalid-parameter:gain-number-too-large", "翻页过深，请按时间分段查询")
    return page, size


def own_item(world: World, call: Call, num_iid: int) -> Item:
    """An item of the calling shop; raises Refusal for any other."""
    item = world.items.get(num_iid)
    if item is None or item.shop != call.shop:
        raise no_item()
    return item
