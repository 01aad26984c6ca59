"""The pages behind a notice's links in a real browser: narrow, dark, enlarged, from right to left, read aloud."""

from __future__ import annotations

import os
import shutil

import pytest
from playwright.sync_api import expect

from config.settings import PathSettings, Settings
from console.web import make_app
from notifiers.links import Purpose
from tests.browser import lines
from tests.web.conftest import PUBLIC, SECRET

pytestmark = pytest.mark.browser

ARABIC = """msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\\n"
"Plural-Forms: nplurals=1; plural=0;\\n"

msgid "Did this help?"
msgstr "هل كان هذا مفيدًا؟"
"""
WEB = {"public_url": PUBLIC, "link_secret": SECRET, "token_secret": SECRET, "ask_nps": True}
PAGES = (Purpose.GENUINE, Purpose.FEEDBACK, Purpose.CASE)


@pytest.fixture
def address(serve, ledger, clock, tell, know, links, root, tmp_path):
    """Serve the pages of a household's trouble, and return one's address."""
    templates = tmp_path / "templates"
    for folder in ("pages", "notices"):
        shutil.copytree(root / "templates" / folder, templates / folder)
    (templates / "locales" / "ar").mkdir(parents=True)
    (templates / "locales" / "ar" / "pages.po").write_text(ARABIC, encoding="utf-8")
    brand = {"service_name": "Lumen", "chat_url": "https://lumen.example/chat", "phone": "+44 20 7946 0000"}
    settings = Settings.model_validate({"web": WEB, "brand": brand}).model_copy(
        update={"paths": PathSettings(templates=templates)}
    )
    url = str(serve(make_app(settings, ledger, clock)).base_url)

    def build(purpose: Purpose, locale: str = "en-GB", query: str = "") -> str:
        know(locale=locale)
        key = tell(cause="household", incident_id=None, episode="own:x")
        return f"{url}/{purpose}/{links.token(purpose, key, 'u-1')}{query}"

    return build


@pytest.mark.parametrize("purpose", PAGES)
@pytest.mark.parametrize(("locale", "scheme"), [("en", "light"), ("en", "dark"), ("ar", "light")])
def test_a_page_keeps_nobody_out(browser, axe, address, purpose, locale, scheme) -> None:
    page = browser.new_page(viewport={"width": 320, "height": 900}, color_scheme=scheme)
    page.goto(address(purpose, locale))
    assert page.evaluate("document.documentElement.dir") == ("rtl" if locale == "ar" else "ltr")
    page.evaluate("document.querySelectorAll('details').forEach(it => { it.open = true })")
    if shots := os.environ.get("PREBUFFER_SHOTS"):
        page.screenshot(path=f"{shots}/{purpose}-{locale}-{scheme}.png", full_page=True)
    axe(page)
    for size in ("100%", "200%"):
        page.evaluate("size => { document.documentElement.style.fontSize = size }", size)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.set_viewport_size({"width": 390, "height": 900})
    read_out = page.locator("bdi.code:not([dir]), a[href^='tel:']").count()
    assert read_out == {Purpose.GENUINE: 1, Purpose.FEEDBACK: 0, Purpose.CASE: 2}[purpose]
    assert lines(page, "bdi.code:not([dir]), a[href^='tel:']") == [1] * read_out
    page.close()


def test_an_answer_is_given_with_the_keyboard(browser, axe, address) -> None:
    page = browser.new_page()
    page.goto(address(Purpose.FEEDBACK, query="?answer=no"))
    expect(page.get_by_label("No, it did not help")).to_be_checked()
    page.get_by_role("button", name="Send").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("We have your answer.")
    axe(page)
    page.close()
