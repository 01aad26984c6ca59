"""The pages in a real browser: on a telephone, by keyboard, in the dark, on paper, with a screen reader."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from sqlalchemy import Engine, select

from console.report import Reports, write_reports
from incidents.ledger.casework import notice_traits
from incidents.ledger.schema import contacts, notices
from incidents.reviews import Particulars, ReviewVerdict, review
from incidents.silences import SilenceKind
from tests.report.samples import HOSTILE_ONE, LARGE, NOW

pytestmark = pytest.mark.browser
WIDTHS = (1280, 768, 375, 320)


@pytest.fixture
def reports(engine: Engine, tmp_path: Path) -> Reports:
    return write_reports(engine, tmp_path, now=NOW)


def opened(browser: Browser, path: Path, *, width: int = 1280, scheme: str = "light") -> Page:
    page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda request: messages.append(request.url) if request.url != path.as_uri() else None)
    page.goto(path.as_uri())
    assert messages == []
    return page


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen(browser: Browser, reports: Reports, width: int) -> None:
    for path in (reports.index, reports.pages[LARGE.incident_id], reports.pages[HOSTILE_ONE.incident_id]):
        page = opened(browser, path, width=width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.close()


def test_one_chart_is_seen_and_its_letters_are_readable(browser: Browser, reports: Reports) -> None:
    for width in WIDTHS:
        page = opened(browser, reports.pages[LARGE.incident_id], width=width)
        seen = [chart for chart in page.locator("svg.chart").all() if chart.is_visible()]
        assert len(seen) == 1
        letter = seen[0].locator("text").first.evaluate("e => e.getBoundingClientRect().height")
        assert letter >= 10
        page.close()


def test_labels_of_the_chart_do_not_overlap(browser: Browser, reports: Reports) -> None:
    overlaps = """() => {
      const boxes = [...document.querySelectorAll('svg.chart text')].map(e => e.getBoundingClientRect())
        .filter(b => b.width > 0);
      return boxes.some((a, i) => boxes.slice(i + 1).some(b =>
        a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3));
    }"""
    for width in WIDTHS:
        page = opened(browser, reports.pages[LARGE.incident_id], width=width)
        assert page.evaluate(overlaps) is False
        page.close()


def test_a_screen_reader_finds_headings_figures_and_tables(browser: Browser, reports: Reports) -> None:
    page = opened(browser, reports.pages[LARGE.incident_id])
    assert page.get_by_role("heading", level=1).inner_text() == "Buffering: US-IL, cdn-amber"
    assert page.get_by_role("main").count() == 1
    sections = page.get_by_role("region").all()
    assert len(sections) >= 5
    assert page.get_by_role("img", name="Sessions that stalled too much, and how many would be normal").count() == 1
    assert page.get_by_role("table", name="61 people told").count() == 1
    page.close()


def test_the_keyboard_reaches_everything_and_the_chart_has_a_table(browser: Browser, reports: Reports) -> None:
    page = opened(browser, reports.pages[LARGE.incident_id])
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["x"] >= 0
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    page.keyboard.press("Enter")
    assert page.get_by_role("rowheader", name="12 May 00:40").is_visible()
    page.close()


def test_the_dark_is_dark_and_paper_is_white(browser: Browser, reports: Reports) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    page = opened(browser, reports.pages[LARGE.incident_id], scheme="dark")
    assert page.evaluate(ground) == "rgb(14, 19, 25)"
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    page.close()


def test_the_index_leads_to_the_page_and_back(browser: Browser, reports: Reports) -> None:
    page = browser.new_page()
    page.goto(reports.index.as_uri())
    page.get_by_role("link", name="Buffering: US-IL, cdn-amber").click()
    page.get_by_role("link", name="All incidents").click()
    assert page.title() == "Incidents"
    page.close()


def test_hostile_text_runs_nothing(browser: Browser, reports: Reports) -> None:
    page = opened(browser, reports.pages[HOSTILE_ONE.incident_id])
    assert "<script>alert(1)</script>" in page.get_by_role("heading", level=1).inner_text()
    assert page.locator("script").count() == 0
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_kept_out(browser: Browser, axe, reports: Reports, scheme: str) -> None:
    for path in (reports.index, reports.pages[LARGE.incident_id]):
        page = opened(browser, path, scheme=scheme)
        axe(page)
        page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_keep_nobody_out(
    browser: Browser, axe: Callable[[Page], None], engine: Engine, tmp_path: Path, scheme: str
) -> None:
    with engine.begin() as connection:
        said = Particulars(note="A router was replaced.", kind=SilenceKind.MAINTENANCE)
        review(connection, LARGE.incident_id, ReviewVerdict.EXPECTED_EVENT, "ann", NOW, seen=0, particulars=said)
        ids = connection.scalars(select(notices.c.notice_id).where(notices.c.incident_id == LARGE.incident_id))
        connection.execute(notice_traits.insert(), [{"notice_id": it, "region": "US-IL"} for it in ids])
        call = {"contact_id": "c", "subscriber_id": "sub-w0", "contacted_time": NOW - timedelta(hours=20)}
        connection.execute(contacts.insert(), call)
    reports = write_reports(engine, tmp_path, now=NOW)
    for path in (reports.index, reports.pages[LARGE.incident_id]):
        page = opened(browser, path, scheme=scheme)
        axe(page)
        page.set_viewport_size({"width": 320, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        page.close()
