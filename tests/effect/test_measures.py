"""What the daily sums say is what the notices and contacts say, whenever and however often they are summed."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from incidents.ledger.casework import rolled_days, service_days
from notifiers.effect.measures import Measure, service
from notifiers.effect.roll_up import AFTER_HOLDOUT, arm_of, roll_up
from notifiers.effect.verdicts import Outcome
from notifiers.model import WithheldReason
from tests.effect.conftest import START

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def rolled(ledger, now=START + 90 * DAY):
    with ledger.write() as connection:
        return roll_up(connection, now)


def measured(ledger, days=1):
    with ledger.read() as connection:
        return service(connection, START.date(), (START + (days - 1) * DAY).date())


def of(found, measure):
    return next(it for it in found.judged if it.measure is measure)


def sums(ledger, arm="told", trait="all"):
    with ledger.read() as connection:
        table = service_days.c
        found = connection.execute(select(service_days).where(table.arm == arm, table.trait == trait)).mappings().all()
    return {
        name: sum(row[name] for row in found)
        for name in ("people", "reached", "contacting", "soon", "before", "contacts")
    }


def test_arms_follow_the_order_of_the_gates():
    assert arm_of(None) == arm_of("frequency_cap") == arm_of("quiet_hours") == "told"
    assert arm_of("holdout") == "held_out"
    assert arm_of("no_consent") == arm_of("expired") == "other"
    assert WithheldReason.HOLDOUT.value not in AFTER_HOLDOUT


def test_a_person_counts_once_a_day_by_their_first_notice(ledger, world):
    world.notice("a", START + HOUR)
    world.notice("a", START + 3 * HOUR)
    world.notice("b", START + 2 * HOUR, reason="frequency_cap")
    world.notice("c", START + 2 * HOUR, reason="no_consent")
    world.contact("a", START + 2 * HOUR, csat=4)
    world.contact("a", START + 40 * HOUR)
    world.contact("b", START, csat=1)
    rolled(ledger)
    assert sums(ledger) == {"people": 2, "reached": 1, "contacting": 1, "soon": 1, "before": 1, "contacts": 1}
    assert sums(ledger, "other")["people"] == 1


def test_summing_again_changes_nothing_and_late_contacts_are_taken_in_until_a_day_is_final(ledger, world):
    world.notice("a", START + HOUR)
    assert rolled(ledger, START + DAY) == [START.date(), (START + DAY).date()]
    first = sums(ledger)
    rolled(ledger, START + DAY)
    assert sums(ledger) == first
    world.contact("a", START + 3 * HOUR)
    rolled(ledger, START + 2 * DAY)
    assert sums(ledger)["contacting"] == 1
    rolled(ledger, START + 4 * DAY)
    world.contact("a", START + 4 * HOUR)
    rolled(ledger, START + 5 * DAY)
    assert sums(ledger)["contacts"] == 1
    with ledger.read() as connection:
        finals = connection.execute(select(rolled_days.c.day).where(rolled_days.c.final)).scalars().all()
    assert finals == [START.date(), (START + DAY).date()]


def test_an_empty_ledger_says_that_there_is_nobody(ledger):
    assert rolled(ledger) == []
    found = measured(ledger)
    assert all(it.comparison.hidden for it in found.judged)
    assert (found.preempted, found.caused, found.lead_seconds, found.notices_per_incident, found.served) == (
        None,
        None,
        None,
        None,
        (),
    )


def test_a_day_without_anybody_is_a_day(ledger, world):
    world.notice("a", START + HOUR)
    world.notice("b", START + 2 * DAY)
    assert len(rolled(ledger, START + 2 * DAY)) == 3


def test_notices_that_help_are_seen_to_help(ledger, world):
    world.crowd(10, 400, told_rate=0.05, held_rate=0.25, held_share=0.3)
    rolled(ledger)
    found = measured(ledger, 10)
    contact_rate = of(found, Measure.CONTACT_RATE)
    assert contact_rate.comparison.outcome is Outcome.HELPS
    assert contact_rate.verdict == "It helps."
    assert contact_rate.comparison.difference == pytest.approx(-0.2, abs=0.04)
    assert 0.6 < found.preempted.low < found.preempted.value < found.preempted.high < 0.95
    assert found.caused.high < 0
    assert found.lead_seconds == pytest.approx(1800)


def test_two_groups_alike_are_not_told_apart(ledger, world):
    world.crowd(6, 300)
    rolled(ledger)
    found = measured(ledger, 6)
    assert {it.comparison.outcome for it in found.judged} <= {Outcome.TOO_EARLY, Outcome.SAME}


def test_who_is_served_worse_is_seen_and_a_few_people_are_hidden(ledger, world):
    world.crowd(4, 400, told_rate=0.05, region=lambda number: "US-TX")
    for number in range(200):
        world.notice(f"w{number}", START + HOUR, region="MX-JAL")
        if number % 3 == 0:
            world.contact(f"w{number}", START + 2 * HOUR)
    for number in range(5):
        world.notice(f"f{number}", START + HOUR, region="SE-AB")
    rolled(ledger)
    served = {it.value: it for it in measured(ledger, 4).served if it.trait == "region"}
    assert served["MX-JAL"].worse
    assert not served["US-TX"].worse
    assert served["SE-AB"].hidden
    assert served["SE-AB"].contact_rate is None


def test_who_is_reached_less_is_seen_too(ledger, world):
    for number in range(150):
        world.notice(f"a{number}", START + HOUR, language="en")
        world.notice(f"b{number}", START + HOUR, language="ar", reason=None if number % 2 else "no_address")
    rolled(ledger)
    served = {it.value: it for it in measured(ledger).served if it.trait == "language"}
    assert served["ar"].worse
    assert served["ar"].reached.value == pytest.approx(0.5)
    assert not served["en"].worse


def test_notices_are_counted_by_shared_incident(ledger, world):
    for number in range(4):
        world.notice(f"a{number}", START + HOUR, incident=None)
    rolled(ledger)
    assert measured(ledger).notices_per_incident is None
