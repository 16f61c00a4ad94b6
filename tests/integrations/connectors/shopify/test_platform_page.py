"""The requests that the platform's page prints are answered by the simulator as it prints, and read by our parsers."""

import pytest
import requests

from integrations.connectors.shopify import parse, refusals
from tests.integrations.simulator.shopify import documents as printed

from .conftest import number

pytestmark = pytest.mark.pure


def test_nothing():
    assert [name for name in dir(printed) if name.isupper()]
