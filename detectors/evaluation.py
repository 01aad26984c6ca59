"""How well a detector does on a stream of evidence whose faults are known.

A fault is found when an alarm of its unit begins or goes on while it lasts, and the delay is the time from its onset to
the first such slot. An alarm that touches no fault of its unit is false. Ranking quality needs no threshold. For some
time after a fault a detector that remembers may go on speaking of it: that is neither right nor wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score

from detectors.evidence import Array, Detector, Evidence
from detectors.observations import SLOT_US
from detectors.rules import Alarm, alarms

SLOTS_PER_DAY = 24 * 60 * 60 * 1_000_000 // SLOT_US


@dataclass(frozen=True)
class Fault:
    """One unit is known to be bad in ``[first_slot, end_slot)``."""

    unit: int
    first_slot: int
    end_slot: int

    def meets(self, alarm: Alarm, aftermath_slots: int = 0) -> bool:
        """Return whether an alarm is about this fault or, for some slots, about its aftermath."""
        end = self.end_slot + aftermath_slots
        return self.unit == alarm.unit and alarm.first_slot < end and self.first_slot < alarm.end_slot


@dataclass(frozen=True)
class Stream:
    """Evidence as it comes, slot by slot.

    Attributes
    ----------
    units
        How many units there are.
    first_slot
        The slot of the first arrival.
    arrivals
        What each slot brings; late rows of older slots come with the slot in which they arrive.
    """

    units: int
    first_slot: int
    arrivals: Sequence[Evidence]


@dataclass(frozen=True)
class Evaluation:
    """What a detector is worth at one threshold.

    Attributes
    ----------
    recall
        Share of the faults found (0 to 1); NaN without faults.
    precision
        Share of the alarms that are about a fault (0 to 1); NaN without alarms.
    delay_slots
        Mean time from the onset of a fault found to the first slot that alarms; NaN if none is found.
    false_alarms_per_unit_day
        False alarms over units and days watched.
    average_precision
        Of all units and slots ranked by score, the mean precision over the bad ones (0 to 1); NaN without faults.
    """

    recall: float
    precision: float
    delay_slots: float
    false_alarms_per_unit_day: float
    average_precision: float


def run(detector: Detector, stream: Stream) -> Array:
    """Return a detector's scores, shape (slots, units): each slot is scored before it is learnt."""
    scores = np.zeros((len(stream.arrivals), stream.units))
    for step, evidence in enumerate(stream.arrivals):
        slot = stream.first_slot + step
        scores[step] = detector.score(evidence, stream.units, slot)
        detector.learn(evidence, stream.units, slot)
    return scores


def evaluate(
    scores: Array, first_slot: int, faults: Sequence[Fault], threshold: float, aftermath_slots: int = 0
) -> Evaluation:
    """Judge scores against the known faults.

    Parameters
    ----------
    scores
        Of `run`, shape (slots, units); cut off what the detector only learns from.
    first_slot
        The slot of the first row.
    faults
        All that is wrong in these slots.
    threshold
        Above which a score alarms; see `detectors.rules.threshold_for`.
    aftermath_slots
        For how long after its end a fault may still be spoken of.
    """
    raised = alarms(scores, first_slot, threshold)
    true = [alarm for alarm in raised if any(fault.meets(alarm) for fault in faults)]
    false = [alarm for alarm in raised if not any(fault.meets(alarm, aftermath_slots) for fault in faults)]
    delays = [delay for fault in faults if (delay := _delay(fault, true)) is not None]
    return Evaluation(
        recall=_share(len(delays), len(faults)),
        precision=_share(len(true), len(true) + len(false)),
        delay_slots=_share(sum(delays), len(delays)),
        false_alarms_per_unit_day=_share(len(false) * SLOTS_PER_DAY, scores.size),
        average_precision=_average_precision(scores, first_slot, faults, aftermath_slots),
    )


def _delay(fault: Fault, raised: Sequence[Alarm]) -> int | None:
    """Slots until the first alarm about a fault; an alarm that was on before counts from the onset."""
    firsts = [alarm.first_slot for alarm in raised if fault.meets(alarm)]
    return max(min(firsts) - fault.first_slot, 0) if firsts else None


def _average_precision(scores: Array, first_slot: int, faults: Sequence[Fault], aftermath_slots: int) -> float:
    bad, after = np.zeros(scores.shape, bool), np.zeros(scores.shape, bool)
    for fault in faults:
        start, end = max(fault.first_slot - first_slot, 0), max(fault.end_slot - first_slot, 0)
        bad[start:end, fault.unit] = True
        after[end : end + aftermath_slots, fault.unit] = True
    judged = bad | ~after
    return float(average_precision_score(bad[judged], scores[judged])) if bad.any() else float("nan")


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
