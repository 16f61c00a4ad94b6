"""Passwords cannot be guessed without end, and nobody is locked out of everywhere by somebody else."""

from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.conf import settings
from django.test import RequestFactory
from django.urls import reverse
from django.utils import timezone, translation

from catalog.models import AuditEvent
from config.formatting import moment
from config.sign_in import client_address
from tests.factories import UserFactory

HOME, ELSEWHERE = "203.0.113.7", "198.51.100.9"
PASSWORD = "correct horse battery"


@pytest.fixture
def linyue(db):
    return UserFactory(username="linyue")


def sign_in(client, *, password=PASSWORD, username="linyue", address=HOME, **headers):
    return client.post(
        reverse("admin:login"),
        {"username": username, "password": password},
        headers={"User-Agent": "browser", **headers},
        REMOTE_ADDR=address,
    )


def fail(client, times, **kwargs):
    return [sign_in(client, password=f"guess-{number}", **kwargs) for number in range(times)]


def is_signed_in(client):
    return "_auth_user_id" in client.session


def test_after_five_failures_even_the_right_password_is_not_looked_at(client, linyue):
    assert [answer.status_code for answer in fail(client, 5)] == [200, 200, 200, 200, 429]
    assert sign_in(client).status_code == 429
    assert not is_signed_in(client)


def test_four_failures_and_the_right_password_start_the_count_again(client, linyue):
    for _round in range(2):
        fail(client, 4)
        assert sign_in(client).status_code == 302
        client.logout()


def test_another_browser_does_not_get_further_tries(client, linyue):
    fail(client, 5)
    assert sign_in(client, **{"User-Agent": "another"}).status_code == 429


def test_the_locked_out_person_gets_in_from_elsewhere_and_others_from_the_same_address(client, linyue):
    UserFactory(username="wangfang")
    fail(client, 5)
    assert sign_in(client, username="wangfang").status_code == 302
    client.logout()
    assert sign_in(client, address=ELSEWHERE).status_code == 302


@pytest.mark.parametrize(("language", "title"), [("en", "Too many failed sign-ins"), ("zh-hans", "登录失败次数过多")])
def test_the_page_says_when_to_try_again(client, linyue, language, title):
    client.cookies.load({settings.LANGUAGE_COOKIE_NAME: language})
    fail(client, 5)
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=5))
    answer = sign_in(client)
    with translation.override(language):
        at = AccessAttempt.objects.get().attempt_time + timedelta(minutes=15)
        assert title in answer.text
        assert moment(at) in answer.text
    assert 595 <= int(answer["Retry-After"]) <= 601
    assert "style=" not in answer.text
    assert "<script>" not in answer.text


def test_trying_on_does_not_make_the_wait_longer_and_after_it_the_person_gets_in(client, linyue):
    fail(client, 7)
    last = AccessAttempt.objects.get().attempt_time
    sign_in(client)
    assert AccessAttempt.objects.get().attempt_time == last
    AccessAttempt.objects.update(attempt_time=last - timedelta(minutes=15))
    assert sign_in(client).status_code == 302


def test_the_audit_log_takes_what_was_looked_at_and_no_more(client, linyue):
    fail(client, 12)
    assert AuditEvent.objects.filter(action="sign-in failed").count() == 5


def test_no_password_is_kept_of_a_failed_sign_in(client, linyue):
    fail(client, 2)
    assert "guess" not in str(AccessAttempt.objects.values().get())


def test_a_user_name_of_any_length_is_refused_without_a_fault(client, linyue):
    assert [answer.status_code for answer in fail(client, 5, username="n" * 1_000)][-1] == 429


@pytest.mark.parametrize(
    ("behind_proxy", "remote", "forwarded", "expected"),
    [
        (False, "203.0.113.7", "", "203.0.113.7"),
        (False, "203.0.113.7", "10.0.0.1", "203.0.113.7"),
        (True, "127.0.0.1", "1.1.1.1, 203.0.113.7", "203.0.113.7"),
        (True, "203.0.113.7", "", "203.0.113.7"),
        (False, "::ffff:203.0.113.7", "", "203.0.113.7"),
        (False, "2001:db8:1:2:3:4:5:6", "", "2001:db8:1:2::"),
        (False, "", "", None),
        (True, "", "unknown", None),
    ],
)
def test_the_address_is_the_one_that_the_client_cannot_choose(settings, behind_proxy, remote, forwarded, expected):
    settings.BEHIND_PROXY = behind_proxy
    request = RequestFactory().post("/", REMOTE_ADDR=remote, headers={"X-Forwarded-For": forwarded})
    assert client_address(request) == expected
