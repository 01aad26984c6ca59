"""Where flows meet the outside: the settings file, the environment and the clock."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from config.bootstrap import open_pipeline
from config.pipeline import Pipeline
from config.reading import read_settings
from config.settings import Settings

RETRIES, RETRY_DELAY_S = 3, 30.0
"""What passes by itself, such as a warehouse in somebody's hands, has passed in two minutes."""


def now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


def settings_of(config: str | None) -> Settings:
    """Read a settings file, or the default one, with secrets from the environment."""
    return read_settings(None if config is None else Path(config), os.environ)


@contextmanager
def opened(config: str | None) -> Iterator[Pipeline]:
    """Open the pipeline of a settings file for as long as a task needs it."""
    with open_pipeline(settings_of(config), now) as pipeline:
        yield pipeline
