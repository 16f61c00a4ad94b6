"""Sales from before the ledger: what is wrong is told by row, nothing is half stored, and the last file counts."""

import csv
import io
import re
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from openpyxl import Workbook

from catalog.mapping.files import Unreadable
from catalog.models import AuditEvent, BundleComponent
from catalog.stock.counts import count
from monitoring.models import DemandHistory, ImportedSale, SalesImport
from monitoring.services.planning import sales_history
from monitoring.services.planning.sales_history import apply, preview, read_sales, remove
from tests.factories import ChannelFactory, ListingFactory, SkuFactory, WarehouseFactory
from tests.staff import member, signed_in

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
PAGE, APPLY, TEMPLATE = (f"/watch/sales-history/{name}" for name in ("", "apply/", "template/"))
HEADING = ["day", "SKU", "units sold", "warehouse"]


@pytest.fixture
def kettle():
    return SkuFactory(code="EV-KET-600", barcode="6901234567892")


@pytest.fixture
def warehouse():
    return WarehouseFactory(name="Hangzhou", code="HZ")


@pytest.fixture
def manager():
    return member("Manager")


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


def looked_at(user, *rows, **options):
    return preview(rows=read_sales(as_csv(*rows, **options)), user=user, now=NOW)


def stored(user, *rows, name="sales.csv", now=NOW):
    shown = looked_at(user, *rows)
    assert shown.errors == []
    return apply(sales=shown.sales, name=name, actor=user, now=now)


def sales():
    rows = ImportedSale.objects.order_by("day", "sku__code", "warehouse__code")
    return [(str(day), code, units) for day, code, units in rows.values_list("day", "sku__code", "units")]


def demand():
    return {
        row.sku.code: np.frombuffer(row.units, "<i4").tolist() for row in DemandHistory.objects.select_related("sku")
    }


def test_a_file_is_looked_at_and_stored_and_becomes_demand(manager, kettle, warehouse):
    rows = [["2026-11-02", "EV-KET-600", "3", "HZ"], ["2026-11-04", "EV-KET-600", "5", "hangzhou"]]
    shown = looked_at(manager, *rows)
    [place] = shown.places
    assert (place.code, place.warehouse, place.days, place.units) == ("EV-KET-600", "Hangzhou", 2, 8)
    assert (place.first, place.last) == (date(2026, 11, 2), date(2026, 11, 4))
    assert sales() == []
    apply(sales=shown.sales, name="sales.csv", actor=manager, now=NOW)
    assert sales() == [("2026-11-02", "EV-KET-600", 3), ("2026-11-04", "EV-KET-600", 5)]
    assert demand() == {"EV-KET-600": [3, 0, 5]}
    assert AuditEvent.objects.get(action="sales imported").changes == {"sales": [None, 2]}


@pytest.mark.parametrize("write", [as_csv, as_excel])
def test_chinese_headings_barcodes_and_a_missing_warehouse_are_understood(manager, kettle, warehouse, write):
    WarehouseFactory(name="Yiwu", code="YW", position=2)
    content = write(["2026/11/2", "6901234567892", 3], heading=["日期", "商品编码", "销量"])
    shown = preview(rows=read_sales(content), user=manager, now=NOW)
    assert shown.errors == []
    assert shown.sales == [(kettle.pk, warehouse.pk, date(2026, 11, 2).toordinal(), 3)]


@pytest.mark.parametrize(
    "day", ["2026-11-02", "2026/11/2", "2026.11.02", "2026年11月2日", "20261102", "2026-11-02 00:00:00"]
)
def test_days_are_read_as_people_write_them(manager, kettle, warehouse, day):
    assert [sale[2] for sale in looked_at(manager, [day, "EV-KET-600", "3", ""]).sales] == [
        date(2026, 11, 2).toordinal()
    ]


def test_days_of_a_spreadsheet_are_read(manager, kettle, warehouse):
    content = as_excel([datetime(2026, 11, 2), "EV-KET-600", 3.0, "HZ"])  # noqa: DTZ001 - as a cell has it
    shown = preview(rows=read_sales(content), user=manager, now=NOW)
    assert [sale[2:] for sale in shown.sales] == [(date(2026, 11, 2).toordinal(), 3)]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (["2026-11-02", "EV-KET-600", "-3", ""], "“-3” is no number of units sold: enter a whole one from 0 to "),
        (["2026-11-02", "EV-KET-600", "1.5", ""], "“1.5” is no number of units sold"),
        (["2026-11-02", "EV-KET-600", "", ""], "“” is no number of units sold"),
        (["2026-11-02", "EV-KET-600", "1000001", ""], "“1000001” is no number of units sold"),
        (["2026-11-02", "EV-KET-600", "٣", ""], "“٣” is no number of units sold"),
        (["2026-11-21", "EV-KET-600", "3", ""], "2026-11-21 is not over yet."),
        (["2027-01-01", "EV-KET-600", "3", ""], "2027-01-01 is not over yet."),
        (["2019-01-01", "EV-KET-600", "3", ""], "2019-01-01 is more than 5 years ago."),
        (["02/11/2026", "EV-KET-600", "3", ""], "“02/11/2026” is no day: write 2026-01-31."),
        (["2026-11-31", "EV-KET-600", "3", ""], "“2026-11-31” is no day"),
        (["2026-11-02 14:05", "EV-KET-600", "3", ""], "“2026-11-02 14:05” is no day"),
        (["", "EV-KET-600", "3", ""], "“” is no day"),
        (["2026-11-02", "NOPE", "3", ""], "There is no SKU “NOPE”."),
        (["2026-11-02", "ev-ket-600", "3", ""], "There is no SKU “ev-ket-600”. Did you mean EV-KET-600?"),
        (["2026-11-02", "SET", "3", ""], "SET is a bundle. Give the sales of the SKUs it consists of."),
        (["2026-11-02", "TWICE", "3", ""], "Several SKUs have the barcode “TWICE”."),
        (["2026-11-02", "EV-KET-600", "3", "Mars"], "There is no warehouse “Mars”."),
        (["2026-11-02", "1.23E+12", "3", ""], "The spreadsheet shortened an id or a SKU."),
        (["2026-11-01", "EV-KET-600", "4", "HZ"], "Row 2 is about the same day of the same SKU and warehouse."),
    ],
)
def test_a_row_that_cannot_be_stored_says_why(manager, kettle, warehouse, row, sentence):
    bundle = SkuFactory(code="SET")
    BundleComponent.objects.create(bundle=bundle, component=kettle, units=2)
    for code in ("A", "B"):
        SkuFactory(code=code, barcode="TWICE")
    shown = looked_at(manager, ["2026-11-01", "EV-KET-600", "1", ""], row)
    [error] = shown.errors
    assert error.number == 3
    assert sentence in error.text


def test_days_that_the_ledger_knows_are_left_out_and_told(manager, kettle, warehouse):
    count(sku_id=kettle.pk, warehouse_id=warehouse.pk, counted=9, key="c", actor=None, now=NOW - timedelta(days=10))
    other = WarehouseFactory(name="Yiwu", code="YW", position=2)
    rows = [[f"2026-11-{day}", "EV-KET-600", "3", place] for day in (10, 11, 12) for place in ("HZ", "YW")]
    shown = looked_at(manager, *rows)
    assert (shown.in_ledger, shown.errors) == (2, [])
    assert {sale[2] for sale in shown.sales if sale[1] == warehouse.pk} == {date(2026, 11, 10).toordinal()}
    assert len([sale for sale in shown.sales if sale[1] == other.pk]) == 3


@pytest.mark.parametrize(("last", "gaps"), [("2026-06-29", 0), ("2026-06-30", 1)])
def test_a_gap_of_weeks_is_told_before_it_counts_as_no_sales(manager, kettle, warehouse, last, gaps):
    rows = [[day, "EV-KET-600", "3", "HZ"] for day in ("2026-06-01", last)]
    found = looked_at(manager, *rows).gaps
    assert len(found) == gaps
    if found:
        assert (found[0].warehouse, found[0].first, found[0].last) == ("Hangzhou", date(2026, 6, 2), date(2026, 6, 29))


def test_the_last_file_counts_and_what_is_known_is_not_stored_again(manager, kettle, warehouse):
    stored(manager, ["2026-11-01", "EV-KET-600", "1", ""], ["2026-11-02", "EV-KET-600", "2", ""], name="first")
    shown = looked_at(manager, ["2026-11-01", "EV-KET-600", "1", ""], ["2026-11-02", "EV-KET-600", "7", ""])
    assert (shown.unchanged, len(shown.sales), shown.places[0].replaced) == (1, 1, 1)
    apply(sales=shown.sales, name="second", actor=manager, now=NOW)
    assert sales() == [("2026-11-01", "EV-KET-600", 1), ("2026-11-02", "EV-KET-600", 7)]
    assert demand() == {"EV-KET-600": [1, 7]}
    stored(manager, ["2026-11-01", "EV-KET-600", "4", ""], name="third")
    assert {file.name for file in SalesImport.objects.all()} == {"second", "third"}, "nothing of the first one counts"


def test_a_file_that_is_removed_is_forgotten_in_the_demand(manager, kettle, warehouse):
    SkuFactory(code="CUP-01")
    first = stored(manager, ["2026-11-01", "EV-KET-600", "1", ""], ["2026-11-01", "CUP-01", "5", ""])
    stored(manager, ["2026-11-03", "EV-KET-600", "2", ""])
    assert remove(brought=first, actor=manager, now=NOW) == 2
    assert sales() == [("2026-11-03", "EV-KET-600", 2)]
    assert demand() == {"EV-KET-600": [2]}
    assert remove(brought=first, actor=manager, now=NOW) == 0


def test_a_person_of_one_channel_cannot_store_sales_of_foreign_skus(kettle, warehouse):
    ListingFactory(sku=kettle, channel=ChannelFactory())
    buyer = member("Buyer")
    assert "There is no SKU “EV-KET-600”." in looked_at(buyer, ["2026-11-01", "EV-KET-600", "1", ""]).errors[0].text


def test_a_longer_file_is_refused_with_its_limit(monkeypatch):
    monkeypatch.setattr(sales_history, "MOST_ROWS", 2)
    rows = [[f"2026-11-0{day}", "A", "1", ""] for day in (1, 2, 3)]
    with pytest.raises(Unreadable, match=re.escape("The file has more than 2 rows. Split it.")):
        read_sales(as_csv(*rows))


def test_the_queries_do_not_grow_with_the_rows(manager, warehouse, django_assert_max_num_queries):
    codes = [SkuFactory(code=f"S{number}").code for number in range(5)]
    rows = read_sales(as_csv(*([f"2026-10-{day:02}", code, "1", ""] for day in range(1, 29) for code in codes)))
    with django_assert_max_num_queries(8):
        shown = preview(rows=rows, user=manager, now=NOW)
    assert len(shown.sales) == 140


def test_the_page_shows_stores_lists_and_removes(client, kettle, warehouse):
    signed_in(client, "Manager")
    assert "Nothing is stored yet" in client.get(PAGE).text
    assert "2026-01-31,EV-KET-600,12,HZ" in client.get(TEMPLATE).getvalue().decode()
    bad = as_csv(["2026-11-01", "EV-KET-600", "-1", ""])
    page = client.post(PAGE, {"file": SimpleUploadedFile("sales.csv", bad)}).text
    assert "Row 2" in page
    assert 'name="token"' not in page
    first, last = ((timezone.now() - timedelta(days=days)).date().isoformat() for days in (40, 37))
    content = as_csv([first, "EV-KET-600", "1", ""], [last, "EV-KET-600", "6", ""])
    page = client.post(PAGE, {"file": SimpleUploadedFile("sales.csv", content)}).text
    assert 'value="Store 2 rows"' in page
    [token] = re.findall(r'name="token" value="([^"]+)"', page)
    answer = client.post(APPLY, {"token": token}, follow=True).text
    assert "Stored the sales of 2 days of SKUs. The next plan counts with them." in answer
    assert first in answer
    assert last in answer
    assert "already" in client.post(APPLY, {"token": token}, follow=True).text
    file = SalesImport.objects.get()
    assert "2 rows" in client.get(f"{PAGE}{file.pk}/remove/").text
    assert "Removed the sales of 2 days" in client.post(f"{PAGE}{file.pk}/remove/", follow=True).text
    assert "removed already" in client.post(f"{PAGE}{file.pk}/remove/", follow=True).text
    assert sales() == []


def test_who_may_not_buy_does_not_see_the_page(client):
    signed_in(client, "Viewer")
    assert [client.get(PAGE).status_code, client.post(APPLY).status_code] == [403, 403]
    assert "Sales history" not in client.get("/").text
