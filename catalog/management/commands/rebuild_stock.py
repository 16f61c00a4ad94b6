"""`manage.py rebuild_stock`: makes the stock levels what the ledger says; --check only compares them."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from catalog.models import StockLevel
from catalog.stock import ledger


class Command(BaseCommand):
    help = "Set the stock levels to the sums of their movements and print those that were wrong."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 when a level is wrong")

    def handle(self, *args: Any, **options: Any) -> None:
        wrong = ledger.check() if options["check"] else ledger.rebuild(now=timezone.now())
        for each in wrong:
            self.stdout.write(f"{each.sku} · {each.warehouse}: level {_text(each.level)}, ledger {_text(each.ledger)}")
        if options["check"] and wrong:
            raise CommandError(f"{len(wrong)} levels differ. Run: manage.py rebuild_stock", returncode=1)
        if wrong:
            self.stdout.write(f"{len(wrong)} levels rebuilt.")
        else:
            self.stdout.write(f"All {StockLevel.objects.count()} levels are the sums of their movements.")


def _text(figures: tuple[int, int] | None) -> str:
    return "none" if figures is None else f"{figures[0]} on hand, {figures[1]} reserved"
