"""Sends what the outbox holds: leases, checks again, sends, records. The only place that retries."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Row

from incidents.ledger.among import among
from incidents.ledger.schema import outbox
from incidents.ledger.store import transaction
from notifiers.attempts import Result, begin, claim, let_go, record, retries, sweep
from notifiers.budget import within_budget
from notifiers.channels.contract import Channel, Receipt
from notifiers.errors import ChannelError, ChannelPaused, OutcomeUnknown, RateLimited, Refused
from notifiers.events import release_unheard, settle_heard
from notifiers.model import ChannelName, Policy, WithheldReason
from notifiers.outbox import Lease, Message, Outcome, State, cancel, put_off
from notifiers.provider import Allowance, note, reserve, within_limit
from notifiers.recheck import SOON, Consents, standings
from notifiers.release import hold
from notifiers.stops import StopKind, channel_scope, end, start

Clock = Callable[[], datetime]
BATCH = 1000
"""Messages leased at once: as many as one request of the largest provider can carry."""
AT_ONCE = 64
"""Messages marked as `sending` in one transaction. A crash leaves at most this many, or one bundle for each request in
flight, to be settled; a larger number would spare little."""

TOO_SLOW = "Not sent yet: what was before it took too long."


@dataclass(frozen=True)
class RetryPolicy:
    """When to try again, and when to give up.

    Parameters
    ----------
    max_attempts
        Tries that failed for a passing reason before giving up.
    base, longest
        First and longest wait between tries; each wait doubles.
    jitter
        Share (0 to 1) of the wait that is spread, by a hash of message and attempt, so that a herd does not
        return at once and a test sees the same waits. All of it: "full jitter" clears a crowd soonest (Brooker,
        "Exponential Backoff And Jitter", 2015).
    pause
        How long a channel that refuses us or is rate limited waits, unless the provider says.
    """

    max_attempts: int = 6
    base: timedelta = timedelta(seconds=30)
    longest: timedelta = timedelta(hours=1)
    jitter: float = 1.0
    pause: timedelta = timedelta(minutes=15)

    def wait(self, message_id: str, attempt: int) -> timedelta:
        """Return how long to wait after a failure: ``base * 2**(attempt - 1)``, capped, then spread."""
        full: timedelta = min(self.base * 2 ** min(attempt - 1, 30), self.longest)
        return full * (1 - self.jitter * _share(f"{message_id}:{attempt}"))


DEFAULT_RETRY = RetryPolicy()


def _share(key: str) -> float:
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big") / 2**64


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
    run = _Run(engine, dict(channels), clock, lease or Lease(), retry, consents, policy, in_flight, halted)
    with ThreadPoolExecutor(in_flight) as pool:
        run.settle_left_behind(unheard_after)
        while limit > 0 and not halted():
            taken, wanted = run.take(min(limit, BATCH))
            if not taken:
                break
            limit -= taken
            run.send(wanted, pool)
        run.finish()
    return DeliveryReport(dict(+run.states), dict(run.cancelled), dict(run.stopped), frozenset(run.refused))


Bundle = Sequence[Message]


@dataclass(frozen=True)
class _Answer:
    """What became of one bundle."""

    bundle: Bundle
    receipt: Receipt | None = None
    error: ChannelError | None = None
    late: bool = False

    @property
    def channel(self) -> ChannelName:
        return self.bundle[0].channel


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
    in_flight: int
    halted: Callable[[], bool]
    states: Counter[State] = field(default_factory=Counter)
    cancelled: Counter[WithheldReason] = field(default_factory=Counter)
    stopped: dict[ChannelName, str] = field(default_factory=dict)
    refused: set[ChannelName] = field(default_factory=set)
    accepted: set[ChannelName] = field(default_factory=set)
    bodies: dict[str, Row[Any]] = field(default_factory=dict)

    def settle_left_behind(self, unheard_after: timedelta | None) -> None:
        """Settle what senders that died left behind."""
        repeatable = [name for name, channel in self.channels.items() if channel.repeatable]
        with transaction(self.engine) as connection:
            lost = sweep(connection, self.clock(), repeatable)
            heard = settle_heard(connection, self.clock()) if lost[State.UNKNOWN] else {}
            if unheard_after is not None:
                release_unheard(connection, self.clock(), unheard_after)
        self.states[State.UNKNOWN] += lost[State.UNKNOWN] - sum(heard.values())
        self.states.update(heard)

    def take(self, most: int) -> tuple[int, list[Message]]:
        """Lease messages and ask the gates again; return how many were taken, and those still wanted."""
        now = self.clock()
        with transaction(self.engine) as connection:
            going = within_limit(connection, [name for name in self.channels if name not in self.stopped], now)
            taken = self._claim(connection, going, most, now)
            objections, waits = self._objections(connection, taken, now)
            for message_id, reason in objections.items():
                cancel(connection, message_id, reason, now)
            for message_id, until in waits.items():
                put_off(connection, [message_id], until)
        self.states[State.CANCELLED] += len(objections)
        self.cancelled.update(objections.values())
        stopped = objections.keys() | waits.keys()
        return len(taken), [message for message in taken if message.message_id not in stopped]

    def _claim(
        self, connection: Connection, channels: Sequence[ChannelName], most: int, now: datetime
    ) -> list[Message]:
        """Lease due messages, of each channel no more than its budget of the day has left."""
        taken: list[Message] = []
        for names, left in within_budget(connection, channels, self.policy or Policy(), most, now):
            if min(left, most - len(taken)) > 0:
                taken += claim(connection, now, self.lease, names, min(left, most - len(taken)), self.bodies)
        return taken

    def _objections(
        self, connection: Connection, taken: Sequence[Message], now: datetime
    ) -> tuple[dict[str, WithheldReason], dict[str, datetime]]:
        """Ask the gates again: which messages are not wanted any more, and until when others have to wait."""
        found: dict[str, WithheldReason] = {}
        waits: dict[str, datetime] = {}
        theirs = among(outbox.c.message_id, [message.message_id for message in taken])
        for standing in standings(connection, theirs, None if self.policy is None else now) if taken else ():
            reason = standing.objection(now, self.consents, self.policy)
            closed = None if reason or self.policy is None else standing.wait(now, self.policy)
            if reason is not None:
                found[standing.message_id] = reason
            elif closed is not None:
                waits[standing.message_id] = max(closed.release_time or now, now + SOON)
                if closed.reason is WithheldReason.AWAITING_APPROVAL and standing.is_problem:
                    hold(connection, [(standing.notice_id, closed)])
        return found, waits

    def send(self, wanted: Sequence[Message], pool: ThreadPoolExecutor) -> None:
        """Send bundle by bundle; each transaction records what the last round did and begins the next."""
        answers: list[_Answer] = []
        for part in self._rounds(wanted):
            begun = self._turn(answers, part)
            answers = self._post(begun, pool)
            if self.halted():
                break
        self._turn(answers, [])

    def _rounds(self, wanted: Sequence[Message]) -> Iterator[list[Bundle]]:
        by_channel: defaultdict[ChannelName, list[Message]] = defaultdict(list)
        for message in wanted:
            by_channel[message.channel].append(message)
        part: list[Bundle] = []
        for name, messages in by_channel.items():
            for bundle in self.channels[name].bundle(messages):
                part.append(bundle)
                if len(part) >= self.in_flight and sum(map(len, part)) >= AT_ONCE:
                    yield part
                    part = []
        yield part

    def _turn(self, answers: Sequence[_Answer], part: Sequence[Bundle]) -> list[Bundle]:
        """Record answers and begin the next bundles, in one transaction; return those that may go."""
        now = self.clock()
        with transaction(self.engine) as connection:
            self._record(connection, answers, now)
            begun = self._begin(connection, part, now)
            if not part or self.halted():
                let_go(connection, self.lease)
        return begun

    def _begin(self, connection: Connection, part: Sequence[Bundle], now: datetime) -> list[Bundle]:
        going = [bundle for bundle in part if bundle[0].channel not in self.stopped]
        allowed: list[Bundle] = []
        for name, bundles in _by_channel(going).items():
            granted = reserve(connection, name, len(bundles), now)
            if granted < len(bundles):
                self.stopped[name] = "The provider takes no more for now."
            allowed += bundles[:granted]
        ours = begin(connection, [message for bundle in allowed for message in bundle], now, self.lease)
        begun = {message.message_id: message for message in ours}
        kept = [[begun[m.message_id] for m in bundle if m.message_id in begun] for bundle in allowed]
        return [bundle for bundle in kept if bundle]

    def _post(self, begun: Sequence[Bundle], pool: ThreadPoolExecutor) -> list[_Answer]:
        if self.in_flight == 1 or len(begun) == 1:
            return list(self._post_in_turn(begun))
        shares = [begun[start :: self.in_flight] for start in range(self.in_flight)]
        return [answer for some in pool.map(lambda share: list(self._post_in_turn(share)), shares) for answer in some]

    def _post_in_turn(self, bundles: Sequence[Bundle]) -> Iterator[_Answer]:
        """Post bundles one after the other.

        Once the channel stops, or half the lease is over, the rest is not sent: another sender could soon take it for
        lost.
        """
        stopped: dict[ChannelName, ChannelError] = {}
        latest = self.clock() + self.lease.duration / 2
        for bundle in bundles:
            name = bundle[0].channel
            if name in stopped or self.clock() > latest:
                yield _Answer(bundle, error=stopped.get(name), late=name not in stopped)
                continue
            for answer in self._post_one(bundle):
                if isinstance(answer.error, ChannelPaused | RateLimited):
                    stopped[name] = answer.error
                yield answer

    def _post_one(self, bundle: Bundle) -> Iterator[_Answer]:
        try:
            yield _Answer(bundle, receipt=self.channels[bundle[0].channel].send(*bundle))
        except Refused as error:
            if len(bundle) == 1:
                yield _Answer(bundle, error=error)
                return
            middle = len(bundle) // 2
            for half in (bundle[:middle], bundle[middle:]):
                yield from self._post_one(half)
        except ChannelError as error:
            yield _Answer(bundle, error=error)

    def _record(self, connection: Connection, answers: Sequence[_Answer], now: datetime) -> None:
        results = [result for answer in answers for result in self._results(connection, answer, now)]
        record(connection, results, now)
        for result in results:
            self.states[result.state] += len(result.bundle)
        for answer in answers:
            self._heed(connection, answer, now)
        for name, allowance in self._allowances(answers).items():
            note(connection, name, allowance, now)

    def _allowances(self, answers: Sequence[_Answer]) -> dict[ChannelName, Allowance]:
        """What the answers say of limits; of several, the least."""
        found: dict[ChannelName, Allowance] = {}
        for answer in answers:
            said = answer.receipt.allowance if answer.receipt is not None else None
            if isinstance(answer.error, RateLimited):
                said = Allowance(0, self._pause(answer.error))
            if said is not None and said.remaining <= found.get(answer.channel, said).remaining:
                found[answer.channel] = said
        return found

    def _results(self, connection: Connection, answer: _Answer, now: datetime) -> Iterable[Result]:
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
                tried = retries(connection, [message.message_id for message in bundle])
                return [self._try_later(m, tried[m.message_id] + 1, error, now) for m in bundle]

    def _try_later(self, message: Message, tries: int, error: ChannelError, now: datetime) -> Result:
        if tries >= self.retry.max_attempts:
            return Result([message], Outcome.FAILED, f"Given up after {tries} tries: {error}")
        due = now + self.retry.wait(message.message_id, tries)
        if message.expires_time is not None:
            due = min(due, message.expires_time)
        return Result([message], Outcome.RETRY, str(error), next_attempt_time=due)

    def _heed(self, connection: Connection, answer: _Answer, now: datetime) -> None:
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
        """Let every channel tidy up; what was sent is sent, whether or not it can."""
        for name, channel in self.channels.items():
            try:
                channel.finish()
            except ChannelError as error:
                self.stopped[name] = str(error)


def _by_channel(bundles: Iterable[Bundle]) -> dict[ChannelName, list[Bundle]]:
    found: defaultdict[ChannelName, list[Bundle]] = defaultdict(list)
    for bundle in bundles:
        found[bundle[0].channel].append(bundle)
    return found
