"""Is the site up, can it work, and what are its figures."""

import hmac
import ipaddress
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from django import db
from django.conf import settings
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Case, Count, Exists, Min, OuterRef, Value, When
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_q.brokers import get_broker
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from catalog.facts import ShelfState
from catalog.models import Channel, Listing
from integrations.models import Credential, Heartbeat
from integrations.syncing.status import gauges
from integrations.work import CLUSTERS
from monitoring.freshness import OF_LISTING, being_watched
from monitoring.models import ListingWatch

# --- Up and ready ---------------------------------------------------------------------------------------------------


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """200 as soon as the process answers; it asks nothing else of anything."""
    return HttpResponse("ok", content_type="text/plain")


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when everything that the work needs is there; else 503, with what is missing by its name."""
    checks = readiness(timezone.now())
    is_ready = all(state == "ok" for state in checks.values())
    return JsonResponse({"ready": is_ready, "checks": checks}, status=200 if is_ready else 503)


def readiness(now: datetime) -> dict[str, str]:
    """Check -> "ok", or what is wrong. Never raises: a database that is away is an answer too."""
    heartbeat_names = {name: f"heartbeat-{name}" for name in CLUSTERS}
    try:
        missing = migrations_missing()
        beats = dict(Heartbeat.objects.values_list("name", "beat_at"))
    except db.Error:
        unknown = dict.fromkeys(["migrations", *heartbeat_names.values()], "not known: the database does not answer")
        return {"database": "does not answer", **unknown}
    checks = {"database": "ok", "migrations": f"not applied: {', '.join(missing)}" if missing else "ok"}
    for name, label in heartbeat_names.items():
        checks[label] = heartbeat_state(beats.get(name), now)
    return checks


def heartbeat_state(beat_at: datetime | None, now: datetime) -> str:
    """ "ok", or how long the cluster has been silent; silent for exactly the limit is still ok."""
    if beat_at is None:
        return "never seen"
    silent = now - beat_at
    if silent > timedelta(seconds=settings.HEARTBEAT_STALE_SECONDS):
        return f"silent for {silent.total_seconds():.0f} s"
    return "ok"


class _Schema:
    is_complete = False  # once true it stays true for this process: its code does not change any more


def migrations_missing() -> list[str]:
    """The migrations of this version that the database does not have. Raises db.Error when it does not answer."""
    if _Schema.is_complete:
        with db.connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return []
    executor = MigrationExecutor(db.connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    _Schema.is_complete = not plan
    return [f"{migration.app_label}.{migration.name}" for migration, _backwards in plan]


# --- Figures --------------------------------------------------------------------------------------------------------


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The figures as Prometheus reads them, counted when it asks."""
    if not may_read_metrics(request):
        return HttpResponse("Send METRICS_TOKEN as a bearer token.\n", status=403, content_type="text/plain")
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures(timezone.now()))
    try:
        text = generate_latest(registry)
    except db.Error:
        return HttpResponse("The database does not answer.\n", status=503, content_type="text/plain")
    return HttpResponse(text, content_type=CONTENT_TYPE_LATEST)


def may_read_metrics(request: HttpRequest) -> bool:
    """With METRICS_TOKEN set, only who sends it; without one, only this machine, and not through a proxy on it."""
    if settings.METRICS_TOKEN:
        sent = request.headers.get("Authorization", "")
        return hmac.compare_digest(sent.encode(), f"Bearer {settings.METRICS_TOKEN}".encode())
    if request.headers.get("X-Forwarded-For") or request.headers.get("Forwarded"):
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


SYNC_GAUGES = {
    "backlog": "Listings that are to be sent or read back.",
    "oldest_seconds": "Since when the oldest of the backlog differs from its target.",
    "full_age_seconds": "Time since everything was last compared and read back.",
    "incremental_age_seconds": "Time since changes were last sent.",
    "orders_lag_seconds": "How far what is known of the orders is behind.",
    "orders_set_aside": "Orders that could not be booked and are tried again.",
    "held": "1 while nothing is written: held back, paused, or before its first dry run is applied; else 0.",
}


class Figures(Collector):
    """Counts of the present moment; each is one bounded query over present state, none reads the history."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def describe(self) -> list[Metric]:
        return []  # so that registering it counts nothing

    def collect(self) -> Iterator[Metric]:
        yield _by_label(
            "evenshelf_listings",
            "Listings that are not removed, by shelf state; unknown as well when no reading speaks for now.",
            "state",
            # What was read too long ago tells nothing of now.
            Listing.objects.current()
            .order_by()
            .values_list(Case(When(OF_LISTING.fresh(self.now), then="shelf_state"), default=Value(ShelfState.UNKNOWN)))
            .annotate(Count("pk")),
        )
        watches = ListingWatch.objects.filter(listing__removed_at__isnull=True)
        outcomes = watches.order_by().values_list("outcome").annotate(Count("pk"))
        yield _by_label(
            "evenshelf_listing_readings",
            "Listings that are not removed, by the outcome of their last reading.",
            "outcome",
            ((outcome or "none", count) for outcome, count in outcomes),
        )
        yield GaugeMetricFamily(
            "evenshelf_listings_read_last_hour",
            "Listings with a good reading within the last hour.",
            watches.filter(read_at__gte=self.now - timedelta(hours=1)).count(),
        )
        waiting_since = Min(Coalesce("read_at", "listing__created_at"))
        oldest = ListingWatch.objects.filter(being_watched()).aggregate(at=waiting_since)["at"]
        oldest_age = GaugeMetricFamily(
            "evenshelf_oldest_reading_age_seconds",
            "Age of the oldest last good reading of a watched listing; of one never read, since it was added.",
        )
        if oldest is not None:
            oldest_age.add_metric([], self._age(oldest))
        yield oldest_age
        yield _by_label(
            "evenshelf_queue_tasks",
            "Tasks that wait in a cluster's queue.",
            "cluster",
            ((name, get_broker(name).queue_size()) for name in CLUSTERS),
        )
        beats = Heartbeat.objects.filter(name__in=CLUSTERS).values_list("name", "beat_at")
        yield _by_label(
            "evenshelf_heartbeat_age_seconds",
            "Time since a cluster last took up a task.",
            "cluster",
            ((name, self._age(beat_at)) for name, beat_at in beats),
        )
        yield _by_label("evenshelf_channels", "Channels, by state.", "state", sorted(self._channels().items()))
        yield from self._syncs()

    def _syncs(self) -> Iterator[Metric]:
        """Of each channel whose stock is synced. What is not known is left out, never 0."""
        families = {
            name: GaugeMetricFamily(f"evenshelf_sync_{name}", text, labels=["channel"])
            for name, text in SYNC_GAUGES.items()
        }
        listings = GaugeMetricFamily(
            "evenshelf_sync_listings", "Listings at a location of their shop, by state.", labels=["channel", "state"]
        )
        for channel, values, states in gauges(now=self.now):
            for name, value in values.items():
                if value is not None:
                    families[name].add_metric([str(channel)], value)
            for state, count in states.items():
                listings.add_metric([str(channel), state], count)
        yield from families.values()
        yield listings

    def _age(self, moment: datetime) -> float:
        return max(0.0, (self.now - moment).total_seconds())

    def _channels(self) -> Counter[str]:
        """Counts of channels by the first of their states that applies. One query, which decrypts nothing."""
        states: Counter[str] = Counter()
        channels = Channel.objects.order_by().values(
            "platform",
            "is_watched",
            "health__retry_at",
            "credential__app_key",
            "credential__options",
            "credential__base_url",
            "credential__authorised_at",
            "credential__refresh_expires_at",
            "credential__token_expires_at",
            "credential__token_levels",
            "credential__revoked_cause",
            has_app_secret=_is_set("app_secret"),
            has_access_token=_is_set("access_token"),
            has_refresh_token=_is_set("refresh_token"),
        )
        for channel in channels:
            state = Credential(
                channel=Channel(platform=channel["platform"]),
                app_key=channel["credential__app_key"] or "",
                app_secret="set" if channel["has_app_secret"] else "",
                access_token="set" if channel["has_access_token"] else "",
                refresh_token="set" if channel["has_refresh_token"] else "",
                options=channel["credential__options"] or {},
                base_url=channel["credential__base_url"] or "",
                authorised_at=channel["credential__authorised_at"],
                refresh_expires_at=channel["credential__refresh_expires_at"],
                token_expires_at=channel["credential__token_expires_at"],
                token_levels=channel["credential__token_levels"] or {},
                revoked_cause=channel["credential__revoked_cause"] or "",
            ).state(self.now)
            retry_at = channel["health__retry_at"]
            if not channel["is_watched"]:
                states["stopped"] += 1
            elif state in {Credential.State.CONNECTED, Credential.State.EXPIRING} and retry_at and retry_at > self.now:
                states["held-back"] += 1
            else:
                states[state.value] += 1
        return states


def _is_set(secret: str) -> Exists:
    """Whether a channel's credential has the secret, which is not decrypted for that."""
    return Exists(Credential.objects.filter(channel=OuterRef("pk")).exclude(**{secret: ""}))


def _by_label(name: str, text: str, label: str, counts: Iterable[tuple[str, float]]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, count in counts:
        family.add_metric([value], count)
    return family
