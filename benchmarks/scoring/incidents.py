"""Figures about incidents: found or not, how soon, how exactly, and what was reported in vain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.scoring.cohorts import Sessions
from benchmarks.scoring.geometry import Geometry
from benchmarks.scoring.matching import Hit, Matcher, Matches, Status, need_not_be_found
from benchmarks.scoring.numbers import Figures, percentile, rounded, share
from benchmarks.scoring.reading import Reported, Span, TrueIncident

EXACT_JACCARD = 0.98
TIMELY_MIN = 60
TIMELY_SHARE = 0.5
"""In time is within the hour, or before this share of the impaired sessions had turned bad."""
MINUTE = timedelta(minutes=1)
FLOOD_A_DAY, FLOOD_A_FAULT, FLOOD_SLACK = 40, 10, 40
EVERLASTING_SHARE = 0.5
"""An incident that lasts longer than this share of the whole time lasts for ever."""
MOST_EVERLASTING = 0.25
MOST_GLOBAL = 0.3


@dataclass(frozen=True)
class IncidentScore:
    """Figures over all incidents, one row per true one, and what makes the replay worthless, if anything."""

    figures: Figures
    rows: list[Figures]
    flags: list[str]


@dataclass(frozen=True)
class _Judged:
    """What was reported and true in a span, and what belongs together."""

    reported: Sequence[Reported]
    faults: Sequence[TrueIncident]
    look_alikes: Sequence[TrueIncident]
    matches: Matches
    span: Span

    @property
    def needed(self) -> list[TrueIncident]:
        """The faults that must be found."""
        return [it for it in self.faults if not need_not_be_found(it, self.span)]

    def count(self, status: Status) -> int:
        """How many reports are of one sort."""
        return self.matches.statuses[status]


def score_incidents(
    reported: Sequence[Reported], true: Sequence[TrueIncident], sessions: pd.DataFrame, span: Span
) -> IncidentScore:
    """Score a replay's incidents.

    Parameters
    ----------
    reported
        Detected in the span, in the order in which they were.
    true
        Faults and look-alikes.
    sessions
        ``truth/sessions.parquet``.
    span
        From when to when is judged.
    """
    there = [it for it in true if it.end > span.start and it.start < span.end]
    matcher = Matcher(there, Geometry(Sessions(sessions)), span)
    for it in reported:
        matcher.take(it)
    faults, look_alikes = [it for it in there if not it.is_benign], [it for it in there if it.is_benign]
    judged = _Judged(reported, faults, look_alikes, matcher.matches, span)
    rows = [_row(judged, it, sessions) for it in faults]
    return IncidentScore(_figures(judged, rows), rows, _flags(judged))


def _row(judged: _Judged, true: TrueIncident, sessions: pd.DataFrame) -> Figures:
    row: Figures = {
        "truth_id": true.truth_id,
        "kind": true.kind,
        "cohort": true.cohort_text,
        "impaired_sessions": true.impaired_sessions,
        "required": not need_not_be_found(true, judged.span),
        "found": judged.matches.is_found(true),
        "found_loose": judged.matches.is_found_loosely(true),
    }
    hits = judged.matches.hits.get(true.number)
    return row | _found(true, hits, sessions) if hits else row


def _found(true: TrueIncident, hits: Sequence[Hit], sessions: pd.DataFrame) -> Figures:
    first = hits[0]
    delay = (first.reported.detected - true.start) / MINUTE
    seen = _bad_by(sessions, true.truth_id, first.reported.detected)
    return {
        "delay_min": rounded(delay, 1),
        "impaired_seen": seen,
        "jaccard": rounded(first.jaccard, 3),
        "best_jaccard": rounded(max(hit.jaccard for hit in hits), 3),
        "signal": first.reported.signal,
        "reported": first.reported.cohort_text,
        "reports": len(hits),
        "timely": delay <= TIMELY_MIN or seen <= TIMELY_SHARE * true.impaired_sessions,
    }


def _bad_by(sessions: pd.DataFrame, truth_id: str, moment: datetime) -> int:
    """Return how many of a fault's sessions had turned bad by a moment."""
    theirs = sessions["impaired"].to_numpy(bool) & (sessions["truth_id"].to_numpy(object) == truth_id)
    return int((sessions["bad_time"].to_numpy("datetime64[us]")[theirs] <= np.datetime64(moment)).sum())


def _figures(judged: _Judged, rows: Sequence[Figures]) -> Figures:
    return _recall(judged, rows) | _precision(judged) | _kinds(judged) | _times(judged, rows)


def _recall(judged: _Judged, rows: Sequence[Figures]) -> Figures:
    needed = judged.needed
    return {
        "true_incidents": len(needed),
        "dont_care_truths": len(judged.faults) - len(needed),
        "reported": len(judged.reported),
        "recall": share(sum(map(judged.matches.is_found, needed)), len(needed)),
        "recall_loose": share(sum(map(judged.matches.is_found_loosely, needed)), len(needed)),
        "recall_timely": share(sum(row["required"] and row.get("timely", False) for row in rows), len(needed)),
    }


def _precision(judged: _Judged) -> Figures:
    counted = len(judged.reported) - judged.count(Status.DONT_CARE)
    matches, again = judged.count(Status.MATCH), judged.count(Status.DUPLICATE)
    best = [max(hit.jaccard for hit in judged.matches.hits[it.number]) for it in judged.needed if _hit(judged, it)]
    vain = judged.count(Status.LOOKALIKE) + judged.count(Status.FALSE)
    return {
        "precision": share(matches, counted),
        "precision_lenient": share(matches + again, counted),
        "exact_cohort": share(sum(jaccard >= EXACT_JACCARD for jaccard in best), len(best)),
        "matches": matches,
        "duplicates": again,
        "mislocalised": judged.count(Status.MISLOCALISED),
        "lookalike_reports": judged.count(Status.LOOKALIKE),
        "plain_false": judged.count(Status.FALSE),
        "dont_care_reports": judged.count(Status.DONT_CARE),
        "false_per_day": rounded(vain / judged.span.days, 3),
    }


def _hit(judged: _Judged, true: TrueIncident) -> bool:
    return judged.matches.is_found(true)


def _kinds(judged: _Judged) -> Figures:
    flagged = judged.matches.flagged
    kinds: dict[str, list[bool]] = {}
    for it in judged.look_alikes:
        kinds.setdefault(it.kind, []).append(it.number in flagged)
    return {
        "lookalikes_flagged": f"{len(flagged)}/{len(judged.look_alikes)}",
        "lookalikes_by_kind": {kind: f"{sum(them)}/{len(them)}" for kind, them in kinds.items()},
    }


def _times(judged: _Judged, rows: Sequence[Figures]) -> Figures:
    found = [(it, judged.matches.hits[it.number]) for it in judged.faults if _hit(judged, it)]
    delays = [(hits[0].reported.detected - it.start) / MINUTE for it, hits in found]
    seen = [row["impaired_seen"] for row in rows if row["found"]]
    onsets = [abs((hits[0].reported.onset - it.start) / MINUTE) for it, hits in found if hits[0].reported.onset]
    closings = [(end - it.end) / MINUTE for it, hits in found if (end := _last_end(hits)) is not None]
    sizes = [_size(it, hits[0].reported) for it, hits in found]
    known = [size for size in sizes if size is not None]
    resolved = [it.resolved is not None for it in judged.reported]
    return {
        "delay_min_median": percentile(delays),
        "delay_min_p90": percentile(delays, 90),
        "impaired_seen_median": percentile(seen),
        "impaired_seen_p90": percentile(seen, 90),
        "onset_error_min_median": percentile(onsets),
        "resolved_after_end_min_median": percentile(closings),
        "affected_over_true_median": rounded(np.median(known), 2) if known else None,
        "resolved_share": share(sum(resolved), len(resolved)),
    }


def _last_end(hits: Sequence[Hit]) -> datetime | None:
    """Return when the last of a fault's incidents was declared over; None if one is still open."""
    ends = [hit.reported.resolved for hit in hits]
    return None if None in ends else max(end for end in ends if end is not None)


def _size(true: TrueIncident, reported: Reported) -> float | None:
    """Return how many subscribers were reported for each one really impaired."""
    if not true.impaired_subscribers or reported.affected is None:
        return None
    return reported.affected / true.impaired_subscribers


def _flags(judged: _Judged) -> list[str]:
    """Return what makes a replay worthless whatever its figures."""
    count, days, needed = len(judged.reported), judged.span.days, judged.needed
    everywhere = sum(it.cohort_text == "{}" for it in judged.reported)
    rightly = sum(it.cohort_text == "{}" for it in needed)
    tests: dict[str, Any] = {
        "incident flood": count > max(FLOOD_A_DAY * days, FLOOD_A_FAULT * len(needed) + FLOOD_SLACK),
        "global cohort everywhere": everywhere > max(3, 3 * rightly + 2) and everywhere > MOST_GLOBAL * count,
        "everlasting incidents": sum(_is_everlasting(it, judged.span) for it in judged.reported)
        > MOST_EVERLASTING * count,
    }
    return [flag for flag, is_raised in tests.items() if is_raised]


def _is_everlasting(reported: Reported, span: Span) -> bool:
    if reported.onset is None:
        return False
    end = span.end if reported.resolved is None else min(reported.resolved, span.end)
    return (end - max(reported.onset, span.start)) / timedelta(days=1) > EVERLASTING_SHARE * span.days
