"""Real processes at the database of a test, which may be killed: `start_worker` starts them.

They are forked from a process that has loaded Django already, so that each is there at once.
"""

import multiprocessing
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.worker_process"])


class Worker:
    """A process that does one job."""

    def __init__(self, process: BaseProcess, answer: Connection) -> None:
        self._process = process
        self._answer = answer

    @property
    def is_running(self) -> bool:
        return self._process.is_alive()

    def result(self, *, seconds: float = 60) -> Any:
        """What its job returned; fails when it raised, or is not done by then."""
        assert self._answer.poll(seconds), f"not done within {seconds} s"
        try:
            answer = self._answer.recv()
        except EOFError:
            pytest.fail("the worker ended without an answer")
        self._process.join()
        return answer

    def kill(self) -> None:
        self._process.kill()
        self._process.join()
        self._answer.close()


@pytest.fixture
def shared_database(transactional_db: None, tmp_path: Path) -> str:
    """The name under which other processes find the tables of the test, which are empty.

    On SQLite they are a copy: the test itself sees nothing of what is written there, and asks a worker.
    """
    if connection.vendor != "sqlite":
        return str(connection.settings_dict["NAME"])
    path = tmp_path / "workers.sqlite3"
    connection.ensure_connection()
    with closing(sqlite3.connect(path)) as copy:
        connection.connection.backup(copy)
    return str(path)


@pytest.fixture
def start_worker(shared_database: str) -> Iterator[Callable[..., Worker]]:
    """Starts a worker for a job: a function that a module of tests has, with its arguments and a shift of its times.

    Those that still run at the end are killed.
    """
    started = []

    def start(job: Callable[..., Any], *arguments: Any, shift: float = 0) -> Worker:
        from tests.worker_process import work

        answer, told = FORKS.Pipe(duplex=False)
        process = FORKS.Process(target=work, args=(told, shared_database, shift, job, arguments))
        process.start()
        told.close()
        worker = Worker(process, answer)
        started.append(worker)
        return worker

    yield start
    for worker in started:
        worker.kill()
