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
# Entries with a fixed cost or a lot: each call takes its time however small it is, and with many it tries for long.
_TIED_AT_ONCE = 32


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
    tied = int(((fixed > 0) | (lot > 1))[entries].sum())
    for part in _by_sku(sku, entries, at_once=max(1, _TIED_AT_ONCE * met.size // max(1, tied))):
        rows, limits = _limits(donor[part], receiver[part], given, taken)
        units[part] = _solve_lots(gain[part], rows, limits, fixed[part], lot[part])
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


def _solve_lots(gain: Floats, rows: sparse.csc_array, limits: Floats, fixed: Floats, lot: Floats) -> Ints:
    """With a 0-1 variable for each entry that has a fixed cost or a lot: whether anything moves there."""
    number = gain.size
    tied = np.flatnonzero((fixed > 0) | (lot > 1))
    most = np.where(rows.toarray() > 0, limits[:, np.newaxis], np.inf).min(axis=0)
    moved = sparse.eye_array(number, format="csr")[tied]
    found = optimize.milp(
        np.concatenate([-gain, fixed[tied]]),
        integrality=np.ones(number + tied.size),
        bounds=optimize.Bounds(0, np.concatenate([most, np.where(lot > most, 0.0, 1.0)[tied]])),
        constraints=[
            optimize.LinearConstraint(sparse.hstack([rows, sparse.csc_array((limits.size, tied.size))]), ub=limits),
            # Nothing moves unless the lane is used, and then at least a lot.
            optimize.LinearConstraint(sparse.hstack([moved, -sparse.diags_array(most[tied])]), ub=np.zeros(tied.size)),
            optimize.LinearConstraint(sparse.hstack([moved, -sparse.diags_array(lot[tied])]), lb=np.zeros(tied.size)),
        ],
        options={"mip_rel_gap": 0, "presolve": False},  # so small that presolving takes longer
    )
    return _whole(found, None if found.x is None else found.x[:number], rows, limits)


def _whole(found: optimize.OptimizeResult, values: Floats | None, rows: sparse.csc_array, limits: Floats) -> Ints:
    """The solution in whole pieces; raises ArithmeticError when the solver did not come to one."""
    if values is None or not found.success:
        raise ArithmeticError(f"no optimum was found: {found.message}")
    units = np.rint(values).astype(np.int64)
    if np.abs(values - units).max(initial=0) > 1e-5 or np.any(rows @ units > limits):
        raise ArithmeticError("the optimum that was found is not in whole pieces")
    return units
