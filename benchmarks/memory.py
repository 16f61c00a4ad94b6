"""Resident memory of a worker's process from pass 20 to pass 200 over 2,000 listings.

python -m benchmarks memory
"""

import os
from pathlib import Path

from benchmarks import shop
from benchmarks.canned_server import canned_server
from benchmarks.harness import report

LISTINGS = 2_000
FIRST, LAST = 20, 200


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main(database: str) -> None:
    at: dict[int, int] = {}
    with canned_server(latency_ms=1) as address:
        shop.fill(address, listings=LISTINGS)
        for number in range(1, LAST + 1):
            shop.make_due()
            shop.set_generation(address, number)
            shop.fetch_all()
            if number in (FIRST, LAST):
                at[number] = resident_bytes()
    growth = at[LAST] / at[FIRST] - 1
    report(
        "worker memory from pass 20 to 200",
        target="at most 5 % more",
        passed=growth <= 0.05,
        database=database,
        growth_percent=round(growth * 100, 2),
        megabytes=[round(size / 1_000_000, 1) for size in at.values()],
    )
