"""Writing stock: which call, what its refusal means for each row, and what reading back tells.

Only absolute figures are written, which may be repeated: a difference applied twice would be a wrong figure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from integrations.connectors.base import PushOutcome, PushStatus, StockTarget
from integrations.connectors.clock import Clock
from integrations.connectors.errors import ConnectorError, Retry
from integrations.connectors.taobao import parse
from integrations.connectors.taobao.gateway import Gateway, half_answer
from integrations.connectors.taobao.values import count, identity, is_id
from integrations.connectors.values import HalfAnswer

MAX_ROWS = 20  # of one item in one call
_LARGEST_QUANTITY = 99_999_999

_ONE = "taobao.item.quantity.update"
_MANY = "taobao.skus.quantity.update"
_TMALL = "tmall.item.quantity.update"
_READ = "taobao.items.seller.list.get"
_READ_FIELDS = "num_iid,num,sku.sku_id,sku.quantity"
_ABSOLUTE = 1

# Refusals of one row, or of the item and so of every row; any other is of the whole channel.
_ROW_CAUSES = frozenset({"unknown-variant", "refused-by-rule"})
_ITEM_CAUSES = frozenset({"unknown-listing", "foreign-listing"})
_UNEXPLAINED = frozenset({"server-error", "platform-fault", "unrecognised"})
_NUMBER = re.compile(r"[0-9]+")


def batches(targets: Sequence[StockTarget]) -> list[list[StockTarget]]:
    """The targets by item, as many as one call takes, and no variant twice in one."""
    open_batches: dict[tuple[str, bool], list[StockTarget]] = {}
    found: list[list[StockTarget]] = []
    for target in targets:
        key = target.item_id, bool(target.sku_id)
        batch = open_batches.get(key)
        if batch is None or len(batch) == MAX_ROWS or any(target.sku_id == other.sku_id for other in batch):
            batch = open_batches[key] = []
            found.append(batch)
        batch.append(target)
    return found


class StockWriter:
    """One push: the outcomes of its rows so far, by their place in the batch."""

    def __init__(self, gateway: Gateway, *, is_tmall: bool, clock: Clock) -> None:
        self._gateway, self._is_tmall, self._clock = gateway, is_tmall, clock
        self._outcomes: dict[StockTarget, PushOutcome] = {}

    def push(self, targets: Sequence[StockTarget]) -> list[PushOutcome]:
        """One outcome for each target, in its order; raises ConnectorError when nothing can have been written."""
        sent = []
        for target in targets:
            if not is_id(target.item_id) or not (target.sku_id == "" or is_id(target.sku_id)):
                # Sent along, it would make the platform refuse the whole call.
                self._note(target, PushStatus.REFUSED, "bad-listing-id")
            elif not 0 <= target.quantity <= _LARGEST_QUANTITY:
                self._note(target, PushStatus.REFUSED, "refused-by-rule")
            else:
                sent.append(target)
        try:
            for batch in batches(sent):
                self._write(batch)
        except ConnectorError as error:
            if all(outcome.status is PushStatus.REFUSED for outcome in self._outcomes.values()):
                raise
            for target in sent:
                if target not in self._outcomes:
                    self._note(target, PushStatus.UNKNOWN, error.cause)
        return [self._outcomes[target] for target in targets]

    def _note(self, target: StockTarget, status: PushStatus, cause: str = "", shown: int | None = None) -> None:
        self._outcomes[target] = PushOutcome(target.listing_id, target.location_id, status, cause, shown)

    def _write(self, batch: list[StockTarget]) -> None:
        method, parameters = self._request(batch)
        try:
            body = self._gateway.call(method, parameters, self._clock)
            try:
                shown = _shown(method, body, batch)
            except HalfAnswer as half:
                raise half_answer(method, half) from half
        except ConnectorError as error:
            if error.operation == method and _may_be_written(error):
                self._read_back(batch, error)
            elif error.cause in _ITEM_CAUSES or (_is_about_a_row(error) and len(batch) == 1):
                for target in batch:
                    self._note(target, PushStatus.REFUSED, error.cause)
            elif _is_about_a_row(error):
                self._without_refused(batch, error)
            else:
                raise
            return
        for target in batch:
            units = shown.get(target.sku_id)
            status = PushStatus.APPLIED if units == target.quantity else PushStatus.ACCEPTED
            self._note(target, status, shown=units)

    def _without_refused(self, batch: list[StockTarget], error: ConnectorError) -> None:
        """Write the rows of a call that was refused because of one of them.

        That one is taken out where the platform names it; else halves are written until it is alone.
        """
        numbers = set(_NUMBER.findall(error.detail))
        named = [target for target in batch if target.sku_id in numbers]
        if named and len(named) < len(batch):
            for target in named:
                self._note(target, PushStatus.REFUSED, error.cause)
            self._write([target for target in batch if target not in named])
            return
        middle = len(batch) // 2
        self._write(batch[:middle])
        self._write(batch[middle:])

    def _read_back(self, batch: list[StockTarget], error: ConnectorError) -> None:
        """What the shop shows after a write of which nobody can tell whether it was carried out."""
        item_id = batch[0].item_id
        try:
            parameters = {"fields": _READ_FIELDS, "num_iids": item_id}
            items = self._gateway.rows(_READ, parameters, "items", "item", "num_iid", self._clock)
            figures = _figures(items.by_id.get(item_id, {}))
        except ConnectorError:
            figures = {}
        for target in batch:
            units = figures.get(target.sku_id)
            if units == target.quantity:
                self._note(target, PushStatus.APPLIED, shown=units)
            else:
                self._note(target, PushStatus.UNKNOWN, error.cause, units)

    def _request(self, batch: Sequence[StockTarget]) -> tuple[str, dict[str, str]]:
        """The method and parameters that write one batch."""
        first = batch[0]
        if self._is_tmall:
            parameters = {"item_id": first.item_id, "options": _json({"type": _ABSOLUTE})}
            if first.sku_id:
                rows = [{"sku_id": int(target.sku_id), "quantity": target.quantity} for target in batch]
                return _TMALL, {**parameters, "sku_quantities": _json(rows)}
            return _TMALL, {**parameters, "item_quantity": str(first.quantity)}
        parameters = {"num_iid": first.item_id, "type": str(_ABSOLUTE)}
        if first.sku_id:
            pairs = ";".join(f"{target.sku_id}:{target.quantity}" for target in batch)
            return _MANY, {**parameters, "skuid_quantities": pairs}
        return _ONE, {**parameters, "quantity": str(first.quantity)}


def _may_be_written(error: ConnectorError) -> bool:
    # A fault of the platform's own, timed out or not explained, says nothing about what it did before.
    return (isinstance(error, Retry) and error.may_have_arrived) or error.cause in _UNEXPLAINED


def _is_about_a_row(error: ConnectorError) -> bool:
    # A figure or an id that it does not take; what else it calls a bad request is in every row's call.
    is_value = "isv.invalid-parameter" in error.code or "isv.parameters-mismatch" in error.code
    return error.cause in _ROW_CAUSES or (error.cause == "bad-request" and is_value)


def _shown(method: str, body: Mapping[str, Any], batch: Sequence[StockTarget]) -> dict[str, int | None]:
    """What a write's answer says is shown now, by SKU id; raises HalfAnswer for what is no answer to it."""
    item_id = batch[0].item_id
    if method == _TMALL:
        # It names the item and no figure.
        if identity(body.get("quantity_update_result")) != item_id:
            raise HalfAnswer("no result of the write")
        return {}
    item = body.get("item")
    if not isinstance(item, dict) or identity(item.get("num_iid")) != item_id:
        raise HalfAnswer("no item in the answer to a write")
    return _figures(item)


def _figures(item: Mapping[str, Any]) -> dict[str, int | None]:
    """The stock of an item ("") and of those of its variants it came with, by SKU id."""
    variants = parse.variants(item)
    rows = {} if variants is None else variants.by_id
    return {"": count(item.get("num"))[0]} | {sku_id: count(row.get("quantity"))[0] for sku_id, row in rows.items()}


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
