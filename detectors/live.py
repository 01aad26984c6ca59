"""Watch counts minute by minute: alarm when a cohort is struck, and name the cause.

Every minute is judged by what is usual of each leaf, learned from the minutes before. What an open alarm explains is
left out, so that another cause can still raise its own; the name may be corrected for a short while.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from detectors.leaf_causes import PRICES, Cause, CausePrices, MinuteCounts, rank_causes
from detectors.leaf_cohorts import LeafCohorts, holds_any
from detectors.leaf_rates import PastCounts, UsualRates, log_beta_binomial, log_struck

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

MEMORY_MINUTES = 30
EFFECTS = np.array([0.008, 0.015, 0.03, 0.05, 0.08, 0.12, 0.18, 0.26, 0.36, 0.5, 0.65, 0.8])
"""Effects tried by the alarm, as in `detectors.leaf_causes`."""
RESPONDING = 0.95
"""Share of a struck cohort's leaves that respond."""
BY_CHANCE = 1e-8
"""Chance that anything happens to a leaf by itself: it bounds one leaf's evidence at 18 nats."""
EFFECT_STRENGTH = 15.0
"""How alike the effects on a cohort's leaves are, as a Beta's sum of parameters."""
SLACK = 0.3
"""Excess over the usual rate, as a share, that is never surprising."""
PRICE_PER_ATTRIBUTE = 2.0
SAME_CAUSE = 0.3
"""Share of the smaller excess that two causes must have in common to be the same one, named better."""


@dataclass(frozen=True)
class AlarmRule:
    """When a minute is worth an alarm. It takes surprise as well as substance.

    Attributes
    ----------
    nats
        Evidence of the most surprising cohort, after prices.
    share
        Its excess of stalled viewers, as a share of all viewers.
    viewers
        Its excess of stalled viewers.
    rate
        Its excess of stalled viewers, as a share of its own.
    worse
        Times the excess that an open alarm has seen, from which it is raised again.
    warm_minutes
        Minutes of a stream that are only learned from: what is struck all along cannot be told from what is usual.
    quiet_minutes
        Minutes without evidence after which an alarm is over.
    correction_minutes
        Minutes after the alarm in which stronger evidence may correct the name.
    """

    nats: float = 10.0
    share: float = 0.003
    viewers: float = 10.0
    rate: float = 0.03
    worse: float = 3.0
    warm_minutes: int = 2
    quiet_minutes: int = 3
    correction_minutes: int = 2


RULE = AlarmRule()


@dataclass
class LiveAlarm:
    """An alarm: the minute's number in which it was raised, its nats then, and its causes as now named, best first.

    `last_struck` is the last minute with evidence, `excess` the most stalled viewers above what was due so far, and
    `past` are the minutes before it was raised: what came later may hold the fault itself.
    """

    minute: int
    nats: float
    causes: list[Cause]
    last_struck: int
    excess: float
    past: PastCounts

    def holds(self, cohorts: LeafCohorts) -> Mask:
        """Return which leaves the first cause explains."""
        return holds_any(cohorts.leaves, self.causes[0].cohorts if self.causes else ())


def leaf_evidence(struck: Array, seen: Array, usual: UsualRates) -> Array:
    """Return how much better each effect explains each leaf than "as usual", in nats, shape (leaves, effects).

    Both are beta-binomial. "As usual" allows some slack and, rarely, anything; a struck leaf may not respond. So each
    leaf's evidence is bounded, however many viewers it has.
    """
    observed = struck / np.maximum(seen, 1)
    rate = np.clip(np.clip(observed, usual.rate, usual.rate * (1 + SLACK)), 1e-4, 0.95)
    anything = log_struck(struck, seen) + np.log(BY_CHANCE)
    normal = np.logaddexp(np.log1p(-BY_CHANCE) + log_beta_binomial(struck, seen, rate, usual.strength), anything)
    q = rate[:, None] + (1 - rate[:, None]) * EFFECTS
    hit = log_beta_binomial(struck[:, None], seen[:, None], q, EFFECT_STRENGTH) + np.log(RESPONDING)
    either = np.logaddexp(hit, np.log1p(-RESPONDING) + normal[:, None])
    return np.where(seen[:, None] > 0, either - normal[:, None], 0.0)


class LiveWatch:
    """Judge minute after minute of one stream of counts.

    Parameters
    ----------
    cohorts
        The cohorts of the stream's leaves.
    rule, prices
        See there.
    """

    def __init__(self, cohorts: LeafCohorts, rule: AlarmRule = RULE, prices: CausePrices = PRICES) -> None:
        self.cohorts = cohorts
        self.rule = rule
        self.prices = prices
        self.minute = -1
        self.open: list[LiveAlarm] = []
        self._struck: deque[Array] = deque(maxlen=MEMORY_MINUTES)
        self._seen: deque[Array] = deque(maxlen=MEMORY_MINUTES)

    def step(self, struck: Array, seen: Array) -> list[LiveAlarm]:
        """Take in the next minute, shape (leaves,), and return the alarms that it raises.

        An alarm is changed in place while its name may be corrected.
        """
        self.minute += 1
        past = self._past(len(seen))
        self._struck.append(struck)
        self._seen.append(seen)
        if self.minute < self.rule.warm_minutes or not len(self.cohorts):
            return []
        now = _Minute(self.cohorts, MinuteCounts(struck, seen, past), self.rule)
        if not self.open and not now.matters(now.everyone).any():
            return []
        worse = [alarm for alarm in list(self.open) if self._follow(alarm, now)]
        still = [a for a in self.open if self.minute - a.last_struck <= self.rule.quiet_minutes]
        self.open = [a for a in still if not any(a is other for other in worse)]
        left = self._unexplained()
        return [self._alarm(now, left)] if now.most_surprising(left) >= self.rule.nats else []

    def _past(self, leaves: int) -> PastCounts:
        shape = (len(self._seen), leaves)
        return PastCounts(np.array(self._struck).reshape(shape), np.array(self._seen).reshape(shape))

    def _alarm(self, now: _Minute, left: Mask) -> LiveAlarm:
        """Open an alarm for what is left unexplained."""
        causes = rank_causes(self.cohorts, [replace(now.counts, explained=~left)], self.prices)
        excess = causes[0].excess if causes else 0.0
        alarm = LiveAlarm(self.minute, now.most_surprising(left), causes, self.minute, excess, now.counts.past)
        self.open.append(alarm)
        return alarm

    def _unexplained(self, but: LiveAlarm | None = None) -> Mask:
        """Return which leaves no open alarm explains, one left out."""
        left = np.ones(len(self.cohorts.leaves), bool)
        for alarm in self.open:
            if alarm is not but:
                left &= ~alarm.holds(self.cohorts)
        return left

    def _follow(self, alarm: LiveAlarm, now: _Minute) -> bool:
        """See whether an open alarm goes on; return whether it got so much worse that it is to be raised again.

        While that is allowed, a minute that shows more of it corrects the name.
        """
        before = alarm.excess
        if self.minute - alarm.minute <= self.rule.correction_minutes:
            self._correct(alarm, now)
        held = alarm.holds(self.cohorts)
        excess, struck = now.excess(held), now.nats(held) >= self.rule.nats
        alarm.excess = max(excess, before)
        if struck:
            alarm.last_struck = self.minute
        return struck and excess > self.rule.worse * before

    def _correct(self, alarm: LiveAlarm, now: _Minute) -> None:
        """Name an alarm by this minute, if it shows more of the same, by what was usual when the alarm was raised."""
        left, then = self._unexplained(but=alarm), replace(now, counts=replace(now.counts, past=alarm.past))
        if then.most_surprising(left) < self.rule.nats:
            return
        causes = rank_causes(self.cohorts, [replace(then.counts, explained=~left)], self.prices)
        held, new = alarm.holds(self.cohorts), holds_any(self.cohorts.leaves, causes[0].cohorts if causes else ())
        if not causes or then.excess(new & left) <= alarm.excess:
            return
        if then.excess(new & held) >= SAME_CAUSE * min(then.excess(held), then.excess(new)):
            alarm.causes = causes


@dataclass(frozen=True)
class _Minute:
    """A minute's counts and the evidence in them."""

    cohorts: LeafCohorts
    counts: MinuteCounts
    rule: AlarmRule

    @property
    def everyone(self) -> Mask:
        """All leaves."""
        return np.ones(len(self.counts.seen), bool)

    @cached_property
    def evidence(self) -> Array:
        """Each leaf's nats for each effect."""
        return leaf_evidence(self.counts.struck, self.counts.seen, self.counts.usual)

    @cached_property
    def above(self) -> Array:
        """Stalled viewers of each leaf above what was due."""
        return self.counts.struck - self.counts.seen * self.counts.usual.rate

    def excess(self, leaves: Mask) -> float:
        """Return the stalled viewers of some leaves above what was due."""
        return float(self.above[leaves].sum())

    def nats(self, leaves: Mask) -> float:
        """Return the evidence that some leaves have a common effect."""
        return float(self.evidence[leaves].sum(axis=0).max(initial=0.0))

    def matters(self, leaves: Mask) -> Mask:
        """Return of which cohorts the excess within some leaves has substance."""
        excess, viewers = self.cohorts.sums(self.above * leaves), self.cohorts.sums(self.counts.seen * leaves)
        least = max(self.rule.viewers, self.rule.share * float(self.counts.seen.sum()))
        return np.asarray((excess >= least) & (excess >= self.rule.rate * viewers))

    def most_surprising(self, leaves: Mask) -> float:
        """Return the evidence of the most surprising cohort that has substance, among some leaves, after prices."""
        matters = self.matters(leaves)
        if not matters.any():
            return 0.0
        nats = self.cohorts.sums(self.evidence * leaves[:, None]).max(axis=1) - PRICE_PER_ATTRIBUTE * self.cohorts.sizes
        return float(nats[matters].max())


def causes_at(
    cohorts: LeafCohorts, struck: Array, seen: Array, minute: int, prices: CausePrices = PRICES
) -> list[Cause]:
    """Rank the causes of a given minute by it and those before, best first; counts have the shape (minutes, leaves)."""
    first = max(0, minute - MEMORY_MINUTES)
    past = PastCounts(struck[first:minute], seen[first:minute])
    return rank_causes(cohorts, [MinuteCounts(struck[minute], seen[minute], past)], prices)
