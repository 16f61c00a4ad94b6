"""API keys: what opens, what does not, how often, and how staff make and revoke them."""

import logging
import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.api_keys import take_turn
from catalog.models import ApiKey, AuditEvent
from config.logs import mask_secrets
from tests.api import asking
from tests.factories import NOW, ApiKeyFactory, SkuFactory, UserFactory

pytestmark = pytest.mark.django_db


def problem(answer, status):
    """The problem that the answer states, which must be one of that status."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["type"] == "about:blank"
    assert body["instance"].startswith("/api/")
    return body


# --- What opens -----------------------------------------------------------------------------------------------------


def test_a_key_opens_what_its_scopes_name(program):
    assert program(scopes=["read:catalog"]).get("products/").status_code == 200


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("products/", "read:catalog"),
        ("skus/", "read:catalog"),
        ("channels/", "read:catalog"),
        ("listings/", "read:watch"),
        ("listings/1/observations/", "read:watch"),
        ("thresholds/", "read:alerts"),
        ("alerts/", "read:alerts"),
        ("promotions/", "read:prices"),
        ("quotes/", "read:prices"),
        ("listings/1/quote/", "read:prices"),
        ("sync-status/", "read:sync"),
    ],
)
def test_a_key_without_the_scope_is_refused(program, path, scope):
    others = [each.value for each in ApiKey.Scope if each != scope]
    assert scope in problem(program(scopes=others).get(path), 403)["detail"]


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        pytest.param({"revoked_at": NOW}, "revoked", id="revoked"),
        pytest.param({"expires_at": NOW}, "ended", id="ended just now"),
        pytest.param({"expires_at": NOW - timedelta(days=1)}, "ended", id="ended"),
    ],
)
def test_a_key_that_is_over_opens_nothing(program, time_machine, fields, word):
    time_machine.move_to(NOW, tick=False)
    answer = program(**fields).get("products/")
    assert word in problem(answer, 401)["detail"]
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_key_works_until_its_end(program, time_machine):
    time_machine.move_to(NOW, tick=False)
    assert program(expires_at=NOW + timedelta(seconds=1)).get("products/").status_code == 200


def test_a_key_ends_with_its_person(program):
    assert "no longer active" in problem(program(UserFactory(is_active=False)).get("products/"), 401)["detail"]


@pytest.mark.parametrize("shown", ["", "Bearer", "Bearer es_nothing", "Basic YTpi", "Bearer \xff\x00", "es_x"])
def test_whoever_shows_no_key_is_asked_for_one(client, shown):
    answer = client.get("/api/v1/products/", headers={"Authorization": shown} if shown else {})
    problem(answer, 401)


def test_a_robot_that_cannot_sign_in_reads_by_its_role(program):
    robot = UserFactory(is_staff=False)
    robot.groups.add(Group.objects.get(name="Viewer"))
    assert program(robot).get("products/").status_code == 200


def test_a_key_of_a_role_that_may_not_look_is_refused(program):
    assert "role" in problem(program(UserFactory()).get("products/"), 403)["detail"]


def test_staff_read_with_their_session(client):
    client.force_login(UserFactory(is_superuser=True))
    assert client.get("/api/v1/products/").status_code == 200


def test_a_session_of_somebody_who_may_not_use_the_admin_opens_nothing(client):
    client.force_login(UserFactory(is_superuser=True, is_staff=False))
    problem(client.get("/api/v1/products/"), 401)


def test_the_key_is_stored_as_a_hash_alone(owner):
    stored = repr(ApiKey.objects.values().get())
    assert owner.token not in stored
    assert owner.token[:11] in stored


# --- Costs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "scopes", "is_shown"),
    [
        pytest.param("Manager", ["read:catalog", "read:cost"], True, id="role and scope"),
        pytest.param("Manager", ["read:catalog"], False, id="no scope"),
        pytest.param("Viewer", ["read:catalog", "read:cost"], False, id="no permission"),
    ],
)
def test_costs_are_left_out_without_role_and_scope(program, role, scopes, is_shown):
    user = UserFactory()
    user.groups.add(Group.objects.get(name=role))
    sku = SkuFactory(cost_price="9.9", cost_currency="CNY")
    reader = program(user, scopes=scopes)
    (listed,) = reader.rows("skus/")
    for row in (listed, reader.get(f"skus/{sku.pk}/").json()):
        assert {name: row[name] for name in row if "cost" in name} == (
            {"cost_price": "9.90", "cost_currency": "CNY"} if is_shown else {}
        )


# --- Pace -----------------------------------------------------------------------------------------------------------


def test_a_key_sends_a_burst_and_then_keeps_its_pace(settings):
    settings.API_REQUESTS_PER_MINUTE = 60
    key = ApiKeyFactory()
    assert [take_turn(key=key, now=NOW) for _ in range(7)] == [timedelta()] * 6 + [timedelta(seconds=1)]
    assert take_turn(key=key, now=NOW + timedelta(milliseconds=999)) == timedelta(milliseconds=1)
    assert take_turn(key=key, now=NOW + timedelta(seconds=1)) == timedelta()
    assert take_turn(key=key, now=NOW + timedelta(seconds=1)) == timedelta(seconds=1)


def test_a_minute_never_takes_more_than_its_requests_and_a_burst(settings):
    settings.API_REQUESTS_PER_MINUTE = 60
    key = ApiKeyFactory()
    taken = [take_turn(key=key, now=NOW + timedelta(milliseconds=100 * tenth)) for tenth in range(600)]
    assert taken.count(timedelta()) == 65  # the last second's request comes at its end


def test_keys_do_not_slow_each_other_down(settings):
    settings.API_REQUESTS_PER_MINUTE = 1
    assert [take_turn(key=ApiKeyFactory(), now=NOW) for _ in range(2)] == [timedelta()] * 2


def test_a_clock_that_was_put_back_locks_no_key_out(settings):
    settings.API_REQUESTS_PER_MINUTE = 60
    key = ApiKeyFactory()
    take_turn(key=key, now=NOW + timedelta(days=1))
    assert take_turn(key=key, now=NOW) == timedelta()
    assert ApiKey.objects.get().paced_until_us == int(NOW.timestamp() + 1) * 1_000_000


def test_the_time_of_use_is_written_once_a_minute():
    key = ApiKeyFactory()
    for seconds, noted in ((0, 0), (59, 0), (60, 60), (90, 60)):
        take_turn(key=key, now=NOW + timedelta(seconds=seconds))
        assert ApiKey.objects.get().last_used_at == NOW + timedelta(seconds=noted)


def test_who_asks_too_often_is_told_when_to_come_back(program, settings):
    settings.API_REQUESTS_PER_MINUTE = 1
    reader = program()
    assert reader.get("products/").status_code == 200
    answer = reader.get("products/")
    problem(answer, 429)
    assert 55 <= int(answer.headers["Retry-After"]) <= 60


def test_the_pace_holds_across_processes(start_worker):
    """Four processes that ask as fast as they can get a burst together, not each."""
    start_worker(asking.set_up).result()
    processes = [start_worker(asking.ask, NOW) for _ in range(4)]
    assert sum(process.result() for process in processes) == 30


# --- Pages of staff -------------------------------------------------------------------------------------------------


def form_data(user, **changed):
    return {"name": "ERP", "user": user.pk, "scopes": ["read:catalog", "read:watch"], "expires_at": "", **changed}


@pytest.fixture
def boss(client):
    user = UserFactory(is_superuser=True)
    client.force_login(user)
    return user


def make(client, user, **changed):
    """The page after the form."""
    return client.post("/catalog/apikey/add/", form_data(user, **changed), follow=True)


def token_in(page):
    (token,) = set(re.findall(r"es_[\w-]{43}", page.text))
    return token


def test_a_new_key_is_shown_once_and_works(client, boss):
    page = make(client, boss)
    token = token_in(page)
    assert "no-store" in page.headers["Cache-Control"]
    answer = client.get("/api/v1/listings/", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    again = client.get("/catalog/apikey/new/", follow=True)
    assert "A key is shown once." in again.text
    assert token not in again.text


def test_the_key_is_in_no_session_list_history_or_log(client, boss, caplog):
    caplog.set_level(logging.DEBUG)
    page = client.post("/catalog/apikey/add/", form_data(boss))
    assert "es_" not in repr(dict(client.session.items()))
    token = token_in(client.get(page["Location"]))
    assert "new_api_key" not in client.session
    for path in ("/catalog/apikey/", f"/catalog/apikey/{ApiKey.objects.get().pk}/change/", "/catalog/auditevent/"):
        assert token not in client.get(path).text
    assert token not in repr(list(AuditEvent.objects.values()))
    client.get("/api/v1/products/", headers={"Authorization": f"Bearer {token}"})
    assert token not in caplog.text


def test_a_key_that_got_into_a_log_line_is_masked():
    token = ApiKey().issue()
    assert token[3:] not in mask_secrets(f'GET /api/v1/products/?token={token} "{token}"')


def test_adding_and_revoking_leave_audit_events(client, boss):
    make(client, boss)
    key = ApiKey.objects.get()
    client.post("/catalog/apikey/", {"action": "revoke", "_selected_action": [key.pk], "index": "0"})
    assert list(AuditEvent.objects.filter(object_type="catalog.apikey").values_list("action", "actor")) == [
        ("revoked", boss.pk),
        ("added", boss.pk),
    ]
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert "Revoked" in client.get("/catalog/apikey/").text


def test_a_key_that_was_never_used_is_known_to_be_so(client, boss):
    ApiKeyFactory()
    cell = re.search(r'<td class="field-used[^"]*">(.*?)</td>', client.get("/catalog/apikey/").text)
    assert cell is not None
    assert cell[1] == "never"


def test_the_last_day_counts_as_a_whole(client, boss, time_machine):
    time_machine.move_to(NOW, tick=False)  # noon in Shanghai
    make(client, boss, expires_at="2026-11-21")
    assert ApiKey.objects.get().expires_at == NOW + timedelta(hours=12)
    assert "This day is over." in make(client, boss, expires_at="2026-11-20").text


def test_a_key_reads_nothing_without_a_scope(client, boss):
    make(client, boss, scopes=[])
    assert not ApiKey.objects.exists()


def test_a_manager_makes_keys_for_themselves_alone(client, boss):
    manager = UserFactory()
    manager.groups.add(Group.objects.get(name="Manager"))
    client.force_login(manager)
    make(client, boss)
    assert not ApiKey.objects.exists()
    make(client, manager)
    assert ApiKey.objects.get().user == manager


def test_a_manager_sees_and_revokes_their_own_keys_alone(client):
    manager = UserFactory()
    manager.groups.add(Group.objects.get(name="Manager"))
    client.force_login(manager)
    own, other = ApiKeyFactory(user=manager, name="mine"), ApiKeyFactory(name="theirs")
    page = client.get("/catalog/apikey/")
    assert "mine" in page.text
    assert "theirs" not in page.text
    client.post("/catalog/apikey/", {"action": "revoke", "_selected_action": [own.pk, other.pk], "index": "0"})
    assert list(ApiKey.objects.filter(revoked_at=None)) == [other]


@pytest.mark.parametrize("role", ["Operator", "Buyer", "Viewer"])
def test_other_roles_have_nothing_to_do_with_keys(client, role):
    user = UserFactory()
    user.groups.add(Group.objects.get(name=role))
    client.force_login(user)
    assert client.get("/catalog/apikey/").status_code == 403
    assert client.get("/catalog/apikey/add/").status_code == 403


def test_the_list_of_keys_takes_as_many_queries_for_many_keys(client, boss):
    def queries():
        with CaptureQueriesContext(connection) as caught:
            assert client.get("/catalog/apikey/").status_code == 200
        return len(caught)

    ApiKeyFactory(last_used_at=timezone.now())
    few = queries()
    ApiKeyFactory.create_batch(20)
    assert queries() == few


def test_keys_go_with_the_person_they_act_for(client, boss):
    keys = [ApiKeyFactory(), ApiKeyFactory(), ApiKeyFactory()]
    person = keys[0].user
    assert "API key" in client.get(f"/catalog/user/{person.pk}/delete/").text
    client.post(f"/catalog/user/{person.pk}/delete/", {"post": "yes"})
    selection = {"action": "delete_selected", "index": "0", "_selected_action": [keys[1].user_id], "post": "yes"}
    client.post("/catalog/user/", selection)
    assert list(ApiKey.objects.all()) == [keys[2]]
