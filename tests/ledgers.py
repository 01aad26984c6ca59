"""Ledgers for every area: made once a run, and copied or emptied for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from incidents.ledger.store import Ledger

EITHER = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(scope="session")
def blank_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the newest tables and nothing in them, to copy: 1 ms, where making the tables takes 60."""
    file = tmp_path_factory.mktemp("blank") / "ledger.db"
    with Ledger(f"sqlite:///{file}", durable=False) as ledger:
        ledger.upgrade()
    return file


@pytest.fixture
def sqlite_url(blank_ledger: Path, tmp_path: Path) -> str:
    """A ledger's URL with the newest tables, in a file of the test's own."""
    return f"sqlite:///{shutil.copy(blank_ledger, tmp_path / 'ledger.db')}"


@pytest.fixture(params=EITHER)
def ledger_url(request: pytest.FixtureRequest) -> str:
    """The same on either database in turn."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture(params=EITHER)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Likewise, without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/empty.db"
    return request.getfixturevalue("empty_postgres_url")
