"""Fixtures for every area."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from detectors.observations import MISSING, Observations, Vocabularies
from detectors.rates import HourlyCounts
from telemetry.contract import DIMENSIONS

pytest_plugins = ["tests.browser", "tests.ledgers", "tests.postgres"]
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of labelled worlds beside the repository; without it, tests that need it are skipped."""
    folder = ROOT.parent / "shared"
    if os.environ.get("CI") == "true" or not (folder / "worlds").is_dir():
        pytest.skip("The labelled worlds are not beside this checkout.")
    return folder


SLOTS_PER_DAY = 288
LIVE_DAY = 20_601
"""A Thursday, in days since 1970."""


class Audience:
    """An invented audience as arrays: a fortnight of hourly counts, and the slices of a day after it.

    Two countries of three networks each, two CDNs and two device types; each cell has some people who are there in
    stretches of an hour, few at night and many in the evening.
    """

    def __init__(self, people: int = 40, days: int = 14, seed: int = 1) -> None:
        self.people = people
        self.days = days
        self.rng = np.random.default_rng(seed)
        self.words = Vocabularies()
        names = {
            "country": ["GB", "SE"],
            "isp": [f"net-{i}" for i in range(6)],
            "cdn": ["cdn-a", "cdn-b"],
            "device_type": ["web", "ios"],
        }
        for name, values in names.items():
            self.words.dimensions[DIMENSIONS.index(name)].encode(pa.chunked_array([pa.array(values)]))
        self.cells = np.full((24, len(DIMENSIONS)), MISSING, np.int32)
        for cell in range(24):
            network, cdn, device = cell % 6, cell // 6 % 2, cell // 12
            for name, code in (("country", network % 2), ("isp", network), ("cdn", cdn), ("device_type", device)):
                self.cells[cell, DIMENSIONS.index(name)] = code

    def code(self, dimension: str, value: str) -> int:
        return self.words.dimensions[DIMENSIONS.index(dimension)].find(value)

    def history(self) -> HourlyCounts:
        """What the rows of `rows` come to by the hour, day after day."""
        hours = np.arange(self.days * 24) + (LIVE_DAY - self.days) * 24
        cell, hour = (grid.ravel() for grid in np.meshgrid(np.arange(24), hours))
        plays = self.rng.poisson(self.people * _busy(hour % 24))
        exposed = np.column_stack([12 * plays, plays, 12 * plays, plays]).astype(float)
        nothing = np.zeros_like(exposed)
        return HourlyCounts(self.cells[cell, :8], hour, exposed, exposed, nothing, nothing)

    def rows(self, hours: int = 24) -> Observations:
        """The slices of the first hours of the day: each play is an hour of slices, from a random moment."""
        plays = [self._plays(hour) for hour in range(-1, hours)]
        cell, start = (np.concatenate(column) for column in zip(*plays, strict=True))
        session = np.repeat(np.arange(len(cell)), 12)
        slot = start[session] + np.tile(np.arange(12), len(cell))
        first = LIVE_DAY * SLOTS_PER_DAY
        inside = (slot >= first) & (slot < first + hours * 12)
        return self._observed(session[inside], slot[inside], cell[session[inside]], (slot == start[session])[inside])

    def _plays(self, hour: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        cell = np.repeat(np.arange(24), self.rng.poisson(self.people * _busy(np.full(24, hour % 24))))
        return cell, (LIVE_DAY * 24 + hour) * 12 + self.rng.integers(0, 12, len(cell))

    def _observed(self, session: Any, slot: Any, cell: Any, begins: Any) -> Observations:
        count = len(slot)
        flags = np.column_stack([np.ones(count, bool), begins, np.ones(count, bool), begins])
        empty = Observations.empty()
        blank = {f.name: np.zeros((count, *getattr(empty, f.name).shape[1:]), getattr(empty, f.name).dtype)
                 for f in fields(empty)}  # fmt: skip
        person = (cell * 1000 + session % self.people).astype(np.int32)
        own = {"session": session.astype(np.int32), "subscriber": person, "slot": slot, "codes": self.cells[cell]}
        return Observations(**blank | own | {"exposed": flags})


def _busy(hour: NDArray[np.int64]) -> NDArray[np.float64]:
    """Plays by person and hour of day: most at 20:00, a fifteenth of it at 8:00."""
    return np.asarray(0.16 + 0.14 * np.cos((hour - 20) * np.pi / 12))


@pytest.fixture(scope="session")
def audience() -> Callable[..., Audience]:
    """Makes an audience: ``people`` a cell, ``days`` of history, ``seed``."""
    return Audience
