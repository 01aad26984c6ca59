"""Answers as the ledger keeps them, on both databases: the latest of each question, counted, and labels."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from incidents.ledger import schema
from notifiers.feedback import AnswerError, Question, Verdict, answer, answers_of, counts, labels, notes
from notifiers.insert import insert_new
from notifiers.model import Recipient, reference
from notifiers.people import keep_people, person_of
from notifiers.said import said_in, said_under

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
KEYS = ("abcdefghijkl2345", "abcdefghijkm2345", "z234567abcdefgh2")


@pytest.fixture
def store(ledger):
    with ledger.write() as connection:
        insert_new(connection, schema.notices, [_notice(key) for key in KEYS])
    return ledger


def _notice(key):
    about = {"subscriber_id": f"u-{key}", "episode": "own:x", "kind": "problem", "decided_time": NOON}
    return about | {"notice_id": key, "problem": "buffering", "cause": "household", "channel": "email"}


def test_the_latest_answer_holds_and_the_same_again_keeps_its_time(store):
    with store.write() as connection:
        assert answer(connection, KEYS[0], Verdict.YES.answers, NOON) == 2
        assert answer(connection, KEYS[0], Verdict.YES.answers, NOON + timedelta(hours=1)) in (0, -1)
        answer(connection, KEYS[0], Verdict.NO_PROBLEM.answers | {Question.CSAT: 2}, NOON + timedelta(hours=2))
        assert answers_of(connection, KEYS[0]) == {Question.NO_PROBLEM: 1, Question.CSAT: 2}


@pytest.mark.parametrize("wrong", [0, 6, -1, True, "3", 2.5])
def test_an_answer_off_its_scale_is_refused(store, wrong):
    with store.write() as connection, pytest.raises(AnswerError, match="a number from 1 to 5"):
        answer(connection, KEYS[0], {Question.HELPED: 1, Question.CSAT: wrong}, NOON)


def test_labels_say_who_had_no_problem_and_nothing_of_who_was_not_helped(store):
    with store.write() as connection:
        for key, verdict in zip(KEYS, Verdict, strict=True):
            answer(connection, key, verdict.answers, NOON)
        found = {it["notice_id"]: (it["was_problem"], it["helped"]) for it in labels(connection)}
        assert found == dict(zip(KEYS, [(True, True), (None, False), (False, None)], strict=True))
        assert list(labels(connection, NOON + timedelta(days=1))) == []


def test_answers_and_notes_are_counted_by_incident(store):
    with store.write() as connection:
        insert_new(connection, schema.incidents, [INCIDENT])
        connection.execute(schema.notices.update().values(incident_id="i-1"))
        for key, verdict in zip(KEYS, Verdict, strict=True):
            answer(connection, key, verdict.answers | {Question.NOTE: f"note {key}"}, NOON)
        found = counts(connection, ["i-1"])
        assert found[Question.HELPED] == {0: 1, 1: 1}
        assert found[Question.NO_PROBLEM] == {0: 2, 1: 1}
        assert len(notes(connection, ["i-1"])) == 3
        assert counts(connection, ["i-2"]) == {}


def test_a_reference_finds_its_own_notice_and_no_near_one(store):
    with store.read() as connection:
        assert [it.notice_id for it in said_under(connection, reference(KEYS[0]))] == [KEYS[0]]
        assert [it.notice_id for it in said_under(connection, reference(KEYS[2]).lower())] == [KEYS[2]]
        assert [said_under(connection, it) for it in ("", "%", "ABCD-EFGH", "0000-0000-0000")] == [[]] * 4
        assert said_in(connection, KEYS[0])[0].reached is False


def test_people_are_kept_without_name_or_address(store):
    ada = Recipient("u-1", "ada@example.net", "Ada", "de-AT", "Europe/Vienna", "AT", email_opt_in=True)
    with store.write() as connection:
        keep_people(connection, [ada, Recipient("u-2", locale="x" * 99, timezone="a\0b")], NOON)
        keep_people(connection, [ada], NOON)
        kept = person_of(connection, "u-1")
        assert (kept.locale, kept.country, kept.email_opt_in, kept.in_app_opt_in) == ("de-AT", "AT", True, False)
        assert (person_of(connection, "u-2").locale, person_of(connection, "nobody")) == (None, None)
    assert not {"email", "display_name"} & set(schema.subscribers.c.keys())


INCIDENT = {
    "incident_id": "i-1",
    "signal": "buffering",
    "cohort": {},
    "onset_time": NOON,
    "detected_time": NOON,
    "severity": "minor",
    "affected_subscribers": 3,
    "cause": "isp",
    "cause_probability": 0.9,
    "evidence": [],
    "observed": 0.4,
    "expected": 0.1,
    "sessions": 9,
    "surprise": 9.0,
    "alternatives": [],
    "chart": [],
    "updated_time": NOON,
}
