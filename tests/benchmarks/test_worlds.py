"""The benchmark of worlds replays, scores and says so in one last line of JSON."""

from __future__ import annotations

import contextlib
import io
import json

import pandas as pd
import pytest

from benchmarks.scoring import score_replay
from benchmarks.static_thresholds import write_null, write_static
from benchmarks.worlds import main
from telemetry.time import Window


@pytest.fixture(scope="module")
def said(everyday, tmp_path_factory):
    """What the benchmark prints for one day of a small world told twice, and what it keeps."""
    out = tmp_path_factory.mktemp("kept")
    twin = tmp_path_factory.mktemp("twin") / "twin"
    twin.symlink_to(everyday.path)
    found = truth_start(everyday)
    command = [str(everyday.path), str(twin), "--out", str(out), "--step", "1h"]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main([*command, "--from", found[0], "--to", found[1]]) == 0
    return json.loads(printed.getvalue().splitlines()[-1]), out


def truth_start(world) -> tuple[str, str]:
    """Four hours around the sharpest fault."""
    incidents = pd.read_parquet(world.path / "truth" / "incidents.parquet")
    a_second = incidents["impaired_sessions"] / (incidents["end"] - incidents["start"]).dt.total_seconds()
    first = incidents.loc[a_second.idxmax(), "start"].floor("h")
    return str(first - pd.Timedelta(hours=1)), str(first + pd.Timedelta(hours=3))


def test_the_last_line_holds_every_world_and_the_mean(said, everyday):
    found, _ = said
    assert len(found["worlds"]) == 2
    scores = [one["score"] for one in found["worlds"].values()]
    assert found["score"] == pytest.approx(sum(scores) / 2, abs=0.1)
    assert set(found["baselines"]) == {"fixed limits", "silence"}
    assert found["worlds"]["twin"]["incidents"]["recall"] == 1
    assert {"window", "score", "incidents", "notices", "truths"} <= set(found["worlds"]["twin"])


def test_the_score_is_that_of_the_files_it_keeps(said, everyday):
    found, out = said
    start, end = (pd.Timestamp(it).to_pydatetime() for it in truth_start(everyday))
    (kept,) = out.glob("01-*/prebuffer")
    assert score_replay(everyday.path, kept, start, end) == found["worlds"]["twin"]


def test_a_folder_without_truth_is_refused_in_words(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main([str(tmp_path)])
    assert "truth/meta.json" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([])
    assert "scenario" in capsys.readouterr().err


def test_fixed_limits_find_what_is_large_and_bother_many(everyday, tmp_path):
    span = Window(everyday.evaluate_from, everyday.end)
    write_static(everyday.path, tmp_path / "static", span, everyday.end)
    write_null(tmp_path / "null")
    static, null = (score_replay(everyday.path, tmp_path / name) for name in ("static", "null"))
    assert static["incidents"]["recall"] > 0
    assert static["notices"]["recall"] > 0.5
    assert static["notices"]["nuisance_per_10k_subscriber_days"] > 50
    assert (null["incidents"]["reported"], null["notices"]["problem_notices"]) == (0, 0)
    decided = pd.read_parquet(tmp_path / "static" / "notices.parquet")["decided_time"]
    assert decided.min() >= pd.Timestamp(span.start).tz_localize(None)
