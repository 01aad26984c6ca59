"""The geometry of an incident's chart: impaired sessions against what was expected, as numbers for an SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from console.report import words
from console.report.arrivals import Arrivals
from incidents.model import ChartPoint, Incident

BAR_WIDTHS = tuple(timedelta(minutes=it) for it in (5, 10, 15, 30, 60, 120, 180, 360, 720, 1440))
TICK_GAPS = tuple(timedelta(minutes=it) for it in (15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080))
NICE_TOPS = (4, 8, 12, 16, 20, 24, 32, 40)
HEADROOM = 1.05
MIN_TOP = 4.0
"""The lowest scale: two impaired sessions must not look like a disaster."""


@dataclass(frozen=True)
class Size:
    """A chart's size in the units of its viewBox, and how much it holds."""

    width: int
    height: int
    left: int
    bars: int
    ticks: int
    prefix: str

    right = 8
    top = 58
    bottom = 26
    row = 16

    @property
    def plot_width(self) -> int:
        """Width of the part with the bars."""
        return self.width - self.left - self.right

    @property
    def plot_height(self) -> int:
        """Height of the part with the bars."""
        return self.height - self.top - self.bottom


WIDE = Size(760, 300, 44, 96, 9, "wide")
NARROW = Size(340, 280, 34, 40, 4, "narrow")
"""For telephones: not the wide chart made smaller, but one with fewer bars and letters of the same size."""


@dataclass(frozen=True)
class Bar:
    """One bar: its place in the drawing and what it stands for."""

    x: float
    y: float
    width: float
    height: float
    start: datetime
    sessions: int
    impaired: int
    expected: float


@dataclass(frozen=True)
class Tick:
    """One labelled line of an axis."""

    position: float
    label: str


@dataclass(frozen=True)
class Mark:
    """A moment in the incident's life: a line, and its label at the left or right of it."""

    name: str
    x: float
    label_x: float
    label_y: float
    anchor: str
    label: str


@dataclass(frozen=True)
class Chart:
    """All that the SVG template draws."""

    size: Size
    bar_width: timedelta
    bars: tuple[Bar, ...]
    expected_path: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    marks: tuple[Mark, ...]
    trouble_x: float
    trouble_width: float


@dataclass(frozen=True)
class Wave:
    """One region: people decided on over time, as a path in a box of 1 by 1, and when they were most.

    Each is drawn to its own height: it shows when, and the numbers beside it how many.
    """

    path: str
    most_from: datetime


@dataclass(frozen=True)
class Spread:
    """Every region's wave, and from when until when all of them are drawn."""

    start: datetime
    end: datetime
    waves: Mapping[str, Wave]


@dataclass(frozen=True)
class _Scale:
    start: datetime
    end: datetime
    top: float
    size: Size

    def x(self, time: datetime) -> float:
        share = (time - self.start) / (self.end - self.start)
        return round(self.size.left + min(max(share, 0.0), 1.0) * self.size.plot_width, 1)

    def y(self, amount: float) -> float:
        return round(self.size.top + (1 - min(amount / self.top, 1.0)) * self.size.plot_height, 1)


def chart_of(incident: Incident, size: Size) -> Chart | None:
    """Lay out an incident's chart; None if it has no points."""
    if not incident.chart:
        return None
    width = bar_width(incident.chart, size.bars)
    points = regrouped(incident.chart, width)
    top = _nice_top(max(float(it.impaired) for it in points))
    scale = _Scale(points[0].slot, points[-1].slot + width, top, size)
    trouble_x = scale.x(incident.onset_time)
    return Chart(
        size,
        width,
        tuple(_bar(point, width, scale) for point in points),
        _steps(points, width, scale),
        _x_ticks(scale),
        _y_ticks(scale),
        _marks(incident, scale),
        trouble_x,
        round(scale.x(incident.resolved_time or scale.end) - trouble_x, 1),
    )


def regrouped(points: Sequence[ChartPoint], width: timedelta) -> list[ChartPoint]:
    """Sum points into consecutive bars of `width`, from the first point's to the last's; gaps are zeros."""
    groups: dict[datetime, list[ChartPoint]] = {}
    for point in points:
        groups.setdefault(_floor(point.slot, width), []).append(point)
    first, last = min(groups), max(groups)
    starts = [first + i * width for i in range((last - first) // width + 1)]
    return [_summed(start, groups.get(start, [])) for start in starts]


def spark_of(incident: Incident) -> str:
    """Return an incident's impaired sessions as a path in a box of 1 by 1, for the index."""
    if not incident.chart:
        return ""
    return outline(regrouped(incident.chart, bar_width(incident.chart, NARROW.bars)))


def outline(points: Sequence[ChartPoint]) -> str:
    """Return how many were impaired as the outline of bars in a box of 1 by 1."""
    top = max([MIN_TOP, *(it.impaired for it in points)])
    steps = (f"V{1 - it.impaired / top:.3f}H{i / len(points):.3f}" for i, it in enumerate(points, start=1))
    return f"M0 1{''.join(steps)}V1Z"


def spread_of(arrivals: Arrivals) -> Spread | None:
    """Lay out how an incident reached each region; None if nobody knows."""
    if not arrivals:
        return None
    moments = {moment for counts in arrivals.values() for moment, _ in counts}
    axis = [ChartPoint(moment, 0, 0, 0.0) for moment in sorted(moments)]
    width = bar_width(axis, NARROW.bars)
    waves = {}
    for region, counts in arrivals.items():
        bars = regrouped([*axis, *(ChartPoint(moment, 0, count, 0.0) for moment, count in counts)], width)
        waves[region] = Wave(outline(bars), max(bars, key=lambda it: it.impaired).slot)
    return Spread(bars[0].slot, bars[-1].slot + width, waves)


def _summed(start: datetime, points: Sequence[ChartPoint]) -> ChartPoint:
    return ChartPoint(
        start,
        sum(it.sessions for it in points),
        sum(it.impaired for it in points),
        sum(it.expected for it in points),
    )


def _floor(time: datetime, width: timedelta) -> datetime:
    midnight = datetime(time.year, time.month, time.day, tzinfo=UTC)
    return midnight + (time - midnight) // width * width


def bar_width(points: Sequence[ChartPoint], bars: int) -> timedelta:
    """Return the shortest round width, no less than the points are apart, of which so many bars hold all points."""
    length = points[-1].slot - points[0].slot
    apart = min((after.slot - before.slot for before, after in pairwise(points)), default=BAR_WIDTHS[0])
    return next((it for it in BAR_WIDTHS if it >= apart and length / it < bars), BAR_WIDTHS[-1])


def _nice_top(highest: float) -> float:
    """Round up to a number whose quarters are round."""
    wanted, magnitude = max(highest * HEADROOM, MIN_TOP), 1.0
    while magnitude * NICE_TOPS[-1] < wanted:
        magnitude *= 10
    return next(top * magnitude for top in NICE_TOPS if top * magnitude >= wanted)


def _bar(point: ChartPoint, width: timedelta, scale: _Scale) -> Bar:
    left, right, y = scale.x(point.slot), scale.x(point.slot + width), scale.y(point.impaired)
    gap = min(1.5, (right - left) / 4)
    return Bar(
        left,
        y,
        round(right - left - gap, 1),
        round(scale.y(0) - y, 1),
        point.slot,
        point.sessions,
        point.impaired,
        point.expected,
    )


def _steps(points: Sequence[ChartPoint], width: timedelta, scale: _Scale) -> str:
    """Return the expected counts as the path of a step line."""
    corners = [(scale.x(it.slot), scale.x(it.slot + width), scale.y(it.expected)) for it in points]
    first = corners[0]
    return f"M{first[0]} {first[2]}" + "".join(f"V{y}H{right}" for _, right, y in corners)


def _x_ticks(scale: _Scale) -> tuple[Tick, ...]:
    span = scale.end - scale.start
    long = span > timedelta(days=1)
    most = scale.size.ticks * 2 // 3 if long else scale.size.ticks  # labels with a date are longer
    gap = next((it for it in TICK_GAPS if span / it <= most), TICK_GAPS[-1])
    first = _floor(scale.start, gap)
    count = (scale.end - first) // gap + 1
    times = [time for i in range(count) if scale.start <= (time := first + i * gap) <= scale.end]
    return tuple(Tick(scale.x(it), words.short_moment(it) if long else f"{it:%H:%M}") for it in times)


def _y_ticks(scale: _Scale) -> tuple[Tick, ...]:
    return tuple(Tick(scale.y(part * scale.top), words.number(part * scale.top)) for part in (0, 0.25, 0.5, 0.75, 1))


def _marks(incident: Incident, scale: _Scale) -> tuple[Mark, ...]:
    moments = [("onset", "began", incident.onset_time), ("detected", "detected", incident.detected_time)]
    if incident.resolved_time is not None:
        moments.append(("resolved", "over", incident.resolved_time))
    return tuple(_mark(row, *moment, scale) for row, moment in enumerate(moments))


def _mark(row: int, name: str, word: str, time: datetime, scale: _Scale) -> Mark:
    x = scale.x(time)
    is_right_half = x > scale.size.left + scale.size.plot_width / 2
    label_x = x - 5 if is_right_half else x + 5
    return Mark(
        name,
        x,
        label_x,
        12 + row * scale.size.row,
        "end" if is_right_half else "start",
        f"{word} {time:%H:%M}",
    )
