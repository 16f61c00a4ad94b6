"""The methods of the message service."""

from typing import Any

from integrations.simulator.limits import LimitClock
from integrations.simulator.taobao.accounts import Accounts
from integrations.simulator.taobao.answers import china_time
from integrations.simulator.taobao.calls import Call, Method
from integrations.simulator.taobao.errors import invalid
from integrations.simulator.taobao.messages import DEFAULT_GROUP, TOPICS, MessageService
from integrations.simulator.world import World

MAX_CONFIRMED = 200
MIN_CONSUMED, MAX_CONSUMED, DEFAULT_CONSUMED = 10, 200, 100


class MessageMethods:
    def __init__(self, accounts: Accounts, clock: LimitClock) -> None:
        self._accounts, self._clock = accounts, clock
        self.methods = {
            "taobao.tmc.user.permit": Method(self._permit, "r1"),
            "taobao.tmc.group.add": Method(self._add_group, None),
            "taobao.tmc.messages.consume": Method(self._consume, None),
            "taobao.tmc.messages.confirm": Method(self._confirm, None),
        }

    @property
    def _service(self) -> MessageService:
        self._accounts.version += 1
        return self._accounts.messages

    def _permit(self, world: World, call: Call) -> dict[str, Any]:
        asked = call.optional("topics")
        topics = list(TOPICS) if asked is None else [topic.strip() for topic in asked.split(",")]
        if not set(topics) <= set(TOPICS):
            raise invalid("topics", "主题未订阅")
        self._service.permit(world, _app_key(call), call.shop, topics)
        return {"is_success": True}

    def _add_group(self, world: World, call: Call) -> dict[str, Any]:
        name, nicks = call.required("group_name"), call.required("nicks").split(",")
        own = {shop.nick for shop in world.shops.values() if shop.own}
        if not set(nicks) <= own:
            raise invalid("nicks")
        groups = self._service.groups.setdefault(_app_key(call), {})
        for members in groups.values():
            members[:] = [nick for nick in members if nick not in nicks]
        groups.setdefault(name, []).extend(nicks)
        return {"group_name": name, "created": china_time(world.now)}

    def _consume(self, world: World, call: Call) -> dict[str, Any]:
        quantity = call.whole("quantity", DEFAULT_CONSUMED, MIN_CONSUMED, MAX_CONSUMED)
        found = self._service.consume(world, _app_key(call), self._group(call), quantity, self._clock.now())
        if not found:
            return {}
        shown = [
            {
                "id": message.id,
                "topic": message.topic,
                "content": message.content,
                "pub_time": china_time(message.pub_time),
                "pub_app_key": "12497914",
                "user_id": world.shops[message.shop].user_id,
                "user_nick": world.shops[message.shop].nick,
            }
            for message in found
        ]
        return {"messages": {"tmc_message": shown}}

    def _confirm(self, world: World, call: Call) -> dict[str, Any]:
        self._group(call)
        ids = call.required("s_message_ids").split(",")
        if len(ids) > MAX_CONFIRMED or not all(part.isascii() and part.isdigit() for part in ids):
            raise invalid("s_message_ids")
        self._service.confirm(_app_key(call), {int(part) for part in ids})
        return {"is_success": True}

    def _group(self, call: Call) -> str:
        name = call.optional("group_name") or DEFAULT_GROUP
        if name != DEFAULT_GROUP and name not in self._accounts.messages.groups.get(_app_key(call), {}):
            raise invalid("group_name", "分组不存在")
        return name


def _app_key(call: Call) -> str:
    return call.parameters["app_key"]
