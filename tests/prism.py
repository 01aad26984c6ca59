"""Plays a description of an API with Prism, on loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

MOCK = Path(__file__).parent / "sendgrid"
PRISM = MOCK.parent / "npm" / "node_modules" / ".bin" / "prism"
PATIENCE_S = 60.0


@contextmanager
def playing(description: Path, log: Path) -> Iterator[str]:
    """Play a description while the block runs; gives the mock's address, on a free port."""
    if not PRISM.exists() or shutil.which("node") is None:
        missing = "The SendGrid mock is not installed: run `make browser`."
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [PRISM, "mock", "--host", "127.0.0.1", "--port", str(port), description]
    with log.open("w") as written:
        process = subprocess.Popen(command, stdout=written, stderr=subprocess.STDOUT)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for(process, url, log)
            yield url
        finally:
            process.terminate()
            process.wait(10)


def _wait_for(process, url, log) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(url, timeout=1)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"Prism did not start: {log.read_text()}")
