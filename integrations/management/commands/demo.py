"""`manage.py demo`: loads the demo world from a running simulator into an empty database."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from integrations.demo import (
    FULL,
    SMALL,
    DemoError,
    add_missing_stores,
    load_demo,
    point_at_simulator,
    state_of_demo,
)


class Command(BaseCommand):
    help = "Load the demo world, with 90 days of history, through the connectors from the simulator at SIMULATOR_URL."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--small", action="store_true", help="few listings and a week of history")
        parser.add_argument(
            "--once", action="store_true", help="do nothing when it is loaded, or when the database has other channels"
        )

    def handle(self, *args: Any, small: bool, once: bool, **options: Any) -> None:
        state = state_of_demo()
        self._said = -1
        started = time.monotonic()
        try:
            if once and state == "other":
                return
            if once and state == "loaded":
                point_at_simulator()
                for channel in add_missing_stores(now=timezone.now()):
                    self._say(f"Added {channel} to the demo world.")
                return
            self._say("Loading the demo world ..." if state == "empty" else "Going on loading the demo world ...")
            counts = load_demo(size=SMALL if small else FULL, now=timezone.now(), progress=self._progress)
        except DemoError as error:
            raise CommandError(str(error)) from error
        loaded = ", ".join(f"{count:,} {name}" for name, count in counts.items())
        self._say(f"\nDemo world loaded in {time.monotonic() - started:.0f} s: {loaded}.")

    def _progress(self, done: int, of: int) -> None:
        percent = done * 100 // of
        if self.stdout.isatty():
            filled = percent * 30 // 100
            self._say(f"\r  [{'#' * filled}{' ' * (30 - filled)}] {percent:3} % ", ending="")
        elif percent // 10 > self._said // 10:
            self._said = percent
            self._say(f"  {percent} %")

    def _say(self, text: str, ending: str = "\n") -> None:
        self.stdout.write(text, ending=ending)
        self.stdout.flush()
