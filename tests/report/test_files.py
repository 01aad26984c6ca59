"""A report that is handed out never changes, says what it was made with, and nothing in it is run by anything."""

from __future__ import annotations

import csv
import io
import json
import re
import zlib
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from config.settings import Settings
from config.versions import code_version, settings_hash
from console.report.files import Format, is_genuine, make, reports_of
from console.report.pages import TEMPLATES, known_facts
from console.report.paper import pdf_of
from detectors.finding import Cohort
from incidents.ledger import audit
from incidents.ledger.casework import notice_traits
from incidents.ledger.schema import contacts, feedback, notices
from incidents.ledger.store import Ledger
from tests.report.samples import EVERYONE, HOSTILE, HOSTILE_ONE, LARGE, NOW, OPEN, decide

FORMULA_NAME = Cohort.of({"isp": '=HYPERLINK("http://x")'})
FORMULA = replace(LARGE, incident_id="inc-formula", cohort=FORMULA_NAME, alternatives=())
CROWD = replace(LARGE, incident_id="inc-crowd", affected_subscribers=1_000_000, observed=1e6, sessions=10_000_000)
CASES = (LARGE, OPEN, HOSTILE_ONE, EVERYONE, FORMULA, CROWD)


@pytest.fixture
def ledger(sqlite_url):
    with Ledger(sqlite_url) as ledger:
        with ledger.write() as connection:
            ledger.save_incidents(connection, CASES)
        yield ledger


def made(ledger, folder, incident=LARGE, form=Format.HTML):
    return make(ledger, Settings(), incident.incident_id, form, folder, "ann", NOW)


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("incident", CASES, ids=lambda it: it.incident_id.strip("./"))
def test_every_incident_can_be_handed_out_as_anything(ledger, tmp_path, incident, form):
    file = made(ledger, tmp_path / "out", incident, form)
    path = tmp_path / "out" / file.name
    assert path.parent == tmp_path / "out"
    assert path.stat().st_size == file.bytes > 300
    assert is_genuine(file, tmp_path / "out")


def test_sums_are_the_same_on_every_database(ledger_url):
    with Ledger(ledger_url) as ledger:
        with ledger.write() as connection:
            ledger.save_incidents(connection, [LARGE])
            decide(connection, 12, state="sent")
            decide(connection, 3, reason="holdout")
            keys = list(connection.execute(select(notices.c.notice_id, notices.c.subscriber_id)))
            rows = [{"notice_id": key, "region": "US-IL" if at else None} for at, (key, _) in enumerate(keys)]
            connection.execute(notice_traits.insert(), rows)
            call = {"contact_id": "c", "subscriber_id": keys[0][1], "contacted_time": LARGE.detected_time, "csat": 4}
            connection.execute(contacts.insert(), call)
            answer = {"notice_id": keys[0][0], "question": "helped", "answer": 1, "given_time": NOW}
            connection.execute(feedback.insert(), answer)
        facts = known_facts(ledger.engine, LARGE.incident_id)
    assert [(it.channel, it.people, it.states) for it in facts.problem.told] == [("email", 12, {"sent": 12})]
    assert [(it.name, it.people, it.told) for it in facts.regions] == [("US-IL", 14, 11), ("elsewhere", 1, 1)]
    assert (facts.contacts.told.contacting, facts.contacts.told.csat, facts.contacts.held_out.people) == (1, 4.0, 3)
    assert [(it.question, it.count, it.mean) for it in facts.answers] == [("helped", 1, 1.0)]
    assert pdf_of(facts, NOW, "Made.", TEMPLATES).startswith(b"%PDF")


def test_one_that_was_altered_is_known_for_it(ledger, tmp_path):
    file = made(ledger, tmp_path)
    path = tmp_path / file.name
    assert path.stat().st_mode & 0o222 == 0
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"86", b"85"))
    assert not is_genuine(file, tmp_path)
    path.unlink()
    assert not is_genuine(file, tmp_path)


def test_the_ledger_knows_each_report_and_what_it_was_made_with(ledger, tmp_path):
    files = [made(ledger, tmp_path), made(ledger, tmp_path, form=Format.CSV)]
    with ledger.read() as connection:
        known = reports_of(connection, LARGE.incident_id)
        (entry, _) = audit.history(connection, f"incident:{LARGE.incident_id}")
    assert sorted(known, key=lambda it: it.report_id) == sorted(files, key=lambda it: it.report_id)
    assert {it.settings_hash for it in known} == {settings_hash(Settings())}
    assert {it.code_version for it in known} == {code_version()}
    assert (entry.action, entry.actor) == ("report.made", "ann")
    assert files[0].report_id in (tmp_path / files[0].name).read_text(encoding="utf-8")


def test_other_settings_are_another_checksum_and_secrets_are_not_in_it():
    quiet = Settings.model_validate({"notices": {"max_per_day": 1}})
    secret = Settings.model_validate({"ledger": {"password": "hunter2"}})
    assert settings_hash(quiet) != settings_hash(Settings())
    assert settings_hash(secret) == settings_hash(Settings.model_validate({"ledger": {"password": "other"}}))


def test_an_unknown_incident_is_not_reported(ledger, tmp_path):
    with pytest.raises(LookupError):
        make(ledger, Settings(), "inc-none", Format.PDF, tmp_path, "ann", NOW)
    assert list(tmp_path.glob("report-*")) == []


def cells(ledger, tmp_path, incident):
    text = (tmp_path / made(ledger, tmp_path, incident, Format.CSV).name).read_text(encoding="utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def test_the_numbers_are_the_same_in_csv_and_parquet(ledger, tmp_path):
    rows = cells(ledger, tmp_path, LARGE)
    table = pq.read_table(tmp_path / made(ledger, tmp_path, form=Format.PARQUET).name)
    assert [float(row["value"]) for row in rows if row["value"]] == table["value"].to_pylist()
    assert json.loads(table.schema.metadata[b"prebuffer"])["code"] == code_version()
    chart = [row for row in rows if row["section"] == "chart" and row["name"] == "impaired"]
    assert [float(row["value"]) for row in chart] == [float(it.impaired) for it in LARGE.chart]


@pytest.mark.parametrize("incident", [FORMULA, HOSTILE_ONE], ids=["formula", "hostile"])
def test_no_cell_is_a_formula_or_breaks_its_row(ledger, tmp_path, incident):
    for row in cells(ledger, tmp_path, incident):
        assert None not in row
        for cell in row.values():
            assert not cell.startswith(("=", "+", "-", "@"))
            assert cell.isprintable()


def test_a_hostile_name_is_harmless_on_paper_and_on_the_page(ledger, tmp_path):
    page = (tmp_path / made(ledger, tmp_path, HOSTILE_ONE).name).read_text(encoding="utf-8")
    assert HOSTILE not in page
    assert "<script>" not in page


def test_the_pdf_is_tagged_has_its_fonts_inside_and_is_the_same_every_time(ledger):
    facts = known_facts(ledger.engine, LARGE.incident_id)
    one, other = (pdf_of(facts, NOW, "Made.", TEMPLATES) for _ in range(2))
    assert one == other
    content = one + b"".join(unpacked(one))
    assert b"/StructTreeRoot" in content
    assert b"/Lang" in content
    assert b"pdfuaid:part" in content
    descriptors = set(re.findall(rb"/FontName\s*/[A-Z]{6}\+([A-Za-z-]+)", content))
    assert descriptors
    assert len(re.findall(rb"/FontFile[23]?\b", content)) == len(re.findall(rb"/Type\s*/FontDescriptor", content))


def unpacked(pdf):
    for found in re.finditer(rb"stream\r?\n", pdf):
        try:
            yield zlib.decompressobj().decompress(pdf[found.end() :])
        except zlib.error:
            continue
