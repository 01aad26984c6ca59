"""What detection expected of every cohort in every stretch of time, taken from its own memory, and what came."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

import numpy as np
from numpy.typing import NDArray

from benchmarks.pit import Array, Cells
from config.pipeline import Pipeline
from console.walk import WorldClock
from detectors.cohorts import NO_COHORT, CohortIndex
from detectors.learning import hourly_counts
from detectors.observations import MISSING, SIGNALS, Codes, slot_of
from detectors.rates import SLOTS_PER_HOUR
from incidents.state import WatchState
from incidents.watch import Watch
from telemetry.contract import DIMENSIONS
from telemetry.time import Window

LEAST_EXPECTED = 1.0
"""Cells of which less was expected say nothing: their randomised p-values are uniform whatever the model."""
SETTLING = timedelta(hours=1)
"""The last hour of a world is left out: not all of it has arrived."""
TINY = 1e-3
HOURS_A_WEEK = 7 * 24
HISTORY = timedelta(days=28)
"""What the baseline learns from; as much as detection does."""


def states(pipeline: Pipeline, clock: WorldClock, span: Window, step: timedelta) -> Iterator[tuple[WatchState, Window]]:
    """Walk a span and yield, day by day, what detection held in memory, and which day to look at.

    A day's expectations come from a model that had learnt the days before it; they are read off a few hours after the
    day, just before the model learns it, when nearly all of it has arrived.
    """
    pipeline.take_history(span.start)
    state: WatchState | None = None
    done = span.start
    for window in span.split(step):
        clock.time = window.end
        pipeline.run(window)
        now = cast("Watch", pipeline.detector).state
        if state is not None and now is not state and _midnight(window.end) > done:
            yield state, Window(done, _midnight(window.end))
            done = _midnight(window.end)
        state = now
    if state is not None and span.end - SETTLING > done:
        yield state, Window(done, span.end - SETTLING)


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


@dataclass(frozen=True)
class Spread:
    """The slices of a window spread over stretches of time and cohorts.

    Attributes
    ----------
    row
        Places of the slices in memory, shape (m,); a slice comes once for each of its cohorts.
    place
        Stretch and cohort of each as one number, shape (m,).
    shape
        How many stretches and cohorts there are.
    index
        Numbers the cohorts, all titles among them: to judge only those of which somebody was struck would be unfair.
    """

    row: NDArray[np.int64]
    place: NDArray[np.int64]
    shape: tuple[int, int]
    index: CohortIndex

    @classmethod
    def of(cls, state: WatchState, window: Window, hours: float) -> Spread:
        """Spread what a state remembers of a window over whole stretches of some hours."""
        width = round(hours * SLOTS_PER_HOUR)
        stretch = (state.rows.slot - slot_of(window.start)) // width
        count = (slot_of(window.end) - slot_of(window.start)) // width
        rows = np.flatnonzero((stretch >= 0) & (stretch < count))
        index = CohortIndex()
        units = index.units(state.rows.codes[rows])
        row = np.repeat(rows, units.shape[1])
        unit, known = units.ravel(), units.ravel() != NO_COHORT
        shape = (count, len(index))
        return cls(row[known], (np.repeat(stretch[rows], units.shape[1]) * shape[1] + unit)[known], shape, index)

    def sums(self, values: Array) -> Array:
        """Return the sums of the slices' values, shape (stretches, cohorts)."""
        size = self.shape[0] * self.shape[1]
        return np.asarray(np.bincount(self.place, values[self.row], size), float).reshape(self.shape)


def model_cells(state: WatchState, spread: Spread, rng: np.random.Generator | None = None) -> Cells:
    """Return the cells as detection's own model expected them.

    Parameters
    ----------
    state
        What detection held in memory.
    spread
        Of its slices.
    rng
        If given, what came is drawn from what was expected, independently: how a model looks that is exactly right.
    """
    found = []
    for signal in range(len(SIGNALS)):
        at_risk = state.rows.at_risk[:, signal]
        due = np.where(at_risk, state.recent.expected[:, signal], 0.0)
        seen = np.where(at_risk, state.rows.fresh[:, signal], 0) if rng is None else rng.poisson(due)
        dispersion = state.scans[signal].dispersion if rng is None else 1.0
        expected = spread.sums(due)
        found.append(_enough(spread.sums(np.asarray(seen, float)), expected, expected, dispersion, signal))
    return Cells.concat(found)


def _enough(observed: Array, expected: Array, model: Array, dispersion: float, signal: int) -> Cells:
    """Return the cells of which detection's model expected enough."""
    chosen = model >= LEAST_EXPECTED
    count = int(chosen.sum())
    return Cells(observed[chosen], expected[chosen], np.full(count, dispersion), np.full(count, signal))


def plain_cells(pipeline: Pipeline, state: WatchState, window: Window, spread: Spread) -> Cells:
    """Return the same cells, of one hour each, as a plain Poisson count with the mean of the hour of the week.

    Each cohort's mean is that of its own counts in the same hour of past weeks, and of one week more in which every
    hour brought its hourly mean, without which an hour that never saw anything would expect nothing.
    """
    connection = pipeline.warehouse.connection
    history = hourly_counts(connection, state.words, window.start - HISTORY, window.start)
    titles = np.full((len(history.codes), len(DIMENSIONS) - history.codes.shape[1]), MISSING, np.int32)
    codes: Codes = np.hstack([history.codes, titles]).astype(np.int32)
    units = spread.index.units(codes)
    first = slot_of(window.start) // SLOTS_PER_HOUR
    wanted = (first + np.arange(spread.shape[0])) % HOURS_A_WEEK
    hours_seen = np.bincount(np.unique(history.hour) % HOURS_A_WEEK, minlength=HOURS_A_WEEK)
    found = []
    for signal in range(len(SIGNALS)):
        past = _by_hour_of_week(units, history.hour, history.fresh[:, signal], spread.shape[1])
        usual = past.sum(axis=0) / max(hours_seen.sum(), 1)
        mean = (past[wanted] + usual) / (hours_seen[wanted, None] + 1)
        at_risk = state.rows.at_risk[:, signal]
        due = spread.sums(np.where(at_risk, state.recent.expected[:, signal], 0.0))
        seen = spread.sums(np.where(at_risk, state.rows.fresh[:, signal], 0).astype(float))
        found.append(_enough(seen, np.maximum(mean, TINY), due, 1.0, signal))
    return Cells.concat(found)


def _by_hour_of_week(units: NDArray[np.int64], hour: NDArray[np.int64], counts: Array, cohorts: int) -> Array:
    """Return past counts by hour of the week and cohort, shape (168, cohorts)."""
    unit, known = units.ravel(), (units.ravel() != NO_COHORT) & (units.ravel() < cohorts)
    place = np.repeat(hour % HOURS_A_WEEK, units.shape[1]) * cohorts + unit
    sums = np.bincount(place[known], np.repeat(counts, units.shape[1])[known], HOURS_A_WEEK * cohorts)
    return np.asarray(sums, float).reshape(HOURS_A_WEEK, cohorts)
