"""Ingest: files in, good rows to the warehouse, the rest to quarantine.

Each file is one transaction, so a run that is killed and run again ends where a clean run would. A file
already ingested, under this or another name, is passed over. Of the copies of one event the one received
first stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from telemetry.adapters.reading import Reading
from telemetry.contract import PLAYBACK
from telemetry.errors import UnreadableFileError
from telemetry.incoming import drop_incoming, is_readable, missing_columns, open_incoming, unknown_columns
from telemetry.quarantine import QuarantineReason
from telemetry.sources import CONTRACT, Source, find_sources
from telemetry.store import store_people, store_playback
from telemetry.time import Window, naive_utc
from telemetry.warehouse import Warehouse

MAX_NAME_LENGTH = 64
"""Characters of an unknown column's name that are shown."""


@dataclass(frozen=True)
class FileReport:
    """What became of one file.

    `rows` are the accepted, the duplicates and the quarantined ones; `quarantined` also counts what concerns
    the whole file (an unknown column, damage), once each. `skipped` files were ingested before: not read.
    """

    source: str
    table: str
    format: str
    rows: int = 0
    accepted: int = 0
    duplicates: int = 0
    quarantined: Mapping[QuarantineReason, int] = field(default_factory=dict)
    skipped: bool = False


@dataclass(frozen=True)
class IngestReport:
    """What became of every file, and the sums."""

    files: tuple[FileReport, ...]

    @property
    def rows(self) -> int:
        """Rows read."""
        return sum(file.rows for file in self.files)

    @property
    def accepted(self) -> int:
        """Rows new to the warehouse."""
        return sum(file.accepted for file in self.files)

    @property
    def duplicates(self) -> int:
        """Rows that the warehouse, or their file, had already."""
        return sum(file.duplicates for file in self.files)

    @property
    def quarantined(self) -> Mapping[QuarantineReason, int]:
        """Rows and files quarantined, by reason."""
        total: Counter[QuarantineReason] = Counter()
        for file in self.files:
            total.update(file.quarantined)
        return dict(total)


@dataclass(frozen=True)
class Progress:
    """How far an ingest is: files done of all, and the one just finished."""

    done: int
    total: int
    last: FileReport


def ingest(
    warehouse: Warehouse,
    path: Path | str,
    *,
    now: datetime,
    table: str | None = None,
    window: Window | None = None,
    progress: Callable[[Progress], None] | None = None,
    format: str | None = None,  # noqa: A002 - the word that people type
) -> IngestReport:
    """Read a file, a folder or a world into the warehouse.

    Parameters
    ----------
    warehouse
        Where the rows go.
    path
        What to read; see `telemetry.sources.find_sources`.
    now
        The clock of this run, aware UTC: a row received more than a day later is not believed.
    table
        ``playback``, ``subscribers`` or ``contacts``; None to tell by the file's name.
    window
        Take only playback received within it.
    progress
        Called after each file.
    format
        Name of an adapter; None to tell by the file's name.

    Returns
    -------
    IngestReport
        Counts per file; no content.

    Raises
    ------
    SourceNotFoundError, UnknownFormatError
        If there is nothing to read. What is wrong inside a file never raises: it is quarantined and counted.
    """
    sources = find_sources(Path(path), table, format)
    reports = []
    for done, source in enumerate(sources, 1):
        reports.append(_ingest_file(warehouse, source, now, window if source.table is PLAYBACK else None))
        if progress:
            progress(Progress(done, len(sources), reports[-1]))
    return IngestReport(tuple(reports))


def _ingest_file(warehouse: Warehouse, source: Source, now: datetime, window: Window | None) -> FileReport:
    arrival = _Arrival(warehouse, source, now, window)
    if arrival.is_known():
        return FileReport(str(source.path), source.table.name, source.adapter.name, skipped=True)
    if source.size_bytes == 0:
        return arrival.refuse(QuarantineReason.EMPTY_FILE, "It has no bytes.")
    try:
        return _read_file(arrival)
    except UnreadableFileError as error:
        return arrival.refuse(QuarantineReason.TRUNCATED_FILE, str(error))
    finally:
        drop_incoming(warehouse.connection)


def _read_file(arrival: _Arrival) -> FileReport:
    reading = open_incoming(arrival.warehouse.connection, arrival.source, arrival.now, arrival.window)
    absent = [column.name for column in missing_columns(reading, arrival.source.table) if column.required]
    if absent:
        return arrival.refuse(
            QuarantineReason.MISSING_COLUMN, f"It lacks {', '.join(absent)}, without which no row is good."
        )
    try:
        return arrival.store(reading)
    except duckdb.Error as error:
        if not is_readable(arrival.warehouse.connection):
            raise UnreadableFileError("It is damaged inside; none of it is kept.") from error
        raise


@dataclass(frozen=True)
class _Arrival:
    """One file on its way into the warehouse."""

    warehouse: Warehouse
    source: Source
    now: datetime
    window: Window | None

    def is_known(self) -> bool:
        """Say whether it was ingested before; its bytes are read only if its name, size and time do not
        tell."""
        return self._is_known("") or self._is_known(self.source.digest)

    def _is_known(self, digest: str) -> bool:
        return bool(self.warehouse.run("known_file", digest=digest, **self._facts)[0][0])

    def refuse(self, reason: QuarantineReason, detail: str) -> FileReport:
        """Quarantine the file as a whole."""
        with self.warehouse.transaction():
            batch_id = self._next_batch()
            self._collect_refused(with_rows=False)
            self._note(reason, detail)
            return self._finish(batch_id, _Counts())

    def store(self, reading: Reading) -> FileReport:
        """Take in the good rows, quarantine the others, and note what concerns the whole file."""
        with self.warehouse.transaction():
            batch_id = self._next_batch()
            rows = self._count_rows(reading)
            good, accepted = self._store_rows(reading, batch_id, rows)
            self._collect_refused(with_rows=good < rows)
            self._note_oddities(reading, rows)
            return self._finish(batch_id, _Counts(rows, accepted, good - accepted))

    def _count_rows(self, reading: Reading) -> int:
        if reading.rows is not None and self.window is None:
            return reading.rows
        return self._count("SELECT count(*) FROM incoming")

    def _store_rows(self, reading: Reading, batch_id: int, rows: int) -> tuple[int, int]:
        if self.source.table is PLAYBACK:
            return store_playback(self.warehouse, reading, batch_id, rows)
        return store_people(self.warehouse, self.source.table.name)

    def _note_oddities(self, reading: Reading, rows: int) -> None:
        for name in unknown_columns(reading, self.source.table):
            self._note(QuarantineReason.UNKNOWN_COLUMN, f"The contract has no column {name[:MAX_NAME_LENGTH]!r}.")
        for column in missing_columns(reading, self.source.table):
            self._note(QuarantineReason.MISSING_COLUMN, f"It lacks {column.name}, which is read as NULL.")
        if rows == 0 and self.window is None:
            self._note(QuarantineReason.EMPTY_FILE, "It has no rows.")
        if reading.damage:
            self._note(QuarantineReason.TRUNCATED_FILE, reading.damage)

    def _collect_refused(self, *, with_rows: bool) -> None:
        self.warehouse.run("make_refused")
        if with_rows:
            self.warehouse.run("collect_refused")

    def _note(self, reason: QuarantineReason, detail: str) -> None:
        self.warehouse.connection.execute("INSERT INTO refused VALUES (NULL, ?, ?, NULL)", [reason.value, detail])

    def _finish(self, batch_id: int, counts: _Counts) -> FileReport:
        found = self.warehouse.connection.execute("SELECT reason, count(*) FROM refused GROUP BY ALL ORDER BY ALL")
        quarantined = {QuarantineReason(reason): count for reason, count in found.fetchall()}
        self.warehouse.run("store_quarantine", batch_id=batch_id, digest=self.source.digest, **self._facts)
        self.warehouse.run(
            "store_batch",
            batch_id=batch_id,
            digest=self.source.digest,
            quarantined=sum(quarantined.values()),
            ingested_time=naive_utc(self.now),
            **vars(counts),
            **self._facts,
        )
        return FileReport(
            str(self.source.path),
            self.source.table.name,
            self.source.adapter.name,
            quarantined=quarantined,
            **vars(counts),
        )

    def _next_batch(self) -> int:
        return self._count("SELECT coalesce(max(batch_id), 0) + 1 FROM batches")

    def _count(self, query: str) -> int:
        return int(self.warehouse.connection.execute(query).fetchall()[0][0])

    @property
    def _facts(self) -> dict[str, Any]:
        return {
            "source": str(self.source.path),
            "table_name": self.source.table.name,
            "format": self.source.adapter.name,
            "contract": CONTRACT,
            "size_bytes": self.source.size_bytes,
            "modified_ns": self.source.modified_ns,
            "window_start": naive_utc(self.window.start) if self.window else None,
            "window_end": naive_utc(self.window.end) if self.window else None,
        }


@dataclass(frozen=True)
class _Counts:
    rows: int = 0
    accepted: int = 0
    duplicates: int = 0
