"""The access log: one line of JSON a request, which names routes, never people, tokens or addresses."""

from __future__ import annotations

import json
import logging
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("prebuffer.access")
UNKNOWN = "unmatched"
"""Of a path that leads nowhere: it is the caller's text, so it is not repeated."""


class AccessLog:
    """Logs each request when its answer has ended.

    Parameters
    ----------
    app
        What is inside.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status, start = 0, perf_counter()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            took_ms = round((perf_counter() - start) * 1000, 1)
            line = {"method": scope["method"], "route": _route(scope), "status": status, "ms": took_ms}
            log.info("%s", json.dumps(line))


def _route(scope: Scope) -> str:
    """Return the route's pattern, e.g. ``/preferences/{token}``."""
    return str(getattr(scope.get("route"), "path", UNKNOWN))
