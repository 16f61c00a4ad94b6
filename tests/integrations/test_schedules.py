"""The schedules in the queue's table, and that each cluster runs its own."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone
from django_q.conf import Conf
from django_q.models import OrmQ, Schedule
from django_q.scheduler import scheduler

from integrations.schedules import PLANS, PREFIX, sync_schedules
from integrations.work import CLUSTERS

pytestmark = pytest.mark.django_db


def names():
    return sorted(Schedule.objects.filter(name__startswith=PREFIX).values_list("name", flat=True))


def test_all_schedules_are_created_once_however_often_it_runs():
    now = timezone.now()
    assert sync_schedules(now=now).created == len(PLANS)
    before = list(Schedule.objects.order_by("pk").values())
    again = sync_schedules(now=now + timedelta(hours=1))
    assert (again.created, again.changed, again.removed) == (0, 0, 0)
    assert list(Schedule.objects.order_by("pk").values()) == before
    assert names() == sorted(PREFIX + plan.name for plan in PLANS)


def test_a_schedule_that_was_changed_by_hand_is_set_right():
    now = timezone.now()
    sync_schedules(now=now)
    lane = Schedule.objects.get(name=f"{PREFIX}fetch lane")
    Schedule.objects.filter(pk=lane.pk).update(func="os.abort", cluster="interactive")
    assert sync_schedules(now=now).changed == 1
    lane.refresh_from_db()
    assert (lane.func, lane.cluster) == ("integrations.tasks.fetch_lane", "bulk")
    assert lane.next_run > now


def test_leftovers_and_doubles_go_and_schedules_of_others_stay():
    now = timezone.now()
    sync_schedules(now=now)
    Schedule.objects.create(name=f"{PREFIX}of an older version", func="integrations.tasks.gone")
    Schedule.objects.create(name=f"{PREFIX}prune", func="integrations.tasks.prune")
    Schedule.objects.create(name="somebody's own", func="os.getpid")
    assert sync_schedules(now=now).removed == 2
    assert Schedule.objects.filter(name="somebody's own").exists()
    assert names() == sorted(PREFIX + plan.name for plan in PLANS)


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_each_cluster_queues_its_own_canary_and_nobody_elses(cluster, monkeypatch):
    sync_schedules(now=timezone.now() - timedelta(minutes=2))
    monkeypatch.setattr(Conf, "CLUSTER_NAME", cluster)
    # It would close the connection whose transaction this test runs in.
    monkeypatch.setattr("django_q.scheduler.close_old_django_connections", lambda: None)
    scheduler()
    queued = [(task.key, task.func(), task.args()) for task in OrmQ.objects.all()]
    assert (cluster, "integrations.tasks.beat", (cluster,)) in queued
    assert {key for key, _func, _args in queued} == {cluster}


def test_every_planned_function_exists():
    from pydoc import locate

    assert all(callable(locate(plan.func)) for plan in PLANS)


def test_the_command_says_what_it_did(capsys):
    call_command("sync_schedules")
    assert capsys.readouterr().out == f"Schedules: {len(PLANS)} created, 0 changed, 0 removed.\n"
