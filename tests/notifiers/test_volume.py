"""Not too many at once: large audiences in stages, budgets of a day, and a flood that halts everything."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from incidents.ledger.schema import notices
from notifiers import rollout, stops
from notifiers.deliver import deliver
from notifiers.flood import stop_a_flood
from notifiers.follow_up import follow_up, unseen
from notifiers.model import RolloutState
from notifiers.rollout import ask_for_large, go_on
from tests.notifiers.deciding import EMAIL, HOUR, IN_APP, LARGE, MINUTE, POLICY, Counting, crowd


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

    def test_a_mail_after_a_card_that_has_to_wait_leaves_its_notice_told(
        self, told, ledger, release, trouble, person, add_incident, set_incident, noon
    ):
        add_incident()
        first = crowd(trouble, 3)
        told(noon, *first, policy=LARGE, email_opt_in=False)
        mails, later = Counting(), noon + 40 * MINUTE
        deliver(ledger.engine, {IN_APP: Counting()}, noon, policy=LARGE)
        told(later, *(trouble(subscriber_id=f"v-{n}") for n in range(9)), policy=LARGE, email_opt_in=False)
        with ledger.write() as connection:
            people = {it.subscriber_id: person(subscriber_id=it.subscriber_id) for it in first}
            assert follow_up(connection, unseen(connection, LARGE, later), people, later) == 3
        deliver(ledger.engine, {EMAIL: mails}, later, policy=LARGE)
        allowed = self.rollout_of(ledger)
        assert len(mails.sent) == sum(allowed.allows(it.subscriber_id) for it in first) < 3
        set_incident(resolved_time=later)
        release(later + HOUR, LARGE)
        deliver(ledger.engine, {EMAIL: mails}, later + HOUR, policy=LARGE)
        with ledger.read() as connection:
            mine = notices.c.subscriber_id.in_(people)
            assert set(connection.scalars(select(notices.c.withheld_reason).where(mine))) == {None}
        assert len(mails.sent) < 3


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
