"""Writing stock: the recorded behaviour, row by row."""

import pytest
import requests

from tests.integrations.simulator.shopify.documents import (
    ACTIVATE,
    ADJUST_STOCK,
    LEVELS,
    SET_STOCK,
    SET_STOCK_WITHOUT_KEY,
)

pytestmark = pytest.mark.pure

REFERENCE = "gid://stock-sync/SyncJob/2026-11-21-001"


def set_stock(shopify, *entries, key=None, version="2026-10", name="available", **changes):
    """The payload of one call with these quantities."""
    given = {"name": name, "reason": "correction", "referenceDocumentUri": REFERENCE, "quantities": list(entries)}
    given.update(changes)
    data = shopify.data(SET_STOCK, version, input=given, key=key or shopify.new_key())
    return data["inventorySetQuantities"]


def adjust(shopify, *changes, name="available", **rest):
    given = {"name": name, "reason": "received", "changes": list(changes), **rest}
    return shopify.data(ADJUST_STOCK, input=given, key=shopify.new_key())["inventoryAdjustQuantities"]


def quantities(shopify, location=None):
    """The states of the first variant at a location, as the API tells them."""
    item = shopify.data(LEVELS, id=shopify.variant()["inventory_item_id"])["inventoryItem"]
    nodes = item["inventoryLevels"]["nodes"]
    level = next(node for node in nodes if node["location"]["id"] == (location or shopify.location))
    return {entry["name"]: entry["quantity"] for entry in level["quantities"]}


def test_quantity_is_set_and_the_change_mirrored(shopify, simulator):
    before = shopify.variant()
    had = before["levels"][shopify.location]
    body = shopify.call(
        SET_STOCK,
        key="5b2a1c7e-6f0c-4a55-9d3e-0f6c1b8f2a10",
        input={
            "name": "available",
            "reason": "correction",
            "referenceDocumentUri": REFERENCE,
            "quantities": [shopify.entry(had - 2)],
        },
    )
    payload = body["data"]["inventorySetQuantities"]
    group = payload["inventoryAdjustmentGroup"]
    place = {"item": {"id": before["inventory_item_id"]}, "location": {"id": shopify.location}}
    assert payload["userErrors"] == []
    assert group["id"].startswith("gid://shopify/InventoryAdjustmentGroup/")
    assert (group["reason"], group["referenceDocumentUri"]) == ("correction", REFERENCE)
    assert group["changes"] == [
        {"name": "available", "delta": -2, "quantityAfterChange": None, **place},
        {"name": "on_hand", "delta": -2, "quantityAfterChange": None, **place},
    ]
    cost = body["extensions"]["cost"]
    assert (cost["requestedQueryCost"], cost["actualQueryCost"]) == (13, 13)
    assert cost["throttleStatus"]["maximumAvailable"] == 2000
    assert cost["throttleStatus"]["restoreRate"] == 100
    assert shopify.variant()["levels"][shopify.location] == had - 2
    (entry,) = simulator.ledger(method="inventorySetQuantities")
    assert entry["item_ids"] == [before["inventory_item_id"]]


@pytest.mark.parametrize("change_from", ["same", None])
def test_value_that_is_there_already_succeeds_without_a_group(shopify, change_from):
    had = shopify.variant()["levels"][shopify.location]
    changes = {} if change_from == "same" else {"changeFromQuantity": None}
    payload = set_stock(shopify, shopify.entry(had, **changes))
    assert payload == {"inventoryAdjustmentGroup": None, "userErrors": []}
    nothing = {"inventoryItemId": shopify.variant()["inventory_item_id"], "locationId": shopify.location, "delta": 0}
    payload = adjust(shopify, {**nothing, "changeFromQuantity": None})
    assert payload == {"inventoryAdjustmentGroup": None, "userErrors": []}


def test_null_opts_out_of_the_comparison(shopify):
    payload = set_stock(shopify, shopify.entry(4321, changeFromQuantity=None))
    assert payload["userErrors"] == []
    assert shopify.variant()["levels"][shopify.location] == 4321


def test_available_may_be_negative_and_on_hand_may_not(shopify):
    assert set_stock(shopify, shopify.entry(-5))["userErrors"] == []
    assert shopify.variant()["levels"][shopify.location] == -5
    (error,) = set_stock(shopify, shopify.entry(-1, changeFromQuantity=None), name="on_hand")["userErrors"]
    assert error["code"] == "INVALID_QUANTITY_NEGATIVE"
    assert error["field"] == ["input", "quantities", "0", "quantity"]


def test_on_hand_leaves_what_is_committed_alone(shopify, simulator):
    variant = shopify.variant()
    simulator.shopify.order(variant, 3, shopify.location)
    on_hand = quantities(shopify)["on_hand"]
    payload = set_stock(shopify, shopify.entry(on_hand + 10, changeFromQuantity=on_hand), name="on_hand")
    assert [change["name"] for change in payload["inventoryAdjustmentGroup"]["changes"]] == ["on_hand", "available"]
    found = quantities(shopify)
    assert found["available"] == variant["levels"][shopify.location] - 3 + 10
    assert (found["on_hand"], found["committed"]) == (on_hand + 10, 3)


@pytest.mark.parametrize(
    ("changes", "input_changes", "code", "field"),
    [
        ({"quantity": 1_000_000_001}, {}, "INVALID_QUANTITY_TOO_HIGH", ["input", "quantities", "0", "quantity"]),
        ({"quantity": -1_000_000_001}, {}, "INVALID_QUANTITY_TOO_LOW", ["input", "quantities", "0", "quantity"]),
        (
            {"inventoryItemId": "gid://shopify/InventoryItem/404"},
            {},
            "INVALID_INVENTORY_ITEM",
            ["input", "quantities", "0", "inventoryItemId"],
        ),
        (
            {"inventoryItemId": "gid://shopify/ProductVariant/1"},
            {},
            "INVALID_INVENTORY_ITEM",
            ["input", "quantities", "0", "inventoryItemId"],
        ),
        (
            {"locationId": "gid://shopify/Location/404"},
            {},
            "INVALID_LOCATION",
            ["input", "quantities", "0", "locationId"],
        ),
        ({}, {"name": "committed"}, "INVALID_NAME", ["input", "name"]),
        ({}, {"reason": "because"}, "INVALID_REASON", ["input", "reason"]),
        (
            {},
            {"referenceDocumentUri": "order 7"},
            "INVALID_REFERENCE_DOCUMENT",
            ["input", "referenceDocumentUri"],
        ),
        (
            {"changeFromQuantity": -77},
            {},
            "CHANGE_FROM_QUANTITY_STALE",
            ["input", "quantities", "0", "changeFromQuantity"],
        ),
    ],
)
def test_refused_quantity_is_named_by_its_index(shopify, changes, input_changes, code, field):
    payload = set_stock(shopify, shopify.entry(**{"quantity": 9, **changes}), **input_changes)
    assert payload["inventoryAdjustmentGroup"] is None
    (error,) = payload["userErrors"]
    assert (error["code"], error["field"]) == (code, field)


def test_one_refused_quantity_keeps_the_others_out(shopify):
    had = shopify.variant()["levels"]
    good = shopify.entry(had[shopify.location] + 1)
    stale = shopify.entry(5, locationId=shopify.other_location, changeFromQuantity=-1)
    payload = set_stock(shopify, good, stale)
    assert [error["field"][2] for error in payload["userErrors"]] == ["1"]
    assert shopify.variant()["levels"] == had


def test_a_place_named_twice_is_an_error_for_each_index(shopify):
    payload = set_stock(shopify, shopify.entry(1), shopify.entry(2))
    assert [(error["field"][2], error["code"]) for error in payload["userErrors"]] == [
        ("0", "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR"),
        ("1", "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR"),
    ]


@pytest.mark.parametrize(("count", "is_refused"), [(250, False), (251, True)])
def test_a_call_holds_250_quantities(shopify, simulator, count, is_refused):
    simulator.shopify.add_products(count)
    entries = [
        {
            "inventoryItemId": row["inventory_item_id"],
            "locationId": shopify.location,
            "quantity": 1000,
            "changeFromQuantity": None,
        }
        for row in simulator.shopify.variants()[:count]
    ]
    given = {"name": "available", "reason": "correction", "quantities": entries}
    body = shopify.call(SET_STOCK, input=given, key="many")
    if not is_refused:
        changes = body["data"]["inventorySetQuantities"]["inventoryAdjustmentGroup"]["changes"]
        assert len(changes) == 500
        return
    (error,) = body["errors"]
    assert error["extensions"]["code"] == "MAX_INPUT_SIZE_EXCEEDED"
    assert error["message"] == "The input array size of 251 is greater than the maximum allowed of 250."


# Contracts of the versions


def test_missing_directive_is_refused_at_run_time(shopify):
    given = {"name": "available", "reason": "correction", "quantities": [shopify.entry(3)]}
    body = shopify.call(SET_STOCK_WITHOUT_KEY, input=given)
    assert body["data"] == {"inventorySetQuantities": None}
    (error,) = body["errors"]
    assert error["message"] == "The @idempotent directive is required for this mutation but was not provided."
    assert (error["extensions"]["code"], error["path"]) == ("BAD_REQUEST", ["inventorySetQuantities"])


def test_missing_change_from_is_refused(shopify):
    entry = shopify.entry(3)
    del entry["changeFromQuantity"]
    given = {"name": "available", "reason": "correction", "quantities": [entry]}
    error = shopify.error(SET_STOCK, input=given, key="k")
    assert error["message"] == "InventoryQuantityInput must include the following argument: changeFromQuantity."
    assert error["extensions"]["code"] == "INVALID_FIELD_ARGUMENTS"


def test_fields_of_old_versions_are_unknown_variables(shopify):
    given = {
        "name": "available",
        "reason": "correction",
        "ignoreCompareQuantity": True,
        "quantities": [shopify.entry(3)],
    }
    body = shopify.call(SET_STOCK, input=given, key="k")
    assert "data" not in body
    (error,) = body["errors"]
    assert error["extensions"]["code"] == "INVALID_VARIABLE"
    assert error["extensions"]["problems"] == [
        {
            "path": ["ignoreCompareQuantity"],
            "explanation": "Field is not defined on InventorySetQuantitiesInput",
        }
    ]


def test_directive_does_not_exist_in_the_oldest_contract(shopify, simulator):
    simulator.shopify.set_versions(oldest="2025-10")
    given = {"name": "available", "reason": "correction", "quantities": []}
    error = shopify.error(SET_STOCK, "2025-10", input=given, key="k")
    assert error["extensions"]["code"] == "undefinedDirective"


@pytest.mark.parametrize(
    ("version", "compare", "input_changes", "code"),
    [
        pytest.param("2025-10", {"compareQuantity": "had"}, {}, None, id="compared"),
        pytest.param("2025-10", {}, {}, "COMPARE_QUANTITY_REQUIRED", id="not compared"),
        pytest.param("2025-10", {}, {"ignoreCompareQuantity": True}, None, id="opted out"),
        pytest.param("2025-10", {"compareQuantity": -1}, {}, "COMPARE_QUANTITY_STALE", id="stale"),
        pytest.param("2026-01", {"compareQuantity": "had"}, {}, None, id="2026-01 the old way"),
        pytest.param("2026-01", {"changeFromQuantity": "had"}, {}, None, id="2026-01 the new way"),
        pytest.param("2026-01", {"changeFromQuantity": None}, {}, None, id="2026-01 opted out by null"),
        pytest.param("2026-01", {}, {"ignoreCompareQuantity": True}, None, id="2026-01 opted out the old way"),
        pytest.param("2026-01", {}, {}, "COMPARE_QUANTITY_REQUIRED", id="2026-01 not compared"),
        pytest.param("2026-01", {"changeFromQuantity": -1}, {}, "CHANGE_FROM_QUANTITY_STALE", id="2026-01 stale"),
    ],
)
def test_older_contracts_compare_in_their_way(shopify, simulator, version, compare, input_changes, code):
    simulator.shopify.set_versions(oldest="2025-10")
    had = shopify.variant()["levels"][shopify.location]
    entry = {"inventoryItemId": shopify.variant()["inventory_item_id"], "locationId": shopify.location, "quantity": 77}
    entry.update({name: had if value == "had" else value for name, value in compare.items()})
    given = {"name": "available", "reason": "correction", "quantities": [entry], **input_changes}
    payload = shopify.data(SET_STOCK_WITHOUT_KEY, version, input=given)["inventorySetQuantities"]
    assert [error["code"] for error in payload["userErrors"]] == ([] if code is None else [code])
    assert shopify.variant()["levels"][shopify.location] == (77 if code is None else had)


def test_old_fields_are_reported_as_deprecated(shopify):
    entry = {**shopify.entry(8), "compareQuantity": 1}
    given = {"name": "available", "reason": "correction", "quantities": [entry], "ignoreCompareQuantity": True}
    response = shopify.send(SET_STOCK_WITHOUT_KEY, "2026-01", input=given)
    assert response.headers["X-Shopify-API-Deprecated-Reason"] == (
        "InventoryQuantityInput.compareQuantity, InventorySetQuantitiesInput.ignoreCompareQuantity"
    )


@pytest.mark.parametrize(("version", "code"), [("2026-10", None), ("2026-07", "ITEM_NOT_STOCKED_AT_LOCATION")])
def test_from_2026_10_a_write_stocks_the_item(shopify, simulator, version, code):
    simulator.shopify.unstock(shopify.variant(), shopify.other_location)
    entry = shopify.entry(6, locationId=shopify.other_location, changeFromQuantity=None)
    payload = set_stock(shopify, entry, version=version)
    assert [error["code"] for error in payload["userErrors"]] == ([] if code is None else [code])
    assert shopify.variant()["levels"].get(shopify.other_location) == (6 if code is None else None)


def test_activation_stocks_an_item_once(shopify, simulator):
    variant = shopify.variant()
    simulator.shopify.unstock(variant, shopify.other_location)
    given = {"item": variant["inventory_item_id"], "location": shopify.other_location}
    payload = shopify.data(ACTIVATE, **given, available=4, key="a")["inventoryActivate"]
    assert payload["userErrors"] == []
    assert payload["inventoryLevel"]["quantities"] == [{"quantity": 4}]
    assert shopify.data(ACTIVATE, **given, key="b")["inventoryActivate"]["userErrors"] == []
    (error,) = shopify.data(ACTIVATE, **given, available=9, key="c")["inventoryActivate"]["userErrors"]
    assert error["field"] == ["available"]
    assert shopify.variant()["levels"][shopify.other_location] == 4


# Idempotency


def test_same_key_and_variables_give_the_first_result_and_change_nothing(shopify, simulator):
    entry = shopify.entry(11)
    first = set_stock(shopify, entry, key="once")
    simulator.shopify.order(shopify.variant(), 1, shopify.location)
    assert set_stock(shopify, entry, key="once") == first
    assert shopify.variant()["levels"][shopify.location] == 10


def test_same_key_with_other_variables_is_refused(shopify):
    set_stock(shopify, shopify.entry(11), key="once")
    (error,) = set_stock(shopify, shopify.entry(12), key="once")["userErrors"]
    assert error["code"] == "IDEMPOTENCY_KEY_PARAMETER_MISMATCH"
    assert shopify.variant()["levels"][shopify.location] == 11


def test_a_key_whose_attempt_failed_stays_failed(shopify):
    stale = shopify.entry(5, changeFromQuantity=-1)
    assert set_stock(shopify, stale, key="bad")["userErrors"][0]["code"] == "CHANGE_FROM_QUANTITY_STALE"
    assert (
        set_stock(shopify, shopify.entry(5), key="bad")["userErrors"][0]["code"]
        == "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"
    )


@pytest.mark.parametrize(
    ("state", "code"),
    [("running", "IDEMPOTENCY_CONCURRENT_REQUEST"), ("failed", "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED")],
)
def test_state_of_a_key_can_be_set(shopify, simulator, state, code):
    simulator.shopify.put_key("busy", state)
    assert set_stock(shopify, shopify.entry(5), key="busy")["userErrors"][0]["code"] == code


def test_blank_key_is_refused(shopify):
    given = {"name": "available", "reason": "correction", "quantities": [shopify.entry(5)]}
    assert shopify.error(SET_STOCK, input=given, key=" ")["extensions"]["code"] == "BAD_REQUEST"


# inventoryAdjustQuantities


def change(shopify, delta, **changes):
    variant = shopify.variant()
    base = {
        "inventoryItemId": variant["inventory_item_id"],
        "locationId": shopify.location,
        "delta": delta,
        "changeFromQuantity": None,
    }
    return {**base, **changes}


def test_adjusting_adds_to_what_is_there(shopify):
    had = shopify.variant()["levels"][shopify.location]
    payload = adjust(shopify, change(shopify, -4, changeFromQuantity=had))
    assert [entry["delta"] for entry in payload["inventoryAdjustmentGroup"]["changes"]] == [-4, -4]
    assert shopify.variant()["levels"][shopify.location] == had - 4


@pytest.mark.parametrize(
    ("name", "counts"), [("reserved", True), ("damaged", True), ("safety_stock", True), ("incoming", False)]
)
def test_other_states_count_into_on_hand_but_incoming_does_not(shopify, name, counts):
    before = quantities(shopify)
    payload = adjust(shopify, change(shopify, 3, ledgerDocumentUri="gid://stock-sync/Purchase/7"), name=name)
    assert payload["userErrors"] == []
    after = quantities(shopify)
    assert after["on_hand"] - before["on_hand"] == (3 if counts else 0)
    assert after["available"] == before["available"]


@pytest.mark.parametrize(
    ("name", "changes", "code", "field"),
    [
        ("on_hand", {}, "INVALID_QUANTITY_NAME", ["input", "name"]),
        ("committed", {}, "INVALID_QUANTITY_NAME", ["input", "name"]),
        (
            "available",
            {"inventoryItemId": "gid://shopify/InventoryItem/1"},
            "INVALID_INVENTORY_ITEM",
            ["input", "changes", "0", "inventoryItemId"],
        ),
        (
            "available",
            {"ledgerDocumentUri": "gid://stock-sync/Purchase/7"},
            "INVALID_AVAILABLE_DOCUMENT",
            ["input", "changes", "0", "ledgerDocumentUri"],
        ),
        ("damaged", {}, "INVALID_QUANTITY_DOCUMENT", ["input", "changes", "0", "ledgerDocumentUri"]),
        (
            "damaged",
            {"ledgerDocumentUri": "gid://shopify/Order/1"},
            "INTERNAL_LEDGER_DOCUMENT",
            ["input", "changes", "0", "ledgerDocumentUri"],
        ),
        (
            "available",
            {"changeFromQuantity": -1},
            "CHANGE_FROM_QUANTITY_STALE",
            ["input", "changes", "0", "changeFromQuantity"],
        ),
        ("available", {"delta": 1_000_000_001}, "INVALID_QUANTITY_TOO_HIGH", ["input", "changes", "0", "delta"]),
    ],
)
def test_refused_adjustment_is_named_by_its_index(shopify, name, changes, code, field):
    (error,) = adjust(shopify, change(shopify, **{"delta": 2, **changes}), name=name)["userErrors"]
    assert (error["code"], error["field"]) == (code, field)


# Faults


def test_silent_drop_answers_as_applied_and_is_not(shopify, simulator):
    had = shopify.variant()["levels"][shopify.location]
    simulator.shopify.fail_next(kind="silent_drop", method="inventorySetQuantities")
    payload = set_stock(shopify, shopify.entry(had + 5))
    assert payload["inventoryAdjustmentGroup"]["changes"][0]["delta"] == 5
    assert shopify.variant()["levels"][shopify.location] == had


def test_delayed_write_is_seen_later(shopify, simulator, wait_until):
    had = shopify.variant()["levels"][shopify.location]
    simulator.shopify.fail_next(kind="delayed_visibility", seconds=1, method="inventorySetQuantities")
    set_stock(shopify, shopify.entry(had + 5))
    assert quantities(shopify)["available"] == had
    wait_until(lambda: quantities(shopify)["available"] == had + 5)


def test_lost_answer_leaves_the_write_applied_and_the_key_used(shopify, simulator):
    entry = shopify.entry(31)
    simulator.shopify.fail_next(kind="lost")
    with pytest.raises(requests.ConnectionError):
        set_stock(shopify, entry, key="lost")
    assert shopify.variant()["levels"][shopify.location] == 31
    assert set_stock(shopify, entry, key="lost")["inventoryAdjustmentGroup"]["changes"]


def test_user_errors_can_be_asked_for(shopify, simulator):
    simulator.shopify.fail_next(sub_code="SERVICE_UNAVAILABLE", msg="Try again", user_error=True)
    (error,) = adjust(shopify, change(shopify, 1))["userErrors"]
    assert error == {"field": None, "message": "Try again", "code": "SERVICE_UNAVAILABLE"}


def test_top_level_errors_can_be_asked_for(shopify, simulator):
    simulator.shopify.fail_next(sub_code="INTERNAL_SERVER_ERROR")
    body = shopify.call("{ shop { id } }")
    assert "data" not in body
    assert body["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"


def test_half_an_answer_lacks_its_facts(shopify, simulator):
    simulator.shopify.fail_next(kind="half", mode="missing_keys", fields=["quantity"])
    item = shopify.data(LEVELS, id=shopify.variant()["inventory_item_id"])["inventoryItem"]
    (first, _) = item["inventoryLevels"]["nodes"]
    assert first["quantities"][0].keys() == {"name", "updatedAt"}
