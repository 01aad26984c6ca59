"""Mails in a real browser: axe-core finds nothing, nothing scrolls sideways on a telephone, nothing is fetched."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page

from benchmarks.mail import AXE, NARROW_PX, look
from benchmarks.pictures import SHEET_SCALE, VIEWS, sheet, take
from notifiers.samples import hostile, sample, shape_cases
from tests.browser import _missing, lines

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def axe_source() -> str:
    if not AXE.exists():
        _missing("axe-core")
    return AXE.read_text(encoding="utf-8")


def opened(browser: Browser, scheme: str) -> Page:
    page = browser.new_page(color_scheme=scheme, viewport={"width": NARROW_PX, "height": 900})
    page.on("request", lambda request: pytest.fail(f"A mail fetched {request.url}"))
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_language_is_accessible_on_a_telephone(scheme, browser, axe_source, composer):
    page = opened(browser, scheme)
    shapes = shape_cases()
    for index, tag in enumerate(composer.languages.tags):
        for case in (shapes[3], shapes[index % len(shapes)]):
            html = composer.compose(sample(case, tag).context).html
            assert look(page, html, axe_source) == {"pages": 1, "violations": 0, "scrolls": 0}
            read_out = page.locator("span[style*=inline-block]").all_inner_texts()
            assert any(it.startswith("ABCD-EFGH") for it in read_out), "Text is twice as large now."
            assert lines(page, "span[style*=inline-block]") == [1] * len(read_out)
    page.close()


def test_a_hostile_reader_breaks_nothing(browser, axe_source, composer):
    page = opened(browser, "dark")
    for it in hostile(shape_cases()[3], "en"):
        assert look(page, composer.compose(it.context).html, axe_source)["scrolls"] == 0
        assert page.locator("script").count() == 0
    page.close()


def test_pictures_show_a_theme_and_a_size_of_text_and_a_sheet_shows_them_all(browser, composer):
    html = composer.compose(sample(shape_cases()[0], "he").context).html
    light, dark, large = (take(browser, html, view) for view in VIEWS[:3])
    sizes = [(int.from_bytes(it[16:20], "big"), int.from_bytes(it[20:24], "big")) for it in (light, dark, large)]
    assert [width for width, _ in sizes] == [NARROW_PX] * 3
    assert light != dark
    assert sizes[2][1] > 1.5 * sizes[0][1]
    both = sheet(browser, [light, large])
    assert int.from_bytes(both[20:24], "big") >= SHEET_SCALE * sizes[2][1]


def test_a_fault_would_be_found(browser, axe_source, composer):
    html = composer.compose(sample(shape_cases()[0], "en").context).html
    page = opened(browser, "light")
    assert look(page, html.replace('lang="en"', ""), axe_source)["violations"] == 1
    assert look(page, html.replace("<p>", '<p style="width:900px">'), axe_source)["scrolls"] == 2
    page.close()
