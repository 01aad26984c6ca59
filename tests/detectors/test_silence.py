"""Silence is found where telemetry stops, named by the smallest cohort, and not where viewers merely go to bed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.local_hours import LocalHours
from detectors.observations import MISSING, SIGNALS, Observations, Vocabularies
from detectors.rates import MODEL_DIMENSIONS, HourlyCounts
from detectors.silence import Silence, SilentCohort
from detectors.tally import Part
from detectors.volume import PLAYS, PRESENCE, VOLUME_DIMENSIONS, SeasonalVolume
from telemetry.contract import DIMENSIONS

DAY = 20_601
EVENING = (DAY * 24 + 21) * 12
"""The slot of nine in the evening of the live day."""
GONE = EVENING - 6


@pytest.fixture(scope="module")
def service(audience):
    return audience()


@pytest.fixture(scope="module")
def volume(service) -> SeasonalVolume:
    return SeasonalVolume().fit(service.history())


@pytest.fixture(scope="module")
def rows(service) -> Observations:
    return service.rows()


def without(rows: Observations, service, since: int = GONE, **where: str) -> Observations:
    """The rows but those of a cohort from a slot on."""
    gone = rows.slot >= since
    for name, value in where.items():
        gone &= rows.codes[:, DIMENSIONS.index(name)] == service.code(name, value)
    return rows.take(~gone)


def find(volume: SeasonalVolume, rows: Observations, now: int = EVENING) -> list[SilentCohort]:
    return Silence(volume).find(rows.take(rows.slot < now), now)


def part(service, dimension: str, value: str) -> Part:
    return Part(VOLUME_DIMENSIONS.index(dimension), service.code(dimension, value))


def test_the_same_every_day_is_what_is_expected(service) -> None:
    history = service.history()
    even = replace(history, exposed=np.full_like(history.exposed, 12.0))
    volume = SeasonalVolume().fit(even)
    due, weight = volume.of_slots(np.arange(EVENING, EVENING + 30))
    assert np.allclose(np.einsum("sh,hcm->scm", weight, due), 1.0)
    assert volume.days(EVENING // 12) == service.days


def test_nothing_is_silent_on_a_plain_day_nor_at_night(volume, rows) -> None:
    assert [s for slot in range(DAY * 288 + 60, EVENING + 36, 3) for s in find(volume, rows, slot)] == []


@pytest.mark.parametrize(
    ("dimension", "value"), [("isp", "net-2"), ("country", "SE"), ("cdn", "cdn-a"), ("device_type", "ios")]
)
def test_the_cohort_that_stops_is_named_alone(dimension: str, value: str, service, volume, rows) -> None:
    (found,) = find(volume, without(rows, service, **{dimension: value}))
    assert found.part == part(service, dimension, value)
    assert found.measure == PRESENCE
    assert abs(found.since_slot - GONE) <= 1
    assert found.observed == 0 < 50 < found.expected
    assert found.surprise > 10
    assert found.continued < 0.1


def test_networks_of_a_silent_country_are_counted(service, volume, rows) -> None:
    (found,) = find(volume, without(rows, service, country="GB"))
    assert (found.networks, found.silent_networks, found.cdns, found.silent_cdns) == (3, 3, 2, 2)


def test_everyone_may_be_silent(service, volume, rows) -> None:
    (found,) = find(volume, without(rows, service))
    assert found.part == Part()


def test_two_networks_of_different_countries_are_two_cohorts(service, volume, rows) -> None:
    left = without(without(rows, service, isp="net-0"), service, isp="net-3")
    assert {f.part for f in find(volume, left)} == {part(service, "isp", "net-0"), part(service, "isp", "net-3")}


def test_what_is_known_is_not_found_again(service, volume, rows) -> None:
    left = without(rows, service, isp="net-2")
    known = [part(service, "isp", "net-2")]
    assert Silence(volume).find(left.take(left.slot < EVENING), EVENING, known) == []


def test_missing_plays_are_found_while_sessions_go_on(service, volume, rows) -> None:
    mine = (rows.codes[:, DIMENSIONS.index("country")] == service.code("country", "SE")) & (rows.slot >= GONE)
    flags = rows.exposed.copy()
    flags[mine, 3] = False
    (found,) = find(volume, replace(rows, exposed=flags))
    assert (found.part, found.measure) == (part(service, "country", "SE"), PLAYS)


def test_a_week_of_history_is_needed(audience, service, rows) -> None:
    short = SeasonalVolume().fit(audience(days=6).history())
    assert find(short, without(rows, service, country="SE")) == []


def test_a_small_cohort_is_not_missed(audience) -> None:
    small = audience(people=2)
    volume = SeasonalVolume().fit(small.history())
    assert find(volume, without(small.rows(), small, isp="net-2")) == []


def test_an_ebb_of_everybody_and_a_crowd_elsewhere_are_no_silence(service, volume, rows) -> None:
    ebb = rows.take((rows.slot < EVENING - 48) | (rows.session % 4 == 0))
    assert find(volume, ebb) == []
    crowd = rows.take((rows.slot >= GONE) & (rows.codes[:, 0] == service.code("country", "GB")))
    extra = replace(crowd, session=crowd.session + 1_000_000)
    assert find(volume, Observations.concat([rows, extra, replace(extra, session=extra.session + 1_000_000)])) == []


def test_people_who_moved_to_another_network_are_not_silent(service, volume, rows) -> None:
    moved = rows.codes.copy()
    isp = DIMENSIONS.index("isp")
    moved[(moved[:, isp] == service.code("isp", "net-2")) & (rows.slot >= GONE), isp] = service.code("isp", "net-4")
    assert find(volume, replace(rows, codes=moved)) == []


def test_rows_in_another_order_say_the_same(service, volume, rows) -> None:
    left = without(rows, service, isp="net-2")
    assert find(volume, left.take(np.random.default_rng(0).permutation(len(left)))) == find(volume, left)


def test_nothing_at_all_is_nothing(volume) -> None:
    none = HourlyCounts(np.zeros((0, 8), np.int32), np.zeros(0, np.int64), *(np.zeros((0, 4)) for _ in range(4)))
    assert find(SeasonalVolume().fit(none), Observations.empty()) == []


@given(st.floats(0, 1e4), st.integers(0, 5_000), st.integers(0, 500), st.sampled_from([PRESENCE, PLAYS]))
def test_fewer_is_more_surprising(volume, due: float, seen: int, more: int, measure: int) -> None:
    less, many = volume.surprise(np.array([seen, seen + more], float), np.array([due, due]), measure)
    assert less >= many >= 0


def test_a_clock_change_moves_what_is_expected_with_the_clock() -> None:
    """Evenings at nine by the clock of Berlin, four weeks before the last Sunday of March 2026 and the Monday after."""
    words, zone = Vocabularies(), ZoneInfo("Europe/Berlin")
    local = LocalHours(words, [("DE", None, zone.key, 9)])
    change = datetime(2026, 3, 29, tzinfo=UTC)
    hours = np.arange(28 * 24) + int(change.timestamp()) // 3600 - 28 * 24
    by_clock = np.array([datetime.fromtimestamp(hour * 3600, zone).hour for hour in hours.tolist()])
    many = np.repeat(np.where(by_clock == 21, 120.0, 12.0)[:, None], len(SIGNALS), axis=1)
    codes = np.full((len(hours), len(MODEL_DIMENSIONS)), MISSING, np.int32)
    codes[:, 0] = words.dimensions[0].find("DE")
    history = HourlyCounts(codes, hours, many, many, many, many)
    nine = int(datetime(2026, 3, 30, 21, tzinfo=zone).timestamp()) // 3600
    assert SeasonalVolume(local_hours=local).fit(history).of_hour(nine)[0, PRESENCE] == pytest.approx(120)
    assert SeasonalVolume().fit(history).of_hour(nine)[0, PRESENCE] == pytest.approx(12)
