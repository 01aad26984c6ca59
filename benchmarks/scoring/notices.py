"""Figures about notices: who was told in time and rightly, and who was told for nothing."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from benchmarks.scoring.numbers import Figures, percentile, rounded, share
from benchmarks.scoring.reading import Span
from incidents.model import Cause

BY_POLICY = ("holdout", "no_consent", "quiet_hours")
"""Withheld for these reasons, a notice was still decided on: detection did its part."""
HOUR = pd.Timedelta(hours=1)
LATE = 6 * HOUR
"""A notice this long after an episode's end is still about it."""
HALF_RIGHT = 0.5
"""What a notice is worth that names neither the problem nor the cause."""
RECENTLY = 48 * HOUR
"""A needless notice is less of a mistake to somebody who had a fault's bad session this recently."""
CLEAR_EARLY, CLEAR_LATE = HOUR / 2, 12 * HOUR
"""An all-clear counts from so long before the end of a fault to so long after it."""
TOO_NEW = 2 * HOUR
"""A fault that ends so shortly before the end of it all need not be called off."""
PER_PEOPLE = 10_000
MOST_A_EPISODE, MOST_A_DAY, SLACK = 4, 0.02, 50
MOST_WITHHELD = 0.6


@dataclass(frozen=True)
class NoticeScore:
    """Figures over all notices, and what makes the replay worthless, if anything."""

    figures: Figures
    flags: list[str]


@dataclass(frozen=True)
class _Judged:
    """What was decided, and what it was about.

    Attributes
    ----------
    problems
        Decided notices of a problem; `nid` numbers them.
    clears
        Decided all-clears.
    episodes
        Those whose first bad session lies in the span; `eid` numbers them.
    hits
        Notices with the episode each is about, in the order in which they were decided.
    """

    problems: pd.DataFrame
    clears: pd.DataFrame
    episodes: pd.DataFrame
    hits: pd.DataFrame

    @property
    def first(self) -> pd.DataFrame:
        """The first hit on each episode."""
        return self.hits.groupby("eid").head(1)

    @property
    def outcomes(self) -> pd.DataFrame:
        """All episodes with the first notice about each, if any."""
        told = self.first[["eid", "decided_time"]]
        return self.episodes.merge(told, on="eid", how="left")

    @property
    def misses(self) -> pd.DataFrame:
        """Notices that are about nothing."""
        return self.problems[~self.problems["nid"].isin(self.hits["nid"])]


def score_notices(
    notices: pd.DataFrame, episodes: pd.DataFrame, sessions: pd.DataFrame, subscribers: int, span: Span
) -> NoticeScore:
    """Score a replay's notices.

    Parameters
    ----------
    notices
        Of the replay.
    episodes, sessions
        Of the truth.
    subscribers
        How many there are.
    span
        From when to when is judged.
    """
    judged = _judge(notices, episodes, span)
    people_days = subscribers * span.days
    figures = (
        _told(judged, span, people_days)
        | _by_group(judged)
        | _rightly(judged)
        | _before_complaints(judged, span)
        | _needless(judged, sessions, people_days)
        | _all_clear(judged, span)
    )
    return NoticeScore(figures, _flags(judged, people_days))


def _judge(notices: pd.DataFrame, episodes: pd.DataFrame, span: Span) -> _Judged:
    within = notices[(notices["decided_time"] >= span.start) & (notices["decided_time"] <= span.end)]
    sent = within["withheld_reason"].isna()
    within = within.assign(sent=sent)[sent | within["withheld_reason"].isin(BY_POLICY)]
    problems = within[within["kind"] == "problem"].reset_index(drop=True).rename_axis("nid").reset_index()
    there = episodes[(episodes["first_bad_time"] >= span.start) & (episodes["first_bad_time"] <= span.end)]
    there = there.reset_index(drop=True).rename_axis("eid").reset_index()
    there = there.assign(until=there["end"] + LATE)
    return _Judged(problems, within[within["kind"] == "all_clear"], there, _hits(problems, there))


def _hits(problems: pd.DataFrame, episodes: pd.DataFrame) -> pd.DataFrame:
    """Give each notice to one episode of its subscriber that it can be about.

    The best has the notice's signal, then its cause, then is still running, then began last.
    """
    told = problems[["nid", "subscriber_id", "decided_time", "problem", "cause", "sent"]]
    pairs = told.merge(episodes, on="subscriber_id", suffixes=("", "_true"))
    in_time = (pairs["decided_time"] >= pairs["first_bad_time"]) & (pairs["decided_time"] <= pairs["until"])
    pairs = pairs[in_time]
    right_problem, right_cause = pairs["problem"] == pairs["signal"], pairs["cause"] == pairs["cause_true"]
    fit = 4 * right_problem + 2 * right_cause + (pairs["decided_time"] <= pairs["end"])
    weight = (right_problem | right_cause).map({True: 1.0, False: HALF_RIGHT}).astype(float)
    ordered = pairs.assign(fit=fit, weight=weight).sort_values(["nid", "fit", "first_bad_time"])
    return ordered.groupby("nid").tail(1).sort_values("decided_time")


def _told(judged: _Judged, span: Span, people_days: float) -> Figures:
    problems, hits, episodes = judged.problems, judged.hits, judged.episodes
    sent = problems[problems["sent"]]
    until = episodes["until"].where(episodes["until"] <= span.end, pd.Timestamp(span.end))
    open_days = _days(until - episodes["first_bad_time"]).sum()
    return {
        "problem_notices": len(problems),
        "sent": len(sent),
        "episodes": len(episodes),
        "precision": share(hits["weight"].sum(), len(problems)),
        "precision_sent": share(sent["nid"].isin(hits["nid"]).sum(), len(sent)),
        "chance_precision": share(open_days, people_days),
        "recall": share(hits.groupby("eid")["weight"].max().sum(), len(episodes)),
    }


def _minutes(times: pd.Series[pd.Timedelta]) -> pd.Series[float]:
    return times.dt.total_seconds() / 60


def _days(times: pd.Series[pd.Timedelta]) -> pd.Series[float]:
    return times.dt.total_seconds() / 86_400


def _by_group(judged: _Judged) -> Figures:
    outcomes = judged.outcomes
    told, of_cohort = outcomes["decided_time"].notna(), outcomes["truth_id"].notna()

    def recall(group: pd.Series[bool]) -> float | None:
        return share(told[group].sum(), group.sum())

    causes = {cause.value: outcomes["cause"] == cause.value for cause in _CAUSES}
    return {
        "recall_cohort": recall(of_cohort),
        "recall_household_account": recall(~of_cohort),
        "recall_two_bad": recall(outcomes["second_bad_time"].notna()),
        "cause_recall": {name: f"{int(told[it].sum())}/{int(it.sum())}" for name, it in causes.items()},
    }


_CAUSES = (Cause.SERVICE, Cause.ISP, Cause.APP, Cause.HOUSEHOLD, Cause.ACCOUNT)


def _rightly(judged: _Judged) -> Figures:
    first, hits = judged.first, judged.hits
    late = _minutes(first["decided_time"] - first["first_bad_time"])
    return {
        "cause_accuracy": share((first["cause"] == first["cause_true"]).sum(), len(first)),
        "problem_accuracy": share((first["problem"] == first["signal"]).sum(), len(first)),
        "notice_after_first_bad_min_median": percentile(late),
        "duplicates_per_notified_episode": share(len(hits) - len(first), len(first)),
        "episodes_with_duplicates": int((hits.groupby("eid").size() > 1).sum()),
    }


def _before_complaints(judged: _Judged, span: Span) -> Figures:
    outcomes = judged.outcomes
    complaint = outcomes["first_complaint_time"]
    complained = outcomes[complaint.notna() & (complaint <= span.end)]
    before = complained[complained["decided_time"] < complained["first_complaint_time"]]
    lead = _minutes(before["first_complaint_time"] - before["decided_time"])
    return {
        "recall_complainers": share(complained["decided_time"].notna().sum(), len(complained)),
        "complaints": len(complained),
        "complaints_preempted": share(len(before), len(complained)),
        "lead_min_median": percentile(lead),
    }


def _needless(judged: _Judged, sessions: pd.DataFrame, people_days: float) -> Figures:
    misses = judged.misses
    bad = sessions.loc[sessions["impaired"].to_numpy(bool), ["subscriber_id", "bad_time"]]
    pairs = misses[["nid", "subscriber_id", "decided_time"]].merge(bad, on="subscriber_id")
    ago = pairs["decided_time"] - pairs["bad_time"]
    lately = pairs.loc[(ago >= pd.Timedelta(0)) & (ago <= RECENTLY), "nid"].nunique()
    return {
        "nuisance_per_10k_subscriber_days": _per_people(len(misses), people_days),
        "unimpaired_per_10k_subscriber_days": _per_people(len(misses) - lately, people_days),
    }


def _per_people(count: int, people_days: float) -> float | None:
    return rounded(count / people_days * PER_PEOPLE, 2)


def _all_clear(judged: _Judged, span: Span) -> Figures:
    outcomes = judged.outcomes
    ended = outcomes["end"] <= span.end - TOO_NEW
    due = outcomes[outcomes["truth_id"].notna() & outcomes["decided_time"].notna() & ended]
    clears = judged.clears[["subscriber_id", "decided_time"]].rename(columns={"decided_time": "clear_time"})
    pairs = due[["eid", "subscriber_id", "end", "decided_time"]].merge(clears, on="subscriber_id")
    after = pairs["clear_time"] - pairs["end"]
    good = pairs.loc[(after >= -CLEAR_EARLY) & (after <= CLEAR_LATE), "eid"].nunique()
    is_early = (pairs["clear_time"] > pairs["decided_time"]) & (after < -CLEAR_EARLY)
    return {
        "all_clear_rate": share(good, len(due)),
        "all_clear_premature": share(pairs.loc[is_early, "eid"].nunique(), len(due)),
    }


def _flags(judged: _Judged, people_days: float) -> list[str]:
    """Return what makes a replay worthless whatever its figures."""
    problems = judged.problems
    withheld = len(problems) - int(problems["sent"].sum())
    tests = {
        "notifies nearly everyone": len(problems)
        > max(MOST_A_EPISODE * len(judged.episodes), MOST_A_DAY * people_days) + SLACK,
        "most notices withheld as policy": withheld > MOST_WITHHELD * len(problems),
    }
    return [flag for flag, is_raised in tests.items() if is_raised]
