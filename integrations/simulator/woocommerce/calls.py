"""One call of the REST API on its way through the shop, and what comes back."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

import orjson

from integrations.simulator.routing import JSON, Response
from integrations.simulator.woocommerce.parameters import Schema
from integrations.simulator.woocommerce.sites import Key, Site
from integrations.simulator.world import World

T = TypeVar("T")


@dataclass
class Call:
    """Who asks for what: the parameters of path, query and body together, once they are read and checked."""

    site: Site
    key: Key | None
    home: str  # the shop's address, without a slash at the end
    route: str  # below /wp-json/, as it was asked for
    query: Mapping[str, Any] = field(default_factory=dict)
    path_ids: Mapping[str, int] = field(default_factory=dict)
    sent: dict[str, Any] = field(default_factory=dict)
    checked: dict[str, Any] = field(default_factory=dict)
    named: bool = False  # the caller names a key of this shop, whether or not it is let in
    most_rows: int | None = None  # of a batch whose answer is lost half-way

    @property
    def base(self) -> str:
        """Where the REST API begins, with a slash at the end."""
        return f"{self.home}/wp-json/" if self.site.pretty_permalinks else f"{self.home}/index.php?rest_route=/"

    def id(self) -> int:
        """A body that names an id wins over the path, as in WordPress."""
        value = self.sent.get("id", self.path_ids.get("id", 0))
        return int(value) if str(value).isdigit() else 0


@dataclass
class Answer:
    value: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class CutOff(Exception):
    """The web server gave up on a batch of which a part is applied."""


@dataclass(frozen=True)
class Route:
    """A path (with its ids in braces), the verbs it takes, and what happens."""

    verbs: tuple[str, ...]
    path: str
    deed: str  # of errors.FORBIDDEN
    schema: Schema
    run: Callable[[World, Call], Answer]


READ = ("GET", "HEAD")
CREATE = ("POST",)
EDIT = ("POST", "PUT", "PATCH")
DELETE = ("DELETE",)


def response(call: Call | None, answer: Answer) -> Response:
    """The HTTP answer, cut down to the _fields that were asked for."""
    value = answer.value
    fields = call.query.get("_fields") if call is not None else None
    if isinstance(fields, str) and fields.strip(" ,"):
        names = [name.strip() for name in fields.split(",") if name.strip()]
        value = [only(entry, names) for entry in value] if isinstance(value, list) else only(value, names)
    return Response(answer.status, orjson.dumps(value), JSON, dict(answer.headers))


def only(entry: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The named fields of an object; `a.b` is b of the object a."""
    found: dict[str, Any] = {}
    for name in names:
        place, target, keys = entry, found, name.split(".")
        for key in keys[:-1]:
            inner = place.get(key)
            if not isinstance(inner, dict):
                break
            place, target = inner, target.setdefault(key, {})
        else:
            if keys[-1] in place:
                target[keys[-1]] = place[keys[-1]]
    return found


def wanted(call: Call, fields: Mapping[str, Callable[[T], Any]]) -> Mapping[str, Callable[[T], Any]]:
    """The fields worth computing for this call."""
    asked = call.query.get("_fields")
    if not isinstance(asked, str) or not asked.strip(" ,"):
        return fields
    names = {name.strip().partition(".")[0] for name in asked.split(",")}
    return {name: show for name, show in fields.items() if name in names}


def page(call: Call, found: Sequence[T], show: Callable[[T], dict[str, Any]]) -> Answer:
    """One page of what was found, with the totals and links of its headers. A page past the end is empty."""
    checked = call.checked
    size, number = checked["per_page"], checked["page"]
    start = checked["offset"] if "offset" in checked else (number - 1) * size
    pages = math.ceil(len(found) / size)
    headers = {"X-WP-Total": str(len(found)), "X-WP-TotalPages": str(pages)}
    links = []
    if number > 1:
        links.append(f'<{_address(call, min(number - 1, pages))}>; rel="prev"')
    if pages > number:
        links.append(f'<{_address(call, number + 1)}>; rel="next"')
    if links:
        headers["Link"] = ", ".join(links)
    return Answer([show(entry) for entry in found[start : start + size]], 200, headers)


def _address(call: Call, number: int) -> str:
    """The same list at another page, without what proves who asks."""
    query = {
        name: value
        for name, value in call.query.items()
        if isinstance(value, str) and not name.startswith(("oauth_", "consumer_")) and name != "rest_route"
    }
    query["page"] = str(number)
    separator = "?" if call.site.pretty_permalinks else "&"
    return f"{call.base}{call.route}{separator}{urlencode(query)}"


def created(call: Call, id: int, value: dict[str, Any]) -> Answer:
    return Answer(value, 201, {"Location": f"{call.base}{call.route}/{id}"})
