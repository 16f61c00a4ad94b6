"""Counts as files: what is wrong is told by row, nothing is half booked, and the same file is booked once."""

import csv
import io
import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from openpyxl import Workbook, load_workbook

from catalog.mapping.files import Unreadable
from catalog.models import AuditEvent, BundleComponent, StockLevel, StockMovement
from catalog.stock.counts import adjust, count
from catalog.stock.importing import Moved, apply, preview, read_counts
from catalog.stock.ledger import Source, check, reserve
from tests.factories import NOW, ChannelFactory, ListingFactory, SkuFactory, UserFactory, WarehouseFactory
from tests.staff import member, signed_in

pytestmark = pytest.mark.django_db

FILE, APPLY, TEMPLATE = (f"/catalog/stocklevel/file/{name}" for name in ("", "apply/", "template/"))
HEADING = ["SKU", "warehouse", "counted", "reason"]


@pytest.fixture
def kettle():
    return SkuFactory(code="EV-KET-600")


@pytest.fixture
def cup():
    return SkuFactory(code="CUP-01")


@pytest.fixture
def warehouse():
    return WarehouseFactory(name="Hangzhou", code="HZ")


@pytest.fixture
def operator():
    return member("Operator")


def as_csv(*rows, heading=HEADING):
    text = io.StringIO(newline="")
    csv.writer(text).writerows([heading, *rows])
    return text.getvalue().encode()


def as_excel(*rows, heading=HEADING):
    book, target = Workbook(), io.BytesIO()
    for row in [heading, *rows]:
        book.active.append(row)
    book.save(target)
    return target.getvalue()


def looked_at(user, *rows):
    return preview(rows=read_counts(as_csv(*rows)), user=user)


def has(sku, warehouse, units, key="opening"):
    count(sku_id=sku.pk, warehouse_id=warehouse.pk, counted=units, key=f"{key}:{sku.pk}", actor=None, now=NOW)


def on_hand():
    return dict(StockLevel.objects.values_list("sku__code", "on_hand"))


def test_a_count_of_less_than_is_promised_to_orders_is_told_before_it_is_booked(client, kettle, cup, warehouse):
    signed_in(client, "Operator")
    for sku in (kettle, cup):
        has(sku, warehouse, 15)
        reserve(sku_id=sku.pk, quantity=4, key=f"r{sku.pk}", source=Source.ORDER, now=NOW)
    content = as_csv(["EV-KET-600", "HZ", 3, ""], ["CUP-01", "HZ", 4, ""])
    page = client.post(FILE, {"file": SimpleUploadedFile("counts.csv", content)}).text
    assert "1 count leaves less than is promised to orders" in page
    assert page.count("4 promised") == 1
    assert 'value="Book 2 counts"' in page


@pytest.mark.parametrize("write", [as_csv, as_excel])
def test_a_file_is_compared_with_the_books_and_booked(operator, kettle, cup, warehouse, write):
    has(kettle, warehouse, 15)
    rows = [["EV-KET-600", "hz", 12, "shelf 3"], ["CUP-01", "Hangzhou", 0, ""]]
    shown = preview(rows=read_counts(write(*rows)), user=operator)
    assert [(each.code, each.books, each.counted, each.difference) for each in shown.changes] == [
        ("EV-KET-600", 15, 12, -3),
        ("CUP-01", None, 0, 0),
    ]
    assert on_hand() == {"EV-KET-600": 15}
    assert apply(changes=shown.changes, actor=operator, now=NOW) == 2
    assert on_hand() == {"EV-KET-600": 12, "CUP-01": 0}
    assert check() == []
    movement = StockMovement.objects.get(sku=kettle, source="import")
    assert (movement.kind, movement.quantity, movement.reason, movement.actor) == ("count", -3, "shelf 3", operator)
    assert AuditEvent.objects.filter(action="counted", actor=operator).count() == 2
    assert AuditEvent.objects.get(action="counts imported").changes == {"counts": [None, 2]}


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (["NOPE", "HZ", "3", ""], "There is no SKU “NOPE”."),
        (["ev-ket-600", "HZ", "3", ""], "There is no SKU “ev-ket-600”. Did you mean EV-KET-600?"),
        (["FOREIGN", "HZ", "3", ""], "There is no SKU “FOREIGN”."),
        (["SET", "HZ", "3", ""], "SET is a bundle and has no stock of its own. Count the SKUs it consists of."),
        (["EV-KET-600", "Mars", "3", ""], "There is no warehouse “Mars”."),
        (["EV-KET-600", "", "3", ""], "There is no warehouse “”."),
        (["EV-KET-600", "HZ", "-3", ""], "“-3” is no count: enter 0 to 1,000,000 units."),
        (["EV-KET-600", "HZ", "1000001", ""], "“1000001” is no count: enter 0 to 1,000,000 units."),
        (["EV-KET-600", "HZ", "2.5", ""], "“2.5” is no count: enter 0 to 1,000,000 units."),
        (["EV-KET-600", "HZ", "many", ""], "“many” is no count: enter 0 to 1,000,000 units."),
        (["EV-KET-600", "HZ", "٣", ""], "“٣” is no count: enter 0 to 1,000,000 units."),
        (["EV-KET-600", "HZ", "3", "x" * 201], "The reason is longer than 200 characters."),
        (["1.23E+12", "HZ", "3", ""], "The spreadsheet shortened an id or a SKU."),
        (["CUP-01", "Hangzhou", "4", ""], "Row 2 is about the same SKU in the same warehouse."),
    ],
)
def test_a_row_that_cannot_be_booked_says_why(operator, kettle, cup, warehouse, row, sentence):
    BundleComponent.objects.create(bundle=SkuFactory(code="SET"), component=cup, units=1)
    ListingFactory(channel=ChannelFactory(), sku=SkuFactory(code="FOREIGN"))
    shown = looked_at(operator, ["CUP-01", "HZ", "3", ""], row)
    assert [error.number for error in shown.errors] == [3]
    assert shown.errors[0].text.startswith(sentence)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (as_csv(heading=["code", "place"]), "The file has no columns “SKU”, “warehouse”, “counted”."),
        (as_csv(["A", "3"], heading=["SKU", "counted"]), "The file has no column “warehouse”."),
        (as_csv(heading=[*HEADING, "sku"]), "The column “SKU” comes twice."),
        (as_csv(), "The file has no rows."),
        (b"", "The file has no columns “SKU”, “warehouse”, “counted”."),
        (b"\x89PNG\r\n", "This is no CSV or Excel file."),
        (b"PK\x03\x04 broken", "The file cannot be read."),
    ],
)
def test_a_file_that_is_no_table_of_counts_is_refused(content, sentence):
    with pytest.raises(Unreadable, match=re.escape(sentence)):
        read_counts(content)


def test_headings_are_understood_whatever_their_spelling(operator, kettle, warehouse):
    rows = read_counts(as_csv(["EV-KET-600", "HZ", "3"], heading=["sku", "Warehouse ", "COUNTED"]))
    assert [change.counted for change in preview(rows=rows, user=operator).changes] == [3]


def test_what_was_not_counted_or_is_as_the_books_say_is_left_alone(operator, kettle, cup, warehouse):
    has(kettle, warehouse, 15)
    shown = looked_at(operator, ["EV-KET-600", "HZ", "15", ""], ["CUP-01", "HZ", "", ""])
    assert (shown.changes, shown.unchanged, shown.empty, shown.errors) == ([], 1, 1, [])


def test_the_same_file_twice_is_booked_once_whatever_was_sold_in_between(operator, kettle, warehouse):
    rows = [["EV-KET-600", "HZ", "12", "November"]]
    apply(changes=looked_at(operator, *rows).changes, actor=operator, now=NOW)
    adjust(sku_id=kettle.pk, warehouse_id=warehouse.pk, quantity=-2, key="x", actor=operator, reason="gift", now=NOW)
    again = preview(rows=read_counts(as_excel(*rows)), user=operator)
    assert (again.changes, again.booked_at) == ([], NOW)
    assert on_hand() == {"EV-KET-600": 10}
    anew = looked_at(operator, ["EV-KET-600", "HZ", "12", "December"])
    assert [change.difference for change in anew.changes] == [2]


def test_a_preview_that_is_applied_twice_books_once(operator, kettle, warehouse):
    changes = looked_at(operator, ["EV-KET-600", "HZ", "12", ""]).changes
    assert [apply(changes=changes, actor=operator, now=NOW) for _time in range(2)] == [1, 0]
    assert StockMovement.objects.count() == 1


def test_nothing_is_booked_when_the_books_of_one_row_moved(operator, kettle, cup, warehouse):
    has(kettle, warehouse, 15)
    changes = looked_at(operator, ["CUP-01", "HZ", "3", ""], ["EV-KET-600", "HZ", "12", ""]).changes
    adjust(sku_id=kettle.pk, warehouse_id=warehouse.pk, quantity=-1, key="x", actor=operator, reason="gift", now=NOW)
    with pytest.raises(Moved) as caught:
        apply(changes=changes, actor=operator, now=NOW)
    assert caught.value.count == 1
    assert on_hand() == {"EV-KET-600": 14}


def test_a_long_file_takes_few_queries(operator, warehouse, django_assert_max_num_queries):
    skus = [SkuFactory(code=f"S{number}") for number in range(60)]
    rows = read_counts(as_csv(*[[sku.code, "HZ", "5", ""] for sku in skus]))
    with django_assert_max_num_queries(10):
        shown = preview(rows=rows, user=operator)
    with django_assert_max_num_queries(30):
        assert apply(changes=shown.changes, actor=operator, now=NOW) == 60


class TestPages:
    @pytest.fixture
    def staff(self, client):
        return signed_in(client, "Operator")

    def upload(self, client, content, name="counts.csv"):
        file = io.BytesIO(content)
        file.name = name
        return client.post(FILE, {"file": file})

    def token(self, page):
        found = re.search(r'name="token" value="([^"]+)"', page.text)
        return found[1] if found else ""

    def test_a_file_is_shown_and_then_booked_once(self, client, staff, kettle, warehouse):
        has(kettle, warehouse, 15)
        page = self.upload(client, as_csv(["EV-KET-600", "HZ", "12", "shelf 3"]))
        for part in ("EV-KET-600", "15", "12", "−3", "shelf 3", "Book 1 count"):
            assert part in page.text
        token = self.token(page)
        assert "Booked 1 count." in client.post(APPLY, {"token": token}, follow=True).text
        again = client.post(APPLY, {"token": token}, follow=True)
        assert "already, and is not applied again." in again.text
        assert '<a href="/catalog/stocklevel/">See what came of it</a>' in again.text
        page = self.upload(client, as_csv(["EV-KET-600", "HZ", "12", "shelf 3"]))
        assert "This file was booked on" in page.text
        assert self.token(page) == ""
        assert on_hand() == {"EV-KET-600": 12}

    def test_with_an_error_nothing_can_be_booked(self, client, staff, kettle, warehouse):
        page = self.upload(client, as_csv(["EV-KET-600", "HZ", "12", ""], ["NOPE", "HZ", "1", ""]))
        assert "Row 3" in page.text
        assert "There is no SKU “NOPE”." in page.text
        assert self.token(page) == ""

    def test_wrong_columns_are_all_named_at_the_field(self, client, staff):
        page = self.upload(client, as_csv(["a", "b"], heading=["code", "units"]))
        assert page.status_code == 400
        assert page.context["form"].errors["file"] == ["The file has no columns “SKU”, “warehouse”, “counted”."]

    def test_books_that_moved_are_shown_anew(self, client, staff, kettle, warehouse):
        has(kettle, warehouse, 15)
        page = self.upload(client, as_csv(["EV-KET-600", "HZ", "12", ""]))
        adjust(sku_id=kettle.pk, warehouse_id=warehouse.pk, quantity=-1, key="x", actor=staff, reason="gift", now=NOW)
        again = client.post(APPLY, {"token": self.token(page)})
        assert "The books of 1 row changed since the preview." in again.text
        assert "−2" in again.text
        assert "Booked 1 count." in client.post(APPLY, {"token": self.token(again)}, follow=True).text

    def test_somebody_elses_preview_is_not_applied(self, client, staff, kettle, warehouse):
        token = self.token(self.upload(client, as_csv(["EV-KET-600", "HZ", "12", ""])))
        signed_in(client, "Operator")
        assert "no longer there" in client.post(APPLY, {"token": token}, follow=True).text
        assert not StockMovement.objects.exists()

    def test_the_table_to_count_by_holds_what_is_countable(self, client, staff, kettle, cup, warehouse):
        BundleComponent.objects.create(bundle=SkuFactory(code="SET"), component=cup, units=1)
        SkuFactory(code="OLD", status="retired")
        SkuFactory(code="=cmd")
        text = client.get(TEMPLATE, {"warehouse": warehouse.pk, "format": "csv"}).getvalue().decode("utf-8-sig")
        assert list(csv.reader(io.StringIO(text))) == [
            HEADING,
            ["'=cmd", "HZ", "", ""],
            ["CUP-01", "HZ", "", ""],
            ["EV-KET-600", "HZ", "", ""],
        ]
        book = load_workbook(io.BytesIO(client.get(TEMPLATE, {"format": "xlsx"}).content))
        assert [list(row) for row in book.active.iter_rows(values_only=True)] == [HEADING]
        page = self.upload(client, text.replace("CUP-01,HZ,,", "CUP-01,HZ,7,").encode())
        assert "2 rows not counted" in page.text
        assert "Book 1 count" in page.text

    @pytest.mark.parametrize("address", [FILE, APPLY, TEMPLATE])
    def test_people_who_book_nothing_are_refused(self, client, address):
        signed_in(client, "Viewer")
        assert client.post(address).status_code == 403 if address == APPLY else client.get(address).status_code == 403
        client.force_login(UserFactory())
        assert client.post(APPLY).status_code == 403
