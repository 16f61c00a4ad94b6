"""`manage.py prune`: rolls old history up by day and removes what is older than it is kept."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from monitoring import services


class Command(BaseCommand):
    help = (
        "Roll observations older than OBSERVATION_RETENTION_DAYS up by day, and remove them, old poll runs, alerts "
        "that were over long ago, and old news of alerts."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
        parser.add_argument("--json", action="store_true", help="print a machine-readable summary as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        summary = services.prune(now=timezone.now(), dry_run=options["dry_run"])
        verb = "would be removed" if options["dry_run"] else "removed"
        self.stdout.write(
            f"{summary.observations} observations {verb}, rolled up into {summary.days} days; "
            f"{summary.poll_runs} poll runs, {summary.alerts} alerts, {summary.notifications} notifications given up "
            f"and {summary.deliveries} deliveries {verb}"
        )
        if options["json"]:
            self.stdout.write(json.dumps({"dry_run": options["dry_run"], **asdict(summary)}))
