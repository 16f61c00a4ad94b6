"""`/router/rest`: what the gateway checks before a method runs, and the methods."""

import base64
import binascii
import itertools
import re
import time
from collections.abc import Iterable
from datetime import datetime
from hmac import compare_digest
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import orjson

from integrations.simulator.faults import ANSWERED, Fault, perform
from integrations.simulator.quotas import Quotas
from integrations.simulator.routing import Request, Response
from integrations.simulator.simulation import Simulation
from integrations.simulator.taobao import answers
from integrations.simulator.taobao.accounts import App, Grant
from integrations.simulator.taobao.activities import Activities
from integrations.simulator.taobao.calls import MAX_DEPTH, Call, Method, identity, own_item, paging
from integrations.simulator.taobao.errors import MESSAGES, Refusal, ban_text, invalid, missing, over_quota
from integrations.simulator.taobao.oauth import token_body
from integrations.simulator.taobao.signing import SIGN_METHODS, expected_sign
from integrations.simulator.taobao.stock import StockWrites
from integrations.simulator.taobao.tmc import MessageMethods
from integrations.simulator.world import IN_STOCK, ON_SALE, TAOBAO, Item, Row, Trade, World

TIMESTAMP_WINDOW_SECONDS = 600
MAX_BATCH = 20
MAX_SKU_BATCH = 40
MAX_AFFILIATE_BATCH = 40
MAX_INVENTORY_PAGE = 101
ORDER_DAYS = 90
DAY = 86_400
BANNERS = {
    "for_shelved": None,  # everything in the warehouse
    "regular_shelved": "regular_shelved",
    "never_on_shelf": "never_on_shelf",
    "off_shelf": "off_shelf",
    "sold_out": "sold_out",
    "violation_off_shelf": "violation_off_shelf",
}
# Keys that say which thing a row is about: faults that blank facts leave these alone.
IDENTIFYING = frozenset({"num_iid", "sku_id", "tid", "oid", "request_id", "code", "nick"})
PUBLIC = frozenset(
    {
        "method",
        "app_key",
        "session",
        "timestamp",
        "v",
        "sign_method",
        "sign",
        "format",
        "simplify",
        "partner_id",
        "target_app_key",
    }
)


class Gateway:
    """Taobao's one address for every method."""

    def __init__(self, simulation: Simulation, quotas: Quotas) -> None:
        self.simulation = simulation
        self.quotas = quotas
        self._request_numbers = itertools.count(1)
        self._request_prefix = f"{int(time.time()):x}"
        self.methods = {
            "taobao.time.get": Method(self._time, None),
            "taobao.item.seller.get": Method(self._item, "r1"),
            "taobao.items.seller.list.get": Method(self._items, "r1"),
            "taobao.item.sku.get": Method(self._sku, "r1"),
            "taobao.item.skus.get": Method(self._skus, "r1"),
            "taobao.items.onsale.get": Method(self._on_sale, "r1"),
            "taobao.items.inventory.get": Method(self._inventory, "r1"),
            "taobao.trades.sold.get": Method(self._trades, "r2"),
            "taobao.trades.sold.increment.get": Method(self._changed_trades, "r2"),
            "taobao.promotion.coupons.get": Method(self._shop_coupons, "r1"),
            "taobao.tbk.item.info.get": Method(self._affiliate_items, None),
            "taobao.tbk.coupon.get": Method(self._affiliate_coupon, None),
            "taobao.top.auth.token.create": Method(self._create_token, None),
            "taobao.top.auth.token.refresh": Method(self._refresh_token, None),
            "taobao.user.seller.get": Method(self._seller, "r1"),
            **StockWrites(simulation).methods,
            **Activities().methods,
            **MessageMethods(simulation.accounts, simulation.limit_clock).methods,
        }

    # The call

    def handle(self, request: Request) -> Response:
        call = Call({})
        try:
            self._read(call, request)
            refusal = None
        except Refusal as refused:
            refusal = refused
        fault = self.simulation.faults.take("taobao", call.method, self._claimed_shop(call))
        if fault is None:
            return self._answer(call, request, refusal)
        call.fault = fault
        if fault.kind not in ANSWERED:
            # These take the place of the answer: the call is written down here, with what became of it.
            self._record(call, request, fault.code or fault.status or -1, fault.sub_code or fault.kind)
        return perform(
            fault,
            normal=lambda: self._answer(call, request, refusal),
            error=lambda rule: self._error(call, _refusal_of(rule)),
            keep=IDENTIFYING,
            stopping=self.simulation.stopping,
        )

    def _answer(self, call: Call, request: Request, refusal: Refusal | None) -> Response:
        code, sub_code = 0, ""
        try:
            if refusal is not None:
                raise refusal
            method = self._admit(call)
            with self.simulation.lock:
                body = self._render(call, method.run(self.simulation.advance(), call))
        except Refusal as refused:
            code, sub_code = refused.code, refused.sub_code
            body = self._error(call, refused)
        self._record(call, request, code, sub_code)
        return body

    def _record(self, call: Call, request: Request, code: int, sub_code: str) -> None:
        self.simulation.ledger.record(
            at=time.time(),
            platform="taobao",
            verb=request.verb,
            path=request.path,
            method=call.method,
            shop=call.shop or self._claimed_shop(call),
            item_ids=call.item_ids,
            code=code,
            sub_code=sub_code,
        )

    def _claimed_shop(self, call: Call) -> str:
        grant = self.simulation.accounts.grants.get(call.parameters.get("session", ""))
        return grant.shop if grant is not None else ""

    # Checks, in the gateway's order

    @staticmethod
    def _read(call: Call, request: Request) -> None:
        """The parameters of query and body together. Raises Refusal when the request is no such call."""
        pairs = parse_qsl(request.query, keep_blank_values=True)
        is_form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        if is_form:
            pairs += parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True)
        call.parameters.update(pairs)
        call.method = call.parameters.get("method", "")
        call.format = call.parameters.get("format") or "xml"
        if request.body and not is_form:
            raise Refusal(43, "isv.invalid-content-type", "Content-Type 必须为 application/x-www-form-urlencoded")
        ids = call.parameters.get("num_iids") or call.parameters.get("num_iid") or call.parameters.get("item_id")
        call.item_ids = ids.split(",")[:100] if ids else ()
        if request.verb not in ("GET", "POST"):
            raise Refusal(9)
        if len(call.parameters) != len(pairs):
            raise Refusal(43, "isv.parameters-mismatch:duplicate", "参数重复")

    def _admit(self, call: Call) -> Method:
        """The method, once every check has passed."""
        parameters = call.parameters
        if call.format not in ("json", "xml"):
            raise Refusal(23)
        if not call.method:
            raise Refusal(21)
        method = self.methods.get(call.method)
        if method is None:
            raise Refusal(22, "isv.invalid-method", "不存在的方法名")
        if not parameters.get("app_key"):
            raise Refusal(28)
        app = self.simulation.accounts.apps.get(parameters["app_key"])
        if app is None:
            raise Refusal(29, "isv.appkey-not-exists", "AppKey 不存在")
        call.app = app
        if not parameters.get("v"):
            raise Refusal(32)
        if parameters["v"] != "2.0":
            raise Refusal(34 if re.fullmatch(r"\d+\.\d+", parameters["v"]) else 33)
        self._check_timestamp(parameters.get("timestamp", ""))
        self._check_sign(parameters, app)
        if parameters.get("simplify", "false").lower() not in ("", "false"):
            raise invalid("simplify", "simplify 暂不支持")
        excess = self.quotas.take(app.app_key, call.method)
        if excess is not None:
            raise over_quota(excess)
        if call.method in app.refused_methods:
            raise Refusal(11, app.refused_methods[call.method], "应用没有该接口的调用权限")
        if method.level is not None:
            call.grant = self._session(call, app, method.level)
        return method

    @staticmethod
    def _check_timestamp(text: str) -> None:
        if not text:
            raise Refusal(30)
        if text.isascii() and text.isdigit() and len(text) == 13:
            sent = int(text) / 1000
        else:
            try:
                sent = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=answers.CHINA).timestamp()
            except ValueError as error:
                raise Refusal(31) from error
        if abs(time.time() - sent) > TIMESTAMP_WINDOW_SECONDS:
            raise Refusal(31, "isv.invalid-timestamp", "时间戳与服务器时间相差超过 10 分钟")

    @staticmethod
    def _check_sign(parameters: dict[str, str], app: App) -> None:
        if not parameters.get("sign"):
            raise Refusal(24)
        if not parameters.get("sign_method"):
            raise missing("sign_method")
        if parameters["sign_method"] not in SIGN_METHODS:
            raise invalid("sign_method")
        expected = expected_sign(parameters, app.app_secret, parameters["sign_method"])
        if not compare_digest(expected.encode(), parameters["sign"].encode()):
            raise Refusal(25)

    def _session(self, call: Call, app: App, level: str) -> Grant:
        session = call.parameters.get("session", "")
        if not session:
            raise Refusal(26)
        grant = self.simulation.accounts.grant_of(session, app)
        if grant is None:
            raise Refusal(27, "session-not-exist", "SessionKey 不存在")
        if grant.revoked:
            raise Refusal(27, "invalid-sessionkey", "授权已取消")
        if grant.expires_at <= time.time() or grant.level_ends[level] <= time.time():
            raise Refusal(27, "session-expired", "SessionKey 已过期")
        return grant

    # Answers

    def _request_id(self) -> str:
        return f"{self._request_prefix}{next(self._request_numbers):07x}"

    def _render(self, call: Call, answer: dict[str, Any]) -> Response:
        root = f"{call.method.removeprefix('taobao.').replace('.', '_')}_response"
        answer["request_id"] = self._request_id()
        body = orjson.dumps({root: answer})
        if call.format == "xml":
            return _xml_response(orjson.loads(body))
        return Response(200, body)

    def _error(self, call: Call, refusal: Refusal) -> Response:
        answer: dict[str, Any] = {"code": refusal.code, "msg": refusal.msg}
        if refusal.sub_code:
            answer["sub_code"] = refusal.sub_code
        if refusal.sub_msg:
            answer["sub_msg"] = refusal.sub_msg
        answer["request_id"] = self._request_id()
        if call.format == "json":
            return Response(200, orjson.dumps({"error_response": answer}))
        return _xml_response({"error_response": answer})

    # Methods

    def _time(self, world: World, call: Call) -> dict[str, Any]:
        return {"time": answers.china_time(time.time())}

    def _seller(self, world: World, call: Call) -> dict[str, Any]:
        names, _ = answers.split_fields(call.optional("fields"), answers.SELLER_FIELDS)
        shop = world.shops[call.shop]
        return {"user": {name: answers.SELLER_FIELDS[name](shop) for name in names}}

    def _item(self, world: World, call: Call) -> dict[str, Any]:
        fields = _checked_item_fields(call)
        item = own_item(world, call, identity("num_iid", call.required("num_iid")))
        return {"item": _item_answer(world, item, fields)}

    def _items(self, world: World, call: Call) -> dict[str, Any]:
        fields = _checked_item_fields(call)
        found = [world.items.get(num_iid) for num_iid in call.ids("num_iids", MAX_BATCH)]
        own = [item for item in found if item is not None and item.shop == call.shop]
        return {"items": {"item": [_item_answer(world, item, fields) for item in own]}} if own else {}

    def _sku(self, world: World, call: Call) -> dict[str, Any]:
        names, _ = answers.split_fields(call.optional("fields"), answers.SKU_FIELDS)
        sku_id = identity("sku_id", call.required("sku_id"))
        num_iid = call.optional("num_iid")
        items: Iterable[Item] = world.own_items(call.shop)
        if num_iid is not None:
            items = [own_item(world, call, identity("num_iid", num_iid))]
        for item in items:
            for row in _variants(item):
                if row.sku_id == sku_id:
                    return {"sku": answers.sku_answer(item, row, names)}
        raise Refusal(15, "isv.sku-not-exist:invalid-skuId", "SKU 不存在")

    def _skus(self, world: World, call: Call) -> dict[str, Any]:
        names, _ = answers.split_fields(call.optional("fields"), answers.SKU_FIELDS)
        found = [world.items.get(num_iid) for num_iid in call.ids("num_iids", MAX_SKU_BATCH)]
        skus = [
            answers.sku_answer(item, row, names)
            for item in found
            if item is not None and item.shop == call.shop
            for row in _variants(item)
        ]
        return {"skus": {"sku": skus}} if skus else {}

    def _on_sale(self, world: World, call: Call) -> dict[str, Any]:
        items = [item for item in world.own_items(call.shop) if item.approve_status == ON_SALE]
        return self._item_page(world, call, items, max_page=MAX_DEPTH)

    def _inventory(self, world: World, call: Call) -> dict[str, Any]:
        banner = call.optional("banner") or "for_shelved"
        if banner not in BANNERS:
            raise invalid("banner")
        reason = BANNERS[banner]
        items = [
            item
            for item in world.own_items(call.shop)
            if item.approve_status == IN_STOCK and reason in (None, item.shelf_reason)
        ]
        return self._item_page(world, call, items, max_page=MAX_INVENTORY_PAGE)

    @staticmethod
    def _item_page(world: World, call: Call, items: list[Item], max_page: int) -> dict[str, Any]:
        fields = call.required("fields")
        answers.split_fields(fields, answers.LIST_FIELDS)
        start, end = call.moment("start_modified"), call.moment("end_modified")
        items = [
            item
            for item in items
            if (start is None or item.modified >= start) and (end is None or item.modified <= end)
        ]
        order_by = call.optional("order_by") or "list_time:desc"
        column, _, direction = order_by.partition(":")
        if column not in ("list_time", "delist_time", "num", "modified") or direction not in ("asc", "desc"):
            raise invalid("order_by")
        if column == "num":
            items.sort(key=lambda item: (sum(row.quantity for row in item.sellable_rows()), item.num_iid))
        else:
            items.sort(key=lambda item: (getattr(item, column), item.num_iid))
        if direction == "desc":
            items.reverse()
        page, size = paging(call, max_page=max_page, max_size=200)
        shown = items[(page - 1) * size : page * size]
        answer: dict[str, Any] = {"total_results": len(items)}
        if shown:
            rendered = [answers.item_answer(i, world.shops[i.shop], fields, answers.LIST_FIELDS, ()) for i in shown]
            answer["items"] = {"item": rendered}
        return answer

    def _trades(self, world: World, call: Call) -> dict[str, Any]:
        oldest = world.now - ORDER_DAYS * DAY
        start = max(call.moment("start_created") or oldest, oldest)
        end = call.moment("end_created") or world.now
        found = [trade for trade in world.trades.values() if trade.shop == call.shop and start <= trade.created <= end]
        found.sort(key=lambda trade: (-trade.created, -trade.tid))
        return self._trade_page(world, call, found)

    def _changed_trades(self, world: World, call: Call) -> dict[str, Any]:
        start, end = call.required_moment("start_modified"), call.required_moment("end_modified")
        if end < start:
            raise invalid("end_modified")
        if end - start > DAY:
            raise invalid("end_modified", "查询时间跨度不能超过一天")
        found = [trade for trade in world.trades.values() if trade.shop == call.shop and start <= trade.modified <= end]
        found.sort(key=lambda trade: (-trade.modified, -trade.tid))
        return self._trade_page(world, call, found)

    @staticmethod
    def _trade_page(world: World, call: Call, trades: list[Trade]) -> dict[str, Any]:
        fields = call.optional("fields")
        names, line_names = answers.split_fields(fields, answers.TRADE_FIELDS, "orders", answers.LINE_FIELDS)
        status = call.optional("status")
        if status is not None:
            trades = [trade for trade in trades if trade.status == status]
        page, size = paging(call, max_page=MAX_DEPTH, max_size=100)
        answer: dict[str, Any] = {}
        if (call.optional("use_has_next") or "false").lower() == "true":
            answer["has_next"] = len(trades) > page * size
        else:
            answer["total_results"] = len(trades)
        shown = trades[(page - 1) * size : page * size]
        if shown:
            shop = world.shops[call.shop]
            answer["trades"] = {"trade": [answers.trade_answer(trade, shop, names, line_names) for trade in shown]}
        return answer

    def _shop_coupons(self, world: World, call: Call) -> dict[str, Any]:
        coupon_id, face, end_time = call.optional("coupon_id"), call.optional("denominations"), call.moment("end_time")
        found = [
            coupon
            for coupon in world.shop_coupons
            if coupon.shop == call.shop
            and (coupon_id is None or coupon.coupon_id == identity("coupon_id", coupon_id))
            and (face is None or coupon.face == identity("denominations", face))
            and (end_time is None or coupon.ends_at <= end_time)
        ]
        page, size = paging(call, max_page=MAX_DEPTH, max_size=100, default_size=20)
        shown = [answers.shop_coupon_answer(coupon) for coupon in found[(page - 1) * size : page * size]]
        answer: dict[str, Any] = {"total_results": len(found)}
        if shown:
            answer["coupons"] = {"coupon": shown}
        return answer

    def _affiliate_items(self, world: World, call: Call) -> dict[str, Any]:
        fields = call.optional("fields")
        names = answers.split_fields(fields, answers.AFFILIATE_FIELDS)[0] if fields else list(answers.AFFILIATE_FIELDS)
        if call.optional("platform") not in (None, "1", "2"):
            raise invalid("platform")
        found = [world.items.get(num_iid) for num_iid in call.ids("num_iids", MAX_AFFILIATE_BATCH)]
        # Only what a buyer can buy now is shown to affiliates.
        shown = [
            answers.affiliate_answer(item, world.shops[item.shop], names)
            for item in found
            if item is not None and item.approve_status == ON_SALE and world.platform_of(item) == TAOBAO
        ]
        return {"results": {"n_tbk_item": shown}} if shown else {}

    def _affiliate_coupon(self, world: World, call: Call) -> dict[str, Any]:
        me = call.optional("me")
        if me is not None:
            try:
                item_text, _, activity_id = base64.urlsafe_b64decode(me.encode()).decode().partition(":")
            except (binascii.Error, ValueError) as error:
                raise invalid("me") from error
            num_iid = identity("me", item_text)
        else:
            num_iid = identity("item_id", call.required("item_id"))
            activity_id = call.required("activity_id")
        for coupon in world.affiliate_coupons:
            if coupon.num_iid == num_iid and coupon.activity_id == activity_id:
                return {"data": answers.affiliate_coupon_answer(coupon)}
        return {}

    def _create_token(self, world: World, call: Call) -> dict[str, Any]:
        accounts, app = self.simulation.accounts, self._app(call)
        grant = accounts.redeem(app, call.required("code"), None)
        if grant is None:
            raise Refusal(15, "isv.invalid-parameter:code", "授权码无效或已使用")
        return {"token_result": orjson.dumps(token_body(grant, accounts.shops[grant.shop])).decode()}

    def _refresh_token(self, world: World, call: Call) -> dict[str, Any]:
        accounts, app = self.simulation.accounts, self._app(call)
        grant = accounts.refresh(app, call.required("refresh_token"))
        if grant is None:
            raise Refusal(15, "isv.invalid-parameter:refresh_token", "refresh_token 无效或不允许刷新")
        return {"token_result": orjson.dumps(token_body(grant, accounts.shops[grant.shop])).decode()}

    @staticmethod
    def _app(call: Call) -> App:
        if call.app is None:
            raise Refusal(28)
        return call.app


def _checked_item_fields(call: Call) -> str:
    fields = call.required("fields")
    answers.split_fields(fields, answers.ITEM_FIELDS, "sku", answers.SKU_FIELDS_IN_ITEM)
    return fields


def _item_answer(world: World, item: Item, fields: str) -> Any:
    return answers.item_answer(item, world.shops[item.shop], fields, answers.ITEM_FIELDS, answers.SKU_FIELDS_IN_ITEM)


def _variants(item: Item) -> Iterable[Row]:
    return item.rows if item.has_variants else ()


def _refusal_of(rule: Fault) -> Refusal:
    """The error answer of a fault rule; for code 7 with a number of seconds it names the wait as the platform does."""
    sub_msg = rule.sub_msg or (ban_text(int(rule.seconds)) if rule.code == 7 and rule.seconds is not None else "")
    refusal = Refusal(rule.code or 15, rule.sub_code or "", sub_msg)
    refusal.msg = rule.msg or MESSAGES.get(refusal.code, refusal.msg)
    return refusal


def _xml_response(answer: dict[str, Any]) -> Response:
    body = '<?xml version="1.0" encoding="utf-8" ?>' + "".join(_xml(name, value) for name, value in answer.items())
    return Response(200, body.encode(), "text/xml;charset=UTF-8")


def _xml(name: str, value: Any) -> str:
    if isinstance(value, list):
        return "".join(_xml(name, inner) for inner in value)
    if isinstance(value, dict):
        attribute = ' list="true"' if any(isinstance(inner, list) for inner in value.values()) else ""
        return f"<{name}{attribute}>{''.join(_xml(key, inner) for key, inner in value.items())}</{name}>"
    if isinstance(value, bool):
        value = "true" if value else "false"
    return f"<{name}>{escape(str(value))}</{name}>"
