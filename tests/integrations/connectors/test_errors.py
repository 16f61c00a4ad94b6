from datetime import UTC, datetime

import pytest

from integrations.connectors.errors import ConnectorError, Fatal, Reauthorise, Retry, Review, Wait

pytestmark = pytest.mark.pure

NOW = datetime(2025, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Retry("acme", "read", cause="timeout"), "retry"),
        (Wait("acme", "read", retry_at=NOW), "wait"),
        (Reauthorise("acme", "read", cause="session-invalid"), "reauthorise"),
        (Review("acme", "read", scope="listing", cause="unknown-listing"), "review"),
        (Fatal("acme", "read", cause="bad-signature"), "fatal"),
    ],
)
def test_every_class_has_its_kind(error, kind):
    assert isinstance(error, ConnectorError)
    assert error.kind == kind
    assert str(error).startswith(f"acme read: {kind} (")


def test_what_the_platform_said_stays_one_short_line():
    error = Fatal("acme", "read", cause="bad-request", code="1\r\n2", request_id="r" * 500, detail="a\nb\x1b[31m" * 500)
    assert str(error).isprintable()
    assert len(str(error)) < 500
