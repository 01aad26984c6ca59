"""Who is told what, and why the others are not: gates in a fixed order, each with a named reason.

A gate gets one case and the channels still open to it, and returns the channels that it leaves open, or the
reason why nobody is told. The first reason wins. The order, and what each one asks:

1. *already told* (no row at all): is there a row for this person, this episode and this kind?
2. `unknown_subscriber`: do we know the person?
3. `not_told`: an all-clear follows its problem notice: same channel, or withheld for the same reason.
4. `expired`: is the problem too old to be worth a message?
5. `recovered`: is the incident over, or has the person been watching well for a while?
6. `no_consent`: which channels did the person agree to?
7. `no_address`: is there an address that mail can go to?
8. `suppressed`: has the address bounced, complained or unsubscribed?
9. `holdout`: is the person among those never told, so that the effect can be measured?
10. `told_recently`: did they hear of the same cause a short while ago, and was it not over since?
11. `frequency_cap`: have they had enough for their own day or week?
12. `quiet_hours`: is it night where they are? Mail waits until morning. A card in the app wakes nobody, so
    who agreed
    to cards gets one at once instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, tzinfo
from functools import cached_property

from incidents.model import Cause, Severity, Trouble, TroubleKind
from notifiers.address import is_deliverable, normalised
from notifiers.local_time import is_quiet, known_zone, quiet_end, week_start
from notifiers.model import (
    ChannelName,
    Decision,
    History,
    Note,
    PastNotice,
    Policy,
    Recipient,
    WithheldReason,
    notice_id,
)

Channels = tuple[ChannelName, ...]
WIDE = frozenset({Cause.SERVICE, Cause.ISP, Cause.APP})
"""Causes that many people share: nobody has to do anything about them at home."""
STRANGER = Recipient(subscriber_id="", timezone="UTC")
"""Stands for people whom the subscriber list does not have."""
_MOST_SEVERE_FIRST = {Severity.CRITICAL: 0, Severity.MAJOR: 1, Severity.MINOR: 2}


@dataclass(frozen=True)
class Case:
    """One trouble before the gates: the person, what they heard before, the policy, their clock."""

    trouble: Trouble
    recipient: Recipient
    heard: Sequence[PastNotice]
    suppressed: frozenset[str]
    policy: Policy
    now: datetime

    @cached_property
    def zone(self) -> tzinfo | None:
        """The person's time zone, if we know it."""
        return known_zone(self.recipient.timezone)

    @cached_property
    def local(self) -> datetime:
        """The time on the person's clock; UTC where we do not know their zone."""
        return self.now.astimezone(self.zone or UTC)

    @property
    def is_problem(self) -> bool:
        """Whether it is news of a problem, not of its end."""
        return self.trouble.kind is TroubleKind.PROBLEM


@dataclass(frozen=True)
class Closed:
    """No channel is left: why, and, where only the hour is wrong, when it may go after all."""

    reason: WithheldReason
    release_time: datetime | None = None


Passage = Channels | Closed
Gate = Callable[[Case, Channels], Passage]


def unknown_subscriber(case: Case, channels: Channels) -> Passage:
    """Somebody whom the subscriber list does not have cannot be told."""
    return Closed(WithheldReason.UNKNOWN_SUBSCRIBER) if case.recipient is STRANGER else channels


def not_told(case: Case, channels: Channels) -> Passage:
    """An all-clear goes the way its problem notice went, and only to those who got that."""
    if case.is_problem:
        return channels
    problem = _problem_notice(case)
    if problem is None:
        return Closed(WithheldReason.NOT_TOLD)
    if problem.told:
        return (problem.channel,)
    return Closed(problem.withheld_reason or WithheldReason.NOT_TOLD)


def _problem_notice(case: Case) -> PastNotice | None:
    episode = case.trouble.episode
    return next((p for p in case.heard if p.episode == episode and p.kind is TroubleKind.PROBLEM), None)


def expired(case: Case, channels: Channels) -> Passage:
    """A problem whose last bad session is long ago is no news."""
    stale = case.is_problem and case.now - case.trouble.last_bad_time > case.policy.stale_after
    return Closed(WithheldReason.EXPIRED) if stale else channels


def recovered(case: Case, channels: Channels) -> Passage:
    """A problem that is over for everyone, or that this person has not had for a while, needs no notice."""
    over = case.trouble.incident_resolved or _all_clear_decided(case) or _watching_well(case)
    return Closed(WithheldReason.RECOVERED) if case.is_problem and over else channels


def _all_clear_decided(case: Case) -> bool:
    episode = case.trouble.episode
    return any(past.episode == episode and past.kind is TroubleKind.ALL_CLEAR for past in case.heard)


def _watching_well(case: Case) -> bool:
    good, bad = case.trouble.last_good_time, case.trouble.last_bad_time
    return good is not None and good > bad and case.now - bad > case.policy.recovered_after


def no_consent(case: Case, channels: Channels) -> Passage:
    """Only channels that the person agreed to."""
    agreed = {
        ChannelName.EMAIL: case.recipient.email_opt_in,
        ChannelName.IN_APP: case.recipient.in_app_opt_in,
    }
    return tuple(channel for channel in channels if agreed[channel]) or Closed(WithheldReason.NO_CONSENT)


def no_address(case: Case, channels: Channels) -> Passage:
    """Mail needs an address that it can go to."""
    if is_deliverable(case.recipient.email):
        return channels
    return _without_email(channels) or Closed(WithheldReason.NO_ADDRESS)


def suppressed(case: Case, channels: Channels) -> Passage:
    """No mail to an address that bounced, complained or unsubscribed."""
    address = case.recipient.email
    if address is None or normalised(address) not in case.suppressed:
        return channels
    return _without_email(channels) or Closed(WithheldReason.SUPPRESSED)


def _without_email(channels: Channels) -> Channels:
    return tuple(channel for channel in channels if channel is not ChannelName.EMAIL)


def holdout(case: Case, channels: Channels) -> Passage:
    """A stable share of people is not told; an all-clear follows its problem notice instead."""
    held = case.is_problem and in_holdout(case.trouble.subscriber_id, case.policy)
    return Closed(WithheldReason.HOLDOUT) if held else channels


def in_holdout(subscriber_id: str, policy: Policy) -> bool:
    """Whether a person is in the held-out share. A larger share keeps everybody who was in a smaller one."""
    key = f"{policy.holdout_salt}\x1f{subscriber_id}".encode()
    position = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big")
    return position < policy.holdout_share * 2**64


def told_recently(case: Case, channels: Channels) -> Passage:
    """Who knows of the same cause, and has not heard that it is over, hears no more of it for a while."""
    if not case.is_problem:
        return channels
    over = {past.episode for past in case.heard if past.kind is TroubleKind.ALL_CLEAR and past.told}
    known = (past for past in case.heard if past.kind is TroubleKind.PROBLEM and past.episode not in over)
    repeats = any(past.counts and _repeats(case, past) for past in known)
    return Closed(WithheldReason.TOLD_RECENTLY) if repeats else channels


def _repeats(case: Case, past: PastNotice) -> bool:
    """Whether a notice says what `past` said, or blames the home of those who just heard of a wide fault."""
    cause, age = case.trouble.verdict.cause, case.now - past.decided_time
    if past.cause in WIDE and cause is Cause.HOUSEHOLD:
        return age < case.policy.incident_gap
    gap = case.policy.incident_gap if cause in WIDE else case.policy.own_gap
    return past.cause is cause and age < gap


def frequency_cap(case: Case, channels: Channels) -> Passage:
    """At most so many problem notices in the person's own day and week; an all-clear is never capped."""
    if not case.is_problem:
        return channels
    days = [_local_day(case, past) for past in case.heard if past.counts and past.kind is TroubleKind.PROBLEM]
    today = case.local.date()
    this_week = sum(week_start(day) == week_start(today) for day in days)
    full = days.count(today) >= case.policy.max_per_day or this_week >= case.policy.max_per_week
    return Closed(WithheldReason.FREQUENCY_CAP) if full else channels


def _local_day(case: Case, past: PastNotice) -> date:
    return past.decided_time.astimezone(case.local.tzinfo).date()


def quiet_hours(case: Case, channels: Channels) -> Passage:
    """No mail at night where the person is; a card in the app may come at any time."""
    if not is_quiet(case.local, case.policy.quiet_from, case.policy.quiet_until):
        return channels
    morning = quiet_end(case.local, case.policy.quiet_until)
    return _without_email(channels) or Closed(WithheldReason.QUIET_HOURS, morning)


GATES: tuple[Gate, ...] = (
    unknown_subscriber,
    not_told,
    expired,
    recovered,
    no_consent,
    no_address,
    suppressed,
    holdout,
    told_recently,
    frequency_cap,
    quiet_hours,
)
"""In order. Before them, who was already told gives no decision at all."""


def decide(
    troubles: Sequence[Trouble],
    recipients: Mapping[str, Recipient],
    history: History,
    policy: Policy,
    now: datetime,
) -> list[Decision]:
    """Decide for each trouble whether its person is told, and if not, why.

    Pure: the same arguments give the same decisions, whatever the order of `troubles`. Wider incidents are
    decided before troubles of one's own, and graver ones first, because what a person hears first counts
    against the rest; all-clears come before everything, so that a new fault after an old one is news.

    Parameters
    ----------
    troubles
        What detection found, all-clears included.
    recipients
        The people by subscriber_id.
    history
        From `notifiers.history.load_history`.
    policy
        Limits and preferences.
    now
        The end of the window; aware UTC.

    Returns
    -------
    list of Decision
        One for each trouble, except those whose person already has a row for this episode and kind: these
        give none.
    """
    heard = {trouble.subscriber_id: list(history.of(trouble.subscriber_id)) for trouble in troubles}
    decisions = []
    for trouble in sorted(troubles, key=_order):
        past = heard[trouble.subscriber_id]
        if _already_told(trouble, past):
            continue
        recipient = recipients.get(trouble.subscriber_id, STRANGER)
        decision = _pass_gates(Case(trouble, recipient, past, history.suppressed, policy, now))
        past.append(decision.past)
        decisions.append(decision)
    return decisions


def _order(trouble: Trouble) -> tuple[object, ...]:
    return (
        trouble.kind is TroubleKind.PROBLEM,
        trouble.incident_id is None,
        _MOST_SEVERE_FIRST[trouble.severity],
        trouble.since,
        trouble.subscriber_id,
        trouble.episode,
    )


def _already_told(trouble: Trouble, heard: Sequence[PastNotice]) -> bool:
    return any(past.episode == trouble.episode and past.kind is trouble.kind for past in heard)


def _pass_gates(case: Case) -> Decision:
    channels = case.policy.channels
    for gate in GATES:
        passage = gate(case, channels)
        if isinstance(passage, Closed):
            return replace(_sent(case, channels), withheld_reason=passage.reason, release_time=passage.release_time)
        channels = passage
    return _sent(case, channels)


def _sent(case: Case, channels: Channels) -> Decision:
    trouble = case.trouble
    return Decision(
        notice_id=notice_id(trouble.subscriber_id, trouble.episode, trouble.kind),
        trouble=trouble,
        channel=channels[0],
        decided_time=case.now,
        expires_time=case.now + case.policy.lifetime(trouble.kind),
        notes=() if case.zone else (Note.UNKNOWN_TIMEZONE,),
    )
