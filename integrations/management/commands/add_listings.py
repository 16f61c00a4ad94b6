"""`manage.py add_listings`: take over what the shops have, however long their lists are."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from catalog.mapping import accept, add_unmapped
from catalog.models import Channel, Proposal, ShopRead
from integrations import shop_reads
from integrations.problems import sentence


class Command(BaseCommand):
    help = "Add the listings that a channel's shop has and the channel does not, mapped where that is beyond doubt."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--channel", required=True, metavar="NAME", help="the channel's name")
        parser.add_argument("--dry-run", action="store_true", help="find them, and leave the decision to people")

    def handle(self, *args: Any, channel: str, dry_run: bool, **options: Any) -> None:
        found_channel = Channel.objects.filter(name=channel).first()
        if found_channel is None:
            raise CommandError(_("There is no channel “%(name)s”.") % {"name": channel})
        read = shop_reads.begin(channel=found_channel, kind=ShopRead.Kind.LISTINGS, now=timezone.now())
        while read.ended_at is None:
            sliced = shop_reads.take_slice(read=read, now_fn=timezone.now, is_asked=True)
            read = sliced.read
            if sliced.error is not None:
                raise CommandError(sentence(cause=sliced.error.cause, channel=found_channel, at=timezone.now()))
            if read.lease_until is not None:
                raise CommandError(_("Another worker reads this shop just now. Try again when it is done."))
            if read.next_at is not None:
                time.sleep(max((read.next_at - timezone.now()).total_seconds(), 0))
        proposals = Proposal.objects.filter(channel=found_channel)
        new = proposals.open().count()
        self.stdout.write(_("%(found)d found, %(open)d to decide about.") % {"found": read.count, "open": new})
        if not dry_run:
            now = timezone.now()
            mapped = accept(proposals=proposals.clear(), actor=None, now=now)
            others = add_unmapped(proposals=proposals.open().filter(listing__isnull=True), actor=None, now=now)
            self.stdout.write(
                _("%(added)d added, %(mapped)d of them mapped to a SKU.")
                % {"added": mapped.added + others.added, "mapped": mapped.mapped}
            )
