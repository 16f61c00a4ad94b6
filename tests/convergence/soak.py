"""Any number of fault schedules: `make soak SCHEDULES=10000 SEED=1`, or one of them once more.

Runs on a database of its own, in as many processes as JOBS. A seed that fails is told at once with its faults, and the
exit code is 1.
"""

import argparse
import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
os.environ["DATABASE_URL"] = "sqlite://:memory:"
PROGRESS_SECONDS = 10.0


def _begin(is_told: bool) -> None:
    """Each process has a database in its memory."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    if not is_told:
        logging.disable(logging.WARNING)  # errors are looked for by the schedules
        logging.getLogger().handlers.clear()
    connection.ensure_connection()
    call_command("migrate", verbosity=0)


def _one(seed: int) -> tuple[int, int, int, str]:
    """Seed, faults met, calls made, and what went wrong."""
    from django.db import transaction

    from tests.convergence.plan import schedule
    from tests.convergence.run import Diverged, check

    with transaction.atomic():
        try:
            run = check(schedule(seed))
        except Diverged as error:
            return seed, 0, 0, str(error)
        finally:
            transaction.set_rollback(True)
    return seed, len(run.met), run.wire.calls, ""


def _all(seeds: range, jobs: int, is_told: bool) -> Iterator[tuple[int, int, int, str]]:
    if jobs == 1:
        _begin(is_told)
        yield from map(_one, seeds)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs, initializer=_begin, initargs=(is_told,)) as pool:
        yield from pool.imap_unordered(_one, seeds)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--schedules", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args(arguments)
    seeds = range(options.seed, options.seed + options.schedules)
    jobs = min(options.jobs, len(seeds))
    started = told_at = time.monotonic()
    done = faults = calls = 0
    failed: list[int] = []
    for seed, met, made, story in _all(seeds, jobs, is_told=len(seeds) == 1):
        done, faults, calls = done + 1, faults + met, calls + made
        if story:
            failed.append(seed)
            sys.stdout.write(f"\n{story}\n")
        now = time.monotonic()
        if story or done == len(seeds) or now - told_at >= PROGRESS_SECONDS:
            told_at = now
            each = (now - started) / done
            line = f"{done} of {len(seeds)} schedules, {len(failed)} failed, {faults} faults, {calls} calls"
            sys.stdout.write(f"{line}; {now - started:.0f} s, {each:.2f} s each\n")
            sys.stdout.flush()
    if failed:
        sys.stdout.write(f"Failed seeds: {', '.join(map(str, sorted(failed)))}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
