"""Every page of the frame: it answers, obeys the content security policy, and errors are plain."""

import gzip
import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from django.urls import reverse
from django.utils import translation

from catalog.models import Listing
from tests.factories import ListingFactory, SkuFactory, SupplierFactory, UserFactory

pytestmark = pytest.mark.django_db


def addresses():
    listing = ListingFactory(sku=SkuFactory(supplier=SupplierFactory()), title="Kettle")
    objects = [listing, listing.channel, listing.sku, listing.sku.product, listing.sku.supplier, UserFactory()]
    for obj in objects:
        name = f"admin:{obj._meta.app_label}_{obj._meta.model_name}"
        yield reverse(f"{name}_changelist")
        yield reverse(f"{name}_add")
        yield reverse(f"{name}_add") + "?_popup=1"
        yield reverse(f"{name}_changelist") + "?_popup=1"
        for view in ("change", "history"):
            yield reverse(f"{name}_{view}", args=[obj.pk])
        yield reverse(f"{name}_change", args=[obj.pk]) + "?_popup=1"
        if obj not in objects[:2]:  # neither a listing nor a channel with listings is ever deleted
            yield reverse(f"{name}_delete", args=[obj.pk])
        if obj in objects[:4]:
            yield reverse(f"{name}_edit", args=[obj.pk])
    yield reverse("admin:auth_user_password_change", args=[objects[-1].pk])
    yield from (
        "/",
        "/set-up/",
        "/search/",
        "/search/?q=kettle",
        "/password_change/",
        "/catalog/auditevent/",
        "/auth/group/",
    )


# What a policy without unsafe-inline refuses: style attributes, inline scripts and styles, handlers, javascript: links.
REFUSED = re.compile(
    r"""<[^>]+\sstyle=|<style|<script(?![^>]*\ssrc=)(?![^>]*type=["']?application/json)|<[^>]+\son[a-z]+=|href=["']javascript:""",
    re.I,
)


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_pages_answer_and_hold_nothing_that_the_policy_refuses(admin_client, language):
    admin_client.cookies["django_language"] = language
    for address in addresses():
        page = admin_client.get(address, follow=False)
        assert page.status_code == 200, address
        policy = page.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert REFUSED.findall(page.content.decode()) == [], address


def test_an_invalid_form_holds_nothing_that_the_policy_refuses(admin_client):
    page = admin_client.post(reverse("admin:catalog_listing_add"), {"pack_factor": "x"})
    assert page.status_code == 200
    assert REFUSED.findall(page.content.decode()) == []


def test_the_confirmation_of_a_bulk_deletion_names_the_number(admin_client):
    suppliers = SupplierFactory.create_batch(2)
    page = admin_client.post(
        reverse("admin:catalog_supplier_changelist"),
        {"action": "delete_selected", "index": "0", "_selected_action": [supplier.pk for supplier in suppliers]},
    )
    text = page.content.decode()
    assert "Delete 2 suppliers" in text
    assert REFUSED.findall(text) == []


@pytest.mark.parametrize("address", ["/login/", "/nope/", "/logged-out-nope/"])
def test_pages_before_signing_in_obey_the_policy(client, address):
    page = client.get(address, follow=True)
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert REFUSED.findall(page.content.decode()) == []


def test_the_language_is_switched_by_the_menu_and_stays(admin_client):
    admin_client.post("/i18n/setlang/", {"language": "zh-hans", "next": "/set-up/"})
    assert '<html lang="zh-hans"' in admin_client.get("/set-up/").content.decode()


def test_an_app_has_no_page_of_its_own(admin_client):
    assert admin_client.get("/catalog/").url == "/"


def test_logging_out_ends_on_a_page_to_log_in_again(admin_client):
    text = admin_client.post("/logout/").content.decode()
    assert "You are logged out" in text
    assert 'href="/login/"' in text
    assert "Log out" not in text


def test_error_pages_are_plain(admin_client, client, settings):
    settings.DEBUG = False
    for address, status, words in (
        ("/catalog/nope/", 404, "There is no such page"),
        (reverse("admin:catalog_sku_changelist") + "?product__name__regex__x=1", 400, "That address does not work"),
    ):
        page = admin_client.get(address)
        text = page.content.decode()
        assert (page.status_code, words in text) == (status, True)
        assert REFUSED.findall(text) == []
    client.force_login(UserFactory())
    page = client.get(reverse("admin:catalog_listing_changelist"))
    assert (page.status_code, "This page is not for your role" in page.content.decode()) == (403, True)


def test_a_crash_shows_no_trace_and_no_secret(admin_client, monkeypatch, settings):
    settings.DEBUG = False

    def crash(*args, **kwargs):
        raise RuntimeError("app_secret=hunter2")

    monkeypatch.setattr("catalog.admin.listing.ListingAdmin.get_queryset", crash)
    admin_client.raise_request_exception = False
    page = admin_client.get(reverse("admin:catalog_listing_changelist"))
    text = page.content.decode()
    assert (page.status_code, "Something went wrong on our side" in text) == (500, True)
    assert "hunter2" not in text
    assert "Traceback" not in text


def test_a_form_without_its_token_says_what_to_do():
    client = Client(enforce_csrf_checks=True)
    page = client.post("/login/", {"username": "x"})
    assert page.status_code == 403
    assert "The form was too old" in page.content.decode()


def test_a_list_of_fifty_rows_stays_light(admin_client):
    channel = ListingFactory().channel
    ListingFactory.create_batch(
        60, channel=channel, live_price="268", list_price="299", stock=36, shelf_state="on_shelf"
    )
    text = admin_client.get(reverse("admin:catalog_listing_changelist")).content.decode()
    assert Listing.objects.count() == 61
    assert len(re.findall(r"<[a-z]", text)) <= 2500


def gzipped(text):
    return len(gzip.compress(text.encode()))


def own_bytes(text, kind):
    """What the page loads of our own sheets or scripts, packed."""
    names = set(re.findall(rf"evenshelf/[a-z-]+\.{kind}", text))
    return sum(gzipped(Path(str(finders.find(name))).read_text(encoding="utf-8")) for name in names)


def test_a_first_view_stays_within_its_budget(admin_client):
    ListingFactory.create_batch(50, channel=ListingFactory().channel)
    for address in ("/", reverse("admin:catalog_listing_changelist"), reverse("admin:monitoring_alert_changelist")):
        text = admin_client.get(address).text
        assert gzipped(text) <= 10_000
        assert 0 < own_bytes(text, "css") <= 10_240
        assert 0 < own_bytes(text, "js") <= 6_000


def test_what_only_some_pages_need_is_loaded_by_those_alone(admin_client):
    listing = ListingFactory()
    pages = {
        "charts.css": admin_client.get(reverse("admin:catalog_listing_change", args=[listing.pk])).text,
        "sign-in.css": Client().get("/login/").text,
    }
    for name, text in pages.items():
        assert f"evenshelf/{name}" in text
        assert f"evenshelf/{name}" not in admin_client.get(reverse("admin:catalog_listing_changelist")).text


def test_titles_of_any_script_and_length_are_text(admin_client):
    listing = ListingFactory(title="手冲咖啡壶<b>" * 20)
    with translation.override("en"):
        text = admin_client.get(reverse("admin:catalog_listing_change", args=[listing.pk])).content.decode()
    assert "手冲咖啡壶&lt;b&gt;" in text
    assert "手冲咖啡壶<b>" not in text


def test_every_list_bears_the_name_by_which_the_menu_leads_to_it(admin_client):
    menu = [item for group in admin_client.get("/set-up/").context["menu"] for item in group.items]
    others = tuple(map(reverse, ("integrations:sync_status", "plan:board", "watch:sales-history")))  # not lists
    lists = [item for item in menu if item.url.count("/") == 3 and not item.url.startswith(others)]
    assert len(lists) >= 8
    for item in lists:
        page = admin_client.get(item.url).text
        assert f"<h1>{item.label} <small>" in page
        assert f"<title>{item.label} · Evenshelf</title>" in page


def test_a_new_person_is_offered_one_thing_to_do_on_an_empty_list(admin_client):
    address = reverse("admin:catalog_supplier_changelist")
    assert admin_client.get(address).text.count("Add supplier") == 1
    assert "No suppliers match these filters" in admin_client.get(address, {"q": "nobody"}).text
    SupplierFactory()
    assert admin_client.get(address).text.count("Add supplier") == 1
