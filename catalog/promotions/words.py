"""A quote in words, in the language of the page: what each promotion did, and why each other one did not."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from catalog.models import Promotion as StoredPromotion
from catalog.pricing.model import Kind, Promotion, Quote, Request, Step
from catalog.pricing.reasons import CannotTell, NotUsed, Refusal
from catalog.promotions.requests import amount_of
from config.formatting import UNKNOWN, count, joined, moment, money, percent, sentences

_WHOLE_RATE = 10_000

LAYERS: Mapping[str, Promise | str] = {
    "item": gettext_lazy("Item price"),
    "product": gettext_lazy("Product discount"),
    "shop": gettext_lazy("Shop promotion"),
    "coupon": gettext_lazy("Coupon"),
    "cross": gettext_lazy("Cross-shop promotion"),
    "platform": gettext_lazy("Platform"),
    "promo": gettext_lazy("Promotion code"),
    "subscribe": gettext_lazy("Subscription"),
    "order": gettext_lazy("Order discount"),
    "offer": gettext_lazy("Offer"),
    "shipping": gettext_lazy("Shipping"),
}

# Facts of a promotion that can be unknown.
LABELS: Mapping[str, Promise | str] = {
    "start": gettext_lazy("from when on it is good"),
    "end": gettext_lazy("until when it is good"),
    "scope": gettext_lazy("which goods it is for"),
    "auto": gettext_lazy("whether buyers have to claim it"),
    "audience": gettext_lazy("who may use it"),
    "combines": gettext_lazy("what it can be used together with"),
    "value": gettext_lazy("how much it takes off"),
    "tiers": gettext_lazy("from which amount on"),
    "kind": gettext_lazy("what kind it is"),
    "categories": gettext_lazy("which categories its goods are in"),
    "max_amount": gettext_lazy("up to which amount"),
}

# What is wrong with a promotion that cannot be used, by the field that is named for it.
FIELDS: Mapping[str, Promise | str] = {
    "layer": gettext_lazy("its layer is not one of the platform's"),
    "kind": gettext_lazy("nobody knows what kind it is"),
    "value": gettext_lazy("its value is missing"),
    "tiers": gettext_lazy("its tiers are not in ascending order"),
    "measure": gettext_lazy("what its threshold counts is not clear"),
    "percent": gettext_lazy("its percentage is not between 0.01 and 100"),
    "amount": gettext_lazy("its amount is not above 0"),
    "price": gettext_lazy("its price is below 0"),
    "per": gettext_lazy("it is neither per order nor per unit"),
    "repeat": gettext_lazy("it repeats without a threshold to repeat at"),
    "pieces": gettext_lazy("its pieces per set make no set"),
    "max_discount": gettext_lazy("its cap is not above 0"),
    "max_units": gettext_lazy("its number of units is not above 0"),
    "max_times": gettext_lazy("its number of times is not above 0"),
    "measure_over": gettext_lazy("its limits cannot be counted by line or item"),
    "shipping": gettext_lazy("shipping takes an amount or a percentage only"),
    "window": gettext_lazy("it ends before it starts"),
}

_PLAIN: Mapping[str, Promise | str] = {
    NotUsed.CURRENCY: gettext_lazy("In another currency."),
    NotUsed.PAUSED: gettext_lazy("Paused."),
    NotUsed.USED_UP: gettext_lazy("Used up."),
    NotUsed.BUYER_LIMIT: gettext_lazy("The buyer has used it as often as allowed."),
    NotUsed.IN_LIVE_PRICE: gettext_lazy("Already inside the live price."),
    NotUsed.NO_SHIPPING: gettext_lazy("Only takes off shipping, which is left out here."),
    NotUsed.OUT_OF_SCOPE: gettext_lazy("For other goods."),
    NotUsed.OTHER_LINES: gettext_lazy("Only for baskets without other goods."),
    NotUsed.LINE_TAKEN: gettext_lazy("Another one of its layer is used for these goods."),
    NotUsed.NO_EFFECT: gettext_lazy("Takes nothing off."),
    NotUsed.NO_GAIN: gettext_lazy("Would not make it cheaper."),
}

_REFUSALS: Mapping[str, Promise | str] = {
    Refusal.UNKNOWN_CURRENCY: gettext_lazy("The currency is not known."),
    Refusal.QUANTITY: gettext_lazy("The quantity is 1 or more."),
    Refusal.BELOW_MINIMUM_ORDER: gettext_lazy("Fewer than the minimum order cannot be bought."),
    Refusal.NEGATIVE_PRICE: gettext_lazy("A price is below 0."),
}

_BASES = (("list", gettext_lazy("list price")), ("live", gettext_lazy("live price")))


class Words:
    """Of one request: how its promotions are called, and its amounts."""

    def __init__(self, request: Request, names: Mapping[str, str]) -> None:
        """`names` by promotion id."""
        self._request = request
        self._names = names
        self._promotions = {promotion.id: promotion for promotion in request.promotions}

    def name(self, promotion_id: str) -> str:
        return self._names.get(promotion_id) or promotion_id

    def layer(self, name: str) -> str:
        return str(LAYERS.get(name, name))

    def money(self, units: int | None) -> str:
        return money(None if units is None else amount_of(units, self._request.currency), self._request.currency)

    def step(self, step: Step) -> str:
        """What it was measured at, what it takes off, and whether the buyer has to do something for it."""
        promotion = self._promotions[step.id]
        return sentences(self._threshold(step, promotion), self._effect(step, promotion), self._claim(promotion))

    def not_used(self, promotion_id: str, reason: str) -> str:
        code, _colon, parameter = reason.partition(":")
        promotion = self._promotions[promotion_id]
        if code in _PLAIN:
            return str(_PLAIN[code])
        match code:
            case NotUsed.INVALID:
                wrong = FIELDS.get(parameter, parameter)
                return _("Cannot be used: %(wrong)s.") % {"wrong": wrong}
            case NotUsed.NOT_STARTED:
                return _("Starts %(time)s.") % {"time": _time(promotion.start)}
            case NotUsed.EXPIRED:
                return _("Ended %(time)s.") % {"time": _time(promotion.end)}
            case NotUsed.AUDIENCE:
                return _("Only for %(audience)s.") % {"audience": ", ".join(sorted(promotion.audience))}
            case NotUsed.CONFLICT:
                return _("Cannot be used together with “%(name)s”.") % {"name": self.name(parameter)}
            case NotUsed.ABOVE_MAXIMUM:
                return _("Only up to %(amount)s.") % {"amount": self.money(promotion.max_amount)}
            case NotUsed.BELOW_QUANTITY:
                return self._from_pieces(promotion.min_qty or 0)
            case NotUsed.BELOW_THRESHOLD:
                minimum = promotion.steps[0][0]
                if promotion.measure == "quantity":
                    return self._from_pieces(minimum)
                return _("Only from %(amount)s on.") % {"amount": self.money(minimum)}
        return reason

    def no_price(self, quote: Quote) -> str:
        """Why there is no price."""
        code, _colon, parameter = str(quote.reason).partition(":")
        match code:
            case CannotTell.PRICE:
                basis = dict(_BASES)[self._request.basis]
                return _("Cannot tell: its %(price)s is not known.") % {"price": basis}
            case CannotTell.UNKNOWN:
                promotion = self._promotions[parameter]
                return _("Cannot tell: of “%(name)s” could not be read: %(facts)s.") % {
                    "name": self.name(parameter),
                    "facts": joined(str(LABELS.get(fact, fact)) for fact in promotion.unknown),
                }
            case CannotTell.BASE:
                return _("Cannot tell: “%(name)s” counts on a price that is not known.") % {
                    "name": self.name(parameter)
                }
            case CannotTell.BUDGET:
                return _("Cannot tell: there are too many ways to combine its promotions.")
            case CannotTell.NO_PLAN:
                return _("Cannot tell: the promotions that apply by themselves exclude each other.")
        return str(_REFUSALS.get(code, quote.reason))

    # --- Parts ---

    def _threshold(self, step: Step, promotion: Promotion) -> str:
        if promotion.measure == "quantity":
            return _("%(count)s pieces, from %(minimum)s on.") % {
                "count": count(step.measured),
                "minimum": count(step.minimum),
            }
        if promotion.measure != "amount":
            return ""
        if promotion.repeat and step.minimum:
            times = step.measured // step.minimum
            if promotion.max_times is not None:
                times = min(times, promotion.max_times)
            return _("%(measured)s holds %(times)s × %(minimum)s.") % {
                "measured": self.money(step.measured),
                "times": count(times),
                "minimum": self.money(step.minimum),
            }
        return _("Threshold %(minimum)s reached (%(measured)s).") % {
            "minimum": self.money(step.minimum),
            "measured": self.money(step.measured),
        }

    def _effect(self, step: Step, promotion: Promotion) -> str:
        value = _value(step, promotion)
        words = {
            "base": self.money(step.base),
            "percent": _rate(value),
            "discount": self.money(step.discount),
            "price": self.money(value),
            "cap": self.money(promotion.max_discount),
            "of": count(promotion.of),
            "take": count(promotion.take),
        }
        match promotion.kind:
            case Kind.PERCENT_OFF if step.discount == promotion.max_discount:
                return _("%(percent)s of %(base)s, but %(cap)s at most.") % words
            case Kind.PERCENT_OFF:
                return _("%(percent)s of %(base)s = %(discount)s.") % words
            case Kind.FIXED_PRICE:
                return _("%(price)s each.") % words
            case Kind.NTH_PIECE:
                return _("Of every %(of)s pieces %(take)s at %(percent)s off.") % words
            case Kind.BUNDLE_PRICE:
                return _("Any %(of)s for %(price)s.") % words
        return ""

    def _claim(self, promotion: Promotion) -> str:
        if promotion.auto:
            if promotion.end is not None:
                return _("Applies by itself until %(time)s.") % {"time": _time(promotion.end)}
            return _("Applies by itself.")
        if promotion.remaining is not None:
            return _("The buyer claims it, %(count)s left.") % {"count": count(promotion.remaining)}
        return _("The buyer claims it.")

    def _from_pieces(self, pieces: int) -> str:
        return ngettext("Only from %(count)s piece on.", "Only from %(count)s pieces on.", pieces) % {
            "count": count(pieces)
        }


def terms(stored: StoredPromotion) -> str:
    """What a stored promotion does, in a few words: ¥50.00 off from ¥300.00. An em dash where it is broken."""
    tiers: Any = stored.tiers if stored.tiers is not None else [[0, stored.value]]
    try:
        return " · ".join(_tier(stored, minimum, value) for minimum, value in tiers)
    except (TypeError, ValueError):
        return UNKNOWN


def _tier(stored: StoredPromotion, minimum: int, value: int) -> str:
    amount = money(amount_of(value, stored.currency), stored.currency)
    shown = {"amount": amount, "percent": _rate(value), "of": count(stored.of), "take": count(stored.take)}
    match stored.kind:
        case Kind.AMOUNT_OFF if stored.per == "unit":
            effect = _("%(amount)s off each") % shown
        case Kind.AMOUNT_OFF:
            effect = _("%(amount)s off") % shown
        case Kind.PERCENT_OFF:
            effect = _("%(percent)s off") % shown
        case Kind.NTH_PIECE:
            effect = _("%(take)s of %(of)s pieces at %(percent)s off") % shown
        case Kind.BUNDLE_PRICE:
            effect = _("any %(of)s for %(amount)s") % shown
        case _:
            effect = amount
    if not minimum:
        return effect
    if stored.measure == "quantity":
        shown_minimum = ngettext("%(count)s piece", "%(count)s pieces", minimum) % {"count": count(minimum)}
    else:
        shown_minimum = money(amount_of(minimum, stored.currency), stored.currency)
    form = _("%(effect)s for every %(minimum)s") if stored.repeat else _("%(effect)s from %(minimum)s on")
    return form % {"effect": effect, "minimum": shown_minimum}


def _value(step: Step, promotion: Promotion) -> int:
    """Of the tier that was reached."""
    return dict(promotion.steps).get(step.minimum, promotion.steps[0][1])


def _rate(basis_points: int) -> str:
    return percent(Decimal(basis_points) / _WHOLE_RATE)


def _time(at: datetime | None) -> str:
    return moment(at)
