"""The report on paper: a tagged PDF by Typst, with the fonts that come with it, from the same facts as the page.

Typst is given words and numbers as data and never as markup, so that nothing in a name can be read as a command.
"""

from __future__ import annotations

import json
import re
import unicodedata
from datetime import datetime
from pathlib import Path
from typing import Any

import typst

from console.report import chart, words
from console.report.facts import Facts, Notices
from incidents.lessons import Lesson
from incidents.model import Incident
from incidents.reviews import Review

STANDARDS: list[typst.PDFStandard] = ["a-2a", "ua-1"]
"""PDF/A-2a, to keep for years; PDF/UA-1, to be read aloud."""
SCRIPTS = ("LATIN", "GREEK", "CYRILLIC", "COMBINING")
"""Scripts of the fonts inside Typst. A name in another needs a font of the machine's, or becomes question marks."""
UNSHOWN = "Some names are in a script that this file has no font for; they are whole in the HTML report."
_STEP = re.compile(r"([MVH])([\d.-]+)(?: ([\d.-]+))?")


def pdf_of(facts: Facts, now: datetime, made: str, templates: Path) -> bytes:
    """Return one incident's report as a PDF.

    Parameters
    ----------
    facts
        What it says.
    now
        When it says that it was written, aware.
    made
        What it was made with, for its last line.
    templates
        The folder ``templates/`` or an edited copy of it.
    """
    document = document_of(facts, now, made)
    text = json.dumps(document, ensure_ascii=False)
    if all(_is_plain(letter) for letter in text):
        return _compiled(text, templates, now, ignore_system_fonts=True)
    try:
        return _compiled(text, templates, now, ignore_system_fonts=False)
    except typst.TypstError:
        plain = {**document, "made": f"{UNSHOWN} {made}"}
        shown = "".join(letter if _is_plain(letter) else "?" for letter in json.dumps(plain, ensure_ascii=False))
        return _compiled(shown, templates, now, ignore_system_fonts=True)


def _compiled(text: str, templates: Path, now: datetime, *, ignore_system_fonts: bool) -> bytes:
    source = templates / "report" / "incident.typ"
    compiler = typst.Compiler(source, root=source.parent, ignore_system_fonts=ignore_system_fonts)
    made = compiler.compile(
        format="pdf", sys_inputs={"document": text}, pdf_standards=STANDARDS, timestamp=int(now.timestamp())
    )
    if not isinstance(made, bytes):
        raise TypeError("Typst made no PDF.")
    return made


def _is_plain(letter: str) -> bool:
    if letter < "\u0250":
        return True
    if unicodedata.category(letter)[0] in "LM":
        return unicodedata.name(letter, "").startswith(SCRIPTS)
    return letter in "–—‘’“”„…•‹›€\u202f\u2009\u00a0"


def document_of(facts: Facts, now: datetime, made: str) -> dict[str, Any]:
    """Return all that the paper report says, in the words and numbers in which it says it."""
    incident = facts.incident
    return {
        "title": (f"{words.DRILL}: " if facts.is_drill else "") + words.title(incident),
        "badges": _badges(incident),
        "lead": _lead(facts, now),
        "planned": _planned(facts),
        "figures": _figures(facts, now),
        "chart": _chart(incident),
        "cause": words.CAUSES[incident.verdict.cause],
        "sure": words.share(incident.verdict.probability),
        "evidence": [words.clean(it) for it in incident.verdict.evidence] or [words.NO_CAUSE_YET],
        "cohort": [[words.dimension(name), words.value(value)] for name, value in incident.cohort.values]
        or [["group", "everyone"]],
        "alternatives": [
            [words.cohort_name(it.cohort), words.share(it.share), words.number(it.surprise)]
            for it in incident.alternatives
        ],
        "told": _told(facts.problem),
        "withheld": [[*words.reason(it.reason), words.number(it.people)] for it in facts.problem.withheld],
        "waiting": words.number(facts.waiting) if facts.waiting else "",
        "regions": [[words.value(it.name), words.number(it.people), words.number(it.told)] for it in facts.regions],
        "timeline": _timeline(facts),
        "contacts": _contacts(facts),
        "answers": [words.answers(it) for it in facts.answers],
        "reviews": [*(_lesson(it) for it in facts.lessons), *(_review(it) for it in facts.reviews)],
        "source": f"Incident {words.clean(incident.incident_id, 64)}, written {words.moment(now)} from the ledger."
        " People are counted here and never named.",
        "made": made,
    }


def _lesson(it: Lesson) -> list[str]:
    kind = " - ".join(part for part in (words.lesson(it.kind), words.clean(words.to_do(it), 120)) if part)
    return [words.moment(it.written_time), kind, words.clean(it.author, 80), words.clean(it.words, 4000)]


def _review(it: Review) -> list[str]:
    note = words.clean(it.note or "", 4000)
    return [words.moment(it.reviewed_time), words.verdict(it.verdict), words.clean(it.author, 80), note]


def _badges(incident: Incident) -> list[str]:
    state = "Going on" if incident.is_open else "Resolved"
    return [words.SEVERITIES[incident.severity], state, words.SIDES[incident.verdict.cause]]


def _people(count: int) -> str:
    return f"{words.number(count)} {'person' if count == 1 else 'people'}"


def _lead(facts: Facts, now: datetime) -> str:
    incident, told = facts.incident, facts.problem.told_people
    lasted = words.duration((incident.resolved_time or now) - incident.onset_time)
    rest = "goes on" if incident.is_open else f"lasted {lasted}"
    return (
        f"It began about {words.moment(incident.onset_time)} and {rest}. About {_people(incident.affected_subscribers)}"
        f" had {words.IMPAIRED[incident.signal]}; {_people(told)} {'was' if told == 1 else 'were'} told."
    )


def _planned(facts: Facts) -> list[str]:
    if facts.silence is None:
        beside = "It may have to do with a planned event, though it is not what was planned:"
        return [f"{beside} {words.clean(it.reason, 1000)}" for it in facts.beside]
    until = words.moment(facts.silence.end)
    return [
        f"{words.silence(facts.silence)} Until {until} nobody is told of it. {words.clean(facts.silence.reason, 1000)}"
    ]


def _figures(facts: Facts, now: datetime) -> list[list[str]]:
    incident = facts.incident
    return [
        [words.number(incident.affected_subscribers), "people affected"],
        [words.number(incident.observed), f"with a bad session; {words.number(incident.expected)} would be normal"],
        [words.duration(incident.detected_time - incident.onset_time), "from onset to detection"],
        [
            words.duration((incident.resolved_time or now) - incident.onset_time),
            "going on for" if incident.is_open else "from onset to end",
        ],
        [words.number(facts.problem.told_people), f"told, {words.number(facts.problem.withheld_people)} not told"],
    ]


def _told(notices: Notices) -> list[list[str]]:
    return [
        [
            words.channel(it.channel),
            ", ".join(f"{words.number(count)} {words.state(state)}" for state, count in it.states.items())
            or "decided, not on its way",
            words.number(it.people),
        ]
        for it in notices.told
    ]


def _timeline(facts: Facts) -> list[list[str]]:
    incident, heard = facts.incident, _people(facts.all_clear.told_people)
    moments = [
        (incident.onset_time, "The trouble began (estimated)."),
        (incident.detected_time, "The incident was opened."),
        (facts.problem.first_time, "The first notice was decided on."),
        (incident.resolved_time, "The incident was declared over."),
        (
            facts.all_clear.first_time,
            f"The first all-clear; {heard} heard that it is over.",
        ),
    ]
    if incident.is_open:
        moments.append((incident.updated_time, "It goes on."))
    known = [(time, text) for time, text in moments if time is not None]
    return [[words.moment(time), text] for time, text in sorted(known, key=lambda it: it[0])]


def _contacts(facts: Facts) -> dict[str, Any] | None:
    after = facts.contacts
    if after is None:
        return None
    named = (("Told", after.told), ("Held out", after.held_out), ("Not told otherwise", after.others))
    rows = [[name, words.number(it.people), words.number(it.contacting), words.stars(it.csat)] for name, it in named]
    before = f" {_people(after.before_notice)} contacted support before the notice." if after.before_notice else ""
    return {"rows": rows, "sentence": words.told_against_held_out(after) + before}


def _chart(incident: Incident) -> dict[str, Any] | None:
    drawn = chart.chart_of(incident, chart.WIDE)
    if drawn is None:
        return None
    size = drawn.size
    return {
        "size": [size.width, size.height, size.left, size.right, size.top, size.plot_height],
        "bars": [[it.x, it.y, it.width, it.height] for it in drawn.bars],
        "expected": _points(drawn.expected_path),
        "trouble": [drawn.trouble_x, drawn.trouble_width],
        "x_ticks": [[it.position, it.label] for it in drawn.x_ticks],
        "y_ticks": [[it.position, it.label] for it in drawn.y_ticks],
        "marks": [[it.name, it.x, it.label, it.anchor] for it in drawn.marks],
        "legend": [words.IMPAIRED[incident.signal], "how many would be normal", "while the incident was on"],
        "alt": f"Bars of {words.duration(drawn.bar_width)} from {words.moment(drawn.bars[0].start)} on: "
        f"{words.IMPAIRED[incident.signal]}, {max(it.impaired for it in drawn.bars)} at most, where "
        f"{words.number(max(it.expected for it in drawn.bars))} would be the highest normal.",
    }


def _points(path: str) -> list[list[float]]:
    """Return the corners of a step line that is written as an SVG path of M, V and H."""
    points: list[list[float]] = []
    for kind, one, other in _STEP.findall(path):
        if kind == "M":
            points.append([float(one), float(other)])
        else:
            x, y = points[-1]
            points.append([x, float(one)] if kind == "V" else [float(one), y])
    return points
