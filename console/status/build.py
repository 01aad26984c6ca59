"""Builds the status page: a page, an Atom feed and a JSON document, from what leads published and nothing else."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from console.report.words import clean, moment
from incidents.ledger.store import Ledger
from incidents.publications import Publication, PublicState, published
from notifiers.language import COMPILED

SHOWN = timedelta(days=90)
"""How long what is over stays on the page."""
LONGEST_WORDS = 4_000
STATES = {
    PublicState.INVESTIGATING: "We are looking into it",
    PublicState.IDENTIFIED: "We found the cause",
    PublicState.MONITORING: "Mended, and we keep an eye on it",
    PublicState.RESOLVED: "Over",
}
ALL_WELL, SOME_TROUBLE = "ok", "disrupted"


@dataclass(frozen=True)
class StatusPage:
    """The files that were written."""

    page: Path
    feed: Path
    document: Path


def build(
    ledger: Ledger, folder: Path, templates: Path, service_name: str, now: datetime, address: str | None = None
) -> StatusPage:
    """Write the status page into a folder.

    Parameters
    ----------
    ledger
        Only its publications are read.
    folder
        Where the files go; a web server may serve it while they are written.
    templates
        The folder ``templates/`` or an edited copy of it.
    service_name
        As subscribers know it.
    now
        Aware UTC.
    address
        Where the page is served, for the feed's links.
    """
    with ledger.read() as connection:
        known = published(connection, now - SHOWN)
    environment = Environment(
        loader=FileSystemLoader(templates / "status"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=COMPILED[True],
    )
    environment.filters.update(plain=lambda text: clean(text, LONGEST_WORDS), moment=moment, urn=_urn)
    values = {
        "service": service_name,
        "ongoing": [it for it in known if it.resolved_time is None],
        "past": [it for it in known if it.resolved_time is not None],
        "states": STATES,
        "now": now,
        "changed": max((it.changed_time for it in known), default=now),
        "days": SHOWN.days,
        "address": address,
    }
    page = _write(folder / "index.html", environment.get_template("index.html.jinja").render(values))
    feed = _write(folder / "feed.atom", environment.get_template("feed.atom.jinja").render(values))
    document = json.dumps(document_of(known, service_name, now), ensure_ascii=False, indent=1)
    return StatusPage(page, feed, _write(folder / "status.json", document))


def document_of(known: Sequence[Publication], service_name: str, now: datetime) -> dict[str, Any]:
    """Return the same as a document for programs."""
    ongoing = any(it.resolved_time is None for it in known)
    return {
        "service": service_name,
        "status": SOME_TROUBLE if ongoing else ALL_WELL,
        "written": now.isoformat(),
        "incidents": [_incident(it) for it in known],
    }


def _incident(it: Publication) -> dict[str, Any]:
    return {
        "id": it.publication_id,
        "title": clean(it.title, LONGEST_WORDS),
        "scope": clean(it.scope, LONGEST_WORDS),
        "state": it.state.value,
        "began": it.began_time.isoformat(),
        "resolved": None if it.resolved_time is None else it.resolved_time.isoformat(),
        "updates": [
            {"time": said.posted_time.isoformat(), "state": said.state.value, "words": clean(said.words, LONGEST_WORDS)}
            for said in it.updates
        ],
    }


def _urn(text: str) -> str:
    return uuid.uuid5(uuid.NAMESPACE_OID, text).urn


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f"{path.suffix}.part")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
    return path
