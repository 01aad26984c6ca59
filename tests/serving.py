"""Serves a web app for a test: uvicorn in a thread, on a free port of loopback, by a clock that the test sets."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import httpx
import uvicorn
from starlette.types import ASGIApp

PATIENCE_S = 10


class Clock:
    """Shows the time that it was set to."""

    def __init__(self, time: datetime) -> None:
        self.time = time

    def __call__(self) -> datetime:
        return self.time

    def forward(self, **units: float) -> None:
        self.time += timedelta(**units)


def client_at(url: str, timeout: float = 30) -> httpx.Client:
    """Return a client of what is served; it speaks plain HTTP, so it need not read the world's certificates."""
    return httpx.Client(base_url=url, timeout=timeout, trust_env=False, verify=False)


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """Serve an app while the block runs; gives its address, e.g. ``http://127.0.0.1:40123``."""
    config = uvicorn.Config(
        app, port=0, log_level="error", access_log=False, lifespan="on", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_for(lambda: server.started or not thread.is_alive())
    assert thread.is_alive(), "The server did not start."
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)


def wait_for(holds: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    """Wait until something holds; fail if it does not in time."""
    deadline = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < deadline, "It did not come to hold in time."
        time.sleep(0.005)
