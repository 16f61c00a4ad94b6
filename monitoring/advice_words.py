"""The sum behind an advice, in the language of the page."""

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from config.formatting import MINUS, count, joined
from monitoring.planning.advice_text import OrderSum, Part, Rounding, Term

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
