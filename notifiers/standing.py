"""How a notice that was decided a while ago, and one message of it, stands now; see `notifiers.recheck`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row

from incidents.model import Cause, Severity, Trouble, TroubleKind, Verdict
from incidents.silences import PRICE_CLASSES
from notifiers.address import is_deliverable, normalised
from notifiers.gates.case import Case, Closed, Gate
from notifiers.gates.news import contacted_support
from notifiers.gates.patience import frequency_cap, is_held_out, release_after_quiet, told_recently
from notifiers.history import past_notice
from notifiers.local_time import zone
from notifiers.model import (
    HOLDING,
    ChannelName,
    History,
    PastNotice,
    Policy,
    Recipient,
    Rollout,
    RolloutState,
    WithheldReason,
)
from notifiers.outbox import Stage, State
from notifiers.preferences import SHARED_CAUSES, category_of
from telemetry.contract import Signal
from telemetry.time import Window

Consents = Callable[[str, ChannelName], bool]
"""Whether the subscriber list still agrees to a channel for a subscriber_id; it may have changed since the decision."""
HEARD = frozenset({None, State.SENDING, State.SENT, State.UNKNOWN})
"""States of a message after which its person heard it, for all we know; None is a replay, which has no outbox."""
UNDER_WAY = frozenset({State.QUEUED, State.SENDING})
SOON = timedelta(minutes=1)
"""When to look again at what waits for something that has no time of its own."""


@dataclass(frozen=True)
class Affair:
    """How an incident stands, for all who are to be told of it alike.

    Parameters
    ----------
    over, whole_goes_on
        Whether it is over; whether it became part of another that goes on.
    whole
        That other, also when it is over.
    planned, only_prices
        From when until when it is a planned event, if it is; whether that explains only what has to do with prices.
    """

    over: bool = False
    whole_goes_on: bool = False
    whole: str | None = None
    planned: Window | None = None
    only_prices: bool = False


_NONE = Affair()


@dataclass(frozen=True)
class Known:
    """What the ledger knows by now of the incidents and people of some messages; what is absent changes nothing.

    Parameters
    ----------
    affairs
        By incident.
    history
        What the people chose and asked, which addresses are suppressed, and how far large audiences are told.
    problems
        The problem notices of all-clears and how far they are, by the all-clear's notice_id.
    seen
        Cards that were seen, as far as a mail is to follow them.
    past
        What was lately decided about people with more than one notice, by subscriber_id, as far as it was loaded.
    """

    affairs: Mapping[str, Affair]
    history: History
    problems: Mapping[str, Row[Any]]
    seen: frozenset[str]
    past: Mapping[str, Sequence[Row[Any]]]


@dataclass(frozen=True)
class Standing:
    """How a decided notice, and one message of it, stands now.

    Parameters
    ----------
    row
        Of the notice, of its message where there is one (a replay has none), and of the trouble that it is about, as
        far as the ledger has it.
    known
        What is known of its incident and its person.
    """

    row: Any
    known: Known

    @property
    def message_id(self) -> str:
        """Of the message; the notice's own where there is none."""
        return str(self.row.message_id or self.row.notice_id)

    @property
    def notice_id(self) -> str:
        """Of the notice."""
        return str(self.row.notice_id)

    @property
    def subscriber_id(self) -> str:
        """Whose it is."""
        return str(self.row.subscriber_id)

    @property
    def is_problem(self) -> bool:
        """Whether it is news of a problem."""
        return bool(self.row.kind == TroubleKind.PROBLEM.value)

    @property
    def held_by(self) -> WithheldReason | None:
        """What holds it back so far, if anything does."""
        return self.row.withheld_reason and WithheldReason(self.row.withheld_reason)

    @property
    def affair(self) -> Affair:
        """How its incident stands."""
        return self.known.affairs.get(self.row.incident_id, _NONE)

    @property
    def rollout(self) -> Rollout | None:
        """How far its audience is told, where that goes in stages."""
        return self.known.history.rollouts.get(self.row.episode)

    @property
    def is_refused(self) -> bool:
        """Whether a person said that its audience is not to be told."""
        return self.rollout is not None and self.rollout.state is RolloutState.REFUSED

    @property
    def channel(self) -> ChannelName:
        """How it goes."""
        return ChannelName(self.row.by or self.row.channel)

    @property
    def severity(self) -> Severity:
        """How grave its trouble is."""
        return Severity(self.row.severity) if self.row.severity else Severity.MINOR

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
        objections = self._objections(now, consents, policy)
        found = next((reason for applies, reason in objections if applies), None)
        return found or (self._heard_enough(now, policy) if policy and self.is_problem else None)

    def _objections(
        self, now: datetime, consents: Consents | None, policy: Policy | None
    ) -> Iterator[tuple[bool, WithheldReason]]:
        row, address, is_problem = self.row, self.row.address, self.is_problem
        yield row.expires_time is not None and row.expires_time <= now, WithheldReason.EXPIRED
        if is_problem:
            yield self.affair.over or self._is_well(now, policy), WithheldReason.RECOVERED
            yield self._asked_support(now), WithheldReason.CONTACTED_SUPPORT
        else:
            yield not (self._problem_heard or self._problem_pending), WithheldReason.NOT_TOLD
        yield not self._is_wanted(consents), WithheldReason.NO_CONSENT
        if address is not None:
            yield not is_deliverable(address), WithheldReason.NO_ADDRESS
            yield normalised(address) in self.known.history.suppressed, WithheldReason.SUPPRESSED
        if is_problem:
            yield self.is_refused, WithheldReason.ROLLOUT_REFUSED
            yield row.stage == Stage.FOLLOW_UP and row.notice_id in self.known.seen, WithheldReason.SEEN

    def _is_well(self, now: datetime, policy: Policy | None) -> bool:
        """Whether a trouble of one's own is too long ago for a second message about it."""
        if self.row.stage != Stage.FOLLOW_UP or self.row.incident_id is not None or policy is None:
            return False
        return now - self._trouble.last_bad_time > policy.recovered_after

    def _asked_support(self, now: datetime) -> bool:
        if self.row.since is None or self.subscriber_id not in self.known.history.contacts:
            return False
        return self._closed_by((contacted_support,), now, Policy()) is not None

    def _is_wanted(self, consents: Consents | None) -> bool:
        choices = self.known.history.choices.get(self.subscriber_id)
        if choices:
            chosen = choices.get((category_of(Cause(self.row.cause)), self.channel))
            if chosen is not None:
                return chosen
        return consents is None or consents(self.subscriber_id, self.channel)

    @property
    def _problem_heard(self) -> bool:
        """Whether the problem notice of an all-clear was heard."""
        problem = self.known.problems.get(self.notice_id)
        return problem is not None and problem.withheld_reason is None and problem.state in HEARD

    @property
    def _problem_pending(self) -> bool:
        """Whether it may still be."""
        problem = self.known.problems.get(self.notice_id)
        if problem is None:
            return False
        if problem.withheld_reason is None:
            return bool(problem.state == State.QUEUED)
        return problem.withheld_reason in HOLDING and problem.release_time is not None

    def _heard_enough(self, now: datetime, policy: Policy) -> WithheldReason | None:
        if is_held_out(self.subscriber_id, self.severity, policy):
            return WithheldReason.HOLDOUT
        if self.subscriber_id not in self.known.past:
            return None
        return self._closed_by((told_recently, frequency_cap), now, policy)

    def _closed_by(self, gates: Sequence[Gate], now: datetime, policy: Policy) -> WithheldReason | None:
        """Return the reason of the first of these gates that is closed to it now."""
        recipient = Recipient(self.subscriber_id, timezone=self.row.timezone)
        case = Case(self._trouble, recipient, self._heard(now), self.known.history, Counter(), policy, now)
        passages = (gate(case, (self.channel,)) for gate in gates)
        return next((passage.reason for passage in passages if isinstance(passage, Closed)), None)

    @property
    def _trouble(self) -> Trouble:
        """What it is about: the whole, if it became part of one; of what was found, whatever the ledger still has."""
        row = self.row
        return Trouble(
            subscriber_id=row.subscriber_id,
            problem=Signal(row.problem),
            verdict=Verdict(Cause(row.cause), 1.0),
            incident_id=self.affair.whole or row.incident_id,
            since=row.since or row.decided_time,
            last_bad_time=row.last_bad_time or row.decided_time,
            impaired=0,
            sessions=0,
            severity=self.severity,
            kind=TroubleKind(row.kind),
        )

    def _heard(self, now: datetime) -> tuple[PastNotice, ...]:
        """What its person has heard but for this: of what is on its way, the notice decided first goes first.

        A home is not blamed beside a wide fault, whichever was decided first. What is on its way is heard today, on
        whichever day it was decided.
        """
        rows = self.known.past.get(self.subscriber_id, ())
        place = next(((row.decided_time, row.notice_id) for row in rows if row.notice_id == self.notice_id), None)
        if place is None:
            return ()
        others = (row for row in rows if row.notice_id != self.notice_id and row.withheld_reason is None)
        ahead = (row for row in others if self._yields_to(row) or (row.decided_time, row.notice_id) < place)
        return tuple(replace(past_notice(row), told_time=_told_time(row, now)) for row in ahead)

    def _yields_to(self, row: Row[Any]) -> bool:
        """Whether a notice is heard, or is about a wide fault while this one blames the home."""
        blames_home = Cause(self.row.cause) is Cause.HOUSEHOLD
        return row.state in HEARD or (blames_home and Cause(row.cause) in SHARED_CAUSES)

    def wait(self, now: datetime, policy: Policy) -> Closed | None:
        """Return what puts a wanted message off, and until when; None if it may go now."""
        if not self.is_problem and (self._problem_pending or self.affair.whole_goes_on):
            return Closed(self.held_by or WithheldReason.AWAITING_APPROVAL, now + SOON)
        shut = self.shut(now, policy)
        if shut is not None:
            return shut
        if self.is_problem and self.rollout is not None and not self.rollout.allows(self.subscriber_id):
            return Closed(WithheldReason.AWAITING_APPROVAL, now)
        return None

    def shut(self, now: datetime, policy: Policy) -> Closed | None:
        """Return what puts it off whoever its person is, as far as the hour on their clock: an event, or the night."""
        planned = self._planned
        if planned is not None and planned.start <= now < planned.end:
            return Closed(WithheldReason.SILENCED, planned.end)
        if self.channel is ChannelName.EMAIL and self.severity not in policy.pass_quiet:
            morning = release_after_quiet(now.astimezone(zone(self.row.timezone)), self.subscriber_id, policy)
            if morning is not None:
                return Closed(WithheldReason.QUIET_HOURS, morning)
        return None

    @property
    def _planned(self) -> Window | None:
        """The planned event that explains its trouble."""
        explains = self.is_problem and (not self.affair.only_prices or self.row.error_class in PRICE_CLASSES)
        return self.affair.planned if explains else None


def _told_time(row: Row[Any], now: datetime) -> datetime | None:
    """When a notice is heard: now, if it is under way."""
    told: datetime | None = now if row.state in UNDER_WAY else past_notice(row).told_time
    return told
