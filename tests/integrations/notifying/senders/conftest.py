"""Senders meet small servers of the test on this machine, which the settings allow here."""

from datetime import UTC, datetime

import pytest

from integrations.connectors.http import HttpClient, Limits
from integrations.notifying.senders.base import Message

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
QUICK = Limits(connect_seconds=0.5, read_seconds=0.3, total_seconds=0.8, max_bytes=64 * 1024)


@pytest.fixture(autouse=True)
def allow_this_machine(settings):
    settings.ALLOWED_PRIVATE_HOSTS = ["127.0.0.1"]


@pytest.fixture
def http():
    return HttpClient(limits=QUICK)


@pytest.fixture
def now():
    return NOW


def message(**fields) -> Message:
    given = {
        "subject": "Below ¥200: 台灯",
        "lines": ("台灯 · 天猫旗舰店", "Live price ¥268.00 → ¥189.00, limit ¥200.00"),
        "severity": "critical",
        "message_id": "msg_7f3a",
        "url": "https://shop.example/alerts/1/",
    }
    return Message(**{**given, **fields})
