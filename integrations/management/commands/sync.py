"""`manage.py sync`: one pass over the channels in the foreground: orders in, targets out, what was sent read back."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet
from django.utils import timezone

from catalog.models import Channel, Listing, Product
from catalog.stock.explaining import explain
from integrations.lanes.problem import Problem
from integrations.management.commands.fetch import message, progress_bar
from integrations.models import ChannelSync, SavedFilter
from integrations.syncing.dry_runs import Change, changes_of
from integrations.syncing.passes import FIGURES, Pass, pass_over_channel
from integrations.syncing.scope import Scope, UnknownScope

_UNKNOWN = "?"
_NAMES_AT_ONCE = 500


class Command(BaseCommand):
    help = "Book the orders of the synced channels and send their stock where it differs, channel by channel."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--channel", metavar="NAME", help="only this channel")
        parser.add_argument("--full", action="store_true", help="read back every listing, not only what changed")
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would be sent, call nobody and write nothing"
        )
        parser.add_argument("--brand", metavar="NAME", help="compare and read back only the listings of this brand")
        parser.add_argument("--product", metavar="NAME", help="only those of this product (its name, or its number)")
        parser.add_argument("--filter", metavar="NAME", help="only what this saved filter finds")
        parser.add_argument("--json", action="store_true", help="print a machine-readable summary as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        channels = list(self._channels(options["channel"], dry=options["dry_run"]))
        scope = _scope(options["brand"], options["product"], options["filter"])
        if not channels:
            self.stdout.write("Sync is on for no channel.")
        try:
            if options["dry_run"]:
                self._tell_changes(channels, scope, as_json=options["json"])
            else:
                self._sync(channels, scope, is_full=options["full"], as_json=options["json"])
        except UnknownScope as error:
            raise CommandError(str(error)) from error

    def _channels(self, name: str | None, *, dry: bool) -> QuerySet[Channel]:
        """A channel can be looked at, though not synced, while its sync is off."""
        channels = Channel.objects.select_related("credential", "sync")
        if name is None:
            return channels.filter(sync__is_on=True)
        found = channels.filter(name=name)
        if not found:
            raise CommandError(f"There is no channel named “{name}”.")
        if not dry and not found.filter(sync__is_on=True):
            raise CommandError(f"Sync of “{name}” is off. Switch it on first, or look with --dry-run.")
        return found

    def _sync(self, channels: list[Channel], scope: Scope, *, is_full: bool, as_json: bool) -> None:
        results = []
        for channel in channels:
            with progress_bar(self.stderr, channel) as show:
                done = pass_over_channel(channel=channel, is_full=is_full, scope=scope, progress=show)
            results.append((channel, done))
            self.stdout.write(f"{channel}: {done}")
            if (reason := _unwritten(channel.sync)) is not None:
                self.stderr.write(f"{channel}: {reason}")
            if done.held:
                self.stderr.write(f"{channel}: {done.held} listings would go to 0; look and decide on its page")
            for problem in done.problems:
                self.stderr.write(f"{channel}: {message(problem, channel)}")
        if as_json:
            figures = [
                {
                    "channel": channel.name,
                    **_figures(done),
                    "problems": [_problem(each) for each in done.problems],
                }
                for channel, done in results
            ]
            totals = {name: sum(getattr(done, name) for _channel, done in results) for name in (*FIGURES, "held")}
            self.stdout.write(json.dumps({**totals, "channels": figures}, ensure_ascii=False))
        if any(done.problems for _channel, done in results):
            sys.exit(1)

    def _tell_changes(self, channels: list[Channel], scope: Scope, *, as_json: bool) -> None:
        told, now = [], timezone.now()
        for channel in channels:
            count = unchanged = blocked = 0
            names = _Names()
            for change in changes_of(channel, scope=scope, now=now):
                if change.will_be is None:
                    blocked += 1
                elif change.will_be == change.now_shown:
                    unchanged += 1
                else:
                    count += 1
                    name = names.of(change.listing_id)
                    self.stdout.write(f"{channel}: {_line(change, name)}")
                    if as_json:
                        told.append({"channel": channel.name, **_as_json(change, name)})
            self.stdout.write(f"{channel}: {count} would change, {unchanged} would not, {blocked} are left alone")
        if as_json:
            self.stdout.write(json.dumps({"changes": told}, ensure_ascii=False))


class _Names:
    """What listings are called, looked up some hundreds at a time, in the order of their keys."""

    def __init__(self) -> None:
        self._known: dict[int, str] = {}

    def of(self, listing_id: int) -> str:
        if listing_id not in self._known:
            channel = Listing.objects.filter(pk=listing_id).values("channel")
            some = Listing.objects.filter(channel__in=channel, pk__gte=listing_id).order_by("pk")[:_NAMES_AT_ONCE]
            self._known = {listing.pk: str(listing) for listing in some}
        return self._known[listing_id]


def _scope(brand: str | None, product: str | None, saved: str | None) -> Scope:
    """Raises CommandError for a name that is not there, or not the only one."""
    if brand and not Product.objects.filter(brand=brand).exists():
        raise CommandError(f"There is no brand “{brand}”.")
    number = product if product and product.isdecimal() and len(product) < 19 else None
    return Scope(
        brand=brand or "",
        product=_only(Product.objects.filter(pk=number) if number else Product.objects.filter(name=product), product),
        filter=_only(SavedFilter.objects.filter(name=saved), saved),
    )


def _only(found: QuerySet[Any], name: str | None) -> int | None:
    if not name:
        return None
    keys = list(found.values_list("pk", flat=True)[:2])
    if len(keys) == 1:
        return int(keys[0])
    kind = found.model._meta.verbose_name
    raise CommandError(f"There is no {kind} “{name}”." if not keys else f"There are several {kind}s named “{name}”.")


def _line(change: Change, name: str) -> str:
    was = _UNKNOWN if change.now_shown is None else change.now_shown
    place = f" at {change.location_id}" if change.location_id else ""
    return f"{name}{place}: {was} -> {change.will_be} ({explain(change.target)})"


def _as_json(change: Change, name: str) -> dict[str, Any]:
    return {
        "listing": change.listing_id,
        "name": name,
        "location": change.location_id,
        "now": change.now_shown,
        "will_be": change.will_be,
        "why": explain(change.target),
    }


def _figures(done: Pass) -> dict[str, int]:
    return {name: getattr(done, name) for name in (*FIGURES, "held")}


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "kind": problem.kind,
        "cause": problem.cause,
        "code": problem.code,
        "retry_at": problem.retry_at.isoformat() if problem.retry_at else None,
    }


def _unwritten(sync: ChannelSync) -> str | None:
    """Why only the orders of a channel were read."""
    if sync.is_paused:
        since = f" since {timezone.localtime(sync.paused_at):%Y-%m-%d %H:%M}" if sync.paused_at else ""
        return f"paused{since}, so no stock was sent: {sync.pause_reason}".rstrip(": ")
    if not sync.is_confirmed:
        return "nobody has applied a dry run of it yet, so no stock was sent"
    return None
