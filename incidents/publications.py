"""What the public status page says of an incident: in a lead's words, without the names of what is inside.

Nothing becomes public by itself. A lead publishes an incident, posts updates and resolves it; every word stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, RowMapping, or_, select, update

from incidents.cases import EditedMeanwhileError, ReviewError, UnknownIncidentError, text_of
from incidents.ledger import audit
from incidents.ledger.casework import publication_updates, publications
from incidents.ledger.rows import incident_from
from incidents.ledger.schema import incidents
from incidents.model import Incident

INTERNAL = frozenset({"cdn", "isp", "app_version", "title_id"})
"""Dimensions whose values nobody outside knows, or should read blamed, unless a lead says so."""
LONGEST_TITLE = 160


class PublicState(StrEnum):
    """How far we are, in the words of status pages."""

    INVESTIGATING = "investigating"
    IDENTIFIED = "identified"
    MONITORING = "monitoring"
    RESOLVED = "resolved"


@dataclass(frozen=True)
class Update:
    """One thing that was said, when, and by whom (who is not shown outside)."""

    number: int
    state: PublicState
    words: str
    author: str
    posted_time: datetime


@dataclass(frozen=True)
class Publication:
    """An incident as the public sees it.

    Parameters
    ----------
    publication_id
        Its public name; the incident's own id stays inside.
    incident_id
        Which incident.
    title, scope
        What is wrong, and for whom, in plain words.
    state
        Of the latest update.
    began_time, published_time, resolved_time
        When it began, when it was published, and when it was over.
    revision
        How often it was changed.
    updates
        Latest first.
    """

    publication_id: str
    incident_id: str
    title: str
    scope: str
    state: PublicState
    began_time: datetime
    published_time: datetime
    resolved_time: datetime | None
    withdrawn_time: datetime | None
    revision: int
    updates: tuple[Update, ...] = ()

    @property
    def changed_time(self) -> datetime:
        """When the latest update was posted."""
        return self.updates[0].posted_time if self.updates else self.published_time


def publish(
    connection: Connection,
    incident_id: str,
    author: str,
    now: datetime,
    *,
    title: str,
    scope: str,
    words: str,
    state: PublicState = PublicState.INVESTIGATING,
    names_allowed: bool = False,
) -> Publication:
    """Publish an incident.

    Parameters
    ----------
    connection
        In a transaction that may write.
    incident_id
        Which incident; each is published once.
    author, now
        Who publishes it, and when.
    title, scope, words
        What is wrong, for whom, and the first update.
    state
        How far we are.
    names_allowed
        Whether the words may name networks, versions and titles of the incident's group.

    Raises
    ------
    UnknownIncidentError
        If there is no such incident.
    ReviewError
        If it is published already, or a text is missing, too long, or names what is internal.
    """
    row = connection.execute(select(incidents).where(incidents.c.incident_id == incident_id)).mappings().first()
    if row is None:
        raise UnknownIncidentError(f"The ledger has no incident {incident_id[:64]}.")
    if connection.scalar(select(publications.c.publication_id).where(publications.c.incident_id == incident_id)):
        raise ReviewError("This incident is published already: post an update.")
    incident = incident_from(row)
    texts = _texts(incident, {"The title": title, "The scope": scope, "The update": words}, names_allowed=names_allowed)
    if len(texts[0]) > LONGEST_TITLE:
        raise ReviewError(f"The title is longer than {LONGEST_TITLE} characters.")
    key = audit.new_id()
    values = {
        "publication_id": key,
        "incident_id": incident_id,
        "title": texts[0],
        "scope": texts[1],
        "state": state.value,
        "began_time": incident.onset_time,
        "published_time": now,
        "resolved_time": now if state is PublicState.RESOLVED else None,
        "revision": 0,
    }
    connection.execute(publications.insert().values(values))
    _post(connection, key, 1, state, texts[2], author, now)
    audit.record(connection, author, "status.published", f"incident:{incident_id}", {"publication_id": key}, now)
    return publication_of(connection, key)


def post(
    connection: Connection,
    publication_id: str,
    author: str,
    now: datetime,
    *,
    seen: int,
    state: PublicState,
    words: str,
    names_allowed: bool = False,
) -> Publication:
    """Post an update; `resolved` ends it, and a later update of another state opens it again.

    Raises
    ------
    EditedMeanwhileError
        If somebody else posted since the author looked; nothing is written.
    ReviewError
        If there is no such publication, it was withdrawn, or the words are missing or name what is internal.
    """
    known = publication_of(connection, publication_id)
    if known.withdrawn_time is not None:
        raise ReviewError("This was withdrawn from the status page.")
    row = connection.execute(select(incidents).where(incidents.c.incident_id == known.incident_id)).mappings().one()
    (said,) = _texts(incident_from(row), {"The update": words}, names_allowed=names_allowed)
    over = (known.resolved_time or now) if state is PublicState.RESOLVED else None
    _change(connection, known, seen, state=state.value, resolved_time=over)
    _post(connection, publication_id, len(known.updates) + 1, state, said, author, now)
    audit.record(connection, author, "status.updated", f"incident:{known.incident_id}", {"state": state.value}, now)
    return publication_of(connection, publication_id)


def withdraw(connection: Connection, publication_id: str, author: str, now: datetime, *, seen: int) -> None:
    """Take a publication off the page: it should not have been there. Its words are kept; raises as `post` does."""
    known = publication_of(connection, publication_id)
    _change(connection, known, seen, withdrawn_time=now)
    audit.record(connection, author, "status.withdrawn", f"incident:{known.incident_id}", {}, now)


def publication_of(connection: Connection, publication_id: str) -> Publication:
    """Return one publication, or raise `ReviewError` if there is no such."""
    query = select(publications).where(publications.c.publication_id == publication_id)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise ReviewError(f"There is no publication {publication_id[:32]}.")
    return _publication(row, _updates(connection, [publication_id]))


def of_incident(connection: Connection, incident_id: str) -> Publication | None:
    """Return an incident's publication, if it has one."""
    key = connection.scalar(select(publications.c.publication_id).where(publications.c.incident_id == incident_id))
    return None if key is None else publication_of(connection, key)


def published(connection: Connection, since: datetime) -> list[Publication]:
    """Return what is public: what goes on, and what was over since a moment, latest first."""
    recent = or_(publications.c.resolved_time.is_(None), publications.c.resolved_time >= since)
    query = select(publications).where(publications.c.withdrawn_time.is_(None), recent)
    ordered = query.order_by(publications.c.published_time.desc(), publications.c.publication_id)
    rows = list(connection.execute(ordered).mappings())
    updates = _updates(connection, [row["publication_id"] for row in rows])
    return [_publication(row, updates) for row in rows]


def internal_names(incident: Incident) -> list[str]:
    """Return the names of an incident's group that the public should not read."""
    return [value for name, value in incident.cohort.values if name in INTERNAL]


def _texts(incident: Incident, texts: dict[str, str], *, names_allowed: bool) -> list[str]:
    said = [text_of(text, what, needed=True) or "" for what, text in texts.items()]
    for text in said if not names_allowed else ():
        for name in internal_names(incident):
            if name.casefold() in text.casefold():
                raise ReviewError(f"The words name {name[:80]}, which is internal: leave it out, or allow names.")
    return said


def _change(connection: Connection, known: Publication, seen: int, **values: Any) -> None:  # noqa: ANN401
    of = (publications.c.publication_id == known.publication_id) & (publications.c.revision == seen)
    if not connection.execute(update(publications).where(of).values(**values, revision=seen + 1)).rowcount:
        latest = known.updates[0] if known.updates else None
        by, at = (latest.author, latest.posted_time) if latest else (None, None)
        raise EditedMeanwhileError("this publication", by, at, known.revision)


def _post(
    connection: Connection, key: str, number: int, state: PublicState, words: str, author: str, now: datetime
) -> None:
    connection.execute(
        publication_updates.insert().values(
            publication_id=key, number=number, state=state.value, words=words, author=author, posted_time=now
        )
    )


def _updates(connection: Connection, keys: Sequence[str]) -> dict[str, list[Update]]:
    query = select(publication_updates).where(publication_updates.c.publication_id.in_(keys))
    found: dict[str, list[Update]] = {key: [] for key in keys}
    for row in connection.execute(query.order_by(publication_updates.c.number.desc())).mappings() if keys else ():
        said = Update(row["number"], PublicState(row["state"]), row["words"], row["author"], row["posted_time"])
        found[row["publication_id"]].append(said)
    return found


def _publication(row: RowMapping, updates: dict[str, list[Update]]) -> Publication:
    said = tuple(updates[row["publication_id"]])
    return Publication(**{**row, "state": PublicState(row["state"])}, updates=said)
