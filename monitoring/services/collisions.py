"""Looks through what is ahead of listings' prices for promotions that together sell one unit below break-even.

All promotions count that are live or begin within LOOKED_AHEAD, those that apply by themselves and those that a buyer
claims. First the least that a buyer could ever pay is worked out for many listings at once; only where that is below
break-even is the exact engine asked, at each edge of a window, a fee or a cost. Then once more with each rule that no
platform confirms at its other value: what only that brings about is possible, not certain.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from catalog.costs import changes_ahead, costs_of, with_promotion_fees
from catalog.database import among
from catalog.models import Channel, Listing
from catalog.pricing.breakeven import Costs, break_even, margin, receipts
from catalog.pricing.floors import NEVER, Floors, Goods, Integers
from catalog.pricing.model import Kind, Line, Promotion, Request
from catalog.pricing.quoting import quote
from catalog.pricing.reasons import CannotTell
from catalog.pricing.rulesets import OTHER_VALUES, SHIPPING, Layer, RuleSet, rules_for
from catalog.pricing.validity import invalid_field, set_aside
from catalog.promotions.prices import LOOKED_AHEAD
from catalog.promotions.requests import LINE, Shop, edges, line_of, shops_of
from monitoring.models import Collision, ListingPrice
from monitoring.services.price_alerts import check_ahead

CHUNK = 500  # listings; should all of them sell below break-even it is a minute's work
NIGHT_HOUR = 2  # of the site's clock
_ROUNDINGS = 4  # minor units that the roundings of one margin can be worth between two prices
_LONGEST_REASON = 200
MISSING = "missing"  # with the parts of a sale's costs that are not known: a reason why nobody can tell
Certainty = Collision.Certainty


@dataclass(frozen=True, slots=True)
class Scanned:
    """How many listings were looked through, and what they have now."""

    listings: int = 0
    certain: int = 0
    possible: int = 0
    cannot_tell: int = 0
    more_due: bool = False

    def __str__(self) -> str:
        return (
            f"{self.listings} listings looked through: {self.certain} certain and {self.possible} possible losses, "
            f"{self.cannot_tell} cannot be told"
        )


def scan_due(*, seconds: float, now_fn: Callable[[], datetime] = timezone.now) -> Scanned:
    """Look through what is due, for at most about so many seconds; each listing is due again the coming night.

    Any number may do so at once: they find the same.
    """
    ends = time.monotonic() + seconds
    total = Scanned()
    while time.monotonic() < ends:
        now = now_fn()
        due = sorted(due_to_scan(now).values_list("pk", flat=True)[:CHUNK])
        if not due:
            return total
        found = scan(listing_ids=due, now=now)
        total = Scanned(
            total.listings + found.listings,
            total.certain + found.certain,
            total.possible + found.possible,
            total.cannot_tell + found.cannot_tell,
        )
    return replace(total, more_due=due_to_scan(now_fn()).exists())


def scan(*, listing_ids: Sequence[int], now: datetime) -> Scanned:
    """Look through these now, and keep what is found in place of what was."""
    rows = Listing.objects.current().filter(pk__in=among(listing_ids), ownership=Listing.Ownership.OWN)
    by_channel: dict[Channel, list[Listing]] = {}
    for listing in rows.select_related("channel", "sku").order_by("pk"):
        by_channel.setdefault(listing.channel, []).append(listing)
    shops = shops_of(by_channel, at=now)
    found: list[Collision] = []
    due: dict[int, datetime] = dict.fromkeys(listing_ids, _next_night(now))
    for channel, listings in by_channel.items():
        ahead = _Ahead(shops[channel.pk], listings, now)
        of_channel = ahead.collisions()
        found += of_channel
        # What is there already, or will be, may be another at the next edge.
        for listing_id in {each.listing_id for each in of_channel if each.certainty != Certainty.CANNOT_TELL}:
            due[listing_id] = min(due[listing_id], ahead.next_edge or due[listing_id])
    _keep(listing_ids, found, due, now)
    counts = Counter(each.certainty for each in found)
    return Scanned(
        len(listing_ids), counts[Certainty.CERTAIN], counts[Certainty.POSSIBLE], counts[Certainty.CANNOT_TELL]
    )


def due_to_scan(now: datetime) -> QuerySet[ListingPrice]:
    """Listings that wait to be looked through: of them what is stored is old, or there is nothing yet."""
    due = ListingPrice.objects.filter(Q(scan_due_at__isnull=True) | Q(scan_due_at__lte=now))
    return due.order_by(F("scan_due_at").asc(nulls_first=True), "pk")


def _next_night(now: datetime) -> datetime:
    local = timezone.localtime(now)
    night = local.replace(hour=NIGHT_HOUR, minute=0, second=0, microsecond=0)
    return night if night > local else night + timedelta(days=1)


def _keep(listing_ids: Sequence[int], found: Sequence[Collision], due: Mapping[int, datetime], now: datetime) -> None:
    with transaction.atomic():
        # One after the other, where two of these come together.
        marks = ListingPrice.objects.filter(pk__in=among(listing_ids)).order_by("pk").select_for_update(of=("self",))
        kept = set(marks.values_list("pk", flat=True))
        before = Collision.objects.filter(listing__in=among(listing_ids))
        began = {
            (listing_id, certainty): starts_at
            for listing_id, certainty, starts_at in before.filter(starts_at__lt=now).values_list(
                "listing", "certainty", "starts_at"
            )
        }
        for each in found:
            # One that is going on began when it was first found to.
            if each.starts_at == now:
                each.starts_at = began.get((each.listing_id, each.certainty), now)
        before.delete()
        Collision.objects.bulk_create(found, batch_size=500)
        check_ahead(listing_ids=listing_ids, collisions=found, now=now)
        by_moment: dict[datetime, list[int]] = {}
        for listing_id in kept:
            by_moment.setdefault(due[listing_id], []).append(listing_id)
        for moment, ids in by_moment.items():
            # Whoever marked one meanwhile wants it looked through once more.
            due_to_scan(now).order_by().filter(pk__in=among(ids)).update(scan_due_at=moment)


class _Stack(NamedTuple):
    """What a buyer of one unit pays with some promotions; `reason` says why nobody can tell."""

    reason: str
    goods: int = 0
    received: int = 0
    used: tuple[str, ...] = ()


class _Loss(NamedTuple):
    """The lowest price below break-even by one rule set for one kind of buyers."""

    stack: _Stack
    worst_at: datetime
    starts_at: datetime  # of the first price below break-even, which may be another
    costs: Costs  # with the fees of the promotions
    left: int


@dataclass(frozen=True, slots=True)
class _Case:
    """One way that promotions may stack, for one kind of buyers."""

    settings: Mapping[str, str | bool]  # over those of the channel
    rules: RuleSet
    buyer: str
    places: frozenset[int]  # the promotions that such buyers can have

    @property
    def rule(self) -> str:
        return ", ".join(f"{name}={value}".lower() for name, value in self.settings.items())


def _of_goods(rules: RuleSet) -> tuple[Layer, ...]:
    """All of the rules that the price of one unit can hang on: nothing is known of shipping."""
    return tuple(layer for layer in rules.layers if layer.name != SHIPPING)


def _matters(settings: Mapping[str, str | bool], promotions: Sequence[Promotion]) -> bool:
    """Whether the price of one unit with these promotions can hang on the settings."""
    for name in settings:
        layer, _dot, field = name.rpartition(".")
        of_layer = [each for each in promotions if layer in ("", each.layer)]
        match field:
            case "excess" | "round_at":
                continue  # of several lines, or several units of one
            case "pick":
                can = len(of_layer) > 1
            case "threshold_base":
                can = any(each.measure == "amount" or each.max_amount is not None for each in of_layer)
            case "effect_base" | "rounding":
                can = any(each.kind in (Kind.PERCENT_OFF, Kind.NTH_PIECE) or each.per == "unit" for each in of_layer)
            case _:
                can = bool(of_layer)
        if can:
            return True
    return False


class _Ahead:
    """The listings of one channel, and each moment ahead at which something of their prices changes."""

    def __init__(self, shop: Shop, listings: Sequence[Listing], now: datetime) -> None:
        self.shop, self.listings, self.now = shop, listings, now
        self.until = now + LOOKED_AHEAD
        currency = shop.channel.currency
        self.lines = [line_of(listing, currency, 1) for listing in listings]
        self.base_rules = rules_for(shop.pricing.ruleset, shop.pricing.settings)
        self.promotions = [each for each in shop.promotions if self._may_come(each)]
        places = {id(each): place for place, each in enumerate(self.promotions)}
        covering: list[list[int]] = [[] for _each in self.promotions]
        self.covers: list[frozenset[int]] = []  # by listing, the places of the promotions
        for row, (listing, line) in enumerate(zip(listings, self.lines, strict=True)):
            own = [
                places[id(each)]
                for each in shop.for_listing(listing)
                if id(each) in places and (each.scope is None or each.scope.covers(line))
            ]
            self.covers.append(frozenset(own))
            for place in own:
                covering[place].append(row)
        changes = changes_ahead(listings, after=now, until=self.until)
        moments = set(edges(self.promotions, now, self.until)).union(*changes.values())
        self.grid = [now, *sorted(moments)]
        self.next_edge = self.grid[1] if len(self.grid) > 1 else None
        at = {moment: number for number, moment in enumerate(self.grid)}
        end = len(self.grid)
        # By promotion, from which to before which moment of the grid it is live.
        self.live = [
            (
                0 if each.start is None or each.start <= now else at.get(each.start, end),
                end if each.end is None else at.get(each.end, end),
            )
            for each in self.promotions
        ]
        self._costs = self._costs_ahead(changes, at)
        self._floors = self._make_floors(covering)
        self._stacks: dict[object, _Stack] = {}

    def _may_come(self, promotion: Promotion) -> bool:
        """Whether the engine counts it at all, at some time ahead for some buyer."""
        at = max(promotion.start or self.now, self.now)
        if at >= self.until or invalid_field(promotion, self.base_rules):
            return False
        pricing = self.shop.pricing
        request = Request(pricing.ruleset, self.shop.channel.currency, at, pricing.basis, tuple(self.lines[:1]))
        return not set_aside(replace(promotion, scope=None, audience=frozenset()), request, self.base_rules)

    def _costs_ahead(
        self, changes: Mapping[int, Sequence[datetime]], at: Mapping[datetime, int]
    ) -> list[list[tuple[int, Costs]]]:
        """By listing, from which moment of the grid a unit costs what; with today's exchange rates."""
        rows = {listing.pk: row for row, listing in enumerate(self.listings)}
        found: list[list[tuple[int, Costs]]] = [[] for _listing in self.listings]
        changing: dict[datetime, list[Listing]] = {self.now: list(self.listings)}
        for pk, moments in changes.items():
            for moment in moments:
                changing.setdefault(moment, []).append(self.listings[rows[pk]])
        for moment in sorted(changing):
            costs = costs_of(changing[moment], at=moment, known_at=self.now)
            for pk, each in costs.items():
                found[rows[pk]].append((0 if moment == self.now else at[moment], each.costs))
        return found

    def _costs_at(self, row: int, index: int) -> Costs:
        return next(costs for begins, costs in reversed(self._costs[row]) if begins <= index)

    def _make_floors(self, covering: Sequence[Sequence[int]]) -> Floors:
        prices = [[line.list, line.live] for line in self.lines]
        known = np.array([[-1 if price is None else price for price in pair] for pair in prices], np.int64)
        start = known[:, 1 if self.shop.pricing.basis == "live" else 0]
        self.priced = np.flatnonzero(start >= 0)
        everything = len(self.lines)
        covered = [None if len(rows) == everything else np.array(rows, np.int64) for rows in covering]
        layers = {layer.name: layer for layer in self.base_rules.layers}
        blind = set()
        for place, promotion in enumerate(self.promotions):
            layer = layers[promotion.layer]
            bases = {
                getattr(promotion, name) or getattr(layer, name)
                for name in ("threshold_base", "effect_base", "weight_base")
            }
            columns = [column for column, name in enumerate(("list", "live")) if name in bases]
            if promotion.unknown or (known[covering[place]][:, columns] < 0).any():
                blind.add(place)
        return Floors(Goods(start, known.max(axis=1)), self.promotions, covered, blind)

    def collisions(self) -> list[Collision]:
        """What is found for the listings, at most one row of each certainty for one."""
        self._unknown: dict[int, tuple[int, str]] = {}  # by listing, from when and why nobody can tell
        self._safe = self._safe_prices()
        for row in set(range(len(self.lines))) - set(self.priced.tolist()):
            self._unknown[row] = 0, f"{CannotTell.PRICE}:{LINE}"
        risks: dict[object, dict[int, list[tuple[int, int]]]] = {}
        certain: dict[int, tuple[_Case, _Loss]] = {}
        possible: dict[int, tuple[_Case, _Loss]] = {}
        for case in self._cases():
            signature = (case.buyer, _of_goods(case.rules))
            if signature not in risks:
                risks[signature] = self._risks(case)
            for row, moments in risks[signature].items():
                if not case.settings:
                    # What everybody gets is told before what only some do.
                    if row not in certain and (loss := self._loss(row, case, moments, NEVER)):
                        certain[row] = case, loss
                    continue
                before = possible.get(row) or certain.get(row)
                loss = self._loss(row, case, moments, before[1].stack.goods if before else NEVER)
                if loss is not None:
                    possible[row] = case, loss
        return [
            *(
                self._collision(row, Certainty.CERTAIN, case, loss)
                for row, (case, loss) in certain.items()
                # What is sold below break-even as it is, without any promotion, is told as that.
                if loss.stack.used or loss.starts_at > self.now
            ),
            *(self._collision(row, Certainty.POSSIBLE, *found) for row, found in possible.items()),
            *(
                Collision(
                    listing=self.listings[row],
                    certainty=Certainty.CANNOT_TELL,
                    starts_at=self.grid[index],
                    found_at=self.now,
                    currency=self.shop.channel.currency,
                    reason=reason[:_LONGEST_REASON],
                )
                for row, (index, reason) in self._unknown.items()
            ),
        ]

    def _safe_prices(self) -> list[tuple[int, Integers]]:
        """From which moment of the grid it needs how much, by listing, for certainly nothing to be missing.

        -1 where nobody can tell what a sale costs, which is noted.
        """
        begins = sorted({index for costs in self._costs for index, _costs in costs})
        with_fees = frozenset(place for place, each in enumerate(self.promotions) if any(self.shop.fees[each.id]))
        known: dict[Costs, int] = {}
        found = [(index, np.full(len(self.lines), -1, np.int64)) for index in begins]
        for row, costs in enumerate(self._costs):
            fees = [self.shop.fees[self.promotions[place].id] for place in self.covers[row] & with_fees]
            for index, each in costs:
                if each.unknown:
                    reason = f"{MISSING}:{','.join(each.unknown)}"
                    self._unknown.setdefault(row, (index, reason))
                    safe = -1
                else:
                    dearest = with_promotion_fees(each, [*fees, (0, _ROUNDINGS)])
                    if dearest not in known:
                        received = break_even(dearest)
                        known[dearest] = NEVER if received is None else received
                    safe = known[dearest]
                for begin, column in found:
                    if begin >= index:
                        column[row] = safe
        return found

    def _safe_between(self, low: int, high: int) -> Integers:
        """The most that is needed at any moment of the grid from `low` to before `high`."""
        last = max(place for place, (begin, _column) in enumerate(self._safe) if begin <= low)
        within = [column for place, (begin, column) in enumerate(self._safe) if place >= last and begin < high]
        highest: Integers = np.maximum.reduce(within)
        return highest

    def _cases(self) -> Iterator[_Case]:
        """The channel's own rules first, for everybody and then for each kind of buyers; then each other value."""
        pricing = self.shop.pricing
        buyers = ["", *sorted({tag for each in self.promotions for tag in each.audience})]
        others = [each for each in OTHER_VALUES[pricing.ruleset] if not each.keys() & pricing.settings.keys()]
        seen: set[object] = set()
        for settings in ({}, *others):
            rules = rules_for(pricing.ruleset, pricing.settings | settings)
            if _of_goods(rules) in seen or (settings and not _matters(settings, self.promotions)):
                continue
            seen.add(_of_goods(rules))
            for buyer in buyers:
                places = [
                    place for place, each in enumerate(self.promotions) if not each.audience or buyer in each.audience
                ]
                yield _Case(settings, rules, buyer, frozenset(places))

    def _risks(self, case: _Case) -> dict[int, list[tuple[int, int]]]:
        """By listing, the moments of the grid at which it may be below break-even, each after the least it may cost.

        Stretches in which no moment can be, all their promotions taken together, are left out as a whole.
        """
        found: dict[int, list[tuple[int, int]]] = {}
        stretches = [(0, len(self.grid), self.priced)]
        while stretches:
            low, high, rows = stretches.pop()
            live = [place for place in case.places if self.live[place][0] < high and self.live[place][1] > low]
            floors = self._floors.lowest(live, case.rules, rows)
            is_risky = floors < self._safe_between(low, high)[rows]
            rows = rows[is_risky]
            if not len(rows):
                continue
            if high - low > 1:
                middle = (low + high) // 2
                stretches += [(low, middle, rows), (middle, high, rows)]
                continue
            for row, floor in zip(rows.tolist(), floors[is_risky].tolist(), strict=True):
                found.setdefault(row, []).append((floor, low))
        return found

    def _loss(self, row: int, case: _Case, moments: Sequence[tuple[int, int]], below: int) -> _Loss | None:
        """The lowest price below break-even that is lower than `below`; None without any."""
        best: tuple[int, int, int] | None = None
        for floor, index in sorted(moments):
            if floor >= below or (best is not None and floor > best[0]):
                break
            missing = self._missing(row, case, index)
            if missing is not None and missing[0] < below:
                best = missing if best is None else min(best, missing)
        if best is None:
            return None
        starts = next(index for index in sorted(index for _floor, index in moments) if self._missing(row, case, index))
        _goods, left, index = best
        stack = self._stack(row, case, index)
        return _Loss(stack, self.grid[index], self.grid[starts], self._costs_with(row, index, stack), left)

    def _missing(self, row: int, case: _Case, index: int) -> tuple[int, int, int] | None:
        """What is paid and what is left, less than nothing, at a moment of the grid; None for no loss."""
        stack = self._stack(row, case, index)
        if stack.reason:
            if not case.settings:
                self._unknown[row] = min(self._unknown.get(row, (index, stack.reason)), (index, stack.reason))
            return None
        left = margin(stack.received, self._costs_with(row, index, stack))
        return None if left is None or left.left >= 0 else (stack.goods, left.left, index)

    def _costs_with(self, row: int, index: int, stack: _Stack) -> Costs:
        return with_promotion_fees(self._costs_at(row, index), [self.shop.fees[name] for name in stack.used])

    def _stack(self, row: int, case: _Case, index: int) -> _Stack:
        """The exact answer; the same for all listings of one price with the same promotions."""
        line = self.lines[row]
        live = tuple(
            sorted(
                place
                for place in self.covers[row] & case.places
                if self._is_live(place, index) and self._floors.may_do(place, row)
            )
        )
        promotions = [self.promotions[place] for place in live]
        rule = case.rule if _matters(case.settings, promotions) else ""
        key = (rule, case.buyer, line.list, line.live, live)
        stack = self._stacks.get(key)
        if stack is None:
            stack = self._stacks[key] = self._quoted(line, case, promotions, index)
        return stack

    def _is_live(self, place: int, index: int) -> bool:
        begin, end = self.live[place]
        return begin <= index < end

    def _quoted(self, line: Line, case: _Case, promotions: Sequence[Promotion], index: int) -> _Stack:
        pricing = self.shop.pricing
        request = Request(
            ruleset=pricing.ruleset,
            settings=pricing.settings | dict(case.settings),
            currency=self.shop.channel.currency,
            at=self.grid[index],
            basis=pricing.basis,
            lines=(line,),
            promotions=tuple(promotions),
            buyer=frozenset([case.buyer] if case.buyer else ()),
        )
        quoted = quote(request)
        if quoted.total is None:
            return _Stack(quoted.reason)
        goods = quoted.lines[LINE]
        received = receipts(goods, quoted.steps, promotions, LINE)
        return _Stack("", goods, received, tuple(step.id for step in quoted.steps))

    def _collision(self, row: int, certainty: str, case: _Case, loss: _Loss) -> Collision:
        return Collision(
            listing=self.listings[row],
            certainty=certainty,
            starts_at=loss.starts_at,
            found_at=self.now,
            rule=case.rule,
            buyer=case.buyer,
            currency=self.shop.channel.currency,
            worst_at=loss.worst_at,
            price=loss.stack.goods,
            receipts=loss.stack.received,
            break_even=break_even(loss.costs),
            margin=loss.left,
            promotions=[[name, self.shop.names[name]] for name in loss.stack.used],
        )
