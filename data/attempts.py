"""Playback attempts before anything has happened to them."""

from __future__ import annotations

from dataclasses import dataclass

from data.arrays import Columns, Ints
from telemetry.contract import DIMENSIONS


@dataclass(frozen=True)
class Attempts(Columns):
    """Playback attempts: who, when, for how long, which try it is, and the dimensions.

    `dims` has a column for each of `telemetry.contract.DIMENSIONS`, holding the vocabulary's codes.
    """

    subscriber: Ints
    start_ms: Ints
    planned_ms: Ints
    number: Ints
    dims: Ints

    def codes(self, dimension: str) -> Ints:
        """Return the codes of one dimension."""
        column: Ints = self.dims[:, DIMENSIONS.index(dimension)]
        return column
