"""Leases on windows: who runs which stage of which window, and what is finished.

A stage runs one window at a time and windows only forwards. A lease keeps a second runner away; finishing
happens in the transaction that writes the stage's results, and only by the lease's owner: once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, insert, select, update

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
    done = connection.execute(_latest_finished(stage)).first()
    if done is not None and done.window_end >= window.end:
        exact = (done.window_start, done.window_end) == (window.start, window.end)
        return Lease.FINISHED if exact or is_finished(connection, stage, window) else Lease.SUPERSEDED
    holders = connection.execute(_holders(stage, now)).scalars()
    if any(holder != owner and not is_gone(holder) for holder in holders):
        return Lease.HELD
    _take(connection, stage, window, owner, now + duration)
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
    result = connection.execute(
        update(windows)
        .where(_is(stage, window), windows.c.lease_owner == owner, windows.c.finished_time.is_(None))
        .values(finished_time=now, counts=dict(counts), lease_owner=None, lease_until=None)
    )
    if result.rowcount != 1:
        raise LeaseLostError(
            f"The lease on {stage} of window {window.key} was lost; its results were not written."
        )


def is_finished(connection: Connection, stage: str, window: Window) -> bool:
    """Whether a stage of a window is finished."""
    row = connection.execute(select(windows.c.finished_time).where(_is(stage, window))).first()
    return row is not None and row.finished_time is not None


def finished_counts(connection: Connection, stage: str, window: Window) -> dict[str, int]:
    """Return what a finished stage counted; nothing if it is not finished."""
    counts = connection.execute(select(windows.c.counts).where(_is(stage, window))).scalar()
    return dict(counts or {})


def latest_end(connection: Connection, stage: str) -> datetime | None:
    """Return the end of the latest finished window of a stage, or None before the first."""
    row = connection.execute(_latest_finished(stage)).first()
    return None if row is None else row.window_end


def _is(stage: str, window: Window) -> ColumnElement[bool]:
    return and_(
        windows.c.stage == stage,
        windows.c.window_start == window.start,
        windows.c.window_end == window.end,
    )


def _latest_finished(stage: str) -> Select[datetime, datetime]:
    return (
        select(windows.c.window_start, windows.c.window_end)
        .where(windows.c.stage == stage, windows.c.finished_time.is_not(None))
        .order_by(windows.c.window_end.desc())
        .limit(1)
    )


def _holders(stage: str, now: datetime) -> Select[str]:
    return select(windows.c.lease_owner).where(
        windows.c.stage == stage,
        windows.c.finished_time.is_(None),
        windows.c.lease_owner.is_not(None),
        windows.c.lease_until > now,
    )


def _take(connection: Connection, stage: str, window: Window, owner: str, until: datetime) -> None:
    connection.execute(delete(windows).where(_is(stage, window)))
    connection.execute(
        insert(windows),
        {
            "stage": stage,
            "window_start": window.start,
            "window_end": window.end,
            "lease_owner": owner,
            "lease_until": until,
        },
    )
