"""Transfers: known optima, and scipy's on random cases."""

import itertools

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from monitoring.planning.ordering import reorder_point
from monitoring.planning.transfers import Lanes, plan_transfers, shortage, surplus

NAN = float("nan")


def between(donors, receivers, costs, penalty=10_000.0, **options):
    """A plan for one SKU: donors are the first warehouses, receivers the last ones, with lanes from these to those."""
    rows, columns = len(donors), len(receivers)
    cost = np.full((rows + columns, rows + columns), NAN)
    cost[:rows, rows:] = costs
    given = np.array([[*donors, *[0] * columns]], dtype=float)
    taken = np.array([[*[0] * rows, *receivers]], dtype=float)
    lot, fixed = (np.full(cost.shape, 0.0) for _each in range(2))
    lot[:rows, rows:], fixed[:rows, rows:] = options.pop("lot", 0), options.pop("fixed", 0)
    lanes = Lanes(cost, options.pop("days", np.zeros(cost.shape)), fixed, lot)
    worth = np.broadcast_to(np.asarray([*[0.0] * rows, *np.broadcast_to(penalty, columns)]), (1, rows + columns))
    moves = plan_transfers(given, taken, lanes, worth, **options)
    units = {
        (source + 1, destination - rows + 1): amount
        for source, destination, amount in zip(moves.source, moves.destination, moves.units, strict=True)
    }
    return moves, units


def test_a_published_transportation_problem():
    costs = [[464, 513, 654, 867], [352, 416, 690, 791], [995, 682, 388, 685]]
    moves, units = between([75, 125, 100], [80, 65, 70, 85], costs)
    assert moves.cost.tolist() == [152_535]
    assert units == {(1, 2): 20, (1, 4): 55, (2, 1): 80, (2, 2): 45, (3, 3): 70, (3, 4): 30}


def test_donors_keep_what_nobody_needs():
    moves, units = between([30, 20], [25, 15], [[2, 5], [4, 1]])
    assert moves.cost.tolist() == [65]
    assert units == {(1, 1): 25, (2, 2): 15}


def test_too_little_goes_where_it_is_worth_most():
    moves, units = between([10], [8, 6], [[2, 5]], penalty=[10, 20])
    assert moves.cost.tolist() == [78]
    assert units == {(1, 1): 4, (1, 2): 6}
    assert moves.missing.tolist() == [[0, 4, 0]]


def test_without_surplus_nothing_moves_and_all_is_missing():
    moves, units = between([0], [8, 6], [[2, 5]], penalty=[10, 20])
    assert (units, moves.cost.tolist()) == ({}, [200])


def test_without_shortage_the_plan_is_empty():
    moves, units = between([10], [0, 0], [[2, 5]])
    assert (units, moves.cost.tolist()) == ({}, [0])


def test_no_skus_no_plan():
    empty = np.zeros((0, 3))
    assert plan_transfers(empty, empty, Lanes(np.ones((3, 3)), np.ones((3, 3))), np.zeros(0)).sku.tolist() == []


def test_a_donor_never_falls_under_its_own_reorder_point():
    point = reorder_point(2.3, 7, 5.2)  # 21.3
    assert surplus([40, 21.3, 22.3, 21, -5, NAN], point).tolist() == pytest.approx([18, 0, 1, 0, 0, NAN], nan_ok=True)
    assert surplus(12, 0) == 12  # discontinued: all of it
    assert surplus(12, NAN) == pytest.approx(NAN, nan_ok=True)
    assert shortage([40, 21.3, 20, -5], point).tolist() == [0, 0, 2, 27]
    assert shortage(NAN, point) == pytest.approx(NAN, nan_ok=True)


def test_a_place_that_is_not_known_neither_gives_nor_takes():
    lanes = Lanes(np.ones((3, 3)), np.ones((3, 3)))
    moves = plan_transfers([[5, NAN, 0]], [[0, 0, 20]], lanes, [9])
    assert (moves.source.tolist(), moves.units.tolist()) == ([0], [5])
    moves = plan_transfers([[5, 5, 0]], [[0, 0, NAN]], lanes, [9])
    assert moves.units.tolist() == []
    assert np.isnan(moves.missing[0, 2])
    assert plan_transfers([[5, 5, 0]], [[0, 0, 9]], lanes, [NAN]).units.tolist() == []


@pytest.mark.parametrize(
    ("cost", "days", "lead", "value_of_day", "moved"),
    [
        pytest.param(3, 2, 10, 0, 5, id="cheap and quick"),
        pytest.param(10, 2, 10, 0, 0, id="costs what a missing piece costs"),
        pytest.param(9.99, 2, 10, 0, 5, id="costs a little less"),
        pytest.param(3, 10, 10, 0, 0, id="takes as long as the supplier"),
        pytest.param(3, 9, 10, 0, 5, id="a day less"),
        pytest.param(3, 9, NAN, 0, 5, id="lead time not known"),
        pytest.param(3, 7, 10, 1, 0, id="its days are worth too much"),
        pytest.param(NAN, 2, 10, 0, 0, id="no lane"),
        pytest.param(3, NAN, 10, 0, 0, id="nobody knows how long it takes"),
    ],
)
def test_lanes_that_do_not_pay_are_not_used(cost, days, lead, value_of_day, moved):
    moves, units = between(
        [5],
        [5],
        [[cost]],
        penalty=10,
        days=np.full((2, 2), float(days)),
        lead_time_days=[lead],
        value_of_day=value_of_day,
    )
    assert sum(units.values()) == moved
    assert moves.cost.tolist() == pytest.approx([50 - moved * (10 - cost - days * value_of_day) if moved else 50])


def test_a_warehouse_without_lanes_stays_as_it_is():
    lanes = Lanes(np.full((2, 2), NAN), np.full((2, 2), NAN))
    moves = plan_transfers([[5, 0]], [[0, 5]], lanes, [10])
    assert (moves.units.tolist(), moves.missing.tolist(), moves.cost.tolist()) == ([], [[0, 5]], [50])


def test_costs_and_stock_below_0_are_refused():
    lanes = Lanes(np.ones((2, 2)), np.ones((2, 2)))
    with pytest.raises(ValueError, match="surplus cannot be negative"):
        plan_transfers([[-1, 0]], [[0, 5]], lanes, [10])
    with pytest.raises(ValueError, match="cost cannot be negative"):
        plan_transfers([[1, 0]], [[0, 5]], Lanes(-np.ones((2, 2)), np.ones((2, 2))), [10])


def least_cost(given, taken, cost, worth):
    """scipy's optimum of the problem as it is written in books, the missing pieces as variables of their own."""
    rows, columns = cost.shape
    variables = rows * columns
    objective = np.concatenate([cost.ravel(), worth])
    giving = np.zeros((rows, variables + columns))
    taking = np.zeros((columns, variables + columns))
    for row, column in itertools.product(range(rows), range(columns)):
        giving[row, row * columns + column] = taking[column, row * columns + column] = 1
    taking[:, variables:] = np.eye(columns)
    return linprog(objective, A_ub=giving, b_ub=given, A_eq=taking, b_eq=taken).fun


def test_plans_cost_what_the_library_finds_on_200_random_cases():
    rng = np.random.default_rng(11)
    warehouses, cases = 7, 200
    cost = rng.integers(1, 900, (warehouses, warehouses)) / 100
    given, taken = np.zeros((cases, warehouses)), np.zeros((cases, warehouses))
    for case in range(cases):
        order, donors = rng.permutation(warehouses), rng.integers(1, warehouses)
        given[case, order[:donors]] = rng.integers(0, 60, donors)
        taken[case, order[donors:]] = rng.integers(0, 60, warehouses - donors)
    worth = rng.integers(1, 1_500, (cases, warehouses)) / 100
    moves = plan_transfers(given, taken, Lanes(cost, np.ones(cost.shape)), worth)
    for case in range(cases):
        givers, takers = np.flatnonzero(given[case]), np.flatnonzero(taken[case])
        if givers.size and takers.size:
            expected = least_cost(
                given[case, givers], taken[case, takers], cost[np.ix_(givers, takers)], worth[case, takers]
            )
        else:
            expected = (taken[case] * worth[case]).sum()
        assert moves.cost[case] == pytest.approx(expected, abs=1e-6)
    left, missing = given.copy(), taken.copy()
    np.subtract.at(left, (moves.sku, moves.source), moves.units)
    np.subtract.at(missing, (moves.sku, moves.destination), moves.units)
    assert left.min() >= 0
    assert np.array_equal(missing, moves.missing)
    paid = np.zeros(cases)
    np.add.at(paid, moves.sku, moves.units * cost[moves.source, moves.destination])
    assert moves.cost.tolist() == pytest.approx((paid + (missing * worth).sum(axis=1)).tolist())


def test_a_fixed_cost_is_paid_once_or_not_at_all():
    # 20 pieces for 1 each and 30 on top, against 2 each.
    moves, units = between([20, 20], [20], [[1], [2]], fixed=[[30], [0]])
    assert (units, moves.cost.tolist()) == ({(2, 1): 20}, [40])
    moves, units = between([20, 20], [20], [[1], [2]], fixed=[[15], [0]])
    assert (units, moves.cost.tolist()) == ({(1, 1): 20}, [35])


def test_a_fixed_cost_that_is_more_than_what_is_missing_keeps_it_there():
    moves, units = between([5], [5], [[1]], penalty=4, fixed=[[15]])
    assert (units, moves.cost.tolist()) == ({}, [20])


@pytest.mark.parametrize(("lot", "moved"), [(5, 8), (8, 8), (9, 0), (7.5, 8)])
def test_a_lane_moves_a_lot_or_nothing(lot, moved):
    _moves, units = between([20], [8], [[1]], lot=[[lot]])
    assert sum(units.values()) == moved


def all_plans(given, taken):
    rows, columns = len(given), len(taken)
    most = [min(give, take) for give in given for take in taken]
    for units in itertools.product(*(range(int(each) + 1) for each in most)):
        plan = np.array(units).reshape(rows, columns)
        if (plan.sum(axis=1) <= given).all() and (plan.sum(axis=0) <= taken).all():
            yield plan


def test_with_fixed_costs_and_lots_no_plan_of_all_is_cheaper():
    rng = np.random.default_rng(5)
    cases = 40
    cost, fixed, lot = rng.integers(1, 4, (2, 2)), np.array([[3, 0], [6, 2]]), np.array([[0, 2], [3, 1]])
    given, taken, worth = (rng.integers(least, 7, (cases, 2)) for least in (1, 1, 3))

    def square(block):
        """Warehouses 0 and 1 give, 2 and 3 take."""
        lanes = np.full((4, 4), NAN)
        lanes[:2, 2:] = block
        return lanes

    nothing = np.zeros((cases, 2))
    moves = plan_transfers(
        np.hstack([given, nothing]),
        np.hstack([nothing, taken]),
        Lanes(square(cost), square(1), np.nan_to_num(square(fixed)), np.nan_to_num(square(lot))),
        np.hstack([nothing, worth]),
    )
    for case in range(cases):
        best = min(
            (plan * cost).sum() + fixed[plan > 0].sum() + ((taken[case] - plan.sum(axis=0)) * worth[case]).sum()
            for plan in all_plans(given[case], taken[case])
            if not ((plan > 0) & (plan < lot)).any()
        )
        assert moves.cost[case] == pytest.approx(best)


def least_cost_with_lots(given, taken, cost, worth, fixed, lot):
    """scipy's optimum with a 0-1 variable for each lane: whether it is used."""
    rows, columns = cost.shape
    lanes = rows * columns
    most = np.minimum.outer(given, taken).ravel()
    giving = np.kron(np.eye(rows), np.ones(columns))
    taking = np.kron(np.ones(rows), np.eye(columns))
    none = np.zeros((rows + columns, lanes))
    held = [
        LinearConstraint(np.hstack([np.vstack([giving, taking]), none]), ub=np.concatenate([given, taken])),
        LinearConstraint(np.hstack([np.eye(lanes), -np.diag(most)]), ub=np.zeros(lanes)),
        LinearConstraint(np.hstack([np.eye(lanes), -np.diag(lot.ravel())]), lb=np.zeros(lanes)),
    ]
    objective = np.concatenate([(cost - worth).ravel(), fixed.ravel()])
    found = milp(
        objective,
        integrality=np.ones(2 * lanes),
        bounds=Bounds(0, np.concatenate([most, np.ones(lanes)])),
        constraints=held,
        options={"mip_rel_gap": 0},
    )
    return float((taken * worth).sum() + found.fun)


def test_plans_with_fixed_costs_and_lots_cost_what_the_library_finds():
    rng = np.random.default_rng(7)
    donors, receivers, cases = 3, 3, 40
    size = donors + receivers
    given, taken = np.zeros((cases, size)), np.zeros((cases, size))
    given[:, :donors] = rng.integers(1, 80, (cases, donors))
    taken[:, donors:] = rng.integers(1, 80, (cases, receivers))
    worth = rng.integers(100, 1_500, (cases, size)) / 100
    cost, fixed, lot = np.full((size, size), NAN), np.zeros((size, size)), np.ones((size, size))
    block = (slice(donors), slice(donors, None))
    cost[block] = rng.integers(1, 400, (donors, receivers)) / 100
    fixed[block] = rng.integers(0, 9_000, (donors, receivers)) / 100
    lot[block] = rng.integers(1, 40, (donors, receivers))
    moves = plan_transfers(given, taken, Lanes(cost, np.ones(cost.shape), fixed, lot), worth)
    for case in range(cases):
        expected = least_cost_with_lots(
            given[case, :donors], taken[case, donors:], cost[block], worth[case, donors:], fixed[block], lot[block]
        )
        assert moves.cost[case] == pytest.approx(expected, abs=1e-6)
    assert (moves.units >= lot[moves.source, moves.destination]).all()
    left = given.copy()
    np.subtract.at(left, (moves.sku, moves.source), moves.units)
    assert left.min() >= 0
