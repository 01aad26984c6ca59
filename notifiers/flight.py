"""Requests under way: a few at once, so that a provider far away keeps nobody waiting; each ends in an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from notifiers.channels.contract import Channel, Receipt
from notifiers.errors import ChannelError, ChannelPaused, RateLimited, Refused
from notifiers.model import ChannelName
from notifiers.outbox import Message

Bundle = Sequence[Message]
"""What one request carries."""


@dataclass(frozen=True)
class Answer:
    """What became of one bundle: a receipt, an error, or `late`: it was not sent, and may be sent by anybody.

    Parameters
    ----------
    bundle
        What was to be sent.
    receipt, error, late
        One of them.
    """

    bundle: Bundle
    receipt: Receipt | None = None
    error: ChannelError | None = None
    late: bool = False

    @property
    def channel(self) -> ChannelName:
        """How it went."""
        return self.bundle[0].channel


@dataclass
class Flight:
    """Hands that post, each its bundles one after the other.

    Once a channel refuses everything, or `patience` is over, the rest is not sent: another sender could soon take it
    for lost.

    Parameters
    ----------
    channels
        What carries each way of reaching people.
    hands
        Requests under way at once; a single one posts in the caller's own thread.
    clock
        What the time is.
    patience
        How long a hand may take, from when its messages were begun.
    """

    channels: Mapping[ChannelName, Channel]
    hands: int
    clock: Callable[[], datetime]
    patience: timedelta
    refusing: dict[ChannelName, ChannelError] = field(default_factory=dict)
    _under_way: set[Future[list[Answer]]] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Hire the hands."""
        self._pool = ThreadPoolExecutor(self.hands)

    def __enter__(self) -> Self:
        """Fly, and wait for the last to land."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for what is under way."""
        self._pool.shutdown()

    @property
    def free(self) -> int:
        """How many hands have nothing to do."""
        return self.hands - len(self._under_way)

    def post(self, load: Sequence[Bundle], begun: datetime) -> None:
        """Give a free hand something to do, which was begun at a moment."""
        if self.hands > 1:
            self._under_way.add(self._pool.submit(self._post, load, begun))
            return
        done: Future[list[Answer]] = Future()
        done.set_result(self._post(load, begun))
        self._under_way.add(done)

    def landed(self, free: int) -> list[Answer]:
        """Wait until so many hands are free, and return the answers of all that came back since the last time."""
        answers: list[Answer] = []
        while self._under_way:
            patience = None if self.free < free else 0
            done, self._under_way = wait(self._under_way, patience, FIRST_COMPLETED)
            answers += [answer for future in done for answer in future.result()]
            if not done:
                break
        return answers

    def _post(self, load: Sequence[Bundle], begun: datetime) -> list[Answer]:
        latest = begun + self.patience
        return [answer for bundle in load for answer in self._in_time(bundle, latest)]

    def _in_time(self, bundle: Bundle, latest: datetime) -> Iterator[Answer]:
        refusal = self.refusing.get(bundle[0].channel)
        if refusal is not None or self.clock() > latest:
            yield Answer(bundle, error=refusal, late=refusal is None)
        else:
            yield from self._halving(bundle)

    def _halving(self, bundle: Bundle) -> Iterator[Answer]:
        """Post a bundle; what is refused as a whole goes in halves, so that one bad message harms no other."""
        try:
            yield Answer(bundle, receipt=self.channels[bundle[0].channel].send(*bundle))
        except Refused as error:
            if len(bundle) == 1:
                yield Answer(bundle, error=error)
                return
            middle = len(bundle) // 2
            for half in (bundle[:middle], bundle[middle:]):
                yield from self._halving(half)
        except ChannelError as error:
            if isinstance(error, ChannelPaused | RateLimited):
                self.refusing[bundle[0].channel] = error
            yield Answer(bundle, error=error)
