"""Evenings come at their own time: zones, summer time in both directions, and what is not known."""

from __future__ import annotations

from datetime import UTC, datetime

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.cohort_scan import CohortScan
from detectors.evidence import Evidence
from detectors.local_hours import COUNTRY, REGION, LocalHours
from detectors.observations import MISSING, SIGNALS, Vocabularies
from detectors.rates import MODEL_DIMENSIONS, HourlyCounts, RateModel
from telemetry.contract import DIMENSIONS

LIVED_IN = [
    ("GB", "GB-ENG", "Europe/London", 90),
    ("GB", "GB-ENG", "Europe/Madrid", 4),
    ("US", "US-NY", "America/New_York", 50),
    ("US", "US-CA", "America/Los_Angeles", 40),
    ("US", "US-CA", "Mars/Olympus_Mons", 400),
    ("US", None, "America/New_York", 3),
    ("IN", "IN-KA", "Asia/Kolkata", 9),
    ("XX", "XX-1", "../etc/passwd", 9),
]
CHANGES = {
    "to summer time": datetime(2026, 3, 29, 1, tzinfo=UTC),
    "from summer time": datetime(2026, 10, 25, 1, tzinfo=UTC),
}


def hour_of(moment: datetime) -> int:
    return int(moment.timestamp()) // 3600


def code(words: Vocabularies, dimension: int, text: str | None) -> int:
    if text is None:
        return MISSING
    return int(words.dimensions[dimension].encode(pa.chunked_array([pa.array([text])]))[0])


def place(words: Vocabularies, country: str | None, region: str | None) -> np.ndarray:
    codes = np.zeros((1, len(MODEL_DIMENSIONS)), np.int32)
    codes[0, COUNTRY], codes[0, REGION] = code(words, COUNTRY, country), code(words, REGION, region)
    return codes


@pytest.mark.parametrize(
    ("country", "region", "moment", "local"),
    [
        pytest.param("GB", "GB-ENG", "2026-01-10T20:00", 20, id="winter, where most live"),
        pytest.param("GB", "GB-ENG", "2026-07-10T20:00", 21, id="summer"),
        pytest.param("GB", "GB-ENG", "2026-03-29T00:59", 0, id="the last hour of winter"),
        pytest.param("GB", "GB-ENG", "2026-03-29T01:00", 2, id="an hour is left out"),
        pytest.param("GB", "GB-ENG", "2026-10-25T00:00", 1, id="an hour"),
        pytest.param("GB", "GB-ENG", "2026-10-25T01:00", 1, id="comes twice"),
        pytest.param("US", "US-NY", "2026-01-10T20:00", 15, id="a country's one coast"),
        pytest.param("US", "US-CA", "2026-01-10T20:00", 12, id="and its other, a zone that is none passed over"),
        pytest.param("US", "US-TX", "2026-01-10T20:00", 15, id="a region not known: its country's commonest"),
        pytest.param("US", None, "2026-01-10T20:00", 15, id="no region"),
        pytest.param("IN", "IN-KA", "2026-01-10T20:00", 1, id="half an hour off, over midnight"),
        pytest.param("XX", "XX-1", "2026-01-10T20:00", 20, id="no zone that exists: UTC"),
        pytest.param("ZZ", "ZZ-1", "2026-01-10T20:00", 20, id="a country not known: UTC"),
        pytest.param(None, None, "2026-01-10T20:00", 20, id="no country: UTC"),
        pytest.param(None, "US-CA", "2026-01-10T20:00", 20, id="a region of no country: UTC"),
    ],
)
def test_the_hour_where_people_live(country: str | None, region: str | None, moment: str, local: int) -> None:
    words = Vocabularies()
    hours = LocalHours(words, LIVED_IN)
    when = hour_of(datetime.fromisoformat(moment).replace(tzinfo=UTC))
    assert hours.of(place(words, country, region), np.array([when])) == [local]


@given(st.lists(st.integers(0, 1 << 20), max_size=20), st.integers(0, 9))
def test_every_hour_of_any_time_has_an_answer(whens: list[int], region: int) -> None:
    codes = np.full((len(whens), len(MODEL_DIMENSIONS)), region - 1, np.int32)
    local = LocalHours(Vocabularies(), LIVED_IN).of(codes, np.array(whens, np.int64))
    assert ((local >= 0) & (local < 24)).all()
    assert len(local) == len(whens)


def test_nobody_known_is_utc_everywhere() -> None:
    words = Vocabularies()
    assert LocalHours(words).of(place(words, "GB", "GB-ENG"), np.array([20])) == [20]


def test_it_is_learnt_from_who_lives_where() -> None:
    words = Vocabularies()
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE subscribers (country VARCHAR, region VARCHAR, timezone VARCHAR)")
        rows = [("US", "US-CA", "America/Los_Angeles")] * 2 + [("US", "US-CA", None), (None, "US-CA", "Asia/Tokyo")]
        connection.executemany("INSERT INTO subscribers VALUES (?, ?, ?)", [*rows, ("US", "US-CA", "Asia/Tokyo")])
        hours = LocalHours.learnt(connection, words)
    assert hours.of(place(words, "US", "US-CA"), np.array([hour_of(datetime(2026, 1, 10, 20, tzinfo=UTC))])) == [12]


PEAK = 8.0
"""How many times as often a play goes wrong in the one hour of the evening that is busiest."""
QUIET = 0.004
TRIED = 2_500.0


def counts_by(words: Vocabularies, hours: LocalHours, first: int, last: int, *, seed: int | None) -> HourlyCounts:
    """Hourly counts with a strong evening, from 20 to 21 by the clocks of two places; the mean where no seed is."""
    codes = np.concatenate([place(words, "GB", "GB-ENG"), place(words, "US", "US-NY"), place(words, "US", "US-CA")])
    when = np.repeat(np.arange(first, last), len(codes))
    codes = np.tile(codes, (last - first, 1))
    due = TRIED * QUIET * np.where(hours.of(codes, when) == 20, PEAK, 1.0)
    seen = due if seed is None else np.random.default_rng(seed).poisson(due)
    tried = np.full((len(when), len(SIGNALS)), TRIED)
    fresh = np.repeat(np.asarray(seen, float)[:, None], len(SIGNALS), axis=1)
    return HourlyCounts(codes, when, tried, tried, fresh, fresh)


def most_surprising(model: RateModel, day: HourlyCounts) -> float:
    """The highest score that any place reaches on any hour of a day, hour by hour."""
    places = np.unique(day.codes, axis=0, return_inverse=True)[1].ravel().astype(np.int64)
    due, worst = day.at_risk * model.rates(day.codes, day.hour), 0.0
    scan = CohortScan(float(model.dispersion_[0]))
    for hour in np.unique(day.hour):
        now = day.hour == hour
        slot = np.full(int(now.sum()), 12 * hour, np.int64)
        evidence = Evidence(places[now], slot, day.fresh[now, 0], due[now, 0], day.at_risk[now, 0])
        scan.learn(evidence, 3, int(12 * hour))
        worst = max(worst, float(scan.current(3).max()))
    return worst


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
class TestTheClocksChange:
    ALARM = 11.0
    """Nats: `WatchRule.margin_nats` over the logarithm of some three thousand cohorts."""

    def test_and_nothing_is_wrong(self, change: datetime) -> None:
        words = Vocabularies()
        hours, at = LocalHours(words, LIVED_IN), hour_of(change)
        past = counts_by(words, hours, at - 28 * 24, at, seed=1)
        day = counts_by(words, hours, at, at + 24, seed=2)
        by_utc = RateModel().fit(past)
        local = RateModel(local_hours=hours).fit(past)
        assert most_surprising(by_utc, day) > self.ALARM
        assert most_surprising(local, day) < self.ALARM

    def test_and_a_fault_is_found_all_the_same(self, change: datetime) -> None:
        words = Vocabularies()
        hours, at = LocalHours(words, LIVED_IN), hour_of(change)
        local = RateModel(local_hours=hours).fit(counts_by(words, hours, at - 28 * 24, at, seed=1))
        day = counts_by(words, hours, at, at + 24, seed=2)
        struck = (day.codes[:, REGION] == code(words, REGION, "GB-ENG")) & (hours.of(day.codes, day.hour) == 17)
        day.fresh[struck] *= 4
        assert most_surprising(local, day) > self.ALARM


def test_coasts_of_one_country_share_their_evening() -> None:
    words = Vocabularies()
    hours = LocalHours(words, LIVED_IN)
    start = hour_of(datetime(2026, 1, 5, tzinfo=UTC))
    model = RateModel(local_hours=hours).fit(counts_by(words, hours, start, start + 28 * 24, seed=3))
    day = start + 28 * 24 + np.arange(24)
    for region, peak in (("US-NY", 1), ("US-CA", 4)):
        rate = model.rates(np.repeat(place(words, "US", region), 24, axis=0), day)[:, 0]
        assert int(rate.argmax()) == peak
        assert rate.max() / np.median(rate) == pytest.approx(PEAK, rel=0.1)


def test_a_place_is_named_by_the_contract() -> None:
    assert (DIMENSIONS[COUNTRY], DIMENSIONS[REGION]) == ("country", "region")
