"""From crossings to alerts: what opens, what comes again, what ends."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import QuerySet

from catalog.database import Microseconds, driver_rows, update_rows
from monitoring.models import Alert, Threshold
from monitoring.services.alerts import end_alerts, open_again, open_alerts
from monitoring.services.thresholds.figures import PRICES, figure_of, limit_text, value_text
from monitoring.thresholds.rules import Crossing, Kind, Move, Rule, State


class LastAlert(NamedTuple):
    """The newest alert of a threshold and a listing: in force, or within the cooldown."""

    pk: int
    threshold_id: int
    subject_id: int  # of a listing, or of a channel
    last_us: int
    cleared_us: int | None
    times: int
    old_value: str
    new_value: str
    limit: str
    kind: str
    fact: str

    def is_of(self, threshold: Threshold) -> bool:
        """Whether it was opened by the rule that the threshold is now; its values say nothing about another one."""
        is_about_price = self.fact in PRICES
        return self.kind == threshold.kind and (not is_about_price or self.fact == threshold.price)

    def state(self, rule: Rule) -> State:
        old, new, limit = (figure_of(rule, text) for text in (self.old_value, self.new_value, self.limit))
        against = limit if rule.kind == Kind.PRICE_RANGE else old
        has_sides = rule.kind in (Kind.PRICE_RANGE, Kind.PRICE_CHANGE) and new is not None and against is not None
        return State(
            is_in_force=self.cleared_us is None,
            side=(1 if new > against else -1) if has_sides else 0,  # type: ignore[operator]
            compared_with=old,
            crossed_us=self.last_us,
        )


def last_alerts(
    alerts: QuerySet[Alert], subject: str, thresholds: Sequence[Threshold], now: datetime
) -> dict[tuple[int, int], LastAlert]:
    """The alerts in force, and the newest of those within a cooldown; by threshold and listing or channel.

    Of `alerts`, those of other thresholds are left out. Those that a threshold opened before it was made into another
    rule are, too, and ended where in force.
    """
    longest = max(threshold.cooldown for threshold in thresholds)
    # Two questions in one statement: no index answers them as one.
    in_force = alerts.filter(cleared_at__isnull=True).order_by().values("pk")
    recent = alerts.filter(cleared_at__isnull=False, last_at__gt=now - longest).order_by().values("pk")
    rows = driver_rows(
        Alert.objects.filter(pk__in=in_force.union(recent, all=True)).order_by("last_at", "pk"),
        (
            "pk",
            "threshold_id",
            subject,
            Microseconds("last_at"),
            Microseconds("cleared_at"),
            "count",
            "old_value",
            "new_value",
            "limit",
            "kind",
            "fact",
        ),
    )
    by_id = {threshold.pk: threshold for threshold in thresholds}
    newest: dict[tuple[int, int], LastAlert] = {}
    of_another_rule: list[int] = []
    for row in map(LastAlert._make, rows):
        threshold = by_id.get(row.threshold_id)
        if threshold is None:
            continue
        if not row.is_of(threshold):
            of_another_rule += [row.pk] if row.cleared_us is None else []
            continue
        key = row.threshold_id, row.subject_id
        if key not in newest or newest[key].cleared_us is not None:
            newest[key] = row
    end_alerts(alert_ids=of_another_rule, now=now)
    return newest


class Book:
    """The crossings of one moment, stored together."""

    def __init__(self, *, now: datetime) -> None:
        self._now = now
        self._opened: list[Alert] = []
        self._again: list[tuple[Any, ...]] = []
        self._ended: list[int] = []

    def enter(
        self,
        threshold: Threshold,
        rule: Rule,
        channel_id: int,
        listing_id: int | None,
        crossing: Crossing,
        alert: LastAlert | None,
    ) -> None:
        """`alert` is the newest of the threshold and the listing, in force or within the cooldown."""
        texts = [value_text(rule, value) for value in (crossing.old, crossing.new)]
        limit = limit_text(rule, crossing.limit)
        self.enter_texts(
            threshold, rule.fact, channel_id, listing_id, crossing.move, alert, old=texts[0], new=texts[1], limit=limit
        )

    def enter_texts(
        self,
        threshold: Threshold,
        fact: str,
        channel_id: int,
        listing_id: int | None,
        move: Move,
        alert: LastAlert | None,
        *,
        old: str,
        new: str,
        limit: str,
    ) -> None:
        is_in_force = alert is not None and alert.cleared_us is None
        if move == Move.AGAIN and alert is not None:
            self._again.append((alert.pk, old, new, limit, alert.times + 1))
            return
        if is_in_force and alert is not None:
            self._ended.append(alert.pk)
        if move == Move.CLEARED:
            return
        self._opened.append(
            Alert(
                threshold=threshold,
                kind=threshold.kind,
                severity=threshold.severity,
                channel_id=channel_id,
                listing_id=listing_id,
                fact=fact,
                old_value=old,
                new_value=new,
                limit=limit,
                reference=threshold.reference,
                currency=getattr(threshold, "channel_currency", "") if fact in PRICES else "",
                opened_at=self._now,
                last_at=self._now,
                updated_at=self._now,
            )
        )

    def close(self) -> tuple[int, int]:
        """Store it all; returns how many alerts opened and how many ended."""
        now = self._now
        ended = end_alerts(alert_ids=self._ended, now=now)
        update_rows(
            Alert,
            "id",
            ("old_value", "new_value", "limit", "count"),
            self._again,
            also={"last_at": now, "cleared_at": None, "updated_at": now},
        )
        open_again(alert_ids=[row[0] for row in self._again], now=now)
        return open_alerts(alerts=self._opened, now=now), ended
