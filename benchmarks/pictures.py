"""Golden pictures of mails, for people to look at: every kind, language, theme, width and size of text.

One folder a language, and a contact sheet for each: the mail with most in it, as a telephone shows it light, dark and
with text twice as large, and a desk. The sheets are kept in ``docs/pictures``; fonts differ from machine to machine,
so they are looked at and not compared.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from notifiers.compose import Composer
from notifiers.remedies import Case
from notifiers.samples import sample, shape_cases

HEIGHT_PX = 400
SHOWN_ON_SHEETS = 3
"""Of `shape_cases`: a household's notice has steps, an article, a telephone number and a button."""
SHEET_SCALE = 0.6
"""Small enough for the repository, large enough to see a letter that is wrong."""
ENLARGE = """[...document.querySelectorAll('*')].map(e => [e, parseFloat(getComputedStyle(e).fontSize)])
    .forEach(([e, size]) => { if (size) e.style.fontSize = 2 * size + 'px'; })"""
"""Makes text twice as large, as a reader's settings do."""


@dataclass(frozen=True)
class View:
    """How a mail is looked at."""

    theme: Literal["light", "dark"]
    width_px: int
    enlarged: bool = False

    @property
    def name(self) -> str:
        """For a file."""
        return f"{self.theme}-{self.width_px}{'-200-percent' if self.enlarged else ''}"


VIEWS = (
    View("light", 320),
    View("dark", 320),
    View("light", 320, enlarged=True),
    View("light", 640),
    View("dark", 640),
)
ON_SHEETS = VIEWS[:4]


def take_all(chromium: Any, composer: Composer, folder: Path) -> int:
    """Write every picture and a sheet for each language; return how many there are.

    Parameters
    ----------
    chromium
        A browser of Playwright's.
    composer
        Of the notices.
    folder
        Gets ``<tag>.png``, the sheet, and ``<tag>/<notice>-<view>.png``.
    """
    count = 0
    for tag in composer.languages.tags:
        taken: list[bytes] = []
        for view in VIEWS:
            for number, case in enumerate(shape_cases()):
                shot = take(chromium, composer.compose(sample(case, tag).context).html, view)
                _keep(folder / tag / f"{_name(case)}-{view.name}.png", shot)
                taken += [shot] if number == SHOWN_ON_SHEETS and view in ON_SHEETS else []
                count += 1
        _keep(folder / f"{tag}.png", sheet(chromium, taken))
    return count


def take(chromium: Any, html: str, view: View) -> bytes:
    """Return a picture of a whole mail."""
    page = chromium.new_page(color_scheme=view.theme, viewport={"width": view.width_px, "height": HEIGHT_PX})
    page.set_content(html)
    if view.enlarged:
        page.evaluate(ENLARGE)
    shot = bytes(page.screenshot(full_page=True))
    page.close()
    return shot


def sheet(chromium: Any, shots: list[bytes]) -> bytes:
    """Return one small picture of several, side by side."""
    page = chromium.new_page(viewport={"width": 400, "height": HEIGHT_PX})
    images = "".join(f'<img src="data:image/png;base64,{b64encode(shot).decode()}">' for shot in shots)
    style = f"body{{display:inline-flex;gap:16px;align-items:start;margin:16px;background:#888;zoom:{SHEET_SCALE}}}"
    page.set_content(f"<style>{style}</style>{images}")
    box = page.evaluate("(() => { const b = document.body.getBoundingClientRect(); return [b.right, b.bottom]; })()")
    page.set_viewport_size({"width": round(box[0]) + 10, "height": round(box[1]) + 10})
    shot = bytes(page.screenshot())
    page.close()
    return shot


def _name(case: Case) -> str:
    return "-".join(str(value) for value in case if value is not None)


def _keep(path: Path, picture: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture)
