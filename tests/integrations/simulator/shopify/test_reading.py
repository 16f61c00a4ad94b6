"""Reads: the reference's documents, paging, search and what is refused."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.integrations.simulator.shopify.conftest import Caller
from tests.integrations.simulator.shopify.documents import DISCOUNTS, LEVELS, LOCATIONS, ORDERS, VARIANTS

pytestmark = pytest.mark.pure

NOVEMBER = datetime(2026, 11, 20, tzinfo=UTC)


def all_pages(shopify, document, root, **variables):
    """Every node of a list, with the number of calls."""
    found, after, calls = [], None, 0
    while True:
        page = shopify.data(document, after=after, **variables)[root]
        found += page["nodes"]
        calls += 1
        if not page["pageInfo"]["hasNextPage"]:
            return found, calls
        after = page["pageInfo"]["endCursor"]


def test_variants_show_what_the_shop_sells(shopify, simulator):
    nodes, calls = all_pages(shopify, VARIANTS, "productVariants", first=50)
    truth = {row["variant_id"]: row for row in simulator.shopify.variants()}
    assert calls == -(-len(truth) // 50)
    assert [node["id"] for node in nodes] == sorted(truth, key=lambda text: int(text.rpartition("/")[2]))
    for node in nodes:
        row = truth[node["id"]]
        assert node["sku"] == row["sku"]
        assert node["barcode"] == (row["barcode"] or None)
        assert (node["price"], node["compareAtPrice"]) == (row["price"], row["compare_at_price"])
        assert node["inventoryQuantity"] == sum(row["levels"].values())
        assert node["inventoryItem"]["id"] == row["inventory_item_id"]
        assert node["product"] == {"id": row["product_id"], "title": node["product"]["title"], "status": row["status"]}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", node["updatedAt"])
        assert node["inventoryItem"]["unitCost"]["currencyCode"] == "USD"


def test_the_shop_has_what_makes_clients_stumble(simulator):
    rows = simulator.shopify.variants()
    skus = [row["sku"] for row in rows]
    by_product = [row["product_id"] for row in rows]
    assert any("/" in sku and not sku.isascii() for sku in skus)
    assert len(skus) - len(set(skus)) == 1
    assert max(by_product.count(product) for product in set(by_product)) > 100
    assert any(int(row["variant_id"].rpartition("/")[2]) > 2**53 for row in rows)
    assert any(row["compare_at_price"] is not None for row in rows)
    shared = {row["outer_id"] for row in simulator.taobao.items()} & set(skus)
    assert len(shared) > 20


def test_amounts_have_the_currencys_decimals(simulator):
    tokyo = Caller(simulator, "shopify-tokyo")
    nodes = tokyo.data(VARIANTS, first=250)["productVariants"]["nodes"]
    assert all(node["price"].isdigit() for node in nodes)
    assert nodes[0]["inventoryItem"]["unitCost"]["currencyCode"] == "JPY"
    tokyo.http.close()


def test_a_token_sees_its_own_shop_only(shopify, simulator):
    other = simulator.shopify.variants("shopify-tokyo")[0]
    assert shopify.data("query Q($id: ID!) { productVariant(id: $id) { id } }", id=other["variant_id"]) == {
        "productVariant": None
    }


def test_stores_are_no_business_of_taobaos(simulator, shopify):
    assert {row["shop"] for row in simulator.taobao.items()}.isdisjoint({"shopify-nuanju", "woo-yatai"})


def test_levels_tell_every_state(shopify, simulator):
    variant = shopify.variant()
    simulator.shopify.order(variant, 2, shopify.location)
    item = shopify.data(LEVELS, id=variant["inventory_item_id"])["inventoryItem"]
    assert item["sku"] == variant["sku"]
    levels = {node["location"]["id"]: node for node in item["inventoryLevels"]["nodes"]}
    assert set(levels) == {shopify.location, shopify.other_location}
    states = {entry["name"]: entry["quantity"] for entry in levels[shopify.location]["quantities"]}
    had = variant["levels"][shopify.location]
    assert states == {"available": had - 2, "on_hand": had, "committed": 2, "incoming": 0, "reserved": 0}
    number = variant["inventory_item_id"].rpartition("/")[2]
    assert levels[shopify.location]["id"].endswith(f"?inventory_item_id={number}")
    again = shopify.data("query L($id: ID!) { inventoryLevel(id: $id) { id } }", id=levels[shopify.location]["id"])
    assert again["inventoryLevel"]["id"] == levels[shopify.location]["id"]


def test_levels_of_a_location_can_be_searched_by_change(shopify, simulator):
    document = """query L($id: ID!, $q: String) { location(id: $id) { inventoryLevels(first: 250, query: $q) {
      nodes { item { sku variants(first: 1) { nodes { id } } } } } } }"""

    def found(q=None):
        nodes = shopify.data(document, id=shopify.location, q=q)["location"]["inventoryLevels"]["nodes"]
        return [node["item"]["variants"]["nodes"][0]["id"] for node in nodes]

    variant = shopify.variant()
    assert len(found()) == len(simulator.shopify.variants())
    simulator.shopify.order(variant, 1, shopify.location)
    since = (simulator.now() - timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert found(f"updated_at:>='{since}'") == [variant["variant_id"]]


def test_locations_are_listed_by_name(shopify):
    nodes = shopify.data(LOCATIONS)["locations"]["nodes"]
    assert [node["name"] for node in nodes] == ["City store", "Harbour warehouse"]
    assert {node["id"] for node in nodes} == {shopify.location, shopify.other_location}


def test_inactive_location_is_left_out_unless_asked_for(shopify, simulator):
    simulator.shopify.set_store(inactive_locations=[shopify.other_location])
    assert len(shopify.data(LOCATIONS)["locations"]["nodes"]) == 1
    everything = "{ locations(first: 9, includeInactive: true) { nodes { isActive } } }"
    assert sorted(node["isActive"] for node in shopify.data(everything)["locations"]["nodes"]) == [False, True]


def test_discounts_are_codes_and_automatic_ones(shopify):
    nodes = shopify.data(DISCOUNTS)["discountNodes"]["nodes"]
    by_title = {node["discount"]["title"]: node["discount"] for node in nodes}
    welcome, save = by_title["WELCOME5"], by_title["SAVE20"]
    assert welcome["customerGets"]["value"] == {
        "amount": {"amount": "5.0", "currencyCode": "USD"},
        "appliesOnEachItem": False,
    }
    assert welcome["minimumRequirement"]["greaterThanOrEqualToSubtotal"]["amount"] == "50.0"
    assert welcome["codes"]["nodes"] == [{"code": "WELCOME5"}]
    assert save["customerGets"]["value"] == {"percentage": 0.2}
    assert len(save["customerGets"]["items"]["products"]["nodes"]) == 1
    assert save["customerGets"]["items"]["productVariants"]["nodes"] == []
    one = by_title["ONE15"]["customerGets"]["items"]
    assert (len(one["products"]["nodes"]), len(one["productVariants"]["nodes"])) == (0, 1)
    assert by_title["10% off everything"]["__typename"] == "DiscountAutomaticBasic"


def test_orders_tell_what_was_sold_and_what_is_left(shopify, simulator):
    simulator.reset(now=NOVEMBER, speed=0)
    simulator.step(seconds=6 * 86_400)
    nodes, _ = all_pages(shopify, ORDERS, "orders")
    assert len(nodes) > 50
    assert [node["createdAt"] for node in nodes] == sorted(node["createdAt"] for node in nodes)
    assert {node["displayFinancialStatus"] for node in nodes} >= {"PAID", "VOIDED"}
    assert {node["displayFulfillmentStatus"] for node in nodes} == {"FULFILLED", "UNFULFILLED"}
    for node in nodes:
        (line,) = node["lineItems"]["nodes"]
        assert line["currentQuantity"] == (
            0 if node["displayFinancialStatus"] in ("VOIDED", "REFUNDED") else line["quantity"]
        )
        assert (node["cancelledAt"] is not None) == (node["displayFinancialStatus"] == "VOIDED")
        money = line["discountedUnitPriceSet"]["shopMoney"]
        assert Decimal(money["amount"]) > 0
        assert "." in money["amount"]


def test_what_is_off_the_whole_order_is_in_one_of_the_two_prices_only(shopify, simulator):
    simulator.reset(now=NOVEMBER, speed=0)
    order = simulator.shopify.order(shopify.variant(), 2, discount=300)
    nodes, _ = all_pages(shopify, ORDERS, "orders")
    (node,) = [node for node in nodes if node["id"].endswith(f"/{order}")]
    (line,) = node["lineItems"]["nodes"]
    before, after = (
        Decimal(line[name]["shopMoney"]["amount"])
        for name in ("discountedUnitPriceSet", "discountedUnitPriceAfterAllDiscountsSet")
    )
    assert before - after == Decimal("1.50")


def test_orders_take_their_units_at_one_location(shopify, simulator):
    variant = shopify.variant()
    simulator.shopify.order(variant, 3, shopify.other_location)
    levels = shopify.variant()["levels"]
    assert levels[shopify.location] == variant["levels"][shopify.location]
    assert levels[shopify.other_location] == variant["levels"][shopify.other_location] - 3


def test_old_orders_are_hidden_without_the_scope_for_all(shopify, simulator):
    simulator.reset(now=NOVEMBER - timedelta(days=61), speed=0)
    # Nobody else buys anything, so that the order is kept.
    for shop in ("shopify-nuanju", "shopify-tokyo"):
        for variant in {row["product_id"]: row for row in simulator.shopify.variants(shop)}.values():
            simulator.shopify.set_variant({**variant, "sku_id": ""}, approve_status="instock")
    number = simulator.shopify.order(shopify.variant())
    simulator.set_now(NOVEMBER)
    oldest = "{ orders(first: 1, sortKey: CREATED_AT) { nodes { id } } }"
    assert shopify.data(oldest)["orders"]["nodes"] == [{"id": f"gid://shopify/Order/{number}"}]
    simulator.shopify.set_store(scopes=["read_orders"])
    assert shopify.data(oldest)["orders"]["nodes"] == []


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        pytest.param("sku:TWIN-1", lambda row: row["sku"] == "TWIN-1", id="both variants of one SKU"),
        pytest.param("sku:'TILE-007/瓷砖'", lambda row: row["sku"] == "TILE-007/瓷砖", id="slash and Chinese"),
        pytest.param('sku:"tile-007/瓷砖"', lambda row: row["sku"] == "TILE-007/瓷砖", id="case does not matter"),
        pytest.param("sku:TILE-00*", lambda row: row["sku"].startswith("TILE-00"), id="prefix"),
        pytest.param(
            "sku:TWIN-1 OR sku:'TILE-001/瓷砖'", lambda row: row["sku"] in ("TWIN-1", "TILE-001/瓷砖"), id="or"
        ),
        pytest.param("-sku:TILE*", lambda row: not row["sku"].startswith("TILE"), id="minus"),
        pytest.param("NOT sku:TILE*", lambda row: not row["sku"].startswith("TILE"), id="not"),
        pytest.param(
            "sku:TILE* AND (sku:*nothing OR sku:'TILE-003/瓷砖')",
            lambda row: row["sku"] == "TILE-003/瓷砖",
            id="brackets",
        ),
        pytest.param(
            "inventory_quantity:>50", lambda row: sum(row["levels"].values()) > 50, id="comparison of numbers"
        ),
        pytest.param("product_status:active", lambda row: row["status"] == "ACTIVE", id="status"),
    ],
)
def test_search_finds_variants(shopify, simulator, query, matches):
    nodes, _ = all_pages(shopify, VARIANTS, "productVariants", first=250, q=query)
    expected = {row["variant_id"] for row in simulator.shopify.variants() if matches(row)}
    assert {node["id"] for node in nodes} == expected
    assert expected


def test_search_by_id_and_by_time_of_change(shopify, simulator):
    variant = shopify.variant()
    number = variant["variant_id"].rpartition("/")[2]
    (found,) = shopify.data(VARIANTS, first=9, q=f"id:{number}")["productVariants"]["nodes"]
    assert found["id"] == variant["variant_id"]
    since = (simulator.now() - timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    changed = f"updated_at:>'{since}'"
    assert shopify.data(VARIANTS, first=9, q=changed)["productVariants"]["nodes"] == []
    simulator.shopify.set_variant(variant, price="1.00")
    (found,) = shopify.data(VARIANTS, first=9, q=changed)["productVariants"]["nodes"]
    assert found["id"] == variant["variant_id"]
    (product,) = shopify.data(
        "query P($q: String) { products(first: 9, query: $q, sortKey: UPDATED_AT) { nodes { id } } }", q=changed
    )["products"]["nodes"]
    assert product["id"] == variant["product_id"]


def test_unknown_search_field_is_left_out_with_a_warning(shopify):
    body = shopify.call(VARIANTS, first=250, q="colour:red")
    assert len(body["data"]["productVariants"]["nodes"]) > 100
    (warning,) = body["extensions"]["search"]
    assert warning["warnings"] == [{"field": "colour", "message": "Invalid search field for this query."}]


def test_pages_go_both_ways(shopify):
    page = """query P($first: Int, $last: Int, $after: String, $before: String, $reverse: Boolean) {
      productVariants(first: $first, last: $last, after: $after, before: $before, reverse: $reverse) {
        edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""

    def ids(**arguments):
        found = shopify.data(page, **arguments)["productVariants"]
        return [edge["node"]["id"] for edge in found["edges"]], found["pageInfo"]

    everything, _ = ids(first=250)
    first, info = ids(first=10)
    assert (first, info["hasNextPage"], info["hasPreviousPage"]) == (everything[:10], True, False)
    second, info = ids(first=10, after=info["endCursor"])
    assert (second, info["hasPreviousPage"]) == (everything[10:20], True)
    assert ids(last=10, before=info["startCursor"])[0] == first
    assert ids(last=3)[0] == everything[-3:]
    backwards, info = ids(first=3, reverse=True)
    assert backwards == everything[::-1][:3]
    assert ids(first=3, reverse=True, after=info["endCursor"])[0] == everything[::-1][3:6]


def test_a_cursor_outlives_changes_of_what_was_read(shopify, simulator):
    first = shopify.data(VARIANTS, first=5)["productVariants"]
    simulator.shopify.set_variant(shopify.variant(first["nodes"][0]["id"]), delete=True)
    after = first["pageInfo"]["endCursor"]
    second = shopify.data(VARIANTS, first=5, after=after)["productVariants"]["nodes"]
    assert {node["id"] for node in second}.isdisjoint({node["id"] for node in first["nodes"]})


def test_nodes_come_in_the_order_of_their_ids_with_null_for_what_is_gone(shopify, simulator):
    variants = simulator.shopify.variants()[:2]
    ids = [variants[1]["variant_id"], "gid://shopify/ProductVariant/404", variants[0]["variant_id"]]
    document = "query N($ids: [ID!]!) { nodes(ids: $ids) { ... on ProductVariant { sku } } }"
    nodes = shopify.data(document, ids=ids)["nodes"]
    assert nodes == [{"sku": variants[1]["sku"]}, None, {"sku": variants[0]["sku"]}]
    error = shopify.error(document, ids=ids * 84)
    assert error["extensions"]["code"] == "MAX_INPUT_SIZE_EXCEEDED"
    assert error["message"] == "The input array size of 252 is greater than the maximum allowed of 250."


def test_the_installation_tells_its_scopes(shopify):
    scopes = shopify.data("{ currentAppInstallation { accessScopes { handle } } }")["currentAppInstallation"]
    assert {"handle": "write_inventory"} in scopes["accessScopes"]


def test_the_shop_tells_its_currency(shopify):
    shop = shopify.data("{ shop { id name currencyCode myshopifyDomain ianaTimezone } }")["shop"]
    assert (shop["currencyCode"], shop["myshopifyDomain"]) == ("USD", "nuanju-home.myshopify.com")


def test_counts_are_exact_up_to_their_limit(shopify, simulator):
    total = len(simulator.shopify.variants())
    assert shopify.data("{ productVariantsCount { count precision } }")["productVariantsCount"] == {
        "count": total,
        "precision": "EXACT",
    }
    assert shopify.data("{ productVariantsCount(limit: 5) { count precision } }")["productVariantsCount"] == {
        "count": 5,
        "precision": "AT_LEAST",
    }


@pytest.mark.parametrize(
    ("document", "code", "path"),
    [
        ("{ products(first: 1) { nodes { id stock } } }", "undefinedField", ["query", "products", "nodes", "stock"]),
        (
            "query Q { products(first: 1, page: 2) { nodes { id } } }",
            "argumentNotAccepted",
            ["query Q", "products", "page"],
        ),
        ("{ product { id } }", "missingRequiredArguments", ["query", "product"]),
        ("{ products(first: 1) }", "selectionMismatch", ["query", "products"]),
        ("{ shop { name { length } } }", "selectionMismatch", ["query", "shop", "name"]),
        ('{ products(first: "1") { nodes { id } } }', "argumentLiteralsIncompatible", None),
        ("query Q($id: ID) { product(id: $id) { id } }", "variableMismatch", None),
        ("query Q($id: ID!) { shop { id } }", "variableNotUsed", None),
        ("{ product(id: $id) { id } }", "variableNotDefined", None),
        ("{ shop { id @twice } }", "undefinedDirective", None),
        ("{ products { nodes { id } } }", "BAD_REQUEST", ["products"]),
        ("{ products(first: 251) { nodes { id } } }", "BAD_REQUEST", ["products"]),
        ('{ products(first: 1, after: "x") { nodes { id } } }', "BAD_REQUEST", ["products"]),
        ('{ productVariant(id: "123") { id } }', "argumentLiteralsIncompatible", ["productVariant"]),
    ],
)
def test_wrong_documents_are_refused_with_the_platforms_codes(shopify, document, code, path):
    error = shopify.error(document)
    assert error["extensions"]["code"] == code
    assert error.get("path") == path
    assert error["message"]


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({}, {"path": [], "explanation": "Expected value to not be null"}),
        ({"first": "ten"}, {"path": [], "explanation": 'Could not coerce value "ten" to Int'}),
    ],
)
def test_wrong_variables_are_refused_without_data(shopify, variables, problem):
    body = shopify.call(VARIANTS, **variables)
    assert "data" not in body
    (error,) = body["errors"]
    assert error["extensions"]["code"] == "INVALID_VARIABLE"
    assert error["extensions"]["problems"] == [problem]
    assert error["message"].startswith("Variable $first of type Int! was provided invalid value")


@pytest.mark.parametrize(
    ("scopes", "document"),
    [
        (["read_orders"], "{ products(first: 1) { nodes { id } } }"),
        (["read_products"], "{ orders(first: 1) { nodes { id } } }"),
        (["read_products"], "{ locations(first: 1) { nodes { id } } }"),
        (["read_products"], "{ discountNodes(first: 1) { nodes { id } } }"),
        (["read_orders"], '{ nodes(ids: ["gid://shopify/Product/1"]) { id } }'),
        (["read_products"], "{ inventoryItems(first: 1) { nodes { inventoryLevels(first: 1) { nodes { id } } } } }"),
    ],
)
def test_missing_scope_is_named(shopify, simulator, scopes, document):
    simulator.shopify.set_store(scopes=scopes)
    error = shopify.error(document)
    assert error["extensions"]["code"] == "ACCESS_DENIED"
    assert error["extensions"]["requiredAccess"].startswith("`read_")


def test_writing_scope_includes_reading(shopify, simulator):
    simulator.shopify.set_store(scopes=["write_products"])
    assert shopify.data("{ products(first: 1) { nodes { id } } }")["products"]["nodes"]


@pytest.mark.parametrize(
    ("asked", "served"),
    [
        ("2026-10", "2026-10"),
        ("2026-01", "2026-01"),
        ("2023-01", "2026-01"),
        ("2025-10", "2026-01"),
        ("2027-01", "2027-01"),
        ("unstable", "unstable"),
    ],
)
def test_retired_versions_fall_forward_and_say_so(shopify, asked, served):
    response = shopify.send("{ shop { id } }", asked)
    assert response.status_code == 200
    assert response.headers["X-Shopify-API-Version"] == served


@pytest.mark.parametrize("asked", ["2027-04", "2026-02", "latest", "26-10"])
def test_versions_there_are_not_are_not_found(shopify, asked):
    response = shopify.send("{ shop { id } }", asked)
    assert (response.status_code, response.json()) == (404, {"errors": "Not Found"})


def test_deprecated_fields_are_named_in_a_header(shopify):
    response = shopify.send("{ shop { plan { displayName publicDisplayName } } }")
    assert response.headers["X-Shopify-API-Deprecated-Reason"] == "ShopPlan.displayName"
    assert "X-Shopify-API-Deprecated-Reason" not in shopify.send("{ shop { name } }").headers
