"""`.../batch`: many creations, changes and deletions in one call, each with its own outcome."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from integrations.simulator.woocommerce.calls import Answer, Call, CutOff
from integrations.simulator.woocommerce.errors import Refusal
from integrations.simulator.woocommerce.parameters import Parameter, Schema, check
from integrations.simulator.world import World

SCHEMA = {"create": Parameter("objects"), "update": Parameter("objects"), "delete": Parameter("ids")}
Deed = Callable[[World, Call], Answer]


def run(world: World, call: Call, *, schema: Schema, create: Deed | None, update: Deed, delete: Deed) -> Answer:
    """The outcomes in the order asked, per list. Nothing is undone when one fails; deletions are forced."""
    lists = call.checked
    count = sum(len(lists.get(name, ())) for name in SCHEMA)
    limit = call.site.batch_limit
    if count > limit:
        message = f"Unable to accept more than {limit} items for this request."
        raise Refusal("woocommerce_rest_request_entity_too_large", message, 413)
    answer: dict[str, list[dict[str, Any]]] = {}
    done = 0
    for name, deed in (("create", create), ("update", update), ("delete", delete)):
        for entry in lists.get(name, ()):
            if call.most_rows is not None and done >= call.most_rows:
                raise CutOff
            done += 1
            sent = {"id": entry, "force": True} if name == "delete" else entry
            one = replace(call, sent=sent, path_ids={**call.path_ids, "id": 0})
            try:
                if deed is None:
                    raise Refusal("woocommerce_rest_cannot_create", "Sorry, this resource cannot be created.", 400)
                one.checked = check(schema, sent) if name != "delete" else {"force": True}
                answer.setdefault(name, []).append(deed(world, one).value)
            except Refusal as refused:
                id = 0 if name == "create" else sent.get("id", 0)
                answer.setdefault(name, []).append({"id": id, "error": refused.to_json()})
    if call.most_rows is not None:
        raise CutOff
    return Answer(answer or [])  # as PHP writes what holds nothing
