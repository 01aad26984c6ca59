"""Slices counted by slot and part of the audience, beside what was expected of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from detectors.observations import Observations
from detectors.poisson import Array
from detectors.volume import MEASURES, PLAYS, VOLUME_DIMENSIONS, VOLUME_PLACES, SeasonalVolume

Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """A cohort by the place of its dimension in `VOLUME_DIMENSIONS` and its code; everyone is -1 and -1."""

    dimension: int = -1
    code: int = -1

    def inside(self, codes: NDArray[np.int32]) -> Mask:
        """Return which rows of codes of `VOLUME_DIMENSIONS` belong to it, shape (n,)."""
        if self.dimension < 0:
            return np.ones(len(codes), bool)
        return np.asarray(codes[:, self.dimension] == self.code)


@dataclass(frozen=True)
class Course:
    """How a cohort ran: slots, and counts of presence and plays observed and expected, shape (slots, 2)."""

    slots: Ints
    observed: Array
    expected: Array

    def since(self, slot: int) -> Course:
        """Return the course from a slot on."""
        later = self.slots >= slot
        return Course(self.slots[later], self.observed[later], self.expected[later])

    def until(self, slot: int) -> Course:
        """Return the course up to a slot."""
        earlier = self.slots < slot
        return Course(self.slots[earlier], self.observed[earlier], self.expected[earlier])

    def sums(self, measure: int) -> tuple[float, float]:
        """Return what was observed and what was expected of a measure."""
        return float(self.observed[:, measure].sum()), float(self.expected[:, measure].sum())

    def turn(self, measure: int, left: float, *, back: bool = False) -> int:
        """Return from which slot on the share `left` of what was expected is likelier than all of it, or the reverse.

        It is the start of the likeliest change-point, by Poisson likelihood; the end if there is none.
        """
        gain = self.expected[:, measure] * (1 - left) + self.observed[:, measure] * np.log(left)
        later = np.cumsum((-gain if back else gain)[::-1])[::-1]
        end = int(self.slots[-1]) + 1
        return int(self.slots[later.argmax()]) if later.max() > 0 else end


@dataclass(frozen=True)
class Tally:
    """Rows and expectations of some slots, and parts left out of both.

    Parameters
    ----------
    slots
        Consecutive, shape (slots,).
    row_slot, row_codes, row_plays
        Of each row the place of its slot in `slots`, its codes, and whether a play was asked for.
    cells, due, weight
        Codes of the cells, their expectations by hour, and the hours of each slot; see `SeasonalVolume.of_slots`.
    """

    slots: Ints
    row_slot: Ints
    row_codes: NDArray[np.int32]
    row_plays: Mask
    cells: NDArray[np.int32]
    due: Array
    weight: Array

    @classmethod
    def of(cls, volume: SeasonalVolume, rows: Observations, first: int, end: int) -> Tally:
        """Count the rows of ``[first, end)`` and what was expected in it."""
        slots = np.arange(first, end)
        inside = np.flatnonzero((rows.slot >= first) & (rows.slot < end))
        due, weight = volume.of_slots(slots)
        return cls(
            slots,
            rows.slot[inside] - first,
            rows.codes[inside][:, VOLUME_PLACES],
            rows.exposed[inside, MEASURES[PLAYS]],
            volume.cells_,
            due,
            weight,
        )

    def without(self, part: Part) -> Tally:
        """Return the tally of everybody else."""
        return self._kept(~part.inside(self.row_codes), ~part.inside(self.cells))

    def within(self, part: Part) -> Tally:
        """Return the tally of a part alone."""
        return self._kept(part.inside(self.row_codes), part.inside(self.cells))

    def course(self) -> Course:
        """Return how everybody in it ran."""
        observed, expected = self._table(np.zeros(len(self.row_slot), np.int64), np.zeros(len(self.cells), np.int64), 1)
        return Course(self.slots, observed[0], expected[0])

    def by(self, dimension: int) -> tuple[Array, Array]:
        """Return what was observed and expected by each code of a dimension, shapes (codes, slots, 2)."""
        rows, cells = self.row_codes[:, dimension].astype(np.int64), self.cells[:, dimension].astype(np.int64)
        width = int(max(rows.max(initial=-1), cells.max(initial=-1))) + 1
        observed, expected = self._table(rows + 1, cells + 1, width + 1)
        return observed[1:], expected[1:]

    def _kept(self, rows: Mask, cells: Mask) -> Tally:
        return replace(
            self,
            row_slot=self.row_slot[rows],
            row_codes=self.row_codes[rows],
            row_plays=self.row_plays[rows],
            cells=self.cells[cells],
            due=self.due[:, cells],
        )

    def _table(self, rows: Ints, cells: Ints, width: int) -> tuple[Array, Array]:
        count, key = len(self.slots), rows * len(self.slots) + self.row_slot
        observed = np.stack(
            [np.bincount(key[mask], minlength=width * count) for mask in (slice(None), self.row_plays)], axis=-1
        )
        hours = [[np.bincount(cells, due[:, m], width) for m in range(len(MEASURES))] for due in self.due]
        expected = np.einsum("sh,hmw->wsm", self.weight, np.array(hours))
        return observed.reshape(width, count, len(MEASURES)).astype(float), expected


def all_parts(tally: Tally) -> tuple[list[Part], Array, Array]:
    """Return everyone and each cohort of one dimension, with counts observed and expected, shape (parts, slots, 2)."""
    everyone = tally.course()
    parts, observed, expected = [Part()], [everyone.observed[None]], [everyone.expected[None]]
    for dimension in range(len(VOLUME_DIMENSIONS)):
        seen, due = tally.by(dimension)
        parts.extend(_parts(dimension, len(seen)))
        observed.append(seen)
        expected.append(due)
    return parts, np.concatenate(observed), np.concatenate(expected)


def _parts(dimension: int, codes: int) -> Iterator[Part]:
    return (Part(dimension, code) for code in range(codes))
