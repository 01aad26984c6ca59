"""Measures the inbox: how soon a new card is seen on open streams, against clients that poll, and webhooks a second.

A server process, a process that writes cards, and the clients, all on loopback and on a temporary SQLite ledger.

    .venv/bin/python -m benchmarks.inbox [--streams 1000] [--seconds 10]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import socket
import tempfile
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import uvicorn
from sqlalchemy import insert

from benchmarks.mail_events import Key
from config.settings import Settings, WebSettings
from console.output import print_json, table
from console.web import make_app
from console.web.tokens import make_token
from incidents.ledger.schema import notices, outbox
from incidents.ledger.store import Ledger
from notifiers.cards import put_card

SECRET = "a secret of the benchmark, long enough to sign"
AT_ONCE = 100
"""Connections opened at the same time."""
CARDS_PER_S = 50
POLL_EVERY_S = 1.0
EVENTS, BATCH = 10_000, 100
Clients = Callable[[int, int, asyncio.Event, list[float]], Coroutine[Any, Any, None]]
PROCESSES = multiprocessing.get_context("spawn")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=10)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="prebuffer-inbox-") as folder:
        measure(f"sqlite:///{Path(folder) / 'ledger.db'}", arguments.streams, arguments.seconds)


def measure(url: str, streams: int, seconds: int) -> None:
    """Run all three and print them."""
    key = Key()
    web = {"token_secret": SECRET, "sendgrid_public_key": key.public(), "streams": streams}
    settings = WebSettings.model_validate(
        web | {"requests_per_minute": 10**6, "address_requests_per_minute": 10**7, "max_body_bytes": 10**7}
    )
    with Ledger(url) as ledger:
        ledger.upgrade()
        _fill(ledger, streams, seconds)
        rows = [("streams", *_with_server(url, settings, streams, seconds, listen))]
        rows.append((f"polling every {POLL_EVERY_S:g} s", *_with_server(url, settings, streams, seconds, poll)))
    webhook_per_s = _with_process(url, settings, lambda port, _server: webhooks(port, key))
    columns = ("how", "clients", "cards", "seen", "p50 ms", "p99 ms", "server peak MB")
    table("A new card is seen", columns, rows)
    print(f"Webhook: {webhook_per_s:,.0f} events a second, signed, {BATCH} a request\n")
    _, clients, written, seen, _, p99_ms, peak_mb = rows[0]
    print_json(
        {
            "streams": clients,
            "cards": written,
            "seen": seen,
            "p99_ms": p99_ms,
            "peak_mb": peak_mb,
            "polling_p99_ms": rows[1][5],
            "polling_peak_mb": rows[1][6],
            "webhook_events_per_s": round(webhook_per_s),
        }
    )


def serve(url: str, settings: WebSettings, port: int) -> None:
    """Serve the app: the process under test."""
    with Ledger(url) as ledger:
        app = make_app(Settings(web=settings), ledger, lambda: datetime.now(UTC))
        uvicorn.run(app, port=port, log_level="warning", access_log=False, backlog=4096, timeout_graceful_shutdown=1)


def write(url: str, start: int, count: int, streams: int) -> None:
    """Write cards, each to another subscriber, at an even pace: the process that delivers."""
    with Ledger(url) as ledger:
        begun = time.time()
        for number in range(start, start + count):
            time.sleep(max(0.0, begun + (number - start) / CARDS_PER_S - time.time()))
            with ledger.engine.begin() as connection:
                card = {"title": "Your films stall", "written": time.time()}
                put_card(connection, f"u-{number % streams}", f"c-{number}", card, datetime.now(UTC))


async def listen(port: int, streams: int, until: asyncio.Event, seen: list[float]) -> None:
    """Hold streams open and note how old each card is when it comes."""

    async def one(number: int) -> None:
        reader, writer = await _connect(port)
        writer.write(_request("/inbox/v1/stream", number))
        ready.release()
        async for line in reader:
            if line.startswith(b"data: ") and b'"written"' in line:
                seen.append(time.time() - json.loads(line[6:])["card"]["written"])  # noqa: PERF401 - as it comes

    ready = asyncio.Semaphore(AT_ONCE)
    tasks = []
    for number in range(streams):
        await ready.acquire()
        tasks.append(asyncio.create_task(one(number)))
    await until.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def poll(port: int, streams: int, until: asyncio.Event, seen: list[float]) -> None:
    """Ask for cards again and again on open connections, evenly spread, and note likewise."""

    async def one(number: int) -> None:
        await asyncio.sleep(POLL_EVERY_S * number / streams)
        reader, writer = await _connect(port)
        known: set[str] | None = None
        while True:
            began = time.time()
            writer.write(_request("/inbox/v1/cards", number))
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.split(b"content-length: ")[1].split(b"\r")[0])
            cards = {it["card_id"]: it["card"] for it in json.loads(await reader.readexactly(length))["cards"]}
            if known is not None:
                seen.extend(time.time() - cards[it]["written"] for it in cards.keys() - known)
            known = set(cards)
            await asyncio.sleep(max(0.0, began + POLL_EVERY_S - time.time()))

    tasks = [asyncio.create_task(one(number)) for number in range(streams)]
    await until.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def webhooks(port: int, key: Key) -> float:
    """Post signed events; return how many were taken in a second."""
    requests = []
    for start in range(0, EVENTS, BATCH):
        numbers = range(start, start + BATCH)
        stamp = int(time.time())
        events = [
            {"sg_event_id": f"e-{it}", "event": "delivered", "timestamp": stamp, "message_id": f"w-{it % 1000}"}
            for it in numbers
        ]
        body = json.dumps(events).encode()
        requests.append((body, key.headers(body, stamp)))
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
        began = time.perf_counter()
        answers = [client.post("/webhooks/sendgrid", content=body, headers=headers) for body, headers in requests]
        took = time.perf_counter() - began
    taken = sum(answer.json()["new"] for answer in answers)
    assert taken == EVENTS, f"{EVENTS - taken} events were not taken in."
    return float(taken / took)


def _with_server(url: str, settings: WebSettings, streams: int, seconds: int, clients: Clients) -> tuple[float, ...]:
    found: tuple[float, ...] = _with_process(
        url, settings, lambda port, server: _seen(url, port, server, streams, seconds, clients)
    )
    return found


def _seen(url: str, port: int, server: int, streams: int, seconds: int, clients: Clients) -> tuple[float, ...]:
    count, start = CARDS_PER_S * seconds, 0 if clients is listen else CARDS_PER_S * seconds
    seen: list[float] = []

    async def run() -> None:
        until = asyncio.Event()
        watching = asyncio.create_task(clients(port, streams, until, seen))
        await asyncio.sleep(max(5.0, streams / 100))  # all are open, and those who poll have asked once
        writer = PROCESSES.Process(target=write, args=(url, start, count, streams))
        writer.start()
        while writer.is_alive():
            await asyncio.sleep(0.1)
        await asyncio.sleep(3 * POLL_EVERY_S)
        until.set()
        await watching

    asyncio.run(run())
    p50, p99 = (round(1000 * float(it)) for it in np.percentile(seen, [50, 99]))
    return streams, count, len(seen), p50, p99, _peak_mb(server)


def _with_process(url: str, settings: WebSettings, measured: Callable[[int, int], Any]) -> Any:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = PROCESSES.Process(target=serve, args=(url, settings, port))
    server.start()
    try:
        _wait(port)
        return measured(port, server.pid or 0)
    finally:
        server.terminate()
        server.join(20)


def _wait(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError("The server did not start.")


async def _connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port)


def _request(path: str, number: int) -> bytes:
    token = make_token(WebSettings(token_secret=SECRET), f"u-{number}", datetime.now(UTC), timedelta(hours=1))  # type: ignore[arg-type]
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


def _fill(ledger: Ledger, streams: int, seconds: int) -> None:
    """Make the notices that cards and events are about."""
    now = datetime.now(UTC)
    about = {"kind": "problem", "decided_time": now, "problem": "buffering", "cause": "service", "channel": "in_app"}
    cards = [f"c-{number}" for number in range(2 * CARDS_PER_S * seconds)]
    mails = [f"w-{number}" for number in range(1000)]
    rows = [{"notice_id": it, "subscriber_id": f"u-{n % streams}", "episode": it} | about for n, it in enumerate(cards)]
    rows += [{"notice_id": it, "subscriber_id": it, "episode": it} | about for it in mails]
    words = {"subject": "", "html": "", "text": "", "card": {}, "state": "sent", "attempts": 1}
    sent = {"stage": "first", "channel": "email", "queued_time": now, "next_attempt_time": now} | words
    with ledger.write() as connection:
        connection.execute(insert(notices), rows)
        connection.execute(insert(outbox), [{"message_id": it, "notice_id": it} | sent for it in mails])


def _peak_mb(pid: int) -> int:
    """Return the most memory that a process has held."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return round(int(status.split("VmHWM:")[1].split()[0]) / 1024)


if __name__ == "__main__":
    main()
