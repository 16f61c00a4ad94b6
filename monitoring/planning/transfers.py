"""What to move between warehouses before anything is bought: the plan that costs least, exactly.

Each SKU is a transportation problem of its own (Hillier & Lieberman, Introduction to Operations Research, ch. 9): what
donors have too much of, what others lack, what a piece costs on each lane, and what a missing piece costs. With whole
pieces there is a whole-number optimum. Where a lane has a fixed cost or a least lot it is a mixed-integer problem.
Costs are plain figures of one currency.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, sparse

from monitoring.planning.ordering import _HAIR
from monitoring.planning.safety import Floats, floats, refuse_negative

Ints = NDArray[np.int64]

_SKUS_AT_ONCE = 200  # the solver's time grows faster than the problem
_NODES_AT_ONCE = 4_000  # of the search; the deepest first, so that few wait
_EVEN = 1e-7  # money: what differs by less is as good


def surplus(available: ArrayLike, keep: ArrayLike) -> Floats:
    """Whole pieces that a warehouse can give away and stay at `keep`: its reorder point, 0 for discontinued SKUs.

    `available` is on hand less reserved and back-ordered; what is on its way is not given away. NaN where not known.
    """
    return np.maximum(0.0, np.floor(floats(available) - floats(keep) + _HAIR))


def shortage(position: ArrayLike, point: ArrayLike) -> Floats:
    """Whole pieces that the inventory position lacks of the reorder point. NaN where not known."""
    return np.maximum(0.0, np.ceil(floats(point) - floats(position) - _HAIR))


@dataclass(frozen=True)
class Lanes:
    """From each warehouse (row) to each other (column). NaN: there is no lane, or nobody knows what it takes."""

    cost: Floats  # of a piece
    days: Floats
    fixed_cost: Floats = field(default_factory=lambda: np.zeros(()))  # of a transfer, which is of one SKU
    least_lot: Floats = field(default_factory=lambda: np.zeros(()))  # pieces of a transfer


@dataclass(frozen=True)
class Moves:
    """One entry for each move: indices of SKU, source and destination, and the pieces."""

    sku: Ints
    source: Ints
    destination: Ints
    units: Ints
    missing: Floats  # [SKU, warehouse] pieces still lacking; NaN where the shortage is not known
    cost: Floats  # [SKU] of the moves and of what is still missing


def plan_transfers(
    surplus: ArrayLike,
    shortage: ArrayLike,
    lanes: Lanes,
    penalty: ArrayLike,
    *,
    lead_time_days: ArrayLike = np.inf,
    value_of_day: ArrayLike = 0,
) -> Moves:
    """The moves of all SKUs that cost least. `surplus` and `shortage` are [SKU, warehouse], in whole pieces.

    `penalty` is what a missing piece costs, [SKU] or [SKU, warehouse]; `lead_time_days` that of the supplier, [SKU] or
    [SKU, warehouse]: a lane that takes as long is not used, nor one that costs as much as the piece is worth there. A
    piece costs its lane, and `value_of_day`, [SKU] or one for all, for each day on it. Nothing is planned for a place
    of which surplus, shortage or penalty is not known; a lead time that is not known keeps no lane out.
    """
    spare, lack = np.broadcast_arrays(floats(surplus), floats(shortage))
    refuse_negative(surplus=spare, shortage=lack, cost=lanes.cost, days=lanes.days)
    skus, warehouses = spare.shape
    worth = _by_place(penalty, skus, warehouses)
    refuse_negative(penalty=worth)
    longest = np.nan_to_num(_by_place(lead_time_days, skus, warehouses), nan=np.inf, posinf=np.inf)
    day = np.broadcast_to(floats(value_of_day), (skus,))

    # One entry for each SKU and lane that could serve.
    given, taken = np.nan_to_num(spare), np.nan_to_num(lack)
    sku, source, destination = np.nonzero(
        (given > 0)[:, :, None]
        & (taken > 0)[:, None, :]
        & ~np.isnan(lanes.cost + lanes.days)[None]
        & ~np.eye(warehouses, dtype=bool)[None]
        & (lanes.days[None] < longest[:, None, :])
    )
    # A piece that has arrived costs its way and is missing no more.
    piece = lanes.cost[source, destination] + lanes.days[source, destination] * day[sku]
    gain = worth[sku, destination] - piece
    pays = gain > 0
    sku, source, destination, gain = sku[pays], source[pays], destination[pays], gain[pays]

    units = _best_units(sku, source, destination, gain, given, taken, lanes)
    moved = units > 0
    sku, source, destination, units, gain = sku[moved], source[moved], destination[moved], units[moved], gain[moved]
    missing = lack.copy()
    np.subtract.at(missing, (sku, destination), units)
    fixed = np.broadcast_to(lanes.fixed_cost, lanes.cost.shape)[source, destination]
    cost = np.nansum(lack * worth, axis=1)
    np.subtract.at(cost, sku, gain * units - fixed)
    return Moves(sku, source, destination, units, missing, cost)


def _by_place(values: ArrayLike, skus: int, warehouses: int) -> Floats:
    array = floats(values)
    return np.broadcast_to(array[:, None] if array.ndim == 1 else array, (skus, warehouses))


def _best_units(
    sku: NDArray[np.intp],
    source: NDArray[np.intp],
    destination: NDArray[np.intp],
    gain: Floats,
    given: Floats,
    taken: Floats,
    lanes: Lanes,
) -> Ints:
    """Pieces on each entry; entries are in the order of their SKUs."""
    fixed = np.broadcast_to(lanes.fixed_cost, lanes.cost.shape)[source, destination]
    lot = np.ceil(np.broadcast_to(lanes.least_lot, lanes.cost.shape)[source, destination])
    donor, receiver = sku * given.shape[1] + source, sku * given.shape[1] + destination
    units = np.zeros(sku.shape, dtype=np.int64)
    # SKUs do not touch each other, and so as many as suit the solver are solved at once.
    for part in _by_sku(sku, np.arange(sku.size), at_once=_SKUS_AT_ONCE):
        rows, limits = _limits(donor[part], receiver[part], given, taken)
        units[part] = _solve_plain(gain[part], rows, limits)
    # What is best without fixed costs and lots is best with them as long as it meets neither.
    met = np.unique(sku[(units > 0) & ((fixed > 0) | (units < lot))])
    entries = np.flatnonzero(np.isin(sku, met))
    if entries.size:
        tied = _Tied(source[entries], destination[entries], gain[entries], fixed[entries], lot[entries])
        units[entries] = _search(sku[entries], tied, given, taken)
    return units


def _by_sku(sku: NDArray[np.intp], entries: NDArray[np.intp], *, at_once: int) -> Iterator[NDArray[np.intp]]:
    """The entries in parts of whole SKUs."""
    firsts = np.unique(sku[entries], return_index=True)[1][::at_once]
    if entries.size:
        yield from np.split(entries, firsts[1:])


def _limits(
    donor: NDArray[np.intp], receiver: NDArray[np.intp], given: Floats, taken: Floats
) -> tuple[sparse.csc_array, Floats]:
    """A row for each donor and each receiver of the entries: what they give and take in all."""
    donors, of_donor = np.unique(donor, return_inverse=True)
    receivers, of_receiver = np.unique(receiver, return_inverse=True)
    number = donor.size
    entries = np.arange(number)
    rows = sparse.csc_array(
        (
            np.ones(2 * number),
            (np.concatenate([of_donor, donors.size + of_receiver]), np.concatenate([entries, entries])),
        ),
        shape=(donors.size + receivers.size, number),
    )
    return rows, np.concatenate([given.ravel()[donors], taken.ravel()[receivers]])


def _solve_plain(gain: Floats, rows: sparse.csc_array, limits: Floats) -> Ints:
    # The simplex method ends in a corner, and all corners are in whole pieces.
    found = optimize.linprog(-gain, A_ub=rows, b_ub=limits, method="highs-ds")
    return _whole(found, found.x, rows, limits)


@dataclass(frozen=True, slots=True)
class _Tied:
    """Entries of SKUs whose best plan meets a fixed cost or a lot."""

    source: NDArray[np.intp]
    destination: NDArray[np.intp]
    gain: Floats
    fixed: Floats
    lot: Floats


def _search(sku: NDArray[np.intp], tied: _Tied, given: Floats, taken: Floats) -> Ints:
    """Branch and bound, of all SKUs at the same time.

    A node says of some entries that they are used, with a lot at least, or are not. What is left to move is a plain
    transportation problem again: the lots are taken off first, and of an entry that is still open each piece bears its
    part of the fixed cost of as many as could go, which is never more than it would cost. So the solver's corners are
    in whole pieces, its gain is no less than the best below the node, and its plan, paid in full, is one that holds.
    """
    skus, first, counts = np.unique(sku, return_index=True, return_counts=True)
    width = int(counts.max())
    entry = np.where(np.arange(width) < counts[:, None], first[:, None] + np.arange(width), -1)
    best, units = np.full(skus.size, -np.inf), np.zeros(sku.size, np.int64)
    waiting = [(np.arange(skus.size), np.zeros((skus.size, width), np.int8), np.full(skus.size, np.inf))]
    while waiting:
        number, use, bound = waiting.pop()
        if number.size > _NODES_AT_ONCE:
            waiting.append((number[:-_NODES_AT_ONCE], use[:-_NODES_AT_ONCE], bound[:-_NODES_AT_ONCE]))
            number, use, bound = number[-_NODES_AT_ONCE:], use[-_NODES_AT_ONCE:], bound[-_NODES_AT_ONCE:]
        left = bound > best[number] + _EVEN
        number, use = number[left], use[left]
        if not number.size:
            continue
        nodes = _solve_nodes(entry[number], use, tied, given[skus[number]], taken[skus[number]])
        # The last of a SKU's best nodes in ascending order of their gain is the best of all.
        order = np.argsort(nodes.gain, kind="stable")
        order = order[nodes.gain[order] > best[number[order]] + _EVEN]
        for node in dict(zip(number[order].tolist(), order.tolist(), strict=True)).values():
            best[number[node]] = nodes.gain[node]
            here = entry[number[node]]
            units[here[here >= 0]] = nodes.units[node][here >= 0]
        gap = nodes.gap.max(axis=1)
        open_nodes = np.flatnonzero((nodes.bound > best[number] + _EVEN) & (gap > 0))
        if open_nodes.size:
            at = nodes.gap[open_nodes].argmax(axis=1)
            unused, used = use[open_nodes].copy(), use[open_nodes].copy()
            unused[np.arange(at.size), at], used[np.arange(at.size), at] = -1, 1
            waiting.append(
                (
                    np.tile(number[open_nodes], 2),
                    np.concatenate([unused, used]),
                    np.tile(nodes.bound[open_nodes], 2),
                )
            )
    return units


@dataclass(frozen=True, slots=True)
class _Nodes:
    bound: Floats  # no plan below gains more; -inf: there is none
    gain: Floats  # of the plan that was found, in full
    units: Ints  # [node, entry]
    gap: Floats  # [node, entry] what the bound leaves out; 0: nothing


def _solve_nodes(entry: NDArray[np.intp], use: NDArray[np.int8], tied: _Tied, give: Floats, take: Floats) -> _Nodes:
    """`use` of each entry is 1, -1 where it is not to be used, and 0 while it is open."""
    count, warehouses = give.shape
    node = np.broadcast_to(np.arange(count)[:, None], entry.shape)
    source, destination = tied.source[entry], tied.destination[entry]
    gain, fixed, lot = tied.gain[entry], tied.fixed[entry], tied.lot[entry]
    is_there = (entry >= 0) & (use >= 0)
    # Of an entry that is used so many go at least that they pay for its fixed cost: none would be as good.
    least = np.where(is_there & (use > 0), np.maximum(lot, np.floor(fixed / gain - _EVEN) + 1), 0.0)
    give, take = give.copy(), take.copy()
    np.subtract.at(give, (node, source), least)
    np.subtract.at(take, (node, destination), least)
    holds = np.minimum(give.min(axis=1), take.min(axis=1)) >= 0
    room = np.minimum(give[node, source], take[node, destination])
    is_open = is_there & (use == 0) & ((fixed > 0) | (lot > 1))
    each = np.where(is_open, gain - fixed / np.maximum(room, 1), gain)
    moves = is_there & holds[:, None] & (room > 0) & (each > 0) & ~(is_open & (lot > room))
    units = least.astype(np.int64)
    for start in range(0, count, _SKUS_AT_ONCE):
        part = np.zeros_like(moves)
        part[start : start + _SKUS_AT_ONCE] = moves[start : start + _SKUS_AT_ONCE]
        if part.any():
            donor, receiver = node[part] * warehouses + source[part], node[part] * warehouses + destination[part]
            rows, limits = _limits(donor, receiver, give, take)
            units[part] += _solve_plain(each[part], rows, limits)
    bound = (each * (units - least)).sum(axis=1, where=moves) + (gain * least - fixed).sum(axis=1, where=least > 0)
    chosen = is_open & (units > 0)
    gap = np.where(chosen, fixed * (1 - units / np.maximum(room, 1)) + gain * np.maximum(lot - units, 0), 0.0)
    # What is less than a lot stays, and so does what does not pay.
    stays = chosen & ((units < lot) | (gain * units <= fixed))
    full = np.where(stays, 0, units)
    paid = (gain * full).sum(axis=1) - fixed.sum(axis=1, where=full > 0)
    return _Nodes(
        np.where(holds, bound, -np.inf), np.where(holds, paid, -np.inf), full, np.where(gap > _EVEN, gap, 0.0)
    )


def _whole(found: optimize.OptimizeResult, values: Floats | None, rows: sparse.csc_array, limits: Floats) -> Ints:
    """The solution in whole pieces; raises ArithmeticError when the solver did not come to one."""
    if values is None or not found.success:
        raise ArithmeticError(f"no optimum was found: {found.message}")
    units = np.rint(values).astype(np.int64)
    if np.abs(values - units).max(initial=0) > 1e-5 or np.any(rows @ units > limits):
        raise ArithmeticError("the optimum that was found is not in whole pieces")
    return units
