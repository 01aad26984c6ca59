"""How quick and how light the console is over a large ledger, and how easily a lead finds things in it.

Run ``python -m benchmarks.console``: every page, 100,000 incidents and 10,000,000 notices, on SQLite and PostgreSQL;
the five tasks of a first day, and what axe-core finds. The baseline is the same on a ledger of a twentieth of the size,
without the indexes and with counts that a page waits for. The SQLite ledger is kept in a temporary folder.
"""

from __future__ import annotations

import argparse
import importlib
import json
import random
import re
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import uvicorn

from benchmarks.console_ledger import HUGE, NOW, SUBSCRIBERS, Size, forget_indexes, is_made, make, mark
from config.settings import Settings
from console.support import counting, sessions
from console.support.sessions import Role
from console.web import make_app
from incidents.ledger.store import Ledger
from notifiers import rollout

AIM_MS, AIM_BYTES = 200.0, 300_000
BASELINE_PART = 20
HASH = "scrypt:AAAA:AAAA"
"""It matches no password: this benchmark comes in by a session of its own making."""
WRITE_EVERY_S = 0.05


@dataclass(frozen=True)
class Timed:
    """One page: its times over all requests, in milliseconds, and its size."""

    page: str
    times_ms: list[float]
    size: int

    @property
    def p95_ms(self) -> float:
        """The time within which 19 of 20 were there."""
        return p95(self.times_ms)


def p95(times_ms: list[float]) -> float:
    return statistics.quantiles(times_ms, n=20)[-1] if len(times_ms) > 1 else times_ms[0]


def pages(size: Size, client: httpx.Client, rng: random.Random) -> dict[str, list[str]]:
    """Return the addresses to ask for, by page: first visits and later ones, the huge incident and any other."""
    incidents = [f"inc-{rng.randrange(size.incidents):016d}" for _ in range(20)]
    people = [f"sub-{rng.randrange(min(SUBSCRIBERS, size.notices)):016d}" for _ in range(20)]
    notices = [f"{rng.randrange(size.huge) // 10 * 10:016d}" for _ in range(20)]
    return {
        "overview": ["/"] * 20,
        "incidents": ["/incidents", "/incidents?state=open&order=people", "/incidents?signal=access&severity=major"]
        * 5,
        "incidents, deep": walked(client, "/incidents", 15),
        "search, found": [f"/incidents?text=cdn-{n}" for n in range(15)],
        "search, this quarter": [f"/incidents?text=nothing{n}&since=2026-08-01" for n in range(15)],
        "search, in vain over all": [f"/incidents?text=nothing{n}" for n in range(15)],
        "an incident": [f"/incidents/{it}" for it in incidents],
        "the huge incident": [f"/incidents/{HUGE}"] * 20,
        "people told": walked(client, f"/incidents/{HUGE}/people/told", 15),
        "people not told": [f"/incidents/{it}/people/recovered" for it in incidents],
        "a subscriber": [f"/subscribers/{it}" for it in people],
        "looked up": [f"/subscribers?who={it}" for it in people],
        "a notice": [f"/notices/{it}" for it in notices],
        "to review": ["/review"] * 15,
        "approvals": ["/approvals"] * 15,
        "an approval": [f"/approvals/{HUGE}"] * 15,
        "silences": ["/silences"] * 15,
        "effect": ["/effect", "/effect?days=365"] * 8,
        "audit trail": ["/trail"] * 15,
        "settings": ["/settings"] * 15,
    }


def walked(client: httpx.Client, path: str, steps: int) -> list[str]:
    """Return the addresses of a list's pages, one after the other."""
    found = [path]
    for _ in range(steps - 1):
        after = re.findall(r"after=([A-Za-z0-9_-]+)\"", client.get(found[-1]).text)
        if not after:
            break
        found.append(f"{path}?after={after[-1]}")
    return found


@contextmanager
def served(ledger: Ledger, *, patience_s: float = counting.PATIENCE_S) -> Iterator[httpx.Client]:
    """Serve the console and give a client that is signed in as a lead."""
    values = {"console": {"password_hash": HASH, "idle": "9d", "session": "9d"}, "brand": {"service_name": "Lumen"}}
    app = make_app(Settings.model_validate(values), ledger, lambda: NOW)
    console = next(route.app for route in app.routes if getattr(route, "name", "") == "console")  # type: ignore[attr-defined]
    console.state.support.counts.patience_s = patience_s
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    with ledger.write() as connection:
        token = sessions.begin(connection, "bench", Role.ADMIN, NOW, timedelta(days=9))
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    with httpx.Client(base_url=f"{url}/console", timeout=600, trust_env=False) as client:
        client.cookies.set("prebuffer-session", token, domain="127.0.0.1")
        yield client
    server.should_exit = True
    thread.join(10)


def measure(ledger: Ledger, size: Size, *, patience_s: float = counting.PATIENCE_S) -> list[Timed]:
    """Ask for every page, some 15 to 20 times, while somebody writes."""
    rng = random.Random(1)
    with served(ledger, patience_s=patience_s) as client:
        wanted = pages(size, client, rng)
        with writing(ledger):
            return [timed(client, name, addresses) for name, addresses in wanted.items()]


def timed(client: httpx.Client, name: str, addresses: list[str]) -> Timed:
    times, sizes = [], []
    for address in addresses:
        start = time.perf_counter()
        answer = client.get(address)
        times.append((time.perf_counter() - start) * 1000)
        assert answer.status_code in (200, 303), (address, answer.status_code)
        sizes.append(len(answer.content))
    return Timed(name, times, max(sizes))


@contextmanager
def writing(ledger: Ledger) -> Iterator[None]:
    """Write as the pipeline does, in transactions that hold the ledger for a moment, until the block ends."""
    over = threading.Event()

    def write() -> None:
        while not over.wait(WRITE_EVERY_S):
            with ledger.write() as connection:
                rollout.ask(connection, HUGE, 900_000, 0.01, NOW)
                time.sleep(WRITE_EVERY_S)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    yield
    over.set()
    thread.join()


def first_visit(client: httpx.Client, page: int) -> int:
    """Return the bytes of a first visit: a page of so many, with its styles, scripts and icon."""
    names = ("report.css", "console.css", "htmx.min.js", "icon.svg")
    return page + sum(len(client.get(f"/static/{name}").content) for name in names)


def lead_day() -> tuple[dict[str, int], int]:
    """Do the five tasks in a browser, and let axe-core look at every page; return clicks, and how much it found."""
    day = importlib.import_module("tests.support.lead_day")
    clicks, violations = day.run()
    return dict(clicks), int(violations)


@contextmanager
def ledgers(folder: Path, databases: list[str], size: Size) -> Iterator[dict[str, Ledger]]:
    """Open a filled ledger on each database."""
    with ExitStack() as stack:
        found = {}
        if "sqlite" in databases:
            path = folder / f"ledger-{size.incidents}-{size.notices}.db"
            found["sqlite"] = stack.enter_context(Ledger(f"sqlite:///{path}", durable=False))
        if "postgresql" in databases:
            postgres = importlib.import_module("tests.postgres")
            temporary = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
            server = stack.enter_context(postgres.serve(Path(temporary), postgres.programs()))
            found["postgresql"] = stack.enter_context(Ledger(stack.enter_context(server.database())))
        for name, ledger in found.items():
            ledger.upgrade()
            if not is_made(ledger):
                print(f"Filling {name} with {size.notices:,} notices; this takes a while, once.", flush=True)
                make(ledger, size)
                mark(ledger)
        yield found


def baseline(folder: Path, size: Size) -> float:
    """Measure the same pages without indexes and without patience, on a ledger of a twentieth of the size."""
    small = Size(max(size.incidents // BASELINE_PART, 1), size.notices // BASELINE_PART)
    path = folder / "baseline.db"
    for old in folder.glob("baseline.db*"):
        old.unlink()
    with Ledger(f"sqlite:///{path}", durable=False) as ledger:
        ledger.upgrade()
        make(ledger, small)
        with ledger.write() as connection:
            forget_indexes(connection)
        return p95([it for page in measure(ledger, small, patience_s=600) for it in page.times_ms])


def show(name: str, found: list[Timed]) -> None:
    print(f"\n{name:26}   p50 ms   p95 ms   most ms       kB")
    for it in found:
        middle = statistics.median(it.times_ms)
        print(f"{it.page:26} {middle:8.1f} {it.p95_ms:8.1f} {max(it.times_ms):9.1f} {it.size / 1000:8.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--notices", type=int, default=10_000_000)
    parser.add_argument("--incidents", type=int, default=100_000)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "prebuffer-console")
    parser.add_argument("--no-browser", action="store_true", help="Leave out the five tasks and axe-core.")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    size = Size(options.incidents, options.notices)
    results: dict[str, list[Timed]] = {}
    with ledgers(options.folder, options.databases, size) as opened:
        for name, ledger in opened.items():
            results[name] = measure(ledger, size)
            show(name, results[name])
        with served(next(iter(opened.values()))) as client:
            largest = max(it.size for found in results.values() for it in found)
            visit = first_visit(client, largest)
    worst = {name: max(found, key=lambda it: it.p95_ms) for name, found in results.items()}
    line = {
        "incidents": size.incidents,
        "notices": size.notices,
        "p95_ms": round(max(p95([t for it in found for t in it.times_ms]) for found in results.values()), 1),
        "worst_page_p95_ms": {name: [it.page, round(it.p95_ms, 1)] for name, it in worst.items()},
        "baseline_p95_ms": round(baseline(options.folder, size), 1),
        "max_page_bytes": visit,
        "aim_ms": AIM_MS,
        "aim_bytes": AIM_BYTES,
    }
    if not options.no_browser:
        clicks, violations = lead_day()
        print("\nClicks:", ", ".join(f"{name} {count}" for name, count in clicks.items()))
        line |= {"max_clicks": max(clicks.values()), "violations": violations}
    print(json.dumps(line))


if __name__ == "__main__":
    main()
