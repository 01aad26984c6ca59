"""Is anybody told twice, or forgotten, when processes are killed? ``python -m benchmarks.crashes``, a thousand times.

Processes that decide, send and serve the webhook work on one ledger, and are killed (-9) at random moments and
replaced. A provider on loopback counts each message that it has read to the end and reports it to the webhook, signed,
again and again until it gets a 2xx. Then the work is finished in peace. A message that was marked just before its
sender was killed, and never left, is a person's to settle, who looks it up at the provider: "by hand". Beside it stands
what a sender does that has no outbox: it marks a message as sent once it was answered, and after a crash sends again
whatever is not marked.

The web process is ``prebuffer web`` with a settings file. Like the others it is forked from a process that has read the
code, since reading it anew would take longer than it lives.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import cycle
from pathlib import Path

import httpx

from benchmarks.crew import Crew, decide_on_people, send, serve
from benchmarks.mail_server import LONGEST_PAUSE_S, running
from benchmarks.report import report
from benchmarks.scene import Scene
from notifiers.outbox import State

LONGEST_LIFE_S = 0.3
"""Between two kills: long enough for a new process to get to work."""
PATIENCE_S = 120.0
PATH = "/webhooks/sendgrid"
ENOUGH = 50
"""Kills that show what becomes of a sender without an outbox."""
UNSETTLED = (State.QUEUED.value, State.SENDING.value, State.UNKNOWN.value)


def endure(scene: Scene, kills: int, senders: int, seed: int) -> float:
    """Kill and replace processes, then let the rest finish; return how many seconds it took."""
    chance, begun = random.Random(seed), time.monotonic()
    crew = Crew(scene)
    scene.prepare()
    scene.begin_reports()
    scene.top_up()
    try:
        for work in (decide_on_people, serve, *[send] * senders):
            crew.start(work)
        victims = cycle([send, decide_on_people, send, serve])
        for _ in range(kills):
            time.sleep(chance.uniform(0, LONGEST_LIFE_S))
            kind = next(victims)
            if kind is not decide_on_people:
                scene.wait_for_sending() if kind is send else scene.wait_for_reports()
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
    """What became of everybody.

    Parameters
    ----------
    messages
        That were to be sent.
    in_doubt
        Those of which their sender did not learn what became of them.
    by_hand
        Those of them that never left, and that a person settles.
    lost, twice, unsettled
        Messages and people that were forgotten; messages that the provider got again, and those not at their end.
    cut
        Posts of events that were under way when the web process was killed.
    forgotten
        Events that the webhook took, and that are not in the ledger.
    seconds
        How long it took.
    """

    messages: int
    in_doubt: int
    by_hand: int
    lost: int
    twice: int
    unsettled: int
    cut: int
    forgotten: int
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
        cut=scene.reports()["cut"],
        forgotten=scene.forgotten(),
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


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


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
    return Fate(total, 0, 0, total - len(got), twice, 0, 0, 0, time.monotonic() - begun)


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
                with running(counting=True) as provider, tempfile.TemporaryDirectory() as folder:
                    scene = Scene(fresh(), provider, f"http://127.0.0.1:{free_port()}{PATH}", Path(folder), unheard)
                    seconds = endure(scene, options.kills, senders, options.seed)
                    found.append(judge(scene, seconds))
                rows.append(_row(f"{kind}, {senders} senders", options.kills, found[-1]))
    few = min(options.kills, ENOUGH)
    rows.append(_row("without an outbox", few, without_an_outbox(few, options.seed)))
    names = ("messages", "in_doubt", "by_hand", "lost", "twice", "unsettled", "cut", "forgotten")
    facts = {name: float(sum(getattr(one, name) for one in found)) for name in names}
    columns = ("set-up", "kills", *(name.replace("_", " ") for name in names), "seconds")
    everything = {"kills": float(options.kills * len(found))} | facts
    report("Killed while deciding, sending and taking in events", columns, rows, everything)
    return int(sum(facts[name] for name in ("lost", "twice", "unsettled", "forgotten")) > 0)


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
        str(one.cut),
        str(one.forgotten),
        f"{one.seconds:.0f}",
    )


if __name__ == "__main__":
    sys.exit(main())
