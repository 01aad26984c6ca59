"""Many at once fare as each alone would: asked again together, and sent by several hands."""

from __future__ import annotations

import random
import re
import threading
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar

import pytest
from sqlalchemy import event, func, insert, select

from incidents.ledger.casework import expected_incidents, silences
from incidents.ledger.schema import contacts, deliveries, inbox, notices, outbox, preferences, rollouts, suppressions
from incidents.ledger.store import writing
from incidents.model import Cause, Severity, Trouble, TroubleKind, Verdict
from notifiers.channels import Receipt
from notifiers.channels.contract import one_by_one
from notifiers.deliver import AT_ONCE, deliver
from notifiers.errors import ChannelPaused, OutcomeUnknown, RateLimited, Refused, Retryable
from notifiers.events import apply_events
from notifiers.model import HOLDING, ChannelName, Policy, notice_id
from notifiers.outbox import State
from notifiers.recheck import of_notices, standings, standings_of
from telemetry.contract import Signal

EMAIL = ChannelName.EMAIL
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
POLICY = Policy(holdout_share=0.1, pass_quiet=(Severity.CRITICAL,))
CAPPED = replace(POLICY, max_per_day=1, incident_gap=timedelta(0), own_gap=timedelta(0))
INCIDENTS = ("i-1", "i-2", "i-3", "i-4", "i-5")
ZONES = (None, "Europe/London", "Asia/Tokyo", "Pacific/Auckland", "Nowhere/Land")


class World:
    """A ledger full of everything that may speak against a notice, drawn from one seed."""

    def __init__(self, seed: int, noon) -> None:
        self.chance, self.noon = random.Random(seed), noon
        self.rows = {table.name: [] for table in (notices, outbox, contacts, preferences, suppressions, inbox)}
        self.troubles: list[Trouble] = []
        for number in range(36):
            self.person(f"u-{number}")

    def sometimes(self, value, share=0.3, otherwise=None):
        return value if self.chance.random() < share else otherwise

    def person(self, who: str) -> None:
        for incident_id in self.chance.sample([*INCIDENTS, None], self.chance.choice([1, 1, 2, 3])):
            problem = self.notice(who, incident_id, TroubleKind.PROBLEM)
            if self.sometimes(True):
                self.notice(who, problem.incident_id, TroubleKind.ALL_CLEAR, problem)
        if self.sometimes(True):
            self.rows["suppressions"].append({"address": f"{who}@example.net", "reason": "bounce", "since": self.noon})
        for topic in self.chance.sample(
            [(c, ch) for c in ("shared", "own") for ch in ("email", "in_app")], self.sometimes(1, otherwise=0)
        ):
            self.rows["preferences"].append(
                {
                    "subscriber_id": who,
                    "category": topic[0],
                    "channel": topic[1],
                    "allowed": self.chance.random() < 0.5,
                    "changed_time": self.noon,
                    "source": "page",
                }
            )
        if self.sometimes(True):
            self.rows["contacts"].append(
                {
                    "contact_id": who,
                    "subscriber_id": who,
                    "contacted_time": self.noon - self.chance.choice([MINUTE, HOUR, 5 * HOUR]),
                    "reason": self.chance.choice(["buffering", "billing", "other"]),
                    "resolved_first_contact": self.chance.choice([None, True, False]),
                }
            )

    def notice(self, who: str, incident_id: str | None, kind: TroubleKind, like: Trouble | None = None) -> Trouble:
        cause = self.chance.choice([Cause.SERVICE, Cause.ISP] if incident_id else [Cause.HOUSEHOLD, Cause.ACCOUNT])
        since = like.since if like else self.noon - timedelta(minutes=self.chance.randrange(5, 900))
        trouble = Trouble(
            subscriber_id=who,
            problem=Signal.BUFFERING,
            verdict=Verdict(cause, 0.9),
            incident_id=incident_id,
            since=since,
            last_bad_time=since + MINUTE,
            impaired=3,
            sessions=4,
            severity=self.chance.choice(list(Severity)),
            kind=kind,
            error_class=self.sometimes("payment"),
        )
        if self.sometimes(True, 0.9):
            self.troubles.append(trouble)
        key, channel = notice_id(who, trouble.episode, kind), self.chance.choice(["email", "email", "in_app"])
        withheld = self.sometimes(self.chance.choice(["holdout", *sorted(HOLDING)]), 0.2)
        decided = self.noon - timedelta(minutes=self.chance.randrange(400))
        self.rows["notices"].append(
            {
                "notice_id": key,
                "subscriber_id": who,
                "episode": trouble.episode,
                "kind": kind.value,
                "decided_time": decided,
                "problem": "buffering",
                "cause": cause.value,
                "incident_id": incident_id,
                "channel": channel,
                "withheld_reason": withheld,
                "release_time": self.noon if withheld in HOLDING else None,
                "expires_time": decided + self.chance.choice([HOUR, 20 * HOUR]),
                "timezone": self.chance.choice(ZONES),
            }
        )
        self.message(key, who, "first", channel, self.chance.choice(["queued", "sent", "sending", "failed"]))
        if channel == "in_app" and kind is TroubleKind.PROBLEM:
            self.message(key, who, "follow_up", "email", "queued")
            self.card(key, who)
        return trouble

    def message(self, key: str, who: str, stage: str, channel: str, state: str) -> None:
        address = self.sometimes("nobody", 0.1, f" {who.upper()}@Example.net ".strip()) if channel == "email" else None
        self.rows["outbox"].append(
            {
                **dict.fromkeys(("subject", "html", "text"), ""),
                "message_id": key if stage == "first" else f"{key}.2",
                "notice_id": key,
                "stage": stage,
                "channel": channel,
                "address": address,
                "card": {},
                "state": state,
                "attempts": 0,
                "queued_time": self.noon,
                "next_attempt_time": self.noon,
                "settled_time": self.noon - 30 * MINUTE if state == "sent" else None,
            }
        )

    def card(self, key: str, who: str) -> None:
        self.rows["inbox"].append(
            {
                "card_id": key,
                "subscriber_id": who,
                "card": {},
                "created_time": self.noon,
                "updated_time": self.noon,
                "version": 1,
                "change": len(self.rows["inbox"]) + 1,
                "seen_time": self.sometimes(self.noon, 0.5),
            }
        )

    def fill(self, ledger, add_incident) -> None:
        for incident_id in INCIDENTS:
            add_incident(incident_id, self.noon if incident_id == "i-2" else None)
        tables = (notices, outbox, contacts, preferences, suppressions, inbox)
        with ledger.write() as connection:
            ledger.save_troubles(connection, self.troubles, self.noon)
            for table in tables:
                if self.rows[table.name]:
                    connection.execute(insert(table), self.rows[table.name])
            silence = {
                "silence_id": "s-1",
                "kind": "price_change",
                "cohort": {},
                "signals": ["buffering"],
                "from_time": self.noon - HOUR,
                "until_time": self.noon + HOUR,
                "author": "lea",
                "reason": "planned",
                "revision": 0,
                "created_time": self.noon,
            }
            connection.execute(insert(silences).values(silence))
            marked = {"silence_id": "s-1", "marked_time": self.noon}
            connection.execute(insert(expected_incidents).values(incident_id="i-3", **marked))
            for episode, state in (("i-4", "waiting"), ("i-5", "refused")):
                row = {"episode": episode, "audience": 9, "allowed_share": 0.4, "state": state}
                connection.execute(insert(rollouts).values(asked_time=self.noon, **row))


@pytest.mark.parametrize("seed", [4, 6])
def test_of_many_together_the_same_is_said_as_of_each_alone(seed, ledger, add_incident, noon):
    World(seed, noon).fill(ledger, add_incident)

    def said(standing) -> tuple:
        objections = frozenset(standing.objection(noon, None, policy) for policy in (POLICY, CAPPED))
        wait = standing.wait(noon, POLICY)
        return objections, wait and (wait.reason, wait.release_time)

    with ledger.read() as connection:
        together = {
            one.message_id: said(one) for one in standings(connection, of_notices(notices.c.notice_id != ""), noon)
        }
        for message_id, what in together.items():
            (alone,) = standings_of(connection, [message_id], noon)
            assert said(alone) == what, message_id
    objections = frozenset().union(*(found for found, _ in together.values()))
    waits = {wait[0] for _, wait in together.values() if wait}
    assert len(objections) >= 10
    assert objections >= {
        "seen",
        "contacted_support",
        "suppressed",
        "rollout_refused",
        "told_recently",
        "frequency_cap",
    }
    assert waits >= {"silenced", "quiet_hours", "awaiting_approval"}


LONG = ("notices", "outbox", "troubles", "deliveries", "provider_events")


def test_the_cost_of_sending_some_does_not_grow_with_what_waits_or_is_done(engine, queue, noon):
    """SQLite keeps no statistics, and would read all messages of a state, or every notice, to find a few by key."""
    if engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL plans by the sizes of its tables.")
    queue(20)
    asked: dict[str, tuple] = {}

    def note(*of) -> None:
        if of[2].lstrip().startswith(("SELECT", "UPDATE", "INSERT", "WITH", "DELETE")):
            asked[of[2]] = of[3][0] if isinstance(of[3], list) else of[3]

    event.listen(engine, "after_cursor_execute", note)
    hands = Hands(lambda number: OutcomeUnknown("?") if number % 5 == 0 else None)
    deliver(engine, {ChannelName.EMAIL: hands}, noon, policy=POLICY)
    with writing(engine).begin() as connection:
        spoken = {"event": "delivered", "timestamp": noon.timestamp()}
        told = [spoken | {"sg_event_id": who, "message_id": who} for who in hands.got]
        assert apply_events(connection, told, noon).settled
    event.remove(engine, "after_cursor_execute", note)
    with engine.connect() as connection:
        plans = {
            sql: connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", bound).all() for sql, bound in asked.items()
        }
    steps = [(step[3], sql) for sql, plan in plans.items() for step in plan]
    assert [one for one in steps if re.match(rf"SCAN ({'|'.join(LONG)})\b", one[0])] == []
    searched = [(step, sql) for step, sql in steps if step.startswith("SEARCH outbox")]
    ways = (("message_id", 4, "outbox_1 (message_id=?)"), ("message_number", 2, "PRIMARY KEY (rowid=?)"))
    for column, statements, way in ways:
        by_key = [one for one in searched if f"outbox.{column} IN" in one[1]]
        assert len(by_key) >= statements
        assert [one for one in by_key if way not in one[0]] == []


class Hands:
    """A channel that counts who was sent what, by how many hands at once, and fails as drawn."""

    repeatable: ClassVar[bool] = False

    def __init__(self, failing=lambda _number: None) -> None:
        self.failing = failing
        self.got: Counter[str] = Counter()
        self.asked = 0
        self.lock = threading.Lock()

    def bundle(self, messages) -> list[list]:
        return one_by_one(messages)

    def send(self, message) -> Receipt:
        with self.lock:
            self.asked += 1
            failure = self.failing(self.asked)
            if failure is None or isinstance(failure, OutcomeUnknown):
                self.got[message.message_id] += 1
        if failure is not None:
            raise failure
        return Receipt("p")

    def finish(self) -> None:
        """Nothing."""


@pytest.fixture
def queue(engine, add_incident, noon):
    """Queue messages of which nothing else is known."""
    add_incident()

    def put(count: int) -> None:
        world = World.__new__(World)
        world.chance, world.noon, world.troubles = random.Random(1), noon, []
        world.rows = {name: [] for name in ("notices", "outbox", "inbox")}
        for number in range(count):
            world.notice(f"u-{number}", "i-1", TroubleKind.PROBLEM)
        plain = {"withheld_reason": None, "channel": "email", "release_time": None, "timezone": "UTC"}
        ways = {"channel": "email", "address": "a@example.net", "state": "queued", "settled_time": None}
        first = [row for row in world.rows["outbox"] if row["stage"] == "first"]
        with engine.begin() as connection:
            connection.execute(insert(notices), [row | plain | {"expires_time": None} for row in world.rows["notices"]])
            connection.execute(insert(outbox), [row | ways for row in first])

    return put


@pytest.mark.parametrize("hands", [1, 2, 8])
def test_several_hands_send_each_once_whatever_fails(hands, queue, engine, states, noon):
    queue(150)
    failures = {3: Retryable("busy"), 5: Refused("no"), 7: OutcomeUnknown("no answer"), 50: Retryable("busy")}
    channel = Hands(failures.get)
    deliver(engine, {EMAIL: channel}, noon, in_flight=hands)
    assert states() == {"sent": 146, "queued": 2, "failed": 1, "unknown": 1}
    deliver(engine, {EMAIL: channel}, noon + HOUR, in_flight=hands)
    assert states() == {"sent": 148, "failed": 1, "unknown": 1}
    assert set(channel.got.values()) == {1}
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(deliveries)) == 152


@pytest.mark.parametrize("failure", [RateLimited("too fast", HOUR), ChannelPaused("key revoked")])
def test_what_one_hand_is_told_all_heed(failure, queue, engine, states, noon):
    queue(300)
    channel = Hands(lambda number: failure if number > 20 else None)
    report = deliver(engine, {EMAIL: channel}, noon, in_flight=4)
    assert channel.asked <= 20 + 4
    assert states() == {"sent": 20, "queued": 280}
    assert report.stopped == {"email": str(failure)}


def test_who_is_told_to_stop_finishes_what_is_under_way_and_gives_back_the_rest(queue, engine, states, noon):
    queue(300)
    channel = Hands()
    deliver(engine, {EMAIL: channel}, noon, in_flight=4, halted=lambda: channel.asked > 40)
    assert set(states()) == {"sent", "queued"}
    assert 40 < states()["sent"] == channel.asked <= 40 + AT_ONCE
    with engine.connect() as connection:
        leased = outbox.c.lease_owner.is_not(None) & (outbox.c.state == State.QUEUED.value)
        assert connection.scalar(select(func.count()).where(leased)) == 0
