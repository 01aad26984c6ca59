"""What leads do and see, on both databases: review, stop, approve, silence; two at once; and what is odd or hostile."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any

import httpx
import pytest
from sqlalchemy import event, func, select

from console.report.facts import facts_of
from console.support.sessions import Role
from console.support.words import VERDICTS
from incidents import cases
from incidents.afterwards import send_approved
from incidents.ledger.audit import history
from incidents.ledger.schema import notices, outbox
from incidents.ledger.store import Ledger
from incidents.reviews import reviews_of
from notifiers import rollout, stops
from tests.report.samples import EVERYONE, HOSTILE, LARGE, MERGED, OPEN, trouble_of
from tests.serving import wait_for
from tests.support.conftest import AUTHOR, NOW, ODD

BIG = f"/incidents/{LARGE.incident_id}"
READ = (
    "/",
    "/incidents",
    "/incidents?state=open&order=people",
    "/review",
    BIG,
    "/incidents/inc-hostile",
    f"/incidents/{EVERYONE.incident_id}",
    f"/incidents/{ODD}",
    f"{BIG}/people/told",
    "/incidents/inc-hostile/people/a_reason_of_tomorrow",
    "/approvals",
    f"/approvals/{OPEN.incident_id}",
    "/silences",
    "/effect",
    "/lessons",
    "/lessons?text=a&kind=to_do",
    f"{BIG}/lessons",
    "/incidents/inc-hostile/lessons",
    "/drills",
    "/digest",
    "/trail",
    "/settings",
    "/subscribers",
)


def newest(ledger: Ledger) -> tuple[str, str, str]:
    with ledger.read() as connection:
        entry = history(connection, limit=1)[0]
    return entry.actor, entry.action, entry.subject


def test_every_page_is_there_and_nothing_hostile_runs(lead: httpx.Client) -> None:
    for path in READ:
        page = lead.get(path)
        assert page.status_code == 200, path
        assert "<script>alert" not in page.text, path
        assert "\u202e" not in page.text, path
        assert "{{" not in page.text.replace("{{ 7*7 }}", ""), path


def test_the_overview_shows_the_largest_first_and_what_waits(lead: httpx.Client) -> None:
    page = lead.get("/").text
    assert page.index(EVERYONE.incident_id) < page.index(OPEN.incident_id)
    assert "1\u202f000\u202f000" in page
    assert '<span class="count">1' in page


def test_an_incident_tells_whom_we_told_and_whom_not_with_the_people_behind_it(lead: httpx.Client) -> None:
    page = lead.get(BIG).text
    assert "101 people told" in page
    assert "13 people not told" in page
    assert "Held out" in page
    people = lead.get(f"{BIG}/people/no_consent").text
    assert people.count("/console/subscribers/") == 9


def test_every_person_is_on_one_page_of_many(lead: httpx.Client) -> None:
    address, found = f"{BIG}/people/told", []
    while address:
        page = lead.get(address).text
        found += [part.split('"')[0] for part in page.split('href="/console/subscribers/')[1:]]
        after = page.rsplit("after=", 1)
        address = f"{BIG}/people/told?after={after[1].split(chr(34))[0]}" if "Next page" in page else ""
    assert len(found) == len(set(found)) == 101


def test_a_broken_page_address_is_refused_with_a_sentence(lead: httpx.Client) -> None:
    texts = ("x", "e30", "WzFd", "W1siYSJdLDEsMV0", "====", "a" * 100)
    for path, after in product(("/incidents", "/trail", f"{BIG}/people/told"), texts):
        page = lead.get(path, params={"after": after})
        assert page.status_code == 422
        assert "begin at the list" in page.text


def test_a_false_alarm_is_closed_and_written_down(lead: httpx.Client, ledger: Ledger) -> None:
    form = {"seen": "0", "verdict": "false_alarm", "note": "A test of ours."}
    answer = lead.post(f"/incidents/{ODD}/review", data=form)
    assert answer.headers["location"] == f"/console/incidents/{ODD}?done=reviewed"
    page = lead.get(f"/incidents/{ODD}?done=reviewed").text
    assert "Your review was saved." in page
    assert "A test of ours." in page
    assert newest(ledger) == (AUTHOR, "case.reviewed", f"incident:{ODD}")
    assert ledger.incident(ODD).resolved_time == NOW


@pytest.mark.parametrize(
    ("form", "column", "value"),
    [
        ({"verdict": "wrong_cause", "cause": "isp"}, "cause", "isp"),
        ({"verdict": "wrong_severity", "severity": "critical"}, "severity", "critical"),
        ({"verdict": "merge", "other": LARGE.incident_id}, "merged_into", LARGE.incident_id),
        ({"verdict": "confirm", "cause": "isp", "other": "left over"}, "verdict", "confirm"),
        ({"verdict": "expected_event", "kind": "premiere", "until": "2026-05-13T12:00"}, "verdict", "expected_event"),
        ({"verdict": "split", "groups": "cdn = cdn-amber\n\nregion = US-IL"}, "verdict", None),
        ({"verdict": "note", "note": "Look at <this>."}, "verdict", None),
    ],
)
def test_a_review_takes_what_its_verdict_needs(
    lead, ledger: Ledger, form: dict[str, str], column: str, value: str | None
) -> None:
    assert lead.post(f"/incidents/{ODD}/review", data={"seen": "0", **form}).status_code == 303
    with ledger.read() as connection:
        case, (said,) = cases.case_of(connection, ODD), reviews_of(connection, ODD)
    assert (getattr(case, column), case.revision, said.verdict, said.author) == (value, 1, form["verdict"], AUTHOR)
    assert f"<bdi>{AUTHOR}</bdi>: {VERDICTS[said.verdict]}." in lead.get(f"/incidents/{ODD}").text


def test_what_was_merged_is_parted_again(lead: httpx.Client, ledger: Ledger) -> None:
    form = {"seen": "0", "verdict": "split", "other": MERGED.incident_id}
    assert lead.post(f"{BIG}/review", data=form).status_code == 303
    assert ledger.incident(MERGED.incident_id).merged_into is None


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({}, "Choose what it was."),
        ({"verdict": "nonsense"}, "choose one of those offered"),
        ({"verdict": "wrong_cause"}, "needs the right one"),
        ({"verdict": "note"}, "The note is missing."),
        ({"verdict": "merge", "other": "nowhere"}, "no such"),
        ({"verdict": "expected_event", "until": "soon"}, "is no time"),
        ({"verdict": "split", "groups": "region is Texas"}, "one line for each value"),
    ],
)
def test_a_review_that_makes_no_sense_keeps_what_was_typed(lead, form: dict[str, str], sentence: str) -> None:
    typed = {"seen": "0", "note": "", **form}
    answer = lead.post(f"{BIG}/review", data=typed)
    if form.get("other") == "nowhere":
        assert answer.status_code == 404
        return
    assert answer.status_code == 422
    assert sentence in answer.text
    for name in ("until", "groups"):
        assert form.get(name, "") in answer.text


def test_the_second_of_two_leads_is_told_and_loses_nothing(client_of, ledger: Ledger) -> None:
    first, second = client_of(Role.LEAD, "ada@lumen.example"), client_of(Role.LEAD, "bob@lumen.example")
    first.post(f"{BIG}/review", data={"seen": "0", "verdict": "confirm", "note": "Seen it."})
    mine = 'I believe that <it> was "ours"'
    late = second.post(f"{BIG}/review", data={"seen": "0", "verdict": "wrong_cause", "cause": "app", "note": mine})
    assert late.status_code == 409
    assert "ada@lumen.example changed this incident" in late.text
    assert "I believe that &lt;it&gt; was &#34;ours&#34;" in late.text
    assert 'value="wrong_cause" required checked' in late.text
    assert '<option value="app" selected>' in late.text
    assert 'name="seen" value="1"' in late.text
    with ledger.read() as connection:
        assert cases.case_of(connection, LARGE.incident_id).cause is None
    again = second.post(f"{BIG}/review", data={"seen": "1", "verdict": "wrong_cause", "cause": "app", "note": mine})
    assert again.status_code == 303
    owner = first.post(f"{BIG}/owner", data={"seen": "1", "owner": "Grace"})
    assert owner.status_code == 409
    assert 'value="Grace"' in owner.text


def test_an_owner_is_named_and_taken_away(lead: httpx.Client, ledger: Ledger) -> None:
    lead.post(f"{BIG}/owner", data={"seen": "0", "owner": " Grace  Hopper "})
    assert "Grace Hopper" in lead.get("/incidents").text
    lead.post(f"{BIG}/owner", data={"seen": "1", "owner": ""})
    assert "Grace Hopper" not in lead.get("/incidents").text


def test_sending_is_stopped_with_a_reason_shown_everywhere_and_resumed(lead, ledger: Ledger, clock) -> None:
    assert lead.post("/stop", data={"scope": "all", "reason": "  "}).status_code == 422
    assert lead.post("/stop", data={"scope": "nonsense", "reason": "x"}).status_code == 422
    assert lead.post("/stop", data={"scope": "all", "reason": "Wrong <words>"}).status_code == 303
    for path in READ:
        assert "Wrong &lt;words&gt;" in lead.get(path).text
    clock.forward(minutes=1)
    lead.post("/resume", data={"scope": "all"})
    with ledger.read() as connection:
        assert stops.in_force(connection, clock()) == []
    assert newest(ledger) == (AUTHOR, "sending.resumed", "all")


@pytest.mark.parametrize(("answer", "state"), [("approve", "going"), ("refuse", "refused")])
def test_an_audience_is_decided_on_once(lead: httpx.Client, ledger: Ledger, answer: str, state: str) -> None:
    page = lead.get(f"/approvals/{OPEN.incident_id}").text
    assert "52\u202f000 people would read this" in page
    mail = lead.get(f"/approvals/{OPEN.incident_id}/mail")
    assert "sandbox" in mail.headers["content-security-policy"]
    assert "frame-ancestors 'self'" in mail.headers["content-security-policy"]
    path = f"/approvals/{OPEN.incident_id}"
    assert lead.post(path, data={"answer": answer, "note": "Read it."}).status_code == 303
    with ledger.read() as connection:
        decided = rollout.read(connection, [OPEN.incident_id])[OPEN.incident_id]
    assert (decided.state, decided.decided_by, decided.note) == (state, AUTHOR, "Read it.")
    assert lead.post(path, data={"answer": "refuse"}).status_code == 422
    assert lead.post(path, data={"answer": ""}).status_code == 422
    assert lead.get("/approvals/nothing").status_code == 404


def test_a_false_alarm_is_taken_back_at_one_word_of_approval(lead: httpx.Client, ledger: Ledger) -> None:
    assert lead.post(f"{BIG}/review", data={"seen": "0", "verdict": "false_alarm"}).status_code == 303
    path = f"/approvals/correction:{LARGE.incident_id}"
    page = lead.get(path).text
    assert "There was no fault at all." in page
    assert "A correction: nothing was wrong" in page
    assert "Approve: tell all 101 people" in page
    assert "in stages" not in page
    with ledger.write() as connection:
        assert send_approved(connection, NOW) == 0
    assert lead.post(path, data={"answer": "approve"}).status_code == 303
    with ledger.write() as connection:
        assert send_approved(connection, NOW) == 101
        assert send_approved(connection, NOW) == 0


def test_a_silence_is_planned_shown_and_ended(lead: httpx.Client) -> None:
    wrong = lead.post("/silences", data={"group": "region: Texas", "ends": "2026-05-14T00:00", "reason": "Works"})
    assert wrong.status_code == 422
    assert "region: Texas" in wrong.text
    assert lead.post("/silences", data={"reason": "no end"}).status_code == 422
    form = {"kind": "maintenance", "group": "region = US-IL", "ends": "2026-05-14T00:00", "reason": "New <pipes>"}
    assert lead.post("/silences", data=form).status_code == 303
    page = lead.get("/silences").text
    assert "New &lt;pipes&gt;" in page
    assert "in force" in page
    assert "New &lt;pipes&gt;" in lead.get("/").text
    action = page.split('action="/console/silences/')[1].split("/end")[0]
    assert lead.post(f"/silences/{action}/end", data={"seen": "7"}).status_code == 409
    assert lead.post(f"/silences/{action}/end", data={"seen": "0"}).status_code == 303
    assert lead.post(f"/silences/{action}/end", data={"seen": "1"}).status_code == 422
    trail = lead.get("/trail").text
    assert "a silence</a>" in trail
    assert "14 May 00:00" in trail


def test_somebody_is_found_by_id_and_by_reference_and_their_case_names_no_address(lead, ledger: Ledger) -> None:
    with ledger.write() as connection:
        key = connection.execute(outbox.select().where(outbox.c.channel == "email")).first().notice_id
        connection.execute(outbox.update().where(outbox.c.notice_id == key).values(address="sam@example.net"))
        told = connection.execute(notices.select().where(notices.c.notice_id == key)).one()
    found = lead.get("/subscribers", params={"who": told.subscriber_id})
    assert found.headers["location"] == f"/console/subscribers/{told.subscriber_id}"
    page = lead.get(f"/subscribers/{told.subscriber_id}").text
    assert "s…@example.net" in page
    assert "sam@example.net" not in page
    packet = lead.post(f"/subscribers/{told.subscriber_id}/case", data={"form": "json"})
    assert "example.net" not in packet.text
    assert packet.json()["notices"][0]["told"] is True
    for nobody in ("abcd-efgh-2345", "nobody", HOSTILE, "ABCDEFGH2345"):
        answer = lead.get("/subscribers", params={"who": nobody[:150]})
        assert answer.status_code == 404
        assert "<script>alert" not in answer.text


def test_why_somebody_was_not_told_is_said_in_words(lead: httpx.Client) -> None:
    people = lead.get(f"{BIG}/people/holdout").text
    who = people.split('href="/console/subscribers/')[1].split('"')[0]
    page = lead.get(f"/subscribers/{who}").text
    assert "Not told: Held out" in page
    assert "so that the effect can be measured" in page


def test_filters_narrow_and_a_wrong_one_is_refused(lead: httpx.Client) -> None:
    def shown(**given: str) -> set[str]:
        page = lead.get("/incidents", params=given).text.split('id="results"')[1]
        return {part.split('"')[0] for part in page.split('href="/console/incidents/')[1:]}

    assert shown() == {LARGE.incident_id, OPEN.incident_id, EVERYONE.incident_id, "inc-hostile", ODD}
    assert shown(state="open") == {OPEN.incident_id, EVERYONE.incident_id, ODD}
    assert shown(text="CDN-amb us-il") == {LARGE.incident_id}
    assert shown(text="بيت") == {"inc-hostile"}
    assert shown(text='"%_\\') == set()
    assert shown(cause="isp") == {"inc-hostile"}
    assert shown(signal="failure", severity="minor") == {OPEN.incident_id, ODD}
    assert shown(since="2026-05-12", until="2026-05-12T11:00") == {
        LARGE.incident_id,
        EVERYONE.incident_id,
        "inc-hostile",
    }
    assert MERGED.incident_id not in shown()
    assert lead.get("/incidents", params={"state": "nonsense"}).status_code == 422
    assert lead.get("/incidents", params={"since": "yesterday"}).status_code == 422


def test_an_incident_that_grows_shows_what_is_there_now(lead: httpx.Client, ledger: Ledger) -> None:
    path = f"/incidents/{ODD}"
    assert "12 people" in lead.get(path).text
    with ledger.write() as connection:
        grown = replace(ledger.incident(ODD), affected_subscribers=5_000)
        ledger.save_incidents(connection, [grown])
    assert "5\u202f000 people" in lead.get(path).text


def test_a_page_does_not_wait_for_the_pipeline_that_writes(lead: httpx.Client, ledger: Ledger, clock) -> None:
    clock.forward(minutes=5)
    with ledger.write() as connection:
        connection.execute(outbox.update().values(attempts=1))
        for path in READ:
            assert lead.get(path, timeout=8).status_code == 200, path
    wait_for(lambda: lead.get("/").status_code == 200)


def test_the_pipeline_does_not_wait_for_whoever_reads(lead: httpx.Client, ledger: Ledger, clock) -> None:
    with ledger.read() as reader:
        seen = reader.scalar(select(func.count()).select_from(outbox).where(outbox.c.attempts == 7))
        with ledger.write() as connection:
            connection.execute(outbox.update().values(attempts=7))
            rollout.ask(connection, EVERYONE.incident_id, 90_000, 0.01, clock())
        reader.rollback()
        assert reader.scalar(select(func.count()).select_from(outbox).where(outbox.c.attempts == 7)) > seen == 0
    assert EVERYONE.incident_id in lead.get("/approvals").text


def test_no_page_reads_a_long_table_from_end_to_end(lead: httpx.Client, ledger: Ledger) -> None:
    if ledger.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL rightly reads a table of a few rows whole.")
    asked: set[tuple[str, tuple[object, ...]]] = set()

    @event.listens_for(ledger.engine, "after_cursor_execute")
    def note(*of: Any) -> None:
        if of[2].startswith("SELECT"):
            asked.add((of[2], tuple(of[3])))

    for path in (*READ, "/incidents?text=nothing", "/incidents?order=people&text=cdn", "/subscribers?who=nobody"):
        lead.get(path)
    facts_of(ledger.engine, LARGE.incident_id)
    event.remove(ledger.engine, "after_cursor_execute", note)
    with ledger.read() as connection:
        plans = {sql: connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all() for sql, values in asked}
    long = "|".join(("notices", "troubles", "outbox", "contacts", "notice_traits", "deliveries"))
    scans = {sql for sql, plan in plans.items() for step in plan if re.match(rf"SCAN ({long})\b", step[3])}
    assert {sql for sql in scans if "count(" in sql or "LIMIT" not in sql} == set()
    searched = [step[3] for sql, plan in plans.items() if "instr(" in sql for step in plan if "SCAN inc" in step[3]]
    assert searched
    assert all("COVERING INDEX ix_incidents_listed" in step for step in searched), searched


def test_the_audit_trail_is_filtered_by_who_and_what(lead: httpx.Client) -> None:
    lead.post(f"{BIG}/owner", data={"seen": "0", "owner": "Grace"})
    assert "changed the owner of" in lead.get("/trail", params={"subject": f"incident:{LARGE.incident_id}"}).text
    assert "Nothing was changed." in lead.get("/trail", params={"actor": "nobody"}).text


def test_the_case_packet_is_looked_at_and_handed_out_and_both_are_written_down(lead: httpx.Client, ledger) -> None:
    people = lead.get(f"{BIG}/people/told").text
    who = people.split('href="/console/subscribers/')[1].split('"')[0]
    with ledger.write() as connection:
        ledger.save_troubles(connection, [trouble_of(who)], NOW)
    page = lead.post(f"/subscribers/{who}/case").text
    assert "That you looked is in the audit trail" in page
    assert "90 % sure" in lead.get(f"/subscribers/{who}").text
    assert newest(ledger) == (AUTHOR, "case.looked_at", f"subscriber:{who}")
    packet = json.loads(lead.post(f"/subscribers/{who}/case", data={"form": "json"}).text)
    assert set(packet) == {"subscriber_id", "made_time", "troubles", "notices", "contacts", "preferences", "problems"}
    assert timedelta(0) == NOW - NOW.fromisoformat(packet["made_time"])
    assert packet["problems"][0]["cause"] == "service"
    assert lead.post("/subscribers/nobody/case").status_code == 404
    assert lead.get("/trail").text.count("the case of") == 2


def test_an_incident_is_published_updated_and_withdrawn(lead: httpx.Client) -> None:
    named = {"title": "Buffering at cdn-amber", "scope": "Some viewers.", "words": "We are on it."}
    refused = lead.post(f"{BIG}/public", data=named)
    assert refused.status_code == 422
    assert 'value="Buffering at cdn-amber"' in refused.text
    assert lead.post(f"{BIG}/public", data=named | {"title": "Videos stop to load"}).status_code == 303
    update = {"seen": "0", "state": "resolved", "words": "It is over."}
    assert lead.post(f"{BIG}/public/update", data=update).status_code == 303
    late = lead.post(f"{BIG}/public/update", data=update | {"words": "Typed in vain?"})
    assert late.status_code == 409
    assert "Typed in vain?" in late.text
    assert lead.post(f"{BIG}/public/withdraw", data={"seen": "1"}).status_code == 303
    assert "withdrawn" in lead.get(BIG).text
    assert lead.post(f"/incidents/{ODD}/public/update", data=update).status_code == 422


def test_a_report_is_made_and_handed_out_unless_somebody_changed_it(lead: httpx.Client, settings) -> None:
    assert lead.post(f"{BIG}/reports", data={"form": "html"}).status_code == 303
    report = lead.get(BIG).text.split('href="/console/reports/')[1].split('"')[0]
    handed = lead.get(f"/reports/{report}")
    assert handed.status_code == 200
    assert "attachment" in handed.headers["content-disposition"]
    (file,) = settings.paths.reports.glob("*.html")
    file.chmod(0o644)
    file.write_text("changed")
    assert lead.get(f"/reports/{report}").status_code == 503
    assert lead.get("/reports/nothing").status_code == 404
