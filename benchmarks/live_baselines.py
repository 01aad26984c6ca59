"""What simpler methods say of the same cases."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.live_cases import Case
from detectors.cohorts import TITLE, subsets
from detectors.leaf_cohorts import Cohort
from detectors.localise import suspects
from detectors.observations import MISSING
from telemetry.contract import DIMENSIONS

Array = NDArray[np.float64]
Ranked = list[tuple[Cohort, ...]]

Z_ALARM = 3.0
LEAST_PAST = 3
MOST_GREEDY = 4
ADTRIBUTOR_SHARE = 0.67
"""Share of the excess that a set of values must explain, as in the paper."""


def z_score_alarms(case: Case, hold: int = 10) -> list[int]:
    """Return the minutes in which the whole's stall ratio is 3 robust deviations above its past, once in `hold`."""
    ratio = case.struck.sum(axis=1) / np.maximum(case.seen.sum(axis=1), 1)
    alarms: list[int] = []
    for minute in range(LEAST_PAST, len(ratio)):
        past = ratio[max(0, minute - 30) : minute]
        centre = np.median(past)
        deviation = max(1.4826 * float(np.median(np.abs(past - centre))), 0.05 * float(centre), 1e-4)
        quiet = not alarms or minute - alarms[-1] > hold
        if quiet and (ratio[minute] - centre) / deviation > Z_ALARM:
            alarms.append(minute)
    return alarms


def greedy(case: Case, minute: int) -> Ranked:
    """Rank cohorts by how far they stand out, narrowing one by one attribute at a time, as an analyst would."""
    due = _due(case, minute)
    struck, inside = case.struck[minute], np.ones(len(case.leaves), bool)
    cohort: Cohort = ()
    ranked: Ranked = []
    for _ in range(min(MOST_GREEDY, len(case.attributes))):
        best: tuple[float, Cohort] = (_z(struck, due, inside) if cohort else -np.inf, cohort)
        named = {a for a, _ in cohort}
        for attribute in (a for a in case.cohorts.attributes if a not in named):
            for code in np.unique(case.leaves[inside, attribute]):
                part = inside & (case.leaves[:, attribute] == code)
                if code != MISSING and (score := _z(struck, due, part)) > best[0]:
                    best = (score, (*cohort, (attribute, int(code))))
        if best[1] == cohort:
            break
        cohort = best[1]
        inside &= case.leaves[:, cohort[-1][0]] == cohort[-1][1]
        ranked.insert(0, (cohort,))
    return ranked


def house_plain(case: Case, minute: int) -> Ranked:
    """Rank by the house's cohort localiser, as it is used over slices of five minutes."""
    places = [d for d in range(len(DIMENSIONS)) if d != TITLE]
    attributes = case.cohorts.attributes[: len(places)]
    codes = np.full((len(case.leaves), len(DIMENSIONS)), MISSING, np.int32)
    for place, attribute in zip(places, attributes, strict=False):
        codes[:, place] = case.leaves[:, attribute]
    chosen = [s for s in subsets(places[: len(attributes)]) if s]
    found = suspects(codes, case.struck[minute], _due(case, minute), chosen=chosen, most=5)
    name = dict(zip(places, attributes, strict=False))
    return [(tuple((name[d], int(v)) for d, v in zip(s.subset, s.values, strict=True)),) for s in found]


def adtributor(case: Case, minute: int) -> Ranked:
    """Rank single attributes by surprise of the values that explain most of the excess (Bhagwan et al. 2014)."""
    due, struck = _due(case, minute), case.struck[minute]
    found: list[tuple[float, tuple[Cohort, ...]]] = []
    for attribute in case.cohorts.attributes:
        codes = case.leaves[:, attribute]
        here = codes != MISSING
        size = int(codes.max()) + 1
        seen, was = (np.bincount(codes[here], values[here], size) for values in (struck, due))
        power = (seen - was) / max(float((struck - due).sum()), 1e-9)
        p, q = was / max(was.sum(), 1e-9), seen / max(seen.sum(), 1e-9)
        surprise = 0.5 * (_log(p, p + q) + _log(q, p + q))
        order = np.argsort(-surprise, kind="stable")
        order = order[power[order] > 0.1]
        reached = int(np.searchsorted(np.cumsum(power[order]), ADTRIBUTOR_SHARE)) + 1
        if len(order) and reached <= len(order):
            chosen = order[:reached]
            found.append((float(surprise[chosen].sum()), tuple(((attribute, int(v)),) for v in chosen)))
    return [cohorts for _, cohorts in sorted(found, key=lambda item: -item[0])]


def _due(case: Case, minute: int) -> Array:
    """Return what is due of each leaf by its mean past, shrunk to everyone's."""
    past = slice(max(0, minute - 30), minute)
    struck, seen = case.struck[past].sum(axis=0), case.seen[past].sum(axis=0)
    everyone = float(struck.sum() / seen.sum()) if seen.sum() else 0.02
    return np.asarray(case.seen[minute] * (struck + 30 * everyone) / (seen + 30), dtype=float)


def _z(struck: Array, due: Array, inside: NDArray[np.bool_]) -> float:
    expected = float(due[inside].sum())
    return (float(struck[inside].sum()) - expected) / float(np.sqrt(expected + 1))


def _log(part: Array, whole: Array) -> Array:
    safe = np.where(part > 0, part, 1.0)
    return np.asarray(part * np.log(2 * safe / np.maximum(whole, 1e-12)) * (part > 0), dtype=float)
