"""One number from 0 to 100, made up of what the figures about incidents and notices say."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from benchmarks.scoring.incidents import score_incidents
from benchmarks.scoring.notices import score_notices
from benchmarks.scoring.numbers import Figures, f_beta, rounded
from benchmarks.scoring.reading import read_notices, read_reported, read_span, read_truth

WEIGHTS = {"incidents": 25, "timely": 10, "notices": 25, "complaints": 15, "causes": 10, "quiet": 10, "all_clear": 5}
UNBEARABLE = 100
"""Needless notices per 10,000 subscriber-days at which nothing is left of being quiet."""
CALM_UNBEARABLE = 50
"""The same in a world without faults."""
CALM_FALSE_A_DAY = 2
"""False incidents a day at which nothing is left, in a world without faults."""


def score_replay(world: Path, out: Path, start: datetime | None = None, end: datetime | None = None) -> Figures:
    """Score what a replay wrote against a world's truth.

    Parameters
    ----------
    world
        A folder with ``truth/``.
    out
        A folder with ``incidents.parquet`` and ``notices.parquet``.
    start, end
        Naive UTC; from when to when to judge, what the truth asks for if absent.

    Returns
    -------
    dict
        The score with all of its figures; see ``docs/detection-measures.md``.
    """
    span, truth = read_span(world, start, end), read_truth(world)
    incidents = score_incidents(read_reported(out, span), truth.incidents, truth.sessions, span)
    notices = score_notices(read_notices(out), truth.episodes, truth.sessions, truth.subscribers, span)
    flags = incidents.flags + notices.flags
    score, parts = _total(incidents.figures, notices.figures)
    return {
        "window": [str(span.start), str(span.end)],
        "score": 0.0 if flags else rounded(score, 1),
        "score_before_flags": rounded(score, 1),
        "degenerate": flags,
        **parts,
        "incidents": incidents.figures,
        "notices": notices.figures,
        "truths": incidents.rows,
    }


def _total(incidents: Figures, notices: Figures) -> tuple[float, Figures]:
    """Return the score and the parts that are shown beside it."""
    nuisance = notices["nuisance_per_10k_subscriber_days"] or 0.0
    if not incidents["true_incidents"] and not notices["episodes"]:
        false = incidents["false_per_day"]
        return 50 * max(0.0, 1 - false / CALM_FALSE_A_DAY) + 50 * max(0.0, 1 - nuisance / CALM_UNBEARABLE), {}
    f1 = f_beta(incidents["precision"], incidents["recall"], 1)
    f05 = f_beta(notices["precision"], notices["recall"], 0.5)
    quiet = (notices["recall"] or 0.0) * max(0.0, 1 - nuisance / UNBEARABLE)
    values = {
        "incidents": f1,
        "timely": f_beta(incidents["precision"], incidents["recall_timely"], 1),
        "notices": f05,
        "complaints": notices["complaints_preempted"] or 0.0,
        "causes": (notices["cause_accuracy"] or 0.0) * f05,
        "quiet": quiet,
        "all_clear": max(0.0, (notices["all_clear_rate"] or 0.0) - (notices["all_clear_premature"] or 0.0)),
    }
    parts = {"incident_f1": rounded(f1), "notice_f05": rounded(f05), "quiet": rounded(quiet)}
    return sum(WEIGHTS[name] * value for name, value in values.items()), parts
