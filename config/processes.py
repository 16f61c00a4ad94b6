"""Subprocesses that are ended together with everything they started."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

_LIFELINE = "EVENSHELF_LIFELINE"
# How long the kernel may take to clear away what was killed.
_AFTER_KILL_SECONDS = 2.0


class Child:
    """One subprocess at the head of a process group of its own, so that a signal reaches its descendants too.

    Output goes to `log`, or to where ours goes when there is none. With `lifeline`, the program must call
    `end_with_parent`: its standard input is a pipe that closes when we are gone, however that came.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
        lifeline: bool = False,
    ) -> None:
        self.name = name
        self.log = log
        self._command = list(command)
        self._env = {**os.environ, **(env or {}), _LIFELINE: "1" if lifeline else ""}
        self._has_lifeline = lifeline
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        if self.log is None:
            self._process = self._spawn(None)
            return
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as output:
            self._process = self._spawn(output.fileno())

    def _spawn(self, output: int | None) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - the commands are our own
            self._command,
            env=self._env,
            stdin=subprocess.PIPE if self._has_lifeline else subprocess.DEVNULL,
            stdout=output,
            stderr=None if output is None else subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """None while it runs or before it was started; minus the signal's number when one ended it."""
        return None if self._process is None else self._process.poll()

    def ask_to_stop(self) -> None:
        """SIGTERM to the process itself, which is expected to stop its own children in order."""
        if self._process is not None and self.is_running:
            self._process.send_signal(signal.SIGTERM)

    def kill_group(self) -> None:
        """SIGKILL to the process and everything it started; nothing when nothing of it is left."""
        if self._process is None:
            return
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
            return
        if self._process.returncode is None:
            # One that waits for a device cannot die yet; it will as soon as it wakes.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=_AFTER_KILL_SECONDS)

    def last_lines(self, count: int = 15) -> list[str]:
        """The end of its log."""
        if self.log is None or not self.log.exists():
            return []
        with self.log.open(encoding="utf-8", errors="replace") as lines:
            return [line.rstrip() for line in deque(lines, maxlen=count)]


def end_with_parent(end: Callable[[], None]) -> None:
    """Call `end`, in a thread, when the process that started us with a lifeline is gone; nothing without a lifeline."""
    if not os.environ.get(_LIFELINE):
        return

    def wait() -> None:
        os.read(0, 1)  # nothing is ever written to it
        end()

    threading.Thread(target=wait, name="lifeline", daemon=True).start()


def stop_all(children: Iterable[Child], *, grace_seconds: float) -> None:
    """Ask all of them to stop at the same time, then kill what is left after the grace, descendants included."""
    started = [child for child in children if child.pid is not None]
    for child in started:
        child.ask_to_stop()
    deadline = time.monotonic() + grace_seconds
    while any(child.is_running for child in started) and time.monotonic() < deadline:
        time.sleep(0.05)
    for child in started:
        child.kill_group()
