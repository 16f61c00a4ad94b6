"""Takes one guard after another out of a copy of the sources, and shows that the tests notice.

    python -m tests.convergence.mutations [NAME ...]

Prints a line for each: what was taken out, the first test or seed that failed, and after how many seconds. The exit
code is 1 when the tests passed without a guard, and 2 when they fail with all of them.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.processes import PROJECT

COPIED = ("catalog", "config", "integrations", "monitoring", "templates", "tests", "pyproject.toml", "manage.py")
SCHEDULES = "tests/convergence/test_schedules.py"
MOST_SCHEDULES = 30  # that are tried before the guard's own tests
_SYNCING = "tests/integrations/syncing"
_PUSHING = f"{_SYNCING}/test_pushing.py"


@dataclass(frozen=True)
class Mutation:
    """One guard: where it stands, and what is there without it. The text is found once, or this is out of date."""

    name: str
    path: str
    guard: str
    without: str
    tests: tuple[str, ...]  # besides the schedules, which are tried first

    def take_out(self, root: Path) -> None:
        """Raises ValueError where the sources have moved on."""
        file = root / self.path
        source = file.read_text()
        if source.count(self.guard) != 1:
            raise ValueError(f"{self.name}: found {source.count(self.guard)} times in {self.path}, not once")
        file.write_text(source.replace(self.guard, self.without))


MUTATIONS = (
    Mutation(
        "version guard",
        "integrations/syncing/pushing.py",
        'filter(pk__in=among(list(keys)), lease_token=token).order_by("pk")\n    columns',
        'filter(pk__in=among(list(keys))).order_by("pk")\n    columns',
        (_PUSHING,),
    ),
    Mutation(
        "dedup key",
        "catalog/stock/ledger.py",
        "                each.quantity,\n                each.key,\n",
        '                each.quantity,\n                f"{each.key} {now} {len(movements)} {id(each)}",\n',
        ("tests/catalog/stock/test_ledger.py",),
    ),
    Mutation(
        "lease",
        "integrations/syncing/pushing.py",
        "    return Q(lease_until__isnull=True) | Q(lease_until__lte=now)\n",
        "    return Q()\n",
        (f"{_PUSHING}::test_two_runners_never_have_the_same_row",),
    ),
    Mutation(
        "read-back",
        "integrations/syncing/rows.py",
        '            state=State.SENT,\n            cause="",\n',
        '            state=State.IN_SYNC,\n            confirmed=quantity,\n            cause="",\n',
        (_PUSHING,),
    ),
    Mutation(
        "compare-and-set",
        "integrations/connectors/shopify/stock.py",
        '"changeFromQuantity": row.target.expected,',
        '"changeFromQuantity": None,',
        ("tests/integrations/connectors/shopify/test_stock.py",),
    ),
    Mutation(
        "an interrupted row is read before it is sent",
        "integrations/syncing/pushing.py",
        '        confirmed=None,\n        state=State.FAILED,\n        cause="interrupted",\n',
        '        state=State.FAILED,\n        cause="interrupted",\n',
        (_PUSHING,),
    ),
    Mutation(
        "a sale of the shop's own is read back",
        "integrations/syncing/orders.py",
        "                dirty.doubt_listings(booked.moved, now=now)\n",
        "",
        (f"{_SYNCING}/test_orders.py",),
    ),
    Mutation(
        "older news of an order are ignored",
        "catalog/stock/booking.py",
        "if order.pk in new or _age(told[order.platform_order_id]) >= _age(order)]",
        "if order.pk]",
        ("tests/catalog/stock/test_booking.py",),
    ),
)


CONTROL = "nothing"


def _control(chosen: Sequence[Mutation]) -> Mutation:
    """Nothing is taken out: all the tests have to pass."""
    first = chosen[0]
    tests = dict.fromkeys(test for mutation in chosen for test in mutation.tests)
    return Mutation(CONTROL, first.path, first.guard, first.guard, tuple(tests))


def copy_to(root: Path) -> None:
    for name in COPIED:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        else:
            shutil.copy2(source, root / name)
    for name in ("static", "docs"):
        if (PROJECT / name).is_dir():
            (root / name).symlink_to(PROJECT / name)
    (root / "var").mkdir()


def without(mutation: Mutation, schedules: int) -> tuple[str, float]:
    """The first of so many schedules, or else the first test, that fails without the guard ("" when all pass), and
    after how many seconds."""
    with tempfile.TemporaryDirectory(prefix="evenshelf-mutation-") as folder:
        root = Path(folder)
        copy_to(root)
        mutation.take_out(root)
        started = time.monotonic()
        # A process of its own for each part, so that what the schedules find is told apart from what the tests do.
        for tests in ((SCHEDULES,), mutation.tests) if schedules else (mutation.tests,):
            done = subprocess.run(
                [sys.executable, "-m", "pytest", "-q", "-x", "-n0", "--no-header", "--tb=line", *tests],
                cwd=root,
                env={
                    **os.environ,
                    "DATABASE_URL": "sqlite:///var/tests.sqlite3",
                    "VAR_DIR": str(root / "var"),
                    "SCHEDULES": str(schedules),
                },
                capture_output=True,
                text=True,
                check=False,
            )
            found = re.search(r"^FAILED (\S+)", done.stdout, re.MULTILINE)
            if done.returncode == 1 and found:
                return found[1], time.monotonic() - started
            if done.returncode != 0:  # a test that could not begin shows nothing
                raise RuntimeError(f"{mutation.name}: the tests could not be run\n{done.stdout}{done.stderr}")
        return "", time.monotonic() - started


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=", ".join(mutation.name for mutation in MUTATIONS))
    parser.add_argument("--schedules", type=int, default=MOST_SCHEDULES, help="to be tried before the guard's tests")
    options = parser.parse_args(arguments)
    names = options.names
    chosen = [mutation for mutation in MUTATIONS if not names or mutation.name in names]
    if len(chosen) < len(names):
        parser.error(f"one of {', '.join(mutation.name for mutation in MUTATIONS)}")
    survived = 0
    sys.stdout.write("| taken out | fails first | seconds |\n|---|---|---|\n")
    for mutation in (_control(chosen), *chosen):
        test, seconds = without(mutation, options.schedules)
        if mutation.name == CONTROL:
            if test:
                sys.stdout.write(f"{test} fails with every guard in its place: nothing can be shown\n")
                return 2
            continue
        survived += not test
        sys.stdout.write(f"| {mutation.name} | {f'`{test}`' if test else 'NOTHING FAILED'} | {seconds:.0f} |\n")
        sys.stdout.flush()
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
