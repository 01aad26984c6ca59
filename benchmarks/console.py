"""How quick and how light the console is over a large ledger, and how easily a lead finds things in it.

Run ``python -m benchmarks.console``: every page, 100,000 incidents and 10,000,000 notices, on SQLite and PostgreSQL;
the five tasks of a first day, and what axe-core finds, while a writer decides on people as the pipeline does. The
baseline is the same on a ledger of a twentieth of the size, without the indexes and with counts that a page waits for.
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
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import uvicorn
from sqlalchemy import Connection

from benchmarks.console_ledger import HUGE, NOW, SUBSCRIBERS, Size, forget_indexes, is_made, make, mark
from config.settings import Settings
from console.report.files import Format
from console.report.files import make as make_report
from console.support import counting, sessions
from console.support.counting import Counts
from console.support.sessions import Role
from console.web import make_app
from incidents.ledger.schema import incidents, notices
from incidents.ledger.store import Ledger
from notifiers import rollout

AIM_MS, AIM_BYTES = 200.0, 300_000
BASELINE_PART = 20
HASH = "scrypt:AAAA:AAAA"
"""It matches no password: this benchmark comes in by a session of its own making."""
COUNTED = ("overview", "an incident", "the huge incident", "an approval", "effect")
"""Pages that say how many: they are asked for again when nothing has been counted yet."""
CASE = "a case packet"
"""Asked for by a form: that somebody looked is written down."""
WRITE_EVERY_S, PEOPLE_A_TURN = 0.05, 100
"""How often, and for how long, the pipeline holds the ledger, and on how many it decides meanwhile."""


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
        "lessons": ["/lessons", "/lessons?text=nothing"] * 8,
        "what was learned": [f"/incidents/{it}/lessons" for it in incidents],
        CASE: [f"/subscribers/{it}/case" for it in people],
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
def served(ledger: Ledger, *, patience_s: float = counting.PATIENCE_S) -> Iterator[tuple[httpx.Client, Counts]]:
    """Serve the console; gives a client that is signed in as a lead, and the counts that are kept."""
    values = {"console": {"password_hash": HASH, "idle": "9d", "session": "9d"}, "brand": {"service_name": "Lumen"}}
    app = make_app(Settings.model_validate(values), ledger, lambda: NOW)
    console = next(route.app for route in app.routes if getattr(route, "name", "") == "console")  # type: ignore[attr-defined]
    counts: Counts = console.state.support.counts
    counts.patience_s = patience_s
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
        client.headers["x-form-token"] = sessions.form_token(token)
        yield client, counts
    server.should_exit = True
    thread.join(10)


def measure(ledger: Ledger, size: Size, *, patience_s: float = counting.PATIENCE_S) -> tuple[list[Timed], list[float]]:
    """Ask for every page, some 15 to 20 times, while somebody writes; return also how long they waited each time."""
    with served(ledger, patience_s=patience_s) as (client, counts), writing(ledger) as waits:
        wanted = pages(size, client, random.Random(1))
        found = [timed(client, name, addresses) for name, addresses in wanted.items()]
        found += [timed(client, f"{name}, uncounted", wanted[name], counts.forget) for name in COUNTED]
    return found, waits


def timed(client: httpx.Client, name: str, addresses: list[str], before: Callable[[], None] = lambda: None) -> Timed:
    times, sizes = [], []
    for address in addresses:
        before()
        start = time.perf_counter()
        answer = client.request("POST" if name == CASE else "GET", address)
        times.append((time.perf_counter() - start) * 1000)
        assert answer.status_code in (200, 303), (address, answer.status_code)
        sizes.append(len(answer.content))
    return Timed(name, times, max(sizes))


@contextmanager
def writing(ledger: Ledger) -> Iterator[list[float]]:
    """Write as the pipeline does, in transactions that hold the ledger for a moment, until the block ends.

    Gives how long each waited for its turn and for its commit, in milliseconds.
    """
    over = threading.Event()
    waits: list[float] = []

    def write() -> None:
        while not over.wait(WRITE_EVERY_S):
            asked = time.perf_counter()
            with ledger.write() as connection:
                begun = time.perf_counter()
                _decide(connection, len(waits))
                time.sleep(WRITE_EVERY_S)
                done = time.perf_counter()
            waits.append((begun - asked + time.perf_counter() - done) * 1000)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    yield waits
    over.set()
    thread.join()


def _decide(connection: Connection, turn: int) -> None:
    """Judge the huge incident anew, ask for its audience, and decide on a hundred people more."""
    connection.execute(incidents.update().where(incidents.c.incident_id == HUGE).values(updated_time=NOW))
    rollout.ask(connection, HUGE, 900_000, 0.01, NOW)
    keys = [f"late-{time.time_ns()}-{turn}-{person}" for person in range(PEOPLE_A_TURN)]
    same = {"kind": "problem", "problem": "buffering", "cause": "service", "channel": "email", "decided_time": NOW}
    rows = [{"notice_id": key, "subscriber_id": key, "episode": HUGE, "incident_id": HUGE, **same} for key in keys]
    connection.execute(notices.insert(), rows)


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
        found = {
            name: stack.enter_context(Ledger(_url(stack, folder, name, size), durable=False)) for name in databases
        }
        for name, ledger in found.items():
            ledger.upgrade()
            if not is_made(ledger):
                start = time.perf_counter()
                make(ledger, size)
                mark(ledger)
                seconds = time.perf_counter() - start
                print(f"Filled {name} with {size.notices:,} notices in {seconds:.0f} s.", flush=True)
        yield found


def _url(stack: ExitStack, folder: Path, database: str, size: Size) -> str:
    """Return the URL of a database in `folder`, which is served until the stack is closed."""
    if database == "sqlite":
        return f"sqlite:///{folder}/ledger-{size.incidents}-{size.notices}.db"
    postgres = importlib.import_module("tests.postgres")
    served_in = folder / f"postgres-{size.incidents}-{size.notices}"
    served_in.mkdir(exist_ok=True)
    server = stack.enter_context(postgres.serve(served_in, postgres.programs(), "shared_buffers=1GB"))
    with suppress(psycopg.errors.DuplicateDatabase):
        server.run("CREATE DATABASE ledger")
    return str(server.url("ledger"))


def reports(ledger: Ledger) -> dict[str, float]:
    """Return how many seconds each report of the huge incident takes."""
    taken = {}
    with tempfile.TemporaryDirectory() as folder:
        for form in Format:
            start = time.perf_counter()
            make_report(ledger, Settings(), HUGE, form, Path(folder), "bench", NOW)
            taken[form.value] = round(time.perf_counter() - start, 2)
    return taken


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
        return max(page.p95_ms for page in measure(ledger, small, patience_s=600)[0])


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
    parser.add_argument("--keep", type=Path, metavar="DIR", help="Where filled ledgers are kept for the next time.")
    parser.add_argument("--no-browser", action="store_true", help="Leave out the five tasks and axe-core.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        Path(temporary).chmod(0o755)  # PostgreSQL's user must get to its own folder in it
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        print(json.dumps(run(folder, options.databases, Size(options.incidents, options.notices), options.no_browser)))


def run(folder: Path, databases: list[str], size: Size, no_browser: bool) -> dict[str, Any]:
    """Measure all of it and return the last line."""
    results: dict[str, list[Timed]] = {}
    reported: dict[str, dict[str, float]] = {}
    waited: dict[str, float] = {}
    with ledgers(folder, databases, size) as opened:
        for name, ledger in opened.items():
            results[name], waits = measure(ledger, size)
            waited[name] = round(p95(waits), 1)
            show(name, results[name])
            print(
                f"{'the writer, until its turn':26} {statistics.median(waits):8.1f} {p95(waits):8.1f} {max(waits):9.1f}"
            )
            reported[name] = reports(ledger)
            print(f"{'reports of it':26} {', '.join(f'{form} {s} s' for form, s in reported[name].items())}")
        with served(next(iter(opened.values()))) as (client, _):
            largest = max(it.size for found in results.values() for it in found)
            visit = first_visit(client, largest)
    worst = {name: max(found, key=lambda it: it.p95_ms) for name, found in results.items()}
    line = {
        "incidents": size.incidents,
        "notices": size.notices,
        "p95_ms": round(max(it.p95_ms for it in worst.values()), 1),
        "worst_page_p95_ms": {name: [it.page, round(it.p95_ms, 1)] for name, it in worst.items()},
        "baseline_p95_ms": round(baseline(folder, size), 1),
        "writer_p95_ms": waited,
        "report_s": {name: max(taken.values()) for name, taken in reported.items()},
        "max_page_bytes": visit,
        "aim_ms": AIM_MS,
        "aim_bytes": AIM_BYTES,
    }
    if not no_browser:
        clicks, violations = lead_day()
        print("\nClicks:", ", ".join(f"{name} {count}" for name, count in clicks.items()))
        line |= {"max_clicks": max(clicks.values()), "violations": violations}
    return line


if __name__ == "__main__":
    main()
