"""Real Chromium on the live site: pages by size, theme and language, and an eye on the console."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DESKTOP, TABLET, PHONE, SMALL_PHONE = (1366, 900), (1024, 768), (390, 844), (320, 640)

# Playwright keeps an event loop in the test's thread, which Django takes for asynchronous code.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
# What a page does may take a while on a busy machine; what comes at once is not waited for.
expect.set_options(timeout=20_000)


def overflow(page: Page) -> int:
    """By how many pixels the page, once it is there, is wider than the window."""
    page.wait_for_load_state()
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


def fits(page: Page) -> bool:
    return overflow(page) <= 0


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """How pytest-playwright starts the browser: the system's, which must be there when CI=true."""
    if CHROMIUM is None:
        reason = "There is no Chromium on this machine (Debian: apt-get install chromium)."
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    quiet = "--disable-background-networking --disable-component-update --disable-sync --disable-quic --no-first-run"
    return {"executable_path": CHROMIUM, "args": ["--no-sandbox", "--disable-gpu", *quiet.split()]}


class BrowserPages:
    """Opens pages, and remembers what the browser complained about."""

    def __init__(self, browser: Browser, base_url: str) -> None:
        self._browser = browser
        self._base_url = base_url
        self._contexts: list[Any] = []
        self.problems: list[str] = []

    def __call__(
        self,
        *,
        user: Any = None,
        size: tuple[int, int] = DESKTOP,
        phone: bool = False,
        dark: bool = False,
        language: str = "en",
    ) -> Page:
        """A fresh page, signed in as `user` when there is one."""
        width, height = PHONE if phone else size
        context = self._browser.new_context(
            base_url=self._base_url,
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            has_touch=phone,
        )
        self._contexts.append(context)
        cookies = {settings.LANGUAGE_COOKIE_NAME: language}
        if user is not None:
            client = Client()
            client.force_login(user)
            cookies[settings.SESSION_COOKIE_NAME] = client.cookies[settings.SESSION_COOKIE_NAME].value
        context.add_cookies([{"name": name, "value": value, "url": self._base_url} for name, value in cookies.items()])
        page: Page = context.new_page()
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.problems.append(f"{page.url}: {error}"))
        return page

    def _on_console(self, message: ConsoleMessage) -> None:
        # A breach of the content security policy is reported as an error too.
        if message.type == "error":
            self.problems.append(f"{message.location.get('url')}: {message.text}")

    def close(self) -> None:
        for context in self._contexts:
            context.close()


@pytest.fixture
def browser_page(browser: Browser, live_server: Any) -> Iterator[BrowserPages]:
    """A factory of pages; a complaint of the browser fails the test, unless the test takes it out of `problems`."""
    pages = BrowserPages(browser, live_server.url)
    yield pages
    pages.close()
    assert pages.problems == []
