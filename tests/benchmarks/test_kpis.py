"""The benchmark of plain series: what counts as found, how thresholds are chosen, what may be read."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks import kpis
from benchmarks import report as wide
from benchmarks.kpi_baselines import BASELINES
from benchmarks.kpi_judging import MERGED_POINTS, RUN_POINTS, Part, choose, count, delays, halves, tell
from benchmarks.kpi_series import by_series, read_folder, side_by_side
from benchmarks.nab_score import alarm_costs, nab_scores, raw_scores


def part(rows: int, events: list[tuple[int, int]], alarms: list[int], days: float = 1.0) -> Part:
    labels = np.zeros(rows, dtype=bool)
    for start, end in events:
        labels[start:end] = True
    scores = np.zeros(rows)
    scores[alarms] = 1.0
    return Part(scores, labels, days)


@pytest.mark.parametrize(
    ("alarms", "counts"),
    [
        ([], [0, 0, 2]),
        ([12], [1, 0, 1]),
        ([12, 13, 55], [2, 0, 0]),
        ([9], [0, 1, 2]),
        ([20], [0, 1, 2]),
        ([12, 20, 21], [1, 1, 1]),
        ([30, 30 + MERGED_POINTS], [0, 1, 2]),
        ([30, 31 + MERGED_POINTS], [0, 2, 2]),
    ],
)
def test_events_are_found_within_and_alarms_outside_are_false_run_by_run(alarms, counts):
    assert count(part(100, [(10, 20), (50, 60)], alarms), np.array([0.5]))[0].tolist() == counts


def test_an_alarm_that_never_ends_is_many_false_alarms():
    rows = 1_000
    always = part(rows, [], list(range(rows)))
    assert count(always, np.array([0.5]))[0, 1] == (rows - 1) // RUN_POINTS + 1


def test_delay_is_from_the_start_of_an_event():
    assert delays(part(100, [(10, 20), (50, 60)], [13, 14, 50]), 0.5) == [3, 0]


def test_constant_scores_never_alarm():
    constant = Part(np.zeros(500), part(500, [(10, 20)], []).labels, 1.0)
    choice = choose([constant])
    assert tell([constant], choice.each).f1 == 0


def test_the_threshold_chosen_separates_events_from_noise():
    rng = np.random.default_rng(0)
    parts = []
    for _ in range(3):
        one = part(2_000, [(500, 510), (1_200, 1_210)], [])
        one.scores[:] = rng.random(2_000)
        one.scores[[505, 1_205]] = 5.0
        parts.append(one)
    choice = choose(parts)
    assert 0.99 < choice.one < 5
    assert tell(parts, choice.each).f1 == pytest.approx(1.0)
    assert tell(parts, choice.each).precision == pytest.approx(1.0)


def test_where_nothing_is_labelled_few_alarms_are_false():
    one = Part(np.random.default_rng(0).random(5_000), np.zeros(5_000, dtype=bool), days=20.0)
    assert tell([one], choose([one]).each).false_a_day <= 0.1


def test_a_perfect_detector_scores_100_and_a_silent_one_0():
    labels = part(1_000, [(400, 440), (700, 760)], []).labels
    perfect = part(1_000, [], [400, 700]).scores
    assert nab_scores([perfect], [labels], np.array([0.5]))[0] == pytest.approx(100)
    assert nab_scores([np.zeros(1_000)], [labels], np.array([0.5]))[0] == pytest.approx(0)


def test_numenta_pays_less_for_late_alarms_and_charges_false_ones_by_distance():
    labels = part(1_000, [(400, 441)], []).labels
    scores = [part(1_000, [], [row]).scores for row in (400, 420, 440)]
    gains = [nab_scores([z], [labels], np.array([0.5]))[0] for z in scores]
    assert gains == sorted(gains, reverse=True)
    costs = alarm_costs(labels)
    assert costs[399] == pytest.approx(-0.11)
    assert costs[420] == 0
    assert costs[480] == pytest.approx(0.11 * (2 / (1 + np.exp(5.0)) - 1))
    assert costs[999] == pytest.approx(-0.11)
    total, windows = raw_scores(part(1_000, [], [10, 200]).scores, labels, np.array([0.5]), 150)
    assert total[0] == pytest.approx(-1 - 0.11)
    assert windows == 1


def table(days: int = 6, names: tuple[str, ...] = ("a", "b")) -> pd.DataFrame:
    rows = []
    for number, name in enumerate(names):
        rng = np.random.default_rng(number)
        times = pd.date_range("2026-03-02", periods=days * 288, freq="5min")
        values = 100 + 10 * np.sin(np.arange(len(times)) * 2 * np.pi / 288) + rng.standard_normal(len(times))
        label = np.zeros(len(times), dtype=int)
        for start in range(700 + 31 * number, len(times) - 20, 200):
            values[start : start + 3] -= 30
            label[start - 1 : start + 4] = 1
        rows.append(pd.DataFrame({"kpi": name, "time": times, "value": values, "label": label}))
    return pd.concat(rows, ignore_index=True)


def last_line(capsys) -> dict[str, float]:
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(kpis, "LIVE_SERIES", 3)
    monkeypatch.setattr(kpis, "LIVE_STEPS", 2)


def test_the_command_ends_in_one_line_of_numbers(tmp_path, capsys, quick):
    table().to_parquet(tmp_path / "any.parquet")
    kpis.main([str(tmp_path)])
    facts = last_line(capsys)
    for name in ("event_f1", "precision", "recall", "delay_points", "series_per_s", "points_per_s"):
        assert np.isfinite(facts[name])
    assert facts["event_f1"] > 0.9
    assert facts["event_f1_one_threshold"] > 0.9
    assert facts["random_event_f1"] < 0.5
    assert facts["constant_event_f1"] == 0
    assert {f"{name}_event_f1" for name in BASELINES} <= set(facts)


def test_a_folder_of_numentas_form_is_scored_its_way(tmp_path, capsys, quick):
    (tmp_path / "data" / "group").mkdir(parents=True)
    rows = table(names=("x",))
    rows[["time", "value"]].rename(columns={"time": "timestamp"}).to_csv(tmp_path / "data/group/x.csv", index=False)
    start, end = rows["time"].iloc[1_290], rows["time"].iloc[1_320]
    windows = {"group/x.csv": [[f"{start}.000000", f"{end}.000000"]]}
    (tmp_path / "combined_windows.json").write_text(json.dumps(windows))
    (series,) = read_folder(tmp_path)
    assert series.labels.sum() == 31
    kpis.main([str(tmp_path), "--skip", *BASELINES])
    assert -1_000 < last_line(capsys)["nab_standard"] <= 100


def test_rows_without_time_labels_or_names_are_read(tmp_path, capsys, quick):
    rows = table().drop(columns=["label", "kpi"]).iloc[:400].copy()
    rows["time"] = rows["time"].dt.tz_localize("UTC")
    rows.loc[3, "time"] = pd.NaT
    rows.loc[[5, 6], "value"] = np.nan
    rows.sample(frac=1, random_state=0).to_parquet(tmp_path / "bare.parquet")
    pd.DataFrame({"other": [1]}).to_parquet(tmp_path / "other.parquet")
    (series,) = read_folder(tmp_path)
    assert len(series.values) == 399
    assert np.all(np.diff(series.times_s) > 0)
    kpis.main([str(tmp_path), "--skip", "pca_knn", "holt_winters"])
    assert last_line(capsys)["event_f1"] == 0


def test_values_that_are_all_null_are_survived(tmp_path, capsys, quick):
    rows = table(days=3)
    rows.loc[rows["kpi"] == "b", "value"] = None
    rows["label"] = rows["label"].astype("Int64").where(rows["kpi"] == "a")
    rows.to_parquet(tmp_path / "nulls.parquet")
    kpis.main([str(tmp_path)])
    assert np.isfinite(last_line(capsys)["event_f1"])


def test_an_empty_folder_is_refused_with_a_sentence(tmp_path):
    with pytest.raises(SystemExit, match="holds no series"):
        kpis.main([str(tmp_path)])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        pytest.param(None, "", "holds no series", id="no such folder"),
        pytest.param("x.csv", "", "cannot be read as a table", id="an empty file"),
        pytest.param("x.csv", "time,label\n2026-01-01,1\n", "holds no series", id="a column is missing"),
        pytest.param("x.parquet", "no table", "cannot be read as a table", id="no table"),
        pytest.param("combined_windows.json", "{}x", "does not hold windows", id="windows that are no JSON"),
        pytest.param("combined_windows.json", '{"a.csv": [["never", 1, 2]]}', "does not hold windows", id="no windows"),
        pytest.param("combined_windows.json", "[1]", "does not hold windows", id="windows of nothing"),
    ],
)
def test_an_odd_folder_is_refused_with_a_sentence(name, content, said, tmp_path):
    if name is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(SystemExit, match=said):
        kpis.main([str(tmp_path / "nowhere" if name is None else tmp_path)])


def test_figures_are_never_cut_short(capsys):
    long = "a_very_long_name_of_a_series_in_some_folder_" * 3
    wide.table("Wide", ["series", *["so many words"] * 15], [[long, *["123,456,789.123"] * 15]])
    said = capsys.readouterr().out
    assert long in said
    assert said.count("123,456,789.123") == 15
    assert "…" not in said


def test_side_by_side_loses_nothing(tmp_path):
    rows = table()
    moved = rows["kpi"] == "b"
    rows.loc[moved, "time"] += pd.Timedelta(days=15, hours=5)
    rows.to_parquet(tmp_path / "any.parquet")
    series = read_folder(tmp_path)
    blocks = side_by_side(series)
    back = by_series(series, [(block, block.values) for block in blocks])
    for one, values in zip(series, back, strict=True):
        np.testing.assert_array_equal(values, one.values)
    first, second = halves(series, back)
    assert len(first[0].scores) + len(second[0].scores) == len(series[0].values)


def test_series_with_no_time_in_common_are_scored_alone(tmp_path):
    rng = np.random.default_rng(0)
    first = pd.Timestamp("2026-03-02")
    rows = pd.concat(
        pd.DataFrame({"kpi": str(n), "time": first + pd.to_timedelta(rng.uniform(0, 1e5, 50).cumsum() // 50, unit="s")})
        for n in range(9)
    )
    rows["value"] = 1.0
    rows.to_parquet(tmp_path / "any.parquet")
    blocks = side_by_side(read_folder(tmp_path))
    assert sorted(member for block in blocks for member in block.members) == list(range(9))
    assert all(len(block.times_s) <= 4 * 50 for block in blocks)


def test_series_of_a_point_or_two_are_survived(tmp_path, capsys, quick):
    rows = table(days=3, names=("a",))
    pd.concat([rows, rows.iloc[:1].assign(kpi="b"), rows.iloc[:2].assign(kpi="c")]).to_csv(tmp_path / "x.csv")
    kpis.main([str(tmp_path)])
    assert last_line(capsys)["series"] == 3


def test_real_kpis_are_found_better_than_by_baselines(shared, capsys, quick):
    folder = shared / "real" / "kpis"
    if not folder.is_dir():
        pytest.skip("The real KPIs are not beside this checkout.")
    kpis.main([str(folder), "--skip", "pca_knn", "holt_winters", "seasonal_mad", "random", "constant"])
    facts = last_line(capsys)
    assert facts["event_f1"] > max(0.75, facts["moving_z_event_f1"], facts["moving_median_event_f1"])
    assert facts["event_f1_one_threshold"] > 0.74
    assert facts["false_alarms_per_series_day"] < 0.1
