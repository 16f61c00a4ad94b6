"""What travels between the HTTP server and the handlers, and the table of paths."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit, urlunsplit

import orjson

JSON = "application/json;charset=UTF-8"
HTML = "text/html;charset=UTF-8"


@dataclass(slots=True)
class Request:
    """One HTTP request; header names are lower case, the query is still encoded."""

    verb: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    client: str = ""  # the address it came from


@dataclass(slots=True)
class Response:
    """One HTTP answer.

    A body that is an iterator is sent as it comes, without a length, and the connection closes after it.
    declared_length, when given, is sent in place of the true length of the body. drop closes the connection unanswered.
    """

    status: int = 200
    body: bytes | Iterator[bytes] = b""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    declared_length: int | None = None
    drop: bool = False


def json_response(value: object, status: int = 200) -> Response:
    return Response(status, orjson.dumps(value))


def redirect(address: str, answer: Mapping[str, object]) -> Response:
    """Send a browser on to an address, with the answer behind what is in its query already."""
    parts = urlsplit(address)
    query = "&".join(part for part in (parts.query, urlencode(answer)) if part)
    return Response(302, b"", HTML, {"Location": urlunsplit(parts._replace(query=query))})


Handler = Callable[[Request], Response]


class Router:
    """Finds the handler of a path: an exact one first, then the longest prefix."""

    def __init__(self) -> None:
        self._exact: dict[str, Handler] = {}
        self._prefixes: list[tuple[str, Handler]] = []

    def add(self, path: str, handler: Handler) -> None:
        """A path that ends in a slash stands for everything below it, but / only for itself."""
        if path.endswith("/") and path != "/":
            self._prefixes.append((path, handler))
            self._prefixes.sort(key=lambda entry: -len(entry[0]))
        else:
            self._exact[path] = handler

    def handle(self, request: Request) -> Response:
        handler = self._exact.get(request.path)
        if handler is None:
            handler = next((found for prefix, found in self._prefixes if request.path.startswith(prefix)), None)
        if handler is None:
            return json_response({"error": f"no platform answers at {request.path}"}, 404)
        return handler(request)
