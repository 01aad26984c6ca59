"""The gates again, from the ledger alone, for notices that were decided a while ago."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select

from incidents.ledger.schema import incidents, notices, outbox, suppressions
from incidents.model import TroubleKind
from notifiers.model import ChannelName, WithheldReason
from notifiers.outbox import State

Consents = Callable[[str, ChannelName], bool]
"""Whether a subscriber_id still agrees to a channel; the answer may have changed since the decision."""
HEARD = frozenset({None, State.SENDING, State.SENT, State.UNKNOWN})
"""States of a problem notice after which its all-clear makes sense; None is a replay, which has no outbox."""


@dataclass(frozen=True)
class Standing:
    """How a decided notice stands now."""

    notice_id: str
    subscriber_id: str
    channel: ChannelName
    kind: TroubleKind
    expires_time: datetime | None
    incident_over: bool
    problem_heard: bool
    suppressed: bool

    def objection(self, now: datetime, consents: Consents | None = None) -> WithheldReason | None:
        """Return why the notice is no longer wanted, or None if it still is."""
        is_problem = self.kind is TroubleKind.PROBLEM
        if self.expires_time is not None and self.expires_time <= now:
            return WithheldReason.EXPIRED
        if is_problem and self.incident_over:
            return WithheldReason.RECOVERED
        if not is_problem and not self.problem_heard:
            return WithheldReason.NOT_TOLD
        if consents is not None and not consents(self.subscriber_id, self.channel):
            return WithheldReason.NO_CONSENT
        return WithheldReason.SUPPRESSED if self.suppressed else None


def standings(connection: Connection, which: ColumnElement[bool]) -> list[Standing]:
    """Load how the notices that meet a condition on `notices` stand now."""
    return [_standing(row) for row in connection.execute(_STANDINGS.where(which))]


def _standings() -> Select[Any]:
    problem, problem_outbox = notices.alias("problem"), outbox.alias("problem_outbox")
    target = incidents.alias("target")
    same_episode = (
        (problem.c.subscriber_id == notices.c.subscriber_id)
        & (problem.c.episode == notices.c.episode)
        & (problem.c.kind == TroubleKind.PROBLEM.value)
    )
    joined = (
        notices.outerjoin(outbox, outbox.c.notice_id == notices.c.notice_id)
        .outerjoin(incidents, incidents.c.incident_id == notices.c.incident_id)
        .outerjoin(target, target.c.incident_id == incidents.c.merged_into)
        .outerjoin(suppressions, suppressions.c.address == func.lower(func.trim(outbox.c.address)))
        .outerjoin(problem, same_episode)
        .outerjoin(problem_outbox, problem_outbox.c.notice_id == problem.c.notice_id)
    )
    return select(
        notices,
        incidents.c.merged_into,
        incidents.c.resolved_time,
        target.c.resolved_time.label("target_resolved_time"),
        suppressions.c.address.label("suppressed_address"),
        problem.c.notice_id.label("problem_id"),
        problem.c.withheld_reason.label("problem_withheld"),
        problem_outbox.c.state.label("problem_state"),
    ).select_from(joined)


_STANDINGS = _standings()


def _standing(row: Row[Any]) -> Standing:
    told = row.problem_id is not None and row.problem_withheld is None
    return Standing(
        notice_id=row.notice_id,
        subscriber_id=row.subscriber_id,
        channel=ChannelName(row.channel),
        kind=TroubleKind(row.kind),
        expires_time=row.expires_time,
        incident_over=_over(row),
        problem_heard=told and row.problem_state in HEARD,
        suppressed=row.suppressed_address is not None,
    )


def _over(row: Row[Any]) -> bool:
    """Whether the incident is over; one that was merged lives on in the other."""
    ended = row.resolved_time if row.merged_into is None else row.target_resolved_time
    return ended is not None
