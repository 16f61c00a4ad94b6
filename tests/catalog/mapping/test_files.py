"""Mappings as files: safe to open, read however they were saved, shown before they are applied, all or nothing."""

import csv
import io
import re
import zipfile
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from openpyxl import Workbook, load_workbook

from catalog.mapping import files
from catalog.models import AuditEvent, Listing
from catalog.services import map_listings
from tests.factories import NOW, ChannelFactory, ListingFactory, SkuFactory, UserFactory
from tests.staff import signed_in

pytestmark = pytest.mark.django_db

HEADING = ["channel", "platform_item_id", "platform_sku_id", "sku", "pack_factor"]
ENGLISH = ["Channel", "Platform item ID", "Platform SKU id", "sku", "Units per listing"]
CHINESE = ["渠道", "平台商品编号", "平台 SKU 编号", "SKU", "每个商品含件数"]


@pytest.fixture
def owner(client):
    user = UserFactory(is_superuser=True)
    client.force_login(user)
    return user


@pytest.fixture
def listing():
    return ListingFactory(channel__name="天猫旗舰店", platform_item_id="616000000001", platform_sku_id="9")


def csv_file(*rows, heading=HEADING, encoding="utf-8", delimiter=",") -> bytes:
    return "\r\n".join(delimiter.join(map(str, row)) for row in [heading, *rows]).encode(encoding)


def excel(*rows, heading=HEADING) -> bytes:
    book = Workbook()
    for row in [heading, *rows]:
        book.active.append(list(row))
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def shown(content: bytes, user) -> files.Preview:
    return files.preview(rows=files.read_file(content), user=user)


ROW = ["天猫旗舰店", "616000000001", "9", "CUP-01", "6"]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(csv_file(ROW), id="UTF-8"),
        pytest.param(csv_file(ROW, encoding="utf-8-sig"), id="UTF-8 with a byte order mark"),
        pytest.param(csv_file(ROW, encoding="utf-16"), id="UTF-16, as Excel's Unicode text"),
        pytest.param(csv_file(ROW, encoding="gb18030"), id="GB 18030"),
        pytest.param(csv_file(ROW, delimiter="\t"), id="tabs"),
        pytest.param(csv_file(ROW, delimiter=";"), id="semicolons"),
        pytest.param(csv_file(ROW, heading=CHINESE), id="Chinese"),
        pytest.param(csv_file(ROW, heading=ENGLISH), id="English"),
        pytest.param(csv_file(ROW, [], ["", "", "", "", ""]), id="empty lines"),
        pytest.param(excel(ROW), id="Excel with text"),
        pytest.param(excel(["天猫旗舰店", 616000000001, 9, "CUP-01", 6.0]), id="Excel with numbers"),
    ],
)
def test_a_file_is_read_however_it_was_saved(content, listing, owner):
    sku = SkuFactory(code="CUP-01")
    preview = shown(content, owner)
    assert preview.errors == []
    (change,) = preview.changes
    assert (change.listing_id, change.new_sku_id, change.new_pack_factor) == (listing.pk, sku.pk, 6)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no column"),
        (csv_file(), "no rows"),
        (csv_file(heading=["channel", "sku"]), "no column “platform item id”"),
        (csv_file(heading=["title"]), "no columns “channel”, “platform item id”, “SKU”"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "no CSV or Excel file"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "no CSV or Excel file"),
        (b"%PDF-1.7\n", "no CSV or Excel file"),
        (csv_file(heading=[*HEADING, "SKU"]), "comes twice"),
        (b"PK\x03\x04 not a workbook", "cannot be read"),
        (b"x" * 5_000_001, "larger than 5 MB"),
        (b"\xff\xfe\x00", "cannot be read"),
        (csv_file(*[ROW] * 20_001), "more than 20,000 rows"),
    ],
)
def test_what_is_no_table_of_mappings_says_why(content, words, db):
    with pytest.raises(files.Unreadable, match=words):
        files.read_file(content)


def repacked(change) -> bytes:
    """A workbook, of whose parts `change(name, content)` says what becomes of them; None: left out."""
    source, target = zipfile.ZipFile(io.BytesIO(excel(ROW))), io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in source.namelist():
            if (content := change(name, source.read(name))) is not None:
                packed.writestr(name, content)
    return target.getvalue()


def part(ending: str, new) -> bytes:
    return repacked(lambda name, content: new(content) if name.endswith(ending) else content)


def scrambled(name: str) -> bytes:
    """A workbook of which a part's packed bytes are others."""
    start = zipfile.ZipFile(io.BytesIO(WHOLE)).getinfo(name).header_offset + 30 + len(name)
    return WHOLE[:start] + bytes(each ^ 0x55 for each in WHOLE[start : start + 40]) + WHOLE[start + 40 :]


WHOLE = repacked(lambda _name, content: content)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(part("sheet1.xml", lambda old: old[: len(old) // 2]), id="half a sheet"),
        pytest.param(part("sheet1.xml", lambda _old: b""), id="an empty sheet"),
        pytest.param(part("sheet1.xml", lambda _old: None), id="a sheet that is not there"),
        pytest.param(part("xl/workbook.xml", lambda _old: b"junk"), id="no workbook"),
        pytest.param(part("styles.xml", lambda _old: b"<styleSheet"), id="half the styles"),
        pytest.param(
            part(
                "xl/workbook.xml",
                lambda old: old.replace(b"<sheets>", b"<sheets><!--").replace(b"</sheets>", b"--></sheets>"),
            ),
            id="no sheets",
        ),
        pytest.param(scrambled("xl/worksheets/sheet1.xml"), id="other bytes"),
        pytest.param(WHOLE[: len(WHOLE) // 2], id="half a file"),
    ],
)
def test_a_damaged_workbook_is_an_error_of_the_form(client, owner, listing, content):
    page = upload(client, content)
    assert page.status_code == 400
    assert "The file cannot be read." in page.text or "The file has no rows." in page.text


@pytest.mark.parametrize("place", range(5))
def test_a_character_that_is_none_is_an_error_of_its_row(client, owner, listing, place):
    SkuFactory(code="CUP-01")
    row = [f"{cell[:1]}\x00{cell[1:]}" if number == place else cell for number, cell in enumerate(ROW)]
    page = upload(client, csv_file(row))
    assert page.status_code == 200
    assert "Row 2" in page.text
    assert page.context["token"] == ""


def test_a_code_in_other_capitals_gets_a_hint(listing, owner):
    SkuFactory(code="PAN-01-4")
    (error,) = shown(csv_file([*ROW[:3], "pan-01-4", ""]), owner).errors
    assert error.text == "There is no SKU “pan-01-4”. Did you mean PAN-01-4?"
    stranger = UserFactory()
    stranger.channels.add(listing.channel)
    ListingFactory(sku=SkuFactory(code="THEIRS"))
    assert "mean" not in shown(csv_file([*ROW[:3], "theirs", ""]), stranger).errors[0].text


def test_a_preview_names_the_skus(client, owner, listing):
    Listing.objects.update(sku=SkuFactory(code="OLD", product__name="保温杯", name="白色"))
    SkuFactory(code="CUP-01", product__name="手冲壶")
    page = upload(client, csv_file(ROW)).text
    assert "保温杯 白色" in page
    assert "手冲壶" in page


def test_the_form_says_how_large_a_file_may_be(client, owner):
    assert "at most 5 MB and 20,000 rows" in client.get("/catalog/proposal/mapping/").text


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (["Nowhere", "616000000001", "9", "CUP-01", ""], "There is no channel “Nowhere”."),
        (["天猫旗舰店", "5", "", "CUP-01", ""], "no listing 5"),
        (["天猫旗舰店", "616000000001", "", "CUP-01", ""], "no listing 616000000001"),
        (["天猫旗舰店", "616000000001", "9", "CUP-99", ""], "There is no SKU “CUP-99”."),
        (["天猫旗舰店", "616000000001", "9", "CUP-01", "0"], "whole number from 1"),
        (["天猫旗舰店", "616000000001", "9", "CUP-01", "1.5"], "whole number from 1"),
        (["天猫旗舰店", "6.16E+11", "9", "CUP-01", ""], "shortened an id"),
        (["天猫旗舰店", "616000000001", "9", "6.9E+12", ""], "shortened an id or a SKU"),
    ],
)
def test_a_row_that_cannot_be_applied_says_why(row, words, listing, owner):
    SkuFactory(code="CUP-01")
    (error,) = shown(csv_file(row), owner).errors
    assert words in error.text
    assert error.number == 2


def test_a_number_of_more_digits_than_a_spreadsheet_keeps_is_not_believed(listing, owner):
    preview = shown(excel(["天猫旗舰店", 1234567890123456789, "", "CUP-01", ""]), owner)
    assert "shortened an id" in preview.errors[0].text


def test_a_sku_of_more_digits_than_a_spreadsheet_keeps_is_not_believed(listing, owner):
    preview = shown(excel(["天猫旗舰店", "616000000001", "9", 6901234567890120, ""]), owner)
    assert "shortened an id or a SKU" in preview.errors[0].text


def test_two_rows_about_one_listing_are_an_error(listing, owner):
    SkuFactory(code="CUP-01")
    preview = shown(csv_file(ROW, ROW), owner)
    assert [error.number for error in preview.errors] == [3]


def test_what_one_does_not_see_is_not_there(listing):
    SkuFactory(code="CUP-01")
    ListingFactory(sku=SkuFactory(code="THEIRS"))
    stranger = UserFactory()
    assert "There is no channel" in shown(csv_file(ROW), stranger).errors[0].text
    stranger.channels.add(listing.channel)
    assert shown(csv_file(ROW), stranger).errors == []
    row = [*ROW[:3], "THEIRS", ""]
    assert "There is no SKU" in shown(csv_file(row), stranger).errors[0].text


def test_an_empty_sku_takes_the_mapping_away_and_empty_units_stay(listing, owner):
    Listing.objects.update(sku=SkuFactory(code="OLD"), pack_factor=3)
    (change,) = shown(csv_file([*ROW[:3], "", ""]), owner).changes
    assert (change.code, change.new_code, change.new_pack_factor) == ("OLD", "", 3)


def test_an_export_brought_back_changes_nothing(owner):
    codes = (
        "=1+1",
        "+86",
        "-5",
        "@x",
        "'quoted",
        "手冲壶,大",
        "A/B",
        "a;=1",
        'a;"=1',
        "a; '=1",
        "＝1",
        "a\n=1",
        "''=1",
    )
    for code in codes:
        ListingFactory(sku=SkuFactory(code=code), title=code)
    ListingFactory()
    rows = list(files.export_rows(Listing.objects.all()))
    # Whatever a spreadsheet takes for the end of a cell, none begins a formula.
    ends = re.compile(r"[;|\t\r\n]")
    pieces = [piece.strip(' "') for row in rows for cell in row for piece in ends.split(cell)]
    assert not [piece for piece in pieces if piece.startswith(("=", "+", "-", "@", "＝"))]
    book = load_workbook(io.BytesIO(files.excel_file(rows)))
    assert {cell.data_type for row in book.active.iter_rows() for cell in row} <= {"s", "inlineStr", "n"}
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    for content in (text.getvalue().encode(), files.excel_file(rows)):
        preview = shown(content, owner)
        assert (preview.changes, preview.errors, preview.unchanged) == ([], [], len(codes) + 1)


def test_many_rows_cost_few_queries(owner, django_assert_max_num_queries):
    channel = ChannelFactory(name="天猫旗舰店")
    SkuFactory(code="CUP-01")
    listings = [ListingFactory.build(channel=channel, platform_item_id=str(5000 + number)) for number in range(400)]
    Listing.objects.bulk_create(listings)
    rows = [["天猫旗舰店", 5000 + number, "", "CUP-01", ""] for number in range(400)]
    with django_assert_max_num_queries(5):
        assert len(shown(csv_file(*rows), owner).changes) == 400


# --- Pages ------------------------------------------------------------------------------------------------------------


def upload(client, content: bytes):
    return client.post("/catalog/proposal/mapping/", {"file": SimpleUploadedFile("m.csv", content)})


def test_a_preview_is_applied_as_a_whole_and_audited(client, owner, listing):
    sku = SkuFactory(code="CUP-01")
    page = upload(client, csv_file(ROW))
    assert "Apply 1 change" in page.text
    assert Listing.objects.get().sku is None
    done = client.post("/catalog/proposal/mapping/apply/", {"token": page.context["token"]}, follow=True)
    assert "Changed 1 mapping." in done.text
    stored = Listing.objects.get()
    assert (stored.sku, stored.pack_factor) == (sku, 6)
    assert stored.mapped_at is not None
    event = AuditEvent.objects.get(object_type="catalog.listing")
    assert event.changes == {"sku": [None, "CUP-01"], "pack_factor": [1, 6]}
    assert AuditEvent.objects.filter(action="imported").exists()
    again = client.post("/catalog/proposal/mapping/apply/", {"token": page.context["token"]}, follow=True)
    assert "already, and is not applied again." in again.text
    assert '<a href="/catalog/listing/">See what came of it</a>' in again.text
    assert "no longer there" not in again.text


def test_a_file_with_an_error_cannot_be_applied(client, owner, listing):
    SkuFactory(code="CUP-01")
    page = upload(client, csv_file(ROW, ["Nowhere", "1", "", "CUP-01", ""]))
    assert page.context["token"] == ""
    assert "Row 3" in page.text
    assert "Apply" not in page.text


def test_nothing_is_written_when_a_listing_moved_since_the_preview(client, owner, listing):
    SkuFactory(code="CUP-01")
    other = ListingFactory(channel=listing.channel, platform_item_id="616000000002")
    page = upload(client, csv_file(ROW, ["天猫旗舰店", "616000000002", "", "CUP-01", ""]))
    Listing.objects.filter(pk=other.pk).update(pack_factor=2)
    done = client.post("/catalog/proposal/mapping/apply/", {"token": page.context["token"]}, follow=True)
    assert "1 listing was changed since the preview. Nothing was written" in done.text
    assert not Listing.objects.filter(sku__isnull=False).exists()


def test_a_preview_is_for_the_person_who_saw_it(client, owner, listing):
    SkuFactory(code="CUP-01")
    token = upload(client, csv_file(ROW)).context["token"]
    client.force_login(UserFactory(is_superuser=True))
    done = client.post("/catalog/proposal/mapping/apply/", {"token": token}, follow=True)
    assert "The preview is no longer there." in done.text
    assert Listing.objects.get().sku is None


def test_an_unreadable_file_is_an_error_of_the_form(client, owner):
    page = upload(client, b"a,b\r\n1,2")
    assert page.status_code == 400
    assert "The file has no column" in page.text


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_the_export_holds_what_the_person_sees_and_is_audited(client, listing, form):
    from django.contrib.auth.models import Group

    ListingFactory(channel__name="Theirs")
    user = UserFactory()
    user.groups.add(Group.objects.get(name="Viewer"))
    user.channels.add(listing.channel)
    client.force_login(user)
    answer = client.get(f"/catalog/proposal/mapping/export/?format={form}")
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content
    rows = files.read_file(content)
    assert [(row.channel, row.item_id, row.sku_id) for row in rows] == [("天猫旗舰店", "616000000001", "9")]
    assert AuditEvent.objects.get().action == "exported"
    assert upload(client, csv_file(ROW)).status_code == 403
    assert client.post("/catalog/proposal/mapping/apply/").status_code == 403


def test_applying_waits_for_nobody_who_is_not_there(owner, listing):
    change = files.Change(2, listing.pk, "", "", "", None, "", 1, 999_999, "GONE", 1)
    with pytest.raises(files.Moved):
        files.apply(changes=[change], actor=owner, now=NOW)


# --- Undone -----------------------------------------------------------------------------------------------------------


def brought_back(client, *rows) -> AuditEvent:
    page = upload(client, csv_file(*rows))
    done = client.post("/catalog/proposal/mapping/apply/", {"token": page.context["token"]}, follow=True)
    assert "Undo it below." in done.text
    return AuditEvent.objects.get(action="imported")


def undo(client, event):
    return client.post(f"/catalog/proposal/mapping/undo/{event.pk}/", follow=True)


def test_a_file_is_undone_and_what_changed_since_is_left_alone(client, owner, listing):
    old, _new = SkuFactory(code="OLD"), SkuFactory(code="CUP-01")
    Listing.objects.update(sku=old, pack_factor=3)
    others = [ListingFactory(channel=listing.channel, platform_item_id=f"61600000000{n}") for n in (2, 3)]
    rows = [["天猫旗舰店", each.platform_item_id, "", "CUP-01", ""] for each in others]
    event = brought_back(client, ROW, *rows)
    map_listings(skus={}, pack_factors={others[0].pk: 2}, actor=owner, now=timezone.now())
    asked = client.get(f"/catalog/proposal/mapping/undo/{event.pk}/")
    assert "Undo 3 mappings" in asked.text
    done = undo(client, event).text
    assert "2 mappings are as they were before." in done
    assert "1 left alone: its listing was changed since." in done
    assert "Brought back lately" not in done
    stored = Listing.objects.in_bulk()
    assert (stored[listing.pk].sku, stored[listing.pk].pack_factor) == (old, 3)
    assert (str(stored[others[0].pk].sku), stored[others[0].pk].pack_factor) == ("CUP-01", 2)
    assert stored[others[1].pk].sku is None
    assert "Nothing was changed" in undo(client, event).text
    undone = AuditEvent.objects.filter(action="mapping import undone")
    assert undone.get(object_id=str(listing.pk)).changes == {"sku": ["CUP-01", "OLD"], "pack_factor": [6, 3]}


def test_a_file_is_undone_within_a_week_and_by_those_who_see_its_deed(client, owner, listing):
    SkuFactory(code="CUP-01")
    event = brought_back(client, ROW)
    assert files.recent_imports(owner, timezone.now() + timedelta(days=7, seconds=1)) == []
    signed_in(client, "Operator", listing.channel)
    assert "Nothing was changed" in undo(client, event).text
    signed_in(client, "Viewer", listing.channel)
    assert undo(client, event).status_code == 403
    assert [*Listing.objects.values_list("sku__code", flat=True)] == ["CUP-01"]
