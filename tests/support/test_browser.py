"""The console in a real browser: a lead's first day, by mouse, by keyboard, on a telephone, in the dark."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from benchmarks.console_tasks import MOST_CLICKS, World, clicks_of
from config.settings import Settings
from console.web import make_app
from incidents.ledger.store import Ledger
from tests.browser import COLOURS
from tests.serving import serving, wait_for
from tests.support.conftest import fill, patient
from tests.support.lead_day import addresses, evening_in, signed_in, world_of

pytestmark = pytest.mark.browser
PATIENCE_S = 220.0
TELEPHONES = (375, 320)
WIDTH = "document.documentElement.scrollWidth"


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The evening, made once by whichever worker comes first."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "evening"
    try:
        folder.mkdir()
    except FileExistsError:
        wait_for((folder / "made").exists, patience_s=PATIENCE_S)
    else:
        evening_in(folder)
        (folder / "made").touch()
    return folder / "demo" / "ledger.db"


@pytest.fixture
def ledger(evening: Path, tmp_path: Path) -> Iterator[Ledger]:
    shutil.copy(evening, tmp_path / "ledger.db")
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", durable=False) as ledger:
        yield ledger


@pytest.fixture
def world(ledger: Ledger) -> World:
    return world_of(ledger)


@pytest.fixture
def overview(ledger: Ledger, settings: Settings) -> Iterator[str]:
    now = max(it.updated_time for it in ledger.incidents()) + timedelta(minutes=3)
    with serving(patient(make_app(settings, ledger, lambda: now))) as url:
        yield f"{url}/console/"


@pytest.mark.parametrize("scripts", [True, False])
def test_a_first_day_takes_four_clicks_a_task_with_and_without_scripts(
    browser: Browser, overview: str, world: World, scripts: bool
) -> None:
    context, page, complaints = signed_in(browser, overview, java_script_enabled=scripts)
    counts = clicks_of(page, overview, world)
    assert max(counts.values()) <= MOST_CLICKS, counts
    assert complaints == []
    context.close()


def test_nobody_is_kept_out_by_light_or_dark_or_on_a_telephone(
    browser: Browser, overview: str, world: World, axe
) -> None:
    context, page, _ = signed_in(browser, overview)
    for address in addresses(page, overview):
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 1280, "height": 720})
        page.goto(address)
        axe(page)
        page.emulate_media(color_scheme="dark")
        axe(page, COLOURS)
        page.evaluate("document.querySelectorAll('details').forEach(it => { it.open = true })")
        for width in TELEPHONES:
            page.set_viewport_size({"width": width, "height": 720})
            assert page.evaluate(WIDTH) <= width, address
    page.goto(overview)
    axe(page)
    context.close()


def test_the_mailbox_fits_a_telephone(browser: Browser, evening: Path) -> None:
    page = browser.new_page(viewport={"width": 320, "height": 720})
    page.goto((evening.parent / "mailbox" / "index.html").as_uri())
    assert page.locator("tbody tr").count() > 0
    assert page.evaluate(WIDTH) <= 320
    page.close()


def test_what_is_odd_or_hostile_keeps_nobody_out_and_runs_nothing(
    browser: Browser, overview: str, ledger: Ledger, axe
) -> None:
    fill(ledger)
    context, page, complaints = signed_in(browser, overview, viewport={"width": 320, "height": 720})
    for path in ("incidents", "incidents/inc-hostile", "incidents/inc-everyone", "incidents/inc-without-evidence"):
        page.goto(overview + path)
        axe(page)
        assert page.evaluate(WIDTH) <= 320, path
        assert page.locator("script").count() == 1, path
    assert complaints == []
    context.close()


def test_the_keyboard_alone_stops_sending_and_resumes_it(browser: Browser, overview: str, world: World) -> None:
    context, page, _ = signed_in(browser, overview)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.get_by_text("Stop sending…").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("The words are wrong.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("status").wait_for()
    assert page.get_by_role("complementary", name="Sending").is_visible()
    page.get_by_role("button", name="Resume all notices").focus()
    page.keyboard.press("Enter")
    page.get_by_text("Sending goes on.").wait_for()
    assert page.get_by_role("complementary", name="Sending").count() == 0
    context.close()


def test_a_filter_shows_its_results_at_once_and_in_the_address(browser: Browser, overview: str, world: World) -> None:
    context, page, complaints = signed_in(browser, overview)
    page.goto(f"{overview}incidents")
    page.get_by_label("State").select_option("over")
    page.wait_for_url("**state=over**")
    page.get_by_label("Signal").select_option("buffering")
    page.get_by_text("No incident is like that.").wait_for()
    assert complaints == []
    context.close()


def test_only_what_the_verdict_needs_is_asked_for(browser: Browser, overview: str, world: World) -> None:
    context, page, _ = signed_in(browser, overview)
    page.locator("#live tbody tr a").first.click()
    assert not page.get_by_label("Whose side was it?").is_visible()
    page.get_by_text("Wrong cause", exact=True).click()
    assert page.get_by_label("Whose side was it?").is_visible()
    assert not page.get_by_label("How severe was it?").is_visible()
    context.close()


def test_a_first_visit_is_light(browser: Browser, overview: str, world: World) -> None:
    context, page, _ = signed_in(browser, overview)
    sizes: dict[str, int] = {}
    page.on("response", lambda answer: sizes.__setitem__(answer.url, len(answer.body())))
    page.locator("#live tbody tr a").first.click()
    page.wait_for_load_state("networkidle")
    assert 0 < sum(sizes.values()) < 300_000, sizes
    context.close()
