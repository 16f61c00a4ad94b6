"""`manage.py run` with all its processes, in a folder and on ports of their own."""

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import closing

import pytest
import requests

from tests.processes import PROJECT, alive, family, find, wait_for

pytestmark = pytest.mark.pure


def free_port():
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Run:
    """The product on this machine; `start` waits until it says that it runs."""

    def __init__(self, folder):
        self.folder = folder
        self.log = folder / "run.log"
        self.port, self.simulator_port = free_port(), free_port()
        self.env = {
            **{name: value for name, value in os.environ.items() if name not in {"SITE_URL", "SIMULATOR_URL"}},
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "SECRET_KEY": "of-the-tests-only-" * 3,
            "CREDENTIAL_KEYS": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
            "DEMO_STAFF_PASSWORD": "staff-password",
            "DEMO_MANAGER_PASSWORD": "manager-password",
            "DATABASE_URL": f"sqlite:///{folder / 'run.sqlite3'}",
            "VAR_DIR": str(folder / "var"),
            "PORT": str(self.port),
            "SIMULATOR_PORT": str(self.simulator_port),
            "WORK_STOP_SECONDS": "3",
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def spawn(self):
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "manage.py", "run", "--small", "--listings", "40"],
                cwd=PROJECT,
                env=self.env,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def start(self):
        self.spawn()
        wait_for(lambda: "Press Ctrl-C" in self.said() or not self.is_running, seconds=300, said=self.said)
        assert self.is_running, self.said()

    def said(self):
        return self.log.read_text()

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def stop(self, signum=signal.SIGINT):
        self.process.send_signal(signum)
        return self.process.wait(timeout=60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Holds the data of the product from one test to the next, so that its demo world is loaded once."""
    return tmp_path_factory.mktemp("run")


@pytest.fixture
def run(folder):
    running = Run(folder)
    yield running
    if running.is_running:
        everyone = family(running.process.pid)
        running.process.kill()
        for pid in everyone:
            if alive({pid}):
                os.kill(pid, signal.SIGKILL)


def sign_in(run, user, password):
    session = requests.Session()
    token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', session.get(run.url("/login/"), timeout=60).text)
    assert token is not None
    form = {"username": user, "password": password, "csrfmiddlewaretoken": token[1], "next": "/"}
    answer = session.post(run.url("/login/"), data=form, headers={"Referer": run.url("/login/")}, timeout=60)
    return answer.status_code, answer.url


def test_it_comes_up_with_the_demo_world_stops_without_leftovers_and_comes_up_again_with_its_data(run):
    run.start()
    assert "staff login:    owner    staff-password" in run.said()
    assert sign_in(run, "owner", "staff-password") == (200, run.url("/"))
    assert sign_in(run, "manager", "manager-password") == (200, run.url("/"))
    wait_for(lambda: requests.get(run.url("/readyz"), timeout=60).ok, seconds=60, said=run.said)
    everyone = family(run.process.pid)
    assert (
        len(everyone) >= 10
    )  # itself, simulator, web and its worker, the watchdog and its two clusters of several each
    assert run.stop() == 0, run.said()
    assert alive(everyone) == set()

    run.start()
    assert "Loading the demo world" not in run.said()
    assert sign_in(run, "owner", "staff-password") == (200, run.url("/"))
    everyone = family(run.process.pid)
    assert run.stop(signal.SIGTERM) == 0, run.said()
    assert alive(everyone) == set()


@pytest.mark.parametrize(
    ("argument", "name", "last_line"),
    [
        pytest.param("simulator", "simulator", "Simulator on http://127.0.0.1:", id="simulator"),
        pytest.param("work", "worker", "cluster interactive started", id="worker, whose clusters go with it"),
    ],
)
def test_a_process_that_ends_is_named_with_its_last_lines_and_the_rest_is_stopped(run, argument, name, last_line):
    run.start()
    log = run.folder / "var" / "log" / f"{name}.log"
    wait_for(lambda: last_line in log.read_text(), seconds=60, said=run.said)
    everyone = family(run.process.pid)
    os.kill(find(everyone, argument), signal.SIGKILL)
    assert run.process.wait(timeout=60) == 1
    assert f"{name} ended (exit code -9). Its last lines, from" in run.said()
    assert last_line in run.said()
    # What a killed worker had started ends by itself, as soon as it notices.
    wait_for(lambda: not alive(everyone), seconds=60, said=lambda: f"still there: {alive(everyone)}")


@pytest.mark.parametrize("name", ["PORT", "SIMULATOR_PORT"])
def test_a_port_in_use_is_named_before_anything_is_started(run, name):
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", int(run.env[name])))
        taken.listen()
        run.spawn()
        assert run.process.wait(timeout=60) == 1
    assert f"CommandError: {name} {run.env[name]} cannot be used (Address already in use)" in run.said()
    assert f"make run {name}=" in run.said()
    assert "Traceback" not in run.said()
