"""Writing stock: what may be written, what a batch says of each row, and what reading back tells.

WooCommerce cannot compare and has no idempotency: what moved is found by reading right before a write, and whether a
figure is there by reading after it. Only absolute figures are written, which may be repeated.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from integrations.connectors.base import PushOutcome, PushStatus, StockTarget
from integrations.connectors.clock import Clock
from integrations.connectors.errors import ConnectorError, Retry, Review
from integrations.connectors.values import whole
from integrations.connectors.woocommerce import parse, refusals
from integrations.connectors.woocommerce.gateway import Gateway

logger = logging.getLogger(__name__)

MAX_ROWS = 50  # of the 100 that are taken: shared hosts run out of time near those
_LARGEST_QUANTITY = 2**31 - 1
_MOST_SILENCES = 5  # writes of one push without an answer, after which no more are made


def batches(targets: Sequence[StockTarget]) -> list[list[StockTarget]]:
    """Products without variations together, and the variations of each product; nothing twice in one batch."""
    open_batches: dict[str, list[StockTarget]] = {}
    found: list[list[StockTarget]] = []
    for target in targets:
        key = target.item_id if target.sku_id else ""
        batch = open_batches.get(key)
        if batch is None or len(batch) == MAX_ROWS or any(_row_id(target) == _row_id(other) for other in batch):
            batch = open_batches[key] = []
            found.append(batch)
        batch.append(target)
    return found


class StockWriter:
    """One push: the outcomes of its rows so far."""

    def __init__(self, gateway: Gateway, clock: Clock) -> None:
        self._gateway, self._clock = gateway, clock
        self._outcomes: dict[StockTarget, PushOutcome] = {}
        self._before: dict[StockTarget, int | None] = {}  # what was shown right before the write
        self._silences = 0
        self._most_rows = MAX_ROWS  # less, where the shop takes less

    def push(self, targets: Sequence[StockTarget]) -> list[PushOutcome]:
        """One outcome for each target, in its order; raises ConnectorError when nothing can have been written."""
        sent = [target for target in targets if self._can_be_sent(target)]
        rows = self._read(sent)
        due = [target for target in sent if self._is_due(target, rows.get(_row_id(target)))]
        try:
            for batch in batches(due):
                self._write(batch)
        except ConnectorError as error:
            noted = [self._outcomes[target] for target in due if target in self._outcomes]
            if all(outcome.status is PushStatus.REFUSED for outcome in noted):
                raise
            logger.warning("A stock push ended before all of it was written: %s", error)
            for target in due:
                if target not in self._outcomes:
                    self._note(target, PushStatus.UNKNOWN, error.cause)
        self._confirm([target for target in due if self._outcomes[target].status is PushStatus.ACCEPTED])
        return [self._outcomes[target] for target in targets]

    def _note(self, target: StockTarget, status: PushStatus, cause: str = "", shown: int | None = None) -> None:
        self._outcomes[target] = PushOutcome(target.listing_id, target.location_id, status, cause, shown)

    # --- Before -----------------------------------------------------------------------------------------------------

    def _can_be_sent(self, target: StockTarget) -> bool:
        if not parse.is_id(target.item_id) or not (target.sku_id == "" or parse.is_id(target.sku_id)):
            # Sent along, it would make the shop refuse the whole call.
            self._note(target, PushStatus.REFUSED, "bad-listing-id")
        elif not 0 <= target.quantity <= _LARGEST_QUANTITY:
            self._note(target, PushStatus.REFUSED, "refused-by-rule")
        return target not in self._outcomes

    def _is_due(self, target: StockTarget, row: Mapping[str, Any] | None) -> bool:
        """Whether the target is to be written over what its row shows; otherwise its outcome is noted."""
        shown = None if row is None else parse.own_stock(row)
        self._before[target] = shown
        if row is None or (target.sku_id and parse.id_of(row, "parent_id") != target.item_id):
            self._note(target, PushStatus.REFUSED, "unknown-variant" if target.sku_id else "unknown-listing")
        elif not target.sku_id and row.get("type") in {parse.VARIABLE, parse.GROUPED}:
            self._note(target, PushStatus.REFUSED, "has-variants")
        elif row.get("manage_stock") == "parent":
            # Written, it would count for itself, and its product would go on selling the same units.
            self._note(target, PushStatus.REFUSED, "stock-of-product")
        elif shown == target.quantity:
            self._note(target, PushStatus.APPLIED, shown=shown)
        elif target.expected not in {None, shown}:
            self._note(target, PushStatus.STALE, "moved", shown)
        return target not in self._outcomes

    # --- Writing ----------------------------------------------------------------------------------------------------

    def _write(self, batch: Sequence[StockTarget]) -> None:
        if self._silences >= _MOST_SILENCES:
            for target in batch:
                self._note(target, PushStatus.UNKNOWN, "not-answered", self._before[target])
            return
        if len(batch) > self._most_rows:
            self._write_halves(batch)
            return
        try:
            rows = self._call(batch)
        except ConnectorError as error:
            if error.cause == refusals.TOO_MANY_ROWS and len(batch) > 1:
                self._most_rows = (len(batch) + 1) // 2
                self._write_halves(batch)
            elif isinstance(error, Review) and error.scope == "listing":  # the product is gone
                for target in batch:
                    self._note(target, PushStatus.REFUSED, error.cause)
            elif isinstance(error, Retry) and error.may_have_arrived:
                self._after_silence(batch, error)
            else:
                raise
            return
        for target, row in zip(batch, rows, strict=True):
            if row.cause:
                self._note(target, PushStatus.REFUSED, row.cause)
            elif row.stock != target.quantity:
                self._note(target, PushStatus.UNKNOWN, "not-confirmed", row.stock)
            else:
                self._note(target, PushStatus.ACCEPTED)

    def _write_halves(self, batch: Sequence[StockTarget]) -> None:
        middle = (len(batch) + 1) // 2
        for half in (batch[:middle], batch[middle:]):
            if half:
                self._write(half)

    def _call(self, batch: Sequence[StockTarget]) -> list[parse.WrittenRow]:
        first = batch[0]
        path = f"products/{first.item_id}/variations/batch" if first.sku_id else "products/batch"
        # Without manage_stock the quantity is dropped, and nothing said.
        rows = [
            {"id": int(_row_id(target)), "manage_stock": True, "stock_quantity": target.quantity} for target in batch
        ]
        answer = self._gateway.call("POST", path, self._clock, body={"update": rows})
        with whole(refusals.PLATFORM, path):
            return parse.written_rows([_row_id(target) for target in batch], answer.json)

    # --- After ------------------------------------------------------------------------------------------------------

    def _after_silence(self, batch: Sequence[StockTarget], error: Retry) -> None:
        """A batch that was not answered may have been written in part; what is not there is written in halves."""
        self._silences += 1
        try:
            rows = self._read(batch)
        except ConnectorError as unread:
            logger.warning("A stock write was not answered (%s) and could not be read back: %s", error, unread)
            for target in batch:
                self._note(target, PushStatus.UNKNOWN, "not-answered")
            return
        left = []
        for target in batch:
            shown = parse.own_stock(rows.get(_row_id(target), {}))
            if shown == target.quantity:
                self._note(target, PushStatus.APPLIED, shown=shown)
            elif shown != self._before[target] or len(batch) == 1:
                self._note(target, PushStatus.UNKNOWN, "not-answered", shown)
            else:
                left.append(target)
        self._write_halves(left)

    def _confirm(self, accepted: Sequence[StockTarget]) -> None:
        """Read what was taken: it counts as applied once the shop shows it."""
        try:
            rows = self._read(accepted)
        except ConnectorError as error:
            logger.warning("A stock write was answered, and could not be read back: %s", error)
            return
        for target in accepted:
            shown = parse.own_stock(rows.get(_row_id(target), {}))
            status = PushStatus.APPLIED if shown == target.quantity else PushStatus.ACCEPTED
            self._note(target, status, shown=shown)

    def _read(self, targets: Sequence[StockTarget]) -> dict[str, Mapping[str, Any]]:
        """What each listing shows now, by the id of its product or variation."""
        products = [target.item_id for target in targets if not target.sku_id]
        variations = [(target.item_id, target.sku_id) for target in targets if target.sku_id]
        found = self._gateway.by_id("products", products, self._clock, fields=parse.STOCK_FIELDS)
        return found | self._gateway.variations(variations, self._clock, fields=parse.STOCK_FIELDS)


def _row_id(target: StockTarget) -> str:
    return target.sku_id or target.item_id
