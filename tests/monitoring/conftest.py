"""A time that stands still, and the owner of everything."""

import pytest
import time_machine

from tests.factories import NOW, UserFactory


@pytest.fixture
def at_now():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def owner(client):
    client.force_login(UserFactory(username="li", is_superuser=True))
    return client
