"""The public reads what leads published, in their words, harmless, and nothing of what is inside."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from xml.etree import ElementTree

import pytest

from console.report.pages import TEMPLATES
from console.status.build import build
from console.status.draft import draft_of
from detectors.finding import Cohort
from incidents.cases import EditedMeanwhileError, ReviewError, UnknownIncidentError
from incidents.ledger import audit
from incidents.ledger.store import Ledger
from incidents.publications import PublicState, post, publication_of, publish, published, withdraw
from telemetry.contract import Signal
from tests.report.samples import EVERYONE, HOSTILE, HOSTILE_ONE, LARGE, NOW, OPEN

HOUR = timedelta(hours=1)
ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.fixture
def ledger(ledger_url):
    with Ledger(ledger_url) as ledger:
        with ledger.write() as connection:
            ledger.save_incidents(connection, [LARGE, OPEN, HOSTILE_ONE, EVERYONE])
        yield ledger


def put(ledger, incident=LARGE, title="Videos stop to load", words="We look into it.", scope="Some viewers.", **more):
    with ledger.write() as connection:
        return publish(connection, incident.incident_id, "ann", NOW, title=title, scope=scope, words=words, **more)


def go_on(ledger, known, state, words="News.", at=NOW + HOUR, seen=None, author="ann"):
    with ledger.write() as connection:
        seen = publication_of(connection, known.publication_id).revision if seen is None else seen
        return post(connection, known.publication_id, author, at, seen=seen, state=state, words=words)


def built(ledger, folder, now=NOW + 2 * HOUR):
    made = build(ledger, folder, TEMPLATES, "Streamy & Co", now, "https://status.example.com")
    feed = ElementTree.fromstring(made.feed.read_text(encoding="utf-8"))
    return made.page.read_text(encoding="utf-8"), feed, json.loads(made.document.read_text(encoding="utf-8"))


def test_nothing_is_public_until_a_lead_says_so(ledger, tmp_path):
    page, feed, document = built(ledger, tmp_path)
    assert "All is well" in page
    assert feed.findall(f"{ATOM}entry") == []
    assert (document["status"], document["incidents"]) == ("ok", [])


def test_updates_are_read_from_investigating_to_over(ledger, tmp_path):
    known = put(ledger)
    go_on(ledger, known, PublicState.IDENTIFIED, "A delivery network.")
    page, feed, document = built(ledger, tmp_path)
    assert "Something is wrong" in page
    assert page.index("A delivery network.") < page.index("We look into it.")
    assert document["status"] == "disrupted"
    over = go_on(ledger, known, PublicState.RESOLVED, "It is over.", NOW + 2 * HOUR)
    assert over.resolved_time == NOW + 2 * HOUR
    page, feed, document = built(ledger, tmp_path, NOW + 3 * HOUR)
    assert "All is well" in page
    (entry,) = feed.findall(f"{ATOM}entry")
    assert entry.find(f"{ATOM}updated").text == (NOW + 2 * HOUR).isoformat()
    assert [it["state"] for it in document["incidents"][0]["updates"]] == ["resolved", "identified", "investigating"]
    assert built(ledger, tmp_path, NOW + timedelta(days=100))[2]["incidents"] == []


def test_nothing_inside_is_shown(ledger, tmp_path):
    known = put(ledger)
    page, feed, document = built(ledger, tmp_path)
    for text in (page, ElementTree.tostring(feed, encoding="unicode"), json.dumps(document)):
        assert LARGE.incident_id not in text
        assert "cdn-amber" not in text
        assert "ann" not in text.replace("channel", "")
        assert known.publication_id in text or "urn:uuid" in text


@pytest.mark.parametrize("field", ["title", "scope", "words"])
def test_names_of_what_is_inside_need_a_leads_word(ledger, field):
    with pytest.raises(ReviewError, match="name cdn-amber, which is internal"):
        put(ledger, **{field: "It is CDN-Amber again"})
    assert put(ledger, **{field: "It is CDN-Amber again"}, names_allowed=True).revision == 0


def test_hostile_words_are_harmless(ledger, tmp_path):
    put(ledger, HOSTILE_ONE, title=HOSTILE[:100], scope=HOSTILE, words=HOSTILE + "]]>\x00\x1b", names_allowed=True)
    page, feed, document = built(ledger, tmp_path)
    assert "<script>" not in page
    assert "\u202e" not in page
    assert len(feed.findall(f"{ATOM}entry")) == 1
    assert document["incidents"][0]["title"].startswith("<script>alert(1)")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [({"title": " "}, "The title is missing"), ({"title": "x" * 200}, "longer than 160"), ({"words": ""}, "missing")],
)
def test_what_makes_no_sense_is_not_published(ledger, values, sentence):
    with pytest.raises(ReviewError, match=sentence):
        put(ledger, **values)


def test_an_incident_is_published_once_and_must_be_there(ledger):
    put(ledger)
    with pytest.raises(ReviewError, match="already"):
        put(ledger)
    with pytest.raises(UnknownIncidentError):
        put(ledger, replace(LARGE, incident_id="inc-none"))


def test_the_second_of_two_who_post_is_told_and_nothing_is_lost(ledger):
    known = put(ledger)
    go_on(ledger, known, PublicState.IDENTIFIED, "First.", author="ben", seen=0)
    with pytest.raises(EditedMeanwhileError, match="ben changed this publication"):
        go_on(ledger, known, PublicState.MONITORING, "Second.", seen=0)
    with ledger.read() as connection:
        assert [it.words for it in publication_of(connection, known.publication_id).updates] == [
            "First.",
            "We look into it.",
        ]


def test_what_should_not_be_there_is_withdrawn_and_kept(ledger):
    known = put(ledger)
    with ledger.write() as connection:
        withdraw(connection, known.publication_id, "ann", NOW, seen=0)
        assert published(connection, NOW - HOUR) == []
        actions = [entry.action for entry in audit.history(connection, f"incident:{LARGE.incident_id}")]
    assert sorted(actions) == ["status.published", "status.withdrawn"]
    with pytest.raises(ReviewError, match="withdrawn"):
        go_on(ledger, known, PublicState.RESOLVED)


@pytest.mark.parametrize(
    ("cohort", "scope"),
    [
        ({}, "Some viewers."),
        ({"cdn": "cdn-amber", "region": "US-IL"}, "Some viewers in one region of the United States."),
        ({"country": "SE", "device_type": "smart_tv"}, "Some viewers (smart TV) in Sweden."),
        ({"isp": "Quillwave Cable"}, "Some viewers."),
    ],
)
def test_a_draft_is_plain_and_names_nothing_inside(cohort, scope):
    draft = draft_of(replace(LARGE, cohort=Cohort.of(cohort)))
    assert (draft.title, draft.scope) == ("Videos stop to load", scope)


@pytest.mark.parametrize("signal", Signal)
def test_every_signal_has_plain_words_that_can_be_published(ledger, signal):
    draft = draft_of(replace(LARGE, signal=signal))
    assert put(ledger, title=draft.title, scope=draft.scope, words=draft.words).title == draft.title


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 320])
def test_the_page_keeps_nobody_out(ledger, tmp_path, browser, axe, scheme, width):
    go_on(ledger, put(ledger), PublicState.MONITORING)
    go_on(ledger, put(ledger, EVERYONE, title="W" * 150), PublicState.RESOLVED)
    built(ledger, tmp_path)
    page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    page.goto((tmp_path / "index.html").as_uri())
    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()
