"""The three ways to write stock: of one row, of many variants of an item, and Tmall's own."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from integrations.simulator.simulation import Simulation
from integrations.simulator.taobao import answers
from integrations.simulator.taobao.calls import Call, Method, identity
from integrations.simulator.taobao.errors import Refusal, invalid, missing, no_item
from integrations.simulator.world import IN_STOCK, ON_SALE, Item, Row, World

MAX_ROWS = 20
MAX_QUANTITY = 99_999_999
SET, DELTA = 1, 2
AMOUNT = re.compile(r"-?[0-9]{1,12}")
HEXADECIMAL = re.compile(r"[0-9A-Fa-f]+")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one row is to show."""

    row: Row
    quantity: int


class StockWrites:
    """Writes are checked whole before anything changes: one row that is refused leaves all as they were."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.methods = {
            "taobao.item.quantity.update": Method(self._one, "w1"),
            "taobao.skus.quantity.update": Method(self._many, "w1"),
            "tmall.item.quantity.update": Method(self._tmall, "w1"),
        }

    def _one(self, world: World, call: Call) -> dict[str, Any]:
        item = _item_to_write(world, call, "num_iid", "taobao")
        kind, amount = call.whole("type", SET, SET, DELTA), _amount("quantity", call.required("quantity"))
        sku_id, outer_id = call.optional("sku_id"), call.optional("outer_id")
        if sku_id is not None:
            rows = [_variant(item, identity("sku_id", sku_id))]
        elif outer_id is not None and item.has_variants:
            rows = _by_outer_id(item, outer_id)
        elif item.has_variants:
            raise _against_rule("IC_CHECKSTEP_SKU_QUANTITY_UNMATCH", "宝贝有SKU，请指定SKU")
        else:
            rows = list(item.sellable_rows())
        if kind == DELTA and any(row.quantity + amount < 0 for row in rows):
            raise _against_rule("IC_CHECKSTEP_QUANTITY_ERROR", "库存不足，无法减少")
        wanted = [Wanted(row, _new_quantity("quantity", row, amount, kind)) for row in rows]
        return {"item": self._write(world, call, item, wanted)}

    def _many(self, world: World, call: Call) -> dict[str, Any]:
        item = _item_to_write(world, call, "num_iid", "taobao")
        kind = call.whole("type", SET, SET, DELTA)
        # Where both are given, the merchant's codes do not count.
        name = "skuid_quantities" if call.optional("skuid_quantities") else "outerid_quantities"
        if call.optional(name) is None:
            raise missing("skuid_quantities")
        pairs = [part.rpartition(":")[::2] for part in call.required(name).split(";") if part]
        if len(pairs) > MAX_ROWS:
            raise invalid(name, f"最多支持 {MAX_ROWS} 个SKU同时修改")
        wanted = []
        for key, amount in pairs:
            by_id = name == "skuid_quantities"
            rows = [_variant(item, identity(name, key))] if by_id else _by_outer_id(item, key)
            wanted += [Wanted(row, _new_quantity(name, row, _amount(name, amount), kind)) for row in rows]
        return {"item": self._write(world, call, item, wanted)}

    def _tmall(self, world: World, call: Call) -> dict[str, Any]:
        item = _item_to_write(world, call, "item_id", "tmall")
        options = _json(call, "options", dict)
        kind, biz_key = options.get("type", SET), str(options.get("outer_biz_key", ""))
        if kind not in (SET, DELTA) or (biz_key and not HEXADECIMAL.fullmatch(biz_key)):
            raise invalid("options")
        rows = _json(call, "sku_quantities", list)
        if len(rows) > MAX_ROWS:
            raise invalid("sku_quantities", f"最多支持 {MAX_ROWS} 个SKU同时修改")
        wanted = []
        for entry in rows:
            row = _tmall_row(item, entry)
            amount = _amount("sku_quantities", str(entry.get("quantity", "")))
            wanted.append(Wanted(row, _new_quantity("sku_quantities", row, amount, kind)))
        total = call.optional("item_quantity")
        if not rows and total is None:
            raise missing("item_quantity")
        if total is not None and not rows:
            if item.has_variants:
                raise _against_rule("IC_CHECKSTEP_SKU_QUANTITY_UNMATCH", "宝贝有SKU，请指定SKU")
            amount = _amount("item_quantity", total)
            wanted = [Wanted(row, _new_quantity("item_quantity", row, amount, kind)) for row in item.sellable_rows()]
        keys = self.simulation.accounts.biz_keys
        if kind == DELTA and biz_key and (call.shop, biz_key) in keys:
            return {"quantity_update_result": str(item.num_iid)}
        self._write(world, call, item, wanted)
        if kind == DELTA and biz_key:
            keys.add((call.shop, biz_key))
        return {"quantity_update_result": str(item.num_iid)}

    def _write(self, world: World, call: Call, item: Item, wanted: Sequence[Wanted]) -> dict[str, Any]:
        """Change the rows, unless a fault hides that for now or for ever; returns the item as it answers."""

        def change() -> None:
            _change(self.simulation.world, item.num_iid, wanted)

        after = {entry.row.sku_id: entry.quantity for entry in wanted}
        fault = call.fault
        if fault is None or fault.kind not in ("silent_drop", "delayed_visibility"):
            change()
        elif fault.kind == "delayed_visibility":
            self.simulation.later(fault.seconds or 1.0, change)
        modified = answers.china_time(world.now)
        answer: dict[str, Any] = {
            "num_iid": item.num_iid,
            "num": sum(after.get(row.sku_id, row.quantity) for row in item.sellable_rows()),
            "modified": modified,
        }
        if item.has_variants:
            skus = [{"sku_id": sku_id, "quantity": units, "modified": modified} for sku_id, units in after.items()]
            answer["skus"] = {"sku": skus}
        return answer


def _change(world: World, num_iid: int, wanted: Sequence[Wanted]) -> None:
    item = world.items.get(num_iid)
    if item is None:
        return
    for entry in wanted:
        world.add_units(item, entry.row, entry.quantity - entry.row.quantity, world.now)
    if item.approve_status == ON_SALE and not any(row.quantity for row in item.sellable_rows()):
        item.approve_status, item.shelf_reason, item.delist_time = IN_STOCK, "sold_out", world.now
        world.touch(item, world.now)
    world.changed()


def _item_to_write(world: World, call: Call, name: str, kind: str) -> Item:
    num_iid = identity(name, call.required(name))
    shop = world.shops[call.shop]
    if shop.kind != kind:
        raise Refusal(12, "", "天猫商家请使用天猫接口" if shop.kind == "tmall" else "该接口仅限天猫商家使用")
    item = world.items.get(num_iid)
    if item is None:
        raise no_item()
    if item.shop != call.shop:
        raise Refusal(15, "isv.invalid-permission:update-item", "没有权限修改该宝贝")
    return item


def _variant(item: Item, sku_id: int) -> Row:
    for row in item.sellable_rows():
        if row.sku_id == sku_id and sku_id:
            return row
    raise _no_variant(str(sku_id))


def _by_outer_id(item: Item, outer_id: str) -> list[Row]:
    found = [row for row in item.sellable_rows() if row.outer_id == outer_id]
    if not found:
        raise _no_variant(outer_id)
    return found


def _tmall_row(item: Item, entry: Any) -> Row:
    if not isinstance(entry, dict):
        raise invalid("sku_quantities")
    if "sku_id" in entry:
        return _variant(item, identity("sku_quantities", str(entry["sku_id"])))
    name = next((name for name in ("outer_id", "properties") if name in entry), None)
    if name is None:
        raise invalid("sku_quantities")
    for row in item.sellable_rows():
        if getattr(row, name) == entry[name]:
            return row
    raise _no_variant(str(entry[name]))


def _no_variant(key: str) -> Refusal:
    return Refusal(15, "isv.sku-not-exist:invalid-skuId", f"SKU 不存在: {key}")


def _against_rule(rule: str, why: str) -> Refusal:
    return Refusal(15, f"isv.item-update-service-error:{rule}", why)


def _amount(name: str, text: str) -> int:
    if not AMOUNT.fullmatch(text):
        raise invalid(name)
    return int(text)


def _new_quantity(name: str, row: Row, amount: int, kind: int) -> int:
    """What the row shows afterwards; a difference that would lead below 0 leads to 0."""
    quantity = amount if kind == SET else max(0, row.quantity + amount)
    if not 0 <= quantity <= MAX_QUANTITY:
        raise invalid(name)
    return quantity


def _json(call: Call, name: str, wanted: type) -> Any:
    text = call.optional(name)
    if text is None:
        return wanted()
    try:
        value = orjson.loads(text)
    except ValueError as error:
        raise invalid(name) from error
    if not isinstance(value, wanted):
        raise invalid(name)
    return value
