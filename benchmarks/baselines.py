"""The other sides of the benchmarks: the bare limit (as fast as the protocol allows) and the naive monitor."""

import json
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import requests

Row = tuple[int, datetime, Decimal, int, str]


def bare_fetch(
    address: str, item_ids: Sequence[int], *, threads: int, batch: int, store: Callable[[list[Row]], None]
) -> int:
    """Batches over one session per thread, parsed rows straight into `store` in one go; returns the rows."""
    local = threading.local()

    def read(ids: Sequence[int]) -> list[Row]:
        session = getattr(local, "session", None)
        if session is None:
            session = local.session = requests.Session()
            session.trust_env = False
        form = {
            "method": "taobao.items.seller.list.get",
            "num_iids": ",".join(map(str, ids)),
            "fields": "num_iid,price,num",
        }
        answer = orjson.loads(session.post(f"{address}/router/rest", data=form, timeout=20).content)
        at = datetime.now(UTC)
        return [
            (item["num_iid"], at, Decimal(item["price"]), item["num"], item["approve_status"])
            for item in answer["items_seller_list_get_response"]["items"]["item"]
        ]

    with ThreadPoolExecutor(threads) as pool:
        rows = [
            row
            for part in pool.map(read, [item_ids[start : start + batch] for start in range(0, len(item_ids), batch)])
            for row in part
        ]
    store(rows)
    return len(rows)


def one_by_one_monitor(address: str, item_ids: Sequence[int], database: Path) -> int:
    """For each listing: two GETs without a session, its own SQLite connection, upsert, two history rows, commit."""
    with sqlite3.connect(database) as connection:
        connection.executescript(
            "create table if not exists items (id integer primary key, title text, price real, stock integer);"
            "create table if not exists prices (id integer, at text, price real);"
            "create table if not exists stocks (id integer, at text, stock integer);"
        )
    connection.close()
    for item_id in item_ids:
        found: dict[str, Any] = json.loads(requests.get(f"{address}/item/{item_id}", timeout=20).text)
        stock: dict[str, Any] = json.loads(requests.get(f"{address}/stock/{item_id}", timeout=20).text)
        connection = sqlite3.connect(database)
        connection.execute(
            "insert into items values (?, ?, ?, ?)"
            " on conflict (id) do update set price = excluded.price, stock = excluded.stock",
            (item_id, found["title"], float(found["price"]), stock["num"]),
        )
        at = datetime.now(UTC).isoformat()
        connection.execute("insert into prices values (?, ?, ?)", (item_id, at, float(found["price"])))
        connection.execute("insert into stocks values (?, ?, ?)", (item_id, at, stock["num"]))
        connection.commit()
        connection.close()
    return len(item_ids)
