"""What people and programs see: tables on standard output, progress and complaints on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from notifiers.names import one_line

if TYPE_CHECKING:
    from incidents.model import Incident
    from incidents.quality import QualityNotice

WIDTH = 120
"""Of tables in a file or a pipe, which have none of their own."""
out = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
err = Console(stderr=True, highlight=False)


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON object on one line."""
    out.print(json.dumps(document, ensure_ascii=False), markup=False, soft_wrap=True)


def say(sentence: str) -> None:
    """Print a sentence; what it quotes is shown as it is."""
    out.print(sentence, markup=False, soft_wrap=True)


def complain(sentence: str) -> None:
    """Print a sentence on standard error."""
    err.print(sentence, markup=False, soft_wrap=True)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; numbers stand right, and text from outside cannot colour or break it."""
    grid = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    numeric = [all(isinstance(row[index], int | float) for row in rows) for index in range(len(columns))]
    for name, is_number in zip(columns, numeric, strict=True):
        grid.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(Text(one_line(str(cell))) for cell in row))
    out.print(grid)


def incidents_table(incidents: Sequence[Incident]) -> None:
    """Print incidents, earliest first."""
    table(
        "Incidents" if incidents else "No incidents",
        ("detected (UTC)", "signal", "cohort", "cause", "severity", "people", "resolved (UTC)"),
        [
            (
                f"{incident.detected_time:%m-%d %H:%M}",
                incident.signal.value,
                incident.cohort,
                incident.verdict.cause.value,
                incident.severity.value,
                incident.affected_subscribers,
                f"{incident.resolved_time:%m-%d %H:%M}" if incident.resolved_time else "-",
            )
            for incident in incidents
        ],
    )


def incident_document(incident: Incident) -> dict[str, Any]:
    """Return an incident for a program."""
    resolved = incident.resolved_time
    return {
        "incident_id": incident.incident_id,
        "signal": incident.signal.value,
        "cohort": dict(incident.cohort.values),
        "cause": incident.verdict.cause.value,
        "severity": incident.severity.value,
        "affected_subscribers": incident.affected_subscribers,
        "onset_time": incident.onset_time.isoformat(),
        "detected_time": incident.detected_time.isoformat(),
        "resolved_time": None if resolved is None else resolved.isoformat(),
    }


def quality_table(notices: Sequence[QualityNotice]) -> None:
    """Print notices of missing telemetry and viewers, and what to read about each; nothing where there are none."""
    if not notices:
        return
    table(
        "Data quality (for ops)",
        ("detected (UTC)", "kind", "cohort", "until (UTC)"),
        [
            (
                f"{notice.detected_time:%m-%d %H:%M}",
                notice.kind.value.replace("_", " "),
                notice.cohort,
                f"{notice.until:%m-%d %H:%M}" if notice.until else "-",
            )
            for notice in notices
        ],
    )
    for notice in notices:
        say(one_line(" ".join(notice.sentences)))


def quality_document(notice: QualityNotice) -> dict[str, Any]:
    """Return a quality notice for a program."""
    return {
        "notice_id": notice.notice_id,
        "kind": notice.kind.value,
        "cohort": dict(notice.cohort.values),
        "measure": notice.measure.value,
        "since": notice.since.isoformat(),
        "detected_time": notice.detected_time.isoformat(),
        "until": None if notice.until is None else notice.until.isoformat(),
        "expected": notice.expected,
        "observed": notice.observed,
        "late": notice.late,
        "surprise": notice.surprise,
        "sentences": list(notice.sentences),
    }


def notices_table(counts: Mapping[tuple[str, str], int]) -> None:
    """Print notices by kind and reason; ``sent`` is the reason of those that are not withheld."""
    rows = [(kind, reason, count) for (kind, reason), count in sorted(counts.items())]
    table("Notices" if rows else "No notices", ("kind", "reason", "notices"), rows)


class _Rate(ProgressColumn):
    """Steps a second."""

    def render(self, task: Task) -> Text:
        """Return the rate so far."""
        return Text(f"{task.finished_speed or task.speed or 0:.1f}/s")


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Step]:
    """Show a bar on a terminal's standard error while the block runs; call the value after each step."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, disable=not err.is_terminal) as bars:
        yield Step(bars, what, total)


class Step:
    """Moves a bar on.

    Parameters
    ----------
    bars, what, total
        The display, what is being done, and in how many steps; None is not known yet.
    """

    def __init__(self, bars: Progress, what: str, total: int | None) -> None:
        self.bars = bars
        self.task = bars.add_task(what, total=total)

    def __call__(self, done: int | None = None, total: int | None = None) -> None:
        """Move one step on, or to `done` of `total`."""
        if done is None:
            self.bars.advance(self.task)
        else:
            self.bars.update(self.task, completed=done, total=total)


def outcome_tables(
    incidents: Sequence[Incident], notices: Mapping[tuple[str, str], int], quality: Sequence[QualityNotice]
) -> None:
    """Print what a stretch of windows came to: its incidents, notices by kind and reason, and quality notices."""
    incidents_table(incidents)
    notices_table(notices)
    quality_table(quality)


def outcome_document(
    incidents: Sequence[Incident], notices: Mapping[tuple[str, str], int], quality: Sequence[QualityNotice]
) -> dict[str, Any]:
    """Return the same for a program."""
    return {
        "incidents": [incident_document(incident) for incident in incidents],
        "notices": [{"kind": kind, "reason": reason, "count": n} for (kind, reason), n in sorted(notices.items())],
        "quality_notices": [quality_document(notice) for notice in quality],
    }
