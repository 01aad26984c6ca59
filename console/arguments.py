"""Arguments and options that several commands share, and how their text is read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from config.times import parse_duration, parse_moment, parse_window
from telemetry.time import Window

T = TypeVar("T")


def _reader(read: Callable[[str], T]) -> Callable[[object], T]:
    """Return a reader whose complaint is shown as it is written; a default passes through."""

    def parse(value: object) -> T:
        try:
            return read(str(value))
        except ValueError as error:
            raise typer.BadParameter(f"{error}.") from None

    return parse


ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="A settings file; the one inside Prebuffer if absent.", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")]
WindowOption = Annotated[
    Window,
    typer.Option(
        "--window", parser=_reader(parse_window), metavar="START/END", help="Window of received time, in UTC."
    ),
]
StepOption = Annotated[
    timedelta | None,
    typer.Option(
        "--step",
        parser=_reader(parse_duration),
        metavar="DURATION",
        help="Length of a step, such as 15m; that of the settings if absent.",
        show_default=False,
    ),
]
FromOption = Annotated[
    datetime | None,
    typer.Option(
        "--from",
        parser=_reader(parse_moment),
        metavar="TIME",
        help="Start, in UTC; if absent a week after the first day begins, in a shorter world a day after, in one of a "
        "day its beginning. What came before is history.",
        show_default=False,
    ),
]
ToOption = Annotated[
    datetime | None,
    typer.Option(
        "--to",
        parser=_reader(parse_moment),
        metavar="TIME",
        help="End, in UTC; that of the events if absent.",
        show_default=False,
    ),
]
LifetimeOption = Annotated[
    timedelta | None,
    typer.Option(
        "--lifetime",
        parser=_reader(parse_duration),
        metavar="DURATION",
        help="How long it is good, at most a day; an hour if absent.",
        show_default=False,
    ),
]
