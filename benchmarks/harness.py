"""What every benchmark shares: a database of its own, three pairs in turn, and one JSON line."""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

FOLDER = Path(tempfile.mkdtemp(prefix="evenshelf-bench-"))


def set_up() -> str:
    """Django on an empty, migrated database; returns "sqlite" or "postgresql".

    The database is that of DATABASE_URL when `tests/with_postgres.py` started one, else a SQLite file of this run.
    """
    os.environ.setdefault("DATABASE_URL", f"sqlite:///{FOLDER / 'bench.sqlite3'}")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    os.environ.setdefault("LOG_LEVEL", "ERROR")

    import django
    from django.core.management import call_command
    from django.db import connection

    django.setup()
    call_command("migrate", verbosity=0)
    return connection.vendor


def timed(job: Callable[[], object]) -> float:
    """Seconds of wall time that the job takes."""
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


class Pairs(TypedDict):
    ratio: float
    ours_seconds: list[float]
    other_seconds: list[float]


def pairs(ours: Callable[[], float], other: Callable[[], float], *, count: int = 3) -> Pairs:
    """Both sides in turn, A B A B A B, each returning seconds; a median ratio (other / ours) of 2 is twice as fast."""
    taken = [(ours(), other()) for _pair in range(count)]
    return {
        "ratio": round(statistics.median(b / a for a, b in taken), 3),
        "ours_seconds": [round(a, 3) for a, _b in taken],
        "other_seconds": [round(b, 3) for _a, b in taken],
    }


def report(name: str, *, target: str, passed: bool, **figures: object) -> None:
    """Print one JSON line; the process ends with 1 when the target is missed."""
    print(json.dumps({"benchmark": name, "target": target, "passed": passed, **figures}), flush=True)
    if not passed:
        sys.exit(1)
