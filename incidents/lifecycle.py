"""The life of an incident: opened on a finding, grown and relocated while it lasts, resolved when playback is well."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

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
        Evidence for "as usual again" against "still half as bad" that closes an incident: odds of 150 to 1.
    quiet_buckets
        Quarter-hours without excess at the least before it closes.
    switch_nats
        By how much another cohort must explain the same excess better before the incident is renamed.
    """

    major_subscribers: int = 100
    critical_subscribers: int = 1_000
    major_share: float = 0.01
    critical_share: float = 0.05
    recovered_nats: float = 5.0
    quiet_buckets: int = 1
    switch_nats: float = 2.0


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


def recovery_evidence(observed: Array, expected: Array) -> float:
    """Return how strongly the latest buckets speak for "over", in nats.

    A CUSUM on the log likelihood ratio of the usual rate against half of the incident's own excess rate, over the
    incident's buckets in order: every quiet bucket adds what it would have shown were the fault still there, every
    impairment takes back (Page 1954; Lorden 1971).

    Parameters
    ----------
    observed, expected
        Impairments seen and due in each bucket since the onset, shape (buckets,).
    """
    total = expected.sum()
    if total <= 0:
        return 0.0
    times = max(2.0, observed.sum() / total / 2)
    evidence = 0.0
    for seen, due in zip(observed, expected, strict=True):
        evidence = max(0.0, evidence + (times - 1) * due - np.log(times) * seen)
    return float(evidence)


def is_over(observed: Array, expected: Array, rule: LifecycleRule) -> bool:
    """Return whether the fault may be declared over."""
    last = slice(len(observed) - rule.quiet_buckets, None)
    quiet = bool(np.all(observed[last] <= np.maximum(1.0, 2 * expected[last])))
    return quiet and recovery_evidence(observed, expected) >= rule.recovered_nats


def overlap(first: NDArray[np.bool_], second: NDArray[np.bool_], weight: Array) -> float:
    """Return the Jaccard index of two sets of rows by weight (0 to 1)."""
    both = weight[first | second].sum()
    return float(weight[first & second].sum() / both) if both > 0 else 0.0


def related(signal: Signal) -> Collection[Signal]:
    """Return the signals that one fault raises together: refusals stand alone, playback troubles go together."""
    if signal is Signal.ACCESS:
        return (Signal.ACCESS,)
    return (Signal.BUFFERING, Signal.STARTUP, Signal.FAILURE)
