"""A server that answers listing reads and stock writes after a fixed latency and costs next to no processor time.

    python -m benchmarks.canned_server --latency-ms 20

It prints its address, answers Taobao's batch read (POST /router/rest) for any ids, and one item or its stock
(GET /item/ID, /stock/ID) for the one-by-one monitor. POST /generation/N moves the price of every twentieth listing,
each generation another twentieth, so that a pass can meet 5 % of changes. POST /quota/APP_KEY/CALLS_PER_SECOND limits
one application's batch reads: what goes over is answered 429 with Retry-After. GET /calls tells how many of each
application were served and refused, since the quota was set.

Stock is written and read as at Shopify (POST to any .../graphql.json), of a shop for each access token that comes; a
quota may be set for a token as well. POST /shops/TOKEN with JSON sets what its Shop has, its faults above all, and
GET /shops/TOKEN tells its stock and its writes.
"""

import argparse
import asyncio
import json
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

from benchmarks.canned_shop import Shop

IDS = re.compile(rb"(?:^|[&\r\n])num_iids=([^&\s]+)")
APP_KEY = re.compile(rb"(?:^|[&\r\n])app_key=([^&\s]+)")
TOKEN = re.compile(rb"x-shopify-access-token: *([^\s]+)", re.IGNORECASE)
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


def price(item_id: int, generation: int) -> str:
    """Yuan; another one for a twentieth of the ids in each generation."""
    moved = sum(1 for step in range(1, generation + 1) if item_id % 20 == step % 20)
    return f"{100 + item_id % 100 + moved}.00"


def item(item_id: int, generation: int) -> dict[str, object]:
    return {
        "num_iid": item_id,
        "title": "canned",
        "price": price(item_id, generation),
        "num": 37,
        "approve_status": "onsale",
        "outer_id": f"C-{item_id}",
        "modified": "2026-11-21 10:00:03",
    }


def http(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json;charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@lru_cache(maxsize=20_000)
def batch_answer(ids: bytes, generation: int) -> bytes:
    items = [item(int(item_id), generation) for item_id in ids.replace(b"%2C", b",").split(b",")]
    answer = {"items_seller_list_get_response": {"items": {"item": items}, "request_id": "canned"}}
    return http(json.dumps(answer, separators=(",", ":")).encode())


ON_THE_WAY_SECONDS = 0.25  # by which one call can be later than the next, on a network and on a busy machine


@dataclass(slots=True)
class Quota:
    """A token bucket: in any w seconds no more than calls_per_second * w + size calls are served.

    One call of its size is what every window can begin with; the rest, a call at least, is for those late on their way.
    """

    calls_per_second: float
    calls: float = field(init=False)  # that could be served at `counted_at`
    counted_at: float = field(default_factory=time.monotonic)
    served: int = 0
    refused: int = 0

    def __post_init__(self) -> None:
        self.calls = self.size

    @property
    def size(self) -> float:
        return 1 + max(1, self.calls_per_second * ON_THE_WAY_SECONDS)

    def take(self) -> bool:
        now = time.monotonic()
        self.calls = min(self.size, self.calls + (now - self.counted_at) * self.calls_per_second)
        self.counted_at = now
        if self.calls < 1:
            self.refused += 1
            return False
        self.calls -= 1
        self.served += 1
        return True


OVER_QUOTA = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"


class CannedProtocol(asyncio.Protocol):
    """One connection; requests come one after the other, each answered after the latency."""

    generation = 0
    latency_seconds = 0.02
    quotas: ClassVar[dict[bytes, Quota]] = {}  # by app key or token
    shops: ClassVar[defaultdict[bytes, Shop]] = defaultdict(Shop)  # by token

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head_end = self.buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        length = LENGTH.search(self.buffer, 0, head_end)
        end = head_end + 4 + (int(length[1]) if length else 0)
        if len(self.buffer) < end:
            return
        request, self.buffer = self.buffer[:end], self.buffer[end:]
        answer = self.answer(request)
        if answer is not None:
            asyncio.get_running_loop().call_later(self.latency_seconds, self.send, answer)

    def send(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)

    def answer(self, request: bytes) -> bytes | None:
        path = request.split(b" ", 2)[1]
        if path.startswith(b"/generation/"):
            CannedProtocol.generation = int(path.rsplit(b"/", 1)[1])
            return http(b"{}")
        if path.startswith(b"/quota/"):
            app_key, calls_per_second = path.split(b"/")[2:]
            self.quotas[app_key] = Quota(float(calls_per_second))
            return http(b"{}")
        if path == b"/calls":
            counts = {key.decode(): [quota.served, quota.refused] for key, quota in self.quotas.items()}
            return http(json.dumps(counts).encode())
        if path.startswith((b"/item/", b"/stock/")):
            return http(json.dumps(item(int(path.rsplit(b"/", 1)[1]), self.generation)).encode())
        if path.startswith(b"/shops/"):
            return self.shop(path.rsplit(b"/", 1)[1], request.partition(b"\r\n\r\n")[2])
        if path.endswith(b"/graphql.json"):
            return self.stock(request)
        caller = APP_KEY.search(request) if self.quotas else None
        if caller and caller[1] in self.quotas and not self.quotas[caller[1]].take():
            return OVER_QUOTA
        ids = IDS.search(request)
        return (
            batch_answer(ids[1], self.generation)
            if ids
            else http(b'{"error_response":{"code":40,"msg":"no num_iids"}}')
        )

    def shop(self, token: bytes, changes: bytes) -> bytes:
        shop = self.shops[token]
        for name, value in json.loads(changes or b"{}").items():
            setattr(shop, name, value)
        return http(shop.told())

    def stock(self, request: bytes) -> bytes | None:
        head, _blank, body = request.partition(b"\r\n\r\n")
        found = TOKEN.search(head)
        token = found[1] if found else b""
        if token in self.quotas and not self.quotas[token].take():
            return OVER_QUOTA
        return self.shops[token].answer(body)


async def serve(latency_seconds: float) -> None:
    CannedProtocol.latency_seconds = latency_seconds
    server = await asyncio.get_running_loop().create_server(CannedProtocol, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


@contextmanager
def canned_server(latency_ms: int = 20) -> Iterator[str]:
    """The address of a server of its own process, which ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.canned_server", "--latency-ms", str(latency_ms)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(timeout=10)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency-ms", type=int, default=20)
    asyncio.run(serve(parser.parse_args().latency_ms / 1000))
