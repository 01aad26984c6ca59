"""The life of an incident: opened on a finding, grown and relocated while it lasts, resolved when playback is well."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from detectors.finding import Cohort
from incidents.model import Severity
from telemetry.contract import Signal

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LifecycleRule:
    """When an incident is severe, and when it is over.

    Parameters
    ----------
    major_subscribers, critical_subscribers
        People affected from which an incident is major or critical.
    major_share, critical_share
        The same as shares (0 to 1) of the people watching.
    recovered_nats
        Evidence for "as usual again" against "still going on" that closes an incident: odds of 150 to 1.
    persistence
        The share of the incident's mean rate (0 to 1) that counts as "still going on".
    quiet_buckets
        Quarter-hours without excess at the least before it closes.
    switch_nats
        By how much another cohort must explain the same excess better before the incident is renamed.
    missed_exposures, dried_share
        Exposures that a cohort's traffic must be short of, and the share (0 to 1) of these that may still come, before
        a version or a title is taken to be gone.
    settle_hours, settle_ratio
        An incident open for so long, with fewer than so many times the people struck that are usual, is the new level.
    """

    major_subscribers: int = 100
    critical_subscribers: int = 1_000
    major_share: float = 0.01
    critical_share: float = 0.05
    recovered_nats: float = 5.0
    persistence: float = 0.6
    quiet_buckets: int = 1
    switch_nats: float = 2.0
    missed_exposures: int = 150
    dried_share: float = 0.1
    settle_hours: float = 24.0
    settle_ratio: float = 3.0


def incident_id(signal: Signal, cohort: Cohort, detected: datetime) -> str:
    """Return the id that the same detection always gets."""
    text = f"{signal}|{cohort.json}|{detected:%Y%m%dT%H%M%SZ}"
    return "inc-" + hashlib.sha256(text.encode()).hexdigest()[:12]


def severity(affected: int, watching: int, rule: LifecycleRule) -> Severity:
    """Return how grave it is that `affected` of `watching` people have trouble."""
    share = affected / max(watching, 1)
    if affected >= rule.critical_subscribers or (share >= rule.critical_share and affected >= rule.major_subscribers):
        return Severity.CRITICAL
    if affected >= rule.major_subscribers or (share >= rule.major_share and affected >= rule.major_subscribers // 4):
        return Severity.MAJOR
    return Severity.MINOR


def recovery_evidence(observed: Array, expected: Array, exposures: Array, persistence: float) -> float:
    """Return how strongly the latest buckets speak for "over", in nats.

    A CUSUM on the log likelihood ratio of the usual rate against a good part of the incident's own while it lasted,
    over its buckets in order: every exposure that goes well adds what it tells against the fault, every impairment
    takes back (Page 1954; Lorden 1971). Each kind of exposure has rates of its own: where most sessions fail as they
    start, an hour that one plays on tells little.

    Parameters
    ----------
    observed, expected
        Impairments seen and due in each bucket since the onset, by kind of exposure, shape (buckets, kinds).
    exposures
        Chances to be impaired, likewise.
    persistence
        The share of the incident's mean rate (0 to 1) that counts as "still going on".
    """
    struck = np.flatnonzero(observed.any(axis=1))
    lasted = int(struck[-1]) + 1 if len(struck) else len(observed)
    chances = np.maximum(exposures[:lasted].sum(axis=0), 1.0)
    usual = np.clip(expected[:lasted].sum(axis=0) / chances, 1e-6, 0.3)
    faulty = np.minimum(np.maximum(persistence * observed.sum(axis=0) / chances, 2 * usual), 0.9)
    good, bad = np.log((1 - usual) / (1 - faulty)), np.log(faulty / usual)
    evidence = 0.0
    for told in np.maximum(exposures - observed, 0) @ good - observed @ bad:
        evidence = max(0.0, evidence + float(told))
    return evidence


def is_over(observed: Array, expected: Array, exposures: Array, rule: LifecycleRule) -> bool:
    """Return whether the fault may be declared over; see `recovery_evidence`."""
    last = slice(len(observed) - rule.quiet_buckets, None)
    quiet = bool(np.all(observed[last].sum(axis=1) <= np.maximum(1.0, 2 * expected[last].sum(axis=1))))
    return quiet and recovery_evidence(observed, expected, exposures, rule.persistence) >= rule.recovered_nats


def is_settled(open_for: timedelta, observed: float, expected: float, rule: LifecycleRule) -> bool:
    """Return whether an excess that goes on is to be taken for the new level: it is slight, and has lasted."""
    lasting = open_for >= timedelta(hours=rule.settle_hours)
    return lasting and observed < rule.settle_ratio * max(expected, 1.0)


def has_dried_up(exposures: Array, everyone: Array, impaired: Array, rule: LifecycleRule) -> bool:
    """Return whether people have left the cohort, as they leave an app version that is withdrawn or a title that ends.

    By the share of all exposures that the cohort had while the fault lasted, at least `LifecycleRule.missed_exposures`
    would be due since, and of these hardly any came.

    Parameters
    ----------
    exposures, everyone
        Chances to be impaired in each bucket since the onset, in the cohort and in all, shape (buckets,).
    impaired
        Impairments seen in each bucket.
    rule
        How many, and how few.
    """
    struck = np.flatnonzero(impaired)
    if not len(struck):
        return False
    lasted = slice(0, int(struck[-1]) + 1)
    share = float(exposures[lasted].sum()) / max(float(everyone[lasted].sum()), 1.0)
    due, came = share * everyone[lasted.stop :].sum(), exposures[lasted.stop :].sum()
    return bool(due >= rule.missed_exposures and came <= rule.dried_share * due)


def overlap(first: NDArray[np.bool_], second: NDArray[np.bool_], weight: Array) -> float:
    """Return the Jaccard index of two sets of rows by weight (0 to 1)."""
    both = weight[first | second].sum()
    return float(weight[first & second].sum() / both) if both > 0 else 0.0


GROUPS = ((Signal.BUFFERING, Signal.STARTUP, Signal.FAILURE), (Signal.ACCESS,))
"""Signals that one fault raises together: refusals stand alone, playback troubles go together."""


def related(signal: Signal) -> tuple[Signal, ...]:
    """Return the group of `GROUPS` that a signal belongs to."""
    return next(group for group in GROUPS if signal in group)
