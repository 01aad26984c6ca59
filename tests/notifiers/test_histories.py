"""Generated histories: whatever happens in whatever order, nobody gets what they must not get, and nothing is lost.

A history decides, lets go and sends on a real ledger while people choose, addresses bounce, sending is stopped,
audiences are approved or refused, events are planned, clocks change and the provider fails in every way. What reaches a
channel is judged there, at the moment of sending, by a plain model of what people said: not by the gates. In the end
every trouble has one notice, and each notice one reason or one message that came to its end.

The seeds of the suite are fixed. ``PREBUFFER_HISTORIES=2000`` runs so many others besides; a failure names its seed.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, insert, select, update

from incidents.ledger import schema
from incidents.ledger.casework import expected_incidents, silences
from incidents.ledger.schema import inbox, incidents, notices, outbox, rollouts, sending_stops, troubles
from incidents.ledger.store import Ledger
from incidents.model import Cause, Severity, Trouble, TroubleKind, Verdict
from incidents.silences import SilenceKind, mark_expected, plan
from notifiers import rollout, stops
from notifiers.cards import Mark, mark_cards
from notifiers.channels import Receipt
from notifiers.channels.contract import one_by_one
from notifiers.channels.in_app import InApp
from notifiers.compose import Rendered
from notifiers.decide import decide
from notifiers.deliver import deliver
from notifiers.errors import ChannelPaused, OutcomeUnknown, RateLimited, Refused, Retryable
from notifiers.events import apply_events
from notifiers.flood import stop_a_flood
from notifiers.follow_up import follow_up, unseen
from notifiers.history import load_history
from notifiers.model import Category, ChannelName, Policy, Recipient
from notifiers.outbox import enqueue
from notifiers.preferences import Source, choose
from notifiers.release import release_due
from notifiers.rollout import ask_for_large
from notifiers.spread import share_of
from notifiers.stops import EVERYTHING, StopKind
from tests.ledger.conftest import INCIDENT, TROUBLE

MORE = int(os.environ.get("PREBUFFER_HISTORIES", "0"))
STEPS = 60
EMAIL, IN_APP = ChannelName.EMAIL, ChannelName.IN_APP
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
ZONES = {
    "u-0": "Europe/London",
    "u-1": "America/New_York",
    "u-2": "Australia/Lord_Howe",
    "u-3": "Asia/Kolkata",
    "u-4": "Pacific/Auckland",
    "u-5": "Europe/London",
}
PEOPLE = list(ZONES)
ADDRESSES = {who: f"{who}@example.net" for who in PEOPLE} | {"u-1": " U-0@example.net", "u-5": "nobody"}
"""Two share a mailbox, and one has none."""
STARTS = [
    datetime(*day, tzinfo=UTC) for day in ((2026, 3, 7, 8), (2026, 3, 28, 10), (2026, 4, 4, 0), (2026, 10, 24, 9))
]
"""Each shortly before clocks change somewhere."""
CAUSES = (Cause.SERVICE, Cause.ISP, Cause.APP)
WORDS = Rendered("A subject", "<p>page</p>", "text", {"title": "A subject"})
FAILURES = {
    "later": lambda: Retryable("not now"),
    "unknown": lambda: OutcomeUnknown("no answer"),
    "refused": lambda: Refused("no"),
    "busy": lambda: RateLimited("too fast", 7 * MINUTE),
    "paused": lambda: ChannelPaused("key revoked"),
}


def a_policy(random: Random) -> Policy:
    one_of = random.choice
    return Policy(
        active_within=one_of([timedelta(0), 2 * HOUR]),
        holdout_share=one_of([0.0, 0.0, 0.3]),
        release_over=one_of([timedelta(0), 30 * MINUTE]),
        max_per_day=one_of([1, 9, 9]),
        max_per_week=one_of([2, 30, 30]),
        max_per_incident=one_of([1, 3]),
        incident_gap=one_of([timedelta(0), timedelta(0), 3 * HOUR]),
        own_gap=one_of([timedelta(0), 2 * HOUR]),
        email_budget=one_of([None, None, 1]),
        staged_people=one_of([2, 2000]),
        stages=one_of([(0.5,), (0.3, 0.6)]),
        flood_people=one_of([5, None, None]),
    )


class Judging:
    """A channel that judges what it is given, and fails as it is told to."""

    def __init__(self, history: History, name: ChannelName) -> None:
        self.history, self.name = history, name
        self.repeatable = name is IN_APP
        self.inbox = InApp(history.ledger.engine)

    def bundle(self, messages) -> list[list]:
        return one_by_one(messages)

    def send(self, message) -> Receipt:
        self.history.judge(message)
        failure = self.history.failures.pop() if self.history.failures else None
        if failure in (None, "unknown"):  # at the worst it was taken
            self.history.taken[message.message_id] = (message, self.history.now)
        if failure is not None:
            raise FAILURES[failure]()
        return self.inbox.send(message) if self.name is IN_APP else Receipt(message.message_id)

    def finish(self) -> None:
        """Nothing to do."""


class History:
    """What may happen, in any order, and a plain model of what people said."""

    def __init__(self, ledger: Ledger, seed: int) -> None:
        self.ledger, self.random = ledger, Random(seed)
        self.now, self.policy = self.random.choice(STARTS), a_policy(self.random)
        likely = {EMAIL: 0.9, IN_APP: 0.4}
        self.opted = {(who, name): self.random.random() < likely[name] for who in PEOPLE for name in ChannelName}
        self.chosen: dict[tuple, bool] = {}
        self.suppressed: set[str] = set()
        self.helped: dict[str, datetime] = {}
        self.open: list[str] = []
        self.over: set[str] = set()
        self.whole: dict[str, str] = {}
        self.seen: set[str] = set()
        self.bounced: set[str] = set()
        self.failures: list[str | None] = []
        self.taken: dict[str, tuple] = {}
        self.candidates: set[tuple] = set()
        self.number = 0

    def happen(self) -> None:
        """Let one thing happen."""
        doings = {
            self.an_incident_is_found: 4,
            self.own_trouble_is_found: 2,
            self.an_incident_grows: 3,
            self.an_incident_is_over: 2,
            self.an_incident_becomes_part_of_another: 1,
            self.time_passes: 9,
            self.what_is_due_is_sent: 7,
            self.a_person_chooses: 2,
            self.the_subscriber_list_changes: 1,
            self.a_person_asks_support: 1,
            self.a_person_sees_their_cards: 1,
            self.the_provider_reports: 5,
            self.staff_stop_sending: 1,
            self.staff_let_it_go_on: 4,
            self.staff_answer: 3,
            self.staff_plan_an_event: 1,
        }
        (doing,) = self.random.choices(list(doings), list(doings.values()))
        doing()
        self.everybody_in_trouble_has_one_notice()

    # What the pipeline does

    def an_incident_is_found(self) -> None:
        incident_id = self.fresh("i")
        found = replace(
            INCIDENT,
            incident_id=incident_id,
            onset_time=self.now - HOUR,
            detected_time=self.now,
            verdict=Verdict(self.random.choice(CAUSES), 0.9),
        )
        with self.ledger.write() as connection:
            self.ledger.save_incidents(connection, [found])
        self.open.append(incident_id)
        self.an_incident_grows(incident_id)

    def an_incident_grows(self, incident_id=None) -> None:
        if incident_id is None and not self.open:
            return
        incident_id = incident_id or self.random.choice(self.open)
        verdict = self.ledger.incident(incident_id).verdict
        self.window([self.trouble(who, incident_id, verdict) for who in self.some()])

    def own_trouble_is_found(self) -> None:
        cause = self.random.choice([Cause.HOUSEHOLD, Cause.ACCOUNT])
        self.window([self.trouble(who, None, Verdict(cause, 0.95)) for who in self.some()])

    def an_incident_is_over(self) -> None:
        if not self.open:
            return
        incident_id = self.open.pop(self.random.randrange(len(self.open)))
        self.over.add(incident_id)
        self.set_incident(incident_id, resolved_time=self.now)
        verdict = self.ledger.incident(incident_id).verdict
        struck = sorted(who for who, of, kind in self.candidates if of == incident_id and kind == "problem")
        self.window([self.trouble(who, incident_id, verdict, TroubleKind.ALL_CLEAR) for who in struck])

    def an_incident_becomes_part_of_another(self) -> None:
        if len(self.open) < 2:
            return
        part, whole = self.random.sample(self.open, 2)
        if part in self.whole.values():
            return
        self.open.remove(part)
        self.whole[part] = whole
        self.set_incident(part, merged_into=whole, resolved_time=self.now)

    def time_passes(self) -> None:
        self.now += self.random.choice([1, 5, 20, 61, 150, 400]) * MINUTE
        self.window([])

    def what_is_due_is_sent(self) -> None:
        failing = self.random.random() < 0.4
        self.send([self.random.choice([None, None, *FAILURES]) for _ in range(5)] if failing else [])

    # What people do

    def a_person_chooses(self) -> None:
        self.now += timedelta(seconds=1)
        who, channel, category = (self.random.choice(it) for it in (PEOPLE, list(ChannelName), list(Category)))
        allowed = self.chosen[who, category, channel] = self.random.random() < 0.5
        with self.ledger.write() as connection:
            choose(connection, who, allowed, Source.PAGE, self.now, channels=[channel], categories=[category])

    def the_subscriber_list_changes(self) -> None:
        key = self.random.choice(list(self.opted))
        self.opted[key] = not self.opted[key]

    def a_person_asks_support(self) -> None:
        who, answered = self.random.choice(PEOPLE), self.random.choice([True, False, None])
        row = {"contact_id": self.fresh("c"), "subscriber_id": who, "contacted_time": self.now, "reason": "buffering"}
        with self.ledger.write() as connection:
            connection.execute(insert(schema.contacts).values(**row, resolved_first_contact=answered))
        if answered is not False:
            self.helped[who] = self.now

    def a_person_sees_their_cards(self) -> None:
        who = self.random.choice(PEOPLE)
        with self.ledger.write() as connection:
            cards = list(connection.scalars(select(inbox.c.card_id).where(inbox.c.subscriber_id == who)))
            mark_cards(connection, who, cards, Mark.SEEN, self.now)
        self.seen.update(cards)

    def the_provider_reports(self) -> None:
        mails = [message for message, _ in self.taken.values() if message.channel is EMAIL]
        if not mails:
            return
        with self.ledger.read() as connection:
            waiting = set(connection.scalars(select(outbox.c.address).where(outbox.c.state == "queued")))
        message = self.random.choice([it for it in mails if it.address in waiting] or mails[-4:])
        what = self.random.choice(["bounce", "bounce", "spamreport", "unsubscribe", "delivered"])
        event = {"event": what, "sg_event_id": self.fresh("e"), "message_id": message.message_id, "type": "bounce"}
        with self.ledger.write() as connection:
            apply_events(connection, [{**event, "timestamp": int(self.now.timestamp())}], self.now)
        if what == "bounce":
            self.bounced.add(message.message_id)
        if what != "delivered":
            self.suppressed.add(message.address.strip().lower())

    # What staff do

    def staff_stop_sending(self) -> None:
        incident = [f"incident:{self.open[0]}"] if self.open else []
        scope = self.random.choice([EVERYTHING, "channel:email", "channel:in_app", *incident])
        with self.ledger.write() as connection:
            stops.start(connection, scope, StopKind.PERSON, "Wrong words.", self.now, by="ops")

    def staff_let_it_go_on(self) -> None:
        with self.ledger.write() as connection:
            stops.end(connection, self.now, by="ops")

    def staff_answer(self) -> None:
        with self.ledger.write() as connection:
            waiting = rollout.waiting(connection)
            if not waiting:
                return
            episode = self.random.choice(waiting).episode
            if self.random.random() < 0.7:
                rollout.approve(connection, episode, "lea", self.now, stages=self.policy.stages)
            else:
                rollout.refuse(connection, episode, "lea", self.now)

    def staff_plan_an_event(self) -> None:
        end = self.now + self.random.choice([1, 5]) * HOUR
        with self.ledger.write() as connection, suppress(ValueError):
            kind, cohort = SilenceKind.MAINTENANCE, {"cdn": "cdn-b"}
            plan(connection, kind, cohort, self.now - 2 * HOUR, end, "ann", "Routers.", self.now)
            mark_expected(connection, self.now)

    # What must hold

    def judge(self, message) -> None:
        """Complain if this message must not go to this person now."""
        who, now, channel = message.subscriber_id, self.now, message.channel
        notice = self.row(notices, notices.c.notice_id == message.notice_id)
        category = Category.SHARED if notice.incident_id else Category.OWN
        assert message.message_id not in self.taken or channel is IN_APP, "twice"
        assert notice.withheld_reason is None, "withheld"
        assert message.expires_time > now, "expired"
        assert self.chosen.get((who, category, channel), self.opted[who, channel]), "unwanted"
        assert not self.is_stopped(channel, notice.incident_id), "stopped"
        if channel is EMAIL:
            self.judge_mail(message, self.local(who, now).hour)
        if notice.kind == TroubleKind.PROBLEM:
            self.judge_problem(who, notice)
        else:
            assert (who, notice.episode) in self.heard(), "an end without a beginning"

    def judge_mail(self, message, hour) -> None:
        address = message.address.strip().lower()
        assert message.address == ADDRESSES[message.subscriber_id], "somebody else's"
        assert "@" in address, "no address"
        assert address not in self.suppressed, "suppressed"
        assert 8 <= hour < 22, "quiet"
        assert message.message_id == message.notice_id or message.notice_id not in self.seen, "seen"
        carried = [key for key, (it, at) in self.taken.items() if it.channel is EMAIL and at.date() == self.now.date()]
        today = len(set(carried) - self.bounced)  # a mail that came back gives its place to another
        assert self.policy.email_budget is None or today < self.policy.email_budget, "budget"

    def judge_problem(self, who, notice) -> None:
        """Complain if this problem must not be told to this person now."""
        of_it = (troubles.c.subscriber_id == who) & (troubles.c.episode == notice.episode)
        since = self.row(troubles, of_it & (troubles.c.kind == "problem")).since
        whole = self.whole.get(notice.incident_id, notice.incident_id)
        assert whole not in self.over, "over"
        assert who not in self.helped or self.helped[who] < since, "was helped"
        assert share_of(self.policy.holdout_salt, who) >= self.policy.holdout_share, "held out"
        if whole is not None:
            assert not self.is_planned(notice.incident_id), "planned"
            assert self.is_their_turn(who, whole), "not their turn"
        days = [self.local(who, at).date() for at in self.heard_of_problems(who, besides=notice.notice_id)]
        today = self.local(who, self.now).date()
        week = sum(day.isocalendar()[:2] == today.isocalendar()[:2] for day in days)
        assert days.count(today) < self.policy.max_per_day, "cap of the day"
        assert week < self.policy.max_per_week, "cap of the week"

    def local(self, who, moment):
        return moment.astimezone(ZoneInfo(ZONES[who]))

    def heard(self) -> set[tuple[str, str]]:
        ids = [message.notice_id for message, _ in self.taken.values()]
        with self.ledger.read() as connection:
            rows = connection.execute(select(notices).where(notices.c.notice_id.in_(ids))).all()
        return {(row.subscriber_id, row.episode) for row in rows}

    def heard_of_problems(self, who, besides) -> list[datetime]:
        """When a person heard of other problems; what failed afterwards was not heard."""
        first = notices.join(outbox, outbox.c.message_id == notices.c.notice_id)
        mine = (notices.c.subscriber_id == who) & (notices.c.kind == "problem") & (outbox.c.state != "failed")
        with self.ledger.read() as connection:
            ids = set(connection.scalars(select(notices.c.notice_id).select_from(first).where(mine)))
        return [at for key, (_, at) in self.taken.items() if key in ids - {besides}]

    def is_stopped(self, channel, incident_id) -> bool:
        scopes = {EVERYTHING, f"channel:{channel.value}", f"incident:{incident_id}"}
        with self.ledger.read() as connection:
            rows = connection.execute(select(sending_stops).where(sending_stops.c.ended_time.is_(None))).all()
        return any(it.scope in scopes and (it.until_time is None or it.until_time > self.now) for it in rows)

    def is_planned(self, incident_id) -> bool:
        query = select(silences).join(expected_incidents).where(expected_incidents.c.incident_id == incident_id)
        with self.ledger.read() as connection:
            rows = connection.execute(query).all()
        return any(it.from_time <= self.now < (it.ended_time or it.until_time) for it in rows)

    def is_their_turn(self, who, whole) -> bool:
        row = self.row(rollouts, rollouts.c.episode == whole)
        if row is None or row.state == "over":
            return True
        return row.state != "refused" and share_of("rollout", whole, who) < row.allowed_share

    def everybody_in_trouble_has_one_notice(self) -> None:
        with self.ledger.read() as connection:
            rows = connection.execute(select(notices)).all()
        assert Counter((it.subscriber_id, it.episode, it.kind) for it in rows) == Counter(self.candidates)

    def end(self) -> None:
        """Let everything come to its end, then look whether each notice has one reason or one end."""
        for _ in range(9):
            self.now += 7 * HOUR
            self.window([])
            self.staff_let_it_go_on()
            self.send([])
        first = notices.outerjoin(outbox, outbox.c.message_id == notices.c.notice_id)
        moving = select(func.count()).select_from(outbox).where(outbox.c.state.in_(["queued", "sending"]))
        with self.ledger.read() as connection:
            rows = connection.execute(select(notices, outbox.c.state).select_from(first)).all()
            assert connection.scalar(moving) == 0
        for row in rows:
            if row.withheld_reason is None:
                assert row.state in {"sent", "failed", "unknown"}, row
                assert row.state == "failed" or row.notice_id in self.taken, row
            else:
                assert row.state in {None, "cancelled"}, row
                assert (row.release_time, row.notice_id in self.taken) == (None, False), row

    # How it is done

    def fresh(self, prefix: str) -> str:
        self.number += 1
        return f"{prefix}-{self.number}"

    def some(self) -> list[str]:
        return self.random.sample(PEOPLE, self.random.randint(1, len(PEOPLE)))

    def trouble(self, who, incident_id, verdict, kind=TroubleKind.PROBLEM) -> Trouble:
        bad = self.now - self.random.choice([5, 5, 5, 5, 90, 800]) * MINUTE
        return replace(
            TROUBLE,
            subscriber_id=who,
            incident_id=incident_id,
            verdict=verdict,
            kind=kind,
            severity=self.random.choice(list(Severity)),
            since=bad - 20 * MINUTE,
            last_bad_time=bad,
            incident_resolved=kind is TroubleKind.ALL_CLEAR,
        )

    def row(self, table, where):
        with self.ledger.read() as connection:
            return connection.execute(select(table).where(where)).first()

    def set_incident(self, incident_id, **values) -> None:
        with self.ledger.write() as connection:
            connection.execute(update(incidents).where(incidents.c.incident_id == incident_id).values(values))

    def window(self, found) -> None:
        """Decide as the pipeline does."""
        now, policy = self.now, self.policy
        recipients = {
            who: Recipient(who, ADDRESSES[who], None, "en", zone, "GB", *(self.opted[who, it] for it in ChannelName))
            for who, zone in ZONES.items()
        }
        with self.ledger.write() as connection:
            self.ledger.save_troubles(connection, found, now)
            mark_expected(connection, now)
            cards = unseen(connection, policy, now)
            release_due(connection, now, self.consents, policy)
            ask_for_large(connection, found, 0, policy, now)
            history = load_history(connection, found, recipients, now, policy)
            decisions = decide(found, recipients, history, policy, now)
            stop_a_flood(connection, decisions, policy, now)
            enqueue(connection, decisions, {d.notice_id: WORDS for d in decisions if d.needs_words}, ADDRESSES, now)
            self.ledger.mark_decided(connection, found)
            follow_up(connection, cards, recipients, now)
        self.candidates |= {(it.subscriber_id, it.episode, it.kind.value) for it in found}

    def send(self, failures) -> None:
        self.failures = list(failures)
        channels = {name: Judging(self, name) for name in ChannelName}
        deliver(self.ledger.engine, channels, self.now, consents=self.consents, policy=self.policy)
        self.failures = []

    def consents(self, who, channel) -> bool:
        return self.opted[who, channel]


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A ledger's file with nothing in it, to copy."""
    file = tmp_path_factory.mktemp("histories") / "empty.db"
    with Ledger(f"sqlite:///{file}", durable=False) as ledger:
        schema.metadata.create_all(ledger.engine)
    return file


SEEDS = [range(start, start + 5) for start in (0, 5)] + [range(100, 100 + MORE)] * (MORE > 0)


@pytest.mark.parametrize("seeds", SEEDS, ids=str)
def test_whatever_happens_nobody_gets_what_they_must_not_and_nothing_is_lost(seeds, empty, tmp_path):
    for seed in seeds:
        shutil.copy(empty, tmp_path / f"{seed}.db")
        with Ledger(f"sqlite:///{tmp_path}/{seed}.db", durable=False) as ledger:
            history = History(ledger, seed)
            try:
                for _ in range(STEPS):
                    history.happen()
                history.end()
            except Exception as error:
                error.add_note(f"The seed is {seed}; the policy is {history.policy}.")
                raise
        (tmp_path / f"{seed}.db").unlink()
