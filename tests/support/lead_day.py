"""A lead's first day: an evening that the whole loop has seen, a browser, and what a lead does in it."""

from __future__ import annotations

import shutil
import tempfile
from datetime import timedelta
from functools import partial
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from sqlalchemy import select

from benchmarks.console_tasks import World, clicks_of
from config.settings import Settings
from console.demo import demo
from console.report import words
from console.web import make_app
from data.world import make_world
from incidents.ledger.schema import notices
from incidents.ledger.store import Ledger
from notifiers import rollout
from tests.browser import ARGUMENTS, AXE, CHROMIUM, RULES
from tests.console.conftest import SMALL
from tests.serving import serving
from tests.support.conftest import HASH, PASSWORD, patient

PAGES = (
    "/",
    "/incidents",
    "/review",
    "/approvals",
    "/silences",
    "/effect",
    "/lessons",
    "/drills",
    "/digest",
    "/trail",
    "/settings",
    "/subscribers",
)


def evening_in(folder: Path) -> Path:
    """Run the whole loop on an evening on which streaming sticks were refused; return its ledger's file."""
    demo(folder / "demo", Settings(), partial(make_world, recipe=SMALL, seed=1), lambda *_: None)
    return folder / "demo" / "ledger.db"


def world_of(ledger: Ledger) -> World:
    """Return what the tasks are about; the biggest incident waits for approval."""
    biggest = max(ledger.incidents(), key=lambda it: it.affected_subscribers)
    with ledger.write() as connection:
        query = select(notices).where(notices.c.withheld_reason.is_not(None), notices.c.kind == "problem")
        untold = connection.execute(query).first()
        rollout.ask(connection, biggest.incident_id, 52_000, 0.01, biggest.updated_time)
    return World(words.title(biggest), untold.subscriber_id, words.reason(untold.withheld_reason)[0])


def signed_in(browser: Browser, overview: str, **options: object) -> tuple[BrowserContext, Page, list[str]]:
    """Open a browser's window and sign in; gives what it complained of meanwhile."""
    context = browser.new_context(**options)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(overview)
    page.get_by_label("Your name").fill("Ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(overview)
    return context, page, complaints


def addresses(page: Page, overview: str) -> list[str]:
    """Return the pages there are, those of one incident, one person and one notice among them."""
    found = [overview.rstrip("/") + path for path in PAGES]
    page.goto(overview)
    page.locator("#live tbody tr a").first.click()
    found += [page.url, f"{page.url}/lessons"]
    page.get_by_role("link", name="told: ").first.click()
    found.append(page.url)
    page.locator("tbody th a").first.click()
    found.append(page.url)
    page.get_by_role("link", name="What it says").first.click()
    found.append(page.url)
    page.goto(f"{overview}approvals")
    page.locator("tbody a").first.click()
    return [*found, page.url]


def run() -> tuple[dict[str, int], int]:
    """Do the five tasks, and let axe-core look at every page; return clicks by task, and how much it found."""
    settings = Settings.model_validate({"console": {"password_hash": HASH}})
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        path = shutil.copy(evening_in(Path(name)), Path(name) / "ledger.db")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        with Ledger(f"sqlite:///{path}", durable=False) as ledger:
            world, found = world_of(ledger), 0
            now = max(it.updated_time for it in ledger.incidents()) + timedelta(minutes=3)
            with serving(patient(make_app(settings, ledger, lambda: now))) as url:
                _, page, _ = signed_in(browser, f"{url}/console/")
                for address in addresses(page, f"{url}/console/"):
                    page.goto(address)
                    page.evaluate(AXE.read_text(encoding="utf-8"))
                    for scheme in ("light", "dark"):
                        page.emulate_media(color_scheme=scheme)
                        options = {"runOnly": {"type": "tag", "values": RULES}}
                        found += len(page.evaluate("options => axe.run(document, options)", options)["violations"])
                return clicks_of(page, f"{url}/console/", world), found
