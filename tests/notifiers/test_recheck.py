"""What may have changed between a decision and its sending is asked again, and the row says what became of it."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar

import pytest
from sqlalchemy import func, insert, select, update

from incidents.ledger.schema import contacts, incidents, notices, outbox
from incidents.ledger.store import writing
from incidents.model import Cause, Severity
from notifiers import rollout, stops
from notifiers.channels import Receipt
from notifiers.channels.contract import one_by_one
from notifiers.compose import Rendered
from notifiers.decide import decide
from notifiers.deliver import deliver
from notifiers.errors import Retryable
from notifiers.flood import stop_a_flood
from notifiers.history import load_history
from notifiers.model import ChannelName, Policy, RolloutState
from notifiers.outbox import enqueue
from notifiers.preferences import Source, choose
from notifiers.release import release_due
from notifiers.rollout import ask_for_large, go_on
from notifiers.stops import StopKind

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
EMAIL, IN_APP = ChannelName.EMAIL, ChannelName.IN_APP
WORDS = Rendered("A subject", "<p>page</p>", "text", {"title": "A subject"})
POLICY = Policy(holdout_share=0.0, release_over=timedelta(0), flood_people=None)
LARGE = replace(POLICY, staged_people=3, stages=(0.4, 0.7))


class Counting:
    """A channel that counts whom it reached; it fails as often as it is told to."""

    repeatable: ClassVar[bool] = False

    def __init__(self, failures: int = 0, before=lambda: None) -> None:
        self.sent: list[str] = []
        self.failures = failures
        self.before = before

    def bundle(self, messages) -> list[list]:
        return one_by_one(messages)

    def send(self, message) -> Receipt:
        self.before()
        if self.failures:
            self.failures -= 1
            raise Retryable("not now")
        self.sent.append(message.message_id)
        return Receipt()

    def finish(self) -> None:
        """Nothing to do."""


@pytest.fixture
def told(ledger, person):
    """Decide on troubles as the pipeline does, and queue what is to go; return the decisions."""

    def run(now, *found, policy=POLICY, **who):
        people = {it.subscriber_id: person(subscriber_id=it.subscriber_id, **who) for it in found}
        with ledger.write() as connection:
            ledger.save_troubles(connection, found, now)
            release_due(connection, now, policy=policy)
            ask_for_large(connection, found, 0, policy, now)
            history = load_history(connection, found, people, now, policy)
            decisions = decide(found, people, history, policy, now)
            words = {d.notice_id: WORDS for d in decisions if d.needs_words}
            enqueue(connection, decisions, words, {who: f"{who}@example.net" for who in people}, now)
            ledger.mark_decided(connection, found)
        return decisions

    return run


@pytest.fixture
def release(ledger):
    def run(now, policy=POLICY, **options):
        with ledger.write() as connection:
            return release_due(connection, now, policy=policy, **options)

    return run


@pytest.fixture
def set_incident(ledger):
    def change(incident_id="i-1", **values):
        with ledger.write() as connection:
            connection.execute(update(incidents).where(incidents.c.incident_id == incident_id).values(values))

    return change


@pytest.fixture
def reasons(ledger):
    """Return every notice's reason by person and kind; a set, where all are alike."""

    def look(**where):
        query = select(notices.c.withheld_reason)
        for name, value in where.items():
            query = query.where(notices.c[name] == value)
        with ledger.read() as connection:
            return set(connection.scalars(query))

    return look


def crowd(trouble, number=8, **changes):
    return [trouble(subscriber_id=f"u-{n}", **changes) for n in range(number)]


class TestAllClears:
    """An all-clear follows what becomes of its problem notice."""

    @pytest.fixture
    def night(self, noon):
        return noon + 11 * HOUR

    def test_its_problem_held_by_the_night_is_dropped_as_soon_as_it_is_over(
        self, told, trouble, all_clear, add_incident, set_incident, reasons, night
    ):
        add_incident()
        told(night, trouble(last_bad_time=night), in_app_opt_in=False)
        set_incident(resolved_time=night + HOUR)
        (over,) = told(night + HOUR, all_clear(), in_app_opt_in=False)
        assert (over.withheld_reason, over.release_time) == ("quiet_hours", None)
        assert reasons() == {"quiet_hours"}

    @pytest.mark.parametrize(("word", "ending"), [("approve", None), ("refuse", "not_told")])
    def test_its_problem_waiting_for_a_word(
        self, word, ending, told, release, trouble, all_clear, add_incident, reasons, ledger, noon
    ):
        """As after an incident that is part of another, which goes on: nobody is told the end before the beginning."""
        add_incident()
        told(noon, *crowd(trouble), policy=LARGE)
        assert reasons() == {None, "awaiting_approval"}
        ends = [all_clear(subscriber_id=f"u-{n}") for n in range(8)]
        told(noon + MINUTE, *ends, policy=LARGE)
        assert reasons(kind="all_clear") == {None, "awaiting_approval"}
        with ledger.write() as connection:
            getattr(rollout, word)(connection, "i-1", "lea", noon + HOUR)
        release(noon + HOUR, LARGE)
        channel = Counting()
        deliver(ledger.engine, {EMAIL: channel}, noon + HOUR, policy=POLICY)
        release(noon + HOUR, LARGE)
        deliver(ledger.engine, {EMAIL: channel}, noon + 2 * HOUR, policy=POLICY)
        assert reasons(kind="all_clear") == {ending}
        with ledger.read() as connection:
            assert connection.scalar(select(func.count()).where(notices.c.release_time.is_not(None))) == 0
            by_kind = dict(
                connection.execute(
                    select(notices.c.kind, func.count()).where(notices.c.withheld_reason.is_(None)).group_by("kind")
                ).all()
            )
        assert by_kind.get("problem", 0) == by_kind.get("all_clear", 0) == len(channel.sent) / 2

    def test_one_on_its_way_is_waited_for_and_not_told_without(
        self, told, trouble, all_clear, add_incident, set_incident, ledger, noon
    ):
        add_incident()
        told(noon, trouble())
        failing = Counting(failures=1)
        deliver(ledger.engine, {EMAIL: failing}, noon, policy=POLICY)
        set_incident(resolved_time=noon)
        (over,) = told(noon, all_clear())
        assert over.withheld_reason is None
        channel = Counting()
        with ledger.write() as connection:
            connection.execute(
                update(outbox).where(outbox.c.message_id != over.notice_id).values(next_attempt_time=noon + 5 * MINUTE)
            )
        deliver(ledger.engine, {EMAIL: channel}, noon + 2 * MINUTE, policy=POLICY)
        assert self.states(ledger) == {"queued": 2}
        deliver(ledger.engine, {EMAIL: channel}, noon + 10 * MINUTE, policy=POLICY)
        deliver(ledger.engine, {EMAIL: channel}, noon + 20 * MINUTE, policy=POLICY)
        assert (channel.sent, self.states(ledger)) == ([], {"cancelled": 2})

    def test_of_a_part_it_waits_for_the_whole(self, told, trouble, all_clear, add_incident, set_incident, ledger, noon):
        add_incident("i-2")
        add_incident()
        told(noon, trouble())
        channel = Counting()
        deliver(ledger.engine, {EMAIL: channel}, noon, policy=POLICY)
        set_incident(resolved_time=noon, merged_into="i-2")
        told(noon + MINUTE, all_clear())
        deliver(ledger.engine, {EMAIL: channel}, noon + HOUR, policy=POLICY)
        assert len(channel.sent) == 1
        set_incident("i-2", resolved_time=noon + HOUR)
        deliver(ledger.engine, {EMAIL: channel}, noon + 2 * HOUR, policy=POLICY)
        assert len(channel.sent) == 2

    def states(self, ledger):
        with ledger.read() as connection:
            return dict(connection.execute(select(outbox.c.state, func.count()).group_by(outbox.c.state)).all())


class TestStages:
    """A large audience goes in stages, and each stage waits for a person's word."""

    @pytest.fixture
    def staged(self, told, trouble, add_incident, noon):
        add_incident()
        return told(noon, *crowd(trouble, 12), policy=LARGE)

    def rollout_of(self, ledger, episode="i-1"):
        with ledger.read() as connection:
            return rollout.read(connection, [episode]).get(episode)

    def count(self, ledger, reason):
        with ledger.read() as connection:
            same = notices.c.withheld_reason.is_(None) if reason is None else notices.c.withheld_reason == reason
            return connection.scalar(select(func.count()).where(same))

    def test_a_small_audience_asks_nobody_and_a_large_one_once(self, ledger, trouble, add_incident, noon):
        add_incident()
        with ledger.write() as connection:
            assert ask_for_large(connection, crowd(trouble, 3), 0, LARGE, noon) == []
            assert ask_for_large(connection, crowd(trouble, 9), 0, replace(LARGE, stages=()), noon) == []
            (began,) = ask_for_large(connection, crowd(trouble, 4), 0, LARGE, noon)
            assert (began.audience, began.allowed_share, began.state) == (4, 0.4, "waiting")
            assert ask_for_large(connection, crowd(trouble, 9), 0, LARGE, noon) == []

    def test_who_was_told_before_counts(self, told, ledger, trouble, add_incident, noon):
        add_incident()
        told(noon, *crowd(trouble, 3), policy=LARGE)
        assert self.rollout_of(ledger) is None
        told(noon + MINUTE, trouble(subscriber_id="u-9"), policy=LARGE)
        assert self.rollout_of(ledger).audience == 4

    @pytest.mark.parametrize(("people", "base", "large"), [(250, 2500, False), (251, 2500, True), (200, 500, False)])
    def test_a_share_of_the_base_is_large_only_if_it_is_many(self, people, base, large):
        assert rollout.is_large(people, base, replace(LARGE, staged_people=10_000, staged_share=0.1)) is large

    def test_each_yes_lets_the_next_stage_go_and_asks_again(self, staged, ledger, release, noon):
        first = self.count(ledger, None)
        for share, state in ((0.7, "waiting"), (1.0, "approved")):
            with ledger.write() as connection:
                rollout.approve(connection, "i-1", "lea", noon, stages=LARGE.stages)
            release(noon, LARGE)
            found = self.rollout_of(ledger)
            assert (found.allowed_share, found.state) == (share, state)
            assert first <= self.count(ledger, None)
        assert (self.count(ledger, None), first < 12) == (12, True)

    def test_a_no_is_the_reason_of_the_rest(self, staged, ledger, release, noon):
        with ledger.write() as connection:
            rollout.refuse(connection, "i-1", "lea", noon)
        release(noon, LARGE)
        assert self.count(ledger, "rollout_refused") == 12 - self.count(ledger, None) > 0

    def test_what_is_over_before_anybody_decided_was_not_refused(
        self, staged, ledger, release, set_incident, reasons, noon
    ):
        set_incident(resolved_time=noon)
        release(noon, LARGE)
        release(noon, LARGE)
        found = self.rollout_of(ledger)
        assert (found.state, found.note, found.decided_by) == ("over", rollout.OVERTAKEN, "prebuffer")
        assert reasons() == {None, "recovered"}

    def test_nor_if_the_rollout_ended_first(self, staged, ledger, release, set_incident, reasons, noon):
        set_incident(resolved_time=noon)
        with ledger.write() as connection:
            go_on(connection, noon)
        release(noon, LARGE)
        assert reasons() == {None, "recovered"}

    def test_the_people_of_a_part_wait_for_the_answer_about_the_whole(
        self, staged, ledger, release, set_incident, add_incident, reasons, noon
    ):
        add_incident("i-2")
        set_incident(merged_into="i-2", resolved_time=noon)
        release(noon, LARGE)
        assert (self.rollout_of(ledger).state, self.rollout_of(ledger).note) == ("over", "It is part of i-2 now.")
        moved = self.rollout_of(ledger, "i-2")
        assert (moved.state, moved.audience, moved.allowed_share) == ("waiting", 12, 0.4)
        release(noon + MINUTE, LARGE)
        assert self.count(ledger, "awaiting_approval") > 0
        with ledger.write() as connection:
            rollout.approve(connection, "i-2", "lea", noon)
        release(noon + MINUTE, LARGE)
        assert reasons() == {None}

    @pytest.mark.parametrize(
        ("state", "share", "audience", "left"),
        [
            (RolloutState.WAITING, 0.1, 112, {None, "awaiting_approval"}),
            (RolloutState.APPROVED, 1.0, 100, {None}),
            (RolloutState.REFUSED, 0.1, 100, {None, "rollout_refused"}),
        ],
    )
    def test_an_answer_about_the_whole_is_one_about_the_part(
        self, state, share, audience, left, staged, ledger, release, set_incident, add_incident, reasons, noon
    ):
        add_incident("i-2")
        with ledger.write() as connection:
            rollout.save(connection, [rollout.Rollout("i-2", 100, share, state, noon)])
        set_incident(merged_into="i-2")
        release(noon, LARGE)
        release(noon, LARGE)
        assert self.rollout_of(ledger, "i-2").audience == audience
        assert reasons() == left

    def test_what_is_parted_again_asks_again(self, staged, ledger, release, set_incident, add_incident, reasons, noon):
        add_incident("i-2")
        set_incident(merged_into="i-2")
        release(noon, LARGE)
        set_incident(merged_into=None)
        release(noon, LARGE)
        release(noon, LARGE)
        assert (self.rollout_of(ledger).state, reasons()) == ("waiting", {None, "awaiting_approval"})

    def test_a_no_about_a_part_stands(self, staged, ledger, release, set_incident, add_incident, reasons, noon):
        with ledger.write() as connection:
            rollout.refuse(connection, "i-1", "lea", noon)
        add_incident("i-2")
        set_incident(merged_into="i-2")
        release(noon, LARGE)
        assert reasons() == {None, "rollout_refused"}

    def test_what_was_on_its_way_when_the_audience_grew_waits_too(
        self, told, ledger, trouble, add_incident, reasons, noon
    ):
        add_incident()
        told(noon, *crowd(trouble, 3), policy=LARGE)
        told(noon, *(trouble(subscriber_id=f"v-{n}") for n in range(9)), policy=LARGE)
        channel = Counting()
        deliver(ledger.engine, {EMAIL: channel}, noon, policy=LARGE)
        allowed = self.rollout_of(ledger)
        people = [f"u-{n}" for n in range(3)] + [f"v-{n}" for n in range(9)]
        assert len(channel.sent) == sum(map(allowed.allows, people)) < 12
        assert reasons() == {None, "awaiting_approval"}


class TestBeforeSending:
    """Everything that can change is asked again."""

    @pytest.fixture
    def sent(self, ledger, noon):
        """Deliver, and return how many went out."""

        def run(now=noon, policy=POLICY, **options):
            channel = Counting()
            deliver(ledger.engine, {EMAIL: channel, IN_APP: channel}, now, policy=policy, **options)
            return len(channel.sent)

        return run

    def test_the_holdout(self, told, trouble, add_incident, sent, reasons, noon):
        add_incident()
        told(noon, trouble(severity=Severity.MAJOR), trouble(subscriber_id="u-2", severity=Severity.CRITICAL))
        grown = replace(POLICY, holdout_share=1.0, holdout_exempt=(Severity.CRITICAL,))
        assert (sent(policy=grown), reasons()) == (1, {None, "holdout"})

    def test_what_was_told_meanwhile(self, told, trouble, add_incident, sent, reasons, noon):
        add_incident()
        add_incident("i-2")
        night = noon + 11 * HOUR
        told(night, trouble(Cause.HOUSEHOLD, last_bad_time=night), in_app_opt_in=False)
        told(
            night,
            trouble(last_bad_time=night, severity=Severity.CRITICAL),
            policy=replace(POLICY, pass_quiet=("critical",)),
        )
        assert sent(night, replace(POLICY, pass_quiet=(Severity.CRITICAL,))) == 1
        assert reasons(cause="household") == {"quiet_hours"}

    def test_of_two_on_their_way_the_first_goes(self, told, trouble, add_incident, sent, reasons, noon):
        add_incident()
        add_incident("i-2")
        forgetful = replace(POLICY, incident_gap=timedelta(0))
        told(noon, trouble(), policy=forgetful)
        told(noon + MINUTE, trouble(incident_id="i-2"), policy=forgetful)
        assert sent(noon + 2 * MINUTE) == 1
        assert reasons(incident_id="i-1") == {None}
        assert reasons(incident_id="i-2") == {"told_recently"}

    @pytest.mark.parametrize("cap", [{"max_per_day": 1}, {"max_per_week": 1}])
    def test_the_caps(self, cap, told, trouble, add_incident, sent, reasons, noon):
        add_incident()
        told(noon, trouble())
        told(noon, trouble(Cause.ACCOUNT))
        assert sent(policy=replace(POLICY, **cap)) == 1
        assert reasons() == {None, "frequency_cap"}

    def test_a_notice_counts_on_the_day_it_went_out(self, told, release, trouble, add_incident, sent, noon):
        add_incident()
        night, morning = noon + 11 * HOUR, noon + 21 * HOUR
        told(night, trouble(last_bad_time=night), in_app_opt_in=False)
        release(morning)
        assert sent(morning) == 1
        once = replace(POLICY, max_per_day=1)
        (second,) = told(morning, trouble(Cause.ACCOUNT, last_bad_time=morning), policy=once)
        assert second.withheld_reason == "frequency_cap"

    def test_the_address(self, told, trouble, add_incident, sent, reasons, ledger, noon):
        add_incident()
        told(noon, trouble())
        with ledger.write() as connection:
            connection.execute(update(outbox).values(address="nobody"))
        assert (sent(), reasons()) == (0, {"no_address"})

    @pytest.mark.parametrize(("answered", "goes"), [(True, 0), (None, 0), (False, 1)])
    def test_contacts(self, answered, goes, told, trouble, add_incident, sent, ledger, noon):
        add_incident()
        told(noon, trouble())
        row = {"contact_id": "c", "subscriber_id": "u-1", "contacted_time": noon, "reason": "buffering"}
        with ledger.write() as connection:
            connection.execute(insert(contacts).values(resolved_first_contact=answered, **row))
        assert sent() == goes

    @pytest.mark.parametrize("held", [True, False])
    def test_an_opt_out_while_it_waits(self, held, told, release, trouble, add_incident, sent, reasons, ledger, noon):
        add_incident()
        night = noon + 11 * HOUR
        told(night if held else noon, trouble(last_bad_time=night if held else noon), in_app_opt_in=False)
        with ledger.write() as connection:
            choose(connection, "u-1", False, Source.ONE_CLICK, night, channels=[EMAIL])
        morning = night + 10 * HOUR
        assert release(morning).dropped == ({"no_consent": 1} if held else {})
        assert (sent(morning if held else noon + HOUR), reasons()) == (0, {"no_consent"})

    def test_a_stop_while_a_batch_is_under_way(self, told, trouble, add_incident, ledger, reasons, noon):
        """It holds back at once what was leased and not begun."""
        add_incident()
        told(noon, *crowd(trouble, 200))

        def stop():
            with writing(ledger.engine).begin() as connection:
                stops.start(connection, "all", StopKind.PERSON, "Wrong words.", noon, by="ops")

        channel = Counting(before=stop)
        deliver(ledger.engine, {EMAIL: channel}, noon, policy=POLICY)
        assert 0 < len(channel.sent) <= 64
        assert reasons() == {None}


class TestBudget:
    """A channel carries no more a day than its budget, whoever sends."""

    @pytest.mark.parametrize("workers", [1, 4])
    def test_it_is_never_overshot(self, workers, told, trouble, add_incident, ledger, noon):
        add_incident()
        told(noon, *crowd(trouble, 60))
        policy, channel = replace(POLICY, email_budget=25), Counting()
        senders = [
            threading.Thread(target=deliver, args=(ledger.engine, {EMAIL: channel}, noon), kwargs={"policy": policy})
            for _ in range(workers)
        ]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        assert len(channel.sent) == len(set(channel.sent)) == 25
        deliver(ledger.engine, {EMAIL: channel}, noon + HOUR, policy=policy)
        assert len(channel.sent) == 25

    def test_the_next_day_brings_a_new_one(self, told, release, trouble, add_incident, ledger, reasons, noon):
        add_incident()
        late = noon + 9 * HOUR + 30 * MINUTE
        told(late, *crowd(trouble, 5, last_bad_time=late), policy=replace(POLICY, email_budget=3), in_app_opt_in=False)
        assert reasons() == {None, "provider_budget"}
        assert release(noon + 12 * HOUR - MINUTE).released == 0
        report = release(noon + 12 * HOUR)
        assert (report.released, report.held) == (0, 2)
        assert release(noon + 20 * HOUR).released == 2

    def test_another_channel_has_its_own(self, told, trouble, add_incident, noon):
        add_incident()
        decisions = told(noon, *crowd(trouble, 5), policy=replace(POLICY, email_budget=3))
        assert sorted(d.channel for d in decisions) == ["email"] * 3 + ["in_app"] * 2


class TestFlood:
    """A flood halts everything until somebody has looked."""

    def flood(self, ledger, decisions, now, **limits):
        with ledger.write() as connection:
            return stop_a_flood(connection, decisions, replace(POLICY, **limits), now)

    def test_more_than_may_go_unseen(self, told, trouble, add_incident, ledger, noon):
        add_incident()
        decisions = told(noon, *crowd(trouble, 6))
        assert self.flood(ledger, decisions, noon, flood_people=6) is None
        stop = self.flood(ledger, decisions, noon, flood_people=5)
        assert (stop.scope, stop.kind, stop.until_time) == ("all", "flood", None)
        assert stop.reason == "6 notices in one window, where 5 are the most that may go unseen."
        channel = Counting()
        deliver(ledger.engine, {EMAIL: channel}, noon + HOUR, policy=POLICY)
        assert channel.sent == []
        with ledger.write() as connection:
            stops.end(connection, noon + HOUR, by="ops")
        deliver(ledger.engine, {EMAIL: channel}, noon + HOUR, policy=POLICY)
        assert len(channel.sent) == 6

    def test_far_more_than_is_usual(self, told, trouble, add_incident, ledger, noon):
        add_incident()
        told(noon, *(trouble(subscriber_id=f"v-{n}") for n in range(2)))
        decisions = told(noon + HOUR, *crowd(trouble, 9))
        assert self.flood(ledger, decisions, noon + HOUR, flood_least=10, flood_factor=4) is None
        assert self.flood(ledger, decisions, noon + HOUR, flood_least=5, flood_factor=5) is None
        stop = self.flood(ledger, decisions, noon + HOUR, flood_least=5, flood_factor=4)
        assert stop.reason == "9 notices in one window, where 2 are usual."

    def test_withheld_ones_are_no_flood(self, told, trouble, add_incident, ledger, noon):
        add_incident()
        decisions = told(noon, *crowd(trouble, 9), policy=replace(POLICY, holdout_share=1.0))
        assert self.flood(ledger, decisions, noon, flood_people=1) is None
