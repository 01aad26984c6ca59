"""Lets go what was held back: by a planned event, by quiet hours, by a budget, or until somebody said yes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, bindparam, or_, select, update

from incidents.ledger.schema import incidents, notices, outbox, rollouts
from notifiers import rollout
from notifiers.gates.case import Closed
from notifiers.model import HOLDING, Policy, RolloutState, WithheldReason
from notifiers.outbox import State, cancel
from notifiers.recheck import of_notices, standings
from notifiers.standing import Consents, Standing

OUTLASTED = frozenset({WithheldReason.EXPIRED, WithheldReason.RECOVERED, WithheldReason.NOT_TOLD})
"""Objections that only time raised: the clock that held the notice back is why these people were not told; the row says
so. Who waited for a person's word was not told because it was over first."""
BY_THE_CLOCK = (
    WithheldReason.SILENCED.value,
    WithheldReason.QUIET_HOURS.value,
    WithheldReason.PROVIDER_BUDGET.value,
)


@dataclass(frozen=True)
class ReleaseReport:
    """How many notices were let go, how many wait for something else now, and how many were dropped, by objection."""

    released: int = 0
    held: int = 0
    dropped: Mapping[WithheldReason, int] = field(default_factory=dict)


def release_due(
    connection: Connection, now: datetime, consents: Consents | None = None, policy: Policy | None = None
) -> ReleaseReport:
    """Check held notices whose time has come once more, and let the ones still wanted go.

    A released row's `withheld_reason` becomes NULL. One whose problem is over by then keeps what held it, the
    reason why its person was not told, and loses its `release_time`. One withdrawn or suppressed since gets that
    reason instead, and one that has to wait for something else gets that. Works in the caller's transaction, with
    or without outbox rows (a replay has none).

    Parameters
    ----------
    connection
        In a transaction that may write.
    now
        Aware UTC.
    consents
        Asked again for each person and channel, where given.
    policy
        For quiet hours that have begun meanwhile; where given, also for what people heard meanwhile and who is held
        out.
    """
    waits = policy or Policy()
    released: list[str] = []
    held: list[tuple[str, Closed]] = []
    dropped = Counter[WithheldReason]()
    rollout.follow_merges(connection, now)
    for standing in standings(connection, _DUE, None if policy is None else now, {"due_by": now}):
        objection = standing.objection(now, consents, policy)
        wait = None if objection else standing.wait(now, waits)
        if objection is not None:
            cancel(connection, standing.message_id, _kept_reason(standing, objection), now)
            dropped[objection] += 1
        elif wait is not None:
            held.append((standing.notice_id, wait))
        else:
            released.append(standing.notice_id)
    _let_go(connection, released, now)
    hold(connection, held)
    rollout.go_on(connection, now)
    return ReleaseReport(len(released), len(held), dropped)


def _due() -> ColumnElement[bool]:
    held = notices.c.withheld_reason.in_([reason.value for reason in HOLDING]) & notices.c.release_time.is_not(None)
    in_time = notices.c.withheld_reason.in_(BY_THE_CLOCK) & (notices.c.release_time <= bindparam("due_by"))
    undecided = select(rollouts.c.episode).where(rollouts.c.state == RolloutState.WAITING.value)
    parts = select(incidents.c.incident_id).where(incidents.c.merged_into.is_not(None))
    answered = (notices.c.withheld_reason == WithheldReason.AWAITING_APPROVAL.value) & or_(
        notices.c.episode.not_in(undecided), notices.c.episode.in_(parts)
    )
    over = notices.c.incident_id.in_(rollout.ended_incidents())
    return and_(held, or_(in_time, answered, over, notices.c.expires_time <= bindparam("due_by")))


MAY_BE_OVER = _due()
"""The condition on `notices` that what holds one may be over by ``due_by``: its hour, its rollout, or its use."""
_DUE = of_notices(MAY_BE_OVER)


def _let_go(connection: Connection, ids: Sequence[str], now: datetime) -> None:
    if not ids:
        return
    rows = [{"of_notice": notice_id, "at": now} for notice_id in ids]
    free = update(notices).where(notices.c.notice_id == bindparam("of_notice"))
    connection.execute(free.values(withheld_reason=None, release_time=None), rows)
    soon = (outbox.c.notice_id == bindparam("of_notice")) & (outbox.c.state == State.QUEUED.value)
    connection.execute(update(outbox).where(soon).values(next_attempt_time=bindparam("at")), rows)


def hold(connection: Connection, held: Sequence[tuple[str, Closed]]) -> None:
    """Let notices wait for what holds them back now."""
    if not held:
        return
    rows = [
        {"of_notice": notice_id, "reason": closed.reason.value, "until": closed.release_time}
        for notice_id, closed in held
    ]
    wait = update(notices).where(notices.c.notice_id == bindparam("of_notice"))
    connection.execute(wait.values(withheld_reason=bindparam("reason"), release_time=bindparam("until")), rows)


def _kept_reason(standing: Standing, objection: WithheldReason) -> WithheldReason:
    by_the_clock = standing.held_by is not None and standing.held_by.value in BY_THE_CLOCK
    return standing.held_by if by_the_clock and standing.held_by and objection in OUTLASTED else objection
