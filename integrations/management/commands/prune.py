"""`manage.py prune`: rolls old history up by day and removes what is older than it is kept."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from integrations.syncing.pruning import prune_log
from monitoring.services import prune


class Command(BaseCommand):
    help = (
        "Roll observations older than OBSERVATION_RETENTION_DAYS up by day, and remove them, old poll runs, alerts "
        "that were over long ago, old news of alerts, and what was sent and seen by old runs of the stock sync."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
        parser.add_argument("--json", action="store_true", help="print a machine-readable summary as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        now, dry_run = timezone.now(), options["dry_run"]
        summary, log = prune(now=now, dry_run=dry_run), prune_log(now=now, dry_run=dry_run)
        verb = "would be removed" if dry_run else "removed"
        self.stdout.write(
            f"{summary.observations} observations {verb}, rolled up into {summary.days} days; "
            f"{summary.poll_runs} poll runs, {summary.alerts} alerts, {summary.notifications} notifications given up, "
            f"{summary.deliveries} deliveries, {summary.work_runs} runs of plans and prices, {log.items} sync items "
            f"and {log.runs} sync runs {verb}"
        )
        if options["json"]:
            counts = {**asdict(summary), "sync_items": log.items, "sync_runs": log.runs}
            self.stdout.write(json.dumps({"dry_run": dry_run, **counts}))
