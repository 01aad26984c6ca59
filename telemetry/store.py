"""The good rows of ``incoming`` into the warehouse's tables, one row an event and one a person or contact."""

from __future__ import annotations

from telemetry.contract import Table
from telemetry.warehouse import Warehouse


def store_playback(warehouse: Warehouse, table: Table, batch_id: int) -> tuple[int, int]:  # noqa: ARG001
    """Store new events; return how many rows were good, and how many of those were new.

    Two rows with one `event_id` are copies of one event, even if they differ: the one received first stays. A stored
    copy is looked for at the same `event_time`; an id that comes again with a time hours away is another event.
    """
    good = int(warehouse.run("store_events", batch_id=batch_id)[0][0])
    if not good:
        return 0, 0
    warehouse.run("store_contexts")
    repeats = int(warehouse.run("drop_repeats", batch_id=batch_id)[0][0])
    known = _settle_copies(warehouse, batch_id)
    warehouse.run("store_strays", batch_id=batch_id)
    return good, good - repeats - known


def _settle_copies(warehouse: Warehouse, batch_id: int) -> int:
    """Keep one of each event that an earlier file brought too; return how many there were."""
    ranges = warehouse.run("lookup_ranges", batch_id=batch_id)
    if not ranges:
        return 0
    warehouse.run("make_stored_copies")
    for from_time, until_time in ranges:
        warehouse.run("find_copies", batch_id=batch_id, from_time=from_time, until_time=until_time)
    copies, replaced = warehouse.run("settle_copies", batch_id=batch_id)[0]
    if replaced:
        warehouse.run("replace_stored")
    return int(copies)


def store_people(warehouse: Warehouse, table: Table, batch_id: int) -> tuple[int, int]:  # noqa: ARG001
    """Store subscribers or contacts; return how many rows were good, and how many were new or changed."""
    good, changed = warehouse.run(f"store_{table.name}")[0]
    return int(good), int(changed)
