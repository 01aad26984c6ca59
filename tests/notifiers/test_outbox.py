"""Decided, stored, claimed, settled: each once, whatever is interrupted."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select

from incidents.ledger.schema import deliveries, incidents, notices, outbox, suppressions
from incidents.ledger.store import writing
from notifiers.attempts import Result, begin, due, record, retries, sweep
from notifiers.compose import Rendered
from notifiers.decide import decide
from notifiers.history import load_history
from notifiers.model import ChannelName, Policy, WithheldReason
from notifiers.outbox import Lease, Outcome, State, cancel, enqueue, record_decisions
from notifiers.release import release_due
from telemetry.contract import Signal

HOUR = timedelta(hours=1)
BOTH = (ChannelName.EMAIL, ChannelName.IN_APP)
WORDS = Rendered("A subject", "<p>page</p>", "text", {"title": "A subject"})


@pytest.fixture
def put(engine, add_incident):
    """Store decisions with the same words for each."""
    add_incident()

    def store(*decisions, now) -> int:
        rendered = {d.notice_id: WORDS for d in decisions if d.needs_words}
        addresses = {d.trouble.subscriber_id: "ada@example.net" for d in decisions}
        with engine.begin() as connection:
            return enqueue(connection, decisions, rendered, addresses, now)

    return store


@pytest.fixture
def state_of(engine):
    def look(notice_id) -> str:
        with engine.connect() as connection:
            return connection.scalar(select(outbox.c.state).where(outbox.c.notice_id == notice_id))

    return look


@pytest.fixture
def notice_of(engine):
    def look(notice_id):
        with engine.connect() as connection:
            return connection.execute(select(notices).where(notices.c.notice_id == notice_id)).one()

    return look


def claim(connection, now, lease, channels):
    """Begin to send one message that is due; None where none is."""
    found = due(connection, now, channels).messages
    begin(connection, found, now, lease)
    return found[0] if found else None


def count(engine, table) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(table))


def test_enqueued_twice_is_enqueued_once(put, engine, trouble, decide_one, noon):
    decision = decide_one(trouble())
    assert put(decision, now=noon) == 1
    assert put(decision, now=noon + HOUR) == 0
    assert (count(engine, notices), count(engine, outbox)) == (1, 1)


def test_however_many_are_new_is_counted(put, trouble, decide_one, noon):
    decisions = [decide_one(trouble(subscriber_id=f"u-{n}")) for n in range(2500)]
    put(*decisions[:500], now=noon)
    assert put(*decisions, now=noon) == 2000


def test_a_withheld_notice_is_kept_with_its_reason_and_not_queued(put, engine, trouble, person, decide_one, noon):
    put(decide_one(trouble(), person(email_opt_in=False, in_app_opt_in=False)), now=noon)
    with engine.connect() as connection:
        (row,) = connection.execute(select(notices)).all()
    assert (row.withheld_reason, row.release_time) == ("no_consent", None)
    assert count(engine, outbox) == 0


def test_nothing_is_stored_where_words_or_an_address_are_missing(engine, add_incident, trouble, decide_one, noon):
    add_incident()
    decision = decide_one(trouble())
    for rendered, addresses in (({}, {"u-1": "a@example.net"}), ({decision.notice_id: WORDS}, {})):
        with engine.begin() as connection, pytest.raises(KeyError):
            enqueue(connection, [decision], rendered, addresses, noon)
    assert count(engine, notices) == 0


def test_the_decision_and_the_message_are_one_transaction(engine, put, trouble, decide_one, noon):
    decision = decide_one(trouble())
    with engine.connect() as connection:
        transaction = connection.begin()
        enqueue(connection, [decision], {decision.notice_id: WORDS}, {"u-1": "a@example.net"}, noon)
        transaction.rollback()
    assert (count(engine, notices), count(engine, outbox)) == (0, 0)


def test_what_was_recorded_is_history(engine, ledger, add_incident, trouble, person, noon):
    add_incident()
    people = {f"u-{n}": person(subscriber_id=f"u-{n}", email=f"U{n}@example.net") for n in range(700)}
    troubles = [trouble(subscriber_id=who) for who in people]
    with ledger.write() as connection:
        connection.execute(insert(suppressions).values(address="u3@example.net", reason="bounce", since=noon))
        before = load_history(connection, troubles, people, noon)
        decisions = decide(troubles, people, before, Policy(holdout_share=0.1), noon)
        assert record_decisions(connection, decisions) == 700
        after = load_history(connection, troubles, people, noon)
    assert before.suppressed == {"u3@example.net"}
    assert after.of("u-5") == (next(d.past for d in decisions if d.trouble.subscriber_id == "u-5"),)
    assert decide(troubles, people, after, Policy(), noon) == []


def test_old_rows_are_history_only_if_they_are_of_the_episode(ledger, add_incident, trouble, person, decide_one, noon):
    add_incident()
    long_ago = noon - timedelta(days=30)
    old = [
        decide_one(trouble(incident_id=name, problem=signal, last_bad_time=long_ago, since=long_ago), now=long_ago)
        for name, signal in (("i-1", Signal.BUFFERING), (None, Signal.STARTUP))
    ]
    with ledger.write() as connection:
        record_decisions(connection, old)
        history = load_history(connection, [trouble()], {"u-1": person()}, noon)
    assert [past.episode for past in history.of("u-1")] == ["i-1"]


class TestClaim:
    """One sender at a time has a message."""

    def test_a_message_carries_what_was_stored(self, put, engine, trouble, decide_one, noon):
        decision = decide_one(trouble())
        put(decision, now=noon)
        with engine.begin() as connection:
            message = claim(connection, noon, Lease("me"), BOTH)
        assert (message.notice_id, message.subscriber_id) == (decision.notice_id, "u-1")
        assert (message.channel, message.address, message.attempt) == ("email", "ada@example.net", 1)
        assert (message.subject, message.html, message.text) == (WORDS.subject, WORDS.html, WORDS.text)
        assert message.card == WORDS.card
        assert (message.queued_time, message.expires_time) == (noon, decision.expires_time)

    def test_what_is_claimed_is_not_claimed_again(self, put, engine, trouble, decide_one, noon, state_of):
        decision = decide_one(trouble())
        put(decision, now=noon)
        with engine.begin() as connection:
            assert claim(connection, noon, Lease("me"), BOTH) is not None
            assert claim(connection, noon, Lease("other"), BOTH) is None
        assert state_of(decision.notice_id) == "sending"

    def test_only_the_channels_asked_for_and_only_what_is_due(self, put, engine, trouble, decide_one, noon):
        put(decide_one(trouble()), now=noon)
        with engine.begin() as connection:
            assert claim(connection, noon, Lease(), [ChannelName.IN_APP]) is None
            assert claim(connection, noon, Lease(), []) is None
            assert claim(connection, noon - HOUR, Lease(), BOTH) is None

    def test_many_senders_share_the_work(self, put, engine, trouble, decide_one, noon):
        put(*(decide_one(trouble(subscriber_id=f"u-{n}")) for n in range(40)), now=noon)
        taken: list[str] = []

        def work(owner) -> None:
            while True:
                with writing(engine).begin() as connection:
                    message = claim(connection, noon, Lease(owner), BOTH)
                if message is None:
                    return
                taken.append(message.notice_id)

        threads = [threading.Thread(target=work, args=(f"worker {n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(taken) == len(set(taken)) == 40


class TestSettle:
    """Every attempt is written down, and the message goes to its next state."""

    @pytest.fixture
    def message(self, put, engine, trouble, decide_one, noon):
        put(decide_one(trouble()), now=noon)
        with engine.begin() as connection:
            return claim(connection, noon, Lease("me"), BOTH)

    @pytest.mark.parametrize(
        ("outcome", "state"),
        [
            (Outcome.SENT, "sent"),
            (Outcome.FAILED, "failed"),
            (Outcome.UNKNOWN, "unknown"),
            (Outcome.RETRY, "queued"),
            (Outcome.PAUSED, "queued"),
        ],
    )
    def test_by_outcome(self, outcome, state, message, engine, noon, state_of):
        with engine.begin() as connection:
            record(connection, [Result([message], outcome, "x" * 900)], noon)
        assert state_of(message.notice_id) == state
        with engine.connect() as connection:
            (row,) = connection.execute(select(deliveries)).all()
            tried = retries(connection, [message])[message.message_number]
        assert (row.attempt, row.outcome, len(row.detail)) == (1, outcome, 500)
        assert tried == (outcome is Outcome.RETRY)

    def test_a_lost_sender_leaves_it_unknown(self, message, engine, noon, state_of):
        with engine.begin() as connection:
            assert sweep(connection, noon + timedelta(minutes=1), []) == {State.QUEUED: 0, State.UNKNOWN: 0}
            assert sweep(connection, noon + timedelta(minutes=3), []) == {State.QUEUED: 0, State.UNKNOWN: 1}
        assert state_of(message.notice_id) == "unknown"

    def test_unless_repeating_is_harmless(self, message, engine, noon, state_of):
        with engine.begin() as connection:
            sweep(connection, noon + HOUR, BOTH)
            again = claim(connection, noon + HOUR, Lease("other"), BOTH)
        assert (again.notice_id, again.attempt) == (message.notice_id, 2)

    def test_a_slow_sender_that_comes_back_after_all_settles_it(self, message, engine, noon, state_of):
        with engine.begin() as connection:
            sweep(connection, noon + HOUR, [])
            record(connection, [Result([message], Outcome.SENT)], noon + HOUR)
        assert state_of(message.notice_id) == "sent"

    @pytest.mark.parametrize("late", [Outcome.FAILED, Outcome.RETRY, Outcome.PAUSED])
    def test_what_came_of_an_earlier_attempt_says_nothing_of_a_later_one(self, late, message, engine, noon, state_of):
        with engine.begin() as connection:
            sweep(connection, noon + HOUR, BOTH)
            again = claim(connection, noon + HOUR, Lease("other"), BOTH)
            record(connection, [Result([message], late)], noon + HOUR)
            assert claim(connection, noon + HOUR, Lease("third"), BOTH) is None
        assert state_of(message.notice_id) == "sending"
        with engine.begin() as connection:
            record(connection, [Result([again], Outcome.UNKNOWN)], noon + HOUR)
            record(connection, [Result([message], late)], noon + HOUR)
        assert state_of(message.notice_id) == "unknown"

    def test_cancelled_says_why_on_the_notice(self, message, engine, noon, state_of, notice_of):
        with engine.begin() as connection:
            cancel(connection, message.notice_id, WithheldReason.RECOVERED, noon)
        assert state_of(message.notice_id) == "cancelled"
        assert notice_of(message.notice_id).withheld_reason == "recovered"


class TestRelease:
    """In the morning what still matters goes out."""

    @pytest.fixture
    def night(self, noon):
        return noon + 11 * HOUR

    @pytest.fixture
    def asleep(self, person):
        return person(in_app_opt_in=False)

    @pytest.fixture
    def waiting(self, put, trouble, decide_one, asleep, night):
        decision = decide_one(trouble(last_bad_time=night), asleep, now=night)
        put(decision, now=night)
        return decision

    def test_it_is_not_claimed_before(self, waiting, engine, night):
        with engine.begin() as connection:
            assert claim(connection, night + timedelta(days=1), Lease(), BOTH) is None

    def test_it_goes_when_quiet_hours_end(self, waiting, engine, night, notice_of):
        with engine.begin() as connection:
            assert release_due(connection, waiting.release_time - timedelta(seconds=1)).released == 0
            assert release_due(connection, waiting.release_time).released == 1
            assert claim(connection, waiting.release_time, Lease(), BOTH).notice_id == waiting.notice_id
        row = notice_of(waiting.notice_id)
        assert (row.withheld_reason, row.release_time, row.decided_time) == (None, None, night)

    def test_once(self, waiting, engine):
        with engine.begin() as connection:
            release_due(connection, waiting.release_time)
            assert release_due(connection, waiting.release_time).released == 0

    def test_a_problem_that_is_over_stays_withheld_by_the_night(
        self, waiting, engine, ledger, night, notice_of, state_of, trouble, person
    ):
        self.resolve(engine, night + HOUR)
        with engine.begin() as connection:
            report = release_due(connection, waiting.release_time)
        assert report.dropped == {"recovered": 1}
        row = notice_of(waiting.notice_id)
        assert (row.withheld_reason, row.release_time) == ("quiet_hours", None)
        assert state_of(waiting.notice_id) == "cancelled"
        with ledger.read() as connection:
            (past,) = load_history(connection, [trouble()], {"u-1": person()}, waiting.release_time).of("u-1")
        assert past.lost
        assert not past.counts

    def resolve(self, engine, at) -> None:
        with engine.begin() as connection:
            connection.execute(incidents.update().values(resolved_time=at))

    def test_consent_that_was_withdrawn_is_the_reason_from_then_on(self, waiting, engine, notice_of):
        with engine.begin() as connection:
            report = release_due(connection, waiting.release_time, consents=lambda who, channel: False)
        assert report.dropped == {"no_consent": 1}
        assert notice_of(waiting.notice_id).withheld_reason == "no_consent"

    def test_an_address_suppressed_at_night_is_not_written_to(self, waiting, engine, night, notice_of):
        with engine.begin() as connection:
            connection.execute(insert(suppressions).values(address="ada@example.net", reason="bounce", since=night))
            report = release_due(connection, waiting.release_time)
        assert report.dropped == {"suppressed": 1}

    def test_too_late_is_too_late(self, waiting, engine, notice_of):
        with engine.begin() as connection:
            report = release_due(connection, waiting.expires_time)
        assert report.dropped == {"expired": 1}
        assert notice_of(waiting.notice_id).withheld_reason == "quiet_hours"

    def test_a_replay_releases_without_an_outbox(
        self, engine, add_incident, trouble, asleep, decide_one, night, notice_of
    ):
        add_incident()
        decision = decide_one(trouble(last_bad_time=night), asleep, now=night)
        with engine.begin() as connection:
            record_decisions(connection, [decision])
            assert release_due(connection, decision.release_time).released == 1
        assert notice_of(decision.notice_id).withheld_reason is None
