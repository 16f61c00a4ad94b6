"""Real processes as tests see them: who is in a process group, and waiting for something to become true."""

import os
import time
from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def members(group: int) -> list[int]:
    """The living processes of a process group; a zombie is not one."""
    return [pid for pid, (_parent, pgid) in _table().items() if pgid == group]


def family(pid: int) -> set[int]:
    """A process and all its living descendants."""
    table = _table()
    found, size = {pid} & table.keys(), -1
    while size != len(found):
        size = len(found)
        found |= {child for child, (parent, _pgid) in table.items() if parent in found}
    return found


def find(pids: set[int], argument: str) -> int:
    """The one of these processes that has this argument on its command line, and the parent of which has not."""
    table = _table()
    having = {
        pid
        for pid in pids & table.keys()
        if argument.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    }
    (found,) = [pid for pid in having if table[pid][0] not in having]
    return found


def alive(pids: set[int]) -> set[int]:
    return pids & _table().keys()


def _table() -> dict[int, tuple[int, int]]:
    """Living process -> (parent, process group)."""
    table = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                text = (Path(entry.path) / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            state, parent, group = text.rpartition(")")[2].split()[:3]
            if state not in "ZX":
                table[int(entry.name)] = (int(parent), int(group))
    return table


def wait_for(condition: Callable[[], object], *, seconds: float, said: Callable[[], str] = str) -> None:
    """Return as soon as the condition holds; after the time is up, fail with what `said` returns."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"did not happen within {seconds} s\n{said()}"
        time.sleep(0.1)
