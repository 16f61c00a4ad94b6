"""What a lane lets a call do: nothing that could outlast the lease of its rows."""

from datetime import timedelta

import pytest

from integrations.connectors.base import Capability
from integrations.connectors.errors import Wait
from integrations.lanes.lane import LEASE_OVER, Batch, Chunk, Lane
from tests.factories import NOW, ChannelFactory

SECOND = timedelta(seconds=1)


@pytest.fixture
def lane():
    return Lane(ChannelFactory.build(), clock=lambda: NOW)


def begin(lane, lease_until):
    lane.begin(Batch(Chunk(lane, lease_until=lease_until), Capability.PUSH_STOCK, [1], []))


@pytest.mark.parametrize(("seconds_left", "may_call"), [(32, True), (31, True), (30, False), (0, False), (-5, False)])
def test_a_call_is_made_only_if_it_ends_before_the_lease_does(lane, settings, seconds_left, may_call):
    settings.HTTP_TOTAL_TIMEOUT_SECONDS = 30  # and a second more
    begin(lane, NOW + seconds_left * SECOND)
    if may_call:
        lane.before_call()
        return
    with pytest.raises(Wait) as caught:
        lane.before_call()
    assert (caught.value.cause, caught.value.retry_at) == (LEASE_OVER, NOW + seconds_left * SECOND)


def test_rows_that_may_be_read_by_two_are_read_whenever(lane):
    begin(lane, None)
    lane.before_call()
