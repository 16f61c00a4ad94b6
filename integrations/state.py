"""What is shown of a channel's connection: its badge, its figures, its problems by cause."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, F, Max, OuterRef, Q, QuerySet, Subquery, Window
from django.db.models.functions import RowNumber
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from catalog.models import Channel, Listing
from config.admin_site import SEVERITIES, Badge
from config.formatting import day, duration, moment
from integrations.connections import CIRCUIT_FAILURES
from integrations.connectors.base import READS_ONLY, Capability
from integrations.connectors.errors import Wait
from integrations.models import ChannelHealth, Credential
from integrations.problems import Explanation, explain
from monitoring.causes import cause_label
from monitoring.models import ListingWatch

_UNCONNECTED = {
    Credential.State.NOT_SET_UP,
    Credential.State.KEY_MISSING,
    Credential.State.BAD_SETTING,
    Credential.State.NOT_AUTHORISED,
    Credential.State.EXPIRED,
}
# Their settings come first: without an app secret that we can read nobody can authorise.
WITHOUT_APP = {Credential.State.NOT_SET_UP, Credential.State.KEY_MISSING, Credential.State.BAD_SETTING}
# Outcomes of a reading that brought nothing.
TROUBLE = [ListingWatch.Outcome.MISSING, ListingWatch.Outcome.REFUSED, ListingWatch.Outcome.FAILED]
# What a connector can be asked for, in plain words; to be authorised and to renew a token is told elsewhere.
WRITES = frozenset({Capability.PUSH_STOCK})
CAPABILITIES = {
    Capability.READ_LISTINGS: gettext_lazy("Reads price, stock and shelf state"),
    Capability.READ_STOCK_LEVELS: gettext_lazy("Reads stock by location"),
    Capability.READ_COMPETITORS: gettext_lazy("Reads competitors’ listings"),
    Capability.DISCOVER_LISTINGS: gettext_lazy("Lists what the shop sells"),
    Capability.READ_CHANGES: gettext_lazy("Tells what changed since the last reading"),
    Capability.PUSH_STOCK: gettext_lazy("Writes stock"),
    Capability.READ_ORDERS: gettext_lazy("Reads orders"),
    Capability.READ_PROMOTIONS: gettext_lazy("Reads promotions and coupons"),
    Capability.RECEIVE_WEBHOOKS: gettext_lazy("Sends news by itself (webhooks)"),
    Capability.PULL_MESSAGES: gettext_lazy("Keeps news for us to collect (messages)"),
}
_QUOTA_CAUSES = {"quota", "daily-quota"}
_SHOWN_LISTINGS = 3  # examples below each cause


def credential_of(channel: Channel) -> Credential:
    """The channel's credential, an empty unsaved one when it has none yet."""
    try:
        return channel.credential
    except Credential.DoesNotExist:
        return Credential(channel=channel)


def health_of(channel: Channel) -> ChannelHealth:
    """How the last calls went; empty when none was made yet."""
    try:
        return channel.health
    except ChannelHealth.DoesNotExist:
        return ChannelHealth(channel=channel)


def _own_tried() -> QuerySet[ListingWatch]:
    """The watches of the shops' own listings that were tried with the channel's present token."""
    tokens_since = "channel__credential__authorised_at"
    return ListingWatch.objects.filter(
        Q(**{f"{tokens_since}__isnull": True}) | Q(tried_at__gte=F(tokens_since)),
        listing__removed_at__isnull=True,
        listing__ownership=Listing.Ownership.OWN,
        is_paused=False,
    ).exclude(outcome="")


# Of some watches: how many more were not read at their last attempt than were.
_UNREAD_BALANCE = Count("pk", filter=~Q(outcome=ListingWatch.Outcome.READ)) - Count(
    "pk", filter=Q(outcome=ListingWatch.Outcome.READ)
)


def with_connection(channels: QuerySet[Channel]) -> QuerySet[Any]:
    """Adds what the badge of a connection is made of: credential, health, and `unread_balance`, None where no listing
    was tried."""
    # A subquery: joined in, it would multiply what other columns count.
    tried = _own_tried().filter(channel=OuterRef("pk")).order_by().values("channel").annotate(balance=_UNREAD_BALANCE)
    return channels.select_related("credential", "health").annotate(unread_balance=Subquery(tried.values("balance")))


def _is_unread(channel: Channel) -> bool:
    """Whether more than half of the channel's own listings were not read at their last attempt."""
    if not hasattr(channel, "unread_balance"):
        found = _own_tried().filter(channel=channel).aggregate(balance=_UNREAD_BALANCE)
        channel.unread_balance = found["balance"]  # type: ignore[attr-defined]
    return (channel.unread_balance or 0) > 0  # type: ignore[attr-defined]


def used_up_until(health: ChannelHealth, now: datetime) -> datetime | None:
    """Until when the platform said that its own quota is used up; None when it did not, or that time is over."""
    is_refused = health.kind == Wait.kind and health.cause in _QUOTA_CAUSES
    return health.retry_at if is_refused and health.retry_at is not None and health.retry_at > now else None


def _is_untried(credential: Credential, health: ChannelHealth) -> bool:
    """Whether the platform has answered no call well since the secret was entered; to authorise is such a call."""
    good = max(filter(None, (health.good_at, credential.authorised_at)), default=None)
    return credential.secret_set_at is not None and (good is None or good < credential.secret_set_at)


def connection_badge(channel: Channel, now: datetime) -> Badge:
    """The channel's connection in a word or two, worst news first.

    No query when credential, health and the unread balance are loaded.
    """
    credential, health = credential_of(channel), health_of(channel)
    match credential.state(now):
        case Credential.State.NOT_SET_UP:
            return Badge("warning", gettext_lazy("Not set up"))
        case Credential.State.KEY_MISSING:
            return Badge("critical", gettext_lazy("Key missing"))
        case Credential.State.BAD_SETTING:
            return Badge("critical", gettext_lazy("Wrong setting"))
        case Credential.State.NOT_AUTHORISED:
            return Badge("warning", gettext_lazy("Not authorised"))
        case Credential.State.REAUTHORISE if credential.grant == Credential.Grant.CONSENT:
            return Badge("critical", gettext_lazy("Re-authorise"))
        case Credential.State.REAUTHORISE:
            return Badge("critical", capitalised(cause_label(credential.revoked_cause)))
        case Credential.State.EXPIRED:
            return Badge("critical", gettext_lazy("Authorisation ended"))
        case state:
            expiring = state == Credential.State.EXPIRING
    if health.kind in {"fatal", "review"}:
        return Badge("critical", capitalised(cause_label(health.cause)))
    if health.failures >= CIRCUIT_FAILURES:
        return Badge("critical", _("Not answering"))
    if _is_untried(credential, health):
        if health.kind:
            return Badge("warning", capitalised(cause_label(health.cause)))
        return Badge("unknown", gettext_lazy("Not tried yet"))
    if _is_unread(channel):
        return Badge("warning", gettext_lazy("Not reading"))
    if expiring and (ends_at := credential.reads_until) is not None:
        if ends_at <= now:
            return Badge("warning", gettext_lazy("Token to be renewed"))
        return Badge("warning", _("Token ends in %(time)s") % {"time": duration(ends_at - now)})
    if health.kind and health.retry_at is not None and health.retry_at > now:
        return Badge("info", capitalised(cause_label(health.cause)))
    if credential.reads_only:
        return Badge("info", capitalised(cause_label(READS_ONLY)))
    return Badge("ok", gettext_lazy("Connected"))


def needs_authorisation(channel: Channel, now: datetime) -> bool:
    """Whether to authorise is what the channel needs now or within days."""
    credential = credential_of(channel)
    if credential.state(now) in {*WITHOUT_APP, Credential.State.CONNECTED}:
        return False
    return credential.grant == Credential.Grant.CONSENT


@dataclass(frozen=True)
class Problem:
    """One cause of trouble on a channel, told, with how many listings it touches (0: the channel as a whole)."""

    explanation: Explanation
    cause: str
    count: int
    at: datetime | None
    listings: list[ListingWatch]

    @property
    def more(self) -> int:
        """How many listings of this cause are not among the examples."""
        return self.count - len(self.listings)

    @property
    def help(self) -> str:
        return self.explanation.help.value


def channel_problems(channel: Channel, now: datetime) -> list[Problem]:
    """What is wrong on the channel now, one entry per cause, worst first. Two queries."""
    in_trouble = (
        ListingWatch.objects.filter(channel=channel, listing__removed_at__isnull=True, outcome__in=TROUBLE)
        .exclude(_settled_by(credential_of(channel)))
        .order_by()
    )
    counted = {
        row["cause"]: (row["count"], row["at"])
        for row in in_trouble.values("cause").annotate(count=Count("pk"), at=Max("tried_at"))
    }
    health = health_of(channel)
    causes = dict.fromkeys([*_connection_causes(channel, health, now), *counted])
    examples: dict[str, list[ListingWatch]] = {}
    newest_first = Window(RowNumber(), partition_by=[F("cause")], order_by=F("tried_at").desc(nulls_last=True))
    for watch in in_trouble.annotate(place=newest_first).filter(place__lte=_SHOWN_LISTINGS).select_related("listing"):
        examples.setdefault(watch.cause, []).append(watch)
    problems = []
    for cause in causes:
        count, tried_at = counted.get(cause, (0, None))
        is_channels = cause == health.cause and bool(health.kind)
        at = health.failed_at if is_channels else tried_at
        problems.append(
            Problem(
                explanation=explain(
                    cause=cause,
                    channel=channel,
                    at=at,
                    retry_at=health.retry_at if is_channels else None,
                    code=health.code if is_channels else "",
                    detail=health.detail if is_channels else "",
                ),
                cause=cause,
                count=count,
                at=at,
                listings=examples.get(cause, []),
            )
        )
    return sorted(problems, key=lambda problem: (SEVERITIES.index(problem.explanation.severity), -problem.count))


def _settled_by(credential: Credential) -> Q:
    """What listings met of the connection's troubles before its secret was entered anew, or it was authorised."""
    since = [credential.secret_set_at, credential.authorised_at if credential.authorised_by_id else None]
    latest = max(filter(None, since), default=None)
    if latest is None:
        return Q(pk__in=[])
    return Q(Q(outcome=ListingWatch.Outcome.FAILED) | Q(cause="permission"), tried_at__lt=latest)


def _connection_causes(channel: Channel, health: ChannelHealth, now: datetime) -> list[str]:
    """Why the channel as a whole cannot be read, if it cannot."""
    credential = credential_of(channel)
    state = credential.state(now)
    if state == Credential.State.REAUTHORISE:
        return [credential.revoked_cause]
    if state in _UNCONNECTED:
        return [state.value]
    return [*([health.cause] if health.kind else []), *([READS_ONLY] if credential.reads_only else [])]


def authorised_line(credential: Credential, now: datetime) -> str:
    """By whom and when the present authorisation was given; "" while there is none."""
    if credential.authorised_at is None:
        return ""
    given = day(credential.authorised_at, now)
    if credential.authorised_by is None:
        return _("renewed by itself, %(day)s") % {"day": given}
    who = credential.authorised_by.get_full_name() or credential.authorised_by.get_username()
    return _("by %(who)s, %(day)s") % {"who": who, "day": given}


def until_text(ends_at: datetime | None, now: datetime) -> str:
    """When an authorisation ends: to the minute while that is this year, else the date with its year."""
    if ends_at is None or timezone.localtime(ends_at).year == timezone.localtime(now).year:
        return moment(ends_at)
    return day(ends_at, now)


def life_texts(credential: Credential, now: datetime) -> tuple[str, str]:
    """Until when the channel may be called, and by what right, in a few words each."""
    match credential.grant:
        case Credential.Grant.KEYS:
            return _("no end"), _("by its keys")
        case Credential.Grant.REQUEST:
            return _("renews itself"), _token_line(credential, now)
        case _ if credential.renews_itself(now):
            return _("renews itself"), _token_line(credential, now)
    return until_text(credential.reads_until, now), authorised_line(credential, now)


def _token_line(credential: Credential, now: datetime) -> str:
    if not credential.access_token:
        return _("no token yet")
    return _("token until %(time)s") % {"time": until_text(credential.reads_until, now)}


def masked(secret: str) -> str:
    """Dots and the last four characters of a secret, dots alone for one that four characters would give away."""
    return f"•••• {secret[-4:]}" if len(secret) >= 16 else "••••"


def channel_states(channels: Sequence[Channel], now: datetime) -> Mapping[int, Badge]:
    """The connection of each channel, for the dashboard. One query, however many channels."""
    loaded = with_connection(Channel.objects.filter(pk__in=[channel.pk for channel in channels]))
    return {channel.pk: connection_badge(channel, now) for channel in loaded}


def capitalised(text: str) -> str:
    """With its first letter as a sentence begins."""
    return text[:1].upper() + text[1:]
