"""Sends what the outbox holds: claims, checks again, sends, records. The only place that retries."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Engine

from incidents.ledger.schema import notices
from notifiers.channels.contract import Channel
from notifiers.errors import ChannelError, ChannelPaused, OutcomeUnknown, RateLimited, Refused
from notifiers.model import ChannelName, WithheldReason
from notifiers.outbox import (
    DEFAULT_LEASE,
    Lease,
    Message,
    Outcome,
    State,
    cancel,
    claim,
    record,
    retries,
    sweep,
)
from notifiers.recheck import Consents, standings

Clock = Callable[[], datetime]


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
        Share (0 to 1) of the wait that is spread, by a hash of notice and attempt, so that a herd does not
        return at once and a test sees the same waits.
    pause
        How long a channel that is paused or rate limited waits, unless the provider says.
    """

    max_attempts: int = 6
    base: timedelta = timedelta(seconds=30)
    longest: timedelta = timedelta(hours=1)
    jitter: float = 0.5
    pause: timedelta = timedelta(minutes=15)

    def wait(self, notice_id: str, attempt: int) -> timedelta:
        """Return how long to wait after a failure: ``base * 2**(attempt - 1)``, capped, then spread."""
        full: timedelta = min(self.base * 2 ** min(attempt - 1, 30), self.longest)
        return full * (1 - self.jitter * _share(f"{notice_id}:{attempt}"))


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
    """

    states: Mapping[State, int] = field(default_factory=dict)
    cancelled: Mapping[WithheldReason, int] = field(default_factory=dict)
    stopped: Mapping[ChannelName, str] = field(default_factory=dict)


def deliver(
    engine: Engine,
    channels: Mapping[ChannelName, Channel],
    now: datetime | Clock,
    limit: int = 10_000,
    *,
    lease: Lease = DEFAULT_LEASE,
    retry: RetryPolicy = DEFAULT_RETRY,
    consents: Consents | None = None,
) -> DeliveryReport:
    """Send at most `limit` due messages, one at a time, each in its own short transactions.

    A crash at any moment loses nothing and sends nothing twice: a message that was being sent becomes
    `unknown` when its lease runs out, unless its channel is repeatable.

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
        Who sends, and for how long one message may take.
    retry
        When to try again.
    consents
        Asked again for each person and channel just before sending, where given.
    """
    clock: Clock = now if callable(now) else lambda: now
    run = _Run(engine, dict(channels), clock, lease, retry, consents)
    run.sweep_lost()
    while limit > 0 and run.send_next():
        limit -= 1
    run.finish()
    return DeliveryReport(dict(+run.states), dict(run.cancelled), dict(run.stopped))


@dataclass
class _Run:
    """One call of `deliver`: what it was given, and what it counted."""

    engine: Engine
    channels: dict[ChannelName, Channel]
    clock: Clock
    lease: Lease
    retry: RetryPolicy
    consents: Consents | None
    states: Counter[State] = field(default_factory=Counter)
    cancelled: Counter[WithheldReason] = field(default_factory=Counter)
    stopped: dict[ChannelName, str] = field(default_factory=dict)

    def sweep_lost(self) -> None:
        """Settle what earlier runs left behind."""
        repeatable = [name for name, channel in self.channels.items() if channel.repeatable]
        with self.engine.begin() as connection:
            lost = sweep(connection, self.clock(), repeatable)
        self.states[State.UNKNOWN] += lost[State.UNKNOWN]

    def send_next(self) -> bool:
        """Take one message to its next state; False if none is due."""
        message, objection = self._take()
        if message is None:
            return False
        if objection is not None:
            self.states[State.CANCELLED] += 1
            self.cancelled[objection] += 1
        else:
            self._send(message)
        return True

    def finish(self) -> None:
        """Let every channel tidy up; what was sent is sent, whether or not it can."""
        for name, channel in self.channels.items():
            try:
                channel.finish()
            except ChannelError as error:
                self.stopped[name] = str(error)

    def _take(self) -> tuple[Message | None, WithheldReason | None]:
        now = self.clock()
        going = [name for name in self.channels if name not in self.stopped]
        with self.engine.begin() as connection:
            message = claim(connection, now, self.lease, going)
            if message is None:
                return None, None
            (standing,) = standings(connection, notices.c.notice_id == message.notice_id)
            objection = standing.objection(now, self.consents)
            if objection is not None:
                cancel(connection, message.notice_id, objection, now)
        return message, objection

    def _send(self, message: Message) -> None:
        try:
            receipt = self.channels[message.channel].send(message)
        except ChannelError as error:
            self._settle_failure(message, error)
        else:
            self._settle(message, Outcome.SENT, provider_message_id=receipt.provider_message_id)

    def _settle_failure(self, message: Message, error: ChannelError) -> None:
        match error:
            case Refused():
                self._settle(message, Outcome.FAILED, str(error))
            case OutcomeUnknown():
                self._settle(message, Outcome.UNKNOWN, str(error))
            case ChannelPaused():
                self._stop(message, error, Outcome.PAUSED, self.retry.pause)
            case RateLimited():
                self._stop(message, error, Outcome.PAUSED, error.retry_after or self.retry.pause)
            case _:
                self._try_later(message, error)

    def _stop(self, message: Message, error: ChannelError, outcome: Outcome, wait: timedelta) -> None:
        self.stopped[message.channel] = str(error)
        self._settle(message, outcome, str(error), wait=wait)

    def _try_later(self, message: Message, error: ChannelError) -> None:
        with self.engine.connect() as connection:
            tries = retries(connection, message.message_id) + 1
        if tries >= self.retry.max_attempts:
            self._settle(message, Outcome.FAILED, f"Given up after {tries} tries: {error}")
        else:
            self._settle(message, Outcome.RETRY, str(error), wait=self.retry.wait(message.message_id, tries))

    def _settle(
        self,
        message: Message,
        outcome: Outcome,
        detail: str | None = None,
        *,
        wait: timedelta = timedelta(0),
        provider_message_id: str | None = None,
    ) -> None:
        now = self.clock()
        with self.engine.begin() as connection:
            state = record(
                connection,
                message,
                outcome,
                now,
                detail=detail,
                provider_message_id=provider_message_id,
                next_attempt_time=now + wait,
            )
        self.states[state] += 1
