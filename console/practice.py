"""The stores of a drill: what it may use of the settings, and what was done in it so far."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from config.settings import (
    BrandSettings,
    ChannelSettings,
    LedgerSettings,
    PathSettings,
    Settings,
    WarehouseSettings,
)
from incidents import drills
from incidents.drills import Drill, Score
from incidents.ledger.store import Ledger

MARK = "DRILL"
LEDGER = "ledger.db"
_TAKEN = ("detection", "incidents", "notices", "schedules", "web", "console")
"""Sections of the real settings that a drill takes over."""


def settings_in(settings: Settings, folder: Path) -> Settings:
    """Return the settings of a drill that lives in `folder`: marked, and with no way out."""
    return Settings(
        **{name: getattr(settings, name) for name in _TAKEN if name in Settings.model_fields},
        paths=PathSettings(
            incoming=folder / "world",
            reports=folder / "reports",
            mailbox=folder / "mailbox",
            templates=settings.paths.templates,
        ),
        warehouse=WarehouseSettings(path=folder / "warehouse.duckdb"),
        ledger=LedgerSettings(url=f"sqlite:///{(folder / LEDGER).resolve()}"),
        channels=ChannelSettings(email="mailbox"),
        brand=BrandSettings(service_name=f"{MARK} - {settings.brand.service_name}"),
    )


def score_so_far(settings: Settings, drill: Drill, now: datetime, *, over: bool) -> Score:
    """Work out what was done in a drill, from its own ledger.

    Raises
    ------
    FileNotFoundError
        If its folder is gone.
    """
    folder = Path(drill.folder)
    if not (folder / LEDGER).exists():
        raise FileNotFoundError(folder)
    with Ledger(settings_in(settings, folder).ledger.url) as ledger, ledger.read() as connection:
        return drills.score_of(connection, drill, now, over=over)
