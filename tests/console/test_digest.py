"""Leads get one digest a week, with what happened, what it came to and what waits for them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from console.digest import compose, send, week_before
from console.report.pages import TEMPLATES
from detectors.finding import Cohort
from incidents.ledger.store import Ledger
from incidents.reviews import ReviewVerdict, review
from incidents.silences import SilenceKind, plan
from notifiers.channels import Mailbox
from notifiers.model import ChannelName
from tests.report.samples import HOSTILE, LARGE, NOW, OPEN, decide

MONDAY = NOW + timedelta(days=6)
LEADS = ("ann@example.com", "ben@example.com")


@pytest.fixture
def ledger(ledger_url):
    with Ledger(ledger_url) as ledger:
        ledger.upgrade()
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
    assert send(ledger, channels, week, digest, (), MONDAY) == 0
    assert send(ledger, channels, week, digest, LEADS, MONDAY) == 2
    assert send(ledger, channels, week, digest, LEADS, MONDAY + timedelta(hours=1)) == 0
    mails = [path.read_text(encoding="utf-8") for path in tmp_path.glob("*.eml")]
    assert sorted(lead for lead in LEADS for mail in mails if f"To: {lead}" in mail) == list(LEADS)
