"""Made-up slices by the thousand, as detection sees them, for measuring how fast it is."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from detectors.observations import MISSING, SIGNALS, SLOT_US, Codes, Observations, Vocabularies
from detectors.rates import MODEL_DIMENSIONS, HourlyCounts, RateModel
from telemetry.contract import DIMENSIONS

VALUES = {
    "country": 3,
    "region": 18,
    "isp": 24,
    "cdn": 4,
    "device_type": 6,
    "app_version": 24,
    "connection_type": 4,
    "content_type": 2,
    "title_id": 400,
}
"""How many values each dimension has; together they make up to 27,000 cohorts of one to three dimensions."""
SHARES = np.array([0.03, 0.04, 0.01, 0.005])
"""How often a slice is impaired, in the order of `SIGNALS`."""
FIRST_SLOT = 5_900_000
"""A slot in 2026."""
SLICE_MS = 300_000


@dataclass(frozen=True)
class Market:
    """The finest cohorts that people belong to, shape (leaves, 9)."""

    leaves: Codes

    @classmethod
    def draw(cls, count: int, rng: np.random.Generator) -> Market:
        """Draw finest cohorts; a region lies in one country, a network and a version belong to one each too."""
        codes = np.column_stack([rng.integers(0, VALUES[name], count) for name in DIMENSIONS])
        place = {name: number for number, name in enumerate(DIMENSIONS)}
        codes[:, place["country"]] = codes[:, place["region"]] % VALUES["country"]
        networks = VALUES["isp"] // VALUES["country"]
        country = codes[:, place["country"]]
        codes[:, place["isp"]] = country * networks + codes[:, place["isp"]] % networks
        versions = VALUES["app_version"] // VALUES["device_type"]
        device = codes[:, place["device_type"]]
        codes[:, place["app_version"]] = device * versions + codes[:, place["app_version"]] % versions
        return cls(codes.astype(np.int32))

    def words(self) -> Vocabularies:
        """Return vocabularies in which every value of a dimension has its code."""
        words = Vocabularies()
        for vocabulary, (name, count) in zip(words.dimensions, VALUES.items(), strict=True):
            vocabulary.encode(pa.chunked_array([[f"{name}-{number}" for number in range(count)]]))
        return words

    def model(self, rng: np.random.Generator, days: int = 7) -> RateModel:
        """Return a model of what is normal, learnt from made-up counts of some days."""
        hours = 24 * days
        codes = np.repeat(self.leaves[:, : len(MODEL_DIMENSIONS)], 4, axis=0)
        tried = rng.poisson(30, (len(codes), len(SIGNALS))).astype(float)
        bad = rng.binomial(tried.astype(np.int64), SHARES).astype(float)
        hour = FIRST_SLOT // 12 - 1 - rng.integers(0, hours, len(codes))
        return RateModel().fit(HourlyCounts(codes, hour, tried, tried, bad, bad))

    def slices(self, leaf: NDArray[np.int64], slot: int, first: int, rng: np.random.Generator) -> Observations:
        """Return one slice of a new session of a new person in each of some finest cohorts.

        Parameters
        ----------
        leaf
            The cohorts, shape (n,).
        slot
            When.
        first
            The number of the first person and session.
        rng
            Decides who is impaired.
        """
        count = len(leaf)
        who = np.arange(first, first + count, dtype=np.int32)
        bad = rng.random((count, len(SIGNALS))) < SHARES
        zeros, flags = np.zeros(count, np.int64), np.zeros((count, len(SIGNALS)), bool)
        moment = np.full(count, slot * SLOT_US)
        return Observations(
            session=who,
            subscriber=who.copy(),
            slot=np.full(count, slot),
            codes=self.leaves[leaf],
            exposed=np.ones_like(bad),
            bad=bad,
            account=flags[:, 0],
            at_risk=flags,
            fresh=flags,
            playing_ms=np.full(count, SLICE_MS),
            stalled_ms=np.where(bad[:, 0], rng.integers(10_000, 60_000, count), zeros),
            own_ratio=np.full(count, 0.002),
            stalling_factor=np.ones(count),
            startup_ratio=np.ones(count),
            first_us=moment,
            last_us=moment + 1_000 * SLICE_MS,
            error_class=np.full(count, MISSING, np.int32),
        )

    def sessions(self, subscribers: int, slot: int, rng: np.random.Generator) -> Observations:
        """Return new sessions of everybody, one slice each, and of every other person one more."""
        once = self.slices(rng.integers(0, len(self.leaves), subscribers), slot, 0, rng)
        second = once.take(np.arange(0, subscribers, 2))
        later = replace(
            second,
            session=(second.session + subscribers).astype(np.int32),
            slot=second.slot + 1,
            first_us=second.first_us + SLOT_US,
            last_us=second.last_us + SLOT_US,
        )
        return Observations.concat([once, later])
