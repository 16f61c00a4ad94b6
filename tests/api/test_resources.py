"""What each resource shows."""

import pytest

from tests.factories import ListingFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["products", "skus", "channels", "listings", "thresholds", "alerts"])
def test_smoke(owner, path):
    ListingFactory()
    answer = owner.get(f"{path}/")
    print(answer.status_code, answer.headers, answer.text)
    assert answer.status_code == 200


def test_smoke2(owner):
    listing = ListingFactory()
    answer = owner.get(f"listings/{listing.pk}/")
    print(answer.status_code, answer.headers, answer.text)
    answer = owner.get(f"listings/{listing.pk}/observations/")
    print(answer.status_code, answer.headers, answer.text)
    answer = owner.get(f"listings/{listing.pk}/observations/?from=x&y=4")
    print(answer.status_code, answer.headers, answer.text)
    answer = owner.get(f"listings/?limit=x&channel=abc")
    print(answer.status_code, answer.headers, answer.text)
    answer = owner.get(f"/api/foo")
    print(answer.status_code, answer.headers, answer.text)
    answer = owner.send("POST", "listings/")
    print(answer.status_code, answer.headers, answer.text)
    assert 0
