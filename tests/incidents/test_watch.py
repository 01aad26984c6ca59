"""The watch end to end, on a real warehouse: found, located, resolved, and the same after a restart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from time import process_time
from typing import Any

import pytest

from detectors.finding import Cohort
from incidents.model import Cause, Incident, TroubleKind
from incidents.quality import Measure, QualityKind, QualityNotice
from incidents.watch import Detection
from telemetry.contract import Signal
from telemetry.time import Window


def plain(value: Any) -> Any:
    """A value without what rounding may change, sets and sequences of people in order."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    return [plain(item) for item in value] if isinstance(value, tuple) else value


def same(one: Detection, other: Detection) -> bool:
    """Whether two detections say the same, in whatever order."""
    return all(
        sorted(map(str, map(plain, getattr(one, name)))) == sorted(map(str, map(plain, getattr(other, name))))
        for name in ("incidents", "troubles", "quality")
    )


def incidents(loop) -> list[Incident]:
    return list(loop.known.values())


def ran(loop, windows: Sequence[Window]) -> list[Detection]:
    return [loop.step(window) for window in windows]


CDN_FAULT = {"isp": "Northnet", "cdn": "cdn-b"}


@pytest.fixture(scope="module")
def story(watched, plant):
    """One fault of an hour, watched to its end; each step also by a watch that starts afresh."""
    loop, windows = watched(plant(CDN_FAULT, 0.5, 1.5, stall=0.7), hours=2.75)
    afresh = []
    for window in windows:
        before = loop.told()
        hot = loop.step(window)
        afresh.append((window, hot, loop.new_watch().detect(window, *before), before))
    return loop, windows, afresh


def test_a_fault_is_found_located_and_resolved(story) -> None:
    loop, windows, _ = story
    (incident,) = incidents(loop)
    begin, end = (windows[0].start + timedelta(hours=hours) for hours in (0.5, 1.5))
    assert incident.signal is Signal.BUFFERING
    assert incident.cohort == Cohort.of(CDN_FAULT)
    assert incident.verdict.cause is Cause.SERVICE
    assert abs(incident.onset_time - begin) < timedelta(minutes=20)
    assert begin < incident.detected_time <= begin + timedelta(minutes=45)
    assert incident.resolved_time is not None
    assert end < incident.resolved_time <= end + timedelta(hours=1.5)
    assert incident.observed > 5 * incident.expected


@pytest.mark.parametrize(
    ("kind", "where", "stays"),
    [
        pytest.param(QualityKind.MISSING_TELEMETRY, {}, True, id="its telemetry is missing"),
        pytest.param(
            QualityKind.MISSING_TELEMETRY, {"cdn": "cdn-a"}, False, id="another cohort's telemetry is missing"
        ),
        pytest.param(QualityKind.MISSING_VIEWERS, {}, False, id="viewers are missing"),
    ],
)
def test_an_incident_does_not_end_in_the_dark(story, kind: QualityKind, where: dict[str, str], stays: bool) -> None:
    loop, _, afresh = story
    window, before = next((w, told) for w, hot, _, told in afresh if any(i.resolved_time for i in hot.incidents))
    gap = QualityNotice(
        "gap",
        kind,
        Cohort.of(where),
        Measure.PRESENCE,
        window.start,
        window.end,
        None,
        9.0,
        0.0,
        0.0,
        9.0,
        (),
        window.end,
    )
    after = {i.incident_id: i for i in loop.new_watch().detect(window, *before, [gap]).incidents}
    assert all(incident.is_open for incident in after.values()) is stays


def test_an_incident_that_grows_by_a_few_at_a_time_gets_its_right_name(watched, plant) -> None:
    """However little a step brings: here the first name was too wide by one dimension."""
    loop, windows = watched(plant(CDN_FAULT, 0.25, 4, stall=0.3), hours=3)
    steps = iter([step for window in windows for step in window.split(timedelta(minutes=5))])
    while not incidents(loop) or incidents(loop)[0].observed < 12:
        loop.step(next(steps))
    (opened,) = incidents(loop)
    loop.known[opened.incident_id] = replace(opened, cohort=Cohort.of({"cdn": "cdn-b"}))
    struck = [opened.observed, *(loop.step(step).incidents[0].observed for step in steps)]
    assert all(after <= 1.1 * before + 1 for before, after in pairwise(struck))
    assert loop.known[opened.incident_id].cohort == Cohort.of(CDN_FAULT)


def test_an_incident_whose_people_another_explains_keeps_its_name(watched, plant) -> None:
    """It has nothing left to be named by: the next fault's excess is no reason to call it everyone."""
    later = plant({"isp": "Bluewave", "cdn": "cdn-a"}, 1.5, 4, stall=0.7)
    loop, windows = watched(plant(CDN_FAULT, 0.25, 4, stall=0.7), later, hours=2.5)
    while not incidents(loop):
        loop.step(windows.pop(0))
    (opened,) = incidents(loop)
    loop.known["inc-wider"] = replace(opened, incident_id="inc-wider", cohort=Cohort.of({"isp": "Northnet"}))
    ran(loop, windows)
    assert loop.known[opened.incident_id].cohort == Cohort.of(CDN_FAULT)


@pytest.mark.parametrize("elsewhere", [0.08, 0.12])
def test_a_fault_that_strikes_a_part_of_its_cohort_harder_is_one_incident(elsewhere: float, watched, plant) -> None:
    faults = plant({"cdn": "cdn-b"}, 0.25, 4, stall=elsewhere), plant(CDN_FAULT, 0.25, 4, stall=0.95)
    loop, windows = watched(*faults, seed=3, hours=3.5)
    ran(loop, windows)
    assert [incident.cohort for incident in incidents(loop)] == [Cohort.of({"cdn": "cdn-b"})]


def test_the_people_struck_hear_of_it_once_and_of_its_end(story) -> None:
    loop = story[0]
    (incident,) = incidents(loop)
    told = [t.subscriber_id for t in loop.troubles if t.kind is TroubleKind.PROBLEM and t.incident_id]
    cleared = [t.subscriber_id for t in loop.troubles if t.kind is TroubleKind.ALL_CLEAR]
    assert len(told) == len(set(told)) == incident.affected_subscribers > 10
    assert sorted(cleared) == sorted(told)
    assert all(t.incident_resolved for t in loop.troubles if t.kind is TroubleKind.ALL_CLEAR)


def test_a_watch_that_starts_afresh_says_the_same_at_every_step(story) -> None:
    """So live is replay: a run that is killed and started again goes on as if nothing had happened."""
    assert [window.key for window, hot, fresh, _ in story[2] if not same(hot, fresh)] == []


def test_a_window_watched_twice_says_the_same(watched, plant) -> None:
    loop, windows = watched(plant(CDN_FAULT, 0.25, 2, stall=0.8), hours=1.5)
    ran(loop, windows[:-1])
    before = loop.told()
    assert incidents(loop)
    assert same(loop.step(windows[-1]), loop.watch.detect(windows[-1], *before))


@pytest.mark.parametrize("seed", [3, 4])
def test_without_a_fault_there_is_no_incident_and_hardly_a_trouble(seed: int, watched) -> None:
    loop, windows = watched(seed=seed, hours=2)
    ran(loop, windows)
    assert incidents(loop) == []
    assert len(loop.troubles) <= 2


def test_on_the_first_day_what_was_always_so_is_no_fault_and_what_begins_is_one(loop, first_day, plant) -> None:
    always = plant({}, 0, 10, stall=0.03)
    windows = first_day(always, plant(CDN_FAULT, 6, 8, stall=0.7), hours=8)
    for window in windows:
        before = loop.told()
        assert same(loop.step(window), loop.new_watch().detect(window, *before))
    (incident,) = incidents(loop)
    assert incident.cohort == Cohort.of(CDN_FAULT)
    assert abs(incident.onset_time - windows[0].start - timedelta(hours=6)) < timedelta(minutes=20)


def test_refusals_of_many_are_our_fault(watched, plant) -> None:
    loop, windows = watched(plant({"country": "GB"}, 0.5, 2, refuse=0.6), hours=1.5)
    ran(loop, windows)
    (incident,) = incidents(loop)
    assert (incident.signal, incident.cohort) == (Signal.ACCESS, Cohort.of({"country": "GB"}))
    assert incident.verdict.cause is Cause.SERVICE


def test_two_faults_at_once_are_two_incidents(watched, plant) -> None:
    faults = plant(CDN_FAULT, 0.25, 2, stall=0.8), plant({"region": "GB-A"}, 0.25, 2, refuse=0.7)
    loop, windows = watched(*faults, hours=1.5)
    ran(loop, windows)
    assert {str(incident.cohort) for incident in incidents(loop)} == {
        "internet provider Northnet and CDN cdn-b",
        "region GB-A",
    }


def test_one_household_is_nobody_elses_incident(watched, plant) -> None:
    loop, windows = watched(plant(start=0, end=4, people=["u0007"], stall=0.9), hours=2.5, restless=7)
    ran(loop, windows)
    assert incidents(loop) == []
    (trouble,) = [t for t in loop.troubles if t.subscriber_id == "u0007"]
    assert trouble.verdict.cause is Cause.HOUSEHOLD
    assert trouble.incident_id is None


# -- bad inputs


def event(
    at: datetime, who: str = "u1", session: str = "s1", kind: str = "play_failed", **columns: Any
) -> dict[str, Any]:
    moment = at.replace(tzinfo=None)
    return {
        "event_id": f"{who}-{session}-{kind}-{at:%d%H%M%S%f}",
        "event_time": moment,
        "received_time": moment,
        "session_id": session,
        "subscriber_id": who,
        "event": kind,
        "error_class": "network" if kind == "play_failed" else None,
    } | columns


NOON = datetime.fromisoformat("2026-03-05T12:00:00+00:00")
WINDOW = Window(NOON, NOON + timedelta(minutes=15))


def test_an_empty_window_of_an_empty_warehouse_is_nothing(loop) -> None:
    assert loop.step(WINDOW) == Detection()
    assert loop.step(Window(WINDOW.end, WINDOW.end + timedelta(minutes=15))) == Detection()


def test_one_session_is_nothing(loop, tmp_path) -> None:
    loop.put([event(NOON)], tmp_path, WINDOW.end)
    assert loop.step(WINDOW) == Detection()


def test_one_subscriber_of_a_thousand_failed_sessions_is_no_incident(loop, tmp_path) -> None:
    rows = [event(NOON + timedelta(milliseconds=700 * i), session=f"s{i}") for i in range(1000)]
    loop.put(rows, tmp_path, WINDOW.end)
    found = loop.step(WINDOW)
    assert found.incidents == ()
    assert {trouble.subscriber_id for trouble in found.troubles} <= {"u1"}


def test_people_of_whom_no_dimension_is_known_can_still_be_everyone(loop, tmp_path) -> None:
    rows = [event(NOON + timedelta(seconds=i), who=f"u{i}", session=f"s{i}") for i in range(300)]
    loop.put(rows, tmp_path, WINDOW.end)
    (incident,) = loop.step(WINDOW).incidents
    assert incident.cohort == Cohort()
    assert incident.signal is Signal.FAILURE


@pytest.mark.parametrize("days", [-3, 3], ids=["behind", "ahead"])
def test_clocks_that_are_days_off_do_not_hide_a_fault(days: int, loop, tmp_path) -> None:
    rows = [
        event(NOON + timedelta(seconds=i), who=f"u{i}", session=f"s{i}")
        | {"event_time": (NOON + timedelta(days=days, seconds=i)).replace(tzinfo=None)}
        for i in range(300)
    ]
    loop.put(rows, tmp_path, WINDOW.end)
    (incident,) = loop.step(WINDOW).incidents
    assert abs(incident.onset_time - NOON) <= timedelta(minutes=5)


def test_one_bad_title_among_a_hundred_thousand_is_named(loop, tmp_path) -> None:
    rows = [
        event(NOON + timedelta(milliseconds=5 * i), f"u{i}", f"s{i}", "play_requested", title_id=f"t{i}")
        for i in range(100_000)
    ]
    rows += [
        event(NOON + timedelta(seconds=i), f"v{i}", f"r{i}", title_id="t7" if i % 2 else f"t{i}") for i in range(400)
    ]
    loop.put(rows, tmp_path, WINDOW.end)
    start = process_time()
    (incident,) = loop.step(WINDOW).incidents
    assert incident.cohort == Cohort.of({"title_id": "t7"})
    assert incident.observed == 200
    assert process_time() - start < 30
    watched = loop.watch.state.recent
    assert len(watched.index) < 300  # those of which somebody was struck, of 100,000
    assert watched.index._expansion.nbytes < 100_000


def test_before_the_first_window_there_is_no_state(loop) -> None:
    with pytest.raises(RuntimeError, match="Nothing has been watched yet"):
        _ = loop.watch.state
