"""Generated histories: whatever happens in whatever order, nobody gets what they must not get, and nothing is lost.

The machine decides, lets go and sends on a real ledger while people choose, addresses bounce, sending is stopped,
audiences are approved or refused, events are planned, clocks change and the provider fails in every way. What reaches a
channel is judged there, at the moment of sending, by a plain model of what people said: not by the gates. In the end
every trouble has one notice, and each notice one reason or one message that came to its end.

``PREBUFFER_HISTORIES=2000`` runs so many histories instead of a few, other ones every time.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, insert, select, update

from incidents.ledger import schema
from incidents.ledger.casework import silences
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
from notifiers.outbox import Stage, enqueue
from notifiers.preferences import Source, choose
from notifiers.release import release_due
from notifiers.rollout import ask_for_large
from notifiers.spread import share_of
from notifiers.stops import EVERYTHING, StopKind
from tests.ledger.conftest import INCIDENT, TROUBLE

HISTORIES = int(os.environ.get("PREBUFFER_HISTORIES", "0"))
EMAIL, IN_APP = ChannelName.EMAIL, ChannelName.IN_APP
ZONES = (
    "Europe/London",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Pacific/Auckland",
    "Europe/London",
)
PEOPLE = [f"u-{n}" for n in range(6)]
ADDRESSES = dict(
    zip(
        PEOPLE,
        ["a@example.net", "A@example.net ", *(f"{who}@example.net" for who in PEOPLE[2:5]), "nobody"],
        strict=True,
    )
)
"""The first two share a mailbox, and the last has none that is one."""
STARTS = [
    datetime(*day, tzinfo=UTC) for day in ((2026, 3, 7, 18), (2026, 3, 28, 20), (2026, 4, 4, 9), (2026, 10, 24, 19))
]
"""Each shortly before clocks change somewhere."""
EPISODES = ("i-0", "i-1", None)
CAUSES = {"i-0": Cause.SERVICE, "i-1": Cause.ISP, None: Cause.HOUSEHOLD}
WORDS = Rendered("A subject", "<p>page</p>", "text", {"title": "A subject"})
FAILURES = {
    "later": lambda: Retryable("not now"),
    "unknown": lambda: OutcomeUnknown("no answer"),
    "refused": lambda: Refused("no"),
    "busy": lambda: RateLimited("too fast", timedelta(minutes=7)),
    "paused": lambda: ChannelPaused("key revoked"),
}
people, minutes = st.sampled_from(PEOPLE), st.sampled_from([1, 20, 61, 150, 400, 900])
policies = st.builds(
    Policy,
    active_within=st.sampled_from([timedelta(0), timedelta(hours=1)]),
    holdout_share=st.sampled_from([0.0, 0.3]),
    release_over=st.sampled_from([timedelta(0), timedelta(minutes=30)]),
    max_per_day=st.sampled_from([1, 3]),
    max_per_week=st.sampled_from([2, 8]),
    incident_gap=st.sampled_from([timedelta(0), timedelta(hours=3)]),
    own_gap=st.just(timedelta(hours=2)),
    email_budget=st.sampled_from([None, 2]),
    staged_people=st.sampled_from([2, 2000]),
    stages=st.just((0.5,)),
    flood_people=st.sampled_from([4, None]),
)


class Refusing:
    """A channel that judges what it is given, and fails as it is told to."""

    def __init__(self, history: Histories, name: ChannelName) -> None:
        self.history, self.name = history, name
        self.repeatable = name is IN_APP
        self.inbox = InApp(history.ledger.engine)

    def bundle(self, messages) -> list[list]:
        return one_by_one(messages)

    def send(self, message) -> Receipt:
        self.history.judge(message)
        failure = self.history.failures.pop() if self.history.failures else None
        if failure is None or failure == "unknown":  # at the worst it was taken
            self.history.take(message)
        if failure is not None:
            raise FAILURES[failure]()
        return self.inbox.send(message) if self.name is IN_APP else Receipt(message.message_id)

    def finish(self) -> None:
        """Nothing to do."""


class Histories(RuleBasedStateMachine):
    """What may happen, in any order."""

    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        shutil.copy(self.template, self.folder / "ledger.db")
        self.ledger = Ledger(f"sqlite:///{self.folder}/ledger.db", durable=False)
        self.opted = {
            (who, channel): (n + k) % 5 > 0 for n, who in enumerate(PEOPLE) for k, channel in enumerate(ChannelName)
        }
        self.chosen: dict[tuple, bool] = {}
        self.suppressed: set[str] = set()
        self.helped: dict[str, datetime] = {}
        self.over: set[str] = set()
        self.whole: dict[str, str] = {}
        self.seen: set[str] = set()
        self.failures: list[str] = []
        self.taken: dict[str, tuple] = {}
        self.candidates: set[tuple] = set()
        self.events = 0

    @initialize(start=st.sampled_from(STARTS), policy=policies)
    def begin(self, start, policy) -> None:
        self.now, self.policy = start, policy
        with self.ledger.write() as connection:
            open_ones = [
                replace(INCIDENT, incident_id=it, onset_time=start, detected_time=start) for it in ("i-0", "i-1")
            ]
            self.ledger.save_incidents(connection, open_ones)

    # What the pipeline does

    @rule(
        who=st.sets(people, min_size=1),
        episode=st.sampled_from(EPISODES),
        severity=st.sampled_from(Severity),
        ago=st.sampled_from([5, 90, 800]),
    )
    def trouble_is_found(self, who, episode, severity, ago) -> None:
        if episode in self.over:
            return
        bad = self.now - timedelta(minutes=ago)
        since = bad - timedelta(minutes=20)
        self.window([trouble(it, episode, severity, since, bad) for it in sorted(who)])

    @rule(episode=st.sampled_from(["i-0", "i-1"]))
    def an_incident_is_over(self, episode) -> None:
        self.over.add(episode)
        self.set_incident(episode, resolved_time=self.now)
        struck = sorted(who for who, of, kind in self.candidates if of == episode and kind is TroubleKind.PROBLEM)
        bad = self.now - timedelta(minutes=5)
        clear = [trouble(who, episode, Severity.MINOR, bad, bad, TroubleKind.ALL_CLEAR) for who in struck]
        self.window(clear)

    @precondition(lambda self: not self.whole and not self.over)
    @rule()
    def an_incident_becomes_part_of_another(self) -> None:
        self.whole["i-0"] = "i-1"
        self.over.add("i-0")
        self.set_incident("i-0", merged_into="i-1", resolved_time=self.now)

    @rule()
    def nothing_is_found(self) -> None:
        self.window([])

    @rule(wait=minutes, failures=st.lists(st.sampled_from([None, *FAILURES]), max_size=4))
    def time_passes_and_what_is_due_is_sent(self, wait, failures) -> None:
        self.now += timedelta(minutes=wait)
        self.window([])
        self.send(failures)

    @rule(failures=st.lists(st.sampled_from([None, *FAILURES]), max_size=4))
    def what_is_due_is_sent(self, failures) -> None:
        self.send(failures)

    # What people do

    @rule(who=people, channel=st.sampled_from(ChannelName), category=st.sampled_from(Category), allowed=st.booleans())
    def a_person_chooses(self, who, channel, category, allowed) -> None:
        self.now += timedelta(seconds=1)
        self.chosen[who, category, channel] = allowed
        with self.ledger.write() as connection:
            choose(connection, who, allowed, Source.PAGE, self.now, channels=[channel], categories=[category])

    @rule(who=people, channel=st.sampled_from(ChannelName))
    def the_subscriber_list_changes(self, who, channel) -> None:
        self.opted[who, channel] = not self.opted[who, channel]

    @rule(who=people, answered=st.sampled_from([True, False, None]))
    def a_person_asks_support(self, who, answered) -> None:
        self.events += 1
        row = {
            "contact_id": f"c-{self.events}",
            "subscriber_id": who,
            "contacted_time": self.now,
            "reason": "buffering",
        }
        with self.ledger.write() as connection:
            connection.execute(insert(schema.contacts).values(**row, resolved_first_contact=answered))
        if answered is not False:
            self.helped[who] = self.now

    @rule(who=people)
    def a_person_sees_their_cards(self, who) -> None:
        with self.ledger.write() as connection:
            cards = list(connection.scalars(select(inbox.c.card_id).where(inbox.c.subscriber_id == who)))
            mark_cards(connection, who, cards, Mark.SEEN, self.now)
        self.seen.update(cards)

    @rule(what=st.sampled_from(["bounce", "spamreport", "unsubscribe", "delivered"]), number=st.integers(0, 20))
    def the_provider_reports(self, what, number) -> None:
        mails = sorted(key for key, (message, _) in self.taken.items() if message.channel is EMAIL)
        if not mails:
            return
        message, _ = self.taken[mails[number % len(mails)]]
        self.events += 1
        event = {"event": what, "sg_event_id": f"e-{self.events}", "message_id": message.message_id, "type": "bounce"}
        with self.ledger.write() as connection:
            apply_events(connection, [{**event, "timestamp": int(self.now.timestamp())}], self.now)
        if what != "delivered":
            self.suppressed.add(message.address.strip().lower())

    # What staff do

    @rule(scope=st.sampled_from([EVERYTHING, "channel:email", "channel:in_app", "incident:i-0"]))
    def a_person_stops_sending(self, scope) -> None:
        with self.ledger.write() as connection:
            stops.start(connection, scope, StopKind.PERSON, "Wrong words.", self.now, by="ops")

    @rule()
    def a_person_lets_it_go_on(self) -> None:
        with self.ledger.write() as connection:
            stops.end(connection, self.now, by="ops")

    @rule(yes=st.booleans(), number=st.integers(0, 1))
    def a_person_answers(self, yes, number) -> None:
        with self.ledger.write() as connection:
            waiting = rollout.waiting(connection)
            if waiting:
                episode = waiting[number % len(waiting)].episode
                if yes:
                    rollout.approve(connection, episode, "lea", self.now, stages=self.policy.stages)
                else:
                    rollout.refuse(connection, episode, "lea", self.now)

    @rule(hours=st.sampled_from([1, 5]))
    def an_event_is_planned(self, hours) -> None:
        with self.ledger.write() as connection, suppress(ValueError):
            start, end = self.now - timedelta(minutes=30), self.now + timedelta(hours=hours)
            plan(connection, SilenceKind.MAINTENANCE, {"cdn": "cdn-b"}, start, end, "ann", "Routers.", self.now)
            mark_expected(connection, self.now)

    # What must hold

    def judge(self, message) -> None:
        """Complain if this message must not go to this person now."""
        who, now = message.subscriber_id, self.now
        notice = self.row(notices, notices.c.notice_id == message.notice_id)
        episode, is_problem = notice.episode, notice.kind == TroubleKind.PROBLEM
        category = Category.SHARED if notice.incident_id else Category.OWN
        channel = message.channel
        assert message.message_id not in self.taken or channel is IN_APP, "twice"
        assert notice.withheld_reason is None, "withheld"
        assert message.expires_time > now, "expired"
        assert self.chosen.get((who, category, channel), self.opted[who, channel]), "unwanted"
        assert not self.stopped(channel, notice.incident_id), "stopped"
        if channel is EMAIL:
            assert message.address == ADDRESSES[who], "somebody else's"
            assert "@" in message.address, "no address"
            assert message.address.strip().lower() not in self.suppressed, "suppressed"
            assert 8 <= now.astimezone(ZoneInfo(dict(zip(PEOPLE, ZONES, strict=True))[who])).hour < 22, "quiet"
            assert message.notice_id not in self.seen or not message.message_id.endswith(".2"), "seen"
            budget = self.policy.email_budget
            today = sum(it.channel is EMAIL and at.date() == now.date() for it, at in self.taken.values())
            assert budget is None or today < budget, "budget"
        if is_problem:
            self.judge_problem(who, notice)
        else:
            heard = {
                (it.subscriber_id, self.row(notices, notices.c.notice_id == it.notice_id).episode)
                for it, _ in self.taken.values()
            }
            assert (who, episode) in heard, "an end without a beginning"

    def judge_problem(self, who, notice) -> None:
        """Complain if this problem must not be told to this person now."""
        found = self.row(
            troubles,
            (troubles.c.subscriber_id == who) & (troubles.c.episode == notice.episode) & (troubles.c.kind == "problem"),
        )
        incident_id, now = notice.incident_id, self.now
        assert self.whole.get(incident_id, incident_id) not in self.over, "over"
        assert self.helped.get(who, found.since - timedelta(1)) < found.since, "was helped"
        assert share_of(self.policy.holdout_salt, who) >= self.policy.holdout_share, "held out"
        if incident_id is not None:
            assert not self.is_planned(incident_id), "planned"
            assert self.is_their_turn(who, incident_id), "not their turn"
        days = Counter()
        for day in self.days(who, besides=notice.notice_id):
            days[day] += 1
        today = self.local_day(who, now)
        week = sum(count for day, count in days.items() if day.isocalendar()[:2] == today.isocalendar()[:2])
        assert days[today] < self.policy.max_per_day, "cap of the day"
        assert week < self.policy.max_per_week, "cap of the week"

    def days(self, who, besides):
        """The local days on which a person heard of other problems; what failed afterwards was not heard."""
        joined = notices.join(
            outbox, (outbox.c.notice_id == notices.c.notice_id) & (outbox.c.stage == Stage.FIRST.value)
        )
        mine = (notices.c.subscriber_id == who) & (notices.c.kind == "problem") & (outbox.c.state != "failed")
        with self.ledger.read() as connection:
            ids = set(connection.scalars(select(notices.c.notice_id).select_from(joined).where(mine)))
        return [self.local_day(who, at) for key, (_, at) in self.taken.items() if key in ids - {besides}]

    def local_day(self, who, moment):
        return moment.astimezone(ZoneInfo(dict(zip(PEOPLE, ZONES, strict=True))[who])).date()

    def stopped(self, channel, incident_id) -> bool:
        scopes = {"all", f"channel:{channel.value}", f"incident:{incident_id}"}
        with self.ledger.read() as connection:
            rows = connection.execute(select(sending_stops).where(sending_stops.c.ended_time.is_(None))).all()
        return any(it.scope in scopes and (it.until_time is None or it.until_time > self.now) for it in rows)

    def is_planned(self, incident_id) -> bool:
        expected = schema.metadata.tables["expected_incidents"]
        joined = silences.join(expected, expected.c.silence_id == silences.c.silence_id)
        query = select(silences).select_from(joined).where(expected.c.incident_id == incident_id)
        with self.ledger.read() as connection:
            rows = connection.execute(query).all()
        return any(it.from_time <= self.now < (it.ended_time or it.until_time) for it in rows)

    def is_their_turn(self, who, incident_id) -> bool:
        row = self.row(rollouts, rollouts.c.episode == self.whole.get(incident_id, incident_id))
        if row is None or row.state == "over":
            return True
        return row.state != "refused" and share_of("rollout", row.episode, who) < row.allowed_share

    def take(self, message) -> None:
        self.taken[message.message_id] = (message, self.now)

    @invariant()
    def everybody_in_trouble_has_one_notice(self) -> None:
        with self.ledger.read() as connection:
            found = Counter(
                (it.subscriber_id, it.episode, TroubleKind(it.kind)) for it in connection.execute(select(notices))
            )
        assert found == Counter(self.candidates)

    def teardown(self) -> None:
        try:
            if hasattr(self, "policy"):
                self.end_well()
        finally:
            self.ledger.close()
            shutil.rmtree(self.folder)

    def end_well(self) -> None:
        """Let everything come to its end, then look whether each notice has one reason or one end."""
        with self.ledger.write() as connection:
            stops.end(connection, self.now, by="ops")
        for _ in range(12):
            self.now += timedelta(hours=5)
            self.window([])
            with self.ledger.write() as connection:
                stops.end(connection, self.now, by="ops")
            self.send([])
        first = (outbox.c.notice_id == notices.c.notice_id) & (outbox.c.stage == Stage.FIRST.value)
        query = select(notices, outbox.c.state, outbox.c.message_id).select_from(notices.outerjoin(outbox, first))
        with self.ledger.read() as connection:
            rows = connection.execute(query).all()
            moving = connection.scalar(
                select(func.count()).select_from(outbox).where(outbox.c.state.in_(["queued", "sending"]))
            )
        assert moving == 0
        for row in rows:
            if row.withheld_reason is None:
                assert row.state in {"sent", "failed", "unknown"}, row
            else:
                assert row.state in {None, "cancelled"}, row
                assert row.release_time is None, row
                assert row.message_id not in self.taken, row
        unsent = {it.message_id for it in rows if it.state in {"sent", "unknown"}} - self.taken.keys()
        assert not unsent, "said to be sent, and was not"

    # How it is done

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
            who: Recipient(
                who,
                ADDRESSES[who],
                timezone=zone,
                email_opt_in=self.opted[who, EMAIL],
                in_app_opt_in=self.opted[who, IN_APP],
            )
            for who, zone in zip(PEOPLE, ZONES, strict=True)
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
        self.candidates |= {(it.subscriber_id, it.episode, it.kind) for it in found}

    def send(self, failures) -> None:
        self.failures = list(failures)
        channels = {name: Refusing(self, name) for name in ChannelName}
        deliver(self.ledger.engine, channels, self.now, consents=self.consents, policy=self.policy)
        self.failures = []

    def consents(self, who, channel) -> bool:
        return self.opted[who, channel]


def trouble(who, episode, severity, since, bad, kind=TroubleKind.PROBLEM) -> Trouble:
    values = {"subscriber_id": who, "incident_id": episode, "severity": severity, "kind": kind}
    times = {"since": since, "last_bad_time": bad, "last_good_time": None}
    over = kind is TroubleKind.ALL_CLEAR
    return replace(TROUBLE, verdict=Verdict(CAUSES[episode], 0.95), incident_resolved=over, **values, **times)


def test_whatever_happens_nobody_gets_what_they_must_not_and_nothing_is_lost(tmp_path):
    Histories.template = tmp_path / "template.db"
    with Ledger(f"sqlite:///{Histories.template}", durable=False) as ledger:
        schema.metadata.create_all(ledger.engine)
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=HISTORIES or 12,
            stateful_step_count=40,
            derandomize=not HISTORIES,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
