"""Alerts, and what staff do with them on the board, for the tests of where alerts are shown."""

from datetime import timedelta

from django.urls import reverse

from monitoring.models import Alert, Severity
from tests.factories import NOW, AlertFactory, ListingFactory, SkuFactory, UserFactory

BOARD = "admin:monitoring_alert_changelist"
HOUR = timedelta(hours=1)
MAX_QUERIES = 12
Status = Alert.Status


def fill(count):
    """Alerts of every status and severity on listings of channels of their own, some with an owner."""
    people = UserFactory.create_batch(3)
    for number in range(count):
        AlertFactory(
            severity=Severity.values[number % 3],
            listing=ListingFactory(sku=SkuFactory()),
            status=Status.OPEN if number % 2 else Status.ACKNOWLEDGED,
            owner=people[number % 3],
            opened_at=NOW - number * HOUR,
        )


def board(client, **query):
    return client.get(reverse(BOARD), query)


def rows(client, **query):
    return list(board(client, **query).context["cl"].result_list)


def act(client, action, alerts, *, url="", **data):
    posted = {"action": action, "index": "0", "select_across": "0", "_selected_action": [each.pk for each in alerts]}
    return client.post(reverse(BOARD) + url, {**posted, **data}, follow=True)


def one(client, verb, alert, **data):
    return client.post(reverse(f"admin:monitoring_alert_{verb}", args=[alert.pk]), data)


def told(answer):
    return [str(message) for message in answer.context["messages"]]
