"""Slices told in a line each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from detectors.observations import SIGNALS, Observations


def slices(*rows: dict[str, Any]) -> Observations:
    """Slices of person 0 unless said otherwise, each a session of its own unless said otherwise."""
    none = Observations.empty()
    count = len(rows)

    def column(name: str, usual: Callable[[int], Any]) -> np.ndarray:
        values = [row.get(name, usual(i)) for i, row in enumerate(rows)]
        return np.array(values, getattr(none, name).dtype).reshape((count, *getattr(none, name).shape[1:]))

    usual: dict[str, Callable[[int], Any]] = {
        "session": lambda i: i,
        "slot": lambda i: 5_900_000 + i,
        "playing_ms": lambda _: 300_000,
        "error_class": lambda _: -1,
        "first_us": lambda i: 10 * i,
        "last_us": lambda i: 10 * i + 5,
    }
    bad = np.array([[signal in row.get("bad", ()) for signal in SIGNALS] for row in rows], bool)
    names = [name for name in Observations.__dataclass_fields__ if name != "bad"]
    zeros = lambda name: lambda _: np.zeros(getattr(none, name).shape[1:])  # noqa: E731
    return Observations(bad=bad, **{name: column(name, usual.get(name, zeros(name))) for name in names})
