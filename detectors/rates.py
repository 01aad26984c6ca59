"""What is normal: the expected number of fresh impairments of any slice, by a shrunk multiplicative model.

The rate of signal s for a slice with dimension values v1..v8 in country c at hour h, as clocks show it there, is

    rate = base_s * prod_d g_s,d(v_d) * g_s,hour(c, h)

with each factor g estimated by iterative proportional fitting under a Gamma(k, k) prior, that is

    g(v) = (observed(v) + k) / (expected without g(v) + k).

Where data is thin the prior pulls a factor to 1, so a new network or app version starts at what its other
dimensions say. This is Poisson regression with a conjugate prior on each effect; see Clayton & Kaldor (1987) on
shrunk relative risks and Deming & Stephan (1940) on the fitting.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from detectors.local_hours import HOURS_A_DAY, LocalHours
from detectors.observations import MISSING, SIGNALS, Observations, Vocabularies
from telemetry.contract import DIMENSIONS

MODEL_DIMENSIONS = DIMENSIONS[:-1]
"""Titles are left out: they come and go by the day, and a title's quality is its CDN's and its content type's."""

SLOTS_PER_HOUR = 12
MIN_BASE = 1e-6
PRIOR_CHANCES = 1_000

Array = NDArray[np.float64]


@dataclass(frozen=True)
class HourlyCounts:
    """Exposures and fresh impairments by hour and finest cohort, the rows of `cohort_hours`.

    Attributes
    ----------
    codes
        Codes of `MODEL_DIMENSIONS`, shape (n, 8).
    hour
        Hours since 1970, shape (n,).
    exposed, at_risk, fresh, all
        Exposures and impairments in the order of `SIGNALS`, shape (n, 4); see `cohort_hours`.
    """

    codes: NDArray[np.int32]
    hour: NDArray[np.int64]
    exposed: Array
    at_risk: Array
    fresh: Array
    all: Array

    @classmethod
    def of(cls, observations: Observations) -> HourlyCounts:
        """Turn slices into counts, each a row of its own."""
        flags = (observations.exposed, observations.at_risk, observations.fresh, observations.bad)
        codes = observations.codes[:, : len(MODEL_DIMENSIONS)]
        return cls(codes, observations.slot // SLOTS_PER_HOUR, *(it.astype(float) for it in flags))

    @classmethod
    def from_arrow(cls, table: pa.Table, vocabularies: Vocabularies) -> HourlyCounts:
        """Turn rows of `cohort_hours`, an Arrow table, into arrays."""
        dims = [v.encode(table.column(d)) for d, v in zip(MODEL_DIMENSIONS, vocabularies.dimensions, strict=False)]

        def stack(names: Iterable[str]) -> Array:
            return np.column_stack([table.column(n).to_numpy().astype(float) for n in names])

        hours = table.column("hour").to_numpy().astype("datetime64[h]").astype(np.int64)
        return cls(
            np.column_stack(dims).astype(np.int32),
            hours,
            *(stack(f"{kind}_{s}" for s in SIGNALS) for kind in ("exposed", "at_risk", "fresh", "all")),
        )

    def drop(self, rows: NDArray[np.bool_]) -> HourlyCounts:
        """Return the counts without some rows."""
        keep = ~rows
        return HourlyCounts(*(getattr(self, f.name)[keep] for f in fields(self)))


class RateModel:
    """Expected fresh impairments per exposure, learnt from hourly counts.

    Parameters
    ----------
    strength
        k of the prior on each factor, in expected impairments: the data's weight equals the prior's when a value
        has been expected to show this many. 10 lets a value with a week of traffic speak and silences rare ones.
    sweeps
        Passes of the fitting; the factors change by less than a per cent after five.
    dispersion_hours
        Length of the blocks over which overdispersion is measured.
    local_hours
        The hour of day by place; UTC everywhere if absent.
    prior_share
        Impairments per exposure (0 to 1) before anything is known; it weighs as much as a thousand exposures.

    Attributes
    ----------
    base_
        Impairments per exposure of each signal, shape (4,).
    repeats_
        How many times likelier an impairment is when those just impaired are counted too, shape (4,).
    dispersion_
        Variance over mean of block counts of one-dimension cohorts, at least 1, shape (4,).
    """

    def __init__(
        self,
        strength: float = 10.0,
        sweeps: int = 6,
        dispersion_hours: int = 4,
        local_hours: LocalHours | None = None,
        prior_share: float = 0.001,
    ) -> None:
        self.strength = strength
        self.sweeps = sweeps
        self.dispersion_hours = dispersion_hours
        self.local_hours = local_hours
        self.prior_share = prior_share

    def fit(self, counts: HourlyCounts) -> RateModel:
        """Learn base rates, factors, repeats and dispersion; returns itself."""
        self.base_: Array = _share(counts.fresh, counts.at_risk, self.prior_share)
        self.repeats_: Array = _share(counts.all, counts.exposed, self.prior_share) / self.base_
        keys = self._keys(counts.codes, counts.hour)
        self.factors_: list[Array] = [np.ones((int(k.max(initial=-1)) + 2, len(SIGNALS))) for k in keys]
        expected = counts.at_risk * self.base_
        for _ in range(self.sweeps):
            for factor, key in zip(self.factors_, keys, strict=True):
                expected = self._refit(factor, key, counts.fresh, expected)
        self.dispersion_: Array = self._dispersion(counts, expected)
        return self

    def expected(self, observations: Observations) -> Array:
        """Return the expected fresh impairments of each slice and signal, shape (n, 4)."""
        return observations.at_risk * self.rates(observations.codes, observations.slot // SLOTS_PER_HOUR)

    def usual(self, observations: Observations) -> Array:
        """Return the expected impairments of each slice and signal, fresh or not, shape (n, 4)."""
        rate = self.rates(observations.codes, observations.slot // SLOTS_PER_HOUR)
        return np.asarray(observations.exposed * rate * self.repeats_)

    def rates(self, codes: NDArray[np.int32], hour: NDArray[np.int64]) -> Array:
        """Return the fresh impairments per exposure for dimension codes and hours since 1970, shape (n, 4)."""
        rate = np.tile(self.base_, (len(hour), 1))
        for factor, key in zip(self.factors_, self._keys(codes, hour), strict=True):
            known = key < len(factor) - 1
            rate *= factor[np.where(known, key, -1)]
        return rate

    def _keys(self, codes: NDArray[np.int32], hour: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Factor keys: one per dimension and one for country and local hour of day; the last place is "no factor"."""
        country = codes[:, MODEL_DIMENSIONS.index("country")].astype(np.int64)
        dims = [codes[:, i].astype(np.int64) for i in range(len(MODEL_DIMENSIONS))]
        of_day = hour % HOURS_A_DAY if self.local_hours is None else self.local_hours.of(codes, hour)
        return [*dims, np.where(country == MISSING, MISSING, country * HOURS_A_DAY + of_day)]

    def _refit(self, factor: Array, key: NDArray[np.int64], fresh: Array, expected: Array) -> Array:
        """Re-estimate one factor in place and return the new expectations."""
        without = expected / factor[key]
        for signal in range(len(SIGNALS)):
            place = key % len(factor)
            seen = np.bincount(place, fresh[:, signal], len(factor))
            due = np.bincount(place, without[:, signal], len(factor))
            factor[:, signal] = (seen + self.strength) / (due + self.strength)
        factor[-1] = 1.0
        return np.asarray(without * factor[key], dtype=float)

    def _dispersion(self, counts: HourlyCounts, expected: Array) -> Array:
        """Pearson's chi-square over degrees of freedom, over blocks of hours and one-dimension cohorts."""
        block = counts.hour // self.dispersion_hours
        excess, weight = np.zeros(len(SIGNALS)), np.full(len(SIGNALS), 1e-9)
        for dimension in range(counts.codes.shape[1]):
            code = counts.codes[:, dimension].astype(np.int64) - MISSING
            key = block * (int(code.max(initial=0)) + 1) + code
            group = np.unique(key, return_inverse=True)[1].ravel()
            for signal in range(len(SIGNALS)):
                due = np.bincount(group, expected[:, signal])
                seen = np.bincount(group, counts.fresh[:, signal])
                enough = due >= 1
                chi = (seen[enough] - due[enough]) ** 2 / due[enough]
                excess[signal] += np.minimum(chi, 25).sum()
                weight[signal] += enough.sum()
        return np.asarray(np.maximum(excess / weight, 1.0), dtype=float)


def _share(impaired: Array, chances: Array, prior_share: float) -> Array:
    """Impairments per chance, near the prior where there is little to go by."""
    shrunk = (impaired.sum(axis=0) + PRIOR_CHANCES * prior_share) / (chances.sum(axis=0) + PRIOR_CHANCES)
    return np.asarray(np.maximum(shrunk, MIN_BASE))
