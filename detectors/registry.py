"""The detectors by name: one line each.

::

    LookupError
    └── UnknownDetectorError    no detector has this name
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from detectors.cohort_scan import CohortScan
from detectors.evidence import Detector
from detectors.isolation_forest import IsolationForest
from detectors.null import Null
from detectors.random_scores import RandomScores
from detectors.subscriber_run import SubscriberRun

DETECTORS: Mapping[str, Callable[[], Detector]] = {
    "cohort_scan": CohortScan,
    "subscriber_run": SubscriberRun,
    "isolation_forest": IsolationForest,
    "null": Null,
    "random": RandomScores,
}
"""Each makes a detector that has learnt nothing, with its default parameters."""


class UnknownDetectorError(LookupError):
    """No detector has this name; the message is a sentence that names those there are."""


def make_detector(name: str) -> Detector:
    """Return a new detector.

    Raises
    ------
    UnknownDetectorError
        If no detector has this name.
    """
    make = DETECTORS.get(name)
    if make is None:
        raise UnknownDetectorError(f"There is no detector {name!r}; there are {', '.join(sorted(DETECTORS))}.")
    return make()
