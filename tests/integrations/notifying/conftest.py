"""A clock, and a robot that is told of everything."""

import pytest

from monitoring.models import Severity
from tests.factories import RouteFactory
from tests.integrations.notifying.sending import Clock, robot_target


@pytest.fixture
def clock(simulator, settings):
    settings.ALLOWED_PRIVATE_HOSTS = ["127.0.0.1"]
    return Clock(simulator)


@pytest.fixture
def target(simulator, clock):
    """The signed DingTalk robot, told of everything and of its end."""
    return RouteFactory(
        target=robot_target(simulator, "dingtalk-signed"), least_severity=Severity.INFO, tells_end=True
    ).target
