"""The board's tab of what was decided says what became of it."""

import pytest
from django.urls import reverse
from django.utils import timezone

from tests.factories import AdviceFactory, WarehouseFactory
from tests.staff import signed_in

pytestmark = pytest.mark.django_db


def shown(client, tab):
    return client.get(reverse("plan:board"), {"show": tab}).text


def test_what_became_of_advice_stands_with_what_was_decided(client):
    now = timezone.now()
    for outcome in ("right", "right", "right", "ran-out", "cannot-tell"):
        AdviceFactory(warehouse=WarehouseFactory(), state="accepted", decided_at=now, judged_at=now, outcome=outcome)
    signed_in(client, "Manager")
    text = shown(client, "decided")
    assert "What became of advice" in text
    assert "<strong>75.0%</strong>" in text
    assert "What became of advice" not in shown(client, "decide")


def test_before_anything_was_judged_it_says_when_it_will_be(client):
    AdviceFactory(state="rejected", decided_at=timezone.now())
    signed_in(client, "Manager")
    assert "Advice is judged when the time that it was to cover is over." in shown(client, "decided")
