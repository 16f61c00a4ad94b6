"""What a message says: one alert in full, or many in a line each. In the active language and time zone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from config.formatting import count, duration, joined, moment
from monitoring.alert_text import alert_sentence, alert_title, alert_url, severity_word
from monitoring.models import Alert, Notification, Severity

DIGEST_LINES = 20  # alerts that a digest tells one by one
_LONGEST_NAME = 60
_LONGEST_SUBJECT = 200
_LONGEST_SMS_VALUE = 35  # characters that one variable of a text message's template takes

Event = Notification.Event


@dataclass(frozen=True, slots=True)
class News:
    """One alert as it is now, and what of it is to be told."""

    alert: Alert
    events: frozenset[str]

    @property
    def is_over(self) -> bool:
        return self.alert.cleared_at is not None or self.alert.status == Alert.Status.RESOLVED


@dataclass(frozen=True, slots=True)
class Text:
    """The words of a message. `path` is where to look, within the site; `sms` holds the variables of a template."""

    subject: str
    lines: tuple[str, ...]
    path: str
    sms: Mapping[str, str]


def alert_message(news: News, *, now: datetime) -> Text:
    """One alert: what it is, where, the figures, and what became of it."""
    alert = news.alert
    name = _name(alert)
    subject = _labelled(_label(news), f"{alert_title(alert)} · {name}")
    listing = [alert.listing.title or alert.listing.platform_item_id] if alert.listing else []
    lines = [*listing, alert.channel.name, alert_sentence(alert), *_remarks(news, now)]
    lines.append(_("Since %(time)s (%(zone)s)") % _time_and_zone(alert.opened_at))
    return Text(
        _cut(subject, _LONGEST_SUBJECT),
        tuple(lines),
        alert_url(alert),
        _sms(what=alert_title(alert), name=name, number=1, severity=_label(news)),
    )


def digest_message(
    told: Sequence[News], *, by_severity: Mapping[str, int], over: int = 0, path: str, now: datetime
) -> Text:
    """Many alerts: how many of each severity, then those of `told`, one a line, and how many more there are.

    `by_severity` counts those that hold, `over` the others; `told` are the most important ones, in their order.
    """
    number = sum(by_severity.values()) + over
    shown = told[:DIGEST_LINES]
    counted = [
        pgettext("how many of a severity", "%(count)s %(severity)s")
        % {"count": count(by_severity[severity]), "severity": Severity(severity).label}
        for severity in Severity.values
        if by_severity.get(severity)
    ]
    if over:
        counted.append(_("%(count)s over") % {"count": count(over)})
    alerts = ngettext("%(count)s alert", "%(count)s alerts", number) % {"count": count(number)}
    subject = _labelled(alerts, joined(counted))
    lines = [_digest_line(news, now) for news in shown]
    if more := number - len(shown):
        lines.append(_("and %(count)s more") % {"count": count(more)})
    first = told[0]
    sms = _sms(what=alert_title(first.alert), name=_name(first.alert), number=number, severity=_label(first))
    return Text(_cut(subject, _LONGEST_SUBJECT), tuple(lines), path, sms)


def trial_message(*, now: datetime) -> Text:
    """What the button on a target's page sends."""
    lines = (
        _("Alerts of this target will arrive here."),
        _("Sent %(time)s (%(zone)s)") % _time_and_zone(now),
    )
    return Text(_("Test message from Evenshelf"), lines, "/", _sms(what=_("Test"), name="Evenshelf", number=1))


def machine_readable(news: News) -> dict[str, Any]:
    """The alert for programs: ids, plain values as stored, ISO times; nothing of it is translated."""
    alert = news.alert
    listing = alert.listing
    return {
        "id": alert.pk,
        "events": [event for event in Event.values if event in news.events],
        "kind": alert.kind,
        "severity": alert.severity,
        "status": alert.status,
        "channel": {"id": alert.channel_id, "name": alert.channel.name},
        "listing": listing
        and {
            "id": listing.pk,
            "item_id": listing.platform_item_id,
            "sku_id": listing.platform_sku_id,
            "title": listing.title,
        },
        "fact": alert.fact,
        "old_value": alert.old_value,
        "new_value": alert.new_value,
        "limit": alert.limit,
        "currency": alert.currency,
        "opened_at": alert.opened_at.isoformat(),
        "cleared_at": alert.cleared_at and alert.cleared_at.isoformat(),
        "path": alert_url(alert),
    }


def _label(news: News) -> str:
    """What stands in front: that it is over, or how bad it is."""
    return _("Over") if news.is_over else severity_word(news.alert.severity)


def _labelled(label: str, text: str) -> str:
    return pgettext("label and text", "%(label)s: %(text)s") % {"label": label, "text": text}


def _digest_line(news: News, now: datetime) -> str:
    alert = news.alert
    where = f"{_name(alert)} · {alert.channel.name}" if alert.listing else alert.channel.name
    line = _labelled(f"{_label(news)} · {where}", alert_sentence(alert))
    remarks = pgettext("between remarks", "; ").join([moment(alert.opened_at), *_remarks(news, now)])
    return pgettext("line and remarks", "%(line)s (%(remarks)s)") % {"line": line, "remarks": remarks}


def _remarks(news: News, now: datetime) -> list[str]:
    """What became of the alert since it was opened, as far as its news is about that."""
    alert = news.alert
    if alert.cleared_at is not None:
        over = moment(alert.cleared_at)
        if Event.OPENED in news.events:
            return [_("Already over, since %(time)s") % {"time": over}]
        return [_("Over since %(time)s") % {"time": over}]
    if alert.status == Alert.Status.RESOLVED:
        return [_("Resolved %(time)s") % {"time": moment(alert.resolved_at)}]
    if Event.ESCALATED in news.events:
        return [_("Not acknowledged for %(time)s") % {"time": duration(now - alert.opened_at)}]
    if Event.WOKEN in news.events:
        return [_("The snooze is over, and it is still so.")]
    return []


def _name(alert: Alert) -> str:
    """The listing's title, or the channel of an alert without one; short enough for a line."""
    if alert.listing is None:
        return alert.channel.name
    return _cut(alert.listing.title or alert.listing.platform_item_id, _LONGEST_NAME)


def _time_and_zone(at: datetime) -> dict[str, str]:
    return {"time": moment(at), "zone": timezone.get_current_timezone_name()}


def _sms(*, what: str, name: str, number: int, severity: str = "") -> dict[str, str]:
    values = {"severity": severity or _("Test"), "what": what, "name": name, "count": str(number)}
    return {key: _cut(value, _LONGEST_SMS_VALUE) for key, value in values.items()}


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
