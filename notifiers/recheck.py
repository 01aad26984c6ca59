"""The gates again, from the ledger alone, for notices that were decided a while ago.

What may have changed is asked again in the order of `notifiers.decide`: expired, recovered, an all-clear's problem
notice, contacts with support, choices, suppressions, then what only puts off: quiet hours and stages. Stops and budgets
hold whole channels back; see `notifiers.stops`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, func, literal, or_, select

from incidents.ledger.casework import expected_incidents, silences
from incidents.ledger.schema import (
    contacts,
    incidents,
    notices,
    outbox,
    preferences,
    rollouts,
    suppressions,
    troubles,
)
from incidents.model import Cause, Severity, TroubleKind
from incidents.silences import PRICE_CLASSES, SilenceKind
from notifiers.gates.case import Closed
from notifiers.gates.news import ABOUT_PLAYBACK, ABOUT_THE_ACCOUNT
from notifiers.gates.patience import release_after_quiet
from notifiers.local_time import zone
from notifiers.model import Category, ChannelName, Policy, Rollout, RolloutState, WithheldReason
from notifiers.outbox import Stage, State
from notifiers.preferences import SHARED_CAUSES
from telemetry.time import Window

Consents = Callable[[str, ChannelName], bool]
"""Whether the subscriber list still agrees to a channel for a subscriber_id; it may have changed since the decision."""
HEARD = frozenset({None, State.SENDING, State.SENT, State.UNKNOWN})
"""States of a problem notice after which its all-clear makes sense; None is a replay, which has no outbox."""


@dataclass(frozen=True)
class Standing:
    """How a decided notice stands now.

    Parameters
    ----------
    held_by
        What holds it back so far, if anything does.
    choice
        What its person chose for its category and channel; None where the subscriber list decides.
    helped
        Whether its person asked support about it since it began, and was not left without an answer.
    planned
        From when until when its incident is a planned event.
    """

    notice_id: str
    subscriber_id: str
    channel: ChannelName
    kind: TroubleKind
    severity: Severity
    expires_time: datetime | None
    held_by: WithheldReason | None
    incident_over: bool
    problem_heard: bool
    helped: bool
    choice: bool | None
    suppressed: bool
    timezone: str | None
    rollout: Rollout | None
    planned: Window | None = None

    def objection(self, now: datetime, consents: Consents | None = None) -> WithheldReason | None:
        """Return why the notice is no longer wanted, or None if it still is."""
        is_problem = self.kind is TroubleKind.PROBLEM
        refused = self.rollout is not None and self.rollout.state is RolloutState.REFUSED
        objections = (
            (self.expires_time is not None and self.expires_time <= now, WithheldReason.EXPIRED),
            (is_problem and self.incident_over, WithheldReason.RECOVERED),
            (not is_problem and not self.problem_heard, WithheldReason.NOT_TOLD),
            (is_problem and self.helped, WithheldReason.CONTACTED_SUPPORT),
            (not self._is_wanted(consents), WithheldReason.NO_CONSENT),
            (self.suppressed, WithheldReason.SUPPRESSED),
            (is_problem and refused, WithheldReason.ROLLOUT_REFUSED),
        )
        return next((reason for applies, reason in objections if applies), None)

    def _is_wanted(self, consents: Consents | None) -> bool:
        if self.choice is not None:
            return self.choice
        return consents is None or consents(self.subscriber_id, self.channel)

    def wait(self, now: datetime, policy: Policy) -> Closed | None:
        """Return what puts a wanted notice off, and until when; None if it may go now."""
        is_problem = self.kind is TroubleKind.PROBLEM
        if is_problem and self.planned is not None and self.planned.start <= now < self.planned.end:
            return Closed(WithheldReason.SILENCED, self.planned.end)
        if self.channel is ChannelName.EMAIL and self.severity not in policy.pass_quiet:
            morning = release_after_quiet(now.astimezone(zone(self.timezone)), self.subscriber_id, policy)
            if morning is not None:
                return Closed(WithheldReason.QUIET_HOURS, morning)
        staged = self.kind is TroubleKind.PROBLEM and self.rollout is not None
        if staged and self.rollout is not None and not self.rollout.allows(self.subscriber_id):
            return Closed(WithheldReason.AWAITING_APPROVAL, now)
        return None


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
    first = (outbox.c.notice_id == notices.c.notice_id) & (outbox.c.stage == Stage.FIRST.value)
    problem_first = (problem_outbox.c.notice_id == problem.c.notice_id) & (problem_outbox.c.stage == Stage.FIRST.value)
    found = and_(*(troubles.c[name] == notices.c[name] for name in ("subscriber_id", "episode", "kind")))
    joined = (
        notices.outerjoin(outbox, first)
        .outerjoin(incidents, incidents.c.incident_id == notices.c.incident_id)
        .outerjoin(target, target.c.incident_id == incidents.c.merged_into)
        .outerjoin(suppressions, suppressions.c.address == func.lower(func.trim(outbox.c.address)))
        .outerjoin(problem, same_episode)
        .outerjoin(problem_outbox, problem_first)
        .outerjoin(troubles, found)
        .outerjoin(preferences, _chosen())
        .outerjoin(rollouts, rollouts.c.episode == notices.c.episode)
        .outerjoin(expected_incidents, expected_incidents.c.incident_id == notices.c.incident_id)
        .outerjoin(silences, silences.c.silence_id == expected_incidents.c.silence_id)
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
        troubles.c.severity,
        preferences.c.allowed,
        _helped().label("helped"),
        troubles.c.error_class,
        *(silences.c[name].label(f"planned_{name}") for name in ("kind", "from_time", "until_time", "ended_time")),
        *(rollouts.c[name].label(f"rollout_{name}") for name in ("audience", "allowed_share", "state", "asked_time")),
    ).select_from(joined)


def _chosen() -> ColumnElement[bool]:
    shared = notices.c.cause.in_([cause.value for cause in SHARED_CAUSES])
    category = case((shared, Category.SHARED.value), else_=Category.OWN.value)
    return (
        (preferences.c.subscriber_id == notices.c.subscriber_id)
        & (preferences.c.channel == notices.c.channel)
        & (preferences.c.category == category)
    )


def _helped() -> ColumnElement[bool]:
    about_account = (notices.c.cause == Cause.ACCOUNT.value) & contacts.c.reason.in_(sorted(ABOUT_THE_ACCOUNT))
    return (
        select(literal(1))
        .where(
            contacts.c.subscriber_id == notices.c.subscriber_id,
            contacts.c.contacted_time >= troubles.c.since,
            or_(contacts.c.reason.in_(sorted(ABOUT_PLAYBACK)), about_account),
            or_(contacts.c.resolved_first_contact.is_(None), contacts.c.resolved_first_contact),
        )
        .correlate(notices, troubles)
        .exists()
    )


_STANDINGS = _standings()


def _standing(row: Row[Any]) -> Standing:
    told = row.problem_id is not None and row.problem_withheld is None
    return Standing(
        notice_id=row.notice_id,
        subscriber_id=row.subscriber_id,
        channel=ChannelName(row.channel),
        kind=TroubleKind(row.kind),
        severity=Severity(row.severity) if row.severity else Severity.MINOR,
        expires_time=row.expires_time,
        held_by=row.withheld_reason and WithheldReason(row.withheld_reason),
        incident_over=_over(row),
        problem_heard=told and row.problem_state in HEARD,
        helped=bool(row.helped),
        choice=row.allowed,
        suppressed=row.suppressed_address is not None,
        timezone=row.timezone,
        rollout=_rollout(row),
        planned=_planned(row),
    )


def _planned(row: Row[Any]) -> Window | None:
    if row.planned_kind is None:
        return None
    if row.planned_kind == SilenceKind.PRICE_CHANGE.value and row.error_class not in PRICE_CLASSES:
        return None
    end = min(row.planned_ended_time or row.planned_until_time, row.planned_until_time)
    return Window(row.planned_from_time, end) if row.planned_from_time < end else None


def _rollout(row: Row[Any]) -> Rollout | None:
    if row.rollout_state is None:
        return None
    state = RolloutState(row.rollout_state)
    return Rollout(row.episode, row.rollout_audience, row.rollout_allowed_share, state, row.rollout_asked_time)


def _over(row: Row[Any]) -> bool:
    """Whether the incident is over; one that was merged lives on in the other."""
    ended = row.resolved_time if row.merged_into is None else row.target_resolved_time
    return ended is not None
