"""What an audience would read: a message that was written for one of them, or else the same words for nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from console.support.reading.approvals import Asked, sample
from console.support.state import Support
from incidents.model import Cause, TroubleKind
from notifiers.compose import NoticeContext
from notifiers.model import notice_id

SOMEBODY = "sample-subscriber"


@dataclass(frozen=True)
class Previewed:
    """A message to look at.

    Parameters
    ----------
    subject, html, text, card
        What it says.
    is_real
        Whether it was written for one of the audience, and waits or went out; else it was composed for this page.
    """

    subject: str
    html: str
    text: str
    card: Mapping[str, Any]
    is_real: bool


def preview(support: Support, connection: Connection, asked: Asked) -> Previewed | None:
    """Return what an audience would read; None if it is about no incident."""
    incident = asked.incident
    if incident is None:
        return None
    written = None if asked.is_correction else sample(connection, incident.incident_id)
    if written is not None:
        return Previewed(written.subject, written.html, written.text, written.card, is_real=True)
    kind = _kind(asked)
    context = NoticeContext(
        notice_id=notice_id(SOMEBODY, asked.episode, kind),
        kind=kind,
        problem=incident.signal,
        cause=Cause(asked.right_cause) if asked.right_cause else incident.verdict.cause,
        wrong_cause=Cause(asked.wrong_cause) if asked.wrong_cause else None,
        since=incident.onset_time,
        impaired=2,
        sessions=3,
        brand=support.settings.brand.brand,
    )
    words = support.composer.compose(context)
    return Previewed(words.subject, words.html, words.text, words.card, is_real=False)


def _kind(asked: Asked) -> TroubleKind:
    if not asked.is_correction:
        return TroubleKind.PROBLEM
    return TroubleKind.CORRECTION if asked.right_cause else TroubleKind.RETRACTION
