"""Takes one guard after another out of a copy of the sources, and shows that the tests notice.

    python -m tests.convergence.mutations [NAME ...]

Prints a line for each: what was taken out, how many of the first fault schedules fail then and which seeds, and which
of the guard's own tests. The exit code is 1 when nothing failed without a guard, and 2 when something fails with all of
them.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.processes import PROJECT

COPIED = ("catalog", "config", "integrations", "monitoring", "templates", "tests", "pyproject.toml", "manage.py")
SCHEDULES = 20
_SYNCING = "tests/integrations/syncing"
_PUSHING = f"{_SYNCING}/test_pushing.py"


@dataclass(frozen=True)
class Mutation:
    """One guard: where it stands, and what is there without it. The text is found once, or this is out of date."""

    name: str
    path: str
    guard: str
    without: str
    tests: tuple[str, ...]  # of the guard, besides the schedules

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
        "due = rows.filter(due_at__lte=now, lease_token__isnull=True)",
        "due = rows.filter(Q(due_at__lte=now) | Q(lease_token__isnull=False))",
        (f"{_PUSHING}::test_two_runners_never_have_the_same_row",),
    ),
    Mutation(
        "read-back",
        "integrations/syncing/rows.py",
        "    if result.shown == row.wanted:\n        return _in_sync(row)\n",
        "    if True:\n        return _in_sync(row._replace(confirmed=row.wanted))\n",
        (_PUSHING,),
    ),
    Mutation(
        "compare-and-set",
        "integrations/connectors/shopify/stock.py",
        '"changeFromQuantity": target.expected,',
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
        (f"{_SYNCING}/test_doubts.py",),
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


@dataclass(frozen=True)
class Noticed:
    """What fails."""

    seeds: tuple[int, ...]
    tests: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.seeds or self.tests)


def without(mutation: Mutation, schedules: int) -> Noticed:
    """Which of so many schedules, and which tests of the guard, fail without it."""
    with tempfile.TemporaryDirectory(prefix="evenshelf-mutation-") as folder:
        root = Path(folder)
        copy_to(root)
        mutation.take_out(root)
        soak = ("tests.convergence.soak", "--jobs", "1", "--schedules", str(schedules))
        told = _run(root, *soak) if schedules else ""
        failed = re.search(r"^Failed seeds: (.+)$", told, re.MULTILINE)
        seeds = tuple(map(int, failed[1].split(", "))) if failed else ()
        told = _run(root, "pytest", "-q", "-n0", "--no-header", "--tb=no", *mutation.tests)
        return Noticed(seeds, tuple(re.findall(r"^FAILED \S+::(\S+)", told, re.MULTILINE)))


def _run(root: Path, *module: str) -> str:
    """What it prints; raises RuntimeError where it did not come to its end, since then nothing is shown."""
    done = subprocess.run(
        [sys.executable, "-m", *module],
        cwd=root,
        env={**os.environ, "DATABASE_URL": "sqlite:///var/tests.sqlite3", "VAR_DIR": str(root / "var")},
        capture_output=True,
        text=True,
        check=False,
    )
    told_failures = re.search(r"^(FAILED |Failed seeds: )", done.stdout, re.MULTILINE)
    if done.returncode != 0 and not told_failures:
        raise RuntimeError(f"{' '.join(module)} could not be run\n{done.stdout}{done.stderr}")
    return done.stdout


def _line(name: str, noticed: Noticed, schedules: int) -> str:
    seeds = f"{len(noticed.seeds)} of {schedules}"
    if noticed.seeds:
        seeds += f": {', '.join(map(str, noticed.seeds[:_NAMED]))}{', …' * (len(noticed.seeds) > _NAMED)}"
    tests = f"{len(noticed.tests)}: `{noticed.tests[0]}`" if noticed.tests else "none"
    return f"| {name} | {seeds} | {tests} |\n"


_NAMED = 6  # seeds; the others can be counted


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=", ".join(mutation.name for mutation in MUTATIONS))
    parser.add_argument("--schedules", type=int, default=SCHEDULES, help="that are run besides the guard's tests")
    options = parser.parse_args(arguments)
    names = options.names
    chosen = [mutation for mutation in MUTATIONS if not names or mutation.name in names]
    if len(chosen) < len(names):
        parser.error(f"one of {', '.join(mutation.name for mutation in MUTATIONS)}")
    with_all = without(_control(chosen), options.schedules)
    if with_all:
        sys.stdout.write(f"Nothing can be shown; with every guard in its place fail: {with_all}\n")
        return 2
    survived = 0
    sys.stdout.write("| taken out | schedules that fail | tests of the guard that fail |\n|---|---|---|\n")
    for mutation in chosen:
        noticed = without(mutation, options.schedules)
        survived += not noticed
        sys.stdout.write(_line(mutation.name, noticed, options.schedules))
        sys.stdout.flush()
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
