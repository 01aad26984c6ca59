"""A small world with one bad evening, and a settings file whose stores are in a temporary folder."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from data.demo import RECIPE
from data.recipe import Effect, Fault
from data.world import make_world
from telemetry.contract import Signal

OUTAGE = datetime(2026, 5, 6, 18, 30, tzinfo=UTC)
SMALL = replace(
    RECIPE,
    days=3,
    quiet_days=2,
    subscribers=400,
    sessions_per_day=3.0,
    releases=(),
    look_alikes=(),
    faults=(
        Fault(
            "drm_outage",
            Signal.ACCESS,
            {"device_type": "streaming_stick"},
            OUTAGE,
            OUTAGE + timedelta(hours=2),
            Effect(deny_p=0.95, error_class="drm"),
        ),
    ),
)


@pytest.fixture(scope="session")
def make_small():
    """A maker of the small world."""
    return lambda folder: make_world(folder, SMALL, seed=1)


@pytest.fixture(scope="session")
def world(tmp_path_factory, make_small):
    return make_small(tmp_path_factory.mktemp("small-world")).path


@pytest.fixture(scope="session")
def outage():
    return OUTAGE


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "my.yaml"
    file.write_text(
        f"paths:\n  reports: {tmp_path}/reports\n  mailbox: {tmp_path}/mailbox\n"
        f"warehouse:\n  path: {tmp_path}/warehouse.duckdb\n"
        f"ledger:\n  url: sqlite:///{tmp_path}/ledger.db\n"
        "channels:\n  email: mailbox\n",
        encoding="utf-8",
    )
    return file
