import pytest
from django.utils import timezone
from integrations.fetching import fetch_slice
from catalog.models import Listing
from monitoring.models import *
pytestmark = pytest.mark.django_db

def test_smoke(connect, simulator):
    print(simulator.taobao.account)
    print(simulator.taobao.items()[:2])
    ch = connect()
    s = fetch_slice(seconds=20)
    print(s, s.problems)
    print(list(PollRun.objects.values()))
    print(Listing.objects.values()[0])
    assert Observation.objects.count() == Listing.objects.count()
    assert 0
