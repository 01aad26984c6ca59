"""What waits for a person's word: whom it would reach, and what they would read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, select

from console.support.reading.people import regions
from incidents.afterwards import CORRECTION_PREFIX
from incidents.ledger.casework import corrections
from incidents.ledger.rows import incident_from
from incidents.ledger.schema import incidents, notices, outbox, rollouts
from incidents.model import Incident
from notifiers import outbox as messages
from notifiers.model import HOLDING, Rollout, RolloutState
from notifiers.rollout import read, waiting


@dataclass(frozen=True)
class Asked:
    """One audience that waits.

    Parameters
    ----------
    rollout
        What is asked.
    incident
        What it is about; None where the episode is no incident of ours.
    is_correction
        Whether it puts right what people were told before.
    wrong_cause, right_cause
        Of a correction: what they read, and what is true; no right cause means there was no fault.
    """

    rollout: Rollout
    incident: Incident | None
    is_correction: bool = False
    wrong_cause: str | None = None
    right_cause: str | None = None

    @property
    def episode(self) -> str:
        """Its key."""
        return self.rollout.episode


def asked(connection: Connection) -> list[Asked]:
    """Return all that waits, longest first."""
    return [_asked(connection, rollout) for rollout in waiting(connection)]


def asked_about(connection: Connection, episode: str) -> Asked | None:
    """Return one audience, whether it waits or was decided on; None if there is no such."""
    found = read(connection, [episode]).get(episode)
    return None if found is None else _asked(connection, found)


def decided(connection: Connection, limit: int = 10) -> list[Rollout]:
    """Return what was decided last."""
    query = (
        select(rollouts.c.episode)
        .where(rollouts.c.decided_time.is_not(None), rollouts.c.state != RolloutState.WAITING.value)
        .order_by(rollouts.c.decided_time.desc())
        .limit(limit)
    )
    episodes = list(connection.scalars(query))
    known = read(connection, episodes)
    return [known[episode] for episode in episodes]


def audience(connection: Connection, incident_ids: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """Return in which regions the people are who were decided on so far, most first."""
    return regions(connection, incident_ids)


def sample(connection: Connection, incident_id: str, kind: str = "problem") -> messages.Message | None:
    """Return a message of this incident that waits or went out, as its reader sees it; None if none was written."""
    written = (
        select(outbox.c.message_id)
        .join(notices, notices.c.notice_id == outbox.c.notice_id)
        .where(notices.c.incident_id == incident_id, notices.c.kind == kind)
        .order_by(notices.c.withheld_reason, notices.c.channel, notices.c.decided_time)  # as the index stands
        .limit(1)
    )
    for reason in (None, *sorted(HOLDING)):
        message_id = connection.scalar(written.where(notices.c.withheld_reason == reason))
        if message_id is not None:
            return messages.load(connection, message_id)
    return None


def _asked(connection: Connection, rollout: Rollout) -> Asked:
    incident_id = rollout.episode.removeprefix(CORRECTION_PREFIX)
    row = connection.execute(select(incidents).where(incidents.c.incident_id == incident_id)).mappings().first()
    incident = None if row is None else incident_from(row)
    if not rollout.episode.startswith(CORRECTION_PREFIX):
        return Asked(rollout, incident)
    wrong = _correction(connection, incident_id)
    causes = (None, None) if wrong is None else (wrong["wrong_cause"], wrong["right_cause"])
    return Asked(rollout, incident, True, *causes)


def _correction(connection: Connection, incident_id: str) -> RowMapping | None:
    query = select(corrections).where(corrections.c.incident_id == incident_id)
    return connection.execute(query).mappings().first()
