"""What the provider reports, applied: once, in any order, to the people it is about and to nobody else."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from typing import ClassVar

import pytest
from sqlalchemy import func, select, update

from incidents.ledger.schema import outbox, preferences, provider_events, suppressions
from incidents.ledger.store import writing
from notifiers.attempts import Result, begin, due, record, sweep
from notifiers.channels.contract import Receipt
from notifiers.compose import Rendered
from notifiers.deliver import deliver
from notifiers.errors import OutcomeUnknown
from notifiers.events import apply_events, release_unheard, settle_heard, wait_to_hear
from notifiers.model import ChannelName
from notifiers.outbox import Lease, Outcome, State, enqueue
from notifiers.settling import SettlingError, counts, listed, settle_by_hand

HOUR = timedelta(hours=1)
WORDS = Rendered("A subject", "<p>page</p>", "text", {})
LEASE = Lease("me")


@pytest.fixture
def queue(engine, add_incident, decide_one, trouble, noon):
    """Queue mails to people; return their keys by person."""
    add_incident()

    def store(*people) -> dict[str, str]:
        decisions = {who: decide_one(trouble(subscriber_id=who)) for who in people}
        rendered = {d.notice_id: WORDS for d in decisions.values()}
        addresses = {who: f"{who.upper()}@example.net" for who in people}
        with writing(engine).begin() as connection:
            enqueue(connection, list(decisions.values()), rendered, addresses, noon)
        return {who: decision.notice_id for who, decision in decisions.items()}

    return store


@pytest.fixture
def put(engine, queue, noon):
    """Queue mails to people, and let an attempt at each end in the outcome given; return their keys by person."""

    def store(at=noon, **outcomes) -> dict[str, str]:
        keys = queue(*outcomes)
        with writing(engine).begin() as connection:
            begun = due(connection, at, [ChannelName.EMAIL], 99).messages
            begin(connection, begun, at, LEASE)
            record(connection, [Result([m], Outcome(outcomes[m.subscriber_id])) for m in begun], at)
        return keys

    return store


@pytest.fixture
def apply(engine, noon):
    def run(*events, now=noon):
        with writing(engine).begin() as connection:
            return apply_events(connection, events, now)

    return run


@pytest.fixture
def state(engine):
    def look(message_id) -> str:
        with engine.connect() as connection:
            return connection.scalar(select(outbox.c.state).where(outbox.c.message_id == message_id))

    return look


@pytest.fixture
def rows(engine):
    def look(table):
        with engine.connect() as connection:
            return connection.execute(select(table)).all()

    return look


def event(message_id, name="delivered", event_id=None, **more):
    return {"sg_event_id": event_id or f"{name}-{message_id}", "event": name, "message_id": message_id,
            "timestamp": 1773057600, "email": "somebody.else@example.net", **more}  # fmt: skip


@pytest.mark.parametrize(
    ("before", "name", "after"),
    [
        ("unknown", "processed", "sent"),
        ("unknown", "delivered", "sent"),
        ("unknown", "deferred", "sent"),
        ("unknown", "open", "sent"),
        ("unknown", "bounce", "failed"),
        ("unknown", "dropped", "failed"),
        ("sent", "bounce", "failed"),
        ("sent", "dropped", "failed"),
        ("sent", "delivered", "sent"),
        ("failed", "delivered", "failed"),
    ],
)
def test_an_event_settles_a_message(before, name, after, put, apply, state):
    key = put(ada=before)["ada"]
    apply(event(key, name))
    assert state(key) == after


def test_a_repeated_event_changes_nothing(put, apply, rows):
    key = put(ada="unknown")["ada"]
    first = apply(event(key, "bounce"), event(key, "bounce"))
    again = apply(event(key, "bounce"))
    assert (first.new, first.repeated, first.settled, first.suppressed) == (1, 1, {State.FAILED: 1}, 1)
    assert (again.new, again.repeated, again.settled, again.suppressed) == (0, 1, {}, 0)
    assert len(rows(provider_events)) == len(rows(suppressions)) == 1


def test_in_whatever_order_they_come_the_end_is_the_same(put, apply, state):
    keys = put(**{f"u{n}": "unknown" for n in range(6)})
    names = ["processed", "deferred", "delivered", "bounce", "open"]
    for seed, key in enumerate(keys.values()):
        for name in random.Random(seed).sample(names, len(names)):
            apply(event(key, name))
        assert state(key) == "failed"


def test_what_is_no_event_of_ours_is_counted_and_left_alone(put, apply, rows):
    put(ada="sent")
    broken = [None, 7, "x", [], {}, {"sg_event_id": 1, "event": "open"}, {"sg_event_id": "a" * 200, "event": "open"},
              {"sg_event_id": "x\n", "event": "open"}]  # fmt: skip
    report = apply(*broken, event("nobody-knows", "bounce"), {"sg_event_id": "x", "event": "bounce"})
    assert (report.malformed, report.strangers, report.new, report.suppressed) == (len(broken), 2, 0, 0)
    assert rows(provider_events) == rows(suppressions) == []


@pytest.mark.parametrize("timestamp", [None, "soon", -1e30, 1e30, 1893456000000, [], True])
def test_a_time_that_makes_no_sense_is_when_it_came(timestamp, put, apply, rows, noon):
    apply(event(put(ada="sent")["ada"], timestamp=timestamp))
    (row,) = rows(provider_events)
    assert row.occurred_time <= noon


@pytest.mark.parametrize(
    ("name", "more", "reason"),
    [
        ("bounce", {"type": "bounce"}, "bounce"),
        ("bounce", {}, "bounce"),
        ("bounce", {"type": "blocked"}, None),
        ("deferred", {}, None),
        ("delivered", {}, None),
        ("dropped", {"reason": "Bounced Address"}, "dropped"),
        ("dropped", {"reason": "Spam Reporting Address"}, "dropped"),
        ("dropped", {"reason": "Recipient List over Package Quota"}, None),
        ("spamreport", {}, "spam_report"),
        ("unsubscribe", {}, "unsubscribe"),
        ("group_unsubscribe", {}, "unsubscribe"),
    ],
)
def test_who_cannot_or_will_not_get_mail_is_suppressed(name, more, reason, put, apply, rows):
    apply(event(put(ada="sent")["ada"], name, **more))
    found = [(row.address, row.reason, row.source) for row in rows(suppressions)]
    assert found == ([("ada@example.net", reason, "webhook")] if reason else [])


@pytest.mark.parametrize(("name", "said"), [("unsubscribe", True), ("spamreport", True), ("bounce", False)])
def test_a_no_is_shown_where_people_choose(name, said, put, apply, rows):
    apply(event(put(ada="sent")["ada"], name))
    found = {(row.subscriber_id, row.channel, row.allowed, row.source) for row in rows(preferences)}
    assert found == ({("ada", "email", False, "provider")} if said else set())


def test_nothing_personal_is_kept_of_an_event(put, apply, rows):
    reason = "550 no such user ada@example.net here"
    apply(event(put(ada="sent")["ada"], "bounce", reason=reason, ip="192.0.2.1", useragent="x"))
    kept = " ".join(map(str, rows(provider_events)[0]))
    assert "550 no such user [address] here" in kept
    assert not [word for word in ("@example", "192.0.2.1", "somebody") if word in kept]


def test_an_event_that_came_before_the_sender_was_missed_settles_it_too(put, apply, engine, state, noon):
    key = put(ada="unknown")["ada"]
    with engine.begin() as connection:
        connection.execute(update(outbox).values(state="sending"))
    apply(event(key))
    assert state(key) == "sending"
    with writing(engine).begin() as connection:
        connection.execute(update(outbox).values(state="unknown"))
        assert settle_heard(connection, noon) == {State.SENT: 1}


@pytest.mark.parametrize(
    ("said", "failure", "found"),
    [("delivered", OutcomeUnknown("no answer"), "sent"), ("bounce", None, "failed"), ("delivered", None, "sent")],
)
def test_what_is_said_of_a_message_before_its_answer_counts(said, failure, found, queue, apply, engine, state, noon):
    key = queue("ada")["ada"]
    channel = Speaking(lambda message: apply(event(message.message_id, said)), failure)
    assert deliver(engine, {ChannelName.EMAIL: channel}, noon).states == {found: 1}
    assert state(key) == found


def test_an_event_waits_for_who_records_and_finds_what_was_recorded(put, apply, engine, state, noon):
    key = put(ada="unknown")["ada"]
    with engine.begin() as connection:
        connection.execute(update(outbox).values(state="sending", lease_until=noon))
    with ThreadPoolExecutor(1) as pool:
        with writing(engine).begin() as connection:
            wait_to_hear(connection)
            assert sweep(connection, noon, [])[State.UNKNOWN] == 1
            assert settle_heard(connection, noon) == {}
            applied = pool.submit(apply, event(key))
            wait([applied], 0.5)
        assert applied.result().settled == {State.SENT: 1}
    assert state(key) == "sent"


class Speaking:
    """A channel whose provider speaks of a message before it answers."""

    repeatable: ClassVar[bool] = False

    def __init__(self, speak, failure) -> None:
        self.speak = speak
        self.failure = failure

    def bundle(self, messages) -> list[list]:
        return [[message] for message in messages]

    def send(self, message) -> Receipt:
        self.speak(message)
        if self.failure is not None:
            raise self.failure
        return Receipt("m-1")

    def finish(self) -> None:
        """Have nothing to tidy up."""


class TestUnheard:
    """A message is sent after all only where silence proves that it was never taken."""

    def release(self, engine, now) -> int:
        with writing(engine).begin() as connection:
            return release_unheard(connection, now, HOUR)

    def test_after_so_long_and_if_all_others_were_heard(self, put, apply, engine, state, noon):
        keys = put(ada="unknown", bo="sent", cem="sent")
        apply(event(keys["bo"]), event(keys["cem"]))
        assert self.release(engine, noon + timedelta(minutes=59)) == 0
        assert self.release(engine, noon + HOUR) == 1
        assert state(keys["ada"]) == "queued"

    def test_not_if_another_was_not_heard_either(self, put, apply, engine, noon):
        keys = put(ada="unknown", bo="sent", cem="sent")
        apply(event(keys["bo"]))
        assert self.release(engine, noon + 9 * HOUR) == 0

    def test_not_if_there_is_no_other(self, put, engine, noon):
        put(ada="unknown")
        assert self.release(engine, noon + 9 * HOUR) == 0

    def test_not_by_others_of_another_hour(self, put, apply, engine, noon):
        apply(event(put(bo="sent")["bo"]))
        put(at=noon + HOUR, ada="unknown")
        assert self.release(engine, noon + 9 * HOUR) == 0

    def test_not_if_it_was_heard(self, put, apply, engine, state, noon):
        keys = put(ada="unknown", bo="sent")
        apply(event(keys["ada"]), event(keys["bo"]))
        assert self.release(engine, noon + 9 * HOUR) == 0
        assert state(keys["ada"]) == "sent"


class TestByHand:
    """A person may say what became of a message."""

    @pytest.mark.parametrize("said", [State.SENT, State.FAILED])
    def test_what_is_unknown_is_settled_and_recorded(self, said, put, engine, state, noon):
        key = put(ada="unknown", bo="sent")["ada"]
        with writing(engine).begin() as connection:
            (row,) = listed(connection, State.UNKNOWN, 10)
            assert (row.message_id, row.channel) == (key, "email")
            settle_by_hand(connection, key, said, "kim", noon)
            assert counts(connection)[State.UNKNOWN] == 0
        assert state(key) == said

    @pytest.mark.parametrize("said", [State.SENT, State.QUEUED])
    def test_nothing_else_is(self, said, put, engine, state, noon):
        key = put(ada="sent")["ada"]
        with writing(engine).begin() as connection, pytest.raises(SettlingError):
            settle_by_hand(connection, key, said, "kim", noon)
        assert state(key) == "sent"


def test_a_thousand_events_at_once(put, apply, engine):
    keys = put(**{f"u{n}": "unknown" for n in range(99)})
    report = apply(*[event(key, "delivered", f"{key}-{n}") for key in keys.values() for n in range(10)])
    assert (report.new, report.settled) == (990, {State.SENT: 99})
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(provider_events)) == 990
