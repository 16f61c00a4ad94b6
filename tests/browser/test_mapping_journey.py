"""A person's way from a shop to a mapped catalog: proposals, sales, a file, the check of what was mapped."""

from collections import Counter
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import FilePayload, Page, expect

from catalog.mapping import review
from catalog.models import Dismissal, Listing, Proposal
from integrations.views import reading
from tests.browser.conftest import fits
from tests.factories import CredentialFactory, ListingFactory, ProposalFactory, SkuFactory, UserFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def shop(simulator):
    """Item id, variant id and merchant code of the rows whose merchant code is theirs alone, since an hour ago."""
    simulator.reset(now=timezone.now() - timedelta(hours=1), speed=0)
    rows = simulator.taobao.items(shop=simulator.taobao.shop()["shop"])
    times = Counter(row["outer_id"] for row in rows)
    return [
        {"item_id": str(row["num_iid"]), "sku_id": str(row["sku_id"] or ""), "code": row["outer_id"]}
        for row in rows
        if row["outer_id"] and times[row["outer_id"]] == 1
    ]


@pytest.fixture
def channel(live_server, simulator, shop):
    account = simulator.taobao.account
    return CredentialFactory(
        app_key=account["app_key"],
        app_secret=account["app_secret"],
        access_token=simulator.taobao.shop()["session"],
        base_url=simulator.base_url,
        channel__name="天猫旗舰店",
    ).channel


def status(page: Page):
    return page.get_by_role("status")


def rows_of(page: Page):
    return page.locator("#result_list tbody tr")


def search(page: Page, words: str, *, tab: str = "", model: str = "proposal") -> None:
    page.goto(f"/catalog/{model}/?q={words}{f'&tab={tab}' if tab else ''}")


def upload(page: Page, *lines: str) -> None:
    """Show what a file of mappings would change."""
    text = "\n".join(["channel,platform item id,platform SKU id,SKU,units per listing", *lines])
    page.goto("/catalog/proposal/mapping/")
    file: FilePayload = {"name": "mapping.csv", "mimeType": "text/csv", "buffer": text.encode()}
    page.get_by_label("File").set_input_files(files=[file])
    page.get_by_role("button", name="Show what changes").click()


def test_a_shop_is_found_decided_about_mapped_by_file_and_checked(browser_page, simulator, shop, channel, monkeypatch):
    monkeypatch.setattr(reading, "DISCOVER_SECONDS", 60)  # there is no worker here that would read the rest
    alone, *several, contested, unwanted, bought = shop[:6]
    for row in (alone, *several, contested):
        SkuFactory(code=row["code"])
    elsewhere = SkuFactory(code="EV-ELSEWHERE")
    ListingFactory(outer_id=contested["code"], sku=elsewhere)
    for _ in range(3):  # of which a buyer now and then never pays
        simulator.taobao.order(bought["item_id"], bought["sku_id"], quantity=4)
    simulator.step(seconds=1_800)
    page = browser_page(user=UserFactory(is_superuser=True, username="li"))

    # What the shop has.
    page.goto("/catalog/proposal/")
    page.get_by_text("Readings of the shops").click()
    page.get_by_role("button", name="Find listings in the shop").click()
    expect(status(page)).to_contain_text("to decide about.")
    assert fits(page)

    # One is accepted on its page, several together, one is refused.
    search(page, alone["code"])
    rows_of(page).get_by_role("link").first.click()
    page.get_by_role("button", name=f"Map to {alone['code']}").click()
    expect(status(page)).to_contain_text("Accepted 1 proposal. 1 listing is new.")
    assert fits(page)
    page.goto("/catalog/proposal/?tab=clear")
    expect(rows_of(page)).to_have_count(len(several))
    for box in page.locator(".action-select").all():
        box.check()
    page.get_by_role("button", name="Accept").click()
    expect(status(page)).to_contain_text(f"Accepted {len(several)} proposals. {len(several)} listings are new.")
    search(page, unwanted["code"])
    page.locator(".action-select").check()
    page.get_by_role("button", name="Reject").click()
    expect(status(page)).to_contain_text("Rejected 1 proposal.")

    # Two SKUs fit: a person says which.
    page.goto("/catalog/proposal/?tab=conflicts")
    rows_of(page).get_by_role("link", name=contested["item_id"]).click()
    expect(page.locator(".problems").first).to_contain_text(f"{contested['code']}, EV-ELSEWHERE")
    page.get_by_role("button", name="Map to EV-ELSEWHERE").click()
    expect(status(page)).to_contain_text("Accepted 1 proposal.")
    expect(page.locator(".facts")).to_contain_text("EV-ELSEWHERE")

    # What sells comes first, whether it is a listing here or not.
    page.goto("/catalog/proposal/")
    page.get_by_text("Readings of the shops").click()
    page.get_by_role("button", name="Read sales").click()
    expect(status(page)).to_contain_text("orders read.")
    sold = Proposal.objects.open().select_related("sales").order_by("-sales__units", "-pk")[0]
    assert (sold.sales.units or 0) >= 4
    expect(rows_of(page).first).to_contain_text(sold.platform_id)
    expect(rows_of(page).first.locator(".field-sales")).to_contain_text(str(sold.sales.units))
    page.locator(".action-select").first.check()
    page.get_by_role("button", name="Add without a SKU").click()
    expect(status(page)).to_contain_text("Added 1 listing without a SKU.")
    page.goto("/catalog/unmappedlisting/")
    expect(rows_of(page)).to_have_count(1)
    expect(rows_of(page).locator(".field-sales")).to_contain_text("not read")
    page.get_by_text("Readings of the shops").click()
    page.get_by_role("button", name="Read sales").click()
    expect(rows_of(page).locator(".field-sales")).to_contain_text(str(sold.sales.units))
    assert fits(page)

    # A file maps it, once its row has no error.
    place = f"{channel.name},{sold.platform_item_id},{sold.platform_sku_id}"
    upload(page, f"{place},NO-SUCH-SKU,1")
    expect(page.locator(".problems")).to_contain_text("Row 2")
    expect(page.get_by_role("button", name="Apply")).to_have_count(0)
    upload(page, f"{place},{alone['code']},1")
    expect(page.locator("table.data tbody tr")).to_have_count(1)
    assert fits(page)
    page.get_by_role("button", name="Apply 1 change").click()
    expect(status(page)).to_contain_text("Changed 1 mapping.")
    assert Listing.objects.filter(proposals=sold, sku__code=alone["code"]).exists()

    # The check finds the SKU twice on the channel, and by the merchant code which of the two is wrong; that is mended,
    # taken back, and said to be fine.
    SkuFactory(code=sold.outer_id)
    page.goto("/watch/mapping/")
    found = page.locator(".problem", has_text="sells as many units of the same SKU")
    expect(found).to_have_count(1)
    assert fits(page)
    found.get_by_role("button", name="Take the SKU away").click()
    expect(status(page)).to_contain_text("is not mapped any more.")
    expect(found).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(status(page)).to_contain_text("is as it was before.")
    found.get_by_role("link", name="This is fine…").click()
    assert fits(page)
    page.get_by_label("Why it is fine").fill("one of each colour")
    page.get_by_role("button", name="This is fine").click()
    expect(status(page)).to_contain_text("is fine, and comes back here when the facts change.")
    expect(found).to_have_count(0)
    page.get_by_role("link", name="Dismissed").click()
    expect(found).to_contain_text("one of each colour · li")
    assert fits(page)
    page.get_by_role("button", name="Undo").click()
    expect(status(page)).to_contain_text("is to be looked at again.")
    page.get_by_role("link", name="Open").click()
    expect(found).to_have_count(1)

    assert not Dismissal.objects.exists()
    decided = Proposal.objects.filter(decided_at__isnull=False).values_list("outer_id", "status")
    mapped = [row["code"] for row in (alone, *several, contested)]
    assert dict(decided) == dict.fromkeys([*mapped, sold.outer_id], "accepted") | {unwanted["code"]: "rejected"}


def test_on_a_phone_every_page_of_it_fits_and_its_deeds_are_reached(browser_page, channel):
    first, second = SkuFactory(code="EV-FIRST"), SkuFactory(code="EV-SECOND")
    for sku in (first, second):
        ProposalFactory(channel=channel, outer_id=sku.code, title="手冲咖啡壶" * 24)
    ProposalFactory(channel=channel, outer_id=first.code, barcode="6901234567892")
    SkuFactory(barcode="6901234567892")
    review(list(Proposal.objects.all()))
    ListingFactory(channel=channel, title="手冲咖啡壶" * 24)
    ListingFactory(channel=channel, sku=SkuFactory(code="TISSUE"), title="抽纸 6包装")
    page = browser_page(user=UserFactory(is_superuser=True, username="li"), phone=True)

    page.goto("/catalog/proposal/")
    page.get_by_text("Readings of the shops").click()
    expect(page.get_by_role("button", name="Find listings in the shop")).to_be_visible()
    assert fits(page)
    page.goto("/catalog/proposal/?tab=conflicts")
    rows_of(page).get_by_role("link").first.click()
    expect(page.locator(".problems").first).to_be_visible()
    assert fits(page)
    page.goto("/catalog/proposal/?tab=clear")
    for box in page.locator(".action-select").all():
        box.check()
    page.get_by_role("button", name="Accept").click()
    expect(status(page)).to_contain_text("Accepted 2 proposals. 2 listings are new.")
    page.goto("/catalog/unmappedlisting/")
    expect(rows_of(page)).to_have_count(1)
    assert fits(page)

    listing = Listing.objects.get(sku=None)
    upload(page, f"{channel.name},{listing.platform_item_id},{listing.platform_sku_id},EV-FIRST,1")
    expect(page.locator("table.data tbody tr")).to_have_count(1)
    assert fits(page)
    page.get_by_role("button", name="Apply 1 change").click()
    expect(status(page)).to_contain_text("Changed 1 mapping.")
    assert fits(page)

    page.goto("/watch/mapping/")
    found = page.locator(".problem", has_text="The title tells 6 units, the mapping 1.")
    expect(found).to_have_count(1)
    assert fits(page)
    found.get_by_role("link", name="This is fine…").click()
    page.get_by_label("Why it is fine").fill("one of each colour")
    assert fits(page)
    page.get_by_role("button", name="This is fine").click()
    expect(found).to_have_count(0)
    page.get_by_role("link", name="Dismissed").click()
    expect(found).to_contain_text("one of each colour · li")
    assert fits(page)
