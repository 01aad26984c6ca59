"""Live streams (server-sent events): all that are open are served by one look at the ledger a tick.

A tick asks which of the subscribers with open streams have changes that their streams do not know, reads those cards
and hands them over. A stream is no more than its last change known and what waits to be sent, so that resuming after a
cut is nothing special: it opens with an older change known. Whoever writes the ledger, in whatever process, is heard.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import orjson
from sqlalchemy import Connection, Row
from sqlalchemy.exc import SQLAlchemyError

from console.web.documents import card_document, counts_document
from console.web.errors import UnavailableError
from incidents.ledger.store import Ledger
from notifiers.cards import Counts, changed_cards, counts, heads

log = logging.getLogger("prebuffer.web")

TICK_S = 0.25
"""Between two looks at the ledger: a new card is seen well within a second."""
AFTER_A_FAULT_S = 2.0
FEW, MANY = 100, 1000
"""Subscribers in one query for cards, and in one for heads."""
MOST_BEHIND = 500
"""Changes after which a reader had better list the inbox anew than be told each one."""
BUSY_RETRY_S = 10


@dataclass(eq=False)
class Stream:
    """One open stream.

    Parameters
    ----------
    subscriber_id
        Whose cards.
    known
        The latest change that was handed over.
    waiting
        Messages to be sent.
    wake
        Set when there are some, or when the stream is to end.
    ended
        Whether it is to end.
    """

    subscriber_id: str
    known: int
    waiting: list[bytes] = field(default_factory=list)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False

    def put(self, message: bytes, known: int) -> None:
        """Hand a message over."""
        self.waiting.append(message)
        self.known = known
        self.wake.set()

    def take(self) -> bytes:
        """Return what waits."""
        self.wake.clear()
        taken, self.waiting = self.waiting, []
        return b"".join(taken)

    def end(self) -> None:
        """Let the stream end when it has sent what waits."""
        self.ended = True
        self.wake.set()


@dataclass(frozen=True)
class News:
    """What changed for one subscriber.

    Parameters
    ----------
    since, change
        The change after which it begins, and the latest one.
    counts
        Now.
    cards
        Those that changed, in their order; None where there are too many to tell of each.
    """

    since: int
    change: int
    counts: Counts
    cards: Sequence[Row[Any]] | None

    def message(self, known: int) -> bytes:
        """Return what a stream is told that knows of changes up to `known`.

        Only the last event has an id: a stream that is cut before it resumes with all of them.
        """
        if self.cards is None or known > self.change:
            return event("reset", counts_document(self.counts, self.change), self.change)
        told = [event("card", card_document(card)) for card in self.cards if card.change > known]
        return b"".join([*told, event("counts", counts_document(self.counts, self.change), self.change)])


def event(name: str, document: Mapping[str, Any], number: int | None = None) -> bytes:
    """Return one server-sent event; JSON has no line breaks of its own."""
    head = b"" if number is None else b"id: %d\n" % number
    return b"%sevent: %s\ndata: %s\n\n" % (head, name.encode(), orjson.dumps(document))


class Streams:
    """Those that are open in this process.

    Parameters
    ----------
    ledger
        Read only.
    most, most_each
        Open streams, in all and of one subscriber. One more of a subscriber ends their oldest; one more in all is
        refused.
    """

    def __init__(self, ledger: Ledger, most: int, most_each: int) -> None:
        self.ledger = ledger
        self.most = most
        self.most_each = most_each
        self._open: dict[str, list[Stream]] = {}
        self._count = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look at the ledger while the block runs; every stream ends with it."""
        over = asyncio.Event()
        task = asyncio.create_task(self._run(over))
        try:
            yield
        finally:
            over.set()
            await task  # not cancelled: a connection in use would be left open
            for stream in self._all():
                stream.end()

    def open(self, subscriber_id: str, known: int) -> Stream:
        """Open a stream that tells what came after the change `known`.

        Raises
        ------
        UnavailableError
            If too many are open.
        """
        if self._count >= self.most:
            raise UnavailableError("Too many live streams are open here; try again.", retry_after_s=BUSY_RETRY_S)
        theirs = self._open.setdefault(subscriber_id, [])
        if len(theirs) >= self.most_each:
            theirs[0].end()
            self.close(theirs[0])
            theirs = self._open.setdefault(subscriber_id, [])
        stream = Stream(subscriber_id, known)
        theirs.append(stream)
        self._count += 1
        return stream

    def close(self, stream: Stream) -> None:
        """Forget a stream; one that is forgotten already is left alone."""
        theirs = self._open.get(stream.subscriber_id, [])
        if stream in theirs:
            theirs.remove(stream)
            self._count -= 1
            if not theirs:
                del self._open[stream.subscriber_id]

    def tell(self, news: Mapping[str, News]) -> None:
        """Hand news over to whoever has not heard it; who opened meanwhile and knows less waits for the next."""
        for subscriber_id, what in news.items():
            for stream in self._open.get(subscriber_id, ()):
                if stream.known != what.change and (stream.known >= what.since or what.cards is None):
                    stream.put(what.message(stream.known), what.change)

    def read(self, known: Mapping[str, int]) -> dict[str, News]:
        """Return the news of those whose latest change is another than the one they know."""
        with self.ledger.read() as connection:
            latest = {it: head for group in _groups(known, MANY) for it, head in heads(connection, group).items()}
            changed = [it for it, change in known.items() if latest.get(it, 0) != change]
            return {
                it: news
                for group in _groups(changed, FEW)
                for it, news in _news(connection, {it: (known[it], latest.get(it, 0)) for it in group})
            }

    def _all(self) -> list[Stream]:
        return [stream for theirs in self._open.values() for stream in theirs]

    async def _run(self, over: asyncio.Event) -> None:
        pause = TICK_S
        while not over.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), pause)
            known = {it: min(stream.known for stream in theirs) for it, theirs in self._open.items()}
            try:
                self.tell(await asyncio.to_thread(self.read, known) if known else {})
                pause = TICK_S
            except SQLAlchemyError as error:
                log.error("Live streams cannot read the ledger: %s", type(error).__name__)  # noqa: TRY400 - not its text
                pause = AFTER_A_FAULT_S


def _news(connection: Connection, spans: Mapping[str, tuple[int, int]]) -> Iterator[tuple[str, News]]:
    """Read what is new for some subscribers, from the change they know to the latest."""
    near = {it: since for it, (since, change) in spans.items() if 0 < change - since <= MOST_BEHIND}
    cards: dict[str, list[Row[Any]]] = {it: [] for it in near}
    for card in changed_cards(connection, near):
        cards[card.subscriber_id].append(card)
    counted = counts(connection, spans)
    for it, (since, change) in spans.items():
        latest = max([change, *(card.change for card in cards.get(it, ()))])
        yield it, News(since, latest, counted.get(it, Counts()), cards.get(it))


def _groups(names: Iterable[str], size: int) -> Iterator[list[str]]:
    """Cut names into groups of at most `size`."""
    rest = iter(names)
    while group := list(islice(rest, size)):
        yield group
