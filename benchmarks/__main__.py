"""Every benchmark, on SQLite and on a real PostgreSQL, or one of them on the database of DATABASE_URL.

python -m benchmarks            # all; exits with 1 when a target is missed
python -m benchmarks fetch      # one, on SQLite unless DATABASE_URL says otherwise
"""

import os
import subprocess
import sys
from importlib import import_module

from benchmarks.harness import set_up

BENCHMARKS = (
    *("fetch", "quotas", "second_pass", "thresholds", "memory", "pages", "api", "shopify"),
    "collision_scan",
    *("push", "push_quota", "push_faults", "push_changes", "push_dead", "sale_to_channels"),
    *("transfers", "forecast", "service_level", "plan"),
    *("bulk", "quotes"),
)


def run_one(name: str) -> None:
    database = set_up()
    # Only now: its models need Django.
    import_module(f"benchmarks.{name}").main(database)


def run_all() -> int:
    """How many targets were missed; each benchmark has a process and a database of its own."""
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    missed = 0
    for name in BENCHMARKS:
        command = [sys.executable, "-m", "benchmarks", name]
        for prefix in ([], [sys.executable, "tests/with_postgres.py"]):
            missed += subprocess.run([*prefix, *command], env=environment, check=False).returncode != 0
    return missed


if __name__ == "__main__":
    if len(sys.argv) == 1:
        sys.exit(1 if run_all() else 0)
    if sys.argv[1] not in BENCHMARKS:
        sys.exit(f"There is no benchmark {sys.argv[1]}; there are {', '.join(BENCHMARKS)}.")
    run_one(sys.argv[1])
