"""Lets go what quiet hours held back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, update

from incidents.ledger.schema import notices
from notifiers.model import WithheldReason
from notifiers.outbox import cancel
from notifiers.recheck import Consents, standings

OUTLASTED = frozenset({WithheldReason.EXPIRED, WithheldReason.RECOVERED})
"""Objections that only time raised: the night is why these people were not told, and the row says so."""


@dataclass(frozen=True)
class ReleaseReport:
    """How many notices were let go, and how many were dropped, by what stood against them."""

    released: int = 0
    dropped: Mapping[WithheldReason, int] = field(default_factory=dict)


def release_due(connection: Connection, now: datetime, consents: Consents | None = None) -> ReleaseReport:
    """Check notices whose quiet hours have ended once more, and let the ones still wanted go.

    A released row's `withheld_reason` becomes NULL. One whose problem is over by then keeps `quiet_hours`,
    the reason why its person was not told, and loses its `release_time`. One withdrawn or suppressed since
    gets that reason instead. Works in the caller's transaction, with or without outbox rows (a replay has
    none).

    Parameters
    ----------
    connection
        In a transaction that may write.
    now
        Aware UTC.
    consents
        Asked again for each person and channel, where given.
    """
    due = (notices.c.withheld_reason == WithheldReason.QUIET_HOURS.value) & (notices.c.release_time <= now)
    released, dropped = 0, Counter[WithheldReason]()
    for standing in standings(connection, due):
        objection = standing.objection(now, consents)
        if objection is None:
            _let_go(connection, standing.notice_id)
            released += 1
        else:
            cancel(connection, standing.notice_id, _kept_reason(objection), now)
            dropped[objection] += 1
    return ReleaseReport(released, dropped)


def _let_go(connection: Connection, notice_id: str) -> None:
    connection.execute(
        update(notices).where(notices.c.notice_id == notice_id).values(withheld_reason=None, release_time=None)
    )


def _kept_reason(objection: WithheldReason) -> WithheldReason:
    return WithheldReason.QUIET_HOURS if objection in OUTLASTED else objection
