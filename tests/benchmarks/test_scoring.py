"""A replay's score is what the shared scorer makes of it, and moves the way it should."""

from __future__ import annotations

import importlib.util
import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.scoring import score_replay
from benchmarks.scoring.cohorts import NOBODY, Sessions, parse_cohort
from benchmarks.scoring.numbers import f_beta, percentile, rounded, share
from tests.benchmarks.replays import truth, write

pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in.*meta.json:pytest.PytestUnraisableExceptionWarning"
)
"""The shared scorer leaves closing a file to the interpreter."""


@pytest.fixture(scope="session")
def scorer(shared: Path) -> ModuleType:
    """The scorer that lies beside the labelled worlds."""
    path = shared / "tools" / "score_replay.py"
    if not path.exists():
        pytest.skip("The shared scorer is not beside this checkout.")
    spec = importlib.util.spec_from_file_location("shared_scorer", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plain(found: Any) -> Any:
    return json.loads(json.dumps(found, default=str))


def perfect(world, out: Path) -> Path:
    """Write what somebody who knows the truth would have reported."""
    incidents = [
        {
            "incident_id": row.truth_id,
            "signal": row.signal,
            "cohort": row.cohort,
            "onset_time": row.start,
            "detected_time": row.start + pd.Timedelta(minutes=15),
            "resolved_time": row.end,
            "severity": "major",
            "affected_subscribers": row.impaired_subscribers,
        }
        for row in truth(world, "incidents").itertuples()
        if not row.benign
    ]
    notices = [
        {
            "notice_id": f"{kind}-{row.Index}",
            "subscriber_id": row.subscriber_id,
            "decided_time": moment,
            "problem": row.signal,
            "cause": row.cause,
            "channel": "email",
            "kind": kind,
        }
        for row in truth(world, "episodes").itertuples()
        for kind, moment in (("problem", row.first_bad_time), ("all_clear", row.end))
    ]
    out.mkdir()
    write(out, incidents, notices)
    return out


@pytest.mark.parametrize("seed", range(12))
def test_it_agrees_with_the_shared_scorer_on_replays_drawn_by_chance(scorer, everyday, draw_replay, seed):
    out = draw_replay(everyday, seed)
    ours, theirs = score_replay(everyday.path, out), scorer.evaluate(str(everyday.path), str(out))
    assert plain(ours) == plain(theirs)


@pytest.mark.parametrize("seed", [1, 2])
def test_it_agrees_on_a_world_without_faults(scorer, calm, draw_replay, seed):
    out = draw_replay(calm, seed)
    assert plain(score_replay(calm.path, out)) == plain(scorer.evaluate(str(calm.path), str(out)))


def test_it_agrees_when_nothing_was_reported_and_within_other_bounds(scorer, everyday, draw_replay, tmp_path):
    write(tmp_path, [], [])
    assert plain(score_replay(everyday.path, tmp_path)) == plain(scorer.evaluate(str(everyday.path), str(tmp_path)))
    out, start = draw_replay(everyday, 3), everyday.evaluate_from.replace(tzinfo=None)
    start, end = start + timedelta(hours=20), start + timedelta(hours=40)
    ours = score_replay(everyday.path, out, start, end)
    assert plain(ours) == plain(scorer.evaluate(str(everyday.path), str(out), str(start), str(end)))


@pytest.mark.world
def test_it_agrees_on_a_shared_world(scorer, shared, everyday, draw_replay, tmp_path):
    world = shared / "worlds" / "dev-small"
    rng = np.random.default_rng(2)
    incidents = pd.read_parquet(world / "truth" / "incidents.parquet")
    rows = [
        {
            "signal": row.signal,
            "cohort": row.cohort if rng.random() < 0.7 else "{}",
            "onset_time": row.start,
            "detected_time": row.start + pd.Timedelta(minutes=float(rng.uniform(0, 90))),
        }
        for row in incidents.itertuples()
    ]
    write(tmp_path, rows, [])
    assert plain(score_replay(world, tmp_path)) == plain(scorer.evaluate(str(world), str(tmp_path)))


def test_who_knows_the_truth_scores_highest_and_who_says_nothing_next_to_nothing(everyday, tmp_path):
    best = score_replay(everyday.path, perfect(everyday, tmp_path / "best"))
    assert (best["incident_f1"], best["incidents"]["exact_cohort"], best["notices"]["precision"]) == (1, 1, 1)
    assert best["score"] > 95
    assert best["degenerate"] == []
    (tmp_path / "null").mkdir()
    write(tmp_path / "null", [], [])
    nothing = score_replay(everyday.path, tmp_path / "null")
    assert nothing["score"] == 0
    assert nothing["incidents"]["precision"] is None


def test_silence_is_right_in_a_world_without_faults(calm, draw_replay, tmp_path):
    write(tmp_path, [], [])
    assert score_replay(calm.path, tmp_path)["score"] == 100
    assert score_replay(calm.path, draw_replay(calm, 1))["score"] < 100


def test_a_notice_to_somebody_who_is_well_costs(everyday, tmp_path):
    out = perfect(everyday, tmp_path / "out")
    before = score_replay(everyday.path, out)
    healthy = sorted(
        set(pd.read_parquet(everyday.path / "subscribers.parquet")["subscriber_id"])
        - set(truth(everyday, "sessions").query("impaired")["subscriber_id"])
    )
    notices = pd.read_parquet(out / "notices.parquet").to_dict("records")
    moment = everyday.evaluate_from.replace(tzinfo=None) + timedelta(hours=30)
    needless = [{**notices[0], "subscriber_id": who, "decided_time": moment} for who in healthy[:20]]
    told = [{**it, "withheld_reason": None, "incident_id": None} for it in [*notices, *needless]]
    write(out, pd.read_parquet(out / "incidents.parquet").to_dict("records"), told)
    after = score_replay(everyday.path, out)
    assert after["score"] < before["score"]
    assert after["notices"]["unimpaired_per_10k_subscriber_days"] == pytest.approx(20 / 500 / 2 * 10_000)


def test_a_truth_without_complaints_is_scored_without_them(everyday, draw_replay, tmp_path):
    world = tmp_path / "world"
    shutil.copytree(everyday.path / "truth", world / "truth")
    truth(everyday, "episodes").drop(columns="first_complaint_time").to_parquet(world / "truth" / "episodes.parquet")
    out = draw_replay(everyday, 2)
    found, whole = score_replay(world, out), score_replay(everyday.path, out)
    assert found["notices"]["complaints"] == 0
    assert found["notices"]["recall"] == whole["notices"]["recall"]


def test_retries_weigh_no_more_than_their_subscriber():
    moment = datetime(2026, 3, 9)
    frame = pd.DataFrame(
        {
            "subscriber_id": ["a", "a", "a", "b"],
            "cdn": ["x", "x", "y", "y"],
            "session_start": [moment] * 4,
            "session_end": [moment + timedelta(hours=1)] * 4,
            "truth_id": ["T1", None, None, None],
            "impaired": [True, False, False, False],
        }
    )
    sessions = Sessions(frame)
    stretch = sessions.running(moment, moment + timedelta(minutes=1))
    assert stretch.weight == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1])
    assert sessions.members({"cdn": "x"}, stretch.places).tolist() == [True, True, False, False]
    assert sessions.members({"cdn": ["x", "y"]}, stretch.places).all()
    assert not sessions.members({"planet": "mars"}, stretch.places).any()
    assert sessions.impaired_by("T1", stretch.places).tolist() == [True, False, False, False]


@pytest.mark.parametrize("text", ["", "no JSON", "[1]", 3])
def test_a_cohort_that_is_none_has_no_members(text):
    assert parse_cohort(text) in (NOBODY, {})


@given(st.floats(0.01, 1), st.floats(0.01, 1), st.sampled_from([0.5, 1, 2]))
def test_an_f_score_lies_between_precision_and_recall(precision, recall, beta):
    assert min(precision, recall) - 1e-9 <= f_beta(precision, recall, beta) <= max(precision, recall) + 1e-9


def test_nothing_to_speak_of_is_none():
    assert rounded(None) is None
    assert rounded(float("nan")) is None
    assert share(1, 0) is None
    assert percentile([]) is None
    assert f_beta(None, 1.0, 1) == 0
