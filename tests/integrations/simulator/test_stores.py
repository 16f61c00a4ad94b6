"""What Shopify and WooCommerce shops share with the rest of the world: the seed, the market and the state file."""

from datetime import UTC, datetime

import orjson
import pytest

from integrations.simulator.market import Market
from integrations.simulator.seed import add_products, ean13, new_world
from integrations.simulator.simulation import Simulation
from integrations.simulator.world import (
    ORDER,
    PRODUCT,
    SHOPIFY,
    STOCK,
    TAOBAO,
    WOOCOMMERCE,
    Row,
    WorldError,
    amount,
    cents,
)
from tests.simulator import Simulator, SimulatorError, start_simulator, stop_simulator

pytestmark = pytest.mark.pure

MONDAY = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp())
DAY = 86_400


def row(**facts):
    plain = {
        "sku_id": 1,
        "outer_id": "A",
        "properties": "",
        "properties_name": "",
        "price": 100,
        "live_price": 100,
        "quantity": 0,
        "held": 0,
        "modified": 0,
        "reference_price": 100,
        "daily_demand": 1.0,
        "elasticity": 1.0,
    }
    return Row(**{**plain, **facts})


@pytest.mark.parametrize(
    ("units", "location", "expected", "where"),
    [
        pytest.param(-3, 0, {1: 5, 2: 6}, 2, id="taken where there are most"),
        pytest.param(-3, 1, {1: 2, 2: 9}, 1, id="taken where they are asked for"),
        pytest.param(4, 0, {1: 9, 2: 9}, 1, id="delivered at the first"),
        pytest.param(4, 2, {1: 5, 2: 13}, 2, id="delivered where they are sent to"),
    ],
)
def test_units_move_at_one_location(units, location, expected, where):
    stocked = row(quantity=14, levels={1: 5, 2: 9})
    assert stocked.add(units, location) == where
    assert stocked.levels == expected
    assert stocked.quantity == sum(expected.values())


def test_units_without_locations_have_none():
    plain = row(quantity=5)
    assert plain.add(-2) == 0
    assert (plain.quantity, plain.levels) == (3, {})


@pytest.mark.parametrize(
    ("text", "decimals", "value"), [("1980", 0, 1980), ("12.50", 2, 1250), ("-3", 0, -3), ("0.050", 3, 50)]
)
def test_amounts_have_the_decimals_of_their_currency(text, decimals, value):
    assert cents(text, decimals) == value
    assert amount(value, decimals) == text


def test_yen_with_decimals_are_refused():
    with pytest.raises(WorldError):
        cents("19.80", 0)


def test_stores_sell_what_the_taobao_shops_sell():
    world = new_world(seed=7, listings=80, now=MONDAY)
    codes = {each.outer_id for _, each in world.rows(TAOBAO)}
    barcodes: dict[str, set[str]] = {}
    for platform in (SHOPIFY, WOOCOMMERCE):
        rows = [each for _, each in world.rows(platform)]
        assert len(codes & {each.outer_id for each in rows}) > 20
        assert any("/" in each.outer_id and not each.outer_id.isascii() for each in rows)
        barcodes[platform] = {each.barcode for each in rows if each.barcode}
        assert any(not each.barcode for each in rows)
    assert barcodes[SHOPIFY] & barcodes[WOOCOMMERCE]
    assert {world.shops[item.shop].currency for item in world.items_of(SHOPIFY)} == {"USD", "JPY"}
    assert "EUR" in {world.shops[item.shop].currency for item in world.items_of(WOOCOMMERCE)}


def test_woocommerce_has_no_sku_twice_and_small_ids():
    world = new_world(seed=7, listings=80, now=MONDAY)
    rows = list(world.rows(WOOCOMMERCE))
    assert len({(item.shop, each.outer_id) for item, each in rows}) == len(rows)
    ids = [item.num_iid for item in world.items_of(WOOCOMMERCE)] + [each.sku_id for _, each in rows if each.sku_id]
    assert len(ids) == len(set(ids))
    assert max(ids) < 10**9


@pytest.mark.parametrize("code", ["CUP-0003/白色", "TILE-001/瓷砖", "A"])
def test_barcodes_are_valid_and_follow_from_the_code(code):
    digits = [int(digit) for digit in ean13(code)]
    assert len(digits) == 13
    assert sum(digit * (3 if index % 2 else 1) for index, digit in enumerate(digits)) % 10 == 0
    assert ean13(code) == ean13(code)


def test_compare_at_is_the_list_price_of_what_is_reduced():
    moved = Market(new_world(seed=7, listings=80, now=MONDAY))
    for day in range(1, 20):
        moved.advance(MONDAY + day * DAY)
        for _, each in moved.world.rows(SHOPIFY):
            assert each.compare_at == (each.price if each.live_price < each.price else None)
            assert sum(each.levels.values()) == each.quantity


def test_what_sells_out_in_a_store_stays_on_show():
    moved = Market(new_world(seed=7, listings=80, now=MONDAY))
    sold_out = 0
    for day in range(1, 30):
        moved.advance(MONDAY + day * DAY)
        sold_out += sum(not each.quantity for _, each in moved.world.rows(WOOCOMMERCE))
        assert all(item.shelf_reason != "sold_out" for item in moved.world.items_of(WOOCOMMERCE))
    assert sold_out


def test_stores_do_not_change_what_happens_at_taobao():
    plain, crowded = (Market(new_world(seed=7, listings=60, now=MONDAY)) for _ in range(2))
    add_products(crowded.world, crowded.world.shops["shopify-nuanju"], 500)
    for moved in (plain, crowded):
        moved.advance(MONDAY + 3 * DAY)
    facts = [
        [(item.num_iid, each.sku_id, each.live_price, each.quantity) for item, each in moved.world.rows(TAOBAO)]
        for moved in (plain, crowded)
    ]
    assert facts[0] == facts[1]
    assert len(list(crowded.world.rows(SHOPIFY))) == len(list(plain.world.rows(SHOPIFY))) + 500


def test_news_are_kept_of_watched_shops_only():
    moved = Market(new_world(seed=7, listings=80, now=MONDAY))
    moved.advance(MONDAY + 3600)
    assert moved.world.take_news() == []
    moved.world.watch({"shopify-nuanju"})
    moved.advance(MONDAY + DAY)
    news = moved.world.take_news()
    assert {piece.shop for piece in news} == {"shopify-nuanju"}
    assert {piece.kind for piece in news} >= {STOCK, PRODUCT, ORDER}
    assert moved.world.take_news() == []


def test_delayed_actions_are_done_when_their_time_has_come():
    simulation, done = Simulation(seed=7, listings=20), []
    simulation.later(0, lambda: done.append("now"))
    simulation.later(60, lambda: done.append("in a minute"))
    simulation.advance()
    assert done == ["now"]


def test_orders_can_be_placed_at_will(simulator):
    def rows():
        return simulator.control("GET", "stores/items", params={"shop": "shopify-tokyo"})["items"]

    item = rows()[0]
    body = {"num_iid": item["num_iid"], "sku_id": item["sku_id"], "quantity": 2}
    assert simulator.control("POST", "stores/orders", json=body)["tid"]
    assert rows()[0]["quantity"] == item["quantity"] - 2
    assert {each["shop"] for each in rows()} == {"shopify-tokyo"}


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("GET", "stores/items?shop=nobody", None),
        ("POST", "stores/products", {"shop": "tmall-nuanju", "variants": 3}),
        ("POST", "stores/orders", {"num_iid": 404}),
        ("POST", "shopify/stores", {"shop": "woo-yatai"}),
        ("POST", "shopify/stores", {"shop": "shopify-nuanju", "plan": "huge"}),
        ("POST", "shopify/stores", {"shop": "shopify-nuanju", "status": "odd"}),
        ("POST", "shopify/versions", {"oldest": "2027-01"}),
        ("POST", "shopify/idempotency", {"shop": "shopify-nuanju", "key": "k", "state": "odd"}),
        ("POST", "webhooks", {"retry_seconds": "soon"}),
        ("POST", "faults", {"platform": "shopify", "shop": "tmall-nuanju", "kind": "drop"}),
    ],
)
def test_control_says_what_it_cannot_do(simulator, verb, path, body):
    with pytest.raises(SimulatorError):
        simulator.control(verb, path, json=body)


def test_state_file_keeps_the_stores(tmp_path):
    state = tmp_path / "simulator.json"
    process, base_url = start_simulator("--seed", "3", "--listings", "40", "--state", str(state))
    first = Simulator(base_url)
    first.set_speed(0)
    variant = first.shopify.variants()[0]
    location = first.shopify.shop()["locations"][1]
    first.shopify.set_variant(variant, location, quantity=77)
    first.shopify.set_store(plan="plus")
    variants, shop = first.shopify.variants(), first.shopify.shop()
    first.close()
    assert stop_simulator(process) == 0

    process, base_url = start_simulator("--state", str(state))
    second = Simulator(base_url)
    try:
        assert second.shopify.variants() == variants
        assert second.shopify.variants()[0]["levels"][location] == 77
        assert second.shopify.shop() == {**shop, "url": base_url}
    finally:
        second.close()
        stop_simulator(process)


def test_state_file_of_before_the_stores_gets_them(tmp_path):
    state = tmp_path / "simulator.json"
    process, base_url = start_simulator("--seed", "3", "--listings", "40", "--state", str(state))
    first = Simulator(base_url)
    first.set_speed(0)
    rows = first.taobao.items()
    first.close()
    assert stop_simulator(process) == 0
    saved = orjson.loads(state.read_bytes())
    stores = {shop["key"] for shop in saved["world"]["shops"] if shop["platform"] != TAOBAO}
    world = saved["world"]
    world["shops"] = [shop for shop in world["shops"] if shop["key"] not in stores]
    for shop in world["shops"]:
        del shop["locations"]
    world["items"] = [item for item in world["items"] if item["shop"] not in stores]
    for item in world["items"]:
        for each in item["rows"]:
            for name in ("barcode", "compare_at", "levels"):
                del each[name]
    world["shop_coupons"] = [coupon for coupon in world["shop_coupons"] if coupon["shop"] not in stores]
    for coupon in world["shop_coupons"]:
        for name in ("percent", "code", "num_iids"):
            del coupon[name]
    world["trades"], world["steps"] = [], []
    for name in ("platforms", "webhooks"):
        del saved[name]
    saved["version"] = 1
    state.write_bytes(orjson.dumps(saved))

    process, base_url = start_simulator("--state", str(state))
    second = Simulator(base_url)
    try:
        assert second.taobao.items() == rows
        assert len(second.shopify.variants()) > 100
        assert second.shopify.shop()["access_token"]
    finally:
        second.close()
        stop_simulator(process)
