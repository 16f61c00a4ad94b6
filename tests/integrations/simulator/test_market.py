"""The market's clock and demand, in the process itself."""

from collections import Counter
from datetime import UTC, datetime

import orjson
import pytest

from integrations.simulator.market import TICK, Market
from integrations.simulator.seed import new_world
from integrations.simulator.simulation import Simulation
from integrations.simulator.world import MAX_TRADES, World, WorldError, amount, cents

pytestmark = pytest.mark.pure

MONDAY = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp())
DAY = 86_400


def dump(world):
    return orjson.dumps(world.to_json(), option=orjson.OPT_NON_STR_KEYS)


def market(seed=7, listings=60):
    return Market(new_world(seed=seed, listings=listings, now=MONDAY))


@pytest.mark.parametrize("step", [TICK, 2 * TICK, 3600, DAY])
def test_world_depends_on_the_time_passed_and_not_on_the_steps(step):
    in_one, in_steps = market(), market()
    in_one.advance(MONDAY + 3 * DAY)
    for now in range(MONDAY + step, MONDAY + 3 * DAY + 1, step):
        in_steps.advance(now)
    assert dump(in_one.world) == dump(in_steps.world)


def test_steps_within_a_tick_change_nothing_either():
    in_one, in_steps = market(), market()
    in_one.advance(MONDAY + DAY)
    for now in range(MONDAY, MONDAY + DAY + 1, 77):
        in_steps.advance(now)
    in_steps.advance(MONDAY + DAY)
    assert dump(in_one.world) == dump(in_steps.world)


def test_saved_world_goes_on_as_the_one_in_memory():
    straight, saved = market(), market()
    straight.advance(MONDAY + 4 * DAY)
    saved.advance(MONDAY + 2 * DAY)
    resumed = Market(World.from_json(orjson.loads(dump(saved.world))))
    resumed.advance(MONDAY + 4 * DAY)
    assert dump(resumed.world) == dump(straight.world)


def test_another_seed_is_another_world():
    assert dump(market(seed=7).world) != dump(market(seed=8).world)


def test_time_that_has_passed_is_not_run_again():
    moved = market()
    moved.advance(MONDAY + DAY)
    before = dump(moved.world)
    moved.advance(MONDAY)
    assert dump(moved.world) == before


def test_a_month_moves_everything_a_shop_knows():
    moved = market(listings=120)
    start = {(item.num_iid, row.sku_id): (row.price, row.live_price) for item, row in moved.world.rows()}
    seen_off_shelf, seen_sold_out, seen_promotion = set(), set(), set()
    for day in range(1, 31):
        moved.advance(MONDAY + day * DAY)
        for item, row in moved.world.rows():
            if item.approve_status == "instock":
                seen_off_shelf.add(item.shelf_reason)
            if row.quantity == 0:
                seen_sold_out.add(row.sku_id)
            if row.live_price < row.price:
                seen_promotion.add(item.num_iid)
            assert 0 <= row.held <= row.quantity
            assert 0 < row.live_price <= row.price
    end = {(item.num_iid, row.sku_id): (row.price, row.live_price) for item, row in moved.world.rows()}
    assert any(start[key][0] != end[key][0] for key in start)
    assert "off_shelf" in seen_off_shelf
    assert seen_sold_out
    assert seen_promotion
    assert {trade.status for trade in moved.world.trades.values()} >= {
        "TRADE_FINISHED",
        "TRADE_CLOSED_BY_TAOBAO",
        "WAIT_SELLER_SEND_GOODS",
        "WAIT_BUYER_CONFIRM_GOODS",
    }


def test_evenings_sell_more_than_nights():
    moved = market(listings=200)
    moved.advance(MONDAY + 5 * DAY)
    hours = [(trade.created // 3600 + 8) % 24 for trade in moved.world.trades.values()]
    assert sum(hour in (20, 21, 22) for hour in hours) > 4 * sum(hour in (2, 3, 4) for hour in hours)


def test_lower_price_sells_more():
    def sold(percent):
        moved = market()
        for item, row in moved.world.rows():
            row.live_price = max(1, row.price * percent // 100)
            row.quantity = 100_000
            item.promotion_ends_at = MONDAY + 100 * DAY
        before = sum(item.sold_quantity for item in moved.world.items.values())
        moved.advance(MONDAY + 2 * DAY)
        return sum(item.sold_quantity for item in moved.world.items.values()) - before

    assert sold(60) > 1.3 * sold(100)


def test_old_orders_make_room():
    moved = market(listings=400)
    moved.advance(MONDAY + 12 * DAY)
    platforms = Counter(moved.world.shops[trade.shop].platform for trade in moved.world.trades.values())
    assert platforms["taobao"] == MAX_TRADES
    assert 0 < platforms["shopify"] < MAX_TRADES


@pytest.mark.parametrize("listings", [20, 80, 200, 1001])
def test_world_has_exactly_the_listings_asked_for(listings):
    world = new_world(seed=3, listings=listings, now=MONDAY)
    own = sum(1 for item, _ in world.rows("taobao") if world.shops[item.shop].own)
    assert sum(1 for _ in world.rows("taobao")) == listings
    assert 0.7 <= own / listings <= 0.8


def test_identities_are_unique_and_some_are_awkward():
    world = new_world(seed=3, listings=2000, now=MONDAY)
    rows = list(world.rows())
    sku_ids = [row.sku_id for _, row in rows if row.sku_id]
    assert len(sku_ids) == len(set(sku_ids))
    assert len({(item.num_iid, row.sku_id) for item, row in rows}) == len(rows) >= 2000
    assert any(sku_id > 2**53 for sku_id in sku_ids)
    assert any("/" in row.outer_id and not row.outer_id.isascii() for _, row in rows)
    assert max(len(item.title) for item in world.items.values()) > 60


def test_clock_set_back_keeps_prices_and_stock():
    simulation = Simulation(seed=7, listings=40)
    simulation.set_speed(0)
    before = [(item.num_iid, row.price, row.quantity) for item, row in simulation.world.rows()]
    simulation.set_now(MONDAY)
    assert [(item.num_iid, row.price, row.quantity) for item, row in simulation.world.rows()] == before
    assert max(item.modified for item in simulation.world.items.values()) <= MONDAY


def test_worlds_set_to_the_same_moment_are_the_same():
    simulations = [Simulation(seed=7, listings=40) for _ in range(2)]
    for simulation in simulations:
        simulation.reset(now=MONDAY, speed=0)
        simulation.step(DAY)
    assert dump(simulations[0].world) == dump(simulations[1].world)


@pytest.mark.parametrize("seconds", [-1, 401 * DAY])
def test_impossible_steps_are_refused(seconds):
    with pytest.raises(WorldError):
        Simulation(seed=7, listings=20).step(seconds)


@pytest.mark.parametrize(("text", "value"), [("12.50", 1250), ("0", 0), ("-1.05", -105), ("0.01", 1), ("-0.05", -5)])
def test_amounts_are_whole_fen(text, value):
    assert cents(text) == value
    assert cents(amount(value)) == value


@pytest.mark.parametrize("text", ["1.005", "NaN", "Infinity", "ten", ""])
def test_amounts_that_are_none_are_refused(text):
    with pytest.raises(WorldError):
        cents(text)
