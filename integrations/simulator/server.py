"""The HTTP/1.1 server: one thread per connection, kept alive."""

import socket
import threading
import time
from email.utils import formatdate
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from socketserver import StreamRequestHandler
from typing import Any, cast

from integrations.simulator.routing import Request, Response, Router

MAX_LINE = 65_536
MAX_HEADERS = 100
MAX_BODY = 16 * 1024 * 1024
IDLE_SECONDS = 120
CONTROL = "/_simulator/"


class BadRequest(Exception):
    """Bytes that are no HTTP request we take; carries the status to answer with."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Connection(StreamRequestHandler):
    """One client's connection. The request is read here, line by line: the standard handler's e-mail parser is slow."""

    disable_nagle_algorithm = True
    timeout = IDLE_SECONDS
    wbufsize = 0

    def handle(self) -> None:
        server = cast("Server", self.server)
        try:
            while (request := self._read()) is not None:
                keep_alive = request.headers.get("connection", "").lower() != "close"
                if server.latency_seconds and not request.path.startswith(CONTROL):
                    time.sleep(server.latency_seconds)
                if not self._write(server.router.handle(request), keep_alive, head=request.verb == "HEAD"):
                    return
        except BadRequest as error:
            self._write(Response(error.status), keep_alive=False)
        except (ConnectionError, TimeoutError):
            return  # the client went away, or had nothing to say any more

    def _read(self) -> Request | None:
        """The next request; None when the client closed the connection."""
        line = self.rfile.readline(MAX_LINE)
        if not line:
            return None
        parts = line.decode("latin-1").split()
        if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
            raise BadRequest(400)
        verb, target, version = parts
        headers: dict[str, str] = {}
        while (line := self.rfile.readline(MAX_LINE)) not in (b"\r\n", b"\n"):
            name, separator, value = line.decode("latin-1").partition(":")
            if not separator or len(headers) >= MAX_HEADERS:
                raise BadRequest(400)
            headers[name.lower()] = value.strip()
        if version == "HTTP/1.0":
            headers.setdefault("connection", "close")
        if "transfer-encoding" in headers:
            raise BadRequest(411)
        length = headers.get("content-length", "0")
        if not length.isdigit():
            raise BadRequest(400)
        if int(length) > MAX_BODY:
            raise BadRequest(413)
        if headers.get("expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self.rfile.read(int(length)) if length != "0" else b""
        path, _, query = target.partition("?")
        return Request(verb, path, query, headers, body, self.client_address[0])

    def _write(self, response: Response, keep_alive: bool, *, head: bool = False) -> bool:
        """Send an answer; False when the connection is to be closed after it."""
        if response.drop:
            self.connection.shutdown(socket.SHUT_RDWR)
            return False
        body = response.body
        streamed = not isinstance(body, bytes)
        cut_short = response.declared_length is not None
        keep_alive = keep_alive and not streamed and not cut_short
        lines = [f"HTTP/1.1 {response.status} {_reason(response.status)}", f"Content-Type: {response.content_type}"]
        if isinstance(body, bytes):
            lines.append(f"Content-Length: {response.declared_length if cut_short else len(body)}")
        lines.append(f"Date: {formatdate(usegmt=True)}")
        lines.extend(f"{name}: {value}" for name, value in response.headers.items())
        lines.append("Connection: keep-alive" if keep_alive else "Connection: close")
        start = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        if isinstance(body, bytes):
            self.connection.sendall(start if head else start + body)
        else:
            self.connection.sendall(start)
            for chunk in body:
                self.connection.sendall(chunk)
        return keep_alive


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


class Server(ThreadingHTTPServer):
    """Listens as soon as it is made. Raises OSError when the address is taken."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, host: str, port: int, router: Router, latency_seconds: float = 0.0) -> None:
        self.router = router
        self.latency_seconds = latency_seconds
        super().__init__((host, port), Connection)

    def server_bind(self) -> None:
        # The inherited one looks up the host's name, which can take seconds on a machine without a resolver.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    @property
    def port(self) -> int:
        return int(cast("tuple[Any, ...]", self.server_address)[1])

    def start(self) -> threading.Thread:
        """Serve in a thread of its own."""
        thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.1}, name="simulator", daemon=True
        )
        thread.start()
        return thread
