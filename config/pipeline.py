"""The loop: ingest, then merge, detect and notify for one window, then deliver.

Live, in a backfill and in a replay it is the same code. Each stage is keyed by its window in the ledger:
leased while it runs, finished in the transaction that writes its results, and skipped when it, or a later
window, is finished. A run that is killed at any moment and run again leaves what one clean run leaves.

::

    PipelineError
    └── WindowHeldError    another process is running this stage
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine

from config.contacts import new_contacts, save_contacts
from config.recipients import consents_of, count_subscribers, load_recipients, waiting_people
from config.runner import is_gone, this_process
from config.traits import load_regions, save_traits
from incidents.afterwards import send_approved
from incidents.ledger import leases
from incidents.ledger.leases import Lease
from incidents.ledger.store import Ledger
from incidents.model import TAKES_BACK, Incident
from incidents.quality import LATE_FOR, QualityNotice
from incidents.silences import mark_expected
from incidents.watch import Detection
from notifiers.channels.contract import Channel
from notifiers.compose import Brand, Composer, NoticeContext
from notifiers.decide import decide
from notifiers.deliver import Clock, DeliveryReport, deliver
from notifiers.flood import stop_a_flood
from notifiers.follow_up import follow_up, unseen
from notifiers.history import load_history
from notifiers.model import ChannelName, Decision, History, Policy, Recipient, oddities, reasons
from notifiers.outbox import enqueue, record_decisions
from notifiers.people import keep_people
from notifiers.release import release_due
from notifiers.renewal import MOST_AT_ONCE as RENEWED_AT_ONCE
from notifiers.renewal import followed_now, note_told, outdated, renew, to_renew
from notifiers.rollout import ask_for_large
from notifiers.sharing import Sharing
from notifiers.standing import Consents
from telemetry.ingest import IngestReport, Progress, ingest
from telemetry.merge import merge_all, merge_window
from telemetry.time import Window, naive_utc, utc
from telemetry.warehouse import Warehouse

MOST_AT_ONCE = 10_000
"""Messages that one call of `deliver` sends at most."""
RESOLUTION = timedelta(microseconds=1)
"""Of times in the warehouse."""
MISTAKEN_FOR = timedelta(hours=36)
"""For so long after its end a false alarm explains what detection has in memory; then its hours are normal ones."""
_RECEIVED = "SELECT min(min_received), max(max_received) FROM batches WHERE table_name = 'playback'"
_CHANGED = "SELECT count(*) FROM slice_rows WHERE changed_time = $end"
Counts = Mapping[str, int]
Apply = Callable[[Connection], Counts]
"""The last paragraph of a stage: write what was decided in one transaction, and say how much it was."""


class PipelineError(Exception):
    """The pipeline cannot do what was asked; the message is a sentence."""


class WindowHeldError(PipelineError):
    """Another process is running this stage; try again later."""


class Stage(StrEnum):
    """A part of the loop that is run once for each window."""

    MERGE = "merge"
    DETECT = "detect"
    NOTIFY = "notify"


@dataclass(frozen=True)
class StageReport:
    """What became of one stage of one window.

    Parameters
    ----------
    stage, window
        What was to be run.
    lease
        `GRANTED` if it ran now, else why it was skipped.
    counts
        What it counted, now or when it ran.
    """

    stage: Stage
    window: Window
    lease: Lease
    counts: Counts

    @property
    def ran(self) -> bool:
        """Whether it ran now."""
        return self.lease is Lease.GRANTED


class Detector(Protocol):
    """What detection must offer: pure but for what it learns, which it keeps in the warehouse."""

    def detect(
        self,
        window: Window,
        known: Sequence[Incident],
        troubled: Mapping[str, Collection[str]],
        quality: Sequence[QualityNotice] = (),
    ) -> Detection:
        """Return what a merged window changes, given the known incidents, whom they trouble, and quality notices."""
        ...


@dataclass(frozen=True)
class Writing:
    """What composing needs; a replay has none and composes nothing."""

    composer: Composer
    brand: Brand


@dataclass(frozen=True)
class Sending:
    """How messages are sent; see `notifiers.deliver.deliver`. `by_webhook` is whether cards are posted elsewhere."""

    in_flight: int = 1
    unheard_after: timedelta | None = None
    by_webhook: bool = False


@dataclass
class Pipeline:
    """The loop over one warehouse and one ledger.

    Parameters
    ----------
    ledger
        Upgraded.
    open_warehouse
        Opens the warehouse when it is first needed; while it is open, no other process can open it.
    make_detector
        Builds detection on an open warehouse.
    clock
        Now, aware UTC: for leases and for sending. Decisions are made at the end of their window instead.
    policy
        How often, when and whom we tell.
    writing
        To compose with; None decides only.
    channels
        To deliver through.
    memory
        How long after its end an incident is still made known to detection, which never learns from it.
    own_memory
        For how long somebody's own trouble, once found, is no news.
    lease
        How long a stage may take before another process may take over.
    sending
        How many requests are under way at once, and what becomes of unknown messages.
    exclusive
        Keep the warehouse open while sending: in a demo or a backfill nobody else waits for it.
    owner
        Under which name windows are leased.
    """

    ledger: Ledger
    open_warehouse: Callable[[], Warehouse]
    make_detector: Callable[[Warehouse], Detector]
    clock: Clock
    policy: Policy = field(default_factory=Policy)
    writing: Writing | None = None
    channels: Mapping[ChannelName, Channel] = field(default_factory=dict)
    memory: timedelta = timedelta(days=28)
    own_memory: timedelta = timedelta(days=7)
    lease: timedelta = timedelta(minutes=30)
    sending: Sending = field(default_factory=Sending)
    exclusive: bool = False
    owner: str = field(default_factory=this_process)

    @cached_property
    def warehouse(self) -> Warehouse:
        """The warehouse, opened on first use."""
        return self.open_warehouse()

    @cached_property
    def detector(self) -> Detector:
        """Detection, which keeps what it has seen while the warehouse is open."""
        return self.make_detector(self.warehouse)

    def close_warehouse(self) -> None:
        """Let other processes have the warehouse; it is opened again when it is needed."""
        self.__dict__.pop("detector", None)
        warehouse = self.__dict__.pop("warehouse", None)
        if warehouse is not None:
            warehouse.close()

    def run(self, window: Window) -> list[StageReport]:
        """Merge, detect and decide one window; what is finished is skipped. Only `deliver` sends."""
        return [self.merge(window), self.detect(window), self.notify(window)]

    def ingest(
        self,
        path: Path,
        *,
        table: str | None = None,
        file_format: str | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> IngestReport:
        """Read files into the warehouse, what was read before left out; see `telemetry.ingest.ingest`."""
        return ingest(self.warehouse, path, now=self.clock(), table=table, format=file_format, progress=progress)

    def received(self) -> Window | None:
        """Return from when to when events were received, or None if there are none."""
        first, last = self.warehouse.connection.execute(_RECEIVED).fetchall()[0]
        return None if first is None else Window(utc(first), utc(last) + RESOLUTION)

    def take_history(self, until: datetime) -> None:
        """Merge everything received before a moment at once, to learn from; nothing is detected in it."""
        merge_all(self.warehouse, until)

    def merge(self, window: Window) -> StageReport:
        """Merge the events received up to the window's end into their sessions."""
        return self._stage(Stage.MERGE, window, self._merge)

    def detect(self, window: Window) -> StageReport:
        """Find incidents and the people in trouble, from what the window's merge changed."""
        return self._stage(Stage.DETECT, window, self._detect)

    def notify(self, window: Window) -> StageReport:
        """Decide whom to tell, at the window's end, and queue what is to be sent."""
        report = self._stage(Stage.NOTIFY, window, self._notify)
        if report.ran and report.counts.get("renewed", 0) >= RENEWED_AT_ONCE:
            self._renew_rest(window)
        return report

    def deliver(self) -> DeliveryReport:
        """Send what is queued and due by the clock."""
        with self.ledger.read() as connection:
            waiting = waiting_people(connection, self.clock())
        recipients = load_recipients(self.warehouse.connection, waiting) if waiting else {}
        if not self.exclusive:
            self.close_warehouse()
        consents = consents_of(waiting, recipients)
        return send_due(self.ledger.engine, self.channels, self.clock, self.policy, self.sending, consents=consents)

    def backlog(self, window: Window, longest: int) -> list[Window]:
        """Return the windows to run so that none is missed: those since the last finished one, then `window`.

        Parameters
        ----------
        window
            The one that is due; its length is the step.
        longest
            Windows to return at most; what is older than that becomes part of the first.
        """
        with self.ledger.read() as connection:
            done = leases.latest_end(connection, Stage.NOTIFY)
        if done is None or done >= window.start:
            return [window]
        step = window.end - window.start
        missed = Window(done, window.end).split(step) if (window.start - done) % step == timedelta(0) else []
        kept = missed[-longest:] or [Window(done, window.end)]
        return [Window(done, kept[0].end), *kept[1:]]

    def _stage(self, stage: Stage, window: Window, prepare: Callable[[Window], Apply]) -> StageReport:
        answer, counts = self._ask(stage, window)
        if answer is Lease.HELD:
            raise WindowHeldError(f"Another process is running {stage}; window {window.key} has to wait.")
        if answer is Lease.GRANTED:
            apply = prepare(window)
            with self.ledger.write() as connection:
                counts = dict(apply(connection))
                leases.finish(connection, stage, window, owner=self.owner, now=self.clock(), counts=counts)
        return StageReport(stage, window, answer, counts)

    def _ask(self, stage: Stage, window: Window) -> tuple[Lease, Counts]:
        with self.ledger.write() as connection:
            answer = leases.lease(
                connection,
                stage,
                window,
                owner=self.owner,
                now=self.clock(),
                duration=self.lease,
                is_gone=is_gone,
            )
            if answer is Lease.GRANTED:
                return answer, {}
            return answer, leases.finished_counts(connection, stage, window)

    def _merge(self, window: Window) -> Apply:
        merge_window(self.warehouse, window)
        changed = _count_changed(self.warehouse, window)
        return lambda _: {"slices": changed}

    def _detect(self, window: Window) -> Apply:
        known = self.ledger.known_incidents(window.end - self.memory, mistaken_since=window.end - MISTAKEN_FOR)
        troubled = {
            **self.ledger.troubled([incident.incident_id for incident in known if incident.is_open]),
            **self.ledger.own_troubled(window.end - self.own_memory),
        }
        quality = self.ledger.open_quality(closed_since=window.end - LATE_FOR)
        found = self.detector.detect(window, known, troubled, quality)

        def apply(connection: Connection) -> Counts:
            self.ledger.save_incidents(connection, found.incidents)
            mark_expected(connection, window.end)
            self.ledger.save_troubles(connection, found.troubles, window.end)
            self.ledger.save_quality(connection, found.quality)
            counts = {"incidents": len(found.incidents), "troubles": len(found.troubles)}
            return counts | ({"quality notices": len(found.quality)} if found.quality else {})

        return apply

    def _notify(self, window: Window) -> Apply:
        with self.ledger.write() as connection:
            send_approved(connection, window.end)
        with self.ledger.read() as connection:
            found = self.ledger.undecided_troubles(connection)
            waiting = waiting_people(connection, window.end)
            cards = [] if self.writing is None else unseen(connection, self.policy, window.end)
            old = outdated(connection) if self.writing else []
            asked_for_help = new_contacts(self.warehouse.connection, connection, window.end)
        people = {trouble.subscriber_id for trouble in found} | set(waiting)
        people |= {card.subscriber_id for card in cards}
        recipients = load_recipients(self.warehouse.connection, people)
        base = count_subscribers(self.warehouse.connection) if self.policy.stages and found else 0
        regions = load_regions(self.warehouse.connection, {trouble.subscriber_id for trouble in found})

        def apply(connection: Connection) -> Counts:
            troubles = self.ledger.undecided_troubles(connection)  # as leads see them now
            save_contacts(connection, asked_for_help)
            released = release_due(connection, window.end, consents_of(people, recipients), self.policy)
            ask_for_large(connection, troubles, base, self.policy, window.end)
            history = load_history(connection, troubles, recipients, window.end, self.policy)
            decisions = decide(troubles, recipients, history, self.policy, window.end)
            flood = stop_a_flood(connection, decisions, self.policy, window.end)
            odd = self._record(connection, decisions, recipients, history, window.end)
            save_traits(connection, decisions, recipients, regions)
            self.ledger.mark_decided(connection, troubles)
            followed = follow_up(connection, cards, recipients, window.end)
            renewed = self._renew(
                connection, [*old[:RENEWED_AT_ONCE], *followed_now(connection, window.end)], window.end
            )
            note_told(connection, len(old) <= RENEWED_AT_ONCE, window.end)
            counts = {**reasons(decisions), "released": released.released, **odd}
            counts |= {"followed up": followed} if followed else {}
            counts |= {"renewed": renewed} if renewed else {}
            return counts | ({"stopped by a flood": 1} if flood else {})

        return apply

    def _renew_rest(self, window: Window) -> None:
        """Renew what one transaction would hold up others with for too long."""
        with self.ledger.read() as connection:
            rest = outdated(connection)
        for start in range(0, len(rest), RENEWED_AT_ONCE):
            with self.ledger.write() as connection:
                self._renew(connection, rest[start : start + RENEWED_AT_ONCE], window.end)

    def _renew(self, connection: Connection, keys: Sequence[str], now: datetime) -> int:
        """Let what people still read, or are about to, name the cause of now; return how many notices that changed."""
        if self.writing is None:
            return 0
        found, brand = to_renew(connection, keys), self.writing.brand
        people = load_recipients(self.warehouse.connection, {it.trouble.subscriber_id for it in found}) if found else {}
        known = [it for it in found if it.trouble.subscriber_id in people]
        contexts = (NoticeContext.of(it, people[it.trouble.subscriber_id], brand) for it in known)
        rendered = Sharing(self.writing.composer).compose_all(contexts)
        return renew(connection, known, rendered, now, by_webhook=self.sending.by_webhook)

    def _record(
        self,
        connection: Connection,
        decisions: Sequence[Decision],
        recipients: Mapping[str, Recipient],
        history: History,
        now: datetime,
    ) -> Counts:
        """Store decisions and their words; return how many were odd, by what was odd about them."""
        if self.writing is None:
            record_decisions(connection, decisions)
            return oddities(decisions)
        keep_people(connection, recipients.values(), now)
        contexts = (_context(d, recipients, history, self.writing) for d in decisions if d.needs_words)
        rendered = Sharing(self.writing.composer).compose_all(contexts)
        addresses = {who: recipient.email for who, recipient in recipients.items() if recipient.email}
        enqueue(connection, decisions, rendered, addresses, now)
        return oddities([*decisions, *rendered.values()])


def send_due(
    engine: Engine,
    channels: Mapping[ChannelName, Channel],
    clock: Clock,
    policy: Policy,
    sending: Sending,
    *,
    consents: Consents | None = None,
    halted: Callable[[], bool] = lambda: False,
) -> DeliveryReport:
    """Send what is due, by each channel no more than its budget of the day has left."""
    return deliver(
        engine,
        channels,
        clock,
        MOST_AT_ONCE,
        consents=consents,
        policy=policy,
        in_flight=sending.in_flight,
        unheard_after=sending.unheard_after,
        halted=halted,
    )


def _count_changed(warehouse: Warehouse, window: Window) -> int:
    """Return how many slices a merge changed, counted from what is there: a second run counts the same."""
    ((changed,),) = warehouse.connection.execute(_CHANGED, {"end": naive_utc(window.end)}).fetchall()
    return int(changed)


def _context(
    decision: Decision, recipients: Mapping[str, Recipient], history: History, writing: Writing
) -> NoticeContext:
    trouble = decision.trouble
    context = NoticeContext.of(decision, recipients[trouble.subscriber_id], writing.brand)
    if trouble.kind not in TAKES_BACK:
        return context
    read = (it.cause for it in history.of(trouble.subscriber_id) if it.episode == trouble.episode and it.told)
    return replace(context, wrong_cause=next(read, None))
