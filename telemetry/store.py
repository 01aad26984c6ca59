"""The good rows of ``incoming`` into the warehouse's tables, one row an event and one a person or contact."""

from __future__ import annotations

from telemetry.adapters.reading import Reading
from telemetry.contract import PLAYBACK
from telemetry.incoming import narrowed
from telemetry.warehouse import Warehouse


def store_playback(warehouse: Warehouse, reading: Reading, batch_id: int, rows: int) -> tuple[int, int]:
    """Store new events; return how many of the `rows` were good, and how many of those were new.

    Two rows with one `event_id` are copies of one event, even if they differ: the one received first stays. A
    stored copy is looked for at the same `event_time`; an id that comes again with a time hours away is
    another event. Rows with an id of their own, nearly all, are stored straight away; the few others are
    compared first.
    """
    warehouse.run("arriving_events")
    contested = _find_contested(warehouse, reading)
    stored = int(warehouse.run("store_events", batch_id=batch_id)[0][0])
    good = stored + contested
    new = _settle(warehouse, batch_id) if contested else 0
    warehouse.run("store_contexts", batch_id=batch_id, judged=good < rows)
    return good, stored + new


def _find_contested(warehouse: Warehouse, reading: Reading) -> int:
    """Find rows whose event came already, here or in an earlier file; return how many good ones there are."""
    has_history, contested = warehouse.run("find_repeats")[0]
    if has_history:
        for from_time, until_time in warehouse.run("find_ranges"):
            warehouse.run("find_copies", from_time=from_time, until_time=until_time)
        contested = warehouse.run("add_copies")[0][0]
    if not contested:
        return 0
    with narrowed(warehouse.connection, reading, PLAYBACK):
        return int(warehouse.run("find_contested")[0][0])


def _settle(warehouse: Warehouse, batch_id: int) -> int:
    """Keep one copy of each contested event; return how many events are new to the warehouse."""
    new, replaced = warehouse.run("settle_contests", batch_id=batch_id)[0]
    if replaced:
        warehouse.run("replace_stored")
    return int(new)


def store_people(warehouse: Warehouse, table: str) -> tuple[int, int]:
    """Store subscribers or contacts; return how many rows were good, and how many were new or changed."""
    good, changed = warehouse.run(f"store_{table}")[0]
    return int(good), int(changed)
