"""From when to when a world is walked."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Row

from config.bootstrap import open_replay
from config.pipeline import PipelineError
from config.settings import Settings
from console.walk import WorldClock, span_of, walk
from incidents.ledger.schema import metadata
from telemetry.time import Window

STEP = timedelta(minutes=15)


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


RECEIVED = Window(at("2026-03-02T00:00:22"), at("2026-03-11T23:59:59.999"))


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (None, None, ("2026-03-09", "2026-03-12")),
        ("2026-03-10", None, ("2026-03-10", "2026-03-12")),
        (None, "2026-03-09T06:00", ("2026-03-09", "2026-03-09T06:00")),
        ("2026-03-03", "2026-03-04", ("2026-03-03", "2026-03-04")),
        ("2026-03-09T00:05", None, ("2026-03-09T00:05", "2026-03-12T00:05")),
    ],
)
def test_a_week_is_history_and_the_end_is_rounded_up_to_a_step(start, end, expected):
    span = span_of(RECEIVED, start and at(start), end and at(end), STEP)
    assert (span.start, span.end) == tuple(at(text) for text in expected)


def test_a_world_without_events_cannot_be_walked():
    with pytest.raises(PipelineError, match="no playback events"):
        span_of(None, None, None, STEP)


@pytest.mark.parametrize(
    ("end", "first"), [("2026-03-09T00:20", "2026-03-09"), ("2026-03-09", "2026-03-03"), ("2026-03-03", "2026-03-02")]
)
def test_a_shorter_world_has_a_day_of_history_and_one_of_a_day_none(end, first):
    span = span_of(Window(at("2026-03-02T09:00"), at(end)), None, None, STEP)
    assert span.start == at(first)
    assert at(end) <= span.end < at(end) + STEP


def test_an_end_before_the_start_is_refused():
    with pytest.raises(PipelineError, match="Nothing is left"):
        span_of(RECEIVED, at("2026-03-10"), at("2026-03-09"), STEP)


def test_the_clock_stands_where_it_is_put():
    clock = WorldClock(at("2026-03-09"))
    clock.time += STEP
    assert clock() == at("2026-03-09T00:15")


def decided(world, folder, windows, *, anew):
    """Everything in the ledger after a walk; `anew` opens the warehouse for every window, as live runs do."""
    folder.mkdir()
    clock = WorldClock(windows[-1].end)
    with open_replay(Settings(), folder, clock) as pipeline:
        pipeline.ingest(world)
        progress = (lambda *_: pipeline.close_warehouse()) if anew else None
        walk(pipeline, clock, windows, progress)
        with pipeline.ledger.read() as connection:
            return {
                table.name: rounded(list(connection.execute(table.select().order_by(*table.primary_key)).all()))
                for table in metadata.sorted_tables
            }


def rounded(value):
    """`value` with what numbers differ by when they are added up in another order taken away."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    return [rounded(part) for part in value] if isinstance(value, list | tuple | Row) else value


def test_runs_that_open_the_warehouse_anew_decide_as_one_that_keeps_it_open(world, outage, tmp_path):
    windows = Window(outage - STEP, outage + 4 * STEP).split(STEP)
    kept = decided(world, tmp_path / "kept", windows, anew=False)
    assert kept["incidents"]
    assert kept["notices"]
    assert decided(world, tmp_path / "anew", windows, anew=True) == kept
