"""`manage.py plan`: what to buy and what to move, worked out now, as each night does."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from catalog.models import Sku
from monitoring.models import Advice
from monitoring.services.planning.running import changed_skus, judge_plans, run_plan


class Command(BaseCommand):
    help = "Plan all SKUs, some, or those that moved since they were planned; tells how far it is."

    def add_arguments(self, parser: ArgumentParser) -> None:
        chosen = parser.add_mutually_exclusive_group()
        chosen.add_argument("--sku", action="append", metavar="CODE", help="this SKU only; may be given several times")
        chosen.add_argument("--changes", action="store_true", help="SKUs whose stock moved since they were planned")
        parser.add_argument(
            "--report-cards", action="store_true", help="then judge the forecasts of each SKU, as each night does"
        )

    def handle(self, *args: Any, sku: list[str] | None, changes: bool, report_cards: bool, **options: Any) -> None:
        now = timezone.now()
        sku_ids = _skus(sku) if sku else changed_skus(now=now) if changes else None
        if sku_ids == []:
            self.stdout.write("Nothing has moved since it was planned.")
            return
        begun = time.monotonic()
        _run, planned = run_plan(sku_ids, now=now, tell=self._tell)
        self.stdout.write(f"{planned} in {time.monotonic() - begun:.1f} s")
        if report_cards:
            self.stdout.write(f"{judge_plans(sku_ids, now=now)}.")
        waiting = Advice.objects.filter(state=Advice.State.OPEN).count()
        self.stdout.write(f"{waiting} open advice in all.")

    def _tell(self, step: str, places: int) -> None:
        if self.stdout.isatty():
            self.stdout.write(f"{step} ({places:,} SKUs in warehouses) ...")


def _skus(codes: list[str]) -> list[int]:
    found = dict(Sku.objects.filter(code__in=codes).values_list("code", "pk"))
    if missing := [code for code in codes if code not in found]:
        raise CommandError(f"There is no SKU {', '.join(missing)}.")
    return sorted(found.values())
