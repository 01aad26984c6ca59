"""Leases on windows: who runs which stage of which window, and what is finished.

A stage runs one window at a time and windows only forwards. A lease keeps a second runner away; finishing
happens in the transaction that writes the stage's results, and only by the lease's owner: once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, and_, bindparam, insert, select, update

from incidents.ledger.schema import windows
from telemetry.time import Window

# LedgerError
# └── LeaseLostError


class LedgerError(Exception):
    """The ledger cannot do what was asked."""


class LeaseLostError(LedgerError):
    """Somebody else holds, or has finished, the window that was to be finished."""


class Lease(StrEnum):
    """The answer to a request to run one stage of one window."""

    GRANTED = "granted"
    FINISHED = "finished"
    SUPERSEDED = "superseded"
    HELD = "held"


def never_gone(owner: str) -> bool:
    """Take every owner to be alive, so that a lease ends only by its time."""
    return not owner


def lease(
    connection: Connection,
    stage: str,
    window: Window,
    *,
    owner: str,
    now: datetime,
    duration: timedelta,
    is_gone: Callable[[str], bool] = never_gone,
) -> Lease:
    """Ask to run `stage` of `window`.

    Parameters
    ----------
    connection
        In a transaction that may write.
    stage, window
        What is to be run.
    owner
        Who asks; the same owner may ask again.
    now, duration
        The lease ends at ``now + duration``, unless finished before.
    is_gone
        Whether another owner is known to have died, so that its lease is void.

    Returns
    -------
    Lease
        `GRANTED`; `FINISHED` if this window is done; `SUPERSEDED` if a later one is, which has taken in this
        one's events; `HELD` while another owner runs this stage.
    """
    key = _key(stage, window)
    done = connection.execute(_LATEST_FINISHED, key).first()
    if done is not None and done.window_end >= window.end:
        return Lease.FINISHED if is_finished(connection, stage, window) else Lease.SUPERSEDED
    begun = connection.execute(_UNFINISHED, key).all()
    if any(row.lease_until > now and row.lease_owner != owner and not is_gone(row.lease_owner) for row in begun):
        return Lease.HELD
    again = any((row.window_start, row.window_end) == (window.start, window.end) for row in begun)
    values = {"lease_owner": owner, "lease_until": now + duration}
    if again:
        connection.execute(_LEASE_AGAIN, key | values)
    else:
        names = {"stage": stage, "window_start": window.start, "window_end": window.end}
        connection.execute(_LEASE_NEW, names | values)
    return Lease.GRANTED


def finish(
    connection: Connection,
    stage: str,
    window: Window,
    *,
    owner: str,
    now: datetime,
    counts: Mapping[str, int],
) -> None:
    """Mark a leased window as finished, in the transaction that writes its results.

    Raises
    ------
    LeaseLostError
        If `owner` does not hold the window any more: roll the transaction back.
    """
    values = {"of_owner": owner, "finished_time": now, "counts": dict(counts)}
    result = connection.execute(_FINISH, _key(stage, window) | values)
    if result.rowcount != 1:
        raise LeaseLostError(f"The lease on {stage} of window {window.key} was lost; its results were not written.")


def is_finished(connection: Connection, stage: str, window: Window) -> bool:
    """Whether a stage of a window is finished."""
    row = connection.execute(_RESULT, _key(stage, window)).first()
    return row is not None and row.finished_time is not None


def finished_counts(connection: Connection, stage: str, window: Window) -> dict[str, int]:
    """Return what a finished stage counted; nothing if it is not finished."""
    row = connection.execute(_RESULT, _key(stage, window)).first()
    return {} if row is None else dict(row.counts or {})


def latest_end(connection: Connection, stage: str) -> datetime | None:
    """Return the end of the latest finished window of a stage, or None before the first."""
    row = connection.execute(_LATEST_FINISHED, {"of_stage": stage}).first()
    return None if row is None else row.window_end


def _key(stage: str, window: Window) -> dict[str, Any]:
    return {"of_stage": stage, "of_start": window.start, "of_end": window.end}


# Built once: building a statement costs more than running it.
_OF_STAGE = windows.c.stage == bindparam("of_stage")
_OF_WINDOW = and_(
    _OF_STAGE,
    windows.c.window_start == bindparam("of_start"),
    windows.c.window_end == bindparam("of_end"),
)
_LATEST_FINISHED = (
    select(windows.c.window_end)
    .where(_OF_STAGE, windows.c.finished_time.is_not(None))
    .order_by(windows.c.window_end.desc())
    .limit(1)
)
_UNFINISHED = select(windows.c.window_start, windows.c.window_end, windows.c.lease_owner, windows.c.lease_until).where(
    _OF_STAGE, windows.c.finished_time.is_(None)
)
_RESULT = select(windows.c.finished_time, windows.c.counts).where(_OF_WINDOW)
_LEASE_NEW = insert(windows)
_LEASE_AGAIN = (
    update(windows).where(_OF_WINDOW).values(lease_owner=bindparam("lease_owner"), lease_until=bindparam("lease_until"))
)
_FINISH = (
    update(windows)
    .where(_OF_WINDOW, windows.c.lease_owner == bindparam("of_owner"), windows.c.finished_time.is_(None))
    .values(
        finished_time=bindparam("finished_time"),
        counts=bindparam("counts"),
        lease_owner=None,
        lease_until=None,
    )
)
