"""The report cards of forecasts as pages show them: our method beside the seasonal naive one and the textbook's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from config.formatting import UNKNOWN, moment
from monitoring.models import ForecastReport, PlanRun, SkuPlan
from monitoring.planning.classes import Pattern

Row = tuple[str, str, str, str, str]  # method, error, bias, coverage, quantile loss
_PATTERNS = (Pattern.SMOOTH, Pattern.INTERMITTENT, Pattern.ERRATIC, Pattern.LUMPY)


@dataclass(frozen=True, slots=True)
class Card:
    title: str
    line: str  # what was judged
    rows: Sequence[Row]


def cards_of_plan(plan: SkuPlan | None) -> list[Card]:
    """Of the SKU itself, of those that sell like it, and of all; one query or two."""
    of_groups = cards_of_groups(["", plan.pattern] if plan and plan.pattern else [""])
    return [*_own_card(plan), *reversed(of_groups)]


def cards_of_groups(groups: Sequence[str] = ("", *_PATTERNS)) -> list[Card]:
    """Of the last run that judged forecasts, all together ("") first."""
    run = PlanRun.objects.filter(reports__isnull=False).order_by("-pk").first()
    if run is None:
        return []
    by_group: dict[str, list[ForecastReport]] = {}
    for report in ForecastReport.objects.filter(run=run, group__in=groups).order_by("pk"):
        by_group.setdefault(report.group, []).append(report)
    cards = []
    for group in groups:
        if reports := by_group.get(group):
            line = _totals(reports[0].totals, reports[0].horizon)
            title = _group_name(group) if group else _("All SKUs, %(time)s") % {"time": moment(run.started_at)}
            cards.append(Card(title, line, [_row(each.of, *_figures(each)) for each in reports]))
    return cards


def _own_card(plan: SkuPlan | None) -> list[Card]:
    if plan is None or not plan.report_card:
        return []
    card = plan.report_card
    rows = [_row(name, *figures) for name, figures in card["methods"].items()]
    return [Card(_("This SKU"), _totals(card["totals"], card["days"]), rows)]


def _totals(totals: int, days: int) -> str:
    return _("%(totals)s totals of %(days)s days at past moments") % {"totals": totals, "days": days}


def _group_name(group: str) -> str:
    return {
        Pattern.SMOOTH: pgettext("SKUs", "Sold steadily"),
        Pattern.INTERMITTENT: pgettext("SKUs", "Sold now and then"),
        Pattern.ERRATIC: pgettext("SKUs", "Sold in changing sizes"),
        Pattern.LUMPY: pgettext("SKUs", "Sold now and then in changing sizes"),
    }.get(Pattern(group), group)


def _figures(report: ForecastReport) -> tuple[float | None, ...]:
    return report.wape, report.bias, report.coverage, report.quantile_loss


def _row(method: str, *figures: Any) -> Row:
    wape, bias, coverage, loss = figures
    shown = [UNKNOWN if share is None else f"{share * 100:.1f}%".replace("-", "−") for share in (wape, bias, coverage)]
    label = str(ForecastReport.Method(method).label)
    return label, shown[0], shown[1], shown[2], UNKNOWN if loss is None else f"{loss:.3f}"
