"""Sentences that a subscriber, or who supports them, can check from their own sessions.

Of a wide fault: how many of their sessions in its cohort went wrong, and how many outside it or before it did. Of a
trouble of their own: how many of their last sessions did.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from detectors.cohorts import members
from detectors.finding import Cohort, spoken
from detectors.observations import MISSING, SIGNALS, Observations, Vocabularies, slot_of
from telemetry.contract import DIMENSIONS, Signal

Mask = NDArray[np.bool_]

DID = {
    Signal.BUFFERING: "stalled",
    Signal.STARTUP: "started slowly",
    Signal.FAILURE: "failed",
    Signal.ACCESS: "ended in a refusal",
}
MOST_NAMED = 3
"""Other values of a dimension that are named at the most."""


def of_run(impaired: int, sessions: int, signal: Signal, *, others_suspected: bool) -> tuple[str, ...]:
    """Say what speaks for a trouble of somebody's own, and of others only what the scans show."""
    others = "Some who share their network, delivery network or app version may have trouble too"
    nobody = "Those who share their network, delivery network or app version show no clear sign of trouble"
    return (
        f"{impaired} of the last {sessions} sessions {DID[signal]}, and no known fault explains them.",
        f"{others if others_suspected else nobody}.",
    )


def of_fault(
    rows: Observations,
    words: Vocabularies,
    cohort: Cohort,
    onset: datetime,
    signal: Signal,
    signals: Collection[Signal],
    impaired: int,
    sessions: int,
) -> tuple[str, ...]:
    """Say what in one person's sessions speaks for a wide fault: bad ones in its cohort, good ones elsewhere or before.

    Parameters
    ----------
    rows
        All slices of this person that are in memory.
    words
        Of the rows.
    cohort, onset
        Of the fault.
    signal, signals
        What was worst for them, and all that the fault may raise.
    impaired, sessions
        Their bad sessions and all of theirs in the cohort since the onset.
    """
    inside, since = members(words, rows.codes, cohort), rows.slot >= slot_of(onset)
    bad = np.asarray(rows.bad[:, [SIGNALS.index(one) for one in signals]].any(axis=1))
    where = f" on {cohort}" if cohort.values else ""
    sentences = [f"{impaired} of {_sessions(sessions)}{where} {DID[signal]}."]
    elsewhere, before = ~inside, inside & ~since & ~np.isin(rows.session, rows.session[inside & since])
    if elsewhere.any():
        sentences.append(f"{_share(rows, elsewhere, bad)} {_place(rows, words, elsewhere, cohort)} did.")
    if before.any():
        sentences.append(f"{_share(rows, before, bad)} before it began did.")
    return tuple(sentences)


def _sessions(count: int) -> str:
    return "1 session" if count == 1 else f"{count} sessions"


def _share(rows: Observations, some: Mask, bad: Mask) -> str:
    count, impaired = len(np.unique(rows.session[some])), len(np.unique(rows.session[some & bad]))
    return f"{impaired or 'None'} of {_sessions(count)}"


def _place(rows: Observations, words: Vocabularies, elsewhere: Mask, cohort: Cohort) -> str:
    """Name where else they were by the first dimension of the cohort in which all these sessions differ from it."""
    for name, value in cohort.values:
        number = DIMENSIONS.index(name)
        codes, count = np.unique(rows.codes[elsewhere, number], return_counts=True)
        if MISSING in codes or words.dimensions[number].find(value) in codes or len(codes) > MOST_NAMED:
            continue
        texts = [words.dimensions[number].text(int(code)) for code in codes[np.argsort(-count, kind="stable")]]
        return f"on {spoken(name, ' or '.join(texts))}"
    return "elsewhere"
