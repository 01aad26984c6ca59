"""Rows that break the contract, each in one way, so that quarantine has something to do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

Row = dict[str, Any]


def _negative(row: Row) -> Row:
    return {**row, "playing_ms": -4_000, "stalled_ms": -1}


def _absurd(row: Row) -> Row:
    return {**row, "playing_ms": 2**31 - 1}


def _unknown_event(row: Row) -> Row:
    return {**row, "event": "play_imagined"}


def _unknown_device(row: Row) -> Row:
    return {**row, "device_type": "<b>toaster</b>"}


def _long_ago(row: Row) -> Row:
    return {**row, "event_time": datetime(1970, 1, 1), "received_time": datetime(1970, 1, 1)}  # noqa: DTZ001


def _far_future(row: Row) -> Row:
    return {**row, "received_time": datetime(2106, 2, 7)}  # noqa: DTZ001


def _nameless(row: Row) -> Row:
    return {**row, "session_id": None}


def _endless_text(row: Row) -> Row:
    return {**row, "isp": "A" * 5_000}


def _never_received(row: Row) -> Row:
    return {**row, "received_time": None}


WAYS: tuple[Callable[[Row], Row], ...] = (
    _negative,
    _absurd,
    _unknown_event,
    _unknown_device,
    _long_ago,
    _far_future,
    _nameless,
    _endless_text,
    _never_received,
)


def broken_rows(playback: pa.Table, count: int, rng: np.random.Generator) -> pa.Table:
    """Return `count` rows of a playback table, each broken in one of `WAYS`, under event ids of their own."""
    chosen = np.sort(rng.choice(playback.num_rows, min(count, playback.num_rows), replace=False))
    rows = playback.take(pa.array(chosen)).to_pylist()
    broken = [WAYS[i % len(WAYS)]({**row, "event_id": f"broken-{i:04d}"}) for i, row in enumerate(rows)]
    return pa.Table.from_pylist(broken, schema=playback.schema)
