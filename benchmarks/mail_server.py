"""A mail provider on loopback that counts what it got: ``python -m benchmarks.mail_server``, in a process of its own.

It takes SendGrid's requests, counts each message in a body that it has read to the end, answers 202, and reports events
about it to a webhook, if it is told of one. It prints its port.
"""

from __future__ import annotations

import asyncio
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import orjson

from benchmarks.mail_events import Reporter

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
LONGEST_PAUSE_S = 0.03
ANSWERED = b"HTTP/1.1 202 Accepted\r\nX-Message-Id: m\r\nContent-Length: 0\r\n\r\n"


class Provider:
    """What it got, and what it still has to report.

    Parameters
    ----------
    counting
        Look into the bodies; without it, it only answers.
    delay_s
        How long it takes to answer, as one some way off does.
    """

    def __init__(self, counting: bool, delay_s: float = 0.0) -> None:
        self.counting = counting
        self.delay_s = delay_s
        self.got: Counter[str] = Counter()
        self.chance = random.Random(1)
        self.reporter = Reporter({}, self.chance)

    def answer(self, path: bytes, body: bytes) -> bytes:
        """Return the answer to one request."""
        if path.startswith(b"/v3/mail/send"):
            self._take(body)
            return ANSWERED
        if path == b"/got":
            return _json(self.got)
        if path == b"/webhook":
            return _json(self.reporter.begin(orjson.loads(body)))
        if path == b"/taken":
            return _json(self.reporter.taken)
        return _json(self.reporter.counts | {"pending": len(self.reporter.pending)})

    def pause_s(self, answer: bytes) -> float:
        """Return how long an answer takes: where it counts, as long as one from far away, so that kills meet it."""
        return self.chance.uniform(0, LONGEST_PAUSE_S) if self.counting and answer is ANSWERED else self.delay_s

    def _take(self, body: bytes) -> None:
        if not self.counting:
            return
        moment = int(time.time())
        for one in orjson.loads(body)["personalizations"]:
            message_id = one["custom_args"]["message_id"]
            self.got[message_id] += 1
            for name in ("processed", "delivered"):
                event_id = f"{name}-{message_id}-{self.got[message_id]}"
                event = {"sg_event_id": event_id, "event": name, "message_id": message_id, "timestamp": moment}
                self.reporter.pending[event_id] = event


def _json(value: object) -> bytes:
    body = orjson.dumps(value)
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Connection(asyncio.Protocol):
    """As much HTTP as our own client speaks."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.read = bytearray()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Answer what is complete."""
        self.read += data
        while (end := self.read.find(b"\r\n\r\n")) >= 0:
            head = bytes(self.read[:end])
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self.read) < whole:
                return
            body = bytes(self.read[end + 4 : whole])
            del self.read[:whole]
            answer = self.provider.answer(head.split(b" ", 2)[1], body)
            asyncio.get_running_loop().call_later(self.provider.pause_s(answer), self._write, answer)

    def _write(self, answer: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(answer)


async def serve(counting: bool, delay_s: float) -> None:
    """Listen until killed."""
    provider = Provider(counting, delay_s)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(provider), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def running(*, counting: bool, delay_s: float = 0.0) -> Iterator[str]:
    """Run it while the block lasts; gives its address."""
    command = [sys.executable, "-m", "benchmarks.mail_server", str(delay_s), *(["--count"] if counting else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            port = int((process.stdout or sys.stdin).readline())
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


if __name__ == "__main__":
    asyncio.run(serve("--count" in sys.argv, float(sys.argv[1])))
