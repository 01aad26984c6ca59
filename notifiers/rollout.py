"""Large audiences are told in stages, and each stage waits for a person's word.

A rollout is one row of `rollouts` for an episode, which is an incident or anything else with an audience. Everybody has
a place between 0 and 1 in it, by a stable hash; who stands below `allowed_share` may be told.

::

    going ---> waiting ---> going (the next stage)
                       ---> approved (everybody)
                       ---> refused
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, select

from incidents.ledger import audit
from incidents.ledger.schema import rollouts
from notifiers.insert import upsert
from notifiers.spread import share_of

EVERYBODY = 1.0


class RolloutError(ValueError):
    """A rollout cannot be decided on as asked; the message is a sentence."""


class RolloutState(StrEnum):
    """How far a rollout is."""

    GOING = "going"
    WAITING = "waiting"
    APPROVED = "approved"
    REFUSED = "refused"


@dataclass(frozen=True)
class Rollout:
    """One row of `rollouts`.

    Parameters
    ----------
    episode
        Whose audience it is.
    audience
        How many people it reaches, as far as they are known.
    allowed_share
        Which share of them (0 to 1), by the stable hash, may be told by now.
    state, asked_time, decided_time, decided_by, note
        How far it is, since when it asks, and who said what.
    """

    episode: str
    audience: int
    allowed_share: float
    state: RolloutState
    asked_time: datetime
    decided_time: datetime | None = None
    decided_by: str | None = None
    note: str | None = None

    def allows(self, subscriber_id: str) -> bool:
        """Whether a person may be told by now."""
        return self.state is not RolloutState.REFUSED and place(self.episode, subscriber_id) < self.allowed_share


def place(episode: str, subscriber_id: str) -> float:
    """Return a person's place in an audience, from 0 to 1: the same each time, and another in each episode."""
    return share_of("rollout", episode, subscriber_id)


def read(connection: Connection, episodes: Iterable[str]) -> dict[str, Rollout]:
    """Return the rollouts of these episodes, those that have one."""
    found = connection.execute(select(rollouts).where(rollouts.c.episode.in_(sorted(set(episodes)))))
    return {row.episode: _rollout(row) for row in found}


def waiting(connection: Connection) -> list[Rollout]:
    """Return the rollouts that wait for a person, longest first."""
    query = select(rollouts).where(rollouts.c.state == RolloutState.WAITING.value)
    return [_rollout(row) for row in connection.execute(query.order_by(rollouts.c.asked_time, rollouts.c.episode))]


def ask(connection: Connection, episode: str, audience: int, allowed_share: float, now: datetime) -> Rollout:
    """Let a share be told and ask a person about the rest; a rollout that was asked about gets the new numbers."""
    asked = Rollout(episode, audience, allowed_share, RolloutState.WAITING, now)
    save(connection, [asked])
    return asked


def approve(
    connection: Connection,
    episode: str,
    by: str,
    now: datetime,
    *,
    stages: Sequence[float] = (EVERYBODY,),
    note: str | None = None,
) -> Rollout:
    """Say yes to the next stage; return the rollout as it is then.

    Parameters
    ----------
    connection
        In a transaction that may write.
    episode, by, now, note
        Of what, who says so, when, and why.
    stages
        Shares in rising order; the first above what is allowed is next. By default everybody is.

    Raises
    ------
    RolloutError
        If nothing waits under this episode.
    """
    known = _asked(connection, episode)
    share = next((stage for stage in stages if stage > known.allowed_share), EVERYBODY)
    state = RolloutState.APPROVED if share >= EVERYBODY else RolloutState.GOING
    return _decide(connection, replace(known, allowed_share=share, state=state), by, now, note)


def refuse(connection: Connection, episode: str, by: str, now: datetime, *, note: str | None = None) -> Rollout:
    """Say no: whoever was not told by now is not told.

    Raises
    ------
    RolloutError
        If nothing waits under this episode.
    """
    return _decide(connection, replace(_asked(connection, episode), state=RolloutState.REFUSED), by, now, note)


def _asked(connection: Connection, episode: str) -> Rollout:
    known = read(connection, [episode]).get(episode)
    if known is None or known.state is not RolloutState.WAITING:
        raise RolloutError(f"Nothing waits for approval under {episode!r}.")
    return known


def _decide(connection: Connection, rollout: Rollout, by: str, now: datetime, note: str | None) -> Rollout:
    decided = replace(rollout, decided_time=now, decided_by=by, note=note)
    save(connection, [decided])
    detail = {"allowed_share": decided.allowed_share, "audience": decided.audience, "note": note}
    action = "rollout.refused" if decided.state is RolloutState.REFUSED else "rollout.approved"
    audit.record(connection, by, action, f"rollout:{rollout.episode}", detail, now)
    return decided


def save(connection: Connection, changed: Iterable[Rollout]) -> None:
    """Insert or replace rollouts by their episode."""
    upsert(connection, rollouts, [{**vars(it), "state": it.state.value} for it in changed])


def _rollout(row: Row[Any]) -> Rollout:
    return Rollout(**(dict(row._mapping) | {"state": RolloutState(row.state)}))
