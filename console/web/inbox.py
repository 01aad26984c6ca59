"""The subscriber's inbox: cards, counts, marks, preferences, and a live stream of changes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from console.web.callers import CallerOf
from console.web.documents import card_document, counts_document
from console.web.errors import WrongInputError
from console.web.state import Web, WebOf
from console.web.streams import Stream, event
from console.web.tokens import Caller
from notifiers.cards import BadCursorError, Counts, Mark, counts, heads, list_cards, mark_cards

router = APIRouter(prefix="/inbox/v1", tags=["inbox"])

BEAT_S = 15.0
"""Between signs of life: shorter than the half minute after which proxies cut what is silent."""
SLOW_S = 20.0
"""A reader who takes nothing for so long is dropped, and resumes when they are back."""
MOST_MARKED = 200
STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

CardId = Annotated[str, Field(min_length=1, max_length=64)]
Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str | None, Query(max_length=200)]
Change = Annotated[int | None, Query(ge=0, le=2**31 - 1)]


class Marks(BaseModel):
    """Which cards to mark, and how."""

    model_config = ConfigDict(extra="forbid")

    mark: Mark
    cards: Annotated[list[CardId], Field(min_length=1, max_length=MOST_MARKED)]


@router.get("/cards")
def cards(
    web: WebOf, caller: CallerOf, limit: Limit = 20, cursor: Cursor = None, archived: bool = False
) -> dict[str, Any]:
    """List cards, newest first; `change` is where a live stream goes on from."""
    with web.ledger.read() as connection:
        counted = _counted(connection, caller)
        try:
            page = list_cards(connection, caller.subscriber_id, limit, cursor, archived=archived)
        except BadCursorError as error:
            raise WrongInputError(f"{error}.") from None
    return {"cards": [card_document(card) for card in page.cards], "next_cursor": page.next_cursor, **counted}


@router.get("/counts")
def count(web: WebOf, caller: CallerOf) -> dict[str, int]:
    """Count the cards that are unread and unseen."""
    with web.ledger.read() as connection:
        return _counted(connection, caller)


@router.post("/marks")
def mark(web: WebOf, caller: CallerOf, marks: Marks) -> dict[str, int]:
    """Mark cards as seen, read, archived or restored; again is the same as once."""
    with web.ledger.engine.begin() as connection:
        changed = mark_cards(connection, caller.subscriber_id, marks.cards, marks.mark, web.clock())
        return {"changed": changed, **_counted(connection, caller)}


@router.get("/stream")
async def stream(
    web: WebOf, caller: CallerOf, after: Change = None, last_event_id: Annotated[str | None, Header()] = None
) -> Response:
    """Send changes as they happen, as server-sent events.

    `Last-Event-ID`, or else the query's `after`, says which change is known; without either, only what is new is sent.
    """
    known = _resumed(last_event_id)
    known = after if known is None else known
    if known is None:
        known = await asyncio.to_thread(_head, web, caller)
    return EventStream(web, caller, known)


class EventStream(Response):
    """An answer that goes on until the reader leaves, takes nothing for long, or their token is over.

    Parameters
    ----------
    web
        The app's parts.
    caller
        Whose changes.
    known
        The latest change that they know.
    """

    def __init__(self, web: Web, caller: Caller, known: int) -> None:
        super().__init__(headers=STREAM_HEADERS, media_type="text/event-stream")
        del self.headers["content-length"]
        self.web = web
        self.caller = caller
        self.stream = web.streams.open(caller.subscriber_id, known)

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        watcher = asyncio.create_task(_watch(receive, self.stream))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await self._send(send, event("ready", {"change": self.stream.known}, self.stream.known))
            while not self.stream.ended:
                await self._send(send, await self._next())
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            return
        finally:
            self.web.streams.close(self.stream)
            watcher.cancel()

    async def _next(self) -> bytes:
        """Wait for news; after a while without, return a sign of life, and a last word when the token is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(BEAT_S):
                await self.stream.wake.wait()
        if self.web.clock() >= self.caller.until:
            self.stream.end()
            return event("over", {"detail": "The token is over: come back with another."})
        return self.stream.take() or b": beat\n\n"

    async def _send(self, send: Send, body: bytes) -> None:
        """Send some of the stream; `TimeoutError` where the reader takes nothing."""
        async with asyncio.timeout(SLOW_S):
            await send({"type": "http.response.body", "body": body, "more_body": True})


async def _watch(receive: Receive, stream: Stream) -> None:
    """End a stream when its reader has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.end()


def _head(web: Web, caller: Caller) -> int:
    with web.ledger.read() as connection:
        return heads(connection, [caller.subscriber_id]).get(caller.subscriber_id, 0)


def _counted(connection: Connection, caller: Caller) -> dict[str, int]:
    """Return the counts and the latest change, read in this order: a change in between is told again, never missed."""
    change = heads(connection, [caller.subscriber_id]).get(caller.subscriber_id, 0)
    counted = counts(connection, [caller.subscriber_id]).get(caller.subscriber_id, Counts())
    return counts_document(counted, change)


def _resumed(last_event_id: str | None) -> int | None:
    """Return the change in a header that a browser sends by itself; nonsense is as good as none."""
    is_number = last_event_id is not None and last_event_id.isascii() and last_event_id.isdigit()
    return int(last_event_id or 0) if is_number and len(last_event_id or "") < 10 else None
