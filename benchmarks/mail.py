"""How fast mails are rendered, how heavy they are, and whether everybody can read them.

    python -m benchmarks.mail [--count N] [--no-browser] [--pictures FOLDER]

Renders N mails (HTML, text and card) of many kinds in every language for different people on one core: the first
10,000 of a process that has composed nothing yet, catalogues read and templates compiled on the way, and as many as
asked once all kinds were seen. Beside two baselines: the same with every sentence and layout rendered anew by Jinja for
each mail, and with the layout compiled from MJML each time. MJML judges the layout in strict mode, where it is there.
Then opens every kind of notice in every language in Chromium, light and dark, and lets axe-core look for violations of
WCAG 2.2 A and AA, at a telephone's width of 320 px, where nothing may scroll sideways, and with text twice as large.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from benchmarks.pictures import ENLARGE, take_all
from config.bootstrap import template_folder
from config.remedies import read_remedies
from config.settings import Settings
from notifiers.compose import Composer
from notifiers.context import NoticeContext
from notifiers.language import COMPILED
from notifiers.links import Links
from notifiers.samples import SINCE, Sample, distinct_cases, hostile, sample, shape_cases
from notifiers.wording import check_all

LINKS = Links("https://notices.lumen.example", ["a secret for measuring, never one for use"])
AIM_MAILS_PER_S, AIM_HTML_BYTES = 10_000, 60_000
BASELINE_MAILS = 200
COLD_MAILS = 10_000
"""What the aim speaks of; half of them are the first of their kind."""
ROUNDS = 3
"""Of each measurement: the best one counts, for what else a machine does only takes time away."""
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
NARROW_PX, WIDE_PX, HEIGHT_PX = 320, 640, 900
AXE = Path(__file__).parents[1] / "tests" / "npm" / "node_modules" / "axe-core" / "axe.min.js"
MJML = AXE.parents[1] / "mjml"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
CHROMIUM_ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def composer_of() -> Composer:
    """Build what renders, with signed links."""
    return Composer(template_folder(Settings()), read_remedies(), LINKS)


def crowd(composer: Composer, count: int) -> list[NoticeContext]:
    """Return `count` different people in every language, with troubles of every kind, within one evening."""
    cases, tags = distinct_cases(composer.remedies), composer.languages.tags
    every = [sample(case, tag).context for case in cases for tag in tags]
    return [
        replace(
            every[index % len(every)],
            notice_id=f"{index:016d}",
            subscriber_id=f"u-{index}",
            display_name=f"Ada {index:x}",
            since=SINCE + timedelta(seconds=index % 10_000),
            impaired=1 + index % 4,
        )
        for index in range(count)
    ]


def mails_per_s(composer: Composer, people: list[NoticeContext]) -> float:
    """Return how many mails a core renders in a second of its time, what is composed on the way included."""
    started = time.process_time()
    for person in people:
        composer.compose(person)
    return len(people) / (time.process_time() - started)


def baseline_per_s(people: list[NoticeContext], *, compile_each: bool) -> float:
    """Return the same where nothing is shared between mails, or where the layout is compiled for each too."""
    composer = composer_of()
    composer.compose(people[0])
    started = time.process_time()
    for person in people[:BASELINE_MAILS]:
        if compile_each:
            composer._voices.clear()
            for compiled in COMPILED.values():
                compiled.clear()
        for kept in (composer._bodies, composer._frames, composer.remedies._found):
            kept.clear()
        composer.compose(person)
    return BASELINE_MAILS / (time.process_time() - started)


def max_html_bytes(composer: Composer) -> int:
    """Return the size of the largest page of any notice, hostile readers' included."""
    every = (sample(case, tag) for case in distinct_cases(composer.remedies) for tag in composer.languages.tags)
    return max(len(composer.compose(it.context).html.encode()) for it in (*every, *_hostile(composer)))


def _hostile(composer: Composer) -> Iterator[Sample]:
    for tag in composer.languages.tags:
        for case in shape_cases():
            yield from hostile(case, tag)


def looked_at(composer: Composer, pictures: Path | None) -> dict[str, int]:
    """Open every kind of notice in every language, light and dark; count pages, violations and sideways scrolling."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only where there is a browser

    axe = AXE.read_text(encoding="utf-8")
    counts = {"pages": 0, "violations": 0, "scrolls": 0}
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_ARGUMENTS)
        for tag in composer.languages.tags:
            for scheme in SCHEMES:
                page = chromium.new_page(color_scheme=scheme, viewport={"width": NARROW_PX, "height": HEIGHT_PX})
                for case in shape_cases():
                    found = look(page, composer.compose(sample(case, tag).context).html, axe)
                    counts = {name: counts[name] + more for name, more in found.items()}
                page.close()
        if pictures is not None:
            counts["pictures"] = take_all(chromium, composer, pictures)
        chromium.close()
    return counts


def look(page: Any, html: str, axe: str) -> dict[str, int]:
    """Open one mail at 320 px; count what axe-core finds, and whether it scrolls sideways at either size of text."""
    page.set_viewport_size({"width": NARROW_PX, "height": HEIGHT_PX})
    page.set_content(html)
    page.evaluate(axe)
    options = {"runOnly": {"type": "tag", "values": WCAG}}
    violations = page.evaluate("options => axe.run(document, options)", options)["violations"]
    for it in violations:
        print(it["id"], it["help"], [node["html"][:200] for node in it["nodes"]][:3])
    wide = "document.documentElement.scrollWidth > innerWidth"
    scrolls = int(page.evaluate(wide))
    page.evaluate(ENLARGE)
    scrolls += int(page.evaluate(wide))
    return {"pages": 1, "violations": len(violations), "scrolls": scrolls}


def main() -> None:
    """Measure, print a table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--no-browser", action="store_true")
    parser.add_argument("--pictures", type=Path)
    arguments = parser.parse_args()
    people = crowd(composer_of(), arguments.count)
    composer = composer_of()
    cold = mails_per_s(composer, people[:COLD_MAILS])
    mails_per_s(composer, people)
    result: dict[str, Any] = {
        "mails_per_s": round(max(mails_per_s(composer, people) for _ in range(ROUNDS))),
        "cold_mails_per_s": round(cold),
        "nothing_shared_per_s": round(baseline_per_s(people, compile_each=False)),
        "compiled_each_time_per_s": round(baseline_per_s(people, compile_each=True)),
        "rendered": len(people),
        "languages": len(composer.languages.tags),
        "max_html_bytes": max_html_bytes(composer),
    }
    checked = check_all(composer, MJML if MJML.is_dir() else None)
    result |= {
        "notices_checked": checked.notices,
        "judged_by_mjml": int(MJML.is_dir()),
        "style_complaints": len(checked.problems),
    }
    if not arguments.no_browser:
        result |= looked_at(composer, arguments.pictures)
    print(f"{'':28}{'measured':>12}{'aim':>12}")
    aims = {"mails_per_s": AIM_MAILS_PER_S, "cold_mails_per_s": AIM_MAILS_PER_S, "max_html_bytes": AIM_HTML_BYTES,
            "violations": 0, "scrolls": 0,
            "style_complaints": 0}  # fmt: skip
    for name, value in result.items():
        print(f"{name:28}{value:>12,}{aims.get(name, ''):>12}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
