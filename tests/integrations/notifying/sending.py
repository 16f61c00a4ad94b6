"""What the lane that sends is tried with: a clock that tests move, robots of the simulator, alerts that are due."""

from datetime import datetime, timedelta

from django.utils import timezone

from integrations.notifying.lane import send_slice
from monitoring.models import Delivery, Notification
from monitoring.services.notifying import queue
from tests.factories import AlertFactory, ListingFactory, TargetFactory

Event = Notification.Event
Status = Delivery.Status
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


class Clock:
    """A clock that a test moves; the simulator's limits move along."""

    def __init__(self, simulator) -> None:
        self.simulator = simulator
        self.now = timezone.now()

    def __call__(self) -> datetime:
        return self.now

    def move(self, span: timedelta) -> None:
        self.now += span
        self.simulator.let_limits_pass(span.total_seconds())


def robot_target(simulator, key: str, **fields):
    robot = simulator.robots[key]
    secret = robot["secret"]
    return TargetFactory(kind=key.partition("-")[0], address=robot["url"], secret=secret, **fields)


def alerts(number: int, clock, **fields):
    listing = ListingFactory()
    made = [AlertFactory(listing=listing, opened_at=clock.now, **fields) for _number in range(number)]
    queue(alert_ids=[alert.pk for alert in made], event=Event.OPENED, now=clock.now)
    return made


def run(clock):
    return send_slice(now_fn=clock, seconds=5)
