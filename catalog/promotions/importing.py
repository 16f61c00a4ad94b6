"""Promotions as CSV and Excel files: read by the names that merchants know, compared with what is stored, and stored as
a whole or not at all.

A row is known again by its id, or where it has none by all that it says: the same file brought twice changes nothing.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy, gettext_noop

from catalog.database import parts
from catalog.mapping.files import cell_fault, cell_text, read_table, safe_cell
from catalog.models import Channel, Listing, Promotion, User
from catalog.pricing.conversions import NotConvertible, end_of, minor_units, percent_off, scaled, start_of
from catalog.pricing.rulesets import SHIPPING, RuleSet, rules_for
from catalog.pricing.validity import invalid_field
from catalog.promotions.forms import words_of
from catalog.promotions.requests import engine_promotion
from catalog.promotions.services import pricing_of, tell
from catalog.promotions.words import FIELDS, LAYERS, terms
from catalog.services import audit
from config import formatting

COLUMNS: Mapping[str, Promise] = {
    "id": gettext_lazy("promotion id"),
    "title": gettext_lazy("title"),
    "threshold": gettext_lazy("threshold"),
    "discount": gettext_lazy("discount"),
    "starts": gettext_lazy("starts"),
    "ends": gettext_lazy("ends"),
    "scope": gettext_lazy("item ids"),
    "target_type": gettext_lazy("target type"),
    "excluded": gettext_lazy("item ids left out"),
    "kind": gettext_lazy("kind"),
    "layer": gettext_lazy("layer"),
    "cap": gettext_lazy("takes off at most"),
    "repeat": gettext_lazy("every time"),
    "automatic": gettext_lazy("applies by itself"),
    "audience": gettext_lazy("only for"),
    "groups": gettext_lazy("excludes others of"),
    "remaining": gettext_lazy("left to claim"),
    "code": gettext_lazy("coupon code"),
    "currency": gettext_lazy("currency"),
}
_NEEDED = ("discount",)
# What the platforms' exports, ERPs and merchants call them.
_ALSO_CALLED: Mapping[str, Sequence[str]] = {
    "id": ("coupon_id", "activity_id", "promotion_id", "优惠券ID", "券ID", "活动ID", "编号"),
    "title": ("name", "coupon_name", "优惠券名称", "活动名称", "券名称", "名称", "标题"),
    "threshold": ("condition_amount", "condition", "minimum", "门槛", "使用门槛", "门槛金额", "满"),
    "discount": ("value", "amount", "denominations", "面额", "优惠金额", "优惠内容", "折扣", "减"),
    "starts": ("start", "start_time", "valid_start_time", "开始时间", "生效时间", "开始日期"),
    "ends": ("end", "end_time", "valid_end_time", "结束时间", "失效时间", "过期时间", "结束日期"),
    "scope": ("scope", "items", "item_id", "item_ids", "适用商品", "商品ID", "商品id"),
    "target_type": ("适用范围", "优惠券类型"),
    "excluded": ("not_items", "excluded_items", "不适用商品", "排除商品"),
    "kind": ("type", "优惠类型", "优惠方式"),
    "layer": ("优惠层级", "层级"),
    "cap": ("max_discount", "封顶", "封顶金额", "最高优惠"),
    "repeat": ("是否循环", "每满减", "上不封顶"),
    "automatic": ("auto", "自动生效", "自动"),
    "audience": ("适用人群", "人群"),
    "groups": ("互斥组", "互斥"),
    "remaining": ("剩余数量", "剩余张数", "剩余"),
    "code": ("优惠码", "券码"),
    "currency": ("币种", "货币"),
}
_KINDS = {
    "amount_off": ("满减", "减", "减钱", "立减", "现金券", "满减券", "代金券", "amount off", "fixed", "amount"),
    "percent_off": ("打折", "折扣", "满折", "折扣券", "percent", "percent off", "percentage off"),
    "fixed_price": ("一口价", "特价", "秒杀", "fixed price", "price"),
}
_KIND_OF = {word: kind for kind, words in _KINDS.items() for word in (kind, *words)}
_YES, _NO = ("1", "是", "yes", "true", "y", "√"), ("", "0", "否", "no", "false", "n")
_NO_THRESHOLD = ("", "0", "无", "无门槛", "none", "-")
_ALL = ("", "全店", "全部", "全部商品", "all", "*")
_TARGETS = {
    "": "",
    "1": "item",
    "商品": "item",
    "item": "item",
    "2": "shop",
    "店铺": "shop",
    "shop": "shop",
    "全店": "shop",
}
_BOTH = re.compile(r"(每?)满([\d.]+)元?(?:减|-)([\d.]+)元?")  # 满199减20
_REDUCED = re.compile(r"(\d{1,2}(?:\.\d+)?)折")  # 8折 is 20 % off
_TIME = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?:[ T]*(\d{1,2}):(\d\d)(?::(\d\d))?(?:\.0+)?)?")
_OFFSET = re.compile(r"(Z|[+-]\d\d:?\d\d)$")
_MOST = 1 << 53
_LONGEST_NAME, _LONGEST_ID = 200, 100
_MARK = "file:"  # before the ids of promotions from files: no platform's
IMPORTED = gettext_noop("promotions imported")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a file, as it stands there; `number` as spreadsheets count, the heading being 1."""

    number: int
    cells: Mapping[str, str]  # by the columns that the file has
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked once per file."""

    channel: Channel
    zone: str  # of times without an offset
    is_minor: bool = False  # amounts are in the minor unit: fen


@dataclass(frozen=True, slots=True)
class Change:
    """What a line stores. `before` is what its promotion has in these fields, None where it is new."""

    number: int
    platform_id: str
    values: Mapping[str, Any]
    before: Mapping[str, Any] | None
    currency: str
    zone: str
    listings: int  # own ones that it names, or that its channel has

    @property
    def is_new(self) -> bool:
        return self.before is None

    @property
    def name(self) -> str:
        return str(self.values["name"])

    @property
    def terms(self) -> str:
        return terms(Promotion(currency=self.currency, **self.values))

    @property
    def window(self) -> str:
        """In the zone of the shop; the end is the first moment at which it is over."""
        zone, told = ZoneInfo(self.zone), []
        if start := self.values.get("start"):
            told.append(gettext("from %(time)s") % {"time": formatting.iso_moment(start, zone)})
        if end := self.values.get("end"):
            told.append(gettext("until before %(time)s") % {"time": formatting.iso_moment(end, zone)})
        return " ".join(told) or gettext("always")


@dataclass(frozen=True, slots=True)
class RowError:
    number: int
    text: str


@dataclass
class Preview:
    """What a file would store. With an error in it nothing of it is."""

    changes: list[Change] = field(default_factory=list)
    unchanged: int = 0
    from_platform: int = 0  # lines about promotions that are read from the platform anyway
    errors: list[RowError] = field(default_factory=list)


class Moved(Exception):
    """So many of the promotions are no longer as the preview showed them; nothing was stored."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count


class _Wrong(Exception):
    """A cell that says nothing that can be told exactly."""


# --- Read -------------------------------------------------------------------------------------------------------------


def read_promotions(content: bytes) -> list[Row]:
    """The lines of a CSV or Excel file. Raises Unreadable."""
    table = read_table(content, COLUMNS, _NEEDED, also_called=_ALSO_CALLED)
    # A spreadsheet's dates come as midnights. Where any end has a time of day, a midnight is meant as one.
    ends = [cells.get("ends") for _number, cells in table]
    are_days = all(end.time() == time() for end in ends if isinstance(end, datetime))
    rows = []
    for number, cells in table:
        texts = {name: cell_text(value) for name, value in cells.items()}
        for name in ("starts", "ends"):
            if isinstance(cells.get(name), datetime) and are_days and cells[name].time() == time():
                texts[name] = cells[name].date().isoformat()
        rows.append(Row(number, texts, cell_fault(cells, ids=("id", "scope", "excluded"))))
    return rows


def template_rows() -> Iterable[list[str]]:
    """The heading, and lines that show how to fill it in."""
    yield [str(label) for label in COLUMNS.values()]
    shown = (
        [
            "",
            "满199减20",
            "199",
            "20",
            "2026-12-01",
            "2026-12-12",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "CNY",
        ],
        ["", "8折", "", "8折", "2026-12-01 10:00", "2026-12-12 23:59:59", "616000000001", "", "", "", "", "50"],
    )
    for cells in shown:
        yield [safe_cell(cell) for cell in cells] + [""] * (len(COLUMNS) - len(cells))


# --- Compared ---------------------------------------------------------------------------------------------------------


def preview(*, rows: Sequence[Row], asked: Terms) -> Preview:
    """What the lines would store. The queries do not grow with the lines."""
    channel = asked.channel
    pricing = pricing_of(channel)
    reader = _Reader(asked, rules_for(pricing.ruleset, pricing.settings))
    stored = _stored(channel)
    of_platform = set(
        Promotion.objects.filter(channel=channel, source=Promotion.Source.PLATFORM).values_list(
            "platform_id", flat=True
        )
    )
    own = channel.listings.current().filter(ownership=Listing.Ownership.OWN)
    item_ids = list(own.values_list("platform_item_id", flat=True))
    listings: dict[str, int] = {}
    for item_id in item_ids:
        listings[item_id] = listings.get(item_id, 0) + 1
    shown = Preview()
    seen: dict[str, int] = {}
    for row in rows:
        told = row.cells.get("id", "")
        if told and of_platform & {told, f"coupon-{told}", f"activity-{told}", f"coupon:{told}"}:
            shown.from_platform += 1
            continue
        key = _MARK + (told or _mark(row))
        try:
            if key in seen:
                raise _Wrong(gettext("Row %(number)d is about the same promotion.") % {"number": seen[key]})
            promotion, names = reader.read(row)
        except _Wrong as wrong:
            shown.errors.append(RowError(row.number, str(wrong)))
            continue
        seen[key] = row.number
        values = {name: getattr(promotion, name) for name in names}
        known = stored.get(key)
        before = None if known is None else {name: getattr(known, name) for name in names}
        if before == values:
            shown.unchanged += 1
            continue
        items = promotion.scope_of("items")
        count = sum(listings.get(item, 0) for item in set(items)) if items else len(item_ids)
        shown.changes.append(
            Change(
                number=row.number,
                platform_id=key,
                values=values,
                before=before,
                currency=channel.currency,
                zone=channel.time_zone,
                listings=count,
            )
        )
    return shown


def _stored(channel: Channel) -> dict[str, Promotion]:
    rows = Promotion.objects.filter(channel=channel, source=Promotion.Source.FILE)
    return {row.platform_id: row for row in rows}


def _mark(row: Row) -> str:
    """What tells a line without an id from others: all that it says."""
    told = sorted((name, text) for name, text in row.cells.items() if text)
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:40]


class _Reader:
    """Makes promotions of lines; raises _Wrong with the reason where one says something that cannot be."""

    def __init__(self, asked: Terms, rules: RuleSet) -> None:
        self._asked = asked
        self._rules = rules
        self._currency = asked.channel.currency
        self._zone = ZoneInfo(asked.zone)
        self._layers = [layer.name for layer in rules.layers]

    def read(self, row: Row) -> tuple[Promotion, list[str]]:
        """An unsaved promotion, and the names of the fields that the file tells of it."""
        if row.fault:
            raise _Wrong(row.fault)
        cells = row.cells
        if (currency := cells.get("currency", "").upper()) and currency != self._currency:
            raise _Wrong(
                gettext("It is in %(other)s. The channel sells in %(currency)s.")
                % {"other": currency[:20], "currency": self._currency}
            )
        values: dict[str, Any] = {**self._effect(cells), **self._goods(cells)}
        values["layer"] = self._layer(cells.get("layer", ""), values.get("scope"))
        for column, name, convert in (
            ("starts", "start", self._start),
            ("ends", "end", self._end),
            ("cap", "max_discount", self._amount),
            ("automatic", "auto", self._is_yes),
            ("remaining", "remaining", self._count),
            ("audience", "audience", words_of),
            ("groups", "groups", words_of),
        ):
            if column in cells:
                values[name] = self._cell(convert, cells[column], column)
        if "code" in cells:
            values["code"] = self._text(cells["code"], 128, "code")
        promotion = Promotion(channel=self._asked.channel, currency=self._currency, **values)
        self._judge(promotion)
        values["name"] = promotion.name = self._text(cells.get("title", ""), _LONGEST_NAME, "title") or terms(promotion)
        self._text(cells.get("id", ""), _LONGEST_ID, "id")
        return promotion, sorted(values)

    def _judge(self, promotion: Promotion) -> None:
        if wrong := invalid_field(engine_promotion(promotion), self._rules):
            raise _Wrong(gettext("It cannot be used: %(wrong)s.") % {"wrong": FIELDS.get(wrong, wrong)})
        items = set(promotion.scope_of("items"))
        if items and items <= set(promotion.scope_of("not_items")):
            raise _Wrong(gettext("It leaves out all goods that it is for."))

    def _cell(self, convert: Callable[[str], Any], text: str, column: str) -> Any:
        try:
            return convert(text)
        except NotConvertible:
            raise _Wrong(
                gettext("“%(text)s” cannot be read in the column “%(column)s”.")
                % {"text": text[:40], "column": COLUMNS[column]}
            ) from None

    def _effect(self, cells: Mapping[str, str]) -> dict[str, Any]:
        """What it takes off, and from which threshold on."""
        text, least = _bare(cells["discount"]), _bare(cells.get("threshold", ""))
        repeat = self._cell(self._is_yes, cells.get("repeat", ""), "repeat")
        for place, written in (("discount", text), ("threshold", least)):
            if both := _BOTH.fullmatch(written):
                text, repeat = both[3], repeat or bool(both[1])
                least = both[2] if place == "threshold" or least.casefold() in _NO_THRESHOLD else least
                break
        kind_text = cells.get("kind", "").strip().casefold()
        if kind_text and kind_text not in _KIND_OF:
            raise _Wrong(gettext("“%(kind)s” is no kind: 满减, 折扣, 一口价.") % {"kind": kind_text[:40]})
        is_rate = _REDUCED.fullmatch(text) is not None or text.endswith("%")
        kind = _KIND_OF.get(kind_text) or ("percent_off" if is_rate else "amount_off")
        if is_rate and kind != "percent_off":
            raise _Wrong(gettext("It is a percentage, but its kind is not."))
        if kind == "percent_off" and not is_rate:
            raise _Wrong(gettext("Write a percentage as 8折, or as 20%, which is the same."))
        value = self._cell(_rate_off if kind == "percent_off" else self._amount_of, text, "discount")
        found: dict[str, Any] = {"kind": kind, "repeat": repeat, "measure": "none", "value": value, "tiers": None}
        if least.casefold() not in _NO_THRESHOLD:
            of_pieces = re.fullmatch(r"(\d{1,9})(?:件|pcs|pieces?)", least)
            minimum = int(of_pieces[1]) if of_pieces else self._cell(self._amount_of, least, "threshold")
            found |= {"measure": "quantity" if of_pieces else "amount", "value": None, "tiers": [[minimum, value]]}
        return found

    def _goods(self, cells: Mapping[str, str]) -> dict[str, Any]:
        if not {"scope", "target_type", "excluded"} & cells.keys():
            return {}
        target = cells.get("target_type", "").strip().casefold()
        if target not in _TARGETS:
            raise _Wrong(gettext("“%(target)s” is no target type: 1 item, 2 shop.") % {"target": target[:40]})
        items = [] if cells.get("scope", "").strip().casefold() in _ALL else _ids(cells["scope"])
        if _TARGETS[target] == "item" and not items:
            raise _Wrong(gettext("It is for some items, but the row does not say which."))
        if _TARGETS[target] == "shop" and items:
            raise _Wrong(gettext("It is for the whole shop, but the row names items."))
        scope = {name: ids for name, ids in (("items", items), ("not_items", _ids(cells.get("excluded", "")))) if ids}
        return {"scope": scope or None}

    def _layer(self, text: str, scope: Any) -> str:
        """As it is called in the file, or where coupons are counted on the platform."""
        wanted = text.strip().casefold()
        if not wanted:
            usual = ("coupon", "product", "order") if (scope or {}).get("items") else ("coupon", "order")
            return next((name for name in usual if name in self._layers), self._layers[0])
        for name in self._layers:
            if wanted in (name, str(LAYERS.get(name, name)).casefold()) and name != SHIPPING:
                return name
        known = ", ".join(str(LAYERS.get(name, name)) for name in self._layers if name != SHIPPING)
        raise _Wrong(gettext("This shop has the layers: %(layers)s.") % {"layers": known})

    def _amount(self, text: str) -> int | None:
        return None if not text else self._amount_of(_bare(text))

    def _amount_of(self, text: str) -> int:
        found = scaled(text, 0) if self._asked.is_minor else minor_units(text, self._currency)
        if not 0 <= found <= _MOST:
            raise NotConvertible(text)
        return found

    def _start(self, text: str) -> datetime | None:
        return self._moment(text, is_end=False)

    def _end(self, text: str) -> datetime | None:
        return self._moment(text, is_end=True)

    def _moment(self, text: str, *, is_end: bool) -> datetime | None:
        """An end is inclusive: a date ends with its day, and so does its last second."""
        text = text.strip()
        if not text:
            return None
        zone: Any = self._zone
        if ":" in text and (offset := _OFFSET.search(text)):
            text = text[: offset.start()]
            zone = datetime.strptime(offset[0], "%z").tzinfo or UTC
        found = _TIME.fullmatch(text.strip())
        if found is None:
            raise NotConvertible(text)
        day = f"{found[1]}-{int(found[2]):02}-{int(found[3]):02}"
        clock = f" {int(found[4]):02}:{found[5]}:{found[6] or '00'}" if found[4] else ""
        return (end_of if is_end else start_of)(day + clock, zone)

    @staticmethod
    def _is_yes(text: str) -> bool:
        folded = text.strip().casefold()
        if folded in _YES or folded in _NO:
            return folded in _YES
        raise NotConvertible(text)

    @staticmethod
    def _count(text: str) -> int | None:
        if not text:
            return None
        if not re.fullmatch(r"\d{1,9}", text):
            raise NotConvertible(text)
        return int(text)

    @staticmethod
    def _text(text: str, longest: int, column: str) -> str:
        if len(text) > longest:
            raise _Wrong(
                gettext("The column “%(column)s” is longer than %(longest)s characters.")
                % {"column": COLUMNS[column], "longest": formatting.count(longest)}
            )
        return text


def _bare(text: str) -> str:
    """Without the signs of currencies, the words that only say that it is an amount, and what parts thousands."""
    bare = re.sub(r"^满(?=[\d.]+(元|件)?$)|^减(?=[\d.])|[¥￥$€£\s]|元$", "", text.strip())
    return bare.replace(",", "") if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d*)?", bare) else bare


def _rate_off(text: str) -> int:
    """Basis points: 8折 and 20% are 2000."""
    if reduced := _REDUCED.fullmatch(text):
        figure = scaled(reduced[1], 3) if float(reduced[1]) < 10 else scaled(reduced[1], 2)
        return 10_000 - figure
    return percent_off(text.removesuffix("%"))


def _ids(text: str) -> list[str]:
    return list(dict.fromkeys(part for part in re.split(r"[\s,，、;；]+", text) if part))


# --- Applied ----------------------------------------------------------------------------------------------------------


def apply(*, changes: Sequence[Change], channel: Channel, actor: User, now: datetime) -> int:
    """Store all that a preview showed, and have the prices worked out that it touches; returns how many. Raises Moved,
    and stores nothing, when one of the promotions is not any more what the preview showed."""
    with transaction.atomic():
        by_key = {change.platform_id: change for change in changes}
        stored: dict[str, Promotion] = {}
        for some in parts(sorted(by_key)):
            rows = Promotion.objects.select_for_update().filter(channel=channel, platform_id__in=some)
            stored |= {row.platform_id: row for row in rows}
        moved = [change for key, change in by_key.items() if _as_it_is(stored.get(key), change) != change.before]
        if moved:
            raise Moved(len(moved))
        added, changed, touched = [], [], []
        names: set[str] = set()
        for key, change in by_key.items():
            if (row := stored.get(key)) is None:
                row = Promotion(
                    channel=channel, source=Promotion.Source.FILE, platform_id=key, currency=channel.currency
                )
                added.append(row)
            else:
                touched.append(Promotion(channel=channel, scope=row.scope))
                changed.append(row)
                names |= change.values.keys()
            for name, value in change.values.items():
                setattr(row, name, value)
            row.updated_at = now
        Promotion.objects.bulk_create(added, batch_size=500)
        if changed:
            Promotion.objects.bulk_update(changed, [*sorted(names), "updated_at"], batch_size=200)
        audit(
            action=IMPORTED,
            obj=channel,
            actor=actor,
            now=now,
            changes={gettext_noop("promotions"): [None, len(changes)]},
        )
        tell([*added, *changed, *touched])
    return len(changes)


def _as_it_is(row: Promotion | None, change: Change) -> dict[str, Any] | None:
    return None if row is None else {name: getattr(row, name) for name in change.values}
