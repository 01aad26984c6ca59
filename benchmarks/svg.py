"""A line chart as SVG text, for pictures in the documents: no clock, no chance, the same input gives the same bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

WIDTH, HEIGHT = 760, 380
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 62, 76
INK, FAINT, PAPER = "#1f2933", "#d5dbe1", "#ffffff"
BLUE, ORANGE, GREY, GREEN = "#1f5fa8", "#b3450b", "#5b6770", "#1b7340"
"""Colours that differ in lightness too and stand at least 4.5 to 1 against the paper."""
FONT = "system-ui, -apple-system, 'Segoe UI', sans-serif"
SWATCH = 26
LETTER = 6.6
"""Width of a letter of the legend, about."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """One axis: what it shows, from where to where, and its labelled places.

    Parameters
    ----------
    label
        What and in which unit.
    low, high
        The ends; `low` must be above 0 where `is_log`.
    ticks
        Places and their labels.
    is_log
        Whether equal ratios are equally far apart.
    """

    label: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    is_log: bool = False

    def share(self, value: float) -> float:
        """Return how far along the axis a value lies, 0 to 1; beyond the ends it is held at them."""
        low, high, at = self.low, self.high, min(max(value, self.low), self.high)
        if self.is_log:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return (at - low) / (high - low)


class Picture:
    """A chart that is drawn piece by piece and then written.

    Parameters
    ----------
    title
        One line; also the SVG's `<title>`.
    description
        What is to be seen, for those who do not see it: the SVG's `<desc>`.
    x, y
        The axes.
    """

    def __init__(self, title: str, description: str, x: Axis, y: Axis) -> None:
        self.title = title
        self.description = description
        self.x = x
        self.y = y
        self._next_x = float(LEFT)
        self._root = ET.Element(
            "svg",
            {
                "xmlns": "http://www.w3.org/2000/svg",
                "viewBox": f"0 0 {WIDTH} {HEIGHT}",
                "role": "img",
                "aria-labelledby": "title desc",
                "font-family": FONT,
                "font-size": "13",
                "fill": INK,
            },
        )
        ET.SubElement(self._root, "title", {"id": "title"}).text = title
        ET.SubElement(self._root, "desc", {"id": "desc"}).text = description
        self._add("rect", width=WIDTH, height=HEIGHT, fill=PAPER)
        self._text(LEFT, 22, title, size=16, weight="600")
        self._axes()

    def line(self, points: Sequence[Point], label: str, colour: str, *, dash: str = "", dots: bool = False) -> None:
        """Draw straight lines from point to point, with a dot at each if asked for."""
        corners = [self._place(point) for point in points]
        self._path("M" + "L".join(f"{x:g} {y:g}" for x, y in corners), colour, dash)
        for x, y in corners if dots else ():
            self._add("circle", cx=f"{x:g}", cy=f"{y:g}", r=3, fill=colour)
        self._legend(label, colour, dash)

    def steps(self, points: Sequence[Point], label: str, colour: str, *, dash: str = "") -> None:
        """Draw a line that stays level from each point to the next; the last point only ends it."""
        corners = [self._place(point) for point in points]
        rest = "".join(f"H{x:g}V{y:g}" for x, y in corners[1:])
        self._path(f"M{corners[0][0]:g} {corners[0][1]:g}{rest}", colour, dash)
        self._legend(label, colour, dash)

    def bars(self, bars: Sequence[tuple[float, float, float]], label: str, colour: str) -> None:
        """Draw bars from 0 up, each with its left end, right end and height."""
        for left, right, height in bars:
            x, y = self._place((left, height))
            width = self._place((right, 0))[0] - x
            floor = self._place((left, self.y.low))[1]
            if floor > y:
                self._add(
                    "rect", x=f"{x + 0.5:g}", y=f"{y:g}", width=f"{width - 1:g}", height=f"{floor - y:g}", fill=colour
                )
        self._legend(label, colour, "", box=True)

    def mark(self, x: float, label: str, row: int = 0, *, at_left: bool = False) -> None:
        """Draw an upright line with its label, in one of a few rows at the top."""
        place, top = self._place((x, self.y.low))[0], TOP + 14 + 17 * row
        self._add(
            "line", x1=f"{place:g}", x2=f"{place:g}", y1=TOP, y2=HEIGHT - BOTTOM, stroke=INK, stroke_dasharray="2 3"
        )
        self._text(place + (-5 if at_left else 5), top, label, anchor="end" if at_left else "start", halo=True)

    def level(self, y: float, label: str, x: float | None = None) -> None:
        """Draw a level line with its label above it, from `x` on or at the left."""
        place = self._place((self.x.low, y))[1]
        self._add(
            "line", x1=LEFT, x2=WIDTH - RIGHT, y1=f"{place:g}", y2=f"{place:g}", stroke=INK, stroke_dasharray="6 4"
        )
        self._text(self._place((self.x.low if x is None else x, y))[0] + 6, place - 5, label, halo=True)

    def render(self) -> str:
        """Return the SVG as text that ends in a newline."""
        ET.indent(self._root, space="")
        return ET.tostring(self._root, encoding="unicode") + "\n"

    def _place(self, point: Point) -> Point:
        x = LEFT + self.x.share(point[0]) * (WIDTH - LEFT - RIGHT)
        y = HEIGHT - BOTTOM - self.y.share(point[1]) * (HEIGHT - TOP - BOTTOM)
        return round(x, 1), round(y, 1)

    def _axes(self) -> None:
        bottom = HEIGHT - BOTTOM
        for value, label in self.y.ticks:
            y = self._place((self.x.low, value))[1]
            self._add("line", x1=LEFT, x2=WIDTH - RIGHT, y1=f"{y:g}", y2=f"{y:g}", stroke=FAINT)
            self._text(LEFT - 8, y + 4, label, anchor="end")
        for value, label in self.x.ticks:
            x = self._place((value, self.y.low))[0]
            self._add("line", x1=f"{x:g}", x2=f"{x:g}", y1=bottom, y2=bottom + 5, stroke=INK)
            self._text(x, bottom + 19, label, anchor="middle")
        self._add("line", x1=LEFT, x2=WIDTH - RIGHT, y1=bottom, y2=bottom, stroke=INK)
        self._text((LEFT + WIDTH - RIGHT) / 2, bottom + 39, self.x.label, anchor="middle")
        self._text(LEFT, 44, self.y.label)

    def _legend(self, label: str, colour: str, dash: str, *, box: bool = False) -> None:
        if not label:
            return
        x, y = self._next_x, HEIGHT - 16
        if box:
            self._add("rect", x=f"{x:g}", y=y - 10, width=SWATCH - 8, height=11, fill=colour)
        else:
            self._path(f"M{x:g} {y - 4}H{x + SWATCH - 8:g}", colour, dash)
        self._text(x + SWATCH - 2, y, label)
        self._next_x += SWATCH + LETTER * len(label) + 18

    def _path(self, path: str, colour: str, dash: str) -> None:
        self._add("path", d=path, fill="none", stroke=colour, stroke_width="2", stroke_dasharray=dash or "none")

    def _text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        anchor: str = "start",
        size: int = 13,
        weight: str = "400",
        halo: bool = False,
    ) -> None:
        more = {"stroke": PAPER, "stroke_width": "4", "paint_order": "stroke"} if halo else {}
        shown = self._add(
            "text", x=f"{x:g}", y=f"{y:g}", text_anchor=anchor, font_size=size, font_weight=weight, **more
        )
        shown.text = text

    def _add(self, name: str, **attributes: object) -> ET.Element:
        return ET.SubElement(self._root, name, {key.replace("_", "-"): str(value) for key, value in attributes.items()})
