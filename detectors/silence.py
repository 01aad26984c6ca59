"""Silence: cohorts from which much less telemetry comes than is usual, and how it stopped.

Each cohort of one dimension, and everyone, is held against `detectors.volume`'s expectation for the newest slots. The
expectation is scaled by the level, never above 1, of the lowest of two: the rest of the service now (so that a global
ebb is no alarm, and a flash crowd elsewhere asks nothing of others), and the cohort itself in the hours before (so
that a holiday is none). Only a deficit counts, only where enough was expected and at least a week was learnt, and
only if it goes on.

Of overlapping cohorts the one that explains most is named, by the log likelihood ratio of "a share of it is left"
against "as expected", x * log(x / m) - (x - m): a country of which one network is silent explains less than that
network. Near ties go to the smallest. What it explains is taken out before the next is looked for.

What it cannot see: cohorts of two dimensions, such as one network in one of its countries; a slow fade over hours,
which the level follows; a loss of less than two thirds of the events; what began before the first week was learnt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from detectors.observations import Observations
from detectors.poisson import Array
from detectors.rates import SLOTS_PER_HOUR
from detectors.tally import Course, Mask, Part, Tally, all_parts
from detectors.volume import MEASURES, PLAYS, PRESENCE, VOLUME_DIMENSIONS, VOLUME_PLACES, SeasonalVolume


@dataclass(frozen=True)
class SilenceRule:
    """When less telemetry is silence.

    Parameters
    ----------
    settling
        Newest slots that are not judged: heartbeats of the sessions going on in them have not all come.
    windows
        Slots looked back at: a quarter of an hour for a full stop of much traffic, an hour for less.
    before
        Slots before the longest window that show the cohort's own level.
    least_slices, least_plays
        Expected counts below which a cohort is too small to be missed.
    most_left
        Share of what was expected above which something is less, and not silent.
    margin_nats
        Surprise above the logarithm of the number of looks.
    least_days
        Learnt days at the hour of day.
    prior
        Counts by which levels are shrunk to 1.
    most_at_once
        Silent cohorts named in one step.
    there
        Share of the usual presence in the newest slot without which it is not plays alone that are missing: if sessions
        are stopping too, the next step will tell.
    moved
        Share of what is missing that, seen from the same people elsewhere, means that they only moved.
    """

    settling: int = 1
    windows: tuple[int, ...] = (3, 6, 12)
    before: int = 36
    least_slices: float = 40.0
    least_plays: float = 15.0
    most_left: float = 0.3
    margin_nats: float = 5.0
    least_days: int = 7
    prior: float = 20.0
    most_at_once: int = 5
    there: float = 0.5
    moved: float = 0.5

    @property
    def span(self) -> int:
        """Slots that are needed at least."""
        return self.settling + max(self.windows) + self.before

    @property
    def least(self) -> Array:
        """The least expected counts, presence first, shape (2,)."""
        return np.array([self.least_slices, self.least_plays])


@dataclass(frozen=True)
class SilentCohort:
    """A cohort that is silent now.

    Attributes
    ----------
    part
        Which.
    measure
        `PRESENCE` if nobody is there, `PLAYS` if only nobody begins.
    since_slot
        When it began, the likeliest.
    observed, expected
        Counts since then.
    surprise
        In nats, of the most surprising window.
    continued
        Share (0 to 1) of the sessions present just before that were seen again: low if they were cut, and about
        what is usual if only new ones are missing. NaN if there was none.
    networks, silent_networks, cdns, silent_cdns
        How many of each were expected in it, and how many of them are silent.
    """

    part: Part
    measure: int
    since_slot: int
    observed: float
    expected: float
    surprise: float
    continued: float
    networks: int
    silent_networks: int
    cdns: int
    silent_cdns: int


@dataclass(frozen=True)
class Silence:
    """Looks for silent cohorts in the recent slices.

    Parameters
    ----------
    volume
        What is usual.
    rule
        When less is silence.
    """

    volume: SeasonalVolume
    rule: SilenceRule = field(default_factory=SilenceRule)

    def find(self, rows: Observations, now_slot: int, known: Sequence[Part] = ()) -> list[SilentCohort]:
        """Return the cohorts that are silent, the one that explains most first.

        Parameters
        ----------
        rows
            The recent slices.
        now_slot
            The slot after the newest.
        known
            Silent cohorts that are known: they are left out.
        """
        end = now_slot - self.rule.settling
        if self.volume.days(end // SLOTS_PER_HOUR) < self.rule.least_days:
            return []
        whole = Tally.of(self.volume, rows, now_slot - self.rule.span, end)
        left = whole
        for part in known:
            left = left.without(part)
        found = []
        for _ in range(self.rule.most_at_once):
            best = self._best(left)
            if best is None:
                break
            part, measure, surprise = best
            silent = self._describe(left, rows, part, measure, surprise)
            if not self._moved(rows, silent, end):
                found.append(silent)
            left = left.without(part)
        return found

    def course(self, rows: Observations, part: Part, since_slot: int, end: int) -> Course:
        """Return how a part ran from the hours before `since_slot` to `end`, its expectation at the level before it."""
        whole = Tally.of(self.volume, rows, since_slot - self.rule.before, end)
        mine = whole.within(part).course()
        before, after = mine.until(since_slot), mine.since(since_slot)
        own = self._level(before.observed.sum(axis=0), before.expected.sum(axis=0))
        rest = np.ones(len(MEASURES))
        if part.dimension >= 0:
            others = whole.without(part).course().since(since_slot)
            rest = self._level(others.observed.sum(axis=0), others.expected.sum(axis=0))
        return Course(after.slots, after.observed, after.expected * np.minimum(own, rest))

    def _level(self, observed: Array, expected: Array) -> Array:
        """Return how much of what is expected there is, at most 1."""
        return np.minimum((observed + self.rule.prior) / (expected + self.rule.prior), 1.0)

    def _best(self, tally: Tally) -> tuple[Part, int, float] | None:
        parts, observed, expected = all_parts(tally)
        longest = max(self.rule.windows)
        own = self._level(observed[:, :-longest].sum(axis=1), expected[:, :-longest].sum(axis=1))
        looks = [self._look(observed, expected, own, window) for window in self.rule.windows]
        going_on = looks[0][3]
        there = observed[:, -1, PRESENCE] >= self.rule.there * expected[:, -1, PRESENCE] * own[:, PRESENCE]
        going_on[:, PLAYS] &= there
        for measure in (PRESENCE, PLAYS):
            best = self._most_explaining(expected, looks, going_on, measure)
            if best is not None:
                return parts[best[0]], measure, best[1]
        return None

    def _look(self, observed: Array, expected: Array, own: Array, window: int) -> tuple[Array, Array, Array, Mask]:
        """Return counts seen, due and their surprise in the newest slots, shape (parts, 2), and where hardly any is."""
        seen, due = observed[:, -window:].sum(axis=1), expected[:, -window:].sum(axis=1)
        rest = self._level(seen[0] - seen, np.maximum(due[0] - due, 0))
        due = due * np.minimum(rest, own)
        surprise = np.column_stack([self.volume.surprise(seen[:, m], due[:, m], m) for m in (PRESENCE, PLAYS)])
        return seen, due, surprise, seen <= self.rule.most_left * due + (np.arange(len(MEASURES)) == PLAYS)

    def _most_explaining(
        self, expected: Array, looks: list[tuple[Array, Array, Array, Mask]], going_on: Mask, measure: int
    ) -> tuple[int, float] | None:
        """Return the place of the part that explains most of the missing counts, and its surprise."""
        llr, surprise = np.zeros(len(expected)), np.zeros(len(expected))
        tried = sum(np.count_nonzero(due[:, measure] >= self.rule.least[measure]) for _, due, _, _ in looks)
        price = np.log(max(2 * tried, 1)) + self.rule.margin_nats
        for seen, due, surprises, _ in looks:
            x, m, nats = seen[:, measure], due[:, measure], surprises[:, measure]
            counts = (m >= self.rule.least[measure]) & (x <= self.rule.most_left * m) & going_on[:, measure]
            counts &= nats >= price
            explains = m - x + x * np.log(np.maximum(x, 1e-9) / np.maximum(m, 1e-9))
            llr = np.where(counts, np.maximum(llr, explains), llr)
            surprise = np.where(counts, np.maximum(surprise, nats), surprise)
        if not llr.any():
            return None
        near = np.flatnonzero(llr >= 0.97 * llr.max())
        size = expected[near, :, measure].sum(axis=1)
        smallest = near[len(near) - 1 - int(size[::-1].argmin())]
        return int(smallest), float(surprise[smallest])

    def _describe(self, tally: Tally, rows: Observations, part: Part, measure: int, surprise: float) -> SilentCohort:
        end = int(tally.slots[-1]) + 1
        longest = 2 * max(self.rule.windows)
        course = self.course(rows, part, end - longest, end)
        since = min(course.turn(measure, self.rule.most_left / 3), end - min(self.rule.windows))
        seen, due = course.since(since).sums(measure)
        mine = tally.within(part)
        networks, cdns = (self._silent(mine, VOLUME_DIMENSIONS.index(name), since, measure) for name in ("isp", "cdn"))
        return SilentCohort(part, measure, since, seen, due, surprise, _continued(rows, part, since), *networks, *cdns)

    def _silent(self, tally: Tally, dimension: int, since: int, measure: int) -> tuple[int, int]:
        """Return how many values of a dimension are expected in a tally, and how many of these are silent."""
        observed, expected = tally.by(dimension)
        late = tally.slots >= max(since, int(tally.slots[0]))
        seen, due = observed[:, late, measure].sum(axis=1), expected[:, late, measure].sum(axis=1)
        enough = due >= self.rule.least[measure] / 8
        return int(enough.sum()), int((enough & (seen <= 2 * self.rule.most_left * due)).sum())

    def _moved(self, rows: Observations, silent: SilentCohort, end: int) -> bool:
        """Whether the people of a silent cohort are seen elsewhere, more than before: they moved, or were renamed."""
        inside = silent.part.inside(rows.codes[:, VOLUME_PLACES])
        theirs = np.isin(rows.subscriber, np.unique(rows.subscriber[inside])) & ~inside
        length = end - silent.since_slot
        now = np.count_nonzero(theirs & (rows.slot >= silent.since_slot) & (rows.slot < end))
        earlier = theirs & (rows.slot < silent.since_slot) & (rows.slot >= silent.since_slot - length)
        if silent.measure == PLAYS:
            plays = rows.exposed[:, MEASURES[PLAYS]]
            now = np.count_nonzero(theirs & plays & (rows.slot >= silent.since_slot) & (rows.slot < end))
            earlier &= plays
        return bool(now - np.count_nonzero(earlier) >= self.rule.moved * silent.expected)


def _continued(rows: Observations, part: Part, since: int) -> float:
    """Return the share of a part's sessions of the two slots before `since` that were seen after it began."""
    mine = part.inside(rows.codes[:, VOLUME_PLACES])
    before = np.unique(rows.session[mine & (rows.slot >= since - 2) & (rows.slot < since)])
    if not len(before):
        return float("nan")
    after = np.unique(rows.session[mine & (rows.slot > since)])
    return float(np.isin(before, after).mean())
