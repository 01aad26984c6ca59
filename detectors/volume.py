"""How much telemetry is usual: slices present and plays begun by cell and hour, from the learnt days.

A *cell* is a combination of `VOLUME_DIMENSIONS`. For a cell c and an hour H of hour of day h and weekday w,

    expected(c, H) = (sum of c over past hours with the same h and w + k * mean of c over all past hours with h)
                     / (number of those hours + k),

that is, the same hour of the week shrunk towards the same hour of any day, as clocks show it in the cell's place
(`detectors.local_hours`): the morning after a change to summer time is compared with mornings. It is linear in the
counts, so what is expected of a cohort is the sum over its cells. Between the middles of two hours it is interpolated.
The counts are overdispersed: one viewer makes many slices, and tastes move. Around its expectation m a cohort's count
has the variance

    phi * m + (tau * m)^2,

and phi and tau are taken from how the learnt hours, those of UTC, lie around what the other days would have expected
of them: a change of the clocks makes both larger until it is a month old. This is the quasi-Poisson and negative
binomial model of surveillance by expected counts: Farrington et al. (1996), Noufaily et al. (2013).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

from detectors.local_hours import HOURS_A_DAY, LocalHours
from detectors.observations import MISSING, SIGNALS, Vocabularies
from detectors.rates import MODEL_DIMENSIONS, SLOTS_PER_HOUR, HourlyCounts
from telemetry.contract import Signal

VOLUME_DIMENSIONS = ("country", "region", "isp", "cdn", "device_type")
"""Where silence is looked for. App versions fade by themselves, and titles come and go."""
VOLUME_PLACES = tuple(MODEL_DIMENSIONS.index(name) for name in VOLUME_DIMENSIONS)
MEASURES = (SIGNALS.index(Signal.FAILURE), SIGNALS.index(Signal.ACCESS))
"""Of `SIGNALS`, those whose exposures are counted: being there (slices present), and asking to play (plays)."""
PRESENCE, PLAYS = 0, 1
SMALL = 30.0
"""Expected counts below show phi, those above tau."""
FEWEST = 20
"""Hours of cohorts from which tau is believed."""
LEAST_SPREAD = 1e-4
"""Of tau squared: as good as none."""
MOST_CHI = 25.0
"""A learnt hour adds at most this to phi, and its root times m to tau: an old gap is not the usual noise."""

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


class SeasonalVolume:
    """Expected slices and plays by cell and hour.

    Parameters
    ----------
    strength
        k: the hours of any weekday that weigh as much as one of the same weekday. With 3, a week of history is three
        quarters the hour of day and one quarter the same hour a week ago.
    local_hours
        The hour of day by place; UTC everywhere if absent.

    Attributes
    ----------
    cells_
        Codes of `VOLUME_DIMENSIONS`, shape (cells, 5).
    phi_, tau_
        Of presence and plays, shape (2,).
    """

    def __init__(self, strength: float = 3.0, local_hours: LocalHours | None = None) -> None:
        self.strength = strength
        self.local_hours = local_hours or LocalHours(Vocabularies())

    def fit(self, counts: HourlyCounts) -> SeasonalVolume:
        """Learn from hourly counts; returns itself."""
        codes = counts.codes[:, VOLUME_PLACES]
        cells, cell = _numbered(codes)
        hours, hour = np.unique(counts.hour, return_inverse=True)
        order = np.lexsort((hour.ravel(), hours[hour.ravel()] % 24))
        self.cells_: NDArray[np.int32] = cells
        self._cell, self._hour = cell[order], counts.hour[order]
        self._counts: Array = counts.exposed[order][:, MEASURES]
        self._hours: Ints = hours
        self._starts = np.searchsorted(self._hour % 24, np.arange(25))
        self._places = self._by_zone()
        self._known: dict[int, Array] = {}
        self.phi_, self.tau_ = self._dispersion()
        return self

    def days(self, hour: int) -> int:
        """Return how many learnt days before `hour` (since 1970) had any traffic at its hour of day."""
        return int(np.count_nonzero(self._alike(hour)))

    def of_hour(self, hour: int) -> Array:
        """Return the expected counts of each cell in an hour since 1970, shape (cells, 2); nothing without history."""
        if hour not in self._known:
            self._known[hour] = self._expect(hour)
        return self._known[hour]

    def of_slots(self, slots: Ints) -> tuple[Array, Array]:
        """Return what is expected of each cell in some hours, and how much of each hour falls in each slot.

        Returns
        -------
        tuple of arrays
            Shapes (hours, cells, 2) and (slots, hours); their product over hours is the expectation by slot.
        """
        middle = (slots + 0.5) / SLOTS_PER_HOUR - 0.5
        before = np.floor(middle).astype(np.int64)
        hours = np.arange(before.min(), before.max() + 2)
        weight = np.zeros((len(slots), len(hours)))
        row, first, part = np.arange(len(slots)), before - hours[0], middle - before
        weight[row, first] = (1 - part) / SLOTS_PER_HOUR
        weight[row, first + 1] = part / SLOTS_PER_HOUR
        return np.stack([self.of_hour(int(hour)) for hour in hours]), weight

    def surprise(self, observed: Array, expected: Array, measure: int) -> Array:
        """Return minus the logarithm of the chance of so few or fewer, in nats, for arrays of one shape.

        Counts come in clusters of phi, and the clusters are negative binomial: their mean is m / phi, their variance
        m / phi + (tau * m / phi)^2. So none at all is about as likely as no cluster, which a negative binomial of the
        counts themselves would call far less likely than it is. No expectation is no surprise.
        """
        clusters = np.maximum(expected, 1e-9) / self.phi_[measure]
        spread = max(float(self.tau_[measure]) ** 2, LEAST_SPREAD)
        chance = betainc(1 / spread, observed / self.phi_[measure] + 1, 1 / (1 + spread * clusters))
        return np.asarray(np.where(expected > 0, -np.log(np.maximum(chance, 1e-300)), 0.0))

    def _alike(self, hour: int) -> NDArray[np.bool_]:
        return np.asarray((self._hours % HOURS_A_DAY == hour % HOURS_A_DAY) & (self._hours < hour))

    def _expect(self, hour: int) -> Array:
        due = np.zeros((len(self.cells_), len(MEASURES)))
        for place in self._places:
            local = hour + int(self.local_hours.ahead(np.array([place.zone]), np.array([hour]))[0])
            due += place.expected(local, len(self.cells_), self.strength)
        return due

    def _by_zone(self) -> list[_Place]:
        """The learnt counts by time zone; an hour in which nobody anywhere was there is not learnt."""
        zone_of_cell = self.local_hours.zones(self.cells_)
        zones, found = zone_of_cell[self._cell], []
        for zone in np.unique(zone_of_cell):
            mine = zones == zone
            local = self._hour[mine] + self.local_hours.ahead(zones[mine], self._hour[mine])
            hours = self._hours + self.local_hours.ahead(np.full(len(self._hours), zone), self._hours)
            order = np.argsort(local % HOURS_A_DAY, kind="stable")
            cell, counts = self._cell[mine][order], self._counts[mine][order]
            found.append(_Place(int(zone), cell, local[order], counts, hours))
        return found

    def _dispersion(self) -> tuple[Array, Array]:
        """Phi and tau of one-dimension cohorts, each hour held against what all the others expect of it."""
        seen, due = [], []
        for number in range(24):
            hours = self._hours[self._hours % 24 == number]
            if len(hours) >= 2:
                one, other = self._held_out(number, hours)
                seen.append(one)
                due.append(other)
        if not seen:
            return np.ones(len(MEASURES)), np.zeros(len(MEASURES))
        observed, expected = np.concatenate(seen), np.concatenate(due)
        found = [_moments(observed[:, m], expected[:, m]) for m in range(len(MEASURES))]
        return np.array([phi for phi, _ in found]), np.array([tau for _, tau in found])

    def _held_out(self, number: int, hours: Ints) -> tuple[Array, Array]:
        """Counts of cohorts in the hours of one hour of day, and what the others expect of them, shape (n, 2) each."""
        rows = slice(self._starts[number], self._starts[number + 1])
        place = np.searchsorted(hours, self._hour[rows])
        weight = np.stack([_weights(hours, int(hour), hours, self.strength) for hour in hours])
        own = np.diag(weight).copy()
        np.fill_diagonal(weight, 0)
        seen = []
        for dimension in range(len(VOLUME_DIMENSIONS)):
            code = self.cells_[:, dimension][self._cell[rows]].astype(np.int64)
            width = int(self.cells_[:, dimension].max(initial=MISSING)) + 2
            key = place * width + np.where(code == MISSING, width - 1, code)
            size = width * len(hours)
            table = np.stack([np.bincount(key, column, size) for column in self._counts[rows].T], axis=-1)
            seen.append(table.reshape(len(hours), width, len(MEASURES))[:, :-1])
        observed = np.concatenate(seen, axis=1)
        expected = np.einsum("ho,ovm->hvm", weight / (1 - own)[:, None], observed)
        total = observed[:, : seen[0].shape[1]].sum(axis=1), expected[:, : seen[0].shape[1]].sum(axis=1)
        level = np.minimum(total[0] / np.maximum(total[1], 1), 1)[:, None]
        expected = np.asarray(expected * level, dtype=float)
        return observed.reshape(-1, len(MEASURES)).astype(float), expected.reshape(-1, len(MEASURES))


@dataclass(frozen=True)
class _Place:
    """Learnt counts of the cells of one time zone, by its local hour since 1970, those of one hour of day together.

    The hour that comes twice when clocks go back is there twice, and counts twice.
    """

    zone: int
    cell: Ints
    hour: Ints
    counts: Array
    hours: Ints

    def expected(self, hour: int, cells: int, strength: float) -> Array:
        """Return the expected counts of each of all cells in a local hour, shape (cells, 2)."""
        of_day = hour % HOURS_A_DAY
        alike = self.hours[(self.hours % HOURS_A_DAY == of_day) & (self.hours < hour)]
        if not len(alike):
            return np.zeros((cells, len(MEASURES)))
        first, last = np.searchsorted(self.hour % HOURS_A_DAY, (of_day, of_day + 1))
        rows = slice(first, last)
        weight = _weights(self.hour[rows], hour, alike, strength) * (self.hour[rows] < hour)
        values = self.counts[rows] * weight[:, None]
        return np.column_stack([np.bincount(self.cell[rows], column, cells) for column in values.T])


def _weights(hours: Ints, hour: int, alike: Ints, strength: float) -> Array:
    """The weight of each learnt hour in the expectation of one: they add up to 1 over `alike`."""
    week = 7 * HOURS_A_DAY
    same = np.count_nonzero((alike - hour) % week == 0)
    return np.asarray(((hours - hour) % week == 0) + strength / len(alike)) / (same + strength)


def _moments(seen: Array, due: Array) -> tuple[float, float]:
    """Phi from small expectations, then tau from large ones."""
    small = (due >= 1) & (due < SMALL)
    chi = (seen[small] - due[small]) ** 2 / due[small]
    phi = max(float(np.minimum(chi, MOST_CHI).mean()), 1.0) if len(chi) else 1.0
    large = due >= SMALL
    if np.count_nonzero(large) < FEWEST:
        return phi, 0.0
    left = (seen[large] - due[large]) ** 2 - phi * due[large]
    return phi, float(np.sqrt(max(np.minimum(left / due[large] ** 2, 1.0).mean(), 0.0)))


def _numbered(codes: NDArray[np.int32]) -> tuple[NDArray[np.int32], Ints]:
    """Return the distinct rows, and the place of each row among them."""
    rows = np.ascontiguousarray(codes)
    wide = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    _, first, inverse = np.unique(wide, return_index=True, return_inverse=True)
    return rows[first], inverse.ravel().astype(np.int64)
