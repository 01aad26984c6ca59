"""What may have changed between a decision and its sending is asked again, and the row says what became of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select, update

from incidents.ledger.schema import contacts, notices, outbox
from incidents.ledger.store import writing
from incidents.model import Cause, Severity
from notifiers import rollout, stops
from notifiers.deliver import deliver
from notifiers.preferences import Source, choose
from notifiers.stops import StopKind
from tests.notifiers.deciding import EMAIL, HOUR, IN_APP, LARGE, MINUTE, POLICY, Counting, crowd


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

    def test_what_waited_for_today_counts_today(self, told, release, trouble, add_incident, sent, reasons, noon):
        """Two that go out at once are two of today, although one was decided yesterday."""
        add_incident()
        night, morning = noon + 11 * HOUR, noon + 21 * HOUR
        once = replace(POLICY, max_per_day=1)
        told(night, trouble(last_bad_time=night), in_app_opt_in=False)
        told(morning, trouble(Cause.ACCOUNT, last_bad_time=morning), policy=once)
        assert sent(morning, once) == 1
        assert reasons() == {None, "frequency_cap"}

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
