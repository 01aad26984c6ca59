"""Fixtures for every area."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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
