"""Sends what the outbox holds: takes, checks again, begins, sends, records. The only place that retries."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from incidents.ledger.store import transaction
from notifiers.attempts import Result, begin, begin_kept, due, keep, let_go, record, retries, sweep
from notifiers.budget import within_budget
from notifiers.channels.contract import Channel
from notifiers.crowd import Asking, Crowd, in_question
from notifiers.errors import ChannelError, ChannelPaused, OutcomeUnknown, RateLimited, Refused
from notifiers.events import release_unheard, settle_heard, wait_to_hear
from notifiers.flight import Answer, Bundle, Flight
from notifiers.model import ChannelName, Policy, WithheldReason
from notifiers.outbox import Lease, Message, Outcome, State, Words, cancel, put_off
from notifiers.provider import Allowance, note, reserve, within_limit
from notifiers.release import hold
from notifiers.standing import SOON, Consents
from notifiers.stops import StopKind, channel_scope, end, start
from notifiers.waits import Waits

Clock = Callable[[], datetime]
BATCH = 1000
"""Messages taken at once: as many as one request of the largest provider can carry."""
AT_ONCE = 64
"""Messages marked as `sending` at a time, by all hands. A crash leaves at most so many to be settled, or a bundle for
each hand; a larger number would spare little."""

TOO_SLOW = "Not sent yet: what was before it took too long."


@dataclass(frozen=True)
class RetryPolicy:
    """When to try again, and when to give up.

    Parameters
    ----------
    max_attempts
        Tries that failed for a passing reason before giving up.
    base, longest, jitter
        First and longest wait between tries, and the share that is spread; see `notifiers.waits.Waits`.
    pause
        How long a channel that refuses us or is rate limited waits, unless the provider says.
    """

    max_attempts: int = 6
    base: timedelta = timedelta(seconds=30)
    longest: timedelta = timedelta(hours=1)
    jitter: float = 1.0
    pause: timedelta = timedelta(minutes=15)

    def wait(self, message_id: str, attempt: int) -> timedelta:
        """Return how long to wait with a message after so many failures."""
        return Waits(self.base, self.longest, self.jitter).after(attempt, message_id)


DEFAULT_RETRY = RetryPolicy()


@dataclass(frozen=True)
class DeliveryReport:
    """What one call did.

    Parameters
    ----------
    states
        Messages by the state they ended in: sent, failed, unknown, cancelled, and queued (to be tried again).
    cancelled
        The cancelled ones by reason.
    stopped
        Channels that were stopped before their messages ran out, and why.
    refused
        Those of them that refuse us since this call, e.g. for a revoked key: a person must act.
    """

    states: Mapping[State, int] = field(default_factory=dict)
    cancelled: Mapping[WithheldReason, int] = field(default_factory=dict)
    stopped: Mapping[ChannelName, str] = field(default_factory=dict)
    refused: frozenset[ChannelName] = frozenset()


def deliver(
    engine: Engine,
    channels: Mapping[ChannelName, Channel],
    now: datetime | Clock,
    limit: int = 10_000,
    *,
    lease: Lease | None = None,
    retry: RetryPolicy = DEFAULT_RETRY,
    consents: Consents | None = None,
    policy: Policy | None = None,
    in_flight: int = 1,
    unheard_after: timedelta | None = None,
    halted: Callable[[], bool] = lambda: False,
) -> DeliveryReport:
    """Send at most `limit` due messages. Any number of processes may do so on one ledger.

    A crash at any moment loses nothing and sends nothing twice: a message whose request may have left becomes
    `unknown` when its lease runs out, unless its channel is repeatable; one that was only leased is taken by the next.

    Parameters
    ----------
    engine
        Of the ledger.
    channels
        What carries each way of reaching people; messages of other ways stay queued.
    now
        A moment, or a clock where sending takes long.
    limit
        Most messages in this call.
    lease
        Who sends, and for how long one request may take; each call is somebody of its own unless told otherwise.
    retry
        When to try again.
    policy
        With the budgets, and with what is asked again just before sending: quiet hours, the holdout, what people heard
        meanwhile. Nothing of it, where it is not given.
    consents
        Asked again for each person and channel just before sending, where given.
    in_flight
        Requests under way at once: a provider far away takes a while to answer each.
    unheard_after
        After so long, an `unknown` message that the provider never spoke of may be sent; see
        `notifiers.events.release_unheard`. None: never.
    halted
        Whether to stop: what is under way is waited for and recorded, what was leased is given back.
    """
    clock: Clock = now if callable(now) else lambda: now
    lease = lease or Lease()
    with Flight(channels, in_flight, clock, lease.duration / 2) as flight:
        run = _Run(engine, dict(channels), clock, lease, retry, consents, policy, flight, halted)
        run.settle_left_behind(unheard_after)
        while not halted() and (run.waiting or limit > 0):
            if run.waiting:
                run.go_on()
                continue
            taken = run.take(min(limit, BATCH))
            if not taken and not run.land():
                break
            limit -= taken
        run.land()
        run.finish()
    return DeliveryReport(dict(+run.states), dict(run.cancelled), dict(run.stopped), frozenset(run.refused))


Load = Sequence[Bundle]
"""What one hand posts: bundles of one channel."""


def _messages(loads: Iterable[Load]) -> list[Message]:
    return [message for load in loads for bundle in load for message in bundle]


@dataclass
class _Run:
    """One call of `deliver`: what it was given, and what it counted."""

    engine: Engine
    channels: dict[ChannelName, Channel]
    clock: Clock
    lease: Lease
    retry: RetryPolicy
    consents: Consents | None
    policy: Policy | None
    flight: Flight
    halted: Callable[[], bool]
    states: Counter[State] = field(default_factory=Counter)
    cancelled: Counter[WithheldReason] = field(default_factory=Counter)
    stopped: dict[ChannelName, str] = field(default_factory=dict)
    refused: set[ChannelName] = field(default_factory=set)
    accepted: set[ChannelName] = field(default_factory=set)
    bodies: dict[str, Words] = field(default_factory=dict)
    waiting: deque[Load] = field(default_factory=deque)
    left: list[Message] = field(default_factory=list)

    def settle_left_behind(self, unheard_after: timedelta | None) -> None:
        """Settle what senders that died left behind."""
        repeatable = [name for name, channel in self.channels.items() if channel.repeatable]
        with transaction(self.engine) as connection:
            wait_to_hear(connection)
            lost = sweep(connection, self.clock(), repeatable)
            heard = settle_heard(connection, self.clock()) if lost[State.UNKNOWN] else {}
            if unheard_after is not None:
                release_unheard(connection, self.clock(), unheard_after)
        self.states[State.UNKNOWN] += lost[State.UNKNOWN] - sum(heard.values())
        self.states.update(heard)

    def take(self, most: int) -> int:
        """Take due messages and begin as many as hands are free; return how many were taken.

        The gates are asked again in between; those that were wanted and not begun are `waiting`, leased.
        """
        answers = self.flight.landed(1)
        with transaction(self.engine) as connection:
            now = self.clock()
            self._record(connection, answers, now)
            going = within_limit(connection, [name for name in self.channels if name not in self.stopped], now)
            found = self._due(connection, going, most, now)
            wanted = [it for crowd in found for it in self._wanted(connection, crowd, now)]
            loads = deque(self._loads(wanted))
            first = self._allowed(connection, self._next(loads), now)
            begin(connection, _messages(first), now, self.lease)
            keep(connection, _messages(loads), now, self.lease)
        self.waiting = loads
        self._post(first, now)
        return sum(len(crowd.messages) for crowd in found)

    def _due(self, connection: Connection, channels: Sequence[ChannelName], most: int, now: datetime) -> list[Crowd]:
        """Return due messages, of each channel no more than its budget of the day has left."""
        found: list[Crowd] = []
        for names, left in within_budget(connection, channels, self.policy or Policy(), most, now):
            if min(left, most) > 0:
                found.append(due(connection, now, names, min(left, most), self.bodies))
                most -= len(found[-1].messages)
        return found

    def _wanted(self, connection: Connection, crowd: Crowd, now: datetime) -> list[Message]:
        """Ask the gates again: take off what is not wanted any more, put off what has to wait, return the rest."""
        unwanted: dict[str, WithheldReason] = {}
        waits: set[str] = set()
        for standing in in_question(connection, crowd, Asking(now, self.consents, self.policy)):
            reason = standing.objection(now, self.consents, self.policy)
            closed = None if reason or self.policy is None else standing.wait(now, self.policy)
            if reason is not None:
                unwanted[standing.message_id] = reason
                cancel(connection, standing.message_id, reason, now)
            elif closed is not None:
                waits.add(standing.message_id)
                put_off(connection, [standing.message_id], max(closed.release_time or now, now + SOON))
                is_untold = standing.is_problem and standing.message_id == standing.notice_id
                if closed.reason is WithheldReason.AWAITING_APPROVAL and is_untold:
                    hold(connection, [(standing.notice_id, closed)])
        self.states[State.CANCELLED] += len(unwanted)
        self.cancelled.update(unwanted.values())
        stopped = unwanted.keys() | waits
        return [message for message in crowd.messages if message.message_id not in stopped]

    def go_on(self) -> None:
        """Begin what waits, as hands come free; the transaction records what came back, too."""
        answers = self.flight.landed(1)
        some = self._next(self.waiting)
        with transaction(self.engine) as connection:
            now = self.clock()
            self._record(connection, answers, now)
            allowed = self._allowed(connection, some, now)
            begun = begin_kept(connection, _messages(allowed), now, self.lease)
        ours = {message.message_number for message in begun}
        self.left += [message for message in _messages(some) if message.message_number not in ours]
        kept = [[[it for it in bundle if it.message_number in ours] for bundle in load] for load in allowed]
        self._post([[bundle for bundle in load if bundle] for load in kept], now)

    def _next(self, loads: deque[Load]) -> list[Load]:
        """Take a load for each free hand."""
        return [loads.popleft() for _ in range(min(self.flight.free, len(loads)))]

    def _post(self, loads: Sequence[Load], begun: datetime) -> None:
        for load in loads:
            if load:
                self.flight.post(load, begun)

    def land(self) -> bool:
        """Wait for what is under way and record it; return whether there was any."""
        answers = self.flight.landed(self.flight.hands)
        if answers:
            with transaction(self.engine) as connection:
                self._record(connection, answers, self.clock())
        return bool(answers)

    def _loads(self, wanted: Sequence[Message]) -> Iterator[Load]:
        by_channel: defaultdict[ChannelName, list[Message]] = defaultdict(list)
        for message in wanted:
            by_channel[message.channel].append(message)
        for name, messages in by_channel.items():
            load: list[Bundle] = []
            for bundle in self.channels[name].bundle(messages):
                load.append(bundle)
                if sum(map(len, load)) * self.flight.hands >= AT_ONCE:
                    yield load
                    load = []
            if load:
                yield load

    def _allowed(self, connection: Connection, loads: Sequence[Load], now: datetime) -> list[Load]:
        """Return as much of some loads as their providers take now."""
        return [self._granted(connection, load, now) for load in loads]

    def _granted(self, connection: Connection, load: Load, now: datetime) -> Load:
        name = load[0][0].channel
        if name in self.stopped:
            return []
        granted = reserve(connection, name, len(load), now)
        if granted < len(load):
            self.stopped[name] = "The provider takes no more for now."
        return load[:granted]

    def _record(self, connection: Connection, answers: Sequence[Answer], now: datetime) -> None:
        if not answers:
            return
        wait_to_hear(connection)
        results = [result for answer in answers for result in self._results(connection, answer, now)]
        record(connection, results, now)
        for result in results:
            self.states[result.state] += len(result.bundle)
        for state in (State.SENT, State.UNKNOWN):
            self._hear(connection, state, [result for result in results if result.state is state], now)
        for answer in answers:
            self._heed(connection, answer, now)
        for name, allowance in self._allowances(answers).items():
            note(connection, name, allowance, now)

    def _hear(self, connection: Connection, state: State, results: Sequence[Result], now: datetime) -> None:
        """Settle what was recorded in a state and of which the provider spoke before it answered, or did not."""
        recorded = [message.message_id for result in results for message in result.bundle]
        if recorded:
            heard = settle_heard(connection, now, recorded)
            self.states[state] -= sum(heard.values())
            self.states.update(heard)

    def _allowances(self, answers: Sequence[Answer]) -> dict[ChannelName, Allowance]:
        """What the answers say of limits; of several, the least."""
        found: dict[ChannelName, Allowance] = {}
        for answer in answers:
            said = answer.receipt.allowance if answer.receipt is not None else None
            if isinstance(answer.error, RateLimited):
                said = Allowance(0, self._pause(answer.error))
            if said is not None and said.remaining <= found.get(answer.channel, said).remaining:
                found[answer.channel] = said
        return found

    def _results(self, connection: Connection, answer: Answer, now: datetime) -> Iterable[Result]:
        error, bundle = answer.error, answer.bundle
        if answer.late:
            return [Result(bundle, Outcome.PAUSED, TOO_SLOW, next_attempt_time=now)]
        match error:
            case None:
                name = answer.receipt.provider_message_id if answer.receipt else None
                return [Result(bundle, Outcome.SENT, provider_message_id=name)]
            case Refused():
                return [Result(bundle, Outcome.FAILED, str(error))]
            case OutcomeUnknown():
                return [Result(bundle, Outcome.UNKNOWN, str(error))]
            case ChannelPaused() | RateLimited():
                due = now + self._pause(error)
                return [Result(bundle, Outcome.PAUSED, str(error), next_attempt_time=due)]
            case _:
                tried = retries(connection, bundle)
                return [self._try_later(m, tried[m.message_number] + 1, error, now) for m in bundle]

    def _try_later(self, message: Message, tries: int, error: ChannelError, now: datetime) -> Result:
        if tries >= self.retry.max_attempts:
            return Result([message], Outcome.FAILED, f"Given up after {tries} tries: {error}")
        due = now + self.retry.wait(message.message_id, tries)
        if message.expires_time is not None:
            due = min(due, message.expires_time)
        return Result([message], Outcome.RETRY, str(error), next_attempt_time=due)

    def _heed(self, connection: Connection, answer: Answer, now: datetime) -> None:
        """Do for the whole channel what an answer asks for."""
        match answer.error:
            case None:
                if not answer.late and answer.channel not in self.accepted:
                    end(connection, now, scope=channel_scope(answer.channel), kinds=[StopKind.REFUSED])
                    self.accepted.add(answer.channel)
            case ChannelPaused() as error:
                self.accepted.discard(answer.channel)
                self.stopped[answer.channel] = str(error)
                self.refused.add(answer.channel)
                until = now + self.retry.pause
                start(connection, channel_scope(answer.channel), StopKind.REFUSED, str(error), now, until=until)
            case RateLimited() as error:
                self.stopped[answer.channel] = str(error)
            case _:
                pass

    def _pause(self, error: ChannelError) -> timedelta:
        return (error.retry_after if isinstance(error, RateLimited) else None) or self.retry.pause

    def finish(self) -> None:
        """Give back what was leased and not begun, and let every channel tidy up; what was sent is sent."""
        left = [*self.left, *_messages(self.waiting)]
        if left:
            with transaction(self.engine) as connection:
                let_go(connection, left, self.lease)
        for name, channel in self.channels.items():
            try:
                channel.finish()
            except ChannelError as error:
                self.stopped[name] = str(error)
