"""Alerts and thresholds in words, in the language of the page or message."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from config.formatting import change_percent, count, joined, moment, money, percent
from monitoring.models import Alert, AlertKind, Severity, Threshold

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

_PRICES: dict[str, _StrPromise | str] = dict(Threshold.Price.choices)


def alert_url(alert: Alert) -> str:
    """The path of the alert's page."""
    return reverse("admin:monitoring_alert_change", args=[alert.pk])


def severity_word(severity: str) -> str:
    """As a badge says it: Critical."""
    return capfirst(str(Severity(severity).label))


def alert_title(alert: Alert) -> str:
    """What happened, in a few words: Below ¥200."""
    match alert.kind:
        case AlertKind.PRICE_RANGE:
            limit, value = _decimal(alert.limit), _decimal(alert.new_value)
            shown = _short_money(limit, alert.currency)
            is_below = value is not None and limit is not None and value < limit
            return (_("Below %(limit)s") if is_below else _("Above %(limit)s")) % {"limit": shown}
        case AlertKind.PRICE_CHANGE:
            change = change_percent(_decimal(alert.old_value), _decimal(alert.new_value))
            return f"{_price(alert.fact)} {change}"
        case AlertKind.VOLATILITY:
            return _("%(price)s swings") % {"price": _price(alert.fact)}
        case AlertKind.STOCK_AT_MOST:
            return _("Stock at %(stock)s") % {"stock": _units(alert.new_value)}
        case AlertKind.SOLD_OUT:
            return _("Sold out")
        case AlertKind.RESTOCKED:
            return _("Back in stock")
        case AlertKind.OFF_SHELF:
            return _("Off shelf")
        case AlertKind.BLIND:
            return _("Not read any more") if alert.old_value else _("Never read")
        case AlertKind.AUTHORISATION:
            return _("Authorisation ended") if _has_ended(alert) else _("Authorisation ends soon")
        case AlertKind.BELOW_BREAK_EVEN:
            return _("Sold below break-even")
        case AlertKind.LOSS_AHEAD:
            return _("Will sell below break-even")
        case AlertKind.PROMOTION_ENDS:
            return _("“%(name)s” ends soon") % {"name": alert.old_value}
        case AlertKind.BELOW_MARGIN:
            return _("Margin below %(floor)s") % {"floor": _floor(alert)}
        case AlertKind.NOT_BELOW_LOW:
            return _("Discount above the 30-day low")
        case AlertKind.PLATFORM_DIFFERS:
            return _("Platform tells another price")
        case AlertKind.STOCK_HELD:
            held = int(alert.new_value)
            text = ngettext("%(count)s listing would go to 0", "%(count)s listings would go to 0", held)
            return text % {"count": count(held)}
        case AlertKind.BELOW_SAFETY_STOCK:
            return _("Below the safety stock of %(limit)s") % {"limit": _units(alert.limit)}
        case AlertKind.BELOW_REORDER_POINT:
            return _("At the reorder point of %(limit)s") % {"limit": _units(alert.limit)}
        case _:
            return capfirst(str(alert.get_kind_display()))


def alert_sentence(alert: Alert) -> str:
    """What was read, what it was before, and the limit: Live price ¥268.00 → ¥189.00, limit ¥200.00."""
    match alert.kind:
        case AlertKind.PRICE_RANGE:
            return _("%(price)s %(change)s, limit %(limit)s") % {
                "price": _price(alert.fact),
                "change": _amounts(alert),
                "limit": _money(alert.limit, alert.currency),
            }
        case AlertKind.PRICE_CHANGE:
            return _price_change(alert)
        case AlertKind.VOLATILITY:
            return _("%(price)s between %(low)s and %(high)s (%(swing)s apart), limit %(limit)s") % {
                "price": _price(alert.fact),
                "low": _money(alert.old_value, alert.currency),
                "high": _money(alert.new_value, alert.currency),
                "swing": _share(alert.old_value, alert.new_value),
                "limit": _percent(alert.limit),
            }
        case AlertKind.STOCK_AT_MOST:
            return _("Stock %(change)s, limit %(limit)s") % {
                "change": _moved(alert, _units),
                "limit": _units(alert.limit),
            }
        case AlertKind.SOLD_OUT:
            return _("Stock %(change)s") % {"change": _moved(alert, _units)}
        case AlertKind.RESTOCKED:
            return _("Stock %(change)s") % {"change": _moved(alert, _units)}
        case AlertKind.OFF_SHELF:
            return _("The platform does not show it to buyers any more")
        case AlertKind.BLIND:
            return _not_read(alert)
        case AlertKind.AUTHORISATION:
            ends = {"time": moment(_time(alert.new_value))}
            return (_("Authorised until %(time)s") if not _has_ended(alert) else _("It ended %(time)s")) % ends
        case AlertKind.BELOW_BREAK_EVEN:
            return _("%(received)s come in for one, less than it costs") % {
                "received": _money(alert.new_value, alert.currency)
            }
        case AlertKind.LOSS_AHEAD:
            return _loss_ahead(alert)
        case AlertKind.PROMOTION_ENDS:
            return _promotion_ends(alert)
        case AlertKind.BELOW_MARGIN:
            return _("%(received)s come in for one, of which less than %(floor)s is left") % {
                "received": _money(alert.new_value, alert.currency),
                "floor": _floor(alert),
            }
        case AlertKind.NOT_BELOW_LOW:
            return _("After coupon %(now)s, but it was %(low)s within 30 days") % {
                "now": _money(alert.new_value, alert.currency),
                "low": _money(alert.limit, alert.currency),
            }
        case AlertKind.PLATFORM_DIFFERS:
            return _("We work out %(ours)s, the platform says %(theirs)s") % {
                "ours": _money(alert.new_value, alert.currency),
                "theirs": _money(alert.old_value, alert.currency),
            }
        case AlertKind.STOCK_HELD:
            return _("Nothing of that was sent. Look at them on the page of the channel, and decide.")
        case AlertKind.BELOW_SAFETY_STOCK:
            return _("%(place)s: %(units)s can be sold, the safety stock is %(limit)s") % _short(alert)
        case AlertKind.BELOW_REORDER_POINT:
            return _("%(place)s: %(units)s with what is on the way, to be ordered at %(limit)s") % _short(alert)
        case _:
            return ""


def threshold_sentence(threshold: Threshold) -> str:
    """The whole rule: List price below ¥200.00 or above ¥300.00 (both are within the range)."""
    price = _price(threshold.price)
    match threshold.kind:
        case AlertKind.PRICE_RANGE:
            return _price_range(threshold, price)
        case AlertKind.PRICE_CHANGE:
            return _percentage_rule(threshold, price)
        case AlertKind.VOLATILITY:
            days = threshold.days or 0
            return ngettext(
                "%(price)s: highest and lowest of %(days)d day %(percent)s or more apart",
                "%(price)s: highest and lowest of %(days)d days %(percent)s or more apart",
                days,
            ) % {"price": price, "days": days, "percent": _percent(threshold.percent)}
        case AlertKind.STOCK_AT_MOST:
            return _("Stock at or below %(stock)s") % {"stock": count(threshold.stock)}
        case AlertKind.SOLD_OUT:
            return _("Sold out: on shelf with a stock of 0")
        case AlertKind.RESTOCKED:
            return _("Back in stock after it was sold out")
        case AlertKind.OFF_SHELF:
            return _("Off shelf")
        case AlertKind.BLIND:
            missed = threshold.intervals or 0
            return ngettext(
                "No good reading for %(count)d interval",
                "No good reading for %(count)d intervals",
                missed,
            ) % {"count": missed}
        case AlertKind.AUTHORISATION:
            days = threshold.days or 0
            return ngettext(
                "Authorisation ends within %(days)d day", "Authorisation ends within %(days)d days", days
            ) % {"days": days}
        case _:
            return ""


# --- Parts ----------------------------------------------------------------------------------------------------------


def _price_range(threshold: Threshold, price: str) -> str:
    low, high = (money(limit, threshold.currency) for limit in (threshold.min_price, threshold.max_price))
    if threshold.max_price is None:
        return _("%(price)s below %(low)s (which itself is within the range)") % {"price": price, "low": low}
    if threshold.min_price is None:
        return _("%(price)s above %(high)s (which itself is within the range)") % {"price": price, "high": high}
    return _("%(price)s below %(low)s or above %(high)s (both are within the range)") % {
        "price": price,
        "low": low,
        "high": high,
    }


def _percentage_rule(threshold: Threshold, price: str) -> str:
    words = {"price": price, "percent": _percent(threshold.percent), "reference": _reference(threshold)}
    match threshold.direction:
        case Threshold.Direction.UP:
            return _("%(price)s %(percent)s or more above %(reference)s") % words
        case Threshold.Direction.DOWN:
            return _("%(price)s %(percent)s or more below %(reference)s") % words
        case _:
            return _("%(price)s %(percent)s or more above or below %(reference)s") % words


def _reference(threshold: Threshold) -> str:
    match threshold.reference:
        case Threshold.Reference.BASELINE:
            return _("what it was on %(time)s") % {"time": moment(threshold.baseline_at)}
        case Threshold.Reference.MEDIAN:
            days = threshold.days or 0
            return ngettext("the median of the %(days)d day before", "the median of the %(days)d days before", days) % {
                "days": days
            }
        case _:
            return _("the price before")


def _price_change(alert: Alert) -> str:
    words = {
        "price": _price(alert.fact),
        "old": _money(alert.old_value, alert.currency),
        "new": _money(alert.new_value, alert.currency),
        "change": change_percent(_decimal(alert.old_value), _decimal(alert.new_value)),
        "limit": _percent(alert.limit),
    }
    match alert.reference:
        case Threshold.Reference.BASELINE:
            return _("%(price)s %(new)s, %(old)s when the comparison began (%(change)s), limit %(limit)s") % words
        case Threshold.Reference.MEDIAN:
            return _("%(price)s %(new)s, median %(old)s (%(change)s), limit %(limit)s") % words
        case _:
            return _("%(price)s %(old)s → %(new)s (%(change)s), limit %(limit)s") % words


def _not_read(alert: Alert) -> str:
    limit = int(alert.limit or 0)
    missed = ngettext("more than %(count)d reading missed", "more than %(count)d readings missed", limit) % {
        "count": limit
    }
    if not alert.old_value:
        return _("Not one good reading so far, %(missed)s") % {"missed": missed}
    return _("Last read %(time)s, %(missed)s") % {"time": moment(_time(alert.old_value)), "missed": missed}


def _loss_ahead(alert: Alert) -> str:
    """From its first minute on; the limit names buyers where only those pay so little."""
    words = {
        "time": moment(_time(alert.new_value)),
        "price": _money(alert.old_value, alert.currency),
        "buyers": alert.limit,
    }
    if alert.limit:
        return _("From %(time)s on, down to %(price)s for %(buyers)s, less than it costs") % words
    return _("From %(time)s on, down to %(price)s, less than it costs") % words


def _promotion_ends(alert: Alert) -> str:
    told = []
    if alert.new_value:
        told.append(_("It ends %(time)s") % {"time": moment(_time(alert.new_value))})
    if alert.limit:
        left = int(alert.limit)
        told.append(ngettext("%(count)s is left", "%(count)s are left", left) % {"count": count(left)})
    return joined([*told, _("prices are worked out with it")])


def _short(alert: Alert) -> dict[str, str]:
    return {"place": alert.old_value, "units": _units(alert.new_value), "limit": _units(alert.limit)}


def _floor(alert: Alert) -> str:
    """A margin floor, kept in basis points."""
    return percent(Decimal(alert.limit or 0) / 10_000)


def _has_ended(alert: Alert) -> bool:
    ends_at = _time(alert.new_value)
    return ends_at is not None and ends_at <= alert.last_at


def _amounts(alert: Alert) -> str:
    return _moved(alert, lambda text: _money(text, alert.currency))


def _moved(alert: Alert, shown: Callable[[str], str]) -> str:
    """Old → new; the new value alone when the old one is not known or is the same."""
    new = shown(alert.new_value)
    return new if alert.old_value in ("", alert.new_value) else f"{shown(alert.old_value)} → {new}"


def _price(fact: str) -> str:
    return capfirst(str(_PRICES.get(fact, fact)))


def _decimal(text: str) -> Decimal | None:
    return Decimal(text) if text else None


def _time(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _money(text: str, currency: str) -> str:
    return money(_decimal(text), currency)


def _short_money(amount: Decimal | None, currency: str) -> str:
    """Without decimals where they are zeros."""
    return money(amount, currency).removesuffix(".00")


def _units(text: str) -> str:
    return count(int(text)) if text else count(None)


def _percent(share: Decimal | str | None) -> str:
    """A figure in percent, as limits are."""
    return percent(None if share in (None, "") else Decimal(share or 0) / 100)


def _share(low: str, high: str) -> str:
    """By how much of the lower amount the higher one is above it."""
    if not low or not high or not Decimal(low):
        return percent(None)
    return percent(Decimal(high) / Decimal(low) - 1)
