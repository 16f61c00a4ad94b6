"""What is wrong with a field stands below it, outlined and in red."""

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from tests.factories import UserFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SEND = "document.querySelector('#content form, #login-form').noValidate = true"


@pytest.mark.parametrize("phone", [False, True])
@pytest.mark.parametrize(
    ("view", "field", "is_signed_in"),
    [
        ("admin:login", "username", False),
        ("admin:password_change", "old_password", True),
        ("admin:catalog_supplier_add", "name", True),
    ],
)
def test_an_error_stands_below_its_field(browser_page, transactional_db, view, field, is_signed_in, phone):
    owner = UserFactory(is_superuser=True)
    page = browser_page(user=owner if is_signed_in else None, phone=phone)
    page.goto(reverse(view))
    page.evaluate(SEND)
    page.locator("#content form [type=submit]").first.click()
    entry = page.locator(f"#id_{field}")
    error = page.locator(f".form-row:has(#id_{field}) ul.errorlist li")
    expect(error).to_be_visible()
    above, below = entry.bounding_box(), error.bounding_box()
    assert above["y"] + above["height"] <= below["y"] < above["y"] + above["height"] + 40
    assert abs(above["x"] - below["x"]) < 4
    red = error.evaluate("each => getComputedStyle(each).color")
    assert entry.evaluate("each => getComputedStyle(each).borderTopColor") == red
