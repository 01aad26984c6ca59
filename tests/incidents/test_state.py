"""An honest shift of level: what a settled incident left behind is due from then on, there and nowhere else."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pyarrow as pa

from detectors.finding import Cohort
from detectors.observations import MISSING, SIGNALS, Vocabularies, slot_start
from detectors.rates import MODEL_DIMENSIONS, HourlyCounts, RateModel
from incidents.model import Incident, Severity
from incidents.state import WatchState
from incidents.verdict import cohort_verdict
from telemetry.contract import DIMENSIONS, Signal
from tests.incidents.slices import slices

NETWORK, SETTLED = Cohort.of({"isp": "Northnet"}), 5_900_300
HERE, THERE = np.zeros(len(DIMENSIONS), np.int32), np.full(len(DIMENSIONS), MISSING, np.int32)


def incident(*, settled: bool) -> Incident:
    """Open for a day; three people struck where one and a half were due."""
    end = slot_start(SETTLED)
    return Incident(
        incident_id="inc-1",
        signal=Signal.BUFFERING,
        cohort=NETWORK,
        onset_time=end - timedelta(days=1),
        detected_time=end - timedelta(hours=23),
        resolved_time=end,
        severity=Severity.MINOR,
        affected_subscribers=3,
        verdict=cohort_verdict(Signal.BUFFERING, NETWORK, {}),
        observed=3.0,
        expected=1.5,
        sessions=40,
        surprise=9.0,
        updated_time=end,
        settled=settled,
    )


def state() -> WatchState:
    words, none = Vocabularies(), np.zeros((0, len(SIGNALS)))
    words.dimensions[DIMENSIONS.index("isp")].encode(pa.chunked_array([["Northnet"]]))
    counts = HourlyCounts(np.zeros((0, len(MODEL_DIMENSIONS)), np.int32), np.zeros(0, np.int64), none, none, none, none)
    return WatchState.of(words, RateModel().fit(counts), 144, timedelta(minutes=15))


def test_what_a_settled_incident_left_is_due_from_then_on() -> None:
    rows = slices(
        {"slot": SETTLED - 1, "codes": HERE}, {"slot": SETTLED, "codes": HERE}, {"slot": SETTLED, "codes": THERE}
    )
    levels = state().level(rows, [incident(settled=True)])
    assert levels[:, SIGNALS.index(Signal.BUFFERING)].tolist() == [1.0, 2.0, 1.0]
    assert (np.delete(levels, SIGNALS.index(Signal.BUFFERING), axis=1) == 1).all()
    assert (state().level(rows, [incident(settled=False)]) == 1).all()


def test_what_comes_after_it_is_not_explained_by_it() -> None:
    rows = slices({"slot": SETTLED - 1, "codes": HERE}, {"slot": SETTLED, "codes": HERE})
    explained = state().explained(rows, [incident(settled=True)])
    assert explained[:, SIGNALS.index(Signal.BUFFERING)].tolist() == [True, False]
