"""The page that explains an after-coupon price: what is paid, what is left of it, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from catalog.costs import ListingCosts, RateUsed, costs_of
from catalog.models import ChannelPricing, Listing
from catalog.pricing.unit_prices import UnitPrices
from catalog.promotions.prices import Price, price_of, prices_by_tag, unit_prices_of
from catalog.promotions.requests import Shop, minor_units, shops_of
from catalog.promotions.words import Words
from config.formatting import change_percent, count, moment, percent, sentences
from monitoring.charts.waterfall import Amount, Drawing, lying, upright

COST_PARTS: dict[str, Promise | str] = {
    "cost": gettext_lazy("cost price"),
    "exchange_rate": gettext_lazy("exchange rate"),
    "freight": gettext_lazy("freight and packing"),
    "tax_rate": gettext_lazy("tax"),
    "fee_rate": gettext_lazy("platform fee"),
    "fee_minimum": gettext_lazy("platform fee at least"),
    "payment_rate": gettext_lazy("payment fee"),
    "payment_fixed": gettext_lazy("payment fee"),
}


@dataclass(frozen=True, slots=True)
class Fact:
    label: str
    value: str | None  # None: not known
    line: str
    is_bad: bool = False
    is_key: bool = False


@dataclass(frozen=True, slots=True)
class UsedRow:
    name: str
    layer: str
    before: str
    off: str
    after: str
    why: str


@dataclass(frozen=True, slots=True)
class BuyerRow:
    """What buyers of one kind pay, where it is another price than everybody's."""

    tag: str
    pays: str | None  # None: cannot tell
    left: str | None
    is_bad: bool
    why: str


@dataclass(frozen=True, slots=True)
class TickText:
    at: int
    text: str


@dataclass(frozen=True, slots=True)
class Picture:
    drawing: Drawing
    ticks: Sequence[TickText]


@dataclass(frozen=True, slots=True)
class Explained:
    """All that the page shows; `no_price` says why there is none."""

    facts: Sequence[Fact]
    used: Sequence[UsedRow]
    not_used: Sequence[tuple[str, str, str]]  # name, layer, reason
    buyers: Sequence[BuyerRow]
    wide: Picture | None
    narrow: Picture | None
    summary: str  # of the picture, in a sentence
    limit_text: str
    loss_text: str
    axis_text: str
    no_price: str


def explain(listing: Listing, *, at: datetime, now: datetime, quantity: int, with_costs: bool) -> Explained:
    """What the page shows. Without `with_costs` nothing tells what a sale costs, or what is left of it.

    For a time ahead costs in another currency count at the rate of now.
    """
    shop = shops_of([listing.channel])[listing.channel_id]
    costs = costs_of([listing], at=at, known_at=now)[listing.pk]
    by_tag = prices_by_tag(listing, shop, costs, at=at, quantity=quantity)
    price = by_tag.pop("")
    words = Words(price.request, shop.names)
    if price.quote.total is None:
        return Explained((), (), _not_used(price, words), (), None, None, "", "", "", "", words.no_price(price.quote))
    next_price = None
    if price.valid_until is not None:
        next_price = price_of(
            listing,
            shop,
            costs_of([listing], at=price.valid_until, known_at=now)[listing.pk],
            at=price.valid_until,
            quantity=quantity,
        )
    units = unit_prices_of(price.request, stock=listing.stock)
    pays = price.goods or 0
    limit = limit_of(price) if with_costs else None
    wide, narrow, axis_text = _pictures(price, shop, words, limit)
    loss = max((limit or 0) - pays, 0)
    return Explained(
        facts=_facts(
            price,
            next_price,
            units,
            words,
            costs=costs if with_costs else None,
            told=minor_units(listing.promotion_price, price.request.currency) if quantity == 1 and at == now else None,
        ),
        used=[
            UsedRow(
                words.name(step.id),
                words.layer(step.layer),
                words.money(step.before),
                words.money(-step.discount),
                words.money(step.after),
                words.step(step),
            )
            for step in price.quote.steps
        ],
        not_used=_not_used(price, words),
        buyers=[
            _buyer(tag, each, Words(each.request, shop.names), with_costs=with_costs)
            for tag, each in by_tag.items()
            if each.goods != price.goods
        ],
        wide=wide,
        narrow=narrow,
        summary=_summary(price, words),
        limit_text=_("break-even %(amount)s") % {"amount": words.money(limit)} if limit is not None else "",
        loss_text=_("%(amount)s short") % {"amount": words.money(loss)} if loss else "",
        axis_text=axis_text,
        no_price="",
    )


def limit_of(price: Price) -> int | None:
    """What the buyer has to pay so that nothing is missing; the platform’s part of the discounts comes in besides."""
    if price.break_even is None or price.received is None:
        return None
    return max(price.break_even - _added(price), 0)


def _added(price: Price) -> int:
    return (price.received or 0) - (price.goods or 0)


def start_price(price: Price) -> int:
    """What the goods cost before any promotion, in the basis of the request."""
    line = price.request.lines[0]
    each = line.live if price.request.basis == "live" else line.list
    return (each or 0) * line.qty


def basis_label(price: Price) -> str:
    return str(ChannelPricing.Basis(price.request.basis).label)


def _facts(
    price: Price,
    following: Price | None,
    units: UnitPrices,
    words: Words,
    *,
    costs: ListingCosts | None,
    told: int | None,
) -> list[Fact]:
    """`told` is what the platform itself says that a buyer pays now."""
    first, pays = start_price(price), price.goods or 0
    quantity = price.request.lines[0].qty
    paid = _("%(basis)s %(price)s") % {"basis": basis_label(price), "price": words.money(first)}
    if pays != first:
        paid = f"{paid}, {change_percent(Decimal(first), Decimal(pays))}"
    if told is not None:
        theirs = _("the platform says %(price)s") % {"price": words.money(told)}
        paid = f"{paid} · {theirs}"
    label = _("Buyer pays") if quantity == 1 else _("Buyer pays for %(count)s") % {"count": count(quantity)}
    facts = [
        Fact(label, words.money(pays), f"{paid} · {_best(units, words)}" if _best(units, words) else paid, is_key=True)
    ]
    if costs is not None:
        facts += [_break_even(price, words, costs.rate), _margin(price, words)]
    until, line = _("no end known"), ""
    if price.valid_until is not None and following is not None:
        until = moment(price.valid_until)
        line = _("then %(price)s") % {"price": words.money(following.goods)}
    facts.append(Fact(_("Valid until"), until, line))
    return facts


def _best(units: UnitPrices, words: Words) -> str:
    """The best price per unit, where buying more makes it cheaper; never shown as the price."""
    best = units.best
    if best is None or best.quantity == 1:
        return ""
    return _("%(price)s each when buying %(count)s") % {
        "price": words.money(best.per_unit),
        "count": count(best.quantity),
    }


def _break_even(price: Price, words: Words, rate: RateUsed | None) -> Fact:
    label = _("Break-even")
    unknown = price.costs.unknown
    if unknown:
        missing = ", ".join(dict.fromkeys(str(COST_PARTS.get(name, name)) for name in unknown))
        return Fact(label, None, _("not known: %(parts)s") % {"parts": missing})
    if price.break_even is None:
        return Fact(label, None, _("its costs are above any price"))
    parts = price.margin
    assert parts is not None  # noqa: S101 - nothing is unknown
    shown = (
        (_("cost"), parts.cost),
        (_("platform fee"), parts.platform_fee),
        (_("promotion fee"), parts.promotion_fee),
        (_("payment fee"), parts.payment_fee),
        (_("freight"), parts.freight),
        (_("tax"), parts.tax),
        (_("platform’s part"), -_added(price)),
    )
    told = [f"{name} {words.money(amount)}" for name, amount in shown if amount]
    if rate is not None:
        words_of_rate = {"rate": f"{rate.rate.normalize():f}", "day": rate.day.isoformat(), "source": rate.source}
        told.append(_("exchange rate %(rate)s of %(day)s (%(source)s)") % words_of_rate)
    return Fact(label, words.money(limit_of(price)), " · ".join(told))


def _margin(price: Price, words: Words) -> Fact:
    if price.margin is None or price.received is None:
        return Fact(_("Margin"), None, _("cannot tell"))
    left, received = price.margin.left, price.received
    share = percent(Decimal(left) / received) if received else percent(None)
    line = _("%(share)s of what comes in") % {"share": share}
    return Fact(_("Margin"), words.money(left), line, is_bad=left < 0)


def _buyer(tag: str, price: Price, words: Words, *, with_costs: bool) -> BuyerRow:
    if price.goods is None:
        return BuyerRow(tag, None, None, False, words.no_price(price.quote))
    left = price.margin.left if with_costs and price.margin is not None else None
    used = ", ".join(words.name(step.id) for step in price.quote.steps)
    return BuyerRow(tag, words.money(price.goods), None if left is None else words.money(left), (left or 0) < 0, used)


def _not_used(price: Price, words: Words) -> list[tuple[str, str, str]]:
    layers = {promotion.id: promotion.layer for promotion in price.request.promotions}
    return [
        (words.name(name), words.layer(str(layers[name])), words.not_used(name, reason))
        for name, reason in price.quote.not_used.items()
    ]


def _pictures(price: Price, shop: Shop, words: Words, limit: int | None) -> tuple[Picture, Picture, str]:
    first, pays = start_price(price), price.goods or 0
    amounts = [
        Amount(basis_label(price), words.money(first), 0, first, True),
        *(
            Amount(shop.names[step.id], words.money(-step.discount), step.after, step.before, False)
            for step in price.quote.steps
        ),
        Amount(_("after coupon"), words.money(pays), 0, pays, True),
    ]
    pictures = [
        Picture(drawing, [TickText(tick.at, words.money(tick.value).removesuffix(".00")) for tick in drawing.ticks])
        for drawing in (upright(amounts, limit), lying(amounts, limit))
    ]
    start = pictures[0].drawing.start
    axis = _("axis starts at %(amount)s") % {"amount": words.money(start).removesuffix(".00")} if start else ""
    return pictures[0], pictures[1], axis


def _summary(price: Price, words: Words) -> str:
    return sentences(
        _("%(basis)s %(first)s, after coupon %(last)s.")
        % {
            "basis": basis_label(price).capitalize(),
            "first": words.money(start_price(price)),
            "last": words.money(price.goods),
        },
        *(f"{words.name(step.id)} {words.money(-step.discount)}." for step in price.quote.steps),
    )
