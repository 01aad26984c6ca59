"""Learning from finished days, on a real warehouse: numbers by hand, and a day learnt once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from detectors.learning import (
    CLIP_RATIO,
    PRIOR_MS,
    PRIOR_STALLING,
    PRIOR_STARTS,
    hourly_counts,
    learn_day,
    midnight,
    prepare,
    unlearnt_days,
)
from detectors.observations import SIGNALS, ImpairmentRule, Observations, Vocabularies, load_observations
from telemetry.contract import Signal
from telemetry.ingest import ingest
from telemetry.merge import merge_all
from telemetry.warehouse import Warehouse

DAY = date(2026, 3, 2)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR_MS = 3_600_000
RULE = ImpairmentRule()
NUMBERS = {"startup_ms": pa.int32(), "playing_ms": pa.int32(), "stalled_ms": pa.int32()}
TIMES = {"event_time": pa.timestamp("us"), "received_time": pa.timestamp("us")}
TEXTS = ("event_id", "session_id", "subscriber_id", "event", "device_type", "cdn", "error_class")
SCHEMA = pa.schema([*((name, pa.string()) for name in TEXTS), *TIMES.items(), *NUMBERS.items()])


class History:
    """A warehouse, and the events that are to be in it before anybody looks."""

    def __init__(self, warehouse: Warehouse, folder: Path) -> None:
        self._warehouse = warehouse
        self.folder = folder
        self.rows: list[dict[str, Any]] = []
        prepare(warehouse.connection)

    def put(self, who: str, name: str = "s", at: datetime = NOON, event: str = "heartbeat", **numbers: Any) -> None:
        """Add a session of one event."""
        moment = at.replace(tzinfo=None)
        row = {"event_id": f"{who}-{name}-{event}", "event_time": moment, "received_time": moment}
        row |= {"session_id": f"{who}-{name}", "subscriber_id": who, "event": event, "device_type": "web", "cdn": "a"}
        self.rows.append(row | numbers)

    @property
    def warehouse(self) -> Warehouse:
        """The warehouse with everything put so far merged."""
        if self.rows:
            file = self.folder / f"playback-{self.rows[0]['event_id']}.parquet"
            pq.write_table(pa.Table.from_pylist(self.rows, SCHEMA), file)
            end = max(row["received_time"] for row in self.rows).replace(tzinfo=UTC) + timedelta(days=1)
            self.rows = []
            ingest(self._warehouse, file, now=end, table="playback")
            merge_all(self._warehouse, end)
        return self._warehouse

    def rows_of(self, query: str) -> list[tuple[Any, ...]]:
        return self.warehouse.connection.execute(query).fetchall()

    def learn(self, day: date = DAY, days: int = 28) -> None:
        learn_day(self.warehouse.connection, day, days, RULE)

    def unlearnt(self, through: date, days: int = 28) -> list[date]:
        return unlearnt_days(self.warehouse.connection, through, days)

    def normals(self) -> dict[str, tuple[float, float, float]]:
        query = "SELECT subscriber_id, rebuffering_ratio, startup_factor, stalling_factor FROM subscriber_normals"
        return {who: tuple(numbers) for who, *numbers in self.rows_of(query)}

    def seen(self, at: datetime = NOON) -> tuple[Observations, Vocabularies]:
        words = Vocabularies()
        end = at + timedelta(hours=1)
        return load_observations(self.warehouse.connection, words, RULE, at, end), words


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    with Warehouse(threads=1) as warehouse:
        yield History(warehouse, tmp_path)


def test_days_are_learnt_from_the_first_slice_on(history) -> None:
    assert history.unlearnt(DAY, 28) == []
    history.put("u1", playing_ms=60_000, stalled_ms=0)
    assert history.unlearnt(DAY + timedelta(days=2), 28) == [DAY + timedelta(days=i) for i in range(3)]
    assert history.unlearnt(DAY + timedelta(days=2), 2) == [DAY + timedelta(days=i) for i in (1, 2)]
    assert history.unlearnt(DAY - timedelta(days=1), 28) == []


def test_a_day_is_learnt_once(history) -> None:
    history.put("u1", playing_ms=60_000, stalled_ms=0)
    history.learn()
    assert history.unlearnt(DAY, 28) == []
    before = history.normals()
    with pytest.raises(Exception, match=r"(?i)constraint|duplicate"), history.warehouse.transaction():
        history.learn()
    assert history.normals() == before
    assert history.rows_of("SELECT count(*) FROM cohort_hours") == [(1,)]


def test_a_viewers_normal_by_hand(history) -> None:
    history.put("calm", playing_ms=HOUR_MS, stalled_ms=0)
    history.put("shaky", playing_ms=HOUR_MS - 108_000, stalled_ms=108_000)
    history.learn()
    everyone = 108_000 / (2 * HOUR_MS)
    calm, shaky = history.normals()["calm"][0], history.normals()["shaky"][0]
    assert calm == pytest.approx(PRIOR_MS * everyone / (HOUR_MS + PRIOR_MS))
    assert shaky == pytest.approx((108_000 + PRIOR_MS * everyone) / (HOUR_MS + PRIOR_MS))


def test_a_fault_is_not_learnt_as_a_habit(history) -> None:
    history.put("struck", playing_ms=HOUR_MS // 2, stalled_ms=HOUR_MS // 2)
    history.learn()
    assert history.normals()["struck"][0] == pytest.approx(CLIP_RATIO)


def test_how_prone_to_stalls_somebody_is_by_hand(history) -> None:
    for i in range(3):
        history.put("shaky", f"s{i}", playing_ms=HOUR_MS - 200_000, stalled_ms=200_000)
    history.put("calm", playing_ms=HOUR_MS, stalled_ms=0)
    history.learn()
    share = (3 + 1) / (4 + 50)
    assert history.normals()["shaky"][2] == pytest.approx((3 + PRIOR_STALLING) / (3 * share + PRIOR_STALLING))
    assert history.normals()["calm"][2] == pytest.approx(PRIOR_STALLING / (share + PRIOR_STALLING))


def test_usual_start_up_times_are_a_devices_and_a_persons_own(history) -> None:
    for day in range(2):
        at = NOON + timedelta(days=day)
        history.put("quick", f"d{day}", at, "play_started", startup_ms=1_000)
        history.put("slow", f"d{day}", at, "play_started", startup_ms=2_000)
        history.learn(DAY + timedelta(days=day))
    ((usual,),) = history.rows_of("SELECT startup_ms FROM device_normals")
    assert usual == pytest.approx(math.sqrt(1_000 * 2_000))
    excess = math.log(math.sqrt(2))
    assert history.normals()["slow"][1] == pytest.approx(math.exp(2 * excess / (2 + PRIOR_STARTS)))
    assert history.normals()["quick"][1] == pytest.approx(math.exp(-2 * excess / (2 + PRIOR_STARTS)))


def test_what_was_always_so_is_no_news(history) -> None:
    """A household that stalls a little all the time is its own normal; for somebody else the same is bad."""
    for day in range(6):
        at = NOON + timedelta(days=day)
        history.put("chronic", f"d{day}", at, playing_ms=6 * HOUR_MS, stalled_ms=6 * HOUR_MS * 4 // 100)
        for person in range(9):
            history.put(f"calm{person}", f"d{day}", at, playing_ms=6 * HOUR_MS, stalled_ms=0)
        history.learn(DAY + timedelta(days=day))
    later = NOON + timedelta(days=6)
    for who in ("chronic", "calm1"):
        history.put(who, "today", later, playing_ms=280_000, stalled_ms=20_000)
    rows, words = history.seen(later)
    stalls = dict(zip(words.subscribers.decode(rows.subscriber).to_pylist(), rows.bad[:, 0].tolist(), strict=True))
    assert stalls == {"chronic": False, "calm1": True}


def test_normals_forget_what_is_older_than_they_look_back(history) -> None:
    history.put("u1", "old", playing_ms=HOUR_MS, stalled_ms=300_000)
    history.learn(DAY, days=2)
    for day in (1, 2):
        history.put("u1", f"d{day}", NOON + timedelta(days=day), playing_ms=HOUR_MS, stalled_ms=0)
        history.learn(DAY + timedelta(days=day), days=2)
    assert history.normals()["u1"][0] == 0


@pytest.mark.parametrize(
    ("event", "numbers", "signals"),
    [
        ("heartbeat", {"playing_ms": 290_000, "stalled_ms": 10_000}, {Signal.BUFFERING}),
        ("heartbeat", {"playing_ms": 295_000, "stalled_ms": 5_000}, set()),
        ("heartbeat", {"playing_ms": 3_000_000, "stalled_ms": 10_000}, set()),
        ("play_failed", {"error_class": "cdn"}, {Signal.FAILURE}),
        ("access_denied", {"error_class": "drm"}, {Signal.ACCESS}),
        ("access_denied", {"error_class": "payment"}, set()),
        ("play_started", {"startup_ms": 60_000}, set()),
        ("play_ended", {}, set()),
    ],
    ids=["stalls", "a short stall", "a stall in an hour", "fails", "refused", "not paid", "no usual start", "ends"],
)
def test_what_is_wrong_with_a_slice(event, numbers, signals, history) -> None:
    history.put("u1", event=event, **numbers)
    rows, _ = history.seen()
    assert {SIGNALS[i] for i in range(len(SIGNALS)) if rows.bad[0, i]} == signals


@pytest.mark.parametrize(("startup_ms", "slow"), [(1_500, False), (3_900, False), (4_200, True)])
def test_a_slow_start_is_much_and_many_times_slower_than_usual(startup_ms, slow, history) -> None:
    for i in range(20):
        history.put(f"u{i}", event="play_started", startup_ms=1_000)
    history.learn()
    history.put("u1", "later", NOON + timedelta(days=1), "play_started", startup_ms=startup_ms)
    rows, _ = history.seen(NOON + timedelta(days=1))
    assert rows.bad[0, SIGNALS.index(Signal.STARTUP)] == slow


def test_hourly_counts_by_hand(history) -> None:
    history.put("u1", "a", NOON, "play_failed", error_class="cdn")
    history.put("u1", "b", NOON + timedelta(minutes=20), "play_failed", error_class="cdn")
    history.put("u2", "a", NOON + timedelta(minutes=70), playing_ms=300_000, stalled_ms=0)
    history.learn()
    start = midnight(DAY)
    counts = hourly_counts(history.warehouse.connection, Vocabularies(), start, start + timedelta(days=1))
    failure = SIGNALS.index(Signal.FAILURE)
    assert (counts.hour % 24).tolist() == [12, 13]
    assert counts.exposed[:, failure].tolist() == [2, 1]
    assert counts.at_risk[:, failure].tolist() == [1, 1]
    assert counts.fresh[:, failure].tolist() == [1, 0]
    assert counts.all[:, failure].tolist() == [2, 0]


def test_yesterdays_impairment_makes_the_first_of_today_stale(history) -> None:
    history.put("u1", "a", NOON + timedelta(hours=11), "play_failed", error_class="cdn")
    history.put("u1", "b", NOON + timedelta(hours=13), "play_failed", error_class="cdn")
    history.learn()
    history.learn(DAY + timedelta(days=1))
    rows = history.rows_of("SELECT fresh_failure, all_failure FROM cohort_hours ORDER BY hour")
    assert rows == [(1, 1), (0, 1)]
