"""The demo: an invented service's week, two bad days, and the whole loop on them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import SecretStr

from config.bootstrap import open_pipeline
from config.pipeline import PipelineError
from config.settings import (
    BrandSettings,
    ChannelSettings,
    ContactSettings,
    LedgerSettings,
    PathSettings,
    Settings,
    WarehouseSettings,
)
from config.writing import write_settings
from console.replay import count_notices
from console.reporting import write
from console.status.draft import draft_of
from console.walk import Progress, WorldClock, walk
from data.world import World
from incidents.ledger.store import Ledger
from incidents.model import Incident
from incidents.publications import publish
from incidents.quality import QualityNotice
from incidents.reviews import Particulars, ReviewVerdict, review
from incidents.silences import SilenceKind, plan
from notifiers.effect.roll_up import roll_up
from telemetry.time import Window

LEAD = "demo lead"
BRAND = BrandSettings(
    service_name="Lanternfish",
    reply_address="help@lanternfish.example",
    phone="+1 202 555 0143",
    contact={"US": ContactSettings(phone="202-555-0143"), "FR": ContactSettings(phone="01 99 00 01 43")},
)
"""The invented service, where the settings name none. Its numbers and its domain are kept for fiction.

It has no chat: the button in its mails leads to the reader's case, which the demo can show.
"""
LINK_SECRET = SecretStr("signs links into the demo alone, on this machine")
CONFIG = "demo.yaml"
MARK = ".prebuffer-demo"
"""A file that says that a folder is a demo's, and may be emptied."""


@dataclass(frozen=True)
class DemoReport:
    """What the demo found, and where to look.

    Parameters
    ----------
    incidents
        As known at the end.
    notices
        How many, by kind and reason.
    report, mailbox
        Pages to open.
    config
        A settings file, for other commands to look at the demo with.
    shown
        From when to when it was walked.
    quality
        Notices for ops of missing telemetry and viewers.
    """

    incidents: list[Incident]
    notices: dict[tuple[str, str], int]
    report: Path
    mailbox: Path
    config: Path
    shown: Window
    quality: list[QualityNotice]


def demo(folder: Path, settings: Settings, make: Callable[[Path], World], progress: Progress) -> DemoReport:
    """Make the demo world, run the loop on its bad days, and write the report.

    Parameters
    ----------
    folder
        Emptied first if it is an earlier demo's.
    settings
        How to decide and what to say; stores and channels are replaced by ones inside `folder`.
    make
        Makes the world in the folder that it is given.
    progress
        Called with the steps done and all steps after each one.

    Raises
    ------
    PipelineError
        If `folder` holds something else.
    """
    _make_empty(folder)
    world = make(folder / "world")
    clock = WorldClock(world.end)
    inside = demo_settings(settings, folder)
    with open_pipeline(inside, clock) as pipeline:
        pipeline.exclusive = True
        pipeline.ingest(world.path)
        shown = Window(world.evaluate_from, world.end)
        walk(pipeline, clock, shown.split(settings.schedules.step), progress, deliver=True)
        found, counts = pipeline.ledger.incidents(), count_notices(pipeline.ledger)
        quality = pipeline.ledger.quality_notices()
        _act_as_a_lead(pipeline.ledger, found, world.end)
    # Its links are made on this machine alone, so that the file says nothing of them.
    write_settings(inside, folder / CONFIG, "The demo: everything in here is invented.", without=["web"])
    page = write(inside, None, inside.paths.reports, world.end)
    return DemoReport(found, counts, page, inside.paths.mailbox / "index.html", folder / CONFIG, shown, quality)


def _act_as_a_lead(ledger: Ledger, found: Sequence[Incident], now: datetime) -> None:
    """Review and publish the largest incident, plan a silence and sum the days: so that every page shows something."""
    with ledger.write() as connection:
        roll_up(connection, now)
        plan(
            connection,
            SilenceKind.MAINTENANCE,
            {"cdn": "cdn-amber", "country": "US"},
            now + timedelta(hours=8),
            now + timedelta(hours=10),
            LEAD,
            "New routers in the data centre of the Middle West.",
            now,
        )
        for incident in sorted(found, key=lambda it: it.affected_subscribers)[-1:]:
            said = Particulars(note="The release was taken back; the test that would have found it is written.")
            review(connection, incident.incident_id, ReviewVerdict.CONFIRM, LEAD, now, seen=0, particulars=said)
            draft = draft_of(incident)
            publish(
                connection, incident.incident_id, LEAD, now, title=draft.title, scope=draft.scope, words=draft.words
            )


def _make_empty(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARK).exists():
            raise PipelineError(f"{folder} holds something that is not an earlier demo; name another folder.")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()


def demo_settings(settings: Settings, folder: Path) -> Settings:
    """Return settings that keep everything inside `folder` and send no mail; links lead to ``prebuffer web --demo``."""
    address = f"http://{settings.web.host}:{settings.web.port}"
    return settings.model_copy(
        update={
            "paths": PathSettings(
                incoming=folder / "world",
                reports=folder / "reports",
                mailbox=folder / "mailbox",
                templates=settings.paths.templates,
            ),
            "warehouse": WarehouseSettings(path=folder / "warehouse.duckdb"),
            "ledger": LedgerSettings(url=f"sqlite:///{folder / 'ledger.db'}"),
            "channels": ChannelSettings(email="mailbox"),
            "web": settings.web.model_copy(update={"public_url": address, "link_secret": LINK_SECRET}),
            "brand": settings.brand if settings.brand.brand.name else BRAND,
        }
    )
