"""Reading products and variations: fields, filters, pages and dates."""

from datetime import UTC, datetime, timedelta

import pytest

pytestmark = pytest.mark.pure

NOW = datetime(2026, 11, 21, 10, 15, 30, tzinfo=UTC)


def ids(entries):
    return [entry["id"] for entry in entries]


def test_product_with_variations_leaves_prices_and_stock_to_them(shop, shirt):
    product = shop.get(f"products/{shirt}")
    assert product["type"] == "variable"
    assert (product["regular_price"], product["sale_price"], product["price"]) == ("", "", "24.90")
    assert (product["manage_stock"], product["stock_quantity"], product["stock_status"]) == (False, None, "instock")
    assert product["variations"] == [732, 733]
    assert product["attributes"] == [
        {"id": 6, "name": "Color", "position": 0, "visible": True, "variation": True, "options": ["Red", "Blue"]}
    ]


def test_variation_has_its_own_facts(shop, shirt):
    variation = shop.get(f"products/{shirt}/variations/732")
    assert (variation["id"], variation["parent_id"], variation["type"]) == (732, 22, "variation")
    assert (variation["sku"], variation["regular_price"], variation["stock_quantity"]) == ("TS-RED-M", "24.90", 5)
    assert variation["attributes"] == [{"id": 6, "name": "Color", "option": "Red"}]
    assert shop.get(f"products/{shirt}/variations/733")["stock_status"] == "outofstock"


def test_variation_may_be_read_as_a_product(shop, shirt):
    found = shop.get("products/732")
    assert (found["type"], found["parent_id"], found["sku"]) == ("variation", 22, "TS-RED-M")


def test_variations_of_all_products_are_one_list(shop, shirt):
    every = shop.all("variations")
    assert {732, 733} <= set(ids(every))
    assert len({entry["parent_id"] for entry in every}) > 3
    assert ids(shop.all("variations", parent=22, orderby="id", order="asc")) == [732, 733]
    assert ids(shop.all("variations", parent="22", order="asc")) == ids(shop.all("products/22/variations", order="asc"))


def test_variations_of_a_product_that_is_not_there_are_none(shop):
    assert shop.get("products/4040404/variations") == []


def test_variations_are_not_written_without_their_product(shop, shirt):
    assert shop.refusal("POST", "variations", {}) == (404, "rest_no_route")


def test_parent_of_another_variation_is_refused(shop, shirt, mug):
    assert shop.refusal("GET", f"products/{mug}/variations/732") == (403, "woocommerce_rest_cannot_edit")
    assert shop.refusal("GET", "products/22/variations/9") == (404, "woocommerce_rest_product_variation_invalid_id")


def test_fields_are_cut_to_those_asked_for(shop, mug):
    assert shop.get(f"products/{mug}", _fields="id,sku,stock_quantity") == {
        "id": 794,
        "sku": "PQ-1",
        "stock_quantity": 12,
    }
    assert shop.get(f"products/{mug}", _fields="dimensions.length") == {"dimensions": {"length": ""}}
    assert shop.send("GET", "products", _fields="sku", include=mug).json() == [{"sku": "PQ-1"}]


def test_pages_have_totals_and_links(shop):
    total = len(shop.all("products"))
    response = shop.send("GET", "products", per_page=5, page=2, orderby="id", order="asc")
    assert response.headers["X-WP-Total"] == str(total)
    assert response.headers["X-WP-TotalPages"] == str(-(-total // 5))
    previous, following = response.headers["Link"].split(", ")
    assert "page=1" in previous
    assert previous.endswith('rel="prev"')
    assert "page=3" in following
    assert following.endswith('rel="next"')
    assert "oauth_" not in response.headers["Link"]


def test_page_past_the_end_is_empty_with_the_right_totals(shop):
    response = shop.send("GET", "products", page=99)
    assert (response.status_code, response.json()) == (200, [])
    assert int(response.headers["X-WP-Total"]) == len(shop.all("products"))
    assert 'rel="next"' not in response.headers["Link"]


def test_ten_a_page_unless_said_otherwise_and_offset_skips(shop):
    assert len(shop.get("products")) == 10
    every = ids(shop.all("products", orderby="id", order="asc"))
    assert ids(shop.get("products", orderby="id", order="asc", offset=3, per_page=2)) == every[3:5]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param({"sku": "PQ-1"}, [794], id="one SKU"),
        pytest.param({"sku": "PQ-1,TS-RED-M", "orderby": "id", "order": "asc"}, [732, 794], id="SKUs of both kinds"),
        pytest.param({"sku": "PQ"}, [], id="a part of an SKU"),
        pytest.param({"sku": "TS/蓝-M"}, [733], id="slash and Chinese characters"),
        pytest.param({"include": "22,794", "orderby": "id", "order": "asc"}, [22, 794], id="include"),
        pytest.param({"include": "794,22", "orderby": "include", "order": "asc"}, [794, 22], id="in the order given"),
        pytest.param({"include": "22,794", "exclude": 22}, [794], id="exclude"),
        pytest.param({"include": "22,794", "type": "variable"}, [22], id="type"),
        pytest.param({"include": "22,794", "search": "premium"}, [794], id="search"),
        pytest.param({"include": "22,794", "status": "draft"}, [], id="status"),
        pytest.param({"include": "22,794", "stock_status": "outofstock"}, [], id="stock status"),
        pytest.param({"include": "22,794", "min_price": "20"}, [22], id="price"),
        pytest.param({"include": "22,794", "parent": 0, "orderby": "title"}, [22, 794], id="parent"),
    ],
)
def test_filters_narrow_the_list(shop, shirt, mug, query, expected):
    assert ids(shop.get("products", **query)) == expected


def test_on_sale_finds_what_is_cheaper_now(shop):
    found = shop.all("products", on_sale="true")
    assert found
    assert all(entry["on_sale"] for entry in found)
    assert len(found) + len(shop.all("products", on_sale="false")) == len(shop.all("products"))


@pytest.mark.parametrize(
    ("query", "name", "sentence"),
    [
        ({"per_page": 101}, "per_page", "per_page must be between 1 (inclusive) and 100 (inclusive)"),
        ({"per_page": 0}, "per_page", "per_page must be between 1 (inclusive) and 100 (inclusive)"),
        ({"page": 0}, "page", "page must be greater than or equal to 1"),
        ({"page": "two"}, "page", "page is not of type integer."),
        ({"order": "up"}, "order", "order is not one of asc, and desc."),
        ({"orderby": "sku"}, "orderby", "orderby is not one of date, id, include,"),
        ({"stock_status": "low"}, "stock_status", "stock_status is not one of instock, outofstock, and onbackorder."),
        ({"modified_after": "yesterday"}, "modified_after", "Invalid date."),
        ({"modified_after": "2026-11-01"}, "modified_after", "Invalid date."),
        ({"include": "22,x"}, "include", "include[1] is not of type integer."),
    ],
)
def test_wrong_parameters_are_named_with_the_reason(shop, query, name, sentence):
    response = shop.send("GET", "products", **query)
    answer = response.json()
    assert (response.status_code, answer["code"]) == (400, "rest_invalid_param")
    assert answer["message"] == f"Invalid parameter(s): {name}"
    assert answer["data"]["params"][name].startswith(sentence)
    assert answer["data"]["details"][name]["message"] == answer["data"]["params"][name]


def test_dates_are_in_the_shops_zone_and_in_utc_without_offset(shop, simulator):
    simulator.set_now(NOW)
    shop.add(5, sku="X")
    product = shop.get("products/5")
    assert product["date_modified_gmt"] == "2026-11-21T10:15:30"
    assert product["date_modified"] == "2026-11-21T11:15:30"
    shop.set(time_zone="Asia/Tokyo")
    assert shop.get("products/5")["date_modified"] == "2026-11-21T19:15:30"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param({"modified_after": "2026-11-21T11:15:29"}, True, id="site time"),
        pytest.param({"modified_after": "2026-11-21T11:15:30"}, False, id="the bound itself is not after"),
        pytest.param({"modified_before": "2026-11-21T11:15:31"}, True, id="before"),
        pytest.param({"modified_before": "2026-11-21T11:15:30"}, False, id="the bound itself is not before"),
        pytest.param({"modified_after": "2026-11-21T10:15:29", "dates_are_gmt": "true"}, True, id="UTC"),
        pytest.param({"modified_after": "2026-11-21T10:15:30", "dates_are_gmt": "true"}, False, id="UTC, bound"),
        pytest.param({"modified_after": "2026-11-21T10:15:29Z"}, True, id="an offset is put into site time"),
        pytest.param(
            {"modified_after": "2026-11-21T10:15:29Z", "dates_are_gmt": "true"}, False, id="even when compared with UTC"
        ),
        pytest.param({"after": "2026-11-21T11:15:29"}, True, id="created after"),
        pytest.param({"before": "2026-11-21T11:15:30"}, False, id="created before"),
    ],
)
def test_lists_are_narrowed_by_date(shop, simulator, query, found):
    simulator.set_now(NOW)
    shop.add(5, sku="X")
    assert ids(shop.get("products", include=5, **query)) == ([5] if found else [])


def test_variation_edited_leaves_its_products_date_alone(shop, simulator, shirt):
    before = shop.get("products/22")["date_modified_gmt"]
    simulator.step(seconds=60)
    shop.put("products/22/variations/732", {"stock_quantity": 3})
    assert shop.get("products/22")["date_modified_gmt"] == before
    changed = shop.get("products/22/variations/732")["date_modified_gmt"]
    assert changed > before
    assert ids(shop.get("products/22/variations", modified_after=before, dates_are_gmt="true")) == [732]
    assert ids(shop.get("products", modified_after=before, dates_are_gmt="true", include=22)) == []
    simulator.step(seconds=60)
    shop.put("products/22", {"name": "Shirt"})
    assert shop.get("products/22")["date_modified_gmt"] > changed


def rows(shop):
    """What counts its own stock, by id."""
    found = shop.all("variations") + shop.all("products", type="simple")
    return {entry["id"]: entry for entry in found if entry["manage_stock"] != "parent"}


def test_what_the_market_does_is_seen(shop, simulator):
    before = rows(shop)
    simulator.step(seconds=3 * 86_400)
    after = rows(shop)
    moved = [id for id in before if before[id]["stock_quantity"] != after[id]["stock_quantity"]]
    assert len(moved) > 10
    assert all(after[id]["date_modified_gmt"] > before[id]["date_modified_gmt"] for id in moved)


def test_modified_after_finds_everything_the_market_changed(shop, simulator):
    start = simulator.now() - timedelta(seconds=1)
    before = rows(shop)
    simulator.step(seconds=2 * 86_400)
    undated = {"date_modified": "", "date_modified_gmt": ""}
    changed = {id for id, entry in rows(shop).items() if {**entry, **undated} != {**before[id], **undated}}
    since = {"modified_after": start.strftime("%Y-%m-%dT%H:%M:%S"), "dates_are_gmt": "true"}
    reported = {entry["id"] for path in ("variations", "products") for entry in shop.all(path, **since)}
    assert changed
    assert changed <= reported


def test_shop_says_its_currency_and_zone(shop):
    assert shop.get("data/currencies/current") == {"code": "EUR", "name": "Euro", "symbol": "&euro;"}
    assert shop.get("settings/general/woocommerce_currency")["value"] == "EUR"
    assert "woocommerce_currency" in {entry["id"] for entry in shop.get("settings/general")}
    status = shop.get("system_status")
    assert status["settings"]["currency"] == "EUR"
    assert status["environment"]["version"].startswith("11.")
    assert shop.refusal("GET", "settings/general/nothing") == (404, "rest_setting_setting_invalid")


def test_categories_are_listed_and_shown_on_products(shop):
    listed = shop.get("products/categories")
    assert {entry["name"] for entry in listed} == {"Home", "Kitchen", "Outdoor"}
    one = listed[0]
    held = shop.all("products", category=one["id"])
    assert len(held) == one["count"] > 0
    assert {"id": one["id"], "name": one["name"], "slug": one["slug"]} in held[0]["categories"]
    assert shop.get(f"products/categories/{one['id']}")["name"] == one["name"]


def test_hundred_and_twenty_variations_take_two_pages(shop):
    parent = next(entry for entry in shop.all("products") if len(entry["variations"]) > 100)
    response = shop.send("GET", f"products/{parent['id']}/variations", per_page=100)
    assert (len(response.json()), response.headers["X-WP-TotalPages"]) == (100, "2")


def test_shop_charges_what_the_market_sells_at(shop, simulator):
    for _ in range(30):
        simulator.step(seconds=5_400)
        sold_at = {row["sku_id"] or row["num_iid"]: row["live_price"] for row in simulator.woocommerce.items(shop.key)}
        shown = rows(shop) | {entry["id"]: entry for entry in shop.all("variations")}
        assert {id: entry["price"] for id, entry in shown.items()} == sold_at
