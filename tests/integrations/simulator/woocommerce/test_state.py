"""What outlives the process, and what a reset undoes."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.integrations.simulator.woocommerce.conftest import Shop
from tests.simulator import Simulator, SimulatorError, start_simulator, stop_simulator

pytestmark = pytest.mark.pure

NOW = datetime(2026, 11, 21, 10, 15, 30, tzinfo=UTC)


def test_state_file_keeps_keys_sales_coupons_and_webhooks(tmp_path):
    state = tmp_path / "simulator.json"

    def read(shop):
        shop.set(home_url="http://shop.example")  # links and permalinks hold the port otherwise
        lists = {path: shop_lists(shop, path) for path in ("products", "variations", "orders", "coupons", "webhooks")}
        return {**lists, "keys": shop.account["keys"], "zone": shop.account["time_zone"]}

    def shop_lists(shop, path):
        shop.set(home_url="")
        found = shop.all(path)
        return [{name: value for name, value in entry.items() if name != "permalink"} for entry in found]

    process, base_url = start_simulator("--seed", "3", "--listings", "40", "--state", str(state))
    simulator = Simulator(base_url)
    simulator.set_speed(0)
    simulator.step(seconds=86_400)
    shop = Shop(simulator)
    shop.set(time_zone="Asia/Tokyo")
    simulator.control("POST", "woocommerce/keys", json={"permissions": "read"})
    item = shop.get("products", type="simple", per_page=1)[0]["id"]
    shop.put(f"products/{item}", {"sale_price": "0.50", "date_on_sale_to_gmt": "2099-01-01T00:00:00", "featured": True})
    shop.send("DELETE", f"products/{shop.get('products', per_page=2)[1]['id']}")
    shop.post("coupons", {"code": "kept", "date_expires_gmt": "2099-01-01T00:00:00"})
    shop.post("webhooks", {"topic": "order.created", "delivery_url": "http://127.0.0.1:9/", "status": "paused"})
    order = shop.post("orders", {"line_items": [{"product_id": item, "quantity": 1}], "status": "on-hold"})
    shop.post(f"orders/{order['id']}/refunds", {"amount": "0.10", "reason": "kept"})
    before = read(shop)
    shop.http.close()
    simulator.close()
    assert stop_simulator(process) == 0

    process, base_url = start_simulator("--state", str(state))
    simulator = Simulator(base_url)
    shop = Shop(simulator)
    try:
        assert read(shop) == before
    finally:
        shop.http.close()
        simulator.close()
        stop_simulator(process)


def test_reset_undoes_everything(shop, simulator, mug):
    simulator.reset(now=NOW, speed=0)
    before = shop.all("products"), shop.all("coupons"), shop.account
    shop.set(time_zone="Asia/Tokyo", behind_proxy=True, batch_limit=5)
    shop.set(behind_proxy=False)
    shop.post("coupons", {"code": "gone"})
    shop.put(f"products/{before[0][0]['id']}", {"name": "Gone"})
    simulator.control("POST", "woocommerce/keys", json={"revoke": shop.account["keys"][1]["consumer_key"]})
    simulator.woocommerce.set_quota(calls_per_second=1)
    simulator.reset(now=NOW, speed=0)
    assert (shop.all("products"), shop.all("coupons"), shop.account) == before


def test_clock_set_back_takes_sales_and_coupons_along(shop, simulator, mug):
    simulator.set_now(NOW)
    shop.put(f"products/{mug}", {"sale_price": "9.90", "date_on_sale_to_gmt": "2026-11-22T00:00:00"})
    coupon = shop.post("coupons", {"code": "x", "date_expires_gmt": "2026-12-01T00:00:00"})
    simulator.set_now(NOW - timedelta(days=10))
    assert shop.get(f"products/{mug}")["date_on_sale_to_gmt"] == "2026-11-12T00:00:00"
    assert shop.get(f"coupons/{coupon['id']}")["date_expires_gmt"] == "2026-11-21T00:00:00"


def test_control_says_what_it_cannot_do(simulator):
    for path, body in (
        ("settings", {"shop": "nobody"}),
        ("settings", {"time_zone": "Mars/Olympus"}),
        ("settings", {"colour": "red"}),
        ("keys", {"permissions": "all"}),
        ("keys", {"revoke": "ck_nobody"}),
        ("products", {"id": "x"}),
    ):
        with pytest.raises(SimulatorError):
            simulator.control("POST", f"woocommerce/{path}", json=body)


def test_accounts_hand_out_working_credentials(simulator):
    for number, account in enumerate(simulator.accounts()["woocommerce"]["shops"]):
        shop = Shop(simulator, number)
        assert len(shop.all("products")) == account["item_count"]
        shop.http.close()
