"""What was learned is kept, searched and done; what readers answered and who complained is on the incident's page."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import httpx
from sqlalchemy import select

from console.report.facts import facts_of
from console.support.sessions import Role
from incidents.ledger.audit import history
from incidents.ledger.casework import lessons, notice_traits, reviews
from incidents.ledger.schema import contacts, notices
from incidents.ledger.store import Ledger
from notifiers import feedback
from notifiers.feedback import Question
from tests.report.samples import HOSTILE, LARGE, ONSET
from tests.support.conftest import AUTHOR

BIG = f"/incidents/{LARGE.incident_id}"


def test_what_was_learned_is_kept_searched_and_in_the_report(lead: httpx.Client, ledger: Ledger) -> None:
    for kind, words in (
        ("well", "The pager rang."),
        ("learned", "Amber fails <over> late."),
        ("action", "Warn Amber."),
    ):
        answer = lead.post(f"{BIG}/lessons", data={"kind": kind, "words": words, "owner": " Grace "})
        assert answer.headers["location"] == f"/console{BIG}/lessons?done=learned"
    lead.post(f"{BIG}/review", data={"seen": "0", "verdict": "confirm", "note": "It was amber again."})
    page = lead.get(f"{BIG}/lessons").text
    for words in ("The pager rang.", "Amber fails &lt;over&gt; late.", "with <bdi>Grace</bdi>", "It was amber again."):
        assert words in page, words
    assert "3 written down" in lead.get(BIG).text
    facts = facts_of(ledger.engine, LARGE.incident_id)
    assert facts is not None
    assert {it.words for it in facts.lessons} == {"The pager rang.", "Amber fails <over> late.", "Warn Amber."}

    def found(**given: str) -> int:
        return lead.get("/lessons", params=given).text.count(f'href="/console{BIG}/lessons"')

    assert (found(), found(text="AMBER"), found(text="amber late"), found(kind="to_do"), found(kind="note")) == (
        4,
        3,
        1,
        1,
        1,
    )
    assert lead.get("/lessons", params={"kind": "nonsense"}).status_code == 422


def test_an_action_is_done_once(client_of: Callable[..., httpx.Client], ledger: Ledger) -> None:
    first, second = client_of(Role.LEAD), client_of(Role.LEAD, "bob@lumen.example")
    first.post(f"{BIG}/lessons", data={"kind": "action", "words": "Warn Amber."})
    with ledger.read() as connection:
        key = connection.scalar(select(lessons.c.lesson_id))
    assert first.post(f"{BIG}/lessons/{key}/done").status_code == 303
    late = second.post(f"{BIG}/lessons/{key}/done")
    assert late.status_code == 409
    assert f"{AUTHOR} did this already." in late.text
    assert second.post(f"{BIG}/lessons/none/done").status_code == 409
    with ledger.read() as connection:
        assert [it.action for it in history(connection)].count("lesson.done") == 1


def test_a_lesson_without_words_is_refused_and_one_too_long_keeps_what_was_typed(lead: httpx.Client) -> None:
    assert "What was learned is missing." in lead.post(f"{BIG}/lessons", data={"words": " "}).text
    long = lead.post(f"{BIG}/lessons", data={"kind": "badly", "words": "Too much. " * 500})
    assert long.status_code == 422
    assert "Too much. Too much." in long.text
    assert '<option value="badly" selected>' in long.text
    assert lead.post(f"{BIG}/lessons", data={"kind": "nonsense", "words": "x"}).status_code == 422
    assert lead.post("/incidents/nowhere/lessons", data={"words": "x"}).status_code == 404


def test_an_incident_shows_complaints_answers_and_regions(lead: httpx.Client, ledger: Ledger) -> None:
    with ledger.write() as connection:
        told = connection.execute(select(notices).where(notices.c.withheld_reason.is_(None)).limit(3)).all()
        held = connection.execute(select(notices).where(notices.c.withheld_reason == "holdout").limit(1)).one()
        for number, (row, minutes) in enumerate(zip((*told, held), (5, 30, 40, 50), strict=True)):
            call = {"contact_id": f"c{number}", "subscriber_id": row.subscriber_id, "contacted_time": ONSET}
            connection.execute(contacts.insert().values(call | {"contacted_time": ONSET + timedelta(minutes=minutes)}))
            traits = {"notice_id": row.notice_id, "region": "US-TX" if row is held else "US-IL"}
            connection.execute(notice_traits.insert().values(traits))
        said = {Question.HELPED: 0, Question.CSAT: 2, Question.NOTE: HOSTILE}
        feedback.answer(connection, told[0].notice_id, said, ONSET + timedelta(hours=1))
    page = lead.get(BIG).text
    assert "In all, 1 contacted support before we had decided on them, 3 after." in page
    assert page.index("The first of those hit contacted support") < page.index("The first notice was decided on")
    assert "2.0 on average" in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    assert "0 (0 %)" in page
    assert regions(page) == ["US-IL", "US-TX"]
    assert page.count('class="wave"') == 2
    assert "most from 12 May 01:00" in page
    assert regions(lead.get(BIG, params={"regions": "told"}).text) == ["US-TX", "US-IL"]
    person = lead.get(f"/subscribers/{told[0].subscriber_id}").text
    assert "They answered: Did this help? <strong>no</strong>" in person


def regions(page: str) -> list[str]:
    table = page.split('id="where"')[1].split("</table>", maxsplit=1)[0]
    return [part.split("</bdi>")[0] for part in table.split("<bdi>")[1:]]


def test_every_lesson_is_on_one_page_of_many(lead: httpx.Client, ledger: Ledger) -> None:
    row = {"incident_id": LARGE.incident_id, "kind": "learned", "author": AUTHOR}
    with ledger.write() as connection:
        for number in range(70):
            when = ONSET + timedelta(minutes=number // 3)
            said = {"lesson_id": f"l{number:02d}", "words": f"Word-{number:02d}.", "written_time": when}
            connection.execute(lessons.insert().values(row | said))
            note = {"review_id": f"r{number:02d}", "verdict": "note", "reviewed_time": when, "revision": number}
            noted = {"incident_id": LARGE.incident_id, "author": AUTHOR, "detail": {}, "note": f"Note-{number:02d}."}
            connection.execute(reviews.insert().values(note | noted))
    found: list[str] = []
    address = "/lessons"
    while address:
        page = lead.get(address).text
        found += re.findall(r"<bdi>((?:Word|Note)-\d\d)\.", page)
        after = re.search(r'href="/console(/lessons\?after=[^"]+)"', page)
        address = after.group(1) if after else ""
    assert len(found) == len(set(found)) == 140
