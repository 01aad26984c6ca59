"""Whose side a problem is on.

Each cause collects evidence in nats: from the dimensions that the guilty cohort names, and from the error classes that
the players reported. Their softmax is the probability. The weights say how strongly an observation speaks, not how
often causes occur; a service's own reviews of incidents are the data to refit them on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from detectors.finding import Cohort
from detectors.refusals import RefusalKind, refusal_kind
from incidents.model import Cause, Verdict
from telemetry.contract import Signal

COHORT_CAUSES = (Cause.SERVICE, Cause.ISP, Cause.APP)

DIMENSION_EVIDENCE: Mapping[str, Mapping[Cause, float]] = {
    "cdn": {Cause.SERVICE: 4.0},
    "title_id": {Cause.SERVICE: 4.0},
    "content_type": {Cause.SERVICE: 1.5},
    "country": {Cause.SERVICE: 1.0},
    "region": {Cause.SERVICE: 0.5, Cause.ISP: 0.3},
    "isp": {Cause.ISP: 3.0},
    "app_version": {Cause.APP: 3.5},
    "device_type": {Cause.APP: 2.0},
    "connection_type": {Cause.ISP: 0.5},
}
"""What a named dimension says. A delivery network or a title is ours whatever else is named."""

ERROR_EVIDENCE: Mapping[str, Mapping[Cause, float]] = {
    "network": {Cause.ISP: 1.0},
    "cdn": {Cause.SERVICE: 2.0},
    "manifest": {Cause.SERVICE: 2.0},
    "decoder": {Cause.APP: 1.5},
    "app": {Cause.APP: 1.5},
}
"""What it says if all of a fault's errors are of one class; in proportion if some are."""

REFUSAL_EVIDENCE = 6.0
"""A refusal of many people at once is ours, wherever it shows: the answer came from our own back end."""


def cohort_verdict(
    signal: Signal, cohort: Cohort, error_classes: Mapping[str, int], evidence: Iterable[str] = ()
) -> Verdict:
    """Judge a cohort's fault.

    Parameters
    ----------
    signal, cohort
        What is wrong, and the smallest cohort that explains it.
    error_classes
        How many of the fault's sessions reported each error class.
    evidence
        Sentences to hand on.
    """
    weight = dict.fromkeys(COHORT_CAUSES, 0.0)
    for dimension, _ in cohort.values:
        for cause, nats in DIMENSION_EVIDENCE[dimension].items():
            weight[cause] += nats
    total = sum(error_classes.values())
    for error_class, count in error_classes.items():
        for cause, nats in ERROR_EVIDENCE.get(error_class, {}).items():
            weight[cause] += nats * count / total
    if signal is Signal.ACCESS:
        weight[Cause.SERVICE] += REFUSAL_EVIDENCE
    if not cohort.values:
        weight[Cause.SERVICE] += 2.0
    cause, probability = _most_likely(weight)
    return Verdict(cause, probability, tuple(evidence))


def own_verdict(signal: Signal, error_class: str | None, surprise: float, evidence: Iterable[str] = ()) -> Verdict:
    """Judge one subscriber's own trouble, given that no cohort explains it."""
    if signal is Signal.ACCESS:
        cause, base = Cause.ACCOUNT, 0.97 if _is_business(error_class) else 0.7
    else:
        cause, base = Cause.HOUSEHOLD, 0.9
    return Verdict(cause, base * float(-np.expm1(-max(surprise, 0.1))), tuple(evidence))


def _is_business(error_class: str | None) -> bool:
    return refusal_kind(error_class, None) is RefusalKind.BUSINESS


def _most_likely(weight: Mapping[Cause, float]) -> tuple[Cause, float]:
    nats = np.array(list(weight.values()))
    share = np.exp(nats - nats.max())
    share /= share.sum()
    best = int(share.argmax())
    return list(weight)[best], float(share[best])
