"""The sum behind an advice, in the language of the page."""

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from config.formatting import MINUS, count, joined, sentences
from monitoring.planning.advice_text import OrderSum, Part, Rounding, ShortSum, Term

_TERMS: Mapping[Term, Promise | str] = {
    Term.NEEDED: gettext_lazy("%(pieces)s needed in %(days)s d"),
    Term.SAFETY: gettext_lazy("%(pieces)s safety"),
    Term.ON_HAND: gettext_lazy("%(pieces)s on hand"),
    Term.RESERVED: gettext_lazy("%(pieces)s reserved"),
    Term.BACK_ORDERED: gettext_lazy("%(pieces)s back-ordered"),
    Term.ON_THE_WAY: gettext_lazy("%(pieces)s on the way"),
    Term.PRESENCE: gettext_lazy("%(pieces)s that shall always be there"),
}
_NOT_KNOWN: Mapping[Term, Promise | str] = {
    Term.NEEDED: gettext_lazy("what will be needed"),
    Term.SAFETY: gettext_lazy("the safety stock"),
    Term.ON_HAND: gettext_lazy("what is on hand"),
    Term.ON_THE_WAY: gettext_lazy("what is on the way"),
}
_ROUNDINGS: Mapping[Rounding, Promise | str] = {
    Rounding.WHOLE: gettext_lazy("rounded up"),
    Rounding.PACKS: gettext_lazy("rounded to packs of %(pack)s"),
    Rounding.MINIMUM: gettext_lazy("raised to the minimum order of %(minimum)s"),
    Rounding.PACKS_OF_MINIMUM: gettext_lazy("raised to the minimum order of %(minimum)s, in packs of %(pack)s"),
}
# What lowers the sum while it is above 0; what raises it is written with a plus.
_TAKEN = (Term.ON_HAND, Term.ON_THE_WAY)


def order_sentence(order: OrderSum) -> str:
    """The sum on one line: 42 = 30 needed in 14 d + 18 safety - 6 on hand - 0 on the way, rounded to packs of 6."""
    if order.quantity is None:
        missing = joined(str(_NOT_KNOWN[term]) for term in order.unknown) or _("the quantity")
        return _("Cannot tell: %(missing)s is not known.") % {"missing": missing}
    text = f"{count(order.quantity)} = {_sum(order)}"
    if order.rounding in _ROUNDINGS:
        figures = {"pack": count(order.pack), "minimum": count(order.minimum)}
        text = joined([text, str(_ROUNDINGS[order.rounding]) % figures])
    elif order.quantity == 0:
        text = joined([text, _("nothing is missing")])
    if order.not_counted:
        text = joined([text, _("%(pieces)s overdue not counted") % {"pieces": count(order.not_counted)}])
    return text


def short_sentence(short: ShortSum, channel: object) -> str:
    """Why a promotion is to end: 8 available last 3 d, what is ordered now takes 14 d. Shopify sold 140 in 28 d."""
    figures = {
        "available": count(short.available),
        "days": "" if short.cover_days is None else _figure(_tenths(short.cover_days)),
        "coming": count(short.coming),
        "lead": _figure(_tenths(short.lead_days)),
    }
    if short.coming:
        lasts = _(
            "%(available)s available last %(days)s d; what is ordered now takes %(lead)s d, "
            "and only %(coming)s arrive before."
        )
    else:
        lasts = _("%(available)s available last %(days)s d; what is ordered now takes %(lead)s d.")
    if short.sold is None:
        return lasts % figures
    sold = {"channel": channel, "units": count(short.sold), "days": count(short.sold_days)}
    return sentences(lasts % figures, _("%(channel)s sold %(units)s in the last %(days)s d.") % sold)


def cap_sentence(short: ShortSum, units: int) -> str:
    """The sum of a cap: 12 = 40 available + 6 arriving - 34 that other channels need in 14 d."""
    figures = {
        "available": count(short.available),
        "coming": count(short.coming),
        "others": count(short.others),
        "lead": _figure(_tenths(short.lead_days)),
    }
    if short.coming:
        there = _("%(available)s available + %(coming)s arriving") % figures
    else:
        there = _("%(available)s available") % figures
    if short.others is not None and short.available + short.coming - short.others == units:
        needed = _("%(others)s that other channels need in %(lead)s d.") % figures
        return f"{count(units)} = {there} {MINUS} {needed}"
    return _("%(there)s: other channels need all of it, %(others)s in %(lead)s d.") % {**figures, "there": there}


def _sum(order: OrderSum) -> str:
    """Figures with at most one decimal that add up as they stand: the first takes what rounding leaves over."""
    shown = [_tenths(part.pieces) for part in order.parts]
    total = _tenths(sum(part.pieces for part in order.parts))
    shown[0] += total - sum(shown)
    text = ""
    for part, pieces in zip(order.parts, shown, strict=True):
        is_taken = part.term in _TAKEN
        written = _written(part, -pieces if is_taken else pieces)
        if text:
            text += f" {MINUS if is_taken else '+'} {written}"
        else:
            text = written
    if total > 0 and total != order.quantity:
        text += f" = {_figure(total)}"
    return text


def _written(part: Part, pieces: Decimal) -> str:
    days = "" if part.days is None else count(part.days)
    figure = f"({_figure(pieces)})" if pieces < 0 else _figure(pieces)
    return str(_TERMS[part.term]) % {"pieces": figure, "days": days}


def _tenths(pieces: float) -> Decimal:
    return Decimal(str(pieces)).quantize(Decimal("0.1"), ROUND_HALF_UP)


def _figure(pieces: Decimal) -> str:
    text = f"{pieces:,.1f}".removesuffix(".0").replace("-", MINUS)
    return "0" if text == f"{MINUS}0" else text
