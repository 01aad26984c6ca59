"""What a difference between told and held out comes to, in a plain sentence that does not cry wolf."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from notifiers.effect.intervals import (
    LEVEL,
    Mean,
    Share,
    lasting_z,
    mean_difference,
    normal_z,
    share_difference,
)

LEAST_PEOPLE = 20
"""Of each arm; the numbers of fewer people are hidden, for they may tell of one."""
FEW_PEOPLE = 100
"""Of the smaller arm; below, the numbers are marked as shaky."""
LEAST_CASES = 5.0
"""Cases and non-cases, over both arms, before a share is judged at all."""
LONGEST_WAIT_DAYS = 365
"""Who would have to wait longer needs more people held out, not patience."""


class Outcome(StrEnum):
    """What can be said of a difference by now."""

    HELPS = "helps"
    HARMS = "harms"
    SAME = "same"
    TOO_EARLY = "too_early"


@dataclass(frozen=True)
class Comparison:
    """Told against held out in one measure.

    Parameters
    ----------
    told, held_out
        The measure in each arm; None where it is hidden or nobody was measured.
    told_count, held_out_count
        Over how many people or contacts.
    difference, low, high
        ``told - held_out`` and its 95 % limits.
    outcome
        What may be said of it, however often one looks.
    days_to_go
        Of more of the same, until more than "too early" can be said; None where that is not the outcome, or where it
        would take longer than `LONGEST_WAIT_DAYS`.
    hidden
        Whether an arm is smaller than `LEAST_PEOPLE`.
    shaky
        Whether it is smaller than `FEW_PEOPLE`.
    """

    told: float | None
    held_out: float | None
    told_count: float
    held_out_count: float
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    outcome: Outcome = Outcome.TOO_EARLY
    days_to_go: int | None = None
    hidden: bool = False
    shaky: bool = False


Limits = Callable[[float], tuple[float, float]]
"""Limits of a difference, by how many standard errors they are to reach."""


def compare_shares(
    told: Share | None, held: Share | None, *, better: int, smallest: float, days: float, alpha: float
) -> Comparison:
    """Compare a share of people between the arms.

    Parameters
    ----------
    told, held
        What was counted; None if there is nobody.
    better
        1 if more is better, -1 if less is.
    smallest
        The smallest difference that matters, in the share's own unit.
    days
        How long it was counted: more people come at the same pace.
    alpha
        Probability of ever crying wolf over this measure.
    """
    if told is None or held is None:
        return _unknown(told.all if told else 0.0, held.all if held else 0.0)
    shown = _Shown(told.value, held.value, told.all, held.all)
    cases = told.some + held.some
    ripe = min(cases, told.all + held.all - cases) >= LEAST_CASES
    return _judged(
        shown,
        lambda z: share_difference(told, held, z),
        _half_harmonic(told.size, held.size),
        ripe=ripe,
        better=better,
        smallest=smallest,
        days=days,
        alpha=alpha,
    )


def compare_means(
    told: Mean | None, held: Mean | None, *, better: int, smallest: float, days: float, alpha: float
) -> Comparison:
    """Compare a mean between the arms; parameters as for `compare_shares`."""
    if told is None or held is None:
        return _unknown(told.count if told else 0.0, held.count if held else 0.0)
    shown = _Shown(told.value, held.value, told.count, held.count)
    return _judged(
        shown,
        lambda z: mean_difference(told, held, z),
        _half_harmonic(told.size, held.size),
        ripe=told.error + held.error > 0,
        better=better,
        smallest=smallest,
        days=days,
        alpha=alpha,
    )


@dataclass(frozen=True)
class _Shown:
    told: float
    held: float
    told_count: float
    held_count: float


def _unknown(told: float, held: float) -> Comparison:
    return Comparison(None, None, told, held, hidden=True, shaky=True)


def _half_harmonic(one: float, other: float) -> float:
    return 1 / (1 / one + 1 / other)


def _judged(
    shown: _Shown, limits: Limits, size: float, *, ripe: bool, better: int, smallest: float, days: float, alpha: float
) -> Comparison:
    fewest = min(shown.told_count, shown.held_count)
    if fewest < LEAST_PEOPLE:
        return Comparison(None, None, shown.told_count, shown.held_count, hidden=True, shaky=True)
    low, high = limits(normal_z(LEVEL))
    sure = limits(lasting_z(size, alpha))
    outcome = _outcome(sure, better, smallest) if ripe else Outcome.TOO_EARLY
    reach = max((high - low) / 2 / normal_z(LEVEL), 1e-12)
    early = outcome is Outcome.TOO_EARLY
    return Comparison(
        shown.told,
        shown.held,
        shown.told_count,
        shown.held_count,
        shown.told - shown.held,
        low,
        high,
        outcome,
        _days_to_go(reach, size, smallest, days, alpha) if early else None,
        shaky=fewest < FEW_PEOPLE,
    )


def _outcome(limits: tuple[float, float], better: int, smallest: float) -> Outcome:
    low, high = limits
    if low > 0 or high < 0:
        return Outcome.HELPS if (low > 0) == (better > 0) else Outcome.HARMS
    return Outcome.SAME if -smallest <= low and high <= smallest else Outcome.TOO_EARLY


def _days_to_go(error: float, size: float, smallest: float, days: float, alpha: float) -> int | None:
    """Return for how many more days people must come at this pace until the limits reach `smallest` and no further."""

    def is_enough(times: float) -> bool:
        return lasting_z(size * times, alpha) * error / math.sqrt(times) <= smallest

    for more in range(1, LONGEST_WAIT_DAYS + 1):
        if is_enough(1 + more / max(days, 1.0)):
            return more
    return None


def sentence(comparison: Comparison, smallest: str) -> str:
    """Return a plain verdict, such as "Too early to tell: about 9 more days".

    Parameters
    ----------
    comparison
        What was compared.
    smallest
        The smallest difference that matters, as it is to be read: ``2 points``.
    """
    if comparison.hidden:
        return f"Too few people to say: fewer than {LEAST_PEOPLE} told or held out."
    if comparison.outcome is Outcome.HELPS:
        return "It helps."
    if comparison.outcome is Outcome.HARMS:
        return "It harms."
    if comparison.outcome is Outcome.SAME:
        return f"No difference larger than {smallest}."
    if comparison.days_to_go is None:
        return "Too early to tell, and at this pace it would take over a year: hold out a larger share of people."
    days = comparison.days_to_go
    return f"Too early to tell: about {days} more {'day' if days == 1 else 'days'}."
