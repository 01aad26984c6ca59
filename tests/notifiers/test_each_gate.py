"""Each gate is there for something: with it switched off, somebody is told whom the judge of histories would spare.

A story is a short history in which one gate alone stands between somebody and a message. With all gates it ends well;
without that one the judge complains of just that. Told twice: of gates when it is decided, and when it is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from incidents.ledger import schema
from incidents.ledger.store import Ledger
from incidents.model import Cause, TroubleKind, Verdict
from notifiers import decide, rollout
from notifiers.model import Category, ChannelName, Policy
from notifiers.standing import Standing
from tests.ledger.conftest import TROUBLE
from tests.notifiers.histories import EMAIL, HOUR, MINUTE, STRANGER, ZONES, History

NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)
NOTHING = timedelta(0)
WIDE = Policy(
    holdout_share=0.0,
    release_over=NOTHING,
    incident_gap=NOTHING,
    own_gap=NOTHING,
    max_per_day=9,
    max_per_week=99,
    max_per_incident=9,
)
ANN, BOB, EVE, NO_MAIL = "u-0", "u-3", "u-1", "u-5"
"""Ann and Eve share a mailbox."""


@pytest.fixture(scope="module")
def ledger(tmp_path_factory) -> Iterator[Ledger]:
    with Ledger(f"sqlite:///{tmp_path_factory.mktemp('each')}/ledger.db", durable=False) as ledger:
        schema.metadata.create_all(ledger.engine)
        yield ledger


@pytest.fixture
def anew(ledger) -> Callable[[], Story]:
    """Begins a story, with nothing in the ledger."""

    def begin() -> Story:
        with ledger.write() as connection:
            for table in reversed(schema.metadata.sorted_tables):
                connection.execute(table.delete())
        return Story(ledger)

    return begin


class Story(History):
    """A history that is told, not drawn."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger, 0)
        self.now, self.policy = NOON, WIDE
        self.opted = dict.fromkeys(((who, name) for who in ZONES for name in ChannelName), True)

    def strikes(self, incident_id: str | None, *people: str, cause=Cause.SERVICE, **times) -> None:
        """Decide on people who have a problem, of an incident or of their own."""
        self.window([self.problem(who, incident_id, cause, **times) for who in people])

    def problem(self, who, incident_id, cause, bad=5 * MINUTE, good=None, resolved=False):
        return replace(
            TROUBLE,
            subscriber_id=who,
            incident_id=incident_id,
            verdict=Verdict(cause if incident_id is None else self.ledger.incident(incident_id).verdict.cause, 0.95),
            since=self.now - bad - 2 * HOUR,
            last_bad_time=self.now - bad,
            last_good_time=good,
            incident_resolved=resolved,
        )

    def ends_for(self, incident_id: str, *people: str) -> None:
        """Decide on people for whom an incident is over."""
        self.window(
            [
                replace(self.problem(who, incident_id, None), kind=TroubleKind.ALL_CLEAR, incident_resolved=True)
                for who in people
            ]
        )

    def only_by(self, channel: ChannelName) -> None:
        """Nobody takes anything by another channel."""
        self.opted = {(who, name): name is channel for who, name in self.opted}

    def passes(self, **time) -> None:
        self.now += timedelta(**time)

    def mail_of(self, who: str):
        return next(message for message, _ in self.taken.values() if message.subscriber_id == who)


# At decision


def a_stranger(it: Story) -> None:
    it.strikes(it.opened(), STRANGER)


def the_end_of_what_was_not_told(it: Story) -> None:
    incident = it.opened()
    it.close(incident)
    it.ends_for(incident, ANN)


def trouble_of_yesterday(it: Story) -> None:
    it.strikes(it.opened(), ANN, bad=13 * HOUR)


def what_is_over(it: Story) -> None:
    incident = it.opened()
    it.close(incident)
    it.strikes(incident, ANN, resolved=True)


def who_watches_well(it: Story) -> None:
    it.strikes(None, ANN, cause=Cause.HOUSEHOLD, bad=3 * HOUR, good=it.now - HOUR)


def who_was_helped(it: Story) -> None:
    it.ask_support(ANN, answered=True)
    it.passes(minutes=30)
    it.strikes(it.opened(), ANN)


def who_said_no(it: Story) -> None:
    for channel in ChannelName:
        it.choose(ANN, channel, Category.SHARED, allowed=False)
    it.strikes(it.opened(), ANN)


def who_has_no_address(it: Story) -> None:
    it.only_by(EMAIL)
    it.strikes(it.opened(), NO_MAIL)


def whose_mail_bounced(it: Story) -> None:
    it.only_by(EMAIL)
    it.strikes(it.opened(), ANN)
    it.send([])
    it.report(it.mail_of(ANN), "bounce")
    it.strikes(it.opened(), EVE)


def who_is_held_out(it: Story) -> None:
    it.policy = replace(it.policy, holdout_share=1.0)
    it.strikes(it.opened(), ANN)


def who_has_just_heard_it(it: Story) -> None:
    it.policy = replace(it.policy, own_gap=9 * HOUR)
    for _ in range(2):
        it.strikes(None, ANN, cause=Cause.HOUSEHOLD)
        it.send([])
        it.passes(hours=1)


def who_hears_of_their_home_after_a_wide_fault(it: Story) -> None:
    it.policy = replace(it.policy, incident_gap=9 * HOUR)
    it.strikes(it.opened(), ANN)
    it.send([])
    it.passes(hours=1)
    it.strikes(None, ANN, cause=Cause.HOUSEHOLD)


def enough_for(**caps) -> Callable[[Story], None]:
    def story(it: Story) -> None:
        it.policy = replace(it.policy, **caps)
        for _ in range(2):
            it.strikes(it.opened(), ANN)
            it.send([])
            it.passes(hours=1)

    return story


def enough_of_an_incident(it: Story) -> None:
    it.policy = replace(it.policy, max_per_incident=1)
    part, whole = it.opened(), it.opened()
    it.strikes(part, ANN)
    it.send([])
    it.merge(part, whole)
    it.strikes(whole, ANN)


def the_end_while_its_beginning_waits(it: Story) -> None:
    it.plan_an_event(5)
    part, whole = it.opened(), it.opened()
    it.strikes(part, ANN)
    it.merge(part, whole)
    it.ends_for(part, ANN)


def what_was_planned(it: Story) -> None:
    it.plan_an_event(5)
    it.strikes(it.opened(), ANN)


def who_sleeps(it: Story) -> None:
    it.only_by(EMAIL)
    it.passes(hours=11)
    it.strikes(it.opened(), ANN)


def more_than_the_provider_takes(it: Story) -> None:
    it.only_by(EMAIL)
    it.policy = replace(it.policy, email_budget=1)
    it.strikes(it.opened(), ANN, BOB)


def a_large_audience(it: Story) -> None:
    it.policy = replace(it.policy, staged_people=2, stages=(0.01,))
    it.strikes(it.opened(), ANN, BOB, EVE)


AT_DECISION = [
    ("unknown_subscriber", a_stranger, "a stranger"),
    ("not_told", the_end_of_what_was_not_told, "an end without a beginning"),
    ("expired", trouble_of_yesterday, "stale"),
    ("recovered", what_is_over, "over"),
    ("recovered", who_watches_well, "watches well"),
    ("contacted_support", who_was_helped, "was helped"),
    ("no_consent", who_said_no, "unwanted"),
    ("no_address", who_has_no_address, "no address"),
    ("suppressed", whose_mail_bounced, "suppressed"),
    ("holdout", who_is_held_out, "held out"),
    ("told_recently", who_has_just_heard_it, "told recently"),
    ("told_recently", who_hears_of_their_home_after_a_wide_fault, "told recently"),
    ("frequency_cap", enough_for(max_per_day=1), "cap of the day"),
    ("frequency_cap", enough_for(max_per_week=1), "cap of the week"),
    ("frequency_cap", enough_of_an_incident, "cap of the incident"),
    ("problem_held", the_end_while_its_beginning_waits, "an end without a beginning"),
    ("silenced", what_was_planned, "planned"),
    ("quiet_hours", who_sleeps, "quiet"),
    ("provider_budget", more_than_the_provider_takes, "budget"),
    ("rollout", a_large_audience, "not their turn"),
]


def named(value: object) -> str:
    return getattr(value, "__name__", str(value))


@pytest.mark.parametrize(("gate", "tell", "complaint"), AT_DECISION, ids=named)
def test_without_a_gate_somebody_is_told_whom_it_spares(gate, tell, complaint, anew, monkeypatch) -> None:
    tell(anew())
    monkeypatch.setattr(decide, "GATES", tuple(it for it in decide.GATES if it.__name__ != gate))
    with pytest.raises(AssertionError, match=f"^{complaint}"):
        tell(anew())


def test_each_gate_has_its_story() -> None:
    assert {gate for gate, *_ in AT_DECISION} == {gate.__name__ for gate in decide.GATES}


# At sending


def it_outlives_its_time(it: Story) -> None:
    it.strikes(it.opened(), ANN)
    it.passes(hours=20)


def it_is_over(it: Story) -> None:
    incident = it.opened()
    it.strikes(incident, ANN)
    it.close(incident)


def she_asks_support(it: Story) -> None:
    it.strikes(it.opened(), ANN)
    it.passes(minutes=1)
    it.ask_support(ANN, answered=None)


def its_beginning_was_not_delivered(it: Story) -> None:
    incident = it.opened()
    it.strikes(incident, ANN)
    it.send([])
    it.close(incident)
    it.ends_for(incident, ANN)
    it.report(it.mail_of(ANN), "dropped")


def she_says_no(it: Story) -> None:
    it.strikes(it.opened(), ANN)
    it.choose(ANN, EMAIL, Category.SHARED, allowed=False)


def the_subscriber_list_says_no(it: Story) -> None:
    it.strikes(it.opened(), ANN)
    it.opted[ANN, EMAIL] = False


def another_mail_to_the_mailbox_bounces(it: Story) -> None:
    incident = it.opened()
    it.strikes(incident, ANN)
    it.send([])
    it.strikes(incident, EVE)
    it.report(it.mail_of(ANN), "bounce")


def more_are_held_out(it: Story) -> None:
    it.strikes(it.opened(), ANN)
    it.policy = replace(it.policy, holdout_share=1.0)


def two_wait_and_one_is_enough(**limits) -> Callable[[Story], None]:
    def story(it: Story) -> None:
        for _ in range(2):
            it.strikes(None, ANN, cause=Cause.HOUSEHOLD)
            it.passes(minutes=1)
        it.policy = replace(it.policy, **limits)

    return story


def news_of_a_part_and_of_the_whole_wait(it: Story) -> None:
    whole, part = it.opened(), it.opened()
    it.strikes(whole, ANN)
    it.strikes(part, ANN)
    it.merge(part, whole)
    it.policy = replace(it.policy, max_per_incident=1)


def a_wide_fault_is_found_before_she_hears_of_her_home(it: Story) -> None:
    it.policy = replace(it.policy, incident_gap=HOUR)
    it.strikes(None, ANN, cause=Cause.HOUSEHOLD)
    it.passes(minutes=1)
    with it.ledger.write() as connection:
        connection.execute(update(schema.outbox).values(next_attempt_time=it.now + MINUTE))
    it.strikes(it.opened(), ANN)
    it.passes(minutes=1)


def staff_say_no(it: Story) -> None:
    it.policy = replace(it.policy, staged_people=2, stages=(0.99,))
    incident = it.opened()
    it.strikes(incident, *ZONES)
    with it.ledger.write() as connection:
        rollout.refuse(connection, incident, "lea", it.now)


def she_sees_the_card(it: Story) -> None:
    it.policy = replace(it.policy, active_within=2 * HOUR)
    it.strikes(it.opened(), ANN)
    it.send([])
    it.passes(minutes=40)
    it.window([])
    it.see_cards(ANN)


def an_event_is_planned(it: Story) -> None:
    it.strikes(it.opened(), ANN)
    it.passes(minutes=1)
    it.plan_an_event(5)


def night_falls(it: Story) -> None:
    it.passes(hours=9, minutes=55)
    it.strikes(it.opened(), ANN)
    it.passes(minutes=10)


def its_audience_grows(it: Story) -> None:
    incident = it.opened()
    it.strikes(incident, ANN)
    it.policy = replace(it.policy, staged_people=2, stages=(0.01,))
    it.strikes(incident, BOB, EVE)


def its_beginning_is_tried_again(it: Story) -> None:
    incident = it.opened()
    it.strikes(incident, ANN)
    it.send(["later"])
    it.close(incident)
    it.ends_for(incident, ANN)


def it_is_part_of_what_goes_on(it: Story) -> None:
    part, whole = it.opened(), it.opened()
    it.strikes(part, ANN)
    it.send([])
    it.merge(part, whole)
    it.ends_for(part, ANN)


AT_SENDING = [
    ("expired", it_outlives_its_time, "expired"),
    ("recovered", it_is_over, "over"),
    ("contacted_support", she_asks_support, "was helped"),
    ("not_told", its_beginning_was_not_delivered, "an end without a beginning"),
    ("no_consent", she_says_no, "unwanted"),
    ("no_consent", the_subscriber_list_says_no, "unwanted"),
    ("suppressed", another_mail_to_the_mailbox_bounces, "suppressed"),
    ("holdout", more_are_held_out, "held out"),
    ("told_recently", two_wait_and_one_is_enough(own_gap=9 * HOUR), "told recently"),
    ("frequency_cap", two_wait_and_one_is_enough(max_per_day=1), "cap of the day"),
    ("told_recently", a_wide_fault_is_found_before_she_hears_of_her_home, "told recently"),
    ("frequency_cap", news_of_a_part_and_of_the_whole_wait, "cap of the incident"),
    ("rollout_refused awaiting_approval", staff_say_no, "not their turn"),
    ("seen", she_sees_the_card, "seen"),
    ("silenced", an_event_is_planned, "planned"),
    ("quiet_hours", night_falls, "quiet"),
    ("awaiting_approval", its_audience_grows, "not their turn"),
    ("awaiting_approval", its_beginning_is_tried_again, "an end without a beginning"),
    ("awaiting_approval", it_is_part_of_what_goes_on, "an end before the end"),
]


@pytest.mark.parametrize(("reasons", "tell", "complaint"), AT_SENDING, ids=named)
def test_what_is_not_asked_again_is_sent_to_whom_it_must_not(reasons, tell, complaint, anew, monkeypatch) -> None:
    it = anew()
    tell(it)
    it.send([])
    switch_off(monkeypatch, set(reasons.split()))
    it = anew()
    tell(it)
    with pytest.raises(AssertionError, match=f"^{complaint}"):
        it.send([])


def switch_off(monkeypatch, reasons: set[str]) -> None:
    """Let reasons against a message that is about to go be none."""
    objection, wait = Standing.objection, Standing.wait

    def objects(standing, *given):
        found = objection(standing, *given)
        return None if found in reasons else found

    def waits(standing, *given):
        closed = wait(standing, *given)
        return None if closed is not None and closed.reason in reasons else closed

    monkeypatch.setattr(Standing, "objection", objects)
    monkeypatch.setattr(Standing, "wait", waits)


def test_a_budget_that_is_used_up_meanwhile_holds_at_sending_too(anew, monkeypatch) -> None:
    def tell(it: Story) -> None:
        it.strikes(it.opened(), ANN, BOB)
        it.policy = replace(it.policy, email_budget=1)
        it.send([])

    tell(anew())
    monkeypatch.setattr("notifiers.deliver.within_budget", lambda _, channels, __, most, ___: [(list(channels), most)])
    with pytest.raises(AssertionError, match=r"^budget"):
        tell(anew())
