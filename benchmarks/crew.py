"""Processes that decide, send and serve the webhook on one ledger until they are killed."""

from __future__ import annotations

import os
import secrets
import signal
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from benchmarks.scene import BRAND, LEASE, POLICY, SETTINGS, Scene, now
from config.remedies import read_remedies
from console.commands.web import web
from notifiers.channels import SendGrid
from notifiers.compose import Composer, NoticeContext, Rendered
from notifiers.decide import decide
from notifiers.deliver import deliver
from notifiers.history import load_history
from notifiers.model import ChannelName, Recipient
from notifiers.outbox import Lease, enqueue
from notifiers.sharing import Sharing

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


def serve(scene: Scene) -> None:
    """Serve the webhook, forever, by the command and a settings file, as an operator does."""
    where = urlsplit(scene.webhook_url)
    os.environ["PREBUFFER_LINK_SECRET"] = secrets.token_hex(32)
    with (scene.folder / "web.log").open("a") as log, redirect_stderr(log):
        web(host=where.hostname, port=where.port, config=scene.settings_file())


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
