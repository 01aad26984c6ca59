"""On generated worlds: a collector's gap is missing telemetry, a dead network missing viewers, a crowd neither."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from config.bootstrap import open_replay
from config.settings import Settings
from console.walk import WorldClock, walk
from data.recipe import Harmless, LookAlike, Recipe
from data.world import make_world
from detectors.finding import Cohort
from incidents.ledger.store import Ledger
from incidents.quality import QualityKind
from telemetry.time import Window, naive_utc

pytestmark = pytest.mark.slow
START = datetime(2026, 5, 4, tzinfo=UTC)
STEP = timedelta(minutes=15)
HOUR = timedelta(hours=1)


def recipe(*oddities: LookAlike) -> Recipe:
    return Recipe("silence", START, subscribers=1500, look_alikes=oddities)


@pytest.fixture(scope="module")
def evening() -> datetime:
    """Evening in the largest country, after more than a week of history."""
    return START + timedelta(days=8, hours=1)


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Ledger]]:
    """Walk some hours of a world, without the events that a mask picks, and return the ledger."""
    opened = []

    def walk_through(what: Recipe, span: Window, lost: Callable[[pa.Table], pa.Array] | None = None) -> Ledger:
        folder = tmp_path_factory.mktemp("world")
        world = make_world(folder / "world", what, seed=4)
        for path in world.path.glob("playback/2*.parquet") if lost else ():
            events = pq.read_table(path)
            pq.write_table(events.filter(pc.invert(pc.fill_null(lost(events), False))), path)
        clock = WorldClock(world.end)
        context = open_replay(Settings(), folder, clock)
        pipeline = context.__enter__()
        opened.append(context)
        pipeline.ingest(world.path)
        walk(pipeline, clock, span.split(STEP))
        return pipeline.ledger

    yield walk_through
    for context in opened:
        context.__exit__(None, None, None)


def test_a_collectors_gap_is_missing_telemetry_and_no_incident(walked, evening) -> None:
    gap = LookAlike(Harmless.COLLECTOR_OUTAGE, {"country": "US"}, evening, evening + 1.5 * HOUR, 0.7)
    ledger = walked(recipe(gap), Window(evening - HOUR, evening + 2.5 * HOUR))
    (notice,) = ledger.quality_notices()
    assert (notice.kind, notice.cohort) == (QualityKind.MISSING_TELEMETRY, Cohort.of({"country": "US"}))
    assert timedelta(0) < notice.detected_time - evening <= HOUR
    assert notice.until is not None
    assert abs(notice.until - gap.end) <= timedelta(minutes=15)
    assert notice.late > 0
    assert ledger.incidents() == []


def test_a_network_that_is_cut_off_is_missing_viewers(walked, evening) -> None:
    world, isp = recipe(), "Harborlight Fiber"

    def lost(events: pa.Table) -> pa.Array:
        time = events["event_time"]
        since, until = (pa.scalar(naive_utc(moment), time.type) for moment in (evening, evening + 2 * HOUR))
        during = pc.and_(pc.greater_equal(time, since), pc.less(time, until))
        return pc.and_(pc.equal(events["isp"], isp), during)

    ledger = walked(world, Window(evening - HOUR, evening + 3 * HOUR), lost)
    (notice,) = ledger.quality_notices()
    assert (notice.kind, notice.cohort) == (QualityKind.MISSING_VIEWERS, Cohort.of({"isp": isp}))
    assert timedelta(0) < notice.detected_time - evening <= HOUR
    assert notice.until is not None
    assert abs(notice.until - (evening + 2 * HOUR)) <= timedelta(minutes=15)


def test_a_crowd_and_the_night_after_it_are_neither(walked, evening) -> None:
    where = {"country": "US", "title_id": "live-special-01"}
    crowd = LookAlike(Harmless.FLASH_CROWD, where, evening - 3 * HOUR, evening, 0.5)
    ledger = walked(recipe(crowd), Window(evening - 4 * HOUR, evening + 12 * HOUR))
    assert ledger.quality_notices() == []
