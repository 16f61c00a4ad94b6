"""A connector of one shop of the simulator, so that each test says only what is special about it."""

from datetime import UTC, datetime

import pytest

from integrations.connectors.http import HttpClient, Limits
from integrations.connectors.taobao import TaobaoConnector, TaobaoCredentials
from tests.integrations.simulator.conftest import Caller


@pytest.fixture
def now():
    return datetime.now(UTC)


@pytest.fixture
def connect_to(simulator):
    """A connector of an own shop by its key, its patience in seconds; other keywords replace its credentials."""
    account = simulator.taobao.account

    def build(key, patience=10, **changes):
        http = HttpClient(limits=Limits(connect_seconds=5, read_seconds=patience, total_seconds=patience + 1))
        shop = simulator.taobao.shop(key)
        settings = {
            "app_key": account["app_key"],
            "app_secret": account["app_secret"],
            "access_token": shop["session"],
            "shop_kind": shop["kind"],
        }
        credentials = TaobaoCredentials.from_settings(settings | changes)
        return TaobaoConnector(credentials, base_url=simulator.base_url, http=http)

    return build


@pytest.fixture
def taobao(simulator):
    """A plain caller of the simulator's gateway, for what the connector has no call for."""
    caller = Caller(simulator)
    yield caller
    caller.http.close()
