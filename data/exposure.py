"""Which attempts a fault can touch, and how strongly at a given time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from data.arrays import HOUR_MS, Bools, Floats, Ints, chances, epoch_ms, overlap
from data.attempts import Attempts
from data.population import Population
from data.recipe import Fault, Profile, Recipe
from data.vocabulary import Vocabulary

MIN_HOUSEHOLD_RATE = 1.5
"""A household that hardly watches cannot show its trouble; single faults hit people who watch daily."""


@dataclass(frozen=True)
class Strike:
    """A fault and the subscribers whom it can hit: everyone of its cohort, or one household.

    Parameters
    ----------
    fault
        What goes wrong, with its own start and end.
    can_hit
        One flag a subscriber.
    truth_id
        The fault's name in the truth, or None if it is one household's own.
    """

    fault: Fault
    can_hit: Bools
    truth_id: str | None

    @property
    def start_ms(self) -> int:
        """When it begins."""
        return epoch_ms(self.fault.start)

    @property
    def end_ms(self) -> int:
        """When it is over."""
        return epoch_ms(self.fault.end)

    def targets(self, attempts: Attempts, vocabulary: Vocabulary) -> Bools:
        """Return which attempts belong to its people and its cohort, whenever they happen."""
        return self.can_hit[attempts.subscriber] & vocabulary.mask(attempts.dims, self.fault.cohort)

    def strength(self, start_ms: Ints, end_ms: Ints) -> Floats:
        """Return the share of each interval in which the fault is on, times how strong it is then."""
        share = overlap(start_ms, end_ms, self.start_ms, self.end_ms)
        if self.fault.effect.profile is Profile.FLAT:
            return share
        grown = (start_ms - self.start_ms) / (self.end_ms - self.start_ms)
        return share * np.clip(grown, 0.0, 1.0)


def strikes_of(recipe: Recipe, people: Population, vocabulary: Vocabulary, rng: np.random.Generator) -> list[Strike]:
    """Turn a recipe's faults into strikes, one for each cohort fault and one for each household hit."""
    cohort_faults = [fault for fault in recipe.faults if not fault.households]
    strikes = [
        Strike(fault, rng.random(len(people)) < fault.effect.subscriber_share, f"F{number:02d}")
        for number, fault in enumerate(cohort_faults, start=1)
    ]
    taken = np.zeros(len(people), dtype=bool)
    for fault in recipe.faults:
        strikes += _household_strikes(fault, people, vocabulary, taken, rng)
    return strikes


def _household_strikes(
    fault: Fault, people: Population, vocabulary: Vocabulary, taken: Bools, rng: np.random.Generator
) -> Sequence[Strike]:
    at_home = vocabulary.mask(people.homes, people.home_part(fault.cohort))
    if fault.cohort.get("connection_type") == "wifi":
        at_home &= people.is_wired == 0
    able = np.flatnonzero(at_home & ~taken & (people.rate >= MIN_HOUSEHOLD_RATE))
    chosen = rng.choice(able, min(fault.households, len(able)), replace=False, p=chances(people.rate[able]))
    taken[chosen] = True
    return [_one_household(fault, int(who), len(people), rng) for who in chosen]


def _one_household(fault: Fault, who: int, size: int, rng: np.random.Generator) -> Strike:
    delay = timedelta(milliseconds=int(rng.integers(0, 6 * HOUR_MS)))
    start = min(fault.start + delay, fault.end - (fault.end - fault.start) / 2)
    return Strike(replace(fault, start=start), np.arange(size) == who, None)
