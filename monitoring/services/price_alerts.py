"""What is found when a price is worked out: sold below what it costs, a margin too thin, a discount that is none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Min

from catalog.database import among
from catalog.models import ChannelPricing, Listing
from catalog.promotions.requests import amount_of
from monitoring.models import Alert, AlertKind, Collision, PriceQuote, Severity
from monitoring.services.alerts import end_alerts, open_alerts

LOW_OF = timedelta(days=30)
_WHOLE_RATE = 10_000
_LONGEST_VALUE = 40  # of an alert

SEVERITIES: Mapping[str, Severity] = {
    AlertKind.BELOW_BREAK_EVEN: Severity.CRITICAL,
    AlertKind.BELOW_MARGIN: Severity.WARNING,
    AlertKind.NOT_BELOW_LOW: Severity.INFO,
    AlertKind.PLATFORM_DIFFERS: Severity.WARNING,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One condition of one listing. `holds` None: cannot tell, so that nothing opens and nothing ends.

    Amounts are in minor units; `limit` of a margin floor is in basis points. None of them tells what the goods cost,
    since alerts are read by people who may not see that.
    """

    kind: AlertKind
    holds: bool | None
    before: int | None = None
    now: int | None = None
    limit: int | None = None


def check_quotes(*, listings: Mapping[int, Listing], quotes: Sequence[PriceQuote], now: datetime) -> int:
    """Open and end alerts by the newest quotes, for the transaction that stored them; returns how many opened."""
    if not quotes:
        return 0
    floors = dict(
        ChannelPricing.objects.filter(channel__in={listing.channel_id for listing in listings.values()}).values_list(
            "channel", "margin_floor"
        )
    )
    lows = _lows([quote.listing_id for quote in quotes], now)
    in_force = {
        (listing_id, kind): pk
        for pk, listing_id, kind in Alert.objects.filter(
            listing__in=among([quote.listing_id for quote in quotes]), kind__in=list(SEVERITIES), cleared_at=None
        ).values_list("pk", "listing", "kind")
    }
    opened: list[Alert] = []
    over: list[int] = []
    for quote in quotes:
        listing = listings[quote.listing_id]
        for finding in findings(quote, floor=floors.get(listing.channel_id), low=lows.get(listing.pk)):
            before = in_force.get((listing.pk, finding.kind.value))
            if finding.holds and before is None:
                opened.append(_alert(listing, quote, finding, now))
            elif finding.holds is False and before is not None:
                over.append(before)
    end_alerts(alert_ids=over, now=now)
    return open_alerts(alerts=opened, now=now)


def findings(quote: PriceQuote, *, floor: int | None, low: int | None) -> list[Finding]:
    """Each condition, as far as it can be told; `low` is the lowest price of the 30 days before, None without them.

    At break-even nothing is missing, at the floor the margin is not below it, and at the low the discount is real.
    """
    received, margin, pays = quote.receipts, quote.margin, quote.buy_one
    is_loss = None if margin is None else margin < 0
    found = [Finding(AlertKind.BELOW_BREAK_EVEN, is_loss, None, received)]
    is_thin: bool | None = False
    if floor is not None:
        # A loss is told as such, and not once more.
        is_thin = (
            None if margin is None or received is None else margin >= 0 and margin * _WHOLE_RATE < floor * received
        )
    found.append(Finding(AlertKind.BELOW_MARGIN, is_thin, None, received, floor))
    is_fake = None if pays is None or low is None else bool(quote.answer.get("used")) and pays > low
    found.append(Finding(AlertKind.NOT_BELOW_LOW, is_fake, low, pays, low))
    told = quote.platform_price
    differs = None if pays is None or told is None else pays != told
    found.append(Finding(AlertKind.PLATFORM_DIFFERS, differs, told, pays))
    return found


def check_ahead(*, listing_ids: Sequence[int], collisions: Sequence[Collision], now: datetime) -> int:
    """Open and end warnings of losses that are certain and begin later, for the transaction that stored them.

    Returns how many opened. What begins ends the warning, since a sale below break-even is then told as such; one that
    only some buyers get stays a warning. As long as nobody can tell, nothing ends.
    """
    certainty = Collision.Certainty
    ahead = {
        each.listing_id: each
        for each in collisions
        if each.certainty == certainty.CERTAIN and (each.starts_at > now or each.buyer)
    }
    known = {each.listing_id for each in collisions if each.certainty == certainty.CERTAIN}
    blind = {each.listing_id for each in collisions if each.certainty == certainty.CANNOT_TELL} - known
    in_force = Alert.objects.filter(kind=AlertKind.LOSS_AHEAD, listing__in=among(listing_ids), cleared_at=None)
    over: list[int] = []
    for alert in in_force:
        found = ahead.pop(alert.listing_id or 0, None)
        if found is None:
            if alert.listing_id not in blind:
                over.append(alert.pk)
        elif (values := _ahead_values(found)) != {name: getattr(alert, name) for name in values}:
            Alert.objects.filter(pk=alert.pk).update(**values, updated_at=now)
    end_alerts(alert_ids=over, now=now)
    opened = [
        Alert(
            kind=AlertKind.LOSS_AHEAD,
            severity=Severity.WARNING,
            channel=each.listing.channel,
            listing=each.listing,
            currency=each.currency,
            opened_at=now,
            last_at=now,
            updated_at=now,
            **_ahead_values(each),
        )
        for each in ahead.values()
    ]
    return open_alerts(alerts=opened, now=now)


def _ahead_values(collision: Collision) -> dict[str, str]:
    return {
        "old_value": _text(collision.price, collision.currency),
        "new_value": collision.starts_at.isoformat(),
        "limit": collision.buyer[:_LONGEST_VALUE],
    }


def _lows(listing_ids: Sequence[int], now: datetime) -> dict[int, int]:
    """The lowest price of the last 30 days, for listings whose prices are known for as long."""
    known = PriceQuote.objects.filter(listing__in=among(listing_ids), buy_one__isnull=False, at__lt=now)
    since = now - LOW_OF
    old = dict(known.filter(at__lte=since).values_list("listing").annotate(first=Min("at")))
    if not old:
        return {}
    # What was in force when the 30 days began counts too: the last one before them.
    lows: dict[int, int] = {}
    rows = known.filter(listing__in=among(sorted(old))).order_by("listing", "at", "pk")
    for listing_id, at, pays in rows.values_list("listing", "at", "buy_one"):
        assert pays is not None  # noqa: S101 - as the rows were chosen
        lows[listing_id] = pays if at <= since else min(lows[listing_id], pays)
    return lows


def _alert(listing: Listing, quote: PriceQuote, finding: Finding, now: datetime) -> Alert:
    is_rate = finding.kind is AlertKind.BELOW_MARGIN
    limit = str(finding.limit) if is_rate and finding.limit is not None else _text(finding.limit, quote.currency)
    return Alert(
        kind=finding.kind,
        severity=SEVERITIES[finding.kind],
        channel=listing.channel,
        listing=listing,
        old_value=_text(finding.before, quote.currency),
        new_value=_text(finding.now, quote.currency),
        limit=limit,
        currency=quote.currency,
        opened_at=now,
        last_at=now,
        updated_at=now,
    )


def _text(units: int | None, currency: str) -> str:
    return "" if units is None else str(amount_of(units, currency))
