"""What happens by the clock: one list, put into the queue's table by `manage.py sync_schedules`."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django_q.models import Schedule

from integrations.work import CLUSTERS

# Ours are told apart by their names; schedules that somebody added by hand are left alone.
PREFIX = "evenshelf "


@dataclass(frozen=True, slots=True)
class Plan:
    """One schedule. `cron` is in the time zone of the settings; "" means each minute."""

    name: str
    func: str
    cluster: str
    args: tuple[str, ...] = ()
    cron: str = ""
    timeout_seconds: int | None = None  # None: as any task


PLANS = (
    # A cluster runs the schedules of its own name, so each of these shows that one cluster's schedules move.
    *(Plan(f"heartbeat {name}", "integrations.tasks.beat", name, (name,)) for name in CLUSTERS),
    Plan("fetch lane", "integrations.tasks.fetch_lane", "bulk"),
    Plan("push lane", "integrations.tasks.push_lane", "interactive"),
    Plan("orders lane", "integrations.tasks.orders_lane", "interactive"),
    Plan("sweep stock", "integrations.tasks.sweep_stock", "bulk", cron="*/5 * * * *", timeout_seconds=550),
    Plan("full sync", "integrations.tasks.full_sync", "bulk", cron="10 4 * * *", timeout_seconds=550),
    Plan("notify lane", "integrations.tasks.notify_lane", "interactive"),
    Plan("shop lane", "integrations.tasks.shop_lane", "bulk", timeout_seconds=550),
    Plan("price lane", "integrations.tasks.price_lane", "bulk"),
    Plan("collision lane", "integrations.tasks.collision_lane", "bulk", timeout_seconds=550),
    Plan("plan", "integrations.tasks.plan_all", "bulk", cron="30 2 * * *", timeout_seconds=550),
    Plan("judge advice", "integrations.tasks.judge_advice", "bulk", cron="10 3 * * *", timeout_seconds=550),
    Plan("judge forecasts", "integrations.tasks.judge_forecasts", "bulk", cron="20 3 * * *", timeout_seconds=550),
    Plan("plan lane", "integrations.tasks.plan_lane", "bulk", timeout_seconds=550),
    Plan("check promotions", "integrations.tasks.check_promotions", "bulk", cron="*/10 * * * *"),
    Plan("read promotions", "integrations.tasks.read_promotions", "bulk", cron="25 * * * *", timeout_seconds=550),
    Plan("check thresholds", "integrations.tasks.check_thresholds", "bulk"),
    Plan("refresh tokens", "integrations.tasks.refresh_expiring", "bulk"),  # some live for an hour only
    Plan("prune", "integrations.tasks.prune", "bulk", cron="40 3 * * *", timeout_seconds=550),  # below `retry`
)


@dataclass(frozen=True, slots=True)
class SyncSummary:
    created: int
    changed: int
    removed: int


def sync_schedules(*, now: datetime) -> SyncSummary:
    """Make the table hold exactly our plans, whatever else is in it. One that did not change keeps its next run."""
    created = changed = 0
    kept: set[int] = set()
    with transaction.atomic():
        ours = {
            schedule.name: schedule
            for schedule in Schedule.objects.select_for_update().filter(name__startswith=PREFIX).order_by("-pk")
        }
        for plan in PLANS:
            wanted = {
                "func": plan.func,
                "args": repr(plan.args),
                "kwargs": repr({"q_options": {"timeout": plan.timeout_seconds}}) if plan.timeout_seconds else None,
                "hook": None,
                "cluster": plan.cluster,
                "schedule_type": Schedule.CRON if plan.cron else Schedule.MINUTES,
                "minutes": None if plan.cron else 1,
                "cron": plan.cron or None,
                "repeats": -1,
            }
            stored = ours.get(PREFIX + plan.name)
            if stored is None:
                kept.add(Schedule.objects.create(name=PREFIX + plan.name, next_run=now, **wanted).pk)
                created += 1
                continue
            kept.add(stored.pk)
            if any(getattr(stored, field) != value for field, value in wanted.items()):
                for field, value in wanted.items():
                    setattr(stored, field, value)
                stored.next_run = stored.calculate_next_run(now)
                stored.save()
                changed += 1
        # Names are not unique in the queue's table: what is not ours by now is a leftover or a double.
        leftovers = Schedule.objects.filter(name__startswith=PREFIX).exclude(pk__in=kept)
        removed, _details = leftovers.delete()
    return SyncSummary(created=created, changed=changed, removed=removed)
