"""`manage.py doctor`: looks at everything the product needs and says what to do about what is wrong."""

import json
import shutil
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import requests
from cryptography.fernet import Fernet
from django import db
from django.conf import settings
from django.core.cache import cache
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django_q.models import Schedule

from catalog.database import blocks_readers, server
from catalog.models import Channel
from config.health import heartbeat_state, migrations_missing
from integrations.models import Credential, Heartbeat
from integrations.schedules import PLANS, PREFIX
from integrations.work import CLUSTERS

LEAST_FREE_BYTES = 500 * 1024**2
SIMULATOR_TIMEOUT_SECONDS = 3


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `advice` says what to do when it is not good."""

    check: str
    good: bool
    detail: str
    advice: str = ""


class Command(BaseCommand):
    help = "Check what the product needs and say what to do about what is wrong; exits with 1 when something is."
    requires_system_checks: list[str] = []  # it is asked when things are broken

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = list(examine(timezone.now()))
        failed = [finding for finding in findings if not finding.good]
        if options["json"]:
            self.stdout.write(json.dumps({"good": not failed, "checks": [asdict(finding) for finding in findings]}))
        else:
            for finding in findings:
                self.stdout.write(f"{'✓' if finding.good else '✗'} {finding.check}: {finding.detail}")
                if not finding.good and finding.advice:
                    self.stdout.write(f"    {finding.advice}")
        if failed:
            raise CommandError(f"{len(failed)} of {len(findings)} checks failed.", returncode=1)


def examine(now: datetime) -> Iterator[Finding]:
    """Every finding, in the order in which to mend things; what needs the database is left out while that is away."""
    yield _python()
    yield _secrets()
    yield _disk()
    yield _static_files()
    try:
        yield _database()
        missing = migrations_missing()
        yield Finding(
            "migrations", not missing, ", ".join(missing) or "all applied", "Run: manage.py migrate" if missing else ""
        )
        if missing:
            return
        yield _cache_table()
        yield from _heartbeats(now)
        yield _schedules()
        yield from _credentials(now)
        yield from _simulator()
    except db.Error as error:
        detail = f"does not answer ({str(error).partition(chr(10))[0]})"
        yield Finding("database", False, detail, "Check DATABASE_URL, and that the server runs and lets us in.")


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", sys.version_info >= (3, 11), version, "Python 3.11 or newer is needed.")


def _secrets() -> Finding:
    advice = "Run `make setup`, which fills in what is missing in .env."
    if len(settings.SECRET_KEY) < 32:
        return Finding("secrets", False, "SECRET_KEY is shorter than 32 characters", advice)
    if not settings.CREDENTIAL_KEYS:
        return Finding("secrets", False, "CREDENTIAL_KEYS is empty", advice)
    for position, key in enumerate(settings.CREDENTIAL_KEYS, start=1):
        try:
            Fernet(key)
        except ValueError:
            return Finding("secrets", False, f"key {position} of CREDENTIAL_KEYS is not a Fernet key", advice)
    return Finding("secrets", True, f"set, {len(settings.CREDENTIAL_KEYS)} credential keys")


def _disk() -> Finding:
    free = shutil.disk_usage(_existing(settings.VAR_DIR)).free
    return Finding(
        "disk", free >= LEAST_FREE_BYTES, f"{free / 1024**3:.1f} GB free", f"Make room where {settings.VAR_DIR} is."
    )


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)


def _static_files() -> Finding:
    root = Path(settings.STATIC_ROOT)
    there = settings.DEBUG or (root / "staticfiles.json").exists()
    return Finding(
        "static files", there, "collected" if there else f"not in {root}", "Run: manage.py collectstatic --noinput"
    )


def _database() -> Finding:
    blocking = blocks_readers()
    return Finding(
        "database",
        not blocking,
        f"{server()}, {blocking}" if blocking else server(),
        "Put the database on a local disk: readers and the writer wait for each other without WAL.",
    )


def _cache_table() -> Finding:
    try:
        cache.set("doctor", "ok", 60)
        kept = cache.get("doctor") == "ok"
    except db.Error:
        kept = False
    except OSError as error:  # what redis clients raise when there is no server
        return Finding("cache", False, f"does not answer ({error})", "Check REDIS_URL.")
    return Finding("cache", kept, "keeps values" if kept else "keeps nothing", "Run: manage.py createcachetable")


def _heartbeats(now: datetime) -> Iterator[Finding]:
    beats = dict(Heartbeat.objects.values_list("name", "beat_at"))
    for name in CLUSTERS:
        state = heartbeat_state(beats.get(name), now)
        advice = "Start the worker: manage.py work (make run does it). If it runs, its log says what is wrong."
        yield Finding(f"cluster {name}", state == "ok", "at work" if state == "ok" else state, advice)


def _schedules() -> Finding:
    stored = set(Schedule.objects.exclude(repeats=0).values_list("name", flat=True))
    missing = [plan.name for plan in PLANS if PREFIX + plan.name not in stored]
    detail = f"missing: {', '.join(missing)}" if missing else f"{len(PLANS)} in place"
    return Finding("schedules", not missing, detail, "Run: manage.py sync_schedules")


def _credentials(now: datetime) -> Iterator[Finding]:
    advice = "Open the channel's page and authorise it."
    for channel in Channel.objects.filter(credential__isnull=False):
        name = f"channel {channel}"
        state = Credential.objects.get(channel=channel).state(now)
        if state == Credential.State.KEY_MISSING:
            text = "its secrets cannot be decrypted"
            yield Finding(name, False, text, "Put the key they were written with back into CREDENTIAL_KEYS.")
            continue
        works = state in {Credential.State.CONNECTED, Credential.State.EXPIRING}
        yield Finding(name, works or not channel.is_watched, state.value.replace("-", " "), advice)


def _simulator() -> Iterator[Finding]:
    """Whether the simulator answers, when channels talk to it."""
    if not Credential.objects.filter(base_url__startswith=settings.SIMULATOR_URL).exists():
        return
    with requests.Session() as session:
        session.trust_env = False
        try:
            answer = session.get(f"{settings.SIMULATOR_URL}/_simulator/clock", timeout=SIMULATOR_TIMEOUT_SECONDS)
            answers = answer.ok
        except requests.RequestException:
            answers = False
    detail = f"{settings.SIMULATOR_URL} {'answers' if answers else 'does not answer'}"
    yield Finding("simulator", answers, detail, "Start it: manage.py simulator (make run does it).")
