"""Large audiences are told in stages, and each stage waits for a person's word.

A rollout is one row of `rollouts` for an episode, which is an incident or anything else with an audience. Everybody has
a place between 0 and 1 in it, by a stable hash; who stands below `allowed_share` may be told.

::

    going ---> waiting ---> going (the next stage)
                       ---> approved (everybody)
                       ---> refused
                       ---> over       (nobody needs to be told any more, or another rollout has taken its people)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, bindparam, func, or_, select, update

from incidents.afterwards import CORRECTION_PREFIX
from incidents.ledger import audit
from incidents.ledger.among import among
from incidents.ledger.schema import incidents, notices, rollouts
from incidents.model import Trouble, TroubleKind
from incidents.silences import silenced
from notifiers import stops
from notifiers.insert import upsert
from notifiers.model import HOLDING, Policy, Rollout, RolloutState

EVERYBODY = 1.0
FEW = 200
"""Up to so many people a share of the base means little, and nothing waits for approval."""
TOLD_OR_HELD = or_(
    notices.c.withheld_reason.is_(None), notices.c.withheld_reason.in_([reason.value for reason in HOLDING])
)
UNDECIDED = (RolloutState.GOING, RolloutState.WAITING)
OVERTAKEN = "It was over before anybody decided."
TAKEN_OVER = "It is part of {} now."


class RolloutError(ValueError):
    """A rollout cannot be decided on as asked; the message is a sentence."""


def read(connection: Connection, episodes: Iterable[str]) -> dict[str, Rollout]:
    """Return the rollouts of these episodes, those that have one."""
    found = connection.execute(select(rollouts).where(among(rollouts.c.episode, set(episodes))))
    return {row.episode: _rollout(row) for row in found}


def in_charge(connection: Connection, episodes: Iterable[str]) -> dict[str, Rollout]:
    """Return the rollout that each of these episodes goes by: its own, or that of the incident it was merged into.

    A person's no stands whatever becomes of the incident. One that is over holds nobody back.
    """
    wholes = _wholes(connection, sorted(set(episodes)))
    found = read(connection, {*wholes, *wholes.values()})
    mine = {episode: by_which(found.get(episode), found.get(whole)) for episode, whole in wholes.items()}
    return {episode: it for episode, it in mine.items() if it is not None}


def by_which(own: Rollout | None, whole: Rollout | None) -> Rollout | None:
    """Return which of two rollouts holds: an incident's own, and that of the one it is part of (or its own again)."""
    if whole is None or (own is not None and own.state is RolloutState.REFUSED):
        whole = own
    return None if whole is None or whole.state is RolloutState.OVER else whole


def _wholes(connection: Connection, episodes: Sequence[str]) -> dict[str, str]:
    merged = among(incidents.c.incident_id, episodes) & incidents.c.merged_into.is_not(None)
    query = select(incidents.c.incident_id, incidents.c.merged_into).where(merged)
    return {it: it for it in episodes} | {row[0]: row[1] for row in connection.execute(query)}


def ended_incidents() -> Select[tuple[str]]:
    """Select the ids of the incidents that are over; one that was merged lives on in the other."""
    whole = incidents.alias("whole")
    ended = or_(
        and_(incidents.c.merged_into.is_(None), incidents.c.resolved_time.is_not(None)),
        whole.c.resolved_time.is_not(None),
    )
    joined = incidents.outerjoin(whole, whole.c.incident_id == incidents.c.merged_into)
    return select(incidents.c.incident_id).select_from(joined).where(ended)


# Built once: they are run in every step, and building a statement costs more than running it.
_ASK_NEXT = (
    update(rollouts)
    .where(rollouts.c.state == RolloutState.GOING.value)
    .values(state=RolloutState.WAITING.value, asked_time=bindparam("at"))
)
_OVERTAKEN = (
    update(rollouts)
    .where(rollouts.c.state == RolloutState.WAITING.value, rollouts.c.episode.in_(ended_incidents()))
    .values(state=RolloutState.OVER.value, decided_time=bindparam("at"), decided_by=stops.PREBUFFER, note=OVERTAKEN)
)
_GOES_ON = select(incidents.c.incident_id).where(incidents.c.merged_into.is_(None), incidents.c.resolved_time.is_(None))
_ASK_AGAIN = (
    update(rollouts)
    .where(rollouts.c.state == RolloutState.OVER.value, rollouts.c.episode.in_(_GOES_ON))
    .values(state=RolloutState.WAITING.value, asked_time=bindparam("at"), decided_time=None, decided_by=None, note=None)
)
_PARTS = (
    select(rollouts, incidents.c.merged_into)
    .select_from(rollouts.join(incidents, incidents.c.incident_id == rollouts.c.episode))
    .where(incidents.c.merged_into.is_not(None), rollouts.c.state.in_([state.value for state in UNDECIDED]))
)


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
        Shares in rising order; the first above what is allowed is next. By default everybody is. A correction has
        no stages: who was told what is wrong is not left with it.

    Raises
    ------
    RolloutError
        If nothing waits under this episode.
    """
    known = _asked(connection, episode)
    share = next_share(known, stages)
    state = RolloutState.APPROVED if share >= EVERYBODY else RolloutState.GOING
    return _decide(connection, replace(known, allowed_share=share, state=state), by, now, note)


def next_share(rollout: Rollout, stages: Sequence[float]) -> float:
    """Return which share of an audience may be told after the next yes."""
    if rollout.episode.startswith(CORRECTION_PREFIX):
        return EVERYBODY
    return next((stage for stage in stages if stage > rollout.allowed_share), EVERYBODY)


def refuse(connection: Connection, episode: str, by: str, now: datetime, *, note: str | None = None) -> Rollout:
    """Say no: whoever was not told by now is not told.

    Raises
    ------
    RolloutError
        If nothing waits under this episode.
    """
    return _decide(connection, replace(_asked(connection, episode), state=RolloutState.REFUSED), by, now, note)


def ask_for_large(
    connection: Connection, troubles: Sequence[Trouble], base: int, policy: Policy, now: datetime
) -> list[Rollout]:
    """Begin a rollout for each incident whose audience is large by now; return those that began.

    Parameters
    ----------
    connection
        In a transaction that may write.
    troubles
        About to be decided on.
    base
        How many subscribers there are; 0 if nobody knows.
    policy, now
        What is large, the stages, and the time.
    """
    if not policy.stages:
        return []
    quiet = silenced(connection, troubles, {}, now)
    about = sorted({it.incident_id for it in troubles if it.incident_id and it.kind is TroubleKind.PROBLEM})
    wholes = _wholes(connection, about)
    coming = Counter(
        wholes[it.incident_id]
        for it in troubles
        if it.incident_id and it.kind is TroubleKind.PROBLEM and (it.subscriber_id, it.episode) not in quiet
    )
    known = read(connection, coming)
    before = _told_or_held(connection, [episode for episode in coming if episode not in known])
    audiences = {episode: before.get(episode, 0) + count for episode, count in coming.items()}
    began = [
        Rollout(episode, people, policy.stages[0], RolloutState.WAITING, now)
        for episode, people in audiences.items()
        if episode not in known and is_large(people, base, policy)
    ]
    save(connection, began)
    return began


def is_large(people: int, base: int, policy: Policy) -> bool:
    """Whether an audience is one that waits for approval."""
    return people > policy.staged_people or (people > FEW and base > 0 and people > policy.staged_share * base)


def _told_or_held(connection: Connection, episodes: Sequence[str]) -> dict[str, int]:
    whole = func.coalesce(incidents.c.merged_into, incidents.c.incident_id)
    query = (
        select(whole, func.count())
        .select_from(notices.join(incidents, incidents.c.incident_id == notices.c.incident_id))
        .where(whole.in_(episodes), notices.c.kind == TroubleKind.PROBLEM.value, TOLD_OR_HELD)
        .group_by(whole)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def go_on(connection: Connection, now: datetime) -> None:
    """After a stage was let go, ask about the next one; what is over needs no answer any more."""
    connection.execute(_ASK_NEXT, {"at": now})
    connection.execute(_OVERTAKEN, {"at": now})


def follow_merges(connection: Connection, now: datetime) -> None:
    """Let the people of incidents that became part of others wait for one answer, that about the whole.

    What was parted again, or goes on after all, asks again.
    """
    connection.execute(_ASK_AGAIN, {"at": now})
    for row in connection.execute(_PARTS).all():
        part = _rollout(row)
        whole = read(connection, [row.merged_into]).get(row.merged_into)
        note = TAKEN_OVER.format(row.merged_into)
        closed = replace(part, state=RolloutState.OVER, decided_time=now, decided_by=stops.PREBUFFER, note=note)
        if whole is None or whole.state is RolloutState.OVER:
            save(connection, [closed, replace(part, episode=row.merged_into, asked_time=now)])
        elif whole.state in UNDECIDED:
            save(connection, [closed, replace(whole, audience=whole.audience + part.audience)])
        else:
            save(connection, [closed])


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
    columns = {column.name: row._mapping[column.name] for column in rollouts.c}
    return Rollout(**(columns | {"state": RolloutState(row.state)}))
