import ast
import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from catalog.models import AuditEvent
from integrations import connections
from integrations.connections import (
    CIRCUIT_FAILURES,
    LONGEST_HOLD,
    Unconnected,
    claim_probe,
    connector_for,
    forget_failures,
    hold,
    mark_failed,
    mark_good,
    needs_probe,
    unauthorised_connector_for,
)
from integrations.connectors.errors import Fatal, Reauthorise, Retry, Review, Wait
from integrations.models import ChannelHealth, Credential
from integrations.problems import PROBLEMS, explain, sentence
from monitoring.causes import CAUSE_LABELS, cause_label
from tests.factories import NOW, ChannelFactory, CredentialFactory

ROOT = Path(__file__).resolve().parent.parent.parent
SECOND = timedelta(seconds=1)


@pytest.fixture
def channel(db):
    return CredentialFactory(token_expires_at=NOW + timedelta(days=90), authorised_at=NOW).channel


def timeout() -> Retry:
    return Retry("taobao", "taobao.items.seller.list.get", cause="timeout")


def fail(channel, error=None, *, at=NOW) -> ChannelHealth:
    mark_failed(channel, error or timeout(), at)
    return ChannelHealth.objects.get(channel=channel)


def held_until(health: ChannelHealth) -> datetime:
    assert health.retry_at is not None
    return health.retry_at


# --- A connector from a credential ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "cause"),
    [
        pytest.param({"app_key": ""}, "not-set-up", id="no app key"),
        pytest.param({"app_secret": ""}, "not-set-up", id="no app secret"),
        pytest.param({"access_token": ""}, "not-authorised", id="no token"),
        pytest.param({"token_expires_at": NOW}, "expired", id="a token that ends exactly now"),
        pytest.param(
            {"token_expires_at": NOW + timedelta(days=90), "token_levels": {"r1": NOW.isoformat()}},
            "expired",
            id="a level for reading that ends exactly now",
        ),
        pytest.param({"revoked_cause": "session-invalid"}, "session-invalid", id="a refused token"),
        pytest.param({"options": {"app_type": "guild"}}, "bad-setting", id="an option the platform does not know"),
        pytest.param({"base_url": "ftp://shop"}, "bad-setting", id="an address that cannot work"),
    ],
)
def test_a_channel_that_cannot_be_called_says_why(db, stored, cause):
    channel = CredentialFactory(**stored).channel
    with pytest.raises(Unconnected) as caught:
        connector_for(channel, now=NOW)
    assert caught.value.cause == cause
    assert "helloworld" not in f"{caught.value!r} {caught.value} {caught.value.detail}"


def test_a_channel_without_credential_is_not_set_up(db):
    with pytest.raises(Unconnected) as caught:
        connector_for(ChannelFactory())
    assert caught.value.cause == "not-set-up"


def test_a_connector_gets_the_credential_its_options_and_the_settings(channel, settings):
    settings.HTTP_TOTAL_TIMEOUT_SECONDS = 7.0
    credential = channel.credential
    credential.base_url, credential.options = "http://127.0.0.1:8900/", {"app_type": "service", "sign_method": "md5"}
    credential.save()
    calls = []
    connector = connector_for(channel, before_call=lambda: calls.append(1), now=NOW)
    assert connector.base_url == connector.auth_base_url == "http://127.0.0.1:8900"
    assert connector.can_refresh
    assert connector.http.limits.total_seconds == 7.0
    assert connector.http.before_call is not None
    assert connector.without_secrets("key helloworld") == "key ***"


def test_levels_for_writing_end_no_reading(db):
    levels = {"w1": NOW.isoformat(), "w2": NOW.isoformat(), "r1": (NOW + timedelta(days=90)).isoformat()}
    credential = CredentialFactory(token_levels=levels)
    assert credential.state(NOW) == Credential.State.CONNECTED
    assert credential.reads_until == NOW + timedelta(days=90)
    assert CredentialFactory().reads_until is None


def test_a_channel_whose_secret_no_key_decrypts_says_so(channel, settings):
    settings.CREDENTIAL_KEYS = [Fernet.generate_key().decode()]
    channel = type(channel).objects.get()
    for connect in (connector_for, unauthorised_connector_for):
        with pytest.raises(Unconnected) as caught:
            connect(channel)
        assert caught.value.cause == "key-missing"


def test_to_authorise_no_token_is_needed(db):
    channel = CredentialFactory(access_token="", revoked_cause="session-invalid").channel
    assert "client_id=12345678" in unauthorised_connector_for(channel).authorise_url(redirect_uri="x", state="y")


# --- How calls went -------------------------------------------------------------------------------------------------


def test_failures_in_a_row_wait_longer_each_time_and_never_longer_than_the_longest():
    holds = [hold(failures) for failures in range(1, 40)]
    assert timedelta(seconds=0.75) <= holds[0] <= SECOND
    assert timedelta(seconds=6) <= holds[3] <= 8 * SECOND
    assert timedelta(seconds=22) <= holds[4] <= 30 * SECOND
    assert all(held <= LONGEST_HOLD for held in holds)
    assert holds[-1] >= LONGEST_HOLD * 0.75


def test_the_circuit_opens_after_five_failures_in_a_row(channel):
    at = NOW
    for count in range(1, CIRCUIT_FAILURES + 1):
        health = fail(channel, at=at)
        assert health.failures == count
        assert needs_probe(health) is (count == CIRCUIT_FAILURES)
        at = held_until(health)
    assert (health.kind, health.cause) == ("retry", "timeout")
    assert held_until(health) - (health.failed_at or NOW) >= timedelta(seconds=22)


def test_calls_that_fail_together_are_one_failure(channel):
    for _ in range(8):
        health = fail(channel)
    assert health.failures == 1


def test_an_open_circuit_lets_one_worker_make_one_call(channel):
    ChannelHealth.objects.create(channel=channel, failures=5, kind="retry", cause="timeout", retry_at=NOW)
    assert not claim_probe(channel.pk, NOW - SECOND)
    assert claim_probe(channel.pk, NOW)
    assert not claim_probe(channel.pk, NOW)
    health = fail(channel, at=NOW + SECOND)
    assert health.failures == 6
    assert held_until(health) > NOW + timedelta(seconds=45)


def test_a_good_call_ends_what_held_the_channel_back(channel, django_assert_num_queries):
    other = ChannelFactory()
    ChannelHealth.objects.create(channel=channel, failures=7, kind="retry", cause="timeout", code="15", retry_at=NOW)
    with django_assert_num_queries(1):
        mark_good([channel.pk, other.pk, other.pk], NOW)
    for health in ChannelHealth.objects.all():
        assert (health.failures, health.retry_at, health.kind, health.cause, health.code) == (0, None, "", "", "")
        assert health.good_at == NOW
    assert ChannelHealth.objects.count() == 2


@pytest.mark.parametrize(
    ("failed", "sent_after", "is_probe", "ends"),
    [
        pytest.param({"failures": 2, "kind": "retry"}, 1, False, True, id="sent after a failure"),
        pytest.param({"failures": 2, "kind": "retry"}, -1, False, False, id="sent before it"),
        pytest.param({"failures": 7, "kind": "retry"}, 1, False, False, id="an open circuit"),
        pytest.param({"failures": 7, "kind": "retry"}, 1, True, True, id="an open circuit, probed"),
        pytest.param({"failures": 7, "kind": "retry"}, -1, True, False, id="a probe before another failure"),
        pytest.param({"failures": 1, "kind": "review"}, 1, False, False, id="for a person"),
        pytest.param({"failures": 1, "kind": "fatal"}, 1, True, True, id="for a person, probed"),
        pytest.param({"kind": "wait"}, 1, False, False, id="a wait that is not over"),
        pytest.param({"kind": "wait", "retry_at": NOW - SECOND}, 1, False, True, id="a wait that is over"),
    ],
)
def test_good_news_end_a_hold_only_when_they_can_know_of_it(channel, failed, sent_after, is_probe, ends):
    stored = {"failed_at": NOW - 5 * SECOND, "retry_at": NOW + 60 * SECOND, "cause": "why", **failed}
    before = ChannelHealth.objects.create(channel=channel, **stored)
    mark_good([channel.pk], NOW, sent_at=NOW - 5 * SECOND + sent_after * SECOND, is_probe=is_probe)
    health = ChannelHealth.objects.get()
    held = (before.failures, before.retry_at, before.kind, before.cause)
    assert (health.failures, health.retry_at, health.kind, health.cause) == ((0, None, "", "") if ends else held)
    assert health.good_at == NOW


def test_a_failure_under_a_longer_wait_does_not_take_its_place(channel):
    until = NOW + timedelta(hours=8)
    fail(channel, Wait("taobao", "op", retry_at=until, cause="daily-quota"))
    health = fail(channel, at=NOW + 40 * SECOND)
    assert (health.kind, health.cause, health.retry_at) == ("wait", "daily-quota", until)


@pytest.mark.parametrize(
    ("asked", "waited"),
    [
        pytest.param(timedelta(seconds=30), timedelta(seconds=30), id="as long as the platform says"),
        pytest.param(timedelta(seconds=-5), timedelta(seconds=1), id="at least a second"),
        pytest.param(timedelta(days=400), timedelta(hours=25), id="at most a little more than a day"),
    ],
)
def test_a_limit_holds_the_channel_until_then_and_counts_as_no_failure(channel, asked, waited):
    health = fail(channel, Wait("taobao", "op", retry_at=NOW + asked, code="7"))
    assert (health.failures, health.retry_at, health.cause, health.code) == (0, NOW + waited, "quota", "7")
    assert not needs_probe(health)


def test_a_shorter_hold_does_not_shorten_a_longer_one(channel):
    fail(channel, Wait("taobao", "op", retry_at=NOW + timedelta(hours=3), cause="daily-quota"))
    health = fail(channel, Wait("taobao", "op", retry_at=NOW + SECOND), at=NOW + SECOND)
    assert health.retry_at == NOW + timedelta(hours=3)


@pytest.mark.parametrize(
    "error",
    [
        Fatal("taobao", "op", cause="bad-signature", code="25"),
        Review("taobao", "op", scope="channel", cause="permission", code="11"),
    ],
    ids=["fatal", "review"],
)
def test_what_needs_a_person_rests_long_and_is_then_probed_with_one_call(channel, error):
    health = fail(channel, error)
    assert health.retry_at == NOW + LONGEST_HOLD
    assert (health.kind, health.cause, health.code) == (error.kind, error.cause, error.code)
    assert needs_probe(health)
    # A call that was under way and timed out does not hide it.
    assert fail(channel, at=NOW + 25 * SECOND).cause == error.cause
    mark_good([channel.pk], NOW)
    assert ChannelHealth.objects.get().kind == ""


def test_a_call_made_after_what_needs_a_person_tells_newer_news_and_keeps_the_longer_hold(channel):
    fail(channel, Fatal("taobao", "op", cause="redirect", code="302"))
    mark_failed(channel, timeout(), NOW + 9 * SECOND, sent_at=NOW - SECOND)
    assert ChannelHealth.objects.get().cause == "redirect"
    mark_failed(channel, timeout(), NOW + 9 * SECOND, sent_at=NOW + 8 * SECOND)
    health = ChannelHealth.objects.get()
    assert (health.kind, health.cause, health.code) == ("fatal", "redirect", "302")
    mark_failed(channel, timeout(), NOW + 39 * SECOND, sent_at=NOW + 38 * SECOND)
    health = ChannelHealth.objects.get()
    assert (health.kind, health.cause, health.failed_at) == ("retry", "timeout", NOW + 39 * SECOND)
    assert health.retry_at == NOW + LONGEST_HOLD


def test_an_error_about_one_listing_is_not_the_channels(channel):
    mark_failed(channel, Review("taobao", "op", scope="listing", cause="unknown-listing"), NOW)
    assert not ChannelHealth.objects.exists()


def test_a_refused_token_asks_for_a_new_authorisation_and_is_audited_once(channel):
    refused = Reauthorise("taobao", "op", cause="session-invalid", code="27")
    for _ in range(3):
        mark_failed(channel, refused, NOW)
    credential = Credential.objects.get()
    assert credential.state(NOW) == Credential.State.REAUTHORISE
    event = AuditEvent.objects.get()
    assert (event.action, event.channel, event.actor) == ("authorisation lost", channel, None)
    with pytest.raises(Unconnected) as caught:
        connector_for(credential.channel, now=NOW)
    assert caught.value.cause == "session-invalid"


def test_the_refusal_of_an_old_token_does_not_touch_a_newer_one(channel):
    assert channel.credential.authorised_at == NOW
    Credential.objects.update(authorised_at=NOW + SECOND)
    mark_failed(channel, Reauthorise("taobao", "op", cause="session-invalid"), NOW + 2 * SECOND)
    assert Credential.objects.get().revoked_cause == ""
    assert not ChannelHealth.objects.exists()


def test_new_settings_forget_what_went_wrong_but_not_when_it_last_went_well(channel):
    mark_good([channel.pk], NOW)
    fail(channel, Fatal("taobao", "op", cause="bad-signature"))
    forget_failures(channel)
    health = ChannelHealth.objects.get()
    assert (health.failures, health.retry_at, health.cause, health.good_at) == (0, None, "", NOW)


# --- Causes and sentences -------------------------------------------------------------------------------------------

SLUG = re.compile(r"[a-z]+(-[a-z]+)+")
_MADE_WITH = {"Meaning", "Reading", "PushOutcome", "Unconnected", "_absent"}


def slugs_of(path: Path) -> set[str]:
    """What the source gives as a cause: `cause=…`, what a Meaning, a Reading and such are made with, what is
    returned beside a value, and what is put into a name such as `cause`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        parts: list[ast.AST] = []
        if isinstance(node, ast.keyword) and node.arg == "cause":
            parts = [node.value]
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in _MADE_WITH:
            parts = list(node.args)
        elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
            parts = list(node.value.elts)
        elif isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "cause" for target in node.targets):
            parts = [node.value]
        for part in parts:
            constants = (each.value for each in ast.walk(part) if isinstance(each, ast.Constant))
            found |= {value for value in constants if isinstance(value, str) and SLUG.fullmatch(value)}
            if isinstance(node, ast.keyword) and isinstance(part, ast.Constant):
                found.add(str(part.value))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Meaning":
            found |= {str(argument.value) for argument in node.args[1:2] if isinstance(argument, ast.Constant)}
    return found - {""}


CAUSES = sorted(
    {
        cause
        for path in [
            *(ROOT / "integrations/connectors").rglob("*.py"),
            *(ROOT / "integrations/fetching").rglob("*.py"),
            Path(connections.__file__),
        ]
        for cause in slugs_of(path)
    }
    | {
        state.value
        for state in (
            Credential.State.NOT_SET_UP,
            Credential.State.KEY_MISSING,
            Credential.State.NOT_AUTHORISED,
            Credential.State.EXPIRED,
        )
    }
)


def test_the_causes_of_the_connectors_are_found():
    assert {"timeout", "session-invalid", "price-not-positive", "unknown-listing", "quota", "bad-setting"} <= set(
        CAUSES
    )


@pytest.mark.parametrize("cause", CAUSES)
def test_every_cause_has_a_label_and_a_sentence(cause):
    assert cause in CAUSE_LABELS
    assert cause in PROBLEMS


def test_labels_and_sentences_are_of_the_same_causes():
    assert set(CAUSE_LABELS) == set(PROBLEMS)


@pytest.mark.parametrize("cause", [*PROBLEMS, "something-new"])
def test_a_sentence_names_the_channel_and_what_to_do(cause):
    channel = ChannelFactory.build(name="Amazon 100% US")
    told = explain(cause=cause, channel=channel, at=NOW, code="27")
    assert "Amazon 100% US" in told.what or cause.startswith("variant") or "channel" not in str(told)
    assert told.advice
    assert "%(" not in str(told)
    assert "!" not in str(told)
    assert told.code == "27"


def test_a_sentence_tells_the_time_as_the_page_around_it_does(time_machine):
    time_machine.move_to(NOW)
    channel = ChannelFactory.build(name="Amazon US", time_zone="America/New_York")
    assert sentence(cause="session-invalid", channel=channel, at=NOW).startswith(
        "Amazon US refused our access at 12:00."
    )


def test_a_sentence_says_when_the_next_try_is(time_machine):
    time_machine.move_to(NOW)
    channel = ChannelFactory.build()
    told = sentence(cause="quota", channel=channel, at=NOW, retry_at=NOW + timedelta(minutes=3))
    assert told.endswith("Next try 12:03.")


@pytest.mark.parametrize(
    ("cause", "retry_in"),
    [
        pytest.param("timeout", timedelta(seconds=40), id="within this minute"),
        pytest.param("timeout", timedelta(minutes=-3), id="in the past"),
        pytest.param("session-invalid", timedelta(minutes=15), id="a person must authorise"),
        pytest.param("permission", timedelta(minutes=15), id="a person must ask for it"),
    ],
)
def test_a_next_try_that_says_nothing_is_left_out(time_machine, cause, retry_in):
    time_machine.move_to(NOW)
    told = sentence(cause=cause, channel=ChannelFactory.build(), at=NOW, retry_at=NOW + retry_in)
    assert "Next try" not in told


def test_a_long_wait_is_told_as_one_that_we_may_end_sooner(time_machine):
    time_machine.move_to(NOW + timedelta(minutes=30))
    told = sentence(cause="quota", channel=ChannelFactory.build(), at=NOW, retry_at=NOW + timedelta(hours=1))
    assert told.endswith("limited our calls at 12:00. It asks for a long wait; we try again at 13:00.")


def test_no_cause_has_no_label_and_an_unknown_one_is_not_read():
    assert (cause_label(""), cause_label("something-new")) == ("", "not read")
