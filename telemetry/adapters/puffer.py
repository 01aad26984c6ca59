"""Puffer, a live-television study that publishes what its players did, chunk by chunk (Yan et al., NSDI
2020)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import duckdb
import pyarrow as pa

from telemetry.adapters.reading import Reading, quoted
from telemetry.contract import Table
from telemetry.errors import UnreadableFileError
from telemetry.warehouse import sql

CHUNK_S = 2.002
"""Seconds of video in a chunk."""
SHORTEST_STALL_S = 0.05
"""A shorter gap is within the error of the clocks: it is no stall, and stays owed by the buffer."""

_ARRIVALS = """
    SELECT dataset || '/' || session AS stream, file_row_number + 1, epoch(end_time::TIMESTAMPTZ)
    FROM read_parquet($source, file_row_number = true)
    ORDER BY ALL
"""


class Puffer:
    """Reads a Parquet file of chunks (dataset, session, start_time, end_time, size), asked for by name.

    A stream becomes a session, its buffer is replayed to find the stalls, and the stream's name stands in for
    the subscriber, whom the data does not name. Received is when it happened. The dimensions stay NULL.
    """

    name = "puffer"
    suffixes = ()

    def quick(self, connection: duckdb.DuckDBPyConnection, path: Path, table: Table) -> Reading:
        """Derive playback events from the chunks."""
        source = quoted(str(path))
        arrivals = connection.execute(_ARRIVALS.replace("$source", source)).fetchall()
        lines, stalls = zip(*_stalls_by_line(arrivals), strict=True) if arrivals else ((), ())
        connection.register("arriving_stalls", pa.table({"line": lines, "stalled_s": stalls}))
        connection.execute("CREATE OR REPLACE TEMP TABLE puffer_stalls AS FROM arriving_stalls")
        connection.unregister("arriving_stalls")
        columns = {column.name: column.type for column in table.columns}
        return Reading(sql("puffer").replace("$source", source), columns)

    def careful(self, connection: duckdb.DuckDBPyConnection, path: Path, table: Table) -> Reading:  # noqa: ARG002
        """Refuse: what the quick way cannot read, no way can."""
        raise UnreadableFileError("It is not a Parquet file of Puffer's chunks.")


def stalls_s(arrivals_s: Iterable[float]) -> Iterator[float]:
    """Replay a player's buffer: yield, for each chunk's time of arrival, how long playback stalled before it.

    Playback begins with the first chunk; each adds 2.002 s to the buffer, and the time until the next drains
    it.
    """
    buffer_s, previous_s = 0.0, None
    for arrival_s in arrivals_s:
        buffer_s -= 0.0 if previous_s is None else arrival_s - previous_s
        stalled_s = -buffer_s if buffer_s < -SHORTEST_STALL_S else 0.0
        yield stalled_s
        buffer_s += stalled_s + CHUNK_S
        previous_s = arrival_s


def _stalls_by_line(arrivals: list[tuple[str, int, float]]) -> Iterator[tuple[int, float]]:
    for _, chunks in groupby(arrivals, key=itemgetter(0)):
        _, lines, times_s = zip(*chunks, strict=True)
        yield from zip(lines, stalls_s(times_s), strict=True)
