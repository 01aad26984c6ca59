"""Merge: events not counted yet into slices and sessions, in one transaction with the mark that says so.

Every batch remembers until which `received_time` it is merged, so a window that is run twice adds nothing,
and a file that arrives late is picked up by the next window. How windows are cut, and in which order files
come, makes no difference to the sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from telemetry.time import Window, naive_utc
from telemetry.warehouse import Warehouse


@dataclass(frozen=True)
class MergeReport:
    """What a merge changed: events taken in, and slices new or changed."""

    events: int = 0
    slices: int = 0


def merge_window(warehouse: Warehouse, window: Window) -> MergeReport:
    """Merge every event received before the window's end that is not merged yet.

    Parameters
    ----------
    warehouse
        Its `slices` and `sessions` change; changed rows get the window's end as ``changed_time``.
    window
        Only its end matters to what is merged: what an earlier window left, or a late file brought, comes
        along.
    """
    return _merge(warehouse, naive_utc(window.end))


def merge_all(warehouse: Warehouse, until: datetime) -> MergeReport:
    """Merge everything received before `until` (aware UTC) in one step: how history is taken in."""
    return _merge(warehouse, naive_utc(until))


def _merge(warehouse: Warehouse, until: datetime) -> MergeReport:
    with warehouse.transaction():
        first_batch, last_batch, from_time, stale = warehouse.run("merge_open", until=until)[0]
        if first_batch is None and not stale:
            return MergeReport()
        span = {"first_batch": first_batch or 0, "last_batch": last_batch or 0, "until": until}
        warehouse.run("merge_fresh", from_time=from_time or until, **span)
        if stale:
            warehouse.run("merge_recount", until=until)
        events, slices, mixed = warehouse.run("merge_combine")[0]
        if mixed:
            warehouse.run("merge_blend", until=until)
        warehouse.run("merge_put", **span)
    return MergeReport(int(events), int(slices))
