"""Writing stock and prices: what is taken, what is dropped without a word, and what follows from what."""

from datetime import UTC, datetime, timedelta

import pytest

pytestmark = pytest.mark.pure

NOW = datetime(2026, 11, 21, 10, 15, 30, tzinfo=UTC)


@pytest.fixture
def uncounted(shop):
    """Product 80, which counts no stock."""
    shop.add(80, sku="FREE", price="5.00", quantity=3, manage_stock=False)
    return 80


@pytest.fixture
def pooled(shop):
    """Product 90, which counts the stock of its variations 91 and 92: 10 units."""
    variations = [
        {"id": 91, "sku": "A", "price": "5.00", "quantity": 6, "manage_stock": False},
        {"id": 92, "sku": "B", "price": "5.00", "quantity": 4, "manage_stock": False},
    ]
    shop.add(90, sku="AB", manage_stock=True, variations=variations)
    return 90


def stock(entry):
    return entry["manage_stock"], entry["stock_quantity"], entry["stock_status"]


def test_printed_write_is_answered_as_printed(shop, simulator, shirt):
    simulator.set_now(NOW)
    answer = shop.put(
        "products/22/variations/732",
        {
            "manage_stock": True,
            "stock_quantity": 7,
            "regular_price": "24.90",
            "sale_price": "19.90",
            "date_on_sale_from_gmt": "2026-11-27T00:00:00",
            "date_on_sale_to_gmt": "2026-11-30T23:59:59",
        },
    )
    printed = {
        "id": 732,
        "date_modified_gmt": "2026-11-21T10:15:30",
        "sku": "TS-RED-M",
        "price": "24.90",
        "regular_price": "24.90",
        "sale_price": "19.90",
        "on_sale": False,
        "manage_stock": True,
        "stock_quantity": 7,
        "stock_status": "instock",
        "backorders": "no",
        "attributes": [{"id": 6, "name": "Color", "option": "Red"}],
    }
    assert {name: answer[name] for name in printed} == printed


def test_quantity_is_dropped_without_a_word_where_stock_is_not_managed(shop, uncounted):
    answer = shop.put(f"products/{uncounted}", {"stock_quantity": 7})
    assert stock(answer) == (False, None, "instock")
    assert stock(shop.get(f"products/{uncounted}")) == (False, None, "instock")
    assert stock(shop.put(f"products/{uncounted}", {"manage_stock": True, "stock_quantity": 7})) == (True, 7, "instock")


def test_stock_managed_from_now_on_starts_at_nothing(shop, uncounted):
    assert stock(shop.put(f"products/{uncounted}", {"manage_stock": True})) == (True, 0, "outofstock")


def test_stock_no_longer_managed_is_not_known(shop, mug):
    assert stock(shop.put(f"products/{mug}", {"manage_stock": False})) == (False, None, "instock")


def test_status_is_set_where_stock_is_not_managed_and_derived_where_it_is(shop, uncounted, mug):
    assert stock(shop.put(f"products/{uncounted}", {"stock_status": "outofstock"})) == (False, None, "outofstock")
    assert stock(shop.put(f"products/{mug}", {"stock_status": "outofstock"})) == (True, 12, "instock")
    assert stock(shop.put(f"products/{mug}", {"stock_quantity": 0})) == (True, 0, "outofstock")
    answer = shop.put(f"products/{mug}", {"backorders": "notify"})
    assert (answer["stock_status"], answer["backorders_allowed"], answer["backordered"]) == ("onbackorder", True, True)
    assert stock(shop.put(f"products/{mug}", {"stock_quantity": -3})) == (True, -3, "onbackorder")


def test_delta_is_added_and_a_quantity_beats_it(shop, mug):
    assert shop.put(f"products/{mug}", {"inventory_delta": -5})["stock_quantity"] == 7
    assert shop.put(f"products/{mug}", {"inventory_delta": "2"})["stock_quantity"] == 9
    assert shop.put(f"products/{mug}", {"inventory_delta": 100, "stock_quantity": 3})["stock_quantity"] == 3


def test_quantity_may_be_text_and_never_a_fraction(shop, mug):
    assert shop.put(f"products/{mug}", {"stock_quantity": "8"})["stock_quantity"] == 8
    assert shop.refusal("PUT", f"products/{mug}", {"stock_quantity": 7.5}) == (400, "rest_invalid_param")
    assert shop.put(f"products/{mug}", {"stock_quantity": None})["stock_quantity"] == 8


def test_variations_show_the_stock_that_their_product_counts(shop, pooled):
    assert stock(shop.get("products/90")) == (True, 10, "instock")
    assert stock(shop.get("products/90/variations/91")) == ("parent", 10, "instock")
    # Written at the variation it is lost; written at the product it is shared.
    assert stock(shop.put("products/90/variations/91", {"stock_quantity": 3})) == ("parent", 10, "instock")
    assert stock(shop.put("products/90", {"stock_quantity": 5})) == (True, 5, "instock")
    assert stock(shop.get("products/90/variations/92")) == ("parent", 5, "instock")
    answer = shop.put("products/90/variations/91", {"manage_stock": True, "stock_quantity": 2})
    assert stock(answer) == (True, 2, "instock")


def test_parent_is_not_a_value_to_set(shop, pooled):
    assert stock(shop.put("products/90/variations/91", {"manage_stock": "parent"})) == ("parent", 10, "instock")
    assert shop.refusal("PUT", "products/90", {"manage_stock": "parent"}) == (400, "rest_invalid_param")


def test_prices_of_a_product_with_variations_are_wiped(shop, shirt):
    answer = shop.put("products/22", {"regular_price": "1.00", "sale_price": "0.50"})
    assert (answer["regular_price"], answer["sale_price"], answer["price"]) == ("", "", "24.90")
    assert shop.get("products/22/variations/732")["regular_price"] == "24.90"


def test_price_is_the_lower_one_only_while_the_sale_lasts(shop, simulator, mug):
    simulator.set_now(NOW)

    def charged():
        entry = shop.get(f"products/{mug}")
        return entry["price"], entry["on_sale"]

    dates = {"date_on_sale_from_gmt": "2026-11-21T12:00:00", "date_on_sale_to_gmt": "2026-11-21T14:00:00"}
    shop.put(f"products/{mug}", {"sale_price": "9.90", **dates})
    assert charged() == ("19.90", False)
    simulator.set_now(NOW + timedelta(hours=2))
    assert charged() == ("9.90", True)
    (row,) = (row for row in simulator.woocommerce.items() if row["num_iid"] == mug)
    assert (row["price"], row["live_price"]) == ("19.90", "9.90")
    simulator.set_now(NOW + timedelta(hours=4))
    assert charged() == ("19.90", False)
    assert shop.get(f"products/{mug}")["sale_price"] == "9.90"


def test_empty_sale_price_ends_the_sale(shop, mug):
    assert shop.put(f"products/{mug}", {"sale_price": "9.90"})["price"] == "9.90"
    answer = shop.put(f"products/{mug}", {"sale_price": ""})
    assert (answer["price"], answer["sale_price"], answer["on_sale"]) == ("19.90", "", False)


def test_sale_that_is_no_cheaper_is_no_sale(shop, mug):
    answer = shop.put(f"products/{mug}", {"sale_price": "29.90"})
    assert (answer["price"], answer["on_sale"], answer["sale_price"]) == ("19.90", False, "29.90")


def test_dates_without_gmt_are_in_the_shops_zone(shop, mug):
    dates = {"date_on_sale_from": "2026-07-01T00:00:00", "date_on_sale_to": "2026-12-01T00:00:00"}
    answer = shop.put(f"products/{mug}", {"sale_price": "9.90", **dates})
    assert answer["date_on_sale_from_gmt"] == "2026-06-30T22:00:00"
    assert answer["date_on_sale_to_gmt"] == "2026-11-30T23:00:00"
    assert shop.put(f"products/{mug}", {"date_on_sale_to": ""})["date_on_sale_to_gmt"] is None


def test_without_a_regular_price_nobody_can_buy(shop, mug):
    answer = shop.put(f"products/{mug}", {"regular_price": ""})
    assert (answer["price"], answer["regular_price"], answer["purchasable"]) == ("", "", False)


@pytest.mark.parametrize("price", [24.9, 24, True])
def test_price_that_is_no_text_is_refused(shop, mug, price):
    response = shop.send("PUT", f"products/{mug}", {"regular_price": price})
    assert response.json()["data"]["params"] == {"regular_price": "regular_price is not of type string."}


def test_refused_write_changes_nothing(shop, mug):
    body = {"stock_quantity": 1, "sale_price": "1.005"}
    assert shop.refusal("PUT", f"products/{mug}", body) == (400, "rest_invalid_param")
    assert shop.get(f"products/{mug}")["stock_quantity"] == 12


def test_market_promotion_is_shown_as_a_sale(shop, simulator, mug):
    simulator.woocommerce.set_item(mug, live_price="15.00")
    answer = shop.get(f"products/{mug}")
    assert (answer["price"], answer["regular_price"], answer["sale_price"]) == ("15.00", "19.90", "15.00")


def test_sku_is_in_the_shop_once(shop, shirt, mug):
    response = shop.send("PUT", f"products/{mug}", {"sku": "TS-RED-M"})
    answer = response.json()
    assert (response.status_code, answer["code"]) == (400, "product_invalid_sku")
    assert answer["data"]["resource_id"] == 732
    assert shop.put(f"products/{mug}", {"sku": "PQ-1"})["sku"] == "PQ-1"
    assert shop.put(f"products/{mug}", {"sku": "PQ/二"})["sku"] == "PQ/二"


def test_gtin_is_in_the_shop_once(shop, shirt, mug):
    body = {"global_unique_id": "4006381333931"}
    assert shop.refusal("PUT", "products/22/variations/732", body) == (400, "product_invalid_global_unique_id")


def test_missing_id_is_400_to_write_and_404_to_read_or_delete(shop, shirt):
    code = "woocommerce_rest_product_invalid_id"
    assert shop.refusal("PUT", "products/404404", {}) == (400, code)
    assert shop.refusal("GET", "products/404404") == (404, code)
    assert shop.refusal("DELETE", "products/404404", force="true") == (404, code)
    code = "woocommerce_rest_product_variation_invalid_id"
    assert shop.refusal("PUT", "products/22/variations/404404", {}) == (400, code)
    assert shop.refusal("GET", "products/22/variations/404404") == (404, code)
    assert shop.refusal("DELETE", "products/22/variations/404404", force="true") == (404, code)


def test_variation_is_not_written_as_a_product(shop, shirt):
    refused = (404, "woocommerce_rest_invalid_product_id")
    assert shop.refusal("PUT", "products/732", {"stock_quantity": 1}) == refused
    assert shop.get("products/732")["stock_quantity"] == 5


def test_body_that_names_an_id_wins_over_the_path(shop, shirt, mug):
    assert shop.put("products/22", {"id": mug, "name": "Other"})["id"] == mug
    assert shop.get("products/22")["name"] == "T-shirt"


def test_unknown_fields_are_passed_over(shop, mug):
    assert shop.put(f"products/{mug}", {"price": "1.00", "on_sale": True, "colour": "red"})["price"] == "19.90"


def test_write_that_changes_nothing_leaves_the_date(shop, simulator, mug):
    before = shop.get(f"products/{mug}")["date_modified_gmt"]
    simulator.step(seconds=60)
    assert shop.put(f"products/{mug}", {"stock_quantity": 12})["date_modified_gmt"] == before
    assert shop.put(f"products/{mug}", {"stock_quantity": 11})["date_modified_gmt"] > before


def test_product_and_variation_are_created_with_a_location(shop):
    response = shop.send("POST", "products", {"name": "Bowl", "type": "variable", "sku": "BOWL"})
    product = response.json()
    assert response.status_code == 201
    assert response.headers["Location"].endswith(f"/wp-json/wc/v3/products/{product['id']}")
    body = {
        "sku": "BOWL-S",
        "regular_price": "8.00",
        "manage_stock": True,
        "stock_quantity": 4,
        "attributes": [{"name": "Size", "option": "S"}],
    }
    variation = shop.post(f"products/{product['id']}/variations", body)
    assert (variation["price"], variation["stock_quantity"], variation["name"]) == ("8.00", 4, "S")
    assert shop.get(f"products/{product['id']}")["variations"] == [variation["id"]]
    assert shop.refusal("POST", "products", {"id": product["id"]}) == (400, "woocommerce_rest_product_exists")
    assert shop.refusal("POST", "products", {"sku": "BOWL-S"}) == (400, "product_invalid_sku")


def test_product_goes_to_the_trash_unless_forced(shop, mug):
    assert shop.send("DELETE", f"products/{mug}").json()["status"] == "trash"
    assert shop.get("products", include=mug) == []
    assert [entry["id"] for entry in shop.get("products", status="trash")] == [mug]
    assert shop.refusal("DELETE", f"products/{mug}") == (410, "woocommerce_rest_already_trashed")
    assert shop.put(f"products/{mug}", {"status": "publish"})["status"] == "publish"
    assert shop.send("DELETE", f"products/{mug}", force="true").status_code == 200
    assert shop.refusal("GET", f"products/{mug}") == (404, "woocommerce_rest_product_invalid_id")


def test_variation_is_deleted_by_force_only(shop, shirt):
    path = "products/22/variations/732"
    assert shop.refusal("DELETE", path) == (501, "woocommerce_rest_trash_not_supported")
    assert shop.send("DELETE", path, force="true").json()["id"] == 732
    assert shop.refusal("GET", path) == (404, "woocommerce_rest_product_variation_invalid_id")
    assert shop.get("products/22")["variations"] == [733]


def test_draft_is_off_the_shelf(shop, simulator, mug):
    answer = shop.put(f"products/{mug}", {"status": "draft"})
    assert (answer["status"], answer["purchasable"]) == ("draft", False)
    (row,) = (row for row in simulator.woocommerce.items() if row["num_iid"] == mug)
    assert row["approve_status"] == "instock"


def test_refused_creation_leaves_nothing_behind(shop, shirt):
    before = len(shop.all("products")), len(shop.all("variations"))
    body = {"name": "X", "regular_price": "1.005"}
    assert shop.refusal("POST", "products", body) == (400, "rest_invalid_param")
    assert shop.refusal("POST", "products/22/variations", body) == (400, "rest_invalid_param")
    assert (len(shop.all("products")), len(shop.all("variations"))) == before
