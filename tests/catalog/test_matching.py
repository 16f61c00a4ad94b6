"""Which SKU a found listing is: evidence, its order, and what contradicts it."""

import pytest

from catalog.matching import (
    Candidates,
    Conflict,
    ConflictKind,
    Evidence,
    Mapped,
    barcode_forms,
    match,
    plain_barcode,
)

pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("candidates", "sku_id", "evidence"),
    [
        pytest.param(Candidates(), None, Evidence.NONE, id="nothing fits"),
        pytest.param(Candidates(barcode=[1]), 1, Evidence.BARCODE, id="barcode"),
        pytest.param(Candidates(code=[2]), 2, Evidence.CODE, id="merchant code is a SKU"),
        pytest.param(Candidates(elsewhere=[3]), 3, Evidence.ELSEWHERE, id="merchant code of a mapped listing"),
        pytest.param(Candidates(title=[4]), 4, Evidence.TITLE, id="title alone"),
        pytest.param(Candidates(title=[4, 5]), None, Evidence.NONE, id="a title that fits two says nothing"),
        pytest.param(Candidates(barcode=[1], code=[1], elsewhere=[1]), 1, Evidence.BARCODE, id="all agree"),
        pytest.param(Candidates(code=[2], title=[4]), 2, Evidence.CODE, id="a title does not contradict"),
        pytest.param(Candidates(barcode=[1, 2]), None, Evidence.BARCODE, id="two SKUs with one barcode"),
        pytest.param(Candidates(barcode=[1], code=[2]), 1, Evidence.BARCODE, id="the barcode is stronger"),
    ],
)
def test_the_strongest_evidence_names_the_sku(candidates, sku_id, evidence):
    found = match(candidates=candidates)
    assert (found.sku_id, found.evidence) == (sku_id, evidence)


@pytest.mark.parametrize(
    ("given", "conflicts"),
    [
        pytest.param({"candidates": Candidates(barcode=[1], code=[1])}, [], id="agreement"),
        pytest.param(
            {"candidates": Candidates(barcode=[1], code=[2])},
            [Conflict(ConflictKind.TWO_SKUS, (1, 2))],
            id="barcode and code disagree",
        ),
        pytest.param(
            {"candidates": Candidates(elsewhere=[3, 2])}, [Conflict(ConflictKind.TWO_SKUS, (2, 3))], id="two elsewhere"
        ),
        pytest.param(
            {"candidates": Candidates(code=[1]), "others": {1: ["616/2"], 2: ["9"]}},
            [Conflict(ConflictKind.TWO_LISTINGS, words=("616/2",))],
            id="another listing of the channel is it",
        ),
        pytest.param(
            {"candidates": Candidates(code=[1]), "barcode": "6901234567892", "sku_barcodes": {1: ["6900000000007"]}},
            [Conflict(ConflictKind.BARCODE_DIFFERS, words=("6900000000007",))],
            id="the SKU has another barcode",
        ),
        pytest.param(
            {"candidates": Candidates(code=[1]), "barcode": "012345678905", "sku_barcodes": {1: ["0012345678905"]}},
            [],
            id="UPC and EAN of one number are the same",
        ),
        pytest.param(
            {"candidates": Candidates(code=[1]), "barcode": "", "sku_barcodes": {1: ["6900000000007"]}},
            [],
            id="a barcode that is not told contradicts nothing",
        ),
        pytest.param(
            {"candidates": Candidates(code=[1]), "mapped": Mapped(2)},
            [Conflict(ConflictKind.MAPPED_OTHERWISE, (2,))],
            id="mapped otherwise",
        ),
        pytest.param({"candidates": Candidates(title=[1]), "mapped": Mapped(2)}, [], id="a title reopens nothing"),
        pytest.param({"candidates": Candidates(code=[1]), "mapped": Mapped(1)}, [], id="mapped so already"),
        pytest.param(
            {"candidates": Candidates(code=[1]), "mapped": Mapped(None, is_own=False)},
            [Conflict(ConflictKind.COMPETITOR)],
            id="a competitor's listing",
        ),
    ],
)
def test_what_contradicts_is_named(given, conflicts):
    found = match(**given)
    assert list(found.conflicts) == conflicts
    assert [Conflict.from_stored(each.stored) for each in found.conflicts] == conflicts


@pytest.mark.parametrize(
    ("given", "is_clear"),
    [
        (Candidates(barcode=[1]), True),
        (Candidates(elsewhere=[1]), True),
        (Candidates(title=[1]), False),
        (Candidates(), False),
        (Candidates(barcode=[1], code=[2]), False),
    ],
)
def test_only_strong_evidence_without_conflict_is_clear(given, is_clear):
    assert match(candidates=given).is_clear is is_clear


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("6901234567892", "6901234567892"),
        (" 690-1234 567892 ", "6901234567892"),
        ("0012345678905", "12345678905"),
        ("012345678905", "12345678905"),
        ("abc-1", "ABC1"),
        ("0", ""),
        ("无", ""),
        ("-", ""),
        ("", ""),
    ],
)
def test_barcodes_are_compared_without_blanks_and_leading_zeros(text, plain):
    assert plain_barcode(text) == plain
    assert all(plain_barcode(form) == plain for form in barcode_forms(text))
