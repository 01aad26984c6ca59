"""A world keeps its promises: the contract's form, one world a seed, and a truth that scores as it should."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from data.demo import FAULTS, RECIPE, START
from data.recipe import Dirt, Effect, Fault, Harmless, LookAlike, Recipe
from data.scenarios import SCENARIOS, recipe_of
from data.worlds import World, main, make_world
from telemetry.contract import CONTACTS, DIMENSIONS, PLAYBACK, SUBSCRIBERS, Signal

SMALL = Recipe("small", datetime(2026, 5, 4, tzinfo=UTC), subscribers=200)
EVENING = datetime(2026, 5, 12, 0, tzinfo=UTC)


def playback_of(world: World) -> pd.DataFrame:
    days = sorted(world.path.glob("playback/2*.parquet"))
    return pd.concat([pd.read_parquet(day) for day in days], ignore_index=True)


def truth_of(world: World, name: str) -> pd.DataFrame:
    return pd.read_parquet(world.path / "truth" / f"{name}.parquet")


def digest_of(folder: Path) -> str:
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*.*"))]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("demo"), replace(RECIPE, subscribers=900), seed=5)


@pytest.fixture(scope="module")
def events(demo: World) -> pd.DataFrame:
    return playback_of(demo)


def test_tables_have_the_columns_of_the_contract(demo: World) -> None:
    for table, path in ((PLAYBACK, "playback/broken"), (SUBSCRIBERS, "subscribers"), (CONTACTS, "contacts")):
        assert pq.read_schema(demo.path / f"{path}.parquet").names == list(table.names)


def test_values_keep_to_the_contracts_vocabularies_and_limits(events: pd.DataFrame) -> None:
    for column in PLAYBACK.columns:
        values = events[column.name].dropna()
        assert not column.required or len(values) == len(events), column.name
        assert not column.values or set(values) <= set(column.values), column.name
        assert column.minimum is None or values.min() >= column.minimum, column.name
        assert column.maximum is None or values.max() <= column.maximum, column.name


def test_one_seed_is_one_world_and_another_seed_another(tmp_path: Path) -> None:
    worlds = [make_world(tmp_path / str(i), SMALL, seed=seed).path for i, seed in enumerate((3, 3, 4))]
    first, again, other = (digest_of(world / "playback") for world in worlds)
    assert first == again
    assert first != other


def test_a_world_replaces_an_older_one_in_its_folder(tmp_path: Path) -> None:
    make_world(tmp_path, SMALL, seed=1)
    make_world(tmp_path, replace(SMALL, start=SMALL.start + timedelta(days=30)), seed=1)
    assert not list(tmp_path.glob("playback/2026-05-*.parquet"))


def test_a_session_begins_with_its_request_and_ends_once(events: pd.DataFrame) -> None:
    unique = events.drop_duplicates("event_id")
    ends = unique[unique.event.isin(["play_failed", "play_ended", "access_denied"])]
    assert ends.session_id.is_unique
    assert set(unique[unique.event_id.str.endswith("-0")].event) == {"play_requested"}


def test_play_time_adds_up_to_the_length_of_a_session(events: pd.DataFrame) -> None:
    unique = events.drop_duplicates("event_id").assign(place=lambda it: it.event_id.str.split("-").str[1].astype(int))
    sessions = unique.groupby("session_id").agg(
        events=("place", "size"),
        last=("place", "max"),
        end=("event_time", "max"),
        playing_ms=("playing_ms", "sum"),
        stalled_ms=("stalled_ms", "sum"),
    )
    starts = unique[unique.event == "play_started"].set_index("session_id").event_time
    whole = sessions[(sessions["last"] + 1 == sessions.events) & sessions.index.isin(starts.index)]
    lasted_ms = (whole.end - starts[whole.index]).dt.total_seconds() * 1000
    assert (lasted_ms - whole.playing_ms - whole.stalled_ms).abs().max() <= 1


def test_most_events_come_at_once_some_late_and_some_twice(events: pd.DataFrame) -> None:
    lag = (events.received_time - events.event_time).dt.total_seconds()
    assert 1 < lag.median() < 5
    assert 0.005 < (lag > 120).mean() < 0.05
    assert 0.002 < events.event_id.duplicated().mean() < 0.01


def test_some_clocks_are_wrong_by_minutes(events: pd.DataFrame) -> None:
    early = (events.event_time - events.received_time).dt.total_seconds()
    assert 0.0005 < (early > 60).mean() < 0.03


def test_broken_rows_are_apart_and_counted(demo: World) -> None:
    broken = pq.read_table(demo.path / "playback" / "broken.parquet")
    assert broken.num_rows == RECIPE.dirt.broken_rows


def test_background_is_that_of_a_working_service(demo: World, events: pd.DataFrame) -> None:
    history = truth_of(demo, "sessions").query("session_start < @demo.evaluate_from.replace(tzinfo=None)")
    assert not history.impaired.any()
    calm = events[events.session_id.isin(history.session_id)].drop_duplicates("event_id")
    share = calm.event.value_counts() / len(history)
    assert 0.004 < share["play_failed"] < 0.03
    assert 0.002 < share["access_denied"] < 0.015


def test_evenings_are_busy_where_people_live(demo: World) -> None:
    sessions = truth_of(demo, "sessions")
    night_in_france = sessions[(sessions.country == "FR") & sessions.session_start.dt.hour.between(1, 4)]
    evening_in_france = sessions[(sessions.country == "FR") & sessions.session_start.dt.hour.between(17, 20)]
    assert len(evening_in_france) > 5 * len(night_in_france)


def test_every_fault_of_the_demo_hurts_and_no_look_alike_does(demo: World) -> None:
    incidents = truth_of(demo, "incidents").set_index("kind")
    harmful = incidents[~incidents.benign]
    assert set(harmful.index) == {fault.kind for fault in FAULTS if not fault.households}
    assert (harmful.impaired_subscribers >= 12).all()
    assert (incidents[incidents.benign].impaired_sessions == 0).all()


def test_households_and_accounts_have_episodes_of_their_own(demo: World) -> None:
    episodes = truth_of(demo, "episodes")
    own = episodes[episodes.truth_id.isna()]
    assert set(own.cause) == {"household", "account"}
    assert (own.impaired_sessions >= 2).all()


def test_refused_people_try_again(demo: World) -> None:
    sessions = truth_of(demo, "sessions")
    denied = sessions[sessions.reason == "denied"]
    assert len(denied) > 1.5 * denied.subscriber_id.nunique()


def test_a_collector_outage_loses_events_and_delivers_the_rest_in_a_burst(events: pd.DataFrame) -> None:
    gap = next(it for it in RECIPE.look_alikes if it.kind is Harmless.COLLECTOR_OUTAGE)
    start, end = (moment.replace(tzinfo=None) for moment in (gap.start, gap.end))
    there = events[(events.country == "MX")]
    assert not there.received_time.between(start + timedelta(minutes=40), end - timedelta(minutes=1)).sum() > 15
    assert there.received_time.between(end, end + timedelta(minutes=10)).sum() > 100


def test_a_flash_crowd_comes(demo: World) -> None:
    crowd = truth_of(demo, "incidents").query("kind == 'flash_crowd'").iloc[0]
    assert crowd.exposed_sessions > 60


def test_complaints_are_contacts_after_a_bad_session(demo: World) -> None:
    episodes = truth_of(demo, "episodes").dropna(subset="first_complaint_time")
    assert len(episodes) > 3
    assert (episodes.first_complaint_time > episodes.first_bad_time).all()
    contacts = pd.read_parquet(demo.path / "contacts.parquet")
    told = set(zip(contacts.subscriber_id, contacts.contacted_at, strict=True))
    assert set(zip(episodes.subscriber_id, episodes.first_complaint_time, strict=True)) <= told


def test_people_and_addresses_are_invented(demo: World) -> None:
    subscribers = pd.read_parquet(demo.path / "subscribers.parquet")
    assert subscribers.email.str.endswith("@example.net").all()
    assert subscribers.subscriber_id.is_unique
    assert (subscribers.display_name == "").any()


def test_meta_says_what_was_made(demo: World) -> None:
    meta = json.loads((demo.path / "truth" / "meta.json").read_text())
    assert meta["evaluate_from"] == (START + timedelta(days=7)).replace(tzinfo=None).isoformat()
    assert meta["sessions"] == len(truth_of(demo, "sessions"))


def test_a_stronger_fault_impairs_more_sessions(tmp_path: Path) -> None:
    def impaired(deny_p: float) -> int:
        effect = Effect(deny_p=deny_p, error_class="auth")
        fault = Fault("auth", Signal.ACCESS, {"country": "US"}, EVENING, EVENING + timedelta(hours=4), effect)
        world = make_world(tmp_path, replace(SMALL, faults=(fault,)), seed=9)
        return int(truth_of(world, "sessions").impaired.sum())

    assert 0 < impaired(0.3) < impaired(0.9)


def test_a_fault_hits_only_its_cohort(demo: World) -> None:
    sessions = truth_of(demo, "sessions")
    for row in truth_of(demo, "incidents").query("not benign").itertuples():
        hit = sessions[sessions.truth_id == row.truth_id]
        assert all((hit[name] == value).all() for name, value in json.loads(row.cohort).items())
        assert hit.session_start.lt(row.end).all()


def test_a_recipe_that_names_an_unknown_value_is_refused(tmp_path: Path) -> None:
    fault = replace(FAULTS[0], cohort={"isp": "Nowhere Net"})
    with pytest.raises(ValueError, match="no isp 'Nowhere Net'"):
        make_world(tmp_path, replace(SMALL, faults=(fault,)), seed=1)


@pytest.mark.parametrize("scenario", sorted(set(SCENARIOS) - {"demo"}))
def test_scenarios_make_worlds(scenario: str, tmp_path: Path) -> None:
    recipe = recipe_of(scenario, seed=2, subscribers=150)
    truth = truth_of(make_world(tmp_path, recipe, seed=2), "incidents")
    assert len(truth) == len([it for it in recipe.faults if not it.households]) + len(recipe.look_alikes)
    assert recipe.faults == recipe_of(scenario, seed=2).faults
    assert all(recipe.evaluate_from <= it.start < it.end <= recipe.end for it in recipe.faults)


def test_another_seed_draws_another_recipe() -> None:
    assert recipe_of("everyday", seed=1).faults != recipe_of("everyday", seed=2).faults


def test_an_unknown_scenario_is_refused() -> None:
    with pytest.raises(ValueError, match="no scenario 'doomsday'"):
        recipe_of("doomsday", seed=1)


def test_the_command_makes_a_world_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path), "--scenario", "calm", "--subscribers", "100", "--seed", "4"]) == 0
    assert "100 subscribers" in capsys.readouterr().out
    assert (tmp_path / "truth" / "meta.json").is_file()


def test_clock_skew_moves_event_times_only(tmp_path: Path) -> None:
    skew = LookAlike(Harmless.CLOCK_SKEW, {"device_type": "ios"}, EVENING, EVENING + timedelta(hours=8), 2.0)
    recipe = replace(SMALL, look_alikes=(skew,), dirt=Dirt(wrong_clock_share=0, late_share=0))
    events = playback_of(make_world(tmp_path, recipe, seed=1))
    ahead = (events.event_time - events.received_time).dt.total_seconds() / 3600
    assert np.allclose(ahead[ahead > 0.1], 2, atol=0.05)
    assert set(events[ahead > 0.1].device_type) == {"ios"}


def test_every_dimension_can_be_the_cohort_of_a_fault() -> None:
    used = {
        name
        for scenario in SCENARIOS
        for seed in range(3)
        for it in recipe_of(scenario, seed=seed).faults
        for name in it.cohort
    }
    assert used >= set(DIMENSIONS) - {"content_type"}
