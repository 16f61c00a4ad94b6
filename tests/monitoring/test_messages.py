from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone, translation
from django.utils.translation import trans_real

from monitoring.messages import News, alert_message, digest_message, machine_readable, trial_message
from monitoring.models import Alert, Notification, Severity
from tests.factories import NOW, AlertFactory, ChannelFactory, UserFactory

pytestmark = pytest.mark.django_db

Event = Notification.Event
LATER = NOW + timedelta(minutes=30)


@pytest.fixture(autouse=True)
def in_shanghai():
    with timezone.override(ZoneInfo("Asia/Shanghai")):
        yield


def news(*events: str, **fields) -> News:
    given: dict[str, Any] = {"listing__title": "手冲咖啡壶", "severity": Severity.CRITICAL}
    if "listing__channel" not in fields:
        given["listing__channel__name"] = "天猫旗舰店"
    return News(AlertFactory(**{**given, **fields}), frozenset(events or [Event.OPENED]))


def test_one_alert_is_told_in_full():
    told = news()
    text = alert_message(told, now=LATER)
    assert text.subject == "Critical: Below ¥200 · 手冲咖啡壶"
    assert text.lines == (
        "手冲咖啡壶",
        "天猫旗舰店",
        "List price ¥268.00 → ¥189.00, limit ¥200.00",
        "Since 21 Nov 12:00 (Asia/Shanghai)",
    )
    assert text.path == f"/monitoring/alert/{told.alert.pk}/change/"


@pytest.mark.parametrize(
    ("events", "fields", "begins", "remark"),
    [
        pytest.param([Event.ESCALATED], {}, "Critical", "Not acknowledged for 30 min", id="escalated"),
        pytest.param([Event.WOKEN], {}, "Critical", "The snooze is over, and it is still so.", id="woken"),
        pytest.param([Event.ENDED], {"cleared_at": LATER}, "Over", "Over since 21 Nov 12:30", id="ended"),
        pytest.param(
            [Event.OPENED, Event.ENDED],
            {"cleared_at": LATER},
            "Over",
            "Already over, since 21 Nov 12:30",
            id="over before it was told",
        ),
        pytest.param(
            [Event.ENDED],
            {"status": Alert.Status.RESOLVED, "resolved_at": LATER},
            "Over",
            "Resolved 21 Nov 12:30",
            id="resolved by hand",
        ),
    ],
)
def test_a_message_tells_what_became_of_the_alert(events, fields, begins, remark):
    told = news(*events, **fields)
    text = alert_message(told, now=LATER)
    assert text.subject.startswith(f"{begins}: ")
    assert remark in text.lines
    assert remark in digest_message([told], by_severity={"critical": 2}, path="/", now=LATER).lines[0]


def test_an_alert_about_a_channel_is_told_by_its_name():
    told = News(AlertFactory(listing=None, channel=ChannelFactory(name="山野小铺")), frozenset([Event.OPENED]))
    text = alert_message(told, now=LATER)
    assert text.subject.endswith(" · 山野小铺")
    assert text.lines[0] == "山野小铺"


def test_a_digest_counts_by_severity_and_says_how_many_more_there_are():
    told = [news()]
    told.append(news(severity=Severity.WARNING, listing__channel=told[0].alert.channel))
    text = digest_message(told, by_severity={"warning": 1_200, "critical": 3}, path="/board/", now=LATER)
    assert text.subject == "1,203 alerts: 3 critical, 1,200 warning"
    assert text.lines[0] == (
        "Critical · 手冲咖啡壶 · 天猫旗舰店: List price ¥268.00 → ¥189.00, limit ¥200.00 (21 Nov 12:00)"
    )
    assert text.lines[1].startswith("Warning · ")
    assert text.lines[2] == "and 1,201 more"


def test_a_digest_counts_what_is_over_apart():
    told = [news(Event.OPENED, cleared_at=LATER)]
    text = digest_message(told, by_severity={"info": 2}, over=3, path="/", now=LATER)
    assert text.subject == "5 alerts: 2 info, 3 over"


def test_a_long_title_does_not_fill_the_subject_or_a_line():
    told = news(listing__title="咖" * 255)
    assert len(alert_message(told, now=LATER).subject) < 100
    assert len(digest_message([told], by_severity={"critical": 2}, path="/", now=LATER).lines[0]) < 180


def test_messages_speak_the_language_they_are_asked_for():
    with translation.override("zh-hans"):
        text = alert_message(news(), now=LATER)
    assert "¥200" in text.subject
    assert "11-21 12:00" in " ".join(text.lines)


_CHINESE = {
    "between the parts of a list\x04, ": "、",
    "between remarks\x04; ": "；",
    "label and text\x04%(label)s: %(text)s": "%(label)s：%(text)s",
    "how many of a severity\x04%(count)s %(severity)s": "%(count)s 条%(severity)s",
    "line and remarks\x04%(line)s (%(remarks)s)": "%(line)s（%(remarks)s）",
}


def test_the_language_says_what_stands_between_the_parts_of_a_message(monkeypatch):
    catalog = trans_real.translation("zh-hans")._catalog._catalogs[0]  # type: ignore[attr-defined]
    for message, translated in _CHINESE.items():
        monkeypatch.setitem(catalog, message, translated)
    over = news(Event.OPENED, cleared_at=LATER)
    held = news(Event.ESCALATED, severity=Severity.WARNING, listing__channel=over.alert.channel)
    with translation.override("zh-hans"):
        texts = [
            alert_message(held, now=LATER),
            digest_message([held, over], by_severity={"critical": 3, "warning": 1_200}, over=2, path="/", now=LATER),
        ]
        labels = [str(Severity(severity).label) for severity in ("critical", "warning")]
    subject = texts[1].subject
    assert f"：3 条{labels[0]}、1,200 条{labels[1]}、" in subject
    assert "：" in texts[0].subject
    line = texts[1].lines[0]
    assert line.endswith("）")
    assert "（" in line
    assert "；" in line
    for text in (texts[0].subject, subject, line.split("（")[0].partition("：")[0], line.split("（")[1]):
        assert not [mark for mark in (", ", ": ", "; ", " (", ")") if mark in text]


def test_variables_of_a_text_message_are_short():
    sms = alert_message(news(listing__title="咖" * 255), now=LATER).sms
    assert set(sms) == {"severity", "what", "name", "count"}
    assert sms["count"] == "1"
    assert all(0 < len(value) <= 35 for value in sms.values())


def test_programs_get_plain_values():
    told = news(Event.OPENED, Event.ENDED, cleared_at=LATER)
    found = machine_readable(told)
    assert found["events"] == ["opened", "ended"]
    assert (found["old_value"], found["new_value"], found["limit"], found["currency"]) == (
        "268.00",
        "189.00",
        "200.00",
        "CNY",
    )
    assert found["listing"]["title"] == "手冲咖啡壶"
    assert found["cleared_at"] == LATER.isoformat()
    assert machine_readable(News(AlertFactory(listing=None, channel=ChannelFactory()), frozenset()))["listing"] is None


def test_what_is_private_to_the_team_is_not_sent():
    told = news(note="call the supplier", owner=UserFactory(username="linyue"))
    everything = f"{alert_message(told, now=LATER)} {machine_readable(told)}"
    assert "call the supplier" not in everything
    assert "linyue" not in everything


def test_a_trial_names_the_program():
    text = trial_message(now=NOW)
    assert text.subject == "Test message from Evenshelf"
    assert "Sent 21 Nov 12:00 (Asia/Shanghai)" in text.lines
