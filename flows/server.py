"""A Prefect server of our own, where none is configured."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from prefect.settings import PREFECT_API_URL

HOST, PORT = "127.0.0.1", 4200
STARTUP_TRIES, STARTUP_PAUSE_S = 120, 0.5
"""A minute: the first start on a slow machine migrates a database."""
SHUTDOWN_PATIENCE_S = 15.0


@contextmanager
def server_where_none_is_configured(port: int = PORT) -> Iterator[str]:
    """Yield the address of Prefect's API: the configured one, or that of a server that ends with the block.

    An interrupt does not reach that server: whoever works with it comes to an end first.
    """
    configured = PREFECT_API_URL.value()
    if configured:
        yield configured
        return
    address = f"http://{HOST}:{port}/api"
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as server:  # noqa: S603 - ours
        try:
            _wait_until_healthy(address, server)
            yield address
        finally:
            server.terminate()
            server.wait(SHUTDOWN_PATIENCE_S)


def _wait_until_healthy(address: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(STARTUP_TRIES):
        if server.poll() is not None:
            break
        try:
            if httpx.get(f"{address}/health").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(STARTUP_PAUSE_S)
    raise RuntimeError(f"Prefect's server did not start at {address}.")
