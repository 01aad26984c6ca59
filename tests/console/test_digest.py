"""Leads get one digest a week, with what happened, what it came to and what waits for them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from console.digest import LastMailed, Mailed, compose, last_mailed, send, week_before
from console.report.pages import TEMPLATES
from detectors.finding import Cohort
from incidents.ledger.store import Ledger
from incidents.reviews import ReviewVerdict, review
from incidents.silences import SilenceKind, plan
from notifiers.channels import Mailbox
from notifiers.channels.contract import Receipt
from notifiers.errors import OutcomeUnknown, Retryable
from notifiers.model import ChannelName
from notifiers.outbox import Message
from tests.report.samples import HOSTILE, LARGE, NOW, OPEN, decide

MONDAY = NOW + timedelta(days=6)
LEADS = ("ann@example.com", "ben@example.com")


@pytest.fixture
def ledger(ledger_url):
    with Ledger(ledger_url) as ledger:
        with ledger.write() as connection:
            hostile = replace(OPEN, incident_id="inc-h", cohort=Cohort.of({"isp": HOSTILE}))
            ledger.save_incidents(connection, [LARGE, OPEN, hostile])
            decide(connection, 7, state="sent")
            decide(connection, 2, reason="no_consent")
            review(connection, LARGE.incident_id, ReviewVerdict.CONFIRM, "ann", NOW, seen=0)
            plan(
                connection,
                SilenceKind.MAINTENANCE,
                {"cdn": "cdn-amber"},
                MONDAY,
                MONDAY + timedelta(hours=2),
                "ann",
                "New routers.",
                NOW,
            )
        yield ledger


def written(ledger):
    week = week_before(ledger, MONDAY)
    return week, compose(week, "Streamy", TEMPLATES)


def test_it_says_what_happened_and_what_waits(ledger):
    week, digest = written(ledger)
    assert (week.first.isoformat(), week.last.isoformat(), week.key) == ("2026-05-11", "2026-05-17", "digest:2026-W20")
    assert digest.subject == "Streamy: 3 incidents in the week from 2026-05-11"
    for words in (
        "3 in all, 2 without a verdict of yours.",
        "- Buffering: US-IL, cdn-amber: 86 people, our service, 3 h 50 min",
        "7 people were told of a problem.",
        "- 2 not told: no consent",
        "Too few people to say",
        "Planned maintenance.",
        "New routers.",
    ):
        assert words in digest.text, words


def test_a_hostile_name_is_one_harmless_line(ledger):
    _, digest = written(ledger)
    assert "<script>" not in digest.html
    assert "\u202e" not in digest.text
    assert HOSTILE not in digest.text


def test_each_lead_gets_it_once(ledger, tmp_path):
    week, digest = written(ledger)
    channels = {ChannelName.EMAIL: Mailbox(tmp_path, TEMPLATES)}
    assert send(ledger, channels, week, digest, (), MONDAY) == Mailed(0)
    assert send(ledger, channels, week, digest, LEADS, MONDAY) == Mailed(2)
    assert send(ledger, channels, week, digest, LEADS, MONDAY + timedelta(hours=1)) == Mailed(0)
    mails = [path.read_text(encoding="utf-8") for path in tmp_path.glob("*.eml")]
    assert sorted(lead for lead in LEADS for mail in mails if f"To: {lead}" in mail) == list(LEADS)


class Post(Mailbox):
    """A mailbox like a provider that cannot be asked twice, which goes wrong when told to."""

    repeatable = False

    def __init__(self, folder: Path, *wrong: BaseException) -> None:
        super().__init__(folder, TEMPLATES)
        self.wrong = list(wrong)
        self.posted: list[str | None] = []

    def send(self, *messages: Message) -> Receipt:
        self.posted += [message.address for message in messages]
        if self.wrong:
            raise self.wrong.pop(0)
        return super().send(*messages)


def test_what_a_crash_cut_off_is_neither_lost_nor_sent_twice(ledger, tmp_path):
    week, digest = written(ledger)
    post = Post(tmp_path, KeyboardInterrupt())
    channels = {ChannelName.EMAIL: post}
    with pytest.raises(KeyboardInterrupt):
        send(ledger, channels, week, digest, LEADS, MONDAY)
    soon, later = MONDAY + timedelta(minutes=1), MONDAY + timedelta(minutes=20)
    assert send(ledger, channels, week, digest, LEADS, soon) == Mailed(1), "the other lead has it"
    assert send(ledger, channels, week, digest, LEADS, later) == Mailed(0, unknown=1), "and a person is asked"
    with ledger.read() as connection:
        assert last_mailed(connection) == LastMailed("2026-W20", soon, sent=1, unknown=1)
    assert send(ledger, channels, week, digest, LEADS, later, again=True) == Mailed(1)
    assert send(ledger, channels, week, digest, LEADS, later, again=True) == Mailed(0)
    assert post.posted == [LEADS[0], LEADS[1], LEADS[0]]


def test_what_was_certainly_not_taken_is_tried_again(ledger, tmp_path):
    week, digest = written(ledger)
    post = Post(tmp_path, Retryable("The provider is closed."), OutcomeUnknown("The line broke."))
    channels = {ChannelName.EMAIL: post}
    first = send(ledger, channels, week, digest, LEADS, MONDAY)
    assert first == Mailed(0, unknown=1, failed=("The provider is closed.",))
    assert send(ledger, channels, week, digest, LEADS, MONDAY) == Mailed(1, unknown=1)


def test_a_mailbox_is_simply_written_to_again(ledger, tmp_path):
    week, digest = written(ledger)
    with pytest.raises(KeyboardInterrupt):
        send(ledger, {ChannelName.EMAIL: Post(tmp_path, KeyboardInterrupt())}, week, digest, LEADS[:1], MONDAY)
    channels = {ChannelName.EMAIL: Mailbox(tmp_path, TEMPLATES)}
    assert send(ledger, channels, week, digest, LEADS[:1], MONDAY + timedelta(hours=1)) == Mailed(1)
    assert len(list(tmp_path.glob("*.eml"))) == 1
