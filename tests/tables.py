"""The tables of a test run: the first of its workers migrates, the others begin with a copy of what it made.

To migrate takes a worker as long as hundreds of tests.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from django.db import connection
from pytest_django.plugin import DjangoDbBlocker

TEMPLATE = "evenshelf_template"  # the copy, on a server of databases
MEMORY = "file:evenshelf_tests?mode=memory&cache=shared"


class Copy:
    """What the first worker made."""

    def __init__(self, folder: Path) -> None:
        """`folder` is of all the workers."""
        self._path = folder / "tables"  # on a server an empty file, which tells that there is a copy
        self._lock = folder / "tables.lock"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other worker is at it meanwhile."""
        with self._lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @property
    def is_made(self) -> bool:
        return self._path.exists()

    def put_in_place(self, until: ExitStack) -> None:
        """Where Django is going to set this worker's database up, so that it finds nothing to migrate."""
        if connection.vendor == "sqlite":
            # A database in memory is there as long as somebody is connected to it.
            connection.settings_dict["TEST"]["NAME"] = MEMORY
            memory = until.enter_context(closing(sqlite3.connect(MEMORY, uri=True)))
            with closing(sqlite3.connect(self._path)) as copy:
                copy.backup(memory)
        else:
            connection.settings_dict["TEST"]["TEMPLATE"] = TEMPLATE

    def make(self) -> None:
        """Of this worker's database, as it is."""
        if connection.vendor == "sqlite":
            connection.ensure_connection()
            with closing(sqlite3.connect(self._path)) as copy:
                connection.connection.backup(copy)
        else:
            self._execute(f"DROP DATABASE IF EXISTS {TEMPLATE}")
            self._execute(f"CREATE DATABASE {TEMPLATE} TEMPLATE {connection.settings_dict['NAME']}")
            self._path.touch()

    def remove(self) -> None:
        self._path.unlink()
        if connection.vendor != "sqlite":
            self._execute(f"DROP DATABASE {TEMPLATE}")

    def _execute(self, statement: str) -> None:
        connection.close()  # nobody may be connected to what is copied
        with connection._nodb_cursor() as cursor:
            cursor.execute(statement)


@pytest.fixture(scope="session")
def django_db_setup(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    django_db_modify_db_settings: None,  # the database's name is this worker's by then
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[None]:
    """As pytest-django has it, but for the migrations that another worker ran."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        request.getfixturevalue("django_db_setup")  # pytest-django's
        yield
        return
    copy = Copy(tmp_path_factory.getbasetemp().parent)
    with ExitStack() as until:
        with copy.alone():
            is_first = not copy.is_made
            if not is_first:
                copy.put_in_place(until)
            request.getfixturevalue("django_db_setup")
            if is_first:
                with django_db_blocker.unblock():
                    copy.make()
        yield
        if is_first:
            with copy.alone(), django_db_blocker.unblock():
                copy.remove()
