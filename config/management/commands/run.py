"""`manage.py run`: the whole product on this machine, for `make run`: simulator, demo world, web, worker."""

import hashlib
import io
import os
import shutil
import signal
import socket
import sys
import threading
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import requests
from django import db
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from catalog.models import User
from config.processes import Child, stop_all

HOST = "127.0.0.1"
START_SECONDS = 30.0
# More than the worker takes to stop its own clusters, so that nothing it started is left.
STOP_SECONDS = settings.WORK_STOP_SECONDS + 5.0


class Stopped(Exception):
    """Somebody asked us to stop."""


class ChildEnded(Exception):
    """A process that should go on has ended."""

    def __init__(self, child: Child) -> None:
        super().__init__(child.name)
        self.child = child


class Command(BaseCommand):
    help = (
        "Run everything on this machine: simulator, demo world (once), web server and worker. Ctrl-C stops all of it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=os.environ.get("PORT", "8000"), help="of the web server")
        parser.add_argument(
            "--simulator-port", type=int, default=os.environ.get("SIMULATOR_PORT", "8900"), help="of the simulator"
        )
        parser.add_argument("--listings", type=int, default=200, help="in a new simulator's world")
        parser.add_argument("--small", action="store_true", help="a small demo world with a week of history")

    def handle(self, *args: Any, port: int, simulator_port: int, listings: int, small: bool, **options: Any) -> None:
        self._asked = threading.Event()
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, self._ask)
        self._children: list[Child] = []
        self._address = f"http://{HOST}:{port}"
        simulator_address = f"http://{HOST}:{simulator_port}"
        self._env = {
            "SITE_URL": os.environ.get("SITE_URL", self._address),
            "SIMULATOR_URL": simulator_address,
            # Its robots stand in for those of the platforms, so messages may go there.
            "ALLOWED_PRIVATE_HOSTS": ",".join([*settings.ALLOWED_PRIVATE_HOSTS, f"{HOST}:{simulator_port}"]),
            "PYTHONUNBUFFERED": "1",
        }
        for name, taken in (("PORT", port), ("SIMULATOR_PORT", simulator_port)):
            self._check_free(name, taken)
        try:
            self._prepare()
            self._start_simulator(simulator_port, simulator_address, listings)
            self._load_demo(small)
            self._start_site(port)
            self._say_where()
            self._watch()
        except Stopped:
            self.stdout.write("\nStopping ...")
        except ChildEnded as error:
            self._stop()
            lines = "\n".join(f"    {line}" for line in error.child.last_lines())
            where = f" Its last lines, from {error.child.log}:\n{lines}" if lines else ""
            raise CommandError(f"{error.child.name} ended (exit code {error.child.exit_code}).{where}") from None
        finally:
            self._stop()
        self.stdout.write("Everything has stopped. The data is kept; start again with the same command.")

    def _ask(self, signum: int, frame: FrameType | None) -> None:
        self._asked.set()

    def _check_free(self, name: str, port: int) -> None:
        with socket.socket() as probe:
            # As servers do, so that connections of a moment ago that are still closing do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except (OSError, OverflowError) as error:
                raise CommandError(
                    f"{name} {port} cannot be used ({getattr(error, 'strerror', None) or error}). Is Evenshelf running "
                    f"already? Stop what uses the port, or choose another one: make run {name}={port + 1}"
                ) from None

    # Steps

    def _prepare(self) -> None:
        """Bring the database, the cache table, the static files and the schedules up to this version."""
        settings.VAR_DIR.mkdir(exist_ok=True)
        self.stdout.write("Preparing the database and static files ...")
        call_command("migrate", verbosity=0, interactive=False)
        call_command("createcachetable", verbosity=0)
        fingerprint = _static_fingerprint()
        stamp = Path(settings.STATIC_ROOT) / ".fingerprint"
        if not stamp.exists() or stamp.read_text() != fingerprint:
            shutil.rmtree(settings.STATIC_ROOT, ignore_errors=True)
            call_command("collectstatic", verbosity=0, interactive=False)
            stamp.write_text(fingerprint)
        call_command("sync_schedules", stdout=io.StringIO())

    def _start_simulator(self, port: int, address: str, listings: int) -> None:
        state = settings.VAR_DIR / "simulator.json"
        arguments = [
            "simulator",
            "--port",
            str(port),
            "--state",
            str(state),
            "--seed",
            "7",
            "--listings",
            str(listings),
        ]
        simulator = self._start("simulator", self._manage(*arguments))
        self._wait_for(f"{address}/_simulator/clock", simulator)

    def _load_demo(self, small: bool) -> None:
        db.connection.close()  # the next steps run in other processes
        demo = Child("demo", self._manage("demo", "--once", *(["--small"] if small else [])), env=self._env)
        self._children.append(demo)
        demo.start()
        while demo.is_running:
            self._pause()
        self._children.remove(demo)
        if demo.exit_code:
            raise CommandError("The demo world could not be loaded; what was wrong stands above.")

    def _start_site(self, port: int) -> None:
        gunicorn = [sys.executable, "-m", "gunicorn", "config.wsgi", "--bind", f"{HOST}:{port}"]
        workers = ["--worker-class", "gthread", "--workers", "1", "--threads", "8", "--graceful-timeout", "3"]
        web = self._start("web", [*gunicorn, *workers, "--chdir", str(settings.BASE_DIR), "--no-control-socket"])
        self._start("worker", self._manage("work"), lifeline=True)
        self._wait_for(f"{self._address}/healthz", web)

    def _say_where(self) -> None:
        self.stdout.write(f"\nEvenshelf is running: {self._env['SITE_URL']}/")
        for role, name, password in (
            ("staff", "owner", settings.DEMO_STAFF_PASSWORD),
            ("manager", "manager", settings.DEMO_MANAGER_PASSWORD),
        ):
            user = User.objects.filter(username=name).first()
            if user is not None and password and user.check_password(password):
                self.stdout.write(f"  {role + ' login:':<15} {name:<8} {password}")
        db.connection.close()
        self.stdout.write(f"Logs are in {settings.VAR_DIR / 'log'}. Press Ctrl-C to stop.")
        self.stdout.flush()

    def _watch(self) -> None:
        while True:
            self._pause()

    # Processes

    def _manage(self, *arguments: str) -> list[str]:
        return [sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments]

    def _start(self, name: str, command: Sequence[str], *, lifeline: bool = False) -> Child:
        log = settings.VAR_DIR / "log" / f"{name}.log"
        child = Child(name, command, env=self._env, log=log, lifeline=lifeline)
        child.start()
        self._children.append(child)
        return child

    def _wait_for(self, url: str, child: Child) -> None:
        """Until the address answers well. Raises ChildEnded when its process does not live that long."""
        deadline = time.monotonic() + START_SECONDS
        with requests.Session() as session:
            session.trust_env = False  # a proxy of the environment has no way to this machine
            while True:
                try:
                    if session.get(url, timeout=5).ok:
                        return
                except requests.RequestException:
                    pass
                if time.monotonic() > deadline:
                    child.kill_group()
                    raise ChildEnded(child)
                self._pause(0.1)

    def _pause(self, seconds: float = 0.5) -> None:
        """Wait a little. Raises Stopped when we were asked to, ChildEnded when a process that should go on is gone."""
        if self._asked.wait(seconds):
            raise Stopped
        for child in self._children:
            if not child.is_running and child.log is not None:
                raise ChildEnded(child)

    def _stop(self) -> None:
        stop_all(self._children, grace_seconds=STOP_SECONDS)
        self._children = []


def _static_fingerprint() -> str:
    """A digest that changes with every file that collectstatic would collect."""
    digest = hashlib.sha256()
    for finder in get_finders():
        for name, storage in finder.list([]):
            status = os.stat(storage.path(name))
            digest.update(f"{name}:{status.st_size}:{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
