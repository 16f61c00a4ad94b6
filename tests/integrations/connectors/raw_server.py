"""A server that answers each request with whatever bytes a test wants, and remembers what it was sent."""

import socket
import threading
from collections.abc import Callable
from typing import Self
from urllib.parse import parse_qsl

import orjson

Handler = Callable[[socket.socket], None]


def answer(body: bytes = b"{}", status: str = "200 OK", **headers: str) -> Handler:
    """A well-formed HTTP answer; header names are written with underscores."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return raw("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)


def answer_json(value: object, status: str = "200 OK") -> Handler:
    return answer(orjson.dumps(value), status, Content_Type="application/json")


def raw(content: bytes) -> Handler:
    return lambda connection: connection.sendall(content)


class RawServer:
    """Takes one handler per request, in order; the last one stays. Connections are kept open while handlers allow."""

    def __init__(self, *handlers: Handler) -> None:
        self.handlers = list(handlers)
        self.heads: list[str] = []
        self.forms: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.connections = 0
        self.stopped = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stopped.set()
        for thread in self._threads:
            thread.join(timeout=5)
        self._listener.close()

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            self.connections += 1
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(0.05)
            try:
                while (form := self._request(connection)) is not None:
                    with self._lock:
                        self.forms.append(form)
                        handler = self.handlers.pop(0) if len(self.handlers) > 1 else self.handlers[0]
                    connection.settimeout(5)
                    handler(connection)
                    connection.settimeout(0.05)
            except OSError:
                return  # the client had enough, which is what some tests are about

    def _request(self, connection: socket.socket) -> dict[str, str] | None:
        received = b""
        while True:
            head, separator, body = received.partition(b"\r\n\r\n")
            length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")), 0)
            if separator and len(body) >= length:
                self.heads.append(head.decode("latin-1"))
                self.bodies.append(body)
                return dict(parse_qsl(body.decode(), keep_blank_values=True))
            try:
                piece = connection.recv(65536)
            except TimeoutError:
                if self.stopped.is_set():
                    return None
                continue
            if not piece:
                return None
            received += piece
