"""How much one caller may ask: requests by token and address, and the length of a body."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.web.errors import TooLongError, TooManyError, refusal

REMEMBERED = 50_000
"""Callers of one process whose pace is known; who has been away longest is forgotten, which gives a full bucket."""
MINUTE_S = 60.0


class RateLimits:
    """Token buckets: each caller may ask `per_minute` times at once, and gets them back evenly over a minute.

    They are of one process: behind a balancer of n processes, a caller can reach n times as much.

    Parameters
    ----------
    seconds
        A clock that only goes forward.
    """

    def __init__(self, seconds: Callable[[], float] = monotonic) -> None:
        self.seconds = seconds
        self._buckets: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def take(self, kind: str, caller: str, per_minute: int) -> None:
        """Count one request.

        Parameters
        ----------
        kind
            Of caller, e.g. ``token`` or ``address``: each has buckets of its own.
        caller
            Who asks. Kept in memory only.
        per_minute
            How often this kind may ask.

        Raises
        ------
        TooManyError
            If the bucket is empty; it says in how many seconds the next request will do.
        """
        now, key = self.seconds(), (kind, caller)
        left, since = self._buckets.pop(key, (float(per_minute), now))
        left = min(per_minute, left + (now - since) * per_minute / MINUTE_S)
        allowed = left >= 1
        self._buckets[key] = (left - 1 if allowed else left, now)
        if len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
        if not allowed:
            raise TooManyError(math.ceil((1 - left) * MINUTE_S / per_minute))


class BodyLimit:
    """Refuses a request whose body is longer than `most` bytes, before or while it is read.

    Parameters
    ----------
    app
        What is inside.
    most
        Bytes.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app = app
        self.most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, counting what comes."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        error = TooLongError(self.most)
        if _declared(scope) > self.most:
            await refusal(scope, error)(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self.most:
                raise error
            return message

        await self.app(scope, counted, send)


def _declared(scope: Scope) -> int:
    """Return the length that the caller says its body has; what is no number is left to the server's parser."""
    found = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(found[0]) if found and found[0].isdigit() else 0
