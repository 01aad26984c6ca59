"""A flood of notices halts everything until somebody has looked: that we err is likelier than that so many need us."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from incidents.ledger.schema import notices
from notifiers import stops
from notifiers.model import Decision, Policy
from notifiers.stops import EVERYTHING, Stop, StopKind

USUAL = timedelta(days=7)
"""How far back the usual number of notices is looked up."""


def stop_a_flood(connection: Connection, decisions: Sequence[Decision], policy: Policy, now: datetime) -> Stop | None:
    """Halt all sending if a window decided on far more notices than usual; return the stop, if there is one.

    What was decided is queued before or after all the same: a stop loses nothing.

    Parameters
    ----------
    connection
        In a transaction that may write.
    decisions
        Of the window.
    policy, now
        What is too much, and the window's end.
    """
    told = sum(decision.withheld_reason is None for decision in decisions)
    reason = _reason(connection, told, policy, now)
    return None if reason is None else stops.start(connection, EVERYTHING, StopKind.FLOOD, reason, now)


def _reason(connection: Connection, told: int, policy: Policy, now: datetime) -> str | None:
    if policy.flood_people is not None and told > policy.flood_people:
        return f"{told} notices in one window, where {policy.flood_people} are the most that may go unseen."
    if told < policy.flood_least:
        return None
    usual = usual_notices(connection, now)
    if usual and told > policy.flood_factor * usual:
        return f"{told} notices in one window, where {usual:.0f} are usual."
    return None


def usual_notices(connection: Connection, now: datetime) -> float:
    """Return the mean number of notices in the last week's windows that had any; 0 if there were none."""
    lately = (notices.c.decided_time >= now - USUAL) & (notices.c.decided_time < now)
    counted = select(func.count(), func.count(notices.c.decided_time.distinct())).where(
        lately, notices.c.withheld_reason.is_(None)
    )
    total, windows = connection.execute(counted).one()
    return total / windows if windows else 0.0
