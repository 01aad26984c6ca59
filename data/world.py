"""Make a world of the telemetry contract, with its truth, from a recipe and a seed.

A world is the same for the same recipe and seed. Everyone and everything in it is invented.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data.broken import broken_rows
from data.contacts import contacts_of
from data.demand import Demand
from data.events import Collector, rows_of
from data.population import subscribers_table
from data.recipe import Recipe
from data.setting import setting_of
from data.stage import play
from data.truth import Truth, truth_of


@dataclass(frozen=True)
class World:
    """A world on disk.

    Parameters
    ----------
    path
        Its folder, in the contract's form.
    name, start, evaluate_from, end
        Its name, and the times between which it holds history and then faults.
    subscribers, sessions, events, contacts
        How much of each there is; events as delivered, repeats included.
    """

    path: Path
    name: str
    start: datetime
    evaluate_from: datetime
    end: datetime
    subscribers: int
    sessions: int
    events: int
    contacts: int


def make_world(path: Path, recipe: Recipe, *, seed: int) -> World:
    """Write a world to a folder.

    Parameters
    ----------
    path
        The folder; it is created, and files of an older world in it are replaced.
    recipe
        What the world is like.
    seed
        Picks one of all the worlds that the recipe could make.

    Returns
    -------
    World
        What was written.

    Raises
    ------
    ValueError
        If the recipe names a value that its market does not have.
    """
    rng = np.random.default_rng(seed)
    setting = setting_of(recipe, rng)
    played = play(setting, Demand(setting, rng).attempts(), rng)
    session_ids = [f"s{number:016x}" for number in rng.integers(0, 2**63, len(played.sessions))]
    playback = Collector(setting, rng).table(played, rows_of(played, rng), session_ids)
    truth = truth_of(setting, played, session_ids, rng)
    contacts = contacts_of(setting, truth.episodes, rng)
    world = World(
        path,
        recipe.name,
        recipe.start,
        recipe.evaluate_from,
        recipe.end,
        len(setting.people),
        len(session_ids),
        playback.num_rows,
        len(contacts),
    )
    _write_playback(path / "playback", playback, broken_rows(playback, recipe.dirt.broken_rows, rng))
    pq.write_table(subscribers_table(setting.people, recipe, setting.vocabulary, rng), path / "subscribers.parquet")
    _write_frame(path / "contacts.parquet", contacts)
    _write_truth(path / "truth", truth, world, seed)
    return world


def _write_playback(folder: Path, playback: pa.Table, broken: pa.Table) -> None:
    """Write one file a day of arrival, and the rows that nobody should trust beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.parquet"):
        old.unlink()
    days = pc.strftime(playback["received_time"], "%Y-%m-%d")
    for day in sorted(pc.unique(days).to_pylist()):
        pq.write_table(playback.filter(pc.equal(days, day)), folder / f"{day}.parquet")
    if broken.num_rows:
        pq.write_table(broken, folder / "broken.parquet")


def _write_truth(folder: Path, truth: Truth, world: World, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    _write_frame(folder / "sessions.parquet", truth.sessions)
    _write_frame(folder / "episodes.parquet", truth.episodes)
    _write_frame(folder / "incidents.parquet", truth.incidents)
    (folder / "meta.json").write_text(json.dumps(_meta(world, seed), indent=1) + "\n", encoding="utf-8")


def _meta(world: World, seed: int) -> dict[str, object]:
    def naive(moment: datetime) -> str:
        return moment.astimezone(UTC).replace(tzinfo=None).isoformat()

    return {
        "name": world.name,
        "seed": seed,
        "start": naive(world.start),
        "end": naive(world.end),
        "days": (world.end - world.start).days,
        "evaluate_from": naive(world.evaluate_from),
        "subscribers": world.subscribers,
        "sessions": world.sessions,
        "events": world.events,
        "contacts": world.contacts,
    }


def _write_frame(path: Path, frame: pd.DataFrame) -> None:
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None), path)
