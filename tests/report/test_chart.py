"""The chart's numbers: nothing is lost when points are regrouped, and everything lies inside the drawing."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.report.chart import (
    BAR_WIDTHS,
    MIN_TOP,
    NARROW,
    WIDE,
    Size,
    bar_width,
    chart_of,
    regrouped,
    spark_of,
    spread_of,
)
from incidents.model import ChartPoint
from tests.report.samples import LARGE

START = datetime(2026, 3, 9, 22, 35, tzinfo=UTC)


@st.composite
def points(draw: st.DrawFn) -> tuple[ChartPoint, ...]:
    slots = sorted(draw(st.sets(st.integers(0, 3000), min_size=1, max_size=60)))
    counts = st.integers(0, 100_000)
    return tuple(
        ChartPoint(START + slot * timedelta(minutes=5), draw(counts), draw(counts), draw(st.floats(0, 1e5)))
        for slot in slots
    )


@settings(max_examples=40, deadline=None)
@given(points(), st.sampled_from(BAR_WIDTHS))
def test_regrouping_loses_nothing(given_points: tuple[ChartPoint, ...], width: timedelta) -> None:
    bars = regrouped(given_points, width)
    assert sum(it.impaired for it in bars) == sum(it.impaired for it in given_points)
    assert sum(it.expected for it in bars) == pytest.approx(sum(it.expected for it in given_points))
    assert all(later.slot - earlier.slot == width for earlier, later in pairwise(bars))


@settings(max_examples=40, deadline=None)
@given(points(), st.sampled_from([WIDE, NARROW]))
def test_everything_lies_inside_the_drawing(given_points: tuple[ChartPoint, ...], size: Size) -> None:
    drawing = chart_of(replace(LARGE, chart=given_points), size)
    assert drawing is not None
    assert len(drawing.bars) <= size.bars + 1
    for bar in drawing.bars:
        assert size.left <= bar.x <= bar.x + bar.width <= size.width
        assert size.top <= bar.y <= bar.y + bar.height <= size.height - size.bottom + 0.1
    for mark in drawing.marks:
        assert size.left <= mark.x <= size.width - size.right
    assert 0 <= drawing.trouble_width <= size.plot_width


def test_bars_are_no_narrower_than_what_was_counted() -> None:
    quarters = [ChartPoint(START + i * timedelta(minutes=15), 9, i, 1.0) for i in range(4)]
    assert bar_width(quarters, 60) == timedelta(minutes=15)


def test_a_taller_count_is_a_taller_bar() -> None:
    low, high = (ChartPoint(START + i * timedelta(minutes=5), 50, 3 + 5 * i, 1.0) for i in range(2))
    drawing = chart_of(replace(LARGE, chart=(low, high)), WIDE)
    assert drawing is not None
    assert drawing.bars[0].height < drawing.bars[1].height


def test_axes_are_labelled_with_round_numbers_and_times() -> None:
    drawing = chart_of(LARGE, WIDE)
    assert drawing is not None
    assert [tick.label for tick in drawing.y_ticks] == ["0", "4", "8", "12", "16"]
    assert [tick.label for tick in drawing.x_ticks][:3] == ["23:00", "00:00", "01:00"]
    assert [mark.label for mark in drawing.marks] == ["began 00:40", "detected 01:00", "over 04:30"]


def test_an_incident_without_points_has_no_chart() -> None:
    assert chart_of(replace(LARGE, chart=()), WIDE) is None
    assert spark_of(replace(LARGE, chart=())) == ""


def heights(path: str) -> list[float]:
    """The heights of the bars that a path draws in a box of 1 by 1; they go from its left to its right."""
    bars = re.findall(r"V([\d.]+)H([\d.]+)", path)
    assert [float(right) for _, right in bars] == pytest.approx(
        [(i + 1) / len(bars) for i in range(len(bars))], abs=1e-3
    )
    return [1 - float(top) for top, _ in bars]


@st.composite
def crowds(draw: st.DrawFn) -> list[tuple[datetime, int]]:
    moments = sorted(draw(st.sets(st.integers(0, 20_000), min_size=1, max_size=30)))
    return [(START + timedelta(minutes=it), draw(st.integers(1, 5000))) for it in moments]


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from(["US-IL", "US-TX", "<b>"]), crowds(), min_size=1))
def test_every_region_is_drawn_on_one_axis_and_nobody_of_it_is_lost(
    arrivals: dict[str, list[tuple[datetime, int]]],
) -> None:
    spread = spread_of(arrivals)
    assert spread is not None
    assert set(spread.waves) == set(arrivals)
    bars = {name: heights(wave.path) for name, wave in spread.waves.items()}
    (number,) = {len(it) for it in bars.values()}
    assert number <= NARROW.bars + 1
    width = (spread.end - spread.start) / number
    for name, counts in arrivals.items():
        sums = [0] * number
        for moment, count in counts:
            sums[(moment - spread.start) // width] += count
        top = max([MIN_TOP, *sums])
        assert bars[name] == pytest.approx([it / top for it in sums], abs=1e-3)
        assert sums[(spread.waves[name].most_from - spread.start) // width] == max(sums)


def test_waves_that_came_one_after_the_other_are_seen_apart() -> None:
    quarters = [START + i * timedelta(minutes=15) for i in range(8)]
    spread = spread_of({"US-IL": [(it, 9) for it in quarters[:4]], "US-TX": [(it, 9) for it in quarters[4:]]})
    assert spread is not None
    assert [heights(it.path) for it in spread.waves.values()] == [[1] * 4 + [0] * 4, [0] * 4 + [1] * 4]


def test_where_nobody_knows_where_people_are_there_is_no_spread() -> None:
    assert spread_of({}) is None
