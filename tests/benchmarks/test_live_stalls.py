"""The benchmark of live stalls reads what it is given, scores it as said, and never crashes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.live_cases import Case, read_cases
from benchmarks.live_stalls import log_chance, main, told, watched
from detectors.leaf_causes import Cause

MARK = pd.Timestamp("2024-05-01 10:10")


def rows(case: str = "a", *, minutes: int = 16, struck: str = "2000", seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    table = []
    for minute in range(minutes):
        for cdn in ("x", "y"):
            for bitrate in ("500", "2000", "0"):
                for p2p in ("0", "1"):
                    viewers = int(rng.integers(200, 900))
                    rate = 0.02 + 0.3 * (bitrate == struck and minute >= 10)
                    stalled = int(rng.binomial(viewers, rate))
                    table.append((case, MARK + pd.Timedelta(minutes=minute - 10), cdn, bitrate, p2p, stalled, viewers))
    columns = ["case_id", "minute", "cdn", "bitrate", "p2p", "stalled_viewers", "viewers"]
    return pd.DataFrame(table, columns=columns)


def folder(path: Path, table: pd.DataFrame, labels: list[tuple[str, str, str, str]] | None = None) -> Path:
    table.to_parquet(path / "viewers.parquet")
    if labels is not None:
        columns = ["case_id", "source_name", "causes", "time"]
        pd.DataFrame(labels, columns=columns).to_csv(path / "labels.csv", index=False)
    return path


def label(case: str = "a", cause: str = '[{"bitrate": 2000}]', time: str = str(MARK)) -> tuple[str, str, str, str]:
    return (case, f"{case}_0501_77", cause, time)


def facts(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, float]:
    assert main(list(arguments)) == 0
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


def the_case(path: Path, table: pd.DataFrame, **labelled: str) -> Case:
    return read_cases(folder(path, table, [label(**labelled)]))[0]


def test_an_easy_case_is_alarmed_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = facts(capsys, str(folder(tmp_path, rows(), [label()])))
    assert found["cases"] == found["first"] == found["first_five"] == found["jaccard_half"] == 1
    assert found["alarm"] == found["first_unmarked"] == 1
    assert found["unmarked_alarms_per_hour"] == 0
    assert found["ms_per_case"] > 0


def test_tuning_reports_what_was_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.setattr("benchmarks.live_stalls.GRID", {"per_bit": (0.01,), "per_cohort": (0.1, 0.15)})
    monkeypatch.setattr("benchmarks.live_stalls.RULE_GRID", {"nats": (10.0,), "share": (0.003,), "rate": (0.03,)})
    table = pd.concat([rows("a"), rows("b", struck="500", seed=2)])
    found = facts(
        capsys, str(folder(tmp_path, table, [label("a"), label("b", '[{"bitrate": 500}]')])), "--tune", "--failing"
    )
    assert found["left_out_first"] == found["left_out_alarm"] == 1


def missing_column(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(isp=None, platform=np.nan)


def some_missing(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(
        cdn=table["cdn"].where(table.index % 3 > 0), viewers=table["viewers"].where(table.index % 7 > 0)
    )


@pytest.mark.parametrize(
    "change",
    [
        missing_column,
        some_missing,
        lambda t: t[t["minute"] == t["minute"].max()],
        lambda t: t[t["minute"] == MARK],
        lambda t: t.iloc[:1],
        lambda t: t.iloc[:0],
        lambda t: t.drop(columns=["cdn", "bitrate", "p2p"]),
        lambda t: t.assign(bitrate=t["bitrate"].astype(float)),
        lambda t: t.assign(viewers=0),
        lambda t: t[t["minute"].dt.minute % 3 > 0],
        lambda t: t.assign(minute=t["minute"].dt.tz_localize("UTC")),
        lambda t: t.assign(stalled_viewers=t["viewers"] * 2),
    ],
    ids=lambda c: getattr(c, "__name__", None),
)
def test_whatever_is_missing_nothing_crashes(change, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = facts(capsys, str(folder(tmp_path, change(rows()), [label()])), "--failing")
    assert 0 <= found["first"] <= 1


@pytest.mark.parametrize(
    "labels",
    [None, [], [label("other")], [label(cause="no JSON")], [label(time="never")], [label(time="2031-01-01")]],
    ids=str,
)
def test_cases_without_a_label_are_only_counted(labels, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = facts(capsys, str(folder(tmp_path, rows(), labels)), "--tune")
    assert (found["cases"], found["unlabelled_cases"]) == (0, 1)


def test_numbers_and_words_of_a_value_are_the_same(tmp_path: Path) -> None:
    table = rows()
    case = the_case(tmp_path, table.assign(bitrate=table["bitrate"].astype(float)))
    assert case.coded(case.truth or frozenset()) != ()
    assert case.channel == "77"


def test_a_cause_is_right_only_if_it_is_exactly_the_true_one(tmp_path: Path) -> None:
    case = the_case(tmp_path, rows())
    wider = frozenset({frozenset({("bitrate", "2000")}), frozenset({("bitrate", "500")})})
    part = frozenset({frozenset({("bitrate", "2000"), ("cdn", "x"), ("p2p", "1")})})
    right = frozenset({frozenset({("bitrate", "2000")})})
    assert told(case, [right]) == told(case, [right, wider])
    assert (told(case, [wider, right]).first, told(case, [wider, right]).first_five) == (False, True)
    assert told(case, [part]).jaccard_half is False
    assert told(case, []) == told(case, [part])


def test_an_alarm_before_the_mark_is_in_time_only_if_stalls_had_risen(tmp_path: Path) -> None:
    early = the_case(tmp_path, rows(), time=str(MARK + pd.Timedelta(minutes=4)))
    assert early.mark == 14
    assert [watched(early, [minute], [[]]).alarm for minute in (3, 9, 10, 13, 14, 16, 17)] == [
        *[False] * 2,
        *[True] * 4,
        False,
    ]
    assert watched(early, [3, 10], [[], []]).unmarked == 1


def test_the_name_that_counts_is_that_of_the_first_alarm_in_time(tmp_path: Path) -> None:
    case = the_case(tmp_path, rows())
    right, wrong = [frozenset({frozenset({("bitrate", "2000")})})], [frozenset({frozenset({("p2p", "0")})})]
    judged = watched(case, [3, 10], [wrong, right])
    assert (judged.alarm, judged.named, judged.named_strictly) == (True, True, False)
    judged = watched(case, [3, 10, 11], [right, wrong, right])
    assert (judged.alarm, judged.named, judged.named_strictly) == (True, False, True)
    judged = watched(case, [3], [right])
    assert (judged.alarm, judged.named, judged.named_strictly) == (False, False, True)


def test_reordering_rows_and_renaming_values_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    table = rows()
    renamed = table.sample(frac=1, random_state=1).assign(bitrate=lambda t: t["bitrate"].map(lambda b: f"z{b}"))
    found = facts(capsys, str(folder(one, table, [label()])))
    again = facts(capsys, str(folder(other, renamed, [label(cause='[{"bitrate": "z2000"}]')])))
    assert {k: v for k, v in found.items() if "ms" not in k} == {k: v for k, v in again.items() if "ms" not in k}


def test_the_real_cases_are_named_as_well_as_the_docs_say(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real = root.parent / "shared" / "real" / "live-stalls"
    if not real.is_dir():
        pytest.skip("The real cases are not beside this checkout.")
    found = facts(capsys, str(real))
    assert found["first"] >= 0.84
    assert found["first_unmarked"] >= 0.75
    assert found["alarm"] >= 0.97
    assert found["unmarked_alarms_per_hour"] <= 2


@pytest.mark.parametrize("content", [None, b"", b"no table"])
def test_a_folder_that_cannot_be_read_is_refused_with_a_sentence(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "viewers.parquet").write_bytes(content)
    with pytest.raises(SystemExit, match="cannot be read as a table"):
        main([str(tmp_path)])


def test_a_column_that_is_missing_is_named(tmp_path: Path) -> None:
    pd.DataFrame({"case_id": ["a"], "minute": ["2026-01-01"], "viewers": [3]}).to_parquet(tmp_path / "viewers.parquet")
    with pytest.raises(SystemExit, match="has no column stalled_viewers"):
        main([str(tmp_path)])


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        pytest.param("", "cannot be read as a table", id="an empty file"),
        pytest.param("x,y\n1,2\n", "has no column case_id", id="without cases"),
    ],
)
def test_odd_labels_are_refused_with_a_sentence(labels: str, said: str, tmp_path: Path) -> None:
    folder(tmp_path, rows(), [label()])
    (tmp_path / "labels.csv").write_text(labels)
    with pytest.raises(SystemExit, match=said):
        main([str(tmp_path)])


@pytest.mark.parametrize("labels", [[label()], None], ids=["labelled", "no labels"])
def test_the_last_line_has_what_the_docs_name(labels, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(folder(tmp_path, rows(), labels))])
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    names = {"first", "first_five", "jaccard_half", "alarm", "first_unmarked", "ms_per_case", "cases"}
    assert names <= {name for name, value in found.items() if value >= 0}


def test_a_ranking_is_worth_more_the_clearer_the_true_cause_leads(tmp_path: Path) -> None:
    case = the_case(tmp_path, rows())
    true, other = case.coded(case.truth or frozenset()), (((0, 0),),)
    ranked = [[Cause(true, a, 1.0), Cause(other, b, 1.0)] for a, b in ((0.5, 0.1), (0.5, 0.4), (0.4, 0.4))]
    ranked += [[Cause(other, 0.5, 1.0), Cause(true, 0.4, 1.0)], [Cause(other, 0.5, 1.0)], []]
    worth = [log_chance(case, causes) for causes in ranked]
    assert worth[:5] == sorted(worth[:5], reverse=True)
    assert worth[2] == pytest.approx(-np.log(2))
    assert worth[5] < worth[2]
