"""The other sides of the benchmarks: the bare limits (as fast as the protocol allows), the naive monitor and sync."""

import json
import math
import sqlite3
import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import orjson
import requests

from benchmarks.canned_shop import FIRST_STOCK, LOCATION, VERSION

SET_STOCK = """
mutation EvenshelfSetStock($input: InventorySetQuantitiesInput!, $key: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup { changes { name delta item { id } location { id } } }
    userErrors { field message code }
  }
}
"""

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


def bare_push(
    address: str,
    quantities: Mapping[str, Sequence[int]],
    *,
    threads: int,
    batch: int,
    store: Callable[[list[tuple[str, int, int]]], None],
) -> int:
    """Each shop's figures, by token, in batches over one session per thread; what was answered to `store` in one go.

    A row is (token, its place in the figures, what it shows now). Nothing is compared, and nothing read back.
    """
    local = threading.local()

    def write(token: str, first: int, figures: Sequence[int]) -> list[tuple[str, int, int]]:
        session = getattr(local, "session", None)
        if session is None:
            session = local.session = requests.Session()
            session.trust_env = False
        body = orjson.dumps(_stock_write(first, figures))
        answer = orjson.loads(_write_to_shop(session.post, address, token, body))
        written = answer["data"]["inventorySetQuantities"]
        if written["userErrors"]:
            raise RuntimeError("the canned shop should refuse nothing")
        changes = written["inventoryAdjustmentGroup"]["changes"]
        changed = {int(change["item"]["id"].rpartition("/")[2]) - FIRST_STOCK for change in changes}
        return [(token, first + place, quantity) for place, quantity in enumerate(figures) if first + place in changed]

    parts = [
        (token, first, figures[first : first + batch])
        # In turn, as they would be sent to shops that all have limits of their own.
        for first in range(0, max(map(len, quantities.values())), batch)
        for token, figures in quantities.items()
    ]
    with ThreadPoolExecutor(threads) as pool:
        rows = [row for part in pool.map(lambda part: write(*part), parts) for row in part]
    store(rows)
    return len(rows)


def thread_pool_sync(
    address: str, quantities: Mapping[str, Sequence[int]], database: Path, *, with_sleeps: bool
) -> int:
    """Batches of 50 SKUs, ten threads, and a barrier after each; per SKU and shop a connection, a request without a
    session, a row of the log, and a sleep. A SKU that fails is tried again on every shop."""
    with sqlite3.connect(database) as connection:
        connection.executescript(
            "create table if not exists mappings (sku integer, shop text, item integer, primary key (sku, shop));"
            "create table if not exists log (sku integer, shop text, quantity integer, at text, result text);"
        )
        skus = range(max(map(len, quantities.values())))
        mappings = [(sku, token, sku) for sku in skus for token in quantities]
        connection.executemany("insert or replace into mappings values (?, ?, ?)", mappings)
    connection.close()

    def sync(sku: int) -> None:
        for attempt in range(3):
            try:
                for (token, figures), pause in zip(quantities.items(), (0.5, 0.2, 0.3), strict=True):
                    connection = sqlite3.connect(database, timeout=60)
                    found = connection.execute("select item from mappings where sku = ? and shop = ?", (sku, token))
                    body = json.dumps(_stock_write(found.fetchone()[0], [figures[sku]])).encode()
                    answer = json.loads(_write_to_shop(requests.post, address, token, body))
                    result = "failed" if answer["data"]["inventorySetQuantities"]["userErrors"] else "done"
                    at = datetime.now(UTC).isoformat()
                    connection.execute("insert into log values (?, ?, ?, ?, ?)", (sku, token, figures[sku], at, result))
                    connection.commit()
                    connection.close()
                    time.sleep(pause if with_sleeps else 0)
            except requests.RequestException:
                time.sleep(2**attempt)
            else:
                return

    for first in range(0, len(skus), 50):
        with ThreadPoolExecutor(10) as pool:
            list(pool.map(sync, skus[first : first + 50]))
        time.sleep(1 if with_sleeps else 0)
    return len(skus) * len(quantities)


def _stock_write(first: int, figures: Sequence[int]) -> dict[str, Any]:
    """What sets these figures, from a place on."""
    rows = [
        {
            "inventoryItemId": f"gid://shopify/InventoryItem/{FIRST_STOCK + first + place}",
            "locationId": f"gid://shopify/Location/{LOCATION}",
            "quantity": quantity,
            "changeFromQuantity": None,
        }
        for place, quantity in enumerate(figures)
    ]
    variables = {"key": str(uuid4()), "input": {"name": "available", "reason": "correction", "quantities": rows}}
    return {"query": SET_STOCK, "variables": variables}


def _write_to_shop(post: Callable[..., requests.Response], address: str, token: str, body: bytes) -> bytes:
    headers = {"Content-Type": "application/json", "X-Shopify-Access-Token": token}
    answer = post(f"{address}/admin/api/{VERSION}/graphql.json", data=body, headers=headers, timeout=20)
    answer.raise_for_status()
    return answer.content


def plain_coupon_loop(
    prices: Sequence[int], item: str, coupons: Sequence[Mapping[str, Any]], at: datetime
) -> list[int]:
    """For each price the coupons in their window and scope, then those it reaches; the largest value is taken off."""
    paid = []
    for price in prices:
        usable = [
            coupon
            for coupon in coupons
            if coupon["start"] <= at < coupon["end"] and (coupon["items"] is None or item in coupon["items"])
        ]
        reached = [coupon for coupon in usable if coupon["minimum"] <= price]
        best = max(reached, key=lambda coupon: coupon["value"], default=None)
        paid.append(price if best is None else max(0, price - best["value"]))
    return paid


def bare_coupons(
    prices: npt.NDArray[np.int64], minimums: npt.NDArray[np.int64], values: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """The same on arrays already in memory, by a table of steps, and nothing else; minimums ascend."""
    best = np.concatenate([[0], np.maximum.accumulate(values)])
    paid: npt.NDArray[np.int64] = np.maximum(prices - best[np.searchsorted(minimums, prices, "right")], 0)
    return paid


def per_sku_planning(
    days: Sequence[Sequence[float]], positions: Sequence[float], *, lead: int, review: int
) -> list[int]:
    """For each SKU the mean and deviation of its days, Z sqrt(L) s, and what is missing to the next total."""
    orders = []
    for sold, position in zip(days, positions, strict=True):
        demand, spread = statistics.mean(sold), statistics.stdev(sold)
        safety_stock = 1.65 * math.sqrt(lead) * spread
        orders.append(math.ceil(max(0, demand * (lead + review) + safety_stock - position)))
    return orders


def bare_planning(
    demand: npt.NDArray[np.float32], positions: npt.NDArray[np.float64], *, lead: int, review: int, chunk: int = 2_000
) -> npt.NDArray[np.float64]:
    """The same by arrays that hold nothing unknown, a chunk of SKUs at a time."""
    orders = np.empty(len(demand))
    for start in range(0, len(demand), chunk):
        rows = slice(start, start + chunk)
        mean, spread = demand[rows].mean(axis=1), demand[rows].std(axis=1, ddof=1)
        safety_stock = 1.65 * np.sqrt(lead) * spread
        orders[rows] = np.ceil(np.maximum(0, mean * (lead + review) + safety_stock - positions[rows]))
    return orders
