"""What a person does with an advice: accept it as it is or with another number, reject it, or snooze it.

Who decides locks the advice first, and then what the decision writes. What was decided stays decided: the same button
pressed again changes nothing, and the answer says so.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils.translation import gettext, gettext_noop

from catalog.models import (
    Listing,
    Promotion,
    PurchaseOrder,
    PurchaseOrderLine,
    StockLevel,
    StockRule,
    Supplier,
    User,
)
from catalog.models.stock import MOST_UNITS
from catalog.promotions import services as promotions
from catalog.purchasing.orders import Wanted, check_lines, draft_order, fill_prices, lines_text
from catalog.services import audit, tell_listings_changed
from catalog.stock.ledger import StockError, lock_skus
from catalog.stock.transfers import send_transfer
from config import formatting
from monitoring.models import Advice

Kind, State = Advice.Kind, Advice.State
LONGEST_SNOOZE = timedelta(days=90)
# What somebody needs besides the right to decide, since accepting does it.
NEEDED: Mapping[str, tuple[str, ...]] = {
    Kind.BUY: ("catalog.add_purchaseorder", "catalog.change_purchaseorder"),
    Kind.TRANSFER: ("catalog.add_transfer",),
    Kind.LIMIT_PROMOTION: ("catalog.change_promotion",),
    Kind.LOWER_CAP: ("catalog.add_stockrule", "catalog.change_stockrule"),
}
DECIDE = "monitoring.change_advice"


class AdviceError(StockError):
    """The decision cannot be carried out, and nothing of it was; the text says why."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The advice as it stands now; not new: it had been decided before, and nothing was changed."""

    advice: Advice
    is_new: bool


def may_accept(user: User, kind: str) -> bool:
    return user.has_perm(DECIDE) and user.has_perms(NEEDED[kind])


def accept(
    *,
    advice_id: int,
    actor: User,
    quantity: int | None = None,
    shown: int | None = None,
    reason: str = "",
    now: datetime,
) -> Decision:
    """Do what is advised, with another number where one is given.

    Buying writes a line into a draft order that nobody has sent yet; a transfer is booked as sent; a cap is lowered,
    and a promotion of our own is limited or ended; one that the platform runs is left to the person, who does it there.
    `shown` is the number that the person saw: raises AdviceError where another one is advised by now, and for what
    cannot be done. Roles are the caller's business, visibility is not: raises Advice.DoesNotExist for what the person
    does not see.
    """
    with transaction.atomic():
        advice = _locked(advice_id, actor)
        if advice.state not in Advice.UNDECIDED:
            return Decision(advice, is_new=False)
        if shown is not None and shown != advice.quantity:
            message = gettext("By now it is %(now)s and not %(then)s. Nothing was done; look again.")
            figures = {"now": formatting.units(advice.quantity), "then": formatting.count(shown)}
            raise AdviceError(message % figures)
        units = advice.quantity if quantity is None else quantity
        least = 0 if advice.kind in (Kind.LOWER_CAP, Kind.LIMIT_PROMOTION) else 1
        if not least <= units <= MOST_UNITS:
            message = gettext("Enter %(least)s to %(most)s units.")
            raise AdviceError(message % {"least": least, "most": formatting.count(MOST_UNITS)})
        _DO[advice.kind](advice, units, actor, now)
        advice.decided_quantity = units
        state = State.ACCEPTED if units == advice.quantity else State.CHANGED
        _decide(advice, state, reason, actor, now, {"quantity": [advice.quantity, units]})
    return Decision(advice, is_new=True)


def reject(*, advice_id: int, actor: User, reason: str, now: datetime) -> Decision:
    """Say no to it; the next plan may advise it anew, where it is still needed."""
    with transaction.atomic():
        advice = _locked(advice_id, actor)
        if advice.state not in Advice.UNDECIDED:
            return Decision(advice, is_new=False)
        _decide(advice, State.REJECTED, _checked(reason), actor, now, {})
    return Decision(advice, is_new=True)


def snooze(*, advice_id: int, actor: User, until: datetime, reason: str, now: datetime) -> Decision:
    """Keep it off the board up to, but not at, `until`. Snoozed until then already it stays as it is.

    Raises AdviceError for a time that is over, or too far off.
    """
    if not now < until <= now + LONGEST_SNOOZE:
        raise AdviceError(gettext("Choose a time within the next %(days)s days.") % {"days": LONGEST_SNOOZE.days})
    with transaction.atomic():
        advice = _locked(advice_id, actor)
        is_same = advice.state == State.SNOOZED and advice.snoozed_until == until
        if advice.state not in Advice.UNDECIDED or is_same:
            return Decision(advice, is_new=False)
        before, advice.snoozed_until = advice.snoozed_until, until
        advice.state, advice.reason, advice.changed_at = State.SNOOZED, _checked(reason), now
        advice.save(update_fields=["state", "reason", "changed_at", "snoozed_until"])
        changes: dict[str, list[Any]] = {"snoozed_until": [before, until], "reason": ["", advice.reason]}
        audit(action="snoozed", obj=advice, actor=actor, now=now, changes=changes)
    return Decision(advice, is_new=True)


def wake(*, advice_id: int, actor: User, now: datetime) -> Decision:
    """Put a snoozed one back on the board."""
    with transaction.atomic():
        advice = _locked(advice_id, actor)
        if advice.state != State.SNOOZED:
            return Decision(advice, is_new=False)
        before = advice.snoozed_until
        advice.state, advice.snoozed_until, advice.reason, advice.changed_at = State.OPEN, None, "", now
        advice.save(update_fields=["state", "snoozed_until", "reason", "changed_at"])
        changes = {"snoozed_until": [before, None]}
        audit(action="reopened", obj=advice, actor=actor, now=now, changes=changes)
    return Decision(advice, is_new=True)


def _locked(advice_id: int, actor: User) -> Advice:
    seen = Advice.objects.visible_to(actor).select_related("sku", "warehouse", "source", "supplier", "channel")
    return seen.select_for_update(of=("self",)).get(pk=advice_id)


def _checked(reason: str) -> str:
    text = reason.strip()[:200]
    if not text:
        raise AdviceError(gettext("Say why."))
    return text


def _decide(
    advice: Advice, state: str, reason: str, actor: User, now: datetime, changes: Mapping[str, list[Any]]
) -> None:
    before = advice.state
    advice.state, advice.reason = state, reason.strip()[:200]
    advice.decided_at, advice.decided_by, advice.changed_at = now, actor, now
    advice.snoozed_until = None
    advice.save(
        update_fields=[
            "state",
            "reason",
            "decided_at",
            "decided_by",
            "decided_quantity",
            "changed_at",
            "snoozed_until",
            "order",
            "transfer",
        ]
    )
    told = {"state": [before, state], **changes}
    if advice.reason:
        told["reason"] = ["", advice.reason]
    action = "rejected" if state == State.REJECTED else gettext_noop("accepted")
    audit(action=action, obj=advice, actor=actor, now=now, changes=told)


# --- What accepting does ---------------------------------------------------------------------------------------------


def _buy(advice: Advice, units: int, actor: User, now: datetime) -> None:
    """The supplier's newest draft for the warehouse has so many units afterwards, or a new draft has."""
    if advice.supplier_id is None:
        message = gettext("Nobody says from whom %(sku)s is bought. Choose its supplier first.")
        raise AdviceError(message % {"sku": advice.sku})
    # Two people who accept at once end up in one draft.
    Supplier.objects.select_for_update(no_key=True).get(pk=advice.supplier_id)
    drafts = PurchaseOrder.objects.visible_to(actor).filter(
        status=PurchaseOrder.Status.DRAFT, supplier=advice.supplier_id, warehouse=advice.warehouse_id
    )
    wanted = Wanted(advice.sku_id, units)
    order = drafts.select_for_update(of=("self",), no_key=True).order_by("-pk").first()
    if order is None:
        advice.order = draft_order(
            supplier_id=advice.supplier_id,
            warehouse_id=advice.warehouse_id,
            lines=[wanted],
            actor=actor,
            now=now,
        )
        return
    check_lines([wanted])
    advice.order, before = order, lines_text(order)
    line = PurchaseOrderLine.objects.select_for_update().filter(order=order, sku=advice.sku_id).first()
    if line is None:
        PurchaseOrderLine.objects.create(order=order, sku_id=advice.sku_id, quantity=units)
        fill_prices(order)
    elif line.quantity < units:
        # A draft is not on its way, so what is advised is what the line shall hold, and not what to add to it.
        line.quantity = units
        line.save(update_fields=["quantity"])
    after = lines_text(order)
    if after != before:
        audit(action="changed", obj=order, actor=actor, now=now, changes={"lines": [before, after]})


def _move(advice: Advice, units: int, actor: User, now: datetime) -> None:
    if advice.source_id is None:
        raise AdviceError(gettext("The warehouse that it would come from is gone."))
    lock_skus([advice.sku_id])
    level = StockLevel.objects.filter(sku=advice.sku_id, warehouse=advice.source_id, is_counted=True).first()
    if level is None:
        message = gettext("Nobody has counted what %(warehouse)s has. Count it first.")
        raise AdviceError(message % {"warehouse": advice.source})
    if level.available < units:
        message = gettext("%(warehouse)s has only %(units)s available by now.")
        figures = {"warehouse": advice.source, "units": formatting.count(level.available)}
        raise AdviceError(message % figures)
    advice.transfer = send_transfer(
        sku_id=advice.sku_id,
        source_id=advice.source_id,
        destination_id=advice.warehouse_id,
        quantity=units,
        key=f"advice:{advice.pk}",
        actor=actor,
        now=now,
    )


def _lower_cap(advice: Advice, units: int, actor: User, now: datetime) -> None:
    """The SKU's own listings on the channel show at most so many; a cap that is lower already stays."""
    own = Listing.objects.current().filter(
        sku=advice.sku_id, channel=advice.channel_id, ownership=Listing.Ownership.OWN
    )
    listings = list(own.select_for_update(of=("self",)).order_by("pk"))
    if not listings:
        message = gettext("%(sku)s has no listing on %(channel)s any more.")
        raise AdviceError(message % {"sku": advice.sku, "channel": advice.channel})
    rules = {rule.listing_id: rule for rule in StockRule.objects.select_for_update().filter(listing__in=listings)}
    general = StockRule.objects.filter(channel=advice.channel_id).values_list("cap", flat=True).first()
    lowered = []
    for listing in listings:
        rule = rules.get(listing.pk) or StockRule(listing=listing)
        held = general if rule.cap is None else rule.cap
        if held is not None and held <= units:
            continue
        before, is_added = rule.cap, rule.pk is None
        rule.cap = units
        rule.save()
        action = "added" if is_added else "changed"
        audit(action=action, obj=rule, actor=actor, now=now, changes={"cap": [before, units]})
        lowered.append(listing.pk)
    tell_listings_changed(lowered)


def _limit_promotion(advice: Advice, units: int, actor: User, now: datetime) -> None:
    """So many are left to claim, or none: then it ends. What a platform says is changed there, by whoever accepts."""
    promotion = None
    if advice.promotion_id is not None:
        promotion = Promotion.objects.select_related("channel").filter(pk=advice.promotion_id).first()
    if promotion is None:
        raise AdviceError(gettext("This promotion does not exist any more."))
    if promotion.source == Promotion.Source.PLATFORM:
        return
    if units:
        promotion.remaining = units if promotion.remaining is None else min(promotion.remaining, units)
    elif promotion.start is not None and promotion.start >= now:
        promotion.status = Promotion.State.PAUSED
    else:
        promotion.end = now if promotion.end is None else min(promotion.end, now)
    promotions.save(promotion=promotion, actor=actor, now=now)


_DO: Mapping[str, Callable[[Advice, int, User, datetime], None]] = {
    Kind.BUY: _buy,
    Kind.TRANSFER: _move,
    Kind.LOWER_CAP: _lower_cap,
    Kind.LIMIT_PROMOTION: _limit_promotion,
}
