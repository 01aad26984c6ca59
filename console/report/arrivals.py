"""When an incident reached the people of each region, as far as they were decided on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, func, select

from incidents.ledger.casework import notice_traits
from incidents.ledger.schema import notices
from incidents.model import TroubleKind

Arrivals = Mapping[str, Sequence[tuple[datetime, int]]]
"""By region: when people of it were decided on, and how many, in order of time."""


def arrivals(connection: Connection, incident_ids: Sequence[str], regions: Sequence[str]) -> Arrivals:
    """Read it for some regions.

    Parameters
    ----------
    connection
        The ledger's.
    incident_ids
        The incident and its parts.
    regions
        Which to read; one whose people nobody knows is left out.
    """
    region, time = notice_traits.c.region, notices.c.decided_time
    mine = notices.c.incident_id.in_(incident_ids) & (notices.c.kind == TroubleKind.PROBLEM.value)
    query = (
        select(region, time, func.count())
        .join(notices, notices.c.notice_id == notice_traits.c.notice_id)
        .where(mine, region.in_(regions))
        .group_by(region, time)
        .order_by(time)
    )
    found: dict[str, list[tuple[datetime, int]]] = {}
    for name, moment, count in connection.execute(query):
        found.setdefault(name, []).append((moment, count))
    return found
