"""Where the command line meets the outside: the clock, the settings file and the environment."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from config.reading import read_settings
from config.settings import Settings


def now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


def settings_of(config: Path | None) -> Settings:
    """Read a settings file, or the default one, with secrets from the environment."""
    return read_settings(config, os.environ)
