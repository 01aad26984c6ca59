"""A small service for a few days, told as playback events, and the loop that watches it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from incidents.model import Incident, Trouble
from incidents.watch import Detection, Watch
from telemetry.contract import PLAYBACK
from telemetry.ingest import ingest
from telemetry.merge import merge_all, merge_window
from telemetry.time import Window, naive_utc
from telemetry.warehouse import Warehouse

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
LIVE = MONDAY + timedelta(days=2, hours=11)
"""Two days and some hours of history come before."""
PEOPLE = 200
STEP = timedelta(minutes=15)
BEAT = timedelta(minutes=5)
BEATS = 4

DIMS = {
    "country": ["US", "GB"],
    "isp": ["Copperline", "Northnet", "Bluewave"],
    "cdn": ["cdn-a", "cdn-b"],
    "device_type": ["smart_tv", "web"],
    "connection_type": ["wifi", "ethernet"],
    "content_type": ["vod", "live"],
}
TYPES = {"VARCHAR": pa.string(), "TIMESTAMP": pa.timestamp("us"), "INTEGER": pa.int32(), "BOOLEAN": pa.bool_()}
SCHEMA = pa.schema([(column.name, TYPES[column.type]) for column in PLAYBACK.columns])


@dataclass(frozen=True)
class Planted:
    """What goes wrong for a cohort, or for some people, between two times."""

    where: Mapping[str, str]
    start: datetime
    end: datetime
    people: Sequence[str] = ()
    stall: float = 0.0
    fail: float = 0.0
    refuse: float = 0.0
    error_class: str = "cdn"

    def hits(self, session: Mapping[str, Any], moment: datetime) -> bool:
        mine = not self.people or session["subscriber_id"] in self.people
        same = all(session[name] == value for name, value in self.where.items())
        return mine and same and self.start <= moment < self.end


@dataclass
class Service:
    """Draws sessions of people whose network and devices stay the same, some of them unlucky."""

    seed: int
    faults: Sequence[Planted] = ()
    rows: list[dict[str, Any]] = field(default_factory=list)

    def run(self, start: datetime, end: datetime, sessions_per_day: int = 8) -> list[dict[str, Any]]:
        """Everybody watches for twenty minutes every few hours."""
        rng = np.random.default_rng(self.seed)
        gap = timedelta(days=1) / sessions_per_day
        for person in range(PEOPLE):
            moment = start + gap * rng.random()
            while moment < end:
                self.visit(rng, person, moment)
                moment += gap * rng.uniform(0.6, 1.4)
        return self.rows

    def visit(self, rng: np.random.Generator, person: int, moment: datetime) -> None:
        """Let one person start a session."""
        title = f"title-{rng.integers(0, 4)}"
        self._attempt(rng, self._place(person) | {"title_id": title, "subscriber_id": f"u{person:04d}"}, moment)

    def _place(self, person: int) -> dict[str, Any]:
        rng = np.random.default_rng(person)
        place = {name: values[int(rng.integers(0, len(values)))] for name, values in DIMS.items()}
        place["region"] = f"{place['country']}-{'ABC'[int(rng.integers(0, 3))]}"
        return place | {"app_version": f"{place['device_type'][:3]}-{rng.integers(1, 3)}"}

    def _attempt(self, rng: np.random.Generator, session: dict[str, Any], moment: datetime) -> None:
        session = session | {"session_id": f"{session['subscriber_id']}-{moment:%d%H%M%S}-{self.seed}"}
        odds = {"fail": 0.006, "refuse": 0.002}
        error = "network"
        for fault in self.faults:
            if fault.hits(session, moment):
                odds, error = {name: max(p, getattr(fault, name)) for name, p in odds.items()}, fault.error_class
        self._event(rng, session, moment, "play_requested")
        if rng.random() < odds["refuse"]:
            self._event(rng, session, moment, "access_denied", error_class="entitlement")
        elif rng.random() < odds["fail"]:
            self._event(rng, session, moment, "play_failed", error_class=error)
        else:
            self._play(rng, session, moment, error)

    def _play(self, rng: np.random.Generator, session: dict[str, Any], moment: datetime, error: str) -> None:
        self._event(rng, session, moment, "play_started", startup_ms=int(rng.lognormal(7.2, 0.25)))
        for beat in range(1, BEATS + 1):
            now = moment + beat * BEAT
            stall = max([0.004, *(fault.stall for fault in self.faults if fault.hits(session, now))])
            stalled = int(rng.uniform(15_000, 60_000)) if rng.random() < stall else 0
            kind = "heartbeat" if beat < BEATS else "play_ended"
            self._event(rng, session, now, kind, playing_ms=300_000 - stalled, stalled_ms=stalled)

    def _event(
        self, rng: np.random.Generator, session: dict[str, Any], moment: datetime, kind: str, **numbers: Any
    ) -> None:
        late = timedelta(minutes=40) * rng.random() if rng.random() < 0.03 else timedelta(seconds=3)
        times = {"event_time": naive_utc(moment), "received_time": naive_utc(moment + late)}
        self.rows.append(session | times | {"event_id": f"e{self.seed}-{len(self.rows)}", "event": kind} | numbers)


class Loop:
    """Merges and watches window by window, and remembers what a ledger would."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.watch = self.new_watch()
        self.known: dict[str, Incident] = {}
        self.troubled: dict[str, set[str]] = {}
        self.troubles: list[Trouble] = []

    def new_watch(self) -> Watch:
        return Watch(self.warehouse.connection)

    def put(self, rows: Iterable[Mapping[str, Any]], folder: Path, now: datetime) -> None:
        path = folder / f"playback-{len(list(folder.iterdir()))}.parquet"
        pq.write_table(pa.Table.from_pylist(list(rows), SCHEMA), path)
        ingest(self.warehouse, path, now=now, table="playback")

    def history(self, until: datetime) -> None:
        merge_all(self.warehouse, until)

    def told(self) -> tuple[list[Incident], dict[str, set[str]]]:
        """What a watch is told."""
        return list(self.known.values()), {key: set(people) for key, people in self.troubled.items()}

    def step(self, window: Window) -> Detection:
        merge_window(self.warehouse, window)
        found = self.watch.detect(window, *self.told())
        self.remember(found)
        return found

    def remember(self, found: Detection) -> None:
        self.known |= {incident.incident_id: incident for incident in found.incidents}
        self.troubles += found.troubles
        for trouble in found.troubles:
            key = trouble.incident_id or f"own:{trouble.problem}"
            self.troubled.setdefault(key, set()).add(trouble.subscriber_id)


@pytest.fixture
def loop() -> Iterator[Loop]:
    with Warehouse(threads=2) as warehouse:
        yield Loop(warehouse)


@pytest.fixture(scope="session")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse with a calm history, merged and learnt."""
    folder = tmp_path_factory.mktemp("history")
    with Warehouse(folder / "learnt.duckdb", threads=2) as warehouse:
        loop = Loop(warehouse)
        loop.put(Service(1).run(MONDAY, LIVE - BEAT * BEATS, sessions_per_day=4), folder, LIVE)
        loop.history(LIVE - STEP)
        loop.step(Window(LIVE - STEP, LIVE))
    return folder / "learnt.duckdb"


class Watched:
    """Opens copies of the service with a calm history and lets its next hours happen."""

    def __init__(self, learnt: Path, folder: Path) -> None:
        self.learnt = learnt
        self.folder = folder
        self.opened: list[Warehouse] = []

    def __call__(
        self, *faults: Planted, seed: int = 2, hours: float = 4, restless: int | None = None
    ) -> tuple[Loop, list[Window]]:
        """Return the loop and the windows to come; somebody restless watches all the time."""
        service, end = Service(seed, faults), LIVE + timedelta(hours=hours)
        service.run(LIVE, end)
        if restless is not None:
            for visit in range(int(hours * 2)):
                service.visit(np.random.default_rng((seed, visit)), restless, LIVE + visit * timedelta(minutes=30))
        copied = Path(shutil.copy(self.learnt, self.folder / f"copy-{len(self.opened)}.duckdb"))
        self.opened.append(Warehouse(copied, threads=2))
        loop = Loop(self.opened[-1])
        loop.put(service.rows, self.folder, end)
        return loop, Window(LIVE, end).split(STEP)

    def close(self) -> None:
        for warehouse in self.opened:
            warehouse.close()


@pytest.fixture(scope="module")
def watched(learnt: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    service = Watched(learnt, tmp_path_factory.mktemp("watched"))
    yield service
    service.close()


@pytest.fixture
def first_day(loop: Loop, tmp_path: Path) -> Callable[..., list[Window]]:
    """Lets the service's first hours happen, of which no day is learnt; returns the windows to come."""

    def begin(*faults: Planted, hours: float, seed: int = 2) -> list[Window]:
        end = LIVE + timedelta(hours=hours)
        loop.put(Service(seed, faults).run(LIVE, end), tmp_path, end)
        return Window(LIVE, end).split(STEP)

    return begin


@pytest.fixture(scope="session")
def plant() -> Callable[..., Planted]:
    """Plants a fault by hours after the watch begins."""

    def make(where: Mapping[str, str] | None = None, start: float = 1, end: float = 2.5, **effect: Any) -> Planted:
        return Planted(where or {}, LIVE + timedelta(hours=start), LIVE + timedelta(hours=end), **effect)

    return make
