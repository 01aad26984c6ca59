"""Is anybody told twice, or forgotten, when processes are killed? ``python -m benchmarks.crashes``, a thousand times.

Processes that decide, send and apply the provider's events work on one ledger, and are killed (-9) at random moments
and replaced, while a provider on loopback counts each message that it has read to the end. Then the work is finished
in peace. A message that was marked just before its sender was killed, and never left, is a person's to settle, who
looks it up at the provider: "by hand". Beside it stands what a sender does that has no outbox: it marks a message as
sent once it was answered, and after a crash sends again whatever is not marked.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from itertools import cycle
from pathlib import Path

import httpx
from sqlalchemy import func, insert, select

from benchmarks.mail_server import LONGEST_PAUSE_S, running
from benchmarks.report import report
from config.remedies import read_remedies
from incidents.ledger.schema import deliveries, incidents, notices, outbox, troubles
from incidents.ledger.store import Ledger, writing
from incidents.model import Cause, Severity, Trouble, Verdict
from notifiers.channels import SendGrid, SendGridSettings
from notifiers.compose import Brand, Composer, NoticeContext, Rendered
from notifiers.decide import decide
from notifiers.deliver import deliver
from notifiers.events import apply_events
from notifiers.history import load_history
from notifiers.model import ChannelName, Policy, Recipient
from notifiers.outbox import Lease, Outcome, State, enqueue
from notifiers.settling import listed, settle_by_hand
from notifiers.sharing import Sharing
from telemetry.contract import Signal

MIDNIGHT = time_of_day(0)
POLICY = Policy(holdout_share=0.0, quiet_from=MIDNIGHT, quiet_until=MIDNIGHT)
LEASE = timedelta(seconds=1)
"""Far shorter than in earnest, so that what a killed process leaves behind is met within the run."""
LONGEST_LIFE_S = 0.3
"""Between two kills: long enough for a new process to get to work."""
PORTION = 400
PATIENCE_S = 120.0
ENOUGH = 50
"""Kills that show what becomes of a sender without an outbox."""
SETTINGS = SendGridSettings("SG.bench", "notices@lumen.example", "Lumen", "help@lumen.example")
UNSETTLED = (State.QUEUED.value, State.SENDING.value, State.UNKNOWN.value)


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Scene:
    """One ledger and one provider.

    Parameters
    ----------
    ledger_url, provider_url
        Where they are.
    unheard_after
        After so long, a message of which nothing was heard is sent after all; see `notifiers.deliver.deliver`.
    """

    ledger_url: str
    provider_url: str
    unheard_after: timedelta | None = None
    people: int = 0

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """Open the ledger for a moment."""
        with Ledger(self.ledger_url) as ledger:
            yield ledger

    def prepare(self) -> None:
        """Make the tables, and one outage."""
        with self.ledger() as ledger:
            ledger.upgrade()
            empty: dict[str, list[str]] = {
                column.name: [] for column in incidents.c if column.name in ("evidence", "alternatives", "chart")
            }
            row = {
                "incident_id": "inc-1",
                "signal": "buffering",
                "cohort": {},
                "severity": "major",
                "affected_subscribers": 9,
                "cause": "service",
                "cause_probability": 1.0,
                "observed": 9.0,
                "expected": 1.0,
                "sessions": 99,
                "surprise": 9.0,
            }
            times = dict.fromkeys(("onset_time", "detected_time", "updated_time"), now())
            with ledger.write() as connection:
                connection.execute(insert(incidents).values(row | times | empty))

    def top_up(self) -> None:
        """See to it that there is somebody to decide on."""
        with self.ledger() as ledger:
            with ledger.read() as connection:
                waiting = connection.scalar(select(func.count()).where(troubles.c.decided.is_(False))) or 0
            if waiting < PORTION // 2:
                with ledger.write() as connection:
                    ledger.save_troubles(connection, [self._trouble(n) for n in range(PORTION)], now())
                self.people += PORTION

    def _trouble(self, number: int) -> Trouble:
        """Half of the people suffer from the outage, and share its words; half at home."""
        shared = number % 2 == 0
        moment = now()
        return Trouble(
            subscriber_id=f"u-{self.people + number}",
            problem=Signal.BUFFERING,
            verdict=Verdict(Cause.SERVICE if shared else Cause.HOUSEHOLD, 0.95),
            incident_id="inc-1" if shared else None,
            since=moment - timedelta(minutes=30),
            last_bad_time=moment,
            impaired=3,
            sessions=4,
            severity=Severity.MAJOR,
        )

    def states(self) -> Counter[str]:
        """Messages by state, and how many people nobody decided on."""
        with self.ledger() as ledger, ledger.read() as connection:
            by_state = connection.execute(select(outbox.c.state, func.count()).group_by(outbox.c.state))
            counts: Counter[str] = Counter({row.state: row[1] for row in by_state})
            counts["undecided"] = connection.scalar(select(func.count()).where(troubles.c.decided.is_(False))) or 0
            in_doubt = deliveries.c.outcome.in_([Outcome.UNKNOWN.value, Outcome.LOST.value])
            counts["in doubt"] = connection.scalar(select(func.count()).where(in_doubt)) or 0
            counts["told"] = connection.scalar(select(func.count()).select_from(notices)) or 0
        return counts

    def unfinished(self) -> int:
        """Return how many people and messages are still on their way, or will be heard of."""
        states = self.states()
        on_their_way = sum(states[name] for name in ("queued", "sending", "undecided"))
        return on_their_way or (states["unknown"] if self.unheard_after else len(self.unknown() & self.got().keys()))

    def wait_for_sending(self) -> None:
        """Wait a while for messages that were just begun, not those of the dead, so that a kill meets some."""
        deadline = time.monotonic() + 2.0
        with self.ledger() as ledger:
            while time.monotonic() < deadline:
                with ledger.read() as connection:
                    begun = outbox.c.lease_until > now() + 0.9 * LEASE
                    if connection.scalar(select(func.count()).where(begun, outbox.c.state == State.SENDING)):
                        return
                time.sleep(0.002)

    def unknown(self) -> set[str]:
        """Return the messages of which nobody here knows whether they were sent."""
        with self.ledger() as ledger, ledger.read() as connection:
            return {row.message_id for row in listed(connection, State.UNKNOWN, 10**6)}

    def got(self) -> dict[str, int]:
        """Return how often the provider got each message."""
        got: dict[str, int] = httpx.get(f"{self.provider_url}/got", timeout=60).json()
        return got

    def settle_by_hand(self) -> int:
        """Do as a person would with what is left: settle as failed what the provider never got; return how many."""
        never = self.unknown() - self.got().keys()
        with self.ledger() as ledger, ledger.write() as connection:
            for message_id in never:
                settle_by_hand(connection, message_id, State.FAILED, "benchmark", now())
        return len(never)

    def message_ids(self) -> list[str]:
        """Return every message that was to be sent."""
        with self.ledger() as ledger, ledger.read() as connection:
            return list(connection.scalars(select(outbox.c.message_id)))


Work = Callable[[Scene], None]


SHARING = Sharing(Composer(Path("templates"), read_remedies()))
"""Made before the processes are, which inherit it."""


def decide_on_people(scene: Scene) -> None:
    """Decide on some people at a time, forever."""
    with scene.ledger() as ledger:
        while True:
            with ledger.write() as connection:
                found = ledger.undecided_troubles(connection)[:25]
                people = {trouble.subscriber_id: _person(trouble.subscriber_id) for trouble in found}
                history = load_history(connection, found, people, now())
                decisions = decide(found, people, history, POLICY, now())
                contexts = [NoticeContext.of(d, people[d.trouble.subscriber_id], BRAND) for d in decisions]
                words: dict[str, Rendered] = SHARING.compose_all(contexts)
                addresses = {who: str(person.email) for who, person in people.items()}
                enqueue(connection, decisions, words, addresses, now())
                ledger.mark_decided(connection, found)
            time.sleep(0.0 if found else 0.01)


BRAND = Brand("Lumen")


def _person(who: str) -> Recipient:
    return Recipient(who, f"{who}@example.net", timezone="UTC", email_opt_in=True)


def send(scene: Scene) -> None:
    """Send what is due, forever."""
    with scene.ledger() as ledger, httpx.Client(base_url=scene.provider_url) as client:
        channels = {ChannelName.EMAIL: SendGrid(SETTINGS, client)}
        while True:
            done = deliver(
                ledger.engine,
                channels,
                now,
                60,
                lease=Lease(duration=LEASE),
                in_flight=2,
                unheard_after=scene.unheard_after,
            )
            time.sleep(0.0 if done.states else 0.01)


def apply(scene: Scene) -> None:
    """Apply the provider's events, in any order, some again, forever; say so only when they are in the ledger."""
    with scene.ledger() as ledger, httpx.Client(base_url=scene.provider_url) as client:
        while True:
            events = client.get("/events").json()
            with writing(ledger.engine).begin() as connection:
                apply_events(connection, events, now())
            client.post("/applied", json=[event["sg_event_id"] for event in events])
            time.sleep(0.0 if events else 0.01)


@dataclass
class Crew:
    """Processes that each do one kind of work until they are killed."""

    scene: Scene
    going: dict[int, Work] = field(default_factory=dict)

    def start(self, work: Work) -> None:
        """Begin a process that works until it is killed."""
        child = os.fork()
        if not child:
            try:
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                work(self.scene)
            except BaseException as error:  # noqa: BLE001 - a process that fails must be seen to fail
                print(f"{work.__name__}: {type(error).__name__}: {error}"[:400], file=sys.stderr, flush=True)
            os._exit(1)
        self.going[child] = work

    def kill(self, child: int) -> Work:
        """Kill one (-9), and return what it worked at."""
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(child, 0)
        return self.going.pop(child)

    def replace_the_dead(self) -> None:
        """Start anew those that ended by an error, e.g. for want of SQLite's lock, as any supervisor would."""
        for child, work in list(self.going.items()):
            if os.waitpid(child, os.WNOHANG)[0]:
                del self.going[child]
                self.start(work)

    def kill_all(self) -> None:
        """Kill them all."""
        for child in list(self.going):
            self.kill(child)


def endure(scene: Scene, kills: int, senders: int, seed: int) -> float:
    """Kill and replace processes, then let the rest finish; return how many seconds it took."""
    chance, begun = random.Random(seed), time.monotonic()
    crew = Crew(scene)
    scene.prepare()
    scene.top_up()
    try:
        for work in (decide_on_people, apply, *[send] * senders):
            crew.start(work)
        victims = cycle([send, decide_on_people, send, apply])
        for _ in range(kills):
            time.sleep(chance.uniform(0, LONGEST_LIFE_S))
            kind = next(victims)
            if kind is send:
                scene.wait_for_sending()
                time.sleep(chance.uniform(0, LONGEST_PAUSE_S))
            crew.start(crew.kill(chance.choice([child for child, work in crew.going.items() if work is kind])))
            scene.top_up()
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and scene.unfinished():
            time.sleep(0.2)
            crew.replace_the_dead()
    finally:
        crew.kill_all()
    return time.monotonic() - begun


@dataclass(frozen=True)
class Fate:
    """What became of everybody."""

    messages: int
    in_doubt: int
    by_hand: int
    lost: int
    twice: int
    unsettled: int
    seconds: float


def judge(scene: Scene, seconds: float) -> Fate:
    """Hold the ledger against what the provider got."""
    got, by_hand = scene.got(), scene.settle_by_hand()
    states, ids = scene.states(), scene.message_ids()
    never = len([message_id for message_id in ids if message_id not in got])
    return Fate(
        messages=len(ids),
        in_doubt=states["in doubt"],
        by_hand=by_hand,
        lost=never - by_hand + scene.people - states["told"],
        twice=len([count for count in got.values() if count > 1]),
        unsettled=sum(states[name] for name in UNSETTLED),
        seconds=seconds,
    )


@contextmanager
def ledgers(kind: str) -> Iterator[Callable[[], str]]:
    """Give addresses of new ledgers on one kind of database."""
    with tempfile.TemporaryDirectory() as folder:
        if kind == "sqlite":
            numbers = iter(range(99))
            yield lambda: f"sqlite:///{folder}/{next(numbers)}.db"
            return
        postgres = importlib.import_module("tests.postgres")
        with postgres.serve(Path(folder), postgres.programs()) as server:

            def fresh() -> str:
                name = next(server.names)
                server.run(f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy")
                return str(server.url(name))

            yield fresh


def without_an_outbox(kills: int, seed: int) -> Fate:
    """Measure the sender that marks a message once it was answered, and after a crash sends what is not marked."""
    chance, begun = random.Random(seed), time.monotonic()
    with tempfile.TemporaryDirectory() as folder, running(counting=True) as url:
        marked = Path(folder)
        total = kills * 10
        for last in [*[False] * kills, True]:
            child = os.fork()
            if not child:
                _send_unmarked(url, marked, total)
                os._exit(0)
            if not last:
                time.sleep(chance.uniform(0.01, LONGEST_LIFE_S))
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        got: dict[str, int] = httpx.get(f"{url}/got").json()
    twice = len([count for count in got.values() if count > 1])
    return Fate(total, 0, 0, total - len(got), twice, 0, time.monotonic() - begun)


def _send_unmarked(url: str, marked: Path, total: int) -> None:
    with httpx.Client(base_url=url) as client:
        for number in range(total):
            mark = marked / str(number)
            if not mark.exists():
                to = {"to": [{"email": "a@example.net"}], "custom_args": {"message_id": str(number)}}
                client.post("/v3/mail/send", json={"personalizations": [to]})
                mark.touch()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every set-up, print a table, and fail if anybody was told twice or forgotten."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crashes", description=__doc__)
    parser.add_argument("--kills", type=int, default=250, help="in each of the four set-ups (250)")
    parser.add_argument("--senders", type=int, nargs="+", default=[1, 2], help="processes that send (1 2)")
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"], help="sqlite postgresql")
    parser.add_argument("--unheard-after", type=float, help="seconds; what nobody heard of is sent after all (never)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments (1)")
    options = parser.parse_args(arguments)
    unheard = None if options.unheard_after is None else timedelta(seconds=options.unheard_after)
    rows, found = [], []
    for kind in options.databases:
        with ledgers(kind) as fresh:
            for senders in options.senders:
                with running(counting=True) as provider:
                    scene = Scene(fresh(), provider, unheard)
                    seconds = endure(scene, options.kills, senders, options.seed)
                    found.append(judge(scene, seconds))
                rows.append(_row(f"{kind}, {senders} senders", options.kills, found[-1]))
    few = min(options.kills, ENOUGH)
    rows.append(_row("without an outbox", few, without_an_outbox(few, options.seed)))
    facts = {
        "kills": float(options.kills * len(found)),
        "messages": float(sum(one.messages for one in found)),
        "in_doubt": float(sum(one.in_doubt for one in found)),
        "by_hand": float(sum(one.by_hand for one in found)),
        "lost": float(sum(one.lost for one in found)),
        "twice": float(sum(one.twice for one in found)),
        "unsettled": float(sum(one.unsettled for one in found)),
    }
    columns = ("set-up", "kills", "messages", "in doubt", "by hand", "lost", "twice", "unsettled", "seconds")
    report("Killed while deciding, sending and applying events", columns, rows, facts)
    return int(facts["lost"] + facts["twice"] + facts["unsettled"] > 0)


def _row(name: str, kills: int, one: Fate) -> tuple[str, ...]:
    return (
        name,
        str(kills),
        f"{one.messages:,}",
        f"{one.in_doubt:,}",
        str(one.by_hand),
        str(one.lost),
        str(one.twice),
        str(one.unsettled),
        f"{one.seconds:.0f}",
    )


if __name__ == "__main__":
    sys.exit(main())
