"""The values of an alert as its page and the board show them, each under the name that its kind gives it."""

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

    @property
    def change(self) -> str:
        """The values side by side, one alone when the other is the same or not known; "" without any."""
        return self.now if self.before in ("", self.now) else f"{self.before} → {self.now}"


def figures(alert: Alert) -> Figures:
    def amount(text: str) -> str:
        return formatting.money(Decimal(text), alert.currency) if text else ""

    def units(text: str) -> str:
        return formatting.count(int(text)) if text else ""

    def at(text: str) -> str:
        return formatting.moment(datetime.fromisoformat(text)) if text else ""

    share = formatting.percent(Decimal(alert.limit) / 100) if alert.kind in _IN_PERCENT and alert.limit else ""
    names = _("Before"), _("Then")
    match alert.kind:
        case AlertKind.PRICE_RANGE:
            return Figures(amount(alert.old_value), amount(alert.new_value), amount(alert.limit), *names)
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
            return Figures(units(alert.old_value), units(alert.new_value), units(alert.limit), *names)
        case AlertKind.BLIND:
            return Figures(before=at(alert.old_value), before_label=_("Last read"))
        case AlertKind.AUTHORISATION:
            return Figures(now=at(alert.new_value), now_label=_("Ends"))
        case _:
            return Figures()
