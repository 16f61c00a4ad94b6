"""How a row of the sync stands, in words: its badge, and a sentence that says what happens next or what to do."""

from datetime import datetime
from typing import Any

from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from catalog.models import Channel
from catalog.stock.availability import Blocked, Step, StepKind, Target
from catalog.stock.explaining import BLOCKED_TEXTS, explain
from config.admin_site import Badge
from config.formatting import count, moment, sentences
from integrations.connectors.base import READS_ONLY
from integrations.problems import PROBLEMS
from integrations.problems import explain as explain_problem
from integrations.state import capitalised, credential_of, health_of
from integrations.syncing.models import ChannelSync, ListingSync, SyncItem, SyncRun
from integrations.syncing.rows import GUARD
from monitoring.causes import cause_label

State = ListingSync.State

STATE_BADGES: dict[str, Badge] = {
    State.NEW: Badge("muted", _("Never sent")),
    State.WAITING: Badge("muted", _("Waiting")),
    State.SENT: Badge("info", _("Awaiting read-back")),
    State.REFUSED: Badge("critical", _("Refused")),
    State.FAILED: Badge("warning", _("Failed")),
    State.DISMISSED: Badge("muted", _("Dismissed")),
    State.STOPPED: Badge("muted", _("Left alone")),
    State.IN_SYNC: Badge("ok", _("In step")),
}
OUTCOME_BADGES: dict[str, Badge] = {
    "": Badge("muted", _("Open")),
    "confirmed": Badge("ok", _("Seen there")),
    "unchanged": Badge("ok", _("Unchanged")),
    "sent": Badge("info", _("Sent")),
    "not-shown": Badge("warning", _("Does not show")),
    "failed": Badge("warning", _("Failed")),
    "refused": Badge("critical", _("Refused")),
}
# What came of one call; "lost" and "unknown" mean that nobody knows whether it was applied.
STATUS_BADGES: dict[str, Badge] = {
    "applied": Badge("ok", _("Taken")),
    "accepted": Badge("info", _("Taken, not visible yet")),
    "refused": Badge("critical", _("Refused")),
    "stale": Badge("warning", _("Had moved")),
    "unknown": Badge("unknown", _("Not known")),
    "lost": Badge("unknown", _("No answer")),
    "failed": Badge("warning", _("Failed")),
    "read": Badge("ok", _("Read back")),
    "unread": Badge("unknown", _("Not read")),
}
ERROR_CLASSES: dict[str, Any] = {
    "retry": _("is tried again"),
    "wait": _("waits"),
    "reauthorise": _("needs authorisation"),
    "review": _("needs a person"),
    "fatal": _("will not pass like this"),
}


def badge_of(words: dict[str, Badge], slug: str) -> Badge:
    return words.get(slug) or Badge("unknown", slug)


def sync_of(channel: Channel) -> ChannelSync:
    """An empty one, which is off, for a channel that has none yet."""
    try:
        return channel.sync
    except ChannelSync.DoesNotExist:
        return ChannelSync(channel=channel)


def not_written(channel: Channel) -> str:
    """Why nothing at all is written to the channel just now; "" when it is. No query when its sync is loaded."""
    sync = sync_of(channel)
    if not sync.is_on:
        return gettext("The sync of its stock is off. Switch it on on the page of the channel.")
    if not sync.is_confirmed:
        return gettext("Nothing is sent before somebody has applied the channel's first dry run.")
    if sync.is_paused:
        paused = gettext("The sync of the channel is paused. It is sent once it is resumed.")
        reason = gettext("Reason: %(reason)s") % {"reason": sync.pause_reason} if sync.pause_reason else ""
        return sentences(paused, reason)
    if credential_of(channel).reads_only:
        return _with_advice(READS_ONLY, channel)
    return ""


def held_text(held: int) -> str:
    """What waits for a decision on a channel."""
    text = ngettext("%(count)s listing would go to 0", "%(count)s listings would go to 0", held)
    return text % {"count": count(held)}


def told(row: Any, now: datetime, *, is_short: bool = False) -> str:
    """What is to be known of the row, and what to do next; "" when all is well. `is_short`: for a row of a list.

    No query when its channel is loaded with credential, health and sync.
    """
    channel: Channel = row.channel
    match row.state:
        case State.IN_SYNC:
            return ""
        case State.STOPPED:
            return _stopped_text(row.cause, channel)
        case State.DISMISSED:
            reason = gettext("Dismissed: %(reason)s") % {"reason": row.problem}
            return sentences(problem_text(row.cause, channel, is_short=is_short), reason)
        case State.REFUSED if not row.cause:
            return gettext("The platform did not say why. Send it again.")
        case State.REFUSED:
            return _with_advice(row.cause, channel, is_short=is_short)
        case State.SENT:
            return _sent_text(row, now)
    return _waiting_text(row, channel, now, is_short=is_short)


def _waiting_text(row: Any, channel: Channel, now: datetime, *, is_short: bool) -> str:
    """Of what is to be sent, for the first time or again."""
    if silent := not_written(channel):
        return silent
    if row.lease_until is not None and row.lease_until > now:
        return gettext("Is being sent just now.")
    health = health_of(channel)
    is_held = bool(health.kind) and (health.retry_at is None or health.retry_at > now)
    cause = row.cause or (health.cause if is_held else "")
    retry_at = max(filter(None, (row.due_at, health.retry_at if is_held else None)), default=None)
    again = ""
    if retry_at is not None and retry_at > now and row.cause != GUARD:
        again = gettext("Next try %(time)s.") % {"time": moment(retry_at)}
    if cause:
        return sentences(_with_advice(cause, channel, is_short=is_short), again)
    if row.due_at is None and row.verify_at is not None:
        return gettext("What it shows may have changed there, so it is read first.")
    return again or gettext("Is to be sent.")


def _sent_text(row: Any, now: datetime) -> str:
    cause = problem_text(row.cause, row.channel, is_short=True)
    if row.verify_at is not None and row.verify_at > now:
        return sentences(cause, gettext("Reading back at %(time)s.") % {"time": moment(row.verify_at)})
    return sentences(cause, gettext("Is read back as soon as the channel has nothing to send."))


def _stopped_text(cause: str, channel: Channel) -> str:
    return _blocked_text(cause) or _with_advice(cause, channel)


def _blocked_text(slug: str) -> str:
    return str(BLOCKED_TEXTS[Blocked(slug)]) if slug in set(Blocked) else ""


def _with_advice(cause: str, channel: Channel, *, is_short: bool = False) -> str:
    """What happened, then what to do; "" for no cause."""
    if not cause:
        return ""
    advice = explain_problem(cause=cause, channel=channel, at=None).advice
    return sentences(problem_text(cause, channel, is_short=is_short), advice)


def problem_text(cause: str, channel: Channel, *, is_short: bool = False) -> str:
    """What a cause means. When it was met is not known here: what would tell the time is told in a few words."""
    kind = PROBLEMS.get(cause)
    if cause and kind is not None and not is_short and "%(time)s" not in str(kind.what):
        return explain_problem(cause=cause, channel=channel, at=None).what
    return gettext("%(cause)s.") % {"cause": capitalised(cause_label(cause))} if cause else ""


def target_text(item: SyncItem) -> str:
    """How the target of an item came about; "" where an older version told it otherwise."""
    if blocked := _blocked_text(item.blocked):
        return blocked
    try:
        steps = tuple(Step(StepKind(kind), figure, units) for kind, figure, units in item.steps)
    except ValueError:
        return ""
    return explain(Target(item.wanted, steps)) if steps else ""


def run_line(run: SyncRun) -> str:
    """Which run it is, in a few words."""
    return gettext("Run of %(channel)s: %(kind)s") % {"channel": run.channel, "kind": run.get_kind_display()}


def person_name(user: Any) -> str:
    return (user.get_full_name() or user.get_username()) if user is not None else gettext("the system")
