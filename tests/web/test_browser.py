"""The pages in a real browser: with a keyboard, on a narrow screen, in the dark, for a screen reader."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from console.web import make_app
from notifiers.links import Purpose

pytestmark = pytest.mark.browser


@pytest.fixture
def example(serve, settings, ledger, clock) -> str:
    return str(serve(make_app(settings(), ledger, clock, docs=True)).base_url)


@pytest.fixture
def opened(browser):
    """Open a page, and fail if it complains about anything."""
    pages: list[Page] = []
    said: list[str] = []

    def build(url: str, width: int = 1280, scheme: str = "light") -> Page:
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(url)
        pages.append(page)
        return page

    yield build
    for page in pages:
        page.close()
    assert said == []


def test_the_example_shows_cards_hears_new_ones_and_marks_them(example, opened, put, bearer, axe) -> None:
    put("a", title="Your films stall")
    page = opened(f"{example}/example#{bearer()['Authorization'].split()[1]}")
    expect(page.get_by_role("heading", name="Your films stall")).to_be_visible()
    expect(page.locator("#state")).to_have_text("Live.")
    put("b", title="<img src=x onerror=alert(1)>", minutes=1)
    expect(page.get_by_role("heading", level=2).first).to_have_text("<img src=x onerror=alert(1)>")
    expect(page.locator("#unread")).to_have_text("2")
    assert page.locator("img").count() == 0
    axe(page)
    page.set_viewport_size({"width": 320, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.get_by_role("button", name="Mark as read: Your films stall").click()
    expect(page.locator("#unread")).to_have_text("1")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_choosing_works_by_keyboard_on_a_narrow_screen(client, links, opened, axe, scheme) -> None:
    token = links.token(Purpose.PREFERENCES, "abcdefghijkl2345", "u-1")
    page = opened(f"{client.base_url}/preferences/{token}", width=320, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    axe(page)
    page.get_by_role("button", name="Stop everything").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Stopped.")
    axe(page)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("status")).to_contain_text("Undone.")


def test_stopping_mails_works(client, links, opened, axe) -> None:
    page = opened(f"{client.base_url}/unsubscribe/{links.token(Purpose.UNSUBSCRIBE, 'abcdefghijkl2345', 'u-1')}")
    axe(page)
    page.get_by_role("button", name="Stop e-mails").click()
    expect(page.get_by_role("status")).to_contain_text("no more e-mails")
    axe(page)
