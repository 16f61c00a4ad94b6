"""Bulk operations: their rules, their life and their file."""

import json

import pytest

from tests.integrations.simulator.shopify.documents import BULK_STATUS, RUN_BULK

pytestmark = pytest.mark.pure

EVERY_LEVEL = """{ productVariants { edges { node { id sku inventoryItem { id
  inventoryLevels { edges { node { id location { id } } } } } } } } }"""


def start(shopify, query, version="2026-10", **variables):
    return shopify.data(RUN_BULK, version, query=query, **variables)["bulkOperationRunQuery"]


def status(shopify, operation):
    return shopify.data(BULK_STATUS, id=operation["id"])["bulkOperation"]


def finished(shopify, operation, wait_until):
    return wait_until(lambda: (found := status(shopify, operation))["status"] not in ("CREATED", "RUNNING") and found)


def lines(shopify, url):
    response = shopify.http.get(url, timeout=20)
    assert response.status_code == 200
    return [json.loads(line) for line in response.text.splitlines()]


def test_operation_goes_through_its_states_to_a_file(shopify, simulator, wait_until):
    simulator.shopify.set_bulk(seconds=2)
    payload = start(shopify, EVERY_LEVEL)
    assert payload["userErrors"] == []
    operation = payload["bulkOperation"]
    assert operation["status"] == "CREATED"
    assert status(shopify, operation)["url"] is None
    wait_until(lambda: status(shopify, operation)["status"] == "RUNNING")
    done = finished(shopify, operation, wait_until)
    variants = simulator.shopify.variants()
    assert (done["status"], done["errorCode"], done["type"]) == ("COMPLETED", None, "QUERY")
    assert done["rootObjectCount"] == str(len(variants))
    assert done["objectCount"] == str(3 * len(variants))
    found = lines(shopify, done["url"])
    assert len(found) == 3 * len(variants)
    parents = {line["id"]: line for line in found if "__parentId" not in line}
    assert parents[variants[0]["variant_id"]] == {
        "id": variants[0]["variant_id"],
        "sku": variants[0]["sku"],
        "inventoryItem": {"id": variants[0]["inventory_item_id"]},
    }
    children = [line for line in found if "__parentId" in line]
    assert {line["__parentId"] for line in children} == set(parents)
    assert children[0].keys() == {"id", "location", "__parentId"}
    # Ungrouped, children do not follow their parents.
    assert "__parentId" not in found[1]


def test_grouped_children_follow_their_parents(shopify, wait_until):
    operation = start(shopify, EVERY_LEVEL, grouped=True)["bulkOperation"]
    found = lines(shopify, finished(shopify, operation, wait_until)["url"])
    assert found[1]["__parentId"] == found[2]["__parentId"] == found[0]["id"]


def test_file_shows_the_moment_the_operation_began(shopify, simulator, wait_until):
    variant = shopify.variant()
    query = "{ productVariants { edges { node { id inventoryQuantity } } } }"
    operation = start(shopify, query)["bulkOperation"]
    simulator.shopify.set_variant(variant, shopify.location, quantity=9999)
    found = lines(shopify, finished(shopify, operation, wait_until)["url"])
    assert found[0]["inventoryQuantity"] == sum(variant["levels"].values())


def test_nothing_found_is_no_file(shopify, wait_until):
    query = '{ productVariants(query: "sku:nothing") { edges { node { id } } } }'
    done = finished(shopify, start(shopify, query)["bulkOperation"], wait_until)
    assert (done["status"], done["objectCount"], done["url"]) == ("COMPLETED", "0", None)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("{ shop { id } }", "at least one connection"),
        ("{ productVariants { nodes { id } } }", "edges"),
        ("{ products { edges { node { id variants { nodes { id } } } } } }", "edges"),
        ("{ products { edges { node { title variants { edges { node { id } } } } } } }", "must select the 'id'"),
        ('{ node(id: "gid://shopify/Product/1") { id } products { edges { node { id } } } }', "top level"),
        (
            "{ products { edges { node { id variants { edges { node { id inventoryItem { id "
            "inventoryLevels { edges { node { id } } } } } } } } } } }",
            "nesting depth",
        ),
        (
            "{ a: products { edges { node { id } } } b: products { edges { node { id } } } "
            "c: products { edges { node { id } } } d: products { edges { node { id } } } "
            "e: products { edges { node { id } } } f: products { edges { node { id } } } }",
            "more than 5",
        ),
        ("{ products { edges { node { stock } } } }", "doesn't exist"),
        ("{ products { edges", "Invalid bulk query"),
        ('mutation { webhookSubscriptionDelete(id: "1") { userErrors { message } } }', "must be a query"),
    ],
)
def test_query_against_the_rules_is_a_user_error(shopify, query, said):
    payload = start(shopify, query)
    (error,) = payload["userErrors"]
    assert payload["bulkOperation"] is None
    assert (error["field"], error["code"]) == (["query"], "INVALID")
    assert said in error["message"]


@pytest.mark.parametrize(("version", "limit"), [("2026-10", 5), ("2026-01", 5), ("2025-10", 1)])
def test_one_more_than_may_run_is_refused(shopify, simulator, version, limit):
    simulator.shopify.set_versions(oldest="2025-10")
    simulator.shopify.set_bulk(seconds=60)
    query = "{ products { edges { node { id } } } }"
    for _ in range(limit):
        assert start(shopify, query, version)["userErrors"] == []
    (error,) = start(shopify, query, version)["userErrors"]
    assert error["code"] == "OPERATION_IN_PROGRESS"


def test_failed_operation_has_part_of_its_file(shopify, simulator, wait_until):
    simulator.shopify.set_bulk(fail="TIMEOUT")
    done = finished(shopify, start(shopify, EVERY_LEVEL)["bulkOperation"], wait_until)
    assert (done["status"], done["errorCode"], done["url"]) == ("FAILED", "TIMEOUT", None)
    assert 0 < len(lines(shopify, done["partialDataUrl"])) < 3 * len(simulator.shopify.variants())


def test_missing_scope_fails_the_operation(shopify, simulator, wait_until):
    simulator.shopify.set_store(scopes=["read_orders"])
    done = finished(shopify, start(shopify, EVERY_LEVEL)["bulkOperation"], wait_until)
    assert (done["status"], done["errorCode"]) == ("FAILED", "ACCESS_DENIED")


def test_canceled_operation_ends_canceled(shopify, simulator, wait_until):
    simulator.shopify.set_bulk(seconds=2)
    operation = start(shopify, EVERY_LEVEL)["bulkOperation"]
    cancel = "mutation C($id: ID!) { bulkOperationCancel(id: $id) { bulkOperation { status } userErrors { message } } }"
    payload = shopify.data(cancel, id=operation["id"])["bulkOperationCancel"]
    assert payload == {"bulkOperation": {"status": "CANCELING"}, "userErrors": []}
    wait_until(lambda: status(shopify, operation)["status"] == "CANCELED")


def test_unknown_file_is_not_found(shopify):
    url = f"{shopify.simulator.base_url}/shopify-bulk-results/nothing.jsonl"
    assert shopify.http.get(url, timeout=20).status_code == 404
