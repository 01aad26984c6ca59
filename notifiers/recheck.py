"""The gates again, from the ledger alone, for messages whose notices were decided a while ago.

Asked again, in the order of `notifiers.decide`: expired, recovered, an all-clear's problem notice, contacts with
support, choices, the address, suppressions, the holdout, what else the person heard meanwhile, then what only puts off:
planned events, quiet hours and stages. A mail that follows a card is asked besides whether the card was seen. Stops and
budgets hold whole channels back; see `notifiers.stops` and `notifiers.budget`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, func, literal, or_, select

from incidents.ledger.casework import expected_incidents, silences
from incidents.ledger.schema import (
    contacts,
    inbox,
    incidents,
    notices,
    outbox,
    preferences,
    rollouts,
    suppressions,
    troubles,
)
from incidents.model import Cause, Severity, Trouble, TroubleKind, Verdict
from incidents.silences import PRICE_CLASSES, SilenceKind
from notifiers.address import is_deliverable
from notifiers.gates.case import Closed
from notifiers.gates.news import ABOUT_PLAYBACK, ABOUT_THE_ACCOUNT
from notifiers.gates.patience import is_held_out, release_after_quiet, too_much
from notifiers.history import past_notice, past_rows
from notifiers.local_time import zone
from notifiers.model import (
    HOLDING,
    Category,
    ChannelName,
    PastNotice,
    Policy,
    Rollout,
    RolloutState,
    WithheldReason,
)
from notifiers.outbox import Stage, State
from notifiers.preferences import SHARED_CAUSES
from notifiers.rollout import by_which
from telemetry.contract import Signal
from telemetry.time import Window

Consents = Callable[[str, ChannelName], bool]
"""Whether the subscriber list still agrees to a channel for a subscriber_id; it may have changed since the decision."""
HEARD = frozenset({None, State.SENDING, State.SENT, State.UNKNOWN})
"""States of a message after which its person heard it, for all we know; None is a replay, which has no outbox."""
SOON = timedelta(minutes=1)
"""When to look again at what waits for something that has no time of its own."""


@dataclass(frozen=True)
class Standing:
    """How a decided notice, and one message of it, stands now.

    Parameters
    ----------
    message_id
        Of the message; the notice's own where there is none, as in a replay.
    channel, address, stage
        How and where it goes, and which message of its notice it is.
    trouble
        What it is about, as far as the ledger knows.
    held_by
        What holds it back so far, if anything does.
    incident_over, whole_goes_on
        Whether the incident is over; whether it became part of another that goes on.
    problem_heard, problem_pending
        Of an all-clear: whether its problem notice was heard, or may still be.
    choice
        What its person chose for its category and channel; None where the subscriber list decides.
    helped
        Whether its person asked support about it since it began, and was not left without an answer.
    seen
        Whether its card was seen.
    planned
        From when until when its incident is a planned event.
    heard
        What else its person heard, as far as it was loaded.
    """

    message_id: str
    notice_id: str
    trouble: Trouble
    channel: ChannelName
    address: str | None
    stage: Stage
    expires_time: datetime | None
    held_by: WithheldReason | None
    incident_over: bool
    whole_goes_on: bool
    problem_heard: bool
    problem_pending: bool
    helped: bool
    choice: bool | None
    suppressed: bool
    seen: bool
    timezone: str | None
    rollout: Rollout | None
    planned: Window | None = None
    heard: tuple[PastNotice, ...] = ()

    @property
    def subscriber_id(self) -> str:
        """Whose it is."""
        return self.trouble.subscriber_id

    @property
    def is_problem(self) -> bool:
        """Whether it is news of a problem."""
        return self.trouble.kind is TroubleKind.PROBLEM

    def objection(
        self, now: datetime, consents: Consents | None = None, policy: Policy | None = None
    ) -> WithheldReason | None:
        """Return why the message is no longer wanted, or None if it still is.

        Parameters
        ----------
        now
            Aware UTC.
        consents
            What the subscriber list says now, where it is at hand.
        policy
            For the gates whose settings may have changed, and for what the person heard meanwhile, where given.
        """
        refused = self.rollout is not None and self.rollout.state is RolloutState.REFUSED
        told = self.problem_heard or self.problem_pending
        objections = (
            (self.expires_time is not None and self.expires_time <= now, WithheldReason.EXPIRED),
            (self.is_problem and (self.incident_over or self._is_well(now, policy)), WithheldReason.RECOVERED),
            (not self.is_problem and not told, WithheldReason.NOT_TOLD),
            (self.is_problem and self.helped, WithheldReason.CONTACTED_SUPPORT),
            (not self._is_wanted(consents), WithheldReason.NO_CONSENT),
            (self.address is not None and not is_deliverable(self.address), WithheldReason.NO_ADDRESS),
            (self.suppressed, WithheldReason.SUPPRESSED),
            (self.is_problem and refused, WithheldReason.ROLLOUT_REFUSED),
            (self.is_problem and self.stage is Stage.FOLLOW_UP and self.seen, WithheldReason.SEEN),
        )
        found = next((reason for applies, reason in objections if applies), None)
        return found or (self._heard_enough(now, policy) if policy and self.is_problem else None)

    def _is_well(self, now: datetime, policy: Policy | None) -> bool:
        """Whether a trouble of one's own is too long ago for a second message about it."""
        alone = self.stage is Stage.FOLLOW_UP and self.trouble.incident_id is None
        return alone and policy is not None and now - self.trouble.last_bad_time > policy.recovered_after

    def _is_wanted(self, consents: Consents | None) -> bool:
        if self.choice is not None:
            return self.choice
        return consents is None or consents(self.subscriber_id, self.channel)

    def _heard_enough(self, now: datetime, policy: Policy) -> WithheldReason | None:
        if is_held_out(self.subscriber_id, self.trouble.severity, policy):
            return WithheldReason.HOLDOUT
        return too_much(self.trouble, self.timezone, self.heard, policy, now)

    def wait(self, now: datetime, policy: Policy) -> Closed | None:
        """Return what puts a wanted message off, and until when; None if it may go now."""
        if not self.is_problem and (self.problem_pending or self.whole_goes_on):
            return Closed(self.held_by or WithheldReason.AWAITING_APPROVAL, now + SOON)
        if self.is_problem and self.planned is not None and self.planned.start <= now < self.planned.end:
            return Closed(WithheldReason.SILENCED, self.planned.end)
        if self.channel is ChannelName.EMAIL and self.trouble.severity not in policy.pass_quiet:
            morning = release_after_quiet(now.astimezone(zone(self.timezone)), self.subscriber_id, policy)
            if morning is not None:
                return Closed(WithheldReason.QUIET_HOURS, morning)
        if self.is_problem and self.rollout is not None and not self.rollout.allows(self.subscriber_id):
            return Closed(WithheldReason.AWAITING_APPROVAL, now)
        return None


def standings(connection: Connection, which: ColumnElement[bool], now: datetime | None = None) -> list[Standing]:
    """Load how the messages that meet a condition on `notices` and `outbox` stand now.

    Parameters
    ----------
    connection
        To the ledger; only read.
    which
        The condition.
    now
        Load what else their people heard, too, as of this moment.
    """
    found = [_standing(row) for row in connection.execute(_STANDINGS.where(which))]
    if now is None:
        return found
    past = past_rows(connection, sorted({it.subscriber_id for it in found if it.is_problem}), now)
    decided = {row.notice_id: row.decided_time for rows in past.values() for row in rows}
    return [replace(it, heard=_heard(it, past, decided)) if it.subscriber_id in past else it for it in found]


def _heard(
    standing: Standing, past: Mapping[str, Sequence[Row[Any]]], decided: Mapping[str, datetime]
) -> tuple[PastNotice, ...]:
    """What its person has heard but for this: of what is on its way, the notice decided first goes first."""
    me = standing.notice_id
    if me not in decided:
        return ()
    place = (decided[me], me)
    mine = [row for row in past[standing.subscriber_id] if row.notice_id != me and row.withheld_reason is None]
    ahead = [row for row in mine if row.state in HEARD or (row.decided_time, row.notice_id) < place]
    return tuple(map(past_notice, ahead))


def _standings() -> Select[Any]:
    problem, problem_outbox = notices.alias("problem"), outbox.alias("problem_outbox")
    target, whole_rollouts = incidents.alias("target"), rollouts.alias("whole_rollouts")
    same_episode = (
        (problem.c.subscriber_id == notices.c.subscriber_id)
        & (problem.c.episode == notices.c.episode)
        & (problem.c.kind == TroubleKind.PROBLEM.value)
    )
    problem_first = (problem_outbox.c.notice_id == problem.c.notice_id) & (problem_outbox.c.stage == Stage.FIRST.value)
    found = and_(*(troubles.c[name] == notices.c[name] for name in ("subscriber_id", "episode", "kind")))
    whole = func.coalesce(incidents.c.merged_into, notices.c.episode)
    joined = (
        notices.outerjoin(outbox, outbox.c.notice_id == notices.c.notice_id)
        .outerjoin(incidents, incidents.c.incident_id == notices.c.incident_id)
        .outerjoin(target, target.c.incident_id == incidents.c.merged_into)
        .outerjoin(suppressions, suppressions.c.address == func.lower(func.trim(outbox.c.address)))
        .outerjoin(problem, same_episode)
        .outerjoin(problem_outbox, problem_first)
        .outerjoin(troubles, found)
        .outerjoin(preferences, _chosen())
        .outerjoin(inbox, inbox.c.card_id == notices.c.notice_id)
        .outerjoin(rollouts, rollouts.c.episode == notices.c.episode)
        .outerjoin(whole_rollouts, whole_rollouts.c.episode == whole)
        .outerjoin(expected_incidents, expected_incidents.c.incident_id == notices.c.incident_id)
        .outerjoin(silences, silences.c.silence_id == expected_incidents.c.silence_id)
    )
    return select(
        notices,
        outbox.c.message_id,
        outbox.c.stage,
        outbox.c.address,
        outbox.c.channel.label("by"),
        incidents.c.merged_into,
        incidents.c.resolved_time,
        target.c.resolved_time.label("target_resolved_time"),
        suppressions.c.address.label("suppressed_address"),
        problem.c.notice_id.label("problem_id"),
        problem.c.withheld_reason.label("problem_withheld"),
        problem.c.release_time.label("problem_release_time"),
        problem_outbox.c.state.label("problem_state"),
        inbox.c.seen_time,
        preferences.c.allowed,
        _helped().label("helped"),
        *(troubles.c[name] for name in ("severity", "since", "last_bad_time", "last_good_time", "error_class")),
        *(silences.c[name].label(f"planned_{name}") for name in ("kind", "from_time", "until_time", "ended_time")),
        *(rollouts.c[name].label(f"own_{name}") for name in _ROLLOUT),
        *(whole_rollouts.c[name].label(f"whole_{name}") for name in _ROLLOUT),
    ).select_from(joined)


_ROLLOUT = ("episode", "audience", "allowed_share", "state", "asked_time")


def _chosen() -> ColumnElement[bool]:
    shared = notices.c.cause.in_([cause.value for cause in SHARED_CAUSES])
    category = case((shared, Category.SHARED.value), else_=Category.OWN.value)
    return (
        (preferences.c.subscriber_id == notices.c.subscriber_id)
        & (preferences.c.channel == func.coalesce(outbox.c.channel, notices.c.channel))
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
    held = row.problem_withheld in HOLDING and row.problem_release_time is not None
    return Standing(
        message_id=row.message_id or row.notice_id,
        notice_id=row.notice_id,
        trouble=_trouble(row),
        channel=ChannelName(row.by or row.channel),
        address=row.address,
        stage=Stage(row.stage or Stage.FIRST),
        expires_time=row.expires_time,
        held_by=row.withheld_reason and WithheldReason(row.withheld_reason),
        incident_over=_over(row),
        whole_goes_on=row.merged_into is not None and row.target_resolved_time is None,
        problem_heard=told and row.problem_state in HEARD,
        problem_pending=held or (told and row.problem_state == State.QUEUED),
        helped=bool(row.helped),
        choice=row.allowed,
        suppressed=row.suppressed_address is not None,
        seen=row.seen_time is not None,
        timezone=row.timezone,
        rollout=by_which(_rollout(row, "own"), _rollout(row, "whole")),
        planned=_planned(row),
    )


def _trouble(row: Row[Any]) -> Trouble:
    """Return what a notice is about; of what detection found, whatever the ledger still has."""
    return Trouble(
        subscriber_id=row.subscriber_id,
        problem=Signal(row.problem),
        verdict=Verdict(Cause(row.cause), 1.0),
        incident_id=row.incident_id,
        since=row.since or row.decided_time,
        last_bad_time=row.last_bad_time or row.decided_time,
        impaired=0,
        sessions=0,
        severity=Severity(row.severity) if row.severity else Severity.MINOR,
        kind=TroubleKind(row.kind),
        last_good_time=row.last_good_time,
    )


def _planned(row: Row[Any]) -> Window | None:
    if row.planned_kind is None:
        return None
    if row.planned_kind == SilenceKind.PRICE_CHANGE.value and row.error_class not in PRICE_CLASSES:
        return None
    end = min(row.planned_ended_time or row.planned_until_time, row.planned_until_time)
    return Window(row.planned_from_time, end) if row.planned_from_time < end else None


def _rollout(row: Row[Any], which: str) -> Rollout | None:
    episode, audience, share, state, asked = (getattr(row, f"{which}_{name}") for name in _ROLLOUT)
    return None if state is None else Rollout(episode, audience, share, RolloutState(state), asked)


def _over(row: Row[Any]) -> bool:
    """Whether the incident is over; one that was merged lives on in the other."""
    ended = row.resolved_time if row.merged_into is None else row.target_resolved_time
    return ended is not None
