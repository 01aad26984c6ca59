"""Opens the console of a drill inside the real one, at an address of its own: its own ledger, the same people."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

NOT_FOUND = 404
Open = Callable[[str], ASGIApp | None]
"""Returns the console of a drill by its id, or None if there is no such."""


class Stage:
    """The consoles of drills, each opened when somebody first looks at it.

    Parameters
    ----------
    opened
        Opens one.
    """

    def __init__(self, opened: Open) -> None:
        self.opened = opened
        self._lock = Lock()
        self._consoles: dict[str, ASGIApp] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request to the console of its drill."""
        root = scope.get("root_path", "")
        drill_id = scope["path"].removeprefix(root).strip("/").partition("/")[0]
        console = await run_in_threadpool(self._console, drill_id)
        if console is None:
            await PlainTextResponse("There is no such drill.", NOT_FOUND)(scope, receive, send)
        else:
            await console({**scope, "root_path": f"{root}/{drill_id}"}, receive, send)

    def _console(self, drill_id: str) -> ASGIApp | None:
        with self._lock:
            known = self._consoles.get(drill_id) or self.opened(drill_id)
            if known is not None:
                self._consoles[drill_id] = known
            return known
