"""Generated histories of what detection, people, the provider and staff may do, in any order, on a real ledger."""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

from sqlalchemy import func, insert, select, update

from incidents.ledger import schema
from incidents.ledger.schema import inbox, incidents, notices, outbox, provider_events
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
from notifiers.stops import EVERYTHING, StopKind
from tests.ledger.conftest import INCIDENT, TROUBLE
from tests.notifiers.judge import Judge

STEPS = 60
LIKINGS = (0.1, 1, 3)
"""How much more a history likes one kind of event than others do: what never happens hides less (Groce et al., "Swarm
Testing", 2012)."""
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
STRANGER = "u-6"
"""Has trouble, and is not in the subscriber list."""
PEOPLE = [*ZONES, STRANGER]
ADDRESSES = {who: f"{who}@example.net" for who in ZONES} | {"u-1": "U-0@Example.net", "u-5": "nobody"}
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
    """Return a policy of which some limits are tight and most are wide, so that each gets its turn."""

    def often(wide, tight):
        return random.choice([wide, wide, tight])

    return Policy(
        active_within=often(timedelta(0), 2 * HOUR),
        holdout_share=often(0.0, 0.3),
        holdout_salt=random.choice("abcdef"),
        release_over=often(timedelta(0), 30 * MINUTE),
        max_per_day=often(9, 1),
        max_per_week=often(30, 2),
        max_per_incident=often(3, 1),
        incident_gap=often(timedelta(0), 6 * HOUR),
        own_gap=often(timedelta(0), 12 * HOUR),
        email_budget=often(None, 1),
        staged_people=often(2000, 2),
        stages=often((0.5,), (0.3, 0.6)),
        flood_people=often(None, 5),
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
        self.history.judge.sent(message)
        failure = self.history.failures.pop() if self.history.failures else None
        if failure in (None, "unknown"):  # at the worst it was taken
            self.history.taken[message.message_id] = (message, self.history.now)
            if self.name is EMAIL and self.history.early:
                self.history.report(message, self.history.early.pop())
        if failure is not None:
            raise FAILURES[failure]()
        return self.inbox.send(message) if self.name is IN_APP else Receipt(message.message_id)

    def finish(self) -> None:
        """Nothing to do."""


class History:
    """What may happen, and what people said.

    Parameters
    ----------
    ledger
        With nothing in it.
    seed
        Of all that is left to chance.
    """

    zones = ZONES
    addresses = ADDRESSES

    def __init__(self, ledger: Ledger, seed: int) -> None:
        self.ledger, self.random = ledger, Random(seed)
        self.now, self.policy = self.random.choice(STARTS), a_policy(self.random)
        self.liking: defaultdict[str, float] = defaultdict(lambda: self.random.choice(LIKINGS))
        likely = {EMAIL: 0.9, IN_APP: 0.4}
        self.opted = {(who, name): self.random.random() < likely[name] for who in ZONES for name in ChannelName}
        self.chosen: dict[tuple, bool] = {}
        self.suppressed: set[str] = set()
        self.helped: dict[str, list[datetime]] = {}
        self.open: list[str] = []
        self.over: set[str] = set()
        self.whole: dict[str, str] = {}
        self.seen: set[str] = set()
        self.bounced: set[str] = set()
        self.failures: list[str | None] = []
        self.early: list[str] = []
        self.taken: dict[str, tuple] = {}
        self.candidates: set[tuple] = set()
        self.judge = Judge(self)
        self.number = 0
        for category in Category:
            self.choose(STRANGER, IN_APP, category, True)

    def run(self) -> None:
        """Let things happen, then let all come to its end."""
        for _ in range(STEPS):
            self.happen()
        self.end()

    def happen(self) -> None:
        """Let one thing happen."""
        doings = {
            self.an_incident_is_found: 4,
            self.own_trouble_is_found: 2,
            self.an_incident_grows: 3,
            self.an_incident_is_over: 2,
            self.telemetry_comes_late: 1,
            self.an_incident_becomes_part_of_another: 1,
            self.time_passes: 9,
            self.what_is_due_is_sent: 7,
            self.a_person_chooses: 2,
            self.the_subscriber_list_changes: 1,
            self.a_person_asks_support: 3,
            self.a_person_sees_their_cards: 1,
            self.the_provider_reports: 5,
            self.the_provider_speaks_before_it_answers: 2,
            self.staff_stop_sending: 1,
            self.staff_let_it_go_on: 4,
            self.staff_answer: 3,
            self.staff_plan_an_event: 1,
            self.staff_hold_out_more: 1,
        }
        weights = [weight * self.liking[doing.__name__] for doing, weight in doings.items()]
        (doing,) = self.random.choices(list(doings), weights)
        doing()
        self.everybody_in_trouble_has_one_notice()

    # What the pipeline does

    def an_incident_is_found(self) -> None:
        self.an_incident_grows(self.opened(self.random.choice(CAUSES)))

    def opened(self, cause=Cause.SERVICE) -> str:
        """Open an incident that has struck nobody yet; return its id."""
        incident_id = self.fresh("i")
        found = replace(
            INCIDENT,
            incident_id=incident_id,
            onset_time=self.now - HOUR,
            detected_time=self.now,
            verdict=Verdict(cause, 0.9),
        )
        with self.ledger.write() as connection:
            self.ledger.save_incidents(connection, [found])
        self.open.append(incident_id)
        return incident_id

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
        incident_id = self.random.choice(self.open)
        self.close(incident_id)
        self.its_people_are_told_of_the_end(incident_id)

    def close(self, incident_id) -> None:
        self.open.remove(incident_id)
        self.over.add(incident_id)
        self.set_incident(incident_id, resolved_time=self.now)

    def its_people_are_told_of_the_end(self, incident_id) -> None:
        verdict = self.ledger.incident(incident_id).verdict
        struck = sorted(who for who, of, kind in self.candidates if of == incident_id and kind == "problem")
        self.window([self.trouble(who, incident_id, verdict, TroubleKind.ALL_CLEAR) for who in struck])

    def telemetry_comes_late(self) -> None:
        """Somebody was struck by what is over."""
        if not self.over:
            return
        incident_id = self.random.choice(sorted(self.over))
        verdict = self.ledger.incident(incident_id).verdict
        self.window([replace(self.trouble(who, incident_id, verdict), incident_resolved=True) for who in self.some()])

    def an_incident_becomes_part_of_another(self) -> None:
        if len(self.open) < 2:
            return
        part, whole = self.random.sample(self.open, 2)
        if part in self.whole.values():
            return
        self.merge(part, whole)
        self.its_people_are_told_of_the_end(part)

    def merge(self, part, whole) -> None:
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
        self.choose(who, channel, category, self.random.random() < 0.5)

    def choose(self, who, channel, category, allowed) -> None:
        self.chosen[who, category, channel] = allowed
        with self.ledger.write() as connection:
            choose(connection, who, allowed, Source.PAGE, self.now, channels=[channel], categories=[category])

    def the_subscriber_list_changes(self) -> None:
        key = self.random.choice(list(self.opted))
        self.opted[key] = not self.opted[key]

    def a_person_asks_support(self) -> None:
        self.ask_support(self.random.choice(PEOPLE), self.random.choice([True, False, None]))

    def ask_support(self, who, answered) -> None:
        row = {"contact_id": self.fresh("c"), "subscriber_id": who, "contacted_time": self.now, "reason": "buffering"}
        with self.ledger.write() as connection:
            connection.execute(insert(schema.contacts).values(**row, resolved_first_contact=answered))
        if answered is not False:
            self.helped.setdefault(who, []).append(self.now)

    def a_person_sees_their_cards(self) -> None:
        self.see_cards(self.random.choice(PEOPLE))

    def see_cards(self, who) -> None:
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
        self.report(message, self.random.choice(["bounce", "bounce", "spamreport", "unsubscribe", "delivered"]))

    def the_provider_speaks_before_it_answers(self) -> None:
        """Of the next mail that it takes. Had it bounced, the rest of the mails to that mailbox could be under way."""
        self.early = [self.random.choice(["delivered", "dropped"])]
        self.what_is_due_is_sent()

    def report(self, message, what) -> None:
        event = {"event": what, "sg_event_id": self.fresh("e"), "message_id": message.message_id, "type": "bounce"}
        with self.ledger.write() as connection:
            apply_events(connection, [{**event, "timestamp": int(self.now.timestamp())}], self.now)
        if what in {"bounce", "dropped"}:
            self.bounced.add(message.message_id)
        if what not in {"delivered", "dropped"}:
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
        self.plan_an_event(self.random.choice([1, 5]))

    def plan_an_event(self, hours) -> None:
        end = self.now + hours * HOUR
        with self.ledger.write() as connection, suppress(ValueError):
            kind, cohort = SilenceKind.MAINTENANCE, {"cdn": "cdn-b"}
            plan(connection, kind, cohort, self.now - 2 * HOUR, end, "ann", "Routers.", self.now)
            mark_expected(connection, self.now)

    def staff_hold_out_more(self) -> None:
        more = self.policy.holdout_share or 0.2
        self.policy = replace(self.policy, holdout_share=more)

    # What must hold in the end

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
            assert connection.scalar(moving) == 0, "still under way"
            heard = provider_events.join(outbox, outbox.c.message_id == provider_events.c.message_id)
            spoken = connection.execute(select(provider_events.c.event, outbox).select_from(heard)).all()
        failed = {row.message_id for row in spoken if row.event in {"bounce", "dropped"}}
        for row in spoken:
            assert row.state == ("failed" if row.message_id in failed else "sent"), "not settled by what was heard"
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
        bad = self.now - self.random.choice([5, 5, 5, 5, 90, 150, 800]) * MINUTE
        good = bad + MINUTE if incident_id is None and self.random.random() < 0.3 else None
        return replace(
            TROUBLE,
            subscriber_id=who,
            incident_id=incident_id,
            verdict=verdict,
            kind=kind,
            severity=self.random.choice(list(Severity)),
            since=bad - self.random.choice([20, 400]) * MINUTE,
            last_bad_time=bad,
            last_good_time=good,
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
        self.judge_all(decisions)
        self.candidates |= {(it.subscriber_id, it.episode, it.kind.value) for it in found}

    def judge_all(self, decisions) -> None:
        """Complain if one of those who are told at once must not be."""
        mails = 0
        for decision in decisions:
            if decision.withheld_reason is None:
                self.judge.decided(decision, mails)
                mails += decision.channel is EMAIL

    def send(self, failures) -> None:
        self.failures = list(failures)
        channels = {name: Judging(self, name) for name in ChannelName}
        deliver(self.ledger.engine, channels, self.now, consents=self.consents, policy=self.policy)
        self.failures = []

    def consents(self, who, channel) -> bool:
        return self.opted.get((who, channel), False)
