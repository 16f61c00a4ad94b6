"""`manage.py simulator`: the sales platforms, served locally."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from integrations.simulator.main import Options, run
from integrations.simulator.simulation import StateError


class Command(BaseCommand):
    help = "Serve the sales platforms locally, with test shops whose prices and stock move by themselves."
    requires_system_checks: list[str] = []  # it needs neither the database nor the web application

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
        parser.add_argument("--port", type=int, default=8900, help="port to listen on, 0 for any free one")
        parser.add_argument("--seed", type=int, default=7, help="seed of a new world")
        parser.add_argument("--listings", type=int, default=200, help="sellable rows of a new world, at least 20")
        parser.add_argument("--state", type=Path, help="file that keeps the world between runs")
        parser.add_argument("--latency-ms", type=float, default=0.0, help="wait before each answer, in milliseconds")
        parser.add_argument("--quota", type=float, help="calls per second an application may make (default: no limit)")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["quota"] is not None and options["quota"] <= 0:
            raise CommandError("--quota is above 0")
        if options["latency_ms"] < 0:
            raise CommandError("--latency-ms is 0 or above")
        wanted = Options(
            host=options["host"],
            port=options["port"],
            seed=options["seed"],
            listings=options["listings"],
            state=options["state"],
            latency_ms=options["latency_ms"],
            calls_per_second=options["quota"],
        )
        try:
            run(wanted, announce=self._announce, warn=self.stderr.write)
        except StateError as error:
            raise CommandError(
                f"The state file {options['state']} cannot be used: {error}. Remove it or name another one."
            ) from error
        except (OSError, ValueError) as error:
            raise CommandError(f"The simulator cannot start: {error}") from error

    def _announce(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()  # whoever started it waits for this line, maybe through a pipe
