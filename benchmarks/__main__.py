"""Every benchmark, on SQLite and on a real PostgreSQL: one JSON line each.

python -m benchmarks
"""

import os
import subprocess
import sys

BENCHMARKS = ("fetch", "second_pass", "memory", "pages")


def main() -> int:
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    missed = 0
    for name in BENCHMARKS:
        command = [sys.executable, "-m", f"benchmarks.{name}"]
        for prefix in ([], [sys.executable, "tests/with_postgres.py"]):
            missed += subprocess.run([*prefix, *command], env=environment, check=False).returncode != 0
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
