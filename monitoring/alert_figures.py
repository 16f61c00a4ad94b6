"""The values of an alert as its page and the board show them, each under the name that its kind gives it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.utils.translation import gettext as _

from config import formatting
from monitoring.models import Alert, AlertKind, Threshold

_IN_PERCENT = (AlertKind.PRICE_CHANGE, AlertKind.VOLATILITY)


@dataclass(frozen=True)
class Figures:
    """ "" is what is not known, or does not apply to the kind."""

    before: str = ""
    now: str = ""
    limit: str = ""
    before_label: str = ""
    now_label: str = ""
    was_true_already: bool = False  # nothing had changed: the threshold began to watch, or was changed

    @property
    def change(self) -> str:
        """The values side by side, one alone when the other is the same or not known; "" without any."""
        return self.now if self.before in ("", self.now) else f"{self.before} → {self.now}"


def figures(alert: Alert, *, has_unit: bool = False) -> Figures:
    """`has_unit`: a stock is written with its unit, where each figure stands alone."""

    def amount(text: str) -> str:
        return formatting.money(Decimal(text), alert.currency) if text else ""

    def units(text: str) -> str:
        return (formatting.units if has_unit else formatting.count)(int(text)) if text else ""

    def at(text: str) -> str:
        return formatting.moment(datetime.fromisoformat(text)) if text else ""

    share = formatting.percent(Decimal(alert.limit) / 100) if alert.kind in _IN_PERCENT and alert.limit else ""
    match alert.kind:
        case AlertKind.PRICE_RANGE:
            return _moved(alert, amount)
        case AlertKind.PRICE_CHANGE:
            compared = {
                Threshold.Reference.BASELINE: _("When the comparison began"),
                Threshold.Reference.MEDIAN: _("Median"),
            }.get(Threshold.Reference(alert.reference), _("Before"))
            return Figures(amount(alert.old_value), amount(alert.new_value), share, compared, _("Then"))
        case AlertKind.VOLATILITY:
            low, high = amount(alert.old_value), amount(alert.new_value)
            return Figures(low, high, share, _("Lowest"), _("Highest"))
        case AlertKind.STOCK_AT_MOST | AlertKind.SOLD_OUT | AlertKind.RESTOCKED:
            return _moved(alert, units)
        case AlertKind.BLIND:
            return Figures(before=at(alert.old_value), before_label=_("Last read"))
        case AlertKind.AUTHORISATION:
            return Figures(now=at(alert.new_value), now_label=_("Ends"))
        case _:
            return Figures()


def _moved(alert: Alert, shown: Callable[[str], str]) -> Figures:
    """Before, then and the limit; then alone where the reading that opened the alert changed nothing."""
    now, limit = shown(alert.new_value), shown(alert.limit)
    if alert.old_value and alert.old_value == alert.new_value:
        return Figures(now=now, limit=limit, now_label=_("Then"), was_true_already=True)
    return Figures(shown(alert.old_value), now, limit, _("Before"), _("Then"))
