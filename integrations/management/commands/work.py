"""`manage.py work`: runs the task clusters and restarts one that ends or freezes."""

import logging
import os
import signal
import sys
import threading
from argparse import ArgumentParser
from datetime import datetime, timedelta
from types import FrameType
from typing import Any

from django import db
from django.conf import settings
from django.core.management.base import BaseCommand
from django.db.models import Min
from django.utils import timezone
from django_q.models import Schedule
from django_q.tasks import async_task

from config.processes import Child, end_with_parent, stop_all
from integrations.models import Heartbeat
from integrations.work import CLUSTERS, Limits, Signs, Step, Watch, next_step

logger = logging.getLogger(__name__)

TICK_SECONDS = 1.0
LOCK_SECONDS = 2
# We were asleep ourselves (a laptop's lid, a stopped process) when the pause between two rounds was longer than this.
ASLEEP = timedelta(seconds=15)


class Command(BaseCommand):
    help = "Run the task clusters; restart one that ends or freezes. Ctrl-C or SIGTERM stops all of them."
    requires_system_checks = []  # the database may be away for now

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--cluster", action="append", choices=CLUSTERS, help="Run only this one; may be given several times."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        stopping = threading.Event()

        def stop(signum: int, frame: FrameType | None) -> None:
            stopping.set()

        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(signum, stop)
        end_with_parent(stopping.set)
        # SQLite: a process that froze inside a transaction holds the lock, so that waiting long for it helps nobody.
        of_database = db.connection.settings_dict["OPTIONS"]
        if "timeout" in of_database:
            of_database["timeout"] = LOCK_SECONDS
        supervisor = Supervisor(options["cluster"] or CLUSTERS)
        try:
            while not stopping.is_set():
                supervisor.tick(timezone.now())
                stopping.wait(TICK_SECONDS)
        finally:
            supervisor.stop()


class Supervisor:
    """One subprocess per cluster, and what is known about each."""

    def __init__(self, names: tuple[str, ...] | list[str]) -> None:
        self.limits = Limits(
            beat_every=timedelta(seconds=settings.HEARTBEAT_SECONDS),
            stale_after=timedelta(seconds=settings.HEARTBEAT_STALE_SECONDS),
            stop_grace=timedelta(seconds=settings.WORK_STOP_SECONDS),
        )
        self.watches = [Watch(name) for name in names]
        manage = str(settings.BASE_DIR / "manage.py")
        self.children = {
            # The name is read from the environment when django-q is imported; an argument comes too late for that.
            name: Child(name, [sys.executable, manage, "cluster", name], env={"Q_CLUSTER_NAME": name}, lifeline=True)
            for name in names
        }
        self._blind_until: datetime | None = None
        self._ended_at: datetime | None = None
        self._is_database_away = False

    def tick(self, now: datetime) -> None:
        """Look at every cluster once and do what is due."""
        signs = self._read_signs()
        if signs is None or (self._ended_at is not None and now - self._ended_at > ASLEEP):
            self._blind_until = now
        for watch in self.watches:
            child = self.children[watch.name]
            if watch.started_at is not None and not child.is_running:
                child.kill_group()  # what it started may have outlived it
                logger.warning("cluster %s ended (exit code %s)", watch.name, child.exit_code)
                watch.ended(now)
            step = next_step(
                watch,
                is_running=child.is_running,
                signs=None if signs is None else signs[watch.name],
                blind_until=self._blind_until,
                limits=self.limits,
                now=now,
            )
            self._take(step, watch, child, now)
        # Not the round's start: a round in which the database kept us waiting is no sleep.
        self._ended_at = timezone.now()

    def _take(self, step: Step, watch: Watch, child: Child, now: datetime) -> None:
        if step is Step.START:
            child.start()
            watch.started(now)
            logger.info("cluster %s started, process %s", watch.name, child.pid)
        elif step is Step.ASK_FOR_BEAT:
            try:
                async_task("integrations.tasks.beat", watch.name, cluster=watch.name)
                watch.asked_at = now
            except db.Error as error:
                logger.warning("no canary could be queued for cluster %s: %s", watch.name, _first_line(error))
                db.connection.close()
        elif step is Step.STOP:
            watch.stop_asked_at = now
            logger.warning("cluster %s is frozen (%s): restarting it", watch.name, watch.reason)
            child.ask_to_stop()
        elif step is Step.KILL:
            logger.warning("cluster %s did not stop in time: killing it", watch.name)
            child.kill_group()

    def _read_signs(self) -> dict[str, Signs] | None:
        """What the database says about each cluster; None when it does not answer."""
        try:
            db.close_old_connections()
            beats = dict(Heartbeat.objects.values_list("name", "beat_at"))
            due = dict(
                Schedule.objects.exclude(repeats=0)
                .exclude(cluster=None)
                .order_by()
                .values_list("cluster")
                .annotate(Min("next_run"))
            )
        except db.Error as error:
            if not self._is_database_away:
                logger.warning("the database does not answer: %s", _first_line(error))
            self._is_database_away = True
            db.connection.close()
            return None
        self._is_database_away = False
        return {watch.name: Signs(beats.get(watch.name), due.get(watch.name)) for watch in self.watches}

    def stop(self) -> None:
        """End every cluster and everything it started."""
        logger.info("stopping %s clusters", len(self.children))
        stop_all(self.children.values(), grace_seconds=settings.WORK_STOP_SECONDS)
        logger.info("all clusters have stopped (process %s)", os.getpid())


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
