"""Targets and deliveries in the admin."""

import re
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import Group
from django.db import connection
from django.db.models import F
from django.utils import timezone, translation
from django.utils.translation import gettext

from catalog.models import AuditEvent
from integrations.notifying.problems import PROBLEMS, explain
from monitoring.models import Delivery, Notification, Route, Severity, Target
from tests.factories import (
    AlertFactory,
    ChannelFactory,
    DeliveryFactory,
    NotificationFactory,
    RouteFactory,
    TargetFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

Status = Delivery.Status
TOKEN = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789ab7f3a"
ROBOT = f"https://oapi.dingtalk.com/robot/send?access_token={TOKEN}"
SECRET = "SEC0123456789abcdef0123456789abcdef9c1e"
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PRIVATE = "ask whoever runs the server to add 127.0.0.1:9 to ALLOWED_PRIVATE_HOSTS"


@pytest.fixture
def manager(client):
    return role(client, "Manager")


def role(client, name: str, *channels):
    user = UserFactory()
    user.groups.add(Group.objects.get(name=name))
    user.channels.set(channels)
    client.force_login(user)
    return user


@pytest.fixture
def target():
    return RouteFactory(target__address=ROBOT, target__secret=SECRET).target


def page(target: Target, view: str = "change") -> str:
    return f"/monitoring/target/{target.pk}/{view}/"


def form_data(*routes: dict[str, Any], **changed: Any) -> dict[str, Any]:
    data: dict[str, Any] = {
        "name": "运营群",
        "address": "",
        "secret": "",
        "keyword": "",
        "language": "zh-hans",
        "is_active": "on",
        "digest_minutes": "0",
        "quiet_from": "",
        "quiet_until": "",
        "time_zone": "Asia/Shanghai",
        "critical_passes_quiet": "on",
        "routes-TOTAL_FORMS": str(len(routes)),
        "routes-INITIAL_FORMS": str(sum("id" in route for route in routes)),
        "routes-MIN_NUM_FORMS": "0",
        "routes-MAX_NUM_FORMS": "1000",
    }
    for number, route in enumerate(routes):
        filled = {"least_severity": "warning", "after_minutes": "0", **route}
        data |= {f"routes-{number}-{name}": value for name, value in filled.items()}
    return data | changed


def save(client, target: Target, **changed: object):
    route = target.routes.get()
    data = form_data({"id": route.pk, "target": target.pk}, name=target.name, **changed)
    return client.post(page(target, "edit"), data, follow=True)


# --- The form -------------------------------------------------------------------------------------------------------


def test_a_target_is_added_by_its_kind(client, manager):
    assert "?kind=dingtalk" in client.get("/monitoring/target/add/").text
    channel = ChannelFactory()
    route = {"least_severity": "critical", "channels": [channel.pk], "after_minutes": "30", "tells_end": "on"}
    data = form_data(route, address=ROBOT, secret=SECRET, keyword="Evenshelf")
    text = client.post("/monitoring/target/add/?kind=dingtalk", data, follow=True).text
    assert "Added “运营群”." in text
    stored = Target.objects.get()
    assert (stored.kind, stored.address, stored.secret) == ("dingtalk", ROBOT, SECRET)
    assert stored.options == {"keyword": "Evenshelf"}
    assert list(stored.routes.values_list("least_severity", "channels", "after_minutes", "tells_end")) == [
        ("critical", channel.pk, 30, True)
    ]


_ACCOUNT = {"access_key_id": "LTAI5t", "sign_name": "Evenshelf", "template_code": "SMS_1", "secret": "x" * 30}


@pytest.mark.parametrize(
    ("kind", "filled", "offered"),
    [
        ("dingtalk", {"address": ROBOT}, "warning"),
        ("sms", {"address": "13800000000", **_ACCOUNT}, "critical"),
    ],
)
def test_the_route_that_a_new_target_is_offered_is_saved_as_it_is(client, manager, kind, filled, offered):
    url = f"/monitoring/target/add/?kind={kind}"
    text = client.get(url).text
    (choices,) = re.findall(r'<select name="routes-0-least_severity".*?</select>', text, re.S)
    assert re.findall(r'value="(\w+)" selected', choices) == [offered]
    for name, value in (("TOTAL", 1), ("INITIAL", 0), ("MIN_NUM", 1)):
        assert f'name="routes-{name}_FORMS" value="{value}"' in text
    client.post(url, form_data({"least_severity": offered}, **filled))
    assert list(Target.objects.get().routes.values_list("least_severity", "after_minutes")) == [(offered, 0)]


def test_a_target_whose_routes_were_deleted_is_offered_none_to_save(client, manager, target):
    route = target.routes.get()
    data = form_data({"id": route.pk, "target": target.pk, "DELETE": "on"}, name=target.name)
    client.post(page(target, "edit"), data)
    assert not target.routes.exists()
    client.post(page(target, "edit"), form_data(name=target.name))
    assert not target.routes.exists()


def test_secrets_are_shown_by_their_end_and_never_sent_to_the_browser(client, manager, target):
    for address in (page(target), page(target, "edit"), page(target, "history"), "/monitoring/target/"):
        text = client.get(address).text
        assert TOKEN not in text
        assert SECRET not in text
    assert "•••• 7f3a" in client.get(page(target, "edit")).text
    assert "•••• 9c1e" in client.get(page(target)).text


@pytest.mark.parametrize(("minutes", "is_taken"), [("43200", True), ("43201", False), ("9" * 30, False)])
def test_an_escalation_comes_within_thirty_days(client, manager, minutes, is_taken):
    data = form_data({"after_minutes": minutes}, address=ROBOT, secret=SECRET)
    text = client.post("/monitoring/target/add/?kind=dingtalk", data, follow=True).text
    assert ("Enter 43200 minutes at most, which is 30 days." in text) is not is_taken
    assert Target.objects.exists() is is_taken


def test_a_secret_that_is_left_empty_stays(client, manager, target):
    assert "Saved" in save(client, target, digest_minutes="10").text
    target.refresh_from_db()
    assert (target.address, target.secret, target.digest_minutes) == (ROBOT, SECRET, 10)


def test_another_address_comes_with_its_own_secret_or_none(client, manager, target):
    save(client, target, address=ROBOT.replace("7f3a", "0000"))
    target.refresh_from_db()
    assert target.address.endswith("0000")
    assert target.secret == ""


def test_the_audit_log_tells_that_a_secret_changed_and_not_to_what(client, manager, target):
    save(client, target, secret=SECRET.replace("9c1e", "4444"))
    changes = AuditEvent.objects.get(object_type="monitoring.target").changes
    assert changes["secret"] == ["•••", "•••"]
    assert "address" not in changes


def test_the_audit_log_tells_of_changed_routes(client, manager, target):
    route = target.routes.get()
    data = form_data({"id": route.pk, "target": target.pk, "least_severity": "critical"}, name=target.name)
    client.post(page(target, "edit"), data | {"language": target.language})
    changes = AuditEvent.objects.get(object_type="monitoring.target").changes
    assert changes == {"routes": [["Warning and worse"], ["Critical only"]]}
    assert "Critical only" in client.get(page(target, "history")).text


@pytest.mark.parametrize(
    ("kind", "changed", "field", "words"),
    [
        pytest.param("dingtalk", {"address": ""}, "address", "must start with https://", id="no address"),
        pytest.param(
            "dingtalk",
            {"address": "https://example.com/robot/send?access_token=x"},
            "address",
            "starts with https://oapi.dingtalk.com",
            id="another host",
        ),
        pytest.param(
            "webhook", {"address": "http://127.0.0.1:9/", "secret": WHSEC}, "address", PRIVATE, id="this machine"
        ),
        pytest.param(
            "webhook",
            {"address": "http://169.254.169.254/", "secret": WHSEC},
            "address",
            "never allowed",
            id="metadata",
        ),
        pytest.param(
            "webhook",
            {"address": "https://localhost/", "secret": WHSEC},
            "address",
            "add localhost:443",
            id="a name for it",
        ),
        pytest.param("webhook", {"address": "https://example.com/hook"}, "secret", "whsec_", id="no secret"),
        pytest.param("sms", {"address": "12345", "secret": "x" * 30}, "address", "11 digits", id="no phone number"),
        pytest.param("apprise", {"address": "file:///etc/passwd"}, "address", "must start with one of", id="a file"),
        pytest.param(
            "dingtalk",
            {"address": ROBOT, "quiet_from": "22:00"},
            "",
            "Quiet hours need a beginning and an end.",
            id="half of quiet hours",
        ),
        pytest.param(
            "dingtalk",
            {"address": ROBOT, "quiet_from": "22:00", "quiet_until": "22:00"},
            "quiet_until",
            "Quiet hours end at another time",
            id="no quiet hours at all",
        ),
        pytest.param("dingtalk", {"address": ROBOT, "time_zone": "Asia/Nowhere"}, "time_zone", "", id="no time zone"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_their_field(client, manager, kind, changed, field, words):
    data = form_data({}, **{"access_key_id": "k", "sign_name": "s", "template_code": "SMS_1", **changed})
    response = client.post(f"/monitoring/target/add/?kind={kind}", data)
    form = response.context["adminform"].form
    errors = form.errors[field or "__all__"]
    assert words in " ".join(errors)
    for secret in (TOKEN, changed.get("secret", TOKEN)):
        assert secret not in response.text
    assert not Target.objects.exists()


_FEISHU = "https://open.feishu.cn/open-apis/bot/v2/hook/7f3a-0001"
_WECOM = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=7f3a-0001"
_HOOK = "https://93.184.216.34/hook?x=1"
_BARK = "barks://api.day.app/7f3a0001"


@pytest.mark.parametrize(
    ("kind", "stored", "written"),
    [
        pytest.param("dingtalk", ROBOT, ROBOT, id="the same"),
        pytest.param("dingtalk", ROBOT, ROBOT.replace("com/", "com:443/"), id="with the port"),
        pytest.param("dingtalk", ROBOT, ROBOT.replace("oapi", "OAPI"), id="host in capitals"),
        pytest.param("dingtalk", ROBOT, ROBOT.replace("?", "?from=x&"), id="another parameter"),
        pytest.param("dingtalk", ROBOT, ROBOT.replace(TOKEN, "%30" + TOKEN[1:]), id="percent-encoded"),
        pytest.param("feishu", _FEISHU, _FEISHU + "/", id="a slash behind"),
        pytest.param("feishu", _FEISHU, _FEISHU.replace("feishu.cn", "feishu.cn:443"), id="feishu with the port"),
        pytest.param("wecom", _WECOM, _WECOM.replace("?", "?debug=1&"), id="wecom, another parameter"),
        pytest.param("webhook", _HOOK, _HOOK.replace("34/", "34:443/").replace("https", "HTTPS"), id="webhook"),
        pytest.param("apprise", _BARK, _BARK.replace("barks", "BARKS"), id="scheme in capitals"),
        pytest.param("sms", "13800000000, 13900000000", "+8613900000000;138-0000-0000", id="telephone numbers"),
    ],
)
def test_two_targets_never_share_a_robot_however_it_is_written(client, manager, kind, stored, written):
    TargetFactory(kind=kind, address=stored)
    data = form_data({"least_severity": "critical"}, address=written, **{**_ACCOUNT, "secret": WHSEC})
    response = client.post(f"/monitoring/target/add/?kind={kind}", data)
    if kind == "sms":
        assert "Another target has these numbers." in response.text
    else:
        assert "Another target has this address." in response.text
    assert Target.objects.count() == 1


@pytest.mark.parametrize(
    ("kind", "stored", "written"),
    [
        pytest.param("dingtalk", ROBOT, ROBOT.replace("7f3a", "0000"), id="another token"),
        pytest.param("webhook", _HOOK, _HOOK.replace("x=1", "x=2"), id="another query"),
        pytest.param("sms", "13800000000, 13900000000", "13800000000", id="fewer numbers"),
        pytest.param("dingtalk", "http://[broken", ROBOT, id="beside one that cannot be read"),
    ],
)
def test_another_address_is_another_target(client, manager, kind, stored, written):
    TargetFactory(kind=kind, address=stored)
    data = form_data({"least_severity": "critical"}, address=written, **{**_ACCOUNT, "secret": WHSEC})
    client.post(f"/monitoring/target/add/?kind={kind}", data)
    assert Target.objects.count() == 2


def test_text_messages_are_for_critical_alerts_only(client, manager):
    data = form_data({"least_severity": "warning"}, address="13800000000", **_ACCOUNT)
    assert "critical alerts only" in client.post("/monitoring/target/add/?kind=sms", data).text
    data["routes-0-least_severity"] = "critical"
    client.post("/monitoring/target/add/?kind=sms", data)
    assert Target.objects.get().options["sign_name"] == "Evenshelf"


NO_MAIL_SERVER = "No mail server is set up"


def test_before_a_mail_target_is_filled_in_it_says_that_a_mail_server_is_missing(client, manager, settings):
    url = "/monitoring/target/add/?kind=mail"
    settings.EMAIL_HOST = ""
    text = client.get(url).text
    assert NO_MAIL_SERVER in text
    assert "EMAIL_URL=smtp+tls://name:password@mail.example.com:587" in text
    assert text.index(NO_MAIL_SERVER) < text.index('name="name"')
    assert NO_MAIL_SERVER in client.get("/monitoring/target/add/").text
    assert NO_MAIL_SERVER not in client.get("/monitoring/target/add/?kind=dingtalk").text
    settings.EMAIL_HOST = "mail.example.com"
    assert NO_MAIL_SERVER not in client.get(url).text
    assert NO_MAIL_SERVER not in client.get("/monitoring/target/add/").text


def test_roles_are_named_in_the_language_of_the_page(client, manager, settings):
    settings.EMAIL_HOST = "mail.example.com"
    settings.LANGUAGE_CODE = "zh-hans"
    buyer = Group.objects.get(name="Buyer")
    target = TargetFactory(kind="mail", address="", role=buyer)
    with translation.override("zh-hans"):
        name = gettext("Buyer")
    assert name != "Buyer"
    chinese = {"headers": {"accept-language": "zh-hans"}}
    assert f'<option value="{buyer.pk}" selected>{name}</option>' in client.get(page(target, "edit"), **chinese).text
    text = client.get(page(target), **chinese).text
    assert f"<dd>{name}</dd>" in text


def test_mail_goes_to_addresses_or_to_a_role(client, manager, settings):
    settings.EMAIL_HOST = "mail.example.com"
    data = form_data({})
    assert "at least one mail address" in client.post("/monitoring/target/add/?kind=mail", data).text
    data["role"] = Group.objects.get(name="Buyer").pk
    client.post("/monitoring/target/add/?kind=mail", data)
    assert Target.objects.get().role == Group.objects.get(name="Buyer")


def test_a_deactivated_target_gives_up_what_waits_for_it(client, manager, target):
    NotificationFactory(target=target)
    delivery = DeliveryFactory(target=target, status=Status.WAITING, sent_at=None, cause="timeout")
    NotificationFactory(target=target, delivery=delivery, alert=AlertFactory())
    save(client, target, is_active="")
    assert set(Notification.objects.values_list("dropped_cause", flat=True)) == {"target-inactive"}
    delivery.refresh_from_db()
    assert (delivery.status, delivery.cause) == (Status.DROPPED, "target-inactive")
    for address in ("/monitoring/delivery/", page(target), f"/monitoring/delivery/{delivery.pk}/change/"):
        text = client.get(address).text
        assert "Given up" in text
        assert "The target was deactivated before it was sent." in text
    assert "Send what failed again" not in client.get(page(target)).text


def test_a_target_that_is_switched_on_again_begins_anew(client, manager, target):
    """What came in between, as news of a worker that had asked for the routes before."""
    Target.objects.update(is_active=False)
    NotificationFactory(target=target)
    waiting = DeliveryFactory(target=target, status=Status.WAITING, sent_at=None)
    save(client, target, is_active="on")
    assert Notification.objects.get().dropped_cause == "target-inactive"
    waiting.refresh_from_db()
    assert waiting.status == Status.DROPPED


def test_news_of_an_inactive_target_is_not_sent_again(client, manager, target):
    Target.objects.update(is_active=False)
    failed = DeliveryFactory(target=target, status=Status.FAILED, cause="bad-signature", created_at=timezone.now())
    NotificationFactory(target=target, delivery=failed)
    assert "Send what failed again" not in client.get(page(target)).text
    text = client.post(page(target, "send_again"), follow=True).text
    assert "Nothing is sent again: none of them failed, or their target is inactive." in text
    failed.refresh_from_db()
    assert failed.status == Status.FAILED


@pytest.mark.parametrize("cause", ["own-daily-limit", "daily-quota", "quota"])
@pytest.mark.parametrize(
    ("changed", "stays"),
    [
        pytest.param({"template_code": "SMS_2"}, True, id="another template"),
        pytest.param({"secret": "y" * 30}, True, id="another secret"),
        pytest.param({"address": "+8613800000000"}, True, id="the same number"),
        pytest.param({"address": "13900000000"}, False, id="another number"),
    ],
)
def test_saving_a_target_lifts_a_limit_only_for_another_address(client, manager, cause, changed, stays):
    options = {name: value for name, value in _ACCOUNT.items() if name != "secret"}
    target = TargetFactory(kind="sms", address="13800000000", secret="x" * 30, options=options)
    RouteFactory(target=target, least_severity="critical")
    until = timezone.now() + timedelta(hours=5)
    Target.objects.update(held_until=until, held_cause=cause)
    route = {"id": target.routes.get().pk, "target": target.pk, "least_severity": "critical"}
    filled = {"name": target.name, "address": target.address, **options, **changed}
    assert "Saved" in client.post(page(target, "edit"), form_data(route, **filled), follow=True).text
    target.refresh_from_db()
    assert (target.held_until, target.held_cause) == ((until, cause) if stays else (None, ""))


def test_new_settings_end_what_held_the_target_back(client, manager, target):
    Target.objects.update(held_until=timezone.now() + timedelta(hours=1), held_cause="bad-signature")
    save(client, target, secret=SECRET.replace("9c1e", "4444"))
    target.refresh_from_db()
    assert (target.held_until, target.held_cause) == (None, "")


# --- Who may what ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "may_see", "may_change"),
    [("Manager", True, True), ("Operator", True, False), ("Buyer", False, False), ("Viewer", False, False)],
)
def test_roles(client, target, name, may_see, may_change):
    role(client, name)
    seen, changed = (200 if may else 403 for may in (may_see, may_change))
    assert client.get("/monitoring/target/").status_code == seen
    assert client.get(page(target)).status_code == seen
    assert client.get("/monitoring/delivery/").status_code == seen
    assert client.get(page(target, "edit")).status_code == changed
    assert client.get("/monitoring/target/add/").status_code == changed
    if not may_change:
        assert client.post(page(target, "test")).status_code == 403
        assert client.post(page(target, "send_again")).status_code == 403


def test_people_see_only_messages_of_their_channels(client, target):
    own, other = ChannelFactory(), ChannelFactory()
    shown, mixed, hidden = (
        DeliveryFactory(target=target, subject=subject) for subject in ("Shown here", "Mixed up", "Hidden away")
    )
    test = DeliveryFactory(target=target, subject="Only a test", is_test=True)
    for delivery, channels in ((shown, [own]), (mixed, [own, other]), (hidden, [other])):
        delivery.channels.set(channels)
    role(client, "Operator", own)
    for address in ("/monitoring/delivery/", page(target)):
        text = client.get(address).text
        assert "Shown here" in text
        assert "Only a test" in text
        assert "Mixed up" not in text
        assert "Hidden away" not in text
    assert client.get(f"/monitoring/delivery/{hidden.pk}/change/").status_code == 404
    assert client.get(f"/monitoring/delivery/{test.pk}/change/").status_code == 200


def test_messages_from_before_know_their_channels_from_their_news(target):
    one, both = (DeliveryFactory(target=target) for _number in range(2))
    alerts = [AlertFactory(), AlertFactory()]
    for delivery, alert, event in ((one, 0, "opened"), (both, 0, "ended"), (both, 1, "opened"), (both, 1, "ended")):
        NotificationFactory(target=target, delivery=delivery, alert=alerts[alert], event=event)
    migration = import_module("monitoring.migrations.0007_delivery_channels")
    migration.fill(apps, SimpleNamespace(connection=connection))
    assert list(one.channels.all()) == [alerts[0].channel]
    assert set(both.channels.all()) == {alert.channel for alert in alerts}


# --- The page and its buttons ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "badge"),
    [
        pytest.param({}, "Not tried yet", id="new"),
        pytest.param({"is_active": False}, "Inactive", id="inactive"),
        pytest.param({"held_cause": "bad-signature"}, "Does not work", id="wrong settings"),
        pytest.param({"held_cause": "quota", "held_until": timedelta(minutes=9)}, "Limited", id="limited"),
        pytest.param({"held_cause": "timeout", "held_until": timedelta(minutes=9)}, "Trying again", id="not answering"),
        pytest.param({"held_cause": "timeout", "held_until": -timedelta(minutes=9)}, "Not tried yet", id="held before"),
    ],
)
def test_the_badge_tells_whether_messages_arrive(client, manager, target, stored, badge):
    now = timezone.now()
    moved = {name: now + value if isinstance(value, timedelta) else value for name, value in stored.items()}
    Target.objects.update(**moved)
    assert badge in client.get(page(target)).text
    assert badge in client.get("/monitoring/target/").text


def test_a_target_without_a_route_says_so(client, manager):
    target = TargetFactory()
    assert "No route" in client.get("/monitoring/target/").text
    assert "No route: this target is told nothing." in client.get(page(target)).text


def test_empty_lists_say_what_would_fill_them(client, manager):
    assert "Nobody is told yet" in client.get("/monitoring/target/").text
    assert "Nothing was sent yet" in client.get("/monitoring/delivery/").text


def test_a_long_list_of_targets_costs_no_more_queries_than_a_short_one(client, manager, django_assert_max_num_queries):
    def count() -> int:
        with django_assert_max_num_queries(60) as queries:
            client.get("/monitoring/target/")
        return len(queries)

    RouteFactory().channels.add(ChannelFactory())
    client.get("/monitoring/target/")
    few = count()
    for _number in range(10):
        RouteFactory().channels.add(ChannelFactory())
    assert count() == few


@pytest.fixture
def robot(simulator, settings):
    """A target at the simulator's signed DingTalk robot."""
    settings.ALLOWED_PRIVATE_HOSTS = ["127.0.0.1"]
    found = simulator.robots["dingtalk-signed"]
    return TargetFactory(address=found["url"], secret=found["secret"])


def test_a_test_message_is_sent_and_the_answer_told(client, manager, robot, simulator):
    text = client.post(page(robot, "test"), follow=True).text
    assert "Test message sent. Answer: 0 ok" in text
    (message,) = simulator.messages("dingtalk-signed")
    assert message["accepted"]
    assert "Test message from Evenshelf" in message["text"]
    assert Delivery.objects.get().is_test


def test_a_test_message_says_when_no_alert_will_follow_it(client, manager, robot):
    words = "No route uses this target yet: add one below, or it will never get an alert."
    assert words in client.post(page(robot, "test"), follow=True).text
    RouteFactory(target=robot)
    Target.objects.update(next_send_at=None)
    text = client.post(page(robot, "test"), follow=True).text
    assert "Test message sent." in text
    assert words not in text


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        pytest.param({"status": 502}, "The other side reported an error of its own.", id="502"),
        pytest.param({"kind": "drop"}, "We do not know whether it arrived.", id="no answer"),
        pytest.param({"code": 310000, "msg": "sign not match"}, "did not accept our signature", id="refused"),
        pytest.param({"code": 430102, "msg": "bad words"}, "refused what the message says", id="content"),
    ],
)
@pytest.mark.parametrize("later", [timedelta(0), timedelta(hours=2)])
def test_after_a_failed_test_nothing_on_the_page_says_that_it_works(
    client, manager, robot, simulator, fault, says, later
):
    """Neither at once nor when the target is not held any more."""
    RouteFactory(target=robot)
    DeliveryFactory(target=robot, created_at=timezone.now() - timedelta(days=1))
    simulator.robots.fail_next("dingtalk", **fault)
    told = client.post(page(robot, "test"), follow=True).text
    Target.objects.update(held_until=F("held_until") - later)
    text = client.get(page(robot)).text
    for shown in (told, text, client.get("/monitoring/target/").text):
        assert "Works" not in shown
        assert "Trying again" not in shown
        assert "We try again by ourselves" not in shown
    assert says in told
    assert "What is wrong" in text
    assert says in text
    assert "failed or not known" not in text  # that counts what alerts said
    assert "no message of an alert" in text
    Target.objects.update(held_until=None, next_send_at=None, held_cause="")
    told = client.post(page(robot, "test"), follow=True).text
    assert "Works" in told
    assert "What is wrong" not in told


def test_a_test_message_keeps_the_robots_limit(client, manager, robot, simulator):
    client.post(page(robot, "test"))
    text = client.post(page(robot, "test"), follow=True).text
    assert "A message was sent just now." in text
    assert len(simulator.messages("dingtalk-signed")) == 1


def test_a_test_message_that_is_refused_says_what_to_do(client, manager, robot, simulator):
    Target.objects.update(secret=SECRET)
    robot.refresh_from_db()
    robot.secret = SECRET
    robot.save()
    text = client.post(page(robot, "test"), follow=True).text
    assert "The other side did not accept our signature." in text
    assert "310000" in text
    assert "Then send another test message." in text
    assert "Does not work" in text
    assert robot.address not in text


def test_a_test_message_that_arrives_ends_what_held_the_target_back(client, manager, robot):
    Target.objects.update(held_cause="ip-whitelist", held_until=timezone.now() + timedelta(hours=1))
    client.post(page(robot, "test"))
    robot.refresh_from_db()
    assert (robot.held_cause, robot.held_until) == ("", None)


def test_failed_news_is_sent_again_from_the_list_and_from_the_page(client, manager, target):
    for press in (
        lambda failed: client.post(
            "/monitoring/delivery/", {"action": "send_again", "_selected_action": [failed.pk], "index": 0}, follow=True
        ),
        lambda failed: client.post(page(target, "send_again"), follow=True),
    ):
        failed = DeliveryFactory(target=target, status=Status.FAILED, cause="bad-signature", created_at=timezone.now())
        news = NotificationFactory(target=target, delivery=failed)
        assert "Send what failed again" in client.get(page(target)).text
        assert "The news of 1 message goes out again" in press(failed).text
        news.refresh_from_db()
        failed.refresh_from_db()
        assert (news.delivery_id, failed.status) == (None, Status.REPLACED)


def test_the_page_of_a_delivery_tells_what_it_said_and_what_came_of_it(client, manager, target):
    delivery = DeliveryFactory(target=target, status=Status.UNKNOWN, cause="no-answer", sent_at=None)
    text = client.get(f"/monitoring/delivery/{delivery.pk}/change/").text
    assert "Live price ¥268.00 → ¥189.00" in text
    assert "We do not know whether it arrived." in text


# --- Causes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cause", sorted(PROBLEMS))
def test_every_cause_says_what_happened_and_what_to_do(cause):
    told = explain(cause)
    assert told.what.endswith(".")
    assert told.advice.endswith(".")


def test_an_unknown_cause_is_told_as_not_sent():
    assert str(explain("moon-phase")).startswith("The message was not sent.")


def test_routes_are_told_in_words(client, manager, target):
    route = Route.objects.get()
    route.least_severity, route.after_minutes, route.tells_end = Severity.CRITICAL, 30, True
    route.save()
    assert "Critical only, if not acknowledged after 30 min, also when it is over" in client.get(page(target)).text


def test_every_cause_that_senders_raise_is_explained():
    def text(*modules: Path) -> str:
        return "\n".join(module.read_text(encoding="utf-8") for module in modules)

    senders = text(*(settings.BASE_DIR / "integrations" / "notifying" / "senders").glob("*.py"))
    http = text(settings.BASE_DIR / "integrations" / "connectors" / "http.py")
    raised = set(re.findall(r'\bcause="([a-z-]+)"', senders + http))
    raised |= set(re.findall(r'^    "[^"]+": "([a-z-]+)",$', senders, re.MULTILINE))  # tables from codes to causes
    raised |= set(re.findall(r'\b(?:_refusal|fatal)\(\s*"([a-z-]+)"', senders))
    assert len(raised) > 25
    assert raised <= set(PROBLEMS)
