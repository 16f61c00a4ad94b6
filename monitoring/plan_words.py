"""What an advice says, and why nobody can tell, in the language of the page."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from catalog.models import Promotion
from config.formatting import UNKNOWN, count, day, joined, money, sentences
from monitoring.advice_words import cap_sentence, order_sentence, short_sentence
from monitoring.models import Advice, SkuPlan
from monitoring.planning.advice_text import Reason
from monitoring.services.planning.figures import NO_HISTORY, NO_LEAD_TIME, NO_STOCK_COUNT
from monitoring.services.planning.minimums import Shortfall
from monitoring.services.planning.sums import order_of, short_of

Kind, State, Status = Advice.Kind, Advice.State, SkuPlan.Status

_REASONS: Mapping[str, Promise | str] = {
    NO_STOCK_COUNT: gettext_lazy("Nobody has counted what is there. Count it."),
    NO_LEAD_TIME: gettext_lazy("Nobody says how long the supplier takes. Set its lead time."),
    NO_HISTORY: gettext_lazy("Nothing tells what is sold of it here. Set a forecast by hand, or wait."),
}
_STATUS_LINES: Mapping[str, Promise | str] = {
    Status.NEW: gettext_lazy("It is sold for fewer than 28 days. Set a forecast by hand, or wait."),
    Status.CANNOT_TELL: gettext_lazy("What is needed for its plan is not known."),
    Status.NO_DEMAND: gettext_lazy("Nothing of it is sold, so nothing is needed."),
    Status.RETIRED: gettext_lazy("It is retired: nothing more is bought."),
}


def advice_sentence(advice: Advice, *, keeps: int | None = None, point: float | None = None) -> str:
    """The sum as one sentence, or what it is about where there is nothing to add up.

    Of a transfer, `keeps` is what its warehouse has left, and `point` that warehouse's reorder point.
    """
    figures = {"units": count(advice.quantity), "warehouse": advice.warehouse, "channel": advice.channel or UNKNOWN}
    match advice.kind:
        case Kind.BUY:
            return order_sentence(order_of(advice.sum)) if advice.sum else _("Buy %(units)s.") % figures
        case Kind.TRANSFER:
            moved = _("Move %(units)s from %(source)s first.") % {**figures, "source": advice.source or UNKNOWN}
            if keeps is None or point is None:
                return moved
            kept = {"keeps": count(keeps), "point": count(round(point))}
            return sentences(moved, _("It keeps %(keeps)s; its reorder point is %(point)s.") % kept)
        case Kind.LOWER_CAP:
            if not advice.sum:
                return _("Show at most %(units)s on %(channel)s, so that what is left lasts.") % figures
            short = short_of(advice.sum)
            deed = (
                _("Show at most %(units)s on %(channel)s, where a unit earns least.")
                if short.reason == Reason.EARNS_LEAST
                else _("Show at most %(units)s on %(channel)s, which sells most of it.")
            )
            return sentences(cap_sentence(short, advice.quantity), deed % figures)
        case _:
            name = {**figures, "promotion": advice.promotion or UNKNOWN}
            if advice.quantity:
                deed = _("Limit “%(promotion)s” on %(channel)s to %(units)s, since nothing arrives in time.")
            else:
                deed = _("End “%(promotion)s” on %(channel)s: it sells what nothing replaces in time.")
            if not advice.sum:
                return deed % name
            return sentences(short_sentence(short_of(advice.sum), figures["channel"]), deed % name)


def accept_label(advice: Advice) -> str:
    """What the button says, with its number."""
    figures = {"units": count(advice.quantity)}
    match advice.kind:
        case Kind.BUY:
            return _("Accept: buy %(units)s") % figures
        case Kind.TRANSFER:
            return _("Accept: move %(units)s") % figures
        case Kind.LOWER_CAP:
            return _("Accept: show at most %(units)s") % figures
        case _ if advice.promotion and advice.promotion.source == Promotion.Source.PLATFORM:
            return _("Accept: I limit it there") if advice.quantity else _("Accept: I end it there")
        case _:
            return _("Accept: limit to %(units)s") % figures if advice.quantity else _("Accept: end it")


def done_sentence(advice: Advice) -> str:
    """What was done about it, and what a person does next."""
    figures = {
        "units": count(advice.decided_quantity),
        "sku": advice.sku,
        "order": advice.order or UNKNOWN,
        "source": advice.source or UNKNOWN,
        "warehouse": advice.warehouse,
        "channel": advice.channel or UNKNOWN,
        "promotion": advice.promotion or UNKNOWN,
    }
    match advice.kind:
        case Kind.BUY:
            return _("%(units)s × %(sku)s are in the draft %(order)s. Send it when it is complete.") % figures
        case Kind.TRANSFER:
            return _("%(units)s × %(sku)s are on their way from %(source)s to %(warehouse)s.") % figures
        case Kind.LOWER_CAP:
            return _("%(channel)s shows at most %(units)s × %(sku)s.") % figures
        case _ if advice.promotion and advice.promotion.source == Promotion.Source.PLATFORM:
            if advice.decided_quantity:
                noted = _(
                    "Noted. Limit “%(promotion)s” on %(channel)s to %(units)s now: nothing is changed there from here."
                )
            else:
                noted = _("Noted. End “%(promotion)s” on %(channel)s now: nothing is changed there from here.")
            return noted % figures
        case _ if advice.decided_quantity:
            done = _("“%(promotion)s” counts as limited to %(units)s. Limit it on %(channel)s, too, if it runs there.")
            return done % figures
        case _:
            return _("“%(promotion)s” counts as ended. End it on %(channel)s, too, if it runs there.") % figures


def decided_before(advice: Advice) -> str:
    """Why a button changed nothing."""
    if advice.state == State.GONE:
        return _("Nothing was changed: a newer plan does not need it any more.")
    if advice.decided_at is None:
        return _("Nothing was changed: it is so already.")
    who = advice.decided_by.get_full_name() or advice.decided_by.get_username() if advice.decided_by else UNKNOWN
    return _("Nothing was changed: it was decided before (%(state)s, %(person)s).") % {
        "state": advice.get_state_display(),
        "person": who,
    }


def plan_reason(plan: SkuPlan) -> str:
    """Why nobody can tell, or nothing is needed."""
    return str(_REASONS.get(plan.reason) or _STATUS_LINES.get(plan.status, ""))


def shown_day(when: date | None, now: datetime) -> str:
    """The date as the page writes days."""
    if when is None:
        return UNKNOWN
    return day(datetime(when.year, when.month, when.day, 12, tzinfo=UTC), now, UTC)


def days_ahead(when: date, now: datetime) -> str:
    days = (when - timezone.localdate(now)).days
    if days < 0:
        return ngettext("%(count)s d ago", "%(count)s d ago", -days) % {"count": count(-days)}
    return _("in %(count)s d") % {"count": count(days)} if days else _("today")


def likely(probability: float | None) -> str:
    if probability is None:
        return _("likelihood not known")
    return _("%(share)s likely") % {"share": likely_share(probability)}


def likely_share(probability: float | None) -> str:
    """In whole per cent; nothing that is not certain is 0 or 100."""
    if probability is None:
        return UNKNOWN
    share = round(probability * 100)
    return ">99%" if share == 100 and probability < 1 else "<1%" if share == 0 and probability > 0 else f"{share}%"


def units_text(value: float | None) -> str:
    """Pieces of a calculation, with one decimal where it matters."""
    if value is None:
        return UNKNOWN
    text = f"{value:,.1f}" if abs(value) < 100 else f"{value:,.0f}"
    return text.removesuffix(".0").replace("-", "−")


def decided_line(advice: Advice) -> str:
    """What somebody decided, and why."""
    parts = [str(advice.get_state_display())]
    if advice.decided_quantity is not None and advice.decided_quantity != advice.quantity:
        parts.append(
            _("%(units)s instead of %(advised)s")
            % {
                "units": count(advice.decided_quantity),
                "advised": count(advice.quantity),
            }
        )
    if advice.reason:
        parts.append(advice.reason)
    if advice.outcome:
        parts.append(str(advice.get_outcome_display()))
    return joined(parts)


def shortfall_line(advice: Advice, shortfall: Shortfall) -> str:
    """What all that is advised from its supplier for its warehouse comes to, where that is not enough."""
    amounts = {"value": shortfall.value, "least": shortfall.least, "missing": shortfall.missing}
    figures = {name: money(amount, shortfall.currency) for name, amount in amounts.items()}
    return _(
        "All that is advised from %(supplier)s to %(warehouse)s comes to %(value)s of at least %(least)s: "
        "add %(missing)s."
    ) % {**figures, "supplier": advice.supplier or UNKNOWN, "warehouse": advice.warehouse}


def week_ahead(now: datetime) -> date:
    return timezone.localdate(now) + timedelta(days=7)
