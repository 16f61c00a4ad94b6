"""What a promotion would do, in words: the panel beside its form, and the question before a loss is saved."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from catalog.models import Listing
from catalog.promotions.forms import plain_figure
from catalog.promotions.requests import amount_of
from config.formatting import count, joined, labelled, moment, money, percent
from monitoring.price_page import COST_PARTS
from monitoring.promotion_effects import LEAST_DAYS, Band
from monitoring.services.preflight import PACE_DAYS, Effect, Preflight, Selling

_SHOWN = 5
_REASONS_SHOWN = 6
_LONGEST = timedelta(days=90)  # that a stock is said to last


@dataclass(frozen=True, slots=True)
class BandRow:
    label: str
    count: int
    severity: str  # of its icon; "": none


@dataclass(frozen=True, slots=True)
class WorstRow:
    listing: Listing
    prices: str
    loss: str  # from when on it is one; "": it is none
    line: str


@dataclass(frozen=True, slots=True)
class SellingRow:
    code: str
    sku_id: int
    text: str


@dataclass(frozen=True, slots=True)
class Told:
    """All that the panel shows."""

    sentence: str
    notes: Sequence[str]  # what it was asked for, and what was not looked at
    verdict: str  # "": there is nothing to judge
    is_bad: bool
    bands: Sequence[BandRow]
    of: int  # listings in the bands together
    worst: Sequence[WorstRow]
    selling: Sequence[SellingRow]
    selling_notes: Sequence[str]
    reasons: Sequence[str]


def told(found: Preflight, *, uplift: Decimal, now: datetime, with_costs: bool) -> Told:
    """Without `with_costs` nothing tells what a sale costs or leaves; that it is a loss is told to everybody."""
    judged = bool(found.effects or found.later_losses)
    rows = _bands(found) if with_costs and found.effects else []
    return Told(
        sentence=_sentence(found, now),
        notes=_notes(found),
        verdict=_verdict(found) if judged else "",
        is_bad=bool(found.losses),
        bands=rows,
        of=sum(row.count for row in rows) or 1,
        worst=[_worst_row(effect, with_costs=with_costs) for effect in _worst(found, with_costs=with_costs)],
        selling=_selling(found, uplift),
        selling_notes=_selling_notes(found),
        reasons=_reasons(found, with_costs=with_costs),
    )


def loss_sentence(found: Preflight) -> str:
    """“3 listings sell below break-even, first at 24 Nov 09:30.”"""
    number = len(found.losses)
    return ngettext(
        "%(count)s listing sells below break-even, first at %(time)s.",
        "%(count)s listings sell below break-even, first at %(time)s.",
        number,
    ) % {"count": count(number), "time": moment(found.first_loss_at)}


def _sentence(found: Preflight, now: datetime) -> str:
    if found.is_over:
        return _("It is over already, so it changes no price.")
    if not found.touched:
        return _("None of our listings is among its goods.")
    unknown = sum(found.no_price.values())
    words = {"changed": count(len(found.effects)), "all": count(found.looked_at), "time": moment(found.at)}
    if not found.effects and unknown == found.looked_at:
        return _("Cannot tell which prices it changes.")
    if not found.effects:
        return (
            ngettext(
                "Changes the price of none of %(all)s listing.",
                "Changes the price of none of %(all)s listings.",
                found.looked_at,
            )
            % words
        )
    if found.at <= now:
        return (
            ngettext(
                "Changes the price of %(changed)s of %(all)s listing as soon as it is saved.",
                "Changes the price of %(changed)s of %(all)s listings as soon as it is saved.",
                found.looked_at,
            )
            % words
        )
    return (
        ngettext(
            "Changes the price of %(changed)s of %(all)s listing from %(time)s on.",
            "Changes the price of %(changed)s of %(all)s listings from %(time)s on.",
            found.looked_at,
        )
        % words
    )


def _notes(found: Preflight) -> list[str]:
    notes = []
    if found.looked_at < found.touched:
        notes.append(
            _(
                "Only %(looked)s of the %(touched)s listings among its goods were worked out, "
                "those with the thinnest margins."
            )
            % {"touched": count(found.touched), "looked": count(found.looked_at)}
        )
    unknown = sum(found.no_price.values())
    if 0 < unknown < found.looked_at:
        notes.append(
            ngettext(
                "The price of %(count)s of them cannot be told.",
                "The prices of %(count)s of them cannot be told.",
                unknown,
            )
            % {"count": count(unknown)}
        )
    if found.quantity > 1:
        notes.append(_("For %(count)s pieces, the fewest that it takes.") % {"count": count(found.quantity)})
    if found.promotion.audience:
        notes.append(_("For buyers that it is for: %(buyers)s.") % {"buyers": joined(found.promotion.audience)})
    if found.ahead_until is not None:
        notes.append(_("Later changes were looked at until %(time)s.") % {"time": moment(found.ahead_until)})
    return notes


def _verdict(found: Preflight) -> str:
    if found.losses:
        already = sum(effect.was_loss for effect in found.losses)
        if not already:
            return loss_sentence(found)
        before = ngettext("%(count)s does so already.", "%(count)s do so already.", already) % {"count": count(already)}
        return f"{loss_sentence(found)} {before}"
    unknown = sum(found.no_margin.values())
    if unknown == len(found.effects):
        return _("Cannot tell whether any of them sells below break-even.")
    if unknown or found.no_price or found.looked_at < found.touched:
        return _("None of those that can be told sells below break-even.")
    return _("None of them sells below break-even.")


def _bands(found: Preflight) -> list[BandRow]:
    rows = [BandRow(_band_label(band), band.count, _band_severity(band)) for band in found.bands]
    unknown = sum(found.no_margin.values())
    return [*rows, BandRow(_("cannot tell"), unknown, "unknown")] if unknown else rows


def _band_severity(band: Band) -> str:
    if not band.count:
        return ""
    return "critical" if band.lower is None else "warning" if band.is_below_floor else ""


def _band_label(band: Band) -> str:
    if band.lower is None:
        return _("below break-even")
    lower = plain_figure(Decimal(band.lower) / 100)
    if band.upper is None:
        return _("%(share)s and more") % {"share": f"{lower}%"}
    upper = f"{plain_figure(Decimal(band.upper) / 100)}%"
    return _("below the floor of %(share)s") % {"share": upper} if band.is_below_floor else f"{lower}–{upper}"


def _worst(found: Preflight, *, with_costs: bool) -> list[Effect]:
    """The losses first, the greatest before the others; without costs the deepest cuts, which tell nothing of them."""
    effects = [*found.effects, *found.later_losses]
    if with_costs:
        effects.sort(key=lambda each: (each.first_loss_at is None, each.margin is None, each.margin or 0))
    else:
        effects.sort(key=lambda each: (each.first_loss_at is None, (each.after or 0) - (each.before or 0)))
    return effects[:_SHOWN]


def _worst_row(effect: Effect, *, with_costs: bool) -> WorstRow:
    loss = ""
    if effect.first_loss_at is not None:
        loss = _("below break-even from %(time)s on") % {"time": moment(effect.first_loss_at)}
    prices = f"{_money(effect.before, effect)} → {_money(effect.after, effect)}"
    return WorstRow(effect.listing, prices, loss, " · ".join(_margin(effect)) if with_costs else "")


def _margin(effect: Effect) -> list[str]:
    price, left = effect.price, effect.margin
    if left is None or price.received is None:
        return [_("margin: cannot tell")]
    told_of = [labelled(_("margin"), _money(left, effect))]
    if price.received:
        told_of[0] += f" ({percent(Decimal(left) / price.received)})"
    if price.break_even is not None:
        # What the platform adds comes in besides what the buyer pays.
        limit = max(price.break_even - (price.received - (price.goods or 0)), 0)
        told_of.append(labelled(_("break-even"), _money(limit, effect)))
    return told_of


def _money(units: int | None, effect: Effect) -> str:
    currency = effect.price.request.currency
    return money(None if units is None else amount_of(units, currency), currency)


def _selling(found: Preflight, uplift: Decimal) -> list[SellingRow]:
    """Those that are sold out while it lasts, or soon where no end of it is known."""
    ends = found.promotion.end or found.at + _LONGEST
    rows = []
    for each in found.selling:
        per_day = each.pace.per_day
        if each.sold_out_at is None or each.sold_out_at >= ends or per_day is None:
            continue
        sum_text = _("%(units)s left at %(pace)s a day × %(uplift)s") % {
            "units": count(each.available),
            "pace": _figure(per_day),
            "uplift": _figure(uplift),
        }
        if each.available is not None and each.available <= 0:
            text = _("nothing left to sell")
        else:
            text = labelled(moment(each.sold_out_at), sum_text)
        if each.too_late is not None:
            late = _("%(units)s more come too late: %(time)s")
            figures = {"units": count(each.too_late.units), "time": moment(each.too_late.due_at)}
            text = f"{text} · {late % figures}"
        rows.append(SellingRow(each.code, each.sku_id, text))
    return rows[:_SHOWN]


def _figure(number: Decimal) -> str:
    return f"{number.quantize(Decimal('0.1')):f}" if number != number.to_integral_value() else f"{number:.0f}"


def _selling_notes(found: Preflight) -> list[str]:
    """What is said of all others together."""
    if not found.selling:
        return []
    ends = found.promotion.end or found.at + _LONGEST
    uncounted = sum(each.available is None for each in found.selling)
    too_new = sum(each.available is not None and each.pace.per_day is None for each in found.selling)
    soon = sum(_is_soon(each, ends) for each in found.selling)
    lasting = len(found.selling) - uncounted - too_new - soon
    notes = []
    if lasting:
        if found.promotion.end is not None:
            text = ngettext(
                "The stock of %(count)s SKU lasts until it ends.",
                "The stock of %(count)s SKUs lasts until it ends.",
                lasting,
            )
        else:
            text = ngettext(
                "The stock of %(count)s SKU lasts for %(days)s days or more.",
                "The stock of %(count)s SKUs lasts for %(days)s days or more.",
                lasting,
            )
        notes.append(text % {"count": count(lasting), "days": count(_LONGEST.days)})
    if too_new:
        text = ngettext(
            "Cannot tell for %(count)s SKU: it is known to have had stock on fewer than %(least)s of %(days)s days.",
            "Cannot tell for %(count)s SKUs: known to have had stock on fewer than %(least)s of %(days)s days.",
            too_new,
        )
        notes.append(text % {"count": count(too_new), "days": count(PACE_DAYS), "least": count(LEAST_DAYS)})
    if uncounted:
        text = ngettext(
            "Cannot tell for %(count)s SKU: its stock was never counted.",
            "Cannot tell for %(count)s SKUs: their stock was never counted.",
            uncounted,
        )
        notes.append(text % {"count": count(uncounted)})
    return notes


def _is_soon(each: Selling, ends: datetime) -> bool:
    return each.sold_out_at is not None and each.sold_out_at < ends


def _reasons(found: Preflight, *, with_costs: bool) -> list[str]:
    """Why the price of some is not changed or not known, the most frequent first."""
    counted = [*found.not_used.most_common(_REASONS_SHOWN), *found.no_price.most_common(_REASONS_SHOWN)]
    if with_costs:
        missing = [
            (_("margin not known for want of: %(parts)s.") % {"parts": joined(_parts(names))}, number)
            for names, number in found.no_margin.most_common(_REASONS_SHOWN)
        ]
        counted += missing
    return [
        ngettext("%(count)s listing: %(reason)s", "%(count)s listings: %(reason)s", number)
        % {"count": count(number), "reason": reason}
        for reason, number in counted
    ]


def _parts(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(str(COST_PARTS.get(name, name)) for name in names))
