"""Files that are taken away: what a spreadsheet would make of them, and the log of who took them."""

from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine
from django.urls import reverse

from catalog.models import AuditEvent
from tests.factories import NOW, SkuFactory
from tests.monitoring.watching import observe, watched
from tests.staff import member

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _now():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def listing():
    listing = watched(sku=SkuFactory(), platform_item_id="=1+1", platform_sku_id="7")
    observe(listing, timedelta(days=2), list_price=Decimal(100), stock=9)
    observe(listing, timedelta(hours=2), list_price=Decimal(90), stock=3)
    return listing


@pytest.fixture
def viewer(client, listing):
    user = member("Viewer", listing.channel)
    client.force_login(user)
    return user


EXPORTS = [
    ("listing-chart-csv", "listing", "listing-{pk}-30d.csv"),
    ("listing-history-csv", "listing", "listing-{pk}-history.csv"),
    ("compare-csv", "product", "product-{pk}-30d.csv"),
    ("moves-csv", "user", "price-moves.csv"),
]


@pytest.mark.parametrize(("view", "kind", "name"), EXPORTS)
def test_who_took_which_file_is_logged(client, viewer, listing, view, kind, name):
    about = {"listing": listing, "product": listing.sku.product, "user": viewer}[kind]
    client.get(reverse(f"watch:{view}", args=["price" if view == "moves-csv" else about.pk]))
    event = AuditEvent.objects.get()
    assert (event.action, event.actor, event.at) == ("exported", viewer, NOW)
    assert (event.object_type, event.object_id) == (f"catalog.{kind}", str(about.pk))
    assert event.changes == {"file": ["", name.format(pk=about.pk)]}


def test_a_file_that_is_refused_is_not_logged(client, viewer, listing):
    assert client.get(reverse("watch:listing-chart-csv", args=[listing.pk]), {"range": "x"}).status_code == 400
    assert client.get(reverse("watch:listing-history-csv", args=[listing.pk + 1])).status_code == 404
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize("view", ["compare-csv", "moves-csv"])
def test_a_platform_id_is_no_formula(client, viewer, listing, view):
    args = ["price"] if view == "moves-csv" else [listing.sku.product_id]
    text = b"".join(client.get(reverse(f"watch:{view}", args=args)).streaming_content).decode()
    assert ",'=1+1/7," in text
    assert ",=1+1" not in text
