"""A report says what the ledger holds, completely, and nothing that a stranger typed can change it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from jinja2 import Environment, meta, nodes
from sqlalchemy import Engine, create_engine, select

from console.report import Reports, write_report, write_reports
from console.report.pages import page_name
from incidents.ledger.casework import notice_traits
from incidents.ledger.schema import contacts, metadata, notices
from incidents.reviews import Particulars, ReviewVerdict, review
from incidents.silences import SilenceKind
from tests.report.samples import EVERYONE, HOSTILE, HOSTILE_ONE, LARGE, MERGED, NOW, ONSET, OPEN, decide

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Reading(HTMLParser):
    """The text of a page, its elements, its ids, and whether every element was closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        self.ids += [values["id"]] if values.get("id") else []
        self.links += [value for name in ("href", "src", "srcset", "action") if (value := values.get(name))]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split()).replace(" , ", ", ").replace(" .", ".")


@pytest.fixture
def reports(engine: Engine, tmp_path: Path) -> Reports:
    return write_reports(engine, tmp_path, now=NOW)


def read(path: Path) -> Reading:
    return Reading(path.read_text(encoding="utf-8"))


def test_the_page_tells_what_who_whose_fault_and_why(reports: Reports) -> None:
    text = read(reports.pages[LARGE.incident_id]).text
    for words in (
        "Buffering: US-IL, cdn-amber",
        "It began about 12 May 2026, 00:40 UTC and lasted 3 h 50 min",
        "About 86 people had sessions that stalled too much; 61 people were told.",
        "Our own service",
        "96 % sure",
        "All 3 access networks of US-IL are hit alike.",
        "Major",
        "Resolved",
    ):
        assert words in text


def test_it_counts_whom_we_told_and_whom_not_by_reason(reports: Reports) -> None:
    text = read(reports.pages[LARGE.incident_id]).text
    for words in ("E-mail 41 sent, 2 could not be sent 43", "In the app 18 sent 18", "22 people not told"):
        assert words in text
    for name, people in (
        ("Night where they are", 9),
        ("No consent", 7),
        ("Held out", 4),
        ("Playing well again", 2),
    ):
        assert re.search(rf"{name} [A-Z][^.]*\. {people}\b", text), name
    assert "3 people wait for a decision." in text


def test_it_tells_what_happened_after(reports: Reports) -> None:
    text = read(reports.pages[LARGE.incident_id]).text
    assert "12 May 2026, 04:30 UTC The incident was declared over." in text
    assert "55 people heard that it is over." in text
    assert "4 people did not hear that it is over" in text


def test_it_lists_alternatives_with_the_share_that_each_explains(reports: Reports) -> None:
    text = read(reports.pages[LARGE.incident_id]).text
    assert "US-IL, cdn-amber named 98 % 148" in text
    assert "cdn-amber 71 % 96" in text
    assert "US, Quillwave Cable 22 % 12" in text


def test_contacts_are_counted_for_the_told_and_the_untold(engine: Engine, tmp_path: Path) -> None:
    with engine.connect() as connection:
        told = [
            row[0]
            for row in connection.exec_driver_sql(
                "select subscriber_id from notices where kind='problem' and withheld_reason is null"
            )
        ]
    late, early = ONSET + timedelta(hours=1), ONSET + timedelta(minutes=5)
    calls = [
        (told[0], late, 5),
        (told[0], late, None),
        (told[1], early, 1),
        ("sub-w0", late, None),
        ("sub-w1", ONSET - timedelta(hours=1), None),
        ("sub-w2", ONSET + timedelta(days=3), None),
        ("a-stranger", late, None),
    ]
    call(engine, calls)
    text = read(write_report(engine, LARGE.incident_id, tmp_path, now=NOW)).text
    assert "Told 61 1 after the notice 5.0 of 5 Held out 4 0 - Not told otherwise 21 1 -" in text
    assert "Too few people were held out" in text
    assert "1 person contacted support before the notice" in text


def call(engine: Engine, calls: list[tuple[str, datetime, int | None]]) -> None:
    rows = [
        {"contact_id": f"c{number}", "subscriber_id": who, "contacted_time": at, "csat": csat}
        for number, (who, at, csat) in enumerate(calls)
    ]
    with engine.begin() as connection:
        connection.execute(contacts.insert(), rows)


def test_told_and_held_out_are_compared_where_enough_are_held_out(engine: Engine, tmp_path: Path) -> None:
    with engine.begin() as connection:
        decide(connection, 60, reason="holdout")
        held = list(connection.scalars(select(notices.c.subscriber_id).where(notices.c.withheld_reason == "holdout")))
    call(engine, [(who, ONSET + timedelta(hours=1), None) for who in held[:40]])
    text = read(write_report(engine, LARGE.incident_id, tmp_path, now=NOW)).text
    assert "Of those told, fewer contacted support than of those held out: by 49 to 73 points of a hundred." in text


def test_without_contacts_the_page_is_silent_about_them(reports: Reports) -> None:
    assert "Contacts with support" not in read(reports.pages[LARGE.incident_id]).text


def test_few_people_of_a_region_are_not_pointed_at(engine: Engine, tmp_path: Path) -> None:
    with engine.begin() as connection:
        about = (notices.c.kind == "problem") & (notices.c.incident_id == LARGE.incident_id)
        ids = list(connection.scalars(select(notices.c.notice_id).where(about)))
        regions = ["US-IL"] * (len(ids) - 3) + ["US-WI", "US-WI", "<b>"]
        rows = [{"notice_id": key, "region": region} for key, region in zip(ids, regions, strict=True)]
        connection.execute(notice_traits.insert(), rows)
    text = read(write_report(engine, LARGE.incident_id, tmp_path, now=NOW)).text
    assert "US-IL 80" in text
    assert "elsewhere 3" in text
    assert "US-WI" not in text
    assert text.count("most from") == 1


def test_what_leads_said_and_planned_stands_in_the_report(engine: Engine, tmp_path: Path) -> None:
    with engine.begin() as connection:
        review(
            connection,
            LARGE.incident_id,
            ReviewVerdict.EXPECTED_EVENT,
            HOSTILE,
            NOW,
            seen=0,
            particulars=Particulars(note=HOSTILE, kind=SilenceKind.MAINTENANCE),
        )
    path = write_report(engine, LARGE.incident_id, tmp_path, now=NOW)
    text = read(path).text
    assert "An expected event" in text
    assert "Planned maintenance." in text
    assert "<script>alert" not in path.read_text(encoding="utf-8")


def test_an_open_incident_goes_on(reports: Reports) -> None:
    text = read(reports.pages[OPEN.incident_id]).text
    assert "and goes on." in text
    assert "going on for" in text
    assert "No chart was kept" in text
    assert "No evidence was recorded." in text
    assert "more than 99 % sure" in text
    assert "Nobody was told." in text


def test_everyone_is_a_group_too(reports: Reports) -> None:
    assert "Slow starts: everyone" in read(reports.pages[EVERYONE.incident_id]).text


def test_a_merged_incident_is_part_of_the_other(reports: Reports) -> None:
    assert MERGED.incident_id not in reports.pages
    assert "Seen first as Buffering: cdn-amber, detected" in read(reports.pages[LARGE.incident_id]).text


def test_the_index_lists_all_incidents_latest_first(reports: Reports) -> None:
    index = read(reports.index)
    assert "4 incidents, 1 going on." in index.text
    pages = [link for link in index.links if link.startswith("incident-")]
    assert pages == [path.name for path in reports.pages.values()]
    assert pages[0] == page_name(OPEN.incident_id)


def test_an_empty_ledger_has_an_index_that_says_so(tmp_path: Path) -> None:
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    reports = write_reports(engine, tmp_path, now=NOW)
    assert "No incidents." in read(reports.index).text
    engine.dispose()


def test_incidents_that_were_over_long_ago_are_left_out(engine: Engine, tmp_path: Path) -> None:
    assert list(write_reports(engine, tmp_path, now=NOW, since=NOW).pages) == [OPEN.incident_id]


def test_an_unknown_incident_is_an_error_with_its_name(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="no incident 'inc-nowhere'"):
        write_report(engine, "inc-nowhere", tmp_path, now=NOW)


def test_writing_twice_gives_the_same_files(engine: Engine, tmp_path: Path) -> None:
    first = {path.name: path.read_bytes() for path in write_reports(engine, tmp_path, now=NOW).pages.values()}
    again = {path.name: path.read_bytes() for path in write_reports(engine, tmp_path, now=NOW).pages.values()}
    assert first == again
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".html"] * 5


def test_pages_are_whole_and_self_contained(reports: Reports) -> None:
    for path in (reports.index, *reports.pages.values()):
        page = read(path)
        assert page.open == []
        assert len(page.ids) == len(set(page.ids))
        assert not {"script", "link", "img", "iframe", "object", "form"} & set(page.tags)
        assert all(re.fullmatch(r"#content|index\.html|incident-[\w.-]+\.html", link) for link in page.links)
        source = path.read_text(encoding="utf-8")
        assert "url(" not in source
        assert "@import" not in source
        assert '<html lang="en">' in source
        assert {"header", "nav", "main", "footer", "h1"} <= set(page.tags)


def test_hostile_text_stays_text(reports: Reports) -> None:
    source = reports.pages[HOSTILE_ONE.incident_id].read_text(encoding="utf-8")
    assert "<script>" not in source
    assert "&lt;script&gt;alert(1)" in source
    assert "{{ 7*7 }}" in source
    assert "\u202e" not in source
    assert HOSTILE not in source


def test_a_hostile_id_stays_in_its_folder(reports: Reports) -> None:
    page = reports.pages[HOSTILE_ONE.incident_id]
    assert page.parent == reports.index.parent
    assert "/" not in page.name


def test_a_reason_of_tomorrow_stands_for_itself(reports: Reports) -> None:
    assert "A reason of tomorrow" in read(reports.pages[HOSTILE_ONE.incident_id]).text


def test_nobody_is_named(reports: Reports) -> None:
    assert all("sub-" not in path.read_text(encoding="utf-8") for path in reports.pages.values())


def test_charts_are_well_formed_and_described(reports: Reports) -> None:
    source = reports.pages[LARGE.incident_id].read_text(encoding="utf-8")
    drawings = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", source, re.DOTALL)]
    assert len(drawings) == 2
    for drawing in drawings:
        assert drawing.get("role") == "img"
        named = (drawing.get("aria-labelledby") or "").split()
        assert [element.get("id") for element in drawing[:2]] == named
        assert "detected 12 May 2026, 01:00 UTC" in (drawing[1].text or "")


def test_colours_of_text_reach_the_contrast_that_people_need() -> None:
    css = (Path(__file__).parents[2] / "templates/report/style.css").read_text(encoding="utf-8")
    light, dark = (dict(re.findall(r"--([\w-]+): (#\w{6})", part)) for part in css.split("@media", 2)[:2])
    on_card = ("text", "muted", "accent", "bad", "warn", "good")
    pairs = [(name, "card") for name in on_card] + [
        ("muted", "ground"),
        ("text", "faint"),
        ("muted", "faint"),
    ]
    pairs += [("bad", "bad-soft"), ("warn", "warn-soft"), ("good", "good-soft")]
    for colours in (light, dark):
        too_faint = [pair for pair in pairs if contrast(colours[pair[0]], colours[pair[1]]) < 4.5]
        assert too_faint == []


def contrast(first: str, second: str) -> float:
    """The contrast of WCAG 2, from 1 to 21."""
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_every_variable_of_the_templates_is_documented() -> None:
    folder = Path(__file__).parents[2] / "templates" / "report"
    trees = [Environment().parse(path.read_text(encoding="utf-8")) for path in folder.glob("*.jinja")]
    made = {name for tree in trees for name in made_inside(tree)}
    used = {name for tree in trees for name in meta.find_undeclared_variables(tree)}
    guide = (folder / "README.md").read_text(encoding="utf-8")
    assert used - made == set(re.findall(r"^\| `(\w+)` \|", guide, re.MULTILINE))


def made_inside(tree: nodes.Template) -> set[str]:
    """The macros and variables that a template makes itself."""
    macros = {macro.name for macro in tree.find_all(nodes.Macro)}
    variables = {name.name for name in tree.find_all(nodes.Name) if name.ctx in {"store", "param"}}
    return macros | variables - {"incident", "facts", "now", "words", "charts", "entries"}
