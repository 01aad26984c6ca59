"""A planned event is silent while it lasts; who has trouble still when it is over is told then, and nobody else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from incidents.ledger.schema import incidents, notices, rollouts
from incidents.ledger.store import Ledger
from incidents.silences import SilenceKind, plan
from notifiers.decide import decide
from notifiers.history import load_history
from notifiers.model import Policy, Recipient
from notifiers.outbox import record_decisions
from notifiers.recheck import of_notices, standings
from notifiers.release import release_due
from notifiers.rollout import ask_for_large
from telemetry.contract import Signal
from tests.ledger.conftest import INCIDENT, OWN_TROUBLE, T0, TROUBLE

NOON = T0 + timedelta(hours=12)
"""Of the person, who lives in London: mail is not held back by the night."""
HOUR = timedelta(hours=1)
UNTIL = NOON + 2 * HOUR
HIT = replace(INCIDENT, onset_time=NOON - HOUR, detected_time=NOON)
STRUCK = replace(TROUBLE, since=NOON - HOUR, last_bad_time=NOON - timedelta(minutes=5))
POLICY = Policy(holdout_share=0.0)
PERSON = Recipient("sub-1", "a@example.com", timezone="Europe/London", country="GB", email_opt_in=True)


@pytest.fixture
def ledger(ledger_url):
    with Ledger(ledger_url) as ledger:
        with ledger.write() as connection:
            ledger.save_incidents(connection, [HIT])
            ledger.save_troubles(connection, [STRUCK], NOON)
        yield ledger


def silence(ledger, kind=SilenceKind.MAINTENANCE, cohort=None, until=UNTIL):
    with ledger.write() as connection:
        cohort = {"cdn": "cdn-b"} if cohort is None else cohort
        return plan(connection, kind, cohort, NOON - 2 * HOUR, until, "ann", "New routers.", NOON)


def decided(ledger, trouble=STRUCK, now=NOON):
    people = {trouble.subscriber_id: replace(PERSON, subscriber_id=trouble.subscriber_id)}
    with ledger.write() as connection:
        history = load_history(connection, [trouble], people, now, POLICY)
        (decision,) = decide([trouble], people, history, POLICY, now)
        record_decisions(connection, [decision])
    return decision


def row_of(ledger):
    with ledger.read() as connection:
        return connection.execute(select(notices.c.withheld_reason, notices.c.release_time)).one()


def released(ledger, now):
    with ledger.write() as connection:
        return release_due(connection, now, policy=POLICY)


def test_nobody_is_told_while_it_lasts(ledger):
    assert decided(ledger, now=NOON).withheld_reason is None
    silence(ledger)
    with ledger.write() as connection:
        connection.execute(notices.delete())
    decision = decided(ledger)
    assert (decision.withheld_reason, decision.release_time, decision.needs_words) == ("silenced", UNTIL, True)
    assert released(ledger, UNTIL - HOUR).released == 0


def test_an_incident_that_outlasts_it_is_told_of_then(ledger):
    silence(ledger)
    decided(ledger)
    assert released(ledger, UNTIL).released == 1
    assert row_of(ledger) == (None, None)


def test_an_incident_that_ends_with_it_is_never_told_of(ledger):
    silence(ledger)
    decided(ledger)
    with ledger.write() as connection:
        connection.execute(update(incidents).values(resolved_time=UNTIL - HOUR))
    assert released(ledger, UNTIL).released == 0
    assert row_of(ledger) == ("silenced", None)


def test_what_was_decided_before_it_was_planned_is_held_before_it_is_sent(ledger):
    decision = decided(ledger)
    assert decision.withheld_reason is None
    silence(ledger)
    with ledger.read() as connection:
        (standing,) = standings(connection, of_notices(notices.c.notice_id == decision.notice_id))
    wait = standing.wait(NOON, POLICY)
    assert (wait.reason, wait.release_time) == ("silenced", UNTIL)
    assert standing.wait(UNTIL, POLICY) is None


def test_a_trouble_of_ones_own_in_it_is_not_told_of_later_either(ledger):
    silence(ledger, SilenceKind.PRICE_CHANGE, {"country": "GB"})
    own = replace(OWN_TROUBLE, problem=Signal.ACCESS, error_class="payment", since=NOON - HOUR, last_bad_time=NOON)
    own = replace(own, last_good_time=None)
    decision = decided(ledger, own)
    assert (decision.withheld_reason, decision.release_time, decision.needs_words) == ("silenced", None, False)
    assert decided(ledger, replace(own, subscriber_id="sub-3", error_class="drm")).withheld_reason is None


def test_nobody_is_asked_to_approve_what_is_silent(ledger):
    silence(ledger)
    crowd = [replace(STRUCK, subscriber_id=f"p{number}") for number in range(60)]
    large = replace(POLICY, staged_people=10)
    with ledger.write() as connection:
        ask_for_large(connection, crowd, 0, large, NOON)
        assert connection.execute(select(rollouts)).all() == []
        ask_for_large(connection, [replace(it, last_bad_time=UNTIL) for it in crowd], 0, large, UNTIL)
        assert len(connection.execute(select(rollouts)).all()) == 1
