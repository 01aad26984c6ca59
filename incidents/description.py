"""What is said of an incident: its chart, its numbers and the sentences that show why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from detectors.cohort_scan import SLOTS_PER_BUCKET
from detectors.cohorts import members, name_cohort
from detectors.finding import Alternative, Cohort
from detectors.localise import Suspect
from detectors.observations import SIGNALS, Observations, slot_of, slot_start
from detectors.poisson import excess_llr
from incidents.lifecycle import LifecycleRule, severity
from incidents.model import ChartPoint, Incident
from incidents.state import WatchState
from incidents.verdict import cohort_verdict
from telemetry.contract import Signal

BEFORE_ONSET = 12
"""Quarter-hours shown before the onset, so that one sees what usual looks like."""
MOST_ALTERNATIVES = 6
RAISED_NATS = 3.0
"""Surprise from which a second signal counts as raised by the same fault: odds of 20 to 1."""
WHAT = {
    Signal.BUFFERING: "had stalls",
    Signal.STARTUP: "waited long for playback to start",
    Signal.FAILURE: "had playback fail",
    Signal.ACCESS: "were refused",
}
KIND = {
    "country": "countries",
    "region": "regions",
    "isp": "internet providers",
    "cdn": "delivery networks",
    "device_type": "kinds of device",
    "app_version": "app versions",
    "connection_type": "kinds of connection",
    "content_type": "kinds of content",
    "title_id": "titles",
}


def described(
    state: WatchState,
    incident: Incident,
    ranked: Sequence[Suspect],
    people: Collection[str],
    rule: LifecycleRule,
    now: datetime,
) -> Incident:
    """Return an incident with its numbers, verdict, alternatives and chart as of `now`.

    Parameters
    ----------
    state
        The slices in memory.
    incident
        Its cohort, onset and resolution are taken as they are.
    ranked
        The suspects considered, best first; none keeps the alternatives that it has.
    people
        Everybody troubled by it so far.
    rule
        When an incident is severe.
    now
        The end of the window.
    """
    number = SIGNALS.index(incident.signal)
    inside = state.inside(state.rows, incident)
    rows = state.rows.take(inside)
    classes = _error_classes(state, rows, number)
    observed = float(len(np.unique(rows.subscriber[rows.fresh[:, number]])))
    expected = float(state.recent.expected[inside, number].sum())
    watching = len(np.unique(state.rows.subscriber))
    counted = replace(
        incident,
        observed=max(observed, incident.observed),
        expected=max(expected, incident.expected),
        sessions=max(len(np.unique(rows.session)), incident.sessions),
        affected_subscribers=len(people),
        severity=severity(len(people), watching, rule),
        updated_time=now,
    )
    if ranked:
        counted = replace(counted, surprise=ranked[0].gain, alternatives=_alternatives(state, ranked))
    sentences = _sentences(state, counted, classes)
    verdict = cohort_verdict(counted.signal, counted.cohort, classes, sentences)
    return replace(counted, verdict=verdict, chart=_chart(state, counted, now))


def raised_signals(state: WatchState, incident: Incident, candidates: Collection[Signal]) -> set[Signal]:
    """Return the candidates that are in excess in the incident's cohort; its own signal always."""
    inside = state.inside(state.rows, incident)
    seen = state.rows.fresh[inside].sum(axis=0).astype(float)
    scan = state.scans[0]
    surprise = excess_llr(seen, state.recent.expected[inside].sum(axis=0) * (1 + scan.slack) + scan.floor)
    raised = {s for i, s in enumerate(SIGNALS) if s in candidates and surprise[i] > RAISED_NATS}
    return raised | {incident.signal}


def _error_classes(state: WatchState, rows: Observations, number: int) -> Counter[str]:
    codes = rows.error_class[rows.bad[:, number] & (rows.error_class >= 0)]
    return Counter(state.words.error_classes.text(int(code)) for code in codes)


def _alternatives(state: WatchState, ranked: Sequence[Suspect]) -> tuple[Alternative, ...]:
    excess = max(ranked[0].excess, 1e-9)
    return tuple(
        Alternative(
            name_cohort(state.words, suspect.subset, suspect.values),
            suspect.gain,
            float(np.clip(suspect.excess / excess, 0, 1)),
        )
        for suspect in ranked[:MOST_ALTERNATIVES]
    )


def _sentences(state: WatchState, incident: Incident, classes: Counter[str]) -> list[str]:
    sentences = [
        f"{incident.observed:.0f} people on {incident.cohort} {WHAT[incident.signal]}; "
        f"{incident.expected:.1f} would be usual."
    ]
    sentences += [sentence for name, _ in incident.cohort.values if (sentence := _contrast(state, incident, name))]
    if incident.settled:
        sentences.append("It is slight and has gone on for a day or more: it is taken to be the new level.")
    if classes:
        name, count = classes.most_common(1)[0]
        sentences.append(f"{count} of {classes.total()} errors were of the class {name}.")
    return sentences


def _contrast(state: WatchState, incident: Incident, name: str) -> str | None:
    """Compare with those who differ in one dimension only."""
    number = SIGNALS.index(incident.signal)
    others = Cohort(tuple(value for value in incident.cohort.values if value[0] != name))
    wider = state.inside(state.rows, replace(incident, cohort=others))
    rest = wider & ~state.inside(state.rows, incident)
    due = float(state.recent.expected[rest, number].sum())
    if due < 1:
        return None
    seen = len(np.unique(state.rows.subscriber[rest & state.rows.fresh[:, number]]))
    where = f" on {others}" if others.values else ""
    return f"On other {KIND[name]}{where}: {seen} people, {due:.1f} would be usual."


def _chart(state: WatchState, incident: Incident, now: datetime) -> tuple[ChartPoint, ...]:
    """Quarter-hours from some time before the onset, older ones as they were shown before."""
    number = SIGNALS.index(incident.signal)
    first = slot_of(incident.onset_time) // SLOTS_PER_BUCKET - BEFORE_ONSET
    oldest = int(state.rows.slot.min()) // SLOTS_PER_BUCKET + 1 if len(state.rows) else first
    start, end = max(first, oldest), (slot_of(now) - 1) // SLOTS_PER_BUCKET
    rows = (state.rows.slot >= start * SLOTS_PER_BUCKET) & state.rows.exposed[:, number]
    mine = state.rows.take(rows & members(state.words, state.rows.codes, incident.cohort))
    bucket = np.clip(mine.slot // SLOTS_PER_BUCKET - start, 0, end - start)
    sessions = _distinct(bucket, mine.session, end - start + 1)
    bad = mine.bad[:, number]
    impaired = _distinct(bucket[bad], mine.session[bad], end - start + 1)
    expected = np.bincount(bucket, state.recent.model.usual(mine)[:, number], end - start + 1)
    kept = [p for p in incident.chart if p.slot < slot_start(start * SLOTS_PER_BUCKET)]
    fresh = [
        ChartPoint(
            slot_start((start + i) * SLOTS_PER_BUCKET),
            int(sessions[i]),
            int(impaired[i]),
            round(float(expected[i]), 2),
        )
        for i in range(end - start + 1)
    ]
    return (*kept, *fresh)


def _distinct(bucket: NDArray[np.int64], session: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """Count the different sessions in each bucket."""
    pairs = np.unique((bucket << 32) | session.astype(np.int64))
    return np.bincount(pairs >> 32, minlength=count)
