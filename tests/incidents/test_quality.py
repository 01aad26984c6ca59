"""Quality notices tell missing telemetry from missing viewers, open once and close."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from detectors.finding import Cohort
from detectors.observations import Observations, slot_start
from detectors.silence import SilentCohort
from detectors.tally import Part
from detectors.volume import PLAYS, PRESENCE, VOLUME_DIMENSIONS, SeasonalVolume
from incidents.quality import HELD_BACK, Measure, QualityKind, QualityNotice, QualityWatch, kind_of
from telemetry.contract import DIMENSIONS

GONE = (20_601 * 24 + 20) * 12
BACK = GONE + 18
STEP = 3
TELEMETRY, VIEWERS = QualityKind.MISSING_TELEMETRY, QualityKind.MISSING_VIEWERS

COUNTRY = SilentCohort(Part(0, 0), PRESENCE, GONE, 0, 100, 20, 0.05, 4, 4, 2, 2)


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ({}, TELEMETRY),
        ({"part": Part()}, TELEMETRY),
        ({"part": Part(VOLUME_DIMENSIONS.index("isp"), 1), "networks": 1, "silent_networks": 1}, VIEWERS),
        ({"part": Part(VOLUME_DIMENSIONS.index("cdn"), 1), "cdns": 1, "silent_cdns": 1}, VIEWERS),
        ({"continued": 0.7}, VIEWERS),
        ({"continued": float("nan")}, VIEWERS),
        ({"silent_networks": 2}, VIEWERS),
        ({"silent_cdns": 1}, VIEWERS),
        ({"networks": 1, "silent_networks": 1}, VIEWERS),
        ({"networks": 10, "silent_networks": 9}, TELEMETRY),
        ({"measure": PLAYS}, VIEWERS),
    ],
)
def test_all_at_once_is_telemetry_and_anything_else_is_viewers(what, kind) -> None:
    assert kind_of(replace(COUNTRY, **what)) is kind


@pytest.fixture(scope="module")
def service(audience):
    return audience()


@pytest.fixture(scope="module")
def volume(service) -> SeasonalVolume:
    return SeasonalVolume().fit(service.history())


@pytest.fixture(scope="module")
def rows(service) -> Observations:
    return service.rows()


def gap(rows: Observations, service, dimension: str, value: str, until: int = BACK):
    """Which rows a gap takes."""
    inside = rows.codes[:, DIMENSIONS.index(dimension)] == service.code(dimension, value)
    return inside & (rows.slot >= GONE) & (rows.slot < until)


def story(volume, service, seen) -> list[dict[str, QualityNotice]]:
    """What is known after each step, of rows that ``seen`` returns for the newest slot."""
    known: dict[str, QualityNotice] = {}
    after = []
    for now in range(GONE - 12, BACK + 13, STEP):
        watch = QualityWatch(volume, service.words)
        notices = watch.step(seen(now), list(known.values()), slot_start(now))
        known = known | {notice.notice_id: notice for notice in notices}
        after.append(known)
    return after


def test_a_network_that_vanishes_is_missing_viewers_and_comes_back(service, volume, rows) -> None:
    lost = gap(rows, service, "isp", "net-2")
    after = story(volume, service, lambda now: rows.take(~lost & (rows.slot < now)))
    (notice,) = after[-1].values()
    assert (notice.kind, notice.cohort, notice.measure) == (VIEWERS, Cohort.of({"isp": "net-2"}), Measure.PRESENCE)
    assert timedelta(0) < notice.detected_time - slot_start(GONE) <= timedelta(minutes=30)
    assert abs(notice.since - slot_start(GONE)) <= timedelta(minutes=10)
    assert notice.until is not None
    assert abs(notice.until - slot_start(BACK)) <= timedelta(minutes=10)
    assert notice.late == 0
    assert notice.observed < 0.1 * notice.expected
    assert [len(known) for known in after] == sorted(len(known) for known in after)
    assert notice.sentences[1] == "The rest of the service goes on; 1 of 1 networks and 2 of 2 CDNs in it are silent."


def test_rows_that_come_late_prove_missing_telemetry(service, volume, rows) -> None:
    """Half of a country's rows come when the gap is over; and half of a network's, whose viewers were there too."""
    for dimension, value, before in (("country", "SE", TELEMETRY), ("isp", "net-2", VIEWERS)):
        lost = gap(rows, service, dimension, value)
        never = lost & (rows.session % 2 == 0)
        seen = lambda now, lost=lost, never=never: rows.take(  # noqa: E731
            ~(lost if now < BACK + 1 else never) & (rows.slot < now)
        )
        after = story(volume, service, seen)
        (first,) = next(known for known in after if known).values()
        (last,) = after[-1].values()
        assert (first.kind, last.kind) == (before, TELEMETRY)
        assert first.cohort == last.cohort == Cohort.of({dimension: value})
        assert not last.is_open
        assert last.reasons.count(HELD_BACK) == 1
        assert 0.3 * last.expected < last.late <= last.observed
        assert f" came in time from {last.since:%H:%M} until {last.until:%H:%M} UTC, and " in last.sentences[0]


def test_late_rows_after_the_end_are_noted_once(service, volume, rows) -> None:
    lost = gap(rows, service, "isp", "net-2")
    after = story(volume, service, lambda now: rows.take(~(lost & (now < BACK + 9)) & (rows.slot < now)))
    (notice,) = after[-1].values()
    assert notice.kind is TELEMETRY
    assert notice.late == pytest.approx(np.count_nonzero(lost), rel=0.2)
    watch = QualityWatch(volume, service.words)
    assert watch.step(rows.take(rows.slot < BACK + 15), [notice], slot_start(BACK + 15)) == []


def test_a_silence_of_a_day_is_the_new_level(service, volume, rows) -> None:
    lost = gap(rows, service, "isp", "net-2", until=1 << 40)
    left = rows.take(~lost)
    now = GONE + 12
    (notice,) = QualityWatch(volume, service.words).step(left.take(left.slot < now), [], slot_start(now))
    later = now + 288
    day_on = replace(left, slot=left.slot + 288)
    both = Observations.concat([left, day_on.take(day_on.codes[:, 2] != service.code("isp", "net-2"))])
    found = QualityWatch(volume, service.words).step(both.take(both.slot < later), [notice], slot_start(later))
    assert [(n.notice_id, n.is_open) for n in found] == [(notice.notice_id, False)]
    assert found[0].reasons[-1].endswith("the new level.")


def test_the_same_window_opens_the_same_notice(service, volume, rows) -> None:
    left = rows.take(~gap(rows, service, "isp", "net-2") & (rows.slot < GONE + 12))
    watch = QualityWatch(volume, service.words)
    assert watch.step(left, [], slot_start(GONE + 12)) == watch.step(left, [], slot_start(GONE + 12)) != []


def test_a_cohort_that_is_not_known_any_more_stays_as_it_is(service, volume, rows) -> None:
    left = rows.take(~gap(rows, service, "isp", "net-2") & (rows.slot < GONE + 12))
    (notice,) = QualityWatch(volume, service.words).step(left, [], slot_start(GONE + 12))
    strange = replace(notice, cohort=Cohort.of({"isp": "nobody"}), notice_id="other")
    followed, found = QualityWatch(volume, service.words).step(left, [strange], slot_start(GONE + 12))
    assert (followed.cohort, followed.is_open, found) == (strange.cohort, True, notice)
