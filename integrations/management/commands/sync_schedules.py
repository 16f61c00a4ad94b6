"""`manage.py sync_schedules`: puts the schedules into the queue's table; run it after each upgrade."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from integrations.schedules import sync_schedules


class Command(BaseCommand):
    help = "Create, change and remove our schedules so that they are as this version plans them."

    def handle(self, *args: Any, **options: Any) -> None:
        summary = sync_schedules(now=timezone.now())
        self.stdout.write(
            f"Schedules: {summary.created} created, {summary.changed} changed, {summary.removed} removed."
        )
