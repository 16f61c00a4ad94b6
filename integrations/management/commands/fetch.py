"""`manage.py fetch`: one pass over the channels in the foreground."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandError, OutputWrapper
from django.db.models import QuerySet
from django.utils import timezone

from catalog.models import Channel
from integrations.fetching import FetchSummary, Problem, pass_over_channel
from integrations.problems import sentence

_BAR_WIDTH = 30


class Command(BaseCommand):
    help = "Read the listings that are due now (with --all: every listing), channel by channel."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--channel", metavar="NAME", help="only this channel, also while it is not watched")
        parser.add_argument("--all", action="store_true", help="also what is not due yet")
        parser.add_argument("--json", action="store_true", help="print a machine-readable summary as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        results = [
            (channel, self._fetch(channel, everything=options["all"])) for channel in self._channels(options["channel"])
        ]
        if not results:
            self.stdout.write("No channel is watched.")
        for channel, summary in results:
            self.stdout.write(f"{channel}: {summary}")
            for problem in summary.problems:
                self.stderr.write(f"{channel}: {message(problem, channel)}")
        if options["json"]:
            self.stdout.write(json.dumps(as_json(results), ensure_ascii=False))
        if any(summary.problems for _channel, summary in results):
            sys.exit(1)

    def _channels(self, name: str | None) -> QuerySet[Channel]:
        channels = Channel.objects.select_related("credential")
        if name is None:
            return channels.filter(is_watched=True)
        found = channels.filter(name=name)
        if not found:
            raise CommandError(f"There is no channel named “{name}”.")
        return found

    def _fetch(self, channel: Channel, *, everything: bool) -> FetchSummary:
        with progress_bar(self.stderr, channel) as show:
            return pass_over_channel(channel=channel, now=timezone.now(), everything=everything, progress=show)


@contextmanager
def progress_bar(stderr: OutputWrapper, channel: Channel) -> Iterator[Callable[[int, int], None] | None]:
    """What is told how far the channel is, and gone at the end; None where nobody looks at a terminal."""
    if not stderr.isatty():
        yield None
        return

    def show(done: int, total: int) -> None:
        filled = _BAR_WIDTH if total == 0 else min(_BAR_WIDTH, _BAR_WIDTH * done // total)
        bar = "█" * filled + "·" * (_BAR_WIDTH - filled)
        stderr.write(f"\r{channel} {bar} {done}/{total}", ending="")

    try:
        yield show
    finally:
        stderr.write("\r\x1b[2K", ending="")


def message(problem: Problem, channel: Channel) -> str:
    """What happened and what to do, on one line, with the platform's own code."""
    line = sentence(cause=problem.cause, channel=channel, at=timezone.now(), retry_at=problem.retry_at)
    return f"{line} ({problem.kind}, code {problem.code})" if problem.code else line


def as_json(results: list[tuple[Channel, FetchSummary]]) -> dict[str, Any]:
    """The totals, and each channel with its problems."""
    names = ("read", "changed", "missing", "failed")
    channels = [
        {
            "channel": channel.name,
            **{name: getattr(summary, name) for name in names},
            "problems": [
                {
                    "kind": problem.kind,
                    "cause": problem.cause,
                    "code": problem.code,
                    "retry_at": problem.retry_at.isoformat() if problem.retry_at else None,
                }
                for problem in summary.problems
            ],
        }
        for channel, summary in results
    ]
    return {**{name: sum(getattr(summary, name) for _c, summary in results) for name in names}, "channels": channels}
