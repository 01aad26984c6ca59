"""The pictures of the documents: well formed, self-contained, the same each time, and there."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.calibration import FRONT, PLAIN, TRUE
from benchmarks.detection_plots import calibration_picture, incident_picture, most_telling, quick_pictures
from benchmarks.pit import Cells
from benchmarks.svg import BLUE, Axis, Picture
from detectors.finding import Cohort
from incidents.model import ChartPoint, Incident, Severity
from incidents.verdict import cohort_verdict
from telemetry.contract import Signal

SVG = "{http://www.w3.org/2000/svg}"
LARGEST = 60_000
NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)
few = settings(max_examples=40, deadline=None)


def parts(picture: Picture) -> ET.Element:
    return ET.fromstring(picture.render())


def is_described(root: ET.Element) -> bool:
    named = {it.get("id"): it.text for it in root if it.tag in {f"{SVG}title", f"{SVG}desc"}}
    return root.get("role") == "img" and all(named[it] for it in (root.get("aria-labelledby") or "").split())


def incident(hours: int = 6, people: float = 80.0, resolved: bool = True) -> Incident:
    quarter = timedelta(minutes=15)
    chart = tuple(ChartPoint(NOON + k * quarter, 50, 20 if 8 <= k < 16 else 1, 1.5) for k in range(hours * 4))
    return Incident(
        incident_id="inc-1",
        signal=Signal.BUFFERING,
        cohort=Cohort.of({"cdn": "<a & b>"}),
        onset_time=NOON + 8 * quarter,
        detected_time=NOON + 10 * quarter,
        resolved_time=NOON + 18 * quarter if resolved else None,
        severity=Severity.MINOR,
        affected_subscribers=40,
        verdict=cohort_verdict(Signal.BUFFERING, Cohort(), {}),
        observed=people,
        expected=8.0,
        sessions=500,
        surprise=90.0,
        updated_time=NOON + 20 * quarter,
        chart=chart,
    )


@few
@given(
    st.text(st.characters(codec="utf-8", exclude_categories=("C",)), max_size=30),
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=1, max_size=20),
)
def test_whatever_is_drawn_is_well_formed_and_stays_in_the_frame(text: str, points: list[tuple[float, float]]) -> None:
    picture = Picture(text, text, Axis(text, -10, 10, [(0, text)]), Axis(text, 0.1, 100, [(1, text)], is_log=True))
    picture.line(points, text, BLUE, dots=True)
    picture.mark(3, text)
    picture.level(10, text)
    root = parts(picture)
    assert root.findtext(f"{SVG}title") == text
    width, height = (float(it) for it in (root.get("viewBox") or "").split()[2:])
    for dot in root.iter(f"{SVG}circle"):
        assert 0 <= float(dot.get("cx", "nan")) <= width
        assert 0 <= float(dot.get("cy", "nan")) <= height


def test_more_is_higher_and_later_is_further_right() -> None:
    picture = Picture("a", "b", Axis("x", 0, 10, []), Axis("y", 0, 10, []))
    picture.line([(1, 1), (2, 5), (9, 7)], "line", BLUE, dots=True)
    dots = [(float(it.get("cx", "nan")), float(it.get("cy", "nan"))) for it in parts(picture).iter(f"{SVG}circle")]
    assert [x for x, _ in dots] == sorted(x for x, _ in dots)
    assert [y for _, y in dots] == sorted((y for _, y in dots), reverse=True)


def test_the_quick_pictures_are_the_same_twice_and_those_of_the_docs(root: Path) -> None:
    for name, (picture, _) in quick_pictures().items():
        assert is_described(parts(picture))
        assert picture.render() == quick_pictures()[name][0].render()
        assert (root / "docs" / "plots" / f"{name}.svg").read_text(encoding="utf-8") == picture.render()


def test_what_the_quick_pictures_say() -> None:
    numbers = {key: value for _, facts in quick_pictures().values() for key, value in facts.items()}
    assert 1 < numbers["sessions_until_told"] <= 5
    assert numbers["highest_log_odds_prone"] < 0
    assert min(numbers["sharp_nats"], numbers["slow_nats"]) > numbers["price_cdn_nats"]
    assert numbers["price_three_dimensions_nats"] > numbers["price_cdn_nats"]


def test_an_incident_is_drawn_with_its_onset_detection_and_end() -> None:
    picture, numbers = incident_picture(incident())
    root = parts(picture)
    words = " ".join(it.text or "" for it in root.iter(f"{SVG}text"))
    assert is_described(root)
    assert "<a & b>" in words
    for mark in ("onset 14:00", "detected 14:30", "resolved 16:30"):
        assert mark in words
    assert numbers == {"incident_observed_people": 80.0, "incident_expected_people": 8.0}


def test_the_most_telling_incident_is_over_and_struck_most() -> None:
    small, large, running = incident(people=20), incident(), incident(people=900, resolved=False)
    assert most_telling([small, running, large]) is large


def test_an_honest_model_lies_on_the_diagonal() -> None:
    rng, count = np.random.default_rng(1), 4_000
    mean = np.full(count, 3.0)
    honest = Cells(rng.poisson(mean).astype(float), mean, np.ones(count), np.zeros(count, np.int64))
    wrong = Cells(honest.observed, mean / 2, honest.dispersion, honest.signal)
    picture, numbers = calibration_picture({FRONT: honest, TRUE: honest, PLAIN: wrong})
    assert is_described(parts(picture))
    assert numbers["ks_distance"] < 0.03 < 0.2 < numbers["ks_distance_plain_poisson"]


def test_the_pictures_of_the_docs_are_there_small_and_well_formed(root: Path) -> None:
    text = (root / "docs" / "detection.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[([^\]]+)\]\((plots/[^)]+\.svg)\)", text)
    assert len(shown) == 4
    for words, name in shown:
        path = root / "docs" / name
        drawn = path.read_text(encoding="utf-8")
        assert words
        assert len(drawn.encode()) < LARGEST
        assert is_described(ET.fromstring(drawn))
        assert "href" not in drawn


@pytest.mark.parametrize("name", ["incident", "calibration", "log-odds", "horizons"])
def test_every_picture_has_readable_letters(name: str, root: Path) -> None:
    drawn = ET.parse(root / "docs" / "plots" / f"{name}.svg").getroot()
    sizes = [float(it.get("font-size", "0")) for it in drawn.iter(f"{SVG}text")]
    assert len(sizes) > 8
    assert min(sizes) >= 12
