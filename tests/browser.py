"""A real browser for every area: Chromium, and axe-core, which knows what keeps people out of a page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = Path(__file__).parent / "npm" / "node_modules" / "axe-core" / "axe.min.js"
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOURS = ["color-contrast", "link-in-text-block"]
"""Of these, the rules that a page may break in the dark alone."""

LINES = """selector => [...document.querySelectorAll(selector)].map(it => {
  const inside = document.createRange();
  inside.selectNodeContents(it);
  return new Set([...inside.getClientRects()].map(box => Math.round(box.top))).size;
})"""


def lines(page: Page, selector: str) -> list[int]:
    """Over how many lines the text of each element goes."""
    found: list[int] = page.evaluate(LINES, selector)
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, started once a module, since no other event loop can run in its thread meanwhile."""
    if CHROMIUM is None:
        _missing("Chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def axe() -> Callable[..., None]:
    """Assert that axe-core finds nothing on a page, by WCAG 2.2 AA and good practice."""
    if not AXE.exists():
        _missing("axe-core")
    source = AXE.read_text(encoding="utf-8")

    def check(page: Page, rules: Sequence[str] = ()) -> None:
        page.evaluate(source)
        options = {"runOnly": {"type": "rule", "values": rules} if rules else {"type": "tag", "values": RULES}}
        found = page.evaluate("options => axe.run(document, options)", options)["violations"]
        assert [(it["id"], it["help"], [node["html"] for node in it["nodes"]]) for it in found] == []

    return check


def _missing(what: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is required in CI: make browser installs it.")
    pytest.skip(f"{what} is not installed: make browser installs it.")
