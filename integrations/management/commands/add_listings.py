"""`manage.py add_listings`: take over what the shops have, however long their lists are."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from catalog.models import Channel
from integrations import discovery
from integrations.connections import Unconnected
from integrations.connectors.errors import ConnectorError
from integrations.problems import sentence


class Command(BaseCommand):
    help = "Add the listings that a channel's shop has and the channel does not."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--channel", required=True, metavar="NAME", help="the channel's name")
        parser.add_argument("--dry-run", action="store_true", help="count only, add nothing")

    def handle(self, *args: Any, channel: str, dry_run: bool, **options: Any) -> None:
        found_channel = Channel.objects.filter(name=channel).first()
        if found_channel is None:
            raise CommandError(_("There is no channel “%(name)s”.") % {"name": channel})
        now = timezone.now()
        try:
            found = discovery.discover(channel=found_channel, now=now)
        except (ConnectorError, Unconnected) as error:
            raise CommandError(sentence(cause=error.cause, channel=found_channel, at=now)) from error
        self.stdout.write(_("%(new)d new, %(known)d known.") % {"new": len(found.new), "known": found.known})
        if not dry_run:
            added = discovery.add_found(channel=found_channel, found=found.new, actor=None, now=now)
            self.stdout.write(
                _("%(added)d added, %(mapped)d of them mapped to a SKU.")
                % {"added": added.listings, "mapped": added.mapped}
            )
