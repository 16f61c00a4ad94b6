from datetime import timedelta

import pytest
from django.utils import translation

from catalog.models import AuditEvent
from monitoring.alert_text import alert_sentence, alert_title, severity_word, threshold_sentence
from monitoring.models import Alert, Threshold
from monitoring.services import acknowledge, add_note, assign, reopen, resolve, snooze, wake_snoozed
from monitoring.services.alerts import end_alerts, open_alerts
from tests.factories import NOW, AlertFactory, ThresholdFactory, UserFactory

LATER = NOW + timedelta(minutes=5)
HOUR = timedelta(hours=1)
Status = Alert.Status


@pytest.mark.django_db
def test_smoke():
    alert = AlertFactory()
    user = UserFactory()
    assert acknowledge(alerts=[alert], actor=user, now=LATER) == 1
    assert acknowledge(alerts=Alert.objects.all(), actor=user, now=LATER) == 0
