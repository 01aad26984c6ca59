"""A small world with its truth, and replays of it drawn by chance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data.recipe import Recipe
from data.scenarios import recipe_of
from data.world import World, make_world
from tests.benchmarks.replays import drawn_incidents, drawn_notices, write

Replay = Callable[[World, int], Path]


@pytest.fixture(scope="session")
def everyday(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world with one of each plain fault."""
    recipe = recipe_of("everyday", seed=6, subscribers=500, days=9)
    return make_world(tmp_path_factory.mktemp("everyday"), recipe, seed=6)


@pytest.fixture(scope="session")
def calm(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world without a fault."""
    recipe: Recipe = recipe_of("calm", seed=5, subscribers=150, days=8)
    return make_world(tmp_path_factory.mktemp("calm"), recipe, seed=5)


@pytest.fixture(scope="session")
def draw_replay(tmp_path_factory: pytest.TempPathFactory) -> Replay:
    """Writes a replay of a world as somebody half-right would: some of it true, some nearly, some made up."""

    def draw(world: World, seed: int) -> Path:
        out = tmp_path_factory.mktemp("replay")
        rng = np.random.default_rng(seed)
        write(out, drawn_incidents(world, rng), drawn_notices(world, rng))
        return out

    return draw
