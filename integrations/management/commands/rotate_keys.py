"""`manage.py rotate_keys`: after a new key was put in front of CREDENTIAL_KEYS, and before the old one is dropped."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils.translation import gettext as _

from integrations import keys


class Command(BaseCommand):
    help = "Encrypt every stored secret anew with the first of CREDENTIAL_KEYS. May be run any number of times."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="count only, write nothing")

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        done = keys.rotate(dry_run=dry_run)
        text = (
            _("%(secrets)d secrets in %(rows)d rows would be encrypted with the first key.")
            if dry_run
            else _("%(secrets)d secrets in %(rows)d rows are now encrypted with the first key.")
        )
        self.stdout.write(text % {"secrets": done.rotated, "rows": done.rows})
        for lost in done.lost:
            self.stderr.write(_("%(where)s: no key decrypts it; it was left as it is.") % {"where": lost})
        if done.lost:
            self.stderr.write(_("Put the key these were written with back into CREDENTIAL_KEYS, or enter them again."))
            raise SystemExit(1)
