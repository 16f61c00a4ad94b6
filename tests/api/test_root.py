"""Where a program begins: the addresses of what it may read."""

import pytest
from django.contrib.auth.models import Group

from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

LISTS = [
    *("products", "skus", "channels", "listings", "thresholds", "alerts", "promotions", "quotes"),
    *("plans", "advice", "health", "purchase-orders", "sync-status"),
]


@pytest.mark.parametrize(
    ("scopes", "lists"),
    [
        pytest.param(["read:catalog"], ["products", "skus", "channels"], id="catalog"),
        pytest.param(["read:watch"], ["listings"], id="watch"),
        pytest.param(["read:alerts"], ["thresholds", "alerts"], id="alerts"),
        pytest.param(["read:prices"], ["promotions", "quotes"], id="prices"),
        pytest.param(["read:plans"], ["plans", "advice", "health", "purchase-orders"], id="plans"),
        pytest.param(["read:sync"], ["sync-status"], id="sync"),
        pytest.param(["read:cost"], [], id="no list"),
    ],
)
def test_the_root_leads_to_the_lists_that_the_key_opens(program, scopes, lists):
    answer = program(scopes=scopes).get("/api/v1/")
    assert answer.status_code == 200
    assert [name for name in answer.json() if name in LISTS] == lists


def test_every_address_of_the_root_answers(owner):
    links = owner.get("/api/v1/").json()
    assert [*LISTS, "schema"] == list(links)
    for address in links.values():
        assert owner.get(address).status_code == 200, address


def test_staff_are_led_to_the_page_that_describes_it_all(client):
    client.force_login(UserFactory(is_superuser=True))
    links = client.get("/api/v1/").json()
    assert list(links) == [*LISTS, "schema", "docs"]
    assert client.get(links["docs"]).status_code == 200


def test_a_role_that_may_not_look_is_led_to_nothing(program):
    assert list(program(UserFactory()).get("/api/v1/").json()) == ["schema"]
    viewer = UserFactory()
    viewer.groups.add(Group.objects.get(name="Viewer"))
    assert "listings" in program(viewer).get("/api/v1/").json()


def test_the_root_belongs_to_who_asks(owner):
    answer = owner.get("/api/v1/")
    assert "private" in answer.headers["Cache-Control"]
    assert {"Authorization", "Cookie"} <= set(answer.headers["Vary"].split(", "))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", "/api/v1/?limit=1", 400, id="a parameter that there is not"),
        pytest.param("POST", "/api/v1/", 405, id="another method"),
        pytest.param("GET", "/api/v1", 404, id="no slash"),
        pytest.param("GET", "/api/v2/", 404, id="another version"),
    ],
)
def test_what_the_root_does_not_answer_is_a_problem(owner, method, path, status):
    answer = owner.send(method, path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")


def test_nobody_is_told_nothing(client):
    answer = client.get("/api/v1/")
    assert (answer.status_code, answer.headers["Content-Type"]) == (401, "application/problem+json")


def test_the_root_is_described(owner):
    described = owner.get("/api/v1/schema/").json()["paths"]["/api/v1/"]["get"]
    answered = described["responses"]["200"]["content"]["application/json"]["schema"]
    assert list(answered["properties"]) == [*LISTS, "schema", "docs"]
    assert answered["required"] == ["schema"]
