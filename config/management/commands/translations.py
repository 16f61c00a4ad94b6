"""`manage.py translations update | check | compile`."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from config import translations


class Command(BaseCommand):
    help = "Updates the translation files from the code, checks that none misses a string, or compiles them."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("job", choices=["update", "check", "compile"])

    def handle(self, *args: Any, job: str, **options: Any) -> None:
        if job == "compile":
            self.stdout.write(f"{translations.compile_all()} translation files compiled.")
            return
        languages = [code for code, _name in settings.LANGUAGES if code != "en"]
        if job == "update":
            for language in languages:
                self.stdout.write(f"{language}: {len(translations.update(language))} strings.")
            return
        faults = [f"{language}: {fault}" for language in languages for fault in translations.faults(language)]
        if faults:
            raise CommandError(
                "\n".join([*faults, f"{len(faults)} faults. Run `manage.py translations update`, then fill them in."])
            )
        self.stdout.write("All strings are translated.")
